/* SPDX-License-Identifier: Apache-2.0 */
/* The forms of calls: each makes an order, by address, ticket or peer, and either waits for its end or not. */
#include "base/alloc.h"
#include "base/sized.h"
#include "sync/engine_int.h"

/* ---- Waiting or not ---- */

typedef struct manner {
    bool waits;
    eid_sync_result *result; /* of a waiting form; may be NULL */
    eid_sync_done done;      /* of the others, with what follows */
    void *ctx;
    eid_sync_call **call;
} manner;

#define WAIT(result)           (&(const manner){true, (result), NULL, NULL, NULL})
#define LATER(done, ctx, call) (&(const manner){false, NULL, (done), (ctx), (call)})

void eid_call_hand_out(eid_sync_call *made, eid_sync_call **call)
{
    if (call != NULL)
        *call = made;
    else
        eid_sync_call_free(made);
}

eid_status eid_sync_order_async(eid_sync *sync, const eid_sync_order *order, eid_sync_done done, void *ctx,
                                eid_sync_call **call)
{
    EID_NEED(sync && order);
    eid_sync_call *made;
    EID_TRY(eid_call_start(sync, order, 0, &(eid_call_hooks){.done = done, .ctx = ctx}, &made));
    eid_call_hand_out(made, call);
    return EID_OK;
}

static eid_status check_result(const eid_sync_result *result)
{
    return result == NULL ? EID_OK : eid_sized_check(result, sizeof *result, "eid_sync_result");
}

/* *ended gets the call, when it succeeded. */
static eid_status run(eid_sync *sync, const eid_sync_order *order, unsigned flags, eid_sync_result *result,
                      eid_sync_call **ended)
{
    eid_sync_call *call;
    EID_TRY(check_result(result));
    EID_TRY(eid_call_may_wait(sync->engine, order->progress != NULL));
    EID_TRY(eid_call_start(sync, order, flags, &(eid_call_hooks){.done = NULL}, &call));
    eid_status status = eid_sync_call_wait(call, EID_NEVER, result);
    eid_call_hand_out(call, status == EID_OK ? ended : NULL);
    return status;
}

eid_status eid_sync_order_wait(eid_sync *sync, const eid_sync_order *order, eid_sync_result *result)
{
    EID_NEED(sync && order);
    return run(sync, order, 0, result, NULL);
}

static eid_status go(eid_sync *sync, const eid_sync_order *order, const manner *m)
{
    return m->waits ? run(sync, order, 0, m->result, NULL)
                    : eid_sync_order_async(sync, order, m->done, m->ctx, m->call);
}

/* ---- Orders ---- */

static eid_sync_order order_for(const eid_id *database)
{
    eid_sync_order order = EID_SYNC_ORDER_INIT;
    order.database = database;
    return order;
}

static eid_sync_order order_access(const eid_id *database, const eid_keypair *key, const char *key_name,
                                   eid_permission permission, const eid_doc *metadata)
{
    eid_sync_order order = order_for(database);
    order.key = key;
    order.ask_access = true;
    order.key_name = key_name;
    order.permission = permission;
    order.metadata = metadata;
    return order;
}

static eid_status go_to(eid_sync *sync, const eid_address *address, eid_sync_order order, const manner *m)
{
    order.addresses = &address;
    order.address_count = 1;
    return go(sync, &order, m);
}

static eid_status go_to_text(eid_sync *sync, const char *text, const eid_sync_order *order, const manner *m)
{
    eid_address *address;
    EID_TRY(eid_address_detect(text, &address));
    eid_status status = go_to(sync, address, *order, m);
    eid_address_free(address);
    return status;
}

/* ---- By address ---- */

static eid_status with_address(eid_sync *sync, const eid_address *address, const eid_id *database, const eid_keypair *key,
                               const manner *m)
{
    eid_sync_order order = order_for(database);
    order.key = key;
    return go_to(sync, address, order, m);
}

eid_status eid_sync_with_address(eid_sync *sync, const eid_address *address, const eid_id *database,
                                 const eid_keypair *key_or_null, eid_sync_result *result)
{
    EID_NEED(sync && address);
    return with_address(sync, address, database, key_or_null, WAIT(result));
}

eid_status eid_sync_with_address_async(eid_sync *sync, const eid_address *address, const eid_id *database,
                                       const eid_keypair *key_or_null, eid_sync_done done, void *ctx, eid_sync_call **call)
{
    EID_NEED(sync && address);
    return with_address(sync, address, database, key_or_null, LATER(done, ctx, call));
}

eid_status eid_sync_with_peer(eid_sync *sync, const char *address, const eid_id *database, eid_sync_result *result)
{
    EID_NEED(sync && address);
    eid_sync_order order = order_for(database);
    return go_to_text(sync, address, &order, WAIT(result));
}

eid_status eid_sync_with_peer_async(eid_sync *sync, const char *address, const eid_id *database, eid_sync_done done,
                                    void *ctx, eid_sync_call **call)
{
    EID_NEED(sync && address);
    eid_sync_order order = order_for(database);
    return go_to_text(sync, address, &order, LATER(done, ctx, call));
}

static eid_status connect_to(eid_sync *sync, const char *address, const manner *m)
{
    eid_sync_order order = order_for(NULL);
    order.handshake_only = true;
    return go_to_text(sync, address, &order, m);
}

eid_status eid_sync_connect_to_peer(eid_sync *sync, const char *address, eid_pubkey *peer)
{
    EID_NEED(sync && address && peer);
    eid_sync_result result = EID_SYNC_RESULT_INIT;
    EID_TRY(connect_to(sync, address, WAIT(&result)));
    *peer = result.peer;
    return EID_OK;
}

eid_status eid_sync_connect_to_peer_async(eid_sync *sync, const char *address, eid_sync_done done, void *ctx,
                                          eid_sync_call **call)
{
    EID_NEED(sync && address);
    return connect_to(sync, address, LATER(done, ctx, call));
}

/* ---- Asking for access ---- */

eid_status eid_sync_with_peer_for_bootstrap_with_key(eid_sync *sync, const char *address, const eid_id *database,
                                                     const eid_keypair *key, const char *key_name,
                                                     eid_permission permission, eid_sync_result *result)
{
    EID_NEED(sync && address && database && key);
    eid_sync_order order = order_access(database, key, key_name, permission, NULL);
    return go_to_text(sync, address, &order, WAIT(result));
}

eid_status eid_sync_with_peer_for_bootstrap_with_key_async(eid_sync *sync, const char *address, const eid_id *database,
                                                           const eid_keypair *key, const char *key_name,
                                                           eid_permission permission, eid_sync_done done, void *ctx,
                                                           eid_sync_call **call)
{
    EID_NEED(sync && address && database && key);
    eid_sync_order order = order_access(database, key, key_name, permission, NULL);
    return go_to_text(sync, address, &order, LATER(done, ctx, call));
}

static eid_status bootstrap_by_name(eid_sync *sync, const char *address, const eid_id *database, const char *key_name,
                                    eid_permission permission, const manner *m)
{
    eid_keypair *key;
    EID_TRY(eid_instance_copy_private_key(sync->instance, key_name, &key));
    eid_sync_order order = order_access(database, key, key_name, permission, NULL);
    eid_status status = go_to_text(sync, address, &order, m);
    eid_keypair_free(key);
    return status;
}

eid_status eid_sync_with_peer_for_bootstrap(eid_sync *sync, const char *address, const eid_id *database,
                                            const char *key_name, eid_permission permission, eid_sync_result *result)
{
    EID_NEED(sync && address && database && key_name);
    return bootstrap_by_name(sync, address, database, key_name, permission, WAIT(result));
}

eid_status eid_sync_with_peer_for_bootstrap_async(eid_sync *sync, const char *address, const eid_id *database,
                                                  const char *key_name, eid_permission permission, eid_sync_done done,
                                                  void *ctx, eid_sync_call **call)
{
    EID_NEED(sync && address && database && key_name);
    return bootstrap_by_name(sync, address, database, key_name, permission, LATER(done, ctx, call));
}

/* ---- By ticket ---- */

void eid_order_by_ticket(eid_sync_order *order, const eid_ticket *ticket, const eid_address **room)
{
    *order = order_for(eid_ticket_database_id(ticket));
    order->address_count = eid_ticket_address_count(ticket);
    for (size_t i = 0; i < order->address_count && i < EID_LIMIT_TICKET_ADDRESSES; i++)
        room[i] = eid_ticket_address(ticket, i);
    order->addresses = room;
}

static eid_status with_ticket(eid_sync *sync, const eid_ticket *ticket, const manner *m)
{
    const eid_address *room[EID_LIMIT_TICKET_ADDRESSES];
    eid_sync_order order;
    eid_order_by_ticket(&order, ticket, room);
    return go(sync, &order, m);
}

eid_status eid_sync_with_ticket(eid_sync *sync, const eid_ticket *ticket, eid_sync_result *result)
{
    EID_NEED(sync && ticket);
    return with_ticket(sync, ticket, WAIT(result));
}

eid_status eid_sync_with_ticket_async(eid_sync *sync, const eid_ticket *ticket, eid_sync_done done, void *ctx,
                                      eid_sync_call **call)
{
    EID_NEED(sync && ticket);
    return with_ticket(sync, ticket, LATER(done, ctx, call));
}

static eid_status bootstrap_by_ticket(eid_sync *sync, const eid_ticket *ticket, eid_sync_order order, const manner *m)
{
    const eid_address *room[EID_LIMIT_TICKET_ADDRESSES];
    eid_sync_order addressed;
    eid_order_by_ticket(&addressed, ticket, room);
    order.database = addressed.database;
    order.addresses = addressed.addresses;
    order.address_count = addressed.address_count;
    return go(sync, &order, m);
}

eid_status eid_sync_bootstrap_with_ticket(eid_sync *sync, const eid_ticket *ticket, const eid_keypair *key,
                                          const char *key_name, eid_permission permission,
                                          const eid_doc *metadata_or_null, eid_sync_result *result)
{
    EID_NEED(sync && ticket && key);
    return bootstrap_by_ticket(sync, ticket, order_access(NULL, key, key_name, permission, metadata_or_null), WAIT(result));
}

eid_status eid_sync_bootstrap_with_ticket_async(eid_sync *sync, const eid_ticket *ticket, const eid_keypair *key,
                                                const char *key_name, eid_permission permission,
                                                const eid_doc *metadata_or_null, eid_sync_done done, void *ctx,
                                                eid_sync_call **call)
{
    EID_NEED(sync && ticket && key);
    return bootstrap_by_ticket(sync, ticket, order_access(NULL, key, key_name, permission, metadata_or_null),
                               LATER(done, ctx, call));
}

/* ---- With a registered peer ---- */

static eid_status with_registered(eid_sync *sync, const eid_pubkey *peer, const eid_id *database, const eid_keypair *key,
                                  const manner *m)
{
    eid_sync_order order = order_for(database);
    order.peer = peer;
    order.key = key;
    return go(sync, &order, m);
}

eid_status eid_sync_tree_with_peer(eid_sync *sync, const eid_pubkey *peer, const eid_id *database,
                                   eid_sync_result *result)
{
    EID_NEED(sync && peer && database);
    return with_registered(sync, peer, database, NULL, WAIT(result));
}

eid_status eid_sync_tree_with_peer_async(eid_sync *sync, const eid_pubkey *peer, const eid_id *database,
                                         eid_sync_done done, void *ctx, eid_sync_call **call)
{
    EID_NEED(sync && peer && database);
    return with_registered(sync, peer, database, NULL, LATER(done, ctx, call));
}

eid_status eid_sync_tree_with_peer_as(eid_sync *sync, const eid_pubkey *peer, const eid_id *database,
                                      const eid_keypair *key, eid_sync_result *result)
{
    EID_NEED(sync && peer && database && key);
    return with_registered(sync, peer, database, key, WAIT(result));
}

eid_status eid_sync_tree_with_peer_as_async(eid_sync *sync, const eid_pubkey *peer, const eid_id *database,
                                            const eid_keypair *key, eid_sync_done done, void *ctx, eid_sync_call **call)
{
    EID_NEED(sync && peer && database && key);
    return with_registered(sync, peer, database, key, LATER(done, ctx, call));
}

/* ---- What a peer offers ---- */

typedef struct discovering {
    eid_offered_trees_done done;
    void *ctx;
} discovering;

static void tell_trees(eid_sync_call *call)
{
    discovering *d = call->hooks.after_ctx;
    if (d->done != NULL)
        d->done(call->status, call->sentence != NULL ? call->sentence : "", call->trees, call->tree_count, d->ctx);
    eid_free(d);
}

static eid_status detect_for_trees(const char *text, eid_sync_order *order, eid_address **address)
{
    *order = order_for(NULL);
    order->handshake_only = true;
    order->address_count = 1;
    return eid_address_detect(text, address);
}

eid_status eid_sync_discover_peer_trees(eid_sync *sync, const char *address, eid_offered_tree **out, size_t *count)
{
    EID_NEED(sync && address && out && count);
    eid_sync_order order;
    eid_sync_call *call;
    eid_address *at;
    EID_TRY(detect_for_trees(address, &order, &at));
    const eid_address *list[1] = {at};
    order.addresses = list;
    eid_status status = run(sync, &order, EID_ORDER_TREES, NULL, &call);
    eid_address_free(at);
    EID_TRY(status);
    *out = call->trees;
    *count = call->tree_count;
    call->trees = NULL;
    call->tree_count = 0;
    eid_sync_call_free(call);
    return EID_OK;
}

eid_status eid_sync_discover_peer_trees_async(eid_sync *sync, const char *address, eid_offered_trees_done done, void *ctx,
                                              eid_sync_call **call)
{
    EID_NEED(sync && address);
    eid_sync_order order;
    eid_sync_call *made;
    eid_address *at;
    EID_TRY(detect_for_trees(address, &order, &at));
    const eid_address *list[1] = {at};
    order.addresses = list;
    discovering *d = eid_alloc(sizeof *d);
    eid_status status = d == NULL ? eid_fail_memory() : EID_OK;
    if (status == EID_OK) {
        *d = (discovering){done, ctx};
        status = eid_call_start(sync, &order, EID_ORDER_TREES,
                                &(eid_call_hooks){.after = tell_trees, .after_ctx = d}, &made);
    }
    eid_address_free(at);
    if (status != EID_OK) {
        eid_free(d);
        return status;
    }
    eid_call_hand_out(made, call);
    return EID_OK;
}

void eid_offered_trees_free(eid_offered_tree *trees, size_t count)
{
    for (size_t i = 0; i < count; i++)
        eid_free(trees[i].name);
    eid_free(trees);
}
