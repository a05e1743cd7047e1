/* SPDX-License-Identifier: Apache-2.0 */
/* A host without threads for engines in tests, on a clock that only tests move, and a transport that leads straight to
 * other nodes: everything happens in the order the test lets it happen, the same each time. */
#ifndef EID_TESTS_SYNC_MANUAL_H
#define EID_TESTS_SYNC_MANUAL_H

#include "node.h"

typedef struct manual_host manual_host;

/* Changes an answer on its way back; returns EID_OK, or the failure of the exchange instead. */
typedef eid_status (*manual_twist)(const char *address, eid_slice body, eid_buf *answer, void *ctx);

/* Puts the node on a host of its own and gives it a transport of this type (NULL: "direct") that leads from an address to the
 * node added under it. Instead of the HTTP transport: open the node with node_open_bare. */
manual_host *manual_attach(node *n, const char *type);
void manual_set_clock(manual_host *host, const manual_host *like); /* for hosts that come later */
void manual_add(manual_host *host, const char *address, node *to);
void manual_remove(manual_host *host, const char *address); /* exchanges with it fail from now on */
void manual_set_twist(manual_host *host, manual_twist twist, void *ctx);
/* Whoever this host asks speaks the streamed form. */
void manual_set_streams(manual_host *host, bool streams);
/* The address answers nothing until told otherwise; then what waits for it fails as after a deadline. */
void manual_set_silent(manual_host *host, const char *address, bool silent);
size_t manual_exchanges(const manual_host *host); /* started so far */
size_t manual_bytes(const manual_host *host);     /* of bodies and answers so far */
size_t manual_under_way(const manual_host *host); /* exchanges that wait for an answer */

/* Lets everything happen that is due now, on all of these hosts in turn. */
void manual_settle(manual_host *const *hosts, size_t count);
/* Moves the clocks of all of them, one thing at a time. */
void manual_pass(manual_host *const *hosts, size_t count, uint64_t ms);

#endif
