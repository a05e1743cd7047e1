/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "helpers.h"

#define POSITION(n) "{'numerator':" #n ",'denominator':1,'unique_id':'00000000-0000-4000-8000-000000000000'}"

/* ---- Components ---- */

static void test_components(void **state)
{
    (void)state;
    struct {
        const char *path;
        size_t count;
        const char *first;
    } cases[] = {
        {"", 1, ""},         {"a", 1, "a"},   {"a.b", 2, "a"},     {".", 0, NULL},
        {"...", 0, NULL},    {"a.", 1, "a"},  {".b", 1, "b"},      {"a..b.c", 3, "a"},
        {"..a.b..", 2, "a"}, {" . ", 2, " "}, {"a/b.c", 2, "a/b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eid_slice first = eid_slice_text("untouched");
        assert_int_equal(eid_path_components(eid_slice_text(cases[i].path)), cases[i].count);
        assert_int_equal(eid_path_first(eid_slice_text(cases[i].path), &first), cases[i].count > 0);
        assert_true(eid_slice_is(first, cases[i].first == NULL ? "untouched" : cases[i].first));
    }
}

/* ---- Setting ---- */

static void test_setters(void **state)
{
    (void)state;
    eid_doc *doc = NULL, *other = doc_of("{'_a':true,'children':{'z':{'Int':9}}}");
    eid_list *list = NULL;
    eid_value *value = text_of("v");
    tu_assert_ok(eid_doc_new(&doc));
    tu_assert_ok(eid_list_new(&list));
    tu_assert_ok(eid_doc_set(doc, "a", value));
    tu_assert_ok(eid_doc_set_null(doc, "b"));
    tu_assert_ok(eid_doc_set_bool(doc, "c", true));
    tu_assert_ok(eid_doc_set_int(doc, "d", INT64_MIN));
    tu_assert_ok(eid_doc_set_string(doc, "e", "s"));
    tu_assert_ok(eid_doc_set_text(doc, "f", "t\0u", 3));
    tu_assert_ok(eid_doc_set_doc(doc, "g", other));
    tu_assert_ok(eid_doc_set_list(doc, "h", list));
    tu_assert_ok(eid_doc_set_json(doc, "i", "{\"x\":[]}"));
    tu_assert_ok(eid_doc_remove(doc, "j"));
    assert_stored(
        doc, "{'children':{'a':{'Text':'v'},'b':'Null','c':{'Bool':true},'d':{'Int':-9223372036854775808},"
             "'e':{'Text':'s'},'f':{'Text':'t\\u0000u'},'g':{'Doc':{'_a':true,'children':{'z':{'Int':9}}}},"
             "'h':{'List':[]},'i':{'Doc':{'children':{'x':{'List':[]}}}},'j':'Deleted'}}");
    eid_value_free(value);
    eid_list_free(list);
    eid_doc_free(other);
    eid_doc_free(doc);
}

static void test_getters(void **state)
{
    (void)state;
    eid_doc *doc =
        doc_of("{'children':{'b':{'Bool':true},'i':{'Int':5},'t':{'Text':'x'},'d':{'Doc':{'children':{}}},"
               "'l':{'List':[]},'n':'Null','gone':'Deleted'}}");
    const char *keys[] = {"b", "i", "t", "d", "l", "n"};
    for (size_t i = 0; i < 6; i++) {
        bool boolean = false;
        int64_t integer = 0;
        const char *text = NULL;
        size_t len = 0;
        const eid_doc *inner = NULL;
        const eid_list *list = NULL;
        const eid_value *value = NULL;
        assert_int_equal(eid_doc_get_bool(doc, keys[i], &boolean), i == 0 ? EID_OK : EID_ERR_TYPE_MISMATCH);
        assert_int_equal(eid_doc_get_int(doc, keys[i], &integer), i == 1 ? EID_OK : EID_ERR_TYPE_MISMATCH);
        assert_int_equal(eid_doc_get_text(doc, keys[i], &text, &len),
                         i == 2 ? EID_OK : EID_ERR_TYPE_MISMATCH);
        assert_int_equal(eid_doc_get_doc(doc, keys[i], &inner), i == 3 ? EID_OK : EID_ERR_TYPE_MISMATCH);
        assert_int_equal(eid_doc_get_list(doc, keys[i], &list), i == 4 ? EID_OK : EID_ERR_TYPE_MISMATCH);
        tu_assert_ok(eid_doc_get(doc, keys[i], &value));
        assert_true(boolean == (i == 0) && integer == (i == 1 ? 5 : 0) && (text != NULL) == (i == 2));
        assert_true((inner != NULL) == (i == 3) && (list != NULL) == (i == 4));
    }
    int64_t integer = 42;
    tu_assert_fails(eid_doc_get_int(doc, "gone", &integer), EID_ERR_KEY_NOT_FOUND);
    tu_assert_fails(eid_doc_get_int(doc, "absent", &integer), EID_ERR_KEY_NOT_FOUND);
    tu_assert_fails(eid_doc_get_int(doc, "i.deeper", &integer), EID_ERR_KEY_NOT_FOUND);
    tu_assert_fails(eid_doc_get_int(doc, "gone.deeper", &integer), EID_ERR_KEY_NOT_FOUND);
    tu_assert_fails(eid_doc_get_int(doc, "t", &integer), EID_ERR_TYPE_MISMATCH);
    assert_non_null(strstr(eid_last_error(), "\"t\" is of kind text, not int"));
    assert_int_equal(integer, 42);
    assert_true(eid_doc_is_tombstone(doc, "gone"));
    assert_false(eid_doc_contains(doc, "gone"));
    assert_true(eid_doc_contains(doc, "n"));
    assert_false(eid_doc_is_tombstone(doc, "n"));
    assert_false(eid_doc_contains(doc, "n.x") || eid_doc_is_tombstone(doc, "gone.x"));
    eid_doc_free(doc);
}

/* A long path is shortened in the error, at the end of a character. */
static void test_long_path_in_error(void **state)
{
    (void)state;
    eid_doc *doc = NULL;
    tu_assert_ok(eid_doc_new(&doc));
    char path[2001];
    for (size_t i = 0; i < 1000; i++)
        memcpy(path + 2 * i, "\xc3\xa9", 2);
    path[0] = 'a';
    path[1] = 'b';
    path[2000] = '\0';
    const eid_value *value = NULL;
    tu_assert_fails(eid_doc_get(doc, path, &value), EID_ERR_KEY_NOT_FOUND);
    assert_true(strlen(eid_last_error()) < 300);
    assert_int_equal(eid_last_error()[strlen(eid_last_error()) - 2] & 0xff, 0xa9);
    eid_doc_free(doc);
}

static void test_paths_make_docs(void **state)
{
    (void)state;
    const char *before[] = {
        "{'children':{}}",
        "{'children':{'a':'Null'}}",
        "{'children':{'a':'Deleted'}}",
        "{'children':{'a':{'Int':1}}}",
        "{'children':{'a':{'Text':'x'}}}",
        "{'children':{'a':{'Doc':{'children':{'b':'Deleted'}}}}}",
        "{'children':{'a':{'Doc':{'children':{'b':{'Doc':{'children':{'c':'Null'}}}}}}}}"};
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
        eid_doc *doc = doc_of(before[i]);
        tu_assert_ok(eid_doc_set_int(doc, "a.b.c", 1));
        assert_stored(doc,
                      "{'children':{'a':{'Doc':{'children':{'b':{'Doc':{'children':{'c':{'Int':1}}}}}}}}}");
        assert_int_equal(eid_doc_len(doc), 1);
        eid_doc_free(doc);
    }
}

static void test_set_keeps_siblings(void **state)
{
    (void)state;
    eid_doc *doc = doc_of("{'children':{'a':{'Doc':{'_a':true,'children':{'x':{'Int':1}}}},'b':'Null'}}");
    tu_assert_ok(eid_doc_set_int(doc, "a.y.z", 2));
    assert_stored(doc, "{'children':{'a':{'Doc':{'_a':true,'children':{'x':{'Int':1},"
                       "'y':{'Doc':{'children':{'z':{'Int':2}}}}}}},'b':'Null'}}");
    /* A Doc put over a Doc replaces it. */
    eid_doc *other = doc_of("{'children':{'w':'Null'}}");
    tu_assert_ok(eid_doc_set_doc(doc, "a", other));
    assert_stored(doc, "{'children':{'a':{'Doc':{'children':{'w':'Null'}}},'b':'Null'}}");
    eid_doc_free(other);
    eid_doc_free(doc);
}

static void test_self(void **state)
{
    (void)state;
    eid_doc *doc = doc_of("{'children':{'a':{'Doc':{'children':{'b':{'Int':1}}}}}}");
    const eid_value *inside = NULL;
    tu_assert_ok(eid_doc_get(doc, "a", &inside));
    tu_assert_ok(eid_doc_set(doc, "a.b", inside)); /* a value that the set itself replaces a part of */
    assert_stored(doc, "{'children':{'a':{'Doc':{'children':{'b':{'Doc':{'children':{'b':{'Int':1}}}}}}}}}");
    tu_assert_ok(eid_doc_set_doc(doc, "c", doc));
    assert_plain(doc, "{'a':{'b':{'b':1}},'c':{'a':{'b':{'b':1}}}}");
    eid_doc_free(doc);
}

static void test_invalid_paths(void **state)
{
    (void)state;
    eid_doc *doc = doc_of("{'children':{'a':{'Int':1}}}");
    eid_value *value = int_of(1);
    tu_assert_fails(eid_doc_set_int(doc, ".", 1), EID_ERR_INVALID_PATH);
    tu_assert_fails(eid_doc_set(doc, "....", value), EID_ERR_INVALID_PATH);
    tu_assert_fails(eid_doc_remove(doc, ".."), EID_ERR_INVALID_PATH);
    tu_assert_fails(eid_doc_set_int(doc, "\xff.a", 1), EID_ERR_UTF8);
    tu_assert_fails(eid_doc_set_int(doc, "a.\xed\xa0\x80", 1), EID_ERR_UTF8);
    tu_assert_fails(eid_doc_set_text(doc, "a", "\xff", 1), EID_ERR_UTF8);
    /* On failure the value stays the caller's. */
    tu_assert_fails(eid_doc_set_path(doc, eid_slice_text("."), value), EID_ERR_INVALID_PATH);
    assert_stored(doc, "{'children':{'a':{'Int':1}}}");
    tu_assert_ok(eid_doc_set_path(doc, eid_slice_of("a\0b", 3), value));
    assert_stored(doc, "{'children':{'a':{'Int':1},'a\\u0000b':{'Int':1}}}");
    eid_doc_free(doc);
}

static void test_empty_and_dotted_keys(void **state)
{
    (void)state;
    eid_doc *doc = doc_of("{'children':{'a.b':{'Int':1}}}"); /* from somebody else: not a path */
    int64_t number = 0;
    tu_assert_fails(eid_doc_get_int(doc, "a.b", &number), EID_ERR_KEY_NOT_FOUND);
    tu_assert_ok(eid_doc_set_int(doc, "", 2));
    tu_assert_ok(eid_doc_set_int(doc, "a.", 3));
    tu_assert_ok(eid_doc_get_int(doc, "", &number));
    assert_int_equal(number, 2);
    assert_stored(doc, "{'children':{'':{'Int':2},'a':{'Int':3},'a.b':{'Int':1}}}");
    eid_doc_free(doc);
}

/* ---- Lists on the way ---- */

static eid_doc *with_list(void)
{
    return doc_of(
        "{'children':{'l':{'List':[[" POSITION(0) ",{'Int':10}],[" POSITION(1) ",'Deleted'],[" POSITION(
            2) ",{'Doc':{'children':{'x':{'Int':1}}}}],[" POSITION(3) ",{'List':[[" POSITION(0) ",{'Int':5}]]"
                                                                                                "}]]}}}");
}

static void test_reading_through_lists(void **state)
{
    (void)state;
    eid_doc *doc = with_list();
    int64_t number = 0;
    tu_assert_ok(eid_doc_get_int(doc, "l.0", &number));
    assert_int_equal(number, 10);
    tu_assert_ok(eid_doc_get_int(doc, "l.1.x", &number));
    assert_int_equal(number, 1);
    tu_assert_ok(eid_doc_get_int(doc, "l.2.0", &number));
    assert_int_equal(number, 5);
    tu_assert_ok(eid_doc_get_int(doc, "l.002.00", &number));
    const char *absent[] = {"l.3",
                            "l.-1",
                            "l.+1",
                            "l.x",
                            "l.1x",
                            "l.0.x",
                            "l.2.1",
                            "l.1.y",
                            "l.18446744073709551616",
                            "l.99999999999999999999999",
                            "l. 1"};
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
        assert_false(eid_doc_contains(doc, absent[i]));
    eid_doc_free(doc);
}

static void test_setting_through_lists(void **state)
{
    (void)state;
    eid_doc *doc = with_list();
    tu_assert_ok(eid_doc_set_int(doc, "l.0", 11));
    tu_assert_ok(eid_doc_set_int(doc, "l.1.x", 12));
    tu_assert_ok(eid_doc_set_int(doc, "l.1.y.z", 13));
    tu_assert_ok(eid_doc_set_int(doc, "l.2.0.deep", 14)); /* a leaf gives way to a Doc, the list stays */
    assert_plain(doc, "{'l':[11,{'x':12,'y':{'z':13}},[{'deep':14}]]}");
    tu_assert_ok(eid_doc_remove(doc, "l.1.x"));
    tu_assert_ok(eid_doc_remove(doc, "l.0"));
    assert_plain(doc, "{'l':[{'y':{'z':13}},[{'deep':14}]]}");

    char *before = stored_of(doc);
    const char *wrong[] = {"l.2", "l.9.x", "l.name", "l.name.x", "l.-1", "l.1.1", "l.1.x.y"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        tu_assert_fails(eid_doc_set_int(doc, wrong[i], 1), EID_ERR_INDEX_OUT_OF_BOUNDS);
    char *after = stored_of(doc);
    assert_string_equal(before, after);
    eid_free(before);
    eid_free(after);
    tu_assert_ok(eid_doc_set_int(doc, "l", 1)); /* the list itself can be replaced */
    assert_plain(doc, "{'l':1}");
    eid_doc_free(doc);
}

/* ---- Depth ---- */

static char *deep_path(size_t components)
{
    char *path = malloc(2 * components + 1);
    assert_non_null(path);
    for (size_t i = 0; i < components; i++)
        memcpy(path + 2 * i, "k.", 2);
    path[2 * components - 1] = '\0';
    return path;
}

static void assert_reads_back(const eid_doc *doc)
{
    char *text = NULL;
    size_t len = 0;
    eid_doc *back = NULL;
    tu_assert_ok(eid_doc_to_json(doc, &text, &len));
    tu_assert_ok(eid_doc_from_json(text, len, &back));
    assert_true(eid_doc_equal(doc, back));
    eid_doc_free(back);
    eid_free(text);
}

/* 42 components can be read back with any leaf, and no more. */
static void test_deepest_path(void **state)
{
    (void)state;
    eid_doc *doc = NULL, *empty = NULL;
    eid_list *list = NULL;
    tu_assert_ok(eid_doc_new(&doc));
    tu_assert_ok(eid_doc_new(&empty));
    tu_assert_ok(eid_list_new(&list));
    char *deepest = deep_path(EID_LIMIT_DOC_PATH), *deeper = deep_path(EID_LIMIT_DOC_PATH + 1);
    char *shorter = deep_path(EID_LIMIT_DOC_PATH - 1);
    tu_assert_ok(eid_doc_set_string(doc, deepest, "x"));
    assert_true(eid_doc_contains(doc, deepest));
    assert_false(eid_doc_contains(doc, deeper));
    assert_reads_back(doc);
    tu_assert_fails(eid_doc_set_int(doc, deeper, 1), EID_ERR_DEPTH);
    tu_assert_fails(eid_doc_remove(doc, deeper), EID_ERR_DEPTH);
    tu_assert_fails(eid_doc_set_doc(doc, deepest, empty), EID_ERR_DEPTH);
    tu_assert_ok(eid_doc_set_list(doc, deepest, list)); /* {"List":[]} is one container less than a Doc */
    assert_reads_back(doc);
    /* Now the document fills all containers: there is room for none around it, nor for a slot inside. */
    eid_value *value = NULL;
    tu_assert_fails(eid_value_new_doc(doc, &value), EID_ERR_DEPTH);
    tu_assert_fails(eid_doc_set_doc(doc, "other", doc), EID_ERR_DEPTH);
    assert_null(value);
    value = value_of("'Null'");
    tu_assert_ok(eid_list_push(list, value));
    eid_value_free(value);
    tu_assert_fails(eid_doc_set_list(doc, deepest, list), EID_ERR_DEPTH);
    tu_assert_ok(eid_doc_set_list(doc, shorter, list));
    assert_reads_back(doc);
    tu_assert_ok(eid_doc_set_doc(doc, shorter, empty));
    assert_reads_back(doc);
    free(deepest);
    free(deeper);
    free(shorter);
    eid_list_free(list);
    eid_doc_free(empty);
    eid_doc_free(doc);
}

/* However values are put into each other, what is accepted reads back and what is refused would not. */
static void test_depth_of_composed_values(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(41);
    for (int round = 0; round < 50; round++) {
        eid_value *value = int_of(1);
        bool refused = false;
        for (int level = 0; level < 60 && !refused; level++) {
            eid_value *wrapped = NULL;
            eid_status status;
            if (tu_random_below(&random, 2) == 0) {
                eid_doc *doc = NULL;
                tu_assert_ok(eid_doc_new(&doc));
                status = eid_doc_set(doc, "k", value);
                if (status == EID_OK) {
                    assert_reads_back(doc);
                    status = eid_value_new_doc(doc, &wrapped);
                }
                eid_doc_free(doc);
            } else {
                eid_list *list = NULL;
                tu_assert_ok(eid_list_new(&list));
                status = eid_list_push(list, value);
                if (status == EID_OK)
                    tu_assert_ok(eid_value_new_list(list, &wrapped));
                eid_list_free(list);
            }
            if (status != EID_OK) {
                assert_int_equal(status, EID_ERR_DEPTH);
                assert_int_equal(level, 42);
                refused = true;
                break;
            }
            eid_value_free(value);
            value = wrapped;
        }
        assert_true(refused);
        eid_value_free(value);
    }
}

/* Random paths against the plainest model: a flat table from full paths to numbers. */
static void test_model(void **state)
{
    (void)state;
    enum { NAMES = 3, PATHS = NAMES * NAMES * NAMES };
    int64_t model[PATHS];
    for (size_t i = 0; i < PATHS; i++)
        model[i] = -1;
    tu_random random = tu_random_seeded(42);
    eid_doc *doc = NULL;
    tu_assert_ok(eid_doc_new(&doc));
    for (int64_t step = 0; step < 3000; step++) {
        char path[32];
        size_t which = (size_t)tu_random_below(&random, PATHS);
        size_t a = which / 9, b = which / 3 % 3, c = which % 3;
        uint64_t action = tu_random_below(&random, 12);
        if (action == 0) { /* a branch is replaced by a leaf: everything below is gone */
            snprintf(path, sizeof path, "n%zu.n%zu", a, b);
            tu_assert_ok(eid_doc_set_null(doc, path));
            for (size_t i = 0; i < 3; i++)
                model[a * 9 + b * 3 + i] = -1;
        } else if (action == 1) {
            snprintf(path, sizeof path, "n%zu", a);
            tu_assert_ok(eid_doc_remove(doc, path));
            for (size_t i = 0; i < 9; i++)
                model[a * 9 + i] = -1;
        } else {
            snprintf(path, sizeof path, "n%zu.n%zu.n%zu", a, b, c);
            tu_assert_ok(action < 4 ? eid_doc_remove(doc, path) : eid_doc_set_int(doc, path, step));
            model[which] = action < 4 ? -1 : step;
        }
        for (size_t i = 0; i < PATHS; i++) {
            int64_t number = -1;
            snprintf(path, sizeof path, "n%zu.n%zu.n%zu", i / 9, i / 3 % 3, i % 3);
            assert_int_equal(eid_doc_get_int(doc, path, &number),
                             model[i] < 0 ? EID_ERR_KEY_NOT_FOUND : EID_OK);
            assert_int_equal(number, model[i]);
        }
    }
    assert_reads_back(doc);
    eid_doc_free(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_components),
        cmocka_unit_test(test_setters),
        cmocka_unit_test(test_getters),
        cmocka_unit_test(test_long_path_in_error),
        cmocka_unit_test(test_paths_make_docs),
        cmocka_unit_test(test_set_keeps_siblings),
        cmocka_unit_test(test_self),
        cmocka_unit_test(test_invalid_paths),
        cmocka_unit_test(test_empty_and_dotted_keys),
        cmocka_unit_test(test_reading_through_lists),
        cmocka_unit_test(test_setting_through_lists),
        cmocka_unit_test(test_deepest_path),
        cmocka_unit_test(test_depth_of_composed_values),
        cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
