/* SPDX-License-Identifier: Apache-2.0 */
/* Queries on tables: from what is asked to the part of an order it means, and pages of the answer.
 *
 * Every condition is a half-open range of values in the form of state/index.h: the next value behind x, in the order of bytes,
 * is x and a zero. A range never leaves the kind it was asked in unless two bounds say so. */
#include "store/store_int.h"

#include "base/alloc.h"
#include "base/sized.h"
#include "base/log.h"
#include "base/utf8.h"
#include "codec/base.h"
#include "database/rows.h"

typedef struct query_run {
    eid_database *database;
    const char *name;
    const eid_table_query *query;
    eid_row_callback callback;
    void *ctx;
    eid_buf low, high;
    eid_buf place;           /* decoded cursor: length of the value, value, key */
    eid_buf last;            /* the place of the last row shown */
    eid_status status;
    uint64_t shown;
    uint64_t tested;
    bool stopped;            /* by the limit or the callback */
    eid_row_query rows;
} query_run;

/* ---- Conditions ---- */

static eid_status write_text(eid_buf *out, const char *text, size_t len)
{
    if (text == NULL || !eid_utf8_valid(eid_slice_of(text, len)))
        return eid_fail(EID_ERR_UTF8, "A text in a query must be UTF-8");
    eid_field_write_text(out, eid_slice_of(text, len));
    return EID_OK;
}

static eid_status write_number(eid_buf *out, eid_slice text)
{
    if (!eid_field_write_number(out, text))
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "A number in a query must be one that JSON can write, with an exponent up to 10^15");
    return EID_OK;
}

static eid_status write_int(eid_buf *out, int64_t integer)
{
    eid_buf text;
    eid_buf_init(&text, 32);
    eid_json_write_i64(&text, integer);
    eid_status status = eid_buf_status(&text);
    if (status == EID_OK)
        status = write_number(out, eid_buf_slice(&text));
    eid_buf_free(&text);
    return status;
}

static eid_status write_value(eid_buf *out, const eid_table_value *value)
{
    switch (value->kind) {
    case EID_TABLE_NULL:
        eid_buf_append_byte(out, EID_FIELD_TAG_NULL);
        return EID_OK;
    case EID_TABLE_BOOL:
        eid_buf_append_byte(out, value->boolean ? EID_FIELD_TAG_TRUE : EID_FIELD_TAG_FALSE);
        return EID_OK;
    case EID_TABLE_INT:
        return write_int(out, value->integer);
    case EID_TABLE_REAL: {
        char text[EID_REAL_TEXT_SIZE];
        if (!eid_real_format(value->real, text))
            return eid_fail(EID_ERR_INVALID_ARGUMENT, "A query can not ask for infinite numbers");
        return write_number(out, eid_slice_text(text));
    }
    case EID_TABLE_NUMBER:
        return value->text == NULL ? eid_fail(EID_ERR_INVALID_ARGUMENT, "A number in a query has no text")
                                   : write_number(out, eid_slice_of(value->text, value->len));
    case EID_TABLE_TEXT:
        return write_text(out, value->text, value->len);
    case EID_TABLE_NONE:
        break;
    }
    return eid_fail(EID_ERR_INVALID_ARGUMENT, "A value in a query is of an unknown kind");
}

/* The first byte of the kind's values, and the first beyond them. */
static void kind_bounds(eid_table_kind kind, uint8_t *first, uint8_t *beyond)
{
    switch (kind) {
    case EID_TABLE_NULL:
        *first = EID_FIELD_TAG_NULL;
        *beyond = EID_FIELD_TAG_NULL + 1;
        break;
    case EID_TABLE_BOOL:
        *first = EID_FIELD_TAG_FALSE;
        *beyond = EID_FIELD_TAG_TRUE + 1;
        break;
    case EID_TABLE_TEXT:
        *first = EID_FIELD_TAG_TEXT;
        *beyond = EID_FIELD_TAG_TEXT + 1;
        break;
    case EID_TABLE_NONE:
        *first = EID_FIELD_TAG_NULL;
        *beyond = EID_FIELD_TAG_END;
        break;
    default:
        *first = EID_FIELD_TAG_NEGATIVE;
        *beyond = EID_FIELD_TAG_POSITIVE + 1;
        break;
    }
}

static eid_status compile_bounds(query_run *run)
{
    const eid_table_query *query = run->query;
    uint8_t first, beyond;
    if (query->lower.kind != EID_TABLE_NONE) {
        EID_TRY(write_value(&run->low, &query->lower));
        if (query->lower_excluded)
            eid_buf_append_byte(&run->low, 0);
    } else {
        kind_bounds(query->upper.kind, &first, &beyond);
        eid_buf_append_byte(&run->low, first);
    }
    if (query->upper.kind != EID_TABLE_NONE) {
        EID_TRY(write_value(&run->high, &query->upper));
        if (!query->upper_excluded)
            eid_buf_append_byte(&run->high, 0);
    } else {
        kind_bounds(query->lower.kind, &first, &beyond);
        eid_buf_append_byte(&run->high, beyond);
    }
    return EID_OK;
}

static eid_status compile_field(query_run *run)
{
    const eid_table_query *query = run->query;
    EID_TRY(eid_field_check(eid_slice_text(query->field)));
    if (query->equals.kind != EID_TABLE_NONE) {
        EID_TRY(write_value(&run->low, &query->equals));
        EID_TRY(write_value(&run->high, &query->equals));
        eid_buf_append_byte(&run->high, 0);
        return EID_OK;
    }
    if (query->prefix == NULL)
        return compile_bounds(run);
    EID_TRY(write_text(&run->low, query->prefix, strlen(query->prefix)));
    EID_TRY(write_text(&run->high, query->prefix, strlen(query->prefix)));
    eid_buf_append_byte(&run->high, 0xff); /* above every byte of UTF-8 */
    return EID_OK;
}

static eid_status write_key(eid_buf *out, const eid_table_value *value)
{
    if (value->kind != EID_TABLE_TEXT || value->text == NULL)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "A query without a field asks for keys: its conditions must be texts");
    eid_buf_append(out, value->text, value->len);
    return EID_OK;
}

static eid_status compile_keys(query_run *run)
{
    const eid_table_query *query = run->query;
    if (query->equals.kind != EID_TABLE_NONE) {
        EID_TRY(write_key(&run->low, &query->equals));
        EID_TRY(write_key(&run->high, &query->equals));
        eid_buf_append_byte(&run->high, 0);
        return EID_OK;
    }
    if (query->prefix != NULL) {
        eid_buf_append_text(&run->low, query->prefix);
        eid_buf_append_text(&run->high, query->prefix);
        eid_buf_append_byte(&run->high, 0xff);
        return EID_OK;
    }
    if (query->lower.kind != EID_TABLE_NONE) {
        EID_TRY(write_key(&run->low, &query->lower));
        if (query->lower_excluded)
            eid_buf_append_byte(&run->low, 0);
    }
    if (query->upper.kind != EID_TABLE_NONE) {
        EID_TRY(write_key(&run->high, &query->upper));
        if (!query->upper_excluded)
            eid_buf_append_byte(&run->high, 0);
    } else {
        eid_buf_append_byte(&run->high, 0xff);
    }
    return EID_OK;
}

static eid_status check_conditions(const eid_table_query *query)
{
    int asked = (query->equals.kind != EID_TABLE_NONE) + (query->prefix != NULL) +
                (query->lower.kind != EID_TABLE_NONE || query->upper.kind != EID_TABLE_NONE);
    if (asked > 1)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "A query asks for one value, or a beginning, or bounds; not for several of them");
    return EID_OK;
}

/* ---- Cursors: "k" or "f" for the order, then the place in base 32 ---- */

static char cursor_kind(const eid_table_query *query)
{
    return query->field == NULL ? 'k' : 'f';
}

static eid_status bad_cursor(void)
{
    return eid_fail(EID_ERR_INVALID_ARGUMENT, "The cursor is not one of this query; give the text of an earlier result");
}

static eid_status read_cursor(query_run *run)
{
    const char *cursor = run->query->cursor;
    if (cursor == NULL)
        return EID_OK;
    size_t text_len = strlen(cursor), len = 0;
    if (text_len < 2 || cursor[0] != cursor_kind(run->query))
        return bad_cursor();
    uint8_t *bytes = eid_buf_reserve(&run->place, text_len);
    EID_TRY(eid_buf_status(&run->place));
    if (eid_base32_decode(eid_slice_of(cursor + 1, text_len - 1), bytes, text_len, &len) != EID_OK || len == 0)
        return bad_cursor();
    eid_buf_commit(&run->place, len);
    size_t value_len = bytes[0];
    if (value_len > len - 1 || value_len > EID_LIMIT_INDEX_VALUE)
        return bad_cursor();
    run->rows.resumed = true;
    run->rows.after_value = eid_slice_of(bytes + 1, value_len);
    run->rows.after_key = eid_slice_of(bytes + 1 + value_len, len - 1 - value_len);
    return EID_OK;
}

static eid_status write_place(eid_buf *out, const eid_row *row)
{
    eid_buf_reset(out);
    eid_buf_append_byte(out, (uint8_t)row->value.len);
    eid_buf_append_slice(out, row->value);
    eid_buf_append_slice(out, row->key);
    return eid_buf_status(out);
}

static eid_status write_cursor(const query_run *run, char **out)
{
    char *text = eid_alloc(EID_BASE32_SIZE(run->last.len) + 1);
    if (text == NULL)
        return eid_fail_memory();
    text[0] = cursor_kind(run->query);
    eid_base32_encode(run->last.data, run->last.len, text + 1);
    *out = text;
    return EID_OK;
}

/* ---- Running ---- */

static bool is_wanted(const eid_row *row, void *ctx)
{
    const query_run *run = ctx;
    const eid_table_query *query = run->query;
    return query->matches == NULL ||
           query->matches((const char *)row->key.data, (const char *)row->text.data, row->text.len, query->matches_ctx);
}

/* One row more than the limit is looked for, to know whether there is another page. */
static bool is_full(query_run *run)
{
    run->stopped = run->shown > 0 && run->shown == run->query->limit;
    return run->stopped;
}

static bool show_wanted(const eid_row *row, void *ctx)
{
    query_run *run = ctx;
    if (is_full(run))
        return false;
    run->status = write_place(&run->last, row);
    if (run->status != EID_OK)
        return false;
    run->shown++;
    bool more = run->callback == NULL ||
                run->callback((const char *)row->key.data, (const char *)row->text.data, row->text.len, run->ctx);
    run->stopped = !more;
    return more;
}

/* A row that is passed over is a place too, should the index be lost. */
static bool show_row(const eid_row *row, void *ctx)
{
    query_run *run = ctx;
    if (is_full(run))
        return false;
    run->tested++;
    if (is_wanted(row, run))
        return show_wanted(row, ctx);
    run->status = write_place(&run->last, row);
    return run->status == EID_OK;
}

/* Behind the last row that was shown. */
static void resume(query_run *run, eid_buf *place)
{
    if (run->last.len == 0)
        return;
    eid_buf taken = run->last;
    run->last = *place;
    *place = taken;
    eid_buf_reset(&run->last);
    run->rows.resumed = true;
    run->rows.after_value = eid_slice_of(place->data + 1, place->data[0]);
    run->rows.after_key = eid_slice_of(place->data + 1 + place->data[0], place->len - 1 - place->data[0]);
}

/* An index that was left unfinished is finished now; if that fails the rows are looked at without it. */
static eid_status find_index(const query_run *run, eid_txn_store *store, bool *ready)
{
    const char *field = run->query->field;
    bool declared;
    EID_TRY(eid_txn_store_has_index(store, field, &declared, ready));
    if (!declared || *ready)
        return EID_OK;
    eid_status status = eid_table_finish_index(run->database, run->name, field);
    if (status == EID_ERR_NO_MEMORY)
        return status;
    if (status != EID_OK)
        eid_log(EID_LOG_WARN, "The index on %s of table %s can not be completed: %s", field, run->name, eid_last_error());
    *ready = status == EID_OK;
    return EID_OK;
}

static eid_status run_query(eid_txn_store *store, query_run *run, bool *indexed)
{
    const eid_table_query *query = run->query;
    bool done = false;
    run->rows.show = show_row;
    run->rows.expected = query->matches == NULL && query->limit < EID_LIMIT_QUERY_SLICE ? (size_t)query->limit + 1 : 0;
    *indexed = true;
    if (query->field != NULL)
        EID_TRY(find_index(run, store, indexed));
    if (*indexed)
        EID_TRY(eid_txn_store_rows(store, &run->rows, &done));
    EID_TRY(run->status);
    if (done)
        return EID_OK;
    *indexed = false;
    resume(run, &run->place);
    run->rows.show = show_wanted;
    uint64_t wanted = query->limit == 0 || query->limit == UINT64_MAX ? 0 : query->limit - run->shown + 1;
    EID_TRY(eid_txn_store_sort(store, &run->rows, wanted, is_wanted, &run->tested));
    return run->status;
}

static eid_status compile(query_run *run)
{
    const eid_table_query *query = run->query;
    EID_TRY(check_conditions(query));
    EID_TRY(query->field == NULL ? compile_keys(run) : compile_field(run));
    EID_TRY(eid_buf_status(&run->low));
    EID_TRY(eid_buf_status(&run->high));
    EID_TRY(read_cursor(run));
    run->rows.field = query->field;
    run->rows.low = eid_buf_slice(&run->low);
    run->rows.high = eid_buf_slice(&run->high);
    run->rows.descending = query->descending;
    run->rows.ctx = run;
    return EID_OK;
}

static eid_status find(eid_txn_store *store, query_run *run, eid_table_result *result)
{
    bool indexed = false;
    char *cursor = NULL;
    EID_TRY(compile(run));
    EID_TRY(run_query(store, run, &indexed));
    if (run->stopped && result != NULL)
        EID_TRY(write_cursor(run, &cursor));
    eid_table_result full = {sizeof full, run->shown, run->tested, indexed, cursor};
    if (result != NULL)
        eid_sized_give(result, &full, sizeof full);
    return EID_OK;
}

eid_status eid_table_find(eid_txn *txn, const char *name, const eid_table_query *query, eid_row_callback callback, void *ctx,
                          eid_table_result *result)
{
    EID_NEED(txn && name && query);
    eid_txn_store *store;
    eid_table_query used = EID_TABLE_QUERY_INIT;
    EID_TRY(eid_sized_take(&used, sizeof used, query, "eid_table_query"));
    if (result != NULL)
        EID_TRY(eid_sized_check(result, sizeof *result, "eid_table_result"));
    EID_TRY(eid_txn_open_store(txn, name, EID_TYPE_TABLE, &store));
    query_run run = {.database = eid_txn_database(txn), .name = name, .query = &used, .callback = callback, .ctx = ctx};
    eid_buf_init(&run.low, SIZE_MAX / 2);
    eid_buf_init(&run.high, SIZE_MAX / 2);
    eid_buf_init(&run.place, SIZE_MAX / 2);
    eid_buf_init(&run.last, SIZE_MAX / 2);
    eid_status status = find(store, &run, result);
    eid_buf_free(&run.low);
    eid_buf_free(&run.high);
    eid_buf_free(&run.place);
    eid_buf_free(&run.last);
    return status;
}

eid_status eid_database_table_find(eid_database *database, const char *name, const eid_table_query *query,
                                   eid_row_callback callback, void *ctx, eid_table_result *result)
{
    EID_NEED(database && name && query);
    eid_txn *txn;
    EID_TRY(eid_database_new_transaction(database, &txn));
    eid_status status = eid_table_find(txn, name, query, callback, ctx, result);
    eid_txn_free(txn);
    return status;
}

void eid_table_result_clear(eid_table_result *result)
{
    static const eid_table_result empty = EID_TABLE_RESULT_INIT;
    if (result == NULL)
        return;
    eid_free(result->cursor);
    eid_sized_give(result, &empty, sizeof empty);
}
