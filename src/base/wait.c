/* SPDX-License-Identifier: Apache-2.0 */
/* Condition variables on the monotonic clock. */
#include "base/wait.h"

#include <time.h>

#include "base/limits.h"

eid_status eid_wait_init(pthread_mutex_t *mutex, pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return eid_fail(EID_ERR_IO, "the system gives no more condition variables");
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int error = pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
    if (error == 0 && (error = pthread_mutex_init(mutex, NULL)) != 0)
        pthread_cond_destroy(condition);
    return error == 0 ? EID_OK : eid_fail(EID_ERR_IO, "the system gives no more mutexes");
}

void eid_wait_destroy(pthread_mutex_t *mutex, pthread_cond_t *condition)
{
    pthread_cond_destroy(condition);
    pthread_mutex_destroy(mutex);
}

void eid_wait_deadline(uint64_t ms, struct timespec *out)
{
    if (ms > EID_LIMIT_WAIT_MS)
        ms = EID_LIMIT_WAIT_MS;
    clock_gettime(CLOCK_MONOTONIC, out);
    out->tv_sec += (time_t)(ms / 1000);
    out->tv_nsec += (long)(ms % 1000) * 1000000;
    if (out->tv_nsec >= 1000000000) {
        out->tv_sec++;
        out->tv_nsec -= 1000000000;
    }
}
