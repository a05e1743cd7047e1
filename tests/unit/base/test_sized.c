/* SPDX-License-Identifier: Apache-2.0 */
/* Structs that programs of different ages share with the library. */
#include "base/sized.h"

#include <string.h>

#include "support/testutil.h"

/* The struct as this library knows it; an older program has the first two fields, a newer one may have another behind. */
typedef struct options {
    size_t struct_size;
    int first;
    int second;
    int third;
} options;

typedef struct newer {
    options known;
    int fourth;
} newer;

#define OLDER offsetof(options, second)

static void what_is_given_is_taken(void **state)
{
    options own = {sizeof own, 1, 2, 3}, given = {sizeof given, 10, 20, 30};

    (void)state;
    tu_assert_ok(eid_sized_take(&own, sizeof own, &given, "options"));
    assert_memory_equal(&own, &given, sizeof own);
    own = (options){sizeof own, 1, 2, 3};
    given.struct_size = OLDER;
    tu_assert_ok(eid_sized_take(&own, sizeof own, &given, "options"));
    assert_true(own.first == 10 && own.second == 2 && own.third == 3);
    assert_int_equal(own.struct_size, sizeof own);
}

static void sizes_that_can_not_be(void **state)
{
    static const size_t sizes[] = {0, 1, sizeof(size_t) - 1, sizeof(options) + 1, SIZE_MAX};
    options own = {sizeof own, 1, 2, 3}, before = own;
    newer given = {{0, 10, 20, 30}, 40};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        given.known.struct_size = sizes[i];
        tu_assert_fails(eid_sized_take(&own, sizeof own, &given, "options"), EID_ERR_INVALID_ARGUMENT);
        assert_non_null(strstr(eid_last_error(), "options"));
        tu_assert_fails(eid_sized_check(&given, sizeof own, "options"), EID_ERR_INVALID_ARGUMENT);
        assert_memory_equal(&own, &before, sizeof own);
    }
}

static void nothing_is_written_behind_what_there_is(void **state)
{
    static const options own = {sizeof own, 1, 2, 3};
    newer given = {{sizeof given, 10, 20, 30}, 40};

    (void)state;
    eid_sized_give(&given, &own, sizeof own);
    assert_true(given.known.first == 1 && given.known.third == 3 && given.fourth == 40);
    assert_int_equal(given.known.struct_size, sizeof given);
    given = (newer){{OLDER, 10, 20, 30}, 40};
    eid_sized_give(&given, &own, sizeof own);
    assert_true(given.known.first == 1 && given.known.second == 20 && given.known.third == 30);
    assert_int_equal(given.known.struct_size, OLDER);
    for (size_t size = 0; size <= sizeof(size_t); size++) {
        given = (newer){{size, 10, 20, 30}, 40};
        eid_sized_give(&given, &own, sizeof own);
        assert_true(given.known.first == 10 && given.known.struct_size == size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_given_is_taken),
        cmocka_unit_test(sizes_that_can_not_be),
        cmocka_unit_test(nothing_is_written_behind_what_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
