/* SPDX-License-Identifier: Apache-2.0 */
/* Reading DocStores without a transaction, at the current frontier. */
#include "store/spot_int.h"

static eid_status get_kind(eid_database *database, const char *store, const char *path, eid_value_kind kind,
                           eid_value **out)
{
    eid_value *value = NULL;

    EID_TRY(eid_database_get(database, store, path, &value));
    return eid_value_expect(value, store, path, kind, out);
}

eid_status eid_database_get_bool(eid_database *database, const char *store, const char *path, bool *out)
{
    EID_NEED(database && store && path && out);
    eid_value *value = NULL;

    EID_TRY(get_kind(database, store, path, EID_VALUE_BOOL, &value));
    eid_status status = eid_value_as_bool(value, out);
    eid_value_free(value);
    return status;
}

eid_status eid_database_get_int(eid_database *database, const char *store, const char *path, int64_t *out)
{
    EID_NEED(database && store && path && out);
    eid_value *value = NULL;

    EID_TRY(get_kind(database, store, path, EID_VALUE_INT, &value));
    eid_status status = eid_value_as_int(value, out);
    eid_value_free(value);
    return status;
}

eid_status eid_database_get_text(eid_database *database, const char *store, const char *path, char **out,
                                 size_t *len)
{
    EID_NEED(database && store && path && out);
    eid_value *value = NULL;

    EID_TRY(get_kind(database, store, path, EID_VALUE_TEXT, &value));
    return eid_value_take_text(value, out, len);
}

eid_status eid_database_get_doc(eid_database *database, const char *store, const char *path, eid_doc **out)
{
    EID_NEED(database && store && path && out);
    eid_value *value = NULL;

    EID_TRY(get_kind(database, store, path, EID_VALUE_DOC, &value));
    return eid_value_take_doc(value, out);
}

eid_status eid_database_get_list(eid_database *database, const char *store, const char *path, eid_list **out)
{
    EID_NEED(database && store && path && out);
    eid_value *value = NULL;

    EID_TRY(get_kind(database, store, path, EID_VALUE_LIST, &value));
    return eid_value_take_list(value, out);
}

eid_status eid_database_get_json(eid_database *database, const char *store, const char *path, char **out,
                                 size_t *len)
{
    EID_NEED(database && store && path && out);
    eid_value *value = NULL;

    EID_TRY(eid_database_get(database, store, path, &value));
    return eid_value_take_json(value, out, len);
}

eid_status eid_database_contains(eid_database *database, const char *store, const char *path, bool *out)
{
    EID_NEED(database && store && path && out);
    eid_value *value = NULL;
    eid_status status = eid_database_get(database, store, path, &value);

    if (status != EID_OK && status != EID_ERR_KEY_NOT_FOUND)
        return status;
    eid_value_free(value);
    *out = status == EID_OK;
    return EID_OK;
}

static eid_status scan_whole(eid_database *database, const char *store, const char *after,
                             eid_key_callback callback, void *ctx)
{
    eid_slice start = eid_slice_text(after != NULL ? after : "");
    eid_key_scan scan;

    eid_key_scan_start(&scan, callback, ctx);
    return eid_key_scan_end(
        &scan, eid_database_scan(database, store, after != NULL ? &start : NULL, eid_key_scan_show, &scan));
}

eid_status eid_database_docstore_scan(eid_database *database, const char *store, const char *path,
                                      const char *after, eid_key_callback callback, void *ctx)
{
    EID_NEED(database && store && callback);
    eid_doc *doc;

    if (path == NULL)
        return scan_whole(database, store, after, callback, ctx);
    EID_TRY(eid_database_get_doc(database, store, path, &doc));
    eid_status status = eid_doc_scan(doc, after, callback, ctx);
    eid_doc_free(doc);
    return status;
}
