/* SPDX-License-Identifier: Apache-2.0 */
/* The index beside a data file, in every state a crash, a copy or an accident can leave it: lost, cut, damaged, old, another's,
 * ahead of its journal. Whatever it is, the databases are those of the journal. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "unit/database/database_test.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "storage/storage_int.h"

typedef struct place {
    char *dir;
    char *path;
    char *index_path;
    eid_core *core;
    eid_database *database;
    eid_id root;
} place;

/* ---- Files ---- */

static void copy_file(const char *from, const char *to)
{
    if (access(from, F_OK) != 0) {
        unlink(to);
        return;
    }
    size_t len;
    uint8_t *bytes = tu_read_file(from, &len);
    tu_write_file(to, bytes, len);
    free(bytes);
}

static char *joined(const char *path, const char *suffix)
{
    char *name;
    assert_true(asprintf(&name, "%s%s", path, suffix) > 0);
    return name;
}

/* The data file, or its index, with the log: as another process would find them, had this one been killed now. */
static void copy_one(const char *from, const char *to)
{
    char *from_log = joined(from, "-wal"), *to_log = joined(to, "-wal");
    copy_file(from, to);
    copy_file(from_log, to_log);
    free(from_log);
    free(to_log);
}

static void copy_both(const place *p, const char *to)
{
    char *to_index = joined(to, "-index");
    copy_one(p->path, to);
    copy_one(p->index_path, to_index);
    free(to_index);
}

/* ---- A database with something of everything ---- */

static void write_something(eid_database *database, int from, int count)
{
    eid_id root = *eid_database_root_id(database);
    for (int i = from; i < from + count; i++) {
        eid_txn *txn;
        char key[16];
        if (i % 7 == 0)
            tu_assert_ok(eid_database_new_transaction_at(database, &root, 1, &txn));
        else
            tu_assert_ok(eid_database_new_transaction(database, &txn));
        snprintf(key, sizeof key, "k%d", i % 5);
        dt_put_int(txn, "s", key, i);
        dt_set_int(txn, i % 2 == 0 ? "t" : "u", "doc.field", i);
        if (i % 11 == 10)
            eid_doc_set_atomic(dt_store(txn, "u")->delta, true);
        tu_assert_ok(eid_txn_commit_free(txn, NULL));
    }
}

static void place_reopen(place *p)
{
    p->core = dt_open(p->path);
    p->database = dt_open_as(p->core, &p->root, 1);
}

static void place_shut(place *p)
{
    eid_database_close(p->database);
    eid_core_close(p->core);
    p->database = NULL;
    p->core = NULL;
}

static int place_open(void **state)
{
    place *p = calloc(1, sizeof *p);
    p->dir = tu_temp_dir();
    p->path = tu_path(p->dir, "data.db");
    p->index_path = tu_path(p->dir, "data.db-index");
    p->core = dt_open(p->path);
    p->database = dt_create(p->core);
    p->root = *eid_database_root_id(p->database);
    write_something(p->database, 0, 40);
    *state = p;
    return 0;
}

static int place_close(void **state)
{
    place *p = *state;
    if (p->core != NULL)
        place_shut(p);
    free(p->index_path);
    free(p->path);
    tu_temp_dir_remove(p->dir);
    free(p);
    return 0;
}

/* Opens the file: everything is there, fits together, and goes on. */
static void assert_sound(const char *path, const eid_id *root, const dt_print *want)
{
    eid_core *core = dt_open(path);
    ti_check_core(core);
    dt_assert_unchanged(core, want);
    eid_check_report report;
    tu_assert_ok(eid_core_check(core, NULL, EID_CHECK_FILE, &report));
    if (report.problems != 0)
        fail_msg("%s", report.text);
    eid_database *database = dt_open_as(core, root, 1);
    write_something(database, 500, 3);
    ti_check_core(core);
    dt_print more = dt_fingerprint(core);
    eid_database_close(database);
    eid_core_close(core);
    core = dt_open(path);
    dt_assert_unchanged(core, &more);
    eid_core_close(core);
}

/* ---- Crashes ---- */

/* Between the journal's commit and the index's: after one commit, after many, with the index never or lately committed. */
static void test_killed_before_the_index_is_committed(void **state)
{
    place *p = *state;
    char *copy = tu_path(p->dir, "copy.db");
    for (int round = 0; round < 6; round++) {
        dt_print now = dt_fingerprint(p->core);
        copy_both(p, copy);
        assert_sound(copy, &p->root, &now);
        if (round % 2 == 0) {
            eid_storage *storage = eid_core_storage(p->core);
            eid_storage_lock(storage);
            tu_assert_ok(round == 2 ? eid_storage_flush(storage) : eid_storage_settle(storage));
            eid_storage_unlock(storage);
        }
        write_something(p->database, 100 * round, round % 3 == 0 ? 1 : 20);
    }
    free(copy);
}

/* The index is committed by itself now and then, and with it all that is needed to go on from there. */
static void test_many_commits(void **state)
{
    place *p = *state;
    eid_storage *storage = eid_core_storage(p->core);
    for (int i = 0; i < EID_LIMIT_INDEX_BEHIND + 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "n%d", i % 100);
        dt_commit_int(p->database, "many", key, i);
    }
    eid_storage_lock(storage);
    int64_t settled = storage->settled_n, newest = storage->newest_n;
    eid_storage_unlock(storage);
    assert_true(settled > 0 && newest - settled < EID_LIMIT_INDEX_BEHIND);
    char *copy = tu_path(p->dir, "copy.db");
    dt_print now = dt_fingerprint(p->core);
    copy_both(p, copy);
    assert_sound(copy, &p->root, &now);
    free(copy);
}

/* ---- What stands in the place of the index ---- */

static void test_lost_or_cut(void **state)
{
    place *p = *state;
    dt_print now = dt_fingerprint(p->core);
    place_shut(p);
    size_t len;
    uint8_t *bytes = tu_read_file(p->index_path, &len);
    const size_t lens[] = {0, 1, 15, 16, 100, 4095, 4096, 4097, 8192, len / 2, len - 4096, len - 1};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        tu_write_file(p->index_path, bytes, lens[i]);
        assert_sound(p->path, &p->root, &now);
        place_reopen(p);
        now = dt_fingerprint(p->core);
        place_shut(p);
    }
    free(bytes);
    assert_int_equal(unlink(p->index_path), 0);
    assert_sound(p->path, &p->root, &now);
}

static void test_no_index_at_all(void **state)
{
    place *p = *state;
    dt_print now = dt_fingerprint(p->core);
    place_shut(p);
    char text[10000];
    memset(text, 'x', sizeof text);
    tu_write_file(p->index_path, text, sizeof text);
    assert_sound(p->path, &p->root, &now);
}

static void run_in_index(const char *path, const char *text)
{
    eid_sql_options options = {.must_exist = true};
    eid_sql *sql;
    tu_assert_ok(eid_sql_open(path, &options, &sql));
    tu_assert_ok(eid_sql_exec(sql, text));
    eid_sql_close(sql);
}

static void test_what_it_says_of_itself(void **state)
{
    static const char *const changes[] = {
        "UPDATE meta SET value = x'30' WHERE key = 'version'",
        "DELETE FROM meta WHERE key = 'version'",
        "UPDATE meta SET value = x'00' WHERE key = 'identity'",
        "DELETE FROM meta WHERE key = 'identity'",
        "DELETE FROM meta WHERE key = 'up_to'",
        "UPDATE meta SET value = x'' WHERE key = 'up_to'",
        "UPDATE meta SET value = zeroblob(15) WHERE key = 'up_to'",
        "UPDATE meta SET value = x'ffffffffffffffff0000000000000000' WHERE key = 'up_to'",
        "UPDATE meta SET value = x'7fffffffffffffff0000000000000000' WHERE key = 'up_to'",
        "UPDATE meta SET value = x'00000000000000050000000000000000' WHERE key = 'up_to'",
        "DELETE FROM meta",
        "DROP TABLE meta",
        "DROP TABLE meta; CREATE TABLE other (x INTEGER)",
    };
    place *p = *state;
    char *copy = tu_path(p->dir, "copy.db"), *copy_index = tu_path(p->dir, "copy.db-index");
    dt_print now = dt_fingerprint(p->core);
    place_shut(p);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        copy_both(p, copy);
        run_in_index(copy_index, changes[i]);
        if (strstr(changes[i], "DROP TABLE meta;") != NULL || strcmp(changes[i], "DROP TABLE meta") == 0) {
            /* Not one of ours any more, and not thrown away twice. */
            eid_core *core = dt_open(copy);
            eid_core_close(core);
        }
        assert_sound(copy, &p->root, &now);
    }
    free(copy_index);
    free(copy);
}

/* An older copy lacks the end; one of another file, or of another future of this one, is not of this journal. */
static void test_copies(void **state)
{
    place *p = *state;
    char *old = tu_path(p->dir, "old.db"), *other = tu_path(p->dir, "other.db");
    char *old_index = joined(old, "-index"), *other_index = joined(other, "-index");
    place_shut(p);
    copy_both(p, old);
    place_reopen(p);
    write_something(p->database, 200, 25);
    dt_print now = dt_fingerprint(p->core);
    place_shut(p);
    /* Its own, but older. */
    copy_both(p, other);
    copy_one(old_index, other_index);
    assert_sound(other, &p->root, &now);
    /* Another file's. */
    eid_core *core = dt_open(other);
    eid_core_close(core);
    unlink(other);
    unlink(other_index);
    core = dt_open(other);
    eid_database *database = dt_create(core);
    write_something(database, 0, 60);
    eid_database_close(database);
    eid_core_close(core);
    copy_one(other_index, p->index_path);
    assert_sound(p->path, &p->root, &now);
    place_reopen(p);
    now = dt_fingerprint(p->core);
    place_shut(p);
    /* The journal brought back from a backup, the index of later days still there. */
    core = dt_open(old);
    dt_print then = dt_fingerprint(core);
    eid_core_close(core);
    copy_one(p->index_path, old_index);
    assert_sound(old, &p->root, &then);
    /* … and the same after as many other entries as it had before: only the hash of the last one tells. */
    core = dt_open(old);
    database = dt_open_as(core, &p->root, 1);
    while (eid_core_storage(core)->newest_n < 150)
        dt_commit_int(database, "s", "other", (int64_t)eid_core_storage(core)->newest_n);
    dt_print others = dt_fingerprint(core);
    int64_t newest = eid_core_storage(core)->newest_n;
    eid_database_close(database);
    eid_core_close(core);
    place_reopen(p);
    while (eid_core_storage(p->core)->newest_n < newest)
        dt_commit_int(p->database, "s", "mine", (int64_t)eid_core_storage(p->core)->newest_n);
    assert_int_equal(eid_core_storage(p->core)->newest_n, newest);
    place_shut(p);
    copy_one(p->index_path, old_index);
    assert_sound(old, &p->root, &others);
    free(old_index);
    free(other_index);
    free(old);
    free(other);
}

/* Pages that are no pages any more, found when opening or later: at worst one call says so, and the next one finds it mended. */
static void test_damaged_pages(void **state)
{
    place *p = *state;
    dt_print now = dt_fingerprint(p->core);
    place_shut(p);
    size_t len, noticed = 0;
    uint8_t *bytes = tu_read_file(p->index_path, &len);
    char *copy = tu_path(p->dir, "copy.db"), *copy_index = tu_path(p->dir, "copy.db-index");
    for (size_t page = 0; page < len / 4096; page++) {
        copy_both(p, copy);
        uint8_t *hurt = malloc(len);
        memcpy(hurt, bytes, len);
        memset(hurt + page * 4096, 0, 4096);
        tu_write_file(copy_index, hurt, len);
        free(hurt);
        eid_core *core = dt_open(copy);
        eid_database *database = dt_open_as(core, &p->root, 1);
        for (int i = 0; i < 2; i++) {
            uint8_t hash[32];
            eid_status status = eid_database_state_hash(database, hash);
            if (status == EID_OK)
                break;
            assert_int_equal(status, EID_ERR_CORRUPT);
            noticed++;
            assert_int_equal(i, 0);
        }
        eid_check_report report;
        tu_assert_ok(eid_core_check(core, NULL, EID_CHECK_FILE | EID_CHECK_REPAIR, &report));
        ti_check_core(core);
        dt_assert_unchanged(core, &now);
        eid_database_close(database);
        eid_core_close(core);
    }
    print_message("%zu pages, %zu calls that noticed\n", len / 4096, noticed);
    assert_true(noticed > 0);
    free(bytes);
    free(copy_index);
    free(copy);
}

/* ---- Failures while it is used ---- */

/* The engine gives the transaction up by itself; whoever comes next makes it again. */
static void test_given_up(void **state)
{
    place *p = *state;
    eid_storage *storage = eid_core_storage(p->core);
    for (int i = 0; i < 5; i++) {
        write_something(p->database, 300 + 10 * i, 7);
        dt_print now = dt_fingerprint(p->core);
        eid_storage_lock(storage);
        eid_sql_rollback(eid_storage_sql(storage));
        eid_storage_unlock(storage);
        if (i % 2 == 0)
            dt_assert_unchanged(p->core, &now);
        ti_check_core(p->core);
    }
    /* In the middle of a storage transaction: nothing of it is kept. */
    dt_print now = dt_fingerprint(p->core);
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_begin(storage));
    eid_sql_rollback(eid_storage_sql(storage));
    tu_assert_fails(eid_storage_commit(storage), EID_ERR_STORAGE);
    eid_storage_unlock(storage);
    dt_assert_unchanged(p->core, &now);
    write_something(p->database, 400, 3);
    ti_check_core(p->core);
}

/* Each call of the engine failing in turn while the index is made anew, and while it is committed. */
static void test_calls_that_fail(void **state)
{
    place *p = *state;
    eid_storage *storage = eid_core_storage(p->core);
    dt_print now = dt_fingerprint(p->core);
    uint64_t calls[2] = {0, 0};
    for (int what = 0; what < 2; what++)
        for (uint64_t call = 1;; call += 1 + call / 20) {
            eid_storage_lock(storage);
            eid_sql_fail_after(eid_storage_journal(storage), call);
            eid_status status = what == 0 ? eid_storage_reindex(storage) : eid_storage_flush(storage);
            bool fired = eid_sql_calls_left(eid_storage_journal(storage)) == 0;
            eid_sql_fail_after(eid_storage_journal(storage), 0);
            assert_int_equal(status, fired ? EID_ERR_STORAGE : EID_OK);
            eid_storage_unlock(storage);
            dt_assert_unchanged(p->core, &now);
            dt_commit_int(p->database, "s", "k", (int64_t)call);
            now = dt_fingerprint(p->core);
            calls[what] = call;
            if (!fired)
                break;
        }
    print_message("%d calls to make it anew, %d to commit it\n", (int)calls[0], (int)calls[1]);
    assert_true(calls[0] > 200 && calls[1] >= 4);
    place_shut(p);
    assert_sound(p->path, &p->root, &now);
}

static eid_status open_step(void *ctx)
{
    place *p = ctx;
    unlink(p->index_path);
    eid_core_options options = {.path = p->path, .clock = eid_clock_system};
    eid_status status = eid_core_open(&options, &p->core);
    if (status == EID_OK)
        eid_core_close(p->core);
    p->core = NULL;
    return status;
}

static void test_memory_that_fails(void **state)
{
    place *p = *state;
    dt_print now = dt_fingerprint(p->core);
    place_shut(p);
    assert_true(tu_alloc_fault_loop(open_step, p) > 100);
    assert_sound(p->path, &p->root, &now);
}

/* No room: the system refuses larger files. What was committed stays; what was not is gone; with room it goes on. */
static void test_full_disk(void **state)
{
    place *p = *state;
    struct rlimit unlimited, small;
    eid_storage *storage = eid_core_storage(p->core);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
    signal(SIGXFSZ, SIG_IGN);
    for (rlim_t room = 200000; room < 900000; room += 230000) {
        eid_storage_lock(storage);
        tu_assert_ok(eid_storage_flush(storage));
        eid_storage_unlock(storage);
        small = (struct rlimit){room, unlimited.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        eid_status status = EID_OK;
        int64_t done = 0;
        while (status == EID_OK && done < 5000) {
            eid_txn *txn;
            tu_assert_ok(eid_database_new_transaction(p->database, &txn));
            dt_put_int(txn, "full", "count", done + 1);
            status = eid_txn_commit_free(txn, NULL);
            done += status == EID_OK;
        }
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
        if (status != EID_ERR_DISK_FULL && status != EID_ERR_IO)
            fail_msg("%s: %s", eid_status_name(status), eid_last_error());
        if (done > 0)
            assert_int_equal(dt_int(p->database, "full", "count"), done);
        ti_check_core(p->core);
        write_something(p->database, 600, 5);
    }
    signal(SIGXFSZ, SIG_DFL);
    dt_print now = dt_fingerprint(p->core);
    place_shut(p);
    assert_sound(p->path, &p->root, &now);
}

/* ---- Company ---- */

static void test_two_owners(void **state)
{
    place *p = *state;
    eid_core_options options = {.path = p->path, .clock = eid_clock_system};
    eid_core *second = NULL;
    tu_assert_fails(eid_core_open(&options, &second), EID_ERR_BUSY);
    assert_null(second);
    write_something(p->database, 700, 3);
    dt_print now = dt_fingerprint(p->core);
    place_shut(p);
    /* Somebody looks into the index alone. */
    eid_sql_options sql_options = {.must_exist = true};
    eid_sql *sql;
    tu_assert_ok(eid_sql_open(p->index_path, &sql_options, &sql));
    tu_assert_fails(eid_core_open(&options, &second), EID_ERR_BUSY);
    assert_non_null(strstr(eid_last_error(), "data.db-index"));
    eid_sql_close(sql);
    assert_sound(p->path, &p->root, &now);
}

/* ---- A journal that is damaged itself ---- */

static void test_damaged_journal(void **state)
{
    place *p = *state;
    dt_print now = dt_fingerprint(p->core);
    place_shut(p);
    run_in_index(p->path, "UPDATE entry SET bytes = substr(bytes, 2) WHERE n = 9");
    /* The index knows the entry, so all others go on. */
    eid_core_options options = {.path = p->path, .clock = eid_clock_system};
    eid_core *core = dt_open(p->path);
    assert_int_equal(ti_number(core, "SELECT COUNT(*) FROM entry"), now.rows[0]);
    eid_core_close(core);
    /* What is lost with the index can not be made again without it. */
    unlink(p->index_path);
    for (int i = 0; i < 2; i++) {
        tu_assert_fails(eid_core_open(&options, &core), EID_ERR_CORRUPT);
        assert_non_null(strstr(eid_last_error(), "Entry number 9"));
        /* A check tells the same instead of stopping there, and leaves nothing that pretends to be whole. */
        options.for_check = true;
        tu_assert_ok(eid_core_open(&options, &core));
        eid_check_report report;
        tu_assert_ok(eid_core_check(core, NULL, EID_CHECK_REPAIR, &report));
        assert_int_equal(report.damaged_entries, 1);
        assert_non_null(strstr(report.text, "Entry number 9"));
        eid_core_close(core);
        options.for_check = false;
    }
}

/* ---- The format before ---- */

static const char FORMAT_1[] =
    "CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE tree (d INTEGER PRIMARY KEY, root BLOB NOT NULL UNIQUE);"
    "CREATE TABLE store (s INTEGER PRIMARY KEY, d INTEGER NOT NULL, name TEXT NOT NULL, tips BLOB NOT NULL,"
    " count INTEGER NOT NULL, newest INTEGER NOT NULL, barrier INTEGER NOT NULL, dangling INTEGER NOT NULL,"
    " unreadable INTEGER NOT NULL, UNIQUE (d, name));"
    "CREATE TABLE entry (n INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, d INTEGER NOT NULL, bytes BLOB NOT NULL);"
    "CREATE TABLE part (s INTEGER NOT NULL, n INTEGER NOT NULL, height INTEGER NOT NULL, parents BLOB NOT NULL,"
    " has_data INTEGER NOT NULL, PRIMARY KEY (s, n)) WITHOUT ROWID;"
    "CREATE INDEX part_order ON part (s, height, n);"
    "CREATE TABLE dangling (s INTEGER NOT NULL, id BLOB NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (s, id, n)) WITHOUT ROWID;"
    "CREATE TABLE cell (s INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, height INTEGER NOT NULL,"
    " n INTEGER NOT NULL, newest INTEGER NOT NULL, PRIMARY KEY (s, key)) WITHOUT ROWID;"
    "CREATE TABLE touch (s INTEGER NOT NULL, key BLOB NOT NULL, height INTEGER NOT NULL, n INTEGER NOT NULL,"
    " PRIMARY KEY (s, key, height, n)) WITHOUT ROWID;"
    "CREATE TABLE quarantine (id BLOB PRIMARY KEY NOT NULL, d INTEGER NOT NULL, missing BLOB NOT NULL, bytes BLOB NOT NULL);"
    "CREATE INDEX quarantine_missing ON quarantine (d, missing);"
    "CREATE TABLE refused (k INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, reason INTEGER NOT NULL);"
    "INSERT INTO meta (key, value) VALUES ('schema_version', x'31');"
    "INSERT INTO tree (d, root) SELECT d, root FROM now.tree;";

static void fill_format_1(eid_storage *storage, eid_sql *sql)
{
    eid_sql_stmt *read, *write;
    tu_assert_ok(eid_sql_prepare(eid_storage_journal(storage), "SELECT n, d, bytes FROM entry ORDER BY n", &read));
    tu_assert_ok(eid_sql_prepare(sql, "INSERT INTO entry (n, id, d, bytes) VALUES (?, ?, ?, ?)", &write));
    for (;;) {
        bool row;
        eid_id id;
        tu_assert_ok(eid_sql_step(read, &row));
        if (!row)
            return;
        tu_assert_ok(eid_storage_id(storage, eid_sql_i64(read, 0), &id));
        eid_sql_bind_i64(write, 1, eid_sql_i64(read, 0));
        eid_sql_bind_blob(write, 2, eid_slice_of(id.bytes, id.len));
        eid_sql_bind_i64(write, 3, eid_sql_i64(read, 1));
        eid_sql_bind_blob(write, 4, eid_sql_bytes(read, 2));
        tu_assert_ok(eid_sql_run(write));
    }
}

static void test_format_1(void **state)
{
    place *p = *state;
    dt_print now = dt_fingerprint(p->core);
    char *old = tu_path(p->dir, "old.db"), *trees = tu_path(p->dir, "trees.db"), text[sizeof FORMAT_1 + 800];
    place_shut(p);
    copy_one(p->path, trees);
    place_reopen(p);
    eid_sql_options options = {0};
    eid_sql *sql;
    tu_assert_ok(eid_sql_open(old, &options, &sql));
    snprintf(text, sizeof text, "ATTACH '%s' AS now; %s DETACH now;", trees, FORMAT_1);
    tu_assert_ok(eid_sql_exec(sql, text));
    eid_storage_lock(eid_core_storage(p->core));
    fill_format_1(eid_core_storage(p->core), sql);
    eid_storage_unlock(eid_core_storage(p->core));
    eid_sql_close(sql);
    assert_sound(old, &p->root, &now);
    free(old);
    free(trees);
}

int main(void)
{
    /* Hundreds of files are made and closed, each waiting for the disk, and what the disk does is not the subject. */
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);
#define INDEX_TEST(name) cmocka_unit_test_setup_teardown(name, place_open, place_close)
    const struct CMUnitTest tests[] = {
        INDEX_TEST(test_killed_before_the_index_is_committed),
        INDEX_TEST(test_many_commits),
        INDEX_TEST(test_lost_or_cut),
        INDEX_TEST(test_no_index_at_all),
        INDEX_TEST(test_what_it_says_of_itself),
        INDEX_TEST(test_copies),
        INDEX_TEST(test_damaged_pages),
        INDEX_TEST(test_given_up),
        INDEX_TEST(test_calls_that_fail),
        INDEX_TEST(test_memory_that_fails),
        INDEX_TEST(test_full_disk),
        INDEX_TEST(test_two_owners),
        INDEX_TEST(test_damaged_journal),
        INDEX_TEST(test_format_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
