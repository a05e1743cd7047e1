/* SPDX-License-Identifier: Apache-2.0 */
/* The two halves of the HTTP transport (sync-protocol.md section 7): each usable alone, joined in http.c. */
#ifndef EID_TRANSPORT_HTTP_INT_H
#define EID_TRANSPORT_HTTP_INT_H

#include <sys/socket.h>

#include "sync/transport.h"
#include "transport/loop.h"

/* The sender's device key, for eid_request_origin.peer. */
#define EID_HTTP_PEER_HEADER "Eidetica-Peer"
#define EID_HTTP_NAME        "http"
#define EID_HTTP_PATH        "/api/v0"
/* The streamed form: its content type, which a client that speaks it also accepts, and how a server tells such a client that it
 * speaks it too. */
#define EID_HTTP_STREAM_TYPE    "application/vnd.eidetica.stream"
#define EID_HTTP_STREAM_HEADER  "Eidetica-Stream"
#define EID_HTTP_STREAM_VERSION "1"
#define EID_HTTP_HEALTH_PATH "/health"

/* Readies libcurl, once for the process. */
eid_status eid_curl_init(void);

/* ---- Server ---- */

typedef struct eid_http_server eid_http_server;

typedef struct eid_http_server_options {
    char *certificate_pem; /* NULL: http, else https with the key below */
    char *private_key_pem;
    uint32_t requests_per_minute; /* of one remote address; 0: EID_LIMIT_HTTP_REQUESTS_PER_MINUTE */
    uint32_t connections;         /* 0: EID_LIMIT_HTTP_CONNECTIONS */
    uint32_t connections_per_address; /* 0: EID_LIMIT_HTTP_CONNECTIONS_PER_IP */
    uint64_t head_ms;             /* for a request's head; 0: EID_LIMIT_HTTP_HEAD_MS */
    uint64_t body_ms;             /* for its body; 0: EID_LIMIT_HTTP_UPLOAD_MS */
} eid_http_server_options;

/* Serves POST /api/v0 and GET /health on a numeric address ("127.0.0.1:0", "[::1]:8080"). `options` (NULL: defaults) is
 * used until it has started. EID_ERR_SERVER_BIND with one sentence. */
eid_status eid_http_server_start(const char *bind_address, const eid_http_server_options *options,
                                 eid_request_handler handler, void *ctx, eid_http_server **out);
/* Takes no new connections, waits for requests being served (at most EID_LIMIT_HTTP_STOP_MS), frees. NULL is
 * allowed. */
void eid_http_server_stop(eid_http_server *server);
/* "127.0.0.1:40123", with the port that was really taken. Lent. */
const char *eid_http_server_address(const eid_http_server *server);

/* "192.0.2.1" or "[2001:db8::1]"; at most 64 bytes. */
void eid_http_format_ip(const struct sockaddr *address, char out[64]);

/* ---- Client ---- */

typedef struct eid_http_client eid_http_client;

/* On the loop of a host made by eid_loop_new. `trusted_file` (may be NULL) names certificates in PEM that https peers may
 * have, in place of those the system trusts. Not from a thread of the host, as eid_http_client_free. */
eid_status eid_http_client_new(eid_host *host, const char *trusted_file, eid_http_client **out);
/* Breaks off what is under way. NULL is allowed. */
void eid_http_client_free(eid_http_client *client);

/* POSTs the body to http://ADDRESS/api/v0, or ADDRESS/api/v0 where the address begins with https://. The engine's thread.
 * Connections are kept for later requests. Redirects are not followed: whoever is asked answers. Proxy settings of the
 * environment are ignored. */
void eid_http_client_send(eid_http_client *client, eid_exchange *exchange);
void eid_http_client_resume(eid_http_client *client, eid_exchange *exchange);
void eid_http_client_cancel(eid_http_client *client, eid_exchange *exchange);

/* ---- Both, as a transport: http.c ---- */

/* Made by complete options, and handed to the sync object. */
eid_status eid_http_transport_add(eid_sync *sync, const char *name, const eid_http_options *options);
/* By what `_sync` keeps under this name, unless it is there. EID_ERR_NOT_FOUND, EID_ERR_TYPE_MISMATCH. */
eid_status eid_http_transport_restore(eid_sync *sync, const char *name);

#endif
