/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the index: participants by height, IDs in two tables, store parents that come late, what is committed when. */
#include "storage_test.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "codec/cid.h"

#define MANY 700

static int64_t number(eid_storage *storage, const char *text)
{
    eid_sql_stmt *stmt;
    bool row;
    tu_assert_ok(eid_sql_prepare(eid_storage_sql(storage), text, &stmt));
    tu_assert_ok(eid_sql_step(stmt, &row));
    assert_true(row);
    int64_t value = eid_sql_i64(stmt, 0);
    eid_sql_reset(stmt);
    return value;
}

/* A child of the root whose height is given; store parents too, when there are any. */
static eid_entry *child_at(const eid_entry *root, uint64_t height, unsigned salt, const eid_id *store_parents, size_t count)
{
    eid_entry_builder *builder;
    eid_entry *entry;
    uint8_t metadata[8] = {1, (uint8_t)salt, (uint8_t)(salt >> 8), (uint8_t)(salt >> 16)};
    tu_assert_ok(eid_entry_builder_new(&root->id, &builder));
    tu_assert_ok(eid_entry_builder_set_parents(builder, &root->id, 1));
    eid_entry_builder_set_height(builder, height);
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "s", store_parents, count, NULL, NULL));
    tu_assert_ok(eid_entry_builder_set_metadata(builder, eid_slice_of(metadata, sizeof metadata)));
    tu_assert_ok(eid_entry_builder_finish(builder, NULL, NULL, &entry));
    eid_entry_builder_free(builder);
    return entry;
}

/* ---- By height ---- */

typedef struct spot {
    int64_t height;
    int64_t n;
} spot;

static int compare_spots(const void *a, const void *b)
{
    const spot *left = a, *right = b;
    if (left->height != right->height)
        return left->height < right->height ? -1 : 1;
    return left->n < right->n ? -1 : left->n > right->n;
}

static void check_order(eid_storage *storage, const eid_tree_store *store, const spot *want, size_t count, bool descending,
                        spot from)
{
    eid_order order;
    spot have;
    bool found;
    tu_assert_ok(eid_storage_order_start(storage, store, descending, from.height, from.n, &order));
    for (size_t i = 0; i < count; i++) {
        const spot *next = &want[descending ? count - 1 - i : i];
        int side = compare_spots(next, &from);
        if (descending ? side >= 0 : side <= 0)
            continue;
        tu_assert_ok(eid_storage_order_next(&order, &have.height, &have.n, &found));
        assert_true(found);
        assert_int_equal(have.height, next->height);
        assert_int_equal(have.n, next->n);
    }
    tu_assert_ok(eid_storage_order_next(&order, &have.height, &have.n, &found));
    assert_false(found);
    eid_storage_order_stop(&order);
}

/* `spread` 0: every entry above the one before; else among so many heights at random, or one height for all. */
static void run_heights(tu_random *random, uint64_t spread)
{
    eid_storage *storage = st_memory();
    eid_entry *root = st_root(1);
    eid_tree *tree;
    spot want[MANY + 1];
    int64_t root_n = 0;
    ST_IN_TRANSACTION(storage, root_n = st_admit_root(storage, root, &tree));
    want[0] = (spot){0, root_n};
    for (unsigned i = 0; i < MANY; i++) {
        uint64_t height = 1 + (spread == 0 ? i : tu_random_below(random, spread));
        eid_entry *child = child_at(root, height, i, NULL, 0);
        ST_IN_TRANSACTION(storage, want[i + 1] = ((spot){(int64_t)height, st_admit(storage, tree, child, &root_n, 1)}));
        eid_entry_unref(child);
    }
    qsort(want, MANY + 1, sizeof *want, compare_spots);
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_tree(storage, &root->id, &tree));
    check_order(storage, tree->main, want, MANY + 1, false, (spot){INT64_MIN, 0});
    check_order(storage, tree->main, want, MANY + 1, true, (spot){INT64_MAX, INT64_MAX});
    for (int i = 0; i < 60; i++) {
        spot from = want[tu_random_below(random, MANY + 1)];
        if (i % 3 == 0)
            from.n = i % 2 == 0 ? 0 : INT64_MAX; /* a height, with all or nothing of it */
        check_order(storage, tree->main, want, MANY + 1, i % 2 == 0, from);
    }
    int64_t rows = number(storage, "SELECT COUNT(*) FROM part_order JOIN store USING (s) WHERE name = ''");
    if (spread <= 1)
        assert_true(rows < MANY / 32);
    eid_storage_unlock(storage);
    eid_storage_close(storage);
    eid_entry_unref(root);
}

static void test_order_by_height(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(77);
    static const uint64_t spreads[] = {0, 1, 2, 20, 1000};
    for (size_t i = 0; i < sizeof spreads / sizeof *spreads; i++)
        run_heights(&random, spreads[i]);
}

/* ---- IDs ---- */

static void assert_found(eid_storage *storage, eid_entry *const *entries, const int64_t *n, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t found, d;
        memset(storage->recent, 0, sizeof storage->recent);
        tu_assert_ok(eid_storage_find(storage, &entries[i]->id, &found, &d));
        assert_int_equal(found, n[i]);
        assert_int_equal(d, 1);
    }
}

static void test_ids(void **state)
{
    (void)state;
    char *dir = tu_temp_dir(), *path = tu_path(dir, "data.db");
    eid_storage *storage = st_open(path);
    eid_entry *entries[60] = {st_root(1)};
    int64_t n[60];
    eid_tree *tree;
    ST_IN_TRANSACTION(storage, n[0] = st_admit_root(storage, entries[0], &tree));
    for (unsigned i = 1; i < 60; i++) {
        entries[i] = child_at(entries[0], i, i, NULL, 0);
        ST_IN_TRANSACTION(storage, n[i] = st_admit(storage, tree, entries[i], n, 1));
        eid_storage_lock(storage);
        if (i % 20 == 0) { /* as if so many had come */
            storage->fresh_ids = EID_LIMIT_FRESH_IDS;
            tu_assert_ok(eid_storage_settle(storage));
            assert_int_equal(number(storage, "SELECT COUNT(*) FROM fresh_id"), 0);
            assert_int_equal(number(storage, "SELECT COUNT(*) FROM old_id"), i + 1);
            assert_int_equal(storage->fresh_ids, 0);
        }
        assert_found(storage, entries, n, i + 1);
        eid_storage_unlock(storage);
    }
    /* Rows of others with the same first bytes, in front of and behind the right one. */
    eid_storage_lock(storage);
    tu_assert_ok(eid_sql_exec(eid_storage_sql(storage), "INSERT INTO fresh_id SELECT h, 1 FROM entry_id WHERE n BETWEEN 30 AND 40;"
                                                        "INSERT INTO old_id SELECT h, 60 FROM entry_id WHERE n = 41"));
    assert_found(storage, entries, n, 60);
    eid_id stranger = entries[5]->id;
    stranger.bytes[20] ^= 1;
    int64_t found;
    tu_assert_ok(eid_storage_find(storage, &stranger, &found, NULL));
    assert_int_equal(found, 0);
    eid_storage_unlock(storage);
    eid_storage_close(storage);
    storage = st_open(path);
    eid_storage_lock(storage);
    assert_int_equal(storage->fresh_ids, number(storage, "SELECT COUNT(*) FROM fresh_id"));
    assert_found(storage, entries, n, 60);
    eid_storage_unlock(storage);
    eid_storage_close(storage);
    for (size_t i = 0; i < 60; i++)
        eid_entry_unref(entries[i]);
    free(path);
    tu_temp_dir_remove(dir);
}

/* ---- Parents that come late ---- */

static void test_a_named_parent_does_not_make_walks_slow_for_ever(void **state)
{
    (void)state;
    eid_storage *storage = st_memory();
    eid_entry *root = st_root(1), *parent = child_at(root, 1, 1, NULL, 0);
    eid_entry *child = child_at(root, 2, 2, &parent->id, 1);
    eid_tree *tree;
    eid_tree_store *store;
    int64_t root_n = 0, child_n = 0, parent_n = 0, *parents;
    size_t count;
    ST_IN_TRANSACTION(storage, {
        root_n = st_admit_root(storage, root, &tree);
        child_n = st_admit(storage, tree, child, &root_n, 1);
    });
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_store(storage, tree, eid_slice_text("s"), &store));
    assert_true(store->has_dangling && !store->has_late);
    eid_storage_unlock(storage);
    ST_IN_TRANSACTION(storage, parent_n = st_admit(storage, tree, parent, &root_n, 1));
    eid_storage_lock(storage);
    assert_true(!store->has_dangling && store->has_late);
    assert_true(parent_n > child_n);
    tu_assert_ok(eid_storage_participation(storage, store, child_n, NULL, &parents, &count));
    assert_int_equal(count, 1);
    assert_int_equal(parents[0], parent_n);
    eid_free(parents);
    assert_int_equal(store->tip_count, 1);
    assert_int_equal(store->tips[0].n, child_n);
    eid_storage_unlock(storage);
    eid_storage_close(storage);
    eid_entry_unref(child);
    eid_entry_unref(parent);
    eid_entry_unref(root);
}

/* ---- What a rollback leaves ---- */

static void test_undone_with_all_that_was_not_committed(void **state)
{
    (void)state;
    eid_storage *storage = st_memory();
    eid_entry *root = st_root(1), *children[20];
    eid_tree *tree;
    int64_t root_n = 0, undone;
    ST_IN_TRANSACTION(storage, root_n = st_admit_root(storage, root, &tree));
    for (unsigned i = 0; i < 20; i++) {
        children[i] = child_at(root, 1 + i, i, NULL, 0);
        eid_storage_lock(storage);
        tu_assert_ok(eid_storage_begin(storage));
        tu_assert_ok(eid_storage_tree(storage, &root->id, &tree));
        undone = st_admit(storage, tree, children[i], &root_n, 1);
        assert_true(undone > 0);
        eid_storage_rollback(storage);
        assert_true(storage->indexed_n < storage->newest_n || storage->newest_n == storage->settled_n);
        /* Whoever asks next finds everything but that. */
        int64_t n;
        tu_assert_ok(eid_storage_find(storage, &children[i]->id, &n, NULL));
        assert_int_equal(n, 0);
        tu_assert_ok(eid_storage_tree(storage, &root->id, &tree));
        assert_int_equal(tree->main->count, i + 1);
        eid_storage_unlock(storage);
        ST_IN_TRANSACTION(storage, {
            tu_assert_ok(eid_storage_tree(storage, &root->id, &tree));
            st_admit(storage, tree, children[i], &root_n, 1);
        });
        eid_storage_lock(storage);
        if (i % 5 == 4) {
            tu_assert_ok(eid_storage_settle(storage));
            assert_int_equal(storage->settled_n, storage->newest_n);
        }
        assert_int_equal(tree->main->count, i + 2);
        assert_int_equal(tree->main->tip_count, i + 1);
        eid_storage_unlock(storage);
    }
    for (size_t i = 0; i < 20; i++)
        eid_entry_unref(children[i]);
    eid_entry_unref(root);
    eid_storage_close(storage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_by_height),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_a_named_parent_does_not_make_walks_slow_for_ever),
        cmocka_unit_test(test_undone_with_all_that_was_not_committed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
