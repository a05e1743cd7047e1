/* SPDX-License-Identifier: Apache-2.0 */
/* Write callbacks: who hears what, in which order, and what removing and failing do. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "database_test.h"

/* ---- A log of calls ---- */

#define LOG 64

typedef struct call_log {
    char names[LOG];
    eid_id ids[LOG];
    eid_write_source sources[LOG];
    size_t count;
} call_log;

typedef struct listener {
    call_log *log;
    char name;
    eid_database *database;
    eid_callback *registration;
} listener;

static void note(eid_database *database, eid_entry *entry, eid_write_source source, void *ctx)
{
    listener *l = ctx;
    assert_ptr_equal(database, l->database);
    assert_true(l->log->count < LOG);
    l->log->names[l->log->count] = l->name;
    l->log->ids[l->log->count] = *eid_entry_id(entry);
    l->log->sources[l->log->count++] = source;
}

static listener *listen(call_log *log, char name, eid_database *database, const char *store, unsigned sources)
{
    listener *l = calloc(1, sizeof *l);
    *l = (listener){log, name, database, NULL};
    tu_assert_ok(eid_database_on_store_write(database, store, sources, note, l, &l->registration));
    return l;
}

static void stop(listener *l)
{
    eid_callback_remove(l->registration);
    free(l);
}

static void expect_log(call_log *log, const char *names)
{
    assert_int_equal(log->count, strlen(names));
    assert_memory_equal(log->names, names, log->count);
    log->count = 0;
}

typedef struct world {
    eid_core *core;
    eid_database *database;
    eid_core *elsewhere;
    eid_database *remote;
} world;

static world world_open(void)
{
    world w = {.core = dt_memory(), .elsewhere = dt_memory()};
    w.database = dt_create(w.core);
    eid_entry *root = dt_entry(w.database, eid_database_root_id(w.database));
    dt_receive(w.elsewhere, eid_database_root_id(w.database), &root, 1);
    eid_entry_unref(root);
    w.remote = dt_open_as(w.elsewhere, eid_database_root_id(w.database), 1);
    return w;
}

static void world_close(world *w)
{
    eid_database_close(w->remote);
    eid_core_close(w->elsewhere);
    eid_database_close(w->database);
    eid_core_close(w->core);
}

/* Commits there and receives here, children in front of their parents. */
static void write_remotely(world *w, const char *store, size_t count, eid_id *ids)
{
    eid_entry *entries[8];
    for (size_t i = 0; i < count; i++) {
        ids[i] = dt_commit_int(w->remote, store, "k", (int64_t)i);
        entries[count - 1 - i] = dt_entry(w->remote, &ids[i]);
    }
    dt_receive(w->core, eid_database_root_id(w->database), entries, count);
    for (size_t i = 0; i < count; i++)
        eid_entry_unref(entries[i]);
}

/* ---- Who hears what ---- */

/* Features 136, W16 */
static void test_sources_and_stores(void **state)
{
    (void)state;
    world w = world_open();
    call_log log = {.count = 0};
    eid_id ids[2];
    listener *all = listen(&log, 'a', w.database, NULL, EID_SOURCE_ALL);
    listener *local = listen(&log, 'l', w.database, NULL, EID_SOURCE_LOCAL);
    listener *remote = listen(&log, 'r', w.database, NULL, EID_SOURCE_REMOTE);
    listener *store = listen(&log, 's', w.database, "s", EID_SOURCE_ALL);
    listener *store_remote = listen(&log, 'x', w.database, "s", EID_SOURCE_REMOTE);
    dt_commit_int(w.database, "other", "k", 1);
    expect_log(&log, "al");
    eid_id id = dt_commit_int(w.database, "s", "k", 1);
    assert_true(eid_id_equal(&log.ids[0], &id));
    assert_int_equal(log.sources[0], EID_WRITE_LOCAL);
    expect_log(&log, "als");
    write_remotely(&w, "other", 1, ids);
    assert_true(eid_id_equal(&log.ids[0], &ids[0]));
    assert_int_equal(log.sources[0], EID_WRITE_REMOTE);
    expect_log(&log, "ar");
    write_remotely(&w, "s", 1, ids);
    expect_log(&log, "arsx");
    /* Each hears of both entries before the next does, the parent first. */
    write_remotely(&w, "s", 2, ids);
    assert_true(eid_id_equal(&log.ids[0], &ids[0]));
    assert_true(eid_id_equal(&log.ids[1], &ids[1]));
    expect_log(&log, "aarrssxx");
    stop(all);
    stop(local);
    stop(remote);
    stop(store);
    stop(store_remote);
    world_close(&w);
}

/* Feature 135 */
static void test_the_three_short_forms(void **state)
{
    (void)state;
    world w = world_open();
    call_log log = {.count = 0};
    listener listeners[3] = {{&log, 'a', w.database, NULL}, {&log, 'l', w.database, NULL}, {&log, 'r', w.database, NULL}};
    eid_id id;
    tu_assert_ok(eid_database_on_write(w.database, note, &listeners[0], &listeners[0].registration));
    tu_assert_ok(eid_database_on_local_write(w.database, note, &listeners[1], &listeners[1].registration));
    tu_assert_ok(eid_database_on_remote_write(w.database, note, &listeners[2], &listeners[2].registration));
    dt_commit_int(w.database, "s", "k", 1);
    expect_log(&log, "al");
    write_remotely(&w, "s", 1, &id);
    expect_log(&log, "ar");
    for (int i = 0; i < 3; i++)
        eid_callback_remove(listeners[i].registration);
    dt_commit_int(w.database, "s", "k", 2);
    expect_log(&log, "");
    world_close(&w);
}

/* In the order of registration, whatever was removed and added in between. */
static void test_order_of_registration(void **state)
{
    (void)state;
    world w = world_open();
    call_log log = {.count = 0};
    eid_database *again = dt_open_as(w.core, eid_database_root_id(w.database), 0);
    eid_database *other = dt_create(w.core);
    listener *a = listen(&log, 'a', w.database, NULL, EID_SOURCE_ALL);
    listener *b = listen(&log, 'b', w.database, NULL, EID_SOURCE_ALL);
    listener *c = listen(&log, 'c', again, NULL, EID_SOURCE_ALL);
    listener *d = listen(&log, 'd', other, NULL, EID_SOURCE_ALL);
    dt_commit_int(w.database, "s", "k", 1);
    expect_log(&log, "abc");
    stop(b);
    listener *e = listen(&log, 'e', w.database, NULL, EID_SOURCE_ALL);
    dt_commit_int(w.database, "s", "k", 2);
    expect_log(&log, "ace");
    dt_commit_int(other, "s", "k", 2);
    expect_log(&log, "d");
    stop(a);
    stop(e);
    dt_commit_int(w.database, "s", "k", 3);
    expect_log(&log, "c");
    stop(c);
    stop(d);
    eid_callback_remove(NULL);
    eid_database_close(again);
    eid_database_close(other);
    world_close(&w);
}

static void test_wrong_arguments(void **state)
{
    (void)state;
    world w = world_open();
    eid_callback *registration = (eid_callback *)(void *)&w;
    tu_assert_fails(eid_database_on_write(w.database, NULL, NULL, &registration), EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_database_on_write(w.database, note, NULL, NULL), EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_database_on_store_write(w.database, NULL, 0, note, NULL, &registration), EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_database_on_store_write(w.database, NULL, 4, note, NULL, &registration), EID_ERR_INVALID_ARGUMENT);
    assert_ptr_equal(registration, &w);
    world_close(&w);
}

/* ---- From inside a callback ---- */

typedef struct chain {
    eid_database *next;
    eid_callback *added;
    call_log *log;
    int calls;
} chain;

static void commit_elsewhere(eid_database *database, eid_entry *entry, eid_write_source source, void *ctx)
{
    (void)database;
    (void)entry;
    (void)source;
    chain *c = ctx;
    c->calls++;
    dt_commit_int(c->next, "s", "from a callback", c->calls);
}

static void test_a_callback_commits_to_another_database(void **state)
{
    (void)state;
    world w = world_open();
    call_log log = {.count = 0};
    eid_database *next = dt_create(w.core);
    chain c = {.next = next};
    eid_callback *registration;
    tu_assert_ok(eid_database_on_write(w.database, commit_elsewhere, &c, &registration));
    listener *l = listen(&log, 'n', next, NULL, EID_SOURCE_ALL);
    dt_commit_int(w.database, "s", "k", 1);
    dt_commit_int(w.database, "s", "k", 2);
    assert_int_equal(dt_int(next, "s", "from a callback"), 2);
    expect_log(&log, "nn");
    stop(l);
    eid_callback_remove(registration);
    eid_database_close(next);
    world_close(&w);
}

static listener late;

static void register_more(eid_database *database, eid_entry *entry, eid_write_source source, void *ctx)
{
    (void)entry;
    (void)source;
    chain *c = ctx;
    if (c->calls++ == 0) {
        late = (listener){c->log, 'n', database, NULL};
        tu_assert_ok(eid_database_on_write(database, note, &late, &c->added));
    }
}

/* Who registers during a write hears of the next one first. */
static void test_registered_during_a_write(void **state)
{
    (void)state;
    world w = world_open();
    call_log log = {.count = 0};
    chain c = {.log = &log};
    eid_callback *registration;
    tu_assert_ok(eid_database_on_write(w.database, register_more, &c, &registration));
    dt_commit_int(w.database, "s", "k", 1);
    expect_log(&log, "");
    dt_commit_int(w.database, "s", "k", 2);
    expect_log(&log, "n");
    eid_callback_remove(c.added);
    eid_callback_remove(registration);
    world_close(&w);
}

/* ---- Removing while it runs ---- */

typedef struct slow {
    _Atomic bool entered;
    _Atomic bool may_leave;
    _Atomic bool left;
    eid_callback *registration;
    eid_database *database;
} slow;

static void take_long(eid_database *database, eid_entry *entry, eid_write_source source, void *ctx)
{
    (void)database;
    (void)entry;
    (void)source;
    slow *s = ctx;
    s->entered = true;
    while (!s->may_leave)
        sched_yield();
    s->left = true;
}

static void *commit_one(void *argument)
{
    slow *s = argument;
    dt_commit_int(s->database, "s", "k", 1);
    return NULL;
}

static void *let_go(void *argument)
{
    slow *s = argument;
    for (int i = 0; i < 1000; i++)
        sched_yield();
    s->may_leave = true;
    return NULL;
}

static void test_removing_waits_for_a_running_call(void **state)
{
    (void)state;
    world w = world_open();
    call_log log = {.count = 0};
    slow s = {.database = w.database};
    tu_assert_ok(eid_database_on_write(w.database, take_long, &s, &s.registration));
    listener *behind = listen(&log, 'b', w.database, NULL, EID_SOURCE_ALL);
    pthread_t committer, helper;
    assert_int_equal(pthread_create(&committer, NULL, commit_one, &s), 0);
    while (!s.entered)
        sched_yield();
    assert_int_equal(pthread_create(&helper, NULL, let_go, &s), 0);
    eid_callback_remove(s.registration);
    assert_true(s.left);
    pthread_join(committer, NULL);
    pthread_join(helper, NULL);
    expect_log(&log, "b");
    stop(behind);
    world_close(&w);
}

/* ---- Failures ---- */

typedef struct fault {
    eid_database *database;
    call_log *log;
} fault;

static eid_status register_and_remove(void *ctx)
{
    fault *f = ctx;
    eid_callback *registration;
    EID_TRY(eid_database_on_store_write(f->database, "s", EID_SOURCE_ALL, note, NULL, &registration));
    eid_callback_remove(registration);
    return EID_OK;
}

static eid_status commit_something(void *ctx)
{
    fault *f = ctx;
    eid_txn *txn;
    eid_txn_store *store;
    eid_value *value;
    size_t before = f->log->count;
    EID_TRY(eid_database_new_transaction(f->database, &txn));
    eid_status status = eid_txn_open_store(txn, "s", EID_TYPE_DOCSTORE, &store);
    if (status == EID_OK)
        status = eid_value_new_int(1, &value);
    if (status == EID_OK) {
        status = eid_txn_store_put(store, eid_slice_text("k"), value);
        if (status != EID_OK)
            eid_value_free(value);
    }
    if (status == EID_OK)
        status = eid_txn_commit(txn, NULL);
    eid_txn_free(txn);
    /* What was committed was told, what was not was not. */
    assert_int_equal(f->log->count - before, status == EID_OK ? 1 : 0);
    f->log->count = 0;
    return status;
}

static void test_registering_without_memory(void **state)
{
    (void)state;
    world w = world_open();
    fault f = {w.database, NULL};
    assert_int_equal(tu_alloc_fault_loop(register_and_remove, &f), 2);
    world_close(&w);
}

static void test_committing_without_memory(void **state)
{
    (void)state;
    tu_alloc_install();
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    call_log log = {.count = 0};
    fault f = {database, &log};
    dt_commit_int(database, "s", "k", 0);
    listener *l = listen(&log, 'a', database, NULL, EID_SOURCE_ALL);
    eid_status status;
    size_t point = 0;
    do {
        tu_alloc_fail_at(++point);
        status = commit_something(&f);
        assert_int_equal(status, tu_alloc_fired() ? EID_ERR_NO_MEMORY : EID_OK);
    } while (status != EID_OK);
    assert_true(point > 20);
    tu_alloc_fail_at(0);
    stop(l);
    eid_database_close(database);
    eid_core_close(core);
    assert_int_equal(tu_alloc_live(), 0);
    tu_alloc_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sources_and_stores),
        cmocka_unit_test(test_the_three_short_forms),
        cmocka_unit_test(test_order_of_registration),
        cmocka_unit_test(test_wrong_arguments),
        cmocka_unit_test(test_a_callback_commits_to_another_database),
        cmocka_unit_test(test_registered_during_a_write),
        cmocka_unit_test(test_removing_waits_for_a_running_call),
        cmocka_unit_test(test_registering_without_memory),
        cmocka_unit_test(test_committing_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
