/* SPDX-License-Identifier: Apache-2.0 */
/* The change feed: order, descriptor, sources, cursors, slow readers, writers on other threads. */
#include <eidetica/changes.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "random_database.h"

static bool is_readable(const eid_changes *feed)
{
    struct pollfd wait = {.fd = eid_changes_fd(feed), .events = POLLIN};
    return poll(&wait, 1, 0) == 1;
}

static eid_changes *open_feed(eid_database *database, const char *store, const char *cursor)
{
    eid_changes *feed;
    tu_assert_ok(eid_changes_open(database, store, cursor, &feed));
    return feed;
}

static void expect_change(eid_changes *feed, eid_change_kind kind, const eid_id *id)
{
    eid_change change = {(eid_change_kind)99, NULL};
    assert_true(is_readable(feed));
    tu_assert_ok(eid_changes_next(feed, &change));
    assert_int_equal(change.kind, kind);
    assert_non_null(change.entry);
    assert_true(eid_id_equal(eid_entry_id(change.entry), id));
    eid_entry_unref(change.entry);
}

static void expect_none(eid_changes *feed)
{
    eid_change change = {(eid_change_kind)99, (eid_entry *)(void *)feed};
    tu_assert_ok(eid_changes_next(feed, &change));
    assert_int_equal(change.kind, EID_CHANGE_NONE);
    assert_null(change.entry);
    assert_false(is_readable(feed));
}

static char *cursor_of(const eid_changes *feed)
{
    char *cursor;
    tu_assert_ok(eid_changes_cursor(feed, &cursor));
    return cursor;
}

/* The same database in a second core, so that entries can come from elsewhere. */
typedef struct pair {
    eid_core *core;
    eid_database *database;
    eid_core *elsewhere;
    eid_database *remote;
} pair;

static pair pair_open(void)
{
    pair p = {.core = dt_memory(), .elsewhere = dt_memory()};
    p.database = dt_create(p.core);
    size_t count;
    eid_entry **entries = dt_entries(p.core, eid_database_root_id(p.database), &count);
    dt_receive(p.elsewhere, eid_database_root_id(p.database), entries, count);
    th_free_entries(entries, count);
    p.remote = dt_open_as(p.elsewhere, eid_database_root_id(p.database), 1);
    return p;
}

static void pair_close(pair *p)
{
    eid_database_close(p->remote);
    eid_core_close(p->elsewhere);
    eid_database_close(p->database);
    eid_core_close(p->core);
}

static eid_id write_remotely(pair *p, const char *store, int64_t value)
{
    eid_id id = dt_commit_int(p->remote, store, "k", value);
    eid_entry *entry = dt_entry(p->remote, &id);
    eid_receipt receipt = dt_receive(p->core, eid_database_root_id(p->database), &entry, 1);
    assert_int_equal(receipt.admitted, 1);
    eid_entry_unref(entry);
    return id;
}

/* ---- Arrivals ---- */

/* Feature W16 */
static void test_local_and_remote(void **state)
{
    (void)state;
    pair p = pair_open();
    dt_commit_int(p.database, "s", "k", 0); /* before the feed: not in it */
    eid_changes *feed = open_feed(p.database, NULL, NULL);
    assert_false(is_readable(feed));
    expect_none(feed);
    eid_id a = dt_commit_int(p.database, "s", "k", 1);
    eid_id b = write_remotely(&p, "s", 2);
    eid_id c = write_remotely(&p, "s", 3);
    eid_id d = dt_commit_int(p.database, "s", "k", 4);
    expect_change(feed, EID_CHANGE_LOCAL, &a);
    expect_change(feed, EID_CHANGE_REMOTE, &b);
    expect_change(feed, EID_CHANGE_REMOTE, &c);
    expect_change(feed, EID_CHANGE_LOCAL, &d);
    expect_none(feed);
    expect_none(feed);
    eid_id e = write_remotely(&p, "s", 5);
    expect_change(feed, EID_CHANGE_REMOTE, &e);
    expect_none(feed);
    eid_changes_close(feed);
    pair_close(&p);
}

static void test_one_store(void **state)
{
    (void)state;
    pair p = pair_open();
    eid_changes *feed = open_feed(p.database, "later", NULL);
    eid_changes *all = open_feed(p.database, NULL, NULL);
    eid_id other = dt_commit_int(p.database, "s", "k", 1);
    assert_false(is_readable(feed));
    eid_id first = dt_commit_int(p.database, "later", "k", 1);
    write_remotely(&p, "s", 2);
    eid_id second = write_remotely(&p, "later", 3);
    expect_change(feed, EID_CHANGE_LOCAL, &first);
    expect_change(feed, EID_CHANGE_REMOTE, &second);
    expect_none(feed);
    dt_commit_int(p.database, "s", "k", 4);
    assert_false(is_readable(feed));
    expect_change(all, EID_CHANGE_LOCAL, &other);
    expect_change(all, EID_CHANGE_LOCAL, &first);
    eid_changes_close(feed);
    eid_changes_close(all);
    pair_close(&p);
}

/* A database of its own is told nothing of others in the same file. */
static void test_other_databases(void **state)
{
    (void)state;
    pair p = pair_open();
    eid_database *other = dt_create(p.core);
    eid_changes *feed = open_feed(p.database, NULL, NULL);
    dt_commit_int(other, "s", "k", 1);
    assert_false(is_readable(feed));
    eid_id id = dt_commit_int(p.database, "s", "k", 1);
    dt_commit_int(other, "s", "k", 2);
    expect_change(feed, EID_CHANGE_LOCAL, &id);
    expect_none(feed);
    eid_changes_close(feed);
    eid_database_close(other);
    pair_close(&p);
}

/* Whatever the order of arrival: every entry once, parents before children. */
static void test_random_arrivals(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 100; i++) {
        random_database w;
        rd_make(&w, 9100 + i, NULL);
        eid_changes *feed = open_feed(w.database, NULL, "");
        bool *seen = tm_set(&w.model, false);
        for (size_t n = 0; n < w.model.count; n++) {
            eid_change change;
            tu_assert_ok(eid_changes_next(feed, &change));
            assert_int_equal(change.kind, EID_CHANGE_EARLIER);
            size_t node = tm_find(&w.model, eid_entry_id(change.entry));
            assert_true(node != TM_NONE && !seen[node]);
            for (size_t k = 0; k < w.model.nodes[node].parent_count; k++)
                assert_true(seen[w.model.nodes[node].parents[k]]);
            seen[node] = true;
            eid_entry_unref(change.entry);
        }
        expect_none(feed);
        free(seen);
        eid_changes_close(feed);
        rd_free(&w);
    }
}

/* ---- Cursors ---- */

static void test_cursor_survives_the_program(void **state)
{
    (void)state;
    char *dir = tu_temp_dir(), *path = tu_path(dir, "data.db");
    eid_core *core = dt_open(path);
    eid_database *database = dt_create(core);
    eid_id root = *eid_database_root_id(database), ids[100];
    eid_changes *feed = open_feed(database, NULL, NULL);
    for (int i = 0; i < 100; i++)
        ids[i] = dt_commit_int(database, "s", "k", i);
    for (int i = 0; i < 40; i++)
        expect_change(feed, EID_CHANGE_LOCAL, &ids[i]);
    char *cursor = cursor_of(feed);
    eid_changes_close(feed);
    eid_database_close(database);
    eid_core_close(core);

    core = dt_open(path);
    database = dt_open_as(core, &root, 1);
    feed = open_feed(database, "s", cursor);
    assert_true(is_readable(feed));
    eid_id newest = dt_commit_int(database, "s", "k", 1000);
    for (int i = 40; i < 100; i++)
        expect_change(feed, EID_CHANGE_EARLIER, &ids[i]);
    expect_change(feed, EID_CHANGE_LOCAL, &newest);
    expect_none(feed);
    eid_free(cursor);
    cursor = cursor_of(feed);
    eid_changes_close(feed);
    /* From the end there is nothing, from "" there is everything. */
    feed = open_feed(database, NULL, cursor);
    expect_none(feed);
    eid_changes_close(feed);
    eid_free(cursor);
    feed = open_feed(database, NULL, "");
    cursor = cursor_of(feed);
    assert_string_equal(cursor, "");
    expect_change(feed, EID_CHANGE_EARLIER, &root);
    expect_change(feed, EID_CHANGE_EARLIER, &ids[0]);
    eid_free(cursor);
    eid_changes_close(feed);
    eid_database_close(database);
    eid_core_close(core);
    free(path);
    tu_temp_dir_remove(dir);
}

static void test_wrong_cursors(void **state)
{
    (void)state;
    static const char *const wrong[] = {"c1", "c1:1", "c1:1:", "c1::b", "h1:1:bafyrei", "1", "c1:99999999999999999999:b"};
    pair p = pair_open();
    eid_changes *feed = (eid_changes *)(void *)&p;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        tu_assert_fails(eid_changes_open(p.database, NULL, wrong[i], &feed), EID_ERR_SYNTAX);
    /* An entry nobody has, one of another database, one that arrived at another place. */
    eid_database *other = dt_create(p.core);
    eid_id id = dt_commit_int(other, "s", "k", 1);
    eid_changes *elsewhere = open_feed(other, NULL, "");
    eid_change change;
    tu_assert_ok(eid_changes_next(elsewhere, &change));
    eid_entry_unref(change.entry);
    tu_assert_ok(eid_changes_next(elsewhere, &change));
    assert_true(eid_id_equal(eid_entry_id(change.entry), &id));
    eid_entry_unref(change.entry);
    char *cursor = cursor_of(elsewhere);
    eid_changes_close(elsewhere);
    tu_assert_fails(eid_changes_open(p.database, NULL, cursor, &feed), EID_ERR_NOT_FOUND);
    tu_assert_fails(eid_changes_open(p.remote, NULL, cursor, &feed), EID_ERR_NOT_FOUND);
    char text[EID_ID_TEXT_SIZE], moved[EID_ID_TEXT_SIZE + 16];
    eid_id_format(&id, text);
    snprintf(moved, sizeof moved, "c1:77:%s", text);
    tu_assert_fails(eid_changes_open(other, NULL, moved, &feed), EID_ERR_NOT_FOUND);
    assert_ptr_equal(feed, &p);
    eid_free(cursor);
    eid_database_close(other);
    pair_close(&p);
}

/* ---- Slow readers ---- */

/* Far more switches between local and remote than are remembered: every entry comes, only the oldest without its source. */
static void test_a_slow_reader_misses_nothing(void **state)
{
    (void)state;
    enum { ROUNDS = EID_LIMIT_CHANGES_RUNS };
    pair p = pair_open();
    eid_changes *feed = open_feed(p.database, NULL, NULL);
    eid_id *ids = calloc(2 * ROUNDS, sizeof *ids);
    for (int i = 0; i < ROUNDS; i++) {
        ids[2 * i] = dt_commit_int(p.database, "s", "k", i);
        ids[2 * i + 1] = write_remotely(&p, "s", 1000 + i);
    }
    for (int i = 0; i < ROUNDS; i++)
        expect_change(feed, EID_CHANGE_EARLIER, &ids[i]);
    for (int i = ROUNDS; i < 2 * ROUNDS; i++)
        expect_change(feed, i % 2 == 0 ? EID_CHANGE_LOCAL : EID_CHANGE_REMOTE, &ids[i]);
    expect_none(feed);
    eid_id id = dt_commit_int(p.database, "s", "k", -1);
    expect_change(feed, EID_CHANGE_LOCAL, &id);
    expect_none(feed);
    free(ids);
    eid_changes_close(feed);
    pair_close(&p);
}

/* A run of one source is one however long it is. */
static void test_a_long_run_keeps_its_source(void **state)
{
    (void)state;
    pair p = pair_open();
    eid_changes *feed = open_feed(p.database, NULL, NULL);
    for (int i = 0; i < 2 * EID_LIMIT_CHANGES_RUNS; i++)
        dt_commit_int(p.database, "s", "k", i);
    eid_id last = write_remotely(&p, "s", 1);
    for (int i = 0; i < 2 * EID_LIMIT_CHANGES_RUNS; i++) {
        eid_change change;
        tu_assert_ok(eid_changes_next(feed, &change));
        assert_int_equal(change.kind, EID_CHANGE_LOCAL);
        eid_entry_unref(change.entry);
    }
    expect_change(feed, EID_CHANGE_REMOTE, &last);
    expect_none(feed);
    eid_changes_close(feed);
    pair_close(&p);
}

/* ---- Other threads ---- */

enum { WRITERS = 3, WRITES = 200 };

typedef struct writer {
    eid_database *database;
    pthread_t thread;
    char store[4];
} writer;

static void *write_some(void *argument)
{
    writer *w = argument;
    for (int i = 0; i < WRITES; i++)
        dt_commit_int(w->database, w->store, "k", i);
    return NULL;
}

static void test_writers_on_other_threads(void **state)
{
    (void)state;
    pair p = pair_open();
    eid_changes *feed = open_feed(p.database, NULL, NULL);
    writer writers[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (writer){.database = p.database, .store = {'s', (char)('0' + i), 0}};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_some, &writers[i]), 0);
    }
    int seen[WRITERS] = {0}, total = 0;
    while (total < WRITERS * WRITES) {
        struct pollfd wait = {.fd = eid_changes_fd(feed), .events = POLLIN};
        assert_int_equal(poll(&wait, 1, 10000), 1);
        for (;;) {
            eid_change change;
            tu_assert_ok(eid_changes_next(feed, &change));
            if (change.kind == EID_CHANGE_NONE)
                break;
            assert_int_equal(change.kind, EID_CHANGE_LOCAL);
            for (int i = 0; i < WRITERS; i++) {
                const eid_subtree *subtree = eid_entry_subtree(change.entry, eid_slice_text(writers[i].store));
                if (subtree == NULL)
                    continue;
                /* Each writer's entries come in the order they were written. */
                char want[64];
                snprintf(want, sizeof want, "{\"Int\":%d}", seen[i]++);
                assert_non_null(memmem(subtree->data, subtree->data_len, want, strlen(want)));
                total++;
            }
            eid_entry_unref(change.entry);
        }
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
    expect_none(feed);
    eid_changes_close(feed);
    pair_close(&p);
}

/* ---- Failures ---- */

typedef struct fault {
    eid_database *database;
    const char *cursor;
} fault;

static eid_status read_from_cursor(void *ctx)
{
    fault *f = ctx;
    eid_changes *feed;
    EID_TRY(eid_changes_open(f->database, "s", f->cursor, &feed));
    eid_change change;
    eid_status status;
    size_t count = 0;
    for (;;) {
        status = eid_changes_next(feed, &change);
        if (status != EID_OK || change.kind == EID_CHANGE_NONE)
            break;
        count++;
        eid_entry_unref(change.entry);
    }
    char *cursor = NULL;
    if (status == EID_OK)
        status = eid_changes_cursor(feed, &cursor);
    if (status == EID_OK)
        assert_int_equal(count, 1);
    eid_free(cursor);
    eid_changes_close(feed);
    return status;
}

static void test_memory_failures(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    dt_commit_int(database, "s", "k", 1);
    fault f = {database, ""};
    assert_true(tu_alloc_fault_loop(read_from_cursor, &f) > 5);
    eid_database_close(database);
    eid_core_close(core);
}

/* A reader that meets a failing storage gets the same entry again. */
static void test_storage_failures(void **state)
{
    (void)state;
    pair p = pair_open();
    eid_changes *feed = open_feed(p.database, NULL, NULL);
    eid_id first = dt_commit_int(p.database, "s", "k", 1), second = dt_commit_int(p.database, "s", "k", 2);
    eid_sql *sql = eid_storage_sql(eid_core_storage(p.core));
    uint64_t failures = 0;
    eid_change change = {EID_CHANGE_NONE, NULL};
    eid_sql_fail_after(sql, 1);
    while (eid_changes_next(feed, &change) != EID_OK) {
        assert_int_equal(change.kind, EID_CHANGE_NONE);
        eid_sql_fail_after(sql, ++failures + 1);
    }
    eid_sql_fail_after(sql, 0);
    assert_true(failures > 0);
    assert_true(eid_id_equal(eid_entry_id(change.entry), &first));
    eid_entry_unref(change.entry);
    expect_change(feed, EID_CHANGE_LOCAL, &second);
    expect_none(feed);
    eid_changes_close(feed);
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_local_and_remote),
        cmocka_unit_test(test_one_store),
        cmocka_unit_test(test_other_databases),
        cmocka_unit_test(test_random_arrivals),
        cmocka_unit_test(test_cursor_survives_the_program),
        cmocka_unit_test(test_wrong_cursors),
        cmocka_unit_test(test_a_slow_reader_misses_nothing),
        cmocka_unit_test(test_a_long_run_keeps_its_source),
        cmocka_unit_test(test_writers_on_other_threads),
        cmocka_unit_test(test_memory_failures),
        cmocka_unit_test(test_storage_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
