/* SPDX-License-Identifier: Apache-2.0 */
/* Strict UTF-8 against an independent rule: decode by arithmetic, then encode and compare. */
#include "support/testutil.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

static size_t encode(uint32_t point, uint8_t out[4])
{
    if (point < 0x80) {
        out[0] = (uint8_t)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (uint8_t)(0xc0 | point >> 6);
        out[1] = (uint8_t)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (uint8_t)(0xe0 | point >> 12);
        out[1] = (uint8_t)(0x80 | (point >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (point & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | point >> 18);
    out[1] = (uint8_t)(0x80 | (point >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (point >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (point & 0x3f));
    return 4;
}

static bool is_scalar(uint32_t point)
{
    return point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
}

/* Whether the bytes are exactly one character: decode the bits whatever they are, then they must encode back.
 */
static bool one_character(const uint8_t *bytes, size_t len)
{
    static const uint8_t lead_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t point = bytes[0] & lead_bits[len];
    for (size_t i = 1; i < len; i++)
        point = point << 6 | (bytes[i] & 0x3f);
    uint8_t again[4];
    return is_scalar(point) && encode(point, again) == len && memcmp(again, bytes, len) == 0;
}

static bool reference_valid(const uint8_t *bytes, size_t len)
{
    size_t at = 0;
    while (at < len) {
        size_t step = 0;
        for (size_t n = 1; n <= 4 && step == 0; n++) {
            if (n <= len - at && one_character(bytes + at, n))
                step = n;
        }
        if (step == 0)
            return false;
        at += step;
    }
    return true;
}

static void every_code_point(void **state)
{
    (void)state;
    for (uint32_t point = 0; point < 0x110400; point++) {
        uint8_t bytes[4];
        size_t len = encode(point, bytes);
        if (eid_utf8_valid(eid_slice_of(bytes, len)) != is_scalar(point))
            fail_msg("U+%04X", (unsigned)point);
    }
}

static void every_sequence_of_one_two_or_three_bytes(void **state)
{
    (void)state;
    uint8_t bytes[3];
    for (uint32_t all = 0; all < 1u << 24; all++) {
        bytes[0] = (uint8_t)(all >> 16);
        bytes[1] = (uint8_t)(all >> 8);
        bytes[2] = (uint8_t)all;
        /* Plain ASCII third bytes say nothing new about the first two. */
        if (bytes[2] != 'a' && bytes[2] < 0x7f)
            continue;
        size_t len = bytes[2] == 'a' ? 2 : 3;
        if (eid_utf8_valid(eid_slice_of(bytes, len)) != reference_valid(bytes, len))
            fail_msg("%02x %02x %02x (%zu)", bytes[0], bytes[1], bytes[2], len);
    }
    for (unsigned single = 0; single < 256; single++) {
        bytes[0] = (uint8_t)single;
        assert_int_equal(eid_utf8_valid(eid_slice_of(bytes, 1)), single < 0x80);
    }
}

static void four_byte_sequences_at_the_edges(void **state)
{
    (void)state;
    static const uint8_t edges[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f,
                                    0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xff};
    for (unsigned lead = 0xe0; lead < 0x100; lead++) {
        for (unsigned second = 0; second < 0x100; second++) {
            for (size_t i = 0; i < sizeof edges; i++) {
                for (size_t k = 0; k < sizeof edges; k++) {
                    uint8_t bytes[4] = {(uint8_t)lead, (uint8_t)second, edges[i], edges[k]};
                    if (eid_utf8_valid(eid_slice_of(bytes, 4)) != reference_valid(bytes, 4))
                        fail_msg("%02x %02x %02x %02x", lead, second, edges[i], edges[k]);
                }
            }
        }
    }
}

static void empty_text_is_valid(void **state)
{
    (void)state;
    assert_true(eid_utf8_valid(eid_slice_of(NULL, 0)));
    assert_int_equal(eid_utf8_cut(eid_slice_of(NULL, 0), 10), 0);
}

/* The fast path over ASCII must not step over a bad byte at any place of a block. */
static void one_bad_byte_anywhere(void **state)
{
    (void)state;
    for (size_t len = 1; len <= 40; len++) {
        for (size_t bad = 0; bad < len; bad++) {
            uint8_t *text = malloc(len); /* exactly as long: reading past the end is seen by the sanitizer */
            assert_non_null(text);
            memset(text, 'a', len);
            assert_true(eid_utf8_valid(eid_slice_of(text, len)));
            text[bad] = 0xc3;
            assert_false(eid_utf8_valid(eid_slice_of(text, len)));
            free(text);
        }
    }
}

static void cuts_fall_between_characters(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(7);
    for (int round = 0; round < 500; round++) {
        uint8_t text[64];
        bool boundary[65] = {true};
        size_t len = 0;
        while (len + 4 <= sizeof text && tu_random_below(&random, 20) > 0) {
            static const uint32_t limits[] = {0x80, 0x800, 0xd800, 0x110000};
            uint32_t point = (uint32_t)tu_random_below(&random, limits[tu_random_below(&random, 4)]);
            if (!is_scalar(point))
                continue;
            len += encode(point, text + len);
            boundary[len] = true;
        }
        for (size_t max = 0; max <= len + 2; max++) {
            size_t wanted = max < len ? max : len;
            while (!boundary[wanted])
                wanted--;
            assert_int_equal(eid_utf8_cut(eid_slice_of(text, len), max), wanted);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point),
        cmocka_unit_test(every_sequence_of_one_two_or_three_bytes),
        cmocka_unit_test(four_byte_sequences_at_the_edges),
        cmocka_unit_test(empty_text_is_valid),
        cmocka_unit_test(one_bad_byte_anywhere),
        cmocka_unit_test(cuts_fall_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
