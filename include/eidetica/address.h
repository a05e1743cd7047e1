/* SPDX-License-Identifier: Apache-2.0 */
/* Where a peer can be reached, and tickets: a database together with such addresses. Neither is opened or looked up here. An
 * object belongs to one thread at a time; what does not change may be read by several. */
#ifndef EIDETICA_ADDRESS_H
#define EIDETICA_ADDRESS_H

#include <stddef.h>

#include <eidetica/export.h>
#include <eidetica/id.h>
#include <eidetica/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Addresses ---- */

typedef struct eid_address eid_address;

/* "host:port", "host" (port 80), an IPv4 literal or a bracketed IPv6 literal; with "https://" in front (port 443 when there is
 * none) TLS is spoken. EID_ERR_INVALID_ADDRESS. Free with eid_address_free. */
EID_API eid_status eid_address_http(const char *host_port, eid_address **out);
/* An Iroh endpoint: a ticket ("endpoint…"), an endpoint ID (hexadecimal, base32, z-base-32), "iroh://ID[@RELAY]", or a JSON
 * node address. Whatever was given, the address is the ticket of the same endpoint, which is what peers can read.
 * EID_ERR_INVALID_ADDRESS. */
EID_API eid_status eid_address_iroh(const char *text, eid_address **out);
/* Finds the transport from the text: "host:port", "http://host:port[/]", "https://host[:port][/]", "http:host:port", and, for
 * Iroh, "iroh:…", "endpoint…" tickets, 64 hex digits, and the JSON node address of the older guide.
 * EID_ERR_INVALID_ADDRESS. */
EID_API eid_status eid_address_detect(const char *text, eid_address **out);
/* Any transport, text taken as it is: what peers advertise. EID_ERR_INVALID_ADDRESS beyond 4096 bytes, or
 * when it is no UTF-8. */
EID_API eid_status eid_address_new(const char *transport, const char *text, eid_address **out);
EID_API eid_status eid_address_copy(const eid_address *address, eid_address **out);
EID_API void eid_address_free(eid_address *address); /* NULL is allowed */
/* Both lent, as long as the address lives. */
EID_API const char *eid_address_transport(const eid_address *address); /* "http", "iroh", … */
EID_API const char *eid_address_text(const eid_address *address);      /* what stands behind the transport's name */

/* ---- Tickets: eidetica:?db=ID&pr=http:HOST:PORT… ---- */

typedef struct eid_ticket eid_ticket;

/* A ticket without addresses. Free with eid_ticket_free, like those below. */
EID_API eid_status eid_ticket_new(const eid_id *database, eid_ticket **out);
/* Exactly the ticket grammar. EID_ERR_INVALID_ADDRESS, EID_ERR_INVALID_ID; EID_ERR_LIMIT beyond 64 addresses. */
EID_API eid_status eid_ticket_parse(const char *text, eid_ticket **out);
/* The ticket grammar, or the older "ID@address" form, or a bare ID. Errors as above. */
EID_API eid_status eid_ticket_detect(const char *text, eid_ticket **out);
EID_API void eid_ticket_free(eid_ticket *ticket); /* NULL is allowed */
/* Puts a copy behind the others. EID_ERR_LIMIT beyond 64. */
EID_API eid_status eid_ticket_add_address(eid_ticket *ticket, const eid_address *address);
/* Lent, as long as the ticket lives. */
EID_API const eid_id *eid_ticket_database_id(const eid_ticket *ticket);
EID_API size_t eid_ticket_address_count(const eid_ticket *ticket);
EID_API const eid_address *eid_ticket_address(const eid_ticket *ticket, size_t index); /* NULL behind the last */
/* The text; free with eid_free. EID_ERR_LIMIT when it would be longer than a ticket may be. */
EID_API eid_status eid_ticket_format(const eid_ticket *ticket, char **out);

#ifdef __cplusplus
}
#endif
#endif
