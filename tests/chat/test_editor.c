/* SPDX-License-Identifier: Apache-2.0 */
/* Typing a line: insertion, deletion, movement, and the cursor's column with wide characters. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "editor.h"
#include "text.h"

static struct editor editor; /* large for a stack */

static int reset(void **state)
{
    (void)state;
    editor_clear(&editor);
    return 0;
}

static void type(const char *text)
{
    for (size_t at = 0, len = strlen(text); at < len;) {
        uint32_t character;
        at += text_decode(text + at, len - at, &character);
        assert_true(editor_insert(&editor, character));
    }
}

static void expect_text(const char *expected)
{
    size_t len;
    char *text = editor_text(&editor, &len);
    assert_string_equal(text, expected);
    assert_int_equal(len, strlen(expected));
    free(text);
}

static void expect_view(int columns, const char *expected, int expected_column)
{
    int column = -1;
    char *view = editor_view(&editor, columns, &column);
    assert_string_equal(view, expected);
    assert_int_equal(column, expected_column);
    assert_true(text_columns(view, strlen(view)) <= columns);
    free(view);
}

static void test_typing(void **state)
{
    (void)state;
    expect_text("");
    type("quality");
    expect_text("quality");
    expect_view(20, "quality", 7);
}

static void test_editing_in_the_middle(void **state)
{
    (void)state;
    type("hllo");
    editor_home(&editor);
    editor_right(&editor);
    type("e");
    expect_text("hello");
    editor_end(&editor);
    editor_backspace(&editor);
    expect_text("hell");
    editor_home(&editor);
    editor_delete(&editor);
    expect_text("ell");
    editor_left(&editor);
    editor_backspace(&editor);
    expect_text("ell");
    editor_end(&editor);
    editor_right(&editor);
    editor_delete(&editor);
    expect_text("ell");
}

static void test_wide_characters(void **state)
{
    (void)state;
    type("a世b");
    expect_view(20, "a世b", 4);
    editor_left(&editor);
    expect_view(20, "a世b", 3);
    editor_left(&editor);
    expect_view(20, "a世b", 1);
    editor_delete(&editor);
    expect_text("ab");
}

static void test_marks_go_with_their_letter(void **state)
{
    (void)state;
    type("xe\xCC\x81y");
    editor_left(&editor);
    editor_left(&editor);
    expect_view(20, "xe\xCC\x81y", 1);
    editor_right(&editor);
    editor_backspace(&editor);
    expect_text("xy");
}

static void test_long_line_scrolls(void **state)
{
    (void)state;
    type("0123456789");
    expect_view(5, "6789", 4);
    editor_home(&editor);
    expect_view(5, "01234", 0);
    editor_end(&editor);
    editor_left(&editor);
    expect_view(5, "56789", 4);
    editor_end(&editor);
    expect_view(20, "0123456789", 10); /* a wider window shows more again */
}

static void test_deleting_scrolls_back(void **state)
{
    (void)state;
    type("0123456789");
    expect_view(5, "6789", 4);
    for (int i = 0; i < 7; i++)
        editor_backspace(&editor);
    expect_view(5, "012", 3);
}

static void test_refuses_controls_and_overflow(void **state)
{
    (void)state;
    assert_false(editor_insert(&editor, 0x1B));
    assert_false(editor_insert(&editor, '\n'));
    assert_false(editor_insert(&editor, 0x202E));
    expect_text("");
    for (size_t i = 0; i < EDITOR_MAX; i++)
        assert_true(editor_insert(&editor, 'x'));
    assert_false(editor_insert(&editor, 'x'));
    assert_int_equal(editor.len, EDITOR_MAX);
    int column;
    free(editor_view(&editor, 80, &column));
    assert_int_equal(column, 79);
}

/* Any sequence of keys keeps the cursor inside the text and inside the view. */
static void test_random_keys(void **state)
{
    (void)state;
    static const uint32_t letters[] = {'a', ' ', 0x4E16, 0x301, 0x1F44B, 0xE9};
    uint32_t seed = 99;
    for (int i = 0; i < 50000; i++) {
        seed = seed * 1664525u + 1013904223u;
        uint32_t key = seed >> 24;
        switch (key % 9) {
        case 0:
            editor_backspace(&editor);
            break;
        case 1:
            editor_left(&editor);
            break;
        case 2:
            editor_right(&editor);
            break;
        case 3:
            editor_delete(&editor);
            break;
        case 4:
            if (key > 200)
                editor_home(&editor);
            break;
        case 5:
            if (key > 200)
                editor_end(&editor);
            break;
        default:
            editor_insert(&editor, letters[key / 9 % 6]);
            break;
        }
        assert_true(editor.cursor <= editor.len && editor.len <= EDITOR_MAX);
        int column, columns = 3 + (int)(key % 20);
        char *view = editor_view(&editor, columns, &column);
        assert_true(column >= 0 && column < columns);
        assert_true(text_columns(view, strlen(view)) <= columns);
        free(view);
    }
}

int main(void)
{
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL) {
        puts("skipped: the locale C.UTF-8 is not there, and widths need it");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_typing, reset),
        cmocka_unit_test_setup(test_editing_in_the_middle, reset),
        cmocka_unit_test_setup(test_wide_characters, reset),
        cmocka_unit_test_setup(test_marks_go_with_their_letter, reset),
        cmocka_unit_test_setup(test_long_line_scrolls, reset),
        cmocka_unit_test_setup(test_deleting_scrolls_back, reset),
        cmocka_unit_test_setup(test_refuses_controls_and_overflow, reset),
        cmocka_unit_test_setup(test_random_keys, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
