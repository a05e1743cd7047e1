/* SPDX-License-Identifier: Apache-2.0 */
/* Reading rows of a table in slices, in the order of their keys or of an index, either way.
 *
 * A slice copies what it shows, so that nothing is held while the caller looks at it, and remembers the place it ended at,
 * also when the last cells there were no rows. */
#include "state/index.h"

void eid_rows_init(eid_rows *rows)
{
    eid_buf_init(&rows->bytes, SIZE_MAX / 2);
    eid_buf_init(&rows->last_value, SIZE_MAX / 2);
    eid_buf_init(&rows->last_key, SIZE_MAX / 2);
    rows->started = false;
    rows->count = 0;
}

void eid_rows_free(eid_rows *rows)
{
    eid_buf_free(&rows->bytes);
    eid_buf_free(&rows->last_value);
    eid_buf_free(&rows->last_key);
}

eid_row eid_rows_at(const eid_rows *rows, size_t index)
{
    const eid_row_place *at = &rows->items[index];
    const uint8_t *bytes = rows->bytes.data;
    return (eid_row){eid_slice_of(bytes + at->value_at, at->value_len), eid_slice_of(bytes + at->key_at, at->key_len),
                     eid_slice_of(bytes + at->text_at, at->text_len)};
}

/* ---- Stored forms ---- */

/* {"Text":"…"} */
static const char head[] = "{\"Text\":\"";
#define HEAD (sizeof head - 1)
#define TAIL 2

static bool is_text(eid_slice stored)
{
    return stored.len >= HEAD + TAIL && memcmp(stored.data, head, HEAD) == 0;
}

eid_status eid_stored_text(eid_slice stored, eid_buf *out, bool *yes)
{
    *yes = is_text(stored);
    return *yes ? eid_json_unescape(eid_slice_of(stored.data + HEAD, stored.len - HEAD - TAIL), out) : EID_OK;
}

/* ---- Copying ---- */

/* Copies the bytes and a zero. */
static uint8_t *copy_bytes(uint8_t *out, eid_slice bytes)
{
    if (bytes.len > 0)
        memcpy(out, bytes.data, bytes.len);
    out[bytes.len] = 0;
    return out + bytes.len + 1;
}

void eid_rows_clear(eid_rows *rows)
{
    eid_buf_reset(&rows->bytes);
    rows->count = 0;
}

/* Value and key of a row, whose text is appended next. Each is at most an entry long. */
static eid_status begin_row(eid_rows *rows, eid_slice value, eid_slice key, eid_row_place *at)
{
    size_t start = rows->bytes.len, size = value.len + key.len + 2;
    uint8_t *out = eid_buf_reserve(&rows->bytes, size);
    if (out == NULL)
        return eid_buf_status(&rows->bytes);
    copy_bytes(copy_bytes(out, value), key);
    eid_buf_commit(&rows->bytes, size);
    *at = (eid_row_place){start, value.len, start + value.len + 1, key.len, start + size, 0};
    return EID_OK;
}

static eid_status end_row(eid_rows *rows, eid_row_place *at)
{
    at->text_len = rows->bytes.len - at->text_at;
    eid_buf_append_byte(&rows->bytes, 0);
    rows->items[rows->count++] = *at;
    return eid_buf_status(&rows->bytes);
}

eid_status eid_rows_add(eid_rows *rows, eid_slice value, eid_slice key, eid_slice text)
{
    eid_row_place at;
    EID_TRY(begin_row(rows, value, key, &at));
    eid_buf_append_slice(&rows->bytes, text);
    return end_row(rows, &at);
}

static eid_status add_stored(eid_rows *rows, eid_slice value, eid_slice key, eid_slice stored, bool counting)
{
    eid_row_place at;
    bool wanted = is_text(stored);
    if (!wanted)
        return EID_OK;
    EID_TRY(begin_row(rows, value, key, &at));
    if (!counting)
        EID_TRY(eid_stored_text(stored, &rows->bytes, &wanted));
    return end_row(rows, &at);
}

eid_status eid_rows_set_place(eid_rows *rows, eid_slice value, eid_slice key)
{
    eid_buf_reset(&rows->last_value);
    eid_buf_reset(&rows->last_key);
    eid_buf_append_slice(&rows->last_value, value);
    eid_buf_append_slice(&rows->last_key, key);
    rows->started = true;
    EID_TRY(eid_buf_status(&rows->last_value));
    return eid_buf_status(&rows->last_key);
}

/* Columns: key, value of the cell, and of an index the value in it. */
static eid_status read_slice(eid_sql_stmt *stmt, bool by_index, const eid_row_range *range, size_t limit, eid_rows *rows,
                             bool *more)
{
    eid_rows_clear(rows);
    *more = true;
    if (limit > EID_LIMIT_QUERY_SLICE)
        limit = EID_LIMIT_QUERY_SLICE;
    for (size_t seen = 1;; seen++) {
        bool row;
        EID_TRY(eid_sql_step(stmt, &row));
        if (!row) {
            *more = false;
            return EID_OK;
        }
        eid_slice key = eid_sql_bytes(stmt, 0);
        eid_slice value = by_index ? eid_sql_bytes(stmt, 2) : eid_slice_of(NULL, 0);
        eid_slice place = by_index ? value : key;
        if (range->descending ? eid_slice_compare(place, range->low) < 0 : eid_slice_compare(place, range->high) >= 0) {
            *more = false;
            eid_sql_reset(stmt);
            return EID_OK;
        }
        eid_status status = add_stored(rows, value, key, eid_sql_bytes(stmt, 1), range->counting);
        bool full = seen == limit || rows->bytes.len >= EID_LIMIT_QUERY_SLICE_BYTES;
        if (status == EID_OK && full)
            status = eid_rows_set_place(rows, value, key);
        if (status != EID_OK || full) {
            eid_sql_reset(stmt);
            return status;
        }
    }
}

eid_status eid_rows_by_key(eid_storage *storage, const eid_tree_store *store, const eid_row_range *range, size_t limit,
                           eid_rows *rows, bool *more)
{
    eid_sql_stmt *stmt;
    eid_sql *sql = eid_storage_sql(storage);
    eid_slice start = rows->started ? eid_buf_slice(&rows->last_key) : range->descending ? range->high : range->low;
    if (range->descending)
        EID_TRY(eid_sql_prepare(sql, "SELECT key, value FROM cell WHERE s = ? AND key < ? ORDER BY key DESC", &stmt));
    else if (rows->started)
        EID_TRY(eid_sql_prepare(sql, "SELECT key, value FROM cell WHERE s = ? AND key > ? ORDER BY key", &stmt));
    else
        EID_TRY(eid_sql_prepare(sql, "SELECT key, value FROM cell WHERE s = ? AND key >= ? ORDER BY key", &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_blob(stmt, 2, start);
    return read_slice(stmt, false, range, limit, rows, more);
}

/* CROSS JOIN keeps the index the outer loop. */
#define INDEX_ROWS \
    "SELECT r.key, c.value, r.value FROM index_row r CROSS JOIN cell c ON c.s = r.s AND c.key = r.key WHERE r.s = ? AND r.i = ?"

eid_status eid_rows_by_index(eid_storage *storage, const eid_tree_store *store, int64_t number, const eid_row_range *range,
                             size_t limit, eid_rows *rows, bool *more)
{
    eid_sql_stmt *stmt;
    eid_sql *sql = eid_storage_sql(storage);
    if (rows->started && range->descending)
        EID_TRY(eid_sql_prepare(sql, INDEX_ROWS " AND (r.value, r.key) < (?, ?) ORDER BY r.value DESC, r.key DESC", &stmt));
    else if (rows->started)
        EID_TRY(eid_sql_prepare(sql, INDEX_ROWS " AND (r.value, r.key) > (?, ?) ORDER BY r.value, r.key", &stmt));
    else if (range->descending)
        EID_TRY(eid_sql_prepare(sql, INDEX_ROWS " AND r.value < ? ORDER BY r.value DESC, r.key DESC", &stmt));
    else
        EID_TRY(eid_sql_prepare(sql, INDEX_ROWS " AND r.value >= ? ORDER BY r.value, r.key", &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_i64(stmt, 2, number);
    eid_sql_bind_blob(stmt, 3, rows->started ? eid_buf_slice(&rows->last_value) : range->descending ? range->high : range->low);
    if (rows->started)
        eid_sql_bind_blob(stmt, 4, eid_buf_slice(&rows->last_key));
    return read_slice(stmt, true, range, limit, rows, more);
}
