/* SPDX-License-Identifier: Apache-2.0 */
/* Lists inside stores: every change is staged as the slots it touches, and merges rightly with what others
 * do. */
#include "fixture.h"

static eid_value *number(int64_t n)
{
    eid_value *value;

    tu_assert_ok(eid_value_new_int(n, &value));
    return value;
}

static void push(eid_txn *txn, const char *path, int64_t n)
{
    eid_value *value = number(n);

    tu_assert_ok(eid_docstore_push(txn, "s", path, value));
    eid_value_free(value);
}

static void insert(eid_txn *txn, const char *path, size_t index, int64_t n)
{
    eid_value *value = number(n);

    tu_assert_ok(eid_docstore_insert(txn, "s", path, index, value));
    eid_value_free(value);
}

static void set_json(fixture *f, const char *path, const char *json)
{
    eid_txn *txn = begin(f);

    tu_assert_ok(eid_docstore_set_json(txn, "s", path, json));
    commit(txn);
}

static void assert_now(fixture *f, const char *wanted)
{
    eid_txn *txn = begin(f);

    assert_all(txn, "s", wanted);
    eid_txn_free(txn);
}

/* How many slots of the list at the path, tombstones included, the entry carries; 0 when it carries no list
 * there. */
static size_t carried(fixture *f, const eid_id *id, const char *path)
{
    char *text = payload(f, id, "s");
    eid_doc *doc;
    const eid_list *list;
    const eid_list_cursor *cursor = NULL;
    const eid_value *value;
    size_t count = 0;

    tu_assert_ok(eid_doc_from_json(text, strlen(text), &doc));
    if (eid_doc_get_list(doc, path, &list) == EID_OK)
        while (eid_list_next_raw(list, &cursor, NULL, &value))
            count++;
    eid_doc_free(doc);
    free(text);
    return count;
}

static void elements_are_added_and_changed(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);

    push(txn, "l", 1); /* the list is made */
    push(txn, "l", 3);
    insert(txn, "l", 1, 2);
    insert(txn, "l", 0, 0);
    assert_all(txn, "s", "{\"l\":[0,1,2,3]}");
    commit(txn);
    txn = begin(f);
    push(txn, "l", 4);
    tu_assert_ok(eid_docstore_set_int(txn, "s", "l.0", 10));
    tu_assert_ok(eid_docstore_delete(txn, "s", "l.1", NULL));
    assert_all(txn, "s", "{\"l\":[10,2,3,4]}");
    eid_id id = commit(txn);
    assert_int_equal(carried(f, &id, "l"), 3); /* a new slot, a changed one, a tombstone */
    assert_now(f, "{\"l\":[10,2,3,4]}");
}

static void lists_in_lists_and_documents(void **state)
{
    fixture *f = *state;

    set_json(f, "a", "{\"b\":[[1],{\"c\":[2]}]}");
    eid_txn *txn = begin(f);
    push(txn, "a.b.0", 11);
    push(txn, "a.b.1.c", 22);
    push(txn, "a.b.1.new", 33);
    push(txn, "x.y.z", 44);
    assert_all(txn, "s", "{\"a\":{\"b\":[[1,11],{\"c\":[2,22],\"new\":[33]}]},\"x\":{\"y\":{\"z\":[44]}}}");
    commit(txn);
    assert_now(f, "{\"a\":{\"b\":[[1,11],{\"c\":[2,22],\"new\":[33]}]},\"x\":{\"y\":{\"z\":[44]}}}");
}

static void wrong_uses_are_refused(void **state)
{
    fixture *f = *state;
    eid_value *value = number(1);

    set_json(f, "a", "{\"l\":[1],\"t\":\"text\"}");
    eid_txn *txn = begin(f);
    tu_assert_fails(eid_docstore_push(txn, "s", "a.t", value), EID_ERR_TYPE_MISMATCH);
    assert_string_equal(eid_last_error(), "the value at \"a.t\" is of kind text, not list");
    tu_assert_fails(eid_docstore_push(txn, "s", "a", value), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_docstore_insert(txn, "s", "a.l", 2, value), EID_ERR_INDEX_OUT_OF_BOUNDS);
    tu_assert_fails(eid_docstore_insert(txn, "s", "new", 1, value), EID_ERR_INDEX_OUT_OF_BOUNDS);
    tu_assert_fails(eid_docstore_set(txn, "s", "a.l.1", value), EID_ERR_INDEX_OUT_OF_BOUNDS);
    tu_assert_fails(eid_docstore_set(txn, "s", "a.l.x", value), EID_ERR_INDEX_OUT_OF_BOUNDS);
    tu_assert_fails(eid_docstore_push(txn, "s", "..", value), EID_ERR_INVALID_PATH);
    tu_assert_fails(eid_docstore_push(txn, "s", NULL, value), EID_ERR_INVALID_ARGUMENT);
    eid_id id = commit(txn);
    assert_true(eid_id_is_empty(&id));
    eid_value_free(value);
}

static void elements_beside_a_named_one(void **state)
{
    fixture *f = *state;
    eid_list *list;
    eid_list_position two, made;
    eid_value *value = number(25);

    set_json(f, "l", "[1,2,3]");
    eid_txn *txn = begin(f), *other = begin(f);
    tu_assert_ok(eid_docstore_get_list(txn, "s", "l", &list));
    tu_assert_ok(eid_list_position_at(list, 1, &two));
    eid_list_free(list);
    insert(other, "l", 0, 0); /* indices move, positions do not */
    tu_assert_ok(eid_docstore_delete(other, "s", "l.2", NULL));
    commit(other);
    tu_assert_ok(eid_docstore_insert_after(txn, "s", "l", &two, value, &made));
    commit(txn);
    assert_now(f, "{\"l\":[0,1,25,3]}"); /* the neighbour was deleted meanwhile: still in its place */

    txn = begin(f);
    tu_assert_ok(eid_docstore_insert_before(txn, "s", "l", &made, value, NULL));
    tu_assert_ok(eid_docstore_insert_after(txn, "s", "l", NULL, value, NULL));
    tu_assert_ok(eid_docstore_insert_before(txn, "s", "l", NULL, value, NULL));
    tu_assert_ok(eid_docstore_insert_after(txn, "s", "new", NULL, value, NULL));
    assert_all(txn, "s", "{\"l\":[25,0,1,25,25,3,25],\"new\":[25]}");
    eid_list_position nowhere = {5, 7, {1}};
    tu_assert_fails(eid_docstore_insert_after(txn, "s", "l", &nowhere, value, &made), EID_ERR_KEY_NOT_FOUND);
    tu_assert_fails(eid_docstore_insert_after(txn, "s", "new.0", NULL, value, &made), EID_ERR_TYPE_MISMATCH);
    eid_id id = commit(txn);
    assert_int_equal(carried(f, &id, "l"), 3);
    eid_value_free(value);
}

/* ---- Others ---- */

static void concurrent_insertions_all_stay(void **state)
{
    fixture *f = *state;
    eid_txn *txns[5];
    eid_list *list;

    set_json(f, "l", "[1,9]");
    for (size_t i = 0; i < 5; i++)
        txns[i] = begin(f);
    push(txns[0], "l", 10);
    push(txns[1], "l", 11);
    insert(txns[2], "l", 1, 5);
    tu_assert_ok(eid_docstore_delete(txns[3], "s", "l.0", NULL));
    tu_assert_ok(eid_docstore_set_int(txns[4], "s", "l.1", 90));
    for (size_t i = 0; i < 5; i++)
        commit(txns[i]);
    eid_txn *txn = begin(f);
    tu_assert_ok(eid_docstore_get_list(txn, "s", "l", &list));
    assert_int_equal(eid_list_len(list), 4);
    int64_t first, second, third, fourth;
    tu_assert_ok(eid_list_get_int(list, 0, &first));
    tu_assert_ok(eid_list_get_int(list, 1, &second));
    tu_assert_ok(eid_list_get_int(list, 2, &third));
    tu_assert_ok(eid_list_get_int(list, 3, &fourth));
    assert_true(first == 5 && second == 90);
    assert_true((third == 10 && fourth == 11) || (third == 11 && fourth == 10));
    eid_list_free(list);
    eid_txn_free(txn);
}

/* Two lists made at one path at the same time become one. */
static void concurrent_first_pushes_merge(void **state)
{
    fixture *f = *state;
    eid_txn *first = begin(f), *second = begin(f);
    eid_list *list;

    push(first, "a.l", 1);
    push(second, "a.l", 2);
    commit(first);
    commit(second);
    first = begin(f);
    tu_assert_ok(eid_docstore_get_list(first, "s", "a.l", &list));
    assert_int_equal(eid_list_len(list), 2);
    eid_list_free(list);
    eid_txn_free(first);
}

/* ---- Deleted and made again ---- */

/* In one transaction as in several: old elements do not come back. */
static void a_list_made_anew_is_new(void **state)
{
    fixture *f = *state;

    set_json(f, "l", "[1,2,3]");
    set_json(f, "u", "{\"l\":[1,2],\"x\":1}");
    eid_txn *txn = begin(f);
    tu_assert_ok(eid_docstore_delete(txn, "s", "l", NULL));
    push(txn, "l", 4);
    assert_all(txn, "s", "{\"l\":[4],\"u\":{\"l\":[1,2],\"x\":1}}");
    tu_assert_ok(eid_docstore_delete(txn, "s", "u.l", NULL));
    tu_assert_ok(eid_docstore_set_json(txn, "s", "u.l", "[5]"));
    assert_all(txn, "s", "{\"l\":[4],\"u\":{\"l\":[5],\"x\":1}}");
    commit(txn);
    assert_now(f, "{\"l\":[4],\"u\":{\"l\":[5],\"x\":1}}");

    /* Over a leaf, over a Doc, inside a Doc that is set. */
    txn = begin(f);
    tu_assert_ok(eid_docstore_set_int(txn, "s", "l", 0));
    tu_assert_ok(eid_docstore_set_json(txn, "s", "l", "[6]"));
    tu_assert_ok(eid_docstore_set_json(txn, "s", "u.l", "{}"));
    tu_assert_ok(eid_docstore_set_json(txn, "s", "u", "{\"l\":[7]}"));
    assert_all(txn, "s", "{\"l\":[6],\"u\":{\"l\":[7],\"x\":1}}");
    commit(txn);
    assert_now(f, "{\"l\":[6],\"u\":{\"l\":[7],\"x\":1}}");

    txn = begin(f);
    tu_assert_ok(eid_docstore_delete(txn, "s", "u", NULL));
    tu_assert_ok(eid_docstore_set_json(txn, "s", "u.l", "[8]"));
    commit(txn);
    assert_now(f, "{\"l\":[6],\"u\":{\"l\":[8]}}");
}

/* An element deleted and set below in one transaction is new as well. */
static void an_element_made_anew_is_new(void **state)
{
    fixture *f = *state;

    set_json(f, "l", "[{\"a\":1,\"b\":2},{\"c\":3}]");
    eid_txn *txn = begin(f);
    tu_assert_ok(eid_docstore_set_null(txn, "s", "l.0"));
    tu_assert_ok(eid_docstore_set_int(txn, "s", "l.0.n", 5));
    assert_all(txn, "s", "{\"l\":[{\"n\":5},{\"c\":3}]}");
    commit(txn);
    assert_now(f, "{\"l\":[{\"n\":5},{\"c\":3}]}");
}

/* ---- In turn or at once ---- */

/* A list of the elements of a JSON array, at fractions that no push draws and always the same: so that the
 * order of elements is no matter of chance. */
static void list_value(const char *json, uint8_t unique, eid_value **out)
{
    eid_value *parsed;
    const eid_list *elements;
    eid_list *list;

    tu_assert_ok(eid_value_from_plain_json(json, strlen(json), &parsed));
    tu_assert_ok(eid_value_as_list(parsed, &elements));
    tu_assert_ok(eid_list_new(&list));
    for (size_t i = 0; i < eid_list_len(elements); i++) {
        eid_list_position position = {(int64_t)i + 1, 9, {unique}};
        const eid_value *element;
        tu_assert_ok(eid_list_get(elements, i, &element));
        tu_assert_ok(eid_list_set_at(list, &position, element));
    }
    tu_assert_ok(eid_value_new_list(list, out));
    eid_list_free(list);
    eid_value_free(parsed);
}

static eid_value *some_value(uint64_t which)
{
    static const char *const plain[] = {"1", "null", "{}", "{\"b\":2}", "{\"b\":{\"c\":3}}"};
    static const char *const lists[] = {"[]", "[4,5]", "[{\"y\":6}]", "[{\"x\":1,\"y\":2},7]"};
    eid_value *value, *list;
    eid_doc *doc;

    if (which < 5) {
        tu_assert_ok(eid_value_from_plain_json(plain[which], strlen(plain[which]), &value));
        return value;
    }
    list_value(lists[which % 4], (uint8_t)which, &list);
    if (which < 9)
        return list;
    tu_assert_ok(eid_doc_new(&doc));
    tu_assert_ok(eid_doc_set(doc, "l", list));
    tu_assert_ok(eid_value_new_doc(doc, &value));
    eid_doc_free(doc);
    eid_value_free(list);
    return value;
}

static void random_change(eid_txn *txn, tu_random *random)
{
    static const char *const paths[] = {"a", "a.b", "a.b.c", "l", "l.0", "l.1.x", "a.l", "a.l.0.y"};
    const char *path = paths[tu_random_below(random, 8)];
    eid_value *value = some_value(tu_random_below(random, 13));

    /* Some of these do not fit what stands there, and then change nothing. */
    switch (tu_random_below(random, 6)) {
    case 0:
        tu_assert_ok(eid_docstore_delete(txn, "s", path, NULL));
        break;
    case 1:
        (void)eid_docstore_push(txn, "s", path, value);
        break;
    case 2:
        (void)eid_docstore_replace(txn, "s", path, value);
        break;
    case 3:
        (void)eid_docstore_update(txn, "s", path, value);
        break;
    default:
        (void)eid_docstore_set(txn, "s", path, value);
        break;
    }
    eid_value_free(value);
}

static char *shown(eid_txn *txn)
{
    eid_doc *doc;
    char *text;

    tu_assert_ok(eid_docstore_get_all(txn, "s", &doc));
    tu_assert_ok(eid_doc_to_plain_json(doc, &text, NULL));
    eid_doc_free(doc);
    return text;
}

/* What one transaction shows while it goes on is what everybody sees after it; and the same changes, one
 * commit each, come to the same. */
static void staged_changes_are_as_committed_ones(void **state)
{
    (void)state;
    tu_random seeds = tu_random_seeded(601);

    for (int round = 0; round < 150; round++) {
        fixture *once, *each;
        tu_random random = {tu_random_next(&seeds)}, same = random;
        fixture_open((void **)&once);
        fixture_open((void **)&each);
        for (int part = 0; part < 3; part++) {
            eid_txn *txn = begin(once), *other;
            int count = 1 + (int)tu_random_below(&seeds, 5);
            for (int i = 0; i < count; i++) {
                random_change(txn, &random);
                other = begin(each);
                random_change(other, &same);
                commit(other);
                char *left = shown(txn);
                other = begin(each);
                char *right = shown(other);
                eid_txn_free(other);
                assert_string_equal(left, right);
                eid_free(left);
                eid_free(right);
            }
            char *before = shown(txn);
            commit(txn);
            txn = begin(once);
            char *after = shown(txn);
            assert_string_equal(before, after);
            eid_free(before);
            eid_free(after);
            eid_txn_free(txn);
        }
        void *gone = once;
        fixture_close(&gone);
        gone = each;
        fixture_close(&gone);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DATABASE(elements_are_added_and_changed),
        WITH_DATABASE(lists_in_lists_and_documents),
        WITH_DATABASE(wrong_uses_are_refused),
        WITH_DATABASE(elements_beside_a_named_one),
        WITH_DATABASE(concurrent_insertions_all_stay),
        WITH_DATABASE(concurrent_first_pushes_merge),
        WITH_DATABASE(a_list_made_anew_is_new),
        WITH_DATABASE(an_element_made_anew_is_new),
        cmocka_unit_test(staged_changes_are_as_committed_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
