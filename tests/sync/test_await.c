/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for access, and attacks on what is asked: replays, floods of requests, claimed addresses. */
#include "net.h"
#include "sync/engine.h"
#include "sync/offers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct heard {
    int times;
    eid_status status;
    char sentence[300];
} heard;

static void on_done(eid_status status, const char *sentence, const eid_sync_result *result, void *ctx)
{
    heard *h = ctx;
    (void)result;
    h->times++;
    h->status = status;
    snprintf(h->sentence, sizeof h->sentence, "%s", sentence);
}

/* Node 0 shares a database that only it may read; node 1 waits for access. */
typedef struct scene {
    net *n;
    eid_database *notes;
    heard h;
    eid_sync_call *call;
} scene;

static eid_ticket *ticket_to_0(const net *n)
{
    eid_ticket *ticket;
    eid_address *address;
    tu_assert_ok(eid_ticket_new(&n->id, &ticket));
    tu_assert_ok(eid_address_new("direct", "0", &address));
    tu_assert_ok(eid_ticket_add_address(ticket, address));
    eid_address_free(address);
    return ticket;
}

static scene *begin(void)
{
    scene *s = calloc(1, sizeof *s);
    eid_sync_settings settings = EID_SYNC_SETTINGS_ON_COMMIT;
    s->n = net_open(2);
    s->notes = node_create(&s->n->nodes[0], "notes", true);
    s->n->id = *eid_database_root_id(s->notes);
    node_write(s->notes, "a", "for members");
    eid_ticket *ticket = ticket_to_0(s->n);
    tu_assert_ok(eid_user_await_database_access(s->n->nodes[1].user, ticket, node_write_10, &settings, on_done, &s->h,
                                                &s->call));
    eid_ticket_free(ticket);
    net_settle(s->n);
    assert_int_equal(s->h.times, 0);
    return s;
}

static void finish(scene *s)
{
    eid_sync_call_free(s->call);
    eid_database_close(s->notes);
    net_close(s->n);
    free(s);
}

static size_t pending(scene *s, char id[37])
{
    eid_bootstrap_request *requests;
    size_t count;
    tu_assert_ok(eid_sync_list_bootstrap_requests(s->n->nodes[0].sync, "Pending", &requests, &count));
    if (count != 0 && id != NULL)
        strcpy(id, requests[0].id);
    eid_bootstrap_requests_free(requests, count);
    return count;
}

static void assert_joined(scene *s)
{
    assert_int_equal(s->h.times, 1);
    if (s->h.status != EID_OK)
        fail_msg("%s", s->h.sentence);
    tu_assert_ok(eid_sync_call_wait(s->call, 0, NULL));
    eid_database *copy;
    tu_assert_ok(eid_user_open_database(s->n->nodes[1].user, &s->n->id, &copy));
    assert_string_equal(node_read(copy, "a"), "for members");
    assert_true(eid_user_is_sync_enabled(s->n->nodes[1].user, &s->n->id));
    /* It can work at once, and the engine carries it. */
    eid_database_close(copy);
}

/* Feature 101 */
static void the_waiting_peer_learns_of_it_by_asking(void **state)
{
    (void)state;
    scene *s = begin();
    char id[37];
    eid_database *early;
    assert_int_equal(pending(s, id), 1);
    tu_assert_fails(eid_user_open_database(s->n->nodes[1].user, &s->n->id, &early), EID_ERR_DATABASE_ACCESS_PENDING);
    net_pass(s->n, 300000);
    assert_int_equal(pending(s, NULL), 1); /* asking again files nothing */
    assert_int_equal(s->h.times, 0);
    tu_assert_ok(eid_user_approve_bootstrap_request(s->n->nodes[0].user, id));
    net_pass(s->n, 65000);
    assert_joined(s);
    finish(s);
}

static void the_approver_tells_a_peer_it_can_reach(void **state)
{
    (void)state;
    scene *s = begin();
    char id[37];
    eid_address *address;
    tu_assert_ok(eid_address_new("direct", "1", &address));
    tu_assert_ok(eid_sync_add_peer_address(s->n->nodes[0].sync, &s->n->keys[1], address));
    eid_address_free(address);
    net_pass(s->n, 200000);
    assert_int_equal(pending(s, id), 1);
    tu_assert_ok(eid_user_approve_bootstrap_request(s->n->nodes[0].user, id));
    net_settle(s->n); /* no time passes */
    assert_joined(s);
    finish(s);
}

static void waiting_can_be_ended(void **state)
{
    (void)state;
    scene *s = begin();
    net_pass(s->n, 1000);
    eid_sync_call_cancel(s->call);
    net_settle(s->n);
    assert_int_equal(s->h.times, 1);
    assert_int_equal(s->h.status, EID_ERR_CANCELLED);
    size_t before = manual_exchanges(s->n->hosts[1]);
    net_pass(s->n, 50000);
    assert_int_equal(manual_exchanges(s->n->hosts[1]), before); /* nobody asks any more */
    finish(s);
}

static void closing_ends_the_waiting(void **state)
{
    (void)state;
    scene *s = begin();
    eid_database_close(s->notes);
    net_close(s->n);
    assert_int_equal(s->h.times, 1);
    assert_int_equal(s->h.status, EID_ERR_CANCELLED);
    eid_sync_call_free(s->call);
    free(s);
}

static void a_peer_that_is_away_is_waited_for(void **state)
{
    (void)state;
    scene *s = begin();
    char id[37];
    assert_int_equal(pending(s, id), 1);
    manual_remove(s->n->hosts[1], "0");
    net_pass(s->n, 500000);
    assert_int_equal(s->h.times, 0);
    tu_assert_ok(eid_user_approve_bootstrap_request(s->n->nodes[0].user, id));
    manual_add(s->n->hosts[1], "0", &s->n->nodes[0]);
    net_pass(s->n, 65000);
    assert_joined(s);
    finish(s);
}

/* Features 101, N2 */
static void decisions_are_made_once(void **state)
{
    (void)state;
    scene *s = begin();
    char id[37], wanted[200];
    eid_bootstrap_request *request;
    eid_keypair *nobody;
    uint64_t before = node_count(&s->n->nodes[0], &s->n->id);
    assert_int_equal(pending(s, id), 1);
    tu_assert_ok(eid_keypair_generate(&nobody));
    tu_assert_fails(eid_sync_approve_bootstrap_request_with_key(s->n->nodes[0].sync, id, nobody), EID_ERR_PERMISSION_DENIED);
    eid_keypair_free(nobody);
    tu_assert_ok(eid_user_approve_bootstrap_request(s->n->nodes[0].user, id));
    tu_assert_fails(eid_user_approve_bootstrap_request(s->n->nodes[0].user, id), EID_ERR_REQUEST_STATE);
    snprintf(wanted, sizeof wanted, "Invalid request state for '%s': expected Pending, found Approved", id);
    assert_string_equal(eid_last_error(), wanted);
    tu_assert_fails(eid_user_reject_bootstrap_request(s->n->nodes[0].user, id), EID_ERR_REQUEST_STATE);
    assert_int_equal(node_count(&s->n->nodes[0], &s->n->id), before + 1);
    tu_assert_ok(eid_sync_get_bootstrap_request(s->n->nodes[0].sync, id, &request));
    assert_string_equal(request->status, "Approved");
    eid_bootstrap_requests_free(request, 1);
    tu_assert_fails(eid_sync_get_bootstrap_request(s->n->nodes[0].sync, "no such", &request), EID_ERR_REQUEST_NOT_FOUND);
    net_pass(s->n, 65000);
    assert_joined(s);
    finish(s);
}

/* ---- Replays ---- */

typedef struct tape {
    char *body;
    size_t len;
} tape;

/* Keeps the last SyncTree request. */
static eid_status record(const char *address, eid_slice body, eid_buf *answer, void *ctx)
{
    tape *t = ctx;
    (void)address, (void)answer;
    if (memmem(body.data, body.len, "SyncTree", 8) != NULL) {
        free(t->body);
        t->body = malloc(body.len + 1);
        memcpy(t->body, body.data, body.len);
        t->len = body.len;
    }
    return EID_OK;
}

static const char *replay(net *n, const tape *t)
{
    static char text[4000];
    eid_buf answer;
    eid_buf_init(&answer, 1 << 20);
    assert_int_equal(node_ask(&n->nodes[0], t->body, t->len, &answer), EID_HANDLED);
    snprintf(text, sizeof text, "%.*s", (int)answer.len, (const char *)answer.data);
    eid_buf_free(&answer);
    return text;
}

/* Feature A7 */
static void replays_fail_also_after_a_restart(void **state)
{
    (void)state;
    net *n = net_open(2);
    char *dir = tu_temp_dir();
    tape t = {NULL, 0};
    net_put_in_file(n, 0, dir);
    n->handles[0] = node_create(&n->nodes[0], "closed", true);
    n->id = *eid_database_root_id(n->handles[0]);
    node_list_key(n->handles[0], &n->nodes[1], node_write_10);
    manual_set_twist(n->hosts[1], record, &t);
    eid_ticket *ticket = ticket_to_0(n);
    tu_assert_ok(eid_user_request_database_access(n->nodes[1].user, ticket, node_write_10, NULL));
    tu_assert_ok(eid_user_sync_with_ticket(n->nodes[1].user, ticket, NULL));
    assert_non_null(t.body);
    assert_non_null(strstr(replay(n, &t), "nonce already spent"));
    net_restart(n, 0);
    assert_non_null(strstr(replay(n, &t), "nonce already spent"));
    net_restart(n, 0);
    assert_non_null(strstr(replay(n, &t), "nonce already spent"));
    /* The window over, the time itself refuses it; and the rows are used again. */
    n->nodes[0].now_ms += 130000;
    n->nodes[1].now_ms += 130000;
    assert_non_null(strstr(replay(n, &t), "outside the freshness window"));
    for (int i = 0; i < 10; i++) {
        tu_assert_ok(eid_user_sync_with_ticket(n->nodes[1].user, ticket, NULL));
        n->nodes[0].now_ms += 130000;
        n->nodes[1].now_ms += 130000;
    }
    assert_in_range(n->nodes[0].sync->nonces.slots, 1, 4);
    eid_ticket_free(ticket);
    free(t.body);
    net_close(n);
    tu_temp_dir_remove(dir);
}

/* ---- Signatures by stealth ---- */

static eid_response_kind shake_hands(node *n, eid_slice challenge)
{
    char name[] = "mallory";
    eid_sync_request request = {.kind = EID_REQUEST_HANDSHAKE};
    eid_sync_response response;
    eid_buf body, answer;

    eid_keypair *mallory;
    tu_assert_ok(eid_keypair_generate(&mallory));
    eid_keypair_public(mallory, &request.as.handshake.public_key);
    eid_keypair_free(mallory);
    request.as.handshake.device_id = request.as.handshake.public_key;
    request.as.handshake.display_name = name;
    request.as.handshake.challenge = malloc(challenge.len + 1);
    memcpy(request.as.handshake.challenge, challenge.data, challenge.len);
    request.as.handshake.challenge_len = challenge.len;
    eid_buf_init(&body, 1 << 20);
    eid_buf_init(&answer, 1 << 20);
    eid_request_write(&body, &request);
    assert_int_equal(node_ask(n, (const char *)body.data, body.len, &answer), EID_HANDLED);
    tu_assert_ok(eid_response_read(eid_buf_slice(&answer), &response));
    eid_response_kind kind = response.kind;
    eid_response_free(&response);
    free(request.as.handshake.challenge);
    eid_buf_free(&body);
    eid_buf_free(&answer);
    return kind;
}

/* The bytes that are signed in an entry, sent as the challenge: the answer would be the entry's signature by the device key. */
/* Features W21, A1 */
static void a_challenge_that_is_an_entry(void **state)
{
    static const uint8_t zeros[33];
    static const size_t lengths[] = {0, 1, 31, 33};
    node n;
    eid_entry *entry;
    eid_buf bytes;

    (void)state;
    node_open_bare(&n, "alice");
    eid_database *notes = node_create(&n, "notes", true);
    tu_assert_ok(eid_database_get_entry(notes, eid_database_root_id(notes), &entry));
    eid_buf_init(&bytes, 1 << 16);
    eid_entry_write_signing_bytes(&bytes, entry);
    tu_assert_ok(eid_buf_status(&bytes));
    assert_int_equal(shake_hands(&n, eid_buf_slice(&bytes)), EID_RESPONSE_ERROR);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        assert_int_equal(shake_hands(&n, eid_slice_of(zeros, lengths[i])), EID_RESPONSE_ERROR);
    assert_int_equal(shake_hands(&n, eid_slice_of(zeros, 32)), EID_RESPONSE_HANDSHAKE);
    eid_buf_free(&bytes);
    eid_entry_unref(entry);
    eid_database_close(notes);
    node_close(&n);
}

/* ---- Floods of requests ---- */

/* Feature A8 */
static void one_key_can_not_fill_the_queues(void **state)
{
    (void)state;
    net *n = net_open(2);
    eid_keypair *pair;
    size_t filed = 0;
    tu_assert_ok(eid_keypair_generate(&pair));
    for (int i = 0; i < EID_LIMIT_PENDING_REQUESTS_PER_KEY + 5; i++) {
        eid_database *database = node_create(&n->nodes[0], "one of many", true);
        n->id = *eid_database_root_id(database);
        eid_database_close(database);
        eid_ticket *ticket = ticket_to_0(n);
        eid_status status =
            eid_sync_bootstrap_with_ticket(n->nodes[1].sync, ticket, pair, "greedy", node_write_10, NULL, NULL);
        filed += status == EID_ERR_BOOTSTRAP_PENDING;
        if (status != EID_ERR_BOOTSTRAP_PENDING) {
            assert_int_equal(status, EID_ERR_PROTOCOL);
            assert_non_null(strstr(eid_last_error(), "too many requests of this key are pending"));
        }
        eid_ticket_free(ticket);
    }
    assert_int_equal(filed, EID_LIMIT_PENDING_REQUESTS_PER_KEY);
    eid_keypair_free(pair);
    net_close(n);
}

/* ---- Addresses strangers name ---- */

/* Feature A9 */
static void offered_addresses_are_chosen(void **state)
{
    (void)state;
    static const struct {
        const char *offered, *from, *kept; /* NULL: dropped */
    } cases[] = {
        {"192.168.1.5:8080", "192.168.1.5:4711", "192.168.1.5:8080"},
        {"203.0.113.9:80", "198.51.100.1:4711", "203.0.113.9:80"},
        {"127.0.0.1:8080", "127.0.0.1:4711", "127.0.0.1:8080"},
        {"127.0.0.1:8080", "198.51.100.1:4711", NULL},
        {"[::1]:8080", "[2001:db8::1]:4711", NULL},
        {"[::1]:8080", "127.0.0.1:4711", "[::1]:8080"},
        {"169.254.169.254:80", "198.51.100.1:4711", NULL},
        {"[fe80::1]:80", "198.51.100.1:4711", NULL},
        {"0.0.0.0:8080", "198.51.100.1:4711", "198.51.100.1:8080"},
        {"[::]:8080", "[2001:db8::1]:4711", "[2001:db8::1]:8080"},
        {"https://0.0.0.0:8443", "198.51.100.1:4711", "https://198.51.100.1:8443"},
        {"https://169.254.169.254", "198.51.100.1:4711", NULL},
        {"chat.example.com:80", "198.51.100.1:4711", "chat.example.com:80"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eid_request_origin origin = {"http", cases[i].from, NULL, false, 0};
        eid_address *offered, **kept;
        size_t count;
        tu_assert_ok(eid_address_http(cases[i].offered, &offered));
        tu_assert_ok(eid_offers_choose(&offered, 1, &origin, false, &kept, &count));
        assert_int_equal(count, cases[i].kept != NULL);
        if (cases[i].kept != NULL)
            assert_string_equal(eid_address_text(kept[0]), cases[i].kept);
        eid_addresses_free(kept, count);
        eid_address_free(offered);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_waiting_peer_learns_of_it_by_asking),
        cmocka_unit_test(the_approver_tells_a_peer_it_can_reach),
        cmocka_unit_test(waiting_can_be_ended),
        cmocka_unit_test(a_peer_that_is_away_is_waited_for),
        cmocka_unit_test(decisions_are_made_once),
        cmocka_unit_test(replays_fail_also_after_a_restart),
        cmocka_unit_test(a_challenge_that_is_an_entry),
        cmocka_unit_test(one_key_can_not_fill_the_queues),
        cmocka_unit_test(offered_addresses_are_chosen),
        cmocka_unit_test(closing_ends_the_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
