/* SPDX-License-Identifier: Apache-2.0 */
/* The last-error slot and the names of the codes. */
#include "support/testutil.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/status.h"
#include "base/utf8.h"

static void fail_stores_the_sentence(void **state)
{
    (void)state;
    assert_int_equal(eid_fail(EID_ERR_NOT_FOUND, "no %s named %d", "room", 7), EID_ERR_NOT_FOUND);
    assert_string_equal(eid_last_error(), "no room named 7");
}

static void fail_may_quote_the_current_sentence(void **state)
{
    (void)state;
    eid_fail(EID_ERR_IO, "disk on fire");
    assert_int_equal(eid_fail(EID_ERR_STORAGE, "commit: %s (%s)", eid_last_error(), "again"),
                     EID_ERR_STORAGE);
    assert_string_equal(eid_last_error(), "commit: disk on fire (again)");
}

static void context_goes_in_front(void **state)
{
    (void)state;
    eid_fail(EID_ERR_SYNTAX, "comma missing");
    assert_int_equal(eid_fail_context(EID_ERR_SYNTAX, "entry %d", 3), EID_ERR_SYNTAX);
    assert_string_equal(eid_last_error(), "entry 3: comma missing");
}

static void memory_failure_needs_no_memory(void **state)
{
    (void)state;
    tu_alloc_install();
    tu_alloc_fail_from(1);
    assert_int_equal(eid_fail_memory(), EID_ERR_NO_MEMORY);
    assert_string_equal(eid_last_error(), "out of memory");
    assert_int_equal(tu_alloc_count(), 0);
    tu_alloc_remove();
}

static void long_sentences_end_on_a_character(void **state)
{
    (void)state;
    /* Pad so that each of the four bytes of the last character meets the end of the slot once. */
    for (size_t pad = 0; pad < 4; pad++) {
        char text[3 * EID_LIMIT_ERROR_TEXT] = "";
        memset(text, 'x', pad);
        for (size_t at = pad; at + 4 < sizeof text; at += 4)
            memcpy(text + at, "\xf0\x9f\x8c\x8d", 5);
        eid_fail(EID_ERR_IO, "%s", text);
        const char *kept = eid_last_error();
        size_t len = strlen(kept);
        assert_true(len < EID_LIMIT_ERROR_TEXT);
        assert_true(len >= EID_LIMIT_ERROR_TEXT - 4);
        assert_true(eid_utf8_valid(eid_slice_text(kept)));
        assert_memory_equal(kept, text, len);
    }
}

static void context_on_a_full_slot_stays_in_bounds(void **state)
{
    (void)state;
    char text[2 * EID_LIMIT_ERROR_TEXT];
    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    eid_fail(EID_ERR_IO, "%s", text);
    eid_fail_context(EID_ERR_IO, "outer");
    assert_int_equal(strlen(eid_last_error()), EID_LIMIT_ERROR_TEXT - 1);
    assert_memory_equal(eid_last_error(), "outer: yyy", 10);
}

static void *other_thread(void *arg)
{
    bool *clean = arg;
    *clean = eid_last_error()[0] == '\0';
    eid_fail(EID_ERR_BUSY, "from the other thread");
    *clean = *clean && strcmp(eid_last_error(), "from the other thread") == 0;
    return NULL;
}

static void each_thread_has_its_own_slot(void **state)
{
    (void)state;
    eid_fail(EID_ERR_NOT_FOUND, "mine");
    bool clean = false;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, other_thread, &clean), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(clean);
    assert_string_equal(eid_last_error(), "mine");
}

static eid_status tried(eid_status inner, int *reached)
{
    EID_TRY(inner);
    *reached += 1;
    return EID_OK;
}

static eid_status tried_goto(eid_status inner, int *cleaned)
{
    eid_status status;
    EID_TRY_GOTO(status, inner, out);
out:
    *cleaned += 1;
    return status;
}

static void the_try_macros_stop_at_a_failure(void **state)
{
    (void)state;
    int reached = 0;
    assert_int_equal(tried(EID_OK, &reached), EID_OK);
    assert_int_equal(reached, 1);
    assert_int_equal(tried(EID_ERR_IO, &reached), EID_ERR_IO);
    assert_int_equal(reached, 1);
    int cleaned = 0;
    assert_int_equal(tried_goto(EID_ERR_IO, &cleaned), EID_ERR_IO);
    assert_int_equal(tried_goto(EID_OK, &cleaned), EID_OK);
    assert_int_equal(cleaned, 2);
}

/* Holds the header and the table of names together: each "NAME = number," of the header must be known. */
/* Feature N1 */
static void every_code_of_the_header_has_its_name(void **state)
{
    (void)state;
    const char *root = getenv("EID_SOURCE_ROOT");
    char *path = tu_path(root == NULL ? "." : root, "include/eidetica/status.h");
    char *header = (char *)tu_read_file(path, NULL);
    free(path);

    /* Assignments occur only in the enumeration, so a line the pattern does not understand is noticed. */
    size_t assignments = 0;
    for (const char *at = strstr(header, " = "); at != NULL; at = strstr(at + 1, " = "))
        assignments++;
    size_t found = 0;
    for (char *line = strtok(header, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char name[64];
        unsigned code;
        if (sscanf(line, " %63[A-Z0-9_] = %u", name, &code) != 2)
            continue;
        assert_string_equal(eid_status_name((eid_status)code), name);
        found++;
    }
    free(header);
    assert_true(found > 0);
    assert_int_equal(found, assignments);
    assert_string_equal(eid_status_name((eid_status)9999), "EID_ERR_UNKNOWN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fail_stores_the_sentence),
        cmocka_unit_test(fail_may_quote_the_current_sentence),
        cmocka_unit_test(context_goes_in_front),
        cmocka_unit_test(memory_failure_needs_no_memory),
        cmocka_unit_test(long_sentences_end_on_a_character),
        cmocka_unit_test(context_on_a_full_slot_stays_in_bounds),
        cmocka_unit_test(each_thread_has_its_own_slot),
        cmocka_unit_test(the_try_macros_stop_at_a_failure),
        cmocka_unit_test(every_code_of_the_header_has_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
