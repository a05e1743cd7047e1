/* SPDX-License-Identifier: Apache-2.0 */
/* Engines without threads; see manual.h. */
#include "manual.h"

#include <stdlib.h>
#include <string.h>

#define MOST 64

typedef struct queue {
    eid_work *first, *last;
} queue;

typedef struct place {
    char *address;
    node *to; /* NULL: removed */
    bool silent;
} place;

typedef struct manual_transport {
    eid_transport base;
    manual_host *host;
} manual_transport;

struct manual_host {
    eid_host base;
    uint64_t now;
    uint64_t random;
    queue posted, work, callbacks;
    eid_work *alarm;
    uint64_t alarm_at;
    place places[MOST];
    size_t place_count;
    manual_twist twist;
    void *twist_ctx;
    eid_exchange *waiting[MOST]; /* for silent places */
    size_t waiting_count;
    size_t exchanges, bytes;
    bool streams;
    node *own;
};

static manual_host *host_of(eid_host *host)
{
    return (manual_host *)(void *)host;
}

static void push(queue *q, eid_work *work)
{
    work->next = NULL;
    if (q->last != NULL)
        q->last->next = work;
    else
        q->first = work;
    q->last = work;
}

static eid_work *pop(queue *q)
{
    eid_work *work = q->first;
    if (work != NULL && (q->first = work->next) == NULL)
        q->last = NULL;
    return work;
}

/* ---- The host ---- */

static uint64_t manual_now(eid_host *host)
{
    return host_of(host)->now;
}

static uint64_t manual_random(eid_host *host)
{
    manual_host *h = host_of(host);
    h->random = h->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return h->random >> 20;
}

static void manual_post(eid_host *host, eid_work *work)
{
    push(&host_of(host)->posted, work);
}

static void manual_work(eid_host *host, eid_work *work)
{
    push(&host_of(host)->work, work);
}

static void manual_call_back(eid_host *host, eid_work *work)
{
    push(&host_of(host)->callbacks, work);
}

static void manual_alarm(eid_host *host, uint64_t at_ms, eid_work *wake)
{
    host_of(host)->alarm = wake;
    host_of(host)->alarm_at = at_ms;
}

static bool manual_is_needed(eid_host *host)
{
    (void)host;
    return false;
}

static bool manual_pump(eid_host *host)
{
    manual_host *h = host_of(host);
    eid_work *work;
    if ((work = pop(&h->posted)) != NULL) {
        work->run(work);
        return true;
    }
    if ((work = pop(&h->work)) != NULL || (work = pop(&h->callbacks)) != NULL) {
        /* Read first: work without `done` may free itself. */
        void (*done)(eid_work *) = work->done;
        work->run(work);
        if (done != NULL)
            done(work);
        return true;
    }
    if (h->alarm != NULL && h->alarm_at <= h->now) {
        work = h->alarm;
        h->alarm = NULL;
        work->run(work);
        return true;
    }
    return false;
}

static void manual_close(eid_host *host)
{
    manual_host *h = host_of(host);
    h->alarm = NULL;
    while (manual_pump(host))
        ;
    for (size_t i = 0; i < h->place_count; i++)
        free(h->places[i].address);
    free(h);
}

static const eid_host_functions manual_functions = {
    .now_ms = manual_now,
    .random = manual_random,
    .post = manual_post,
    .work = manual_work,
    .call_back = manual_call_back,
    .alarm = manual_alarm,
    .is_needed = manual_is_needed,
    .pump = manual_pump,
    .close = manual_close,
};

/* ---- The transport ---- */

static place *find_place(manual_host *h, const char *address)
{
    for (size_t i = 0; i < h->place_count; i++)
        if (strcmp(h->places[i].address, address) == 0)
            return &h->places[i];
    return NULL;
}

/* An answer in pieces, as fast as it is taken. */
typedef struct pouring {
    manual_host *h;
    eid_source *rest; /* NULL: nothing is left */
    eid_status status; /* at the end */
    bool busy;
} pouring;

static void end_pouring(eid_exchange *exchange, eid_status status)
{
    pouring *p = exchange->state;
    if (p->rest != NULL)
        p->rest->close(p->rest);
    free(p);
    exchange->state = NULL;
    exchange->done(exchange, status);
}

static void pour(eid_exchange *exchange)
{
    pouring *p = exchange->state;
    bool over = false;
    if (p->busy)
        return;
    p->busy = true;
    while (!over && exchange->answer.len < EID_LIMIT_STREAM_HELD) {
        eid_buf piece;
        eid_buf_init(&piece, 4u << 20);
        if (p->rest != NULL && p->rest->read(p->rest, &piece) != EID_OK)
            p->status = eid_fail(EID_ERR_NETWORK, "Network error: the answer broke off");
        over = piece.len == 0;
        p->h->bytes += piece.len;
        if (!over) {
            eid_buf_append_slice(&exchange->answer, eid_buf_slice(&piece));
            exchange->arrived(exchange);
        }
        eid_buf_free(&piece);
    }
    p->busy = false;
    if (over)
        end_pouring(exchange, p->status == EID_OK ? EID_OK : eid_fail(p->status, "Network error: the answer broke off"));
}

static void begin_pouring(manual_host *h, eid_exchange *exchange, eid_source *rest, eid_status status)
{
    pouring *p = calloc(1, sizeof *p);
    *p = (pouring){.h = h, .rest = rest, .status = status, .busy = true};
    exchange->state = p;
    exchange->arrived(exchange); /* the beginning */
    p->busy = false;
    pour(exchange);
}

static void direct_resume(eid_transport *transport, eid_exchange *exchange)
{
    (void)transport;
    if (exchange->state != NULL)
        pour(exchange);
}

static void direct_send(eid_transport *transport, eid_exchange *exchange)
{
    manual_host *h = ((manual_transport *)(void *)transport)->host;
    place *at = find_place(h, exchange->address);
    h->exchanges++;
    h->bytes += exchange->body.len;
    if (at != NULL && at->silent) {
        assert_true(h->waiting_count < MOST);
        h->waiting[h->waiting_count++] = exchange;
        return;
    }
    if (at == NULL || at->to == NULL) {
        exchange->done(exchange, eid_fail(EID_ERR_CONNECTION_FAILED, "Failed to connect to %s: nobody is there",
                                          exchange->address));
        return;
    }
    eid_request_origin origin = {transport->type, "here:1", exchange->peer, exchange->stream, 0};
    eid_source *rest = NULL;
    eid_status status = EID_OK;
    if (exchange->stream && !h->streams)
        status = eid_fail(EID_ERR_NETWORK, "Network error: Server returned error: 415 Unsupported Media Type");
    else if (eid_sync_handle(exchange->body, &origin, &exchange->answer, &rest, at->to->sync) != EID_HANDLED)
        status = eid_fail(EID_ERR_NETWORK, "Network error: Server returned error: 500 Internal Server Error");
    else if (h->twist != NULL)
        status = h->twist(exchange->address, exchange->body, &exchange->answer, h->twist_ctx);
    exchange->peer_streams = h->streams;
    h->bytes += exchange->answer.len;
    if (rest != NULL || (exchange->arrived != NULL && exchange->answer.len != 0))
        begin_pouring(h, exchange, rest, status);
    else
        exchange->done(exchange, status);
}

static void direct_cancel(eid_transport *transport, eid_exchange *exchange)
{
    manual_host *h = ((manual_transport *)(void *)transport)->host;
    if (exchange->state != NULL) {
        end_pouring(exchange, eid_fail(EID_ERR_CANCELLED, "The request was broken off"));
        return;
    }
    for (size_t i = 0; i < h->waiting_count; i++) {
        if (h->waiting[i] != exchange)
            continue;
        h->waiting[i] = h->waiting[--h->waiting_count];
        exchange->done(exchange, eid_fail(EID_ERR_CANCELLED, "The request was broken off"));
        return;
    }
}

static eid_status direct_start(eid_transport *transport, const char *address, eid_request_handler handler,
                               void *ctx)
{
    (void)transport;
    (void)address;
    (void)handler;
    (void)ctx;
    return eid_fail(EID_ERR_UNSUPPORTED, "the direct transport listens without being asked");
}

static eid_status direct_stop(eid_transport *transport)
{
    (void)transport;
    return eid_fail(EID_ERR_SERVER_NOT_RUNNING, "Server not running");
}

static eid_status direct_address(eid_transport *transport, char **out)
{
    (void)out;
    return direct_stop(transport);
}

static void direct_close(eid_transport *transport)
{
    free(transport);
}

static const eid_transport_functions direct_functions = {direct_send, direct_cancel, direct_resume, direct_start,
                                                         direct_stop, direct_address, direct_close};

/* ---- For tests ---- */

/* Hands the host over to the engine that asks for one; tests attach one node after the other. */
static manual_host *made;

static eid_status hand_over(eid_host **out)
{
    *out = &made->base;
    return EID_OK;
}

manual_host *manual_attach(node *n, const char *type)
{
    eid_host *host;
    manual_transport *transport = calloc(1, sizeof *transport);
    manual_host *h = calloc(1, sizeof *h);
    h->base.functions = &manual_functions;
    h->now = 1000000;
    h->random = 42;
    h->own = n;
    h->alarm_at = UINT64_MAX;
    made = h;
    tu_assert_ok(eid_sync_host(n->sync, hand_over, &host));
    assert_ptr_equal(host, &h->base);
    transport->base.functions = &direct_functions;
    transport->base.type = type != NULL ? type : "direct";
    transport->host = h;
    tu_assert_ok(eid_sync_add_transport(n->sync, NULL, &transport->base));
    return h;
}

void manual_set_clock(manual_host *h, const manual_host *like)
{
    h->now = like->now;
}

void manual_add(manual_host *h, const char *address, node *to)
{
    place *at = find_place(h, address);
    if (at == NULL) {
        assert_true(h->place_count < MOST);
        at = &h->places[h->place_count++];
        at->address = strdup(address);
    }
    at->to = to;
}

void manual_remove(manual_host *h, const char *address)
{
    manual_add(h, address, NULL);
}

void manual_set_silent(manual_host *h, const char *address, bool silent)
{
    place *at = find_place(h, address);
    assert_non_null(at);
    at->silent = silent;
    for (size_t i = h->waiting_count; i-- > 0 && !silent;) {
        eid_exchange *exchange = h->waiting[i];
        if (strcmp(exchange->address, address) != 0)
            continue;
        h->waiting[i] = h->waiting[--h->waiting_count];
        exchange->done(exchange, eid_fail(EID_ERR_TIMEOUT, "Network error: %s went silent", address));
    }
}

void manual_set_twist(manual_host *h, manual_twist twist, void *ctx)
{
    h->twist = twist;
    h->twist_ctx = ctx;
}

void manual_set_streams(manual_host *h, bool streams)
{
    h->streams = streams;
}

size_t manual_exchanges(const manual_host *h)
{
    return h->exchanges;
}

size_t manual_bytes(const manual_host *h)
{
    return h->bytes;
}

size_t manual_under_way(const manual_host *h)
{
    return h->waiting_count;
}

void manual_settle(manual_host *const *hosts, size_t count)
{
    bool any = true;
    for (size_t rounds = 0; any; rounds++) {
        assert_true(rounds < 1000000); /* something goes round in circles */
        any = false;
        for (size_t i = 0; i < count; i++)
            any |= manual_pump(&hosts[i]->base);
    }
}

void manual_pass(manual_host *const *hosts, size_t count, uint64_t ms)
{
    uint64_t end = hosts[0]->now + ms;
    for (;;) {
        manual_settle(hosts, count);
        uint64_t next = end;
        for (size_t i = 0; i < count; i++)
            if (hosts[i]->alarm != NULL && hosts[i]->alarm_at < next)
                next = hosts[i]->alarm_at;
        if (next <= hosts[0]->now && hosts[0]->now >= end)
            return;
        for (size_t i = 0; i < count; i++) {
            hosts[i]->own->now_ms += next - hosts[i]->now;
            hosts[i]->now = next;
        }
    }
}
