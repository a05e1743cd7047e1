/* SPDX-License-Identifier: Apache-2.0 */
/* Binary search for a place. */
#include "base/search.h"

size_t eid_search(const void *key, const void *items, size_t count, size_t item_size,
                  int (*compare)(const void *key, const void *item), bool *found)
{
    const char *base = items;
    size_t low = 0, high = count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(key, base + middle * item_size);
        *found = *found || order == 0;
        if (order > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
