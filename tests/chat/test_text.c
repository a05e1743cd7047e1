/* SPDX-License-Identifier: Apache-2.0 */
/* Cleaning of hostile text, widths, breaking into rows. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "text.h"

static void expect_clean(const char *text, size_t len, size_t max, const char *expected)
{
    char *clean = text_clean(text, len, max);
    assert_string_equal(clean, expected);
    free(clean);
}

#define CLEAN(text, expected) expect_clean(text, sizeof(text) - 1, 1000, expected)

static void test_plain_text_stays(void **state)
{
    (void)state;
    CLEAN("", "");
    CLEAN("hello", "hello");
    CLEAN("Grüße, 世界 👋", "Grüße, 世界 👋");
    CLEAN("back\\slash", "back\\slash");
    CLEAN("tab\there", "tab here");
}

static void test_terminal_sequences_become_visible(void **state)
{
    (void)state;
    CLEAN("\x1b[2J\x1b[H", "\\x1b[2J\\x1b[H");
    CLEAN("\x1b]0;title\x07", "\\x1b]0;title\\x07");
    CLEAN("a\nb\rc", "a\\nb\\rc");
    CLEAN("zero\0byte", "zero\\x00byte");
    CLEAN("rub\x7f", "rub\\x7f");
    CLEAN("csi \xC2\x9B 31m", "csi \\x9b 31m"); /* the one-character CSI of the C1 range */
}

static void test_layout_controls_become_visible(void **state)
{
    (void)state;
    CLEAN("abc\xE2\x80\xAE"
          "def",
          "abc\\u{202e}def");
    CLEAN("\xE2\x81\xA6x\xE2\x81\xA9", "\\u{2066}x\\u{2069}");
    CLEAN("\xE2\x80\xA8", "\\u{2028}");
    CLEAN("\xEF\xBB\xBF", "\\u{feff}");
    CLEAN("\xF3\xA0\x81\x81", "\\u{e0041}"); /* a tag character */
}

static void test_broken_utf8_is_replaced(void **state)
{
    (void)state;
    CLEAN("\xFF", "\xEF\xBF\xBD");
    CLEAN("\xC3", "\xEF\xBF\xBD");
    CLEAN("\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD");                                 /* overlong / */
    CLEAN("\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");                 /* a surrogate */
    CLEAN("\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"); /* beyond Unicode */
    CLEAN("a\xE4\xB8z", "a\xEF\xBF\xBD\xEF\xBF\xBDz");
}

static void test_piled_marks_are_cut(void **state)
{
    (void)state;
    char text[256] = "o";
    for (int i = 0; i < 50; i++)
        strcat(text, "\xCC\x81");
    char *clean = text_clean(text, strlen(text), 1000);
    assert_int_equal(strlen(clean), 1 + TEXT_MARKS_MAX * 2);
    free(clean);
    CLEAN("\xCC\x81x", "x"); /* nothing to stand on */
}

static void test_long_text_is_cut_between_characters(void **state)
{
    (void)state;
    expect_clean("abcdef", 6, 6, "abcdef");
    expect_clean("abcdef", 6, 3, "abc…");
    expect_clean("äöü", 6, 3, "ä…");
    expect_clean("äöü", 6, 0, "…");
}

static void expect_repair(const char *text, size_t len, const char *expected)
{
    size_t out;
    char *repaired = text_repair(text, len, &out);
    assert_int_equal(out, strlen(expected));
    assert_string_equal(repaired, expected);
    free(repaired);
}

static void test_repair_trims(void **state)
{
    (void)state;
    expect_repair("", 0, "");
    expect_repair("   ", 3, "");
    expect_repair(" \t\r\n", 4, "");
    expect_repair("  a b  ", 7, "a b");
    expect_repair("\xC2\xA0x\xE3\x80\x80", 6, "x"); /* no-break and ideographic space */
    expect_repair("x\xFF", 2, "x\xEF\xBF\xBD");
}

static void expect_json(const char *text, const char *expected)
{
    char *json = text_json(text, strlen(text));
    assert_string_equal(json, expected);
    free(json);
}

static void test_json(void **state)
{
    (void)state;
    expect_json("", "\"\"");
    expect_json("plain", "\"plain\"");
    expect_json("a \"quote\" and \\", "\"a \\\"quote\\\" and \\\\\"");
    expect_json("\x01\n\x1f", "\"\\u0001\\u000a\\u001f\"");
    expect_json("世", "\"世\"");
}

static void test_decode_encode_round_trip(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10FFFF; c += c < 0x3000 ? 1 : 0x101) {
        if (c >= 0xD800 && c <= 0xDFFF)
            continue;
        char bytes[4];
        uint32_t back;
        size_t len = text_encode(c, bytes);
        assert_int_equal(text_decode(bytes, len, &back), len);
        assert_int_equal(back, c);
        if (len > 1) {
            assert_int_equal(text_decode(bytes, len - 1, &back), 1);
            assert_int_equal(back, 0xFFFD);
        }
    }
}

static void test_columns(void **state)
{
    (void)state;
    assert_int_equal(text_columns("abc", 3), 3);
    assert_int_equal(text_columns("世界", 6), 4);
    assert_int_equal(text_columns("e\xCC\x81", 3), 1);
    assert_int_equal(text_columns("👋", 4), 2);
    assert_int_equal(text_char_columns('\x1b'), -1);
    assert_int_equal(text_char_columns(0x202E), -1);
    assert_int_equal(text_char_columns('x'), 1);
}

static void test_fit(void **state)
{
    (void)state;
    assert_int_equal(text_fit("abcdef", 6, 3), 3);
    assert_int_equal(text_fit("abc", 3, 10), 3);
    assert_int_equal(text_fit("世界", 6, 3), 3);
    assert_int_equal(text_fit("世界", 6, 4), 6);
    assert_int_equal(text_fit("世", 3, 1), 3);         /* callers must advance */
    assert_int_equal(text_fit("e\xCC\x81x", 4, 1), 3); /* the mark stays with its letter */
    assert_int_equal(text_fit("", 0, 5), 0);
}

static void test_rows(void **state)
{
    (void)state;
    assert_int_equal(text_row("hello world", 11, 20), 11);
    assert_int_equal(text_row("hello world", 11, 7), 6); /* behind the space */
    assert_int_equal(text_row("hello world", 11, 5), 6); /* the space ends the row */
    assert_int_equal(text_row("helloworld", 10, 4), 4);  /* nowhere to break */
    assert_int_equal(text_row("a世界世界", 13, 4), 4);
}

/* Whatever bytes come, every row advances, and no cleaned text is wider than it says or holds a control. */
static void test_random_bytes(void **state)
{
    (void)state;
    uint32_t seed = 12345;
    for (int round = 0; round < 20000; round++) {
        char text[64];
        size_t len = (size_t)round % sizeof text;
        for (size_t i = 0; i < len; i++) {
            seed = seed * 1664525u + 1013904223u;
            text[i] = (char)(seed >> 24);
        }
        char *clean = text_clean(text, len, sizeof text);
        size_t clean_len = strlen(clean);
        for (size_t at = 0; at < clean_len;) {
            uint32_t c;
            at += text_decode(clean + at, clean_len - at, &c);
            assert_true(text_char_columns(c) >= 0);
        }
        size_t at = 0;
        while (at < clean_len) {
            size_t took = text_row(clean + at, clean_len - at, 5);
            assert_true(took > 0 && took <= clean_len - at);
            size_t shown = text_fit(clean + at, took, 5);
            assert_true(text_columns(clean + at, shown) <= 5);
            at += took;
        }
        free(clean);
    }
}

int main(void)
{
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL) {
        puts("skipped: the locale C.UTF-8 is not there, and widths need it");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_text_stays),
        cmocka_unit_test(test_terminal_sequences_become_visible),
        cmocka_unit_test(test_layout_controls_become_visible),
        cmocka_unit_test(test_broken_utf8_is_replaced),
        cmocka_unit_test(test_piled_marks_are_cut),
        cmocka_unit_test(test_long_text_is_cut_between_characters),
        cmocka_unit_test(test_repair_trims),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_decode_encode_round_trip),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_fit),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
