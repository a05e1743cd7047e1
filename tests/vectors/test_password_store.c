/* SPDX-License-Identifier: Apache-2.0 */
/* password_store.json: databases with encrypted stores as the Rust implementation made them. Configurations open with the
 * recorded keys, payloads decrypt and encrypt to the recorded bytes, the merged state comes out, and wrong use is refused. */
#include <stdlib.h>
#include <string.h>

#include <eidetica/memory.h>

#include "crypto/key.h"
#include "database/database.h"
#include "store/password_int.h"
#include "support/jsondom.h"

static const jd_node *vectors;

typedef struct opened {
    eid_core *core;
    eid_id root;
    eid_database *database;
    eid_entry **entries;
    size_t count;
} opened;

/* An empty core, and the recorded entries. */
static opened open_case(const jd_node *recorded)
{
    eid_core_options options = {.path = ":memory:", .clock = eid_clock_system};
    const jd_node *tree = jd_need(recorded, "tree"), *entries = jd_need(tree, "entries");
    opened o = {.count = jd_len(entries)};

    tu_assert_ok(eid_core_open(&options, &o.core));
    tu_assert_ok(eid_id_parse(jd_get_str(tree, "root"), &o.root));
    o.entries = calloc(o.count, sizeof(eid_entry *));
    for (size_t i = 0; i < o.count; i++) {
        size_t len;
        uint8_t *bytes = jd_hex(jd_need(jd_at(entries, i), "dagcbor_hex"), &len);
        tu_assert_ok(eid_entry_from_cbor(bytes, len, &o.entries[i]));
        free(bytes);
    }
    return o;
}

static void receive(opened *o, size_t from, size_t count)
{
    eid_receipt receipt;

    tu_assert_ok(eid_core_receive(o->core, &o->root, o->entries + from, count, &receipt, NULL));
    assert_int_equal(receipt.refused, 0);
}

static opened receive_case(const jd_node *recorded)
{
    opened o = open_case(recorded);

    receive(&o, 0, o.count);
    tu_assert_ok(eid_database_open_as(o.core, &o.root, NULL, NULL, &o.database));
    return o;
}

static void close_case(opened *o)
{
    eid_database_close(o->database);
    for (size_t i = 0; i < o->count; i++)
        eid_entry_unref(o->entries[i]);
    free(o->entries);
    eid_core_close(o->core);
}

#define each_case(recorded)                                                                                  \
    for (size_t case_ = 0; case_ < jd_len(jd_need(vectors, "cases")); case_++)                               \
        for (const jd_node *recorded = jd_at(jd_need(vectors, "cases"), case_); recorded != NULL; recorded = NULL)

static eid_txn *begin(const opened *o)
{
    eid_txn *txn;

    tu_assert_ok(eid_database_new_transaction(o->database, &txn));
    return txn;
}

static void assert_text(const uint8_t *have, size_t len, const jd_node *wanted)
{
    if (!eid_slice_equal(eid_slice_of(have, len), jd_slice(wanted)))
        fail_msg("have %.*s\nwant %s", (int)len, (const char *)have, jd_str(wanted));
}

/* ---- Configurations and payloads ---- */

static void check_wrapped(const eid_password_config *config, const eid_aead_key *key, const jd_node *wanted)
{
    uint8_t *plain = malloc(config->wrapped_len);

    tu_assert_ok(eid_aead_decrypt(key, config->nonce, eid_slice_of(config->wrapped, config->wrapped_len), plain));
    assert_text(plain, config->wrapped_len - EID_AEAD_TAG, wanted);
    free(plain);
}

static void check_payload(const opened *o, const eid_aead_key *key, const char *store, const jd_node *recorded)
{
    size_t data_len, nonce_len;
    uint8_t *data = jd_hex(jd_need(recorded, "data_hex"), &data_len);
    uint8_t *nonce = jd_hex(jd_need(recorded, "nonce_hex"), &nonce_len);
    eid_slice wanted = jd_slice(jd_need(recorded, "plaintext"));
    eid_entry *entry;
    eid_buf plain;
    eid_id id;

    tu_assert_ok(eid_id_parse(jd_get_str(recorded, "entry"), &id));
    tu_assert_ok(eid_database_get_entry(o->database, &id, &entry));
    const eid_subtree *part = eid_entry_subtree(entry, eid_slice_text(store));
    assert_true(eid_slice_equal(eid_slice_of(part->data, part->data_len), eid_slice_of(data, data_len)));
    assert_int_equal(nonce_len, EID_AEAD_NONCE);
    assert_memory_equal(data, nonce, nonce_len);

    eid_buf_init(&plain, 65536);
    tu_assert_ok(eid_aead_unseal(key, eid_slice_of(data, data_len), &plain));
    assert_text(plain.data, plain.len, jd_need(recorded, "plaintext"));
    eid_buf_free(&plain);
    uint8_t *again = malloc(wanted.len + EID_AEAD_TAG);
    eid_aead_encrypt(key, nonce, wanted, again);
    tu_assert_hex(again, wanted.len + EID_AEAD_TAG, jd_get_str(recorded, "ciphertext_and_tag_hex"));
    free(again);
    free(nonce);
    free(data);
    eid_entry_unref(entry);
}

static size_t check_store(const opened *o, const char *password, const jd_node *recorded)
{
    const char *store = jd_get_str(recorded, "store");
    const jd_node *payloads = jd_need(recorded, "payloads");
    eid_password_config config;
    eid_wrapped_type type;
    eid_value *record;
    eid_aead_key *key;
    uint8_t bytes[EID_AEAD_KEY];

    tu_assert_ok(eid_database_get(o->database, "_index", store, &record));
    tu_assert_ok(eid_password_config_read(store, record, &config));
    eid_value_free(record);
    assert_string_equal(config.salt, jd_get_str(recorded, "salt"));
    tu_assert_ok(eid_kdf_derive(eid_slice_text(password), eid_slice_text(config.salt), &config.costs, bytes));
    tu_assert_hex(bytes, sizeof bytes, jd_get_str(recorded, "key_hex"));
    tu_assert_ok(eid_password_config_open(&config, store, password, &key, &type));
    assert_int_equal(type, strcmp(store, "rows") == 0 ? EID_WRAPPED_TABLE : EID_WRAPPED_DOCSTORE);
    check_wrapped(&config, key, jd_need(recorded, "wrapped_config_plaintext"));
    for (size_t i = 0; i < jd_len(payloads); i++)
        check_payload(o, key, store, jd_at(payloads, i));
    eid_password_config_free(&config);
    eid_aead_key_free(key);
    return jd_len(payloads);
}

static void configurations_and_payloads(void **state)
{
    size_t stores = 0, payloads = 0;

    (void)state;
    each_case(recorded)
    {
        opened o = receive_case(recorded);
        for (size_t i = 0; i < jd_len(jd_need(recorded, "stores")); i++, stores++)
            payloads += check_store(&o, jd_get_str(recorded, "password"), jd_at(jd_need(recorded, "stores"), i));
        close_case(&o);
    }
    assert_int_equal(stores, 6);
    assert_int_equal(payloads, 18);
}

/* Our record of a configuration has the recorded members, and nothing else. */
static void our_configurations_have_the_recorded_form(void **state)
{
    (void)state;
    const jd_node *first = jd_at(jd_need(jd_at(jd_need(vectors, "cases"), 0), "stores"), 0);
    const jd_node *wanted = jd_need(first, "index_config");
    const eid_kdf_costs costs = EID_KDF_COSTS_DEFAULT;
    eid_aead_key *key;
    eid_value *record;
    char *text;
    size_t len;

    tu_assert_ok(eid_password_config_make("pw", &costs, EID_WRAPPED_DOCSTORE, &key, &record));
    tu_assert_ok(eid_value_to_json(record, &text, &len));
    jd_node *made = jd_parse(eid_slice_of(text, len));
    const jd_node *doc = jd_need(jd_need(made, "Doc"), "children");
    assert_string_equal(jd_get_str(jd_need(doc, "type"), "Text"), "encrypted:password:v0");
    const jd_node *config = jd_need(jd_need(doc, "config"), "Doc");
    assert_true(jd_get_bool(config, "_a") && jd_get_bool(wanted, "_a"));
    assert_int_equal(jd_len(config), jd_len(wanted));
    static const char *const parts[] = {"encryption", "wrapped_config"};
    for (size_t p = 0; p < 2; p++) {
        const jd_node *have = jd_need(jd_need(jd_need(config, "children"), parts[p]), "Doc");
        const jd_node *want = jd_need(jd_need(jd_need(wanted, "children"), parts[p]), "Doc");
        const jd_node *have_members = jd_need(have, "children"), *want_members = jd_need(want, "children");
        assert_int_equal(jd_len(have), jd_len(want));
        assert_int_equal(jd_len(have_members), jd_len(want_members));
        for (size_t i = 0; i < jd_len(want_members); i++) {
            const char *name = jd_key_at(want_members, i);
            const jd_node *have_value = jd_need(have_members, name), *want_value = jd_at(want_members, i);
            bool random = strcmp(name, "salt") == 0 || strcmp(name, "nonce") == 0 || strcmp(name, "ciphertext") == 0;
            if (jd_get(want_value, "Int") != NULL)
                assert_int_equal(jd_i64(jd_need(have_value, "Int")), jd_i64(jd_need(want_value, "Int")));
            else if (random)
                assert_int_equal(jd_slice(jd_need(have_value, "Text")).len, jd_slice(jd_need(want_value, "Text")).len);
            else
                assert_string_equal(jd_get_str(have_value, "Text"), jd_get_str(want_value, "Text"));
        }
    }
    jd_free(made);
    eid_free(text);
    eid_value_free(record);
    eid_aead_key_free(key);
}

/* ---- States ---- */

static void assert_secrets(eid_txn *txn, const jd_node *recorded)
{
    eid_doc *doc;
    char *text;
    size_t len;

    tu_assert_ok(eid_docstore_get_all(txn, "secrets", &doc));
    tu_assert_ok(eid_doc_to_json(doc, &text, &len));
    assert_text((const uint8_t *)text, len, jd_need(recorded, "secrets_state"));
    eid_free(text);
    eid_doc_free(doc);
}

static void assert_rows(eid_txn *txn)
{
    char *row;

    tu_assert_ok(eid_table_get(txn, "rows", "row1", &row, NULL));
    assert_string_equal(row, "{\"n\":1,\"s\":\"one\"}");
    eid_free(row);
}

static void merged_states(void **state)
{
    (void)state;
    each_case(recorded)
    {
        opened o = receive_case(recorded);
        const char *password = jd_get_str(recorded, "password");
        eid_password_session *session;
        eid_txn *txn = begin(&o);

        tu_assert_ok(eid_password_store_open(txn, "secrets", password));
        tu_assert_ok(eid_password_store_open(txn, "rows", password));
        assert_secrets(txn, recorded);
        assert_rows(txn);
        eid_txn_free(txn);

        tu_assert_ok(eid_password_session_open(o.database, "secrets", password, &session));
        for (int round = 0; round < 2; round++) {
            txn = begin(&o);
            tu_assert_ok(eid_password_session_unlock(session, txn));
            assert_secrets(txn, recorded);
            eid_txn_free(txn);
        }
        assert_int_equal(eid_password_session_left_out(session), 0);
        eid_password_session_close(session);
        close_case(&o);
    }
}

/* A session that reads after every arrival ends with the same state, and so does a transaction at the tips. */
static void states_entry_by_entry(void **state)
{
    (void)state;
    each_case(recorded)
    {
        opened o = open_case(recorded);
        const char *password = jd_get_str(recorded, "password");
        eid_password_session *session = NULL;
        eid_txn *txn;
        eid_id *tips;
        size_t count, reads = 0;

        for (size_t i = 0; i < o.count; i++) {
            receive(&o, i, 1);
            if (o.database == NULL)
                tu_assert_ok(eid_database_open_as(o.core, &o.root, NULL, NULL, &o.database));
            if (session == NULL && eid_password_session_open(o.database, "secrets", password, &session) != EID_OK)
                continue;
            txn = begin(&o);
            eid_doc *doc;
            tu_assert_ok(eid_password_session_unlock(session, txn));
            tu_assert_ok(eid_docstore_get_all(txn, "secrets", &doc));
            eid_doc_free(doc);
            eid_txn_free(txn);
            reads++;
        }
        assert_true(reads >= 5);
        txn = begin(&o);
        tu_assert_ok(eid_password_session_unlock(session, txn));
        assert_secrets(txn, recorded);
        eid_txn_free(txn);

        tu_assert_ok(eid_database_tips(o.database, &tips, &count));
        tu_assert_ok(eid_database_new_transaction_at(o.database, tips, count, &txn));
        tu_assert_ok(eid_password_session_unlock(session, txn));
        assert_secrets(txn, recorded);
        eid_txn_free(txn);
        eid_free(tips);
        eid_password_session_close(session);
        close_case(&o);
    }
}

/* ---- Wrong use ---- */

static eid_status as_plain_docstore(const opened *o, eid_txn *txn, const char *password)
{
    eid_doc *doc;

    (void)o;
    (void)password;
    return eid_docstore_get_all(txn, "secrets", &doc);
}

static eid_status initialize_again(const opened *o, eid_txn *txn, const char *password)
{
    (void)o;
    return eid_password_store_initialize(txn, "secrets", password, EID_WRAPPED_DOCSTORE);
}

static eid_status open_before_initialize(const opened *o, eid_txn *txn, const char *password)
{
    (void)o;
    return eid_password_store_open(txn, "nothing", password);
}

static eid_status open_twice(const opened *o, eid_txn *txn, const char *password)
{
    (void)o;
    tu_assert_ok(eid_password_store_open(txn, "secrets", password));
    return eid_password_store_open(txn, "secrets", password);
}

static eid_status open_with_other_wrapped_type(const opened *o, eid_txn *txn, const char *password)
{
    char *row;

    (void)o;
    tu_assert_ok(eid_password_store_open(txn, "secrets", password));
    return eid_table_get(txn, "secrets", "k", &row, NULL);
}

static eid_status wrong_password(const opened *o, eid_txn *txn, const char *password)
{
    char wrong[64];

    (void)o;
    strcat(strcpy(wrong, password), "x");
    return eid_password_store_open(txn, "secrets", wrong);
}

/* The functions that need no transaction find nothing. */
static eid_status read_without_password(const opened *o, eid_txn *txn, const char *password)
{
    eid_value *value;

    (void)txn;
    (void)password;
    return eid_database_get(o->database, "secrets", "last", &value);
}

static const struct {
    const char *name;
    const char *recorded; /* the class of the Rust error */
    eid_status (*call)(const opened *o, eid_txn *txn, const char *password);
    eid_status wanted;
    const char *why; /* when the kind of error is not the recorded one */
} mistakes[] = {
    {"as_plain_docstore", "Store.TypeMismatch", as_plain_docstore, EID_ERR_TYPE_MISMATCH, NULL},
    {"initialize_again", "Store.InvalidOperation", initialize_again, EID_ERR_CONFLICT, NULL},
    {"open_before_initialize", "Store.InvalidOperation", open_before_initialize, EID_ERR_CONFLICT, NULL},
    {"open_twice", "Store.InvalidOperation", open_twice, EID_ERR_CONFLICT, NULL},
    {"open_with_other_wrapped_type", "Store.TypeMismatch", open_with_other_wrapped_type, EID_ERR_TYPE_MISMATCH, NULL},
    {"wrong_password", "Store.ImplementationError", wrong_password, EID_ERR_INVALID_PASSWORD, NULL},
    {"inner_before_open", "Store.InvalidOperation", as_plain_docstore, EID_ERR_TYPE_MISMATCH,
     "there is no object around the inner store here: this is the same call as as_plain_docstore"},
    {"read_without_password", "Serialize.Error", read_without_password, EID_ERR_KEY_NOT_FOUND,
     "payloads that are no documents are left out of the state, they do not make a store unreadable"},
};

static void wrong_use_is_refused(void **state)
{
    enum { COUNT = sizeof mistakes / sizeof *mistakes };

    (void)state;
    each_case(recorded)
    {
        const jd_node *errors = jd_need(recorded, "errors");
        opened o = receive_case(recorded);

        assert_int_equal(jd_len(errors), COUNT);
        for (size_t i = 0; i < COUNT; i++) {
            const jd_node *error = jd_need(errors, mistakes[i].name);
            eid_txn *txn = begin(&o);

            assert_false(jd_get_bool(error, "ok"));
            assert_string_equal(jd_get_str(error, "class"), mistakes[i].recorded);
            tu_assert_fails(mistakes[i].call(&o, txn, jd_get_str(recorded, "password")), mistakes[i].wanted);
            if (mistakes[i].why != NULL && case_ == 0)
                print_message("%s differs: %s\n", mistakes[i].name, mistakes[i].why);
            /* And nothing was staged by it. */
            eid_id id;
            tu_assert_ok(eid_txn_commit(txn, &id));
            assert_true(eid_id_is_empty(&id));
            eid_txn_free(txn);
        }
        close_case(&o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configurations_and_payloads),
        cmocka_unit_test(our_configurations_have_the_recorded_form),
        cmocka_unit_test(merged_states),
        cmocka_unit_test(states_entry_by_entry),
        cmocka_unit_test(wrong_use_is_refused),
    };
    jd_node *root = jd_load("password_store.json");
    int failed;

    vectors = root;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    jd_free(root);
    return failed;
}
