/* SPDX-License-Identifier: Apache-2.0 */
/* Status codes and the text of the last error.
 *
 * Every fallible call of the library returns eid_status; 0 means success. A failing call also leaves a
 * sentence in a per-thread slot that says what was wrong and, where it can, what to do about it:
 * eid_last_error(). Unless a function says otherwise, a failing call has changed nothing and has written
 * nothing to its out parameters.
 *
 * Structs that may grow in later versions begin with struct_size. Programs set it to sizeof the struct, as the initializers do
 * (EID_INSTANCE_OPTIONS_INIT and its kin); the library reads and writes no more than that. Left at 0 it is refused with
 * EID_ERR_INVALID_ARGUMENT, so that settings are never passed over in silence.
 */
#ifndef EIDETICA_STATUS_H
#define EIDETICA_STATUS_H

#include <eidetica/export.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum eid_status {
    EID_OK = 0,

    /* General. */
    EID_ERR_NO_MEMORY = 1,         /* an allocation failed */
    EID_ERR_INVALID_ARGUMENT = 2,  /* the caller broke the contract of the function */
    EID_ERR_NOT_FOUND = 3,         /* nothing under that name */
    EID_ERR_ALREADY_EXISTS = 4,    /* the name is taken */
    EID_ERR_LIMIT = 5,             /* a bound would be exceeded; the sentence names it */
    EID_ERR_IO = 6,                /* the operating system refused */
    EID_ERR_BUSY = 7,              /* somebody else holds it: a data file, a port */
    EID_ERR_CANCELLED = 8,         /* stopped at the caller's wish */
    EID_ERR_TIMEOUT = 9,           /* a deadline passed */
    EID_ERR_UNSUPPORTED = 10,      /* valid, but not offered by this build or version */
    EID_ERR_INTERNAL = 11,         /* a broken invariant of the library: please report it */
    EID_ERR_CONFLICT = 12,         /* the object is in a state that does not allow the call */

    /* Formats: bytes from outside that are not what they should be. */
    EID_ERR_TRUNCATED = 20,        /* the input ends too early */
    EID_ERR_TRAILING_DATA = 21,    /* something follows a complete value */
    EID_ERR_SYNTAX = 22,           /* not the grammar of the format */
    EID_ERR_NOT_CANONICAL = 23,    /* readable, but not the one canonical form */
    EID_ERR_DEPTH = 24,            /* nested deeper than allowed */
    EID_ERR_UTF8 = 25,             /* text that is not UTF-8 */
    EID_ERR_DUPLICATE_KEY = 26,    /* a map names one key twice */
    EID_ERR_MISSING_FIELD = 27,    /* a required field is absent */
    EID_ERR_WRONG_TYPE = 28,       /* a value of another type than the format says */
    EID_ERR_RANGE = 29,            /* a number outside its type */
    EID_ERR_VERSION = 30,          /* a format version this library does not know */
    EID_ERR_INVALID_ID = 31,       /* not a content identifier */
    EID_ERR_INVALID_KEY = 32,      /* not a public or private key in text form */
    EID_ERR_INVALID_ADDRESS = 33,  /* not an address or ticket */
    EID_ERR_INVALID_URL = 34,      /* not an instance URL */

    /* Documents. */
    EID_ERR_KEY_NOT_FOUND = 40,    /* no such path, or it was deleted */
    EID_ERR_TYPE_MISMATCH = 41,    /* the value, or the store, is of another type */
    EID_ERR_INDEX_OUT_OF_BOUNDS = 42,
    EID_ERR_INVALID_PATH = 43,

    /* Entries, databases, transactions. */
    EID_ERR_INVALID_ENTRY = 50,       /* structurally wrong, see eid_entry_validate */
    EID_ERR_ENTRY_NOT_FOUND = 51,
    EID_ERR_WRONG_TREE = 52,          /* the entry belongs to another database */
    EID_ERR_DATABASE_NOT_FOUND = 53,
    EID_ERR_INVALID_TIP = 54,         /* a snapshot names an entry that is not of the database */
    EID_ERR_ALREADY_COMMITTED = 55,   /* the transaction is over */
    EID_ERR_AUTH_REQUIRED = 56,       /* the handle has no signing key */
    EID_ERR_PERMISSION_DENIED = 57,   /* the key may not do this */
    EID_ERR_BAD_SIGNATURE = 58,
    EID_ERR_CORRUPTED_AUTH = 59,      /* _settings.auth is not a document */
    EID_ERR_MISSING_PARENTS = 60,     /* parents or pinned settings are not held yet; the entry waits */
    EID_ERR_REFUSED_BEFORE = 61,      /* the same entry was judged and refused earlier */
    EID_ERR_STORE_NAME = 62,          /* empty, reserved or dotted store name */

    /* Storage. */
    EID_ERR_STORAGE = 70,          /* the database engine reported an error */
    EID_ERR_CORRUPT = 71,          /* the data file contradicts itself */
    EID_ERR_SCHEMA_VERSION = 72,   /* the data file was written by a newer version */
    EID_ERR_READ_ONLY = 73,        /* the file or directory can not be written */
    EID_ERR_DISK_FULL = 74,

    /* Instances and users. */
    EID_ERR_NOT_INITIALIZED = 80,
    EID_ERR_USER_NOT_FOUND = 81,
    EID_ERR_USER_EXISTS = 82,
    EID_ERR_USER_DISABLED = 83,
    EID_ERR_INVALID_PASSWORD = 84,
    EID_ERR_PASSWORD_REQUIRED = 85,
    EID_ERR_NO_KEY_FOR_DATABASE = 86,
    EID_ERR_DATABASE_NOT_TRACKED = 87,
    EID_ERR_DATABASE_ACCESS_PENDING = 88,
    EID_ERR_DECRYPTION = 89,       /* encrypted under another key, or damaged */
    EID_ERR_PRIVATE_KEY_NOT_FOUND = 90,
    EID_ERR_SECRET_REQUIRED = 91,  /* the instance is protected by a secret, which was not given */
    EID_ERR_WRONG_SECRET = 92,     /* it is protected by another one */

    /* Synchronization; the sentences are those of the Rust implementation. */
    EID_ERR_NO_TRANSPORT_ENABLED = 100,
    EID_ERR_SYNC_NOT_ENABLED = 101,
    EID_ERR_SERVER_ALREADY_RUNNING = 102,
    EID_ERR_SERVER_NOT_RUNNING = 103,
    EID_ERR_UNEXPECTED_RESPONSE = 104,
    EID_ERR_NETWORK = 105,
    EID_ERR_SERVER_BIND = 106,
    EID_ERR_CONNECTION_FAILED = 107,
    EID_ERR_PEER_NOT_FOUND = 108,
    EID_ERR_PEER_EXISTS = 109,
    EID_ERR_PROTOCOL_MISMATCH = 110,
    EID_ERR_HANDSHAKE_FAILED = 111,
    EID_ERR_PROTOCOL = 112,        /* the peer answered with an error */
    EID_ERR_BOOTSTRAP_PENDING = 113,
    EID_ERR_REQUEST_NOT_FOUND = 114,
    EID_ERR_REQUEST_STATE = 115,
    EID_ERR_AUTH_FAILED = 116,
    EID_ERR_NO_TRANSPORT_FOR_ADDRESS = 117,
    EID_ERR_BOOTSTRAP_REJECTED = 118 /* an admin of the peer refused the access that was asked for */
} eid_status;

/* The name of a code, such as "EID_ERR_NOT_FOUND"; "EID_ERR_UNKNOWN" for a number that is none. Static text. */
EID_API const char *eid_status_name(eid_status status);

/* The sentence left by the last failing call of this thread; "" when none failed yet. The text is lent and
 * valid until the next failing call of the same thread. */
EID_API const char *eid_last_error(void);

#ifdef __cplusplus
}
#endif
#endif
