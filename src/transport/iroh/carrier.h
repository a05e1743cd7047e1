/* SPDX-License-Identifier: Apache-2.0 */
/* What carries the datagrams of an endpoint: UDP sockets (udp.c), or a relay. An endpoint has any number of
 * carriers and one QUIC connection may move from one to another; QUIC tells them apart by their local address
 * alone. A carrier whose ends have no socket addresses takes invented ones that stand for them (for a relay:
 * unique-local IPv6 addresses, one for itself and one for each endpoint ID behind it); they never leave the
 * process.
 *
 * Everything happens on the engine's thread.
 */
#ifndef EID_TRANSPORT_IROH_CARRIER_H
#define EID_TRANSPORT_IROH_CARRIER_H

#include "transport/iroh/addr.h"

typedef struct eid_iroh_endpoint eid_iroh_endpoint;
typedef struct eid_iroh_carrier eid_iroh_carrier;

/* Datagrams of one size, the last one may be shorter, one behind the other. */
typedef struct eid_iroh_batch {
    const uint8_t *data; /* lent for the call */
    size_t len;
    size_t segment; /* bytes of each; len when there is one */
    uint8_t ecn;    /* the two bits of RFC 3168 */
} eid_iroh_batch;

typedef struct eid_iroh_carrier_functions {
    /* Never waits. Either the batch is sent (or lost, which QUIC mends), or the carrier keeps it, sets
     * `blocked`, and calls eid_iroh_carrier_ready when it is gone. Not called while `blocked`. */
    void (*send)(eid_iroh_carrier *carrier, const eid_sockaddr *to, const eid_iroh_batch *batch);
    /* Frees. The endpoint calls it when it is closed itself. */
    void (*close)(eid_iroh_carrier *carrier);
} eid_iroh_carrier_functions;

struct eid_iroh_carrier {
    const eid_iroh_carrier_functions *functions;
    eid_sockaddr local;
    bool blocked;
    bool relayed; /* a detour: other ways are better */
    /* Of the endpoint. */
    eid_iroh_endpoint *endpoint;
    eid_iroh_carrier *next;
};

/* Gives the endpoint another carrier, which it owns from then on. */
void eid_iroh_endpoint_add_carrier(eid_iroh_endpoint *endpoint, eid_iroh_carrier *carrier);
/* What came. */
void eid_iroh_carrier_receive(eid_iroh_carrier *carrier, const eid_sockaddr *from,
                              const eid_iroh_batch *batch);
/* `blocked` was reset: whoever waited may send. */
void eid_iroh_carrier_ready(eid_iroh_carrier *carrier);

#endif
