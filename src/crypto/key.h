/* SPDX-License-Identifier: Apache-2.0 */
/* Keys inside the library; the public half is eidetica/key.h. */
#ifndef EID_CRYPTO_KEY_H
#define EID_CRYPTO_KEY_H

#include <eidetica/key.h>

#include "codec/json.h"

/* Readies libsodium; called by every entry point that needs it, cheap when done. Thread safe. */
eid_status eid_crypto_init(void);

/* Wipes and frees a buffer that held a secret. Reserve its room before writing: growing leaves copies behind. */
void eid_buf_free_secret(eid_buf *buf);

eid_status eid_pubkey_parse_slice(eid_slice text, eid_pubkey *out);
/* The two halves of it, because the second costs a third of a verification: the bytes of the text, and whether they are a
 * point of the curve (EID_ERR_INVALID_KEY). */
eid_status eid_pubkey_decode_slice(eid_slice text, eid_pubkey *out);
eid_status eid_pubkey_check(const eid_pubkey *key);
bool eid_pubkey_is_point(const eid_pubkey *key);
eid_status eid_keypair_parse_slice(eid_slice text, eid_keypair **out);
/* As a field of a JSON record (codec/fields.h). */
eid_status eid_field_key(eid_json *reader, const char *what, eid_pubkey *out);
void eid_write_key_text(eid_buf *buf, const eid_pubkey *key); /* quoted */

eid_status eid_keypair_copy(const eid_keypair *key, eid_keypair **out);

/* Signature text of an entry: 88 characters of padded standard base64. EID_ERR_BAD_SIGNATURE when malformed. */
#define EID_SIGNATURE_TEXT_SIZE 89
eid_status eid_signature_parse(eid_slice text, uint8_t out[64]);
void eid_signature_format(const uint8_t signature[64], char out[EID_SIGNATURE_TEXT_SIZE]);

#endif
