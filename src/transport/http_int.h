/* SPDX-License-Identifier: Apache-2.0 */
/* The two halves of the HTTP transport (sync-protocol.md section 7): each usable alone, joined in http.c. */
#ifndef EID_TRANSPORT_HTTP_INT_H
#define EID_TRANSPORT_HTTP_INT_H

#include "sync/transport.h"

#define EID_HTTP_PATH "/api/v0"

/* ---- Server ---- */

typedef struct eid_http_server eid_http_server;

/* Serves POST /api/v0 on a numeric address ("127.0.0.1:0", "[::1]:8080"). EID_ERR_SERVER_BIND with one
 * sentence. */
eid_status eid_http_server_start(const char *bind_address, eid_request_handler handler, void *ctx,
                                 eid_http_server **out);
/* Takes no new connections, waits for requests being served (at most EID_LIMIT_HTTP_STOP_MS), frees. NULL is
 * allowed. */
void eid_http_server_stop(eid_http_server *server);
/* "127.0.0.1:40123", with the port that was really taken. Lent. */
const char *eid_http_server_address(const eid_http_server *server);

/* ---- Client ---- */

typedef struct eid_http_limits {
    long connect_ms;
    long stall_s; /* less than EID_LIMIT_HTTP_RATE for so long: given up */
    size_t response_bytes;
} eid_http_limits;

typedef struct eid_http_client eid_http_client;

eid_status eid_http_client_new(const eid_http_limits *limits, eid_http_client **out);
void eid_http_client_free(eid_http_client *client); /* no request may be running; NULL is allowed */

/* POSTs the body to http://ADDRESS/api/v0 and appends the answer. Any thread, several at once. Connections
 * are kept for later requests. Redirects are not followed: whoever is asked answers. Proxy settings of the
 * environment are ignored. EID_ERR_INVALID_ADDRESS, EID_ERR_CONNECTION_FAILED, EID_ERR_TIMEOUT,
 * EID_ERR_NETWORK (also any status other than 2xx), EID_ERR_LIMIT. */
eid_status eid_http_client_request(eid_http_client *client, const char *address, eid_slice body,
                                   eid_buf *answer);

#endif
