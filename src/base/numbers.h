/* SPDX-License-Identifier: Apache-2.0 */
/* Signed 64-bit numbers in order: sorted arrays, and a heap that gives the largest first. Arrival numbers mostly. */
#ifndef EID_BASE_NUMBERS_H
#define EID_BASE_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

void eid_numbers_sort(int64_t *numbers, size_t count); /* ascending; NULL is allowed when count is 0 */
/* Whether the ascending array holds the number. O(log n). */
bool eid_numbers_have(const int64_t *numbers, size_t count, int64_t number);

/* A number that was pushed several times has copies with marks of their own; together they have the marks of all. */
typedef struct eid_heap_item {
    int64_t n;
    uint8_t marks;
} eid_heap_item;

/* Starts as {0}. */
typedef struct eid_heap {
    eid_heap_item *items;
    size_t count;
    size_t capacity;
} eid_heap;

void eid_heap_free(eid_heap *heap); /* the members; it may be used again */
eid_status eid_heap_push(eid_heap *heap, int64_t n, uint8_t marks);
/* Take the largest number out, all of it or one of its copies. The heap is not empty. */
eid_heap_item eid_heap_pop(eid_heap *heap);
eid_heap_item eid_heap_pop_one(eid_heap *heap);

#endif
