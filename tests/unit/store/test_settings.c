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

/* ---- Reading ---- */

static bool join_keys(const char *key, size_t len, const eid_value *value, void *ctx)
{
    (void)value;
    strncat(ctx, key, len);
    strcat(ctx, " ");
    return true;
}

static void settings_are_read_and_deleted(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    char *name, keys[64] = "";
    eid_value *value;
    bool deleted;

    tu_assert_ok(eid_value_new_int(12, &value));
    tu_assert_ok(eid_settings_set(txn, "theme.size", value));
    eid_value_free(value);
    tu_assert_ok(eid_settings_get_name(txn, &name));
    assert_string_equal(name, "notes");
    eid_free(name);
    tu_assert_ok(eid_settings_scan(txn, NULL, NULL, join_keys, keys));
    tu_assert_ok(eid_settings_scan(txn, "theme", NULL, join_keys, keys));
    tu_assert_ok(eid_settings_scan(txn, NULL, "auth", join_keys, keys));
    assert_string_equal(keys, "auth name theme size name theme ");
    tu_assert_ok(eid_settings_delete(txn, "theme", &deleted));
    assert_true(deleted);
    tu_assert_ok(eid_settings_delete(txn, "theme", &deleted));
    assert_false(deleted);
    tu_assert_ok(eid_settings_delete(txn, "name", NULL));
    tu_assert_fails(eid_settings_get_name(txn, &name), EID_ERR_KEY_NOT_FOUND);
    tu_assert_fails(eid_settings_delete(txn, NULL, NULL), EID_ERR_INVALID_ARGUMENT);
    commit(txn);
    tu_assert_fails(eid_database_name(f->database, &name), EID_ERR_KEY_NOT_FOUND);
    txn = begin(f);
    tu_assert_ok(eid_value_new_int(1, &value));
    tu_assert_ok(eid_settings_set(txn, "name", value));
    eid_value_free(value);
    tu_assert_fails(eid_settings_get_name(txn, &name), EID_ERR_TYPE_MISMATCH);
    eid_txn_free(txn);
}

static void rights_are_listed(void **state)
{
    fixture *f = *state;
    eid_keypair *pair;
    eid_pubkey keys[2];
    eid_auth_key_info *list;
    eid_permission write = {EID_PERM_WRITE, 5}, read = {EID_PERM_READ, 0}, got = {EID_PERM_ADMIN, 9};
    size_t count;
    eid_txn *txn = begin(f);

    tu_assert_fails(eid_settings_get_global_permission(txn, &got), EID_ERR_KEY_NOT_FOUND);
    for (size_t i = 0; i < 2; i++) {
        tu_assert_ok(eid_keypair_generate(&pair));
        eid_keypair_public(pair, &keys[i]);
        eid_keypair_free(pair);
    }
    tu_assert_ok(eid_settings_set_auth_key(txn, &keys[0], "laptop", write, EID_KEY_ACTIVE));
    tu_assert_ok(eid_settings_set_auth_key(txn, &keys[1], NULL, read, EID_KEY_REVOKED));
    tu_assert_ok(eid_settings_set_global_permission(txn, read));
    tu_assert_ok(eid_settings_list_auth_keys(txn, &list, &count));
    assert_int_equal(count, 3);
    char before[EID_PUBKEY_TEXT_SIZE] = "", text[EID_PUBKEY_TEXT_SIZE];
    for (size_t i = 0; i < count; i++) {
        eid_pubkey_format(&list[i].key, text);
        assert_true(strcmp(before, text) < 0);
        strcpy(before, text);
        if (memcmp(&list[i].key, &keys[0], sizeof keys[0]) == 0) {
            assert_string_equal(list[i].name, "laptop");
            assert_int_equal(eid_permission_compare(list[i].permission, write), 0);
            assert_int_equal(list[i].status, EID_KEY_ACTIVE);
        } else if (memcmp(&list[i].key, &keys[1], sizeof keys[1]) == 0) {
            assert_null(list[i].name);
            assert_int_equal(list[i].status, EID_KEY_REVOKED);
        } else {
            assert_memory_equal(&list[i].key, &f->pubkey, sizeof f->pubkey);
            assert_int_equal(list[i].permission.kind, EID_PERM_ADMIN);
        }
    }
    eid_free(list);
    tu_assert_ok(eid_settings_get_global_permission(txn, &got));
    assert_int_equal(got.kind, EID_PERM_READ);
    eid_txn_free(txn);
    txn = begin(f);
    tu_assert_ok(eid_settings_list_auth_keys(txn, &list, &count));
    assert_int_equal(count, 1);
    eid_free(list);
    eid_txn_free(txn);
}

static eid_status list_step(void *ctx)
{
    fixture *f = ctx;
    eid_txn *txn;
    eid_auth_key_info *list = NULL;
    size_t count;
    char *name = NULL;

    EID_TRY(eid_database_new_transaction(f->database, &txn));
    eid_status status = eid_settings_list_auth_keys(txn, &list, &count);
    if (status == EID_OK)
        status = eid_settings_get_name(txn, &name);
    if (status == EID_OK)
        status = eid_settings_set_height_strategy(txn, EID_HEIGHT_TIMESTAMP);
    if (status == EID_OK)
        status = eid_settings_delete(txn, "name", NULL);
    eid_free(name);
    eid_free(list);
    eid_txn_free(txn);
    return status;
}

static void short_memory(void **state)
{
    fixture *f = *state;

    assert_true(tu_alloc_fault_loop(list_step, f) > 10);
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
        WITH_DATABASE(settings_are_read_and_deleted),
        WITH_DATABASE(rights_are_listed),
        WITH_SCARCE_MEMORY(short_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
