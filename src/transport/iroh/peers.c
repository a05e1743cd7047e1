/* SPDX-License-Identifier: Apache-2.0 */
/* Which connection a request goes over: the one that stands, else all direct addresses are raced and the
 * first that completes the handshake stays (iroh-wire.md section 8). Each attempt is a connection of its own.
 */
#include <limits.h>

#include "base/alloc.h"
#include "transport/iroh/quic_int.h"
#include "transport/iroh/udp.h"

#define CODE_TOO_MANY 1 /* of our closing of a connection that is one too many */

eid_status eid_iroh_peer_get(eid_iroh_endpoint *endpoint, const eid_pubkey *id, eid_iroh_peer **out)
{
    eid_map_entry *entry;
    bool created;
    eid_slice key = eid_slice_of(id->bytes, sizeof id->bytes);
    eid_iroh_peer *peer = eid_map_get(endpoint->peers, key);
    if (peer == NULL && eid_map_len(endpoint->peers) >= EID_LIMIT_IROH_PEERS)
        return eid_fail(EID_ERR_LIMIT, "The endpoint knows %d others, which is all it can",
                        EID_LIMIT_IROH_PEERS);
    if (peer == NULL) {
        peer = eid_alloc_zero(1, sizeof *peer);
        if (peer == NULL)
            return eid_fail_memory();
        peer->endpoint = endpoint;
        peer->addr.id = *id;
        eid_link_init(&peer->conns);
        eid_link_init(&peer->waiting);
        eid_status status = eid_map_put(endpoint->peers, key, &entry, &created);
        if (status != EID_OK) {
            eid_free(peer);
            return status;
        }
        entry->value = peer;
    }
    *out = peer;
    return EID_OK;
}

void eid_iroh_peer_free(eid_iroh_peer *peer)
{
    eid_link_remove(&peer->to_push);
    eid_iroh_relays_want(peer, false, 0);
    eid_iroh_addr_clear(&peer->addr);
    eid_free(peer);
}

void eid_iroh_peer_touch(eid_iroh_peer *peer)
{
    if (peer->to_push.next == NULL) {
        eid_link_push(&peer->endpoint->to_push, &peer->to_push);
        eid_iroh_wake(peer->endpoint);
    }
}

/* ---- Making connections ---- */

/* One bound to all addresses of that family; it is made when there is none. */
static eid_status carrier_for(eid_iroh_endpoint *endpoint, const eid_sockaddr *remote, eid_iroh_carrier **out)
{
    eid_sockaddr any;
    memset(&any, 0, sizeof any);
    any.any.sa_family = remote->any.sa_family;
    for (eid_iroh_carrier *at = endpoint->carriers; at != NULL; at = at->next) {
        eid_sockaddr local = at->local;
        if (local.any.sa_family == AF_INET6)
            local.v6.sin6_port = 0;
        else
            local.v4.sin_port = 0;
        if (eid_sockaddr_compare(&local, &any) == 0) {
            *out = at;
            return EID_OK;
        }
    }
    eid_iroh_carrier *made;
    EID_TRY(eid_iroh_udp_open(endpoint->loop, &any, &made));
    eid_iroh_endpoint_add_carrier(endpoint, made);
    *out = made;
    return EID_OK;
}

static eid_status dial_one(eid_iroh_peer *peer, const eid_sockaddr *remote)
{
    eid_iroh_carrier *carrier;
    EID_TRY(carrier_for(peer->endpoint, remote, &carrier));
    return eid_iroh_conn_dial(peer, carrier, remote);
}

static eid_status dial(eid_iroh_peer *peer)
{
    eid_status status = EID_OK;
    size_t count =
        peer->addr.direct_count < EID_LIMIT_IROH_RACE ? peer->addr.direct_count : EID_LIMIT_IROH_RACE;
    if (count == 0 && peer->addr.relay_count == 0)
        return eid_fail(EID_ERR_CONNECTION_FAILED,
                        "No way to the Iroh endpoint is known; ask its owner for a new ticket");
    for (size_t i = 0; i < count; i++) {
        eid_status one = dial_one(peer, &peer->addr.direct[i]);
        if (one != EID_OK)
            status = one;
    }
    if (peer->addr.relay_count != 0)
        eid_iroh_relays_want(peer, true, peer->attempts != 0 ? EID_LIMIT_IROH_HEAD_START_MS : 0);
    return peer->attempts != 0 || peer->by_relay ? EID_OK : status;
}

/* ---- Requests onto connections ---- */

/* The smaller the better. Ours first; one of the peer's own only when there is no way to it: the Rust
 * implementation takes no requests on those. */
static int rank_of(const eid_iroh_peer *peer, const eid_iroh_conn *conn)
{
    bool others = peer->addr.direct_count + peer->addr.relay_count != 0;
    if (conn->state != EID_CONN_OPEN || (conn->tls.server && others))
        return INT_MAX;
    return conn->tls.server * 2 + conn->carrier->relayed;
}

static eid_iroh_conn *best_conn(const eid_iroh_peer *peer)
{
    eid_iroh_conn *best = NULL;
    int least = INT_MAX;
    for (eid_link *at = peer->conns.next; at != &peer->conns; at = at->next) {
        eid_iroh_conn *conn = EID_LINK_OF(eid_iroh_conn, at, of_peer);
        int rank = rank_of(peer, conn);
        if (rank < least || (rank == least && rank != INT_MAX && !conn->tls.server)) {
            best = conn;
            least = rank;
        }
    }
    return best;
}

bool eid_iroh_peer_is_reached(const eid_iroh_peer *peer)
{
    return best_conn(peer) != NULL;
}

/* False when the peer gives no credit for streams. */
static bool open_stream(eid_iroh_conn *conn, eid_iroh_stream *stream)
{
    if (ngtcp2_conn_open_bidi_stream(conn->quic, &stream->id, stream) != 0)
        return false;
    eid_link_remove(&stream->of_owner);
    eid_link_push(&conn->streams, &stream->of_owner);
    eid_link_push(&conn->to_write, &stream->to_write);
    stream->conn = conn;
    stream->heard_ms = conn->used_ms = eid_iroh_now_ms(conn->endpoint);
    eid_iroh_conn_touch(conn);
    return true;
}

void eid_iroh_peer_give_up(eid_iroh_peer *peer, eid_status status)
{
    for (eid_link *at = peer->waiting.next; at != &peer->waiting; at = at->next)
        eid_iroh_stream_end(EID_LINK_OF(eid_iroh_stream, at, of_owner), status);
}

/* Nothing to remember. */
static bool is_idle(const eid_iroh_peer *peer)
{
    return eid_link_is_empty(&peer->conns) && eid_link_is_empty(&peer->waiting);
}

void eid_iroh_peer_push(eid_iroh_peer *peer)
{
    if (is_idle(peer)) {
        (void)eid_map_remove(peer->endpoint->peers,
                             eid_slice_of(peer->addr.id.bytes, sizeof peer->addr.id.bytes));
        eid_iroh_peer_free(peer);
        return;
    }
    eid_iroh_conn *conn = best_conn(peer);
    while (conn != NULL && !eid_link_is_empty(&peer->waiting)) {
        eid_iroh_stream *stream = EID_LINK_OF(eid_iroh_stream, peer->waiting.next, of_owner);
        if (stream->ended)
            eid_link_remove(&stream->of_owner);
        else if (!open_stream(conn, stream))
            return;
    }
    if (conn != NULL || peer->attempts != 0 || peer->by_relay || eid_link_is_empty(&peer->waiting))
        return;
    eid_status status = dial(peer);
    if (status != EID_OK)
        eid_iroh_peer_give_up(peer, status);
}

void eid_iroh_peer_ready(eid_iroh_conn *conn)
{
    eid_iroh_peer *peer = conn->peer;
    if (conn->tls.server) {
        size_t count = 0;
        if (eid_iroh_peer_get(conn->endpoint, &conn->tls.remote, &peer) != EID_OK) {
            eid_iroh_conn_close(conn, CODE_TOO_MANY);
            return;
        }
        for (eid_link *at = peer->conns.next; at != &peer->conns; at = at->next)
            count += EID_LINK_OF(eid_iroh_conn, at, of_peer)->tls.server;
        if (count >= EID_LIMIT_IROH_CONNECTIONS_PER_PEER) {
            eid_iroh_conn_close(conn, CODE_TOO_MANY);
            return;
        }
        conn->peer = peer;
        eid_link_push(&peer->conns, &conn->of_peer);
        eid_iroh_peer_touch(peer);
        return;
    }
    peer->attempts--;
    eid_iroh_relays_want(peer, false, 0);
    if (conn->carrier
            ->relayed) { /* the direct attempts go on: a direct way is taken when it opens later, too */
        eid_iroh_peer_touch(peer);
        return;
    }
    for (eid_link *at = peer->conns.next, *next; at != &peer->conns; at = next) {
        eid_iroh_conn *other = EID_LINK_OF(eid_iroh_conn, at, of_peer);
        next = at->next;
        if (other != conn && !other->tls.server && other->state == EID_CONN_HANDSHAKE)
            eid_iroh_conn_close(other, 0);
    }
    eid_iroh_peer_touch(peer);
}

void eid_iroh_peer_lost(eid_iroh_conn *conn, bool attempt, eid_status status)
{
    eid_iroh_peer *peer = conn->peer;
    peer->attempts -= attempt;
    if (attempt && peer->by_relay)
        eid_iroh_relays_want(peer, true, 0);
    else if (attempt && peer->attempts == 0 && best_conn(peer) == NULL)
        eid_iroh_peer_give_up(peer, status);
    eid_iroh_peer_touch(peer);
}

/* ---- Asking ---- */

/* The ways given last replace older ones, unless none are given. */
static eid_status remember_ways(eid_iroh_peer *peer, const eid_iroh_addr *to)
{
    eid_iroh_addr copy = {.id = to->id};
    if (to->direct_count == 0 && to->relay_count == 0)
        return EID_OK;
    for (size_t i = 0; i < to->relay_count; i++) {
        eid_status status = eid_iroh_addr_add_relay(&copy, eid_slice_text(to->relays[i]));
        if (status != EID_OK) {
            eid_iroh_addr_clear(&copy);
            return status;
        }
    }
    memcpy(copy.direct, to->direct, to->direct_count * sizeof to->direct[0]);
    copy.direct_count = to->direct_count;
    eid_iroh_addr_clear(&peer->addr);
    peer->addr = copy;
    return EID_OK;
}

static eid_status enqueue(eid_iroh_endpoint *endpoint, const eid_iroh_addr *to, eid_exchange *exchange)
{
    eid_iroh_peer *peer;
    eid_iroh_stream *stream;
    if (endpoint->closing)
        return eid_fail(EID_ERR_CANCELLED, "The transport was closed");
    if (eid_pubkey_equal(&to->id, &endpoint->id))
        return eid_fail(EID_ERR_INVALID_ADDRESS, "Invalid address: this is our own Iroh endpoint");
    EID_TRY(eid_iroh_peer_get(endpoint, &to->id, &peer));
    EID_TRY(remember_ways(peer, to));
    peer->outside_only = exchange->outside_only;
    EID_TRY(eid_iroh_stream_new(endpoint, 0, &stream));
    /* QUIC may send it again after the answer came, when the caller's bytes are gone. */
    stream->out = eid_memdup(exchange->body.data, exchange->body.len);
    if (stream->out == NULL) {
        eid_iroh_stream_free(stream);
        return eid_fail_memory();
    }
    stream->out_len = exchange->body.len;
    stream->exchange = exchange;
    exchange->state = stream;
    eid_link_push(&endpoint->calls, &stream->of_calls);
    eid_link_push(&peer->waiting, &stream->of_owner);
    eid_iroh_peer_touch(peer);
    return EID_OK;
}

void eid_iroh_endpoint_send(eid_iroh_endpoint *endpoint, const eid_iroh_addr *to, eid_exchange *exchange)
{
    eid_status status = enqueue(endpoint, to, exchange);
    if (status != EID_OK)
        exchange->done(exchange, status);
}
