/* SPDX-License-Identifier: Apache-2.0 */
/* Making and taking apart content identifiers; the value type and its text form are public, eidetica/id.h. */
#ifndef EID_CODEC_CID_H
#define EID_CODEC_CID_H

#include <eidetica/id.h>

#include "base/buf.h"

#define EID_CODEC_RAW 0x55
#define EID_CODEC_DAG_CBOR 0x71
#define EID_HASH_BLAKE3 0x1e
#define EID_CID_BYTES 36 /* an ID made here: 01 codec 1e 20 and 32 digest bytes */

/* CIDv1 of the given codec around a BLAKE3-256 digest. */
void eid_id_from_digest(uint64_t codec, const uint8_t digest[32], eid_id *out);
/* eid_id_of_bytes, which hashes, is in crypto/blake3.h. */

/* From a binary CID that fills `bytes` exactly. Any codec and hash with a digest up to 64 bytes; EID_ERR_INVALID_ID. */
eid_status eid_id_from_binary(eid_slice bytes, eid_id *out);
/* One CID from the front of *input, which moves behind it; what follows is the caller's. EID_ERR_INVALID_ID. */
eid_status eid_id_read(eid_slice *input, eid_id *out);
eid_slice eid_id_slice(const eid_id *id); /* the binary form, lent */

/* eid_id_parse for text that is not zero-terminated. */
eid_status eid_id_parse_slice(eid_slice text, eid_id *out);

/* True for a CIDv1 dag-cbor BLAKE3-256 identifier, the only kind an entry can have. */
bool eid_id_is_entry(const eid_id *id);

/* Sorts (entry.md section 3) and removes duplicates in place; returns the new count. */
size_t eid_ids_sort(eid_id *ids, size_t count);

#endif
