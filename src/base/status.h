/* SPDX-License-Identifier: Apache-2.0 */
/* Leaving an error: the code is returned, the sentence goes to the thread's slot. */
#ifndef EID_BASE_STATUS_H
#define EID_BASE_STATUS_H

#include <eidetica/status.h>

/* Stores the formatted sentence (cut at EID_LIMIT_ERROR_TEXT on a character boundary) and returns `status`,
 * so that `return eid_fail(EID_ERR_…, "…", …);` is the one way to fail. */
eid_status eid_fail(eid_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The text of an allocation failure needs no memory. */
eid_status eid_fail_memory(void);

/* Puts "prefix: " in front of the current sentence and returns `status` unchanged. */
eid_status eid_fail_context(eid_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Returns from the enclosing function when the call failed. */
#define EID_TRY(call)                                  \
    do {                                               \
        eid_status eid_try_status_ = (call);           \
        if (eid_try_status_ != EID_OK)                 \
            return eid_try_status_;                    \
    } while (0)

/* Jumps to `label` when the call failed; `variable` holds the status. */
#define EID_TRY_GOTO(variable, call, label) \
    do {                                    \
        (variable) = (call);                \
        if ((variable) != EID_OK)           \
            goto label;                     \
    } while (0)

#endif
