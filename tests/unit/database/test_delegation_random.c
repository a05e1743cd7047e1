/* SPDX-License-Identifier: Apache-2.0 */
/* Paths through random databases against a reference that knows no shortcut: it keeps every entry in a list, walks parents by
 * ID, and folds payloads one by one. Settings, branches, several steps, bounds, floors that go anywhere. */
#include "delegation_test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "database/standing_int.h"

#define DATABASES 4
#define FIRST_KEY 5
#define KEYS 4

typedef struct world {
    tu_random random;
    eid_core *core;
    eid_database *admin[DATABASES];
    eid_id root[DATABASES];
    eid_entry **entries[DATABASES];
    size_t count[DATABASES];
} world;

static size_t below(world *w, size_t bound)
{
    return (size_t)tu_random_below(&w->random, bound);
}

static eid_permission any_permission(world *w)
{
    eid_permission_kind kind = (eid_permission_kind)below(w, 3);

    return (eid_permission){kind, kind == EID_PERM_READ ? 0 : (uint32_t)below(w, 4)};
}

/* ---- Random databases ---- */

static eid_id any_entry_id(world *w, size_t database)
{
    size_t count;
    eid_entry **entries = dt_entries(w->core, &w->root[database], &count);
    eid_id id = *eid_entry_id(entries[below(w, count)]);

    th_free_entries(entries, count);
    return id;
}

static void stage_delegation(world *w, eid_txn *txn, size_t to)
{
    char path[EID_ID_TEXT_SIZE + 32] = "auth.delegations.";
    eid_bounds bounds = {.max = any_permission(w), .has_min = below(w, 3) == 0, .min = any_permission(w)};
    eid_id floor[2];
    size_t count = below(w, 3);
    eid_value *value;
    eid_doc *record;

    for (size_t i = 0; i < count; i++)
        floor[i] = any_entry_id(w, below(w, 12) == 0 ? below(w, DATABASES) : to);
    eid_id_format(&w->root[to], path + strlen(path));
    if (below(w, 6) == 0) {
        tu_assert_ok(eid_value_new_deleted(&value));
    } else {
        tu_assert_ok(eid_auth_delegation_to_doc(&w->root[to], floor, count, &bounds, &record));
        tu_assert_ok(eid_value_new_doc(record, &value));
        eid_doc_free(record);
    }
    tu_assert_ok(eid_settings_set(txn, path, value));
    eid_value_free(value);
}

static void stage_something(world *w, eid_txn *txn)
{
    eid_pubkey key = dt_pubkey((uint8_t)(FIRST_KEY + below(w, KEYS)));

    switch (below(w, 4)) {
    case 0:
        dt_put_int(txn, "d", "k", (int64_t)below(w, 100));
        break;
    case 1:
        tu_assert_ok(eid_settings_set_auth_key(txn, &key, below(w, 2) == 0 ? "n" : NULL, any_permission(w),
                                               below(w, 4) == 0 ? EID_KEY_REVOKED : EID_KEY_ACTIVE));
        break;
    default:
        stage_delegation(w, txn, below(w, DATABASES));
        break;
    }
}

/* Transactions stay open for a while, so that branches appear. */
static void make_world(world *w, size_t steps)
{
    eid_txn *open[DATABASES][2] = {{NULL}};

    w->core = dt_memory();
    for (size_t i = 0; i < DATABASES; i++) {
        w->admin[i] = dt_create(w->core);
        w->root[i] = *eid_database_root_id(w->admin[i]);
    }
    for (size_t i = 0; i < steps; i++) {
        size_t d = below(w, DATABASES), slot = below(w, 2);
        if (open[d][slot] == NULL) {
            tu_assert_ok(eid_database_new_transaction(w->admin[d], &open[d][slot]));
            continue;
        }
        stage_something(w, open[d][slot]);
        tu_assert_ok(eid_txn_commit_free(open[d][slot], NULL));
        open[d][slot] = NULL;
    }
    for (size_t i = 0; i < DATABASES; i++) {
        eid_txn_free(open[i][0]);
        eid_txn_free(open[i][1]);
        w->entries[i] = dt_entries(w->core, &w->root[i], &w->count[i]);
    }
}

static void free_world(world *w)
{
    for (size_t i = 0; i < DATABASES; i++) {
        th_free_entries(w->entries[i], w->count[i]);
        eid_database_close(w->admin[i]);
    }
    eid_core_close(w->core);
}

/* ---- The reference ---- */

#define MAX_ENTRIES 512

typedef struct set {
    bool in[MAX_ENTRIES];
} set;

static size_t index_of(const world *w, size_t d, const eid_id *id)
{
    for (size_t i = 0; i < w->count[d]; i++)
        if (eid_id_equal(eid_entry_id(w->entries[d][i]), id))
            return i;
    return SIZE_MAX;
}

static const eid_subtree *settings_of(const eid_entry *entry)
{
    return eid_entry_subtree(entry, eid_slice_text(EID_SETTINGS));
}

static bool add_ids(const world *w, size_t d, const eid_id *ids, size_t count, set *out)
{
    bool more = false;

    for (size_t i = 0; i < count; i++) {
        size_t at = index_of(w, d, &ids[i]);
        if (at != SIZE_MAX && !out->in[at]) {
            out->in[at] = true;
            more = true;
        }
    }
    return more;
}

/* Everything below: in the main DAG, or in `_settings`. */
static void close_set(const world *w, size_t d, bool main, set *s)
{
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < w->count[d]; i++) {
            const eid_entry *entry = w->entries[d][i];
            const eid_subtree *subtree = settings_of(entry);
            if (!s->in[i])
                continue;
            if (main)
                more = add_ids(w, d, entry->parents, entry->parent_count, s) || more;
            else if (subtree != NULL)
                more = add_ids(w, d, subtree->parents, subtree->parent_count, s) || more;
        }
    }
}

static int compare_fold(const void *a, const void *b)
{
    const eid_entry *left = *(eid_entry *const *)a, *right = *(eid_entry *const *)b;
    const eid_subtree *x = settings_of(left), *y = settings_of(right);
    uint64_t l = x->has_height ? x->height : left->height, r = y->has_height ? y->height : right->height;

    return l != r ? (l < r ? -1 : 1) : eid_id_compare_text(&left->id, &right->id);
}

typedef struct folded {
    eid_doc *settings;
    eid_entry *order[MAX_ENTRIES];
    size_t count;
} folded;

static void fold(const world *w, size_t d, set *s, folded *out)
{
    memset(out, 0, sizeof *out);
    close_set(w, d, false, s);
    for (size_t i = 0; i < w->count[d]; i++)
        if (s->in[i] && settings_of(w->entries[d][i]) != NULL)
            out->order[out->count++] = w->entries[d][i];
    qsort(out->order, out->count, sizeof *out->order, compare_fold);
    tu_assert_ok(eid_doc_new(&out->settings));
    for (size_t i = 0; i < out->count; i++) {
        const eid_subtree *subtree = settings_of(out->order[i]);
        eid_doc *doc;
        tu_assert_ok(eid_doc_parse(eid_slice_of(subtree->data, subtree->data_len), &doc));
        tu_assert_ok(eid_doc_merge(out->settings, doc));
        eid_doc_free(doc);
    }
}

/* Whether every tip the delegation had since it was last removed is in the set. */
static bool above_floors(const world *w, const folded *from, size_t to, const set *claimed)
{
    char path[EID_ID_TEXT_SIZE + 32] = "auth.delegations.";
    eid_id floors[MAX_ENTRIES];
    size_t count = 0;

    eid_id_format(&w->root[to], path + strlen(path));
    for (size_t i = 0; i < from->count; i++) {
        const eid_subtree *subtree = settings_of(from->order[i]);
        eid_doc *doc;
        const eid_doc *tips;
        char at[sizeof path + 16];
        tu_assert_ok(eid_doc_parse(eid_slice_of(subtree->data, subtree->data_len), &doc));
        if (eid_doc_is_tombstone(doc, path))
            count = 0;
        snprintf(at, sizeof at, "%s.tree.tips", path);
        if (eid_doc_get_doc(doc, at, &tips) == EID_OK) {
            const eid_doc_cursor *cursor = NULL;
            const eid_value *value;
            const char *key, *text;
            size_t len;
            while (eid_doc_next(tips, &cursor, &key, &len, &value)) {
                tu_assert_ok(eid_value_as_text(value, &text, NULL));
                tu_assert_ok(eid_id_parse(text, &floors[count++]));
            }
        }
        eid_doc_free(doc);
    }
    for (size_t i = 0; i < count; i++) {
        size_t at = index_of(w, to, &floors[i]);
        if (at == SIZE_MAX || !claimed->in[at])
            return false;
    }
    return true;
}

static bool read_permission(const eid_doc *doc, const char *path, eid_permission *out)
{
    const eid_doc *found;

    return eid_doc_get_doc(doc, path, &found) == EID_OK && eid_permission_from_doc(found, out) == EID_OK;
}

typedef struct query {
    size_t start;
    set pins;
    size_t steps;
    size_t to[3];
    eid_id claims[3][3];
    size_t claim_count[3];
    uint8_t key;
} query;

static bool weaker(eid_permission a, eid_permission b)
{
    return eid_permission_compare(a, b) < 0;
}

/* False: no permission. */
static bool reference(const world *w, const query *q, eid_permission *out)
{
    eid_permission max = {EID_PERM_ADMIN, 0}, min = {EID_PERM_READ, 0}, bound;
    bool has_min = false, good = true;
    set at = q->pins;
    folded here;

    fold(w, q->start, &at, &here);
    for (size_t i = 0; i < q->steps && good; i++) {
        char path[EID_ID_TEXT_SIZE + 64] = "auth.delegations.", id[EID_ID_TEXT_SIZE], sub[sizeof path + 32];
        set claimed = {{false}}, next = {{false}};
        size_t to = q->to[i];
        eid_id_format(&w->root[to], id);
        strcat(path, id);
        good = eid_doc_contains(here.settings, path) && q->claim_count[i] > 0;
        for (size_t k = 0; k < q->claim_count[i] && good; k++)
            good = index_of(w, to, &q->claims[i][k]) != SIZE_MAX;
        if (!good)
            break;
        add_ids(w, to, q->claims[i], q->claim_count[i], &claimed);
        close_set(w, to, true, &claimed);
        good = above_floors(w, &here, to, &claimed);
        snprintf(sub, sizeof sub, "%s.permission_bounds.max", path);
        assert_true(read_permission(here.settings, sub, &bound));
        if (weaker(bound, max))
            max = bound;
        snprintf(sub, sizeof sub, "%s.permission_bounds.min", path);
        if (read_permission(here.settings, sub, &bound)) {
            if (!has_min || weaker(min, bound))
                min = bound;
            has_min = true;
        }
        for (size_t k = 0; k < w->count[to]; k++)
            next.in[k] = claimed.in[k] && settings_of(w->entries[to][k]) != NULL;
        eid_doc_free(here.settings);
        fold(w, to, &next, &here);
    }
    if (good) {
        char path[EID_PUBKEY_TEXT_SIZE + 64] = "auth.keys.", sub[sizeof path + 16];
        eid_pubkey key = dt_pubkey(q->key);
        const char *text;
        size_t len;
        eid_pubkey_format(&key, path + strlen(path));
        snprintf(sub, sizeof sub, "%s.status", path);
        good = eid_doc_get_text(here.settings, sub, &text, &len) == EID_OK && strcmp(text, "Active") == 0;
        snprintf(sub, sizeof sub, "%s.permissions", path);
        good = good && read_permission(here.settings, sub, out);
    }
    eid_doc_free(here.settings);
    if (good && weaker(max, *out))
        *out = max;
    else if (good && has_min && !weaker(max, min) && weaker(*out, min))
        *out = min;
    return good;
}

/* ---- Ours ---- */

static bool ours(world *w, const query *q, eid_permission *out)
{
    eid_delegation_step path[3];
    eid_sigkey sigkey = {.is_delegation = true, .hint = {.has_pubkey = true, .pubkey = dt_pubkey(q->key)}, .path = path,
                         .path_count = q->steps};
    int64_t pins[MAX_ENTRIES];
    size_t pin_count = 0;
    eid_auth_settings *settings;
    eid_delegation_end end;
    eid_tree *tree;
    bool good = false;

    for (size_t i = 0; i < q->steps; i++)
        path[i] = (eid_delegation_step){w->root[q->to[i]], (eid_id *)(uintptr_t)q->claims[i], q->claim_count[i]};
    eid_storage_lock(w->core->storage);
    tu_assert_ok(eid_storage_tree(w->core->storage, &w->root[q->start], &tree));
    for (size_t i = 0; i < w->count[q->start]; i++)
        if (q->pins.in[i])
            tu_assert_ok(eid_storage_find(w->core->storage, eid_entry_id(w->entries[q->start][i]), &pins[pin_count++], NULL));
    tu_assert_ok(eid_settings_resolve(eid_core_storage(w->core), tree, pins, pin_count, &settings));
    eid_charter *charter;
    eid_standing_acts acts;
    tu_assert_ok(eid_charter_of(w->core->storage, tree, INT64_MAX, &charter));
    tu_assert_ok(eid_charter_standing(w->core->storage, tree, charter, pins, pin_count, &acts));
    eid_delegation_place start = {settings, charter, acts.indices};
    tu_assert_ok(eid_delegation_resolve(eid_core_storage(w->core), &start, &sigkey, EID_PATH_COUNTS, &end));
    assert_true(end.settings != NULL || end.refusal != EID_OK);
    if (end.settings != NULL)
        good = eid_auth_delegated_permission(end.settings, &end.bounds, &sigkey.hint.pubkey, &sigkey.hint, out) == EID_OK;
    eid_auth_settings_unref(end.settings);
    eid_auth_settings_unref(settings);
    eid_standing_acts_free(&acts);
    eid_storage_unlock(w->core->storage);
    return good;
}

static void make_query(world *w, query *q)
{
    memset(q, 0, sizeof *q);
    q->start = below(w, DATABASES);
    q->key = (uint8_t)(FIRST_KEY + below(w, KEYS));
    for (size_t tries = 1 + below(w, 2); tries > 0;) {
        /* Late settings more often than early ones: there is more in them. */
        size_t at = w->count[q->start] - 1 - below(w, 1 + below(w, w->count[q->start]));
        if (settings_of(w->entries[q->start][at]) == NULL)
            continue;
        q->pins.in[at] = true;
        tries--;
    }
    q->steps = 1 + below(w, 3);
    for (size_t i = 0; i < q->steps; i++) {
        q->to[i] = below(w, DATABASES);
        q->claim_count[i] = 1 + below(w, 2);
        for (size_t k = 0; k < q->claim_count[i]; k++) {
            size_t d = below(w, 40) == 0 ? below(w, DATABASES) : q->to[i];
            q->claims[i][k] = *eid_entry_id(w->entries[d][w->count[d] - 1 - below(w, 1 + below(w, w->count[d]))]);
        }
    }
}

static void random_paths(void **state)
{
    tu_random seeds = tu_random_seeded(11);
    size_t asked = 0, led = 0, longer = 0;

    (void)state;
    for (int run = 0; run < 12; run++) {
        world w = {.random = {tu_random_next(&seeds)}};
        make_world(&w, 300);
        for (int i = 0; i < 400; i++) {
            eid_permission wanted = {EID_PERM_READ, 0}, got = {EID_PERM_READ, 0};
            query q;
            make_query(&w, &q);
            bool may = reference(&w, &q, &wanted);
            if (ours(&w, &q, &got) != may || (may && eid_permission_compare(got, wanted) != 0))
                fail_msg("run %d, query %d: %s", run, i, eid_last_error());
            asked++;
            led += may;
            longer += may && q.steps > 1;
        }
        free_world(&w);
    }
    print_message("%zu paths, %zu led to a permission, %zu of them over several databases\n", asked, led, longer);
    assert_true(led > 100 && longer > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_paths)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
