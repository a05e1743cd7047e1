/* SPDX-License-Identifier: Apache-2.0 */
/* Lists inside the library: slots and positions. */
#ifndef EID_CRDT_LIST_H
#define EID_CRDT_LIST_H

#include <eidetica/doc.h>

#include "base/random.h"

typedef struct eid_position {
    int64_t numerator;
    uint64_t denominator; /* never 0 */
    eid_uuid unique;
} eid_position;

/* Reduced by the greatest common divisor; EID_ERR_RANGE for denominator 0. */
eid_status eid_position_make(int64_t numerator, uint64_t denominator, const eid_uuid *unique, eid_position *out);
/* By value (128-bit cross products), then by the bytes of the UUID. */
int eid_position_compare(const eid_position *a, const eid_position *b);
/* The simplest fraction strictly between the two values, which must differ, left below right; NULL is "no bound".
 * EID_ERR_LIMIT when none fits 64 bits. */
eid_status eid_position_between(const eid_position *left, const eid_position *right, const eid_uuid *unique,
                                eid_position *out);

/* From the public form, reduced. EID_ERR_RANGE for denominator 0. */
eid_status eid_position_of(const eid_list_position *position, eid_position *out);

/* Slots in position order, tombstones included. */
size_t eid_list_slots(const eid_list *list);
void eid_list_slot(const eid_list *list, size_t slot, eid_position *position, const eid_value **value);
/* Puts a value at an explicit position, replacing what stands there; takes the value on success. */
eid_status eid_list_put(eid_list *list, const eid_position *position, eid_value *value);

#endif
