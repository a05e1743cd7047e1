/* SPDX-License-Identifier: Apache-2.0 */
/* Databases of a user: creating, opening again after a restart, tracking with the right identity,
 * preferences, several sessions at once, and failures in between. */
#include "fixture.h"
#include "support/track.h"

#include <pthread.h>
#include <stdatomic.h>

#include "instance/records.h"

static void a_created_database_is_the_users(void **state)
{
    fixture *f = *state;
    eid_user *user = login(f, "alice");
    eid_database *database = create(user, "notes"), *again, *private_database;
    eid_permission permission;
    eid_database_preferences tracked;
    char id[EID_ID_TEXT_SIZE], *row, wanted[512], key_text[EID_PUBKEY_TEXT_SIZE], *name;
    const eid_keypair *pair;
    eid_pubkey key, paired;

    eid_user_get_default_key(user, &key);
    eid_pubkey_format(&key, key_text);
    tu_assert_ok(eid_database_current_permission(database, &permission));
    assert_true(permission.kind == EID_PERM_ADMIN && permission.priority == 0);
    tu_assert_ok(try_to_write(database, "today"));
    assert_false(eid_instance_is_private_database(f->instance, eid_database_root_id(database)));

    tu_assert_ok(eid_user_private_database(user, &private_database));
    eid_id_format(eid_database_root_id(database), id);
    row = row_of(private_database, "databases", id);
    snprintf(wanted, sizeof wanted,
             "{\"database_id\":\"%s\",\"key_id\":\"%s\",\"sync_settings\":{\"sync_enabled\":false,\"sync_on_"
             "commit\":false,"
             "\"interval_seconds\":null,\"properties\":{}}}",
             id, key_text);
    assert_string_equal(row, wanted);
    free(row);
    tu_assert_ok(eid_user_database_prefs(user, eid_database_root_id(database), &tracked));
    assert_true(eid_pubkey_equal(&tracked.key_id, &key));
    assert_false(tracked.sync_settings.sync_enabled);
    tu_assert_ok(eid_user_key_for_database(user, eid_database_root_id(database), &pair));
    eid_keypair_public(pair, &paired);
    assert_true(eid_pubkey_equal(&paired, &key));

    tu_assert_ok(eid_user_open_database(user, eid_database_root_id(database), &again));
    tu_assert_ok(try_to_write(again, "tomorrow"));
    tu_assert_ok(eid_database_name(again, &name));
    assert_string_equal(name, "notes");
    eid_free(name);
    eid_database_close(again);
    eid_database_close(database);
    eid_user_logout(user);
}

static void everything_is_there_after_a_restart(void **state)
{
    fixture *f = *state;
    char *dir = tu_temp_dir(), url[600];
    eid_user *user;
    eid_database *database;
    eid_value *value;
    const char *text;
    eid_id id;

    eid_instance_close(f->instance);
    snprintf(url, sizeof url, "sqlite:%s/a.db", dir);
    fixture_open_url(f, url);
    user = login(f, "alice");
    database = create(user, "notes");
    id = *eid_database_root_id(database);
    tu_assert_ok(try_to_write(database, "today"));
    eid_database_close(database);
    eid_user_logout(user);
    eid_instance_close(f->instance);

    fixture_open_url(f, url);
    tu_assert_ok(eid_instance_login_user(f->instance, "alice", NULL, &user));
    tu_assert_ok(eid_user_find_database(user, "notes", &database));
    assert_true(eid_id_equal(&id, eid_database_root_id(database)));
    tu_assert_ok(eid_database_get(database, "pages", "today", &value));
    tu_assert_ok(eid_value_as_text(value, &text, NULL));
    assert_string_equal(text, "text");
    eid_value_free(value);
    tu_assert_ok(try_to_write(database, "again"));
    eid_database_close(database);
    tu_assert_fails(eid_user_find_database(user, "letters", &database), EID_ERR_DATABASE_NOT_FOUND);
    eid_user_logout(user);
    tu_temp_dir_remove(dir);
}

static void settings_of_a_new_database_are_kept(void **state)
{
    fixture *f = *state;
    eid_user *user = login(f, "alice");
    eid_database *database = NULL;
    eid_database_preferences *list;
    eid_doc *settings;
    eid_value *value;
    size_t count;

    tu_assert_ok(eid_doc_new(&settings));
    tu_assert_ok(eid_doc_set_string(settings, "name", "notes"));
    tu_assert_ok(eid_doc_set_int(settings, "mine.version", 3));
    tu_assert_ok(eid_user_create_database_with(user, settings, NULL, &database));
    tu_assert_ok(eid_database_get(database, "_settings", "mine.version", &value));
    eid_value_free(value);
    eid_database_close(database);

    database = NULL;
    tu_assert_ok(eid_doc_set_int(settings, "auth", 1));
    tu_assert_fails(eid_user_create_database_with(user, settings, NULL, &database), EID_ERR_CORRUPTED_AUTH);
    assert_null(database);
    tu_assert_fails(eid_user_create_database(user, "\xff", &database), EID_ERR_UTF8);
    tu_assert_ok(eid_user_list_database_prefs(user, &list, &count));
    assert_int_equal(count, 1);
    eid_free(list);
    eid_doc_free(settings);
    eid_user_logout(user);
}

/* ---- Other people's databases ---- */

static void grant_global(eid_database *database, eid_permission permission)
{
    eid_txn *txn;

    tu_assert_ok(eid_database_new_transaction(database, &txn));
    tu_assert_ok(eid_settings_set_global_permission(txn, permission));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
}

static void grant_key(eid_database *database, const eid_pubkey *key, eid_permission permission)
{
    eid_txn *txn;

    tu_assert_ok(eid_database_new_transaction(database, &txn));
    tu_assert_ok(eid_settings_set_auth_key(txn, key, "guest", permission, EID_KEY_ACTIVE));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
}

static void strangers_need_a_right(void **state)
{
    fixture *f = *state;
    eid_sync_settings settings = EID_SYNC_SETTINGS_ENABLED;
    eid_permission write_right = {EID_PERM_WRITE, 10};
    eid_user *alice = login(f, "alice"), *bob = login(f, "bob");
    eid_database *database = create(alice, "notes"), *opened = NULL, *private_database;
    const eid_id *id = eid_database_root_id(database);
    eid_permission permission;
    eid_doc *keys;
    char *text;

    tu_assert_fails(eid_user_open_database(bob, id, &opened), EID_ERR_NO_KEY_FOR_DATABASE);
    tu_assert_fails(tu_track(bob, id, &settings), EID_ERR_NO_KEY_FOR_DATABASE);
    tu_assert_fails(eid_user_database_prefs(bob, id, &(eid_database_preferences){0}),
                    EID_ERR_DATABASE_NOT_TRACKED);
    assert_null(opened);

    grant_global(database, write_right);
    tu_assert_ok(tu_track(bob, id, &settings));
    tu_assert_ok(eid_user_open_database(bob, id, &opened));
    tu_assert_ok(try_to_write(opened, "from bob"));
    tu_assert_ok(eid_database_current_permission(opened, &permission));
    assert_int_equal(permission.kind, EID_PERM_WRITE);
    eid_txn *txn;
    tu_assert_ok(eid_database_new_transaction(opened, &txn));
    tu_assert_ok(eid_settings_set_name(txn, "bob's"));
    tu_assert_fails(eid_txn_commit_free(txn, NULL), EID_ERR_PERMISSION_DENIED);
    tu_assert_ok(eid_user_private_database(bob, &private_database));
    tu_assert_ok(eid_database_store_state(private_database, "keys", &keys));
    tu_assert_ok(eid_doc_to_json(keys, &text, NULL));
    assert_non_null(strstr(text, "is_global"));
    eid_free(text);
    eid_doc_free(keys);
    eid_database_close(opened);
    eid_database_close(database);
    eid_user_logout(alice);
    eid_user_logout(bob);
}

static void a_listed_key_signs_as_itself(void **state)
{
    fixture *f = *state;
    eid_sync_settings settings = EID_SYNC_SETTINGS_DISABLED;
    eid_permission write_right = {EID_PERM_WRITE, 10}, read_right = {EID_PERM_READ, 0};
    eid_user *alice = login(f, "alice"), *bob = login(f, "bob");
    eid_database *database = create(alice, "notes"), *opened;
    const eid_id *id = eid_database_root_id(database);
    eid_pubkey key, signer;
    eid_entry *entry;
    eid_id *tips;
    size_t count;

    eid_user_get_default_key(bob, &key);
    grant_global(database, read_right);
    grant_key(database, &key, write_right);
    tu_assert_ok(tu_track(bob, id, &settings));
    tu_assert_ok(eid_user_open_database(bob, id, &opened));
    tu_assert_ok(try_to_write(opened, "from bob"));
    tu_assert_ok(eid_database_tips(opened, &tips, &count));
    assert_int_equal(count, 1);
    tu_assert_ok(eid_database_get_entry(opened, &tips[0], &entry));
    assert_true(eid_entry_signer(entry, &signer) && eid_pubkey_equal(&signer, &key));
    eid_entry_unref(entry);
    eid_free(tips);
    eid_database_close(opened);
    eid_database_close(database);
    eid_user_logout(alice);
    eid_user_logout(bob);
}

static void access_may_be_pending(void **state)
{
    fixture *f = *state;
    eid_user *user = login(f, "alice");
    eid_database *database = NULL;
    eid_database_preferences *list;
    eid_id id;
    size_t count;

    tu_assert_ok(eid_id_parse("bafyr4ig57bks2iknlyb6uvrdunutoir5ckl6n4zblvellmbmvmsl3ttdbm", &id));
    tu_assert_fails(eid_user_open_database(user, &id, &database), EID_ERR_NO_KEY_FOR_DATABASE);
    tu_assert_ok(eid_user_record_pending_access(user, &id));
    tu_assert_fails(eid_user_open_database(user, &id, &database), EID_ERR_DATABASE_ACCESS_PENDING);
    assert_null(database);
    tu_assert_ok(eid_user_list_database_prefs(user, &list, &count));
    assert_int_equal(count, 0);
    eid_free(list);
    tu_assert_fails(tu_track(user, &id, &(eid_sync_settings)EID_SYNC_SETTINGS_ENABLED),
                    EID_ERR_DATABASE_NOT_FOUND);
    eid_user_logout(user);
}

/* ---- Preferences ---- */

static int changes;

static eid_id changed;

static void count_changes(eid_instance *instance, const char *uuid, const eid_id *private_database, const eid_id *database,
                          void *ctx)
{
    fixture *f = ctx;

    changed = *database;

    assert_ptr_equal(instance, f->instance);
    assert_int_equal(strlen(uuid), 36);
    assert_true(eid_instance_is_private_database(instance, private_database));
    changes++;
}

static void preferences_change_and_are_told(void **state)
{
    fixture *f = *state;
    eid_user *user = login(f, "alice");
    eid_database *database = create(user, "notes"), *private_database, *opened;
    const eid_id *id = eid_database_root_id(database);
    eid_sync_settings settings = EID_SYNC_SETTINGS_ON_COMMIT;
    eid_database_preferences tracked;
    uint64_t entries;

    changes = 0;
    eid_instance_set_hooks(f->instance, &(eid_instance_hooks){.preferences = count_changes, .ctx = f});
    tu_assert_ok(eid_user_private_database(user, &private_database));
    settings.interval_seconds = 60;
    tu_assert_ok(tu_track(user, id, &settings));
    assert_int_equal(changes, 1);
    tu_assert_ok(eid_user_database_prefs(user, id, &tracked));
    assert_true(tracked.sync_settings.sync_enabled && tracked.sync_settings.sync_on_commit);
    assert_int_equal(tracked.sync_settings.interval_seconds, 60);
    entries = entries_of(private_database);
    tu_assert_ok(tu_track(user, id, &settings));
    assert_int_equal(changes, 1);
    assert_int_equal(entries_of(private_database), entries);

    tu_assert_ok(eid_user_remove_database(user, id));
    assert_int_equal(changes, 2);
    tu_assert_fails(eid_user_database_prefs(user, id, &tracked), EID_ERR_DATABASE_NOT_TRACKED);
    tu_assert_fails(eid_user_remove_database(user, id), EID_ERR_DATABASE_NOT_TRACKED);
    assert_int_equal(changes, 2);
    /* The mapping stays, so the database still opens, and tracking it again works. */
    tu_assert_ok(eid_user_open_database(user, id, &opened));
    eid_database_close(opened);
    tu_assert_ok(tu_track(user, id, &settings));
    assert_int_equal(changes, 3);
    assert_true(eid_id_equal(&changed, id));
    /* A database that nobody syncs yet changes nothing for sync. */
    eid_database_close(create(user, "more"));
    assert_int_equal(changes, 3);
    eid_instance_set_hooks(f->instance, NULL);
    tu_assert_ok(eid_user_remove_database(user, id));
    assert_int_equal(changes, 3);
    eid_database_close(database);
    eid_user_logout(user);
}

static void properties_of_others_survive(void **state)
{
    fixture *f = *state;
    eid_user *user = login(f, "alice");
    eid_database *database = create(user, "notes"), *private_database;
    eid_database_preferences row = EID_DATABASE_PREFERENCES_INIT;
    char id[EID_ID_TEXT_SIZE], *text;
    eid_buf buf;
    eid_txn *txn;

    eid_id_format(eid_database_root_id(database), id);
    row.database_id = *eid_database_root_id(database);
    eid_user_get_default_key(user, &row.key_id);
    tu_assert_ok(eid_sync_settings_set_property(&row.sync_settings, "color", "red"));
    eid_buf_init(&buf, 4096);
    eid_preferences_write(&buf, &row);
    tu_assert_ok(eid_user_private_database(user, &private_database));
    tu_assert_ok(eid_database_new_transaction(private_database, &txn));
    tu_assert_ok(eid_table_set(txn, "databases", id, (const char *)buf.data));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    eid_buf_free(&buf);

    eid_database_preferences_clear(&row);

    tu_assert_ok(eid_user_enable_sync(user, eid_database_root_id(database)));
    text = row_of(private_database, "databases", id);
    assert_non_null(strstr(text, "\"sync_enabled\":true"));
    assert_non_null(strstr(text, "{\"color\":\"red\"}"));
    free(text);
    eid_database_close(database);
    eid_user_logout(user);
}

static void lists_begin_with_what_was_added_first(void **state)
{
    fixture *f = *state;
    eid_user *user = login(f, "alice");
    eid_database_preferences *list, *wishes;
    eid_database *private_database;
    char last[EID_ID_TEXT_SIZE] = "", text[EID_ID_TEXT_SIZE], name[16];
    eid_id made[20];
    size_t count;

    tu_assert_ok(eid_user_list_database_prefs(user, &list, &count));
    assert_int_equal(count, 0);
    assert_non_null(list);
    eid_database_preferences_free(list, count);
    for (int i = 0; i < 20; i++) {
        /* The clock stands still half of the time. */
        f->now_ms += i % 2 == 0 ? 0 : 5000;
        snprintf(name, sizeof name, "room %d", i);
        eid_database *database = create(user, name);
        made[i] = *eid_database_root_id(database);
        eid_database_close(database);
    }
    tu_assert_ok(eid_user_list_database_prefs(user, &list, &count));
    assert_int_equal(count, 20);
    for (size_t i = 0; i < count; i++) {
        assert_true(eid_id_equal(&list[i].database_id, &made[i]));
        assert_int_equal(list[i].added_at, 1700000000 + 5 * (int64_t)((i + 1) / 2));
    }
    eid_database_preferences_free(list, count);

    /* Sync reads the same without the user, in order of the IDs. */
    tu_assert_ok(eid_user_private_database(user, &private_database));
    tu_assert_ok(eid_wishes_read(f->instance, eid_database_root_id(private_database), &wishes, &count));
    assert_int_equal(count, 20);
    for (size_t i = 0; i < count; i++) {
        eid_id_format(&wishes[i].database_id, text);
        assert_true(strcmp(last, text) < 0);
        strcpy(last, text);
    }
    eid_database_preferences_free(wishes, count);
    eid_user_logout(user);
}

/* ---- Several sessions ---- */

static void *create_ten(void *ctx)
{
    for (int i = 0; i < 10; i++)
        eid_database_close(create(ctx, "shared"));
    return NULL;
}

static void sessions_do_not_lose_each_others_mappings(void **state)
{
    fixture *f = *state;
    eid_user *first = login(f, "alice"), *second = login(f, "alice");
    eid_database_preferences *list;
    eid_database *database;
    pthread_t threads[2];
    size_t count;

    assert_int_equal(pthread_create(&threads[0], NULL, create_ten, first), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, create_ten, second), 0);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    tu_assert_ok(eid_user_list_database_prefs(first, &list, &count));
    assert_int_equal(count, 20);
    for (size_t i = 0; i < count; i++) {
        tu_assert_ok(eid_user_open_database(second, &list[i].database_id, &database));
        eid_database_close(database);
    }
    eid_free(list);
    eid_user_logout(first);
    eid_user_logout(second);
}

typedef struct switching {
    eid_user *user;
    eid_id id;
    atomic_bool over;
} switching;

static void *switch_on_and_off(void *ctx)
{
    switching *s = ctx;

    while (!s->over) {
        tu_assert_ok(eid_user_enable_sync(s->user, &s->id));
        tu_assert_ok(eid_user_disable_sync(s->user, &s->id));
    }
    return NULL;
}

/* One session turns the switch, another changes the rest: neither undoes what the other did. */
static void switching_leaves_the_rest_alone(void **state)
{
    fixture *f = *state;
    eid_user *first = login(f, "alice"), *second = login(f, "alice");
    eid_database *notes = create(first, "notes");
    switching s = {.user = second, .id = *eid_database_root_id(notes)};
    eid_database_preferences wanted = EID_DATABASE_PREFERENCES_INIT, found;
    pthread_t thread;

    wanted.database_id = s.id;
    assert_int_equal(pthread_create(&thread, NULL, switch_on_and_off, &s), 0);
    for (uint64_t i = 1; i <= 100; i++) {
        wanted.sync_settings.interval_seconds = i;
        tu_assert_ok(eid_user_set_prefs(first, &wanted));
        for (int look = 0; look < 5; look++) {
            tu_assert_ok(eid_user_database_prefs(first, &s.id, &found));
            assert_int_equal(found.sync_settings.interval_seconds, i);
            eid_database_preferences_clear(&found);
        }
    }
    s.over = true;
    pthread_join(thread, NULL);
    eid_database_close(notes);
    eid_user_logout(first);
    eid_user_logout(second);
}

static void *create_same_user(void *ctx)
{
    fixture *f = ctx;

    return (void *)(uintptr_t)eid_instance_create_user(f->instance, "twin", NULL);
}

/* Feature W25 */
static void one_name_is_given_once(void **state)
{
    fixture *f = *state;
    pthread_t threads[4];
    int created = 0;

    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, create_same_user, f), 0);
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        if ((uintptr_t)result == EID_OK)
            created++;
        else
            assert_int_equal((uintptr_t)result, EID_ERR_USER_EXISTS);
    }
    assert_int_equal(created, 1);
    eid_user_logout(login(f, "twin"));
}

/* ---- Failures in between ---- */

static void a_failed_creation_is_not_tracked(void **state)
{
    fixture *f = *state;
    eid_sql *sql = eid_storage_sql(eid_core_storage(eid_instance_core(f->instance)));
    eid_user *user = login(f, "alice");
    eid_database *database = NULL;
    eid_database_preferences *list;
    uint64_t failures = 0;
    size_t count;

    for (;;) {
        eid_sql_fail_after(sql, failures + 1);
        eid_status status = eid_user_create_database(user, "notes", &database);
        eid_sql_fail_after(sql, 0);
        if (status == EID_OK)
            break;
        failures++;
        assert_null(database);
        tu_assert_ok(eid_user_list_database_prefs(user, &list, &count));
        assert_int_equal(count, 0);
        eid_free(list);
        assert_true(failures < 1000);
    }
    print_message("creating a database survived %llu failures of the storage\n",
                  (unsigned long long)failures);
    assert_true(failures > 10);
    tu_assert_ok(try_to_write(database, "today"));
    eid_database_close(database);
    tu_assert_ok(eid_user_find_database(user, "notes", &database));
    eid_database_close(database);
    eid_user_logout(user);
}

static eid_status read_everything(void *ctx)
{
    eid_user *user = ctx;
    eid_database_preferences *list = NULL, tracked;
    eid_database *database;
    size_t count;

    EID_TRY(eid_user_list_database_prefs(user, &list, &count));
    assert_int_equal(count, 1);
    eid_status status = eid_user_database_prefs(user, &list[0].database_id, &tracked);
    if (status == EID_OK)
        status = eid_user_open_database(user, &list[0].database_id, &database);
    if (status == EID_OK)
        eid_database_close(database);
    if (status == EID_OK)
        status = eid_user_find_database(user, "notes", &database);
    if (status == EID_OK)
        eid_database_close(database);
    eid_free(list);
    return status;
}

static void reading_survives_short_memory(void **state)
{
    fixture *f = *state;
    eid_user *user = login(f, "alice");

    eid_database_close(create(user, "notes"));
    /* What the storage keeps for good, it must have by now: only what the step itself takes is counted. */
    tu_assert_ok(read_everything(user));
    assert_true(tu_alloc_fault_loop(read_everything, user) > 10);
    eid_user_logout(user);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_INSTANCE(a_created_database_is_the_users),
        WITH_INSTANCE(everything_is_there_after_a_restart),
        WITH_INSTANCE(settings_of_a_new_database_are_kept),
        WITH_INSTANCE(strangers_need_a_right),
        WITH_INSTANCE(a_listed_key_signs_as_itself),
        WITH_INSTANCE(access_may_be_pending),
        WITH_INSTANCE(preferences_change_and_are_told),
        WITH_INSTANCE(properties_of_others_survive),
        WITH_INSTANCE(lists_begin_with_what_was_added_first),
        WITH_INSTANCE(sessions_do_not_lose_each_others_mappings),
        WITH_INSTANCE(switching_leaves_the_rest_alone),
        WITH_INSTANCE(one_name_is_given_once),
        WITH_INSTANCE(a_failed_creation_is_not_tracked),
        WITH_INSTANCE(reading_survives_short_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
