/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to a relay that has become a WebSocket (iroh-wire.md section 5.1), by libcurl, which knows
 * proxies' absence, TLS and the certificates of the world. */
#ifndef EID_TRANSPORT_IROH_RELAY_LINE_H
#define EID_TRANSPORT_IROH_RELAY_LINE_H

#include <curl/curl.h>
#include <stdatomic.h>

#include "base/buf.h"

typedef struct eid_relay_line {
    CURL *curl;
    int fd;        /* to wait on; libcurl's */
    bool special;  /* while connecting: the address was one not to be gone to */
    eid_buf early; /* bytes that came with the answer */
} eid_relay_line;

typedef struct eid_relay_line_options {
    const char *url;          /* in the form of eid_iroh_relay_url */
    const char *trusted_file; /* PEM certificates; NULL: those the system trusts */
    bool outside_only;        /* not to link-local and metadata addresses: a stranger named the relay */
    const atomic_bool
        *cancelled; /* looked at while connecting; becomes true when nobody wants the line any more */
} eid_relay_line_options;

/* Connects, at most EID_LIMIT_RELAY_CONNECT_MS. Blocks. EID_ERR_CONNECTION_FAILED with the reason. */
eid_status eid_relay_line_open(const eid_relay_line_options *options, eid_relay_line *out);
void eid_relay_line_close(eid_relay_line *line);

/* Never block: *len becomes what was done, 0 when nothing can be now. EID_ERR_NETWORK when the connection is
 * lost. */
eid_status eid_relay_line_send(eid_relay_line *line, eid_slice bytes, size_t *len);
eid_status eid_relay_line_recv(eid_relay_line *line, void *bytes, size_t size, size_t *len);

#endif
