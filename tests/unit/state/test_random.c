/* SPDX-License-Identifier: Apache-2.0 */
/* Thousands of random histories against the slow model: whatever arrives in whatever order, the cells, the views of the
 * past and the views at chosen tips show what the plain fold shows. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "replay.h"

/* As many as go into the processor's time, so that slow lanes (sanitizers) end too; never fewer than the least. A seed as argument runs
 * that history alone, a second argument so many from there on. */
#define HISTORIES 4000
#define LEAST 500
#define SECONDS 15
#define ORDERS 2
/* Trees in one storage: opening one costs more than a history. */
#define SHARED 100

/* Batches of random size; some are undone first, so that what follows works on caches read again. */
static void run_in_order(eid_storage *storage, const tm_model *model, tu_random *random, const char *what)
{
    replay r;
    /* What is undone takes with it what the index has not committed: not more than this history. */
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_settle(storage));
    eid_storage_unlock(storage);
    rp_begin(&r, storage, model, th_arrival(random, model), what);
    while (r.arrived < model->count) {
        size_t left = model->count - r.arrived, step = 1 + (size_t)tu_random_below(random, left < 8 ? left : 8);
        if (tu_random_below(random, 8) == 0) {
            rp_admit(&r, step, true);
            if (r.arrived > 0)
                rp_check_current(&r);
        }
        rp_admit(&r, step, false);
        if (tu_random_below(random, 3) == 0)
            rp_check_current(&r);
        if (tu_random_below(random, 8) == 0)
            rp_check_past(&r, (size_t)tu_random_below(random, r.arrived + 1));
        if (tu_random_below(random, 8) == 0)
            rp_check_boundary(&r, random, r.arrived);
    }
    rp_check_current(&r);
    rp_check_past(&r, model->count / 2);
    rp_check_boundary(&r, random, 1 + (size_t)tu_random_below(random, model->count));
    rp_check_rows(&r);
    rp_end(&r);
}

static void run_history(eid_storage **storages, uint64_t seed, th_census *census)
{
    tu_random random = {seed};
    char what[64];
    th_shape shape = th_wild(&random);
    eid_entry **entries = th_generate(&random, &shape);
    tm_model model;
    tm_build(&model, entries, shape.entries);
    th_count(&model, census);
    for (size_t i = 0; i < ORDERS; i++) {
        snprintf(what, sizeof what, "history %llu, order %zu", (unsigned long long)seed, i);
        run_in_order(storages[i], &model, &random, what);
    }
    tm_free(&model);
    th_free_entries(entries, shape.entries);
}

static uint64_t run_from(uint64_t seed, uint64_t count, th_census *census)
{
    eid_storage *storages[ORDERS] = {NULL};
    clock_t begin = clock();
    uint64_t i = 0;
    for (; i < count && (i < LEAST || (clock() - begin) / CLOCKS_PER_SEC < SECONDS); i++) {
        for (size_t k = 0; i % SHARED == 0 && k < ORDERS; k++) {
            eid_storage_close(storages[k]);
            storages[k] = rp_open_memory();
        }
        run_history(storages, seed + i, census);
    }
    for (size_t k = 0; k < ORDERS; k++)
        eid_storage_close(storages[k]);
    return i;
}

static void test_wild_histories(void **state)
{
    (void)state;
    th_census c = {0};
    uint64_t count = run_from(tu_random_seeded(1).state, HISTORIES, &c);
    print_message("%llu histories: %zu branches, %zu merges, %zu barriers, %zu lists, %zu tombstones, %zu nested atomic Docs,"
                  " %zu timestamps, %zu forged heights, %zu first writes, %zu replaced kinds, %zu odd positions\n",
                  (unsigned long long)count, c.branches, c.merges, c.barriers, c.lists, c.tombstones, c.nested_atomic,
                  c.timestamps, c.forged, c.first_writes, c.replaced, c.odd_positions);
    /* A generator that stopped making one of these would let the test pass for nothing. */
    assert_true(c.branches > count && c.merges > count && c.barriers > count / 2 && c.lists > count && c.tombstones > count);
    assert_true(c.nested_atomic > count && c.timestamps > count && c.forged > count && c.first_writes > count);
    assert_true(c.replaced > count && c.odd_positions > count / 10);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wild_histories),
    };
    if (argc > 1) {
        th_census census = {0};
        run_from(strtoull(argv[1], NULL, 10), argc > 2 ? strtoull(argv[2], NULL, 10) : 1, &census);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
