/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of the relay protocol and its proofs; see relay_frame.h. */
#include "transport/iroh/relay_frame.h"

#include <string.h>

#include "codec/base.h"
#include "crypto/blake3.h"

#define SIGNATURE_LEN 0x40u /* how the length of a signature is written before it */
#define EXPORTED_HALF 16u
#define CONTEXT       "iroh-relay handshake v1 challenge signature"
#define HEADER_BYTES  113u

/* ---- Reading ---- */

/* What is left of a frame. */
typedef struct rest {
    const uint8_t *at;
    size_t len;
} rest;

static eid_status take(rest *r, void *out, size_t len)
{
    if (r->len < len)
        return eid_fail(EID_ERR_TRUNCATED, "A frame of the relay protocol ends too early");
    memcpy(out, r->at, len);
    r->at += len;
    r->len -= len;
    return EID_OK;
}

static eid_status take_number(rest *r, size_t size, uint32_t *out)
{
    uint8_t bytes[4];
    uint32_t number = 0;
    EID_TRY(take(r, bytes, size));
    for (size_t i = 0; i < size; i++)
        number = number << 8 | bytes[i];
    *out = number;
    return EID_OK;
}

static eid_slice take_all(rest *r)
{
    eid_slice all = eid_slice_of(r->at, r->len);
    r->at += r->len;
    r->len = 0;
    return all;
}

static eid_status read_datagrams(rest *r, bool batch, eid_relay_frame *frame)
{
    uint32_t segment = 0;
    EID_TRY(take(r, frame->id.bytes, sizeof frame->id.bytes));
    EID_TRY(take(r, &frame->ecn, 1));
    if (batch)
        EID_TRY(take_number(r, 2, &segment));
    frame->segment = (uint16_t)segment;
    frame->content = take_all(r);
    return frame->content.len > 0 ? EID_OK
                                  : eid_fail(EID_ERR_SYNTAX, "A frame of the relay protocol has no datagram");
}

static eid_status read_auth(rest *r, eid_relay_frame *frame)
{
    uint8_t len;
    EID_TRY(take(r, frame->id.bytes, sizeof frame->id.bytes));
    EID_TRY(take(r, &len, 1));
    if (len != SIGNATURE_LEN)
        return eid_fail(EID_ERR_SYNTAX, "A signature for a relay has %u bytes, not %u", (unsigned)len,
                        SIGNATURE_LEN);
    return take(r, frame->signature, sizeof frame->signature);
}

/* A text with its length before it; longer ones than fit into two bytes of length are no reasons. */
static eid_status read_reason(rest *r, eid_relay_frame *frame)
{
    uint8_t low, high = 0;
    EID_TRY(take(r, &low, 1));
    if ((low & 0x80) != 0)
        EID_TRY(take(r, &high, 1));
    size_t len = (size_t)(low & 0x7F) | (size_t)high << 7;
    if ((high & 0x80) != 0 || len > r->len)
        return eid_fail(EID_ERR_TRUNCATED, "The reason of a relay ends too early");
    frame->content = eid_slice_of(r->at, len);
    r->at += len;
    r->len -= len;
    return EID_OK;
}

static eid_status read_body(rest *r, eid_relay_frame *frame)
{
    switch (frame->kind) {
    case EID_RELAY_CHALLENGE:
        return take(r, frame->challenge, sizeof frame->challenge);
    case EID_RELAY_CLIENT_AUTH:
        return read_auth(r, frame);
    case EID_RELAY_CONFIRMS:
        return EID_OK;
    case EID_RELAY_DENIES:
        return read_reason(r, frame);
    case EID_RELAY_SEND:
    case EID_RELAY_RECV:
        return read_datagrams(r, false, frame);
    case EID_RELAY_SEND_BATCH:
    case EID_RELAY_RECV_BATCH:
        return read_datagrams(r, true, frame);
    case EID_RELAY_GONE:
        return take(r, frame->id.bytes, sizeof frame->id.bytes);
    case EID_RELAY_PING:
    case EID_RELAY_PONG:
        return take(r, frame->payload, sizeof frame->payload);
    case EID_RELAY_HEALTH:
        frame->content = take_all(r);
        return EID_OK;
    case EID_RELAY_RESTARTING:
        EID_TRY(take_number(r, 4, &frame->reconnect_ms));
        return take_number(r, 4, &frame->try_ms);
    case EID_RELAY_STATUS:
        return take(r, &frame->status, 1);
    case EID_RELAY_UNKNOWN:
        break;
    }
    take_all(r);
    return EID_OK;
}

eid_status eid_relay_frame_read(eid_slice bytes, eid_relay_frame *out)
{
    eid_relay_frame frame;
    memset(&frame, 0, sizeof frame);
    if (bytes.len == 0)
        return eid_fail(EID_ERR_TRUNCATED, "A frame of the relay protocol is empty");
    if (bytes.len > EID_RELAY_FRAME_MAX)
        return eid_fail(EID_ERR_LIMIT, "A frame of the relay protocol has %zu bytes; %u are allowed",
                        bytes.len, EID_RELAY_FRAME_MAX);
    frame.kind = bytes.data[0] <= EID_RELAY_STATUS ? (eid_relay_kind)bytes.data[0] : EID_RELAY_UNKNOWN;
    rest r = {bytes.data + 1, bytes.len - 1};
    EID_TRY(read_body(&r, &frame));
    if (r.len > 0)
        return eid_fail(EID_ERR_TRAILING_DATA, "Something follows a frame of the relay protocol");
    *out = frame;
    return EID_OK;
}

/* ---- Writing ---- */

static void put_number(eid_buf *out, uint32_t number, size_t size)
{
    for (size_t i = size; i > 0; i--)
        eid_buf_append_byte(out, (uint8_t)(number >> (8 * (i - 1))));
}

static void put_reason(eid_buf *out, eid_slice reason)
{
    size_t len = reason.len < 0x4000 ? reason.len : 0x3FFF;
    if (len >= 0x80)
        eid_buf_append_byte(out, (uint8_t)(0x80 | (len & 0x7F)));
    eid_buf_append_byte(out, (uint8_t)(len >= 0x80 ? len >> 7 : len));
    eid_buf_append(out, reason.data, len);
}

void eid_relay_frame_write(eid_buf *out, const eid_relay_frame *frame)
{
    eid_buf_append_byte(out, (uint8_t)frame->kind);
    switch (frame->kind) {
    case EID_RELAY_CHALLENGE:
        eid_buf_append(out, frame->challenge, sizeof frame->challenge);
        break;
    case EID_RELAY_CLIENT_AUTH:
        eid_buf_append(out, frame->id.bytes, sizeof frame->id.bytes);
        eid_buf_append_byte(out, SIGNATURE_LEN);
        eid_buf_append(out, frame->signature, sizeof frame->signature);
        break;
    case EID_RELAY_DENIES:
        put_reason(out, frame->content);
        break;
    case EID_RELAY_SEND:
    case EID_RELAY_RECV:
    case EID_RELAY_SEND_BATCH:
    case EID_RELAY_RECV_BATCH:
        eid_buf_append(out, frame->id.bytes, sizeof frame->id.bytes);
        eid_buf_append_byte(out, frame->ecn);
        if (frame->kind == EID_RELAY_SEND_BATCH || frame->kind == EID_RELAY_RECV_BATCH)
            put_number(out, frame->segment, 2);
        eid_buf_append_slice(out, frame->content);
        break;
    case EID_RELAY_GONE:
        eid_buf_append(out, frame->id.bytes, sizeof frame->id.bytes);
        break;
    case EID_RELAY_PING:
    case EID_RELAY_PONG:
        eid_buf_append(out, frame->payload, sizeof frame->payload);
        break;
    case EID_RELAY_HEALTH:
        eid_buf_append_slice(out, frame->content);
        break;
    case EID_RELAY_RESTARTING:
        put_number(out, frame->reconnect_ms, 4);
        put_number(out, frame->try_ms, 4);
        break;
    case EID_RELAY_STATUS:
        eid_buf_append_byte(out, frame->status);
        break;
    case EID_RELAY_CONFIRMS:
    case EID_RELAY_UNKNOWN:
        break;
    }
}

/* ---- Proofs ---- */

static void message_of(const uint8_t challenge[16], uint8_t out[32])
{
    eid_blake3 hasher;
    eid_blake3_init_derive_key(&hasher, CONTEXT);
    eid_blake3_update(&hasher, challenge, 16);
    eid_blake3_final(&hasher, out);
}

void eid_relay_answer(const eid_keypair *key, const uint8_t challenge[16], eid_relay_frame *out)
{
    uint8_t message[32];
    message_of(challenge, message); /* first: the challenge may stand in `out` */
    memset(out, 0, sizeof *out);
    out->kind = EID_RELAY_CLIENT_AUTH;
    eid_keypair_public(key, &out->id);
    eid_keypair_sign(key, message, sizeof message, out->signature);
}

eid_status eid_relay_check_answer(const eid_relay_frame *answer, const uint8_t challenge[16])
{
    uint8_t message[32];
    message_of(challenge, message);
    return eid_pubkey_verify(&answer->id, message, sizeof message, answer->signature);
}

/* base64url is base64 with two other characters. */
static void replace(char *text, char from, char to)
{
    for (; *text != '\0'; text++)
        *text = *text == from ? to : *text;
}

void eid_relay_header(const eid_keypair *key, const uint8_t exported[32], char out[EID_RELAY_HEADER_SIZE])
{
    uint8_t bytes[HEADER_BYTES];
    eid_pubkey id;
    char padded[EID_BASE64_SIZE(HEADER_BYTES)];
    eid_keypair_public(key, &id);
    memcpy(bytes, id.bytes, sizeof id.bytes);
    bytes[32] = SIGNATURE_LEN;
    eid_keypair_sign(key, exported, EXPORTED_HALF, bytes + 33);
    memcpy(bytes + 97, exported + EXPORTED_HALF, EXPORTED_HALF);
    eid_base64_encode_unpadded(bytes, sizeof bytes, padded);
    replace(padded, '+', '-');
    replace(padded, '/', '_');
    memcpy(out, padded, strlen(padded) + 1);
}

eid_status eid_relay_header_read(eid_slice text, eid_relay_header_proof *out)
{
    char copy[EID_RELAY_HEADER_SIZE];
    uint8_t bytes[HEADER_BYTES];
    size_t len;
    if (text.len != sizeof copy - 1 || memchr(text.data, '+', text.len) != NULL ||
        memchr(text.data, '/', text.len) != NULL || memchr(text.data, '\0', text.len) != NULL)
        return eid_fail(EID_ERR_SYNTAX, "Not a proof of an endpoint ID: it has %d characters of base64url",
                        EID_RELAY_HEADER_SIZE - 1);
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    replace(copy, '-', '+');
    replace(copy, '_', '/');
    EID_TRY(eid_base64_decode_unpadded(eid_slice_text(copy), bytes, sizeof bytes, &len));
    if (len != sizeof bytes || bytes[32] != SIGNATURE_LEN)
        return eid_fail(EID_ERR_SYNTAX, "Not a proof of an endpoint ID: its parts have other lengths");
    memcpy(out->id.bytes, bytes, sizeof out->id.bytes);
    memcpy(out->signature, bytes + 33, sizeof out->signature);
    memcpy(out->suffix, bytes + 97, sizeof out->suffix);
    return EID_OK;
}

bool eid_relay_header_proves(const eid_relay_header_proof *proof, const uint8_t exported[32])
{
    return memcmp(proof->suffix, exported + EXPORTED_HALF, EXPORTED_HALF) == 0 &&
           eid_pubkey_verify(&proof->id, exported, EXPORTED_HALF, proof->signature) == EID_OK;
}
