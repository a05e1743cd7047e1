/* SPDX-License-Identifier: Apache-2.0 */
/* Files, hexadecimal and randomness for tests. */
#include "support/testutil.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Memory of the helpers: a test can not go on without it. */
static void *must_alloc(size_t size)
{
    void *memory = malloc(size == 0 ? 1 : size);
    if (memory == NULL)
        abort();
    return memory;
}

const char *tu_data_dir(void)
{
    const char *dir = getenv("EID_TEST_DATA");
    return dir != NULL && dir[0] != '\0' ? dir : "tests/vectors/data";
}

char *tu_path(const char *dir, const char *name)
{
    size_t size = strlen(dir) + strlen(name) + 2;
    char *path = must_alloc(size);
    snprintf(path, size, "%s/%s", dir, name);
    return path;
}

uint8_t *tu_read_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("can not open %s: %s", path, strerror(errno));
    if (fseek(file, 0, SEEK_END) != 0)
        fail_msg("can not seek in %s: %s", path, strerror(errno));
    long size = ftell(file);
    if (size < 0)
        fail_msg("can not tell the size of %s: %s", path, strerror(errno));
    rewind(file);
    uint8_t *data = must_alloc((size_t)size + 1);
    size_t got = fread(data, 1, (size_t)size, file);
    fclose(file);
    if (got != (size_t)size)
        fail_msg("read %zu of %ld bytes of %s", got, size, path);
    data[got] = 0;
    if (len != NULL)
        *len = got;
    return data;
}

uint8_t *tu_read_data(const char *name, size_t *len)
{
    char *path = tu_path(tu_data_dir(), name);
    uint8_t *data = tu_read_file(path, len);
    free(path);
    return data;
}

bool tu_is_of_journal(const char *sql)
{
    static const char *const verbs[] = {"FROM ", "INTO ", "UPDATE "};
    static const char *const tables[] = {"entry", "tree", "quarantine", "refused", "meta"};
    const char *first = NULL;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        const char *place = strstr(sql, verbs[i]);
        if (place != NULL && (first == NULL || place < first))
            first = place;
    }
    if (first == NULL)
        return false;
    first = strchr(first, ' ') + 1;
    size_t len = strcspn(first, " ;(");
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (strlen(tables[i]) == len && memcmp(first, tables[i], len) == 0)
            return true;
    return false;
}

char *tu_file_of(const char *path, const char *sql)
{
    char *name;
    assert_true(asprintf(&name, "%s%s", path, tu_is_of_journal(sql) ? "" : "-index") > 0);
    return name;
}

void tu_write_file(const char *path, const void *data, size_t len)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        fail_msg("can not create %s: %s", path, strerror(errno));
    size_t written = len == 0 ? 0 : fwrite(data, 1, len, file);
    if (fclose(file) != 0 || written != len)
        fail_msg("can not write %s: %s", path, strerror(errno));
}

char *tu_temp_dir(void)
{
    const char *parent = getenv("TMPDIR");
    char *path = tu_path(parent != NULL && parent[0] != '\0' ? parent : "/tmp", "eidetica-test-XXXXXX");
    if (mkdtemp(path) == NULL)
        fail_msg("can not make a directory like %s: %s", path, strerror(errno));
    return path;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

void tu_temp_dir_remove(char *path)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        fail_msg("can not remove %s: %s", path, strerror(errno));
    free(path);
}

static int digit_value(char digit)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *found = digit == '\0' ? NULL : strchr(digits, digit);
    if (found == NULL)
        return -1;
    int value = (int)(found - digits);
    return value < 16 ? value : value - 6;
}

uint8_t *tu_hex_decode(const char *hex, size_t *len)
{
    size_t digits = strlen(hex);
    if (digits % 2 != 0)
        fail_msg("an odd number of hexadecimal digits: %s", hex);
    uint8_t *data = must_alloc(digits / 2 + 1);
    for (size_t i = 0; i < digits / 2; i++) {
        int high = digit_value(hex[2 * i]);
        int low = digit_value(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            fail_msg("not hexadecimal at %zu: %s", 2 * i, hex);
        data[i] = (uint8_t)(high * 16 + low);
    }
    data[digits / 2] = 0;
    *len = digits / 2;
    return data;
}

char *tu_hex_encode(const void *data, size_t len)
{
    const uint8_t *bytes = data;
    char *hex = must_alloc(2 * len + 1);
    for (size_t i = 0; i < len; i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    hex[2 * len] = '\0';
    return hex;
}

void tu_assert_hex(const void *data, size_t len, const char *hex)
{
    char *have = tu_hex_encode(data, len);
    assert_string_equal(have, hex);
    free(have);
}

tu_random tu_random_seeded(uint64_t seed)
{
    const char *given = getenv("EID_TEST_SEED");
    if (given != NULL && given[0] != '\0')
        seed = strtoull(given, NULL, 10);
    print_message("seed %llu\n", (unsigned long long)seed);
    return (tu_random){seed};
}

/* SplitMix64: every seed gives a full-period sequence of good quality, also small ones. */
uint64_t tu_random_next(tu_random *random)
{
    uint64_t mixed = random->state += 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
}

uint64_t tu_random_below(tu_random *random, uint64_t bound)
{
    assert_true(bound > 0);
    return tu_random_next(random) % bound;
}

void tu_random_fill(tu_random *random, void *out, size_t len)
{
    uint8_t *bytes = out;
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)tu_random_next(random);
}
