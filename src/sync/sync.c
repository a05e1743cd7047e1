/* SPDX-License-Identifier: Apache-2.0 */
/* The sync object: its life, its transports, its servers, tickets. */
#include "sync/engine.h"

#include <string.h>

#include "base/alloc.h"

void eid_sync_now(const eid_sync *sync, char out[])
{
    eid_rfc3339(eid_clock_now_ms(sync->clock), out);
}

/* ---- Life ---- */

static void close_transports(eid_sync *sync)
{
    for (size_t i = 0; i < sync->transport_count; i++) {
        eid_named_transport *named = &sync->transports[i];
        named->transport->functions->close(named->transport);
        eid_free(named->name);
    }
    sync->transport_count = 0;
}

/* Called by the instance when it closes: nobody else uses the object any more, except transports until they
 * are closed, and the engine's threads until it is stopped. */
static void close_sync(eid_sync *sync)
{
    eid_instance_set_hooks(sync->instance, NULL);
    eid_sync_set_settings_hook(sync, NULL, NULL);
    eid_core_set_hook(sync->core, NULL, NULL);
    if (sync->engine != NULL)
        eid_engine_stop(sync->engine, close_transports);
    eid_engine_free(sync->engine);
    eid_database_close(sync->database);
    eid_map_free(sync->shared, eid_shared_free);
    eid_map_free(sync->request_index, eid_free);
    eid_nonces_free(&sync->nonces);
    pthread_mutex_destroy(&sync->cache_mutex);
    pthread_mutex_destroy(&sync->write_mutex);
    pthread_rwlock_destroy(&sync->transports_lock);
    eid_free(sync);
}

static eid_status create_database(eid_sync *sync)
{
    eid_doc *settings;
    eid_status status = eid_doc_new(&settings);
    if (status == EID_OK)
        status = eid_doc_set_string(settings, "name", EID_SYNC_DB_NAME);
    if (status == EID_OK)
        status = eid_doc_set_string(settings, "type", "sync_settings");
    if (status == EID_OK)
        status = eid_database_create(sync->core, settings, sync->device_key, &sync->database);
    eid_doc_free(settings);
    EID_TRY(status);
    return eid_instance_set_sync_db(sync->instance, eid_database_root_id(sync->database));
}

static eid_status open_database(eid_sync *sync)
{
    eid_id id;
    EID_TRY(eid_instance_get_sync_db(sync->instance, &id));
    if (eid_id_is_empty(&id))
        return create_database(sync);
    return eid_database_open_as(sync->core, &id, sync->device_key, NULL, &sync->database);
}

/* Brings what is shared up to date with every user: one may have been made, or have changed, while sync was
 * off. */
static eid_status compute_preferences(eid_sync *sync)
{
    eid_user_summary *users;
    size_t count;
    EID_TRY(eid_instance_user_summaries(sync->instance, &users, &count));
    for (size_t i = 0; i < count; i++)
        eid_preferences_changed(sync->instance, users[i].uuid, &users[i].private_database, NULL, sync);
    eid_free(users);
    return EID_OK;
}

static eid_status load(eid_sync *sync)
{
    EID_TRY(eid_map_new(&sync->shared));
    EID_TRY(eid_map_new(&sync->request_index));
    EID_TRY(eid_nonces_load(&sync->nonces, eid_core_storage(sync->core)));
    EID_TRY(eid_engine_new(sync, &sync->engine));
    EID_TRY(open_database(sync));
    EID_TRY(eid_requests_load(sync));
    EID_TRY(eid_shared_load(sync));
    EID_TRY(compute_preferences(sync));
    return eid_peers_load(sync);
}

static eid_status make_locks(eid_sync *sync)
{
    EID_TRY(eid_nonces_init(&sync->nonces));
    if (pthread_rwlock_init(&sync->transports_lock, NULL) == 0) {
        if (pthread_mutex_init(&sync->write_mutex, NULL) == 0) {
            if (pthread_mutex_init(&sync->cache_mutex, NULL) == 0)
                return EID_OK;
            pthread_mutex_destroy(&sync->write_mutex);
        }
        pthread_rwlock_destroy(&sync->transports_lock);
    }
    eid_nonces_free(&sync->nonces);
    return eid_fail(EID_ERR_IO, "the system gives no more mutexes");
}

static void on_settings_changed(eid_sync *sync, const eid_id *database, void *ctx)
{
    (void)ctx;
    eid_engine_wishes_changed(sync->engine, database);
}

eid_status eid_instance_enable_sync(eid_instance *instance)
{
    EID_NEED(instance);
    if (eid_instance_attached_sync(instance) != NULL)
        return EID_OK;
    eid_sync *sync = eid_alloc_zero(1, sizeof *sync);
    if (sync == NULL)
        return eid_fail_memory();
    sync->instance = instance;
    sync->core = eid_instance_core(instance);
    sync->clock = eid_instance_clock(instance);
    sync->device_key = eid_instance_device_key(instance);
    eid_keypair_public(sync->device_key, &sync->device);
    eid_pubkey_format(&sync->device, sync->device_text);
    eid_status status = make_locks(sync);
    if (status != EID_OK) {
        eid_free(sync);
        return status;
    }
    status = load(sync);
    if (status != EID_OK) {
        close_sync(sync);
        return status;
    }
    eid_instance_attach_sync(instance, sync, close_sync);
    eid_sync_set_settings_hook(sync, on_settings_changed, NULL);
    eid_instance_set_hooks(instance, &(eid_instance_hooks){eid_preferences_changed, eid_sync_on_new_database, sync});
    eid_core_set_hook(sync->core, eid_engine_hook, sync->engine);
    return EID_OK;
}

eid_status eid_instance_sync(eid_instance *instance, eid_sync **out)
{
    EID_NEED(instance && out);
    eid_sync *sync = eid_instance_attached_sync(instance);
    if (sync == NULL)
        return eid_fail(EID_ERR_SYNC_NOT_ENABLED,
                        "Sync is not enabled on this Instance. Call eid_instance_enable_sync() first");
    *out = sync;
    return EID_OK;
}

/* ---- Transports ---- */

eid_status eid_sync_host(eid_sync *sync, eid_status (*make)(eid_host **out), eid_host **out)
{
    eid_status status = EID_OK;
    eid_host *host;
    pthread_rwlock_wrlock(&sync->transports_lock);
    host = eid_engine_host(sync->engine);
    if (host == NULL) {
        status = make(&host);
        if (status == EID_OK)
            eid_engine_start(sync->engine, host);
    }
    pthread_rwlock_unlock(&sync->transports_lock);
    if (status == EID_OK)
        *out = host;
    return status;
}

/* The lock is held. NULL when there is none. */
static eid_named_transport *find_transport(eid_sync *sync, const char *name)
{
    for (size_t i = 0; i < sync->transport_count; i++)
        if (strcmp(sync->transports[i].name, name) == 0)
            return &sync->transports[i];
    return NULL;
}

static eid_status put_transport(eid_sync *sync, char **name, eid_transport *transport, eid_transport **replaced)
{
    eid_named_transport *place = find_transport(sync, *name);
    if (place != NULL) {
        *replaced = place->transport;
        place->transport = transport;
        return EID_OK;
    }
    if (sync->transport_count >= EID_LIMIT_TRANSPORTS) {
        *replaced = transport;
        return eid_fail(EID_ERR_LIMIT, "at most %d transports can be used at a time", EID_LIMIT_TRANSPORTS);
    }
    sync->transports[sync->transport_count++] = (eid_named_transport){*name, transport};
    *name = NULL;
    return EID_OK;
}

eid_status eid_sync_add_transport(eid_sync *sync, const char *name, eid_transport *transport)
{
    eid_transport *replaced = NULL;
    char *copy = eid_strdup(name != NULL ? name : transport->type);
    if (copy == NULL) {
        transport->functions->close(transport);
        return eid_fail_memory();
    }
    pthread_rwlock_wrlock(&sync->transports_lock);
    eid_status status = put_transport(sync, &copy, transport, &replaced);
    pthread_rwlock_unlock(&sync->transports_lock);
    eid_free(copy);
    /* Outside the lock: closing waits for requests being served, and those may use transports themselves. */
    if (replaced != NULL)
        replaced->functions->close(replaced);
    return status;
}

/* NULL when there is none. */
static eid_transport *take_out(eid_sync *sync, const char *name)
{
    eid_transport *found = NULL;
    pthread_rwlock_wrlock(&sync->transports_lock);
    eid_named_transport *place = find_transport(sync, name);
    if (place != NULL) {
        found = place->transport;
        eid_free(place->name);
        size_t behind = --sync->transport_count - (size_t)(place - sync->transports);
        memmove(place, place + 1, behind * sizeof *place); /* the first one is the one programs start by default */
    }
    pthread_rwlock_unlock(&sync->transports_lock);
    return found;
}

eid_status eid_sync_remove_transport(eid_sync *sync, const char *name)
{
    EID_NEED(sync && name);
    EID_TRY(eid_sync_check_transport_name(name));
    EID_TRY(eid_sync_keep_transport(sync, name, NULL, NULL));
    eid_transport *transport = take_out(sync, name);
    if (transport == NULL)
        return eid_fail(EID_ERR_NOT_FOUND, "Transport not found: %s", name);
    transport->functions->close(transport);
    return EID_OK;
}

bool eid_sync_has_transport(eid_sync *sync, const char *name)
{
    pthread_rwlock_rdlock(&sync->transports_lock);
    bool found = find_transport(sync, name) != NULL;
    pthread_rwlock_unlock(&sync->transports_lock);
    return found;
}

static eid_status fail_no_transport(void)
{
    return eid_fail(EID_ERR_NO_TRANSPORT_ENABLED, "No transport enabled. Call enable_http_transport() first");
}

eid_status eid_sync_need_transport(eid_sync *sync)
{
    pthread_rwlock_rdlock(&sync->transports_lock);
    bool any = sync->transport_count != 0;
    pthread_rwlock_unlock(&sync->transports_lock);
    return any ? EID_OK : fail_no_transport();
}

eid_status eid_sync_carry(eid_sync *sync, const eid_address *address, eid_exchange *exchange, eid_transport **out)
{
    eid_status status = EID_OK;
    eid_transport *transport = NULL;

    pthread_rwlock_rdlock(&sync->transports_lock);
    for (size_t i = 0; i < sync->transport_count && transport == NULL; i++)
        if (strcmp(sync->transports[i].transport->type, address->transport) == 0)
            transport = sync->transports[i].transport;
    if (sync->transport_count == 0) {
        status = fail_no_transport();
    } else if (transport == NULL) {
        status = eid_fail(EID_ERR_NO_TRANSPORT_FOR_ADDRESS,
                          "No transport can handle address: Address { transport_type: \"%s\", address: \"%s\" }",
                          address->transport, address->text);
    } else {
        *out = transport;
        transport->functions->send(transport, exchange);
    }
    pthread_rwlock_unlock(&sync->transports_lock);
    return status;
}

/* ---- Tickets ---- */

eid_status eid_sync_create_ticket(eid_sync *sync, const eid_id *database, eid_ticket **out)
{
    EID_NEED(sync && database && out);
    eid_address **addresses;
    eid_ticket *ticket = NULL;
    size_t count;

    EID_TRY(eid_sync_need_transport(sync));
    if (!eid_core_holds(sync->core, database)) {
        char text[EID_ID_TEXT_SIZE];
        eid_id_format(database, text);
        return eid_fail(EID_ERR_DATABASE_NOT_FOUND, "Database not found: %s", text);
    }
    EID_TRY(eid_sync_own_addresses(sync, &addresses, &count));
    eid_status status = eid_ticket_new(database, &ticket);
    for (size_t i = 0; i < count && status == EID_OK; i++)
        status = eid_ticket_add_address(ticket, addresses[i]);
    eid_addresses_free(addresses, count);
    if (status != EID_OK) {
        eid_ticket_free(ticket);
        return status;
    }
    *out = ticket;
    return EID_OK;
}
