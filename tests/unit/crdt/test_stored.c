/* SPDX-License-Identifier: Apache-2.0 */
/* The stored form: what is written, what is read, and which error each kind of bad text gives. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "helpers.h"

#define UNIQUE   "'00000000-0000-4000-8000-000000000001'"
#define POSITION "{'numerator':1,'denominator':2,'unique_id':" UNIQUE "}"

static void refuse(const char *text, eid_status wanted)
{
    char *quoted = strdup(text);
    assert_non_null(quoted);
    for (char *at = quoted; *at != '\0'; at++)
        if (*at == '\'')
            *at = '"';
    eid_doc *doc = NULL;
    eid_status status = eid_doc_from_json(quoted, strlen(quoted), &doc);
    if (status != wanted)
        fail_msg("%s: %s, wanted %s (%s)", text, eid_status_name(status), eid_status_name(wanted),
                 eid_last_error());
    assert_true(strlen(eid_last_error()) > 10);
    assert_null(doc);
    free(quoted);
}

static void accept(const char *text, const char *wanted)
{
    eid_doc *doc = doc_of(text);
    assert_stored(doc, wanted);
    eid_doc_free(doc);
}

/* ---- Writing ---- */

static void test_escapes(void **state)
{
    (void)state;
    eid_doc *doc = NULL;
    tu_assert_ok(eid_doc_new(&doc));
    tu_assert_ok(
        eid_doc_set_string(doc, "q\"\n", "\" \\ / \b\f\n\r\t \x01\x0b\x1f \x7f \xc3\xa9 \xf0\x9f\x98\x80"));
    char *text = stored_of(doc);
    assert_string_equal(
        text, "{\"children\":{\"q\\\"\\n\":{\"Text\":\"\\\" \\\\ / \\b\\f\\n\\r\\t \\u0001\\u000b\\u001f "
              "\x7f \xc3\xa9 \xf0\x9f\x98\x80\"}}}");
    eid_doc *back = NULL;
    tu_assert_ok(eid_doc_from_json(text, strlen(text), &back));
    assert_true(eid_doc_equal(doc, back));
    eid_free(text);
    eid_doc_free(doc);
    eid_doc_free(back);
}

static void test_written_form(void **state)
{
    (void)state;
    /* Everything at once, in the one form: fields of a position in declaration order, keys sorted. */
    const char *text =
        "{'_a':true,'children':{'':'Null','A':{'Bool':false},'a':{'Doc':{'_a':true,'children':{}}},"
        "'b':{'List':[]},'c':{'List':[[{'numerator':-9223372036854775808,'denominator':"
        "18446744073709551615,'unique_id':" UNIQUE "},{'List':[[" POSITION ",'Deleted'],"
        "[{'numerator':1,'denominator':1,'unique_id':" UNIQUE "},{'Doc':{'children':{'x':"
        "{'Int':-9223372036854775808}}}}]]}]]}}}";
    accept(text, text);
}

/* Writing into a buffer with a bound fails in the buffer and nowhere else. */
static void test_bounded_buffer(void **state)
{
    (void)state;
    eid_doc *doc = doc_of("{'children':{'a':{'Text':'0123456789'}}}");
    eid_buf buf;
    eid_buf_init(&buf, 20);
    eid_doc_write(&buf, doc);
    assert_int_equal(eid_buf_status(&buf), EID_ERR_LIMIT);
    eid_buf_free(&buf);
    eid_doc_free(doc);
}

/* ---- Reading what others write ---- */

static void test_lenient(void **state)
{
    (void)state;
    accept(" {\n\"children\" : { } }\t", "{'children':{}}");
    accept("{'children':{},'_a':true,'_v':0}", "{'_a':true,'children':{}}");
    accept("{'x':[{'y':[1,2.5,null,'z']}],'children':{},'more':{}}", "{'children':{}}");
    accept("{'children':{'a':{'Null':null},'b':{'Deleted':null}}}",
           "{'children':{'a':'Null','b':'Deleted'}}");
    /* The last of equal keys counts, whatever the earlier ones were. */
    accept("{'children':{'a':{'Doc':{'children':{'x':'Null'}}},'a':'Deleted','a':{'Int':3}}}",
           "{'children':{'a':{'Int':3}}}");
    accept("{'children':{'a':{'Int':1},'a':{'Doc':{'children':{'x':'Null'}}}}}",
           "{'children':{'a':{'Doc':{'children':{'x':'Null'}}}}}");
    accept("{'children':{'\\u0061':{'Text':'\\ud83d\\ude00\\/\\u0000'}}}",
           "{'children':{'a':{'Text':'\xf0\x9f\x98\x80/\\u0000'}}}");
    /* Structures written as arrays of their fields. */
    accept("[0,true,{'a':{'Doc':[0,false,{'b':'Null'}]}}]",
           "{'_a':true,'children':{'a':{'Doc':{'children':{'b':'Null'}}}}}");
    accept("{'children':{'l':{'List':[[[1,2," UNIQUE "],'Null']]}}}",
           "{'children':{'l':{'List':[[" POSITION ",'Null']]}}}");
    /* Fields of a position in any order, unknown ones passed over; the UUID in its other spellings. */
    accept("{'children':{'l':{'List':[[{'unique_id':'{00000000-0000-4000-8000-000000000001}','new':{},"
           "'denominator':2,'numerator':1},'Null']]}}}",
           "{'children':{'l':{'List':[[" POSITION ",'Null']]}}}");
    /* Slots out of order are sorted; of equal ones the last counts. */
    accept("{'children':{'l':{'List':[[[2,1," UNIQUE "],{'Int':2}],[[1,1," UNIQUE "],{'Int':1}],[[4,2," UNIQUE
           "],{'Int':3}]]}}}",
           "{'children':{'l':{'List':[[{'numerator':1,'denominator':1,'unique_id':" UNIQUE "},{'Int':1}],"
           "[{'numerator':2,'denominator':1,'unique_id':" UNIQUE "},{'Int':3}]]}}}");
}

static void test_counts_after_duplicates(void **state)
{
    (void)state;
    eid_doc *doc =
        doc_of("{'children':{'a':'Null','a':'Deleted','b':'Deleted','b':'Null','c':'Null','c':'Null'}}");
    assert_int_equal(eid_doc_len(doc), 2);
    eid_doc_free(doc);
}

static void test_refused_docs(void **state)
{
    (void)state;
    refuse("", EID_ERR_TRUNCATED);
    refuse("{'children':{}", EID_ERR_TRUNCATED);
    refuse("{'children':{'a':{'Doc':{'children':{'b':{'Int':1}}", EID_ERR_TRUNCATED);
    refuse("{'children':{}}x", EID_ERR_TRAILING_DATA);
    refuse("{'children':{}}{}", EID_ERR_TRAILING_DATA);
    refuse("null", EID_ERR_WRONG_TYPE);
    refuse("'children'", EID_ERR_WRONG_TYPE);
    refuse("7", EID_ERR_WRONG_TYPE);
    refuse("{}", EID_ERR_MISSING_FIELD);
    refuse("{'_v':0}", EID_ERR_MISSING_FIELD);
    refuse("{'children':[]}", EID_ERR_WRONG_TYPE);
    refuse("{'children':null}", EID_ERR_WRONG_TYPE);
    refuse("{'_v':1,'children':{}}", EID_ERR_VERSION);
    refuse("{'children':{'a':{'Doc':{'_v':2,'children':{}}}}}", EID_ERR_VERSION);
    refuse("{'_v':-1,'children':{}}", EID_ERR_RANGE);
    refuse("{'_v':0.0,'children':{}}", EID_ERR_WRONG_TYPE);
    refuse("{'_v':null,'children':{}}", EID_ERR_WRONG_TYPE);
    refuse("{'_a':null,'children':{}}", EID_ERR_WRONG_TYPE);
    refuse("{'_a':'true','children':{}}", EID_ERR_WRONG_TYPE);
    refuse("{'children':{},'children':{}}", EID_ERR_DUPLICATE_KEY);
    refuse("{'_v':0,'_v':0,'children':{}}", EID_ERR_DUPLICATE_KEY);
    refuse("{'_a':true,'children':{},'_a':true}", EID_ERR_DUPLICATE_KEY);
    refuse("[]", EID_ERR_MISSING_FIELD);
    refuse("[0]", EID_ERR_MISSING_FIELD);
    refuse("[0,true]", EID_ERR_MISSING_FIELD);
    refuse("[1,true,{}]", EID_ERR_VERSION);
    refuse("[0,true,{},0]", EID_ERR_WRONG_TYPE);
    refuse("[0,1,{}]", EID_ERR_WRONG_TYPE);
}

static void test_refused_values(void **state)
{
    (void)state;
    struct {
        const char *value;
        eid_status status;
    } cases[] = {
        {"null", EID_ERR_WRONG_TYPE},
        {"true", EID_ERR_WRONG_TYPE},
        {"1", EID_ERR_WRONG_TYPE},
        {"[]", EID_ERR_WRONG_TYPE},
        {"{}", EID_ERR_WRONG_TYPE},
        {"''", EID_ERR_WRONG_TYPE},
        {"'null'", EID_ERR_WRONG_TYPE},
        {"'Int'", EID_ERR_WRONG_TYPE},
        {"'Doc'", EID_ERR_WRONG_TYPE},
        {"{'Float':1}", EID_ERR_WRONG_TYPE},
        {"{'Null':0}", EID_ERR_WRONG_TYPE},
        {"{'Deleted':{}}", EID_ERR_WRONG_TYPE},
        {"{'Null':null,'Null':null}", EID_ERR_WRONG_TYPE},
        {"{'Int':1,'Text':'x'}", EID_ERR_WRONG_TYPE},
        {"{'Doc':{'children':{}},'Int':1}", EID_ERR_WRONG_TYPE},
        {"{'List':[],'Int':1}", EID_ERR_WRONG_TYPE},
        {"{'Bool':0}", EID_ERR_WRONG_TYPE},
        {"{'Bool':'true'}", EID_ERR_WRONG_TYPE},
        {"{'Int':'1'}", EID_ERR_WRONG_TYPE},
        {"{'Int':1.0}", EID_ERR_WRONG_TYPE},
        {"{'Int':1e3}", EID_ERR_WRONG_TYPE},
        {"{'Int':-0}", EID_ERR_WRONG_TYPE},
        {"{'Int':null}", EID_ERR_WRONG_TYPE},
        {"{'Int':9223372036854775808}", EID_ERR_RANGE},
        {"{'Int':-9223372036854775809}", EID_ERR_RANGE},
        {"{'Int':99999999999999999999999}", EID_ERR_RANGE},
        {"{'Int':01}", EID_ERR_SYNTAX},
        {"{'Text':1}", EID_ERR_WRONG_TYPE},
        {"{'Text':null}", EID_ERR_WRONG_TYPE},
        {"{'Text':'\xff'}", EID_ERR_UTF8},
        {"{'Text':'\\ud800'}", EID_ERR_SYNTAX},
        {"{'Text':'\t'}", EID_ERR_SYNTAX},
        {"{'Doc':{}}", EID_ERR_MISSING_FIELD},
        {"{'Doc':'Null'}", EID_ERR_WRONG_TYPE},
        {"{'List':{}}", EID_ERR_WRONG_TYPE},
        {"{'Int':1,}", EID_ERR_SYNTAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "{'children':{'k':%s}}", cases[i].value);
        refuse(text, cases[i].status);
        /* Inside a list and beside values that are already there, all of which must be freed. */
        snprintf(text, sizeof text,
                 "{'children':{'a':{'Text':'x'},'k':{'List':[[" POSITION ",{'Int':1}],[[3,1," UNIQUE
                 "],%s]]}}}",
                 cases[i].value);
        refuse(text, cases[i].status);
    }
}

static void test_refused_slots(void **state)
{
    (void)state;
    struct {
        const char *slot;
        eid_status status;
    } cases[] = {
        {"{}", EID_ERR_WRONG_TYPE},
        {"[]", EID_ERR_MISSING_FIELD},
        {"[" POSITION "]", EID_ERR_MISSING_FIELD},
        {"[" POSITION ",'Null','Null']", EID_ERR_WRONG_TYPE},
        {"[" POSITION ",{'Doc':{'children':{}}},1]", EID_ERR_WRONG_TYPE},
        {"[1,'Null']", EID_ERR_WRONG_TYPE},
        {"[{},'Null']", EID_ERR_MISSING_FIELD},
        {"[[],'Null']", EID_ERR_MISSING_FIELD},
        {"[[1],'Null']", EID_ERR_MISSING_FIELD},
        {"[[1,1],'Null']", EID_ERR_MISSING_FIELD},
        {"[[1,1," UNIQUE ",1],'Null']", EID_ERR_WRONG_TYPE},
        {"[[1,0," UNIQUE "],'Null']", EID_ERR_RANGE},
        {"[{'numerator':1,'denominator':0,'unique_id':" UNIQUE "},'Null']", EID_ERR_RANGE},
        {"[{'numerator':1,'denominator':-1,'unique_id':" UNIQUE "},'Null']", EID_ERR_RANGE},
        {"[{'numerator':1,'denominator':18446744073709551616,'unique_id':" UNIQUE "},'Null']", EID_ERR_RANGE},
        {"[{'numerator':9223372036854775808,'denominator':1,'unique_id':" UNIQUE "},'Null']", EID_ERR_RANGE},
        {"[{'numerator':1.5,'denominator':1,'unique_id':" UNIQUE "},'Null']", EID_ERR_WRONG_TYPE},
        {"[{'numerator':1,'denominator':1},'Null']", EID_ERR_MISSING_FIELD},
        {"[{'numerator':1,'unique_id':" UNIQUE "},'Null']", EID_ERR_MISSING_FIELD},
        {"[{'denominator':1,'unique_id':" UNIQUE "},'Null']", EID_ERR_MISSING_FIELD},
        {"[{'numerator':1,'numerator':1,'denominator':1,'unique_id':" UNIQUE "},'Null']",
         EID_ERR_DUPLICATE_KEY},
        {"[{'numerator':1,'denominator':1,'denominator':1,'unique_id':" UNIQUE "},'Null']",
         EID_ERR_DUPLICATE_KEY},
        {"[{'numerator':1,'denominator':1,'unique_id':" UNIQUE ",'unique_id':" UNIQUE "},'Null']",
         EID_ERR_DUPLICATE_KEY},
        {"[[1,1,'0000'],'Null']", EID_ERR_SYNTAX},
        {"[[1,1,'00000000-0000-4000-8000-00000000000g'],'Null']", EID_ERR_SYNTAX},
        {"[[1,1,1],'Null']", EID_ERR_WRONG_TYPE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, "{'children':{'k':{'List':[[[0,1," UNIQUE "],{'Text':'before'}],%s]}}}",
                 cases[i].slot);
        refuse(text, cases[i].status);
    }
}

/* ---- Depth: three containers a Doc or List, 127 in all ---- */

static char *repeated(const char *open, size_t count, const char *middle, const char *close)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    for (size_t i = 0; i < count; i++)
        fputs(open, out);
    fputs(middle, out);
    for (size_t i = 0; i < count; i++)
        fputs(close, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void check_depth(const char *open, size_t count, const char *middle, const char *close,
                        eid_status wanted)
{
    char *text = repeated(open, count, middle, close);
    eid_doc *doc = NULL;
    assert_int_equal(eid_doc_from_json(text, strlen(text), &doc), wanted);
    if (wanted == EID_OK) {
        char *written = stored_of(doc);
        assert_string_equal(written, text);
        eid_free(written);
    }
    eid_doc_free(doc);
    free(text);
}

static void test_depth(void **state)
{
    (void)state;
    const char *open = "{\"children\":{\"a\":{\"Doc\":", *close = "}}}";
    check_depth(open, 41, "{\"children\":{}}", close, EID_OK); /* 125 containers */
    check_depth(open, 41, "{\"children\":{\"k\":\"Null\"}}", close, EID_OK);
    check_depth(open, 41, "{\"children\":{\"k\":{\"Int\":1}}}", close, EID_OK);
    check_depth(open, 41, "{\"children\":{\"k\":{\"List\":[]}}}", close, EID_OK); /* 127 */
    check_depth(open, 41, "{\"children\":{\"k\":{\"List\":[[]]}}}", close, EID_ERR_DEPTH);
    check_depth(open, 42, "{\"children\":{}}", close, EID_ERR_DEPTH);
    check_depth(open, 43, "{\"children\":{}}", close, EID_ERR_DEPTH);
    check_depth(open, 100000, "{\"children\":{}}", close, EID_ERR_DEPTH);
    check_depth("[", 100000, "", "]", EID_ERR_WRONG_TYPE); /* not even a Doc */
    check_depth("{\"x\":", 100000, "1", "}", EID_ERR_DEPTH);
}

/* ---- Values by themselves, and Docs inside other documents ---- */

static void test_values(void **state)
{
    (void)state;
    const char *texts[] = {"\"Null\"",      "{\"Int\":-5}",
                           "\"Deleted\"",   "{\"Doc\":{\"children\":{\"a\":\"Null\"}}}",
                           "{\"List\":[]}", "{\"Text\":\"\\u0000\"}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        eid_value *value = NULL;
        char *text = NULL;
        size_t len = 0;
        tu_assert_ok(eid_value_from_json(texts[i], strlen(texts[i]), &value));
        tu_assert_ok(eid_value_to_json(value, &text, &len));
        assert_string_equal(text, texts[i]);
        assert_int_equal(len, strlen(text));
        eid_free(text);
        eid_value_free(value);
    }
    const char *bad[] = {"", "null", "{\"Int\":1} 2", "{\"Doc\":{\"children\":{\"a\":\"Null\"}}",
                         "{\"children\":{}}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        eid_value *value = NULL;
        assert_int_not_equal(eid_value_from_json(bad[i], strlen(bad[i]), &value), EID_OK);
        assert_null(value);
    }
}

static void test_inside_a_document(void **state)
{
    (void)state;
    const char *text =
        "{\"doc\":{\"children\":{\"a\":{\"Int\":1}}},\"value\":{\"Text\":\"x\"},\"after\":true}";
    eid_json reader;
    eid_slice key;
    bool more, after = false;
    eid_doc *doc = NULL;
    eid_value *value = NULL;
    eid_json_init(&reader, eid_slice_text(text));
    tu_assert_ok(eid_json_begin_object(&reader, "outer"));
    tu_assert_ok(eid_json_next_key(&reader, &key, &more));
    tu_assert_ok(eid_doc_read(&reader, &doc));
    tu_assert_ok(eid_json_next_key(&reader, &key, &more));
    assert_true(more && eid_slice_is(key, "value"));
    tu_assert_ok(eid_value_read(&reader, &value));
    tu_assert_ok(eid_json_next_key(&reader, &key, &more));
    assert_true(more && eid_slice_is(key, "after"));
    tu_assert_ok(eid_json_read_bool(&reader, "after", &after));
    tu_assert_ok(eid_json_next_key(&reader, &key, &more));
    assert_false(more);
    tu_assert_ok(eid_json_end(&reader));
    eid_json_free(&reader);
    assert_stored(doc, "{'children':{'a':{'Int':1}}}");
    assert_int_equal(eid_value_get_kind(value), EID_VALUE_TEXT);
    eid_doc_free(doc);
    eid_value_free(value);
}

/* ---- Seeds ---- */

static void test_random_round_trips(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(61);
    for (int i = 0; i < 2000; i++) {
        eid_doc *doc = random_doc(&random, 5), *back = NULL;
        char *text = stored_of(doc);
        tu_assert_ok(eid_doc_from_json(text, strlen(text), &back));
        assert_true(eid_doc_equal(doc, back));
        assert_int_equal(eid_doc_len(doc), eid_doc_len(back));
        assert_stored(back, text);
        eid_free(text);
        eid_doc_free(doc);
        eid_doc_free(back);
    }
}

/* Every prefix of a document is refused; a byte changed anywhere gives an error or another readable document.
 */
static void test_damage(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(62);
    for (int i = 0; i < 60; i++) {
        eid_doc *doc = random_doc(&random, 3), *other = NULL;
        char *text = stored_of(doc);
        size_t len = strlen(text);
        for (size_t cut = 0; cut < len; cut++) {
            assert_int_not_equal(eid_doc_from_json(text, cut, &other), EID_OK);
            assert_null(other);
        }
        for (size_t at = 0; at < len; at++) {
            char before = text[at];
            text[at] = (char)tu_random_below(&random, 256);
            if (eid_doc_from_json(text, len, &other) == EID_OK) {
                char *written = stored_of(other);
                eid_doc *again = NULL;
                tu_assert_ok(eid_doc_from_json(written, strlen(written), &again));
                assert_true(eid_doc_equal(other, again));
                eid_free(written);
                eid_doc_free(again);
                eid_doc_free(other);
                other = NULL;
            }
            text[at] = before;
        }
        eid_free(text);
        eid_doc_free(doc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_written_form),
        cmocka_unit_test(test_bounded_buffer),
        cmocka_unit_test(test_lenient),
        cmocka_unit_test(test_counts_after_duplicates),
        cmocka_unit_test(test_refused_docs),
        cmocka_unit_test(test_refused_values),
        cmocka_unit_test(test_refused_slots),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_inside_a_document),
        cmocka_unit_test(test_random_round_trips),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
