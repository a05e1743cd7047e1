/* SPDX-License-Identifier: Apache-2.0 */
/* One version number: in the header, in the library and in the build. */
#include "support/testutil.h"

#include <stdio.h>
#include <stdlib.h>

#include <eidetica/version.h>

static void the_library_tells_the_version_of_its_header(void **state)
{
    (void)state;
    assert_string_equal(eid_version(), EID_VERSION);
    unsigned major, minor, patch;
    char rest;
    assert_int_equal(sscanf(eid_version(), "%u.%u.%u%c", &major, &minor, &patch, &rest), 3);
}

static void the_build_has_the_same_version(void **state)
{
    (void)state;
    const char *project = getenv("EID_PROJECT_VERSION");
    if (project == NULL) {
        print_message("skipped: EID_PROJECT_VERSION is not set, the test was not started by meson\n");
        skip();
    }
    assert_string_equal(eid_version(), project);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_library_tells_the_version_of_its_header),
        cmocka_unit_test(the_build_has_the_same_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
