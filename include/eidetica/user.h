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

/* ---- Accounts ---- */

/* Passwords are UTF-8 text of at most 65 536 bytes (EID_ERR_LIMIT), taken as they are, not normalized; "" is one. Callers wipe
 * their own copies (eid_wipe). A user's keys are kept encrypted under the password; without one they stand in the data file
 * in clear, or encrypted under the instance's secret (eid_instance_protect). Stretching a password takes tens of
 * milliseconds and 19 MiB of memory. */

/* Creates a user (the first one becomes admin of the instance). `password` NULL: passwordless. EID_ERR_USER_EXISTS. */
EID_API eid_status eid_instance_create_user(eid_instance *instance, const char *username, const char *password);
/* Opens a session; close with eid_user_logout.
 * With a password, every mistake is EID_ERR_INVALID_PASSWORD: that there is no such user, that the password is wrong or that
 * the user has none are told apart neither by the sentence nor by the time taken. Each wrong password of an instance makes the
 * next one take longer, up to 3.2 seconds, until none came for a minute; passwords are tried one at a time, so the call
 * may wait for others. Without a password, EID_ERR_PASSWORD_REQUIRED says in the same way that there is no such user or that it
 * has one. EID_ERR_USER_DISABLED, only to who could log in otherwise; EID_ERR_CONFLICT when two users have the name. */
EID_API eid_status eid_instance_login_user(eid_instance *instance, const char *username, const char *password,
                                           eid_user **out);
/* Creates the user first when there is none of this name; an existing one is logged in as above. */
EID_API eid_status eid_instance_login_or_create_user(eid_instance *instance, const char *username, const char *password,
                                                     eid_user **out);
EID_API void eid_user_logout(eid_user *user); /* wipes its keys; NULL is allowed */

EID_API const char *eid_user_name(const eid_user *user);
EID_API const char *eid_user_id(const eid_user *user); /* UUID text */
EID_API eid_instance *eid_user_instance(const eid_user *user);
/* Whether the default key is an active admin of the instance's system databases. */
EID_API bool eid_user_is_admin(eid_user *user);

typedef enum eid_user_status {
    EID_USER_ACTIVE,
    EID_USER_DISABLED, /* can not log in; its wishes for sync do not count */
    EID_USER_LOCKED    /* the same, written by other implementations */
} eid_user_status;

typedef struct eid_user_info {
    char user_id[37]; /* UUID text */
    const char *username;
    eid_user_status status;
    bool has_password;
    bool is_admin;      /* of the instance: its root key is listed as an active admin */
    int64_t created_at; /* seconds since the Unix epoch */
} eid_user_info;
/* All users, in order of their IDs. Free the list with eid_free; the names go with it. */
EID_API eid_status eid_instance_list_users(eid_instance *instance, eid_user_info **out, size_t *count);

/* These act with the power of whoever holds the instance: a program that serves several people asks eid_user_is_admin first.
 * All: EID_ERR_USER_NOT_FOUND; EID_ERR_CONFLICT when two users have the name.
 * A session that is open goes on: it can read and write databases until it is logged out. */
EID_API eid_status eid_instance_disable_user(eid_instance *instance, const char *username); /* nothing when it is already */
EID_API eid_status eid_instance_enable_user(eid_instance *instance, const char *username);
/* Lists the user's root key as admin of the system databases, or revokes it there. */
EID_API eid_status eid_instance_set_user_admin(eid_instance *instance, const char *username, bool admin);
/* Takes the user out of the directory, its rights out of the system databases and its wishes out of sync; the name is free
 * again, for a user with other keys. What it made stays: its databases, which others may go on using, and what they say about
 * its keys: take their rights away there first, with eid_settings_set_auth_key. Its private database and the forms of its
 * record, keys included, stay in the history of the data file as they were (encrypted, or in clear without a password). */
EID_API eid_status eid_instance_remove_user(eid_instance *instance, const char *username);

/* Encrypts all keys of the user under another password, all or nothing; the salt is new too. `old_password` NULL: the user
 * has none yet. `new_password` NULL: the keys will stand in clear. This session goes on; others of the same user can read and
 * write databases as before, but not add keys (EID_ERR_CONFLICT) until they log in anew.
 * The earlier forms of the keys stay in the history of the data file: whoever has a copy of it and the old password, or had a
 * look at it while there was none, has these keys. EID_ERR_INVALID_PASSWORD when the old one is wrong, slowed like a login. */
EID_API eid_status eid_user_change_password(eid_user *user, const char *old_password, const char *new_password);

/* ---- Keys ---- */

/* Makes another key, kept like the others. `display_name` (may be NULL) is for people: at most 256 bytes of UTF-8 without
 * control characters, need not be unique. `out` may be NULL. EID_ERR_LIMIT, EID_ERR_UTF8, EID_ERR_INVALID_ARGUMENT;
 * EID_ERR_CONFLICT, see above. */
EID_API eid_status eid_user_add_private_key(eid_user *user, const char *display_name, eid_pubkey *out);
/* Takes over a copy of a key made elsewhere (eid_keypair_parse). EID_ERR_ALREADY_EXISTS when the user has it. */
EID_API eid_status eid_user_import_private_key(eid_user *user, const eid_keypair *key, const char *display_name);
/* A copy of one of the user's private keys, for use elsewhere (eid_keypair_format); eid_keypair_free.
 * EID_ERR_PRIVATE_KEY_NOT_FOUND. */
EID_API eid_status eid_user_export_private_key(eid_user *user, const eid_pubkey *key, eid_keypair **out);

typedef struct eid_user_key_info {
    eid_pubkey key;
    const char *display_name; /* NULL when it has none */
    int64_t created_at;       /* seconds since the Unix epoch */
    bool is_default;
} eid_user_key_info;
/* The oldest first. Free the list with eid_free; the names go with it. */
EID_API eid_status eid_user_list_keys(eid_user *user, eid_user_key_info **out, size_t *count);
EID_API eid_status eid_user_set_key_name(eid_user *user, const eid_pubkey *key, const char *display_name); /* NULL: none */

/* The key that new databases are signed with: the root key until another one is chosen. Other sessions of the user follow at
 * their next login. */
EID_API void eid_user_get_default_key(const eid_user *user, eid_pubkey *out);
EID_API eid_status eid_user_set_default_key(eid_user *user, const eid_pubkey *key); /* EID_ERR_PRIVATE_KEY_NOT_FOUND */

/* ---- Databases ---- */

/* Makes a database with this name, signed by the default key, which becomes Admin(0), and tracks it (sync off). */
EID_API eid_status eid_user_create_database(eid_user *user, const char *name, eid_database **out);
/* The same with a settings document, which may not hold "auth" (EID_ERR_CORRUPTED_AUTH), and one of the user's keys (NULL: the
 * default key; EID_ERR_PRIVATE_KEY_NOT_FOUND). */
EID_API eid_status eid_user_create_database_with(eid_user *user, const eid_doc *settings, const eid_pubkey *key,
                                                 eid_database **out);
/* Opens a database for writing with the key and identity remembered for it.
 * EID_ERR_NO_KEY_FOR_DATABASE; EID_ERR_DATABASE_ACCESS_PENDING when access was asked for and the data is not here yet;
 * EID_ERR_BOOTSTRAP_REJECTED, with the sentence of the peer that said so, when it was refused. */
EID_API eid_status eid_user_open_database(eid_user *user, const eid_id *id, eid_database **out);

typedef enum eid_access_state {
    EID_ACCESS_NONE,     /* no key of the user is known to open it */
    EID_ACCESS_PENDING,  /* asked for; not here yet */
    EID_ACCESS_REJECTED, /* asked for and refused; asking again makes it pending */
    EID_ACCESS_GRANTED   /* here, and the user has a key for it */
} eid_access_state;
/* How the user stands with a database; survives restarts. */
EID_API eid_status eid_user_database_access(eid_user *user, const eid_id *id, eid_access_state *out);

/* The first tracked database with this name, in order of its ID. EID_ERR_DATABASE_NOT_FOUND. */
EID_API eid_status eid_user_find_database(eid_user *user, const char *name, eid_database **out);

/* ---- Sync settings ---- */

typedef struct eid_property {
    char *name;
    char *value;
} eid_property;

/* What one user wishes for one database. Start with one of the constants or eid_sync_settings_init; whoever set a property or
 * got the settings from the library ends with eid_sync_settings_clear. */
typedef struct eid_sync_settings {
    size_t struct_size;
    bool sync_enabled;         /* peers may have it, and it takes part in sync */
    bool sync_on_commit;       /* every commit is pushed at once */
    uint64_t interval_seconds; /* periodic sync; 0: the default */
    eid_property *properties;  /* free texts, in order of their names; changed only by the functions below */
    size_t property_count;
} eid_sync_settings;

#define EID_SYNC_SETTINGS_DISABLED {sizeof(eid_sync_settings), false, false, 0, NULL, 0}
#define EID_SYNC_SETTINGS_ENABLED {sizeof(eid_sync_settings), true, false, 0, NULL, 0}
#define EID_SYNC_SETTINGS_ON_COMMIT {sizeof(eid_sync_settings), true, true, 0, NULL, 0}

EID_API void eid_sync_settings_init(eid_sync_settings *settings); /* as EID_SYNC_SETTINGS_DISABLED */
EID_API void eid_sync_settings_clear(eid_sync_settings *settings); /* frees the properties and inits */
EID_API eid_status eid_sync_settings_copy(const eid_sync_settings *settings, eid_sync_settings *out);
/* Sets one property; `value` NULL takes it away. EID_ERR_UTF8; EID_ERR_LIMIT beyond 64 properties or 1024 bytes in one text. */
EID_API eid_status eid_sync_settings_set_property(eid_sync_settings *settings, const char *name, const char *value);
/* Lent until the settings change; NULL when it has no such property. */
EID_API const char *eid_sync_settings_get_property(const eid_sync_settings *settings, const char *name);
EID_API bool eid_sync_settings_equal(const eid_sync_settings *a, const eid_sync_settings *b);

/* ---- Tracked databases and their preferences ---- */

/* A database the user works with: with which key, and what is wished for its sync. Each user of an instance has a list of
 * their own. */
typedef struct eid_database_preferences {
    size_t struct_size;
    eid_id database_id;
    eid_pubkey key_id; /* all zero: leave the choice to the library */
    eid_sync_settings sync_settings;
    int64_t added_at;  /* seconds since the Unix epoch; 0 when that is not known. Told, not taken. */
} eid_database_preferences;

#define EID_DATABASE_PREFERENCES_INIT                                                                        \
    {sizeof(eid_database_preferences), {0, {0}}, {{0}}, EID_SYNC_SETTINGS_DISABLED, 0}

EID_API void eid_database_preferences_init(eid_database_preferences *preferences);
EID_API void eid_database_preferences_clear(eid_database_preferences *preferences); /* what is in it */

/* Tracks a database, or changes what is wished for one that is tracked; both names are the same call. A change is effective
 * at once, for sync too. The library looks for the best identity the key has in the database: listed itself, by the global
 * permission, or by delegation. Without a key given, that of the tracked database stays; for a new one the strongest of the
 * user's keys is taken, the default key before others as strong.
 * EID_ERR_NO_KEY_FOR_DATABASE when there is none with a right in it, EID_ERR_PRIVATE_KEY_NOT_FOUND when the given key is not
 * the user's, EID_ERR_DATABASE_NOT_FOUND when the database is not here. */
EID_API eid_status eid_user_add_database(eid_user *user, const eid_database_preferences *preferences);
EID_API eid_status eid_user_set_prefs(eid_user *user, const eid_database_preferences *preferences);

/* All tracked databases, those added first come first. Free with eid_database_preferences_free. */
EID_API eid_status eid_user_list_database_prefs(eid_user *user, eid_database_preferences **out, size_t *count);
EID_API void eid_database_preferences_free(eid_database_preferences *list, size_t count);
/* One of them; eid_database_preferences_clear it. EID_ERR_DATABASE_NOT_TRACKED, as the rest. */
EID_API eid_status eid_user_database_prefs(eid_user *user, const eid_id *id, eid_database_preferences *out);
/* Stops tracking; the data stays, and the database can still be opened with the key it was tracked with. */
EID_API eid_status eid_user_remove_database(eid_user *user, const eid_id *id);

/* Changes nothing but sync_enabled. */
EID_API eid_status eid_user_enable_sync(eid_user *user, const eid_id *id);
EID_API eid_status eid_user_disable_sync(eid_user *user, const eid_id *id);
EID_API bool eid_user_is_sync_enabled(eid_user *user, const eid_id *id); /* false also when it is not tracked */

#ifdef __cplusplus
}
#endif
#endif
