/* SPDX-License-Identifier: Apache-2.0 */
/* A few nodes on hosts without threads, each reachable by its name. */
#ifndef EID_TESTS_SYNC_NET_H
#define EID_TESTS_SYNC_NET_H

#include "manual.h"

#define NET_MOST 8

typedef struct net {
    node nodes[NET_MOST];
    manual_host *hosts[NET_MOST];
    eid_pubkey keys[NET_MOST]; /* device keys */
    size_t count;
    eid_id id;                 /* of the database all of them share */
    eid_database *handles[NET_MOST];
} net;

/* Nodes "0", "1", … that reach each other under these names. */
net *net_open(size_t count);
void net_close(net *n);
/* Node 0 makes a database that everybody may write to; the others fetch it. Each shares it with these settings, knows node 0
 * and is known to it, with address. */
void net_share(net *n, const eid_sync_settings *settings);
/* Nodes a and b know each other, with addresses, and both take part in the database. */
void net_join(net *n, size_t a, size_t b);
void net_settle(net *n);
void net_pass(net *n, uint64_t ms);
size_t net_exchanges(const net *n);
/* True when all hold the same entries and show the same state. */
bool net_agrees(net *n);
/* Closes node i and opens it again from its file; only for nodes opened with net_open_file. */
void net_restart(net *n, size_t i);
/* Replaces node i, before anything happened, by one in a file of this directory. */
void net_put_in_file(net *n, size_t i, const char *dir);

#endif
