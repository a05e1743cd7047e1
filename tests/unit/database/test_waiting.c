/* SPDX-License-Identifier: Apache-2.0 */
/* Entries that come before what they need, in every order: they wait, are released, or are refused with what they build on;
 * and the receipts say so. */
#include "database_test.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "codec/cid.h"

/* A database of several writers with grants and a revocation, in its own core; the entries in order of parents. */
typedef struct source {
    eid_core *core;
    eid_id root;
    eid_entry **entries;
    size_t count;
    uint8_t hash[32];
} source;

static void state_hash(eid_core *core, const eid_id *root, uint8_t out[32])
{
    eid_database *database = dt_open_as(core, root, 0);
    tu_assert_ok(eid_database_state_hash(database, out));
    eid_database_close(database);
}

/* Writers build on what was there a while ago, so that branches appear. */
static void make_source(source *s, uint64_t seed, size_t commits)
{
    tu_random random = {seed};
    s->core = dt_memory();
    eid_database *admin = dt_create(s->core);
    s->root = *eid_database_root_id(admin);
    dt_grant(admin, 2, EID_PERM_WRITE, EID_KEY_ACTIVE);
    dt_grant(admin, 3, EID_PERM_ADMIN, EID_KEY_ACTIVE);
    eid_txn *open[3] = {NULL};
    eid_database *writers[3] = {admin, dt_open_as(s->core, &s->root, 2), dt_open_as(s->core, &s->root, 3)};
    for (size_t i = 0; i < commits; i++) {
        size_t w = (size_t)tu_random_below(&random, 3);
        if (open[w] == NULL) {
            tu_assert_ok(eid_database_new_transaction(writers[w], &open[w]));
            continue;
        }
        char key[2] = {(char)('a' + tu_random_below(&random, 4)), '\0'};
        dt_put_int(open[w], tu_random_below(&random, 2) == 0 ? "x" : "y", key, (int64_t)i);
        if (w == 2 && tu_random_below(&random, 4) == 0) {
            eid_txn_store *settings;
            eid_value *value;
            tu_assert_ok(eid_txn_open_store(open[w], EID_SETTINGS, NULL, &settings));
            tu_assert_ok(eid_value_new_int((int64_t)i, &value));
            tu_assert_ok(eid_txn_store_put(settings, eid_slice_text("number"), value));
        }
        tu_assert_ok(eid_txn_commit_free(open[w], NULL));
        open[w] = NULL;
    }
    for (int i = 0; i < 3; i++)
        eid_txn_free(open[i]);
    dt_grant(admin, 2, EID_PERM_WRITE, EID_KEY_REVOKED);
    for (int i = 0; i < 3; i++)
        eid_database_close(writers[i]);
    s->entries = dt_entries(s->core, &s->root, &s->count);
    state_hash(s->core, &s->root, s->hash);
}

static void free_source(source *s)
{
    th_free_entries(s->entries, s->count);
    eid_core_close(s->core);
}

static void shuffle(tu_random *random, eid_entry **entries, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t k = (size_t)tu_random_below(random, i);
        eid_entry *swap = entries[i - 1];
        entries[i - 1] = entries[k];
        entries[k] = swap;
    }
}

/* Each entry is in exactly one of the four counts, and those released later are counted when they are. */
static void test_any_order_and_any_cut(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(21);
    source s;
    make_source(&s, 5, 60);
    for (int run = 0; run < 12; run++) {
        eid_core *core = dt_memory();
        eid_entry **shuffled = calloc(s.count, sizeof(eid_entry *));
        memcpy(shuffled, s.entries, s.count * sizeof(eid_entry *));
        shuffle(&random, shuffled + 1, s.count - 1); /* the root has to be there first */
        uint64_t admitted = 0;
        size_t most = 1 + (size_t)tu_random_below(&random, 20);
        for (size_t i = 0; i < s.count;) {
            size_t step = 1 + (size_t)tu_random_below(&random, most);
            step = s.count - i < step ? s.count - i : step;
            eid_receipt receipt;
            eid_verdict verdicts[32];
            tu_assert_ok(eid_core_receive(core, &s.root, shuffled + i, step, &receipt, verdicts));
            assert_int_equal(receipt.refused, 0);
            assert_int_equal(receipt.held, 0);
            admitted += receipt.admitted;
            uint64_t waiting = 0, count;
            for (size_t k = 0; k < step; k++) {
                assert_true(verdicts[k] == EID_VERDICT_ADMITTED || verdicts[k] == EID_VERDICT_WAITING);
                waiting += verdicts[k] == EID_VERDICT_WAITING;
            }
            assert_int_equal(receipt.waiting, waiting);
            tu_assert_ok(eid_core_entry_count(core, &s.root, &count));
            assert_int_equal(count, admitted);
            i += step;
            assert_int_equal(ti_number(core, "SELECT COUNT(*) FROM quarantine"), i - admitted);
        }
        assert_int_equal(admitted, s.count);
        ti_check_core(core);
        uint8_t hash[32];
        state_hash(core, &s.root, hash);
        assert_memory_equal(hash, s.hash, sizeof hash);
        free(shuffled);
        eid_core_close(core);
    }
    free_source(&s);
}

/* The same batch twice, and everything twice within one batch. */
static void test_repeated_entries(void **state)
{
    (void)state;
    source s;
    make_source(&s, 6, 20);
    eid_core *core = dt_memory();
    eid_entry **twice = calloc(2 * s.count, sizeof(eid_entry *));
    memcpy(twice, s.entries, s.count * sizeof(eid_entry *));
    memcpy(twice + s.count, s.entries, s.count * sizeof(eid_entry *));
    eid_receipt receipt = dt_receive(core, &s.root, twice, 2 * s.count);
    assert_int_equal(receipt.admitted, s.count);
    assert_int_equal(receipt.held, s.count);
    receipt = dt_receive(core, &s.root, twice, 2 * s.count);
    assert_int_equal(receipt.held, 2 * s.count);
    assert_int_equal(receipt.admitted + receipt.waiting + receipt.refused, 0);
    ti_check_core(core);
    free(twice);
    eid_core_close(core);
    free_source(&s);
}

/* ---- Single cases ---- */

typedef struct fixture {
    eid_core *core;
    eid_database *database;
    eid_id root;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->core = dt_memory();
    f->database = dt_create(f->core);
    f->root = *eid_database_root_id(f->database);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ti_check_core(f->core);
    eid_database_close(f->database);
    eid_core_close(f->core);
    free(f);
    return 0;
}

static eid_entry *child_of(const fixture *f, const eid_entry *parent, uint8_t key, const eid_id *pin)
{
    dt_draft draft = {.root = &f->root,
                      .parents = parent == NULL ? &f->root : &parent->id,
                      .parent_count = 1,
                      .pins = pin == NULL ? &f->root : pin,
                      .pin_count = 1,
                      .height = parent == NULL ? 1 : parent->height + 1,
                      .store = "s",
                      .payload = "{\"children\":{\"k\":{\"Int\":1}}}",
                      .key = key};
    return dt_make(&draft);
}

static void expect(fixture *f, eid_entry *entry, eid_verdict wanted)
{
    eid_receipt receipt;
    eid_verdict verdict;
    tu_assert_ok(eid_core_receive(f->core, &f->root, &entry, 1, &receipt, &verdict));
    if (verdict != wanted)
        fail_msg("verdict %d, wanted %d: %s", (int)verdict, (int)wanted, receipt.text);
}

static int64_t waiting(fixture *f)
{
    return ti_number(f->core, "SELECT COUNT(*) FROM quarantine");
}

static void test_parents_come_later(void **state)
{
    fixture *f = *state;
    eid_entry *e[4];
    for (int i = 0; i < 4; i++)
        e[i] = child_of(f, i == 0 ? NULL : e[i - 1], 1, NULL);
    for (int i = 3; i > 0; i--) {
        expect(f, e[i], EID_VERDICT_WAITING);
        expect(f, e[i], EID_VERDICT_WAITING); /* still */
    }
    assert_int_equal(waiting(f), 3);
    assert_int_equal(dt_int(f->database, "s", "k"), INT64_MIN); /* nothing of it is shown */
    eid_entry *found;
    tu_assert_fails(eid_database_get_entry(f->database, &e[3]->id, &found), EID_ERR_ENTRY_NOT_FOUND);
    eid_receipt receipt = dt_receive(f->core, &f->root, &e[0], 1);
    assert_int_equal(receipt.admitted, 4);
    assert_int_equal(waiting(f), 0);
    assert_int_equal(dt_int(f->database, "s", "k"), 1);
    for (int i = 0; i < 4; i++) {
        expect(f, e[i], EID_VERDICT_HELD);
        eid_entry_unref(e[i]);
    }
}

/* What waited from before is not mixed up with what waits from this batch. */
static void test_receipts_count_this_batch_only(void **state)
{
    fixture *f = *state;
    eid_entry *first = child_of(f, NULL, 1, NULL), *child = child_of(f, first, 1, NULL);
    eid_entry *grandchild = child_of(f, child, 1, NULL);
    eid_id unknown = {0};
    dt_draft draft = {.root = &f->root, .parents = &unknown, .parent_count = 1, .pins = &f->root, .pin_count = 1, .height = 9, .key = 1};
    unknown = grandchild->id;
    unknown.bytes[20] ^= 1;
    eid_entry *orphan = dt_make(&draft);
    expect(f, child, EID_VERDICT_WAITING);
    expect(f, grandchild, EID_VERDICT_WAITING);
    eid_entry *batch[] = {orphan, first};
    eid_verdict verdicts[2];
    eid_receipt receipt;
    tu_assert_ok(eid_core_receive(f->core, &f->root, batch, 2, &receipt, verdicts));
    assert_int_equal(receipt.admitted, 3); /* with the two that waited */
    assert_int_equal(receipt.waiting, 1);
    assert_int_equal(verdicts[0], EID_VERDICT_WAITING);
    assert_int_equal(verdicts[1], EID_VERDICT_ADMITTED);
    assert_int_equal(waiting(f), 1);
    eid_entry_unref(first);
    eid_entry_unref(child);
    eid_entry_unref(grandchild);
    eid_entry_unref(orphan);
}

/* One of two parents comes; then the other. */
static void test_several_missing(void **state)
{
    fixture *f = *state;
    eid_entry *left = child_of(f, NULL, 1, NULL);
    dt_draft draft = {.root = &f->root, .parents = &f->root, .parent_count = 1, .pins = &f->root, .pin_count = 1, .height = 1, .key = 1};
    eid_entry *right = dt_make(&draft);
    eid_id parents[2] = {left->id, right->id};
    draft.parents = parents;
    draft.parent_count = 2;
    draft.height = 2;
    eid_entry *merge = dt_make(&draft);
    expect(f, merge, EID_VERDICT_WAITING);
    expect(f, left, EID_VERDICT_ADMITTED);
    assert_int_equal(waiting(f), 1);
    expect(f, merge, EID_VERDICT_WAITING);
    expect(f, right, EID_VERDICT_ADMITTED);
    assert_int_equal(waiting(f), 0);
    expect(f, merge, EID_VERDICT_HELD);
    eid_entry_unref(left);
    eid_entry_unref(right);
    eid_entry_unref(merge);
}

/* The settings an entry is to be judged by are not here yet: nothing is said for or against it. */
static void test_pins_come_later(void **state)
{
    fixture *f = *state;
    eid_core *other = dt_memory();
    size_t count;
    eid_entry **entries = dt_entries(f->core, &f->root, &count);
    dt_receive(other, &f->root, entries, count);
    th_free_entries(entries, count);
    eid_id grant = dt_grant(f->database, 2, EID_PERM_WRITE, EID_KEY_ACTIVE);
    eid_entry *settings = dt_entry(f->database, &grant);
    eid_entry *good = child_of(f, NULL, 2, &grant), *bad = child_of(f, NULL, 5, &grant), *child = child_of(f, bad, 1, NULL);
    fixture there = {other, dt_open_as(other, &f->root, 0), f->root};
    expect(&there, good, EID_VERDICT_WAITING);
    expect(&there, bad, EID_VERDICT_WAITING);
    expect(&there, child, EID_VERDICT_WAITING);
    eid_receipt receipt = dt_receive(other, &f->root, &settings, 1);
    assert_int_equal(receipt.admitted, 2);
    assert_int_equal(receipt.refused, 2); /* judged now, and its child with it */
    assert_int_equal(receipt.first_refusal, EID_ERR_PERMISSION_DENIED);
    assert_int_equal(waiting(&there), 0);
    expect(&there, good, EID_VERDICT_HELD);
    expect(&there, bad, EID_VERDICT_REFUSED);
    expect(&there, child, EID_VERDICT_REFUSED);
    ti_check_core(other);
    eid_database_close(there.database);
    eid_core_close(other);
    eid_entry_unref(good);
    eid_entry_unref(bad);
    eid_entry_unref(child);
    eid_entry_unref(settings);
}

/* Nothing is built on what was refused, whichever comes first; a sibling is not touched by it. */
static void test_children_of_refused(void **state)
{
    fixture *f = *state;
    for (int first = 0; first < 2; first++) {
        eid_entry *bad = child_of(f, NULL, (uint8_t)(5 + first), NULL), *child = child_of(f, bad, 1, NULL);
        eid_entry *grandchild = child_of(f, child, 1, NULL);
        if (first == 0) {
            expect(f, bad, EID_VERDICT_REFUSED);
            expect(f, child, EID_VERDICT_REFUSED);
            expect(f, grandchild, EID_VERDICT_REFUSED);
        } else {
            expect(f, grandchild, EID_VERDICT_WAITING);
            expect(f, child, EID_VERDICT_WAITING);
            eid_entry *batch[] = {bad, child};
            eid_verdict verdicts[2];
            eid_receipt receipt;
            tu_assert_ok(eid_core_receive(f->core, &f->root, batch, 2, &receipt, verdicts));
            assert_int_equal(receipt.admitted, 0);
            assert_int_equal(receipt.waiting, 0);
            assert_int_equal(verdicts[0], EID_VERDICT_REFUSED);
            assert_int_equal(verdicts[1], EID_VERDICT_REFUSED);
        }
        assert_int_equal(waiting(f), 0);
        expect(f, grandchild, EID_VERDICT_REFUSED);
        eid_entry_unref(bad);
        eid_entry_unref(child);
        eid_entry_unref(grandchild);
    }
}

/* A parent in the settings' own DAG has to be there too: whoever pins the child would be judged by half of it. */
static void test_settings_wait_for_settings(void **state)
{
    fixture *f = *state;
    eid_entry *root = dt_entry(f->database, &f->root);
    eid_id revoked = dt_grant(f->database, 2, EID_PERM_WRITE, EID_KEY_REVOKED);
    dt_draft draft = {.root = &f->root,
                      .parents = &f->root, /* not built on the revocation in the main DAG */
                      .parent_count = 1,
                      .pins = &f->root,
                      .pin_count = 1,
                      .height = 1,
                      .store = EID_SETTINGS,
                      .payload = "{\"children\":{\"name\":{\"Text\":\"x\"}}}",
                      .store_parents = &revoked,
                      .store_parent_count = 1,
                      .key = 1};
    eid_entry *settings = dt_make(&draft), *revocation = dt_entry(f->database, &revoked);
    eid_core *other = dt_memory();
    dt_receive(other, &f->root, &root, 1);
    fixture there = {other, dt_open_as(other, &f->root, 0), f->root};
    expect(&there, settings, EID_VERDICT_WAITING);
    expect(&there, revocation, EID_VERDICT_ADMITTED);
    expect(&there, settings, EID_VERDICT_HELD);
    ti_check_core(other);
    expect(f, settings, EID_VERDICT_ADMITTED);
    uint8_t here[32], elsewhere[32];
    state_hash(f->core, &f->root, here);
    state_hash(other, &f->root, elsewhere);
    assert_memory_equal(here, elsewhere, sizeof here);
    eid_database_close(there.database);
    eid_core_close(other);
    eid_entry_unref(settings);
    eid_entry_unref(revocation);
    eid_entry_unref(root);
}

/* ---- Many ---- */

/* An entry that names hundreds of parents still to come is not looked at for each of them: it waits for one at random, so what is
 * left halves each time. */
static void test_many_missing_parents(void **state)
{
    (void)state;
    enum { PARENTS = 300 };
    eid_core *core = dt_memory();
    eid_entry *root = dt_make_root(NULL, 0, 1), *parents[PARENTS];
    eid_id ids[PARENTS], last = {0};
    size_t changes = 0;
    dt_receive(core, &root->id, &root, 1);
    for (uint64_t i = 0; i < PARENTS; i++) {
        dt_draft draft = {.root = &root->id, .parents = &root->id, .parent_count = 1, .height = 1 + i};
        parents[i] = dt_make(&draft);
        ids[i] = parents[i]->id;
    }
    dt_draft draft = {.root = &root->id, .parents = ids, .parent_count = PARENTS, .height = 1000};
    eid_entry *child = dt_make(&draft);
    assert_int_equal(dt_receive(core, &root->id, &child, 1).waiting, 1);
    for (size_t i = 0; i < PARENTS; i++) {
        eid_sql_stmt *stmt;
        bool row;
        eid_id missing = {0};
        eid_receipt receipt = dt_receive(core, &root->id, &parents[i], 1);
        assert_int_equal(receipt.admitted, i == PARENTS - 1 ? 2 : 1);
        eid_storage *storage = eid_core_storage(core);
        eid_storage_lock(storage);
        tu_assert_ok(eid_sql_prepare(eid_storage_journal(storage), "SELECT missing FROM quarantine", &stmt));
        tu_assert_ok(eid_sql_step(stmt, &row));
        assert_int_equal(row, i < PARENTS - 1);
        if (row)
            tu_assert_ok(eid_id_from_binary(eid_sql_bytes(stmt, 0), &missing));
        eid_sql_reset(stmt);
        eid_storage_unlock(storage);
        changes += !eid_id_equal(&missing, &last);
        last = missing;
    }
    print_message("looked at %zu times\n", changes); /* about log2 of 300, seldom twice that */
    assert_in_range(changes, 2, 40);
    for (size_t i = 0; i < PARENTS; i++)
        eid_entry_unref(parents[i]);
    eid_entry_unref(child);
    eid_entry_unref(root);
    eid_core_close(core);
}

/* The quarantine is full: for what comes then another leaves, which is not remembered as wrong. */
static void test_full_quarantine(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_entry *root = dt_make_root(NULL, 0, 1), *first, **orphans = calloc(EID_LIMIT_QUARANTINE_ENTRIES + 1, sizeof(eid_entry *));
    dt_receive(core, &root->id, &root, 1);
    dt_draft draft = {.root = &root->id, .parents = &root->id, .parent_count = 1, .height = 1};
    first = dt_make(&draft);
    draft.parents = &first->id;
    for (uint64_t i = 0; i <= EID_LIMIT_QUARANTINE_ENTRIES; i++) {
        draft.height = 2 + i;
        orphans[i] = dt_make(&draft);
    }
    eid_receipt receipt = dt_receive(core, &root->id, orphans, EID_LIMIT_QUARANTINE_ENTRIES + 1);
    assert_int_equal(receipt.waiting, EID_LIMIT_QUARANTINE_ENTRIES);
    assert_int_equal(receipt.refused, 1);
    assert_int_equal(receipt.first_refusal, EID_ERR_LIMIT);
    assert_int_equal(ti_number(core, "SELECT COUNT(*) FROM refused"), 0);
    receipt = dt_receive(core, &root->id, &first, 1);
    assert_int_equal(receipt.admitted, EID_LIMIT_QUARANTINE_ENTRIES + 1);
    receipt = dt_receive(core, &root->id, orphans, EID_LIMIT_QUARANTINE_ENTRIES + 1);
    assert_int_equal(receipt.admitted, 1);
    assert_int_equal(receipt.held, EID_LIMIT_QUARANTINE_ENTRIES);
    ti_check_core(core);
    th_free_entries(orphans, EID_LIMIT_QUARANTINE_ENTRIES + 1);
    eid_entry_unref(first);
    eid_entry_unref(root);
    eid_core_close(core);
}

/* A chain longer than any stack, delivered backwards one by one: the first one releases all. */
static void test_long_chain_backwards(void **state)
{
    (void)state;
    enum { LENGTH = 3000 };
    eid_core *core = dt_memory();
    eid_entry *root = dt_make_root(NULL, 0, 1), **chain = calloc(LENGTH, sizeof(eid_entry *));
    dt_receive(core, &root->id, &root, 1);
    for (size_t i = 0; i < LENGTH; i++) {
        dt_draft draft = {.root = &root->id, .parents = i == 0 ? &root->id : &chain[i - 1]->id, .parent_count = 1, .height = 1 + i};
        chain[i] = dt_make(&draft);
    }
    for (size_t i = LENGTH; i-- > 1;)
        dt_receive(core, &root->id, &chain[i], 1);
    assert_int_equal(dt_receive(core, &root->id, &chain[0], 1).admitted, LENGTH);
    ti_check_core(core);
    th_free_entries(chain, LENGTH);
    eid_entry_unref(root);
    eid_core_close(core);
}

/* Wild unsigned histories through the whole path: the same state in any order. */
static void test_wild_histories(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(99);
    for (int i = 0; i < 60; i++) {
        th_shape shape = th_wild(&random);
        shape.stores = shape.stores > 3 ? 3 : shape.stores; /* settings have a rule of their own */
        eid_entry **entries = th_generate(&random, &shape);
        uint8_t first[32], hash[32];
        for (int order = 0; order < 3; order++) {
            eid_core *core = dt_memory();
            for (size_t k = 0; k < shape.entries;) {
                size_t step = 1 + (size_t)tu_random_below(&random, 9);
                step = shape.entries - k < step ? shape.entries - k : step;
                eid_receipt receipt = dt_receive(core, &entries[0]->id, entries + k, step);
                if (receipt.refused != 0)
                    fail_msg("refused: %s", receipt.text);
                k += step;
            }
            ti_check_core(core);
            uint64_t count;
            tu_assert_ok(eid_core_entry_count(core, &entries[0]->id, &count));
            assert_int_equal(count, shape.entries);
            state_hash(core, &entries[0]->id, order == 0 ? first : hash);
            if (order > 0)
                assert_memory_equal(first, hash, sizeof hash);
            shuffle(&random, entries + 1, shape.entries - 1);
            eid_core_close(core);
        }
        th_free_entries(entries, shape.entries);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_order_and_any_cut),
        cmocka_unit_test(test_repeated_entries),
        cmocka_unit_test_setup_teardown(test_parents_come_later, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_receipts_count_this_batch_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_several_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pins_come_later, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_children_of_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_settings_wait_for_settings, set_up, tear_down),
        cmocka_unit_test(test_many_missing_parents),
        cmocka_unit_test(test_full_quarantine),
        cmocka_unit_test(test_long_chain_backwards),
        cmocka_unit_test(test_wild_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
