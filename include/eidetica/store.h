/* SPDX-License-Identifier: Apache-2.0 */
/* Stores inside a transaction: DocStore, Table and the settings of the database.
 *
 * The first use of a store name registers its type in the database; later uses with another type fail with
 * EID_ERR_TYPE_MISMATCH. Store names are non-empty UTF-8 without "." and do not start with "_" (EID_ERR_STORE_NAME).
 * Reads see the state the transaction started from plus everything staged in it, deletions included.
 */
#ifndef EIDETICA_STORE_H
#define EIDETICA_STORE_H

#include <eidetica/database.h>

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

/* ---- Table: rows of JSON text under a key ---- */

#define EID_ROW_KEY_SIZE 37 /* a UUID in text form and the zero */

/* The row is any UTF-8 text; other programs expect JSON (EID_ERR_SYNTAX when it is not). Row keys may not be empty or hold
 * "." (EID_ERR_INVALID_PATH). */
EID_API eid_status eid_table_insert(eid_txn *txn, const char *store, const char *row, char key[EID_ROW_KEY_SIZE]);
EID_API eid_status eid_table_set(eid_txn *txn, const char *store, const char *key, const char *row);
EID_API eid_status eid_table_get(eid_txn *txn, const char *store, const char *key, char **row, size_t *len); /* eid_free */
EID_API eid_status eid_table_delete(eid_txn *txn, const char *store, const char *key, bool *deleted);

/* Calls back for every row in key order, starting behind `after` (NULL: from the start); false stops. What is lent lives
 * for the call. */
typedef bool (*eid_row_callback)(const char *key, const char *row, size_t row_len, void *ctx);
EID_API eid_status eid_table_scan(eid_txn *txn, const char *store, const char *after, eid_row_callback callback, void *ctx);
/* The same without a transaction, at the current frontier. */
EID_API eid_status eid_database_table_scan(eid_database *database, const char *store, const char *after,
                                           eid_row_callback callback, void *ctx);

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
