/* SPDX-License-Identifier: Apache-2.0 */
/* Sync on behalf of a user: with the user's keys, and with consequences for what the user tracks. */
#include "sync/engine_int.h"

#include "base/alloc.h"

static eid_status sync_of(eid_user *user, eid_sync **out)
{
    return eid_instance_sync(eid_user_instance(user), out);
}

/* ---- Sharing ---- */

eid_status eid_user_share(eid_user *user, const eid_id *database, eid_ticket **out)
{
    EID_NEED(user && database && out);
    eid_sync *sync;
    eid_database_preferences tracked;
    eid_ticket *ticket;

    EID_TRY(sync_of(user, &sync));
    EID_TRY(eid_user_database_prefs(user, database, &tracked));
    eid_database_preferences_clear(&tracked);
    EID_TRY(eid_sync_create_ticket(sync, database, &ticket));
    eid_status status = eid_user_enable_sync(user, database);
    if (status != EID_OK) {
        eid_ticket_free(ticket);
        return status;
    }
    *out = ticket;
    return EID_OK;
}

/* ---- Asking for access ---- */

/* Existing preferences are kept; a database that was not tracked before is, with sync off. */
static eid_status track(eid_user *user, const eid_id *database)
{
    eid_database_preferences tracked = EID_DATABASE_PREFERENCES_INIT;
    eid_status status = eid_user_database_prefs(user, database, &tracked);
    if (status != EID_OK && status != EID_ERR_DATABASE_NOT_TRACKED)
        return status;
    tracked.database_id = *database;
    status = eid_user_add_database(user, &tracked);
    eid_database_preferences_clear(&tracked);
    return status;
}

static eid_status track_all(eid_user *user, const eid_id_array *databases)
{
    for (size_t i = 0; i < databases->count; i++) {
        eid_status status = track(user, &databases->items[i]);
        if (status != EID_OK && status != EID_ERR_NO_KEY_FOR_DATABASE)
            return status;
    }
    return EID_OK;
}

/* A database that came is tracked; when no key of the user is known in it, with those that may tell of one. */
static eid_status take_over(eid_user *user, eid_sync *sync, const eid_ticket *ticket)
{
    const eid_id *database = eid_ticket_database_id(ticket);
    eid_id_array fetched = {NULL, 0, 0};
    eid_status status = track(user, database);
    if (status != EID_ERR_NO_KEY_FOR_DATABASE)
        return status;
    status = eid_sync_fetch_delegated(sync, ticket, eid_user_default_keypair(user), &fetched);
    if (status == EID_OK)
        status = track_all(user, &fetched);
    eid_id_array_free(&fetched);
    return status == EID_OK ? track(user, database) : status;
}

/* What the order needs of the user. */
static eid_status order_access(eid_user *user, const eid_ticket *ticket, eid_permission permission, eid_sync_order *order,
                               const eid_address **room)
{
    if (eid_ticket_address_count(ticket) == 0)
        return eid_fail(EID_ERR_INVALID_ADDRESS, "Invalid address: Ticket has no address hints");
    eid_order_by_ticket(order, ticket, room);
    order->key = eid_user_default_keypair(user);
    order->ask_access = true;
    order->permission = permission;
    return EID_OK;
}

/* What follows for the user from how asking ended. */
static eid_status record_outcome(eid_user *user, eid_sync *sync, const eid_ticket *ticket, eid_status outcome,
                                 const char *sentence)
{
    const eid_id *database = eid_ticket_database_id(ticket);
    if (outcome == EID_OK)
        return take_over(user, sync, ticket);
    if (outcome == EID_ERR_BOOTSTRAP_PENDING)
        return eid_user_record_pending_access(user, database);
    return outcome == EID_ERR_BOOTSTRAP_REJECTED ? eid_user_record_refused_access(user, database, sentence) : EID_OK;
}

eid_status eid_user_request_database_access(eid_user *user, const eid_ticket *ticket,
                                            eid_permission permission, eid_sync_result *result)
{
    EID_NEED(user && ticket);
    const eid_address *room[EID_LIMIT_TICKET_ADDRESSES];
    char sentence[EID_LIMIT_ERROR_TEXT];
    eid_sync_order order;
    eid_sync *sync;

    EID_TRY(sync_of(user, &sync));
    EID_TRY(order_access(user, ticket, permission, &order, room));
    eid_status status = eid_sync_order_wait(sync, &order, result);
    if (status != EID_OK)
        eid_text_copy(sentence, sizeof sentence, eid_last_error());
    EID_TRY(record_outcome(user, sync, ticket, status, sentence));
    return status == EID_OK ? EID_OK : eid_fail(status, "%s", sentence);
}

eid_status eid_user_sync_with_ticket(eid_user *user, const eid_ticket *ticket, eid_sync_result *result)
{
    EID_NEED(user && ticket);
    const eid_address *room[EID_LIMIT_TICKET_ADDRESSES];
    eid_sync_order order;
    eid_sync *sync;

    EID_TRY(sync_of(user, &sync));
    eid_order_by_ticket(&order, ticket, room);
    EID_TRY(eid_user_key_for_database(user, order.database, &order.key));
    return eid_sync_order_wait(sync, &order, result);
}

eid_status eid_user_sync_with_ticket_async(eid_user *user, const eid_ticket *ticket, eid_sync_done done, void *ctx,
                                           eid_sync_call **call)
{
    EID_NEED(user && ticket);
    const eid_address *room[EID_LIMIT_TICKET_ADDRESSES];
    eid_sync_order order;
    eid_sync *sync;

    EID_TRY(sync_of(user, &sync));
    eid_order_by_ticket(&order, ticket, room);
    EID_TRY(eid_user_key_for_database(user, order.database, &order.key));
    return eid_sync_order_async(sync, &order, done, ctx, call);
}

/* ---- Asking for access, without waiting ---- */

typedef struct asking {
    eid_user *user;
    eid_ticket *ticket;
    eid_sync_settings settings;
    bool has_settings;
} asking;

static void free_asking(asking *a)
{
    if (a == NULL)
        return;
    eid_ticket_free(a->ticket);
    eid_sync_settings_clear(&a->settings);
    eid_free(a);
}

static eid_status new_asking(eid_user *user, const eid_ticket *ticket, const eid_sync_settings *settings, asking **out)
{
    asking *a = eid_alloc_zero(1, sizeof *a);
    if (a == NULL)
        return eid_fail_memory();
    a->user = user;
    a->has_settings = settings != NULL;
    eid_sync_settings_init(&a->settings);
    eid_status status = eid_ticket_copy(ticket, &a->ticket);
    if (status == EID_OK && settings != NULL)
        status = eid_sync_settings_copy(settings, &a->settings);
    if (status != EID_OK) {
        free_asking(a);
        return status;
    }
    *out = a;
    return EID_OK;
}

static eid_status change_settings(eid_user *user, const eid_id *database, const eid_sync_settings *settings)
{
    eid_database_preferences tracked = EID_DATABASE_PREFERENCES_INIT;
    EID_TRY(eid_user_database_prefs(user, database, &tracked));
    eid_sync_settings_clear(&tracked.sync_settings);
    eid_status status = eid_sync_settings_copy(settings, &tracked.sync_settings);
    if (status == EID_OK)
        status = eid_user_set_prefs(user, &tracked);
    eid_database_preferences_clear(&tracked);
    return status;
}

/* On the callback thread, when the call is over but nobody knows yet. */
static void after_asking(eid_sync_call *call)
{
    asking *a = call->hooks.after_ctx;
    eid_status status = record_outcome(a->user, call->engine->sync, a->ticket, call->status,
                                       call->sentence != NULL ? call->sentence : "");
    if (status == EID_OK && call->status == EID_OK && a->has_settings)
        status = change_settings(a->user, eid_ticket_database_id(a->ticket), &a->settings);
    if (status != EID_OK) {
        eid_free(call->sentence);
        call->status = status;
        call->sentence = eid_strdup(eid_last_error());
    }
    free_asking(a);
}

eid_status eid_user_request_database_access_async(eid_user *user, const eid_ticket *ticket, eid_permission permission,
                                                  eid_sync_done done, void *ctx, eid_sync_call **call)
{
    EID_NEED(user && ticket);
    const eid_address *room[EID_LIMIT_TICKET_ADDRESSES];
    eid_sync_order order;
    eid_sync *sync;
    eid_sync_call *made;
    asking *a;

    EID_TRY(sync_of(user, &sync));
    EID_TRY(order_access(user, ticket, permission, &order, room));
    EID_TRY(new_asking(user, ticket, NULL, &a));
    eid_status status = eid_call_start(sync, &order, 0, &(eid_call_hooks){done, ctx, after_asking, a}, &made);
    if (status != EID_OK) {
        free_asking(a);
        return status;
    }
    eid_call_hand_out(made, call);
    return EID_OK;
}

eid_status eid_user_await_database_access(eid_user *user, const eid_ticket *ticket, eid_permission permission,
                                          const eid_sync_settings *settings, eid_sync_done done, void *ctx,
                                          eid_sync_call **call)
{
    EID_NEED(user && ticket);
    const eid_id *database = eid_ticket_database_id(ticket);
    eid_access_state before = EID_ACCESS_NONE;
    eid_sync_call *made = NULL;
    eid_sync *sync;
    asking *a;

    EID_TRY(sync_of(user, &sync));
    EID_TRY(eid_sync_need_transport(sync));
    if (eid_ticket_address_count(ticket) == 0)
        return eid_fail(EID_ERR_INVALID_ADDRESS, "Invalid address: Ticket has no address hints");
    EID_TRY(new_asking(user, ticket, settings, &a));
    eid_status status = eid_call_new(sync->engine, &(eid_call_hooks){done, ctx, after_asking, a}, &made);
    if (status == EID_OK)
        status = eid_user_database_access(user, database, &before);
    if (status == EID_OK)
        status = eid_user_record_pending_access(user, database);
    if (status == EID_OK)
        status = eid_watch_start(sync, ticket, eid_user_default_keypair(user), permission, before == EID_ACCESS_PENDING, made);
    if (status != EID_OK) {
        free_asking(a);
        eid_call_unref(made);
        return status;
    }
    eid_call_hand_out(made, call);
    return EID_OK;
}

/* ---- Deciding about requests ---- */

static eid_status decide(eid_user *user, const char *request_id, eid_decision decision)
{
    eid_sync *sync;
    eid_request_record record;
    eid_database *handle;

    EID_TRY(sync_of(user, &sync));
    EID_TRY(eid_request_get_pending(sync, request_id, &record));
    eid_status status = eid_user_open_database(user, &record.tree, &handle);
    eid_request_record_free(&record);
    EID_TRY(status);
    status = eid_request_decide_with(sync, request_id, handle, decision);
    eid_database_close(handle);
    return status;
}

eid_status eid_user_approve_bootstrap_request(eid_user *user, const char *request_id)
{
    EID_NEED(user && request_id);
    return decide(user, request_id, EID_DECISION_APPROVED);
}

eid_status eid_user_reject_bootstrap_request(eid_user *user, const char *request_id)
{
    EID_NEED(user && request_id);
    return decide(user, request_id, EID_DECISION_REJECTED);
}
