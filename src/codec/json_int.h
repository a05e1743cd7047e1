/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the JSON reader and writer share. */
#ifndef EID_CODEC_JSON_INT_H
#define EID_CODEC_JSON_INT_H

#include "codec/json.h"

enum eid_json_state {
    EXPECT_VALUE, /* at the start, after a colon, after a comma in an array */
    EXPECT_ITEM_OR_END,
    EXPECT_KEY_OR_END,
    AFTER_VALUE, /* a comma or the end of the container; at depth 0 the end of the document */
    FINISHED
};

enum eid_json_container { IN_ARRAY, IN_OBJECT };

/* Where a reader stood, so that a call of several tokens can undo itself. Valid as long as the containers
 * open at the mark were not closed since. */
typedef struct eid_json_mark {
    size_t at;
    size_t depth;
    eid_slice text;
    eid_json_token token;
    uint8_t state;
    bool peeked;
} eid_json_mark;

eid_json_mark eid_json_mark_here(const eid_json *reader);
void eid_json_go_back(eid_json *reader, const eid_json_mark *to);

/* EID_ERR_WRONG_TYPE about the last token read. */
eid_status eid_json_fail_type(const eid_json *reader, const char *what, const char *expected);

static inline size_t eid_json_skip_space(eid_slice input, size_t at)
{
    while (at < input.len) {
        uint8_t byte = input.data[at];
        if (byte != ' ' && byte != '\n' && byte != '\r' && byte != '\t')
            break;
        at++;
    }
    return at;
}

static inline bool eid_json_is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* The first byte in [at, end) that can not stand unescaped inside a JSON string: a quote, a backslash or a
 * control character; `end` when there is none. */
static inline const uint8_t *eid_json_plain_end(const uint8_t *at, const uint8_t *end)
{
    const uint64_t ones = 0x0101010101010101u;
    const uint64_t highs = 0x8080808080808080u;

    /* Eight at a time. A byte minus a bound borrows into its high bit when it is below the bound; bytes that
     * have the high bit themselves are never special. Borrows can only mark bytes behind a true hit, so "none
     * marked" is exact, and so is the first mark where the first byte is the lowest. */
    while (end - at >= 8) {
        uint64_t block;
        memcpy(&block, at, sizeof block);
        uint64_t quote = block ^ (ones * '"');
        uint64_t backslash = block ^ (ones * '\\');
        uint64_t special = ((block - ones * 0x20) | (quote - ones) | (backslash - ones)) & ~block & highs;
        if (special != 0) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            return at + (__builtin_ctzll(special) >> 3);
#else
            break;
#endif
        }
        at += 8;
    }
    while (at < end && *at >= 0x20 && *at != '"' && *at != '\\')
        at++;
    return at;
}

#endif
