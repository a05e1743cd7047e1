/* SPDX-License-Identifier: Apache-2.0 */
/* Small helpers every part of the chat uses: memory that never fails, texts made by format, error sentences.
 *
 * Running out of memory ends the chat with one sentence: there is nothing sensible to show a person then, and
 * what was said so far is already stored. */
#ifndef CHAT_UTIL_H
#define CHAT_UTIL_H

#include <stddef.h>

void *chat_alloc(size_t size);                            /* zeroed; free with free */
void *chat_grow(void *memory, size_t count, size_t size); /* realloc with an overflow check */
char *chat_copy(const char *text);                        /* free with free */
char *chat_format(const char *format, ...) __attribute__((format(printf, 1, 2))); /* free with free */

/* The library's sentence about the last failure of this thread, safe to print; free with free. */
char *chat_last_error(void);

/* "eidetica-chat: sentence" on standard error. */
void chat_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
