/* SPDX-License-Identifier: Apache-2.0 */
/* Very many insertions: positions stay exact however a list grows, and the one pattern that uses them up ends
 * in a clear answer that leaves the list as it was. */
#include <string.h>

#include "helpers.h"

#include "crdt/crdt_int.h"

enum { MANY = 100000 };

static eid_list *new_list(void)
{
    eid_list *list = NULL;
    tu_assert_ok(eid_list_new(&list));
    return list;
}

static void insert(eid_list *list, size_t index, int64_t number)
{
    eid_value *value = int_of(number);
    tu_assert_ok(eid_list_insert(list, index, value));
    eid_value_free(value);
}

static int64_t number_of(const eid_value *value)
{
    int64_t number = 0;
    tu_assert_ok(eid_value_as_int(value, &number));
    return number;
}

/* Strictly ascending positions, in lowest terms; returns the largest denominator. */
static uint64_t check_positions(const eid_list *list)
{
    uint64_t largest = 0;
    const eid_slot *before = NULL;
    for (const eid_slot *at = eid_slot_first(list); at != NULL; at = eid_slot_next(at)) {
        eid_position reduced;
        tu_assert_ok(eid_position_make(at->position.numerator, at->position.denominator, &at->position.unique,
                                       &reduced));
        assert_true(reduced.denominator == at->position.denominator &&
                    reduced.numerator == at->position.numerator);
        if (before != NULL)
            assert_true(eid_position_compare(&before->position, &at->position) < 0);
        before = at;
        largest = at->position.denominator > largest ? at->position.denominator : largest;
    }
    return largest;
}

/* Elements are numbers by which one can tell where each has to stand. */
static void check_order(const eid_list *list, bool (*follows)(int64_t before, int64_t after))
{
    const eid_list_cursor *cursor = NULL;
    const eid_value *value = NULL;
    int64_t before = 0;
    bool first = true;
    while (eid_list_next(list, &cursor, &value)) {
        int64_t number = number_of(value);
        if (!first)
            assert_true(follows(before, number));
        before = number;
        first = false;
    }
}

static bool ascends(int64_t before, int64_t after)
{
    return before < after;
}

static void test_push(void **state)
{
    (void)state;
    eid_list *list = new_list();
    for (int i = 0; i < MANY; i++)
        tu_assert_ok(eid_list_push_int(list, i));
    assert_int_equal(check_positions(list), 1);
    check_order(list, ascends);
    eid_list_free(list);
}

static void test_at_the_front(void **state)
{
    (void)state;
    eid_list *list = new_list();
    for (int i = 0; i < MANY; i++)
        insert(list, 0, -i);
    assert_int_equal(check_positions(list), 1);
    check_order(list, ascends);
    eid_list_free(list);
}

static void test_front_and_back_in_turn(void **state)
{
    (void)state;
    eid_list *list = new_list();
    for (int i = 0; i < MANY; i++)
        insert(list, i % 2 == 0 ? eid_list_len(list) : 0, i % 2 == 0 ? i : -i);
    assert_int_equal(check_positions(list), 1);
    check_order(list, ascends);
    eid_list_free(list);
}

/* Always between the same element and its newest neighbour: denominators grow by one, not by doubling. */
static void test_behind_one_element(void **state)
{
    (void)state;
    eid_list *list = new_list();
    insert(list, 0, 0);
    insert(list, 1, MANY + 1);
    for (int i = MANY; i > 0; i--)
        insert(list, 1, i);
    assert_true(check_positions(list) <= MANY + 1);
    check_order(list, ascends);
    eid_list_free(list);
}

static void test_before_one_element(void **state)
{
    (void)state;
    eid_list *list = new_list();
    insert(list, 0, 0);
    insert(list, 1, MANY + 1);
    for (int i = 1; i <= MANY; i++)
        insert(list, (size_t)i, i);
    assert_true(check_positions(list) <= MANY + 1);
    check_order(list, ascends);
    eid_list_free(list);
}

/* Two places in turn, each with its own neighbours. */
static void test_two_places_in_turn(void **state)
{
    (void)state;
    eid_list *list = new_list();
    insert(list, 0, 0);
    insert(list, 1, MANY);
    insert(list, 2, 2 * MANY);
    for (int i = 1; i < MANY / 2; i++) {
        insert(list, 1, MANY - i);                      /* behind the first */
        insert(list, eid_list_len(list) - 1, MANY + i); /* before the last */
    }
    assert_true(check_positions(list) <= MANY);
    check_order(list, ascends);
    eid_list_free(list);
}

/* Anywhere: what stands in the list is what a plain array would hold. */
static void test_anywhere(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    static int64_t model[COUNT];
    tu_random random = tu_random_seeded(531);
    eid_list *list = new_list();
    for (size_t i = 0; i < COUNT; i++) {
        size_t at = (size_t)tu_random_below(&random, i + 1);
        memmove(model + at + 1, model + at, (i - at) * sizeof model[0]);
        model[at] = (int64_t)i;
        insert(list, at, (int64_t)i);
    }
    check_positions(list);
    const eid_list_cursor *cursor = NULL;
    const eid_value *value = NULL;
    for (size_t i = 0; eid_list_next(list, &cursor, &value); i++)
        assert_int_equal(number_of(value), model[i]);
    eid_list_free(list);
}

/* 10^5 at anywhere too, without the model. */
static void test_many_anywhere(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(532);
    eid_list *list = new_list();
    for (size_t i = 0; i < MANY; i++)
        insert(list, (size_t)tu_random_below(&random, i + 1), (int64_t)i);
    assert_int_equal(eid_list_len(list), MANY);
    check_positions(list);
    eid_list_free(list);
}

/* ---- The end ---- */

/* Inserts in the middle until it is refused; the number of insertions. */
static int fill_the_middle(eid_list *list)
{
    for (int i = 0;; i++) {
        eid_value *value = int_of(i);
        eid_list *before = NULL;
        tu_assert_ok(eid_list_copy(list, &before));
        eid_status status = eid_list_insert(list, eid_list_len(list) / 2, value);
        if (status != EID_OK) {
            assert_int_equal(status, EID_ERR_LIMIT);
            assert_non_null(strstr(eid_last_error(), "no list position is left"));
            assert_true(eid_list_equal(list, before));
        }
        eid_list_free(before);
        eid_value_free(value);
        if (status != EID_OK)
            return i;
        assert_true(i < 600);
    }
}

static void test_the_middle_is_used_up(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        eid_list *list = new_list();
        insert(list, 0, -1);
        insert(list, 1, -2);
        int most = fill_the_middle(list);
        assert_true(most >= 120); /* 90 fractions at the least, then the tie-breaks */
        check_positions(list);

        /* Everything else still works. */
        size_t len = eid_list_len(list), middle = len / 2;
        insert(list, 0, 1);
        insert(list, len + 1, 2);
        insert(list, 2, 3);
        eid_value *value = int_of(4);
        tu_assert_ok(eid_list_set(list, middle, value));
        tu_assert_ok(eid_list_remove(list, middle));
        check_positions(list);

        /* And with new positions there is room again. */
        eid_list *before = NULL;
        tu_assert_ok(eid_list_copy(list, &before));
        tu_assert_ok(eid_list_renumber(list));
        assert_int_equal(eid_list_len(list), eid_list_len(before));
        for (size_t i = 0; i < eid_list_len(list); i++) {
            const eid_value *left = NULL, *right = NULL;
            tu_assert_ok(eid_list_get(list, i, &left));
            tu_assert_ok(eid_list_get(before, i, &right));
            assert_true(eid_value_equal(left, right));
        }
        assert_true(fill_the_middle(list) >= 120);
        eid_value_free(value);
        eid_list_free(before);
        eid_list_free(list);
    }
}

/* Neighbours at the ends of the scale, and neighbours that leave no room at all. */
static void test_at_the_ends_of_the_scale(void **state)
{
    (void)state;
    eid_list_position greatest = {INT64_MAX, 1, {0x80}}, smallest = {INT64_MIN, 1, {0x80}};
    eid_value *value = int_of(0);
    eid_list *list = new_list();
    tu_assert_ok(eid_list_set_at(list, &greatest, value));
    insert(list, 0, 0);
    tu_assert_ok(eid_list_remove(list, 0));
    tu_assert_ok(eid_list_set_at(list, &smallest, value));
    tu_assert_ok(eid_list_remove_at(list, &smallest));
    for (int i = 1; i <= 20; i++) {
        tu_assert_ok(eid_list_push_int(list, i));
        insert(list, 0, -i);
    }
    check_positions(list);
    check_order(list, ascends);
    memset(greatest.unique_id, 0xff, 16);
    memset(smallest.unique_id, 0, 16);
    tu_assert_ok(eid_list_set_at(list, &greatest, value));
    tu_assert_ok(eid_list_set_at(list, &smallest, value));
    tu_assert_fails(eid_list_push(list, value), EID_ERR_LIMIT);
    tu_assert_fails(eid_list_push_int(list, 1), EID_ERR_LIMIT);
    tu_assert_fails(eid_list_insert(list, 0, value), EID_ERR_LIMIT);
    assert_int_equal(eid_list_len(list), 43);
    insert(list, 22, 1000);
    check_positions(list);
    eid_value_free(value);
    eid_list_free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_push),
        cmocka_unit_test(test_at_the_front),
        cmocka_unit_test(test_front_and_back_in_turn),
        cmocka_unit_test(test_behind_one_element),
        cmocka_unit_test(test_before_one_element),
        cmocka_unit_test(test_two_places_in_turn),
        cmocka_unit_test(test_anywhere),
        cmocka_unit_test(test_many_anywhere),
        cmocka_unit_test(test_the_middle_is_used_up),
        cmocka_unit_test(test_at_the_ends_of_the_scale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
