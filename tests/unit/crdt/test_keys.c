/* SPDX-License-Identifier: Apache-2.0 */
/* Exact keys, paths made from keys, and whole texts of plain JSON. */
#include <string.h>

#include "helpers.h"

#include "base/limits.h"

static void test_exact_keys(void **state)
{
    (void)state;
    eid_doc *doc = doc_of("{'children':{'a.b':{'Int':1},'a':{'Doc':{'children':{'b':{'Int':2}}}}}}");
    const eid_value *found = NULL;
    int64_t number = 0;
    tu_assert_ok(eid_doc_get_key(doc, "a.b", 3, &found));
    tu_assert_ok(eid_value_as_int(found, &number));
    assert_int_equal(number, 1);
    tu_assert_ok(eid_doc_get_int(doc, "a.b", &number));
    assert_int_equal(number, 2); /* the path is something else */

    eid_value *value = int_of(5);
    tu_assert_ok(eid_doc_set_key(doc, "..", 2, value));
    tu_assert_ok(eid_doc_set_key(doc, "z\0z", 3, value));
    assert_int_equal(eid_doc_len(doc), 4);
    tu_assert_ok(eid_doc_get_key(doc, "z\0z", 3, &found));
    tu_assert_fails(eid_doc_get_key(doc, "z", 1, &found), EID_ERR_KEY_NOT_FOUND);
    tu_assert_ok(eid_doc_remove_key(doc, "a.b", 3));
    tu_assert_fails(eid_doc_get_key(doc, "a.b", 3, &found), EID_ERR_KEY_NOT_FOUND);
    tu_assert_ok(eid_doc_get_int(doc, "a.b", &number));
    assert_int_equal(number, 2);
    tu_assert_fails(eid_doc_set_key(doc, "\xff", 1, value), EID_ERR_UTF8);
    tu_assert_fails(eid_doc_remove_key(doc, "\xff", 1), EID_ERR_UTF8);
    assert_stored(doc, "{'children':{'..':{'Int':5},'a':{'Doc':{'children':{'b':{'Int':2}}}},'a.b':'Deleted',"
                       "'z\\u0000z':{'Int':5}}}");
    eid_value_free(value);
    eid_doc_free(doc);
}

static void test_join(void **state)
{
    (void)state;
    const char *parts[EID_LIMIT_DOC_PATH + 1] = {"users", "ed25519:abc=", "caf\xc3\xa9"};
    char *path = NULL;
    tu_assert_ok(eid_path_join(parts, 3, &path));
    assert_string_equal(path, "users.ed25519:abc=.caf\xc3\xa9");
    eid_free(path);
    tu_assert_ok(eid_path_join(parts, 1, &path));
    assert_string_equal(path, "users");
    eid_free(path);

    static const struct {
        const char *second;
        eid_status wanted;
    } refused[] = {{"a.b", EID_ERR_INVALID_PATH},
                   {".", EID_ERR_INVALID_PATH},
                   {"", EID_ERR_INVALID_PATH},
                   {"\xff", EID_ERR_UTF8}};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        parts[1] = refused[i].second;
        path = NULL;
        tu_assert_fails(eid_path_join(parts, 3, &path), refused[i].wanted);
        assert_null(path);
    }
    tu_assert_fails(eid_path_join(parts, 0, &path), EID_ERR_INVALID_PATH);
    for (size_t i = 0; i <= EID_LIMIT_DOC_PATH; i++)
        parts[i] = "k";
    tu_assert_fails(eid_path_join(parts, EID_LIMIT_DOC_PATH + 1, &path), EID_ERR_DEPTH);
    tu_assert_ok(eid_path_join(parts, EID_LIMIT_DOC_PATH, &path));
    eid_doc *doc = NULL;
    tu_assert_ok(eid_doc_new(&doc));
    tu_assert_ok(eid_doc_set_null(doc, path));
    eid_doc_free(doc);
    eid_free(path);
}

/* Whatever a user types as a name, a joined path means this name or is refused. */
static void test_joined_paths_mean_their_keys(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(521);
    static const char alphabet[] = "ab.0 \"\\";
    int joined = 0;
    for (int i = 0; i < 2000; i++) {
        char first[4] = "", second[4] = "";
        for (uint64_t k = tu_random_below(&random, 3); k > 0; k--)
            strncat(first, &alphabet[tu_random_below(&random, sizeof alphabet - 1)], 1);
        for (uint64_t k = tu_random_below(&random, 3); k > 0; k--)
            strncat(second, &alphabet[tu_random_below(&random, sizeof alphabet - 1)], 1);
        const char *parts[] = {first, second};
        char *path = NULL;
        bool plain = first[0] != '\0' && second[0] != '\0' && strchr(first, '.') == NULL &&
                     strchr(second, '.') == NULL;
        if (!plain) {
            tu_assert_fails(eid_path_join(parts, 2, &path), EID_ERR_INVALID_PATH);
            continue;
        }
        tu_assert_ok(eid_path_join(parts, 2, &path));
        eid_doc *doc = NULL;
        const eid_doc *inner = NULL;
        const eid_value *found = NULL, *leaf = NULL;
        tu_assert_ok(eid_doc_new(&doc));
        tu_assert_ok(eid_doc_set_bool(doc, path, true));
        tu_assert_ok(eid_doc_get_key(doc, first, strlen(first), &found));
        tu_assert_ok(eid_value_as_doc(found, &inner));
        tu_assert_ok(eid_doc_get_key(inner, second, strlen(second), &leaf));
        eid_doc_free(doc);
        eid_free(path);
        joined++;
    }
    assert_true(joined > 300);
}

static eid_status parse(const char *text, eid_value **out)
{
    return eid_value_from_plain_json(text, strlen(text), out);
}

static void test_plain_values(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "null", "true", "-7", "\"a\\\"b\"", "[]", "{}", "[1,[2,{\"x\":null}]]", "{\"a\":{\"b\":[false]}}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        eid_value *value = NULL;
        char *text = NULL;
        size_t len = 0;
        tu_assert_ok(parse(texts[i], &value));
        tu_assert_ok(eid_value_to_plain_json(value, &text, &len));
        assert_string_equal(text, texts[i]);
        assert_int_equal(len, strlen(texts[i]));
        eid_free(text);
        eid_value_free(value);
    }
    eid_value *value = NULL, *tombstone = value_of("'Deleted'");
    tu_assert_fails(parse("1.5", &value), EID_ERR_RANGE);
    tu_assert_fails(parse("9223372036854775808", &value), EID_ERR_RANGE);
    tu_assert_fails(parse("[1", &value), EID_ERR_TRUNCATED);
    tu_assert_fails(parse("nil", &value), EID_ERR_SYNTAX);
    tu_assert_fails(parse("1 2", &value), EID_ERR_TRAILING_DATA);
    assert_null(value);
    char *text = NULL;
    tu_assert_ok(eid_value_to_plain_json(tombstone, &text, NULL));
    assert_string_equal(text, "null");
    eid_free(text);
    eid_value_free(tombstone);
}

/* What is accepted can be stored and read back; one level more is refused. */
static void test_depth_of_plain_values(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        int deepest = 0;
        for (int levels = 30; levels < 50; levels++) {
            char text[512] = "";
            for (int i = 0; i < levels; i++)
                strcat(text, kind == 0 ? "[" : "{\"k\":");
            strcat(text, "1");
            for (int i = 0; i < levels; i++)
                strcat(text, kind == 0 ? "]" : "}");
            eid_value *value = NULL, *back = NULL;
            eid_status status = parse(text, &value);
            if (status != EID_OK) {
                assert_int_equal(status, EID_ERR_DEPTH);
                break;
            }
            deepest = levels;
            char *stored = NULL;
            size_t len = 0;
            tu_assert_ok(eid_value_to_json(value, &stored, &len));
            tu_assert_ok(eid_value_from_json(stored, len, &back));
            assert_true(eid_value_equal(value, back));
            eid_free(stored);
            eid_value_free(back);
            eid_value_free(value);
        }
        assert_true(deepest >= 40 && deepest < 49);
    }
}

static void test_plain_documents(void **state)
{
    (void)state;
    static const char text[] = "{\"name\":\"Ada\",\"tags\":[\"x\",\"y\"]}";
    eid_doc *doc = NULL;
    tu_assert_ok(eid_doc_from_plain_json(text, strlen(text), &doc));
    assert_plain(doc, "{'name':'Ada','tags':['x','y']}");
    assert_false(eid_doc_is_atomic(doc));
    eid_doc_free(doc);
    doc = NULL;
    tu_assert_fails(eid_doc_from_plain_json("[]", 2, &doc), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_doc_from_plain_json("", 0, &doc), EID_ERR_TRUNCATED);
    assert_null(doc);
}

static eid_status keys_step(void *ctx)
{
    (void)ctx;
    static const char *const parts[] = {"a", "b"};
    char *path = NULL;
    eid_doc *doc = NULL;
    eid_value *value = NULL;
    char *text = NULL;
    eid_status status = eid_path_join(parts, 2, &path);
    if (status == EID_OK)
        status = eid_doc_from_plain_json("{\"x\":[1]}", 9, &doc);
    if (status == EID_OK)
        status = eid_value_new_int(1, &value);
    if (status == EID_OK)
        status = eid_doc_set_key(doc, path, strlen(path), value);
    if (status == EID_OK)
        status = eid_doc_push(doc, "x", value);
    if (status == EID_OK)
        status = eid_doc_push(doc, "y", value);
    if (status == EID_OK)
        status = eid_doc_remove_key(doc, "x", 1);
    if (status == EID_OK)
        status = eid_value_to_plain_json(value, &text, NULL);
    eid_free(text);
    eid_value_free(value);
    eid_doc_free(doc);
    eid_free(path);
    return status;
}

static void test_short_memory(void **state)
{
    (void)state;
    tu_alloc_install();
    assert_true(tu_alloc_fault_loop(keys_step, NULL) > 10);
    tu_alloc_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_keys),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_joined_paths_mean_their_keys),
        cmocka_unit_test(test_plain_values),
        cmocka_unit_test(test_depth_of_plain_values),
        cmocka_unit_test(test_plain_documents),
        cmocka_unit_test(test_short_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
