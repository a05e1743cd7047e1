/* SPDX-License-Identifier: Apache-2.0 */
/* The seam between sync and the network: a transport carries one request body to an address and brings one
 * answer body back, and hands incoming bodies to a handler. Sync knows no sockets; transports know no
 * messages. Tests and the simulator bring transports of their own.
 */
#ifndef EID_SYNC_TRANSPORT_H
#define EID_SYNC_TRANSPORT_H

#include <eidetica/sync.h>

#include "base/buf.h"

/* Where an incoming request came from. */
typedef struct eid_request_origin {
    const char *transport; /* "http" */
    const char *address;   /* text of the remote end */
} eid_request_origin;

/* How the body was received; a transport turns it into its own refusal (HTTP status 400, 422, …). */
typedef enum eid_handle_result {
    EID_HANDLED,          /* `answer` holds a complete answer body */
    EID_BODY_MALFORMED,   /* not JSON: HTTP 400; `answer` holds plain text */
    EID_BODY_WRONG_SHAPE, /* JSON of the wrong shape: HTTP 422; `answer` holds plain text */
    EID_HANDLER_FAILED    /* memory or storage: HTTP 500 */
} eid_handle_result;

/* Called on threads of the transport, several at once. */
typedef eid_handle_result (*eid_request_handler)(eid_slice body, const eid_request_origin *origin,
                                                 eid_buf *answer, void *ctx);

typedef struct eid_transport eid_transport;

typedef struct eid_transport_functions {
    /* Sends `body`, waits for the whole answer; appends it to `answer`. EID_ERR_CONNECTION_FAILED,
     * EID_ERR_TIMEOUT, EID_ERR_NETWORK, EID_ERR_LIMIT. Any thread, several at once. */
    eid_status (*request)(eid_transport *transport, const char *address, eid_slice body, eid_buf *answer);
    /* Starts serving. EID_ERR_SERVER_ALREADY_RUNNING, EID_ERR_SERVER_BIND. */
    eid_status (*start)(eid_transport *transport, const char *bind_address, eid_request_handler handler,
                        void *ctx);
    eid_status (*stop)(eid_transport *transport); /* EID_ERR_SERVER_NOT_RUNNING; waits for open requests */
    eid_status (*server_address)(eid_transport *transport,
                                 char **out); /* eid_free; EID_ERR_SERVER_NOT_RUNNING */
    void (*close)(eid_transport *transport);  /* stops, frees */
} eid_transport_functions;

struct eid_transport {
    const eid_transport_functions *functions;
    const char *type; /* "http", "iroh"; static */
};

/* Adds a transport to the sync object, which owns it from then on (also when this fails: it is closed). A
 * transport of the same type is replaced. */
eid_status eid_sync_add_transport(eid_sync *sync, eid_transport *transport);
bool eid_sync_has_transport(eid_sync *sync, const char *type);

#endif
