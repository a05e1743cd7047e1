/* SPDX-License-Identifier: Apache-2.0 */
/* Trees and stores: their rows, and the objects that cache them with their tips.
 *
 * A cached object is ahead of its row: the rows are written just before the index is committed, once per store however many
 * entries were admitted since. What is lost with the index is made again with it.
 */
#include "storage/storage_int.h"

#include "base/alloc.h"
#include "codec/cid.h"

/* In the column `dangling`. */
#define HAS_DANGLING 1
#define HAS_LATE 2

/* ---- Tips ---- */

/* First index whose n is not below the given one. */
static size_t tips_place(const eid_tree_store *store, int64_t n)
{
    size_t low = 0, high = store->tip_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (store->tips[middle].n < n)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const eid_node *eid_tips_find(const eid_tree_store *store, int64_t n)
{
    size_t i = tips_place(store, n);
    return i < store->tip_count && store->tips[i].n == n ? &store->tips[i] : NULL;
}

eid_status eid_tips_add(eid_tree_store *store, const eid_node *node)
{
    /* Room grows in powers of two; a power of two in use means it is full. */
    size_t count = store->tip_count;
    if (count == 0 || (count & (count - 1)) == 0) {
        eid_node *grown = eid_realloc_array(store->tips, count == 0 ? 1 : count * 2, sizeof *grown);
        if (grown == NULL)
            return eid_fail_memory();
        store->tips = grown;
    }
    size_t place = tips_place(store, node->n);
    memmove(store->tips + place + 1, store->tips + place, (count - place) * sizeof *store->tips);
    store->tips[place] = *node;
    store->tip_count++;
    return EID_OK;
}

void eid_tips_remove(eid_tree_store *store, int64_t n)
{
    size_t place = tips_place(store, n);
    if (place >= store->tip_count || store->tips[place].n != n)
        return;
    memmove(store->tips + place, store->tips + place + 1, (store->tip_count - place - 1) * sizeof *store->tips);
    store->tip_count--;
}

static eid_status read_node(eid_storage *storage, int64_t s, int64_t n, eid_node *out)
{
    eid_sql_stmt *stmt;
    bool row;
    EID_TRY(eid_sql_prepare(storage->index, "SELECT height FROM part WHERE s = ? AND n = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, s);
    eid_sql_bind_i64(stmt, 2, n);
    EID_TRY(eid_sql_step(stmt, &row));
    if (!row)
        return eid_fail(EID_ERR_CORRUPT, "Entry %lld does not take part in store %lld", (long long)n, (long long)s);
    out->n = n;
    out->height = (uint64_t)eid_sql_i64(stmt, 0);
    eid_sql_reset(stmt);
    return eid_storage_id(storage, n, &out->id);
}

/* ---- Stores ---- */

static void store_free(void *value)
{
    eid_tree_store *store = value;
    if (store == NULL)
        return;
    eid_free(store->tips);
    eid_free(store->indexes);
    eid_free(store->name);
    eid_free(store);
}

static eid_status store_new(int64_t s, eid_slice name, eid_tree_store **out)
{
    eid_tree_store *store = eid_alloc_zero(1, sizeof *store);
    if (store == NULL)
        return eid_fail_memory();
    store->s = s;
    store->name = eid_memdup(name.data, name.len);
    if (store->name == NULL) {
        eid_free(store);
        return eid_fail_memory();
    }
    store->name_len = name.len;
    *out = store;
    return EID_OK;
}

static eid_status read_tips(eid_storage *storage, eid_tree_store *store, const int64_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        eid_node node;
        EID_TRY(read_node(storage, store->s, numbers[i], &node));
        EID_TRY(eid_tips_add(store, &node));
    }
    return EID_OK;
}

/* Reads the row under the statement into a new object; the statement stays open. */
static eid_status store_from_row(eid_sql_stmt *stmt, eid_tree_store **out, int64_t **tips, size_t *tip_count, int64_t *barrier)
{
    eid_tree_store *store = NULL;
    EID_TRY(store_new(eid_sql_i64(stmt, 0), eid_sql_bytes(stmt, 1), &store));
    eid_slice packed = eid_sql_bytes(stmt, 2);
    *tip_count = packed.len / sizeof(int64_t);
    *tips = eid_memdup(packed.data, packed.len);
    if (*tips == NULL) {
        store_free(store);
        return eid_fail_memory();
    }
    eid_numbers_decode(packed, *tips);
    store->count = (uint64_t)eid_sql_i64(stmt, 3);
    store->newest = eid_sql_i64(stmt, 4);
    *barrier = eid_sql_i64(stmt, 5);
    store->has_dangling = (eid_sql_i64(stmt, 6) & HAS_DANGLING) != 0;
    store->has_late = (eid_sql_i64(stmt, 6) & HAS_LATE) != 0;
    store->unreadable = (uint64_t)eid_sql_i64(stmt, 7);
    store->top = eid_sql_i64(stmt, 8);
    *out = store;
    return EID_OK;
}

static eid_status read_stores(eid_storage *storage, eid_tree *tree)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(storage->index,
                            "SELECT s, name, tips, count, newest, barrier, dangling, unreadable, top FROM store WHERE d = ?"
                            " ORDER BY s",
                            &stmt));
    eid_sql_bind_i64(stmt, 1, tree->d);
    for (;;) {
        bool row;
        EID_TRY(eid_sql_step(stmt, &row));
        if (!row)
            return EID_OK;
        eid_tree_store *store = NULL;
        int64_t *tips = NULL;
        size_t tip_count = 0;
        int64_t barrier = 0;
        eid_map_entry *place = NULL;
        eid_status status = store_from_row(stmt, &store, &tips, &tip_count, &barrier);
        if (status == EID_OK)
            status = eid_map_put(tree->stores, eid_slice_of(store->name, store->name_len), &place, NULL);
        if (status == EID_OK) {
            place->value = store;
            if (store->name_len == 0)
                tree->main = store;
            status = read_tips(storage, store, tips, tip_count);
        } else {
            store_free(store);
        }
        if (status == EID_OK && barrier != 0) {
            store->has_barrier = true;
            status = read_node(storage, store->s, barrier, &store->barrier);
        }
        eid_free(tips);
        if (status != EID_OK) {
            eid_sql_reset(stmt);
            return status;
        }
    }
}

static void tree_clear(eid_storage *storage, eid_tree *tree)
{
    eid_map_free(tree->stores, store_free);
    tree->stores = NULL;
    tree->main = NULL;
    if (tree->cache != NULL && storage->free_cache != NULL)
        storage->free_cache(tree->cache);
    tree->cache = NULL;
    tree->d = 0;
    tree->waiting = 0;
    tree->waiting_bytes = 0;
}

void eid_tree_free(eid_storage *storage, eid_tree *tree)
{
    tree_clear(storage, tree);
    eid_free(tree);
}

static eid_status read_waiting(eid_storage *storage, eid_tree *tree)
{
    eid_sql_stmt *stmt;
    bool row;
    EID_TRY(eid_sql_prepare(storage->journal, "SELECT COUNT(*), COALESCE(SUM(LENGTH(bytes)), 0) FROM quarantine WHERE d = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, tree->d);
    EID_TRY(eid_sql_step(stmt, &row));
    tree->waiting = (uint64_t)eid_sql_i64(stmt, 0);
    tree->waiting_bytes = (uint64_t)eid_sql_i64(stmt, 1);
    eid_sql_reset(stmt);
    return EID_OK;
}

/* Fills the object from the file; d 0 afterwards means the tree is not held. */
static eid_status tree_read(eid_storage *storage, eid_tree *tree)
{
    tree_clear(storage, tree);
    tree->stale = true;
    EID_TRY(eid_map_new(&tree->stores));
    eid_sql_stmt *stmt;
    bool row;
    EID_TRY(eid_sql_prepare(storage->journal, "SELECT d FROM tree WHERE root = ?", &stmt));
    eid_sql_bind_blob(stmt, 1, eid_id_slice(&tree->root));
    EID_TRY(eid_sql_step(stmt, &row));
    if (row) {
        tree->d = eid_sql_i64(stmt, 0);
        eid_sql_reset(stmt);
        EID_TRY(read_stores(storage, tree));
        EID_TRY(read_waiting(storage, tree));
        if (tree->main == NULL && storage->replaying)
            EID_TRY(eid_storage_store_make(storage, tree, eid_slice_text(""), &tree->main));
        if (tree->main == NULL)
            return eid_fail(EID_ERR_CORRUPT, "A database in the data file has no main DAG");
    }
    tree->stale = false;
    return EID_OK;
}

static eid_status tree_object(eid_storage *storage, const eid_id *root, eid_tree **out)
{
    eid_map_entry *place;
    EID_TRY(eid_storage_ready(storage));
    EID_TRY(eid_map_put(storage->trees, eid_id_slice(root), &place, NULL));
    if (place->value == NULL) {
        eid_tree *tree = eid_alloc_zero(1, sizeof *tree);
        if (tree == NULL) {
            eid_map_remove(storage->trees, eid_id_slice(root));
            return eid_fail_memory();
        }
        tree->root = *root;
        tree->stale = true;
        place->value = tree;
    }
    eid_tree *tree = place->value;
    if (tree->stale) {
        eid_status status = tree_read(storage, tree);
        if (status == EID_ERR_CORRUPT && eid_storage_index_is_damaged(storage) && !storage->in_transaction) {
            EID_TRY(eid_storage_ready(storage));
            status = tree->stale ? tree_read(storage, tree) : EID_OK; /* putting entries in may have read it */
        }
        EID_TRY(status);
    }
    *out = tree;
    return EID_OK;
}

/* Frees the object of a tree that is not held, so that asking for unknown IDs does not fill the memory. */
static void drop_object(eid_storage *storage, const eid_id *root)
{
    eid_tree *tree = eid_map_remove(storage->trees, eid_id_slice(root));
    eid_tree_free(storage, tree);
}

eid_status eid_storage_tree(eid_storage *storage, const eid_id *root, eid_tree **out)
{
    eid_tree *tree;
    EID_TRY(tree_object(storage, root, &tree));
    if (tree->d == 0) {
        drop_object(storage, root);
        char text[EID_ID_TEXT_SIZE];
        eid_id_format(root, text);
        return eid_fail(EID_ERR_DATABASE_NOT_FOUND, "Database not found: %s", text);
    }
    *out = tree;
    return EID_OK;
}

eid_status eid_storage_tree_create(eid_storage *storage, const eid_id *root, eid_tree **out)
{
    eid_tree *tree;
    EID_TRY(tree_object(storage, root, &tree));
    if (tree->d != 0) {
        *out = tree;
        return EID_OK;
    }
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(storage->journal, "INSERT INTO tree (d, root) VALUES (?, ?)", &stmt));
    eid_sql_bind_i64(stmt, 1, storage->next_d);
    eid_sql_bind_blob(stmt, 2, eid_id_slice(root));
    EID_TRY(eid_sql_run(stmt));
    tree->d = storage->next_d++;
    EID_TRY(eid_storage_store_make(storage, tree, eid_slice_text(""), &tree->main));
    *out = tree;
    return EID_OK;
}

eid_status eid_storage_trees(eid_storage *storage, eid_id **out, size_t *count)
{
    eid_buf ids;
    eid_buf_init(&ids, SIZE_MAX / 2);
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(storage->journal, "SELECT root FROM tree ORDER BY d", &stmt));
    for (;;) {
        bool row;
        eid_id id;
        eid_status status = eid_sql_step(stmt, &row);
        if (status == EID_OK && !row)
            break;
        if (status == EID_OK)
            status = eid_id_from_binary(eid_sql_bytes(stmt, 0), &id);
        if (status != EID_OK) {
            eid_sql_reset(stmt);
            eid_buf_free(&ids);
            return status;
        }
        eid_buf_append(&ids, &id, sizeof id);
    }
    size_t len;
    uint8_t *data;
    EID_TRY(eid_buf_take(&ids, &data, &len));
    *out = (eid_id *)(void *)data;
    *count = len / sizeof(eid_id);
    return EID_OK;
}

eid_status eid_storage_store(eid_storage *storage, eid_tree *tree, eid_slice name, eid_tree_store **out)
{
    (void)storage;
    *out = eid_map_get(tree->stores, name);
    return EID_OK;
}

eid_status eid_storage_store_make(eid_storage *storage, eid_tree *tree, eid_slice name, eid_tree_store **out)
{
    eid_map_entry *place;
    EID_TRY(eid_map_put(tree->stores, name, &place, NULL));
    if (place->value != NULL) {
        *out = place->value;
        return EID_OK;
    }
    eid_tree_store *store = NULL;
    eid_status status = store_new(storage->next_s, name, &store);
    eid_sql_stmt *stmt;
    if (status == EID_OK)
        status = eid_sql_prepare(storage->index,
                                 "INSERT INTO store (s, d, name, tips, count, newest, barrier, dangling, unreadable, top)"
                                 " VALUES (?, ?, ?, x'', 0, 0, 0, 0, 0, 0)",
                                 &stmt);
    if (status == EID_OK) {
        eid_sql_bind_i64(stmt, 1, store->s);
        eid_sql_bind_i64(stmt, 2, tree->d);
        eid_sql_bind_text(stmt, 3, name);
        status = eid_sql_run(stmt);
    }
    if (status != EID_OK) {
        store_free(store);
        eid_map_remove(tree->stores, name);
        return status;
    }
    storage->next_s++;
    place->value = store;
    *out = store;
    return EID_OK;
}

eid_status eid_storage_mark_dirty(eid_storage *storage, eid_tree_store *store)
{
    if (store->dirty)
        return EID_OK;
    if (storage->dirty_count == storage->dirty_capacity) {
        size_t capacity = storage->dirty_capacity == 0 ? 16 : storage->dirty_capacity * 2;
        eid_tree_store **grown = eid_realloc_array(storage->dirty, capacity, sizeof(eid_tree_store *));
        if (grown == NULL)
            return eid_fail_memory();
        storage->dirty = grown;
        storage->dirty_capacity = capacity;
    }
    storage->dirty[storage->dirty_count++] = store;
    store->dirty = true;
    return EID_OK;
}

eid_status eid_storage_store_save(eid_storage *storage, eid_tree_store *store)
{
    return eid_storage_mark_dirty(storage, store);
}

static eid_status write_store(eid_storage *storage, const eid_tree_store *store)
{
    int64_t few[16];
    int64_t *tips = few;
    if (store->tip_count > 16) {
        tips = eid_realloc_array(NULL, store->tip_count, sizeof *tips);
        if (tips == NULL)
            return eid_fail_memory();
    }
    for (size_t i = 0; i < store->tip_count; i++)
        tips[i] = store->tips[i].n;
    eid_numbers_encode(tips, store->tip_count, (uint8_t *)tips);
    eid_sql_stmt *stmt;
    eid_status status = eid_sql_prepare(storage->index,
                                        "UPDATE store SET tips = ?, count = ?, newest = ?, barrier = ?, dangling = ?,"
                                        " unreadable = ?, top = ? WHERE s = ?",
                                        &stmt);
    if (status == EID_OK) {
        eid_sql_bind_blob(stmt, 1, eid_slice_of(tips, store->tip_count * sizeof *tips));
        eid_sql_bind_i64(stmt, 2, (int64_t)store->count);
        eid_sql_bind_i64(stmt, 3, store->newest);
        eid_sql_bind_i64(stmt, 4, store->has_barrier ? store->barrier.n : 0);
        eid_sql_bind_i64(stmt, 5, (store->has_dangling ? HAS_DANGLING : 0) | (store->has_late ? HAS_LATE : 0));
        eid_sql_bind_i64(stmt, 6, (int64_t)store->unreadable);
        eid_sql_bind_i64(stmt, 7, store->top);
        eid_sql_bind_i64(stmt, 8, store->s);
        status = eid_sql_run(stmt);
    }
    if (tips != few)
        eid_free(tips);
    return status;
}

eid_status eid_storage_write_dirty(eid_storage *storage)
{
    EID_TRY(eid_buckets_write(storage));
    while (storage->dirty_count > 0) {
        eid_tree_store *store = storage->dirty[storage->dirty_count - 1];
        EID_TRY(write_store(storage, store));
        store->dirty = false;
        storage->dirty_count--;
    }
    return EID_OK;
}

void eid_storage_forget(eid_storage *storage)
{
    storage->dirty_count = 0;
    for (eid_map_entry *e = eid_map_first(storage->trees); e != NULL; e = eid_map_next(storage->trees, e))
        ((eid_tree *)e->value)->stale = true;
    /* The counters only have to be free, not dense: numbers handed out in the undone transaction stay unused. */
}
