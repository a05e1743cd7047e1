/* SPDX-License-Identifier: Apache-2.0 */
/* Base64, base32 and hex. All are the same thing: a stream of bits cut into digits of 6, 5 or 4 bits. */
#include "codec/base.h"

#include "codec/base_int.h"

static const char base64_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base32_alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
static const char base32hex_alphabet[] = "0123456789abcdefghijklmnopqrstuv";
static const char zbase32_alphabet[] = "ybndrfg8ejkmcpqxot1uwisza345h769";
static const char hex_alphabet[] = "0123456789abcdef";

/* clang-format off */
#define XX EID_NO_DIGIT
static const uint8_t base64_digits[256] = {
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, 62, XX, XX, XX, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, XX, XX, XX, XX, XX, XX,
    XX,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, XX, XX, XX, XX, XX,
    XX, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
};

static const uint8_t base32_digits[256] = {
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, 26, 27, 28, 29, 30, 31, XX, XX, XX, XX, XX, XX, XX, XX,
    XX,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, XX, XX, XX, XX, XX,
    XX,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
};

static const uint8_t hex_digits[256] = {
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
     0,  1,  2,  3,  4,  5,  6,  7,  8,  9, XX, XX, XX, XX, XX, XX,
    XX, 10, 11, 12, 13, 14, 15, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, 10, 11, 12, 13, 14, 15, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
};
#undef XX
/* clang-format on */

/* Writes the digits without a zero after them and returns their number. */
static size_t encode_bits(const uint8_t *data, size_t len, const char *alphabet, unsigned bits, char *out)
{
    const uint32_t mask = (1u << bits) - 1;
    uint32_t held = 0;
    unsigned count = 0;
    size_t written = 0;
    for (size_t i = 0; i < len; i++) {
        held = held << 8 | data[i];
        count += 8;
        while (count >= bits) {
            count -= bits;
            out[written++] = alphabet[held >> count & mask];
        }
    }
    if (count > 0)
        out[written++] = alphabet[held << (bits - count) & mask];
    return written;
}

eid_status eid_bits_decode(eid_slice text, const uint8_t digits[256], unsigned bits, uint8_t *out,
                           size_t capacity, size_t *len)
{
    /* Looked at twice, so that nothing is written for a text that is wrong at its end. */
    unsigned seen = 0;
    for (size_t i = 0; i < text.len; i++)
        seen |= digits[text.data[i]];
    if (seen == EID_NO_DIGIT)
        return eid_fail(EID_ERR_SYNTAX,
                        "a character outside the alphabet of the encoding stands in the text");

    size_t decoded = text.len / 8 * bits + text.len % 8 * bits / 8;
    unsigned unused = (unsigned)(text.len % 8 * bits % 8);
    if (unused >= bits)
        return eid_fail(EID_ERR_SYNTAX, "no bytes are encoded in a text of this length");
    if (unused > 0 && (digits[text.data[text.len - 1]] & ((1u << unused) - 1)) != 0)
        return eid_fail(EID_ERR_SYNTAX, "the unused bits at the end of the encoded text are not zero");
    if (decoded > capacity)
        return eid_fail(EID_ERR_LIMIT, "the encoded text stands for %zu bytes, at most %zu are allowed",
                        decoded, capacity);

    uint32_t held = 0;
    unsigned count = 0;
    size_t written = 0;
    for (size_t i = 0; i < text.len; i++) {
        held = held << bits | digits[text.data[i]];
        count += bits;
        if (count >= 8) {
            count -= 8;
            out[written++] = (uint8_t)(held >> count);
        }
    }
    *len = written;
    return EID_OK;
}

eid_status eid_padding_strip(eid_slice *text, size_t group)
{
    size_t digits = text->len;
    while (digits > 0 && text->data[digits - 1] == '=')
        digits--;
    size_t padding = text->len - digits;
    if (padding != (group - digits % group) % group)
        return eid_fail(EID_ERR_SYNTAX,
                        "the '=' padding of the encoded text is not what its length asks for");
    text->len = digits;
    return EID_OK;
}

void eid_base64_encode_unpadded(const uint8_t *data, size_t len, char *out)
{
    out[encode_bits(data, len, base64_alphabet, 6, out)] = '\0';
}

void eid_base64_encode(const uint8_t *data, size_t len, char *out)
{
    size_t written = encode_bits(data, len, base64_alphabet, 6, out);
    while (written % 4 != 0)
        out[written++] = '=';
    out[written] = '\0';
}

eid_status eid_base64_decode_unpadded(eid_slice text, uint8_t *out, size_t capacity, size_t *len)
{
    return eid_bits_decode(text, base64_digits, 6, out, capacity, len);
}

eid_status eid_base64_decode(eid_slice text, uint8_t *out, size_t capacity, size_t *len)
{
    EID_TRY(eid_padding_strip(&text, 4));
    return eid_bits_decode(text, base64_digits, 6, out, capacity, len);
}

void eid_base32_encode(const uint8_t *data, size_t len, char *out)
{
    out[encode_bits(data, len, base32_alphabet, 5, out)] = '\0';
}

eid_status eid_base32_decode(eid_slice text, uint8_t *out, size_t capacity, size_t *len)
{
    return eid_bits_decode(text, base32_digits, 5, out, capacity, len);
}

void eid_base32hex_encode(const uint8_t *data, size_t len, char *out)
{
    out[encode_bits(data, len, base32hex_alphabet, 5, out)] = '\0';
}

void eid_zbase32_encode(const uint8_t *data, size_t len, char *out)
{
    out[encode_bits(data, len, zbase32_alphabet, 5, out)] = '\0';
}

void eid_hex_encode(const uint8_t *data, size_t len, char *out)
{
    out[encode_bits(data, len, hex_alphabet, 4, out)] = '\0';
}

eid_status eid_hex_decode(eid_slice text, uint8_t *out, size_t capacity, size_t *len)
{
    return eid_bits_decode(text, hex_digits, 4, out, capacity, len);
}
