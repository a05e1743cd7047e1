/* SPDX-License-Identifier: Apache-2.0 */
/* Typed values on top of the tokens, and the fast path for bytes written as arrays of numbers. */
#include "codec/json.h"

#include "codec/json_int.h"

/* ---- typed values ---- */

eid_status eid_json_read_text(eid_json *reader, const char *what, eid_slice *out)
{
    EID_TRY(eid_json_expect(reader, EID_JSON_STRING, what));
    *out = reader->text;
    return EID_OK;
}

/* The digits of an integer as written; the peeked token must be a NUMBER. "-0" is a float for Rust peers. */
static eid_status integer_of(const eid_json *reader, const char *what, bool *negative, uint64_t *magnitude)
{
    eid_slice text = reader->text;
    size_t at = text.data[0] == '-';
    if (at == 1 && text.data[1] == '0')
        return eid_json_fail_type(reader, what, "an integer");
    bool negated = at == 1;
    bool fits = true;
    uint64_t value = 0;
    for (; at < text.len; at++) {
        if (!eid_json_is_digit(text.data[at]))
            return eid_json_fail_type(reader, what, "an integer without fraction and exponent");
        uint64_t digit = (uint64_t)(text.data[at] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            fits = false;
        value = value * 10 + digit;
    }
    if (!fits)
        return eid_fail(EID_ERR_RANGE, "JSON: %s does not fit in 64 bits (before byte %zu)", what,
                        reader->at);
    *negative = negated;
    *magnitude = value;
    return EID_OK;
}

eid_status eid_json_read_u64(eid_json *reader, const char *what, uint64_t *out)
{
    eid_json_token token;
    EID_TRY(eid_json_peek(reader, &token));
    if (token != EID_JSON_NUMBER)
        return eid_json_fail_type(reader, what, "an integer");
    bool negative;
    uint64_t magnitude;
    EID_TRY(integer_of(reader, what, &negative, &magnitude));
    if (negative)
        return eid_fail(EID_ERR_RANGE, "JSON: %s must not be negative (before byte %zu)", what, reader->at);
    reader->peeked = false;
    *out = magnitude;
    return EID_OK;
}

eid_status eid_json_read_i64(eid_json *reader, const char *what, int64_t *out)
{
    eid_json_token token;
    EID_TRY(eid_json_peek(reader, &token));
    if (token != EID_JSON_NUMBER)
        return eid_json_fail_type(reader, what, "an integer");
    bool negative;
    uint64_t magnitude;
    EID_TRY(integer_of(reader, what, &negative, &magnitude));
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return eid_fail(EID_ERR_RANGE, "JSON: %s does not fit in 64 bits with sign (before byte %zu)", what,
                        reader->at);
    reader->peeked = false;
    /* -1 - (magnitude - 1) reaches the smallest value without overflow. */
    *out = negative ? -1 - (int64_t)(magnitude - 1) : (int64_t)magnitude;
    return EID_OK;
}

eid_status eid_json_read_bool(eid_json *reader, const char *what, bool *out)
{
    eid_json_token token;
    EID_TRY(eid_json_peek(reader, &token));
    if (token != EID_JSON_TRUE && token != EID_JSON_FALSE)
        return eid_json_fail_type(reader, what, "a boolean");
    reader->peeked = false;
    *out = token == EID_JSON_TRUE;
    return EID_OK;
}

eid_status eid_json_read_null(eid_json *reader, bool *was_null)
{
    eid_json_token token;
    EID_TRY(eid_json_peek(reader, &token));
    if (token == EID_JSON_NULL)
        reader->peeked = false;
    *was_null = token == EID_JSON_NULL;
    return EID_OK;
}

eid_status eid_json_begin_object(eid_json *reader, const char *what)
{
    return eid_json_expect(reader, EID_JSON_BEGIN_OBJECT, what);
}

eid_status eid_json_begin_array(eid_json *reader, const char *what)
{
    return eid_json_expect(reader, EID_JSON_BEGIN_ARRAY, what);
}

eid_status eid_json_next_key(eid_json *reader, eid_slice *key, bool *more)
{
    eid_json_token token;
    EID_TRY(eid_json_peek(reader, &token));
    if (token != EID_JSON_KEY && token != EID_JSON_END_OBJECT)
        return eid_json_fail_type(reader, "what stands here", "a member name or the end of the object");
    reader->peeked = false;
    *more = token == EID_JSON_KEY;
    if (*more)
        *key = reader->text;
    return EID_OK;
}

eid_status eid_json_next_item(eid_json *reader, bool *more)
{
    eid_json_token token;
    EID_TRY(eid_json_peek(reader, &token));
    if (token == EID_JSON_KEY || token == EID_JSON_END_OBJECT || token == EID_JSON_END)
        return eid_json_fail_type(reader, "what stands here", "a value or the end of the array");
    if (token == EID_JSON_END_ARRAY)
        reader->peeked = false;
    *more = token != EID_JSON_END_ARRAY;
    return EID_OK;
}

/* ---- bytes as arrays of numbers ---- */

#define BLOCK 1024 /* numbers decoded before they are appended */

/* Decodes numbers in the compact form "123," from *at on, into `block`, until something else stands there or
 * the block is full. Each step looks at four characters: one to three digits and a comma. Returns how many.
 */
static size_t decode_compact(const uint8_t **at, const uint8_t *end, uint8_t block[BLOCK])
{
    const uint8_t *p = *at;
    size_t count = 0;
    while (count < BLOCK && end - p >= 4) {
        uint32_t chars = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        /* Digits become 0 to 9. Whatever is not one gets its high bit set; a carry can disturb only later
         * bytes. */
        uint32_t digits = chars ^ 0x30303030u;
        uint32_t others = ((digits + 0x76767676u) | digits) & 0x80808080u;
        if (others == 0)
            break;
        unsigned shift = (unsigned)__builtin_ctz(others) & ~7u; /* 8 * number of digits */
        if (shift == 0 || (chars >> shift & 0xff) != ',')
            break;
        if ((digits & 0xff) == 0 && shift > 8)
            break;
        uint32_t aligned = digits << (24 - shift); /* the units in bits 16 to 23 */
        uint32_t value = (aligned & 0xff) * 100 + (aligned >> 8 & 0xff) * 10 + (aligned >> 16 & 0xff);
        if (value > 255)
            break;
        block[count++] = (uint8_t)value;
        p += (shift >> 3) + 1;
    }
    *at = p;
    return count;
}

/* What decode_compact leaves: the last number, white space, and everything that is wrong. Reads one element
 * with its comma, or the end of the array. */
static eid_status read_byte_item(eid_json *reader, const char *what, uint8_t *out, bool *more)
{
    EID_TRY(eid_json_next_item(reader, more));
    if (!*more)
        return EID_OK;
    uint64_t value = 0;
    EID_TRY(eid_json_read_u64(reader, what, &value));
    if (value > 255)
        return eid_fail(EID_ERR_RANGE, "JSON: %s has an element above 255 (before byte %zu)", what,
                        reader->at);
    *out = (uint8_t)value;
    size_t at = eid_json_skip_space(reader->input, reader->at);
    if (at < reader->input.len && reader->input.data[at] == ',') {
        reader->at = at + 1;
        reader->state = EXPECT_VALUE;
    }
    return EID_OK;
}

eid_status eid_json_read_bytes(eid_json *reader, const char *what, eid_buf *out)
{
    eid_json_mark start = eid_json_mark_here(reader);
    EID_TRY(eid_json_begin_array(reader, what));

    size_t held = out->len;
    eid_status status = EID_OK;
    uint8_t block[BLOCK];
    bool more = true;
    while (more) {
        if (reader->state != AFTER_VALUE) {
            const uint8_t *at = reader->input.data + reader->at;
            size_t count = decode_compact(&at, reader->input.data + reader->input.len, block);
            if (count > 0) {
                reader->at = (size_t)(at - reader->input.data);
                reader->state = EXPECT_VALUE;
                eid_buf_append(out, block, count);
            }
        }
        EID_TRY_GOTO(status, read_byte_item(reader, what, block, &more), fail);
        if (more)
            eid_buf_append(out, block, 1);
    }
    EID_TRY_GOTO(status, eid_buf_status(out), fail);
    return EID_OK;

fail:
    eid_json_go_back(reader, &start);
    if (out->status == EID_OK && out->len > held) {
        out->len = held;
        out->data[held] = 0;
    }
    return status;
}
