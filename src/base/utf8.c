/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, strictly. */
#include "base/utf8.h"

/* The length of the well-formed character at the start of the bytes, 0 when there is none. The second byte
 * carries the bounds against overlong forms, surrogates and values above U+10FFFF (Unicode table 3-7). */
static size_t character_length(const uint8_t *bytes, size_t len)
{
    uint8_t lead = bytes[0];
    if (lead < 0x80)
        return 1;
    if (lead < 0xc2 || lead > 0xf4)
        return 0;

    size_t wanted = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (len < wanted)
        return 0;

    uint8_t lowest = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t highest = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (bytes[1] < lowest || bytes[1] > highest)
        return 0;
    for (size_t i = 2; i < wanted; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    }
    return wanted;
}

bool eid_utf8_valid(eid_slice text)
{
    size_t at = 0;
    while (at < text.len) {
        /* Most text is ASCII: eight bytes at a time while no high bit is set. */
        while (text.len - at >= 8) {
            uint64_t block;
            memcpy(&block, text.data + at, sizeof block);
            if ((block & 0x8080808080808080u) != 0)
                break;
            at += 8;
        }
        if (at == text.len)
            break;
        size_t length = character_length(text.data + at, text.len - at);
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

size_t eid_utf8_cut(eid_slice text, size_t max)
{
    if (text.len < max)
        max = text.len;
    if (max == 0)
        return 0;

    /* The last character may be cut: look for its first byte, at most three bytes back. */
    size_t start = max - 1;
    while (start > 0 && max - start < 4 && (text.data[start] & 0xc0) == 0x80)
        start--;
    return character_length(text.data + start, max - start) == max - start ? max : start;
}
