/* SPDX-License-Identifier: Apache-2.0 */
/* An ordered map from byte strings to pointers (unsigned lexicographic order of the keys).
 *
 * Keys are copied; values are the caller's. Lookup, insert and remove cost O(log n) whatever the order of
 * insertion; iteration is in key order and iterative. An entry pointer stays valid until that key is removed.
 */
#ifndef EID_BASE_MAP_H
#define EID_BASE_MAP_H

#include "base/slice.h"
#include "base/status.h"

typedef struct eid_map eid_map;

typedef struct eid_map_entry {
    eid_slice key;  /* zero-terminated after key.len; lent by the map */
    void *value;    /* may be changed through the pointer */
} eid_map_entry;

eid_status eid_map_new(eid_map **out);
void eid_map_free(eid_map *map, void (*free_value)(void *value)); /* free_value may be NULL; map may be NULL */
size_t eid_map_len(const eid_map *map);

eid_map_entry *eid_map_find(const eid_map *map, eid_slice key);   /* NULL when absent */
void *eid_map_get(const eid_map *map, eid_slice key);             /* the value, NULL when absent */

/* Finds the entry of the key, or makes one with value NULL; *created (may be NULL) tells which. */
eid_status eid_map_put(eid_map *map, eid_slice key, eid_map_entry **out, bool *created);
void *eid_map_remove(eid_map *map, eid_slice key);                /* the value that was there, or NULL */

eid_map_entry *eid_map_first(const eid_map *map);
eid_map_entry *eid_map_next(const eid_map *map, const eid_map_entry *entry);
/* The first entry with a key >= the given one. */
eid_map_entry *eid_map_seek(const eid_map *map, eid_slice key);

#endif
