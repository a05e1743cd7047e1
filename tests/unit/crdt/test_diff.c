/* SPDX-License-Identifier: Apache-2.0 */
/* Composing two changes into one, and the change that makes one document into another. */
#include <string.h>

#include "helpers.h"

/* ---- Composing ---- */

static eid_doc *copied(const eid_doc *doc)
{
    eid_doc *copy = NULL;
    tu_assert_ok(eid_doc_copy(doc, &copy));
    return copy;
}

static eid_doc *merged(const eid_doc *state, const eid_doc *change)
{
    eid_doc *result = copied(state);
    tu_assert_ok(eid_doc_merge(result, change));
    return result;
}

static eid_doc *composed(const eid_doc *first, const eid_doc *second)
{
    eid_doc *result = copied(first);
    tu_assert_ok(eid_doc_compose(result, second));
    return result;
}

static bool shows_the_same(const eid_doc *a, const eid_doc *b)
{
    char *left = NULL, *right = NULL;
    tu_assert_ok(eid_doc_to_plain_json(a, &left, NULL));
    tu_assert_ok(eid_doc_to_plain_json(b, &right, NULL));
    bool same = strcmp(left, right) == 0;
    eid_free(left);
    eid_free(right);
    return same;
}

/* {what is staged, what is set next, what both together are} */
static void test_compose(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"{'children':{'a':{'Int':1}}}", "{'children':{'a':{'Int':2}}}", "{'children':{'a':{'Int':2}}}"},
        {"{'children':{'a':{'Int':1}}}", "{'children':{'b':'Deleted'}}",
         "{'children':{'a':{'Int':1},'b':'Deleted'}}"},
        /* A Doc over nothing merges with what the state may have; over the end of it, it stands alone. */
        {"{'children':{}}", "{'children':{'u':{'Doc':{'children':{'x':'Null'}}}}}",
         "{'children':{'u':{'Doc':{'children':{'x':'Null'}}}}}"},
        {"{'children':{'u':'Deleted'}}", "{'children':{'u':{'Doc':{'children':{'x':'Null'}}}}}",
         "{'children':{'u':{'Doc':{'_a':true,'children':{'x':'Null'}}}}}"},
        {"{'children':{'u':{'Int':5}}}", "{'children':{'u':{'Doc':{'children':{}}}}}",
         "{'children':{'u':{'Doc':{'_a':true,'children':{}}}}}"},
        {"{'children':{'u':{'List':[]}}}", "{'children':{'u':{'Doc':{'children':{}}}}}",
         "{'children':{'u':{'Doc':{'_a':true,'children':{}}}}}"},
        /* At any depth, and only there. */
        {"{'children':{'u':{'Doc':{'children':{'v':'Deleted','w':{'Int':1}}}}}}",
         "{'children':{'u':{'Doc':{'children':{'v':{'Doc':{'children':{'x':'Null'}}}}}}}}",
         "{'children':{'u':{'Doc':{'children':{'v':{'Doc':{'_a':true,'children':{'x':'Null'}}},'w':{'Int':1}}"
         "}}}}"},
        /* What is atomic already stays so, and takes everything. */
        {"{'children':{'u':{'Doc':{'_a':true,'children':{'x':'Null'}}}}}",
         "{'children':{'u':{'Doc':{'children':{'y':'Null'}}}}}",
         "{'children':{'u':{'Doc':{'_a':true,'children':{'x':'Null','y':'Null'}}}}}"},
        {"{'children':{'u':{'Int':1}}}", "{'_a':true,'children':{'x':'Null'}}",
         "{'_a':true,'children':{'x':'Null'}}"},
        {"{'_a':true,'children':{'u':{'Int':1}}}", "{'children':{'x':'Null'}}",
         "{'_a':true,'children':{'u':{'Int':1},'x':'Null'}}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eid_doc *first = doc_of(cases[i][0]), *second = doc_of(cases[i][1]);
        tu_assert_ok(eid_doc_compose(first, second));
        assert_stored(first, cases[i][2]);
        eid_doc_free(first);
        eid_doc_free(second);
    }
}

/* The one thing a composed change can not say: a List in place of something that is no List. */
static bool ends_in_a_list(const eid_value *first, const eid_value *second);

static bool docs_end_in_a_list(const eid_doc *first, const eid_doc *second)
{
    const eid_doc_cursor *cursor = NULL;
    const char *key;
    size_t len;
    const eid_value *value;
    if (eid_doc_is_atomic(second))
        return false;
    while (eid_doc_next_raw(second, &cursor, &key, &len, &value)) {
        const eid_value *before = eid_doc_child(first, eid_slice_of(key, len));
        if (before != NULL && ends_in_a_list(before, value))
            return true;
    }
    return false;
}

static bool lists_end_in_a_list(const eid_list *first, const eid_list *second)
{
    for (size_t i = 0; i < eid_list_slots(second); i++) {
        eid_position position, other;
        const eid_value *value = NULL, *before = NULL;
        eid_list_slot(second, i, &position, &value);
        for (size_t j = 0; j < eid_list_slots(first); j++) {
            eid_list_slot(first, j, &other, &before);
            if (eid_position_compare(&position, &other) == 0 && ends_in_a_list(before, value))
                return true;
        }
    }
    return false;
}

static bool ends_in_a_list(const eid_value *first, const eid_value *second)
{
    const eid_doc *left = NULL, *right = NULL;
    const eid_list *before = NULL, *after = NULL;
    if (eid_value_as_doc(first, &left) == EID_OK && eid_value_as_doc(second, &right) == EID_OK)
        return docs_end_in_a_list(left, right);
    if (eid_value_as_list(second, &after) != EID_OK)
        return false;
    return eid_value_as_list(first, &before) != EID_OK || lists_end_in_a_list(before, after);
}

/* What the state shows is the same, whether two changes reach it one after the other or as one. */
static void test_random_compositions(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(501);
    int compared = 0;
    for (int i = 0; i < 4000; i++) {
        eid_doc *base = random_doc(&random, 3), *a = random_doc(&random, 3), *b = random_doc(&random, 3);
        eid_doc *after_a = merged(base, a), *wanted = merged(after_a, b);
        eid_doc *both = composed(a, b), *got = merged(base, both);
        if (!docs_end_in_a_list(a, b)) {
            assert_true(shows_the_same(got, wanted));
            compared++;
        }
        /* Applied once more, the same change makes no difference: transactions may be read many times. */
        eid_doc *again = merged(got, both);
        assert_true(shows_the_same(again, got));
        eid_doc *all[] = {base, a, b, after_a, wanted, both, got, again};
        for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
            eid_doc_free(all[k]);
    }
    assert_true(compared > 2000);
}

/* ---- Differences ---- */

/* {before, after, the change} */
static void test_diff(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"{'children':{}}", "{'children':{}}", "{'children':{}}"},
        {"{'children':{'a':{'Int':1},'b':'Null'}}", "{'children':{'a':{'Int':1},'b':{'Int':2}}}",
         "{'children':{'b':{'Int':2}}}"},
        {"{'children':{'a':{'Int':1},'b':'Null'}}", "{'children':{'b':'Null'}}",
         "{'children':{'a':'Deleted'}}"},
        /* Only what differs, however deep. */
        {"{'children':{'u':{'Doc':{'children':{'v':{'Doc':{'children':{'x':{'Int':1},'y':'Null'}}},'w':'Null'"
         "}}}}}",
         "{'children':{'u':{'Doc':{'children':{'v':{'Doc':{'children':{'x':{'Int':2},'y':'Null'}}},'w':'Null'"
         "}}}}}",
         "{'children':{'u':{'Doc':{'children':{'v':{'Doc':{'children':{'x':{'Int':2}}}}}}}}}"},
        {"{'children':{'u':{'Doc':{'children':{'v':{'Doc':{'children':{'x':{'Int':1}}}}}}}}}",
         "{'children':{'u':{'Doc':{'children':{'v':{'Doc':{'children':{}}}}}}}}",
         "{'children':{'u':{'Doc':{'children':{'v':{'Doc':{'children':{'x':'Deleted'}}}}}}}}"},
        /* A tombstone on one side only. */
        {"{'children':{'a':'Deleted'}}", "{'children':{}}", "{'children':{}}"},
        {"{'children':{}}", "{'children':{'a':'Deleted'}}", "{'children':{'a':'Deleted'}}"},
        {"{'children':{'a':'Deleted'}}", "{'children':{'a':'Deleted'}}", "{'children':{}}"},
        /* Another kind. */
        {"{'children':{'a':{'Int':1}}}", "{'children':{'a':{'Doc':{'children':{'x':'Null'}}}}}",
         "{'children':{'a':{'Doc':{'children':{'x':'Null'}}}}}"},
        {"{'children':{'a':{'Doc':{'children':{'x':'Null'}}}}}", "{'children':{'a':'Null'}}",
         "{'children':{'a':'Null'}}"},
        /* Becoming atomic takes all of it; what was atomic is changed in parts. */
        {"{'children':{'x':'Null'}}", "{'_a':true,'children':{'x':'Null'}}",
         "{'_a':true,'children':{'x':'Null'}}"},
        {"{'children':{'u':{'Doc':{'children':{'x':'Null'}}}}}",
         "{'children':{'u':{'Doc':{'_a':true,'children':{'x':'Null'}}}}}",
         "{'children':{'u':{'Doc':{'_a':true,'children':{'x':'Null'}}}}}"},
        {"{'children':{'u':{'Doc':{'_a':true,'children':{'x':'Null','y':'Null'}}}}}",
         "{'children':{'u':{'Doc':{'_a':true,'children':{'x':{'Int':1},'y':'Null'}}}}}",
         "{'children':{'u':{'Doc':{'children':{'x':{'Int':1}}}}}}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eid_doc *before = doc_of(cases[i][0]), *after = doc_of(cases[i][1]), *change = NULL;
        tu_assert_ok(eid_doc_diff(before, after, &change));
        assert_stored(change, cases[i][2]);
        assert_stored(before, cases[i][0]);
        eid_doc_free(change);
        eid_doc_free(before);
        eid_doc_free(after);
    }
}

/* Of a list only the slots that differ. */
static void test_diff_of_lists(void **state)
{
    (void)state;
    eid_doc *before = NULL, *after = NULL, *change = NULL;
    tu_assert_ok(eid_doc_new(&before));
    tu_assert_ok(eid_doc_set_json(before, "l", "[1,2,3,{\"x\":1,\"y\":1}]"));
    after = copied(before);
    tu_assert_ok(eid_doc_set_int(after, "l.1", 20));
    tu_assert_ok(eid_doc_set_int(after, "l.3.x", 10));
    tu_assert_ok(eid_doc_remove(after, "l.0"));
    eid_value *added = int_of(9);
    tu_assert_ok(eid_doc_push(after, "l", added));
    eid_value_free(added);
    tu_assert_ok(eid_doc_diff(before, after, &change));
    assert_plain(change, "{'l':[20,{'x':10},9]}");
    const eid_list *list = NULL;
    tu_assert_ok(eid_doc_get_list(change, "l", &list));
    assert_int_equal(eid_list_slots(list), 4);
    tu_assert_ok(eid_doc_merge(before, change));
    assert_true(eid_doc_equal(before, after));
    eid_doc_free(change);

    /* A list that knows nothing of the old slots: they are marked as deleted. */
    eid_doc *anew = NULL;
    tu_assert_ok(eid_doc_new(&anew));
    tu_assert_ok(eid_doc_set_json(anew, "l", "[7]"));
    tu_assert_ok(eid_doc_diff(before, anew, &change));
    tu_assert_ok(eid_doc_merge(before, change));
    assert_plain(before, "{'l':[7]}");
    eid_doc_free(anew);
    eid_doc_free(change);
    eid_doc_free(before);
    eid_doc_free(after);
}

static void test_random_differences(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(502);
    for (int i = 0; i < 4000; i++) {
        eid_doc *before = random_doc(&random, 3), *after = random_doc(&random, 3), *change = NULL;
        char *kept = stored_of(after);
        tu_assert_ok(eid_doc_diff(before, after, &change));
        eid_doc *made = merged(before, change);
        assert_true(shows_the_same(made, after));
        assert_stored(after, kept);
        eid_free(kept);
        eid_doc_free(change);

        /* Nothing differs from itself, nor from what was made of it. */
        tu_assert_ok(eid_doc_diff(made, made, &change));
        assert_int_equal(eid_doc_child_count(change), 0);
        assert_false(eid_doc_is_atomic(change));
        eid_doc_free(change);
        eid_doc_free(made);
        eid_doc_free(before);
        eid_doc_free(after);
    }
}

/* A change made next to random documents is found exactly, and others' changes beside it stay. */
static void test_differences_leave_the_rest(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(503);
    for (int i = 0; i < 500; i++) {
        eid_doc *before = random_doc(&random, 3), *change = NULL;
        eid_doc_set_atomic(before, false);
        tu_assert_ok(eid_doc_set_json(before, "mine", "{\"x\":1,\"y\":1}"));
        eid_doc *after = copied(before), *theirs = copied(before);
        tu_assert_ok(eid_doc_set_int(after, "mine.x", 2));
        tu_assert_ok(eid_doc_set_int(theirs, "mine.y", 3));
        tu_assert_ok(eid_doc_diff(before, after, &change));
        assert_stored(change, "{'children':{'mine':{'Doc':{'children':{'x':{'Int':2}}}}}}");
        tu_assert_ok(eid_doc_merge(theirs, change));
        int64_t x = 0, y = 0;
        tu_assert_ok(eid_doc_get_int(theirs, "mine.x", &x));
        tu_assert_ok(eid_doc_get_int(theirs, "mine.y", &y));
        assert_true(x == 2 && y == 3);
        eid_doc_free(change);
        eid_doc_free(after);
        eid_doc_free(theirs);
        eid_doc_free(before);
    }
}

/* As deep as documents go. */
static void test_deepest_difference(void **state)
{
    (void)state;
    char path[2 * 42] = "k";
    for (int i = 1; i < 42; i++)
        strcat(path, ".k");
    eid_doc *before = NULL, *after = NULL, *change = NULL;
    tu_assert_ok(eid_doc_new(&before));
    tu_assert_ok(eid_doc_set_int(before, path, 1));
    after = copied(before);
    tu_assert_ok(eid_doc_set_int(after, path, 2));
    tu_assert_ok(eid_doc_diff(before, after, &change));
    assert_true(eid_doc_equal(change, after));
    eid_doc_free(change);
    tu_assert_ok(eid_doc_remove(after, path));
    tu_assert_ok(eid_doc_diff(before, after, &change));
    assert_true(eid_doc_is_tombstone(change, path));
    eid_doc_free(change);
    eid_doc_free(before);
    eid_doc_free(after);
}

/* ---- Memory ---- */

typedef struct documents {
    eid_doc *before;
    eid_doc *after;
    eid_doc *kept; /* a copy of the first */
} documents;

static eid_status diff_step(void *ctx)
{
    documents *d = ctx;
    eid_doc *change = NULL, *copy = NULL;
    eid_status status = eid_doc_diff(d->before, d->after, &change);
    eid_doc_free(change);
    if (status == EID_OK)
        status = eid_doc_copy(d->before, &copy);
    if (status == EID_OK) {
        status = eid_doc_compose(copy, d->after);
        if (status != EID_OK)
            assert_true(eid_doc_equal(copy, d->kept));
    }
    eid_doc_free(copy);
    assert_true(eid_doc_equal(d->before, d->kept));
    return status;
}

static void test_short_memory(void **state)
{
    (void)state;
    tu_alloc_install();
    documents d = {NULL, NULL, NULL};
    tu_assert_ok(eid_doc_new(&d.before));
    tu_assert_ok(eid_doc_set_json(d.before, "a", "{\"b\":{\"c\":1,\"d\":[1,2]},\"e\":5}"));
    tu_assert_ok(eid_doc_set_json(d.before, "gone", "{\"x\":[]}"));
    tu_assert_ok(eid_doc_copy(d.before, &d.after));
    tu_assert_ok(eid_doc_copy(d.before, &d.kept));
    tu_assert_ok(eid_doc_set_int(d.after, "a.b.d.0", 2));
    tu_assert_ok(eid_doc_set_json(d.after, "a.e", "{\"now\":\"a document\"}"));
    tu_assert_ok(eid_doc_remove(d.after, "gone"));
    assert_true(tu_alloc_fault_loop(diff_step, &d) > 10);
    eid_doc_free(d.before);
    eid_doc_free(d.after);
    eid_doc_free(d.kept);
    tu_alloc_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compose),
        cmocka_unit_test(test_random_compositions),
        cmocka_unit_test(test_diff),
        cmocka_unit_test(test_diff_of_lists),
        cmocka_unit_test(test_random_differences),
        cmocka_unit_test(test_differences_leave_the_rest),
        cmocka_unit_test(test_deepest_difference),
        cmocka_unit_test(test_short_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
