/* SPDX-License-Identifier: Apache-2.0 */
/* The relays of an endpoint: those where callers find it, and those that lead to peers (iroh-wire.md section
 * 8). A peer is called by a relay when no direct way is known, or none has opened within a head start. */
#include "base/alloc.h"
#include "transport/iroh/quic_int.h"
#include "transport/iroh/relay_client.h"

typedef struct eid_iroh_relay_use {
    eid_iroh_endpoint *endpoint;
    eid_iroh_relay *relay;
    bool home;
    bool outside_only;
} relay_use;

/* ---- Which there are ---- */

static relay_use *find(const eid_iroh_endpoint *endpoint, const char *url, bool outside_only)
{
    for (size_t i = 0; i < endpoint->relay_count; i++) {
        relay_use *use = endpoint->relays[i];
        if (strcmp(eid_iroh_relay_get_url(use->relay), url) == 0 && (!use->outside_only || outside_only))
            return use;
    }
    return NULL;
}

static void on_changed(void *ctx)
{
    relay_use *use = ctx;
    if (use->endpoint->closing)
        return;
    use->endpoint->relays_changed = true;
    eid_iroh_wake(use->endpoint);
}

static void on_gone(void *ctx)
{
    relay_use *use = ctx;
    eid_iroh_endpoint *endpoint = use->endpoint;
    eid_free(use);
    eid_iroh_let_go(endpoint);
}

/* One that never led anywhere makes room: tickets of strangers may name many. */
static bool make_room(eid_iroh_endpoint *endpoint)
{
    for (size_t i = 0; i < endpoint->relay_count; i++) {
        relay_use *use = endpoint->relays[i];
        eid_iroh_carrier *carrier = eid_iroh_relay_carrier(use->relay);
        if (use->home || eid_iroh_relay_was_up(use->relay))
            continue;
        eid_iroh_carrier **place = &endpoint->carriers;
        while (*place != carrier)
            place = &(*place)->next;
        *place = carrier->next;
        endpoint->relays[i] = endpoint->relays[--endpoint->relay_count];
        carrier->functions->close(carrier);
        return true;
    }
    return false;
}

static eid_status add(eid_iroh_endpoint *endpoint, const char *url, bool outside_only, relay_use **out)
{
    if (endpoint->relay_count == EID_LIMIT_IROH_RELAYS && !make_room(endpoint))
        return eid_fail(EID_ERR_LIMIT, "The endpoint uses %d relays already, which is all it can",
                        EID_LIMIT_IROH_RELAYS);
    relay_use *use = eid_alloc_zero(1, sizeof *use);
    if (use == NULL)
        return eid_fail_memory();
    use->endpoint = endpoint;
    use->outside_only = outside_only;
    eid_iroh_relay_options options = {url, NULL, outside_only, on_changed, on_gone, use};
    eid_status status = eid_iroh_relay_new(endpoint->host, endpoint->key, &options, &use->relay);
    if (status != EID_OK) {
        eid_free(use);
        return status;
    }
    endpoint->handles++;
    eid_iroh_endpoint_add_carrier(endpoint, eid_iroh_relay_carrier(use->relay));
    endpoint->relays[endpoint->relay_count++] = use;
    *out = use;
    return EID_OK;
}

eid_status eid_iroh_endpoint_add_home(eid_iroh_endpoint *endpoint, const char *url)
{
    relay_use *use = find(endpoint, url, false);
    if (use == NULL)
        EID_TRY(add(endpoint, url, false, &use));
    use->home = true;
    return EID_OK;
}

/* ---- Calling peers by them ---- */

void eid_iroh_relays_want(eid_iroh_peer *peer, bool wanted, uint64_t after_ms)
{
    eid_iroh_endpoint *endpoint = peer->endpoint;
    endpoint->by_relay += (size_t)wanted;
    endpoint->by_relay -= (size_t)peer->by_relay;
    peer->by_relay = wanted;
    peer->relay_at_ms = wanted ? eid_iroh_now_ms(endpoint) + after_ms : 0;
}

/* Dials by a relay that is up. *hope: one is still connecting. */
static eid_status call(eid_iroh_peer *peer, const char *url, bool *hope)
{
    eid_sockaddr remote;
    relay_use *use = find(peer->endpoint, url, peer->outside_only);
    if (use == NULL)
        EID_TRY(add(peer->endpoint, url, peer->outside_only, &use));
    eid_iroh_relay_state state = eid_iroh_relay_get_state(use->relay);
    *hope = *hope || state == EID_IROH_RELAY_CONNECTING;
    if (state != EID_IROH_RELAY_UP && state != EID_IROH_RELAY_REPLACED)
        return eid_fail(EID_ERR_CONNECTION_FAILED, "The relay %s of the Iroh endpoint can not be reached",
                        url);
    EID_TRY(eid_iroh_relay_address(use->relay, &peer->addr.id, &remote));
    return eid_iroh_conn_dial(peer, eid_iroh_relay_carrier(use->relay), &remote);
}

/* By the first of the peer's relays that is up; one attempt is enough, they all lead to the same peer. */
static void call_by_relay(eid_iroh_peer *peer)
{
    bool hope = false;
    eid_status status = EID_OK;
    for (size_t i = 0; i < peer->addr.relay_count; i++) {
        status = call(peer, peer->addr.relays[i], &hope);
        if (status == EID_OK)
            break;
    }
    if (status != EID_OK && hope)
        return;
    eid_iroh_relays_want(peer, false, 0);
    if (status != EID_OK && peer->attempts == 0 && !eid_iroh_peer_is_reached(peer))
        eid_iroh_peer_give_up(peer, status);
    eid_iroh_peer_touch(peer);
}

void eid_iroh_relays_tick(eid_iroh_endpoint *endpoint)
{
    uint64_t now = eid_iroh_now_ms(endpoint);
    endpoint->relays_changed = false;
    if (endpoint->by_relay == 0)
        return;
    for (eid_map_entry *e = eid_map_first(endpoint->peers); e != NULL; e = eid_map_next(endpoint->peers, e)) {
        eid_iroh_peer *peer = e->value;
        if (!peer->by_relay || now < peer->relay_at_ms)
            continue;
        if (eid_iroh_peer_is_reached(peer))
            eid_iroh_relays_want(peer, false, 0);
        else
            call_by_relay(peer);
    }
}
