/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the storage, its schema, its transactions, and the instance metadata. */
#include "storage/storage_int.h"

#include "base/alloc.h"

#define SCHEMA_VERSION 1

/* One statement a table. Integers n (entries), d (trees) and s (stores) are numbers of this file only; IDs are binary CIDs.
 * The same texts are meant to serve PostgreSQL, so types are spelled for both. */
static const char SCHEMA[] =
    "CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID;"
    /* Trees (databases). */
    "CREATE TABLE tree (d INTEGER PRIMARY KEY, root BLOB NOT NULL UNIQUE);"
    /* Stores of a tree; the one named '' is the main DAG. tips: n of each tip, 8 bytes little endian. */
    "CREATE TABLE store (s INTEGER PRIMARY KEY, d INTEGER NOT NULL, name TEXT NOT NULL, tips BLOB NOT NULL,"
    " count INTEGER NOT NULL, newest INTEGER NOT NULL, barrier INTEGER NOT NULL, dangling INTEGER NOT NULL,"
    " unreadable INTEGER NOT NULL, UNIQUE (d, name));"
    /* Admitted entries in order of arrival; bytes: canonical DAG-CBOR. */
    "CREATE TABLE entry (n INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, d INTEGER NOT NULL, bytes BLOB NOT NULL);"
    /* Participation of entries in stores. height orders the fold; in the main DAG it is the height made to grow along parents.
     * parents: n of each parent in the store, 8 bytes little endian. */
    "CREATE TABLE part (s INTEGER NOT NULL, n INTEGER NOT NULL, height INTEGER NOT NULL, parents BLOB NOT NULL,"
    " has_data INTEGER NOT NULL, PRIMARY KEY (s, n)) WITHOUT ROWID;"
    "CREATE INDEX part_order ON part (s, height, n);"
    /* Store parents that were named before they were held, and by whom. */
    "CREATE TABLE dangling (s INTEGER NOT NULL, id BLOB NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (s, id, n)) WITHOUT ROWID;"
    /* Merged value of each top-level key: stored JSON form, the place of the last entry that touched it, and the newest. */
    "CREATE TABLE cell (s INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, height INTEGER NOT NULL,"
    " n INTEGER NOT NULL, newest INTEGER NOT NULL, PRIMARY KEY (s, key)) WITHOUT ROWID;"
    /* Places of all other entries that touched a key. */
    "CREATE TABLE touch (s INTEGER NOT NULL, key BLOB NOT NULL, height INTEGER NOT NULL, n INTEGER NOT NULL,"
    " PRIMARY KEY (s, key, height, n)) WITHOUT ROWID;"
    /* Entries that wait for `missing`. */
    "CREATE TABLE quarantine (id BLOB PRIMARY KEY NOT NULL, d INTEGER NOT NULL, missing BLOB NOT NULL, bytes BLOB NOT NULL);"
    "CREATE INDEX quarantine_missing ON quarantine (d, missing);"
    /* Entries judged and found wrong; the oldest are forgotten beyond a bound. */
    "CREATE TABLE refused (k INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, reason INTEGER NOT NULL);";

static eid_status not_ours(void)
{
    return eid_fail(EID_ERR_CORRUPT, "The file is an SQLite database, but not a data file of this library");
}

/* Tables in the file, and columns of the one that tells the version. */
static eid_status count_tables(eid_storage *storage, int64_t *tables, int64_t *meta_columns)
{
    eid_sql_stmt *stmt;
    bool row;
    EID_TRY(eid_sql_prepare(storage->sql,
                            "SELECT COUNT(*), (SELECT COUNT(*) FROM pragma_table_info('meta') WHERE name IN ('key', 'value'))"
                            " FROM sqlite_master",
                            &stmt));
    EID_TRY(eid_sql_step(stmt, &row));
    *tables = row ? eid_sql_i64(stmt, 0) : 0;
    *meta_columns = row ? eid_sql_i64(stmt, 1) : 0;
    eid_sql_reset(stmt);
    return EID_OK;
}

/* A decimal number from 1 on. */
static bool parse_version(eid_slice text, int64_t *version)
{
    if (text.len == 0 || text.len > 18 || text.data[0] == '0')
        return false;
    *version = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        *version = *version * 10 + (text.data[i] - '0');
    }
    return true;
}

/* *version 0: the file is empty. */
static eid_status read_schema_version(eid_storage *storage, int64_t *version)
{
    int64_t tables, meta_columns;
    EID_TRY(count_tables(storage, &tables, &meta_columns));
    *version = 0;
    if (tables == 0)
        return EID_OK;
    if (meta_columns != 2)
        return not_ours();
    eid_buf text;
    eid_buf_init(&text, 32);
    eid_status status = eid_storage_meta_get(storage, "schema_version", &text);
    if (status == EID_ERR_NOT_FOUND || status == EID_ERR_LIMIT)
        status = not_ours();
    else if (status == EID_OK && !parse_version(eid_buf_slice(&text), version))
        status = not_ours();
    eid_buf_free(&text);
    return status;
}

static eid_status open_schema(eid_storage *storage)
{
    int64_t version = 0;
    EID_TRY(read_schema_version(storage, &version));
    if (version == SCHEMA_VERSION)
        return EID_OK;
    if (version != 0)
        return eid_fail(EID_ERR_SCHEMA_VERSION,
                        "The data file has format %lld, this library knows %d; open it with a newer library",
                        (long long)version, SCHEMA_VERSION);
    EID_TRY(eid_storage_begin(storage));
    eid_status status = eid_sql_exec(storage->sql, SCHEMA);
    if (status == EID_OK)
        status = eid_storage_meta_set(storage, "schema_version", eid_slice_text("1"));
    if (status != EID_OK) {
        eid_storage_rollback(storage);
        return status;
    }
    return eid_storage_commit(storage);
}

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
        status = open_schema(storage);
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
