/* SPDX-License-Identifier: Apache-2.0 */
/* Pairs of endpoints on loopback, and endpoints against datagrams that nobody sane would send. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"
#include "support/iroh.h"
#include "support/testutil.h"

static void nap(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

typedef struct pair {
    ti_node *server, *client;
} pair;

static pair pair_new(const ti_options *server, const ti_options *client)
{
    static const ti_options first = {.seed = 1}, second = {.seed = 2};
    return (pair){ti_new(server != NULL ? server : &first), ti_new(client != NULL ? client : &second)};
}

static void pair_free(pair *p)
{
    ti_free(p->client);
    ti_free(p->server);
}

/* ---- Bodies ---- */

static void bodies_of_all_sizes(void **state)
{
    static const size_t sizes[] = {1, 1199, 1200, 65536, 1u << 20, 8u << 20};
    ti_options big = {.seed = 1, .request_max = 8u << 20}, also = {.seed = 2, .answer_max = 8u << 20};
    pair p = pair_new(&big, &also);
    uint8_t *bytes = malloc(8u << 20);
    (void)state;
    assert_non_null(bytes);
    eid_random_bytes(bytes, 8u << 20);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        eid_slice answer;
        ti_call *call = ti_ask(p.client, ti_addr(p.server), bytes, sizes[i]);
        tu_assert_ok(ti_wait(call, &answer));
        assert_true(eid_slice_equal(answer, eid_slice_of(bytes, sizes[i])));
        ti_forget(call);
    }
    assert_int_equal(ti_counts(p.server).connections, 1);
    assert_int_equal(ti_counts(p.client).connections, 1);
    free(bytes);
    pair_free(&p);
}

/* Five times as many as a connection has credit for: the others wait for it. */
static void more_requests_than_credit(void **state)
{
    enum { MANY = 500 };
    pair p = pair_new(NULL, NULL);
    ti_call *calls[MANY];
    (void)state;
    for (int i = 0; i < MANY; i++)
        calls[i] = ti_ask(p.client, ti_addr(p.server), &i, sizeof i);
    for (int i = 0; i < MANY; i++) {
        eid_slice answer;
        tu_assert_ok(ti_wait(calls[i], &answer));
        assert_int_equal(answer.len, sizeof i);
        ti_forget(calls[i]);
    }
    assert_int_equal(ti_counts(p.server).connections, 1);
    pair_free(&p);
}

static void both_ask_each_other(void **state)
{
    pair p = pair_new(NULL, NULL);
    (void)state;
    tu_assert_ok(ti_try(p.client, ti_addr(p.server), "a", 1));
    tu_assert_ok(ti_try(p.server, ti_addr(p.client), "b", 1));
    /* Each over a connection of its own: those of callers are for their requests. */
    assert_int_equal(ti_counts(p.server).connections, 2);
    pair_free(&p);
}

/* Known by its ID alone, a peer is reached over the connection it has made. */
static void an_id_is_enough_while_it_is_connected(void **state)
{
    pair p = pair_new(NULL, NULL);
    eid_iroh_addr bare = {.id = ti_addr(p.client)->id};
    (void)state;
    tu_assert_fails(ti_try(p.server, &bare, "b", 1), EID_ERR_CONNECTION_FAILED);
    tu_assert_ok(ti_try(p.client, ti_addr(p.server), "a", 1));
    tu_assert_ok(ti_try(p.server, &bare, "b", 1));
    assert_int_equal(ti_counts(p.server).connections, 1);
    pair_free(&p);
}

static void over_ipv6(void **state)
{
    ti_options six = {.seed = 1, .bind = "[::1]:0"}, also = {.seed = 2, .bind = "[::1]:0"};
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool there = fd >= 0 && bind(fd, (struct sockaddr *)&loopback, sizeof loopback) == 0;
    (void)state;
    if (fd >= 0)
        close(fd);
    if (!there) {
        print_message("[ NOTE     ] this machine has no IPv6\n");
        skip();
    }
    pair p = pair_new(&six, &also);
    tu_assert_ok(ti_try(p.client, ti_addr(p.server), "six", 3));
    pair_free(&p);
}

static void the_way_that_works_wins(void **state)
{
    pair p = pair_new(NULL, NULL);
    eid_iroh_addr ways = *ti_addr(p.server);
    eid_sockaddr nobody;
    (void)state;
    tu_assert_ok(eid_sockaddr_parse(eid_slice_text("127.0.0.1:9"), &nobody));
    tu_assert_ok(eid_iroh_addr_add_direct(&ways, &nobody));
    tu_assert_ok(eid_sockaddr_parse(eid_slice_text("127.0.0.2:9"), &nobody));
    tu_assert_ok(eid_iroh_addr_add_direct(&ways, &nobody));
    tu_assert_ok(ti_try(p.client, &ways, "x", 1));
    assert_int_equal(ti_counts(p.client).connections, 1);
    pair_free(&p);
}

/* ---- Identity and protocol ---- */

static void fails_with(ti_node *node, const eid_iroh_addr *to, eid_status wanted, const char *part)
{
    tu_assert_fails(ti_try(node, to, "x", 1), wanted);
    if (strstr(eid_last_error(), part) == NULL)
        fail_msg("'%s' does not say '%s'", eid_last_error(), part);
}

static void a_wrong_key_is_refused(void **state)
{
    pair p = pair_new(NULL, NULL);
    ti_options third = {.seed = 3};
    ti_node *other = ti_new(&third);
    eid_iroh_addr wrong = *ti_addr(p.server);
    (void)state;
    wrong.id = ti_addr(other)->id;
    fails_with(p.client, &wrong, EID_ERR_CONNECTION_FAILED, "did not prove the key");
    assert_int_equal(ti_counts(p.client).connections, 0);
    assert_int_equal(ti_counts(p.server).connections, 0);
    /* And the right one afterwards. */
    tu_assert_ok(ti_try(p.client, ti_addr(p.server), "x", 1));
    ti_free(other);
    pair_free(&p);
}

static void another_protocol_is_refused(void **state)
{
    ti_options other = {.seed = 1, .alpn = "other/1"};
    pair p = pair_new(&other, NULL);
    (void)state;
    fails_with(p.client, ti_addr(p.server), EID_ERR_CONNECTION_FAILED, "protocol");
    pair_free(&p);
}

static void nobody_dials_himself(void **state)
{
    pair p = pair_new(NULL, NULL);
    (void)state;
    tu_assert_fails(ti_try(p.client, ti_addr(p.client), "x", 1), EID_ERR_INVALID_ADDRESS);
    pair_free(&p);
}

/* Before it accepts, and after it has stopped; connections that stand are served no more either. */
static void those_who_do_not_accept_refuse(void **state)
{
    ti_options deaf = {.seed = 1, .deaf = true};
    pair p = pair_new(&deaf, NULL);
    (void)state;
    fails_with(p.client, ti_addr(p.server), EID_ERR_CONNECTION_FAILED, "refused");
    ti_accept(p.server, true);
    tu_assert_ok(ti_try(p.client, ti_addr(p.server), "x", 1));
    ti_accept(p.server, false);
    fails_with(p.client, ti_addr(p.server), EID_ERR_NETWORK, "without an answer");
    pair_free(&p);
}

/* ---- Limits and ends ---- */

static void bodies_that_are_too_large(void **state)
{
    ti_options small = {.seed = 1, .request_max = 1000}, also = {.seed = 2, .answer_max = 2000};
    pair p = pair_new(&small, &also);
    uint8_t bytes[3000] = {1};
    (void)state;
    tu_assert_ok(ti_try(p.client, ti_addr(p.server), bytes, 1000));
    tu_assert_fails(ti_try(p.client, ti_addr(p.server), bytes, 1001), EID_ERR_NETWORK);
    tu_assert_ok(ti_try(p.client, ti_addr(p.server), bytes, 1000));
    pair_free(&p);

    ti_options generous = {.seed = 1};
    p = pair_new(&generous, &also);
    tu_assert_fails(ti_try(p.client, ti_addr(p.server), bytes, 2001), EID_ERR_LIMIT);
    tu_assert_ok(ti_try(p.client, ti_addr(p.server), bytes, 2000));
    pair_free(&p);
}

typedef struct gate {
    atomic_int inside;
    atomic_bool open;
} gate;

static eid_handle_result wait_at_gate(eid_slice body, const eid_request_origin *origin, eid_buf *answer,
                                      eid_source **rest, void *ctx)
{
    gate *g = ctx;
    (void)rest;
    if (strcmp(origin->transport, "iroh") != 0 || strlen(origin->address) != 64 || origin->peer != NULL)
        return EID_HANDLER_FAILED;
    g->inside++;
    while (!g->open)
        nap(1);
    eid_buf_append_slice(answer, body);
    return body.len == 1 ? EID_HANDLED : EID_BODY_MALFORMED;
}

static void silence_ends(void **state)
{
    gate g = {0};
    ti_options slow = {.seed = 1, .handler = wait_at_gate, .ctx = &g};
    pair p = pair_new(&slow, NULL);
    (void)state;
    ti_call *silent = ti_ask_within(p.client, ti_addr(p.server), "x", 1, 10000, 50, 60000);
    ti_call *late = ti_ask_within(p.client, ti_addr(p.server), "x", 1, 10000, 60000, 50);
    ti_call *given_up = ti_ask(p.client, ti_addr(p.server), "x", 1);
    while (g.inside < 3)
        nap(1);
    ti_cancel(given_up);
    tu_assert_fails(ti_wait(given_up, NULL), EID_ERR_CANCELLED);
    tu_assert_fails(ti_wait(silent, NULL), EID_ERR_TIMEOUT);
    tu_assert_fails(ti_wait(late, NULL), EID_ERR_TIMEOUT);
    g.open = true;
    ti_forget(silent);
    ti_forget(late);
    ti_forget(given_up);
    /* The connection lives on; a body the handler could not read brings none. */
    tu_assert_ok(ti_try(p.client, ti_addr(p.server), "x", 1));
    tu_assert_fails(ti_try(p.client, ti_addr(p.server), "xx", 2), EID_ERR_NETWORK);
    assert_int_equal(ti_counts(p.client).connections, 1);
    pair_free(&p);
}

static void nobody_there(void **state)
{
    static const ti_options second = {.seed = 2};
    ti_node *client = ti_new(&second);
    eid_iroh_addr to = {.id = {{0}}};
    eid_sockaddr hole;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    socklen_t len = sizeof hole;
    (void)state;
    /* A socket that never answers. */
    tu_assert_ok(eid_sockaddr_parse(eid_slice_text("127.0.0.1:0"), &hole));
    assert_int_equal(bind(fd, &hole.any, sizeof hole.v4), 0);
    assert_int_equal(getsockname(fd, &hole.any, &len), 0);
    tu_assert_ok(eid_iroh_id_parse(
        eid_slice_text("ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c"), &to.id));
    tu_assert_ok(eid_iroh_addr_add_direct(&to, &hole));
    ti_call *call = ti_ask_within(client, &to, "x", 1, 100, 60000, 60000);
    tu_assert_fails(ti_wait(call, NULL), EID_ERR_CONNECTION_FAILED);
    ti_forget(call);
    close(fd);
    ti_free(client);
}

/* Either side goes while requests are under way: every one of them ends. */
static void closing_ends_everything(void **state)
{
    gate g = {0};
    ti_options slow = {.seed = 1, .handler = wait_at_gate, .ctx = &g};
    pair p = pair_new(&slow, NULL);
    ti_call *calls[8];
    (void)state;
    for (int i = 0; i < 8; i++)
        calls[i] = ti_ask(p.client, ti_addr(p.server), "x", 1);
    while (g.inside < 4)
        nap(1);
    ti_call *first = calls[0];
    g.open = false;
    ti_free(p.client);
    for (int i = 0; i < 8; i++) {
        tu_assert_fails(ti_wait(calls[i], NULL), EID_ERR_CANCELLED);
        ti_forget(calls[i]);
    }
    (void)first;
    g.open = true;
    ti_free(p.server);
}

static void a_server_that_goes_is_told(void **state)
{
    gate g = {0};
    ti_options slow = {.seed = 1, .handler = wait_at_gate, .ctx = &g};
    pair p = pair_new(&slow, NULL);
    (void)state;
    ti_call *call = ti_ask(p.client, ti_addr(p.server), "x", 1);
    while (g.inside < 1)
        nap(1);
    g.open = true;
    ti_free(p.server);
    /* Answered just in time, or told that the other side has gone. */
    eid_status status = ti_wait(call, NULL);
    assert_true(status == EID_OK || status == EID_ERR_NETWORK || status == EID_ERR_CONNECTION_FAILED);
    ti_forget(call);
    ti_free(p.client);
}

/* The server comes back on its port without knowing its old connections: the client is told by a stateless
 * reset and asks again over a new one. Its socket is taken away from it so that it can not say good-bye. */
static void after_a_restart(void **state)
{
    ti_options server = {.seed = 1};
    pair p = pair_new(&server, NULL);
    char bind[EID_SOCKADDR_TEXT_SIZE];
    eid_iroh_addr to = *ti_addr(p.server);
    (void)state;
    tu_assert_ok(ti_try(p.client, &to, "x", 1));
    eid_sockaddr_format(&to.direct[0], bind);
    ti_mute(p.server);
    ti_free(p.server);
    server.bind = bind;
    p.server = ti_new(&server);
    tu_assert_ok(ti_try(p.client, &to, "x", 1));
    assert_true(ti_counts(p.server).resets >= 1);
    pair_free(&p);
}

/* ---- Strangers ---- */

static int stranger(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_true(fd >= 0);
    return fd;
}

static void throw_at(int fd, ti_node *node, const void *data, size_t len)
{
    const eid_sockaddr *to = &ti_addr(node)->direct[0];
    (void)!sendto(fd, data, len, 0, &to->any, sizeof to->v4);
}

/* Bytes that came back within a while that is long after the last of them. */
static size_t drain(int fd)
{
    uint8_t bytes[2048];
    size_t sum = 0;
    for (int quiet = 0; quiet < 50;) {
        ssize_t len = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (len < 0) {
            quiet++;
            nap(2);
        } else
            sum += (size_t)len;
    }
    return sum;
}

static void garbage_does_nothing(void **state)
{
    pair p = pair_new(NULL, NULL);
    tu_random random = tu_random_seeded(20261123);
    uint8_t bytes[1500];
    int fd = stranger();
    (void)state;
    for (int i = 0; i < 3000; i++) {
        size_t len = tu_random_below(&random, sizeof bytes);
        tu_random_fill(&random, bytes, len);
        if (len > 5 && i % 3 == 0) { /* looks like a first packet of version 1 */
            bytes[0] = (uint8_t)(0xc0 | (bytes[0] & 3));
            memcpy(bytes + 1, "\0\0\0\1", 4);
        }
        throw_at(fd, p.server, bytes, len);
        if (i % 100 == 0)
            tu_assert_ok(ti_try(p.client, ti_addr(p.server), "x", 1));
    }
    tu_assert_ok(ti_try(p.client, ti_addr(p.server), "x", 1));
    assert_int_equal(ti_counts(p.server).connections, 1);
    close(fd);
    pair_free(&p);
}

static void resets_are_rationed_and_smaller(void **state)
{
    pair p = pair_new(NULL, NULL);
    uint8_t bytes[100];
    int fd = stranger();
    (void)state;
    memset(bytes, 0x55, sizeof bytes); /* a short header, an ID of nobody */
    for (int i = 0; i < 500; i++)
        throw_at(fd, p.server, bytes, sizeof bytes);
    size_t back = drain(fd);
    uint64_t resets = ti_counts(p.server).resets;
    assert_true(resets >= 1 && resets <= 5 * EID_LIMIT_IROH_RESETS_PER_S);
    assert_true(back < resets * sizeof bytes);
    for (size_t len = 0; len < 22; len++)
        throw_at(fd, p.server, bytes, len);
    assert_int_equal(drain(fd), 0);
    close(fd);
    pair_free(&p);
}

static void other_versions_are_told_ours(void **state)
{
    pair p = pair_new(NULL, NULL);
    uint8_t bytes[1200] = {0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0}, back[256];
    int fd = stranger();
    (void)state;
    throw_at(fd, p.server, bytes, 1199); /* too small to be honest */
    assert_int_equal(drain(fd), 0);
    throw_at(fd, p.server, bytes, sizeof bytes);
    ssize_t len = recv(fd, back, sizeof back, 0);
    assert_true(len >= 15);
    assert_memory_equal(back + 1, "\0\0\0\0", 4);
    assert_memory_equal(back + len - 4, "\0\0\0\1", 4);
    close(fd);
    pair_free(&p);
}

/* The first packet of a real client, caught on the way. */
static size_t catch_first_packet(uint8_t *out, size_t size)
{
    static const ti_options second = {.seed = 4};
    ti_node *client = ti_new(&second);
    eid_iroh_addr to = *ti_addr(client);
    eid_sockaddr trap;
    socklen_t len = sizeof trap;
    int fd = stranger();
    tu_assert_ok(eid_sockaddr_parse(eid_slice_text("127.0.0.1:0"), &trap));
    assert_int_equal(bind(fd, &trap.any, sizeof trap.v4), 0);
    assert_int_equal(getsockname(fd, &trap.any, &len), 0);
    memset(to.id.bytes, 0, sizeof to.id.bytes);
    tu_assert_ok(eid_iroh_id_parse(
        eid_slice_text("8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"), &to.id));
    to.direct[0] = trap;
    ti_call *call = ti_ask(client, &to, "x", 1);
    ssize_t got = recv(fd, out, size, 0);
    ti_cancel(call);
    ti_forget(call);
    ti_free(client);
    close(fd);
    assert_true(got >= 1200);
    return (size_t)got;
}

/* Whoever does not show that it receives gets at most three times what it has sent (RFC 9000 section 8). */
static void no_amplifier(void **state)
{
    pair p = pair_new(NULL, NULL);
    uint8_t packet[2048];
    size_t len = catch_first_packet(packet, sizeof packet);
    int fd = stranger();
    (void)state;
    throw_at(fd, p.server, packet, len);
    size_t back = drain(fd);
    nap(600); /* retransmissions count, too */
    back += drain(fd);
    assert_true(back > 0);
    assert_true(back <= 3 * len);
    assert_int_equal(ti_counts(p.server).half_open, 1);
    close(fd);
    pair_free(&p);
}

static void retry_under_load(void **state)
{
    ti_options strict = {.seed = 1, .half_open_plus_1 = 1};
    pair p = pair_new(&strict, NULL);
    uint8_t packet[2048];
    size_t len = catch_first_packet(packet, sizeof packet);
    int fd = stranger();
    (void)state;
    tu_assert_ok(ti_try(p.client, ti_addr(p.server), "x", 1));
    assert_int_equal(ti_counts(p.server).retries, 1);
    /* Those who do not answer a Retry cost no memory. */
    for (int i = 0; i < 20; i++)
        throw_at(fd, p.server, packet, len);
    assert_true(drain(fd) <= 20 * len);
    assert_int_equal(ti_counts(p.server).half_open, 0);
    assert_int_equal(ti_counts(p.server).connections, 1);
    close(fd);
    pair_free(&p);
}

static void a_peer_has_so_many_connections(void **state)
{
    static const ti_options server = {.seed = 1}, twin = {.seed = 2};
    ti_node *node = ti_new(&server), *twins[EID_LIMIT_IROH_CONNECTIONS_PER_PEER + 1];
    (void)state;
    for (size_t i = 0; i < EID_LIMIT_IROH_CONNECTIONS_PER_PEER; i++) {
        twins[i] = ti_new(&twin);
        tu_assert_ok(ti_try(twins[i], ti_addr(node), "x", 1));
    }
    twins[EID_LIMIT_IROH_CONNECTIONS_PER_PEER] = ti_new(&twin);
    assert_int_not_equal(ti_try(twins[EID_LIMIT_IROH_CONNECTIONS_PER_PEER], ti_addr(node), "x", 1), EID_OK);
    assert_int_equal(ti_counts(node).connections, EID_LIMIT_IROH_CONNECTIONS_PER_PEER);
    for (size_t i = 0; i <= EID_LIMIT_IROH_CONNECTIONS_PER_PEER; i++)
        ti_free(twins[i]);
    ti_free(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_of_all_sizes),
        cmocka_unit_test(more_requests_than_credit),
        cmocka_unit_test(both_ask_each_other),
        cmocka_unit_test(an_id_is_enough_while_it_is_connected),
        cmocka_unit_test(over_ipv6),
        cmocka_unit_test(the_way_that_works_wins),
        cmocka_unit_test(a_wrong_key_is_refused),
        cmocka_unit_test(another_protocol_is_refused),
        cmocka_unit_test(nobody_dials_himself),
        cmocka_unit_test(those_who_do_not_accept_refuse),
        cmocka_unit_test(bodies_that_are_too_large),
        cmocka_unit_test(silence_ends),
        cmocka_unit_test(nobody_there),
        cmocka_unit_test(closing_ends_everything),
        cmocka_unit_test(a_server_that_goes_is_told),
        cmocka_unit_test(after_a_restart),
        cmocka_unit_test(garbage_does_nothing),
        cmocka_unit_test(resets_are_rationed_and_smaller),
        cmocka_unit_test(other_versions_are_told_ours),
        cmocka_unit_test(no_amplifier),
        cmocka_unit_test(retry_under_load),
        cmocka_unit_test(a_peer_has_so_many_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
