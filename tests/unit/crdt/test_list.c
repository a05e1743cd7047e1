/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crdt/crdt_int.h"
#include "helpers.h"

static eid_list *new_list(void)
{
    eid_list *list = NULL;
    tu_assert_ok(eid_list_new(&list));
    return list;
}

static void push(eid_list *list, int64_t number)
{
    eid_value *value = int_of(number);
    tu_assert_ok(eid_list_push(list, value));
    eid_value_free(value);
}

static eid_status insert(eid_list *list, size_t index, int64_t number)
{
    eid_value *value = int_of(number);
    eid_status status = eid_list_insert(list, index, value);
    eid_value_free(value);
    return status;
}

static eid_status set(eid_list *list, size_t index, int64_t number)
{
    eid_value *value = int_of(number);
    eid_status status = eid_list_set(list, index, value);
    eid_value_free(value);
    return status;
}

static void put(eid_list *list, int64_t numerator, uint64_t denominator, uint8_t unique, eid_value *value)
{
    eid_position position = {numerator, denominator, {{unique}}};
    tu_assert_ok(eid_list_put(list, &position, value));
}

static void test_basics(void **state)
{
    (void)state;
    eid_list *list = new_list();
    assert_int_equal(eid_list_len(list), 0);
    assert_int_equal(eid_list_slots(list), 0);
    const eid_value *value = NULL;
    tu_assert_fails(eid_list_get(list, 0, &value), EID_ERR_INDEX_OUT_OF_BOUNDS);
    tu_assert_fails(eid_list_remove(list, 0), EID_ERR_INDEX_OUT_OF_BOUNDS);
    tu_assert_fails(set(list, 0, 1), EID_ERR_INDEX_OUT_OF_BOUNDS);
    tu_assert_fails(insert(list, 1, 1), EID_ERR_INDEX_OUT_OF_BOUNDS);
    assert_null(value);

    tu_assert_ok(insert(list, 0, 2));
    push(list, 3);
    tu_assert_ok(insert(list, 0, 1));
    tu_assert_ok(insert(list, 3, 4));
    assert_elements(list, "1 2 3 4");
    tu_assert_ok(set(list, 1, 20));
    assert_elements(list, "1 20 3 4");
    tu_assert_ok(eid_list_remove(list, 2));
    assert_elements(list, "1 20 4");
    assert_int_equal(eid_list_slots(list), 4);
    tu_assert_fails(eid_list_get(list, 3, &value), EID_ERR_INDEX_OUT_OF_BOUNDS);
    assert_non_null(strstr(eid_last_error(), "3 elements"));
    eid_list_free(list);
    eid_list_free(NULL);
}

/* The case in which the recorded implementation counts tombstones and inserts at the wrong place. */
static void test_insert_counts_live_elements(void **state)
{
    (void)state;
    eid_list *list = new_list();
    for (int i = 0; i < 4; i++)
        push(list, i);
    tu_assert_ok(eid_list_remove(list, 1));
    tu_assert_ok(insert(list, 2, 99));
    assert_elements(list, "0 2 99 3");
    eid_list_free(list);
}

static void test_push_after_a_negative_fraction(void **state)
{
    (void)state;
    eid_list *list = new_list();
    put(list, -5, 3, 0, int_of(1));
    push(list, 2);
    assert_elements(list, "1 2");
    eid_position position;
    const eid_value *value = NULL;
    eid_list_slot(list, 1, &position, &value);
    assert_true(position.numerator == -1 && position.denominator == 1);
    eid_list_free(list);
}

static void test_push_after_the_greatest_position(void **state)
{
    (void)state;
    eid_list *list = new_list();
    put(list, INT64_MAX, 1, 0x50, int_of(1));
    put(list, INT64_MIN, 1, 0x50, int_of(0));
    push(list, 2);
    push(list, 3);
    tu_assert_ok(insert(list, 0, -1));
    tu_assert_ok(insert(list, 0, -2));
    assert_elements(list, "-2 -1 0 1 2 3");
    eid_list_free(list);
}

static void test_insert_between_equal_fractions(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++) {
        eid_list *list = new_list();
        put(list, 1, 2, 0x20, int_of(1));
        put(list, 1, 2, 0x30, int_of(3));
        tu_assert_ok(insert(list, 1, 2));
        assert_elements(list, "1 2 3");
        eid_list_free(list);
    }
}

/* A list of tombstones only is empty, and what is added to it stands at the right side of them. */
static void test_only_tombstones(void **state)
{
    (void)state;
    eid_list *list = new_list();
    push(list, 1);
    push(list, 2);
    tu_assert_ok(eid_list_remove(list, 0));
    tu_assert_ok(eid_list_remove(list, 0));
    assert_int_equal(eid_list_len(list), 0);
    assert_int_equal(eid_list_slots(list), 2);
    push(list, 3);
    tu_assert_ok(insert(list, 0, 0));
    assert_elements(list, "0 3");
    eid_position first, last;
    const eid_value *value = NULL;
    eid_list_slot(list, 0, &first, &value);
    assert_int_equal(eid_value_get_kind(value), EID_VALUE_INT);
    eid_list_slot(list, 3, &last, &value);
    assert_int_equal(eid_value_get_kind(value), EID_VALUE_INT);
    assert_true(first.numerator == -1 && last.numerator == 2);
    eid_list_free(list);
}

static void test_put(void **state)
{
    (void)state;
    eid_list *list = new_list();
    put(list, 1, 2, 7, int_of(1));
    put(list, 2, 4, 7, int_of(2)); /* the same slot, written differently */
    assert_int_equal(eid_list_slots(list), 1);
    put(list, 2, 4, 8, int_of(3));
    put(list, 1, 2, 7, value_of("'Deleted'"));
    assert_elements(list, "3");
    assert_int_equal(eid_list_slots(list), 2);
    put(list, 1, 2, 7, int_of(1)); /* and back to life */
    assert_elements(list, "1 3");

    eid_position wrong = {1, 0, {{0}}};
    eid_value *value = int_of(9);
    tu_assert_fails(eid_list_put(list, &wrong, value), EID_ERR_RANGE);
    eid_value_free(value); /* still the caller's */
    assert_elements(list, "1 3");
    eid_list_free(list);
}

static void test_copy(void **state)
{
    (void)state;
    eid_list *list = new_list(), *copy = NULL;
    push(list, 1);
    push(list, 2);
    tu_assert_ok(eid_list_remove(list, 0));
    tu_assert_ok(eid_list_copy(list, &copy));
    push(list, 3);
    assert_elements(copy, "2");
    assert_elements(list, "2 3");
    eid_list_free(list);
    assert_int_equal(eid_list_slots(copy), 2);
    eid_list_free(copy);
}

/* What the tree counts must hold in every node, and its shape must be balanced. */
static int check_node(const eid_slot *slot, const eid_slot *parent)
{
    if (slot == NULL)
        return 0;
    assert_ptr_equal(slot->parent, parent);
    int left = check_node(slot->child[0], slot), right = check_node(slot->child[1], slot);
    assert_true(left - right <= 1 && right - left <= 1);
    assert_int_equal(slot->height, 1 + (left > right ? left : right));
    size_t slots = 1, live = slot->value->kind != EID_VALUE_DELETED;
    for (size_t i = 0; i < 2; i++) {
        slots += slot->child[i] == NULL ? 0 : slot->child[i]->slots;
        live += slot->child[i] == NULL ? 0 : slot->child[i]->live;
    }
    assert_int_equal(slot->slots, slots);
    assert_int_equal(slot->live, live);
    return slot->height;
}

static void check_tree(const eid_list *list)
{
    check_node(list->root, NULL);
    eid_position before, at;
    const eid_value *value = NULL;
    const eid_slot *slot = eid_slot_first(list);
    for (size_t i = 0; i < eid_list_slots(list); i++) {
        eid_list_slot(list, i, &at, &value);
        assert_true(i == 0 || eid_position_compare(&before, &at) < 0);
        assert_ptr_equal(slot->value, value);
        assert_ptr_equal(eid_slot_find(list, &at), slot);
        slot = eid_slot_next(slot);
        before = at;
    }
    assert_null(slot);
}

/* One writer: the list behaves as an array, whatever is inserted, set and removed where. */
static void model_run(uint64_t seed, size_t steps, unsigned removals)
{
    int64_t *model = calloc(steps + 1, sizeof *model);
    assert_non_null(model);
    size_t len = 0;
    tu_random random = tu_random_seeded(seed);
    eid_list *list = new_list();
    for (size_t step = 0; step < steps; step++) {
        int64_t number = (int64_t)step;
        uint64_t action = tu_random_below(&random, 10);
        if (len > 0 && action < removals) {
            size_t index = (size_t)tu_random_below(&random, len);
            tu_assert_ok(eid_list_remove(list, index));
            memmove(model + index, model + index + 1, (len - index - 1) * sizeof *model);
            len--;
        } else if (len > 0 && action == 7) {
            size_t index = (size_t)tu_random_below(&random, len);
            tu_assert_ok(set(list, index, number));
            model[index] = number;
        } else if (action == 8) {
            push(list, number);
            model[len++] = number;
        } else {
            /* Often near the same place, where fractions crowd. */
            size_t index = action == 9 ? len / 2 : (size_t)tu_random_below(&random, len + 1);
            tu_assert_ok(insert(list, index, number));
            memmove(model + index + 1, model + index, (len - index) * sizeof *model);
            model[index] = number;
            len++;
        }
        assert_int_equal(eid_list_len(list), len);
        if (step % 16 != 0 && step + 1 != steps)
            continue;
        for (size_t i = 0; i < len; i++) {
            const eid_value *value = NULL;
            int64_t got = -1;
            tu_assert_ok(eid_list_get(list, i, &value));
            tu_assert_ok(eid_value_as_int(value, &got));
            assert_int_equal(got, model[i]);
        }
    }
    check_tree(list);
    eid_list_free(list);
    free(model);
}

static void test_model(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 110; seed++)
        model_run(seed, 600, (unsigned)(seed % 7));
}

/* Slots arriving in any order of positions stand in order, and the tree stays balanced. */
static void test_random_positions(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(111);
    for (int round = 0; round < 20; round++) {
        eid_list *list = new_list();
        for (int i = 0; i < 300; i++) {
            eid_position position = {
                (int64_t)tu_random_below(&random, 41) - 20, 1 + tu_random_below(&random, 9), {{0}}};
            position.unique.bytes[0] = (uint8_t)tu_random_below(&random, 3);
            bool dead = tu_random_below(&random, 3) == 0;
            tu_assert_ok(eid_list_put(list, &position, dead ? value_of("'Deleted'") : int_of(i)));
        }
        check_tree(list);
        eid_list_free(list);
    }
}

static void test_many_elements(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    eid_list *list = new_list();
    for (int i = 0; i < COUNT; i++)
        push(list, i);
    for (int i = 0; i < COUNT; i++)
        tu_assert_ok(insert(list, 0, -i - 1));
    for (size_t i = 0; i < 2 * COUNT; i += 2)
        tu_assert_ok(eid_list_remove(list, i / 2));
    assert_int_equal(eid_list_len(list), COUNT);
    for (size_t i = 0; i < COUNT; i += 997) {
        const eid_value *value = NULL;
        int64_t number = 0;
        tu_assert_ok(eid_list_get(list, i, &value));
        tu_assert_ok(eid_value_as_int(value, &number));
        assert_int_equal(number, (int64_t)(2 * i + 1) - COUNT);
    }
    check_tree(list);
    eid_list_free(list);
}

/* Two writers insert at the same place without knowing of each other: both elements are there, at that place,
 * in the same order on both sides. */
static void test_concurrent_insertions(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) {
        eid_list *base = new_list(), *left = NULL, *right = NULL, *both = NULL, *other = NULL;
        push(base, 0);
        push(base, 9);
        tu_assert_ok(eid_list_copy(base, &left));
        tu_assert_ok(eid_list_copy(base, &right));
        tu_assert_ok(insert(left, 1, 3));
        tu_assert_ok(insert(right, 1, 4));
        tu_assert_ok(insert(right, 2, 5));
        tu_assert_ok(eid_list_copy(left, &both));
        tu_assert_ok(eid_list_merge(both, right));
        tu_assert_ok(eid_list_copy(right, &other));
        tu_assert_ok(eid_list_merge(other, left));
        assert_int_equal(eid_list_len(both), 5);
        check_tree(both);
        int64_t seen[5], there[5];
        for (size_t i = 0; i < 5; i++) {
            const eid_value *value = NULL;
            tu_assert_ok(eid_list_get(both, i, &value));
            tu_assert_ok(eid_value_as_int(value, &seen[i]));
            tu_assert_ok(eid_list_get(other, i, &value));
            tu_assert_ok(eid_value_as_int(value, &there[i]));
        }
        assert_memory_equal(seen, there, sizeof seen);
        assert_true(seen[0] == 0 && seen[4] == 9);
        eid_list *all[] = {base, left, right, both, other};
        for (size_t i = 0; i < 5; i++)
            eid_list_free(all[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_basics),
        cmocka_unit_test(test_insert_counts_live_elements),
        cmocka_unit_test(test_push_after_a_negative_fraction),
        cmocka_unit_test(test_push_after_the_greatest_position),
        cmocka_unit_test(test_insert_between_equal_fractions),
        cmocka_unit_test(test_only_tombstones),
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_random_positions),
        cmocka_unit_test(test_many_elements),
        cmocka_unit_test(test_concurrent_insertions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
