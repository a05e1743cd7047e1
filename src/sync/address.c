/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of peers: a transport's name and a text only that transport understands (sync-protocol.md section
 * 9). */
#include <arpa/inet.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/status.h"
#include "base/utf8.h"
#include "sync/address_int.h"

#define HTTP_NAME           "http"
#define HTTPS_PREFIX        "https://"
#define IROH_NAME           "iroh"
#define ENDPOINT_PREFIX     "endpoint"
#define ENDPOINT_TICKET_MIN 55 /* base32 of 34 bytes: version, endpoint ID, no addresses */
#define ENDPOINT_ID_HEX     64

/* ---- Making and freeing ---- */

static eid_status check_part(eid_slice part, const char *what, size_t limit)
{
    if (part.len > limit)
        return eid_fail(EID_ERR_INVALID_ADDRESS, "Invalid address: the %s is longer than %zu bytes", what,
                        limit);
    if (part.len != 0 && memchr(part.data, 0, part.len) != NULL)
        return eid_fail(EID_ERR_INVALID_ADDRESS, "Invalid address: the %s holds a zero byte", what);
    if (!eid_utf8_valid(part))
        return eid_fail(EID_ERR_INVALID_ADDRESS, "Invalid address: the %s is not UTF-8", what);
    return EID_OK;
}

eid_status eid_address_make(eid_slice transport, eid_slice text, eid_address **out)
{
    EID_TRY(check_part(transport, "transport name", EID_LIMIT_TRANSPORT_NAME));
    EID_TRY(check_part(text, "address text", EID_LIMIT_ADDRESS_TEXT));
    /* One block: the record, then both texts with their zeros. */
    eid_address *address = eid_alloc_zero(1, sizeof *address + transport.len + text.len + 2);
    if (address == NULL)
        return eid_fail_memory();
    address->transport = (char *)(address + 1);
    address->text = address->transport + transport.len + 1;
    if (transport.len != 0)
        memcpy(address->transport, transport.data, transport.len);
    if (text.len != 0)
        memcpy(address->text, text.data, text.len);
    *out = address;
    return EID_OK;
}

eid_status eid_address_new(const char *transport, const char *text, eid_address **out)
{
    EID_NEED(transport && text && out);
    return eid_address_make(eid_slice_text(transport), eid_slice_text(text), out);
}

eid_status eid_address_copy(const eid_address *address, eid_address **out)
{
    EID_NEED(address && out);
    return eid_address_new(address->transport, address->text, out);
}

void eid_address_free(eid_address *address)
{
    eid_free(address);
}

const char *eid_address_transport(const eid_address *address)
{
    return address->transport;
}

const char *eid_address_text(const eid_address *address)
{
    return address->text;
}

bool eid_address_equal(const eid_address *a, const eid_address *b)
{
    return strcmp(a->transport, b->transport) == 0 && strcmp(a->text, b->text) == 0;
}

/* ---- HTTP: host and port ---- */

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_letter(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static bool valid_port(eid_slice port)
{
    uint32_t number = 0;
    if (port.len == 0 || port.len > 5)
        return false;
    for (size_t i = 0; i < port.len; i++) {
        if (!is_digit(port.data[i]))
            return false;
        number = number * 10 + (uint32_t)(port.data[i] - '0');
    }
    return number >= 1 && number <= 65535;
}

/* Host names and IPv4 literals: what may stand in a URL without escaping and is no name of a user or a path.
 */
static bool valid_host(eid_slice host)
{
    if (host.len == 0 || host.len > 253)
        return false;
    for (size_t i = 0; i < host.len; i++) {
        uint8_t byte = host.data[i];
        if (!is_digit(byte) && !is_letter(byte) && byte != '.' && byte != '-' && byte != '_')
            return false;
    }
    return host.data[0] != '-' && host.data[0] != '.';
}

static bool valid_ipv6(eid_slice literal)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr parsed;
    if (literal.len == 0 || literal.len >= sizeof text)
        return false;
    memcpy(text, literal.data, literal.len);
    text[literal.len] = '\0';
    return inet_pton(AF_INET6, text, &parsed) == 1;
}

static eid_status fail_http(eid_slice text)
{
    return eid_fail(
        EID_ERR_INVALID_ADDRESS,
        "Invalid address: '%.*s' is not host:port; write for example 192.168.1.20:8080 or [::1]:8080",
        (int)eid_utf8_cut(text, 200), text.len == 0 ? "" : (const char *)text.data);
}

static eid_status check_http(eid_slice text)
{
    eid_slice port = {NULL, 0};
    bool has_port = false;

    if (text.len != 0 && text.data[0] == '[') {
        const uint8_t *close = memchr(text.data, ']', text.len);
        if (close == NULL)
            return fail_http(text);
        size_t inside = (size_t)(close - text.data) - 1;
        if (!valid_ipv6(eid_slice_of(text.data + 1, inside)))
            return fail_http(text);
        eid_slice rest = eid_slice_of(close + 1, text.len - inside - 2);
        if (rest.len != 0) {
            if (rest.data[0] != ':')
                return fail_http(text);
            has_port = true;
            port = eid_slice_of(rest.data + 1, rest.len - 1);
        }
    } else {
        const uint8_t *colon = text.len == 0 ? NULL : memchr(text.data, ':', text.len);
        size_t host_len = colon == NULL ? text.len : (size_t)(colon - text.data);
        if (!valid_host(eid_slice_of(text.data, host_len)))
            return fail_http(text);
        if (colon != NULL) {
            has_port = true;
            port = eid_slice_of(colon + 1, text.len - host_len - 1);
        }
    }
    if (has_port && !valid_port(port))
        return fail_http(text);
    return EID_OK;
}

static bool strip_prefix(eid_slice *text, const char *prefix)
{
    size_t len = strlen(prefix);
    if (text->len < len || memcmp(text->data, prefix, len) != 0)
        return false;
    *text = eid_slice_of(text->data + len, text->len - len);
    return true;
}

/* "https://" stays in front: it is part of how to get there. */
static eid_status make_http(eid_slice text, eid_address **out)
{
    eid_slice place = text;
    EID_TRY(check_part(text, "address text", EID_LIMIT_ADDRESS_TEXT));
    (void)strip_prefix(&place, HTTPS_PREFIX);
    EID_TRY(check_http(place));
    return eid_address_make(eid_slice_text(HTTP_NAME), text, out);
}

eid_status eid_address_http(const char *host_port, eid_address **out)
{
    EID_NEED(host_port && out);
    return make_http(eid_slice_text(host_port), out);
}

/* ---- Finding the transport ---- */

static bool is_endpoint_ticket(eid_slice text)
{
    if (!strip_prefix(&text, ENDPOINT_PREFIX) || text.len < ENDPOINT_TICKET_MIN)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!is_letter(text.data[i]) && (text.data[i] < '2' || text.data[i] > '7'))
            return false;
    return true;
}

static bool is_endpoint_id(eid_slice text)
{
    if (text.len != ENDPOINT_ID_HEX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t lower = text.data[i] | 0x20;
        if (!is_digit(text.data[i]) && (lower < 'a' || lower > 'f'))
            return false;
    }
    return true;
}

/* The JSON node address the older guide passed around. */
static bool is_node_address(eid_slice text)
{
    static const char field[] = "\"node_id\"";
    return (text.len != 0 && text.data[0] == '{') ||
           memmem(text.data, text.len, field, sizeof field - 1) != NULL;
}

eid_status eid_address_detect(const char *text, eid_address **out)
{
    EID_NEED(text && out);
    eid_slice rest = eid_slice_text(text);
    EID_TRY(check_part(rest, "address text", EID_LIMIT_ADDRESS_TEXT));

    if (strip_prefix(&rest, "eidetica:"))
        return eid_fail(
            EID_ERR_INVALID_ADDRESS,
            "Invalid address: this is a ticket, which names a database too; use eid_ticket_parse");
    if (strip_prefix(&rest, "http://") || strncmp(text, HTTPS_PREFIX, strlen(HTTPS_PREFIX)) == 0) {
        if (rest.len != 0 && rest.data[rest.len - 1] == '/')
            rest.len--;
        return make_http(rest, out);
    }
    if (strip_prefix(&rest, HTTP_NAME ":"))
        return make_http(rest, out);
    if (strip_prefix(&rest, IROH_NAME ":")) {
        if (rest.len == 0)
            return eid_fail(EID_ERR_INVALID_ADDRESS, "Invalid address: nothing stands behind 'iroh:'");
        return eid_address_make(eid_slice_text(IROH_NAME), rest, out);
    }
    if (is_node_address(rest) || is_endpoint_ticket(rest) || is_endpoint_id(rest))
        return eid_address_make(eid_slice_text(IROH_NAME), rest, out);
    return make_http(rest, out);
}
