/* SPDX-License-Identifier: Apache-2.0 */
/* Lists in a store: two writers change one list without knowing of each other, and both changes are there. */
#include <eidetica/eidetica.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(call)                                                                                          \
    do {                                                                                                     \
        if ((call) != EID_OK) {                                                                              \
            fprintf(stderr, "%s: %s\n", #call, eid_last_error());                                            \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

static void show(eid_database *database, const char *what)
{
    char *json;

    CHECK(eid_database_get_json(database, "shopping", "list", &json, NULL));
    printf("%s: %s\n", what, json);
    eid_free(json);
}

static eid_value *text(const char *word)
{
    eid_value *value;

    CHECK(eid_value_new_text(word, strlen(word), &value));
    return value;
}

int main(void)
{
    eid_instance *instance;
    eid_user *user;
    eid_database *database;
    eid_txn *first, *second;
    eid_list *list;
    eid_list_position bread;
    eid_value *butter = text("butter"), *salt = text("salt"), *jam = text("jam");

    CHECK(eid_instance_open_url("memory:", &instance));
    CHECK(eid_instance_login_or_create_user(instance, "ada", NULL, &user));
    CHECK(eid_user_create_database(user, "home", &database));

    CHECK(eid_database_new_transaction(database, &first));
    CHECK(eid_docstore_set_json(first, "shopping", "list", "[\"milk\", \"bread\", \"eggs\"]"));
    CHECK(eid_txn_commit_free(first, NULL));
    show(database, "at first");

    /* Two transactions that begin at one moment are like two people without a connection. */
    CHECK(eid_database_new_transaction(database, &first));
    CHECK(eid_database_new_transaction(database, &second));
    CHECK(eid_docstore_insert(first, "shopping", "list", 2, butter)); /* between bread and eggs */
    CHECK(eid_docstore_delete(second, "shopping", "list.0", NULL));   /* milk */
    CHECK(eid_docstore_push(second, "shopping", "list", salt));
    CHECK(eid_txn_commit_free(first, NULL));
    CHECK(eid_txn_commit_free(second, NULL));
    show(database, "both");

    /* An index means another element when others insert; a position does not. */
    CHECK(eid_database_get_list(database, "shopping", "list", &list));
    CHECK(eid_list_position_at(list, 0, &bread));
    eid_list_free(list);
    CHECK(eid_database_new_transaction(database, &first));
    CHECK(eid_docstore_insert(first, "shopping", "list", 0, salt));
    CHECK(eid_docstore_insert_after(first, "shopping", "list", &bread, jam, NULL));
    CHECK(eid_txn_commit_free(first, NULL));
    show(database, "after bread");

    eid_value_free(butter);
    eid_value_free(salt);
    eid_value_free(jam);
    eid_database_close(database);
    eid_user_logout(user);
    eid_instance_close(instance);
    return 0;
}
