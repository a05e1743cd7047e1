/* SPDX-License-Identifier: Apache-2.0 */
/* Editors: a place inside a document from which paths go on.
 *
 *     eid_docstore_edit(txn, "people", "ada.address", &address);
 *     eid_editor_set_text(address, "street", "Broadway 1");
 *     eid_editor_get_text(address, "city", &city, NULL);
 *     eid_editor_close(address);
 *
 * An editor holds no values and stages nothing by itself: every call does what the function of the same name in
 * eidetica/store.h does at the joined path, with the same errors. Where a path may be NULL it means the editor's own place.
 * An empty path, or one of dots only, is EID_ERR_INVALID_PATH, except that an editor of the whole document knows the empty
 * key.
 *
 * The whole document is a Doc that is always there: setting it sets the keys of the Doc that is given, deleting it deletes
 * all keys, anything but a Doc is EID_ERR_TYPE_MISMATCH.
 *
 * An editor may not be used when its transaction has been freed; closing it is possible at any time.
 */
#ifndef EIDETICA_EDITOR_H
#define EIDETICA_EDITOR_H

#include <eidetica/store.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct eid_editor eid_editor;

/* At a path of a DocStore, of the settings of the database, or from another editor on; `path` NULL: the whole document, the
 * place of the other editor. Nothing needs to be there. */
EID_API eid_status eid_docstore_edit(eid_txn *txn, const char *store, const char *path, eid_editor **out);
EID_API eid_status eid_settings_edit(eid_txn *txn, const char *path, eid_editor **out);
EID_API eid_status eid_editor_enter(const eid_editor *editor, const char *path, eid_editor **out);
EID_API void eid_editor_close(eid_editor *editor); /* NULL is allowed */
EID_API const char *eid_editor_path(const eid_editor *editor); /* lent; NULL: the whole document */

EID_API eid_status eid_editor_get(const eid_editor *editor, const char *path, eid_value **out);
EID_API eid_status eid_editor_get_bool(const eid_editor *editor, const char *path, bool *out);
EID_API eid_status eid_editor_get_int(const eid_editor *editor, const char *path, int64_t *out);
EID_API eid_status eid_editor_get_text(const eid_editor *editor, const char *path, char **out, size_t *len);
EID_API eid_status eid_editor_get_doc(const eid_editor *editor, const char *path, eid_doc **out);
EID_API eid_status eid_editor_get_list(const eid_editor *editor, const char *path, eid_list **out);
EID_API eid_status eid_editor_get_json(const eid_editor *editor, const char *path, char **out, size_t *len);
EID_API eid_status eid_editor_contains(const eid_editor *editor, const char *path, bool *out);
EID_API eid_status eid_editor_scan(const eid_editor *editor, const char *path, const char *after,
                                   eid_key_callback callback, void *ctx);

EID_API eid_status eid_editor_set(const eid_editor *editor, const char *path, const eid_value *value);
EID_API eid_status eid_editor_set_null(const eid_editor *editor, const char *path);
EID_API eid_status eid_editor_set_bool(const eid_editor *editor, const char *path, bool value);
EID_API eid_status eid_editor_set_int(const eid_editor *editor, const char *path, int64_t value);
EID_API eid_status eid_editor_set_text(const eid_editor *editor, const char *path, const char *text);
EID_API eid_status eid_editor_set_doc(const eid_editor *editor, const char *path, const eid_doc *value);
EID_API eid_status eid_editor_set_list(const eid_editor *editor, const char *path, const eid_list *value);
EID_API eid_status eid_editor_set_json(const eid_editor *editor, const char *path, const char *json);
EID_API eid_status eid_editor_update(const eid_editor *editor, const char *path, const eid_value *value);
EID_API eid_status eid_editor_replace(const eid_editor *editor, const char *path, const eid_value *value);
EID_API eid_status eid_editor_get_or_set(const eid_editor *editor, const char *path, const eid_value *initial,
                                         eid_value **out);
EID_API eid_status eid_editor_delete(const eid_editor *editor, const char *path, bool *deleted);

EID_API eid_status eid_editor_push(const eid_editor *editor, const char *path, const eid_value *value);
EID_API eid_status eid_editor_insert(const eid_editor *editor, const char *path, size_t index, const eid_value *value);
EID_API eid_status eid_editor_insert_after(const eid_editor *editor, const char *path,
                                           const eid_list_position *neighbour, const eid_value *value,
                                           eid_list_position *out);
EID_API eid_status eid_editor_insert_before(const eid_editor *editor, const char *path,
                                            const eid_list_position *neighbour, const eid_value *value,
                                            eid_list_position *out);

#ifdef __cplusplus
}
#endif
#endif
