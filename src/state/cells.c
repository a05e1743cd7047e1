/* SPDX-License-Identifier: Apache-2.0 */
/* Cells in the data file: what an admitted entry changes in the merged state.
 *
 * Invariant: the places that touched a key are the rows of `touch` and, besides them, the place in the key's cell, which is
 * the last of those that count. A key without a cell either was never touched or was wiped by a barrier.
 */
#include "state/cells_int.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "codec/cid.h"
#include "state/index.h"

struct eid_state_batch {
    eid_storage *storage;
    eid_map *again;      /* number of a store and a key -> eid_tree_store: keys to be made again from their touches, … */
    eid_map *odd;        /* … the same in fold order, see cells_int.h, … */
    eid_map *stores;     /* number -> eid_tree_store: … and whole stores, from their entries */
};

static eid_status new_maps(eid_state_batch *batch)
{
    EID_TRY(eid_map_new(&batch->again));
    EID_TRY(eid_map_new(&batch->odd));
    return eid_map_new(&batch->stores);
}

static void free_maps(eid_state_batch *batch)
{
    eid_map_free(batch->again, NULL);
    eid_map_free(batch->odd, NULL);
    eid_map_free(batch->stores, NULL);
    batch->again = batch->odd = batch->stores = NULL;
}

eid_status eid_state_batch_new(eid_storage *storage, eid_state_batch **out)
{
    eid_state_batch *batch = eid_alloc_zero(1, sizeof *batch);
    if (batch == NULL)
        return eid_fail_memory();
    batch->storage = storage;
    eid_status status = new_maps(batch);
    if (status != EID_OK) {
        eid_state_batch_free(batch);
        return status;
    }
    *out = batch;
    return EID_OK;
}

void eid_state_batch_free(eid_state_batch *batch)
{
    if (batch == NULL)
        return;
    free_maps(batch);
    eid_free(batch);
}

/* Numbers of stores order as bytes, so the keys of a store stand together. */
static eid_status name_of(eid_buf *out, const eid_tree_store *store, eid_slice key)
{
    eid_buf_init(out, SIZE_MAX / 2);
    eid_buf_append_u64_be(out, (uint64_t)store->s);
    eid_buf_append_slice(out, key);
    return eid_buf_status(out);
}

static eid_slice key_of(const eid_map_entry *named)
{
    return eid_slice_of(named->key.data + sizeof(uint64_t), named->key.len - sizeof(uint64_t));
}

static eid_status note_key(eid_map *keys, eid_tree_store *store, eid_slice key)
{
    eid_buf name;
    eid_map_entry *place;
    eid_status status = name_of(&name, store, key);
    if (status == EID_OK)
        status = eid_map_put(keys, eid_buf_slice(&name), &place, NULL);
    if (status == EID_OK)
        place->value = store;
    eid_buf_free(&name);
    return status;
}

/* ---- The touch log ---- */

static eid_status add_touch(eid_storage *storage, const eid_tree_store *store, eid_slice key, const eid_seat *place)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(storage),
                            "INSERT INTO touch (s, key, height, n) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_blob(stmt, 2, key);
    eid_sql_bind_i64(stmt, 3, place->height);
    eid_sql_bind_i64(stmt, 4, place->n);
    return eid_sql_run(stmt);
}

static eid_status delete_touch(eid_storage *storage, const eid_tree_store *store, eid_slice key, const eid_seat *place)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(storage), "DELETE FROM touch WHERE s = ? AND key = ? AND height = ? AND n = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_blob(stmt, 2, key);
    eid_sql_bind_i64(stmt, 3, place->height);
    eid_sql_bind_i64(stmt, 4, place->n);
    return eid_sql_run(stmt);
}

/* ---- Cells in rows ---- */

static const eid_tree_store *store_of(const eid_cells *cells)
{
    return cells->ctx;
}

/* Columns place, newest and value of a row, from the given one on. */
static eid_status row_from(eid_sql_stmt *stmt, int column, eid_cell_row *row)
{
    eid_slice value = eid_sql_bytes(stmt, column + 3);
    row->found = true;
    row->place = (eid_seat){eid_sql_i64(stmt, column), eid_sql_i64(stmt, column + 1)};
    row->newest = eid_sql_i64(stmt, column + 2);
    row->leaf = eid_cell_is_leaf(value);
    eid_buf_reset(&row->value);
    if (!row->leaf)
        eid_buf_append_slice(&row->value, value);
    eid_sql_reset(stmt);
    return eid_buf_status(&row->value);
}

static eid_status read_cell(const eid_cells *cells, eid_slice key, eid_cell_row *row)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(cells->storage), "SELECT height, n, newest, value FROM cell WHERE s = ? AND key = ?",
                            &stmt));
    eid_sql_bind_i64(stmt, 1, store_of(cells)->s);
    eid_sql_bind_blob(stmt, 2, key);
    EID_TRY(eid_sql_step(stmt, &row->found));
    return row->found ? row_from(stmt, 0, row) : EID_OK;
}

static eid_status next_cell(const eid_cells *cells, const eid_slice *after, eid_buf *key, eid_cell_row *row)
{
    eid_sql *sql = eid_storage_sql(cells->storage);
    eid_sql_stmt *stmt;
    if (after != NULL) {
        EID_TRY(eid_sql_prepare(
            sql, "SELECT key, height, n, newest, value FROM cell WHERE s = ? AND key > ? ORDER BY key LIMIT 1", &stmt));
        eid_sql_bind_blob(stmt, 2, *after);
    } else {
        EID_TRY(eid_sql_prepare(sql, "SELECT key, height, n, newest, value FROM cell WHERE s = ? ORDER BY key LIMIT 1", &stmt));
    }
    eid_sql_bind_i64(stmt, 1, store_of(cells)->s);
    EID_TRY(eid_sql_step(stmt, &row->found));
    if (!row->found)
        return EID_OK;
    eid_buf_reset(key);
    eid_buf_append_slice(key, eid_sql_bytes(stmt, 0));
    EID_TRY(row_from(stmt, 1, row));
    return eid_buf_status(key);
}

/* The one place that writes cells. */
static eid_status write_cell(const eid_cells *cells, eid_slice key, eid_slice value, const eid_seat *place, int64_t newest)
{
    eid_sql_stmt *stmt;
    if (store_of(cells)->indexes != NULL)
        EID_TRY(eid_field_index_change(cells->storage, store_of(cells), key, value));
    EID_TRY(eid_sql_prepare(eid_storage_sql(cells->storage),
                            "INSERT INTO cell (s, key, value, height, n, newest) VALUES (?, ?, ?, ?, ?, ?)"
                            " ON CONFLICT (s, key) DO UPDATE SET value = excluded.value, height = excluded.height,"
                            " n = excluded.n, newest = excluded.newest",
                            &stmt));
    eid_sql_bind_i64(stmt, 1, store_of(cells)->s);
    eid_sql_bind_blob(stmt, 2, key);
    eid_sql_bind_blob(stmt, 3, value);
    eid_sql_bind_i64(stmt, 4, place->height);
    eid_sql_bind_i64(stmt, 5, place->n);
    eid_sql_bind_i64(stmt, 6, newest);
    return eid_sql_run(stmt);
}

static eid_status renew_cell(const eid_cells *cells, eid_slice key, int64_t newest)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(cells->storage), "UPDATE cell SET newest = ? WHERE s = ? AND key = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, newest);
    eid_sql_bind_i64(stmt, 2, store_of(cells)->s);
    eid_sql_bind_blob(stmt, 3, key);
    return eid_sql_run(stmt);
}

static eid_status refold(const eid_cells *cells, eid_slice key, bool due)
{
    eid_buf name;
    if (cells->odd == NULL || (!due && eid_map_len(cells->odd) == 0))
        return EID_OK;
    if (due)
        return note_key(cells->odd, cells->ctx, key);
    eid_status status = name_of(&name, store_of(cells), key);
    if (status == EID_OK)
        eid_map_remove(cells->odd, eid_buf_slice(&name));
    eid_buf_free(&name);
    return status;
}

/* The one place that removes cells. */
static eid_status retire_cell(const eid_cells *cells, eid_slice key, const eid_cell_row *row)
{
    eid_sql_stmt *stmt;
    EID_TRY(refold(cells, key, false));
    if (store_of(cells)->indexes != NULL)
        EID_TRY(eid_field_index_change(cells->storage, store_of(cells), key, eid_slice_of(NULL, 0)));
    EID_TRY(add_touch(cells->storage, store_of(cells), key, &row->place));
    EID_TRY(eid_sql_prepare(eid_storage_sql(cells->storage), "DELETE FROM cell WHERE s = ? AND key = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, store_of(cells)->s);
    eid_sql_bind_blob(stmt, 2, key);
    return eid_sql_run(stmt);
}

/* ---- Twigs in rows ---- */

static void bind_twig(const eid_cells *cells, eid_sql_stmt *stmt, const uint8_t *parent, const eid_slice *name)
{
    eid_sql_bind_i64(stmt, 1, store_of(cells)->s);
    eid_sql_bind_blob(stmt, 2, eid_slice_of(parent, EID_TWIG_HASH));
    if (name != NULL)
        eid_sql_bind_blob(stmt, 3, *name);
}

static eid_status get_twig(const eid_cells *cells, const uint8_t *parent, eid_slice name, eid_buf *record, bool *found)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(cells->storage), "SELECT record FROM twig WHERE s = ? AND parent = ? AND name = ?",
                            &stmt));
    bind_twig(cells, stmt, parent, &name);
    EID_TRY(eid_sql_step(stmt, found));
    if (!*found)
        return EID_OK;
    eid_buf_append_slice(record, eid_sql_bytes(stmt, 0));
    eid_sql_reset(stmt);
    return eid_buf_status(record);
}

static eid_status put_twig(const eid_cells *cells, const uint8_t *parent, eid_slice name, eid_slice record)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_kept_twig(cells, parent, name));
    EID_TRY(eid_sql_prepare(eid_storage_sql(cells->storage),
                            "INSERT INTO twig (s, parent, name, record) VALUES (?, ?, ?, ?)"
                            " ON CONFLICT (s, parent, name) DO UPDATE SET record = excluded.record",
                            &stmt));
    bind_twig(cells, stmt, parent, &name);
    eid_sql_bind_blob(stmt, 4, record);
    return eid_sql_run(stmt);
}

static eid_status remove_twig(const eid_cells *cells, const uint8_t *parent, eid_slice name)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_kept_wall(cells));
    EID_TRY(eid_sql_prepare(eid_storage_sql(cells->storage), "DELETE FROM twig WHERE s = ? AND parent = ? AND name = ?", &stmt));
    bind_twig(cells, stmt, parent, &name);
    return eid_sql_run(stmt);
}

static eid_status remove_twigs(const eid_cells *cells, const uint8_t *parent)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_kept_wall(cells));
    EID_TRY(eid_sql_prepare(eid_storage_sql(cells->storage), "DELETE FROM twig WHERE s = ? AND parent = ?", &stmt));
    bind_twig(cells, stmt, parent, NULL);
    return eid_sql_run(stmt);
}

static eid_status each_twig(const eid_cells *cells, const uint8_t *parent, eid_twig_callback callback, void *ctx)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(cells->storage), "SELECT name, record FROM twig WHERE s = ? AND parent = ? ORDER BY name",
                            &stmt));
    bind_twig(cells, stmt, parent, NULL);
    for (;;) {
        bool row;
        EID_TRY(eid_sql_step(stmt, &row));
        if (!row)
            return EID_OK;
        eid_status status = callback(eid_sql_bytes(stmt, 0), eid_sql_bytes(stmt, 1), ctx);
        if (status != EID_OK) {
            eid_sql_reset(stmt);
            return status;
        }
    }
}

static const eid_cells_calls rows = {
    .read = read_cell,
    .write = write_cell,
    .renew = renew_cell,
    .retire = retire_cell,
    .next = next_cell,
    .get_twig = get_twig,
    .put_twig = put_twig,
    .remove_twig = remove_twig,
    .remove_twigs = remove_twigs,
    .each_twig = each_twig,
    .refold = refold,
};

eid_cells eid_cells_of(eid_storage *storage, eid_tree_store *store)
{
    return (eid_cells){.calls = &rows, .storage = storage, .ctx = store};
}

static eid_cells cells_in(const eid_state_batch *batch, eid_tree_store *store)
{
    eid_cells cells = eid_cells_of(batch->storage, store);
    cells.odd = batch->odd;
    return cells;
}

/* ---- One entry ---- */

static eid_status apply_child(const eid_cells *cells, const eid_node *node, eid_slice key, const eid_value *value)
{
    const eid_tree_store *store = store_of(cells);
    eid_seat spot = {(int64_t)node->height, node->n};
    eid_taken taken;
    if (store->has_barrier && eid_node_compare(node, &store->barrier) < 0)
        return add_touch(cells->storage, store, key, &spot);
    EID_TRY(eid_cells_take(cells, node, key, value, &taken));
    return taken.found ? add_touch(cells->storage, store, key, taken.behind ? &taken.place : &spot) : EID_OK;
}

static eid_status apply_doc(const eid_cells *cells, eid_tree_store *store, const eid_node *node, const eid_doc *doc)
{
    if (eid_doc_is_atomic(doc) && (!store->has_barrier || eid_node_compare(node, &store->barrier) > 0)) {
        store->has_barrier = true;
        store->barrier = *node;
        EID_TRY(eid_storage_store_save(cells->storage, store));
        EID_TRY(eid_cells_cut(cells, node));
    }
    const eid_doc_cursor *cursor = NULL;
    const char *key;
    size_t key_len;
    const eid_value *value;
    while (eid_doc_next_raw(doc, &cursor, &key, &key_len, &value))
        EID_TRY(apply_child(cells, node, eid_slice_of(key, key_len), value));
    return EID_OK;
}

/* What the entry brings to the store of one of its subtrees: *store NULL when nothing, *doc NULL when it is no document. */
static eid_status read_subtree(const eid_state_batch *batch, eid_tree *tree, const eid_entry *entry, size_t index, int64_t n,
                               eid_tree_store **store, eid_node *node, eid_doc **doc)
{
    const eid_subtree *subtree = &entry->subtrees[index];
    eid_slice name = eid_slice_of(subtree->name, subtree->name_len);
    *store = NULL;
    *doc = NULL;
    if (!subtree->has_data || subtree->data_len == 0 || eid_slice_is(name, "_root") || eid_entry_subtree(entry, name) != subtree)
        return EID_OK;
    EID_TRY(eid_storage_store(batch->storage, tree, name, store));
    if (!(*store)->indexes_known)
        EID_TRY(eid_field_index_begin(batch->storage, tree, *store));
    if (eid_doc_parse(eid_slice_of(subtree->data, subtree->data_len), doc) == EID_ERR_NO_MEMORY)
        return EID_ERR_NO_MEMORY;
    uint64_t height = subtree->has_height ? subtree->height : entry->height;
    *node = (eid_node){.n = n, .height = height > INT64_MAX ? INT64_MAX : height, .id = entry->id};
    return EID_OK;
}

eid_status eid_state_apply(eid_state_batch *batch, eid_tree *tree, const eid_entry *entry, int64_t n)
{
    for (size_t i = 0; i < entry->subtree_count; i++) {
        eid_tree_store *store;
        eid_doc *doc;
        eid_node node;
        EID_TRY(read_subtree(batch, tree, entry, i, n, &store, &node, &doc));
        if (store == NULL)
            continue;
        eid_cells cells = cells_in(batch, store);
        cells.entry = n;
        eid_status status = EID_OK;
        if (doc != NULL) {
            status = apply_doc(&cells, store, &node, doc);
        } else {
            /* Encrypted, of another type, or damaged: carried and served, but it has no cells. */
            store->unreadable++;
            status = eid_storage_store_save(batch->storage, store);
        }
        eid_doc_free(doc);
        EID_TRY(status);
    }
    return EID_OK;
}

/* ---- Entries whose standing changed ----
 *
 * What they touched is made again as if they had never arrived, or had counted from the beginning: in the order of arrival, so
 * that the rows are those a check computes. Where an atomic Doc hides what was written before it, that is the whole store. */

static eid_status retire_whole(const eid_cells *cells, eid_slice key)
{
    uint8_t hash[EID_TWIG_HASH];
    eid_cell_row row = {0};
    eid_buf_init(&row.value, SIZE_MAX / 2);
    eid_status status = read_cell(cells, key, &row);
    eid_buf_free(&row.value);
    EID_TRY(status);
    eid_twig_hash_key(key, hash);
    EID_TRY(eid_twigs_clear(cells, hash));
    return retire_cell(cells, key, &row);
}

static eid_status make_store_later(eid_state_batch *batch, eid_tree_store *store)
{
    eid_map_entry *place;
    EID_TRY(eid_map_put(batch->stores, eid_slice_of(&store->s, sizeof store->s), &place, NULL));
    place->value = store;
    return EID_OK;
}

static eid_status change_touch(const eid_cells *cells, eid_slice key, const eid_seat *spot, bool counts)
{
    eid_cell_row row = {0};
    eid_buf_init(&row.value, SIZE_MAX / 2);
    eid_status status = read_cell(cells, key, &row);
    eid_buf_free(&row.value);
    if (status == EID_OK && row.found)
        status = retire_whole(cells, key);
    EID_TRY(status);
    return counts ? add_touch(cells->storage, store_of(cells), key, spot) : delete_touch(cells->storage, store_of(cells), key, spot);
}

static eid_status change_doc(eid_state_batch *batch, eid_tree_store *store, const eid_node *node, const eid_doc *doc, bool counts)
{
    eid_cells cells = cells_in(batch, store);
    eid_seat spot = {(int64_t)node->height, node->n};
    if (store->has_barrier || eid_doc_is_atomic(doc))
        return make_store_later(batch, store);
    const eid_doc_cursor *cursor = NULL;
    const char *key;
    size_t key_len;
    const eid_value *value;
    while (eid_doc_next_raw(doc, &cursor, &key, &key_len, &value)) {
        EID_TRY(change_touch(&cells, eid_slice_of(key, key_len), &spot, counts));
        EID_TRY(note_key(batch->again, store, eid_slice_of(key, key_len)));
    }
    return EID_OK;
}

eid_status eid_state_change(eid_state_batch *batch, eid_tree *tree, const eid_entry *entry, int64_t n, bool counts)
{
    for (size_t i = 0; i < entry->subtree_count; i++) {
        eid_tree_store *store;
        eid_doc *doc;
        eid_node node = {0};
        EID_TRY(read_subtree(batch, tree, entry, i, n, &store, &node, &doc));
        if (store == NULL)
            continue;
        eid_status status = EID_OK;
        if (doc != NULL) {
            status = change_doc(batch, store, &node, doc, counts);
        } else {
            store->unreadable = counts ? store->unreadable + 1 : store->unreadable - 1;
            status = eid_storage_store_save(batch->storage, store);
        }
        eid_doc_free(doc);
        EID_TRY(status);
    }
    return EID_OK;
}

static int compare_arrival(const void *a, const void *b)
{
    const eid_node *left = a, *right = b;
    return left->n < right->n ? -1 : left->n > right->n;
}

static eid_status take_again(const eid_cells *cells, eid_slice key, const eid_node *node)
{
    eid_value *value;
    eid_taken taken;
    EID_TRY(eid_state_load_child(cells->storage, store_of(cells), key, node->n, &value));
    if (value == NULL)
        return EID_OK;
    eid_status status = eid_cells_take(cells, node, key, value, &taken);
    eid_value_free(value);
    return status;
}

/* The key has no cell; all its places are in the touch log. Adds the entries it looked at to *looks. */
static eid_status make_key(const eid_cells *cells, eid_slice key, uint64_t *looks)
{
    eid_nodes nodes = {NULL, 0, 0};
    EID_TRY(eid_kept_forget(cells));
    eid_status status = eid_state_touches(cells->storage, store_of(cells), key, &nodes);
    *looks += nodes.count;
    if (status == EID_OK && nodes.count > 0) {
        const eid_node *last = &nodes.items[nodes.count - 1];
        eid_seat spot = {(int64_t)last->height, last->n};
        qsort(nodes.items, nodes.count, sizeof *nodes.items, compare_arrival);
        for (size_t i = 0; i < nodes.count && status == EID_OK; i++)
            status = take_again(cells, key, &nodes.items[i]);
        if (status == EID_OK)
            status = delete_touch(cells->storage, store_of(cells), key, &spot);
    }
    eid_free(nodes.items);
    return status;
}

static eid_status delete_touches(const eid_cells *cells)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(cells->storage), "DELETE FROM touch WHERE s = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, store_of(cells)->s);
    return eid_sql_run(stmt);
}

static eid_status retire_all(const eid_cells *cells)
{
    eid_buf key;
    eid_cell_row row = {0};
    eid_buf_init(&key, SIZE_MAX / 2);
    eid_buf_init(&row.value, SIZE_MAX / 2);
    eid_status status;
    do {
        status = next_cell(cells, NULL, &key, &row);
        if (status == EID_OK && row.found)
            status = retire_whole(cells, eid_buf_slice(&key));
    } while (status == EID_OK && row.found);
    eid_buf_free(&row.value);
    eid_buf_free(&key);
    return status;
}

static eid_status make_store(const eid_cells *cells, eid_tree_store *store)
{
    eid_nodes nodes = {NULL, 0, 0};
    EID_TRY(eid_kept_forget(cells));
    EID_TRY(retire_all(cells));
    EID_TRY(delete_touches(cells));
    store->has_barrier = false;
    EID_TRY(eid_storage_store_save(cells->storage, store));
    eid_status status = eid_state_arrived(cells->storage, store, 0, INT64_MAX, &nodes);
    if (status == EID_OK && nodes.count > 0)
        qsort(nodes.items, nodes.count, sizeof *nodes.items, compare_arrival);
    for (size_t i = 0; i < nodes.count && status == EID_OK; i++) {
        eid_doc *doc;
        status = eid_state_payload(cells->storage, store, NULL, nodes.items[i].n, &doc);
        if (status == EID_OK && doc != NULL)
            status = apply_doc(cells, store, &nodes.items[i], doc);
        if (status == EID_OK)
            eid_doc_free(doc);
    }
    eid_free(nodes.items);
    return status;
}

/* Key by key, each entry is read once for every key it touches: who writes many keys in each of many entries could make a
 * revocation cost the product. So a store for which more entries were looked at than it has is made from all of them, each
 * read once. Keys of one store stand together. */
static eid_status make_keys(eid_state_batch *batch)
{
    const eid_tree_store *counted = NULL;
    uint64_t looks = 0;
    for (eid_map_entry *e = eid_map_first(batch->again); e != NULL; e = eid_map_next(batch->again, e)) {
        eid_tree_store *store = e->value;
        eid_cells cells = cells_in(batch, store);
        if (eid_map_get(batch->stores, eid_slice_of(&store->s, sizeof store->s)) != NULL)
            continue;
        looks = store == counted ? looks : 0;
        counted = store;
        if (looks <= store->count) {
            EID_TRY(make_key(&cells, key_of(e), &looks));
            continue;
        }
        EID_TRY(make_store_later(batch, store)); /* and not again for its other keys */
        EID_TRY(make_store(&cells, store));
    }
    return EID_OK;
}

/* ---- Odd keys: those of a store together, so that an entry that wrote many of them is read once ---- */

typedef struct folding {
    eid_cells cells;
    const eid_map *odd;
    eid_map_entry *first;    /* its keys are those from here on that are of the store */
    eid_nodes nodes;         /* the entries that wrote them */
} folding;

static eid_map_entry *next_odd(const folding *f, const eid_map_entry *e)
{
    eid_map_entry *next = eid_map_next(f->odd, e);
    return next != NULL && next->value == f->cells.ctx ? next : NULL;
}

static eid_status add_places(folding *f, eid_slice key)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(f->cells.storage), "SELECT n, height FROM touch WHERE s = ? AND key = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, store_of(&f->cells)->s);
    eid_sql_bind_blob(stmt, 2, key);
    for (;;) {
        bool row;
        EID_TRY(eid_sql_step(stmt, &row));
        if (!row)
            return EID_OK;
        eid_node node = {.n = eid_sql_i64(stmt, 0), .height = (uint64_t)eid_sql_i64(stmt, 1)};
        eid_status status = eid_nodes_add(&f->nodes, &node);
        if (status != EID_OK) {
            eid_sql_reset(stmt);
            return status;
        }
    }
}

/* In fold order, each once. Keys that have more places than the store has entries are found by looking at all of these. */
static eid_status find_nodes(folding *f)
{
    const eid_tree_store *store = store_of(&f->cells);
    eid_nodes *nodes = &f->nodes;
    for (eid_map_entry *e = f->first; e != NULL && nodes->count <= store->count; e = next_odd(f, e))
        EID_TRY(add_places(f, key_of(e)));
    if (nodes->count > store->count) {
        nodes->count = 0;
        return eid_state_arrived(f->cells.storage, store, 0, INT64_MAX, nodes);
    }
    size_t kept = 0;
    qsort(nodes->items, nodes->count, sizeof *nodes->items, compare_arrival);
    for (size_t i = 0; i < nodes->count; i++)
        if (kept == 0 || nodes->items[kept - 1].n != nodes->items[i].n)
            nodes->items[kept++] = nodes->items[i];
    nodes->count = kept;
    for (size_t i = 0; i < kept; i++)
        EID_TRY(eid_storage_id(f->cells.storage, nodes->items[i].n, &nodes->items[i].id));
    eid_nodes_sort(nodes->items, nodes->count);
    return EID_OK;
}

static eid_status take_odd(const folding *f, const eid_node *node, const eid_doc *doc)
{
    const eid_doc_cursor *cursor = NULL;
    const char *key;
    size_t key_len;
    const eid_value *value;
    eid_status status = EID_OK;
    while (status == EID_OK && eid_doc_next_raw(doc, &cursor, &key, &key_len, &value)) {
        eid_buf name;
        eid_taken taken;
        status = name_of(&name, store_of(&f->cells), eid_slice_of(key, key_len));
        if (status == EID_OK && eid_map_find(f->odd, eid_buf_slice(&name)) != NULL)
            status = eid_cells_take(&f->cells, node, eid_slice_of(key, key_len), value, &taken);
        eid_buf_free(&name);
    }
    return status;
}

static eid_status take_nodes(const folding *f)
{
    const eid_tree_store *store = store_of(&f->cells);
    eid_status status = EID_OK;
    for (size_t i = 0; i < f->nodes.count && status == EID_OK; i++) {
        const eid_node *node = &f->nodes.items[i];
        eid_doc *doc = NULL;
        if (store->has_barrier && eid_node_compare(node, &store->barrier) < 0)
            continue;
        status = eid_state_payload(f->cells.storage, store, NULL, node->n, &doc);
        if (status == EID_OK && doc != NULL)
            status = take_odd(f, node, doc);
        eid_doc_free(doc);
    }
    return status;
}

static eid_status fold_odd(folding *f)
{
    EID_TRY(eid_kept_forget(&f->cells));
    for (eid_map_entry *e = f->first; e != NULL; e = next_odd(f, e))
        EID_TRY(retire_whole(&f->cells, key_of(e)));
    EID_TRY(find_nodes(f));
    EID_TRY(take_nodes(f));
    for (eid_map_entry *e = f->first; e != NULL; e = next_odd(f, e)) {
        eid_seat place;
        EID_TRY(eid_cells_stay_odd(&f->cells, key_of(e), &place));
        EID_TRY(delete_touch(f->cells.storage, store_of(&f->cells), key_of(e), &place));
    }
    return EID_OK;
}

static eid_status fold_all_odd(eid_state_batch *batch)
{
    eid_map_entry *e = eid_map_first(batch->odd);
    while (e != NULL) {
        folding f = {.cells = eid_cells_of(batch->storage, e->value), .odd = batch->odd, .first = e};
        eid_status status = fold_odd(&f);
        eid_free(f.nodes.items);
        EID_TRY(status);
        do
            e = eid_map_next(batch->odd, e);
        while (e != NULL && e->value == f.cells.ctx);
    }
    return EID_OK;
}

eid_status eid_state_batch_finish(eid_state_batch *batch)
{
    for (eid_map_entry *e = eid_map_first(batch->stores); e != NULL; e = eid_map_next(batch->stores, e)) {
        eid_cells cells = cells_in(batch, e->value);
        EID_TRY(make_store(&cells, e->value));
    }
    EID_TRY(make_keys(batch));
    EID_TRY(fold_all_odd(batch));
    free_maps(batch);
    return new_maps(batch);
}
