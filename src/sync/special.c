/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses that are no peers' but the network's own. */
#include "sync/special.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct range4 {
    uint32_t base;
    unsigned bits;
} range4;

static bool in_range4(uint32_t address, range4 range)
{
    return (address ^ range.base) >> (32 - range.bits) == 0;
}

static bool special4(uint32_t address)
{
    static const range4 ranges[] = {
        {0x00000000, 8},  /* this network */
        {0xa9fe0000, 16}, /* link-local, with the metadata service at 169.254.169.254 */
        {0x646464c8, 32}, /* 100.100.100.200: a metadata service */
        {0xc0000000, 24}, /* 192.0.0.0/24: protocol assignments, a metadata service among them */
        {0xe0000000, 4},  /* multicast */
        {0xf0000000, 4},  /* reserved and broadcast */
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (in_range4(address, ranges[i]))
            return true;
    return false;
}

static uint32_t read4(const uint8_t bytes[4])
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* The IPv4 address inside an IPv6 one, when there is one: mapped, compatible, NAT64, 6to4. */
static bool inner4(const uint8_t bytes[16], uint32_t *out)
{
    static const uint8_t zeros[16], nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (bytes[0] == 0x20 && bytes[1] == 0x02) {
        *out = read4(bytes + 2);
        return true;
    }
    if (memcmp(bytes, mapped, 12) != 0 && memcmp(bytes, nat64, 12) != 0 &&
        (memcmp(bytes, zeros, 12) != 0 || memcmp(bytes, zeros, 15) == 0))
        return false;
    *out = read4(bytes + 12);
    return true;
}

static bool special6(const uint8_t bytes[16])
{
    static const uint8_t unspecified[16];
    static const uint8_t metadata[16] = {0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54};
    uint32_t inner;
    if (inner4(bytes, &inner))
        return special4(inner);
    return memcmp(bytes, unspecified, 16) == 0 || memcmp(bytes, metadata, 16) == 0 ||
           (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80) || bytes[0] == 0xff;
}

bool eid_special_address(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return special4(ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr));
    if (address->sa_family == AF_INET6)
        return special6(((const struct sockaddr_in6 *)(const void *)address)->sin6_addr.s6_addr);
    return true;
}

bool eid_loopback_address(const struct sockaddr *address)
{
    uint32_t inner;
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 == 127;
    if (address->sa_family != AF_INET6)
        return false;
    const uint8_t *bytes = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr.s6_addr;
    static const uint8_t loopback[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    return memcmp(bytes, loopback, 16) == 0 || (inner4(bytes, &inner) && inner >> 24 == 127);
}
