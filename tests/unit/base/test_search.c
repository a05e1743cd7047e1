/* SPDX-License-Identifier: Apache-2.0 */
/* Every key against every sorted array of small numbers, with items of several sizes. */
#include "base/search.h"

#include "support/testutil.h"

static int compare(const void *key, const void *item)
{
    return *(const int *)key - *(const int *)item;
}

static void places(void **state)
{
    (void)state;
    struct {
        int number;
        char more[13];
    } wide[8];
    int narrow[8];
    for (unsigned set = 0; set < 1u << 16; set += 7) { /* two bits a number: how often it is there, to at most 8 items */
        size_t count = 0;
        for (int number = 0; number < 8; number++)
            for (unsigned times = set >> (2 * number) & 3; times > 0 && count < 8; times--) {
                wide[count].number = number;
                narrow[count++] = number;
            }
        for (int key = -1; key <= 8; key++) {
            bool found, wanted_found = false;
            size_t wanted = 0;
            while (wanted < count && narrow[wanted] < key)
                wanted++;
            wanted_found = wanted < count && narrow[wanted] == key;
            assert_int_equal(eid_search(&key, narrow, count, sizeof *narrow, compare, &found), wanted);
            assert_int_equal(found, wanted_found);
            assert_int_equal(eid_search(&key, wide, count, sizeof *wide, compare, &found), wanted);
            assert_int_equal(found, wanted_found);
        }
    }
}

static void nothing_to_search(void **state)
{
    (void)state;
    bool found = true;
    int key = 1;
    assert_int_equal(eid_search(&key, NULL, 0, sizeof key, compare, &found), 0);
    assert_false(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(places), cmocka_unit_test(nothing_to_search)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
