/* SPDX-License-Identifier: Apache-2.0 */
/* Password stores as others may have made them: configurations that differ, that are broken or that ask for too much, two at
 * the same time, payloads that should not be there. */
#include "password_fixture.h"

/* ---- Configurations ---- */

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

/* ---- Payloads and records ---- */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_documented_example_opens),
        WITH_DATABASE(changed_configurations_are_refused),
        cmocka_unit_test(inner_configurations),
        WITH_DATABASE(clear_text_in_an_encrypted_store_does_not_count),
        WITH_DATABASE(a_store_without_its_record_is_not_taken_over),
        WITH_DATABASE(an_empty_configuration_can_be_initialized),
        WITH_DATABASE(concurrent_initializations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
