/* SPDX-License-Identifier: Apache-2.0 */
/* Tickets: a database's ID and hints where it can be fetched, in a line of text (sync-protocol.md
 * section 9.4). */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "codec/base.h"
#include "codec/cid.h"
#include "sync/address_int.h"

#define TICKET_PREFIX    "eidetica:?"
#define SHOWN_CHARACTERS 20 /* of a wrong ticket, in the error */

struct eid_ticket {
    eid_id database;
    eid_address **addresses;
    size_t count;
};

eid_status eid_ticket_new(const eid_id *database, eid_ticket **out)
{
    EID_NEED(database && out);
    eid_ticket *ticket = eid_alloc_zero(1, sizeof *ticket);
    if (ticket == NULL)
        return eid_fail_memory();
    ticket->database = *database;
    *out = ticket;
    return EID_OK;
}

void eid_ticket_free(eid_ticket *ticket)
{
    if (ticket == NULL)
        return;
    for (size_t i = 0; i < ticket->count; i++)
        eid_address_free(ticket->addresses[i]);
    eid_free(ticket->addresses);
    eid_free(ticket);
}

eid_status eid_ticket_copy(const eid_ticket *ticket, eid_ticket **out)
{
    eid_ticket *copy;
    EID_TRY(eid_ticket_new(&ticket->database, &copy));
    eid_status status = EID_OK;
    for (size_t i = 0; i < ticket->count && status == EID_OK; i++)
        status = eid_ticket_add_address(copy, ticket->addresses[i]);
    if (status != EID_OK) {
        eid_ticket_free(copy);
        return status;
    }
    *out = copy;
    return EID_OK;
}

/* Takes the address on success. */
static eid_status append_address(eid_ticket *ticket, eid_address *address)
{
    if (ticket->count >= EID_LIMIT_TICKET_ADDRESSES)
        return eid_fail(EID_ERR_LIMIT, "a ticket holds at most %d addresses", EID_LIMIT_TICKET_ADDRESSES);
    eid_address **grown = eid_realloc_array(ticket->addresses, ticket->count + 1, sizeof *grown);
    if (grown == NULL)
        return eid_fail_memory();
    grown[ticket->count++] = address;
    ticket->addresses = grown;
    return EID_OK;
}

eid_status eid_ticket_add_address(eid_ticket *ticket, const eid_address *address)
{
    EID_NEED(ticket && address);
    eid_address *copy;
    EID_TRY(eid_address_copy(address, &copy));
    eid_status status = append_address(ticket, copy);
    if (status != EID_OK)
        eid_address_free(copy);
    return status;
}

const eid_id *eid_ticket_database_id(const eid_ticket *ticket)
{
    return &ticket->database;
}

size_t eid_ticket_address_count(const eid_ticket *ticket)
{
    return ticket->count;
}

const eid_address *eid_ticket_address(const eid_ticket *ticket, size_t index)
{
    return index < ticket->count ? ticket->addresses[index] : NULL;
}

/* ---- Writing ---- */

/* Only the characters that would end or change the value are escaped; colons stay readable. */
static void write_escaped(eid_buf *buf, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (strchr("%&=#+", *at) != NULL)
            eid_buf_appendf(buf, "%%%02X", (unsigned)(unsigned char)*at);
        else
            eid_buf_append_byte(buf, (uint8_t)*at);
    }
}

eid_status eid_ticket_format(const eid_ticket *ticket, char **out)
{
    EID_NEED(ticket && out);
    eid_buf buf;
    char id[EID_ID_TEXT_SIZE];

    eid_buf_init(&buf, EID_LIMIT_TICKET_BYTES);
    eid_id_format(&ticket->database, id);
    eid_buf_append_text(&buf, TICKET_PREFIX "db=");
    eid_buf_append_text(&buf, id);
    for (size_t i = 0; i < ticket->count; i++) {
        eid_buf_append_text(&buf, "&pr=");
        write_escaped(&buf, ticket->addresses[i]->transport);
        eid_buf_append_byte(&buf, ':');
        write_escaped(&buf, ticket->addresses[i]->text);
    }
    return eid_buf_take_text(&buf, out);
}

/* ---- Reading ---- */

/* Length of the valid character at the front, or 0; *bad is then how many bytes one replacement character
 * stands for (the longest prefix that could have become a character). */
static size_t character(eid_slice text, size_t *bad)
{
    size_t max = text.len < 4 ? text.len : 4;
    uint8_t lead = text.data[0];
    size_t want = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;

    *bad = 1;
    if (want == 0)
        return 0;
    for (size_t i = 1; i < want; i++) {
        uint8_t low = 0x80;
        uint8_t high = 0xbf;
        if (i == 1) { /* overlong forms, surrogates and values above U+10FFFF end here */
            low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
            high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
        }
        if (i >= max || text.data[i] < low || text.data[i] > high) {
            *bad = i;
            return 0;
        }
    }
    return want;
}

static void append_lossy(eid_buf *out, eid_slice text)
{
    while (text.len != 0) {
        size_t bad;
        size_t len = character(text, &bad);
        if (len != 0)
            eid_buf_append(out, text.data, len);
        else
            eid_buf_append_text(out, "\xef\xbf\xbd");
        size_t step = len != 0 ? len : bad;
        text = eid_slice_of(text.data + step, text.len - step);
    }
}

/* One name or value of application/x-www-form-urlencoded, appended as UTF-8. */
static eid_status decode_component(eid_slice encoded, eid_buf *out)
{
    eid_buf raw;
    eid_buf_init(&raw, EID_LIMIT_TICKET_BYTES);
    for (size_t i = 0; i < encoded.len; i++) {
        uint8_t byte = encoded.data[i];
        size_t len;
        if (byte == '+') {
            byte = ' ';
        } else if (byte == '%' && encoded.len - i > 2) {
            uint8_t decoded;
            if (eid_hex_decode(eid_slice_of(encoded.data + i + 1, 2), &decoded, 1, &len) == EID_OK) {
                byte = decoded;
                i += 2;
            }
        }
        eid_buf_append_byte(&raw, byte);
    }
    eid_status status = eid_buf_status(&raw);
    if (status == EID_OK) {
        append_lossy(out, eid_buf_slice(&raw));
        status = eid_buf_status(out);
    }
    eid_buf_free(&raw);
    return status;
}

static eid_status read_pair(eid_ticket *ticket, eid_slice name, eid_slice value, bool *has_database)
{
    if (eid_slice_is(name, "db")) {
        EID_TRY(eid_id_parse_slice(value, &ticket->database));
        *has_database = true;
        return EID_OK;
    }
    if (!eid_slice_is(name, "pr") || value.len == 0)
        return EID_OK;
    const uint8_t *colon = memchr(value.data, ':', value.len);
    if (colon == NULL)
        return EID_OK;
    size_t before = (size_t)(colon - value.data);
    eid_address *address;
    EID_TRY(eid_address_make(eid_slice_of(value.data, before),
                             eid_slice_of(colon + 1, value.len - before - 1), &address));
    eid_status status = append_address(ticket, address);
    if (status != EID_OK)
        eid_address_free(address);
    return status;
}

static eid_status read_query(eid_ticket *ticket, eid_slice query)
{
    eid_buf name, value;
    bool has_database = false;
    eid_status status = EID_OK;

    eid_buf_init(&name, EID_LIMIT_TICKET_BYTES);
    eid_buf_init(&value, EID_LIMIT_TICKET_BYTES);
    while (query.len != 0 && status == EID_OK) {
        const uint8_t *end = memchr(query.data, '&', query.len);
        eid_slice pair = eid_slice_of(query.data, end == NULL ? query.len : (size_t)(end - query.data));
        size_t used = pair.len + (end != NULL);
        query = eid_slice_of(query.data + used, query.len - used);
        if (pair.len == 0)
            continue;
        const uint8_t *equals = memchr(pair.data, '=', pair.len);
        size_t name_len = equals == NULL ? pair.len : (size_t)(equals - pair.data);
        size_t skip = equals == NULL ? pair.len : name_len + 1;
        eid_buf_reset(&name);
        eid_buf_reset(&value);
        status = decode_component(eid_slice_of(pair.data, name_len), &name);
        if (status == EID_OK)
            status = decode_component(eid_slice_of(pair.data + skip, pair.len - skip), &value);
        if (status == EID_OK)
            status = read_pair(ticket, eid_buf_slice(&name), eid_buf_slice(&value), &has_database);
    }
    eid_buf_free(&name);
    eid_buf_free(&value);
    if (status == EID_OK && !has_database)
        status = eid_fail(EID_ERR_INVALID_ADDRESS, "Invalid address: Ticket URL missing 'db' parameter");
    return status;
}

static eid_status fail_prefix(eid_slice text)
{
    size_t shown = 0;
    for (size_t n = 0; n < SHOWN_CHARACTERS && shown < text.len; n++) {
        size_t bad;
        size_t len = character(eid_slice_of(text.data + shown, text.len - shown), &bad);
        shown += len != 0 ? len : bad;
    }
    return eid_fail(EID_ERR_INVALID_ADDRESS, "Invalid address: Expected 'eidetica:?' prefix, got: %.*s",
                    (int)shown, (const char *)text.data);
}

static bool has_prefix(eid_slice text)
{
    size_t len = strlen(TICKET_PREFIX);
    return text.len >= len && memcmp(text.data, TICKET_PREFIX, len) == 0;
}

static eid_status check_length(eid_slice text)
{
    if (text.len > EID_LIMIT_TICKET_BYTES)
        return eid_fail(EID_ERR_INVALID_ADDRESS, "Invalid address: the ticket is longer than %u bytes",
                        EID_LIMIT_TICKET_BYTES);
    return EID_OK;
}

eid_status eid_ticket_parse(const char *text, eid_ticket **out)
{
    EID_NEED(text && out);
    static const eid_id empty;
    eid_slice whole = eid_slice_text(text);
    EID_TRY(check_length(whole));
    if (!has_prefix(whole))
        return fail_prefix(whole);

    eid_ticket *ticket;
    EID_TRY(eid_ticket_new(&empty, &ticket));
    size_t len = strlen(TICKET_PREFIX);
    eid_status status = read_query(ticket, eid_slice_of(whole.data + len, whole.len - len));
    if (status != EID_OK) {
        eid_ticket_free(ticket);
        return status;
    }
    *out = ticket;
    return EID_OK;
}

eid_status eid_ticket_detect(const char *text, eid_ticket **out)
{
    EID_NEED(text && out);
    eid_slice whole = eid_slice_text(text);
    EID_TRY(check_length(whole));
    if (has_prefix(whole))
        return eid_ticket_parse(text, out);

    const char *at = strchr(text, '@');
    size_t id_len = at == NULL ? whole.len : (size_t)(at - text);
    eid_id database;
    EID_TRY(eid_id_parse_slice(eid_slice_of(whole.data, id_len), &database));
    if (eid_id_is_empty(&database))
        return eid_fail(
            EID_ERR_INVALID_ADDRESS,
            "Invalid address: expected a ticket (eidetica:?db=…), ID@address or the ID of a database");
    eid_address *address = NULL;
    if (at != NULL)
        EID_TRY(eid_address_detect(at + 1, &address));

    eid_ticket *ticket;
    eid_status status = eid_ticket_new(&database, &ticket);
    if (status != EID_OK) {
        eid_address_free(address);
        return status;
    }
    if (address != NULL && (status = append_address(ticket, address)) != EID_OK) {
        eid_address_free(address);
        eid_ticket_free(ticket);
        return status;
    }
    *out = ticket;
    return EID_OK;
}
