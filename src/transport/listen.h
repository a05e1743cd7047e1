/* SPDX-License-Identifier: Apache-2.0 */
/* Listening TCP sockets of servers. */
#ifndef EID_TRANSPORT_LISTEN_H
#define EID_TRANSPORT_LISTEN_H

#include "transport/iroh/addr.h"

/* Listens on a numeric address such as "127.0.0.1:8080" or "[::1]:0"; port 0 picks one. `actual` is where it listens. The
 * socket does not block. EID_ERR_SERVER_BIND. */
eid_status eid_listen(const char *bind_address, int *fd, char actual[EID_SOCKADDR_TEXT_SIZE]);

#endif
