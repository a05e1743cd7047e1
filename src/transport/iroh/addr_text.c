/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoint addresses as text: tickets, which others read, and the forms that are only read. */
#include <eidetica/address.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "codec/base.h"
#include "codec/fields.h"
#include "codec/varint.h"
#include "transport/iroh/addr.h"

#define TICKET_PREFIX "endpoint"
#define SCHEME        "iroh:"

/* Inside a ticket (postcard): the format variant, then tags. */
enum {
    TICKET_VARIANT = 0,
    WAY_RELAY = 0,
    WAY_IP = 1,
    WAY_CUSTOM = 2,
    IP_V4 = 0,
    IP_V6 = 1,
    CUSTOM_SHORT = 0
};
#define CUSTOM_SHORT_BYTES 31 /* its length and 30 bytes, used or not */

static bool strip(eid_slice *text, const char *prefix)
{
    size_t len = strlen(prefix);
    if (text->len < len || memcmp(text->data, prefix, len) != 0)
        return false;
    *text = eid_slice_of(text->data + len, text->len - len);
    return true;
}

/* ---- Tickets ---- */

/* postcard does not ask for minimal forms, and nothing here is compared as bytes, but no writer makes others.
 */
static eid_status read_number(eid_slice *input, uint64_t max, uint64_t *out)
{
    uint64_t number;
    EID_TRY(eid_varint_read(input, &number));
    if (number > max)
        return eid_fail(EID_ERR_RANGE, "a number in the ticket is larger than %llu", (unsigned long long)max);
    *out = number;
    return EID_OK;
}

static eid_status read_bytes(eid_slice *input, uint64_t len, eid_slice *out)
{
    if (len > input->len)
        return eid_fail(EID_ERR_TRUNCATED, "the ticket ends too early");
    *out = eid_slice_of(input->data, (size_t)len);
    *input = eid_slice_of(input->data + len, input->len - (size_t)len);
    return EID_OK;
}

static eid_status read_ip(eid_slice *input, eid_iroh_addr *addr)
{
    eid_sockaddr address;
    eid_slice bytes;
    uint64_t tag, port;
    memset(&address, 0, sizeof address);
    EID_TRY(read_number(input, IP_V6, &tag));
    EID_TRY(read_bytes(input, tag == IP_V6 ? 16 : 4, &bytes));
    EID_TRY(read_number(input, UINT16_MAX, &port));
    if (tag == IP_V6) {
        address.v6.sin6_family = AF_INET6;
        memcpy(&address.v6.sin6_addr, bytes.data, bytes.len);
        address.v6.sin6_port = htons((uint16_t)port);
    } else {
        address.v4.sin_family = AF_INET;
        memcpy(&address.v4.sin_addr, bytes.data, bytes.len);
        address.v4.sin_port = htons((uint16_t)port);
    }
    return eid_iroh_addr_add_direct(addr, &address);
}

static eid_status skip_custom(eid_slice *input)
{
    uint64_t number;
    eid_slice bytes;
    EID_TRY(read_number(input, UINT64_MAX, &number));
    EID_TRY(read_number(input, 1, &number));
    if (number == CUSTOM_SHORT)
        return read_bytes(input, CUSTOM_SHORT_BYTES, &bytes);
    EID_TRY(read_number(input, UINT64_MAX, &number));
    return read_bytes(input, number, &bytes);
}

static eid_status read_way(eid_slice *input, eid_iroh_addr *addr)
{
    uint64_t tag, len;
    eid_slice url;
    EID_TRY(read_number(input, WAY_CUSTOM, &tag));
    if (tag == WAY_IP)
        return read_ip(input, addr);
    if (tag == WAY_CUSTOM)
        return skip_custom(input);
    EID_TRY(read_number(input, EID_LIMIT_RELAY_URL, &len));
    EID_TRY(read_bytes(input, len, &url));
    return eid_iroh_addr_add_relay(addr, url);
}

/* What stands behind the last way is passed over, as the reference does. */
static eid_status read_ticket_bytes(eid_slice input, eid_iroh_addr *addr)
{
    uint64_t number;
    eid_slice id;
    char hex[EID_IROH_ID_TEXT_SIZE];
    EID_TRY(read_number(&input, TICKET_VARIANT, &number));
    EID_TRY(read_bytes(&input, sizeof addr->id.bytes, &id));
    eid_hex_encode(id.data, id.len, hex);
    EID_TRY(eid_iroh_id_parse(eid_slice_text(hex), &addr->id));
    EID_TRY(read_number(&input, UINT64_MAX, &number));
    for (; number != 0; number--)
        EID_TRY(read_way(&input, addr));
    return EID_OK;
}

static eid_status read_ticket(eid_slice text, eid_iroh_addr *addr)
{
    eid_buf bytes;
    size_t len = 0;
    eid_buf_init(&bytes, EID_LIMIT_ADDRESS_TEXT);
    uint8_t *room = eid_buf_reserve(&bytes, text.len * 5 / 8 + 1);
    eid_status status =
        room == NULL ? eid_buf_status(&bytes) : eid_base32_decode(text, room, text.len * 5 / 8, &len);
    if (status == EID_OK)
        status = read_ticket_bytes(eid_slice_of(room, len), addr);
    eid_buf_free(&bytes);
    return status;
}

static void write_ticket_bytes(const eid_iroh_addr *addr, eid_buf *out)
{
    eid_buf_append_byte(out, TICKET_VARIANT);
    eid_buf_append(out, addr->id.bytes, sizeof addr->id.bytes);
    eid_varint_append(out, addr->relay_count + addr->direct_count);
    for (size_t i = 0; i < addr->relay_count; i++) {
        eid_buf_append_byte(out, WAY_RELAY);
        eid_varint_append(out, strlen(addr->relays[i]));
        eid_buf_append_text(out, addr->relays[i]);
    }
    for (size_t i = 0; i < addr->direct_count; i++) {
        const eid_sockaddr *direct = &addr->direct[i];
        bool v6 = direct->any.sa_family == AF_INET6;
        eid_buf_append_byte(out, WAY_IP);
        eid_buf_append_byte(out, v6 ? IP_V6 : IP_V4);
        eid_buf_append(out, v6 ? (const void *)&direct->v6.sin6_addr : (const void *)&direct->v4.sin_addr,
                       v6 ? 16 : 4);
        eid_varint_append(out, eid_sockaddr_port(direct));
    }
}

eid_status eid_iroh_addr_format(const eid_iroh_addr *addr, char **out)
{
    eid_buf bytes, text;
    eid_buf_init(&bytes, EID_LIMIT_ADDRESS_TEXT);
    eid_buf_init(&text, EID_LIMIT_ADDRESS_TEXT);
    write_ticket_bytes(addr, &bytes);
    eid_status status = eid_buf_status(&bytes);
    if (status == EID_OK) {
        size_t size = EID_BASE32_SIZE(bytes.len);
        eid_buf_append_text(&text, TICKET_PREFIX);
        uint8_t *room = eid_buf_reserve(&text, size);
        if (room != NULL) {
            eid_base32_encode(bytes.data, bytes.len, (char *)room);
            eid_buf_commit(&text, size - 1);
        }
        status = eid_buf_take_text(&text, out);
    }
    eid_buf_free(&bytes);
    return status;
}

/* ---- JSON: {"node_id","relay_url","direct_addresses"}, the latter two perhaps in an "info"; {"id","addrs"}
 * ---- */

enum { F_RELAY, F_DIRECT, F_NODE_ID, F_ID, F_ADDRS, F_INFO };
static const char *const json_fields[] = {"relay_url", "direct_addresses", "node_id", "id", "addrs", "info"};
static const char *const info_fields[] = {"relay_url", "direct_addresses"};
enum { F_WAY_RELAY, F_WAY_IP };
static const char *const way_fields[] = {"Relay", "Ip"};

static eid_status read_json_direct(eid_json *reader, eid_iroh_addr *addr)
{
    eid_slice text;
    eid_sockaddr direct;
    EID_TRY(eid_json_read_text(reader, "direct address", &text));
    EID_TRY(eid_sockaddr_parse(text, &direct));
    return eid_iroh_addr_add_direct(addr, &direct);
}

static eid_status read_json_relay(eid_json *reader, eid_iroh_addr *addr)
{
    eid_slice text;
    bool none;
    EID_TRY(eid_json_read_null(reader, &none));
    if (none)
        return EID_OK;
    EID_TRY(eid_json_read_text(reader, "relay URL", &text));
    return eid_iroh_addr_add_relay(addr, text);
}

static eid_status read_json_way(eid_json *reader, eid_iroh_addr *addr)
{
    EID_OBJECT(object, way_fields, 0);
    size_t field;
    bool more;
    EID_TRY(eid_json_begin_object(reader, "address"));
    EID_TRY(eid_object_next(reader, &object, &field, &more));
    while (more) {
        EID_TRY(field == F_WAY_IP ? read_json_direct(reader, addr) : read_json_relay(reader, addr));
        EID_TRY(eid_object_next(reader, &object, &field, &more));
    }
    return EID_OK;
}

static eid_status read_json_list(eid_json *reader, eid_iroh_addr *addr,
                                 eid_status (*read_item)(eid_json *reader, eid_iroh_addr *addr))
{
    bool more;
    EID_TRY(eid_json_begin_array(reader, "addresses"));
    EID_TRY(eid_json_next_item(reader, &more));
    while (more) {
        EID_TRY(read_item(reader, addr));
        EID_TRY(eid_json_next_item(reader, &more));
    }
    return EID_OK;
}

static eid_status read_json_id(eid_json *reader, eid_iroh_addr *addr, bool *known)
{
    eid_slice text;
    EID_TRY(eid_json_read_text(reader, "node ID", &text));
    *known = true;
    return eid_iroh_id_parse(text, &addr->id);
}

static eid_status read_json_info(eid_json *reader, eid_iroh_addr *addr)
{
    EID_OBJECT(object, info_fields, 0);
    size_t field;
    bool more;
    EID_TRY(eid_json_begin_object(reader, "info"));
    EID_TRY(eid_object_next(reader, &object, &field, &more));
    while (more) {
        EID_TRY(field == F_RELAY ? read_json_relay(reader, addr)
                                 : read_json_list(reader, addr, read_json_direct));
        EID_TRY(eid_object_next(reader, &object, &field, &more));
    }
    return EID_OK;
}

static eid_status read_json_field(eid_json *reader, size_t field, eid_iroh_addr *addr, bool *known)
{
    switch (field) {
    case F_RELAY:
        return read_json_relay(reader, addr);
    case F_DIRECT:
        return read_json_list(reader, addr, read_json_direct);
    case F_ADDRS:
        return read_json_list(reader, addr, read_json_way);
    case F_INFO:
        return read_json_info(reader, addr);
    default:
        return read_json_id(reader, addr, known);
    }
}

static eid_status read_json_object(eid_json *reader, eid_iroh_addr *addr, bool *known)
{
    EID_OBJECT(object, json_fields, 0);
    size_t field;
    bool more;
    EID_TRY(eid_json_begin_object(reader, "node address"));
    EID_TRY(eid_object_next(reader, &object, &field, &more));
    while (more) {
        EID_TRY(read_json_field(reader, field, addr, known));
        EID_TRY(eid_object_next(reader, &object, &field, &more));
    }
    return EID_OK;
}

static eid_status read_json(eid_slice text, eid_iroh_addr *addr)
{
    eid_json reader;
    bool known = false;
    eid_json_init(&reader, text);
    eid_status status = read_json_object(&reader, addr, &known);
    if (status == EID_OK)
        status = eid_json_end(&reader);
    eid_json_free(&reader);
    if (status == EID_OK && !known)
        status = eid_fail(EID_ERR_MISSING_FIELD, "the field node_id is missing");
    return status;
}

/* ---- Any of them ---- */

/* "ID[@RELAY]", the relay's scheme may be left out. */
static eid_status read_id_at_relay(eid_slice text, eid_iroh_addr *addr)
{
    const uint8_t *at = text.len == 0 ? NULL : memchr(text.data, '@', text.len);
    size_t id_len = at == NULL ? text.len : (size_t)(at - text.data);
    eid_buf url;
    EID_TRY(eid_iroh_id_parse(eid_slice_of(text.data, id_len), &addr->id));
    if (at == NULL)
        return EID_OK;
    eid_slice relay = eid_slice_of(at + 1, text.len - id_len - 1);
    eid_buf_init(&url, EID_LIMIT_ADDRESS_TEXT + 8);
    if (relay.len == 0 || memmem(relay.data, relay.len, "://", 3) == NULL)
        eid_buf_append_text(&url, "https://");
    eid_buf_append_slice(&url, relay);
    eid_status status = eid_buf_status(&url);
    if (status == EID_OK)
        status = eid_iroh_addr_add_relay(addr, eid_buf_slice(&url));
    eid_buf_free(&url);
    return status;
}

static eid_status parse_any(eid_slice text, eid_iroh_addr *addr)
{
    if (text.len > EID_LIMIT_ADDRESS_TEXT)
        return eid_fail(EID_ERR_LIMIT, "it is longer than %d bytes", EID_LIMIT_ADDRESS_TEXT);
    if (!eid_utf8_valid(text))
        return eid_fail(EID_ERR_INVALID_ADDRESS, "Invalid address: the text is not UTF-8");
    if (text.len != 0 && text.data[0] == '{')
        return read_json(text, addr);
    (void)strip(&text, SCHEME);
    (void)strip(&text, "//");
    if (strip(&text, TICKET_PREFIX))
        return read_ticket(text, addr);
    if (text.len != 0 && text.data[text.len - 1] == '/')
        text.len--;
    return read_id_at_relay(text, addr);
}

eid_status eid_iroh_addr_parse(eid_slice text, eid_iroh_addr *out)
{
    eid_iroh_addr addr;
    memset(&addr, 0, sizeof addr);
    eid_status status = parse_any(text, &addr);
    if (status != EID_OK) {
        eid_iroh_addr_clear(&addr);
        if (status == EID_ERR_NO_MEMORY || status == EID_ERR_LIMIT || status == EID_ERR_INVALID_ADDRESS)
            return status;
        return eid_fail_context(EID_ERR_INVALID_ADDRESS,
                                "Invalid address: this is no address of an Iroh endpoint");
    }
    *out = addr;
    return EID_OK;
}

eid_status eid_address_iroh(const char *text, eid_address **out)
{
    EID_NEED(text && out);
    eid_iroh_addr addr;
    char *ticket;
    EID_TRY(eid_iroh_addr_parse(eid_slice_text(text), &addr));
    eid_status status = eid_iroh_addr_format(&addr, &ticket);
    eid_iroh_addr_clear(&addr);
    EID_TRY(status);
    status = eid_address_new("iroh", ticket, out);
    eid_free(ticket);
    return status;
}
