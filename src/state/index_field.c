/* SPDX-License-Identifier: Apache-2.0 */
/* Values of fields in rows of JSON, in a form whose bytes sort as the values do.
 *
 * The form is a tag, and behind it for text the text itself, for numbers other than zero an exponent and digits. A number
 * is taken as 0.d1d2d3… times a power of ten, its digits without zeros at either end: so 1, 1.0 and 10e-1 are one number,
 * and no digit is lost. The digits stand two in a byte, 1 to 100; of two numbers with equal exponents, what is a beginning of
 * the other is the smaller. Everything behind the tag of a negative number is inverted, and ends with a byte above all
 * others.
 */
#include "state/index.h"

#include "base/utf8.h"

/* Exponents near zero are one byte, others a byte that tells the side and eight more. */
#define NEAR_EXPONENT 100
#define EXPONENT_ZERO 0x80
#define EXPONENT_BELOW 0x08
#define EXPONENT_ABOVE 0xf8

void eid_field_values_init(eid_field_values *values)
{
    eid_buf_init(&values->bytes, SIZE_MAX / 2);
    values->count = 0;
}

void eid_field_values_free(eid_field_values *values)
{
    eid_buf_free(&values->bytes);
    values->count = 0;
}

/* ---- Paths ---- */

/* The component of the path that starts at `at`; *next is behind its dot, beyond the end after the last one. */
static eid_slice component_at(eid_slice field, size_t at, size_t *next)
{
    const uint8_t *dot = at < field.len ? memchr(field.data + at, '.', field.len - at) : NULL;
    size_t end = dot == NULL ? field.len : (size_t)(dot - field.data);
    *next = end + 1;
    return eid_slice_of(field.data + at, end - at);
}

eid_status eid_field_check(eid_slice field)
{
    if (!eid_utf8_valid(field))
        return eid_fail(EID_ERR_UTF8, "The field of an index must be UTF-8");
    if (field.len > EID_LIMIT_INDEX_FIELD)
        return eid_fail(EID_ERR_INVALID_PATH, "A field is a path of at most %d bytes", EID_LIMIT_INDEX_FIELD);
    size_t depth = 0;
    for (size_t at = 0; at <= field.len;) {
        size_t next;
        if (component_at(field, at, &next).len == 0)
            return eid_fail(EID_ERR_INVALID_PATH, "A field is the name of a member, or such names joined by single dots");
        at = next;
        depth++;
    }
    if (depth > EID_LIMIT_INDEX_DEPTH)
        return eid_fail(EID_ERR_INVALID_PATH, "A field names at most %d members inside each other", EID_LIMIT_INDEX_DEPTH);
    return EID_OK;
}

/* ---- Numbers ---- */

typedef struct decimal {
    bool negative;
    const uint8_t *digits; /* the digits, perhaps with a point between them */
    size_t len;
    int64_t exponent;      /* of 0.d1d2… */
} decimal;

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* The exponent as written, behind the "e". False when it is beyond the bound. */
static bool read_exponent(eid_slice text, size_t at, int64_t *out)
{
    bool negative = at < text.len && text.data[at] == '-';
    if (at < text.len && (text.data[at] == '-' || text.data[at] == '+'))
        at++;
    if (at == text.len)
        return false;
    int64_t exponent = 0;
    for (; at < text.len; at++) {
        if (!is_digit(text.data[at]) || exponent > EID_LIMIT_INDEX_EXPONENT)
            return false;
        exponent = exponent * 10 + (text.data[at] - '0');
    }
    *out = negative ? -exponent : exponent;
    return exponent <= EID_LIMIT_INDEX_EXPONENT;
}

/* Splits the text; *len 0 is zero. False when it is not a number of JSON, or out of bounds. */
static bool read_decimal(eid_slice text, decimal *out)
{
    int64_t exponent = 0;
    out->negative = text.len > 0 && text.data[0] == '-';
    size_t start = out->negative, at = start;
    while (at < text.len && is_digit(text.data[at]))
        at++;
    size_t whole = at - start;
    if (whole == 0 || (whole > 1 && text.data[start] == '0'))
        return false;
    if (at < text.len && text.data[at] == '.') {
        size_t point = at++;
        while (at < text.len && is_digit(text.data[at]))
            at++;
        if (at == point + 1)
            return false;
    }
    size_t end = at;
    if (at < text.len && ((text.data[at] | 0x20) != 'e' || !read_exponent(text, at + 1, &exponent)))
        return false;
    /* Behind the point, or when only zeros stand there, in front of it too. */
    while (end > start && (text.data[end - 1] == '0' || text.data[end - 1] == '.'))
        end--;
    int64_t leading = (int64_t)whole;
    for (; start < end && (text.data[start] == '0' || text.data[start] == '.'); start++)
        leading -= text.data[start] == '0';
    out->digits = text.data + start;
    out->len = end - start;
    out->exponent = exponent + leading;
    return true;
}

static void write_exponent(eid_buf *out, int64_t exponent, uint8_t invert)
{
    if (exponent >= -NEAR_EXPONENT && exponent <= NEAR_EXPONENT) {
        eid_buf_append_byte(out, (uint8_t)((EXPONENT_ZERO + exponent) ^ invert));
        return;
    }
    eid_buf_append_byte(out, (exponent < 0 ? EXPONENT_BELOW : EXPONENT_ABOVE) ^ invert);
    uint64_t shifted = (uint64_t)exponent + ((uint64_t)1 << 63);
    eid_buf_append_u64_be(out, invert != 0 ? ~shifted : shifted);
}

static void write_digits(eid_buf *out, const decimal *number, uint8_t invert)
{
    int pair = -1;
    for (size_t i = 0; i < number->len; i++) {
        int digit = number->digits[i] - '0';
        if (number->digits[i] == '.')
            continue;
        if (pair < 0) {
            pair = digit * 10;
        } else {
            eid_buf_append_byte(out, (uint8_t)((pair + digit + 1) ^ invert));
            pair = -1;
        }
    }
    if (pair >= 0)
        eid_buf_append_byte(out, (uint8_t)((pair + 1) ^ invert));
}

bool eid_field_write_number(eid_buf *out, eid_slice text)
{
    decimal number;
    if (!read_decimal(text, &number))
        return false;
    if (number.len == 0) {
        eid_buf_append_byte(out, EID_FIELD_TAG_ZERO);
        return true;
    }
    uint8_t invert = number.negative ? 0xff : 0;
    eid_buf_append_byte(out, number.negative ? EID_FIELD_TAG_NEGATIVE : EID_FIELD_TAG_POSITIVE);
    write_exponent(out, number.exponent, invert);
    write_digits(out, &number, invert);
    if (number.negative)
        eid_buf_append_byte(out, 0xff);
    return true;
}

void eid_field_write_text(eid_buf *out, eid_slice text)
{
    eid_buf_append_byte(out, EID_FIELD_TAG_TEXT);
    eid_buf_append_slice(out, text);
}

/* ---- Rows ---- */

/* Takes in what was appended to the bytes from `at` on, in its order, unless it is there already. */
static void keep_value(eid_field_values *values, size_t at)
{
    eid_slice value = eid_slice_of(values->bytes.data + at, values->bytes.len - at);
    size_t low = 0, high = values->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = eid_slice_compare(eid_field_value_at(values, middle), value);
        if (order == 0) {
            values->bytes.len = at;
            return;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    memmove(&values->items[low + 1], &values->items[low], (values->count - low) * sizeof *values->items);
    values->items[low].at = at;
    values->items[low].len = value.len;
    values->count++;
}

/* Reads one value that is no container. */
static eid_status read_scalar(eid_json *json, eid_field_values *values)
{
    eid_json_token token;
    size_t at = values->bytes.len;
    EID_TRY(eid_json_next(json, &token));
    if (token == EID_JSON_STRING)
        eid_field_write_text(&values->bytes, json->text);
    else if (token == EID_JSON_NULL)
        eid_buf_append_byte(&values->bytes, EID_FIELD_TAG_NULL);
    else if (token == EID_JSON_NUMBER)
        eid_field_write_number(&values->bytes, json->text);
    else
        eid_buf_append_byte(&values->bytes, token == EID_JSON_TRUE ? EID_FIELD_TAG_TRUE : EID_FIELD_TAG_FALSE);
    EID_TRY(eid_buf_status(&values->bytes));
    if (values->bytes.len > at)
        keep_value(values, at);
    return EID_OK;
}

static eid_status read_array(eid_json *json, eid_field_values *values)
{
    EID_TRY(eid_json_begin_array(json, "a field"));
    for (size_t seen = 0;;) {
        bool more;
        eid_json_token token;
        EID_TRY(eid_json_next_item(json, &more));
        if (!more)
            return EID_OK;
        EID_TRY(eid_json_peek(json, &token));
        bool container = token == EID_JSON_BEGIN_ARRAY || token == EID_JSON_BEGIN_OBJECT;
        if (container || seen++ >= EID_LIMIT_INDEX_ELEMENTS)
            EID_TRY(eid_json_skip(json));
        else
            EID_TRY(read_scalar(json, values));
    }
}

static void forget_values(eid_field_values *values)
{
    eid_buf_reset(&values->bytes);
    values->count = 0;
}

static eid_status read_end_of_path(eid_json *json, eid_field_values *values)
{
    eid_json_token token;
    EID_TRY(eid_json_peek(json, &token));
    if (token == EID_JSON_BEGIN_OBJECT)
        return eid_json_skip(json);
    return token == EID_JSON_BEGIN_ARRAY ? read_array(json, values) : read_scalar(json, values);
}

/* Walks the members of the objects along the path; whatever stands beside it is passed over. */
static eid_status read_members(eid_json *json, eid_slice field, eid_field_values *values)
{
    size_t starts[EID_LIMIT_INDEX_DEPTH] = {0};
    size_t level = 0;
    eid_json_token token;
    EID_TRY(eid_json_peek(json, &token));
    if (token != EID_JSON_BEGIN_OBJECT)
        return eid_json_skip(json);
    EID_TRY(eid_json_begin_object(json, "a row"));
    for (;;) {
        eid_slice key;
        bool more;
        size_t next;
        EID_TRY(eid_json_next_key(json, &key, &more));
        if (!more) {
            if (level == 0)
                return EID_OK;
            level--;
            continue;
        }
        if (!eid_slice_equal(key, component_at(field, starts[level], &next))) {
            EID_TRY(eid_json_skip(json));
            continue;
        }
        forget_values(values);
        if (next > field.len) {
            EID_TRY(read_end_of_path(json, values));
            continue;
        }
        EID_TRY(eid_json_peek(json, &token));
        if (token != EID_JSON_BEGIN_OBJECT) {
            EID_TRY(eid_json_skip(json));
            continue;
        }
        EID_TRY(eid_json_begin_object(json, "a member"));
        starts[++level] = next;
    }
}

eid_status eid_field_read(eid_slice field, eid_slice row, eid_field_values *values)
{
    eid_json json;
    forget_values(values);
    eid_json_init(&json, row);
    eid_status status = read_members(&json, field, values);
    if (status == EID_OK)
        status = eid_json_end(&json);
    eid_json_free(&json);
    if (status == EID_ERR_NO_MEMORY)
        return status;
    if (status != EID_OK)
        forget_values(values);
    return EID_OK;
}
