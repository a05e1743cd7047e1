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
    eid_doc *committed;           /* folded once, for transactions at chosen tips; NULL otherwise */
};

struct eid_txn {
    eid_database *database;
    eid_view view;                /* what the transaction sees */
    int64_t *members;             /* owned; behind view.members */
    eid_node *parents;            /* main parents of the entry to be */
    size_t parent_count;
    eid_map *stores;              /* name -> eid_txn_store */
    bool committed;
};

/* The store's committed state within the view as one document, for views that are not current; eid_doc_free. Lock held. */
eid_status eid_txn_store_fold(eid_txn_store *store, eid_tree_store *tree_store, eid_doc **out);
eid_status eid_txn_usable(const eid_txn *txn);

#endif
