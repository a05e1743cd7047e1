/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions: their insides, shared by staging (txn.c), scanning (scan.c) and commit (commit.c). */
#ifndef EID_DATABASE_TXN_INT_H
#define EID_DATABASE_TXN_INT_H

#include "database/database_int.h"

struct eid_txn_store {
    eid_txn *txn;
    char *name;
    const char *type;             /* NULL for system subtrees */
    bool registered;              /* its record stands in `_index` within the view */
    bool has_strategy;            /* the record names a height strategy of its own */
    eid_height_strategy strategy;
    eid_doc *delta;
    eid_store_codec *codec;       /* NULL: payloads are the documents themselves */
    eid_doc *committed;           /* folded once, for what cells can not answer; NULL otherwise */
    uint64_t row_base;            /* first bits of the keys of new rows; 0: none was made yet */
    uint64_t row_count;
};

struct eid_txn {
    eid_database *database;
    eid_signer *signer;           /* NULL: reading only */
    eid_view view;                /* what the transaction sees */
    int64_t *members;             /* owned; behind view.members */
    eid_node *parents;            /* main parents of the entry to be */
    size_t parent_count;
    eid_map *stores;              /* name -> eid_txn_store */
    bool committed;
};

/* The store's committed state within the view as one document, for what cells can not answer; eid_doc_free. Lock held. */
eid_status eid_txn_store_fold(eid_txn_store *store, eid_tree_store *tree_store, eid_doc **out);
eid_status eid_txn_usable(const eid_txn *txn);
/* The committed value of one top-level key, as far as what is staged lets it count; NULL when absent. eid_value_free. */
eid_status eid_txn_store_committed(eid_txn_store *store, eid_slice key, eid_value **out);

/* A store that the transaction has not opened yet, without a look into the registry; and its entry into the transaction,
 * which takes it on success. */
eid_status eid_txn_store_new(eid_txn *txn, const char *name, const char *type, eid_txn_store **out);
void eid_txn_store_free(eid_txn_store *store);
eid_status eid_txn_store_enter(eid_txn_store *store);
/* Reads the registry record: the type, which must be this one, and the height strategy. */
eid_status eid_txn_store_registered(eid_txn_store *store, const eid_value *record, const char *type);

/* ---- hidden.c: stores with a codec; lock held but for encoding ---- */

/* `path` empty: the whole value of the key; else the path that begins with it. */
eid_status eid_hidden_child(eid_txn_store *store, eid_tree_store *tree_store, eid_slice key, eid_slice path, eid_value **out);
eid_status eid_hidden_fold(eid_txn_store *store, eid_tree_store *tree_store, eid_doc **out);
/* *usable false: the cells show more than the transaction may see; fold. */
eid_status eid_hidden_cells(eid_txn_store *store, eid_tree_store *tree_store, const eid_slice *after, size_t limit,
                            eid_cell *out, size_t *count, bool *usable);
/* Replaces the text of the document by the payload. */
eid_status eid_hidden_encode(const eid_store_codec *codec, char **data, size_t *len);

#endif
