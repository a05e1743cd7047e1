/* SPDX-License-Identifier: Apache-2.0 */
/* Many tips, many stores, undone transactions: what the rows say is what the objects said. */
#include "storage_test.h"

#include <stdio.h>
#include <stdlib.h>

#define TIPS 70

static size_t tips_of(eid_storage *storage, const eid_entry *root, const char *name)
{
    eid_tree *tree;
    eid_tree_store *store;
    tu_assert_ok(eid_storage_tree(storage, &root->id, &tree));
    tu_assert_ok(eid_storage_store(storage, tree, eid_slice_text(name), &store));
    return store == NULL ? 0 : store->tip_count;
}

/* A parent is found among all tips, the oldest too, and whatever room the list of tips had before. */
static void test_old_tips_are_parents(void **state)
{
    (void)state;
    static const char *const stores[] = {"s", NULL};
    eid_storage *storage = st_memory();
    eid_entry *root = st_root(1), *tips[TIPS], *child;
    eid_tree *tree;
    int64_t root_n = 0, n[TIPS];
    ST_IN_TRANSACTION(storage, root_n = st_admit_root(storage, root, &tree));
    for (unsigned i = 0; i < TIPS; i++) {
        tips[i] = st_child(root, &root, 1, stores, i, 0);
        ST_IN_TRANSACTION(storage, n[i] = st_admit(storage, tree, tips[i], &root_n, 1));
    }
    assert_int_equal(tips_of(storage, root, "s"), TIPS);
    /* Joins two each, the oldest first, down to one: the list shrinks through every power of two and grows again. */
    size_t left = TIPS;
    for (unsigned i = 0; i + 1 < TIPS; i += 2) {
        eid_entry *pair[2] = {tips[i], tips[i + 1]};
        child = st_child(root, pair, 2, stores, 1000 + i, 0);
        ST_IN_TRANSACTION(storage, st_admit(storage, tree, child, n + i, 2));
        eid_entry_unref(child);
        left--;
        assert_int_equal(tips_of(storage, root, "s"), left);
        assert_int_equal(tips_of(storage, root, ""), left);
    }
    for (unsigned i = 0; i < TIPS; i++) {
        child = st_child(root, &tips[i], 1, stores, 2000 + i, 0);
        ST_IN_TRANSACTION(storage, st_admit(storage, tree, child, n + i, 1));
        eid_entry_unref(child);
        assert_int_equal(tips_of(storage, root, "s"), left + i + 1);
    }
    for (unsigned i = 0; i < TIPS; i++)
        eid_entry_unref(tips[i]);
    eid_entry_unref(root);
    eid_storage_close(storage);
}

#define STORES 40

/* Every store of an entry is written, once, also when the transaction before it was undone after changing them all. */
static void test_all_stores_are_written(void **state)
{
    (void)state;
    char *dir = tu_temp_dir(), *path = tu_path(dir, "data.db"), names[STORES][8];
    const char *stores[STORES + 1] = {NULL};
    for (unsigned i = 0; i < STORES; i++) {
        snprintf(names[i], sizeof names[i], "s%02u", i);
        stores[i] = names[i];
    }
    eid_storage *storage = st_open(path);
    eid_entry *root = st_root(1), *entries[4];
    eid_tree *tree;
    int64_t n[5];
    ST_IN_TRANSACTION(storage, n[0] = st_admit_root(storage, root, &tree));
    for (unsigned i = 0; i < 4; i++)
        entries[i] = st_child(root, i == 0 ? &root : &entries[i - 1], 1, stores, i, 0);
    ST_IN_TRANSACTION(storage, n[1] = st_admit(storage, tree, entries[0], &n[0], 1));
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_begin(storage));
    st_admit(storage, tree, entries[1], &n[1], 1);
    eid_storage_rollback(storage);
    tu_assert_ok(eid_storage_tree(storage, &root->id, &tree));
    eid_storage_unlock(storage);
    for (unsigned i = 1; i < 4; i++)
        ST_IN_TRANSACTION(storage, n[i + 1] = st_admit(storage, tree, entries[i], &n[i], 1));
    eid_storage_close(storage);
    storage = st_open(path);
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_tree(storage, &root->id, &tree));
    for (unsigned i = 0; i < STORES; i++) {
        eid_tree_store *store;
        tu_assert_ok(eid_storage_store(storage, tree, eid_slice_text(names[i]), &store));
        assert_int_equal(store->count, 4);
        assert_int_equal(store->tip_count, 1);
        assert_int_equal(store->tips[0].n, n[4]);
        assert_int_equal(store->newest, n[4]);
    }
    eid_storage_unlock(storage);
    for (unsigned i = 0; i < 4; i++)
        eid_entry_unref(entries[i]);
    eid_entry_unref(root);
    eid_storage_close(storage);
    free(path);
    tu_temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_old_tips_are_parents),
        cmocka_unit_test(test_all_stores_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
