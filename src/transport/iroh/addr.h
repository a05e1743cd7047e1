/* SPDX-License-Identifier: Apache-2.0 */
/* Who an Iroh endpoint is and where it can be reached: endpoint IDs and endpoint addresses in all their text
 * forms (iroh-wire.md sections 1 and 6.1, sync-protocol.md sections 9.3 and 9.5). Pure functions. */
#ifndef EID_TRANSPORT_IROH_ADDR_H
#define EID_TRANSPORT_IROH_ADDR_H

#include <netinet/in.h>

#include <eidetica/key.h>

#include "base/limits.h"
#include "base/slice.h"
#include "base/status.h"

/* ---- Endpoint IDs: Ed25519 public keys ---- */

/* 64 hexadecimal digits or 52 characters of base32 (RFC 4648), both in any case, or 52 characters of
 * z-base-32: no text is of both the latter, by what may stand last. EID_ERR_INVALID_ADDRESS, also for bytes
 * that are no point of the curve. */
eid_status eid_iroh_id_parse(eid_slice text, eid_pubkey *out);

#define EID_IROH_ID_TEXT_SIZE 65
void eid_iroh_id_format(const eid_pubkey *id,
                        char out[EID_IROH_ID_TEXT_SIZE]); /* lower-case hexadecimal: for people, logs, JSON */
#define EID_IROH_ID_Z32_SIZE 53
void eid_iroh_id_format_z32(const eid_pubkey *id, char out[EID_IROH_ID_Z32_SIZE]); /* for names in DNS */
#define EID_IROH_SERVER_NAME_SIZE 66
void eid_iroh_server_name(const eid_pubkey *id,
                          char out[EID_IROH_SERVER_NAME_SIZE]); /* "….iroh.invalid", for TLS */

/* ---- Socket addresses ---- */

typedef union eid_sockaddr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} eid_sockaddr;

/* "192.0.2.7:4433", "[2001:db8::1]:4433". EID_ERR_INVALID_ADDRESS. */
eid_status eid_sockaddr_parse(eid_slice text, eid_sockaddr *out);
#define EID_SOCKADDR_TEXT_SIZE 56
void eid_sockaddr_format(const eid_sockaddr *address, char out[EID_SOCKADDR_TEXT_SIZE]);
socklen_t eid_sockaddr_len(const eid_sockaddr *address);
uint16_t eid_sockaddr_port(const eid_sockaddr *address);
/* IPv4 before IPv6, then by address, then by port: the order tickets have. */
int eid_sockaddr_compare(const eid_sockaddr *a, const eid_sockaddr *b);

/* ---- Relay URLs ---- */

/* "https://host[:port]/" as a copy in normal form: lower-case scheme and host, a path. Free with eid_free.
 * EID_ERR_INVALID_ADDRESS for anything but http and https, and for names of users. */
eid_status eid_iroh_relay_url(eid_slice text, char **out);

/* ---- Endpoint addresses: an ID and a set of ways to it ---- */

typedef struct eid_iroh_addr {
    eid_pubkey id;
    char *relays[EID_LIMIT_ENDPOINT_RELAYS]; /* normal forms, ascending, no two alike */
    size_t relay_count;
    eid_sockaddr direct[EID_LIMIT_ENDPOINT_DIRECT]; /* ascending, no two alike */
    size_t direct_count;
} eid_iroh_addr;

/* Reads a ticket ("endpoint…"), an ID, "[iroh:]//ID[@RELAY]" with a relay's URL or host, or the JSON forms of
 * several versions. Ways of unknown kinds in a ticket are passed over. EID_ERR_INVALID_ADDRESS,
 * EID_ERR_LIMIT. */
eid_status eid_iroh_addr_parse(eid_slice text, eid_iroh_addr *out);
void eid_iroh_addr_clear(eid_iroh_addr *addr);

/* Adds a way unless it is there. EID_ERR_LIMIT when there are too many. */
eid_status eid_iroh_addr_add_direct(eid_iroh_addr *addr, const eid_sockaddr *direct);
eid_status eid_iroh_addr_add_relay(eid_iroh_addr *addr, eid_slice url);

/* The ticket; free with eid_free. */
eid_status eid_iroh_addr_format(const eid_iroh_addr *addr, char **out);

#endif
