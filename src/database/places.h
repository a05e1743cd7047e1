/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of a store in the order of the fold (height, ID text), either way, in bounded memory.
 *
 * The file keeps them by height; equal heights are put in order here, a window at a time. The window starts small, so that a
 * short look costs little, and grows to EID_LIMIT_HISTORY_WINDOW, so that many entries of one height, which have to be looked
 * through again for every window, stay cheap too.
 */
#ifndef EID_DATABASE_PLACES_H
#define EID_DATABASE_PLACES_H

#include "database/walk.h"

typedef struct eid_places {
    /* What is wanted; set before the first call. */
    bool newest_first;
    bool of_key;             /* only writes of this key, newest first */
    eid_slice key;           /* lent */
    int64_t up_to;           /* arrival numbers above this are not shown */
    const eid_sides *sides;  /* when not NULL: only entries of this side */
    uint8_t side;
    /* Where it stands: only what sorts behind this place is shown. */
    bool has_place;
    eid_node place;          /* n is not looked at */
    /* The window. */
    eid_node *nodes;
    size_t count;
    size_t at;
    size_t wanted;
    bool done;               /* nothing behind the window */
} eid_places;

void eid_places_free(eid_places *places); /* the members, not the struct */
/* The next place; *found false at the end. `store` is the one the window is of; NULL: nothing. Lock held. */
eid_status eid_places_next(eid_places *places, eid_storage *storage, const eid_tree_store *store, eid_node *out, bool *found);

/* Order of the fold, as the state layer folds. */
int eid_places_compare(const eid_node *a, const eid_node *b);

#endif
