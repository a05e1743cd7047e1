/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks, and the text form of a moment against the C library's calendar. */
#include "support/testutil.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

static uint64_t fixed_now(void *ctx)
{
    return *(uint64_t *)ctx;
}

static void clocks_are_injected(void **state)
{
    (void)state;
    uint64_t now = 5;
    eid_clock clock = {fixed_now, &now};
    assert_int_equal(eid_clock_now_ms(&clock), 5);
    now = 6;
    assert_int_equal(eid_clock_now_ms(&clock), 6);
}

static void the_system_clock_is_the_machines(void **state)
{
    (void)state;
    uint64_t before = (uint64_t)time(NULL) * 1000;
    uint64_t now = eid_clock_now_ms(&eid_clock_system);
    assert_true(now + 2000 > before && now < before + 60000);
    uint64_t first = eid_monotonic_ns();
    uint64_t second = eid_monotonic_ns();
    assert_true(first > 0 && second >= first);
}

static void known_moments(void **state)
{
    (void)state;
    static const struct {
        uint64_t ms;
        const char *text;
    } moments[] = {
        {0, "1970-01-01T00:00:00+00:00"},
        {1, "1970-01-01T00:00:00.001+00:00"},
        {951782400000u, "2000-02-29T00:00:00+00:00"},
        {951868799999u, "2000-02-29T23:59:59.999+00:00"},
        {1785846896123u, "2026-08-04T12:34:56.123+00:00"},
        {1785846896000u, "2026-08-04T12:34:56+00:00"},
        {4107542400000u, "2100-03-01T00:00:00+00:00"}, /* 2100 has no leap day */
        {253402300799999u, "9999-12-31T23:59:59.999+00:00"},
        {253402300800000u, "9999-12-31T23:59:59.999+00:00"},
        {UINT64_MAX, "9999-12-31T23:59:59.999+00:00"},
    };
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
        char text[EID_RFC3339_SIZE];
        eid_rfc3339(moments[i].ms, text);
        assert_string_equal(text, moments[i].text);
    }
}

static void check_against_calendar(uint64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    assert_non_null(gmtime_r(&seconds, &parts));
    char wanted[64];
    size_t len = strftime(wanted, sizeof wanted, "%Y-%m-%dT%H:%M:%S", &parts);
    if (ms % 1000 != 0)
        len += (size_t)snprintf(wanted + len, sizeof wanted - len, ".%03u", (unsigned)(ms % 1000));
    snprintf(wanted + len, sizeof wanted - len, "+00:00");
    char text[EID_RFC3339_SIZE];
    eid_rfc3339(ms, text);
    assert_string_equal(text, wanted);
}

static void every_day_and_random_moments(void **state)
{
    (void)state;
    /* Each day for 800 years: two whole eras of the calendar. */
    for (uint64_t day = 0; day < 292194; day++)
        check_against_calendar(day * 86400000u + day % 86400000u);
    tu_random random = tu_random_seeded(3339);
    for (int i = 0; i < 20000; i++)
        check_against_calendar(tu_random_below(&random, 253402300800000u));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_are_injected),
        cmocka_unit_test(the_system_clock_is_the_machines),
        cmocka_unit_test(known_moments),
        cmocka_unit_test(every_day_and_random_moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
