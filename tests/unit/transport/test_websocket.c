/* SPDX-License-Identifier: Apache-2.0 */
/* WebSocket framing: the examples of RFC 6455, every way bytes can be cut, what breaks the protocol, hostile
 * lengths. */
#include "support/testutil.h"

#include <stdlib.h>

#include <stdio.h>

#include "transport/websocket.h"

#define MAX 1000u

/* What came: "kind:payload|" for each message. */
static eid_status note(eid_ws_kind kind, eid_slice payload, void *ctx)
{
    eid_buf *seen = ctx;
    eid_buf_appendf(seen, "%d:", (int)kind);
    eid_buf_append_slice(seen, payload);
    eid_buf_append_text(seen, "|");
    return eid_buf_status(seen);
}

/* Reads the bytes in pieces of this size. */
static eid_status read_pieces(bool from_client, eid_slice bytes, size_t piece, eid_buf *seen)
{
    eid_ws_reader reader;
    eid_status status = EID_OK;
    eid_ws_reader_init(&reader, from_client, MAX);
    eid_buf_reset(seen);
    for (size_t at = 0; at < bytes.len && status == EID_OK; at += piece) {
        size_t len = bytes.len - at < piece ? bytes.len - at : piece;
        status = eid_ws_read(&reader, eid_slice_of(bytes.data + at, len), note, seen);
    }
    eid_ws_reader_free(&reader);
    return status;
}

static void expect(bool from_client, const void *bytes, size_t len, const char *wanted)
{
    eid_buf seen;
    eid_buf_init(&seen, 1u << 20);
    for (size_t piece = 1; piece <= len; piece++) {
        tu_assert_ok(read_pieces(from_client, eid_slice_of(bytes, len), piece, &seen));
        assert_string_equal((const char *)seen.data, wanted);
    }
    eid_buf_free(&seen);
}

static void refuse(bool from_client, const void *bytes, size_t len, eid_status wanted)
{
    eid_buf seen;
    eid_buf_init(&seen, 1u << 20);
    for (size_t piece = 1; piece <= len; piece++)
        tu_assert_fails(read_pieces(from_client, eid_slice_of(bytes, len), piece, &seen), wanted);
    eid_buf_free(&seen);
}

#define EXPECT(from_client, bytes, wanted) expect(from_client, bytes, sizeof bytes - 1, wanted)
#define REFUSE(from_client, bytes, wanted) refuse(from_client, bytes, sizeof bytes - 1, wanted)

static void accept_key(void **state)
{
    (void)state;
    char accept[EID_WS_ACCEPT_SIZE], key[EID_WS_KEY_SIZE], other[EID_WS_KEY_SIZE];
    eid_ws_accept(eid_slice_text("dGhlIHNhbXBsZSBub25jZQ=="), accept); /* RFC 6455 section 1.3 */
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    eid_ws_new_key(key);
    eid_ws_new_key(other);
    assert_int_equal(strlen(key), EID_WS_KEY_SIZE - 1);
    assert_string_not_equal(key, other);
}

/* RFC 6455 section 5.7. */
static void examples(void **state)
{
    (void)state;
    EXPECT(false, "\x81\x05\x48\x65\x6c\x6c\x6f", "1:Hello|");
    EXPECT(true, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", "1:Hello|");
    EXPECT(false, "\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f", "1:Hello|");
    EXPECT(false, "\x89\x05\x48\x65\x6c\x6c\x6f", "9:Hello|");
    EXPECT(true, "\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", "10:Hello|");
}

static void parts_with_a_ping_between(void **state)
{
    (void)state;
    EXPECT(false,
           "\x02\x02"
           "ab"
           "\x89\x01"
           "p"
           "\x00\x00"
           "\x80\x01"
           "c"
           "\x82\x00",
           "9:p|2:abc|2:|");
    EXPECT(false, "\x88\x02\x03\xe8", "8:\x03\xe8|");
}

static void written_is_read(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 125, 126, 127, 999, 1000};
    for (int masked = 0; masked < 2; masked++) {
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
            eid_buf out, seen;
            uint8_t payload[MAX];
            memset(payload, 'x', sizeof payload);
            eid_buf_init(&out, 1u << 20);
            eid_buf_init(&seen, 1u << 20);
            eid_ws_write(&out, EID_WS_BINARY, eid_slice_of(payload, lengths[i]), masked == 1);
            assert_true(out.len <= lengths[i] + EID_WS_FRAME_OVERHEAD);
            for (size_t piece = 1; piece < 200; piece += 7) {
                tu_assert_ok(read_pieces(masked == 1, eid_buf_slice(&out), piece, &seen));
                assert_int_equal(seen.len, 2 + lengths[i] + 1);
            }
            eid_buf_free(&out);
            eid_buf_free(&seen);
        }
    }
    eid_buf large;
    uint8_t *bytes = calloc(1, 70000);
    eid_buf_init(&large, 1u << 20);
    eid_ws_write(&large, EID_WS_BINARY, eid_slice_of(bytes, 70000), false);
    assert_int_equal(large.len, 70000 + 10);
    assert_memory_equal(large.data, "\x82\x7f\0\0\0\0\0\x01\x11\x70", 10);
    eid_buf_free(&large);
    free(bytes);
}

static void what_breaks_the_protocol(void **state)
{
    (void)state;
    REFUSE(true, "\x81\x05\x48\x65\x6c\x6c\x6f", EID_ERR_SYNTAX); /* a client that does not mask */
    REFUSE(false, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", EID_ERR_SYNTAX); /* a server that does */
    REFUSE(false, "\xc1\x00", EID_ERR_SYNTAX); /* a reserved bit: nobody agreed on one */
    REFUSE(false, "\x83\x00", EID_ERR_SYNTAX); /* opcodes without meaning */
    REFUSE(false, "\x8b\x00", EID_ERR_SYNTAX);
    REFUSE(false, "\x80\x00", EID_ERR_SYNTAX);         /* a part of nothing */
    REFUSE(false, "\x01\x00\x81\x00", EID_ERR_SYNTAX); /* a message inside another */
    REFUSE(false, "\x09\x00", EID_ERR_SYNTAX);         /* a ping in parts */
    REFUSE(false, "\x89\x7e\x00\x7e", EID_ERR_SYNTAX); /* a ping that is too long */
}

/* Told by the head alone: nothing is kept for it. */
static void lengths_beyond_the_maximum(void **state)
{
    (void)state;
    REFUSE(false, "\x82\x7e\x03\xe9", EID_ERR_LIMIT);
    REFUSE(false, "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", EID_ERR_LIMIT);
    REFUSE(false, "\x82\x7f\x00\x00\x00\x01\x00\x00\x00\x00", EID_ERR_LIMIT);
    eid_buf parts, seen;
    uint8_t filler[600];
    memset(filler, 'x', sizeof filler);
    eid_buf_init(&parts, 1u << 20);
    eid_buf_init(&seen, 1u << 20);
    eid_ws_write(&parts, EID_WS_BINARY, eid_slice_of(filler, sizeof filler), false);
    parts.data[0] = 0x02; /* not the last part */
    size_t first = parts.len;
    eid_ws_write(&parts, EID_WS_BINARY, eid_slice_of(filler, sizeof filler), false);
    parts.data[first] = 0x80;
    tu_assert_fails(read_pieces(false, eid_buf_slice(&parts), 100, &seen), EID_ERR_LIMIT);
    eid_buf_free(&parts);
    eid_buf_free(&seen);
}

static eid_status stop(eid_ws_kind kind, eid_slice payload, void *ctx)
{
    (void)kind;
    (void)payload;
    ++*(int *)ctx;
    return eid_fail(EID_ERR_CANCELLED, "enough");
}

static void the_callback_ends_it(void **state)
{
    (void)state;
    eid_ws_reader reader;
    int calls = 0;
    eid_ws_reader_init(&reader, false, MAX);
    tu_assert_fails(eid_ws_read(&reader, eid_slice_of("\x82\x00\x82\x00", 4), stop, &calls),
                    EID_ERR_CANCELLED);
    assert_int_equal(calls, 1);
    eid_ws_reader_free(&reader);
}

/* Whatever comes, reading ends in order and keeps no more than the maximum. */
static void random_bytes(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(7);
    for (int round = 0; round < 2000; round++) {
        uint8_t bytes[300];
        eid_buf seen;
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)(i % 3 == 0 ? tu_random_below(&random, 256) : tu_random_below(&random, 4));
        bytes[0] = (uint8_t)(0x80 | tu_random_below(&random, 11));
        eid_buf_init(&seen, 1u << 20);
        eid_status status =
            read_pieces(round % 2 == 0, eid_slice_of(bytes, sizeof bytes), 1 + (size_t)round % 50, &seen);
        assert_true(status == EID_OK || status == EID_ERR_SYNTAX || status == EID_ERR_LIMIT);
        eid_buf_free(&seen);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accept_key),
        cmocka_unit_test(examples),
        cmocka_unit_test(parts_with_a_ping_between),
        cmocka_unit_test(written_is_read),
        cmocka_unit_test(what_breaks_the_protocol),
        cmocka_unit_test(lengths_beyond_the_maximum),
        cmocka_unit_test(the_callback_ends_it),
        cmocka_unit_test(random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
