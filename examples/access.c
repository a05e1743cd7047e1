/* SPDX-License-Identifier: Apache-2.0 */
/* Access rules: an admin grants and revokes, and lets the members of another database in. */
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

static const eid_permission write_10 = {EID_PERM_WRITE, 10}, admin_5 = {EID_PERM_ADMIN, 5};

static eid_txn *begin(eid_database *database)
{
    eid_txn *txn;

    CHECK(eid_database_new_transaction(database, &txn));
    return txn;
}

static eid_pubkey key_of(eid_user *user)
{
    eid_pubkey key;

    eid_user_get_default_key(user, &key);
    return key;
}

/* The database as this user may open it: listed there, or member of a database it delegates to. NULL: not at all. */
static eid_database *open_as(eid_user *user, const eid_id *id)
{
    eid_database_preferences wish = EID_DATABASE_PREFERENCES_INIT;
    eid_database *database;

    wish.database_id = *id;
    if (eid_user_add_database(user, &wish) != EID_OK)
        return NULL; /* no key of the user's may do anything there */
    CHECK(eid_user_open_database(user, id, &database));
    return database;
}

static void try_to_write(eid_user *user, eid_database *database, const char *text)
{
    char right[EID_PERMISSION_TEXT_SIZE] = "nothing";
    eid_permission permission;
    eid_txn *txn = begin(database);

    if (eid_database_current_permission(database, &permission) == EID_OK)
        eid_permission_format(permission, right);
    CHECK(eid_docstore_set_text(txn, "plan", eid_user_name(user), text));
    eid_status status = eid_txn_commit_free(txn, NULL);
    printf("%s has %s: %s\n", eid_user_name(user), right, status == EID_OK ? "written" : eid_status_name(status));
}

static void show_ways(eid_database *database, eid_user *user)
{
    char right[EID_PERMISSION_TEXT_SIZE];
    eid_pubkey key = key_of(user);
    eid_sigkey_info *ways;
    size_t count;

    CHECK(eid_database_find_sigkeys(database, &key, &ways, &count));
    for (size_t i = 0; i < count; i++) {
        eid_permission_format(ways[i].permission, right);
        printf("%s may act with %s, %zu databases away\n", eid_user_name(user), right, ways[i].steps);
    }
    eid_free(ways);
}

int main(void)
{
    eid_instance *instance;
    eid_user *alice, *bob, *carol;
    eid_database *project, *team;
    eid_txn *txn;

    CHECK(eid_instance_open_url("memory:", &instance));
    CHECK(eid_instance_login_or_create_user(instance, "alice", NULL, &alice));
    CHECK(eid_instance_login_or_create_user(instance, "bob", NULL, &bob));
    CHECK(eid_instance_login_or_create_user(instance, "carol", NULL, &carol));
    CHECK(eid_user_create_database(alice, "project", &project));
    CHECK(eid_user_create_database(alice, "team", &team));
    eid_id project_id = *eid_database_root_id(project), team_id = *eid_database_root_id(team);
    eid_pubkey bobs = key_of(bob), carols = key_of(carol);

    /* One key, listed in the database. Whoever has Admin changes records that are not stronger than his own. */
    txn = begin(project);
    CHECK(eid_settings_add_auth_key(txn, &bobs, "bob", write_10));
    CHECK(eid_txn_commit_free(txn, NULL));
    eid_database *as_bob = open_as(bob, &project_id);
    try_to_write(bob, as_bob, "foundations");

    txn = begin(project);
    CHECK(eid_settings_revoke_auth_key(txn, &bobs));
    CHECK(eid_txn_commit_free(txn, NULL));
    try_to_write(bob, as_bob, "roof");

    /* Everybody who is listed in another database, whoever that is from time to time; at most with write:10. */
    txn = begin(project);
    CHECK(eid_settings_add_delegation(txn, &team_id, NULL, 0, write_10, NULL));
    CHECK(eid_txn_commit_free(txn, NULL));
    printf("carol %s\n", open_as(carol, &project_id) == NULL ? "is no member" : "is a member");
    txn = begin(team);
    CHECK(eid_settings_add_auth_key(txn, &carols, "carol", admin_5));
    CHECK(eid_txn_commit_free(txn, NULL));
    eid_database *as_carol = open_as(carol, &project_id);
    show_ways(project, carol);
    try_to_write(carol, as_carol, "windows");

    /* Who leaves the team leaves the project. Raising the floor shuts out claims to have been there before. */
    txn = begin(team);
    CHECK(eid_settings_revoke_auth_key(txn, &carols));
    CHECK(eid_txn_commit_free(txn, NULL));
    txn = begin(project);
    CHECK(eid_settings_raise_delegation(txn, &team_id, NULL, 0));
    CHECK(eid_txn_commit_free(txn, NULL));
    try_to_write(carol, as_carol, "doors");

    eid_database_close(as_carol);
    eid_database_close(as_bob);
    eid_database_close(team);
    eid_database_close(project);
    eid_user_logout(carol);
    eid_user_logout(bob);
    eid_user_logout(alice);
    eid_instance_close(instance);
    return 0;
}
