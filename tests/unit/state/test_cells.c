/* SPDX-License-Identifier: Apache-2.0 */
/* Cells where numbers are larger than a random history's: documents around the size of a slice, one key written by
 * everybody, barriers over many keys, and the cost of each in rows. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "codec/cid.h"
#include "replay.h"

/* Payloads of one store, each an entry on top of `base`, or of the entry before when it is TM_NONE. */
typedef struct line {
    eid_entry **entries;
    size_t count;
} line;

static void line_begin(line *l, size_t capacity)
{
    tu_random random = {77};
    th_shape shape = {.entries = 1, .stores = 0, .keys = 1};
    eid_entry **root = th_generate(&random, &shape);
    l->entries = calloc(capacity, sizeof(eid_entry *));
    l->entries[0] = root[0];
    l->count = 1;
    free(root);
}

static void line_end(line *l)
{
    th_free_entries(l->entries, l->count);
}

static size_t line_add(line *l, size_t parent, uint64_t height, const eid_doc *doc)
{
    eid_entry_builder *builder;
    char *text;
    size_t len;
    const eid_entry *below = l->entries[parent];
    tu_assert_ok(eid_doc_to_json(doc, &text, &len));
    eid_slice payload = eid_slice_of(text, len);
    bool first = parent == 0;
    tu_assert_ok(eid_entry_builder_new(&l->entries[0]->id, &builder));
    tu_assert_ok(eid_entry_builder_set_parents(builder, &below->id, 1));
    eid_entry_builder_set_height(builder, height);
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "s", first ? NULL : &below->id, first ? 0 : 1, &payload, NULL));
    tu_assert_ok(eid_entry_builder_finish(builder, NULL, NULL, &l->entries[l->count]));
    eid_entry_builder_free(builder);
    eid_free(text);
    return l->count++;
}

static eid_doc *doc_of_keys(size_t from, size_t to, int64_t value)
{
    eid_doc *doc;
    tu_assert_ok(eid_doc_new(&doc));
    for (size_t i = from; i < to; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%05zu", i);
        tu_assert_ok(eid_doc_set_int(doc, key, value));
    }
    return doc;
}

static void in_written_order(replay *r, eid_storage *storage, const tm_model *model)
{
    size_t *order = calloc(model->count, sizeof *order);
    for (size_t i = 0; i < model->count; i++)
        order[i] = i;
    rp_begin(r, storage, model, order, "line");
}

static eid_tree_store *only_store(replay *r)
{
    eid_tree_store *store;
    tu_assert_ok(eid_storage_store(r->storage, rp_tree(r), eid_slice_text("s"), &store));
    assert_non_null(store);
    return store;
}

static void check_whole(replay *r)
{
    eid_view view = EID_VIEW_CURRENT;
    eid_doc *doc, *want = tm_fold(r->model, r->present, tm_store(r->model, eid_slice_text("s")));
    eid_storage_lock(r->storage);
    tu_assert_ok(eid_state_doc(r->storage, only_store(r), &view, &doc));
    eid_storage_unlock(r->storage);
    tm_assert_same(doc, want, r->what);
    eid_doc_free(doc);
    eid_doc_free(want);
}

static int64_t rows(replay *r, const char *table)
{
    eid_sql_stmt *stmt;
    bool row;
    const char *text = strcmp(table, "cell") == 0 ? "SELECT COUNT(*) FROM cell" : "SELECT COUNT(*) FROM touch";
    eid_storage_lock(r->storage);
    tu_assert_ok(eid_sql_prepare(eid_storage_sql(r->storage), text, &stmt));
    tu_assert_ok(eid_sql_step(stmt, &row));
    int64_t count = eid_sql_i64(stmt, 0);
    eid_sql_reset(stmt);
    eid_storage_unlock(r->storage);
    return count;
}

/* Whole documents are read in slices of 256 cells. */
static void test_sizes_around_a_slice(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 255, 256, 257, 511, 512, 513, 1024};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        line l;
        tm_model model;
        replay r;
        eid_storage *storage = rp_open_memory();
        line_begin(&l, 2);
        eid_doc *doc = doc_of_keys(0, sizes[i], 5);
        line_add(&l, 0, 1, doc);
        tm_build(&model, l.entries, l.count);
        in_written_order(&r, storage, &model);
        rp_admit(&r, 2, false);
        check_whole(&r);
        assert_int_equal(rows(&r, "cell"), sizes[i]);
        assert_int_equal(rows(&r, "touch"), 0);
        rp_end(&r);
        tm_free(&model);
        line_end(&l);
        eid_doc_free(doc);
        eid_storage_close(storage);
    }
}

static void test_slices_begin_behind_a_key(void **state)
{
    (void)state;
    static const struct {
        const char *after;
        size_t limit;
        size_t count;
        const char *first;
    } cases[] = {{NULL, 3, 3, "k00000"},     {"", 3, 3, "k00000"},     {"k00000", 3, 3, "k00001"}, {"k000005", 3, 3, "k00001"},
                 {"k00007", 10, 2, "k00008"}, {"k00009", 3, 0, NULL},   {"zzz", 3, 0, NULL},        {NULL, 10, 10, "k00000"},
                 {NULL, 0, 0, NULL},          {"k00003\x01", 2, 2, "k00004"}};
    line l;
    tm_model model;
    replay r;
    eid_storage *storage = rp_open_memory();
    line_begin(&l, 2);
    eid_doc *doc = doc_of_keys(0, 10, 5);
    line_add(&l, 0, 1, doc);
    tm_build(&model, l.entries, l.count);
    in_written_order(&r, storage, &model);
    rp_admit(&r, 2, false);
    eid_storage_lock(storage);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eid_cell cells[16];
        size_t count = 99;
        eid_slice after = cases[i].after == NULL ? eid_slice_of(NULL, 0) : eid_slice_text(cases[i].after);
        tu_assert_ok(eid_state_cells(storage, only_store(&r), cases[i].after == NULL ? NULL : &after, cases[i].limit, cells, &count));
        assert_int_equal(count, cases[i].count);
        if (count > 0)
            assert_true(eid_slice_is(eid_slice_of(cells[0].key, cells[0].key_len), cases[i].first));
        eid_cells_free(cells, count);
    }
    eid_storage_unlock(storage);
    rp_end(&r);
    tm_free(&model);
    line_end(&l);
    eid_doc_free(doc);
    eid_storage_close(storage);
}

/* A barrier that comes last, first, or late in the middle of 600 keys. */
static void test_barriers_over_many_keys(void **state)
{
    (void)state;
    line l;
    tm_model model;
    line_begin(&l, 5);
    eid_doc *below = doc_of_keys(0, 600, 1), *atomic = doc_of_keys(100, 110, 2), *above = doc_of_keys(590, 610, 3);
    eid_doc_set_atomic(atomic, true);
    line_add(&l, 0, 1, below);
    line_add(&l, 0, 2, atomic);
    line_add(&l, 0, 3, above);
    tm_build(&model, l.entries, l.count);
    static const size_t orders[][4] = {{0, 1, 2, 3}, {0, 2, 1, 3}, {0, 3, 2, 1}, {0, 3, 1, 2}, {0, 1, 3, 2}, {0, 2, 3, 1}};
    for (size_t o = 0; o < sizeof orders / sizeof *orders; o++)
        for (size_t step = 1; step <= 3; step++) {
            replay r;
            eid_storage *storage = rp_open_memory();
            size_t *order = calloc(4, sizeof *order);
            memcpy(order, orders[o], sizeof orders[o]);
            rp_begin(&r, storage, &model, order, "barrier");
            rp_admit(&r, 1, false);
            while (r.arrived < 4) {
                rp_admit(&r, 4 - r.arrived < step ? 4 - r.arrived : step, false);
                check_whole(&r);
            }
            assert_int_equal(rows(&r, "cell"), 10 + 20);
            assert_int_equal(rows(&r, "touch") + rows(&r, "cell"), 600 + 10 + 20);
            rp_end(&r);
            eid_storage_close(storage);
        }
    tm_free(&model);
    line_end(&l);
    eid_doc_free(below);
    eid_doc_free(atomic);
    eid_doc_free(above);
}

/* One key, a thousand writers, newest first: each arrives late. Once with leaves, once with documents that merge. */
static void one_hot_key(bool leaves)
{
    enum { WRITERS = 1000 };
    line l;
    tm_model model;
    replay r;
    eid_storage *storage = rp_open_memory();
    line_begin(&l, WRITERS + 1);
    for (size_t i = 0; i < WRITERS; i++) {
        eid_doc *doc;
        char path[16];
        snprintf(path, sizeof path, leaves ? "hot" : "hot.f%zu", i % 50);
        tu_assert_ok(eid_doc_new(&doc));
        tu_assert_ok(eid_doc_set_int(doc, path, (int64_t)i));
        line_add(&l, 0, 1 + i / 3, doc); /* three of each height */
        eid_doc_free(doc);
    }
    tm_build(&model, l.entries, l.count);
    size_t *order = calloc(model.count, sizeof *order);
    for (size_t i = 1; i < model.count; i++)
        order[i] = model.count - i;
    rp_begin(&r, storage, &model, order, leaves ? "hot leaf" : "hot document");
    rp_admit(&r, 1, false);
    while (r.arrived < model.count)
        rp_admit(&r, 100, false);
    check_whole(&r);
    assert_int_equal(rows(&r, "cell"), 1);
    assert_int_equal(rows(&r, "touch"), WRITERS - 1);
    rp_check_past(&r, 1);
    rp_check_past(&r, 500);
    rp_end(&r);
    tm_free(&model);
    line_end(&l);
    eid_storage_close(storage);
}

static void test_one_hot_key(void **state)
{
    (void)state;
    one_hot_key(true);
    one_hot_key(false);
}

/* Equal heights are told apart by the text of the ID, not by its bytes. */
static void test_fold_order(void **state)
{
    (void)state;
    enum { NODES = 200 };
    tu_random random = tu_random_seeded(5);
    eid_node nodes[NODES];
    for (size_t i = 0; i < NODES; i++) {
        uint8_t digest[32];
        tu_random_fill(&random, digest, sizeof digest);
        nodes[i] = (eid_node){.n = (int64_t)i, .height = tu_random_below(&random, 3)};
        if (i % 20 == 0)
            nodes[i].height = (uint64_t)INT64_MAX + i; /* beyond the signed range: all equal */
        eid_id_from_digest(EID_CODEC_DAG_CBOR, digest, &nodes[i].id);
    }
    eid_nodes_sort(nodes, NODES);
    for (size_t i = 1; i < NODES; i++) {
        char left[EID_ID_TEXT_SIZE], right[EID_ID_TEXT_SIZE];
        eid_id_format(&nodes[i - 1].id, left);
        eid_id_format(&nodes[i].id, right);
        bool same = nodes[i - 1].height == nodes[i].height || nodes[i - 1].height > INT64_MAX;
        assert_true(same ? strcmp(left, right) < 0 : nodes[i - 1].height < nodes[i].height);
        assert_true(eid_node_compare(&nodes[i - 1], &nodes[i]) < 0);
        assert_true(eid_node_compare(&nodes[i], &nodes[i - 1]) > 0);
        assert_int_equal(eid_node_compare(&nodes[i], &nodes[i]), 0);
    }
    eid_nodes_sort(NULL, 0);
}

static void test_views(void **state)
{
    (void)state;
    static const int64_t members[] = {2, 3, 7, 100};
    eid_view current = EID_VIEW_CURRENT, past = {5, NULL, 0}, chosen = {INT64_MAX, members, 4}, both = {6, members, 4}, none = {9, members, 0};
    eid_tree_store store = {.newest = 5};
    assert_true(eid_view_contains(&current, 1) && eid_view_contains(&current, INT64_MAX));
    assert_true(eid_view_contains(&past, 5) && !eid_view_contains(&past, 6));
    for (int64_t n = 0; n <= 101; n++) {
        bool member = n == 2 || n == 3 || n == 7 || n == 100;
        assert_true(eid_view_contains(&chosen, n) == member);
        assert_true(eid_view_contains(&both, n) == (member && n <= 6));
        assert_false(eid_view_contains(&none, n));
    }
    assert_true(eid_view_is_current(&current, &store) && eid_view_is_current(&past, &store));
    assert_false(eid_view_is_current(&chosen, &store));
    store.newest = 6;
    assert_false(eid_view_is_current(&past, &store));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_around_a_slice),    cmocka_unit_test(test_slices_begin_behind_a_key),
        cmocka_unit_test(test_barriers_over_many_keys), cmocka_unit_test(test_one_hot_key),
        cmocka_unit_test(test_fold_order),              cmocka_unit_test(test_views),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
