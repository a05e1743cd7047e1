/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target without libFuzzer: over every file of the folders given, over every beginning of each
 * file, and over a fixed number of damaged copies. The damage comes from a seed, so a failure repeats itself.
 *
 *     fuzz-json corpus/json [more folders or files]
 */
#include "fuzz/fuzz.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#define MOST_CUTS    2048 /* beginnings tried of one file */
#define DAMAGED      400  /* damaged copies of one file */
#define MOST_PATH    4096
#define LARGEST_FILE (1 << 20)

static uint64_t next_random(uint64_t *state)
{
    uint64_t x = (*state += 0x9e3779b97f4a7c15u);
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* A block of exactly the size, so that a sanitizer sees a read behind the end. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = calloc(size == 0 ? 1 : size, 1);
    FUZZ_CHECK(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

/* Changes one to four places: a bit, a byte, or a piece copied from elsewhere. */
static void damage(uint8_t *data, size_t size, uint64_t *state)
{
    static const uint8_t interesting[] = {0,   1,   0x20, '"', '\\', ',',  ':',  '[',
                                          ']', '{', '}',  '0', '-',  0x7f, 0x80, 0xff};
    for (uint64_t hits = 1 + next_random(state) % 4; hits > 0; hits--) {
        size_t at = (size_t)(next_random(state) % size);
        size_t from = (size_t)(next_random(state) % size);
        size_t most = size - (at > from ? at : from);
        switch (next_random(state) % 4) {
        case 0:
            data[at] ^= (uint8_t)(1u << next_random(state) % 8);
            break;
        case 1:
            data[at] = interesting[next_random(state) % sizeof interesting];
            break;
        case 2:
            data[at] = (uint8_t)next_random(state);
            break;
        default:
            memmove(data + at, data + from, (size_t)(next_random(state) % (most + 1)));
            break;
        }
    }
}

static void run_file(const char *path)
{
    static uint8_t original[LARGEST_FILE], changed[LARGEST_FILE];
    FILE *file = fopen(path, "rb");
    FUZZ_CHECK(file != NULL);
    size_t size = fread(original, 1, sizeof original, file);
    fclose(file);

    run(original, size);
    for (size_t cut = 0; cut < size && cut < MOST_CUTS; cut++)
        run(original, cut);
    uint64_t state = size;
    for (size_t i = 0; i < DAMAGED && size > 0; i++) {
        memcpy(changed, original, size);
        damage(changed, size, &state);
        run(changed, size);
    }
}

static size_t run_path(const char *path)
{
    struct stat info;
    FUZZ_CHECK(stat(path, &info) == 0);
    if (!S_ISDIR(info.st_mode)) {
        run_file(path);
        return 1;
    }
    size_t files = 0;
    DIR *folder = opendir(path);
    FUZZ_CHECK(folder != NULL);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char inside[MOST_PATH];
        if (entry->d_name[0] == '.')
            continue;
        FUZZ_CHECK(snprintf(inside, sizeof inside, "%s/%s", path, entry->d_name) < MOST_PATH);
        run_file(inside);
        files++;
    }
    closedir(folder);
    return files;
}

int main(int argc, char **argv)
{
    size_t files = 0;
    run(NULL, 0);
    for (int i = 1; i < argc; i++)
        files += run_path(argv[i]);
    printf("%zu files\n", files);
    /* A test without a corpus tests nothing. */
    return files > 0 ? 0 : 1;
}
