/* SPDX-License-Identifier: Apache-2.0 */
/* Unsigned LEB128 as multiformats and postcard use it: at most 9 bytes for multiformats, minimal form. */
#ifndef EID_CODEC_VARINT_H
#define EID_CODEC_VARINT_H

#include "base/buf.h"

void eid_varint_append(eid_buf *buf, uint64_t value);
/* Reads one varint from the front of *input and moves *input behind it. EID_ERR_TRUNCATED, EID_ERR_RANGE (more
 * than 64 bits), EID_ERR_NOT_CANONICAL (a longer form than needed). */
eid_status eid_varint_read(eid_slice *input, uint64_t *out);

#endif
