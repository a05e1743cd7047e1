/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crdt/crdt_int.h"
#include "helpers.h"

#define SLOT(n, v)                                                                                           \
    "[{'numerator':" #n ",'denominator':1,'unique_id':'00000000-0000-4000-8000-000000000001'}," v "]"

/* The steps as a line: "(" enters, ")" leaves, "*" before the first of a container, keys and numerators as
 * names. */
static char *trace(eid_walk *walk, const char *skipped)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    eid_walk_step step;
    while ((step = eid_walk_next(walk)) != EID_WALK_END) {
        bool is_container = walk->value->kind == EID_VALUE_DOC || walk->value->kind == EID_VALUE_LIST;
        assert_int_equal(is_container, step != EID_WALK_LEAF);
        if (step == EID_WALK_LEAVE) {
            fputc(')', out);
        } else if (walk->first) {
            fputc('*', out);
        }
        if (walk->position != NULL)
            fprintf(out, "%d", (int)walk->position->numerator);
        else
            fprintf(out, "%s", (const char *)walk->key.data);
        if (step == EID_WALK_ENTER) {
            fputc('(', out);
            if (skipped != NULL && walk->position == NULL && eid_slice_is(walk->key, skipped))
                eid_walk_skip(walk);
        } else {
            fputc(' ', out);
        }
    }
    assert_int_equal(fclose(out), 0);
    return text;
}

static void check(const char *stored, const char *skipped, const char *wanted)
{
    eid_doc *doc = doc_of(stored);
    eid_walk walk;
    eid_walk_doc(&walk, doc);
    char *text = trace(&walk, skipped);
    assert_string_equal(text, wanted);
    free(text);
    eid_doc_free(doc);
}

static const char
    sample[] = "{'children':{'a':'Null','b':{'Doc':{'children':{}}},'c':{'Doc':{'children':{'d':{'List':"
               "[" SLOT(1, "'Deleted'") "," SLOT(2, "{'Doc':{'children':{'e':{'Int':1}}}}") "," SLOT(
                   3, "{'List':[]}") "]},'f':'Null'}}},'g':'Deleted'}}";

static void test_steps(void **state)
{
    (void)state;
    check("{'children':{}}", NULL, "");
    check(sample, NULL, "*a b()b c(*d(*1 2(*e )2 3()3 )d f )c g ");
}

static void test_skip(void **state)
{
    (void)state;
    check(sample, "c", "*a b()b c(g ");
    check(sample, "d", "*a b()b c(*d(f )c g ");
    check(sample, "b", "*a b(c(*d(*1 2(*e )2 3()3 )d f )c g ");
}

static void test_list(void **state)
{
    (void)state;
    eid_doc *doc = doc_of(sample);
    const eid_list *list = NULL;
    tu_assert_ok(eid_doc_get_list(doc, "c.d", &list));
    eid_walk walk;
    eid_walk_list(&walk, list);
    char *text = trace(&walk, NULL);
    assert_string_equal(text, "*1 2(*e )2 3()3 ");
    free(text);
    eid_doc_free(doc);
}

/* A key whose value was never finished is passed over, wherever it stands. */
static void test_unfinished_keys(void **state)
{
    (void)state;
    eid_doc *doc = NULL;
    tu_assert_ok(eid_doc_new(&doc));
    const char *keys[] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < 4; i++) {
        eid_map_entry *entry = NULL;
        bool created = false;
        tu_assert_ok(eid_doc_entry(doc, eid_slice_text(keys[i]), &entry, &created));
        assert_true(created && entry->value == NULL);
        if (i == 2)
            assert_null(eid_doc_place(doc, entry, int_of(1)));
    }
    assert_int_equal(eid_doc_len(doc), 1);
    eid_walk walk;
    eid_walk_doc(&walk, doc);
    assert_int_equal(eid_walk_next(&walk), EID_WALK_LEAF);
    assert_true(eid_slice_is(walk.key, "c"));
    assert_int_equal(eid_walk_next(&walk), EID_WALK_END);
    eid_doc_free(doc);
}

/* The deepest document there is fills all frames and no more. */
static void test_deepest(void **state)
{
    (void)state;
    eid_doc *doc = NULL;
    eid_list *list = NULL;
    tu_assert_ok(eid_doc_new(&doc));
    tu_assert_ok(eid_list_new(&list));
    char path[2 * EID_LIMIT_DOC_PATH];
    for (size_t i = 0; i < EID_LIMIT_DOC_PATH; i++)
        memcpy(path + 2 * i, "k.", 2);
    path[sizeof path - 1] = '\0';
    tu_assert_ok(eid_doc_set_list(doc, path, list));
    assert_int_equal(eid_doc_containers(doc), EID_LIMIT_JSON_DEPTH);
    eid_walk walk;
    eid_walk_doc(&walk, doc);
    size_t deepest = 0, steps = 0;
    while (eid_walk_next(&walk) != EID_WALK_END) {
        deepest = walk.depth > deepest ? walk.depth : deepest;
        steps++;
    }
    assert_int_equal(deepest, EID_CRDT_LEVELS);
    assert_int_equal(steps, 2 * EID_LIMIT_DOC_PATH);
    eid_list_free(list);
    eid_doc_free(doc);
}

/* The measure of a value is what its text really nests. */
static size_t nesting_of(const char *text)
{
    size_t open = 0, most = 0;
    bool in_text = false;
    for (const char *at = text; *at != '\0'; at++) {
        if (in_text && *at == '\\') {
            at++;
        } else if (*at == '"') {
            in_text = !in_text;
        } else if (!in_text && (*at == '{' || *at == '[')) {
            open++;
            most = open > most ? open : most;
        } else if (!in_text && (*at == '}' || *at == ']')) {
            open--;
        }
    }
    assert_int_equal(open, 0);
    return most;
}

static void test_containers(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(91);
    for (int i = 0; i < 3000; i++) {
        eid_value *value = random_value(&random, (unsigned)(i % 6));
        char *text = NULL;
        tu_assert_ok(eid_value_to_json(value, &text, NULL));
        assert_int_equal(eid_value_containers(value), nesting_of(text));
        eid_free(text);
        eid_value_free(value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),   cmocka_unit_test(test_skip),
        cmocka_unit_test(test_list),    cmocka_unit_test(test_unfinished_keys),
        cmocka_unit_test(test_deepest), cmocka_unit_test(test_containers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
