/* SPDX-License-Identifier: Apache-2.0 */
/* The tokens of the JSON reader: the whole grammar, every way to break it, and what a failed call leaves
 * behind. */
#include "support/testutil.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/json.h"

/* One letter for each token, so that a document's tokens can be written as a word. */
static char letter_of(eid_json_token token)
{
    static const char letters[] = {
        [EID_JSON_NULL] = 'n',        [EID_JSON_FALSE] = 'f',     [EID_JSON_TRUE] = 't',
        [EID_JSON_NUMBER] = '#',      [EID_JSON_STRING] = '"',    [EID_JSON_KEY] = 'k',
        [EID_JSON_BEGIN_ARRAY] = '[', [EID_JSON_END_ARRAY] = ']', [EID_JSON_BEGIN_OBJECT] = '{',
        [EID_JSON_END_OBJECT] = '}',  [EID_JSON_END] = '.',
    };
    return letters[token];
}

/* Reads to the end or to the first failure, which is returned. The bytes are copied to a block of exactly
 * their size, so that a sanitizer sees a read behind the end. */
static eid_status read_all(const void *text, size_t len, char *trace, size_t trace_size)
{
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    assert_non_null(copy);
    if (len > 0)
        memcpy(copy, text, len);
    eid_json reader;
    eid_json_init(&reader, eid_slice_of(copy, len));
    eid_json_token token = EID_JSON_NULL;
    eid_status status;
    size_t at = 0;
    do {
        status = eid_json_next(&reader, &token);
        if (status == EID_OK && at + 1 < trace_size)
            trace[at++] = letter_of(token);
    } while (status == EID_OK && token != EID_JSON_END);
    trace[at] = '\0';
    eid_json_free(&reader);
    free(copy);
    return status;
}

static void correct_documents(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *tokens;
    } cases[] = {
        {"null", "n."},
        {"true", "t."},
        {"false", "f."},
        {"\"\"", "\"."},
        {" \t\r\n null \t\r\n ", "n."},
        {"0", "#."},
        {"-0", "#."},
        {"10", "#."},
        {"-19", "#."},
        {"1.5", "#."},
        {"0.0", "#."},
        {"1e5", "#."},
        {"1E+5", "#."},
        {"1e-05", "#."},
        {"-1.25E10", "#."},
        {"[]", "[]."},
        {"[ ]", "[]."},
        {"{}", "{}."},
        {"{ }", "{}."},
        {"[1]", "[#]."},
        {"[1,2]", "[##]."},
        {" [ 1 , 2 ] ", "[##]."},
        {"[[],[[]],{}]", "[[][[]]{}]."},
        {"{\"a\":1}", "{k#}."},
        {" { \"a\" : 1 , \"b\" : [ ] } ", "{k#k[]}."},
        {"{\"a\":{\"b\":null},\"a\":true}", "{k{kn}kt}."},
        {"{\"\":\"\"}", "{k\"}."},
        {"[null,true,false,\"x\",-1]", "[ntf\"#]."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char trace[64];
        eid_status status = read_all(cases[i].text, strlen(cases[i].text), trace, sizeof trace);
        if (status != EID_OK)
            fail_msg("%s: %s", cases[i].text, eid_last_error());
        assert_string_equal(trace, cases[i].tokens);
    }
}

static void broken_documents(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        eid_status status;
    } cases[] = {
        {"", EID_ERR_TRUNCATED},
        {"  ", EID_ERR_TRUNCATED},
        {"nul", EID_ERR_TRUNCATED},
        {"nulx", EID_ERR_SYNTAX},
        {"Null", EID_ERR_SYNTAX},
        {"NaN", EID_ERR_SYNTAX},
        {"nan", EID_ERR_SYNTAX},
        {"Infinity", EID_ERR_SYNTAX},
        {"-Infinity", EID_ERR_SYNTAX},
        {"nullx", EID_ERR_TRAILING_DATA},
        {"null null", EID_ERR_TRAILING_DATA},
        {"1 2", EID_ERR_TRAILING_DATA},
        {"{}x", EID_ERR_TRAILING_DATA},
        {"[]]", EID_ERR_TRAILING_DATA},
        {"{}}", EID_ERR_TRAILING_DATA},
        {"1,", EID_ERR_TRAILING_DATA},
        {"\"a\"\"b\"", EID_ERR_TRAILING_DATA},
        {"0x10", EID_ERR_TRAILING_DATA},
        {"00", EID_ERR_SYNTAX},
        {"01", EID_ERR_SYNTAX},
        {"-01", EID_ERR_SYNTAX},
        {"+1", EID_ERR_SYNTAX},
        {".5", EID_ERR_SYNTAX},
        {"-", EID_ERR_TRUNCATED},
        {"-x", EID_ERR_SYNTAX},
        {"--1", EID_ERR_SYNTAX},
        {"1.", EID_ERR_TRUNCATED},
        {"1.e5", EID_ERR_SYNTAX},
        {"1.x", EID_ERR_SYNTAX},
        {"1e", EID_ERR_TRUNCATED},
        {"1e+", EID_ERR_TRUNCATED},
        {"1e+x", EID_ERR_SYNTAX},
        {"1ex", EID_ERR_SYNTAX},
        {"[", EID_ERR_TRUNCATED},
        {"[1", EID_ERR_TRUNCATED},
        {"[1,", EID_ERR_TRUNCATED},
        {"[1,]", EID_ERR_SYNTAX},
        {"[,1]", EID_ERR_SYNTAX},
        {"[,]", EID_ERR_SYNTAX},
        {"[1,,2]", EID_ERR_SYNTAX},
        {"[1 2]", EID_ERR_SYNTAX},
        {"[1:2]", EID_ERR_SYNTAX},
        {"[1}", EID_ERR_SYNTAX},
        {"[}", EID_ERR_SYNTAX},
        {"]", EID_ERR_SYNTAX},
        {"}", EID_ERR_SYNTAX},
        {",", EID_ERR_SYNTAX},
        {":", EID_ERR_SYNTAX},
        {"{", EID_ERR_TRUNCATED},
        {"{]", EID_ERR_SYNTAX},
        {"{,}", EID_ERR_SYNTAX},
        {"{\"a\"", EID_ERR_TRUNCATED},
        {"{\"a\"}", EID_ERR_SYNTAX},
        {"{\"a\":", EID_ERR_TRUNCATED},
        {"{\"a\":}", EID_ERR_SYNTAX},
        {"{\"a\":1", EID_ERR_TRUNCATED},
        {"{\"a\":1,", EID_ERR_TRUNCATED},
        {"{\"a\":1,}", EID_ERR_SYNTAX},
        {"{\"a\":1]", EID_ERR_SYNTAX},
        {"{\"a\" 1}", EID_ERR_SYNTAX},
        {"{\"a\",1}", EID_ERR_SYNTAX},
        {"{\"a\":1 \"b\":2}", EID_ERR_SYNTAX},
        {"{\"a\"::1}", EID_ERR_SYNTAX},
        {"{1:2}", EID_ERR_SYNTAX},
        {"{a:2}", EID_ERR_SYNTAX},
        {"{null:2}", EID_ERR_SYNTAX},
        {"'a'", EID_ERR_SYNTAX},
        {"// x\n1", EID_ERR_SYNTAX},
        {"/**/1", EID_ERR_SYNTAX},
        {"\xef\xbb\xbf"
         "1",
         EID_ERR_SYNTAX},
        {"\xc2\xa0"
         "1",
         EID_ERR_SYNTAX},
        {"\f1", EID_ERR_SYNTAX},
        {"\v1", EID_ERR_SYNTAX},
        {"\"", EID_ERR_TRUNCATED},
        {"\"a", EID_ERR_TRUNCATED},
        {"\"a\\", EID_ERR_TRUNCATED},
        {"\"a\\\"", EID_ERR_TRUNCATED},
        {"\"\x01\"", EID_ERR_SYNTAX},
        {"\"a\nb\"", EID_ERR_SYNTAX},
        {"\"\x1f\"", EID_ERR_SYNTAX},
        {"\"\\x41\"", EID_ERR_SYNTAX},
        {"\"\\'\"", EID_ERR_SYNTAX},
        {"\"\\a\"", EID_ERR_SYNTAX},
        {"\"\\v\"", EID_ERR_SYNTAX},
        {"\"\\U0041\"", EID_ERR_SYNTAX},
        {"\"\\u\"", EID_ERR_SYNTAX},
        {"\"\\u004\"", EID_ERR_SYNTAX},
        {"\"\\u004g\"", EID_ERR_SYNTAX},
        {"\"\\u 041\"", EID_ERR_SYNTAX},
        {"\"\\u+041\"", EID_ERR_SYNTAX},
        {"\"\\ud800\"", EID_ERR_SYNTAX},
        {"\"\\ud800x\"", EID_ERR_SYNTAX},
        {"\"\\ud800\\\"", EID_ERR_TRUNCATED},
        {"\"\\ud800\\n\"", EID_ERR_SYNTAX},
        {"\"\\ud800\\u0041\"", EID_ERR_SYNTAX},
        {"\"\\ud800\\ud800\"", EID_ERR_SYNTAX},
        {"\"\\ud800\\udc0\"", EID_ERR_SYNTAX},
        {"\"\\ud800\\udbff\"", EID_ERR_SYNTAX},
        {"\"\\ud800\\ue000\"", EID_ERR_SYNTAX},
        {"\"\\udc00\"", EID_ERR_SYNTAX},
        {"\"\\udfff\\ud800\"", EID_ERR_SYNTAX},
        {"\"\x80\"", EID_ERR_UTF8},
        {"\"\xc3\"", EID_ERR_UTF8},
        {"\"\xc0\xaf\"", EID_ERR_UTF8},
        {"\"\xed\xa0\x80\"", EID_ERR_UTF8},
        {"\"\xf4\x90\x80\x80\"", EID_ERR_UTF8},
        {"\"\xff\"", EID_ERR_UTF8},
        {"{\"\xff\":1}", EID_ERR_UTF8},
        {"\"\\n\xff\"", EID_ERR_UTF8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char trace[64];
        eid_status status = read_all(cases[i].text, strlen(cases[i].text), trace, sizeof trace);
        if (status != cases[i].status)
            fail_msg("case %zu, %s: %s, wanted %s", i, cases[i].text, eid_status_name(status),
                     eid_status_name(cases[i].status));
    }
    char trace[8];
    assert_int_equal(read_all("\0"
                              "1",
                              2, trace, sizeof trace),
                     EID_ERR_SYNTAX);
    assert_int_equal(read_all("1\0", 2, trace, sizeof trace), EID_ERR_TRAILING_DATA);
    assert_int_equal(read_all("\"\\\0\"", 4, trace, sizeof trace), EID_ERR_SYNTAX);
    assert_int_equal(read_all("\"\0\"", 3, trace, sizeof trace), EID_ERR_SYNTAX);
}

static void strings_are_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *decoded;
        size_t len;
    } cases[] = {
        {"\"plain\"", "plain", 5},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8},
        {"\"\\u0041\\u00e9\\u20ac\"", "A\xc3\xa9\xe2\x82\xac", 6},
        {"\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"", "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf", 11},
        {"\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80", 4},
        {"\"\\uD83D\\uDE00\"", "\xf0\x9f\x98\x80", 4},
        {"\"\\ud800\\udc00\\udbff\\udfff\"", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8},
        {"\"a\\u0000b\"", "a\0b", 3},
        {"\"\xc3\xa9\xf0\x9f\x98\x80\x7f\"", "\xc3\xa9\xf0\x9f\x98\x80\x7f", 7},
        {"\"before \\n between \\t after\"", "before \n between \t after", 24},
        {"\"0123456789abcdef\\\"0123456789abcdef\"", "0123456789abcdef\"0123456789abcdef", 33},
        {"\"\\\\\\\\\\\\\"", "\\\\\\", 3},
        {"\"\\u001f\\u000b\"", "\x1f\x0b", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eid_json reader;
        eid_json_token token;
        eid_json_init(&reader, eid_slice_text(cases[i].text));
        tu_assert_ok(eid_json_next(&reader, &token));
        assert_int_equal(token, EID_JSON_STRING);
        assert_int_equal(reader.text.len, cases[i].len);
        assert_memory_equal(reader.text.data, cases[i].decoded, cases[i].len);
        tu_assert_ok(eid_json_end(&reader));
        eid_json_free(&reader);

        eid_buf out;
        eid_buf_init(&out, 4096);
        eid_buf_append_text(&out, "x");
        tu_assert_ok(eid_json_unescape(eid_slice_of(cases[i].text + 1, strlen(cases[i].text) - 2), &out));
        assert_int_equal(out.len, cases[i].len + 1);
        assert_memory_equal(out.data + 1, cases[i].decoded, cases[i].len);
        eid_buf_free(&out);
    }
}

/* Strings without escapes are lent from the input, not copied. */
/* Every length and place of an escape, so that blocks of bytes end everywhere; the writer is the other side. */
static void what_was_written_is_unescaped(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(12);
    for (size_t i = 0; i < 20000; i++) {
        static const char letters[] = "abc\"\\\n\x01\xc3\xa9/";
        char text[80];
        size_t len = tu_random_below(&random, 40), used = 0;
        while (used < len) {
            size_t at = tu_random_below(&random, tu_random_below(&random, 3) == 0 ? 10 : 3);
            if (at == 7 || at == 8) {
                text[used++] = '\xc3';
                text[used++] = '\xa9';
            } else {
                text[used++] = letters[at];
            }
        }
        eid_buf written, out;
        eid_buf_init(&written, 4096);
        eid_buf_init(&out, 4096);
        eid_json_write_text(&written, eid_slice_of(text, used));
        tu_assert_ok(eid_json_unescape(eid_slice_of(written.data + 1, written.len - 2), &out));
        assert_int_equal(out.len, used);
        assert_memory_equal(used == 0 ? text : (char *)out.data, text, used);
        eid_buf_free(&written);
        eid_buf_free(&out);
    }
}

static void what_is_no_inside_is_refused(void **state)
{
    static const struct {
        const char *inside;
        eid_status status;
    } cases[] = {
        {"a\"b", EID_ERR_SYNTAX},        {"\"", EID_ERR_SYNTAX},      {"0123456789\nabc", EID_ERR_SYNTAX},
        {"abc\\", EID_ERR_SYNTAX},       {"\\x", EID_ERR_SYNTAX},     {"\\u12", EID_ERR_SYNTAX},
        {"\\ud800", EID_ERR_SYNTAX},     {"\\udc00", EID_ERR_SYNTAX}, {"0123456789abcdef0123\\v", EID_ERR_SYNTAX},
        {"\xff", EID_ERR_UTF8},          {"a\xc3", EID_ERR_UTF8},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eid_buf out;
        eid_buf_init(&out, 4096);
        eid_buf_append_text(&out, "x");
        tu_assert_fails(eid_json_unescape(eid_slice_text(cases[i].inside), &out), cases[i].status);
        assert_string_equal(out.data, "x");
        assert_int_equal(out.len, 1);
        eid_buf_free(&out);
    }
}

static void plain_strings_are_lent(void **state)
{
    (void)state;
    const char *text = "{\"name\":\"value\"}";
    eid_json reader;
    eid_json_token token;
    eid_json_init(&reader, eid_slice_text(text));
    tu_assert_ok(eid_json_next(&reader, &token));
    tu_assert_ok(eid_json_next(&reader, &token));
    assert_ptr_equal(reader.text.data, text + 2);
    tu_assert_ok(eid_json_next(&reader, &token));
    assert_ptr_equal(reader.text.data, text + 9);
    assert_null(reader.scratch.data);
    eid_json_free(&reader);
}

/* Every position of the special characters within the eight bytes the scan looks at, with every neighbour. */
static void scan_finds_every_position(void **state)
{
    (void)state;
    for (size_t before = 0; before < 20; before++) {
        for (unsigned fill = 0x20; fill < 0x100; fill++) {
            if (fill == '"' || fill == '\\' || fill >= 0x80)
                continue;
            uint8_t text[64];
            text[0] = '"';
            memset(text + 1, (int)fill, before);
            size_t len = 1 + before;
            text[len++] = '\\';
            text[len++] = 'n';
            memset(text + len, (int)fill, 9);
            len += 9;
            text[len++] = '"';
            eid_json reader;
            eid_json_token token;
            eid_json_init(&reader, eid_slice_of(text, len));
            tu_assert_ok(eid_json_next(&reader, &token));
            assert_int_equal(reader.text.len, before + 10);
            assert_int_equal(reader.text.data[before], '\n');
            eid_json_free(&reader);
        }
        /* A control character at each place is refused, and the sentence names its offset. */
        for (unsigned control = 0; control < 0x20; control++) {
            uint8_t text[64] = {'"'};
            char offset[32];
            memset(text + 1, 'x', 40);
            text[1 + before] = (uint8_t)control;
            text[41] = '"';
            eid_json reader;
            eid_json_token token;
            eid_json_init(&reader, eid_slice_of(text, 42));
            tu_assert_fails(eid_json_next(&reader, &token), EID_ERR_SYNTAX);
            snprintf(offset, sizeof offset, "at byte %zu", 1 + before);
            assert_non_null(strstr(eid_last_error(), offset));
            eid_json_free(&reader);
        }
    }
}

static void every_truncation_is_noticed(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\":[1,-2.5e+10,\"x\\u00e9\\ud83d\\ude00\\n\",null,true,false,{}],\"b\\t\":{\"c\":[[],\"\"]}}";
    char trace[128];
    tu_assert_ok(read_all(text, sizeof text - 1, trace, sizeof trace));
    assert_string_equal(trace, "{k[##\"ntf{}]k{k[[]\"]}}.");
    for (size_t len = 0; len < sizeof text - 1; len++) {
        eid_status status = read_all(text, len, trace, sizeof trace);
        if (status != EID_ERR_TRUNCATED)
            fail_msg("cut after %zu bytes: %s", len, eid_status_name(status));
    }
}

static char *nested(size_t depth, char open, bool closed, size_t *len)
{
    /* An object level is {"":  and the innermost one is empty. */
    char *text = malloc(depth * 6 + 1);
    assert_non_null(text);
    size_t at = 0;
    for (size_t i = 0; i < depth; i++) {
        bool array = open == '[' || (open == '?' && i % 2 == 0);
        text[at++] = array ? '[' : '{';
        if (!array && i + 1 < depth) {
            memcpy(text + at, "\"\":", 3);
            at += 3;
        }
    }
    for (size_t i = depth; closed && i-- > 0;)
        text[at++] = open == '[' || (open == '?' && i % 2 == 0) ? ']' : '}';
    *len = at;
    return text;
}

static void depth_is_bounded(void **state)
{
    (void)state;
    static const char kinds[] = {'[', '{', '?'};
    for (size_t i = 0; i < sizeof kinds; i++) {
        size_t len;
        char trace[600];
        char *text = nested(EID_LIMIT_JSON_DEPTH, kinds[i], true, &len);
        tu_assert_ok(read_all(text, len, trace, sizeof trace));
        free(text);
        text = nested(EID_LIMIT_JSON_DEPTH + 1, kinds[i], true, &len);
        tu_assert_fails(read_all(text, len, trace, sizeof trace), EID_ERR_DEPTH);
        free(text);
        /* A bomb costs no more than its first 128 levels. */
        text = nested(1000000, kinds[i], false, &len);
        tu_assert_fails(read_all(text, len, trace, sizeof trace), EID_ERR_DEPTH);
        free(text);
    }
    /* Depth counts open containers, not containers seen. */
    eid_buf buf;
    eid_buf_init(&buf, 1 << 20);
    eid_buf_append_byte(&buf, '[');
    for (size_t i = 0; i < 1000; i++)
        eid_buf_append_text(&buf, "[{}],");
    eid_buf_append_text(&buf, "0]");
    char trace[8];
    tu_assert_ok(read_all(buf.data, buf.len, trace, sizeof trace));
    eid_buf_free(&buf);
}

/* What a caller can see of a reader. */
typedef struct view {
    size_t at;
    size_t depth;
    uint8_t state;
    bool peeked;
} view;

static view view_of(const eid_json *reader)
{
    view seen = {reader->at, reader->depth, reader->state, reader->peeked};
    return seen;
}

static void assert_unmoved(const eid_json *reader, const view *before)
{
    assert_int_equal(reader->at, before->at);
    assert_int_equal(reader->depth, before->depth);
    assert_int_equal(reader->state, before->state);
    assert_int_equal(reader->peeked, before->peeked);
}

static void failing_changes_nothing(void **state)
{
    (void)state;
    static const char *const rests[] = {"[1,2", "tru", "\"a\\q\"", "{\"a\" 1}", "01", "\"\xff\"", "", "]"};
    for (size_t i = 0; i < sizeof rests / sizeof *rests; i++) {
        char text[64];
        snprintf(text, sizeof text, "{\"k\":[true,%s", rests[i]);
        eid_json reader;
        eid_json_token token;
        eid_json_init(&reader, eid_slice_text(text));
        for (size_t j = 0; j < 4; j++)
            tu_assert_ok(eid_json_next(&reader, &token));
        /* The first token of some of these is still good. */
        eid_status status;
        view before;
        do {
            before = view_of(&reader);
            token = EID_JSON_TRUE;
            status = eid_json_next(&reader, &token);
        } while (status == EID_OK);
        for (size_t j = 0; j < 3; j++) {
            assert_unmoved(&reader, &before);
            assert_int_equal(token, EID_JSON_TRUE);
            assert_int_equal(eid_json_next(&reader, &token), status);
            assert_int_equal(eid_json_peek(&reader, &token), status);
        }
        eid_json_free(&reader);
    }
}

static void peeking_consumes_nothing(void **state)
{
    (void)state;
    static const char text[] = " {\"a\\n\": [1, \"b\\t\", null]} ";
    static const char tokens[] = "{k[#\"n]}..";
    eid_json reader;
    eid_json_init(&reader, eid_slice_text(text));
    for (size_t i = 0; i < sizeof tokens - 1; i++) {
        eid_json_token token;
        char decoded[8] = {0};
        for (size_t j = 0; j < 3; j++) {
            tu_assert_ok(eid_json_peek(&reader, &token));
            assert_int_equal(letter_of(token), tokens[i]);
        }
        if (tokens[i] == 'k' || tokens[i] == '"')
            memcpy(decoded, reader.text.data, reader.text.len);
        tu_assert_ok(eid_json_next(&reader, &token));
        assert_int_equal(letter_of(token), tokens[i]);
        if (tokens[i] == 'k' || tokens[i] == '"') {
            assert_int_equal(reader.text.len, 2);
            assert_memory_equal(reader.text.data, decoded, 2);
        }
    }
    eid_json_free(&reader);
}

static void expecting_names_the_field(void **state)
{
    (void)state;
    eid_json reader;
    eid_json_init(&reader, eid_slice_text("[7]"));
    tu_assert_fails(eid_json_expect(&reader, EID_JSON_BEGIN_OBJECT, "the envelope"), EID_ERR_WRONG_TYPE);
    assert_non_null(strstr(eid_last_error(), "the envelope must be an object, not an array"));
    tu_assert_ok(eid_json_expect(&reader, EID_JSON_BEGIN_ARRAY, "the envelope"));
    tu_assert_fails(eid_json_expect(&reader, EID_JSON_STRING, "the name"), EID_ERR_WRONG_TYPE);
    assert_non_null(strstr(eid_last_error(), "the name must be a string, not a number"));
    tu_assert_ok(eid_json_expect(&reader, EID_JSON_NUMBER, "the count"));
    assert_true(eid_slice_is(reader.text, "7"));
    tu_assert_fails(eid_json_end(&reader), EID_ERR_WRONG_TYPE);
    tu_assert_ok(eid_json_expect(&reader, EID_JSON_END_ARRAY, "the end"));
    tu_assert_ok(eid_json_end(&reader));
    tu_assert_ok(eid_json_end(&reader));
    eid_json_free(&reader);
}

static void skipping(void **state)
{
    (void)state;
    static const char *const values[] = {
        "1",
        "\"x\\n\"",
        "null",
        "true",
        "[]",
        "{}",
        "[1,[2,{\"a\":[]}],\"]\"]",
        "{\"}\":{\"b\":[1,2,{}]},\"c\":\"{\"}",
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[128];
        bool more;
        uint64_t number;
        snprintf(text, sizeof text, "[0,%s,9]", values[i]);
        for (int peek_first = 0; peek_first < 2; peek_first++) {
            eid_json reader;
            eid_json_token token;
            eid_json_init(&reader, eid_slice_text(text));
            tu_assert_ok(eid_json_begin_array(&reader, "the list"));
            tu_assert_ok(eid_json_skip(&reader));
            if (peek_first)
                tu_assert_ok(eid_json_peek(&reader, &token));
            tu_assert_ok(eid_json_skip(&reader));
            tu_assert_ok(eid_json_read_u64(&reader, "the nine", &number));
            assert_int_equal(number, 9);
            /* At the end of a container there is no value to skip. */
            tu_assert_fails(eid_json_skip(&reader), EID_ERR_WRONG_TYPE);
            tu_assert_ok(eid_json_next_item(&reader, &more));
            assert_false(more);
            tu_assert_fails(eid_json_skip(&reader), EID_ERR_WRONG_TYPE);
            tu_assert_ok(eid_json_end(&reader));
            eid_json_free(&reader);
        }
    }
    /* A member name is no value. */
    eid_json reader;
    eid_json_token token;
    eid_json_init(&reader, eid_slice_text("{\"a\":1}"));
    tu_assert_ok(eid_json_next(&reader, &token));
    tu_assert_fails(eid_json_skip(&reader), EID_ERR_WRONG_TYPE);
    tu_assert_ok(eid_json_expect(&reader, EID_JSON_KEY, "the name"));
    tu_assert_ok(eid_json_skip(&reader));
    tu_assert_ok(eid_json_expect(&reader, EID_JSON_END_OBJECT, "the end"));
    eid_json_free(&reader);
}

static void failed_skip_goes_back(void **state)
{
    (void)state;
    static const char *const texts[] = {"[[1,{\"a\":[2,\"x\"", "[[1,{\"a\":[2,tru]}]]",
                                        "[[[[1,2],[3,4]],{\"a\" 1}]]"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        for (int peek_first = 0; peek_first < 2; peek_first++) {
            eid_json reader;
            eid_json_token token;
            eid_json_init(&reader, eid_slice_text(texts[i]));
            tu_assert_ok(eid_json_begin_array(&reader, "the list"));
            if (peek_first)
                tu_assert_ok(eid_json_peek(&reader, &token));
            view before = view_of(&reader);
            eid_status status = eid_json_skip(&reader);
            assert_true(status == EID_ERR_TRUNCATED || status == EID_ERR_SYNTAX);
            assert_unmoved(&reader, &before);
            tu_assert_ok(eid_json_next(&reader, &token));
            assert_int_equal(token, EID_JSON_BEGIN_ARRAY);
            eid_json_free(&reader);
        }
    }
}

/* Only strings with escapes need memory; when there is none the reader says so and can go on later. */
static eid_status read_escaped(void *ctx)
{
    (void)ctx;
    char trace[16];
    return read_all("[\"a\\n\",\"b\"]", 11, trace, sizeof trace);
}

static void memory_failures(void **state)
{
    (void)state;
    tu_alloc_install();
    assert_true(tu_alloc_fault_loop(read_escaped, NULL) >= 1);
    tu_alloc_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(correct_documents),
        cmocka_unit_test(broken_documents),
        cmocka_unit_test(strings_are_decoded),
        cmocka_unit_test(what_was_written_is_unescaped),
        cmocka_unit_test(what_is_no_inside_is_refused),
        cmocka_unit_test(plain_strings_are_lent),
        cmocka_unit_test(scan_finds_every_position),
        cmocka_unit_test(every_truncation_is_noticed),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(failing_changes_nothing),
        cmocka_unit_test(peeking_consumes_nothing),
        cmocka_unit_test(expecting_names_the_field),
        cmocka_unit_test(skipping),
        cmocka_unit_test(failed_skip_goes_back),
        cmocka_unit_test(memory_failures),
    };
    return cmocka_run_group_tests_name("codec-json-read", tests, NULL, NULL);
}
