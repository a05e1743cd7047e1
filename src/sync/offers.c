/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the addresses a stranger names for itself are worth keeping. */
#include "sync/offers.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "sync/special.h"

typedef union ip_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} ip_address;

/* The host of "host:port" as an IP address; *port is the rest behind the colon. False for names. */
static bool numeric_host(const char *text, ip_address *out, const char **port)
{
    char host[INET6_ADDRSTRLEN + 2];
    const char *colon = strrchr(text, ':');
    size_t len = colon == NULL ? strlen(text) : (size_t)(colon - text);
    bool bracketed = text[0] == '[';
    if (len >= sizeof host || (bracketed && (len < 3 || text[len - 1] != ']')))
        return false;
    memcpy(host, text + bracketed, len - 2 * (size_t)bracketed);
    host[len - 2 * (size_t)bracketed] = '\0';
    memset(out, 0, sizeof *out);
    *port = colon == NULL ? "80" : colon + 1;
    if (bracketed) {
        out->v6.sin6_family = AF_INET6;
        return inet_pton(AF_INET6, host, &out->v6.sin6_addr) == 1;
    }
    out->v4.sin_family = AF_INET;
    return inet_pton(AF_INET, host, &out->v4.sin_addr) == 1;
}

static bool is_unspecified(const ip_address *ip)
{
    static const uint8_t zeros[16];
    return ip->any.sa_family == AF_INET ? ip->v4.sin_addr.s_addr == 0
                                        : memcmp(ip->v6.sin6_addr.s6_addr, zeros, 16) == 0;
}

/* "https://" in front belongs to the way, not to the place. */
static const char *place_of(const char *text)
{
    return strncmp(text, "https://", 8) == 0 ? text + 8 : text;
}

static eid_status at_origin(const eid_address *offered, const char *port, const eid_request_origin *origin,
                            eid_address **out)
{
    char text[128];
    const char *colon = strrchr(origin->address, ':');
    int host = colon == NULL ? 0 : (int)(colon - origin->address);
    const char *scheme = place_of(offered->text) == offered->text ? "" : "https://";
    snprintf(text, sizeof text, "%s%.*s:%.8s", scheme, host, origin->address, port);
    return eid_address_new(offered->transport, text, out);
}

/* *out NULL: not worth keeping. */
static eid_status choose(const eid_address *offered, const eid_request_origin *origin, bool special, eid_address **out)
{
    ip_address ip, from;
    const char *port, *ignored;
    *out = NULL;
    if (strcmp(offered->transport, "http") != 0 || !numeric_host(place_of(offered->text), &ip, &port))
        return eid_address_copy(offered, out);
    bool from_known = numeric_host(origin->address, &from, &ignored);
    if (is_unspecified(&ip))
        return from_known ? at_origin(offered, port, origin, out) : EID_OK;
    if (!special && eid_special_address(&ip.any))
        return EID_OK;
    if (eid_loopback_address(&ip.any) && !(from_known && eid_loopback_address(&from.any)))
        return EID_OK;
    return eid_address_copy(offered, out);
}

eid_status eid_offers_choose(eid_address *const *offered, size_t count, const eid_request_origin *origin, bool special,
                             eid_address ***out, size_t *out_count)
{
    eid_address **list = eid_alloc_zero(EID_LIMIT_PEER_ADDRESSES, sizeof *list);
    size_t kept = 0;
    eid_status status = list == NULL ? eid_fail_memory() : EID_OK;
    for (size_t i = 0; i < count && kept < EID_LIMIT_PEER_ADDRESSES && status == EID_OK; i++) {
        status = choose(offered[i], origin, special, &list[kept]);
        kept += status == EID_OK && list[kept] != NULL;
    }
    if (status != EID_OK) {
        eid_addresses_free(list, kept);
        return status;
    }
    *out = list;
    *out_count = kept;
    return EID_OK;
}
