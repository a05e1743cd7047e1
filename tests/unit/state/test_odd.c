/* SPDX-License-Identifier: Apache-2.0 */
/* Keys in which one list position was written in two forms: folded once for the late entries of a batch, with
 * the rows that come of folding them entry by entry, and without reading an entry once for each of its keys.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "replay.h"

/* ---- Rows do not tell where batches ended ---- */

#define WAYS      3 /* of cutting an arrival into batches: single entries, random ones, all at once */
#define HISTORIES 1500
#define LEAST     150
#define SECONDS   3

static void append_table(eid_sql *sql, const char *text, eid_buf *out)
{
    eid_sql_stmt *stmt;
    bool row;
    tu_assert_ok(eid_sql_prepare(sql, text, &stmt));
    tu_assert_ok(eid_sql_step(stmt, &row));
    while (row) {
        eid_buf_append_slice(out, eid_sql_bytes(stmt, 0));
        eid_buf_append_byte(out, '\n');
        tu_assert_ok(eid_sql_step(stmt, &row));
    }
}

/* All that follows from the entries and stands in cells, twigs and the log of touches. */
static char *rows_of(eid_storage *storage)
{
    static const char *const tables[] = {
        "SELECT 'cell ' || s || ' ' || hex(key) || ' ' || hex(value) || ' ' || height || ' ' || n || ' ' || "
        "newest FROM cell"
        " ORDER BY s, key",
        "SELECT 'twig ' || s || ' ' || hex(parent) || ' ' || hex(name) || ' ' || hex(record) FROM twig ORDER "
        "BY s, parent, name",
        "SELECT 'touch ' || s || ' ' || hex(key) || ' ' || height || ' ' || n FROM touch ORDER BY s, key, "
        "height, n",
    };
    eid_buf out;
    char *text;
    eid_buf_init(&out, SIZE_MAX / 2);
    eid_storage_lock(storage);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        append_table(eid_storage_sql(storage), tables[i], &out);
    eid_storage_unlock(storage);
    tu_assert_ok(eid_buf_take_text(&out, &text));
    return text;
}

static th_shape odd_shape(tu_random *random)
{
    return (th_shape){.entries = 3 + (size_t)tu_random_below(random, 30),
                      .stores = 1 + (unsigned)tu_random_below(random, 2),
                      .keys = 1 + (unsigned)tu_random_below(random, 3),
                      .branching = 30 + (unsigned)tu_random_below(random, 70),
                      .barriers = tu_random_below(random, 3) == 0 ? 10 : 0,
                      .own_heights = tu_random_below(random, 2) == 0,
                      .forged_heights = tu_random_below(random, 4) == 0,
                      .hot = true,
                      .odd_positions = true};
}

static char *rows_by(const tm_model *model, const size_t *order, size_t way, tu_random *random,
                     const char *what)
{
    replay r;
    eid_storage *storage = rp_open_memory();
    size_t *own = calloc(model->count, sizeof *own);
    memcpy(own, order, model->count * sizeof *own);
    rp_begin(&r, storage, model, own, what);
    while (r.arrived < model->count) {
        size_t left = model->count - r.arrived;
        rp_admit(&r, way == 0 ? 1 : way == 1 ? 1 + (size_t)tu_random_below(random, left) : left, false);
        if (way == 1)
            rp_check_current(&r);
    }
    rp_check_current(&r);
    rp_check_rows(&r);
    char *rows = rows_of(storage);
    rp_end(&r);
    eid_storage_close(storage);
    return rows;
}

static void run_history(uint64_t seed, th_census *census)
{
    tu_random random = {seed};
    char what[64];
    th_shape shape = odd_shape(&random);
    eid_entry **entries = th_generate(&random, &shape);
    tm_model model;
    tm_build(&model, entries, shape.entries);
    th_count(&model, census);
    size_t *order = th_arrival(&random, &model);
    char *rows[WAYS];
    for (size_t way = 0; way < WAYS; way++) {
        snprintf(what, sizeof what, "history %llu, way %zu", (unsigned long long)seed, way);
        rows[way] = rows_by(&model, order, way, &random, what);
        if (strcmp(rows[way], rows[0]) != 0)
            fail_msg("%s has other rows than single entries\n%s\n%s", what, rows[way], rows[0]);
    }
    for (size_t way = 0; way < WAYS; way++)
        eid_free(rows[way]);
    free(order);
    tm_free(&model);
    th_free_entries(entries, shape.entries);
}

static void batches_leave_the_rows_of_single_entries(void **state)
{
    (void)state;
    th_census census = {0};
    uint64_t seed = tu_random_seeded(77).state, i = 0;
    clock_t begin = clock();
    for (; i < HISTORIES && (i < LEAST || (clock() - begin) / CLOCKS_PER_SEC < SECONDS); i++)
        run_history(seed + i, &census);
    print_message("%llu histories: %zu odd positions, %zu lists, %zu barriers\n", (unsigned long long)i,
                  census.odd_positions, census.lists, census.barriers);
    assert_true(census.odd_positions > i && census.barriers > i / 10);
}

/* ---- What it costs ---- */

#define WRITERS 6

static eid_entry *make_root(void)
{
    tu_random random = {5};
    th_shape shape = {.entries = 1, .stores = 0, .keys = 1};
    eid_entry **made = th_generate(&random, &shape), *root = made[0];
    free(made);
    return root;
}

/* All name the same slot of every key, every other one in another form. */
static eid_entry *make_wide(const eid_entry *root, uint64_t height, size_t keys)
{
    eid_entry_builder *builder;
    eid_entry *entry;
    eid_buf text;
    eid_buf_init(&text, EID_LIMIT_ENTRY_BYTES);
    eid_buf_append_text(&text, "{\"children\":{");
    for (size_t k = 0; k < keys; k++)
        eid_buf_appendf(&text,
                        "%s\"k%zu\":{\"List\":[[{\"numerator\":%d,\"denominator\":%d,\"unique_id\":"
                        "\"00000000-0000-4000-8000-000000000000\"},{\"Int\":%d}]]}",
                        k > 0 ? "," : "", k, height % 2 != 0 ? 1 : 2, height % 2 != 0 ? 2 : 4, (int)height);
    eid_buf_append_text(&text, "}}");
    tu_assert_ok(eid_buf_status(&text));
    eid_slice payload = eid_buf_slice(&text);
    tu_assert_ok(eid_entry_builder_new(&root->id, &builder));
    tu_assert_ok(eid_entry_builder_set_parents(builder, &root->id, 1));
    eid_entry_builder_set_height(builder, height);
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "s", NULL, 0, &payload, NULL));
    tu_assert_ok(eid_entry_builder_finish(builder, NULL, NULL, &entry));
    eid_entry_builder_free(builder);
    eid_buf_free(&text);
    return entry;
}

/* Allocations of admitting these entries in one batch: reading an entry takes some for each of its keys. */
static size_t admit(eid_storage *storage, const eid_entry *root, eid_entry *const *entries, size_t count)
{
    eid_state_batch *batch;
    eid_tree *tree;
    int64_t n_root, n;
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_begin(storage));
    tu_assert_ok(eid_storage_tree_create(storage, &root->id, &tree));
    tu_assert_ok(eid_storage_find(storage, &root->id, &n_root, NULL));
    tu_assert_ok(eid_state_batch_new(storage, &batch));
    size_t before = tu_alloc_count();
    for (size_t i = 0; i < count; i++) {
        tu_assert_ok(eid_storage_admit(storage, tree, entries[i], &n_root, entries[i] == root ? 0 : 1, &n));
        tu_assert_ok(eid_state_apply(batch, tree, entries[i], n));
    }
    tu_assert_ok(eid_state_batch_finish(batch));
    size_t used = tu_alloc_count() - before;
    eid_state_batch_free(batch);
    tu_assert_ok(eid_storage_commit(storage));
    eid_storage_unlock(storage);
    return used;
}

/* Falling heights: each comes late, on top of all keys of those before. In one batch or each by itself. */
static size_t cost_of(size_t keys, size_t writers, bool together)
{
    eid_entry *root = make_root(), *entries[2 * WRITERS];
    size_t used = 0;
    tu_alloc_install();
    eid_storage *storage = rp_open_memory();
    admit(storage, root, &root, 1);
    for (size_t i = 0; i < writers; i++)
        entries[i] = make_wide(root, 1000 - i, keys);
    if (together)
        used = admit(storage, root, entries, writers);
    else
        for (size_t i = 0; i < writers; i++)
            used += admit(storage, root, &entries[i], 1);
    eid_storage_close(storage);
    tu_alloc_remove();
    for (size_t i = 0; i < writers; i++)
        eid_entry_unref(entries[i]);
    eid_entry_unref(root);
    return used;
}

/* Twice the keys, twice the work: with one reading an entry for each of its keys it would be four times. */
static void an_entry_is_read_once_for_all_its_keys(void **state)
{
    (void)state;
    size_t few = cost_of(50, WRITERS, false), many = cost_of(100, WRITERS, false),
           lots = cost_of(200, WRITERS, false);
    print_message("%zu, %zu, %zu allocations for 50, 100, 200 keys\n", few, many, lots);
    assert_true(many < 2 * few + few / 2 && lots < 2 * many + many / 2);
}

/* Twice the late entries of one batch, twice the work. */
static void a_batch_is_folded_once(void **state)
{
    (void)state;
    size_t few = cost_of(50, WRITERS, true), many = cost_of(50, 2 * WRITERS, true);
    print_message("%zu, %zu allocations for %d, %d late entries of one batch\n", few, many, WRITERS,
                  2 * WRITERS);
    assert_true(many < 2 * few + few / 2);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_leave_the_rows_of_single_entries),
        cmocka_unit_test(an_entry_is_read_once_for_all_its_keys),
        cmocka_unit_test(a_batch_is_folded_once),
    };
    if (argc > 1) {
        th_census census = {0};
        run_history(strtoull(argv[1], NULL, 10), &census);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
