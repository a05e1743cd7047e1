/* SPDX-License-Identifier: Apache-2.0 */
/* What the store types share: reading and staging at a path. */
#ifndef EID_STORE_STORE_INT_H
#define EID_STORE_STORE_INT_H

#include <eidetica/store.h>

#include "auth/auth.h"
#include "crdt/doc.h"
#include "database/txn.h"

/* A document that holds just the top-level child the path touches, committed and staged combined; empty when there is
 * none. eid_doc_free. */
eid_status eid_store_touched(eid_txn_store *store, eid_slice path, eid_doc **out);

/* The live value at the path, committed and staged combined; the caller frees it. EID_ERR_KEY_NOT_FOUND. */
eid_status eid_store_read(eid_txn_store *store, eid_slice path, eid_value **out);

/* Stages the value at the path, through Lists too: only the slots on the way are staged, so that concurrent
 * changes of other elements survive. Takes the value, on failure too. EID_ERR_INVALID_PATH,
 * EID_ERR_INDEX_OUT_OF_BOUNDS, EID_ERR_DEPTH. */
eid_status eid_store_stage_made(eid_txn_store *store, eid_slice path, eid_value *value);

/* ---- Tables ---- */

/* The shortest decimal form that reads back as the same number; false when there is none. */
#define EID_REAL_TEXT_SIZE 40
bool eid_real_format(double value, char out[EID_REAL_TEXT_SIZE]);

/* Completes a declared index. EID_ERR_NOT_FOUND. */
eid_status eid_table_finish_index(eid_database *database, const char *store, const char *field);

/* ---- Settings ---- */

eid_status eid_settings_store(eid_txn *txn, eid_txn_store **out);
/* The access rules as the transaction sees them; unref. */
eid_status eid_settings_auth(eid_txn *txn, eid_auth_settings **out);
eid_status eid_settings_check_permission(eid_permission permission); /* EID_ERR_INVALID_ARGUMENT */
/* Stages a record at a path of the settings; takes it, also on failure. NULL: a tombstone. */
eid_status eid_settings_stage_record(eid_txn *txn, const char *path, eid_doc *record);

#endif
