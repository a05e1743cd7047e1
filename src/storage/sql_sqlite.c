/* SPDX-License-Identifier: Apache-2.0 */
/* The SQLite side of the driver seam.
 *
 * One process owns a data file: the connection runs in exclusive locking mode, which keeps the WAL index in process memory
 * and makes a read cost no lock calls. A second process gets EID_ERR_BUSY at once.
 */
#include "storage/sql.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

/* Statement texts are static strings, found again by address. All layers together have about 110. */
#define STATEMENT_SLOTS 256u

/* Pages in the WAL before it is moved into the file: 32 MiB keeps the syncs of NORMAL durability rare. */
#define CHECKPOINT_PAGES "8192"

#define LITTLE_CACHE_KIB 2048u

struct eid_sql_stmt {
    sqlite3_stmt *handle;
    const char *text;  /* the key; NULL for a free slot */
    eid_sql *sql;
    bool bind_failed;  /* a bind was refused; the next step says so */
};

struct eid_sql {
    sqlite3 *handle;
    char *path;
    uint64_t own_fail_after;
    uint64_t *fail_after; /* fault tests; 0 is off */
    bool damaged;
    eid_sql_stmt statements[STATEMENT_SLOTS];
};

static eid_status failure(eid_sql *sql, int code)
{
    const char *text = sql->handle != NULL ? sqlite3_errmsg(sql->handle) : sqlite3_errstr(code);
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return eid_fail(EID_ERR_BUSY, "The data file %s is in use by another process; stop it or use another file", sql->path);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return eid_fail(EID_ERR_READ_ONLY, "The data file %s can not be written: %s", sql->path, text);
    case SQLITE_CANTOPEN:
        return eid_fail(EID_ERR_READ_ONLY, "The data file %s can not be opened: %s; check the folder and its permissions",
                        sql->path, text);
    case SQLITE_NOTADB:
        sql->damaged = true;
        return eid_fail(EID_ERR_CORRUPT, "%s is not a data file of this library", sql->path);
    case SQLITE_CORRUPT:
        sql->damaged = true;
        return eid_fail(EID_ERR_CORRUPT, "The data file %s is damaged: %s", sql->path, text);
    case SQLITE_FULL:
        return eid_fail(EID_ERR_DISK_FULL, "The disk of %s is full; nothing was written", sql->path);
    case SQLITE_IOERR:
        return eid_fail(EID_ERR_IO, "Reading or writing %s failed: %s", sql->path, text);
    case SQLITE_NOMEM:
        return eid_fail_memory();
    case SQLITE_TOOBIG:
        return eid_fail(EID_ERR_LIMIT, "A value is too large for the data file");
    default:
        return eid_fail(EID_ERR_STORAGE, "The database engine reported: %s", text);
    }
}

/* Counts down the calls of a fault test. */
static bool fault(eid_sql *sql)
{
    if (*sql->fail_after == 0)
        return false;
    (*sql->fail_after)--;
    return *sql->fail_after == 0;
}

static eid_status injected(void)
{
    return eid_fail(EID_ERR_STORAGE, "The database engine failed (injected fault)");
}

/* Makes the file with mode 0600 before SQLite would make it with the process's mask. A file that is there already is not
 * opened: closing any descriptor of it would drop the lock that another connection of this process may hold on it. */
static eid_status create_file(const char *path, bool must_exist)
{
    if (must_exist) {
        if (access(path, F_OK) != 0)
            return eid_fail(EID_ERR_NOT_INITIALIZED, "There is no data file %s", path);
        return EID_OK;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    else if (errno != EEXIST)
        return eid_fail(EID_ERR_READ_ONLY, "The data file %s can not be made: %s", path, strerror(errno));
    return EID_OK;
}

static eid_status configure(eid_sql *sql, bool in_memory, const eid_sql_options *options)
{
    char cache[40];
    /* Whenever SQLite splits a page and puts the pieces in order, the next commit walks the hash table of cached pages. In
     * memory every page is cached, so there larger pages pay; in a file they would only make the WAL larger. */
    if (in_memory)
        EID_TRY(eid_sql_exec(sql, "PRAGMA page_size=8192;"));
    EID_TRY(eid_sql_exec(sql, "PRAGMA locking_mode=EXCLUSIVE;"
                              "PRAGMA journal_mode=WAL;"
                              "PRAGMA wal_autocheckpoint=" CHECKPOINT_PAGES ";"
                              "PRAGMA secure_delete=ON;" /* a key that was removed is gone from the file, however SQLite was built */
                              "PRAGMA temp_store=MEMORY;"
                              "PRAGMA trusted_schema=OFF;"
                              "PRAGMA foreign_keys=OFF;"));
    snprintf(cache, sizeof cache, "PRAGMA cache_size=-%u;", options->cache_kib == 0 ? LITTLE_CACHE_KIB : options->cache_kib);
    EID_TRY(eid_sql_exec(sql, cache));
    EID_TRY(eid_sql_exec(sql, options->full_sync ? "PRAGMA synchronous=FULL;" : "PRAGMA synchronous=NORMAL;"));
    /* Takes the exclusive lock now, so that a second owner fails here and not at its first write. */
    return eid_sql_exec(sql, "BEGIN IMMEDIATE; COMMIT;");
}

eid_status eid_sql_open(const char *path, const eid_sql_options *options, eid_sql **out)
{
    bool in_memory = strcmp(path, ":memory:") == 0;
    if (!in_memory)
        EID_TRY(create_file(path, options->must_exist));
    eid_sql *sql = eid_alloc_zero(1, sizeof *sql);
    if (sql == NULL)
        return eid_fail_memory();
    sql->fail_after = &sql->own_fail_after;
    sql->path = eid_strdup(path);
    if (sql->path == NULL) {
        eid_free(sql);
        return eid_fail_memory();
    }
    int code = sqlite3_open_v2(path, &sql->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
    eid_status status = EID_OK;
    if (code != SQLITE_OK) {
        status = failure(sql, code);
    } else if (sqlite3_db_readonly(sql->handle, "main") == 1) {
        /* SQLite has fallen back to reading; it would fail later with an I/O error that explains nothing. */
        status = eid_fail(EID_ERR_READ_ONLY, "The data file %s can not be written: check its permissions", path);
    } else {
        sqlite3_extended_result_codes(sql->handle, 1);
        sqlite3_busy_timeout(sql->handle, 500);
        status = configure(sql, in_memory, options);
    }
    if (status != EID_OK) {
        eid_sql_close(sql);
        return status;
    }
    *out = sql;
    return EID_OK;
}

void eid_sql_close(eid_sql *sql)
{
    if (sql == NULL)
        return;
    for (size_t i = 0; i < STATEMENT_SLOTS; i++)
        sqlite3_finalize(sql->statements[i].handle);
    sqlite3_close(sql->handle);
    eid_free(sql->path);
    eid_free(sql);
}

eid_status eid_sql_exec(eid_sql *sql, const char *text)
{
    if (fault(sql))
        return injected();
    int code = sqlite3_exec(sql->handle, text, NULL, NULL, NULL);
    return code == SQLITE_OK ? EID_OK : failure(sql, code);
}

static eid_status run_text(eid_sql *sql, const char *text)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(sql, text, &stmt));
    return eid_sql_run(stmt);
}

eid_status eid_sql_begin(eid_sql *sql)
{
    return run_text(sql, "BEGIN IMMEDIATE");
}

eid_status eid_sql_commit(eid_sql *sql)
{
    eid_status status = run_text(sql, "COMMIT");
    if (status != EID_OK)
        eid_sql_rollback(sql);
    return status;
}

eid_status eid_sql_try_commit(eid_sql *sql)
{
    return run_text(sql, "COMMIT");
}

bool eid_sql_in_transaction(const eid_sql *sql)
{
    return sqlite3_get_autocommit(sql->handle) == 0;
}

bool eid_sql_is_damaged(const eid_sql *sql)
{
    return sql->damaged;
}

void eid_sql_rollback(eid_sql *sql)
{
    /* Some failures (disk full, memory) have rolled back already. */
    if (eid_sql_in_transaction(sql))
        sqlite3_exec(sql->handle, "ROLLBACK", NULL, NULL, NULL);
}

static eid_status checkpoint(eid_sql *sql, int mode)
{
    if (fault(sql))
        return injected();
    int code = sqlite3_wal_checkpoint_v2(sql->handle, NULL, mode, NULL, NULL);
    return code == SQLITE_OK ? EID_OK : failure(sql, code);
}

eid_status eid_sql_checkpoint(eid_sql *sql)
{
    return checkpoint(sql, SQLITE_CHECKPOINT_TRUNCATE);
}

eid_status eid_sql_move_log(eid_sql *sql)
{
    return checkpoint(sql, SQLITE_CHECKPOINT_PASSIVE);
}

eid_status eid_sql_prepare(eid_sql *sql, const char *text, eid_sql_stmt **out)
{
    size_t slot = ((uintptr_t)text >> 3) * 0x9E3779B1u % STATEMENT_SLOTS;
    for (size_t probes = 0; probes < STATEMENT_SLOTS; probes++) {
        eid_sql_stmt *stmt = &sql->statements[slot];
        if (stmt->text == text) {
            *out = stmt;
            return EID_OK;
        }
        if (stmt->text == NULL) {
            if (fault(sql))
                return injected();
            int code = sqlite3_prepare_v3(sql->handle, text, -1, SQLITE_PREPARE_PERSISTENT, &stmt->handle, NULL);
            if (code != SQLITE_OK)
                return failure(sql, code);
            stmt->text = text;
            stmt->sql = sql;
            *out = stmt;
            return EID_OK;
        }
        slot = (slot + 1) % STATEMENT_SLOTS;
    }
    return eid_fail(EID_ERR_INTERNAL, "Too many different SQL statements");
}

void eid_sql_bind_i64(eid_sql_stmt *stmt, int index, int64_t value)
{
    if (sqlite3_bind_int64(stmt->handle, index, value) != SQLITE_OK)
        stmt->bind_failed = true;
}

void eid_sql_bind_blob(eid_sql_stmt *stmt, int index, eid_slice value)
{
    /* A NULL pointer would bind NULL instead of an empty blob. */
    const void *data = value.len == 0 ? "" : (const void *)value.data;
    if (sqlite3_bind_blob64(stmt->handle, index, data, value.len, SQLITE_STATIC) != SQLITE_OK)
        stmt->bind_failed = true;
}

void eid_sql_bind_text(eid_sql_stmt *stmt, int index, eid_slice value)
{
    const char *data = value.len == 0 ? "" : (const char *)value.data;
    if (sqlite3_bind_text64(stmt->handle, index, data, value.len, SQLITE_STATIC, SQLITE_UTF8) != SQLITE_OK)
        stmt->bind_failed = true;
}

eid_status eid_sql_step(eid_sql_stmt *stmt, bool *row)
{
    eid_sql *sql = stmt->sql;
    if (fault(sql)) {
        eid_sql_reset(stmt);
        return injected();
    }
    if (stmt->bind_failed) {
        eid_sql_reset(stmt);
        return eid_fail(EID_ERR_LIMIT, "A value is too large for the data file");
    }
    int code = sqlite3_step(stmt->handle);
    if (code == SQLITE_ROW) {
        *row = true;
        return EID_OK;
    }
    if (code == SQLITE_DONE) {
        *row = false;
        eid_sql_reset(stmt);
        return EID_OK;
    }
    eid_status status = failure(sql, code);
    eid_sql_reset(stmt);
    return status;
}

eid_status eid_sql_run(eid_sql_stmt *stmt)
{
    bool row = false;
    EID_TRY(eid_sql_step(stmt, &row));
    if (row)
        eid_sql_reset(stmt);
    return EID_OK;
}

void eid_sql_reset(eid_sql_stmt *stmt)
{
    sqlite3_reset(stmt->handle);
    stmt->bind_failed = false;
}

int64_t eid_sql_changes(eid_sql *sql)
{
    return sqlite3_changes64(sql->handle);
}

int64_t eid_sql_total_changes(eid_sql *sql)
{
    return sqlite3_total_changes64(sql->handle);
}

int64_t eid_sql_i64(eid_sql_stmt *stmt, int column)
{
    return sqlite3_column_int64(stmt->handle, column);
}

eid_slice eid_sql_bytes(eid_sql_stmt *stmt, int column)
{
    const void *data = sqlite3_column_blob(stmt->handle, column);
    int len = sqlite3_column_bytes(stmt->handle, column);
    return eid_slice_of(data, data == NULL ? 0 : (size_t)len);
}

bool eid_sql_is_null(eid_sql_stmt *stmt, int column)
{
    return sqlite3_column_type(stmt->handle, column) == SQLITE_NULL;
}

/* ---- Care of the file ---- */

eid_status eid_sql_compact(eid_sql *sql)
{
    /* The new file is first written beside the old one; that must not happen in memory. */
    EID_TRY(eid_sql_exec(sql, "PRAGMA temp_store=FILE;"));
    eid_status status = eid_sql_exec(sql, "VACUUM;");
    if (status == EID_OK)
        status = eid_sql_checkpoint(sql);
    if (sqlite3_exec(sql->handle, "PRAGMA temp_store=MEMORY;", NULL, NULL, NULL) != SQLITE_OK && status == EID_OK)
        status = failure(sql, sqlite3_errcode(sql->handle));
    return status;
}

/* Small enough that a writer does not notice, large enough that a reader of the disk does not either: 4 MiB. */
#define BACKUP_PAGES 1024

struct eid_sql_backup {
    eid_sql *source;
    eid_sql target; /* only its handle and path are used */
    sqlite3_backup *backup;
    int64_t page_bytes;
};

eid_status eid_sql_backup_begin(eid_sql *sql, const char *path, eid_sql_backup **out)
{
    eid_sql_backup *backup = eid_alloc_zero(1, sizeof *backup);
    if (backup == NULL)
        return eid_fail_memory();
    backup->source = sql;
    backup->target.path = eid_strdup(path);
    eid_status status = backup->target.path == NULL ? eid_fail_memory() : EID_OK;
    if (status == EID_OK)
        status = eid_sql_number(sql, "PRAGMA page_size", &backup->page_bytes);
    if (status == EID_OK && fault(sql))
        status = injected();
    if (status == EID_OK) {
        int code = sqlite3_open_v2(path, &backup->target.handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
        if (code == SQLITE_OK) {
            backup->backup = sqlite3_backup_init(backup->target.handle, "main", sql->handle, "main");
            code = backup->backup == NULL ? sqlite3_errcode(backup->target.handle) : SQLITE_OK;
        }
        status = code == SQLITE_OK ? EID_OK : failure(&backup->target, code);
    }
    if (status != EID_OK) {
        eid_sql_backup_end(backup);
        return status;
    }
    *out = backup;
    return EID_OK;
}

eid_status eid_sql_backup_step(eid_sql_backup *backup, bool *finished, uint64_t *done, uint64_t *total)
{
    if (fault(backup->source))
        return injected();
    int code = sqlite3_backup_step(backup->backup, BACKUP_PAGES);
    if (code != SQLITE_OK && code != SQLITE_DONE)
        return failure(&backup->target, code);
    uint64_t pages = (uint64_t)sqlite3_backup_pagecount(backup->backup);
    *finished = code == SQLITE_DONE;
    *total = pages * (uint64_t)backup->page_bytes;
    *done = (pages - (uint64_t)sqlite3_backup_remaining(backup->backup)) * (uint64_t)backup->page_bytes;
    return EID_OK;
}

eid_status eid_sql_backup_end(eid_sql_backup *backup)
{
    if (backup == NULL)
        return EID_OK;
    eid_status status = EID_OK;
    int code = backup->backup == NULL ? SQLITE_OK : sqlite3_backup_finish(backup->backup);
    if (code != SQLITE_OK)
        status = failure(&backup->target, code);
    sqlite3_close(backup->target.handle);
    eid_free(backup->target.path);
    eid_free(backup);
    return status;
}

/* ---- Fault tests ---- */

void eid_sql_join_faults(eid_sql *sql, eid_sql *with)
{
    sql->fail_after = with->fail_after;
}

void eid_sql_fail_after(eid_sql *sql, uint64_t calls)
{
    *sql->fail_after = calls;
}

uint64_t eid_sql_calls_left(const eid_sql *sql)
{
    return *sql->fail_after;
}
