/* SPDX-License-Identifier: Apache-2.0 */
/* Table: rows of JSON text, each under a key (spec stores.md section 3).
 *
 * A row is one value and merges as a whole: of two concurrent changes of a row the later one stays. */
#include "store/store_int.h"

#include "base/alloc.h"
#include "base/random.h"
#include "base/utf8.h"
#include "codec/json.h"

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

eid_status eid_table_set(eid_txn *txn, const char *name, const char *key, const char *row)
{
    eid_txn_store *store;
    eid_value *value;

    EID_TRY(check_key(eid_slice_text(key)));
    EID_TRY(check_row(eid_slice_text(row)));
    EID_TRY(open_table(txn, name, &store));
    EID_TRY(eid_value_new_text(row, strlen(row), &value));
    return put_made(store, key, value);
}

eid_status eid_table_insert(eid_txn *txn, const char *name, const char *row, char key[EID_ROW_KEY_SIZE])
{
    char text[EID_UUID_TEXT_SIZE];
    eid_uuid uuid;

    eid_uuid_new(&uuid);
    eid_uuid_format(&uuid, text);
    EID_TRY(eid_table_set(txn, name, text, row));
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
    eid_txn_store *store;
    eid_value *value = NULL;
    const char *text;
    size_t text_len;

    EID_TRY(check_key(eid_slice_text(key)));
    EID_TRY(open_table(txn, name, &store));
    EID_TRY(get_row(store, key, &value));
    eid_status status = eid_value_as_text(value, &text, &text_len);
    if (status == EID_OK) {
        char *copy = eid_memdup(text, text_len);
        if (copy == NULL) {
            status = eid_fail_memory();
        } else {
            *row = copy;
            if (len != NULL)
                *len = text_len;
        }
    }
    eid_value_free(value);
    return status;
}

typedef struct row_scan {
    eid_row_callback callback;
    void *ctx;
    eid_buf key; /* the key with its zero */
    eid_status status;
} row_scan;

static bool show_row(eid_slice key, const eid_value *value, void *ctx)
{
    row_scan *scan = ctx;
    const char *text;
    size_t len;

    if (eid_value_as_text(value, &text, &len) != EID_OK)
        return true;
    eid_buf_reset(&scan->key);
    /* Room first, so that an empty key has its zero too. */
    eid_buf_reserve(&scan->key, key.len + 1);
    eid_buf_append_slice(&scan->key, key);
    scan->status = eid_buf_status(&scan->key);
    if (scan->status != EID_OK)
        return false;
    return scan->callback((const char *)scan->key.data, text, len, scan->ctx);
}

static void start_scan(row_scan *scan, eid_row_callback callback, void *ctx)
{
    scan->callback = callback;
    scan->ctx = ctx;
    scan->status = EID_OK;
    eid_buf_init(&scan->key, SIZE_MAX / 2);
}

static eid_status end_scan(row_scan *scan, eid_status status)
{
    eid_buf_free(&scan->key);
    return status == EID_OK ? scan->status : status;
}

eid_status eid_table_scan(eid_txn *txn, const char *name, const char *after, eid_row_callback callback,
                          void *ctx)
{
    eid_slice start = eid_slice_text(after != NULL ? after : "");
    eid_txn_store *store;
    row_scan scan;

    EID_TRY(open_table(txn, name, &store));
    start_scan(&scan, callback, ctx);
    return end_scan(&scan, eid_txn_store_scan(store, after != NULL ? &start : NULL, show_row, &scan));
}

eid_status eid_database_table_scan(eid_database *database, const char *name, const char *after,
                                   eid_row_callback callback, void *ctx)
{
    eid_slice start = eid_slice_text(after != NULL ? after : "");
    row_scan scan;

    start_scan(&scan, callback, ctx);
    return end_scan(&scan, eid_database_scan(database, name, after != NULL ? &start : NULL, show_row, &scan));
}
