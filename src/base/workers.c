/* SPDX-License-Identifier: Apache-2.0 */
/* Threads for one piece of work, see workers.h. */
#include "base/workers.h"

#include <sched.h>

void eid_workers_start(eid_workers *workers, void *(*run)(void *ctx), void *ctx)
{
    cpu_set_t allowed;
    int cores = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
    size_t wanted = cores > EID_LIMIT_WORKERS ? EID_LIMIT_WORKERS : (size_t)cores - 1;
    workers->count = 0;
    while (workers->count < wanted && pthread_create(&workers->threads[workers->count], NULL, run, ctx) == 0)
        workers->count++;
}

void eid_workers_join(eid_workers *workers)
{
    for (size_t i = 0; i < workers->count; i++)
        pthread_join(workers->threads[i], NULL);
    workers->count = 0;
}
