/* SPDX-License-Identifier: Apache-2.0 */
/* Two Iroh endpoints of this library over loopback, each on a loop of its own: how long a handshake takes,
 * how many small requests go one after the other, how fast one large answer comes, and what a connection
 * costs that nobody uses. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "transport/iroh/endpoint.h"
#include "transport/iroh/udp.h"

#define HANDSHAKES  20
#define REQUESTS    20000
#define LARGE       ((size_t)64 << 20)
#define CONNECTIONS 500

typedef struct side {
    eid_host *host;
    eid_iroh_endpoint *endpoint;
    eid_iroh_addr addr;
    uint32_t seed;
    bool serves;
    int closed;
} side;

static eid_handle_result answer(eid_slice body, const eid_request_origin *origin, eid_buf *out,
                                eid_source **rest, void *ctx)
{
    (void)origin;
    (void)rest;
    (void)ctx;
    if (body.len == 1)
        eid_buf_commit(out, eid_buf_reserve(out, LARGE) != NULL ? LARGE : 0);
    else
        eid_buf_append_slice(out, body);
    return EID_HANDLED;
}

static void make(void *ctx)
{
    side *s = ctx;
    uint8_t seed[32] = {0};
    eid_iroh_endpoint_options options = {NULL, 0, SIZE_MAX};
    eid_sockaddr bind;
    eid_iroh_carrier *carrier;
    eid_keypair *key;
    memcpy(seed, &s->seed, sizeof s->seed);
    check(eid_keypair_from_seed(seed, &key), "key");
    check(eid_iroh_endpoint_new(s->host, key, &options, &s->endpoint), "endpoint");
    eid_keypair_free(key);
    s->addr.id = *eid_iroh_endpoint_id(s->endpoint);
    if (!s->serves)
        return;
    check(eid_sockaddr_parse(eid_slice_text("127.0.0.1:0"), &bind), "address");
    check(eid_iroh_udp_open(eid_loop_uv(s->host), &bind, &carrier), "socket");
    eid_iroh_endpoint_add_carrier(s->endpoint, carrier);
    check(eid_iroh_addr_add_direct(&s->addr, &carrier->local), "address");
    eid_iroh_endpoint_accept(s->endpoint, answer, NULL);
}

static void on_closed(void *ctx)
{
    __atomic_store_n(&((side *)ctx)->closed, 1, __ATOMIC_RELEASE);
}

static void end(void *ctx)
{
    side *s = ctx;
    eid_iroh_endpoint_close(s->endpoint, on_closed, s);
}

static void nap(void)
{
    struct timespec time = {0, 1000000L};
    nanosleep(&time, NULL);
}

static void open_side(side *s, uint32_t seed, bool serves)
{
    memset(s, 0, sizeof *s);
    s->seed = seed;
    s->serves = serves;
    check(eid_loop_new(&s->host), "loop");
    eid_loop_call(s->host, make, s);
}

static void close_side(side *s)
{
    eid_loop_call(s->host, end, s);
    while (__atomic_load_n(&s->closed, __ATOMIC_ACQUIRE) == 0)
        nap();
    s->host->functions->close(s->host);
}

/* ---- A chain of requests, each started by the end of the one before ---- */

typedef struct chain {
    eid_exchange exchange;
    side *client;
    const eid_iroh_addr *to;
    long left;
    double started, ended; /* wall clock */
    int over;
} chain;

static void next(chain *c);

static void on_done(eid_exchange *exchange, eid_status status)
{
    chain *c = (chain *)(void *)exchange;
    check(status, "request");
    if (--c->left > 0) {
        next(c);
        return;
    }
    c->ended = wall_seconds();
    __atomic_store_n(&c->over, 1, __ATOMIC_RELEASE);
}

static void next(chain *c)
{
    eid_buf_reset(&c->exchange.answer);
    eid_iroh_endpoint_send(c->client->endpoint, c->to, &c->exchange);
}

static void start(void *ctx)
{
    chain *c = ctx;
    c->started = wall_seconds();
    next(c);
}

/* Seconds it took. */
static double run(side *client, const side *server, const char *body, long count)
{
    chain c = {.client = client, .to = &server->addr, .left = count};
    c.exchange.body = eid_slice_text(body);
    c.exchange.answer_max = LARGE;
    c.exchange.connect_ms = c.exchange.silence_ms = c.exchange.total_ms = 60000;
    c.exchange.done = on_done;
    eid_buf_init(&c.exchange.answer, LARGE);
    eid_loop_call(client->host, start, &c);
    while (__atomic_load_n(&c.over, __ATOMIC_ACQUIRE) == 0)
        nap();
    eid_buf_free(&c.exchange.answer);
    return c.ended - c.started;
}

static void handshakes(const side *server)
{
    double values[HANDSHAKES];
    for (uint32_t i = 0; i < HANDSHAKES; i++) {
        side client;
        open_side(&client, 1000 + i, false);
        values[i] = run(&client, server, "hello", 1) * 1e3;
        close_side(&client);
    }
    record("iroh: handshake and first request", 0, values, HANDSHAKES, "ms");
}

static void requests(const side *server)
{
    double rates[WINDOWS], speeds[WINDOWS];
    side client;
    open_side(&client, 2, false);
    for (int i = 0; i < WINDOWS; i++)
        rates[i] = REQUESTS / WINDOWS / run(&client, server, "hello", REQUESTS / WINDOWS);
    for (int i = 0; i < WINDOWS; i++)
        speeds[i] = (double)LARGE / 1e6 / run(&client, server, "x", 1);
    record("iroh: small requests one by one", 0, rates, WINDOWS, "/s");
    record("iroh: one large answer", 0, speeds, WINDOWS, "MB/s");
    close_side(&client);
}

/* The callers live in a process of their own. */
static void idle_connections(const side *server)
{
    int told[2], finish[2];
    char byte = 0;
    if (pipe(told) != 0 || pipe(finish) != 0)
        exit(1);
    double before = resident_mib();
    pid_t child = fork();
    if (child == 0) {
        side *clients = calloc(CONNECTIONS, sizeof *clients);
        for (uint32_t i = 0; i < CONNECTIONS && clients != NULL; i++) {
            open_side(&clients[i], 10000 + i, false);
            (void)run(&clients[i], server, "hello", 1);
        }
        (void)!write(told[1], &byte, 1);
        (void)!read(finish[0], &byte, 1);
        _exit(0);
    }
    (void)!read(told[0], &byte, 1);
    record_one("iroh: memory of an idle connection", CONNECTIONS,
               (resident_mib() - before) * 1024 / CONNECTIONS, "KiB");
    (void)!write(finish[1], &byte, 1);
    waitpid(child, NULL, 0);
}

void bench_iroh(void)
{
    side server;
    open_side(&server, 1, true);
    idle_connections(&server);
    handshakes(&server);
    requests(&server);
    close_side(&server);
    eid_iroh_addr_clear(&server.addr);
}
