/* SPDX-License-Identifier: Apache-2.0 */
/* UDP sockets as carriers. */
#ifndef EID_TRANSPORT_IROH_UDP_H
#define EID_TRANSPORT_IROH_UDP_H

#include <uv.h>

#include "transport/iroh/carrier.h"

/* Bound to that address, port 0 picks one; its `local` tells which. IPv6 sockets take no IPv4. The engine's
 * thread. EID_ERR_SERVER_BIND. */
eid_status eid_iroh_udp_open(uv_loop_t *loop, const eid_sockaddr *bind_address, eid_iroh_carrier **out);

#endif
