/* SPDX-License-Identifier: Apache-2.0 */
/* Rows in the order of a field that has no index: all rows are looked at, those that match are kept and sorted. */
#include "database/rows.h"

#include <stdlib.h>

#include "base/alloc.h"

/* In one block with its bytes. */
typedef struct kept_row {
    eid_row row;
    bool descending;
} kept_row;

typedef struct sorter {
    const eid_row_query *query;
    eid_row_function test;
    uint64_t limit;        /* 0: none */
    kept_row **rows;
    size_t count;
    size_t capacity;
    uint64_t tested;
    eid_field_values values;
    eid_status status;
} sorter;

static int compare_rows(const eid_row *a, eid_slice value, eid_slice key, bool descending)
{
    int order = eid_slice_compare(a->value, value);
    if (order == 0)
        order = eid_slice_compare(a->key, key);
    return descending ? -order : order;
}

static int compare_kept(const void *a, const void *b)
{
    const kept_row *left = *(kept_row *const *)a, *right = *(kept_row *const *)b;
    return compare_rows(&left->row, right->row.value, right->row.key, left->descending);
}

static void sort_rows(sorter *s)
{
    if (s->count > 1)
        qsort(s->rows, s->count, sizeof(kept_row *), compare_kept);
    while (s->limit != 0 && s->count > s->limit)
        eid_free(s->rows[--s->count]);
}

/* With a limit only so many are wanted: at twice that the last half goes. */
static eid_status make_room(sorter *s)
{
    if (s->count < s->capacity)
        return EID_OK;
    if (s->limit != 0 && s->count / 2 >= s->limit) {
        sort_rows(s);
        return EID_OK;
    }
    size_t capacity = s->capacity == 0 ? 64 : s->capacity * 2;
    kept_row **grown = eid_realloc_array(s->rows, capacity, sizeof(kept_row *));
    if (grown == NULL)
        return eid_fail_memory();
    s->rows = grown;
    s->capacity = capacity;
    return EID_OK;
}

static uint8_t *copy_slice(uint8_t *at, eid_slice from, eid_slice *to)
{
    if (from.len > 0)
        memcpy(at, from.data, from.len);
    at[from.len] = 0;
    *to = eid_slice_of(at, from.len);
    return at + from.len + 1;
}

static eid_status keep(sorter *s, const eid_row *row)
{
    EID_TRY(make_room(s));
    kept_row *kept = eid_alloc(sizeof *kept + row->value.len + row->key.len + row->text.len + 3);
    if (kept == NULL)
        return eid_fail_memory();
    uint8_t *at = (uint8_t *)(kept + 1);
    at = copy_slice(at, row->value, &kept->row.value);
    at = copy_slice(at, row->key, &kept->row.key);
    copy_slice(at, row->text, &kept->row.text);
    kept->descending = s->query->descending;
    s->rows[s->count++] = kept;
    return EID_OK;
}

static bool look_at(const eid_row *row, void *ctx)
{
    sorter *s = ctx;
    const eid_row_query *query = s->query;
    eid_row found = *row;
    bool matches;
    s->tested++;
    s->status = eid_row_match(query, row->key, row->text, &s->values, &found.value, &matches);
    if (s->status != EID_OK || !matches)
        return s->status == EID_OK;
    if (query->resumed && compare_rows(&found, query->after_value, query->after_key, query->descending) <= 0)
        return true;
    if (s->test == NULL || s->test(&found, query->ctx))
        s->status = keep(s, &found);
    return s->status == EID_OK;
}

eid_status eid_txn_store_sort(eid_txn_store *store, const eid_row_query *query, uint64_t limit, eid_row_function test,
                              uint64_t *tested)
{
    sorter *s = eid_alloc_zero(1, sizeof *s);
    if (s == NULL)
        return eid_fail_memory();
    s->query = query;
    s->test = test;
    s->limit = limit;
    eid_field_values_init(&s->values);
    eid_row_query all = {.low = {NULL, 0}, .high = eid_slice_text("\xff"), .show = look_at, .ctx = s};
    bool done;
    eid_status status = eid_txn_store_rows(store, &all, &done);
    if (status == EID_OK)
        status = s->status;
    sort_rows(s);
    bool wanted = status == EID_OK;
    for (size_t i = 0; i < s->count; i++) {
        wanted = wanted && query->show(&s->rows[i]->row, query->ctx);
        eid_free(s->rows[i]);
    }
    *tested += s->tested;
    eid_field_values_free(&s->values);
    eid_free(s->rows);
    eid_free(s);
    return status;
}
