/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of the program: their handles, how orders become sessions, and how ends become callbacks. The forms that make orders
 * are in forms.c. */
#include "base/alloc.h"
#include "base/sized.h"
#include "base/wait.h"
#include "sync/engine_int.h"

#define CALL_OF(work, member) ((eid_sync_call *)(void *)((char *)(work)-offsetof(eid_sync_call, member)))
#define PROGRESS_EVERY_MS 100

/* ---- Handles ---- */

void eid_call_ref(eid_sync_call *call)
{
    atomic_fetch_add(&call->references, 1);
}

void eid_call_unref(eid_sync_call *call)
{
    if (call == NULL || atomic_fetch_sub(&call->references, 1) != 1)
        return;
    eid_offered_trees_free(call->trees, call->tree_count);
    eid_free(call->sentence);
    eid_wait_destroy(&call->mutex, &call->changed);
    eid_free(call);
}

eid_status eid_call_new(eid_engine *engine, const eid_call_hooks *hooks, eid_sync_call **out)
{
    eid_sync_call *call = eid_alloc_zero(1, sizeof *call);
    if (call == NULL)
        return eid_fail_memory();
    eid_status status = eid_wait_init(&call->mutex, &call->changed);
    if (status != EID_OK) {
        eid_free(call);
        return status;
    }
    atomic_init(&call->references, 1);
    call->engine = engine;
    call->hooks = *hooks;
    call->result.struct_size = sizeof call->result;
    *out = call;
    return EID_OK;
}

void eid_sync_call_free(eid_sync_call *call)
{
    eid_call_unref(call);
}

/* On the engine's thread: the session is still there unless the call is over. */
typedef struct cancelling {
    eid_work work;
    eid_engine *engine;
    eid_sync_call *call;
} cancelling;

static void cancel_on_engine(eid_work *work)
{
    cancelling *c = (cancelling *)(void *)work;
    pthread_mutex_lock(&c->call->mutex);
    eid_session *s = c->call->session;
    pthread_mutex_unlock(&c->call->mutex);
    /* Sessions end on this very thread. */
    if (s != NULL) {
        eid_session_cancel(s);
    } else {
        eid_watch_cancel(c->call);
        eid_flush_cancel(c->engine, c->call);
    }
    eid_call_unref(c->call);
    eid_free(c);
}

void eid_sync_call_cancel(eid_sync_call *call)
{
    if (call == NULL)
        return;
    pthread_mutex_lock(&call->mutex);
    call->cancelled = true;
    eid_engine *engine = call->engine;
    eid_session *s = call->session;
    if (s != NULL)
        atomic_store(&s->cancelled, true);
    pthread_mutex_unlock(&call->mutex);
    if (engine == NULL)
        return;
    cancelling *c = eid_alloc_zero(1, sizeof *c);
    if (c == NULL)
        return; /* it ends when the exchange under way does */
    c->work.run = cancel_on_engine;
    c->engine = engine;
    c->call = call;
    eid_call_ref(call);
    engine->host->functions->post(engine->host, &c->work);
}

/* ---- Progress ---- */

static bool calls_back(eid_sync_call *call)
{
    pthread_mutex_lock(&call->mutex);
    bool any = call->hooks.done != NULL || call->hooks.after != NULL || call->on_progress != NULL;
    pthread_mutex_unlock(&call->mutex);
    return any;
}

void eid_sync_call_set_progress(eid_sync_call *call, eid_sync_progress_callback progress, void *ctx)
{
    pthread_mutex_lock(&call->mutex);
    call->on_progress = progress;
    call->progress_ctx = ctx;
    pthread_mutex_unlock(&call->mutex);
}

static void tell_progress(eid_sync_call *call)
{
    pthread_mutex_lock(&call->mutex);
    eid_sync_progress_callback tell = call->on_progress;
    void *ctx = call->progress_ctx;
    eid_sync_progress progress = call->progress;
    call->progress_posted = false;
    pthread_mutex_unlock(&call->mutex);
    if (tell != NULL)
        tell(&progress, ctx);
}

static void on_progress_due(eid_work *work)
{
    eid_sync_call *call = CALL_OF(work, progressing);
    tell_progress(call);
    eid_call_unref(call);
}

void eid_call_progress(eid_session *s)
{
    eid_sync_call *call = s->call;
    if (call == NULL)
        return;
    eid_host *host = s->engine->host;
    uint64_t now = host->functions->now_ms(host);
    pthread_mutex_lock(&call->mutex);
    bool tell = call->on_progress != NULL && !call->progress_posted && now >= call->progress_at_ms;
    if (tell) {
        call->progress = s->progress;
        call->progress_posted = true;
        call->progress_at_ms = now + PROGRESS_EVERY_MS;
    }
    pthread_mutex_unlock(&call->mutex);
    if (!tell)
        return;
    eid_call_ref(call);
    call->progressing.run = on_progress_due;
    call->progressing.done = NULL;
    host->functions->call_back(host, &call->progressing);
}

/* ---- Waiting ---- */

/* The call's mutex is held; false when nothing can happen any more, or not in time. */
static bool wait_some(eid_sync_call *call, const struct timespec *until)
{
    eid_host *host = call->engine == NULL ? NULL : call->engine->host;
    if (host != NULL && host->functions->pump != NULL) {
        pthread_mutex_unlock(&call->mutex);
        bool done = host->functions->pump(host);
        pthread_mutex_lock(&call->mutex);
        return done;
    }
    return pthread_cond_timedwait(&call->changed, &call->mutex, until) == 0;
}

eid_status eid_call_may_wait(eid_engine *engine, bool called_back)
{
    eid_host *host = eid_engine_host(engine);
    EID_TRY(eid_engine_may_wait(engine));
    if (called_back && host != NULL && host->functions->is_calling_back != NULL &&
        host->functions->is_calling_back(host))
        return eid_fail(EID_ERR_CONFLICT, "This thread makes the callbacks the call would wait for: use an _async form "
                                          "with `done` here, or the waiting form without progress");
    return EID_OK;
}

eid_status eid_sync_call_wait(eid_sync_call *call, uint64_t timeout_ms, eid_sync_result *result)
{
    EID_NEED(call);
    struct timespec until;
    if (result != NULL)
        EID_TRY(eid_sized_check(result, sizeof *result, "eid_sync_result"));
    eid_wait_deadline(timeout_ms, &until);
    pthread_mutex_lock(&call->mutex);
    eid_engine *engine = call->engine;
    pthread_mutex_unlock(&call->mutex);
    if (engine != NULL)
        EID_TRY(eid_call_may_wait(engine, calls_back(call)));
    pthread_mutex_lock(&call->mutex);
    bool waiting = true;
    while (!call->over && waiting)
        waiting = wait_some(call, &until);
    eid_status status = call->over ? call->status : EID_ERR_TIMEOUT;
    if (!call->over)
        eid_fail(EID_ERR_TIMEOUT, "The call still goes on");
    else if (status != EID_OK)
        eid_fail(status, "%s", call->sentence != NULL ? call->sentence : "out of memory");
    else if (result != NULL)
        eid_sized_give(result, &call->result, sizeof call->result);
    pthread_mutex_unlock(&call->mutex);
    return status;
}

/* ---- Ends ---- */

static void end_call(eid_work *work)
{
    eid_sync_call *call = CALL_OF(work, ending);
    const eid_call_hooks *hooks = &call->hooks;
    if (hooks->after != NULL)
        hooks->after(call);
    if (call->status == EID_OK)
        tell_progress(call);
    if (hooks->done != NULL)
        hooks->done(call->status, call->sentence != NULL ? call->sentence : "", &call->result, hooks->ctx);
    pthread_mutex_lock(&call->mutex);
    call->over = true;
    call->engine = NULL;
    pthread_cond_broadcast(&call->changed);
    pthread_mutex_unlock(&call->mutex);
    eid_call_unref(call);
}

/* A call nobody wants to be called back for ends where it is: whoever waits for it may be the one who calls back. */
void eid_call_finish(eid_sync_call *call)
{
    eid_host *host = call->engine->host;
    if (!calls_back(call)) {
        end_call(&call->ending);
        return;
    }
    call->ending.run = end_call;
    call->ending.done = NULL;
    host->functions->call_back(host, &call->ending);
}

void eid_call_end(eid_sync_call *call, eid_session *s)
{
    pthread_mutex_lock(&call->mutex);
    call->session = NULL;
    call->status = s->status;
    if (s->status == EID_OK)
        call->result = s->result;
    else
        call->result.peer = s->result.peer;
    eid_free(call->sentence);
    call->sentence = s->status == EID_OK ? NULL : eid_strdup(s->sentence);
    call->trees = s->trees;
    call->tree_count = s->tree_count;
    s->trees = NULL;
    s->tree_count = 0;
    call->progress = s->progress;
    pthread_mutex_unlock(&call->mutex);
    if (!eid_watch_goes_on(call))
        eid_call_finish(call);
}

/* ---- Orders ---- */

static eid_status copy_order_addresses(eid_session *s, const eid_sync_order *order)
{
    if (order->address_count > EID_LIMIT_TICKET_ADDRESSES)
        return eid_fail(EID_ERR_LIMIT, "at most %d addresses can be tried", EID_LIMIT_TICKET_ADDRESSES);
    s->addresses = eid_alloc_zero(order->address_count + 1, sizeof *s->addresses);
    if (s->addresses == NULL)
        return eid_fail_memory();
    for (size_t i = 0; i < order->address_count; i++) {
        EID_TRY(eid_address_copy(order->addresses[i], &s->addresses[i]));
        s->address_count++;
    }
    return EID_OK;
}

static eid_status aim(eid_session *s, const eid_sync_order *order)
{
    char text[EID_PUBKEY_TEXT_SIZE];
    if (order->peer == NULL) {
        if (order->address_count == 0)
            return eid_fail(EID_ERR_INVALID_ADDRESS, "Invalid address: Ticket has no address hints");
        return copy_order_addresses(s, order);
    }
    eid_engine *engine = s->engine;
    pthread_mutex_lock(&engine->mutex);
    const eid_neighbour *neighbour = eid_neighbour_find(engine, order->peer);
    bool known = neighbour != NULL && neighbour->status != EID_PEER_BLOCKED;
    eid_status status = known && order->address_count == 0 ? eid_session_aim(s, neighbour) : EID_OK;
    pthread_mutex_unlock(&engine->mutex);
    if (!known) {
        eid_pubkey_format(order->peer, text);
        return eid_fail(EID_ERR_PEER_NOT_FOUND, "Peer not found: %s", text);
    }
    s->has_peer = true;
    s->peer = *order->peer;
    if (status == EID_OK && order->address_count != 0)
        status = copy_order_addresses(s, order);
    if (status == EID_OK && s->address_count == 0)
        return eid_fail(EID_ERR_NETWORK, "Network error: No addresses found for peer");
    /* A call that wants the list, or to see the peer alive, needs a handshake. */
    if (s->handshake_only || s->want_trees || s->all_databases)
        s->proven = false;
    if (s->proven)
        s->result.peer = s->peer;
    return status;
}

static eid_status copy_asking(eid_session *s, const eid_sync_order *order)
{
    char text[EID_PUBKEY_TEXT_SIZE];
    eid_pubkey key;
    if (order->database == NULL || order->key == NULL)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "asking for access takes a database and a key");
    if (order->key_name != NULL && order->key_name[0] == '\0')
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "Invalid key name: Key name cannot be empty");
    eid_keypair_public(order->key, &key);
    eid_pubkey_format(&key, text);
    s->asking.wanted = true;
    s->asking.permission = order->permission;
    s->asking.key_name = eid_strdup(order->key_name != NULL ? order->key_name : text);
    if (s->asking.key_name == NULL)
        return eid_fail_memory();
    return order->metadata == NULL ? EID_OK : eid_doc_copy(order->metadata, &s->asking.metadata);
}

static eid_status fill_session(eid_session *s, const eid_sync_order *order, unsigned flags)
{
    s->handshake_only = order->handshake_only;
    s->want_trees = (flags & EID_ORDER_TREES) != 0;
    s->asking.poll = (flags & EID_ORDER_POLL) != 0;
    s->all_databases = order->database == NULL && !order->handshake_only;
    EID_TRY(aim(s, order));
    if (order->key != NULL)
        EID_TRY(eid_keypair_copy(order->key, &s->key));
    if (order->ask_access)
        EID_TRY(copy_asking(s, order));
    if (order->database != NULL)
        EID_TRY(eid_session_add_item(s, order->database, EID_ITEM_FULL));
    if (order->timeout_ms != 0)
        s->deadline_ms = s->engine->host->functions->now_ms(s->engine->host) + order->timeout_ms;
    return EID_OK;
}

eid_status eid_order_session(eid_sync *sync, const eid_sync_order *order, unsigned flags, eid_sync_call *call)
{
    eid_session *s = eid_session_new(sync->engine);
    if (s == NULL)
        return eid_fail_memory();
    eid_status status = fill_session(s, order, flags);
    if (status == EID_OK) {
        s->call = call;
        eid_call_ref(call); /* of the session; end_call gives it back */
        pthread_mutex_lock(&call->mutex);
        call->session = s;
        if (call->cancelled)
            atomic_store(&s->cancelled, true);
        pthread_mutex_unlock(&call->mutex);
        status = eid_session_submit(s);
        if (status != EID_OK) {
            pthread_mutex_lock(&call->mutex);
            call->session = NULL;
            pthread_mutex_unlock(&call->mutex);
            eid_call_unref(call);
        }
    }
    if (status != EID_OK)
        eid_session_free(s);
    return status;
}

static eid_status read_order(const eid_sync_order *given, eid_sync_order *order)
{
    static const eid_sync_order defaults = EID_SYNC_ORDER_INIT;
    *order = defaults;
    return eid_sized_take(order, sizeof *order, given, "eid_sync_order");
}

eid_status eid_call_start(eid_sync *sync, const eid_sync_order *given, unsigned flags, const eid_call_hooks *hooks,
                          eid_sync_call **out)
{
    eid_sync_order order;
    eid_sync_call *call;
    EID_TRY(read_order(given, &order));
    EID_TRY(eid_sync_need_transport(sync));
    EID_TRY(eid_call_new(sync->engine, hooks, &call));
    call->on_progress = order.progress;
    call->progress_ctx = order.progress_ctx;
    eid_status status = eid_order_session(sync, &order, flags, call);
    if (status != EID_OK) {
        eid_call_unref(call);
        return status;
    }
    *out = call;
    return EID_OK;
}
