/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 3339 times; see stamp.h. */
#include "stamp.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Reads exactly `digits` decimal digits. */
static bool read_number(const char *text, int digits, int *out)
{
    int value = 0;
    for (int i = 0; i < digits; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (text[i] - '0');
    }
    *out = value;
    return true;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* Days from 1970-01-01 to the date of the proleptic Gregorian calendar; the year counts from March, so that
 * the leap day comes last. */
static int64_t days_from_epoch(int year, int month, int day)
{
    int64_t y = (month > 2 ? year : year - 1) + 400;
    int64_t m = month > 2 ? month - 3 : month + 9;
    int64_t era_days = y * 365 + y / 4 - y / 100 + y / 400;
    return era_days + (153 * m + 2) / 5 + day - 1 - 719468 - 146097;
}

/* The fraction behind the seconds, if any; returns where it ends, or 0 for a point without digits. */
static size_t read_fraction(const char *text, size_t at, size_t len, uint32_t *nanos)
{
    *nanos = 0;
    if (at >= len || text[at] != '.')
        return at;
    uint32_t unit = 100000000;
    size_t start = ++at;
    for (; at < len && text[at] >= '0' && text[at] <= '9'; at++) {
        *nanos += unit * (uint32_t)(text[at] - '0');
        unit /= 10;
    }
    return at == start ? 0 : at;
}

/* "Z" or "+hh:mm" up to the end of the text. */
static bool read_offset(const char *text, size_t len, int *seconds)
{
    *seconds = 0;
    if (len == 1)
        return text[0] == 'Z' || text[0] == 'z';
    int hours, minutes;
    if (len != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':' ||
        !read_number(text + 1, 2, &hours) || !read_number(text + 4, 2, &minutes) || hours > 23 ||
        minutes > 59)
        return false;
    *seconds = (hours * 60 + minutes) * 60 * (text[0] == '-' ? -1 : 1);
    return true;
}

bool stamp_parse(const char *text, size_t len, struct stamp *out)
{
    int year, month, day, hour, minute, second, offset;
    if (len < 20 || !read_number(text, 4, &year) || text[4] != '-' || !read_number(text + 5, 2, &month) ||
        text[7] != '-' || !read_number(text + 8, 2, &day) || memchr("Tt ", text[10], 3) == NULL ||
        !read_number(text + 11, 2, &hour) || text[13] != ':' || !read_number(text + 14, 2, &minute) ||
        text[16] != ':' || !read_number(text + 17, 2, &second))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 || minute > 59 ||
        second > 60)
        return false;
    uint32_t nanos;
    size_t at = read_fraction(text, 19, len, &nanos);
    if (at == 0 || at >= len || !read_offset(text + at, len - at, &offset))
        return false;
    if (second == 60)
        second = 59;
    out->seconds = days_from_epoch(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
    out->nanos = nanos;
    return true;
}

void stamp_now(struct stamp *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    out->seconds = now.tv_sec;
    out->nanos = (uint32_t)now.tv_nsec;
}

void stamp_follow(struct stamp *stamp, struct stamp last)
{
    if (stamp_compare(*stamp, last) > 0)
        return;
    bool carry = last.nanos == 999999999;
    stamp->seconds = last.seconds + carry;
    stamp->nanos = carry ? 0 : last.nanos + 1;
}

void stamp_format(struct stamp stamp, char out[STAMP_TEXT_SIZE])
{
    time_t seconds = (time_t)stamp.seconds;
    struct tm parts;
    char date[32];
    gmtime_r(&seconds, &parts);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(out, STAMP_TEXT_SIZE, "%s.%09uZ", date, (unsigned)stamp.nanos);
}

void stamp_clock(struct stamp stamp, char out[STAMP_CLOCK_SIZE])
{
    time_t seconds = (time_t)stamp.seconds;
    struct tm parts;
    localtime_r(&seconds, &parts);
    strftime(out, STAMP_CLOCK_SIZE, "%H:%M:%S", &parts);
}

int stamp_compare(struct stamp a, struct stamp b)
{
    if (a.seconds != b.seconds)
        return a.seconds < b.seconds ? -1 : 1;
    return a.nanos < b.nanos ? -1 : a.nanos > b.nanos;
}
