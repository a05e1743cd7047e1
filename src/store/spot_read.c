/* SPDX-License-Identifier: Apache-2.0 */
/* Reading at a place of a document store. */
#include "store/spot_int.h"

#include "base/alloc.h"
#include "base/utf8.h"

/* ---- Values that were read ---- */

eid_status eid_value_expect(eid_value *value, const char *store, const char *where, eid_value_kind kind,
                            eid_value **out)
{
    eid_value_kind got = eid_value_get_kind(value);

    if (got == kind) {
        *out = value;
        return EID_OK;
    }
    eid_value_free(value);
    if (where == NULL)
        return eid_fail(EID_ERR_TYPE_MISMATCH, "store %s as a whole is of kind %s, not %s", store,
                        eid_value_kind_name(got), eid_value_kind_name(kind));
    return eid_fail(EID_ERR_TYPE_MISMATCH, "the value at \"%.*s\" of store %s is of kind %s, not %s",
                    (int)eid_utf8_cut(eid_slice_text(where), 200), where, store, eid_value_kind_name(got),
                    eid_value_kind_name(kind));
}

eid_status eid_value_take_text(eid_value *value, char **out, size_t *len)
{
    const char *text;
    size_t text_len;
    eid_status status = eid_value_as_text(value, &text, &text_len);

    if (status == EID_OK) {
        char *copy = eid_memdup(text, text_len);
        if (copy == NULL) {
            status = eid_fail_memory();
        } else {
            *out = copy;
            if (len != NULL)
                *len = text_len;
        }
    }
    eid_value_free(value);
    return status;
}

eid_status eid_value_take_doc(eid_value *value, eid_doc **out)
{
    const eid_doc *doc;
    eid_status status = eid_value_as_doc(value, &doc);

    if (status == EID_OK)
        status = eid_doc_copy(doc, out);
    eid_value_free(value);
    return status;
}

eid_status eid_value_take_list(eid_value *value, eid_list **out)
{
    const eid_list *list;
    eid_status status = eid_value_as_list(value, &list);

    if (status == EID_OK)
        status = eid_list_copy(list, out);
    eid_value_free(value);
    return status;
}

eid_status eid_value_take_json(eid_value *value, char **out, size_t *len)
{
    eid_status status = eid_value_to_plain_json(value, out, len);

    eid_value_free(value);
    return status;
}

/* ---- Keys ---- */

void eid_key_scan_start(eid_key_scan *scan, eid_key_callback callback, void *ctx)
{
    scan->callback = callback;
    scan->ctx = ctx;
    scan->status = EID_OK;
    eid_buf_init(&scan->key, SIZE_MAX / 2);
}

bool eid_key_scan_show(eid_slice key, const eid_value *value, void *ctx)
{
    eid_key_scan *scan = ctx;

    eid_buf_reset(&scan->key);
    /* Room first, so that an empty key has its zero too. */
    eid_buf_reserve(&scan->key, key.len + 1);
    eid_buf_append_slice(&scan->key, key);
    scan->status = eid_buf_status(&scan->key);
    if (scan->status != EID_OK)
        return false;
    return scan->callback((const char *)scan->key.data, key.len, value, scan->ctx);
}

eid_status eid_key_scan_end(eid_key_scan *scan, eid_status status)
{
    eid_buf_free(&scan->key);
    return status == EID_OK ? scan->status : status;
}

eid_status eid_doc_scan(const eid_doc *doc, const char *after, eid_key_callback callback, void *ctx)
{
    const eid_doc_cursor *cursor = NULL;
    const char *key;
    size_t len;
    const eid_value *value;

    while (eid_doc_next(doc, &cursor, &key, &len, &value)) {
        if (after != NULL && eid_slice_compare(eid_slice_of(key, len), eid_slice_text(after)) <= 0)
            continue;
        if (!callback(key, len, value, ctx))
            break;
    }
    return EID_OK;
}

/* ---- Places ---- */

static eid_status get_whole(const eid_spot *place, eid_value **out)
{
    eid_doc *doc;

    EID_TRY(eid_txn_store_all(place->store, &doc));
    eid_status status = eid_value_new_doc(doc, out);
    eid_doc_free(doc);
    return status;
}

eid_status eid_spot_get(const eid_spot *place, eid_value **out)
{
    return place->path == NULL ? get_whole(place, out)
                               : eid_store_read(place->store, eid_slice_text(place->path), out);
}

static eid_status get_kind(const eid_spot *place, eid_value_kind kind, eid_value **out)
{
    eid_value *value = NULL;

    EID_TRY(eid_spot_get(place, &value));
    return eid_value_expect(value, eid_txn_store_name(place->store), place->path, kind, out);
}

eid_status eid_spot_get_bool(const eid_spot *place, bool *out)
{
    eid_value *value = NULL;

    EID_TRY(get_kind(place, EID_VALUE_BOOL, &value));
    eid_status status = eid_value_as_bool(value, out);
    eid_value_free(value);
    return status;
}

eid_status eid_spot_get_int(const eid_spot *place, int64_t *out)
{
    eid_value *value = NULL;

    EID_TRY(get_kind(place, EID_VALUE_INT, &value));
    eid_status status = eid_value_as_int(value, out);
    eid_value_free(value);
    return status;
}

eid_status eid_spot_get_text(const eid_spot *place, char **out, size_t *len)
{
    eid_value *value = NULL;

    EID_TRY(get_kind(place, EID_VALUE_TEXT, &value));
    return eid_value_take_text(value, out, len);
}

eid_status eid_spot_get_doc(const eid_spot *place, eid_doc **out)
{
    eid_value *value = NULL;

    if (place->path == NULL)
        return eid_txn_store_all(place->store, out);
    EID_TRY(get_kind(place, EID_VALUE_DOC, &value));
    return eid_value_take_doc(value, out);
}

eid_status eid_spot_get_list(const eid_spot *place, eid_list **out)
{
    eid_value *value = NULL;

    EID_TRY(get_kind(place, EID_VALUE_LIST, &value));
    return eid_value_take_list(value, out);
}

eid_status eid_spot_get_json(const eid_spot *place, char **out, size_t *len)
{
    eid_value *value = NULL;

    EID_TRY(eid_spot_get(place, &value));
    return eid_value_take_json(value, out, len);
}

eid_status eid_spot_contains(const eid_spot *place, bool *out)
{
    eid_value *value = NULL;
    eid_status status = eid_spot_get(place, &value);

    if (status != EID_OK && status != EID_ERR_KEY_NOT_FOUND)
        return status;
    eid_value_free(value);
    *out = status == EID_OK;
    return EID_OK;
}

/* The whole document is read a slice at a time, however large it is. */
static eid_status scan_whole(const eid_spot *place, const char *after, eid_key_callback callback, void *ctx)
{
    eid_slice start = eid_slice_text(after != NULL ? after : "");
    eid_key_scan scan;

    eid_key_scan_start(&scan, callback, ctx);
    return eid_key_scan_end(
        &scan, eid_txn_store_scan(place->store, after != NULL ? &start : NULL, eid_key_scan_show, &scan));
}

eid_status eid_spot_scan(const eid_spot *place, const char *after, eid_key_callback callback, void *ctx)
{
    eid_doc *doc;

    if (place->path == NULL)
        return scan_whole(place, after, callback, ctx);
    EID_TRY(eid_spot_get_doc(place, &doc));
    eid_status status = eid_doc_scan(doc, after, callback, ctx);
    eid_doc_free(doc);
    return status;
}
