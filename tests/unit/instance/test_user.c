/* SPDX-License-Identifier: Apache-2.0 */
/* Users: creating, what the first one gets, logging in, what a login writes, refused names. Passwords are in
 * test_password.c. */
#include "fixture.h"

#include "instance/records.h"

/* ---- Creating ---- */

static void a_user_is_created_and_logs_in(void **state)
{
    fixture *f = *state;
    eid_user *user;
    eid_database *users, *private_database;
    eid_user_record record;
    eid_pubkey key;
    char *row, *name;

    tu_assert_ok(eid_instance_create_user(f->instance, "alice", NULL));
    tu_assert_ok(eid_instance_login_user(f->instance, "alice", NULL, &user));
    assert_string_equal(eid_user_name(user), "alice");
    assert_int_equal(strlen(eid_user_id(user)), 36);
    assert_ptr_equal(eid_user_instance(user), f->instance);

    users = system_database(f, "_users");
    row = row_of(users, "users", eid_user_id(user));
    assert_non_null(row);
    tu_assert_ok(eid_user_record_read(eid_slice_text(row), &record));
    assert_string_equal(record.username, "alice");
    assert_int_equal(record.created_at, 1700000000);
    assert_int_equal(record.status, EID_USER_ACTIVE);
    assert_null(record.password_salt);
    eid_user_get_default_key(user, &key);
    assert_true(eid_pubkey_equal(&key, &record.root_key_id));
    tu_assert_ok(eid_user_private_database(user, &private_database));
    assert_true(eid_id_equal(eid_database_root_id(private_database), &record.private_database));
    assert_true(eid_instance_is_private_database(f->instance, &record.private_database));
    assert_false(eid_instance_is_system_database(f->instance, &record.private_database));
    tu_assert_ok(eid_database_name(private_database, &name));
    assert_string_equal(name, "_user_alice");
    eid_free(name);
    eid_user_record_free(&record);
    free(row);
    eid_database_close(users);
    eid_user_logout(user);
    eid_user_logout(NULL);
}

static void assert_admin(fixture *f, const char *database_name, const eid_pubkey *key, bool wanted)
{
    eid_database *database = system_database(f, database_name);
    eid_auth_settings *auth;

    tu_assert_ok(eid_database_auth(database, &auth));
    const eid_auth_key *record = eid_auth_settings_find(auth, key);
    assert_int_equal(record != NULL, wanted);
    if (wanted) {
        assert_string_equal(record->name, "admin");
        assert_int_equal(record->permission.kind, EID_PERM_ADMIN);
        assert_int_equal(record->permission.priority, 0);
        assert_int_equal(record->status, EID_KEY_ACTIVE);
    }
    eid_auth_settings_unref(auth);
    eid_database_close(database);
}

static void the_first_user_becomes_admin(void **state)
{
    fixture *f = *state;
    eid_user *first = login(f, "first"), *second = login(f, "second");
    eid_pubkey key;

    eid_user_get_default_key(first, &key);
    assert_admin(f, "_users", &key, true);
    assert_admin(f, "_databases", &key, true);
    eid_user_get_default_key(second, &key);
    assert_admin(f, "_users", &key, false);
    assert_admin(f, "_databases", &key, false);
    eid_user_logout(first);
    eid_user_logout(second);
}

static void names_are_checked(void **state)
{
    fixture *f = *state;
    char longest[258];
    eid_user *user;

    memset(longest, 'a', sizeof longest);
    longest[257] = '\0';
    tu_assert_fails(eid_instance_create_user(f->instance, "", NULL), EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_instance_create_user(f->instance, longest, NULL), EID_ERR_LIMIT);
    tu_assert_fails(eid_instance_create_user(f->instance, "\xc3", NULL), EID_ERR_UTF8);
    longest[256] = '\0';
    tu_assert_ok(eid_instance_create_user(f->instance, longest, NULL));
    tu_assert_ok(eid_instance_create_user(f->instance, "Ünï 😀", NULL));
    tu_assert_ok(eid_instance_create_user(f->instance, "a.b c", NULL));
    tu_assert_fails(eid_instance_create_user(f->instance, "a.b c", NULL), EID_ERR_USER_EXISTS);
    tu_assert_ok(eid_instance_login_user(f->instance, longest, NULL, &user));
    eid_user_logout(user);
    tu_assert_ok(eid_instance_login_user(f->instance, "a.b c", NULL, &user));
    assert_string_equal(eid_user_name(user), "a.b c");
    eid_user_logout(user);
    tu_assert_fails(eid_instance_login_user(f->instance, "nobody", NULL, &user), EID_ERR_PASSWORD_REQUIRED);
}

/* ---- Records made by others ---- */

/* Puts a record into `_users` as another program would, signed by the device. */
static void put_record(fixture *f, const char *uuid, const char *row)
{
    eid_database *reading = system_database(f, "_users"), *users;
    eid_txn *txn;

    tu_assert_ok(eid_database_open_as(eid_instance_core(f->instance), eid_database_root_id(reading),
                                      eid_instance_device_key(f->instance), NULL, &users));
    tu_assert_ok(eid_database_new_transaction(users, &txn));
    tu_assert_ok(eid_table_set(txn, "users", uuid, row));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    eid_database_close(users);
    eid_database_close(reading);
}

#define RECORD(name, root_key, salt, status)                                                                 \
    "{\"username\":\"" name                                                                                  \
    "\",\"user_database_id\":\"bafyr4ig57bks2iknlyb6uvrdunutoir5ckl6n4zblvellmbmvmsl3ttdbm\","               \
    "\"credentials\":{\"root_key_id\":\"ed25519:iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=\",\"root_"      \
    "key\":" root_key ",\"password_salt\":" salt "},\"created_at\":1,\"status\":\"" status "\"}"
#define CLEAR "{\"type\":\"unencrypted\",\"key\":\"ed25519:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\"}"
#define WRONG "{\"type\":\"unencrypted\",\"key\":\"ed25519:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\"}"
#define NEWER "{\"type\":\"encrypted\",\"algorithm\":\"aes-512\",\"ciphertext\":[1,2,3],\"nonce\":[4]}"
#define ENCRYPTED                                                                                            \
    "{\"type\":\"encrypted\",\"algorithm\":\"aes-256-gcm\",\"ciphertext\":[1,2,3],\"nonce\":[4]}"

static void records_of_others_are_read_with_care(void **state)
{
    fixture *f = *state;
    char *dir = tu_temp_dir(), url[600];
    eid_user *user = NULL;
    eid_user_summary *list;
    size_t count;

    eid_instance_close(f->instance);
    snprintf(url, sizeof url, "sqlite:%s/a.db", dir);
    fixture_open_url(f, url);
    put_record(f, "00000000-0000-4000-8000-000000000001",
               RECORD("locked-by-password", ENCRYPTED, "\"KqYgScADAobMg/kQvillIg\"", "Active"));
    put_record(f, "00000000-0000-4000-8000-000000000002", RECORD("odd", ENCRYPTED, "null", "Active"));
    put_record(f, "00000000-0000-4000-8000-000000000003", RECORD("disabled", CLEAR, "null", "Disabled"));
    put_record(f, "00000000-0000-4000-8000-000000000004", RECORD("twin", CLEAR, "null", "Active"));
    put_record(f, "00000000-0000-4000-8000-000000000005", RECORD("twin", CLEAR, "null", "Active"));
    put_record(f, "00000000-0000-4000-8000-000000000006", "{\"username\":\"broken\"}");
    put_record(f, "00000000-0000-4000-8000-000000000007", RECORD("wrong-key", WRONG, "null", "Active"));
    put_record(f, "00000000-0000-4000-8000-000000000008", RECORD("homeless", CLEAR, "null", "Active"));
    put_record(f, "00000000-0000-4000-8000-000000000009",
               RECORD("salted", CLEAR, "\"KqYgScADAobMg/kQvillIg\"", "Active"));
    put_record(f, "00000000-0000-4000-8000-00000000000a", RECORD("short-salt", ENCRYPTED, "\"short\"", "Active"));
    put_record(f, "00000000-0000-4000-8000-00000000000b",
               RECORD("newer", NEWER, "\"KqYgScADAobMg/kQvillIg\"", "Active"));
    eid_instance_close(f->instance);
    fixture_open_url(f, url);

    tu_assert_fails(eid_instance_login_user(f->instance, "locked-by-password", NULL, &user),
                    EID_ERR_PASSWORD_REQUIRED);
    tu_assert_fails(eid_instance_login_user(f->instance, "locked-by-password", "pw", &user), EID_ERR_CORRUPT);
    tu_assert_fails(eid_instance_login_user(f->instance, "odd", NULL, &user), EID_ERR_CORRUPT);
    tu_assert_fails(eid_instance_login_user(f->instance, "odd", "pw", &user), EID_ERR_INVALID_PASSWORD);
    tu_assert_fails(eid_instance_login_user(f->instance, "salted", NULL, &user), EID_ERR_PASSWORD_REQUIRED);
    tu_assert_fails(eid_instance_login_user(f->instance, "salted", "pw", &user), EID_ERR_CORRUPT);
    tu_assert_fails(eid_instance_login_user(f->instance, "short-salt", "pw", &user), EID_ERR_CORRUPT);
    tu_assert_fails(eid_instance_login_user(f->instance, "newer", "pw", &user), EID_ERR_UNSUPPORTED);
    tu_assert_fails(eid_instance_login_user(f->instance, "disabled", NULL, &user), EID_ERR_USER_DISABLED);
    tu_assert_fails(eid_instance_login_user(f->instance, "twin", NULL, &user), EID_ERR_CONFLICT);
    tu_assert_fails(eid_instance_login_user(f->instance, "broken", NULL, &user), EID_ERR_PASSWORD_REQUIRED);
    tu_assert_fails(eid_instance_login_user(f->instance, "wrong-key", NULL, &user), EID_ERR_CORRUPT);
    tu_assert_fails(eid_instance_login_user(f->instance, "homeless", NULL, &user),
                    EID_ERR_DATABASE_NOT_FOUND);
    assert_null(user);
    tu_assert_fails(eid_instance_create_user(f->instance, "twin", NULL), EID_ERR_USER_EXISTS);
    tu_assert_ok(eid_instance_user_summaries(f->instance, &list, &count));
    assert_int_equal(count, 10);
    eid_free(list);
    tu_assert_ok(eid_instance_create_user(f->instance, "broken", NULL));
    tu_temp_dir_remove(dir);
}

/* ---- What a login writes ---- */

static void the_first_login_leaves_its_notes(void **state)
{
    fixture *f = *state;
    eid_user *user = login(f, "alice");
    eid_database *private_database;
    eid_auth_settings *auth;
    eid_pubkey device, root;
    eid_doc *doc;
    const eid_doc_cursor *cursor = NULL;
    const eid_value *value;
    const char *key, *text;
    size_t len;
    eid_user_key row;

    tu_assert_ok(eid_user_private_database(user, &private_database));
    assert_int_equal(entries_of(private_database), 2);
    eid_instance_device_pubkey(f->instance, &device);
    eid_user_get_default_key(user, &root);
    tu_assert_ok(eid_database_auth(private_database, &auth));
    assert_string_equal(eid_auth_settings_find(auth, &device)->name, "device");
    assert_int_equal(eid_auth_settings_find(auth, &device)->permission.kind, EID_PERM_READ);
    assert_int_equal(eid_auth_settings_find(auth, &root)->permission.kind, EID_PERM_ADMIN);
    eid_auth_settings_unref(auth);

    tu_assert_ok(eid_database_store_state(private_database, "keys", &doc));
    assert_int_equal(eid_doc_len(doc), 1);
    assert_true(eid_doc_next(doc, &cursor, &key, &len, &value));
    assert_int_equal(len, 36);
    tu_assert_ok(eid_value_as_text(value, &text, &len));
    tu_assert_ok(eid_user_key_read(eid_slice_of(text, len), &row));
    assert_true(eid_pubkey_equal(&row.key_id, &root));
    assert_string_equal(row.display_name, "Root Key");
    assert_true(row.is_default && !row.has_last_used && row.mapping_count == 0);
    assert_int_equal(row.created_at, 1700000000);
    eid_user_key_free(&row);
    eid_doc_free(doc);
    eid_user_logout(user);

    user = login(f, "alice");
    tu_assert_ok(eid_user_private_database(user, &private_database));
    assert_int_equal(entries_of(private_database), 2);
    eid_user_logout(user);
}

/* Feature W27 */
static void logins_are_noted_once_an_hour(void **state)
{
    fixture *f = *state;
    eid_user *user = login(f, "alice");
    eid_database *users = system_database(f, "_users");
    char uuid[37], *row = row_of(users, "last_login", eid_user_id(user));
    uint64_t entries = entries_of(users);

    strcpy(uuid, eid_user_id(user));
    assert_string_equal(row, "1700000000");
    free(row);
    eid_user_logout(user);

    f->now_ms += 3599 * 1000;
    eid_user_logout(login(f, "alice"));
    assert_int_equal(entries_of(users), entries);
    f->now_ms += 2 * 1000;
    eid_user_logout(login(f, "alice"));
    row = row_of(users, "last_login", uuid);
    assert_string_equal(row, "1700003601");
    free(row);
    assert_int_equal(entries_of(users), entries + 1);
    eid_database_close(users);
}

/* ---- Failures in between ---- */

/* Every call of the storage fails in turn: either the user is there and whole, or there is no such user. */
static void creating_is_all_or_nothing(void **state)
{
    fixture *f = *state;
    eid_sql *sql = eid_storage_sql(eid_core_storage(eid_instance_core(f->instance)));
    eid_status status = EID_ERR_STORAGE;
    eid_pubkey key;
    eid_user *user;
    uint64_t failures = 0;

    while (status != EID_OK) {
        eid_sql_fail_after(sql, failures + 1);
        status = eid_instance_create_user(f->instance, "alice", NULL);
        eid_sql_fail_after(sql, 0);
        if (status == EID_OK)
            break;
        failures++;
        tu_assert_fails(eid_instance_login_user(f->instance, "alice", NULL, &user), EID_ERR_PASSWORD_REQUIRED);
        assert_true(failures < 1000);
    }
    print_message("creating a user survived %llu failures of the storage\n", (unsigned long long)failures);
    assert_true(failures > 10);
    user = login(f, "alice");
    eid_user_get_default_key(user, &key);
    assert_admin(f, "_users", &key, true);
    assert_admin(f, "_databases", &key, true);
    eid_user_logout(user);
}

static eid_status create_one_more(void *ctx)
{
    fixture *f = ctx;
    char name[32];

    snprintf(name, sizeof name, "user%llu", (unsigned long long)f->now_ms++);
    return eid_instance_create_user(f->instance, name, NULL);
}

static void creating_survives_short_memory(void **state)
{
    fixture *f = *state;

    eid_user_logout(login(f, "first"));
    eid_instance_close(f->instance);
    /* The instance is opened inside, so that all it holds comes from the counted allocator. */
    tu_alloc_install();
    fixture_open_url(f, "memory:");
    tu_assert_ok(create_one_more(f));
    size_t points = 0;
    for (;;) {
        tu_alloc_fail_at(points + 1);
        eid_status status = create_one_more(f);
        bool fired = tu_alloc_fired();
        tu_alloc_fail_at(0);
        if (!fired) {
            assert_int_equal(status, EID_OK);
            break;
        }
        assert_int_equal(status, EID_ERR_NO_MEMORY);
        char name[32];
        eid_user *user;
        snprintf(name, sizeof name, "user%llu", (unsigned long long)f->now_ms - 1);
        tu_assert_fails(eid_instance_login_user(f->instance, name, NULL, &user), EID_ERR_PASSWORD_REQUIRED);
        points++;
    }
    assert_true(points > 20);
    eid_instance_close(f->instance);
    assert_int_equal(tu_alloc_live(), 0);
    tu_alloc_remove();
    fixture_open_url(f, "memory:");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_INSTANCE(a_user_is_created_and_logs_in),
        WITH_INSTANCE(the_first_user_becomes_admin),
        WITH_INSTANCE(names_are_checked),
        WITH_INSTANCE(records_of_others_are_read_with_care),
        WITH_INSTANCE(the_first_login_leaves_its_notes),
        WITH_INSTANCE(logins_are_noted_once_an_hour),
        WITH_INSTANCE(creating_is_all_or_nothing),
        WITH_INSTANCE(creating_survives_short_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
