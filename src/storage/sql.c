/* SPDX-License-Identifier: Apache-2.0 */
/* What is the same whichever engine is behind the seam. */
#include "storage/sql.h"

eid_status eid_sql_fetch_i64(eid_sql_stmt *stmt, int64_t *out)
{
    bool row;
    EID_TRY(eid_sql_step(stmt, &row));
    *out = row ? eid_sql_i64(stmt, 0) : 0;
    eid_sql_reset(stmt);
    return EID_OK;
}

eid_status eid_sql_number(eid_sql *sql, const char *text, int64_t *out)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(sql, text, &stmt));
    return eid_sql_fetch_i64(stmt, out);
}
