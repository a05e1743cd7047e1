/* SPDX-License-Identifier: Apache-2.0 */
/* users.json: metadata, secrets, user records, keys and tracked databases as the Rust implementation stored
 * them. Each row is read with our readers and must be written back byte for byte. Decryption of keys kept
 * under a password is not run: it is printed as skipped. */
#include <stdlib.h>

#include <eidetica/memory.h>

#include "crdt/doc.h"
#include "crypto/key.h"
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

        tu_assert_ok(eid_instance_secrets_read(jd_source(jd_need(instance, "instance_secrets")), &key));
        assert_keypair(key, jd_need(instance, "device_private_key"));
        eid_keypair_public(key, &pubkey);
        assert_true(eid_pubkey_equal(&pubkey, &metadata.device));
        eid_instance_secrets_write(&buf, key);
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

static void assert_storage(const eid_key_storage *storage, const eid_pubkey *pubkey, const jd_node *recorded)
{
    const jd_node *clear = jd_get(recorded, "private_key");
    eid_keypair *key;

    if (clear == NULL) {
        assert_true(storage->encrypted);
        assert_string_equal(storage->algorithm, jd_get_str(recorded, "algorithm"));
        tu_assert_hex(storage->ciphertext, storage->ciphertext_len,
                      jd_get_str(recorded, "ciphertext_and_tag_hex"));
        tu_assert_hex(storage->nonce, storage->nonce_len, jd_get_str(recorded, "nonce_hex"));
        tu_assert_fails(eid_key_storage_open(storage, pubkey, &key), EID_ERR_PASSWORD_REQUIRED);
        return;
    }
    assert_false(storage->encrypted);
    tu_assert_ok(eid_key_storage_open(storage, pubkey, &key));
    assert_keypair(key, clear);
    assert_pubkey(pubkey, jd_need(recorded, "public_key"));

    eid_key_storage made;
    eid_buf first, second;
    eid_buf_init(&first, 4096);
    eid_buf_init(&second, 4096);
    tu_assert_ok(eid_key_storage_clear(key, &made));
    eid_key_storage_write(&first, storage);
    eid_key_storage_write(&second, &made);
    assert_text(&first, eid_buf_slice(&second));
    eid_buf_free(&first);
    eid_buf_free(&second);
    eid_key_storage_free(&made);
    eid_keypair_free(key);
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
            assert_storage(&record.root_key, &record.root_key_id, jd_need(user, "root_key"));
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
    eid_tracked_row row;
    eid_buf buf;

    tu_assert_ok(eid_tracked_row_read(text, &row));
    eid_buf_init(&buf, 65536);
    eid_tracked_row_write(&buf, &row);
    assert_text(&buf, text);
    eid_buf_free(&buf);
    eid_tracked_row_free(&row);
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
                assert_storage(&key.storage, &key.key_id, jd_need(row, "storage"));
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
        }
    }
    assert_true(clear >= 2);
    print_message("skipped decryption of %zu keys: users with a password are not supported by this version\n",
                  encrypted);
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
                eid_tracked_row row;

                tu_assert_ok(eid_tracked_row_read(jd_source(recorded), &row));
                assert_id(&row.tracked.id, jd_need(recorded, "database_id"));
                assert_id(&row.tracked.id, jd_need(jd_at(table, r), "row_key"));
                assert_pubkey(&row.tracked.key, jd_need(recorded, "key_id"));
                assert_int_equal(row.tracked.settings.sync_enabled, jd_get_bool(settings, "sync_enabled"));
                assert_int_equal(row.tracked.settings.sync_on_commit,
                                 jd_get_bool(settings, "sync_on_commit"));
                assert_int_equal(row.tracked.settings.interval_seconds,
                                 jd_is_null(interval) ? 0 : jd_u64(interval));
                assert_string_equal(row.properties, "{}");
                eid_tracked_row_free(&row);
                seen++;
            }
        }
    }
    assert_int_equal(seen, 6);
}

static void left_out(void **state)
{
    (void)state;
    print_message("skipped kdf (%zu) and encrypted_keys (%zu): users with a password are not supported by "
                  "this version\n",
                  jd_len(jd_need(vectors, "kdf")), jd_len(jd_need(vectors, "encrypted_keys")));
    skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metadata_and_secrets),
        cmocka_unit_test(user_records),
        cmocka_unit_test(rows_are_written_as_recorded),
        cmocka_unit_test(key_tables),
        cmocka_unit_test(tracked_tables),
        cmocka_unit_test(left_out),
    };
    jd_node *root = jd_load("users.json");
    int failed;

    vectors = root;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    jd_free(root);
    return failed;
}
