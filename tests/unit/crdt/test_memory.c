/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation fails once, and memory runs out at every point: each call answers so, leaks nothing and
 * changes nothing, however far it had come. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers.h"

#define SLOT(n, v)                                                                                           \
    "[{'numerator':" #n ",'denominator':1,'unique_id':'00000000-0000-4000-8000-000000000001'}," v "]"

/* Twelve keys and more changed at several depths, so that the notes of a merge outgrow their first place; new
 * and shared slots; a new, a replaced and a deleted branch. */
static const char older_text[] =
    "{'children':{'a':{'Int':1},'b':{'Doc':{'children':{'x':{'Text':'old'},'y':{'Doc':{'children':{}}}}}},"
    "'gone':{'Doc':{'children':{'k':'Null'}}},'l':{'List':[" SLOT(0, "{'Int':0}") "," SLOT(
        2, "{'Doc':{'children':{'p':'Null'}}}") "," SLOT(4, "'Deleted'") "]},'m':{'Text':'stays'}}}";
static const char
    newer_text[] = "{'children':{'a':{'Text':'one'},'b':{'Doc':{'children':{'x':'Deleted','y':{'Doc':{'"
                   "children':{'z':{'Int'"
                   ":1}}}},"
                   "'n':{'List':[" SLOT(0, "{'Int':0}") "]}}}},'gone':'Deleted','l':{'List':[" SLOT(
                       -1,
                       "{'Int':9}") "," SLOT(0, "{'Int':5}") "," SLOT(1,
                                                                      "{'Doc':{'children':{'q':{'Text':'t'}}}"
                                                                      "}") "," SLOT(2,
                                                                                    "{'Doc':{'children':{'p'"
                                                                                    ":{'Int':2},'r':'Null'}}"
                                                                                    "}") "," SLOT(4,
                                                                                                  "{'Int':"
                                                                                                  "4}") "]},"
                                                                                                        "'t1"
                                                                                                        "':'"
                                                                                                        "Nul"
                                                                                                        "l',"
                                                                                                        "'t2"
                                                                                                        "':{"
                                                                                                        "'Do"
                                                                                                        "c':"
                                                                                                        "{'_"
                                                                                                        "a':"
                                                                                                        "tru"
                                                                                                        "e,'"
                                                                                                        "chi"
                                                                                                        "ldr"
                                                                                                        "en'"
                                                                                                        ":{'"
                                                                                                        "u':"
                                                                                                        "{'"
                                                                                                        "Int"
                                                                                                        "':"
                                                                                                        "1}}"
                                                                                                        "}},"
                                                                                                        "'t3"
                                                                                                        "':'"
                                                                                                        "Del"
                                                                                                        "ete"
                                                                                                        "d'}"
                                                                                                        "}";

/* One step of a fault loop: a document is read, then something is done to it. Reading may fail too, that is
 * also a point; but when the act fails the document must still be what was read. */
typedef struct fault_case {
    const char *text;
    const eid_doc *same; /* made with memory that does not fail */
    eid_status (*act)(eid_doc *doc, void *ctx);
    void *ctx;
} fault_case;

static eid_status step(void *ctx)
{
    const fault_case *c = ctx;
    eid_doc *doc = NULL;
    eid_status status = eid_doc_from_json(c->text, strlen(c->text), &doc);
    if (status != EID_OK) {
        assert_null(doc);
        return status;
    }
    status = c->act(doc, c->ctx);
    if (status != EID_OK) {
        assert_true(eid_doc_equal(doc, c->same));
        assert_int_equal(eid_doc_len(doc), eid_doc_len(c->same));
        assert_int_equal(eid_doc_child_count(doc), eid_doc_child_count(c->same));
    }
    eid_doc_free(doc);
    return status;
}

static char *quoted(const char *text)
{
    char *copy = strdup(text);
    assert_non_null(copy);
    for (char *at = copy; *at != '\0'; at++)
        if (*at == '\'')
            *at = '"';
    return copy;
}

static void run(const char *before, eid_status (*act)(eid_doc *doc, void *ctx), void *ctx, size_t least)
{
    char *text = quoted(before);
    eid_doc *same = doc_of(before);
    fault_case c = {text, same, act, ctx};
    size_t points = tu_alloc_fault_loop(step, &c);
    assert_true(points >= least);
    eid_doc_free(same);
    free(text);
}

/* ---- Merging ---- */

static eid_status act_merge(eid_doc *doc, void *ctx)
{
    return eid_doc_merge(doc, ctx);
}

static void test_merge(void **state)
{
    (void)state;
    eid_doc *newer = doc_of(newer_text);
    run(older_text, act_merge, newer, 40);
    eid_doc_free(newer);

    newer = doc_of("{'_a':true,'children':{'a':{'Doc':{'children':{'b':{'Int':1}}}}}}");
    run(older_text, act_merge, newer, 20);
    eid_doc_free(newer);
}

static eid_status act_value_merge(eid_doc *doc, void *ctx)
{
    /* The cell is taken out, merged by itself and put back whatever came of it. */
    eid_slice key = eid_slice_text("b");
    eid_value *cell = NULL;
    EID_TRY(eid_value_copy(eid_doc_child(doc, key), &cell));
    eid_status status = eid_value_merge(&cell, ctx);
    if (status != EID_OK)
        assert_true(eid_value_equal(cell, eid_doc_child(doc, key)));
    eid_value_free(cell);
    return status;
}

static void test_value_merge(void **state)
{
    (void)state;
    const char *newer[] = {"{'Doc':{'children':{'x':{'Int':1},'w':{'Doc':{'children':{'v':'Null'}}}}}}",
                           "{'Doc':{'_a':true,'children':{'x':{'Int':1}}}}", "{'Text':'t'}", "'Deleted'"};
    for (size_t i = 0; i < 4; i++) {
        eid_value *value = value_of(newer[i]);
        run(older_text, act_value_merge, value, 20);
        eid_value_free(value);
    }
}

static void test_random_merges(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(81);
    for (int i = 0; i < 25; i++) {
        eid_doc *older = random_doc(&random, 3), *newer = random_doc(&random, 3);
        char *text = stored_of(older);
        run(text, act_merge, newer, 1);
        eid_free(text);
        eid_doc_free(older);
        eid_doc_free(newer);
    }
}

/* The result after all failures is the same as without any. */
static eid_status act_merge_twice(eid_doc *doc, void *ctx)
{
    eid_status status = eid_doc_merge(doc, ctx);
    if (status != EID_ERR_NO_MEMORY)
        return status;
    tu_alloc_fail_at(0);
    tu_assert_ok(eid_doc_merge(doc, ctx));
    eid_doc *wanted = doc_of(older_text);
    tu_assert_ok(eid_doc_merge(wanted, ctx));
    assert_true(eid_doc_equal(doc, wanted));
    eid_doc_free(wanted);
    return EID_ERR_NO_MEMORY;
}

static void test_trying_again(void **state)
{
    (void)state;
    eid_doc *newer = doc_of(newer_text);
    char *text = quoted(older_text);
    tu_alloc_install();
    bool fired = true;
    for (size_t point = 1; fired; point++) {
        eid_doc *doc = NULL;
        tu_assert_ok(eid_doc_from_json(text, strlen(text), &doc));
        tu_alloc_fail_at(point);
        fired = act_merge_twice(doc, newer) == EID_ERR_NO_MEMORY;
        tu_alloc_fail_at(0);
        eid_doc_free(doc);
        assert_int_equal(tu_alloc_live(), 0);
        assert_true(point < 200);
    }
    tu_alloc_remove();
    free(text);
    eid_doc_free(newer);
}

/* ---- Setting ---- */

static eid_status act_set(eid_doc *doc, void *ctx)
{
    return eid_doc_set_string(doc, ctx, "text");
}

static eid_status act_set_json(eid_doc *doc, void *ctx)
{
    return eid_doc_set_json(doc, ctx, "{\"a\":[1,\"x\",{\"b\":[null,true]}],\"c\":\"\\n\"}");
}

static eid_status act_remove(eid_doc *doc, void *ctx)
{
    return eid_doc_remove(doc, ctx);
}

static eid_status act_set_copy(eid_doc *doc, void *ctx)
{
    return eid_doc_set_doc(doc, ctx, doc);
}

static void test_setters(void **state)
{
    (void)state;
    const char *paths[] = {"new",        "a",   "a.b.c.d", "new.b.c.d", "b.x",
                           "b.y.z.deep", "l.0", "l.1.p",   "l.1.s.t",   "gone"};
    eid_status (*acts[])(eid_doc *, void *) = {act_set, act_set_json, act_remove, act_set_copy};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        for (size_t j = 0; j < sizeof acts / sizeof acts[0]; j++)
            run(older_text, acts[j], (void *)(uintptr_t)paths[i], 20);
    /* The first key of an empty document needs the map as well. */
    run("{'children':{}}", act_set, (void *)(uintptr_t) "a.b", 4);
}

/* ---- Lists ---- */

static eid_status list_step(void *ctx)
{
    eid_value *value = ctx;
    eid_list *list = NULL;
    eid_status status = eid_list_new(&list);
    size_t len = 0;
    for (size_t i = 0; status == EID_OK && i < 6; i++) {
        status = i % 2 == 0 ? eid_list_push(list, value) : eid_list_insert(list, i / 2, value);
        len += status == EID_OK;
    }
    if (status == EID_OK)
        status = eid_list_set(list, 2, value);
    if (status == EID_OK && (status = eid_list_remove(list, 3)) == EID_OK)
        len--;
    eid_list *copy = NULL;
    if (status == EID_OK)
        status = eid_list_copy(list, &copy);
    if (status == EID_OK)
        status = eid_list_merge(copy, list);
    if (list != NULL)
        assert_int_equal(eid_list_len(list), len);
    eid_list_free(copy);
    eid_list_free(list);
    return status;
}

static void test_lists(void **state)
{
    (void)state;
    eid_value *value = value_of("{'Doc':{'children':{'a':{'List':[" SLOT(0, "{'Text':'x'}") "]}}}}");
    assert_true(tu_alloc_fault_loop(list_step, value) > 30);
    eid_value_free(value);
}

/* ---- Reading, copying and writing ---- */

static eid_status round_trip_step(void *ctx)
{
    const char *text = ctx;
    eid_doc *doc = NULL, *copy = NULL;
    eid_value *value = NULL, *twin = NULL;
    char *stored = NULL, *plain = NULL;
    eid_status status = eid_doc_from_json(text, strlen(text), &doc);
    if (status == EID_OK)
        status = eid_doc_copy(doc, &copy);
    if (status == EID_OK)
        status = eid_value_new_doc(copy, &value);
    if (status == EID_OK)
        status = eid_value_copy(value, &twin);
    if (status == EID_OK)
        status = eid_value_to_json(twin, &stored, NULL);
    if (status == EID_OK)
        status = eid_doc_to_plain_json(doc, &plain, NULL);
    eid_value *back = NULL;
    if (status == EID_OK)
        status = eid_value_from_json(stored, strlen(stored), &back);
    if (status == EID_OK)
        assert_true(eid_value_equal(back, value));
    else
        assert_null(back);
    eid_free(stored);
    eid_free(plain);
    eid_doc_free(doc);
    eid_doc_free(copy);
    eid_value_free(value);
    eid_value_free(twin);
    eid_value_free(back);
    return status;
}

static void test_round_trips(void **state)
{
    (void)state;
    char *text = quoted(newer_text);
    assert_true(tu_alloc_fault_loop(round_trip_step, text) > 100);
    free(text);
    /* Duplicate keys and slots, where something is freed in the middle of reading. */
    text = quoted("{'children':{'a':{'Doc':{'children':{'b':{'Text':'\\n'}}}},'a':{'List':[" SLOT(
        0, "{'Int':1}") "," SLOT(0, "{'Text':'x'}") "]},'a':'Deleted'}}");
    assert_true(tu_alloc_fault_loop(round_trip_step, text) > 20);
    free(text);
}

static eid_status constructors_step(void *ctx)
{
    (void)ctx;
    eid_value *values[6] = {NULL};
    eid_doc *doc = NULL;
    eid_status status = eid_value_new_null(&values[0]);
    if (status == EID_OK)
        status = eid_value_new_bool(true, &values[1]);
    if (status == EID_OK)
        status = eid_value_new_int(1, &values[2]);
    if (status == EID_OK)
        status = eid_value_new_text("x", 1, &values[3]);
    if (status == EID_OK)
        status = eid_value_new_deleted(&values[4]);
    if (status == EID_OK)
        status = eid_doc_new_atomic(&doc);
    if (status == EID_OK)
        status = eid_doc_put_child(doc, eid_slice_text("k"), values[3]);
    if (status == EID_OK)
        values[3] = NULL; /* taken */
    if (status == EID_OK)
        status = eid_value_new_doc(doc, &values[5]);
    for (size_t i = 0; i < 6; i++)
        eid_value_free(values[i]);
    eid_doc_free(doc);
    return status;
}

static void test_constructors(void **state)
{
    (void)state;
    assert_int_equal(tu_alloc_fault_loop(constructors_step, NULL), 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge),         cmocka_unit_test(test_value_merge),
        cmocka_unit_test(test_random_merges), cmocka_unit_test(test_trying_again),
        cmocka_unit_test(test_setters),       cmocka_unit_test(test_lists),
        cmocka_unit_test(test_round_trips),   cmocka_unit_test(test_constructors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
