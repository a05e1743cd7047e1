/* SPDX-License-Identifier: Apache-2.0 */
/* merges.json: every recorded merge, in every recorded grouping. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crdt/doc.h"
#include "support/canonical.h"
#include <eidetica/doc.h>
#include <eidetica/memory.h>

static jd_node *recorded;

static int load(void **state)
{
    (void)state;
    recorded = jd_load("merges.json");
    return 0;
}

static int unload(void **state)
{
    (void)state;
    jd_free(recorded);
    return 0;
}

static eid_doc *doc_of(const jd_node *node)
{
    eid_doc *doc = NULL;
    tu_assert_ok(eid_doc_parse(jd_source(node), &doc));
    return doc;
}

static eid_doc *merged(const eid_doc *older, const eid_doc *newer)
{
    eid_doc *result = NULL;
    tu_assert_ok(eid_doc_copy(older, &result));
    tu_assert_ok(eid_doc_merge(result, newer));
    return result;
}

static void assert_doc(const char *name, const char *what, const eid_doc *doc, const char *wanted)
{
    char *text = NULL, label[256];
    snprintf(label, sizeof label, "%s: %s", name, what);
    tu_assert_ok(eid_doc_to_json(doc, &text, NULL));
    assert_canonical(label, text, wanted);
    eid_free(text);
}

/* The results of merging three documents in the recorded ways. */
typedef struct groupings {
    eid_doc *left_right, *right_left;
    eid_doc *base_left, *base_right;
    eid_doc *base_left__right, *base__left_right, *base_right__left;
} groupings;

static groupings group(const eid_doc *base, const eid_doc *left, const eid_doc *right)
{
    groupings g;
    g.left_right = merged(left, right);
    g.right_left = merged(right, left);
    g.base_left = merged(base, left);
    g.base_right = merged(base, right);
    g.base_left__right = merged(g.base_left, right);
    g.base__left_right = merged(base, g.left_right);
    g.base_right__left = merged(g.base_right, left);
    return g;
}

static void ungroup(groupings *g)
{
    eid_doc *all[] = {g->left_right,       g->right_left,       g->base_left,       g->base_right,
                      g->base_left__right, g->base__left_right, g->base_right__left};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        eid_doc_free(all[i]);
}

static void test_cases(void **state)
{
    (void)state;
    const jd_node *cases = jd_need(recorded, "cases");
    for (size_t i = 0; i < jd_len(cases); i++) {
        const jd_node *recording = jd_at(cases, i);
        const char *name = jd_get_str(recording, "name");
        eid_doc *base = doc_of(jd_need(recording, "base"));
        eid_doc *left = doc_of(jd_need(recording, "left"));
        eid_doc *right = doc_of(jd_need(recording, "right"));
        groupings g = group(base, left, right);

        assert_doc(name, "left_right", g.left_right, jd_get_str(recording, "left_right"));
        assert_doc(name, "right_left", g.right_left, jd_get_str(recording, "right_left"));
        assert_doc(name, "base_left__right", g.base_left__right, jd_get_str(recording, "base_left__right"));
        assert_doc(name, "base__left_right", g.base__left_right, jd_get_str(recording, "base__left_right"));
        assert_doc(name, "base_right__left", g.base_right__left, jd_get_str(recording, "base_right__left"));

        eid_doc *twice = merged(left, left);
        assert_int_equal(eid_doc_equal(twice, left), jd_get_bool(recording, "idempotent_left"));
        assert_int_equal(eid_doc_equal(g.left_right, g.right_left),
                         jd_get_bool(recording, "left_right_commute"));
        assert_int_equal(eid_doc_equal(g.base_left__right, g.base__left_right),
                         jd_get_bool(recording, "associative"));
        assert_int_equal(!eid_doc_equal(g.base_left__right, g.base_right__left),
                         jd_get_bool(recording, "order_matters_on_base"));

        eid_doc_free(twice);
        ungroup(&g);
        eid_doc_free(base);
        eid_doc_free(left);
        eid_doc_free(right);
    }
    assert_int_equal(jd_len(cases), 292);
}

/* What the Rust implementation wrote in its own order of members is the same document. */
static void test_as_written(void **state)
{
    (void)state;
    const jd_node *cases = jd_need(recorded, "cases");
    size_t seen = 0;
    for (size_t i = 0; i < jd_len(cases); i++) {
        const jd_node *written = jd_get(jd_at(cases, i), "left_right_as_written");
        if (written == NULL)
            continue;
        eid_doc *doc = NULL;
        tu_assert_ok(eid_doc_parse(jd_slice(written), &doc));
        assert_doc(jd_get_str(jd_at(cases, i), "name"), "as written", doc,
                   jd_get_str(jd_at(cases, i), "left_right"));
        eid_doc_free(doc);
        seen++;
    }
    assert_true(seen > 0);
}

/* ---- All triples of value kinds under one key ---- */

static eid_doc *doc_with_k(const jd_node *values, const char *kind, const char *role)
{
    for (size_t i = 0; i < jd_len(values); i++) {
        if (strcmp(jd_get_str(jd_at(values, i), "kind"), kind) != 0)
            continue;
        eid_slice source = jd_source(jd_need(jd_at(values, i), role));
        eid_value *value = NULL;
        eid_doc *doc = NULL;
        tu_assert_ok(eid_value_parse(source, &value));
        tu_assert_ok(eid_doc_new(&doc));
        tu_assert_ok(eid_doc_put_child(doc, eid_slice_text("k"), value));
        return doc;
    }
    fail_msg("no value of kind %s", kind);
    return NULL;
}

static void test_triples(void **state)
{
    (void)state;
    const jd_node *values = jd_need(recorded, "triple_values");
    const jd_node *triples = jd_need(recorded, "triples");
    size_t not_associative = 0;
    for (size_t i = 0; i < jd_len(triples); i++) {
        const jd_node *triple = jd_at(triples, i);
        const jd_node *kinds = jd_need(triple, "kinds");
        char name[128];
        snprintf(name, sizeof name, "%s / %s / %s", jd_str(jd_at(kinds, 0)), jd_str(jd_at(kinds, 1)),
                 jd_str(jd_at(kinds, 2)));
        eid_doc *base = doc_with_k(values, jd_str(jd_at(kinds, 0)), "as_base");
        eid_doc *left = doc_with_k(values, jd_str(jd_at(kinds, 1)), "as_left");
        eid_doc *right = doc_with_k(values, jd_str(jd_at(kinds, 2)), "as_right");
        groupings g = group(base, left, right);
        assert_doc(name, "base_left__right", g.base_left__right, jd_get_str(triple, "base_left__right"));
        assert_doc(name, "base__left_right", g.base__left_right, jd_get_str(triple, "base__left_right"));
        bool associative = eid_doc_equal(g.base_left__right, g.base__left_right);
        assert_int_equal(associative, jd_get_bool(triple, "associative"));
        not_associative += !associative;
        ungroup(&g);
        eid_doc_free(base);
        eid_doc_free(left);
        eid_doc_free(right);
    }
    assert_int_equal(jd_len(triples), 512);
    assert_int_equal(not_associative, jd_get_u64(recorded, "triples_not_associative"));
}

/* ---- Folds ---- */

static void test_folds(void **state)
{
    (void)state;
    const jd_node *folds = jd_need(recorded, "folds");
    for (size_t i = 0; i < jd_len(folds); i++) {
        const jd_node *docs = jd_need(jd_at(folds, i), "docs");
        char name[32];
        snprintf(name, sizeof name, "fold %zu", i);
        size_t count = jd_len(docs);
        eid_doc *left = NULL;
        tu_assert_ok(eid_doc_new(&left));
        eid_doc *right = doc_of(jd_at(docs, count - 1));
        for (size_t j = 0; j < count; j++) {
            eid_doc *next = doc_of(jd_at(docs, j));
            tu_assert_ok(eid_doc_merge(left, next));
            eid_doc_free(next);
            if (j + 1 == count)
                break;
            eid_doc *before = doc_of(jd_at(docs, count - 2 - j));
            tu_assert_ok(eid_doc_merge(before, right));
            eid_doc_free(right);
            right = before;
        }
        assert_doc(name, "from the left", left, jd_get_str(jd_at(folds, i), "left_fold_from_empty"));
        assert_doc(name, "from the right", right, jd_get_str(jd_at(folds, i), "right_fold"));
        assert_int_equal(eid_doc_equal(left, right), jd_get_bool(jd_at(folds, i), "equal"));
        eid_doc_free(left);
        eid_doc_free(right);
    }
    assert_int_equal(jd_len(folds), 20);
}

/* The cells of a store: folding each top-level key by itself gives the same document, an atomic Doc being a
 * barrier that forgets all keys before it. */
static void test_folds_by_key(void **state)
{
    (void)state;
    const jd_node *folds = jd_need(recorded, "folds");
    for (size_t i = 0; i < jd_len(folds); i++) {
        const jd_node *docs = jd_need(jd_at(folds, i), "docs");
        eid_doc *cells = NULL;
        tu_assert_ok(eid_doc_new(&cells));
        for (size_t j = 0; j < jd_len(docs); j++) {
            eid_doc *next = doc_of(jd_at(docs, j));
            if (eid_doc_is_atomic(next)) {
                eid_doc_free(cells);
                tu_assert_ok(eid_doc_new_atomic(&cells));
            }
            const eid_doc_cursor *cursor = NULL;
            const char *key;
            size_t len;
            const eid_value *value;
            while (eid_doc_next_raw(next, &cursor, &key, &len, &value)) {
                eid_value *cell = eid_doc_take_child(cells, eid_slice_of(key, len));
                tu_assert_ok(eid_value_merge(&cell, value));
                tu_assert_ok(eid_doc_put_child(cells, eid_slice_of(key, len), cell));
            }
            eid_doc_free(next);
        }
        assert_doc("fold by key", "cells", cells, jd_get_str(jd_at(folds, i), "left_fold_from_empty"));
        eid_doc_free(cells);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases), cmocka_unit_test(test_as_written),   cmocka_unit_test(test_triples),
        cmocka_unit_test(test_folds), cmocka_unit_test(test_folds_by_key),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
