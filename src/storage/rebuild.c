/* SPDX-License-Identifier: Apache-2.0 */
/* Shadows: the computed rows of a tree made once more from its entries.
 *
 * A shadow is an eid_tree like any other, except that no row of `tree` names its number, so nobody else finds it. Its stores
 * get the next free numbers, so its rows stand in the same tables beside the old ones, and the code that admits and folds
 * entries fills them.
 */
#include "storage/storage_int.h"

#include "base/alloc.h"

eid_status eid_storage_shadow_new(eid_storage *storage, const eid_id *root, int64_t d, eid_tree **out)
{
    eid_tree *shadow = eid_alloc_zero(1, sizeof *shadow);
    if (shadow == NULL)
        return eid_fail_memory();
    shadow->root = *root;
    shadow->d = -d;
    eid_status status = eid_map_new(&shadow->stores);
    if (status == EID_OK)
        status = eid_storage_store_make(storage, shadow, eid_slice_text(""), &shadow->main);
    if (status != EID_OK) {
        eid_storage_shadow_free(storage, shadow);
        return status;
    }
    *out = shadow;
    return EID_OK;
}

void eid_storage_shadow_free(eid_storage *storage, eid_tree *shadow)
{
    if (shadow != NULL)
        eid_tree_free(storage, shadow);
}

eid_status eid_storage_shadow_join(eid_storage *storage, eid_tree *shadow, const eid_entry *entry, int64_t n,
                                   const int64_t *parents, size_t parent_count)
{
    return eid_storage_join(storage, shadow, entry, n, parents, parent_count);
}

eid_status eid_storage_shadow_settle(eid_storage *storage)
{
    return eid_storage_write_dirty(storage);
}

static eid_status run_for_tree(eid_storage *storage, const char *text, int64_t first, int64_t second)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(storage->index, text, &stmt));
    eid_sql_bind_i64(stmt, 1, first);
    if (second != 0)
        eid_sql_bind_i64(stmt, 2, second);
    return eid_sql_run(stmt);
}

eid_status eid_storage_shadow_adopt(eid_storage *storage, const eid_tree *shadow)
{
    static const char *const removals[] = {
        "DELETE FROM part WHERE s IN (SELECT s FROM store WHERE d = ?)",
        "DELETE FROM part_order WHERE s IN (SELECT s FROM store WHERE d = ?)",
        "DELETE FROM bucket WHERE s IN (SELECT s FROM store WHERE d = ?)",
        "DELETE FROM dangling WHERE s IN (SELECT s FROM store WHERE d = ?)",
        "DELETE FROM cell WHERE s IN (SELECT s FROM store WHERE d = ?)",
        "DELETE FROM touch WHERE s IN (SELECT s FROM store WHERE d = ?)",
        "DELETE FROM index_row WHERE s IN (SELECT s FROM store WHERE d = ?)",
        "DELETE FROM index_state WHERE s IN (SELECT s FROM store WHERE d = ?)",
        "DELETE FROM twig WHERE s IN (SELECT s FROM store WHERE d = ?)",
        "DELETE FROM kept WHERE s IN (SELECT s FROM store WHERE d = ?)",
        "DELETE FROM store WHERE d = ?",
    };
    for (size_t i = 0; i < sizeof removals / sizeof *removals; i++)
        EID_TRY(run_for_tree(storage, removals[i], -shadow->d, 0));
    EID_TRY(run_for_tree(storage, "UPDATE store SET d = ? WHERE d = ?", -shadow->d, shadow->d));
    eid_storage_forget(storage);
    return EID_OK;
}
