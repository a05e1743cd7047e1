/* SPDX-License-Identifier: Apache-2.0 */
/* One request on one stream, ours or a peer's. */
#include "base/alloc.h"
#include "transport/iroh/quic_int.h"

#define CODE_BROKEN_OFF 1 /* of our resets; peers do not look at it */

eid_status eid_iroh_stream_new(eid_iroh_endpoint *endpoint, size_t in_max, eid_iroh_stream **out)
{
    eid_iroh_stream *stream = eid_alloc_zero(1, sizeof *stream);
    if (stream == NULL)
        return eid_fail_memory();
    stream->endpoint = endpoint;
    stream->id = -1;
    stream->started_ms = stream->heard_ms = eid_iroh_now_ms(endpoint);
    eid_buf_init(&stream->in, in_max);
    *out = stream;
    return EID_OK;
}

static void drop_input(eid_iroh_stream *stream)
{
    if (stream->incoming)
        stream->endpoint->in_bytes -= stream->in.len;
    eid_buf_free(&stream->in);
}

void eid_iroh_stream_free(eid_iroh_stream *stream)
{
    eid_link_remove(&stream->of_owner);
    eid_link_remove(&stream->to_write);
    eid_link_remove(&stream->to_tell);
    eid_link_remove(&stream->of_calls);
    drop_input(stream);
    eid_buf_free(&stream->answer);
    eid_free(stream->out);
    eid_free(stream->sentence);
    eid_free(stream);
}

void eid_iroh_stream_end(eid_iroh_stream *stream, eid_status status)
{
    if (stream->ended)
        return;
    stream->ended = true;
    stream->status = status;
    if (status != EID_OK)
        stream->sentence = eid_strdup(eid_last_error());
    eid_link_push(&stream->endpoint->to_tell, &stream->to_tell);
    eid_iroh_wake(stream->endpoint);
}

/* ---- What comes ---- */

/* Both directions: we want no more of it and say no more. */
static void shut(eid_iroh_stream *stream)
{
    (void)ngtcp2_conn_shutdown_stream(stream->conn->quic, stream->id, CODE_BROKEN_OFF);
    eid_link_remove(&stream->to_write);
    eid_iroh_conn_touch(stream->conn);
}

static eid_status append(eid_iroh_stream *stream, const uint8_t *data, size_t len)
{
    eid_buf *into = stream->incoming ? &stream->in : &stream->exchange->answer;
    size_t max = stream->incoming ? stream->in.max : stream->exchange->answer_max;
    if (len > max - into->len)
        return eid_fail(EID_ERR_LIMIT, "The answer is larger than %zu bytes", max);
    if (stream->incoming && len > EID_LIMIT_IROH_IN_BYTES - stream->endpoint->in_bytes)
        return eid_fail(EID_ERR_LIMIT, "too many bytes are being received");
    eid_buf_append(into, data, len);
    EID_TRY(eid_buf_status(into));
    if (stream->incoming)
        stream->endpoint->in_bytes += len;
    return EID_OK;
}

void eid_iroh_stream_take(eid_iroh_stream *stream, const uint8_t *data, size_t len, bool last)
{
    eid_exchange *exchange = stream->exchange;
    /* A call that was broken off, or one whose end was told already. */
    if (stream->ended || (!stream->incoming && exchange == NULL))
        return;
    stream->heard_ms = stream->conn->used_ms = eid_iroh_now_ms(stream->endpoint);
    stream->conn->used = true;
    if (len != 0) {
        eid_status status = append(stream, data, len);
        if (status != EID_OK) {
            eid_iroh_stream_abort(stream, status);
            return;
        }
        if (exchange != NULL && exchange->progress != NULL)
            exchange->progress(exchange, exchange->answer.len, 0);
    }
    if (!last)
        return;
    if (exchange != NULL && exchange->answer.len == 0)
        eid_iroh_stream_end(stream,
                            eid_fail(EID_ERR_NETWORK,
                                     "The peer closed the stream without an answer: it could not read the "
                                     "request, or its answer was too large to send"));
    else
        eid_iroh_stream_end(stream, EID_OK);
}

static void forget_request(eid_iroh_stream *stream)
{
    stream->endpoint->open_requests--;
    eid_iroh_stream_free(stream);
}

void eid_iroh_stream_closed(eid_iroh_stream *stream, eid_status status)
{
    eid_link_remove(&stream->of_owner);
    eid_link_remove(&stream->to_write);
    stream->conn = NULL;
    if (stream->handling) /* it is the handler's until that is done */
        return;
    if (stream->counted)
        forget_request(stream);
    else if (stream->incoming || (stream->ended && stream->exchange == NULL))
        eid_iroh_stream_free(stream);
    else
        eid_iroh_stream_end(stream, status);
}

/* ---- Requests of peers ---- */

static void handle(eid_work *work)
{
    eid_iroh_stream *stream = EID_LINK_OF(eid_iroh_stream, work, work);
    eid_request_origin origin = {"iroh", stream->remote, NULL, false, EID_LIMIT_IROH_PART_BYTES};
    eid_source *rest = NULL; /* never given: it is for the streamed form */
    if (stream->handler(eid_buf_slice(&stream->in), &origin, &stream->answer, &rest, stream->handler_ctx) !=
        EID_HANDLED)
        eid_buf_reset(&stream->answer); /* as the reference does: the stream ends without a byte */
}

static void handled(eid_work *work)
{
    eid_iroh_stream *stream = EID_LINK_OF(eid_iroh_stream, work, work);
    eid_iroh_endpoint *endpoint = stream->endpoint;
    stream->handling = false;
    stream->started_ms = eid_iroh_now_ms(endpoint);
    drop_input(stream);
    if (stream->conn == NULL)
        forget_request(stream);
    else {
        if (stream->answer.len == 0 ||
            eid_buf_take(&stream->answer, &stream->out, &stream->out_len) != EID_OK)
            stream->out_len = 0;
        eid_link_push(&stream->conn->to_write, &stream->to_write);
        eid_iroh_conn_touch(stream->conn);
    }
    eid_iroh_let_go(endpoint);
}

static void give_to_handler(eid_iroh_stream *stream)
{
    eid_iroh_endpoint *endpoint = stream->endpoint;
    if (endpoint->handler == NULL || endpoint->open_requests >= EID_LIMIT_IROH_OPEN_REQUESTS) {
        drop_input(stream);
        eid_link_push(&stream->conn->to_write, &stream->to_write);
        eid_iroh_conn_touch(stream->conn);
        return;
    }
    eid_iroh_id_format(&stream->conn->tls.remote, stream->remote);
    stream->handler = endpoint->handler;
    stream->handler_ctx = endpoint->handler_ctx;
    eid_buf_init(&stream->answer, EID_LIMIT_IROH_ANSWER_BYTES);
    stream->handling = stream->counted = true;
    endpoint->open_requests++;
    endpoint->handles++;
    stream->work.run = handle;
    stream->work.done = handled;
    endpoint->host->functions->work(endpoint->host, &stream->work);
}

/* ---- Telling ---- */

void eid_iroh_stream_tell(eid_iroh_stream *stream)
{
    eid_link_remove(&stream->to_tell);
    if (stream->incoming) {
        if (stream->status == EID_OK)
            give_to_handler(stream);
        return;
    }
    eid_exchange *exchange = stream->exchange;
    eid_status status = stream->status;
    if (status != EID_OK)
        eid_fail(status, "%s", stream->sentence == NULL ? "out of memory" : stream->sentence);
    stream->exchange = NULL;
    exchange->state = NULL;
    eid_link_remove(&stream->of_calls);
    if (stream->conn == NULL)
        eid_iroh_stream_free(stream);
    exchange->done(exchange, status);
}

/* ---- Ours: breaking off, deadlines ---- */

void eid_iroh_stream_abort(eid_iroh_stream *stream, eid_status status)
{
    if (stream->conn != NULL && !stream->ended)
        shut(stream);
    eid_iroh_stream_end(stream, status);
}

void eid_iroh_endpoint_cancel(eid_iroh_endpoint *endpoint, eid_exchange *exchange)
{
    eid_iroh_stream *stream = exchange->state;
    (void)endpoint;
    if (stream == NULL)
        return;
    eid_iroh_stream_abort(stream, eid_fail(EID_ERR_CANCELLED, "The request was broken off"));
    eid_iroh_stream_tell(stream);
}

/* Whoever drips, or lets answers lie, holds memory of ours. */
void eid_iroh_streams_check(eid_iroh_conn *conn, uint64_t now)
{
    for (eid_link *at = conn->streams.next; at != &conn->streams; at = at->next) {
        eid_iroh_stream *stream = EID_LINK_OF(eid_iroh_stream, at, of_owner);
        if (!stream->incoming || stream->handling || now - stream->started_ms < EID_LIMIT_IROH_REQUEST_MS)
            continue;
        stream->started_ms = now;
        shut(stream);
        eid_iroh_stream_end(stream, eid_fail(EID_ERR_TIMEOUT, "the peer took too long"));
    }
}

static eid_status judge_time(const eid_iroh_stream *stream, uint64_t now)
{
    const eid_exchange *exchange = stream->exchange;
    if (now - stream->started_ms >= exchange->total_ms)
        return eid_fail(EID_ERR_TIMEOUT, "No answer within %llu s",
                        (unsigned long long)(exchange->total_ms / 1000));
    if (stream->conn == NULL && now - stream->started_ms >= exchange->connect_ms)
        return eid_fail(EID_ERR_CONNECTION_FAILED,
                        "Connection to the Iroh endpoint failed: no answer within %llu s",
                        (unsigned long long)(exchange->connect_ms / 1000));
    if (stream->conn != NULL && now - stream->heard_ms >= exchange->silence_ms)
        return eid_fail(EID_ERR_TIMEOUT, "The peer was silent for %llu s",
                        (unsigned long long)(exchange->silence_ms / 1000));
    return EID_OK;
}

void eid_iroh_calls_check(eid_iroh_endpoint *endpoint)
{
    uint64_t now = eid_iroh_now_ms(endpoint);
    for (eid_link *at = endpoint->calls.next; at != &endpoint->calls; at = at->next) {
        eid_iroh_stream *stream = EID_LINK_OF(eid_iroh_stream, at, of_calls);
        eid_status status = stream->ended ? EID_OK : judge_time(stream, now);
        if (status != EID_OK)
            eid_iroh_stream_abort(stream, status);
    }
}
