/* SPDX-License-Identifier: Apache-2.0 */
/* Threads for work that is shared out by the items themselves: each claims the next one until there is none. They live for one
 * piece of work, so that nothing is left running between calls; starting one costs about half a verification. */
#ifndef EID_BASE_WORKERS_H
#define EID_BASE_WORKERS_H

#include <pthread.h>
#include <stddef.h>

#include "base/limits.h"

typedef struct eid_workers {
    pthread_t threads[EID_LIMIT_WORKERS];
    size_t count;
} eid_workers;

/* Starts `run` on a thread for each core this process may use beside the one its caller is on. Fewer, or none, when the system
 * gives no more: the caller works too. */
void eid_workers_start(eid_workers *workers, void *(*run)(void *ctx), void *ctx);
/* Returns when all of them have; `workers` zero: none were started. */
void eid_workers_join(eid_workers *workers);

#endif
