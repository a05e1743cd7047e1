/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of a data file and of its index, and the way from older formats to the present one.
 *
 * Every change of the data file's tables raises the version by one and adds a step that leads there from the version before. A
 * file is brought up to date when it is opened, step by step, each in one transaction with the new version: an interrupted
 * migration goes on where it was. Files of newer versions are refused.
 */
#include "storage/storage_int.h"

#include <stdio.h>

#include "codec/cid.h"

/* The journal: what can not be computed again. Integers n (entries) and d (trees) are numbers of this file only; IDs are binary
 * CIDs. The same texts are meant to serve PostgreSQL, so types are spelled for both. */
static const char JOURNAL[] =
    "CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID;"
    /* Trees (databases). */
    "CREATE TABLE tree (d INTEGER PRIMARY KEY, root BLOB NOT NULL UNIQUE);"
    /* Admitted entries in order of arrival; bytes: canonical DAG-CBOR, of which the ID is the hash; h: the first 8 bytes of the
     * hash as a number, by which damage is seen. */
    "CREATE TABLE entry (n INTEGER PRIMARY KEY, d INTEGER NOT NULL, h INTEGER NOT NULL, bytes BLOB NOT NULL);"
    /* Entries that wait for `missing`. */
    "CREATE TABLE quarantine (id BLOB PRIMARY KEY NOT NULL, d INTEGER NOT NULL, missing BLOB NOT NULL, bytes BLOB NOT NULL);"
    "CREATE INDEX quarantine_missing ON quarantine (d, missing);"
    /* Entries judged and found wrong; the oldest are forgotten beyond a bound. */
    "CREATE TABLE refused (k INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, reason INTEGER NOT NULL);";

/* The index: what follows from the entries. It is never brought up to date but made anew, so a change of these tables needs no
 * step, only another EID_INDEX_VERSION. Integers s (stores) are numbers of this file only. */
const char eid_index_schema[] =
    "CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID;"
    /* Entries by the first 8 bytes of their hash, as in the journal. Hashes have no order, so each would change another page:
     * they are collected in a small table, and sorted into the large one many at a time. */
    "CREATE TABLE fresh_id (h INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (h, n)) WITHOUT ROWID;"
    "CREATE TABLE old_id (h INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (h, n)) WITHOUT ROWID;"
    "CREATE VIEW entry_id AS SELECT h, n FROM fresh_id UNION ALL SELECT h, n FROM old_id;"
    /* Stores of a tree; the one named '' is the main DAG. tips: n of each tip, 8 bytes little endian. */
    "CREATE TABLE store (s INTEGER PRIMARY KEY, d INTEGER NOT NULL, name TEXT NOT NULL, tips BLOB NOT NULL,"
    " count INTEGER NOT NULL, newest INTEGER NOT NULL, barrier INTEGER NOT NULL, dangling INTEGER NOT NULL,"
    " unreadable INTEGER NOT NULL, top INTEGER NOT NULL, UNIQUE (d, name));"
    /* Participation of entries in stores. height orders the fold; in the main DAG it is the height made to grow along parents.
     * parents: the distance back to each, ascending by parent, see part.c. flags: 1 has a payload, 2 lower than an earlier one. */
    "CREATE TABLE part (s INTEGER NOT NULL, n INTEGER NOT NULL, height INTEGER NOT NULL, parents BLOB NOT NULL,"
    " flags INTEGER NOT NULL, PRIMARY KEY (s, n)) WITHOUT ROWID;"
    /* Places by height: of those lower than an earlier one (late 1) all, of the others one in many. */
    "CREATE TABLE part_order (s INTEGER NOT NULL, late INTEGER NOT NULL, height INTEGER NOT NULL, n INTEGER NOT NULL,"
    " PRIMARY KEY (s, late, height, n)) WITHOUT ROWID;"
    /* Entries of a tree (s: its main DAG) by the first 12 bits of their digest: how many, and the sum of their digests, see
     * buckets.c. */
    "CREATE TABLE bucket (s INTEGER NOT NULL, b INTEGER NOT NULL, count INTEGER NOT NULL, sum BLOB NOT NULL,"
    " PRIMARY KEY (s, b)) WITHOUT ROWID;"
    /* Store parents that were named before they were held, and by whom. */
    "CREATE TABLE dangling (s INTEGER NOT NULL, id BLOB NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (s, id, n)) WITHOUT ROWID;"
    /* Merged value of each top-level key: stored JSON form or the record of a split one, the place of the last entry that touched it, and the newest. */
    "CREATE TABLE cell (s INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, height INTEGER NOT NULL,"
    " n INTEGER NOT NULL, newest INTEGER NOT NULL, PRIMARY KEY (s, key)) WITHOUT ROWID;"
    /* Places of all other entries that touched a key. */
    "CREATE TABLE touch (s INTEGER NOT NULL, key BLOB NOT NULL, height INTEGER NOT NULL, n INTEGER NOT NULL,"
    " PRIMARY KEY (s, key, height, n)) WITHOUT ROWID;"
    /* Values that several entries merged, one row for each place in them, see src/state/cells_int.h. parent: hash of the path to
     * the Doc or List; name: the key or position in it; record: kind, places in fold order, and the text of a leaf. */
    "CREATE TABLE twig (s INTEGER NOT NULL, parent BLOB NOT NULL, name BLOB NOT NULL, record BLOB NOT NULL,"
    " PRIMARY KEY (s, parent, name)) WITHOUT ROWID;"
    /* What split values were before the last entries (state/kept.c): the row of a cell or twig as it was before entry n. */
    "CREATE TABLE kept (s INTEGER NOT NULL, n INTEGER NOT NULL, key BLOB NOT NULL, parent BLOB NOT NULL, name BLOB NOT NULL,"
    " record BLOB, newest INTEGER NOT NULL, PRIMARY KEY (s, n, key, parent, name)) WITHOUT ROWID;"
    /* Indexes on fields of rows (state/index.h): which of those declared in the journal's meta are complete (ready 1), being built
     * and done up to a key (0), or being removed (2); and their rows: a value in the order-preserving form, cut, and a key. */
    "CREATE TABLE index_state (s INTEGER NOT NULL, i INTEGER NOT NULL, field TEXT NOT NULL, ready INTEGER NOT NULL,"
    " done BLOB NOT NULL, PRIMARY KEY (s, i)) WITHOUT ROWID;"
    "CREATE TABLE index_row (s INTEGER NOT NULL, i INTEGER NOT NULL, value BLOB NOT NULL, key BLOB NOT NULL,"
    " PRIMARY KEY (s, i, value, key)) WITHOUT ROWID;";

/* ---- From format 1, which had everything in one file ---- */

static const char TO_FORMAT_2[] =
    "DROP TABLE store; DROP TABLE part; DROP TABLE dangling; DROP TABLE cell; DROP TABLE touch;"
    "ALTER TABLE entry RENAME TO old_entry;"
    "CREATE TABLE entry (n INTEGER PRIMARY KEY, d INTEGER NOT NULL, h INTEGER NOT NULL, bytes BLOB NOT NULL);";

static eid_status copy_entry(eid_storage *storage, eid_sql_stmt *old)
{
    eid_sql_stmt *stmt;
    eid_id id;
    EID_TRY(eid_sql_prepare(storage->journal, "INSERT INTO entry (n, d, h, bytes) VALUES (?, ?, ?, ?)", &stmt));
    /* An ID that is none gives a number that fits no entry: its row is damaged, as it was. */
    int64_t h = eid_id_from_binary(eid_sql_bytes(old, 1), &id) == EID_OK ? eid_id_prefix(&id) : 0;
    eid_sql_bind_i64(stmt, 1, eid_sql_i64(old, 0));
    eid_sql_bind_i64(stmt, 2, eid_sql_i64(old, 2));
    eid_sql_bind_i64(stmt, 3, h);
    eid_sql_bind_blob(stmt, 4, eid_sql_bytes(old, 3));
    return eid_sql_run(stmt);
}

static eid_status copy_entries(eid_storage *storage)
{
    eid_sql_stmt *old;
    EID_TRY(eid_sql_prepare(storage->journal, "SELECT n, id, d, bytes FROM old_entry ORDER BY n", &old));
    for (;;) {
        bool row;
        EID_TRY(eid_sql_step(old, &row));
        if (!row)
            break;
        eid_status status = copy_entry(storage, old);
        if (status != EID_OK) {
            eid_sql_reset(old);
            return status;
        }
    }
    return eid_sql_exec(storage->journal, "DROP TABLE old_entry");
}

static const eid_schema_step steps[] = {{1, TO_FORMAT_2, copy_entries}};

const eid_schema eid_schema_present = {.version = 2, .create = JOURNAL, .steps = steps, .step_count = 1};

static eid_status not_ours(void)
{
    return eid_fail(EID_ERR_CORRUPT, "The file is an SQLite database, but not a data file of this library");
}

/* Tables in the file, and columns of the one that tells the version. */
static eid_status count_tables(eid_storage *storage, int64_t *tables, int64_t *meta_columns)
{
    eid_sql_stmt *stmt;
    bool row;
    EID_TRY(eid_sql_prepare(storage->journal,
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

static eid_status set_version(eid_storage *storage, int64_t version)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)version);
    return eid_storage_meta_set(storage, "schema_version", eid_slice_text(text));
}

/* Makes the tables, or runs a step, and writes the version they lead to. */
static eid_status change_tables(eid_storage *storage, const char *text, eid_status (*run)(eid_storage *storage), int64_t version)
{
    EID_TRY(eid_sql_begin(storage->journal));
    eid_status status = text == NULL ? EID_OK : eid_sql_exec(storage->journal, text);
    if (status == EID_OK && run != NULL)
        status = run(storage);
    if (status == EID_OK)
        status = set_version(storage, version);
    if (status != EID_OK) {
        eid_sql_rollback(storage->journal);
        return status;
    }
    return eid_sql_commit(storage->journal);
}

static const eid_schema_step *find_step(const eid_schema *schema, int64_t from)
{
    for (size_t i = 0; i < schema->step_count; i++)
        if (schema->steps[i].from == from)
            return &schema->steps[i];
    return NULL;
}

eid_status eid_schema_open(eid_storage *storage, const eid_schema *schema)
{
    int64_t version = 0;
    EID_TRY(read_schema_version(storage, &version));
    if (version == 0)
        return change_tables(storage, schema->create, NULL, schema->version);
    if (version > schema->version)
        return eid_fail(EID_ERR_SCHEMA_VERSION,
                        "The data file has format %lld, this library knows %lld; open it with a newer library",
                        (long long)version, (long long)schema->version);
    for (; version < schema->version; version++) {
        const eid_schema_step *step = find_step(schema, version);
        if (step == NULL)
            return eid_fail(EID_ERR_SCHEMA_VERSION,
                            "The data file has format %lld, which this library can not bring to format %lld",
                            (long long)version, (long long)schema->version);
        eid_status status = change_tables(storage, step->text, step->run, version + 1);
        if (status != EID_OK)
            return eid_fail_context(status, "Bringing the data file from format %lld to %lld", (long long)version,
                                    (long long)version + 1);
    }
    return EID_OK;
}
