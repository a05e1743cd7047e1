/* SPDX-License-Identifier: Apache-2.0 */
/* Leaving an error: the code is returned, the sentence goes to the thread's slot. */
#ifndef EID_BASE_STATUS_H
#define EID_BASE_STATUS_H

#include <eidetica/status.h>

/* Stores the formatted sentence (cut at EID_LIMIT_ERROR_TEXT on a character boundary) and gives `status`,
 * so that `return eid_fail(EID_ERR_…, "…", …);` is the one way to fail. The status does not go through the function: the compiler
 * sees that it is not EID_OK, and so which values are set after a success. */
#define eid_fail(status, ...) (eid_error_set(__VA_ARGS__), eid_status_given(status))

/* Puts "prefix: " in front of the current sentence and gives `status` unchanged. */
#define eid_fail_context(status, ...) (eid_error_prefix(__VA_ARGS__), eid_status_given(status))

void eid_error_set(const char *format, ...) __attribute__((format(printf, 1, 2)));
void eid_error_prefix(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline eid_status eid_status_given(eid_status status)
{
    return status;
}

/* The text of an allocation failure needs no memory. */
static inline eid_status eid_fail_memory(void)
{
    eid_error_set("out of memory");
    return EID_ERR_NO_MEMORY;
}

/* Returns from the enclosing function when the call failed. */
#define EID_TRY(call)                                  \
    do {                                               \
        eid_status eid_try_status_ = (call);           \
        if (eid_try_status_ != EID_OK)                 \
            return eid_try_status_;                    \
    } while (0)

/* The beginning of a public function: what its caller may not leave out, such as `database && store`. Like assert, but the
 * caller is told. */
#define EID_NEED(condition)                                                                                  \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            return eid_fail(EID_ERR_INVALID_ARGUMENT, "%s: NULL where it is not allowed, needed are: %s",    \
                            __func__, #condition);                                                           \
    } while (0)

/* Jumps to `label` when the call failed; `variable` holds the status. */
#define EID_TRY_GOTO(variable, call, label) \
    do {                                    \
        (variable) = (call);                \
        if ((variable) != EID_OK)           \
            goto label;                     \
    } while (0)

#endif
