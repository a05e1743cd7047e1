/* SPDX-License-Identifier: Apache-2.0 */
/* What the guide names about users, tracked databases, preferences. */
#include "features.h"

/* Feature 59 */
static void user_accounts(void **state)
{
    fixture *f = *state;
    eid_user *alice, *none = NULL;
    eid_user_key_info *keys;
    size_t count;

    tu_assert_ok(eid_instance_create_user(f->instance, "alice", NULL));
    tu_assert_fails(eid_instance_create_user(f->instance, "alice", NULL), EID_ERR_USER_EXISTS);
    tu_assert_ok(eid_instance_login_user(f->instance, "alice", NULL, &alice));
    assert_string_equal(eid_user_name(alice), "alice");
    tu_assert_ok(eid_user_add_private_key(alice, "second", NULL));
    tu_assert_ok(eid_user_list_keys(alice, &keys, &count));
    assert_int_equal(count, 2);
    eid_free(keys);
    eid_user_logout(alice);
    tu_assert_fails(eid_instance_login_user(f->instance, "bob", NULL, &none), EID_ERR_PASSWORD_REQUIRED);
    assert_null(none);
}

/* Feature 60 */
static void database_preferences(void **state)
{
    fixture *f = *state;
    eid_user *alice = login(f, "alice");
    eid_database *notes = create(alice, "notes");
    eid_database_preferences wanted = prefs_of(notes), found;

    eid_user_get_default_key(alice, &wanted.key_id);
    wanted.sync_settings.sync_enabled = true;
    tu_assert_ok(eid_user_add_database(alice, &wanted));
    tu_assert_ok(eid_user_database_prefs(alice, &wanted.database_id, &found));
    assert_true(eid_id_equal(&found.database_id, &wanted.database_id));
    assert_true(eid_pubkey_equal(&found.key_id, &wanted.key_id));
    assert_true(eid_sync_settings_equal(&found.sync_settings, &wanted.sync_settings));
    eid_database_preferences_clear(&found);
    eid_database_close(notes);
    eid_user_logout(alice);
}

/* Feature 61 */
static void sync_enabled(void **state)
{
    fixture *f = *state;
    eid_sync *sync = sync_on(f);
    eid_user *alice = login(f, "alice");
    eid_database *notes = create(alice, "notes");

    assert_false(eid_user_is_sync_enabled(alice, eid_database_root_id(notes)));
    assert_combined(sync, notes, false, false, 0);
    tu_assert_ok(eid_user_enable_sync(alice, eid_database_root_id(notes)));
    assert_true(eid_user_is_sync_enabled(alice, eid_database_root_id(notes)));
    assert_combined(sync, notes, true, false, 0);
    tu_assert_ok(eid_user_disable_sync(alice, eid_database_root_id(notes)));
    assert_combined(sync, notes, false, false, 0);
    eid_database_close(notes);
    eid_user_logout(alice);
}

/* Feature 62 */
static void sync_on_commit(void **state)
{
    fixture *f = *state;
    eid_sync *sync = sync_on(f);
    eid_user *alice = login(f, "alice");
    eid_database *notes = create(alice, "notes");
    eid_database_preferences wanted = prefs_of(notes);

    wanted.sync_settings = (eid_sync_settings)EID_SYNC_SETTINGS_ON_COMMIT;
    tu_assert_ok(eid_user_set_prefs(alice, &wanted));
    assert_combined(sync, notes, true, true, 0);
    /* Without the master switch nothing of the wish counts. */
    wanted.sync_settings.sync_enabled = false;
    tu_assert_ok(eid_user_set_prefs(alice, &wanted));
    assert_combined(sync, notes, false, false, 0);
    eid_database_close(notes);
    eid_user_logout(alice);
}

/* Feature 63 */
static void interval_seconds(void **state)
{
    fixture *f = *state;
    eid_sync *sync = sync_on(f);
    eid_user *alice = login(f, "alice");
    eid_database *notes = create(alice, "notes"), *other = create(alice, "other");
    eid_database_preferences wanted = prefs_of(notes);

    wanted.sync_settings.sync_enabled = true;
    wanted.sync_settings.interval_seconds = 45;
    tu_assert_ok(eid_user_set_prefs(alice, &wanted));
    wanted.database_id = *eid_database_root_id(other);
    wanted.sync_settings.interval_seconds = 0;
    tu_assert_ok(eid_user_set_prefs(alice, &wanted));
    assert_combined(sync, notes, true, false, 45);
    assert_combined(sync, other, true, false, 0);
    eid_database_close(notes);
    eid_database_close(other);
    eid_user_logout(alice);
}

/* Feature 64 */
static void properties(void **state)
{
    fixture *f = *state;
    eid_user *alice = login(f, "alice");
    eid_database *notes = create(alice, "notes");
    eid_database_preferences wanted = prefs_of(notes), found;

    tu_assert_ok(eid_sync_settings_set_property(&wanted.sync_settings, "color", "red"));
    tu_assert_ok(eid_sync_settings_set_property(&wanted.sync_settings, "a.b", "dots are nothing special"));
    tu_assert_ok(eid_user_set_prefs(alice, &wanted));
    tu_assert_ok(eid_user_database_prefs(alice, &wanted.database_id, &found));
    assert_int_equal(found.sync_settings.property_count, 2);
    assert_string_equal(eid_sync_settings_get_property(&found.sync_settings, "color"), "red");
    assert_string_equal(eid_sync_settings_get_property(&found.sync_settings, "a.b"), "dots are nothing special");
    assert_null(eid_sync_settings_get_property(&found.sync_settings, "a"));
    eid_database_preferences_clear(&found);
    eid_database_preferences_clear(&wanted);
    eid_database_close(notes);
    eid_user_logout(alice);
}

static const eid_sync_settings disabled = EID_SYNC_SETTINGS_DISABLED;

/* Feature 65 */
static void defaults_and_presets(void **state)
{
    eid_sync_settings settings, enabled = EID_SYNC_SETTINGS_ENABLED, on_commit = EID_SYNC_SETTINGS_ON_COMMIT;

    (void)state;
    memset(&settings, 0xee, sizeof settings);
    eid_sync_settings_init(&settings);
    assert_true(eid_sync_settings_equal(&settings, &disabled));
    assert_false(settings.sync_enabled || settings.sync_on_commit);
    assert_int_equal(settings.interval_seconds, 0);
    assert_int_equal(settings.property_count, 0);
    assert_true(enabled.sync_enabled && !enabled.sync_on_commit);
    assert_true(on_commit.sync_enabled && on_commit.sync_on_commit);
}

/* Feature 66 */
static void get_default_key(void **state)
{
    fixture *f = *state;
    eid_user *alice = login(f, "alice");
    eid_pubkey root, added, found;

    eid_user_get_default_key(alice, &root);
    tu_assert_ok(eid_user_add_private_key(alice, "work", &added));
    eid_user_get_default_key(alice, &found);
    assert_true(eid_pubkey_equal(&found, &root));
    tu_assert_ok(eid_user_set_default_key(alice, &added));
    eid_user_get_default_key(alice, &found);
    assert_true(eid_pubkey_equal(&found, &added));
    /* Databases made now are its own; the choice outlives the session. */
    eid_database *work = create(alice, "work");
    eid_database_preferences tracked;
    tu_assert_ok(eid_user_database_prefs(alice, eid_database_root_id(work), &tracked));
    assert_true(eid_pubkey_equal(&tracked.key_id, &added));
    eid_database_preferences_clear(&tracked);
    eid_database_close(work);
    eid_user_logout(alice);
    alice = login(f, "alice");
    eid_user_get_default_key(alice, &found);
    assert_true(eid_pubkey_equal(&found, &added));
    memset(&found, 7, sizeof found);
    tu_assert_fails(eid_user_set_default_key(alice, &found), EID_ERR_PRIVATE_KEY_NOT_FOUND);
    eid_user_logout(alice);
}

/* Feature 67 */
static void add_database(void **state)
{
    fixture *f = *state;
    eid_user *alice = login(f, "alice"), *bob = login(f, "bob");
    eid_database *notes = create(alice, "notes"), *opened;
    eid_database_preferences wanted = prefs_of(notes), found;

    tu_assert_fails(eid_user_open_database(bob, &wanted.database_id, &opened), EID_ERR_NO_KEY_FOR_DATABASE);
    tu_assert_fails(eid_user_add_database(bob, &wanted), EID_ERR_NO_KEY_FOR_DATABASE);
    grant(notes, bob, (eid_permission){EID_PERM_WRITE, 10});
    tu_assert_ok(eid_user_add_database(bob, &wanted));
    /* Adding again updates. */
    wanted.sync_settings.sync_enabled = true;
    tu_assert_ok(eid_user_add_database(bob, &wanted));
    tu_assert_ok(eid_user_database_prefs(bob, &wanted.database_id, &found));
    assert_true(found.sync_settings.sync_enabled);
    eid_database_preferences_clear(&found);
    tu_assert_ok(eid_user_open_database(bob, &wanted.database_id, &opened));
    tu_assert_ok(try_to_write(opened, "from bob"));
    eid_database_close(opened);
    memset(&wanted.key_id, 9, sizeof wanted.key_id);
    tu_assert_fails(eid_user_add_database(bob, &wanted), EID_ERR_PRIVATE_KEY_NOT_FOUND);
    eid_database_close(notes);
    eid_user_logout(alice);
    eid_user_logout(bob);
}

/* The priority the user writes with, by whatever identity was remembered; that it may write is tried. */
static uint32_t priority_used(eid_user *user, const eid_id *id)
{
    eid_permission permission;
    eid_database *database;

    tu_assert_ok(eid_user_open_database(user, id, &database));
    tu_assert_ok(try_to_write(database, "page"));
    tu_assert_ok(eid_database_current_permission(database, &permission));
    assert_int_equal(permission.kind, EID_PERM_WRITE);
    eid_database_close(database);
    return permission.priority;
}

/* Features 68, W30 */
static void best_identity_is_found(void **state)
{
    fixture *f = *state;
    eid_user *alice = login(f, "alice"), *bob = login(f, "bob");
    eid_database *notes = create(alice, "notes");
    eid_database_preferences wanted = prefs_of(notes), found;
    eid_pubkey strong, root;
    eid_txn *txn;

    /* By the global permission. */
    tu_assert_ok(eid_database_new_transaction(notes, &txn));
    tu_assert_ok(eid_settings_set_global_permission(txn, (eid_permission){EID_PERM_WRITE, 20}));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    tu_assert_ok(eid_user_add_database(bob, &wanted));
    assert_int_equal(priority_used(bob, &wanted.database_id), 20);
    tu_assert_ok(eid_user_remove_database(bob, &wanted.database_id));

    /* The strongest of several keys, though it is not the default one. */
    eid_user_get_default_key(bob, &root);
    tu_assert_ok(eid_user_add_private_key(bob, "strong", &strong));
    tu_assert_ok(eid_database_new_transaction(notes, &txn));
    tu_assert_ok(eid_settings_set_auth_key(txn, &strong, NULL, (eid_permission){EID_PERM_WRITE, 5}, EID_KEY_ACTIVE));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    tu_assert_ok(eid_user_add_database(bob, &wanted));
    tu_assert_ok(eid_user_database_prefs(bob, &wanted.database_id, &found));
    assert_true(eid_pubkey_equal(&found.key_id, &strong));
    eid_database_preferences_clear(&found);
    assert_int_equal(priority_used(bob, &wanted.database_id), 5);

    /* A key that is asked for, with its own best identity. */
    wanted.key_id = root;
    tu_assert_ok(eid_user_set_prefs(bob, &wanted));
    tu_assert_ok(eid_user_database_prefs(bob, &wanted.database_id, &found));
    assert_true(eid_pubkey_equal(&found.key_id, &root));
    eid_database_preferences_clear(&found);
    assert_int_equal(priority_used(bob, &wanted.database_id), 20);
    eid_database_close(notes);
    eid_user_logout(alice);
    eid_user_logout(bob);
}

/* Feature 68 */
static void delegated_identity_is_found(void **state)
{
    fixture *f = *state;
    eid_user *alice = login(f, "alice"), *bob = login(f, "bob");
    eid_database *notes = create(alice, "notes"), *team = create(alice, "team"), *opened;
    eid_database_preferences wanted = prefs_of(notes);
    eid_permission permission;
    eid_txn *txn;

    grant(team, bob, (eid_permission){EID_PERM_WRITE, 10});
    tu_assert_ok(eid_database_new_transaction(notes, &txn));
    tu_assert_ok(eid_settings_add_delegation(txn, eid_database_root_id(team), NULL, 0, (eid_permission){EID_PERM_WRITE, 15}, NULL));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    tu_assert_ok(eid_user_add_database(bob, &wanted));
    tu_assert_ok(eid_user_open_database(bob, &wanted.database_id, &opened));
    tu_assert_ok(eid_database_current_permission(opened, &permission));
    assert_int_equal(permission.kind, EID_PERM_WRITE);
    assert_int_equal(permission.priority, 15);
    tu_assert_ok(try_to_write(opened, "by delegation"));
    eid_database_close(opened);
    eid_database_close(notes);
    eid_database_close(team);
    eid_user_logout(alice);
    eid_user_logout(bob);
}

/* Feature 69 */
static void list_database_prefs_oldest_first(void **state)
{
    fixture *f = *state;
    eid_user *alice = login(f, "alice");
    eid_database *databases[5];
    eid_database_preferences *list;
    size_t count;

    for (int i = 0; i < 5; i++)
        databases[i] = create(alice, "database");
    tu_assert_ok(eid_user_list_database_prefs(alice, &list, &count));
    assert_int_equal(count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_true(eid_id_equal(&list[i].database_id, eid_database_root_id(databases[i])));
    eid_database_preferences_free(list, count);

    /* Changing one does not move it; adding it anew does. */
    tu_assert_ok(eid_user_enable_sync(alice, eid_database_root_id(databases[3])));
    tu_assert_ok(eid_user_remove_database(alice, eid_database_root_id(databases[0])));
    eid_database_preferences again = prefs_of(databases[0]);
    tu_assert_ok(eid_user_add_database(alice, &again));
    tu_assert_ok(eid_user_list_database_prefs(alice, &list, &count));
    static const int order[] = {1, 2, 3, 4, 0};
    for (size_t i = 0; i < 5; i++)
        assert_true(eid_id_equal(&list[i].database_id, eid_database_root_id(databases[order[i]])));
    eid_database_preferences_free(list, count);
    for (int i = 0; i < 5; i++)
        eid_database_close(databases[i]);
    eid_user_logout(alice);
}

/* Feature 70 */
static void what_a_record_tells(void **state)
{
    fixture *f = *state;
    eid_user *alice = login(f, "alice");
    eid_database *notes = create(alice, "notes");
    eid_database_preferences *list, one;
    size_t count;

    f->now_ms += 60000;
    tu_assert_ok(eid_user_enable_sync(alice, eid_database_root_id(notes)));
    tu_assert_ok(eid_user_list_database_prefs(alice, &list, &count));
    assert_true(eid_id_equal(&list[0].database_id, eid_database_root_id(notes)));
    assert_true(list[0].sync_settings.sync_enabled);
    assert_int_equal(list[0].added_at, 1700000000);
    eid_database_preferences_free(list, count);
    tu_assert_ok(eid_user_database_prefs(alice, eid_database_root_id(notes), &one));
    assert_int_equal(one.added_at, 1700000000);
    eid_database_preferences_clear(&one);
    eid_database_close(notes);
    eid_user_logout(alice);
}

/* Feature 71 */
static void database_prefs(void **state)
{
    fixture *f = *state;
    eid_user *alice = login(f, "alice");
    eid_database *notes = create(alice, "notes");
    eid_database_preferences one = EID_DATABASE_PREFERENCES_INIT;
    char id[EID_ID_TEXT_SIZE];
    eid_id unknown = *eid_database_root_id(notes);

    tu_assert_ok(eid_user_database_prefs(alice, &unknown, &one));
    eid_database_preferences_clear(&one);
    unknown.bytes[unknown.len - 1] ^= 1;
    tu_assert_fails(eid_user_database_prefs(alice, &unknown, &one), EID_ERR_DATABASE_NOT_TRACKED);
    assert_true(eid_id_is_empty(&one.database_id) && one.added_at == 0);
    eid_id_format(&unknown, id);
    assert_non_null(strstr(eid_last_error(), id));
    eid_database_close(notes);
    eid_user_logout(alice);
}

/* Feature 72 */
static void set_prefs(void **state)
{
    fixture *f = *state;
    eid_sync *sync = sync_on(f);
    eid_user *alice = login(f, "alice");
    eid_database *notes = create(alice, "notes");
    eid_database_preferences updated;

    /* A stored record, changed and given back. */
    tu_assert_ok(eid_user_database_prefs(alice, eid_database_root_id(notes), &updated));
    updated.sync_settings.sync_enabled = true;
    updated.sync_settings.interval_seconds = 30;
    tu_assert_ok(eid_user_set_prefs(alice, &updated));
    assert_combined(sync, notes, true, false, 30);
    /* What is not tracked is added. */
    tu_assert_ok(eid_user_remove_database(alice, eid_database_root_id(notes)));
    assert_combined(sync, notes, false, false, 0);
    tu_assert_ok(eid_user_set_prefs(alice, &updated));
    assert_combined(sync, notes, true, false, 30);
    eid_database_preferences_clear(&updated);
    eid_id unknown = *eid_database_root_id(notes);
    unknown.bytes[unknown.len - 1] ^= 1;
    tu_assert_fails(eid_user_enable_sync(alice, &unknown), EID_ERR_DATABASE_NOT_TRACKED);
    tu_assert_fails(eid_user_disable_sync(alice, &unknown), EID_ERR_DATABASE_NOT_TRACKED);
    assert_false(eid_user_is_sync_enabled(alice, &unknown));
    eid_database_close(notes);
    eid_user_logout(alice);
}

/* Feature 73 */
static void remove_database(void **state)
{
    fixture *f = *state;
    eid_user *alice = login(f, "alice");
    eid_database *notes = create(alice, "notes"), *opened;
    eid_id id = *eid_database_root_id(notes);
    eid_value *value;

    tu_assert_ok(try_to_write(notes, "page"));
    eid_database_close(notes);
    tu_assert_ok(eid_user_remove_database(alice, &id));
    tu_assert_fails(eid_user_remove_database(alice, &id), EID_ERR_DATABASE_NOT_TRACKED);
    tu_assert_ok(eid_database_open(f->instance, &id, &opened));
    tu_assert_ok(eid_database_get(opened, "pages", "page", &value));
    eid_value_free(value);
    eid_database_close(opened);
    eid_user_logout(alice);
}

/* Feature 74 */
static void open_database_and_write(void **state)
{
    fixture *f = *state;
    eid_user *alice = login(f, "alice");
    eid_pubkey second;
    eid_database *notes, *opened;
    eid_entry *entry;
    eid_id *tips;
    eid_pubkey signer;
    size_t count;
    eid_doc *settings;

    tu_assert_ok(eid_user_add_private_key(alice, "second", &second));
    tu_assert_ok(eid_doc_new(&settings));
    tu_assert_ok(eid_user_create_database_with(alice, settings, &second, &notes));
    eid_doc_free(settings);
    tu_assert_ok(eid_user_open_database(alice, eid_database_root_id(notes), &opened));
    tu_assert_ok(try_to_write(opened, "page"));
    tu_assert_ok(eid_database_tips(opened, &tips, &count));
    tu_assert_ok(eid_database_get_entry(opened, &tips[0], &entry));
    assert_true(eid_entry_signer(entry, &signer) && eid_pubkey_equal(&signer, &second));
    eid_entry_unref(entry);
    eid_free(tips);
    eid_database_close(opened);
    eid_database_close(notes);
    eid_user_logout(alice);
}

/* Wishes stand with the user, facts with sync: a wish alone makes no relation to a peer. */
/* Feature 75 */
static void preferences_are_not_status(void **state)
{
    fixture *f = *state;
    eid_sync *sync = sync_on(f);
    eid_user *alice = login(f, "alice");
    eid_database *notes = create(alice, "notes"), *private_database;
    eid_peer_info *peers;
    size_t count;

    tu_assert_ok(eid_user_enable_sync(alice, eid_database_root_id(notes)));
    tu_assert_ok(eid_sync_list_peers(sync, &peers, &count));
    assert_int_equal(count, 0);
    eid_peer_infos_free(peers, count);
    char id[EID_ID_TEXT_SIZE], *row;
    eid_id_format(eid_database_root_id(notes), id);
    tu_assert_ok(eid_user_private_database(alice, &private_database));
    row = row_of(private_database, "databases", id);
    assert_non_null(strstr(row, "\"sync_enabled\":true"));
    free(row);
    eid_database_close(notes);
    eid_user_logout(alice);
}

/* Features 76, W31 */
static void changes_need_no_restart(void **state)
{
    fixture *f = *state;
    eid_user *alice = login(f, "alice");
    eid_database *before = create(alice, "before"), *after;

    tu_assert_ok(eid_user_enable_sync(alice, eid_database_root_id(before)));
    eid_sync *sync = sync_on(f);
    assert_combined(sync, before, true, false, 0); /* a wish from before sync was on */
    after = create(alice, "after");
    assert_combined(sync, after, false, false, 0);
    tu_assert_ok(eid_user_enable_sync(alice, eid_database_root_id(after)));
    assert_combined(sync, after, true, false, 0);
    tu_assert_ok(eid_user_remove_database(alice, eid_database_root_id(before)));
    assert_combined(sync, before, false, false, 0);
    eid_database_close(before);
    eid_database_close(after);
    eid_user_logout(alice);
}

/* Two users of one database, each with a wish of their own. */
typedef struct two {
    eid_sync *sync;
    eid_user *alice, *bob;
    eid_database *notes;
    eid_database_preferences wanted;
} two;

static void two_open(two *t, fixture *f)
{
    t->sync = sync_on(f);
    t->alice = login(f, "alice");
    t->bob = login(f, "bob");
    t->notes = create(t->alice, "notes");
    grant(t->notes, t->bob, (eid_permission){EID_PERM_WRITE, 10});
    t->wanted = prefs_of(t->notes);
    t->wanted.sync_settings.sync_enabled = true;
    t->wanted.sync_settings.interval_seconds = 60;
    tu_assert_ok(eid_sync_settings_set_property(&t->wanted.sync_settings, "who", "alice"));
    tu_assert_ok(eid_sync_settings_set_property(&t->wanted.sync_settings, "alice", "1"));
    tu_assert_ok(eid_user_set_prefs(t->alice, &t->wanted));
    t->wanted.sync_settings.interval_seconds = 0;
    t->wanted.sync_settings.sync_on_commit = true;
    tu_assert_ok(eid_sync_settings_set_property(&t->wanted.sync_settings, "who", "bob"));
    tu_assert_ok(eid_sync_settings_set_property(&t->wanted.sync_settings, "alice", NULL));
    tu_assert_ok(eid_user_set_prefs(t->bob, &t->wanted));
}

static void two_close(two *t)
{
    eid_database_preferences_clear(&t->wanted);
    eid_database_close(t->notes);
    eid_user_logout(t->alice);
    eid_user_logout(t->bob);
}

/* Feature 77 */
static void each_user_sees_the_own_preferences(void **state)
{
    eid_database_preferences found;
    two t;

    two_open(&t, *state);
    tu_assert_ok(eid_user_database_prefs(t.alice, eid_database_root_id(t.notes), &found));
    assert_int_equal(found.sync_settings.interval_seconds, 60);
    assert_false(found.sync_settings.sync_on_commit);
    eid_database_preferences_clear(&found);
    tu_assert_ok(eid_user_database_prefs(t.bob, eid_database_root_id(t.notes), &found));
    assert_int_equal(found.sync_settings.interval_seconds, 0);
    assert_true(found.sync_settings.sync_on_commit);
    eid_database_preferences_clear(&found);
    two_close(&t);
}

/* Feature 78 */
static void wishes_are_combined(void **state)
{
    eid_sync_settings combined;
    two t;

    two_open(&t, *state);
    tu_assert_ok(eid_sync_combined_settings(t.sync, eid_database_root_id(t.notes), &combined));
    assert_true(combined.sync_enabled && combined.sync_on_commit);
    assert_int_equal(combined.interval_seconds, 60);
    assert_int_equal(combined.property_count, 2);
    assert_string_equal(eid_sync_settings_get_property(&combined, "who"), "bob"); /* who came later has the word */
    assert_string_equal(eid_sync_settings_get_property(&combined, "alice"), "1");
    eid_sync_settings_clear(&combined);
    /* The smaller interval counts. */
    t.wanted.sync_settings.interval_seconds = 10;
    tu_assert_ok(eid_user_set_prefs(t.bob, &t.wanted));
    assert_combined(t.sync, t.notes, true, true, 10);
    t.wanted.sync_settings.interval_seconds = 90;
    tu_assert_ok(eid_user_set_prefs(t.bob, &t.wanted));
    assert_combined(t.sync, t.notes, true, true, 60);
    two_close(&t);
}

/* Feature 79 */
static void lists_are_independent(void **state)
{
    eid_database_preferences *list;
    size_t count;
    two t;

    two_open(&t, *state);
    tu_assert_ok(eid_user_remove_database(t.alice, eid_database_root_id(t.notes)));
    tu_assert_ok(eid_user_list_database_prefs(t.bob, &list, &count));
    assert_int_equal(count, 1);
    assert_true(list[0].sync_settings.sync_on_commit);
    eid_database_preferences_free(list, count);
    assert_combined(t.sync, t.notes, true, true, 0);
    two_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_INSTANCE(user_accounts),
        WITH_INSTANCE(database_preferences),
        WITH_INSTANCE(sync_enabled),
        WITH_INSTANCE(sync_on_commit),
        WITH_INSTANCE(interval_seconds),
        WITH_INSTANCE(properties),
        cmocka_unit_test(defaults_and_presets),
        WITH_INSTANCE(get_default_key),
        WITH_INSTANCE(add_database),
        WITH_INSTANCE(best_identity_is_found),
        WITH_INSTANCE(delegated_identity_is_found),
        WITH_INSTANCE(list_database_prefs_oldest_first),
        WITH_INSTANCE(what_a_record_tells),
        WITH_INSTANCE(database_prefs),
        WITH_INSTANCE(set_prefs),
        WITH_INSTANCE(remove_database),
        WITH_INSTANCE(open_database_and_write),
        WITH_INSTANCE(preferences_are_not_status),
        WITH_INSTANCE(changes_need_no_restart),
        WITH_INSTANCE(each_user_sees_the_own_preferences),
        WITH_INSTANCE(wishes_are_combined),
        WITH_INSTANCE(lists_are_independent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
