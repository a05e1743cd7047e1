/* SPDX-License-Identifier: Apache-2.0 */
/* The counting tree below a List, against a sorted array. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "crdt/crdt_int.h"
#include "helpers.h"

static eid_position at(int64_t numerator, uint8_t unique)
{
    eid_position position = {numerator, 1, {{unique}}};
    return position;
}

static eid_value *tombstone(void)
{
    return value_of("'Deleted'");
}

static void test_empty(void **state)
{
    (void)state;
    eid_list list = {NULL};
    eid_position zero = at(0, 0);
    assert_null(eid_slot_first(&list));
    assert_null(eid_slot_last(&list));
    assert_null(eid_slot_at(&list, 0));
    assert_null(eid_slot_live_at(&list, 0));
    assert_null(eid_slot_find(&list, &zero));
    eid_slots_free(&list);
    eid_list_clear(&list);
}

static void test_place_keeps_the_counts(void **state)
{
    (void)state;
    eid_list list = {NULL};
    for (int i = 0; i < 20; i++) {
        eid_position position = at(i, 0);
        tu_assert_ok(eid_list_attach(&list, &position, int_of(i)));
    }
    assert_int_equal(list.root->live, 20);
    eid_slot *slot = eid_slot_at(&list, 7);
    eid_value *before = eid_slot_place(slot, tombstone());
    assert_int_equal(list.root->live, 19);
    assert_int_equal(list.root->slots, 20);
    eid_value_free(eid_slot_place(slot, tombstone()));
    assert_int_equal(list.root->live, 19);
    assert_ptr_equal(eid_slot_live_at(&list, 7), eid_slot_at(&list, 8));
    eid_value_free(eid_slot_place(slot, before));
    assert_int_equal(list.root->live, 20);
    assert_ptr_equal(eid_slot_live_at(&list, 7), slot);
    eid_list_clear(&list);
    assert_null(list.root);
}

/* A slot that was made but not linked is the maker's. */
static void test_unlinked(void **state)
{
    (void)state;
    eid_position position = at(5, 5);
    eid_value *value = int_of(5);
    eid_slot *slot = eid_slot_new(&position, value);
    assert_non_null(slot);
    assert_ptr_equal(slot->value, value);
    assert_null(slot->parent);
    eid_value_free(slot->value);
    eid_free(slot);
}

typedef struct model_slot {
    eid_position position;
    bool live;
} model_slot;

/* In every order of arrival: ascending, descending, and at random with repetitions. */
static void test_model(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    for (int order = 0; order < 6; order++) {
        tu_random random = tu_random_seeded(200 + (uint64_t)order);
        static model_slot model[COUNT];
        size_t slots = 0;
        eid_list list = {NULL};
        for (int i = 0; i < COUNT; i++) {
            eid_position position = order == 0   ? at(i, 0)
                                    : order == 1 ? at(-i, 0)
                                                 : at((int64_t)tu_random_below(&random, 200),
                                                      (uint8_t)tu_random_below(&random, 2));
            bool live = tu_random_below(&random, 3) > 0;
            size_t place = 0;
            while (place < slots && eid_position_compare(&model[place].position, &position) < 0)
                place++;
            if (place == slots || eid_position_compare(&model[place].position, &position) != 0) {
                memmove(model + place + 1, model + place, (slots - place) * sizeof *model);
                slots++;
            }
            model[place] = (model_slot){position, live};
            tu_assert_ok(eid_list_attach(&list, &position, live ? int_of(i) : tombstone()));
        }
        assert_int_equal(list.root->slots, slots);
        assert_true(list.root->height <= 11); /* 1.44 log2 of 300 */
        size_t live = 0;
        const eid_slot *walking = eid_slot_first(&list);
        for (size_t i = 0; i < slots; i++, walking = eid_slot_next(walking)) {
            assert_ptr_equal(eid_slot_at(&list, i), walking);
            assert_memory_equal(&walking->position, &model[i].position, sizeof walking->position);
            assert_ptr_equal(eid_slot_find(&list, &model[i].position), walking);
            assert_int_equal(eid_value_is_live(walking->value), model[i].live);
            if (model[i].live)
                assert_ptr_equal(eid_slot_live_at(&list, live++), walking);
        }
        assert_null(walking);
        assert_null(eid_slot_at(&list, slots));
        assert_null(eid_slot_live_at(&list, live));
        assert_int_equal(list.root->live, live);
        assert_ptr_equal(eid_slot_last(&list), eid_slot_at(&list, slots - 1));
        eid_position absent = at(1000, 0);
        assert_null(eid_slot_find(&list, &absent));
        eid_list_clear(&list);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_place_keeps_the_counts),
        cmocka_unit_test(test_unlinked),
        cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
