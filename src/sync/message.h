/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of the sync protocol as records, and their JSON (sync-protocol.md sections 2 to 5 and 11).
 *
 * Reading streams: no tree of the document is built, entries are made as they pass, and a message may hold as
 * many entries as its bytes justify. Nothing is believed here beyond its shape; who calls judges. Two kinds
 * of failure are kept apart, see eid_message_malformed.
 */
#ifndef EID_SYNC_MESSAGE_H
#define EID_SYNC_MESSAGE_H

#include <eidetica/sync.h>

#include "auth/auth.h"
#include "base/buf.h"
#include "entry/entry.h"
#include "sync/address_int.h"

#define EID_SYNC_PROTOCOL_VERSION 0

/* True when this failure of eid_request_read or eid_response_read means "not JSON" rather than "JSON of
 * another shape". */
bool eid_message_malformed(eid_status status);

/* Entries of a message; each is a reference of its own. */
typedef struct eid_entry_list {
    eid_entry **items;
    size_t count;
    size_t capacity;
} eid_entry_list;

eid_status eid_entry_list_add(eid_entry_list *list, eid_entry *entry); /* takes the reference over */
void eid_entry_list_free(eid_entry_list *list); /* the references and the array; leaves it empty */

/* An address, and an array of them, as they stand in a handshake and in peer records. Free with
 * eid_addresses_free. */
eid_status eid_address_read_json(eid_json *reader, eid_address **out);
eid_status eid_addresses_read_json(eid_json *reader, eid_address ***out, size_t *count);
void eid_addresses_write_json(eid_buf *buf, eid_address *const *addresses, size_t count);
void eid_addresses_free(eid_address **addresses, size_t count);

/* ---- Requests ---- */

typedef enum eid_request_kind {
    EID_REQUEST_HANDSHAKE,
    EID_REQUEST_SYNC_TREE,
    EID_REQUEST_SEND_ENTRIES
} eid_request_kind;

typedef struct eid_handshake_request {
    eid_pubkey device_id;
    eid_pubkey public_key;
    char *display_name; /* NULL when null */
    uint32_t protocol_version;
    uint8_t *challenge;
    size_t challenge_len; /* any length may arrive; only one is answered */
    eid_address **addresses;
    size_t address_count;
} eid_handshake_request;

/* Proof that the sender holds a key (sync-protocol.md section 6.2). */
typedef struct eid_request_proof {
    eid_pubkey key;
    uint64_t timestamp_ms;
    uint8_t *nonce;
    size_t nonce_len;
    uint8_t *signature;
    size_t signature_len;
} eid_request_proof;

typedef struct eid_tree_request {
    eid_id tree;
    eid_id *tips; /* sorted, without duplicates, also when they arrived otherwise */
    size_t tip_count;
    bool has_peer_key;
    eid_pubkey peer_key;
    bool has_requesting_key;
    eid_pubkey requesting_key;
    char *requesting_key_name; /* NULL when null */
    bool has_permission;
    eid_permission permission;
    eid_doc *metadata; /* NULL when null */
    bool has_proof;
    eid_request_proof proof;
    /* Of the streamed form, where the question is signed in place of the tips: */
    unsigned question_kind; /* 0: this is no request of it */
    eid_slice question;     /* lent */
} eid_tree_request;

typedef struct eid_sync_request {
    eid_request_kind kind;
    union {
        eid_handshake_request handshake;
        eid_tree_request tree;
        eid_entry_list entries;
    } as;
} eid_sync_request;

/* The whole body. On failure nothing is left to free. EID_ERR_LIMIT for more than EID_LIMIT_SYNC_TIPS tips.
 */
eid_status eid_request_read(eid_slice body, eid_sync_request *out);
void eid_request_free(eid_sync_request *request); /* the members */
/* Compact JSON in the field order of the Rust implementation; failures stay in the buffer. */
void eid_request_write(eid_buf *buf, const eid_sync_request *request);

/* Pieces of a SendEntries request, for a sender that fills it entry by entry. `first` is cleared by the call.
 */
void eid_request_write_entries_begin(eid_buf *buf);
void eid_request_write_entries_end(eid_buf *buf);
void eid_message_write_item(eid_buf *buf, const eid_entry *entry, bool *first);

/* ---- Responses ---- */

typedef enum eid_response_kind {
    EID_RESPONSE_HANDSHAKE,
    EID_RESPONSE_BOOTSTRAP,
    EID_RESPONSE_INCREMENTAL,
    EID_RESPONSE_PENDING,
    EID_RESPONSE_ACK,
    EID_RESPONSE_COUNT,
    EID_RESPONSE_ERROR
} eid_response_kind;

/* "Handshake", "Bootstrap", …: the names of the wire. Static. */
const char *eid_response_kind_name(eid_response_kind kind);

typedef struct eid_tree_info {
    eid_id tree;
    char *name; /* NULL when null */
    uint64_t entry_count;
    uint64_t last_modified; /* seconds; 0 when unknown */
} eid_tree_info;

typedef struct eid_handshake_response {
    eid_pubkey device_id;
    eid_pubkey public_key;
    char *display_name; /* NULL when null */
    uint32_t protocol_version;
    uint8_t *challenge_response;
    size_t challenge_response_len;
    uint8_t *new_challenge;
    size_t new_challenge_len;
    eid_tree_info *trees;
    size_t tree_count;
} eid_handshake_response;

typedef struct eid_bootstrap_response {
    eid_id tree;
    eid_entry *root;
    eid_entry_list entries; /* without the root */
    bool key_approved;
    bool has_permission;
    eid_permission permission;
    bool more; /* a part: the rest is for the asking, see below */
} eid_bootstrap_response;

typedef struct eid_incremental_response {
    eid_id tree;
    eid_id *tips; /* in the order received */
    size_t tip_count;
    eid_entry_list entries;
    bool more; /* likewise */
} eid_incremental_response;

typedef struct eid_pending_response {
    char *request_id;
    char *message;
} eid_pending_response;

typedef struct eid_sync_response {
    eid_response_kind kind;
    union {
        eid_handshake_response handshake;
        eid_bootstrap_response bootstrap;
        eid_incremental_response incremental;
        eid_pending_response pending;
        uint64_t count;
        char *error;
    } as;
} eid_sync_response;

eid_status eid_response_read(eid_slice body, eid_sync_response *out);
void eid_response_free(eid_sync_response *response);
void eid_response_write(eid_buf *buf, const eid_sync_response *response);

/* Pieces of answers, for a responder that writes entries as it finds them: begin, then eid_message_write_item
 * for each entry (the root of a bootstrap goes to begin), then end. */
void eid_response_write_bootstrap_begin(eid_buf *buf, const eid_id *tree, const eid_entry *root);
/* `more`: the answer is a part, which holds all parents of what it holds. Who asks again with the tips it has then gets the next
 * part. A field of this library, "more":true, which others pass over: they ask again because they lack tips. */
void eid_response_write_bootstrap_end(eid_buf *buf, bool key_approved, const eid_permission *granted_or_null, bool more);
void eid_response_write_incremental_begin(eid_buf *buf, const eid_id *tree, const eid_id *tips,
                                          size_t tip_count);
void eid_response_write_incremental_end(eid_buf *buf, bool more);
void eid_response_write_error(eid_buf *buf, const char *text);
void eid_response_write_pending(eid_buf *buf, const char *request_id, const char *message);
void eid_response_write_ack(eid_buf *buf);
void eid_response_write_count(eid_buf *buf, uint64_t count);

#endif
