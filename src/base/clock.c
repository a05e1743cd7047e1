/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's clock and the text form of a moment. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t system_now_ms(void *ctx)
{
    (void)ctx;
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0 || now.tv_sec < 0)
        return 0;
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

const eid_clock eid_clock_system = {system_now_ms, NULL};

uint64_t eid_monotonic_ns(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
        return 0;
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The last moment whose year has four digits; later ones are shown as this one. */
#define LAST_MS 253402300799999u

void eid_rfc3339(uint64_t ms, char out[EID_RFC3339_SIZE])
{
    if (ms > LAST_MS)
        ms = LAST_MS;
    /* Civil date of a day number, counted in eras of 400 years that begin on 1 March of year 0: there the
     * leap day is the last of its year, so no table of month lengths is needed. Done here because gmtime_r
     * depends on the width of time_t. */
    uint64_t seconds = ms / 1000;
    uint64_t day = seconds / 86400 + 719468; /* days from 0000-03-01 to 1970-01-01 */
    uint64_t era = day / 146097;
    uint64_t day_of_era = day % 146097;
    uint64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t month_from_march = (5 * day_of_year + 2) / 153;
    unsigned date = (unsigned)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    unsigned month = (unsigned)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    unsigned year = (unsigned)(year_of_era + era * 400 + (month <= 2 ? 1 : 0));
    unsigned second_of_day = (unsigned)(seconds % 86400);
    unsigned fraction = (unsigned)(ms % 1000);

    char fraction_text[8] = "";
    if (fraction != 0)
        snprintf(fraction_text, sizeof fraction_text, ".%03u", fraction % 1000);
    snprintf(out, EID_RFC3339_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u%s+00:00", year % 10000, month % 100,
             date % 100, second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60, fraction_text);
}
