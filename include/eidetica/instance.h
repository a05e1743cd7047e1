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
} eid_instance_options;

#define EID_INSTANCE_OPTIONS_INIT {sizeof(eid_instance_options), EID_DURABILITY_NORMAL, false, NULL, NULL, NULL}

/* Opens the instance at the URL, creating it (device key, system databases) when there is none yet.
 *   "sqlite:notes.db"  a data file, mode 0600; one process at a time (EID_ERR_BUSY names the file otherwise)
 *   "memory:"          volatile
 * A path without scheme is refused: EID_ERR_INVALID_URL. Others: EID_ERR_READ_ONLY, EID_ERR_SCHEMA_VERSION,
 * EID_ERR_CORRUPT. Close with eid_instance_close. */
EID_API eid_status eid_instance_open_url(const char *url, eid_instance **out);
EID_API eid_status eid_instance_open_url_with(const char *url, const eid_instance_options *options, eid_instance **out);

/* Stops what runs in the background and closes the file. All handles of the instance must be closed before. */
EID_API void eid_instance_close(eid_instance *instance);

EID_API void eid_instance_device_pubkey(const eid_instance *instance, eid_pubkey *out);

/* IDs of every database held, system databases included; free with eid_free. */
EID_API eid_status eid_instance_list_databases(eid_instance *instance, eid_id **out, size_t *count);

/* Waits until everything committed so far is on the disk. */
EID_API eid_status eid_instance_flush(eid_instance *instance);

#ifdef __cplusplus
}
#endif
#endif
