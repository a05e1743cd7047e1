/* SPDX-License-Identifier: Apache-2.0 */
/* WebSocket framing; see websocket.h. Section numbers are those of RFC 6455. */
#include "transport/websocket.h"

#include <nettle/sha1.h>

#include "base/random.h"
#include "codec/base.h"

#define FINAL       0x80u
#define RESERVED    0x70u
#define OPCODE      0x0Fu
#define MASKED      0x80u
#define LENGTH      0x7Fu
#define LENGTH_16   126u
#define LENGTH_64   127u
#define CONTROL     0x8u /* opcodes from here on are those of control frames */
#define CONTROL_MAX 125u
#define MASK_SIZE   4u
#define GUID        "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* section 1.3 */

/* ---- The opening handshake ---- */

void eid_ws_new_key(char out[EID_WS_KEY_SIZE])
{
    uint8_t nonce[16];
    eid_random_bytes(nonce, sizeof nonce);
    eid_base64_encode(nonce, sizeof nonce, out);
}

void eid_ws_accept(eid_slice key, char out[EID_WS_ACCEPT_SIZE])
{
    struct sha1_ctx sha1;
    uint8_t digest[SHA1_DIGEST_SIZE];
    sha1_init(&sha1);
    sha1_update(&sha1, key.len, key.data);
    sha1_update(&sha1, sizeof GUID - 1, (const uint8_t *)GUID);
    sha1_digest(&sha1, sizeof digest, digest);
    eid_base64_encode(digest, sizeof digest, out);
}

/* ---- Reading ---- */

void eid_ws_reader_init(eid_ws_reader *reader, bool from_client, size_t max)
{
    memset(reader, 0, sizeof *reader);
    reader->from_client = from_client;
    eid_buf_init(&reader->message, max);
    eid_buf_init(&reader->control, CONTROL_MAX);
}

void eid_ws_reader_free(eid_ws_reader *reader)
{
    eid_buf_free(&reader->message);
    eid_buf_free(&reader->control);
}

static eid_status broken(const char *what)
{
    return eid_fail(EID_ERR_SYNTAX, "Not WebSocket: %s", what);
}

static bool is_control(eid_ws_kind kind)
{
    return (kind & CONTROL) != 0;
}

/* How many bytes the head has, as far as the first two tell. */
static size_t head_size(const eid_ws_reader *reader)
{
    if (reader->head_len < 2)
        return 2;
    unsigned length = reader->head[1] & LENGTH;
    size_t extended = length == LENGTH_16 ? 2 : length == LENGTH_64 ? 8 : 0;
    return 2 + extended + (reader->from_client ? MASK_SIZE : 0);
}

static uint64_t payload_len(const eid_ws_reader *reader)
{
    unsigned length = reader->head[1] & LENGTH;
    size_t extended = length == LENGTH_16 ? 2 : length == LENGTH_64 ? 8 : 0;
    uint64_t len = extended == 0 ? length : 0;
    for (size_t i = 0; i < extended; i++)
        len = len << 8 | reader->head[2 + i];
    return len;
}

static eid_status check_kind(const eid_ws_reader *reader)
{
    switch (reader->kind) {
    case EID_WS_CONTINUATION:
        return reader->message_kind == EID_WS_CONTINUATION ? broken("a part without a beginning") : EID_OK;
    case EID_WS_TEXT:
    case EID_WS_BINARY:
        return reader->message_kind != EID_WS_CONTINUATION ? broken("a message inside another one") : EID_OK;
    case EID_WS_CLOSE:
    case EID_WS_PING:
    case EID_WS_PONG:
        return !reader->final || reader->left > CONTROL_MAX
                   ? broken("a control frame in parts, or a long one")
                   : EID_OK;
    default:
        return broken("an unknown kind of frame");
    }
}

/* The head is complete: what is to come? Lengths are judged before anything is kept. */
static eid_status begin_payload(eid_ws_reader *reader)
{
    reader->kind = (eid_ws_kind)(reader->head[0] & OPCODE);
    reader->final = (reader->head[0] & FINAL) != 0;
    reader->left = payload_len(reader);
    EID_TRY(check_kind(reader));
    if (!is_control(reader->kind)) {
        if (reader->left > reader->message.max - reader->message.len)
            return eid_fail(EID_ERR_LIMIT, "A WebSocket message has more than %zu bytes",
                            reader->message.max);
        if (reader->kind != EID_WS_CONTINUATION)
            reader->message_kind = reader->kind;
    }
    reader->in_payload = true;
    return EID_OK;
}

static eid_status take_head(eid_ws_reader *reader, uint8_t byte)
{
    reader->head[reader->head_len++] = byte;
    if (reader->head_len == 1 && (byte & RESERVED) != 0)
        return broken("a reserved bit is set");
    if (reader->head_len == 2 && ((byte & MASKED) != 0) != reader->from_client)
        return broken(reader->from_client ? "a client has to mask" : "a server may not mask");
    return reader->head_len == head_size(reader) ? begin_payload(reader) : EID_OK;
}

static void take_payload(eid_ws_reader *reader, eid_slice *bytes)
{
    eid_buf *to = is_control(reader->kind) ? &reader->control : &reader->message;
    uint64_t offset = payload_len(reader) - reader->left;
    size_t len = bytes->len < reader->left ? bytes->len : (size_t)reader->left;
    uint8_t *place = eid_buf_reserve(to, len);
    if (place != NULL) {
        const uint8_t *mask = reader->head + reader->head_len - MASK_SIZE;
        for (size_t i = 0; i < len; i++)
            place[i] = reader->from_client ? bytes->data[i] ^ mask[(offset + i) % MASK_SIZE] : bytes->data[i];
        eid_buf_commit(to, len);
    }
    reader->left -= len;
    *bytes = eid_slice_of(bytes->data + len, bytes->len - len);
}

/* The frame is complete; hands out what it completes. */
static eid_status end_frame(eid_ws_reader *reader, eid_ws_message callback, void *ctx)
{
    bool control = is_control(reader->kind);
    eid_buf *from = control ? &reader->control : &reader->message;
    eid_ws_kind kind = control ? reader->kind : reader->message_kind;
    reader->head_len = 0;
    reader->in_payload = false;
    EID_TRY(eid_buf_status(from));
    if (!reader->final)
        return EID_OK;
    if (!control)
        reader->message_kind = EID_WS_CONTINUATION;
    eid_status status = callback(kind, eid_buf_slice(from), ctx);
    eid_buf_reset(from);
    return status;
}

eid_status eid_ws_read(eid_ws_reader *reader, eid_slice bytes, eid_ws_message callback, void *ctx)
{
    while (bytes.len > 0) {
        if (!reader->in_payload) {
            EID_TRY(take_head(reader, bytes.data[0]));
            bytes = eid_slice_of(bytes.data + 1, bytes.len - 1);
        } else {
            take_payload(reader, &bytes);
        }
        if (reader->in_payload && reader->left == 0)
            EID_TRY(end_frame(reader, callback, ctx));
    }
    return EID_OK;
}

/* ---- Writing ---- */

static void write_length(eid_buf *out, size_t len, uint8_t mask_bit)
{
    if (len < LENGTH_16) {
        eid_buf_append_byte(out, (uint8_t)(mask_bit | len));
        return;
    }
    size_t extended = len <= UINT16_MAX ? 2 : 8;
    eid_buf_append_byte(out, (uint8_t)(mask_bit | (extended == 2 ? LENGTH_16 : LENGTH_64)));
    for (size_t i = extended; i > 0; i--)
        eid_buf_append_byte(out, (uint8_t)((uint64_t)len >> (8 * (i - 1))));
}

void eid_ws_write(eid_buf *out, eid_ws_kind kind, eid_slice payload, bool masked)
{
    uint8_t mask[MASK_SIZE] = {0};
    eid_buf_append_byte(out, (uint8_t)(FINAL | kind));
    write_length(out, payload.len, masked ? MASKED : 0);
    if (masked) {
        eid_random_bytes(mask, sizeof mask);
        eid_buf_append(out, mask, sizeof mask);
    }
    uint8_t *place = eid_buf_reserve(out, payload.len);
    if (place == NULL)
        return;
    for (size_t i = 0; i < payload.len; i++)
        place[i] = payload.data[i] ^ mask[i % MASK_SIZE];
    eid_buf_commit(out, payload.len);
}
