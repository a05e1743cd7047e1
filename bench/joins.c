/* SPDX-License-Identifier: Apache-2.0 */
/* Joining a database over loopback HTTP, from another process. */
#include "bench.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* The most memory a process has had. */
static double peak_mib(pid_t pid)
{
    char path[64], line[256];
    double kib = 0;
    snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "VmHWM: %lf", &kib) == 1)
            break;
    if (file != NULL)
        fclose(file);
    return kib / 1024;
}

/* What a new process inherits of its parent's heap is not its own: given back, and the peak counted from here. */
static void reset_peak(void)
{
    malloc_trim(0);
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (file != NULL) {
        fputs("5", file);
        fclose(file);
    }
}

/* Fills a database, serves it, writes the ticket to the pipe, and waits until the pipe's other side is
 * closed. */
static void serve(const char *dir, int out, int in, long entries)
{
    subject s = {.entries = 0};
    snprintf(s.url, sizeof s.url, "sqlite:%s/serve-%ld.db", dir, entries);
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
    reset_peak(); /* serving is looked at, not what was before */
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

/* Syncs of what is the same on both sides, in milliseconds. */
static void time_no_ops(eid_sync *sync, const eid_pubkey *peer, const eid_id *id, long entries)
{
    double times[WINDOWS];
    for (int i = 0; i < WINDOWS; i++) {
        double start = wall_seconds();
        check(eid_sync_tree_with_peer(sync, peer, id, NULL), "sync");
        times[i] = (wall_seconds() - start) * 1000;
    }
    record("sync of what is the same", entries, times, WINDOWS, "ms");
}

static double join_once(const char *url, const char *ticket_text, long entries, bool more)
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
        fprintf(stderr, "bench: %llu of %ld entries admitted\n", (unsigned long long)outcome.admitted,
                entries);
        exit(1);
    }
    if (more) {
        record_one("most memory, joining", entries, peak_mib(getpid()), "MiB");
        time_no_ops(sync, &outcome.peer, eid_ticket_database_id(ticket), entries);
    }
    eid_ticket_free(ticket);
    eid_user_logout(user);
    eid_instance_close(instance);
    return elapsed;
}

/* In a process of its own, whose memory is looked at. */
static void join_apart(const char *dir, const char *ticket, long entries)
{
    char url[512];
    snprintf(url, sizeof url, "sqlite:%s/apart-%ld.db", dir, entries);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        reset_peak();
        record_one("bootstrap over HTTP, a new process", entries, join_once(url, ticket, entries, true), "s");
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

void bench_joins(const char *dir, bench_sizes sizes)
{
    for (size_t i = 0; i < sizes.count; i++) {
        int to_parent[2], to_child[2];
        if (pipe(to_parent) != 0 || pipe(to_child) != 0)
            exit(1);
        pid_t child = fork();
        if (child == 0) {
            close(to_parent[0]);
            close(to_child[1]);
            serve(dir, to_parent[1], to_child[0], sizes.items[i]);
        }
        close(to_parent[1]);
        close(to_child[0]);
        char ticket[4096];
        read_line(to_parent[0], ticket, sizeof ticket);
        join_apart(dir, ticket, sizes.items[i]);
        record_one("most memory, serving", sizes.items[i], peak_mib(child), "MiB");
        int rounds = sizes.items[i] > 200000 ? 0 : sizes.items[i] > 20000 ? 3 : WINDOWS; /* else minutes */
        double memory[WINDOWS], sqlite[WINDOWS];
        for (int r = 0; r < rounds; r++) {
            char url[512];
            memory[r] = join_once("memory:", ticket, sizes.items[i], false);
            snprintf(url, sizeof url, "sqlite:%s/join-%ld-%d.db", dir, sizes.items[i], r);
            sqlite[r] = join_once(url, ticket, sizes.items[i], false);
        }
        if (rounds > 0) {
            record("bootstrap over HTTP, memory", sizes.items[i], memory, (size_t)rounds, "s");
            record("bootstrap over HTTP, SQLite", sizes.items[i], sqlite, (size_t)rounds, "s");
        }
        close(to_child[1]);
        close(to_parent[0]);
        waitpid(child, NULL, 0);
    }
}
