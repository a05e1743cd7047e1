/* SPDX-License-Identifier: Apache-2.0 */
/* The only way to memory inside the library; tests replace the allocator to fail each call in turn. */
#ifndef EID_BASE_ALLOC_H
#define EID_BASE_ALLOC_H

#include <stddef.h>

#include <eidetica/memory.h>
#include <eidetica/status.h>

void *eid_alloc(size_t size);                             /* NULL on failure; size 0 gives a valid pointer */
void *eid_alloc_zero(size_t count, size_t size);          /* zeroed; NULL on failure or overflow */
void *eid_realloc_array(void *memory, size_t count, size_t size); /* overflow-checked; the old block lives on failure */
void *eid_memdup(const void *data, size_t len);           /* a copy with one extra zero byte after it */
char *eid_strdup(const char *text);
/* Room for one more item behind `count`, by doubling; *items may move. */
eid_status eid_make_room(void **items, size_t *capacity, size_t count, size_t size);
/* eid_free() is public, eidetica/memory.h. */

#endif
