/* SPDX-License-Identifier: Apache-2.0 */
/* Write callbacks: registration, and delivery after a commit. Nothing here can fail once a write is stored. */
#include "database/database_int.h"

#include "base/alloc.h"

void eid_core_set_hook(eid_core *core, eid_core_hook hook, void *ctx)
{
    pthread_mutex_lock(&core->callback_mutex);
    /* No new calls begin, so this ends. */
    core->hook = NULL;
    while (core->hook_running > 0)
        pthread_cond_wait(&core->callback_idle, &core->callback_mutex);
    core->hook = hook;
    core->hook_ctx = ctx;
    pthread_mutex_unlock(&core->callback_mutex);
}

/* ---- Registration ---- */

static void append(eid_core *core, eid_callback *registration)
{
    pthread_mutex_lock(&core->callback_mutex);
    registration->serial = ++core->callback_serial;
    eid_callback **end = &core->callbacks;
    while (*end != NULL)
        end = &(*end)->next;
    *end = registration;
    pthread_mutex_unlock(&core->callback_mutex);
}

eid_status eid_database_on_store_write(eid_database *database, const char *store, unsigned sources, eid_write_callback callback,
                                       void *ctx, eid_callback **registration)
{
    EID_NEED(database && callback && registration);
    if (sources == 0 || (sources & ~(unsigned)EID_SOURCE_ALL) != 0)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "A callback needs to hear of local writes, remote ones, or both");
    eid_callback *entry = eid_alloc_zero(1, sizeof *entry);
    if (entry == NULL)
        return eid_fail_memory();
    *entry = (eid_callback){
        .core = database->core, .database = database, .sources = sources, .function = callback, .ctx = ctx};
    if (store != NULL) {
        entry->store = eid_strdup(store);
        if (entry->store == NULL) {
            eid_free(entry);
            return eid_fail_memory();
        }
    }
    append(database->core, entry);
    *registration = entry;
    return EID_OK;
}

eid_status eid_database_on_write(eid_database *database, eid_write_callback callback, void *ctx, eid_callback **registration)
{
    return eid_database_on_store_write(database, NULL, EID_SOURCE_ALL, callback, ctx, registration);
}

eid_status eid_database_on_local_write(eid_database *database, eid_write_callback callback, void *ctx,
                                       eid_callback **registration)
{
    return eid_database_on_store_write(database, NULL, EID_SOURCE_LOCAL, callback, ctx, registration);
}

eid_status eid_database_on_remote_write(eid_database *database, eid_write_callback callback, void *ctx,
                                        eid_callback **registration)
{
    return eid_database_on_store_write(database, NULL, EID_SOURCE_REMOTE, callback, ctx, registration);
}

void eid_callback_remove(eid_callback *registration)
{
    if (registration == NULL)
        return;
    eid_core *core = registration->core;
    pthread_mutex_lock(&core->callback_mutex);
    registration->sources = 0; /* no new calls begin */
    while (registration->running > 0)
        pthread_cond_wait(&core->callback_idle, &core->callback_mutex);
    /* Only now it may leave the list: whoever was calling it goes on from its link. */
    eid_callback **link = &core->callbacks;
    while (*link != registration)
        link = &(*link)->next;
    *link = registration->next;
    pthread_mutex_unlock(&core->callback_mutex);
    eid_free(registration->store);
    eid_free(registration);
}

/* ---- Delivery ---- */

static void call(const eid_callback *c, eid_entry *const *entries, size_t count, eid_write_source source)
{
    for (size_t i = 0; i < count; i++)
        if (c->store == NULL || eid_entry_subtree(entries[i], eid_slice_text(c->store)) != NULL)
            c->function(c->database, entries[i], source, c->ctx);
}

void eid_core_announce(eid_core *core, const eid_id *database, eid_entry *const *entries, size_t count, eid_write_source source)
{
    if (count == 0)
        return;
    pthread_mutex_lock(&core->callback_mutex);
    if (core->hook != NULL) {
        eid_core_hook hook = core->hook;
        void *ctx = core->hook_ctx;
        core->hook_running++;
        pthread_mutex_unlock(&core->callback_mutex);
        hook(database, entries, count, source, ctx);
        pthread_mutex_lock(&core->callback_mutex);
        core->hook_running--;
        pthread_cond_broadcast(&core->callback_idle);
    }
    pthread_mutex_unlock(&core->callback_mutex);
}

void eid_core_tell(eid_core *core, const eid_id *database, eid_entry *const *entries, size_t count, eid_write_source source)
{
    if (count == 0)
        return;
    unsigned wanted = source == EID_WRITE_LOCAL ? EID_SOURCE_LOCAL : EID_SOURCE_REMOTE;
    pthread_mutex_lock(&core->callback_mutex);
    uint64_t newest = core->callback_serial;
    for (eid_callback *c = core->callbacks; c != NULL && c->serial <= newest; c = c->next) {
        if ((c->sources & wanted) == 0 || !eid_id_equal(&c->database->root, database))
            continue;
        /* While it runs it stays in the list, so its link is good afterwards. */
        c->running++;
        pthread_mutex_unlock(&core->callback_mutex);
        call(c, entries, count, source);
        pthread_mutex_lock(&core->callback_mutex);
        c->running--;
        pthread_cond_broadcast(&core->callback_idle);
    }
    pthread_mutex_unlock(&core->callback_mutex);
}
