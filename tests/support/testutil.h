/* SPDX-License-Identifier: Apache-2.0 */
/* What every test needs: recorded data, hexadecimal, failing memory, scratch directories, seeded randomness.
 *
 * The helpers use plain malloc, never the library's allocator, so that a test which makes the library's
 * memory fail does not make its own helpers fail. A helper that can not do its work fails the running test.
 */
#ifndef EID_TESTS_TESTUTIL_H
#define EID_TESTS_TESTUTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/slice.h"
#include <eidetica/status.h>

/* Asserts EID_OK and shows the sentence of the library otherwise. */
#define tu_assert_ok(call)                                                                                   \
    do {                                                                                                     \
        eid_status tu_status_ = (call);                                                                      \
        if (tu_status_ != EID_OK)                                                                            \
            fail_msg("%s: %s: %s", #call, eid_status_name(tu_status_), eid_last_error());                    \
    } while (0)

/* Asserts one particular failure and that it left a sentence. */
#define tu_assert_fails(call, wanted)                                                                        \
    do {                                                                                                     \
        eid_status tu_status_ = (call);                                                                      \
        if (tu_status_ != (wanted))                                                                          \
            fail_msg("%s: %s (%s), wanted %s", #call, eid_status_name(tu_status_), eid_last_error(),         \
                     eid_status_name(wanted));                                                               \
        if (eid_last_error()[0] == '\0')                                                                     \
            fail_msg("%s: failed without a sentence", #call);                                                \
    } while (0)

/* --- Files --- */

/* The directory of the recorded cases: EID_TEST_DATA, else tests/vectors/data below the working directory. */
const char *tu_data_dir(void);

/* A file of that directory, with one zero byte after it; free() it. `len` may be NULL. */
uint8_t *tu_read_data(const char *name, size_t *len);

/* Any file, likewise. */
uint8_t *tu_read_file(const char *path, size_t *len);

void tu_write_file(const char *path, const void *data, size_t len);

/* Whether the first table an SQL text names is one of the journal, not of the index beside it. */
bool tu_is_of_journal(const char *sql);
/* The file of the two that make a data file which the text is for; free() it. */
char *tu_file_of(const char *path, const char *sql);

/* A new empty directory; its path is free()d by tu_temp_dir_remove, which deletes it with all it holds. */
char *tu_temp_dir(void);
void tu_temp_dir_remove(char *path);

/* "dir/name"; free() it. */
char *tu_path(const char *dir, const char *name);

/* --- Hexadecimal --- */

/* The bytes of an even number of digits, either case, with one zero byte after them; free() it. */
uint8_t *tu_hex_decode(const char *hex, size_t *len);

/* Lower-case digits; free() it. */
char *tu_hex_encode(const void *data, size_t len);

/* Asserts that the bytes are those written as hex; shows both sides otherwise. */
void tu_assert_hex(const void *data, size_t len, const char *hex);

/* --- Failing memory --- */

/* Puts a counting allocator under the library. May be used from several threads. Not nested. */
void tu_alloc_install(void);
/* Back to malloc. Everything the library allocated since must be freed before. */
void tu_alloc_remove(void);
/* The n-th allocation from now on fails (1: the next one), once. 0: none. Counting starts anew. */
void tu_alloc_fail_at(size_t n);
/* Like tu_alloc_fail_at, but all allocations after the n-th fail too, as when memory has really run out. */
void tu_alloc_fail_from(size_t n);
size_t tu_alloc_count(void); /* allocations and reallocations since the counting started */
size_t tu_alloc_live(void);  /* blocks not freed yet … */
size_t tu_alloc_bytes(void); /* … and what is in them */
bool tu_alloc_fired(void);   /* an allocation was refused since the counting started */

/* Runs `step` with the first allocation failing, then with the second, and so on until a run needs no more:
 * each refused run must answer EID_ERR_NO_MEMORY, leak nothing and leave what `step` itself checks; the last
 * must answer EID_OK. Then once more with memory running out for good at each point. Returns the number of
 * points. */
size_t tu_alloc_fault_loop(eid_status (*step)(void *ctx), void *ctx);

/* --- Randomness that can be repeated --- */

typedef struct tu_random {
    uint64_t state;
} tu_random;

/* Seeds from EID_TEST_SEED when it is set (a decimal number), else from the given number, and prints the
 * seed. */
tu_random tu_random_seeded(uint64_t seed);
uint64_t tu_random_next(tu_random *random);
/* Below `bound`, which is at least 1. */
uint64_t tu_random_below(tu_random *random, uint64_t bound);
void tu_random_fill(tu_random *random, void *out, size_t len);

#endif
