/* SPDX-License-Identifier: Apache-2.0 */
/* The rules both readers share: each case is read as JSON and, turned into DAG-CBOR, by the other reader. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "entry_test.h"

/* Where a record can be tried out: text around the value of one field. */
#define TREE(members)    "{\"tree\":{" members "}," NO_SUBTREES "," NO_SIG "}"
#define SUBTREE(members) "{" CHILD_TREE ",\"subtrees\":[{" members "}]," NO_SIG "}"
#define SIG(members)     "{" CHILD_TREE "," NO_SUBTREES ",\"sig\":{" members "}}"
#define HINT(members)    SIG("\"key\":{\"Direct\":{\"hint\":{" members "}}}")
#define STEP(members)    SIG("\"key\":{\"Delegation\":{\"hint\":{},\"path\":[{" members "}]}}")
#define PARENTS          "\"parents\":[\"" ID_1 "\"]"
#define ROOT             "\"root\":\"" ID_1 "\""
#define STORE            "\"name\":\"s\",\"parents\":[]"
#define EMPTY_KEY        "\"key\":{\"Direct\":{\"hint\":{}}}"

static eid_status read_both(const char *json, eid_entry **from_json, eid_entry **from_cbor,
                            eid_status *cbor_status)
{
    size_t len;
    uint8_t *data = et_cbor_of_json(json, &len);
    *from_json = NULL;
    *from_cbor = NULL;
    *cbor_status = eid_entry_from_cbor(data, len, from_cbor);
    free(data);
    return eid_entry_from_json(json, strlen(json), from_json);
}

/* ---- texts that mean the same ---- */

static void test_same(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *text;
        const char *canonical;
    } cases[] = {
        {"version written out", "{\"_v\":0," CHILD_TREE "," NO_SUBTREES "," NO_SIG "}", CHILD},
        {"other order", "{" NO_SIG "," NO_SUBTREES "," CHILD_TREE "}", CHILD},
        {"tree in another order", TREE("\"h\":3," PARENTS "," ROOT), TREE(ROOT "," PARENTS ",\"h\":3")},
        {"root null", TREE(PARENTS ",\"root\":null"), TREE(PARENTS)},
        {"metadata null", TREE(ROOT "," PARENTS ",\"metadata\":null"), CHILD},
        {"height 0", TREE(ROOT "," PARENTS ",\"h\":0"), CHILD},
        {"data null", SUBTREE(STORE ",\"data\":null"), SUBTREE(STORE)},
        {"own height null", SUBTREE(STORE ",\"h\":null"), SUBTREE(STORE)},
        {"subtree in another order", SUBTREE("\"h\":2,\"data\":\"x\",\"parents\":[],\"name\":\"s\""),
         SUBTREE(STORE ",\"data\":\"x\",\"h\":2")},
        {"sig null", SIG("\"sig\":null," EMPTY_KEY), CHILD},
        {"pubkey null", HINT("\"pubkey\":null"), CHILD},
        {"name null", HINT("\"name\":null"), CHILD},
        {"not global", HINT("\"is_global\":false"), CHILD},
        {"unknown in the entry",
         "{" CHILD_TREE ",\"x\":[1,{\"y\":[true,null,-7]}]," NO_SUBTREES "," NO_SIG "}", CHILD},
        {"unknown in the tree", TREE(ROOT ",\"x\":{\"root\":null}," PARENTS), CHILD},
        {"unknown in a subtree", SUBTREE("\"x\":\"\"," STORE), SUBTREE(STORE)},
        {"unknown in sig", SIG("\"x\":1," EMPTY_KEY), CHILD},
        {"unknown in the direct key", SIG("\"key\":{\"Direct\":{\"path\":[],\"hint\":{},\"x\":0}}"), CHILD},
        {"unknown in the hint", HINT("\"fingerprint\":\"x\""), CHILD},
        {"unknown in a step", STEP("\"tree\":\"" ID_1 "\",\"x\":{},\"tips\":[]"),
         STEP("\"tree\":\"" ID_1 "\",\"tips\":[]")},
        {"unknown twice", "{\"x\":1,\"x\":2," CHILD_TREE "," NO_SUBTREES "," NO_SIG "}", CHILD},
        {"delegation in another order",
         SIG("\"key\":{\"Delegation\":{\"path\":[{\"tips\":[\"" ID_2 "\"],\"tree\":\"" ID_1
             "\"}],\"hint\":{}}}"),
         STEP("\"tree\":\"" ID_1 "\",\"tips\":[\"" ID_2 "\"]")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eid_entry *json;
        eid_entry *cbor;
        eid_status cbor_status;
        eid_status status = read_both(cases[i].text, &json, &cbor, &cbor_status);
        if (status != EID_OK || cbor_status != EID_OK)
            fail_msg("%s: JSON %s, CBOR %s: %s", cases[i].name, eid_status_name(status),
                     eid_status_name(cbor_status), eid_last_error());
        eid_entry *canonical = et_from_text(cases[i].canonical);
        if (!eid_id_equal(&json->id, &canonical->id) || !eid_id_equal(&cbor->id, &canonical->id))
            fail_msg("%s: another ID", cases[i].name);
        et_assert_consistent(json);
        eid_entry_unref(canonical);
        eid_entry_unref(json);
        eid_entry_unref(cbor);
    }
}

/* ---- texts that must not mean the same ---- */

static void test_different(void **state)
{
    (void)state;
    static const char *const texts[] = {
        CHILD,
        TREE(PARENTS),
        TREE(ROOT "," PARENTS ",\"h\":1"),
        TREE(ROOT "," PARENTS ",\"h\":18446744073709551615"),
        TREE(ROOT "," PARENTS ",\"metadata\":\"\""),
        TREE(ROOT "," PARENTS ",\"metadata\":\"x\""),
        TREE(ROOT ",\"parents\":[]"),
        TREE(ROOT ",\"parents\":[\"" ID_1 "\",\"" ID_1 "\"]"),
        TREE(ROOT ",\"parents\":[\"" ID_1 "\",\"" ID_2 "\"]"),
        TREE(ROOT ",\"parents\":[\"" ID_2 "\",\"" ID_1 "\"]"),
        TREE(ROOT ",\"parents\":[\"\"]"),
        SUBTREE(STORE),
        SUBTREE(STORE ",\"data\":\"\""),
        SUBTREE(STORE ",\"h\":0"),
        SUBTREE(STORE ",\"h\":1"),
        SUBTREE(STORE "},{" STORE),
        SUBTREE("\"name\":\"\",\"parents\":[]"),
        SUBTREE("\"name\":\"s\",\"parents\":[\"\"]"),
        SUBTREE("\"name\":\"a\",\"parents\":[]},{\"name\":\"b\",\"parents\":[]"),
        SUBTREE("\"name\":\"b\",\"parents\":[]},{\"name\":\"a\",\"parents\":[]"),
        HINT("\"name\":\"\""),
        HINT("\"name\":\"a\""),
        HINT("\"is_global\":true"),
        HINT("\"pubkey\":\"" KEY_1 "\""),
        SIG("\"sig\":\"\"," EMPTY_KEY),
        SIG("\"sig\":\"x\"," EMPTY_KEY),
        SIG("\"key\":{\"Delegation\":{\"hint\":{},\"path\":[]}}"),
        STEP("\"tree\":\"" ID_1 "\",\"tips\":[]"),
        STEP("\"tree\":\"" ID_1 "\",\"tips\":[\"" ID_1 "\",\"" ID_2 "\"]"),
        STEP("\"tree\":\"" ID_1 "\",\"tips\":[\"" ID_2 "\",\"" ID_1 "\"]"),
    };
    enum { COUNT = sizeof texts / sizeof *texts };
    eid_id ids[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        eid_entry *json;
        eid_entry *cbor;
        eid_status cbor_status;
        tu_assert_ok(read_both(texts[i], &json, &cbor, &cbor_status));
        assert_int_equal(cbor_status, EID_OK);
        assert_true(eid_id_equal(&json->id, &cbor->id));
        et_assert_consistent(json);
        ids[i] = json->id;
        eid_entry_unref(json);
        eid_entry_unref(cbor);
        for (size_t j = 0; j < i; j++) {
            if (eid_id_equal(&ids[i], &ids[j]))
                fail_msg("the same ID: %s and %s", texts[i], texts[j]);
        }
    }
}

/* ---- refused ---- */

typedef struct refused_case {
    const char *text;
    eid_status json;
    eid_status cbor; /* EID_OK: the same as json */
} refused_case;

static void assert_refused(const refused_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        eid_entry *json;
        eid_entry *cbor;
        eid_status cbor_status;
        eid_status status = read_both(cases[i].text, &json, &cbor, &cbor_status);
        eid_status wanted = cases[i].cbor == EID_OK ? cases[i].json : cases[i].cbor;
        if (status != cases[i].json || cbor_status != wanted || json != NULL || cbor != NULL)
            fail_msg("%s: JSON %s (wanted %s), CBOR %s (wanted %s)", cases[i].text, eid_status_name(status),
                     eid_status_name(cases[i].json), eid_status_name(cbor_status), eid_status_name(wanted));
    }
}

static void test_duplicates(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"_v\":0,\"_v\":0," CHILD_TREE "," NO_SUBTREES "," NO_SIG "}",
        "{" CHILD_TREE "," CHILD_TREE "," NO_SUBTREES "," NO_SIG "}",
        "{" CHILD_TREE "," NO_SUBTREES "," NO_SUBTREES "," NO_SIG "}",
        "{" CHILD_TREE "," NO_SUBTREES "," NO_SIG "," NO_SIG "}",
        TREE(ROOT "," PARENTS "," ROOT),
        TREE("\"root\":null," PARENTS "," ROOT),
        TREE(ROOT "," PARENTS "," PARENTS),
        TREE(ROOT "," PARENTS ",\"metadata\":null,\"metadata\":null"),
        TREE(ROOT "," PARENTS ",\"h\":0,\"h\":0"),
        SUBTREE(STORE ",\"name\":\"s\""),
        SUBTREE(STORE ",\"parents\":[]"),
        SUBTREE(STORE ",\"data\":\"\",\"data\":\"\""),
        SUBTREE(STORE ",\"h\":1,\"h\":1"),
        SIG("\"sig\":null,\"sig\":\"x\"," EMPTY_KEY),
        SIG(EMPTY_KEY "," EMPTY_KEY),
        SIG("\"key\":{\"Direct\":{\"hint\":{},\"hint\":{}}}"),
        SIG("\"key\":{\"Delegation\":{\"hint\":{},\"path\":[],\"hint\":{}}}"),
        SIG("\"key\":{\"Delegation\":{\"hint\":{},\"path\":[],\"path\":[]}}"),
        HINT("\"pubkey\":null,\"pubkey\":null"),
        HINT("\"name\":null,\"name\":\"x\""),
        HINT("\"is_global\":true,\"is_global\":true"),
        STEP("\"tree\":\"" ID_1 "\",\"tips\":[],\"tips\":[]"),
        STEP("\"tree\":\"" ID_1 "\",\"tips\":[],\"tree\":\"" ID_1 "\""),
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_refused(&(refused_case){texts[i], EID_ERR_DUPLICATE_KEY, EID_OK}, 1);
}

static void test_missing(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}",
        "{" NO_SUBTREES "," NO_SIG "}",
        "{" CHILD_TREE "," NO_SIG "}",
        "{" CHILD_TREE "," NO_SUBTREES "}",
        TREE(""),
        TREE(ROOT ",\"h\":1"),
        SUBTREE(""),
        SUBTREE("\"name\":\"s\""),
        SUBTREE("\"parents\":[]"),
        SIG(""),
        SIG("\"sig\":\"x\""),
        SIG("\"key\":{\"Direct\":{}}"),
        SIG("\"key\":{\"Delegation\":{\"path\":[]}}"),
        SIG("\"key\":{\"Delegation\":{\"hint\":{}}}"),
        STEP(""),
        STEP("\"tree\":\"" ID_1 "\""),
        STEP("\"tips\":[]"),
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_refused(&(refused_case){texts[i], EID_ERR_MISSING_FIELD, EID_OK}, 1);
}

static void test_wrong_types(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "null",
        "[]",
        "7",
        "\"x\"",
        "{\"_v\":null," CHILD_TREE "," NO_SUBTREES "," NO_SIG "}",
        "{\"_v\":\"0\"," CHILD_TREE "," NO_SUBTREES "," NO_SIG "}",
        "{\"tree\":null," NO_SUBTREES "," NO_SIG "}",
        "{\"tree\":[]," NO_SUBTREES "," NO_SIG "}",
        "{" CHILD_TREE ",\"subtrees\":null," NO_SIG "}",
        "{" CHILD_TREE ",\"subtrees\":{}," NO_SIG "}",
        "{" CHILD_TREE ",\"subtrees\":[null]," NO_SIG "}",
        "{" CHILD_TREE ",\"subtrees\":[[]]," NO_SIG "}",
        "{" CHILD_TREE "," NO_SUBTREES ",\"sig\":null}",
        "{" CHILD_TREE "," NO_SUBTREES ",\"sig\":\"x\"}",
        TREE("\"root\":5," PARENTS),
        TREE("\"root\":true," PARENTS),
        TREE("\"root\":{}," PARENTS),
        TREE(ROOT ",\"parents\":null"),
        TREE(ROOT ",\"parents\":\"" ID_1 "\""),
        TREE(ROOT ",\"parents\":[5]"),
        TREE(ROOT ",\"parents\":[[]]"),
        TREE(ROOT ",\"parents\":[\"" ID_1 "\",{}]"),
        TREE(ROOT "," PARENTS ",\"metadata\":5"),
        TREE(ROOT "," PARENTS ",\"metadata\":{}"),
        TREE(ROOT "," PARENTS ",\"h\":null"),
        TREE(ROOT "," PARENTS ",\"h\":\"1\""),
        TREE(ROOT "," PARENTS ",\"h\":true"),
        SUBTREE("\"name\":null,\"parents\":[]"),
        SUBTREE("\"name\":5,\"parents\":[]"),
        SUBTREE("\"name\":\"s\",\"parents\":null"),
        SUBTREE("\"name\":\"s\",\"parents\":{}"),
        SUBTREE(STORE ",\"data\":true"),
        SUBTREE(STORE ",\"h\":\"1\""),
        SUBTREE(STORE ",\"h\":[]"),
        SIG("\"sig\":5," EMPTY_KEY),
        SIG("\"sig\":[]," EMPTY_KEY),
        SIG("\"key\":null"),
        SIG("\"key\":\"Direct\""),
        SIG("\"key\":{}"),
        SIG("\"key\":{\"direct\":{\"hint\":{}}}"),
        SIG("\"key\":{\"Direct\":null}"),
        SIG("\"key\":{\"Direct\":[]}"),
        SIG("\"key\":{\"Direct\":{\"hint\":null}}"),
        SIG("\"key\":{\"Direct\":{\"hint\":[]}}"),
        SIG("\"key\":{\"Direct\":{\"hint\":{}},\"Direct\":{\"hint\":{}}}"),
        SIG("\"key\":{\"Direct\":{\"hint\":{}},\"x\":1}"),
        SIG("\"key\":{\"Delegation\":{\"hint\":{},\"path\":null}}"),
        SIG("\"key\":{\"Delegation\":{\"hint\":{},\"path\":{}}}"),
        SIG("\"key\":{\"Delegation\":{\"hint\":{},\"path\":[null]}}"),
        STEP("\"tree\":5,\"tips\":[]"),
        STEP("\"tree\":\"" ID_1 "\",\"tips\":null"),
        STEP("\"tree\":\"" ID_1 "\",\"tips\":[7]"),
        HINT("\"pubkey\":5"),
        HINT("\"name\":[]"),
        HINT("\"is_global\":null"),
        HINT("\"is_global\":1"),
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_refused(&(refused_case){texts[i], EID_ERR_WRONG_TYPE, EID_OK}, 1);
}

static void test_wrong_values(void **state)
{
    (void)state;
    static const refused_case cases[] = {
        {"{\"_v\":1," CHILD_TREE "," NO_SUBTREES "," NO_SIG "}", EID_ERR_VERSION, EID_OK},
        {"{\"_v\":18446744073709551615," CHILD_TREE "," NO_SUBTREES "," NO_SIG "}", EID_ERR_VERSION, EID_OK},
        {TREE(ROOT "," PARENTS ",\"h\":-1"), EID_ERR_RANGE, EID_ERR_WRONG_TYPE},
        {SUBTREE(STORE ",\"h\":-1"), EID_ERR_RANGE, EID_ERR_WRONG_TYPE},
        {HINT("\"pubkey\":\"\""), EID_ERR_INVALID_KEY, EID_OK},
        {HINT("\"pubkey\":\"ed25519:AAAA\""), EID_ERR_INVALID_KEY, EID_OK},
        {HINT("\"pubkey\":\"A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\""), EID_ERR_INVALID_KEY, EID_OK},
        {HINT("\"pubkey\":\"ed25519:AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\""), EID_ERR_INVALID_KEY,
         EID_OK},
        /* In DAG-CBOR these are texts where an identifier must stand. */
        {TREE("\"root\":\"zzz\"," PARENTS), EID_ERR_INVALID_ID, EID_ERR_WRONG_TYPE},
        {TREE(ROOT ",\"parents\":[\"x\"]"), EID_ERR_INVALID_ID, EID_ERR_WRONG_TYPE},
        {STEP("\"tree\":\"b\",\"tips\":[]"), EID_ERR_INVALID_ID, EID_ERR_WRONG_TYPE},
        {STEP("\"tree\":\"" ID_1 "\",\"tips\":[\"b\"]"), EID_ERR_INVALID_ID, EID_ERR_WRONG_TYPE},
    };
    assert_refused(cases, sizeof cases / sizeof *cases);
}

/* ---- limits ---- */

/* "before", then `count` times `item` with commas, then "after". */
static char *repeated(const char *before, const char *item, size_t count, const char *after)
{
    eid_buf buf;
    eid_buf_init(&buf, SIZE_MAX / 2);
    eid_buf_append_text(&buf, before);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            eid_buf_append_byte(&buf, ',');
        eid_buf_append_text(&buf, item);
    }
    eid_buf_append_text(&buf, after);
    char *text;
    tu_assert_ok(eid_buf_take_text(&buf, &text));
    return text;
}

static void assert_limit(const char *before, const char *item, const char *after, size_t limit)
{
    eid_entry *json;
    eid_entry *cbor;
    eid_status cbor_status;
    char *text = repeated(before, item, limit, after);
    tu_assert_ok(read_both(text, &json, &cbor, &cbor_status));
    assert_int_equal(cbor_status, EID_OK);
    et_assert_consistent(json);
    eid_entry_unref(json);
    eid_entry_unref(cbor);
    eid_free(text);

    text = repeated(before, item, limit + 1, after);
    assert_int_equal(read_both(text, &json, &cbor, &cbor_status), EID_ERR_LIMIT);
    assert_int_equal(cbor_status, EID_ERR_LIMIT);
    eid_free(text);
}

static void test_limits(void **state)
{
    (void)state;
    assert_limit("{\"tree\":{" ROOT ",\"parents\":[", "\"" ID_1 "\"", "]}," NO_SUBTREES "," NO_SIG "}",
                 EID_LIMIT_ENTRY_PARENTS);
    assert_limit("{" CHILD_TREE ",\"subtrees\":[{\"name\":\"s\",\"parents\":[", "\"" ID_1 "\"",
                 "]}]," NO_SIG "}", EID_LIMIT_ENTRY_PARENTS);
    assert_limit("{" CHILD_TREE ",\"subtrees\":[", "{" STORE "}", "]," NO_SIG "}", EID_LIMIT_ENTRY_SUBTREES);
    assert_limit("{" CHILD_TREE "," NO_SUBTREES ",\"sig\":{\"key\":{\"Delegation\":{\"hint\":{},\"path\":[",
                 "{\"tree\":\"" ID_1 "\",\"tips\":[]}", "]}}}}", EID_LIMIT_DELEGATION_STEPS);
    assert_limit("{" CHILD_TREE "," NO_SUBTREES ",\"sig\":{\"key\":{\"Delegation\":{\"hint\":{},\"path\":[{"
                 "\"tree\":\"" ID_1 "\",\"tips\":[",
                 "\"" ID_1 "\"", "]}]}}}}", EID_LIMIT_DELEGATION_TIPS);
}

static char *entry_with_name(size_t len)
{
    char *name = malloc(len + 1);
    assert_non_null(name);
    memset(name, 'n', len);
    name[len] = '\0';
    char *text =
        repeated("{" CHILD_TREE ",\"subtrees\":[{\"name\":\"", name, 1, "\",\"parents\":[]}]," NO_SIG "}");
    free(name);
    return text;
}

static void test_name_limit(void **state)
{
    (void)state;
    eid_entry *json;
    eid_entry *cbor;
    eid_status cbor_status;
    char *text = entry_with_name(EID_LIMIT_STORE_NAME);
    tu_assert_ok(read_both(text, &json, &cbor, &cbor_status));
    assert_int_equal(cbor_status, EID_OK);
    assert_int_equal(strlen(eid_entry_store_name(json, 0)), EID_LIMIT_STORE_NAME);
    eid_entry_unref(json);
    eid_entry_unref(cbor);
    eid_free(text);
    text = entry_with_name(EID_LIMIT_STORE_NAME + 1);
    assert_int_equal(read_both(text, &json, &cbor, &cbor_status), EID_ERR_LIMIT);
    assert_int_equal(cbor_status, EID_ERR_LIMIT);
    eid_free(text);
}

/* Empty IDs take one byte each in DAG-CBOR and 96 in memory: their number is bounded over all lists together.
 */
static void test_identifier_limit(void **state)
{
    (void)state;
    char *list = repeated("{\"name\":\"s\",\"parents\":[", "\"\"", EID_LIMIT_ENTRY_PARENTS, "]}");
    for (size_t lists = EID_LIMIT_ENTRY_IDS / EID_LIMIT_ENTRY_PARENTS - 1; lists <= 9; lists++) {
        /* One more ID stands in the tree node. */
        eid_entry *json;
        eid_entry *cbor;
        eid_status cbor_status;
        char *text = repeated("{" CHILD_TREE ",\"subtrees\":[", list, lists, "]," NO_SIG "}");
        eid_status wanted =
            lists * EID_LIMIT_ENTRY_PARENTS + 1 <= EID_LIMIT_ENTRY_IDS ? EID_OK : EID_ERR_LIMIT;
        assert_int_equal(read_both(text, &json, &cbor, &cbor_status), wanted);
        assert_int_equal(cbor_status, wanted);
        eid_entry_unref(json);
        eid_entry_unref(cbor);
        eid_free(text);
    }
    eid_free(list);
}

static eid_status read_with_payload(size_t len, size_t *cbor_len)
{
    char *payload = malloc(len + 1);
    assert_non_null(payload);
    memset(payload, 'x', len);
    payload[len] = '\0';
    char *text =
        repeated("{" CHILD_TREE ",\"subtrees\":[{" STORE ",\"data\":\"", payload, 1, "\"}]," NO_SIG "}");
    eid_entry *json;
    eid_entry *cbor;
    eid_status cbor_status;
    eid_status status = read_both(text, &json, &cbor, &cbor_status);
    assert_int_equal(status, cbor_status);
    if (status == EID_OK) {
        *cbor_len = json->cbor_len;
        assert_true(eid_id_equal(&json->id, &cbor->id));
    }
    eid_entry_unref(json);
    eid_entry_unref(cbor);
    eid_free(text);
    free(payload);
    return status;
}

static void test_size_limit(void **state)
{
    (void)state;
    size_t len = 0;
    tu_assert_ok(read_with_payload(EID_LIMIT_ENTRY_BYTES - 1000, &len));
    size_t rest = len - (EID_LIMIT_ENTRY_BYTES - 1000);
    tu_assert_ok(read_with_payload(EID_LIMIT_ENTRY_BYTES - rest, &len));
    assert_int_equal(len, EID_LIMIT_ENTRY_BYTES);
    tu_assert_fails(read_with_payload(EID_LIMIT_ENTRY_BYTES - rest + 1, &len), EID_ERR_LIMIT);
    tu_assert_fails(read_with_payload(EID_LIMIT_ENTRY_BYTES + 1, &len), EID_ERR_LIMIT);
    tu_assert_fails(read_with_payload(3 * EID_LIMIT_ENTRY_BYTES, &len), EID_ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_different),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_wrong_values),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_name_limit),
        cmocka_unit_test(test_identifier_limit),
        cmocka_unit_test(test_size_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
