/* SPDX-License-Identifier: Apache-2.0 */
/* As many threads as there are cores to run them, and none left afterwards. */
#include "support/testutil.h"

#include <sched.h>
#include <stdatomic.h>

#include "base/workers.h"

#define ITEMS 1000

typedef struct work {
    atomic_int next;
    atomic_int done[ITEMS];
    atomic_int running;
} work;

static void *claim(void *ctx)
{
    work *w = ctx;
    atomic_fetch_add(&w->running, 1);
    for (int i = atomic_fetch_add(&w->next, 1); i < ITEMS; i = atomic_fetch_add(&w->next, 1))
        atomic_fetch_add(&w->done[i], 1);
    atomic_fetch_sub(&w->running, 1);
    return NULL;
}

static void every_item_is_done_once(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        work w = {0};
        eid_workers workers;
        eid_workers_start(&workers, claim, &w);
        assert_true(workers.count <= EID_LIMIT_WORKERS);
        claim(&w);
        eid_workers_join(&workers);
        assert_int_equal(workers.count, 0);
        assert_int_equal(atomic_load(&w.running), 0);
        for (int i = 0; i < ITEMS; i++)
            assert_int_equal(atomic_load(&w.done[i]), 1);
    }
}

/* The cores of the process count, not those of the machine: a container or `taskset` may leave one. */
static void one_core_starts_no_thread(void **state)
{
    (void)state;
    cpu_set_t before, one;
    work w = {0};
    eid_workers workers;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    CPU_ZERO(&one);
    size_t first = 0;
    while (!CPU_ISSET(first, &before))
        first++;
    CPU_SET(first, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    eid_workers_start(&workers, claim, &w);
    assert_int_equal(workers.count, 0);
    eid_workers_join(&workers);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    if (CPU_COUNT(&before) < 2)
        return;
    eid_workers_start(&workers, claim, &w);
    assert_true(workers.count > 0);
    eid_workers_join(&workers);
}

static void none_started_is_none_to_wait_for(void **state)
{
    (void)state;
    eid_workers workers = {0};
    eid_workers_join(&workers);
    assert_int_equal(workers.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_is_done_once),
        cmocka_unit_test(one_core_starts_no_thread),
        cmocka_unit_test(none_started_is_none_to_wait_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
