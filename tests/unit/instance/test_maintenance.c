/* SPDX-License-Identifier: Apache-2.0 */
/* Care of data files: backups that open, files that shrink, sizes that add up, checks from outside, imports. */
#include <eidetica/maintenance.h>
#include <eidetica/store.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "fixture.h"

typedef struct place {
    fixture f;
    char *dir;
    char *path;
    char url[512];
    eid_user *user;
    eid_database *database;
} place;

static void write_page(eid_database *database, int number)
{
    eid_txn *txn;
    char key[32];
    snprintf(key, sizeof key, "page%d", number % 50);
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    tu_assert_ok(eid_docstore_set_int(txn, "pages", key, number));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
}

static int place_open(void **state)
{
    place *p = calloc(1, sizeof *p);
    p->f.now_ms = 1700000000000;
    p->dir = tu_temp_dir();
    p->path = tu_path(p->dir, "data.db");
    snprintf(p->url, sizeof p->url, "sqlite:%s", p->path);
    fixture_open_url(&p->f, p->url);
    p->user = login(&p->f, "ada");
    p->database = create(p->user, "notes");
    for (int i = 0; i < 200; i++)
        write_page(p->database, i);
    *state = p;
    return 0;
}

static void place_shut(place *p)
{
    eid_database_close(p->database);
    eid_user_logout(p->user);
    eid_instance_close(p->f.instance);
    p->database = NULL;
    p->user = NULL;
    p->f.instance = NULL;
}

static int place_close(void **state)
{
    place *p = *state;
    place_shut(p);
    free(p->path);
    tu_temp_dir_remove(p->dir);
    free(p);
    return 0;
}

#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, place_open, place_close)

static void state_hash(eid_instance *instance, const eid_id *id, uint8_t out[32])
{
    eid_database *database;
    tu_assert_ok(eid_database_open(instance, id, &database));
    tu_assert_ok(eid_database_state_hash(database, out));
    eid_database_close(database);
}

static size_t files_in(const char *dir)
{
    char command[600];
    size_t count = 0;
    int c;
    snprintf(command, sizeof command, "ls -A '%s'", dir);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    while ((c = fgetc(pipe)) != EOF)
        count += c == '\n';
    pclose(pipe);
    return count;
}

static void assert_clean_file(const char *url, uint64_t databases)
{
    eid_check_report report;
    tu_assert_ok(eid_check_file(url, EID_CHECK_SIGNATURES | EID_CHECK_FILE, &report));
    if (report.problems > 0)
        fail_msg("%s: %s", url, report.text);
    assert_int_equal(report.databases, databases);
    assert_true(report.signatures > 0);
}

/* ---- Backups ---- */

/* Opens the copy, compares it with what it was made of, and writes on in it. */
static void check_copy(place *p, const char *path, uint64_t entries)
{
    char url[600];
    uint8_t here[32], there[32];
    fixture copy = {.now_ms = p->f.now_ms};
    eid_pubkey device, copied;
    snprintf(url, sizeof url, "sqlite:%s", path);
    assert_clean_file(url, 4);
    fixture_open_url(&copy, url);
    eid_instance_device_pubkey(p->f.instance, &device);
    eid_instance_device_pubkey(copy.instance, &copied);
    assert_true(eid_pubkey_equal(&device, &copied));
    eid_database *database;
    eid_user *user = login(&copy, "ada");
    tu_assert_ok(eid_user_open_database(user, eid_database_root_id(p->database), &database));
    assert_int_equal(entries_of(database), entries);
    if (entries == entries_of(p->database)) {
        state_hash(p->f.instance, eid_database_root_id(p->database), here);
        state_hash(copy.instance, eid_database_root_id(p->database), there);
        assert_memory_equal(here, there, sizeof here);
    }
    write_page(database, 1000);
    assert_int_equal(entries_of(database), entries + 1);
    eid_database_close(database);
    eid_user_logout(user);
    eid_instance_close(copy.instance);
}

static void test_a_backup_opens(void **state)
{
    place *p = *state;
    char *path = tu_path(p->dir, "copy.db");
    mode_t old = umask(0);
    tu_assert_ok(eid_instance_backup(p->f.instance, path, NULL, NULL));
    umask(old);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    uint64_t entries = entries_of(p->database);
    write_page(p->database, 7); /* the original goes on */
    check_copy(p, path, entries);
    free(path);
}

static void test_a_backup_of_memory(void **state)
{
    fixture *f = *state;
    char *dir = tu_temp_dir(), *path = tu_path(dir, "copy.db"), url[600];
    place p = {.f = *f};
    p.user = login(&p.f, "ada");
    p.database = create(p.user, "notes");
    write_page(p.database, 1);
    tu_assert_ok(eid_instance_backup(p.f.instance, path, NULL, NULL));
    check_copy(&p, path, entries_of(p.database));
    snprintf(url, sizeof url, "sqlite:%s", path);
    assert_clean_file(url, 4);
    eid_database_close(p.database);
    eid_user_logout(p.user);
    free(path);
    tu_temp_dir_remove(dir);
}

static void test_nothing_is_overwritten(void **state)
{
    place *p = *state;
    char *path = tu_path(p->dir, "there"), *nowhere = tu_path(p->dir, "no/where");
    tu_write_file(path, "precious", 8);
    tu_assert_fails(eid_instance_backup(p->f.instance, path, NULL, NULL), EID_ERR_ALREADY_EXISTS);
    tu_assert_fails(eid_instance_backup(p->f.instance, p->path, NULL, NULL), EID_ERR_ALREADY_EXISTS);
    tu_assert_fails(eid_instance_backup(p->f.instance, nowhere, NULL, NULL), EID_ERR_IO);
    size_t len;
    uint8_t *bytes = tu_read_file(path, &len);
    assert_int_equal(len, 8);
    free(bytes);
    free(nowhere);
    free(path);
}

typedef struct progress {
    place *p;
    uint64_t last;
    uint64_t total;
    int calls;
    int stop_at;
    int write_at;
} progress;

static bool follow(uint64_t done, uint64_t total, void *ctx)
{
    progress *g = ctx;
    assert_true(done <= total && done >= g->last);
    g->last = done;
    g->total = total;
    g->calls++;
    if (g->calls == g->write_at)
        write_page(g->p->database, 77); /* no lock is held */
    return g->calls != g->stop_at;
}

/* Enough for several steps of a copy. */
static void make_large(place *p)
{
    char *text = calloc(300001, 1);
    memset(text, 'x', 300000);
    for (int i = 0; i < 40; i++) {
        eid_txn *txn;
        tu_assert_ok(eid_database_new_transaction(p->database, &txn));
        text[0] = (char)('A' + i % 20);
        text[1] = (char)('A' + i / 20);
        tu_assert_ok(eid_docstore_set_text(txn, "pages", "large", text));
        tu_assert_ok(eid_txn_commit_free(txn, NULL));
    }
    free(text);
}

static void test_progress_and_stopping(void **state)
{
    place *p = *state;
    make_large(p);
    char *path = tu_path(p->dir, "copy.db");
    progress g = {.p = p, .stop_at = 2};
    size_t before = files_in(p->dir);
    tu_assert_fails(eid_instance_backup(p->f.instance, path, follow, &g), EID_ERR_CANCELLED);
    assert_int_equal(g.calls, 2);
    assert_int_equal(files_in(p->dir), before);
    g = (progress){.p = p};
    tu_assert_ok(eid_instance_backup(p->f.instance, path, follow, &g));
    assert_true(g.calls > 2);
    assert_int_equal(g.last, g.total);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_size, g.total);
    check_copy(p, path, entries_of(p->database));
    free(path);
}

/* What is written while the copy is made is in it, and the copy is sound. */
static void test_writing_during_a_backup(void **state)
{
    place *p = *state;
    make_large(p);
    char *path = tu_path(p->dir, "copy.db");
    progress g = {.p = p, .write_at = 2};
    tu_assert_ok(eid_instance_backup(p->f.instance, path, follow, &g));
    check_copy(p, path, entries_of(p->database));
    free(path);
}

static void test_backups_that_fail_leave_nothing(void **state)
{
    place *p = *state;
    make_large(p);
    char *path = tu_path(p->dir, "copy.db");
    eid_sql *sql = eid_storage_sql(eid_core_storage(eid_instance_core(p->f.instance)));
    size_t before = files_in(p->dir);
    for (uint64_t call = 1;; call++) {
        eid_sql_fail_after(sql, call);
        eid_status status = eid_instance_backup(p->f.instance, path, NULL, NULL);
        eid_sql_fail_after(sql, 0);
        if (status == EID_OK)
            break;
        assert_int_equal(status, EID_ERR_STORAGE);
        assert_string_equal(eid_last_error(), "The database engine failed (injected fault)");
        assert_int_equal(files_in(p->dir), before);
        assert_true(call < 100);
    }
    assert_int_equal(unlink(path), 0);
    /* No room: the system refuses larger files. */
    struct rlimit unlimited, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
    small = (struct rlimit){1 << 20, unlimited.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    eid_status status = eid_instance_backup(p->f.instance, path, NULL, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_true(status == EID_ERR_IO || status == EID_ERR_DISK_FULL);
    assert_int_equal(files_in(p->dir), before);
    write_page(p->database, 5);
    free(path);
}

static eid_status backup_step(void *ctx)
{
    place *p = ctx;
    char *path = tu_path(p->dir, "memory.db");
    eid_status status = eid_instance_backup(p->f.instance, path, NULL, NULL);
    assert_int_equal(access(path, F_OK) == 0, status == EID_OK);
    unlink(path);
    free(path);
    return status;
}

static void test_backups_without_memory(void **state)
{
    place *p = *state;
    assert_true(tu_alloc_fault_loop(backup_step, p) >= 3);
}

/* ---- Compaction and sizes ---- */

static int64_t size_of_both(const place *p)
{
    struct stat info;
    char *index_path;
    assert_int_equal(stat(p->path, &info), 0);
    int64_t size = info.st_size;
    assert_true(asprintf(&index_path, "%s-index", p->path) > 0);
    assert_int_equal(stat(index_path, &info), 0);
    free(index_path);
    return size + info.st_size;
}

static void test_compaction(void **state)
{
    place *p = *state;
    make_large(p);
    eid_storage *storage = eid_core_storage(eid_instance_core(p->f.instance));
    eid_storage_lock(storage);
    tu_assert_ok(eid_sql_exec(eid_storage_sql(storage), "CREATE TABLE gap (x BLOB); INSERT INTO gap VALUES (zeroblob(5000000));"
                                                        "DROP TABLE gap"));
    eid_storage_unlock(storage);
    eid_sizes sizes;
    tu_assert_ok(eid_instance_sizes(p->f.instance, &sizes));
    assert_true(sizes.free_bytes > 4000000);
    uint8_t there[32], here[32];
    tu_assert_ok(eid_database_state_hash(p->database, there));
    uint64_t before = 0, after = 0;
    tu_assert_ok(eid_instance_compact(p->f.instance, &before, &after));
    assert_int_equal(before, sizes.total);
    assert_true(after + 4000000 < before);
    tu_assert_ok(eid_instance_sizes(p->f.instance, &sizes));
    assert_int_equal(sizes.total, after);
    assert_int_equal(sizes.free_bytes, 0);
    assert_int_equal(size_of_both(p), after);
    tu_assert_ok(eid_database_state_hash(p->database, here));
    assert_memory_equal(here, there, sizeof here);
    write_page(p->database, 1);
    tu_assert_ok(eid_instance_compact(p->f.instance, NULL, NULL));
    place_shut(p);
    assert_clean_file(p->url, 4);
}

static void test_compaction_that_fails(void **state)
{
    place *p = *state;
    eid_sql *sql = eid_storage_sql(eid_core_storage(eid_instance_core(p->f.instance)));
    uint64_t before = 77;
    for (uint64_t call = 1;; call++) {
        eid_sql_fail_after(sql, call);
        eid_status status = eid_instance_compact(p->f.instance, &before, NULL);
        eid_sql_fail_after(sql, 0);
        write_page(p->database, (int)call);
        if (status == EID_OK)
            break;
        assert_int_equal(status, EID_ERR_STORAGE);
        assert_int_equal(before, 77);
    }
    place_shut(p);
    assert_clean_file(p->url, 4);
}

static uint64_t sum_of(const eid_sizes *s)
{
    return s->entries + s->entry_ids + s->participation + s->participation_order + s->cells + s->touches + s->quarantine +
           s->other + s->free_bytes;
}

static void assert_near(const char *what, uint64_t estimate, uint64_t exact)
{
    if (estimate * 2 < exact || exact * 2 < estimate)
        fail_msg("%s: estimated %llu, counted %llu", what, (unsigned long long)estimate, (unsigned long long)exact);
}

static void test_sizes(void **state)
{
    place *p = *state;
    for (int i = 0; i < 6000; i++)
        write_page(p->database, i);
    eid_sizes exact, estimate;
    tu_assert_ok(eid_instance_flush(p->f.instance));
    tu_assert_ok(eid_instance_sizes(p->f.instance, &exact));
    assert_int_equal(exact.total, size_of_both(p));
    eid_storage *storage = eid_core_storage(eid_instance_core(p->f.instance));
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_sizes(storage, false, &estimate));
    eid_storage_unlock(storage);
    assert_false(estimate.exact);
    assert_int_equal(estimate.total, exact.total);
    assert_true(sum_of(&estimate) >= estimate.total - 16 && sum_of(&estimate) <= estimate.total);
    if (!exact.exact) {
        printf("[   NOTE   ] this SQLite does not count pages: only estimates were tried\n");
        return;
    }
    assert_int_equal(sum_of(&exact), exact.total);
    assert_true(exact.entries > 3000 * 400); /* a signed entry with one key */
    assert_near("entries", estimate.entries, exact.entries);
    assert_near("entry_ids", estimate.entry_ids, exact.entry_ids);
    assert_near("participation", estimate.participation, exact.participation);
    assert_near("participation_order", estimate.participation_order, exact.participation_order);
    assert_near("touches", estimate.touches, exact.touches);
    assert_true(exact.cells > 0 && exact.quarantine > 0);
}

static eid_status sizes_step(void *ctx)
{
    place *p = ctx;
    eid_sizes sizes;
    return eid_instance_sizes(p->f.instance, &sizes);
}

static void test_sizes_that_fail(void **state)
{
    place *p = *state;
    tu_alloc_fault_loop(sizes_step, p);
    eid_sql *sql = eid_storage_sql(eid_core_storage(eid_instance_core(p->f.instance)));
    eid_sizes sizes = {.total = 77};
    eid_sql_fail_after(sql, 1);
    tu_assert_fails(eid_instance_sizes(p->f.instance, &sizes), EID_ERR_STORAGE);
    eid_sql_fail_after(sql, 0);
    assert_int_equal(sizes.total, 77);
}

/* ---- Checks from outside ---- */

static void damage(const char *path, const char *text)
{
    eid_sql_options options = {.must_exist = true};
    eid_sql *sql;
    char *file = tu_file_of(path, text);
    tu_assert_ok(eid_sql_open(file, &options, &sql));
    tu_assert_ok(eid_sql_exec(sql, text));
    eid_sql_close(sql);
    free(file);
}

static void test_a_file_whose_instance_does_not_open(void **state)
{
    place *p = *state;
    eid_check_report report = {.databases = 77};
    tu_assert_fails(eid_check_file(p->url, 0, &report), EID_ERR_BUSY);
    assert_int_equal(report.databases, 77);
    place_shut(p);
    assert_clean_file(p->url, 4);
    damage(p->path, "UPDATE store SET tips = x'8888000000000000' WHERE name = ''");
    eid_instance *instance;
    tu_assert_fails(eid_instance_open_url(p->url, &instance), EID_ERR_CORRUPT);
    tu_assert_ok(eid_check_file(p->url, EID_CHECK_DEFAULT, &report));
    assert_int_equal(report.wrong_stores, 4);
    assert_false(report.repaired);
    tu_assert_ok(eid_check_file(p->url, EID_CHECK_REPAIR, &report));
    if (!report.repaired)
        fail_msg("not repaired: %s", report.text);
    assert_clean_file(p->url, 4);
    fixture_open_url(&p->f, p->url);
    p->user = login(&p->f, "ada");
}

static void test_files_that_are_none(void **state)
{
    place *p = *state;
    char url[600];
    eid_check_report report;
    snprintf(url, sizeof url, "sqlite:%s/nothing.db", p->dir);
    tu_assert_fails(eid_check_file(url, 0, &report), EID_ERR_NOT_INITIALIZED);
    assert_int_equal(files_in(p->dir), 4); /* the data file, its index and their logs; nothing was made */
    tu_assert_fails(eid_check_file("notes.db", 0, &report), EID_ERR_INVALID_URL);
    char *path = tu_path(p->dir, "text");
    tu_write_file(path, "this is no database, only a longer piece of text", 48);
    snprintf(url, sizeof url, "sqlite:%s", path);
    tu_assert_fails(eid_check_file(url, 0, &report), EID_ERR_CORRUPT);
    free(path);
}

static void test_check_by_id(void **state)
{
    place *p = *state;
    eid_check_report report;
    tu_assert_ok(eid_instance_check(p->f.instance, eid_database_root_id(p->database), EID_CHECK_SIGNATURES, &report));
    assert_int_equal(report.databases, 1);
    assert_int_equal(report.entries, entries_of(p->database));
    assert_int_equal(report.signatures, report.entries);
    assert_int_equal(report.problems, 0);
    tu_assert_ok(eid_instance_check(p->f.instance, NULL, EID_CHECK_DEFAULT, &report));
    assert_int_equal(report.databases, 4);
    assert_int_equal(report.problems, 0);
    eid_id stranger = {0};
    tu_assert_fails(eid_instance_check(p->f.instance, &stranger, 0, &report), EID_ERR_DATABASE_NOT_FOUND);
}

/* ---- Moving a database ---- */

typedef struct pipe_of_bytes {
    uint8_t bytes[1 << 20];
    size_t len;
    size_t at;
} pipe_of_bytes;

static eid_status into_pipe(const void *data, size_t len, void *ctx)
{
    pipe_of_bytes *pipe = ctx;
    assert_true(pipe->len + len <= sizeof pipe->bytes);
    memcpy(pipe->bytes + pipe->len, data, len);
    pipe->len += len;
    return EID_OK;
}

static eid_status out_of_pipe(void *data, size_t size, size_t *len, void *ctx)
{
    pipe_of_bytes *pipe = ctx;
    size_t left = pipe->len - pipe->at;
    *len = left < size ? left : size;
    memcpy(data, pipe->bytes + pipe->at, *len);
    pipe->at += *len;
    return EID_OK;
}

static void check_moved(place *p, eid_instance *instance)
{
    uint8_t here[32], there[32];
    state_hash(p->f.instance, eid_database_root_id(p->database), here);
    state_hash(instance, eid_database_root_id(p->database), there);
    assert_memory_equal(here, there, sizeof here);
}

static void test_a_database_moves(void **state)
{
    place *p = *state;
    char *path = tu_path(p->dir, "notes.car");
    eid_import_report report;
    fixture other = {.now_ms = p->f.now_ms};
    tu_assert_ok(eid_database_export(p->database, path));
    fixture_open_url(&other, "memory:");
    tu_assert_ok(eid_instance_import(other.instance, path, &report));
    assert_int_equal(report.admitted, entries_of(p->database));
    assert_true(eid_id_equal(&report.database, eid_database_root_id(p->database)));
    check_moved(p, other.instance);
    /* Whoever is no member may read there, and becomes none by importing. */
    eid_user *stranger = login(&other, "bob");
    eid_database *database;
    assert_int_not_equal(eid_user_open_database(stranger, &report.database, &database), EID_OK);
    eid_user_logout(stranger);
    eid_instance_close(other.instance);
    fixture_open_url(&other, "memory:");
    pipe_of_bytes *pipe = calloc(1, sizeof *pipe);
    tu_assert_ok(eid_database_export_to(p->database, into_pipe, pipe));
    tu_assert_ok(eid_instance_import_from(other.instance, out_of_pipe, pipe, &report));
    check_moved(p, other.instance);
    eid_instance_close(other.instance);
    free(pipe);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PLACE(test_a_backup_opens),
        WITH_INSTANCE(test_a_backup_of_memory),
        WITH_PLACE(test_nothing_is_overwritten),
        WITH_PLACE(test_progress_and_stopping),
        WITH_PLACE(test_writing_during_a_backup),
        WITH_PLACE(test_backups_that_fail_leave_nothing),
        WITH_PLACE(test_backups_without_memory),
        WITH_PLACE(test_compaction),
        WITH_PLACE(test_compaction_that_fails),
        WITH_PLACE(test_sizes),
        WITH_PLACE(test_sizes_that_fail),
        WITH_PLACE(test_a_file_whose_instance_does_not_open),
        WITH_PLACE(test_files_that_are_none),
        WITH_PLACE(test_check_by_id),
        WITH_PLACE(test_a_database_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
