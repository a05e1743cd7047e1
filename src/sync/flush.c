/* SPDX-License-Identifier: Apache-2.0 */
/* Flushes: calls that are over when every peer with something to send was tried once. */
#include "base/alloc.h"
#include "sync/engine_int.h"

typedef struct eid_flush {
    eid_sync_call *call; /* a reference */
    uint64_t until_ms;   /* host time */
    struct eid_flush *next;
} eid_flush;

/* Marks the neighbours a flush waits for. Backoff does not count for them. */
static void mark(eid_engine *engine)
{
    if (engine->flushes == NULL) {
        engine->flush_retries = 0;
        engine->flush_new = 0;
    }
    for (eid_map_entry *at = eid_map_first(engine->neighbours); at != NULL;
         at = eid_map_next(engine->neighbours, at)) {
        eid_neighbour *neighbour = at->value;
        for (const eid_link *link = neighbour->links; link != NULL; link = link->next_of_neighbour)
            neighbour->flushing |= neighbour->status == EID_PEER_ACTIVE && neighbour->address_count != 0 &&
                                   (eid_link_has_to_send(link) || neighbour->busy);
        if (neighbour->flushing && !neighbour->busy)
            eid_engine_enqueue(engine, neighbour);
    }
}

static bool any_flushing(const eid_engine *engine)
{
    for (eid_map_entry *at = eid_map_first(engine->neighbours); at != NULL;
         at = eid_map_next(engine->neighbours, at))
        if (((const eid_neighbour *)at->value)->flushing)
            return true;
    return false;
}

/* The mutex is held. The sentence of a failure is the last one. */
static void end_flush(eid_flush **link, eid_status status)
{
    eid_flush *flush = *link;
    eid_sync_call *call = flush->call;
    *link = flush->next;
    eid_free(flush);
    pthread_mutex_lock(&call->mutex);
    call->status = status;
    call->sentence = status == EID_OK ? NULL : eid_strdup(eid_last_error());
    pthread_mutex_unlock(&call->mutex);
    eid_call_finish(call);
}

static eid_status outcome(const eid_engine *engine)
{
    if (engine->flush_retries + engine->flush_new == 0)
        return EID_OK;
    return eid_fail(EID_ERR_NETWORK, "Network error: Flush had failures: %zu from retry queue, %zu from new entries",
                    engine->flush_retries, engine->flush_new);
}

void eid_flushes_look(eid_engine *engine, uint64_t now)
{
    if (engine->flushes == NULL)
        return;
    bool waits = any_flushing(engine);
    for (eid_flush **link = &engine->flushes; *link != NULL;) {
        if (!waits) {
            end_flush(link, outcome(engine));
        } else if (engine->stopping) {
            end_flush(link, eid_fail(EID_ERR_CANCELLED, "The instance is being closed"));
        } else if ((*link)->until_ms <= now) {
            end_flush(link, eid_fail(EID_ERR_TIMEOUT, "Network error: the flush took longer than it was given"));
        } else {
            eid_engine_note_time(engine, (*link)->until_ms);
            link = &(*link)->next;
        }
    }
}

void eid_flush_cancel(eid_engine *engine, const eid_sync_call *call)
{
    pthread_mutex_lock(&engine->mutex);
    for (eid_flush **link = &engine->flushes; *link != NULL;) {
        if ((*link)->call == call)
            end_flush(link, eid_fail(EID_ERR_CANCELLED, "The call was cancelled"));
        else
            link = &(*link)->next;
    }
    pthread_mutex_unlock(&engine->mutex);
}

static eid_status start_flush(eid_engine *engine, uint64_t timeout_ms, const eid_call_hooks *hooks, eid_sync_call **out)
{
    eid_flush *flush = eid_alloc(sizeof *flush);
    if (flush == NULL)
        return eid_fail_memory();
    eid_status status = eid_call_new(engine, hooks, &flush->call);
    if (status != EID_OK) {
        eid_free(flush);
        return status;
    }
    *out = flush->call;
    eid_call_ref(flush->call);
    pthread_mutex_lock(&engine->mutex);
    uint64_t now = eid_engine_now(engine);
    flush->until_ms = timeout_ms > EID_NEVER - now ? EID_NEVER : now + timeout_ms;
    mark(engine);
    flush->next = engine->flushes;
    engine->flushes = flush;
    eid_flushes_look(engine, now);
    pthread_mutex_unlock(&engine->mutex);
    return EID_OK;
}

eid_status eid_sync_flush(eid_sync *sync, uint64_t timeout_ms)
{
    EID_NEED(sync);
    eid_engine *engine = sync->engine;
    eid_sync_call *call;
    if (eid_engine_host(engine) == NULL)
        return EID_OK;
    EID_TRY(eid_engine_may_wait(engine));
    EID_TRY(start_flush(engine, timeout_ms, &(eid_call_hooks){.done = NULL}, &call));
    eid_status status = eid_sync_call_wait(call, EID_NEVER, NULL);
    eid_sync_call_free(call);
    return status;
}

eid_status eid_sync_flush_async(eid_sync *sync, uint64_t timeout_ms, eid_sync_done done, void *ctx, eid_sync_call **call)
{
    EID_NEED(sync);
    eid_sync_call *made;
    EID_TRY(eid_sync_need_transport(sync));
    EID_TRY(start_flush(sync->engine, timeout_ms, &(eid_call_hooks){.done = done, .ctx = ctx}, &made));
    eid_call_hand_out(made, call);
    return EID_OK;
}

eid_status eid_instance_flush_sync(eid_instance *instance, uint64_t timeout_ms)
{
    EID_NEED(instance);
    eid_sync *sync = eid_instance_attached_sync(instance);
    return sync == NULL ? EID_OK : eid_sync_flush(sync, timeout_ms);
}
