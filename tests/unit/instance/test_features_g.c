/* SPDX-License-Identifier: Apache-2.0 */
/* What the guide's section on security names about keys and rights; what it names about asking a peer for access stands in
 * tests/sync/test_features.c. */
#include "features.h"

/* Feature 81 */
static void the_device_key(void **state)
{
    fixture *f = *state;
    eid_sync *sync = sync_on(f);
    eid_pubkey device, again;
    char text[EID_PUBKEY_TEXT_SIZE];

    (void)sync; /* turned on without a key being named */
    eid_instance_device_pubkey(f->instance, &device);
    eid_pubkey_format(&device, text);
    assert_int_equal(strncmp(text, "ed25519:", 8), 0);
    tu_assert_ok(eid_pubkey_parse(text, &again));
    assert_true(eid_pubkey_equal(&device, &again));
}

/* Features 12, 82 */
static void several_named_keys(void **state)
{
    fixture *f = *state;
    eid_pubkey main_key, backup, found;
    eid_named_key_info *list;
    size_t count;

    tu_assert_ok(eid_instance_add_private_key(f->instance, "main_device_key", &main_key));
    tu_assert_ok(eid_instance_add_private_key(f->instance, "backup_key", &backup));
    tu_assert_fails(eid_instance_add_private_key(f->instance, "backup_key", &found), EID_ERR_ALREADY_EXISTS);
    tu_assert_ok(eid_instance_list_private_keys(f->instance, &list, &count));
    assert_int_equal(count, 2);
    assert_string_equal(list[0].name, "backup_key");
    assert_true(eid_pubkey_equal(&list[0].key, &backup));
    assert_string_equal(list[1].name, "main_device_key");
    eid_free(list);
    tu_assert_ok(eid_instance_get_public_key(f->instance, "main_device_key", &found));
    assert_true(eid_pubkey_equal(&found, &main_key));
}

/* Feature 83 */
static void settings_document(void **state)
{
    fixture *f = *state;
    eid_doc *settings;
    eid_database *database;
    char *name;

    tu_assert_ok(eid_instance_add_private_key(f->instance, "main_device_key", NULL));
    tu_assert_ok(eid_doc_new(&settings));
    tu_assert_ok(eid_doc_set_string(settings, "name", "My Database"));
    tu_assert_ok(eid_instance_new_database(f->instance, settings, "main_device_key", &database));
    tu_assert_ok(eid_database_name(database, &name));
    assert_string_equal(name, "My Database");
    eid_free(name);
    eid_doc_free(settings);
    eid_database_close(database);
}

static eid_database *new_database(fixture *f, const char *key_name)
{
    eid_database *database;
    eid_doc *settings;

    tu_assert_ok(eid_doc_new(&settings));
    tu_assert_ok(eid_instance_new_database(f->instance, settings, key_name, &database));
    eid_doc_free(settings);
    return database;
}

/* Feature 84 */
static void new_database_is_the_keys(void **state)
{
    fixture *f = *state;
    eid_permission permission;
    eid_database *database;
    eid_doc *settings;

    tu_assert_ok(eid_instance_add_private_key(f->instance, "main_device_key", NULL));
    database = new_database(f, "main_device_key");
    tu_assert_ok(eid_database_current_permission(database, &permission));
    assert_true(permission.kind == EID_PERM_ADMIN && permission.priority == 0);
    tu_assert_ok(try_to_write(database, "page"));
    eid_database_close(database);
    tu_assert_ok(eid_doc_new(&settings));
    tu_assert_fails(eid_instance_new_database(f->instance, settings, "nobody", &database), EID_ERR_PRIVATE_KEY_NOT_FOUND);
    assert_string_equal(eid_last_error(), "Private key not found for key name: nobody");
    eid_doc_free(settings);
}

/* The newest entry was signed by the named key. */
static void assert_signed_by(fixture *f, eid_database *database, const char *key_name)
{
    eid_pubkey wanted, signer;
    eid_entry *entry;
    eid_id *tips;
    size_t count;

    tu_assert_ok(eid_instance_get_public_key(f->instance, key_name, &wanted));
    tu_assert_ok(eid_database_tips(database, &tips, &count));
    assert_int_equal(count, 1);
    tu_assert_ok(eid_database_get_entry(database, &tips[0], &entry));
    assert_true(eid_entry_signer(entry, &signer) && eid_pubkey_equal(&signer, &wanted));
    eid_entry_unref(entry);
    eid_free(tips);
}

static void list_key(eid_database *database, fixture *f, const char *key_name, eid_permission permission)
{
    eid_pubkey key;
    eid_txn *txn;

    tu_assert_ok(eid_instance_get_public_key(f->instance, key_name, &key));
    tu_assert_ok(eid_database_new_operation(database, &txn));
    tu_assert_ok(eid_settings_set_auth_key(txn, &key, key_name, permission, EID_KEY_ACTIVE));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
}

/* Feature 85 */
static void set_default_auth_key(void **state)
{
    fixture *f = *state;
    eid_database *database;
    eid_txn *begun;

    tu_assert_ok(eid_instance_add_private_key(f->instance, "main_device_key", NULL));
    tu_assert_ok(eid_instance_add_private_key(f->instance, "backup_key", NULL));
    database = new_database(f, "main_device_key");
    tu_assert_fails(eid_database_set_default_auth_key(database, "backup_key"), EID_ERR_PERMISSION_DENIED);
    tu_assert_fails(eid_database_set_default_auth_key(database, "none"), EID_ERR_PRIVATE_KEY_NOT_FOUND);
    list_key(database, f, "backup_key", (eid_permission){EID_PERM_WRITE, 10});
    assert_signed_by(f, database, "main_device_key");

    tu_assert_ok(eid_database_new_transaction(database, &begun));
    tu_assert_ok(eid_docstore_set_text(begun, "pages", "begun", "before"));
    tu_assert_ok(eid_database_set_default_auth_key(database, "backup_key"));
    tu_assert_ok(eid_txn_commit_free(begun, NULL));
    assert_signed_by(f, database, "main_device_key");
    tu_assert_ok(try_to_write(database, "page"));
    assert_signed_by(f, database, "backup_key");
    eid_database_close(database);
}

/* A database made from the older form; {"admin_key":…} names the key that makes it. */
static eid_database *legacy_database(fixture *f, const char *extra)
{
    char json[1200], key[EID_PUBKEY_TEXT_SIZE];
    eid_database *database;
    eid_doc *settings, *auth;

    tu_assert_ok(eid_instance_add_private_key(f->instance, "admin_key", NULL));
    tu_assert_ok(eid_instance_get_formatted_public_key(f->instance, "admin_key", key));
    snprintf(json, sizeof json, "{\"pubkey\":\"%s\",\"permissions\":{\"Admin\":1},\"status\":\"Active\"}", key);
    tu_assert_ok(eid_doc_new(&auth));
    tu_assert_ok(eid_doc_set_json(auth, "admin_key", json));
    if (extra != NULL)
        tu_assert_ok(eid_doc_set_json(auth, "*", extra));
    tu_assert_ok(eid_doc_new(&settings));
    tu_assert_ok(eid_doc_set_doc(settings, "auth", auth));
    tu_assert_ok(eid_instance_new_database(f->instance, settings, "admin_key", &database));
    eid_doc_free(auth);
    eid_doc_free(settings);
    return database;
}

/* Feature 92 */
static void older_key_entry(void **state)
{
    fixture *f = *state;
    eid_database *database = legacy_database(f, NULL);
    eid_permission permission;

    tu_assert_ok(eid_database_current_permission(database, &permission));
    assert_true(permission.kind == EID_PERM_ADMIN && permission.priority == 1);
    tu_assert_ok(try_to_write(database, "page"));
    eid_database_close(database);
}

static const char everybody[] = "{\"pubkey\":\"*\",\"permissions\":{\"Write\":10},\"status\":\"Active\"}";

/* Feature 93 */
static void everybody_may_write(void **state)
{
    fixture *f = *state;
    eid_database *database = legacy_database(f, everybody), *opened;
    eid_user *stranger = login(f, "stranger");
    eid_database_preferences wanted = prefs_of(database);
    eid_permission permission;

    tu_assert_ok(eid_user_add_database(stranger, &wanted));
    tu_assert_ok(eid_user_open_database(stranger, &wanted.database_id, &opened));
    tu_assert_ok(eid_database_current_permission(opened, &permission));
    assert_true(permission.kind == EID_PERM_WRITE && permission.priority == 10);
    tu_assert_ok(try_to_write(opened, "from a stranger"));
    eid_database_close(opened);
    eid_database_close(database);
    eid_user_logout(stranger);
}

/* Feature 94 */
static void nested_document(void **state)
{
    fixture *f = *state;
    eid_database *database = legacy_database(f, NULL);
    eid_pubkey key;
    eid_doc *state_doc;
    char text[EID_PUBKEY_TEXT_SIZE], path[120];

    tu_assert_ok(eid_instance_get_public_key(f->instance, "admin_key", &key));
    eid_pubkey_format(&key, text);
    snprintf(path, sizeof path, "auth.keys.%s", text);
    tu_assert_ok(eid_database_store_state(database, "_settings", &state_doc));
    assert_true(eid_doc_contains(state_doc, path));
    assert_false(eid_doc_contains(state_doc, "auth.admin_key"));
    eid_doc_free(state_doc);
    eid_database_close(database);
}

/* Feature 95 */
static void revoked_keys_sign_nothing(void **state)
{
    fixture *f = *state;
    eid_database *database = legacy_database(f, NULL), *other;
    eid_pubkey key;
    eid_txn *txn;

    tu_assert_ok(eid_instance_add_private_key(f->instance, "writer", NULL));
    list_key(database, f, "writer", (eid_permission){EID_PERM_WRITE, 10});
    tu_assert_ok(eid_database_new_authenticated_operation(database, "writer", &txn));
    eid_txn_free(txn);
    tu_assert_ok(eid_instance_get_public_key(f->instance, "writer", &key));
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    tu_assert_ok(eid_settings_set_auth_key(txn, &key, "writer", (eid_permission){EID_PERM_WRITE, 10}, EID_KEY_REVOKED));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    tu_assert_fails(eid_database_new_authenticated_operation(database, "writer", &txn), EID_ERR_PERMISSION_DENIED);
    tu_assert_ok(eid_database_open(f->instance, eid_database_root_id(database), &other));
    tu_assert_fails(eid_database_set_default_auth_key(other, "writer"), EID_ERR_PERMISSION_DENIED);
    eid_database_close(other);
    eid_database_close(database);
}

/* Write(15) is less than the Write(10) everybody has. */
/* Feature 96 */
static void priorities(void **state)
{
    fixture *f = *state;
    eid_database *database = legacy_database(f, everybody);
    eid_permission everybodys = {EID_PERM_WRITE, 10}, asked = {EID_PERM_WRITE, 15}, more = {EID_PERM_WRITE, 5};
    eid_sigkey_info *identities;
    eid_pubkey stranger;
    size_t count;

    tu_assert_ok(eid_instance_add_private_key(f->instance, "stranger", &stranger));
    tu_assert_ok(eid_database_find_sigkeys(database, &stranger, &identities, &count));
    assert_int_equal(count, 1);
    assert_int_equal(eid_permission_compare(identities[0].permission, everybodys), 0);
    assert_true(eid_permission_compare(identities[0].permission, asked) >= 0);
    assert_true(eid_permission_compare(identities[0].permission, more) < 0);
    eid_free(identities);
    eid_database_close(database);
}

/* Feature 97 */
static void authenticated_operation(void **state)
{
    fixture *f = *state;
    eid_database *database = legacy_database(f, NULL);
    eid_txn *txn;

    tu_assert_ok(eid_instance_add_private_key(f->instance, "my_device_key", NULL));
    tu_assert_fails(eid_database_new_authenticated_operation(database, "my_device_key", &txn), EID_ERR_PERMISSION_DENIED);
    tu_assert_fails(eid_database_new_authenticated_operation(database, "other", &txn), EID_ERR_PRIVATE_KEY_NOT_FOUND);
    list_key(database, f, "my_device_key", (eid_permission){EID_PERM_WRITE, 10});
    tu_assert_ok(eid_database_new_authenticated_operation(database, "my_device_key", &txn));
    tu_assert_ok(eid_docstore_set_text(txn, "pages", "page", "text"));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    assert_signed_by(f, database, "my_device_key");
    /* The handle goes on signing with its own. */
    tu_assert_ok(try_to_write(database, "page"));
    assert_signed_by(f, database, "admin_key");
    eid_database_close(database);
}

/* Feature 98 */
static void commit_is_atomic(void **state)
{
    fixture *f = *state;
    eid_database *database = legacy_database(f, NULL);
    uint64_t before = entries_of(database);
    eid_value *value;
    eid_txn *txn;

    tu_assert_ok(eid_instance_add_private_key(f->instance, "writer", NULL));
    list_key(database, f, "writer", (eid_permission){EID_PERM_WRITE, 10});
    tu_assert_ok(eid_database_new_authenticated_operation(database, "writer", &txn));
    tu_assert_ok(eid_docstore_set_text(txn, "pages", "page", "text"));
    tu_assert_ok(eid_settings_set_name(txn, "not for writers"));
    tu_assert_fails(eid_txn_commit_free(txn, NULL), EID_ERR_PERMISSION_DENIED);
    assert_int_equal(entries_of(database), before + 1);
    tu_assert_fails(eid_database_get(database, "pages", "page", &value), EID_ERR_KEY_NOT_FOUND);
    eid_database_close(database);
}

/* A database made while sync is on takes part in it; one from before does not. */
/* Feature 22b */
static void databases_of_the_instance_take_part(void **state)
{
    fixture *f = *state;
    eid_database *before, *after;
    eid_sync *sync;

    tu_assert_ok(eid_instance_add_private_key(f->instance, "device_key", NULL));
    before = new_database(f, "device_key");
    sync = sync_on(f);
    after = new_database(f, "device_key");
    assert_combined(sync, before, false, false, 0);
    assert_combined(sync, after, true, true, 0);
    tu_assert_ok(eid_sync_set_database_enabled(sync, eid_database_root_id(after), false));
    tu_assert_ok(eid_sync_set_database_enabled(sync, eid_database_root_id(before), true));
    assert_combined(sync, before, true, true, 0);
    assert_combined(sync, after, false, false, 0);
    eid_database_close(before);
    eid_database_close(after);
}

/* What was granted is an entry that stays in the history, and nobody below can write over it. */
/* Features 102, 103 */
static void rights_are_entries_and_enforced(void **state)
{
    fixture *f = *state;
    eid_user *alice = login(f, "alice"), *reader = login(f, "reader");
    eid_database *notes = create(alice, "notes"), *opened;
    eid_database_preferences wanted = prefs_of(notes);
    uint64_t before = entries_of(notes);

    grant(notes, reader, (eid_permission){EID_PERM_READ, 0});
    assert_int_equal(entries_of(notes), before + 1);
    tu_assert_ok(eid_user_add_database(reader, &wanted));
    tu_assert_ok(eid_user_open_database(reader, &wanted.database_id, &opened));
    tu_assert_fails(try_to_write(opened, "page"), EID_ERR_PERMISSION_DENIED);
    eid_database_close(opened);
    assert_int_equal(entries_of(notes), before + 1);
    eid_database_close(notes);
    eid_user_logout(alice);
    eid_user_logout(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_INSTANCE(databases_of_the_instance_take_part),
        WITH_INSTANCE(the_device_key),
        WITH_INSTANCE(several_named_keys),
        WITH_INSTANCE(settings_document),
        WITH_INSTANCE(new_database_is_the_keys),
        WITH_INSTANCE(set_default_auth_key),
        WITH_INSTANCE(older_key_entry),
        WITH_INSTANCE(everybody_may_write),
        WITH_INSTANCE(nested_document),
        WITH_INSTANCE(revoked_keys_sign_nothing),
        WITH_INSTANCE(priorities),
        WITH_INSTANCE(authenticated_operation),
        WITH_INSTANCE(commit_is_atomic),
        WITH_INSTANCE(rights_are_entries_and_enforced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
