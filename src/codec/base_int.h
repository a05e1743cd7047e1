/* SPDX-License-Identifier: Apache-2.0 */
/* The one decoder of all bases whose digits are whole bits: base.c has the fixed tables, multibase.c makes
 * others. */
#ifndef EID_CODEC_BASE_INT_H
#define EID_CODEC_BASE_INT_H

#include "codec/base.h"

#define EID_NO_DIGIT 0xff

/* `digits` gives the value of each character, EID_NO_DIGIT for those outside the alphabet; `bits` is the size
 * of a digit, 1 to 6. The text must be unpadded, as short as possible, and its unused last bits zero. */
eid_status eid_bits_decode(eid_slice text, const uint8_t digits[256], unsigned bits, uint8_t *out,
                           size_t capacity, size_t *len);

/* Takes the '=' padding off a text whose digits come in groups of `group` characters; EID_ERR_SYNTAX when the
 * padding is not exactly what the number of digits asks for. */
eid_status eid_padding_strip(eid_slice *text, size_t group);

#endif
