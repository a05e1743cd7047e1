/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and staging at a path of a store.
 *
 * A path touches one top-level key, so of one child of the store what the path leads through is all that is ever read. Staging is a plain
 * set on the delta, with one exception: the delta knows nothing of a List that was committed. A path that
 * enters one must not put a Doc in its place; what is staged instead is a List that holds only the slots on
 * the way, each at its own position, and merging brings the rest back. */
#include "store/store_int.h"

#include "base/limits.h"
#include "base/utf8.h"
#include "crdt/list.h"

/* ---- Reading ---- */

eid_status eid_store_touched(eid_txn_store *store, eid_slice path, eid_doc **out)
{
    eid_slice first;
    eid_value *child = NULL;
    eid_doc *doc;
    eid_status status;

    EID_TRY(eid_doc_new(&doc));
    status = eid_path_first(path, &first) ? eid_txn_store_along(store, path, &child) : EID_OK;
    if (status == EID_OK && child != NULL) {
        status = eid_doc_put_child(doc, first, child);
        if (status != EID_OK)
            eid_value_free(child);
    }
    if (status != EID_OK) {
        eid_doc_free(doc);
        return status;
    }
    *out = doc;
    return EID_OK;
}

static eid_status nothing_there(const eid_txn_store *store, eid_slice path)
{
    return eid_fail(EID_ERR_KEY_NOT_FOUND, "store %s has no value at \"%.*s\"", eid_txn_store_name(store),
                    (int)eid_utf8_cut(path, 200), (const char *)path.data);
}

/* Most paths are one key: its value is the child itself. */
static eid_status read_child(eid_txn_store *store, eid_slice key, eid_value **out)
{
    eid_value *child = NULL;

    EID_TRY(eid_txn_store_child(store, key, &child));
    if (child == NULL)
        return nothing_there(store, key);
    *out = child;
    return EID_OK;
}

eid_status eid_store_read(eid_txn_store *store, eid_slice path, eid_value **out)
{
    const eid_value *found;
    eid_doc *doc;

    if (path.len == 0 || memchr(path.data, '.', path.len) == NULL)
        return read_child(store, path, out);
    EID_TRY(eid_store_touched(store, path, &doc));
    eid_status status = eid_doc_get_path(doc, path, &found);
    if (status == EID_OK)
        status = eid_value_copy(found, out);
    else
        status = nothing_there(store, path);
    eid_doc_free(doc);
    return status;
}

/* ---- Staging through Lists ---- */

/* One List on the way: how it is reached from the element before (or from the top), and which slot is
 * entered. */
typedef struct hop {
    eid_slice before;
    eid_position position;
} hop;

typedef struct route {
    hop hops[EID_LIMIT_DOC_PATH];
    size_t count;
    eid_slice rest; /* inside the last slot; empty: the slot itself */
} route;

static bool take_component(eid_slice *rest, eid_slice *component)
{
    if (rest->len == 0 || !eid_path_first(*rest, component))
        return false;
    size_t used = (size_t)(component->data - rest->data) + component->len;
    *rest = eid_slice_of(rest->data + used, rest->len - used);
    return true;
}

static bool parse_index(eid_slice component, size_t *out)
{
    size_t index = 0;
    bool number = component.len > 0 && component.len < 10;

    for (size_t i = 0; number && i < component.len; i++) {
        number = component.data[i] >= '0' && component.data[i] <= '9';
        index = index * 10 + (size_t)(component.data[i] - '0');
    }
    *out = index;
    return number;
}

/* The slot of the live element that the component names. */
static eid_status find_slot(const eid_list *list, eid_slice component, eid_position *position,
                            const eid_value **value)
{
    eid_list_position place;
    size_t index;

    if (!parse_index(component, &index) || index >= eid_list_len(list))
        return eid_fail(EID_ERR_INDEX_OUT_OF_BOUNDS,
                        "\"%.*s\" is not the index of an element of a list with %zu",
                        (int)eid_utf8_cut(component, 200), (const char *)component.data, eid_list_len(list));
    EID_TRY(eid_list_get(list, index, value));
    EID_TRY(eid_list_position_at(list, index, &place));
    return eid_position_of(&place, position);
}

/* The first List that the path enters inside the document: *before is the path to it, *rest what is left.
 * NULL when it enters none. */
static const eid_list *first_list(const eid_doc *doc, eid_slice *before, eid_slice *rest)
{
    eid_slice left = *rest, component;
    const eid_value *value;
    const eid_list *list;

    while (take_component(&left, &component)) {
        eid_slice path = eid_slice_of(rest->data, rest->len - left.len), ahead = left;
        if (!take_component(&ahead, &component) || eid_doc_get_path(doc, path, &value) != EID_OK)
            return NULL;
        if (eid_value_as_list(value, &list) == EID_OK) {
            *before = path;
            *rest = left;
            return list;
        }
    }
    return NULL;
}

static eid_status find_route(const eid_doc *doc, eid_slice path, route *out)
{
    const eid_list *list = NULL;
    eid_slice component, before = {NULL, 0};

    out->count = 0;
    out->rest = path;
    while (list != NULL || (doc != NULL && (list = first_list(doc, &before, &out->rest)) != NULL)) {
        const eid_value *value;
        if (!take_component(&out->rest, &component))
            break;
        if (out->count == EID_LIMIT_DOC_PATH)
            return eid_fail(EID_ERR_DEPTH, "the path enters more than %d lists", EID_LIMIT_DOC_PATH);
        out->hops[out->count].before = before;
        EID_TRY(find_slot(list, component, &out->hops[out->count].position, &value));
        out->count++;
        before.len = 0;
        eid_slice ahead = out->rest;
        if (!take_component(&ahead, &component)) {
            out->rest.len = 0;
            break;
        }
        if (eid_value_as_list(value, &list) != EID_OK)
            list = NULL;
        if (eid_value_as_doc(value, &doc) != EID_OK)
            doc = NULL;
    }
    return EID_OK;
}

/* Both take *value and put what they made of it in its place; on failure it stays. */
static eid_status wrap_in_doc(eid_slice path, eid_value **value)
{
    eid_value *wrapped = NULL;
    eid_doc *doc = NULL;
    eid_status status;

    EID_TRY(eid_doc_new(&doc));
    status = eid_doc_set_path(doc, path, *value);
    if (status == EID_OK) {
        *value = NULL;
        status = eid_value_new_doc(doc, &wrapped);
    }
    eid_doc_free(doc);
    if (status == EID_OK)
        *value = wrapped;
    return status;
}

static eid_status wrap_in_list(const eid_position *position, eid_value **value)
{
    eid_value *wrapped = NULL;
    eid_list *list = NULL;
    eid_status status;

    EID_TRY(eid_list_new(&list));
    status = eid_list_put(list, position, *value);
    if (status == EID_OK) {
        *value = NULL;
        status = eid_value_new_list(list, &wrapped);
    }
    eid_list_free(list);
    if (status == EID_OK)
        *value = wrapped;
    return status;
}

/* The change of the first List on the route, from the inside out. `value` is copied. */
static eid_status build_change(const route *way, const eid_value *value, eid_value **out)
{
    eid_value *change = NULL;
    eid_status status;

    EID_TRY(eid_value_copy(value, &change));
    if (way->rest.len > 0)
        EID_TRY_GOTO(status, wrap_in_doc(way->rest, &change), fail);
    for (size_t i = way->count; i-- > 0;) {
        EID_TRY_GOTO(status, wrap_in_list(&way->hops[i].position, &change), fail);
        if (i > 0 && way->hops[i].before.len > 0)
            EID_TRY_GOTO(status, wrap_in_doc(way->hops[i].before, &change), fail);
    }
    *out = change;
    return EID_OK;
fail:
    eid_value_free(change);
    return status;
}

/* Takes the value on success. */
static eid_status stage_value(eid_txn_store *store, eid_slice path, eid_value *value)
{
    eid_value *change = NULL;
    eid_doc *doc = NULL;
    eid_status status;
    route way;

    if (eid_path_components(path) < 2)
        return eid_txn_store_set(store, path, value);
    EID_TRY(eid_store_touched(store, path, &doc));
    status = find_route(doc, path, &way);
    eid_doc_free(doc);
    if (status != EID_OK)
        return status;
    if (way.count == 0)
        return eid_txn_store_set(store, path, value);
    EID_TRY(build_change(&way, value, &change));
    status = eid_txn_store_set(store, way.hops[0].before, change);
    if (status == EID_OK)
        eid_value_free(value);
    else
        eid_value_free(change);
    return status;
}

eid_status eid_store_stage_made(eid_txn_store *store, eid_slice path, eid_value *value)
{
    eid_status status = stage_value(store, path, value);

    if (status != EID_OK)
        eid_value_free(value);
    return status;
}
