/* SPDX-License-Identifier: Apache-2.0 */
/* What is said to an Iroh relay and by it: frames, and the proof of who one is (iroh-wire.md section 5). Pure
 * functions. */
#ifndef EID_TRANSPORT_IROH_RELAY_FRAME_H
#define EID_TRANSPORT_IROH_RELAY_FRAME_H

#include <eidetica/key.h>

#include "base/buf.h"

#define EID_RELAY_FRAME_MAX   65536u /* bytes; a longer one ends the connection (section 5.3) */
#define EID_RELAY_PROTOCOL_V1 "iroh-relay-v1"
#define EID_RELAY_PROTOCOL_V2 "iroh-relay-v2"

typedef enum eid_relay_kind {
    EID_RELAY_CHALLENGE = 0,
    EID_RELAY_CLIENT_AUTH = 1,
    EID_RELAY_CONFIRMS = 2,
    EID_RELAY_DENIES = 3,
    EID_RELAY_SEND = 4, /* datagrams to a peer */
    EID_RELAY_SEND_BATCH = 5,
    EID_RELAY_RECV = 6, /* datagrams from a peer */
    EID_RELAY_RECV_BATCH = 7,
    EID_RELAY_GONE = 8,
    EID_RELAY_PING = 9,
    EID_RELAY_PONG = 10,
    EID_RELAY_HEALTH = 11, /* version 1 */
    EID_RELAY_RESTARTING = 12,
    EID_RELAY_STATUS = 13,  /* version 2 */
    EID_RELAY_UNKNOWN = 255 /* of later versions: to be passed over */
} eid_relay_kind;

enum { EID_RELAY_STATUS_HEALTHY = 0, EID_RELAY_STATUS_SAME_ID = 1 };

/* Which fields count follows from the kind; slices are lent by what was read or is to be written. */
typedef struct eid_relay_frame {
    eid_relay_kind kind;
    uint8_t challenge[16]; /* CHALLENGE */
    eid_pubkey id;         /* CLIENT_AUTH, the four kinds of datagrams, GONE */
    uint8_t signature[64]; /* CLIENT_AUTH */
    uint8_t ecn;           /* datagrams: the bits of the IP header */
    uint16_t segment;      /* batches: bytes of every datagram but the last; 0: one datagram */
    eid_slice content;     /* datagrams, not empty; the reason of DENIES and HEALTH */
    uint8_t payload[8];    /* PING, PONG */
    uint32_t reconnect_ms; /* RESTARTING */
    uint32_t try_ms;
    uint8_t status; /* STATUS */
} eid_relay_frame;

/* EID_ERR_TRUNCATED, EID_ERR_TRAILING_DATA, EID_ERR_LIMIT, EID_ERR_SYNTAX. */
eid_status eid_relay_frame_read(eid_slice bytes, eid_relay_frame *out);
void eid_relay_frame_write(eid_buf *out, const eid_relay_frame *frame);

/* ---- Proofs (section 5.2) ---- */

/* CLIENT_AUTH: answers a challenge. */
void eid_relay_answer(const eid_keypair *key, const uint8_t challenge[16], eid_relay_frame *out);
/* EID_ERR_BAD_SIGNATURE. */
eid_status eid_relay_check_answer(const eid_relay_frame *answer, const uint8_t challenge[16]);

/* The label of the TLS exporter (RFC 5705) whose 32 bytes, with the client's public key as context, the
 * header proves. */
#define EID_RELAY_EXPORTER_LABEL "iroh-relay handshake v1"
#define EID_RELAY_HEADER         "X-Iroh-Relay-Client-Auth-V1"
#define EID_RELAY_HEADER_SIZE    152 /* 113 bytes in base64url, and the zero */
void eid_relay_header(const eid_keypair *key, const uint8_t exported[32], char out[EID_RELAY_HEADER_SIZE]);
typedef struct eid_relay_header_proof {
    eid_pubkey id;
    uint8_t signature[64];
    uint8_t suffix[16];
} eid_relay_header_proof;
/* EID_ERR_SYNTAX for a header that is none. */
eid_status eid_relay_header_read(eid_slice text, eid_relay_header_proof *out);
/* Whether it proves the id to be on the other end of the TLS connection that gave these bytes. False with a
 * proxy in between: the challenge decides then. */
bool eid_relay_header_proves(const eid_relay_header_proof *proof, const uint8_t exported[32]);

#endif
