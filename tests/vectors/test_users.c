/* SPDX-License-Identifier: Apache-2.0 */
/* users.json: metadata, secrets, user records, keys and tracked databases as the Rust implementation stored
 * them. Each row is read with our readers and must be written back byte for byte, each key opens with its user's
 * password, and the recorded instances as a whole can be logged in to. */
#include <stdio.h>
#include <stdlib.h>

#include <eidetica/memory.h>

#include "crdt/doc.h"
#include "crypto/kdf.h"
#include "crypto/key.h"
#include "instance/instance.h"
#include "instance/records.h"
#include "support/jsondom.h"

static const jd_node *vectors;

#define each_instance(name, index)                                                                           \
    for (size_t index = 0; index < jd_len(jd_need(vectors, "instances")); index++)                           \
        for (const jd_node *name = jd_at(jd_need(vectors, "instances"), index); name != NULL; name = NULL)

static void assert_text(const eid_buf *buf, eid_slice wanted)
{
    tu_assert_ok(eid_buf_status(buf));
    if (!eid_slice_equal(eid_buf_slice(buf), wanted))
        fail_msg("written %.*s\nrecorded %.*s", (int)buf->len, (const char *)buf->data, (int)wanted.len,
                 (const char *)wanted.data);
}

static void assert_id(const eid_id *id, const jd_node *wanted)
{
    char text[EID_ID_TEXT_SIZE];

    eid_id_format(id, text);
    assert_string_equal(text, jd_str(wanted));
}

static void assert_pubkey(const eid_pubkey *key, const jd_node *wanted)
{
    char text[EID_PUBKEY_TEXT_SIZE];

    eid_pubkey_format(key, text);
    assert_string_equal(text, jd_str(wanted));
}

static void assert_keypair(const eid_keypair *key, const jd_node *wanted)
{
    char text[EID_PUBKEY_TEXT_SIZE];

    eid_keypair_format(key, text);
    assert_string_equal(text, jd_str(wanted));
}

/* ---- Instances ---- */

static void metadata_and_secrets(void **state)
{
    size_t seen = 0;

    (void)state;
    each_instance(instance, i)
    {
        const jd_node *recorded = jd_need(instance, "instance_metadata");
        eid_instance_metadata metadata, again;
        eid_instance_secrets secrets;
        eid_keypair *key;
        eid_pubkey pubkey;
        eid_buf buf;

        tu_assert_ok(eid_instance_metadata_read(jd_source(recorded), &metadata));
        assert_pubkey(&metadata.device, jd_need(recorded, "id"));
        assert_id(&metadata.users_db, jd_need(recorded, "users_db"));
        assert_id(&metadata.databases_db, jd_need(recorded, "databases_db"));
        assert_true(jd_is_null(jd_need(recorded, "sync_db")) && eid_id_is_empty(&metadata.sync_db));
        assert_id(&metadata.users_db, jd_need(jd_need(instance, "users_database"), "root"));
        assert_id(&metadata.databases_db, jd_need(jd_need(instance, "databases_database"), "root"));

        eid_buf_init(&buf, 4096);
        eid_instance_metadata_write(&buf, &metadata);
        tu_assert_ok(eid_instance_metadata_read(eid_buf_slice(&buf), &again));
        assert_true(eid_id_equal(&again.users_db, &metadata.users_db) && eid_id_is_empty(&again.sync_db));
        eid_buf_reset(&buf);

        tu_assert_ok(eid_instance_secrets_read(jd_source(jd_need(instance, "instance_secrets")), &secrets));
        assert_false(secrets.has_master);
        tu_assert_ok(eid_key_storage_open(&secrets.device, NULL, &metadata.device, &key));
        assert_keypair(key, jd_need(instance, "device_private_key"));
        eid_keypair_public(key, &pubkey);
        assert_true(eid_pubkey_equal(&pubkey, &metadata.device));
        eid_instance_secrets_write(&buf, &secrets);
        eid_instance_secrets_free(&secrets);
        eid_keypair_free(key);
        jd_node *written = jd_parse(eid_buf_slice(&buf));
        assert_string_equal(jd_get_str(written, "signing_key"), jd_get_str(instance, "device_private_key"));
        assert_int_equal(jd_len(written), 1);
        jd_free(written);
        eid_buf_free(&buf);
        seen++;
    }
    assert_int_equal(seen, 3);
}

/* ---- User records ---- */

/* The same key, encrypted by us, opens too; with the recorded nonce it is the recorded bytes. */
static void assert_encrypts(const eid_keypair *key, const eid_pubkey *pubkey, const eid_aead_key *encryption,
                            const eid_key_storage *recorded)
{
    char text[EID_PUBKEY_TEXT_SIZE];
    uint8_t again[EID_PUBKEY_TEXT_SIZE - 1 + EID_AEAD_TAG];
    eid_key_storage made;
    eid_keypair *back;

    eid_keypair_format(key, text);
    eid_aead_encrypt(encryption, recorded->nonce, eid_slice_text(text), again);
    assert_int_equal(recorded->ciphertext_len, sizeof again);
    assert_memory_equal(recorded->ciphertext, again, sizeof again);
    tu_assert_ok(eid_key_storage_make(key, encryption, &made));
    assert_true(made.encrypted);
    assert_string_equal(made.algorithm, recorded->algorithm);
    assert_int_equal(made.ciphertext_len, recorded->ciphertext_len);
    assert_int_equal(made.nonce_len, recorded->nonce_len);
    assert_memory_not_equal(made.nonce, recorded->nonce, made.nonce_len);
    tu_assert_ok(eid_key_storage_open(&made, encryption, pubkey, &back));
    eid_keypair_free(back);
    eid_key_storage_free(&made);
}

static void assert_encrypted(const eid_key_storage *storage, const eid_aead_key *encryption, const eid_pubkey *pubkey,
                             const jd_node *recorded)
{
    uint8_t other_bytes[EID_AEAD_KEY] = {1};
    eid_aead_key *other;
    eid_keypair *key;

    assert_true(storage->encrypted);
    assert_string_equal(storage->algorithm, jd_get_str(recorded, "algorithm"));
    tu_assert_hex(storage->ciphertext, storage->ciphertext_len, jd_get_str(recorded, "ciphertext_and_tag_hex"));
    tu_assert_hex(storage->nonce, storage->nonce_len, jd_get_str(recorded, "nonce_hex"));
    tu_assert_fails(eid_key_storage_open(storage, NULL, pubkey, &key), EID_ERR_PASSWORD_REQUIRED);
    tu_assert_ok(eid_aead_key_new(other_bytes, &other));
    tu_assert_fails(eid_key_storage_open(storage, other, pubkey, &key), EID_ERR_DECRYPTION);
    eid_aead_key_free(other);
    tu_assert_ok(eid_key_storage_open(storage, encryption, pubkey, &key));
    assert_keypair(key, jd_need(recorded, "decrypted_private_key"));
    assert_encrypts(key, pubkey, encryption, storage);
    eid_keypair_free(key);
}

static void assert_storage(const eid_key_storage *storage, const eid_aead_key *encryption, const eid_pubkey *pubkey,
                           const jd_node *recorded)
{
    const jd_node *clear = jd_get(recorded, "private_key");
    eid_keypair *key;

    if (clear == NULL) {
        assert_encrypted(storage, encryption, pubkey, recorded);
        return;
    }
    assert_false(storage->encrypted);
    tu_assert_ok(eid_key_storage_open(storage, encryption, pubkey, &key));
    assert_keypair(key, clear);
    assert_pubkey(pubkey, jd_need(recorded, "public_key"));

    eid_key_storage made;
    eid_buf first, second;
    eid_buf_init(&first, 4096);
    eid_buf_init(&second, 4096);
    tu_assert_ok(eid_key_storage_make(key, NULL, &made));
    eid_key_storage_write(&first, storage);
    eid_key_storage_write(&second, &made);
    assert_text(&first, eid_buf_slice(&second));
    eid_buf_free(&first);
    eid_buf_free(&second);
    eid_key_storage_free(&made);
    eid_keypair_free(key);
}

/* The user's key from password and salt; NULL without a password. */
static eid_aead_key *encryption_of(const jd_node *user)
{
    const eid_kdf_costs costs = EID_KDF_COSTS_DEFAULT;
    const jd_node *salt = jd_need(jd_need(jd_need(user, "record"), "credentials"), "password_salt");
    uint8_t bytes[EID_AEAD_KEY];
    eid_aead_key *key;

    if (jd_is_null(salt))
        return NULL;
    tu_assert_ok(eid_kdf_derive(jd_slice(jd_need(user, "password")), jd_slice(salt), &costs, bytes));
    tu_assert_hex(bytes, sizeof bytes, jd_get_str(user, "key_encryption_key_hex"));
    tu_assert_ok(eid_aead_key_new(bytes, &key));
    return key;
}

static void user_records(void **state)
{
    size_t seen = 0, passwordless = 0;

    (void)state;
    each_instance(instance, i)
    {
        const jd_node *users = jd_need(instance, "users");
        for (size_t k = 0; k < jd_len(users); k++) {
            const jd_node *user = jd_at(users, k), *recorded = jd_need(user, "record");
            const jd_node *credentials = jd_need(recorded, "credentials"),
                          *salt = jd_need(credentials, "password_salt");
            eid_user_record record;
            eid_buf buf;

            tu_assert_ok(eid_user_record_read(jd_slice(jd_need(user, "record_text")), &record));
            assert_string_equal(record.username, jd_get_str(recorded, "username"));
            assert_id(&record.private_database, jd_need(recorded, "user_database_id"));
            assert_pubkey(&record.root_key_id, jd_need(credentials, "root_key_id"));
            assert_int_equal(record.created_at, jd_i64(jd_need(recorded, "created_at")));
            assert_int_equal(record.status, EID_USER_ACTIVE);
            eid_aead_key *encryption = encryption_of(user);
            assert_storage(&record.root_key, encryption, &record.root_key_id, jd_need(user, "root_key"));
            eid_aead_key_free(encryption);
            if (jd_is_null(salt)) {
                assert_null(record.password_salt);
                assert_true(jd_is_null(jd_need(user, "password")));
                passwordless++;
            } else {
                assert_string_equal(record.password_salt, jd_str(salt));
            }
            eid_buf_init(&buf, 65536);
            eid_user_record_write(&buf, &record);
            assert_text(&buf, jd_slice(jd_need(user, "record_text")));
            eid_buf_free(&buf);
            eid_user_record_free(&record);
            seen++;
        }
    }
    assert_int_equal(seen, 5);
    assert_int_equal(passwordless, 2);
}

/* ---- Rows of the private databases, out of the recorded entries ---- */

typedef void (*row_check)(eid_slice text);

static void check_key_row(eid_slice text)
{
    eid_user_key key;
    eid_buf buf;

    tu_assert_ok(eid_user_key_read(text, &key));
    eid_buf_init(&buf, 65536);
    eid_user_key_write(&buf, &key);
    assert_text(&buf, text);
    eid_buf_free(&buf);
    eid_user_key_free(&key);
}

static void check_tracked_row(eid_slice text)
{
    eid_database_preferences row;
    eid_buf buf;

    tu_assert_ok(eid_preferences_read(text, &row));
    eid_buf_init(&buf, 65536);
    eid_preferences_write(&buf, &row);
    assert_text(&buf, text);
    eid_buf_free(&buf);
    eid_database_preferences_clear(&row);
}

/* Every row that any entry of the database wrote into the store. */
static size_t check_rows(const jd_node *database, const char *store, row_check check)
{
    const jd_node *entries = jd_need(database, "entries");
    size_t rows = 0;

    for (size_t i = 0; i < jd_len(entries); i++) {
        size_t len;
        uint8_t *bytes = jd_hex(jd_need(jd_at(entries, i), "dagcbor_hex"), &len);
        const eid_doc_cursor *cursor = NULL;
        const eid_value *value;
        const char *key, *text;
        eid_entry *entry;

        tu_assert_ok(eid_entry_from_cbor(bytes, len, &entry));
        free(bytes);
        const eid_subtree *subtree = eid_entry_subtree(entry, eid_slice_text(store));
        if (subtree != NULL && subtree->has_data) {
            eid_doc *doc;
            tu_assert_ok(eid_doc_from_json((const char *)subtree->data, subtree->data_len, &doc));
            while (eid_doc_next(doc, &cursor, &key, &len, &value)) {
                tu_assert_ok(eid_value_as_text(value, &text, &len));
                check(eid_slice_of(text, len));
                rows++;
            }
            eid_doc_free(doc);
        }
        eid_entry_unref(entry);
    }
    return rows;
}

static void rows_are_written_as_recorded(void **state)
{
    size_t keys = 0, tracked = 0;

    (void)state;
    each_instance(instance, i)
    {
        const jd_node *users = jd_need(instance, "users");
        for (size_t k = 0; k < jd_len(users); k++) {
            const jd_node *database = jd_need(jd_at(users, k), "user_database");
            keys += check_rows(database, "keys", check_key_row);
            tracked += check_rows(database, "databases", check_tracked_row);
        }
    }
    print_message("%zu rows of keys, %zu of tracked databases\n", keys, tracked);
    assert_true(keys >= 6 && tracked >= 6);
}

static void key_tables(void **state)
{
    size_t encrypted = 0, clear = 0;

    (void)state;
    each_instance(instance, i)
    {
        const jd_node *users = jd_need(instance, "users");
        for (size_t k = 0; k < jd_len(users); k++) {
            const jd_node *table = jd_need(jd_at(users, k), "keys_table");
            eid_aead_key *encryption = encryption_of(jd_at(users, k));
            for (size_t r = 0; r < jd_len(table); r++) {
                const jd_node *row = jd_at(table, r), *recorded = jd_need(row, "record");
                const jd_node *sigkeys = jd_need(recorded, "database_sigkeys");
                eid_user_key key;

                tu_assert_ok(eid_user_key_read(jd_source(recorded), &key));
                assert_pubkey(&key.key_id, jd_need(recorded, "key_id"));
                assert_string_equal(key.display_name, jd_get_str(recorded, "display_name"));
                assert_int_equal(key.is_default, jd_get_bool(recorded, "is_default"));
                assert_int_equal(key.created_at, jd_i64(jd_need(recorded, "created_at")));
                assert_int_equal(key.has_last_used, !jd_is_null(jd_need(recorded, "last_used")));
                assert_storage(&key.storage, encryption, &key.key_id, jd_need(row, "storage"));
                *(key.storage.encrypted ? &encrypted : &clear) += 1;
                assert_int_equal(key.mapping_count, jd_len(sigkeys));
                for (size_t m = 0; m < jd_len(sigkeys); m++) {
                    eid_id database;
                    tu_assert_ok(eid_id_parse(jd_key_at(sigkeys, m), &database));
                    const eid_key_mapping *mapping = eid_user_key_mapping(&key, &database);
                    assert_non_null(mapping);
                    assert_int_equal(mapping->has_identity, !jd_is_null(jd_at(sigkeys, m)));
                }
                eid_user_key_free(&key);
            }
            eid_aead_key_free(encryption);
        }
    }
    print_message("%zu encrypted keys, %zu in clear\n", encrypted, clear);
    assert_true(clear >= 2 && encrypted >= 3);
}

static void tracked_tables(void **state)
{
    size_t seen = 0;

    (void)state;
    each_instance(instance, i)
    {
        const jd_node *users = jd_need(instance, "users");
        for (size_t k = 0; k < jd_len(users); k++) {
            const jd_node *table = jd_need(jd_at(users, k), "databases_table");
            for (size_t r = 0; r < jd_len(table); r++) {
                const jd_node *recorded = jd_need(jd_at(table, r), "record");
                const jd_node *settings = jd_need(recorded, "sync_settings");
                const jd_node *interval = jd_need(settings, "interval_seconds");
                eid_database_preferences row;

                tu_assert_ok(eid_preferences_read(jd_source(recorded), &row));
                assert_id(&row.database_id, jd_need(recorded, "database_id"));
                assert_id(&row.database_id, jd_need(jd_at(table, r), "row_key"));
                assert_pubkey(&row.key_id, jd_need(recorded, "key_id"));
                assert_int_equal(row.sync_settings.sync_enabled, jd_get_bool(settings, "sync_enabled"));
                assert_int_equal(row.sync_settings.sync_on_commit,
                                 jd_get_bool(settings, "sync_on_commit"));
                assert_int_equal(row.sync_settings.interval_seconds,
                                 jd_is_null(interval) ? 0 : jd_u64(interval));
                assert_int_equal(row.sync_settings.property_count, 0);
                eid_database_preferences_clear(&row);
                seen++;
            }
        }
    }
    assert_int_equal(seen, 6);
}

/* ---- Passwords ---- */

static void keys_from_passwords(void **state)
{
    const jd_node *cases = jd_need(vectors, "kdf"), *costs = jd_need(vectors, "argon2");
    const eid_kdf_costs ours = EID_KDF_COSTS_DEFAULT;

    (void)state;
    assert_int_equal(jd_u64(jd_need(costs, "m_cost_kib")), ours.memory_kib);
    assert_int_equal(jd_u64(jd_need(costs, "t_cost")), ours.passes);
    assert_int_equal(jd_u64(jd_need(costs, "p_cost")), ours.lanes);
    assert_int_equal(jd_len(cases), 7);
    for (size_t i = 0; i < jd_len(cases); i++) {
        const jd_node *result = jd_need(jd_at(cases, i), "result");
        uint8_t key[EID_AEAD_KEY];
        eid_status status = eid_kdf_derive(jd_slice(jd_need(jd_at(cases, i), "password")),
                                           jd_slice(jd_need(jd_at(cases, i), "salt")), &ours, key);
        if (jd_get_bool(result, "ok")) {
            tu_assert_ok(status);
            tu_assert_hex(key, sizeof key, jd_get_str(result, "key_hex"));
        } else {
            assert_string_equal(jd_get_str(result, "class"), "User.InvalidSaltLength");
            assert_int_equal(status, EID_ERR_INVALID_ARGUMENT);
        }
    }
}

/* What the recorded errors are here. A key of another length can not be given: the type has 32 bytes. */
static eid_status open_recorded(const jd_node *recorded, const eid_pubkey *pubkey, eid_keypair **out)
{
    size_t key_len;
    uint8_t *bytes = jd_hex(jd_need(recorded, "key_hex"), &key_len);
    eid_key_storage storage = {.encrypted = true, .algorithm = "aes-256-gcm"};
    eid_aead_key *key;

    if (key_len != EID_AEAD_KEY) {
        free(bytes);
        return EID_ERR_INVALID_KEY;
    }
    storage.nonce = jd_hex(jd_need(recorded, "nonce_hex"), &storage.nonce_len);
    storage.ciphertext = jd_hex(jd_need(recorded, "ciphertext_and_tag_hex"), &storage.ciphertext_len);
    tu_assert_ok(eid_aead_key_new(bytes, &key));
    eid_status status = eid_key_storage_open(&storage, key, pubkey, out);
    eid_aead_key_free(key);
    free(storage.nonce);
    free(storage.ciphertext);
    free(bytes);
    return status;
}

static void encrypted_keys(void **state)
{
    const jd_node *cases = jd_need(vectors, "encrypted_keys");
    static const struct {
        const char *part_of_error;
        eid_status wanted;
    } errors[] = {
        {"aead::Error", EID_ERR_DECRYPTION},
        {"Invalid key length", EID_ERR_INVALID_KEY},
        {"Invalid nonce length", EID_ERR_CORRUPT},
    };
    size_t good = 0, bad = 0;

    (void)state;
    for (size_t i = 0; i < jd_len(cases); i++) {
        const jd_node *plain = jd_get(jd_at(cases, i), "plaintext");
        eid_pubkey pubkey;
        eid_keypair *key = NULL;

        memset(&pubkey, 0, sizeof pubkey);
        if (plain != NULL) {
            tu_assert_ok(eid_keypair_parse(jd_str(plain), &key));
            eid_keypair_public(key, &pubkey);
            eid_keypair_free(key);
            tu_assert_ok(open_recorded(jd_at(cases, i), &pubkey, &key));
            assert_keypair(key, plain);
            eid_keypair_free(key);
            good++;
            continue;
        }
        const char *error = jd_get_str(jd_need(jd_at(cases, i), "decrypt"), "error");
        for (size_t k = 0; k < sizeof errors / sizeof *errors; k++) {
            if (strstr(error, errors[k].part_of_error) != NULL) {
                assert_int_equal(open_recorded(jd_at(cases, i), &pubkey, &key), errors[k].wanted);
                bad++;
            }
        }
    }
    assert_int_equal(good, 3);
    assert_int_equal(bad, 3);
}

/* ---- Whole instances ---- */

static void receive(eid_core *core, const jd_node *database)
{
    const jd_node *entries = jd_need(database, "entries");
    size_t count = jd_len(entries);
    eid_entry **read = calloc(count, sizeof(eid_entry *));
    eid_receipt receipt;
    eid_id root;

    for (size_t i = 0; i < count; i++) {
        size_t len;
        uint8_t *bytes = jd_hex(jd_need(jd_at(entries, i), "dagcbor_hex"), &len);
        tu_assert_ok(eid_entry_from_cbor(bytes, len, &read[i]));
        free(bytes);
    }
    tu_assert_ok(eid_id_parse(jd_get_str(database, "root"), &root));
    tu_assert_ok(eid_core_receive(core, &root, read, count, &receipt, NULL));
    assert_int_equal(receipt.admitted, count);
    for (size_t i = 0; i < count; i++)
        eid_entry_unref(read[i]);
    free(read);
}

static void set_meta(eid_core *core, const char *key, eid_slice value)
{
    eid_storage *storage = eid_core_storage(core);

    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_begin(storage));
    tu_assert_ok(eid_storage_meta_set(storage, key, value));
    tu_assert_ok(eid_storage_commit(storage));
    eid_storage_unlock(storage);
}

/* A data file with everything the recorded instance holds. */
static eid_instance *open_recorded_instance(const jd_node *recorded, const char *dir)
{
    char *path = tu_path(dir, "recorded.db"), url[600];
    eid_core_options options = {.path = path, .clock = eid_clock_system};
    eid_instance *instance;
    eid_core *core;

    tu_assert_ok(eid_core_open(&options, &core));
    receive(core, jd_need(recorded, "users_database"));
    receive(core, jd_need(recorded, "databases_database"));
    for (size_t i = 0; i < jd_len(jd_need(recorded, "users")); i++)
        receive(core, jd_need(jd_at(jd_need(recorded, "users"), i), "user_database"));
    set_meta(core, "instance_metadata", jd_source(jd_need(recorded, "instance_metadata")));
    set_meta(core, "instance_secrets", jd_source(jd_need(recorded, "instance_secrets")));
    eid_core_close(core);
    snprintf(url, sizeof url, "sqlite:%s", path);
    tu_assert_ok(eid_instance_open_url(url, &instance));
    free(path);
    return instance;
}

static const char *password_of(const jd_node *user)
{
    const jd_node *password = jd_need(user, "password");

    return jd_is_null(password) ? NULL : jd_str(password);
}

/* The session has every recorded key, and the root key is the default one. */
static void assert_session(eid_user *user, const jd_node *recorded)
{
    const jd_node *table = jd_need(recorded, "keys_table");
    eid_user_key_info *keys;
    eid_pubkey key;
    size_t count;

    assert_string_equal(eid_user_id(user), jd_get_str(recorded, "uuid"));
    eid_user_get_default_key(user, &key);
    assert_pubkey(&key, jd_need(jd_need(jd_need(recorded, "record"), "credentials"), "root_key_id"));
    tu_assert_ok(eid_user_list_keys(user, &keys, &count));
    assert_int_equal(count, jd_len(table) == 0 ? 1 : jd_len(table));
    for (size_t i = 0; i < count; i++) {
        bool found = jd_len(table) == 0;
        for (size_t k = 0; k < jd_len(table); k++) {
            const jd_node *row = jd_need(jd_at(table, k), "record");
            char text[EID_PUBKEY_TEXT_SIZE];
            eid_pubkey_format(&keys[i].key, text);
            if (strcmp(text, jd_get_str(row, "key_id")) != 0)
                continue;
            assert_string_equal(keys[i].display_name, jd_get_str(row, "display_name"));
            assert_int_equal(keys[i].created_at, jd_i64(jd_need(row, "created_at")));
            assert_int_equal(keys[i].is_default, jd_get_bool(row, "is_default"));
            found = true;
        }
        assert_true(found);
    }
    eid_free(keys);
}

static void check_mistakes(eid_instance *instance, const jd_node *recorded)
{
    const jd_node *first = jd_at(jd_need(recorded, "users"), 0), *results = jd_need(recorded, "login");
    const char *name = jd_get_str(jd_need(first, "record"), "username");
    eid_user *user = NULL;

    assert_true(jd_get_bool(jd_need(results, "right_password"), "ok"));
    assert_string_equal(jd_get_str(jd_need(results, "create_same_name"), "class"), "User.UsernameAlreadyExists");
    tu_assert_fails(eid_instance_create_user(instance, name, NULL), EID_ERR_USER_EXISTS);
    /* DecryptionFailed, or InvalidPassword for a user without one; the same here. */
    assert_false(jd_get_bool(jd_need(results, "wrong_password"), "ok"));
    tu_assert_fails(eid_instance_login_user(instance, name, "certainly not this", &user), EID_ERR_INVALID_PASSWORD);
    if (!jd_get_bool(jd_need(results, "no_password"), "ok")) {
        assert_string_equal(jd_get_str(jd_need(results, "no_password"), "class"), "User.PasswordRequired");
        tu_assert_fails(eid_instance_login_user(instance, name, NULL, &user), EID_ERR_PASSWORD_REQUIRED);
    }
    assert_string_equal(jd_get_str(jd_need(results, "unknown_user"), "class"), "User.UserNotFound");
    tu_assert_fails(eid_instance_login_user(instance, "nobody", NULL, &user), EID_ERR_PASSWORD_REQUIRED);
    tu_assert_fails(eid_instance_login_user(instance, "nobody", "pw", &user), EID_ERR_INVALID_PASSWORD);
    assert_null(user);
}

static void recorded_instances_are_logged_in_to(void **state)
{
    size_t users_seen = 0;

    (void)state;
    each_instance(recorded, i)
    {
        const jd_node *users = jd_need(recorded, "users");
        char *dir = tu_temp_dir();
        eid_instance *instance = open_recorded_instance(recorded, dir);

        for (size_t k = 0; k < jd_len(users); k++, users_seen++) {
            const char *name = jd_get_str(jd_need(jd_at(users, k), "record"), "username");
            eid_user *user;
            /* Twice: the first login writes rows of ours beside the recorded ones. */
            for (int round = 0; round < 2; round++) {
                tu_assert_ok(eid_instance_login_user(instance, name, password_of(jd_at(users, k)), &user));
                if (round == 0)
                    assert_session(user, jd_at(users, k));
                eid_user_logout(user);
            }
        }
        check_mistakes(instance, recorded);
        eid_instance_close(instance);
        tu_temp_dir_remove(dir);
    }
    assert_int_equal(users_seen, 5);
    print_message("unknown_user differs: it is not told apart from a wrong password, nor from a user with one\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metadata_and_secrets),
        cmocka_unit_test(user_records),
        cmocka_unit_test(rows_are_written_as_recorded),
        cmocka_unit_test(key_tables),
        cmocka_unit_test(tracked_tables),
        cmocka_unit_test(keys_from_passwords),
        cmocka_unit_test(encrypted_keys),
        cmocka_unit_test(recorded_instances_are_logged_in_to),
    };
    jd_node *root = jd_load("users.json");
    int failed;

    vectors = root;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    jd_free(root);
    return failed;
}
