/* SPDX-License-Identifier: Apache-2.0 */
/* Where the Rust implementation's users lose rights, wishes or databases, or keep what was taken from them:
 * the same here. Each case has its number in tests/checks/features.txt. */
#include "features.h"

#include <eidetica/auth.h>

static void revoke(eid_database *database, eid_user *whose)
{
    eid_pubkey key;
    eid_txn *txn;

    eid_user_get_default_key(whose, &key);
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    tu_assert_ok(eid_settings_revoke_auth_key(txn, &key));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
}

/* The directory of users is a database, and a database can be shared: this one can not. */
/* Feature W24 */
static void the_directory_is_nobodys_to_share(void **state)
{
    static const char *const names[] = {"_users", "_databases"};
    fixture *f = *state;
    eid_sync *sync = sync_on(f);
    eid_user *admin = login(f, "admin");

    assert_true(eid_user_is_admin(admin)); /* an admin of these very databases */
    for (size_t i = 0; i < 2; i++) {
        eid_database *database = system_database(f, names[i]);
        eid_database_preferences wanted = prefs_of(database);
        wanted.sync_settings.sync_enabled = true;
        tu_assert_ok(eid_user_add_database(admin, &wanted)); /* a wish that counts for nothing */
        tu_assert_fails(eid_sync_set_database_enabled(sync, &wanted.database_id, true),
                        EID_ERR_INVALID_ARGUMENT);
        assert_combined(sync, database, false, false, 0);
        eid_database_close(database);
    }
    eid_user_logout(admin);
}

/* Feature W28 */
static void a_creation_that_fails_leaves_nothing(void **state)
{
    fixture *f = *state;
    eid_sql *sql = eid_storage_sql(eid_core_storage(eid_instance_core(f->instance)));
    eid_user *alice = login(f, "alice");
    eid_database *notes;
    eid_id *ids;
    size_t before, count;
    uint64_t failures = 0;

    tu_assert_ok(eid_instance_list_databases(f->instance, &ids, &before));
    eid_free(ids);
    for (;;) {
        eid_sql_fail_after(sql, failures + 1);
        eid_status status = eid_user_create_database(alice, "notes", &notes);
        eid_sql_fail_after(sql, 0);
        tu_assert_ok(eid_instance_list_databases(f->instance, &ids, &count));
        eid_free(ids);
        if (status == EID_OK)
            break;
        assert_int_equal(count, before); /* no database that nobody tracks */
        assert_true(++failures < 1000);
    }
    assert_true(failures > 10);
    assert_int_equal(count, before + 1);
    eid_database_close(notes);
    eid_user_logout(alice);
}

/* Feature W29 */
static void writing_with_a_revoked_key(void **state)
{
    fixture *f = *state;
    eid_user *alice = login(f, "alice"), *bob = login(f, "bob");
    eid_database *notes = create(alice, "notes"), *open, *opened;
    eid_database_preferences wanted = prefs_of(notes);
    eid_permission permission;
    eid_pubkey second;
    eid_txn *txn;

    grant(notes, bob, (eid_permission){EID_PERM_WRITE, 10});
    tu_assert_ok(eid_user_add_database(bob, &wanted));
    tu_assert_ok(eid_user_open_database(bob, &wanted.database_id, &open));
    tu_assert_ok(eid_database_new_transaction(open, &txn)); /* begun before */
    tu_assert_ok(eid_docstore_set_text(txn, "pages", "late", "text"));
    revoke(notes, bob);
    uint64_t entries = entries_of(notes);
    tu_assert_fails(eid_txn_commit_free(txn, NULL), EID_ERR_PERMISSION_DENIED);
    tu_assert_fails(try_to_write(open, "later"), EID_ERR_PERMISSION_DENIED);
    eid_database_close(open);
    tu_assert_ok(
        eid_user_open_database(bob, &wanted.database_id, &opened)); /* the copy is here, and can be read */
    tu_assert_fails(eid_database_current_permission(opened, &permission), EID_ERR_PERMISSION_DENIED);
    tu_assert_fails(try_to_write(opened, "latest"), EID_ERR_PERMISSION_DENIED);
    eid_database_close(opened);
    assert_int_equal(entries_of(notes), entries);

    /* Tracked anew it can not be; with another key that is listed, it can. */
    tu_assert_ok(eid_user_remove_database(bob, &wanted.database_id));
    tu_assert_fails(eid_user_add_database(bob, &wanted), EID_ERR_NO_KEY_FOR_DATABASE);
    tu_assert_ok(eid_user_add_private_key(bob, "second", &second));
    tu_assert_ok(eid_database_new_transaction(notes, &txn));
    tu_assert_ok(eid_settings_add_auth_key(txn, &second, "bob again", (eid_permission){EID_PERM_WRITE, 20}));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    tu_assert_ok(eid_user_add_database(bob, &wanted));
    tu_assert_ok(eid_user_open_database(bob, &wanted.database_id, &opened));
    tu_assert_ok(try_to_write(opened, "again"));
    eid_database_close(opened);
    eid_database_close(notes);
    eid_user_logout(alice);
    eid_user_logout(bob);
}

/* Feature W32 */
static void wishes_of_users_who_come_and_go(void **state)
{
    fixture *f = *state;
    eid_sync *sync = sync_on(f);
    eid_user *alice = login(f, "alice");
    eid_database *notes = create(alice, "notes");

    /* Made after sync was turned on, and heard at once. */
    tu_assert_ok(eid_instance_create_user(f->instance, "bob", NULL));
    eid_user *bob = login(f, "bob");
    eid_database_preferences wanted = prefs_of(notes);
    grant(notes, bob, (eid_permission){EID_PERM_READ, 0});
    wanted.sync_settings.sync_enabled = true;
    wanted.sync_settings.interval_seconds = 20;
    tu_assert_ok(eid_user_add_database(bob, &wanted));
    assert_combined(sync, notes, true, false, 20);
    tu_assert_ok(eid_user_enable_sync(alice, &wanted.database_id));
    assert_combined(sync, notes, true, false, 20);
    eid_user_logout(bob);
    tu_assert_ok(eid_instance_remove_user(f->instance, "bob"));
    assert_combined(sync, notes, true, false, 0); /* alice's alone */
    /* Somebody else of that name begins anew. */
    bob = login(f, "bob");
    assert_combined(sync, notes, true, false, 0);
    assert_false(eid_user_is_sync_enabled(bob, &wanted.database_id));
    eid_user_logout(bob);
    eid_database_close(notes);
    eid_user_logout(alice);
}

/* Feature W33 */
static void periods_that_are_not_meant(void **state)
{
    fixture *f = *state;
    eid_sync *sync = sync_on(f);
    eid_user *alice = login(f, "alice"), *bob = login(f, "bob");
    eid_database *notes = create(alice, "notes"), *other = create(alice, "other");
    eid_database_preferences wanted = prefs_of(notes);

    grant(notes, bob, (eid_permission){EID_PERM_READ, 0});
    wanted.sync_settings.sync_enabled = true;
    wanted.sync_settings.interval_seconds = 600;
    tu_assert_ok(eid_user_add_database(alice, &wanted));
    wanted.sync_settings.sync_enabled = false; /* every second, if it were on */
    wanted.sync_settings.sync_on_commit = true;
    wanted.sync_settings.interval_seconds = 1;
    tu_assert_ok(eid_sync_settings_set_property(&wanted.sync_settings, "color", "red"));
    tu_assert_ok(eid_user_add_database(bob, &wanted));
    assert_combined(sync, notes, true, false, 600);
    wanted.sync_settings.sync_enabled = true; /* and on, for another database */
    wanted.database_id = *eid_database_root_id(other);
    tu_assert_ok(eid_user_add_database(alice, &wanted));
    assert_combined(sync, notes, true, false, 600);
    assert_combined(sync, other, true, true, 1);
    eid_database_preferences_clear(&wanted);
    eid_database_close(notes);
    eid_database_close(other);
    eid_user_logout(alice);
    eid_user_logout(bob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_INSTANCE(the_directory_is_nobodys_to_share), WITH_INSTANCE(a_creation_that_fails_leaves_nothing),
        WITH_INSTANCE(writing_with_a_revoked_key),        WITH_INSTANCE(wishes_of_users_who_come_and_go),
        WITH_INSTANCE(periods_that_are_not_meant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
