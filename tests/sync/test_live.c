/* SPDX-License-Identifier: Apache-2.0 */
/* The engine on real threads and sockets: how fast, and who can hold it up. */
#include "node.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define WAIT_MS 20000

static void pause_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

/* Two nodes that serve, share one database on every commit and know each other. */
typedef struct pair {
    node alice, bob;
    eid_database *notes, *copy;
    eid_id id;
} pair;

static void set_on_commit(node *n, const eid_id *id)
{
    eid_database_preferences prefs = EID_DATABASE_PREFERENCES_INIT;
    prefs.database_id = *id;
    prefs.sync_settings.sync_enabled = true;
    prefs.sync_settings.sync_on_commit = true;
    tu_assert_ok(eid_user_set_prefs(n->user, &prefs));
}

static void join(const node *alice, node *bob, const eid_id *id, eid_database **copy)
{
    eid_ticket *ticket = node_ticket(alice, id);
    tu_assert_ok(eid_sync_with_ticket(bob->sync, ticket, NULL));
    eid_ticket_free(ticket);
    set_on_commit(bob, id);
    tu_assert_ok(eid_user_open_database(bob->user, id, copy));
}

static pair *pair_open(void)
{
    pair *p = calloc(1, sizeof *p);
    node_open(&p->alice, "alice");
    node_open(&p->bob, "bob");
    node_serve(&p->alice);
    node_serve(&p->bob);
    p->notes = node_create(&p->alice, "notes", false);
    p->id = *eid_database_root_id(p->notes);
    node_set_global(p->notes, node_write_10);
    set_on_commit(&p->alice, &p->id);
    join(&p->alice, &p->bob, &p->id, &p->copy);
    return p;
}

static void pair_close(pair *p)
{
    eid_database_close(p->copy);
    eid_database_close(p->notes);
    node_close(&p->bob);
    node_close(&p->alice);
    free(p);
}

static bool reads(eid_database *database, const char *key, const char *text)
{
    for (int i = 0; i < WAIT_MS; i++) {
        const char *found = node_read(database, key);
        if (found != NULL && strcmp(found, text) == 0)
            return true;
        pause_ms(1);
    }
    return false;
}

/* Features 4, 38, 43, 139 */
static void both_ways_by_themselves(void **state)
{
    (void)state;
    pair *p = pair_open();
    node_write(p->notes, "a", "from alice");
    assert_true(reads(p->copy, "a", "from alice"));
    node_write(p->copy, "b", "from bob");
    assert_true(reads(p->notes, "b", "from bob"));
    node_assert_same(&p->alice, &p->bob, &p->id);
    pair_close(p);
}

/* ---- How fast ---- */

static atomic_ullong arrived_ns;

static void on_arrival(eid_database *database, eid_entry *entry, eid_write_source source, void *ctx)
{
    (void)database, (void)entry, (void)source, (void)ctx;
    arrived_ns = eid_monotonic_ns();
}

static int by_size(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* Feature 39 */
static void a_commit_is_seen_within_milliseconds(void **state)
{
    (void)state;
    enum { TIMES = 100 };
    static uint64_t took[TIMES];
    pair *p = pair_open();
    eid_callback *registration;
    char text[16];
    node_write(p->notes, "a", "warm");
    assert_true(reads(p->copy, "a", "warm"));
    tu_assert_ok(eid_database_on_remote_write(p->copy, on_arrival, NULL, &registration));
    for (int i = 0; i < TIMES; i++) {
        arrived_ns = 0;
        snprintf(text, sizeof text, "%d", i);
        uint64_t begin = eid_monotonic_ns();
        node_write(p->notes, "a", text);
        for (int k = 0; arrived_ns == 0 && k < WAIT_MS * 10; k++) {
            struct timespec tick = {0, 100000};
            nanosleep(&tick, NULL);
        }
        assert_true(arrived_ns != 0);
        took[i] = arrived_ns - begin;
    }
    eid_callback_remove(registration);
    qsort(took, TIMES, sizeof took[0], by_size);
    print_message("commit seen at the peer: p50 %.2f ms, p99 %.2f ms, most %.2f ms\n", (double)took[TIMES / 2] / 1e6,
                  (double)took[TIMES * 99 / 100] / 1e6, (double)took[TIMES - 1] / 1e6);
    /* `make bench` looks at the goal of 5 ms. Here machines are busy; a queue that is emptied every 5 s, as on the Rust side, would
     * take longer than this. */
    assert_true(took[TIMES / 2] < UINT64_C(2500000000));
    pair_close(p);
}

/* ---- Who holds it up ---- */

#define SILENT 50

/* Sockets that accept and never say a word. */
static int listen_silently(char address[32])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    snprintf(address, 32, "127.0.0.1:%u", (unsigned)ntohs(at.sin_port));
    return fd;
}

/* Features 2, A10 */
static void fifty_silent_peers_and_one_good_one(void **state)
{
    (void)state;
    int sockets[SILENT];
    pair *p = pair_open();
    for (int i = 0; i < SILENT; i++) {
        char text[32];
        eid_keypair *pair_;
        eid_pubkey key;
        eid_address *address;
        const eid_address *list[1];
        sockets[i] = listen_silently(text);
        tu_assert_ok(eid_keypair_generate(&pair_));
        eid_keypair_public(pair_, &key);
        eid_keypair_free(pair_);
        tu_assert_ok(eid_address_http(text, &address));
        list[0] = address;
        tu_assert_ok(eid_sync_register_sync_peer(p->alice.sync, &key, NULL, &p->id, list, 1));
        eid_address_free(address);
    }
    eid_sync_engine_stats stats = {.struct_size = sizeof stats};
    for (int i = 0; i < WAIT_MS && stats.sessions < SILENT; i++) {
        eid_sync_get_engine_stats(p->alice.sync, &stats);
        pause_ms(1);
    }
    assert_true(stats.sessions >= SILENT); /* all of them hang */
    node_write(p->notes, "a", "past the silent ones");
    assert_true(reads(p->copy, "a", "past the silent ones"));
    eid_sync_get_engine_stats(p->alice.sync, &stats);
    assert_true(stats.sessions >= SILENT); /* and still do: nobody waited for their deadline, 20 s */
    uint64_t begin = eid_monotonic_ns();
    pair_close(p); /* closing does not wait for them either */
    assert_true(eid_monotonic_ns() - begin < UINT64_C(15000000000));
    for (int i = 0; i < SILENT; i++)
        close(sockets[i]);
}

/* ---- Calls ---- */

typedef struct heard {
    atomic_int times;
    eid_status status;
    char sentence[300];
    eid_sync_result result;
} heard;

static void on_done(eid_status status, const char *sentence, const eid_sync_result *result, void *ctx)
{
    heard *h = ctx;
    h->status = status;
    snprintf(h->sentence, sizeof h->sentence, "%s", sentence);
    h->result = *result;
    h->times++;
}

/* Features 1, 19 */
static void calls_without_waiting(void **state)
{
    (void)state;
    pair *p = pair_open();
    heard h = {.times = 0};
    eid_sync_call *call;
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    tu_assert_ok(eid_sync_with_peer_async(p->bob.sync, p->alice.address, &p->id, on_done, &h, &call));
    tu_assert_ok(eid_sync_call_wait(call, UINT64_MAX, &result));
    assert_int_equal(h.times, 1);
    assert_int_equal(h.status, EID_OK);
    assert_string_equal(h.sentence, "");
    eid_pubkey alice;
    eid_instance_device_pubkey(p->alice.instance, &alice);
    assert_true(eid_pubkey_equal(&h.result.peer, &alice));
    assert_int_equal(result.databases, 1);
    eid_sync_call_free(call);

    tu_assert_ok(eid_sync_connect_to_peer_async(p->bob.sync, "127.0.0.1:1", on_done, &h, &call));
    tu_assert_fails(eid_sync_call_wait(call, UINT64_MAX, NULL), EID_ERR_CONNECTION_FAILED);
    assert_int_equal(h.times, 2);
    assert_string_equal(h.sentence, "Failed to connect to 127.0.0.1:1: Connection refused");
    eid_sync_call_free(call);
    pair_close(p);
}

static void calls_can_be_broken_off(void **state)
{
    (void)state;
    pair *p = pair_open();
    heard h = {.times = 0};
    eid_sync_call *call;
    char text[32];
    int silent = listen_silently(text);
    uint64_t begin = eid_monotonic_ns();
    tu_assert_ok(eid_sync_connect_to_peer_async(p->bob.sync, text, on_done, &h, &call));
    tu_assert_fails(eid_sync_call_wait(call, 50, NULL), EID_ERR_TIMEOUT);
    assert_int_equal(h.times, 0);
    eid_sync_call_cancel(call);
    tu_assert_fails(eid_sync_call_wait(call, UINT64_MAX, NULL), EID_ERR_CANCELLED);
    eid_sync_call_free(call);

    /* A deadline of the order. */
    eid_address *address;
    eid_sync_order order = EID_SYNC_ORDER_INIT;
    tu_assert_ok(eid_address_http(text, &address));
    const eid_address *list[1] = {address};
    order.addresses = list;
    order.address_count = 1;
    order.handshake_only = true;
    order.timeout_ms = 200;
    tu_assert_fails(eid_sync_order_wait(p->bob.sync, &order, NULL), EID_ERR_TIMEOUT);
    assert_true(eid_monotonic_ns() - begin < UINT64_C(15000000000)); /* not the 20 s a handshake may take */

    /* One that is still under way when the instance closes. */
    order.timeout_ms = 0;
    tu_assert_ok(eid_sync_order_async(p->bob.sync, &order, on_done, &h, &call));
    pair_close(p);
    assert_int_equal(h.times, 2);
    assert_int_equal(h.status, EID_ERR_CANCELLED);
    tu_assert_fails(eid_sync_call_wait(call, 0, NULL), EID_ERR_CANCELLED);
    eid_sync_call_free(call);
    eid_address_free(address);
    close(silent);
}

typedef struct watched {
    int times;
    eid_sync_progress last;
    bool shrank;
} watched;

static void on_progress(const eid_sync_progress *progress, void *ctx)
{
    watched *w = ctx;
    w->shrank |= progress->entries_received < w->last.entries_received;
    w->last = *progress;
    w->times++;
}

static void progress_of_a_long_transfer(void **state)
{
    (void)state;
    pair *p = pair_open();
    node carol;
    watched w = {.times = 0};
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    eid_address *address;
    for (int i = 0; i < 3 * EID_LIMIT_SYNC_SLICE; i++)
        node_write(p->notes, "a", "one of many");
    node_open(&carol, "carol");
    tu_assert_ok(eid_address_http(p->alice.address, &address));
    const eid_address *list[1] = {address};
    eid_sync_order order = EID_SYNC_ORDER_INIT;
    order.addresses = list;
    order.address_count = 1;
    order.database = &p->id;
    order.progress = on_progress;
    order.progress_ctx = &w;
    tu_assert_ok(eid_sync_order_wait(carol.sync, &order, &result));
    assert_true(result.bootstrapped);
    assert_true(w.times >= 2); /* on the way, and at the end */
    assert_false(w.shrank);
    assert_int_equal(w.last.entries_total, node_count(&p->alice, &p->id));
    assert_int_equal(w.last.entries_received, w.last.entries_total);
    assert_true(w.last.bytes_received > 1000000);
    assert_int_equal(w.last.bytes_received, w.last.bytes_total);
    node_assert_same(&p->alice, &carol, &p->id);
    eid_address_free(address);
    node_close(&carol);
    pair_close(p);
}

/* An address that never answers costs a ticket seconds, not minutes. */
static void tickets_go_on_to_the_next_address(void **state)
{
    (void)state;
    pair *p = pair_open();
    eid_ticket *ticket;
    eid_address *address;
    char text[32];
    int silent = listen_silently(text);
    tu_assert_ok(eid_ticket_new(&p->id, &ticket));
    tu_assert_ok(eid_address_http(text, &address));
    tu_assert_ok(eid_ticket_add_address(ticket, address));
    eid_address_free(address);
    tu_assert_ok(eid_address_http(p->alice.address, &address));
    tu_assert_ok(eid_ticket_add_address(ticket, address));
    eid_address_free(address);
    uint64_t begin = eid_monotonic_ns();
    tu_assert_ok(eid_sync_with_ticket(p->bob.sync, ticket, NULL));
    assert_true(eid_monotonic_ns() - begin < UINT64_C(15000000000));
    eid_ticket_free(ticket);
    close(silent);
    pair_close(p);
}

/* ---- Inside callbacks ---- */

typedef struct inside {
    pair *p;
    atomic_int status; /* -1: not called yet */
} inside;

static void sync_inside(eid_database *database, eid_entry *entry, eid_write_source source, void *ctx)
{
    inside *in = ctx;
    (void)database, (void)entry, (void)source;
    in->status = (int)eid_sync_with_peer(in->p->bob.sync, in->p->alice.address, &in->p->id, NULL);
}

/* What a sync brings is stored on a thread of the engine: waiting for it there would never end, so it is refused. */
static void waiting_inside_the_engine_is_refused(void **state)
{
    (void)state;
    pair *p = pair_open();
    inside in = {p, -1};
    eid_callback *registration;
    tu_assert_ok(eid_user_disable_sync(p->alice.user, &p->id)); /* nothing is pushed to bob's server */
    node_write(p->notes, "a", "to be fetched");
    tu_assert_ok(eid_user_enable_sync(p->alice.user, &p->id));
    tu_assert_ok(eid_database_on_remote_write(p->copy, sync_inside, &in, &registration));
    (void)eid_sync_with_peer(p->bob.sync, p->alice.address, &p->id, NULL);
    for (int i = 0; i < WAIT_MS && in.status == -1; i++)
        pause_ms(1);
    /* Pulled by bob's engine, or pushed into bob's server: only the first is a thread of the engine. */
    assert_true(in.status == EID_ERR_CONFLICT || in.status == EID_OK);
    eid_callback_remove(registration);
    pair_close(p);
}

/* Features 15, 29, 108, 141, O2 */
static void servers_without_waiting(void **state)
{
    (void)state;
    node n;
    heard h = {.times = 0};
    eid_sync_call *call;
    char *address, **all;
    node_open(&n, "alice");
    assert_false(eid_sync_is_server_running(n.sync));
    tu_assert_fails(eid_sync_get_server_address(n.sync, &address), EID_ERR_SERVER_NOT_RUNNING);
    tu_assert_ok(eid_sync_start_server_async(n.sync, "127.0.0.1:0", on_done, &h, &call));
    tu_assert_ok(eid_sync_call_wait(call, UINT64_MAX, NULL));
    eid_sync_call_free(call);
    assert_int_equal(h.times, 1);
    assert_true(eid_sync_is_server_running(n.sync));
    tu_assert_ok(eid_sync_start_server_async(n.sync, "127.0.0.1:0", on_done, &h, &call));
    tu_assert_fails(eid_sync_call_wait(call, UINT64_MAX, NULL), EID_ERR_SERVER_ALREADY_RUNNING);
    eid_sync_call_free(call);

    /* Several servers, under names. */
    eid_http_options options = EID_HTTP_OPTIONS_INIT;
    options.bind_address = "127.0.0.1:0";
    tu_assert_ok(eid_sync_add_http_transport(n.sync, "second", &options));
    tu_assert_ok(eid_sync_accept_connections_on(n.sync, "second"));
    tu_assert_fails(eid_sync_accept_connections_on(n.sync, "third"), EID_ERR_NOT_FOUND);
    assert_string_equal(eid_last_error(), "Transport not found: third");
    tu_assert_ok(eid_sync_get_server_address_for(n.sync, "second", &address));
    tu_assert_ok(eid_sync_get_all_server_addresses(n.sync, &all));
    assert_non_null(all[0]);
    assert_non_null(all[1]);
    assert_null(all[2]);
    assert_non_null(strstr(all[1], address));
    eid_free(address);
    eid_free(all);

    /* "All addresses" is none a peer could dial. */
    options.bind_address = "0.0.0.0:0";
    tu_assert_ok(eid_sync_add_http_transport(n.sync, "third", &options));
    tu_assert_ok(eid_sync_accept_connections_on(n.sync, "third"));
    tu_assert_ok(eid_sync_get_server_address_for(n.sync, "third", &address));
    assert_null(strstr(address, "0.0.0.0"));
    eid_free(address);
    options.advertise = "chat.example.com:8080 192.0.2.7:8080";
    tu_assert_ok(eid_sync_add_http_transport(n.sync, "third", &options));
    tu_assert_ok(eid_sync_accept_connections(n.sync)); /* one is enough; the others run already */
    tu_assert_ok(eid_sync_get_server_address_for(n.sync, "third", &address));
    assert_string_equal(address, "chat.example.com:8080");
    eid_free(address);

    tu_assert_ok(eid_sync_stop_server_async(n.sync, on_done, &h, &call));
    tu_assert_ok(eid_sync_call_wait(call, UINT64_MAX, NULL));
    eid_sync_call_free(call);
    assert_false(eid_sync_is_server_running(n.sync));
    node_close(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways_by_themselves),
        cmocka_unit_test(a_commit_is_seen_within_milliseconds),
        cmocka_unit_test(fifty_silent_peers_and_one_good_one),
        cmocka_unit_test(calls_without_waiting),
        cmocka_unit_test(calls_can_be_broken_off),
        cmocka_unit_test(progress_of_a_long_transfer),
        cmocka_unit_test(tickets_go_on_to_the_next_address),
        cmocka_unit_test(waiting_inside_the_engine_is_refused),
        cmocka_unit_test(servers_without_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
