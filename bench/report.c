/* SPDX-License-Identifier: Apache-2.0 */
/* Results: a table on the screen, JSON for machines. */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_RESULTS 256

typedef struct result {
    char name[64];
    long entries;
    double median;
    double low;
    double high;
    const char *unit;
} result;

static result results[MAX_RESULTS];
static size_t result_count;
static clockid_t measured = CLOCK_MONOTONIC;

void check(eid_status status, const char *what)
{
    if (status == EID_OK)
        return;
    fprintf(stderr, "bench: %s: %s\n", what, eid_last_error());
    exit(1);
}

void count_cpu_time(void)
{
    measured = CLOCK_PROCESS_CPUTIME_ID;
}

static double seconds_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double seconds(void)
{
    return seconds_of(measured);
}

double wall_seconds(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

void record(const char *name, long entries, double *values, size_t count, const char *unit)
{
    if (result_count == MAX_RESULTS) {
        fprintf(stderr, "bench: more results than there is room for\n");
        exit(1);
    }
    qsort(values, count, sizeof *values, compare_doubles);
    result *r = &results[result_count++];
    snprintf(r->name, sizeof r->name, "%s", name);
    r->entries = entries;
    r->median = values[count / 2];
    r->low = values[0];
    r->high = values[count - 1];
    r->unit = unit;
    printf("%-34s %9ld  %12.2f  %12.2f %12.2f  %s\n", r->name, entries, r->median, r->low, r->high, unit);
    fflush(stdout);
}

void record_one(const char *name, long entries, double value, const char *unit)
{
    record(name, entries, &value, 1, unit);
}

void print_heading(void)
{
    printf("%-34s %9s  %12s  %12s %12s\n", "", "entries", "median", "lowest", "highest");
}

double resident_mib(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    double kib = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = strtod(line + 6, NULL);
    if (file != NULL)
        fclose(file);
    return kib / 1024;
}

void write_json(const char *path)
{
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        fprintf(stderr, "bench: can not write %s: %s\n", path, strerror(errno));
        exit(1);
    }
    fprintf(file, "{\"version\":\"%s\",\"results\":[", eid_version());
    for (size_t i = 0; i < result_count; i++) {
        const result *r = &results[i];
        fprintf(file, "%s\n{\"name\":\"%s\",\"entries\":%ld,\"median\":%.3f,\"low\":%.3f,\"high\":%.3f,\"unit\":\"%s\"}",
                i == 0 ? "" : ",", r->name, r->entries, r->median, r->low, r->high, r->unit);
    }
    fprintf(file, "\n]}\n");
    if (fclose(file) != 0)
        exit(1);
}
