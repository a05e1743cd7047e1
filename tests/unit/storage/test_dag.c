/* SPDX-License-Identifier: Apache-2.0 */
/* Random DAGs, honest and strange: tips kept at each admission are those a look at everything finds, whatever is undone or
 * read again from the file in between; participation; slices in rank order. */
#include "storage_test.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "codec/cid.h"
#include "support/history.h"

typedef struct dag {
    char *path;
    eid_storage *storage;
    tm_model model;
    size_t *order;
    size_t arrived;
    bool *present;
    int64_t *n;
} dag;

static const eid_id *root_of(const dag *g)
{
    return eid_entry_id(g->model.nodes[0].entry);
}

static eid_tree *tree_of(const dag *g)
{
    eid_tree *tree;
    tu_assert_ok(eid_storage_tree(g->storage, root_of(g), &tree));
    return tree;
}

static void admit(dag *g, eid_tree *tree, size_t node)
{
    const tm_node *admitted = &g->model.nodes[node];
    int64_t *parents = calloc(admitted->parent_count + 1, sizeof *parents);
    for (size_t p = 0; p < admitted->parent_count; p++)
        parents[p] = g->n[admitted->parents[p]];
    g->n[node] = st_admit(g->storage, tree, admitted->entry, parents, admitted->parent_count);
    free(parents);
}

static void admit_next(dag *g, size_t count, bool undo)
{
    eid_tree *tree;
    eid_storage_lock(g->storage);
    tu_assert_ok(eid_storage_begin(g->storage));
    tu_assert_ok(eid_storage_tree_create(g->storage, root_of(g), &tree));
    for (size_t i = 0; i < count; i++)
        admit(g, tree, g->order[g->arrived + i]);
    if (undo)
        eid_storage_rollback(g->storage);
    else
        tu_assert_ok(eid_storage_commit(g->storage));
    eid_storage_unlock(g->storage);
    for (size_t i = 0; i < count && !undo; i++)
        g->present[g->order[g->arrived++]] = true;
}

/* ---- Checks ---- */

static void check_tip_set(const dag *g, const eid_tree_store *store, const bool *want)
{
    assert_int_equal(store->tip_count, tm_set_count(&g->model, want));
    for (size_t i = 0; i < store->tip_count; i++) {
        size_t node = tm_find(&g->model, &store->tips[i].id);
        assert_true(node != TM_NONE && want[node]);
        assert_int_equal(store->tips[i].n, g->n[node]);
        assert_ptr_equal(eid_tips_find(store, g->n[node]), &store->tips[i]);
    }
    assert_null(eid_tips_find(store, 0));
    assert_null(eid_tips_find(store, INT64_MAX));
}

/* A store parent that was there, or came later, is linked; and no other. */
static bool check_part(const eid_participation *have, void *ctx)
{
    struct {
        const dag *g;
        size_t store;
        size_t seen;
        int64_t last;
    } *c = ctx;
    size_t node = 0;
    while (node < c->g->model.count && !(c->g->present[node] && c->g->n[node] == have->n))
        node++;
    assert_true(node < c->g->model.count);
    const tm_part *part = tm_part_of(&c->g->model, node, c->store);
    assert_non_null(part);
    assert_int_equal(have->height, part->height);
    size_t linked = 0;
    for (size_t p = 0; p < part->parent_count; p++) {
        bool found = false;
        for (size_t i = 0; i < have->parent_count; i++)
            found = found || have->parents[i] == c->g->n[part->parents[p]];
        assert_true(found == c->g->present[part->parents[p]]);
        linked += found;
    }
    assert_int_equal(have->parent_count, linked);
    assert_true(have->n > c->last);
    c->last = have->n;
    c->seen++;
    return true;
}

static void check_stores(dag *g)
{
    bool *set = tm_set(&g->model, false);
    eid_tree *tree = tree_of(g);
    tm_main_tips(&g->model, g->present, set);
    check_tip_set(g, tree->main, set);
    assert_int_equal(tree->main->count, g->arrived);
    for (size_t s = 0; s < g->model.store_count; s++) {
        eid_tree_store *store;
        tu_assert_ok(eid_storage_store(g->storage, tree, g->model.stores[s], &store));
        tm_participants(&g->model, g->present, s, set);
        size_t count = tm_set_count(&g->model, set);
        if (store == NULL) {
            assert_int_equal(count, 0);
            continue;
        }
        struct {
            const dag *g;
            size_t store;
            size_t seen;
            int64_t last;
        } c = {g, s, 0, 0};
        tu_assert_ok(eid_storage_each_participation(g->storage, store, 0, INT64_MAX, check_part, &c));
        assert_int_equal(c.seen, count);
        assert_int_equal(store->count, count);
        assert_int_equal(store->newest, c.last);
        tm_store_tips(&g->model, g->present, s, set);
        check_tip_set(g, store, set);
    }
    free(set);
}

/* In slices of every size: each entry once, parents first, and honest ones by height. */
static void check_slices(dag *g, size_t limit, bool honest)
{
    eid_place place = {INT64_MIN, 0, INT64_MAX};
    eid_entry **entries = calloc(limit, sizeof(eid_entry *));
    bool *seen = tm_set(&g->model, false);
    size_t total = 0, count;
    uint64_t last = 0;
    do {
        tu_assert_ok(eid_storage_slice(g->storage, tree_of(g), &place, limit, entries, &count));
        assert_true(count <= limit);
        for (size_t i = 0; i < count; i++) {
            size_t node = tm_find(&g->model, &entries[i]->id);
            assert_true(node != TM_NONE && g->present[node] && !seen[node]);
            seen[node] = true;
            for (size_t p = 0; p < g->model.nodes[node].parent_count; p++)
                assert_true(seen[g->model.nodes[node].parents[p]]);
            assert_true(!honest || entries[i]->height >= last);
            last = entries[i]->height;
            eid_entry_unref(entries[i]);
        }
        total += count;
    } while (count == limit);
    assert_int_equal(total, g->arrived);
    free(seen);
    free(entries);
}

/* Only what had arrived by some moment. */
static void check_slices_of_the_past(dag *g, size_t arrived)
{
    eid_place place = {INT64_MIN, 0, g->n[g->order[arrived - 1]]};
    eid_entry *entries[5];
    size_t total = 0, count;
    do {
        tu_assert_ok(eid_storage_slice(g->storage, tree_of(g), &place, 5, entries, &count));
        for (size_t i = 0; i < count; i++) {
            assert_true(g->n[tm_find(&g->model, &entries[i]->id)] <= place.up_to);
            eid_entry_unref(entries[i]);
        }
        total += count;
    } while (count == 5);
    assert_int_equal(total, arrived);
}

static void check(dag *g, tu_random *random, bool honest)
{
    eid_storage_lock(g->storage);
    if (g->arrived > 0) {
        check_stores(g);
        check_slices(g, 1 + (size_t)tu_random_below(random, 7), honest);
        check_slices_of_the_past(g, 1 + (size_t)tu_random_below(random, g->arrived));
    } else {
        eid_tree *tree;
        tu_assert_fails(eid_storage_tree(g->storage, root_of(g), &tree), EID_ERR_DATABASE_NOT_FOUND);
    }
    eid_storage_unlock(g->storage);
}

static void run(dag *g, tu_random *random, const th_shape *shape)
{
    eid_entry **entries = th_generate(random, shape);
    tm_build(&g->model, entries, shape->entries);
    g->order = th_arrival(random, &g->model);
    g->present = tm_set(&g->model, false);
    g->n = calloc(g->model.count, sizeof *g->n);
    g->arrived = 0;
    while (g->arrived < g->model.count) {
        size_t left = g->model.count - g->arrived, step = 1 + (size_t)tu_random_below(random, left < 6 ? left : 6);
        if (tu_random_below(random, 4) == 0) {
            admit_next(g, step, true);
            check(g, random, !shape->forged_heights);
        }
        admit_next(g, step, false);
        if (tu_random_below(random, 4) == 0) {
            eid_storage_close(g->storage);
            g->storage = st_open(g->path);
        }
        check(g, random, !shape->forged_heights);
    }
    free(g->n);
    free(g->present);
    free(g->order);
    tm_free(&g->model);
    th_free_entries(entries, shape->entries);
}

static void test_random_dags(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(7);
    char *dir = tu_temp_dir();
    dag g = {.path = tu_path(dir, "data.db")};
    g.storage = st_open(g.path);
    for (int i = 0; i < 150; i++) {
        th_shape shape = th_wild(&random);
        run(&g, &random, &shape);
    }
    eid_storage_close(g.storage);
    free(g.path);
    tu_temp_dir_remove(dir);
}

/* ---- Participation by hand ---- */

typedef struct seen {
    int64_t n[8];
    size_t count;
    size_t stop_after;
} seen;

static bool note(const eid_participation *part, void *ctx)
{
    seen *s = ctx;
    s->n[s->count++] = part->n;
    return s->count != s->stop_after;
}

static void test_ranges_of_participation(void **state)
{
    (void)state;
    static const char *const stores[] = {"a", NULL};
    eid_storage *storage = st_memory();
    eid_entry *entries[6] = {st_root(1)};
    eid_tree *tree;
    eid_tree_store *store;
    int64_t n[6], *parents;
    size_t count;
    uint64_t height;
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_begin(storage));
    n[0] = st_admit_root(storage, entries[0], &tree);
    for (unsigned i = 1; i < 6; i++) {
        entries[i] = st_child(entries[0], &entries[i - 1], 1, i == 3 ? NULL : stores, i, 0);
        n[i] = st_admit(storage, tree, entries[i], &n[i - 1], 1);
    }
    tu_assert_ok(eid_storage_commit(storage));
    tu_assert_ok(eid_storage_store(storage, tree, eid_slice_text("a"), &store));
    seen all = {{0}, 0, 0}, some = {{0}, 0, 0}, stopped = {{0}, 0, 2}, none = {{0}, 0, 0};
    tu_assert_ok(eid_storage_each_participation(storage, store, 0, INT64_MAX, note, &all));
    assert_int_equal(all.count, 4); /* the root and the third have no part in it */
    tu_assert_ok(eid_storage_each_participation(storage, store, n[1], n[4], note, &some)); /* behind the first, to the last */
    assert_int_equal(some.count, 2);
    assert_true(some.n[0] == n[2] && some.n[1] == n[4]);
    tu_assert_ok(eid_storage_each_participation(storage, store, 0, INT64_MAX, note, &stopped));
    assert_int_equal(stopped.count, 2);
    tu_assert_ok(eid_storage_each_participation(storage, store, n[5], INT64_MAX, note, &none));
    assert_int_equal(none.count, 0);
    tu_assert_fails(eid_storage_participation(storage, store, n[3], &height, &parents, &count), EID_ERR_NOT_FOUND);
    tu_assert_fails(eid_storage_participation(storage, store, n[0], NULL, NULL, NULL), EID_ERR_NOT_FOUND);
    tu_assert_ok(eid_storage_participation(storage, store, n[2], &height, &parents, &count));
    assert_true(count == 1 && parents[0] == n[1] && height == 2);
    eid_free(parents);
    /* A parent that takes no part in the store is none there. */
    tu_assert_ok(eid_storage_participation(storage, store, n[4], NULL, &parents, &count));
    assert_int_equal(count, 0);
    eid_free(parents);
    assert_int_equal(store->tip_count, 2);
    eid_storage_unlock(storage);
    eid_storage_close(storage);
    for (int i = 0; i < 6; i++)
        eid_entry_unref(entries[i]);
}

/* More parents than fit the places on the stack. */
static void test_many_parents(void **state)
{
    (void)state;
    static const char *const stores[] = {"a", NULL};
    enum { MANY = 100 };
    char *dir = tu_temp_dir(), *path = tu_path(dir, "data.db");
    eid_storage *storage = st_open(path);
    eid_entry *root = st_root(1), *siblings[MANY];
    eid_tree *tree;
    eid_tree_store *store;
    int64_t root_n, n[MANY], merged, *parents;
    size_t count;
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_begin(storage));
    root_n = st_admit_root(storage, root, &tree);
    for (unsigned i = 0; i < MANY; i++) {
        siblings[i] = st_child(root, &root, 1, stores, i, 0);
        n[i] = st_admit(storage, tree, siblings[i], &root_n, 1);
    }
    tu_assert_ok(eid_storage_commit(storage));
    eid_storage_unlock(storage);
    eid_storage_close(storage);
    storage = st_open(path);
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_tree(storage, &root->id, &tree));
    assert_int_equal(tree->main->tip_count, MANY);
    eid_entry *merge = st_child(root, siblings, MANY, stores, MANY, 0);
    tu_assert_ok(eid_storage_begin(storage));
    merged = st_admit(storage, tree, merge, n, MANY);
    tu_assert_ok(eid_storage_commit(storage));
    tu_assert_ok(eid_storage_store(storage, tree, eid_slice_text("a"), &store));
    assert_true(store->tip_count == 1 && tree->main->tip_count == 1 && store->tips[0].n == merged);
    tu_assert_ok(eid_storage_participation(storage, store, merged, NULL, &parents, &count));
    assert_int_equal(count, MANY);
    eid_free(parents);
    eid_storage_unlock(storage);
    eid_storage_close(storage);
    for (int i = 0; i < MANY; i++)
        eid_entry_unref(siblings[i]);
    eid_entry_unref(merge);
    eid_entry_unref(root);
    free(path);
    tu_temp_dir_remove(dir);
}

/* The tips' array in ascending n, through growing and shrinking, against a plain set. */
static void test_tips_array(void **state)
{
    (void)state;
    enum { NUMBERS = 70 };
    tu_random random = tu_random_seeded(3);
    eid_tree_store store;
    bool have[NUMBERS] = {false};
    memset(&store, 0, sizeof store);
    for (int i = 0; i < 20000; i++) {
        int64_t n = 1 + (int64_t)tu_random_below(&random, NUMBERS - 1);
        bool growing = (i / 500) % 2 == 0;
        if (!have[n] && tu_random_below(&random, 10) < (growing ? 9 : 2)) {
            eid_node node = {.n = n, .height = (uint64_t)n * 3};
            tu_assert_ok(eid_tips_add(&store, &node));
            have[n] = true;
        } else if (tu_random_below(&random, 10) < (growing ? 2 : 9)) {
            eid_tips_remove(&store, n); /* also what is not there */
            have[n] = false;
        }
        size_t at = 0;
        for (int64_t k = 0; k < NUMBERS; k++) {
            if (have[k])
                assert_true(at < store.tip_count && store.tips[at].n == k && store.tips[at].height == (uint64_t)k * 3);
            at += have[k];
        }
        assert_int_equal(at, store.tip_count);
    }
    eid_free(store.tips);
}

static void test_numbers_are_little_endian(void **state)
{
    (void)state;
    static const int64_t numbers[] = {1, INT64_MAX, -2, 0x0102030405060708};
    uint8_t packed[32];
    int64_t back[4];
    eid_numbers_encode(numbers, 4, packed);
    tu_assert_hex(packed, sizeof packed, "0100000000000000ffffffffffffff7ffeffffffffffffff0807060504030201");
    eid_numbers_decode(eid_slice_of(packed, sizeof packed), back);
    assert_memory_equal(back, numbers, sizeof back);
    assert_int_equal(eid_height_to_sql(UINT64_MAX), INT64_MAX);
    assert_int_equal(eid_height_to_sql((uint64_t)INT64_MAX), INT64_MAX);
    assert_int_equal(eid_height_to_sql(5), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_dags),    cmocka_unit_test(test_ranges_of_participation),
        cmocka_unit_test(test_many_parents),   cmocka_unit_test(test_tips_array),
        cmocka_unit_test(test_numbers_are_little_endian),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
