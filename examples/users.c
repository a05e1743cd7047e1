/* SPDX-License-Identifier: Apache-2.0 */
/* Users of an instance: passwords, several keys, the databases each tracks, and what they wish for sync together. */
#include <eidetica/eidetica.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(call)                                                                                          \
    do {                                                                                                     \
        if ((call) != EID_OK) {                                                                              \
            fprintf(stderr, "%s: %s\n", #call, eid_last_error());                                            \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

static void show_keys(eid_user *user)
{
    eid_user_key_info *keys;
    size_t count;

    CHECK(eid_user_list_keys(user, &keys, &count));
    for (size_t i = 0; i < count; i++)
        printf("key of %s: %s%s\n", eid_user_name(user), keys[i].display_name, keys[i].is_default ? " (default)" : "");
    eid_free(keys);
}

/* Bob's key may write to the database from now on. */
static void let_in(eid_database *database, eid_user *bob)
{
    eid_permission write = {EID_PERM_WRITE, 10};
    eid_pubkey key;
    eid_txn *txn;

    eid_user_get_default_key(bob, &key);
    CHECK(eid_database_new_transaction(database, &txn));
    CHECK(eid_settings_set_auth_key(txn, &key, "bob", write, EID_KEY_ACTIVE));
    CHECK(eid_txn_commit_free(txn, NULL));
}

static void show_wishes(eid_sync *sync, const eid_id *database)
{
    eid_sync_settings all;

    CHECK(eid_sync_combined_settings(sync, database, &all));
    if (!all.sync_enabled)
        printf("nobody syncs it\n");
    else
        printf("synced every %d s%s, color %s\n", (int)all.interval_seconds, all.sync_on_commit ? " and on commit" : "",
               eid_sync_settings_get_property(&all, "color"));
    eid_sync_settings_clear(&all);
}

int main(void)
{
    eid_database_preferences mine = EID_DATABASE_PREFERENCES_INIT, *list;
    eid_instance *instance;
    eid_user *alice, *bob;
    eid_database *notes, *letters, *opened;
    eid_pubkey work;
    eid_sync *sync;
    size_t count;

    CHECK(eid_instance_open_url("memory:", &instance)); /* or "sqlite:notes.db" */
    CHECK(eid_instance_enable_sync(instance));
    CHECK(eid_instance_sync(instance, &sync));

    /* Accounts, with and without password. */
    CHECK(eid_instance_create_user(instance, "alice", "correct horse"));
    CHECK(eid_instance_login_user(instance, "alice", "correct horse", &alice));
    CHECK(eid_instance_login_or_create_user(instance, "bob", NULL, &bob));

    /* Keys: new databases are signed by the default one. */
    CHECK(eid_user_add_private_key(alice, "Work", &work));
    CHECK(eid_user_set_default_key(alice, &work));
    show_keys(alice);
    CHECK(eid_user_create_database(alice, "notes", &notes));
    CHECK(eid_user_create_database(alice, "letters", &letters));

    /* What alice wishes for one of her databases. */
    mine.database_id = *eid_database_root_id(notes);
    mine.sync_settings.sync_enabled = true;
    mine.sync_settings.interval_seconds = 60;
    CHECK(eid_sync_settings_set_property(&mine.sync_settings, "color", "red"));
    CHECK(eid_user_set_prefs(alice, &mine));
    show_wishes(sync, &mine.database_id);

    /* Bob tracks it too, under the best identity his key has in it, and wishes something else. */
    let_in(notes, bob);
    mine.sync_settings.interval_seconds = 0;
    mine.sync_settings.sync_on_commit = true;
    CHECK(eid_user_add_database(bob, &mine));
    CHECK(eid_user_open_database(bob, &mine.database_id, &opened));
    show_wishes(sync, &mine.database_id);
    eid_database_close(opened);

    /* Each has a list of their own. */
    CHECK(eid_user_list_database_prefs(alice, &list, &count));
    for (size_t i = 0; i < count; i++)
        printf("alice tracks %s%s\n", i == 0 ? "notes" : "letters", list[i].sync_settings.sync_enabled ? ", synced" : "");
    eid_database_preferences_free(list, count);
    CHECK(eid_user_remove_database(alice, &mine.database_id));
    CHECK(eid_user_disable_sync(bob, &mine.database_id));
    show_wishes(sync, &mine.database_id);

    /* Another password: every key is encrypted anew. Then bob leaves. */
    CHECK(eid_user_change_password(alice, "correct horse", "battery staple"));
    eid_user_logout(alice);
    if (eid_instance_login_user(instance, "alice", "correct horse", &alice) != EID_OK)
        printf("%s\n", eid_last_error());
    eid_user_logout(bob);
    CHECK(eid_instance_remove_user(instance, "bob"));

    eid_database_preferences_clear(&mine);
    eid_database_close(notes);
    eid_database_close(letters);
    eid_instance_close(instance);
    return 0;
}
