/* SPDX-License-Identifier: Apache-2.0 */
/* Keys from passwords: Argon2id, version 0x13, 32 bytes out (spec users.md section 5, stores.md section 6).
 *
 * What goes in as salt are the 22 characters of its text form, not the 16 bytes they stand for.
 */
#ifndef EID_CRYPTO_KDF_H
#define EID_CRYPTO_KDF_H

#include "crypto/aead.h"

#define EID_KDF_SALT_LEN  22
#define EID_KDF_SALT_SIZE 23 /* with the zero */

/* What one derivation costs. It comes from a configuration that somebody else may have written. */
typedef struct eid_kdf_costs {
    uint32_t memory_kib;
    uint32_t passes;
    uint32_t lanes;
} eid_kdf_costs;

#define EID_KDF_COSTS_DEFAULT {19456, 2, 1}

/* 16 random bytes in unpadded standard base64. */
void eid_kdf_new_salt(char out[EID_KDF_SALT_SIZE]);

/* EID_ERR_LIMIT for costs or a password beyond the bounds of limits.h, EID_ERR_RANGE for costs that Argon2 does not
 * define, EID_ERR_INVALID_ARGUMENT for a salt that does not have 22 bytes. Runs on the caller's thread alone and
 * takes costs.memory_kib of memory while it does. */
eid_status eid_kdf_derive(eid_slice password, eid_slice salt, const eid_kdf_costs *costs, uint8_t out[EID_AEAD_KEY]);

/* The same, but the bytes never leave guarded memory. */
eid_status eid_kdf_derive_key(eid_slice password, eid_slice salt, const eid_kdf_costs *costs, eid_aead_key **out);

#endif
