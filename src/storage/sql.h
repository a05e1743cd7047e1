/* SPDX-License-Identifier: Apache-2.0 */
/* The driver seam: the few things the storage needs from an SQL engine.
 *
 * One connection, one thread at a time (the storage's lock sees to it). Statement texts are static and use `?` for
 * parameters; a statement is prepared once and lives as long as the connection. Only SQLite is behind the seam today; the
 * dialect used is kept to what PostgreSQL has too.
 */
#ifndef EID_STORAGE_SQL_H
#define EID_STORAGE_SQL_H

#include "base/slice.h"
#include "base/status.h"

typedef struct eid_sql eid_sql;
typedef struct eid_sql_stmt eid_sql_stmt;

typedef struct eid_sql_options {
    bool must_exist;  /* EID_ERR_NOT_INITIALIZED when there is no file yet */
    bool full_sync;   /* every commit reaches the disk before it returns */
    unsigned cache_kib; /* most memory for pages of the file; 0: a little */
} eid_sql_options;

/* `path` is a file name or ":memory:". EID_ERR_BUSY when another process holds the file, EID_ERR_READ_ONLY, EID_ERR_CORRUPT
 * when it is not a data file. A new file gets mode 0600. */
eid_status eid_sql_open(const char *path, const eid_sql_options *options, eid_sql **out);
void eid_sql_close(eid_sql *sql); /* NULL is allowed; every statement goes with it */

eid_status eid_sql_exec(eid_sql *sql, const char *text); /* one or more statements without parameters */
eid_status eid_sql_begin(eid_sql *sql);
eid_status eid_sql_commit(eid_sql *sql); /* on failure the transaction is rolled back */
void eid_sql_rollback(eid_sql *sql);
eid_status eid_sql_checkpoint(eid_sql *sql); /* everything committed is on the disk when it returns */
/* Moves the write-ahead log into the file, without waiting for anybody: what was committed is on the disk then. */
eid_status eid_sql_move_log(eid_sql *sql);
/* COMMIT that, when it fails, leaves the transaction open where the engine does. */
eid_status eid_sql_try_commit(eid_sql *sql);
bool eid_sql_in_transaction(const eid_sql *sql); /* false also when the engine has rolled back by itself after a failure */
bool eid_sql_is_damaged(const eid_sql *sql);     /* the engine has called the file damaged since it was opened */

/* Finds the statement of this text (by address) or prepares it. Lent. */
eid_status eid_sql_prepare(eid_sql *sql, const char *text, eid_sql_stmt **out);

/* Parameters count from 1. Bound bytes must live until the statement is reset. Failures show at the next step. */
void eid_sql_bind_i64(eid_sql_stmt *stmt, int index, int64_t value);
void eid_sql_bind_blob(eid_sql_stmt *stmt, int index, eid_slice value);
void eid_sql_bind_text(eid_sql_stmt *stmt, int index, eid_slice value);

/* Runs to the next row. *row false: done, and the statement is reset. */
eid_status eid_sql_step(eid_sql_stmt *stmt, bool *row);
/* Runs a statement that gives no rows, and resets it. */
eid_status eid_sql_run(eid_sql_stmt *stmt);
void eid_sql_reset(eid_sql_stmt *stmt);
/* Runs a statement for one number: the first column of its first row, 0 when there is none or it is NULL; resets it. */
eid_status eid_sql_fetch_i64(eid_sql_stmt *stmt, int64_t *out);
/* The same for a statement without parameters. */
eid_status eid_sql_number(eid_sql *sql, const char *text, int64_t *out);
int64_t eid_sql_changes(eid_sql *sql); /* rows changed by the last statement run */
int64_t eid_sql_total_changes(eid_sql *sql); /* rows changed since the file was opened */

int64_t eid_sql_i64(eid_sql_stmt *stmt, int column); /* columns count from 0 */
eid_slice eid_sql_bytes(eid_sql_stmt *stmt, int column); /* blob or text, lent until the next step or reset */
bool eid_sql_is_null(eid_sql_stmt *stmt, int column);

/* ---- Care of the file ---- */

/* Writes the file anew without gaps. No transaction may be open. */
eid_status eid_sql_compact(eid_sql *sql);

/* Copies everything, page by page, into an existing empty file, while this connection goes on: what it writes meanwhile is
 * in the copy too. Each call holds the caller's lock; between the calls it need not be held. */
typedef struct eid_sql_backup eid_sql_backup;
eid_status eid_sql_backup_begin(eid_sql *sql, const char *path, eid_sql_backup **out);
/* Copies the next pages. *done and *total are in bytes. */
eid_status eid_sql_backup_step(eid_sql_backup *backup, bool *finished, uint64_t *done, uint64_t *total);
/* Ends it; a copy that was finished is on the disk when this returns. NULL is allowed. */
eid_status eid_sql_backup_end(eid_sql_backup *backup);

/* For fault tests: the n-th call from now on that touches the engine fails with EID_ERR_STORAGE; 0 switches it off. Connections
 * that were joined count together. */
void eid_sql_join_faults(eid_sql *sql, eid_sql *with); /* `with` must live as long */
void eid_sql_fail_after(eid_sql *sql, uint64_t calls);
uint64_t eid_sql_calls_left(const eid_sql *sql); /* of those; for tests that count calls */

#endif
