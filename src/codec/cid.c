/* SPDX-License-Identifier: Apache-2.0 */
/* Content identifiers: binary form, text form, and the two orders. */
#include "codec/cid.h"

#include <stdlib.h>

#include "base/limits.h"
#include "codec/base.h"
#include "codec/varint.h"

#define V0_BYTES    34
#define V0_TEXT     46   /* characters of every version 0 identifier */
#define DECODED_MAX 128  /* bytes a text may stand for: an ID, and some trailing bytes that are dropped */
#define DAG_PB      0x70 /* the codec every version 0 identifier has without saying so */

_Static_assert(EID_LIMIT_CID_DIGEST + 31 <= EID_ID_MAX_BYTES, "four integers and the longest digest fit");

static bool is_v0(const eid_id *id)
{
    return id->len == V0_BYTES && id->bytes[0] == 0x12;
}

static void set_bytes(eid_id *out, const uint8_t *bytes, size_t len)
{
    memset(out, 0, sizeof *out);
    memcpy(out->bytes, bytes, len);
    out->len = (uint8_t)len;
}

void eid_id_from_digest(uint64_t codec, const uint8_t digest[32], eid_id *out)
{
    uint8_t bytes[1 + EID_VARINT_MAX + 2 + 32] = {1};
    size_t len = 1 + eid_varint_put(bytes + 1, codec);
    bytes[len++] = EID_HASH_BLAKE3;
    bytes[len++] = 32;
    memcpy(bytes + len, digest, 32);
    set_bytes(out, bytes, len + 32);
}

/* ---- binary form ---- */

typedef struct parts {
    uint64_t version;
    uint64_t codec;
    uint64_t hash;
    eid_slice digest;
} parts;

static eid_status fail_binary(const char *why)
{
    return eid_fail(EID_ERR_INVALID_ID, "not a content identifier: %s", why);
}

/* Takes one CID from the front of *input apart. */
static eid_status split(eid_slice *input, parts *out)
{
    eid_slice rest = *input;
    if (rest.len >= 2 && rest.data[0] == 0x12 && rest.data[1] == 0x20) {
        if (rest.len < V0_BYTES)
            return fail_binary("the digest is cut off");
        parts v0 = {0, DAG_PB, 0x12, eid_slice_of(rest.data + 2, 32)};
        *input = eid_slice_of(rest.data + V0_BYTES, rest.len - V0_BYTES);
        *out = v0;
        return EID_OK;
    }

    parts found;
    uint64_t digest_len;
    if (eid_varint_read(&rest, &found.version) != EID_OK || eid_varint_read(&rest, &found.codec) != EID_OK)
        return fail_binary("the version or the codec is not a minimal integer");
    if (found.version != 1)
        return fail_binary("the version is neither 0 nor 1");
    if (eid_varint_read(&rest, &found.hash) != EID_OK || eid_varint_read(&rest, &digest_len) != EID_OK)
        return fail_binary("the hash code or the digest length is not a minimal integer");
    if (digest_len > EID_LIMIT_CID_DIGEST)
        return fail_binary("the digest is longer than 64 bytes");
    if (digest_len > rest.len)
        return fail_binary("the digest is cut off");
    found.digest = eid_slice_of(rest.data, (size_t)digest_len);
    *input = eid_slice_of(rest.data + digest_len, rest.len - (size_t)digest_len);
    *out = found;
    return EID_OK;
}

eid_status eid_id_read(eid_slice *input, eid_id *out)
{
    parts found;
    eid_slice rest = *input;
    EID_TRY(split(&rest, &found));
    set_bytes(out, input->data, (size_t)(rest.data - input->data));
    *input = rest;
    return EID_OK;
}

eid_status eid_id_from_binary(eid_slice bytes, eid_id *out)
{
    eid_id id;
    EID_TRY(eid_id_read(&bytes, &id));
    if (bytes.len > 0)
        return fail_binary("bytes follow the digest");
    *out = id;
    return EID_OK;
}

eid_slice eid_id_slice(const eid_id *id)
{
    return eid_slice_of(id->bytes, id->len);
}

/* ---- text form ---- */

static eid_slice after_ipfs(eid_slice text)
{
    static const char marker[] = "/ipfs/";
    const uint8_t *found = text.len == 0 ? NULL : memmem(text.data, text.len, marker, sizeof marker - 1);
    if (found == NULL)
        return text;
    size_t skipped = (size_t)(found - text.data) + sizeof marker - 1;
    return eid_slice_of(text.data + skipped, text.len - skipped);
}

eid_status eid_id_parse_slice(eid_slice text, eid_id *out)
{
    if (text.len == 0) {
        memset(out, 0, sizeof *out);
        return EID_OK;
    }
    text = after_ipfs(text);
    if (text.len < 2)
        return eid_fail(EID_ERR_INVALID_ID, "not a content identifier: the text is too short");

    uint8_t bytes[DECODED_MAX];
    size_t len;
    bool v0 = text.len == V0_TEXT && text.data[0] == 'Q' && text.data[1] == 'm';
    eid_status status = v0 ? eid_base58_decode(text, bytes, sizeof bytes, &len)
                           : eid_multibase_decode(text, bytes, sizeof bytes, &len);
    if (status != EID_OK)
        return eid_fail_context(EID_ERR_INVALID_ID, "not a content identifier");
    eid_slice binary = eid_slice_of(bytes, len);
    return eid_id_read(&binary, out);
}

eid_status eid_id_parse(const char *text, eid_id *out)
{
    EID_NEED(text && out);
    return eid_id_parse_slice(eid_slice_text(text), out);
}

void eid_id_format(const eid_id *id, char out[EID_ID_TEXT_SIZE])
{
    if (id->len == 0) {
        out[0] = '\0';
    } else if (is_v0(id)) {
        eid_base58_encode(id->bytes, id->len, out, EID_ID_TEXT_SIZE);
    } else {
        out[0] = 'b';
        eid_base32_encode(id->bytes, id->len, out + 1);
    }
}

/* ---- order ---- */

bool eid_id_is_empty(const eid_id *id)
{
    return id->len == 0;
}

bool eid_id_equal(const eid_id *a, const eid_id *b)
{
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

bool eid_id_is_entry(const eid_id *id)
{
    static const uint8_t head[4] = {1, EID_CODEC_DAG_CBOR, EID_HASH_BLAKE3, 32};
    return id->len == EID_CID_BYTES && memcmp(id->bytes, head, sizeof head) == 0;
}

static int compare_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

int eid_id_compare(const eid_id *a, const eid_id *b)
{
    if (a->len == 0 || b->len == 0)
        return compare_numbers(a->len, b->len);
    /* Everything before the digest is equal in nearly every pair: all four integers are one byte long then.
     */
    if (a->len == EID_CID_BYTES && b->len == EID_CID_BYTES && memcmp(a->bytes, b->bytes, 4) == 0)
        return memcmp(a->bytes + 4, b->bytes + 4, EID_CID_BYTES - 4);

    parts left, right;
    eid_slice left_bytes = eid_id_slice(a);
    eid_slice right_bytes = eid_id_slice(b);
    /* Only a value that was never read or made here can not be taken apart; it still gets a place. */
    if (split(&left_bytes, &left) != EID_OK || split(&right_bytes, &right) != EID_OK)
        return eid_slice_compare(eid_id_slice(a), eid_id_slice(b));
    int order = compare_numbers(left.version, right.version);
    if (order == 0)
        order = compare_numbers(left.codec, right.codec);
    if (order == 0)
        order = compare_numbers(left.hash, right.hash);
    if (order == 0)
        order = compare_numbers(left.digest.len, right.digest.len);
    return order != 0 ? order : eid_slice_compare(left.digest, right.digest);
}

/* The five bits at index `group`, as base32 cuts them; bits behind the last byte are zero, as in the text. */
static unsigned five_bits(const eid_id *id, size_t group)
{
    size_t bit = group * 5;
    unsigned pair = (unsigned)id->bytes[bit / 8] << 8 | id->bytes[bit / 8 + 1];
    return pair >> (11 - bit % 8) & 31;
}

/* Where a base32 digit stands in ASCII: '2' to '7' have the highest values but come before the letters. */
static unsigned ascii_rank(unsigned value)
{
    return value >= 26 ? value - 26 : value + 6;
}

int eid_id_compare_text(const eid_id *a, const eid_id *b)
{
    bool left_v0 = is_v0(a);
    bool right_v0 = is_v0(b);
    if (a->len == 0 || b->len == 0)
        return compare_numbers(a->len, b->len);
    /* "Qm…" comes before "b…". Among version 0 the texts have one length and the digits of base58 ascend in
     * ASCII, so the texts are ordered like the bytes. */
    if (left_v0 || right_v0)
        return left_v0 && right_v0 ? memcmp(a->bytes, b->bytes, V0_BYTES) : (left_v0 ? -1 : 1);

    size_t shared = a->len < b->len ? a->len : b->len;
    size_t at = 0;
    while (at < shared && a->bytes[at] == b->bytes[at])
        at++;
    if (at == shared)
        return compare_numbers(a->len, b->len);
    /* The texts are equal up to the digit that holds the first differing bit. */
    unsigned differing = (unsigned)(a->bytes[at] ^ b->bytes[at]);
    size_t bit = at * 8 + (size_t)(__builtin_clz(differing) - 24);
    size_t group = bit / 5;
    return compare_numbers(ascii_rank(five_bits(a, group)), ascii_rank(five_bits(b, group)));
}

static int compare_for_sort(const void *a, const void *b)
{
    return eid_id_compare(a, b);
}

size_t eid_ids_sort(eid_id *ids, size_t count)
{
    if (count < 2)
        return count;
    qsort(ids, count, sizeof *ids, compare_for_sort);
    size_t kept = 1;
    for (size_t i = 1; i < count; i++) {
        if (!eid_id_equal(&ids[i], &ids[kept - 1]))
            ids[kept++] = ids[i];
    }
    return kept;
}
