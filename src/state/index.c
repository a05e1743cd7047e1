/* SPDX-License-Identifier: Apache-2.0 */
/* Secondary indexes: declaring, building, removing, and following the cells.
 *
 * A declaration is what the user asked for; it stands in the metadata, one list for each table that has any. What is built of it
 * is said by `index_state`, next to the rows. The two may differ: after a crash, and when the rows were lost and are made
 * anew. An index that is declared but not built is kept up like any other and not used until it was built to its end, slice
 * after slice: a slice puts in the rows of the next keys, which does nothing for those a change has put in already.
 *
 * When an entry comes to a store without cells, its indexes are complete: that is how a file made anew, the shadow of a
 * check and a table that is not here yet get theirs.
 */
#include "state/index.h"

#include <string.h>

#include "base/alloc.h"

enum index_ready { BUILDING = 0, READY = 1, REMOVED = 2 };

/* ---- Declarations ---- */

/* The list is JSON: the newest number given, and a pair [number, field] for each index. Numbers are not given again, so
 * rows left behind are nobody's.
 *
 * Its key in the metadata. False for names no table has. */
static bool meta_key(const eid_tree *tree, eid_slice store_name, eid_buf *out)
{
    char root[EID_ID_TEXT_SIZE];
    if (store_name.len == 0 || store_name.data[0] == '_' || memchr(store_name.data, 0, store_name.len) != NULL)
        return false;
    eid_id_format(&tree->root, root);
    eid_buf_append_text(out, "indexes/");
    eid_buf_append_text(out, root);
    eid_buf_append_byte(out, '/');
    eid_buf_append_slice(out, store_name);
    return true;
}

/* Appends nothing when nothing is declared. */
static eid_status read_list(eid_storage *storage, const eid_tree *tree, eid_slice store_name, eid_buf *out)
{
    eid_buf key;
    bool found;
    eid_buf_init(&key, SIZE_MAX / 2);
    if (!meta_key(tree, store_name, &key))
        return EID_OK;
    eid_status status = eid_buf_status(&key);
    if (status == EID_OK)
        status = eid_storage_meta_find(storage, (const char *)key.data, &found, out);
    eid_buf_free(&key);
    return status;
}

static eid_status set_declared(eid_storage *storage, const eid_tree *tree, eid_slice store_name, eid_slice list)
{
    eid_buf key;
    eid_buf_init(&key, SIZE_MAX / 2);
    if (!meta_key(tree, store_name, &key))
        return eid_fail(EID_ERR_STORE_NAME, "A store of this name can have no index");
    eid_status status = eid_buf_status(&key);
    if (status == EID_OK)
        status = eid_storage_meta_set(storage, (const char *)key.data, list);
    eid_buf_free(&key);
    return status;
}

static size_t set_size(size_t count, size_t texts)
{
    return sizeof(eid_field_indexes) + count * sizeof(eid_field_index) + texts;
}

/* One pair of the list; the set has room. */
static eid_status read_declaration(eid_json *json, eid_field_indexes *set, char **texts)
{
    eid_slice field;
    bool more;
    eid_field_index *index = &set->items[set->count];
    EID_TRY(eid_json_begin_array(json, "a declared index"));
    EID_TRY(eid_json_read_i64(json, "the number of an index", &index->number));
    EID_TRY(eid_json_read_text(json, "the field of an index", &field));
    memcpy(*texts, field.data, field.len);
    (*texts)[field.len] = '\0';
    index->field = *texts;
    index->field_len = field.len;
    *texts += field.len + 1;
    set->count++;
    EID_TRY(eid_json_next_item(json, &more));
    return more ? eid_fail(EID_ERR_CORRUPT, "An index is declared with more than a number and a field") : EID_OK;
}

static eid_status parse_declarations(eid_slice list, eid_field_indexes *set)
{
    char *texts = (char *)&set->items[EID_LIMIT_INDEX_PER_TABLE];
    eid_json json;
    eid_json_init(&json, list);
    eid_status status = eid_json_begin_array(&json, "the declared indexes");
    if (status == EID_OK)
        status = eid_json_read_i64(&json, "the newest number", &set->newest);
    while (status == EID_OK) {
        bool more;
        status = eid_json_next_item(&json, &more);
        if (status != EID_OK || !more)
            break;
        status = set->count == EID_LIMIT_INDEX_PER_TABLE
                     ? eid_fail(EID_ERR_CORRUPT, "More indexes are declared than a table can have")
                     : read_declaration(&json, set, &texts);
    }
    eid_json_free(&json);
    return status;
}

/* NULL when nothing ever was declared. Decoded texts are never longer than the list. */
eid_status eid_field_index_declared(eid_storage *storage, const eid_tree *tree, eid_slice store_name,
                                    eid_field_indexes **out)
{
    eid_buf list;
    eid_buf_init(&list, SIZE_MAX / 2);
    eid_field_indexes *set = NULL;
    eid_status status = read_list(storage, tree, store_name, &list);
    if (status == EID_OK && list.len > 0) {
        set = eid_alloc_zero(1, set_size(EID_LIMIT_INDEX_PER_TABLE, list.len));
        status = set == NULL ? eid_fail_memory() : parse_declarations(eid_buf_slice(&list), set);
    }
    eid_buf_free(&list);
    if (status != EID_OK) {
        eid_free(set);
        return status;
    }
    *out = set;
    return EID_OK;
}

static eid_status write_set(eid_storage *storage, const eid_tree *tree, eid_slice store_name, const eid_field_indexes *set,
                            const eid_field_index *without, const eid_field_index *with)
{
    eid_buf list;
    eid_buf_init(&list, SIZE_MAX / 2);
    eid_buf_append_byte(&list, '[');
    size_t count = set == NULL ? 0 : set->count;
    eid_json_write_i64(&list, with != NULL ? with->number : set->newest);
    for (size_t i = 0; i <= count; i++) {
        const eid_field_index *index = i < count ? &set->items[i] : with;
        if (index == NULL || index == without)
            continue;
        eid_buf_append_text(&list, ",[");
        eid_json_write_i64(&list, index->number);
        eid_buf_append_byte(&list, ',');
        eid_json_write_text(&list, eid_slice_of(index->field, index->field_len));
        eid_buf_append_byte(&list, ']');
    }
    eid_buf_append_byte(&list, ']');
    eid_status status = eid_buf_status(&list);
    if (status == EID_OK)
        status = set_declared(storage, tree, store_name, eid_buf_slice(&list));
    eid_buf_free(&list);
    return status;
}

static eid_field_index *find(eid_field_indexes *set, eid_slice field)
{
    for (size_t i = 0; set != NULL && i < set->count; i++)
        if (eid_slice_equal(eid_slice_of(set->items[i].field, set->items[i].field_len), field))
            return &set->items[i];
    return NULL;
}

const eid_field_index *eid_field_index_find(const eid_tree_store *store, eid_slice field)
{
    return find(store->indexes, field);
}

/* ---- What is built ---- */

static eid_status read_states(eid_storage *storage, const eid_tree_store *store, eid_field_indexes *set)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(storage), "SELECT i, ready, field FROM index_state WHERE s = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    for (;;) {
        bool row;
        EID_TRY(eid_sql_step(stmt, &row));
        if (!row)
            return EID_OK;
        eid_field_index *index = find(set, eid_sql_bytes(stmt, 2));
        if (index != NULL && index->number == eid_sql_i64(stmt, 0)) {
            index->stated = true;
            index->ready = eid_sql_i64(stmt, 1) == READY;
        }
    }
}

eid_status eid_field_index_load(eid_storage *storage, const eid_tree *tree, eid_tree_store *store)
{
    if (store->indexes_known)
        return EID_OK;
    eid_field_indexes *set = NULL;
    EID_TRY(eid_field_index_declared(storage, tree, eid_slice_of(store->name, store->name_len), &set));
    eid_status status = set == NULL ? EID_OK : read_states(storage, store, set);
    if (status != EID_OK) {
        eid_free(set);
        return status;
    }
    if (set != NULL && set->count == 0) {
        eid_free(set);
        set = NULL;
    }
    store->indexes = set;
    store->indexes_known = true;
    return EID_OK;
}

static void unload(eid_tree_store *store)
{
    eid_free(store->indexes);
    store->indexes = NULL;
    store->indexes_known = false;
}

/* `done` is the last key that is in, when it is not ready. */
static eid_status set_state(eid_storage *storage, const eid_tree_store *store, const eid_field_index *index, enum index_ready ready,
                            eid_slice done)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(storage),
                            "INSERT INTO index_state (s, i, field, ready, done) VALUES (?, ?, ?, ?, ?)"
                            " ON CONFLICT (s, i) DO UPDATE SET field = excluded.field, ready = excluded.ready,"
                            " done = excluded.done",
                            &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_i64(stmt, 2, index->number);
    eid_sql_bind_text(stmt, 3, eid_slice_of(index->field, index->field_len));
    eid_sql_bind_i64(stmt, 4, ready);
    eid_sql_bind_blob(stmt, 5, done);
    return eid_sql_run(stmt);
}

static eid_status read_number(eid_storage *storage, const char *text, int64_t s, int64_t *out)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(storage), text, &stmt));
    eid_sql_bind_i64(stmt, 1, s);
    return eid_sql_fetch_i64(stmt, out);
}

/* ---- Declaring and forgetting ---- */

eid_status eid_field_index_declare(eid_storage *storage, eid_tree *tree, eid_slice store_name, eid_slice field)
{
    eid_field_indexes *set = NULL;
    eid_tree_store *store;
    EID_TRY(eid_storage_store(storage, tree, store_name, &store));
    EID_TRY(eid_field_index_declared(storage, tree, store_name, &set));
    eid_field_index index = {.number = (set == NULL ? 0 : set->newest) + 1, .field = (const char *)field.data, .field_len = field.len};
    eid_status status = EID_OK;
    if (find(set, field) == NULL)
        status = set != NULL && set->count == EID_LIMIT_INDEX_PER_TABLE
                     ? eid_fail(EID_ERR_LIMIT, "A table has at most %d indexes", EID_LIMIT_INDEX_PER_TABLE)
                     : write_set(storage, tree, store_name, set, NULL, &index);
    eid_free(set);
    if (store != NULL)
        unload(store);
    return status;
}

eid_status eid_field_index_forget(eid_storage *storage, eid_tree *tree, eid_slice store_name, eid_slice field)
{
    eid_field_indexes *set = NULL;
    eid_tree_store *store;
    EID_TRY(eid_storage_store(storage, tree, store_name, &store));
    EID_TRY(eid_field_index_declared(storage, tree, store_name, &set));
    const eid_field_index *index = find(set, field);
    eid_status status = EID_OK;
    if (index == NULL)
        status = eid_fail(EID_ERR_NOT_FOUND, "There is no index on this field");
    if (status == EID_OK)
        status = write_set(storage, tree, store_name, set, index, NULL);
    if (status == EID_OK && store != NULL)
        status = set_state(storage, store, index, REMOVED, eid_slice_of(NULL, 0));
    eid_free(set);
    if (store != NULL)
        unload(store);
    return status;
}

/* ---- Rows of an index ---- */

static eid_status put_row(eid_storage *storage, const eid_tree_store *store, int64_t number, eid_slice value, eid_slice key)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(storage),
                            "INSERT INTO index_row (s, i, value, key) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_i64(stmt, 2, number);
    eid_sql_bind_blob(stmt, 3, value);
    eid_sql_bind_blob(stmt, 4, key);
    return eid_sql_run(stmt);
}

static eid_status delete_row(eid_storage *storage, const eid_tree_store *store, int64_t number, eid_slice value, eid_slice key)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(storage), "DELETE FROM index_row WHERE s = ? AND i = ? AND value = ? AND key = ?",
                            &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_i64(stmt, 2, number);
    eid_sql_bind_blob(stmt, 3, value);
    eid_sql_bind_blob(stmt, 4, key);
    return eid_sql_run(stmt);
}

/* Both are ascending. Two values that differ only behind the cut are one row. */
static eid_status replace_rows(eid_storage *storage, const eid_tree_store *store, const eid_field_index *index, eid_slice key,
                               const eid_field_values *before, const eid_field_values *after)
{
    size_t b = 0, a = 0;
    while (b < before->count || a < after->count) {
        eid_slice old = b < before->count ? eid_field_cut(eid_field_value_at(before, b)) : eid_slice_of(NULL, 0);
        eid_slice new = a < after->count ? eid_field_cut(eid_field_value_at(after, a)) : eid_slice_of(NULL, 0);
        int order = b == before->count ? 1 : a == after->count ? -1 : eid_slice_compare(old, new);
        if (order < 0)
            EID_TRY(delete_row(storage, store, index->number, old, key));
        if (order > 0)
            EID_TRY(put_row(storage, store, index->number, new, key));
        eid_slice next = order < 0 ? old : new;
        while (b < before->count && eid_slice_equal(eid_field_cut(eid_field_value_at(before, b)), next))
            b++;
        while (a < after->count && eid_slice_equal(eid_field_cut(eid_field_value_at(after, a)), next))
            a++;
    }
    return EID_OK;
}

/* What the row of a cell has in a field; a cell that is no text has nothing. */
static eid_status values_of_cell(const eid_field_index *index, eid_slice stored, eid_buf *text, eid_field_values *out)
{
    bool is_text;
    eid_buf_reset(text);
    EID_TRY(eid_stored_text(stored, text, &is_text));
    return eid_field_read(eid_slice_of(index->field, index->field_len), eid_buf_slice(text), out);
}

typedef struct change {
    eid_buf text;
    eid_field_values before;
    eid_field_values after;
} change;

static eid_status change_rows(eid_storage *storage, const eid_tree_store *store, change *c, eid_slice key, eid_slice old,
                              eid_slice new)
{
    for (size_t i = 0; i < store->indexes->count; i++) {
        const eid_field_index *index = &store->indexes->items[i];
        EID_TRY(values_of_cell(index, old, &c->text, &c->before));
        EID_TRY(values_of_cell(index, new, &c->text, &c->after));
        EID_TRY(replace_rows(storage, store, index, key, &c->before, &c->after));
    }
    return EID_OK;
}

static void change_init(change *c)
{
    eid_buf_init(&c->text, SIZE_MAX / 2);
    eid_field_values_init(&c->before);
    eid_field_values_init(&c->after);
}

static void change_free(change *c)
{
    eid_buf_free(&c->text);
    eid_field_values_free(&c->before);
    eid_field_values_free(&c->after);
}

eid_status eid_field_index_change(eid_storage *storage, const eid_tree_store *store, eid_slice key, eid_slice value)
{
    eid_sql_stmt *stmt;
    bool found;
    EID_TRY(eid_sql_prepare(eid_storage_sql(storage), "SELECT value FROM cell WHERE s = ? AND key = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_blob(stmt, 2, key);
    EID_TRY(eid_sql_step(stmt, &found));
    change c;
    change_init(&c);
    eid_slice before = found ? eid_sql_bytes(stmt, 0) : eid_slice_of(NULL, 0);
    eid_status status = EID_OK;
    if (!eid_slice_equal(before, value))
        status = change_rows(storage, store, &c, key, before, value);
    change_free(&c);
    if (found)
        eid_sql_reset(stmt);
    return status;
}

eid_status eid_field_index_begin(eid_storage *storage, const eid_tree *tree, eid_tree_store *store)
{
    EID_TRY(eid_field_index_load(storage, tree, store));
    for (size_t i = 0; store->indexes != NULL && i < store->indexes->count; i++) {
        eid_field_index *index = &store->indexes->items[i];
        if (index->stated)
            continue;
        int64_t cells;
        EID_TRY(read_number(storage, "SELECT EXISTS (SELECT 1 FROM cell WHERE s = ?)", store->s, &cells));
        EID_TRY(set_state(storage, store, index, cells == 0 ? READY : BUILDING, eid_slice_of(NULL, 0)));
        index->stated = true;
        index->ready = cells == 0;
    }
    return EID_OK;
}

/* ---- Building and dropping, a slice at a time ---- */

static eid_status read_done(eid_storage *storage, const eid_tree_store *store, const eid_field_index *index, eid_rows *rows)
{
    eid_sql_stmt *stmt;
    bool row;
    EID_TRY(eid_sql_prepare(eid_storage_sql(storage), "SELECT done FROM index_state WHERE s = ? AND i = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_i64(stmt, 2, index->number);
    EID_TRY(eid_sql_step(stmt, &row));
    if (!row)
        return EID_OK;
    eid_slice done = eid_sql_bytes(stmt, 0);
    eid_buf_append_slice(&rows->last_key, done);
    rows->started = done.len > 0;
    eid_sql_reset(stmt);
    return eid_buf_status(&rows->last_key);
}

static eid_status build_slice(eid_storage *storage, const eid_tree_store *store, eid_field_index *index, eid_rows *rows, bool *done)
{
    eid_row_range range = {.high = eid_slice_text("\xff")};
    eid_field_values values;
    bool more;
    EID_TRY(read_done(storage, store, index, rows));
    EID_TRY(eid_rows_by_key(storage, store, &range, EID_LIMIT_QUERY_SLICE, rows, &more));
    eid_field_values_init(&values);
    eid_status status = EID_OK;
    for (size_t r = 0; r < rows->count && status == EID_OK; r++) {
        eid_row row = eid_rows_at(rows, r);
        status = eid_field_read(eid_slice_of(index->field, index->field_len), row.text, &values);
        for (size_t v = 0; v < values.count && status == EID_OK; v++)
            status = put_row(storage, store, index->number, eid_field_cut(eid_field_value_at(&values, v)), row.key);
    }
    eid_field_values_free(&values);
    EID_TRY(status);
    EID_TRY(set_state(storage, store, index, more ? BUILDING : READY, more ? eid_buf_slice(&rows->last_key) : eid_slice_of(NULL, 0)));
    index->stated = true;
    index->ready = !more;
    *done = !more;
    return EID_OK;
}

eid_status eid_field_index_build(eid_storage *storage, eid_tree *tree, eid_tree_store *store, eid_slice field, bool *done)
{
    EID_TRY(eid_field_index_load(storage, tree, store));
    eid_field_index *index = find(store->indexes, field);
    if (index == NULL)
        return eid_fail(EID_ERR_NOT_FOUND, "There is no index on this field any more");
    *done = index->ready;
    if (index->ready)
        return EID_OK;
    eid_rows rows;
    eid_rows_init(&rows);
    eid_status status = build_slice(storage, store, index, &rows, done);
    eid_rows_free(&rows);
    return status;
}

/* The number of an index whose rows are to go, 0 when there is none. */
static eid_status find_removed(eid_storage *storage, const eid_tree_store *store, int64_t *number)
{
    eid_sql_stmt *stmt;
    *number = 0;
    EID_TRY(eid_sql_prepare(eid_storage_sql(storage), "SELECT i, field FROM index_state WHERE s = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    for (;;) {
        bool row;
        EID_TRY(eid_sql_step(stmt, &row));
        if (!row)
            return EID_OK;
        const eid_field_index *index = eid_field_index_find(store, eid_sql_bytes(stmt, 1));
        if (index == NULL || index->number != eid_sql_i64(stmt, 0)) {
            *number = eid_sql_i64(stmt, 0);
            eid_sql_reset(stmt);
            return EID_OK;
        }
    }
}

/* Removes the next rows; *last: there are no more. Up to a bound that is looked up first: the engine would look through the
 * whole table for rows that are named one by one. */
static eid_status drop_slice(eid_storage *storage, const eid_tree_store *store, int64_t number, bool *last)
{
    eid_sql_stmt *bound, *stmt;
    bool found;
    EID_TRY(eid_sql_prepare(eid_storage_sql(storage),
                            "SELECT value, key FROM index_row WHERE s = ? AND i = ? ORDER BY value, key LIMIT 1 OFFSET ?", &bound));
    eid_sql_bind_i64(bound, 1, store->s);
    eid_sql_bind_i64(bound, 2, number);
    eid_sql_bind_i64(bound, 3, EID_LIMIT_INDEX_SLICE - 1);
    EID_TRY(eid_sql_step(bound, &found));
    eid_buf value, key;
    eid_buf_init(&value, SIZE_MAX / 2);
    eid_buf_init(&key, SIZE_MAX / 2);
    if (found) {
        eid_buf_append_slice(&value, eid_sql_bytes(bound, 0));
        eid_buf_append_slice(&key, eid_sql_bytes(bound, 1));
        eid_sql_reset(bound);
    }
    eid_status status = value.status != EID_OK ? eid_buf_status(&value) : eid_buf_status(&key);
    if (status == EID_OK)
        status = eid_sql_prepare(eid_storage_sql(storage),
                                 found ? "DELETE FROM index_row WHERE s = ? AND i = ? AND (value, key) <= (?, ?)"
                                       : "DELETE FROM index_row WHERE s = ? AND i = ?",
                                 &stmt);
    if (status == EID_OK) {
        eid_sql_bind_i64(stmt, 1, store->s);
        eid_sql_bind_i64(stmt, 2, number);
        if (found) {
            eid_sql_bind_blob(stmt, 3, eid_buf_slice(&value));
            eid_sql_bind_blob(stmt, 4, eid_buf_slice(&key));
        }
        status = eid_sql_run(stmt);
    }
    eid_buf_free(&value);
    eid_buf_free(&key);
    if (status == EID_OK)
        *last = !found;
    return status;
}

eid_status eid_field_index_drop(eid_storage *storage, const eid_tree *tree, eid_tree_store *store, bool *done)
{
    int64_t number;
    eid_sql_stmt *stmt;
    EID_TRY(eid_field_index_load(storage, tree, store));
    EID_TRY(find_removed(storage, store, &number));
    *done = number == 0;
    if (*done)
        return EID_OK;
    EID_TRY(drop_slice(storage, store, number, done));
    if (!*done)
        return EID_OK;
    *done = false; /* another one may have been removed too */
    EID_TRY(eid_sql_prepare(eid_storage_sql(storage), "DELETE FROM index_state WHERE s = ? AND i = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_i64(stmt, 2, number);
    return eid_sql_run(stmt);
}
