/* SPDX-License-Identifier: Apache-2.0 */
/* What keeps a server usable while somebody tries to use it up: a bound on requests of one remote address, and an end to
 * connections that are kept open by a byte now and then (libmicrohttpd only sees whether any byte came). */
#ifndef EID_TRANSPORT_HTTP_GUARD_H
#define EID_TRANSPORT_HTTP_GUARD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/status.h"

typedef struct eid_http_guard eid_http_guard;
typedef struct eid_guarded eid_guarded; /* one connection */

/* Starts a thread that looks at the connections every second. */
eid_status eid_http_guard_new(uint32_t requests_per_minute, uint64_t head_ms, eid_http_guard **out);
/* No connection may be left. NULL is allowed. */
void eid_http_guard_free(eid_http_guard *guard);

/* True when the address may make a request now, and counts it. A burst of half a minute's worth is let through. */
bool eid_http_guard_allow(eid_http_guard *guard, const struct sockaddr *address);

/* A connection came; NULL without memory (it is then not watched). It must send a whole request head within
 * `head_ms`, or is shut. */
eid_guarded *eid_http_guard_enter(eid_http_guard *guard, int fd);
/* From now on so many milliseconds until something is complete: a body, an answer; 0: the next head. NULL is allowed. */
void eid_http_guard_expect(eid_http_guard *guard, eid_guarded *connection, uint64_t within_ms);
/* Before the descriptor is closed. */
void eid_http_guard_leave(eid_http_guard *guard, eid_guarded *connection);

#endif
