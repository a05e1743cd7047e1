/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines on their way to the callback of the process. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/utf8.h"

/* A process hook, set while no other call runs and then only read. */
static struct {
    eid_log_callback callback;
    eid_log_level level;
    void *ctx;
} sink;

void eid_set_log_callback(eid_log_callback callback, eid_log_level level, void *ctx)
{
    sink.callback = callback;
    sink.level = level;
    sink.ctx = ctx;
}

void eid_log(eid_log_level level, const char *format, ...)
{
    if (sink.callback == NULL || level > sink.level)
        return;

    char text[EID_LIMIT_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (wanted < 0)
        return;
    if ((size_t)wanted >= sizeof text)
        text[eid_utf8_cut(eid_slice_of(text, sizeof text - 1), sizeof text - 1)] = '\0';
    sink.callback(level, text, sink.ctx);
}
