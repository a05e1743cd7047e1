/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the streamed form: their bytes, which other implementations rely on, and everything that is
 * none. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "codec/cid.h"
#include "crypto/blake3.h"
#include "support/testutil.h"
#include "sync/stream.h"

static eid_id id_of(uint8_t byte)
{
    uint8_t digest[32];
    eid_id id;
    memset(digest, byte, sizeof digest);
    eid_id_from_digest(EID_CODEC_DAG_CBOR, digest, &id);
    return id;
}

static void assert_hex(const eid_buf *buf, const char *wanted)
{
    char *text = malloc(2 * buf->len + 1);
    for (size_t i = 0; i < buf->len; i++)
        snprintf(text + 2 * i, 3, "%02x", buf->data[i]);
    assert_string_equal(text, wanted);
    free(text);
}

/* ---- Frames ---- */

static void test_frames_come_out_as_they_went_in(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 23, 24, 255, 256, 65535, 65536, EID_LIMIT_STREAM_FRAME};
    static const size_t heads[] = {1, 1, 1, 2, 2, 3, 3, 5, 5};
    uint8_t *bytes = calloc(1, EID_LIMIT_STREAM_FRAME);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        eid_buf buf;
        eid_slice content;
        bool found;
        eid_buf_init(&buf, 4u << 20);
        eid_frame_write(&buf, eid_slice_of(bytes, lengths[i]));
        assert_int_equal(buf.len, lengths[i] + heads[i]);
        for (size_t cut = 0; cut < buf.len;
             cut += cut < 16 ? 1 : 1 + buf.len / 7) { /* not here yet: nothing is taken */
            eid_slice part = eid_slice_of(buf.data, cut);
            tu_assert_ok(eid_frame_next(&part, &content, &found));
            assert_false(found);
            assert_int_equal(part.len, cut);
        }
        eid_buf_append_text(&buf, "@");
        eid_slice all = eid_buf_slice(&buf);
        tu_assert_ok(eid_frame_next(&all, &content, &found));
        assert_true(found);
        assert_int_equal(content.len, lengths[i]);
        assert_int_equal(all.len, 1);
        eid_buf_free(&buf);
    }
    free(bytes);
}

static void test_what_is_no_frame(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        eid_status wanted;
    } cases[] = {
        {"\x5a\x00\x10\x00\x01", 5, EID_ERR_LIMIT}, /* one byte more than an entry may have */
        {"\x5a\xff\xff\xff\xff", 5, EID_ERR_LIMIT},
        {"\x5b", 1, EID_ERR_WRONG_TYPE},     /* a length of eight bytes */
        {"\x5f", 1, EID_ERR_WRONG_TYPE},     /* without a length */
        {"\x58\x17", 2, EID_ERR_WRONG_TYPE}, /* not the shortest form */
        {"\x59\x00\xff", 3, EID_ERR_WRONG_TYPE},
        {"\x5a\x00\x00\xff\xff", 5, EID_ERR_WRONG_TYPE},
        {"\x00", 1, EID_ERR_WRONG_TYPE},
        {"\x60", 1, EID_ERR_WRONG_TYPE},
        {"\x80", 1, EID_ERR_WRONG_TYPE},
        {"\xa0", 1, EID_ERR_WRONG_TYPE},
        {"\xff", 1, EID_ERR_WRONG_TYPE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eid_slice input = eid_slice_of(cases[i].bytes, cases[i].len), content;
        bool found;
        tu_assert_fails(eid_frame_next(&input, &content, &found), cases[i].wanted);
        assert_int_equal(input.len, cases[i].len);
    }
}

/* ---- Requests ---- */

static void fill_request(eid_stream_request *request, eid_stream_kind kind, const eid_buf *question)
{
    memset(request, 0, sizeof *request);
    request->kind = kind;
    request->database = id_of(0x11);
    memset(request->device.bytes, 0x22, sizeof request->device.bytes);
    request->question_bytes = eid_buf_slice(question);
}

#define DATABASE                                                                                             \
    "d82a582500"                                                                                             \
    "01711e20"                                                                                               \
    "1111111111111111111111111111111111111111111111111111111111111111"
#define DEVICE                                                                                               \
    "5820"                                                                                                   \
    "2222222222222222222222222222222222222222222222222222222222222222"

static void test_bytes_of_a_pull(void **state)
{
    (void)state;
    eid_id have = id_of(0x33);
    eid_stream_question question = {.count = 5, .have = &have, .have_count = 1};
    memset(question.tips_digest, 0x44, sizeof question.tips_digest);
    eid_buf bytes, body;
    eid_buf_init(&bytes, 1000);
    eid_buf_init(&body, 1000);
    eid_stream_question_write(&bytes, EID_STREAM_PULL, &question);
    eid_stream_request request, read;
    fill_request(&request, EID_STREAM_PULL, &bytes);
    eid_stream_request_write(&body, &request);
    assert_hex(&body, "584f850101" DATABASE DEVICE "f6"
                      "5850"
                      "8505"
                      "5820"
                      "4444444444444444444444444444444444444444444444444444444444444444"
                      "f4f6"
                      "81d82a58250001711e203333333333333333333333333333333333333333333333333333333333333333");
    tu_assert_ok(eid_stream_request_read(eid_buf_slice(&body), &read));
    assert_int_equal(read.kind, EID_STREAM_PULL);
    assert_true(eid_id_equal(&read.database, &request.database));
    assert_int_equal(read.question.count, 5);
    assert_false(read.question.anyway || read.question.has_permission || read.has_proof);
    assert_int_equal(read.question.have_count, 1);
    assert_true(eid_id_equal(&read.question.have[0], &have));
    eid_stream_request_free(&read);
    eid_buf_free(&bytes);
    eid_buf_free(&body);
}

static void test_other_requests_come_out_as_they_went_in(void **state)
{
    (void)state;
    uint8_t digests[48] = {0}, nonce[32] = {7}, signature[64] = {8};
    digests[16] = 1;
    digests[32] = 2;
    eid_bucket_held held[2] = {{3, eid_slice_of(digests, 48)}, {4095, eid_slice_of(digests, 0)}};
    eid_stream_question question = {.held = held, .held_count = 2};
    memset(question.prints, 0x55, sizeof question.prints);
    for (eid_stream_kind kind = EID_STREAM_COMPARE; kind <= EID_STREAM_PUSH; kind++) {
        eid_buf bytes, body;
        eid_stream_request request, read;
        eid_buf_init(&bytes, 4000);
        eid_buf_init(&body, 4000);
        eid_stream_question_write(&bytes, kind, &question);
        fill_request(&request, kind, &bytes);
        request.has_proof = true;
        request.proof = (eid_request_proof){
            .timestamp_ms = 9, .nonce = nonce, .nonce_len = 32, .signature = signature, .signature_len = 64};
        eid_stream_request_write(&body, &request);
        if (kind == EID_STREAM_PUSH)
            eid_buf_append(&body, "\x41\xa0", 2);
        tu_assert_ok(eid_stream_request_read(eid_buf_slice(&body), &read));
        assert_int_equal(read.kind, kind);
        assert_true(read.has_proof);
        assert_int_equal(read.proof.timestamp_ms, 9);
        assert_int_equal(read.rest.len, kind == EID_STREAM_PUSH ? 2 : 0);
        if (kind == EID_STREAM_COMPARE)
            assert_memory_equal(read.question.prints, question.prints, sizeof question.prints);
        if (kind == EID_STREAM_LIST) {
            assert_int_equal(read.question.held_count, 2);
            assert_int_equal(read.question.held[1].bucket, 4095);
            assert_memory_equal(read.question.held[0].digests.data, digests, 48);
        }
        eid_stream_request_free(&read);
        eid_buf_free(&bytes);
        eid_buf_free(&body);
    }
}

static void assert_question_refused(eid_stream_kind kind, const eid_stream_question *question,
                                    eid_status wanted)
{
    eid_buf bytes, body;
    eid_stream_request request, read;
    eid_buf_init(&bytes, 4u << 20);
    eid_buf_init(&body, 8u << 20);
    eid_stream_question_write(&bytes, kind, question);
    fill_request(&request, kind, &bytes);
    eid_stream_request_write(&body, &request);
    tu_assert_fails(eid_stream_request_read(eid_buf_slice(&body), &read), wanted);
    eid_buf_free(&bytes);
    eid_buf_free(&body);
}

static void test_lists_in_another_order_are_refused(void **state)
{
    (void)state;
    uint8_t digests[32] = {1};
    eid_bucket_held twice[2] = {{3, {NULL, 0}}, {3, {NULL, 0}}}, outside[1] = {{EID_BUCKETS, {NULL, 0}}};
    eid_bucket_held falling[1] = {{3, eid_slice_of(digests, 32)}}, odd[1] = {{3, eid_slice_of(digests, 15)}};
    static eid_bucket_held many[EID_LIMIT_STREAM_BUCKETS + 1];
    for (uint32_t i = 0; i <= EID_LIMIT_STREAM_BUCKETS; i++)
        many[i] = (eid_bucket_held){i, {NULL, 0}};
    assert_question_refused(EID_STREAM_LIST, &(eid_stream_question){.held = twice, .held_count = 2},
                            EID_ERR_WRONG_TYPE);
    assert_question_refused(EID_STREAM_LIST, &(eid_stream_question){.held = outside, .held_count = 1},
                            EID_ERR_WRONG_TYPE);
    assert_question_refused(EID_STREAM_LIST, &(eid_stream_question){.held = falling, .held_count = 1},
                            EID_ERR_WRONG_TYPE);
    assert_question_refused(EID_STREAM_LIST, &(eid_stream_question){.held = odd, .held_count = 1},
                            EID_ERR_WRONG_TYPE);
    assert_question_refused(EID_STREAM_LIST,
                            &(eid_stream_question){.held = many, .held_count = EID_LIMIT_STREAM_BUCKETS + 1},
                            EID_ERR_LIMIT);
}

static void test_another_version_is_told_from_nonsense(void **state)
{
    (void)state;
    eid_stream_request read;
    tu_assert_fails(eid_stream_request_read(eid_slice_text("\x42\x81\x02"), &read), EID_ERR_UNSUPPORTED);
    tu_assert_fails(eid_stream_request_read(eid_slice_text("\x42\x81\x01"), &read), EID_ERR_WRONG_TYPE);
    tu_assert_fails(eid_stream_request_read(eid_slice_text(""), &read), EID_ERR_TRUNCATED);
}

/* ---- Answers ---- */

static void test_bytes_of_answers(void **state)
{
    (void)state;
    eid_id tip = id_of(0x33);
    eid_buf body;
    eid_buf_init(&body, 1000);
    eid_stream_write_refused(&body, "no");
    assert_hex(&body, "45"
                      "8201626e6f");
    eid_buf_reset(&body);
    eid_stream_write_state(&body, EID_STREAM_FOLLOWS, 300);
    assert_hex(&body, "46"
                      "83020119012c");
    eid_buf_reset(&body);
    eid_stream_write_tips(&body, &tip, 1);
    assert_hex(&body, "582c"
                      "820381"
                      "d82a58250001711e203333333333333333333333333333333333333333333333333333333333333333");
    eid_buf_reset(&body);
    eid_stream_write_end(&body, 7);
    assert_hex(&body, "43"
                      "820507");
    eid_buf_free(&body);
}

static void test_answers_come_out_as_they_went_in(void **state)
{
    (void)state;
    static eid_bucket buckets[EID_STREAM_GROUPS];
    eid_id *tips = calloc(3000, sizeof *tips);
    for (size_t i = 0; i < 3000; i++)
        tips[i] = id_of((uint8_t)i);
    buckets[3].count = 1;
    eid_buf body;
    eid_buf_init(&body, 1u << 20);
    eid_stream_write_tips(&body, tips, 3000);
    eid_stream_write_prints(&body, 63, buckets);
    eid_slice input = eid_buf_slice(&body), content;
    eid_stream_message message;
    bool found;
    for (size_t count = 0; count < 3000; count += message.tip_count) {
        tu_assert_ok(eid_frame_next(&input, &content, &found));
        assert_true(found);
        tu_assert_ok(eid_stream_message_read(content, &message));
        assert_int_equal(message.kind, EID_STREAM_TIPS);
        for (size_t i = 0; i < message.tip_count; i++)
            assert_true(eid_id_equal(&message.tips[i], &tips[count + i]));
        eid_free(message.tips);
    }
    tu_assert_ok(eid_frame_next(&input, &content, &found));
    tu_assert_ok(eid_stream_message_read(content, &message));
    assert_int_equal(message.group, 63);
    uint8_t print[EID_STREAM_PRINT];
    eid_stream_print(&buckets[3], 1, print);
    assert_memory_equal(message.prints + 3 * EID_STREAM_PRINT, print, sizeof print);
    assert_memory_not_equal(message.prints, print, sizeof print);
    free(tips);
    eid_buf_free(&body);
}

static void test_what_is_no_message(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "\x80",
        "\x82\x06\x01",
        "\x82\x18\x05\x01",
        "\x83\x02\x03\x01",
        "\x82\x02\x01",
        "\x82\x05\x61"
        "a",
        "\x82\x05\x20",
        "\x83\x04\x18\x40\x40",
        "\x82\x03\x81\x01",
        "\x82\x03\x9a\xff\xff\xff\xff",
        "\x82\x01\x41"
        "a",
        "\x82\x05\x01\x01",
        "\x01",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eid_stream_message message;
        if (eid_stream_message_read(eid_slice_text(cases[i]), &message) == EID_OK)
            fail_msg("case %zu was read", i);
    }
}

/* ---- Digests ---- */

/* The count and the sum, both big endian: written down once more, byte by byte. */
static void test_print_of_a_sum(void **state)
{
    (void)state;
    eid_bucket two[2] = {{3, {UINT64_MAX, 0, 0, 0x0102030405060708}}, {4, {1, 0, 0, 0}}};
    uint8_t bytes[40] = {[7] = 7, 1, 2, 3, 4, 5, 6, 7, 8}, digest[32], print[EID_STREAM_PRINT];
    bytes[31] = 1; /* the carry */
    eid_blake3_hash(bytes, sizeof bytes, digest);
    eid_stream_print(two, 2, print);
    assert_memory_equal(print, digest, sizeof print);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_come_out_as_they_went_in),
        cmocka_unit_test(test_what_is_no_frame),
        cmocka_unit_test(test_bytes_of_a_pull),
        cmocka_unit_test(test_other_requests_come_out_as_they_went_in),
        cmocka_unit_test(test_lists_in_another_order_are_refused),
        cmocka_unit_test(test_another_version_is_told_from_nonsense),
        cmocka_unit_test(test_bytes_of_answers),
        cmocka_unit_test(test_answers_come_out_as_they_went_in),
        cmocka_unit_test(test_what_is_no_message),
        cmocka_unit_test(test_print_of_a_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
