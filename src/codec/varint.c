/* SPDX-License-Identifier: Apache-2.0 */
/* Unsigned LEB128: seven bits a byte, lowest first, the high bit says that more follow. */
#include "codec/varint.h"

size_t eid_varint_put(uint8_t out[EID_VARINT_MAX], uint64_t value)
{
    size_t len = 0;
    while (value >= 0x80) {
        out[len++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out[len++] = (uint8_t)value;
    return len;
}

void eid_varint_append(eid_buf *buf, uint64_t value)
{
    uint8_t bytes[EID_VARINT_MAX];
    eid_buf_append(buf, bytes, eid_varint_put(bytes, value));
}

eid_status eid_varint_read(eid_slice *input, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < EID_VARINT_MAX; i++) {
        if (i == input->len)
            return eid_fail(EID_ERR_TRUNCATED, "the input ends inside a variable-length integer");
        uint8_t byte = input->data[i];
        if (i == EID_VARINT_MAX - 1 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            if (byte == 0 && i > 0)
                return eid_fail(EID_ERR_NOT_CANONICAL, "a variable-length integer is longer than needed");
            *input = eid_slice_of(input->data + i + 1, input->len - i - 1);
            *out = value;
            return EID_OK;
        }
    }
    return eid_fail(EID_ERR_RANGE, "a variable-length integer does not fit in 64 bits");
}
