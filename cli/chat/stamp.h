/* SPDX-License-Identifier: Apache-2.0 */
/* The time of a message: RFC 3339 text in the row, a comparable value in the program, a clock time on the
 * screen. */
#ifndef CHAT_STAMP_H
#define CHAT_STAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stamp {
    int64_t seconds; /* since the Unix epoch */
    uint32_t nanos;  /* 0 … 999 999 999 */
};

#define STAMP_TEXT_SIZE  48
#define STAMP_CLOCK_SIZE 16

/* Any RFC 3339 time with seconds and an offset; digits beyond nanoseconds are dropped, a leap second counts
 * as the second before. False for everything else. */
bool stamp_parse(const char *text, size_t len, struct stamp *out);
void stamp_now(struct stamp *out);
/* Makes it a nanosecond later than `last` unless it is later already. */
void stamp_follow(struct stamp *stamp, struct stamp last);
/* "2026-01-31T10:20:30.123456789Z" */
void stamp_format(struct stamp stamp, char out[STAMP_TEXT_SIZE]);
/* "HH:MM:SS" in the local time zone. */
void stamp_clock(struct stamp stamp, char out[STAMP_CLOCK_SIZE]);
int stamp_compare(struct stamp a, struct stamp b);

#endif
