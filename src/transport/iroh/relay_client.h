/* SPDX-License-Identifier: Apache-2.0 */
/* Being connected to a relay, as a carrier of datagrams (iroh-wire.md sections 5.3 and 5.4).
 *
 * The connection is made on a thread of its own (it may take long, and strangers name relays), comes back by itself when it is lost, and answers pings; while it is
 * down, datagrams are lost, which QUIC mends. Everything but the connecting happens on the engine's thread.
 */
#ifndef EID_TRANSPORT_IROH_RELAY_CLIENT_H
#define EID_TRANSPORT_IROH_RELAY_CLIENT_H

#include "transport/iroh/carrier.h"
#include "transport/loop.h"

typedef struct eid_iroh_relay eid_iroh_relay;

typedef enum eid_iroh_relay_state {
    EID_IROH_RELAY_CONNECTING,
    EID_IROH_RELAY_UP,
    EID_IROH_RELAY_WAITING, /* for the next attempt */
    EID_IROH_RELAY_REPLACED /* up, but another connection with our key gets what is for us */
} eid_iroh_relay_state;

typedef struct eid_iroh_relay_options {
    const char *url;          /* in the form of eid_iroh_relay_url; copied */
    const char *trusted_file; /* PEM certificates; NULL: those the system trusts; copied */
    bool outside_only;        /* a peer named it: not to special addresses */
    /* Called on the engine's thread when the state changed, and once, after it was closed, when nothing of it is left, before
     * which the host may not be closed. NULL: not wanted. */
    void (*changed)(void *ctx);
    void (*gone)(void *ctx);
    void *ctx;
} eid_iroh_relay_options;

/* Begins to connect. The key is copied. `host` was made by eid_loop_new. The relay is a carrier: give it to
 * an endpoint, which closes it, or close it by its function. */
eid_status eid_iroh_relay_new(eid_host *host, const eid_keypair *key, const eid_iroh_relay_options *options,
                              eid_iroh_relay **out);
eid_iroh_carrier *eid_iroh_relay_carrier(eid_iroh_relay *relay);
eid_iroh_relay_state eid_iroh_relay_get_state(const eid_iroh_relay *relay);
const char *eid_iroh_relay_get_url(const eid_iroh_relay *relay); /* lent */

/* Whether it ever was up: before, no connection can have used it. */
bool eid_iroh_relay_was_up(const eid_iroh_relay *relay);

/* The address that stands for an endpoint behind this relay; the same as long as it is in use. */
eid_status eid_iroh_relay_address(eid_iroh_relay *relay, const eid_pubkey *id, eid_sockaddr *out);

#endif
