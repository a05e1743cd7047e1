/* SPDX-License-Identifier: Apache-2.0 */
/* The two halves of a relay: HTTP, which lets clients in (relay_http.c), and what happens to them afterwards
 * (relay.c). */
#ifndef EID_TRANSPORT_IROH_RELAY_INT_H
#define EID_TRANSPORT_IROH_RELAY_INT_H

#include <eidetica/relay.h>

#include "base/buf.h"
#include "transport/iroh/relay_frame.h"

struct MHD_UpgradeResponseHandle;

/* Somebody whose connection has become a WebSocket. */
typedef struct eid_relay_newcomer {
    struct eid_relay_newcomer *next;
    int fd;
    struct MHD_UpgradeResponseHandle *handle;
    eid_buf early;    /* bytes that came with the request */
    unsigned version; /* of the protocol */
    bool proven;      /* by the header: `id` is theirs */
    eid_pubkey id;
} eid_relay_newcomer;

/* Hands somebody over to the relay's loop, which closes the connection with eid_relay_http_end. Any thread.
 */
void eid_relay_admit(eid_relay *relay, eid_relay_newcomer *newcomer);

typedef struct eid_relay_http eid_relay_http;
eid_status eid_relay_http_start(const eid_relay_options *options, eid_relay *relay, eid_relay_http **out,
                                char **address);
/* Lets nobody in any more. */
void eid_relay_http_quiesce(eid_relay_http *http);
/* Everybody who was let in has been ended. */
void eid_relay_http_stop(eid_relay_http *http);
void eid_relay_http_end(struct MHD_UpgradeResponseHandle *handle);

#endif
