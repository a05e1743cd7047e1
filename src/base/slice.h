/* SPDX-License-Identifier: Apache-2.0 */
/* A lent run of bytes. Whoever makes one says how long the bytes live. */
#ifndef EID_BASE_SLICE_H
#define EID_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct eid_slice {
    const uint8_t *data; /* may be NULL when len is 0 */
    size_t len;
} eid_slice;

static inline eid_slice eid_slice_of(const void *data, size_t len)
{
    eid_slice s = {(const uint8_t *)data, len};
    return s;
}

static inline eid_slice eid_slice_text(const char *text)
{
    return eid_slice_of(text, strlen(text));
}

/* Unsigned lexicographic order, a prefix first. */
static inline int eid_slice_compare(eid_slice a, eid_slice b)
{
    size_t shared = a.len < b.len ? a.len : b.len;
    int order = shared == 0 ? 0 : memcmp(a.data, b.data, shared);
    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

static inline bool eid_slice_equal(eid_slice a, eid_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool eid_slice_is(eid_slice a, const char *text)
{
    return eid_slice_equal(a, eid_slice_text(text));
}

#endif
