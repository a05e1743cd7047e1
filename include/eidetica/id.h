/* SPDX-License-Identifier: Apache-2.0 */
/* Content identifiers: the names of entries, databases and other hashed bytes.
 *
 * An eid_id is a plain value: copy it freely. It holds a binary CID (version 1, or the 34-byte version 0), or
 * nothing at all (the empty ID, which names no entry). Entry IDs are CIDv1, codec dag-cbor (0x71), BLAKE3-256:
 * 36 bytes, printed as 59 characters starting "bafyr4i".
 */
#ifndef EIDETICA_ID_H
#define EIDETICA_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <eidetica/export.h>
#include <eidetica/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EID_ID_MAX_BYTES 95

typedef struct eid_id {
    uint8_t len;                      /* bytes in use; 0 for the empty ID */
    uint8_t bytes[EID_ID_MAX_BYTES];  /* binary CID; unused bytes are zero */
} eid_id;

/* Enough room for the text of any ID, the zero included. */
#define EID_ID_TEXT_SIZE 160

/* Reads the text form. Any multibase of CIDs is accepted (not base256emoji and proquint); "" gives the empty ID; text
 * up to and including the first "/ipfs/" is dropped. EID_ERR_INVALID_ID otherwise. */
EID_API eid_status eid_id_parse(const char *text, eid_id *out);

/* Writes the text form: base32 lower case for version 1, base58 for version 0, "" for the empty ID. */
EID_API void eid_id_format(const eid_id *id, char out[EID_ID_TEXT_SIZE]);

EID_API bool eid_id_is_empty(const eid_id *id);
EID_API bool eid_id_equal(const eid_id *a, const eid_id *b);

/* The order of "sorted IDs" everywhere in the formats: empty first, then version, codec, hash code, digest
 * length, digest bytes. Not the order of the texts. */
EID_API int eid_id_compare(const eid_id *a, const eid_id *b);

/* The order of the text forms, compared as ASCII: the tie-break of the fold. */
EID_API int eid_id_compare_text(const eid_id *a, const eid_id *b);

#ifdef __cplusplus
}
#endif
#endif
