/* SPDX-License-Identifier: Apache-2.0 */
/* Finding a place in a sorted array: bsearch that also tells where a missing item would stand. */
#ifndef EID_BASE_SEARCH_H
#define EID_BASE_SEARCH_H

#include <stdbool.h>
#include <stddef.h>

/* The first place whose item is not below the key, `count` when there is none; *found: that item is equal to it. `compare`
 * gets the key and an item, and orders them like the array. O(log count); `items` may be NULL when there are none. */
size_t eid_search(const void *key, const void *items, size_t count, size_t item_size,
                  int (*compare)(const void *key, const void *item), bool *found);

#endif
