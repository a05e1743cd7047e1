/* SPDX-License-Identifier: Apache-2.0 */
/* Asking peers: handshake, pull, push (sync-behaviour.md section 3).
 *
 * What comes back is judged in full before anything is stored: the message must be readable to its end,
 * answer what was asked, and hold nothing of other databases. Then the entries go the way of all received
 * entries.
 */
#include "base/alloc.h"
#include "base/log.h"
#include "codec/cid.h"
#include "codec/fields.h"
#include "sync/sync_int.h"

#define OWN_NAME "BackgroundSync"

/* ---- One exchange ---- */

static eid_status carry_bytes(eid_sync *sync, const eid_address *address, eid_slice body,
                              eid_sync_response *out)
{
    eid_buf answer;
    eid_buf_init(&answer, EID_LIMIT_HTTP_RESPONSE_BYTES);
    eid_status status = eid_sync_carry(sync, address, body, &answer);
    if (status == EID_OK) {
        status = eid_response_read(eid_buf_slice(&answer), out);
        if (status != EID_OK && status != EID_ERR_NO_MEMORY)
            status = eid_fail_context(status, "Network error: Failed to parse response");
    }
    eid_buf_free(&answer);
    return status;
}

static eid_status carry(eid_sync *sync, const eid_address *address, const eid_sync_request *request,
                        eid_sync_response *out)
{
    eid_buf body;
    eid_buf_init(&body, EID_LIMIT_HTTP_REQUEST_BYTES);
    eid_request_write(&body, request);
    eid_status status = eid_buf_status(&body);
    if (status == EID_OK)
        status = carry_bytes(sync, address, eid_buf_slice(&body), out);
    eid_buf_free(&body);
    return status;
}

static eid_status fail_unexpected(const char *expected, eid_response_kind got)
{
    return eid_fail(EID_ERR_UNEXPECTED_RESPONSE, "Unexpected response type: expected %s, got %s", expected,
                    eid_response_kind_name(got));
}

/* ---- Handshake ---- */

static eid_status check_handshake(const eid_sync *sync, const eid_sync_response *response,
                                  const uint8_t challenge[EID_LIMIT_CHALLENGE_BYTES])
{
    const eid_handshake_response *handshake = &response->as.handshake;
    if (response->kind == EID_RESPONSE_ERROR)
        return eid_fail(EID_ERR_HANDSHAKE_FAILED, "Handshake failed: %s", response->as.error);
    if (response->kind != EID_RESPONSE_HANDSHAKE)
        return eid_fail(EID_ERR_HANDSHAKE_FAILED, "Handshake failed: Unexpected response type");
    if (handshake->protocol_version != EID_SYNC_PROTOCOL_VERSION)
        return eid_fail(EID_ERR_PROTOCOL_MISMATCH, "Protocol version mismatch: expected %d, received %u",
                        EID_SYNC_PROTOCOL_VERSION, handshake->protocol_version);
    if (handshake->challenge_response_len != 64 ||
        eid_pubkey_verify(&handshake->public_key, challenge, EID_LIMIT_CHALLENGE_BYTES,
                          handshake->challenge_response) != EID_OK)
        return eid_fail(EID_ERR_HANDSHAKE_FAILED,
                        "Handshake failed: Signature verification failed: the peer does not "
                        "hold the key it names");
    if (eid_pubkey_equal(&handshake->public_key, &sync->device))
        return eid_fail(EID_ERR_HANDSHAKE_FAILED,
                        "Handshake failed: this address leads back to this instance");
    return EID_OK;
}

eid_status eid_sync_handshake(eid_sync *sync, const eid_address *address, eid_pubkey *peer)
{
    uint8_t challenge[EID_LIMIT_CHALLENGE_BYTES];
    char name[] = OWN_NAME;
    eid_sync_response response;
    eid_sync_request request = {.kind = EID_REQUEST_HANDSHAKE};
    eid_handshake_request *handshake = &request.as.handshake;

    eid_random_bytes(challenge, sizeof challenge);
    handshake->device_id = sync->device;
    handshake->public_key = sync->device;
    handshake->display_name = name;
    handshake->protocol_version = EID_SYNC_PROTOCOL_VERSION;
    handshake->challenge = challenge;
    handshake->challenge_len = sizeof challenge;
    EID_TRY(eid_sync_own_addresses(sync, &handshake->addresses, &handshake->address_count));
    eid_status status = carry(sync, address, &request, &response);
    eid_addresses_free(handshake->addresses, handshake->address_count);
    EID_TRY(status);

    status = check_handshake(sync, &response, challenge);
    if (status == EID_OK) {
        eid_address *copy = NULL;
        status = eid_address_copy(address, &copy);
        if (status == EID_OK)
            status = eid_peer_note(sync, &response.as.handshake.public_key,
                                   response.as.handshake.display_name, &copy, 1);
        eid_address_free(copy);
    }
    if (status == EID_OK)
        *peer = response.as.handshake.public_key;
    eid_response_free(&response);
    return status;
}

/* ---- What peers reported ---- */

/* The tips a peer had for a database when we last asked. Sent along with our own, they let it stop its walk
 * where we parted; told to the push, they keep it from sending what the peer has. */
typedef struct eid_reported {
    size_t count;
    eid_id tips[];
} eid_reported;

void eid_reported_free(void *reported)
{
    eid_free(reported);
}

static eid_slice reported_key(const eid_pubkey *peer, const eid_id *database,
                              uint8_t room[32 + EID_ID_MAX_BYTES])
{
    memcpy(room, peer->bytes, 32);
    memcpy(room + 32, database->bytes, database->len);
    return eid_slice_of(room, 32u + database->len);
}

static void remember_reported(eid_sync *sync, const eid_pubkey *peer, const eid_id *database,
                              const eid_id *tips, size_t count)
{
    uint8_t room[32 + EID_ID_MAX_BYTES];
    eid_slice key = reported_key(peer, database, room);
    eid_map_entry *entry = NULL;
    void *dropped = NULL;

    /* Only a saving: too many tips or no memory, and the next sync sends a little more. */
    if (count > EID_LIMIT_REPORTED_TIPS)
        return;
    eid_reported *reported = eid_alloc(sizeof *reported + count * sizeof reported->tips[0]);
    if (reported == NULL)
        return;
    reported->count = count;
    if (count != 0)
        memcpy(reported->tips, tips, count * sizeof reported->tips[0]);
    pthread_mutex_lock(&sync->cache_mutex);
    if (eid_map_len(sync->reported) >= EID_LIMIT_REPORTED_TREES && eid_map_find(sync->reported, key) == NULL)
        dropped = eid_map_remove(sync->reported, eid_map_first(sync->reported)->key);
    if (eid_map_put(sync->reported, key, &entry, NULL) == EID_OK) {
        eid_free(dropped);
        dropped = entry->value;
        entry->value = reported;
        reported = NULL;
    }
    pthread_mutex_unlock(&sync->cache_mutex);
    eid_free(dropped);
    eid_free(reported);
}

/* A growing list of IDs. */
typedef struct id_list {
    void *items;
    size_t count;
    size_t capacity;
} id_list;

static eid_status append_id(id_list *list, const eid_id *id)
{
    EID_TRY(eid_make_room(&list->items, &list->capacity, list->count, sizeof *id));
    ((eid_id *)list->items)[list->count++] = *id;
    return EID_OK;
}

static eid_status append_ids(id_list *list, const eid_id *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        EID_TRY(append_id(list, &ids[i]));
    return EID_OK;
}

static eid_status append_reported(eid_sync *sync, const eid_pubkey *peer, const eid_id *database,
                                  id_list *list)
{
    uint8_t room[32 + EID_ID_MAX_BYTES];
    eid_status status = EID_OK;

    pthread_mutex_lock(&sync->cache_mutex);
    const eid_reported *reported = eid_map_get(sync->reported, reported_key(peer, database, room));
    if (reported != NULL)
        status = append_ids(list, reported->tips, reported->count);
    pthread_mutex_unlock(&sync->cache_mutex);
    return status;
}

/* Drops the IDs whose entries are not held, with all their ancestors: nothing may be claimed that is not
 * here. */
static eid_status keep_held(eid_sync *sync, id_list *list)
{
    eid_storage *storage = eid_core_storage(sync->core);
    eid_id *ids = list->items;
    size_t kept = 0;
    eid_status status = EID_OK;

    eid_storage_lock(storage);
    for (size_t i = 0; i < list->count && status == EID_OK; i++) {
        int64_t n, d;
        status = eid_storage_find(storage, &ids[i], &n, &d);
        if (status == EID_OK && n != 0)
            ids[kept++] = ids[i];
    }
    eid_storage_unlock(storage);
    list->count = kept;
    return status;
}

/* Our tips, and what the peer reported of those entries we hold. Empty when the database is not held. */
static eid_status tips_to_send(eid_sync *sync, const eid_pubkey *peer, const eid_id *database, id_list *out)
{
    eid_id *tips;
    size_t count;
    if (!eid_core_holds(sync->core, database))
        return EID_OK;
    EID_TRY(eid_core_tips(sync->core, database, &tips, &count));
    eid_status status = append_reported(sync, peer, database, out);
    if (status == EID_OK)
        status = keep_held(sync, out);
    if (status == EID_OK)
        status = append_ids(out, tips, count);
    eid_free(tips);
    if (status != EID_OK)
        return status;
    out->count = eid_ids_sort(out->items, out->count);
    /* Any part of them is as true; the peer then sends some entries we have. */
    if (out->count > EID_LIMIT_SENT_TIPS)
        out->count = EID_LIMIT_SENT_TIPS;
    return EID_OK;
}

/* ---- Receiving ---- */

/* One sync of one database with one peer. */
typedef struct session {
    eid_sync *sync;
    const eid_address *address;
    const eid_pubkey *peer;
    const eid_id *database;
    eid_sync_result result;
    id_list peer_has; /* IDs the peer holds, with their ancestors */
} session;

static eid_status check_database(const session *s, const eid_id *answered)
{
    if (eid_id_equal(answered, s->database))
        return EID_OK;
    return eid_fail(EID_ERR_UNEXPECTED_RESPONSE,
                    "Invalid data: the peer answered about another database than it was asked for");
}

/* An honest peer never mixes databases in one answer; one that does is not believed in the rest either. */
static eid_status check_belonging(const session *s, eid_entry *const *entries, size_t count)
{
    char entry[EID_ID_TEXT_SIZE], wanted[EID_ID_TEXT_SIZE];
    for (size_t i = 0; i < count; i++) {
        if (eid_id_equal(eid_entry_database_id(entries[i]), s->database))
            continue;
        eid_id_format(eid_entry_id(entries[i]), entry);
        eid_id_format(s->database, wanted);
        return eid_fail(EID_ERR_WRONG_TREE,
                        "Invalid entry: the peer sent entry %s, which is not of database %s", entry, wanted);
    }
    return EID_OK;
}

static eid_status receive(session *s, eid_entry *const *entries, size_t count)
{
    eid_receipt receipt;
    EID_TRY(check_belonging(s, entries, count));
    if (count == 0)
        return EID_OK;
    EID_TRY(eid_core_receive(s->sync->core, s->database, entries, count, &receipt, NULL));
    if (receipt.refused != 0)
        eid_log(EID_LOG_WARN, "sync: %llu entries of a peer were refused: %s",
                (unsigned long long)receipt.refused, receipt.text);
    s->result.received += count;
    s->result.admitted += receipt.admitted;
    s->result.waiting += receipt.waiting;
    s->result.refused += receipt.refused;
    return EID_OK;
}

/* The sender holds what it sent: no need to send it back. */
static eid_status note_sent_by_peer(session *s, const eid_entry_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        EID_TRY(append_id(&s->peer_has, eid_entry_id(list->items[i])));
    return EID_OK;
}

static eid_status take_bootstrap(session *s, eid_bootstrap_response *bootstrap)
{
    char computed[EID_ID_TEXT_SIZE], declared[EID_ID_TEXT_SIZE];
    eid_entry_list *list = &bootstrap->entries;

    EID_TRY(check_database(s, &bootstrap->tree));
    if (!eid_id_equal(eid_entry_id(bootstrap->root), s->database)) {
        eid_id_format(eid_entry_id(bootstrap->root), computed);
        eid_id_format(s->database, declared);
        return eid_fail(
            EID_ERR_INVALID_ENTRY,
            "Invalid entry: root entry content hashes to %s but bootstrap response declares tree_id %s",
            computed, declared);
    }
    /* The root joins the others, so that all are taken in one go. */
    void *items = list->items;
    EID_TRY(eid_make_room(&items, &list->capacity, list->count, sizeof(eid_entry *)));
    list->items = items;
    list->items[list->count++] = eid_entry_ref(bootstrap->root);
    s->result.bootstrapped = !eid_core_holds(s->sync->core, s->database);
    EID_TRY(receive(s, list->items, list->count));
    s->result.key_approved = bootstrap->key_approved;
    /* Where nothing was, nothing can be missing over there. */
    return s->result.bootstrapped ? EID_OK : note_sent_by_peer(s, list);
}

static eid_status take_incremental(session *s, const eid_incremental_response *incremental)
{
    EID_TRY(check_database(s, &incremental->tree));
    EID_TRY(receive(s, incremental->entries.items, incremental->entries.count));
    EID_TRY(note_sent_by_peer(s, &incremental->entries));
    return append_ids(&s->peer_has, incremental->tips, incremental->tip_count);
}

/* ---- Pushing ---- */

/* SendEntries requests filled one after the other while the difference is walked. */
typedef struct pushing {
    session *s;
    eid_buf body;
    eid_buf item;
    size_t in_body; /* entries */
    eid_status status;
} pushing;

static eid_status send_body(pushing *p)
{
    eid_sync_response response;
    if (p->in_body == 0)
        return EID_OK;
    eid_request_write_entries_end(&p->body);
    EID_TRY(eid_buf_status(&p->body));
    EID_TRY(carry_bytes(p->s->sync, p->s->address, eid_buf_slice(&p->body), &response));
    eid_status status = EID_OK;
    if (response.kind == EID_RESPONSE_ERROR)
        status =
            eid_fail(EID_ERR_NETWORK, "Network error: Server error receiving entries: %s", response.as.error);
    else if (response.kind != EID_RESPONSE_ACK && response.kind != EID_RESPONSE_COUNT)
        status = fail_unexpected("Ack or Count", response.kind);
    eid_response_free(&response);
    EID_TRY(status);
    p->s->result.sent += p->in_body;
    p->in_body = 0;
    return EID_OK;
}

static eid_status push_one(pushing *p, const eid_entry *entry)
{
    bool alone = true;
    eid_buf_reset(&p->item);
    eid_message_write_item(&p->item, entry, &alone);
    EID_TRY(eid_buf_status(&p->item));
    /* No peer would take the request it needs: it can only be fetched. What builds on it waits over there
     * until then. */
    if (p->item.len + 64 > EID_LIMIT_HTTP_REQUEST_BYTES) {
        eid_log(EID_LOG_WARN, "sync: an entry of %zu bytes is too large to be pushed", p->item.len);
        return EID_OK;
    }
    if (p->in_body != 0 && p->body.len + p->item.len + 64 > EID_LIMIT_PUSH_BYTES)
        EID_TRY(send_body(p));
    if (p->in_body == 0) {
        eid_buf_reset(&p->body);
        eid_request_write_entries_begin(&p->body);
    } else {
        eid_buf_append_byte(&p->body, ',');
    }
    eid_buf_append_slice(&p->body, eid_buf_slice(&p->item));
    p->in_body++;
    return eid_buf_status(&p->body);
}

static bool on_missing_there(eid_entry *entry, void *ctx)
{
    pushing *p = ctx;
    p->status = push_one(p, entry);
    return p->status == EID_OK;
}

/* Sends what the peer lacks. A peer of which nothing is known that we hold too is sent nothing: it asks for a
 * bootstrap. */
static eid_status push(session *s)
{
    pushing p = {.s = s};

    EID_TRY(append_reported(s->sync, s->peer, s->database, &s->peer_has));
    EID_TRY(keep_held(s->sync, &s->peer_has));
    if (s->peer_has.count == 0)
        return EID_OK;
    s->peer_has.count = eid_ids_sort(s->peer_has.items, s->peer_has.count);
    eid_buf_init(&p.body, EID_LIMIT_HTTP_REQUEST_BYTES);
    eid_buf_init(&p.item, EID_LIMIT_HTTP_RESPONSE_BYTES);
    eid_status status = eid_core_difference(s->sync->core, s->database, s->peer_has.items, s->peer_has.count,
                                            on_missing_there, &p);
    if (status == EID_OK)
        status = p.status;
    if (status == EID_OK)
        status = send_body(&p);
    eid_buf_free(&p.body);
    eid_buf_free(&p.item);
    return status;
}

/* ---- Whole syncs ---- */

static eid_status begin_request(session *s, eid_tree_request *request, const eid_keypair *key)
{
    request->tree = *s->database;
    request->has_peer_key = true;
    request->peer_key = s->sync->device;
    return eid_request_auth_sign(request, s->peer, key, eid_clock_now_ms(s->sync->clock));
}

static eid_status fail_answer(const eid_sync_response *response)
{
    if (response->kind == EID_RESPONSE_ERROR)
        return eid_fail(EID_ERR_PROTOCOL, "Sync protocol error: %s", response->as.error);
    if (response->kind == EID_RESPONSE_PENDING)
        return eid_fail(EID_ERR_BOOTSTRAP_PENDING, "Bootstrap request pending approval (request_id: %s): %s",
                        response->as.pending.request_id, response->as.pending.message);
    return fail_unexpected("Bootstrap or Incremental", response->kind);
}

/* Remembers what the answer taught about the peer. After a bootstrap its tips are ours. */
static void learn(session *s, const eid_sync_response *response)
{
    eid_id *tips;
    size_t count;
    if (response->kind == EID_RESPONSE_INCREMENTAL) {
        remember_reported(s->sync, s->peer, s->database, response->as.incremental.tips,
                          response->as.incremental.tip_count);
    } else if (s->result.bootstrapped && eid_core_tips(s->sync->core, s->database, &tips, &count) == EID_OK) {
        remember_reported(s->sync, s->peer, s->database, tips, count);
        eid_free(tips);
    }
}

/* Takes the answer in and pushes what the peer lacks. */
static eid_status take_answer(session *s, eid_sync_response *response)
{
    if (response->kind == EID_RESPONSE_INCREMENTAL)
        EID_TRY(take_incremental(s, &response->as.incremental));
    else if (response->kind == EID_RESPONSE_BOOTSTRAP)
        EID_TRY(take_bootstrap(s, &response->as.bootstrap));
    else
        return fail_answer(response);
    EID_TRY(eid_relation_note(s->sync, s->database, s->peer));
    if (!s->result.bootstrapped)
        EID_TRY(push(s));
    learn(s, response);
    return EID_OK;
}

static eid_status check_result(const eid_sync_result *result)
{
    if (result != NULL && result->struct_size != sizeof *result)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "eid_sync_result must be set up with EID_SYNC_RESULT_INIT");
    return EID_OK;
}

static eid_status run(session *s, const eid_sync_request *request, eid_sync_result *result)
{
    eid_sync_response response;
    eid_status status = carry(s->sync, s->address, request, &response);
    if (status == EID_OK) {
        status = take_answer(s, &response);
        eid_response_free(&response);
    }
    if (status == EID_OK && result != NULL)
        *result = s->result;
    eid_free(s->peer_has.items);
    return status;
}

eid_status eid_sync_tree(eid_sync *sync, const eid_address *address, const eid_pubkey *peer,
                         const eid_id *database, const eid_keypair *key, eid_sync_result *result)
{
    session s = {sync, address, peer, database, EID_SYNC_RESULT_INIT, {NULL, 0, 0}};
    eid_sync_request request = {.kind = EID_REQUEST_SYNC_TREE};
    id_list tips = {NULL, 0, 0};

    EID_TRY(check_result(result));
    eid_status status = tips_to_send(sync, peer, database, &tips);
    request.as.tree.tips = tips.items;
    request.as.tree.tip_count = tips.count;
    if (status == EID_OK)
        status = begin_request(&s, &request.as.tree, key != NULL ? key : sync->device_key);
    if (status == EID_OK)
        status = run(&s, &request, result);
    eid_request_free(&request);
    return status;
}

eid_status eid_sync_request_access(eid_sync *sync, const eid_address *address, const eid_pubkey *peer,
                                   const eid_id *database, const eid_access_request *access,
                                   eid_sync_result *result)
{
    session s = {sync, address, peer, database, EID_SYNC_RESULT_INIT, {NULL, 0, 0}};
    eid_sync_request request = {.kind = EID_REQUEST_SYNC_TREE};
    eid_tree_request *tree = &request.as.tree;

    EID_TRY(check_result(result));
    tree->has_requesting_key = true;
    eid_keypair_public(access->key, &tree->requesting_key);
    tree->has_permission = true;
    tree->permission = access->permission;
    tree->requesting_key_name = eid_strdup(access->key_name);
    eid_status status = tree->requesting_key_name == NULL ? eid_fail_memory() : EID_OK;
    /* No tips: that is what makes it a request for access. */
    if (status == EID_OK)
        status = begin_request(&s, tree, access->key);
    if (status == EID_OK)
        status = run(&s, &request, result);
    eid_request_free(&request);
    return status;
}

/* ---- The public calls ---- */

eid_status eid_sync_with_address(eid_sync *sync, const eid_address *address, const eid_id *database,
                                 const eid_keypair *key_or_null, eid_sync_result *result)
{
    eid_pubkey peer;
    EID_TRY(check_result(result));
    EID_TRY(eid_sync_handshake(sync, address, &peer));
    if (database == NULL) {
        if (result != NULL)
            *result = (eid_sync_result)EID_SYNC_RESULT_INIT;
        return EID_OK;
    }
    return eid_sync_tree(sync, address, &peer, database, key_or_null, result);
}

eid_status eid_sync_with_peer(eid_sync *sync, const char *address, const eid_id *database,
                              eid_sync_result *result)
{
    eid_address *parsed;
    EID_TRY(eid_address_detect(address, &parsed));
    eid_status status = eid_sync_with_address(sync, parsed, database, NULL, result);
    eid_address_free(parsed);
    return status;
}

eid_status eid_sync_with_ticket(eid_sync *sync, const eid_ticket *ticket, eid_sync_result *result)
{
    eid_status status = eid_fail(EID_ERR_INVALID_ADDRESS, "Invalid address: Ticket has no address hints");
    for (size_t i = 0; i < eid_ticket_address_count(ticket) && status != EID_OK; i++)
        status = eid_sync_with_address(sync, eid_ticket_address(ticket, i), eid_ticket_database_id(ticket),
                                       NULL, result);
    return status;
}

eid_status eid_sync_connect_to_peer(eid_sync *sync, const char *address, eid_pubkey *peer)
{
    eid_address *parsed;
    EID_TRY(eid_address_detect(address, &parsed));
    eid_status status = eid_sync_handshake(sync, parsed, peer);
    eid_address_free(parsed);
    return status;
}
