/* SPDX-License-Identifier: Apache-2.0 */
/* No public function can be brought down by a NULL: where it is not allowed the answer is EID_ERR_INVALID_ARGUMENT with a
 * sentence, and what else was given is not touched. The cases are made from the headers by calls.py. */
#include <eidetica/eidetica.h>

#include "support/testutil.h"

typedef struct null_case {
    const char *name; /* of the function and the pointer that is left out */
    eid_status (*call)(unsigned left_out);
    unsigned left_out; /* index of the parameter */
    eid_status wanted; /* EID_OK: it has no status and ends nothing */
} null_case;

/* What stands for every other pointer: a function that looks at it before it has looked at all is found out. */
static uint64_t memory[1024];
static void *const scratch = memory;

static void nothing(void)
{
    fail_msg("a callback was called");
}

#include "null_calls.inc"

static void one_is_left_out(void **state)
{
    const null_case *one = *state;
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        memory[i] = UINT64_C(0xA5A5A5A5A5A5A5A5);
    assert_int_equal(one->call(one->left_out), one->wanted);
    if (one->wanted != EID_OK)
        assert_non_null(strstr(eid_last_error(), "NULL where it is not allowed"));
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        assert_int_equal(memory[i], UINT64_C(0xA5A5A5A5A5A5A5A5));
}

/* One test for each case, so that a crash is told with its name. */
int main(void)
{
    static struct CMUnitTest tests[sizeof cases / sizeof *cases];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        tests[i] = (struct CMUnitTest){cases[i].name, one_is_left_out, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    return cmocka_run_group_tests_name("null", tests, NULL, NULL);
}
