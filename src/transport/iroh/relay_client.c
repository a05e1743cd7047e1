/* SPDX-License-Identifier: Apache-2.0 */
/* The client of a relay; see relay_client.h. */
#include "transport/iroh/relay_client.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/random.h"
#include "crypto/key.h"
#include "transport/iroh/relay_frame.h"
#include "transport/iroh/relay_line.h"
#include "transport/websocket.h"

#define TICK_MS        500u
#define PING_AFTER_MS  15000u
#define PONG_WITHIN_MS 5000u
#define FIRST_RETRY_MS 10u
#define READ_BYTES     65536u
#define READS_A_TURN   8
#define PORT           1 /* of invented addresses: any will do */

/* An endpoint behind the relay and the address that stands for it. */
typedef struct end {
    eid_pubkey id;
    eid_sockaddr address;
    uint64_t used;
} end;

struct eid_iroh_relay {
    eid_iroh_carrier base;
    eid_host *host;
    eid_keypair *key;
    char *url, *trusted_file;
    bool outside_only;
    void (*changed)(void *ctx);
    void (*gone)(void *ctx);
    void *ctx;
    eid_iroh_relay_state state;
    eid_work arrival; /* tells the engine's thread how the dialling ended */
    bool dialling, polling, broken, was_up;
    atomic_bool closing;
    eid_status dialled;  /* its outcome … */
    eid_relay_line line; /* … and the connection; curl NULL: none */
    uv_poll_t *poll;     /* libuv frees it with the descriptor, so each connection has its own */
    uv_timer_t timer;
    eid_ws_reader in;
    eid_buf out;
    size_t sent; /* of `out` */
    bool confirmed;
    uint64_t heard, pinged, retry_at; /* milliseconds of the loop; pinged 0: no ping is out */
    uint64_t pause;                   /* before the next attempt */
    eid_map *by_id;                   /* -> end, which the map below owns */
    eid_map *by_address;              /* the eight bytes of the address -> end */
    uint64_t uses;
    uint64_t next_end;
    uint8_t *scratch;
};

static eid_iroh_relay *relay_of(eid_iroh_carrier *carrier)
{
    return (eid_iroh_relay *)(void *)carrier;
}

static uint64_t now_of(const eid_iroh_relay *relay)
{
    return uv_now(eid_loop_uv(relay->host));
}

static void set_state(eid_iroh_relay *relay, eid_iroh_relay_state state)
{
    if (state == relay->state || relay->closing)
        return;
    relay->state = state;
    if (relay->changed != NULL)
        relay->changed(relay->ctx);
}

/* ---- Addresses: a prefix of the unique-local range for the relay, eight bytes for each end (RFC 4193) ----
 */

static void invent_prefix(eid_sockaddr *local)
{
    memset(local, 0, sizeof *local);
    local->v6.sin6_family = AF_INET6;
    local->v6.sin6_port = htons(PORT);
    eid_random_bytes(&local->v6.sin6_addr, 8);
    local->v6.sin6_addr.s6_addr[0] = 0xfd;
}

static eid_slice bytes_of(const eid_sockaddr *address)
{
    return eid_slice_of(address->v6.sin6_addr.s6_addr + 8, 8);
}

static eid_slice name_of(const eid_pubkey *id)
{
    return eid_slice_of(id->bytes, sizeof id->bytes);
}

static void forget_oldest(eid_iroh_relay *relay)
{
    end *oldest = NULL;
    for (eid_map_entry *e = eid_map_first(relay->by_id); e != NULL; e = eid_map_next(relay->by_id, e)) {
        end *candidate = e->value;
        if (oldest == NULL || candidate->used < oldest->used)
            oldest = candidate;
    }
    eid_map_remove(relay->by_id, name_of(&oldest->id));
    eid_free(eid_map_remove(relay->by_address, bytes_of(&oldest->address)));
}

static eid_status add_end(eid_iroh_relay *relay, const eid_pubkey *id, end **out)
{
    eid_map_entry *by_id, *by_address;
    if (eid_map_len(relay->by_id) >= EID_LIMIT_RELAY_ENDS)
        forget_oldest(relay);
    end *made = eid_alloc_zero(1, sizeof *made);
    if (made == NULL)
        return eid_fail_memory();
    made->id = *id;
    made->address = relay->base.local;
    relay->next_end++;
    memcpy(made->address.v6.sin6_addr.s6_addr + 8, &relay->next_end, sizeof relay->next_end);
    eid_status status = eid_map_put(relay->by_address, bytes_of(&made->address), &by_address, NULL);
    if (status == EID_OK)
        status = eid_map_put(relay->by_id, name_of(id), &by_id, NULL);
    if (status != EID_OK) {
        eid_map_remove(relay->by_address, bytes_of(&made->address));
        eid_free(made);
        return status;
    }
    by_id->value = by_address->value = made;
    *out = made;
    return EID_OK;
}

eid_status eid_iroh_relay_address(eid_iroh_relay *relay, const eid_pubkey *id, eid_sockaddr *out)
{
    end *known = eid_map_get(relay->by_id, name_of(id));
    if (known == NULL)
        EID_TRY(add_end(relay, id, &known));
    known->used = ++relay->uses;
    *out = known->address;
    return EID_OK;
}

/* ---- Sending ---- */

static void lose(eid_iroh_relay *relay);
static void on_tick(uv_timer_t *timer);
static void on_events(uv_poll_t *poll, int status, int events);

static void watch(eid_iroh_relay *relay)
{
    if (relay->poll != NULL)
        uv_poll_start(relay->poll, UV_READABLE | (relay->out.len > relay->sent ? UV_WRITABLE : 0), on_events);
}

/* False when the connection is lost. */
static bool flush(eid_iroh_relay *relay)
{
    while (relay->sent < relay->out.len) {
        size_t len;
        eid_slice rest = eid_slice_of(relay->out.data + relay->sent, relay->out.len - relay->sent);
        if (eid_relay_line_send(&relay->line, rest, &len) != EID_OK)
            return false;
        if (len == 0)
            break;
        relay->sent += len;
    }
    if (relay->sent == relay->out.len) {
        eid_buf_reset(&relay->out);
        relay->sent = 0;
    } else if (relay->sent > EID_LIMIT_RELAY_QUEUE_BYTES) {
        memmove(relay->out.data, relay->out.data + relay->sent, relay->out.len - relay->sent);
        relay->out.len -= relay->sent;
        relay->sent = 0;
    }
    return eid_buf_status(&relay->out) == EID_OK;
}

static void put_message(eid_iroh_relay *relay, eid_ws_kind kind, eid_slice payload)
{
    if (relay->out.len - relay->sent + payload.len <= EID_LIMIT_RELAY_QUEUE_BYTES)
        eid_ws_write(&relay->out, kind, payload, true);
}

static void put_frame(eid_iroh_relay *relay, const eid_relay_frame *frame)
{
    eid_buf bytes;
    eid_buf_init(&bytes, EID_RELAY_FRAME_MAX);
    eid_relay_frame_write(&bytes, frame);
    if (eid_buf_status(&bytes) == EID_OK)
        put_message(relay, EID_WS_BINARY, eid_buf_slice(&bytes));
    eid_buf_free(&bytes);
}

/* What does not fit into the queue is dropped: a relay that takes datagrams slowly is a slow path, not a
 * reason to wait. */
static void send_batch(eid_iroh_carrier *carrier, const eid_sockaddr *to, const eid_iroh_batch *batch)
{
    eid_iroh_relay *relay = relay_of(carrier);
    end *known = eid_map_get(relay->by_address, bytes_of(to));
    bool single = batch->len <= batch->segment;
    if (known == NULL || !relay->confirmed)
        return;
    known->used = ++relay->uses;
    put_frame(relay, &(eid_relay_frame){.kind = single ? EID_RELAY_SEND : EID_RELAY_SEND_BATCH,
                                        .id = known->id,
                                        .ecn = batch->ecn,
                                        .segment = (uint16_t)batch->segment,
                                        .content = eid_slice_of(batch->data, batch->len)});
    if (flush(relay))
        watch(relay);
    else
        relay->broken = true; /* the timer finds it lost: whoever sends must not lose his carrier meanwhile */
}

/* ---- Receiving ---- */

static eid_status take_datagrams(eid_iroh_relay *relay, const eid_relay_frame *frame)
{
    eid_sockaddr from;
    bool batch = frame->kind == EID_RELAY_RECV_BATCH && frame->segment > 0;
    if (relay->base.endpoint == NULL || eid_iroh_relay_address(relay, &frame->id, &from) != EID_OK)
        return EID_OK; /* a datagram more or less */
    eid_iroh_carrier_receive(&relay->base, &from,
                             &(eid_iroh_batch){.data = frame->content.data,
                                               .len = frame->content.len,
                                               .segment = batch ? frame->segment : frame->content.len,
                                               .ecn = frame->ecn & 3});
    return EID_OK;
}

static eid_status take_frame(eid_iroh_relay *relay, const eid_relay_frame *frame)
{
    eid_relay_frame answer = *frame;
    switch (frame->kind) {
    case EID_RELAY_CHALLENGE:
        if (relay->confirmed)
            return eid_fail(EID_ERR_PROTOCOL, "The relay asks again who we are");
        eid_relay_answer(relay->key, frame->challenge, &answer);
        put_frame(relay, &answer);
        return EID_OK;
    case EID_RELAY_CONFIRMS:
        relay->confirmed = relay->was_up = true;
        relay->pause = FIRST_RETRY_MS;
        set_state(relay, EID_IROH_RELAY_UP);
        return EID_OK;
    case EID_RELAY_DENIES:
        return eid_fail(EID_ERR_AUTH_FAILED, "The relay %s does not let us in: %.*s", relay->url,
                        (int)frame->content.len, (const char *)frame->content.data);
    case EID_RELAY_PING:
        answer.kind = EID_RELAY_PONG;
        put_frame(relay, &answer);
        return EID_OK;
    case EID_RELAY_STATUS:
        set_state(relay,
                  frame->status == EID_RELAY_STATUS_SAME_ID ? EID_IROH_RELAY_REPLACED : EID_IROH_RELAY_UP);
        return EID_OK;
    case EID_RELAY_RECV:
    case EID_RELAY_RECV_BATCH:
        return relay->confirmed ? take_datagrams(relay, frame) : EID_OK;
    default:
        return EID_OK; /* hints */
    }
}

static eid_status take_message(eid_ws_kind kind, eid_slice payload, void *ctx)
{
    eid_iroh_relay *relay = ctx;
    eid_relay_frame frame;
    if (kind == EID_WS_CLOSE)
        return eid_fail(EID_ERR_NETWORK, "The relay has closed the connection");
    if (kind == EID_WS_PING)
        put_message(relay, EID_WS_PONG, payload);
    if (kind != EID_WS_BINARY)
        return EID_OK;
    EID_TRY(eid_relay_frame_read(payload, &frame));
    return take_frame(relay, &frame);
}

static eid_status take_bytes(eid_iroh_relay *relay, eid_slice bytes)
{
    relay->heard = now_of(relay);
    relay->pinged = 0;
    return eid_ws_read(&relay->in, bytes, take_message, relay);
}

static eid_status receive(eid_iroh_relay *relay)
{
    for (int i = 0; i < READS_A_TURN; i++) {
        size_t len;
        EID_TRY(eid_relay_line_recv(&relay->line, relay->scratch, READ_BYTES, &len));
        if (len == 0)
            return EID_OK;
        EID_TRY(take_bytes(relay, eid_slice_of(relay->scratch, len)));
    }
    return EID_OK;
}

static void on_events(uv_poll_t *poll, int status, int events)
{
    eid_iroh_relay *relay = poll->data;
    (void)events;
    if (status == 0 && receive(relay) == EID_OK && flush(relay))
        watch(relay);
    else
        lose(relay);
}

/* ---- Connecting, and being lost ---- */

static void *dial(void *ctx)
{
    eid_iroh_relay *relay = ctx;
    eid_relay_line_options options = {relay->url, relay->trusted_file, relay->outside_only, &relay->closing};
    relay->dialled = eid_relay_line_open(&options, &relay->line);
    relay->host->functions->post(relay->host, &relay->arrival);
    return NULL;
}

static void free_poll(uv_handle_t *handle)
{
    eid_free(handle);
}

static void hang_up(eid_iroh_relay *relay)
{
    if (relay->poll != NULL)
        uv_close((uv_handle_t *)relay->poll, free_poll);
    relay->poll = NULL;
    if (relay->line.curl != NULL)
        eid_relay_line_close(&relay->line);
    eid_ws_reader_free(&relay->in);
    eid_ws_reader_init(&relay->in, false, EID_RELAY_FRAME_MAX);
    eid_buf_reset(&relay->out);
    relay->sent = 0;
    relay->confirmed = relay->broken = false;
    relay->pinged = 0;
}

/* Tries again after a pause that doubles, with a chance of being shorter, so that not all clients of a relay
 * come back at once. */
static void lose(eid_iroh_relay *relay)
{
    uint64_t pause = relay->pause / 2 + relay->host->functions->random(relay->host) % (relay->pause / 2 + 1);
    hang_up(relay);
    relay->retry_at = now_of(relay) + pause;
    relay->pause = relay->pause * 2 < EID_LIMIT_RELAY_RETRY_MS ? relay->pause * 2 : EID_LIMIT_RELAY_RETRY_MS;
    uv_timer_start(&relay->timer, on_tick, pause, TICK_MS);
    set_state(relay, EID_IROH_RELAY_WAITING);
}

static eid_status begin(eid_iroh_relay *relay)
{
    relay->poll = eid_alloc_zero(1, sizeof *relay->poll);
    if (relay->poll == NULL)
        return eid_fail_memory();
    if (uv_poll_init(eid_loop_uv(relay->host), relay->poll, relay->line.fd) != 0) {
        eid_free(relay->poll);
        relay->poll = NULL;
        return eid_fail(EID_ERR_IO, "The system gives no event descriptor");
    }
    relay->poll->data = relay;
    relay->heard = now_of(relay);
    eid_buf early = relay->line.early;
    eid_buf_init(&relay->line.early, 0);
    eid_status status = take_bytes(relay, eid_buf_slice(&early));
    eid_buf_free(&early);
    return status == EID_OK && !flush(relay) ? EID_ERR_NETWORK : status;
}

static void free_relay(eid_iroh_relay *relay)
{
    eid_keypair_free(relay->key);
    eid_map_free(relay->by_id, NULL);
    eid_map_free(relay->by_address, eid_free);
    eid_ws_reader_free(&relay->in);
    eid_buf_free(&relay->out);
    eid_free(relay->url);
    eid_free(relay->trusted_file);
    eid_free(relay->scratch);
    eid_free(relay);
}

/* When neither its thread nor the loop has it any more. */
static void free_when_left(eid_iroh_relay *relay)
{
    void (*gone)(void *ctx) = relay->gone;
    void *ctx = relay->ctx;
    if (!relay->closing || relay->dialling || relay->polling)
        return;
    free_relay(relay);
    if (gone != NULL)
        gone(ctx);
}

static void arrive(eid_work *work)
{
    eid_iroh_relay *relay = (eid_iroh_relay *)(void *)((uint8_t *)work - offsetof(eid_iroh_relay, arrival));
    relay->dialling = false;
    if (relay->closing) {
        hang_up(relay);
        free_when_left(relay);
    } else if (relay->dialled == EID_OK && begin(relay) == EID_OK) {
        watch(relay);
    } else {
        lose(relay);
    }
}

static void redial(eid_iroh_relay *relay)
{
    pthread_t thread;
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    relay->dialling = true;
    set_state(relay, EID_IROH_RELAY_CONNECTING);
    if (pthread_create(&thread, &detached, dial, relay) != 0) {
        relay->dialling = false;
        lose(relay);
    }
    pthread_attr_destroy(&detached);
}

static bool is_lost(eid_iroh_relay *relay, uint64_t now)
{
    if (relay->broken)
        return true;
    if (relay->pinged != 0)
        return now - relay->pinged > PONG_WITHIN_MS;
    if (now - relay->heard <= PING_AFTER_MS)
        return false;
    if (!relay->confirmed)
        return true;
    eid_relay_frame ping = {.kind = EID_RELAY_PING};
    eid_random_bytes(ping.payload, sizeof ping.payload);
    put_frame(relay, &ping);
    relay->pinged = now;
    return !flush(relay);
}

static void on_tick(uv_timer_t *timer)
{
    eid_iroh_relay *relay = timer->data;
    uint64_t now = now_of(relay);
    if (relay->dialling)
        return;
    if (relay->poll == NULL && now >= relay->retry_at)
        redial(relay);
    else if (relay->poll != NULL && is_lost(relay, now))
        lose(relay);
    else if (relay->poll != NULL)
        watch(relay);
}

/* ---- The carrier ---- */

static void on_timer_closed(uv_handle_t *handle)
{
    eid_iroh_relay *relay = handle->data;
    relay->polling = false;
    free_when_left(relay);
}

static void close_relay(eid_iroh_carrier *carrier)
{
    eid_iroh_relay *relay = relay_of(carrier);
    relay->closing = true;
    if (!relay->dialling)
        hang_up(relay);
    uv_close((uv_handle_t *)&relay->timer, on_timer_closed);
}

static const eid_iroh_carrier_functions functions = {.send = send_batch, .close = close_relay};

static void start(void *ctx)
{
    eid_iroh_relay *relay = ctx;
    uv_timer_init(eid_loop_uv(relay->host), &relay->timer);
    relay->timer.data = relay;
    relay->polling = true;
    uv_timer_start(&relay->timer, on_tick, TICK_MS, TICK_MS);
    redial(relay);
}

static eid_status copy_options(eid_iroh_relay *relay, const eid_keypair *key,
                               const eid_iroh_relay_options *options)
{
    relay->url = eid_strdup(options->url);
    relay->scratch = eid_alloc(READ_BYTES);
    if (relay->url == NULL || relay->scratch == NULL)
        return eid_fail_memory();
    if (options->trusted_file != NULL && (relay->trusted_file = eid_strdup(options->trusted_file)) == NULL)
        return eid_fail_memory();
    relay->outside_only = options->outside_only;
    relay->changed = options->changed;
    relay->gone = options->gone;
    relay->ctx = options->ctx;
    EID_TRY(eid_map_new(&relay->by_id));
    EID_TRY(eid_map_new(&relay->by_address));
    return eid_keypair_copy(key, &relay->key);
}

eid_status eid_iroh_relay_new(eid_host *host, const eid_keypair *key, const eid_iroh_relay_options *options,
                              eid_iroh_relay **out)
{
    eid_iroh_relay *relay = eid_alloc_zero(1, sizeof *relay);
    if (relay == NULL)
        return eid_fail_memory();
    relay->base.functions = &functions;
    relay->base.relayed = true;
    relay->host = host;
    relay->arrival.run = arrive;
    relay->pause = FIRST_RETRY_MS;
    invent_prefix(&relay->base.local);
    eid_ws_reader_init(&relay->in, false, EID_RELAY_FRAME_MAX);
    eid_buf_init(&relay->out, 3 * EID_LIMIT_RELAY_QUEUE_BYTES);
    eid_status status = copy_options(relay, key, options);
    if (status != EID_OK) {
        free_relay(relay);
        return status;
    }
    start(relay);
    *out = relay;
    return EID_OK;
}

eid_iroh_carrier *eid_iroh_relay_carrier(eid_iroh_relay *relay)
{
    return &relay->base;
}

eid_iroh_relay_state eid_iroh_relay_get_state(const eid_iroh_relay *relay)
{
    return relay->state;
}

bool eid_iroh_relay_was_up(const eid_iroh_relay *relay)
{
    return relay->was_up;
}

const char *eid_iroh_relay_get_url(const eid_iroh_relay *relay)
{
    return relay->url;
}
