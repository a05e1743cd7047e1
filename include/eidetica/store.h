/* SPDX-License-Identifier: Apache-2.0 */
/* Stores inside a transaction: DocStore and the settings of the database; tables are in eidetica/table.h.
 *
 * The first use of a store name registers its type in the database; later uses with another type fail with
 * EID_ERR_TYPE_MISMATCH. Store names are non-empty UTF-8 without "." and do not start with "_" (EID_ERR_STORE_NAME).
 * Reads see the state the transaction started from plus everything staged in it, deletions included.
 */
#ifndef EIDETICA_STORE_H
#define EIDETICA_STORE_H

#include <eidetica/database.h>
#include <eidetica/table.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- DocStore: one document. Paths as in eidetica/doc.h ---- */

EID_API eid_status eid_docstore_set(eid_txn *txn, const char *store, const char *path, const eid_value *value);
EID_API eid_status eid_docstore_set_null(eid_txn *txn, const char *store, const char *path);
EID_API eid_status eid_docstore_set_bool(eid_txn *txn, const char *store, const char *path, bool value);
EID_API eid_status eid_docstore_set_int(eid_txn *txn, const char *store, const char *path, int64_t value);
EID_API eid_status eid_docstore_set_text(eid_txn *txn, const char *store, const char *path, const char *text);
EID_API eid_status eid_docstore_set_doc(eid_txn *txn, const char *store, const char *path, const eid_doc *value);
/* *deleted (may be NULL) tells whether a live value was there; when none was, nothing is staged. */
EID_API eid_status eid_docstore_delete(eid_txn *txn, const char *store, const char *path, bool *deleted);

/* Free the value with eid_value_free, the text with eid_free. EID_ERR_KEY_NOT_FOUND, EID_ERR_TYPE_MISMATCH. */
EID_API eid_status eid_docstore_get(eid_txn *txn, const char *store, const char *path, eid_value **out);
EID_API eid_status eid_docstore_get_text(eid_txn *txn, const char *store, const char *path, char **out, size_t *len);
EID_API eid_status eid_docstore_get_int(eid_txn *txn, const char *store, const char *path, int64_t *out);
EID_API eid_status eid_docstore_get_bool(eid_txn *txn, const char *store, const char *path, bool *out);
EID_API eid_status eid_docstore_contains(eid_txn *txn, const char *store, const char *path, bool *out);
/* The whole document; free with eid_doc_free. */
EID_API eid_status eid_docstore_get_all(eid_txn *txn, const char *store, eid_doc **out);

/* ---- Settings of the database (needs Admin to commit) ---- */

typedef enum eid_key_status {
    EID_KEY_ACTIVE,
    EID_KEY_REVOKED
} eid_key_status;

EID_API eid_status eid_settings_set_name(eid_txn *txn, const char *name);
/* Grants or changes a key: overwrites its record. `name` may be NULL. */
EID_API eid_status eid_settings_set_auth_key(eid_txn *txn, const eid_pubkey *key, const char *name, eid_permission permission,
                                             eid_key_status status);
/* Lets everybody in at this level, without a key of their own being listed. */
EID_API eid_status eid_settings_set_global_permission(eid_txn *txn, eid_permission permission);
EID_API eid_status eid_settings_get(eid_txn *txn, const char *path, eid_value **out); /* eid_value_free */
EID_API eid_status eid_settings_set(eid_txn *txn, const char *path, const eid_value *value);

#ifdef __cplusplus
}
#endif
#endif
