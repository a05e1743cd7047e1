/* SPDX-License-Identifier: Apache-2.0 */
/* Unsigned LEB128 as multiformats and postcard use it, always in its minimal form. */
#ifndef EID_CODEC_VARINT_H
#define EID_CODEC_VARINT_H

#include "base/buf.h"

#define EID_VARINT_MAX 10 /* bytes of the largest 64-bit value */

/* Writes the minimal form and returns its length. */
size_t eid_varint_put(uint8_t out[EID_VARINT_MAX], uint64_t value);
void eid_varint_append(eid_buf *buf, uint64_t value);
/* Reads one varint from the front of *input and moves *input behind it. EID_ERR_TRUNCATED, EID_ERR_RANGE (more
 * than 64 bits), EID_ERR_NOT_CANONICAL (a longer form than needed). */
eid_status eid_varint_read(eid_slice *input, uint64_t *out);

#endif
