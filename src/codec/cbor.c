/* SPDX-License-Identifier: Apache-2.0 */
/* DAG-CBOR: appending items, and a cursor that reads one item head at a time. */
#include "codec/cbor.h"

#include "base/limits.h"
#include "base/utf8.h"
#include "codec/cid.h"

enum major { UNSIGNED = 0, NEGATIVE = 1, BYTES = 2, TEXT = 3, ARRAY = 4, MAP = 5, TAG = 6, SIMPLE = 7 };

#define TAG_ID 42

#define BYTE_FALSE 0xf4
#define BYTE_TRUE  0xf5
#define BYTE_NULL  0xf6

/* ---- writing ---- */

static void write_head(eid_buf *buf, enum major major, uint64_t number)
{
    uint8_t head[9];
    unsigned width = number < 24            ? 0
                     : number <= UINT8_MAX  ? 1
                     : number <= UINT16_MAX ? 2
                     : number <= UINT32_MAX ? 4
                                            : 8;
    unsigned low = width == 0 ? (unsigned)number : width == 1 ? 24 : width == 2 ? 25 : width == 4 ? 26 : 27;
    head[0] = (uint8_t)((unsigned)major << 5 | low);
    for (unsigned i = 0; i < width; i++)
        head[1 + i] = (uint8_t)(number >> (8 * (width - 1 - i)));
    eid_buf_append(buf, head, 1 + width);
}

void eid_cbor_write_uint(eid_buf *buf, uint64_t value)
{
    write_head(buf, UNSIGNED, value);
}

void eid_cbor_write_int(eid_buf *buf, int64_t value)
{
    /* A negative number is stored as -1 - value, which is its complement. */
    if (value < 0)
        write_head(buf, NEGATIVE, ~(uint64_t)value);
    else
        write_head(buf, UNSIGNED, (uint64_t)value);
}

void eid_cbor_write_bytes(eid_buf *buf, const void *data, size_t len)
{
    write_head(buf, BYTES, len);
    eid_buf_append(buf, data, len);
}

void eid_cbor_write_text_slice(eid_buf *buf, eid_slice text)
{
    write_head(buf, TEXT, text.len);
    eid_buf_append_slice(buf, text);
}

void eid_cbor_write_text(eid_buf *buf, const char *text)
{
    eid_cbor_write_text_slice(buf, eid_slice_text(text));
}

void eid_cbor_write_array(eid_buf *buf, size_t count)
{
    write_head(buf, ARRAY, count);
}

void eid_cbor_write_map(eid_buf *buf, size_t count)
{
    write_head(buf, MAP, count);
}

void eid_cbor_write_bool(eid_buf *buf, bool value)
{
    eid_buf_append_byte(buf, value ? BYTE_TRUE : BYTE_FALSE);
}

void eid_cbor_write_null(eid_buf *buf)
{
    eid_buf_append_byte(buf, BYTE_NULL);
}

void eid_cbor_write_id(eid_buf *buf, const eid_id *id)
{
    if (eid_id_is_empty(id)) {
        eid_cbor_write_null(buf);
        return;
    }
    write_head(buf, TAG, TAG_ID);
    write_head(buf, BYTES, 1 + (uint64_t)id->len);
    eid_buf_append_byte(buf, 0); /* the multibase prefix of bytes that are not text */
    eid_buf_append_slice(buf, eid_id_slice(id));
}

/* ---- reading ---- */

typedef struct head {
    enum major major;
    uint64_t number;
} head;

void eid_cbor_init(eid_cbor *reader, eid_slice input, bool strict)
{
    reader->input = input;
    reader->strict = strict;
}

static eid_status fail_truncated(void)
{
    return eid_fail(EID_ERR_TRUNCATED, "CBOR: the data ends inside an item");
}

static eid_slice drop(eid_slice input, size_t len)
{
    return len == 0 ? input : eid_slice_of(input.data + len, input.len - len);
}

static eid_status read_head(eid_slice *input, bool strict, head *out)
{
    if (input->len == 0)
        return fail_truncated();
    uint8_t first = input->data[0];
    unsigned low = first & 31;
    size_t width = low < 24 ? 0 : (size_t)1 << (low - 24);
    if (low == 31)
        return eid_fail(EID_ERR_SYNTAX, "CBOR: items of indefinite length are not allowed");
    if (low > 27)
        return eid_fail(EID_ERR_SYNTAX, "CBOR: the head 0x%02x is reserved", first);
    if (input->len - 1 < width)
        return fail_truncated();

    uint64_t number = width == 0 ? low : 0;
    for (size_t i = 0; i < width; i++)
        number = number << 8 | input->data[1 + i];

    bool simple = first >> 5 == SIMPLE;
    if (strict && !simple && width > 0 && (width == 1 ? number < 24 : number >> (4 * width) == 0))
        return eid_fail(EID_ERR_NOT_CANONICAL, "CBOR: a number or length is written longer than needed");
    /* Of the simple values only those of one byte exist; floats have the wider heads. */
    if (simple && (width > 0 || first < BYTE_FALSE || first > BYTE_NULL))
        return eid_fail(EID_ERR_SYNTAX,
                        "CBOR: 0x%02x is neither false, true nor null, the only simple values allowed",
                        first);

    head found = {(enum major)(first >> 5), number};
    *input = drop(*input, 1 + width);
    *out = found;
    return EID_OK;
}

/* The content of a string of `len` bytes. */
static eid_status read_content(eid_slice *input, uint64_t len, eid_slice *out)
{
    if (len > input->len)
        return fail_truncated();
    *out = eid_slice_of(input->data, (size_t)len);
    *input = drop(*input, (size_t)len);
    return EID_OK;
}

/* What follows the tag of an ID: a byte string of a zero and the binary CID. */
static eid_status read_id(eid_slice *input, bool strict, eid_id *out)
{
    head content = {SIMPLE, 0};
    eid_slice bytes = {NULL, 0};
    EID_TRY(read_head(input, strict, &content));
    if (content.major != BYTES)
        return eid_fail(EID_ERR_WRONG_TYPE, "CBOR: the tag of an identifier must stand before a byte string");
    EID_TRY(read_content(input, content.number, &bytes));
    if (bytes.len == 0 || bytes.data[0] != 0)
        return eid_fail(EID_ERR_INVALID_ID, "CBOR: the bytes of an identifier must start with a zero");
    bytes = drop(bytes, 1);
    /* Rust peers drop bytes after the digest; their re-encoding is the canonical form. */
    return strict ? eid_id_from_binary(bytes, out) : eid_id_read(&bytes, out);
}

static eid_status check_count(uint64_t count, size_t item_size, size_t left)
{
    return count > left / item_size ? fail_truncated() : EID_OK;
}

static eid_status read_item(eid_slice *input, bool strict, eid_cbor_item *item)
{
    head found = {SIMPLE, 0};
    EID_TRY(read_head(input, strict, &found));
    item->number = found.number;
    switch (found.major) {
    case UNSIGNED:
        item->kind = EID_CBOR_UINT;
        return EID_OK;
    case NEGATIVE:
        item->kind = EID_CBOR_NEGATIVE;
        return EID_OK;
    case BYTES:
        item->kind = EID_CBOR_BYTES;
        return read_content(input, found.number, &item->bytes);
    case TEXT:
        item->kind = EID_CBOR_TEXT;
        EID_TRY(read_content(input, found.number, &item->bytes));
        if (!eid_utf8_valid(item->bytes))
            return eid_fail(EID_ERR_UTF8, "CBOR: a text string is not UTF-8");
        return EID_OK;
    case ARRAY:
        item->kind = EID_CBOR_ARRAY;
        return check_count(found.number, 1, input->len);
    case MAP:
        item->kind = EID_CBOR_MAP;
        return check_count(found.number, 2, input->len);
    case TAG:
        item->kind = EID_CBOR_ID;
        if (found.number != TAG_ID)
            return eid_fail(EID_ERR_SYNTAX, "CBOR: tags other than 42 are not allowed");
        return read_id(input, strict, &item->id);
    case SIMPLE:
        item->kind = found.number == (BYTE_NULL & 31)   ? EID_CBOR_NULL
                     : found.number == (BYTE_TRUE & 31) ? EID_CBOR_TRUE
                                                        : EID_CBOR_FALSE;
        return EID_OK;
    }
    return eid_fail(EID_ERR_INTERNAL,
                    "CBOR: a head has three bits for its type, but none of the eight was found");
}

eid_status eid_cbor_next(eid_cbor *reader, eid_cbor_item *out)
{
    eid_slice rest = reader->input;
    eid_cbor_item item;
    memset(&item, 0, sizeof item);
    EID_TRY(read_item(&rest, reader->strict, &item));
    reader->input = rest;
    *out = item;
    return EID_OK;
}

eid_status eid_cbor_skip(eid_cbor *reader)
{
    uint64_t left[EID_LIMIT_CBOR_DEPTH]; /* items still to come in each open container */
    size_t depth = 0;
    eid_slice rest = reader->input;

    do {
        /* Only an ID needs more than its head and its bytes; the whole item on the stack is small enough. */
        eid_cbor_item item;
        EID_TRY(read_item(&rest, reader->strict, &item));
        if (depth > 0)
            left[depth - 1]--;
        if (item.kind == EID_CBOR_ARRAY || item.kind == EID_CBOR_MAP) {
            if (depth == EID_LIMIT_CBOR_DEPTH)
                return eid_fail(EID_ERR_DEPTH, "CBOR: more than %d containers inside each other",
                                EID_LIMIT_CBOR_DEPTH);
            /* No overflow: a count was checked against the bytes left. */
            left[depth++] = item.kind == EID_CBOR_MAP ? 2 * item.number : item.number;
        }
        while (depth > 0 && left[depth - 1] == 0)
            depth--;
    } while (depth > 0);

    reader->input = rest;
    return EID_OK;
}

eid_status eid_cbor_end(const eid_cbor *reader)
{
    if (reader->input.len > 0)
        return eid_fail(EID_ERR_TRAILING_DATA, "CBOR: %zu bytes follow the last item", reader->input.len);
    return EID_OK;
}

static const char *kind_name(eid_cbor_kind kind)
{
    static const char *const names[] = {
        [EID_CBOR_UINT] = "an unsigned integer",
        [EID_CBOR_NEGATIVE] = "a negative integer",
        [EID_CBOR_BYTES] = "a byte string",
        [EID_CBOR_TEXT] = "a text string",
        [EID_CBOR_ARRAY] = "an array",
        [EID_CBOR_MAP] = "a map",
        [EID_CBOR_ID] = "an identifier",
        [EID_CBOR_FALSE] = "false",
        [EID_CBOR_TRUE] = "true",
        [EID_CBOR_NULL] = "null",
    };
    return names[kind];
}

eid_status eid_cbor_expect(eid_cbor *reader, eid_cbor_kind kind, const char *what, eid_cbor_item *out)
{
    eid_cbor ahead = *reader;
    eid_cbor_item item;
    EID_TRY(eid_cbor_next(&ahead, &item));
    if (item.kind != kind)
        return eid_fail(EID_ERR_WRONG_TYPE, "CBOR: %s must be %s, not %s", what, kind_name(kind),
                        kind_name(item.kind));
    *reader = ahead;
    *out = item;
    return EID_OK;
}
