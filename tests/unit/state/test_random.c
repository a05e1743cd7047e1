/* SPDX-License-Identifier: Apache-2.0 */
/* Thousands of random histories against the slow model: whatever arrives in whatever order, the cells, the views of the
 * past and the views at chosen tips show what the plain fold shows. */
#include <stdio.h>
#include <stdlib.h>

#include "replay.h"

#define HISTORIES 600
#define ORDERS 2
/* Trees in one storage: opening one costs more than a history. */
#define SHARED 100

/* Batches of random size; some are undone first, so that what follows works on caches read again. */
static void run_in_order(eid_storage *storage, const tm_model *model, tu_random *random, const char *what)
{
    replay r;
    rp_begin(&r, storage, model, th_arrival(random, model), what);
    while (r.arrived < model->count) {
        size_t left = model->count - r.arrived, step = 1 + (size_t)tu_random_below(random, left < 8 ? left : 8);
        if (tu_random_below(random, 8) == 0) {
            rp_admit(&r, step, true);
            if (r.arrived > 0)
                rp_check_current(&r);
        }
        rp_admit(&r, step, false);
        rp_check_current(&r);
        if (tu_random_below(random, 3) == 0)
            rp_check_past(&r, (size_t)tu_random_below(random, r.arrived + 1));
        if (tu_random_below(random, 3) == 0)
            rp_check_boundary(&r, random, r.arrived);
    }
    rp_check_past(&r, model->count / 2);
    rp_check_boundary(&r, random, model->count);
    rp_check_boundary(&r, random, 1 + (size_t)tu_random_below(random, model->count));
    rp_check_rows(&r);
    rp_end(&r);
}

static void run_history(eid_storage **storages, uint64_t seed)
{
    tu_random random = {seed};
    char what[64];
    th_shape shape = th_wild(&random);
    eid_entry **entries = th_generate(&random, &shape);
    tm_model model;
    tm_build(&model, entries, shape.entries);
    for (size_t i = 0; i < ORDERS; i++) {
        snprintf(what, sizeof what, "history %llu, order %zu", (unsigned long long)seed, i);
        run_in_order(storages[i], &model, &random, what);
    }
    tm_free(&model);
    th_free_entries(entries, shape.entries);
}

static void test_wild_histories(void **state)
{
    (void)state;
    tu_random first = tu_random_seeded(1);
    eid_storage *storages[ORDERS] = {NULL};
    for (uint64_t i = 0; i < HISTORIES; i++) {
        for (size_t k = 0; i % SHARED == 0 && k < ORDERS; k++) {
            eid_storage_close(storages[k]);
            storages[k] = rp_open_memory();
        }
        run_history(storages, first.state + i);
    }
    for (size_t k = 0; k < ORDERS; k++)
        eid_storage_close(storages[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wild_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
