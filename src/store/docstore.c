/* SPDX-License-Identifier: Apache-2.0 */
/* DocStore: one document, addressed by paths (spec stores.md section 2). */
#include "store/spot_int.h"

/* The place at a path of a DocStore; a path is needed here, so NULL does not mean the whole. */
static eid_status place_at(eid_txn *txn, const char *store, const char *path, eid_spot *out)
{
    if (path == NULL)
        return eid_fail(EID_ERR_INVALID_PATH, "the path is missing");
    EID_TRY(eid_txn_open_store(txn, store, EID_TYPE_DOCSTORE, &out->store));
    out->path = path;
    return EID_OK;
}

static eid_status whole(eid_txn *txn, const char *store, eid_spot *out)
{
    out->path = NULL;
    return eid_txn_open_store(txn, store, EID_TYPE_DOCSTORE, &out->store);
}

/* ---- Setting ---- */

eid_status eid_docstore_set(eid_txn *txn, const char *store, const char *path, const eid_value *value)
{
    EID_NEED(txn && store && path && value);
    eid_spot place;

    EID_TRY(place_at(txn, store, path, &place));
    return eid_spot_set(&place, value);
}

eid_status eid_docstore_set_null(eid_txn *txn, const char *store, const char *path)
{
    EID_NEED(txn && store && path);
    eid_spot place;
    eid_value *made;

    EID_TRY(place_at(txn, store, path, &place));
    EID_TRY(eid_value_new_null(&made));
    return eid_spot_set_made(&place, made);
}

eid_status eid_docstore_set_bool(eid_txn *txn, const char *store, const char *path, bool value)
{
    EID_NEED(txn && store && path);
    eid_spot place;
    eid_value *made;

    EID_TRY(place_at(txn, store, path, &place));
    EID_TRY(eid_value_new_bool(value, &made));
    return eid_spot_set_made(&place, made);
}

eid_status eid_docstore_set_int(eid_txn *txn, const char *store, const char *path, int64_t value)
{
    EID_NEED(txn && store && path);
    eid_spot place;
    eid_value *made;

    EID_TRY(place_at(txn, store, path, &place));
    EID_TRY(eid_value_new_int(value, &made));
    return eid_spot_set_made(&place, made);
}

eid_status eid_docstore_set_text(eid_txn *txn, const char *store, const char *path, const char *text)
{
    EID_NEED(txn && store && path && text);
    eid_spot place;
    eid_value *made;

    EID_TRY(place_at(txn, store, path, &place));
    EID_TRY(eid_value_new_text(text, strlen(text), &made));
    return eid_spot_set_made(&place, made);
}

eid_status eid_docstore_set_doc(eid_txn *txn, const char *store, const char *path, const eid_doc *value)
{
    EID_NEED(txn && store && path && value);
    eid_spot place;
    eid_value *made;

    EID_TRY(place_at(txn, store, path, &place));
    EID_TRY(eid_value_new_doc(value, &made));
    return eid_spot_set_made(&place, made);
}

eid_status eid_docstore_set_list(eid_txn *txn, const char *store, const char *path, const eid_list *value)
{
    EID_NEED(txn && store && path && value);
    eid_spot place;
    eid_value *made;

    EID_TRY(place_at(txn, store, path, &place));
    EID_TRY(eid_value_new_list(value, &made));
    return eid_spot_set_made(&place, made);
}

eid_status eid_docstore_set_json(eid_txn *txn, const char *store, const char *path, const char *json)
{
    EID_NEED(txn && store && path && json);
    eid_spot place;

    EID_TRY(place_at(txn, store, path, &place));
    return eid_spot_set_json(&place, json);
}

eid_status eid_docstore_replace(eid_txn *txn, const char *store, const char *path, const eid_value *value)
{
    EID_NEED(txn && store && path && value);
    eid_spot place;

    EID_TRY(place_at(txn, store, path, &place));
    return eid_spot_replace(&place, value);
}

eid_status eid_docstore_update(eid_txn *txn, const char *store, const char *path, const eid_value *value)
{
    EID_NEED(txn && store && path && value);
    eid_spot place;

    EID_TRY(place_at(txn, store, path, &place));
    return eid_spot_update(&place, value);
}

eid_status eid_docstore_get_or_set(eid_txn *txn, const char *store, const char *path,
                                   const eid_value *initial, eid_value **out)
{
    EID_NEED(txn && store && path && initial && out);
    eid_spot place;

    EID_TRY(place_at(txn, store, path, &place));
    return eid_spot_get_or_set(&place, initial, out);
}

eid_status eid_docstore_delete(eid_txn *txn, const char *store, const char *path, bool *deleted)
{
    EID_NEED(txn && store && path);
    eid_spot place;

    EID_TRY(place_at(txn, store, path, &place));
    return eid_spot_delete(&place, deleted);
}

/* ---- The whole document ---- */

/* A call that takes a value, given a document. */
static eid_status with_doc(eid_txn *txn, const char *store, const eid_doc *doc,
                           eid_status (*call)(const eid_spot *place, const eid_value *value))
{
    eid_spot place;
    eid_value *value;

    EID_TRY(whole(txn, store, &place));
    EID_TRY(eid_value_new_doc(doc, &value));
    eid_status status = call(&place, value);
    eid_value_free(value);
    return status;
}

eid_status eid_docstore_merge(eid_txn *txn, const char *store, const eid_doc *change)
{
    EID_NEED(txn && store && change);
    return with_doc(txn, store, change, eid_spot_set);
}

eid_status eid_docstore_replace_all(eid_txn *txn, const char *store, const eid_doc *doc)
{
    EID_NEED(txn && store && doc);
    return with_doc(txn, store, doc, eid_spot_replace);
}

eid_status eid_docstore_update_all(eid_txn *txn, const char *store, const eid_doc *doc)
{
    EID_NEED(txn && store && doc);
    return with_doc(txn, store, doc, eid_spot_update);
}

eid_status eid_docstore_get_all(eid_txn *txn, const char *store, eid_doc **out)
{
    EID_NEED(txn && store && out);
    eid_spot place;

    EID_TRY(whole(txn, store, &place));
    return eid_spot_get_doc(&place, out);
}

/* ---- Getting ---- */

eid_status eid_docstore_get(eid_txn *txn, const char *store, const char *path, eid_value **out)
{
    EID_NEED(txn && store && path && out);
    eid_spot place;

    EID_TRY(place_at(txn, store, path, &place));
    return eid_spot_get(&place, out);
}

eid_status eid_docstore_get_bool(eid_txn *txn, const char *store, const char *path, bool *out)
{
    EID_NEED(txn && store && path && out);
    eid_spot place;

    EID_TRY(place_at(txn, store, path, &place));
    return eid_spot_get_bool(&place, out);
}

eid_status eid_docstore_get_int(eid_txn *txn, const char *store, const char *path, int64_t *out)
{
    EID_NEED(txn && store && path && out);
    eid_spot place;

    EID_TRY(place_at(txn, store, path, &place));
    return eid_spot_get_int(&place, out);
}

eid_status eid_docstore_get_text(eid_txn *txn, const char *store, const char *path, char **out, size_t *len)
{
    EID_NEED(txn && store && path && out);
    eid_spot place;

    EID_TRY(place_at(txn, store, path, &place));
    return eid_spot_get_text(&place, out, len);
}

eid_status eid_docstore_get_doc(eid_txn *txn, const char *store, const char *path, eid_doc **out)
{
    EID_NEED(txn && store && path && out);
    eid_spot place;

    EID_TRY(place_at(txn, store, path, &place));
    return eid_spot_get_doc(&place, out);
}

eid_status eid_docstore_get_list(eid_txn *txn, const char *store, const char *path, eid_list **out)
{
    EID_NEED(txn && store && path && out);
    eid_spot place;

    EID_TRY(place_at(txn, store, path, &place));
    return eid_spot_get_list(&place, out);
}

eid_status eid_docstore_get_json(eid_txn *txn, const char *store, const char *path, char **out, size_t *len)
{
    EID_NEED(txn && store && path && out);
    eid_spot place;

    EID_TRY(place_at(txn, store, path, &place));
    return eid_spot_get_json(&place, out, len);
}

eid_status eid_docstore_contains(eid_txn *txn, const char *store, const char *path, bool *out)
{
    EID_NEED(txn && store && path && out);
    eid_spot place;

    EID_TRY(place_at(txn, store, path, &place));
    return eid_spot_contains(&place, out);
}

eid_status eid_docstore_scan(eid_txn *txn, const char *store, const char *path, const char *after,
                             eid_key_callback callback, void *ctx)
{
    EID_NEED(txn && store && callback);
    eid_spot place;

    EID_TRY(whole(txn, store, &place));
    place.path = path;
    return eid_spot_scan(&place, after, callback, ctx);
}

/* ---- Lists ---- */

eid_status eid_docstore_push(eid_txn *txn, const char *store, const char *path, const eid_value *value)
{
    EID_NEED(txn && store && path && value);
    eid_spot place;

    EID_TRY(place_at(txn, store, path, &place));
    return eid_spot_insert(&place, EID_SPOT_END, value);
}

eid_status eid_docstore_insert(eid_txn *txn, const char *store, const char *path, size_t index,
                               const eid_value *value)
{
    EID_NEED(txn && store && path && value);
    eid_spot place;

    EID_TRY(place_at(txn, store, path, &place));
    return eid_spot_insert(&place, index, value);
}

eid_status eid_docstore_insert_after(eid_txn *txn, const char *store, const char *path,
                                     const eid_list_position *neighbour, const eid_value *value,
                                     eid_list_position *out)
{
    EID_NEED(txn && store && path && value);
    eid_spot place;

    EID_TRY(place_at(txn, store, path, &place));
    return eid_spot_insert_beside(&place, true, neighbour, value, out);
}

eid_status eid_docstore_insert_before(eid_txn *txn, const char *store, const char *path,
                                      const eid_list_position *neighbour, const eid_value *value,
                                      eid_list_position *out)
{
    EID_NEED(txn && store && path && value);
    eid_spot place;

    EID_TRY(place_at(txn, store, path, &place));
    return eid_spot_insert_beside(&place, false, neighbour, value, out);
}
