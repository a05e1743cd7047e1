/* SPDX-License-Identifier: Apache-2.0 */
/* Table: rows of JSON text, each under a key (spec stores.md section 3).
 *
 * A row is one value and merges as a whole: of two concurrent changes of a row the later one stays. */
#include "store/spot_int.h"

#include "base/alloc.h"
#include "base/random.h"
#include "base/utf8.h"
#include "codec/json.h"
#include "database/rows.h"

static eid_status open_table(eid_txn *txn, const char *name, eid_txn_store **out)
{
    return eid_txn_open_store(txn, name, EID_TYPE_TABLE, out);
}

/* A dot would make other programs take the key for a path. */
static eid_status check_key(eid_slice key)
{
    if (key.len == 0)
        return eid_fail(EID_ERR_INVALID_PATH, "a row needs a key that is not empty");
    if (memchr(key.data, '.', key.len) != NULL)
        return eid_fail(EID_ERR_INVALID_PATH, "the row key \"%.*s\" holds a dot, which row keys may not",
                        (int)eid_utf8_cut(key, 200), (const char *)key.data);
    if (!eid_utf8_valid(key))
        return eid_fail(EID_ERR_UTF8, "a row key must be valid UTF-8");
    return EID_OK;
}

static eid_status check_row(eid_slice row)
{
    eid_json reader;
    eid_status status;

    eid_json_init(&reader, row);
    status = eid_json_skip(&reader);
    if (status == EID_OK)
        status = eid_json_end(&reader);
    eid_json_free(&reader);
    if (status != EID_OK && status != EID_ERR_NO_MEMORY)
        status = eid_fail_context(EID_ERR_SYNTAX, "the row is not JSON, which other programs expect");
    return status;
}

/* ---- Changing ---- */

/* Takes the value, also on failure. */
static eid_status put_made(eid_txn_store *store, const char *key, eid_value *value)
{
    eid_status status = eid_txn_store_put(store, eid_slice_text(key), value);

    if (status != EID_OK)
        eid_value_free(value);
    return status;
}

static eid_status put_row(eid_txn_store *store, const char *key, const char *row)
{
    eid_value *value;

    EID_TRY(eid_value_new_text(row, strlen(row), &value));
    return put_made(store, key, value);
}

eid_status eid_table_set(eid_txn *txn, const char *name, const char *key, const char *row)
{
    EID_NEED(txn && name && key && row);
    eid_txn_store *store;

    EID_TRY(check_key(eid_slice_text(key)));
    EID_TRY(check_row(eid_slice_text(row)));
    EID_TRY(open_table(txn, name, &store));
    return put_row(store, key, row);
}

eid_status eid_table_insert(eid_txn *txn, const char *name, const char *row, char key[EID_ROW_KEY_SIZE])
{
    EID_NEED(txn && name && row && key);
    char text[EID_UUID_TEXT_SIZE];
    eid_txn_store *store;
    eid_uuid uuid;

    EID_TRY(check_row(eid_slice_text(row)));
    EID_TRY(open_table(txn, name, &store));
    eid_txn_store_new_key(store, &uuid);
    eid_uuid_format(&uuid, text);
    EID_TRY(put_row(store, text, row));
    memcpy(key, text, EID_ROW_KEY_SIZE);
    return EID_OK;
}

/* The row's value, which the caller frees; EID_ERR_KEY_NOT_FOUND also for what is not text. */
static eid_status get_row(eid_txn_store *store, const char *key, eid_value **out)
{
    eid_value *value;

    EID_TRY(eid_txn_store_child(store, eid_slice_text(key), &value));
    if (value == NULL || eid_value_get_kind(value) != EID_VALUE_TEXT) {
        eid_value_free(value);
        return eid_fail(EID_ERR_KEY_NOT_FOUND, "the table has no row \"%.200s\"", key);
    }
    *out = value;
    return EID_OK;
}

eid_status eid_table_delete(eid_txn *txn, const char *name, const char *key, bool *deleted)
{
    EID_NEED(txn && name && key);
    eid_txn_store *store;
    eid_value *value;
    eid_status status;

    EID_TRY(check_key(eid_slice_text(key)));
    EID_TRY(open_table(txn, name, &store));
    status = get_row(store, key, &value);
    if (status == EID_OK) {
        eid_value_free(value);
        EID_TRY(eid_value_new_deleted(&value));
        EID_TRY(put_made(store, key, value));
    } else if (status != EID_ERR_KEY_NOT_FOUND) {
        return status;
    }
    if (deleted != NULL)
        *deleted = status == EID_OK;
    return EID_OK;
}

/* ---- Reading ---- */

eid_status eid_table_get(eid_txn *txn, const char *name, const char *key, char **row, size_t *len)
{
    EID_NEED(txn && name && key && row);
    eid_txn_store *store;
    eid_value *value = NULL;

    EID_TRY(check_key(eid_slice_text(key)));
    EID_TRY(open_table(txn, name, &store));
    EID_TRY(get_row(store, key, &value));
    return eid_value_take_text(value, row, len);
}

typedef struct row_scan {
    eid_row_callback callback;
    void *ctx;
    uint64_t count;
} row_scan;

static bool show_row(const eid_row *row, void *ctx)
{
    row_scan *scan = ctx;
    scan->count++;
    return scan->callback == NULL ||
           scan->callback((const char *)row->key.data, (const char *)row->text.data, row->text.len, scan->ctx);
}

/* Without a callback the rows are only counted. */
static eid_status scan_rows(eid_txn *txn, const char *name, const char *after, row_scan *scan)
{
    eid_txn_store *store;
    bool done;
    EID_TRY(open_table(txn, name, &store));
    eid_row_query query = {.low = {NULL, 0}, .high = eid_slice_text("\xff"), .counting = scan->callback == NULL,
                           .show = show_row, .ctx = scan};
    if (after != NULL) {
        query.resumed = true;
        query.after_key = eid_slice_text(after);
    }
    return eid_txn_store_rows(store, &query, &done);
}

static eid_status scan_database(eid_database *database, const char *name, const char *after, row_scan *scan)
{
    eid_txn *txn;
    EID_TRY(eid_database_new_transaction(database, &txn));
    eid_status status = scan_rows(txn, name, after, scan);
    eid_txn_free(txn);
    return status;
}

eid_status eid_table_scan(eid_txn *txn, const char *name, const char *after, eid_row_callback callback, void *ctx)
{
    EID_NEED(txn && name && callback);
    row_scan scan = {callback, ctx, 0};
    return scan_rows(txn, name, after, &scan);
}

eid_status eid_database_table_scan(eid_database *database, const char *name, const char *after, eid_row_callback callback,
                                   void *ctx)
{
    EID_NEED(database && name && callback);
    row_scan scan = {callback, ctx, 0};
    return scan_database(database, name, after, &scan);
}

eid_status eid_table_count(eid_txn *txn, const char *name, uint64_t *out)
{
    EID_NEED(txn && name && out);
    row_scan scan = {NULL, NULL, 0};
    EID_TRY(scan_rows(txn, name, NULL, &scan));
    *out = scan.count;
    return EID_OK;
}

eid_status eid_database_table_count(eid_database *database, const char *name, uint64_t *out)
{
    EID_NEED(database && name && out);
    row_scan scan = {NULL, NULL, 0};
    EID_TRY(scan_database(database, name, NULL, &scan));
    *out = scan.count;
    return EID_OK;
}
