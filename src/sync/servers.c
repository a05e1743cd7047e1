/* SPDX-License-Identifier: Apache-2.0 */
/* Servers: starting, stopping, and where they are. */
#include <string.h>

#include "base/alloc.h"
#include "sync/engine_int.h"

/* ---- One transport after the other ---- */

/* Names of the transports, so that the lock need not be held while a server starts or stops. */
typedef struct names {
    char *items[EID_LIMIT_TRANSPORTS];
    size_t count;
} names;

static void free_names(names *list)
{
    for (size_t i = 0; i < list->count; i++)
        eid_free(list->items[i]);
}

static eid_status list_names(eid_sync *sync, names *list)
{
    eid_status status = EID_OK;
    list->count = 0;
    pthread_rwlock_rdlock(&sync->transports_lock);
    for (size_t i = 0; i < sync->transport_count && status == EID_OK; i++) {
        list->items[i] = eid_strdup(sync->transports[i].name);
        if (list->items[i] == NULL)
            status = eid_fail_memory();
        else
            list->count++;
    }
    pthread_rwlock_unlock(&sync->transports_lock);
    if (status != EID_OK)
        free_names(list);
    return status;
}

typedef eid_status (*transport_action)(eid_sync *sync, eid_transport *transport, void *ctx);

/* The lock is held as readers hold it: replacing the transport has to wait. */
static eid_status with_transport(eid_sync *sync, const char *name, transport_action action, void *ctx)
{
    eid_status status = EID_OK;
    bool found = false;
    pthread_rwlock_rdlock(&sync->transports_lock);
    for (size_t i = 0; i < sync->transport_count && !found; i++) {
        found = strcmp(sync->transports[i].name, name) == 0;
        if (found)
            status = action(sync, sync->transports[i].transport, ctx);
    }
    pthread_rwlock_unlock(&sync->transports_lock);
    return found ? status : eid_fail(EID_ERR_NOT_FOUND, "Transport not found: %s", name);
}

static eid_status start_one(eid_sync *sync, eid_transport *transport, void *ctx)
{
    return transport->functions->start(transport, ctx, eid_sync_handle, sync);
}

static eid_status stop_one(eid_sync *sync, eid_transport *transport, void *ctx)
{
    (void)sync;
    (void)ctx;
    return transport->functions->stop(transport);
}

/* ---- Starting and stopping ---- */

eid_status eid_sync_start_server(eid_sync *sync, const char *bind_address)
{
    EID_NEED(sync && bind_address);
    names list;
    EID_TRY(eid_sync_need_transport(sync));
    EID_TRY(list_names(sync, &list));
    eid_status status = with_transport(sync, list.items[0], start_one, (void *)(uintptr_t)bind_address);
    free_names(&list);
    return status;
}

eid_status eid_sync_accept_connections_on(eid_sync *sync, const char *name)
{
    EID_NEED(sync && name);
    eid_status status = with_transport(sync, name, start_one, NULL);
    /* Without a bind address it is for asking only: there is nothing to start. */
    return status == EID_ERR_UNSUPPORTED ? EID_OK : status;
}

eid_status eid_sync_accept_connections(eid_sync *sync)
{
    EID_NEED(sync);
    names list;
    size_t started = 0, failed = 0;
    eid_buf sentences;
    EID_TRY(list_names(sync, &list));
    eid_buf_init(&sentences, EID_LIMIT_ERROR_TEXT);
    for (size_t i = 0; i < list.count; i++) {
        eid_status status = with_transport(sync, list.items[i], start_one, NULL);
        if (status == EID_ERR_UNSUPPORTED)
            continue;
        if (status == EID_OK) {
            started++;
            continue;
        }
        eid_buf_appendf(&sentences, "%s%s: %s", failed++ == 0 ? "" : ", ", list.items[i], eid_last_error());
    }
    free_names(&list);
    eid_status status = EID_OK;
    if (started == 0 && failed != 0)
        status = eid_fail(EID_ERR_SERVER_BIND, "Multiple transport errors: %s",
                          sentences.data != NULL ? (const char *)sentences.data : "");
    eid_buf_free(&sentences);
    return status;
}

static eid_status fail_not_running(void)
{
    return eid_fail(EID_ERR_SERVER_NOT_RUNNING, "Server not running");
}

eid_status eid_sync_stop_server(eid_sync *sync)
{
    EID_NEED(sync);
    bool stopped = false;
    names list;
    EID_TRY(list_names(sync, &list));
    for (size_t i = 0; i < list.count; i++)
        stopped |= with_transport(sync, list.items[i], stop_one, NULL) == EID_OK;
    free_names(&list);
    return stopped ? EID_OK : fail_not_running();
}

/* ---- The same, without waiting ---- */

typedef struct server_work {
    eid_work work;
    eid_sync *sync;
    eid_sync_call *call;
    eid_status (*act)(eid_sync *sync, const char *bind_address);
    char *bind_address; /* NULL: none is needed */
} server_work;

static void run_server_work(eid_work *work)
{
    server_work *w = (server_work *)(void *)work;
    eid_status status = w->act(w->sync, w->bind_address);
    pthread_mutex_lock(&w->call->mutex);
    w->call->status = status;
    w->call->sentence = status == EID_OK ? NULL : eid_strdup(eid_last_error());
    pthread_mutex_unlock(&w->call->mutex);
    eid_call_finish(w->call);
    eid_free(w->bind_address);
    eid_free(w);
}

static eid_status start_server_work(eid_sync *sync, eid_status (*act)(eid_sync *sync, const char *bind_address),
                                    const char *bind_address, eid_sync_done done, void *ctx, eid_sync_call **call)
{
    eid_sync_call *made;
    EID_TRY(eid_sync_need_transport(sync));
    eid_host *host = eid_engine_host(sync->engine);
    server_work *w = eid_alloc_zero(1, sizeof *w);
    if (w == NULL)
        return eid_fail_memory();
    eid_status status = EID_OK;
    if (bind_address != NULL && (w->bind_address = eid_strdup(bind_address)) == NULL)
        status = eid_fail_memory();
    if (status == EID_OK)
        status = eid_call_new(sync->engine, &(eid_call_hooks){.done = done, .ctx = ctx}, &made);
    if (status != EID_OK) {
        eid_free(w->bind_address);
        eid_free(w);
        return status;
    }
    w->work.run = run_server_work;
    w->sync = sync;
    w->act = act;
    w->call = made;
    eid_call_ref(made);
    host->functions->work(host, &w->work);
    eid_call_hand_out(made, call);
    return EID_OK;
}

eid_status eid_sync_start_server_async(eid_sync *sync, const char *bind_address, eid_sync_done done, void *ctx,
                                       eid_sync_call **call)
{
    EID_NEED(sync && bind_address);
    return start_server_work(sync, eid_sync_start_server, bind_address, done, ctx, call);
}

static eid_status accept_all(eid_sync *sync, const char *unused)
{
    (void)unused;
    return eid_sync_accept_connections(sync);
}

eid_status eid_sync_accept_connections_async(eid_sync *sync, eid_sync_done done, void *ctx, eid_sync_call **call)
{
    EID_NEED(sync);
    return start_server_work(sync, accept_all, NULL, done, ctx, call);
}

static eid_status stop_all(eid_sync *sync, const char *unused)
{
    (void)unused;
    return eid_sync_stop_server(sync);
}

eid_status eid_sync_stop_server_async(eid_sync *sync, eid_sync_done done, void *ctx, eid_sync_call **call)
{
    EID_NEED(sync);
    return start_server_work(sync, stop_all, NULL, done, ctx, call);
}

/* ---- Where they are ---- */

typedef struct address_list {
    eid_address **items;
    size_t count;
} address_list;

static eid_status add_lines(eid_transport *transport, const char *lines, address_list *list)
{
    while (*lines != '\0' && list->count < EID_LIMIT_PEER_ADDRESSES) {
        size_t len = strcspn(lines, "\n");
        EID_TRY(eid_address_make(eid_slice_text(transport->type), eid_slice_of(lines, len), &list->items[list->count]));
        list->count++;
        lines += len + (lines[len] == '\n');
    }
    return EID_OK;
}

static eid_status add_addresses(eid_sync *sync, eid_transport *transport, void *ctx)
{
    char *lines;
    (void)sync;
    eid_status status = transport->functions->server_address(transport, &lines);
    if (status == EID_ERR_SERVER_NOT_RUNNING)
        return EID_OK;
    EID_TRY(status);
    status = add_lines(transport, lines, ctx);
    eid_free(lines);
    return status;
}

eid_status eid_sync_own_addresses(eid_sync *sync, eid_address ***out, size_t *count)
{
    address_list list = {eid_alloc_zero(EID_LIMIT_PEER_ADDRESSES, sizeof(eid_address *)), 0};
    eid_status status = EID_OK;
    if (list.items == NULL)
        return eid_fail_memory();
    pthread_rwlock_rdlock(&sync->transports_lock);
    for (size_t i = 0; i < sync->transport_count && status == EID_OK; i++)
        status = add_addresses(sync, sync->transports[i].transport, &list);
    pthread_rwlock_unlock(&sync->transports_lock);
    if (status != EID_OK) {
        eid_addresses_free(list.items, list.count);
        return status;
    }
    *out = list.items;
    *count = list.count;
    return EID_OK;
}

bool eid_sync_is_server_running(eid_sync *sync)
{
    eid_address **addresses;
    size_t count;
    if (eid_sync_own_addresses(sync, &addresses, &count) != EID_OK)
        return false;
    eid_addresses_free(addresses, count);
    return count != 0;
}

static eid_status first_text(const eid_address *const *addresses, size_t count, char **out)
{
    if (count == 0)
        return fail_not_running();
    *out = eid_strdup(addresses[0]->text);
    return *out == NULL ? eid_fail_memory() : EID_OK;
}

eid_status eid_sync_get_server_address(eid_sync *sync, char **out)
{
    EID_NEED(sync && out);
    eid_address **addresses;
    size_t count;
    char *text;
    EID_TRY(eid_sync_own_addresses(sync, &addresses, &count));
    eid_status status = first_text((const eid_address *const *)addresses, count, &text);
    eid_addresses_free(addresses, count);
    if (status == EID_OK)
        *out = text;
    return status;
}

eid_status eid_sync_get_server_address_for(eid_sync *sync, const char *name, char **out)
{
    EID_NEED(sync && name && out);
    address_list list = {eid_alloc_zero(EID_LIMIT_PEER_ADDRESSES, sizeof(eid_address *)), 0};
    char *text;
    if (list.items == NULL)
        return eid_fail_memory();
    eid_status status = with_transport(sync, name, add_addresses, &list);
    if (status == EID_OK)
        status = first_text((const eid_address *const *)list.items, list.count, &text);
    eid_addresses_free(list.items, list.count);
    if (status == EID_OK)
        *out = text;
    return status;
}

eid_status eid_sync_get_all_server_addresses(eid_sync *sync, char ***out)
{
    EID_NEED(sync && out);
    eid_address **addresses;
    size_t count, size = 0;
    EID_TRY(eid_sync_own_addresses(sync, &addresses, &count));
    for (size_t i = 0; i < count; i++)
        size += strlen(addresses[i]->transport) + strlen(addresses[i]->text) + 2;
    char **list = eid_alloc((count + 1) * sizeof *list + size);
    char *at = (char *)(list + count + 1), *end = at + size;
    for (size_t i = 0; i < count && list != NULL; i++) {
        list[i] = at;
        at += 1 + snprintf(at, (size_t)(end - at), "%s:%s", addresses[i]->transport, addresses[i]->text);
    }
    eid_addresses_free(addresses, count);
    if (list == NULL)
        return eid_fail_memory();
    list[count] = NULL;
    *out = list;
    return EID_OK;
}
