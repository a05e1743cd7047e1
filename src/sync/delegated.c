/* SPDX-License-Identifier: Apache-2.0 */
/* Who joins a database by being a member of another one needs that one too: only it tells what the newcomer may do. It is
 * asked of the same peer, which can refuse it or not have it. */
#include "sync/engine_int.h"

typedef struct collecting {
    eid_sync *sync;
    eid_id_array *found; /* not held here */
    eid_status status;
} collecting;

static bool collect(const eid_delegation_info *delegation, void *ctx)
{
    collecting *c = ctx;
    for (size_t i = 0; i < c->found->count; i++)
        if (eid_id_equal(&c->found->items[i], &delegation->root))
            return true;
    if (c->found->count >= EID_LIMIT_DELEGATION_SEARCH)
        return false;
    if (!eid_core_holds(c->sync->core, &delegation->root))
        c->status = eid_id_array_add(c->found, &delegation->root, 1);
    return c->status == EID_OK;
}

/* Adds the databases this one delegates to. */
static eid_status add_delegated(eid_sync *sync, const eid_id *database, eid_id_array *found)
{
    collecting c = {sync, found, EID_OK};
    eid_database *handle;
    eid_txn *txn;
    EID_TRY(eid_database_open(sync->instance, database, &handle));
    eid_status status = eid_database_new_transaction(handle, &txn);
    if (status == EID_OK) {
        status = eid_settings_each_delegation(txn, NULL, collect, &c);
        eid_txn_free(txn);
    }
    eid_database_close(handle);
    return status == EID_OK ? c.status : status;
}

/* What the key has is enough, or it gets nothing: no request is filed. */
static eid_status fetch(eid_sync *sync, const eid_ticket *ticket, const eid_keypair *key, const eid_id *database)
{
    const eid_address *room[EID_LIMIT_TICKET_ADDRESSES];
    eid_sync_order order;
    eid_sync_call *call;
    eid_order_by_ticket(&order, ticket, room);
    order.database = database;
    order.key = key;
    order.ask_access = true;
    EID_TRY(eid_call_start(sync, &order, EID_ORDER_POLL, &(eid_call_hooks){.done = NULL}, &call));
    eid_status status = eid_sync_call_wait(call, EID_NEVER, NULL);
    eid_sync_call_free(call);
    return status;
}

eid_status eid_sync_fetch_delegated(eid_sync *sync, const eid_ticket *ticket, const eid_keypair *key, eid_id_array *out)
{
    eid_id_array found = {NULL, 0, 0};
    eid_status status = add_delegated(sync, eid_ticket_database_id(ticket), &found);
    for (size_t i = 0; i < found.count && status == EID_OK; i++) {
        const eid_id id = found.items[i]; /* the list grows */
        status = fetch(sync, ticket, key, &id);
        if (status == EID_ERR_NO_MEMORY || status == EID_ERR_CANCELLED)
            break;
        bool came = eid_core_holds(sync->core, &id);
        status = came ? eid_id_array_add(out, &id, 1) : EID_OK;
        if (came && status == EID_OK)
            status = add_delegated(sync, &id, &found);
    }
    eid_id_array_free(&found);
    return status;
}
