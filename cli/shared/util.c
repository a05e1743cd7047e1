/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers without a subject of their own; see util.h. */
#include "util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <eidetica/status.h>

#include "text.h"

static void out_of_memory(void)
{
    fprintf(stderr, "%s: out of memory\n", program_invocation_short_name);
    exit(1);
}

void *cli_alloc(size_t size)
{
    void *memory = calloc(1, size > 0 ? size : 1);
    if (memory == NULL)
        out_of_memory();
    return memory;
}

void *cli_grow(void *memory, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size)
        out_of_memory();
    void *grown = realloc(memory, count * size > 0 ? count * size : 1);
    if (grown == NULL)
        out_of_memory();
    return grown;
}

char *cli_copy(const char *text)
{
    size_t len = strlen(text);
    char *copy = cli_alloc(len + 1);
    memcpy(copy, text, len);
    return copy;
}

static char *format_list(const char *format, va_list list)
{
    char *text = NULL;
    if (vasprintf(&text, format, list) < 0)
        out_of_memory();
    return text;
}

char *cli_format(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    char *text = format_list(format, list);
    va_end(list);
    return text;
}

char *cli_last_error(void)
{
    const char *text = eid_last_error();
    return text_clean(text, strlen(text), TEXT_ERROR_MAX);
}

void cli_complain(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    char *text = format_list(format, list);
    va_end(list);
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, text);
    free(text);
}
