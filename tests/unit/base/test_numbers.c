/* SPDX-License-Identifier: Apache-2.0 */
/* Sorted numbers and the heap, against plain loops. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/numbers.h"
#include "support/testutil.h"

static void sorted_arrays(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(4);
    eid_numbers_sort(NULL, 0);
    assert_false(eid_numbers_have(NULL, 0, 0));
    for (size_t round = 0; round < 200; round++) {
        int64_t numbers[40], copy[40];
        size_t count = (size_t)tu_random_below(&random, 40);
        for (size_t i = 0; i < count; i++)
            copy[i] = numbers[i] = (int64_t)tu_random_below(&random, 60) - 30;
        if (count > 3) {
            copy[0] = numbers[0] = INT64_MIN;
            copy[1] = numbers[1] = INT64_MAX;
        }
        eid_numbers_sort(numbers, count);
        for (size_t i = 1; i < count; i++)
            assert_true(numbers[i - 1] <= numbers[i]);
        for (int64_t n = -32; n <= 32; n++) {
            bool there = false;
            for (size_t i = 0; i < count; i++)
                there = there || copy[i] == n;
            assert_true(eid_numbers_have(numbers, count, n) == there);
        }
        assert_true(eid_numbers_have(numbers, count, INT64_MIN) == (count > 3));
        assert_true(eid_numbers_have(numbers, count, INT64_MAX) == (count > 3));
    }
}

/* Pushes and pops mixed; every number comes once, the largest first, with all its marks. */
static void the_heap_gives_the_largest(void **state)
{
    (void)state;
    enum { NUMBERS = 300 };
    tu_random random = tu_random_seeded(5);
    eid_heap heap = {0};
    bool waits[NUMBERS] = {false};
    uint8_t marks[NUMBERS] = {0};
    for (size_t step = 0; step < 20000; step++) {
        if (heap.count == 0 || tu_random_below(&random, 100) < (step / 2000 % 2 == 0 ? 70 : 30)) {
            size_t n = (size_t)tu_random_below(&random, NUMBERS);
            uint8_t mark = (uint8_t)tu_random_below(&random, 256);
            tu_assert_ok(eid_heap_push(&heap, (int64_t)n - 150, mark));
            waits[n] = true;
            marks[n] |= mark;
            continue;
        }
        size_t largest = NUMBERS - 1;
        while (!waits[largest])
            largest--;
        eid_heap_item item = eid_heap_pop(&heap);
        assert_int_equal(item.n, (int64_t)largest - 150);
        assert_int_equal(item.marks, marks[largest]);
        waits[largest] = false;
        marks[largest] = 0;
    }
    eid_heap_free(&heap);
    assert_null(heap.items);
}

static void memory_may_fail(void **state)
{
    (void)state;
    eid_heap heap = {0};
    tu_alloc_install();
    for (int64_t i = 0; i < 64; i++)
        tu_assert_ok(eid_heap_push(&heap, i, 1));
    tu_alloc_fail_at(1);
    tu_assert_fails(eid_heap_push(&heap, 99, 1), EID_ERR_NO_MEMORY);
    tu_alloc_fail_at(0);
    /* It is as it was. */
    assert_int_equal(heap.count, 64);
    assert_int_equal(eid_heap_pop(&heap).n, 63);
    eid_heap_free(&heap);
    assert_int_equal(tu_alloc_live(), 0);
    tu_alloc_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorted_arrays),
        cmocka_unit_test(the_heap_gives_the_largest),
        cmocka_unit_test(memory_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
