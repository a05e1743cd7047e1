/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the benchmark share: results, time, and a database of commits.
 *
 * Each figure is taken at several sizes of the database, because the claim to check is not only the speed but that it does
 * not depend on the length of the history. A rate is measured over several windows and given as their median with the
 * lowest and highest; machines are noisy.
 */
#ifndef EID_BENCH_H
#define EID_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#include <eidetica/eidetica.h>

#define WINDOWS 5

typedef struct bench_sizes {
    const long *items;
    size_t count;
} bench_sizes;

/* Ends the program with the library's sentence. */
void check(eid_status status, const char *what);
/* Seconds since some moment: of the wall clock, or with --cpu those the process computed, on a machine others use too. */
double seconds(void);
void count_cpu_time(void);
double wall_seconds(void); /* of the wall clock in any case */
/* Prints and keeps a figure; sorts the values. */
void record(const char *name, long entries, double *values, size_t count, const char *unit);
void record_one(const char *name, long entries, double value, const char *unit);
void print_heading(void);
void write_json(const char *path);
double resident_mib(void);

/* A database to which single keys are committed: leaves of one store, and now and then a member of one hot Doc. */
typedef struct subject {
    char url[512];
    eid_instance *instance;
    eid_user *user;
    eid_database *database;
    eid_id id;
    long entries;
    unsigned sequence;
} subject;

void open_subject(subject *s, eid_durability durability);
void close_subject(subject *s);
void commit_one(subject *s); /* a leaf */
/* Commits until there are so many entries; every other one goes to the hot Doc. */
void fill(subject *s, long entries);
unsigned written_keys(const subject *s);

void bench_bounds(const char *dir);
void bench_commits(const char *dir, bench_sizes sizes);
/* Of the wall clock, whatever seconds() counts. */
void bench_peers(const char *dir);
/* Of the wall clock, too. */
void bench_iroh(void);
void bench_joins(const char *dir, bench_sizes sizes);
void bench_receptions(bool quick);
void bench_tables(const char *dir, bench_sizes sizes);

#endif
