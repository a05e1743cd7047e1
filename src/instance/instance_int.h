/* SPDX-License-Identifier: Apache-2.0 */
/* The insides of instances and users. */
#ifndef EID_INSTANCE_INSTANCE_INT_H
#define EID_INSTANCE_INSTANCE_INT_H

#include <pthread.h>

#include "base/limits.h"
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
/* Of this library: when a database was tracked, milliseconds; and whose private databases must stay private although the
 * user is gone. */
#define EID_STORE_TRACKED_SINCE "tracked_since"
#define EID_STORE_REMOVED_USERS "removed_users"

/* What the directory of users knows about a name, so that nobody has to search the table. */
typedef struct eid_directory_entry {
    char uuid[EID_UUID_TEXT_SIZE];
    size_t count; /* users of this name; more than one can only come from elsewhere */
} eid_directory_entry;

/* How keys that no password protects are kept, see secrets.c. */
typedef struct eid_protection {
    uint8_t *master;              /* guarded, EID_AEAD_KEY bytes; NULL: the instance never was protected */
    eid_aead_key *encryption;     /* the same, ready for use; lives as long as the instance once it is made */
    bool sealed;                  /* the master key is kept encrypted, and what is stored now is encrypted under it */
    char salt[EID_KDF_SALT_SIZE]; /* sealed: of the secret, … */
    uint8_t piece[EID_MASTER_PIECE]; /* … and the master key under it */
} eid_protection;

typedef struct eid_named_key {
    char *name;
    eid_keypair *pair;
    int64_t created_at; /* seconds since the Unix epoch */
} eid_named_key;

struct eid_instance {
    eid_core *core;
    eid_keypair *device;
    eid_database *users; /* handles that sign with the device key */
    eid_database *databases;

    /* Held while users or private databases are changed, commits included: one change at a time, so that no
     * row is written from an outdated reading. Hooks run under it and may not change users. */
    pthread_mutex_t change_mutex;
    uint64_t last_added_ms; /* when a database was last tracked: each gets a time of its own */

    /* Held while a password is tried, the delay after a wrong one included: one attempt at a time, and one Argon2id
     * worth of memory. Taken before change_mutex, guards what follows. */
    pthread_mutex_t login_mutex;
    unsigned wrong_passwords;
    uint64_t last_wrong_ns;

    /* Guards the list of those who are logged in, and keeps their keys; taken before any other lock here. */
    pthread_mutex_t sessions_mutex;
    eid_user *sessions;

    /* Guards what follows; never held during a commit. */
    pthread_mutex_t mutex;
    eid_instance_metadata metadata;
    eid_map *by_name;           /* user name -> eid_directory_entry */
    eid_map *private_databases; /* binary root ID -> NULL: a set */
    eid_sync *sync;
    void (*close_sync)(eid_sync *sync);
    eid_instance_hooks hooks;
    eid_protection protection;
    eid_named_key *named_keys; /* in order of their names */
    size_t named_key_count;
};

typedef struct eid_session_key {
    eid_pubkey pubkey;
    eid_keypair *pair;
    int64_t created_at;
    bool is_default;    /* as it was read */
    char *display_name; /* NULL when none; guarded by the session's mutex, the rest never changes */
} eid_session_key; /* lives as long as its session */

/* A key that may open a database, and under which identity. */
typedef struct eid_mapped {
    const eid_session_key *key;
    bool has_identity; /* false: Direct with the key's public half */
    eid_sigkey identity;
    struct eid_mapped *next; /* of the same database, a younger key */
} eid_mapped;

struct eid_user {
    eid_instance *instance;
    eid_user *next, *previous; /* of those who are logged in */
    char uuid[EID_UUID_TEXT_SIZE];
    char *name;
    eid_database *private_database; /* signs with the root key */
    /* Changed under change_mutex only: databases created since mappings were last written; SIZE_MAX: not counted yet. */
    size_t unwritten;

    /* Guards what follows; changed under change_mutex too. */
    pthread_mutex_t mutex;
    eid_aead_key *encryption; /* of the keys at rest; NULL: no password */
    eid_session_key **keys;   /* by created_at */
    size_t key_count;
    const eid_session_key *default_key;
    eid_map *mappings;        /* binary database ID -> eid_mapped list: the rows of `keys`, read once, … */
    int64_t mappings_mark;    /* … as of this entry; -1: not read */
};

/* ---- directory.c ---- */

eid_status eid_directory_load(eid_instance *instance);
void eid_directory_free(eid_instance *instance);
eid_status eid_directory_add(eid_instance *instance, const char *name, const char *uuid,
                             const eid_id *private_database);
/* Takes out what eid_directory_add put in. `private_database` NULL: it was a user, whose private database stays private. */
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
eid_status eid_user_record_stage(eid_txn *txn, const char *uuid, const eid_user_record *record);
/* The user of the name. EID_ERR_USER_NOT_FOUND; EID_ERR_CONFLICT when two have it. */
eid_status eid_user_find(eid_instance *instance, const char *name, char uuid[EID_UUID_TEXT_SIZE]);
/* Under what the session's keys are stored now (NULL: in clear), and what opens stored ones. */
const eid_aead_key *eid_session_wrapping(eid_user *user);
const eid_aead_key *eid_session_unwrapping(eid_user *user);
/* change_mutex held: fails with EID_ERR_CONFLICT when the session's encryption key is no longer the user's, because
 * another session changed the password. */
eid_status eid_session_check_encryption(eid_user *user);

/* ---- secrets.c: the device key, named keys, and what protects them ---- */

/* Reads the device key and the named keys; `options` bring the secret. EID_ERR_SECRET_REQUIRED, EID_ERR_WRONG_SECRET. */
eid_status eid_secrets_load(eid_instance *instance, const eid_instance_options *options);
/* Of a new instance: first the protection, when the options bring a secret; later, when the device key is there, storing. */
eid_status eid_secrets_prepare(eid_instance *instance, const eid_instance_options *options);
eid_status eid_secrets_store(eid_instance *instance); /* change_mutex is held, or nobody else knows the instance */
void eid_secrets_free(eid_instance *instance);
/* Under what keys without a password are stored now (NULL: in clear), and what opens stored ones (NULL: nothing needs it). */
const eid_aead_key *eid_secrets_wrapping(eid_instance *instance);
const eid_aead_key *eid_secrets_unwrapping(eid_instance *instance);

/* Most bytes of a record in the storage's metadata: far above any real one; a larger one is not ours. */
#define EID_META_MAX (1u << 22)

/* ---- named_keys.c ---- */

eid_status eid_named_keys_read(eid_instance *instance, eid_slice text); /* once, into an instance being opened */
eid_status eid_named_keys_write(eid_buf *buf, const eid_named_key *keys, size_t count, const eid_aead_key *encryption);
void eid_named_keys_free(eid_instance *instance);

/* ---- user_keys.c: keys; change_mutex is held by the callers that change ---- */

/* Reads the rows of `keys` and adds the root key when no row has it. `root` is taken on success. */
eid_status eid_session_load_keys(eid_user *user, eid_keypair *root, int64_t created_at);
void eid_session_free_keys(eid_user *user);
/* NULL when not held; the other one, the i-th by age, NULL behind the last; the default one. */
const eid_session_key *eid_session_find_key(eid_user *user, const eid_pubkey *pubkey);
const eid_session_key *eid_session_key_at(eid_user *user, size_t index);
const eid_session_key *eid_session_default_key(const eid_user *user);
eid_status eid_session_no_key(const eid_pubkey *pubkey); /* fails with EID_ERR_PRIVATE_KEY_NOT_FOUND */

/* The row of the key, as the transaction sees it; one made of what the session knows when there is none yet (row_key ""). */
typedef struct eid_key_row {
    char row_key[EID_ROW_KEY_SIZE];
    eid_user_key record;
} eid_key_row;
eid_status eid_key_row_get(eid_user *user, eid_txn *txn, const eid_session_key *key, eid_key_row *out);
void eid_key_row_free(eid_key_row *row);
eid_status eid_key_row_stage(eid_txn *txn, const eid_key_row *row);
/* Stages every row of `keys` with its key encrypted anew. */
eid_status eid_session_stage_encryption(eid_user *user, eid_txn *txn, const eid_aead_key *before,
                                        const eid_aead_key *after);

/* ---- mappings.c: which key opens which database; change_mutex is held for staging ---- */

/* Stages that the key opens the database under this identity (NULL: the default one). `tracked`: a tracked row of the same
 * transaction says so too; then the mapping may be left for later. `keep`: one that is there stays as it is. */
eid_status eid_mapping_stage(eid_user *user, eid_txn *txn, const eid_session_key *key, const eid_id *database,
                             const eid_sigkey *identity, bool tracked, bool keep);
/* Stages what was left for later, as far as there is room. */
eid_status eid_mappings_stage_rest(eid_user *user, eid_txn *txn);
/* To be called when a transaction with mappings was committed, with its success or failure. */
void eid_mappings_settle(eid_user *user, eid_status status);
/* The key and identity to open the database with: the tracked row's key before older ones. eid_sigkey_free
 * the identity when *has_identity. EID_ERR_NO_KEY_FOR_DATABASE. */
eid_status eid_session_choose_key(eid_user *user, const eid_id *database, const eid_session_key **key,
                                  bool *has_identity, eid_sigkey *identity);
void eid_mappings_free(eid_user *user);

/* ---- tracked.c, preferences.c ---- */

/* The tracked row; EID_ERR_DATABASE_NOT_TRACKED. eid_database_preferences_clear it. */
eid_status eid_preferences_find(eid_user *user, const eid_id *id, eid_database_preferences *out);
/* `is_new`: also the time, which is now. */
eid_status eid_preferences_stage(eid_user *user, eid_txn *txn, const eid_database_preferences *preferences, bool is_new);
/* Tells the hook. */
void eid_preferences_announce(eid_instance *instance, const char *uuid, const eid_id *private_database, const eid_id *database);

/* Reserved in a buffer for a record that holds a secret, before it is written (eid_buf_free_secret). */
#define EID_SECRET_ROOM 8192

/* access.c: fails with what came of asking for a database that is not here: EID_ERR_BOOTSTRAP_REJECTED,
 * EID_ERR_DATABASE_ACCESS_PENDING. */
eid_status eid_user_fail_absent(eid_user *user, const eid_id *id);

#endif
