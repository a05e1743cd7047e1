/* SPDX-License-Identifier: Apache-2.0 */
/* Small helpers every program uses: memory that never fails, texts made by format, error sentences.
 *
 * Running out of memory ends the program with one sentence: there is nothing sensible to show a person then, and
 * what was said so far is already stored. */
#ifndef CLI_UTIL_H
#define CLI_UTIL_H

#include <stddef.h>

void *cli_alloc(size_t size);                            /* zeroed; free with free */
void *cli_grow(void *memory, size_t count, size_t size); /* realloc with an overflow check */
char *cli_copy(const char *text);                        /* free with free */
char *cli_format(const char *format, ...) __attribute__((format(printf, 1, 2))); /* free with free */

/* The library's sentence about the last failure of this thread, safe to print; free with free. */
char *cli_last_error(void);

/* "program: sentence" on standard error. */
void cli_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
