/* SPDX-License-Identifier: Apache-2.0 */
/* Several peers at once against one server, which writes, shares and lists meanwhile. Made for
 * ThreadSanitizer, but what it asserts holds anywhere: at the end all hold the same. */
#include "node.h"
#include "support/track.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#define PEERS  4
#define ROUNDS 6

typedef struct peer {
    node n;
    node *server;
    eid_id id;
    int number;
    eid_status failure;
    char sentence[300];
    pthread_t thread;
} peer;

static bool ok(peer *p, eid_status status)
{
    if (status == EID_OK)
        return true;
    p->failure = status;
    snprintf(p->sentence, sizeof p->sentence, "%s", eid_last_error());
    return false;
}

static eid_ticket *ticket_to(const peer *p)
{
    eid_ticket *ticket;
    eid_address *address;
    if (eid_address_http(p->server->address, &address) != EID_OK)
        return NULL;
    if (eid_ticket_new(&p->id, &ticket) != EID_OK) {
        eid_address_free(address);
        return NULL;
    }
    (void)eid_ticket_add_address(ticket, address);
    eid_address_free(address);
    return ticket;
}

static bool write_one(peer *p, eid_database *database, int round)
{
    char key[32];
    eid_txn *txn;
    snprintf(key, sizeof key, "peer%d round%d", p->number, round);
    return ok(p, eid_database_new_transaction(database, &txn)) &&
           ok(p, eid_docstore_set_int(txn, "notes", key, round)) && ok(p, eid_txn_commit_free(txn, NULL));
}

/* Joins, then writes and syncs in turn. */
static void *live(void *ctx)
{
    peer *p = ctx;
    eid_ticket *ticket = ticket_to(p);
    eid_database *database = NULL;
    bool going = ok(p, eid_user_request_database_access(p->n.user, ticket, node_write_10, NULL)) &&
                 ok(p, eid_user_open_database(p->n.user, &p->id, &database));
    for (int round = 0; round < ROUNDS && going; round++)
        going = write_one(p, database, round) && ok(p, eid_user_sync_with_ticket(p->n.user, ticket, NULL));
    eid_database_close(database);
    eid_ticket_free(ticket);
    return NULL;
}

/* What the server does at the same time. */
static void *serve_and_live(void *ctx)
{
    peer *p = ctx;
    bool going = true;
    for (int round = 0; round < ROUNDS && going; round++) {
        eid_peer_info *peers;
        eid_bootstrap_request *requests;
        eid_sync_settings settings = EID_SYNC_SETTINGS_ON_COMMIT;
        size_t count;
        eid_database *database = NULL;
        going = ok(p, eid_user_open_database(p->server->user, &p->id, &database)) &&
                write_one(p, database, round) &&
                ok(p, tu_track(p->server->user, &p->id, &settings)) &&
                ok(p, eid_sync_list_peers(p->server->sync, &peers, &count));
        eid_database_close(database);
        if (!going)
            break;
        eid_peer_infos_free(peers, count);
        going = ok(p, eid_sync_list_bootstrap_requests(p->server->sync, NULL, &requests, &count));
        if (going)
            eid_bootstrap_requests_free(requests, count);
    }
    return NULL;
}

static void all_end_alike(void **state)
{
    (void)state;
    node server;
    peer peers[PEERS], own = {.server = &server, .number = PEERS};

    node_open(&server, "server");
    node_serve(&server);
    eid_database *notes = node_create(&server, "notes", true);
    node_set_global(notes, node_write_10);
    for (int i = 0; i < 50; i++)
        node_write(notes, "history", "x");
    own.id = *eid_database_root_id(notes);
    for (int i = 0; i < PEERS; i++) {
        peers[i] = (peer){.server = &server, .id = own.id, .number = i};
        node_open(&peers[i].n, "peer");
    }
    assert_int_equal(pthread_create(&own.thread, NULL, serve_and_live, &own), 0);
    for (int i = 0; i < PEERS; i++)
        assert_int_equal(pthread_create(&peers[i].thread, NULL, live, &peers[i]), 0);
    for (int i = 0; i < PEERS; i++)
        pthread_join(peers[i].thread, NULL);
    pthread_join(own.thread, NULL);
    assert_string_equal(own.sentence, "");
    for (int i = 0; i < PEERS; i++) {
        eid_ticket *ticket = ticket_to(&peers[i]);
        assert_string_equal(peers[i].sentence, "");
        tu_assert_ok(eid_user_sync_with_ticket(peers[i].n.user, ticket, NULL));
        eid_ticket_free(ticket);
    }
    /* Root, global permission, history, and a line for each round of each writer. */
    assert_int_equal(node_count(&server, &own.id), 2 + 50 + (PEERS + 1) * ROUNDS);
    for (int i = 0; i < PEERS; i++)
        node_assert_same(&server, &peers[i].n, &own.id);
    eid_database_close(notes);
    for (int i = 0; i < PEERS; i++)
        node_close(&peers[i].n);
    node_close(&server);
}

/* One client instance used by many threads at once. */
typedef struct caller {
    node *client;
    const char *address;
    const eid_id *id;
    int failures;
} caller;

static void *call_often(void *ctx)
{
    caller *c = ctx;
    for (int i = 0; i < 10; i++)
        c->failures += eid_sync_with_peer(c->client->sync, c->address, c->id, NULL) != EID_OK;
    return NULL;
}

/* Features 3, 138 */
static void one_client_many_threads(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    node server, client;
    caller callers[THREADS];
    pthread_t threads[THREADS];

    node_open(&server, "server");
    node_open(&client, "client");
    node_serve(&server);
    eid_database *notes = node_create(&server, "notes", true);
    node_set_global(notes, node_read_only);
    node_write(notes, "a", "1");
    for (int i = 0; i < THREADS; i++) {
        callers[i] = (caller){&client, server.address, eid_database_root_id(notes), 0};
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    for (int i = 0; i < 5; i++)
        node_write(notes, "a", "2");
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(callers[i].failures, 0);
    }
    tu_assert_ok(eid_sync_with_peer(client.sync, server.address, eid_database_root_id(notes), NULL));
    node_assert_same(&server, &client, eid_database_root_id(notes));
    eid_database_close(notes);
    node_close(&client);
    node_close(&server);
}

/* Starting and stopping the server while peers ask: every call ends, with success or with a network error. */
static void *ask_whatever_comes(void *ctx)
{
    caller *c = ctx;
    for (int i = 0; i < 30; i++) {
        eid_pubkey key;
        eid_status status = eid_sync_connect_to_peer(c->client->sync, c->address, &key);
        c->failures += status != EID_OK && status != EID_ERR_CONNECTION_FAILED && status != EID_ERR_NETWORK &&
                       status != EID_ERR_TIMEOUT;
    }
    return NULL;
}

static void restarts_under_load(void **state)
{
    (void)state;
    node server, client;
    pthread_t thread;
    node_open(&server, "server");
    node_open(&client, "client");
    node_serve(&server);
    caller c = {&client, server.address, NULL, 0};
    assert_int_equal(pthread_create(&thread, NULL, ask_whatever_comes, &c), 0);
    for (int i = 0; i < 10; i++) {
        tu_assert_ok(eid_sync_stop_server(server.sync));
        /* For a moment the port is anybody's. */
        eid_status status = EID_ERR_SERVER_BIND;
        for (int tries = 0; tries < 1000 && status == EID_ERR_SERVER_BIND; tries++) {
            status = eid_sync_start_server(server.sync, server.address);
            if (status != EID_OK)
                nanosleep(&(struct timespec){0, 10000000}, NULL);
        }
        tu_assert_ok(status);
    }
    pthread_join(thread, NULL);
    assert_int_equal(c.failures, 0);
    node_close(&client);
    node_close(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_end_alike),
        cmocka_unit_test(one_client_many_threads),
        cmocka_unit_test(restarts_under_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
