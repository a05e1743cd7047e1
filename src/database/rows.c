/* SPDX-License-Identifier: Apache-2.0 */
/* Walking over rows in order: committed ones in slices, with what the transaction sees differently laid over them. */
#include "database/rows.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "database/txn_int.h"

/* A row that is not shown as it is committed; in one block with its bytes. */
typedef struct laid_row {
    eid_row row;
    bool descending; /* how to sort it */
} laid_row;

/* A row of a folded state, lent by its document. */
typedef struct folded_row {
    eid_slice key;
    eid_slice text;
} folded_row;

typedef struct walk {
    eid_txn_store *store;
    const eid_row_query *query;
    eid_rows rows;           /* the slice */
    size_t at;
    size_t slice;            /* rows to read next time */
    bool more;               /* there may be rows behind the slice */
    int64_t seen;            /* changes up to this arrival number are in the overlay */
    eid_map *laid;           /* key -> laid_row; NULL: the key shows no row */
    laid_row **order;        /* those with rows, in order */
    size_t order_count;
    size_t order_capacity;
    size_t order_at;
    eid_doc *doc;            /* instead of slices */
    folded_row *folded;
    size_t folded_count;
    size_t folded_at;
    eid_field_values values;
    eid_buf place_value;     /* of the last row handed out */
    eid_buf place_key;
    bool placed;
    bool lost;               /* the index can not be used */
} walk;

/* ---- Matching and order ---- */

eid_status eid_row_match(const eid_row_query *query, eid_slice key, eid_slice text, eid_field_values *values, eid_slice *value,
                         bool *matches)
{
    *value = eid_slice_of(NULL, 0);
    if (query->field == NULL) {
        *matches = eid_slice_compare(key, query->low) >= 0 && eid_slice_compare(key, query->high) < 0;
        return EID_OK;
    }
    EID_TRY(eid_field_read(eid_slice_text(query->field), text, values));
    *matches = false;
    for (size_t i = 0; i < values->count && !*matches; i++) {
        eid_slice next = eid_field_value_at(values, query->descending ? values->count - 1 - i : i);
        *matches = eid_slice_compare(next, query->low) >= 0 && eid_slice_compare(next, query->high) < 0;
        *value = eid_field_cut(next);
    }
    return EID_OK;
}

static int compare_places(bool descending, eid_slice value_a, eid_slice key_a, eid_slice value_b, eid_slice key_b)
{
    int order = eid_slice_compare(value_a, value_b);
    if (order == 0)
        order = eid_slice_compare(key_a, key_b);
    return descending ? -order : order;
}

static int compare_laid(const void *a, const void *b)
{
    const laid_row *left = *(laid_row *const *)a, *right = *(laid_row *const *)b;
    return compare_places(left->descending, left->row.value, left->row.key, right->row.value, right->row.key);
}

static bool is_passed(const walk *w, eid_slice value, eid_slice key)
{
    return w->placed && compare_places(w->query->descending, value, key, eid_buf_slice(&w->place_value),
                                       eid_buf_slice(&w->place_key)) <= 0;
}

static eid_status set_place(walk *w, eid_slice value, eid_slice key)
{
    eid_buf_reset(&w->place_value);
    eid_buf_reset(&w->place_key);
    eid_buf_append_slice(&w->place_value, value);
    eid_buf_append_slice(&w->place_key, key);
    w->placed = true;
    EID_TRY(eid_buf_status(&w->place_value));
    return eid_buf_status(&w->place_key);
}

/* ---- What lies over the committed rows ---- */

static uint8_t *copy_slice(uint8_t *at, eid_slice from, eid_slice *to)
{
    if (from.len > 0)
        memcpy(at, from.data, from.len);
    at[from.len] = 0;
    *to = eid_slice_of(at, from.len);
    return at + from.len + 1;
}

static eid_status copy_row(const walk *w, eid_slice value, eid_slice key, eid_slice text, laid_row **out)
{
    /* Each is at most an entry long. */
    laid_row *laid = eid_alloc(sizeof *laid + value.len + key.len + text.len + 3);
    if (laid == NULL)
        return eid_fail_memory();
    uint8_t *at = (uint8_t *)(laid + 1);
    at = copy_slice(at, value, &laid->row.value);
    at = copy_slice(at, key, &laid->row.key);
    copy_slice(at, text, &laid->row.text);
    laid->descending = w->query->descending;
    *out = laid;
    return EID_OK;
}

static eid_status add_to_order(walk *w, laid_row *laid)
{
    if (w->order_count == w->order_capacity) {
        size_t capacity = w->order_capacity == 0 ? 16 : w->order_capacity * 2;
        laid_row **grown = eid_realloc_array(w->order, capacity, sizeof(laid_row *));
        if (grown == NULL)
            return eid_fail_memory();
        w->order = grown;
        w->order_capacity = capacity;
    }
    w->order[w->order_count++] = laid;
    return EID_OK;
}

/* The key is shown with this value (NULL: with none), whatever is committed. */
static eid_status lay(walk *w, eid_map_entry *entry, const eid_value *value)
{
    bool matches = false;
    const char *text = NULL;
    size_t len = 0;
    eid_slice by = {NULL, 0};
    if (value == NULL || eid_value_get_kind(value) != EID_VALUE_TEXT)
        return EID_OK;
    EID_TRY(eid_value_as_text(value, &text, &len));
    EID_TRY(eid_row_match(w->query, entry->key, eid_slice_of(text, len), &w->values, &by, &matches));
    if (!matches || is_passed(w, by, entry->key))
        return EID_OK;
    laid_row *laid = NULL;
    EID_TRY(copy_row(w, by, entry->key, eid_slice_of(text, len), &laid));
    entry->value = laid;
    return add_to_order(w, laid);
}

static void sort_order(walk *w)
{
    /* What was shown is not shown again: the rest moves to the front. */
    size_t left = w->order_count - w->order_at;
    if (w->order_at > 0)
        memmove(w->order, w->order + w->order_at, left * sizeof(laid_row *));
    w->order_count = left;
    w->order_at = 0;
    if (left > 1)
        qsort(w->order, left, sizeof(laid_row *), compare_laid);
}

static eid_status lay_staged(walk *w)
{
    const eid_doc_cursor *cursor = NULL;
    const char *key;
    size_t len;
    const eid_value *value;
    while (eid_doc_next_raw(w->store->delta, &cursor, &key, &len, &value)) {
        eid_map_entry *entry;
        EID_TRY(eid_map_put(w->laid, eid_slice_of(key, len), &entry, NULL));
        EID_TRY(lay(w, entry, value));
    }
    sort_order(w);
    return EID_OK;
}

/* ---- Changes of others since the transaction began; the lock is held ---- */

/* Keys that are not laid yet, each with its place in the map. */
typedef struct newer_keys {
    walk *walk;
    eid_map_entry **entries;
    eid_slice *keys;
    size_t count;
    size_t capacity;
} newer_keys;

static eid_status note_key(newer_keys *newer, eid_slice key)
{
    eid_map_entry *entry;
    bool created;
    if (newer->count == newer->capacity) {
        size_t capacity = newer->capacity == 0 ? 64 : newer->capacity * 2;
        eid_map_entry **entries = eid_realloc_array(newer->entries, capacity, sizeof(eid_map_entry *));
        if (entries == NULL)
            return eid_fail_memory();
        newer->entries = entries;
        eid_slice *keys = eid_realloc_array(newer->keys, capacity, sizeof *keys);
        if (keys == NULL)
            return eid_fail_memory();
        newer->keys = keys;
        newer->capacity = capacity;
    }
    EID_TRY(eid_map_put(newer->walk->laid, key, &entry, &created));
    if (created) {
        newer->entries[newer->count] = entry;
        newer->keys[newer->count++] = entry->key;
    }
    return EID_OK;
}

static eid_status note_entry(newer_keys *newer, eid_tree_store *store, int64_t n)
{
    eid_doc *doc;
    EID_TRY(eid_state_payload(newer->walk->store->txn->database->core->storage, store, NULL, n, &doc));
    eid_status status = EID_OK;
    const eid_doc_cursor *cursor = NULL;
    const char *key;
    size_t len;
    const eid_value *value;
    while (doc != NULL && status == EID_OK && eid_doc_next_raw(doc, &cursor, &key, &len, &value))
        status = note_key(newer, eid_slice_of(key, len));
    eid_doc_free(doc);
    return status;
}

static eid_status lay_past(size_t index, const eid_value *value, void *ctx)
{
    newer_keys *newer = ctx;
    return lay(newer->walk, newer->entries[index], value);
}

typedef struct arrivals {
    int64_t numbers[EID_LIMIT_QUERY_CHANGES];
    size_t count;
    bool too_many;
} arrivals;

static bool note_arrival(const eid_participation *part, void *ctx)
{
    arrivals *a = ctx;
    a->too_many = a->count == EID_LIMIT_QUERY_CHANGES;
    if (!a->too_many)
        a->numbers[a->count++] = part->n;
    return !a->too_many;
}

static eid_status lay_arrivals(walk *w, eid_tree_store *store, const arrivals *a)
{
    eid_txn *txn = w->store->txn;
    newer_keys newer = {.walk = w};
    eid_status status = EID_OK;
    for (size_t i = 0; i < a->count && status == EID_OK; i++)
        status = note_entry(&newer, store, a->numbers[i]);
    if (status == EID_OK)
        status = eid_state_past(txn->database->core->storage, store, &txn->view, newer.keys, newer.count, lay_past, &newer);
    eid_free(newer.entries);
    eid_free(newer.keys);
    sort_order(w);
    return status;
}

/* *usable false: there are too many, or what is committed was replaced as a whole. */
static eid_status lay_newer(walk *w, eid_tree_store *store, bool *usable)
{
    eid_txn *txn = w->store->txn;
    int64_t after = w->seen > txn->view.up_to ? w->seen : txn->view.up_to;
    *usable = !(store->has_barrier && store->barrier.n > txn->view.up_to);
    if (!*usable || store->newest <= after)
        return EID_OK;
    arrivals *a = eid_alloc(sizeof *a);
    if (a == NULL)
        return eid_fail_memory();
    a->count = 0;
    a->too_many = false;
    eid_status status = eid_storage_each_participation(txn->database->core->storage, store, after, INT64_MAX, note_arrival, a);
    *usable = !a->too_many;
    if (status == EID_OK && *usable)
        status = lay_arrivals(w, store, a);
    if (status == EID_OK)
        w->seen = store->newest;
    eid_free(a);
    return status;
}

/* ---- Committed rows; the lock is held ---- */

static int compare_folded(const void *a, const void *b)
{
    return eid_slice_compare(((const folded_row *)a)->key, ((const folded_row *)b)->key);
}

/* From now on rows come from the folded state. In the order of a field that is not possible. */
static eid_status fold_rows(walk *w, eid_tree_store *store)
{
    if (w->query->field != NULL) {
        w->lost = true;
        return EID_OK;
    }
    EID_TRY(eid_txn_store_fold(w->store, store, &w->doc));
    w->folded = eid_realloc_array(NULL, eid_doc_child_count(w->doc) + 1, sizeof *w->folded);
    if (w->folded == NULL)
        return eid_fail_memory();
    const eid_doc_cursor *cursor = NULL;
    const char *key, *text;
    size_t key_len, len;
    const eid_value *value;
    while (eid_doc_next_raw(w->doc, &cursor, &key, &key_len, &value))
        if (eid_value_get_kind(value) == EID_VALUE_TEXT && eid_value_as_text(value, &text, &len) == EID_OK)
            w->folded[w->folded_count++] = (folded_row){eid_slice_of(key, key_len), eid_slice_of(text, len)};
    qsort(w->folded, w->folded_count, sizeof *w->folded, compare_folded);
    return EID_OK;
}

static eid_status read_hidden(walk *w, eid_tree_store *store)
{
    eid_cell *cells = NULL;
    size_t count = 0;
    bool usable = false;
    eid_slice after = eid_buf_slice(&w->rows.last_key);
    if (w->query->descending)
        return fold_rows(w, store);
    cells = eid_alloc_zero(EID_LIMIT_QUERY_SLICE, sizeof *cells);
    if (cells == NULL)
        return eid_fail_memory();
    eid_status status = eid_hidden_cells(w->store, store, w->rows.started ? &after : NULL, EID_LIMIT_QUERY_SLICE, cells, &count,
                                         &usable);
    eid_rows_clear(&w->rows);
    for (size_t i = 0; i < count && status == EID_OK; i++) {
        const char *text;
        size_t len;
        if (eid_value_get_kind(cells[i].value) == EID_VALUE_TEXT && eid_value_as_text(cells[i].value, &text, &len) == EID_OK)
            status = eid_rows_add(&w->rows, eid_slice_of(NULL, 0), eid_slice_of(cells[i].key, cells[i].key_len),
                                  eid_slice_of(text, len));
    }
    w->more = count == EID_LIMIT_QUERY_SLICE;
    if (status == EID_OK && w->more)
        status = eid_rows_set_place(&w->rows, eid_slice_of(NULL, 0), eid_slice_of(cells[count - 1].key, cells[count - 1].key_len));
    eid_cells_free(cells, count);
    eid_free(cells);
    if (status == EID_OK && !usable)
        status = fold_rows(w, store);
    return status;
}

/* Bounds of an index: forms are cut there. */
static eid_status read_by_index(walk *w, const eid_tree *tree, eid_tree_store *store)
{
    const eid_row_query *query = w->query;
    eid_storage *storage = w->store->txn->database->core->storage;
    uint8_t beyond[EID_LIMIT_INDEX_VALUE + 1];
    EID_TRY(eid_field_index_load(storage, tree, store));
    const eid_field_index *index = eid_field_index_find(store, eid_slice_text(query->field));
    if (index == NULL || !index->ready) {
        w->lost = true;
        return EID_OK;
    }
    eid_row_range range = {.low = eid_field_cut(query->low), .high = query->high, .descending = query->descending};
    if (range.high.len > EID_LIMIT_INDEX_VALUE) {
        memcpy(beyond, range.high.data, EID_LIMIT_INDEX_VALUE);
        beyond[EID_LIMIT_INDEX_VALUE] = 0;
        range.high = eid_slice_of(beyond, sizeof beyond);
    }
    return eid_rows_by_index(storage, store, index->number, &range, w->slice, &w->rows, &w->more);
}

static eid_status read_committed(walk *w, const eid_tree *tree, eid_tree_store *store)
{
    const eid_row_query *query = w->query;
    bool usable = false;
    if (w->store->codec != NULL)
        return query->field != NULL ? fold_rows(w, store) : read_hidden(w, store);
    if (w->store->txn->view.members == NULL)
        EID_TRY(lay_newer(w, store, &usable));
    if (!usable)
        return fold_rows(w, store);
    if (query->field != NULL)
        return read_by_index(w, tree, store);
    eid_row_range range = {query->low, query->high, query->descending, query->counting};
    return eid_rows_by_key(w->store->txn->database->core->storage, store, &range, w->slice, &w->rows, &w->more);
}

static eid_status refill(walk *w)
{
    eid_database *database = w->store->txn->database;
    eid_tree *tree;
    eid_tree_store *store = NULL;
    w->at = 0;
    w->more = false;
    eid_rows_clear(&w->rows);
    eid_storage_lock(database->core->storage);
    eid_status status = eid_database_tree(database, &tree);
    if (status == EID_OK)
        status = eid_storage_store(database->core->storage, tree, eid_slice_text(w->store->name), &store);
    if (status == EID_OK && store != NULL)
        status = read_committed(w, tree, store);
    eid_storage_unlock(database->core->storage);
    w->slice = w->slice * 4 < EID_LIMIT_QUERY_SLICE ? w->slice * 4 : EID_LIMIT_QUERY_SLICE;
    return status;
}

/* Folded rows stand in the order of keys. */
static bool next_folded(walk *w, eid_row *out)
{
    if (w->folded_at == w->folded_count)
        return false;
    size_t at = w->query->descending ? w->folded_count - 1 - w->folded_at : w->folded_at;
    w->folded_at++;
    *out = (eid_row){eid_slice_of(NULL, 0), w->folded[at].key, w->folded[at].text};
    return true;
}

/* The next committed row that is to be shown as it is; *found false: there are no more, or the index is lost. */
static eid_status next_committed(walk *w, eid_row *out, bool *found)
{
    *found = false;
    for (;;) {
        bool matches;
        eid_slice value;
        while (w->doc == NULL && w->at == w->rows.count && w->more && !w->lost)
            EID_TRY(refill(w));
        if (w->lost)
            return EID_OK;
        if (w->doc != NULL) {
            if (!next_folded(w, out))
                return EID_OK;
        } else if (w->at < w->rows.count) {
            *out = eid_rows_at(&w->rows, w->at++);
        } else {
            return EID_OK;
        }
        if (eid_map_len(w->laid) > 0 && eid_map_find(w->laid, out->key) != NULL)
            continue;
        EID_TRY(eid_row_match(w->query, out->key, out->text, &w->values, &value, &matches));
        /* Of several values in an index the first within the bounds shows the row. */
        if (!matches || !eid_slice_equal(value, out->value) || is_passed(w, out->value, out->key))
            continue;
        *found = true;
        return EID_OK;
    }
}

/* ---- The walk ---- */

static eid_status show_in_order(walk *w)
{
    eid_row committed;
    bool have = false;
    for (;;) {
        if (!have)
            EID_TRY(next_committed(w, &committed, &have));
        if (w->lost)
            return EID_OK;
        const laid_row *laid = w->order_at < w->order_count ? w->order[w->order_at] : NULL;
        if (!have && laid == NULL)
            return EID_OK;
        bool lay_first = laid != NULL && (!have || compare_places(w->query->descending, laid->row.value, laid->row.key,
                                                                  committed.value, committed.key) < 0);
        const eid_row *row = lay_first ? &laid->row : &committed;
        EID_TRY(set_place(w, row->value, row->key));
        w->order_at += lay_first;
        have = have && lay_first;
        if (!w->query->show(row, w->query->ctx))
            return EID_OK;
    }
}

static eid_status walk_init(walk *w)
{
    eid_rows_init(&w->rows);
    eid_field_values_init(&w->values);
    eid_buf_init(&w->place_value, SIZE_MAX / 2);
    eid_buf_init(&w->place_key, SIZE_MAX / 2);
    size_t expected = w->query->expected;
    w->slice = expected == 0 || expected > EID_LIMIT_QUERY_SLICE ? EID_LIMIT_QUERY_SLICE / 4 : expected;
    w->more = !eid_doc_is_atomic(w->store->delta); /* an atomic delta hides everything committed */
    EID_TRY(eid_map_new(&w->laid));
    if (w->query->resumed) {
        EID_TRY(set_place(w, w->query->after_value, w->query->after_key));
        EID_TRY(eid_rows_set_place(&w->rows, w->query->after_value, w->query->after_key));
    }
    return lay_staged(w);
}

static void walk_free(walk *w)
{
    eid_rows_free(&w->rows);
    eid_field_values_free(&w->values);
    eid_buf_free(&w->place_value);
    eid_buf_free(&w->place_key);
    eid_map_free(w->laid, eid_free);
    eid_free(w->order);
    eid_free(w->folded);
    eid_doc_free(w->doc);
    eid_free(w);
}

eid_status eid_txn_store_rows(eid_txn_store *store, const eid_row_query *query, bool *done)
{
    EID_TRY(eid_txn_usable(store->txn));
    walk *w = eid_alloc_zero(1, sizeof *w);
    if (w == NULL)
        return eid_fail_memory();
    w->store = store;
    w->query = query;
    eid_status status = walk_init(w);
    if (status == EID_OK)
        status = show_in_order(w);
    *done = !w->lost;
    walk_free(w);
    return status;
}

eid_status eid_txn_store_has_index(eid_txn_store *store, const char *field, bool *declared, bool *ready)
{
    eid_database *database = store->txn->database;
    eid_storage *storage = database->core->storage;
    eid_tree *tree;
    eid_tree_store *found = NULL;
    *declared = *ready = false;
    if (store->codec != NULL)
        return EID_OK;
    eid_storage_lock(storage);
    eid_status status = eid_database_tree(database, &tree);
    if (status == EID_OK)
        status = eid_storage_store(storage, tree, eid_slice_text(store->name), &found);
    if (status == EID_OK && found != NULL)
        status = eid_field_index_load(storage, tree, found);
    if (status == EID_OK && found != NULL) {
        const eid_field_index *index = eid_field_index_find(found, eid_slice_text(field));
        *declared = index != NULL;
        *ready = index != NULL && index->ready;
    }
    eid_storage_unlock(storage);
    return status;
}

/* 32 random bits and 28 that count from a random start, in front of the 62 that are random in each. */
void eid_txn_store_new_key(eid_txn_store *store, eid_uuid *out)
{
    while (store->row_base == 0)
        store->row_base = eid_random_u64() >> 4 & ~((uint64_t)1 << 27);
    uint64_t head = store->row_base + store->row_count++;
    eid_uuid_new(out);
    for (size_t i = 0; i < 6; i++)
        out->bytes[i] = (uint8_t)(head >> (52 - 8 * i));
    out->bytes[6] = (uint8_t)((out->bytes[6] & 0xf0) | (head >> 8 & 0x0f));
    out->bytes[7] = (uint8_t)head;
}
