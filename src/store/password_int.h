/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of a password store: the record it has in the registry (spec stores.md section 6). */
#ifndef EID_STORE_PASSWORD_INT_H
#define EID_STORE_PASSWORD_INT_H

#include <eidetica/password_store.h>

#include "crdt/doc.h"
#include "crypto/kdf.h"

#define EID_TYPE_PASSWORD "encrypted:password:v0"

typedef struct eid_password_config {
    char salt[EID_KDF_SALT_SIZE];
    eid_kdf_costs costs;
    uint8_t nonce[EID_AEAD_NONCE];
    uint8_t *wrapped;        /* the encrypted inner configuration with its tag */
    size_t wrapped_len;
} eid_password_config;

/* Reads the record; NULL is a store that nobody registered. EID_ERR_CONFLICT: not initialized; EID_ERR_TYPE_MISMATCH: no
 * password store; EID_ERR_CORRUPT, EID_ERR_UNSUPPORTED. Free with eid_password_config_free. */
eid_status eid_password_config_read(const char *store, const eid_value *record, eid_password_config *out);
void eid_password_config_free(eid_password_config *config);

/* The key, and what type of store is inside. EID_ERR_INVALID_PASSWORD, EID_ERR_LIMIT, EID_ERR_UNSUPPORTED. */
eid_status eid_password_config_open(const eid_password_config *config, const char *store, const char *password,
                                    eid_aead_key **key, eid_wrapped_type *type);

/* A new configuration and its record. */
eid_status eid_password_config_make(const char *password, const eid_kdf_costs *costs, eid_wrapped_type type,
                                    eid_aead_key **key, eid_value **record);

/* The name of the type in the formats; static. */
const char *eid_wrapped_type_name(eid_wrapped_type type);

#endif
