/* SPDX-License-Identifier: Apache-2.0 */
/* Benchmarks of what an application feels: commits, reads, joining a database over the network.
 *
 * Each figure is taken at several sizes of the database, because the claim to check is not only the speed but that it does
 * not depend on the length of the history. A rate is measured over several windows and given as their median with the
 * lowest and highest; machines are noisy. Results go to standard output as a table and, with --json FILE, as JSON.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <eidetica/eidetica.h>

#define WINDOWS 5
#define WINDOW_COMMITS 400
#define WINDOW_READS 20000
#define KEYS 1000
#define MAX_RESULTS 128

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

static void check(eid_status status, const char *what)
{
    if (status == EID_OK)
        return;
    fprintf(stderr, "bench: %s: %s\n", what, eid_last_error());
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

static void record(const char *name, long entries, double *values, size_t count, const char *unit)
{
    if (result_count == MAX_RESULTS)
        return;
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

/* ---- One database ---- */

typedef struct subject {
    char url[512];
    eid_instance *instance;
    eid_user *user;
    eid_database *database;
    eid_id id;
    long entries;
    unsigned sequence;
} subject;

static void open_subject(subject *s, eid_durability durability)
{
    eid_instance_options options = EID_INSTANCE_OPTIONS_INIT;
    options.durability = durability;
    check(eid_instance_open_url_with(s->url, &options, &s->instance), "open");
    check(eid_instance_login_or_create_user(s->instance, "bench", NULL, &s->user), "login");
    if (s->entries == 0) {
        check(eid_user_create_database(s->user, "bench", &s->database), "create database");
        s->id = *eid_database_root_id(s->database);
        s->entries = 1;
    } else {
        check(eid_user_open_database(s->user, &s->id, &s->database), "open database");
    }
}

static void close_subject(subject *s)
{
    eid_database_close(s->database);
    eid_user_logout(s->user);
    eid_instance_close(s->instance);
}

static void commit_one(subject *s)
{
    char key[32], value[64];
    eid_txn *txn;
    snprintf(key, sizeof key, "key%u", s->sequence % KEYS);
    snprintf(value, sizeof value, "the value number %u of this key", s->sequence);
    s->sequence++;
    check(eid_database_new_transaction(s->database, &txn), "transaction");
    check(eid_docstore_set_text(txn, "notes", key, value), "set");
    check(eid_txn_commit_free(txn, NULL), "commit");
    s->entries++;
}

static void fill(subject *s, long entries)
{
    while (s->entries < entries)
        commit_one(s);
}

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

static void measure_reads(subject *s, const char *name, long entries)
{
    double times[WINDOWS];
    for (int w = 0; w < WINDOWS; w++) {
        double start = seconds();
        for (unsigned i = 0; i < WINDOW_READS; i++) {
            char key[32];
            eid_value *value;
            snprintf(key, sizeof key, "key%u", i * 7919u % (s->sequence < KEYS ? s->sequence : KEYS));
            check(eid_database_get(s->database, "notes", key, &value), "get");
            eid_value_free(value);
        }
        times[w] = (seconds() - start) / WINDOW_READS * 1e6;
    }
    record(name, entries, times, WINDOWS, "us");
}

/* ---- Commits and reads at each size ---- */

static void bench_memory(const long *sizes, size_t count)
{
    subject s = {.url = "memory:"};
    open_subject(&s, EID_DURABILITY_NORMAL);
    for (size_t i = 0; i < count; i++) {
        fill(&s, sizes[i]);
        measure_commits(&s, "commit, memory", sizes[i]);
        measure_reads(&s, "read one key, memory", sizes[i]);
    }
    close_subject(&s);
}

static void bench_sqlite(const char *dir, const long *sizes, size_t count)
{
    subject s = {.entries = 0};
    snprintf(s.url, sizeof s.url, "sqlite:%s/commits.db", dir);
    open_subject(&s, EID_DURABILITY_NORMAL);
    for (size_t i = 0; i < count; i++) {
        fill(&s, sizes[i]);
        measure_commits(&s, "commit, SQLite NORMAL", sizes[i]);
        measure_reads(&s, "read one key, SQLite", sizes[i]);
        close_subject(&s);
        open_subject(&s, EID_DURABILITY_FULL);
        measure_commits(&s, "commit, SQLite FULL", sizes[i]);
        close_subject(&s);
        open_subject(&s, EID_DURABILITY_NORMAL);
    }
    close_subject(&s);
}

/* ---- Bootstrap over loopback HTTP, from another process ---- */

static int write_all(int fd, const char *text)
{
    char line[4096];
    int len = snprintf(line, sizeof line, "%s\n", text);
    return len > 0 && (size_t)len < sizeof line && write(fd, line, (size_t)len) == len ? 0 : -1;
}

static void read_line(int fd, char *out, size_t size)
{
    size_t len = 0;
    while (len + 1 < size && read(fd, out + len, 1) == 1 && out[len] != '\n')
        len++;
    out[len] = '\0';
    if (len == 0) {
        fprintf(stderr, "bench: the serving process failed\n");
        exit(1);
    }
}

/* Fills a database, serves it, writes the ticket to the pipe, and waits until the pipe's other side is closed. */
static void serve(int out, int in, long entries)
{
    subject s = {.url = "memory:"};
    open_subject(&s, EID_DURABILITY_NORMAL);
    eid_txn *txn;
    eid_permission write = {EID_PERM_WRITE, 0};
    check(eid_database_new_transaction(s.database, &txn), "transaction");
    check(eid_settings_set_global_permission(txn, write), "global permission");
    check(eid_txn_commit_free(txn, NULL), "commit");
    s.entries++;
    fill(&s, entries);
    eid_sync *sync;
    eid_ticket *ticket;
    char *text;
    check(eid_instance_enable_sync(s.instance), "enable sync");
    check(eid_instance_sync(s.instance, &sync), "sync");
    check(eid_sync_enable_http_transport(sync), "http");
    check(eid_sync_start_server(sync, "127.0.0.1:0"), "server");
    check(eid_user_share(s.user, &s.id, &ticket), "share");
    check(eid_ticket_format(ticket, &text), "ticket");
    if (write_all(out, text) != 0)
        exit(1);
    char byte;
    while (read(in, &byte, 1) > 0)
        continue;
    eid_free(text);
    eid_ticket_free(ticket);
    close_subject(&s);
    exit(0);
}

static double join_once(const char *url, const char *ticket_text, long entries)
{
    eid_instance *instance;
    eid_user *user;
    eid_sync *sync;
    eid_ticket *ticket;
    eid_permission write = {EID_PERM_WRITE, 10};
    eid_sync_result outcome = EID_SYNC_RESULT_INIT;
    check(eid_instance_open_url(url, &instance), "open");
    check(eid_instance_login_or_create_user(instance, "joiner", NULL, &user), "login");
    check(eid_instance_enable_sync(instance), "enable sync");
    check(eid_instance_sync(instance, &sync), "sync");
    check(eid_sync_enable_http_transport(sync), "http");
    check(eid_ticket_parse(ticket_text, &ticket), "ticket");
    double start = seconds();
    check(eid_user_request_database_access(user, ticket, write, &outcome), "bootstrap");
    double elapsed = seconds() - start;
    if (outcome.admitted != (uint64_t)entries) {
        fprintf(stderr, "bench: %llu of %ld entries admitted\n", (unsigned long long)outcome.admitted, entries);
        exit(1);
    }
    eid_ticket_free(ticket);
    eid_user_logout(user);
    eid_instance_close(instance);
    return elapsed;
}

static void bench_bootstrap(const char *dir, const long *sizes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int to_parent[2], to_child[2];
        if (pipe(to_parent) != 0 || pipe(to_child) != 0)
            exit(1);
        pid_t child = fork();
        if (child == 0) {
            close(to_parent[0]);
            close(to_child[1]);
            serve(to_parent[1], to_child[0], sizes[i]);
        }
        close(to_parent[1]);
        close(to_child[0]);
        char ticket[4096];
        read_line(to_parent[0], ticket, sizeof ticket);
        int rounds = sizes[i] > 20000 ? 3 : WINDOWS;
        double memory[WINDOWS], sqlite[WINDOWS];
        for (int r = 0; r < rounds; r++) {
            char url[512];
            memory[r] = join_once("memory:", ticket, sizes[i]);
            snprintf(url, sizeof url, "sqlite:%s/join-%ld-%d.db", dir, sizes[i], r);
            sqlite[r] = join_once(url, ticket, sizes[i]);
        }
        record("bootstrap over HTTP, memory", sizes[i], memory, (size_t)rounds, "s");
        record("bootstrap over HTTP, SQLite", sizes[i], sqlite, (size_t)rounds, "s");
        close(to_child[1]);
        close(to_parent[0]);
        waitpid(child, NULL, 0);
    }
}

/* ---- The bounds no database can beat ---- */

static void bench_bounds(void)
{
    eid_keypair *key;
    eid_pubkey public_key;
    uint8_t message[600] = {0}, signature[64];
    check(eid_keypair_generate(&key), "key");
    eid_keypair_public(key, &public_key);
    double sign[WINDOWS], verify[WINDOWS];
    for (int w = 0; w < WINDOWS; w++) {
        double start = seconds();
        for (int i = 0; i < 2000; i++)
            eid_keypair_sign(key, message, sizeof message, signature);
        sign[w] = 2000 / (seconds() - start);
        start = seconds();
        for (int i = 0; i < 2000; i++)
            check(eid_pubkey_verify(&public_key, message, sizeof message, signature), "verify");
        verify[w] = 2000 / (seconds() - start);
    }
    record("Ed25519 sign 600 bytes", 0, sign, WINDOWS, "per second");
    record("Ed25519 verify 600 bytes", 0, verify, WINDOWS, "per second");
    eid_keypair_free(key);
}

static void write_json(const char *path)
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

/* The directory holds only files the benchmark made. */
static void remove_dir(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *item;
    while (dir != NULL && (item = readdir(dir)) != NULL) {
        char name[1024];
        snprintf(name, sizeof name, "%s/%s", path, item->d_name);
        unlink(name);
    }
    if (dir != NULL)
        closedir(dir);
    rmdir(path);
}

int main(int argc, char **argv)
{
    static const long sizes[] = {1000, 10000, 100000};
    size_t count = 3;
    const char *json = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) {
            count = 2;
        } else if (strcmp(argv[i], "--json") == 0 && i + 1 < argc) {
            json = argv[++i];
        } else {
            fprintf(stderr, "usage: bench [--quick] [--json FILE]\n");
            return 2;
        }
    }
    signal(SIGPIPE, SIG_IGN);
    char dir[] = "/tmp/eidetica-bench-XXXXXX";
    if (mkdtemp(dir) == NULL) {
        fprintf(stderr, "bench: no temporary directory: %s\n", strerror(errno));
        return 1;
    }
    printf("%-34s %9s  %12s  %12s %12s\n", "", "entries", "median", "lowest", "highest");
    bench_bounds();
    bench_bootstrap(dir, sizes, count);
    bench_memory(sizes, count);
    bench_sqlite(dir, sizes, count);
    if (json != NULL)
        write_json(json);
    remove_dir(dir);
    return 0;
}
