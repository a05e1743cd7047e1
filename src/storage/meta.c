/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata: the journal's, which are records of the instance beside the databases (not signed, without history, they never
 * travel), and what the index says of itself. */
#include "storage/storage_int.h"

eid_status eid_meta_read(eid_sql *sql, const char *key, bool *found, eid_buf *out)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(sql, "SELECT value FROM meta WHERE key = ?", &stmt));
    eid_sql_bind_text(stmt, 1, eid_slice_text(key));
    EID_TRY(eid_sql_step(stmt, found));
    if (!*found)
        return EID_OK;
    eid_buf_append_slice(out, eid_sql_bytes(stmt, 0));
    eid_sql_reset(stmt);
    return eid_buf_status(out);
}

eid_status eid_meta_write(eid_sql *sql, const char *key, eid_slice value)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(sql,
                            "INSERT INTO meta (key, value) VALUES (?, ?)"
                            " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                            &stmt));
    eid_sql_bind_text(stmt, 1, eid_slice_text(key));
    eid_sql_bind_blob(stmt, 2, value);
    return eid_sql_run(stmt);
}

eid_status eid_storage_meta_find(eid_storage *storage, const char *key, bool *found, eid_buf *out)
{
    return eid_meta_read(storage->journal, key, found, out);
}

eid_status eid_storage_meta_get(eid_storage *storage, const char *key, eid_buf *out)
{
    bool found;
    EID_TRY(eid_meta_read(storage->journal, key, &found, out));
    return found ? EID_OK : eid_fail(EID_ERR_NOT_FOUND, "The data file has no \"%s\"", key);
}

eid_status eid_storage_meta_set(eid_storage *storage, const char *key, eid_slice value)
{
    return eid_meta_write(storage->journal, key, value);
}

eid_status eid_storage_meta_load(eid_storage *storage, const char *key, eid_buf *out)
{
    eid_storage_lock(storage);
    eid_status status = eid_storage_meta_get(storage, key, out);
    eid_storage_unlock(storage);
    return status;
}

static eid_status set_all(eid_storage *storage, const eid_meta_value *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        EID_TRY(eid_storage_meta_set(storage, values[i].key, values[i].value));
    return EID_OK;
}

eid_status eid_storage_meta_store(eid_storage *storage, const eid_meta_value *values, size_t count)
{
    eid_storage_lock(storage);
    eid_status status = eid_storage_begin(storage);
    if (status == EID_OK) {
        status = set_all(storage, values, count);
        if (status == EID_OK)
            status = eid_storage_commit(storage);
        else
            eid_storage_rollback(storage);
    }
    eid_storage_unlock(storage);
    return status;
}
