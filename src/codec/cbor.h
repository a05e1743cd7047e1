/* SPDX-License-Identifier: Apache-2.0 */
/* DAG-CBOR, strictly: the subset of RFC 8949 that entries use, plus what independent readers may meet.
 *
 * Writing is append-only and gives the canonical form when the caller writes map keys in canonical order.
 * Reading is a cursor over lent bytes: each call consumes one data item head, or fails and leaves the cursor
 * where it was. The reader refuses indefinite lengths, tags other than 42, floats, and simple values other than
 * false, true and null. Non-shortest heads are accepted only in the tolerant mode (the Rust reader accepts them);
 * a caller that needs canonical input compares its re-encoding.
 */
#ifndef EID_CODEC_CBOR_H
#define EID_CODEC_CBOR_H

#include <eidetica/id.h>

#include "base/buf.h"

void eid_cbor_write_uint(eid_buf *buf, uint64_t value);
void eid_cbor_write_int(eid_buf *buf, int64_t value);
void eid_cbor_write_bytes(eid_buf *buf, const void *data, size_t len);
void eid_cbor_write_text(eid_buf *buf, const char *text);
void eid_cbor_write_text_slice(eid_buf *buf, eid_slice text);
void eid_cbor_write_array(eid_buf *buf, size_t count);  /* head only; the items follow */
void eid_cbor_write_map(eid_buf *buf, size_t count);    /* head only; key, value, … follow */
void eid_cbor_write_bool(eid_buf *buf, bool value);
void eid_cbor_write_null(eid_buf *buf);
void eid_cbor_write_id(eid_buf *buf, const eid_id *id); /* tag 42; the empty ID is null */

typedef enum eid_cbor_kind {
    EID_CBOR_UINT,
    EID_CBOR_NEGATIVE, /* value is -1 - number */
    EID_CBOR_BYTES,
    EID_CBOR_TEXT,     /* checked to be UTF-8 */
    EID_CBOR_ARRAY,    /* number items follow */
    EID_CBOR_MAP,      /* number pairs follow */
    EID_CBOR_ID,
    EID_CBOR_FALSE,
    EID_CBOR_TRUE,
    EID_CBOR_NULL
} eid_cbor_kind;

typedef struct eid_cbor_item {
    eid_cbor_kind kind;
    uint64_t number;  /* of UINT, NEGATIVE; the count of ARRAY, MAP */
    eid_slice bytes;  /* of BYTES, TEXT; lent from the input */
    eid_id id;        /* of ID */
} eid_cbor_item;

typedef struct eid_cbor {
    eid_slice input;  /* what is not read yet */
    bool strict;      /* refuse heads that are not the shortest */
} eid_cbor;

void eid_cbor_init(eid_cbor *reader, eid_slice input, bool strict);
/* Reads one item (for arrays and maps only the head). A count larger than the remaining bytes could hold is
 * EID_ERR_TRUNCATED at once, so a count never makes the caller allocate more than the input justifies. */
eid_status eid_cbor_next(eid_cbor *reader, eid_cbor_item *out);
/* Skips one whole item, nested ones too; EID_ERR_DEPTH beyond EID_LIMIT_CBOR_DEPTH. Iterative. */
eid_status eid_cbor_skip(eid_cbor *reader);
/* EID_ERR_TRAILING_DATA unless everything was read. */
eid_status eid_cbor_end(const eid_cbor *reader);

/* One item of a given kind, else EID_ERR_WRONG_TYPE naming `what`. */
eid_status eid_cbor_expect(eid_cbor *reader, eid_cbor_kind kind, const char *what, eid_cbor_item *out);

#endif
