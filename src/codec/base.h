/* SPDX-License-Identifier: Apache-2.0 */
/* Text forms of bytes: strict base64, base32, hex, and the multibase set CIDs may arrive in. */
#ifndef EID_CODEC_BASE_H
#define EID_CODEC_BASE_H

#include "base/buf.h"

/* RFC 4648 section 4 with padding. Writes 4*ceil(len/3) characters and a zero. */
#define EID_BASE64_SIZE(len) ((((len) + 2) / 3) * 4 + 1)
void eid_base64_encode(const uint8_t *data, size_t len, char *out);
/* RFC 4648 without padding; same size bound. */
void eid_base64_encode_unpadded(const uint8_t *data, size_t len, char *out);

/* All decoders: EID_ERR_SYNTAX for text that is not of the base, EID_ERR_LIMIT when the result is longer than
 * capacity; nothing is written then.
 * Strict: alphabet, padding as asked, zero trailing bits, no spaces. */
eid_status eid_base64_decode(eid_slice text, uint8_t *out, size_t capacity, size_t *len);
eid_status eid_base64_decode_unpadded(eid_slice text, uint8_t *out, size_t capacity, size_t *len);

/* RFC 4648 section 6 alphabet in lower case, no padding, zero trailing bits required. */
#define EID_BASE32_SIZE(len) (((len) * 8 + 4) / 5 + 1)
void eid_base32_encode(const uint8_t *data, size_t len, char *out);
eid_status eid_base32_decode(eid_slice text, uint8_t *out, size_t capacity, size_t *len); /* case-insensitive */
/* The same with the alphabet of RFC 4648 section 7 in lower case, and with that of z-base-32; eid_multibase_decode reads
 * them. */
void eid_base32hex_encode(const uint8_t *data, size_t len, char *out);
void eid_zbase32_encode(const uint8_t *data, size_t len, char *out);

void eid_hex_encode(const uint8_t *data, size_t len, char *out); /* 2*len characters and a zero, lower case */
eid_status eid_hex_decode(eid_slice text, uint8_t *out, size_t capacity, size_t *len); /* either case */

/* The bases that are one large number (10, 36, 58) are for short things: they give at most this many bytes. */
#define EID_RADIX_MAX 128

/* Base 58 with the bitcoin alphabet; each leading zero byte is a leading '1'. out_size counts the zero; too little
 * room gives "". */
void eid_base58_encode(const uint8_t *data, size_t len, char *out, size_t out_size);
eid_status eid_base58_decode(eid_slice text, uint8_t *out, size_t capacity, size_t *len);

/* Reads a multibase text: one prefix character that names the base, and the payload. Every base of the recorded cases
 * (vectors ids.json: 2, 8, 10, 16, 32 in its forms, 36, 45, 58 in both alphabets, 64 in its forms, identity); letters
 * of either case where the alphabet has only one. EID_ERR_SYNTAX, EID_ERR_LIMIT. */
eid_status eid_multibase_decode(eid_slice text, uint8_t *out, size_t capacity, size_t *len);

#endif
