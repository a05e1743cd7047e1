/* SPDX-License-Identifier: Apache-2.0 */
/* Times of messages: what is read, what is refused, what is written. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "stamp.h"

static void expect(const char *text, int64_t seconds, uint32_t nanos)
{
    struct stamp stamp;
    if (!stamp_parse(text, strlen(text), &stamp))
        fail_msg("not read: %s", text);
    assert_int_equal(stamp.seconds, seconds);
    assert_int_equal(stamp.nanos, nanos);
}

static void refuse(const char *text)
{
    struct stamp stamp = {7, 7};
    if (stamp_parse(text, strlen(text), &stamp))
        fail_msg("read: %s", text);
    assert_int_equal(stamp.seconds, 7);
    assert_int_equal(stamp.nanos, 7);
}

static void test_reads_rfc3339(void **state)
{
    (void)state;
    expect("1970-01-01T00:00:00Z", 0, 0);
    expect("2025-10-09T08:53:20Z", 1760000000, 0);
    expect("2025-10-09T08:53:20.5Z", 1760000000, 500000000);
    expect("2025-10-09T08:53:20.123456789Z", 1760000000, 123456789);
    expect("2025-10-09T08:53:20.1234567899999Z", 1760000000, 123456789);
    expect("2025-10-09T08:53:20+00:00", 1760000000, 0);
    expect("2025-10-09T10:53:20+02:00", 1760000000, 0);
    expect("2025-10-09T03:23:20-05:30", 1760000000, 0);
    expect("2025-10-09t08:53:20z", 1760000000, 0);
    expect("2025-10-09 08:53:20Z", 1760000000, 0);
    expect("1969-12-31T23:59:59Z", -1, 0);
    expect("2024-02-29T00:00:00Z", 1709164800, 0);
    expect("2000-02-29T00:00:00Z", 951782400, 0);
    expect("2016-12-31T23:59:60Z", 1483228799, 0);
    expect("9999-12-31T23:59:59Z", 253402300799, 0);
    expect("0000-01-01T00:00:00Z", -62167219200, 0);
}

static void test_refuses_the_rest(void **state)
{
    (void)state;
    refuse("");
    refuse("yesterday");
    refuse("2025-10-09");
    refuse("2025-10-09T08:53:20");
    refuse("2025-10-09T08:53Z");
    refuse("2025-13-09T08:53:20Z");
    refuse("2025-00-09T08:53:20Z");
    refuse("2025-02-29T08:53:20Z");
    refuse("1900-02-29T00:00:00Z");
    refuse("2025-10-32T08:53:20Z");
    refuse("2025-10-00T08:53:20Z");
    refuse("2025-10-09T24:00:00Z");
    refuse("2025-10-09T08:60:20Z");
    refuse("2025-10-09T08:53:61Z");
    refuse("2025-10-09T08:53:20.Z");
    refuse("2025-10-09T08:53:20.5");
    refuse("2025-10-09T08:53:20ZZ");
    refuse("2025-10-09T08:53:20+2:00");
    refuse("2025-10-09T08:53:20+0200");
    refuse("2025-10-09T08:53:20+24:00");
    refuse("2025-10-09T08:53:20+02:60");
    refuse("-025-10-09T08:53:20Z");
    refuse("2025-10-09X08:53:20Z");
    refuse("1760000000");
}

/* The system's own calendar agrees on every day of many centuries. */
static void test_calendar(void **state)
{
    (void)state;
    for (int64_t day = -700000; day < 2900000; day += 97) {
        time_t seconds = (time_t)(day * 86400 + 45296);
        struct tm parts;
        char text[64];
        gmtime_r(&seconds, &parts);
        if (parts.tm_year + 1900 < 0 || parts.tm_year + 1900 > 9999)
            continue;
        snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ", parts.tm_year + 1900, parts.tm_mon + 1,
                 parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
        expect(text, day * 86400 + 45296, 0);
    }
}

static void test_writes_what_it_reads(void **state)
{
    (void)state;
    struct stamp now, back;
    char text[STAMP_TEXT_SIZE];
    stamp_now(&now);
    stamp_format(now, text);
    assert_true(stamp_parse(text, strlen(text), &back));
    assert_int_equal(stamp_compare(now, back), 0);
    stamp_format((struct stamp){1760000000, 42}, text);
    assert_string_equal(text, "2025-10-09T08:53:20.000000042Z");
}

static void test_clock_is_local(void **state)
{
    (void)state;
    char clock[STAMP_CLOCK_SIZE];
    setenv("TZ", "UTC", 1);
    tzset();
    stamp_clock((struct stamp){1760000000, 0}, clock);
    assert_string_equal(clock, "08:53:20");
    setenv("TZ", "EAST-5:30", 1);
    tzset();
    stamp_clock((struct stamp){1760000000, 0}, clock);
    assert_string_equal(clock, "14:23:20");
}

static void test_order(void **state)
{
    (void)state;
    assert_true(stamp_compare((struct stamp){1, 0}, (struct stamp){2, 0}) < 0);
    assert_true(stamp_compare((struct stamp){2, 0}, (struct stamp){1, 999999999}) > 0);
    assert_true(stamp_compare((struct stamp){1, 1}, (struct stamp){1, 2}) < 0);
    assert_true(stamp_compare((struct stamp){1, 2}, (struct stamp){1, 1}) > 0);
    assert_int_equal(stamp_compare((struct stamp){1, 1}, (struct stamp){1, 1}), 0);
}

static void check_follow(struct stamp stamp, struct stamp last, struct stamp wanted)
{
    stamp_follow(&stamp, last);
    assert_int_equal(stamp_compare(stamp, wanted), 0);
}

static void test_following(void **state)
{
    (void)state;
    check_follow((struct stamp){5, 6}, (struct stamp){0, 0}, (struct stamp){5, 6});
    check_follow((struct stamp){5, 6}, (struct stamp){5, 5}, (struct stamp){5, 6});
    check_follow((struct stamp){5, 6}, (struct stamp){5, 6}, (struct stamp){5, 7});
    check_follow((struct stamp){5, 6}, (struct stamp){9, 1}, (struct stamp){9, 2}); /* the clock was set back */
    check_follow((struct stamp){5, 6}, (struct stamp){5, 999999999}, (struct stamp){6, 0});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_rfc3339),  cmocka_unit_test(test_refuses_the_rest),
        cmocka_unit_test(test_calendar),       cmocka_unit_test(test_writes_what_it_reads),
        cmocka_unit_test(test_clock_is_local), cmocka_unit_test(test_order),
        cmocka_unit_test(test_following),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
