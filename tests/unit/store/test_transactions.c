/* SPDX-License-Identifier: Apache-2.0 */
/* What transactions promise: all or nothing over several stores, at the frontier or at chosen tips, nothing
 * left of what is given up, no conflicts between threads, no empty entries, and entries that no peer refuses.
 */
#include <pthread.h>

#include "fixture.h"

#include "base/alloc.h"

/* ThreadSanitizer finds in a few rounds what it finds in many, but takes its time for each. */
#if defined(__SANITIZE_THREAD__)
enum { WRITERS = 8, COMMITS = 100, PUSH_EVERY = 7, ROUNDS = 4 };
#else
enum { WRITERS = 8, COMMITS = 500, PUSH_EVERY = 7, ROUNDS = 25 };
#endif

/* ---- Helpers ---- */

static uint64_t entries_of(eid_database *database)
{
    uint64_t count;

    tu_assert_ok(eid_database_entry_count(database, &count));
    return count;
}

typedef struct pile {
    eid_entry **entries;
    size_t count;
} pile;

static bool put_on_pile(eid_entry *entry, void *ctx)
{
    pile *p = ctx;

    p->entries = realloc(p->entries, (p->count + 1) * sizeof(eid_entry *));
    p->entries[p->count++] = eid_entry_ref(entry);
    return true;
}

/* Hands everything the second does not have over to it. Nothing of it may be refused or have to wait. */
static size_t give(eid_core *from, eid_core *to, const eid_id *root)
{
    pile p = {NULL, 0};
    eid_receipt receipt;
    eid_id *tips;
    size_t count;

    tu_assert_ok(eid_core_tips(to, root, &tips, &count));
    tu_assert_ok(eid_core_difference(from, root, tips, count, put_on_pile, &p));
    eid_free(tips);
    if (p.count > 0) {
        tu_assert_ok(eid_core_receive(to, root, p.entries, p.count, &receipt, NULL));
        if (receipt.refused > 0 || receipt.waiting > 0)
            fail_msg("%zu refused, %zu waiting: %s", (size_t)receipt.refused, (size_t)receipt.waiting,
                     receipt.text);
    }
    for (size_t i = 0; i < p.count; i++)
        eid_entry_unref(p.entries[i]);
    free(p.entries);
    return p.count;
}

static void assert_same_state(eid_database *a, eid_database *b)
{
    uint8_t left[32], right[32];

    assert_int_equal(entries_of(a), entries_of(b));
    tu_assert_ok(eid_database_state_hash(a, left));
    tu_assert_ok(eid_database_state_hash(b, right));
    assert_memory_equal(left, right, 32);
}

static eid_core *new_core(void)
{
    eid_core *core;
    eid_core_options options = {.path = ":memory:", .clock = eid_clock_system};

    tu_assert_ok(eid_core_open(&options, &core));
    return core;
}

/* ---- All or nothing ---- */

static void several_stores_are_one_entry(void **state)
{
    fixture *f = *state;
    char *row = NULL;

    eid_txn *txn = begin(f);
    tu_assert_ok(eid_docstore_set_int(txn, "pages", "k", 1));
    tu_assert_ok(eid_table_set(txn, "rows", "r", "2"));
    tu_assert_ok(eid_docstore_set_int(txn, "more", "k", 3));
    tu_assert_ok(eid_settings_set_name(txn, "renamed"));
    uint64_t before = entries_of(f->database);
    commit(txn);
    assert_int_equal(entries_of(f->database), before + 1);
    int64_t one, three;
    txn = begin(f);
    tu_assert_ok(eid_docstore_get_int(txn, "pages", "k", &one));
    tu_assert_ok(eid_table_get(txn, "rows", "r", &row, NULL));
    tu_assert_ok(eid_docstore_get_int(txn, "more", "k", &three));
    assert_true(one == 1 && three == 3);
    assert_string_equal(row, "2");
    eid_free(row);
    eid_txn_free(txn);
}

/* One store of several may not be written: then none is, and the transaction goes on. */
static void what_is_denied_in_part_is_denied_whole(void **state)
{
    fixture *f = *state;
    eid_keypair *key;
    eid_pubkey public;
    eid_database *limited;
    uint8_t before[32], after[32];
    eid_permission write = {EID_PERM_WRITE, 10};

    tu_assert_ok(eid_keypair_generate(&key));
    eid_keypair_public(key, &public);
    eid_txn *txn = begin(f);
    tu_assert_ok(eid_settings_set_auth_key(txn, &public, NULL, write, EID_KEY_ACTIVE));
    commit(txn);
    tu_assert_ok(eid_database_open_as(f->core, eid_database_root_id(f->database), key, NULL, &limited));
    tu_assert_ok(eid_database_state_hash(f->database, before));
    uint64_t count = entries_of(f->database);
    tu_assert_ok(eid_database_new_transaction(limited, &txn));
    tu_assert_ok(eid_docstore_set_int(txn, "pages", "k", 1));
    tu_assert_ok(eid_settings_set_name(txn, "mine now"));
    tu_assert_fails(eid_txn_commit(txn, NULL), EID_ERR_PERMISSION_DENIED);
    tu_assert_ok(eid_database_state_hash(f->database, after));
    assert_memory_equal(before, after, 32);
    assert_int_equal(entries_of(f->database), count);
    int64_t number;
    tu_assert_ok(eid_docstore_get_int(txn, "pages", "k", &number)); /* still staged */
    assert_int_equal(number, 1);
    eid_txn_free(txn);
    eid_database_close(limited);
    eid_keypair_free(key);
}

static void count_write(eid_database *database, eid_entry *entry, eid_write_source source, void *ctx)
{
    (void)database;
    (void)entry;
    (void)source;
    ++*(int *)ctx;
}

static void nothing_is_left_of_a_transaction_given_up(void **state)
{
    fixture *f = *state;
    uint8_t before[32], after[32];
    eid_callback *registration;
    int heard = 0;
    bool there = true;

    eid_txn *txn = begin(f);
    tu_assert_ok(eid_docstore_set_int(txn, "s", "kept", 1));
    commit(txn);
    tu_assert_ok(eid_database_state_hash(f->database, before));
    uint64_t count = entries_of(f->database);
    tu_assert_ok(eid_database_on_write(f->database, count_write, &heard, &registration));
    txn = begin(f);
    tu_assert_ok(eid_docstore_set_int(txn, "s", "kept", 2));
    tu_assert_ok(eid_docstore_set_json(txn, "s", "more", "{\"l\":[1,2]}"));
    tu_assert_ok(eid_docstore_delete(txn, "s", "more.l.0", NULL));
    tu_assert_ok(eid_docstore_set_int(txn, "new", "k", 1));
    tu_assert_ok(eid_table_set(txn, "rows", "r", "1"));
    tu_assert_ok(eid_registry_register(txn, "other", "game:v1", NULL));
    tu_assert_ok(eid_settings_set_name(txn, "renamed"));
    eid_txn_free(txn);
    tu_assert_ok(eid_database_state_hash(f->database, after));
    assert_memory_equal(before, after, 32);
    assert_int_equal(entries_of(f->database), count);
    assert_int_equal(heard, 0);
    txn = begin(f);
    tu_assert_ok(eid_docstore_contains(txn, "new", "k", &there));
    assert_false(there);
    eid_txn_free(txn);
    txn = begin(f);
    tu_assert_ok(eid_table_set(txn, "new", "k", "1")); /* the name is still free */
    commit(txn);
    assert_int_equal(heard, 1);
    eid_callback_remove(registration);
}

static void what_changes_nothing_makes_no_entry(void **state)
{
    fixture *f = *state;
    eid_value *value;
    bool there;
    int64_t number;

    eid_txn *txn = begin(f);
    tu_assert_ok(eid_docstore_set_json(txn, "s", "a", "{\"x\":1}"));
    commit(txn);
    uint64_t count = entries_of(f->database);
    txn = begin(f);
    eid_id id = commit(txn);
    assert_true(eid_id_is_empty(&id));
    txn = begin(f);
    tu_assert_ok(eid_docstore_get_int(txn, "s", "a.x", &number));
    tu_assert_ok(eid_docstore_contains(txn, "unused", "k", &there));
    tu_assert_ok(eid_docstore_delete(txn, "s", "not.there", NULL));
    tu_assert_ok(eid_docstore_get(txn, "s", "a", &value));
    tu_assert_ok(eid_docstore_update(txn, "s", "a", value));
    eid_value_free(value);
    id = commit(txn);
    assert_true(eid_id_is_empty(&id));
    assert_int_equal(entries_of(f->database), count);
}

/* ---- Where a transaction stands ---- */

static void at_chosen_tips(void **state)
{
    fixture *f = *state;
    eid_id tips[2], *now;
    size_t count;
    int64_t number;
    bool there;

    eid_txn *txn = begin(f);
    tu_assert_ok(eid_docstore_set_int(txn, "s", "k", 1));
    tips[0] = commit(txn);
    txn = begin(f);
    tu_assert_ok(eid_docstore_set_int(txn, "s", "k", 2));
    tu_assert_ok(eid_docstore_set_int(txn, "s", "later", 1));
    commit(txn);
    /* It sees what was there then, and what it commits is a branch. */
    tu_assert_ok(eid_database_new_transaction_at(f->database, tips, 1, &txn));
    tu_assert_ok(eid_docstore_get_int(txn, "s", "k", &number));
    assert_int_equal(number, 1);
    tu_assert_ok(eid_docstore_contains(txn, "s", "later", &there));
    assert_false(there);
    tu_assert_ok(eid_docstore_set_int(txn, "s", "branch", 3));
    tips[1] = commit(txn);
    tu_assert_ok(eid_database_tips(f->database, &now, &count));
    assert_int_equal(count, 2);
    eid_free(now);
    /* The next one at the frontier joins both. */
    txn = begin(f);
    assert_all(txn, "s", "{\"branch\":3,\"k\":2,\"later\":1}");
    tu_assert_ok(eid_docstore_set_int(txn, "s", "k", 4));
    commit(txn);
    tu_assert_ok(eid_database_tips(f->database, &now, &count));
    assert_int_equal(count, 1);
    eid_free(now);
}

/* ---- Threads ---- */

typedef struct writer {
    eid_core *core;
    eid_database *databases[WRITERS];
    size_t database_count;
    int number;
} writer;

/* Keys of its own, a key all write, a document of which everybody changes one field, a list all push to now
 * and then. */
static void *write_many(void *argument)
{
    const writer *w = argument;
    char own[32], field[32];
    eid_value *value;

    tu_assert_ok(eid_value_new_int(w->number, &value));
    snprintf(field, sizeof field, "shared.field%d", w->number);
    for (int i = 0; i < COMMITS; i++) {
        eid_txn *txn;
        snprintf(own, sizeof own, "own%d-%d", w->number, i);
        tu_assert_ok(eid_database_new_transaction(w->databases[(size_t)i % w->database_count], &txn));
        tu_assert_ok(eid_docstore_set_int(txn, "s", own, i));
        tu_assert_ok(eid_docstore_set_int(txn, "s", "all", w->number * COMMITS + i));
        tu_assert_ok(eid_docstore_set_int(txn, "s", field, i));
        if (i % PUSH_EVERY == 0)
            tu_assert_ok(eid_docstore_push(txn, "s", "list", value));
        tu_assert_ok(eid_table_set(txn, "rows", own, "{}"));
        tu_assert_ok(eid_txn_commit_free(txn, NULL));
    }
    eid_value_free(value);
    return NULL;
}

static void run_writers(writer *writers)
{
    pthread_t threads[WRITERS];

    for (size_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
    for (size_t i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
}

static bool count_row(const char *key, const char *row, size_t len, void *ctx)
{
    (void)key;
    (void)row;
    (void)len;
    ++*(size_t *)ctx;
    return true;
}

/* Everything the writers wrote to this one of so many databases is there. */
static void check_written(eid_database *database, size_t which, size_t of)
{
    size_t rows = 0;
    int64_t number;
    char key[32];
    eid_list *list;

    for (int w = 0; w < WRITERS; w++)
        for (int i = (int)which; i < COMMITS; i += (int)of) {
            snprintf(key, sizeof key, "own%d-%d", w, i);
            tu_assert_ok(eid_database_get_int(database, "s", key, &number));
            assert_int_equal(number, i);
        }
    size_t each = (COMMITS - which + of - 1) / of;
    tu_assert_ok(eid_database_table_scan(database, "rows", NULL, count_row, &rows));
    assert_int_equal(rows, WRITERS * each);
    assert_int_equal(entries_of(database), 1 + WRITERS * each);
    tu_assert_ok(eid_database_get_list(database, "s", "list", &list));
    size_t pushes = 0;
    for (size_t i = which; i < COMMITS; i += of)
        pushes += i % PUSH_EVERY == 0;
    assert_int_equal(eid_list_len(list), WRITERS * pushes);
    eid_list_free(list);
}

static void eight_threads_write_one_database(void **state)
{
    fixture *f = *state;
    writer writers[WRITERS];
    eid_database *replica;
    eid_core *other = new_core();

    for (int i = 0; i < WRITERS; i++)
        writers[i] = (writer){f->core, {f->database}, 1, i};
    run_writers(writers);
    check_written(f->database, 0, 1);
    assert_int_equal(give(f->core, other, eid_database_root_id(f->database)), 1 + WRITERS * COMMITS);
    tu_assert_ok(eid_database_open_as(other, eid_database_root_id(f->database), NULL, NULL, &replica));
    assert_same_state(f->database, replica);
    eid_database_close(replica);
    eid_core_close(other);
}

static void eight_threads_write_several_databases(void **state)
{
    fixture *f = *state;
    enum { DATABASES = 5 };
    eid_database *databases[WRITERS] = {f->database};
    writer writers[WRITERS];
    eid_doc *settings;

    tu_assert_ok(eid_doc_new(&settings));
    for (size_t i = 1; i < DATABASES; i++)
        tu_assert_ok(eid_database_create(f->core, settings, f->key, &databases[i]));
    eid_doc_free(settings);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (writer){.core = f->core, .database_count = DATABASES, .number = i};
        memcpy(writers[i].databases, databases, sizeof databases);
    }
    run_writers(writers);
    for (size_t i = 0; i < DATABASES; i++)
        check_written(databases[i], i, DATABASES);
    for (size_t i = 1; i < DATABASES; i++)
        eid_database_close(databases[i]);
}

/* ---- Two peers ---- */

enum { KEYS = 3 };

typedef struct peer {
    eid_core *core;
    eid_database *handles[KEYS + 1]; /* of an admin, and of keys whose rights come and go */
    eid_txn *open[6];                /* transactions begun earlier, to be committed later */
    eid_id seen[40];
    size_t seen_count;
} peer;

/* A change of rights by the admin, in a transaction of its own or in one with data. */
static void change_rights(eid_txn *txn, tu_random *random, eid_keypair *const *keys)
{
    eid_permission permissions[] = {
        {EID_PERM_READ, 0}, {EID_PERM_WRITE, 5}, {EID_PERM_WRITE, 50}, {EID_PERM_ADMIN, 7}};
    eid_pubkey public;

    eid_keypair_public(keys[tu_random_below(random, KEYS)], &public);
    if (tu_random_below(random, 5) == 0)
        tu_assert_ok(eid_settings_set_global_permission(txn, permissions[tu_random_below(random, 2)]));
    else
        tu_assert_ok(
            eid_settings_set_auth_key(txn, &public, NULL, permissions[tu_random_below(random, 4)],
                                      tu_random_below(random, 3) == 0 ? EID_KEY_REVOKED : EID_KEY_ACTIVE));
}

static void begin_somewhere(peer *p, tu_random *random, eid_keypair *const *keys, eid_txn **out)
{
    size_t who = (size_t)tu_random_below(random, KEYS + 1);
    eid_database *handle = p->handles[who];

    if (p->seen_count > 0 && tu_random_below(random, 4) == 0) {
        const eid_id *tip = &p->seen[tu_random_below(random, p->seen_count)];
        tu_assert_ok(eid_database_new_transaction_at(handle, tip, 1, out));
    } else {
        tu_assert_ok(eid_database_new_transaction(handle, out));
    }
    char key[8];
    snprintf(key, sizeof key, "k%d", (int)tu_random_below(random, 10));
    tu_assert_ok(eid_docstore_set_int(*out, tu_random_below(random, 2) == 0 ? "s" : "t", key,
                                      (int64_t)tu_random_below(random, 1000)));
    if (who == 0 && tu_random_below(random, 3) == 0)
        change_rights(*out, random, keys);
}

/* A commit that its key may not make is refused here, with an error; what is not refused, no peer refuses
 * either. */
static int step(peer *p, tu_random *random, eid_keypair *const *keys)
{
    size_t which = (size_t)tu_random_below(random, 6);
    eid_id id;

    if (p->open[which] == NULL) {
        begin_somewhere(p, random, keys, &p->open[which]);
        return 0;
    }
    eid_status status = eid_txn_commit(p->open[which], &id);
    eid_txn_free(p->open[which]);
    p->open[which] = NULL;
    if (status != EID_OK) {
        assert_true(status == EID_ERR_PERMISSION_DENIED || status == EID_ERR_AUTH_REQUIRED);
        return 0;
    }
    if (p->seen_count < 40)
        p->seen[p->seen_count++] = id;
    return 1;
}

static void peer_close(peer *p)
{
    for (size_t i = 0; i < 6; i++)
        eid_txn_free(p->open[i]);
    for (size_t i = 0; i <= KEYS; i++)
        eid_database_close(p->handles[i]);
}

static void no_peer_refuses_what_is_committed(void **state)
{
    (void)state;
    tu_random seeds = tu_random_seeded(701);
    int commits = 0;

    for (int round = 0; round < ROUNDS; round++) {
        fixture *f;
        fixture_open((void **)&f);
        tu_random random = {tu_random_next(&seeds)};
        eid_keypair *keys[KEYS];
        eid_id root = *eid_database_root_id(f->database);
        peer peers[2] = {{.core = f->core}, {.core = new_core()}};
        for (size_t i = 0; i < KEYS; i++)
            tu_assert_ok(eid_keypair_generate(&keys[i]));
        give(f->core, peers[1].core, &root);
        for (size_t p = 0; p < 2; p++)
            for (size_t i = 0; i <= KEYS; i++)
                tu_assert_ok(eid_database_open_as(peers[p].core, &root, i == 0 ? f->key : keys[i - 1], NULL,
                                                  &peers[p].handles[i]));
        for (int i = 0; i < 120; i++) {
            commits += step(&peers[tu_random_below(&random, 2)], &random, keys);
            if (tu_random_below(&random, 12) == 0) {
                size_t from = (size_t)tu_random_below(&random, 2);
                give(peers[from].core, peers[1 - from].core, &root);
            }
        }
        give(peers[0].core, peers[1].core, &root);
        give(peers[1].core, peers[0].core, &root);
        assert_same_state(peers[0].handles[0], peers[1].handles[0]);
        peer_close(&peers[0]);
        peer_close(&peers[1]);
        eid_core_close(peers[1].core);
        for (size_t i = 0; i < KEYS; i++)
            eid_keypair_free(keys[i]);
        void *gone = f;
        fixture_close(&gone);
    }
    assert_true(commits > 10 * ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DATABASE(several_stores_are_one_entry),
        WITH_DATABASE(what_is_denied_in_part_is_denied_whole),
        WITH_DATABASE(nothing_is_left_of_a_transaction_given_up),
        WITH_DATABASE(what_changes_nothing_makes_no_entry),
        WITH_DATABASE(at_chosen_tips),
        WITH_DATABASE(eight_threads_write_one_database),
        WITH_DATABASE(eight_threads_write_several_databases),
        cmocka_unit_test(no_peer_refuses_what_is_committed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
