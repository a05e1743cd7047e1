/* SPDX-License-Identifier: Apache-2.0 */
/* Iroh as a transport of sync: an endpoint on the engine's loop, called from other threads. */
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "sync/special.h"
#include "transport/interfaces.h"
#include "transport/iroh/config_int.h"
#include "transport/iroh/endpoint.h"
#include "transport/iroh/iroh.h"
#include "transport/iroh/udp.h"

#define IROH_NAME    "iroh"
#define CONFIG_TYPE  "iroh:v0"
#define STOP_STEP_NS 2000000L /* how often a server that stops looks whether its requests are done */

typedef struct iroh_transport {
    eid_transport base;
    eid_host *host;
    eid_iroh_config *config;
    eid_iroh_endpoint *endpoint;
    pthread_mutex_t mutex; /* of what follows; starting and stopping hold it throughout */
    bool serving;
    eid_iroh_carrier *listening[EID_LIMIT_IROH_LISTENING]; /* they stay when a server stops */
    size_t listening_count;
    pthread_cond_t gone; /* the endpoint is */
    bool is_gone;
} iroh_transport;

static iroh_transport *iroh_of(eid_transport *transport)
{
    return (iroh_transport *)(void *)transport;
}

/* ---- Asking ---- */

/* Those a stranger's record may not send us to. */
static void leave_out_special(eid_iroh_addr *to)
{
    size_t kept = 0;
    for (size_t i = 0; i < to->direct_count; i++)
        if (!eid_special_address(&to->direct[i].any))
            to->direct[kept++] = to->direct[i];
    to->direct_count = kept;
}

static void iroh_send(eid_transport *transport, eid_exchange *exchange)
{
    eid_iroh_addr to;
    eid_status status = eid_iroh_addr_parse(eid_slice_text(exchange->address), &to);
    if (status != EID_OK) {
        exchange->done(exchange, status);
        return;
    }
    if (exchange->outside_only)
        leave_out_special(&to);
    eid_iroh_endpoint_send(iroh_of(transport)->endpoint, &to, exchange);
    eid_iroh_addr_clear(&to);
}

static void iroh_cancel(eid_transport *transport, eid_exchange *exchange)
{
    eid_iroh_endpoint_cancel(iroh_of(transport)->endpoint, exchange);
}

/* ---- Serving; each of these runs on the engine's thread while the caller waits ---- */

typedef struct serving {
    iroh_transport *iroh;
    const eid_sockaddr *bind; /* NULL: every address */
    eid_request_handler handler;
    void *ctx;
    size_t open_requests;
    eid_status status;
    char sentence[EID_LIMIT_ERROR_TEXT];
    eid_iroh_addr addr;
} serving;

static bool is_bound_to(const eid_iroh_carrier *carrier, const eid_sockaddr *wanted)
{
    eid_sockaddr local = carrier->local;
    if (eid_sockaddr_port(wanted) == 0) {
        if (local.any.sa_family == AF_INET6)
            local.v6.sin6_port = 0;
        else
            local.v4.sin_port = 0;
    }
    return eid_sockaddr_compare(&local, wanted) == 0;
}

static eid_status listen_at(iroh_transport *iroh, const eid_sockaddr *bind)
{
    eid_iroh_carrier *carrier;
    for (size_t i = 0; i < iroh->listening_count; i++)
        if (is_bound_to(iroh->listening[i], bind))
            return EID_OK;
    if (iroh->listening_count == EID_LIMIT_IROH_LISTENING)
        return eid_fail(EID_ERR_SERVER_BIND,
                        "Failed to bind server: it has listened at %d other addresses before",
                        EID_LIMIT_IROH_LISTENING);
    EID_TRY(eid_iroh_udp_open(eid_loop_uv(iroh->host), bind, &carrier));
    eid_iroh_endpoint_add_carrier(iroh->endpoint, carrier);
    iroh->listening[iroh->listening_count++] = carrier;
    return EID_OK;
}

/* Both families, one of which may be missing on this machine. */
static eid_status listen_everywhere(iroh_transport *iroh)
{
    eid_sockaddr any;
    memset(&any, 0, sizeof any);
    any.any.sa_family = AF_INET;
    eid_status v4 = listen_at(iroh, &any);
    any.any.sa_family = AF_INET6;
    eid_status v6 = listen_at(iroh, &any);
    return v4 == EID_OK ? EID_OK : v6;
}

/* Where callers find us who can not reach us otherwise. */
static eid_status use_relays(iroh_transport *iroh)
{
    const eid_iroh_config *config = iroh->config;
    for (size_t i = 0; config->mode == EID_IROH_RELAY_CUSTOM && i < config->relay_count; i++)
        EID_TRY(eid_iroh_endpoint_add_home(iroh->endpoint, config->relays[i]));
    return EID_OK;
}

static void start_serving(void *ctx)
{
    serving *s = ctx;
    s->status = s->bind != NULL ? listen_at(s->iroh, s->bind) : listen_everywhere(s->iroh);
    if (s->status == EID_OK)
        s->status = use_relays(s->iroh);
    if (s->status == EID_OK)
        eid_iroh_endpoint_accept(s->iroh->endpoint, s->handler, s->ctx);
    else
        snprintf(s->sentence, sizeof s->sentence, "%s", eid_last_error());
}

static void stop_serving(void *ctx)
{
    serving *s = ctx;
    eid_iroh_endpoint_accept(s->iroh->endpoint, NULL, NULL);
    s->open_requests = eid_iroh_endpoint_open_requests(s->iroh->endpoint);
}

static eid_status iroh_start(eid_transport *transport, const char *bind_address, eid_request_handler handler,
                             void *ctx)
{
    iroh_transport *iroh = iroh_of(transport);
    serving s = {.iroh = iroh, .handler = handler, .ctx = ctx};
    eid_sockaddr bind;
    if (bind_address != NULL && eid_sockaddr_parse(eid_slice_text(bind_address), &bind) == EID_OK)
        s.bind = &bind;
    else if (iroh->config->has_bind)
        s.bind = &iroh->config->bind;
    pthread_mutex_lock(&iroh->mutex);
    if (iroh->serving) {
        pthread_mutex_unlock(&iroh->mutex);
        return eid_fail(EID_ERR_SERVER_ALREADY_RUNNING, "Server already running");
    }
    eid_loop_call(iroh->host, start_serving, &s);
    iroh->serving = s.status == EID_OK;
    pthread_mutex_unlock(&iroh->mutex);
    return s.status == EID_OK ? EID_OK : eid_fail(s.status, "%s", s.sentence);
}

static eid_status fail_not_running(void)
{
    return eid_fail(EID_ERR_SERVER_NOT_RUNNING, "Server not running");
}

/* The mutex is held. */
static void stop(iroh_transport *iroh)
{
    serving s = {.iroh = iroh};
    uint64_t until = eid_monotonic_ns() + EID_LIMIT_HTTP_STOP_MS * UINT64_C(1000000);
    struct timespec step = {0, STOP_STEP_NS};
    iroh->serving = false;
    eid_loop_call(iroh->host, stop_serving, &s);
    while (s.open_requests != 0 && eid_monotonic_ns() < until) {
        nanosleep(&step, NULL);
        eid_loop_call(iroh->host, stop_serving, &s);
    }
}

static eid_status iroh_stop(eid_transport *transport)
{
    iroh_transport *iroh = iroh_of(transport);
    pthread_mutex_lock(&iroh->mutex);
    bool running = iroh->serving;
    if (running)
        stop(iroh);
    pthread_mutex_unlock(&iroh->mutex);
    return running ? EID_OK : fail_not_running();
}

/* ---- Where it can be reached ---- */

typedef struct own_addresses {
    eid_iroh_addr *addr;
    uint16_t port;
} own_addresses;

static void add_own(const struct sockaddr *address, void *ctx)
{
    own_addresses *own = ctx;
    eid_sockaddr direct;
    memset(&direct, 0, sizeof direct);
    if (address->sa_family == AF_INET6) {
        memcpy(&direct.v6, address, sizeof direct.v6);
        direct.v6.sin6_port = htons(own->port);
    } else {
        memcpy(&direct.v4, address, sizeof direct.v4);
        direct.v4.sin_port = htons(own->port);
    }
    /* Of a machine with more than there is room for, the first ones. */
    (void)eid_iroh_addr_add_direct(own->addr, &direct);
}

static bool is_everywhere(const eid_sockaddr *address)
{
    return address->any.sa_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr)
                                              : address->v4.sin_addr.s_addr == INADDR_ANY;
}

/* `carriers` do not change while the transport's mutex is held. */
static void gather_addresses(const iroh_transport *iroh, eid_iroh_addr *addr)
{
    own_addresses own = {addr, 0};
    addr->id = *eid_iroh_endpoint_id(iroh->endpoint);
    for (size_t i = 0; i < iroh->listening_count; i++) {
        const eid_sockaddr *local = &iroh->listening[i]->local;
        bool v6 = local->any.sa_family == AF_INET6;
        own.port = eid_sockaddr_port(local);
        if (is_everywhere(local))
            eid_interfaces_visit(!v6, v6, add_own, &own);
        else
            add_own(&local->any, &own);
    }
    if (addr->direct_count == 0 && iroh->listening_count != 0) {
        struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        own.port = eid_sockaddr_port(&iroh->listening[0]->local);
        add_own((const struct sockaddr *)(const void *)&loopback, &own);
    }
}

/* Whether they are connected at this moment or not: tickets live longer. */
static eid_status gather_relays(const iroh_transport *iroh, eid_iroh_addr *addr)
{
    const eid_iroh_config *config = iroh->config;
    for (size_t i = 0; config->mode == EID_IROH_RELAY_CUSTOM && i < config->relay_count; i++)
        EID_TRY(eid_iroh_addr_add_relay(addr, eid_slice_text(config->relays[i])));
    return EID_OK;
}

static eid_status iroh_server_address(eid_transport *transport, char **out)
{
    iroh_transport *iroh = iroh_of(transport);
    eid_iroh_addr addr;
    memset(&addr, 0, sizeof addr);
    pthread_mutex_lock(&iroh->mutex);
    bool running = iroh->serving;
    if (running)
        gather_addresses(iroh, &addr);
    eid_status status = running ? gather_relays(iroh, &addr) : fail_not_running();
    pthread_mutex_unlock(&iroh->mutex);
    if (status == EID_OK)
        status = eid_iroh_addr_format(&addr, out);
    eid_iroh_addr_clear(&addr);
    return status;
}

/* ---- Life ---- */

static void on_gone(void *ctx)
{
    iroh_transport *iroh = ctx;
    pthread_mutex_lock(&iroh->mutex);
    iroh->is_gone = true;
    pthread_cond_signal(&iroh->gone);
    pthread_mutex_unlock(&iroh->mutex);
}

static void close_endpoint(void *ctx)
{
    iroh_transport *iroh = ctx;
    eid_iroh_endpoint_close(iroh->endpoint, on_gone, iroh);
}

static void free_iroh(iroh_transport *iroh)
{
    eid_iroh_config_free(iroh->config);
    pthread_cond_destroy(&iroh->gone);
    pthread_mutex_destroy(&iroh->mutex);
    eid_free(iroh);
}

static void iroh_close(eid_transport *transport)
{
    iroh_transport *iroh = iroh_of(transport);
    pthread_mutex_lock(&iroh->mutex);
    if (iroh->serving)
        stop(iroh);
    pthread_mutex_unlock(&iroh->mutex);
    eid_loop_call(iroh->host, close_endpoint, iroh);
    pthread_mutex_lock(&iroh->mutex);
    while (!iroh->is_gone)
        pthread_cond_wait(&iroh->gone, &iroh->mutex);
    pthread_mutex_unlock(&iroh->mutex);
    free_iroh(iroh);
}

static const eid_transport_functions iroh_functions = {
    .send = iroh_send,
    .cancel = iroh_cancel,
    .start = iroh_start,
    .stop = iroh_stop,
    .server_address = iroh_server_address,
    .close = iroh_close,
};

typedef struct making {
    iroh_transport *iroh;
    const eid_keypair *key;
    eid_status status;
    char sentence[EID_LIMIT_ERROR_TEXT];
} making;

static void make_endpoint(void *ctx)
{
    static const eid_iroh_endpoint_options options = {NULL, 0, SIZE_MAX};
    making *m = ctx;
    m->status = eid_iroh_endpoint_new(m->iroh->host, m->key, &options, &m->iroh->endpoint);
    if (m->status != EID_OK)
        snprintf(m->sentence, sizeof m->sentence, "%s", eid_last_error());
}

/* Takes the configuration, on failure too. */
static eid_status add_transport(eid_sync *sync, const char *name, const eid_keypair *key,
                                eid_iroh_config *config)
{
    making m = {.iroh = eid_alloc_zero(1, sizeof *m.iroh), .key = key};
    eid_host *host = NULL;
    eid_status status = m.iroh == NULL ? eid_fail_memory() : eid_sync_host(sync, eid_loop_new, &host);
    if (status != EID_OK) {
        eid_iroh_config_free(config);
        eid_free(m.iroh);
        return status;
    }
    m.iroh->base = (eid_transport){&iroh_functions, IROH_NAME};
    m.iroh->host = host;
    m.iroh->config = config;
    pthread_mutex_init(&m.iroh->mutex, NULL);
    pthread_cond_init(&m.iroh->gone, NULL);
    eid_loop_call(host, make_endpoint, &m);
    if (m.status != EID_OK) {
        free_iroh(m.iroh);
        return eid_fail(m.status, "%s", m.sentence);
    }
    return eid_sync_add_transport(sync, name, &m.iroh->base);
}

static eid_status add_named(eid_sync *sync, const char *name, eid_iroh_config *config)
{
    eid_keypair *key;
    eid_status status = eid_sync_transport_key(sync, name, &key);
    if (status != EID_OK) {
        eid_iroh_config_free(config);
        return status;
    }
    status = add_transport(sync, name, key, config);
    eid_keypair_free(key);
    return status;
}

static eid_status add_kept(eid_sync *sync, const char *name)
{
    eid_iroh_config *config = NULL;
    eid_doc *doc;
    EID_TRY(eid_sync_kept_transport(sync, name, CONFIG_TYPE, &doc));
    eid_status status = eid_iroh_config_read(doc, &config);
    eid_doc_free(doc);
    return status == EID_OK ? add_named(sync, name, config) : status;
}

eid_status eid_iroh_transport_restore(eid_sync *sync, const char *name)
{
    return eid_sync_has_transport(sync, name) ? EID_OK : add_kept(sync, name);
}

/* The copy goes by the form in which it is kept. */
static eid_status add_and_keep(eid_sync *sync, const char *name, const eid_iroh_config *config)
{
    eid_iroh_config *copy = NULL;
    eid_doc *doc;
    EID_TRY(eid_iroh_config_write(config, &doc));
    eid_status status = eid_iroh_config_read(doc, &copy);
    if (status == EID_OK)
        status = add_named(sync, name, copy);
    if (status == EID_OK)
        status = eid_sync_keep_transport(sync, name, CONFIG_TYPE, doc);
    eid_doc_free(doc);
    return status;
}

eid_status eid_sync_add_iroh_transport(eid_sync *sync, const char *name, const eid_iroh_config *config)
{
    EID_NEED(sync && name && config);
    EID_TRY(eid_sync_check_transport_name(name));
    return add_and_keep(sync, name, config);
}

eid_status eid_sync_enable_iroh_transport_with_config(eid_sync *sync, const eid_iroh_config *config)
{
    return eid_sync_add_iroh_transport(sync, IROH_NAME, config);
}

eid_status eid_sync_enable_iroh_transport(eid_sync *sync)
{
    eid_iroh_config *defaults;
    EID_NEED(sync);
    /* Asked for twice, the second time changes nothing: a running server goes on. */
    eid_status status = eid_iroh_transport_restore(sync, IROH_NAME);
    if (status != EID_ERR_NOT_FOUND)
        return status;
    EID_TRY(eid_iroh_config_new(&defaults));
    return add_named(sync, IROH_NAME, defaults);
}
