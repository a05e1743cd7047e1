/* SPDX-License-Identifier: Apache-2.0 */
/* A user with a password, and a store that only another password opens. */
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

int main(void)
{
    eid_instance *instance;
    eid_user *alice, *nobody;
    eid_database *notes;
    eid_password_session *session;
    eid_txn *txn;
    char *pin;

    CHECK(eid_instance_open_url("memory:", &instance)); /* or "sqlite:notes.db" */
    CHECK(eid_instance_create_user(instance, "alice", "correct horse"));
    if (eid_instance_login_user(instance, "alice", "battery staple", &nobody) != EID_OK)
        printf("not in: %s\n", eid_last_error());
    CHECK(eid_instance_login_user(instance, "alice", "correct horse", &alice));
    CHECK(eid_user_create_database(alice, "notes", &notes));

    /* What is set from here on is encrypted before it is signed and stored. */
    CHECK(eid_database_new_transaction(notes, &txn));
    CHECK(eid_password_store_initialize(txn, "pins", "swordfish", EID_WRAPPED_DOCSTORE));
    CHECK(eid_docstore_set_text(txn, "pins", "door", "1234"));
    CHECK(eid_txn_commit_free(txn, NULL));

    /* Each transaction finds the store locked. */
    CHECK(eid_database_new_transaction(notes, &txn));
    if (eid_docstore_get_text(txn, "pins", "door", &pin, NULL) != EID_OK)
        printf("locked: %s\n", eid_last_error());
    eid_txn_free(txn);

    /* A session pays for the password once, and opens it in as many as wanted. */
    CHECK(eid_password_session_open(notes, "pins", "swordfish", &session));
    CHECK(eid_database_new_transaction(notes, &txn));
    CHECK(eid_password_session_unlock(session, txn));
    CHECK(eid_docstore_get_text(txn, "pins", "door", &pin, NULL));
    printf("door: %s\n", pin);
    eid_free(pin);
    eid_txn_free(txn);
    eid_password_session_close(session);

    CHECK(eid_user_change_password(alice, "correct horse", "battery staple"));
    printf("changed\n");

    eid_database_close(notes);
    eid_user_logout(alice);
    eid_instance_close(instance);
    return 0;
}
