/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON records of instances and users, as the Rust implementation writes them: the same fields in the
 * same order (spec users.md sections 4, 9 and 12; storage.md section 8).
 *
 * Readers skip unknown fields and refuse missing, doubled and wrongly typed ones; on failure the out
 * parameter holds nothing. Writers append; a failure stays in the buffer. Records with keys in clear are
 * wiped when they are freed.
 */
#ifndef EID_INSTANCE_RECORDS_H
#define EID_INSTANCE_RECORDS_H

#include <eidetica/user.h>

#include "base/buf.h"
#include "codec/json.h"
#include "crypto/kdf.h"
#include "entry/entry.h"

/* ---- Instance ---- */

typedef struct eid_instance_metadata {
    eid_pubkey device;
    eid_id users_db;
    eid_id databases_db;
    eid_id sync_db; /* empty: sync was never enabled */
} eid_instance_metadata;

eid_status eid_instance_metadata_read(eid_slice text, eid_instance_metadata *out);
void eid_instance_metadata_write(eid_buf *buf, const eid_instance_metadata *metadata);

/* ---- Keys at rest ---- */

/* A private key, in clear or encrypted under the user's password. */
typedef struct eid_key_storage {
    bool encrypted;
    char *key;           /* in clear: the text form */
    char *algorithm;     /* encrypted */
    uint8_t *ciphertext; /* encrypted, the tag included */
    size_t ciphertext_len;
    uint8_t *nonce; /* encrypted */
    size_t nonce_len;
} eid_key_storage;

void eid_key_storage_free(eid_key_storage *storage); /* the members; wipes them */
eid_status eid_key_storage_read(eid_json *reader, eid_key_storage *out);
void eid_key_storage_write(eid_buf *buf, const eid_key_storage *storage);
/* Encrypted under this key; in clear when it is NULL. */
eid_status eid_key_storage_make(const eid_keypair *key, const eid_aead_key *encryption, eid_key_storage *out);
/* The key, which must be the private half of `expected` (else EID_ERR_CORRUPT). An encrypted one needs the encryption key:
 * EID_ERR_PASSWORD_REQUIRED without, EID_ERR_DECRYPTION when it is another, EID_ERR_UNSUPPORTED for another cipher. */
eid_status eid_key_storage_open(const eid_key_storage *storage, const eid_aead_key *encryption,
                                const eid_pubkey *expected, eid_keypair **out);

/* ---- Secrets of the instance ---- */

#define EID_MASTER_PIECE (EID_AEAD_NONCE + EID_AEAD_KEY + EID_AEAD_TAG)

/* {"signing_key":KEY}, as the Rust implementation has it, where KEY is the text of the device's private key. Once the
 * instance was protected, the master key stands beside it: {…,"instance_key":{"salt":SALT,"bytes":[…]}}. Sealed: SALT is a
 * text, the bytes are encrypted under what it and the secret give, and KEY is a stored key encrypted under the master key.
 * Not sealed: SALT is null, the bytes are the key itself, KEY the text. */
typedef struct eid_instance_secrets {
    eid_key_storage device;
    bool has_master;
    bool sealed;
    char salt[EID_KDF_SALT_SIZE];
    uint8_t master[EID_MASTER_PIECE]; /* sealed: all of it; else the first EID_AEAD_KEY bytes */
} eid_instance_secrets;

void eid_instance_secrets_free(eid_instance_secrets *secrets); /* the members; wipes them */
eid_status eid_instance_secrets_read(eid_slice text, eid_instance_secrets *out);
void eid_instance_secrets_write(eid_buf *buf, const eid_instance_secrets *secrets);

/* ---- Users: rows of `users` in `_users` ---- */

typedef struct eid_user_record {
    char *username;
    eid_id private_database;
    eid_pubkey root_key_id;
    eid_key_storage root_key;
    char *password_salt; /* NULL: passwordless */
    int64_t created_at;  /* seconds since the Unix epoch */
    eid_user_status status;
} eid_user_record;

void eid_user_record_free(eid_user_record *record); /* the members */
eid_status eid_user_record_read(eid_slice text, eid_user_record *out);
void eid_user_record_write(eid_buf *buf, const eid_user_record *record);

/* ---- Keys of a user: rows of `keys` in the private database ---- */

typedef struct eid_key_mapping {
    eid_id database;
    bool has_identity; /* false: Direct with the key's public half */
    eid_sigkey identity;
} eid_key_mapping;

typedef struct eid_user_key {
    eid_pubkey key_id;
    eid_key_storage storage;
    char *display_name; /* NULL when none */
    int64_t created_at;
    bool has_last_used;
    int64_t last_used;
    bool is_default;
    eid_key_mapping *mappings; /* in the order read; new ones come last */
    size_t mapping_count;
} eid_user_key;

void eid_user_key_free(eid_user_key *key); /* the members */
eid_status eid_user_key_read(eid_slice text, eid_user_key *out);
void eid_user_key_write(eid_buf *buf, const eid_user_key *key);
eid_key_mapping *eid_user_key_mapping(const eid_user_key *key, const eid_id *database); /* NULL when absent */
/* Adds or replaces the mapping. `identity` NULL, or equal to the default one: stored as null. */
eid_status eid_user_key_map(eid_user_key *key, const eid_id *database, const eid_sigkey *identity);

/* ---- Tracked databases: rows of `databases` in the private database ---- */

/* added_at is kept elsewhere and 0 here. eid_database_preferences_clear it. */
eid_status eid_preferences_read(eid_slice text, eid_database_preferences *out);
void eid_preferences_write(eid_buf *buf, const eid_database_preferences *preferences);

/* The sync settings alone: {"sync_enabled":…}. eid_sync_settings_clear them. */
eid_status eid_sync_settings_read(eid_json *reader, eid_sync_settings *out);
void eid_sync_settings_write(eid_buf *buf, const eid_sync_settings *settings);
/* Adds another user's wish: or, or, the smallest interval, the union of properties with the other's in front. On failure
 * (memory) `into` holds a part of it. */
eid_status eid_sync_settings_combine(eid_sync_settings *into, const eid_sync_settings *other);

#endif
