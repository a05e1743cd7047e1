/* SPDX-License-Identifier: Apache-2.0 */
/* History: the entries in order, a store as it was, what changed between two moments, and who wrote a key. */
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

static eid_id write_title(eid_database *database, const char *title, int64_t pages)
{
    eid_txn *txn;
    eid_id entry;

    CHECK(eid_database_new_transaction(database, &txn));
    CHECK(eid_docstore_set_text(txn, "book", "title", title));
    if (pages > 0)
        CHECK(eid_docstore_set_int(txn, "book", "pages", pages));
    CHECK(eid_txn_commit_free(txn, &entry));
    return entry;
}

static void print_value(const char *before, const eid_value *value)
{
    char *json;

    if (value == NULL) {
        printf("%snothing", before);
        return;
    }
    CHECK(eid_value_to_plain_json(value, &json, NULL));
    printf("%s%s", before, json);
    eid_free(json);
}

static bool print_change(const eid_key_change *change, void *ctx)
{
    (void)ctx;
    printf("  %s", change->key);
    print_value(": ", change->before);
    print_value(" -> ", change->after);
    printf("\n");
    return true;
}

static bool print_write(const eid_key_write *write, const eid_value *value, void *ctx)
{
    const eid_pubkey *me = ctx;

    printf("  height %d by %s", (int)write->height,
           write->has_signer && eid_pubkey_equal(&write->signer, me) ? "me" : "somebody");
    print_value(": ", value);
    printf("\n");
    return true;
}

int main(void)
{
    eid_instance *instance;
    eid_user *user;
    eid_database *database;
    eid_history *history;
    eid_entry *entry;
    eid_doc *then;
    eid_pubkey me;
    char *json;

    CHECK(eid_instance_open_url("memory:", &instance));
    CHECK(eid_instance_login_or_create_user(instance, "mary", NULL, &user));
    CHECK(eid_user_create_database(user, "library", &database));
    eid_id first = write_title(database, "The Modern Prometheus", 280);
    write_title(database, "Frankenstein", 0);
    eid_id last = write_title(database, "Frankenstein; or, The Modern Prometheus", 0);

    /* Newest first; a cursor would go on from here later. */
    eid_history_options options = EID_HISTORY_OPTIONS_INIT;
    options.store = "book";
    options.order = EID_HISTORY_NEWEST_FIRST;
    CHECK(eid_history_open(database, &options, &history));
    printf("entries:");
    for (;;) {
        CHECK(eid_history_next(history, &entry));
        if (entry == NULL)
            break;
        printf(" %d", (int)eid_entry_height(entry));
        eid_entry_unref(entry);
    }
    printf("\n");
    eid_history_close(history);

    /* An entry's ID is the snapshot just after it was written. */
    CHECK(eid_database_store_state_at(database, "book", &first, 1, &then));
    CHECK(eid_doc_to_plain_json(then, &json, NULL));
    printf("as it was: %s\n", json);
    eid_free(json);
    eid_doc_free(then);

    printf("changed since:\n");
    CHECK(eid_database_diff(database, "book", &first, 1, &last, 1, print_change, NULL));
    printf("titles:\n");
    eid_user_get_default_key(user, &me);
    CHECK(eid_database_each_write(database, "book", "title", print_write, &me));

    eid_database_close(database);
    eid_user_logout(user);
    eid_instance_close(instance);
    return 0;
}
