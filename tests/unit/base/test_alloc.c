/* SPDX-License-Identifier: Apache-2.0 */
/* The allocator seam, and the failing allocator of the tests itself. */
#include "support/testutil.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

static void zero_sizes_give_a_pointer(void **state)
{
    (void)state;
    void *memory = eid_alloc(0);
    assert_non_null(memory);
    eid_free(memory);
    memory = eid_alloc_zero(0, 16);
    assert_non_null(memory);
    memory = eid_realloc_array(memory, 0, 16);
    assert_non_null(memory);
    eid_free(memory);
    eid_free(NULL);
}

static void zeroed_memory_is_zero(void **state)
{
    (void)state;
    uint8_t *memory = eid_alloc_zero(100, 10);
    assert_non_null(memory);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(memory[i], 0);
    eid_free(memory);
}

static void overflowing_products_are_refused(void **state)
{
    (void)state;
    assert_null(eid_alloc_zero(SIZE_MAX / 2, 3));
    assert_null(eid_memdup("x", SIZE_MAX));
    char *block = eid_strdup("still here");
    assert_non_null(block);
    assert_null(eid_realloc_array(block, SIZE_MAX / 4, 8));
    assert_string_equal(block, "still here");
    eid_free(block);
}

static void realloc_keeps_the_content(void **state)
{
    (void)state;
    uint32_t *numbers = eid_realloc_array(NULL, 4, sizeof *numbers);
    assert_non_null(numbers);
    for (uint32_t i = 0; i < 4; i++)
        numbers[i] = i * i;
    numbers = eid_realloc_array(numbers, 4000, sizeof *numbers);
    assert_non_null(numbers);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(numbers[i], i * i);
    eid_free(numbers);
}

static void copies_end_with_a_zero(void **state)
{
    (void)state;
    uint8_t *copy = eid_memdup("a\0b", 3);
    assert_non_null(copy);
    assert_memory_equal(copy, "a\0b\0", 4);
    eid_free(copy);
    copy = eid_memdup(NULL, 0);
    assert_non_null(copy);
    assert_int_equal(copy[0], 0);
    eid_free(copy);
    char *text = eid_strdup("");
    assert_string_equal(text, "");
    eid_free(text);
}

static void an_incomplete_allocator_is_refused(void **state)
{
    (void)state;
    eid_allocator empty = {NULL, NULL, NULL, NULL};
    tu_assert_fails(eid_set_allocator(&empty), EID_ERR_INVALID_ARGUMENT);
    /* Nothing has changed: the old allocator still works. */
    void *memory = eid_alloc(8);
    assert_non_null(memory);
    eid_free(memory);
}

/* malloc(0) and realloc(p, 0) may answer NULL on some systems; an allocator is never asked for nothing. */
static void *never_nothing(size_t size, void *ctx)
{
    (void)ctx;
    return size == 0 ? NULL : malloc(size);
}

static void *never_again_nothing(void *memory, size_t size, void *ctx)
{
    (void)ctx;
    return size == 0 ? NULL : realloc(memory, size);
}

static void release(void *memory, void *ctx)
{
    size_t *released = ctx;
    *released += 1;
    free(memory);
}

static void an_allocator_is_never_asked_for_nothing(void **state)
{
    (void)state;
    size_t released = 0;
    const eid_allocator strict = {never_nothing, never_again_nothing, release, &released};
    tu_assert_ok(eid_set_allocator(&strict));
    void *plain = eid_alloc(0);
    void *zeroed = eid_alloc_zero(5, 0);
    void *array = eid_realloc_array(NULL, 0, 4);
    assert_non_null(plain);
    assert_non_null(zeroed);
    assert_non_null(array);
    array = eid_realloc_array(array, 3, 4);
    assert_non_null(array);
    array = eid_realloc_array(array, 0, 4);
    assert_non_null(array);
    eid_free(plain);
    eid_free(zeroed);
    eid_free(array);
    eid_free(NULL);
    assert_int_equal(released, 3);
    tu_assert_ok(eid_set_allocator(NULL));
}

static void the_nth_allocation_fails_once(void **state)
{
    (void)state;
    tu_alloc_install();
    tu_alloc_fail_at(2);
    void *first = eid_alloc(1);
    assert_non_null(first);
    assert_false(tu_alloc_fired());
    assert_null(eid_alloc(1));
    assert_true(tu_alloc_fired());
    void *third = eid_alloc(1);
    assert_non_null(third);
    assert_int_equal(tu_alloc_count(), 3);
    assert_int_equal(tu_alloc_live(), 2);
    eid_free(first);
    eid_free(third);
    assert_int_equal(tu_alloc_live(), 0);
    tu_alloc_remove();
}

static void from_the_nth_on_all_fail(void **state)
{
    (void)state;
    tu_alloc_install();
    tu_alloc_fail_from(2);
    char *first = eid_strdup("kept");
    assert_non_null(first);
    assert_null(eid_alloc_zero(1, 1));
    assert_null(eid_realloc_array(first, 100, 1));
    assert_null(eid_memdup("x", 1));
    assert_string_equal(first, "kept");
    eid_free(first);
    assert_int_equal(tu_alloc_live(), 0);
    tu_alloc_remove();
}

/* Two allocations, both needed. */
static eid_status two_allocations(void *ctx)
{
    int *runs = ctx;
    *runs += 1;
    char *first = eid_strdup("one");
    if (first == NULL)
        return eid_fail_memory();
    char *second = eid_strdup("two");
    eid_free(first);
    if (second == NULL)
        return eid_fail_memory();
    eid_free(second);
    return EID_OK;
}

static void the_fault_loop_visits_every_point(void **state)
{
    (void)state;
    int runs = 0;
    assert_int_equal(tu_alloc_fault_loop(two_allocations, &runs), 2);
    assert_int_equal(runs, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_sizes_give_a_pointer),
        cmocka_unit_test(zeroed_memory_is_zero),
        cmocka_unit_test(overflowing_products_are_refused),
        cmocka_unit_test(realloc_keeps_the_content),
        cmocka_unit_test(copies_end_with_a_zero),
        cmocka_unit_test(an_incomplete_allocator_is_refused),
        cmocka_unit_test(an_allocator_is_never_asked_for_nothing),
        cmocka_unit_test(the_nth_allocation_fails_once),
        cmocka_unit_test(from_the_nth_on_all_fail),
        cmocka_unit_test(the_fault_loop_visits_every_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
