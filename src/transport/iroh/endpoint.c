/* SPDX-License-Identifier: Apache-2.0 */
/* The endpoint: datagrams to connections, new callers, what is due in each turn of the loop, life. */
#include "transport/iroh/endpoint.h"

#include <ngtcp2/ngtcp2_crypto.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/random.h"
#include "crypto/blake3.h"
#include "crypto/key.h"
#include "transport/iroh/quic_int.h"

#define RESET_CONTEXT "eidetica iroh stateless reset v1"
#define REFUSED       0x02 /* CONNECTION_REFUSED of RFC 9000 */
#define RESET_MIN     22   /* bytes: the smallest that looks like a packet, see RFC 9000 section 10.3 */
#define RESET_SIZE    43

/* ---- Lists ---- */

void eid_link_init(eid_link *head)
{
    head->previous = head->next = head;
}

void eid_link_push(eid_link *head, eid_link *link)
{
    link->previous = head->previous;
    link->next = head;
    head->previous->next = link;
    head->previous = link;
}

void eid_link_remove(eid_link *link)
{
    if (link->next == NULL)
        return;
    link->previous->next = link->next;
    link->next->previous = link->previous;
    link->previous = link->next = NULL;
}

/* ---- Small things for the others ---- */

uint64_t eid_iroh_now_ms(const eid_iroh_endpoint *endpoint)
{
    return endpoint->host->functions->now_ms(endpoint->host);
}

eid_iroh_carrier *eid_iroh_carrier_at(eid_iroh_endpoint *endpoint, const ngtcp2_addr *local)
{
    for (eid_iroh_carrier *at = endpoint->carriers; at != NULL; at = at->next)
        if (local->addrlen == eid_sockaddr_len(&at->local) &&
            eid_sockaddr_compare((const eid_sockaddr *)(const void *)local->addr, &at->local) == 0)
            return at;
    return NULL;
}

static eid_slice cid_slice(const ngtcp2_cid *cid)
{
    return eid_slice_of(cid->data, cid->datalen);
}

eid_status eid_iroh_cid_add(eid_iroh_conn *conn, const ngtcp2_cid *cid)
{
    eid_map_entry *entry;
    bool created;
    if (conn->cid_count == EID_LIMIT_IROH_CIDS)
        return eid_fail(EID_ERR_LIMIT, "the connection has too many IDs");
    EID_TRY(eid_map_put(conn->endpoint->cids, cid_slice(cid), &entry, &created));
    if (!created)
        return eid_fail(EID_ERR_CONFLICT, "the connection ID is in use");
    entry->value = conn;
    conn->cids[conn->cid_count++] = *cid;
    return EID_OK;
}

void eid_iroh_cid_remove(eid_iroh_conn *conn, const ngtcp2_cid *cid)
{
    for (size_t i = 0; i < conn->cid_count; i++) {
        if (!ngtcp2_cid_eq(&conn->cids[i], cid))
            continue;
        (void)eid_map_remove(conn->endpoint->cids, cid_slice(cid));
        conn->cids[i] = conn->cids[--conn->cid_count];
        return;
    }
}

/* ---- Each turn of the loop ---- */

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* only so that the loop does not wait */
}

void eid_iroh_wake(eid_iroh_endpoint *endpoint)
{
    if (!endpoint->closing)
        uv_idle_start(&endpoint->idle, on_idle);
}

static eid_link *take_first(eid_link *head)
{
    eid_link *link = head->next;
    if (link == head)
        return NULL;
    eid_link_remove(link);
    return link;
}

/* Results first: they may ask anew, and what they ask goes out with the rest. Connections that have more to
 * write than a burst have their next turn. */
static void settle(uv_check_t *check)
{
    eid_iroh_endpoint *endpoint = check->data;
    eid_link *link, now;
    if (endpoint->relays_changed)
        eid_iroh_relays_tick(endpoint);
    while ((link = take_first(&endpoint->to_tell)) != NULL)
        eid_iroh_stream_tell(EID_LINK_OF(eid_iroh_stream, link, to_tell));
    while ((link = take_first(&endpoint->to_push)) != NULL)
        eid_iroh_peer_push(EID_LINK_OF(eid_iroh_peer, link, to_push));
    eid_link_init(&now);
    while ((link = take_first(&endpoint->dirty)) != NULL)
        eid_link_push(&now, link);
    while ((link = take_first(&now)) != NULL)
        eid_iroh_conn_write(EID_LINK_OF(eid_iroh_conn, link, dirty));
    if (eid_link_is_empty(&endpoint->to_tell) && eid_link_is_empty(&endpoint->to_push) &&
        eid_link_is_empty(&endpoint->dirty))
        uv_idle_stop(&endpoint->idle);
}

static void on_tick(uv_timer_t *tick)
{
    eid_iroh_endpoint *endpoint = tick->data;
    uint64_t now = eid_iroh_now_ms(endpoint);
    eid_iroh_calls_check(endpoint);
    eid_iroh_relays_tick(endpoint);
    for (eid_link *at = endpoint->conns.next, *next; at != &endpoint->conns; at = next) {
        eid_iroh_conn *conn = EID_LINK_OF(eid_iroh_conn, at, of_endpoint);
        next = at->next;
        eid_iroh_streams_check(conn, now);
        if (conn->state == EID_CONN_OPEN && eid_link_is_empty(&conn->streams) &&
            now - conn->used_ms >= EID_LIMIT_IROH_UNUSED_MS)
            eid_iroh_conn_close(conn, 0);
    }
}

/* ---- Packets of nobody ---- */

/* Whatever we answer to strangers counts here. */
static bool may_answer_stranger(eid_iroh_endpoint *endpoint)
{
    uint64_t now = eid_iroh_now_ms(endpoint);
    if (now - endpoint->reset_window_ms >= 1000) {
        endpoint->reset_window_ms = now;
        endpoint->reset_count = 0;
    }
    return endpoint->reset_count++ < EID_LIMIT_IROH_RESETS_PER_S;
}

static void send_one(eid_iroh_carrier *carrier, const eid_sockaddr *to, const uint8_t *packet,
                     ngtcp2_ssize len)
{
    if (len <= 0 || carrier->blocked)
        return;
    eid_iroh_batch batch = {packet, (size_t)len, (size_t)len, 0};
    carrier->functions->send(carrier, to, &batch);
}

/* Tells a peer whose connection we have lost that it is lost; always smaller than what it answers, so that
 * two who have lost everything do not go on for ever. */
static void send_reset(eid_iroh_carrier *carrier, const eid_sockaddr *from, const ngtcp2_version_cid *head,
                       size_t len)
{
    eid_iroh_endpoint *endpoint = carrier->endpoint;
    uint8_t packet[RESET_SIZE], token[NGTCP2_STATELESS_RESET_TOKENLEN], noise[RESET_SIZE];
    ngtcp2_cid cid;
    size_t size = len - 1 < RESET_SIZE ? len - 1 : RESET_SIZE;
    if (size < RESET_MIN || head->dcidlen != EID_IROH_CID || !may_answer_stranger(endpoint))
        return;
    ngtcp2_cid_init(&cid, head->dcid, head->dcidlen);
    if (ngtcp2_crypto_generate_stateless_reset_token(token, endpoint->reset_secret,
                                                     sizeof endpoint->reset_secret, &cid) != 0)
        return;
    eid_random_bytes(noise, sizeof noise);
    endpoint->counts.resets++;
    send_one(
        carrier, from, packet,
        ngtcp2_pkt_write_stateless_reset(packet, size, token, noise, size - NGTCP2_STATELESS_RESET_TOKENLEN));
}

static void send_versions(eid_iroh_carrier *carrier, const eid_sockaddr *from, const ngtcp2_version_cid *head,
                          size_t len)
{
    static const uint32_t versions[] = {NGTCP2_PROTO_VER_V1};
    uint8_t packet[256];
    if (len < NGTCP2_MAX_UDP_PAYLOAD_SIZE || !may_answer_stranger(carrier->endpoint))
        return;
    send_one(carrier, from, packet,
             ngtcp2_pkt_write_version_negotiation(packet, sizeof packet, (uint8_t)eid_random_u64(),
                                                  head->scid, head->scidlen, head->dcid, head->dcidlen,
                                                  versions, 1));
}

static void send_retry(eid_iroh_carrier *carrier, const eid_sockaddr *from, const ngtcp2_pkt_hd *head)
{
    eid_iroh_endpoint *endpoint = carrier->endpoint;
    uint8_t packet[256], token[NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN], bytes[EID_IROH_CID];
    ngtcp2_cid cid;
    eid_random_bytes(bytes, sizeof bytes);
    ngtcp2_cid_init(&cid, bytes, sizeof bytes);
    ngtcp2_ssize len = ngtcp2_crypto_generate_retry_token(
        token, endpoint->retry_secret, sizeof endpoint->retry_secret, head->version, &from->any,
        eid_sockaddr_len(from), &cid, &head->dcid, eid_monotonic_ns());
    if (len < 0)
        return;
    endpoint->counts.retries++;
    send_one(carrier, from, packet,
             ngtcp2_crypto_write_retry(packet, sizeof packet, head->version, &head->scid, &cid, &head->dcid,
                                       token, (size_t)len));
}

static void refuse(eid_iroh_carrier *carrier, const eid_sockaddr *from, const ngtcp2_pkt_hd *head)
{
    uint8_t packet[256];
    if (may_answer_stranger(carrier->endpoint))
        send_one(carrier, from, packet,
                 ngtcp2_crypto_write_connection_close(packet, sizeof packet, head->version, &head->scid,
                                                      &head->dcid, REFUSED, NULL, 0));
}

/* A packet with an ID of nobody may be a peer's stateless reset, whose ID is random: the connections with
 * that address know the token at its end. True when it ended one. */
static bool is_reset(eid_iroh_carrier *carrier, const eid_sockaddr *from, uint8_t ecn, const uint8_t *packet,
                     size_t len)
{
    eid_iroh_endpoint *endpoint = carrier->endpoint;
    for (eid_link *at = endpoint->conns.next, *next; at != &endpoint->conns; at = next) {
        eid_iroh_conn *conn = EID_LINK_OF(eid_iroh_conn, at, of_endpoint);
        next = at->next;
        if (conn->state != EID_CONN_OPEN || eid_sockaddr_compare(&conn->remote_address, from) != 0)
            continue;
        eid_iroh_conn_read(conn, carrier, from, ecn, packet, len);
        if (conn->state == EID_CONN_ENDED)
            return true;
    }
    return false;
}

/* ---- Callers ---- */

/* Whether the caller has shown, by a token of ours, that it receives at its address. */
static bool has_proven_address(const eid_iroh_endpoint *endpoint, const eid_sockaddr *from,
                               const ngtcp2_pkt_hd *head, ngtcp2_cid *original)
{
    return head->token.len != 0 &&
           ngtcp2_crypto_verify_retry_token(original, head->token.base, head->token.len,
                                            endpoint->retry_secret, sizeof endpoint->retry_secret,
                                            head->version, &from->any, eid_sockaddr_len(from), &head->dcid,
                                            EID_LIMIT_IROH_RETRY_S * NGTCP2_SECONDS, eid_monotonic_ns()) == 0;
}

/* The connection of a first packet, or NULL when it gets none. */
static eid_iroh_conn *take_caller(eid_iroh_carrier *carrier, const eid_sockaddr *from, const uint8_t *packet,
                                  size_t len)
{
    eid_iroh_endpoint *endpoint = carrier->endpoint;
    ngtcp2_pkt_hd head;
    ngtcp2_cid original;
    eid_iroh_conn *conn;
    if (ngtcp2_accept(&head, packet, len) != 0)
        return NULL;
    bool full = endpoint->counts.connections + endpoint->counts.half_open >= EID_LIMIT_IROH_CONNECTIONS;
    if (endpoint->handler == NULL || full) {
        refuse(carrier, from, &head);
        return NULL;
    }
    bool proven = has_proven_address(endpoint, from, &head, &original);
    if (!proven && endpoint->counts.half_open >= endpoint->half_open_max) {
        send_retry(carrier, from, &head);
        return NULL;
    }
    return eid_iroh_conn_accept(carrier, from, &head, proven ? &original : NULL, &conn) == EID_OK ? conn
                                                                                                  : NULL;
}

static void receive_packet(eid_iroh_carrier *carrier, const eid_sockaddr *from, uint8_t ecn,
                           const uint8_t *packet, size_t len)
{
    ngtcp2_version_cid head;
    eid_iroh_endpoint *endpoint = carrier->endpoint;
    int error = ngtcp2_pkt_decode_version_cid(&head, packet, len, EID_IROH_CID);
    if (error == NGTCP2_ERR_VERSION_NEGOTIATION) {
        send_versions(carrier, from, &head, len);
        return;
    }
    if (error != 0)
        return;
    eid_iroh_conn *conn = eid_map_get(endpoint->cids, eid_slice_of(head.dcid, head.dcidlen));
    if (conn == NULL && head.version == 0) {
        if (!is_reset(carrier, from, ecn, packet, len))
            send_reset(carrier, from, &head, len);
    } else if (conn == NULL)
        conn = take_caller(carrier, from, packet, len);
    if (conn != NULL)
        eid_iroh_conn_read(conn, carrier, from, ecn, packet, len);
}

void eid_iroh_carrier_receive(eid_iroh_carrier *carrier, const eid_sockaddr *from,
                              const eid_iroh_batch *batch)
{
    for (size_t at = 0; at < batch->len; at += batch->segment) {
        size_t len = batch->len - at < batch->segment ? batch->len - at : batch->segment;
        receive_packet(carrier, from, batch->ecn, batch->data + at, len);
    }
}

void eid_iroh_carrier_ready(eid_iroh_carrier *carrier)
{
    eid_iroh_endpoint *endpoint = carrier->endpoint;
    for (eid_link *at = endpoint->conns.next; at != &endpoint->conns; at = at->next) {
        eid_iroh_conn *conn = EID_LINK_OF(eid_iroh_conn, at, of_endpoint);
        if (conn->carrier == carrier)
            eid_iroh_conn_touch(conn);
    }
}

/* ---- Life ---- */

void eid_iroh_endpoint_add_carrier(eid_iroh_endpoint *endpoint, eid_iroh_carrier *carrier)
{
    carrier->endpoint = endpoint;
    carrier->next = endpoint->carriers;
    endpoint->carriers = carrier;
}

void eid_iroh_endpoint_accept(eid_iroh_endpoint *endpoint, eid_request_handler handler, void *ctx)
{
    endpoint->handler = handler;
    endpoint->handler_ctx = ctx;
}

size_t eid_iroh_endpoint_open_requests(const eid_iroh_endpoint *endpoint)
{
    return endpoint->open_requests;
}

const eid_pubkey *eid_iroh_endpoint_id(const eid_iroh_endpoint *endpoint)
{
    return &endpoint->id;
}

void eid_iroh_endpoint_count(const eid_iroh_endpoint *endpoint, eid_iroh_counts *out)
{
    *out = endpoint->counts;
}

static void free_peer(void *peer)
{
    eid_iroh_peer_free(peer);
}

static void free_endpoint(eid_iroh_endpoint *endpoint)
{
    eid_map_free(endpoint->cids, NULL);
    eid_map_free(endpoint->peers, free_peer);
    eid_iroh_tls_free(endpoint->tls);
    eid_keypair_free(endpoint->key);
    eid_wipe(endpoint->reset_secret, sizeof endpoint->reset_secret);
    eid_free(endpoint);
}

void eid_iroh_let_go(eid_iroh_endpoint *endpoint)
{
    if (--endpoint->handles != 0)
        return;
    void (*closed)(void *ctx) = endpoint->closed;
    void *ctx = endpoint->closed_ctx;
    free_endpoint(endpoint);
    if (closed != NULL)
        closed(ctx);
}

static void let_handle_go(uv_handle_t *handle)
{
    eid_iroh_let_go(handle->data);
}

/* Resets have to be recognised after a restart, so their secret follows from the key. */
static void derive_reset_secret(eid_iroh_endpoint *endpoint, const eid_keypair *key)
{
    char text[EID_PUBKEY_TEXT_SIZE];
    eid_blake3 hasher;
    eid_keypair_format(key, text);
    eid_blake3_init_derive_key(&hasher, RESET_CONTEXT);
    eid_blake3_update(&hasher, text, strlen(text));
    eid_blake3_final(&hasher, endpoint->reset_secret);
    eid_wipe(&hasher, sizeof hasher);
    eid_wipe(text, sizeof text);
}

static void start_handles(eid_iroh_endpoint *endpoint)
{
    uv_check_init(endpoint->loop, &endpoint->check);
    uv_idle_init(endpoint->loop, &endpoint->idle);
    uv_timer_init(endpoint->loop, &endpoint->tick);
    endpoint->check.data = endpoint->idle.data = endpoint->tick.data = endpoint;
    uv_check_start(&endpoint->check, settle);
    uv_timer_start(&endpoint->tick, on_tick, EID_LIMIT_IROH_TICK_MS, EID_LIMIT_IROH_TICK_MS);
    endpoint->handles = 3;
}

eid_status eid_iroh_endpoint_new(eid_host *host, const eid_keypair *key,
                                 const eid_iroh_endpoint_options *options, eid_iroh_endpoint **out)
{
    eid_iroh_endpoint *endpoint = eid_alloc_zero(1, sizeof *endpoint);
    if (endpoint == NULL)
        return eid_fail_memory();
    endpoint->host = host;
    endpoint->loop = eid_loop_uv(host);
    eid_keypair_public(key, &endpoint->id);
    eid_link_init(&endpoint->conns);
    eid_link_init(&endpoint->dirty);
    eid_link_init(&endpoint->to_tell);
    eid_link_init(&endpoint->to_push);
    eid_link_init(&endpoint->calls);
    endpoint->request_max = options->request_max != 0 ? options->request_max : EID_LIMIT_IROH_BODY;
    endpoint->half_open_max = options->half_open != SIZE_MAX ? options->half_open : EID_LIMIT_IROH_HALF_OPEN;
    eid_random_bytes(endpoint->retry_secret, sizeof endpoint->retry_secret);
    derive_reset_secret(endpoint, key);
    eid_status status = eid_map_new(&endpoint->cids);
    if (status == EID_OK)
        status = eid_map_new(&endpoint->peers);
    if (status == EID_OK)
        status = eid_keypair_copy(key, &endpoint->key);
    if (status == EID_OK)
        status = eid_iroh_tls_new(key, options->alpn != NULL ? options->alpn : EID_IROH_ALPN, &endpoint->tls);
    if (status != EID_OK) {
        free_endpoint(endpoint);
        return status;
    }
    start_handles(endpoint);
    *out = endpoint;
    return EID_OK;
}

static void close_conns(eid_iroh_endpoint *endpoint)
{
    while (!eid_link_is_empty(&endpoint->conns)) {
        eid_iroh_conn *conn = EID_LINK_OF(eid_iroh_conn, endpoint->conns.next, of_endpoint);
        eid_iroh_conn_close(conn, 0);
        eid_iroh_conn_free(conn);
    }
}

void eid_iroh_endpoint_close(eid_iroh_endpoint *endpoint, void (*closed)(void *ctx), void *ctx)
{
    eid_link *link;
    endpoint->closing = true;
    endpoint->closed = closed;
    endpoint->closed_ctx = ctx;
    while (!eid_link_is_empty(&endpoint->calls)) {
        eid_iroh_stream *stream = EID_LINK_OF(eid_iroh_stream, endpoint->calls.next, of_calls);
        eid_iroh_stream_abort(stream, eid_fail(EID_ERR_CANCELLED, "The transport was closed"));
        eid_iroh_stream_tell(stream);
    }
    close_conns(endpoint);
    while ((link = take_first(&endpoint->to_tell)) != NULL)
        eid_iroh_stream_free(EID_LINK_OF(eid_iroh_stream, link, to_tell));
    while (endpoint->carriers != NULL) {
        eid_iroh_carrier *carrier = endpoint->carriers;
        endpoint->carriers = carrier->next;
        carrier->functions->close(carrier);
    }
    uv_check_stop(&endpoint->check);
    uv_close((uv_handle_t *)&endpoint->check, let_handle_go);
    uv_close((uv_handle_t *)&endpoint->idle, let_handle_go);
    uv_close((uv_handle_t *)&endpoint->tick, let_handle_go);
}
