/* SPDX-License-Identifier: Apache-2.0 */
/* Watches: calls that go on asking for access until somebody decides.
 *
 * The first question files the request; the later ones only ask what the key may do by now, since some peers file a new
 * request each time one is made. After a restart that is asked first: the request of the run before may have been decided.
 */
#include "base/alloc.h"
#include "sync/engine_int.h"

typedef struct eid_watch {
    eid_work work;               /* submits the next session */
    eid_sync_call *call;         /* a reference */
    eid_sync *sync;
    eid_ticket *ticket;
    eid_keypair *key;
    eid_permission permission;
    bool filed;
    bool recall;                 /* the next question is whether an earlier request was decided */
    bool asking;                 /* a session is under way, or about to be */
    unsigned attempts;
    uint64_t next_ms;
    struct eid_watch *next;
} eid_watch;

static void free_watch(eid_watch *watch)
{
    if (watch == NULL)
        return;
    eid_ticket_free(watch->ticket);
    eid_keypair_free(watch->key);
    eid_free(watch);
}

static void unlist(eid_engine *engine, const eid_watch *watch)
{
    eid_watch **link = &engine->watches;
    while (*link != watch)
        link = &(*link)->next;
    *link = watch->next;
}

/* The end without a session: nothing was under way. */
static void end_watch(eid_watch *watch, eid_status status, const char *sentence)
{
    eid_sync_call *call = watch->call;
    pthread_mutex_lock(&call->mutex);
    call->status = status;
    eid_free(call->sentence);
    call->sentence = eid_strdup(sentence);
    call->watch = NULL;
    pthread_mutex_unlock(&call->mutex);
    free_watch(watch);
    eid_call_finish(call);
}

static void submit(eid_work *work)
{
    eid_watch *watch = (eid_watch *)(void *)work;
    const eid_address *room[EID_LIMIT_TICKET_ADDRESSES];
    eid_engine *engine = watch->sync->engine;
    eid_sync_order order;

    eid_order_by_ticket(&order, watch->ticket, room);
    order.key = watch->key;
    order.ask_access = true;
    order.permission = watch->permission;
    eid_status status = eid_order_session(watch->sync, &order, watch->filed || watch->recall ? EID_ORDER_POLL : 0,
                                          watch->call);
    if (status == EID_OK)
        return;
    pthread_mutex_lock(&engine->mutex);
    unlist(engine, watch);
    pthread_mutex_unlock(&engine->mutex);
    end_watch(watch, status, eid_last_error());
}

eid_status eid_watch_start(eid_sync *sync, const eid_ticket *ticket, const eid_keypair *key, eid_permission permission,
                           bool asked_before, eid_sync_call *call)
{
    eid_engine *engine = sync->engine;
    eid_watch *watch = eid_alloc_zero(1, sizeof *watch);
    if (watch == NULL)
        return eid_fail_memory();
    eid_status status = eid_ticket_copy(ticket, &watch->ticket);
    if (status == EID_OK)
        status = eid_keypair_copy(key, &watch->key);
    if (status != EID_OK) {
        free_watch(watch);
        return status;
    }
    watch->work.run = submit;
    watch->sync = sync;
    watch->permission = permission;
    watch->recall = asked_before;
    watch->call = call;
    watch->asking = true;
    pthread_mutex_lock(&engine->mutex);
    if (engine->stopping) {
        pthread_mutex_unlock(&engine->mutex);
        free_watch(watch);
        return eid_fail(EID_ERR_CANCELLED, "The instance is being closed");
    }
    eid_call_ref(call); /* of the watch; the end of the call gives it back */
    call->watch = watch;
    watch->next = engine->watches;
    engine->watches = watch;
    engine->host->functions->post(engine->host, &watch->work);
    pthread_mutex_unlock(&engine->mutex);
    return EID_OK;
}

/* ---- Going on ---- */

static bool may_change(eid_status status)
{
    return status == EID_ERR_BOOTSTRAP_PENDING || status == EID_ERR_CONNECTION_FAILED || status == EID_ERR_TIMEOUT ||
           status == EID_ERR_NETWORK;
}

bool eid_watch_goes_on(eid_sync_call *call)
{
    eid_watch *watch = call->watch;
    if (watch == NULL)
        return false;
    eid_engine *engine = watch->sync->engine;
    pthread_mutex_lock(&call->mutex);
    bool nothing_yet = call->status == EID_ERR_PROTOCOL && call->sentence != NULL &&
                       strstr(call->sentence, "not authorized") != NULL;
    bool file_now = watch->recall && nothing_yet;
    bool pending = call->status == EID_ERR_BOOTSTRAP_PENDING || (watch->filed && nothing_yet);
    bool on = !call->cancelled && (pending || file_now || may_change(call->status));
    pthread_mutex_unlock(&call->mutex);
    pthread_mutex_lock(&engine->mutex);
    on = on && !engine->stopping;
    if (on) {
        watch->filed |= pending;
        watch->recall &= !file_now;
        watch->asking = false;
        watch->next_ms = eid_engine_now(engine);
        if (!file_now)
            watch->next_ms += eid_engine_backoff(engine, ++watch->attempts);
        eid_engine_note_time(engine, watch->next_ms);
    } else {
        unlist(engine, watch);
        call->watch = NULL;
    }
    pthread_mutex_unlock(&engine->mutex);
    if (!on)
        free_watch(watch);
    eid_call_unref(call); /* of the session, or of the watch: one of them is over, the call has another end to come */
    return on;
}

void eid_watch_cancel(eid_sync_call *call)
{
    pthread_mutex_lock(&call->mutex);
    eid_watch *watch = call->watch;
    pthread_mutex_unlock(&call->mutex);
    if (watch == NULL)
        return;
    eid_engine *engine = watch->sync->engine;
    pthread_mutex_lock(&engine->mutex);
    bool resting = !watch->asking;
    if (resting)
        unlist(engine, watch);
    pthread_mutex_unlock(&engine->mutex);
    if (resting)
        end_watch(watch, EID_ERR_CANCELLED, "The call was cancelled");
}

/* ---- Under the engine's mutex ---- */

uint64_t eid_watches_due(eid_engine *engine, uint64_t now)
{
    uint64_t next = EID_NEVER;
    for (eid_watch *watch = engine->watches; watch != NULL; watch = watch->next) {
        if (watch->asking)
            continue;
        if (watch->next_ms <= now) {
            watch->asking = true;
            engine->host->functions->post(engine->host, &watch->work);
        } else if (watch->next_ms < next) {
            next = watch->next_ms;
        }
    }
    return next;
}

void eid_watches_hurry(eid_engine *engine)
{
    uint64_t now = eid_engine_now(engine);
    for (eid_watch *watch = engine->watches; watch != NULL; watch = watch->next) {
        if (watch->asking || watch->next_ms <= now)
            continue;
        watch->next_ms = now;
        eid_engine_note_time(engine, now);
    }
}

/* Those that ask end with their sessions; the others end here. */
void eid_watches_end(eid_engine *engine)
{
    eid_watch **link = &engine->watches;
    while (*link != NULL) {
        eid_watch *watch = *link;
        if (watch->asking) {
            link = &watch->next;
            continue;
        }
        *link = watch->next;
        end_watch(watch, EID_ERR_CANCELLED, "The instance is being closed");
    }
}
