/* SPDX-License-Identifier: Apache-2.0 */
/* Typed values: exact integers at their bounds, objects and arrays as callers walk them, bytes as numbers. */
#include "support/testutil.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/json.h"

static eid_status read_u64(const char *text, uint64_t *out)
{
    eid_json reader;
    eid_json_init(&reader, eid_slice_text(text));
    eid_status status = eid_json_read_u64(&reader, "the number", out);
    eid_json_token token;
    /* Refused: the token is still there. Taken: the document ends. */
    tu_assert_ok(eid_json_next(&reader, &token));
    assert_int_equal(token == EID_JSON_END, status == EID_OK);
    eid_json_free(&reader);
    return status;
}

static eid_status read_i64(const char *text, int64_t *out)
{
    eid_json reader;
    eid_json_init(&reader, eid_slice_text(text));
    eid_status status = eid_json_read_i64(&reader, "the number", out);
    eid_json_token token;
    tu_assert_ok(eid_json_next(&reader, &token));
    assert_int_equal(token == EID_JSON_END, status == EID_OK);
    eid_json_free(&reader);
    return status;
}

static void unsigned_integers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        eid_status status;
        uint64_t value;
    } cases[] = {
        {"0", EID_OK, 0},
        {"1", EID_OK, 1},
        {"9007199254740993", EID_OK, 9007199254740993u},
        {"9223372036854775807", EID_OK, INT64_MAX},
        {"9223372036854775808", EID_OK, (uint64_t)INT64_MAX + 1},
        {"18446744073709551615", EID_OK, UINT64_MAX},
        {"18446744073709551616", EID_ERR_RANGE, 0},
        {"18446744073709551620", EID_ERR_RANGE, 0},
        {"28446744073709551615", EID_ERR_RANGE, 0},
        {"99999999999999999999", EID_ERR_RANGE, 0},
        {"184467440737095516150", EID_ERR_RANGE, 0},
        {"340282366920938463463374607431768211456", EID_ERR_RANGE, 0},
        {"-1", EID_ERR_RANGE, 0},
        {"-0", EID_ERR_WRONG_TYPE, 0},
        {"1.0", EID_ERR_WRONG_TYPE, 0},
        {"0.0", EID_ERR_WRONG_TYPE, 0},
        {"1e2", EID_ERR_WRONG_TYPE, 0},
        {"1E0", EID_ERR_WRONG_TYPE, 0},
        {"99999999999999999999.5", EID_ERR_WRONG_TYPE, 0},
        {"\"1\"", EID_ERR_WRONG_TYPE, 0},
        {"null", EID_ERR_WRONG_TYPE, 0},
        {"true", EID_ERR_WRONG_TYPE, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t value = 77;
        eid_status status = read_u64(cases[i].text, &value);
        if (status != cases[i].status)
            fail_msg("%s: %s", cases[i].text, eid_status_name(status));
        assert_true(value == (status == EID_OK ? cases[i].value : 77));
    }
}

static void signed_integers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        eid_status status;
        int64_t value;
    } cases[] = {
        {"0", EID_OK, 0},
        {"-1", EID_OK, -1},
        {"42", EID_OK, 42},
        {"9223372036854775807", EID_OK, INT64_MAX},
        {"-9223372036854775807", EID_OK, -INT64_MAX},
        {"-9223372036854775808", EID_OK, INT64_MIN},
        {"9223372036854775808", EID_ERR_RANGE, 0},
        {"-9223372036854775809", EID_ERR_RANGE, 0},
        {"18446744073709551615", EID_ERR_RANGE, 0},
        {"-18446744073709551616", EID_ERR_RANGE, 0},
        {"-18446744073709551617", EID_ERR_RANGE, 0},
        {"-0", EID_ERR_WRONG_TYPE, 0},
        {"-0.0", EID_ERR_WRONG_TYPE, 0},
        {"-1.5", EID_ERR_WRONG_TYPE, 0},
        {"1e2", EID_ERR_WRONG_TYPE, 0},
        {"\"5\"", EID_ERR_WRONG_TYPE, 0},
        {"false", EID_ERR_WRONG_TYPE, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t value = 77;
        eid_status status = read_i64(cases[i].text, &value);
        if (status != cases[i].status)
            fail_msg("%s: %s", cases[i].text, eid_status_name(status));
        assert_true(value == (status == EID_OK ? cases[i].value : 77));
    }
}

static void random_integers_round_trip(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(4711);
    for (size_t i = 0; i < 20000; i++) {
        uint64_t value = tu_random_next(&random) >> tu_random_below(&random, 64);
        char wanted[32];
        eid_buf buf;
        uint64_t unsigned_again;
        int64_t signed_again;

        eid_buf_init(&buf, 64);
        eid_json_write_u64(&buf, value);
        snprintf(wanted, sizeof wanted, "%" PRIu64, value);
        assert_string_equal((const char *)buf.data, wanted);
        tu_assert_ok(read_u64((const char *)buf.data, &unsigned_again));
        assert_true(unsigned_again == value);

        int64_t number = (int64_t)value;
        if (i % 2 == 0 && number > 0)
            number = -number;
        eid_buf_reset(&buf);
        eid_json_write_i64(&buf, number);
        snprintf(wanted, sizeof wanted, "%" PRId64, number);
        assert_string_equal((const char *)buf.data, wanted);
        tu_assert_ok(read_i64((const char *)buf.data, &signed_again));
        assert_true(signed_again == number);
        eid_buf_free(&buf);
    }
}

static void booleans_and_nulls(void **state)
{
    (void)state;
    eid_json reader;
    bool value, was_null;
    eid_slice text;
    eid_json_init(&reader, eid_slice_text("[true,false,null,0,\"x\"]"));
    tu_assert_ok(eid_json_begin_array(&reader, "the list"));
    tu_assert_ok(eid_json_read_null(&reader, &was_null));
    assert_false(was_null);
    tu_assert_ok(eid_json_read_bool(&reader, "the flag", &value));
    assert_true(value);
    tu_assert_ok(eid_json_read_bool(&reader, "the flag", &value));
    assert_false(value);
    tu_assert_fails(eid_json_read_bool(&reader, "the flag", &value), EID_ERR_WRONG_TYPE);
    assert_false(value);
    tu_assert_ok(eid_json_read_null(&reader, &was_null));
    assert_true(was_null);
    tu_assert_fails(eid_json_read_bool(&reader, "the flag", &value), EID_ERR_WRONG_TYPE);
    tu_assert_fails(eid_json_read_text(&reader, "the name", &text), EID_ERR_WRONG_TYPE);
    tu_assert_ok(eid_json_skip(&reader));
    tu_assert_fails(eid_json_begin_object(&reader, "the body"), EID_ERR_WRONG_TYPE);
    tu_assert_ok(eid_json_read_text(&reader, "the name", &text));
    assert_true(eid_slice_is(text, "x"));
    eid_json_free(&reader);
}

/* The loop every message reader is written with. */
static void walking_an_object(void **state)
{
    (void)state;
    eid_json reader;
    eid_slice key;
    bool more, item;
    uint64_t sum = 0;
    size_t keys = 0, unknown = 0;
    eid_json_init(&reader, eid_slice_text(
                               "{\"list\":[1,2,3],\"other\":{\"list\":[9]},\"list\":[],\"l\\u0069st\":[4]}"));
    tu_assert_ok(eid_json_begin_object(&reader, "the message"));
    for (;;) {
        tu_assert_ok(eid_json_next_key(&reader, &key, &more));
        if (!more)
            break;
        keys++;
        if (!eid_slice_is(key, "list")) {
            unknown++;
            tu_assert_ok(eid_json_skip(&reader));
            continue;
        }
        tu_assert_ok(eid_json_begin_array(&reader, "the list"));
        for (;;) {
            uint64_t number;
            tu_assert_ok(eid_json_next_item(&reader, &item));
            if (!item)
                break;
            tu_assert_ok(eid_json_read_u64(&reader, "the item", &number));
            sum += number;
        }
    }
    tu_assert_ok(eid_json_end(&reader));
    assert_int_equal(keys, 4);
    assert_int_equal(unknown, 1);
    assert_int_equal(sum, 10);
    eid_json_free(&reader);
}

static void walking_the_wrong_container(void **state)
{
    (void)state;
    eid_json reader;
    eid_slice key = eid_slice_text("untouched");
    bool more = true;
    eid_json_init(&reader, eid_slice_text("[{\"a\":1}]"));
    tu_assert_ok(eid_json_begin_array(&reader, "the list"));
    tu_assert_fails(eid_json_next_key(&reader, &key, &more), EID_ERR_WRONG_TYPE);
    assert_true(more && eid_slice_is(key, "untouched"));
    tu_assert_ok(eid_json_begin_object(&reader, "the element"));
    tu_assert_fails(eid_json_next_item(&reader, &more), EID_ERR_WRONG_TYPE);
    tu_assert_ok(eid_json_next_key(&reader, &key, &more));
    tu_assert_ok(eid_json_skip(&reader));
    tu_assert_fails(eid_json_next_item(&reader, &more), EID_ERR_WRONG_TYPE);
    tu_assert_ok(eid_json_next_key(&reader, &key, &more));
    assert_false(more);
    tu_assert_fails(eid_json_next_key(&reader, &key, &more), EID_ERR_WRONG_TYPE);
    tu_assert_ok(eid_json_next_item(&reader, &more));
    assert_false(more);
    tu_assert_fails(eid_json_next_item(&reader, &more), EID_ERR_WRONG_TYPE);
    tu_assert_fails(eid_json_next_key(&reader, &key, &more), EID_ERR_WRONG_TYPE);
    tu_assert_ok(eid_json_end(&reader));
    eid_json_free(&reader);
}

/* ---- bytes ---- */

/* Reads `text` from a block of exactly its size, after four bytes already in the buffer. */
static eid_status read_bytes(const char *text, size_t len, eid_buf *out)
{
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    assert_non_null(copy);
    if (len > 0)
        memcpy(copy, text, len);
    eid_json reader;
    eid_json_init(&reader, eid_slice_of(copy, len));
    eid_buf_reset(out);
    eid_buf_append(out, "held", 4);
    eid_status status = eid_json_read_bytes(&reader, "the bytes", out);
    if (status == EID_OK) {
        status = eid_json_end(&reader);
    } else if (!reader.peeked) {
        /* No other value was found there, so the array was begun and given back. */
        assert_int_equal(reader.at, 0);
        assert_int_equal(reader.depth, 0);
        assert_int_equal(out->len, 4);
    }
    eid_json_free(&reader);
    free(copy);
    return status;
}

static void byte_arrays(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *bytes;
        size_t len;
    } cases[] = {
        {"[]", "", 0},
        {"[ ]", "", 0},
        {" \n[\t] ", "", 0},
        {"[0]", "\x00", 1},
        {"[255]", "\xff", 1},
        {"[9]", "\x09", 1},
        {"[10]", "\x0a", 1},
        {"[99]", "\x63", 1},
        {"[100]", "\x64", 1},
        {"[0,0,0,0,0]", "\x00\x00\x00\x00\x00", 5},
        {"[1,2,3]", "\x01\x02\x03", 3},
        {"[255,255,255]", "\xff\xff\xff", 3},
        {"[1,22,133,4]", "\x01\x16\x85\x04", 4},
        {"[ 1 , 22 , 133 ]", "\x01\x16\x85", 3},
        {"[1, 2, 3, 4, 5]", "\x01\x02\x03\x04\x05", 5},
        {"[1,2, 3,4,5,6 ,7]", "\x01\x02\x03\x04\x05\x06\x07", 7},
        {"[\n  1,\n  2\n]", "\x01\x02", 2},
    };
    eid_buf out;
    eid_buf_init(&out, 1024);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eid_status status = read_bytes(cases[i].text, strlen(cases[i].text), &out);
        if (status != EID_OK)
            fail_msg("%s: %s", cases[i].text, eid_last_error());
        assert_int_equal(out.len, 4 + cases[i].len);
        assert_memory_equal(out.data, "held", 4);
        assert_memory_equal(out.data + 4, cases[i].bytes, cases[i].len);
    }
    eid_buf_free(&out);
}

static void broken_byte_arrays(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        eid_status status;
    } cases[] = {
        {"", EID_ERR_TRUNCATED},
        {"[", EID_ERR_TRUNCATED},
        {"[1", EID_ERR_TRUNCATED},
        {"[1,", EID_ERR_TRUNCATED},
        {"[1,2", EID_ERR_TRUNCATED},
        {"[11,22,33,", EID_ERR_TRUNCATED},
        {"[256]", EID_ERR_RANGE},
        {"[256,1]", EID_ERR_RANGE},
        {"[1,999,1]", EID_ERR_RANGE},
        {"[1,1000,1]", EID_ERR_RANGE},
        {"[1,18446744073709551616,1]", EID_ERR_RANGE},
        {"[-1]", EID_ERR_RANGE},
        {"[1,-1,1]", EID_ERR_RANGE},
        {"[-0]", EID_ERR_WRONG_TYPE},
        {"[1.0,2]", EID_ERR_WRONG_TYPE},
        {"[1e0,2]", EID_ERR_WRONG_TYPE},
        {"[1,1.5]", EID_ERR_WRONG_TYPE},
        {"[01,2]", EID_ERR_SYNTAX},
        {"[00,2]", EID_ERR_SYNTAX},
        {"[1,007,2]", EID_ERR_SYNTAX},
        {"[1,00,2]", EID_ERR_SYNTAX},
        {"[1,]", EID_ERR_SYNTAX},
        {"[1, ]", EID_ERR_SYNTAX},
        {"[,1]", EID_ERR_SYNTAX},
        {"[1,,2]", EID_ERR_SYNTAX},
        {"[1,2,,]", EID_ERR_SYNTAX},
        {"[1 2]", EID_ERR_SYNTAX},
        {"[1 2,3]", EID_ERR_SYNTAX},
        {"[1;2]", EID_ERR_SYNTAX},
        {"[1}", EID_ERR_SYNTAX},
        {"[12}34,5]", EID_ERR_SYNTAX},
        {"[+1]", EID_ERR_SYNTAX},
        {"[:,1]", EID_ERR_SYNTAX},
        {"[1,a,2]", EID_ERR_SYNTAX},
        {"[1,\xb1,2,3]", EID_ERR_SYNTAX},
        {"[null]", EID_ERR_WRONG_TYPE},
        {"[true,1]", EID_ERR_WRONG_TYPE},
        {"[\"1\"]", EID_ERR_WRONG_TYPE},
        {"[1,\"2\",3]", EID_ERR_WRONG_TYPE},
        {"[[1]]", EID_ERR_WRONG_TYPE},
        {"[1,[2],3]", EID_ERR_WRONG_TYPE},
        {"[{}]", EID_ERR_WRONG_TYPE},
        {"{}", EID_ERR_WRONG_TYPE},
        {"\"text\"", EID_ERR_WRONG_TYPE},
        {"null", EID_ERR_WRONG_TYPE},
        {"7", EID_ERR_WRONG_TYPE},
        {"[1]x", EID_ERR_TRAILING_DATA},
        {"[1],", EID_ERR_TRAILING_DATA},
    };
    eid_buf out;
    eid_buf_init(&out, 1024);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eid_json reader;
        eid_json_init(&reader, eid_slice_text(cases[i].text));
        eid_buf_reset(&out);
        eid_buf_append(&out, "held", 4);
        eid_status status = eid_json_read_bytes(&reader, "the bytes", &out);
        if (status != EID_OK) {
            assert_int_equal(out.len, 4);
            assert_memory_equal(out.data, "held", 5);
            assert_int_equal(reader.depth, reader.peeked && reader.token == EID_JSON_BEGIN_OBJECT);
        } else {
            status = eid_json_end(&reader);
        }
        if (status != cases[i].status)
            fail_msg("%s: %s, wanted %s", cases[i].text, eid_status_name(status),
                     eid_status_name(cases[i].status));
        eid_json_free(&reader);
    }
    eid_buf_free(&out);
}

/* A value refused as bytes can still be read as what it is: texts and nulls stand for bytes in some places.
 */
static void refused_bytes_can_be_read_otherwise(void **state)
{
    (void)state;
    eid_json reader;
    eid_buf out;
    eid_slice text;
    eid_json_token token;
    eid_buf_init(&out, 64);
    eid_json_init(&reader, eid_slice_text("[\"a\\tb\",[1,300],[7]]"));
    tu_assert_ok(eid_json_begin_array(&reader, "the list"));
    tu_assert_fails(eid_json_read_bytes(&reader, "the data", &out), EID_ERR_WRONG_TYPE);
    tu_assert_ok(eid_json_read_text(&reader, "the data", &text));
    assert_true(eid_slice_is(text, "a\tb"));
    tu_assert_ok(eid_json_peek(&reader, &token));
    tu_assert_fails(eid_json_read_bytes(&reader, "the data", &out), EID_ERR_RANGE);
    assert_int_equal(out.len, 0);
    tu_assert_ok(eid_json_skip(&reader));
    tu_assert_ok(eid_json_peek(&reader, &token));
    assert_int_equal(token, EID_JSON_BEGIN_ARRAY);
    tu_assert_ok(eid_json_read_bytes(&reader, "the data", &out));
    assert_int_equal(out.len, 1);
    assert_int_equal(out.data[0], 7);
    tu_assert_ok(eid_json_expect(&reader, EID_JSON_END_ARRAY, "the end"));
    tu_assert_ok(eid_json_end(&reader));
    eid_json_free(&reader);
    eid_buf_free(&out);
}

/* The reference writer: one number after the other. */
static void write_slowly(eid_buf *buf, const uint8_t *bytes, size_t len, bool spaces)
{
    eid_buf_append_byte(buf, '[');
    for (size_t i = 0; i < len; i++)
        eid_buf_appendf(buf, "%s%s%u%s", i == 0 ? "" : ",", spaces && i % 3 == 0 ? " \n" : "", bytes[i],
                        spaces && i % 5 == 0 ? "\t" : "");
    eid_buf_append_byte(buf, ']');
}

/* Lengths on both sides of the block in which the reader works, each byte value, white space here and there.
 */
static void random_bytes_round_trip(void **state)
{
    (void)state;
    static const size_t lengths[] = {1,    2,    3,    4,    5,    255,  256,  1022,
                                     1023, 1024, 1025, 1026, 2047, 2048, 2049, 5000};
    tu_random random = tu_random_seeded(99);
    static uint8_t bytes[5000];
    eid_buf slow, fast, out;
    eid_buf_init(&slow, 1 << 20);
    eid_buf_init(&fast, 1 << 20);
    eid_buf_init(&out, 1 << 20);
    for (size_t round = 0; round < 40; round++) {
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            tu_random_fill(&random, bytes, lengths[i]);
            eid_buf_reset(&slow);
            eid_buf_reset(&fast);
            write_slowly(&slow, bytes, lengths[i], false);
            eid_json_write_bytes(&fast, eid_slice_of(bytes, lengths[i]));
            tu_assert_ok(eid_buf_status(&fast));
            assert_true(eid_slice_equal(eid_buf_slice(&slow), eid_buf_slice(&fast)));
            tu_assert_ok(read_bytes((const char *)fast.data, fast.len, &out));
            assert_int_equal(out.len, 4 + lengths[i]);
            assert_memory_equal(out.data + 4, bytes, lengths[i]);

            eid_buf_reset(&slow);
            write_slowly(&slow, bytes, lengths[i], true);
            tu_assert_ok(read_bytes((const char *)slow.data, slow.len, &out));
            assert_int_equal(out.len, 4 + lengths[i]);
            assert_memory_equal(out.data + 4, bytes, lengths[i]);
        }
    }
    eid_buf_free(&slow);
    eid_buf_free(&fast);
    eid_buf_free(&out);
}

/* One character of a correct array is replaced by every other: the fast path and the plain reading of the
 * same tokens must agree about the verdict and the bytes. */
static eid_status read_by_tokens(const char *text, size_t len, eid_buf *out)
{
    eid_json reader;
    bool more = true;
    eid_buf_reset(out);
    eid_buf_append(out, "held", 4);
    eid_json_init(&reader, eid_slice_of(text, len));
    eid_status status = eid_json_begin_array(&reader, "the bytes");
    while (status == EID_OK) {
        uint64_t value;
        status = eid_json_next_item(&reader, &more);
        if (status != EID_OK || !more)
            break;
        status = eid_json_read_u64(&reader, "the bytes", &value);
        if (status == EID_OK && value > 255)
            status = EID_ERR_RANGE;
        if (status == EID_OK)
            eid_buf_append_byte(out, (uint8_t)value);
    }
    if (status == EID_OK)
        status = eid_json_end(&reader);
    eid_json_free(&reader);
    return status;
}

static void fast_path_agrees_with_tokens(void **state)
{
    (void)state;
    static const char original[] = "[1,22,133,0,45, 6,255,10,200]";
    eid_buf fast, slow;
    eid_buf_init(&fast, 1024);
    eid_buf_init(&slow, 1024);
    for (size_t at = 0; at < sizeof original - 1; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            char text[sizeof original];
            memcpy(text, original, sizeof original);
            text[at] = (char)byte;
            eid_status quick = read_bytes(text, sizeof original - 1, &fast);
            eid_status plain = read_by_tokens(text, sizeof original - 1, &slow);
            if (quick != plain)
                fail_msg("byte %u at %zu: %s and %s", byte, at, eid_status_name(quick),
                         eid_status_name(plain));
            if (quick == EID_OK)
                assert_true(eid_slice_equal(eid_buf_slice(&fast), eid_buf_slice(&slow)));
        }
    }
    eid_buf_free(&fast);
    eid_buf_free(&slow);
}

static void bytes_stop_at_the_maximum(void **state)
{
    (void)state;
    eid_buf text, out;
    uint8_t bytes[3000];
    memset(bytes, 200, sizeof bytes);
    eid_buf_init(&text, 1 << 20);
    eid_json_write_bytes(&text, eid_slice_of(bytes, sizeof bytes));
    eid_json reader;
    eid_json_init(&reader, eid_buf_slice(&text));
    eid_buf_init(&out, sizeof bytes - 1);
    tu_assert_fails(eid_json_read_bytes(&reader, "the bytes", &out), EID_ERR_LIMIT);
    assert_int_equal(reader.at, 0);
    eid_buf_free(&out);
    eid_buf_init(&out, sizeof bytes);
    tu_assert_ok(eid_json_read_bytes(&reader, "the bytes", &out));
    assert_int_equal(out.len, sizeof bytes);
    eid_buf_free(&out);
    eid_buf_free(&text);
    eid_json_free(&reader);
}

static void bytes_count_as_a_container(void **state)
{
    (void)state;
    char text[2 * EID_LIMIT_JSON_DEPTH + 16];
    eid_buf out;
    eid_buf_init(&out, 16);
    for (size_t depth = EID_LIMIT_JSON_DEPTH - 1; depth <= EID_LIMIT_JSON_DEPTH; depth++) {
        memset(text, '[', depth);
        memcpy(text + depth, "[5]", 3);
        memset(text + depth + 3, ']', depth);
        eid_json reader;
        eid_json_init(&reader, eid_slice_of(text, 2 * depth + 3));
        for (size_t i = 0; i < depth; i++)
            tu_assert_ok(eid_json_begin_array(&reader, "a level"));
        if (depth < EID_LIMIT_JSON_DEPTH)
            tu_assert_ok(eid_json_read_bytes(&reader, "the bytes", &out));
        else
            tu_assert_fails(eid_json_read_bytes(&reader, "the bytes", &out), EID_ERR_DEPTH);
        eid_json_free(&reader);
    }
    eid_buf_free(&out);
}

static eid_status read_long_bytes(void *ctx)
{
    const eid_buf *text = ctx;
    eid_buf out;
    eid_json reader;
    eid_buf_init(&out, 1 << 20);
    eid_json_init(&reader, eid_buf_slice(text));
    eid_status status = eid_json_read_bytes(&reader, "the bytes", &out);
    assert_int_equal(reader.at, status == EID_OK ? text->len : 0);
    eid_json_free(&reader);
    eid_buf_free(&out);
    return status;
}

static void memory_failures(void **state)
{
    (void)state;
    eid_buf text;
    uint8_t bytes[4000] = {0};
    tu_alloc_install();
    eid_buf_init(&text, 1 << 20);
    eid_json_write_bytes(&text, eid_slice_of(bytes, sizeof bytes));
    tu_assert_ok(eid_buf_status(&text));
    assert_true(tu_alloc_fault_loop(read_long_bytes, &text) >= 1);
    eid_buf_free(&text);
    tu_alloc_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unsigned_integers),
        cmocka_unit_test(signed_integers),
        cmocka_unit_test(random_integers_round_trip),
        cmocka_unit_test(booleans_and_nulls),
        cmocka_unit_test(walking_an_object),
        cmocka_unit_test(walking_the_wrong_container),
        cmocka_unit_test(byte_arrays),
        cmocka_unit_test(broken_byte_arrays),
        cmocka_unit_test(refused_bytes_can_be_read_otherwise),
        cmocka_unit_test(random_bytes_round_trip),
        cmocka_unit_test(fast_path_agrees_with_tokens),
        cmocka_unit_test(bytes_stop_at_the_maximum),
        cmocka_unit_test(bytes_count_as_a_container),
        cmocka_unit_test(memory_failures),
    };
    return cmocka_run_group_tests_name("codec-json-value", tests, NULL, NULL);
}
