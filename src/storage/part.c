/* SPDX-License-Identifier: Apache-2.0 */
/* Participation of entries in stores: the rows of each DAG, tips, parents that come behind their children, order by height. */
#include "storage/storage_int.h"

#include "base/alloc.h"
#include "base/numbers.h"
#include "codec/cid.h"
#include "codec/varint.h"

/* Most entries have one or two parents: they fit here and need no memory. */
#define FEW 16

/* ---- Parents in a row ---- */

/* Each as the signed distance back from the child, in its shortest form, ascending by parent: mostly one byte. */
static void encode_parents(eid_buf *out, int64_t n, const int64_t *parents, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t distance = n - parents[i];
        uint64_t folded = (uint64_t)distance << 1 ^ (distance < 0 ? UINT64_MAX : 0);
        eid_varint_append(out, folded);
    }
}

/* Walks rely on numbers that fall, or at least on numbers of participants: in a damaged file they could run for ever, or
 * leave their bounds. `out` has room for one number a byte. */
static eid_status decode_parents(const eid_tree_store *store, int64_t n, eid_slice packed, int64_t *out, size_t *count)
{
    bool right = true;
    *count = 0;
    while (packed.len > 0 && right) {
        uint64_t folded;
        right = eid_varint_read(&packed, &folded) == EID_OK;
        uint64_t distance = folded >> 1 ^ (folded & 1 ? UINT64_MAX : 0);
        int64_t parent = right ? (int64_t)((uint64_t)n - distance) : 0;
        right = right && parent > 0 && parent != n && parent <= store->newest && (parent < n || store->has_late);
        if (right)
            out[(*count)++] = parent;
    }
    return right ? EID_OK : eid_fail(EID_ERR_CORRUPT, "The parents of entry number %lld in the data file are damaged", (long long)n);
}

/* Sorts, writes and binds them; the buffer has to live until the statement has run. */
static eid_status bind_parents(eid_sql_stmt *stmt, int place, int64_t n, int64_t *parents, size_t count, eid_buf *text)
{
    if (count > 1)
        eid_numbers_sort(parents, count);
    encode_parents(text, n, parents, count);
    EID_TRY(eid_buf_status(text));
    eid_sql_bind_blob(stmt, place, eid_buf_slice(text));
    return EID_OK;
}

/* ---- Rows ---- */

#define HAS_DATA 1
#define IS_LATE 2 /* sorts before an earlier arrival */

/* One participant in so many is an anchor: what is sought by height is looked for from there. */
#define ANCHORS 64

static eid_status insert_place(eid_storage *storage, const eid_tree_store *store, int64_t n, int64_t height, bool late)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(storage->index, "INSERT INTO part_order (s, late, height, n) VALUES (?, ?, ?, ?)", &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_i64(stmt, 2, late);
    eid_sql_bind_i64(stmt, 3, height);
    eid_sql_bind_i64(stmt, 4, n);
    return eid_sql_run(stmt);
}

static eid_status insert_part(eid_storage *storage, eid_tree_store *store, const eid_node *node, int64_t *parents,
                              size_t parent_count, bool has_data)
{
    int64_t height = eid_height_to_sql(node->height);
    bool late = store->count > 0 && height < store->top;
    eid_sql_stmt *stmt;
    eid_buf text;
    EID_TRY(eid_sql_prepare(storage->index, "INSERT INTO part (s, n, height, parents, flags) VALUES (?, ?, ?, ?, ?)", &stmt));
    eid_buf_init(&text, SIZE_MAX / 2);
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_i64(stmt, 2, node->n);
    eid_sql_bind_i64(stmt, 3, height);
    eid_sql_bind_i64(stmt, 5, (has_data ? HAS_DATA : 0) | (late ? IS_LATE : 0));
    eid_status status = bind_parents(stmt, 4, node->n, parents, parent_count, &text);
    if (status == EID_OK)
        status = eid_sql_run(stmt);
    eid_buf_free(&text);
    if (status == EID_OK && (late || store->count % ANCHORS == 0))
        status = insert_place(storage, store, node->n, height, late);
    if (status == EID_OK && !late)
        store->top = height;
    return status;
}

/* Puts a parent that has arrived now behind those the child has already. */
static eid_status add_late_parent(eid_storage *storage, eid_tree_store *store, int64_t child, int64_t parent)
{
    int64_t *parents;
    size_t count;
    eid_sql_stmt *stmt;
    eid_buf text;
    EID_TRY(eid_storage_participation(storage, store, child, NULL, &parents, &count));
    int64_t *grown = eid_realloc_array(parents, count + 1, sizeof *grown);
    if (grown == NULL) {
        eid_free(parents);
        return eid_fail_memory();
    }
    grown[count] = parent;
    eid_buf_init(&text, SIZE_MAX / 2);
    eid_status status = eid_sql_prepare(storage->index, "UPDATE part SET parents = ? WHERE s = ? AND n = ?", &stmt);
    if (status == EID_OK)
        status = bind_parents(stmt, 1, child, grown, count + 1, &text);
    if (status == EID_OK) {
        eid_sql_bind_i64(stmt, 2, store->s);
        eid_sql_bind_i64(stmt, 3, child);
        status = eid_sql_run(stmt);
    }
    eid_buf_free(&text);
    eid_free(grown);
    store->has_late = store->has_late || status == EID_OK;
    return status;
}

/* Links participants that named this entry as their parent before it was held; *was tells whether there are any. */
static eid_status take_dangling(eid_storage *storage, eid_tree_store *store, const eid_node *node, bool *was)
{
    *was = false;
    if (!store->has_dangling)
        return EID_OK;
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(storage->index, "SELECT n FROM dangling WHERE s = ? AND id = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_blob(stmt, 2, eid_id_slice(&node->id));
    for (;;) {
        bool row;
        EID_TRY(eid_sql_step(stmt, &row));
        if (!row)
            break;
        eid_status status = add_late_parent(storage, store, eid_sql_i64(stmt, 0), node->n);
        if (status != EID_OK) {
            eid_sql_reset(stmt);
            return status;
        }
        *was = true;
    }
    if (!*was)
        return EID_OK;
    EID_TRY(eid_sql_prepare(storage->index, "DELETE FROM dangling WHERE s = ? AND id = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_blob(stmt, 2, eid_id_slice(&node->id));
    EID_TRY(eid_sql_run(stmt));
    EID_TRY(eid_sql_prepare(storage->index, "SELECT 1 FROM dangling WHERE s = ? LIMIT 1", &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    EID_TRY(eid_sql_step(stmt, &store->has_dangling));
    eid_sql_reset(stmt);
    return EID_OK;
}

static eid_status add_dangling(eid_storage *storage, eid_tree_store *store, const eid_id *id, int64_t child)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(storage->index, "INSERT INTO dangling (s, id, n) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_blob(stmt, 2, eid_id_slice(id));
    eid_sql_bind_i64(stmt, 3, child);
    EID_TRY(eid_sql_run(stmt));
    store->has_dangling = true;
    return EID_OK;
}

/* Adds the entry to a DAG whose other members are known: part row, tips, counts. */
static eid_status join(eid_storage *storage, eid_tree_store *store, const eid_node *node, int64_t *parents,
                       size_t parent_count, bool has_data)
{
    EID_TRY(insert_part(storage, store, node, parents, parent_count, has_data));
    bool has_child = false;
    EID_TRY(take_dangling(storage, store, node, &has_child));
    for (size_t i = 0; i < parent_count; i++)
        eid_tips_remove(store, parents[i]);
    if (!has_child)
        EID_TRY(eid_tips_add(store, node));
    store->newest = node->n;
    store->count++;
    return eid_storage_mark_dirty(storage, store);
}

/* The number of a store parent, 0 when it is not a held participant of the store. Mostly it is one of the youngest tips; to
 * look at all would make many tips slow. */
static eid_status store_parent(eid_storage *storage, const eid_tree_store *store, const eid_id *id, int64_t *n)
{
    for (size_t i = store->tip_count; i-- > 0 && i + FEW >= store->tip_count;)
        if (eid_id_equal(&store->tips[i].id, id)) {
            *n = store->tips[i].n;
            return EID_OK;
        }
    EID_TRY(eid_storage_find(storage, id, n, NULL));
    if (*n == 0)
        return EID_OK;
    eid_sql_stmt *stmt;
    bool row;
    EID_TRY(eid_sql_prepare(storage->index, "SELECT 1 FROM part WHERE s = ? AND n = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_i64(stmt, 2, *n);
    EID_TRY(eid_sql_step(stmt, &row));
    if (row)
        eid_sql_reset(stmt);
    else
        *n = 0;
    return EID_OK;
}

static eid_status join_store(eid_storage *storage, eid_tree *tree, const eid_entry *entry, const eid_subtree *subtree, int64_t n)
{
    eid_tree_store *store;
    EID_TRY(eid_storage_store_make(storage, tree, eid_slice_of(subtree->name, subtree->name_len), &store));
    int64_t few[FEW];
    int64_t *parents = few;
    if (subtree->parent_count > FEW) {
        parents = eid_realloc_array(NULL, subtree->parent_count, sizeof *parents);
        if (parents == NULL)
            return eid_fail_memory();
    }
    size_t held = 0;
    eid_status status = EID_OK;
    for (size_t i = 0; i < subtree->parent_count && status == EID_OK; i++) {
        int64_t parent = 0;
        status = store_parent(storage, store, &subtree->parents[i], &parent);
        if (status == EID_OK && parent != 0)
            parents[held++] = parent;
        else if (status == EID_OK)
            status = add_dangling(storage, store, &subtree->parents[i], n);
    }
    if (status == EID_OK) {
        eid_node node = {.n = n, .height = subtree->has_height ? subtree->height : entry->height, .id = entry->id};
        status = join(storage, store, &node, parents, held, subtree->has_data);
    }
    if (parents != few)
        eid_free(parents);
    return status;
}

/* The height by which the main DAG is ordered: the entry's own, or one more than its parents' where that is larger. Honest
 * entries are not changed by it; forged heights can not put a child before its parent. */
static eid_status rank_of(eid_storage *storage, const eid_tree *tree, const eid_entry *entry, const int64_t *parents,
                          size_t parent_count, uint64_t *out)
{
    uint64_t rank = entry->height;
    for (size_t i = 0; i < parent_count; i++) {
        const eid_node *tip = eid_tips_find(tree->main, parents[i]);
        uint64_t parent_rank;
        if (tip != NULL)
            parent_rank = tip->height;
        else
            EID_TRY(eid_storage_participation(storage, tree->main, parents[i], &parent_rank, NULL, NULL));
        if (rank <= parent_rank)
            rank = parent_rank < INT64_MAX ? parent_rank + 1 : INT64_MAX; /* at the end of the scale n decides */
    }
    *out = rank > INT64_MAX ? INT64_MAX : rank;
    return EID_OK;
}

static eid_status join_main(eid_storage *storage, eid_tree *tree, const eid_node *node, const int64_t *parents, size_t count)
{
    int64_t few[FEW];
    int64_t *copy = few;
    if (count > FEW) {
        copy = eid_realloc_array(NULL, count, sizeof *copy);
        if (copy == NULL)
            return eid_fail_memory();
    }
    if (count > 0)
        memcpy(copy, parents, count * sizeof *copy);
    eid_status status = join(storage, tree->main, node, copy, count, true);
    if (copy != few)
        eid_free(copy);
    return status;
}

eid_status eid_storage_join(eid_storage *storage, eid_tree *tree, const eid_entry *entry, int64_t n, const int64_t *parents,
                            size_t parent_count)
{
    eid_node node = {.n = n, .height = 0, .id = entry->id};
    EID_TRY(rank_of(storage, tree, entry, parents, parent_count, &node.height));
    EID_TRY(join_main(storage, tree, &node, parents, parent_count));
    EID_TRY(eid_buckets_note(storage, tree->main->s, &entry->id));
    for (size_t i = 0; i < entry->subtree_count; i++) {
        const eid_subtree *subtree = &entry->subtrees[i];
        /* Of several nodes with one name only the first exists for every reader (entry.md section 5). */
        if (eid_entry_subtree(entry, eid_slice_of(subtree->name, subtree->name_len)) == subtree)
            EID_TRY(join_store(storage, tree, entry, subtree, n));
    }
    return EID_OK;
}

eid_status eid_storage_each_participation(eid_storage *storage, const eid_tree_store *store, int64_t after, int64_t up_to,
                                          eid_participation_callback callback, void *ctx)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(storage->index,
                            "SELECT n, height, parents, flags FROM part WHERE s = ? AND n > ? AND n <= ? ORDER BY n",
                            &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_i64(stmt, 2, after);
    eid_sql_bind_i64(stmt, 3, up_to);
    int64_t *parents = NULL;
    size_t capacity = 0;
    eid_status status = EID_OK;
    for (;;) {
        bool row;
        status = eid_sql_step(stmt, &row);
        if (status != EID_OK || !row)
            break;
        eid_slice packed = eid_sql_bytes(stmt, 2);
        size_t count;
        if (packed.len > capacity) {
            int64_t *grown = eid_realloc_array(parents, packed.len, sizeof *grown);
            if (grown == NULL) {
                eid_sql_reset(stmt);
                status = eid_fail_memory();
                break;
            }
            parents = grown;
            capacity = packed.len;
        }
        status = decode_parents(store, eid_sql_i64(stmt, 0), packed, parents, &count);
        if (status != EID_OK) {
            eid_sql_reset(stmt);
            break;
        }
        eid_participation part = {.n = eid_sql_i64(stmt, 0),
                                  .height = (uint64_t)eid_sql_i64(stmt, 1),
                                  .parents = parents,
                                  .parent_count = count,
                                  .has_data = (eid_sql_i64(stmt, 3) & HAS_DATA) != 0};
        if (!callback(&part, ctx)) {
            eid_sql_reset(stmt);
            break;
        }
    }
    eid_free(parents);
    return status;
}

eid_status eid_storage_participation(eid_storage *storage, const eid_tree_store *store, int64_t n, uint64_t *height,
                                     int64_t **parents, size_t *parent_count)
{
    eid_sql_stmt *stmt;
    bool row;
    EID_TRY(eid_sql_prepare(storage->index, "SELECT height, parents FROM part WHERE s = ? AND n = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_i64(stmt, 2, n);
    EID_TRY(eid_sql_step(stmt, &row));
    if (!row)
        return eid_fail(EID_ERR_NOT_FOUND, "Entry number %lld does not take part in the store", (long long)n);
    eid_status status = EID_OK;
    if (parents != NULL) {
        eid_slice packed = eid_sql_bytes(stmt, 1);
        size_t count;
        int64_t *copy = eid_realloc_array(NULL, packed.len + 1, sizeof *copy);
        status = copy == NULL ? eid_fail_memory() : decode_parents(store, n, packed, copy, &count);
        if (status == EID_OK) {
            *parents = copy;
            *parent_count = count;
        } else {
            eid_free(copy);
        }
    }
    if (status == EID_OK && height != NULL)
        *height = (uint64_t)eid_sql_i64(stmt, 0);
    eid_sql_reset(stmt);
    return status;
}

/* ---- By height ---- */

/* Most participants arrive in the order of their heights. Among these the order of arrival is that of (height, n), so their rows
 * serve both; the others stand in part_order, where they are marked late. The order by height is the two merged. */

static eid_status find_anchor(eid_order *order, int64_t height, int64_t behind, int64_t *n)
{
    eid_sql_stmt *stmt;
    bool row;
    EID_TRY(eid_sql_prepare(order->storage->index,
                            order->descending ? "SELECT n FROM part_order WHERE s = ? AND late = 0 AND (height, n) >= (?, ?)"
                                                " ORDER BY height, n LIMIT 1"
                                              : "SELECT n FROM part_order WHERE s = ? AND late = 0 AND (height, n) <= (?, ?)"
                                                " ORDER BY height DESC, n DESC LIMIT 1",
                            &stmt));
    eid_sql_bind_i64(stmt, 1, order->s);
    eid_sql_bind_i64(stmt, 2, height);
    eid_sql_bind_i64(stmt, 3, behind);
    EID_TRY(eid_sql_step(stmt, &row));
    *n = row ? eid_sql_i64(stmt, 0) : order->descending ? INT64_MAX : 0;
    eid_sql_reset(stmt);
    return EID_OK;
}

static eid_status step_stream(eid_order_stream *stream)
{
    stream->has = false;
    if (stream->stmt == NULL)
        return EID_OK;
    eid_status status = eid_sql_step(stream->stmt, &stream->has);
    if (status != EID_OK || !stream->has) {
        stream->stmt = NULL; /* it is reset already */
        return status;
    }
    stream->height = eid_sql_i64(stream->stmt, 0);
    stream->n = eid_sql_i64(stream->stmt, 1);
    return EID_OK;
}

/* What the anchor brings too much. */
static bool is_before(const eid_order *order, int64_t height, int64_t n)
{
    const eid_order_stream *at = &order->timely;
    if (!at->has)
        return false;
    if (at->height != height)
        return (at->height < height) != order->descending;
    return at->n == n || (at->n < n) != order->descending;
}

static eid_status start_streams(eid_order *order, int64_t height, int64_t n)
{
    int64_t from;
    EID_TRY(find_anchor(order, height, n, &from));
    EID_TRY(eid_sql_prepare(order->storage->index,
                            order->descending ? "SELECT height, n FROM part WHERE s = ? AND n <= ? AND flags < 2 ORDER BY n DESC"
                                              : "SELECT height, n FROM part WHERE s = ? AND n >= ? AND flags < 2 ORDER BY n",
                            &order->timely.stmt));
    eid_sql_bind_i64(order->timely.stmt, 1, order->s);
    eid_sql_bind_i64(order->timely.stmt, 2, from);
    EID_TRY(eid_sql_prepare(order->storage->index,
                            order->descending ? "SELECT height, n FROM part_order WHERE s = ? AND late = 1 AND (height, n) < (?, ?)"
                                                " ORDER BY height DESC, n DESC"
                                              : "SELECT height, n FROM part_order WHERE s = ? AND late = 1 AND (height, n) > (?, ?)"
                                                " ORDER BY height, n",
                            &order->late.stmt));
    eid_sql_bind_i64(order->late.stmt, 1, order->s);
    eid_sql_bind_i64(order->late.stmt, 2, height);
    eid_sql_bind_i64(order->late.stmt, 3, n);
    EID_TRY(step_stream(&order->late));
    do
        EID_TRY(step_stream(&order->timely));
    while (is_before(order, height, n));
    return EID_OK;
}

eid_status eid_storage_order_start(eid_storage *storage, const eid_tree_store *store, bool descending, int64_t height,
                                   int64_t n, eid_order *out)
{
    *out = (eid_order){.storage = storage, .s = store->s, .descending = descending};
    eid_status status = start_streams(out, height, n);
    if (status != EID_OK)
        eid_storage_order_stop(out);
    return status;
}

eid_status eid_storage_order_next(eid_order *order, int64_t *height, int64_t *n, bool *found)
{
    eid_order_stream *next = order->timely.has ? &order->timely : &order->late;
    if (order->timely.has && order->late.has) {
        bool timely_first = order->timely.height != order->late.height ? order->timely.height < order->late.height
                                                                       : order->timely.n < order->late.n;
        next = timely_first != order->descending ? &order->timely : &order->late;
    }
    *found = next->has;
    if (!next->has)
        return EID_OK;
    *height = next->height;
    *n = next->n;
    return step_stream(next);
}

void eid_storage_order_stop(eid_order *order)
{
    if (order->timely.stmt != NULL)
        eid_sql_reset(order->timely.stmt);
    if (order->late.stmt != NULL)
        eid_sql_reset(order->late.stmt);
    order->timely.stmt = NULL;
    order->late.stmt = NULL;
}
