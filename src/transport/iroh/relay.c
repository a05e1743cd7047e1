/* SPDX-License-Identifier: Apache-2.0 */
/* Who is connected to a relay, and the datagrams between them (iroh-wire.md section 5.3). One thread with a
 * loop; nothing in it waits for a client: what one takes too slowly is dropped, QUIC sends it again. */
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/random.h"
#include "base/sized.h"
#include "transport/iroh/relay_int.h"
#include "transport/websocket.h"

#define TICK_MS         250u
#define PING_AFTER_MS   16000u
#define PING_SPREAD_MS  4000u
#define PONG_WITHIN_MS  5000u
#define PROVE_WITHIN_MS 10000u
#define READ_BYTES      65536u
#define READS_A_TURN    4 /* so that one who sends a lot does not keep the others waiting */

typedef struct client {
    uv_poll_t poll;
    eid_relay *relay;
    struct client *prev, *next; /* all of them */
    struct client *dirty_next;  /* those with something to be sent at the end of the turn */
    struct client *older;       /* of the same ID, in the order they came; the newest is in the map */
    struct MHD_UpgradeResponseHandle *handle;
    int fd;
    int events;
    bool proven, dirty, ending;
    unsigned version;
    eid_pubkey id;
    uint8_t challenge[16];
    eid_ws_reader in;
    eid_buf out;
    size_t sent;                           /* of `out` */
    uint64_t since, heard, pinged;         /* milliseconds of the loop; pinged 0: no ping is out */
    uint64_t patience;                     /* how long it may be silent before it is asked */
    int64_t allowance;                     /* bytes it may still send in this second */
    eid_pubkey told[EID_LIMIT_RELAY_TOLD]; /* whom it sent something last: they hear when it goes */
    size_t told_count;
} client;

struct eid_relay {
    eid_relay_http *http;
    char *address;
    uint64_t bytes_per_second;
    pthread_t thread;
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t tick;
    eid_map *by_id; /* the newest client of each */
    client *clients;
    client *dirty;
    eid_buf frame; /* one that is being written */
    uint8_t *scratch;
    pthread_mutex_t lock; /* over what follows */
    eid_relay_newcomer *newcomers;
    bool stopping;
    eid_relay_stats stats;
};

/* ---- Sending ---- */

static void mark_dirty(client *c)
{
    if (c->dirty || c->ending)
        return;
    c->dirty = true;
    c->dirty_next = c->relay->dirty;
    c->relay->dirty = c;
}

/* False when too much waits for the client already: the message is dropped. */
static bool put_message(client *c, eid_ws_kind kind, eid_slice payload)
{
    if (c->ending || c->out.len - c->sent + payload.len > EID_LIMIT_RELAY_QUEUE_BYTES)
        return false;
    eid_ws_write(&c->out, kind, payload, false);
    mark_dirty(c);
    return true;
}

static bool put_frame(client *c, const eid_relay_frame *frame)
{
    eid_buf *bytes = &c->relay->frame;
    eid_buf_reset(bytes);
    eid_relay_frame_write(bytes, frame);
    return eid_buf_status(bytes) == EID_OK && put_message(c, EID_WS_BINARY, eid_buf_slice(bytes));
}

static void on_events(uv_poll_t *poll, int status, int events);

/* How much may be read from the client at once. */
static size_t readable(const client *c)
{
    bool rationed = c->relay->bytes_per_second > 0;
    if (rationed && c->allowance < (int64_t)READ_BYTES)
        return c->allowance > 0 ? (size_t)c->allowance : 0;
    return READ_BYTES;
}

static void watch(client *c)
{
    int wanted =
        (readable(c) == 0 ? 0 : UV_READABLE) | UV_DISCONNECT | (c->out.len > c->sent ? UV_WRITABLE : 0);
    if (wanted != c->events && !c->ending) {
        c->events = wanted;
        uv_poll_start(&c->poll, wanted, on_events);
    }
}

/* False when the connection is lost. */
static bool flush(client *c)
{
    while (c->sent < c->out.len) {
        ssize_t done = send(c->fd, c->out.data + c->sent, c->out.len - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (done <= 0)
            return false;
        c->sent += (size_t)done;
    }
    if (c->sent == c->out.len) {
        eid_buf_reset(&c->out);
        c->sent = 0;
    } else if (c->sent > EID_LIMIT_RELAY_QUEUE_BYTES) {
        memmove(c->out.data, c->out.data + c->sent, c->out.len - c->sent);
        c->out.len -= c->sent;
        c->sent = 0;
    }
    return eid_buf_status(&c->out) == EID_OK;
}

/* ---- Who is here ---- */

static eid_slice name_of(const eid_pubkey *id)
{
    return eid_slice_of(id->bytes, sizeof id->bytes);
}

static void put_status(client *c, bool active)
{
    static const char other[] = "Another endpoint connected with the same endpoint id";
    if (c->version >= 2)
        put_frame(c,
                  &(eid_relay_frame){.kind = EID_RELAY_STATUS,
                                     .status = active ? EID_RELAY_STATUS_HEALTHY : EID_RELAY_STATUS_SAME_ID});
    else if (!active)
        put_frame(c, &(eid_relay_frame){.kind = EID_RELAY_HEALTH, .content = eid_slice_text(other)});
}

static void count(eid_relay *relay, uint64_t *counter, uint64_t by)
{
    pthread_mutex_lock(&relay->lock);
    *counter += by;
    pthread_mutex_unlock(&relay->lock);
}

/* The newest of an ID is served; the one before hears that it is not. */
static eid_status enter(client *c)
{
    eid_map_entry *place;
    EID_TRY(eid_map_put(c->relay->by_id, name_of(&c->id), &place, NULL));
    c->older = place->value;
    place->value = c;
    c->proven = true;
    if (c->older != NULL)
        put_status(c->older, false);
    put_frame(c, &(eid_relay_frame){.kind = EID_RELAY_CONFIRMS});
    count(c->relay, &c->relay->stats.clients, 1);
    count(c->relay, &c->relay->stats.accepted, 1);
    return EID_OK;
}

static void tell_gone(client *c)
{
    for (size_t i = 0; i < c->told_count; i++) {
        client *other = eid_map_get(c->relay->by_id, name_of(&c->told[i]));
        if (other != NULL)
            put_frame(other, &(eid_relay_frame){.kind = EID_RELAY_GONE, .id = c->id});
    }
}

static void leave(client *c)
{
    eid_map_entry *place = eid_map_find(c->relay->by_id, name_of(&c->id));
    client *newest = place->value;
    count(c->relay, &c->relay->stats.clients, (uint64_t)-1);
    if (newest != c) {
        while (newest->older != c)
            newest = newest->older;
        newest->older = c->older;
    } else if (c->older != NULL) {
        place->value = c->older;
        put_status(c->older, true);
    } else {
        eid_map_remove(c->relay->by_id, name_of(&c->id));
        tell_gone(c);
    }
}

static void free_client(uv_handle_t *handle)
{
    client *c = handle->data;
    eid_ws_reader_free(&c->in);
    eid_buf_free(&c->out);
    eid_free(c);
}

static void end(client *c)
{
    if (c->ending)
        return;
    if (c->proven)
        leave(c);
    flush(c); /* a last word, if it goes at once */
    c->ending = true;
    *(c->prev != NULL ? &c->prev->next : &c->relay->clients) = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    /* Freed by the loop's next turn, behind flush_dirty: it may still be among the dirty ones. The descriptor
     * may be another connection's as soon as it is given back, so the loop lets go of it first. */
    uv_close((uv_handle_t *)&c->poll, free_client);
    eid_relay_http_end(c->handle);
}

static void flush_dirty(eid_relay *relay)
{
    while (relay->dirty != NULL) {
        client *c = relay->dirty;
        relay->dirty = c->dirty_next;
        c->dirty = false;
        if (c->ending)
            continue;
        if (flush(c))
            watch(c);
        else
            end(c);
    }
}

/* ---- What clients say ---- */

static eid_status deny(client *c, const char *reason)
{
    put_frame(c, &(eid_relay_frame){.kind = EID_RELAY_DENIES, .content = eid_slice_text(reason)});
    count(c->relay, &c->relay->stats.refused, 1);
    return eid_fail(EID_ERR_AUTH_FAILED, "%s", reason);
}

static eid_status take_proof(client *c, const eid_relay_frame *frame)
{
    if (frame->kind != EID_RELAY_CLIENT_AUTH)
        return deny(c, "an answer to the challenge was expected");
    if (eid_relay_check_answer(frame, c->challenge) != EID_OK)
        return deny(c, "the signature does not prove the endpoint ID");
    c->id = frame->id;
    return enter(c);
}

static void remember(client *c, const eid_pubkey *other)
{
    for (size_t i = 0; i < c->told_count; i++) {
        if (eid_pubkey_equal(&c->told[i], other))
            return;
    }
    if (c->told_count < EID_LIMIT_RELAY_TOLD)
        c->told[c->told_count++] = *other;
    else
        c->told[eid_random_u64() % EID_LIMIT_RELAY_TOLD] = *other;
}

static void forward(client *c, eid_relay_frame *frame)
{
    eid_relay *relay = c->relay;
    client *to = eid_map_get(relay->by_id, name_of(&frame->id));
    if (to != NULL)
        remember(c, &frame->id);
    frame->kind = frame->kind == EID_RELAY_SEND ? EID_RELAY_RECV : EID_RELAY_RECV_BATCH;
    frame->id = c->id;
    bool taken = to != NULL && put_frame(to, frame);
    pthread_mutex_lock(&relay->lock);
    relay->stats.forwarded += taken;
    relay->stats.bytes += taken ? frame->content.len : 0;
    relay->stats.dropped += !taken;
    pthread_mutex_unlock(&relay->lock);
}

static eid_status take_frame(client *c, eid_relay_frame *frame)
{
    if (!c->proven)
        return take_proof(c, frame);
    switch (frame->kind) {
    case EID_RELAY_SEND:
    case EID_RELAY_SEND_BATCH:
        forward(c, frame);
        return EID_OK;
    case EID_RELAY_PING:
        frame->kind = EID_RELAY_PONG;
        put_frame(c, frame);
        return EID_OK;
    case EID_RELAY_PONG:
    case EID_RELAY_UNKNOWN:
        return EID_OK;
    default:
        return eid_fail(EID_ERR_PROTOCOL, "A client sent a frame that only a relay sends");
    }
}

static eid_status take_message(eid_ws_kind kind, eid_slice payload, void *ctx)
{
    client *c = ctx;
    eid_relay_frame frame;
    switch (kind) {
    case EID_WS_BINARY:
        EID_TRY(eid_relay_frame_read(payload, &frame));
        return take_frame(c, &frame);
    case EID_WS_PING:
        put_message(c, EID_WS_PONG, payload);
        return EID_OK;
    case EID_WS_CLOSE:
        put_message(c, EID_WS_CLOSE, payload);
        return eid_fail(EID_ERR_CANCELLED, "The client has closed the connection");
    default:
        return EID_OK;
    }
}

static bool take_bytes(client *c, eid_slice bytes)
{
    c->heard = uv_now(&c->relay->loop);
    c->pinged = 0;
    c->allowance -= (int64_t)bytes.len;
    return eid_ws_read(&c->in, bytes, take_message, c) == EID_OK;
}

/* False when the connection is lost, or the client has broken the protocol. */
static bool receive(client *c)
{
    for (int i = 0; i < READS_A_TURN; i++) {
        size_t most = readable(c);
        if (most == 0)
            return true;
        ssize_t len = recv(c->fd, c->relay->scratch, most, MSG_DONTWAIT);
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return true;
        if (len <= 0 || !take_bytes(c, eid_slice_of(c->relay->scratch, (size_t)len)))
            return false;
        if ((size_t)len < most)
            return true;
    }
    return true;
}

static void on_events(uv_poll_t *poll, int status, int events)
{
    client *c = poll->data;
    eid_relay *relay = c->relay;
    bool good = status == 0 && (events & UV_DISCONNECT) == 0;
    if (good && (events & UV_READABLE) != 0)
        good = receive(c);
    if (good && (events & UV_WRITABLE) != 0)
        mark_dirty(c);
    if (good)
        watch(c);
    else
        end(c);
    flush_dirty(relay);
}

/* ---- Coming, waiting, and the end ---- */

static eid_status greet(client *c, const eid_relay_newcomer *newcomer)
{
    c->version = newcomer->version;
    c->id = newcomer->id;
    if (newcomer->proven) {
        EID_TRY(enter(c));
    } else {
        eid_relay_frame challenge = {.kind = EID_RELAY_CHALLENGE};
        eid_random_bytes(c->challenge, sizeof c->challenge);
        memcpy(challenge.challenge, c->challenge, sizeof c->challenge);
        put_frame(c, &challenge);
    }
    return take_bytes(c, eid_buf_slice(&newcomer->early)) ? EID_OK : EID_ERR_PROTOCOL;
}

static client *new_client(eid_relay *relay, const eid_relay_newcomer *newcomer)
{
    client *c = eid_alloc_zero(1, sizeof *c);
    if (c == NULL || uv_poll_init(&relay->loop, &c->poll, newcomer->fd) != 0) {
        eid_free(c);
        return NULL;
    }
    c->poll.data = c;
    c->relay = relay;
    c->fd = newcomer->fd;
    c->handle = newcomer->handle;
    c->since = uv_now(&relay->loop);
    c->patience = PING_AFTER_MS + eid_random_u64() % PING_SPREAD_MS;
    c->allowance = (int64_t)relay->bytes_per_second;
    eid_ws_reader_init(&c->in, true, EID_RELAY_FRAME_MAX);
    eid_buf_init(&c->out, 3 * EID_LIMIT_RELAY_QUEUE_BYTES);
    c->next = relay->clients;
    if (c->next != NULL)
        c->next->prev = c;
    relay->clients = c;
    return c;
}

static void welcome(eid_relay *relay, eid_relay_newcomer *newcomer, bool stopping)
{
    client *c = stopping ? NULL : new_client(relay, newcomer);
    if (c == NULL)
        eid_relay_http_end(newcomer->handle);
    else if (greet(c, newcomer) == EID_OK)
        watch(c);
    else
        end(c);
    eid_buf_free(&newcomer->early);
    eid_free(newcomer);
}

static void on_wake(uv_async_t *wake)
{
    eid_relay *relay = wake->data;
    pthread_mutex_lock(&relay->lock);
    eid_relay_newcomer *newcomers = relay->newcomers;
    bool stopping = relay->stopping;
    relay->newcomers = NULL;
    pthread_mutex_unlock(&relay->lock);
    while (newcomers != NULL) {
        eid_relay_newcomer *next = newcomers->next;
        welcome(relay, newcomers, stopping);
        newcomers = next;
    }
    while (stopping && relay->clients != NULL)
        end(relay->clients);
    if (stopping && !uv_is_closing((uv_handle_t *)wake)) {
        uv_close((uv_handle_t *)&relay->tick, NULL);
        uv_close((uv_handle_t *)wake, NULL);
    }
    flush_dirty(relay);
}

static bool is_lost(client *c, uint64_t now)
{
    if (!c->proven)
        return now - c->since > PROVE_WITHIN_MS;
    if (c->pinged != 0)
        return now - c->pinged > PONG_WITHIN_MS;
    if (now - c->heard > c->patience) {
        eid_relay_frame ping = {.kind = EID_RELAY_PING};
        eid_random_bytes(ping.payload, sizeof ping.payload);
        put_frame(c, &ping);
        c->pinged = now;
    }
    return false;
}

static void on_tick(uv_timer_t *tick)
{
    eid_relay *relay = tick->data;
    uint64_t now = uv_now(&relay->loop);
    int64_t full = (int64_t)relay->bytes_per_second;
    for (client *c = relay->clients, *next; c != NULL; c = next) {
        next = c->next;
        c->allowance += full * TICK_MS / 1000;
        c->allowance = c->allowance < full ? c->allowance : full;
        if (is_lost(c, now))
            end(c);
        else
            watch(c);
    }
    flush_dirty(relay);
}

void eid_relay_admit(eid_relay *relay, eid_relay_newcomer *newcomer)
{
    pthread_mutex_lock(&relay->lock);
    newcomer->next = relay->newcomers;
    relay->newcomers = newcomer;
    uv_async_send(&relay->wake); /* under the lock: the loop closes it only after it was told to stop */
    pthread_mutex_unlock(&relay->lock);
}

static void *run(void *ctx)
{
    eid_relay *relay = ctx;
    uv_run(&relay->loop, UV_RUN_DEFAULT);
    return NULL;
}

/* ---- Starting and stopping ---- */

static eid_status init_loop(eid_relay *relay)
{
    if (uv_loop_init(&relay->loop) != 0)
        return eid_fail(EID_ERR_IO, "The system gives no event loop");
    if (uv_async_init(&relay->loop, &relay->wake, on_wake) != 0) {
        uv_loop_close(&relay->loop);
        return eid_fail(EID_ERR_IO, "The system gives no event descriptor");
    }
    relay->wake.data = relay;
    relay->tick.data = relay;
    uv_timer_init(&relay->loop, &relay->tick);
    uv_timer_start(&relay->tick, on_tick, TICK_MS, TICK_MS);
    return EID_OK;
}

static void free_relay(eid_relay *relay)
{
    eid_map_free(relay->by_id, NULL);
    eid_buf_free(&relay->frame);
    eid_free(relay->scratch);
    eid_free(relay->address);
    pthread_mutex_destroy(&relay->lock);
    eid_free(relay);
}

static eid_status make_relay(const eid_relay_options *options, eid_relay **out)
{
    eid_relay *relay = eid_alloc_zero(1, sizeof *relay);
    if (relay == NULL)
        return eid_fail_memory();
    relay->bytes_per_second = options->bytes_per_second < INT32_MAX ? options->bytes_per_second : INT32_MAX;
    pthread_mutex_init(&relay->lock, NULL);
    eid_buf_init(&relay->frame, EID_RELAY_FRAME_MAX);
    relay->scratch = eid_alloc(READ_BYTES);
    eid_status status = eid_map_new(&relay->by_id);
    if (status == EID_OK && relay->scratch == NULL)
        status = eid_fail_memory();
    if (status == EID_OK)
        status = init_loop(relay);
    if (status != EID_OK)
        free_relay(relay);
    else
        *out = relay;
    return status;
}

/* The loop's thread ends when everybody has been seen off. */
static void stop_loop(eid_relay *relay)
{
    pthread_mutex_lock(&relay->lock);
    relay->stopping = true;
    uv_async_send(&relay->wake);
    pthread_mutex_unlock(&relay->lock);
    pthread_join(relay->thread, NULL);
}

eid_status eid_relay_start(const eid_relay_options *options, eid_relay **out)
{
    EID_NEED(options && out);
    eid_relay *relay;
    if (options->bind_address == NULL)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "A relay needs an address to listen on");
    if ((options->certificate_pem == NULL) != (options->private_key_pem == NULL))
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "A certificate and its private key belong together");
    EID_TRY(make_relay(options, &relay));
    if (pthread_create(&relay->thread, NULL, run, relay) != 0) {
        uv_close((uv_handle_t *)&relay->tick, NULL);
        uv_close((uv_handle_t *)&relay->wake, NULL);
        uv_run(&relay->loop, UV_RUN_DEFAULT);
        uv_loop_close(&relay->loop);
        free_relay(relay);
        return eid_fail(EID_ERR_IO, "The system gives no thread for the relay");
    }
    eid_status status = eid_relay_http_start(options, relay, &relay->http, &relay->address);
    if (status != EID_OK) {
        stop_loop(relay);
        uv_loop_close(&relay->loop);
        free_relay(relay);
        return status;
    }
    *out = relay;
    return EID_OK;
}

void eid_relay_stop(eid_relay *relay)
{
    if (relay == NULL)
        return;
    eid_relay_http_quiesce(relay->http);
    stop_loop(relay);
    eid_relay_http_stop(relay->http);
    uv_loop_close(&relay->loop);
    free_relay(relay);
}

const char *eid_relay_address(const eid_relay *relay)
{
    return relay->address;
}

void eid_relay_get_stats(eid_relay *relay, eid_relay_stats *out)
{
    pthread_mutex_lock(&relay->lock);
    eid_sized_give(out, &relay->stats, sizeof relay->stats);
    pthread_mutex_unlock(&relay->lock);
}
