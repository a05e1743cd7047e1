/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "crdt/crdt_int.h"
#include "helpers.h"

__extension__ typedef __int128 int128;

static eid_position at(int64_t numerator, uint64_t denominator, uint8_t unique)
{
    eid_position position = {numerator, denominator, {{0}}};
    position.unique.bytes[0] = unique;
    return position;
}

static void test_make(void **state)
{
    (void)state;
    eid_uuid unique = {{1, 2, 3}};
    struct {
        int64_t numerator;
        uint64_t denominator;
        int64_t above;
        uint64_t below;
    } cases[] = {
        {6, 4, 3, 2},
        {-6, 4, -3, 2},
        {0, UINT64_MAX, 0, 1},
        {INT64_MIN, UINT64_C(1) << 63, -1, 1},
        {INT64_MIN, 1, INT64_MIN, 1},
        {INT64_MAX, UINT64_MAX, INT64_MAX, UINT64_MAX},
        {5, UINT64_MAX, 1, UINT64_MAX / 5},
        {1, 1, 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eid_position position;
        tu_assert_ok(eid_position_make(cases[i].numerator, cases[i].denominator, &unique, &position));
        assert_true(position.numerator == cases[i].above && position.denominator == cases[i].below);
        assert_memory_equal(&position.unique, &unique, sizeof unique);
    }
    eid_position untouched = at(9, 9, 9);
    tu_assert_fails(eid_position_make(1, 0, &unique, &untouched), EID_ERR_RANGE);
    assert_int_equal(untouched.numerator, 9);
}

static void test_compare(void **state)
{
    (void)state;
    /* (2^63-1)/(2^64-1) lies just below 1/2. */
    eid_position sorted[] = {
        at(INT64_MIN, 1, 0),
        at(INT64_MIN, 2, 0),
        at(-3, 2, 0),
        at(-1, 1, 0),
        at(-1, UINT64_MAX, 0),
        at(0, 1, 0),
        at(0, 1, 1),
        at(0, 1, 255),
        at(1, UINT64_MAX, 0),
        at(1, UINT64_MAX - 1, 0),
        at(INT64_MAX, UINT64_MAX, 0),
        at(1, 2, 0),
        at(2, 4, 3),
        at(1, 2, 7),
        at(1, 1, 0),
        at(INT64_MAX, 2, 0),
        at(INT64_MAX, 1, 0),
    };
    size_t count = sizeof sorted / sizeof sorted[0];
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            int order = eid_position_compare(&sorted[i], &sorted[j]);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    }
    eid_position a = at(2, 4, 1), b = at(1, 2, 1);
    assert_int_equal(eid_position_compare(&a, &b), 0);
}

static void check_between(eid_position left, eid_position right, int64_t numerator, uint64_t denominator)
{
    eid_uuid unique = {{5}};
    eid_position between;
    tu_assert_ok(eid_position_between(&left, &right, &unique, &between));
    if (between.numerator != numerator || between.denominator != denominator)
        fail_msg("got %lld/%llu", (long long)between.numerator, (unsigned long long)between.denominator);
    assert_memory_equal(&between.unique, &unique, sizeof unique);
    assert_true(eid_position_compare(&left, &between) < 0 && eid_position_compare(&between, &right) < 0);
}

static void test_between(void **state)
{
    (void)state;
    check_between(at(0, 1, 0), at(1, 1, 0), 1, 2);
    check_between(at(0, 1, 0), at(1, 2, 0), 1, 3);
    check_between(at(1, 2, 0), at(1, 1, 0), 2, 3);
    check_between(at(-1, 1, 0), at(0, 1, 0), -1, 2);
    check_between(at(-1, 1, 0), at(1, 1, 0), 0, 1);
    check_between(at(-2, 1, 0), at(-1, 1, 0), -3, 2);
    check_between(at(3, 1, 0), at(9, 1, 0), 4, 1);
    check_between(at(-9, 1, 0), at(-3, 1, 0), -4, 1);
    check_between(at(-5, 3, 0), at(-3, 2, 0), -8, 5);
    check_between(at(2, 4, 0), at(6, 8, 0), 2, 3);
    check_between(at(0, 7, 0), at(3, 1, 0), 1, 1);
    check_between(at(-3, 1, 0), at(0, 7, 0), -1, 1);
    check_between(at(314, 100, 0), at(315, 100, 0), 22, 7);
    check_between(at(INT64_MIN, 1, 0), at(INT64_MAX, 1, 0), 0, 1);
}

static void test_between_at_the_bounds(void **state)
{
    (void)state;
    eid_uuid unique = {{5}};
    eid_position between = at(77, 1, 0);
    eid_position highest = at(INT64_MAX, 1, 0), lowest = at(INT64_MIN, 1, 0), half = at(1, 2, 0);
    eid_position minus = at(-5, 3, 0);

    tu_assert_ok(eid_position_between(NULL, NULL, &unique, &between));
    assert_true(between.numerator == 0 && between.denominator == 1);
    tu_assert_ok(eid_position_between(&half, NULL, &unique, &between));
    assert_true(between.numerator == 1 && between.denominator == 1);
    tu_assert_ok(eid_position_between(NULL, &half, &unique, &between));
    assert_true(between.numerator == 0 && between.denominator == 1);
    tu_assert_ok(eid_position_between(&minus, NULL, &unique, &between));
    assert_true(between.numerator == -1 && between.denominator == 1);
    tu_assert_ok(eid_position_between(NULL, &minus, &unique, &between));
    assert_true(between.numerator == -2 && between.denominator == 1);

    between = at(77, 1, 0);
    tu_assert_fails(eid_position_between(&highest, NULL, &unique, &between), EID_ERR_LIMIT);
    tu_assert_fails(eid_position_between(NULL, &lowest, &unique, &between), EID_ERR_LIMIT);
    tu_assert_fails(eid_position_between(&half, &half, &unique, &between), EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_position_between(&highest, &lowest, &unique, &between), EID_ERR_INVALID_ARGUMENT);
    eid_position zero = at(0, 1, 0), tiny = at(1, UINT64_MAX, 0);
    tu_assert_fails(eid_position_between(&zero, &tiny, &unique, &between), EID_ERR_LIMIT);
    eid_position below = at(-1, UINT64_MAX, 0);
    tu_assert_fails(eid_position_between(&below, &zero, &unique, &between), EID_ERR_LIMIT);
    assert_int_equal(between.numerator, 77);
}

/* Against a search by denominators: for small bounds the first fraction found is the simplest. */
static void test_between_is_simplest(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(31);
    eid_uuid unique = {{0}};
    for (int i = 0; i < 20000; i++) {
        eid_position left =
            at((int64_t)tu_random_below(&random, 81) - 40, 1 + tu_random_below(&random, 30), 0);
        eid_position right =
            at((int64_t)tu_random_below(&random, 81) - 40, 1 + tu_random_below(&random, 30), 0);
        if (left.numerator * (int64_t)right.denominator >= right.numerator * (int64_t)left.denominator)
            continue;
        eid_position between = at(0, 1, 0);
        tu_assert_ok(eid_position_between(&left, &right, &unique, &between));
        bool found = false;
        for (int64_t below = 1; !found; below++) {
            /* Among equal denominators the numerator nearest to zero. */
            for (int64_t above = 0; above <= 41 * below && !found; above++) {
                for (int sign = 1; sign >= -1 && !found; sign -= 2) {
                    eid_position candidate = at(sign * above, (uint64_t)below, 0);
                    found = left.numerator * below < candidate.numerator * (int64_t)left.denominator &&
                            candidate.numerator * (int64_t)right.denominator < right.numerator * below;
                    if (found && eid_position_compare(&candidate, &between) != 0)
                        fail_msg("between %lld/%llu and %lld/%llu: got %lld/%llu, simpler is %lld/%lld",
                                 (long long)left.numerator, (unsigned long long)left.denominator,
                                 (long long)right.numerator, (unsigned long long)right.denominator,
                                 (long long)between.numerator, (unsigned long long)between.denominator,
                                 (long long)candidate.numerator, (long long)below);
                }
            }
        }
    }
}

static uint64_t random_magnitude(tu_random *random)
{
    return tu_random_next(random) >> tu_random_below(random, 64);
}

/* Bounds of all sizes: the result lies strictly between or there is none, and nothing overflows. */
static void test_between_of_all_sizes(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(32);
    eid_uuid unique = {{0}};
    size_t made = 0;
    for (int i = 0; i < 100000; i++) {
        eid_position left = at((int64_t)random_magnitude(&random), random_magnitude(&random) | 1, 0);
        eid_position right = at((int64_t)random_magnitude(&random), random_magnitude(&random) | 1, 0);
        if (i % 3 == 0) { /* close together */
            right = left;
            right.denominator -= right.denominator > 1;
        }
        if (i % 2 == 0) {
            left.numerator = left.numerator == INT64_MIN ? INT64_MAX : -left.numerator;
            right.numerator = right.numerator == INT64_MIN ? INT64_MAX : -right.numerator;
        }
        int128 a = (int128)left.numerator * (int128)right.denominator;
        int128 b = (int128)right.numerator * (int128)left.denominator;
        if (a == b)
            continue;
        if (a > b) {
            eid_position swap = left;
            left = right;
            right = swap;
        }
        eid_position between;
        eid_status status = eid_position_between(&left, &right, &unique, &between);
        if (status != EID_OK) {
            assert_int_equal(status, EID_ERR_LIMIT);
            continue;
        }
        made++;
        assert_true(between.denominator > 0);
        assert_true(eid_position_compare(&left, &between) < 0 && eid_position_compare(&between, &right) < 0);
    }
    assert_true(made > 50000);
}

/* ---- Picking, which also uses the UUIDs ---- */

static void check_pick(const eid_position *left, const eid_position *right)
{
    for (int i = 0; i < 50; i++) {
        eid_position picked;
        tu_assert_ok(eid_position_pick(left, right, &picked));
        assert_true(picked.denominator > 0);
        assert_true(left == NULL || eid_position_compare(left, &picked) < 0);
        assert_true(right == NULL || eid_position_compare(&picked, right) < 0);
    }
}

static void test_pick(void **state)
{
    (void)state;
    eid_position zero = at(0, 1, 0x40), one = at(1, 1, 0x40);
    eid_position same_low = at(1, 2, 0x10), same_high = at(2, 4, 0x20), same_next = at(1, 2, 0x11);
    eid_position highest = at(INT64_MAX, 1, 0x80), lowest = at(INT64_MIN, 1, 0x80);
    eid_position tiny = at(1, UINT64_MAX, 0x30);
    check_pick(NULL, NULL);
    check_pick(&zero, NULL);
    check_pick(NULL, &zero);
    check_pick(&zero, &one);
    check_pick(&same_low, &same_high);
    check_pick(&same_low, &same_next);
    check_pick(&highest, NULL);
    check_pick(NULL, &lowest);
    check_pick(&zero, &tiny);

    /* The left neighbour's UUID may be the greatest: then the right one's value is used. */
    eid_position last_uuid = zero;
    memset(&last_uuid.unique, 0xff, sizeof last_uuid.unique);
    check_pick(&last_uuid, &tiny);
}

static void test_pick_in_a_narrow_gap(void **state)
{
    (void)state;
    eid_position low = at(1, 2, 0), high = at(1, 2, 0), picked = at(5, 5, 5);
    low.unique.bytes[15] = 10;
    high.unique.bytes[15] = 12;
    tu_assert_ok(eid_position_pick(&low, &high, &picked));
    assert_int_equal(picked.unique.bytes[15], 11);
    assert_int_equal(picked.unique.bytes[0], 0);

    eid_position untouched = at(5, 5, 5);
    tu_assert_fails(eid_position_pick(&low, &picked, &untouched), EID_ERR_LIMIT);
    eid_position end = at(INT64_MAX, 1, 0), start = at(INT64_MIN, 1, 0);
    memset(&end.unique, 0xff, sizeof end.unique);
    tu_assert_fails(eid_position_pick(&end, NULL, &untouched), EID_ERR_LIMIT);
    tu_assert_fails(eid_position_pick(NULL, &start, &untouched), EID_ERR_LIMIT);
    assert_int_equal(untouched.numerator, 5);
}

/* The recorded implementation aborts after 63 insertions at one place. */
static void test_many_at_one_place(void **state)
{
    (void)state;
    for (int side = 0; side < 3; side++) {
        eid_position left = at(0, 1, 0), right = at(1, 1, 0);
        for (int i = 0; i < 140; i++) {
            eid_position picked;
            tu_assert_ok(eid_position_pick(&left, &right, &picked));
            assert_true(eid_position_compare(&left, &picked) < 0 &&
                        eid_position_compare(&picked, &right) < 0);
            if (side == 0 || (side == 2 && i % 2 == 0)) /* 2: zigzag, where denominators grow fastest */
                right = picked;
            else
                left = picked;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_make),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_between),
        cmocka_unit_test(test_between_at_the_bounds),
        cmocka_unit_test(test_between_is_simplest),
        cmocka_unit_test(test_between_of_all_sizes),
        cmocka_unit_test(test_pick),
        cmocka_unit_test(test_pick_in_a_narrow_gap),
        cmocka_unit_test(test_many_at_one_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
