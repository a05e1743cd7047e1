/* SPDX-License-Identifier: Apache-2.0 */
/* Time and randomness are injected: the same engine runs on the machine's clock and in a simulator. */
#ifndef EID_BASE_CLOCK_H
#define EID_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

typedef struct eid_clock {
    uint64_t (*now_ms)(void *ctx); /* milliseconds since the Unix epoch */
    void *ctx;
} eid_clock;

extern const eid_clock eid_clock_system;

static inline uint64_t eid_clock_now_ms(const eid_clock *clock)
{
    return clock->now_ms(clock->ctx);
}

/* Monotonic nanoseconds, for measuring only. */
uint64_t eid_monotonic_ns(void);

/* RFC 3339 in UTC with numeric offset and 0 or 3 fraction digits: "2026-08-04T12:34:56.123+00:00". */
#define EID_RFC3339_SIZE 40
void eid_rfc3339(uint64_t ms, char out[EID_RFC3339_SIZE]);

#endif
