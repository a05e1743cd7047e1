/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions inside the library: what the store types build on.
 *
 * A store in a transaction is committed state (as of the transaction's start) and a staged delta document. Reads combine
 * the two by merging, so staged deletions are seen.
 */
#ifndef EID_DATABASE_TXN_H
#define EID_DATABASE_TXN_H

#include <eidetica/registry.h>

#include "database/database.h"

typedef struct eid_txn_store eid_txn_store;

#define EID_TYPE_DOCSTORE "docstore:v0"
#define EID_TYPE_TABLE "table:v0"

eid_database *eid_txn_database(const eid_txn *txn);

/* Opens a store in the transaction. `type` NULL: a system subtree (`_settings`, `_index`), no registry. Otherwise the name
 * is checked (EID_ERR_STORE_NAME), the registered type must be this one (EID_ERR_TYPE_MISMATCH), and an unregistered store
 * is registered once something is staged in it. Lent: lives as long as the transaction. */
eid_status eid_txn_open_store(eid_txn *txn, const char *name, const char *type, eid_txn_store **out);

/* Commits transactions of different databases of one core, all or nothing: eid_txn_commit of each, in one storage
 * transaction. At least one. `ids` (may be NULL) has a place for each. */
eid_status eid_txn_commit_all(eid_txn *const *txns, size_t count, eid_id *ids);

/* ---- The registry ---- */

/* A record; `config` NULL: empty. eid_doc_free. */
eid_status eid_store_record_new(const char *type, const eid_doc *config, eid_doc **out);
/* The height strategy the record names; *has false: none, *out is not written. */
void eid_store_record_strategy(const eid_value *record, bool *has, eid_height_strategy *out);
/* From the value of a `height_strategy`: text that holds JSON text. Anything else, and NULL, is incremental. */
eid_height_strategy eid_height_strategy_of(const eid_value *value);
/* The store's record in the registry as the transaction sees it; NULL when there is none. eid_value_free. */
eid_status eid_txn_store_record(eid_txn *txn, const char *name, eid_value **out);
/* Refuses to register a store that is not in the registry as another type than the transaction has it open as, or one that
 * holds encrypted data: EID_ERR_TYPE_MISMATCH. */
eid_status eid_txn_check_unregistered(eid_txn *txn, const char *name, const char *type);
/* The record was staged: the commit need not make one. */
void eid_txn_note_registered(eid_txn *txn, const char *name);

/* ---- Stores with hidden payloads ---- */

/* How a store's documents become payloads at commit and come back: the same for every transaction that may read it, so it
 * is counted, and it carries the decoded state from one transaction to the next. */
typedef struct eid_store_codec eid_store_codec;

typedef struct eid_store_codec_calls {
    eid_status (*encode)(const void *ctx, eid_slice document, eid_buf *payload);
    eid_status (*decode)(const void *ctx, eid_slice payload, eid_buf *document); /* see eid_decoder */
    void (*release)(void *ctx);                                                   /* when the last one lets go */
} eid_store_codec_calls;

/* Takes ctx on success. For one store of one database; any thread. */
eid_status eid_store_codec_new(const eid_store_codec_calls *calls, void *ctx, eid_store_codec **out);
void eid_store_codec_unref(eid_store_codec *codec); /* NULL is allowed */
/* Payloads met so far that could not be decoded. */
uint64_t eid_store_codec_left_out(const eid_store_codec *codec, eid_core *core);

/* Refuses a name no store may have: EID_ERR_STORE_NAME. */
eid_status eid_store_name_check(const char *name);
/* Whether the transaction has opened the store, in whatever way. */
bool eid_txn_has_open_store(const eid_txn *txn, const char *name);

/* Opens a store that stands in the registry as `registered`, and gives it the codec: from then on it is of type `type` in
 * this transaction. Both texts must be constants. EID_ERR_CONFLICT when it is open already. */
eid_status eid_txn_open_hidden(eid_txn *txn, const char *name, const char *registered, const char *type,
                               eid_store_codec *codec);
/* The same for a store that is to be registered with this record, which is taken on success. EID_ERR_CONFLICT also when the
 * store has entries: they would no longer be read. */
eid_status eid_txn_register_hidden(eid_txn *txn, const char *name, const char *type, eid_store_codec *codec,
                                   eid_value *record);

/* ---- Reading and staging ---- */

const char *eid_txn_store_name(const eid_txn_store *store); /* lent */
/* The staged delta. Change it only through the functions below. */
const eid_doc *eid_txn_store_delta(const eid_txn_store *store);

/* Committed child merged with the staged one, under exactly this top-level key; tombstones give NULL as absence does.
 * The value is the caller's (eid_value_free). */
eid_status eid_txn_store_child(eid_txn_store *store, eid_slice key, eid_value **out);
/* The same of the first key of a path, as far as the rest of the path needs it (eid_state_along). */
eid_status eid_txn_store_along(eid_txn_store *store, eid_slice path, eid_value **out);
/* Committed and staged, whole; eid_doc_free. */
eid_status eid_txn_store_all(eid_txn_store *store, eid_doc **out);
/* Rows in key order behind `after` (NULL: from the start), committed and staged combined, live ones only. The value is lent
 * for the call; false stops. */
typedef bool (*eid_child_callback)(eid_slice key, const eid_value *value, void *ctx);
eid_status eid_txn_store_scan(eid_txn_store *store, const eid_slice *after, eid_child_callback callback, void *ctx);

/* Staging. Whatever is staged in turn has the effect that committing it in turn would have: so a write below something
 * deleted in this transaction keeps the deletion, by an atomic Doc (crdt.md section 9). On failure nothing has changed.
 *
 * A value at a path, which may not lead through Lists; takes the value on success. A Doc or List merges with what stands
 * there. EID_ERR_INVALID_PATH, EID_ERR_DEPTH, EID_ERR_UTF8. */
eid_status eid_txn_store_set(eid_txn_store *store, eid_slice path, eid_value *value);
/* A value in the place of what is staged under exactly this key, no path rules; takes the value on success. */
eid_status eid_txn_store_put(eid_txn_store *store, eid_slice key, eid_value *value);
/* A whole change; an atomic one takes the place of everything, staged or committed. */
eid_status eid_txn_store_apply(eid_txn_store *store, const eid_doc *change);

/* Committed state at the current frontier without a transaction, for reading handles. */
eid_status eid_database_scan(eid_database *database, const char *store, const eid_slice *after, eid_child_callback callback,
                             void *ctx);

#endif
