/* SPDX-License-Identifier: Apache-2.0 */
/* Instances: one data file, one device key, its users and databases. */
#ifndef EIDETICA_INSTANCE_H
#define EIDETICA_INSTANCE_H

#include <stdint.h>

#include <eidetica/database.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum eid_durability {
    EID_DURABILITY_NORMAL = 0, /* a power cut may cost the last commits, never consistency; a killed process costs none */
    EID_DURABILITY_FULL = 1    /* every commit is on the disk when it returns */
} eid_durability;

typedef struct eid_instance_options {
    size_t struct_size;
    eid_durability durability;
    bool must_exist;                       /* do not create: EID_ERR_NOT_INITIALIZED when nothing is there */
    uint64_t (*now_ms)(void *ctx);         /* clock, milliseconds since the Unix epoch; NULL: the system's */
    void *clock_ctx;
    const eid_keypair *device_key;         /* used when a new instance is created; NULL: a fresh one. Copied. */
    /* What protects the instance's keys (eid_instance_protect): the path of a key file, or a secret. At most one of the two.
     * A new instance is protected by it from the start; an existing one has to be protected by the same. */
    const char *key_file;
    const void *secret;
    size_t secret_len;
} eid_instance_options;

#define EID_INSTANCE_OPTIONS_INIT                                                                            \
    {sizeof(eid_instance_options), EID_DURABILITY_NORMAL, false, NULL, NULL, NULL, NULL, NULL, 0}

/* Opens the instance at the URL, creating it (device key, system databases) when there is none yet.
 *   "sqlite:notes.db"  a data file, mode 0600; one process at a time (EID_ERR_BUSY names the file otherwise)
 *   "memory:"          volatile
 * A path without scheme is refused: EID_ERR_INVALID_URL. Others: EID_ERR_READ_ONLY, EID_ERR_SCHEMA_VERSION,
 * EID_ERR_CORRUPT; EID_ERR_SECRET_REQUIRED, EID_ERR_WRONG_SECRET, and EID_ERR_CONFLICT when a secret is given for an instance
 * that is not protected. Close with eid_instance_close. */
EID_API eid_status eid_instance_open_url(const char *url, eid_instance **out);
EID_API eid_status eid_instance_open_url_with(const char *url, const eid_instance_options *options, eid_instance **out);

/* Stops what runs in the background and closes the file. All handles of the instance must be closed before. */
EID_API void eid_instance_close(eid_instance *instance);

EID_API void eid_instance_device_pubkey(const eid_instance *instance, eid_pubkey *out);

/* IDs of every database held, system databases included; free with eid_free. */
EID_API eid_status eid_instance_list_databases(eid_instance *instance, eid_id **out, size_t *count);

/* Waits until everything committed so far is on the disk. */
EID_API eid_status eid_instance_flush(eid_instance *instance);

/* ---- Protecting the keys that no password protects ---- */

/* From now on the device key, the named keys and those of users without a password are kept encrypted, and the instance can
 * only be opened with this key file or secret (exactly one of the two is not NULL). Calling it again changes it. Device key and
 * named keys are overwritten in the file at once; what users without a password had before stays in the history of the data
 * file in clear. The secret can be a text that a person remembers: it is stretched like a password, at each opening.
 * EID_ERR_NOT_FOUND, EID_ERR_INVALID_ARGUMENT for a key file that is missing, empty, or usable by others than its owner. */
EID_API eid_status eid_instance_protect(eid_instance *instance, const char *key_file, const void *secret, size_t secret_len);
/* The instance opens without anything again; its keys stand in clear. Nothing when it is not protected. */
EID_API eid_status eid_instance_unprotect(eid_instance *instance);
EID_API bool eid_instance_is_protected(eid_instance *instance);
/* Makes a file of mode 0600 with a random secret in it. EID_ERR_ALREADY_EXISTS. Keep a copy elsewhere than the data file. */
EID_API eid_status eid_key_file_create(const char *path);

/* ---- Keys of the instance, by name ---- */

/* For programs that work without users. Names are 1 to 256 bytes of UTF-8; an instance has at most 1024 of them. The keys stand
 * beside the databases, not in them: what is removed is gone. EID_ERR_ALREADY_EXISTS, EID_ERR_LIMIT, EID_ERR_UTF8. */
EID_API eid_status eid_instance_add_private_key(eid_instance *instance, const char *name, eid_pubkey *out); /* `out` may be NULL */
EID_API eid_status eid_instance_import_private_key(eid_instance *instance, const char *name, const eid_keypair *key); /* copied */
/* EID_ERR_PRIVATE_KEY_NOT_FOUND, as everywhere below where no key has the name. */
EID_API eid_status eid_instance_remove_private_key(eid_instance *instance, const char *name);
EID_API eid_status eid_instance_get_public_key(eid_instance *instance, const char *name, eid_pubkey *out);
EID_API eid_status eid_instance_get_formatted_public_key(eid_instance *instance, const char *name,
                                                         char out[EID_PUBKEY_TEXT_SIZE]);

typedef struct eid_named_key_info {
    const char *name;
    eid_pubkey key;
    int64_t created_at; /* seconds since the Unix epoch */
} eid_named_key_info;
/* In order of the names. Free the list with eid_free; the names go with it. */
EID_API eid_status eid_instance_list_private_keys(eid_instance *instance, eid_named_key_info **out, size_t *count);

/* Makes a database signed by the named key; the handle signs with it. The key becomes Admin(0), unless the settings list it as an
 * active admin. `settings` may bring an "auth" part in the form of earlier versions, keys by name; it is converted,
 * EID_ERR_CORRUPTED_AUTH when it can not be. While sync is on the database takes part in it, on every commit; should that not be
 * written, the database is made all the same, the log says so, and eid_sync_set_database_enabled tries again. */
EID_API eid_status eid_instance_new_database(eid_instance *instance, const eid_doc *settings, const char *key_name,
                                             eid_database **out);
/* Transactions started from now on with this handle sign with the named key, under the strongest identity it has in the
 * database. EID_ERR_PERMISSION_DENIED when it has none. */
EID_API eid_status eid_database_set_default_auth_key(eid_database *database, const char *key_name);
/* One transaction that does, whatever the handle signs with. */
EID_API eid_status eid_database_new_authenticated_operation(eid_database *database, const char *key_name, eid_txn **out);
/* Another name of eid_database_new_transaction. */
EID_API eid_status eid_database_new_operation(eid_database *database, eid_txn **out);

#ifdef __cplusplus
}
#endif
#endif
