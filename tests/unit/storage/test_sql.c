/* SPDX-License-Identifier: Apache-2.0 */
/* The driver seam: opening under every condition a file can be in, statements, transactions, injected faults. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "storage/sql.h"
#include "support/testutil.h"

typedef struct fixture {
    char *dir;
    char *path;
} fixture;

static const char *self; /* path of this program */

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->dir = tu_temp_dir();
    f->path = tu_path(f->dir, "data.db");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    chmod(f->dir, 0700);
    free(f->path);
    tu_temp_dir_remove(f->dir);
    free(f);
    return 0;
}

static eid_status open_with(const char *path, bool must_exist, bool full_sync, eid_sql **out)
{
    eid_sql_options options = {.must_exist = must_exist, .full_sync = full_sync};
    return eid_sql_open(path, &options, out);
}

static eid_sql *open_file(const char *path)
{
    eid_sql *sql;
    tu_assert_ok(open_with(path, false, false, &sql));
    return sql;
}

static int64_t number(eid_sql *sql, const char *text)
{
    eid_sql_stmt *stmt;
    bool row;
    tu_assert_ok(eid_sql_prepare(sql, text, &stmt));
    tu_assert_ok(eid_sql_step(stmt, &row));
    assert_true(row);
    int64_t value = eid_sql_i64(stmt, 0);
    eid_sql_reset(stmt);
    return value;
}

static eid_status open_and_close(const char *path, bool must_exist)
{
    eid_sql *sql = NULL;
    eid_status status = open_with(path, must_exist, false, &sql);
    eid_sql_close(sql);
    return status;
}

/* What an open in another process answers: one of its own and not only a fork, because the engine remembers in memory what
 * its process has open. With `nobody`, a fork as a user who may not do everything (and may not reach this program). */
static eid_status open_elsewhere(const char *path, bool must_exist, bool nobody)
{
    pid_t child = fork();
    if (child == 0 && nobody) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(255);
        _exit((int)open_and_close(path, must_exist));
    }
    if (child == 0) {
        execl(self, self, must_exist ? "open-existing" : "open", path, (char *)NULL);
        _exit(255);
    }
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    assert_int_not_equal(WEXITSTATUS(result), 255);
    return (eid_status)WEXITSTATUS(result);
}

/* ---- Opening ---- */

static unsigned mode_of(const char *path)
{
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return info.st_mode & 0777u;
}

/* Nobody else may read the file, nor the log beside it, whatever the process's mask allows. */
static void test_new_file_is_private(void **state)
{
    fixture *f = *state;
    char *wal = tu_path(f->dir, "data.db-wal");
    mode_t before = umask(0);
    eid_sql *sql = open_file(f->path);
    tu_assert_ok(eid_sql_exec(sql, "CREATE TABLE t (x INTEGER);"));
    umask(before);
    assert_int_equal(mode_of(f->path), 0600);
    assert_int_equal(mode_of(wal), 0600);
    eid_sql_close(sql);
    free(wal);
}

static void test_must_exist(void **state)
{
    fixture *f = *state;
    eid_sql *sql = NULL;
    tu_assert_fails(open_with(f->path, true, false, &sql), EID_ERR_NOT_INITIALIZED);
    assert_null(sql);
    assert_int_not_equal(access(f->path, F_OK), 0);
    eid_sql_close(open_file(f->path));
    tu_assert_ok(open_with(f->path, true, false, &sql));
    eid_sql_close(sql);
}

static void test_contents_survive_closing(void **state)
{
    fixture *f = *state;
    eid_sql *sql = open_file(f->path);
    tu_assert_ok(eid_sql_exec(sql, "CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (41), (1);"));
    eid_sql_close(sql);
    sql = open_file(f->path);
    assert_int_equal(number(sql, "SELECT SUM(x) FROM t"), 42);
    eid_sql_close(sql);
    eid_sql_close(NULL);
}

static void test_durability_options(void **state)
{
    fixture *f = *state;
    eid_sql *sql = open_file(f->path);
    assert_int_equal(number(sql, "PRAGMA synchronous"), 1);
    eid_sql_close(sql);
    tu_assert_ok(open_with(f->path, false, true, &sql));
    assert_int_equal(number(sql, "PRAGMA synchronous"), 2);
    eid_sql_close(sql);
}

static void test_second_opener_is_told_busy(void **state)
{
    fixture *f = *state;
    eid_sql *first = open_file(f->path), *second = NULL;
    tu_assert_ok(eid_sql_exec(first, "CREATE TABLE t (x INTEGER);"));
    uint64_t start = eid_monotonic_ns();
    tu_assert_fails(open_with(f->path, false, false, &second), EID_ERR_BUSY);
    assert_non_null(strstr(eid_last_error(), f->path));
    tu_assert_fails(open_with(f->path, true, false, &second), EID_ERR_BUSY);
    assert_null(second);
    assert_int_equal(open_elsewhere(f->path, true, false), EID_ERR_BUSY);
    assert_true(eid_monotonic_ns() - start < 20000000000u);
    tu_assert_ok(eid_sql_exec(first, "INSERT INTO t VALUES (1);"));
    eid_sql_close(first);
    assert_int_equal(open_elsewhere(f->path, true, false), EID_OK);
}

/* Advisory locks of a file are lost by a process that closes any descriptor of it: a refused second open must not
 * take the first owner's lock away. */
static void test_refused_opener_does_not_steal_the_lock(void **state)
{
    fixture *f = *state;
    eid_sql *first = open_file(f->path), *second = NULL;
    for (int i = 0; i < 2; i++) {
        tu_assert_fails(open_with(f->path, i == 1, false, &second), EID_ERR_BUSY);
        assert_int_equal(open_elsewhere(f->path, false, false), EID_ERR_BUSY);
    }
    eid_sql_close(first);
}

static void test_not_a_database(void **state)
{
    fixture *f = *state;
    static const size_t sizes[] = {5, 50, 511, 600, 5000, 70000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t *junk = malloc(sizes[i]);
        tu_random random = {i};
        tu_random_fill(&random, junk, sizes[i]);
        tu_write_file(f->path, junk, sizes[i]);
        eid_sql *sql = NULL;
        tu_assert_fails(open_with(f->path, false, false, &sql), EID_ERR_CORRUPT);
        tu_assert_fails(open_with(f->path, true, false, &sql), EID_ERR_CORRUPT);
        assert_null(sql);
        size_t len;
        uint8_t *after = tu_read_file(f->path, &len); /* and it was not touched */
        assert_int_equal(len, sizes[i]);
        assert_memory_equal(after, junk, len);
        free(after);
        free(junk);
    }
}

static void test_missing_folder(void **state)
{
    fixture *f = *state;
    char *path = tu_path(f->dir, "none/data.db");
    eid_sql *sql = NULL;
    tu_assert_fails(open_with(path, false, false, &sql), EID_ERR_READ_ONLY);
    tu_assert_fails(open_with(path, true, false, &sql), EID_ERR_NOT_INITIALIZED);
    tu_assert_fails(open_with(f->dir, false, false, &sql), EID_ERR_READ_ONLY);
    tu_assert_fails(open_with(f->dir, true, false, &sql), EID_ERR_READ_ONLY);
    tu_assert_fails(open_with("", false, false, &sql), EID_ERR_READ_ONLY);
    free(path);
}

static void test_unwritable(void **state)
{
    fixture *f = *state;
    eid_sql *sql = open_file(f->path);
    tu_assert_ok(eid_sql_exec(sql, "CREATE TABLE t (x INTEGER);"));
    eid_sql_close(sql);
    char *other = tu_path(f->dir, "other.db");
    assert_int_equal(chmod(f->dir, 0555), 0);
    assert_int_equal(open_elsewhere(other, false, true), EID_ERR_READ_ONLY); /* can not be made */
    assert_int_equal(chmod(f->path, 0444), 0);
    assert_int_equal(open_elsewhere(f->path, false, true), EID_ERR_READ_ONLY);
    assert_int_equal(open_elsewhere(f->path, true, true), EID_ERR_READ_ONLY);
    assert_int_equal(chmod(f->path, 0666), 0); /* the file would do, but the log can not stand beside it */
    assert_int_equal(open_elsewhere(f->path, false, true), EID_ERR_READ_ONLY);
    assert_int_equal(chmod(f->dir, 0777), 0);
    assert_int_equal(open_elsewhere(f->path, true, true), EID_OK);
    free(other);
}

/* ---- Statements ---- */

static void test_values_round_trip(void **state)
{
    (void)state;
    eid_sql *sql = open_file(":memory:");
    tu_assert_ok(eid_sql_exec(sql, "CREATE TABLE t (k INTEGER PRIMARY KEY, i INTEGER, b BLOB, s TEXT);"));
    static const int64_t numbers[] = {0, -1, INT64_MIN, INT64_MAX};
    static const struct {
        const char *data;
        size_t len;
    } texts[] = {{"", 0}, {"a", 1}, {"a\0b", 3}, {"\xc3\xa9", 2}};
    eid_sql_stmt *insert, *select;
    tu_assert_ok(eid_sql_prepare(sql, "INSERT INTO t (k, i, b, s) VALUES (?, ?, ?, ?)", &insert));
    for (int k = 0; k < 4; k++) {
        eid_sql_bind_i64(insert, 1, k);
        eid_sql_bind_i64(insert, 2, numbers[k]);
        eid_sql_bind_blob(insert, 3, eid_slice_of(k == 0 ? NULL : texts[k].data, texts[k].len));
        eid_sql_bind_text(insert, 4, eid_slice_of(k == 0 ? NULL : texts[k].data, texts[k].len));
        tu_assert_ok(eid_sql_run(insert));
        assert_int_equal(eid_sql_changes(sql), 1);
    }
    tu_assert_ok(eid_sql_exec(sql, "INSERT INTO t (k) VALUES (4)"));
    tu_assert_ok(eid_sql_prepare(sql, "SELECT i, b, s FROM t ORDER BY k", &select));
    bool row;
    for (int k = 0; k < 4; k++) {
        tu_assert_ok(eid_sql_step(select, &row));
        assert_true(row);
        assert_true(eid_sql_i64(select, 0) == numbers[k]);
        for (int column = 1; column <= 2; column++) {
            assert_false(eid_sql_is_null(select, column)); /* an empty value is not NULL */
            eid_slice have = eid_sql_bytes(select, column);
            assert_true(eid_slice_equal(have, eid_slice_of(texts[k].data, texts[k].len)));
        }
    }
    tu_assert_ok(eid_sql_step(select, &row));
    assert_true(row && eid_sql_is_null(select, 0) && eid_sql_is_null(select, 1) && eid_sql_is_null(select, 2));
    assert_int_equal(eid_sql_bytes(select, 1).len, 0);
    tu_assert_ok(eid_sql_step(select, &row));
    assert_false(row);
    tu_assert_ok(eid_sql_step(select, &row)); /* done means reset: it starts again */
    assert_true(row && eid_sql_i64(select, 0) == 0);
    eid_sql_close(sql);
}

static void test_single_numbers(void **state)
{
    (void)state;
    eid_sql *sql = open_file(":memory:");
    eid_sql_stmt *stmt;
    int64_t number = 7;
    tu_assert_ok(eid_sql_exec(sql, "CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (5), (-3);"));
    tu_assert_ok(eid_sql_number(sql, "SELECT i FROM t ORDER BY i DESC", &number));
    assert_int_equal(number, 5);
    tu_assert_ok(eid_sql_number(sql, "SELECT i FROM t WHERE i = 4", &number)); /* no row */
    assert_int_equal(number, 0);
    number = 7;
    tu_assert_ok(eid_sql_number(sql, "SELECT MAX(i) FROM t WHERE i = 4", &number)); /* NULL */
    assert_int_equal(number, 0);
    static const char below[] = "SELECT i FROM t WHERE i < ? ORDER BY i";
    for (int64_t bound = -2; bound <= 6; bound += 8) { /* the statement is free again each time */
        tu_assert_ok(eid_sql_prepare(sql, below, &stmt));
        eid_sql_bind_i64(stmt, 1, bound);
        tu_assert_ok(eid_sql_fetch_i64(stmt, &number));
        assert_int_equal(number, -3);
    }
    number = 7;
    tu_assert_fails(eid_sql_number(sql, "SELECT nonsense FROM nowhere", &number), EID_ERR_STORAGE);
    eid_sql_fail_after(sql, 1);
    tu_assert_fails(eid_sql_fetch_i64(stmt, &number), EID_ERR_STORAGE);
    assert_int_equal(number, 7);
    eid_sql_close(sql);
}

static void test_statements_are_kept_by_address(void **state)
{
    (void)state;
    eid_sql *sql = open_file(":memory:");
    static const char text[] = "SELECT 1", same[] = "SELECT 1";
    eid_sql_stmt *first, *again, *other;
    tu_assert_ok(eid_sql_prepare(sql, text, &first));
    tu_assert_ok(eid_sql_prepare(sql, text, &again));
    tu_assert_ok(eid_sql_prepare(sql, same, &other));
    assert_ptr_equal(first, again);
    assert_ptr_not_equal(first, other);
    tu_assert_fails(eid_sql_prepare(sql, "SELECT nonsense FROM nowhere", &other), EID_ERR_STORAGE);
    /* The number of different texts is bounded, and reaching the bound is an error and no loop. */
    char (*texts)[16] = calloc(300, sizeof *texts);
    size_t made = 0;
    eid_status status = EID_OK;
    while (made < 300 && status == EID_OK) {
        snprintf(texts[made], sizeof texts[made], "SELECT %zu", made);
        status = eid_sql_prepare(sql, texts[made], &other);
        made += status == EID_OK;
    }
    assert_int_equal(status, EID_ERR_INTERNAL);
    assert_true(made > 200);
    tu_assert_ok(eid_sql_prepare(sql, text, &again)); /* those there still serve */
    assert_ptr_equal(first, again);
    eid_sql_close(sql);
    free(texts);
}

static void test_failures_leave_statements_usable(void **state)
{
    (void)state;
    eid_sql *sql = open_file(":memory:");
    tu_assert_ok(eid_sql_exec(sql, "CREATE TABLE t (x INTEGER PRIMARY KEY NOT NULL);"));
    eid_sql_stmt *insert;
    tu_assert_ok(eid_sql_prepare(sql, "INSERT INTO t (x) VALUES (?)", &insert));
    eid_sql_bind_i64(insert, 1, 7);
    tu_assert_ok(eid_sql_run(insert));
    eid_sql_bind_i64(insert, 1, 7);
    tu_assert_fails(eid_sql_run(insert), EID_ERR_STORAGE);
    eid_sql_bind_i64(insert, 9, 7); /* no such parameter */
    tu_assert_fails(eid_sql_run(insert), EID_ERR_LIMIT);
    eid_sql_bind_i64(insert, 1, 8);
    tu_assert_ok(eid_sql_run(insert));
    assert_int_equal(number(sql, "SELECT COUNT(*) FROM t"), 2);
    tu_assert_fails(eid_sql_exec(sql, "INSERT INTO t (x) VALUES (9); INSERT INTO nowhere VALUES (1);"), EID_ERR_STORAGE);
    eid_sql_close(sql);
}

/* ---- Transactions ---- */

static void test_transactions(void **state)
{
    fixture *f = *state;
    eid_sql *sql = open_file(f->path);
    tu_assert_ok(eid_sql_exec(sql, "CREATE TABLE t (x INTEGER);"));
    tu_assert_ok(eid_sql_begin(sql));
    tu_assert_fails(eid_sql_begin(sql), EID_ERR_STORAGE);
    tu_assert_ok(eid_sql_exec(sql, "INSERT INTO t VALUES (1);"));
    eid_sql_rollback(sql);
    assert_int_equal(number(sql, "SELECT COUNT(*) FROM t"), 0);
    eid_sql_rollback(sql); /* nothing is open: nothing happens */
    tu_assert_fails(eid_sql_commit(sql), EID_ERR_STORAGE);
    tu_assert_ok(eid_sql_begin(sql));
    tu_assert_ok(eid_sql_exec(sql, "INSERT INTO t VALUES (1);"));
    tu_assert_ok(eid_sql_commit(sql));
    tu_assert_ok(eid_sql_begin(sql));
    tu_assert_ok(eid_sql_exec(sql, "INSERT INTO t VALUES (2);"));
    eid_sql_close(sql); /* an open transaction does not outlive the connection */
    sql = open_file(f->path);
    assert_int_equal(number(sql, "SELECT COUNT(*) FROM t"), 1);
    eid_sql_close(sql);
}

/* A copy of the files taken while the owner lives is what a crash leaves behind. */
static void test_log_is_recovered_and_moved(void **state)
{
    fixture *f = *state;
    char *wal = tu_path(f->dir, "data.db-wal"), *copy = tu_path(f->dir, "copy.db"), *copy_wal = tu_path(f->dir, "copy.db-wal");
    eid_sql *sql = open_file(f->path);
    tu_assert_ok(eid_sql_exec(sql, "CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (1), (2), (3);"));
    size_t len;
    uint8_t *bytes = tu_read_file(f->path, &len);
    tu_write_file(copy, bytes, len);
    free(bytes);
    bytes = tu_read_file(wal, &len);
    assert_true(len > 0);
    tu_write_file(copy_wal, bytes, len);
    free(bytes);
    eid_sql *recovered = open_file(copy);
    assert_int_equal(number(recovered, "SELECT SUM(x) FROM t"), 6);
    eid_sql_close(recovered);
    tu_assert_ok(eid_sql_checkpoint(sql));
    free(tu_read_file(wal, &len));
    assert_int_equal(len, 0);
    eid_sql_close(sql);
    free(wal);
    free(copy);
    free(copy_wal);
}

/* ---- Injected faults ---- */

static void test_injected_fault_fires_once_at_its_place(void **state)
{
    (void)state;
    eid_sql *sql = open_file(":memory:");
    tu_assert_ok(eid_sql_exec(sql, "CREATE TABLE t (x INTEGER);"));
    eid_sql_stmt *insert;
    tu_assert_ok(eid_sql_prepare(sql, "INSERT INTO t VALUES (1)", &insert));
    for (uint64_t place = 1; place <= 4; place++) {
        eid_sql_fail_after(sql, place);
        for (uint64_t call = 1; call <= 6; call++) {
            eid_status status = eid_sql_run(insert);
            assert_int_equal(status, call == place ? EID_ERR_STORAGE : EID_OK);
        }
    }
    eid_sql_fail_after(sql, 3);
    eid_sql_fail_after(sql, 0);
    for (int call = 0; call < 5; call++)
        tu_assert_ok(eid_sql_run(insert));
    assert_int_equal(number(sql, "SELECT COUNT(*) FROM t"), 4 * 5 + 5);
    eid_sql_fail_after(sql, 4); /* preparing and running the begin pass, running the commit fails and undoes it all */
    tu_assert_ok(eid_sql_begin(sql));
    tu_assert_fails(eid_sql_commit(sql), EID_ERR_STORAGE);
    eid_sql_fail_after(sql, 0);
    tu_assert_ok(eid_sql_begin(sql));
    tu_assert_ok(eid_sql_commit(sql));
    eid_sql_close(sql);
}

int main(int argc, char **argv)
{
    if (argc == 3)
        return (int)open_and_close(argv[2], strcmp(argv[1], "open-existing") == 0);
    self = argv[0];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_new_file_is_private, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_must_exist, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_contents_survive_closing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_durability_options, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_second_opener_is_told_busy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused_opener_does_not_steal_the_lock, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_a_database, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_missing_folder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unwritable, set_up, tear_down),
        cmocka_unit_test(test_values_round_trip),
        cmocka_unit_test(test_single_numbers),
        cmocka_unit_test(test_statements_are_kept_by_address),
        cmocka_unit_test(test_failures_leave_statements_usable),
        cmocka_unit_test_setup_teardown(test_transactions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log_is_recovered_and_moved, set_up, tear_down),
        cmocka_unit_test(test_injected_fault_fires_once_at_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
