/* SPDX-License-Identifier: Apache-2.0 */
/* A backup of everything, and one database taken along as a file: check, back up, export, import.
 *
 *     example-backup_export DIRECTORY
 */
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

static void join(char *out, size_t size, const char *format, const char *directory)
{
    if (snprintf(out, size, format, directory) >= (int)size)
        exit(1);
}

int main(int argc, char **argv)
{
    const char *directory = argc > 1 ? argv[1] : ".";
    char url[512], copy[512], copy_url[512], car[512];
    eid_instance *instance, *other;
    eid_user *user;
    eid_database *database, *arrived;
    eid_check_report check;
    eid_import_report report;
    eid_txn *txn;
    char *text;

    join(url, sizeof url, "sqlite:%s/notes.db", directory);
    join(copy, sizeof copy, "%s/copy.db", directory);
    join(copy_url, sizeof copy_url, "sqlite:%s/copy.db", directory);
    join(car, sizeof car, "%s/notes.car", directory);

    CHECK(eid_instance_open_url(url, &instance));
    CHECK(eid_instance_login_or_create_user(instance, "ada", NULL, &user));
    CHECK(eid_user_create_database(user, "notes", &database));
    CHECK(eid_database_new_transaction(database, &txn));
    CHECK(eid_docstore_set_text(txn, "pages", "today", "remember this"));
    CHECK(eid_txn_commit_free(txn, NULL));

    CHECK(eid_database_check(database, EID_CHECK_SIGNATURES, &check));
    printf("%d entries, %d problems\n", (int)check.entries, (int)check.problems);
    CHECK(eid_instance_backup(instance, copy, NULL, NULL)); /* while others go on working */
    CHECK(eid_database_export(database, car));
    eid_id id = *eid_database_root_id(database);
    eid_database_close(database);
    eid_user_logout(user);
    eid_instance_close(instance);

    /* The backup is a data file like the first. */
    CHECK(eid_instance_open_url(copy_url, &instance));
    CHECK(eid_database_open(instance, &id, &database));
    CHECK(eid_database_get_text(database, "pages", "today", &text, NULL));
    printf("backup: %s\n", text);
    eid_free(text);
    eid_database_close(database);
    eid_instance_close(instance);

    /* The export goes into any other instance, where every entry is verified. */
    CHECK(eid_instance_open_url("memory:", &other));
    CHECK(eid_instance_import(other, car, &report));
    printf("imported %d of %d entries\n", (int)report.admitted, (int)report.blocks);
    CHECK(eid_database_open(other, &report.database, &arrived));
    CHECK(eid_database_get_text(arrived, "pages", "today", &text, NULL));
    printf("elsewhere: %s\n", text);
    eid_free(text);
    eid_database_close(arrived);
    eid_instance_close(other);
    return 0;
}
