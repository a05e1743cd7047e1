/* SPDX-License-Identifier: Apache-2.0 */
#include "support/iroh.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/testutil.h"
#include "transport/iroh/udp.h"
#include <eidetica/memory.h>

struct ti_node {
    eid_host *host;
    eid_iroh_endpoint *endpoint;
    eid_iroh_addr addr;
    eid_iroh_carrier *carrier;
    eid_iroh_carrier_functions muted;
    const ti_options *options;
    eid_request_handler handler;
    void *ctx;
    size_t answer_max;
    atomic_bool closed;
};

struct ti_call {
    eid_exchange exchange;
    ti_node *node;
    const eid_iroh_addr *to;
    eid_status status;
    char sentence[EID_LIMIT_ERROR_TEXT];
    atomic_bool over;
};

static void nap(void)
{
    struct timespec time = {0, 200000L};
    nanosleep(&time, NULL);
}

static eid_handle_result echo(eid_slice body, const eid_request_origin *origin, eid_buf *answer,
                              eid_source **rest, void *ctx)
{
    (void)origin;
    (void)rest;
    (void)ctx;
    eid_buf_append_slice(answer, body);
    return EID_HANDLED;
}

static void set_up(void *ctx)
{
    ti_node *node = ctx;
    const ti_options *options = node->options;
    eid_iroh_endpoint_options given = {options->alpn, options->request_max,
                                       options->half_open_plus_1 == 0 ? SIZE_MAX
                                                                      : options->half_open_plus_1 - 1};
    uint8_t seed[32];
    eid_keypair *key;
    eid_sockaddr bind;
    eid_iroh_carrier *carrier;
    memset(seed, (int)options->seed, sizeof seed);
    tu_assert_ok(eid_keypair_from_seed(seed, &key));
    tu_assert_ok(eid_iroh_endpoint_new(node->host, key, &given, &node->endpoint));
    eid_keypair_free(key);
    tu_assert_ok(
        eid_sockaddr_parse(eid_slice_text(options->bind == NULL ? "127.0.0.1:0" : options->bind), &bind));
    tu_assert_ok(eid_iroh_udp_open(eid_loop_uv(node->host), &bind, &carrier));
    eid_iroh_endpoint_add_carrier(node->endpoint, carrier);
    node->carrier = carrier;
    node->addr.id = *eid_iroh_endpoint_id(node->endpoint);
    tu_assert_ok(eid_iroh_addr_add_direct(&node->addr, &carrier->local));
    if (!options->deaf)
        eid_iroh_endpoint_accept(node->endpoint, node->handler, node->ctx);
}

ti_node *ti_new(const ti_options *options)
{
    ti_node *node = calloc(1, sizeof *node);
    assert_non_null(node);
    tu_assert_ok(eid_loop_new(&node->host));
    node->options = options;
    node->handler = options->handler != NULL ? options->handler : echo;
    node->ctx = options->ctx;
    node->answer_max = options->answer_max != 0 ? options->answer_max : 1u << 20;
    ti_run(node, set_up, node);
    node->options = NULL;
    return node;
}

static void on_closed(void *ctx)
{
    ti_node *node = ctx;
    node->closed = true;
}

static void take_down(void *ctx)
{
    ti_node *node = ctx;
    eid_iroh_endpoint_close(node->endpoint, on_closed, node);
}

void ti_free(ti_node *node)
{
    ti_run(node, take_down, node);
    while (!node->closed)
        nap();
    node->host->functions->close(node->host);
    eid_iroh_addr_clear(&node->addr);
    free(node);
}

const eid_iroh_addr *ti_addr(const ti_node *node)
{
    return &node->addr;
}

eid_host *ti_host(ti_node *node)
{
    return node->host;
}

eid_iroh_endpoint *ti_endpoint(ti_node *node)
{
    return node->endpoint;
}

void ti_run(ti_node *node, void (*run)(void *ctx), void *ctx)
{
    eid_loop_call(node->host, run, ctx);
}

typedef struct counting {
    ti_node *node;
    eid_iroh_counts counts;
    bool accept;
} counting;

static void count(void *ctx)
{
    counting *c = ctx;
    eid_iroh_endpoint_count(c->node->endpoint, &c->counts);
}

eid_iroh_counts ti_counts(ti_node *node)
{
    counting c = {.node = node};
    ti_run(node, count, &c);
    return c.counts;
}

static void set_accept(void *ctx)
{
    counting *c = ctx;
    eid_iroh_endpoint_accept(c->node->endpoint, c->accept ? c->node->handler : NULL, c->node->ctx);
}

void ti_accept(ti_node *node, bool accept)
{
    counting c = {.node = node, .accept = accept};
    ti_run(node, set_accept, &c);
}

static void drop_batch(eid_iroh_carrier *carrier, const eid_sockaddr *to, const eid_iroh_batch *batch)
{
    (void)carrier;
    (void)to;
    (void)batch;
}

static void mute(void *ctx)
{
    ti_node *node = ctx;
    node->muted = (eid_iroh_carrier_functions){drop_batch, node->carrier->functions->close};
    node->carrier->functions = &node->muted;
}

void ti_mute(ti_node *node)
{
    ti_run(node, mute, node);
}

/* ---- Questions ---- */

static void on_done(eid_exchange *exchange, eid_status status)
{
    ti_call *call = (ti_call *)(void *)exchange;
    call->status = status;
    snprintf(call->sentence, sizeof call->sentence, "%s", status == EID_OK ? "" : eid_last_error());
    call->over = true;
}

static void start_call(void *ctx)
{
    ti_call *call = ctx;
    eid_iroh_endpoint_send(call->node->endpoint, call->to, &call->exchange);
}

static ti_call *ask(ti_node *node, const eid_iroh_addr *to, const void *body, size_t len, uint64_t connect_ms,
                    uint64_t silence_ms, uint64_t total_ms, bool outside_only)
{
    ti_call *call = calloc(1, sizeof *call);
    assert_non_null(call);
    call->node = node;
    call->to = to;
    call->exchange.body = eid_slice_of(body, len);
    call->exchange.answer_max = node->answer_max;
    call->exchange.connect_ms = connect_ms;
    call->exchange.silence_ms = silence_ms;
    call->exchange.total_ms = total_ms;
    call->exchange.outside_only = outside_only;
    call->exchange.done = on_done;
    eid_buf_init(&call->exchange.answer, node->answer_max);
    ti_run(node, start_call, call);
    return call;
}

ti_call *ti_ask_within(ti_node *node, const eid_iroh_addr *to, const void *body, size_t len,
                       uint64_t connect_ms, uint64_t silence_ms, uint64_t total_ms)
{
    return ask(node, to, body, len, connect_ms, silence_ms, total_ms, false);
}

ti_call *ti_ask(ti_node *node, const eid_iroh_addr *to, const void *body, size_t len)
{
    return ask(node, to, body, len, 60000, 60000, 60000, false);
}

ti_call *ti_ask_outside(ti_node *node, const eid_iroh_addr *to, const void *body, size_t len)
{
    return ask(node, to, body, len, 60000, 60000, 60000, true);
}

static void cancel(void *ctx)
{
    ti_call *call = ctx;
    eid_iroh_endpoint_cancel(call->node->endpoint, &call->exchange);
}

void ti_cancel(ti_call *call)
{
    ti_run(call->node, cancel, call);
}

eid_status ti_wait(ti_call *call, eid_slice *answer)
{
    while (!call->over)
        nap();
    if (answer != NULL)
        *answer = eid_buf_slice(&call->exchange.answer);
    return call->status == EID_OK ? EID_OK : eid_fail(call->status, "%s", call->sentence);
}

void ti_forget(ti_call *call)
{
    (void)ti_wait(call, NULL);
    eid_buf_free(&call->exchange.answer);
    free(call);
}

eid_status ti_try(ti_node *node, const eid_iroh_addr *to, const void *body, size_t len)
{
    ti_call *call = ti_ask(node, to, body, len);
    (void)ti_wait(call, NULL);
    eid_status status = call->status;
    char sentence[EID_LIMIT_ERROR_TEXT];
    snprintf(sentence, sizeof sentence, "%s", call->sentence);
    ti_forget(call);
    return status == EID_OK ? EID_OK : eid_fail(status, "%s", sentence);
}
