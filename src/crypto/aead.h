/* SPDX-License-Identifier: Apache-2.0 */
/* AES-256-GCM as the formats use it: 96-bit nonce, no associated data, the 128-bit tag behind the ciphertext.
 *
 * A nonce must never be used twice with one key: seal picks a random one, which is safe for 2^32 messages a key.
 */
#ifndef EID_CRYPTO_AEAD_H
#define EID_CRYPTO_AEAD_H

#include "base/buf.h"

#define EID_AEAD_KEY   32
#define EID_AEAD_NONCE 12
#define EID_AEAD_TAG   16

/* A key made ready, in guarded memory that can only be read and is wiped when it is freed. May be used from several
 * threads at once. */
typedef struct eid_aead_key eid_aead_key;

eid_status eid_aead_key_new(const uint8_t bytes[EID_AEAD_KEY], eid_aead_key **out); /* the caller wipes its bytes */
void eid_aead_key_free(eid_aead_key *key);                                          /* NULL is allowed */

/* Writes plain.len + EID_AEAD_TAG bytes to `out`, which may be where the plain text stands. */
void eid_aead_encrypt(const eid_aead_key *key, const uint8_t nonce[EID_AEAD_NONCE], eid_slice plain, uint8_t *out);

/* Writes sealed.len - EID_AEAD_TAG bytes to `out`, which may be where the sealed text stands. EID_ERR_DECRYPTION when
 * the bytes were not sealed under this key and nonce; `out` is all zeros then. */
eid_status eid_aead_decrypt(const eid_aead_key *key, const uint8_t nonce[EID_AEAD_NONCE], eid_slice sealed,
                            uint8_t *out);

/* Nonce, ciphertext and tag in one piece, under a fresh random nonce; appended to `out`, where a failure stays. */
void eid_aead_seal(const eid_aead_key *key, eid_slice plain, eid_buf *out);
/* The other direction, appended. EID_ERR_DECRYPTION, also for a piece too short to be one. Reserve the room of a
 * secret before, so that growing leaves no copies. */
eid_status eid_aead_unseal(const eid_aead_key *key, eid_slice piece, eid_buf *out);

#endif
