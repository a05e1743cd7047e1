/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines reach the callback, and only those it wants. */
#include "support/testutil.h"

#include <string.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/utf8.h"

typedef struct heard {
    int lines;
    eid_log_level level;
    char text[2 * EID_LIMIT_ERROR_TEXT];
} heard;

static void listen(eid_log_level level, const char *text, void *ctx)
{
    heard *h = ctx;
    h->lines++;
    h->level = level;
    strncpy(h->text, text, sizeof h->text - 1);
}

static void lines_arrive_formatted(void **state)
{
    (void)state;
    heard h = {0};
    eid_set_log_callback(listen, EID_LOG_DEBUG, &h);
    eid_log(EID_LOG_WARN, "peer %s answered %d", "bob", 503);
    assert_int_equal(h.lines, 1);
    assert_int_equal(h.level, EID_LOG_WARN);
    assert_string_equal(h.text, "peer bob answered 503");
    eid_set_log_callback(NULL, EID_LOG_DEBUG, NULL);
}

static void more_talkative_levels_are_dropped(void **state)
{
    (void)state;
    for (int wanted = EID_LOG_ERROR; wanted <= EID_LOG_DEBUG; wanted++) {
        heard h = {0};
        eid_set_log_callback(listen, (eid_log_level)wanted, &h);
        for (int level = EID_LOG_ERROR; level <= EID_LOG_DEBUG; level++)
            eid_log((eid_log_level)level, "line");
        assert_int_equal(h.lines, wanted + 1);
    }
    eid_set_log_callback(NULL, EID_LOG_DEBUG, NULL);
}

static void without_a_callback_nothing_happens(void **state)
{
    (void)state;
    heard h = {0};
    eid_set_log_callback(listen, EID_LOG_DEBUG, &h);
    eid_set_log_callback(NULL, EID_LOG_DEBUG, NULL);
    eid_log(EID_LOG_ERROR, "nobody listens");
    assert_int_equal(h.lines, 0);
}

static void long_lines_are_cut_between_characters(void **state)
{
    (void)state;
    char text[2 * EID_LIMIT_ERROR_TEXT] = "x";
    for (size_t at = 1; at + 3 < sizeof text; at += 2)
        memcpy(text + at, "\xc3\xa9", 3);
    heard h = {0};
    eid_set_log_callback(listen, EID_LOG_DEBUG, &h);
    eid_log(EID_LOG_INFO, "%s", text);
    eid_log(EID_LOG_INFO, "%s", text + 1);
    assert_int_equal(h.lines, 2);
    assert_true(strlen(h.text) < EID_LIMIT_ERROR_TEXT);
    assert_true(strlen(h.text) > EID_LIMIT_ERROR_TEXT - 3);
    assert_true(eid_utf8_valid(eid_slice_text(h.text)));
    eid_set_log_callback(NULL, EID_LOG_DEBUG, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_arrive_formatted),
        cmocka_unit_test(more_talkative_levels_are_dropped),
        cmocka_unit_test(without_a_callback_nothing_happens),
        cmocka_unit_test(long_lines_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
