/* SPDX-License-Identifier: Apache-2.0 */
/* A DocStore: values at paths, editors, JSON, and the ways to put a document where one stands. */
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

static void show(eid_txn *txn, const char *what)
{
    char *json;

    CHECK(eid_docstore_get_json(txn, "people", "ada", &json, NULL));
    printf("%s: %s\n", what, json);
    eid_free(json);
}

static bool print_key(const char *key, size_t len, const eid_value *value, void *ctx)
{
    (void)len;
    (void)ctx;
    printf("  %s is of kind %s\n", key, eid_value_kind_name(eid_value_get_kind(value)));
    return true;
}

int main(void)
{
    eid_instance *instance;
    eid_user *user;
    eid_database *database;
    eid_txn *txn;
    eid_editor *address;
    eid_doc *ada;
    eid_value *value;
    int64_t age;

    CHECK(eid_instance_open_url("memory:", &instance));
    CHECK(eid_instance_login_or_create_user(instance, "ada", NULL, &user));
    CHECK(eid_user_create_database(user, "people", &database));

    /* Paths make the documents on the way. An editor shortens them. */
    CHECK(eid_database_new_transaction(database, &txn));
    CHECK(eid_docstore_set_text(txn, "people", "ada.name", "Ada"));
    CHECK(eid_docstore_set_json(txn, "people", "ada.languages", "[\"English\", \"French\"]"));
    CHECK(eid_docstore_edit(txn, "people", "ada.address", &address));
    CHECK(eid_editor_set_text(address, "street", "St James's Square 12"));
    CHECK(eid_editor_set_text(address, "city", "London"));
    eid_editor_close(address);
    show(txn, "set");
    CHECK(eid_txn_commit_free(txn, NULL));

    /* Read, change, update: only what differs is written, so nobody's concurrent change is undone. */
    CHECK(eid_database_new_transaction(database, &txn));
    CHECK(eid_docstore_get_doc(txn, "people", "ada", &ada));
    CHECK(eid_doc_set_int(ada, "born", 1815));
    CHECK(eid_doc_remove(ada, "address.street"));
    CHECK(eid_value_new_doc(ada, &value));
    CHECK(eid_docstore_update(txn, "people", "ada", value));
    show(txn, "updated");
    eid_value_free(value);
    eid_doc_free(ada);
    CHECK(eid_docstore_scan(txn, "people", "ada", NULL, print_key, NULL));

    /* Take all of this: nothing else stays. */
    CHECK(eid_value_from_plain_json("{\"name\":\"Countess of Lovelace\"}", 31, &value));
    CHECK(eid_docstore_replace(txn, "people", "ada", value));
    show(txn, "replaced");
    eid_value_free(value);

    /* Mistakes are named. */
    if (eid_docstore_get_int(txn, "people", "ada.name", &age) != EID_OK)
        printf("refused: %s\n", eid_last_error());
    CHECK(eid_txn_commit_free(txn, NULL));

    eid_database_close(database);
    eid_user_logout(user);
    eid_instance_close(instance);
    return 0;
}
