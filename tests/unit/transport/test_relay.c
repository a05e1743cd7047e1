/* SPDX-License-Identifier: Apache-2.0 */
/* A relay and clients that speak its protocol over plain sockets: who is let in, what is forwarded, what is
 * dropped, and what clients that mean harm or go silently do to the others. */
#include "support/testutil.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <eidetica/relay.h>

#include "base/clock.h"
#include "transport/iroh/relay_frame.h"
#include "transport/websocket.h"

#define WAIT_MS 30000

/* ---- A client ---- */

typedef struct guest {
    int fd;
    eid_keypair *key;
    eid_pubkey id;
    eid_ws_reader in;
    eid_buf frames; /* length (8 bytes) and frame, of those not looked at yet */
    size_t taken;
    bool closed;
} guest;

static int dial(const eid_relay *relay)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    const char *text = eid_relay_address(relay);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)atoi(strrchr(text, ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void say(int fd, const void *bytes, size_t len)
{
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* One byte at a time, so that nothing behind the head is taken. */
static void read_head(int fd, char *head, size_t size)
{
    size_t len = 0;
    while (len + 1 < size && (len < 4 || memcmp(head + len - 4, "\r\n\r\n", 4) != 0)) {
        if (recv(fd, head + len, 1, 0) != 1)
            break;
        len++;
    }
    head[len] = '\0';
}

/* Asks for a WebSocket with these headers besides the usual ones; the head of the answer. */
static void ask(int fd, const char *more, char *head, size_t size)
{
    char request[2000];
    int len = snprintf(request, sizeof request,
                       "GET /relay HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
                       more);
    say(fd, request, (size_t)len);
    read_head(fd, head, size);
}

static eid_status keep(eid_ws_kind kind, eid_slice payload, void *ctx)
{
    guest *g = ctx;
    if (kind == EID_WS_CLOSE)
        g->closed = true;
    if (kind != EID_WS_BINARY)
        return EID_OK;
    eid_buf_append_u64_be(&g->frames, payload.len);
    eid_buf_append_slice(&g->frames, payload);
    return eid_buf_status(&g->frames);
}

/* Waits for bytes, at most so long; false when none came or the connection ended. */
static bool listen_for(guest *g, int ms)
{
    uint8_t bytes[65536];
    struct pollfd fd = {.fd = g->fd, .events = POLLIN};
    if (g->closed || poll(&fd, 1, ms) <= 0)
        return false;
    ssize_t len = recv(g->fd, bytes, sizeof bytes, 0);
    if (len <= 0) {
        g->closed = true;
        return false;
    }
    tu_assert_ok(eid_ws_read(&g->in, eid_slice_of(bytes, (size_t)len), keep, g));
    return true;
}

/* The next frame; false when there is none within the time. Its content lives until the next call. */
static bool hear(guest *g, eid_relay_frame *out, int ms)
{
    if (g->taken == g->frames.len) {
        eid_buf_reset(&g->frames);
        g->taken = 0;
    }
    while (g->frames.len == g->taken) {
        if (!listen_for(g, ms))
            return false;
    }
    uint64_t len = 0;
    for (int i = 0; i < 8; i++)
        len = len << 8 | g->frames.data[g->taken++];
    tu_assert_ok(eid_relay_frame_read(eid_slice_of(g->frames.data + g->taken, (size_t)len), out));
    g->taken += (size_t)len;
    return true;
}

static void expect(guest *g, eid_relay_kind kind, eid_relay_frame *out)
{
    do
        assert_true(hear(g, out, WAIT_MS));
    while (out->kind == EID_RELAY_PING && kind != EID_RELAY_PING);
    assert_int_equal(out->kind, kind);
}

static void tell(guest *g, const eid_relay_frame *frame)
{
    eid_buf bytes, message;
    eid_buf_init(&bytes, 1u << 20);
    eid_buf_init(&message, 1u << 20);
    eid_relay_frame_write(&bytes, frame);
    eid_ws_write(&message, EID_WS_BINARY, eid_buf_slice(&bytes), true);
    say(g->fd, message.data, message.len);
    eid_buf_free(&bytes);
    eid_buf_free(&message);
}

static void guest_init(guest *g, uint8_t secret)
{
    uint8_t seed[32];
    memset(g, 0, sizeof *g);
    memset(seed, secret, sizeof seed);
    tu_assert_ok(eid_keypair_from_seed(seed, &g->key));
    eid_keypair_public(g->key, &g->id);
    eid_ws_reader_init(&g->in, false, EID_RELAY_FRAME_MAX);
    eid_buf_init(&g->frames, 64u << 20);
}

static void connect_to(guest *g, const eid_relay *relay, const char *protocols, eid_relay_frame *challenge)
{
    char head[2000], more[200];
    g->fd = dial(relay);
    snprintf(more, sizeof more, "Sec-WebSocket-Protocol: %s\r\n", protocols);
    ask(g->fd, more, head, sizeof head);
    assert_non_null(strstr(head, "101 Switching"));
    assert_non_null(strstr(head, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    expect(g, EID_RELAY_CHALLENGE, challenge);
}

static void come(guest *g, const eid_relay *relay, uint8_t secret)
{
    eid_relay_frame frame;
    guest_init(g, secret);
    connect_to(g, relay, "iroh-relay-v2, iroh-relay-v1", &frame);
    eid_relay_answer(g->key, frame.challenge, &frame);
    tell(g, &frame);
    expect(g, EID_RELAY_CONFIRMS, &frame);
}

static void go(guest *g)
{
    if (g->fd >= 0)
        close(g->fd);
    g->fd = -1;
    eid_keypair_free(g->key);
    eid_ws_reader_free(&g->in);
    eid_buf_free(&g->frames);
}

static void expect_end(guest *g)
{
    uint64_t deadline = eid_monotonic_ns() + (uint64_t)WAIT_MS * 1000000;
    while (!g->closed && eid_monotonic_ns() < deadline)
        listen_for(g, 1000);
    assert_true(g->closed);
}

static void send_text(guest *g, const eid_pubkey *to, const char *text)
{
    tell(g, &(eid_relay_frame){.kind = EID_RELAY_SEND, .id = *to, .ecn = 2, .content = eid_slice_text(text)});
}

static void expect_text(guest *g, const eid_pubkey *from, const char *text)
{
    eid_relay_frame frame;
    expect(g, EID_RELAY_RECV, &frame);
    assert_true(eid_pubkey_equal(&frame.id, from));
    assert_true(eid_slice_is(frame.content, text));
    assert_int_equal(frame.ecn, 2);
}

/* Everything said before has been dealt with: what comes back of a ping to oneself says so. */
static void settle(guest *g)
{
    eid_relay_frame frame;
    tell(g, &(eid_relay_frame){.kind = EID_RELAY_PING, .payload = {7}});
    expect(g, EID_RELAY_PONG, &frame);
    assert_int_equal(frame.payload[0], 7);
}

static eid_relay_stats stats_of(eid_relay *relay)
{
    eid_relay_stats stats = {.struct_size = sizeof stats};
    eid_relay_get_stats(relay, &stats);
    return stats;
}

static int start(void **state)
{
    eid_relay_options options = EID_RELAY_OPTIONS_INIT;
    eid_relay *relay;
    options.bind_address = "127.0.0.1:0";
    tu_assert_ok(eid_relay_start(&options, &relay));
    *state = relay;
    return 0;
}

static int stop(void **state)
{
    eid_relay_stop(*state);
    return 0;
}

/* ---- Forwarding ---- */

static void datagrams_both_ways(void **state)
{
    guest alice, bob;
    eid_relay_frame frame;
    come(&alice, *state, 1);
    come(&bob, *state, 2);
    send_text(&alice, &bob.id, "hello");
    expect_text(&bob, &alice.id, "hello");
    send_text(&bob, &alice.id, "hello yourself");
    expect_text(&alice, &bob.id, "hello yourself");
    tell(&alice, &(eid_relay_frame){.kind = EID_RELAY_SEND_BATCH,
                                    .id = bob.id,
                                    .ecn = 3,
                                    .segment = 4,
                                    .content = eid_slice_text("onetwothree")});
    expect(&bob, EID_RELAY_RECV_BATCH, &frame);
    assert_int_equal(frame.segment, 4);
    assert_int_equal(frame.ecn, 3);
    assert_true(eid_slice_is(frame.content, "onetwothree"));
    send_text(&alice, &alice.id, "to myself");
    expect_text(&alice, &alice.id, "to myself");
    eid_relay_stats stats = stats_of(*state);
    assert_int_equal(stats.clients, 2);
    assert_int_equal(stats.forwarded, 4);
    assert_int_equal(stats.bytes, strlen("hello"
                                         "hello yourself"
                                         "onetwothree"
                                         "to myself"));
    go(&alice);
    go(&bob);
}

static void the_largest_frame(void **state)
{
    guest alice, bob;
    eid_relay_frame frame;
    size_t len = EID_RELAY_FRAME_MAX - 34;
    uint8_t *content = malloc(len + 1);
    memset(content, 'x', len + 1);
    come(&alice, *state, 1);
    come(&bob, *state, 2);
    tell(&alice,
         &(eid_relay_frame){.kind = EID_RELAY_SEND, .id = bob.id, .content = eid_slice_of(content, len)});
    expect(&bob, EID_RELAY_RECV, &frame);
    assert_int_equal(frame.content.len, len);
    tell(&alice,
         &(eid_relay_frame){.kind = EID_RELAY_SEND, .id = bob.id, .content = eid_slice_of(content, len + 1)});
    expect_end(&alice);
    expect(&bob, EID_RELAY_GONE, &frame);
    settle(&bob);
    free(content);
    go(&alice);
    go(&bob);
}

static void to_nobody(void **state)
{
    guest alice;
    eid_pubkey nobody = {{9}};
    come(&alice, *state, 1);
    send_text(&alice, &nobody, "lost");
    settle(&alice);
    assert_int_equal(stats_of(*state).dropped, 1);
    go(&alice);
}

static void unknown_frames_are_passed_over(void **state)
{
    guest alice;
    eid_buf message;
    come(&alice, *state, 1);
    eid_buf_init(&message, 1000);
    eid_ws_write(&message, EID_WS_BINARY, eid_slice_of("\x50later", 6), true);
    eid_ws_write(&message, EID_WS_TEXT, eid_slice_text("words"), true);
    eid_ws_write(&message, EID_WS_PING, eid_slice_text("there?"), true);
    say(alice.fd, message.data, message.len);
    settle(&alice);
    eid_buf_free(&message);
    go(&alice);
}

/* ---- One ID twice, and going ---- */

static void the_newer_of_two_is_served(void **state)
{
    guest old, new, bob;
    eid_relay_frame frame;
    come(&old, *state, 1);
    come(&bob, *state, 2);
    come(&new, *state, 1);
    expect(&old, EID_RELAY_STATUS, &frame);
    assert_int_equal(frame.status, EID_RELAY_STATUS_SAME_ID);
    send_text(&bob, &new.id, "for the newer");
    expect_text(&new, &bob.id, "for the newer");
    go(&new);
    expect(&old, EID_RELAY_STATUS, &frame);
    assert_int_equal(frame.status, EID_RELAY_STATUS_HEALTHY);
    send_text(&bob, &old.id, "for the older");
    expect_text(&old, &bob.id, "for the older");
    go(&old);
    go(&bob);
}

/* Three with one ID go in every order; whoever came last of those that are left is served. */
static void three_with_one_id(void **state)
{
    static const int orders[][2] = {{0, 1}, {0, 2}, {1, 0}, {1, 2}, {2, 0}, {2, 1}};
    guest bob;
    come(&bob, *state, 2);
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        guest same[3];
        for (int j = 0; j < 3; j++)
            come(&same[j], *state, 1);
        eid_pubkey id = same[0].id;
        go(&same[orders[i][0]]);
        go(&same[orders[i][1]]);
        uint64_t deadline = eid_monotonic_ns() + (uint64_t)WAIT_MS * 1000000;
        while (stats_of(*state).clients != 2 && eid_monotonic_ns() < deadline)
            poll(NULL, 0, 5);
        assert_int_equal(stats_of(*state).clients, 2);
        guest *left = &same[3 - orders[i][0] - orders[i][1]];
        eid_relay_frame frame;
        send_text(&bob, &id, "who is left");
        do
            assert_true(hear(left, &frame, WAIT_MS));
        while (frame.kind == EID_RELAY_STATUS);
        assert_int_equal(frame.kind, EID_RELAY_RECV);
        go(left);
    }
    go(&bob);
}

static void old_protocol_hears_words(void **state)
{
    guest old, new;
    eid_relay_frame frame;
    guest_init(&old, 1);
    connect_to(&old, *state, "iroh-relay-v1", &frame);
    eid_relay_answer(old.key, frame.challenge, &frame);
    tell(&old, &frame);
    expect(&old, EID_RELAY_CONFIRMS, &frame);
    come(&new, *state, 1);
    expect(&old, EID_RELAY_HEALTH, &frame);
    go(&new);
    go(&old);
}

static void peers_hear_who_is_gone(void **state)
{
    guest alice, bob, carol;
    eid_relay_frame frame;
    come(&alice, *state, 1);
    come(&bob, *state, 2);
    come(&carol, *state, 3);
    send_text(&alice, &bob.id, "hi");
    expect_text(&bob, &alice.id, "hi");
    eid_pubkey id = alice.id;
    go(&alice);
    expect(&bob, EID_RELAY_GONE, &frame);
    assert_true(eid_pubkey_equal(&frame.id, &id));
    settle(&carol); /* to whom nothing was sent */
    go(&bob);
    go(&carol);
}

/* ---- Who is not let in ---- */

static void wrong_proofs(void **state)
{
    for (int way = 0; way < 3; way++) {
        guest mallory;
        eid_relay_frame frame;
        guest_init(&mallory, 66);
        connect_to(&mallory, *state, "iroh-relay-v2", &frame);
        eid_relay_answer(mallory.key, frame.challenge, &frame);
        if (way == 0)
            frame.signature[3] ^= 1;
        else if (way == 1)
            memset(frame.id.bytes, 7, sizeof frame.id.bytes);
        else
            frame = (eid_relay_frame){.kind = EID_RELAY_PING};
        tell(&mallory, &frame);
        expect(&mallory, EID_RELAY_DENIES, &frame);
        assert_true(frame.content.len > 0);
        expect_end(&mallory);
        go(&mallory);
    }
    assert_int_equal(stats_of(*state).refused, 3);
    assert_int_equal(stats_of(*state).clients, 0);
}

/* An answer heard elsewhere is of no use: each challenge is new. */
static void a_replayed_proof(void **state)
{
    guest alice, mallory;
    eid_relay_frame challenge, answer, frame;
    guest_init(&alice, 1);
    connect_to(&alice, *state, "iroh-relay-v2", &challenge);
    eid_relay_answer(alice.key, challenge.challenge, &answer);
    tell(&alice, &answer);
    expect(&alice, EID_RELAY_CONFIRMS, &frame);
    guest_init(&mallory, 66);
    connect_to(&mallory, *state, "iroh-relay-v2", &challenge);
    tell(&mallory, &answer);
    expect(&mallory, EID_RELAY_DENIES, &frame);
    settle(&alice);
    go(&alice);
    go(&mallory);
}

static void requests_that_are_no_websocket(void **state)
{
    static const struct {
        const char *request, *wanted;
    } cases[] = {
        {"GET /relay HTTP/1.1\r\nHost: x\r\n\r\n", " 426 "},
        {"GET /relay HTTP/1.1\r\nHost: x\r\nUpgrade: Websocket\r\nConnection: upgrade\r\nSec-WebSocket-Key: "
         "x\r\n\r\n",
         " 426 "},
        {"GET /relay HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Key: "
         "x\r\n"
         "Sec-WebSocket-Version: 8\r\n\r\n",
         " 400 "},
        {"GET /relay HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Key: "
         "x\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n\r\n",
         " 400 "},
        {"GET /relay HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Key: "
         "x\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: iroh-relay-v1\r\nX-Iroh-Relay-Client-Auth-V1: "
         "nonsense\r\n\r\n",
         " 400 "},
        {"POST /relay HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", " 405 "},
        {"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", " 404 "},
        {"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n", " 200 "},
        {"GET /generate_204 HTTP/1.1\r\nHost: x\r\nX-Iroh-Challenge: a.b_c-9\r\n\r\n",
         "X-Iroh-Response: response a.b_c-9\r\n"},
        {"GET /generate_204 HTTP/1.1\r\nHost: x\r\nX-Iroh-Challenge: a b\r\n\r\n", " 204 "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char head[2000];
        int fd = dial(*state);
        say(fd, cases[i].request, strlen(cases[i].request));
        read_head(fd, head, sizeof head);
        if (strstr(head, cases[i].wanted) == NULL)
            fail_msg("%s: %s", cases[i].request, head);
        assert_null(strstr(head, "response a b"));
        close(fd);
    }
}

/* Over plain http a header proves nothing: the challenge decides. */
static void a_header_without_tls(void **state)
{
    guest alice;
    eid_relay_frame frame;
    char text[EID_RELAY_HEADER_SIZE], more[400], head[2000];
    uint8_t exported[32] = {1};
    guest_init(&alice, 1);
    eid_relay_header(alice.key, exported, text);
    alice.fd = dial(*state);
    snprintf(more, sizeof more, "Sec-WebSocket-Protocol: iroh-relay-v2\r\n%s: %s\r\n", EID_RELAY_HEADER,
             text);
    ask(alice.fd, more, head, sizeof head);
    expect(&alice, EID_RELAY_CHALLENGE, &frame);
    go(&alice);
}

/* ---- Clients that mean harm ---- */

static void what_breaks_the_protocol(void **state)
{
    guest good;
    static const char *const bytes[] = {
        "\x82\x05unmasked",         /* a client has to mask */
        "\xff\xff\xff\xff\xff\xff", /* not WebSocket at all */
        "GET / HTTP/1.1\r\n\r\n",
    };
    come(&good, *state, 1);
    for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++) {
        guest bad;
        come(&bad, *state, 66);
        say(bad.fd, bytes[i], strlen(bytes[i]));
        expect_end(&bad);
        go(&bad);
    }
    static const eid_relay_kind kinds[] = {EID_RELAY_CHALLENGE, EID_RELAY_CLIENT_AUTH, EID_RELAY_CONFIRMS,
                                           EID_RELAY_GONE,      EID_RELAY_STATUS,      EID_RELAY_RESTARTING};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        guest bad;
        come(&bad, *state, 66);
        tell(&bad, &(eid_relay_frame){.kind = kinds[i], .id = good.id});
        expect_end(&bad);
        go(&bad);
    }
    settle(&good);
    go(&good);
}

/* One who reads nothing costs a bounded queue, and keeps nobody up. */
static void one_who_does_not_read(void **state)
{
    guest deaf, alice, bob;
    char content[1200];
    memset(content, 'x', sizeof content);
    come(&deaf, *state, 1);
    come(&alice, *state, 2);
    come(&bob, *state, 3);
    int small = 4096;
    setsockopt(deaf.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    for (int i = 0; i < 10000 && stats_of(*state).dropped == 0; i++) {
        for (int j = 0; j < 100; j++)
            tell(&alice, &(eid_relay_frame){.kind = EID_RELAY_SEND,
                                            .id = deaf.id,
                                            .content = eid_slice_of(content, sizeof content)});
        settle(&alice);
    }
    assert_true(stats_of(*state).dropped > 0);
    send_text(&alice, &bob.id, "still here");
    expect_text(&bob, &alice.id, "still here");
    go(&deaf);
    go(&alice);
    go(&bob);
}

static void bytes_are_rationed(void **state)
{
    (void)state;
    eid_relay_options options = EID_RELAY_OPTIONS_INIT;
    eid_relay *relay;
    guest alice, bob;
    char content[1000];
    eid_relay_frame frame;
    memset(content, 'x', sizeof content);
    options.bind_address = "127.0.0.1:0";
    options.bytes_per_second = 20000;
    tu_assert_ok(eid_relay_start(&options, &relay));
    come(&alice, relay, 1);
    come(&bob, relay, 2);
    uint64_t begin = eid_monotonic_ns();
    for (int i = 0; i < 50; i++)
        tell(&alice, &(eid_relay_frame){.kind = EID_RELAY_SEND,
                                        .id = bob.id,
                                        .content = eid_slice_of(content, sizeof content)});
    for (int i = 0; i < 50; i++)
        expect(&bob, EID_RELAY_RECV, &frame);
    /* 50 000 bytes and their frames, 20 000 of them at once, the rest as they are allowed: never sooner,
     * however fast the machine. */
    assert_true(eid_monotonic_ns() - begin > 1000000000u);
    go(&alice);
    go(&bob);
    eid_relay_stop(relay);
}

/* ---- Starting and stopping ---- */

static void stopping_ends_everybody(void **state)
{
    (void)state;
    for (int round = 0; round < 5; round++) {
        guest some[10];
        void *relay;
        start(&relay);
        int half = dial(relay);
        for (uint8_t i = 0; i < 10; i++)
            come(&some[i], relay, i);
        eid_relay_stop(relay);
        for (int i = 0; i < 10; i++) {
            expect_end(&some[i]);
            go(&some[i]);
        }
        close(half);
    }
    eid_relay_stop(NULL);
}

static void wrong_options(void **state)
{
    (void)state;
    eid_relay_options options = EID_RELAY_OPTIONS_INIT;
    eid_relay *relay;
    void *running;
    tu_assert_fails(eid_relay_start(&options, &relay), EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_relay_start(NULL, &relay), EID_ERR_INVALID_ARGUMENT);
    options.bind_address = "localhost:1";
    tu_assert_fails(eid_relay_start(&options, &relay), EID_ERR_SERVER_BIND);
    options.bind_address = "127.0.0.1:0";
    options.certificate_pem = "x";
    tu_assert_fails(eid_relay_start(&options, &relay), EID_ERR_INVALID_ARGUMENT);
    options.private_key_pem = "y";
    tu_assert_fails(eid_relay_start(&options, &relay), EID_ERR_SERVER_BIND);
    options.certificate_pem = options.private_key_pem = NULL;
    start(&running);
    options.bind_address = eid_relay_address(running);
    tu_assert_fails(eid_relay_start(&options, &relay), EID_ERR_SERVER_BIND);
    eid_relay_stop(running);
}

static eid_status start_once(void *ctx)
{
    eid_relay_options options = EID_RELAY_OPTIONS_INIT;
    eid_relay *relay;
    (void)ctx;
    options.bind_address = "127.0.0.1:0";
    eid_status status = eid_relay_start(&options, &relay);
    if (status == EID_OK)
        eid_relay_stop(relay);
    return status;
}

static void memory_fails_at_the_start(void **state)
{
    (void)state;
    tu_alloc_install();
    assert_true(tu_alloc_fault_loop(start_once, NULL) > 3);
    tu_alloc_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(datagrams_both_ways, start, stop),
        cmocka_unit_test_setup_teardown(the_largest_frame, start, stop),
        cmocka_unit_test_setup_teardown(to_nobody, start, stop),
        cmocka_unit_test_setup_teardown(unknown_frames_are_passed_over, start, stop),
        cmocka_unit_test_setup_teardown(the_newer_of_two_is_served, start, stop),
        cmocka_unit_test_setup_teardown(three_with_one_id, start, stop),
        cmocka_unit_test_setup_teardown(old_protocol_hears_words, start, stop),
        cmocka_unit_test_setup_teardown(peers_hear_who_is_gone, start, stop),
        cmocka_unit_test_setup_teardown(wrong_proofs, start, stop),
        cmocka_unit_test_setup_teardown(a_replayed_proof, start, stop),
        cmocka_unit_test_setup_teardown(requests_that_are_no_websocket, start, stop),
        cmocka_unit_test_setup_teardown(a_header_without_tls, start, stop),
        cmocka_unit_test_setup_teardown(what_breaks_the_protocol, start, stop),
        cmocka_unit_test_setup_teardown(one_who_does_not_read, start, stop),
        cmocka_unit_test(bytes_are_rationed),
        cmocka_unit_test(stopping_ends_everybody),
        cmocka_unit_test(wrong_options),
        cmocka_unit_test(memory_fails_at_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
