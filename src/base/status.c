/* SPDX-License-Identifier: Apache-2.0 */
/* The last-error slot: one fixed buffer per thread, so that failing needs no memory. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/utf8.h"

static _Thread_local char error_text[EID_LIMIT_ERROR_TEXT];

/* Formats into `out` of EID_LIMIT_ERROR_TEXT bytes; what does not fit is cut between two characters. */
static void format_text(char *out, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
static void format_text(char *out, const char *format, va_list args)
{
    int wanted = vsnprintf(out, EID_LIMIT_ERROR_TEXT, format, args);
    if (wanted < 0) {
        out[0] = '\0';
        return;
    }
    if ((size_t)wanted >= EID_LIMIT_ERROR_TEXT) {
        size_t cut = eid_utf8_cut(eid_slice_of(out, EID_LIMIT_ERROR_TEXT - 1), EID_LIMIT_ERROR_TEXT - 1);
        out[cut] = '\0';
    }
}

eid_status eid_fail(eid_status status, const char *format, ...)
{
    /* The arguments may quote the current sentence, so it is replaced only when the new one is ready. */
    char text[EID_LIMIT_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    format_text(text, format, args);
    va_end(args);
    memcpy(error_text, text, sizeof text);
    return status;
}

eid_status eid_fail_memory(void)
{
    static const char text[] = "out of memory";
    memcpy(error_text, text, sizeof text);
    return EID_ERR_NO_MEMORY;
}

eid_status eid_fail_context(eid_status status, const char *format, ...)
{
    char prefix[EID_LIMIT_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    format_text(prefix, format, args);
    va_end(args);
    return eid_fail(status, "%s: %s", prefix, error_text);
}

const char *eid_last_error(void)
{
    return error_text;
}

#define NAME_CASE(code)                                                                                      \
    case code:                                                                                               \
        return #code

const char *eid_status_name(eid_status status)
{
    switch (status) {
        NAME_CASE(EID_OK);
        NAME_CASE(EID_ERR_NO_MEMORY);
        NAME_CASE(EID_ERR_INVALID_ARGUMENT);
        NAME_CASE(EID_ERR_NOT_FOUND);
        NAME_CASE(EID_ERR_ALREADY_EXISTS);
        NAME_CASE(EID_ERR_LIMIT);
        NAME_CASE(EID_ERR_IO);
        NAME_CASE(EID_ERR_BUSY);
        NAME_CASE(EID_ERR_CANCELLED);
        NAME_CASE(EID_ERR_TIMEOUT);
        NAME_CASE(EID_ERR_UNSUPPORTED);
        NAME_CASE(EID_ERR_INTERNAL);
        NAME_CASE(EID_ERR_CONFLICT);
        NAME_CASE(EID_ERR_TRUNCATED);
        NAME_CASE(EID_ERR_TRAILING_DATA);
        NAME_CASE(EID_ERR_SYNTAX);
        NAME_CASE(EID_ERR_NOT_CANONICAL);
        NAME_CASE(EID_ERR_DEPTH);
        NAME_CASE(EID_ERR_UTF8);
        NAME_CASE(EID_ERR_DUPLICATE_KEY);
        NAME_CASE(EID_ERR_MISSING_FIELD);
        NAME_CASE(EID_ERR_WRONG_TYPE);
        NAME_CASE(EID_ERR_RANGE);
        NAME_CASE(EID_ERR_VERSION);
        NAME_CASE(EID_ERR_INVALID_ID);
        NAME_CASE(EID_ERR_INVALID_KEY);
        NAME_CASE(EID_ERR_INVALID_ADDRESS);
        NAME_CASE(EID_ERR_INVALID_URL);
        NAME_CASE(EID_ERR_KEY_NOT_FOUND);
        NAME_CASE(EID_ERR_TYPE_MISMATCH);
        NAME_CASE(EID_ERR_INDEX_OUT_OF_BOUNDS);
        NAME_CASE(EID_ERR_INVALID_PATH);
        NAME_CASE(EID_ERR_INVALID_ENTRY);
        NAME_CASE(EID_ERR_ENTRY_NOT_FOUND);
        NAME_CASE(EID_ERR_WRONG_TREE);
        NAME_CASE(EID_ERR_DATABASE_NOT_FOUND);
        NAME_CASE(EID_ERR_INVALID_TIP);
        NAME_CASE(EID_ERR_ALREADY_COMMITTED);
        NAME_CASE(EID_ERR_AUTH_REQUIRED);
        NAME_CASE(EID_ERR_PERMISSION_DENIED);
        NAME_CASE(EID_ERR_BAD_SIGNATURE);
        NAME_CASE(EID_ERR_CORRUPTED_AUTH);
        NAME_CASE(EID_ERR_MISSING_PARENTS);
        NAME_CASE(EID_ERR_REFUSED_BEFORE);
        NAME_CASE(EID_ERR_STORE_NAME);
        NAME_CASE(EID_ERR_STORAGE);
        NAME_CASE(EID_ERR_CORRUPT);
        NAME_CASE(EID_ERR_SCHEMA_VERSION);
        NAME_CASE(EID_ERR_READ_ONLY);
        NAME_CASE(EID_ERR_DISK_FULL);
        NAME_CASE(EID_ERR_NOT_INITIALIZED);
        NAME_CASE(EID_ERR_USER_NOT_FOUND);
        NAME_CASE(EID_ERR_USER_EXISTS);
        NAME_CASE(EID_ERR_USER_DISABLED);
        NAME_CASE(EID_ERR_INVALID_PASSWORD);
        NAME_CASE(EID_ERR_PASSWORD_REQUIRED);
        NAME_CASE(EID_ERR_NO_KEY_FOR_DATABASE);
        NAME_CASE(EID_ERR_DATABASE_NOT_TRACKED);
        NAME_CASE(EID_ERR_DATABASE_ACCESS_PENDING);
        NAME_CASE(EID_ERR_DECRYPTION);
        NAME_CASE(EID_ERR_NO_TRANSPORT_ENABLED);
        NAME_CASE(EID_ERR_SYNC_NOT_ENABLED);
        NAME_CASE(EID_ERR_SERVER_ALREADY_RUNNING);
        NAME_CASE(EID_ERR_SERVER_NOT_RUNNING);
        NAME_CASE(EID_ERR_UNEXPECTED_RESPONSE);
        NAME_CASE(EID_ERR_NETWORK);
        NAME_CASE(EID_ERR_SERVER_BIND);
        NAME_CASE(EID_ERR_CONNECTION_FAILED);
        NAME_CASE(EID_ERR_PEER_NOT_FOUND);
        NAME_CASE(EID_ERR_PEER_EXISTS);
        NAME_CASE(EID_ERR_PROTOCOL_MISMATCH);
        NAME_CASE(EID_ERR_HANDSHAKE_FAILED);
        NAME_CASE(EID_ERR_PROTOCOL);
        NAME_CASE(EID_ERR_BOOTSTRAP_PENDING);
        NAME_CASE(EID_ERR_REQUEST_NOT_FOUND);
        NAME_CASE(EID_ERR_REQUEST_STATE);
        NAME_CASE(EID_ERR_AUTH_FAILED);
        NAME_CASE(EID_ERR_NO_TRANSPORT_FOR_ADDRESS);
    }
    return "EID_ERR_UNKNOWN";
}
