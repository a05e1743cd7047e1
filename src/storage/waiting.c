/* SPDX-License-Identifier: Apache-2.0 */
/* Who waits for what, across databases: an entry signed by delegation may wait for an entry of another one. */
#include "storage/storage_int.h"

#include "codec/cid.h"

static eid_status add_row(eid_sql_stmt *stmt, eid_buf *out)
{
    eid_waiting waiting;
    EID_TRY(eid_id_from_binary(eid_sql_bytes(stmt, 0), &waiting.database));
    EID_TRY(eid_id_from_binary(eid_sql_bytes(stmt, 1), &waiting.missing));
    eid_buf_append(out, &waiting, sizeof waiting);
    return eid_buf_status(out);
}

static eid_status collect(eid_sql_stmt *stmt, eid_buf *out)
{
    for (;;) {
        bool row;
        EID_TRY(eid_sql_step(stmt, &row));
        if (!row)
            return EID_OK;
        eid_status status = add_row(stmt, out);
        if (status != EID_OK) {
            eid_sql_reset(stmt);
            return status;
        }
    }
}

eid_status eid_storage_waiting(eid_storage *storage, eid_buf *out)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(storage->journal,
                            "SELECT DISTINCT tree.root, quarantine.missing FROM quarantine JOIN tree ON tree.d = quarantine.d",
                            &stmt));
    return collect(stmt, out);
}

/* The quarantine is ordered by database: each one is asked for, the others of it are stepped over. */
static eid_status next_database(eid_storage *storage, int64_t after, int64_t *d)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(storage->journal, "SELECT d FROM quarantine WHERE d > ? ORDER BY d LIMIT 1", &stmt));
    eid_sql_bind_i64(stmt, 1, after);
    return eid_sql_fetch_i64(stmt, d);
}

eid_status eid_storage_waiting_elsewhere(eid_storage *storage, const eid_tree *tree, const eid_id *arrived, eid_buf *out)
{
    int64_t d = 0;
    for (;;) {
        eid_sql_stmt *stmt;
        EID_TRY(next_database(storage, d, &d));
        if (d == 0)
            return EID_OK;
        if (d == tree->d)
            continue;
        EID_TRY(eid_sql_prepare(storage->journal,
                                "SELECT tree.root, quarantine.missing FROM quarantine JOIN tree ON tree.d = quarantine.d"
                                " WHERE quarantine.d = ? AND quarantine.missing = ? LIMIT 1",
                                &stmt));
        eid_sql_bind_i64(stmt, 1, d);
        eid_sql_bind_blob(stmt, 2, eid_id_slice(arrived));
        EID_TRY(collect(stmt, out));
    }
}
