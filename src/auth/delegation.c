/* SPDX-License-Identifier: Apache-2.0 */
/* Delegation records and bounds (spec auth.md sections 2, 3 and 5). */
#include "auth/auth_int.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "codec/cid.h"

/* ---- Bounds ---- */

bool eid_bounds_valid(const eid_bounds *bounds)
{
    return !bounds->has_min || eid_permission_compare(bounds->min, bounds->max) <= 0;
}

eid_permission eid_bounds_apply(const eid_bounds *bounds, eid_permission permission)
{
    if (eid_permission_compare(permission, bounds->max) > 0)
        return bounds->max;
    if (bounds->has_min && eid_bounds_valid(bounds) && eid_permission_compare(permission, bounds->min) < 0)
        return bounds->min;
    return permission;
}

void eid_bounds_narrow(eid_bounds *bounds, const eid_bounds *step)
{
    if (eid_permission_compare(step->max, bounds->max) < 0)
        bounds->max = step->max;
    if (step->has_min && (!bounds->has_min || eid_permission_compare(step->min, bounds->min) > 0)) {
        bounds->min = step->min;
        bounds->has_min = true;
    }
}

/* ---- Reading ---- */

bool eid_auth_read_tree_key(eid_slice text, eid_id *out)
{
    char canonical[EID_ID_TEXT_SIZE];

    if (eid_id_parse_slice(text, out) != EID_OK || eid_id_is_empty(out))
        return false;
    eid_id_format(out, canonical);
    return eid_slice_is(text, canonical);
}

static bool is_number(const char *text, size_t len)
{
    size_t first = len > 1 && text[0] == '+' ? 1 : 0;

    for (size_t i = first; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
    }
    return len > 0;
}

bool eid_auth_read_tips(const eid_doc *record, eid_buf *out)
{
    const eid_doc_cursor *cursor = NULL;
    const eid_value *value;
    const eid_doc *tips;
    const char *key, *text;
    size_t key_len, len;
    bool readable = true;

    if (eid_doc_get_doc(record, "tree.tips", &tips) != EID_OK)
        return true;
    while (eid_doc_next(tips, &cursor, &key, &key_len, &value)) {
        eid_id id;
        if (!is_number(key, key_len))
            continue;
        if (eid_value_as_text(value, &text, &len) != EID_OK ||
            eid_id_parse_slice(eid_slice_of(text, len), &id) != EID_OK || eid_id_is_empty(&id))
            readable = false;
        else
            eid_buf_append(out, &id, sizeof id);
    }
    return readable;
}

static bool read_bounds(const eid_doc *record, eid_bounds *out)
{
    const eid_doc *bounds, *permission;
    const eid_value *min;

    out->has_min = false;
    if (eid_doc_get_doc(record, "permission_bounds", &bounds) != EID_OK ||
        eid_doc_get_doc(bounds, "max", &permission) != EID_OK ||
        eid_permission_from_doc(permission, &out->max) != EID_OK)
        return false;
    if (eid_doc_get(bounds, "min", &min) != EID_OK || eid_value_get_kind(min) == EID_VALUE_NULL)
        return true;
    out->has_min = true;
    return eid_value_as_doc(min, &permission) == EID_OK && eid_permission_from_doc(permission, &out->min) == EID_OK;
}

static bool read_root(const eid_doc *record, eid_id *out)
{
    const char *text;
    size_t len;

    return eid_doc_get_text(record, "tree.root", &text, &len) == EID_OK &&
           eid_id_parse_slice(eid_slice_of(text, len), out) == EID_OK && !eid_id_is_empty(out);
}

eid_status eid_auth_delegation_read(const eid_id *key, const eid_value *value, eid_auth_delegation *out)
{
    const eid_doc *record;
    eid_buf tips;

    memset(out, 0, sizeof *out);
    out->key = *key;
    if (eid_value_as_doc(value, &record) != EID_OK) {
        out->problem = "it is not a document";
        return EID_OK;
    }
    eid_buf_init(&tips, SIZE_MAX / 2);
    if (!read_root(record, &out->tree))
        out->problem = "it names no database";
    else if (!read_bounds(record, &out->bounds))
        out->problem = "it has no readable bounds";
    else if (!eid_auth_read_tips(record, &tips))
        out->problem = "its floor names something that is no entry";
    eid_status status = eid_buf_status(&tips);
    if (status != EID_OK || out->problem != NULL || tips.len == 0) {
        eid_buf_free(&tips);
        return status;
    }
    out->floor = (eid_id *)(void *)tips.data; /* the buffer's memory goes to the record */
    out->floor_count = eid_ids_sort(out->floor, tips.len / sizeof(eid_id));
    return EID_OK;
}

/* ---- Writing ---- */

static eid_status set_permission(eid_doc *doc, const char *path, eid_permission permission)
{
    eid_doc *made;

    EID_TRY(eid_permission_to_doc(permission, &made));
    eid_status status = eid_doc_set_doc(doc, path, made);
    eid_doc_free(made);
    return status;
}

static eid_status set_tips(eid_doc *record, const eid_id *floor, size_t count)
{
    char text[EID_ID_TEXT_SIZE], path[sizeof "tree.tips." + 20];
    eid_doc *none;

    /* The child stands there also when it has no children of its own: the Rust side wants it. */
    EID_TRY(eid_doc_new(&none));
    eid_status status = eid_doc_set_doc(record, "tree.tips", none);
    eid_doc_free(none);
    for (size_t i = 0; i < count && status == EID_OK; i++) {
        eid_id_format(&floor[i], text);
        snprintf(path, sizeof path, "tree.tips.%zu", i);
        status = eid_doc_set_string(record, path, text);
    }
    return status;
}

static eid_status fill_record(eid_doc *record, const eid_id *tree, const eid_id *floor, size_t count,
                              const eid_bounds *bounds)
{
    char text[EID_ID_TEXT_SIZE];

    eid_id_format(tree, text);
    EID_TRY(set_permission(record, "permission_bounds.max", bounds->max));
    if (bounds->has_min)
        EID_TRY(set_permission(record, "permission_bounds.min", bounds->min));
    EID_TRY(eid_doc_set_string(record, "tree.root", text));
    return set_tips(record, floor, count);
}

eid_status eid_auth_delegation_to_doc(const eid_id *tree, const eid_id *floor, size_t floor_count,
                                      const eid_bounds *bounds, eid_doc **out)
{
    eid_doc *record;

    EID_TRY(eid_doc_new_atomic(&record));
    eid_status status = fill_record(record, tree, floor, floor_count, bounds);
    if (status != EID_OK) {
        eid_doc_free(record);
        return status;
    }
    *out = record;
    return EID_OK;
}
