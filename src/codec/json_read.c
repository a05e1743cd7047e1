/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON pull reader: one token at a time, no tree, no recursion.
 *
 * `state` says what the grammar allows at `at`; `stack` remembers for each open container whether it is an
 * array or an object. A token is read on copies of the position and only a complete, correct token moves the
 * reader, so a failed call can be repeated and fails the same way.
 */
#include "codec/json.h"

#include "base/utf8.h"
#include "codec/json_int.h"

void eid_json_init(eid_json *reader, eid_slice input)
{
    memset(reader, 0, sizeof *reader);
    reader->input = input;
    /* Decoding escapes never makes text longer. */
    eid_buf_init(&reader->scratch, input.len);
    reader->state = EXPECT_VALUE;
}

void eid_json_free(eid_json *reader)
{
    eid_buf_free(&reader->scratch);
}

/* ---- errors ---- */

static eid_status fail_syntax(size_t at, const char *what)
{
    return eid_fail(EID_ERR_SYNTAX, "JSON: %s at byte %zu", what, at);
}

static eid_status fail_truncated(const eid_json *reader)
{
    return eid_fail(EID_ERR_TRUNCATED, "JSON: the text ends too early, after %zu bytes", reader->input.len);
}

static const char *token_name(eid_json_token token)
{
    switch (token) {
    case EID_JSON_NULL:
        return "null";
    case EID_JSON_FALSE:
    case EID_JSON_TRUE:
        return "a boolean";
    case EID_JSON_NUMBER:
        return "a number";
    case EID_JSON_STRING:
        return "a string";
    case EID_JSON_KEY:
        return "a member name";
    case EID_JSON_BEGIN_ARRAY:
        return "an array";
    case EID_JSON_BEGIN_OBJECT:
        return "an object";
    case EID_JSON_END_ARRAY:
    case EID_JSON_END_OBJECT:
        return "the end of the container";
    case EID_JSON_END:
        return "the end of the document";
    }
    return "something else";
}

eid_status eid_json_fail_type(const eid_json *reader, const char *what, const char *expected)
{
    return eid_fail(EID_ERR_WRONG_TYPE, "JSON: %s must be %s, not %s (before byte %zu)", what, expected,
                    token_name(reader->token), reader->at);
}

/* ---- going back when a call of several tokens fails ---- */

eid_json_mark eid_json_mark_here(const eid_json *reader)
{
    eid_json_mark here = {reader->at,    reader->depth, reader->text,
                          reader->token, reader->state, reader->peeked};
    return here;
}

void eid_json_go_back(eid_json *reader, const eid_json_mark *to)
{
    reader->at = to->at;
    reader->depth = to->depth;
    reader->text = to->text;
    reader->token = to->token;
    reader->state = to->state;
    reader->peeked = to->peeked;
}

/* ---- characters ---- */

/* Moves *at behind a run of at least one digit. */
static eid_status scan_digits(const eid_json *reader, size_t *at)
{
    size_t start = *at;
    size_t stop = start;
    while (stop < reader->input.len && eid_json_is_digit(reader->input.data[stop]))
        stop++;
    if (stop == start) {
        if (start == reader->input.len)
            return fail_truncated(reader);
        return fail_syntax(start, "a digit is missing in a number");
    }
    *at = stop;
    return EID_OK;
}

static eid_status scan_number(const eid_json *reader, size_t *at)
{
    eid_slice input = reader->input;
    size_t stop = *at;
    if (input.data[stop] == '-')
        stop++;
    size_t first = stop;
    EID_TRY(scan_digits(reader, &stop));
    if (input.data[first] == '0' && stop - first > 1)
        return fail_syntax(first, "a number starts with a needless zero");
    if (stop < input.len && input.data[stop] == '.') {
        stop++;
        EID_TRY(scan_digits(reader, &stop));
    }
    if (stop < input.len && (input.data[stop] | 0x20) == 'e') {
        stop++;
        if (stop < input.len && (input.data[stop] == '+' || input.data[stop] == '-'))
            stop++;
        EID_TRY(scan_digits(reader, &stop));
    }
    *at = stop;
    return EID_OK;
}

static eid_status scan_literal(const eid_json *reader, size_t *at, const char *literal)
{
    eid_slice rest = eid_slice_of(reader->input.data + *at, reader->input.len - *at);
    size_t len = strlen(literal);
    size_t held = rest.len < len ? rest.len : len;
    if (memcmp(rest.data, literal, held) != 0)
        return fail_syntax(*at, "an unknown word stands");
    if (held < len)
        return fail_truncated(reader);
    *at += len;
    return EID_OK;
}

/* ---- strings ---- */

static int hex_value(uint8_t byte)
{
    if (eid_json_is_digit(byte))
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* The four digits of a \u escape at `at`, which must lie inside the string. */
static eid_status read_hex4(eid_slice input, size_t at, size_t end, uint32_t *out)
{
    if (end - at < 4)
        return fail_syntax(at, "an escape has fewer than four hex digits");
    uint32_t value = 0;
    for (size_t i = at; i < at + 4; i++) {
        int digit = hex_value(input.data[i]);
        if (digit < 0)
            return fail_syntax(i, "a hex digit is missing in an escape");
        value = value << 4 | (uint32_t)digit;
    }
    *out = value;
    return EID_OK;
}

static size_t put_utf8(uint8_t *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xc0 | code >> 6);
        out[1] = (uint8_t)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xe0 | code >> 12);
        out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | code >> 18);
    out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (code & 0x3f));
    return 4;
}

/* Decodes a \u escape whose digits start at *at, a surrogate pair as one character; moves *at behind it. */
static eid_status read_unicode(eid_slice input, size_t *at, size_t end, uint32_t *out)
{
    uint32_t code = 0;
    EID_TRY(read_hex4(input, *at, end, &code));
    size_t stop = *at + 4;
    if (code >= 0xdc00 && code <= 0xdfff)
        return fail_syntax(*at, "the second half of a surrogate pair stands alone");
    if (code >= 0xd800 && code <= 0xdbff) {
        uint32_t low = 0;
        if (end - stop < 2 || input.data[stop] != '\\' || input.data[stop + 1] != 'u')
            return fail_syntax(*at, "the first half of a surrogate pair stands alone");
        EID_TRY(read_hex4(input, stop + 2, end, &low));
        if (low < 0xdc00 || low > 0xdfff)
            return fail_syntax(*at, "the first half of a surrogate pair stands alone");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        stop += 6;
    }
    *at = stop;
    *out = code;
    return EID_OK;
}

/* What a letter behind a backslash stands for; "u" is not among them. */
static bool unescape(uint8_t letter, uint8_t *out)
{
    static const uint8_t meanings[] = {['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t'};
    if (letter == '"' || letter == '\\' || letter == '/') {
        *out = letter;
        return true;
    }
    if (letter >= sizeof meanings || meanings[letter] == 0)
        return false;
    *out = meanings[letter];
    return true;
}

/* Decodes the inside [at, end) of a string with escapes into `out`, which has room for end - at bytes. */
static eid_status decode_string(eid_slice input, size_t at, size_t end, uint8_t *out, size_t *len)
{
    size_t written = 0;
    while (at < end) {
        const uint8_t *run = input.data + at;
        size_t plain = (size_t)(eid_json_plain_end(run, input.data + end) - run);
        /* What is written is never longer than what was read, so there is room for a block wherever one can be read. */
        if (plain <= 16 && end - at >= 16)
            memcpy(out + written, run, 16);
        else
            memcpy(out + written, run, plain);
        written += plain;
        at += plain;
        if (at == end)
            break;
        if (input.data[at] != '\\')
            return fail_syntax(at, "a quote or a raw control character stands in a string");
        if (end - at < 2)
            return fail_syntax(at, "a string ends in the middle of an escape");
        uint8_t letter = input.data[at + 1];
        if (letter == 'u') {
            uint32_t code = 0;
            size_t digits = at + 2;
            EID_TRY(read_unicode(input, &digits, end, &code));
            written += put_utf8(out + written, code);
            at = digits;
            continue;
        }
        if (!unescape(letter, &out[written]))
            return fail_syntax(at, "an unknown escape stands");
        written++;
        at += 2;
    }
    *len = written;
    return EID_OK;
}

eid_status eid_json_unescape(eid_slice inside, eid_buf *out)
{
    size_t len = 0;
    if (!eid_utf8_valid(inside))
        return eid_fail(EID_ERR_UTF8, "JSON: a string is not UTF-8");
    uint8_t *room = eid_buf_reserve(out, inside.len);
    if (room == NULL)
        return eid_buf_status(out);
    eid_status status = decode_string(inside, 0, inside.len, room, &len);
    if (status != EID_OK) {
        *room = 0; /* the buffer ends with a zero */
        return status;
    }
    eid_buf_commit(out, len);
    return EID_OK;
}

/* Reads the string whose opening quote stands at *at; moves *at behind the closing one. */
static eid_status scan_string(eid_json *reader, size_t *at, eid_slice *text)
{
    eid_slice input = reader->input;
    const uint8_t *end = input.data + input.len;
    size_t start = *at + 1;
    const uint8_t *stop = input.data + start;
    bool escaped = false;

    for (;;) {
        stop = eid_json_plain_end(stop, end);
        if (stop == end)
            return fail_truncated(reader);
        if (*stop == '"')
            break;
        if (*stop != '\\')
            return fail_syntax((size_t)(stop - input.data), "a raw control character stands in a string");
        if (end - stop < 2)
            return fail_truncated(reader);
        escaped = true;
        stop += 2;
    }

    size_t len = (size_t)(stop - input.data) - start;
    eid_slice raw = eid_slice_of(input.data + start, len);
    if (!eid_utf8_valid(raw))
        return eid_fail(EID_ERR_UTF8, "JSON: the string at byte %zu is not UTF-8", start);
    if (escaped) {
        eid_buf_reset(&reader->scratch);
        uint8_t *out = eid_buf_reserve(&reader->scratch, len);
        if (out == NULL)
            return eid_buf_status(&reader->scratch);
        size_t decoded = 0;
        EID_TRY(decode_string(input, start, start + len, out, &decoded));
        eid_buf_commit(&reader->scratch, decoded);
        raw = eid_buf_slice(&reader->scratch);
    }
    *text = raw;
    *at = start + len + 1;
    return EID_OK;
}

/* ---- tokens ---- */

static eid_status open_container(eid_json *reader, size_t at, enum eid_json_container kind,
                                 enum eid_json_state next)
{
    if (reader->depth == EID_LIMIT_JSON_DEPTH)
        return eid_fail(EID_ERR_DEPTH, "JSON: more than %d containers inside each other at byte %zu",
                        EID_LIMIT_JSON_DEPTH, at);
    reader->stack[reader->depth++] = (uint8_t)kind;
    reader->state = (uint8_t)next;
    reader->at = at + 1;
    return EID_OK;
}

static void close_container(eid_json *reader, size_t at)
{
    reader->depth--;
    reader->state = AFTER_VALUE;
    reader->at = at + 1;
}

/* Every value that is not a container ends the same way. */
static eid_json_token finish_scalar(eid_json *reader, size_t at, eid_json_token token)
{
    reader->at = at;
    reader->state = AFTER_VALUE;
    return token;
}

static eid_status read_value(eid_json *reader, size_t at, eid_json_token *out)
{
    size_t start = at;
    eid_slice text;
    switch (reader->input.data[at]) {
    case '{':
        EID_TRY(open_container(reader, at, IN_OBJECT, EXPECT_KEY_OR_END));
        *out = EID_JSON_BEGIN_OBJECT;
        return EID_OK;
    case '[':
        EID_TRY(open_container(reader, at, IN_ARRAY, EXPECT_ITEM_OR_END));
        *out = EID_JSON_BEGIN_ARRAY;
        return EID_OK;
    case '"':
        EID_TRY(scan_string(reader, &at, &text));
        reader->text = text;
        *out = finish_scalar(reader, at, EID_JSON_STRING);
        return EID_OK;
    case 'n':
        EID_TRY(scan_literal(reader, &at, "null"));
        *out = finish_scalar(reader, at, EID_JSON_NULL);
        return EID_OK;
    case 't':
        EID_TRY(scan_literal(reader, &at, "true"));
        *out = finish_scalar(reader, at, EID_JSON_TRUE);
        return EID_OK;
    case 'f':
        EID_TRY(scan_literal(reader, &at, "false"));
        *out = finish_scalar(reader, at, EID_JSON_FALSE);
        return EID_OK;
    default:
        if (reader->input.data[at] != '-' && !eid_json_is_digit(reader->input.data[at]))
            return fail_syntax(at, "no value stands");
        EID_TRY(scan_number(reader, &at));
        reader->text = eid_slice_of(reader->input.data + start, at - start);
        *out = finish_scalar(reader, at, EID_JSON_NUMBER);
        return EID_OK;
    }
}

static eid_status read_key(eid_json *reader, size_t at, eid_json_token *out)
{
    if (reader->input.data[at] != '"')
        return fail_syntax(at, "a member name in quotes is missing");
    eid_slice text;
    EID_TRY(scan_string(reader, &at, &text));
    at = eid_json_skip_space(reader->input, at);
    if (at == reader->input.len)
        return fail_truncated(reader);
    if (reader->input.data[at] != ':')
        return fail_syntax(at, "a colon is missing");
    reader->text = text;
    reader->at = at + 1;
    reader->state = EXPECT_VALUE;
    *out = EID_JSON_KEY;
    return EID_OK;
}

/* After a value: at depth 0 only the end of the document, else the end of the container or a comma and the
 * next. */
static eid_status read_after_value(eid_json *reader, size_t at, eid_json_token *out)
{
    if (reader->depth == 0) {
        if (at < reader->input.len)
            return eid_fail(EID_ERR_TRAILING_DATA, "JSON: something follows the document at byte %zu", at);
        reader->at = at;
        reader->state = FINISHED;
        *out = EID_JSON_END;
        return EID_OK;
    }
    if (at == reader->input.len)
        return fail_truncated(reader);

    bool in_object = reader->stack[reader->depth - 1] == IN_OBJECT;
    uint8_t byte = reader->input.data[at];
    if (byte == (in_object ? '}' : ']')) {
        close_container(reader, at);
        *out = in_object ? EID_JSON_END_OBJECT : EID_JSON_END_ARRAY;
        return EID_OK;
    }
    if (byte != ',')
        return fail_syntax(at, in_object ? "a comma or the end of the object is missing"
                                         : "a comma or the end of the array is missing");
    at = eid_json_skip_space(reader->input, at + 1);
    if (at == reader->input.len)
        return fail_truncated(reader);
    return in_object ? read_key(reader, at, out) : read_value(reader, at, out);
}

static eid_status read_token(eid_json *reader, eid_json_token *out)
{
    if (reader->state == FINISHED) {
        *out = EID_JSON_END;
        return EID_OK;
    }
    size_t at = eid_json_skip_space(reader->input, reader->at);
    if (reader->state == AFTER_VALUE)
        return read_after_value(reader, at, out);
    if (at == reader->input.len)
        return fail_truncated(reader);

    uint8_t byte = reader->input.data[at];
    switch (reader->state) {
    case EXPECT_ITEM_OR_END:
        if (byte == ']') {
            close_container(reader, at);
            *out = EID_JSON_END_ARRAY;
            return EID_OK;
        }
        return read_value(reader, at, out);
    case EXPECT_KEY_OR_END:
        if (byte == '}') {
            close_container(reader, at);
            *out = EID_JSON_END_OBJECT;
            return EID_OK;
        }
        return read_key(reader, at, out);
    default:
        return read_value(reader, at, out);
    }
}

eid_status eid_json_next(eid_json *reader, eid_json_token *out)
{
    if (!reader->peeked) {
        eid_json_token token;
        EID_TRY(read_token(reader, &token));
        reader->token = token;
    }
    reader->peeked = false;
    *out = reader->token;
    return EID_OK;
}

eid_status eid_json_peek(eid_json *reader, eid_json_token *out)
{
    EID_TRY(eid_json_next(reader, out));
    reader->peeked = true;
    return EID_OK;
}

eid_status eid_json_expect(eid_json *reader, eid_json_token token, const char *what)
{
    eid_json_token found;
    EID_TRY(eid_json_peek(reader, &found));
    if (found != token)
        return eid_json_fail_type(reader, what, token_name(token));
    reader->peeked = false;
    return EID_OK;
}

eid_status eid_json_skip(eid_json *reader)
{
    eid_json_mark start = eid_json_mark_here(reader);
    size_t open = 0;
    do {
        eid_json_token token;
        eid_status status = eid_json_peek(reader, &token);
        if (status == EID_OK && open == 0 &&
            (token == EID_JSON_KEY || token == EID_JSON_END || token == EID_JSON_END_ARRAY ||
             token == EID_JSON_END_OBJECT))
            status = eid_json_fail_type(reader, "what is skipped", "a value");
        if (status != EID_OK) {
            eid_json_go_back(reader, &start);
            return status;
        }
        reader->peeked = false;
        if (token == EID_JSON_BEGIN_ARRAY || token == EID_JSON_BEGIN_OBJECT)
            open++;
        else if (token == EID_JSON_END_ARRAY || token == EID_JSON_END_OBJECT)
            open--;
    } while (open > 0);
    return EID_OK;
}

eid_status eid_json_end(eid_json *reader)
{
    return eid_json_expect(reader, EID_JSON_END, "what follows the last value");
}
