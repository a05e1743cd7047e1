/* SPDX-License-Identifier: Apache-2.0 */
/* Benchmarks of tables: rows written a transaction at a time, scanned, and found by an index, at growing sizes.
 *
 * Rows are of the kind applications keep: a handful of members, about 120 bytes. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PER_TRANSACTION 1000

typedef struct table_subject {
    const char *kind;
    subject s;
    long rows;
    long size; /* the rows figures are named after; windows add some */
} table_subject;

static void insert(table_subject *t, long count)
{
    char row[256], key[EID_ROW_KEY_SIZE];
    for (long done = 0; done < count;) {
        eid_txn *txn;
        check(eid_database_new_transaction(t->s.database, &txn), "transaction");
        for (int i = 0; i < PER_TRANSACTION && done < count; i++, done++, t->rows++) {
            snprintf(row, sizeof row,
                     "{\"name\":\"person %ld\",\"address\":{\"city\":\"city %ld\",\"street\":\"a street of some length\"},"
                     "\"age\":%ld,\"serial\":%ld}",
                     t->rows, t->rows * 7919 % 5000, t->rows % 97, t->rows);
            check(eid_table_insert(txn, "people", row, key), "insert");
        }
        check(eid_txn_commit_free(txn, NULL), "commit");
    }
}

static void measure_inserts(table_subject *t, const char *what)
{
    char name[64];
    double rates[WINDOWS];
    const long rows = t->size < 100000 ? PER_TRANSACTION : 5 * PER_TRANSACTION;
    for (int w = 0; w < WINDOWS; w++) {
        double start = seconds();
        insert(t, rows);
        rates[w] = (double)rows / (seconds() - start);
    }
    snprintf(name, sizeof name, "%s, %s", what, t->kind);
    record(name, t->size, rates, WINDOWS, "rows/s");
}

static bool count_row(const char *key, const char *row, size_t len, void *ctx)
{
    (void)key;
    (void)row;
    *(size_t *)ctx += len > 0;
    return true;
}

static void measure_scan(table_subject *t)
{
    char name[64];
    double times[WINDOWS];
    for (int w = 0; w < WINDOWS; w++) {
        size_t rows = 0;
        double start = seconds();
        check(eid_database_table_scan(t->s.database, "people", NULL, count_row, &rows), "scan");
        times[w] = (seconds() - start) * 1e3 / ((double)rows / 1e5);
    }
    snprintf(name, sizeof name, "scan, %s", t->kind);
    record(name, t->size, times, WINDOWS, "ms per 100000 rows");
}

/* What is asked: one value, a narrow range, a page of a wide range from its end. */
static eid_table_query make_query(int which, unsigned number, unsigned span, char city[32])
{
    eid_table_query query = EID_TABLE_QUERY_INIT;
    if (which == 0) {
        snprintf(city, 32, "city %u", number % 5000);
        query.field = "address.city";
        query.equals = eid_table_text(city);
        query.limit = 20;
    } else {
        query.field = "serial";
        query.lower = eid_table_int(number % span);
        query.upper = eid_table_int(number % span + 9);
        if (which == 2) {
            query.upper.kind = EID_TABLE_NONE;
            query.descending = true;
            query.limit = 10;
        }
    }
    return query;
}

static void measure_queries(table_subject *t, int which, const char *what, bool indexed, unsigned rounds)
{
    char name[64], city[32];
    double times[WINDOWS];
    unsigned number = 17, span = t->rows < 20000 ? (unsigned)t->rows - 10 : 20000;
    for (int w = 0; w < WINDOWS; w++) {
        double start = seconds();
        for (unsigned i = 0; i < rounds; i++) {
            size_t rows = 0;
            eid_table_result result = EID_TABLE_RESULT_INIT;
            eid_table_query query = make_query(which, number += 7919, span, city);
            check(eid_database_table_find(t->s.database, "people", &query, count_row, &rows, &result), "find");
            if (rows == 0 || result.indexed != indexed) {
                fprintf(stderr, "bench: %s: %zu rows\n", what, rows);
                exit(1);
            }
            eid_table_result_clear(&result);
        }
        times[w] = (seconds() - start) / rounds * 1e6;
    }
    snprintf(name, sizeof name, "%s, %s", what, t->kind);
    record(name, t->size, times, WINDOWS, "us");
}

static void measure_indexes(table_subject *t)
{
    char name[64];
    double start = seconds(), rate;
    check(eid_table_add_index(t->s.database, "people", "address.city"), "add index");
    check(eid_table_add_index(t->s.database, "people", "serial"), "add index");
    rate = 2 * (double)t->rows / (seconds() - start);
    snprintf(name, sizeof name, "build index, %s", t->kind);
    record(name, t->size, &rate, 1, "rows/s");
    measure_queries(t, 0, "find 20 equal", true, 1000);
    measure_queries(t, 1, "find 10 in a range", true, 1000);
    measure_queries(t, 2, "find the last 10", true, 1000);
    measure_inserts(t, "insert with 2 indexes");
    check(eid_table_remove_index(t->s.database, "people", "address.city"), "remove index");
    check(eid_table_remove_index(t->s.database, "people", "serial"), "remove index");
    if (t->size <= 100000)
        measure_queries(t, 1, "find 10 without index", false, 2);
}

static void run(const char *kind, const char *url, bench_sizes sizes)
{
    table_subject t = {.kind = kind};
    snprintf(t.s.url, sizeof t.s.url, "%s", url);
    open_subject(&t.s, EID_DURABILITY_NORMAL);
    for (size_t i = 0; i < sizes.count; i++) {
        t.size = sizes.items[i];
        insert(&t, t.size - t.rows);
        measure_inserts(&t, "insert");
        measure_scan(&t);
        measure_indexes(&t);
    }
    close_subject(&t.s);
}

void bench_tables(const char *dir, bench_sizes sizes)
{
    char url[512];
    snprintf(url, sizeof url, "sqlite:%s/table.db", dir);
    run("memory", "memory:", sizes);
    run("SQLite NORMAL", url, sizes);
}
