/* SPDX-License-Identifier: Apache-2.0 */
/* Benchmarks of what an application feels: commits, reads, opening, tables, joining a database over the network. What is
 * measured and how is told in bench.h and in docs/performance.md.
 */
#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

typedef struct wishes {
    bench_sizes sizes;
    const char *json;
    bool only_commits;
    bool only_received;
    bool only_peers;
    bool only_joins;
    bool only_iroh;
} wishes;

static bool read_arguments(int argc, char **argv, wishes *out)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0)
            out->sizes.count = 2;
        else if (strcmp(argv[i], "--cpu") == 0)
            count_cpu_time();
        else if (strcmp(argv[i], "--only-commits") == 0)
            out->only_commits = true;
        else if (strcmp(argv[i], "--only-received") == 0)
            out->only_received = true;
        else if (strcmp(argv[i], "--only-peers") == 0)
            out->only_peers = true;
        else if (strcmp(argv[i], "--only-joins") == 0)
            out->only_joins = true;
        else if (strcmp(argv[i], "--only-iroh") == 0)
            out->only_iroh = true;
        else if (strcmp(argv[i], "--json") == 0 && i + 1 < argc)
            out->json = argv[++i];
        else
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    static const long sizes[] = {1000, 10000, 100000, 1000000};
    wishes w = {.sizes = {sizes, sizeof sizes / sizeof *sizes}};
    if (!read_arguments(argc, argv, &w)) {
        fprintf(stderr, "usage: bench [--quick] [--only-commits] [--only-received] [--only-peers] [--only-joins]\n"
                        "             [--only-iroh] [--cpu] [--json FILE]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    char dir[] = "/tmp/eidetica-bench-XXXXXX";
    if (mkdtemp(dir) == NULL) {
        fprintf(stderr, "bench: no temporary directory: %s\n", strerror(errno));
        return 1;
    }
    print_heading();
    bool all = !w.only_commits && !w.only_received && !w.only_peers && !w.only_joins && !w.only_iroh;
    if (!w.only_peers && !w.only_joins && !w.only_iroh)
        bench_bounds(dir);
    if (all || w.only_commits)
        bench_commits(dir, w.sizes);
    if (all || w.only_received)
        bench_receptions(w.sizes.count < 4);
    if (all || w.only_peers)
        bench_peers(dir);
    if (all || w.only_iroh)
        bench_iroh();
    if (all || w.only_joins)
        bench_joins(dir, w.sizes);
    if (all)
        bench_tables(dir, w.sizes);
    if (w.json != NULL)
        write_json(w.json);
    remove_dir(dir);
    return 0;
}
