/* SPDX-License-Identifier: Apache-2.0 */
/* The seam between sync and the network: a transport carries one request body to an address and brings one
 * answer body back, and hands incoming bodies to a handler. Sync knows no sockets; transports know no
 * messages. Tests and the simulator bring transports of their own.
 *
 * Two peers of this library speak another form of the protocol (stream.h), in which an answer may be of any length: it is
 * made while it is sent and taken while it comes, and whoever is slower holds the other up. A transport that can carry it
 * tells so of each peer it met; one that can not ignores what is said of it here, and peers get on without.
 */
#ifndef EID_SYNC_TRANSPORT_H
#define EID_SYNC_TRANSPORT_H

#include <eidetica/sync.h>

#include "base/buf.h"
#include "sync/host.h"

/* Where an incoming request came from. */
typedef struct eid_request_origin {
    const char *transport; /* "http" */
    const char *address;   /* text of the remote end */
    const char *peer;      /* device key the sender claims, as text, unproven: good for saving work, never for rights;
                            * NULL when it claims none */
    bool stream;           /* the body is of the streamed form, and the answer has to be */
    size_t answer_max;     /* bytes of an answer the sender takes: more entries come in parts, see message.h; 0: any number */
} eid_request_origin;

/* What follows the beginning of an answer: made while it is sent, as fast as the receiver takes it. One thread at a time. */
typedef struct eid_source eid_source;
struct eid_source {
    /* Appends the next bytes to `out`, some ten thousand; none: the end. After a failure the answer is broken off so that the
     * receiver can tell. */
    eid_status (*read)(eid_source *source, eid_buf *out);
    void (*close)(eid_source *source); /* frees it; also when it was not read to its end */
};

/* How the body was received; a transport turns it into its own refusal (HTTP status 400, 422, …). */
typedef enum eid_handle_result {
    EID_HANDLED,          /* `answer` holds a complete answer body */
    EID_BODY_MALFORMED,   /* not JSON: HTTP 400; `answer` holds plain text */
    EID_BODY_WRONG_SHAPE, /* JSON of the wrong shape: HTTP 422; `answer` holds plain text */
    EID_HANDLER_FAILED    /* memory or storage: HTTP 500 */
} eid_handle_result;

/* Called on threads of the transport, several at once. *rest is NULL before, and is given only for the streamed form: what
 * follows `answer`; the transport closes it. */
typedef eid_handle_result (*eid_request_handler)(eid_slice body, const eid_request_origin *origin, eid_buf *answer,
                                                 eid_source **rest, void *ctx);

/* One request under way. The memory is the caller's until `done` was called. */
typedef struct eid_exchange eid_exchange;
struct eid_exchange {
    /* What is asked for. Lent. */
    const char *address;
    eid_slice body;
    const char *peer;      /* the own device key, for the origin's `peer`; NULL: say nothing */
    size_t answer_max;     /* bytes; EID_ERR_LIMIT beyond */
    uint64_t connect_ms;   /* until the connection stands */
    uint64_t silence_ms;   /* without a byte either way */
    uint64_t total_ms;     /* in all */
    bool outside_only;     /* never to link-local, metadata and other special addresses, also when a name leads there */
    bool stream;           /* the body is of the streamed form: only for peers that speak it */
    bool peer_streams;     /* set by the transport before `done`, also after failures: whoever answered speaks it */
    /* Not NULL: the answer is taken piece by piece. Called on the engine's thread when bytes were appended to `answer`, also from
     * inside `send` and `resume`; they may be taken out on that thread at any time until `done`. While EID_LIMIT_STREAM_HELD
     * of them or more wait there, the transport reads no further, until `resume`. */
    void (*arrived)(eid_exchange *exchange);
    /* Bytes of the answer so far and in all (0: unknown). The engine's thread. May be NULL. */
    void (*progress)(eid_exchange *exchange, uint64_t received, uint64_t total);
    /* Called once, on the engine's thread; also from inside `send` and `cancel`. A failure leaves its sentence in
     * eid_last_error(): EID_ERR_CONNECTION_FAILED, EID_ERR_TIMEOUT, EID_ERR_NETWORK, EID_ERR_LIMIT,
     * EID_ERR_INVALID_ADDRESS, EID_ERR_CANCELLED. */
    void (*done)(eid_exchange *exchange, eid_status status);
    eid_buf answer;        /* initialised by the caller; what came is appended */
    void *state;           /* of the transport */
};

typedef struct eid_transport eid_transport;

typedef struct eid_transport_functions {
    /* Starts the exchange; never waits. The engine's thread. */
    void (*send)(eid_transport *transport, eid_exchange *exchange);
    /* Breaks off an exchange that is under way: `done` is called with EID_ERR_CANCELLED before this returns. The engine's
     * thread. */
    void (*cancel)(eid_transport *transport, eid_exchange *exchange);
    /* Bytes were taken out of the answer of an exchange that is under way. The engine's thread. NULL in transports that do not
     * carry the streamed form. */
    void (*resume)(eid_transport *transport, eid_exchange *exchange);
    /* Starts serving; may wait a little. EID_ERR_SERVER_ALREADY_RUNNING, EID_ERR_SERVER_BIND, EID_ERR_UNSUPPORTED. */
    eid_status (*start)(eid_transport *transport, const char *bind_address, eid_request_handler handler,
                        void *ctx);
    eid_status (*stop)(eid_transport *transport); /* EID_ERR_SERVER_NOT_RUNNING; waits for open requests */
    /* Where the server can be reached: addresses peers can use, one a line. eid_free; EID_ERR_SERVER_NOT_RUNNING */
    eid_status (*server_address)(eid_transport *transport, char **out);
    /* Stops, breaks off what is under way (`done` is called on the engine's thread), frees. Not from the engine's
     * thread. */
    void (*close)(eid_transport *transport);
} eid_transport_functions;

struct eid_transport {
    const eid_transport_functions *functions;
    const char *type; /* "http", "iroh"; static: what peers call it */
};

/* The host of the sync object's engine. The first transport to come makes it by `make` and starts the engine with it.
 * Lent: lives until the sync object is closed. */
eid_status eid_sync_host(eid_sync *sync, eid_status (*make)(eid_host **out), eid_host **out);

/* Adds a transport under a name of this instance (NULL: its type) to the sync object, which owns it from then on (also when
 * this fails: it is closed). One that had the name is replaced and closed. */
eid_status eid_sync_add_transport(eid_sync *sync, const char *name, eid_transport *transport);
bool eid_sync_has_transport(eid_sync *sync, const char *name);

/* ---- What is kept of a transport in `_sync`, so that it can be made again ---- */

eid_status eid_sync_check_transport_name(const char *name); /* EID_ERR_INVALID_ARGUMENT */
/* Keeps its type, such as "http:v0", and its configuration, without secrets; nothing is written when it is the same. `config` NULL:
 * forgets it. */
eid_status eid_sync_keep_transport(eid_sync *sync, const char *name, const char *type, const eid_doc *config);
/* The configuration; eid_doc_free. EID_ERR_NOT_FOUND, EID_ERR_TYPE_MISMATCH for one of another type, EID_ERR_CORRUPT. */
eid_status eid_sync_kept_transport(eid_sync *sync, const char *name, const char *type, eid_doc **out);
/* Calls for each name that is kept, until one fails. */
eid_status eid_sync_each_kept_transport(eid_sync *sync, eid_status (*each)(eid_sync *sync, const char *name, void *ctx),
                                        void *ctx);
/* The key of a transport: the instance's named key of that name, made when there is none. A copy, eid_keypair_free. */
eid_status eid_sync_transport_key(eid_sync *sync, const char *name, eid_keypair **out);

#endif
