/* SPDX-License-Identifier: Apache-2.0 */
/* Elements of lists: typed forms, iteration, and elements named by their position. */
#include <string.h>

#include "helpers.h"

static eid_list *new_list(void)
{
    eid_list *list = NULL;
    tu_assert_ok(eid_list_new(&list));
    return list;
}

static eid_list *list_of(int count)
{
    eid_list *list = new_list();
    for (int i = 0; i < count; i++)
        tu_assert_ok(eid_list_push_int(list, i));
    return list;
}

static eid_list *copied(const eid_list *list)
{
    eid_list *copy = NULL;
    tu_assert_ok(eid_list_copy(list, &copy));
    return copy;
}

static void test_typed_forms(void **state)
{
    (void)state;
    eid_list *list = new_list();
    eid_doc *doc = doc_of("{'children':{'x':{'Int':3}}}");
    assert_true(eid_list_is_empty(list));
    tu_assert_ok(eid_list_push_bool(list, true));
    tu_assert_ok(eid_list_push_int(list, -5));
    tu_assert_ok(eid_list_push_text(list, "caf\xc3\xa9"));
    tu_assert_ok(eid_list_push_doc(list, doc));
    assert_int_equal(eid_list_len(list), 4);

    bool truth = false;
    int64_t number = 0;
    const char *text = NULL;
    size_t len = 0;
    const eid_doc *inside = NULL;
    tu_assert_ok(eid_list_get_bool(list, 0, &truth));
    tu_assert_ok(eid_list_get_int(list, 1, &number));
    tu_assert_ok(eid_list_get_text(list, 2, &text, &len));
    tu_assert_ok(eid_list_get_doc(list, 3, &inside));
    assert_true(truth && number == -5 && len == 5);
    assert_string_equal(text, "caf\xc3\xa9");
    assert_true(eid_doc_equal(inside, doc));

    tu_assert_fails(eid_list_get_int(list, 0, &number), EID_ERR_TYPE_MISMATCH);
    assert_string_equal(eid_last_error(), "the element at index 0 is of kind bool, not int");
    tu_assert_fails(eid_list_get_bool(list, 1, &truth), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_list_get_text(list, 3, &text, NULL), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_list_get_doc(list, 2, &inside), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_list_get_doc(list, 4, &inside), EID_ERR_INDEX_OUT_OF_BOUNDS);
    tu_assert_fails(eid_list_push_text(list, "\xff"), EID_ERR_UTF8);
    assert_int_equal(eid_list_len(list), 4);
    assert_int_equal(number, -5);
    eid_doc_free(doc);
    eid_list_free(list);
}

static void test_iteration(void **state)
{
    (void)state;
    eid_list *list = list_of(6);
    tu_assert_ok(eid_list_remove(list, 0));
    tu_assert_ok(eid_list_remove(list, 2));
    const eid_list_cursor *cursor = NULL;
    const eid_value *value = NULL;
    static const int64_t wanted[] = {1, 2, 4, 5};
    size_t seen = 0;
    while (eid_list_next(list, &cursor, &value)) {
        int64_t number = -1;
        tu_assert_ok(eid_value_as_int(value, &number));
        assert_true(seen < 4 && number == wanted[seen]);
        seen++;
    }
    assert_int_equal(seen, 4);
    assert_false(eid_list_next(list, &cursor, &value));

    eid_list_position position, before = {0};
    size_t slots = 0, dead = 0;
    cursor = NULL;
    while (eid_list_next_raw(list, &cursor, &position, &value)) {
        assert_int_equal(position.numerator, slots);
        assert_int_equal(position.denominator, 1);
        assert_memory_not_equal(position.unique_id, before.unique_id, 16);
        before = position;
        slots++;
        dead += eid_value_get_kind(value) == EID_VALUE_DELETED;
    }
    assert_true(slots == 6 && dead == 2);
    eid_list *empty = new_list();
    cursor = NULL;
    assert_false(eid_list_next(empty, &cursor, &value));
    assert_null(cursor);
    eid_list_free(empty);
    eid_list_free(list);
}

static void test_equality(void **state)
{
    (void)state;
    eid_list *list = list_of(3), *same = copied(list), *other = list_of(3), *empty = new_list();
    assert_true(eid_list_equal(list, same));
    assert_false(eid_list_equal(list, other)); /* the same elements in slots of their own */
    assert_false(eid_list_equal(list, empty));
    tu_assert_ok(eid_list_remove(same, 2));
    assert_false(eid_list_equal(list, same));
    eid_value *back = int_of(2);
    eid_list_position last;
    tu_assert_ok(eid_list_position_at(list, 2, &last));
    tu_assert_ok(eid_list_set_at(same, &last, back));
    assert_true(eid_list_equal(list, same));
    eid_value_free(back);
    eid_list_free(list);
    eid_list_free(same);
    eid_list_free(other);
    eid_list_free(empty);
}

/* A position names its element whatever happens around it. */
static void test_positions_stay(void **state)
{
    (void)state;
    eid_list *list = list_of(5);
    eid_list_position three;
    eid_value *value = int_of(30);
    size_t index = 99;
    const eid_value *found = NULL;
    tu_assert_ok(eid_list_position_at(list, 3, &three));
    tu_assert_ok(eid_list_index_of(list, &three, &index));
    assert_int_equal(index, 3);
    tu_assert_ok(eid_list_remove(list, 0));
    tu_assert_ok(eid_list_remove(list, 0));
    tu_assert_ok(eid_list_index_of(list, &three, &index));
    assert_int_equal(index, 1);
    for (int i = 0; i < 10; i++)
        tu_assert_ok(eid_list_insert(list, 0, value));
    tu_assert_ok(eid_list_index_of(list, &three, &index));
    assert_int_equal(index, 11);
    tu_assert_ok(eid_list_get_at(list, &three, &found));
    int64_t number = 0;
    tu_assert_ok(eid_value_as_int(found, &number));
    assert_int_equal(number, 3);
    tu_assert_ok(eid_list_set_at(list, &three, value));
    tu_assert_ok(eid_list_get_int(list, 11, &number));
    assert_int_equal(number, 30);

    tu_assert_ok(eid_list_remove_at(list, &three));
    tu_assert_fails(eid_list_remove_at(list, &three), EID_ERR_KEY_NOT_FOUND);
    tu_assert_fails(eid_list_get_at(list, &three, &found), EID_ERR_KEY_NOT_FOUND);
    tu_assert_fails(eid_list_index_of(list, &three, &index), EID_ERR_KEY_NOT_FOUND);
    tu_assert_fails(eid_list_position_at(list, 12, &three), EID_ERR_INDEX_OUT_OF_BOUNDS);
    eid_value_free(value);
    eid_list_free(list);
}

static void insert_beside(eid_list *list, bool after, const eid_list_position *at, int64_t number,
                          eid_list_position *out)
{
    eid_value *value = int_of(number);
    tu_assert_ok(after ? eid_list_insert_after(list, at, value, out)
                       : eid_list_insert_before(list, at, value, out));
    eid_value_free(value);
}

static void test_insert_beside(void **state)
{
    (void)state;
    eid_list *list = new_list();
    eid_list_position two, place;
    insert_beside(list, true, NULL, 2, &two);
    insert_beside(list, true, NULL, 0, NULL);  /* at the beginning */
    insert_beside(list, false, NULL, 4, NULL); /* at the end */
    insert_beside(list, false, &two, 1, NULL);
    insert_beside(list, true, &two, 3, &place);
    assert_elements(list, "0 1 2 3 4");
    /* Beside an element that somebody removed: still in its place. */
    tu_assert_ok(eid_list_remove_at(list, &two));
    tu_assert_ok(eid_list_remove_at(list, &place));
    insert_beside(list, true, &two, 20, NULL);
    insert_beside(list, false, &two, 10, NULL);
    insert_beside(list, true, &place, 30, NULL);
    assert_elements(list, "0 1 10 20 30 4");

    eid_value *value = int_of(1);
    eid_list_position nowhere = {1, 1, {1, 2, 3}}, nonsense = {1, 0, {0}};
    tu_assert_fails(eid_list_insert_after(list, &nowhere, value, NULL), EID_ERR_KEY_NOT_FOUND);
    tu_assert_fails(eid_list_insert_before(list, &nonsense, value, NULL), EID_ERR_RANGE);
    tu_assert_fails(eid_list_set_at(list, &nonsense, value), EID_ERR_RANGE);
    assert_elements(list, "0 1 10 20 30 4");
    eid_value_free(value);
    eid_list_free(list);
}

/* Positions that are not in lowest terms name the same slot. */
static void test_unreduced_positions(void **state)
{
    (void)state;
    eid_list *list = new_list();
    eid_value *value = int_of(7);
    eid_list_position half = {1, 2, {9}}, two_quarters = {2, 4, {9}}, other = {2, 4, {8}};
    size_t index = 9;
    tu_assert_ok(eid_list_set_at(list, &half, value));
    tu_assert_ok(eid_list_index_of(list, &two_quarters, &index));
    assert_int_equal(index, 0);
    tu_assert_fails(eid_list_index_of(list, &other, &index), EID_ERR_KEY_NOT_FOUND);
    eid_value_free(value);
    eid_list_free(list);
}

/* Indices by position agree with positions by index, in lists of any shape. */
static void test_index_of_every_element(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(511);
    for (int round = 0; round < 40; round++) {
        eid_list *list = new_list();
        for (int i = 0; i < 150; i++) {
            size_t len = eid_list_len(list);
            if (len > 3 && tu_random_below(&random, 3) == 0) {
                tu_assert_ok(eid_list_remove(list, (size_t)tu_random_below(&random, len)));
            } else {
                eid_value *value = int_of(i);
                tu_assert_ok(eid_list_insert(list, (size_t)tu_random_below(&random, len + 1), value));
                eid_value_free(value);
            }
        }
        for (size_t i = 0; i < eid_list_len(list); i++) {
            eid_list_position position;
            size_t index = SIZE_MAX;
            tu_assert_ok(eid_list_position_at(list, i, &position));
            tu_assert_ok(eid_list_index_of(list, &position, &index));
            assert_int_equal(index, i);
        }
        eid_list_free(list);
    }
}

static void test_renumber(void **state)
{
    (void)state;
    eid_list *list = list_of(4), *before = NULL;
    tu_assert_ok(eid_list_remove(list, 1));
    before = copied(list);
    eid_list_position old;
    tu_assert_ok(eid_list_position_at(list, 0, &old));
    tu_assert_ok(eid_list_renumber(list));
    assert_elements(list, "0 2 3");
    size_t index = 0;
    tu_assert_fails(eid_list_index_of(list, &old, &index), EID_ERR_KEY_NOT_FOUND);
    /* As a change it takes the old slots away on the other side too. */
    tu_assert_ok(eid_list_merge(before, list));
    assert_elements(before, "0 2 3");
    assert_true(eid_list_equal(before, list));
    eid_list *empty = new_list();
    tu_assert_ok(eid_list_renumber(empty));
    assert_int_equal(eid_list_slots(empty), 0);
    eid_list_free(empty);
    eid_list_free(before);
    eid_list_free(list);
}

/* ---- Lists at paths of documents ---- */

static void push_at(eid_doc *doc, const char *path, int64_t number)
{
    eid_value *value = int_of(number);
    tu_assert_ok(eid_doc_push(doc, path, value));
    eid_value_free(value);
}

static void test_lists_at_paths(void **state)
{
    (void)state;
    eid_doc *doc = NULL;
    tu_assert_ok(eid_doc_new(&doc));
    push_at(doc, "a.l", 1);
    push_at(doc, "a.l", 3);
    eid_value *value = int_of(2);
    tu_assert_ok(eid_doc_insert(doc, "a.l", 1, value));
    tu_assert_ok(eid_doc_insert(doc, "new", 0, value));
    assert_plain(doc, "{'a':{'l':[1,2,3]},'new':[2]}");
    tu_assert_fails(eid_doc_insert(doc, "other", 1, value), EID_ERR_INDEX_OUT_OF_BOUNDS);
    tu_assert_fails(eid_doc_insert(doc, "a.l", 4, value), EID_ERR_INDEX_OUT_OF_BOUNDS);
    tu_assert_fails(eid_doc_insert(doc, "a.l", SIZE_MAX, value), EID_ERR_INDEX_OUT_OF_BOUNDS);
    tu_assert_fails(eid_doc_push(doc, "a", value), EID_ERR_TYPE_MISMATCH);
    assert_string_equal(eid_last_error(), "the value at \"a\" is of kind doc, not list");
    tu_assert_fails(eid_doc_push(doc, "..", value), EID_ERR_INVALID_PATH);
    assert_plain(doc, "{'a':{'l':[1,2,3]},'new':[2]}");
    tu_assert_ok(eid_doc_remove(doc, "new"));
    push_at(doc, "new", 5);
    tu_assert_ok(eid_doc_set_json(doc, "a.l.0", "[]"));
    push_at(doc, "a.l.0", 6); /* a list in a list */
    assert_plain(doc, "{'a':{'l':[[6],2,3]},'new':[5]}");
    eid_value_free(value);
    eid_doc_free(doc);
}

/* A list as deep as documents go takes leaves, and nothing deeper. */
static void test_depth_at_paths(void **state)
{
    (void)state;
    char path[2 * 42] = "k";
    for (int i = 1; i < 41; i++)
        strcat(path, ".k");
    eid_doc *doc = NULL;
    tu_assert_ok(eid_doc_new(&doc));
    push_at(doc, path, 1);
    push_at(doc, path, 2);
    eid_value *nested = value_of("{'Doc':{'children':{'x':{'Int':1}}}}");
    tu_assert_fails(eid_doc_push(doc, path, nested), EID_ERR_DEPTH);
    eid_value_free(nested);
    char *stored = stored_of(doc);
    eid_doc *back = NULL;
    tu_assert_ok(eid_doc_from_json(stored, strlen(stored), &back));
    assert_true(eid_doc_equal(doc, back));
    eid_doc_free(back);
    eid_free(stored);
    eid_doc_free(doc);
}

/* ---- Memory ---- */

static eid_status list_step(void *ctx)
{
    const eid_list *base = ctx;
    eid_list *list = NULL;
    eid_list_position position;
    EID_TRY(eid_list_copy(base, &list));
    eid_status status = eid_list_position_at(list, 1, &position);
    eid_value *value = NULL;
    if (status == EID_OK)
        status = eid_value_new_int(7, &value);
    if (status == EID_OK)
        status = eid_list_insert_after(list, &position, value, NULL);
    if (status == EID_OK)
        status = eid_list_set_at(list, &position, value);
    if (status == EID_OK)
        status = eid_list_push_text(list, "text");
    if (status == EID_OK)
        status = eid_list_remove_at(list, &position);
    eid_list *before = NULL;
    if (status == EID_OK)
        status = eid_list_copy(list, &before);
    if (status == EID_OK) {
        status = eid_list_renumber(list);
        if (status != EID_OK)
            assert_true(eid_list_equal(list, before));
    }
    eid_list_free(before);
    eid_value_free(value);
    eid_list_free(list);
    return status;
}

static void test_short_memory(void **state)
{
    (void)state;
    tu_alloc_install();
    eid_list *base = list_of(3);
    assert_true(tu_alloc_fault_loop(list_step, base) > 10);
    eid_list_free(base);
    tu_alloc_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_typed_forms),
        cmocka_unit_test(test_iteration),
        cmocka_unit_test(test_equality),
        cmocka_unit_test(test_positions_stay),
        cmocka_unit_test(test_insert_beside),
        cmocka_unit_test(test_unreduced_positions),
        cmocka_unit_test(test_index_of_every_element),
        cmocka_unit_test(test_renumber),
        cmocka_unit_test(test_lists_at_paths),
        cmocka_unit_test(test_depth_at_paths),
        cmocka_unit_test(test_short_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
