/* SPDX-License-Identifier: Apache-2.0 */
/* The world: its list of things to come, the hosts of the engines, and the network between them. */
#include "world.h"

#include "base/alloc.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EPOCH_MS UINT64_C(1800000000000)

typedef enum kind {
    PLANNED, /* by the play */
    WORK,    /* of a host: run, then done */
    ALARM,
    MOVE /* of a flight */
} kind;

/* Something that will happen; of two at one time the one that was planned first. */
typedef struct happening {
    uint64_t at_ms, number;
    kind kind;
    peer *owner; /* of WORK and ALARM */
    eid_work *work;
    struct flight *flight;
    void (*run)(world *w, uint64_t arg);
    uint64_t arg;
} happening;

/* A request on its way, and its answer. */
typedef struct flight {
    struct flight *next, *previous;
    eid_exchange *exchange; /* NULL: nobody waits for it any more */
    world *w;
    size_t from, to;
    uint8_t *body;
    size_t len;
    char claimed[EID_PUBKEY_TEXT_SIZE]; /* "": none */
    void (*arrive)(struct flight *f);
    eid_buf answer; /* what of it has left the other side and has not arrived */
    size_t answer_max;
    eid_status status;
    bool stream;      /* the streamed form */
    eid_source *rest; /* what follows the answer; NULL: nothing more */
    bool waits;       /* for the one who asked to take what came */
} flight;

/* ---- Chance ---- */

/* Keys, nonces and row keys: what libsodium gives comes from the seed. */
static tu_random sodium_chance;

static const char *seeded_name(void)
{
    return "seeded";
}

static uint32_t seeded_random(void)
{
    return (uint32_t)tu_random_next(&sodium_chance);
}

static void seeded_buf(void *const out, const size_t len)
{
    tu_random_fill(&sodium_chance, out, len);
}

static randombytes_implementation seeded = {
    .implementation_name = seeded_name, .random = seeded_random, .buf = seeded_buf};

uint64_t below(world *w, uint64_t bound)
{
    return tu_random_below(&w->random, bound);
}

bool chance(world *w, unsigned percent)
{
    return below(w, 100) < percent;
}

static void mix(world *w, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < len; i++)
        w->trace = (w->trace ^ bytes[i]) * UINT64_C(0x100000001b3);
}

void trace_bytes(world *w, const char *what, uint64_t a, uint64_t b, eid_slice bytes)
{
    uint64_t numbers[4] = {w->now_ms, a, b, bytes.len};
    mix(w, what, strlen(what));
    mix(w, numbers, sizeof numbers);
    mix(w, bytes.data, bytes.len);
    if (w->loud)
        printf("%9llu %s %llu %llu %016llx %.*s\n", (unsigned long long)w->now_ms, what,
               (unsigned long long)a, (unsigned long long)b, (unsigned long long)w->trace,
               (int)(bytes.len < 2000 ? bytes.len : 2000), bytes.len > 32 ? (const char *)bytes.data : "");
}

void trace(world *w, const char *what, uint64_t a, uint64_t b)
{
    trace_bytes(w, what, a, b, eid_slice_of("", 0));
}

/* ---- What is to come ---- */

static bool sooner(const happening *a, const happening *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->number < b->number;
}

static void swap(happening *a, happening *b)
{
    happening c = *a;
    *a = *b;
    *b = c;
}

static void sift_up(world *w, size_t at)
{
    for (; at > 0 && sooner(&w->heap[at], &w->heap[(at - 1) / 2]); at = (at - 1) / 2)
        swap(&w->heap[at], &w->heap[(at - 1) / 2]);
}

static void plan(world *w, happening h)
{
    if (w->heap_count == w->heap_room) {
        w->heap_room = w->heap_room * 2 + 256;
        w->heap = realloc(w->heap, w->heap_room * sizeof *w->heap);
        assert_non_null(w->heap);
    }
    h.number = w->next_number++;
    w->heap[w->heap_count] = h;
    sift_up(w, w->heap_count++);
}

static happening take(world *w, size_t at)
{
    happening h = w->heap[at];
    w->heap[at] = w->heap[--w->heap_count];
    if (at == w->heap_count)
        return h;
    sift_up(w, at);
    for (size_t i = at;;) {
        size_t least = 2 * i + 1;
        if (least >= w->heap_count)
            return h;
        if (least + 1 < w->heap_count && sooner(&w->heap[least + 1], &w->heap[least]))
            least++;
        if (!sooner(&w->heap[least], &w->heap[i]))
            return h;
        swap(&w->heap[least], &w->heap[i]);
        i = least;
    }
}

void world_plan(world *w, uint64_t in_ms, void (*run)(world *w, uint64_t arg), uint64_t arg)
{
    plan(w, (happening){.at_ms = w->now_ms + in_ms, .kind = PLANNED, .run = run, .arg = arg});
}

static void do_work(eid_work *work)
{
    void (*done)(eid_work *) = work->done; /* work without it may free itself */
    work->run(work);
    if (done != NULL)
        done(work);
}

static void happen(world *w, const happening *h)
{
    switch (h->kind) {
    case PLANNED:
        h->run(w, h->arg);
        return;
    case WORK:
        do_work(h->work);
        return;
    case ALARM:
        /* Another alarm may have taken its place. */
        if (h->owner->alarm == NULL || h->owner->alarm_at > w->now_ms)
            return;
        eid_work *alarm = h->owner->alarm;
        h->owner->alarm = NULL;
        alarm->run(alarm);
        return;
    case MOVE:
        h->flight->arrive(h->flight);
        return;
    }
}

/* Processes whose disk froze meanwhile are dead, whatever they did since. */
static void bury(world *w)
{
    for (size_t i = 0; i < w->peer_count; i++)
        if (w->peers[i].up && disk_is_frozen(i))
            w->on_end(w, i);
}

static void step(world *w)
{
    happening h = take(w, 0);
    if (h.at_ms > w->now_ms)
        w->now_ms = h.at_ms;
    happen(w, &h);
    bury(w);
}

void world_pass(world *w, uint64_t ms)
{
    uint64_t end = w->now_ms + ms;
    while (w->heap_count != 0 && w->heap[0].at_ms <= end)
        step(w);
    w->now_ms = end;
}

bool world_pass_while(world *w, bool (*wanted)(void *ctx), void *ctx, uint64_t ms)
{
    uint64_t end = w->now_ms + ms;
    while (wanted(ctx)) {
        if (w->heap_count == 0 || w->heap[0].at_ms > end)
            return false;
        step(w);
    }
    return true;
}

/* ---- Hosts ---- */

static peer *peer_of(eid_host *host)
{
    return (peer *)(void *)host;
}

static uint64_t host_now(eid_host *host)
{
    return peer_of(host)->w->now_ms - peer_of(host)->booted_ms + 1000;
}

static uint64_t host_random(eid_host *host)
{
    return tu_random_next(&peer_of(host)->w->random) >> 20;
}

static void add_work(eid_host *host, eid_work *work, uint64_t in_ms)
{
    peer *p = peer_of(host);
    plan(p->w, (happening){.at_ms = p->w->now_ms + in_ms, .kind = WORK, .owner = p, .work = work});
}

static void host_post(eid_host *host, eid_work *work)
{
    add_work(host, work, 0);
}

/* Hands are several: what was given to them later may be done first. */
static void host_work(eid_host *host, eid_work *work)
{
    world *w = peer_of(host)->w;
    add_work(host, work, chance(w, 5) ? below(w, 500) : below(w, 3));
}

static void host_alarm(eid_host *host, uint64_t at_ms, eid_work *wake)
{
    peer *p = peer_of(host);
    p->alarm = NULL;
    if (at_ms == UINT64_MAX)
        return;
    uint64_t now = host_now(host), in_ms = at_ms > now ? at_ms - now : 0;
    p->alarm = wake;
    p->alarm_at = p->w->now_ms + in_ms;
    plan(p->w, (happening){.at_ms = p->alarm_at, .kind = ALARM, .owner = p});
}

static bool host_is_needed(eid_host *host)
{
    (void)host;
    return false;
}

/* For whoever waits, which is only the end of a peer: its own work goes on, nothing else. */
static bool host_pump(eid_host *host)
{
    world *w = peer_of(host)->w;
    size_t first = w->heap_count;
    for (size_t i = 0; i < w->heap_count; i++)
        if (w->heap[i].kind == WORK && w->heap[i].owner == peer_of(host) &&
            (first == w->heap_count || sooner(&w->heap[i], &w->heap[first])))
            first = i;
    if (first == w->heap_count)
        return false;
    happening h = take(w, first);
    do_work(h.work);
    return true;
}

static void host_close(eid_host *host)
{
    world *w = peer_of(host)->w;
    peer_of(host)->alarm = NULL;
    while (host_pump(host))
        ;
    for (size_t i = w->heap_count; i-- > 0;)
        if (w->heap[i].kind == ALARM && w->heap[i].owner == peer_of(host))
            take(w, i);
}

static const eid_host_functions host_functions = {
    .now_ms = host_now,
    .random = host_random,
    .post = host_post,
    .work = host_work,
    .call_back = host_post,
    .alarm = host_alarm,
    .is_needed = host_is_needed,
    .pump = host_pump,
    .close = host_close,
};

/* ---- The network ---- */

typedef struct carrier {
    eid_transport base;
    peer *p;
} carrier;

static void free_flight(flight *f)
{
    if (f->next != NULL)
        f->next->previous = f->previous;
    if (f->previous != NULL)
        f->previous->next = f->next;
    else
        f->w->flights = f->next;
    if (f->rest != NULL)
        f->rest->close(f->rest);
    eid_buf_free(&f->answer);
    free(f->body);
    free(f);
}

static flight *new_flight(world *w, size_t from, size_t to, const uint8_t *body, size_t len,
                          const char *claimed)
{
    flight *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->w = w;
    f->from = from;
    f->to = to;
    f->body = malloc(len + 1);
    assert_non_null(f->body);
    memcpy(f->body, body, len);
    f->len = len;
    snprintf(f->claimed, sizeof f->claimed, "%s", claimed == NULL ? "" : claimed);
    f->answer_max = SIZE_MAX;
    eid_buf_init(&f->answer, SIZE_MAX / 2);
    f->next = w->flights;
    if (f->next != NULL)
        f->next->previous = f;
    w->flights = f;
    return f;
}

static void move(flight *f, uint64_t in_ms, void (*arrive)(flight *f))
{
    f->arrive = arrive;
    plan(f->w, (happening){.at_ms = f->w->now_ms + in_ms, .kind = MOVE, .flight = f});
}

static uint64_t delay(world *w)
{
    return 1 + below(w, chance(w, 2) ? w->weather.tail_ms + 1 : w->weather.delay_ms + 1);
}

static bool is_lost(const flight *f)
{
    return f->w->weather.apart[f->from][f->to] || chance(f->w, f->w->weather.loss);
}

/* The end of a flight, for whoever waits for it. */
static void land(flight *f)
{
    eid_exchange *exchange = f->exchange;
    eid_status status = f->status;
    if (exchange != NULL) {
        trace(f->w, "answered", f->from, (uint64_t)status);
        exchange->state = NULL;
        exchange->peer_streams =
            f->to != HOSTILE && f->w->peers[f->to].streams && status != EID_ERR_CONNECTION_FAILED;
    }
    free_flight(f);
    if (exchange != NULL)
        exchange->done(exchange, status == EID_OK ? EID_OK : eid_fail(status, "Network error: simulated"));
}

static void come_in(flight *f);

/* The next piece of the answer; the way may break off between two of them. */
static void read_on(flight *f)
{
    eid_buf_reset(&f->answer);
    if (f->status == EID_OK && f->rest == NULL) {
        land(f);
        return;
    }
    if (f->status == EID_OK &&
        (chance(f->w, f->w->weather.cut) || f->rest->read(f->rest, &f->answer) != EID_OK))
        f->status = EID_ERR_NETWORK;
    if (f->status == EID_OK && f->answer.len == 0) {
        f->rest->close(f->rest);
        f->rest = NULL;
    }
    move(f, 1, f->status == EID_OK ? come_in : land);
}

/* A piece arrives. The one who asked may break off inside. */
static void come_in(flight *f)
{
    eid_exchange *exchange = f->exchange;
    if (exchange == NULL || f->status != EID_OK) {
        land(f);
        return;
    }
    if (exchange->arrived == NULL && exchange->answer.len + f->answer.len > f->answer_max) {
        f->status = EID_ERR_LIMIT;
        land(f);
        return;
    }
    eid_buf_append(&exchange->answer, f->answer.data, f->answer.len);
    f->waits = exchange->arrived != NULL && exchange->answer.len >= EID_LIMIT_STREAM_HELD;
    if (!f->waits)
        move(f, f->rest == NULL ? 0 : 1 + below(f->w, 5), read_on);
    if (exchange->arrived != NULL)
        exchange->arrived(exchange);
}

static void resume(eid_transport *transport, eid_exchange *exchange)
{
    flight *f = exchange->state;
    (void)transport;
    if (f == NULL || !f->waits || exchange->answer.len >= EID_LIMIT_STREAM_HELD)
        return;
    f->waits = false;
    move(f, 1, read_on);
}

/* Answers the peer was still giving when it died. */
static void break_off(world *w, size_t who)
{
    for (flight *f = w->flights; f != NULL; f = f->next) {
        if (f->to != who || f->rest == NULL)
            continue;
        f->rest->close(f->rest);
        f->rest = NULL;
        f->status = EID_ERR_NETWORK;
        if (f->waits)
            move(f, 1, land);
        f->waits = false;
    }
}

static void fail_later(flight *f, eid_status status, uint64_t in_ms)
{
    f->status = status;
    move(f, in_ms, land);
}

static uint64_t patience(const flight *f)
{
    const eid_exchange *e = f->exchange;
    if (e == NULL)
        return 1;
    return e->silence_ms < e->total_ms ? e->silence_ms : e->total_ms;
}

static void answer(flight *f)
{
    world *w = f->w;
    eid_request_origin origin = {"sim", w->peers[f->from].name, f->claimed[0] == '\0' ? NULL : f->claimed,
                                 f->stream, 0};
    if (f->stream && !w->peers[f->to].streams) /* it can not read that */
        f->status = EID_ERR_NETWORK;
    else if (eid_sync_handle(eid_slice_of(f->body, f->len), &origin, &f->answer, &f->rest,
                             w->peers[f->to].n.sync) != EID_HANDLED)
        f->status = EID_ERR_NETWORK;
}

/* Repeated by the way: both are handled, and the second answer is the one that counts. */
static void answer_again(flight *f)
{
    if (f->rest != NULL)
        f->rest->close(f->rest);
    f->rest = NULL;
    eid_buf_free(&f->answer);
    eid_buf_init(&f->answer, SIZE_MAX / 2);
    f->status = EID_OK;
    answer(f);
}

static void send_answer_back(flight *f)
{
    world *w = f->w;
    if (f->status == EID_OK && chance(w, w->weather.cut) && f->answer.len != 0)
        f->status = EID_ERR_NETWORK;
    trace_bytes(w, "handled", f->from, f->to, eid_buf_slice(&f->answer));
    if (is_lost(f))
        fail_later(f, EID_ERR_TIMEOUT, patience(f));
    else
        move(f, delay(w), come_in);
}

static void reach(flight *f)
{
    world *w = f->w;
    trace_bytes(w, "reached", f->from, f->to, eid_slice_of(f->body, f->len));
    if (f->to == HOSTILE) {
        if (!w->hostile(w, f->from, eid_slice_of(f->body, f->len), &f->answer))
            fail_later(f, EID_ERR_TIMEOUT, patience(f));
        else
            send_answer_back(f);
        return;
    }
    if (!w->peers[f->to].up) {
        fail_later(f, EID_ERR_CONNECTION_FAILED, delay(w));
        return;
    }
    answer(f);
    if (chance(w, w->weather.repeat))
        answer_again(f);
    /* It died of it: whatever it was about to say is not said. */
    if (disk_is_frozen(f->to))
        fail_later(f, EID_ERR_NETWORK, delay(w));
    else
        send_answer_back(f);
}

static void carry(eid_transport *transport, eid_exchange *exchange)
{
    peer *p = ((carrier *)(void *)transport)->p;
    world *w = p->w;
    size_t to = 0;
    while (to < PLACES && strcmp(w->peers[to].name, exchange->address) != 0)
        to++;
    if (!p->up || disk_is_frozen(p->index) || to == PLACES || (to == HOSTILE && w->hostile == NULL)) {
        exchange->done(exchange,
                       eid_fail(EID_ERR_CONNECTION_FAILED, "Failed to connect to %s", exchange->address));
        return;
    }
    flight *f = new_flight(w, p->index, to, exchange->body.data, exchange->body.len, exchange->peer);
    f->exchange = exchange;
    f->answer_max = exchange->answer_max;
    f->stream = exchange->stream;
    exchange->state = f;
    w->exchanges += to != HOSTILE;
    if (w->overhear != NULL)
        w->overhear(w, exchange->body);
    if (is_lost(f))
        fail_later(f, EID_ERR_TIMEOUT,
                   exchange->connect_ms < patience(f) ? exchange->connect_ms : patience(f));
    else
        move(f, delay(w), reach);
}

static void give_up(eid_transport *transport, eid_exchange *exchange)
{
    flight *f = exchange->state;
    (void)transport;
    if (f == NULL)
        return;
    f->exchange = NULL; /* it goes on without anybody who waits */
    if (f->waits)
        move(f, 1, land);
    f->waits = false;
    exchange->state = NULL;
    exchange->done(exchange, eid_fail(EID_ERR_CANCELLED, "The request was broken off"));
}

static eid_status listens_anyway(eid_transport *transport, const char *address, eid_request_handler handler,
                                 void *ctx)
{
    (void)transport;
    (void)address;
    (void)handler;
    (void)ctx;
    return eid_fail(EID_ERR_UNSUPPORTED, "peers of the simulator listen without being asked");
}

static eid_status no_server(eid_transport *transport)
{
    (void)transport;
    return eid_fail(EID_ERR_SERVER_NOT_RUNNING, "Server not running");
}

/* Peers tell each other their addresses. */
static eid_status own_address(eid_transport *transport, char **out)
{
    *out = eid_strdup(((carrier *)(void *)transport)->p->name);
    return *out == NULL ? eid_fail_memory() : EID_OK;
}

static void close_carrier(eid_transport *transport)
{
    free(transport);
}

static const eid_transport_functions carrier_functions = {
    carry, give_up, resume, listens_anyway, no_server, own_address, close_carrier};

void world_throw(world *w, size_t to, const uint8_t *body, size_t len, const eid_pubkey *claimed)
{
    char text[EID_PUBKEY_TEXT_SIZE] = "";
    if (claimed != NULL)
        eid_pubkey_format(claimed, text);
    flight *f = new_flight(w, HOSTILE, to, body, len, text);
    if (is_lost(f))
        free_flight(f);
    else
        move(f, delay(w), reach);
}

/* ---- Peers ---- */

static uint64_t peer_clock(void *ctx)
{
    const peer *p = ctx;
    return EPOCH_MS + p->w->now_ms + (uint64_t)p->skew_ms;
}

static eid_host *starting; /* handed over to the engine that asks for it */

static eid_status hand_over(eid_host **out)
{
    *out = starting;
    return EID_OK;
}

void peer_start(world *w, size_t who)
{
    peer *p = &w->peers[who];
    eid_instance_options options = EID_INSTANCE_OPTIONS_INIT;
    char url[400];
    eid_host *host;
    carrier *c = calloc(1, sizeof *c);

    assert_non_null(c);
    disk_fill(who, false);
    snprintf(url, sizeof url, "sqlite:%s", disk_path(who));
    options.durability = p->durability;
    options.now_ms = peer_clock;
    options.clock_ctx = p;
    tu_assert_ok(eid_instance_open_url_with(url, &options, &p->n.instance));
    tu_assert_ok(eid_instance_login_or_create_user(p->n.instance, p->name, NULL, &p->n.user));
    tu_assert_ok(eid_instance_enable_sync(p->n.instance));
    tu_assert_ok(eid_instance_sync(p->n.instance, &p->n.sync));
    eid_instance_device_pubkey(p->n.instance, &p->device);
    eid_user_get_default_key(p->n.user, &p->user);
    p->host.functions = &host_functions;
    p->booted_ms = w->now_ms;
    p->alarm = NULL;
    p->up = true;
    starting = &p->host;
    tu_assert_ok(eid_sync_host(p->n.sync, hand_over, &host));
    c->base.functions = &carrier_functions;
    c->base.type = "sim";
    c->p = p;
    tu_assert_ok(eid_sync_add_transport(p->n.sync, NULL, &c->base));
    trace_bytes(w, "started", who, 0, eid_slice_of(p->device.bytes, sizeof p->device.bytes));
}

void peer_stop(world *w, size_t who)
{
    peer *p = &w->peers[who];
    p->up = false;
    break_off(w, who);
    for (size_t i = 0; i < DATABASES; i++) {
        eid_database_close(p->handles[i]);
        p->handles[i] = NULL;
    }
    eid_user_logout(p->n.user);
    eid_instance_close(p->n.instance);
    memset(&p->n, 0, sizeof p->n);
    trace(w, "stopped", who, disk_is_frozen(who));
    disk_freeze_at(who, DISK_KILLED, 0);
    if (disk_is_frozen(who))
        disk_thaw(who);
}

/* ---- Life ---- */

void world_begin(world *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    assert_int_equal(randombytes_set_implementation(&seeded), 0);
    assert_true(sodium_init() >= 0); /* takes some when it runs first */
    sodium_chance.state = seed ^ UINT64_C(0x5eed);
    disk_format(seed);
    w->seed = seed;
    w->random.state = seed;
    w->trace = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < PLACES; i++) {
        w->peers[i].w = w;
        w->peers[i].index = i;
        snprintf(w->peers[i].name, sizeof w->peers[i].name, "p%zu", i % PLACES);
    }
}

void world_end(world *w)
{
    for (size_t i = 0; i < w->peer_count; i++)
        if (w->peers[i].up)
            peer_stop(w, i);
    while (w->flights != NULL)
        free_flight(w->flights);
    free(w->heap);
    w->heap = NULL;
    w->heap_count = 0;
}
