/* SPDX-License-Identifier: Apache-2.0 */
/* Changing at a place of a document store.
 *
 * Setting stages what it was given, whether it makes a difference or not. Changes of Lists and updates are
 * made on a copy of what is visible, and the difference is staged: so a new element is one slot, and what
 * others do beside it stays. */
#include "store/spot_int.h"

#include <string.h>

/* ---- Setting ---- */

static eid_status not_a_document(const eid_spot *place, const eid_value *value)
{
    return eid_fail(EID_ERR_TYPE_MISMATCH, "store %s as a whole can only be a doc, not of kind %s",
                    eid_txn_store_name(place->store), eid_value_kind_name(eid_value_get_kind(value)));
}

static eid_status set_whole(const eid_spot *place, const eid_value *value)
{
    const eid_doc *doc;

    if (eid_value_as_doc(value, &doc) != EID_OK)
        return not_a_document(place, value);
    return eid_txn_store_apply(place->store, doc);
}

eid_status eid_spot_set_made(const eid_spot *place, eid_value *value)
{
    if (place->path != NULL)
        return eid_store_stage_made(place->store, eid_slice_text(place->path), value);
    eid_status status = set_whole(place, value);
    eid_value_free(value);
    return status;
}

eid_status eid_spot_set(const eid_spot *place, const eid_value *value)
{
    eid_value *copy;

    EID_TRY(eid_value_copy(value, &copy));
    return eid_spot_set_made(place, copy);
}

eid_status eid_spot_set_json(const eid_spot *place, const char *json)
{
    eid_value *value = NULL;

    EID_TRY(eid_value_from_plain_json(json, strlen(json), &value));
    return eid_spot_set_made(place, value);
}

eid_status eid_spot_get_or_set(const eid_spot *place, const eid_value *initial, eid_value **out)
{
    eid_value *copy;
    eid_status status = eid_spot_get(place, out);

    if (status != EID_ERR_KEY_NOT_FOUND)
        return status;
    EID_TRY(eid_value_copy(initial, &copy));
    status = eid_spot_set(place, initial);
    if (status != EID_OK) {
        eid_value_free(copy);
        return status;
    }
    *out = copy;
    return EID_OK;
}

/* ---- Staging differences ---- */

/* A change to the document that the place is in; for the whole document it is that itself. */
typedef eid_status (*change_function)(eid_doc *doc, const char *path, void *ctx);

static eid_status visible(const eid_spot *place, eid_doc **out)
{
    return place->path == NULL ? eid_txn_store_all(place->store, out)
                               : eid_store_touched(place->store, eid_slice_text(place->path), out);
}

static eid_status stage_if_any(const eid_spot *place, const eid_doc *change)
{
    if (eid_doc_child_count(change) == 0 && !eid_doc_is_atomic(change))
        return EID_OK;
    return eid_txn_store_apply(place->store, change);
}

static eid_status change_visible(const eid_spot *place, change_function function, void *ctx)
{
    eid_doc *before, *after = NULL, *change = NULL;

    EID_TRY(visible(place, &before));
    eid_status status = eid_doc_copy(before, &after);
    if (status == EID_OK)
        status = function(after, place->path, ctx);
    if (status == EID_OK)
        status = eid_doc_diff(before, after, &change);
    if (status == EID_OK)
        status = stage_if_any(place, change);
    eid_doc_free(change);
    eid_doc_free(after);
    eid_doc_free(before);
    return status;
}

/* Replaces the keys of the document by those of another one. Its flag stays: a change can not take it away.
 */
static eid_status become(eid_doc *doc, const eid_doc *wanted)
{
    const eid_doc_cursor *cursor = NULL;
    const char *key;
    size_t len;
    const eid_value *value;
    eid_doc *empty;

    EID_TRY(eid_doc_new_atomic(&empty));
    eid_status status = eid_doc_merge(doc, empty);
    eid_doc_free(empty);
    eid_doc_set_atomic(doc, eid_doc_is_atomic(wanted));
    while (status == EID_OK && eid_doc_next_raw(wanted, &cursor, &key, &len, &value))
        status = eid_doc_set_key(doc, key, len, value);
    return status;
}

static eid_status update_value(eid_doc *doc, const char *path, void *ctx)
{
    const eid_value *value = ctx;
    const eid_doc *wanted;

    if (path != NULL)
        return eid_doc_set(doc, path, value);
    EID_TRY(eid_value_as_doc(value, &wanted));
    return become(doc, wanted);
}

eid_status eid_spot_update(const eid_spot *place, const eid_value *value)
{
    eid_value *copy;

    if (place->path == NULL && eid_value_get_kind(value) != EID_VALUE_DOC)
        return not_a_document(place, value);
    /* The value may be lent by somebody who reads while it is staged. */
    EID_TRY(eid_value_copy(value, &copy));
    eid_status status = change_visible(place, update_value, copy);
    eid_value_free(copy);
    return status;
}

/* ---- Replacing ---- */

static eid_status atomic_copy(const eid_value *value, eid_value **out)
{
    const eid_doc *doc;
    eid_doc *copy;

    EID_TRY(eid_value_as_doc(value, &doc));
    EID_TRY(eid_doc_copy(doc, &copy));
    eid_doc_set_atomic(copy, true);
    eid_status status = eid_value_new_doc(copy, out);
    eid_doc_free(copy);
    return status;
}

eid_status eid_spot_replace(const eid_spot *place, const eid_value *value)
{
    eid_value *whole = NULL;

    if (place->path == NULL && eid_value_get_kind(value) != EID_VALUE_DOC)
        return not_a_document(place, value);
    switch (eid_value_get_kind(value)) {
    case EID_VALUE_DOC:
        EID_TRY(atomic_copy(value, &whole));
        return eid_spot_set_made(place, whole);
    case EID_VALUE_LIST:
        return eid_spot_update(place, value);
    default:
        return eid_spot_set(place, value);
    }
}

/* ---- Deleting ---- */

static eid_status delete_whole(const eid_spot *place, bool *deleted)
{
    eid_doc *all = NULL, *nothing = NULL;

    EID_TRY(eid_txn_store_all(place->store, &all));
    bool any = !eid_doc_is_empty(all);
    eid_doc_free(all);
    if (any) {
        EID_TRY(eid_doc_new_atomic(&nothing));
        eid_status status = eid_txn_store_apply(place->store, nothing);
        eid_doc_free(nothing);
        EID_TRY(status);
    }
    if (deleted != NULL)
        *deleted = any;
    return EID_OK;
}

eid_status eid_spot_delete(const eid_spot *place, bool *deleted)
{
    eid_value *tombstone = NULL;
    bool there;

    if (place->path == NULL)
        return delete_whole(place, deleted);
    EID_TRY(eid_spot_contains(place, &there));
    if (there) {
        EID_TRY(eid_value_new_deleted(&tombstone));
        EID_TRY(eid_spot_set_made(place, tombstone));
    }
    if (deleted != NULL)
        *deleted = there;
    return EID_OK;
}

/* ---- Lists ---- */

static eid_status no_list(const eid_spot *place)
{
    return eid_fail(EID_ERR_TYPE_MISMATCH, "store %s as a whole is of kind doc, not list",
                    eid_txn_store_name(place->store));
}

typedef struct insertion {
    size_t index;
    bool after;
    const eid_list_position *neighbour;
    const eid_value *value;
    eid_list_position made;
} insertion;

static eid_status insert_at(eid_doc *doc, const char *path, void *ctx)
{
    const insertion *in = ctx;

    return in->index == EID_SPOT_END ? eid_doc_push(doc, path, in->value)
                                     : eid_doc_insert(doc, path, in->index, in->value);
}

eid_status eid_spot_insert(const eid_spot *place, size_t index, const eid_value *value)
{
    insertion in = {.index = index, .value = value};

    if (place->path == NULL)
        return no_list(place);
    return change_visible(place, insert_at, &in);
}

/* The List at the path, which need not be there. */
static eid_status list_copy(const eid_doc *doc, const char *path, eid_list **out)
{
    const eid_list *list;

    if (!eid_doc_contains(doc, path))
        return eid_list_new(out);
    EID_TRY(eid_doc_get_list(doc, path, &list));
    return eid_list_copy(list, out);
}

static eid_status insert_beside(eid_doc *doc, const char *path, void *ctx)
{
    insertion *in = ctx;
    eid_list *list = NULL;

    EID_TRY(list_copy(doc, path, &list));
    eid_status status = in->after ? eid_list_insert_after(list, in->neighbour, in->value, &in->made)
                                  : eid_list_insert_before(list, in->neighbour, in->value, &in->made);
    if (status == EID_OK)
        status = eid_doc_set_list(doc, path, list);
    eid_list_free(list);
    return status;
}

eid_status eid_spot_insert_beside(const eid_spot *place, bool after, const eid_list_position *neighbour,
                                  const eid_value *value, eid_list_position *out)
{
    insertion in = {.after = after, .neighbour = neighbour, .value = value};

    if (place->path == NULL)
        return no_list(place);
    EID_TRY(change_visible(place, insert_beside, &in));
    if (out != NULL)
        *out = in.made;
    return EID_OK;
}
