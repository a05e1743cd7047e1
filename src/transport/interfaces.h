/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses of this machine that others can use: "all addresses" can not be dialled. */
#ifndef EID_TRANSPORT_INTERFACES_H
#define EID_TRANSPORT_INTERFACES_H

#include <stdbool.h>
#include <sys/socket.h>

/* Calls `visit` for each address of an interface that is up, without loopback, link-local and other special
 * ones. */
void eid_interfaces_visit(bool v4, bool v6, void (*visit)(const struct sockaddr *address, void *ctx),
                          void *ctx);

#endif
