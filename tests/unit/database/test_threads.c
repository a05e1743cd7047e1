/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: blind writers, writers that read what they change, receivers and readers at once; write callbacks, and their
 * removal while others commit. Few enough rounds for ThreadSanitizer. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "database_test.h"

#include "base/alloc.h"
#include "codec/cid.h"

#define WRITERS 4
#define ROUNDS 60

/* ---- Writers ---- */

typedef struct worker {
    eid_core *core;
    eid_database *database;
    int number;
    atomic_int *running;
} worker;

static void run_threads(void *(*run)(void *), worker *workers, size_t count)
{
    pthread_t threads[WRITERS + 4];
    for (size_t i = 0; i < count; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, &workers[i]), 0);
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

/* Each sets keys of its own, one key in turn with all others, and fields of a document all write to. */
static void *write_blindly(void *argument)
{
    worker *w = argument;
    for (int i = 0; i < ROUNDS; i++) {
        eid_txn *txn;
        char own[16], field[24];
        snprintf(own, sizeof own, "own%d-%02d", w->number, i);
        snprintf(field, sizeof field, "shared.field%d", w->number);
        tu_assert_ok(eid_database_new_transaction(w->database, &txn));
        dt_put_int(txn, "s", own, i);
        dt_put_int(txn, "s", "all", w->number * 1000 + i);
        dt_set_int(txn, "s", field, i);
        tu_assert_ok(eid_txn_commit_free(txn, NULL));
    }
    return NULL;
}

static void test_blind_writers(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    dt_commit_int(database, "s", "start", 1);
    worker workers[WRITERS];
    for (int i = 0; i < WRITERS; i++)
        workers[i] = (worker){.core = core, .database = database, .number = i};
    run_threads(write_blindly, workers, WRITERS);
    uint64_t count;
    tu_assert_ok(eid_database_entry_count(database, &count));
    assert_int_equal(count, 2 + WRITERS * ROUNDS);
    for (int w = 0; w < WRITERS; w++) {
        char path[24];
        for (int i = 0; i < ROUNDS; i++) {
            snprintf(path, sizeof path, "own%d-%02d", w, i);
            assert_int_equal(dt_int(database, "s", path), i);
        }
        snprintf(path, sizeof path, "shared.field%d", w);
        assert_int_equal(dt_int(database, "s", path), ROUNDS - 1);
    }
    assert_true(dt_int(database, "s", "all") >= 0);
    ti_check_core(core);
    eid_database_close(database);
    eid_core_close(core);
}

/* Two transactions that began at one moment and say the same make one entry; both commits succeed. */
static void *say_the_same(void *argument)
{
    worker *w = argument;
    for (int i = 0; i < ROUNDS; i++)
        dt_commit_int(w->database, "s", "k", i / 8);
    return NULL;
}

static void test_writers_of_the_same(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    worker workers[WRITERS];
    for (int i = 0; i < WRITERS; i++)
        workers[i] = (worker){.core = core, .database = database, .number = i};
    run_threads(say_the_same, workers, WRITERS);
    ti_check_core(core);
    eid_database_close(database);
    eid_core_close(core);
}

/* ---- Readers ---- */

typedef struct sums {
    int64_t sum;
    int rows;
} sums;

static bool add(eid_slice key, const eid_value *value, void *ctx)
{
    sums *s = ctx;
    int64_t number;
    (void)key;
    tu_assert_ok(eid_value_as_int(value, &number));
    s->sum += number;
    s->rows++;
    return true;
}

enum { ACCOUNTS = 20 };

/* Moves an amount between two accounts: no transaction ever changes the sum. One thread does it, so that nothing is lost to
 * concurrent changes of the same account. */
static void *move_amounts(void *argument)
{
    worker *w = argument;
    tu_random random = {42};
    for (int i = 0; i < 3 * ROUNDS; i++) {
        eid_txn *txn;
        char from[8], to[8];
        size_t a = (size_t)tu_random_below(&random, ACCOUNTS), b = (a + 1 + (size_t)tu_random_below(&random, ACCOUNTS - 1)) % ACCOUNTS;
        snprintf(from, sizeof from, "%02zu", a);
        snprintf(to, sizeof to, "%02zu", b);
        tu_assert_ok(eid_database_new_transaction(w->database, &txn));
        int64_t have = dt_txn_int(txn, "s", from), there = dt_txn_int(txn, "s", to);
        dt_put_int(txn, "s", from, have - 7);
        dt_put_int(txn, "s", to, there + 7);
        tu_assert_ok(eid_txn_commit_free(txn, NULL));
    }
    atomic_store(w->running, 0);
    return NULL;
}

/* Whatever way a transaction is read, and however slowly, it shows one moment. */
static void *read_sums(void *argument)
{
    worker *w = argument;
    do {
        eid_txn *txn;
        eid_doc *doc;
        tu_assert_ok(eid_database_new_transaction(w->database, &txn));
        eid_txn_store *store = dt_store(txn, "s");
        int64_t sum = 0;
        for (int i = 0; i < ACCOUNTS; i++) {
            char key[8];
            snprintf(key, sizeof key, "%02d", i);
            sum += dt_txn_int(txn, "s", key);
        }
        assert_int_equal(sum, ACCOUNTS * 100);
        sums scanned = {0, 0}, whole = {0, 0};
        tu_assert_ok(eid_txn_store_scan(store, NULL, add, &scanned));
        assert_true(scanned.sum == ACCOUNTS * 100 && scanned.rows == ACCOUNTS);
        tu_assert_ok(eid_txn_store_all(store, &doc));
        const eid_doc_cursor *cursor = NULL;
        const char *key;
        size_t len;
        const eid_value *value;
        while (eid_doc_next(doc, &cursor, &key, &len, &value))
            add(eid_slice_of(key, len), value, &whole);
        assert_true(whole.sum == ACCOUNTS * 100 && whole.rows == ACCOUNTS);
        eid_doc_free(doc);
        eid_txn_free(txn);
    } while (atomic_load(w->running));
    return NULL;
}

static void *run_accounts(void *argument)
{
    worker *w = argument;
    return w->number == 0 ? move_amounts(w) : read_sums(w);
}

static void test_readers_see_one_moment(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    eid_txn *txn;
    atomic_int running = 1;
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    for (int i = 0; i < ACCOUNTS; i++) {
        char key[8];
        snprintf(key, sizeof key, "%02d", i);
        dt_put_int(txn, "s", key, 100);
    }
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    worker workers[3];
    for (int i = 0; i < 3; i++)
        workers[i] = (worker){.core = core, .database = database, .number = i, .running = &running};
    run_threads(run_accounts, workers, 3);
    ti_check_core(core);
    eid_database_close(database);
    eid_core_close(core);
}

/* ---- Receivers ---- */

typedef struct delivery {
    eid_core *core;
    const eid_id *root;
    eid_entry **entries;
    size_t count;
    uint64_t seed;
    atomic_ullong *admitted;
} delivery;

static void *deliver(void *argument)
{
    delivery *d = argument;
    tu_random random = {d->seed};
    for (size_t i = 0; i < d->count;) {
        size_t step = 1 + (size_t)tu_random_below(&random, 40);
        step = d->count - i < step ? d->count - i : step;
        eid_receipt receipt = dt_receive(d->core, d->root, d->entries + i, step);
        if (receipt.refused > 0)
            fail_msg("refused: %s", receipt.text);
        atomic_fetch_add(d->admitted, receipt.admitted);
        i += step;
    }
    return NULL;
}

/* Several peers deliver the same history at once, each in its own order, while it is read and written here. */
static void test_receivers(void **state)
{
    (void)state;
    eid_core *source = dt_memory(), *core = dt_memory();
    eid_database *database = dt_create(source);
    eid_id root = *eid_database_root_id(database);
    tu_random random = {3};
    for (int i = 0; i < 150; i++) {
        eid_txn *txn;
        eid_id at = root;
        if (i > 10 && i % 7 == 0)
            tu_assert_ok(eid_database_new_transaction_at(database, &at, 1, &txn));
        else
            tu_assert_ok(eid_database_new_transaction(database, &txn));
        dt_put_int(txn, "s", i % 2 == 0 ? "a" : "b", i);
        tu_assert_ok(eid_txn_commit_free(txn, NULL));
    }
    size_t count;
    eid_entry **entries = dt_entries(source, &root, &count);
    dt_receive(core, &root, entries, 1);
    atomic_ullong admitted = 1;
    delivery deliveries[3];
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++) {
        deliveries[i] = (delivery){core, &root, calloc(count, sizeof(eid_entry *)), count, i, &admitted};
        memcpy(deliveries[i].entries, entries, count * sizeof(eid_entry *));
        for (size_t k = count; i > 0 && k > 2; k--) {
            size_t other = 1 + (size_t)tu_random_below(&random, k - 1);
            eid_entry *swap = deliveries[i].entries[k - 1];
            deliveries[i].entries[k - 1] = deliveries[i].entries[other];
            deliveries[i].entries[other] = swap;
        }
        assert_int_equal(pthread_create(&threads[i], NULL, deliver, &deliveries[i]), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        free(deliveries[i].entries);
    }
    assert_int_equal(atomic_load(&admitted), count); /* each entry was admitted by one of them */
    eid_database *there = dt_open_as(core, &root, 0);
    uint8_t here[32], hash[32];
    tu_assert_ok(eid_database_state_hash(database, here));
    tu_assert_ok(eid_database_state_hash(there, hash));
    assert_memory_equal(here, hash, 32);
    ti_check_core(core);
    th_free_entries(entries, count);
    eid_database_close(there);
    eid_database_close(database);
    eid_core_close(source);
    eid_core_close(core);
}

/* ---- Callbacks ---- */

typedef struct record {
    eid_database *database;
    char text[512];
    char name;
} record;

static char log_text[512];

static void write_down(eid_database *database, eid_entry *entry, eid_write_source source, void *ctx)
{
    record *r = ctx;
    size_t len = strlen(log_text);
    assert_ptr_equal(database, r->database);
    snprintf(log_text + len, sizeof log_text - len, "%c%s%llu ", r->name, source == EID_WRITE_LOCAL ? "l" : "r",
             (unsigned long long)eid_entry_height(entry));
}

static void hook(const eid_id *database, eid_entry *const *entries, size_t count, eid_write_source source, void *ctx)
{
    size_t len = strlen(log_text);
    (void)database;
    assert_int_equal(eid_entry_height(entries[0]) + count - 1, eid_entry_height(entries[count - 1]));
    snprintf(log_text + len, sizeof log_text - len, "%s%s%zu ", (const char *)ctx, source == EID_WRITE_LOCAL ? "l" : "r", count);
}

static void test_order_of_callbacks(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core), *same = dt_open_as(core, eid_database_root_id(database), 0), *other = dt_create(core);
    record records[3] = {{.database = database, .name = 'a'}, {.database = same, .name = 'b'}, {.database = other, .name = 'c'}};
    eid_callback *registrations[3];
    tu_assert_fails(eid_database_on_write(database, NULL, NULL, &registrations[0]), EID_ERR_INVALID_ARGUMENT);
    for (int i = 0; i < 3; i++)
        tu_assert_ok(eid_database_on_write(records[i].database, write_down, &records[i], &registrations[i]));
    char hook_name[] = "h";
    eid_core_set_hook(core, hook, hook_name);
    log_text[0] = '\0';
    dt_commit_int(database, "s", "k", 1);
    assert_string_equal(log_text, "hl1 al1 bl1 ");
    log_text[0] = '\0';
    dt_commit_int(other, "s", "k", 1);
    assert_string_equal(log_text, "hl1 cl1 ");
    /* Nothing happened, nothing is told: empty commits, refused ones, entries held already. */
    log_text[0] = '\0';
    eid_txn *txn;
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    tu_assert_ok(eid_database_new_transaction(same, &txn));
    dt_put_int(txn, "s", "k", 2);
    tu_assert_fails(eid_txn_commit_free(txn, NULL), EID_ERR_AUTH_REQUIRED);
    size_t count;
    eid_entry **entries = dt_entries(core, eid_database_root_id(database), &count);
    dt_receive(core, eid_database_root_id(database), entries, count);
    assert_string_equal(log_text, "");
    /* From elsewhere: entries that waited are told when they are admitted, parents first. */
    eid_core *away = dt_memory();
    dt_receive(away, eid_database_root_id(database), entries, count);
    eid_database *remote = dt_open_as(away, eid_database_root_id(database), 1);
    for (int i = 0; i < 3; i++)
        dt_commit_int(remote, "s", "k", i);
    size_t more;
    eid_entry **later = dt_entries(away, eid_database_root_id(database), &more);
    assert_int_equal(more, count + 3);
    dt_receive(core, eid_database_root_id(database), &later[count + 1], 2);
    assert_string_equal(log_text, "");
    dt_receive(core, eid_database_root_id(database), &later[count], 1);
    assert_string_equal(log_text, "hr3 ar2 ar3 ar4 br2 br3 br4 ");
    eid_core_set_hook(core, NULL, NULL);
    eid_callback_remove(registrations[0]);
    eid_callback_remove(NULL);
    log_text[0] = '\0';
    dt_commit_int(database, "s", "k", 9);
    assert_string_equal(log_text, "bl5 ");
    eid_callback_remove(registrations[1]);
    eid_callback_remove(registrations[2]);
    th_free_entries(entries, count);
    th_free_entries(later, more);
    eid_database_close(remote);
    eid_database_close(other);
    eid_database_close(same);
    eid_database_close(database);
    eid_core_close(away);
    eid_core_close(core);
}

/* Callbacks that read and write: no lock is held around them. */
static void commit_elsewhere(eid_database *database, eid_entry *entry, eid_write_source source, void *ctx)
{
    (void)source;
    eid_database *log = ctx;
    assert_true(dt_int(database, "s", "k") >= 0);
    dt_commit_int(log, "log", "height", (int64_t)eid_entry_height(entry));
}

static void test_callbacks_that_write(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core), *log = dt_create(core);
    eid_callback *registration;
    tu_assert_ok(eid_database_on_write(database, commit_elsewhere, log, &registration));
    for (int i = 0; i < 5; i++)
        dt_commit_int(database, "s", "k", i);
    assert_int_equal(dt_int(log, "log", "height"), 5);
    eid_callback_remove(registration);
    eid_database_close(log);
    eid_database_close(database);
    eid_core_close(core);
}

/* What the callback uses is taken away right after its removal. */
typedef struct fragile {
    atomic_int alive;
    atomic_int calls;
} fragile;

static void touch(eid_database *database, eid_entry *entry, eid_write_source source, void *ctx)
{
    (void)database;
    (void)entry;
    (void)source;
    fragile *f = ctx;
    assert_int_equal(atomic_load(&f->alive), 1);
    atomic_fetch_add(&f->calls, 1);
    usleep(300); /* time for a removal that does not wait */
    assert_int_equal(atomic_load(&f->alive), 1);
}

static void *commit_on_and_on(void *argument)
{
    worker *w = argument;
    for (int i = 0; atomic_load(w->running); i++)
        dt_commit_int(w->database, "s", "k", w->number * 100000 + i);
    return NULL;
}

static void test_removal_while_others_commit(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    atomic_int running = 1;
    worker workers[2];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        workers[i] = (worker){.core = core, .database = database, .number = i, .running = &running};
        assert_int_equal(pthread_create(&threads[i], NULL, commit_on_and_on, &workers[i]), 0);
    }
    int heard = 0;
    for (int i = 0; i < 40; i++) {
        fragile *f = calloc(2, sizeof *f);
        eid_callback *registrations[2];
        for (int k = 0; k < 2; k++) {
            atomic_store(&f[k].alive, 1);
            tu_assert_ok(eid_database_on_write(database, touch, &f[k], &registrations[k]));
        }
        for (int tries = 0; atomic_load(&f[1].calls) == 0 && tries < 1000; tries++)
            usleep(100);
        for (int k = 0; k < 2; k++) {
            eid_callback_remove(registrations[(i + k) % 2]);
            atomic_store(&f[(i + k) % 2].alive, 0);
            heard += atomic_load(&f[(i + k) % 2].calls) > 0;
        }
        free(f);
    }
    atomic_store(&running, 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_true(heard > 0);
    ti_check_core(core);
    eid_database_close(database);
    eid_core_close(core);
}

static void touch_by_hook(const eid_id *database, eid_entry *const *entries, size_t count, eid_write_source source, void *ctx)
{
    (void)database;
    touch(NULL, entries[count - 1], source, ctx);
}

/* The hook's context is gone as soon as it was taken away, or replaced. */
static void test_hooks_change_while_others_commit(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    atomic_int running = 1;
    worker workers[2];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        workers[i] = (worker){.core = core, .database = database, .number = i, .running = &running};
        assert_int_equal(pthread_create(&threads[i], NULL, commit_on_and_on, &workers[i]), 0);
    }
    int heard = 0;
    for (int i = 0; i < 40; i++) {
        fragile *f = calloc(2, sizeof *f);
        for (int k = 0; k < 2; k++) {
            atomic_store(&f[k].alive, 1);
            eid_core_set_hook(core, touch_by_hook, &f[k]);
            if (k > 0)
                atomic_store(&f[k - 1].alive, 0);
            for (int tries = 0; atomic_load(&f[k].calls) == 0 && tries < 1000; tries++)
                usleep(100);
        }
        eid_core_set_hook(core, NULL, NULL);
        atomic_store(&f[1].alive, 0);
        heard += atomic_load(&f[0].calls) > 0 && atomic_load(&f[1].calls) > 0;
        free(f);
    }
    atomic_store(&running, 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_true(heard > 0);
    eid_database_close(database);
    eid_core_close(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blind_writers),          cmocka_unit_test(test_writers_of_the_same),
        cmocka_unit_test(test_readers_see_one_moment), cmocka_unit_test(test_receivers),
        cmocka_unit_test(test_order_of_callbacks),     cmocka_unit_test(test_callbacks_that_write),
        cmocka_unit_test(test_removal_while_others_commit), cmocka_unit_test(test_hooks_change_while_others_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
