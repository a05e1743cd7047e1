/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator's command: runs seeds, one after the other, and says which one did not end as it must.
 *
 *   sim --seed 42            one run, told in full
 *   sim --seeds 1..500       many; ends at the first that fails
 *   sim --twice --seeds 1..9 each two times: both must be the same run
 */
#include "play.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    unsigned long long from, to;
    bool one, twice;
    uint64_t present; /* the seed under way */
} wanted;

static int usage(void)
{
    fprintf(stderr, "usage: sim [--twice] --seed N | --seeds A..B\n");
    return 2;
}

static outcome run(uint64_t seed, bool loud)
{
    wanted.present = seed;
    size_t before = tu_alloc_live();
    outcome out = play_seed(seed, loud);
    if (tu_alloc_live() != before)
        fail_msg("%zu blocks of memory were not freed", tu_alloc_live() - before);
    return out;
}

static void add(outcome *sum, const outcome *one)
{
    sum->entries += one->entries;
    sum->commits += one->commits;
    sum->deaths += one->deaths;
    sum->cuts += one->cuts;
    sum->revocations += one->revocations;
    sum->thrown += one->thrown;
    sum->planted += one->planted;
    sum->healed_ms = one->healed_ms > sum->healed_ms ? one->healed_ms : sum->healed_ms;
}

static void tell(const char *what, const outcome *out)
{
    printf("%s: %u commits, %zu entries, %u deaths (%u power cuts), %u revocations, %llu hostile bodies "
           "(%llu entries "
           "within its rights), agreed after %llu s\n",
           what, out->commits, out->entries, out->deaths, out->cuts, out->revocations,
           (unsigned long long)out->thrown, (unsigned long long)out->planted,
           (unsigned long long)(out->healed_ms / 1000));
}

static void run_range(uint64_t from, uint64_t to, bool twice)
{
    outcome sum = {0};
    for (uint64_t seed = from; seed <= to; seed++) {
        outcome out = run(seed, false);
        if (twice && run(seed, false).trace != out.trace)
            fail_msg("the same seed gave two different runs");
        add(&sum, &out);
    }
    char what[64];
    snprintf(what, sizeof what, "%llu seeds%s", (unsigned long long)(to - from + 1), twice ? ", twice" : "");
    tell(what, &sum);
}

static void seeds(void **state)
{
    (void)state;
    disk_mount();
    tu_alloc_install();
    if (wanted.one && !wanted.twice) {
        outcome out = run(wanted.from, true);
        printf("trace %016llx\n", (unsigned long long)out.trace);
        tell("1 seed", &out);
    } else {
        run_range(wanted.from, wanted.to, wanted.twice);
    }
    tu_alloc_remove();
    disk_unmount();
}

static bool read_words(int count, char **words)
{
    wanted.from = 1;
    for (int i = 1; i < count; i++) {
        if (strcmp(words[i], "--twice") == 0) {
            wanted.twice = true;
        } else if (i + 1 < count && strcmp(words[i], "--seed") == 0 &&
                   sscanf(words[i + 1], "%llu", &wanted.from) == 1) {
            wanted.to = wanted.from;
            wanted.one = true;
            i++;
        } else if (i + 1 < count && strcmp(words[i], "--seeds") == 0 &&
                   sscanf(words[i + 1], "%llu..%llu", &wanted.from, &wanted.to) == 2) {
            i++;
        } else {
            return false;
        }
    }
    return wanted.from <= wanted.to;
}

int main(int count, char **words)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(seeds)};
    if (!read_words(count, words))
        return usage();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (failed != 0)
        fprintf(stderr, "This was seed %llu; see it with: sim --seed %llu\n",
                (unsigned long long)wanted.present, (unsigned long long)wanted.present);
    return failed;
}
