/* SPDX-License-Identifier: Apache-2.0 */
/* Two instances in one process: alice makes a database and serves it over HTTP, bob joins, writes, and syncs
 * back. */
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

struct peer {
    const char *name;
    eid_instance *instance;
    eid_user *user;
    eid_sync *sync;
    eid_database *notes;
};

static void start(struct peer *peer, const char *name)
{
    peer->name = name;
    CHECK(eid_instance_open_url("memory:", &peer->instance));
    CHECK(eid_instance_login_or_create_user(peer->instance, name, NULL, &peer->user));
    CHECK(eid_instance_enable_sync(peer->instance));
    CHECK(eid_instance_sync(peer->instance, &peer->sync));
    CHECK(eid_sync_enable_http_transport(peer->sync));
}

static void stop(struct peer *peer)
{
    eid_database_close(peer->notes);
    eid_user_logout(peer->user);
    eid_instance_close(peer->instance);
}

static void write_note(struct peer *peer, const char *text)
{
    eid_txn *txn;
    CHECK(eid_database_new_transaction(peer->notes, &txn));
    CHECK(eid_docstore_set_text(txn, "pages", peer->name, text));
    CHECK(eid_txn_commit_free(txn, NULL));
}

static void show(struct peer *peer)
{
    eid_doc *pages;
    char *json;
    size_t len;
    CHECK(eid_database_store_state(peer->notes, "pages", &pages));
    CHECK(eid_doc_to_plain_json(pages, &json, &len));
    printf("%s sees %.*s\n", peer->name, (int)len, json);
    eid_free(json);
    eid_doc_free(pages);
}

int main(void)
{
    const eid_permission writer = {EID_PERM_WRITE, 10};
    struct peer alice, bob;
    eid_ticket *ticket;
    eid_txn *txn;
    char *text;

    start(&alice, "alice");
    CHECK(eid_user_create_database(alice.user, "notes", &alice.notes));
    CHECK(eid_database_new_transaction(alice.notes, &txn));
    CHECK(eid_settings_set_global_permission(txn, writer)); /* everybody may write */
    CHECK(eid_txn_commit_free(txn, NULL));
    write_note(&alice, "hello from alice");
    CHECK(eid_sync_start_server(alice.sync, "127.0.0.1:0"));
    CHECK(eid_user_share(alice.user, eid_database_root_id(alice.notes), &ticket));
    CHECK(eid_ticket_format(ticket, &text));
    printf("ticket: %s\n", text);

    start(&bob, "bob");
    CHECK(eid_user_request_database_access(bob.user, ticket, writer, NULL));
    CHECK(eid_user_open_database(bob.user, eid_ticket_database_id(ticket), &bob.notes));
    show(&bob);
    write_note(&bob, "hello from bob");
    CHECK(eid_user_sync_with_ticket(bob.user, ticket, NULL));
    show(&alice);

    eid_free(text);
    eid_ticket_free(ticket);
    CHECK(eid_sync_stop_server(alice.sync));
    stop(&bob);
    stop(&alice);
    return 0;
}
