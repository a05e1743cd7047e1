/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata: the pin of the settings an entry was written under. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/cid.h"
#include "entry_test.h"

/* An entry with this metadata; NULL for none. */
static eid_entry *entry_with(const char *metadata, size_t len)
{
    eid_entry_builder *builder;
    eid_id root = et_id(1);
    tu_assert_ok(eid_entry_builder_new(&root, &builder));
    tu_assert_ok(eid_entry_builder_set_parents(builder, &root, 1));
    if (metadata != NULL)
        tu_assert_ok(eid_entry_builder_set_metadata(builder, eid_slice_of(metadata, len)));
    eid_entry *entry;
    tu_assert_ok(eid_entry_builder_finish(builder, NULL, NULL, &entry));
    eid_entry_builder_free(builder);
    return entry;
}

static void test_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t tips;
        bool has_entropy;
        uint64_t entropy;
    } cases[] = {
        {"{\"settings_tips\":[],\"entropy\":null}", 0, false, 0},
        {"{\"settings_tips\":[]}", 0, false, 0},
        {"{\"settings_tips\":[],\"entropy\":0}", 0, true, 0},
        {"{\"entropy\":18446744073709551615,\"settings_tips\":[\"" ID_1 "\"]}", 1, true, UINT64_MAX},
        {"{\"settings_tips\":[\"" ID_1 "\",\"" ID_2 "\",\"" ID_3 "\"]}", 3, false, 0},
        {"{\"settings_tips\":[\"" ID_3 "\",\"" ID_1 "\",\"" ID_3 "\",\"" ID_2 "\",\"" ID_1 "\"]}", 3, false,
         0},
        {" { \"x\" : {\"settings_tips\":[7]} , \"settings_tips\" : [ \"" ID_1 "\" ] , \"y\":1.5e3 } ", 1,
         false, 0},
        {"{\"settings_tips\":[\"\",\"" ID_1 "\"]}", 2, false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eid_entry *entry = entry_with(cases[i].text, strlen(cases[i].text));
        eid_entry_pin pin;
        tu_assert_ok(eid_entry_read_pin(entry, &pin));
        assert_true(pin.present);
        assert_int_equal(pin.tip_count, cases[i].tips);
        for (size_t j = 1; j < pin.tip_count; j++)
            assert_true(eid_id_compare(&pin.tips[j - 1], &pin.tips[j]) < 0);
        assert_int_equal(pin.has_entropy, cases[i].has_entropy);
        assert_true(pin.entropy == cases[i].entropy);
        eid_entry_pin_free(&pin);
        assert_null(pin.tips);
        eid_entry_unref(entry);
    }
}

static void test_absent(void **state)
{
    (void)state;
    eid_entry *entry = entry_with(NULL, 0);
    eid_entry_pin pin;
    memset(&pin, 0x5a, sizeof pin);
    tu_assert_ok(eid_entry_read_pin(entry, &pin));
    assert_false(pin.present);
    assert_false(pin.has_entropy);
    assert_int_equal(pin.tip_count, 0);
    assert_null(pin.tips);
    eid_entry_pin_free(&pin);
    eid_entry_unref(entry);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        eid_status status;
    } cases[] = {
        {"", EID_ERR_TRUNCATED},
        {"m", EID_ERR_SYNTAX},
        {"null", EID_ERR_WRONG_TYPE},
        {"[]", EID_ERR_WRONG_TYPE},
        {"{}", EID_ERR_MISSING_FIELD},
        {"{\"entropy\":1}", EID_ERR_MISSING_FIELD},
        {"{\"settings_tips\":null}", EID_ERR_WRONG_TYPE},
        {"{\"settings_tips\":\"" ID_1 "\"}", EID_ERR_WRONG_TYPE},
        {"{\"settings_tips\":[null]}", EID_ERR_WRONG_TYPE},
        {"{\"settings_tips\":[\"zzz\"]}", EID_ERR_INVALID_ID},
        {"{\"settings_tips\":[],\"settings_tips\":[]}", EID_ERR_DUPLICATE_KEY},
        {"{\"settings_tips\":[],\"entropy\":null,\"entropy\":1}", EID_ERR_DUPLICATE_KEY},
        {"{\"settings_tips\":[],\"entropy\":-1}", EID_ERR_RANGE},
        {"{\"settings_tips\":[],\"entropy\":18446744073709551616}", EID_ERR_RANGE},
        {"{\"settings_tips\":[],\"entropy\":1.0}", EID_ERR_WRONG_TYPE},
        {"{\"settings_tips\":[],\"entropy\":\"1\"}", EID_ERR_WRONG_TYPE},
        {"{\"settings_tips\":[]}x", EID_ERR_TRAILING_DATA},
        {"{\"settings_tips\":[\"" ID_1 "\"]", EID_ERR_TRUNCATED},
        {"{\"settings_tips\":[],\"x\":\"\xff\"}", EID_ERR_UTF8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eid_entry *entry = entry_with(cases[i].text, strlen(cases[i].text));
        eid_entry_pin pin;
        memset(&pin, 0x5a, sizeof pin);
        eid_entry_pin before = pin;
        eid_status status = eid_entry_read_pin(entry, &pin);
        if (status != cases[i].status)
            fail_msg("%s: %s (%s)", cases[i].text, eid_status_name(status), eid_last_error());
        assert_memory_equal(&pin, &before, sizeof pin);
        eid_entry_unref(entry);
    }
}

static void test_written(void **state)
{
    (void)state;
    eid_id tips[2] = {et_parse_id(ID_1), et_parse_id(ID_2)};
    const uint64_t entropy = UINT64_MAX;
    static const char *const wanted[] = {
        "{\"settings_tips\":[],\"entropy\":null}",
        "{\"settings_tips\":[\"" ID_1 "\",\"" ID_2 "\"],\"entropy\":18446744073709551615}",
    };
    for (size_t i = 0; i < 2; i++) {
        eid_buf buf;
        eid_buf_init(&buf, 1024);
        eid_metadata_write(&buf, tips, i * 2, i == 0 ? NULL : &entropy);
        assert_string_equal((const char *)buf.data, wanted[i]);
        eid_entry *entry = entry_with((const char *)buf.data, buf.len);
        eid_entry_pin pin;
        tu_assert_ok(eid_entry_read_pin(entry, &pin));
        assert_int_equal(pin.tip_count, i * 2);
        assert_int_equal(pin.has_entropy, i == 1);
        eid_entry_pin_free(&pin);
        eid_entry_unref(entry);
        eid_buf_free(&buf);
    }
}

static void test_limit(void **state)
{
    (void)state;
    for (size_t extra = 0; extra <= 1; extra++) {
        eid_buf buf;
        eid_buf_init(&buf, EID_LIMIT_ENTRY_BYTES);
        eid_buf_append_text(&buf, "{\"settings_tips\":[");
        for (unsigned i = 0; i < EID_LIMIT_SETTINGS_PIN + extra; i++) {
            char text[EID_ID_TEXT_SIZE];
            eid_id id = et_id(i);
            eid_id_format(&id, text);
            eid_buf_appendf(&buf, "%s\"%s\"", i > 0 ? "," : "", text);
        }
        eid_buf_append_text(&buf, "]}");
        eid_entry *entry = entry_with((const char *)buf.data, buf.len);
        eid_entry_pin pin;
        if (extra == 0) {
            tu_assert_ok(eid_entry_read_pin(entry, &pin));
            assert_int_equal(pin.tip_count, EID_LIMIT_SETTINGS_PIN);
            eid_entry_pin_free(&pin);
        } else {
            tu_assert_fails(eid_entry_read_pin(entry, &pin), EID_ERR_LIMIT);
        }
        eid_entry_unref(entry);
        eid_buf_free(&buf);
    }
}

static eid_status read_step(void *ctx)
{
    eid_entry_pin pin;
    EID_TRY(eid_entry_read_pin(ctx, &pin));
    eid_entry_pin_free(&pin);
    return EID_OK;
}

static void test_memory_failures(void **state)
{
    (void)state;
    static const char text[] = "{\"settings_tips\":[\"" ID_3 "\",\"\\u0062"
                               "afyr4icnsiz2xobrc473falmccolwv2abhxlfqpu3nqere4iomwolv5uya\"]}";
    eid_entry *entry = entry_with(text, sizeof text - 1);
    assert_true(tu_alloc_fault_loop(read_step, entry) >= 2);
    eid_entry_unref(entry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),    cmocka_unit_test(test_absent), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_written), cmocka_unit_test(test_limit),  cmocka_unit_test(test_memory_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
