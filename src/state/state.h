/* SPDX-License-Identifier: Apache-2.0 */
/* The state of stores: the ordered fold, kept as materialised cells.
 *
 * The state of a store is the left fold of its entries' payloads in (store height, ID text) order. The fold works key by
 * key, so each top-level key has a cell: its merged value and the place of the last entry that touched it (those of all others
 * are in the touch log). An entry is merged into the cells of its keys wherever it sorts; cells_int.h tells how, and which few
 * keys a late entry makes be folded again. A top-level atomic Doc is a barrier: only what sorts at or behind the last barrier
 * counts.
 *
 * All functions expect the storage lock to be held.
 */
#ifndef EID_STATE_STATE_H
#define EID_STATE_STATE_H

#include "base/numbers.h"
#include "crdt/doc.h"
#include "storage/storage.h"

/* Collects what is to be folded again, so that a batch does it once. */
typedef struct eid_state_batch eid_state_batch;
eid_status eid_state_batch_new(eid_storage *storage, eid_state_batch **out);
void eid_state_batch_free(eid_state_batch *batch);
/* Applies the payloads of an entry just admitted as n. */
eid_status eid_state_apply(eid_state_batch *batch, eid_tree *tree, const eid_entry *entry, int64_t n);
/* The same for an entry whose payloads cease to count, or count again (eid_storage_mark came before). Its effect is there when
 * the batch is finished; nothing may be applied in between. */
eid_status eid_state_change(eid_state_batch *batch, eid_tree *tree, const eid_entry *entry, int64_t n, bool counts);
/* Folds what is due. Call before the storage transaction is committed. */
eid_status eid_state_batch_finish(eid_state_batch *batch);

/* ---- Reading ---- */

/* Which entries count. */
typedef struct eid_view {
    int64_t up_to;           /* arrival numbers above this do not count (INT64_MAX: all) */
    const int64_t *members;  /* when not NULL: only these, ascending */
    size_t member_count;
} eid_view;
#define EID_VIEW_CURRENT {INT64_MAX, NULL, 0}

bool eid_view_contains(const eid_view *view, int64_t n);
/* True when the view shows everything the store has, so that cells answer. */
bool eid_view_is_current(const eid_view *view, const eid_tree_store *store);

/* The value of one key; *out NULL when absent, a tombstone is returned as such. The caller frees it. */
eid_status eid_state_child(eid_storage *storage, eid_tree_store *store, const eid_view *view, eid_slice key, eid_value **out);
/* The value of the first key of a path (crdt/doc.h) as far as the rest of the path needs it: on the way Docs may lack the
 * children the path does not go through; a List on the way, and what stands at the end, are whole. So a place in a large
 * document costs what stands there. */
eid_status eid_state_along(eid_storage *storage, eid_tree_store *store, const eid_view *view, eid_slice path, eid_value **out);
/* The values of many keys at a view that is a bound on arrival numbers and that no barrier came after, in any order; NULL when
 * absent. What is lent lives for the call. */
typedef eid_status (*eid_past_callback)(size_t index, const eid_value *value, void *ctx);
eid_status eid_state_past(eid_storage *storage, eid_tree_store *store, const eid_view *view, const eid_slice *keys, size_t count,
                          eid_past_callback callback, void *ctx);
/* The whole document. */
eid_status eid_state_doc(eid_storage *storage, eid_tree_store *store, const eid_view *view, eid_doc **out);
/* Keys behind `after` (NULL: all) in byte order, tombstones included, at most `limit`, from the cells: only for views that
 * are current. Values are owned by the caller. */
typedef struct eid_cell {
    char *key;
    size_t key_len;
    eid_value *value;
    int64_t newest; /* the last arrival that touched the key */
} eid_cell;
eid_status eid_state_cells(eid_storage *storage, eid_tree_store *store, const eid_slice *after, size_t limit, eid_cell *out,
                           size_t *count);
void eid_cells_free(eid_cell *cells, size_t count); /* the members, not the array */

/* ---- Hidden payloads ---- */

/* Some stores keep documents in another form, encrypted ones above all. A decoder turns a payload into the text of its
 * document, appended to `out`. What it can not turn is left out of the state, as a payload is that is no document: one
 * bad entry must not make a store unreadable. EID_ERR_NO_MEMORY and EID_ERR_LIMIT are the exceptions. */
typedef struct eid_decoder {
    eid_status (*decode)(const void *ctx, eid_slice payload, eid_buf *out);
    const void *ctx;
} eid_decoder;

/* The payload of an admitted entry in a store as a document; *out NULL when it has none, or none that is a document.
 * `decoder` NULL: the payload is the document. */
eid_status eid_state_payload(eid_storage *storage, const eid_tree_store *store, const eid_decoder *decoder, int64_t n,
                             eid_doc **out);

/* eid_state_doc of decoded payloads: always a fold. */
eid_status eid_state_doc_decoded(eid_storage *storage, eid_tree_store *store, const eid_view *view, const eid_decoder *decoder,
                                 eid_doc **out);

/* The cells of such a store, in guarded memory instead of the data file. Of one store, for as long as it lives. */
typedef struct eid_hidden_state eid_hidden_state;
eid_status eid_hidden_state_new(eid_hidden_state **out);
void eid_hidden_state_free(eid_hidden_state *state); /* wipes it; NULL is allowed */
/* Takes in what arrived since, up to this arrival number. *shows false: the state is ahead of that, so it can not answer for
 * this view. After a failure the state is empty and the next call folds it anew. */
eid_status eid_hidden_state_follow(eid_hidden_state *state, eid_storage *storage, eid_tree_store *store,
                                   const eid_decoder *decoder, int64_t up_to, bool *shows);
/* As eid_state_child, eid_state_along, eid_state_cells and eid_state_doc. */
eid_status eid_hidden_state_child(const eid_hidden_state *state, eid_slice key, eid_value **out);
eid_status eid_hidden_state_along(const eid_hidden_state *state, eid_slice path, eid_value **out);
eid_status eid_hidden_state_cells(const eid_hidden_state *state, const eid_slice *after, size_t limit, eid_cell *out,
                                  size_t *count);
eid_status eid_hidden_state_doc(const eid_hidden_state *state, eid_doc **out);
uint64_t eid_hidden_state_left_out(const eid_hidden_state *state); /* payloads that could not be decoded */

/* Tips of a store within the view, ascending n; eid_free. */
eid_status eid_state_tips(eid_storage *storage, eid_tree_store *store, const eid_view *view, eid_node **out, size_t *count);
/* Sorts into fold order: height, then text of the ID. */
void eid_nodes_sort(eid_node *nodes, size_t count);

/* Puts the parents of an entry in the store into a heap of arrival numbers. *height: that of the entry there; NULL is allowed. */
eid_status eid_state_push_parents(eid_storage *storage, const eid_tree_store *store, int64_t n, uint64_t *height, eid_heap *heap);
/* All ancestors of the given entries, themselves included, along main parents: ascending n; eid_free. */
eid_status eid_state_ancestors(eid_storage *storage, eid_tree *tree, const int64_t *from, size_t from_count, int64_t **out,
                               size_t *count);

#endif
