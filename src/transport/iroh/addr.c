/* SPDX-License-Identifier: Apache-2.0 */
/* The parts endpoint addresses are made of: IDs, socket addresses, relay URLs, and the sorted sets of the
 * latter two. */
#include "transport/iroh/addr.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/utf8.h"
#include "codec/base.h"
#include "crypto/key.h"

#define ID_HEX    64
#define ID_BASE32 52
#define SUFFIX    ".iroh.invalid"

static eid_status fail_text(const char *what, eid_slice text)
{
    return eid_fail(EID_ERR_INVALID_ADDRESS, "Invalid address: '%.*s' is not %s",
                    (int)eid_utf8_cut(text, 200), text.len == 0 ? "" : (const char *)text.data, what);
}

/* ---- IDs ---- */

static eid_status decode_z32(eid_slice text, uint8_t *out, size_t capacity, size_t *len)
{
    uint8_t marked[1 + ID_BASE32] = {'h'};
    memcpy(marked + 1, text.data, text.len);
    return eid_multibase_decode(eid_slice_of(marked, text.len + 1), out, capacity, len);
}

eid_status eid_iroh_id_parse(eid_slice text, eid_pubkey *out)
{
    eid_pubkey id;
    size_t len = 0;
    eid_status status = EID_ERR_SYNTAX;

    if (text.len == ID_HEX)
        status = eid_hex_decode(text, id.bytes, sizeof id.bytes, &len);
    else if (text.len == ID_BASE32) {
        status = eid_base32_decode(text, id.bytes, sizeof id.bytes, &len);
        if (status != EID_OK)
            status = decode_z32(text, id.bytes, sizeof id.bytes, &len);
    }
    if (status != EID_OK || len != sizeof id.bytes)
        return fail_text("the ID of an Iroh endpoint", text);
    EID_TRY(eid_crypto_init());
    if (!eid_pubkey_is_point(&id))
        return fail_text("the ID of an Iroh endpoint: it is no public key", text);
    *out = id;
    return EID_OK;
}

void eid_iroh_id_format(const eid_pubkey *id, char out[EID_IROH_ID_TEXT_SIZE])
{
    eid_hex_encode(id->bytes, sizeof id->bytes, out);
}

void eid_iroh_id_format_z32(const eid_pubkey *id, char out[EID_IROH_ID_Z32_SIZE])
{
    eid_zbase32_encode(id->bytes, sizeof id->bytes, out);
}

void eid_iroh_server_name(const eid_pubkey *id, char out[EID_IROH_SERVER_NAME_SIZE])
{
    eid_base32hex_encode(id->bytes, sizeof id->bytes, out);
    memcpy(out + ID_BASE32, SUFFIX, sizeof SUFFIX);
}

/* ---- Socket addresses ---- */

static bool parse_port(eid_slice text, in_port_t *out)
{
    uint32_t port = 0;
    if (text.len == 0 || text.len > 5)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        port = port * 10 + (uint32_t)(text.data[i] - '0');
    }
    *out = htons((uint16_t)port);
    return port <= UINT16_MAX;
}

eid_status eid_sockaddr_parse(eid_slice text, eid_sockaddr *out)
{
    char host[INET6_ADDRSTRLEN];
    eid_sockaddr made;
    bool v6 = text.len != 0 && text.data[0] == '[';
    const uint8_t *colon = text.len == 0 ? NULL : memrchr(text.data, ':', text.len);
    memset(&made, 0, sizeof made);
    if (colon == NULL || (v6 && (colon - text.data < 3 || colon[-1] != ']')))
        return fail_text("a numeric address and a port", text);
    size_t at = (size_t)(colon - text.data), len = at - (v6 ? 2 : 0);
    if (len >= sizeof host)
        return fail_text("a numeric address and a port", text);
    memcpy(host, text.data + v6, len);
    host[len] = '\0';
    made.any.sa_family = v6 ? AF_INET6 : AF_INET;
    if (inet_pton(made.any.sa_family, host, v6 ? (void *)&made.v6.sin6_addr : (void *)&made.v4.sin_addr) !=
            1 ||
        !parse_port(eid_slice_of(colon + 1, text.len - at - 1), v6 ? &made.v6.sin6_port : &made.v4.sin_port))
        return fail_text("a numeric address and a port", text);
    *out = made;
    return EID_OK;
}

void eid_sockaddr_format(const eid_sockaddr *address, char out[EID_SOCKADDR_TEXT_SIZE])
{
    char ip[INET6_ADDRSTRLEN] = "";
    bool v6 = address->any.sa_family == AF_INET6;
    inet_ntop(address->any.sa_family,
              v6 ? (const void *)&address->v6.sin6_addr : (const void *)&address->v4.sin_addr, ip, sizeof ip);
    snprintf(out, EID_SOCKADDR_TEXT_SIZE, v6 ? "[%s]:%u" : "%s:%u", ip, (unsigned)eid_sockaddr_port(address));
}

socklen_t eid_sockaddr_len(const eid_sockaddr *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
}

uint16_t eid_sockaddr_port(const eid_sockaddr *address)
{
    return ntohs(address->any.sa_family == AF_INET6 ? address->v6.sin6_port : address->v4.sin_port);
}

int eid_sockaddr_compare(const eid_sockaddr *a, const eid_sockaddr *b)
{
    bool v6 = a->any.sa_family == AF_INET6;
    if (a->any.sa_family != b->any.sa_family)
        return v6 ? 1 : -1;
    int order =
        v6 ? memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, 16) : memcmp(&a->v4.sin_addr, &b->v4.sin_addr, 4);
    return order != 0 ? order : (int)eid_sockaddr_port(a) - (int)eid_sockaddr_port(b);
}

/* ---- Relay URLs ---- */

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + 32) : byte;
}

static bool is_host_byte(uint8_t byte)
{
    byte = lower(byte);
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || memchr("-._:[]", byte, 6) != NULL;
}

static bool is_path_byte(uint8_t byte)
{
    return byte > ' ' && byte < 0x7f && memchr("\"<>\\^`{|}@#", byte, 11) == NULL;
}

eid_status eid_iroh_relay_url(eid_slice text, char **out)
{
    static const char *const schemes[] = {"https://", "http://"};
    size_t scheme = 0, at = 0;
    eid_buf url;

    for (size_t i = 0; i < 2 && scheme == 0; i++) {
        size_t len = strlen(schemes[i]), same = 0;
        while (same < len && same < text.len && lower(text.data[same]) == (uint8_t)schemes[i][same])
            same++;
        scheme = same == len ? len : 0;
    }
    for (at = scheme; at < text.len && is_host_byte(text.data[at]);)
        at++;
    bool good = scheme != 0 && at > scheme && text.len <= EID_LIMIT_RELAY_URL &&
                (at == text.len || text.data[at] == '/');
    for (size_t i = at; i < text.len && good; i++)
        good = is_path_byte(text.data[i]);
    if (!good)
        return fail_text("the URL of a relay", text);
    eid_buf_init(&url, EID_LIMIT_RELAY_URL + 1);
    for (size_t i = 0; i < at; i++)
        eid_buf_append_byte(&url, lower(text.data[i]));
    if (at == text.len)
        eid_buf_append_byte(&url, '/');
    eid_buf_append(&url, text.data + at, text.len - at);
    return eid_buf_take_text(&url, out);
}

/* ---- Sets ---- */

void eid_iroh_addr_clear(eid_iroh_addr *addr)
{
    for (size_t i = 0; i < addr->relay_count; i++)
        eid_free(addr->relays[i]);
    addr->relay_count = 0;
    addr->direct_count = 0;
}

eid_status eid_iroh_addr_add_direct(eid_iroh_addr *addr, const eid_sockaddr *direct)
{
    size_t at = 0;
    int order = 1;
    while (at < addr->direct_count && (order = eid_sockaddr_compare(&addr->direct[at], direct)) < 0)
        at++;
    if (at < addr->direct_count && order == 0)
        return EID_OK;
    if (addr->direct_count == EID_LIMIT_ENDPOINT_DIRECT)
        return eid_fail(EID_ERR_LIMIT, "Invalid address: more than %d direct addresses",
                        EID_LIMIT_ENDPOINT_DIRECT);
    memmove(&addr->direct[at + 1], &addr->direct[at], (addr->direct_count - at) * sizeof *direct);
    addr->direct[at] = *direct;
    addr->direct_count++;
    return EID_OK;
}

eid_status eid_iroh_addr_add_relay(eid_iroh_addr *addr, eid_slice url)
{
    char *normal;
    size_t at = 0;
    int order = 1;
    EID_TRY(eid_iroh_relay_url(url, &normal));
    while (at < addr->relay_count && (order = strcmp(addr->relays[at], normal)) < 0)
        at++;
    if (at < addr->relay_count && order == 0) {
        eid_free(normal);
        return EID_OK;
    }
    if (addr->relay_count == EID_LIMIT_ENDPOINT_RELAYS) {
        eid_free(normal);
        return eid_fail(EID_ERR_LIMIT, "Invalid address: more than %d relays", EID_LIMIT_ENDPOINT_RELAYS);
    }
    memmove(&addr->relays[at + 1], &addr->relays[at], (addr->relay_count - at) * sizeof normal);
    addr->relays[at] = normal;
    addr->relay_count++;
    return EID_OK;
}
