/* SPDX-License-Identifier: Apache-2.0 */
/* The order and equality of byte runs, NULL included. */
#include "support/testutil.h"

#include "base/slice.h"

static void order_is_unsigned_with_prefixes_first(void **state)
{
    (void)state;
    const eid_slice ascending[] = {eid_slice_of(NULL, 0),  eid_slice_of("\0", 1), eid_slice_of("a", 1),
                                   eid_slice_of("a\0", 2), eid_slice_of("ab", 2), eid_slice_of("\xff", 1)};
    const size_t count = sizeof ascending / sizeof ascending[0];
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < count; k++) {
            int order = eid_slice_compare(ascending[i], ascending[k]);
            assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
            assert_int_equal(eid_slice_equal(ascending[i], ascending[k]), i == k);
        }
    }
}

static void comparison_with_text(void **state)
{
    (void)state;
    assert_true(eid_slice_is(eid_slice_text("sig"), "sig"));
    assert_true(eid_slice_is(eid_slice_of(NULL, 0), ""));
    assert_false(eid_slice_is(eid_slice_of("sig\0", 4), "sig"));
    assert_false(eid_slice_is(eid_slice_text("si"), "sig"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_unsigned_with_prefixes_first),
        cmocka_unit_test(comparison_with_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
