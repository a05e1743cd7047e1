/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers in order, see numbers.h. */
#include "base/numbers.h"

#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

void eid_numbers_sort(int64_t *numbers, size_t count)
{
    if (count > 1)
        qsort(numbers, count, sizeof *numbers, compare);
}

bool eid_numbers_have(const int64_t *numbers, size_t count, int64_t number)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (numbers[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && numbers[low] == number;
}

/* ---- The heap ---- */

#define FIRST_CAPACITY 64

void eid_heap_free(eid_heap *heap)
{
    eid_free(heap->items);
    *heap = (eid_heap){0};
}

eid_status eid_heap_push(eid_heap *heap, int64_t n, uint8_t marks)
{
    if (heap->count == heap->capacity) {
        size_t capacity = heap->capacity == 0 ? FIRST_CAPACITY : heap->capacity * 2;
        eid_heap_item *grown = eid_realloc_array(heap->items, capacity, sizeof *grown);
        if (grown == NULL)
            return eid_fail_memory();
        heap->items = grown;
        heap->capacity = capacity;
    }
    size_t i = heap->count++;
    while (i > 0 && heap->items[(i - 1) / 2].n < n) {
        heap->items[i] = heap->items[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap->items[i] = (eid_heap_item){n, marks};
    return EID_OK;
}

eid_heap_item eid_heap_pop_one(eid_heap *heap)
{
    assert(heap->count > 0);
    eid_heap_item top = heap->items[0], last = heap->items[--heap->count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && heap->items[child + 1].n > heap->items[child].n)
            child++;
        if (heap->items[child].n <= last.n)
            break;
        heap->items[i] = heap->items[child];
        i = child;
    }
    if (heap->count > 0)
        heap->items[i] = last;
    return top;
}

eid_heap_item eid_heap_pop(eid_heap *heap)
{
    eid_heap_item top = eid_heap_pop_one(heap);
    while (heap->count > 0 && heap->items[0].n == top.n)
        top.marks |= eid_heap_pop_one(heap).marks;
    return top;
}
