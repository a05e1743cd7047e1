/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the storage, its transactions, and the instance metadata. */
#include "storage/storage_int.h"

#include "base/alloc.h"

eid_status eid_storage_open(const eid_storage_options *options, eid_storage **out)
{
    eid_storage *storage = eid_alloc_zero(1, sizeof *storage);
    if (storage == NULL)
        return eid_fail_memory();
    pthread_mutex_init(&storage->mutex, NULL);
    eid_sql_options sql_options = {.must_exist = options->must_exist, .full_sync = options->full_sync};
    eid_status status = eid_map_new(&storage->trees);
    if (status == EID_OK)
        status = eid_sql_open(options->path, &sql_options, &storage->sql);
    if (status == EID_OK)
        status = eid_schema_open(storage, &eid_schema_present);
    if (status == EID_OK)
        status = eid_storage_read_counters(storage);
    if (status != EID_OK) {
        eid_storage_close(storage);
        return status;
    }
    *out = storage;
    return EID_OK;
}

void eid_storage_close(eid_storage *storage)
{
    if (storage == NULL)
        return;
    if (storage->trees != NULL) {
        for (eid_map_entry *e = eid_map_first(storage->trees); e != NULL; e = eid_map_next(storage->trees, e))
            eid_tree_free(storage, e->value);
        eid_map_free(storage->trees, NULL);
    }
    eid_free(storage->dirty);
    eid_sql_close(storage->sql);
    pthread_mutex_destroy(&storage->mutex);
    eid_free(storage);
}

eid_sql *eid_storage_sql(eid_storage *storage)
{
    return storage->sql;
}

void eid_storage_set_cache_free(eid_storage *storage, void (*free_cache)(void *cache))
{
    storage->free_cache = free_cache;
}

void eid_storage_lock(eid_storage *storage)
{
    pthread_mutex_lock(&storage->mutex);
}

void eid_storage_unlock(eid_storage *storage)
{
    pthread_mutex_unlock(&storage->mutex);
}

eid_status eid_storage_begin(eid_storage *storage)
{
    EID_TRY(eid_sql_begin(storage->sql));
    storage->in_transaction = true;
    return EID_OK;
}

eid_status eid_storage_commit(eid_storage *storage)
{
    eid_status status = eid_storage_write_dirty(storage);
    if (status == EID_OK)
        status = eid_sql_commit(storage->sql);
    if (status != EID_OK) {
        eid_storage_rollback(storage);
        return status;
    }
    storage->in_transaction = false;
    return EID_OK;
}

void eid_storage_rollback(eid_storage *storage)
{
    eid_sql_rollback(storage->sql);
    storage->in_transaction = false;
    eid_storage_forget(storage);
}

static eid_status read_max(eid_storage *storage, const char *text, int64_t *next)
{
    eid_sql_stmt *stmt;
    bool row;
    EID_TRY(eid_sql_prepare(storage->sql, text, &stmt));
    EID_TRY(eid_sql_step(stmt, &row));
    *next = (row ? eid_sql_i64(stmt, 0) : 0) + 1; /* NULL of an empty table reads as 0 */
    eid_sql_reset(stmt);
    return EID_OK;
}

eid_status eid_storage_read_counters(eid_storage *storage)
{
    EID_TRY(read_max(storage, "SELECT MAX(n) FROM entry", &storage->next_n));
    EID_TRY(read_max(storage, "SELECT MAX(d) FROM tree", &storage->next_d));
    EID_TRY(read_max(storage, "SELECT MAX(s) FROM store", &storage->next_s));
    return read_max(storage, "SELECT MAX(k) FROM refused", &storage->next_refusal);
}

eid_status eid_storage_meta_get(eid_storage *storage, const char *key, eid_buf *out)
{
    eid_sql_stmt *stmt;
    bool row;
    EID_TRY(eid_sql_prepare(storage->sql, "SELECT value FROM meta WHERE key = ?", &stmt));
    eid_sql_bind_text(stmt, 1, eid_slice_text(key));
    EID_TRY(eid_sql_step(stmt, &row));
    if (!row)
        return eid_fail(EID_ERR_NOT_FOUND, "The data file has no \"%s\"", key);
    eid_buf_append_slice(out, eid_sql_bytes(stmt, 0));
    eid_sql_reset(stmt);
    return eid_buf_status(out);
}

eid_status eid_storage_meta_set(eid_storage *storage, const char *key, eid_slice value)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(storage->sql,
                            "INSERT INTO meta (key, value) VALUES (?, ?)"
                            " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                            &stmt));
    eid_sql_bind_text(stmt, 1, eid_slice_text(key));
    eid_sql_bind_blob(stmt, 2, value);
    return eid_sql_run(stmt);
}
