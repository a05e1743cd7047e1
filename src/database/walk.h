/* SPDX-License-Identifier: Apache-2.0 */
/* Walks of the main DAG from chosen entries towards the root, and which of two snapshots an entry belongs to.
 *
 * Arrival numbers fall along every parent link of the main DAG, so a walk that always takes the largest number meets every
 * entry after all its descendants: when it takes one, all that is to be known about it is known. A walk also meets every
 * entry of the tree it can reach with a number above the present one, so between two entries it took one after the other
 * there is no third: sets of entries are kept as runs of numbers.
 */
#ifndef EID_DATABASE_WALK_H
#define EID_DATABASE_WALK_H

#include "base/numbers.h"
#include "database/database_int.h"

typedef eid_heap_item eid_dag_item; /* an entry, with the marks collected from all descendants */

typedef struct eid_dag_walk {
    eid_heap heap;
    uint8_t complete;        /* an item with all of these marks is not wanted */
    size_t wanted;           /* items in the heap that are wanted, as far as is known */
} eid_dag_walk;

void eid_dag_walk_init(eid_dag_walk *walk, uint8_t complete);
void eid_dag_walk_free(eid_dag_walk *walk);
eid_status eid_dag_walk_push(eid_dag_walk *walk, int64_t n, uint8_t marks);
/* Takes the largest number out, with the marks of all its copies, and pushes its parents with them. Only while
 * walk->wanted > 0. Lock held. */
eid_status eid_dag_walk_next(eid_dag_walk *walk, eid_storage *storage, const eid_tree *tree, eid_dag_item *out);

/* ---- Which entries belong to which snapshot ---- */

#define EID_SIDES_MAX 2

/* A snapshot as it is asked for. */
typedef struct eid_side {
    const eid_id *tips;
    size_t count;
    bool present;            /* everything held, whatever the tips */
} eid_side;

/* Numbers from low to high do not belong to the sides marked. */
typedef struct eid_sides_run {
    int64_t low;
    int64_t high;
    uint8_t outside;
} eid_sides_run;

/* Up to two snapshots of a tree at one moment. Entries that arrive later belong to none. */
typedef struct eid_sides {
    int64_t up_to;
    uint8_t all;             /* marks of all sides: 1 for the first, 2 for the second */
    eid_sides_run *runs;     /* descending */
    size_t count;
    size_t capacity;
} eid_sides;

/* EID_ERR_INVALID_TIP. Takes the lock itself, a little at a time: what arrives meanwhile has larger numbers. */
eid_status eid_sides_find(eid_database *database, const eid_side *sides, size_t count, eid_sides *out);
void eid_sides_free(eid_sides *sides);
/* The marks of the sides this entry of the tree belongs to. */
uint8_t eid_sides_of(const eid_sides *sides, int64_t n);

#endif
