/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers.h"

static void test_empty(void **state)
{
    (void)state;
    eid_doc *doc = NULL;
    tu_assert_ok(eid_doc_new(&doc));
    assert_true(eid_doc_is_empty(doc));
    assert_false(eid_doc_is_atomic(doc));
    assert_int_equal(eid_doc_len(doc), 0);
    assert_int_equal(eid_doc_child_count(doc), 0);
    assert_null(eid_doc_child(doc, eid_slice_text("a")));
    assert_null(eid_doc_take_child(doc, eid_slice_text("a")));
    const eid_doc_cursor *cursor = NULL;
    const char *key;
    size_t len;
    const eid_value *value;
    assert_false(eid_doc_next(doc, &cursor, &key, &len, &value));
    assert_stored(doc, "{'children':{}}");
    eid_doc_free(doc);
    eid_doc_free(NULL);
}

static void test_atomic(void **state)
{
    (void)state;
    eid_doc *doc = NULL, *copy = NULL;
    tu_assert_ok(eid_doc_new_atomic(&doc));
    assert_true(eid_doc_is_atomic(doc));
    assert_stored(doc, "{'_a':true,'children':{}}");
    tu_assert_ok(eid_doc_copy(doc, &copy));
    assert_true(eid_doc_equal(doc, copy));
    eid_doc_set_atomic(copy, false);
    assert_false(eid_doc_equal(doc, copy));
    assert_stored(copy, "{'children':{}}");
    eid_doc_free(copy);
    eid_doc_free(doc);
}

/* Length, emptiness and the plain iteration leave tombstones out; the raw one and equality do not. */
static void test_tombstones(void **state)
{
    (void)state;
    eid_doc *doc = doc_of("{'children':{'a':'Deleted','b':{'Int':1},'c':'Null','d':'Deleted'}}");
    assert_int_equal(eid_doc_len(doc), 2);
    assert_int_equal(eid_doc_child_count(doc), 4);
    tu_assert_ok(eid_doc_remove(doc, "b"));
    tu_assert_ok(eid_doc_remove(doc, "b"));
    assert_int_equal(eid_doc_len(doc), 1);
    tu_assert_ok(eid_doc_remove(doc, "c"));
    assert_true(eid_doc_is_empty(doc));
    tu_assert_ok(eid_doc_set_null(doc, "a"));
    assert_int_equal(eid_doc_len(doc), 1);

    const eid_doc_cursor *cursor = NULL;
    const char *key;
    size_t len;
    const eid_value *value;
    assert_true(eid_doc_next(doc, &cursor, &key, &len, &value));
    assert_string_equal(key, "a");
    assert_false(eid_doc_next(doc, &cursor, &key, &len, &value));
    cursor = NULL;
    size_t raw = 0;
    while (eid_doc_next_raw(doc, &cursor, &key, &len, &value))
        raw++;
    assert_int_equal(raw, 4);
    eid_doc_free(doc);
}

static void test_children(void **state)
{
    (void)state;
    eid_doc *doc = NULL;
    tu_assert_ok(eid_doc_new(&doc));
    eid_slice key = eid_slice_of("a\0.b", 4); /* no path rules, zero bytes too */
    tu_assert_ok(eid_doc_put_child(doc, key, int_of(1)));
    assert_stored(doc, "{'children':{'a\\u0000.b':{'Int':1}}}");
    tu_assert_ok(eid_doc_put_child(doc, key, int_of(2)));
    int64_t number = 0;
    tu_assert_ok(eid_value_as_int(eid_doc_child(doc, key), &number));
    assert_int_equal(number, 2);
    assert_int_equal(eid_doc_len(doc), 1);

    eid_value *taken = eid_doc_take_child(doc, key);
    assert_non_null(taken);
    assert_int_equal(eid_doc_len(doc), 0);
    assert_int_equal(eid_doc_child_count(doc), 0);
    assert_null(eid_doc_child(doc, key));
    /* What could not be put stays with the caller. */
    tu_assert_fails(eid_doc_put_child(doc, eid_slice_text("\xff"), taken), EID_ERR_UTF8);
    tu_assert_ok(eid_doc_put_child(doc, eid_slice_text(""), taken));
    assert_stored(doc, "{'children':{'':{'Int':2}}}");

    tu_assert_ok(eid_doc_put_child(doc, eid_slice_text("t"), value_of("'Deleted'")));
    assert_int_equal(eid_doc_len(doc), 1);
    eid_value_free(eid_doc_take_child(doc, eid_slice_text("t")));
    assert_int_equal(eid_doc_len(doc), 1);
    eid_doc_free(doc);
}

static void test_key_order(void **state)
{
    (void)state;
    /* Bytes, not letters: upper case before lower, UTF-8 last, a prefix first. */
    static const char *const sorted[] = {
        "", "A", "B", "Z", "a", "a b", "a-b", "aa", "z", "\xc3\xa9", "\xf0\x9f\x98\x80"};
    size_t count = sizeof sorted / sizeof sorted[0];
    tu_random random = tu_random_seeded(21);
    for (int round = 0; round < 20; round++) {
        eid_doc *doc = NULL;
        tu_assert_ok(eid_doc_new(&doc));
        for (int i = 0; i < 60; i++)
            tu_assert_ok(eid_doc_set_int(doc, sorted[tu_random_below(&random, count)], i));
        for (size_t i = 0; i < count; i++)
            tu_assert_ok(eid_doc_set_int(doc, sorted[i], (int64_t)i));
        const eid_doc_cursor *cursor = NULL;
        const char *key;
        size_t len;
        const eid_value *value;
        for (size_t i = 0; i < count; i++) {
            int64_t number = -1;
            assert_true(eid_doc_next(doc, &cursor, &key, &len, &value));
            assert_string_equal(key, sorted[i]);
            assert_int_equal(len, strlen(sorted[i]));
            tu_assert_ok(eid_value_as_int(value, &number));
            assert_int_equal(number, i);
        }
        assert_false(eid_doc_next(doc, &cursor, &key, &len, &value));
        eid_doc_free(doc);
    }
}

/* A Doc against an array of its keys: random sets, removals and physical removals. */
static void test_model(void **state)
{
    (void)state;
    enum { KEYS = 40, STEPS = 4000 };
    enum { ABSENT = -2, GONE = -1 };
    int64_t model[KEYS];
    for (size_t i = 0; i < KEYS; i++)
        model[i] = ABSENT;
    tu_random random = tu_random_seeded(22);
    eid_doc *doc = NULL;
    tu_assert_ok(eid_doc_new(&doc));
    for (int step = 0; step < STEPS; step++) {
        char key[16];
        size_t which = (size_t)tu_random_below(&random, KEYS);
        snprintf(key, sizeof key, "k%zu", which);
        switch (tu_random_below(&random, 4)) {
        case 0:
            tu_assert_ok(eid_doc_remove(doc, key));
            model[which] = GONE;
            break;
        case 1: {
            eid_value *taken = eid_doc_take_child(doc, eid_slice_text(key));
            assert_int_equal(taken != NULL, model[which] != ABSENT);
            eid_value_free(taken);
            model[which] = ABSENT;
            break;
        }
        default:
            tu_assert_ok(eid_doc_set_int(doc, key, step));
            model[which] = step;
            break;
        }
        size_t live = 0, present = 0;
        for (size_t i = 0; i < KEYS; i++) {
            live += model[i] >= 0;
            present += model[i] != ABSENT;
        }
        assert_int_equal(eid_doc_len(doc), live);
        assert_int_equal(eid_doc_child_count(doc), present);
        for (size_t i = 0; i < KEYS; i++) {
            int64_t number = ABSENT;
            snprintf(key, sizeof key, "k%zu", i);
            eid_status status = eid_doc_get_int(doc, key, &number);
            assert_int_equal(status, model[i] >= 0 ? EID_OK : EID_ERR_KEY_NOT_FOUND);
            assert_int_equal(number, model[i] >= 0 ? model[i] : ABSENT);
            assert_int_equal(eid_doc_is_tombstone(doc, key), model[i] == GONE);
        }
    }
    eid_doc_free(doc);
}

/* Many keys, in order and against it: every operation stays logarithmic, so this takes moments. */
static void test_many_keys(void **state)
{
    (void)state;
    enum { COUNT = 50000 };
    eid_doc *up = NULL, *down = NULL;
    tu_assert_ok(eid_doc_new(&up));
    tu_assert_ok(eid_doc_new(&down));
    char key[16];
    for (int i = 0; i < COUNT; i++) {
        snprintf(key, sizeof key, "%06d", i);
        tu_assert_ok(eid_doc_set_int(up, key, i));
        snprintf(key, sizeof key, "%06d", COUNT - 1 - i);
        tu_assert_ok(eid_doc_set_int(down, key, COUNT - 1 - i));
    }
    assert_int_equal(eid_doc_len(up), COUNT);
    assert_true(eid_doc_equal(up, down));
    char *text = NULL;
    size_t len = 0;
    eid_doc *back = NULL;
    tu_assert_ok(eid_doc_to_json(up, &text, &len));
    tu_assert_ok(eid_doc_from_json(text, len, &back));
    assert_true(eid_doc_equal(up, back));
    eid_free(text);
    eid_doc_free(back);
    eid_doc_free(up);
    eid_doc_free(down);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),     cmocka_unit_test(test_atomic),    cmocka_unit_test(test_tombstones),
        cmocka_unit_test(test_children),  cmocka_unit_test(test_key_order), cmocka_unit_test(test_model),
        cmocka_unit_test(test_many_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
