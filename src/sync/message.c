/* SPDX-License-Identifier: Apache-2.0 */
/* What reading and writing of messages share: freeing, names, kinds of failure. */
#include "sync/message.h"

#include "base/alloc.h"

bool eid_message_malformed(eid_status status)
{
    switch (status) {
    case EID_ERR_SYNTAX:
    case EID_ERR_TRUNCATED:
    case EID_ERR_TRAILING_DATA:
    case EID_ERR_UTF8:
    case EID_ERR_DEPTH:
        return true;
    default:
        return false;
    }
}

eid_status eid_entry_list_add(eid_entry_list *list, eid_entry *entry)
{
    void *items = list->items;
    EID_TRY(eid_make_room(&items, &list->capacity, list->count, sizeof(eid_entry *)));
    list->items = items;
    list->items[list->count++] = entry;
    return EID_OK;
}

void eid_entry_list_free(eid_entry_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        eid_entry_unref(list->items[i]);
    eid_free(list->items);
    *list = (eid_entry_list){NULL, 0, 0};
}

void eid_addresses_free(eid_address **addresses, size_t count)
{
    for (size_t i = 0; i < count; i++)
        eid_address_free(addresses[i]);
    eid_free(addresses);
}

static void free_handshake_request(eid_handshake_request *handshake)
{
    eid_free(handshake->display_name);
    eid_free(handshake->challenge);
    eid_addresses_free(handshake->addresses, handshake->address_count);
}

static void free_tree_request(eid_tree_request *tree)
{
    eid_free(tree->tips);
    eid_free(tree->requesting_key_name);
    eid_doc_free(tree->metadata);
    eid_free(tree->proof.nonce);
    eid_free(tree->proof.signature);
}

void eid_request_free(eid_sync_request *request)
{
    switch (request->kind) {
    case EID_REQUEST_HANDSHAKE:
        free_handshake_request(&request->as.handshake);
        break;
    case EID_REQUEST_SYNC_TREE:
        free_tree_request(&request->as.tree);
        break;
    case EID_REQUEST_SEND_ENTRIES:
        eid_entry_list_free(&request->as.entries);
        break;
    }
    memset(request, 0, sizeof *request);
}

static void free_handshake_response(eid_handshake_response *handshake)
{
    eid_free(handshake->display_name);
    eid_free(handshake->challenge_response);
    eid_free(handshake->new_challenge);
    for (size_t i = 0; i < handshake->tree_count; i++)
        eid_free(handshake->trees[i].name);
    eid_free(handshake->trees);
}

void eid_response_free(eid_sync_response *response)
{
    switch (response->kind) {
    case EID_RESPONSE_HANDSHAKE:
        free_handshake_response(&response->as.handshake);
        break;
    case EID_RESPONSE_BOOTSTRAP:
        eid_entry_unref(response->as.bootstrap.root);
        eid_entry_list_free(&response->as.bootstrap.entries);
        break;
    case EID_RESPONSE_INCREMENTAL:
        eid_free(response->as.incremental.tips);
        eid_entry_list_free(&response->as.incremental.entries);
        break;
    case EID_RESPONSE_PENDING:
        eid_free(response->as.pending.request_id);
        eid_free(response->as.pending.message);
        break;
    case EID_RESPONSE_ERROR:
        eid_free(response->as.error);
        break;
    case EID_RESPONSE_ACK:
    case EID_RESPONSE_COUNT:
        break;
    }
    memset(response, 0, sizeof *response);
}

const char *eid_response_kind_name(eid_response_kind kind)
{
    static const char *const names[] = {
        [EID_RESPONSE_HANDSHAKE] = "Handshake",
        [EID_RESPONSE_BOOTSTRAP] = "Bootstrap",
        [EID_RESPONSE_INCREMENTAL] = "Incremental",
        [EID_RESPONSE_PENDING] = "BootstrapPending",
        [EID_RESPONSE_ACK] = "Ack",
        [EID_RESPONSE_COUNT] = "Count",
        [EID_RESPONSE_ERROR] = "Error",
    };
    return names[kind];
}
