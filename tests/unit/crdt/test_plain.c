/* SPDX-License-Identifier: Apache-2.0 */
/* Plain JSON in and out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crdt/crdt_int.h"
#include "helpers.h"

static void refuse(const char *json, eid_status wanted)
{
    eid_doc *doc = doc_of("{'children':{'j':{'Int':1}}}");
    eid_status status = eid_doc_set_json(doc, "j", json);
    if (status != wanted)
        fail_msg("%s: %s, wanted %s", json, eid_status_name(status), eid_status_name(wanted));
    assert_stored(doc, "{'children':{'j':{'Int':1}}}");
    eid_doc_free(doc);
}

static void test_values(void **state)
{
    (void)state;
    const char *same[] = {"null",
                          "true",
                          "false",
                          "0",
                          "-9223372036854775808",
                          "9223372036854775807",
                          "\"\"",
                          "\"a\\u0000\\\"\\n\"",
                          "[]",
                          "{}",
                          "[1,[2,[]],{\"a\":[{}]},null,\"x\"]",
                          "{\"\":1,\"a.b\":{\"c\":null}}"};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        eid_doc *doc = NULL;
        tu_assert_ok(eid_doc_new(&doc));
        tu_assert_ok(eid_doc_set_json(doc, "j", same[i]));
        char *text = NULL, wanted[128];
        tu_assert_ok(eid_doc_to_plain_json(doc, &text, NULL));
        snprintf(wanted, sizeof wanted, "{\"j\":%s}", same[i]);
        assert_string_equal(text, wanted);
        eid_free(text);
        eid_doc_free(doc);
    }
}

static void test_stored_kinds(void **state)
{
    (void)state;
    eid_doc *doc = NULL;
    tu_assert_ok(eid_doc_new(&doc));
    tu_assert_ok(eid_doc_set_json(doc, "a.b",
                                  " { \"n\" : null , \"b\":true,\"i\":-5,\"t\":\"x\",\"n\":1, \"o\":{} } "));
    assert_stored(
        doc, "{'children':{'a':{'Doc':{'children':{'b':{'Doc':{'children':{'b':{'Bool':true},'i':{'Int':-5},"
             "'n':{'Int':1},'o':{'Doc':{'children':{}}},'t':{'Text':'x'}}}}}}}}}");
    eid_doc_free(doc);
}

/* Items get the positions that pushing them one by one gives, each with its own UUID. */
static void test_arrays(void **state)
{
    (void)state;
    eid_doc *doc = NULL;
    const eid_list *list = NULL;
    tu_assert_ok(eid_doc_new(&doc));
    tu_assert_ok(eid_doc_set_json(doc, "l", "[5,6,7]"));
    tu_assert_ok(eid_doc_get_list(doc, "l", &list));
    assert_elements(list, "5 6 7");
    eid_position before, position;
    for (size_t i = 0; i < 3; i++) {
        const eid_value *value = NULL;
        eid_list_slot(list, i, &position, &value);
        assert_int_equal(position.numerator, i);
        assert_int_equal(position.denominator, 1);
        assert_int_equal(position.unique.bytes[6] >> 4, 4);
        assert_true(i == 0 || memcmp(&before.unique, &position.unique, sizeof position.unique) != 0);
        before = position;
    }
    eid_doc_free(doc);
}

static void test_refused(void **state)
{
    (void)state;
    refuse("", EID_ERR_TRUNCATED);
    refuse("[1", EID_ERR_TRUNCATED);
    refuse("{\"a\":{\"b\":[1,2", EID_ERR_TRUNCATED);
    refuse("[1,]", EID_ERR_SYNTAX);
    refuse("{\"a\" 1}", EID_ERR_SYNTAX);
    refuse("nul", EID_ERR_TRUNCATED);
    refuse("1 2", EID_ERR_TRAILING_DATA);
    refuse("1.5", EID_ERR_RANGE);
    refuse("[1,2,1e3]", EID_ERR_RANGE);
    refuse("9223372036854775808", EID_ERR_RANGE);
    refuse("{\"a\":[-9223372036854775809]}", EID_ERR_RANGE);
    refuse("18446744073709551616", EID_ERR_RANGE);
    refuse("\"\xff\"", EID_ERR_UTF8);
}

/* One level costs three containers of the stored form, so plain JSON of 42 arrays is the most anywhere. */
static void test_depth(void **state)
{
    (void)state;
    for (size_t depth = 1; depth < 200; depth++) {
        char text[401];
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        text[2 * depth] = '\0';
        eid_doc *doc = NULL, *back = NULL;
        tu_assert_ok(eid_doc_new(&doc));
        eid_status status = eid_doc_set_json(doc, "k", text);
        assert_int_equal(status, depth <= 42 ? EID_OK : EID_ERR_DEPTH);
        char *stored = stored_of(doc);
        tu_assert_ok(eid_doc_from_json(stored, strlen(stored), &back));
        assert_true(eid_doc_equal(doc, back));
        eid_free(stored);
        eid_doc_free(doc);
        eid_doc_free(back);
    }
}

/* Tombstones are left out at every place, and the commas are right all the same. */
static void test_tombstones_left_out(void **state)
{
    (void)state;
#define SLOT(n, v)                                                                                           \
    "[{'numerator':" #n ",'denominator':1,'unique_id':'00000000-0000-4000-8000-000000000001'}," v "]"
    eid_doc *doc = doc_of(
        "{'children':{'a':'Deleted','b':{'List':[" SLOT(0, "'Deleted'") "," SLOT(1, "{'Int':1}") "," SLOT(
            2,
            "'Deleted'") "," SLOT(3,
                                  "{'Doc':{'children':{'x':'Deleted'}}}") "," SLOT(4,
                                                                                   "'Deleted'") "]},'c':'"
                                                                                                "Deleted',"
                                                                                                "'d':{'Doc':{"
                                                                                                "'children':{"
                                                                                                "'e':'"
                                                                                                "Deleted','f'"
                                                                                                ":'Null','g':"
                                                                                                "'Deleted'}}}"
                                                                                                ",'z':'"
                                                                                                "Deleted'}}");
#undef SLOT
    assert_plain(doc, "{'b':[1,{}],'d':{'f':null}}");
    eid_doc_free(doc);
    doc = doc_of("{'children':{'a':'Deleted'}}");
    assert_plain(doc, "{}");
    eid_doc_free(doc);
}

/* What is written can be set again and gives the same plain form. */
static void test_random_round_trips(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(71);
    for (int i = 0; i < 1000; i++) {
        eid_doc *doc = random_doc(&random, 4), *back = NULL;
        char *text = NULL, *again = NULL;
        const eid_value *inner = NULL;
        eid_buf buf;
        tu_assert_ok(eid_doc_to_plain_json(doc, &text, NULL));
        tu_assert_ok(eid_doc_new(&back));
        tu_assert_ok(eid_doc_set_json(back, "k", text));
        tu_assert_ok(eid_doc_get(back, "k", &inner));
        eid_buf_init(&buf, SIZE_MAX);
        eid_value_write_plain(&buf, inner);
        tu_assert_ok(eid_buf_take_text(&buf, &again));
        assert_string_equal(text, again);
        eid_free(text);
        eid_free(again);
        eid_doc_free(doc);
        eid_doc_free(back);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_stored_kinds),
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_tombstones_left_out),
        cmocka_unit_test(test_random_round_trips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
