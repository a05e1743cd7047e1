/* SPDX-License-Identifier: Apache-2.0 */
/* The insides of instances and users. */
#ifndef EID_INSTANCE_INSTANCE_INT_H
#define EID_INSTANCE_INSTANCE_INT_H

#include <pthread.h>

#include "base/map.h"
#include "base/random.h"
#include "crypto/kdf.h"
#include "crypto/key.h"
#include "instance/instance.h"
#include "instance/records.h"

/* Names of databases and stores, users.md sections 3 and 8. */
#define EID_DB_USERS         "_users"
#define EID_DB_DATABASES     "_databases"
#define EID_STORE_USERS      "users"
#define EID_STORE_LAST_LOGIN "last_login"
#define EID_STORE_KEYS       "keys"
#define EID_STORE_DATABASES  "databases"

/* What the directory of users knows about a name, so that nobody has to search the table. */
typedef struct eid_directory_entry {
    char uuid[EID_UUID_TEXT_SIZE];
    size_t count; /* users of this name; more than one can only come from elsewhere */
} eid_directory_entry;

struct eid_instance {
    eid_core *core;
    eid_keypair *device;
    eid_database *users; /* handles that sign with the device key */
    eid_database *databases;

    /* Held while users or private databases are changed, commits included: one change at a time, so that no
     * row is written from an outdated reading. Hooks run under it and may not change users. */
    pthread_mutex_t change_mutex;

    /* Held while a password is tried, the delay after a wrong one included: one attempt at a time, and one Argon2id
     * worth of memory. Taken before change_mutex, guards what follows. */
    pthread_mutex_t login_mutex;
    unsigned wrong_passwords;
    uint64_t last_wrong_ns;

    /* Guards what follows; never held during a commit. */
    pthread_mutex_t mutex;
    eid_instance_metadata metadata;
    eid_map *by_name;           /* user name -> eid_directory_entry */
    eid_map *private_databases; /* binary root ID -> NULL: a set */
    eid_sync *sync;
    void (*close_sync)(eid_sync *sync);
    eid_preferences_hook hook;
    void *hook_ctx;
};

typedef struct eid_session_key {
    eid_pubkey pubkey;
    eid_keypair *pair;
    char *display_name; /* NULL when none */
    int64_t created_at;
    bool is_default;
} eid_session_key; /* never changes once it is in a session, and lives as long */

struct eid_user {
    eid_instance *instance;
    char uuid[EID_UUID_TEXT_SIZE];
    char *name;
    eid_database *private_database; /* signs with the root key */
    const eid_session_key *default_key;

    /* Guards what follows; changed under change_mutex too. */
    pthread_mutex_t mutex;
    eid_aead_key *encryption; /* of the keys at rest; NULL: no password */
    eid_session_key **keys;   /* by created_at */
    size_t key_count;
};

/* ---- directory.c ---- */

eid_status eid_directory_load(eid_instance *instance);
void eid_directory_free(eid_instance *instance);
eid_status eid_directory_add(eid_instance *instance, const char *name, const char *uuid,
                             const eid_id *private_database);
/* Takes out what eid_directory_add put in, when the user did not come about after all. */
void eid_directory_remove(eid_instance *instance, const char *name, const eid_id *private_database);
/* False when no user has the name. */
bool eid_directory_find(eid_instance *instance, const char *name, eid_directory_entry *out);

/* ---- password.c: credentials ---- */

/* The key that encrypts a user's keys, and the salt it came from. Without a password: NULL and "". */
typedef struct eid_credentials {
    char salt[EID_KDF_SALT_SIZE];
    eid_aead_key *encryption;
} eid_credentials;
/* With a fresh salt. eid_aead_key_free the key. */
eid_status eid_credentials_new(const char *password, eid_credentials *out);

/* What a password opens. */
typedef struct eid_opened {
    char uuid[EID_UUID_TEXT_SIZE];
    eid_user_record record;
    eid_aead_key *encryption; /* NULL: no password */
    eid_keypair *root;
} eid_opened;
void eid_opened_free(eid_opened *opened); /* the members */
/* Finds the user and opens the root key. With a password, an unknown name and a wrong password give the same error after
 * the same time; wrong ones are slowed. EID_ERR_USER_NOT_FOUND only without a password. */
eid_status eid_credentials_open(eid_instance *instance, const char *name, const char *password, eid_opened *out);
/* Milliseconds the answer to the wrong password after so many others takes. */
uint64_t eid_login_delay_ms(unsigned wrong_before);

/* The record of a user. EID_ERR_USER_NOT_FOUND. */
eid_status eid_user_record_load(eid_instance *instance, const char *uuid, eid_user_record *out);
/* change_mutex held: fails with EID_ERR_CONFLICT when the session's encryption key is no longer the user's, because
 * another session changed the password. */
eid_status eid_session_check_encryption(eid_user *user);

/* ---- user_keys.c: keys and mappings; change_mutex is held by the callers that change ---- */

/* Reads the rows of `keys` and adds the root key when no row has it. `root` is taken on success. */
eid_status eid_session_load_keys(eid_user *user, eid_keypair *root, int64_t created_at);
void eid_session_free_keys(eid_user *user);
/* NULL when not held; the other one, the i-th by age, NULL behind the last. */
const eid_session_key *eid_session_find_key(eid_user *user, const eid_pubkey *pubkey);
const eid_session_key *eid_session_key_at(eid_user *user, size_t index);
/* Stages the row of the key, new when it has none yet, with this mapping added. `database` NULL: just the
 * row. `identity` NULL: the default one. `keep`: a mapping that is there already stays as it is. */
eid_status eid_session_stage_key(eid_user *user, eid_txn *txn, const eid_session_key *key, const eid_id *database,
                                 const eid_sigkey *identity, bool keep);
/* Stages every row of `keys` with its key encrypted anew. */
eid_status eid_session_stage_encryption(eid_user *user, eid_txn *txn, const eid_aead_key *before,
                                        const eid_aead_key *after);
/* The key and identity to open the database with: the tracked row's key before older ones. eid_sigkey_free
 * the identity when *has_identity. EID_ERR_NO_KEY_FOR_DATABASE. */
eid_status eid_session_choose_key(eid_user *user, const eid_id *database, const eid_session_key **key,
                                  bool *has_identity, eid_sigkey *identity);

/* ---- tracked.c ---- */

/* The tracked row; EID_ERR_DATABASE_NOT_TRACKED. eid_tracked_row_free it. */
eid_status eid_tracked_find(eid_user *user, const eid_id *id, eid_tracked_row *out);
eid_status eid_tracked_stage(eid_txn *txn, const eid_tracked_row *row);
void eid_user_preferences_changed(eid_user *user);

/* Reserved in a buffer for a record that holds a secret, before it is written (eid_buf_free_secret). */
#define EID_SECRET_ROOM 8192

#endif
