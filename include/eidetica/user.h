/* SPDX-License-Identifier: Apache-2.0 */
/* Users: named owners of keys, with a private database that remembers which databases they use. */
#ifndef EIDETICA_USER_H
#define EIDETICA_USER_H

#include <eidetica/instance.h>
#include <eidetica/store.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct eid_user eid_user;

/* Passwords are UTF-8 text of at most 65 536 bytes (EID_ERR_LIMIT), taken as they are, not normalized; "" is one. Callers wipe
 * their own copies (eid_wipe). A user's keys are kept encrypted under the password; without one they stand in clear in the
 * data file. Stretching a password takes tens of milliseconds and 19 MiB of memory. */

/* Creates a user (the first one becomes admin of the instance). `password` NULL: passwordless. EID_ERR_USER_EXISTS. */
EID_API eid_status eid_instance_create_user(eid_instance *instance, const char *username, const char *password);
/* Opens a session; close with eid_user_logout.
 * With a password, every mistake is EID_ERR_INVALID_PASSWORD: that there is no such user, that the password is wrong or that
 * the user has none are told apart neither by the sentence nor by the time taken. Each wrong password of an instance makes the
 * next one take longer, up to 3.2 seconds, until none came for a minute; passwords are tried one at a time, so the call
 * may wait for others. Without a password: EID_ERR_USER_NOT_FOUND, EID_ERR_PASSWORD_REQUIRED.
 * EID_ERR_USER_DISABLED; EID_ERR_CONFLICT when two users have the name. */
EID_API eid_status eid_instance_login_user(eid_instance *instance, const char *username, const char *password,
                                           eid_user **out);
/* Creates the user first when there is none of this name; an existing one is logged in as above. */
EID_API eid_status eid_instance_login_or_create_user(eid_instance *instance, const char *username, const char *password,
                                                     eid_user **out);
EID_API void eid_user_logout(eid_user *user); /* wipes its keys; NULL is allowed */

EID_API const char *eid_user_name(const eid_user *user);
EID_API const char *eid_user_id(const eid_user *user); /* UUID text */
EID_API eid_instance *eid_user_instance(const eid_user *user);
EID_API void eid_user_get_default_key(const eid_user *user, eid_pubkey *out);

/* Encrypts all keys of the user under another password, all or nothing; the salt is new too. `old_password` NULL: the user
 * has none yet. `new_password` NULL: the keys will stand in clear. This session goes on; others of the same user can read and
 * write databases as before, but not add keys (EID_ERR_CONFLICT) until they log in anew.
 * The earlier forms of the keys stay in the history of the data file: whoever has a copy of it and the old password, or had a
 * look at it while there was none, has these keys. EID_ERR_INVALID_PASSWORD when the old one is wrong, slowed like a login. */
EID_API eid_status eid_user_change_password(eid_user *user, const char *old_password, const char *new_password);

/* ---- Keys ---- */

/* Makes another key, kept like the others. `display_name` (may be NULL) is for people: at most 256 bytes of UTF-8, need not
 * be unique. `out` may be NULL. EID_ERR_LIMIT, EID_ERR_UTF8; EID_ERR_CONFLICT, see above. */
EID_API eid_status eid_user_add_private_key(eid_user *user, const char *display_name, eid_pubkey *out);

typedef struct eid_user_key_info {
    eid_pubkey key;
    const char *display_name; /* NULL when it has none */
    int64_t created_at;       /* seconds since the Unix epoch */
    bool is_default;
} eid_user_key_info;
/* The oldest first. Free the list with eid_free; the names go with it. */
EID_API eid_status eid_user_list_keys(eid_user *user, eid_user_key_info **out, size_t *count);

/* ---- Databases ---- */

/* Makes a database with this name, signed by the default key, which becomes Admin(0), and tracks it (sync off). */
EID_API eid_status eid_user_create_database(eid_user *user, const char *name, eid_database **out);
/* The same with a settings document; it may not hold "auth" (EID_ERR_CORRUPTED_AUTH). */
EID_API eid_status eid_user_create_database_with(eid_user *user, const eid_doc *settings, eid_database **out);
/* Opens a database for writing with the key and identity remembered for it.
 * EID_ERR_NO_KEY_FOR_DATABASE; EID_ERR_DATABASE_ACCESS_PENDING when access was asked for and the data is not here yet. */
EID_API eid_status eid_user_open_database(eid_user *user, const eid_id *id, eid_database **out);
/* The first tracked database with this name, in order of its ID. EID_ERR_DATABASE_NOT_FOUND. */
EID_API eid_status eid_user_find_database(eid_user *user, const char *name, eid_database **out);

/* ---- Tracked databases and sync preferences ---- */

typedef struct eid_sync_settings {
    size_t struct_size;
    bool sync_enabled;         /* peers may have it, and it takes part in sync */
    bool sync_on_commit;       /* every commit is pushed at once */
    uint64_t interval_seconds; /* periodic sync; 0: the default */
} eid_sync_settings;

#define EID_SYNC_SETTINGS_DISABLED {sizeof(eid_sync_settings), false, false, 0}
#define EID_SYNC_SETTINGS_ENABLED {sizeof(eid_sync_settings), true, false, 0}
#define EID_SYNC_SETTINGS_ON_COMMIT {sizeof(eid_sync_settings), true, true, 0}

/* Tracks a database or changes its settings; a database not tracked before gets the strongest identity the default key
 * has in it. EID_ERR_NO_KEY_FOR_DATABASE when it has none. Effective at once. */
EID_API eid_status eid_user_track_database(eid_user *user, const eid_id *id, const eid_sync_settings *settings);
EID_API eid_status eid_user_untrack_database(eid_user *user, const eid_id *id); /* EID_ERR_DATABASE_NOT_TRACKED */

typedef struct eid_tracked_database {
    eid_id id;
    eid_pubkey key;
    eid_sync_settings settings;
} eid_tracked_database;
/* In order of the ID text; free with eid_free. */
EID_API eid_status eid_user_list_databases(eid_user *user, eid_tracked_database **out, size_t *count);
EID_API eid_status eid_user_tracked_database(eid_user *user, const eid_id *id, eid_tracked_database *out);

#ifdef __cplusplus
}
#endif
#endif
