/* SPDX-License-Identifier: Apache-2.0 */
/* The wishes of users and of the instance, as sync sees them: who is told what, what is written, what a restart finds. */
#include "node.h"
#include "support/track.h"

#include <stdio.h>
#include <string.h>

/* ---- Being told ---- */

static struct {
    int count;
    eid_id last;
    bool enabled; /* what the settings were when it was told */
} told;

static void listen(eid_sync *sync, const eid_id *database, void *ctx)
{
    eid_sync_settings now;

    assert_ptr_equal(ctx, &told);
    told.count++;
    told.last = *database;
    tu_assert_ok(eid_sync_combined_settings(sync, database, &now)); /* no lock is held */
    told.enabled = now.sync_enabled;
    eid_sync_settings_clear(&now);
}

static void changes_are_told_once(void **state)
{
    (void)state;
    node n;
    node_open_bare(&n, "alice");
    memset(&told, 0, sizeof told);
    eid_sync_set_settings_hook(n.sync, listen, &told);
    eid_database *notes = node_create(&n, "notes", false), *other = node_create(&n, "other", false);
    const eid_id *id = eid_database_root_id(notes);
    assert_int_equal(told.count, 0);
    tu_assert_ok(eid_user_enable_sync(n.user, id));
    assert_int_equal(told.count, 1);
    assert_true(told.enabled && eid_id_equal(&told.last, id));
    tu_assert_ok(eid_user_enable_sync(n.user, id));
    assert_int_equal(told.count, 1);
    /* The same settings with another key would be the same wish; another property is not. */
    eid_sync_settings wish = EID_SYNC_SETTINGS_ENABLED;
    tu_assert_ok(eid_sync_settings_set_property(&wish, "p", "1"));
    tu_assert_ok(tu_track(n.user, id, &wish));
    assert_int_equal(told.count, 2);
    eid_sync_settings_clear(&wish);
    tu_assert_ok(eid_user_remove_database(n.user, id));
    assert_int_equal(told.count, 3);
    assert_false(told.enabled);
    tu_assert_ok(eid_user_remove_database(n.user, eid_database_root_id(other)));
    assert_int_equal(told.count, 3);
    eid_database_close(notes);
    eid_database_close(other);
    node_close(&n);
}

/* Disabling a user changes all the databases the user shared. */
static void absent_users_are_told_for_each_database(void **state)
{
    (void)state;
    node n;
    node_open_bare(&n, "alice");
    eid_database *databases[5];
    for (int i = 0; i < 5; i++)
        databases[i] = node_create(&n, "d", i < 3);
    memset(&told, 0, sizeof told);
    eid_sync_set_settings_hook(n.sync, listen, &told);
    tu_assert_ok(eid_instance_disable_user(n.instance, "alice"));
    assert_int_equal(told.count, 3);
    for (int i = 0; i < 5; i++)
        assert_false(eid_sync_is_shared(n.sync, eid_database_root_id(databases[i])));
    tu_assert_ok(eid_instance_enable_user(n.instance, "alice"));
    assert_int_equal(told.count, 6);
    for (int i = 0; i < 5; i++)
        assert_int_equal(eid_sync_is_shared(n.sync, eid_database_root_id(databases[i])), i < 3);
    for (int i = 0; i < 5; i++)
        eid_database_close(databases[i]);
    node_close(&n);
}

/* ---- What is written ---- */

static uint64_t records(const node *n)
{
    uint64_t count;

    tu_assert_ok(eid_database_entry_count(n->sync->database, &count));
    return count;
}

static void only_what_changes_is_written(void **state)
{
    (void)state;
    node n;
    node_open_bare(&n, "alice");
    uint64_t before = records(&n);
    eid_database *notes = node_create(&n, "notes", false);
    for (int i = 0; i < 20; i++)
        eid_database_close(node_create(&n, "more", false));
    assert_int_equal(records(&n), before); /* making a database wishes nothing */
    tu_assert_ok(eid_user_enable_sync(n.user, eid_database_root_id(notes)));
    assert_int_equal(records(&n), before + 1);
    tu_assert_ok(eid_user_enable_sync(n.user, eid_database_root_id(notes)));
    assert_int_equal(records(&n), before + 1);
    eid_database_close(notes);
    node_close(&n);
}

/* ---- The instance's own wishes ---- */

static eid_database *own_database(node *n)
{
    eid_database *database;
    eid_doc *settings;

    tu_assert_ok(eid_doc_new(&settings));
    tu_assert_ok(eid_instance_new_database(n->instance, settings, "device_key", &database));
    eid_doc_free(settings);
    return database;
}

static void assert_wish(const node *n, const eid_id *id, bool enabled, bool on_commit, uint64_t interval)
{
    eid_sync_settings found;

    tu_assert_ok(eid_sync_combined_settings(n->sync, id, &found));
    assert_int_equal(found.sync_enabled, enabled);
    assert_int_equal(found.sync_on_commit, on_commit);
    assert_int_equal(found.interval_seconds, interval);
    eid_sync_settings_clear(&found);
}

static void the_instance_wishes_too(void **state)
{
    (void)state;
    char *dir = tu_temp_dir(), url[700];
    eid_sync_settings wish = EID_SYNC_SETTINGS_ENABLED;
    node n;

    snprintf(url, sizeof url, "sqlite:%s/a.db", dir);
    node_open_bare_url(&n, url, "alice");
    tu_assert_ok(eid_instance_add_private_key(n.instance, "device_key", NULL));
    eid_database *database = own_database(&n);
    eid_id id = *eid_database_root_id(database);
    assert_wish(&n, &id, true, true, 0);
    assert_true(eid_sync_is_shared(n.sync, &id));

    /* Beside it a user, whose wish is added. */
    eid_pubkey key;
    eid_txn *txn;
    eid_user_get_default_key(n.user, &key);
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    tu_assert_ok(eid_settings_set_auth_key(txn, &key, "alice", node_write_10, EID_KEY_ACTIVE));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    wish.interval_seconds = 20;
    tu_assert_ok(tu_track(n.user, &id, &wish));
    assert_wish(&n, &id, true, true, 20);
    tu_assert_ok(eid_sync_set_database_enabled(n.sync, &id, false));
    assert_wish(&n, &id, true, false, 20);
    tu_assert_ok(eid_sync_set_database_enabled(n.sync, &id, true));
    tu_assert_ok(eid_user_disable_sync(n.user, &id));
    assert_wish(&n, &id, true, true, 0);
    uint64_t before = records(&n);
    tu_assert_ok(eid_sync_set_database_enabled(n.sync, &id, true));
    assert_int_equal(records(&n), before);
    eid_database_close(database);
    node_close(&n);

    /* After a restart as before, and switched off for good when it is. */
    for (int round = 0; round < 2; round++) {
        node_open_bare_url(&n, url, "alice");
        assert_wish(&n, &id, round == 0, round == 0, 0);
        tu_assert_ok(eid_sync_set_database_enabled(n.sync, &id, false));
        assert_false(eid_sync_is_shared(n.sync, &id));
        node_close(&n);
    }
    tu_temp_dir_remove(dir);
}

static void databases_of_the_instance_itself_stay_at_home(void **state)
{
    (void)state;
    eid_database *private_database;
    node n;
    node_open_bare(&n, "alice");
    tu_assert_ok(eid_user_private_database(n.user, &private_database));
    eid_id unknown = *eid_database_root_id(private_database);
    tu_assert_fails(eid_sync_set_database_enabled(n.sync, &unknown, true), EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_sync_set_database_enabled(n.sync, eid_database_root_id(n.sync->database), true),
                    EID_ERR_INVALID_ARGUMENT);
    unknown.bytes[unknown.len - 1] ^= 1;
    tu_assert_fails(eid_sync_set_database_enabled(n.sync, &unknown, true), EID_ERR_DATABASE_NOT_FOUND);
    node_close(&n);
}

/* ---- Restarts ---- */

/* What changed while sync was off counts when it is on again: accounts too, which leave no trace in preferences. */
static void changes_from_while_sync_was_off(void **state)
{
    (void)state;
    char *dir = tu_temp_dir(), url[700];
    eid_instance *instance;
    eid_user *alice;
    node n;

    snprintf(url, sizeof url, "sqlite:%s/a.db", dir);
    node_open_bare_url(&n, url, "alice");
    eid_database *notes = node_create(&n, "notes", true);
    eid_id id = *eid_database_root_id(notes);
    eid_database_close(notes);
    tu_assert_ok(eid_instance_create_user(n.instance, "other", NULL));
    node_close(&n);
    for (int step = 0; step < 4; step++) {
        tu_assert_ok(eid_instance_open_url(url, &instance));
        if (step == 0)
            tu_assert_ok(eid_instance_disable_user(instance, "alice"));
        if (step == 1)
            tu_assert_ok(eid_instance_enable_user(instance, "alice"));
        if (step >= 2) {
            tu_assert_ok(eid_instance_login_user(instance, "alice", NULL, &alice));
            tu_assert_ok(step == 2 ? eid_user_disable_sync(alice, &id) : eid_user_enable_sync(alice, &id));
            eid_user_logout(alice);
        }
        eid_instance_close(instance);
        node_open_bare_url(&n, url, "other");
        assert_int_equal(eid_sync_is_shared(n.sync, &id), step % 2 == 1);
        node_close(&n);
    }
    tu_temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_are_told_once),
        cmocka_unit_test(absent_users_are_told_for_each_database),
        cmocka_unit_test(only_what_changes_is_written),
        cmocka_unit_test(the_instance_wishes_too),
        cmocka_unit_test(databases_of_the_instance_itself_stay_at_home),
        cmocka_unit_test(changes_from_while_sync_was_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
