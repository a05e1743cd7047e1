/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions inside the library: what the store types build on.
 *
 * A store in a transaction is committed state (as of the transaction's start) and a staged delta document. Reads combine
 * the two by merging, so staged deletions are seen.
 */
#ifndef EID_DATABASE_TXN_H
#define EID_DATABASE_TXN_H

#include "database/database.h"

typedef struct eid_txn_store eid_txn_store;

#define EID_TYPE_DOCSTORE "docstore:v0"
#define EID_TYPE_TABLE "table:v0"

eid_database *eid_txn_database(const eid_txn *txn);

/* Opens a store in the transaction. `type` NULL: a system subtree (`_settings`, `_index`), no registry. Otherwise the name
 * is checked (EID_ERR_STORE_NAME), the registered type must be this one (EID_ERR_TYPE_MISMATCH), and an unregistered store
 * is registered once something is staged in it. Lent: lives as long as the transaction. */
eid_status eid_txn_open_store(eid_txn *txn, const char *name, const char *type, eid_txn_store **out);

/* The staged delta. Change it only through the functions below. */
const eid_doc *eid_txn_store_delta(const eid_txn_store *store);

/* Committed child merged with the staged one, under exactly this top-level key; tombstones give NULL as absence does.
 * The value is the caller's (eid_value_free). */
eid_status eid_txn_store_child(eid_txn_store *store, eid_slice key, eid_value **out);
/* Committed and staged, whole; eid_doc_free. */
eid_status eid_txn_store_all(eid_txn_store *store, eid_doc **out);
/* Rows in key order behind `after` (NULL: from the start), committed and staged combined, live ones only. The value is lent
 * for the call; false stops. */
typedef bool (*eid_child_callback)(eid_slice key, const eid_value *value, void *ctx);
eid_status eid_txn_store_scan(eid_txn_store *store, const eid_slice *after, eid_child_callback callback, void *ctx);

/* Stages a value at a path (eid_doc_set_path on the delta; takes the value on success). A write below something deleted in
 * this transaction keeps the deletion, by staging an atomic Doc (crdt.md section 9). */
eid_status eid_txn_store_set(eid_txn_store *store, eid_slice path, eid_value *value);
/* Stages a value under exactly this key, no path rules. */
eid_status eid_txn_store_put(eid_txn_store *store, eid_slice key, eid_value *value);

/* Committed state at the current frontier without a transaction, for reading handles. */
eid_status eid_database_scan(eid_database *database, const char *store, const eid_slice *after, eid_child_callback callback,
                             void *ctx);

#endif
