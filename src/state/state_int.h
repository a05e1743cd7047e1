/* SPDX-License-Identifier: Apache-2.0 */
/* The state layer's own insides. */
#ifndef EID_STATE_STATE_INT_H
#define EID_STATE_STATE_INT_H

#include "state/state.h"

/* Fold order: height, then text of the ID. Heights beyond the signed range are equal (as in the storage). */
int eid_node_compare(const eid_node *a, const eid_node *b);

/* A growing array of nodes. */
typedef struct eid_nodes {
    eid_node *items;
    size_t count;
    size_t capacity;
} eid_nodes;
eid_status eid_nodes_add(eid_nodes *nodes, const eid_node *node);

/* The closure of store tips along store parents, over what had arrived by then, in fold order. */
eid_status eid_state_closure_up_to(eid_storage *storage, eid_tree_store *store, int64_t up_to, const int64_t *tips,
                                   size_t tip_count, eid_node **out, size_t *count);

/* Takes the first component off a path; false when it has none. */
bool eid_path_split(eid_slice *path, eid_slice *first);

/* Neither Doc nor List: in a merge it replaces what was there (crdt.md section 8.2). */
bool eid_value_is_leaf(const eid_value *value);

/* Participants of the store that have a payload and after < n <= up_to, in fold order; free nodes->items also after a failure. */
eid_status eid_state_arrived(eid_storage *storage, const eid_tree_store *store, int64_t after, int64_t up_to,
                             eid_nodes *nodes);

/* All places that touched a key and count (at or behind the barrier), in fold order. */
eid_status eid_state_touches(eid_storage *storage, const eid_tree_store *store, eid_slice key, eid_nodes *out);
/* What an admitted entry wrote under a key; *out NULL when nothing. The caller frees it. */
eid_status eid_state_load_child(eid_storage *storage, const eid_tree_store *store, eid_slice key, int64_t n, eid_value **out);

#endif
