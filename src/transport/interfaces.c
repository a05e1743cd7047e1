/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses of this machine's interfaces. */
#include "transport/interfaces.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <stddef.h>

#include "sync/special.h"

void eid_interfaces_visit(bool v4, bool v6, void (*visit)(const struct sockaddr *address, void *ctx),
                          void *ctx)
{
    struct ifaddrs *first;
    if (getifaddrs(&first) != 0)
        return;
    for (const struct ifaddrs *at = first; at != NULL; at = at->ifa_next) {
        const struct sockaddr *address = at->ifa_addr;
        if (address == NULL || (at->ifa_flags & IFF_UP) == 0 || eid_special_address(address) ||
            eid_loopback_address(address))
            continue;
        if ((v4 && address->sa_family == AF_INET) || (v6 && address->sa_family == AF_INET6))
            visit(address, ctx);
    }
    freeifaddrs(first);
}
