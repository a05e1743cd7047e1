/* SPDX-License-Identifier: Apache-2.0 */
/* The core: what all databases of an instance share. */
#include "database/delegation.h"

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
                                   .for_check = options->for_check,
                                   .full_sync = options->durability == EID_DURABILITY_FULL};
    eid_status status = eid_storage_open(&storage, &core->storage);
    if (status != EID_OK) {
        eid_free(core);
        return status;
    }
    eid_storage_set_cache_free(core->storage, eid_tree_cache_free);
    eid_standing_attach(core->storage);
    status = eid_storage_ready(core->storage);
    if (status != EID_OK) {
        eid_storage_close(core->storage);
        eid_free(core);
        return status;
    }
    core->clock = options->clock;
    core->instance = options->instance;
    pthread_mutex_init(&core->callback_mutex, NULL);
    pthread_mutex_init(&core->signer_mutex, NULL);
    pthread_cond_init(&core->callback_idle, NULL);
    status = eid_core_wake_held(core);
    if (status == EID_ERR_CORRUPT && eid_storage_index_is_damaged(core->storage))
        status = eid_core_wake_held(core); /* which makes it anew first */
    if (status != EID_OK) {
        eid_core_close(core);
        return status;
    }
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
    pthread_mutex_destroy(&core->signer_mutex);
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
        status = eid_settings_current(core->storage, tree, out);
    eid_storage_unlock(core->storage);
    return status;
}
