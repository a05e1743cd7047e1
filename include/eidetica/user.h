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

/* Creates a user (the first one becomes admin of the instance). `password` NULL: passwordless; the key is then kept in clear
 * in the data file. EID_ERR_USER_EXISTS; EID_ERR_UNSUPPORTED for a password in this version. */
EID_API eid_status eid_instance_create_user(eid_instance *instance, const char *username, const char *password);
/* Opens a session; close with eid_user_logout. EID_ERR_USER_NOT_FOUND, EID_ERR_INVALID_PASSWORD,
 * EID_ERR_PASSWORD_REQUIRED, EID_ERR_USER_DISABLED. */
EID_API eid_status eid_instance_login_user(eid_instance *instance, const char *username, const char *password,
                                           eid_user **out);
EID_API eid_status eid_instance_login_or_create_user(eid_instance *instance, const char *username, const char *password,
                                                     eid_user **out);
EID_API void eid_user_logout(eid_user *user); /* wipes its keys; NULL is allowed */

EID_API const char *eid_user_name(const eid_user *user);
EID_API const char *eid_user_id(const eid_user *user); /* UUID text */
EID_API eid_instance *eid_user_instance(const eid_user *user);
EID_API void eid_user_get_default_key(const eid_user *user, eid_pubkey *out);

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
