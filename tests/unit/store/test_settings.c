/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of a database: its name, rights as atomic records, and who may commit such changes. */
#include "fixture.h"

#include "crypto/key.h"

static const eid_permission write_right = {EID_PERM_WRITE, 3}, read_right = {EID_PERM_READ, 0};

static eid_database *open_as(fixture *f, const eid_keypair *key, const eid_sigkey *identity)
{
    eid_database *database;

    tu_assert_ok(eid_database_open_as(f->core, eid_database_root_id(f->database), key, identity, &database));
    return database;
}

/* Tries to write data and returns how that went. */
static eid_status try_to_write(eid_database *database)
{
    eid_txn *txn;

    tu_assert_ok(eid_database_new_transaction(database, &txn));
    tu_assert_ok(eid_docstore_set_int(txn, "pages", "k", 1));
    return eid_txn_commit_free(txn, NULL);
}

static eid_status try_to_rename(eid_database *database)
{
    eid_txn *txn;

    tu_assert_ok(eid_database_new_transaction(database, &txn));
    tu_assert_ok(eid_settings_set_name(txn, "stolen"));
    return eid_txn_commit_free(txn, NULL);
}

static void renaming(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    eid_value *value;
    const char *text;
    char *name;
    eid_id id;

    tu_assert_ok(eid_settings_get(txn, "name", &value));
    tu_assert_ok(eid_value_as_text(value, &text, NULL));
    assert_string_equal(text, "notes");
    eid_value_free(value);
    tu_assert_ok(eid_settings_set_name(txn, "renamed"));
    tu_assert_ok(eid_settings_get(txn, "name", &value));
    tu_assert_ok(eid_value_as_text(value, &text, NULL));
    assert_string_equal(text, "renamed");
    eid_value_free(value);
    id = commit(txn);
    assert_payload(f, &id, "_settings", "{\"children\":{\"name\":{\"Text\":\"renamed\"}}}");
    assert_payload(f, &id, "_index", "");
    tu_assert_ok(eid_database_name(f->database, &name));
    assert_string_equal(name, "renamed");
    eid_free(name);
}

static void free_settings_have_paths(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    eid_value *value, *found;

    tu_assert_ok(eid_value_new_int(5, &value));
    tu_assert_ok(eid_settings_set(txn, "mine.depth", value));
    commit(txn);
    txn = begin(f);
    tu_assert_ok(eid_settings_get(txn, "mine.depth", &found));
    assert_true(eid_value_equal(found, value));
    tu_assert_fails(eid_settings_get(txn, "mine.width", &found), EID_ERR_KEY_NOT_FOUND);
    eid_value_free(found);
    eid_value_free(value);
    eid_txn_free(txn);
}

static void records_are_atomic(void **state)
{
    fixture *f = *state;
    eid_pubkey key;
    eid_keypair *pair;
    uint8_t seed[32] = {7};
    char text[EID_PUBKEY_TEXT_SIZE], wanted[512];
    eid_txn *txn = begin(f);
    eid_id id;

    tu_assert_ok(eid_keypair_from_seed(seed, &pair));
    eid_keypair_public(pair, &key);
    eid_pubkey_format(&key, text);
    tu_assert_ok(eid_settings_set_auth_key(txn, &key, "laptop", write_right, EID_KEY_ACTIVE));
    id = commit(txn);
    snprintf(wanted, sizeof wanted,
             "{\"children\":{\"auth\":{\"Doc\":{\"children\":{\"keys\":{\"Doc\":{\"children\":{\"%s\":{"
             "\"Doc\":{\"_a\":true,"
             "\"children\":{\"name\":{\"Text\":\"laptop\"},\"permissions\":{\"Doc\":{\"children\":{"
             "\"priority\":{\"Int\":3},"
             "\"type\":{\"Text\":\"Write\"}}}},\"status\":{\"Text\":\"Active\"}}}}}}}}}}}}",
             text);
    assert_payload(f, &id, "_settings", wanted);

    txn = begin(f);
    tu_assert_ok(eid_settings_set_global_permission(txn, read_right));
    id = commit(txn);
    assert_payload(
        f, &id, "_settings",
        "{\"children\":{\"auth\":{\"Doc\":{\"children\":{\"global\":{\"Doc\":{\"_a\":true,\"children\":{"
        "\"permissions\":{\"Doc\":{\"children\":{\"type\":{\"Text\":\"Read\"}}}},\"status\":{\"Text\":"
        "\"Active\"}}}}}}}}}");
    eid_keypair_free(pair);
}

static void rights_decide_commits(void **state)
{
    fixture *f = *state;
    eid_keypair *writer, *stranger;
    eid_pubkey key;
    eid_database *as_writer, *as_stranger;
    eid_txn *txn = begin(f);
    uint64_t before, after;

    tu_assert_ok(eid_keypair_generate(&writer));
    tu_assert_ok(eid_keypair_generate(&stranger));
    eid_keypair_public(writer, &key);
    tu_assert_ok(eid_settings_set_auth_key(txn, &key, NULL, write_right, EID_KEY_ACTIVE));
    commit(txn);
    as_writer = open_as(f, writer, NULL);
    as_stranger = open_as(f, stranger, NULL);
    tu_assert_ok(try_to_write(as_writer));
    tu_assert_ok(eid_database_entry_count(f->database, &before));
    tu_assert_fails(try_to_rename(as_writer), EID_ERR_PERMISSION_DENIED);
    tu_assert_fails(try_to_write(as_stranger), EID_ERR_PERMISSION_DENIED);

    txn = begin(f);
    tu_assert_ok(eid_settings_set_auth_key(txn, &key, NULL, write_right, EID_KEY_REVOKED));
    commit(txn);
    tu_assert_fails(try_to_write(as_writer), EID_ERR_PERMISSION_DENIED);
    tu_assert_ok(eid_database_entry_count(f->database, &after));
    assert_int_equal(after, before + 1);
    eid_database_close(as_writer);
    eid_database_close(as_stranger);
    eid_keypair_free(writer);
    eid_keypair_free(stranger);
}

static void everybody_may_write_with_a_global_permission(void **state)
{
    fixture *f = *state;
    eid_keypair *stranger;
    eid_pubkey key;
    eid_sigkey as_global;
    eid_permission permission;
    eid_txn *txn = begin(f);

    tu_assert_ok(eid_settings_set_global_permission(txn, write_right));
    commit(txn);
    tu_assert_ok(eid_keypair_generate(&stranger));
    eid_keypair_public(stranger, &key);
    eid_sigkey_global(&key, &as_global);
    eid_database *database = open_as(f, stranger, &as_global), *direct = open_as(f, stranger, NULL);
    tu_assert_ok(try_to_write(database));
    tu_assert_fails(try_to_rename(database), EID_ERR_PERMISSION_DENIED);
    tu_assert_fails(try_to_write(direct), EID_ERR_PERMISSION_DENIED);
    tu_assert_ok(eid_database_current_permission(database, &permission));
    assert_int_equal(permission.kind, EID_PERM_WRITE);
    eid_database_close(direct);
    eid_database_close(database);
    eid_keypair_free(stranger);
}

static void nonsense_is_refused(void **state)
{
    fixture *f = *state;
    eid_permission odd = {(eid_permission_kind)7, 0};
    eid_pubkey no_point;
    eid_txn *txn = begin(f);
    eid_id id;

    memset(&no_point, 0xff, sizeof no_point);
    no_point.bytes[0] = 2;
    tu_assert_fails(eid_settings_set_auth_key(txn, &f->pubkey, NULL, odd, EID_KEY_ACTIVE),
                    EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_settings_set_auth_key(txn, &f->pubkey, NULL, read_right, (eid_key_status)9),
                    EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_settings_set_auth_key(txn, &no_point, NULL, read_right, EID_KEY_ACTIVE),
                    EID_ERR_INVALID_KEY);
    tu_assert_fails(eid_settings_set_auth_key(txn, &f->pubkey, "\xff", read_right, EID_KEY_ACTIVE),
                    EID_ERR_UTF8);
    tu_assert_fails(eid_settings_set_global_permission(txn, odd), EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_settings_set_name(txn, "\xff"), EID_ERR_UTF8);
    id = commit(txn);
    assert_true(eid_id_is_empty(&id));
}

static void auth_can_not_be_replaced_by_something_else(void **state)
{
    fixture *f = *state;
    eid_value *value;
    eid_txn *txn = begin(f);

    tu_assert_ok(eid_value_new_int(1, &value));
    tu_assert_ok(eid_settings_set(txn, "auth", value));
    tu_assert_fails(eid_txn_commit_free(txn, NULL), EID_ERR_CORRUPTED_AUTH);
    eid_value_free(value);
    tu_assert_ok(try_to_write(f->database));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DATABASE(renaming),
        WITH_DATABASE(free_settings_have_paths),
        WITH_DATABASE(records_are_atomic),
        WITH_DATABASE(rights_decide_commits),
        WITH_DATABASE(everybody_may_write_with_a_global_permission),
        WITH_DATABASE(nonsense_is_refused),
        WITH_DATABASE(auth_can_not_be_replaced_by_something_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
