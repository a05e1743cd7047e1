/* SPDX-License-Identifier: Apache-2.0 */
/* A read item written by the library's writer. */
#include "support/cbor.h"

void tc_write_item(eid_buf *buf, const eid_cbor_item *item)
{
    switch (item->kind) {
    case EID_CBOR_UINT:
        eid_cbor_write_uint(buf, item->number);
        break;
    case EID_CBOR_NEGATIVE:
        /* The writer takes signed numbers; what lies below them is written as its head. */
        if (item->number <= INT64_MAX) {
            eid_cbor_write_int(buf, -1 - (int64_t)item->number);
        } else {
            eid_buf_append_byte(buf, 0x3b);
            eid_buf_append_u64_be(buf, item->number);
        }
        break;
    case EID_CBOR_BYTES:
        eid_cbor_write_bytes(buf, item->bytes.data, item->bytes.len);
        break;
    case EID_CBOR_TEXT:
        eid_cbor_write_text_slice(buf, item->bytes);
        break;
    case EID_CBOR_ARRAY:
        eid_cbor_write_array(buf, (size_t)item->number);
        break;
    case EID_CBOR_MAP:
        eid_cbor_write_map(buf, (size_t)item->number);
        break;
    case EID_CBOR_ID:
        eid_cbor_write_id(buf, &item->id);
        break;
    case EID_CBOR_FALSE:
    case EID_CBOR_TRUE:
        eid_cbor_write_bool(buf, item->kind == EID_CBOR_TRUE);
        break;
    case EID_CBOR_NULL:
        eid_cbor_write_null(buf);
        break;
    }
}
