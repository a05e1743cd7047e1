/* SPDX-License-Identifier: Apache-2.0 */
/* Stores inside a transaction: DocStore and the settings of the database; tables are in eidetica/table.h.
 *
 * The first use of a store name registers its type in the database; later uses with another type fail with
 * EID_ERR_TYPE_MISMATCH. Store names are non-empty UTF-8 without "." and do not start with "_" (EID_ERR_STORE_NAME).
 * Reads see the state the transaction started from plus everything staged in it, deletions included.
 */
#ifndef EIDETICA_STORE_H
#define EIDETICA_STORE_H

#include <eidetica/auth.h>
#include <eidetica/database.h>
#include <eidetica/registry.h>
#include <eidetica/table.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- DocStore: one document. Paths as in eidetica/doc.h; eidetica/editor.h has the same with shorter paths ---- */

/* Setting. What is staged becomes part of the entry as it was given: only what was set travels, not the document around it,
 * so concurrent changes of other keys never meet. Changes staged in turn have the effect they would have if each were
 * committed by itself.
 *
 * A leaf (null, bool, int, text) takes the place of what stands there; Docs are made on the way. A Doc or List is merged
 * into the Doc or List that stands there, an atomic Doc takes its place. A path may lead through Lists by the index of an
 * element; then that element alone is changed.
 * EID_ERR_INVALID_PATH, EID_ERR_INDEX_OUT_OF_BOUNDS, EID_ERR_DEPTH, EID_ERR_UTF8. */
EID_API eid_status eid_docstore_set(eid_txn *txn, const char *store, const char *path, const eid_value *value);
EID_API eid_status eid_docstore_set_null(eid_txn *txn, const char *store, const char *path);
EID_API eid_status eid_docstore_set_bool(eid_txn *txn, const char *store, const char *path, bool value);
EID_API eid_status eid_docstore_set_int(eid_txn *txn, const char *store, const char *path, int64_t value);
EID_API eid_status eid_docstore_set_text(eid_txn *txn, const char *store, const char *path, const char *text);
EID_API eid_status eid_docstore_set_doc(eid_txn *txn, const char *store, const char *path, const eid_doc *value);
EID_API eid_status eid_docstore_set_list(eid_txn *txn, const char *store, const char *path, const eid_list *value);
/* Plain JSON: objects become Docs, arrays Lists (eid_value_from_plain_json). EID_ERR_SYNTAX, EID_ERR_RANGE. */
EID_API eid_status eid_docstore_set_json(eid_txn *txn, const char *store, const char *path, const char *json);

/* Makes the value at the path equal to this one, by staging only what differs: fields that are equal are left to others,
 * fields and elements that are missing are deleted. The way back for a value that was read and changed. Nothing is staged
 * when nothing differs. */
EID_API eid_status eid_docstore_update(eid_txn *txn, const char *store, const char *path, const eid_value *value);
/* "Take all of this": nothing of what stood there stays, nor what others write there concurrently and sorts before it. */
EID_API eid_status eid_docstore_replace(eid_txn *txn, const char *store, const char *path, const eid_value *value);
/* The value that is there, or this one, which is then set. eid_value_free. */
EID_API eid_status eid_docstore_get_or_set(eid_txn *txn, const char *store, const char *path, const eid_value *initial,
                                           eid_value **out);
/* *deleted (may be NULL) tells whether a live value was there; when none was, nothing is staged. */
EID_API eid_status eid_docstore_delete(eid_txn *txn, const char *store, const char *path, bool *deleted);

/* The whole document, as above: every key of the change is set; all is made equal; all is replaced. */
EID_API eid_status eid_docstore_merge(eid_txn *txn, const char *store, const eid_doc *change);
EID_API eid_status eid_docstore_update_all(eid_txn *txn, const char *store, const eid_doc *doc);
EID_API eid_status eid_docstore_replace_all(eid_txn *txn, const char *store, const eid_doc *doc);

/* Free what is handed out with eid_value_free, eid_free (text), eid_doc_free, eid_list_free.
 * EID_ERR_KEY_NOT_FOUND, EID_ERR_TYPE_MISMATCH (the sentence names the path and both kinds). */
EID_API eid_status eid_docstore_get(eid_txn *txn, const char *store, const char *path, eid_value **out);
EID_API eid_status eid_docstore_get_text(eid_txn *txn, const char *store, const char *path, char **out, size_t *len);
EID_API eid_status eid_docstore_get_int(eid_txn *txn, const char *store, const char *path, int64_t *out);
EID_API eid_status eid_docstore_get_bool(eid_txn *txn, const char *store, const char *path, bool *out);
EID_API eid_status eid_docstore_get_doc(eid_txn *txn, const char *store, const char *path, eid_doc **out);
EID_API eid_status eid_docstore_get_list(eid_txn *txn, const char *store, const char *path, eid_list **out);
EID_API eid_status eid_docstore_get_json(eid_txn *txn, const char *store, const char *path, char **out, size_t *len);
EID_API eid_status eid_docstore_contains(eid_txn *txn, const char *store, const char *path, bool *out);
/* The whole document; free with eid_doc_free. */
EID_API eid_status eid_docstore_get_all(eid_txn *txn, const char *store, eid_doc **out);

/* Calls back for every live key of the Doc at the path (NULL: of the store) in byte order, starting behind `after` (NULL:
 * from the start); false stops. What is lent lives for the call. The keys of the store are read a few at a time, however many
 * there are. EID_ERR_KEY_NOT_FOUND and EID_ERR_TYPE_MISMATCH for the path. */
typedef bool (*eid_key_callback)(const char *key, size_t key_len, const eid_value *value, void *ctx);
EID_API eid_status eid_docstore_scan(eid_txn *txn, const char *store, const char *path, const char *after,
                                     eid_key_callback callback, void *ctx);

/* Lists. Elements are read, set and deleted by paths ("list.0"), the whole is read with eid_docstore_get_list. New elements
 * go behind the last one, to an index, or beside an element that is named by its position; where nothing stands, a List is
 * made. Only the new element travels, so that what others do to the List stays. Each call reads the whole List: for very
 * many elements at a time change a copy of it and use eid_docstore_update.
 * EID_ERR_TYPE_MISMATCH when something else stands there, EID_ERR_INDEX_OUT_OF_BOUNDS; EID_ERR_KEY_NOT_FOUND for a
 * neighbour that never was in the List; EID_ERR_LIMIT as in eidetica/doc.h. `out` (may be NULL) gets the new position. */
EID_API eid_status eid_docstore_push(eid_txn *txn, const char *store, const char *path, const eid_value *value);
EID_API eid_status eid_docstore_insert(eid_txn *txn, const char *store, const char *path, size_t index,
                                       const eid_value *value);
EID_API eid_status eid_docstore_insert_after(eid_txn *txn, const char *store, const char *path,
                                             const eid_list_position *neighbour, const eid_value *value,
                                             eid_list_position *out);
EID_API eid_status eid_docstore_insert_before(eid_txn *txn, const char *store, const char *path,
                                              const eid_list_position *neighbour, const eid_value *value,
                                              eid_list_position *out);

/* Reading without a transaction, at the current frontier, as eid_database_get does. */
EID_API eid_status eid_database_get_text(eid_database *database, const char *store, const char *path, char **out,
                                         size_t *len);
EID_API eid_status eid_database_get_int(eid_database *database, const char *store, const char *path, int64_t *out);
EID_API eid_status eid_database_get_bool(eid_database *database, const char *store, const char *path, bool *out);
EID_API eid_status eid_database_get_doc(eid_database *database, const char *store, const char *path, eid_doc **out);
EID_API eid_status eid_database_get_list(eid_database *database, const char *store, const char *path, eid_list **out);
EID_API eid_status eid_database_get_json(eid_database *database, const char *store, const char *path, char **out,
                                         size_t *len);
EID_API eid_status eid_database_contains(eid_database *database, const char *store, const char *path, bool *out);
EID_API eid_status eid_database_docstore_scan(eid_database *database, const char *store, const char *path,
                                              const char *after, eid_key_callback callback, void *ctx);

/* ---- Settings of the database (needs Admin to commit); rights are in eidetica/auth.h ---- */

EID_API eid_status eid_settings_set_name(eid_txn *txn, const char *name);
EID_API eid_status eid_settings_get(eid_txn *txn, const char *path, eid_value **out); /* eid_value_free */
EID_API eid_status eid_settings_set(eid_txn *txn, const char *path, const eid_value *value);
EID_API eid_status eid_settings_delete(eid_txn *txn, const char *path, bool *deleted);
/* As eid_docstore_scan; eid_settings_edit of eidetica/editor.h has all the other ways to read and change them. */
EID_API eid_status eid_settings_scan(eid_txn *txn, const char *path, const char *after, eid_key_callback callback, void *ctx);
/* The `name` setting; eid_free. EID_ERR_KEY_NOT_FOUND when there is none. */
EID_API eid_status eid_settings_get_name(eid_txn *txn, char **out);
/* How entries of the database are ordered (eidetica/registry.h). A store may have a strategy of its own. */
EID_API eid_status eid_settings_set_height_strategy(eid_txn *txn, eid_height_strategy strategy);
EID_API eid_status eid_settings_get_height_strategy(eid_txn *txn, eid_height_strategy *out);

#ifdef __cplusplus
}
#endif
#endif
