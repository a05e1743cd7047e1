/* SPDX-License-Identifier: Apache-2.0 */
/* Cells and twigs: the merged value of each key, wherever it is kept.
 *
 * The value of a key that one entry wrote stands in its cell as it was written. A Doc or List that a second entry merges
 * into is split: each place in it (the key of a Doc, the slot of a List) becomes a *twig*, a small record of its own, found
 * under a hash of the path to its container and its name. A twig knows what kind of value stands there, the last place in
 * fold order that wrote it, and the *cut*: nothing written before the cut counts. That is all it takes to merge an entry
 * wherever it sorts, without looking at any other:
 *
 * - A leaf, a tombstone and an atomic Doc replace all that was written before them. A Doc merges into a Doc, a List into a
 *   List; where the kinds differ the later one replaces the earlier. So what stands at a place is what was written since
 *   the last write of another kind, or the last atomic Doc, here or at a container: the cut.
 * - While entries are only added, cuts only move towards later places, and what a cut took away never comes back. (When one
 *   stops counting, what it touched is made again from the others: eid_state_change.)
 * - A write that comes late and lies behind the cut changes the twigs it names where nothing later stands, or it is a cut
 *   itself: what was written before it goes, what was written behind it stays.
 *
 * So an entry costs its own size whether it comes in order or late, except for a cut that comes late: that looks through
 * all twigs it could take away.
 *
 * One thing does depend on the first write of a place instead of the last: the form of a list position that is not in
 * lowest terms. A key where two forms of one position met is *odd*; a late entry makes it be folded from its entries, once
 * for all late ones of a batch. An odd key stays odd until something replaces its whole value, so its rows do not tell where
 * a batch ended.
 */
#ifndef EID_STATE_CELLS_INT_H
#define EID_STATE_CELLS_INT_H

#include "crdt/list.h"
#include "state/state_int.h"

#define EID_TWIG_HASH 16   /* bytes of BLAKE3: who finds two paths of one hash confuses a store of his own, alike on all peers */
#define EID_TWIG_LEVELS 44 /* Docs and Lists inside each other: the depth limit allows 43 */

/* A place in fold order as rows hold it. */
typedef struct eid_seat {
    int64_t height;
    int64_t n;
} eid_seat;

/* *out <0, 0, >0. Equal heights are rare enough to fetch the IDs then. */
eid_status eid_seat_compare(eid_storage *storage, const eid_seat *a, const eid_seat *b, int *out);

typedef struct eid_twig {
    eid_value_kind kind;
    bool atomic;           /* of a Doc: an atomic one is among what counts */
    bool odd;              /* of a key: two forms of one position met */
    bool has_cut;
    bool has_form;
    eid_seat last;         /* the last write */
    eid_seat cut;
    int64_t numerator;     /* with has_form: a list position as it was received, not in lowest terms */
    uint64_t denominator;
    eid_slice text;        /* of a leaf: its stored form */
} eid_twig;

void eid_twig_write(eid_buf *out, const eid_twig *twig);
eid_status eid_twig_read(eid_slice record, eid_twig *out); /* the text is lent by the record */

/* Hashes of containers: of the key's own value, and of a Doc or List inside one. */
void eid_twig_hash_key(eid_slice key, uint8_t out[EID_TWIG_HASH]);
void eid_twig_hash_child(const uint8_t parent[EID_TWIG_HASH], eid_slice name, uint8_t out[EID_TWIG_HASH]);
/* Names inside a container, put in place of what the buffer holds. */
void eid_twig_name_key(eid_buf *out, eid_slice key);
void eid_twig_name_slot(eid_buf *out, const eid_position *position);

/* A cell as it is kept. */
typedef struct eid_cell_row {
    bool found;
    bool leaf;             /* the value is neither Doc nor List; it is not in `value` then */
    eid_seat place;        /* the last entry that touched the key */
    int64_t newest;        /* the largest arrival number of one */
    eid_buf value;         /* the stored form as eid_cell_value reads it; the caller initialises and frees */
} eid_cell_row;

typedef struct eid_cells eid_cells;
typedef eid_status (*eid_twig_callback)(eid_slice name, eid_slice record, void *ctx);

/* Where cells and twigs are kept. What a callback is lent lives for the call, and nothing may be changed during it. */
typedef struct eid_cells_calls {
    eid_status (*read)(const eid_cells *cells, eid_slice key, eid_cell_row *row);
    eid_status (*write)(const eid_cells *cells, eid_slice key, eid_slice value, const eid_seat *place, int64_t newest);
    eid_status (*renew)(const eid_cells *cells, eid_slice key, int64_t newest); /* the value stays */
    eid_status (*retire)(const eid_cells *cells, eid_slice key, const eid_cell_row *row); /* its touch still happened */
    /* The first cell behind the key (NULL: the first of all); row->found false at the end. */
    eid_status (*next)(const eid_cells *cells, const eid_slice *after, eid_buf *key, eid_cell_row *row);
    eid_status (*get_twig)(const eid_cells *cells, const uint8_t *parent, eid_slice name, eid_buf *record, bool *found);
    eid_status (*put_twig)(const eid_cells *cells, const uint8_t *parent, eid_slice name, eid_slice record);
    eid_status (*remove_twig)(const eid_cells *cells, const uint8_t *parent, eid_slice name);
    eid_status (*remove_twigs)(const eid_cells *cells, const uint8_t *parent);
    eid_status (*each_twig)(const eid_cells *cells, const uint8_t *parent, eid_twig_callback callback, void *ctx);
    /* What came late to an odd key: it is to be folded from its entries, or (false) need not be any more. */
    eid_status (*refold)(const eid_cells *cells, eid_slice key, bool due);
} eid_cells_calls;

struct eid_cells {
    const eid_cells_calls *calls;
    eid_storage *storage;
    void *ctx;
    int64_t entry;         /* being applied: what it changes in split values is kept (kept.c); 0: nothing is */
    const uint8_t *key;    /* whose value is being changed: the hash of it; what is kept stands under it */
    eid_map *odd;          /* of rows: the keys to be folded again when the batch ends, see eid_state_batch; NULL: none can be */
};

/* The cells of a store in the data file. */
eid_cells eid_cells_of(eid_storage *storage, eid_tree_store *store);

/* ---- twigs.c: values made of twigs ---- */

/* Told from the stored form, without parsing it. */
bool eid_cell_is_leaf(eid_slice stored);
/* What a cell is, from its stored form. `inner` gets the value itself when it stands in the cell and is a Doc or List, else
 * NULL; the caller frees it. */
eid_status eid_cell_root(const eid_cell_row *row, eid_twig *out, eid_value **inner);
/* The stored form of a cell whose value is split (`whole` NULL) or stands in it. */
eid_status eid_cell_store(eid_buf *out, const eid_twig *root, const eid_value *whole);
/* The value of a cell from its stored form. */
eid_status eid_cell_value(const eid_cells *cells, eid_slice key, eid_slice stored, eid_value **out);
/* The same as far as a path from there on needs it, see eid_state_along. */
eid_status eid_cell_along(const eid_cells *cells, eid_slice key, eid_slice path, eid_slice stored, eid_value **out);
/* Takes away everything below a container. */
eid_status eid_twigs_clear(const eid_cells *cells, const uint8_t *parent);
/* Takes away what was last written before the place. */
eid_status eid_twigs_trim(const eid_cells *cells, const uint8_t *parent, const eid_seat *cut);

/* ---- kept.c: what split values in the data file were before the last entries ---- */

/* Before a cell that is no leaf, or a twig, is written. */
eid_status eid_kept_cell(const eid_cells *cells, eid_slice key);
eid_status eid_kept_twig(const eid_cells *cells, const uint8_t *parent, eid_slice name);
/* Before twigs are removed. */
eid_status eid_kept_wall(const eid_cells *cells);
/* When the store is changed otherwise than by applying the next entry. */
eid_status eid_kept_forget(const eid_cells *cells);
/* The value of the key as of this arrival number, as far as the path from there on needs it. *known false: that is not kept. */
eid_status eid_kept_read(const eid_cells *cells, eid_slice key, eid_slice path, int64_t up_to, bool *known, eid_value **out);

/* ---- take.c: merging into cells ---- */

typedef struct eid_taken {
    bool found;            /* the key had a cell */
    bool behind;           /* what was taken sorts behind that cell's place */
    eid_seat place;        /* that cell's place */
} eid_taken;

/* What an entry wrote under one key. */
eid_status eid_cells_take(const eid_cells *cells, const eid_node *node, eid_slice key, const eid_value *value, eid_taken *out);
/* A barrier: what was last written before it goes. */
eid_status eid_cells_cut(const eid_cells *cells, const eid_node *barrier);
/* An odd key was folded from its entries: it stays odd. *place gets that of its cell. */
eid_status eid_cells_stay_odd(const eid_cells *cells, eid_slice key, eid_seat *place);

#endif
