/* SPDX-License-Identifier: Apache-2.0 */
/* Changing the settings of a database: the document of `_settings` (spec stores.md section 5). */
#include "store/spot_int.h"

eid_status eid_settings_store(eid_txn *txn, eid_txn_store **out)
{
    return eid_txn_open_store(txn, "_settings", NULL, out);
}

eid_status eid_settings_get(eid_txn *txn, const char *path, eid_value **out)
{
    EID_NEED(txn && path && out);
    eid_txn_store *store;

    EID_TRY(eid_settings_store(txn, &store));
    return eid_store_read(store, eid_slice_text(path), out);
}

eid_status eid_settings_set(eid_txn *txn, const char *path, const eid_value *value)
{
    EID_NEED(txn && path && value);
    eid_txn_store *store;
    eid_value *copy;

    EID_TRY(eid_settings_store(txn, &store));
    EID_TRY(eid_value_copy(value, &copy));
    return eid_store_stage_made(store, eid_slice_text(path), copy);
}

eid_status eid_settings_delete(eid_txn *txn, const char *path, bool *deleted)
{
    EID_NEED(txn && path);
    eid_spot place = {.path = path};

    if (path == NULL)
        return eid_fail(EID_ERR_INVALID_PATH, "the path is missing");
    EID_TRY(eid_settings_store(txn, &place.store));
    return eid_spot_delete(&place, deleted);
}

eid_status eid_settings_set_height_strategy(eid_txn *txn, eid_height_strategy strategy)
{
    EID_NEED(txn);
    eid_doc *change;
    eid_txn_store *store;

    EID_TRY(eid_settings_store(txn, &store));
    EID_TRY(eid_doc_new(&change));
    eid_status status = eid_height_strategy_put(change, strategy);
    if (status == EID_OK)
        status = eid_txn_store_apply(store, change);
    eid_doc_free(change);
    return status;
}

eid_status eid_settings_set_name(eid_txn *txn, const char *name)
{
    EID_NEED(txn && name);
    eid_value *value;
    eid_status status;

    EID_TRY(eid_value_new_text(name, strlen(name), &value));
    status = eid_settings_set(txn, "name", value);
    eid_value_free(value);
    return status;
}
