/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines of the library. Nothing is ever printed; without a callback the lines are dropped. */
#ifndef EIDETICA_LOG_H
#define EIDETICA_LOG_H

#include <eidetica/export.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum eid_log_level {
    EID_LOG_ERROR = 0,
    EID_LOG_WARN = 1,
    EID_LOG_INFO = 2,
    EID_LOG_DEBUG = 3
} eid_log_level;

/* Called from whichever thread has something to say, also from several at once. The text is lent for the call. */
typedef void (*eid_log_callback)(eid_log_level level, const char *text, void *ctx);

/* Sets the callback of the process (NULL: none) and the most talkative level it wants. Call it before opening
 * the first instance, or while no other call of the library is running. */
EID_API void eid_set_log_callback(eid_log_callback callback, eid_log_level level, void *ctx);

#ifdef __cplusplus
}
#endif
#endif
