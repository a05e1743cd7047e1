/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: steps on hands, exchanges on the engine's thread, in turn. */
#include "base/alloc.h"
#include "sync/engine_int.h"

/* ---- Life ---- */

eid_session *eid_session_new(eid_engine *engine)
{
    eid_session *s = eid_alloc_zero(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->engine = engine;
    s->sync = engine->sync;
    s->deadline_ms = EID_NEVER;
    s->step = eid_step_begin;
    s->result.struct_size = sizeof s->result;
    s->progress.struct_size = sizeof s->progress;
    eid_buf_init(&s->body, EID_LIMIT_HTTP_REQUEST_BYTES);
    eid_buf_init(&s->item_text, EID_LIMIT_HTTP_RESPONSE_BYTES);
    eid_buf_init(&s->exchange.answer, EID_LIMIT_HTTP_RESPONSE_BYTES);
    eid_buf_init(&s->piece, SIZE_MAX / 2);
    return s;
}

void eid_session_free(eid_session *s)
{
    if (s == NULL)
        return;
    eid_session_forget_item(s);
    eid_buf_free(&s->piece);
    eid_id_array_free(&s->peer_has);
    eid_addresses_free(s->addresses, s->address_count);
    eid_keypair_free(s->key);
    eid_free(s->asking.key_name);
    eid_doc_free(s->asking.metadata);
    for (size_t i = 0; i < s->item_count; i++) {
        eid_free(s->items[i].extra);
        eid_free(s->items[i].error);
    }
    eid_free(s->items);
    eid_offered_trees_free(s->trees, s->tree_count);
    eid_buf_free(&s->body);
    eid_buf_free(&s->item_text);
    eid_buf_free(&s->exchange.answer);
    eid_free(s);
}

/* ---- Steps ---- */

static void note_failure(eid_session *s, eid_status status)
{
    s->status = status;
    s->step = NULL;
    eid_text_copy(s->sentence, sizeof s->sentence, eid_last_error());
    if (atomic_load(&s->late)) {
        s->status = EID_ERR_TIMEOUT;
        eid_text_copy(s->sentence, sizeof s->sentence, "Network error: the sync took longer than it was given");
    }
}

/* On a hand. */
static void run_steps(eid_work *work)
{
    eid_session *s = (eid_session *)(void *)work;
    s->sending = false;
    s->reading = false;
    while (s->step != NULL && !s->sending && !s->reading) {
        eid_status status = s->step(s);
        if (status != EID_OK) {
            s->sending = false;
            s->reading = false;
            status = eid_session_recover(s, status);
        }
        if (status != EID_OK)
            note_failure(s, status);
    }
}

/* ---- Exchanges, on the engine's thread ---- */

static void continue_steps(eid_session *s)
{
    eid_host *host = s->engine->host;
    s->working = true;
    host->functions->work(host, &s->work);
}

/* What has come of an answer in pieces goes to the step, which is not running. */
static void hand_over(eid_session *s)
{
    eid_buf *came = &s->exchange.answer;
    if (s->item_at < s->item_count)
        s->items[s->item_at].bytes += came->len;
    s->progress.bytes_received += came->len;
    eid_buf_append_slice(&s->piece, eid_buf_slice(came));
    eid_buf_reset(came);
    s->answered = !s->in_exchange;
    s->progress.bytes_total = s->answered ? s->progress.bytes_received : 0;
    continue_steps(s);
    if (s->transport != NULL && s->transport->functions->resume != NULL)
        s->transport->functions->resume(s->transport, &s->exchange);
}

static eid_session *session_of(eid_exchange *exchange)
{
    return (eid_session *)(void *)((char *)exchange - offsetof(eid_session, exchange));
}

static void on_exchanged(eid_exchange *exchange, eid_status status)
{
    eid_session *s = session_of(exchange);
    s->in_exchange = false;
    s->transport = NULL;
    s->exchange_status = status;
    if (status != EID_OK)
        eid_text_copy(s->exchange_sentence, sizeof s->exchange_sentence, eid_last_error());
    if (s->abandoned)
        return;
    if (exchange->arrived == NULL) {
        if (s->item_at < s->item_count)
            s->items[s->item_at].bytes += exchange->answer.len + exchange->body.len;
        continue_steps(s);
    } else if (!s->working) {
        hand_over(s);
    }
}

static void on_arrived(eid_exchange *exchange)
{
    eid_session *s = session_of(exchange);
    if (!s->working)
        hand_over(s);
}

/* The steps go on without the rest of the answer. */
static void abandon(eid_session *s)
{
    s->abandoned = true;
    if (s->transport != NULL)
        s->transport->functions->cancel(s->transport, &s->exchange);
    s->abandoned = false;
}

static void on_progress(eid_exchange *exchange, uint64_t received, uint64_t total)
{
    eid_session *s = session_of(exchange);
    s->progress.bytes_received = received;
    s->progress.bytes_total = total;
    eid_call_progress(s);
}

static void start_exchange(eid_session *s)
{
    eid_exchange *exchange = &s->exchange;
    const eid_address *address = s->addresses[s->address_at];

    eid_buf_free(&exchange->answer);
    eid_buf_init(&exchange->answer, exchange->answer_max);
    exchange->address = address->text;
    exchange->body = eid_buf_slice(&s->body);
    exchange->peer = s->sync->device_text;
    /* The engine goes where strangers' records send it; a caller names the place. */
    exchange->outside_only = s->outside_only;
    if (s->in_pieces)
        s->progress.bytes_received = s->progress.bytes_total = 0;
    exchange->progress = !s->in_pieces && s->call != NULL ? on_progress : NULL;
    exchange->arrived = s->in_pieces ? on_arrived : NULL;
    exchange->peer_streams = false;
    eid_buf_reset(&s->piece);
    exchange->done = on_exchanged;
    exchange->state = NULL;
    s->in_exchange = true;
    if (atomic_load(&s->cancelled)) {
        on_exchanged(exchange, eid_fail(EID_ERR_CANCELLED, "The sync was broken off"));
        return;
    }
    eid_status status = eid_sync_carry(s->sync, address, exchange, &s->transport);
    if (status != EID_OK)
        on_exchanged(exchange, status);
}

static void on_steps_run(eid_work *work)
{
    eid_session *s = (eid_session *)(void *)work;
    s->working = false;
    if (s->reading) {
        if (!s->in_exchange || s->exchange.answer.len > 0)
            hand_over(s);
        return;
    }
    if (s->in_exchange)
        abandon(s);
    if (s->sending)
        start_exchange(s);
    else
        eid_engine_finish(s->engine, s);
}

void eid_session_run(eid_session *s)
{
    s->started_ms = eid_engine_now(s->engine);
    s->work.run = run_steps;
    s->work.done = on_steps_run;
    continue_steps(s);
}

void eid_session_cancel(eid_session *s)
{
    atomic_store(&s->cancelled, true);
    if (s->in_exchange && s->transport != NULL)
        s->transport->functions->cancel(s->transport, &s->exchange);
}
