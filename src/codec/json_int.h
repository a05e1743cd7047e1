/* SPDX-License-Identifier: Apache-2.0 */
/* What the JSON reader and the JSON writer share: the scan over characters that stand for themselves. */
#ifndef EID_CODEC_JSON_INT_H
#define EID_CODEC_JSON_INT_H

#include "base/slice.h"

/* The first byte in [at, end) that can not stand unescaped inside a JSON string: a quote, a backslash or a control
 * character; `end` when there is none. */
static inline const uint8_t *eid_json_plain_end(const uint8_t *at, const uint8_t *end)
{
    const uint64_t ones = 0x0101010101010101u;
    const uint64_t highs = 0x8080808080808080u;

    /* Eight at a time. A byte minus a bound borrows into its high bit when it is below the bound; bytes that have
     * the high bit themselves are never special. Borrows can only mark bytes behind a true hit, so "none marked"
     * is exact, and a marked block is looked at byte by byte. */
    while (end - at >= 8) {
        uint64_t block;
        memcpy(&block, at, sizeof block);
        uint64_t quote = block ^ (ones * '"');
        uint64_t backslash = block ^ (ones * '\\');
        uint64_t special = ((block - ones * 0x20) | (quote - ones) | (backslash - ones)) & ~block & highs;
        if (special != 0)
            break;
        at += 8;
    }
    while (at < end && *at >= 0x20 && *at != '"' && *at != '\\')
        at++;
    return at;
}

#endif
