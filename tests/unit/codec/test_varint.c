/* SPDX-License-Identifier: Apache-2.0 */
#include "support/testutil.h"

#include <stdlib.h>
#include <string.h>

#include "codec/varint.h"

static eid_status read_hex(const char *hex, uint64_t *out, size_t *left)
{
    size_t len;
    uint8_t *bytes = tu_hex_decode(hex, &len);
    eid_slice input = eid_slice_of(bytes, len);
    eid_status status = eid_varint_read(&input, out);
    assert_ptr_equal(input.data + input.len, bytes + len);
    *left = input.len;
    free(bytes);
    return status;
}

static void known_forms(void **state)
{
    (void)state;
    static const struct {
        uint64_t value;
        const char *hex;
    } cases[] = {
        {0, "00"},
        {1, "01"},
        {127, "7f"},
        {128, "8001"},
        {255, "ff01"},
        {300, "ac02"},
        {16383, "ff7f"},
        {16384, "808001"},
        {UINT32_MAX, "ffffffff0f"},
        {INT64_MAX, "ffffffffffffffff7f"},
        {(uint64_t)INT64_MAX + 1, "80808080808080808001"},
        {UINT64_MAX, "ffffffffffffffffff01"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eid_buf buf;
        uint64_t value;
        size_t left;
        char longer[64];
        eid_buf_init(&buf, 64);
        eid_varint_append(&buf, cases[i].value);
        tu_assert_hex(buf.data, buf.len, cases[i].hex);
        tu_assert_ok(read_hex(cases[i].hex, &value, &left));
        assert_true(value == cases[i].value);
        assert_int_equal(left, 0);
        /* What follows stays unread. */
        strcpy(longer, cases[i].hex);
        strcat(longer, "80ff");
        tu_assert_ok(read_hex(longer, &value, &left));
        assert_int_equal(left, 2);
        /* Each cut is noticed and changes nothing. */
        for (size_t len = 0; len < buf.len; len++) {
            eid_slice input = eid_slice_of(buf.data, len);
            value = 77;
            tu_assert_fails(eid_varint_read(&input, &value), EID_ERR_TRUNCATED);
            assert_int_equal(input.len, len);
            assert_int_equal(value, 77);
        }
        eid_buf_free(&buf);
    }
}

static void refused_forms(void **state)
{
    (void)state;
    static const struct {
        const char *hex;
        eid_status status;
    } cases[] = {
        {"8000", EID_ERR_NOT_CANONICAL},
        {"808000", EID_ERR_NOT_CANONICAL},
        {"ff00", EID_ERR_NOT_CANONICAL},
        {"f100", EID_ERR_NOT_CANONICAL},
        {"80808080808080808000", EID_ERR_NOT_CANONICAL},
        {"80808080808080808002", EID_ERR_RANGE},
        {"ffffffffffffffffff7f", EID_ERR_RANGE},
        {"8080808080808080808001", EID_ERR_RANGE},
        {"ffffffffffffffffffffffff", EID_ERR_RANGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t value = 77;
        size_t left;
        tu_assert_fails(read_hex(cases[i].hex, &value, &left), cases[i].status);
        assert_int_equal(value, 77);
        assert_int_equal(left, strlen(cases[i].hex) / 2);
    }
}

static void random_values_round_trip(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(128);
    eid_buf buf;
    uint64_t values[1000];
    eid_buf_init(&buf, 1 << 16);
    for (size_t i = 0; i < 1000; i++) {
        values[i] = tu_random_next(&random) >> tu_random_below(&random, 64);
        eid_varint_append(&buf, values[i]);
    }
    eid_slice input = eid_buf_slice(&buf);
    for (size_t i = 0; i < 1000; i++) {
        uint64_t value;
        tu_assert_ok(eid_varint_read(&input, &value));
        assert_true(value == values[i]);
    }
    assert_int_equal(input.len, 0);
    eid_buf_free(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_forms),
        cmocka_unit_test(refused_forms),
        cmocka_unit_test(random_values_round_trip),
    };
    return cmocka_run_group_tests_name("codec-varint", tests, NULL, NULL);
}
