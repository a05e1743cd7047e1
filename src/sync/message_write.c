/* SPDX-License-Identifier: Apache-2.0 */
/* Writing messages as compact JSON, fields in the order the Rust implementation writes them, nothing left
 * out. */
#include "codec/fields.h"
#include "crdt/doc.h"
#include "crypto/key.h"
#include "sync/message.h"

/* ---- Parts ---- */

static void write_ids(eid_buf *buf, const eid_id *ids, size_t count)
{
    eid_buf_append_byte(buf, '[');
    for (size_t i = 0; i < count; i++) {
        if (i != 0)
            eid_buf_append_byte(buf, ',');
        eid_write_id_text(buf, &ids[i]);
    }
    eid_buf_append_byte(buf, ']');
}

static void write_text_or_null(eid_buf *buf, const char *text)
{
    if (text == NULL)
        eid_buf_append_text(buf, "null");
    else
        eid_json_write_cstr(buf, text);
}

static void write_key_or_null(eid_buf *buf, bool present, const eid_pubkey *key)
{
    if (present)
        eid_write_key_text(buf, key);
    else
        eid_buf_append_text(buf, "null");
}

static void write_permission_or_null(eid_buf *buf, const eid_permission *permission)
{
    if (permission != NULL)
        eid_permission_write_json(buf, *permission);
    else
        eid_buf_append_text(buf, "null");
}

void eid_message_write_item(eid_buf *buf, const eid_entry *entry, bool *first)
{
    if (!*first)
        eid_buf_append_byte(buf, ',');
    *first = false;
    eid_entry_write_json(buf, entry);
}

static void write_entries(eid_buf *buf, const eid_entry_list *entries)
{
    bool first = true;
    for (size_t i = 0; i < entries->count; i++)
        eid_message_write_item(buf, entries->items[i], &first);
}

void eid_addresses_write_json(eid_buf *buf, eid_address *const *addresses, size_t count)
{
    eid_buf_append_byte(buf, '[');
    for (size_t i = 0; i < count; i++) {
        eid_buf_append_text(buf, i == 0 ? "{\"transport_type\":" : ",{\"transport_type\":");
        eid_json_write_cstr(buf, addresses[i]->transport);
        eid_buf_append_text(buf, ",\"address\":");
        eid_json_write_cstr(buf, addresses[i]->text);
        eid_buf_append_byte(buf, '}');
    }
    eid_buf_append_byte(buf, ']');
}

/* ---- Requests ---- */

static void write_handshake_request(eid_buf *buf, const eid_handshake_request *handshake)
{
    eid_buf_append_text(buf, "{\"Handshake\":{\"device_id\":");
    eid_write_key_text(buf, &handshake->device_id);
    eid_buf_append_text(buf, ",\"public_key\":");
    eid_write_key_text(buf, &handshake->public_key);
    eid_buf_append_text(buf, ",\"display_name\":");
    write_text_or_null(buf, handshake->display_name);
    eid_buf_append_text(buf, ",\"protocol_version\":");
    eid_json_write_u64(buf, handshake->protocol_version);
    eid_buf_append_text(buf, ",\"challenge\":");
    eid_json_write_bytes(buf, eid_slice_of(handshake->challenge, handshake->challenge_len));
    eid_buf_append_text(buf, ",\"listen_addresses\":");
    eid_addresses_write_json(buf, handshake->addresses, handshake->address_count);
    eid_buf_append_text(buf, "}}");
}

static void write_proof(eid_buf *buf, const eid_request_proof *proof)
{
    eid_buf_append_text(buf, "{\"key\":");
    eid_write_key_text(buf, &proof->key);
    eid_buf_append_text(buf, ",\"timestamp_ms\":");
    eid_json_write_u64(buf, proof->timestamp_ms);
    eid_buf_append_text(buf, ",\"nonce\":");
    eid_json_write_bytes(buf, eid_slice_of(proof->nonce, proof->nonce_len));
    eid_buf_append_text(buf, ",\"signature\":");
    eid_json_write_bytes(buf, eid_slice_of(proof->signature, proof->signature_len));
    eid_buf_append_byte(buf, '}');
}

static void write_tree_request(eid_buf *buf, const eid_tree_request *tree)
{
    eid_buf_append_text(buf, "{\"SyncTree\":{\"tree_id\":");
    eid_write_id_text(buf, &tree->tree);
    eid_buf_append_text(buf, ",\"our_tips\":");
    write_ids(buf, tree->tips, tree->tip_count);
    eid_buf_append_text(buf, ",\"peer_pubkey\":");
    write_key_or_null(buf, tree->has_peer_key, &tree->peer_key);
    eid_buf_append_text(buf, ",\"requesting_key\":");
    write_key_or_null(buf, tree->has_requesting_key, &tree->requesting_key);
    eid_buf_append_text(buf, ",\"requesting_key_name\":");
    write_text_or_null(buf, tree->requesting_key_name);
    eid_buf_append_text(buf, ",\"requested_permission\":");
    write_permission_or_null(buf, tree->has_permission ? &tree->permission : NULL);
    eid_buf_append_text(buf, ",\"metadata\":");
    if (tree->metadata != NULL)
        eid_doc_write(buf, tree->metadata);
    else
        eid_buf_append_text(buf, "null");
    eid_buf_append_text(buf, ",\"auth\":");
    if (tree->has_proof)
        write_proof(buf, &tree->proof);
    else
        eid_buf_append_text(buf, "null");
    eid_buf_append_text(buf, "}}");
}

void eid_request_write_entries_begin(eid_buf *buf)
{
    eid_buf_append_text(buf, "{\"SendEntries\":[");
}

void eid_request_write_entries_end(eid_buf *buf)
{
    eid_buf_append_text(buf, "]}");
}

void eid_request_write(eid_buf *buf, const eid_sync_request *request)
{
    switch (request->kind) {
    case EID_REQUEST_HANDSHAKE:
        write_handshake_request(buf, &request->as.handshake);
        break;
    case EID_REQUEST_SYNC_TREE:
        write_tree_request(buf, &request->as.tree);
        break;
    case EID_REQUEST_SEND_ENTRIES:
        eid_request_write_entries_begin(buf);
        write_entries(buf, &request->as.entries);
        eid_request_write_entries_end(buf);
        break;
    }
}

/* ---- Responses ---- */

static void write_handshake_response(eid_buf *buf, const eid_handshake_response *handshake)
{
    eid_buf_append_text(buf, "{\"Handshake\":{\"device_id\":");
    eid_write_key_text(buf, &handshake->device_id);
    eid_buf_append_text(buf, ",\"public_key\":");
    eid_write_key_text(buf, &handshake->public_key);
    eid_buf_append_text(buf, ",\"display_name\":");
    write_text_or_null(buf, handshake->display_name);
    eid_buf_append_text(buf, ",\"protocol_version\":");
    eid_json_write_u64(buf, handshake->protocol_version);
    eid_buf_append_text(buf, ",\"challenge_response\":");
    eid_json_write_bytes(buf, eid_slice_of(handshake->challenge_response, handshake->challenge_response_len));
    eid_buf_append_text(buf, ",\"new_challenge\":");
    eid_json_write_bytes(buf, eid_slice_of(handshake->new_challenge, handshake->new_challenge_len));
    eid_buf_append_text(buf, ",\"available_trees\":[");
    for (size_t i = 0; i < handshake->tree_count; i++) {
        const eid_tree_info *info = &handshake->trees[i];
        eid_buf_append_text(buf, i == 0 ? "{\"tree_id\":" : ",{\"tree_id\":");
        eid_write_id_text(buf, &info->tree);
        eid_buf_append_text(buf, ",\"name\":");
        write_text_or_null(buf, info->name);
        eid_buf_append_text(buf, ",\"entry_count\":");
        eid_json_write_u64(buf, info->entry_count);
        eid_buf_append_text(buf, ",\"last_modified\":");
        eid_json_write_u64(buf, info->last_modified);
        eid_buf_append_byte(buf, '}');
    }
    eid_buf_append_text(buf, "]}}");
}

void eid_response_write_bootstrap_begin(eid_buf *buf, const eid_id *tree, const eid_entry *root)
{
    eid_buf_append_text(buf, "{\"Bootstrap\":{\"tree_id\":");
    eid_write_id_text(buf, tree);
    eid_buf_append_text(buf, ",\"root_entry\":");
    eid_entry_write_json(buf, root);
    eid_buf_append_text(buf, ",\"all_entries\":[");
}

static void write_answer_end(eid_buf *buf, bool more)
{
    eid_buf_append_text(buf, more ? ",\"more\":true}}" : "}}");
}

void eid_response_write_bootstrap_end(eid_buf *buf, bool key_approved, const eid_permission *granted_or_null, bool more)
{
    eid_buf_append_text(buf, "],\"key_approved\":");
    eid_buf_append_text(buf, key_approved ? "true" : "false");
    eid_buf_append_text(buf, ",\"granted_permission\":");
    write_permission_or_null(buf, granted_or_null);
    write_answer_end(buf, more);
}

void eid_response_write_incremental_begin(eid_buf *buf, const eid_id *tree, const eid_id *tips,
                                          size_t tip_count)
{
    eid_buf_append_text(buf, "{\"Incremental\":{\"tree_id\":");
    eid_write_id_text(buf, tree);
    eid_buf_append_text(buf, ",\"their_tips\":");
    write_ids(buf, tips, tip_count);
    eid_buf_append_text(buf, ",\"missing_entries\":[");
}

void eid_response_write_incremental_end(eid_buf *buf, bool more)
{
    eid_buf_append_byte(buf, ']');
    write_answer_end(buf, more);
}

void eid_response_write_error(eid_buf *buf, const char *text)
{
    eid_buf_append_text(buf, "{\"Error\":");
    eid_json_write_cstr(buf, text);
    eid_buf_append_byte(buf, '}');
}

void eid_response_write_pending(eid_buf *buf, const char *request_id, const char *message)
{
    eid_buf_append_text(buf, "{\"BootstrapPending\":{\"request_id\":");
    eid_json_write_cstr(buf, request_id);
    eid_buf_append_text(buf, ",\"message\":");
    eid_json_write_cstr(buf, message);
    eid_buf_append_text(buf, "}}");
}

void eid_response_write_ack(eid_buf *buf)
{
    eid_buf_append_text(buf, "\"Ack\"");
}

void eid_response_write_count(eid_buf *buf, uint64_t count)
{
    eid_buf_append_text(buf, "{\"Count\":");
    eid_json_write_u64(buf, count);
    eid_buf_append_byte(buf, '}');
}

void eid_response_write(eid_buf *buf, const eid_sync_response *response)
{
    const eid_bootstrap_response *bootstrap = &response->as.bootstrap;
    const eid_incremental_response *incremental = &response->as.incremental;

    switch (response->kind) {
    case EID_RESPONSE_HANDSHAKE:
        write_handshake_response(buf, &response->as.handshake);
        break;
    case EID_RESPONSE_BOOTSTRAP:
        eid_response_write_bootstrap_begin(buf, &bootstrap->tree, bootstrap->root);
        write_entries(buf, &bootstrap->entries);
        eid_response_write_bootstrap_end(buf, bootstrap->key_approved,
                                         bootstrap->has_permission ? &bootstrap->permission : NULL, bootstrap->more);
        break;
    case EID_RESPONSE_INCREMENTAL:
        eid_response_write_incremental_begin(buf, &incremental->tree, incremental->tips,
                                             incremental->tip_count);
        write_entries(buf, &incremental->entries);
        eid_response_write_incremental_end(buf, incremental->more);
        break;
    case EID_RESPONSE_PENDING:
        eid_response_write_pending(buf, response->as.pending.request_id, response->as.pending.message);
        break;
    case EID_RESPONSE_ACK:
        eid_response_write_ack(buf);
        break;
    case EID_RESPONSE_COUNT:
        eid_response_write_count(buf, response->as.count);
        break;
    case EID_RESPONSE_ERROR:
        eid_response_write_error(buf, response->as.error);
        break;
    }
}
