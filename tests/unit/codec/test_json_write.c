/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON writer: the escapes of the stored form, numbers, bytes in the exact space they need. */
#include "support/testutil.h"

#include <stdio.h>
#include <string.h>

#include "codec/json.h"

static void assert_written(eid_slice text, const char *wanted)
{
    eid_buf buf;
    eid_buf_init(&buf, 4096);
    eid_json_write_text(&buf, text);
    tu_assert_ok(eid_buf_status(&buf));
    assert_string_equal((const char *)buf.data, wanted);
    eid_buf_free(&buf);
}

static void texts(void **state)
{
    (void)state;
    assert_written(eid_slice_of(NULL, 0), "\"\"");
    assert_written(eid_slice_text("plain"), "\"plain\"");
    assert_written(eid_slice_text("/ and \x7f and \xc3\xa9 and \xf0\x9f\x98\x80"),
                   "\"/ and \x7f and \xc3\xa9 and \xf0\x9f\x98\x80\"");
    assert_written(eid_slice_text("\"\\\b\f\n\r\t"), "\"\\\"\\\\\\b\\f\\n\\r\\t\"");
    assert_written(eid_slice_of("a\0b", 3), "\"a\\u0000b\"");
    assert_written(eid_slice_text("a long run before the quote \" and one after it"),
                   "\"a long run before the quote \\\" and one after it\"");
    assert_written(eid_slice_text("\"\"\"\"\"\"\"\"\""), "\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\"");

    eid_buf buf;
    eid_buf_init(&buf, 64);
    eid_json_write_cstr(&buf, "k\n");
    assert_string_equal((const char *)buf.data, "\"k\\n\"");
    eid_buf_free(&buf);
}

/* Each of the 128 ASCII characters, the control characters in their one form. */
static void every_character(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 128; c++) {
        char wanted[16];
        uint8_t byte = (uint8_t)c;
        const char *letters = "\b\f\n\r\t\"\\";
        const char *names = "bfnrt\"\\";
        const char *found = c == 0 ? NULL : strchr(letters, (int)c);
        if (found != NULL)
            snprintf(wanted, sizeof wanted, "\"\\%c\"", names[found - letters]);
        else if (c < 0x20)
            snprintf(wanted, sizeof wanted, "\"\\u%04x\"", c);
        else
            snprintf(wanted, sizeof wanted, "\"%c\"", (char)c);
        assert_written(eid_slice_of(&byte, 1), wanted);
    }
}

static void numbers(void **state)
{
    (void)state;
    eid_buf buf;
    eid_buf_init(&buf, 256);
    eid_json_write_u64(&buf, 0);
    eid_buf_append_byte(&buf, ' ');
    eid_json_write_u64(&buf, UINT64_MAX);
    eid_buf_append_byte(&buf, ' ');
    eid_json_write_i64(&buf, INT64_MIN);
    eid_buf_append_byte(&buf, ' ');
    eid_json_write_i64(&buf, INT64_MAX);
    eid_buf_append_byte(&buf, ' ');
    eid_json_write_i64(&buf, -10);
    assert_string_equal((const char *)buf.data,
                        "0 18446744073709551615 -9223372036854775808 9223372036854775807 -10");
    eid_buf_free(&buf);
}

static size_t random_text(tu_random *random, uint8_t *out, size_t characters)
{
    size_t len = 0;
    for (size_t i = 0; i < characters; i++) {
        switch (tu_random_below(random, 6)) {
        case 0:
            out[len++] = (uint8_t)tu_random_below(random, 0x20);
            break;
        case 1:
            out[len++] = tu_random_below(random, 2) == 0 ? '"' : '\\';
            break;
        case 2:
            out[len++] = (uint8_t)(0xc2 + tu_random_below(random, 30));
            out[len++] = (uint8_t)(0x80 + tu_random_below(random, 64));
            break;
        case 3:
            out[len++] = 0xf1;
            for (size_t j = 0; j < 3; j++)
                out[len++] = (uint8_t)(0x80 + tu_random_below(random, 64));
            break;
        default:
            out[len++] = (uint8_t)(0x20 + tu_random_below(random, 0x60));
            break;
        }
    }
    return len;
}

static void random_texts_round_trip(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(815);
    for (size_t round = 0; round < 5000; round++) {
        uint8_t text[4 * 64];
        size_t len = random_text(&random, text, (size_t)tu_random_below(&random, 64));
        eid_buf buf;
        eid_json reader;
        eid_slice again;
        eid_buf_init(&buf, 4096);
        eid_json_write_text(&buf, eid_slice_of(text, len));
        eid_json_init(&reader, eid_buf_slice(&buf));
        tu_assert_ok(eid_json_read_text(&reader, "the text", &again));
        assert_int_equal(again.len, len);
        if (len > 0)
            assert_memory_equal(again.data, text, len);
        tu_assert_ok(eid_json_end(&reader));
        eid_json_free(&reader);
        eid_buf_free(&buf);
    }
}

/* Exactly as much room as the text needs is enough, one byte less is not. */
static void bytes_need_their_exact_size(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[4];
        size_t len;
        const char *text;
    } cases[] = {
        {{0}, 0, "[]"},
        {{0}, 1, "[0]"},
        {{10}, 1, "[10]"},
        {{255}, 1, "[255]"},
        {{1, 2, 3, 4}, 4, "[1,2,3,4]"},
        {{255, 255, 0, 0}, 4, "[255,255,0,0]"},
        {{0, 99, 100, 9}, 4, "[0,99,100,9]"},
        {{100, 200, 250, 3}, 4, "[100,200,250,3]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eid_buf buf;
        size_t size = strlen(cases[i].text);
        eid_buf_init(&buf, size);
        eid_json_write_bytes(&buf, eid_slice_of(cases[i].bytes, cases[i].len));
        tu_assert_ok(eid_buf_status(&buf));
        assert_string_equal((const char *)buf.data, cases[i].text);
        eid_buf_free(&buf);

        eid_buf_init(&buf, size - 1);
        eid_json_write_bytes(&buf, eid_slice_of(cases[i].bytes, cases[i].len));
        tu_assert_fails(eid_buf_status(&buf), EID_ERR_LIMIT);
        assert_int_equal(buf.len, 0);
        eid_buf_free(&buf);
    }
}

/* Every pair of values: what a number stores beyond its length is overwritten by the next. */
static void every_pair_of_bytes(void **state)
{
    (void)state;
    eid_buf buf;
    eid_buf_init(&buf, 64);
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            char wanted[16];
            uint8_t bytes[2] = {(uint8_t)a, (uint8_t)b};
            snprintf(wanted, sizeof wanted, "[%u,%u]", a, b);
            eid_buf_reset(&buf);
            eid_json_write_bytes(&buf, eid_slice_of(bytes, 2));
            assert_string_equal((const char *)buf.data, wanted);
        }
    }
    eid_buf_free(&buf);
}

static void writing_to_a_failed_buffer(void **state)
{
    (void)state;
    eid_buf buf;
    uint8_t bytes[100] = {0};
    eid_buf_init(&buf, 8);
    eid_json_write_text(&buf, eid_slice_text("longer than eight"));
    eid_json_write_bytes(&buf, eid_slice_of(bytes, sizeof bytes));
    eid_json_write_u64(&buf, 1);
    tu_assert_fails(eid_buf_status(&buf), EID_ERR_LIMIT);
    eid_buf_free(&buf);
}

static eid_status write_everything(void *ctx)
{
    const uint8_t *bytes = ctx;
    eid_buf buf;
    eid_buf_init(&buf, 1 << 16);
    eid_json_write_text(&buf,
                        eid_slice_text("a \" long text that makes the buffer grow more than one time over"));
    eid_json_write_i64(&buf, INT64_MIN);
    eid_json_write_bytes(&buf, eid_slice_of(bytes, 1000));
    eid_json_write_cstr(&buf, "\n");
    eid_status status = eid_buf_status(&buf);
    eid_buf_free(&buf);
    return status;
}

static void memory_failures(void **state)
{
    (void)state;
    uint8_t bytes[1000];
    memset(bytes, 123, sizeof bytes);
    tu_alloc_install();
    assert_true(tu_alloc_fault_loop(write_everything, bytes) >= 3);
    tu_alloc_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(every_character),
        cmocka_unit_test(numbers),
        cmocka_unit_test(random_texts_round_trip),
        cmocka_unit_test(bytes_need_their_exact_size),
        cmocka_unit_test(every_pair_of_bytes),
        cmocka_unit_test(writing_to_a_failed_buffer),
        cmocka_unit_test(memory_failures),
    };
    return cmocka_run_group_tests_name("codec-json-write", tests, NULL, NULL);
}
