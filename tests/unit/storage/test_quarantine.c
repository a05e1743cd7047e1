/* SPDX-License-Identifier: Apache-2.0 */
/* The quarantine and the remembered refusals: what they keep, their bounds, their counters. */
#include "storage_test.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/limits.h"

typedef struct fixture {
    char *dir;
    char *path;
    eid_storage *storage;
    eid_entry *roots[2];
    eid_tree *trees[2];
} fixture;

static void find_trees(fixture *f)
{
    for (int i = 0; i < 2; i++)
        tu_assert_ok(eid_storage_tree(f->storage, &f->roots[i]->id, &f->trees[i]));
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->dir = tu_temp_dir();
    f->path = tu_path(f->dir, "data.db");
    f->storage = st_open(f->path);
    eid_storage_lock(f->storage);
    tu_assert_ok(eid_storage_begin(f->storage));
    for (unsigned i = 0; i < 2; i++) {
        f->roots[i] = st_root(i);
        st_admit_root(f->storage, f->roots[i], &f->trees[i]);
    }
    tu_assert_ok(eid_storage_commit(f->storage));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    eid_storage_unlock(f->storage);
    eid_storage_close(f->storage);
    for (int i = 0; i < 2; i++)
        eid_entry_unref(f->roots[i]);
    free(f->path);
    tu_temp_dir_remove(f->dir);
    free(f);
    return 0;
}

static void reopen(fixture *f)
{
    eid_storage_unlock(f->storage);
    eid_storage_close(f->storage);
    f->storage = st_open(f->path);
    eid_storage_lock(f->storage);
    find_trees(f);
}

static eid_entry *entry_of(const fixture *f, int tree, unsigned salt, size_t size)
{
    return st_child(f->roots[tree], &f->roots[tree], 1, NULL, salt, size);
}

static void check_counters(fixture *f, int tree, uint64_t entries, uint64_t bytes)
{
    assert_int_equal(f->trees[tree]->waiting, entries);
    assert_int_equal(f->trees[tree]->waiting_bytes, bytes);
}

static bool waits(fixture *f, const eid_entry *entry)
{
    bool out;
    tu_assert_ok(eid_storage_is_quarantined(f->storage, &entry->id, &out));
    return out;
}

static size_t take(fixture *f, int tree, const eid_id *arrived)
{
    eid_entry **entries = (eid_entry **)&entries;
    size_t count = 99;
    tu_assert_ok(eid_storage_quarantine_take(f->storage, f->trees[tree], arrived, &entries, &count));
    assert_true((count == 0) == (entries == NULL));
    for (size_t i = 0; i < count; i++)
        eid_entry_unref(entries[i]);
    eid_free(entries);
    return count;
}

static void test_waiting_and_release(void **state)
{
    fixture *f = *state;
    eid_entry *e[4];
    eid_id missing[2] = {st_id(1), st_id(2)};
    for (unsigned i = 0; i < 4; i++)
        e[i] = entry_of(f, i == 3, i, 10 * i);
    for (int i = 0; i < 3; i++)
        tu_assert_ok(eid_storage_quarantine_add(f->storage, f->trees[0], e[i], &missing[i / 2]));
    tu_assert_ok(eid_storage_quarantine_add(f->storage, f->trees[1], e[3], &missing[0]));
    uint64_t bytes = e[0]->cbor_len + e[1]->cbor_len + e[2]->cbor_len;
    check_counters(f, 0, 3, bytes);
    check_counters(f, 1, 1, e[3]->cbor_len);
    /* The same again, also as waiting for something else, changes nothing. */
    tu_assert_ok(eid_storage_quarantine_add(f->storage, f->trees[0], e[0], &missing[1]));
    check_counters(f, 0, 3, bytes);
    for (int i = 0; i < 4; i++)
        assert_true(waits(f, e[i]));
    assert_false(waits(f, f->roots[0]));
    reopen(f);
    check_counters(f, 0, 3, bytes);
    check_counters(f, 1, 1, e[3]->cbor_len);
    /* Another database's arrivals release nothing here. */
    assert_int_equal(take(f, 1, &missing[1]), 0);
    assert_int_equal(take(f, 0, &e[0]->id), 0);
    assert_int_equal(take(f, 0, &missing[0]), 2);
    assert_int_equal(take(f, 0, &missing[0]), 0);
    check_counters(f, 0, 1, e[2]->cbor_len);
    assert_false(waits(f, e[0]) || waits(f, e[1]));
    assert_true(waits(f, e[2]) && waits(f, e[3]));
    assert_int_equal(take(f, 0, &missing[1]), 1);
    assert_int_equal(take(f, 1, &missing[0]), 1);
    reopen(f);
    check_counters(f, 0, 0, 0);
    check_counters(f, 1, 0, 0);
    for (int i = 0; i < 4; i++)
        eid_entry_unref(e[i]);
}

static void test_released_entries_are_the_same(void **state)
{
    fixture *f = *state;
    eid_entry *e = entry_of(f, 0, 1, 3000), **out;
    eid_id missing = st_id(1);
    size_t count;
    tu_assert_ok(eid_storage_quarantine_add(f->storage, f->trees[0], e, &missing));
    tu_assert_ok(eid_storage_quarantine_take(f->storage, f->trees[0], &missing, &out, &count));
    assert_int_equal(count, 1);
    assert_int_equal(out[0]->cbor_len, e->cbor_len);
    assert_memory_equal(out[0]->cbor, e->cbor, e->cbor_len);
    eid_entry_unref(out[0]);
    eid_free(out);
    eid_entry_unref(e);
}

static void test_rollback(void **state)
{
    fixture *f = *state;
    eid_entry *e[2] = {entry_of(f, 0, 1, 0), entry_of(f, 0, 2, 0)};
    eid_id missing[2] = {st_id(1), st_id(2)};
    tu_assert_ok(eid_storage_quarantine_add(f->storage, f->trees[0], e[0], &missing[0]));
    tu_assert_ok(eid_storage_begin(f->storage));
    tu_assert_ok(eid_storage_quarantine_add(f->storage, f->trees[0], e[1], &missing[1]));
    assert_int_equal(take(f, 0, &missing[0]), 1);
    eid_id refused = st_id(3);
    tu_assert_ok(eid_storage_refuse(f->storage, &refused, EID_ERR_BAD_SIGNATURE));
    eid_storage_rollback(f->storage);
    find_trees(f);
    check_counters(f, 0, 1, e[0]->cbor_len);
    assert_true(waits(f, e[0]) && !waits(f, e[1]));
    eid_status reason;
    tu_assert_ok(eid_storage_was_refused(f->storage, &refused, &reason));
    assert_int_equal(reason, EID_OK);
    eid_entry_unref(e[0]);
    eid_entry_unref(e[1]);
}

/* As many as allowed, not one more: whoever comes then is kept, and another leaves. Nobody is safe, and nobody is sure to go. */
static void test_bound_of_entries(void **state)
{
    fixture *f = *state;
    eid_id missing = st_id(1), other = st_id(2);
    eid_entry **early = calloc(200, sizeof(eid_entry *)), *elsewhere = entry_of(f, 1, 1, 0);
    size_t left = 0;
    tu_assert_ok(eid_storage_begin(f->storage));
    for (unsigned i = 0; i < EID_LIMIT_QUARANTINE_ENTRIES; i++) {
        eid_entry *e = entry_of(f, 0, i, 0);
        tu_assert_ok(eid_storage_quarantine_add(f->storage, f->trees[0], e, &missing));
        if (i < 200)
            early[i] = eid_entry_ref(e);
        eid_entry_unref(e);
    }
    tu_assert_ok(eid_storage_quarantine_add(f->storage, f->trees[0], early[0], &missing)); /* it is in already */
    tu_assert_ok(eid_storage_quarantine_add(f->storage, f->trees[1], elsewhere, &missing));
    for (unsigned i = 0; i < EID_LIMIT_QUARANTINE_ENTRIES; i++) {
        eid_entry *e = entry_of(f, 0, 20000 + i, 0);
        tu_assert_ok(eid_storage_quarantine_add(f->storage, f->trees[0], e, &other));
        assert_true(waits(f, e));
        eid_entry_unref(e);
    }
    tu_assert_ok(eid_storage_commit(f->storage));
    for (size_t i = 0; i < 200; i++)
        left += waits(f, early[i]);
    print_message("%zu of 200 early ones are left\n", left); /* of e^-1 each: 74, give or take 7 */
    assert_in_range(left, 30, 120);
    assert_true(waits(f, elsewhere));
    reopen(f);
    size_t taken = take(f, 0, &missing);
    taken += take(f, 0, &other);
    assert_int_equal(taken, EID_LIMIT_QUARANTINE_ENTRIES);
    check_counters(f, 0, 0, 0);
    for (size_t i = 0; i < 200; i++)
        eid_entry_unref(early[i]);
    free(early);
    eid_entry_unref(elsewhere);
}

static void test_bound_of_bytes(void **state)
{
    fixture *f = *state;
    const size_t size = 1000000;
    eid_id missing = st_id(1);
    uint64_t bytes = 0;
    unsigned count = 0;
    tu_assert_ok(eid_storage_begin(f->storage));
    for (unsigned i = 0; i < 100; i++) {
        eid_entry *e = entry_of(f, 0, i, size);
        bool fits = bytes + e->cbor_len <= EID_LIMIT_QUARANTINE_BYTES;
        tu_assert_ok(eid_storage_quarantine_add(f->storage, f->trees[0], e, &missing));
        assert_true(waits(f, e));
        bytes += fits ? e->cbor_len : 0; /* all are of one size */
        count += fits;
        eid_entry_unref(e);
    }
    assert_in_range(count, 60, 99);
    assert_int_equal(f->trees[0]->waiting, count);
    assert_in_range(f->trees[0]->waiting_bytes, bytes - 1000, EID_LIMIT_QUARANTINE_BYTES);
    bytes = f->trees[0]->waiting_bytes;
    check_counters(f, 0, count, bytes);
    /* What still fits, fits. */
    eid_entry *small = entry_of(f, 0, 1, 0);
    tu_assert_ok(eid_storage_quarantine_add(f->storage, f->trees[0], small, &missing));
    tu_assert_ok(eid_storage_commit(f->storage));
    reopen(f);
    check_counters(f, 0, count + 1, bytes + small->cbor_len);
    assert_int_equal(take(f, 0, &missing), count + 1);
    check_counters(f, 0, 0, 0);
    eid_entry_unref(small);
}

/* ---- Refusals ---- */

static eid_status reason_of(fixture *f, unsigned number)
{
    eid_id id = st_id(number);
    eid_status reason = EID_ERR_INTERNAL;
    tu_assert_ok(eid_storage_was_refused(f->storage, &id, &reason));
    return reason;
}

static void refuse(fixture *f, unsigned number, eid_status reason)
{
    eid_id id = st_id(number);
    tu_assert_ok(eid_storage_refuse(f->storage, &id, reason));
}

static void test_refusals(void **state)
{
    fixture *f = *state;
    assert_int_equal(reason_of(f, 1), EID_OK);
    refuse(f, 1, EID_ERR_BAD_SIGNATURE);
    refuse(f, 2, EID_ERR_PERMISSION_DENIED);
    refuse(f, 1, EID_ERR_WRONG_TREE); /* the first reason stays */
    assert_int_equal(reason_of(f, 1), EID_ERR_BAD_SIGNATURE);
    assert_int_equal(reason_of(f, 2), EID_ERR_PERMISSION_DENIED);
    reopen(f);
    refuse(f, 3, EID_ERR_WRONG_TREE);
    assert_int_equal(reason_of(f, 1), EID_ERR_BAD_SIGNATURE);
    assert_int_equal(reason_of(f, 2), EID_ERR_PERMISSION_DENIED);
    assert_int_equal(reason_of(f, 3), EID_ERR_WRONG_TREE);
    assert_int_equal(reason_of(f, 4), EID_OK);
}

static int64_t count_refusals(fixture *f)
{
    eid_sql_stmt *stmt;
    bool row;
    tu_assert_ok(eid_sql_prepare(eid_storage_journal(f->storage), "SELECT COUNT(*) FROM refused", &stmt));
    tu_assert_ok(eid_sql_step(stmt, &row));
    int64_t count = eid_sql_i64(stmt, 0);
    eid_sql_reset(stmt);
    return count;
}

/* The oldest are forgotten; refusing the same ones again and again forgets nobody. */
static void test_refusals_are_bounded(void **state)
{
    fixture *f = *state;
    tu_assert_ok(eid_storage_begin(f->storage));
    for (unsigned i = 0; i < EID_LIMIT_REFUSED_IDS; i++)
        refuse(f, i, EID_ERR_BAD_SIGNATURE);
    for (unsigned i = 0; i < 50; i++)
        refuse(f, i, EID_ERR_BAD_SIGNATURE);
    tu_assert_ok(eid_storage_commit(f->storage));
    assert_int_equal(count_refusals(f), EID_LIMIT_REFUSED_IDS);
    assert_int_equal(reason_of(f, 0), EID_ERR_BAD_SIGNATURE);
    refuse(f, EID_LIMIT_REFUSED_IDS, EID_ERR_WRONG_TREE);
    reopen(f);
    refuse(f, EID_LIMIT_REFUSED_IDS + 1, EID_ERR_WRONG_TREE);
    assert_int_equal(count_refusals(f), EID_LIMIT_REFUSED_IDS);
    assert_int_equal(reason_of(f, 0), EID_OK);
    assert_int_equal(reason_of(f, 1), EID_OK);
    assert_int_equal(reason_of(f, 2), EID_ERR_BAD_SIGNATURE);
    assert_int_equal(reason_of(f, EID_LIMIT_REFUSED_IDS + 1), EID_ERR_WRONG_TREE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_waiting_and_release, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_released_entries_are_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rollback, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bound_of_entries, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bound_of_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusals_are_bounded, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
