/* SPDX-License-Identifier: Apache-2.0 */
/* Merging. The recorded cases are in tests/vectors/test_merges.c; here are the laws, against a model. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers.h"

static void check(const char *older, const char *newer, const char *wanted)
{
    eid_doc *state = doc_of(older), *change = doc_of(newer);
    char *before = stored_of(change);
    tu_assert_ok(eid_doc_merge(state, change));
    assert_stored(state, wanted);
    assert_stored(change, before);
    eid_free(before);
    eid_doc_free(state);
    eid_doc_free(change);
}

static void test_leaves(void **state)
{
    (void)state;
    check("{'children':{}}", "{'children':{'a':{'Int':1}}}", "{'children':{'a':{'Int':1}}}");
    check("{'children':{'a':{'Int':1}}}", "{'children':{}}", "{'children':{'a':{'Int':1}}}");
    check("{'children':{'a':{'Int':1},'b':'Null'}}", "{'children':{'a':{'Text':'x'},'c':'Null'}}",
          "{'children':{'a':{'Text':'x'},'b':'Null','c':'Null'}}");
}

static void test_tombstones(void **state)
{
    (void)state;
    check("{'children':{'a':{'Doc':{'children':{'b':{'Int':1}}}}}}", "{'children':{'a':'Deleted'}}",
          "{'children':{'a':'Deleted'}}");
    check("{'children':{}}", "{'children':{'a':'Deleted'}}", "{'children':{'a':'Deleted'}}");
    check("{'children':{'a':'Deleted'}}", "{'children':{'a':{'Doc':{'children':{'b':{'Int':1}}}}}}",
          "{'children':{'a':{'Doc':{'children':{'b':{'Int':1}}}}}}");
    eid_doc *doc = doc_of("{'children':{'a':{'Int':1},'b':{'Int':2}}}"),
            *change = doc_of("{'children':{'b':'Deleted'}}");
    tu_assert_ok(eid_doc_merge(doc, change));
    assert_int_equal(eid_doc_len(doc), 1);
    eid_doc_free(doc);
    eid_doc_free(change);
}

static void test_atomic(void **state)
{
    (void)state;
    /* Newer atomic: the older is gone. Older atomic: fields come in, the flag stays. */
    check("{'children':{'a':{'Int':1},'b':{'Int':2}}}", "{'_a':true,'children':{'b':{'Int':3}}}",
          "{'_a':true,'children':{'b':{'Int':3}}}");
    check("{'_a':true,'children':{'a':{'Int':1}}}", "{'children':{'b':{'Int':3}}}",
          "{'_a':true,'children':{'a':{'Int':1},'b':{'Int':3}}}");
    /* The flag works at any depth. */
    check("{'children':{'d':{'Doc':{'children':{'a':{'Int':1}}}}}}",
          "{'children':{'d':{'Doc':{'_a':true,'children':{'b':{'Int':2}}}}}}",
          "{'children':{'d':{'Doc':{'_a':true,'children':{'b':{'Int':2}}}}}}");
    check("{'children':{'d':{'Doc':{'_a':true,'children':{'a':{'Int':1}}}}}}",
          "{'children':{'d':{'Doc':{'children':{'b':{'Int':2}}}}}}",
          "{'children':{'d':{'Doc':{'_a':true,'children':{'a':{'Int':1},'b':{'Int':2}}}}}}");
}

static void test_grouping_matters(void **state)
{
    (void)state;
    eid_doc *x = doc_of("{'children':{'u':{'Doc':{'children':{'a':{'Int':1}}}}}}");
    eid_doc *y = doc_of("{'children':{'u':'Deleted'}}");
    eid_doc *z = doc_of("{'children':{'u':{'Doc':{'children':{'b':{'Int':2}}}}}}");
    eid_doc *left = NULL, *yz = NULL, *right = NULL;
    tu_assert_ok(eid_doc_copy(x, &left));
    tu_assert_ok(eid_doc_merge(left, y));
    tu_assert_ok(eid_doc_merge(left, z));
    tu_assert_ok(eid_doc_copy(y, &yz));
    tu_assert_ok(eid_doc_merge(yz, z));
    tu_assert_ok(eid_doc_copy(x, &right));
    tu_assert_ok(eid_doc_merge(right, yz));
    assert_plain(left, "{'u':{'b':2}}");
    assert_plain(right, "{'u':{'a':1,'b':2}}");
    eid_doc *all[] = {x, y, z, left, yz, right};
    for (size_t i = 0; i < 6; i++)
        eid_doc_free(all[i]);
}

static void test_list_slots(void **state)
{
    (void)state;
#define SLOT(n, d, v)                                                                                        \
    "[{'numerator':" #n ",'denominator':" #d ",'unique_id':'00000000-0000-4000-8000-000000000001'}," v "]"
    /* Union; a shared slot (also when its fraction is written otherwise) merges and keeps its older spelling.
     */
    check("{'children':{'l':{'List':[" SLOT(0, 1, "{'Int':1}") "," SLOT(
              1, 2, "{'Doc':{'children':{'a':{'Int':1}}}}") "]}}}",
          "{'children':{'l':{'List':[" SLOT(-1, 1, "'Null'") "," SLOT(0, 1, "'Deleted'") "," SLOT(
              2, 4, "{'Doc':{'children':{'b':{'Int':2}}}}") "]}}}",
          "{'children':{'l':{'List':[" SLOT(-1, 1, "'Null'") "," SLOT(0, 1, "'Deleted'") "," SLOT(
              1, 2, "{'Doc':{'children':{'a':{'Int':1},'b':{'Int':2}}}}") "]}}}");
#undef SLOT
}

/* ---- Against the model ---- */

static void test_random_merges(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(51);
    for (int i = 0; i < 3000; i++) {
        eid_doc *older = random_doc(&random, 3), *newer = random_doc(&random, 3);
        eid_doc *wanted = model_merge(older, newer);
        char *change = stored_of(newer);
        tu_assert_ok(eid_doc_merge(older, newer));
        assert_true(eid_doc_equal(older, wanted));
        assert_stored(newer, change);
        assert_int_equal(eid_doc_len(older), eid_doc_len(wanted));
        char *got = stored_of(older), *model = stored_of(wanted);
        assert_string_equal(got, model);
        eid_free(got);
        eid_free(model);
        eid_free(change);

        /* Applying the same change again changes nothing. */
        tu_assert_ok(eid_doc_merge(older, newer));
        assert_true(eid_doc_equal(older, wanted));
        /* Nor does merging a document with itself, even when both sides are one object. */
        tu_assert_ok(eid_doc_merge(older, older));
        assert_true(eid_doc_equal(older, wanted));
        /* The empty document is the identity on both sides (an atomic one carries its flag over). */
        eid_doc *empty = NULL;
        tu_assert_ok(eid_doc_new(&empty));
        tu_assert_ok(eid_doc_merge(older, empty));
        assert_true(eid_doc_equal(older, wanted));
        tu_assert_ok(eid_doc_merge(empty, older));
        assert_true(eid_doc_equal(older, empty));
        eid_doc_free(empty);
        eid_doc_free(older);
        eid_doc_free(newer);
        eid_doc_free(wanted);
    }
}

static void test_random_value_merges(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(52);
    for (int i = 0; i < 3000; i++) {
        eid_value *older = i % 10 == 0 ? NULL : random_value(&random, 3), *newer = random_value(&random, 3);
        eid_value *wanted = model_merge_value(older, newer);
        tu_assert_ok(eid_value_merge(&older, newer));
        assert_true(eid_value_equal(older, wanted));
        tu_assert_ok(eid_value_merge(&older, older));
        assert_true(eid_value_equal(older, wanted));
        eid_value_free(older);
        eid_value_free(newer);
        eid_value_free(wanted);
    }
}

/* Peers that fold the same changes in the same order hold the same bytes, whether they keep one document or a
 * cell for each top-level key; an atomic change makes every cell forget. */
static void test_folds_agree(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(54);
    for (int round = 0; round < 200; round++) {
        eid_doc *whole = NULL, *cells = NULL, *model = NULL;
        tu_assert_ok(eid_doc_new(&whole));
        tu_assert_ok(eid_doc_new(&cells));
        tu_assert_ok(eid_doc_new(&model));
        for (int i = 0; i < 12; i++) {
            eid_doc *change = random_doc(&random, 2);
            tu_assert_ok(eid_doc_merge(whole, change));
            eid_doc *next = model_merge(model, change);
            eid_doc_free(model);
            model = next;
            if (eid_doc_is_atomic(change)) {
                eid_doc_free(cells);
                tu_assert_ok(eid_doc_new_atomic(&cells));
            }
            const eid_doc_cursor *cursor = NULL;
            const char *key;
            size_t len;
            const eid_value *value;
            while (eid_doc_next_raw(change, &cursor, &key, &len, &value)) {
                eid_value *cell = eid_doc_take_child(cells, eid_slice_of(key, len));
                tu_assert_ok(eid_value_merge(&cell, value));
                tu_assert_ok(eid_doc_put_child(cells, eid_slice_of(key, len), cell));
            }
            eid_doc_free(change);
            char *a = stored_of(whole), *b = stored_of(cells), *c = stored_of(model);
            assert_string_equal(a, b);
            assert_string_equal(a, c);
            eid_free(a);
            eid_free(b);
            eid_free(c);
        }
        eid_doc_free(whole);
        eid_doc_free(cells);
        eid_doc_free(model);
    }
}

/* A change of one key costs the same number of allocations in a document of any size. */
static void test_cost_is_that_of_the_change(void **state)
{
    (void)state;
    size_t counts[2];
    int sizes[] = {10, 20000};
    for (size_t i = 0; i < 2; i++) {
        eid_doc *doc = NULL, *change = NULL;
        tu_assert_ok(eid_doc_new(&doc));
        tu_assert_ok(eid_doc_new(&change));
        char key[16];
        for (int j = 0; j < sizes[i]; j++) {
            snprintf(key, sizeof key, "%06d.n", j);
            tu_assert_ok(eid_doc_set_int(doc, key, j));
        }
        tu_assert_ok(eid_doc_set_int(change, "000005.n", -1));
        tu_assert_ok(eid_doc_set_int(change, "000005.m", -1));
        tu_assert_ok(eid_doc_set_int(change, "new", -1));
        tu_alloc_install();
        tu_assert_ok(eid_doc_merge(doc, change));
        counts[i] = tu_alloc_count();
        /* The new keys and values were made by the counting allocator, which frees as the plain one does. */
        tu_alloc_remove();
        assert_int_equal(eid_doc_len(doc), sizes[i] + 1);
        eid_doc_free(doc);
        eid_doc_free(change);
    }
    assert_int_equal(counts[0], counts[1]);
    assert_true(counts[0] < 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaves),
        cmocka_unit_test(test_tombstones),
        cmocka_unit_test(test_atomic),
        cmocka_unit_test(test_grouping_matters),
        cmocka_unit_test(test_list_slots),
        cmocka_unit_test(test_random_merges),
        cmocka_unit_test(test_random_value_merges),
        cmocka_unit_test(test_folds_agree),
        cmocka_unit_test(test_cost_is_that_of_the_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
