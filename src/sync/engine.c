/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's life, and its turns: who is spoken with next, and what follows from how it went. */
#include "sync/engine_int.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/wait.h"

static void on_turn(eid_work *work);
static void on_alarm(eid_work *work);
static void on_save(eid_work *work);
static void on_saved(eid_work *work);
static void post_turn(eid_engine *engine);

#define ENGINE_OF(work, member) ((eid_engine *)(void *)((char *)(work)-offsetof(eid_engine, member)))

/* ---- Life ---- */

eid_status eid_engine_new(eid_sync *sync, eid_engine **out)
{
    eid_engine *engine = eid_alloc_zero(1, sizeof *engine);
    if (engine == NULL)
        return eid_fail_memory();
    engine->sync = sync;
    engine->config = (eid_sync_config)EID_SYNC_CONFIG_INIT;
    engine->turn.run = on_turn;
    engine->alarm.run = on_alarm;
    engine->save.run = on_save;
    engine->save.done = on_saved;
    engine->next_save_ms = EID_NEVER;
    eid_status status = eid_wait_init(&engine->mutex, &engine->idle);
    if (status != EID_OK) {
        eid_free(engine);
        return status;
    }
    status = eid_map_new(&engine->neighbours);
    if (status == EID_OK)
        status = eid_map_new(&engine->links);
    if (status == EID_OK)
        status = eid_map_new(&engine->modified);
    if (status == EID_OK)
        status = eid_state_load_modified(engine);
    if (status != EID_OK) {
        eid_engine_free(engine);
        return status;
    }
    *out = engine;
    return EID_OK;
}

void eid_engine_free(eid_engine *engine)
{
    if (engine == NULL)
        return;
    eid_map_free(engine->links, NULL);
    eid_map_free(engine->modified, eid_free);
    eid_map_free(engine->neighbours, eid_neighbour_free);
    eid_wait_destroy(&engine->mutex, &engine->idle);
    eid_free(engine);
}

eid_host *eid_engine_host(eid_engine *engine)
{
    pthread_mutex_lock(&engine->mutex);
    eid_host *host = engine->host;
    pthread_mutex_unlock(&engine->mutex);
    return host;
}

uint64_t eid_engine_now(const eid_engine *engine)
{
    return engine->host == NULL ? 0 : engine->host->functions->now_ms(engine->host);
}

/* What was missed while nothing ran is made up for: a look at every peer, soon but not at the same moment. */
void eid_engine_start(eid_engine *engine, eid_host *host)
{
    pthread_mutex_lock(&engine->mutex);
    engine->host = host;
    uint64_t now = eid_engine_now(engine);
    for (eid_map_entry *at = eid_map_first(engine->neighbours); at != NULL;
         at = eid_map_next(engine->neighbours, at)) {
        eid_neighbour *neighbour = at->value;
        uint64_t begin = now + host->functions->random(host) % 1000;
        neighbour->next_check_ms = begin;
        neighbour->next_attempt_ms = begin;
        for (eid_link *link = neighbour->links; link != NULL; link = link->next_of_neighbour)
            link->full_at_ms = link->related ? begin : EID_NEVER;
    }
    engine->next_sweep_ms = now;
    post_turn(engine);
    pthread_mutex_unlock(&engine->mutex);
}

/* Waits on `idle`, with the mutex held, until that host time; false when it is past. For hosts without threads it does one
 * thing that is due; false when there is none. */
static bool wait_idle(eid_engine *engine, uint64_t until_ms)
{
    eid_host *host = engine->host;
    if (host->functions->pump != NULL) {
        pthread_mutex_unlock(&engine->mutex);
        bool done = host->functions->pump(host);
        pthread_mutex_lock(&engine->mutex);
        return done;
    }
    if (until_ms == EID_NEVER) {
        pthread_cond_wait(&engine->idle, &engine->mutex);
        return true;
    }
    uint64_t now = eid_engine_now(engine);
    if (now >= until_ms)
        return false;
    struct timespec at;
    eid_wait_deadline(until_ms - now, &at);
    pthread_cond_timedwait(&engine->idle, &engine->mutex, &at);
    return true;
}

void eid_engine_stop(eid_engine *engine, void (*close_transports)(eid_sync *sync))
{
    pthread_mutex_lock(&engine->mutex);
    engine->stopping = true;
    eid_host *host = engine->host;
    if (host != NULL) {
        eid_watches_end(engine);
        eid_flushes_look(engine, eid_engine_now(engine));
        post_turn(engine);
    }
    while (host != NULL && (engine->session_count != 0 || engine->saving))
        if (!wait_idle(engine, EID_NEVER))
            break;
    pthread_mutex_unlock(&engine->mutex);
    close_transports(engine->sync);
    if (host != NULL)
        host->functions->close(host);
    eid_state_save_some(engine);
}

/* ---- Queues ---- */

static void post_turn(eid_engine *engine)
{
    if (engine->turn_posted || engine->host == NULL)
        return;
    engine->turn_posted = true;
    engine->host->functions->post(engine->host, &engine->turn);
}

void eid_engine_note_time(eid_engine *engine, uint64_t at)
{
    if (at >= engine->next_sweep_ms)
        return;
    engine->next_sweep_ms = at;
    post_turn(engine);
}

static void append(eid_engine *engine, eid_neighbour *neighbour)
{
    neighbour->queued = true;
    neighbour->next_queued = NULL;
    if (engine->queue_last != NULL)
        engine->queue_last->next_queued = neighbour;
    else
        engine->queue_first = neighbour;
    engine->queue_last = neighbour;
}

void eid_engine_enqueue(eid_engine *engine, eid_neighbour *neighbour)
{
    if (neighbour->queued)
        return;
    append(engine, neighbour);
    post_turn(engine);
}

static eid_neighbour *dequeue(eid_engine *engine)
{
    eid_neighbour *neighbour = engine->queue_first;
    if (neighbour == NULL)
        return NULL;
    engine->queue_first = neighbour->next_queued;
    if (engine->queue_first == NULL)
        engine->queue_last = NULL;
    neighbour->queued = false;
    return neighbour;
}

/* ---- Sessions of the engine ---- */

static eid_status add_addresses(eid_session *s, const eid_neighbour *neighbour)
{
    s->addresses = eid_alloc_zero(neighbour->address_count + 1, sizeof *s->addresses);
    if (s->addresses == NULL)
        return eid_fail_memory();
    if (neighbour->good != NULL) {
        EID_TRY(eid_address_copy(neighbour->good, &s->addresses[0]));
        s->address_count = 1;
    }
    for (size_t i = 0; i < neighbour->address_count; i++) {
        if (neighbour->good != NULL && eid_address_equal(neighbour->addresses[i], neighbour->good))
            continue;
        EID_TRY(eid_address_copy(neighbour->addresses[i], &s->addresses[s->address_count]));
        s->address_count++;
    }
    return EID_OK;
}

eid_status eid_session_aim(eid_session *s, const eid_neighbour *neighbour)
{
    s->has_peer = true;
    s->peer = neighbour->key;
    s->proven = neighbour->good != NULL && eid_engine_now(s->engine) < neighbour->proven_until_ms;
    s->streams = s->proven && neighbour->streams;
    return add_addresses(s, neighbour);
}

/* Moves what is due of the link into the session. What is marked from now on is for the next one. */
static eid_status add_link(eid_session *s, eid_link *link, uint64_t now, bool forced)
{
    bool wanted = link->related && link->shared;
    if (!forced && link->not_before_ms > now)
        return EID_OK;
    if (link->extra_count != 0) {
        EID_TRY(eid_session_add_item(s, &link->database, EID_ITEM_EXTRA));
        eid_item *item = &s->items[s->item_count - 1];
        item->extra = link->extra;
        item->extra_count = link->extra_count;
        link->extra = NULL;
        link->extra_count = 0;
    }
    if (wanted && link->full_at_ms <= now) {
        EID_TRY(eid_session_add_item(s, &link->database, EID_ITEM_FULL));
        link->full_at_ms = EID_NEVER;
        link->push_at_ms = EID_NEVER;
    } else if (wanted && link->push_at_ms <= now) {
        EID_TRY(eid_session_add_item(s, &link->database, link->known_count == 0 ? EID_ITEM_FULL : EID_ITEM_PUSH));
        link->push_at_ms = EID_NEVER;
    }
    return EID_OK;
}

static void put_back(eid_link *link, eid_item *item, uint64_t now)
{
    if (item->mode == EID_ITEM_EXTRA) {
        if (link->extra == NULL) {
            link->extra = item->extra;
            link->extra_count = item->extra_count;
            item->extra = NULL;
        }
    } else if (item->mode == EID_ITEM_FULL) {
        link->full_at_ms = now;
    }
    if (item->mode != EID_ITEM_EXTRA && now < link->push_at_ms)
        link->push_at_ms = now;
}

/* Everything the session took over goes back to its link. */
static void put_all_back(eid_session *s, eid_neighbour *neighbour, uint64_t now)
{
    for (size_t i = 0; i < s->item_count; i++) {
        eid_link *link = eid_link_find(neighbour, &s->items[i].database);
        if (link != NULL && !s->items[i].over)
            put_back(link, &s->items[i], now);
    }
}

static eid_session *make_session(eid_engine *engine, eid_neighbour *neighbour, uint64_t now)
{
    eid_session *s = eid_session_new(engine);
    if (s == NULL)
        return NULL;
    eid_status status = eid_session_aim(s, neighbour);
    for (eid_link *link = neighbour->links; link != NULL && status == EID_OK; link = link->next_of_neighbour)
        status = add_link(s, link, now, neighbour->flushing);
    if (status != EID_OK) {
        put_all_back(s, neighbour, now);
        eid_session_free(s);
        return NULL;
    }
    s->neighbour = neighbour;
    s->outside_only = !engine->config.dial_special;
    s->handshake_only = s->item_count == 0;
    if (s->handshake_only)
        s->proven = false;
    return s;
}

static void list_session(eid_engine *engine, eid_session *s)
{
    s->next = engine->sessions;
    s->previous = NULL;
    if (s->next != NULL)
        s->next->previous = s;
    engine->sessions = s;
    engine->session_count++;
}

static void unlist_session(eid_engine *engine, eid_session *s)
{
    if (s->previous != NULL)
        s->previous->next = s->next;
    else
        engine->sessions = s->next;
    if (s->next != NULL)
        s->next->previous = s->previous;
    engine->session_count--;
}

/* Starts a session with the neighbour; false when there is no room for one of its kind. */
static bool start_with(eid_engine *engine, eid_neighbour *neighbour, uint64_t now, eid_session **out)
{
    bool doubtful = neighbour->attempts != 0;
    *out = NULL;
    if (eid_neighbour_due(engine, neighbour, now) > now)
        return true;
    if (doubtful && engine->running_doubtful >= EID_LIMIT_SYNC_DOUBTFUL)
        return false;
    eid_session *s = make_session(engine, neighbour, now);
    if (s == NULL) {
        /* No memory: as if the peer could not be reached. */
        neighbour->attempts++;
        neighbour->next_attempt_ms = now + eid_engine_backoff(engine, neighbour->attempts);
        eid_engine_note_time(engine, neighbour->next_attempt_ms);
        return true;
    }
    s->doubtful = doubtful;
    neighbour->busy = true;
    if (neighbour->connection != EID_PEER_CONNECTED)
        neighbour->connection = EID_PEER_CONNECTING;
    engine->running++;
    engine->running_doubtful += doubtful;
    list_session(engine, s);
    *out = s;
    return true;
}

/* ---- Calls ---- */

eid_status eid_session_submit(eid_session *s)
{
    eid_engine *engine = s->engine;
    pthread_mutex_lock(&engine->mutex);
    if (engine->stopping || engine->host == NULL) {
        pthread_mutex_unlock(&engine->mutex);
        return eid_fail(EID_ERR_CANCELLED, "The instance is being closed");
    }
    list_session(engine, s);
    s->waiting = true;
    s->next_waiting = NULL;
    if (engine->waiting_last != NULL)
        engine->waiting_last->next_waiting = s;
    else
        engine->waiting_first = s;
    engine->waiting_last = s;
    if (s->deadline_ms < engine->next_sweep_ms)
        engine->next_sweep_ms = s->deadline_ms;
    post_turn(engine);
    pthread_mutex_unlock(&engine->mutex);
    return EID_OK;
}

static eid_session *next_call(eid_engine *engine)
{
    eid_session *s = engine->waiting_first;
    if (s == NULL || engine->running_calls >= EID_LIMIT_SYNC_CALLS)
        return NULL;
    engine->waiting_first = s->next_waiting;
    if (engine->waiting_first == NULL)
        engine->waiting_last = NULL;
    s->waiting = false;
    engine->running_calls++;
    return s;
}

/* ---- Turns ---- */

/* Looks through everything that is timed. */
static void sweep(eid_engine *engine, uint64_t now)
{
    uint64_t next = engine->next_save_ms;
    for (eid_map_entry *at = eid_map_first(engine->neighbours); at != NULL;
         at = eid_map_next(engine->neighbours, at)) {
        uint64_t due = eid_neighbour_due(engine, at->value, now);
        if (due <= now)
            eid_engine_enqueue(engine, at->value);
        else if (due < next)
            next = due;
    }
    uint64_t watch = eid_watches_due(engine, now);
    engine->next_sweep_ms = watch < next ? watch : next;
}

/* Calls whose time is over, and all when the engine stops. One at a time: breaking off changes the list. */
static eid_session *next_to_end(eid_engine *engine, uint64_t now)
{
    for (eid_session *s = engine->sessions; s != NULL; s = s->next) {
        if (atomic_load(&s->cancelled))
            continue;
        if (engine->stopping)
            return s;
        if (s->deadline_ms <= now) {
            atomic_store(&s->late, true);
            return s;
        }
        if (s->deadline_ms < engine->next_sweep_ms)
            engine->next_sweep_ms = s->deadline_ms;
    }
    return NULL;
}

static void end_sessions(eid_engine *engine, uint64_t now)
{
    eid_session *s;
    while ((s = next_to_end(engine, now)) != NULL) {
        atomic_store(&s->cancelled, true);
        pthread_mutex_unlock(&engine->mutex);
        eid_session_cancel(s);
        pthread_mutex_lock(&engine->mutex);
    }
}

static void start_sessions(eid_engine *engine, uint64_t now)
{
    eid_session *s;
    while ((s = next_call(engine)) != NULL) {
        pthread_mutex_unlock(&engine->mutex);
        eid_session_run(s);
        pthread_mutex_lock(&engine->mutex);
    }
    eid_neighbour *first_left = NULL;
    while (!engine->stopping && engine->running < EID_LIMIT_SYNC_SESSIONS && engine->queue_first != NULL &&
           engine->queue_first != first_left) {
        eid_neighbour *neighbour = dequeue(engine);
        if (!start_with(engine, neighbour, now, &s)) {
            append(engine, neighbour);
            if (first_left == NULL)
                first_left = neighbour;
        }
        if (s == NULL)
            continue;
        pthread_mutex_unlock(&engine->mutex);
        eid_session_run(s);
        pthread_mutex_lock(&engine->mutex);
    }
}

static void save_when_due(eid_engine *engine, uint64_t now)
{
    if (engine->saving || now < engine->next_save_ms)
        return;
    engine->saving = true;
    engine->next_save_ms = EID_NEVER;
    engine->host->functions->work(engine->host, &engine->save);
}

static void take_turn(eid_engine *engine)
{
    pthread_mutex_lock(&engine->mutex);
    uint64_t now = eid_engine_now(engine);
    if (engine->stopping || now >= engine->next_sweep_ms) {
        if (!engine->stopping)
            sweep(engine, now);
        end_sessions(engine, now);
        eid_flushes_look(engine, now);
        save_when_due(engine, now);
    }
    start_sessions(engine, now);
    uint64_t next = engine->stopping ? EID_NEVER : engine->next_sweep_ms;
    pthread_mutex_unlock(&engine->mutex);
    engine->host->functions->alarm(engine->host, next, &engine->alarm);
}

static void on_turn(eid_work *work)
{
    eid_engine *engine = ENGINE_OF(work, turn);
    pthread_mutex_lock(&engine->mutex);
    engine->turn_posted = false;
    pthread_mutex_unlock(&engine->mutex);
    take_turn(engine);
}

static void on_alarm(eid_work *work)
{
    take_turn(ENGINE_OF(work, alarm));
}

/* ---- Saving ---- */

void eid_engine_want_save(eid_engine *engine)
{
    uint64_t at = eid_engine_now(engine) + EID_LIMIT_SYNC_SAVE_MS;
    if (engine->next_save_ms == EID_NEVER) {
        engine->next_save_ms = at;
        eid_engine_note_time(engine, at);
    }
}

static void on_save(eid_work *work)
{
    eid_state_save_some(ENGINE_OF(work, save));
}

static void on_saved(eid_work *work)
{
    eid_engine *engine = ENGINE_OF(work, save);
    pthread_mutex_lock(&engine->mutex);
    engine->saving = false;
    pthread_cond_broadcast(&engine->idle);
    pthread_mutex_unlock(&engine->mutex);
}

/* ---- How it went ---- */

static void note_contact(eid_engine *engine, eid_session *s, eid_neighbour *neighbour, uint64_t now)
{
    char *error = neighbour->error;
    if (s->status == EID_OK && !s->contacted)
        return;
    neighbour->unsaved = true;
    if (s->contacted && (s->status == EID_OK || s->status == EID_ERR_BOOTSTRAP_PENDING || !s->lost_way)) {
        neighbour->connection = EID_PEER_CONNECTED;
        neighbour->last_contact_ms = eid_clock_now_ms(engine->sync->clock);
        neighbour->next_check_ms = now + engine->config.check_seconds * 1000;
        neighbour->attempts = 0;
        neighbour->error = NULL;
    } else {
        neighbour->connection = EID_PEER_FAILED;
        neighbour->proven_until_ms = 0;
        neighbour->error = eid_strdup(s->sentence);
        /* Calls fail without making the engine wait longer. */
        if (s->call == NULL) {
            neighbour->attempts++;
            neighbour->next_attempt_ms = now + eid_engine_backoff(engine, neighbour->attempts);
            neighbour->next_check_ms = now + engine->config.check_seconds * 1000;
        }
    }
    eid_free(error);
}

static void settle_item(eid_engine *engine, eid_link *link, eid_item *item, uint64_t now)
{
    if (!item->over) {
        put_back(link, item, now);
        return;
    }
    if (item->mode == EID_ITEM_FULL)
        link->full_at_ms = now + eid_engine_interval_ms(engine, &link->database);
    if (item->status == EID_OK) {
        eid_free(link->error);
        link->error = NULL;
        link->attempts = 0;
        link->not_before_ms = 0;
        return;
    }
    /* Refused: asking again at once would give the same answer. */
    eid_free(link->error);
    link->error = item->error;
    item->error = NULL;
    link->attempts++;
    link->not_before_ms = now + eid_engine_backoff(engine, link->attempts);
    put_back(link, item, link->not_before_ms);
}

static void settle_flush(eid_engine *engine, const eid_session *s, eid_neighbour *neighbour)
{
    if (!neighbour->flushing)
        return;
    neighbour->flushing = false;
    for (const eid_link *link = neighbour->links; link != NULL; link = link->next_of_neighbour) {
        if (!eid_link_has_to_send(link))
            continue;
        if (s->doubtful || link->attempts > 1)
            engine->flush_retries++;
        else
            engine->flush_new++;
    }
}

static void settle_own(eid_engine *engine, eid_session *s, uint64_t now)
{
    eid_neighbour *neighbour = s->neighbour;
    engine->running--;
    engine->running_doubtful -= s->doubtful;
    neighbour->busy = false;
    if (s->status != EID_ERR_CANCELLED)
        note_contact(engine, s, neighbour, now);
    for (size_t i = 0; i < s->item_count; i++) {
        eid_link *link = eid_link_find(neighbour, &s->items[i].database);
        if (link != NULL)
            settle_item(engine, link, &s->items[i], now);
    }
    settle_flush(engine, s, neighbour);
    uint64_t due = eid_neighbour_due(engine, neighbour, now);
    if (due <= now)
        eid_engine_enqueue(engine, neighbour);
    else
        eid_engine_note_time(engine, due);
}

/* A call did what the next round would have done. */
static void settle_call(eid_engine *engine, eid_session *s, uint64_t now)
{
    engine->running_calls--;
    eid_neighbour *neighbour = s->contacted || s->has_peer ? eid_neighbour_find(engine, &s->peer) : NULL;
    if (neighbour == NULL || s->status == EID_ERR_CANCELLED)
        return;
    note_contact(engine, s, neighbour, now);
    for (size_t i = 0; i < s->item_count; i++) {
        eid_link *link = eid_link_find(neighbour, &s->items[i].database);
        if (link != NULL && s->items[i].over && s->items[i].status == EID_OK && link->related)
            link->full_at_ms = now + eid_engine_interval_ms(engine, &link->database);
    }
}

void eid_engine_finish(eid_engine *engine, eid_session *s)
{
    pthread_mutex_lock(&engine->mutex);
    uint64_t now = eid_engine_now(engine);
    if (s->neighbour != NULL)
        settle_own(engine, s, now);
    else
        settle_call(engine, s, now);
    if (s->status == EID_OK)
        engine->completed++;
    else
        engine->failed++;
    eid_state_note(engine, s);
    eid_flushes_look(engine, now);
    pthread_mutex_unlock(&engine->mutex);
    if (s->call != NULL)
        eid_call_end(s->call, s);
    pthread_mutex_lock(&engine->mutex);
    unlist_session(engine, s);
    post_turn(engine);
    pthread_cond_broadcast(&engine->idle);
    pthread_mutex_unlock(&engine->mutex);
    eid_session_free(s);
}

eid_status eid_engine_may_wait(eid_engine *engine)
{
    eid_host *host = eid_engine_host(engine);
    if (host != NULL && host->functions->is_needed(host))
        return eid_fail(EID_ERR_CONFLICT, "This thread belongs to the sync engine, which would wait for itself: "
                                          "use the _async form here");
    return EID_OK;
}
