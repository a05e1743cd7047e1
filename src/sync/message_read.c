/* SPDX-License-Identifier: Apache-2.0 */
/* Reading messages with the pull reader: the rules of sync-protocol.md section 11 for objects, written once.
 *
 * Every record is filled in place and freed by its owner on failure, so that the functions below just return.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "codec/cid.h"
#include "codec/fields.h"
#include "crdt/doc.h"
#include "crypto/key.h"
#include "sync/message.h"

/* ---- Values ---- */

static eid_status read_text_or_null(eid_json *reader, const char *what, char **out)
{
    bool was_null;
    EID_TRY(eid_json_read_null(reader, &was_null));
    return was_null ? EID_OK : eid_field_text(reader, what, out);
}

static eid_status read_key_or_null(eid_json *reader, const char *what, bool *present, eid_pubkey *out)
{
    bool was_null;
    EID_TRY(eid_json_read_null(reader, &was_null));
    if (was_null)
        return EID_OK;
    EID_TRY(eid_field_key(reader, what, out));
    *present = true;
    return EID_OK;
}

static eid_status read_u32(eid_json *reader, const char *what, uint32_t *out)
{
    uint64_t value;
    EID_TRY(eid_json_read_u64(reader, what, &value));
    if (value > UINT32_MAX)
        return eid_fail(EID_ERR_RANGE, "%s does not fit in 32 bits", what);
    *out = (uint32_t)value;
    return EID_OK;
}

static eid_status read_bytes(eid_json *reader, const char *what, uint8_t **data, size_t *len)
{
    eid_buf bytes;
    eid_buf_init(&bytes, reader->input.len);
    eid_status status = eid_json_read_bytes(reader, what, &bytes);
    if (status != EID_OK) {
        eid_buf_free(&bytes);
        return status;
    }
    return eid_buf_take(&bytes, data, len);
}

static eid_status read_ids(eid_json *reader, const char *what, eid_id **out, size_t *count)
{
    size_t capacity = 0;
    void *items = NULL;
    size_t read = 0;
    bool more = false;

    eid_status status = eid_json_begin_array(reader, what);
    while (status == EID_OK && (status = eid_json_next_item(reader, &more)) == EID_OK && more) {
        if (read >= EID_LIMIT_SYNC_TIPS)
            status = eid_fail(EID_ERR_LIMIT, "%s lists more than %d IDs", what, EID_LIMIT_SYNC_TIPS);
        else
            status = eid_make_room(&items, &capacity, read, sizeof(eid_id));
        if (status == EID_OK)
            status = eid_field_id(reader, what, &((eid_id *)items)[read]);
        if (status == EID_OK)
            read++;
    }
    if (status != EID_OK) {
        eid_free(items);
        return status;
    }
    *out = items;
    *count = read;
    return EID_OK;
}

static eid_status read_entries(eid_json *reader, const char *what, eid_entry_list *list)
{
    bool more;
    EID_TRY(eid_json_begin_array(reader, what));
    for (;;) {
        EID_TRY(eid_json_next_item(reader, &more));
        if (!more)
            return EID_OK;
        void *items = list->items;
        EID_TRY(eid_make_room(&items, &list->capacity, list->count, sizeof(eid_entry *)));
        list->items = items;
        eid_status status = eid_entry_read_json(reader, &list->items[list->count]);
        if (status != EID_OK)
            return eid_fail_context(status, "%s, item %zu", what, list->count);
        list->count++;
    }
}

/* ---- Variants ---- */

/* Enters {"Name":content} or reads "Name"; *unit tells the second form. The name is looked up in `names`. */
static eid_status begin_variant(eid_json *reader, const char *const *names, size_t count, size_t *variant,
                                bool *unit)
{
    eid_json_token token;
    eid_slice name = {NULL, 0};
    bool more = true;

    EID_TRY(eid_json_peek(reader, &token));
    if (token == EID_JSON_STRING) {
        EID_TRY(eid_json_read_text(reader, "message", &name));
    } else if (token == EID_JSON_BEGIN_OBJECT) {
        EID_TRY(eid_json_begin_object(reader, "message"));
        EID_TRY(eid_json_next_key(reader, &name, &more));
    } else {
        more = false;
    }
    if (!more)
        return eid_fail(EID_ERR_SYNTAX, "expected a message: an object with one member, or its name");
    for (size_t i = 0; i < count; i++) {
        if (eid_slice_is(name, names[i])) {
            *variant = i;
            *unit = token == EID_JSON_STRING;
            return EID_OK;
        }
    }
    return eid_fail(EID_ERR_WRONG_TYPE, "unknown variant `%.*s`", (int)eid_utf8_cut(name, 64),
                    (const char *)name.data);
}

static eid_status end_variant(eid_json *reader, bool unit)
{
    if (!unit) {
        bool more;
        eid_slice key;
        EID_TRY(eid_json_next_key(reader, &key, &more));
        if (more)
            return eid_fail(EID_ERR_SYNTAX, "expected the end of the message behind its one member");
    }
    return eid_json_end(reader);
}

static eid_status fail_unit(const char *name)
{
    return eid_fail(EID_ERR_WRONG_TYPE, "%s: invalid type: the name alone, expected content", name);
}

/* ---- Requests ---- */

eid_status eid_address_read_json(eid_json *reader, eid_address **out)
{
    static const char *const names[] = {"transport_type", "address"};
    EID_OBJECT(object, names, EID_FIELD(0) | EID_FIELD(1));
    char *parts[2] = {NULL, NULL};
    size_t field;
    bool more;

    eid_status status = eid_json_begin_object(reader, "address");
    while (status == EID_OK && (status = eid_object_next(reader, &object, &field, &more)) == EID_OK && more)
        status = eid_field_text(reader, names[field], &parts[field]);
    if (status == EID_OK)
        status = eid_address_make(eid_slice_text(parts[0]), eid_slice_text(parts[1]), out);
    eid_free(parts[0]);
    eid_free(parts[1]);
    return status;
}

eid_status eid_addresses_read_json(eid_json *reader, eid_address ***out, size_t *count)
{
    void *items = NULL;
    size_t capacity = 0, read = 0;
    bool more = false;

    eid_status status = eid_json_begin_array(reader, "addresses");
    while (status == EID_OK && (status = eid_json_next_item(reader, &more)) == EID_OK && more) {
        status = eid_make_room(&items, &capacity, read, sizeof(eid_address *));
        if (status == EID_OK)
            status = eid_address_read_json(reader, &((eid_address **)items)[read]);
        read += status == EID_OK;
    }
    if (status != EID_OK) {
        eid_addresses_free(items, read);
        return status;
    }
    *out = items;
    *count = read;
    return EID_OK;
}

static eid_status read_handshake_request(eid_json *reader, eid_handshake_request *out)
{
    enum { DEVICE_ID, PUBLIC_KEY, DISPLAY_NAME, VERSION, CHALLENGE, ADDRESSES };
    static const char *const names[] = {"device_id",        "public_key", "display_name",
                                        "protocol_version", "challenge",  "listen_addresses"};
    EID_OBJECT(object, names,
               EID_FIELD(DEVICE_ID) | EID_FIELD(PUBLIC_KEY) | EID_FIELD(VERSION) | EID_FIELD(CHALLENGE) |
                   EID_FIELD(ADDRESSES));
    size_t field;
    bool more;

    EID_TRY(eid_json_begin_object(reader, "Handshake"));
    for (;;) {
        EID_TRY(eid_object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        switch (field) {
        case DEVICE_ID:
            EID_TRY(eid_field_key(reader, names[field], &out->device_id));
            break;
        case PUBLIC_KEY:
            EID_TRY(eid_field_key(reader, names[field], &out->public_key));
            break;
        case DISPLAY_NAME:
            EID_TRY(read_text_or_null(reader, names[field], &out->display_name));
            break;
        case VERSION:
            EID_TRY(read_u32(reader, names[field], &out->protocol_version));
            break;
        case CHALLENGE:
            EID_TRY(read_bytes(reader, names[field], &out->challenge, &out->challenge_len));
            break;
        default:
            EID_TRY(eid_addresses_read_json(reader, &out->addresses, &out->address_count));
            break;
        }
    }
}

static eid_status read_proof(eid_json *reader, eid_request_proof *out)
{
    enum { KEY, TIMESTAMP, NONCE, SIGNATURE };
    static const char *const names[] = {"key", "timestamp_ms", "nonce", "signature"};
    EID_OBJECT(object, names,
               EID_FIELD(KEY) | EID_FIELD(TIMESTAMP) | EID_FIELD(NONCE) | EID_FIELD(SIGNATURE));
    size_t field;
    bool more;

    EID_TRY(eid_json_begin_object(reader, "auth"));
    for (;;) {
        EID_TRY(eid_object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        switch (field) {
        case KEY:
            EID_TRY(eid_field_key(reader, names[field], &out->key));
            break;
        case TIMESTAMP:
            EID_TRY(eid_json_read_u64(reader, names[field], &out->timestamp_ms));
            break;
        case NONCE:
            EID_TRY(read_bytes(reader, names[field], &out->nonce, &out->nonce_len));
            break;
        default:
            EID_TRY(read_bytes(reader, names[field], &out->signature, &out->signature_len));
            break;
        }
    }
}

enum tree_field { TREE_ID, OUR_TIPS, PEER_KEY, REQUESTING_KEY, KEY_NAME, PERMISSION, METADATA, AUTH };

/* The optional members, of which each may be null. */
static eid_status read_tree_option(eid_json *reader, size_t field, const char *name, eid_tree_request *out)
{
    bool was_null;
    EID_TRY(eid_json_read_null(reader, &was_null));
    if (was_null)
        return EID_OK;
    switch (field) {
    case PERMISSION:
        EID_TRY(eid_permission_read_json(reader, &out->permission));
        out->has_permission = true;
        return EID_OK;
    case METADATA:
        return eid_doc_read(reader, &out->metadata);
    case KEY_NAME:
        return eid_field_text(reader, name, &out->requesting_key_name);
    default:
        EID_TRY(read_proof(reader, &out->proof));
        out->has_proof = true;
        return EID_OK;
    }
}

static eid_status read_tree_request(eid_json *reader, eid_tree_request *out)
{
    static const char *const names[] = {"tree_id",
                                        "our_tips",
                                        "peer_pubkey",
                                        "requesting_key",
                                        "requesting_key_name",
                                        "requested_permission",
                                        "metadata",
                                        "auth"};
    EID_OBJECT(object, names, EID_FIELD(TREE_ID) | EID_FIELD(OUR_TIPS));
    size_t field;
    bool more;

    EID_TRY(eid_json_begin_object(reader, "SyncTree"));
    for (;;) {
        EID_TRY(eid_object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        switch (field) {
        case TREE_ID:
            EID_TRY(eid_field_id(reader, names[field], &out->tree));
            break;
        case OUR_TIPS:
            EID_TRY(read_ids(reader, names[field], &out->tips, &out->tip_count));
            out->tip_count = eid_ids_sort(out->tips, out->tip_count);
            break;
        case PEER_KEY:
            EID_TRY(read_key_or_null(reader, names[field], &out->has_peer_key, &out->peer_key));
            break;
        case REQUESTING_KEY:
            EID_TRY(read_key_or_null(reader, names[field], &out->has_requesting_key, &out->requesting_key));
            break;
        default:
            EID_TRY(read_tree_option(reader, field, names[field], out));
            break;
        }
    }
}

eid_status eid_request_read(eid_slice body, eid_sync_request *out)
{
    static const char *const names[] = {[EID_REQUEST_HANDSHAKE] = "Handshake",
                                        [EID_REQUEST_SYNC_TREE] = "SyncTree",
                                        [EID_REQUEST_SEND_ENTRIES] = "SendEntries"};
    eid_json reader;
    eid_sync_request request = {0};
    size_t variant = 0;
    bool unit = false;

    eid_json_init(&reader, body);
    eid_status status = begin_variant(&reader, names, 3, &variant, &unit);
    if (status == EID_OK && unit)
        status = fail_unit(names[variant]);
    if (status == EID_OK) {
        request.kind = (eid_request_kind)variant;
        if (request.kind == EID_REQUEST_HANDSHAKE)
            status = read_handshake_request(&reader, &request.as.handshake);
        else if (request.kind == EID_REQUEST_SYNC_TREE)
            status = read_tree_request(&reader, &request.as.tree);
        else
            status = read_entries(&reader, "SendEntries", &request.as.entries);
    }
    if (status == EID_OK)
        status = end_variant(&reader, unit);
    eid_json_free(&reader);
    if (status != EID_OK) {
        eid_request_free(&request);
        return status;
    }
    *out = request;
    return EID_OK;
}

/* ---- Responses ---- */

static eid_status read_tree_info(eid_json *reader, eid_tree_info *out)
{
    enum { ID, NAME, COUNT, MODIFIED };
    static const char *const names[] = {"tree_id", "name", "entry_count", "last_modified"};
    EID_OBJECT(object, names, EID_FIELD(ID) | EID_FIELD(COUNT) | EID_FIELD(MODIFIED));
    size_t field;
    bool more;

    EID_TRY(eid_json_begin_object(reader, "available_trees"));
    for (;;) {
        EID_TRY(eid_object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        switch (field) {
        case ID:
            EID_TRY(eid_field_id(reader, names[field], &out->tree));
            break;
        case NAME:
            EID_TRY(read_text_or_null(reader, names[field], &out->name));
            break;
        case COUNT:
            EID_TRY(eid_json_read_u64(reader, names[field], &out->entry_count));
            break;
        default:
            EID_TRY(eid_json_read_u64(reader, names[field], &out->last_modified));
            break;
        }
    }
}

static eid_status read_trees(eid_json *reader, eid_handshake_response *handshake)
{
    size_t capacity = 0;
    bool more;
    EID_TRY(eid_json_begin_array(reader, "available_trees"));
    for (;;) {
        EID_TRY(eid_json_next_item(reader, &more));
        if (!more)
            return EID_OK;
        void *items = handshake->trees;
        EID_TRY(eid_make_room(&items, &capacity, handshake->tree_count, sizeof(eid_tree_info)));
        handshake->trees = items;
        /* Counted before it is read, so that a name is freed whatever comes behind it. */
        eid_tree_info *info = &handshake->trees[handshake->tree_count++];
        memset(info, 0, sizeof *info);
        EID_TRY(read_tree_info(reader, info));
    }
}

static eid_status read_handshake_response(eid_json *reader, eid_handshake_response *out)
{
    enum { DEVICE_ID, PUBLIC_KEY, DISPLAY_NAME, VERSION, RESPONSE, NEW_CHALLENGE, TREES };
    static const char *const names[] = {"device_id",        "public_key",         "display_name",
                                        "protocol_version", "challenge_response", "new_challenge",
                                        "available_trees"};
    EID_OBJECT(object, names,
               EID_FIELD(DEVICE_ID) | EID_FIELD(PUBLIC_KEY) | EID_FIELD(VERSION) | EID_FIELD(RESPONSE) |
                   EID_FIELD(NEW_CHALLENGE) | EID_FIELD(TREES));
    size_t field;
    bool more;

    EID_TRY(eid_json_begin_object(reader, "Handshake"));
    for (;;) {
        EID_TRY(eid_object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        switch (field) {
        case DEVICE_ID:
            EID_TRY(eid_field_key(reader, names[field], &out->device_id));
            break;
        case PUBLIC_KEY:
            EID_TRY(eid_field_key(reader, names[field], &out->public_key));
            break;
        case DISPLAY_NAME:
            EID_TRY(read_text_or_null(reader, names[field], &out->display_name));
            break;
        case VERSION:
            EID_TRY(read_u32(reader, names[field], &out->protocol_version));
            break;
        case RESPONSE:
            EID_TRY(read_bytes(reader, names[field], &out->challenge_response, &out->challenge_response_len));
            break;
        case NEW_CHALLENGE:
            EID_TRY(read_bytes(reader, names[field], &out->new_challenge, &out->new_challenge_len));
            break;
        default:
            EID_TRY(read_trees(reader, out));
            break;
        }
    }
}

static eid_status read_granted(eid_json *reader, eid_bootstrap_response *out)
{
    bool was_null;
    EID_TRY(eid_json_read_null(reader, &was_null));
    if (was_null)
        return EID_OK;
    EID_TRY(eid_permission_read_json(reader, &out->permission));
    out->has_permission = true;
    return EID_OK;
}

static eid_status read_bootstrap(eid_json *reader, eid_bootstrap_response *out)
{
    enum { ID, ROOT, ENTRIES, APPROVED, GRANTED, MORE };
    static const char *const names[] = {"tree_id", "root_entry", "all_entries", "key_approved",
                                        "granted_permission", "more"};
    EID_OBJECT(object, names, EID_FIELD(ID) | EID_FIELD(ROOT) | EID_FIELD(ENTRIES) | EID_FIELD(APPROVED));
    size_t field;
    bool more;

    EID_TRY(eid_json_begin_object(reader, "Bootstrap"));
    for (;;) {
        EID_TRY(eid_object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        switch (field) {
        case ID:
            EID_TRY(eid_field_id(reader, names[field], &out->tree));
            break;
        case ROOT:
            EID_TRY(eid_entry_read_json(reader, &out->root));
            break;
        case ENTRIES:
            EID_TRY(read_entries(reader, names[field], &out->entries));
            break;
        case APPROVED:
            EID_TRY(eid_json_read_bool(reader, names[field], &out->key_approved));
            break;
        case MORE:
            EID_TRY(eid_json_read_bool(reader, names[field], &out->more));
            break;
        default:
            EID_TRY(read_granted(reader, out));
            break;
        }
    }
}

static eid_status read_incremental(eid_json *reader, eid_incremental_response *out)
{
    enum { ID, TIPS, ENTRIES, MORE };
    static const char *const names[] = {"tree_id", "their_tips", "missing_entries", "more"};
    EID_OBJECT(object, names, EID_FIELD(ID) | EID_FIELD(TIPS) | EID_FIELD(ENTRIES));
    size_t field;
    bool more;

    EID_TRY(eid_json_begin_object(reader, "Incremental"));
    for (;;) {
        EID_TRY(eid_object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        if (field == ID)
            EID_TRY(eid_field_id(reader, names[field], &out->tree));
        else if (field == TIPS)
            EID_TRY(read_ids(reader, names[field], &out->tips, &out->tip_count));
        else if (field == MORE)
            EID_TRY(eid_json_read_bool(reader, names[field], &out->more));
        else
            EID_TRY(read_entries(reader, names[field], &out->entries));
    }
}

static eid_status read_pending(eid_json *reader, eid_pending_response *out)
{
    static const char *const names[] = {"request_id", "message"};
    EID_OBJECT(object, names, EID_FIELD(0) | EID_FIELD(1));
    size_t field;
    bool more;

    EID_TRY(eid_json_begin_object(reader, "BootstrapPending"));
    for (;;) {
        EID_TRY(eid_object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        EID_TRY(eid_field_text(reader, names[field], field == 0 ? &out->request_id : &out->message));
    }
}

static eid_status read_ack(eid_json *reader)
{
    bool was_null;
    EID_TRY(eid_json_read_null(reader, &was_null));
    return was_null ? EID_OK : eid_fail(EID_ERR_WRONG_TYPE, "Ack: expected no content");
}

static eid_status read_response_content(eid_json *reader, eid_sync_response *out)
{
    switch (out->kind) {
    case EID_RESPONSE_HANDSHAKE:
        return read_handshake_response(reader, &out->as.handshake);
    case EID_RESPONSE_BOOTSTRAP:
        return read_bootstrap(reader, &out->as.bootstrap);
    case EID_RESPONSE_INCREMENTAL:
        return read_incremental(reader, &out->as.incremental);
    case EID_RESPONSE_PENDING:
        return read_pending(reader, &out->as.pending);
    case EID_RESPONSE_COUNT:
        return eid_json_read_u64(reader, "Count", &out->as.count);
    case EID_RESPONSE_ERROR:
        return eid_field_text(reader, "Error", &out->as.error);
    case EID_RESPONSE_ACK:
        break;
    }
    return read_ack(reader);
}

eid_status eid_response_read(eid_slice body, eid_sync_response *out)
{
    const char *names[EID_RESPONSE_ERROR + 1];
    eid_json reader;
    eid_sync_response response = {0};
    size_t variant = 0;
    bool unit = false;

    for (size_t i = 0; i <= EID_RESPONSE_ERROR; i++)
        names[i] = eid_response_kind_name((eid_response_kind)i);
    eid_json_init(&reader, body);
    eid_status status = begin_variant(&reader, names, EID_RESPONSE_ERROR + 1, &variant, &unit);
    if (status == EID_OK) {
        response.kind = (eid_response_kind)variant;
        if (!unit)
            status = read_response_content(&reader, &response);
        else if (response.kind != EID_RESPONSE_ACK)
            status = fail_unit(names[variant]);
    }
    if (status == EID_OK)
        status = end_variant(&reader, unit);
    eid_json_free(&reader);
    if (status != EID_OK) {
        eid_response_free(&response);
        return status;
    }
    *out = response;
    return EID_OK;
}
