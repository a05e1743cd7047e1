/* SPDX-License-Identifier: Apache-2.0 */
/* Answering peers: a request body in, an answer body out (sync-behaviour.md section 4).
 *
 * Everything a stranger can learn or change goes through here. Refusals of the protocol are answers like
 * others; their texts are those the Rust implementation uses, since people search for them.
 */
#include "base/alloc.h"
#include "base/log.h"
#include "codec/cid.h"
#include "codec/fields.h"
#include "sync/engine.h"
#include "sync/offers.h"
#include "sync/responder_int.h"
#include "sync/stream.h"

#include <stdarg.h>
#include <stdio.h>

#define PEER_NAME  "Eidetica Peer"
#define ERROR_TEXT (EID_LIMIT_ERROR_TEXT + 256) /* a sentence and what is put before it: never cut */

typedef eid_serving serving;

/* ---- Refusals ---- */

static void refuse(serving *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whatever was written of another answer is dropped. */
static void refuse(serving *s, const char *format, ...)
{
    char text[ERROR_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    eid_buf_reset(s->answer);
    eid_response_write_error(s->answer, text);
}

static eid_status fail_unknown(const eid_id *tree)
{
    char text[EID_ID_TEXT_SIZE];
    eid_id_format(tree, text);
    return eid_fail(EID_ERR_DATABASE_NOT_FOUND, "Tree not found: %s", text);
}

/* ---- Handshake ---- */

/* Databases anybody may read: what can be named to a caller who has proven nothing. */
static bool is_open(eid_sync *sync, const eid_id *database)
{
    eid_auth_settings *auth;
    if (eid_instance_is_private_database(sync->instance, database) || !eid_core_holds(sync->core, database) ||
        eid_core_auth(sync->core, database, &auth) != EID_OK)
        return false;
    bool open = !eid_auth_settings_protected(auth);
    eid_auth_settings_unref(auth);
    return open;
}

static eid_status describe(eid_sync *sync, const eid_id *id, eid_tree_info *out)
{
    eid_database *database;
    EID_TRY(eid_core_entry_count(sync->core, id, &out->entry_count));
    EID_TRY(eid_database_open_as(sync->core, id, NULL, NULL, &database));
    eid_status status = eid_database_name(database, &out->name);
    eid_database_close(database);
    out->tree = *id;
    out->last_modified = eid_engine_modified(sync->engine, id);
    return status == EID_ERR_KEY_NOT_FOUND || status == EID_ERR_TYPE_MISMATCH ? EID_OK : status;
}

static eid_status list_trees(eid_sync *sync, eid_handshake_response *response)
{
    eid_id *shared;
    size_t count;
    EID_TRY(eid_sync_shared_databases(sync, EID_LIMIT_LISTED_TREES, &shared, &count));
    response->trees = eid_alloc_zero(count + 1, sizeof *response->trees);
    eid_status status = response->trees == NULL ? eid_fail_memory() : EID_OK;
    for (size_t i = 0; i < count && status == EID_OK; i++)
        if (is_open(sync, &shared[i]))
            status = describe(sync, &shared[i], &response->trees[response->tree_count++]);
    eid_free(shared);
    return status;
}

static eid_status write_handshake(serving *s, const eid_handshake_request *request)
{
    uint8_t signature[64], challenge[EID_LIMIT_CHALLENGE_BYTES];
    eid_sync_response response = {.kind = EID_RESPONSE_HANDSHAKE};
    eid_handshake_response *handshake = &response.as.handshake;
    char name[] = PEER_NAME;

    eid_keypair_sign(s->sync->device_key, request->challenge, request->challenge_len, signature);
    eid_random_bytes(challenge, sizeof challenge);
    handshake->device_id = s->sync->device;
    handshake->public_key = s->sync->device;
    handshake->display_name = name;
    handshake->protocol_version = EID_SYNC_PROTOCOL_VERSION;
    handshake->challenge_response = signature;
    handshake->challenge_response_len = sizeof signature;
    handshake->new_challenge = challenge;
    handshake->new_challenge_len = sizeof challenge;
    eid_status status = list_trees(s->sync, handshake);
    if (status == EID_OK)
        eid_response_write(s->answer, &response);
    for (size_t i = 0; i < handshake->tree_count; i++)
        eid_free(handshake->trees[i].name);
    eid_free(handshake->trees);
    return status;
}

/* The address the connection came from is not kept: nobody listens there. Those the peer names are kept as far as they may
 * lead to it; before anything is sent there, whoever answers has to prove the key. */
static void note_peer(serving *s, const eid_handshake_request *request)
{
    eid_address **offers;
    size_t count;
    eid_status status = eid_offers_choose(request->addresses, request->address_count, s->origin,
                                          eid_engine_dials_special(s->sync->engine), &offers, &count);
    if (status == EID_OK) {
        status = eid_peer_note(s->sync, &request->public_key, request->display_name, offers, count);
        eid_addresses_free(offers, count);
    }
    if (status != EID_OK)
        eid_log(EID_LOG_WARN, "sync: a peer could not be registered: %s", eid_last_error());
    eid_engine_seen(s->sync->engine, &request->public_key);
}

static void serve_handshake(serving *s, const eid_handshake_request *request)
{
    if (request->protocol_version != EID_SYNC_PROTOCOL_VERSION) {
        refuse(s, "Protocol version mismatch: expected %d, got %u", EID_SYNC_PROTOCOL_VERSION,
               request->protocol_version);
        return;
    }
    /* The signature below is over the caller's bytes as they are. No entry and no request to be signed is 32
     * bytes long, so exactly this length is safe to sign. */
    if (request->challenge_len != EID_LIMIT_CHALLENGE_BYTES) {
        refuse(s, "Invalid challenge: expected %d bytes, got %zu", EID_LIMIT_CHALLENGE_BYTES,
               request->challenge_len);
        return;
    }
    if (eid_engine_is_blocked(s->sync->engine, &request->public_key)) {
        refuse(s, "Permission denied: this peer is blocked");
        return;
    }
    if (!eid_pubkey_equal(&request->public_key, &s->sync->device))
        note_peer(s, request);
    if (write_handshake(s, request) != EID_OK)
        refuse(s, "Handshake failed: %s", eid_last_error());
}

/* ---- Access ---- */

static uint64_t now_of(const serving *s)
{
    return eid_clock_now_ms(s->sync->clock);
}

/* The proof must hold and be by the key that is claimed. */
static eid_status prove_claim(serving *s, const eid_tree_request *request)
{
    EID_TRY(eid_request_auth_check(request, &s->sync->device, now_of(s)));
    if (eid_pubkey_equal(&request->proof.key, &request->requesting_key))
        return EID_OK;
    char signer[EID_PUBKEY_TEXT_SIZE], claimed[EID_PUBKEY_TEXT_SIZE];
    eid_pubkey_format(&request->proof.key, signer);
    eid_pubkey_format(&request->requesting_key, claimed);
    return eid_fail(EID_ERR_AUTH_FAILED,
                    "Authentication failed: request is signed by %s, which is not the claimed key %s", signer,
                    claimed);
}

static eid_status spend_nonce(serving *s, const eid_tree_request *request)
{
    return eid_request_auth_spend(request, now_of(s), &s->sync->nonces);
}

/* The level everybody has, as a permission. */
static bool global_permission(const eid_auth_settings *auth, eid_permission *out)
{
    if (!eid_auth_settings_has_active_global(auth))
        return false;
    *out = eid_auth_settings_global(auth)->permission;
    return true;
}

/* What a bootstrap grants. */
typedef struct grant {
    bool answered; /* a refusal or BootstrapPending was written: nothing more to do */
    bool approved;
    bool has_permission;
    eid_permission permission;
} grant;

static void file_request(serving *s, const eid_tree_request *request, grant *out)
{
    char id[EID_UUID_TEXT_SIZE];
    out->answered = true;
    eid_status status = eid_request_file(s->sync, request, s->origin, id);
    if (status == EID_OK)
        eid_response_write_pending(s->answer, id, "Bootstrap request pending manual approval");
    else if (status == EID_ERR_BOOTSTRAP_REJECTED)
        refuse(s, "%s", eid_last_error());
    else
        refuse(s, "Failed to store bootstrap request: %s", eid_last_error());
}

/* Key, name and permission given: granted by authority the key has already, else filed for an admin. */
static void judge_requested(serving *s, const eid_tree_request *request, const eid_auth_settings *auth,
                            grant *out)
{
    bool protected = eid_auth_settings_protected(auth);
    bool proven = prove_claim(s, request) == EID_OK;
    eid_permission held;
    bool has = proven ? eid_core_permission_of(s->sync->core, &request->tree, &request->requesting_key, &held) == EID_OK
                      : !protected && global_permission(auth, &held);

    if (!has || eid_permission_compare(held, request->permission) < 0 ||
        (protected && spend_nonce(s, request) != EID_OK)) {
        file_request(s, request, out);
        return;
    }
    out->approved = true;
    out->has_permission = true;
    out->permission = request->permission;
}

/* Who asked for access, and proves the key, hears when it was refused. */
static void refuse_unauthorized(serving *s, const eid_tree_request *request, bool proven)
{
    char id[EID_UUID_TEXT_SIZE];
    if (proven && eid_request_was_rejected(s->sync, &request->tree, &request->requesting_key, id))
        refuse(s, EID_REJECTED_BEGINNING "%s): an admin of the database refused it", id);
    else
        refuse(s, "Authentication required: provided key is not authorized for this database");
}

/* Key and name without a permission: what the key has is looked up. */
static void judge_named(serving *s, const eid_tree_request *request, const eid_auth_settings *auth,
                        grant *out)
{
    bool protected = eid_auth_settings_protected(auth);

    out->answered = true;
    if (protected && prove_claim(s, request) != EID_OK) {
        refuse(s, "%s", eid_last_error());
        return;
    }
    if (eid_core_permission_of(s->sync->core, &request->tree, &request->requesting_key, &out->permission) != EID_OK) {
        refuse_unauthorized(s, request, protected);
        return;
    }
    if (protected && spend_nonce(s, request) != EID_OK) {
        refuse(s, "%s", eid_last_error());
        return;
    }
    out->answered = false;
    out->approved = true;
    out->has_permission = true;
}

static void judge_bootstrap(serving *s, const eid_tree_request *request, const eid_auth_settings *auth,
                            grant *out)
{
    bool protected = eid_auth_settings_protected(auth);

    if (protected && !request->has_requesting_key) {
        out->answered = true;
        refuse(s, "Authentication required: This database requires authenticated access. Please provide "
                  "credentials "
                  "(requesting_key, requesting_key_name, requested_permission) to bootstrap sync.");
        return;
    }
    if (request->has_requesting_key && request->requesting_key_name != NULL && request->has_permission)
        judge_requested(s, request, auth, out);
    else if (request->has_requesting_key && request->requesting_key_name != NULL)
        judge_named(s, request, auth, out);
    if (!out->answered && protected && !out->approved) {
        char tree[EID_ID_TEXT_SIZE];
        eid_id_format(&request->tree, tree);
        out->answered = true;
        refuse(s, "Authentication required to read database '%s'", tree);
    }
}

/* ---- Bootstrap ---- */

/* Entries on their way into the answer. */
typedef struct pouring {
    eid_buf *answer;
    const eid_id *tree;
    bool begun; /* the root was written, others follow */
    bool first;
    size_t max; /* bytes, 0: any number */
    bool more;  /* not all had room */
} pouring;

/* What stands around the entries of an answer, at most; tips are written before them. */
#define ANSWER_ROOM 256

/* Parents come first, so that what has room is closed under them. One entry goes along always: else there were no end. */
static bool pour_item(pouring *p, const eid_entry *entry)
{
    size_t before = p->answer->len;
    bool alone = p->first;
    eid_message_write_item(p->answer, entry, &p->first);
    p->more = p->max != 0 && !alone && p->answer->len + ANSWER_ROOM > p->max;
    if (p->more)
        p->answer->len = before;
    return !p->more && p->answer->status == EID_OK;
}

static bool pour_bootstrap(eid_entry *entry, void *ctx)
{
    pouring *p = ctx;
    if (!p->begun) {
        eid_response_write_bootstrap_begin(p->answer, p->tree, entry);
        p->begun = true;
        return p->answer->status == EID_OK;
    }
    return pour_item(p, entry);
}

static bool pour_incremental(eid_entry *entry, void *ctx)
{
    return pour_item(ctx, entry);
}

void eid_serving_note_relation(serving *s, const eid_tree_request *request)
{
    if (request->has_peer_key)
        eid_engine_seen(s->sync->engine, &request->peer_key);
    if (request->has_peer_key && eid_relation_note(s->sync, &request->tree, &request->peer_key) != EID_OK)
        eid_log(EID_LOG_WARN, "sync: a peer's part in a database could not be recorded: %s",
                eid_last_error());
}

static void serve_bootstrap(serving *s, const eid_tree_request *request, const eid_auth_settings *auth)
{
    grant granted = {false};
    judge_bootstrap(s, request, auth, &granted);
    if (granted.answered)
        return;
    pouring p = {s->answer, &request->tree, false, true, s->origin->answer_max, false};
    eid_status status = eid_core_difference(s->sync->core, &request->tree, NULL, 0, pour_bootstrap, &p);
    if (status == EID_OK)
        status = eid_buf_status(s->answer);
    if (status != EID_OK || !p.begun) {
        refuse(s, "Failed to get tree root: %s", eid_last_error());
        return;
    }
    eid_response_write_bootstrap_end(s->answer, granted.approved,
                                     granted.has_permission ? &granted.permission : NULL, p.more);
    eid_serving_note_relation(s, request);
}

/* ---- Incremental ---- */

/* Proof of a key that may read; not asked for where everybody may. */
static eid_status check_reader(serving *s, const eid_tree_request *request, const eid_auth_settings *auth)
{
    eid_permission held;
    if (!eid_auth_settings_protected(auth))
        return EID_OK;
    EID_TRY(eid_request_auth_check(request, &s->sync->device, now_of(s)));
    if (eid_core_permission_of(s->sync->core, &request->tree, &request->proof.key, &held) == EID_OK)
        return spend_nonce(s, request);
    char key[EID_PUBKEY_TEXT_SIZE], tree[EID_ID_TEXT_SIZE];
    eid_pubkey_format(&request->proof.key, key);
    eid_id_format(&request->tree, tree);
    return eid_fail(EID_ERR_PERMISSION_DENIED, "Permission denied: key %s is not authorized to read %s", key,
                    tree);
}

static void serve_incremental(serving *s, const eid_tree_request *request, const eid_auth_settings *auth)
{
    eid_id *tips;
    size_t count;

    if (check_reader(s, request, auth) != EID_OK) {
        refuse(s, "%s", eid_last_error());
        return;
    }
    if (eid_core_tips(s->sync->core, &request->tree, &tips, &count) != EID_OK) {
        refuse(s, "Failed to get tips: %s", eid_last_error());
        return;
    }
    pouring p = {s->answer, &request->tree, true, true, s->origin->answer_max, false};
    eid_response_write_incremental_begin(s->answer, &request->tree, tips, count);
    eid_status status = eid_core_difference(s->sync->core, &request->tree, request->tips, request->tip_count,
                                            pour_incremental, &p);
    eid_free(tips);
    eid_response_write_incremental_end(s->answer, p.more);
    if (status == EID_OK)
        status = eid_buf_status(s->answer);
    if (status != EID_OK) {
        refuse(s, "Failed to find missing entries: %s", eid_last_error());
        return;
    }
    eid_serving_note_relation(s, request);
}

static bool is_blocked(serving *s, const eid_tree_request *request)
{
    eid_engine *engine = s->sync->engine;
    return (request->has_peer_key && eid_engine_is_blocked(engine, &request->peer_key)) ||
           (request->has_proof && eid_engine_is_blocked(engine, &request->proof.key));
}

/* Not held and not shared look the same from outside, and so does all to a peer that is blocked. */
static bool is_out_of_reach(serving *s, const eid_tree_request *request)
{
    return is_blocked(s, request) || !eid_sync_is_shared(s->sync, &request->tree) ||
           !eid_core_holds(s->sync->core, &request->tree);
}

static void serve_tree(serving *s, const eid_tree_request *request)
{
    eid_auth_settings *auth;

    if (is_out_of_reach(s, request)) {
        fail_unknown(&request->tree);
        refuse(s, "%s", eid_last_error());
        return;
    }
    if (eid_core_auth(s->sync->core, &request->tree, &auth) != EID_OK) {
        refuse(s, "Failed to access auth settings: %s", eid_last_error());
        return;
    }
    if (request->tip_count == 0)
        serve_bootstrap(s, request, auth);
    else
        serve_incremental(s, request, auth);
    eid_auth_settings_unref(auth);
}

eid_status eid_serving_may_read(serving *s, const eid_tree_request *request)
{
    eid_auth_settings *auth;
    if (is_out_of_reach(s, request))
        return fail_unknown(&request->tree);
    EID_TRY(eid_core_auth(s->sync->core, &request->tree, &auth));
    eid_status status = check_reader(s, request, auth);
    eid_auth_settings_unref(auth);
    return status;
}

/* ---- SendEntries ---- */

bool eid_serving_sender_is_blocked(const serving *s)
{
    return s->has_sender && eid_engine_is_blocked(s->sync->engine, &s->sender);
}

uint64_t eid_serving_store(serving *s, const eid_id *database, eid_entry *const *entries, size_t count)
{
    eid_receipt receipt;
    if (!eid_sync_is_shared(s->sync, database) || !eid_core_holds(s->sync->core, database))
        return 0;
    if (eid_core_receive(s->sync->core, database, entries, count, &receipt, NULL) != EID_OK) {
        eid_log(EID_LOG_WARN, "sync: received entries could not be stored: %s", eid_last_error());
        return 0;
    }
    if (receipt.refused != 0)
        eid_log(EID_LOG_WARN, "sync: %llu received entries were refused: %s",
                (unsigned long long)receipt.refused, receipt.text);
    if (s->has_sender && receipt.refused == 0)
        eid_engine_heard(s->sync->engine, &s->sender, database, entries, count);
    /* Somebody has the parents. */
    if (receipt.waiting != 0)
        eid_engine_ask(s->sync->engine, s->has_sender ? &s->sender : NULL, database);
    /* Entries that had waited and were refused now are counted in it as well. */
    return receipt.refused < count ? count - receipt.refused : 0;
}

static eid_status group_entries(const eid_entry_list *list, eid_map *groups)
{
    for (size_t i = 0; i < list->count; i++) {
        eid_map_entry *group;
        EID_TRY(eid_map_put(groups, eid_id_slice(eid_entry_database_id(list->items[i])), &group, NULL));
        if (group->value == NULL)
            group->value = eid_alloc_zero(1, sizeof(eid_entry_list));
        eid_entry_list *members = group->value;
        if (members == NULL)
            return eid_fail_memory();
        void *items = members->items;
        EID_TRY(eid_make_room(&items, &members->capacity, members->count, sizeof(eid_entry *)));
        members->items = items;
        members->items[members->count++] = eid_entry_ref(list->items[i]);
    }
    return EID_OK;
}

static void free_group(void *group)
{
    if (group != NULL)
        eid_entry_list_free(group);
    eid_free(group);
}

static eid_status store_all(serving *s, const eid_entry_list *list, uint64_t *stored)
{
    eid_map *groups;
    EID_TRY(eid_map_new(&groups));
    eid_status status = group_entries(list, groups);
    *stored = 0;
    for (eid_map_entry *at = eid_map_first(groups); at != NULL && status == EID_OK;
         at = eid_map_next(groups, at)) {
        eid_entry_list *members = at->value;
        *stored += eid_serving_store(s, eid_entry_database_id(members->items[0]), members->items, members->count);
    }
    eid_map_free(groups, free_group);
    return status;
}

static void serve_entries(serving *s, const eid_entry_list *list)
{
    uint64_t stored;
    if (eid_serving_sender_is_blocked(s))
        refuse(s, "Permission denied: this peer is blocked");
    else if (store_all(s, list, &stored) != EID_OK)
        refuse(s, "Backend error: %s", eid_last_error());
    else if (list->count <= 1)
        eid_response_write_ack(s->answer);
    else
        eid_response_write_count(s->answer, stored);
}

/* ---- Entry ---- */

void eid_serving_begin(serving *s, eid_sync *sync, const eid_request_origin *origin, eid_buf *answer)
{
    *s = (serving){.sync = sync, .origin = origin, .answer = answer};
    s->has_sender = origin->peer != NULL && eid_pubkey_parse(origin->peer, &s->sender) == EID_OK;
}

static eid_handle_result refuse_body(eid_buf *answer, eid_status status)
{
    if (status == EID_ERR_NO_MEMORY)
        return EID_HANDLER_FAILED;
    bool malformed = eid_message_malformed(status);
    eid_buf_appendf(answer, "%s: %s",
                    malformed ? "Failed to parse the request body as JSON"
                              : "Failed to deserialize the JSON body into the target type",
                    eid_last_error());
    return malformed ? EID_BODY_MALFORMED : EID_BODY_WRONG_SHAPE;
}

eid_handle_result eid_sync_handle(eid_slice body, const eid_request_origin *origin, eid_buf *answer, eid_source **rest,
                                  void *ctx)
{
    eid_sync_request request;
    serving s;

    if (origin->stream)
        return eid_stream_handle(body, origin, answer, rest, ctx);
    eid_status status = eid_request_read(body, &request);
    if (status != EID_OK)
        return refuse_body(answer, status);
    eid_serving_begin(&s, ctx, origin, answer);
    switch (request.kind) {
    case EID_REQUEST_HANDSHAKE:
        serve_handshake(&s, &request.as.handshake);
        break;
    case EID_REQUEST_SYNC_TREE:
        serve_tree(&s, &request.as.tree);
        break;
    case EID_REQUEST_SEND_ENTRIES:
        serve_entries(&s, &request.as.entries);
        break;
    }
    eid_request_free(&request);
    return answer->status == EID_OK ? EID_HANDLED : EID_HANDLER_FAILED;
}
