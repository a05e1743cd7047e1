/* SPDX-License-Identifier: Apache-2.0 */
/* Records that stand in the data file beside the databases: they are not signed, have no history and never travel. */
#include "instance/instance_int.h"

eid_status eid_meta_load(eid_instance *instance, const char *key, eid_buf *out)
{
    eid_storage *storage = eid_core_storage(instance->core);

    eid_storage_lock(storage);
    eid_status status = eid_storage_meta_get(storage, key, out);
    eid_storage_unlock(storage);
    return status;
}

static eid_status store_all(eid_storage *storage, const eid_meta_value *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        EID_TRY(eid_storage_meta_set(storage, values[i].key, values[i].value));
    return EID_OK;
}

eid_status eid_meta_store(eid_instance *instance, const eid_meta_value *values, size_t count)
{
    eid_storage *storage = eid_core_storage(instance->core);

    eid_storage_lock(storage);
    eid_status status = eid_storage_begin(storage);
    if (status == EID_OK) {
        status = store_all(storage, values, count);
        if (status == EID_OK)
            status = eid_storage_commit(storage);
        else
            eid_storage_rollback(storage);
    }
    eid_storage_unlock(storage);
    return status;
}
