/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "helpers.h"

static void test_kind_names(void **state)
{
    (void)state;
    const char *names[] = {"null", "bool", "int", "text", "doc", "list", "deleted"};
    for (size_t i = 0; i < 7; i++)
        assert_string_equal(eid_value_kind_name((eid_value_kind)i), names[i]);
    assert_string_equal(eid_value_kind_name((eid_value_kind)7), "unknown");
}

static void test_leaves(void **state)
{
    (void)state;
    eid_value *value = NULL;
    bool boolean = false;
    int64_t integer = 0;

    tu_assert_ok(eid_value_new_null(&value));
    assert_int_equal(eid_value_get_kind(value), EID_VALUE_NULL);
    eid_value_free(value);

    tu_assert_ok(eid_value_new_deleted(&value));
    assert_int_equal(eid_value_get_kind(value), EID_VALUE_DELETED);
    eid_value_free(value);

    tu_assert_ok(eid_value_new_bool(true, &value));
    tu_assert_ok(eid_value_as_bool(value, &boolean));
    assert_true(boolean);
    eid_value_free(value);

    int64_t numbers[] = {0, 1, -1, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < 5; i++) {
        tu_assert_ok(eid_value_new_int(numbers[i], &value));
        tu_assert_ok(eid_value_as_int(value, &integer));
        assert_true(integer == numbers[i]);
        eid_value_free(value);
    }
    eid_value_free(NULL);
}

static void test_text(void **state)
{
    (void)state;
    eid_value *value = NULL;
    const char *text = NULL;
    size_t len = 0;

    tu_assert_ok(eid_value_new_text("a\0b", 3, &value));
    tu_assert_ok(eid_value_as_text(value, &text, &len));
    assert_int_equal(len, 3);
    assert_memory_equal(text, "a\0b", 4); /* a zero stands behind it */
    tu_assert_ok(eid_value_as_text(value, &text, NULL));
    char *stored = NULL;
    tu_assert_ok(eid_value_to_json(value, &stored, &len));
    assert_string_equal(stored, "{\"Text\":\"a\\u0000b\"}");
    assert_int_equal(len, strlen(stored));
    eid_value *back = NULL;
    tu_assert_ok(eid_value_from_json(stored, len, &back));
    assert_true(eid_value_equal(value, back));
    eid_value_free(back);
    eid_free(stored);
    eid_value_free(value);

    tu_assert_ok(eid_value_new_text(NULL, 0, &value));
    tu_assert_ok(eid_value_as_text(value, &text, &len));
    assert_int_equal(len, 0);
    assert_string_equal(text, "");
    eid_value_free(value);

    value = NULL;
    tu_assert_fails(eid_value_new_text("\xff", 1, &value), EID_ERR_UTF8);
    tu_assert_fails(eid_value_new_text("\xed\xa0\x80", 3, &value), EID_ERR_UTF8);
    tu_assert_fails(eid_value_new_text("\xc3\xa9", 1, &value), EID_ERR_UTF8);
    assert_null(value);
}

/* Every exact read refuses every other kind and leaves its out parameter alone. */
static void test_exact_reads(void **state)
{
    (void)state;
    const char *stored[] = {"'Null'",      "{'Bool':true}",           "{'Int':7}", "{'Text':'t'}",
                            "{'List':[]}", "{'Doc':{'children':{}}}", "'Deleted'"};
    for (size_t i = 0; i < sizeof stored / sizeof stored[0]; i++) {
        eid_value *value = value_of(stored[i]);
        eid_value_kind kind = eid_value_get_kind(value);
        bool boolean = false;
        int64_t integer = 42;
        const char *text = NULL;
        const eid_doc *doc = NULL;
        const eid_list *list = NULL;
        struct {
            eid_value_kind kind;
            eid_status status;
        } reads[] = {{EID_VALUE_BOOL, eid_value_as_bool(value, &boolean)},
                     {EID_VALUE_INT, eid_value_as_int(value, &integer)},
                     {EID_VALUE_TEXT, eid_value_as_text(value, &text, NULL)},
                     {EID_VALUE_DOC, eid_value_as_doc(value, &doc)},
                     {EID_VALUE_LIST, eid_value_as_list(value, &list)}};
        for (size_t j = 0; j < 5; j++)
            assert_int_equal(reads[j].status, reads[j].kind == kind ? EID_OK : EID_ERR_TYPE_MISMATCH);
        assert_int_equal(boolean, kind == EID_VALUE_BOOL);
        assert_int_equal(integer, kind == EID_VALUE_INT ? 7 : 42);
        assert_int_equal(text != NULL, kind == EID_VALUE_TEXT);
        assert_int_equal(doc != NULL, kind == EID_VALUE_DOC);
        assert_int_equal(list != NULL, kind == EID_VALUE_LIST);
        eid_value_free(value);
    }
}

static void test_equality(void **state)
{
    (void)state;
    /* No two of these are equal, each is equal to itself read again. */
    const char *stored[] = {
        "'Null'",
        "'Deleted'",
        "{'Bool':true}",
        "{'Bool':false}",
        "{'Int':0}",
        "{'Int':1}",
        "{'Text':''}",
        "{'Text':'a'}",
        "{'Text':'a\\u0000'}",
        "{'Doc':{'children':{}}}",
        "{'Doc':{'_a':true,'children':{}}}",
        "{'Doc':{'children':{'a':'Null'}}}",
        "{'Doc':{'children':{'a':'Deleted'}}}",
        "{'Doc':{'children':{'b':'Null'}}}",
        "{'Doc':{'children':{'a':'Null','b':'Null'}}}",
        "{'Doc':{'children':{'a':{'Doc':{'children':{'b':'Null'}}}}}}",
        "{'Doc':{'children':{'a':{'Doc':{'children':{}}},'b':'Null'}}}",
        "{'List':[]}",
        "{'List':[[{'numerator':0,'denominator':1,'unique_id':'00000000-0000-4000-8000-000000000000'},'Null']"
        "]}",
        "{'List':[[{'numerator':0,'denominator':1,'unique_id':'00000000-0000-4000-8000-000000000001'},'Null']"
        "]}",
        "{'List':[[{'numerator':1,'denominator':1,'unique_id':'00000000-0000-4000-8000-000000000000'},'Null']"
        "]}",
        "{'List':[[{'numerator':0,'denominator':1,'unique_id':'00000000-0000-4000-8000-000000000000'},'"
        "Deleted']]}",
    };
    size_t count = sizeof stored / sizeof stored[0];
    for (size_t i = 0; i < count; i++) {
        eid_value *a = value_of(stored[i]);
        for (size_t j = 0; j < count; j++) {
            eid_value *b = value_of(stored[j]);
            assert_int_equal(eid_value_equal(a, b), i == j);
            eid_value_free(b);
        }
        eid_value *copy = NULL;
        tu_assert_ok(eid_value_copy(a, &copy));
        assert_true(eid_value_equal(a, copy));
        eid_value_free(copy);
        eid_value_free(a);
    }
}

/* Slots are the same by the value of their fraction, not by how it is written. */
static void test_equality_of_unreduced_fractions(void **state)
{
    (void)state;
    eid_value *a = value_of("{'List':[[{'numerator':2,'denominator':4,"
                            "'unique_id':'00000000-0000-4000-8000-000000000000'},{'Int':1}]]}");
    eid_value *b = value_of("{'List':[[{'numerator':1,'denominator':2,"
                            "'unique_id':'00000000-0000-4000-8000-000000000000'},{'Int':1}]]}");
    assert_true(eid_value_equal(a, b));
    char *text = NULL;
    tu_assert_ok(eid_value_to_json(a, &text, NULL));
    assert_non_null(strstr(text, "\"numerator\":2,\"denominator\":4"));
    eid_free(text);
    eid_value_free(a);
    eid_value_free(b);
}

/* A copy shares nothing with what it was made from. */
static void test_copies_are_apart(void **state)
{
    (void)state;
    eid_doc *doc = doc_of("{'children':{'a':{'Doc':{'children':{'b':{'Int':1}}}}}}");
    eid_doc *copy = NULL;
    eid_value *wrapped = NULL;
    tu_assert_ok(eid_doc_copy(doc, &copy));
    tu_assert_ok(eid_value_new_doc(doc, &wrapped));
    tu_assert_ok(eid_doc_set_int(doc, "a.b", 2));
    eid_doc_set_atomic(doc, true);
    assert_stored(copy, "{'children':{'a':{'Doc':{'children':{'b':{'Int':1}}}}}}");
    eid_doc_free(doc);
    const eid_doc *inside = NULL;
    tu_assert_ok(eid_value_as_doc(wrapped, &inside));
    assert_true(eid_doc_equal(inside, copy));
    eid_value_free(wrapped);
    eid_doc_free(copy);
}

static void test_random_copies(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(11);
    for (int i = 0; i < 500; i++) {
        eid_value *value = random_value(&random, 4), *copy = NULL;
        tu_assert_ok(eid_value_copy(value, &copy));
        assert_true(eid_value_equal(value, copy));
        char *a = NULL, *b = NULL;
        tu_assert_ok(eid_value_to_json(value, &a, NULL));
        tu_assert_ok(eid_value_to_json(copy, &b, NULL));
        assert_string_equal(a, b);
        eid_free(a);
        eid_free(b);
        eid_value_free(value);
        eid_value_free(copy);
    }
}

/* Equality and equality of the stored texts are the same thing. */
static void test_equality_agrees_with_the_stored_form(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(12);
    size_t equal = 0;
    for (int i = 0; i < 3000; i++) {
        eid_value *a = random_value(&random, 1), *b = random_value(&random, 1);
        char *left = NULL, *right = NULL;
        tu_assert_ok(eid_value_to_json(a, &left, NULL));
        tu_assert_ok(eid_value_to_json(b, &right, NULL));
        bool same = strcmp(left, right) == 0;
        /* Unreduced fractions are equal but written apart; they come from random positions such as 2/2. */
        if (same || strstr(left, "List") == NULL)
            assert_int_equal(eid_value_equal(a, b), same);
        equal += same;
        eid_free(left);
        eid_free(right);
        eid_value_free(a);
        eid_value_free(b);
    }
    assert_true(equal > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kind_names),
        cmocka_unit_test(test_leaves),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_exact_reads),
        cmocka_unit_test(test_equality),
        cmocka_unit_test(test_equality_of_unreduced_fractions),
        cmocka_unit_test(test_copies_are_apart),
        cmocka_unit_test(test_random_copies),
        cmocka_unit_test(test_equality_agrees_with_the_stored_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
