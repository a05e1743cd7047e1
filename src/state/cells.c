/* SPDX-License-Identifier: Apache-2.0 */
/* Writing cells: what an admitted entry changes in the merged state.
 *
 * Invariant: the places that touched a key are the rows of `touch` and, besides them, the place in the key's cell, which is
 * the last of those that count. A key without a cell either was never touched or was wiped by a barrier.
 */
#include "state/state_int.h"

#include "base/alloc.h"
#include "codec/cid.h"

struct eid_state_batch {
    eid_storage *storage;
    eid_map *late;   /* number of the store (8 bytes) and key -> eid_tree_store: to be folded again */
};

eid_status eid_state_batch_new(eid_storage *storage, eid_state_batch **out)
{
    eid_state_batch *batch = eid_alloc_zero(1, sizeof *batch);
    if (batch == NULL)
        return eid_fail_memory();
    batch->storage = storage;
    eid_status status = eid_map_new(&batch->late);
    if (status != EID_OK) {
        eid_free(batch);
        return status;
    }
    *out = batch;
    return EID_OK;
}

void eid_state_batch_free(eid_state_batch *batch)
{
    if (batch == NULL)
        return;
    eid_map_free(batch->late, NULL);
    eid_free(batch);
}

static eid_status fold_later(eid_state_batch *batch, eid_tree_store *store, eid_slice key)
{
    eid_buf name;
    eid_buf_init(&name, SIZE_MAX / 2);
    eid_buf_append_u64_be(&name, (uint64_t)store->s);
    eid_buf_append_slice(&name, key);
    eid_map_entry *place;
    eid_status status = eid_buf_status(&name);
    if (status == EID_OK)
        status = eid_map_put(batch->late, eid_buf_slice(&name), &place, NULL);
    if (status == EID_OK)
        place->value = store;
    eid_buf_free(&name);
    return status;
}

/* ---- Rows ---- */

static eid_status add_touch(eid_storage *storage, const eid_tree_store *store, eid_slice key, int64_t height, int64_t n)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(storage),
                            "INSERT INTO touch (s, key, height, n) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_blob(stmt, 2, key);
    eid_sql_bind_i64(stmt, 3, height);
    eid_sql_bind_i64(stmt, 4, n);
    return eid_sql_run(stmt);
}

static eid_status put_cell(eid_storage *storage, const eid_tree_store *store, eid_slice key, const eid_value *value,
                           int64_t height, int64_t n, int64_t newest)
{
    eid_buf text;
    eid_buf_init(&text, SIZE_MAX / 2);
    eid_value_write(&text, value);
    eid_status status = eid_buf_status(&text);
    eid_sql_stmt *stmt;
    if (status == EID_OK)
        status = eid_sql_prepare(eid_storage_sql(storage),
                                 "INSERT INTO cell (s, key, value, height, n, newest) VALUES (?, ?, ?, ?, ?, ?)"
                                 " ON CONFLICT (s, key) DO UPDATE SET value = excluded.value, height = excluded.height,"
                                 " n = excluded.n, newest = excluded.newest",
                                 &stmt);
    if (status == EID_OK) {
        eid_sql_bind_i64(stmt, 1, store->s);
        eid_sql_bind_blob(stmt, 2, key);
        eid_sql_bind_blob(stmt, 3, eid_buf_slice(&text));
        eid_sql_bind_i64(stmt, 4, height);
        eid_sql_bind_i64(stmt, 5, n);
        eid_sql_bind_i64(stmt, 6, newest);
        status = eid_sql_run(stmt);
    }
    eid_buf_free(&text);
    return status;
}

typedef struct cell_row {
    bool found;
    int64_t height;
    int64_t n;
    int64_t newest;
    bool leaf;        /* the value is neither Doc nor List */
    eid_value *value; /* only when asked for */
} cell_row;

/* Told from the stored form, without parsing it. */
static bool text_is_leaf(eid_slice text)
{
    static const char doc[] = "{\"Doc\"", list[] = "{\"List\"";
    return !(text.len > sizeof list && (memcmp(text.data, doc, sizeof doc - 1) == 0 || memcmp(text.data, list, sizeof list - 1) == 0));
}

static eid_status read_cell(eid_storage *storage, const eid_tree_store *store, eid_slice key, bool want_value, cell_row *out)
{
    eid_sql_stmt *stmt;
    memset(out, 0, sizeof *out);
    EID_TRY(eid_sql_prepare(eid_storage_sql(storage), "SELECT height, n, newest, value FROM cell WHERE s = ? AND key = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_blob(stmt, 2, key);
    EID_TRY(eid_sql_step(stmt, &out->found));
    if (!out->found)
        return EID_OK;
    out->height = eid_sql_i64(stmt, 0);
    out->n = eid_sql_i64(stmt, 1);
    out->newest = eid_sql_i64(stmt, 2);
    out->leaf = text_is_leaf(eid_sql_bytes(stmt, 3));
    eid_status status = want_value ? eid_value_parse(eid_sql_bytes(stmt, 3), &out->value) : EID_OK;
    eid_sql_reset(stmt);
    return status;
}

static eid_status set_newest(eid_storage *storage, const eid_tree_store *store, eid_slice key, int64_t newest)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(storage), "UPDATE cell SET newest = ? WHERE s = ? AND key = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, newest);
    eid_sql_bind_i64(stmt, 2, store->s);
    eid_sql_bind_blob(stmt, 3, key);
    return eid_sql_run(stmt);
}

/* ---- In order, or late ---- */

/* Whether the node sorts behind the place of the cell. Equal heights are rare enough to fetch the other ID then. */
static eid_status sorts_behind(eid_storage *storage, const eid_node *node, int64_t height, int64_t n, bool *out)
{
    eid_node other = {.n = n, .height = (uint64_t)height};
    if (node->height == other.height)
        EID_TRY(eid_storage_id(storage, n, &other.id));
    *out = eid_node_compare(node, &other) > 0;
    return EID_OK;
}

static eid_status apply_child(eid_state_batch *batch, eid_tree_store *store, const eid_node *node, eid_slice key,
                              const eid_value *value)
{
    eid_storage *storage = batch->storage;
    bool hidden = store->has_barrier && eid_node_compare(node, &store->barrier) < 0;
    if (hidden)
        return add_touch(storage, store, key, (int64_t)node->height, node->n);
    cell_row cell;
    bool leaf = eid_value_is_leaf(value); /* replaces whatever was there, so the old value need not be read */
    EID_TRY(read_cell(storage, store, key, !leaf, &cell));
    if (!cell.found)
        return put_cell(storage, store, key, value, (int64_t)node->height, node->n, node->n);
    bool behind = false;
    eid_status status = sorts_behind(storage, node, cell.height, cell.n, &behind);
    if (status == EID_OK && behind) {
        if (!leaf)
            status = eid_value_merge(&cell.value, value);
        if (status == EID_OK)
            status = add_touch(storage, store, key, cell.height, cell.n);
        if (status == EID_OK)
            status = put_cell(storage, store, key, leaf ? value : cell.value, (int64_t)node->height, node->n, node->n);
    } else if (status == EID_OK) {
        /* Late. A fold that ends in a leaf ends in the last entry's leaf, whatever came before: only a Doc or List has to be
         * folded again. */
        status = add_touch(storage, store, key, (int64_t)node->height, node->n);
        if (status == EID_OK)
            status = cell.leaf ? set_newest(storage, store, key, node->n) : fold_later(batch, store, key);
    }
    eid_value_free(cell.value);
    return status;
}

/* ---- Folding a key again ---- */

static eid_status delete_touch(eid_storage *storage, const eid_tree_store *store, eid_slice key, const eid_node *node)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(storage), "DELETE FROM touch WHERE s = ? AND key = ? AND height = ? AND n = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_blob(stmt, 2, key);
    eid_sql_bind_i64(stmt, 3, (int64_t)node->height);
    eid_sql_bind_i64(stmt, 4, node->n);
    return eid_sql_run(stmt);
}

static eid_status fold_again(eid_storage *storage, eid_tree_store *store, eid_slice key)
{
    cell_row cell;
    EID_TRY(read_cell(storage, store, key, false, &cell));
    if (cell.found)
        EID_TRY(add_touch(storage, store, key, cell.height, cell.n));
    eid_nodes nodes = {NULL, 0, 0};
    eid_value *value = NULL;
    eid_status status = eid_state_touches(storage, store, key, &nodes);
    if (status == EID_OK)
        status = eid_state_fold_key(storage, store, key, &nodes, &value);
    if (status == EID_OK && value != NULL) {
        int64_t newest = 0;
        for (size_t i = 0; i < nodes.count; i++)
            newest = nodes.items[i].n > newest ? nodes.items[i].n : newest;
        const eid_node *last = &nodes.items[nodes.count - 1];
        status = delete_touch(storage, store, key, last);
        if (status == EID_OK)
            status = put_cell(storage, store, key, value, (int64_t)last->height, last->n, newest);
    }
    eid_value_free(value);
    eid_free(nodes.items);
    return status;
}

eid_status eid_state_batch_finish(eid_state_batch *batch)
{
    if (eid_map_len(batch->late) == 0)
        return EID_OK;
    for (eid_map_entry *e = eid_map_first(batch->late); e != NULL; e = eid_map_next(batch->late, e)) {
        eid_slice key = eid_slice_of(e->key.data + sizeof(uint64_t), e->key.len - sizeof(uint64_t));
        EID_TRY(fold_again(batch->storage, e->value, key));
    }
    eid_map_free(batch->late, NULL);
    batch->late = NULL;
    return eid_map_new(&batch->late);
}

/* ---- Barriers ---- */

static eid_status run_for_store(eid_storage *storage, const char *text, const eid_tree_store *store)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(storage), text, &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    return eid_sql_run(stmt);
}

/* Keys touched at or above the barrier's height: the only ones that can have a value. */
static eid_status collect_keys(eid_state_batch *batch, eid_tree_store *store)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(eid_storage_sql(batch->storage), "SELECT DISTINCT key FROM touch WHERE s = ? AND height >= ?", &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_i64(stmt, 2, (int64_t)store->barrier.height);
    for (;;) {
        bool row;
        EID_TRY(eid_sql_step(stmt, &row));
        if (!row)
            return EID_OK;
        eid_status status = fold_later(batch, store, eid_sql_bytes(stmt, 0));
        if (status != EID_OK) {
            eid_sql_reset(stmt);
            return status;
        }
    }
}

/* A top-level atomic Doc that sorts behind all earlier ones: every cell goes back to the touch log, and what counts from
 * the barrier on is folded again. */
static eid_status raise_barrier(eid_state_batch *batch, eid_tree_store *store, const eid_node *node, const eid_doc *doc)
{
    eid_storage *storage = batch->storage;
    store->has_barrier = true;
    store->barrier = *node;
    EID_TRY(eid_storage_store_save(storage, store));
    EID_TRY(run_for_store(storage,
                          "INSERT INTO touch (s, key, height, n) SELECT s, key, height, n FROM cell WHERE s = ?"
                          " ON CONFLICT DO NOTHING",
                          store));
    EID_TRY(run_for_store(storage, "DELETE FROM cell WHERE s = ?", store));
    const eid_doc_cursor *cursor = NULL;
    const char *key;
    size_t key_len;
    const eid_value *value;
    while (eid_doc_next_raw(doc, &cursor, &key, &key_len, &value))
        EID_TRY(add_touch(storage, store, eid_slice_of(key, key_len), (int64_t)node->height, node->n));
    return collect_keys(batch, store);
}

/* ---- One entry ---- */

static eid_status apply_doc(eid_state_batch *batch, eid_tree_store *store, const eid_node *node, const eid_doc *doc)
{
    if (eid_doc_is_atomic(doc) && (!store->has_barrier || eid_node_compare(node, &store->barrier) > 0))
        return raise_barrier(batch, store, node, doc);
    const eid_doc_cursor *cursor = NULL;
    const char *key;
    size_t key_len;
    const eid_value *value;
    while (eid_doc_next_raw(doc, &cursor, &key, &key_len, &value))
        EID_TRY(apply_child(batch, store, node, eid_slice_of(key, key_len), value));
    return EID_OK;
}

eid_status eid_state_apply(eid_state_batch *batch, eid_tree *tree, const eid_entry *entry, int64_t n)
{
    for (size_t i = 0; i < entry->subtree_count; i++) {
        const eid_subtree *subtree = &entry->subtrees[i];
        eid_slice name = eid_slice_of(subtree->name, subtree->name_len);
        if (!subtree->has_data || subtree->data_len == 0 || eid_slice_is(name, "_root") ||
            eid_entry_subtree(entry, name) != subtree)
            continue;
        eid_tree_store *store;
        EID_TRY(eid_storage_store(batch->storage, tree, name, &store));
        eid_doc *doc = NULL;
        eid_status status = eid_doc_parse(eid_slice_of(subtree->data, subtree->data_len), &doc);
        if (status == EID_ERR_NO_MEMORY)
            return status;
        if (status != EID_OK) {
            /* Encrypted, of another type, or damaged: carried and served, but it has no cells. */
            store->unreadable++;
            EID_TRY(eid_storage_store_save(batch->storage, store));
            continue;
        }
        uint64_t height = subtree->has_height ? subtree->height : entry->height;
        eid_node node = {.n = n, .height = height > INT64_MAX ? INT64_MAX : height, .id = entry->id};
        status = apply_doc(batch, store, &node, doc);
        eid_doc_free(doc);
        EID_TRY(status);
    }
    return EID_OK;
}
