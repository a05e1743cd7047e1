/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts: listing, disabling, removing, admins of the instance; what each does to sessions, databases and sync. */
#include "fixture.h"

#include <eidetica/sync.h>

#include "instance/instance_int.h"
#include "support/track.h"

static eid_user_info info_of(fixture *f, const char *name)
{
    eid_user_info *list, found = {.username = NULL};
    size_t count;

    tu_assert_ok(eid_instance_list_users(f->instance, &list, &count));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].username, name) == 0)
            found = list[i];
    }
    assert_non_null(found.username);
    found.username = name;
    eid_free(list);
    return found;
}

static void users_are_listed(void **state)
{
    fixture *f = *state;
    eid_user_info *list;
    size_t count;

    tu_assert_ok(eid_instance_list_users(f->instance, &list, &count));
    assert_int_equal(count, 0);
    assert_non_null(list);
    eid_free(list);
    tu_assert_ok(eid_instance_create_user(f->instance, "alice", NULL));
    f->now_ms += 7000;
    tu_assert_ok(eid_instance_create_user(f->instance, "bob", "pw"));
    tu_assert_ok(eid_instance_list_users(f->instance, &list, &count));
    assert_int_equal(count, 2);
    assert_true(strcmp(list[0].user_id, list[1].user_id) < 0);
    eid_free(list);
    eid_user_info alice = info_of(f, "alice"), bob = info_of(f, "bob");
    assert_true(alice.is_admin && !alice.has_password && alice.status == EID_USER_ACTIVE);
    assert_true(!bob.is_admin && bob.has_password && bob.status == EID_USER_ACTIVE);
    assert_int_equal(alice.created_at, 1700000000);
    assert_int_equal(bob.created_at, 1700000007);
    eid_user *user = login(f, "alice");
    assert_string_equal(eid_user_id(user), alice.user_id);
    assert_true(eid_user_is_admin(user));
    eid_user_logout(user);
}

/* Feature W27 */
static void disabled_users_stay_out(void **state)
{
    fixture *f = *state;
    eid_user *alice = login(f, "alice"), *none = NULL;
    uint64_t entries;

    tu_assert_ok(eid_instance_disable_user(f->instance, "alice"));
    assert_int_equal(info_of(f, "alice").status, EID_USER_DISABLED);
    entries = entries_of(f->instance->users);
    tu_assert_ok(eid_instance_disable_user(f->instance, "alice"));
    assert_int_equal(entries_of(f->instance->users), entries);
    tu_assert_fails(eid_instance_login_user(f->instance, "alice", NULL, &none), EID_ERR_USER_DISABLED);
    tu_assert_fails(eid_instance_create_user(f->instance, "alice", NULL), EID_ERR_USER_EXISTS);
    /* The session that is open goes on. */
    eid_database *notes = create(alice, "notes");
    tu_assert_ok(try_to_write(notes, "page"));
    eid_database_close(notes);
    eid_user_logout(alice);
    tu_assert_ok(eid_instance_enable_user(f->instance, "alice"));
    eid_user_logout(login(f, "alice"));
    tu_assert_fails(eid_instance_disable_user(f->instance, "bob"), EID_ERR_USER_NOT_FOUND);
    tu_assert_fails(eid_instance_enable_user(f->instance, "bob"), EID_ERR_USER_NOT_FOUND);
}

/* Whether a password would have been right is told to nobody but its owner. */
static void being_disabled_hides_behind_the_password(void **state)
{
    fixture *f = *state;
    eid_user *none = NULL;

    tu_assert_ok(eid_instance_create_user(f->instance, "alice", "pw"));
    tu_assert_ok(eid_instance_disable_user(f->instance, "alice"));
    tu_assert_fails(eid_instance_login_user(f->instance, "alice", "guess", &none), EID_ERR_INVALID_PASSWORD);
    tu_assert_fails(eid_instance_login_user(f->instance, "alice", NULL, &none), EID_ERR_PASSWORD_REQUIRED);
    tu_assert_fails(eid_instance_login_user(f->instance, "alice", "pw", &none), EID_ERR_USER_DISABLED);
}

/* Feature W34 */
static void removed_users_leave_what_they_made(void **state)
{
    fixture *f = *state;
    eid_user *alice = login(f, "alice"), *again, *none = NULL;
    eid_database *notes = create(alice, "notes"), *opened, *private_database;
    eid_id id = *eid_database_root_id(notes), private_id;
    char first[37];
    eid_pubkey before, after;

    tu_assert_ok(try_to_write(notes, "page"));
    tu_assert_ok(eid_user_private_database(alice, &private_database));
    private_id = *eid_database_root_id(private_database);
    eid_user_get_default_key(alice, &before);
    strcpy(first, eid_user_id(alice));
    tu_assert_ok(eid_instance_remove_user(f->instance, "alice"));
    tu_assert_fails(eid_instance_remove_user(f->instance, "alice"), EID_ERR_USER_NOT_FOUND);
    tu_assert_fails(eid_instance_login_user(f->instance, "alice", NULL, &none), EID_ERR_PASSWORD_REQUIRED);
    /* The open session: databases go on, the account does not. */
    tu_assert_ok(try_to_write(notes, "another"));
    tu_assert_fails(eid_user_change_password(alice, NULL, "pw"), EID_ERR_USER_NOT_FOUND);
    tu_assert_fails(eid_user_add_private_key(alice, "late", NULL), EID_ERR_USER_NOT_FOUND);
    eid_database_close(notes);
    eid_user_logout(alice);

    /* The name is free, for somebody else. */
    again = login(f, "alice");
    assert_string_not_equal(eid_user_id(again), first);
    eid_user_get_default_key(again, &after);
    assert_false(eid_pubkey_equal(&before, &after));
    assert_false(eid_user_is_admin(again)); /* the rights went with the one who had them */
    tu_assert_fails(eid_user_open_database(again, &id, &opened), EID_ERR_NO_KEY_FOR_DATABASE);
    tu_assert_ok(eid_database_open(f->instance, &id, &opened));
    eid_database_close(opened);
    assert_true(eid_instance_is_private_database(f->instance, &private_id));
    eid_user_logout(again);
}

static void removal_outlasts_a_restart(void **state)
{
    fixture *f = *state;
    char *dir = tu_temp_dir(), url[600];
    eid_database *private_database;
    eid_user_info *list;
    eid_user *alice;
    eid_id private_id;
    size_t count;

    eid_instance_close(f->instance);
    snprintf(url, sizeof url, "sqlite:%s/a.db", dir);
    fixture_open_url(f, url);
    alice = login(f, "alice");
    tu_assert_ok(eid_user_private_database(alice, &private_database));
    private_id = *eid_database_root_id(private_database);
    eid_user_logout(alice);
    tu_assert_ok(eid_instance_create_user(f->instance, "bob", NULL));
    tu_assert_ok(eid_instance_remove_user(f->instance, "alice"));
    eid_instance_close(f->instance);
    fixture_open_url(f, url);
    tu_assert_ok(eid_instance_list_users(f->instance, &list, &count));
    assert_int_equal(count, 1);
    assert_string_equal(list[0].username, "bob");
    eid_free(list);
    assert_true(eid_instance_is_private_database(f->instance, &private_id));
    tu_temp_dir_remove(dir);
}

/* Features W26, W34 */
static void admins_come_and_go(void **state)
{
    fixture *f = *state;
    eid_user *alice = login(f, "alice"), *bob = login(f, "bob");
    uint64_t entries;

    assert_true(eid_user_is_admin(alice));
    assert_false(eid_user_is_admin(bob));
    tu_assert_ok(eid_instance_set_user_admin(f->instance, "bob", true));
    assert_true(eid_user_is_admin(bob) && info_of(f, "bob").is_admin);
    entries = entries_of(f->instance->users);
    tu_assert_ok(eid_instance_set_user_admin(f->instance, "bob", true));
    assert_int_equal(entries_of(f->instance->users), entries);
    tu_assert_ok(eid_instance_set_user_admin(f->instance, "alice", false));
    assert_false(eid_user_is_admin(alice));
    tu_assert_ok(eid_instance_set_user_admin(f->instance, "bob", false));
    /* Nobody becomes admin by chance when all were revoked. */
    eid_user_logout(login(f, "carol"));
    assert_false(info_of(f, "carol").is_admin);
    tu_assert_fails(eid_instance_set_user_admin(f->instance, "nobody", true), EID_ERR_USER_NOT_FOUND);

    /* The right holds in both system databases. */
    eid_auth_settings *auth;
    eid_pubkey key;
    tu_assert_ok(eid_instance_set_user_admin(f->instance, "carol", true));
    bob = (eid_user_logout(bob), login(f, "carol"));
    eid_user_get_default_key(bob, &key);
    tu_assert_ok(eid_database_auth(f->instance->databases, &auth));
    assert_int_equal(eid_auth_settings_find(auth, &key)->permission.kind, EID_PERM_ADMIN);
    eid_auth_settings_unref(auth);
    eid_user_logout(alice);
    eid_user_logout(bob);
}

/* ---- Sync ---- */

static void assert_shared(eid_sync *sync, const eid_id *database, bool enabled, uint64_t interval)
{
    eid_sync_settings found;

    tu_assert_ok(eid_sync_combined_settings(sync, database, &found));
    assert_int_equal(found.sync_enabled, enabled);
    assert_int_equal(found.interval_seconds, interval);
    eid_sync_settings_clear(&found);
}

/* Feature W32 */
static void wishes_of_absent_users_do_not_count(void **state)
{
    fixture *f = *state;
    eid_user *alice = login(f, "alice"), *bob = login(f, "bob");
    eid_database *notes = create(alice, "notes");
    const eid_id *id = eid_database_root_id(notes);
    eid_sync_settings wish = EID_SYNC_SETTINGS_ENABLED;
    eid_pubkey key;
    eid_sync *sync;
    eid_txn *txn;

    eid_user_get_default_key(bob, &key);
    tu_assert_ok(eid_database_new_transaction(notes, &txn));
    tu_assert_ok(eid_settings_set_auth_key(txn, &key, NULL, (eid_permission){EID_PERM_READ, 0}, EID_KEY_ACTIVE));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    tu_assert_ok(eid_instance_enable_sync(f->instance));
    tu_assert_ok(eid_instance_sync(f->instance, &sync));
    wish.interval_seconds = 60;
    tu_assert_ok(tu_track(alice, id, &wish));
    wish.interval_seconds = 10;
    tu_assert_ok(tu_track(bob, id, &wish));
    assert_shared(sync, id, true, 10);

    tu_assert_ok(eid_instance_disable_user(f->instance, "bob"));
    assert_shared(sync, id, true, 60);
    tu_assert_ok(eid_instance_disable_user(f->instance, "alice"));
    assert_shared(sync, id, false, 0);
    /* A change of what a disabled user wishes waits with the user. */
    wish.interval_seconds = 20;
    tu_assert_ok(tu_track(bob, id, &wish));
    assert_shared(sync, id, false, 0);
    tu_assert_ok(eid_instance_enable_user(f->instance, "bob"));
    assert_shared(sync, id, true, 20);
    tu_assert_ok(eid_instance_enable_user(f->instance, "alice"));
    assert_shared(sync, id, true, 20);
    tu_assert_ok(eid_instance_remove_user(f->instance, "bob"));
    assert_shared(sync, id, true, 60);
    eid_database_close(notes);
    eid_user_logout(alice);
    eid_user_logout(bob);
}

/* ---- Failures in between ---- */

typedef eid_status (*account_call)(fixture *f);

static eid_status disable(fixture *f)
{
    return eid_instance_disable_user(f->instance, "alice");
}

static eid_status enable(fixture *f)
{
    return eid_instance_enable_user(f->instance, "alice");
}

static eid_status make_admin(fixture *f)
{
    return eid_instance_set_user_admin(f->instance, "alice", true);
}

static eid_status take_admin(fixture *f)
{
    return eid_instance_set_user_admin(f->instance, "alice", false);
}

static eid_status remove_alice(fixture *f)
{
    return eid_instance_remove_user(f->instance, "alice");
}

static eid_status create_alice(fixture *f)
{
    return eid_instance_create_user(f->instance, "alice", NULL);
}

/* Everything that a half-done step could have left: entries of all databases, and who is there. */
static uint64_t traces(fixture *f)
{
    uint64_t total = 0;
    eid_user_info *list;
    eid_id *ids;
    size_t count, users;

    tu_assert_ok(eid_instance_list_databases(f->instance, &ids, &count));
    for (size_t i = 0; i < count; i++) {
        eid_database *database;
        tu_assert_ok(eid_database_open(f->instance, &ids[i], &database));
        total += entries_of(database);
        eid_database_close(database);
    }
    eid_free(ids);
    tu_assert_ok(eid_instance_list_users(f->instance, &list, &users));
    for (size_t i = 0; i < users; i++)
        total += 1000 * (1 + (uint64_t)list[i].status + 10 * list[i].is_admin);
    eid_free(list);
    return total + 1000000 * count;
}

/* Feature W34 */
static void each_step_is_whole_or_not_at_all(void **state)
{
    fixture *f = *state;
    static const account_call calls[] = {create_alice, take_admin, make_admin, disable, enable, remove_alice, create_alice};
    eid_sql *sql = eid_storage_sql(eid_core_storage(f->instance->core));

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        uint64_t failures = 0, before = traces(f);
        for (;;) {
            eid_sql_fail_after(sql, failures + 1);
            eid_status status = calls[i](f);
            eid_sql_fail_after(sql, 0);
            if (status == EID_OK)
                break;
            failures++;
            assert_int_equal(traces(f), before);
            assert_true(failures < 1000);
        }
        assert_int_not_equal(traces(f), before);
        print_message("step %zu survived %llu failures of the storage\n", i, (unsigned long long)failures);
        assert_true(failures > 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_INSTANCE(users_are_listed),
        WITH_INSTANCE(disabled_users_stay_out),
        WITH_INSTANCE(being_disabled_hides_behind_the_password),
        WITH_INSTANCE(removed_users_leave_what_they_made),
        WITH_INSTANCE(removal_outlasts_a_restart),
        WITH_INSTANCE(admins_come_and_go),
        WITH_INSTANCE(wishes_of_absent_users_do_not_count),
        WITH_INSTANCE(each_step_is_whole_or_not_at_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
