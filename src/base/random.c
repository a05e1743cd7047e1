/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes come from libsodium, which asks the operating system and needs no seeding of ours. */
#include "base/random.h"

#include <sodium.h>
#include <string.h>

void eid_random_bytes(void *out, size_t len)
{
    if (len > 0)
        randombytes_buf(out, len);
}

uint64_t eid_random_u64(void)
{
    uint64_t value;
    eid_random_bytes(&value, sizeof value);
    return value;
}

void eid_uuid_new(eid_uuid *out)
{
    eid_random_bytes(out->bytes, sizeof out->bytes);
    out->bytes[6] = (uint8_t)((out->bytes[6] & 0x0f) | 0x40);
    out->bytes[8] = (uint8_t)((out->bytes[8] & 0x3f) | 0x80);
}

/* Hyphens stand after these many bytes. */
static bool hyphen_after(size_t bytes)
{
    return bytes == 4 || bytes == 6 || bytes == 8 || bytes == 10;
}

void eid_uuid_format(const eid_uuid *uuid, char out[EID_UUID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    size_t at = 0;
    for (size_t i = 0; i < sizeof uuid->bytes; i++) {
        if (hyphen_after(i))
            out[at++] = '-';
        out[at++] = digits[uuid->bytes[i] >> 4];
        out[at++] = digits[uuid->bytes[i] & 15];
    }
    out[at] = '\0';
}

/* The value of a hexadecimal digit, or -1. */
static int digit_value(uint8_t character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    if (character >= 'a' && character <= 'f')
        return character - 'a' + 10;
    if (character >= 'A' && character <= 'F')
        return character - 'A' + 10;
    return -1;
}

/* Takes off what may stand around the hyphenated form. */
static eid_slice strip_wrapping(eid_slice text)
{
    static const char urn[] = "urn:uuid:";
    if (text.len == 38 && text.data[0] == '{' && text.data[37] == '}')
        return eid_slice_of(text.data + 1, 36);
    if (text.len == 45 && memcmp(text.data, urn, sizeof urn - 1) == 0)
        return eid_slice_of(text.data + 9, 36);
    return text;
}

bool eid_uuid_parse(eid_slice text, eid_uuid *out)
{
    eid_slice plain = strip_wrapping(text);
    bool hyphenated = plain.len == 36;
    if (!hyphenated && plain.len != 32)
        return false;

    eid_uuid uuid;
    size_t at = 0;
    for (size_t i = 0; i < sizeof uuid.bytes; i++) {
        if (hyphenated && hyphen_after(i) && plain.data[at++] != '-')
            return false;
        int high = digit_value(plain.data[at]);
        int low = digit_value(plain.data[at + 1]);
        if (high < 0 || low < 0)
            return false;
        uuid.bytes[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    *out = uuid;
    return true;
}
