/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines: far ones, fractions of seconds, being woken before and not being woken at all. */
#include "base/wait.h"

#include <errno.h>
#include <time.h>

#include "base/limits.h"
#include "support/testutil.h"

static int64_t in_ns(const struct timespec *at)
{
    return (int64_t)at->tv_sec * 1000000000 + at->tv_nsec;
}

/* Not before so many milliseconds after `before`, and not later than that after now. */
static void check_deadline(uint64_t asked_ms, uint64_t wanted_ms)
{
    struct timespec before, deadline, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    eid_wait_deadline(asked_ms, &deadline);
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(deadline.tv_nsec >= 0 && deadline.tv_nsec < 1000000000);
    assert_true(in_ns(&deadline) >= in_ns(&before) + (int64_t)wanted_ms * 1000000);
    assert_true(in_ns(&deadline) <= in_ns(&after) + (int64_t)wanted_ms * 1000000);
}

static void deadlines(void **state)
{
    (void)state;
    static const uint64_t waits[] = {0, 1, 999, 1000, 1001, 59999, EID_LIMIT_WAIT_MS - 1, EID_LIMIT_WAIT_MS};
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++)
        check_deadline(waits[i], waits[i]);
    for (uint64_t ms = 0; ms < 2000; ms += 7) /* whatever the fraction of the present second */
        check_deadline(ms, ms);
    check_deadline(EID_LIMIT_WAIT_MS + 1, EID_LIMIT_WAIT_MS);
    check_deadline(UINT64_MAX, EID_LIMIT_WAIT_MS);
}

typedef struct shared {
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    bool told;
} shared;

static void *tell(void *ctx)
{
    shared *s = ctx;
    pthread_mutex_lock(&s->mutex);
    s->told = true;
    pthread_cond_signal(&s->condition);
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

static void waiting(void **state)
{
    (void)state;
    shared s = {.told = false};
    struct timespec deadline, now;
    pthread_t thread;
    int error = 0;
    tu_assert_ok(eid_wait_init(&s.mutex, &s.condition));
    pthread_mutex_lock(&s.mutex);
    eid_wait_deadline(20, &deadline);
    while (error == 0)
        error = pthread_cond_timedwait(&s.condition, &s.mutex, &deadline);
    assert_int_equal(error, ETIMEDOUT);
    clock_gettime(CLOCK_MONOTONIC, &now);
    assert_true(in_ns(&now) >= in_ns(&deadline)); /* of the same clock */
    assert_int_equal(pthread_create(&thread, NULL, tell, &s), 0);
    eid_wait_deadline(600000, &deadline);
    for (error = 0; !s.told && error == 0;)
        error = pthread_cond_timedwait(&s.condition, &s.mutex, &deadline);
    assert_true(s.told);
    pthread_mutex_unlock(&s.mutex);
    pthread_join(thread, NULL);
    eid_wait_destroy(&s.mutex, &s.condition);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(deadlines), cmocka_unit_test(waiting)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
