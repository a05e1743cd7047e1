/* SPDX-License-Identifier: Apache-2.0 */
/* The reader against an independent grammar: a small recursive checker that only says yes or no. Random
 * documents, correct ones and ones damaged in a few places, must get the same verdict from both. */
#include "support/testutil.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "codec/json.h"

/* ---- the checker: RFC 8259 as productions, each returns the place behind it or NULL ---- */

static const char *check_value(const char *at, const char *end, int depth);

static const char *space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

static const char *digits(const char *at, const char *end)
{
    const char *start = at;
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at == start ? NULL : at;
}

static const char *check_number(const char *at, const char *end)
{
    if (at < end && *at == '-')
        at++;
    const char *start = at;
    at = digits(at, end);
    if (at == NULL || (*start == '0' && at - start > 1))
        return NULL;
    if (at < end && *at == '.' && (at = digits(at + 1, end)) == NULL)
        return NULL;
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        at = digits(at, end);
    }
    return at;
}

/* The value of four hex digits, or -1. */
static long hex4(const char *at, const char *end)
{
    char text[5] = {0};
    if (end - at < 4)
        return -1;
    memcpy(text, at, 4);
    return strspn(text, "0123456789abcdefABCDEF") == 4 ? strtol(text, NULL, 16) : -1;
}

static const char *check_string(const char *at, const char *end)
{
    const char *start = at + 1;
    if (at == end || *at++ != '"')
        return NULL;
    while (at < end && *at != '"') {
        if ((unsigned char)*at < 0x20)
            return NULL;
        if (*at++ != '\\')
            continue;
        if (at == end || *at == '\0' || strchr("\"\\/bfnrtu", *at) == NULL)
            return NULL;
        if (*at++ != 'u')
            continue;
        long code = hex4(at, end);
        if (code < 0 || (code >= 0xdc00 && code <= 0xdfff))
            return NULL;
        at += 4;
        if (code < 0xd800 || code > 0xdfff)
            continue;
        if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
            return NULL;
        code = hex4(at + 2, end);
        if (code < 0xdc00 || code > 0xdfff)
            return NULL;
        at += 6;
    }
    if (at == end || !eid_utf8_valid(eid_slice_of(start, (size_t)(at - start))))
        return NULL;
    return at + 1;
}

static const char *check_members(const char *at, const char *end, char close, int depth)
{
    at = space(at, end);
    if (at < end && *at == close)
        return at + 1;
    for (;;) {
        at = space(at, end);
        if (close == '}') {
            at = check_string(at, end);
            if (at == NULL)
                return NULL;
            at = space(at, end);
            if (at == end || *at++ != ':')
                return NULL;
        }
        at = check_value(space(at, end), end, depth);
        if (at == NULL)
            return NULL;
        at = space(at, end);
        if (at == end)
            return NULL;
        if (*at == close)
            return at + 1;
        if (*at++ != ',')
            return NULL;
    }
}

static const char *check_value(const char *at, const char *end, int depth)
{
    static const char *const words[] = {"null", "true", "false"};
    if (at == end)
        return NULL;
    if (*at == '[' || *at == '{')
        return depth == 0 ? NULL : check_members(at + 1, end, *at == '[' ? ']' : '}', depth - 1);
    if (*at == '"')
        return check_string(at, end);
    for (size_t i = 0; i < 3; i++) {
        size_t len = strlen(words[i]);
        if ((size_t)(end - at) >= len && memcmp(at, words[i], len) == 0)
            return at + len;
    }
    return check_number(at, end);
}

static bool is_json(const char *text, size_t len)
{
    const char *end = text + len;
    const char *at = check_value(space(text, end), end, EID_LIMIT_JSON_DEPTH);
    return at != NULL && space(at, end) == end;
}

/* ---- random documents ---- */

static void write_space(eid_buf *buf, tu_random *random)
{
    static const char *const spaces[] = {"", "", "", " ", "\n\t", "\r\n  "};
    eid_buf_append_text(buf, spaces[tu_random_below(random, 6)]);
}

static void write_string(eid_buf *buf, tu_random *random)
{
    static const char *const pieces[] = {
        "a",        "longer piece",     "\\n",  "\\\"", "\\\\", "\\/", "\\u00e9", "\\u20AC", "\\ud83d\\ude00",
        "\xc3\xa9", "\xf0\x9f\x98\x80", "\x7f",
    };
    eid_buf_append_byte(buf, '"');
    for (uint64_t n = tu_random_below(random, 5); n > 0; n--)
        eid_buf_append_text(buf, pieces[tu_random_below(random, 12)]);
    eid_buf_append_byte(buf, '"');
}

static void write_value(eid_buf *buf, tu_random *random, int depth)
{
    static const char *const scalars[] = {"null", "true", "false",   "0",  "-1",
                                          "12.5", "1e9",  "-0.5E-3", "255"};
    uint64_t kind = tu_random_below(random, depth == 0 ? 2 : 4);
    write_space(buf, random);
    if (kind == 0) {
        eid_buf_append_text(buf, scalars[tu_random_below(random, 9)]);
    } else if (kind == 1) {
        write_string(buf, random);
    } else {
        bool array = kind == 2;
        eid_buf_append_byte(buf, array ? '[' : '{');
        uint64_t count = tu_random_below(random, 5);
        for (uint64_t i = 0; i < count; i++) {
            if (i > 0)
                eid_buf_append_byte(buf, ',');
            if (!array) {
                write_space(buf, random);
                write_string(buf, random);
                write_space(buf, random);
                eid_buf_append_byte(buf, ':');
            }
            write_value(buf, random, depth - 1);
        }
        write_space(buf, random);
        eid_buf_append_byte(buf, array ? ']' : '}');
    }
    write_space(buf, random);
}

/* The verdict of the reader, by tokens and by skipping, from a block of exactly the size of the text. */
static bool reader_accepts(const char *text, size_t len)
{
    char *copy = malloc(len == 0 ? 1 : len);
    assert_non_null(copy);
    memcpy(copy, text, len);
    eid_json by_token, by_skip;
    eid_json_init(&by_token, eid_slice_of(copy, len));
    eid_json_init(&by_skip, eid_slice_of(copy, len));
    eid_json_token token = EID_JSON_NULL;
    eid_status status = EID_OK;
    size_t open = 0;
    while (status == EID_OK && token != EID_JSON_END) {
        status = eid_json_next(&by_token, &token);
        if (status != EID_OK)
            break;
        open += token == EID_JSON_BEGIN_ARRAY || token == EID_JSON_BEGIN_OBJECT;
        open -= token == EID_JSON_END_ARRAY || token == EID_JSON_END_OBJECT;
        assert_int_equal(open, by_token.depth);
        if (token == EID_JSON_STRING || token == EID_JSON_KEY)
            assert_true(eid_utf8_valid(by_token.text));
    }
    eid_status skipped = eid_json_skip(&by_skip);
    if (skipped == EID_OK)
        skipped = eid_json_end(&by_skip);
    assert_int_equal(skipped, status);
    eid_json_free(&by_token);
    eid_json_free(&by_skip);
    free(copy);
    return status == EID_OK;
}

static void compare(const char *text, size_t len)
{
    bool wanted = is_json(text, len);
    if (reader_accepts(text, len) != wanted)
        fail_msg("the reader should %s: %.*s", wanted ? "accept" : "refuse", (int)len, text);
}

static void checker_is_not_blind(void **state)
{
    (void)state;
    assert_true(is_json("[1,{\"a\":null}]", 14));
    assert_false(is_json("[1,]", 4));
    assert_false(is_json("01", 2));
    assert_false(is_json("\"\\ud800\"", 8));
}

static void damage(eid_buf *buf, tu_random *random)
{
    static const char interesting[] = "[]{}\",:\\u0123456789abcdefnrtx-+.eE \n\x01\x80\xff";
    size_t at = (size_t)tu_random_below(random, buf->len);
    uint8_t byte = (uint8_t)interesting[tu_random_below(random, sizeof interesting - 1)];
    switch (tu_random_below(random, 3)) {
    case 0:
        buf->data[at] = byte;
        break;
    case 1:
        memmove(buf->data + at, buf->data + at + 1, buf->len - at);
        buf->len--;
        break;
    default:
        eid_buf_append_byte(buf, ' ');
        memmove(buf->data + at + 1, buf->data + at, buf->len - 1 - at);
        buf->data[at] = byte;
        break;
    }
}

static void random_documents(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(2024);
    size_t refused = 0;
    for (size_t round = 0; round < 6000; round++) {
        eid_buf buf;
        eid_buf_init(&buf, 1 << 20);
        write_value(&buf, &random, 4);
        tu_assert_ok(eid_buf_status(&buf));
        assert_true(is_json((const char *)buf.data, buf.len));
        compare((const char *)buf.data, buf.len);
        for (size_t hits = 0; hits < 6 && buf.len > 0; hits++) {
            damage(&buf, &random);
            compare((const char *)buf.data, buf.len);
            refused += !is_json((const char *)buf.data, buf.len);
        }
        eid_buf_free(&buf);
    }
    /* The damage must neither always nor never matter, or the comparison says little. */
    assert_in_range(refused, 12000, 35500);
}

/* All texts of up to five characters over the ones that carry the grammar. */
static void all_short_texts(void **state)
{
    (void)state;
    static const char alphabet[] = "[]{}\",:01-.e \\";
    const size_t letters = sizeof alphabet - 1;
    size_t total = 1;
    for (size_t len = 1; len <= 5; len++) {
        total *= letters;
        for (size_t number = 0; number < total; number++) {
            char text[5];
            size_t rest = number;
            for (size_t i = 0; i < len; i++) {
                text[i] = alphabet[rest % letters];
                rest /= letters;
            }
            compare(text, len);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checker_is_not_blind),
        cmocka_unit_test(random_documents),
        cmocka_unit_test(all_short_texts),
    };
    return cmocka_run_group_tests_name("codec-json-grammar", tests, NULL, NULL);
}
