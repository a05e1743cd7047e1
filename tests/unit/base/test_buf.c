/* SPDX-License-Identifier: Apache-2.0 */
/* The growable buffer: content, the maximum, and failing for good. */
#include "support/testutil.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"

static void appends_add_up(void **state)
{
    (void)state;
    eid_buf buf;
    eid_buf_init(&buf, 1000);
    eid_buf_append(&buf, "ab\0", 3);
    eid_buf_append_byte(&buf, 'c');
    eid_buf_append_text(&buf, "de");
    eid_buf_append_slice(&buf, eid_slice_text("fg"));
    eid_buf_appendf(&buf, "%d-%s", 42, "x");
    eid_buf_append_u64_be(&buf, 0x0102030405060708u);
    tu_assert_ok(eid_buf_status(&buf));
    static const char wanted[] = "ab\0cdefg42-x\x01\x02\x03\x04\x05\x06\x07\x08";
    assert_int_equal(buf.len, sizeof wanted - 1);
    assert_memory_equal(buf.data, wanted, sizeof wanted);
    eid_buf_free(&buf);
    assert_null(buf.data);
}

static void empty_appends_are_fine(void **state)
{
    (void)state;
    eid_buf buf;
    eid_buf_init(&buf, 0);
    eid_buf_append(&buf, NULL, 0);
    eid_buf_append_slice(&buf, eid_slice_of(NULL, 0));
    eid_buf_append_text(&buf, "");
    eid_buf_appendf(&buf, "%s", "");
    tu_assert_ok(eid_buf_status(&buf));
    assert_int_equal(eid_buf_slice(&buf).len, 0);
    eid_buf_free(&buf);
}

static void the_maximum_is_exact(void **state)
{
    (void)state;
    eid_buf buf;
    eid_buf_init(&buf, 5);
    eid_buf_append_text(&buf, "12345");
    tu_assert_ok(eid_buf_status(&buf));
    assert_int_equal(buf.capacity, 6);
    eid_buf_append_byte(&buf, '6');
    tu_assert_fails(eid_buf_status(&buf), EID_ERR_LIMIT);
    assert_non_null(strstr(eid_last_error(), "5 bytes"));
    assert_int_equal(buf.len, 5);
    eid_buf_free(&buf);
}

static void the_first_failure_stays(void **state)
{
    (void)state;
    eid_buf buf;
    eid_buf_init(&buf, 5);
    eid_buf_append_text(&buf, "123");
    eid_buf_append_text(&buf, "456");
    eid_buf_append_text(&buf, "7");
    eid_buf_append_byte(&buf, '8');
    eid_buf_appendf(&buf, "%d", 9);
    assert_null(eid_buf_reserve(&buf, 1));
    eid_buf_commit(&buf, 1);
    assert_int_equal(buf.len, 3);
    tu_assert_fails(eid_buf_status(&buf), EID_ERR_LIMIT);
    eid_buf_reset(&buf);
    tu_assert_ok(eid_buf_status(&buf));
    eid_buf_append_text(&buf, "new");
    assert_string_equal((const char *)buf.data, "new");
    eid_buf_free(&buf);
}

static void huge_lengths_do_not_wrap(void **state)
{
    (void)state;
    eid_buf buf;
    eid_buf_init(&buf, SIZE_MAX);
    eid_buf_append_text(&buf, "abc");
    assert_null(eid_buf_reserve(&buf, SIZE_MAX - 2));
    tu_assert_fails(eid_buf_status(&buf), EID_ERR_LIMIT);
    eid_buf_free(&buf);

    /* Within the maximum, but more than there is: the allocator says no. */
    tu_alloc_install();
    eid_buf_init(&buf, SIZE_MAX);
    tu_alloc_fail_from(1);
    assert_null(eid_buf_reserve(&buf, SIZE_MAX / 2 + 10));
    tu_assert_fails(eid_buf_status(&buf), EID_ERR_NO_MEMORY);
    eid_buf_free(&buf);
    tu_alloc_remove();
}

static void reserve_and_commit(void **state)
{
    (void)state;
    eid_buf buf;
    eid_buf_init(&buf, 1000);
    eid_buf_append_text(&buf, "<");
    uint8_t *room = eid_buf_reserve(&buf, 100);
    assert_non_null(room);
    memset(room, 'z', 100);
    eid_buf_commit(&buf, 3);
    eid_buf_append_text(&buf, ">");
    assert_string_equal((const char *)buf.data, "<zzz>");
    eid_buf_free(&buf);
}

static void take_hands_over(void **state)
{
    (void)state;
    eid_buf buf;
    eid_buf_init(&buf, 10);
    char *text = NULL;
    tu_assert_ok(eid_buf_take_text(&buf, &text));
    assert_string_equal(text, "");
    eid_free(text);

    eid_buf_append_text(&buf, "again");
    uint8_t *data = NULL;
    size_t len = 0;
    tu_assert_ok(eid_buf_take(&buf, &data, &len));
    assert_int_equal(len, 5);
    assert_memory_equal(data, "again", 6);
    assert_null(buf.data);
    assert_int_equal(buf.max, 10);
    eid_free(data);
}

static void a_failed_buffer_hands_over_nothing(void **state)
{
    (void)state;
    eid_buf buf;
    eid_buf_init(&buf, 3);
    eid_buf_append_text(&buf, "ab");
    eid_buf_append_text(&buf, "cd");
    uint8_t *data = (uint8_t *)&buf;
    size_t len = 77;
    tu_assert_fails(eid_buf_take(&buf, &data, &len), EID_ERR_LIMIT);
    assert_ptr_equal(data, &buf);
    assert_int_equal(len, 77);
    assert_null(buf.data);
    char *text = (char *)&len;
    eid_buf_append_text(&buf, "abcd");
    tu_assert_fails(eid_buf_take_text(&buf, &text), EID_ERR_LIMIT);
    assert_ptr_equal(text, &len);
}

static eid_status build_text(void *ctx)
{
    (void)ctx;
    eid_buf buf;
    eid_buf_init(&buf, 1u << 20);
    for (int i = 0; i < 1000; i++)
        eid_buf_appendf(&buf, "%d,", i);
    char *text;
    EID_TRY(eid_buf_take_text(&buf, &text));
    assert_memory_equal(text, "0,1,2,", 6);
    eid_free(text);
    return EID_OK;
}

static void every_growth_may_fail(void **state)
{
    (void)state;
    assert_true(tu_alloc_fault_loop(build_text, NULL) >= 5);
}

/* Random appends against a plain array. */
static void random_appends_match_a_model(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(20260804);
    for (int round = 0; round < 200; round++) {
        uint8_t model[600];
        size_t model_len = 0;
        bool model_failed = false;
        size_t max = (size_t)tu_random_below(&random, sizeof model);
        eid_buf buf;
        eid_buf_init(&buf, max);
        for (int step = 0; step < 60; step++) {
            uint8_t piece[32];
            size_t len = (size_t)tu_random_below(&random, sizeof piece);
            tu_random_fill(&random, piece, len);
            eid_buf_append(&buf, piece, len);
            model_failed = model_failed || model_len + len > max;
            if (!model_failed) {
                memcpy(model + model_len, piece, len);
                model_len += len;
            }
            assert_int_equal(buf.status, model_failed ? EID_ERR_LIMIT : EID_OK);
            assert_int_equal(buf.len, model_len);
            if (model_len > 0)
                assert_memory_equal(buf.data, model, model_len);
            if (buf.data != NULL)
                assert_int_equal(buf.data[buf.len], 0);
        }
        eid_buf_free(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_add_up),           cmocka_unit_test(empty_appends_are_fine),
        cmocka_unit_test(the_maximum_is_exact),     cmocka_unit_test(the_first_failure_stays),
        cmocka_unit_test(huge_lengths_do_not_wrap), cmocka_unit_test(reserve_and_commit),
        cmocka_unit_test(take_hands_over),          cmocka_unit_test(a_failed_buffer_hands_over_nothing),
        cmocka_unit_test(every_growth_may_fail),    cmocka_unit_test(random_appends_match_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
