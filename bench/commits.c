/* SPDX-License-Identifier: Apache-2.0 */
/* Commits, reads, late entries, opening, disk and memory at each size. */
#include "bench.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define WINDOW_COMMITS 400
#define WINDOW_READS 20000
#define BLOCK_HEAD 38 /* bytes in front of an entry in an export: the length, mostly two bytes, and the CID */

static void measure_commits(subject *s, const char *name, long entries)
{
    double rates[WINDOWS];
    for (int w = 0; w < WINDOWS; w++) {
        double start = seconds();
        for (int i = 0; i < WINDOW_COMMITS; i++)
            commit_one(s);
        rates[w] = WINDOW_COMMITS / (seconds() - start);
    }
    record(name, entries, rates, WINDOWS, "commits/s");
}

/* As long as it takes to meet whatever is done only now and then. */
static void measure_long_run(subject *s, const char *name, long entries)
{
    const long run = entries < 20000 ? entries : 20000;
    double start = seconds();
    for (long i = 0; i < run; i++)
        commit_one(s);
    record_one(name, entries, (double)run / (seconds() - start), "commits/s");
}

static void measure_reads(subject *s, const char *name, long entries)
{
    double times[WINDOWS];
    for (int w = 0; w < WINDOWS; w++) {
        double start = seconds();
        for (unsigned i = 0; i < WINDOW_READS; i++) {
            char key[32];
            eid_value *value;
            snprintf(key, sizeof key, "key%u", i * 7919u % written_keys(s));
            eid_status status = eid_database_get(s->database, "notes", key, &value);
            if (status == EID_ERR_NOT_FOUND)
                continue; /* one that the hot Doc was written instead of */
            check(status, "get");
            eid_value_free(value);
        }
        times[w] = (seconds() - start) / WINDOW_READS * 1e6;
    }
    record(name, entries, times, WINDOWS, "us");
}

/* A commit that sorts before nearly everything, on top of the root alone: the whole of it, with its signature. */
static void measure_late(subject *s, const char *name, const char *store, const char *path, long entries)
{
    double times[WINDOWS];
    for (int w = 0; w < WINDOWS; w++) {
        eid_txn *txn;
        double start = seconds();
        check(eid_database_new_transaction_at(s->database, &s->id, 1, &txn), "transaction at the root");
        check(eid_docstore_set_int(txn, store, path, w), "set");
        check(eid_txn_commit_free(txn, NULL), "late commit");
        times[w] = (seconds() - start) * 1e3;
        s->entries++;
    }
    record(name, entries, times, WINDOWS, "ms");
}

static void bench_memory(bench_sizes sizes)
{
    subject s = {.url = "memory:"};
    open_subject(&s, EID_DURABILITY_NORMAL);
    for (size_t i = 0; i < sizes.count; i++) {
        long size = sizes.items[i];
        fill(&s, size);
        measure_commits(&s, "commit, memory", size);
        measure_long_run(&s, "commit, memory, long run", size);
        measure_reads(&s, "read one key, memory", size);
    }
    measure_late(&s, "late entry, leaf, memory", "notes", "key7", s.entries);
    measure_late(&s, "late entry, hot Doc, memory", "board", "hot.member7", s.entries);
    close_subject(&s);
}

/* ---- The file ---- */

static void measure_open(subject *s, const char *name, long entries)
{
    double times[WINDOWS];
    for (int w = 0; w < WINDOWS; w++) {
        eid_value *value;
        close_subject(s);
        double start = seconds();
        open_subject(s, EID_DURABILITY_NORMAL);
        check(eid_database_get(s->database, "notes", "key1", &value), "get");
        times[w] = (seconds() - start) * 1e3;
        eid_value_free(value);
    }
    record(name, entries, times, WINDOWS, "ms");
}

/* A process that dies in the middle leaves entries behind which are not in the index yet. */
static void measure_open_after_crash(subject *s, long entries)
{
    close_subject(s);
    pid_t child = fork();
    if (child == 0) {
        open_subject(s, EID_DURABILITY_NORMAL);
        for (int i = 0; i < 4000; i++)
            commit_one(s);
        kill(getpid(), SIGKILL);
    }
    waitpid(child, NULL, 0);
    double start = seconds();
    open_subject(s, EID_DURABILITY_NORMAL);
    record_one("open after a crash", entries, (seconds() - start) * 1e3, "ms");
    s->entries += 4000;
    s->sequence += 4000;
}

static eid_status count_bytes(const void *data, size_t len, void *ctx)
{
    (void)data;
    *(double *)ctx += (double)len;
    return EID_OK;
}

static void measure_disk(subject *s, long entries)
{
    double exported = 0;
    eid_sizes sizes;
    check(eid_database_export_to(s->database, count_bytes, &exported), "export");
    check(eid_instance_sizes(s->instance, &sizes), "sizes");
    double count = (double)s->entries, bytes = exported / count - BLOCK_HEAD;
    record_one("bytes of an entry", entries, bytes, "bytes");
    record_one("disk beyond entry and cells", entries, (double)(sizes.total - sizes.cells) / count - bytes, "bytes/entry");
    record_one("of that: journal rows", entries, (double)sizes.entries / count - bytes, "bytes/entry");
    record_one("of that: IDs", entries, (double)sizes.entry_ids / count, "bytes/entry");
    record_one("of that: DAGs", entries, (double)(sizes.participation + sizes.participation_order) / count, "bytes/entry");
    record_one("of that: writes of keys", entries, (double)sizes.touches / count, "bytes/entry");
}

static void bench_sqlite(const char *dir, bench_sizes sizes)
{
    subject s = {.entries = 0};
    snprintf(s.url, sizeof s.url, "sqlite:%s/commits.db", dir);
    open_subject(&s, EID_DURABILITY_NORMAL);
    for (size_t i = 0; i < sizes.count; i++) {
        long size = sizes.items[i];
        fill(&s, size);
        record_one("resident memory, SQLite", size, resident_mib(), "MiB");
        measure_commits(&s, "commit, SQLite NORMAL", size);
        measure_long_run(&s, "commit, SQLite NORMAL, long run", size);
        measure_reads(&s, "read one key, SQLite", size);
        measure_open(&s, "open and read a key", size);
        close_subject(&s);
        open_subject(&s, EID_DURABILITY_FULL);
        measure_commits(&s, "commit, SQLite FULL", size);
        close_subject(&s);
        open_subject(&s, EID_DURABILITY_NORMAL);
        measure_disk(&s, size);
    }
    measure_open_after_crash(&s, s.entries);
    measure_late(&s, "late entry, leaf, SQLite", "notes", "key7", s.entries);
    measure_late(&s, "late entry, hot Doc, SQLite", "board", "hot.member7", s.entries);
    close_subject(&s);
}

void bench_commits(const char *dir, bench_sizes sizes)
{
    bench_sqlite(dir, sizes); /* first: what is freed stays with the process and would be counted */
    bench_memory(sizes);
}
