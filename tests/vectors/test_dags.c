/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded histories (dags.json): every order, tip set and state of each must come out of the cells and of the folds,
 * whatever the order in which the entries arrive.
 *
 * Deliberate differences:
 * - Ties of equal heights fold in the order of the ID texts (crdt.md section 7.5). The recording folds in binary order; the
 *   states that come out differently are listed in the file itself (sqlite_state_differs) and taken from there.
 * - Stores whose first entries are concurrent: the Rust side fails with NoCommonAncestor; here they fold (crdt.md section
 *   7.3). Those states are checked against a fold of the recorded payloads written out in this test.
 */
#include <stdlib.h>

#include "support/jsondom.h"

#include "base/alloc.h"
#include "codec/cid.h"
#include "database/database_int.h"
#include "state/state_int.h"

static const size_t EXPECTED_HISTORIES = 53;
/* Recorded states without an answer, because the Rust side could not fold them. */
static const size_t EXPECTED_FOLDED_HERE = 4;

typedef struct history {
    const jd_node *dag;
    eid_core *core;
    eid_database *database;
    eid_entry **entries;
    size_t count;
    eid_id root;
} history;

typedef struct counters {
    size_t states;
    size_t folded_here;
    size_t text_order;
} counters;

static void load_entries(history *h)
{
    const jd_node *list = jd_need(h->dag, "entries");
    h->count = jd_len(list);
    h->entries = calloc(h->count, sizeof(eid_entry *));
    for (size_t i = 0; i < h->count; i++) {
        size_t len;
        uint8_t *bytes = jd_hex(jd_need(jd_at(list, i), "dagcbor_hex"), &len);
        tu_assert_ok(eid_entry_from_cbor(bytes, len, &h->entries[i]));
        free(bytes);
        char text[EID_ID_TEXT_SIZE];
        eid_id_format(eid_entry_id(h->entries[i]), text);
        assert_string_equal(text, jd_get_str(jd_at(list, i), "id"));
    }
    tu_assert_ok(eid_id_parse(jd_get_str(h->dag, "root"), &h->root));
}

static void open_core(history *h)
{
    eid_core_options options = {.path = ":memory:", .clock = eid_clock_system};
    tu_assert_ok(eid_core_open(&options, &h->core));
}

static void close_core(history *h)
{
    eid_database_close(h->database);
    eid_core_close(h->core);
    h->database = NULL;
    h->core = NULL;
}

static void receive(history *h, eid_entry *const *entries, size_t count)
{
    eid_receipt receipt;
    tu_assert_ok(eid_core_receive(h->core, &h->root, entries, count, &receipt, NULL));
    if (receipt.refused > 0)
        fail_msg("%s: refused %zu: %s", jd_get_str(h->dag, "name"), (size_t)receipt.refused, receipt.text);
}

/* The recorded state of one store at one set of tips, in the text order; NULL when the Rust side had no answer. */
static const char *expected_state(const history *h, const jd_node *tips, const char *store, const jd_node *state, counters *c)
{
    const jd_node *differs = jd_get(h->dag, "sqlite_state_differs");
    for (size_t i = 0; tips != NULL && i < jd_len(differs); i++) {
        const jd_node *item = jd_at(differs, i);
        eid_slice a = jd_source(jd_need(item, "tips")), b = jd_source(tips);
        if (strcmp(jd_get_str(item, "store"), store) == 0 && eid_slice_equal(a, b)) {
            c->text_order++;
            return jd_get_str(item, "sqlite");
        }
    }
    const jd_node *text = jd_get(state, "canonical_text");
    return text == NULL ? NULL : jd_str(text);
}

static int compare_entries(const void *a, const void *b)
{
    const eid_entry *left = *(eid_entry *const *)a, *right = *(eid_entry *const *)b;
    (void)left;
    return eid_id_compare_text(eid_entry_id(left), eid_entry_id(right));
}

static bool is_ancestor_or_self(const history *h, const eid_entry *entry, const eid_id *id, bool *seen)
{
    for (size_t i = 0; i < h->count; i++)
        if (eid_id_equal(eid_entry_id(h->entries[i]), id)) {
            if (h->entries[i] == entry)
                return true;
            if (seen[i])
                return false;
            seen[i] = true;
            for (size_t p = 0; p < eid_entry_parent_count(h->entries[i]); p++)
                if (is_ancestor_or_self(h, entry, eid_entry_parent(h->entries[i], p), seen))
                    return true;
        }
    return false;
}

static uint64_t height_in(const eid_entry *entry, const char *store)
{
    for (size_t s = 0; s < eid_entry_store_count(entry); s++)
        if (strcmp(eid_entry_store_name(entry, s), store) == 0)
            return eid_entry_store_height(entry, s);
    return UINT64_MAX;
}

static size_t index_of(const history *h, const eid_id *id)
{
    for (size_t i = 0; i < h->count; i++)
        if (eid_id_equal(eid_entry_id(h->entries[i]), id))
            return i;
    return h->count;
}

/* Adds the store parents of members until nothing changes: writers may name parents that are no main ancestors. */
static void close_over_store_parents(const history *h, const char *store, bool *member)
{
    bool changed = true;
    while (changed) {
        changed = false;
        for (size_t i = 0; i < h->count; i++)
            for (size_t s = 0; member[i] && s < eid_entry_store_count(h->entries[i]); s++)
                for (size_t p = 0; strcmp(eid_entry_store_name(h->entries[i], s), store) == 0 &&
                                   p < eid_entry_store_parent_count(h->entries[i], s);
                     p++) {
                    size_t parent = index_of(h, eid_entry_store_parent(h->entries[i], s, p));
                    if (parent < h->count && !member[parent]) {
                        member[parent] = true;
                        changed = true;
                    }
                }
    }
}

/* The slow, obvious fold: all recorded entries of the store below the tips, by height and then ID text, merged from the
 * left. */
static char *fold_slowly(const history *h, const jd_node *tips, const char *store)
{
    eid_entry **members = calloc(h->count, sizeof(eid_entry *));
    bool *member = calloc(h->count, sizeof(bool));
    size_t count = 0;
    for (size_t i = 0; i < h->count; i++)
        for (size_t t = 0; t < jd_len(tips) && !member[i] && height_in(h->entries[i], store) != UINT64_MAX; t++) {
            bool *seen = calloc(h->count, sizeof(bool));
            eid_id tip;
            tu_assert_ok(eid_id_parse(jd_str(jd_at(tips, t)), &tip));
            member[i] = is_ancestor_or_self(h, h->entries[i], &tip, seen);
            free(seen);
        }
    close_over_store_parents(h, store, member);
    for (size_t i = 0; i < h->count; i++)
        if (member[i])
            members[count++] = h->entries[i];
    free(member);
    qsort(members, count, sizeof(eid_entry *), compare_entries);
    for (size_t i = 1; i < count; i++) /* stable insertion by height */
        for (size_t k = i; k > 0 && height_in(members[k - 1], store) > height_in(members[k], store); k--) {
            eid_entry *swap = members[k];
            members[k] = members[k - 1];
            members[k - 1] = swap;
        }
    eid_doc *state;
    tu_assert_ok(eid_doc_new(&state));
    for (size_t i = 0; i < count; i++)
        for (size_t s = 0; s < eid_entry_store_count(members[i]); s++) {
            const void *data;
            size_t len;
            eid_doc *doc;
            if (strcmp(eid_entry_store_name(members[i], s), store) != 0 || !eid_entry_store_data(members[i], s, &data, &len))
                continue;
            tu_assert_ok(eid_doc_from_json(data, len, &doc));
            tu_assert_ok(eid_doc_merge(state, doc));
            eid_doc_free(doc);
        }
    char *text;
    tu_assert_ok(eid_doc_to_json(state, &text, NULL));
    eid_doc_free(state);
    free(members);
    return text;
}

static void check_doc(const history *h, const jd_node *tips, const char *store, const jd_node *state, eid_doc *doc, counters *c)
{
    char *text, *slow = fold_slowly(h, tips, store);
    tu_assert_ok(eid_doc_to_json(doc, &text, NULL));
    const char *wanted = expected_state(h, tips, store, state, c);
    c->states++;
    if (wanted == NULL) {
        c->folded_here++;
    } else {
        /* The recorded text sorts the members of positions too; both sides are compared in our own form. */
        eid_doc *recorded;
        char *own_form;
        tu_assert_ok(eid_doc_from_json(wanted, strlen(wanted), &recorded));
        tu_assert_ok(eid_doc_to_json(recorded, &own_form, NULL));
        if (strcmp(text, own_form) != 0)
            fail_msg("%s (seed %llu), store %s\n  have %s\n  want %s", jd_get_str(h->dag, "name"),
                     (unsigned long long)jd_get_u64(h->dag, "seed"), store, text, own_form);
        eid_free(own_form);
        eid_doc_free(recorded);
    }
    assert_string_equal(text, slow);
    eid_free(text);
    eid_free(slow);
}

static eid_id *parse_ids(const jd_node *list, size_t *count)
{
    *count = jd_len(list);
    eid_id *ids = calloc(*count + 1, sizeof *ids);
    for (size_t i = 0; i < *count; i++)
        tu_assert_ok(eid_id_parse(jd_str(jd_at(list, i)), &ids[i]));
    return ids;
}

static void check_node_set(const history *h, const char *what, const eid_node *nodes, size_t count, const jd_node *wanted)
{
    size_t wanted_count;
    eid_id *ids = parse_ids(wanted, &wanted_count);
    if (count != wanted_count)
        fail_msg("%s (seed %llu): %s: %zu, recorded %zu", jd_get_str(h->dag, "name"),
                 (unsigned long long)jd_get_u64(h->dag, "seed"), what, count, wanted_count);
    for (size_t i = 0; i < wanted_count; i++) {
        bool found = false;
        for (size_t k = 0; k < count; k++)
            found = found || eid_id_equal(&nodes[k].id, &ids[i]);
        assert_true(found);
    }
    free(ids);
}

static void check_final(history *h, counters *c)
{
    size_t count, wanted_count;
    eid_id *tips, *wanted = parse_ids(jd_need(h->dag, "tips"), &wanted_count);
    tu_assert_ok(eid_database_tips(h->database, &tips, &count));
    assert_int_equal(count, wanted_count);
    wanted_count = eid_ids_sort(wanted, wanted_count);
    for (size_t i = 0; i < count; i++)
        assert_true(eid_id_equal(&tips[i], &wanted[i]));
    eid_free(tips);
    free(wanted);

    const jd_node *final = jd_need(h->dag, "final_state");
    for (size_t i = 0; i < jd_len(final); i++) {
        eid_doc *doc;
        tu_assert_ok(eid_database_store_state(h->database, jd_key_at(final, i), &doc));
        check_doc(h, jd_need(h->dag, "tips"), jd_key_at(final, i), jd_at(final, i), doc, c);
        eid_doc_free(doc);
    }
    eid_tree *tree;
    eid_storage_lock(h->core->storage);
    tu_assert_ok(eid_database_tree(h->database, &tree));
    const jd_node *store_tips = jd_need(h->dag, "store_tips");
    for (size_t i = 0; i < jd_len(store_tips); i++) {
        eid_tree_store *store;
        tu_assert_ok(eid_storage_store(h->core->storage, tree, eid_slice_text(jd_key_at(store_tips, i)), &store));
        check_node_set(h, "store tips", store == NULL ? NULL : store->tips, store == NULL ? 0 : store->tip_count, jd_at(store_tips, i));
    }
    eid_storage_unlock(h->core->storage);
}

static void check_view_tips(history *h, const jd_node *view, const eid_id *tips, size_t count)
{
    eid_tree *tree;
    int64_t *members;
    size_t member_count;
    eid_storage_lock(h->core->storage);
    tu_assert_ok(eid_database_tree(h->database, &tree));
    tu_assert_ok(eid_tree_members_at(h->core, tree, tips, count, &members, &member_count));
    assert_int_equal(member_count, jd_len(jd_need(view, "tree_order")));
    eid_view v = {INT64_MAX, members, member_count};
    const jd_node *store_tips = jd_need(view, "store_tips");
    for (size_t i = 0; i < jd_len(store_tips); i++) {
        eid_tree_store *store;
        tu_assert_ok(eid_storage_store(h->core->storage, tree, eid_slice_text(jd_key_at(store_tips, i)), &store));
        eid_node *nodes = NULL, *closure = NULL;
        size_t node_count = 0, closure_count = 0;
        if (store != NULL)
            tu_assert_ok(eid_state_tips(h->core->storage, store, &v, &nodes, &node_count));
        check_node_set(h, "tips in view", nodes, node_count, jd_at(store_tips, i));
        int64_t *numbers = calloc(node_count + 1, sizeof *numbers);
        for (size_t k = 0; k < node_count; k++)
            numbers[k] = nodes[k].n;
        if (store != NULL)
            tu_assert_ok(eid_state_closure_up_to(h->core->storage, store, INT64_MAX, numbers, node_count, &closure,
                                                 &closure_count));
        check_node_set(h, "closure", closure, closure_count, jd_need(jd_need(view, "store_order"), jd_key_at(store_tips, i)));
        for (size_t k = 1; k < closure_count; k++)
            assert_true(closure[k - 1].height <= closure[k].height);
        free(numbers);
        eid_free(closure);
        eid_free(nodes);
    }
    eid_storage_unlock(h->core->storage);
    eid_free(members);
}

static void check_views(history *h, counters *c)
{
    const jd_node *views = jd_need(h->dag, "views");
    for (size_t i = 0; i < jd_len(views); i++) {
        const jd_node *view = jd_at(views, i), *states = jd_need(view, "state");
        size_t count;
        eid_id *tips = parse_ids(jd_need(view, "tips"), &count);
        check_view_tips(h, view, tips, count);
        for (size_t s = 0; s < jd_len(states); s++) {
            eid_doc *doc;
            tu_assert_ok(eid_database_store_state_at(h->database, jd_key_at(states, s), tips, count, &doc));
            check_doc(h, jd_need(view, "tips"), jd_key_at(states, s), jd_at(states, s), doc, c);
            eid_doc_free(doc);
        }
        free(tips);
    }
}

typedef struct listing {
    const history *h;
    size_t seen;
    uint64_t last_height;
    eid_id last;
} listing;

static bool check_listed(eid_entry *entry, void *ctx)
{
    listing *l = ctx;
    const jd_node *order = jd_need(l->h->dag, "tree_order");
    eid_id recorded;
    tu_assert_ok(eid_id_parse(jd_str(jd_at(order, l->seen)), &recorded));
    uint64_t height = eid_entry_height(entry);
    char text[EID_ID_TEXT_SIZE];
    eid_id_format(&recorded, text);
    assert_int_equal(height, jd_get_u64(jd_need(l->h->dag, "heights"), text));
    if (l->seen > 0) {
        assert_true(l->last_height <= height);
        if (l->last_height == height)
            assert_true(eid_id_compare_text(&l->last, eid_entry_id(entry)) < 0);
    }
    l->last_height = height;
    l->last = *eid_entry_id(entry);
    l->seen++;
    return true;
}

static void each_history(void (*run)(history *h, counters *c), counters *c)
{
    jd_node *file = jd_load("dags.json");
    const jd_node *dags = jd_need(file, "dags");
    assert_int_equal(jd_len(dags), EXPECTED_HISTORIES);
    for (size_t i = 0; i < jd_len(dags); i++) {
        history h = {.dag = jd_at(dags, i)};
        load_entries(&h);
        run(&h, c);
        for (size_t k = 0; k < h.count; k++)
            eid_entry_unref(h.entries[k]);
        free(h.entries);
    }
    jd_free(file);
}

static void run_whole(history *h, counters *c)
{
    open_core(h);
    receive(h, h->entries, h->count);
    tu_assert_ok(eid_database_open_as(h->core, &h->root, NULL, NULL, &h->database));
    check_final(h, c);
    check_views(h, c);
    listing l = {.h = h};
    tu_assert_ok(eid_database_each_entry(h->database, check_listed, &l));
    assert_int_equal(l.seen, h->count);
    close_core(h);
}

static void test_all_states(void **state)
{
    (void)state;
    counters c = {0};
    each_history(run_whole, &c);
    print_message("%zu recorded states, %zu of them folded here only, %zu in text order\n", c.states, c.folded_here, c.text_order);
    assert_true(c.states > 1600);
    assert_int_equal(c.folded_here, EXPECTED_FOLDED_HERE);
    assert_true(c.text_order >= 1);
}

/* One by one and in any order: what comes too early waits, and the end is the same. */
static void run_shuffled(history *h, counters *c)
{
    uint8_t first[32], hash[32];
    for (uint64_t seed = 0; seed < 6; seed++) {
        tu_random random = tu_random_seeded(seed);
        eid_entry **shuffled = calloc(h->count, sizeof(eid_entry *));
        memcpy(shuffled, h->entries, h->count * sizeof(eid_entry *));
        for (size_t i = h->count; seed > 0 && i > 2; i--) { /* the root stays in front */
            size_t k = 1 + (size_t)tu_random_below(&random, i - 1);
            eid_entry *swap = shuffled[i - 1];
            shuffled[i - 1] = shuffled[k];
            shuffled[k] = swap;
        }
        open_core(h);
        size_t step = seed == 1 ? h->count : 1 + (size_t)tu_random_below(&random, 4);
        for (size_t i = 0; i < h->count; i += step)
            receive(h, shuffled + i, h->count - i < step ? h->count - i : step);
        tu_assert_ok(eid_database_open_as(h->core, &h->root, NULL, NULL, &h->database));
        check_final(h, c);
        tu_assert_ok(eid_database_state_hash(h->database, hash));
        if (seed == 0)
            memcpy(first, hash, sizeof first);
        assert_memory_equal(first, hash, sizeof first);
        close_core(h);
        free(shuffled);
    }
}

static void test_any_order(void **state)
{
    (void)state;
    counters c = {0};
    each_history(run_shuffled, &c);
    assert_true(c.states > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_states),
        cmocka_unit_test(test_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
