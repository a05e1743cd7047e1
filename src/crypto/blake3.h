/* SPDX-License-Identifier: Apache-2.0 */
/* BLAKE3 hashing, default 32-byte output, and the key derivation mode. */
#ifndef EID_CRYPTO_BLAKE3_H
#define EID_CRYPTO_BLAKE3_H

#include <stddef.h>
#include <stdint.h>

#include "codec/cid.h"

/* Streaming state: 64-bit length, chunk state, and a stack of at most 54 chaining values. */
typedef struct eid_blake3 {
    uint32_t key[8];
    uint32_t chunk_cv[8];
    uint64_t chunk_counter;
    uint8_t block[64];
    uint8_t block_len;
    uint8_t blocks_compressed;
    uint8_t flags;
    uint8_t stack_len;
    uint32_t stack[54][8];
} eid_blake3;

void eid_blake3_init(eid_blake3 *hasher);
void eid_blake3_init_derive_key(eid_blake3 *hasher, const char *context);
void eid_blake3_update(eid_blake3 *hasher, const void *data, size_t len);
void eid_blake3_final(const eid_blake3 *hasher, uint8_t out[32]);

void eid_blake3_hash(const void *data, size_t len, uint8_t out[32]);

/* The ID of the bytes: CIDv1, the given codec, BLAKE3-256. */
void eid_id_of_bytes(uint64_t codec, const void *data, size_t len, eid_id *out);

#endif
