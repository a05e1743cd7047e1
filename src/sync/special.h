/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses that are no peers' but the network's own. */
#ifndef EID_SYNC_SPECIAL_H
#define EID_SYNC_SPECIAL_H

#include <stdbool.h>
#include <sys/socket.h>

/* Link-local, cloud metadata, unspecified, multicast and reserved addresses; IPv4 ones also in their IPv6 forms. Where a
 * stranger's record sends us there, it is not to find a peer. */
bool eid_special_address(const struct sockaddr *address);
/* 127.0.0.0/8 and ::1. */
bool eid_loopback_address(const struct sockaddr *address);

#endif
