/* SPDX-License-Identifier: Apache-2.0 */
/* Checking and repairing: rows damaged on purpose are found, named and made anew; sound databases are left alone. */
#include <eidetica/maintenance.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "codec/cid.h"
#include "crypto/blake3.h"
#include "random_database.h"

/* ---- What a file says, without the numbers of its stores ---- */

static void hash_rows(eid_sql *sql, const char *text, eid_blake3 *hasher)
{
    eid_sql_stmt *stmt;
    tu_assert_ok(eid_sql_prepare(sql, text, &stmt));
    for (;;) {
        bool row;
        tu_assert_ok(eid_sql_step(stmt, &row));
        if (!row)
            return;
        eid_slice line = eid_sql_bytes(stmt, 0);
        eid_blake3_update(hasher, line.data, line.len);
        eid_blake3_update(hasher, "\n", 1);
    }
}

typedef struct dump {
    uint8_t digest[32];
} dump;

static dump dump_file(eid_core *core)
{
    dump out;
    eid_blake3 hasher;
    eid_storage *storage = eid_core_storage(core);
    eid_blake3_init(&hasher);
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_ready(storage));
    tu_assert_ok(eid_storage_settle(storage)); /* rows of stores are written then */
    eid_sql *journal = eid_storage_journal(storage), *sql = eid_storage_sql(storage);
    hash_rows(journal, "SELECT d || hex(root) FROM tree ORDER BY d", &hasher);
    hash_rows(journal, "SELECT n || ' ' || d || ' ' || h || hex(bytes) FROM entry ORDER BY n", &hasher);
    hash_rows(sql, "SELECT n || ' ' || h FROM entry_id ORDER BY n", &hasher);
    hash_rows(sql,
              "SELECT d || ' ' || hex(name) || hex(tips) || ' ' || count || ' ' || newest || ' ' || barrier || ' ' || dangling"
              " || ' ' || unreadable || ' ' || top FROM store ORDER BY d, name",
              &hasher);
    hash_rows(sql,
              "SELECT d || hex(name) || n || ' ' || height || ' ' || hex(parents) || flags FROM part JOIN store USING (s)"
              " ORDER BY d, name, n",
              &hasher);
    hash_rows(sql,
              "SELECT d || hex(name) || late || ' ' || height || ' ' || n FROM part_order JOIN store USING (s)"
              " ORDER BY d, name, late, height, n",
              &hasher);
    hash_rows(sql, "SELECT d || b || ' ' || bucket.count || hex(sum) FROM bucket JOIN store USING (s) ORDER BY d, b", &hasher);
    hash_rows(sql, "SELECT d || hex(name) || n || hex(id) FROM dangling JOIN store USING (s) ORDER BY d, name, id, n", &hasher);
    hash_rows(sql,
              "SELECT d || hex(name) || hex(key) || hex(value) || height || ' ' || n || ' ' || cell.newest"
              " FROM cell JOIN store USING (s) ORDER BY d, name, key",
              &hasher);
    hash_rows(sql,
              "SELECT d || hex(store.name) || hex(parent) || hex(twig.name) || hex(record) FROM twig JOIN store USING (s)"
              " ORDER BY d, store.name, parent, twig.name",
              &hasher);
    hash_rows(sql,
              "SELECT d || hex(name) || hex(key) || height || ' ' || n FROM touch JOIN store USING (s)"
              " ORDER BY d, name, key, height, n",
              &hasher);
    eid_storage_unlock(storage);
    eid_blake3_final(&hasher, out.digest);
    return out;
}

static void assert_same_file(eid_core *core, const dump *want)
{
    dump now = dump_file(core);
    assert_memory_equal(now.digest, want->digest, sizeof now.digest);
}

static eid_check_report check(eid_core *core, const eid_id *id, unsigned flags)
{
    eid_check_report report;
    memset(&report, 0xee, sizeof report);
    tu_assert_ok(eid_core_check(core, id, flags, &report));
    assert_int_equal(report.problems, report.damaged_entries + report.bad_signatures + report.missing_parents +
                                          report.wrong_participation + report.wrong_stores + report.wrong_cells +
                                          report.wrong_touches + report.wrong_file);
    assert_true((report.problems > 0) == (report.text[0] != '\0'));
    return report;
}

static void assert_clean(eid_core *core, const eid_id *id, unsigned flags, const char *what)
{
    eid_check_report report = check(core, id, flags);
    if (report.problems > 0)
        fail_msg("%s: %s", what, report.text);
    assert_false(report.repaired);
}

/* ---- Sound databases ---- */

static void test_random_databases_are_sound(void **state)
{
    (void)state;
    tu_random seed = tu_random_seeded(11000);
    for (uint64_t i = 0; i < 300; i++) {
        random_database w;
        rd_make(&w, seed.state + i, NULL);
        dump before = dump_file(w.core);
        assert_clean(w.core, eid_entry_id(w.entries[0]), EID_CHECK_DEFAULT, w.what);
        assert_same_file(w.core, &before);
        eid_check_report report;
        tu_assert_ok(eid_database_check(w.database, EID_CHECK_REPAIR | EID_CHECK_SIGNATURES | EID_CHECK_FILE, &report));
        assert_int_equal(report.problems, 0);
        assert_false(report.repaired);
        assert_int_equal(report.databases, 1);
        assert_int_equal(report.entries, w.model.count);
        assert_int_equal(report.signatures, 0);
        assert_same_file(w.core, &before);
        rd_free(&w);
    }
}

/* ---- A file with everything in it ---- */

static eid_entry *child_by_hand(eid_database *database, const eid_id *parents, size_t count, uint64_t height, const char *store,
                                const char *payload, const eid_id *store_parents, size_t store_parent_count)
{
    dt_draft draft = {.root = eid_database_root_id(database),
                      .parents = parents,
                      .parent_count = count,
                      .pins = eid_database_root_id(database),
                      .pin_count = 1,
                      .height = height,
                      .store = store,
                      .payload = payload,
                      .store_parents = store_parents,
                      .store_parent_count = store_parent_count,
                      .key = 1};
    return dt_make(&draft);
}

/* Branches, an atomic Doc, a document two entries merged, payloads that are no documents, a store parent nobody has, and a second database. */
static eid_id make_file(const char *path)
{
    eid_core *core = dt_open(path);
    eid_database *database = dt_create(core), *other = dt_create(core);
    eid_id root = *eid_database_root_id(database), tips[3];
    for (int i = 0; i < 20; i++) {
        dt_commit_int(database, "notes", i % 2 == 0 ? "even" : "odd", i);
        dt_commit_int(other, "notes", "k", i);
    }
    tips[0] = dt_commit_int(database, "notes", "last", 1);
    eid_entry *barrier = child_by_hand(database, &tips[0], 1, 22, "wiped", "{\"_a\":true,\"children\":{\"b\":{\"Int\":1}}}",
                                       NULL, 0);
    eid_entry *early = child_by_hand(database, &root, 1, 1, "wiped", "{\"children\":{\"a\":{\"Int\":1},\"b\":{\"Int\":2}}}", NULL, 0);
    eid_id stranger = *eid_entry_id(early);
    stranger.bytes[20] ^= 1;
    eid_entry *odd = child_by_hand(database, &root, 1, 1, "odd", "not a document", &stranger, 1);
    eid_entry *one = child_by_hand(database, &root, 1, 1, "merged",
                                   "{\"children\":{\"k\":{\"Doc\":{\"children\":{\"a\":{\"Int\":1}}}}}}", NULL, 0);
    eid_entry *two = child_by_hand(database, &tips[0], 1, 22, "merged",
                                   "{\"children\":{\"k\":{\"Doc\":{\"children\":{\"b\":{\"Int\":2}}}}}}", NULL, 0);
    eid_entry *all[] = {barrier, early, odd, one, two};
    assert_int_equal(dt_receive(core, &root, all, 5).admitted, 5);
    for (int i = 0; i < 5; i++)
        eid_entry_unref(all[i]);
    eid_database_close(other);
    eid_database_close(database);
    eid_core_close(core);
    return root;
}

static void run_sql(const char *path, const char *text)
{
    eid_sql_options options = {.must_exist = true};
    eid_sql *sql;
    char *file = tu_file_of(path, text);
    tu_assert_ok(eid_sql_open(file, &options, &sql));
    tu_assert_ok(eid_sql_exec(sql, text));
    eid_sql_close(sql);
    free(file);
}

typedef struct place {
    char *dir;
    char *path;
    char *index_path;
    uint8_t *bytes;   /* of the sound file */
    size_t len;
    uint8_t *index_bytes;
    size_t index_len;
    eid_id root;
    dump sound;
} place;

static int place_open(void **state)
{
    place *p = calloc(1, sizeof *p);
    p->dir = tu_temp_dir();
    p->path = tu_path(p->dir, "data.db");
    p->root = make_file(p->path);
    p->index_path = tu_path(p->dir, "data.db-index");
    p->bytes = tu_read_file(p->path, &p->len);
    p->index_bytes = tu_read_file(p->index_path, &p->index_len);
    eid_core *core = dt_open(p->path);
    p->sound = dump_file(core);
    eid_core_close(core);
    *state = p;
    return 0;
}

static int place_close(void **state)
{
    place *p = *state;
    free(p->bytes);
    free(p->index_bytes);
    free(p->index_path);
    free(p->path);
    tu_temp_dir_remove(p->dir);
    free(p);
    return 0;
}

static void restore(const place *p)
{
    tu_write_file(p->path, p->bytes, p->len);
    tu_write_file(p->index_path, p->index_bytes, p->index_len);
}

/* The sound file, changed. */
static eid_core *open_damaged(const place *p, const char *text)
{
    restore(p);
    run_sql(p->path, text);
    return dt_open(p->path);
}

/* ---- Rows that do not follow from the entries ---- */

#define STORE(name) "(SELECT s FROM store WHERE name = '" name "' AND d = 1)"

enum { PARTICIPATION, STORES, CELLS, TOUCHES, FILES, KINDS };

typedef struct damage {
    const char *text;
    int kind;
    const char *named; /* in the report */
} damage;

static const damage damages[] = {
    {"UPDATE store SET tips = x'' WHERE name = '' AND d = 1", STORES, "(main): its tips"},
    {"UPDATE store SET tips = x'0100000000000000' WHERE name = 'notes' AND d = 1", STORES, "notes: its tips"},
    {"UPDATE store SET tips = x'ff' WHERE name = 'notes' AND d = 1", STORES, "notes: its tips"},
    {"UPDATE store SET tips = x'7777000000000000' WHERE name = '' AND d = 1", STORES, "(main): its tips"},
    {"UPDATE store SET count = count + 1 WHERE name = '' AND d = 1", STORES, "number of entries"},
    {"UPDATE store SET newest = 3 WHERE name = 'notes' AND d = 1", STORES, "newest entry"},
    {"UPDATE store SET barrier = 0 WHERE name = 'wiped' AND d = 1", STORES, "wiped: its barrier"},
    {"UPDATE store SET barrier = 1 WHERE name = 'notes' AND d = 1", STORES, "notes: its barrier"},
    {"UPDATE store SET dangling = 0 WHERE name = 'odd' AND d = 1", STORES, "late parents"},
    {"UPDATE store SET unreadable = 0 WHERE name = 'odd' AND d = 1", STORES, "unreadable payloads"},
    {"DELETE FROM store WHERE name = '' AND d = 1", STORES, "(main): missing"},
    {"DELETE FROM store WHERE name = 'notes' AND d = 1", STORES, "notes: missing"},
    {"UPDATE store SET name = 'votes' WHERE name = 'notes' AND d = 1", STORES, "votes: no entry"},
    {"INSERT INTO store (s, d, name, tips, count, newest, barrier, dangling, unreadable, top) VALUES (99, 1, 'ghost', x'', 0, 0, 0, 0, 0, 0)",
     STORES, "ghost"},
    {"DELETE FROM part WHERE s = " STORE("") " AND n = 7", PARTICIPATION, "entry number 7: missing"},
    {"DELETE FROM part WHERE s = " STORE("notes") " AND n = 7", PARTICIPATION, "notes: participation"},
    {"DELETE FROM part WHERE s = " STORE("notes"), PARTICIPATION, "missing"},
    {"UPDATE part SET height = 100 WHERE s = " STORE("") " AND n = 7", PARTICIPATION, "entry number 7: wrong"},
    {"UPDATE part SET height = 0 WHERE s = " STORE("notes") " AND n = 9", PARTICIPATION, "entry number 9: wrong"},
    {"UPDATE part SET parents = x'' WHERE s = " STORE("") " AND n = 7", PARTICIPATION, "entry number 7: wrong"},
    {"UPDATE part SET parents = x'0100' WHERE s = " STORE("") " AND n = 7", PARTICIPATION, "wrong"},
    {"UPDATE part SET flags = 0 WHERE s = " STORE("notes") " AND n = 7", PARTICIPATION, "wrong"},
    {"INSERT INTO part (s, n, height, parents, flags) VALUES (" STORE("") ", 4444, 3, x'', 1)", PARTICIPATION,
     "entry number 4444: too many"},
    {"DELETE FROM dangling", PARTICIPATION, "late parent"},
    {"INSERT INTO dangling (s, id, n) VALUES (" STORE("notes") ", x'0171', 7)", PARTICIPATION, "late parent"},
    {"DELETE FROM cell WHERE s = " STORE("notes") " AND key = CAST('even' AS BLOB)", CELLS, "key even: missing"},
    {"UPDATE bucket SET count = count + 1 WHERE s = " STORE("") " AND b = (SELECT MAX(b) FROM bucket WHERE s = " STORE("") ")",
     PARTICIPATION, "wrong"},
    {"UPDATE bucket SET sum = zeroblob(32) WHERE s = " STORE(""), PARTICIPATION, "sum of bucket"},
    {"DELETE FROM bucket WHERE s = " STORE(""), PARTICIPATION, "missing"},
    {"UPDATE cell SET value = CAST('{\"Int\":99}' AS BLOB) WHERE s = " STORE("notes") " AND key = CAST('odd' AS BLOB)", CELLS,
     "key odd: wrong"},
    {"UPDATE cell SET value = CAST('{\"In' AS BLOB) WHERE s = " STORE("notes") " AND key = CAST('odd' AS BLOB)", CELLS, "wrong"},
    {"UPDATE cell SET n = 3 WHERE s = " STORE("notes") " AND key = CAST('last' AS BLOB)", CELLS, "key last: wrong"},
    {"UPDATE cell SET height = 3 WHERE s = " STORE("notes") " AND key = CAST('last' AS BLOB)", CELLS, "wrong"},
    {"UPDATE cell SET newest = 0 WHERE s = " STORE("notes") " AND key = CAST('last' AS BLOB)", CELLS, "wrong"},
    {"INSERT INTO cell (s, key, value, height, n, newest) VALUES (" STORE("wiped") ", CAST('a' AS BLOB),"
     " CAST('{\"Int\":1}' AS BLOB), 1, 2, 2)", CELLS, "key a: too many"},
    {"DELETE FROM cell WHERE s = " STORE("_settings"), CELLS, "_settings"},
    {"DELETE FROM twig WHERE name = CAST('kb' AS BLOB)", CELLS, "part of a value kb: missing"},
    {"DELETE FROM twig", CELLS, "part of a value ka: missing"},
    {"UPDATE twig SET record = x'ff' WHERE name = CAST('ka' AS BLOB)", CELLS, "part of a value ka: wrong"},
    {"INSERT INTO twig (s, parent, name, record) SELECT s, parent, CAST('kc' AS BLOB), record FROM twig WHERE name ="
     " CAST('ka' AS BLOB)", CELLS, "part of a value kc: too many"},
    {"UPDATE cell SET value = CAST('{\"Int\":99}' AS BLOB) WHERE s = " STORE("merged"), CELLS, "key k: wrong"},
    {"DELETE FROM touch WHERE s = " STORE("notes") " AND n = 9", TOUCHES, "write of key"},
    {"DELETE FROM touch", TOUCHES, "missing"},
    {"UPDATE touch SET height = height + 1 WHERE s = " STORE("notes"), TOUCHES, "too many"},
    {"INSERT INTO touch (s, key, height, n) VALUES (" STORE("notes") ", x'00ff', 1, 3)", TOUCHES, "too many"},
};

static uint64_t count_of(const eid_check_report *report, int kind)
{
    const uint64_t counts[KINDS] = {report->wrong_participation, report->wrong_stores, report->wrong_cells,
                                    report->wrong_touches, report->wrong_file};
    return counts[kind];
}

static void test_every_kind_of_row(void **state)
{
    const place *p = *state;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        eid_core *core = open_damaged(p, damages[i].text);
        dump damaged = dump_file(core);
        eid_check_report found = check(core, &p->root, EID_CHECK_SIGNATURES);
        if (count_of(&found, damages[i].kind) == 0)
            fail_msg("not found: %s; the report says: %s", damages[i].text, found.text);
        if (strstr(found.text, damages[i].named) == NULL)
            fail_msg("%s: \"%s\" is not in the report: %s", damages[i].text, damages[i].named, found.text);
        assert_false(found.repaired);
        assert_int_equal(found.damaged_entries + found.bad_signatures + found.missing_parents, 0);
        assert_same_file(core, &damaged); /* looking changes nothing */
        eid_check_report mended = check(core, &p->root, EID_CHECK_REPAIR);
        assert_int_equal(mended.problems, found.problems);
        assert_string_equal(mended.text, found.text);
        assert_true(mended.repaired);
        assert_clean(core, &p->root, EID_CHECK_DEFAULT, damages[i].text);
        if (strstr(damages[i].text, "DELETE FROM touch") == NULL || strstr(damages[i].text, "WHERE") != NULL)
            assert_same_file(core, &p->sound);
        /* Life goes on in the file. */
        eid_database *database = dt_open_as(core, &p->root, 1);
        dt_commit_int(database, "notes", "afterwards", 5);
        assert_int_equal(dt_int(database, "notes", "afterwards"), 5);
        assert_int_equal(dt_int(database, "notes", "even"), 18);
        eid_database_close(database);
        assert_clean(core, &p->root, EID_CHECK_DEFAULT, damages[i].text);
        eid_core_close(core);
    }
}

/* The other database of the file has damage of its own: seen only when every database is looked at. */
static void test_all_databases(void **state)
{
    const place *p = *state;
    eid_core *core = open_damaged(p, "DELETE FROM touch; UPDATE store SET count = 0 WHERE d = 2");
    eid_check_report one = check(core, &p->root, EID_CHECK_REPAIR);
    assert_int_equal(one.databases, 1);
    assert_true(one.repaired && one.wrong_stores == 0 && one.wrong_touches > 0);
    eid_check_report all = check(core, NULL, EID_CHECK_DEFAULT);
    assert_int_equal(all.databases, 2);
    assert_int_equal(all.entries, 21 + 6 + 21);
    assert_true(all.wrong_stores > 0 && all.wrong_touches > 0 && !all.repaired);
    all = check(core, NULL, EID_CHECK_REPAIR);
    assert_true(all.repaired);
    assert_clean(core, NULL, EID_CHECK_SIGNATURES | EID_CHECK_FILE, "all");
    assert_same_file(core, &p->sound);
    eid_core_close(core);
}

/* A database too damaged to be opened can still be mended by its ID. */
static void test_a_database_that_does_not_open(void **state)
{
    const place *p = *state;
    eid_core *core = open_damaged(p, "UPDATE store SET tips = x'7777000000000000', barrier = 9999 WHERE name = '' AND d = 1");
    eid_database *database;
    tu_assert_fails(eid_database_open_as(core, &p->root, NULL, NULL, &database), EID_ERR_CORRUPT);
    assert_true(check(core, &p->root, EID_CHECK_REPAIR).repaired);
    database = dt_open_as(core, &p->root, 1);
    dt_commit_int(database, "notes", "k", 1);
    eid_database_close(database);
    eid_core_close(core);
}

/* ---- Rows of nothing, and the file below ---- */

static void test_rows_of_nothing(void **state)
{
    static const char *const orphans[] = {
        "INSERT INTO part (s, n, height, parents, flags) VALUES (777, 1, 1, x'', 1)",
        "INSERT INTO cell (s, key, value, height, n, newest) VALUES (777, x'41', x'', 1, 1, 1)",
        "INSERT INTO touch (s, key, height, n) VALUES (777, x'41', 1, 1)",
        "INSERT INTO dangling (s, id, n) VALUES (777, x'41', 1)",
        "INSERT INTO quarantine (id, d, missing, bytes) VALUES (x'41', 777, x'42', x'')",
        "INSERT INTO store (s, d, name, tips, count, newest, barrier, dangling, unreadable, top) VALUES (99, 777, 'x', x'', 0, 0, 0, 0, 0, 0)",
    };
    const place *p = *state;
    for (size_t i = 0; i < sizeof orphans / sizeof *orphans; i++) {
        eid_core *core = open_damaged(p, orphans[i]);
        assert_int_equal(check(core, &p->root, EID_CHECK_DEFAULT).problems, 0);
        eid_check_report found = check(core, NULL, EID_CHECK_DEFAULT);
        assert_int_equal(found.wrong_file, 1);
        assert_int_equal(found.problems, 1);
        eid_check_report mended = check(core, NULL, EID_CHECK_REPAIR);
        assert_true(mended.repaired);
        assert_clean(core, NULL, EID_CHECK_FILE, orphans[i]);
        assert_same_file(core, &p->sound);
        eid_core_close(core);
    }
    /* Entries of no database are not thrown away. */
    eid_core *core = open_damaged(p, "INSERT INTO entry (n, d, h, bytes) VALUES (-1, 777, 1, x'')");
    eid_check_report kept = check(core, NULL, EID_CHECK_REPAIR);
    assert_int_equal(kept.wrong_file, 1);
    assert_false(kept.repaired);
    assert_int_equal(ti_number(core, "SELECT COUNT(*) FROM entry WHERE d = 777"), 1);
    eid_core_close(core);
}

static void test_the_structure_of_the_file(void **state)
{
    const place *p = *state;
    /* Rows that do not fit the declaration of their table. */
    eid_core *core = open_damaged(p,
                                  "PRAGMA writable_schema = ON; UPDATE sqlite_master SET"
                                  " sql = replace(sql, 'n INTEGER NOT NULL', 'n INTEGER NOT NULL CHECK (n < 0)')"
                                  " WHERE name = 'fresh_id'");
    assert_int_equal(check(core, &p->root, EID_CHECK_SIGNATURES).problems, 0);
    eid_check_report found = check(core, &p->root, EID_CHECK_FILE);
    assert_true(found.wrong_file > 0);
    assert_non_null(strstr(found.text, "fresh_id"));
    /* It is made anew; what the journal has lost can not be. */
    eid_check_report mended = check(core, &p->root, EID_CHECK_FILE | EID_CHECK_REPAIR);
    assert_true(mended.repaired);
    assert_clean(core, NULL, EID_CHECK_FILE, "structure");
    assert_same_file(core, &p->sound);
    eid_core_close(core);
    core = open_damaged(p, "/* INTO quarantine */ PRAGMA writable_schema = ON; UPDATE sqlite_master SET"
                           " sql = 'CREATE INDEX quarantine_missing ON quarantine (missing, d)'"
                           " WHERE name = 'quarantine_missing';"
                           "INSERT INTO quarantine (id, d, missing, bytes) VALUES (x'41', 1, x'42', x''), (x'43', 1, x'44', x'')");
    found = check(core, &p->root, EID_CHECK_FILE | EID_CHECK_REPAIR);
    assert_true(found.wrong_file > 0);
    assert_non_null(strstr(found.text, "quarantine_missing"));
    assert_false(found.repaired);
    eid_core_close(core);
}

/* ---- Entries ---- */

/* The entry's bytes with one byte changed, which is another entry or none. */
static void test_damaged_entries(void **state)
{
    static const struct {
        const char *text;
        const char *named;
    } cases[] = {
        {"UPDATE entry SET bytes = x'00' WHERE n = 9", "Entry number 9 is damaged"},
        {"UPDATE entry SET bytes = x'' WHERE n = 9", "Entry number 9 is damaged"},
        {"UPDATE entry SET bytes = substr(bytes, 1, length(bytes) - 1) WHERE n = 9", "Entry number 9 is damaged"},
        {"UPDATE entry SET bytes = bytes || x'00' WHERE n = 9", "Entry number 9 is damaged"},
        {"UPDATE entry SET h = h + 1 WHERE n = 9", "not those of its ID"},
        {"UPDATE entry SET bytes = (SELECT bytes FROM entry WHERE n = 7) WHERE n = 9", "not those of its ID"},
        {"UPDATE entry SET d = 1 WHERE n = 8", "it belongs to another database"},
        {"UPDATE entry SET d = 2 WHERE n = 1", "The root entry of the database is not held"},
        {"DELETE FROM entry WHERE n = 1", "The root entry of the database is not held"},
    };
    const place *p = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eid_core *core = open_damaged(p, cases[i].text);
        dump damaged = dump_file(core);
        eid_check_report report = check(core, &p->root, EID_CHECK_REPAIR | EID_CHECK_SIGNATURES);
        assert_int_equal(report.damaged_entries, 1);
        assert_int_equal(report.problems, 1);
        if (strstr(report.text, cases[i].named) == NULL)
            fail_msg("%s: the report says: %s", cases[i].text, report.text);
        assert_false(report.repaired);
        assert_same_file(core, &damaged);
        eid_core_close(core);
    }
}

/* An entry that is gone is missed by its children; there is nothing to repair it from. */
static void test_missing_entries(void **state)
{
    const place *p = *state;
    eid_core *core = open_damaged(p, "DELETE FROM entry WHERE n = 9");
    dump damaged = dump_file(core);
    eid_check_report report = check(core, &p->root, EID_CHECK_REPAIR);
    assert_int_equal(report.missing_parents, 1);
    assert_true(report.wrong_participation > 0);
    assert_int_equal(report.damaged_entries, 0);
    assert_non_null(strstr(report.text, "is not held in front of it"));
    assert_false(report.repaired);
    assert_same_file(core, &damaged);
    eid_core_close(core);
}

/* A change that keeps bytes and ID in agreement: only the signature tells. */
static void test_bad_signatures(void **state)
{
    const place *p = *state;
    restore(p);
    eid_core *core = dt_open(p->path);
    eid_database *database = dt_open_as(core, &p->root, 1);
    eid_id *tips;
    size_t count;
    tu_assert_ok(eid_database_tips(database, &tips, &count));
    eid_entry *entry = NULL;
    for (size_t i = 0; i < count; i++) {
        eid_entry_unref(entry);
        entry = dt_entry(database, &tips[i]);
        if (memmem(entry->cbor, entry->cbor_len, "\"_a\"", 4) != NULL)
            break;
    }
    eid_entry *forged = dt_tamper(entry, "\"Int\":1");
    eid_storage *storage = eid_core_storage(core);
    eid_sql_stmt *stmt;
    int64_t n;
    tu_assert_ok(eid_storage_find(storage, &entry->id, &n, NULL));
    tu_assert_ok(eid_sql_prepare(eid_storage_journal(storage), "UPDATE entry SET h = ?, bytes = ? WHERE n = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, eid_id_prefix(&forged->id));
    eid_sql_bind_blob(stmt, 2, eid_slice_of(forged->cbor, forged->cbor_len));
    eid_sql_bind_i64(stmt, 3, n);
    tu_assert_ok(eid_sql_run(stmt));
    tu_assert_ok(eid_sql_prepare(eid_storage_sql(storage), "UPDATE fresh_id SET h = ? WHERE n = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, eid_id_prefix(&forged->id));
    eid_sql_bind_i64(stmt, 2, n);
    tu_assert_ok(eid_sql_run(stmt));
    eid_check_report without = check(core, &p->root, EID_CHECK_DEFAULT);
    assert_int_equal(without.bad_signatures + without.signatures, 0);
    assert_true(without.wrong_cells > 0);
    eid_check_report with = check(core, &p->root, EID_CHECK_SIGNATURES | EID_CHECK_REPAIR);
    assert_int_equal(with.bad_signatures, 1);
    assert_int_equal(with.signatures, 21 + 6);
    assert_non_null(strstr(with.text, "signature"));
    assert_false(with.repaired); /* what a forged entry says is not made true */
    eid_entry_unref(forged);
    eid_entry_unref(entry);
    eid_free(tips);
    eid_database_close(database);
    eid_core_close(core);
}

/* ---- Random damage ---- */

static void wound(eid_core *core, tu_random *random)
{
    static const char *const texts[] = {
        "DELETE FROM part WHERE (s, n) IN (SELECT s, n FROM part ORDER BY s, n LIMIT 1 OFFSET %u)",
        "UPDATE part SET height = height + 1 WHERE (s, n) IN (SELECT s, n FROM part ORDER BY s, n LIMIT 1 OFFSET %u)",
        "UPDATE part SET parents = x'02' WHERE (s, n) IN (SELECT s, n FROM part ORDER BY s, n LIMIT 1 OFFSET %u)",
        "DELETE FROM cell WHERE (s, key) IN (SELECT s, key FROM cell ORDER BY s, key LIMIT 1 OFFSET %u)",
        "UPDATE cell SET newest = newest - 1 WHERE (s, key) IN (SELECT s, key FROM cell ORDER BY s, key LIMIT 1 OFFSET %u)",
        "DELETE FROM twig WHERE (s, parent, name) IN (SELECT s, parent, name FROM twig ORDER BY s, parent, name LIMIT 1 OFFSET %u)",
        "DELETE FROM touch WHERE (s, key, n) IN (SELECT s, key, n FROM touch ORDER BY s, key, n LIMIT 1 OFFSET %u)",
        "UPDATE store SET tips = x'' WHERE s IN (SELECT s FROM store ORDER BY s LIMIT 1 OFFSET %u)",
        "DELETE FROM store WHERE s IN (SELECT s FROM store ORDER BY s LIMIT 1 OFFSET %u)",
        "UPDATE store SET barrier = 1 WHERE s IN (SELECT s FROM store ORDER BY s LIMIT 1 OFFSET %u)",
    };
    char text[256];
    snprintf(text, sizeof text, texts[tu_random_below(random, sizeof texts / sizeof *texts)],
             (unsigned)tu_random_below(random, 6));
    eid_storage_lock(eid_core_storage(core));
    tu_assert_ok(eid_sql_exec(eid_storage_sql(eid_core_storage(core)), text));
    eid_storage_unlock(eid_core_storage(core));
}

static void test_random_damage(void **state)
{
    (void)state;
    tu_random seed = tu_random_seeded(12000);
    size_t damaged = 0;
    for (uint64_t i = 0; i < 200; i++) {
        random_database w;
        rd_make(&w, seed.state + i, NULL);
        dump sound = dump_file(w.core);
        size_t count = 1 + (size_t)tu_random_below(&w.random, 4);
        for (size_t k = 0; k < count; k++)
            wound(w.core, &w.random);
        dump now = dump_file(w.core);
        bool changed = memcmp(now.digest, sound.digest, sizeof now.digest) != 0;
        eid_check_report report = check(w.core, NULL, EID_CHECK_REPAIR);
        if (changed != (report.problems > 0) || changed != report.repaired)
            fail_msg("%s: %llu problems: %s", w.what, (unsigned long long)report.problems, report.text);
        assert_same_file(w.core, &sound);
        assert_clean(w.core, NULL, EID_CHECK_DEFAULT, w.what);
        damaged += changed;
        rd_free(&w);
    }
    assert_true(damaged > 100);
}

/* ---- Arguments, failures, company ---- */

static void test_wrong_arguments(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    eid_check_report report = {.databases = 77};
    eid_id stranger = {0};
    tu_assert_fails(eid_database_check(database, 8, &report), EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_core_check(core, &stranger, 0, &report), EID_ERR_DATABASE_NOT_FOUND);
    assert_int_equal(report.databases, 77);
    eid_database_close(database);
    eid_core_close(core);
}

/* Far more problems than the text holds: it holds whole lines, and everything is counted. */
static void test_many_problems(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    for (int i = 0; i < 300; i++) {
        char key[16];
        snprintf(key, sizeof key, "key %d", i);
        dt_commit_int(database, "s", key, i);
    }
    eid_storage *storage = eid_core_storage(core);
    eid_storage_lock(storage);
    tu_assert_ok(eid_sql_exec(eid_storage_sql(storage), "DELETE FROM cell WHERE s = (SELECT s FROM store WHERE name = 's')"));
    eid_storage_unlock(storage);
    eid_check_report report = check(core, eid_database_root_id(database), EID_CHECK_REPAIR);
    assert_int_equal(report.wrong_cells, 300);
    size_t len = strlen(report.text);
    assert_true(len > EID_CHECK_TEXT_SIZE - 100 && report.text[len - 1] == '\n');
    assert_true(report.repaired);
    eid_database_close(database);
    eid_core_close(core);
}

/* Every call of the engine failing in turn, during a repair: the file is as it was, or repaired. */
static void test_storage_failures(void **state)
{
    const place *p = *state;
    for (uint64_t call = 1;; call += 1 + call / 40) {
        eid_core *core = open_damaged(p, "DELETE FROM touch WHERE n > 4; UPDATE store SET count = 3");
        dump damaged = dump_file(core);
        eid_check_report report = {.databases = 77};
        eid_sql *sql = eid_storage_sql(eid_core_storage(core));
        eid_sql_fail_after(sql, call);
        eid_status status = eid_core_check(core, &p->root, EID_CHECK_REPAIR, &report);
        bool fired = eid_sql_calls_left(sql) == 0;
        eid_sql_fail_after(sql, 0);
        assert_int_equal(status, fired ? EID_ERR_STORAGE : EID_OK);
        if (fired) {
            assert_int_equal(report.databases, 77);
            assert_same_file(core, &damaged);
        }
        assert_true(check(core, NULL, EID_CHECK_REPAIR).repaired || !fired);
        assert_clean(core, &p->root, EID_CHECK_DEFAULT, "afterwards");
        eid_core_close(core);
        if (!fired) {
            assert_true(call > 300);
            return;
        }
    }
}

static eid_status check_step(void *ctx)
{
    eid_check_report report;
    EID_TRY(eid_database_check(ctx, EID_CHECK_SIGNATURES, &report));
    assert_int_equal(report.problems, 0);
    return EID_OK;
}

static void test_memory_failures(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    for (int i = 0; i < 3; i++)
        dt_commit_int(database, "s", "k", i);
    assert_true(tu_alloc_fault_loop(check_step, database) > 50);
    assert_clean(core, NULL, EID_CHECK_SIGNATURES, "afterwards");
    eid_database_close(database);
    eid_core_close(core);
}

typedef struct company {
    eid_database *database;
    _Atomic bool stop;
    _Atomic int64_t written;
} company;

static void *write_on(void *argument)
{
    company *c = argument;
    while (!c->stop && c->written < 20000) {
        dt_commit_int(c->database, "s", "k", c->written + 1);
        c->written++;
    }
    return NULL;
}

static void test_while_others_write(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    company c = {.database = dt_create(core)};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_on, &c), 0);
    for (int i = 0; i < 20 || c.written < 100; i++)
        assert_clean(core, NULL, i % 2 == 0 ? EID_CHECK_SIGNATURES : EID_CHECK_REPAIR, "in company");
    c.stop = true;
    pthread_join(thread, NULL);
    assert_int_equal(dt_int(c.database, "s", "k"), c.written);
    eid_database_close(c.database);
    eid_core_close(core);
}

#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, place_open, place_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_databases_are_sound),
        WITH_FILE(test_every_kind_of_row),
        WITH_FILE(test_all_databases),
        WITH_FILE(test_a_database_that_does_not_open),
        WITH_FILE(test_rows_of_nothing),
        WITH_FILE(test_the_structure_of_the_file),
        WITH_FILE(test_damaged_entries),
        WITH_FILE(test_missing_entries),
        WITH_FILE(test_bad_signatures),
        cmocka_unit_test(test_random_damage),
        cmocka_unit_test(test_wrong_arguments),
        cmocka_unit_test(test_many_problems),
        WITH_FILE(test_storage_failures),
        cmocka_unit_test(test_memory_failures),
        cmocka_unit_test(test_while_others_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
