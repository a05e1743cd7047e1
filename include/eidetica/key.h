/* SPDX-License-Identifier: Apache-2.0 */
/* Ed25519 keys in the forms of the formats. */
#ifndef EIDETICA_KEY_H
#define EIDETICA_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <eidetica/export.h>
#include <eidetica/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A public key is a plain value. */
typedef struct eid_pubkey {
    uint8_t bytes[32];
} eid_pubkey;

/* "ed25519:" and 44 characters of padded standard base64, and the zero. */
#define EID_PUBKEY_TEXT_SIZE 53

/* EID_ERR_INVALID_KEY for anything but the exact text form of a point of the curve. */
EID_API eid_status eid_pubkey_parse(const char *text, eid_pubkey *out);
EID_API void eid_pubkey_format(const eid_pubkey *key, char out[EID_PUBKEY_TEXT_SIZE]);
EID_API bool eid_pubkey_equal(const eid_pubkey *a, const eid_pubkey *b);

/* A private key with its public half, kept in guarded memory that is wiped when it is freed. */
typedef struct eid_keypair eid_keypair;

EID_API eid_status eid_keypair_generate(eid_keypair **out); /* free with eid_keypair_free */
/* From the text form "ed25519:" + base64 of the 32-byte seed. The caller wipes its own copy of the text. */
EID_API eid_status eid_keypair_parse(const char *text, eid_keypair **out);
EID_API eid_status eid_keypair_from_seed(const uint8_t seed[32], eid_keypair **out);
EID_API void eid_keypair_free(eid_keypair *key); /* NULL is allowed */
EID_API void eid_keypair_public(const eid_keypair *key, eid_pubkey *out);
/* The private text form. It is a secret: wipe the array (eid_wipe) when it has served. */
EID_API void eid_keypair_format(const eid_keypair *key, char out[EID_PUBKEY_TEXT_SIZE]);

/* Ed25519 signature (RFC 8032, pure, no context) of the message. */
EID_API void eid_keypair_sign(const eid_keypair *key, const void *message, size_t len, uint8_t signature[64]);

/* The one verification rule of the library: canonical S, key and R on the curve and not of small order,
 * cofactorless equation. EID_ERR_BAD_SIGNATURE otherwise. */
EID_API eid_status eid_pubkey_verify(const eid_pubkey *key, const void *message, size_t len,
                                     const uint8_t signature[64]);

/* Overwrites memory in a way the compiler does not remove. */
EID_API void eid_wipe(void *memory, size_t len);

#ifdef __cplusplus
}
#endif
#endif
