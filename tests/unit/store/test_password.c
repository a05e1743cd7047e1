/* SPDX-License-Identifier: Apache-2.0 */
/* Password stores: making, locking, unlocking, sessions and what they see; configurations made by others; payloads that
 * should not be there. The recorded stores are in tests/vectors/test_password_store.c. */
#include "fixture.h"

#include <pthread.h>

#include "base/limits.h"
#include "codec/base.h"
#include "crypto/key.h"
#include "database/txn.h"
#include "store/password_int.h"

/* Where the password is not what the test is about. */
static const eid_kdf_costs cheap = {8, 1, 1};

/* Makes the store and one value in it. */
static void make_store(fixture *f, const char *store, const char *password)
{
    eid_txn *txn = begin(f);

    tu_assert_ok(eid_password_store_initialize(txn, store, password, EID_WRAPPED_DOCSTORE));
    tu_assert_ok(eid_docstore_set_text(txn, store, "k", "v"));
    commit(txn);
}

static eid_password_session *session_of(fixture *f, const char *store, const char *password)
{
    eid_password_session *session;

    tu_assert_ok(eid_password_session_open(f->database, store, password, &session));
    return session;
}

static eid_txn *unlocked(fixture *f, eid_password_session *session)
{
    eid_txn *txn = begin(f);

    tu_assert_ok(eid_password_session_unlock(session, txn));
    return txn;
}

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
    tu_assert_fails(eid_table_get(txn, "rows", "a", NULL, NULL), EID_ERR_KEY_NOT_FOUND);
    eid_txn_free(txn);
    char nothing[64] = "";
    tu_assert_ok(eid_database_table_scan(f->database, "rows", NULL, count_row, nothing));
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

/* ---- Configurations and payloads made by others ---- */

/* The example of the format's description: record, derived key, payload. */
static void the_documented_example_opens(void **state)
{
    static const char record[] =
        "{\"Doc\":{\"children\":{\"type\":{\"Text\":\"encrypted:password:v0\"},\"config\":{\"Doc\":{\"_a\":true,"
        "\"children\":{\"encryption\":{\"Doc\":{\"children\":{\"algorithm\":{\"Text\":\"aes-256-gcm\"},\"kdf\":{\"Text\":"
        "\"argon2id\"},\"salt\":{\"Text\":\"CT6rXkFXiKX0Eb8cK+QFsw\"},\"version\":{\"Text\":\"v0\"}%s}}},"
        "\"wrapped_config\":{\"Doc\":{\"children\":{\"nonce\":{\"Text\":\"tloWezqYkRucOv+U\"},\"ciphertext\":{\"Text\":"
        "\"5OUq6coiaqv3ageZRc39Y3t+sRgcZik4mRXY9hjf4ShLVQ39aD/wel4+S0rWjlkbDrf02YCkuM71KDjiFev+\"}}}}}}}}}}";
    static const char *const costs[] = {
        ",\"argon2_m_cost\":{\"Int\":19456},\"argon2_t_cost\":{\"Int\":2},\"argon2_p_cost\":{\"Int\":1}",
        "", /* absent costs are the same ones */
    };
    char text[2048];
    size_t len;
    uint8_t *data = tu_hex_decode("a9d656d79ed24f5089fe342e1d01fd1aebd05848fe205e044d59b3684da0eeffcd812ea5a7260dd9b64ae0"
                                  "e1ecd2e9f71d25a0e758c1dba043f281",
                                  &len);

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        eid_password_config config;
        eid_wrapped_type type;
        eid_value *value;
        eid_aead_key *key;
        eid_buf plain;

        snprintf(text, sizeof text, record, costs[i]);
        tu_assert_ok(eid_value_from_json(text, strlen(text), &value));
        tu_assert_ok(eid_password_config_read("sec", value, &config));
        tu_assert_fails(eid_password_config_open(&config, "sec", "pW", &key, &type), EID_ERR_INVALID_PASSWORD);
        tu_assert_ok(eid_password_config_open(&config, "sec", "pw", &key, &type));
        assert_int_equal(type, EID_WRAPPED_DOCSTORE);
        eid_buf_init(&plain, 100);
        tu_assert_ok(eid_aead_unseal(key, eid_slice_of(data, len), &plain));
        assert_string_equal((const char *)plain.data, "{\"children\":{\"k\":{\"Text\":\"v\"}}}");
        eid_buf_free(&plain);
        eid_aead_key_free(key);
        eid_password_config_free(&config);
        eid_value_free(value);
    }
    free(data);
}

/* Puts a record into the registry as somebody else would. */
static void put_record(fixture *f, const char *store, eid_value *record)
{
    eid_txn *txn = begin(f);
    eid_txn_store *index;

    tu_assert_ok(eid_txn_open_store(txn, "_index", NULL, &index));
    tu_assert_ok(eid_txn_store_put(index, eid_slice_text(store), record));
    commit(txn);
}

static void change_text(eid_doc *config, const char *path, const char *text)
{
    tu_assert_ok(text != NULL ? eid_doc_set_string(config, path, text) : eid_doc_remove(config, path));
}

typedef struct changed_config {
    const char *path;
    const char *text;   /* NULL: removed, unless it is a number */
    int64_t number;
    bool is_number;
    eid_status wanted;
} changed_config;

static const changed_config changed[] = {
    {"encryption.algorithm", "aes-128-gcm", 0, false, EID_ERR_UNSUPPORTED},
    {"encryption.algorithm", NULL, 0, false, EID_ERR_CORRUPT},
    {"encryption.algorithm", NULL, 7, true, EID_ERR_CORRUPT},
    {"encryption.kdf", "argon2i", 0, false, EID_ERR_UNSUPPORTED},
    {"encryption.kdf", NULL, 0, false, EID_ERR_CORRUPT},
    {"encryption.version", "v1", 0, false, EID_ERR_UNSUPPORTED},
    {"encryption.version", NULL, 0, false, EID_ERR_CORRUPT},
    {"encryption.salt", "short", 0, false, EID_ERR_CORRUPT},
    {"encryption.salt", "c29tZXNhbHRzb21lc2FsdA==", 0, false, EID_ERR_CORRUPT},
    {"encryption.salt", NULL, 0, false, EID_ERR_CORRUPT},
    {"encryption.salt", "c29tZXNhbHRzb21lc2FsdA", 0, false, EID_ERR_INVALID_PASSWORD},
    {"encryption.argon2_m_cost", NULL, 4 << 20, true, EID_ERR_LIMIT}, /* 4 GiB */
    {"encryption.argon2_m_cost", NULL, INT64_MAX, true, EID_ERR_LIMIT},
    {"encryption.argon2_m_cost", NULL, 0, true, EID_ERR_RANGE},
    {"encryption.argon2_m_cost", NULL, -19456, true, EID_ERR_RANGE},
    {"encryption.argon2_m_cost", "19456", 0, false, EID_ERR_CORRUPT},
    {"encryption.argon2_m_cost", NULL, 9, true, EID_ERR_INVALID_PASSWORD},
    {"encryption.argon2_t_cost", NULL, 1000000, true, EID_ERR_LIMIT},
    {"encryption.argon2_t_cost", NULL, 0, true, EID_ERR_RANGE},
    {"encryption.argon2_p_cost", NULL, 1 << 20, true, EID_ERR_LIMIT},
    {"encryption.argon2_p_cost", NULL, 2, true, EID_ERR_RANGE},
    {"wrapped_config.nonce", "tloWezqYkRucOv8=", 0, false, EID_ERR_CORRUPT},
    {"wrapped_config.nonce", "tloWezqYkRucOv+UAA==", 0, false, EID_ERR_CORRUPT},
    {"wrapped_config.nonce", NULL, 0, false, EID_ERR_CORRUPT},
    {"wrapped_config.ciphertext", "not base64", 0, false, EID_ERR_CORRUPT},
    {"wrapped_config.ciphertext", "", 0, false, EID_ERR_INVALID_PASSWORD},
    {"wrapped_config.ciphertext", "AAAA", 0, false, EID_ERR_INVALID_PASSWORD},
    {"wrapped_config.ciphertext", NULL, 0, false, EID_ERR_CORRUPT},
    {"encryption", NULL, 0, false, EID_ERR_CORRUPT},
};

static void changed_configurations_are_refused(void **state)
{
    fixture *f = *state;
    char *text;
    size_t len;
    eid_value *record;
    eid_aead_key *key;

    tu_assert_ok(eid_password_config_make("pw", &cheap, EID_WRAPPED_DOCSTORE, &key, &record));
    tu_assert_ok(eid_value_to_json(record, &text, &len));
    eid_value_free(record);
    eid_aead_key_free(key);
    for (size_t i = 0; i < sizeof changed / sizeof *changed; i++) {
        const changed_config *c = &changed[i];
        eid_password_session *session = NULL;
        const eid_doc *doc;
        eid_doc *copy;
        char store[16], path[64];

        tu_assert_ok(eid_value_from_json(text, len, &record));
        tu_assert_ok(eid_value_as_doc(record, &doc));
        tu_assert_ok(eid_doc_copy(doc, &copy));
        eid_value_free(record);
        snprintf(path, sizeof path, "config.%s", c->path);
        if (c->is_number)
            tu_assert_ok(eid_doc_set_int(copy, path, c->number));
        else
            change_text(copy, path, c->text);
        tu_assert_ok(eid_value_new_doc(copy, &record));
        eid_doc_free(copy);
        snprintf(store, sizeof store, "s%zu", i);
        put_record(f, store, record);
        eid_status status = eid_password_session_open(f->database, store, "pw", &session);
        if (status != c->wanted)
            fail_msg("%s, case %zu: %s (%s), wanted %s", c->path, i, eid_status_name(status), eid_last_error(),
                     eid_status_name(c->wanted));
        assert_null(session);
        /* Whatever is wrong with it, it is not overwritten, and not taken for a plain store. */
        eid_txn *txn = begin(f);
        tu_assert_fails(eid_password_store_initialize(txn, store, "pw", EID_WRAPPED_DOCSTORE), EID_ERR_CONFLICT);
        tu_assert_fails(eid_docstore_set_int(txn, store, "n", 1), EID_ERR_TYPE_MISMATCH);
        eid_txn_free(txn);
    }
    eid_free(text);
}

/* What is wrapped is from whoever knows the password, who may have a newer version. */
static void inner_configurations(void **state)
{
    static const struct {
        const char *text;
        eid_status wanted;
    } cases[] = {
        {"{\"type\":\"docstore:v0\",\"config\":{\"children\":{}}}", EID_OK},
        {"{\"config\":{\"children\":{}},\"more\":[1],\"type\":\"table:v0\"}", EID_OK},
        {"{\"type\":\"ydoc:v0\",\"config\":{\"children\":{}}}", EID_ERR_UNSUPPORTED},
        {"{\"type\":\"encrypted:password:v0\",\"config\":{}}", EID_ERR_UNSUPPORTED},
        {"{\"config\":{\"children\":{}}}", EID_ERR_CORRUPT},
        {"{\"type\":7}", EID_ERR_CORRUPT},
        {"{\"type\":\"docstore:v0\"} trailing", EID_ERR_CORRUPT},
        {"{\"type\":\"docstore:v0\"", EID_ERR_CORRUPT},
        {"[]", EID_ERR_CORRUPT},
        {"", EID_ERR_CORRUPT},
    };
    eid_password_config config = {.costs = {8, 1, 1}, .salt = "c29tZXNhbHRzb21lc2FsdA"};
    eid_aead_key *key, *found;

    (void)state;
    tu_assert_ok(eid_kdf_derive_key(eid_slice_text("pw"), eid_slice_text(config.salt), &config.costs, &key));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eid_wrapped_type type = EID_WRAPPED_DOCSTORE;
        uint8_t sealed[256];

        memset(config.nonce, (int)i, sizeof config.nonce);
        eid_aead_encrypt(key, config.nonce, eid_slice_text(cases[i].text), sealed);
        config.wrapped = sealed;
        config.wrapped_len = strlen(cases[i].text) + EID_AEAD_TAG;
        eid_status status = eid_password_config_open(&config, "sec", "pw", &found, &type);
        if (status != cases[i].wanted)
            fail_msg("%s: %s (%s)", cases[i].text, eid_status_name(status), eid_last_error());
        if (status == EID_OK) {
            assert_int_equal(type, i == 0 ? EID_WRAPPED_DOCSTORE : EID_WRAPPED_TABLE);
            eid_aead_key_free(found);
        }
    }
    eid_aead_key_free(key);
}

/* Somebody who may write, but has no password. */
static void put_clear(fixture *f, const char *key, int64_t number)
{
    eid_txn *txn = begin(f);
    eid_txn_store *store;
    eid_value *value;

    /* As a system store, past the registry. */
    tu_assert_ok(eid_txn_open_store(txn, "sec", NULL, &store));
    tu_assert_ok(eid_value_new_int(number, &value));
    tu_assert_ok(eid_txn_store_put(store, eid_slice_text(key), value));
    commit(txn);
}

static void clear_text_in_an_encrypted_store_does_not_count(void **state)
{
    fixture *f = *state;

    make_store(f, "sec", "pw");
    eid_password_session *session = session_of(f, "sec", "pw");
    put_clear(f, "k", 666);
    put_clear(f, "forged", 667);
    eid_txn *txn = unlocked(f, session);
    assert_all(txn, "sec", "{\"k\":\"v\"}");
    assert_int_equal(eid_password_session_left_out(session), 2);
    tu_assert_ok(eid_docstore_set_text(txn, "sec", "k", "w"));
    commit(txn);
    txn = unlocked(f, session);
    assert_all(txn, "sec", "{\"k\":\"w\"}");
    eid_txn_free(txn);
    eid_password_session_close(session);
}

static void a_store_without_its_record_is_not_taken_over(void **state)
{
    fixture *f = *state;
    eid_value *tombstone, *record;
    eid_txn *txn;

    make_store(f, "sec", "pw");
    eid_password_session *session = session_of(f, "sec", "pw");
    tu_assert_ok(eid_database_get(f->database, "_index", "sec", &record));
    tu_assert_ok(eid_value_new_deleted(&tombstone));
    put_record(f, "sec", tombstone);
    txn = begin(f);
    tu_assert_fails(eid_docstore_set_text(txn, "sec", "k", "clear text"), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_table_set(txn, "sec", "k", "1"), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_password_store_initialize(txn, "sec", "new", EID_WRAPPED_DOCSTORE), EID_ERR_CONFLICT);
    tu_assert_fails(eid_password_session_unlock(session, txn), EID_ERR_CONFLICT);
    eid_txn_free(txn);
    /* With the record back, everything is. */
    put_record(f, "sec", record);
    txn = unlocked(f, session);
    assert_all(txn, "sec", "{\"k\":\"v\"}");
    eid_txn_free(txn);
    eid_password_session_close(session);
}

/* A record that was registered, but never given a password, as the Rust implementation may leave it. */
static void an_empty_configuration_can_be_initialized(void **state)
{
    fixture *f = *state;
    static const char text[] = "{\"Doc\":{\"children\":{\"type\":{\"Text\":\"encrypted:password:v0\"},\"config\":{\"Doc\":{"
                               "\"children\":{}}}}}}";
    eid_value *record;
    eid_txn *txn;

    tu_assert_ok(eid_value_from_json(text, strlen(text), &record));
    put_record(f, "sec", record);
    txn = begin(f);
    tu_assert_fails(eid_password_store_open(txn, "sec", "pw"), EID_ERR_CONFLICT);
    tu_assert_fails(eid_docstore_set_text(txn, "sec", "k", "clear"), EID_ERR_TYPE_MISMATCH);
    tu_assert_ok(eid_password_store_initialize(txn, "sec", "pw", EID_WRAPPED_DOCSTORE));
    tu_assert_ok(eid_docstore_set_text(txn, "sec", "k", "v"));
    commit(txn);
    txn = begin(f);
    tu_assert_ok(eid_password_store_open(txn, "sec", "pw"));
    assert_all(txn, "sec", "{\"k\":\"v\"}");
    eid_txn_free(txn);
}

/* Two initialize at the same time: one configuration stays, whole, and its session goes on. */
static void concurrent_initializations(void **state)
{
    fixture *f = *state;
    eid_txn *first = begin(f), *second = begin(f), *txn;
    eid_password_session *winner = NULL;
    const char *passwords[] = {"one", "two"};
    size_t winners = 0;

    tu_assert_ok(eid_password_store_initialize(first, "sec", passwords[0], EID_WRAPPED_DOCSTORE));
    tu_assert_ok(eid_password_store_initialize(second, "sec", passwords[1], EID_WRAPPED_DOCSTORE));
    tu_assert_ok(eid_docstore_set_text(first, "sec", "by", "one"));
    tu_assert_ok(eid_docstore_set_text(second, "sec", "by", "two"));
    commit(first);
    eid_password_session *early = session_of(f, "sec", "one");
    commit(second);
    for (size_t i = 0; i < 2; i++) {
        eid_password_session *session;
        if (eid_password_session_open(f->database, "sec", passwords[i], &session) != EID_OK)
            continue;
        winners++;
        winner = session;
        txn = unlocked(f, session);
        char wanted[32];
        snprintf(wanted, sizeof wanted, "{\"by\":\"%s\"}", passwords[i]);
        assert_all(txn, "sec", wanted);
        assert_int_equal(eid_password_session_left_out(session), 1);
        eid_txn_free(txn);
        txn = begin(f);
        if (i == 0)
            tu_assert_ok(eid_password_session_unlock(early, txn));
        else
            tu_assert_fails(eid_password_session_unlock(early, txn), EID_ERR_CONFLICT);
        eid_txn_free(txn);
    }
    assert_int_equal(winners, 1);
    eid_password_session_close(winner);
    eid_password_session_close(early);
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
        WITH_DATABASE(wrong_use_is_refused),
        WITH_DATABASE(a_session_is_of_one_database),
        cmocka_unit_test(the_documented_example_opens),
        WITH_DATABASE(changed_configurations_are_refused),
        cmocka_unit_test(inner_configurations),
        WITH_DATABASE(clear_text_in_an_encrypted_store_does_not_count),
        WITH_DATABASE(a_store_without_its_record_is_not_taken_over),
        WITH_DATABASE(an_empty_configuration_can_be_initialized),
        WITH_DATABASE(concurrent_initializations),
        WITH_DATABASE(a_session_serves_several_threads),
        WITH_DATABASE(memory_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
