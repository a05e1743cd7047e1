/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and proofs of the relay protocol: the recorded vectors (iroh-wire.md section 10), both ways, and
 * hostile ones. */
#include "support/testutil.h"

#include <stdlib.h>

#include "transport/iroh/relay_frame.h"

static eid_keypair *key_of_byte(uint8_t byte)
{
    uint8_t seed[32];
    eid_keypair *key;
    memset(seed, byte, sizeof seed);
    tu_assert_ok(eid_keypair_from_seed(seed, &key));
    return key;
}

static eid_pubkey id_of_byte(uint8_t byte)
{
    eid_keypair *key = key_of_byte(byte);
    eid_pubkey id;
    eid_keypair_public(key, &id);
    eid_keypair_free(key);
    return id;
}

/* Writes the frame, compares with the hexadecimal, reads it back and writes that again. */
static void both_ways(const eid_relay_frame *frame, const char *hex)
{
    eid_buf out, again;
    eid_relay_frame read;
    eid_buf_init(&out, EID_RELAY_FRAME_MAX);
    eid_buf_init(&again, EID_RELAY_FRAME_MAX);
    eid_relay_frame_write(&out, frame);
    tu_assert_hex(out.data, out.len, hex);
    tu_assert_ok(eid_relay_frame_read(eid_buf_slice(&out), &read));
    assert_int_equal(read.kind, frame->kind);
    eid_relay_frame_write(&again, &read);
    tu_assert_hex(again.data, again.len, hex);
    eid_buf_free(&out);
    eid_buf_free(&again);
}

static void recorded_frames(void **state)
{
    (void)state;
    eid_relay_frame frame = {
        .kind = EID_RELAY_SEND, .id = id_of_byte(0x2a), .ecn = 3, .content = eid_slice_text("Hello World!")};
    both_ways(&frame,
              "04197f6b23e16c8532c6abc838facd5ea789be0c76b2920334039bfa8b3d368d610348656c6c6f20576f726c6421");
    frame.kind = EID_RELAY_SEND_BATCH;
    frame.segment = 6;
    both_ways(
        &frame,
        "05197f6b23e16c8532c6abc838facd5ea789be0c76b2920334039bfa8b3d368d6103000648656c6c6f20576f726c6421");
    both_ways(&(eid_relay_frame){.kind = EID_RELAY_RESTARTING, .reconnect_ms = 10, .try_ms = 20},
              "0c0000000a00000014");
    both_ways(&(eid_relay_frame){.kind = EID_RELAY_STATUS, .status = EID_RELAY_STATUS_SAME_ID}, "0d01");
    both_ways(&(eid_relay_frame){.kind = EID_RELAY_PING, .payload = {1, 2, 3, 4, 5, 6, 7, 8}},
              "090102030405060708");
}

static void other_frames(void **state)
{
    (void)state;
    both_ways(&(eid_relay_frame){.kind = EID_RELAY_CONFIRMS}, "02");
    both_ways(&(eid_relay_frame){.kind = EID_RELAY_DENIES, .content = eid_slice_text("no")}, "03026e6f");
    both_ways(&(eid_relay_frame){.kind = EID_RELAY_HEALTH, .content = eid_slice_text("ill")}, "0b696c6c");
    both_ways(&(eid_relay_frame){.kind = EID_RELAY_PONG, .payload = {0}}, "0a0000000000000000");
    both_ways(&(eid_relay_frame){.kind = EID_RELAY_CHALLENGE, .challenge = {0xff}},
              "00ff000000000000000000000000000000");
    both_ways(&(eid_relay_frame){.kind = EID_RELAY_GONE, .id = id_of_byte(0x2a)},
              "08197f6b23e16c8532c6abc838facd5ea789be0c76b2920334039bfa8b3d368d61");
}

static void long_reasons(void **state)
{
    (void)state;
    static const size_t lengths[] = {127, 128, 300, 0x3FFF, 0x5000};
    char *text = malloc(0x5000);
    memset(text, 'r', 0x5000);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        eid_buf out;
        eid_relay_frame frame = {.kind = EID_RELAY_DENIES, .content = eid_slice_of(text, lengths[i])}, read;
        eid_buf_init(&out, EID_RELAY_FRAME_MAX);
        eid_relay_frame_write(&out, &frame);
        tu_assert_ok(eid_relay_frame_read(eid_buf_slice(&out), &read));
        assert_int_equal(read.content.len, lengths[i] < 0x4000 ? lengths[i] : 0x3FFF);
        eid_buf_free(&out);
    }
    free(text);
}

/* Kinds of later versions are passed over, whatever they hold. */
static void unknown_kinds(void **state)
{
    (void)state;
    eid_relay_frame frame;
    for (unsigned kind = EID_RELAY_STATUS + 1; kind < 256; kind++) {
        uint8_t bytes[] = {(uint8_t)kind, 1, 2, 3};
        tu_assert_ok(eid_relay_frame_read(eid_slice_of(bytes, sizeof bytes), &frame));
        assert_int_equal(frame.kind, EID_RELAY_UNKNOWN);
    }
}

static void wrong_lengths(void **state)
{
    (void)state;
    static const struct {
        uint8_t kind;
        size_t least, most; /* bytes of a frame that is right */
    } kinds[] = {{EID_RELAY_CHALLENGE, 17, 17},  {EID_RELAY_CONFIRMS, 1, 1},
                 {EID_RELAY_SEND, 35, SIZE_MAX}, {EID_RELAY_SEND_BATCH, 37, SIZE_MAX},
                 {EID_RELAY_RECV, 35, SIZE_MAX}, {EID_RELAY_RECV_BATCH, 37, SIZE_MAX},
                 {EID_RELAY_GONE, 33, 33},       {EID_RELAY_PING, 9, 9},
                 {EID_RELAY_PONG, 9, 9},         {EID_RELAY_RESTARTING, 9, 9},
                 {EID_RELAY_STATUS, 2, 2}};
    eid_relay_frame frame;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        uint8_t bytes[64] = {kinds[i].kind};
        for (size_t len = 1; len <= sizeof bytes; len++) {
            eid_status status = eid_relay_frame_read(eid_slice_of(bytes, len), &frame);
            assert_int_equal(status == EID_OK, len >= kinds[i].least && len <= kinds[i].most);
        }
    }
    tu_assert_fails(eid_relay_frame_read(eid_slice_of(NULL, 0), &frame), EID_ERR_TRUNCATED);
    uint8_t *huge = calloc(1, EID_RELAY_FRAME_MAX + 1);
    huge[0] = EID_RELAY_SEND;
    tu_assert_ok(eid_relay_frame_read(eid_slice_of(huge, EID_RELAY_FRAME_MAX), &frame));
    tu_assert_fails(eid_relay_frame_read(eid_slice_of(huge, EID_RELAY_FRAME_MAX + 1), &frame), EID_ERR_LIMIT);
    free(huge);
}

static void wrong_bodies(void **state)
{
    (void)state;
    eid_relay_frame frame;
    uint8_t auth[98] = {EID_RELAY_CLIENT_AUTH};
    auth[33] = 0x3f;
    tu_assert_fails(eid_relay_frame_read(eid_slice_of(auth, sizeof auth), &frame), EID_ERR_SYNTAX);
    auth[33] = 0x40;
    tu_assert_ok(eid_relay_frame_read(eid_slice_of(auth, sizeof auth), &frame));
    tu_assert_fails(eid_relay_frame_read(eid_slice_of("\x03\x05no", 4), &frame), EID_ERR_TRUNCATED);
    tu_assert_fails(eid_relay_frame_read(eid_slice_of("\x03\xff\xff\x01", 4), &frame), EID_ERR_TRUNCATED);
    tu_assert_fails(eid_relay_frame_read(eid_slice_of("\x03\x01nx", 4), &frame), EID_ERR_TRAILING_DATA);
}

/* ---- Proofs ---- */

static void challenge_is_answered(void **state)
{
    (void)state;
    static const uint8_t challenge[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    eid_keypair *key = key_of_byte(0x07);
    eid_relay_frame answer, wrong;
    eid_relay_answer(key, challenge, &answer);
    tu_assert_hex(answer.id.bytes, 32, "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c");
    tu_assert_hex(answer.signature, 64,
                  "a45f18321622f1b25e63f57b9f53185a40419e59af1553f7d6ca735b8fd82ada"
                  "773d86d8a5ac3eec5c1246d924315a6281c120046b2db14d638de2cad3116d0d");
    tu_assert_ok(eid_relay_check_answer(&answer, challenge));
    wrong = answer;
    wrong.signature[5] ^= 1;
    tu_assert_fails(eid_relay_check_answer(&wrong, challenge), EID_ERR_BAD_SIGNATURE);
    wrong = answer;
    wrong.id = id_of_byte(0x08);
    tu_assert_fails(eid_relay_check_answer(&wrong, challenge), EID_ERR_BAD_SIGNATURE);
    uint8_t other[16] = {1};
    tu_assert_fails(eid_relay_check_answer(&answer, other),
                    EID_ERR_BAD_SIGNATURE); /* an answer to another challenge */
    eid_keypair_free(key);
}

static void header_proves(void **state)
{
    (void)state;
    eid_keypair *key = key_of_byte(0x07);
    uint8_t exported[32], elsewhere[32];
    char text[EID_RELAY_HEADER_SIZE];
    eid_relay_header_proof proof;
    for (int round = 0; round < 50; round++) {
        memset(exported, 1 + round * 5, sizeof exported);
        memset(elsewhere, 2 + round * 5, sizeof elsewhere);
        eid_relay_header(key, exported, text);
        assert_int_equal(strlen(text), EID_RELAY_HEADER_SIZE - 1);
        assert_null(strpbrk(text, "+/="));
        tu_assert_ok(eid_relay_header_read(eid_slice_text(text), &proof));
        assert_true(eid_relay_header_proves(&proof, exported));
        assert_false(eid_relay_header_proves(
            &proof, elsewhere)); /* a header of another connection, or a proxy between */
    }
    eid_pubkey id = id_of_byte(0x07);
    assert_memory_equal(proof.id.bytes, id.bytes, sizeof id.bytes);
    proof.id = id_of_byte(0x08);
    assert_false(eid_relay_header_proves(&proof, exported));
    eid_keypair_free(key);
}

static void headers_that_are_none(void **state)
{
    (void)state;
    eid_keypair *key = key_of_byte(0x07);
    uint8_t exported[32] = {9};
    char text[EID_RELAY_HEADER_SIZE];
    eid_relay_header_proof proof;
    eid_relay_header(key, exported, text);
    for (size_t i = 0; i < sizeof text - 1; i++)
        assert_int_not_equal(eid_relay_header_read(eid_slice_of(text, i), &proof), EID_OK);
    static const char bad[] = {'+', '/', '=', ' ', '\0', '!', '\x80'};
    for (size_t i = 0; i < sizeof bad; i++) {
        char before = text[20];
        text[20] = bad[i];
        assert_int_not_equal(eid_relay_header_read(eid_slice_of(text, sizeof text - 1), &proof), EID_OK);
        text[20] = before;
    }
    text[43] = text[43] == 'A' ? 'B' : 'A'; /* holds a part of the signature's length */
    text[44] = text[44] == 'A' ? 'B' : 'A';
    tu_assert_fails(eid_relay_header_read(eid_slice_text(text), &proof), EID_ERR_SYNTAX);
    eid_keypair_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_frames),       cmocka_unit_test(other_frames),
        cmocka_unit_test(long_reasons),          cmocka_unit_test(unknown_kinds),
        cmocka_unit_test(wrong_lengths),         cmocka_unit_test(wrong_bodies),
        cmocka_unit_test(challenge_is_answered), cmocka_unit_test(header_proves),
        cmocka_unit_test(headers_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
