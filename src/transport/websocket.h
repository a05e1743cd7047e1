/* SPDX-License-Identifier: Apache-2.0 */
/* WebSocket framing (RFC 6455) without a socket: bytes go in, messages come out. No extensions. */
#ifndef EID_TRANSPORT_WEBSOCKET_H
#define EID_TRANSPORT_WEBSOCKET_H

#include "base/buf.h"

/* The opcodes of section 5.2. */
typedef enum eid_ws_kind {
    EID_WS_CONTINUATION = 0x0,
    EID_WS_TEXT = 0x1,
    EID_WS_BINARY = 0x2,
    EID_WS_CLOSE = 0x8,
    EID_WS_PING = 0x9,
    EID_WS_PONG = 0xA
} eid_ws_kind;

/* ---- The opening handshake ---- */

#define EID_WS_KEY_SIZE 25    /* 16 random bytes in base64, and the zero */
#define EID_WS_ACCEPT_SIZE 29 /* a SHA-1 in base64, and the zero */
void eid_ws_new_key(char out[EID_WS_KEY_SIZE]);
/* Sec-WebSocket-Accept for a Sec-WebSocket-Key (section 4.2.2). */
void eid_ws_accept(eid_slice key, char out[EID_WS_ACCEPT_SIZE]);

/* ---- Reading ---- */

typedef struct eid_ws_reader {
    bool from_client;   /* a server reads masked frames, a client unmasked ones (section 5.1) */
    uint8_t head[14];   /* of the frame that is coming */
    size_t head_len;
    uint64_t left;      /* bytes of its payload that have not come; valid when head_len is complete */
    bool in_payload;
    eid_ws_kind kind;   /* of that frame */
    bool final;
    eid_ws_kind message_kind; /* of the message under way; CONTINUATION: none is */
    eid_buf message;    /* at most the maximum given */
    eid_buf control;    /* control frames come between the parts of a message: at most 125 bytes */
} eid_ws_reader;

/* `max`: bytes of the largest message taken. */
void eid_ws_reader_init(eid_ws_reader *reader, bool from_client, size_t max);
void eid_ws_reader_free(eid_ws_reader *reader);

/* A whole message, or a control frame. The bytes are lent for the call. What it returns ends the reading unless it is EID_OK. */
typedef eid_status (*eid_ws_message)(eid_ws_kind kind, eid_slice payload, void *ctx);
/* Takes bytes as they come. EID_ERR_SYNTAX for what breaks the protocol (the connection is to be closed then), EID_ERR_LIMIT
 * for a message that is too long. */
eid_status eid_ws_read(eid_ws_reader *reader, eid_slice bytes, eid_ws_message callback, void *ctx);

/* ---- Writing ---- */

#define EID_WS_FRAME_OVERHEAD 14
/* Appends one frame that is a whole message. A client masks, with four bytes nobody can foresee; a server does not. */
void eid_ws_write(eid_buf *out, eid_ws_kind kind, eid_slice payload, bool masked);

#endif
