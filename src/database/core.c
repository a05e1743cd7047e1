/* SPDX-License-Identifier: Apache-2.0 */
/* The core: what all databases of an instance share, and the delivery of write callbacks. */
#include "database/database_int.h"

#include "base/alloc.h"
#include "codec/cid.h"
#include "crypto/key.h"

eid_status eid_core_open(const eid_core_options *options, eid_core **out)
{
    EID_TRY(eid_crypto_init());
    eid_core *core = eid_alloc_zero(1, sizeof *core);
    if (core == NULL)
        return eid_fail_memory();
    eid_storage_options storage = {.path = options->path,
                                   .must_exist = options->must_exist,
                                   .full_sync = options->durability == EID_DURABILITY_FULL};
    eid_status status = eid_storage_open(&storage, &core->storage);
    if (status != EID_OK) {
        eid_free(core);
        return status;
    }
    eid_storage_set_cache_free(core->storage, eid_tree_cache_free);
    core->clock = options->clock;
    core->instance = options->instance;
    pthread_mutex_init(&core->callback_mutex, NULL);
    pthread_cond_init(&core->callback_idle, NULL);
    *out = core;
    return EID_OK;
}

void eid_core_close(eid_core *core)
{
    if (core == NULL)
        return;
    eid_storage_close(core->storage);
    pthread_cond_destroy(&core->callback_idle);
    pthread_mutex_destroy(&core->callback_mutex);
    eid_free(core);
}

eid_storage *eid_core_storage(eid_core *core)
{
    return core->storage;
}

const eid_clock *eid_core_clock(const eid_core *core)
{
    return &core->clock;
}

/* ---- Callbacks ---- */

void eid_core_set_hook(eid_core *core, eid_core_hook hook, void *ctx)
{
    pthread_mutex_lock(&core->callback_mutex);
    core->hook = hook;
    core->hook_ctx = ctx;
    pthread_mutex_unlock(&core->callback_mutex);
}

eid_status eid_database_on_write(eid_database *database, eid_write_callback callback, void *ctx, eid_callback **registration)
{
    if (callback == NULL || registration == NULL)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "A callback and a place for its registration are needed");
    eid_callback *entry = eid_alloc_zero(1, sizeof *entry);
    if (entry == NULL)
        return eid_fail_memory();
    eid_core *core = database->core;
    *entry = (eid_callback){.core = core, .database = database, .function = callback, .ctx = ctx};
    pthread_mutex_lock(&core->callback_mutex);
    eid_callback **end = &core->callbacks;
    while (*end != NULL)
        end = &(*end)->next;
    *end = entry;
    pthread_mutex_unlock(&core->callback_mutex);
    *registration = entry;
    return EID_OK;
}

void eid_callback_remove(eid_callback *registration)
{
    if (registration == NULL)
        return;
    eid_core *core = registration->core;
    pthread_mutex_lock(&core->callback_mutex);
    eid_callback **link = &core->callbacks;
    while (*link != registration)
        link = &(*link)->next;
    *link = registration->next;
    while (registration->running > 0)
        pthread_cond_wait(&core->callback_idle, &core->callback_mutex);
    pthread_mutex_unlock(&core->callback_mutex);
    eid_free(registration);
}

/* Registrations of the database, marked as running; the mutex is held. */
static size_t take_running(eid_core *core, const eid_id *database, eid_callback **out, size_t capacity)
{
    size_t count = 0;
    for (eid_callback *c = core->callbacks; c != NULL && count < capacity; c = c->next)
        if (eid_id_equal(&c->database->root, database)) {
            c->running++;
            out[count++] = c;
        }
    return count;
}

static size_t count_callbacks(const eid_core *core)
{
    size_t count = 0;
    for (const eid_callback *c = core->callbacks; c != NULL; c = c->next)
        count++;
    return count;
}

static void call_all(eid_core *core, eid_callback **callbacks, size_t callback_count, eid_entry *const *entries, size_t count,
                     eid_write_source source)
{
    for (size_t c = 0; c < callback_count; c++)
        for (size_t i = 0; i < count; i++)
            callbacks[c]->function(callbacks[c]->database, entries[i], source, callbacks[c]->ctx);
    pthread_mutex_lock(&core->callback_mutex);
    for (size_t c = 0; c < callback_count; c++)
        callbacks[c]->running--;
    pthread_cond_broadcast(&core->callback_idle);
    pthread_mutex_unlock(&core->callback_mutex);
}

void eid_core_announce(eid_core *core, const eid_id *database, eid_entry *const *entries, size_t count, eid_write_source source)
{
    if (count == 0)
        return;
    pthread_mutex_lock(&core->callback_mutex);
    eid_core_hook hook = core->hook;
    void *hook_ctx = core->hook_ctx;
    size_t room = count_callbacks(core);
    eid_callback **running = room == 0 ? NULL : eid_realloc_array(NULL, room, sizeof(eid_callback *));
    size_t running_count = running == NULL ? 0 : take_running(core, database, running, room);
    pthread_mutex_unlock(&core->callback_mutex);
    if (hook != NULL)
        hook(database, entries, count, source, hook_ctx);
    if (running_count > 0)
        call_all(core, running, running_count, entries, count, source);
    eid_free(running);
}

/* ---- Simple questions ---- */

eid_status eid_core_tips(eid_core *core, const eid_id *database, eid_id **out, size_t *count)
{
    eid_storage_lock(core->storage);
    eid_tree *tree;
    eid_status status = eid_storage_tree(core->storage, database, &tree);
    eid_id *ids = NULL;
    size_t found = 0;
    if (status == EID_OK) {
        found = tree->main->tip_count;
        ids = eid_realloc_array(NULL, found + 1, sizeof *ids);
        status = ids == NULL ? eid_fail_memory() : EID_OK;
        for (size_t i = 0; status == EID_OK && i < found; i++)
            ids[i] = tree->main->tips[i].id;
    } else if (status == EID_ERR_DATABASE_NOT_FOUND) {
        status = EID_OK;
    }
    eid_storage_unlock(core->storage);
    EID_TRY(status);
    *count = found == 0 ? 0 : eid_ids_sort(ids, found);
    *out = ids;
    return EID_OK;
}

bool eid_core_holds(eid_core *core, const eid_id *database)
{
    eid_tree *tree;
    eid_storage_lock(core->storage);
    eid_status status = eid_storage_tree(core->storage, database, &tree);
    eid_storage_unlock(core->storage);
    return status == EID_OK;
}

eid_status eid_core_entry_count(eid_core *core, const eid_id *database, uint64_t *out)
{
    eid_tree *tree;
    eid_storage_lock(core->storage);
    eid_status status = eid_storage_tree(core->storage, database, &tree);
    if (status == EID_OK)
        *out = tree->main->count;
    eid_storage_unlock(core->storage);
    return status;
}

eid_status eid_core_auth(eid_core *core, const eid_id *database, eid_auth_settings **out)
{
    eid_tree *tree;
    eid_storage_lock(core->storage);
    eid_status status = eid_storage_tree(core->storage, database, &tree);
    if (status == EID_OK)
        status = eid_settings_current(core, tree, out);
    eid_storage_unlock(core->storage);
    return status;
}
