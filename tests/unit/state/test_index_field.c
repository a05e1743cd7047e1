/* SPDX-License-Identifier: Apache-2.0 */
/* Values of fields: what a path finds in a row, and that the bytes of the forms sort as the values do. Numbers are compared
 * with an exact comparison of decimal texts that works another way: by writing both with equally many places. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/index.h"
#include "support/testutil.h"

/* ---- Numbers ---- */

/* The number times 10^400, as a sign and digits without leading zeros. */
typedef struct exact {
    bool negative;
    char digits[1200];
} exact;

#define SCALE 400

static exact exact_of(const char *text)
{
    exact e = {.negative = text[0] == '-'};
    char all[1200] = "";
    size_t count = 0;
    long exponent = SCALE;
    bool behind_point = false;
    const char *at = text + e.negative;
    for (; *at != '\0' && tolower(*at) != 'e'; at++) {
        if (*at == '.') {
            behind_point = true;
            continue;
        }
        all[count++] = *at;
        exponent -= behind_point;
    }
    if (*at != '\0')
        exponent += strtol(at + 1, NULL, 10);
    assert_true(exponent >= 0 && count + (size_t)exponent < sizeof all);
    while (exponent-- > 0)
        all[count++] = '0';
    size_t zeros = strspn(all, "0");
    memcpy(e.digits, all + zeros, count - zeros + 1);
    if (e.digits[0] == '\0')
        e.negative = false;
    return e;
}

static int exact_compare(const exact *a, const exact *b)
{
    if (a->negative != b->negative)
        return a->negative ? -1 : 1;
    size_t left = strlen(a->digits), right = strlen(b->digits);
    int order = left != right ? (left < right ? -1 : 1) : strcmp(a->digits, b->digits);
    order = order < 0 ? -1 : order > 0;
    return a->negative ? -order : order;
}

static int sign(int order)
{
    return order < 0 ? -1 : order > 0;
}

static void assert_order(const char *a, const char *b, int wanted)
{
    eid_buf left, right;
    eid_buf_init(&left, 4096);
    eid_buf_init(&right, 4096);
    if (!eid_field_write_number(&left, eid_slice_text(a)) || !eid_field_write_number(&right, eid_slice_text(b)))
        fail_msg("%s or %s is not taken for a number", a, b);
    int order = sign(eid_slice_compare(eid_buf_slice(&left), eid_buf_slice(&right)));
    if (order != wanted)
        fail_msg("%s and %s compare as %d, not as %d", a, b, order, wanted);
    /* Whatever is cut off keeps the order, or makes it equal. */
    for (size_t cut = 1; cut < 12; cut++) {
        eid_slice x = eid_buf_slice(&left), y = eid_buf_slice(&right);
        x.len = x.len < cut ? x.len : cut;
        y.len = y.len < cut ? y.len : cut;
        int part = sign(eid_slice_compare(x, y));
        assert_true(part == 0 || part == wanted);
    }
    eid_buf_free(&left);
    eid_buf_free(&right);
}

static void random_number(tu_random *random, char out[160])
{
    size_t at = 0, whole = 1 + tu_random_below(random, tu_random_below(random, 4) == 0 ? 30 : 3);
    if (tu_random_below(random, 2) == 0)
        out[at++] = '-';
    /* Few different digits make neighbours likely. */
    const char *digits = tu_random_below(random, 2) == 0 ? "0199" : "0123456789";
    for (size_t i = 0; i < whole; i++)
        out[at++] = digits[tu_random_below(random, strlen(digits))];
    size_t first = at - whole;
    if (out[first] == '0' && whole > 1)
        out[first] = '1';
    if (tu_random_below(random, 2) == 0) {
        out[at++] = '.';
        for (size_t i = 1 + tu_random_below(random, 6); i > 0; i--)
            out[at++] = digits[tu_random_below(random, strlen(digits))];
    }
    out[at] = '\0';
    if (tu_random_below(random, 3) == 0)
        snprintf(out + at, 160 - at, "%c%s%d", tu_random_below(random, 2) == 0 ? 'e' : 'E',
                 tu_random_below(random, 2) == 0 ? "" : "-", (int)tu_random_below(random, tu_random_below(random, 2) == 0 ? 4 : 250));
}

static void numbers_compare_exactly(void **state)
{
    tu_random random = tu_random_seeded(20250611);
    size_t equal = 0;
    (void)state;
    for (size_t i = 0; i < 200000; i++) {
        char a[160], b[160];
        random_number(&random, a);
        random_number(&random, b);
        exact left = exact_of(a), right = exact_of(b);
        int wanted = exact_compare(&left, &right);
        equal += wanted == 0;
        assert_order(a, b, wanted);
    }
    assert_true(equal > 100);
}

static void numbers_beyond_doubles_compare_exactly(void **state)
{
    static const char *const ascending[] = {"-1e400",
                                            "-18446744073709551616",
                                            "-9223372036854775808",
                                            "-9223372036854775807",
                                            "-9007199254740993",
                                            "-9007199254740992.5",
                                            "-9007199254740992",
                                            "-1.2003",
                                            "-1.2",
                                            "-1.19",
                                            "-1",
                                            "-0.1",
                                            "-1e-300",
                                            "-1e-100000",
                                            "0",
                                            "1e-100000",
                                            "1e-101",
                                            "1e-100",
                                            "1e-99",
                                            "0.09999999999999999999999",
                                            "0.1",
                                            "0.1000000000000000055511151231257827",
                                            "1",
                                            "9",
                                            "10",
                                            "99",
                                            "9007199254740992",
                                            "9007199254740992.5",
                                            "9007199254740993",
                                            "9223372036854775807",
                                            "9223372036854775808",
                                            "18446744073709551615",
                                            "1e99",
                                            "1e100",
                                            "1e101",
                                            "1e308",
                                            "1e1000000000000"};
    size_t count = sizeof ascending / sizeof *ascending;
    (void)state;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < count; k++)
            assert_order(ascending[i], ascending[k], i < k ? -1 : i > k);
}

static void equal_numbers_have_one_form(void **state)
{
    static const char *const groups[][6] = {{"0", "-0", "0.0", "0e5", "0.000e-7", "-0.0E999999999999999"},
                                            {"1", "1.0", "1e0", "10e-1", "0.1e1", "0.001E+3"},
                                            {"-250", "-25e1", "-2.5e2", "-250.00", "-0.25e3", "-2500e-1"},
                                            {"100000", "1e5", "1.0e5", "1e+05", "0.00001e10", "100000.0"}};
    (void)state;
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++)
        for (size_t i = 0; i < 6; i++)
            assert_order(groups[g][0], groups[g][i], 0);
}

static void doubles_keep_their_order(void **state)
{
    tu_random random = tu_random_seeded(7);
    (void)state;
    for (size_t i = 0; i < 50000; i++) {
        uint64_t bits = tu_random_next(&random);
        double a, b;
        memcpy(&a, &bits, sizeof a);
        bits = tu_random_below(&random, 2) == 0 ? bits + 1 + tu_random_below(&random, 3) : tu_random_next(&random);
        memcpy(&b, &bits, sizeof b);
        if (a - a != 0 || b - b != 0)
            continue; /* infinite, or no number */
        char left[64], right[64];
        snprintf(left, sizeof left, "%.17g", a);
        snprintf(right, sizeof right, "%.17g", b);
        assert_order(left, right, a < b ? -1 : a > b);
    }
}

static void what_is_no_number_is_refused(void **state)
{
    static const char *const texts[] = {"",    "-",    "+1",   "01",  "1.",       ".5",       "1e",  "1e+",
                                        "1x",  "1e5x", "--1",  "0x1", "Infinity", "1e1.5",    "1 ",  "1e1000000000000001",
                                        "nan", "1ee5", "1e-1000000000000001",     "1e99999999999999999999"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        eid_buf out;
        eid_buf_init(&out, 4096);
        if (eid_field_write_number(&out, eid_slice_text(texts[i])))
            fail_msg("%s is taken for a number", texts[i]);
        assert_int_equal(out.len, 0);
        eid_buf_free(&out);
    }
}

/* ---- Paths and rows ---- */

static void paths_are_checked(void **state)
{
    static const char *const good[] = {"a", "address.city", "a b", "\xc3\xa9", "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p", "[0]"};
    static const char *const bad[] = {"", ".", "a.", ".a", "a..b", "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q"};
    char longest[EID_LIMIT_INDEX_FIELD + 2];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        tu_assert_ok(eid_field_check(eid_slice_text(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        tu_assert_fails(eid_field_check(eid_slice_text(bad[i])), EID_ERR_INVALID_PATH);
    tu_assert_fails(eid_field_check(eid_slice_text("a\xff")), EID_ERR_UTF8);
    memset(longest, 'x', sizeof longest);
    tu_assert_ok(eid_field_check(eid_slice_of(longest, EID_LIMIT_INDEX_FIELD)));
    tu_assert_fails(eid_field_check(eid_slice_of(longest, EID_LIMIT_INDEX_FIELD + 1)), EID_ERR_INVALID_PATH);
}

/* "null;true;#<number's bytes in hex>;\"text\"" */
static void describe(const eid_field_values *values, char *out, size_t size)
{
    out[0] = '\0';
    for (size_t i = 0; i < values->count; i++) {
        eid_slice value = eid_field_value_at(values, i);
        size_t used = strlen(out);
        if (value.data[0] == EID_FIELD_TAG_TEXT)
            snprintf(out + used, size - used, "\"%.*s\";", (int)value.len - 1, (const char *)value.data + 1);
        else if (value.data[0] == EID_FIELD_TAG_NULL)
            snprintf(out + used, size - used, "null;");
        else if (value.data[0] <= EID_FIELD_TAG_TRUE)
            snprintf(out + used, size - used, "%s;", value.data[0] == EID_FIELD_TAG_TRUE ? "true" : "false");
        else
            snprintf(out + used, size - used, "#%u;", value.len > 2 ? value.data[2] - 1u : 0u);
    }
}

static void assert_values(eid_field_values *values, const char *field, const char *row, const char *wanted)
{
    char text[4096];
    tu_assert_ok(eid_field_read(eid_slice_text(field), eid_slice_text(row), values));
    describe(values, text, sizeof text);
    if (strcmp(text, wanted) != 0)
        fail_msg("%s of %s is %s, not %s", field, row, text, wanted);
}

static void fields_are_found(void **state)
{
    static const char *const cases[][3] = {
        {"a", "{\"a\":\"x\"}", "\"x\";"},
        {"a", "{\"b\":1,\"a\":null,\"c\":[{}]}", "null;"},
        {"a", "{\"a\":true}", "true;"},
        {"a", "{\"a\":20}", "#20;"},
        {"a", " { \"a\" : \"\" } ", "\"\";"},
        {"a", "{}", ""},
        {"a", "{\"b\":{\"a\":1}}", ""},
        {"a", "{\"a\":{}}", ""},
        {"a", "{\"a\":{\"a\":1}}", ""},
        {"a", "[\"a\"]", ""},
        {"a", "\"a\"", ""},
        {"a", "7", ""},
        {"a.b", "{\"a\":{\"b\":\"x\",\"c\":2},\"b\":3}", "\"x\";"},
        {"a.b", "{\"a\":{\"c\":{\"b\":1}}}", ""},
        {"a.b", "{\"a\":\"b\"}", ""},
        {"a.b", "{\"a.b\":1}", ""},
        {"a.b", "{\"a\":[{\"b\":1}]}", ""},
        {"a.b.c", "{\"a\":{\"b\":{\"c\":\"deep\"}}}", "\"deep\";"},
        {"\xc3\xa9", "{\"\\u00e9\":\"x\\u0041\\n\"}", "\"xA\n\";"},
        /* The last of equal members counts, whatever it is. */
        {"a", "{\"a\":\"x\",\"a\":\"y\"}", "\"y\";"},
        {"a", "{\"a\":\"x\",\"a\":{}}", ""},
        {"a.b", "{\"a\":{\"b\":\"x\"},\"a\":{\"c\":1}}", ""},
        {"a.b", "{\"a\":{\"b\":\"x\"},\"a\":\"y\"}", ""},
        {"a.b", "{\"a\":{\"b\":\"x\",\"b\":\"y\"}}", "\"y\";"},
        /* Elements, each once and in order. */
        {"a", "{\"a\":[\"b\",\"a\",\"b\",null,false,30,[\"c\"],{\"d\":1},true,\"\"]}", "null;false;true;#30;\"\";\"a\";\"b\";"},
        {"a", "{\"a\":[]}", ""},
        {"a", "{\"a\":[1,1.0,10e-1]}", "#10;"},
        /* Not JSON, or not wholly. */
        {"a", "", ""},
        {"a", "{\"a\":\"x\"", ""},
        {"a", "{\"a\":\"x\"} {}", ""},
        {"a", "{\"a\":\"x\",}", ""},
        {"a", "{\"a\":\"x\",\"b\":\"\xff\"}", ""},
    };
    eid_field_values values;
    (void)state;
    eid_field_values_init(&values);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_values(&values, cases[i][0], cases[i][1], cases[i][2]);
    eid_field_values_free(&values);
}

static void only_the_first_elements_count(void **state)
{
    char row[8192] = "{\"a\":[[0],";
    eid_field_values values;
    (void)state;
    for (int i = 0; i < EID_LIMIT_INDEX_ELEMENTS + 50; i++)
        snprintf(row + strlen(row), sizeof row - strlen(row), "\"%04d\",", EID_LIMIT_INDEX_ELEMENTS + 50 - i);
    strcat(row, "{}]}");
    eid_field_values_init(&values);
    tu_assert_ok(eid_field_read(eid_slice_text("a"), eid_slice_text(row), &values));
    assert_int_equal(values.count, EID_LIMIT_INDEX_ELEMENTS);
    assert_memory_equal(eid_field_value_at(&values, 0).data + 1, "0051", 4);
    eid_field_values_free(&values);
}

static void deep_rows_have_no_values(void **state)
{
    char row[600] = "{\"a\":\"x\",\"b\":";
    eid_field_values values;
    (void)state;
    memset(row + strlen(row), '[', 200);
    strcat(row, "]");
    eid_field_values_init(&values);
    assert_values(&values, "a", row, "");
    eid_field_values_free(&values);
}

static void kinds_have_one_order(void **state)
{
    static const char *const ascending[] = {"null", "false", "true", "-1e9", "-1", "0", "1", "1e9", "\"\"", "\"0\"", "\"a\"",
                                            "\"a\\u0000\"", "\"ab\"", "\"b\"", "\"\xc3\xa9\"", "\"\xf0\x9f\x98\x80\""};
    eid_field_values last, next;
    (void)state;
    eid_field_values_init(&last);
    eid_field_values_init(&next);
    for (size_t i = 0; i < sizeof ascending / sizeof *ascending; i++) {
        char row[64];
        snprintf(row, sizeof row, "{\"a\":%s}", ascending[i]);
        tu_assert_ok(eid_field_read(eid_slice_text("a"), eid_slice_text(row), &next));
        assert_int_equal(next.count, 1);
        if (i > 0)
            assert_true(eid_slice_compare(eid_field_value_at(&last, 0), eid_field_value_at(&next, 0)) < 0);
        assert_true(eid_field_value_at(&next, 0).data[0] < EID_FIELD_TAG_END);
        eid_field_values swap = last;
        last = next;
        next = swap;
    }
    eid_field_values_free(&last);
    eid_field_values_free(&next);
}

static eid_status read_once(void *ctx)
{
    eid_field_values values;
    eid_field_values_init(&values);
    eid_status status = eid_field_read(eid_slice_text("a.b"), eid_slice_text("{\"a\":{\"b\":[\"x\\n\",1,2.5]}}"), &values);
    if (status == EID_OK)
        assert_int_equal(values.count, 3);
    else
        assert_int_equal(status, EID_ERR_NO_MEMORY);
    eid_field_values_free(&values);
    (void)ctx;
    return status;
}

static void fields_survive_short_memory(void **state)
{
    (void)state;
    assert_true(tu_alloc_fault_loop(read_once, NULL) > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_compare_exactly),
        cmocka_unit_test(numbers_beyond_doubles_compare_exactly),
        cmocka_unit_test(equal_numbers_have_one_form),
        cmocka_unit_test(doubles_keep_their_order),
        cmocka_unit_test(what_is_no_number_is_refused),
        cmocka_unit_test(paths_are_checked),
        cmocka_unit_test(fields_are_found),
        cmocka_unit_test(only_the_first_elements_count),
        cmocka_unit_test(deep_rows_have_no_values),
        cmocka_unit_test(kinds_have_one_order),
        cmocka_unit_test(fields_survive_short_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
