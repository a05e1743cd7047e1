/* SPDX-License-Identifier: Apache-2.0 */
/* Password stores: making, locking, unlocking, sessions and what they see. What others may have made is in
 * test_password_config.c, the recorded stores are in tests/vectors/test_password_store.c. */
#include "password_fixture.h"

#include <pthread.h>

/* ---- The way in and out ---- */

static void a_store_is_made_locked_and_unlocked(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    eid_value *value;
    eid_id id;

    tu_assert_ok(eid_password_store_initialize(txn, "sec", "pw", EID_WRAPPED_DOCSTORE));
    tu_assert_ok(eid_docstore_set_text(txn, "sec", "user.name", "A secret name"));
    assert_all(txn, "sec", "{\"user\":{\"name\":\"A secret name\"}}");
    id = commit(txn);

    /* Clear on the outside are only the name and the configuration. */
    char *record = payload(f, &id, "_index");
    assert_non_null(strstr(record, "\"type\":{\"Text\":\"encrypted:password:v0\"}"));
    free(record);
    eid_entry *entry;
    const void *data;
    size_t len;
    tu_assert_ok(eid_database_get_entry(f->database, &id, &entry));
    for (size_t i = 0; i < eid_entry_store_count(entry); i++) {
        assert_true(eid_entry_store_data(entry, i, &data, &len));
        assert_null(memmem(data, len, "secret", 6));
        assert_null(memmem(data, len, "user", 4));
        if (strcmp(eid_entry_store_name(entry, i), "sec") == 0)
            assert_int_equal(len, strlen("{\"children\":{\"user\":{\"Doc\":{\"children\":{\"name\":{\"Text\":"
                                         "\"A secret name\"}}}}}}") + 28);
    }
    eid_entry_unref(entry);

    txn = begin(f);
    tu_assert_fails(eid_docstore_get(txn, "sec", "user.name", &value), EID_ERR_TYPE_MISMATCH);
    assert_non_null(strstr(eid_last_error(), "password"));
    tu_assert_fails(eid_docstore_set_text(txn, "sec", "user.name", "B"), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_table_set(txn, "sec", "row", "{}"), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_database_get(f->database, "sec", "user", &value), EID_ERR_KEY_NOT_FOUND);
    tu_assert_ok(eid_password_store_open(txn, "sec", "pw"));
    assert_all(txn, "sec", "{\"user\":{\"name\":\"A secret name\"}}");
    tu_assert_fails(eid_table_set(txn, "sec", "row", "{}"), EID_ERR_TYPE_MISMATCH);
    eid_txn_free(txn);
}

static void a_configuration_alone_is_committed(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);

    tu_assert_ok(eid_password_store_initialize(txn, "rows", "", EID_WRAPPED_TABLE));
    eid_id id = commit(txn);
    assert_false(eid_id_is_empty(&id));
    eid_password_session *session = session_of(f, "rows", "");
    assert_int_equal(eid_password_session_type(session), EID_WRAPPED_TABLE);
    txn = unlocked(f, session);
    tu_assert_ok(eid_table_set(txn, "rows", "a", "[1]"));
    commit(txn);
    eid_password_session_close(session);
    eid_password_session_close(NULL);
}

static bool count_row(const char *key, const char *row, size_t len, void *ctx)
{
    char *all = ctx;

    assert_int_equal(strlen(row), len);
    sprintf(all + strlen(all), "%s=%s ", key, row);
    return true;
}

static void assert_rows(eid_txn *txn, const char *store, const char *after, const char *wanted)
{
    char all[4096] = "";

    tu_assert_ok(eid_table_scan(txn, store, after, count_row, all));
    assert_string_equal(all, wanted);
}

static void tables_work_inside(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    bool deleted;
    char *row;

    tu_assert_ok(eid_password_store_initialize(txn, "rows", "pw", EID_WRAPPED_TABLE));
    tu_assert_ok(eid_table_set(txn, "rows", "b", "2"));
    tu_assert_ok(eid_table_set(txn, "rows", "a", "1"));
    commit(txn);
    eid_password_session *session = session_of(f, "rows", "pw");
    txn = unlocked(f, session);
    tu_assert_ok(eid_table_set(txn, "rows", "c", "3"));
    tu_assert_ok(eid_table_set(txn, "rows", "b", "22"));
    tu_assert_ok(eid_table_delete(txn, "rows", "a", &deleted));
    assert_true(deleted);
    assert_rows(txn, "rows", NULL, "b=22 c=3 ");
    assert_rows(txn, "rows", "b", "c=3 ");
    commit(txn);
    txn = unlocked(f, session);
    assert_rows(txn, "rows", NULL, "b=22 c=3 ");
    tu_assert_fails(eid_table_get(txn, "rows", "a", &row, NULL), EID_ERR_KEY_NOT_FOUND);
    eid_txn_free(txn);
    char nothing[64] = "";
    tu_assert_fails(eid_database_table_scan(f->database, "rows", NULL, count_row, nothing), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_table_add_index(f->database, "rows", "v"), EID_ERR_TYPE_MISMATCH);
    assert_string_equal(nothing, "");
    eid_password_session_close(session);
}

/* More rows than one slice of a scan, in more than one store of one transaction. */
static void large_tables_and_several_stores(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    eid_password_session *session;
    char key[16];

    tu_assert_ok(eid_password_store_initialize(txn, "rows", "pw", EID_WRAPPED_TABLE));
    tu_assert_ok(eid_password_store_initialize(txn, "sec", "other", EID_WRAPPED_DOCSTORE));
    tu_assert_ok(eid_docstore_set_int(txn, "sec", "n", 1));
    tu_assert_ok(eid_docstore_set_int(txn, "clear", "n", 2));
    for (int i = 0; i < 600; i++) {
        snprintf(key, sizeof key, "%03d", i);
        tu_assert_ok(eid_table_set(txn, "rows", key, "0"));
    }
    eid_id id = commit(txn);
    char *clear = payload(f, &id, "clear");
    assert_string_equal(clear, "{\"children\":{\"n\":{\"Int\":2}}}");
    free(clear);

    session = session_of(f, "rows", "pw");
    txn = unlocked(f, session);
    tu_assert_ok(eid_table_set(txn, "rows", "2555", "1"));
    char *all = calloc(601, 16);
    tu_assert_ok(eid_table_scan(txn, "rows", NULL, count_row, all));
    assert_int_equal(strlen(all), 600 * 6 + 7);
    assert_non_null(strstr(all, "255=0 2555=1 256=0"));
    free(all);
    tu_assert_ok(eid_password_store_open(txn, "sec", "other"));
    int64_t n;
    tu_assert_ok(eid_docstore_get_int(txn, "sec", "n", &n));
    assert_int_equal(n, 1);
    eid_txn_free(txn);
    eid_password_session_close(session);
}

/* ---- What a transaction sees ---- */

/* A session is one state for many transactions; each still sees only what was there when it began. */
static void transactions_are_isolated(void **state)
{
    fixture *f = *state;

    make_store(f, "sec", "pw");
    eid_password_session *session = session_of(f, "sec", "pw");
    eid_txn *old = unlocked(f, session), *older_unread = unlocked(f, session), *writer = unlocked(f, session);
    assert_all(old, "sec", "{\"k\":\"v\"}");
    tu_assert_ok(eid_docstore_set_text(writer, "sec", "k", "new"));
    tu_assert_ok(eid_docstore_set_text(writer, "sec", "added", "later"));
    assert_all(writer, "sec", "{\"added\":\"later\",\"k\":\"new\"}");
    assert_all(old, "sec", "{\"k\":\"v\"}");
    commit(writer);

    eid_txn *fresh = unlocked(f, session);
    assert_all(fresh, "sec", "{\"added\":\"later\",\"k\":\"new\"}");
    /* The session has moved on; both older ones fold for themselves. */
    assert_all(old, "sec", "{\"k\":\"v\"}");
    assert_all(older_unread, "sec", "{\"k\":\"v\"}");
    eid_value *value;
    tu_assert_fails(eid_docstore_get(older_unread, "sec", "added", &value), EID_ERR_KEY_NOT_FOUND);
    tu_assert_ok(eid_docstore_set_text(old, "sec", "branch", "b"));
    commit(old);
    eid_txn_free(older_unread);
    eid_txn_free(fresh);

    fresh = unlocked(f, session);
    assert_all(fresh, "sec", "{\"added\":\"later\",\"branch\":\"b\",\"k\":\"new\"}");
    eid_txn_free(fresh);
    eid_password_session_close(session);
}

typedef struct scan_and_commit {
    fixture *f;
    eid_password_session *session;
    size_t rows;
} scan_and_commit;

static bool commit_while_scanning(const char *key, const char *row, size_t len, void *ctx)
{
    scan_and_commit *scan = ctx;

    (void)key;
    (void)len;
    assert_string_equal(row, "0");
    if (scan->rows++ == 10) {
        eid_txn *txn = unlocked(scan->f, scan->session);
        tu_assert_ok(eid_table_set(txn, "rows", "350", "1"));
        tu_assert_ok(eid_table_set(txn, "rows", "9999", "1"));
        commit(txn);
        txn = unlocked(scan->f, scan->session); /* takes the session further */
        char *now;
        tu_assert_ok(eid_table_get(txn, "rows", "350", &now, NULL));
        assert_string_equal(now, "1");
        eid_free(now);
        eid_txn_free(txn);
    }
    return true;
}

static void a_scan_shows_one_state(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    char key[16];

    tu_assert_ok(eid_password_store_initialize(txn, "rows", "pw", EID_WRAPPED_TABLE));
    for (int i = 0; i < 600; i++) {
        snprintf(key, sizeof key, "%03d", i);
        tu_assert_ok(eid_table_set(txn, "rows", key, "0"));
    }
    commit(txn);
    scan_and_commit scan = {f, session_of(f, "rows", "pw"), 0};
    txn = unlocked(f, scan.session);
    tu_assert_ok(eid_table_scan(txn, "rows", NULL, commit_while_scanning, &scan));
    assert_int_equal(scan.rows, 600);
    eid_txn_free(txn);
    eid_password_session_close(scan.session);
}

static void chosen_tips_are_seen(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    eid_id first, second;

    tu_assert_ok(eid_password_store_initialize(txn, "sec", "pw", EID_WRAPPED_DOCSTORE));
    tu_assert_ok(eid_docstore_set_int(txn, "sec", "n", 1));
    first = commit(txn);
    eid_password_session *session = session_of(f, "sec", "pw");
    txn = unlocked(f, session);
    tu_assert_ok(eid_docstore_set_int(txn, "sec", "n", 2));
    second = commit(txn);

    tu_assert_ok(eid_database_new_transaction_at(f->database, &first, 1, &txn));
    tu_assert_ok(eid_password_session_unlock(session, txn));
    assert_all(txn, "sec", "{\"n\":1}");
    int64_t n;
    tu_assert_ok(eid_docstore_get_int(txn, "sec", "n", &n));
    assert_int_equal(n, 1);
    tu_assert_ok(eid_docstore_set_int(txn, "sec", "side", 3));
    commit(txn);
    tu_assert_ok(eid_database_new_transaction_at(f->database, &second, 1, &txn));
    tu_assert_ok(eid_password_session_unlock(session, txn));
    assert_all(txn, "sec", "{\"n\":2}");
    eid_txn_free(txn);
    txn = unlocked(f, session);
    assert_all(txn, "sec", "{\"n\":2,\"side\":3}");
    eid_txn_free(txn);

    /* In front of the initialization there is nothing to unlock. */
    tu_assert_ok(eid_database_new_transaction_at(f->database, eid_database_root_id(f->database), 1, &txn));
    tu_assert_fails(eid_password_session_unlock(session, txn), EID_ERR_CONFLICT);
    tu_assert_fails(eid_password_store_open(txn, "sec", "pw"), EID_ERR_CONFLICT);
    tu_assert_fails(eid_docstore_set_int(txn, "sec", "n", 5), EID_ERR_TYPE_MISMATCH);
    eid_txn_free(txn);
    eid_password_session_close(session);
}

static void deletions_and_atomic_documents(void **state)
{
    fixture *f = *state;
    eid_doc *atomic;
    bool deleted;

    make_store(f, "sec", "pw");
    eid_password_session *session = session_of(f, "sec", "pw");
    eid_txn *txn = unlocked(f, session);
    tu_assert_ok(eid_docstore_set_text(txn, "sec", "doc.a", "1"));
    tu_assert_ok(eid_docstore_set_text(txn, "sec", "doc.b", "2"));
    commit(txn);
    txn = unlocked(f, session);
    tu_assert_ok(eid_docstore_delete(txn, "sec", "k", &deleted));
    assert_true(deleted);
    tu_assert_ok(eid_docstore_delete(txn, "sec", "doc.a", NULL));
    assert_all(txn, "sec", "{\"doc\":{\"b\":\"2\"}}");
    commit(txn);
    txn = unlocked(f, session);
    assert_all(txn, "sec", "{\"doc\":{\"b\":\"2\"}}");
    tu_assert_ok(eid_doc_new_atomic(&atomic));
    tu_assert_ok(eid_doc_set_int(atomic, "only", 1));
    tu_assert_ok(eid_docstore_set_doc(txn, "sec", "doc", atomic));
    eid_doc_free(atomic);
    commit(txn);
    txn = unlocked(f, session);
    assert_all(txn, "sec", "{\"doc\":{\"only\":1}}");
    eid_txn_free(txn);
    eid_password_session_close(session);
}

/* ---- Between peers ---- */

typedef struct parcel {
    eid_entry *entries[64];
    size_t count;
} parcel;

static bool pack(eid_entry *entry, void *ctx)
{
    parcel *all = ctx;

    assert_true(all->count < 64);
    all->entries[all->count++] = eid_entry_ref(entry);
    return true;
}

/* Gives everything one core holds of the database to the other. */
static void carry(eid_core *from, eid_core *to, const eid_id *id)
{
    parcel all = {.count = 0};
    eid_receipt receipt;

    tu_assert_ok(eid_core_difference(from, id, NULL, 0, pack, &all));
    tu_assert_ok(eid_core_receive(to, id, all.entries, all.count, &receipt, NULL));
    assert_int_equal(receipt.admitted + receipt.held, all.count);
    for (size_t i = 0; i < all.count; i++)
        eid_entry_unref(all.entries[i]);
}

/* A, B in the middle without the password, C with it: both ways. */
static void a_peer_without_the_password_passes_it_on(void **state)
{
    fixture *f = *state;
    eid_core_options options = {.path = ":memory:", .clock = eid_clock_system};
    eid_id id = *eid_database_root_id(f->database);
    eid_core *middle, *far;
    eid_database *there, *between;
    eid_password_session *session;
    uint8_t near_hash[32], middle_hash[32];
    eid_txn *txn;

    make_store(f, "sec", "pw");
    tu_assert_ok(eid_core_open(&options, &middle));
    tu_assert_ok(eid_core_open(&options, &far));
    carry(f->core, middle, &id);
    tu_assert_ok(eid_database_open_as(middle, &id, NULL, NULL, &between));
    tu_assert_ok(eid_database_state_hash(f->database, near_hash));
    tu_assert_ok(eid_database_state_hash(between, middle_hash));
    assert_memory_equal(near_hash, middle_hash, sizeof near_hash);
    carry(middle, far, &id);

    tu_assert_ok(eid_database_open_as(far, &id, f->key, NULL, &there));
    tu_assert_fails(eid_password_session_open(there, "sec", "wrong", &session), EID_ERR_INVALID_PASSWORD);
    tu_assert_ok(eid_password_session_open(there, "sec", "pw", &session));
    tu_assert_ok(eid_database_new_transaction(there, &txn));
    tu_assert_ok(eid_password_session_unlock(session, txn));
    assert_all(txn, "sec", "{\"k\":\"v\"}");
    tu_assert_ok(eid_docstore_set_text(txn, "sec", "answer", "w"));
    commit(txn);
    eid_password_session_close(session);
    carry(far, middle, &id);
    carry(middle, f->core, &id);
    session = session_of(f, "sec", "pw");
    txn = unlocked(f, session);
    assert_all(txn, "sec", "{\"answer\":\"w\",\"k\":\"v\"}");
    eid_txn_free(txn);
    eid_password_session_close(session);
    eid_database_close(between);
    eid_database_close(there);
    eid_core_close(middle);
    eid_core_close(far);
}

/* ---- Wrong use ---- */

static void wrong_use_is_refused(void **state)
{
    fixture *f = *state;
    eid_password_session *session = NULL;
    eid_txn *txn;
    eid_value *value;

    tu_assert_fails(eid_password_session_open(f->database, "sec", "pw", &session), EID_ERR_CONFLICT);
    txn = begin(f);
    tu_assert_fails(eid_password_store_open(txn, "sec", "pw"), EID_ERR_CONFLICT);
    tu_assert_fails(eid_password_store_initialize(txn, "_settings", "pw", EID_WRAPPED_DOCSTORE), EID_ERR_STORE_NAME);
    tu_assert_fails(eid_password_store_initialize(txn, "a.b", "pw", EID_WRAPPED_DOCSTORE), EID_ERR_STORE_NAME);
    tu_assert_fails(eid_password_store_open(txn, "", "pw"), EID_ERR_STORE_NAME);
    tu_assert_fails(eid_password_session_open(f->database, "a.b", "pw", &session), EID_ERR_STORE_NAME);
    tu_assert_fails(eid_password_store_initialize(txn, "sec", NULL, EID_WRAPPED_DOCSTORE), EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_password_store_open(txn, "sec", NULL), EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_password_session_open(f->database, "sec", NULL, &session), EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_password_store_initialize(txn, "sec", "pw", (eid_wrapped_type)2), EID_ERR_INVALID_ARGUMENT);

    /* In use as something else, staged or committed. */
    tu_assert_ok(eid_docstore_set_int(txn, "clear", "n", 1));
    tu_assert_fails(eid_password_store_initialize(txn, "clear", "pw", EID_WRAPPED_DOCSTORE), EID_ERR_CONFLICT);
    commit(txn);
    txn = begin(f);
    tu_assert_fails(eid_password_store_initialize(txn, "clear", "pw", EID_WRAPPED_DOCSTORE), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_password_store_open(txn, "clear", "pw"), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_password_session_open(f->database, "clear", "pw", &session), EID_ERR_TYPE_MISMATCH);
    eid_txn_free(txn);

    make_store(f, "sec", "pw");
    txn = begin(f);
    tu_assert_fails(eid_password_store_initialize(txn, "sec", "pw", EID_WRAPPED_DOCSTORE), EID_ERR_CONFLICT);
    tu_assert_fails(eid_password_store_open(txn, "sec", "PW"), EID_ERR_INVALID_PASSWORD);
    tu_assert_fails(eid_password_store_open(txn, "sec", ""), EID_ERR_INVALID_PASSWORD);
    tu_assert_fails(eid_password_session_open(f->database, "sec", "pw ", &session), EID_ERR_INVALID_PASSWORD);
    assert_null(session);
    tu_assert_fails(eid_docstore_get(txn, "sec", "k", &value), EID_ERR_TYPE_MISMATCH); /* still locked */
    tu_assert_ok(eid_password_store_open(txn, "sec", "pw"));
    tu_assert_fails(eid_password_store_open(txn, "sec", "pw"), EID_ERR_CONFLICT);
    tu_assert_fails(eid_password_store_initialize(txn, "sec", "pw", EID_WRAPPED_DOCSTORE), EID_ERR_CONFLICT);
    session = session_of(f, "sec", "pw");
    tu_assert_fails(eid_password_session_unlock(session, txn), EID_ERR_CONFLICT);
    tu_assert_ok(eid_docstore_set_text(txn, "sec", "k", "still works"));
    tu_assert_ok(eid_txn_commit(txn, NULL));
    tu_assert_fails(eid_password_session_unlock(session, txn), EID_ERR_ALREADY_COMMITTED);
    tu_assert_fails(eid_password_store_open(txn, "sec", "pw"), EID_ERR_CONFLICT);
    tu_assert_fails(eid_password_store_initialize(txn, "new", "pw", EID_WRAPPED_DOCSTORE), EID_ERR_ALREADY_COMMITTED);
    eid_txn_free(txn);
    eid_password_session_close(session);
}

static void a_session_is_of_one_database(void **state)
{
    fixture *f = *state;
    eid_database *other;
    eid_doc *settings;
    eid_txn *txn;

    make_store(f, "sec", "pw");
    eid_password_session *session = session_of(f, "sec", "pw");
    tu_assert_ok(eid_doc_new(&settings));
    tu_assert_ok(eid_database_create(f->core, settings, f->key, &other));
    eid_doc_free(settings);
    tu_assert_ok(eid_database_new_transaction(other, &txn));
    tu_assert_fails(eid_password_session_unlock(session, txn), EID_ERR_INVALID_ARGUMENT);
    eid_txn_free(txn);
    eid_database_close(other);

    /* Another handle of the same database is as good. */
    tu_assert_ok(eid_database_open_as(f->core, eid_database_root_id(f->database), NULL, NULL, &other));
    tu_assert_ok(eid_database_new_transaction(other, &txn));
    tu_assert_ok(eid_password_session_unlock(session, txn));
    assert_all(txn, "sec", "{\"k\":\"v\"}");
    tu_assert_ok(eid_docstore_set_int(txn, "sec", "n", 1));
    tu_assert_fails(eid_txn_commit(txn, NULL), EID_ERR_AUTH_REQUIRED);
    /* The key outlives the session as long as the transaction needs it. */
    eid_password_session_close(session);
    assert_all(txn, "sec", "{\"k\":\"v\",\"n\":1}");
    eid_txn_free(txn);
    eid_database_close(other);
}

/* ---- Threads and memory ---- */

typedef struct worker {
    fixture *f;
    eid_password_session *session;
    int number;
    int failures;
} worker;

static void *work(void *ctx)
{
    worker *w = ctx;
    char key[32];

    for (int i = 0; i < 30; i++) {
        eid_txn *txn;
        int64_t n = -1;
        snprintf(key, sizeof key, "w%d", w->number);
        bool good = eid_database_new_transaction(w->f->database, &txn) == EID_OK;
        good = good && eid_password_session_unlock(w->session, txn) == EID_OK;
        if (good && i > 0)
            good = eid_docstore_get_int(txn, "sec", key, &n) == EID_OK && n == i - 1;
        good = good && eid_docstore_set_int(txn, "sec", key, i) == EID_OK && eid_txn_commit(txn, NULL) == EID_OK;
        eid_txn_free(txn);
        w->failures += !good;
    }
    return NULL;
}

static void a_session_serves_several_threads(void **state)
{
    fixture *f = *state;

    make_store(f, "sec", "pw");
    eid_password_session *session = session_of(f, "sec", "pw");
    worker workers[3];
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        workers[i] = (worker){f, session, i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].failures, 0);
    }
    eid_txn *txn = unlocked(f, session);
    assert_all(txn, "sec", "{\"k\":\"v\",\"w0\":29,\"w1\":29,\"w2\":29}");
    eid_txn_free(txn);
    eid_password_session_close(session);
}

typedef struct memory_step {
    fixture *f;
    eid_password_session *session;
    const char *what;
} memory_step;

static eid_status open_and_use(void *ctx)
{
    memory_step *step = ctx;
    eid_txn *txn = NULL;
    eid_status status = eid_database_new_transaction(step->f->database, &txn);
    eid_doc *doc = NULL;

    if (status == EID_OK && strcmp(step->what, "initialize") == 0)
        status = eid_password_store_initialize(txn, "fresh", "pw", EID_WRAPPED_TABLE);
    else if (status == EID_OK && strcmp(step->what, "open") == 0)
        status = eid_password_store_open(txn, "sec", "pw");
    else if (status == EID_OK)
        status = eid_password_session_unlock(step->session, txn);
    if (status == EID_OK && strcmp(step->what, "initialize") == 0)
        status = eid_table_set(txn, "fresh", "k", "1");
    else if (status == EID_OK)
        status = eid_docstore_get_all(txn, "sec", &doc);
    eid_doc_free(doc);
    eid_txn_free(txn);
    return status;
}

static void memory_may_fail(void **state)
{
    fixture *f = *state;
    static const char *const whats[] = {"initialize", "open", "unlock"};

    eid_aead_key *key;
    eid_value *record;
    tu_assert_ok(eid_password_config_make("pw", &cheap, EID_WRAPPED_DOCSTORE, &key, &record));
    eid_aead_key_free(key);
    put_record(f, "sec", record);
    eid_txn *txn = begin(f);
    tu_assert_ok(eid_password_store_open(txn, "sec", "pw"));
    tu_assert_ok(eid_docstore_set_text(txn, "sec", "k", "v"));
    commit(txn);
    /* What the library caches on first use would look like a leak. */
    memory_step step = {f, session_of(f, "sec", "pw"), "open"};
    for (size_t i = 0; i < 3; i++) {
        step.what = whats[i];
        tu_assert_ok(open_and_use(&step));
        size_t points = tu_alloc_fault_loop(open_and_use, &step);
        print_message("%s: %zu places\n", whats[i], points);
        assert_true(points > 20);
    }
    txn = unlocked(f, step.session);
    assert_all(txn, "sec", "{\"k\":\"v\"}");
    eid_txn_free(txn);
    eid_password_session_close(step.session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DATABASE(a_store_is_made_locked_and_unlocked),
        WITH_DATABASE(a_configuration_alone_is_committed),
        WITH_DATABASE(tables_work_inside),
        WITH_DATABASE(large_tables_and_several_stores),
        WITH_DATABASE(transactions_are_isolated),
        WITH_DATABASE(a_scan_shows_one_state),
        WITH_DATABASE(chosen_tips_are_seen),
        WITH_DATABASE(deletions_and_atomic_documents),
        WITH_DATABASE(a_peer_without_the_password_passes_it_on),
        WITH_DATABASE(wrong_use_is_refused),
        WITH_DATABASE(a_session_is_of_one_database),
        WITH_DATABASE(a_session_serves_several_threads),
        WITH_DATABASE(memory_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
