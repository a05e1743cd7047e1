/* SPDX-License-Identifier: Apache-2.0 */
/* What is said to a peer: handshake, asking, pushing (sync-behaviour.md section 3), as steps of a session.
 *
 * A step runs on a hand of the host: it judges the answer to what was asked before, stores what it brought, and either
 * leaves the next body to be sent or names the next step. What comes back is judged in full before anything is stored: the
 * message must be readable to its end, answer what was asked, and hold nothing of other databases. Then the entries go
 * the way of all received entries, some thousand at a time, so that a session can be broken off in between.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "codec/cid.h"
#include "codec/fields.h"
#include "sync/engine_int.h"
#include "sync/stream.h"

#define OWN_NAME "BackgroundSync"

static eid_status after_handshake(eid_session *s);
static eid_status after_tree(eid_session *s);
static eid_status next_push(eid_session *s);
static eid_status after_push(eid_session *s);

/* ---- One exchange ---- */

/* Leaves the body to be carried; `step` judges the answer. */
eid_status eid_session_send(eid_session *s, size_t answer_max, uint64_t total_ms, eid_status (*step)(eid_session *s))
{
    EID_TRY(eid_buf_status(&s->body));
    s->in_pieces = false;
    s->exchange.stream = false;
    s->exchange.answer_max = answer_max;
    s->exchange.connect_ms = EID_LIMIT_HTTP_CONNECT_MS;
    s->exchange.silence_ms = UINT64_C(1000) * EID_LIMIT_HTTP_STALL_S;
    s->exchange.total_ms = total_ms;
    s->step = step;
    s->sending = true;
    return EID_OK;
}

static eid_status send_request(eid_session *s, const eid_sync_request *request, size_t answer_max,
                               uint64_t total_ms, eid_status (*step)(eid_session *s))
{
    eid_buf_reset(&s->body);
    eid_request_write(&s->body, request);
    return eid_session_send(s, answer_max, total_ms, step);
}

static eid_status read_answer(eid_session *s, eid_sync_response *out)
{
    EID_TRY(eid_session_take_exchange(s));
    s->contacted = true;
    eid_status status = eid_response_read(eid_buf_slice(&s->exchange.answer), out);
    eid_buf_free(&s->exchange.answer);
    if (status != EID_OK && status != EID_ERR_NO_MEMORY)
        return eid_fail_context(status, "Network error: Failed to parse response");
    return status;
}

static eid_status fail_unexpected(const char *expected, eid_response_kind got)
{
    return eid_fail(EID_ERR_UNEXPECTED_RESPONSE, "Unexpected response type: expected %s, got %s", expected,
                    eid_response_kind_name(got));
}

/* ---- Handshake ---- */

static eid_status check_handshake(const eid_session *s, const eid_sync_response *response)
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
        eid_pubkey_verify(&handshake->public_key, s->challenge, EID_LIMIT_CHALLENGE_BYTES,
                          handshake->challenge_response) != EID_OK)
        return eid_fail(EID_ERR_HANDSHAKE_FAILED,
                        "Handshake failed: Signature verification failed: the peer does not "
                        "hold the key it names");
    if (eid_pubkey_equal(&handshake->public_key, &s->sync->device))
        return eid_fail(EID_ERR_HANDSHAKE_FAILED,
                        "Handshake failed: this address leads back to this instance");
    if (s->has_peer && !eid_pubkey_equal(&handshake->public_key, &s->peer))
        return eid_fail(EID_ERR_HANDSHAKE_FAILED,
                        "Handshake failed: another peer than the one expected answers at %s",
                        s->addresses[s->address_at]->text);
    return EID_OK;
}

static eid_status send_handshake(eid_session *s)
{
    char name[] = OWN_NAME;
    eid_sync_request request = {.kind = EID_REQUEST_HANDSHAKE};
    eid_handshake_request *handshake = &request.as.handshake;

    eid_random_bytes(s->challenge, sizeof s->challenge);
    handshake->device_id = s->sync->device;
    handshake->public_key = s->sync->device;
    handshake->display_name = name;
    handshake->protocol_version = EID_SYNC_PROTOCOL_VERSION;
    handshake->challenge = s->challenge;
    handshake->challenge_len = sizeof s->challenge;
    EID_TRY(eid_sync_own_addresses(s->sync, &handshake->addresses, &handshake->address_count));
    eid_status status = send_request(s, &request, EID_LIMIT_HANDSHAKE_ANSWER_BYTES, EID_LIMIT_SYNC_HANDSHAKE_MS,
                                     after_handshake);
    eid_addresses_free(handshake->addresses, handshake->address_count);
    /* While there are other addresses to try, no long patience with this one. */
    if (!s->patient && s->address_at + 1 < s->address_count) {
        s->exchange.connect_ms = EID_LIMIT_SYNC_QUICK_MS;
        s->exchange.total_ms = EID_LIMIT_SYNC_QUICK_MS;
    }
    return status;
}

/* Takes the list of offered databases over. */
static eid_status take_trees(eid_session *s, eid_handshake_response *handshake)
{
    eid_offered_tree *trees = eid_alloc_zero(handshake->tree_count + 1, sizeof *trees);
    if (trees == NULL)
        return eid_fail_memory();
    for (size_t i = 0; i < handshake->tree_count; i++) {
        trees[i] = (eid_offered_tree){handshake->trees[i].tree, handshake->trees[i].name,
                                      handshake->trees[i].entry_count, handshake->trees[i].last_modified};
        handshake->trees[i].name = NULL;
    }
    eid_offered_trees_free(s->trees, s->tree_count);
    s->trees = trees;
    s->tree_count = handshake->tree_count;
    return EID_OK;
}

static bool is_offered(const eid_session *s, const eid_id *database)
{
    for (size_t i = 0; i < s->tree_count; i++)
        if (eid_id_equal(&s->trees[i].id, database))
            return true;
    return eid_sync_is_tree_synced_with_peer(s->sync, &s->peer, database);
}

/* Every database that is shared on both sides, as far as is known. */
static eid_status choose_databases(eid_session *s)
{
    eid_id *shared;
    size_t count;
    if (!s->all_databases || s->item_count != 0)
        return EID_OK;
    EID_TRY(eid_sync_shared_databases(s->sync, SIZE_MAX, &shared, &count));
    eid_status status = EID_OK;
    for (size_t i = 0; i < count && status == EID_OK; i++)
        if (!eid_instance_is_private_database(s->sync->instance, &shared[i]) && is_offered(s, &shared[i]))
            status = eid_session_add_item(s, &shared[i], EID_ITEM_FULL);
    eid_free(shared);
    return status;
}

static void note_proven(eid_session *s)
{
    eid_engine *engine = s->engine;
    eid_address *copy = NULL;

    s->proven = true;
    if (eid_address_copy(s->addresses[s->address_at], &copy) != EID_OK)
        return;
    pthread_mutex_lock(&engine->mutex);
    eid_neighbour *neighbour = eid_neighbour_find(engine, &s->peer);
    if (neighbour != NULL) {
        eid_address *before = neighbour->good;
        neighbour->unsaved |= before == NULL || !eid_address_equal(before, copy);
        neighbour->good = copy;
        copy = before;
        neighbour->streams = s->streams;
        neighbour->proven_until_ms = engine->host->functions->now_ms(engine->host) + EID_LIMIT_SYNC_PROVEN_MS;
    }
    pthread_mutex_unlock(&engine->mutex);
    eid_address_free(copy);
}

static eid_status after_handshake(eid_session *s)
{
    eid_sync_response response;
    EID_TRY(read_answer(s, &response));
    eid_handshake_response *handshake = &response.as.handshake;
    eid_status status = check_handshake(s, &response);
    if (status == EID_OK)
        status = eid_peer_note(s->sync, &handshake->public_key, handshake->display_name,
                               &s->addresses[s->address_at], 1);
    if (status == EID_OK) {
        s->peer = handshake->public_key;
        s->streams = s->exchange.peer_streams;
        s->result.peer = s->peer;
        note_proven(s);
        if (s->want_trees || s->all_databases)
            status = take_trees(s, handshake);
    }
    eid_response_free(&response);
    if (status == EID_OK)
        status = choose_databases(s);
    s->step = eid_step_next_item;
    return status;
}

/* ---- What is sent along ---- */

/* Drops the IDs whose entries are not held, with all their ancestors: nothing may be claimed that is not
 * here. *all tells whether none was dropped. */
eid_status eid_session_keep_held(eid_sync *sync, eid_id_array *list, bool *all)
{
    eid_storage *storage = eid_core_storage(sync->core);
    size_t kept = 0;
    eid_status status = EID_OK;

    eid_storage_lock(storage);
    for (size_t i = 0; i < list->count && status == EID_OK; i++) {
        int64_t n, d;
        status = eid_storage_find(storage, &list->items[i], &n, &d);
        if (status == EID_OK && n != 0)
            list->items[kept++] = list->items[i];
    }
    eid_storage_unlock(storage);
    if (all != NULL)
        *all = kept == list->count;
    list->count = kept;
    return status;
}

/* Our tips, and what the peer is known to hold of the entries we hold. Empty when the database is not held. */
static eid_status tips_to_send(eid_session *s, const eid_id *database, eid_id_array *out)
{
    eid_id *tips;
    size_t count;
    if (!eid_core_holds(s->sync->core, database))
        return EID_OK;
    EID_TRY(eid_core_tips(s->sync->core, database, &tips, &count));
    eid_status status = eid_engine_known(s->engine, &s->peer, database, out);
    if (status == EID_OK)
        status = eid_session_keep_held(s->sync, out, NULL);
    if (status == EID_OK)
        status = eid_id_array_add(out, tips, count);
    eid_free(tips);
    if (status != EID_OK)
        return status;
    out->count = eid_ids_sort(out->items, out->count);
    /* Any part of them is as true; the peer then sends some entries we have. */
    if (out->count > EID_LIMIT_SENT_TIPS)
        out->count = EID_LIMIT_SENT_TIPS;
    return EID_OK;
}

/* ---- Asking ---- */

eid_item *eid_session_item(eid_session *s)
{
    return &s->items[s->item_at];
}

/* False when the settings held here grant the key this much already, so that an ordinary sync is enough. */
bool eid_session_lacks_access(eid_session *s, const eid_id *database)
{
    eid_permission held;
    eid_pubkey key;
    if (!s->asking.wanted)
        return false;
    eid_keypair_public(s->key, &key);
    return eid_core_permission_of(s->sync->core, database, &key, &held) != EID_OK ||
           eid_permission_compare(held, s->asking.permission) < 0;
}

static eid_status fill_access(const eid_session *s, eid_tree_request *tree)
{
    tree->has_requesting_key = true;
    eid_keypair_public(s->key, &tree->requesting_key);
    /* A request without a permission asks what the key may do, and is never filed. */
    tree->has_permission = !s->asking.poll;
    tree->permission = s->asking.permission;
    tree->requesting_key_name = eid_strdup(s->asking.key_name);
    if (tree->requesting_key_name == NULL)
        return eid_fail_memory();
    return s->asking.metadata == NULL ? EID_OK : eid_doc_copy(s->asking.metadata, &tree->metadata);
}

/* With what the engine asks where the device key has no right: the key of somebody who works in the database here. *out NULL:
 * the session's key, or the device's. */
static eid_status stand_in(eid_session *s, const eid_id *database, eid_keypair **out)
{
    eid_permission held;
    *out = NULL;
    if (s->call != NULL || !eid_core_holds(s->sync->core, database) ||
        eid_core_permission_of(s->sync->core, database, &s->sync->device, &held) == EID_OK)
        return EID_OK;
    eid_status status = eid_instance_key_for_database(s->sync->instance, database, out);
    return status == EID_ERR_NO_MEMORY ? status : EID_OK;
}

eid_status eid_session_sign(eid_session *s, eid_tree_request *tree)
{
    eid_keypair *own;
    EID_TRY(stand_in(s, &tree->tree, &own));
    const eid_keypair *key = own != NULL ? own : s->key != NULL ? s->key : s->sync->device_key;
    eid_status status = eid_request_auth_sign(tree, &s->peer, key, eid_clock_now_ms(s->sync->clock));
    eid_keypair_free(own);
    return status;
}

eid_status eid_session_ask(eid_session *s, eid_item *item)
{
    eid_sync_request request = {.kind = EID_REQUEST_SYNC_TREE};
    eid_tree_request *tree = &request.as.tree;
    eid_id_array tips = {NULL, 0, 0};
    eid_status status;

    /* A request for access carries no tips: that is what makes it one. */
    if (!s->in_parts && eid_session_lacks_access(s, &item->database))
        status = fill_access(s, tree);
    else
        status = tips_to_send(s, &item->database, &tips);
    tree->tree = item->database;
    tree->tips = tips.items;
    tree->tip_count = tips.count;
    tree->has_peer_key = true;
    tree->peer_key = s->sync->device;
    if (status == EID_OK)
        status = eid_session_sign(s, tree);
    if (status == EID_OK)
        status =
            send_request(s, &request, EID_LIMIT_HTTP_RESPONSE_BYTES, EID_LIMIT_SYNC_ANSWER_MS, after_tree);
    eid_request_free(&request);
    return status;
}

/* ---- Taking ---- */

static eid_status check_database(const eid_item *item, const eid_id *answered)
{
    if (eid_id_equal(answered, &item->database))
        return EID_OK;
    return eid_fail(EID_ERR_UNEXPECTED_RESPONSE,
                    "Invalid data: the peer answered about another database than it was asked for");
}

/* An honest peer never mixes databases in one answer; one that does is not believed in the rest either. */
static eid_status check_belonging(const eid_item *item, eid_entry *const *entries, size_t count)
{
    char entry[EID_ID_TEXT_SIZE], wanted[EID_ID_TEXT_SIZE];
    for (size_t i = 0; i < count; i++) {
        if (eid_id_equal(eid_entry_database_id(entries[i]), &item->database))
            continue;
        eid_id_format(eid_entry_id(entries[i]), entry);
        eid_id_format(&item->database, wanted);
        return eid_fail(EID_ERR_WRONG_TREE,
                        "Invalid entry: the peer sent entry %s, which is not of database %s", entry, wanted);
    }
    return EID_OK;
}

static int by_height(const void *a, const void *b)
{
    const eid_entry *left = *(eid_entry *const *)a, *right = *(eid_entry *const *)b;
    if (left->is_root != right->is_root)
        return left->is_root ? -1 : 1;
    return left->height < right->height ? -1 : left->height > right->height;
}

static eid_status fail_cancelled(void)
{
    return eid_fail(EID_ERR_CANCELLED, "The sync was broken off");
}

static void add_receipt(eid_session *s, const eid_receipt *receipt, size_t count)
{
    if (receipt->refused != 0)
        eid_log(EID_LOG_WARN, "sync: %llu entries of a peer were refused: %s",
                (unsigned long long)receipt->refused, receipt->text);
    s->result.received += count;
    s->result.admitted += receipt->admitted;
    s->result.waiting += receipt->waiting;
    s->result.refused += receipt->refused;
    eid_session_item(s)->entries += receipt->admitted;
    s->progress.entries_received += count;
    eid_call_progress(s);
}

eid_status eid_session_take(eid_session *s, eid_entry **entries, size_t count, eid_receipt *receipt)
{
    eid_item *item = eid_session_item(s);
    if (atomic_load(&s->cancelled))
        return fail_cancelled();
    EID_TRY(check_belonging(item, entries, count));
    EID_TRY(eid_core_receive(s->sync->core, &item->database, entries, count, receipt, NULL));
    if (count > 0)
        item->last = *eid_entry_id(entries[count - 1]);
    add_receipt(s, receipt, count);
    /* What just came will be passed on; not back to where it came from. */
    eid_engine_heard(s->engine, &s->peer, &item->database, entries, count);
    return EID_OK;
}

/* Parents come first, so that a slice needs nothing of the next one. */
static eid_status receive(eid_session *s, eid_entry **entries, size_t count)
{
    EID_TRY(check_belonging(eid_session_item(s), entries, count));
    if (count == 0)
        return EID_OK;
    qsort(entries, count, sizeof *entries, by_height);
    s->progress.entries_total += count;
    for (size_t from = 0; from < count; from += EID_LIMIT_SYNC_SLICE) {
        size_t slice = count - from < EID_LIMIT_SYNC_SLICE ? count - from : EID_LIMIT_SYNC_SLICE;
        eid_receipt receipt;
        EID_TRY(eid_session_take(s, entries + from, slice, &receipt));
    }
    return EID_OK;
}

/* The sender holds what it sent: no need to send it back. */
static eid_status note_sent_by_peer(eid_session *s, const eid_entry_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        EID_TRY(eid_id_array_add(&s->peer_has, eid_entry_id(list->items[i]), 1));
    return EID_OK;
}

static eid_status take_bootstrap(eid_session *s, eid_bootstrap_response *bootstrap, bool *complete)
{
    char computed[EID_ID_TEXT_SIZE], declared[EID_ID_TEXT_SIZE];
    eid_entry_list *list = &bootstrap->entries;
    eid_item *item = eid_session_item(s);

    EID_TRY(check_database(item, &bootstrap->tree));
    if (!eid_id_equal(eid_entry_id(bootstrap->root), &item->database)) {
        eid_id_format(eid_entry_id(bootstrap->root), computed);
        eid_id_format(&item->database, declared);
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
    *complete = !eid_core_holds(s->sync->core, &item->database);
    EID_TRY(receive(s, list->items, list->count));
    s->result.bootstrapped |= *complete;
    s->result.key_approved |= bootstrap->key_approved;
    /* Where nothing was, nothing can be missing over there. */
    return *complete ? EID_OK : note_sent_by_peer(s, list);
}

static eid_status take_incremental(eid_session *s, eid_incremental_response *incremental)
{
    bool all;
    EID_TRY(check_database(eid_session_item(s), &incremental->tree));
    EID_TRY(receive(s, incremental->entries.items, incremental->entries.count));
    EID_TRY(eid_id_array_add(&s->peer_has, incremental->tips, incremental->tip_count));
    EID_TRY(eid_session_keep_held(s->sync, &s->peer_has, &all));
    if (all)
        return EID_OK;
    /* Of some of its tips nothing is known here: what it held before it still holds. */
    EID_TRY(note_sent_by_peer(s, &incremental->entries));
    return eid_engine_known(s->engine, &s->peer, &eid_session_item(s)->database, &s->peer_has);
}

static eid_status fail_answer(const eid_sync_response *response)
{
    if (response->kind == EID_RESPONSE_ERROR &&
        strncmp(response->as.error, EID_REJECTED_BEGINNING, sizeof EID_REJECTED_BEGINNING - 1) == 0)
        return eid_fail(EID_ERR_BOOTSTRAP_REJECTED, "%s", response->as.error);
    if (response->kind == EID_RESPONSE_ERROR)
        return eid_fail(EID_ERR_PROTOCOL, "Sync protocol error: %s", response->as.error);
    if (response->kind == EID_RESPONSE_PENDING)
        return eid_fail(EID_ERR_BOOTSTRAP_PENDING, "Bootstrap request pending approval (request_id: %s): %s",
                        response->as.pending.request_id, response->as.pending.message);
    return fail_unexpected("Bootstrap or Incremental", response->kind);
}

/* ---- Pushing ---- */

/* Works out what the peer lacks, by what it has: peer_has; nothing when all came from it just now (`complete`). One of which
 * nothing is known that we hold too is sent nothing: it asks for a bootstrap. */
eid_status eid_session_begin_push(eid_session *s, bool complete)
{
    eid_core *core = s->sync->core;
    eid_item *item = eid_session_item(s);

    s->step = next_push;
    EID_TRY(eid_session_keep_held(s->sync, &s->peer_has, NULL));
    eid_free(s->own_tips); /* the streamed form has looked before */
    s->own_tips = NULL;
    EID_TRY(eid_core_tips(core, &item->database, &s->own_tips, &s->own_tip_count));
    s->short_count = !complete && s->peer_has.count == 0;
    if (complete || s->peer_has.count == 0)
        return EID_OK;
    s->peer_has.count = eid_ids_sort(s->peer_has.items, s->peer_has.count);
    EID_TRY(eid_difference_open(core, &item->database, s->peer_has.items, s->peer_has.count, UINT64_MAX, &s->difference));
    s->progress.entries_to_send += eid_difference_left(s->difference);
    return EID_OK;
}

void eid_session_skip_push(eid_session *s)
{
    s->short_count = false;
    s->step = next_push;
}

static eid_status next_to_push(eid_session *s, eid_entry **out)
{
    eid_item *item = eid_session_item(s);
    *out = s->held_back;
    s->held_back = NULL;
    if (*out != NULL)
        return EID_OK;
    if (item->mode != EID_ITEM_EXTRA)
        return s->difference == NULL ? EID_OK : eid_difference_next(s->difference, out);
    while (*out == NULL && item->extra_at < item->extra_count) {
        eid_storage *storage = eid_core_storage(s->sync->core);
        int64_t n, d;
        eid_storage_lock(storage);
        eid_status status = eid_storage_find(storage, &item->extra[item->extra_at++], &n, &d);
        if (status == EID_OK && n != 0)
            status = eid_storage_load(storage, n, out);
        eid_storage_unlock(storage);
        EID_TRY(status);
    }
    return EID_OK;
}

/* Adds the entry to the body; *full when there is no room for it any more. */
static eid_status put_entry(eid_session *s, const eid_entry *entry, bool *full)
{
    bool alone = true;
    *full = false;
    eid_buf_reset(&s->item_text);
    if (s->streams)
        eid_frame_write(&s->item_text, eid_slice_of(entry->cbor, entry->cbor_len));
    else
        eid_message_write_item(&s->item_text, entry, &alone);
    EID_TRY(eid_buf_status(&s->item_text));
    /* No peer would take the request it needs: it can only be fetched. What builds on it waits over there
     * until then. */
    if (s->item_text.len + 64 > EID_LIMIT_HTTP_REQUEST_BYTES) {
        eid_log(EID_LOG_WARN, "sync: an entry of %zu bytes is too large to be pushed", s->item_text.len);
        return EID_OK;
    }
    *full = s->in_body != 0 && s->body.len + s->item_text.len + 64 > EID_LIMIT_PUSH_BYTES;
    if (*full)
        return EID_OK;
    if (s->in_body == 0 && s->streams)
        eid_stream_push_head(s);
    else if (s->in_body == 0)
        eid_request_write_entries_begin(&s->body);
    else if (!s->streams)
        eid_buf_append_byte(&s->body, ',');
    eid_buf_append_slice(&s->body, eid_buf_slice(&s->item_text));
    s->in_body++;
    eid_session_item(s)->last = *eid_entry_id(entry);
    return eid_buf_status(&s->body);
}

static eid_status fill_body(eid_session *s)
{
    eid_buf_reset(&s->body);
    s->in_body = 0;
    for (;;) {
        eid_entry *entry;
        bool full;
        EID_TRY(next_to_push(s, &entry));
        if (entry == NULL)
            return EID_OK;
        eid_status status = put_entry(s, entry, &full);
        if (status == EID_OK && full) {
            s->held_back = entry;
            return EID_OK;
        }
        eid_entry_unref(entry);
        EID_TRY(status);
    }
}

static eid_status finish_item(eid_session *s)
{
    eid_item *item = eid_session_item(s);
    if (item->mode != EID_ITEM_EXTRA && !s->short_count && s->own_tip_count != 0)
        eid_engine_learn(s->engine, &s->peer, &item->database, s->own_tips, s->own_tip_count);
    if (s->short_count)
        eid_log(EID_LOG_INFO, "sync: a peer did not take all entries it was sent");
    item->over = true;
    s->result.databases += item->mode == EID_ITEM_FULL;
    eid_session_forget_item(s);
    s->step = eid_step_next_item;
    return EID_OK;
}

static eid_status next_push(eid_session *s)
{
    if (atomic_load(&s->cancelled))
        return fail_cancelled();
    EID_TRY(fill_body(s));
    if (s->in_body == 0)
        return finish_item(s);
    if (!s->streams)
        eid_request_write_entries_end(&s->body);
    EID_TRY(eid_session_send(s, EID_LIMIT_ACK_ANSWER_BYTES, EID_LIMIT_SYNC_PUSH_MS, after_push));
    s->exchange.stream = s->streams;
    return EID_OK;
}

/* How many of those in the body were taken, as far as it is told. */
static eid_status read_pushed(eid_session *s, uint64_t *taken)
{
    eid_sync_response response;
    EID_TRY(read_answer(s, &response));
    eid_status status = EID_OK;
    *taken = s->in_body;
    if (response.kind == EID_RESPONSE_ERROR)
        status =
            eid_fail(EID_ERR_NETWORK, "Network error: Server error receiving entries: %s", response.as.error);
    else if (response.kind == EID_RESPONSE_COUNT)
        *taken = response.as.count;
    else if (response.kind != EID_RESPONSE_ACK)
        status = fail_unexpected("Ack or Count", response.kind);
    eid_response_free(&response);
    return status;
}

static eid_status after_push(eid_session *s)
{
    uint64_t taken;
    EID_TRY(s->streams ? eid_stream_read_pushed(s, &taken) : read_pushed(s, &taken));
    s->short_count |= taken < s->in_body;
    s->result.sent += s->in_body;
    eid_session_item(s)->entries += s->in_body;
    s->progress.entries_sent += s->in_body;
    eid_call_progress(s);
    s->step = next_push;
    return EID_OK;
}

/* ---- One database after the other ---- */

static eid_status after_tree(eid_session *s)
{
    eid_sync_response response;
    bool complete = false, more = false;
    uint64_t before = s->result.admitted;
    EID_TRY(read_answer(s, &response));
    eid_status status;
    if (response.kind == EID_RESPONSE_INCREMENTAL) {
        more = response.as.incremental.more;
        status = take_incremental(s, &response.as.incremental);
    } else if (response.kind == EID_RESPONSE_BOOTSTRAP) {
        more = response.as.bootstrap.more;
        status = take_bootstrap(s, &response.as.bootstrap, &complete);
    } else
        status = fail_answer(&response);
    eid_response_free(&response);
    if (status == EID_OK)
        status = eid_relation_note(s->sync, &eid_session_item(s)->database, &s->peer);
    EID_TRY(status);
    /* The next part, as long as each brings something. */
    s->in_parts = more && s->result.admitted > before;
    if (s->in_parts) {
        eid_session_forget_item(s);
        return eid_session_ask(s, eid_session_item(s));
    }
    return eid_session_begin_push(s, complete);
}

/* The engine's own sessions look again whether the database is still shared: the wish may have changed. */
static bool is_wanted(eid_session *s, const eid_item *item)
{
    return s->call != NULL || eid_sync_is_shared(s->sync, &item->database);
}

eid_status eid_step_next_item(eid_session *s)
{
    for (; s->item_at < s->item_count; s->item_at++) {
        eid_item *item = eid_session_item(s);
        if (item->over)
            continue;
        if (!is_wanted(s, item)) {
            item->over = true;
            continue;
        }
        if (item->started_at_ms == 0)
            item->started_at_ms = eid_clock_now_ms(s->sync->clock);
        eid_session_forget_item(s);
        if (item->mode == EID_ITEM_FULL)
            return s->streams ? eid_stream_ask(s) : eid_session_ask(s, item);
        if (item->mode == EID_ITEM_PUSH) {
            EID_TRY(eid_engine_known(s->engine, &s->peer, &item->database, &s->peer_has));
            return eid_session_begin_push(s, false);
        }
        item->extra_at = 0;
        s->step = next_push;
        return EID_OK;
    }
    s->step = NULL;
    return EID_OK;
}

/* ---- The beginning ---- */

/* Before anybody is bothered: is there anything to push at all? */
static eid_status look_ahead(eid_session *s)
{
    for (size_t i = 0; i < s->item_count; i++) {
        eid_item *item = &s->items[i];
        eid_difference *difference = NULL;
        if (item->mode != EID_ITEM_PUSH || item->over)
            continue;
        if (!is_wanted(s, item)) {
            item->over = true;
            continue;
        }
        eid_session_forget_item(s);
        EID_TRY(eid_engine_known(s->engine, &s->peer, &item->database, &s->peer_has));
        EID_TRY(eid_session_keep_held(s->sync, &s->peer_has, NULL));
        if (s->peer_has.count != 0)
            EID_TRY(eid_difference_open(s->sync->core, &item->database, s->peer_has.items, s->peer_has.count,
                                        UINT64_MAX, &difference));
        item->over = difference != NULL && eid_difference_left(difference) == 0;
        eid_difference_close(difference);
        /* Nothing it is known to hold is held here: only asking tells what it lacks. */
        if (difference == NULL)
            item->mode = EID_ITEM_FULL;
    }
    return EID_OK;
}

static bool all_over(const eid_session *s)
{
    for (size_t i = 0; i < s->item_count; i++)
        if (!s->items[i].over)
            return false;
    return s->item_count != 0;
}

eid_status eid_step_begin(eid_session *s)
{
    if (atomic_load(&s->cancelled))
        return fail_cancelled();
    EID_TRY(look_ahead(s));
    s->item_at = 0;
    if (all_over(s)) {
        s->step = NULL;
        return EID_OK;
    }
    if (s->address_count == 0)
        return eid_fail(EID_ERR_NETWORK, "Network error: No addresses found for peer");
    if (!s->proven)
        return send_handshake(s);
    s->step = eid_step_next_item;
    return EID_OK;
}

eid_status eid_session_add_item(eid_session *s, const eid_id *database, eid_item_mode mode)
{
    eid_item *grown = eid_realloc_array(s->items, s->item_count + 1, sizeof *grown);
    if (grown == NULL)
        return eid_fail_memory();
    s->items = grown;
    s->items[s->item_count++] = (eid_item){.database = *database, .mode = mode};
    return EID_OK;
}

void eid_session_forget_item(eid_session *s)
{
    s->peer_has.count = 0;
    eid_free(s->own_tips);
    s->own_tips = NULL;
    s->own_tip_count = 0;
    eid_difference_close(s->difference);
    s->difference = NULL;
    eid_entry_unref(s->held_back);
    s->held_back = NULL;
    eid_taking_free(s->taking);
    s->taking = NULL;
}
