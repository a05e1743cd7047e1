/* SPDX-License-Identifier: Apache-2.0 */
/* An Iroh endpoint: one key, any number of QUIC connections in both roles, requests and answers on them. One
 * bidirectional stream carries one request: a body and its end, then the other side's body and its end
 * (sync-protocol.md section 8.1).
 *
 * Lives on the engine's loop and is called there alone.
 */
#ifndef EID_TRANSPORT_IROH_ENDPOINT_H
#define EID_TRANSPORT_IROH_ENDPOINT_H

#include "sync/transport.h"
#include "transport/iroh/carrier.h"
#include "transport/loop.h"

typedef struct eid_iroh_endpoint_options {
    const char *alpn;   /* NULL: eidetica/v0 */
    size_t request_max; /* bytes of a request's body taken from a peer; 0: EID_LIMIT_IROH_BODY */
    size_t half_open;   /* handshakes under way above which callers have to prove their address by Retry;
                         * SIZE_MAX: EID_LIMIT_IROH_HALF_OPEN */
} eid_iroh_endpoint_options;

/* `host` was made by eid_loop_new; the key is copied. Takes no connections yet. */
eid_status eid_iroh_endpoint_new(eid_host *host, const eid_keypair *key,
                                 const eid_iroh_endpoint_options *options, eid_iroh_endpoint **out);
/* A relay at which callers find the endpoint from now on; it stays connected. Relays that peers' addresses name are connected to
 * when there is no other way. EID_ERR_LIMIT. */
eid_status eid_iroh_endpoint_add_home(eid_iroh_endpoint *endpoint, const char *url);
/* Closes every connection (code 0), ends what is under way (EID_ERR_CANCELLED) and frees when the loop and
 * the hands have let go of it; `closed` is called then. */
void eid_iroh_endpoint_close(eid_iroh_endpoint *endpoint, void (*closed)(void *ctx), void *ctx);
const eid_pubkey *eid_iroh_endpoint_id(const eid_iroh_endpoint *endpoint);

/* From now on callers are let in, and what they ask goes to the handler, on hands; NULL: they are refused
 * again, those that are in are served no more. */
void eid_iroh_endpoint_accept(eid_iroh_endpoint *endpoint, eid_request_handler handler, void *ctx);
/* Requests of peers that are with the handler or whose answer is on its way. */
size_t eid_iroh_endpoint_open_requests(const eid_iroh_endpoint *endpoint);

/* Sends the body to the endpoint `to` (copied) and brings the answer, see eid_exchange; `address` is not
 * looked at. Over the connection that there is, else all direct addresses are tried at once. */
void eid_iroh_endpoint_send(eid_iroh_endpoint *endpoint, const eid_iroh_addr *to, eid_exchange *exchange);
void eid_iroh_endpoint_cancel(eid_iroh_endpoint *endpoint, eid_exchange *exchange);

typedef struct eid_iroh_counts {
    size_t connections; /* that stand */
    size_t half_open;   /* calls of peers whose handshake goes on */
    size_t ended;       /* closed, remembered for late packets */
    uint64_t retries;   /* sent */
    uint64_t resets;    /* stateless ones, sent */
} eid_iroh_counts;
void eid_iroh_endpoint_count(const eid_iroh_endpoint *endpoint, eid_iroh_counts *out);

#endif
