/* SPDX-License-Identifier: Apache-2.0 */
/* Multibase: text whose first character names the base of the rest. Besides the bases of whole bits there are
 * those that write one large number (10, 36, 58) and base 45, which cuts pairs of bytes. */
#include "codec/base.h"

#include <string.h>

#include "codec/base_int.h"

static const char alphabet2[] = "01";
static const char alphabet8[] = "01234567";
static const char alphabet10[] = "0123456789";
static const char alphabet32[] = "abcdefghijklmnopqrstuvwxyz234567";
static const char alphabet32_hex[] = "0123456789abcdefghijklmnopqrstuv";
static const char alphabet32_z[] = "ybndrfg8ejkmcpqxot1uwisza345h769";
static const char alphabet36[] = "0123456789abcdefghijklmnopqrstuvwxyz";
static const char alphabet45[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
static const char alphabet58_bitcoin[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
static const char alphabet58_flickr[] = "123456789abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ";
static const char alphabet64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* The value of each character. Letters of a one-case alphabet count in both cases. */
static void make_digits(const char *alphabet, bool either_case, uint8_t digits[256])
{
    memset(digits, EID_NO_DIGIT, 256);
    for (size_t i = 0; alphabet[i] != '\0'; i++) {
        uint8_t character = (uint8_t)alphabet[i];
        digits[character] = (uint8_t)i;
        bool letter = (character | 0x20) >= 'a' && (character | 0x20) <= 'z';
        if (either_case && letter)
            digits[character ^ 0x20] = (uint8_t)i;
    }
}

/* ---- one large number ---- */

static eid_status decode_number(eid_slice text, const uint8_t digits[256], unsigned base, uint8_t *out,
                                size_t capacity, size_t *len)
{
    size_t zeros = 0;
    while (zeros < text.len && digits[text.data[zeros]] == 0)
        zeros++;

    /* The number so far, its lowest byte first. IDs are short, so the quadratic way is good enough; the
     * length of `number` bounds it whatever the length of the text. */
    uint8_t number[EID_RADIX_MAX];
    size_t used = 0;
    size_t room = capacity < sizeof number ? capacity : sizeof number;
    for (size_t i = zeros; i < text.len; i++) {
        unsigned carry = digits[text.data[i]];
        if (carry == EID_NO_DIGIT)
            return eid_fail(EID_ERR_SYNTAX,
                            "a character outside the alphabet of the encoding stands in the text");
        for (size_t j = 0; j < used; j++) {
            carry += number[j] * base;
            number[j] = (uint8_t)carry;
            carry >>= 8;
        }
        if (carry > 0) {
            if (used == room)
                return eid_fail(EID_ERR_LIMIT, "the encoded text stands for more than %zu bytes", room);
            number[used++] = (uint8_t)carry;
        }
    }
    if (zeros > room - used)
        return eid_fail(EID_ERR_LIMIT, "the encoded text stands for more than %zu bytes", room);

    memset(out, 0, zeros);
    for (size_t i = 0; i < used; i++)
        out[zeros + i] = number[used - 1 - i];
    *len = zeros + used;
    return EID_OK;
}

eid_status eid_base58_decode(eid_slice text, uint8_t *out, size_t capacity, size_t *len)
{
    uint8_t digits[256];
    make_digits(alphabet58_bitcoin, false, digits);
    return decode_number(text, digits, 58, out, capacity, len);
}

void eid_base58_encode(const uint8_t *data, size_t len, char *out, size_t out_size)
{
    size_t zeros = 0;
    while (zeros < len && data[zeros] == 0)
        zeros++;

    /* Digits collect in `out`, the lowest first, and are turned around at the end. */
    size_t used = 0;
    for (size_t i = zeros; i < len; i++) {
        unsigned carry = data[i];
        for (size_t j = 0; j < used; j++) {
            carry += (unsigned)(uint8_t)out[j] << 8;
            out[j] = (char)(carry % 58);
            carry /= 58;
        }
        for (; carry > 0; carry /= 58) {
            if (used == out_size)
                break;
            out[used++] = (char)(carry % 58);
        }
    }
    if (out_size == 0)
        return;
    if (out_size - 1 < zeros || used > out_size - 1 - zeros) {
        out[0] = '\0';
        return;
    }
    for (size_t i = 0; i < used / 2; i++) {
        char lower = out[i];
        out[i] = out[used - 1 - i];
        out[used - 1 - i] = lower;
    }
    memmove(out + zeros, out, used);
    memset(out, 0, zeros);
    for (size_t i = 0; i < zeros + used; i++)
        out[i] = alphabet58_bitcoin[(uint8_t)out[i]];
    out[zeros + used] = '\0';
}

/* ---- base 45 (RFC 9285): two bytes are three digits, a last single byte is two, the lowest digit first ----
 */

static eid_status decode_base45(eid_slice text, uint8_t *out, size_t capacity, size_t *len)
{
    uint8_t digits[256];
    make_digits(alphabet45, false, digits);
    size_t decoded = text.len / 3 * 2 + (text.len % 3 == 2 ? 1 : 0);
    if (text.len % 3 == 1)
        return eid_fail(EID_ERR_SYNTAX, "no bytes are encoded in a text of this length");
    if (decoded > capacity)
        return eid_fail(EID_ERR_LIMIT, "the encoded text stands for %zu bytes, at most %zu are allowed",
                        decoded, capacity);

    for (int writing = 0; writing < 2; writing++) {
        size_t written = 0;
        for (size_t i = 0; i < text.len; i += 3) {
            bool pair = text.len - i >= 3;
            uint8_t low = digits[text.data[i]];
            uint8_t middle = digits[text.data[i + 1]];
            uint8_t high = pair ? digits[text.data[i + 2]] : 0;
            if (low == EID_NO_DIGIT || middle == EID_NO_DIGIT || high == EID_NO_DIGIT)
                return eid_fail(EID_ERR_SYNTAX,
                                "a character outside the alphabet of the encoding stands in the text");
            unsigned value = low + middle * 45u + high * 2025u;
            if (value > (pair ? 0xffffu : 0xffu))
                return eid_fail(EID_ERR_SYNTAX, "a group of base 45 digits is too large for its bytes");
            if (writing == 0)
                continue;
            if (pair)
                out[written++] = (uint8_t)(value >> 8);
            out[written++] = (uint8_t)value;
        }
    }
    *len = decoded;
    return EID_OK;
}

/* ---- the prefix ---- */

/* A base of whole bits; `group` is 0 without padding. */
static eid_status decode_bits(eid_slice text, const char *alphabet, bool either_case, unsigned bits,
                              size_t group, uint8_t *out, size_t capacity, size_t *len)
{
    uint8_t digits[256];
    make_digits(alphabet, either_case, digits);
    if (group > 0)
        EID_TRY(eid_padding_strip(&text, group));
    return eid_bits_decode(text, digits, bits, out, capacity, len);
}

static eid_status decode_large(eid_slice text, const char *alphabet, bool either_case, uint8_t *out,
                               size_t capacity, size_t *len)
{
    uint8_t digits[256];
    make_digits(alphabet, either_case, digits);
    return decode_number(text, digits, (unsigned)strlen(alphabet), out, capacity, len);
}

static eid_status decode_identity(eid_slice text, uint8_t *out, size_t capacity, size_t *len)
{
    if (text.len > capacity)
        return eid_fail(EID_ERR_LIMIT, "the text has %zu bytes, at most %zu are allowed", text.len, capacity);
    if (text.len > 0)
        memcpy(out, text.data, text.len);
    *len = text.len;
    return EID_OK;
}

eid_status eid_multibase_decode(eid_slice text, uint8_t *out, size_t capacity, size_t *len)
{
    if (text.len == 0)
        return eid_fail(EID_ERR_SYNTAX, "a multibase text has at least its prefix");
    eid_slice body = eid_slice_of(text.data + 1, text.len - 1);
    switch (text.data[0]) {
    case '\0':
        return decode_identity(body, out, capacity, len);
    case '0':
        return decode_bits(body, alphabet2, false, 1, 0, out, capacity, len);
    case '7':
        return decode_bits(body, alphabet8, false, 3, 0, out, capacity, len);
    case '9':
        return decode_large(body, alphabet10, false, out, capacity, len);
    case 'f':
    case 'F':
        return eid_hex_decode(body, out, capacity, len);
    case 'b':
    case 'B':
        return eid_base32_decode(body, out, capacity, len);
    case 'c':
    case 'C':
        return decode_bits(body, alphabet32, true, 5, 8, out, capacity, len);
    case 'v':
    case 'V':
        return decode_bits(body, alphabet32_hex, true, 5, 0, out, capacity, len);
    case 't':
    case 'T':
        return decode_bits(body, alphabet32_hex, true, 5, 8, out, capacity, len);
    case 'h':
        return decode_bits(body, alphabet32_z, false, 5, 0, out, capacity, len);
    case 'k':
    case 'K':
        return decode_large(body, alphabet36, true, out, capacity, len);
    case 'R':
        return decode_base45(body, out, capacity, len);
    case 'z':
        return eid_base58_decode(body, out, capacity, len);
    case 'Z':
        return decode_large(body, alphabet58_flickr, false, out, capacity, len);
    case 'm':
        return eid_base64_decode_unpadded(body, out, capacity, len);
    case 'M':
        return eid_base64_decode(body, out, capacity, len);
    case 'u':
        return decode_bits(body, alphabet64_url, false, 6, 0, out, capacity, len);
    case 'U':
        return decode_bits(body, alphabet64_url, false, 6, 4, out, capacity, len);
    default:
        return eid_fail(EID_ERR_SYNTAX, "the text starts with 0x%02x, which names no known base",
                        text.data[0]);
    }
}
