/* SPDX-License-Identifier: Apache-2.0 */
/* Benchmarks of tables: rows written a transaction at a time, scanned, and found by an index, at growing sizes.
 *
 * Rows are of the kind applications keep: a handful of members, about 120 bytes. usage: bench-table [ROWS] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <eidetica/eidetica.h>

#define WINDOWS 5
#define PER_TRANSACTION 1000

static void check(eid_status status, const char *what)
{
    if (status == EID_OK)
        return;
    fprintf(stderr, "bench-table: %s: %s\n", what, eid_last_error());
    exit(1);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

static void record(const char *name, long rows, double *values, size_t count, const char *unit)
{
    qsort(values, count, sizeof *values, compare_doubles);
    printf("%-40s %9ld  %12.2f  %12.2f %12.2f  %s\n", name, rows, values[count / 2], values[0], values[count - 1], unit);
    fflush(stdout);
}

typedef struct subject {
    const char *kind;
    eid_instance *instance;
    eid_user *user;
    eid_database *database;
    long rows;
} subject;

static void open_subject(subject *s, const char *url)
{
    check(eid_instance_open_url(url, &s->instance), "open");
    check(eid_instance_login_or_create_user(s->instance, "bench", NULL, &s->user), "login");
    check(eid_user_create_database(s->user, "bench", &s->database), "create database");
}

static void close_subject(subject *s)
{
    eid_database_close(s->database);
    eid_user_logout(s->user);
    eid_instance_close(s->instance);
}

static void insert(subject *s, long count)
{
    char row[256], key[EID_ROW_KEY_SIZE];
    for (long done = 0; done < count;) {
        eid_txn *txn;
        check(eid_database_new_transaction(s->database, &txn), "transaction");
        for (int i = 0; i < PER_TRANSACTION && done < count; i++, done++, s->rows++) {
            snprintf(row, sizeof row,
                     "{\"name\":\"person %ld\",\"address\":{\"city\":\"city %ld\",\"street\":\"a street of some length\"},"
                     "\"age\":%ld,\"serial\":%ld}",
                     s->rows, s->rows * 7919 % 5000, s->rows % 97, s->rows);
            check(eid_table_insert(txn, "people", row, key), "insert");
        }
        check(eid_txn_commit_free(txn, NULL), "commit");
    }
}

static void measure_inserts(subject *s, const char *what)
{
    char name[64];
    double rates[WINDOWS];
    for (int w = 0; w < WINDOWS; w++) {
        double start = seconds();
        insert(s, 5 * PER_TRANSACTION);
        rates[w] = 5 * PER_TRANSACTION / (seconds() - start);
    }
    snprintf(name, sizeof name, "%s, %s", what, s->kind);
    record(name, s->rows, rates, WINDOWS, "rows/s");
}

static bool count_row(const char *key, const char *row, size_t len, void *ctx)
{
    (void)key;
    (void)row;
    *(size_t *)ctx += len > 0;
    return true;
}

static void measure_scan(subject *s)
{
    char name[64];
    double times[WINDOWS];
    for (int w = 0; w < WINDOWS; w++) {
        size_t rows = 0;
        double start = seconds();
        check(eid_database_table_scan(s->database, "people", NULL, count_row, &rows), "scan");
        times[w] = (seconds() - start) * 1e3 / ((double)rows / 1e5);
    }
    snprintf(name, sizeof name, "scan, %s", s->kind);
    record(name, s->rows, times, WINDOWS, "ms per 100000 rows");
}

/* What is asked: one value, a narrow range, a page of a wide range from its end. */
static eid_table_query make_query(int which, unsigned number, char city[32])
{
    eid_table_query query = EID_TABLE_QUERY_INIT;
    if (which == 0) {
        snprintf(city, 32, "city %u", number % 5000);
        query.field = "address.city";
        query.equals = eid_table_text(city);
        query.limit = 20;
    } else {
        query.field = "serial";
        query.lower = eid_table_int(number % 20000);
        query.upper = eid_table_int(number % 20000 + 9);
        if (which == 2) {
            query.upper.kind = EID_TABLE_NONE;
            query.descending = true;
            query.limit = 10;
        }
    }
    return query;
}

static void measure_queries(subject *s, int which, const char *what, bool indexed, unsigned rounds)
{
    char name[64], city[32];
    double times[WINDOWS];
    unsigned number = 17;
    for (int w = 0; w < WINDOWS; w++) {
        double start = seconds();
        for (unsigned i = 0; i < rounds; i++) {
            size_t rows = 0;
            eid_table_result result = EID_TABLE_RESULT_INIT;
            eid_table_query query = make_query(which, number += 7919, city);
            check(eid_database_table_find(s->database, "people", &query, count_row, &rows, &result), "find");
            if (rows == 0 || result.indexed != indexed) {
                fprintf(stderr, "bench-table: %s: %zu rows\n", what, rows);
                exit(1);
            }
            eid_table_result_clear(&result);
        }
        times[w] = (seconds() - start) / rounds * 1e6;
    }
    snprintf(name, sizeof name, "%s, %s", what, s->kind);
    record(name, s->rows, times, WINDOWS, "us");
}

static void measure_indexes(subject *s)
{
    char name[64];
    double start = seconds(), rate;
    check(eid_table_add_index(s->database, "people", "address.city"), "add index");
    check(eid_table_add_index(s->database, "people", "serial"), "add index");
    rate = 2 * (double)s->rows / (seconds() - start);
    snprintf(name, sizeof name, "build index, %s", s->kind);
    record(name, s->rows, &rate, 1, "rows/s");
    measure_queries(s, 0, "find 20 equal", true, 1000);
    measure_queries(s, 1, "find 10 in a range", true, 1000);
    measure_queries(s, 2, "find the last 10", true, 1000);
    measure_inserts(s, "insert with 2 indexes");
    check(eid_table_remove_index(s->database, "people", "address.city"), "remove index");
    check(eid_table_remove_index(s->database, "people", "serial"), "remove index");
    if (s->rows <= 200000)
        measure_queries(s, 1, "find 10 without index", false, 2);
}

static void run(const char *kind, const char *url, const long *sizes, size_t count)
{
    subject s = {.kind = kind};
    open_subject(&s, url);
    for (size_t i = 0; i < count; i++) {
        insert(&s, sizes[i] - s.rows);
        measure_inserts(&s, "insert");
        measure_scan(&s);
        measure_indexes(&s);
    }
    close_subject(&s);
}

int main(int argc, char **argv)
{
    static const long sizes[] = {1000, 10000, 100000, 1000000};
    long largest = argc > 1 ? strtol(argv[1], NULL, 10) : 100000;
    size_t count = 0;
    while (count < sizeof sizes / sizeof *sizes && sizes[count] <= largest)
        count++;
    char dir[] = "/tmp/eidetica-bench-XXXXXX", path[64], url[80];
    if (mkdtemp(dir) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/table.db", dir);
    snprintf(url, sizeof url, "sqlite:%s", path);
    run("memory", "memory:", sizes, count);
    run("SQLite NORMAL", url, sizes, count);
    unlink(path);
    snprintf(url, sizeof url, "%s-index", path);
    unlink(url);
    rmdir(dir);
    return 0;
}
