/* SPDX-License-Identifier: Apache-2.0 */
/* A user, a database, one transaction over two stores, and reading it back. */
#include <eidetica/eidetica.h>
#include <stdio.h>
#include <stdlib.h>

/* Every call that can fail leaves a sentence in eid_last_error(). */
#define CHECK(call)                                                                                          \
    do {                                                                                                     \
        if ((call) != EID_OK) {                                                                              \
            fprintf(stderr, "%s: %s\n", #call, eid_last_error());                                            \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

static bool print_task(const char *key, const char *row, size_t len, void *ctx)
{
    int *count = ctx;
    (void)key; /* a random UUID */
    printf("task %d: %.*s\n", ++*count, (int)len, row);
    return true;
}

int main(void)
{
    eid_instance *instance;
    eid_user *alice;
    eid_database *notes;
    eid_txn *txn;
    eid_value *title;
    eid_id entry;
    char key[EID_ROW_KEY_SIZE], id[EID_ID_TEXT_SIZE];
    const char *text;
    int tasks = 0;

    CHECK(eid_instance_open_url("memory:", &instance)); /* or "sqlite:notes.db" */
    CHECK(eid_instance_login_or_create_user(instance, "alice", NULL, &alice));
    CHECK(eid_user_create_database(alice, "notes", &notes));

    CHECK(eid_database_new_transaction(notes, &txn));
    CHECK(eid_docstore_set_text(txn, "pages", "today.title", "Hello"));
    CHECK(eid_table_insert(txn, "tasks", "{\"text\":\"write it down\"}", key));
    CHECK(eid_txn_commit_free(txn, &entry)); /* one signed entry, all or nothing */
    eid_id_format(&entry, id);
    printf("committed %s\n", id);

    CHECK(eid_database_get(notes, "pages", "today.title", &title));
    CHECK(eid_value_as_text(title, &text, NULL));
    printf("title: %s\n", text);
    CHECK(eid_database_table_scan(notes, "tasks", NULL, print_task, &tasks));

    eid_value_free(title);
    eid_database_close(notes);
    eid_user_logout(alice);
    eid_instance_close(instance);
    return 0;
}
