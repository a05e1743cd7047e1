/* SPDX-License-Identifier: Apache-2.0 */
/* An Iroh endpoint on a loop of its own, and questions to it that are waited for. */
#ifndef EID_TESTS_IROH_H
#define EID_TESTS_IROH_H

#include "transport/iroh/endpoint.h"

typedef struct ti_node ti_node;

typedef struct ti_options {
    unsigned seed;               /* the key is 32 of these bytes */
    const char *bind;            /* NULL: 127.0.0.1:0 */
    eid_request_handler handler; /* NULL: answers with the body; ctx is its own */
    void *ctx;
    bool deaf; /* takes no calls */
    const char *alpn;
    size_t request_max, answer_max;
    size_t half_open_plus_1; /* 0: the default */
} ti_options;

ti_node *ti_new(const ti_options *options);
void ti_free(ti_node *node);
const eid_iroh_addr *ti_addr(const ti_node *node); /* its ID and where it is bound */
eid_host *ti_host(ti_node *node);
eid_iroh_endpoint *ti_endpoint(ti_node *node);
eid_iroh_counts ti_counts(ti_node *node);
/* Runs on the node's thread. */
void ti_run(ti_node *node, void (*run)(void *ctx), void *ctx);
void ti_accept(ti_node *node, bool accept);
/* What it sends from now on is lost, as when its process were killed. */
void ti_mute(ti_node *node);

/* One question. */
typedef struct ti_call ti_call;
ti_call *ti_ask(ti_node *node, const eid_iroh_addr *to, const void *body, size_t len);
/* The same with its own patience. */
ti_call *ti_ask_within(ti_node *node, const eid_iroh_addr *to, const void *body, size_t len,
                       uint64_t connect_ms, uint64_t silence_ms, uint64_t total_ms);
/* To an address a stranger named. */
ti_call *ti_ask_outside(ti_node *node, const eid_iroh_addr *to, const void *body, size_t len);
void ti_cancel(ti_call *call);
/* Waits; the status and its sentence in eid_last_error(). The answer is lent until ti_forget. */
eid_status ti_wait(ti_call *call, eid_slice *answer);
void ti_forget(ti_call *call);
/* All in one, for answers that do not matter. */
eid_status ti_try(ti_node *node, const eid_iroh_addr *to, const void *body, size_t len);

#endif
