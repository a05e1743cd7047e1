/* SPDX-License-Identifier: Apache-2.0 */
/* Signature keys as values: JSON both ways, copies, equality, bounds. */
#include <string.h>

#include "base/alloc.h"
#include "entry_test.h"

static eid_status read_text(const char *text, eid_sigkey *out)
{
    eid_json reader;
    eid_json_init(&reader, eid_slice_text(text));
    eid_status status = eid_sigkey_read_json(&reader, out);
    if (status == EID_OK)
        tu_assert_ok(eid_json_end(&reader));
    eid_json_free(&reader);
    return status;
}

static void assert_written(const eid_sigkey *sigkey, const char *wanted)
{
    eid_buf buf;
    eid_buf_init(&buf, 4096);
    eid_sigkey_write_json(&buf, sigkey);
    tu_assert_ok(eid_buf_status(&buf));
    assert_string_equal((const char *)buf.data, wanted);
    eid_buf_free(&buf);
}

/* All different, so that equality can be tried on every pair. */
static const char *const texts[] = {
    "{\"Direct\":{\"hint\":{}}}",
    "{\"Direct\":{\"hint\":{\"is_global\":true}}}",
    "{\"Direct\":{\"hint\":{\"name\":\"\"}}}",
    "{\"Direct\":{\"hint\":{\"name\":\"a\"}}}",
    "{\"Direct\":{\"hint\":{\"name\":\"a\\u0000\"}}}",
    "{\"Direct\":{\"hint\":{\"name\":\"b\"}}}",
    "{\"Direct\":{\"hint\":{\"pubkey\":\"" KEY_1 "\"}}}",
    "{\"Direct\":{\"hint\":{\"pubkey\":\"ed25519:iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=\"}}}",
    "{\"Direct\":{\"hint\":{\"pubkey\":\"" KEY_1 "\",\"is_global\":true}}}",
    "{\"Direct\":{\"hint\":{\"pubkey\":\"" KEY_1 "\",\"name\":\"a\"}}}",
    "{\"Delegation\":{\"path\":[],\"hint\":{}}}",
    "{\"Delegation\":{\"path\":[],\"hint\":{\"name\":\"a\"}}}",
    "{\"Delegation\":{\"path\":[{\"tree\":\"" ID_1 "\",\"tips\":[]}],\"hint\":{}}}",
    "{\"Delegation\":{\"path\":[{\"tree\":\"" ID_2 "\",\"tips\":[]}],\"hint\":{}}}",
    "{\"Delegation\":{\"path\":[{\"tree\":\"\",\"tips\":[\"\"]}],\"hint\":{}}}",
    "{\"Delegation\":{\"path\":[{\"tree\":\"" ID_1 "\",\"tips\":[\"" ID_1 "\"]}],\"hint\":{}}}",
    "{\"Delegation\":{\"path\":[{\"tree\":\"" ID_1 "\",\"tips\":[\"" ID_1 "\",\"" ID_2 "\"]}],\"hint\":{}}}",
    "{\"Delegation\":{\"path\":[{\"tree\":\"" ID_1 "\",\"tips\":[\"" ID_2 "\",\"" ID_1 "\"]}],\"hint\":{}}}",
    "{\"Delegation\":{\"path\":[{\"tree\":\"" ID_1 "\",\"tips\":[]},{\"tree\":\"" ID_1
    "\",\"tips\":[]}],\"hint\":{}}}",
};
enum { COUNT = sizeof texts / sizeof *texts };

static void test_round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        eid_sigkey sigkey;
        eid_sigkey copy;
        tu_assert_ok(read_text(texts[i], &sigkey));
        assert_written(&sigkey, texts[i]);
        tu_assert_ok(eid_sigkey_copy(&sigkey, &copy));
        assert_true(eid_sigkey_equal(&sigkey, &copy));
        eid_sigkey_free(&sigkey);
        assert_written(&copy, texts[i]);
        eid_sigkey_free(&copy);
        assert_null(copy.hint.name);
        assert_int_equal(copy.path_count, 0);
        eid_sigkey_free(&copy);
    }
}

static void test_equality(void **state)
{
    (void)state;
    eid_sigkey sigkeys[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        tu_assert_ok(read_text(texts[i], &sigkeys[i]));
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t j = 0; j < COUNT; j++)
            assert_int_equal(eid_sigkey_equal(&sigkeys[i], &sigkeys[j]), i == j);
    }
    for (size_t i = 0; i < COUNT; i++)
        eid_sigkey_free(&sigkeys[i]);
}

static void test_made(void **state)
{
    (void)state;
    eid_pubkey key;
    eid_sigkey sigkey;
    tu_assert_ok(eid_pubkey_parse(KEY_1, &key));
    eid_sigkey_direct(&key, &sigkey);
    assert_written(&sigkey, "{\"Direct\":{\"hint\":{\"pubkey\":\"" KEY_1 "\"}}}");
    /* The key may be one inside the sigkey that is written over. */
    eid_sigkey_global(&sigkey.hint.pubkey, &sigkey);
    assert_written(&sigkey, "{\"Direct\":{\"hint\":{\"pubkey\":\"" KEY_1 "\",\"is_global\":true}}}");
    tu_assert_ok(eid_sigkey_named(eid_slice_of("a\0b", 3), &sigkey));
    assert_written(&sigkey, "{\"Direct\":{\"hint\":{\"name\":\"a\\u0000b\"}}}");
    eid_sigkey_free(&sigkey);
    tu_assert_ok(eid_sigkey_named(eid_slice_of(NULL, 0), &sigkey));
    assert_written(&sigkey, "{\"Direct\":{\"hint\":{\"name\":\"\"}}}");
    eid_sigkey_free(&sigkey);
    tu_assert_fails(eid_sigkey_named(eid_slice_text("\xed\xa0\x80"), &sigkey), EID_ERR_UTF8);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        eid_status status;
    } cases[] = {
        {"null", EID_ERR_WRONG_TYPE},
        {"\"Direct\"", EID_ERR_WRONG_TYPE},
        {"{}", EID_ERR_WRONG_TYPE},
        {"{\"Direct\":{\"hint\":{}},\"Direct\":{\"hint\":{}}}", EID_ERR_WRONG_TYPE},
        {"{\"Direct\":{}}", EID_ERR_MISSING_FIELD},
        {"{\"Delegation\":{\"hint\":{}}}", EID_ERR_MISSING_FIELD},
        {"{\"Direct\":{\"hint\":{\"pubkey\":\"x\"}}}", EID_ERR_INVALID_KEY},
        {"{\"Direct\":{\"hint\":{}}", EID_ERR_TRUNCATED},
        {"{\"Direct\":{\"hint\":{},}}", EID_ERR_SYNTAX},
        {"{\"Delegation\":{\"hint\":{\"name\":\"n\"},\"path\":[{\"tree\":\"" ID_1 "\",\"tips\":[\"" ID_1
         "\",\"zzz\"]}]}}",
         EID_ERR_INVALID_ID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eid_sigkey sigkey;
        memset(&sigkey, 0x5a, sizeof sigkey);
        eid_sigkey before = sigkey;
        tu_assert_fails(read_text(cases[i].text, &sigkey), cases[i].status);
        assert_memory_equal(&sigkey, &before, sizeof sigkey);
    }
}

static void test_bounds(void **state)
{
    (void)state;
    for (size_t extra = 0; extra <= 1; extra++) {
        eid_buf steps;
        eid_buf tips;
        eid_buf_init(&steps, 1u << 16);
        eid_buf_init(&tips, 1u << 16);
        eid_buf_append_text(&steps, "{\"Delegation\":{\"hint\":{},\"path\":[");
        for (size_t i = 0; i < EID_LIMIT_DELEGATION_STEPS + extra; i++)
            eid_buf_appendf(&steps, "%s{\"tree\":\"" ID_1 "\",\"tips\":[\"" ID_2 "\"]}", i > 0 ? "," : "");
        eid_buf_append_text(&steps, "]}}");
        eid_buf_append_text(&tips,
                            "{\"Delegation\":{\"hint\":{},\"path\":[{\"tree\":\"" ID_1 "\",\"tips\":[");
        for (size_t i = 0; i < EID_LIMIT_DELEGATION_TIPS + extra; i++)
            eid_buf_appendf(&tips, "%s\"" ID_2 "\"", i > 0 ? "," : "");
        eid_buf_append_text(&tips, "]}]}}");
        const char *long_texts[] = {(const char *)steps.data, (const char *)tips.data};
        for (size_t i = 0; i < 2; i++) {
            eid_sigkey sigkey;
            eid_sigkey copy;
            if (extra == 1) {
                tu_assert_fails(read_text(long_texts[i], &sigkey), EID_ERR_LIMIT);
                continue;
            }
            tu_assert_ok(read_text(long_texts[i], &sigkey));
            tu_assert_ok(eid_sigkey_copy(&sigkey, &copy));
            assert_true(eid_sigkey_equal(&sigkey, &copy));
            eid_sigkey_free(&sigkey);
            eid_sigkey_free(&copy);
        }
        eid_buf_free(&steps);
        eid_buf_free(&tips);
    }
    eid_sigkey too_long;
    eid_sigkey copy;
    memset(&too_long, 0, sizeof too_long);
    too_long.is_delegation = true;
    too_long.path_count = EID_LIMIT_DELEGATION_STEPS + 1;
    tu_assert_fails(eid_sigkey_copy(&too_long, &copy), EID_ERR_LIMIT);
}

/* A failed call leaves the reader before the value. */
static void test_reader_goes_back(void **state)
{
    (void)state;
    eid_json reader;
    eid_sigkey sigkey;
    bool more;
    eid_json_init(&reader, eid_slice_text("[{\"Direct\":{\"hint\":{\"name\":\"\\n\",\"is_global\":[[7]]}}},"
                                          "{\"Direct\":{\"hint\":{}}}]"));
    tu_assert_ok(eid_json_begin_array(&reader, "keys"));
    tu_assert_ok(eid_json_next_item(&reader, &more));
    tu_assert_fails(eid_sigkey_read_json(&reader, &sigkey), EID_ERR_WRONG_TYPE);
    tu_assert_ok(eid_json_skip(&reader));
    tu_assert_ok(eid_json_next_item(&reader, &more));
    assert_true(more);
    tu_assert_ok(eid_sigkey_read_json(&reader, &sigkey));
    eid_sigkey_free(&sigkey);
    tu_assert_ok(eid_json_next_item(&reader, &more));
    assert_false(more);
    tu_assert_ok(eid_json_end(&reader));
    eid_json_free(&reader);
}

/* ---- memory ---- */

static eid_status read_step(void *ctx)
{
    eid_sigkey sigkey;
    EID_TRY(read_text(ctx, &sigkey));
    eid_sigkey_free(&sigkey);
    return EID_OK;
}

static eid_status copy_step(void *ctx)
{
    eid_sigkey copy;
    EID_TRY(eid_sigkey_copy(ctx, &copy));
    eid_sigkey_free(&copy);
    return EID_OK;
}

static eid_status named_step(void *ctx)
{
    eid_sigkey made;
    EID_TRY(eid_sigkey_named(eid_slice_text(ctx), &made));
    eid_sigkey_free(&made);
    return EID_OK;
}

static void test_memory_failures(void **state)
{
    (void)state;
    char text[] = "{\"Delegation\":{\"path\":[{\"tree\":\"" ID_1 "\",\"tips\":[\"" ID_1
                  "\"]},{\"tree\":\"" ID_1 "\",\"tips\":[]}],\"hint\":{\"name\":\"\\u0061\"}}}";
    assert_true(tu_alloc_fault_loop(read_step, text) >= 6);
    eid_sigkey sigkey;
    tu_assert_ok(read_text(text, &sigkey));
    assert_true(tu_alloc_fault_loop(copy_step, &sigkey) >= 4);
    eid_sigkey_free(&sigkey);
    char name[] = "laptop";
    assert_int_equal(tu_alloc_fault_loop(named_step, name), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_equality),
        cmocka_unit_test(test_made),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_reader_goes_back),
        cmocka_unit_test(test_memory_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
