/* SPDX-License-Identifier: Apache-2.0 */
/* Entries that wait for another database.
 *
 * What is signed by delegation may need an entry that belongs elsewhere. It waits in the quarantine of its own database, and
 * is taken out when that entry comes, into whatever database. That happens after the newcomer was stored, in a storage
 * transaction of its own; should the process end in between, opening the file makes up for it.
 */
#include "database/delegation.h"

#include "base/log.h"

void eid_core_wake(eid_core *core, eid_buf *woken)
{
    for (size_t i = 0; i < woken->len / sizeof(eid_waiting); i++) {
        eid_waiting next;
        /* The list may grow, and move, while one of it is taken. */
        memcpy(&next, woken->data + i * sizeof next, sizeof next);
        if (eid_core_take_waiting(core, &next.database, &next.missing, woken) != EID_OK)
            eid_log(EID_LOG_WARN, "entries that waited for another database could not be taken: %s", eid_last_error());
    }
    eid_buf_free(woken);
}

void eid_core_wake_for(eid_core *core, const eid_id *database, const eid_id *arrived, size_t count)
{
    eid_tree *tree;
    eid_buf woken;
    eid_buf_init(&woken, SIZE_MAX / 2);
    eid_storage_lock(core->storage);
    eid_status status = core->waits_across ? eid_storage_tree(core->storage, database, &tree) : EID_OK;
    for (size_t i = 0; i < count && status == EID_OK && core->waits_across; i++)
        status = eid_storage_waiting_elsewhere(core->storage, tree, &arrived[i], &woken);
    eid_storage_unlock(core->storage);
    if (status != EID_OK)
        eid_log(EID_LOG_WARN, "entries that wait for another database were not looked for: %s", eid_last_error());
    eid_core_wake(core, &woken);
}

/* Keeps the pairs whose missing entry is here, or was refused. */
static eid_status keep_due(eid_core *core, eid_buf *waiting)
{
    eid_waiting *pairs = (eid_waiting *)(void *)waiting->data;
    size_t count = waiting->len / sizeof *pairs, kept = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t n;
        eid_status reason;
        EID_TRY(eid_storage_find(core->storage, &pairs[i].missing, &n, NULL));
        EID_TRY(eid_storage_was_refused(core->storage, &pairs[i].missing, &reason));
        if (n != 0 || reason != EID_OK)
            pairs[kept++] = pairs[i];
    }
    waiting->len = kept * sizeof *pairs;
    return EID_OK;
}

eid_status eid_core_wake_held(eid_core *core)
{
    eid_buf waiting;
    eid_buf_init(&waiting, SIZE_MAX / 2);
    eid_storage_lock(core->storage);
    eid_status status = eid_storage_waiting(core->storage, &waiting);
    core->waits_across = waiting.len > 0;
    if (status == EID_OK && waiting.len > 0)
        status = keep_due(core, &waiting);
    eid_storage_unlock(core->storage);
    if (status != EID_OK) {
        eid_buf_free(&waiting);
        return status;
    }
    eid_core_wake(core, &waiting);
    return EID_OK;
}
