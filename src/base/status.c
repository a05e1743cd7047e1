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

void eid_error_set(const char *format, ...)
{
    /* The arguments may quote the current sentence, so it is replaced only when the new one is ready. */
    char text[EID_LIMIT_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    format_text(text, format, args);
    va_end(args);
    memcpy(error_text, text, sizeof text);
}

void eid_error_prefix(const char *format, ...)
{
    char prefix[EID_LIMIT_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    format_text(prefix, format, args);
    va_end(args);
    eid_error_set("%s: %s", prefix, error_text);
}

const char *eid_last_error(void)
{
    return error_text;
}

#define NAMED(code) {code, #code}

static const struct {
    eid_status status;
    const char *name;
} names[] = {
    NAMED(EID_OK),
    NAMED(EID_ERR_NO_MEMORY),
    NAMED(EID_ERR_INVALID_ARGUMENT),
    NAMED(EID_ERR_NOT_FOUND),
    NAMED(EID_ERR_ALREADY_EXISTS),
    NAMED(EID_ERR_LIMIT),
    NAMED(EID_ERR_IO),
    NAMED(EID_ERR_BUSY),
    NAMED(EID_ERR_CANCELLED),
    NAMED(EID_ERR_TIMEOUT),
    NAMED(EID_ERR_UNSUPPORTED),
    NAMED(EID_ERR_INTERNAL),
    NAMED(EID_ERR_CONFLICT),
    NAMED(EID_ERR_TRUNCATED),
    NAMED(EID_ERR_TRAILING_DATA),
    NAMED(EID_ERR_SYNTAX),
    NAMED(EID_ERR_NOT_CANONICAL),
    NAMED(EID_ERR_DEPTH),
    NAMED(EID_ERR_UTF8),
    NAMED(EID_ERR_DUPLICATE_KEY),
    NAMED(EID_ERR_MISSING_FIELD),
    NAMED(EID_ERR_WRONG_TYPE),
    NAMED(EID_ERR_RANGE),
    NAMED(EID_ERR_VERSION),
    NAMED(EID_ERR_INVALID_ID),
    NAMED(EID_ERR_INVALID_KEY),
    NAMED(EID_ERR_INVALID_ADDRESS),
    NAMED(EID_ERR_INVALID_URL),
    NAMED(EID_ERR_KEY_NOT_FOUND),
    NAMED(EID_ERR_TYPE_MISMATCH),
    NAMED(EID_ERR_INDEX_OUT_OF_BOUNDS),
    NAMED(EID_ERR_INVALID_PATH),
    NAMED(EID_ERR_INVALID_ENTRY),
    NAMED(EID_ERR_ENTRY_NOT_FOUND),
    NAMED(EID_ERR_WRONG_TREE),
    NAMED(EID_ERR_DATABASE_NOT_FOUND),
    NAMED(EID_ERR_INVALID_TIP),
    NAMED(EID_ERR_ALREADY_COMMITTED),
    NAMED(EID_ERR_AUTH_REQUIRED),
    NAMED(EID_ERR_PERMISSION_DENIED),
    NAMED(EID_ERR_BAD_SIGNATURE),
    NAMED(EID_ERR_CORRUPTED_AUTH),
    NAMED(EID_ERR_MISSING_PARENTS),
    NAMED(EID_ERR_REFUSED_BEFORE),
    NAMED(EID_ERR_STORE_NAME),
    NAMED(EID_ERR_STORAGE),
    NAMED(EID_ERR_CORRUPT),
    NAMED(EID_ERR_SCHEMA_VERSION),
    NAMED(EID_ERR_READ_ONLY),
    NAMED(EID_ERR_DISK_FULL),
    NAMED(EID_ERR_NOT_INITIALIZED),
    NAMED(EID_ERR_USER_NOT_FOUND),
    NAMED(EID_ERR_USER_EXISTS),
    NAMED(EID_ERR_USER_DISABLED),
    NAMED(EID_ERR_INVALID_PASSWORD),
    NAMED(EID_ERR_PASSWORD_REQUIRED),
    NAMED(EID_ERR_NO_KEY_FOR_DATABASE),
    NAMED(EID_ERR_DATABASE_NOT_TRACKED),
    NAMED(EID_ERR_DATABASE_ACCESS_PENDING),
    NAMED(EID_ERR_DECRYPTION),
    NAMED(EID_ERR_PRIVATE_KEY_NOT_FOUND),
    NAMED(EID_ERR_SECRET_REQUIRED),
    NAMED(EID_ERR_WRONG_SECRET),
    NAMED(EID_ERR_NO_TRANSPORT_ENABLED),
    NAMED(EID_ERR_SYNC_NOT_ENABLED),
    NAMED(EID_ERR_SERVER_ALREADY_RUNNING),
    NAMED(EID_ERR_SERVER_NOT_RUNNING),
    NAMED(EID_ERR_UNEXPECTED_RESPONSE),
    NAMED(EID_ERR_NETWORK),
    NAMED(EID_ERR_SERVER_BIND),
    NAMED(EID_ERR_CONNECTION_FAILED),
    NAMED(EID_ERR_PEER_NOT_FOUND),
    NAMED(EID_ERR_PEER_EXISTS),
    NAMED(EID_ERR_PROTOCOL_MISMATCH),
    NAMED(EID_ERR_HANDSHAKE_FAILED),
    NAMED(EID_ERR_PROTOCOL),
    NAMED(EID_ERR_BOOTSTRAP_PENDING),
    NAMED(EID_ERR_REQUEST_NOT_FOUND),
    NAMED(EID_ERR_REQUEST_STATE),
    NAMED(EID_ERR_AUTH_FAILED),
    NAMED(EID_ERR_NO_TRANSPORT_FOR_ADDRESS),
    NAMED(EID_ERR_BOOTSTRAP_REJECTED),
};

const char *eid_status_name(eid_status status)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].status == status)
            return names[i].name;
    return "EID_ERR_UNKNOWN";
}
