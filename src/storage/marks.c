/* SPDX-License-Identifier: Apache-2.0 */
/* Which entries count: the mark in the participation rows. Who sets it is the database layer. */
#include "storage/storage_int.h"

static eid_status mark_part(eid_storage *storage, const eid_tree_store *store, int64_t n, bool counts)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(storage->index,
                            counts ? "UPDATE part SET flags = flags | 1 WHERE s = ? AND n = ?"
                                   : "UPDATE part SET flags = flags & ~1 WHERE s = ? AND n = ?",
                            &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_i64(stmt, 2, n);
    return eid_sql_run(stmt);
}

eid_status eid_storage_mark(eid_storage *storage, eid_tree *tree, const eid_entry *entry, int64_t n, bool counts)
{
    if (n != tree->main->newest) /* nobody has seen the newest yet */
        storage->marks++;
    EID_TRY(mark_part(storage, tree->main, n, counts));
    for (size_t i = 0; i < entry->subtree_count; i++) {
        const eid_subtree *subtree = &entry->subtrees[i];
        eid_slice name = eid_slice_of(subtree->name, subtree->name_len);
        eid_tree_store *store;
        if (!subtree->has_data || eid_entry_subtree(entry, name) != subtree)
            continue;
        EID_TRY(eid_storage_store(storage, tree, name, &store));
        EID_TRY(mark_part(storage, store, n, counts));
    }
    return EID_OK;
}

eid_status eid_storage_has_data(eid_storage *storage, const eid_tree_store *store, int64_t n, bool *out)
{
    eid_sql_stmt *stmt;
    bool row;
    EID_TRY(eid_sql_prepare(storage->index, "SELECT flags FROM part WHERE s = ? AND n = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_i64(stmt, 2, n);
    EID_TRY(eid_sql_step(stmt, &row));
    if (!row)
        return eid_fail(EID_ERR_NOT_FOUND, "Entry number %lld does not take part in the store", (long long)n);
    *out = (eid_sql_i64(stmt, 0) & 1) != 0;
    eid_sql_reset(stmt);
    return EID_OK;
}

eid_status eid_storage_counts(eid_storage *storage, const eid_tree *tree, int64_t n, bool *out)
{
    return eid_storage_has_data(storage, tree->main, n, out);
}

uint64_t eid_storage_marks(const eid_storage *storage)
{
    return storage->marks;
}
