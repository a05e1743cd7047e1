/* SPDX-License-Identifier: Apache-2.0 */
/* Entries: admission, lookup, and participation in stores. */
#include "storage/storage_int.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "codec/cid.h"
#include "crypto/blake3.h"

/* Most entries have one or two parents: they fit here and need no memory. */
#define FEW 16
/* Where the digest stands in an entry's ID, behind version, codec, hash and length. */
#define DIGEST_AT (EID_CID_BYTES - 32)
#define ROWS_BYTES (1u << 20) /* of entries read under one hold of the lock */

int64_t eid_id_prefix(const eid_id *id)
{
    uint64_t number = 0;
    for (size_t i = 0; i < 8; i++)
        number = number << 8 | id->bytes[DIGEST_AT + i];
    return (int64_t)number;
}

/* ---- IDs ---- */

static eid_recent *recent_place(eid_storage *storage, const eid_id *id)
{
    return &storage->recent[(uint64_t)eid_id_prefix(id) % EID_RECENT];
}

void eid_storage_remember(eid_storage *storage, const eid_id *id, int64_t n, int64_t d)
{
    *recent_place(storage, id) = (eid_recent){.id = *id, .n = n, .d = d};
}

eid_status eid_storage_add_id(eid_storage *storage, const eid_id *id, int64_t n)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(storage->index, "INSERT INTO entry_id (h, n) VALUES (?, ?)", &stmt));
    eid_sql_bind_i64(stmt, 1, eid_id_prefix(id));
    eid_sql_bind_i64(stmt, 2, n);
    return eid_sql_run(stmt);
}

static eid_status missing_entry(int64_t n)
{
    return eid_fail(EID_ERR_CORRUPT, "Entry number %lld is missing from the data file", (long long)n);
}

static eid_status damaged_entry(int64_t n)
{
    return eid_fail(EID_ERR_CORRUPT, "Entry number %lld in the data file is damaged", (long long)n);
}

/* The ID is the hash of the bytes; *d 0: there is no such entry. */
static eid_status read_id(eid_storage *storage, int64_t n, eid_id *out, int64_t *d)
{
    eid_sql_stmt *stmt;
    bool row;
    eid_id id;
    *d = 0;
    EID_TRY(eid_sql_prepare(storage->journal, "SELECT d, h, bytes FROM entry WHERE n = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, n);
    EID_TRY(eid_sql_step(stmt, &row));
    if (!row)
        return EID_OK;
    eid_slice bytes = eid_sql_bytes(stmt, 2);
    eid_id_of_bytes(EID_CODEC_DAG_CBOR, bytes.data, bytes.len, &id);
    bool sound = eid_id_prefix(&id) == eid_sql_i64(stmt, 1);
    *d = eid_sql_i64(stmt, 0);
    eid_sql_reset(stmt);
    if (!sound)
        return damaged_entry(n);
    *out = id;
    return EID_OK;
}

eid_status eid_storage_id(eid_storage *storage, int64_t n, eid_id *out)
{
    int64_t d;
    eid_id id;
    EID_TRY(read_id(storage, n, &id, &d));
    if (d == 0)
        return missing_entry(n);
    *out = id;
    return EID_OK;
}

/* Looks among the entries whose hash begins with the same bytes. Mostly there is one; others could be made on purpose. */
static eid_status find_in_index(eid_storage *storage, const eid_id *id, int64_t *n, int64_t *d)
{
    eid_sql_stmt *stmt;
    *n = 0;
    EID_TRY(eid_sql_prepare(storage->index, "SELECT n FROM entry_id WHERE h = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, eid_id_prefix(id));
    for (;;) {
        bool row;
        eid_id found;
        int64_t found_d;
        EID_TRY(eid_sql_step(stmt, &row));
        if (!row)
            return EID_OK;
        int64_t candidate = eid_sql_i64(stmt, 0);
        eid_status status = read_id(storage, candidate, &found, &found_d);
        bool same = status == EID_OK && found_d != 0 && eid_id_equal(&found, id);
        if (same) {
            *n = candidate;
            *d = found_d;
        }
        if (same || status != EID_OK) {
            eid_sql_reset(stmt);
            return status;
        }
    }
}

eid_status eid_storage_find(eid_storage *storage, const eid_id *id, int64_t *n, int64_t *d)
{
    EID_TRY(eid_storage_ready(storage));
    int64_t found = 0, found_d = 0;
    if (eid_id_is_entry(id)) {
        const eid_recent *recent = recent_place(storage, id);
        if (recent->n != 0 && eid_id_equal(&recent->id, id)) {
            found = recent->n;
            found_d = recent->d;
        } else {
            EID_TRY(find_in_index(storage, id, &found, &found_d));
            if (found != 0)
                eid_storage_remember(storage, id, found, found_d);
        }
    }
    *n = found;
    if (d != NULL)
        *d = found_d;
    return EID_OK;
}

/* ---- Bytes ---- */

eid_status eid_storage_load(eid_storage *storage, int64_t n, eid_entry **out)
{
    eid_sql_stmt *stmt;
    bool row;
    eid_entry *entry = NULL;
    EID_TRY(eid_sql_prepare(storage->journal, "SELECT h, bytes FROM entry WHERE n = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, n);
    EID_TRY(eid_sql_step(stmt, &row));
    if (!row)
        return missing_entry(n);
    eid_slice bytes = eid_sql_bytes(stmt, 1);
    int64_t h = eid_sql_i64(stmt, 0);
    eid_status status = eid_entry_from_cbor(bytes.data, bytes.len, &entry);
    eid_sql_reset(stmt);
    if (status == EID_ERR_NO_MEMORY)
        return status;
    if (status != EID_OK || eid_id_prefix(&entry->id) != h) {
        eid_entry_unref(entry);
        return damaged_entry(n);
    }
    *out = entry;
    return EID_OK;
}

eid_status eid_storage_rows(eid_storage *storage, int64_t d, int64_t after, int64_t up_to, size_t limit, eid_entry_row *out,
                            size_t *count)
{
    eid_sql_stmt *stmt;
    size_t total = 0;
    *count = 0;
    EID_TRY(eid_sql_prepare(storage->journal,
                            "SELECT n, h, bytes FROM entry WHERE d = ? AND n > ? AND n <= ? ORDER BY n", &stmt));
    eid_sql_bind_i64(stmt, 1, d);
    eid_sql_bind_i64(stmt, 2, after);
    eid_sql_bind_i64(stmt, 3, up_to);
    while (*count < limit && total < ROWS_BYTES) {
        bool row;
        EID_TRY(eid_sql_step(stmt, &row));
        if (!row)
            return EID_OK;
        eid_slice bytes = eid_sql_bytes(stmt, 2);
        eid_entry_row next = {.n = eid_sql_i64(stmt, 0), .h = eid_sql_i64(stmt, 1), .len = bytes.len};
        next.bytes = eid_memdup(bytes.data, bytes.len);
        if (next.bytes == NULL) {
            eid_sql_reset(stmt);
            return eid_fail_memory();
        }
        out[(*count)++] = next;
        total += bytes.len;
    }
    eid_sql_reset(stmt);
    return EID_OK;
}

/* The places of the next entries of a tree. */
static eid_status next_places(eid_storage *storage, const eid_tree *tree, const eid_place *from, size_t limit, eid_buf *out)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(storage->index,
                            "SELECT height, n FROM part WHERE s = ? AND (height, n) > (?, ?) AND n <= ?"
                            " ORDER BY height, n LIMIT ?",
                            &stmt));
    eid_sql_bind_i64(stmt, 1, tree->main->s);
    eid_sql_bind_i64(stmt, 2, from->rank);
    eid_sql_bind_i64(stmt, 3, from->n);
    eid_sql_bind_i64(stmt, 4, from->up_to);
    eid_sql_bind_i64(stmt, 5, (int64_t)limit);
    for (;;) {
        bool row;
        EID_TRY(eid_sql_step(stmt, &row));
        if (!row)
            return eid_buf_status(out);
        eid_place place = {.rank = eid_sql_i64(stmt, 0), .n = eid_sql_i64(stmt, 1), .up_to = from->up_to};
        eid_buf_append(out, &place, sizeof place);
    }
}

eid_status eid_storage_slice(eid_storage *storage, const eid_tree *tree, eid_place *place, size_t limit, eid_entry **out,
                             size_t *count)
{
    eid_buf places;
    eid_buf_init(&places, SIZE_MAX / 2);
    eid_status status = next_places(storage, tree, place, limit, &places);
    const eid_place *items = (const eid_place *)(const void *)places.data;
    size_t found = places.len / sizeof *items, loaded = 0;
    while (status == EID_OK && loaded < found) {
        status = eid_storage_load(storage, items[loaded].n, &out[loaded]);
        loaded += status == EID_OK;
    }
    if (status != EID_OK) {
        while (loaded > 0)
            eid_entry_unref(out[--loaded]);
    } else {
        if (found > 0)
            *place = items[found - 1];
        *count = found;
    }
    eid_buf_free(&places);
    return status;
}

/* ---- Participation ---- */

static int compare_numbers(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

/* Parents are kept in ascending order, whatever the order of the entry's IDs: one DAG has one form. */
static eid_status insert_part(eid_storage *storage, const eid_tree_store *store, int64_t n, uint64_t height,
                              const int64_t *parents, size_t parent_count, bool has_data)
{
    int64_t few[FEW];
    int64_t *packed = few;
    if (parent_count > FEW) {
        packed = eid_realloc_array(NULL, parent_count, sizeof *packed);
        if (packed == NULL)
            return eid_fail_memory();
    }
    if (parent_count > 0)
        memcpy(packed, parents, parent_count * sizeof *packed);
    if (parent_count > 1)
        qsort(packed, parent_count, sizeof *packed, compare_numbers);
    eid_numbers_encode(packed, parent_count, (uint8_t *)packed);
    eid_sql_stmt *stmt;
    eid_status status =
        eid_sql_prepare(storage->index, "INSERT INTO part (s, n, height, parents, has_data) VALUES (?, ?, ?, ?, ?)", &stmt);
    if (status == EID_OK) {
        eid_sql_bind_i64(stmt, 1, store->s);
        eid_sql_bind_i64(stmt, 2, n);
        eid_sql_bind_i64(stmt, 3, eid_height_to_sql(height));
        eid_sql_bind_blob(stmt, 4, eid_slice_of(packed, parent_count * sizeof *packed));
        eid_sql_bind_i64(stmt, 5, has_data);
        status = eid_sql_run(stmt);
    }
    if (packed != few)
        eid_free(packed);
    return status;
}

/* Puts a parent that has arrived now behind those the child has already. */
static eid_status add_late_parent(eid_storage *storage, const eid_tree_store *store, int64_t child, int64_t parent)
{
    int64_t *parents;
    size_t count;
    EID_TRY(eid_storage_participation(storage, store, child, NULL, &parents, &count));
    int64_t *grown = eid_realloc_array(parents, count + 1, sizeof *grown);
    if (grown == NULL) {
        eid_free(parents);
        return eid_fail_memory();
    }
    grown[count] = parent;
    eid_numbers_encode(grown, count + 1, (uint8_t *)grown);
    eid_sql_stmt *stmt;
    eid_status status = eid_sql_prepare(storage->index, "UPDATE part SET parents = ? WHERE s = ? AND n = ?", &stmt);
    if (status == EID_OK) {
        eid_sql_bind_blob(stmt, 1, eid_slice_of(grown, (count + 1) * sizeof *grown));
        eid_sql_bind_i64(stmt, 2, store->s);
        eid_sql_bind_i64(stmt, 3, child);
        status = eid_sql_run(stmt);
    }
    eid_free(grown);
    return status;
}

/* Links participants that named this entry as their parent before it was held; *was tells whether there are any. */
static eid_status take_dangling(eid_storage *storage, const eid_tree_store *store, const eid_node *node, bool *was)
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
    return eid_sql_run(stmt);
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
static eid_status join(eid_storage *storage, eid_tree_store *store, const eid_node *node, const int64_t *parents,
                       size_t parent_count, bool has_data)
{
    EID_TRY(insert_part(storage, store, node->n, node->height, parents, parent_count, has_data));
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

eid_status eid_storage_join(eid_storage *storage, eid_tree *tree, const eid_entry *entry, int64_t n, const int64_t *parents,
                            size_t parent_count)
{
    eid_node node = {.n = n, .height = 0, .id = entry->id};
    EID_TRY(rank_of(storage, tree, entry, parents, parent_count, &node.height));
    EID_TRY(join(storage, tree->main, &node, parents, parent_count, true));
    for (size_t i = 0; i < entry->subtree_count; i++) {
        const eid_subtree *subtree = &entry->subtrees[i];
        /* Of several nodes with one name only the first exists for every reader (entry.md section 5). */
        if (eid_entry_subtree(entry, eid_slice_of(subtree->name, subtree->name_len)) == subtree)
            EID_TRY(join_store(storage, tree, entry, subtree, n));
    }
    return EID_OK;
}

static eid_status insert_entry(eid_storage *storage, const eid_tree *tree, const eid_entry *entry, int64_t n)
{
    eid_sql_stmt *stmt;
    int64_t held;
    EID_TRY(eid_storage_find(storage, &entry->id, &held, NULL));
    if (held != 0)
        return eid_fail(EID_ERR_ALREADY_EXISTS, "The entry is held already");
    EID_TRY(eid_sql_prepare(storage->journal, "INSERT INTO entry (n, d, h, bytes) VALUES (?, ?, ?, ?)", &stmt));
    eid_sql_bind_i64(stmt, 1, n);
    eid_sql_bind_i64(stmt, 2, tree->d);
    eid_sql_bind_i64(stmt, 3, eid_id_prefix(&entry->id));
    eid_sql_bind_blob(stmt, 4, eid_slice_of(entry->cbor, entry->cbor_len));
    EID_TRY(eid_sql_run(stmt));
    return eid_storage_add_id(storage, &entry->id, n);
}

eid_status eid_storage_admit(eid_storage *storage, eid_tree *tree, const eid_entry *entry, const int64_t *parents,
                             size_t parent_count, int64_t *n)
{
    int64_t next = storage->next_n;
    EID_TRY(insert_entry(storage, tree, entry, next));
    EID_TRY(eid_storage_join(storage, tree, entry, next, parents, parent_count));
    eid_storage_remember(storage, &entry->id, next, tree->d);
    storage->next_n++;
    storage->admitted_n = next;
    *n = next;
    return EID_OK;
}

/* Walks rely on numbers that fall, or at least on numbers of participants: in a damaged file they could run for ever, or
 * leave their bounds. */
static eid_status decode_parents(const eid_tree_store *store, int64_t n, eid_slice packed, int64_t *out)
{
    eid_numbers_decode(packed, out);
    bool right = packed.len % sizeof(int64_t) == 0;
    for (size_t i = 0; i < packed.len / sizeof(int64_t) && right; i++)
        right = out[i] > 0 && out[i] != n && out[i] <= store->newest && (out[i] < n || store->has_dangling);
    return right ? EID_OK : eid_fail(EID_ERR_CORRUPT, "The parents of entry number %lld in the data file are damaged", (long long)n);
}

eid_status eid_storage_each_participation(eid_storage *storage, const eid_tree_store *store, int64_t after, int64_t up_to,
                                          eid_participation_callback callback, void *ctx)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(storage->index,
                            "SELECT n, height, parents, has_data FROM part WHERE s = ? AND n > ? AND n <= ? ORDER BY n",
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
        size_t count = packed.len / sizeof(int64_t);
        if (count > capacity) {
            int64_t *grown = eid_realloc_array(parents, count, sizeof *grown);
            if (grown == NULL) {
                eid_sql_reset(stmt);
                status = eid_fail_memory();
                break;
            }
            parents = grown;
            capacity = count;
        }
        status = decode_parents(store, eid_sql_i64(stmt, 0), packed, parents);
        if (status != EID_OK) {
            eid_sql_reset(stmt);
            break;
        }
        eid_participation part = {.n = eid_sql_i64(stmt, 0),
                                  .height = (uint64_t)eid_sql_i64(stmt, 1),
                                  .parents = parents,
                                  .parent_count = count,
                                  .has_data = eid_sql_i64(stmt, 3) != 0};
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
        int64_t *copy = eid_memdup(packed.data, packed.len);
        if (copy == NULL) {
            status = eid_fail_memory();
        } else {
            status = decode_parents(store, n, packed, copy);
        }
        if (status == EID_OK) {
            *parents = copy;
            *parent_count = packed.len / sizeof(int64_t);
        } else {
            eid_free(copy);
        }
    }
    if (status == EID_OK && height != NULL)
        *height = (uint64_t)eid_sql_i64(stmt, 0);
    eid_sql_reset(stmt);
    return status;
}
