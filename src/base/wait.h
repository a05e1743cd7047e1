/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for a condition with a deadline that does not move when somebody sets the machine's clock. */
#ifndef EID_BASE_WAIT_H
#define EID_BASE_WAIT_H

#include <pthread.h>
#include <stdint.h>

#include "base/status.h"

/* Both, or neither: EID_ERR_IO. Deadlines of the condition variable are of the monotonic clock. */
eid_status eid_wait_init(pthread_mutex_t *mutex, pthread_cond_t *condition);
void eid_wait_destroy(pthread_mutex_t *mutex, pthread_cond_t *condition);

/* For pthread_cond_timedwait: so many milliseconds from now, at most EID_LIMIT_WAIT_MS. */
void eid_wait_deadline(uint64_t ms, struct timespec *out);

#endif
