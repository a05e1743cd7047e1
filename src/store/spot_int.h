/* SPDX-License-Identifier: Apache-2.0 */
/* Spots in a document store: what DocStores, editors and settings have in common.
 *
 * A spot is a path, or the whole document. Everything is read as committed and staged combined. */
#ifndef EID_STORE_SPOT_INT_H
#define EID_STORE_SPOT_INT_H

#include "store/store_int.h"

typedef struct eid_spot {
    eid_txn_store *store;
    const char *path; /* NULL: the whole document, which is always there */
} eid_spot;

/* ---- Reading ---- */

eid_status eid_spot_get(const eid_spot *place, eid_value **out);
eid_status eid_spot_get_bool(const eid_spot *place, bool *out);
eid_status eid_spot_get_int(const eid_spot *place, int64_t *out);
eid_status eid_spot_get_text(const eid_spot *place, char **out, size_t *len);
eid_status eid_spot_get_doc(const eid_spot *place, eid_doc **out);
eid_status eid_spot_get_list(const eid_spot *place, eid_list **out);
eid_status eid_spot_get_json(const eid_spot *place, char **out, size_t *len);
eid_status eid_spot_contains(const eid_spot *place, bool *out);
eid_status eid_spot_scan(const eid_spot *place, const char *after, eid_key_callback callback, void *ctx);

/* Kinds of values that were read, for messages that name path, kind found and kind wanted. All take the value, also on
 * failure. `where` is the path, or NULL. */
eid_status eid_value_expect(eid_value *value, const char *store, const char *where, eid_value_kind kind, eid_value **out);
eid_status eid_value_take_text(eid_value *value, char **out, size_t *len);
eid_status eid_value_take_doc(eid_value *value, eid_doc **out);
eid_status eid_value_take_list(eid_value *value, eid_list **out);
eid_status eid_value_take_json(eid_value *value, char **out, size_t *len);
/* The keys of a Doc behind `after` (NULL: all). */
eid_status eid_doc_scan(const eid_doc *doc, const char *after, eid_key_callback callback, void *ctx);

/* A callback for children that gets keys without their zero. */
typedef struct eid_key_scan {
    eid_key_callback callback;
    void *ctx;
    eid_buf key;
    eid_status status;
} eid_key_scan;
void eid_key_scan_start(eid_key_scan *scan, eid_key_callback callback, void *ctx);
bool eid_key_scan_show(eid_slice key, const eid_value *value, void *ctx); /* an eid_child_callback; ctx: the scan */
eid_status eid_key_scan_end(eid_key_scan *scan, eid_status status);

/* ---- Changing ---- */

eid_status eid_spot_set(const eid_spot *place, const eid_value *value);
eid_status eid_spot_set_made(const eid_spot *place, eid_value *value); /* takes the value, also on failure */
eid_status eid_spot_set_json(const eid_spot *place, const char *json);
eid_status eid_spot_replace(const eid_spot *place, const eid_value *value);
eid_status eid_spot_update(const eid_spot *place, const eid_value *value);
eid_status eid_spot_get_or_set(const eid_spot *place, const eid_value *initial, eid_value **out);
eid_status eid_spot_delete(const eid_spot *place, bool *deleted);

#define EID_SPOT_END SIZE_MAX /* as an index: behind the last element */
eid_status eid_spot_insert(const eid_spot *place, size_t index, const eid_value *value);
eid_status eid_spot_insert_beside(const eid_spot *place, bool after, const eid_list_position *neighbour,
                                   const eid_value *value, eid_list_position *out);

#endif
