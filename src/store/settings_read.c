/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the settings of a database in a transaction: name, order of entries. */
#include "store/spot_int.h"

static eid_status settings_at(eid_txn *txn, const char *path, eid_spot *out)
{
    out->path = path;
    return eid_settings_store(txn, &out->store);
}

eid_status eid_settings_scan(eid_txn *txn, const char *path, const char *after, eid_key_callback callback,
                             void *ctx)
{
    EID_NEED(txn && callback);
    eid_spot place;

    EID_TRY(settings_at(txn, path, &place));
    return eid_spot_scan(&place, after, callback, ctx);
}

eid_status eid_settings_get_name(eid_txn *txn, char **out)
{
    EID_NEED(txn && out);
    eid_spot place;

    EID_TRY(settings_at(txn, "name", &place));
    return eid_spot_get_text(&place, out, NULL);
}

eid_status eid_settings_get_height_strategy(eid_txn *txn, eid_height_strategy *out)
{
    EID_NEED(txn && out);
    eid_spot place;
    eid_value *value = NULL;

    EID_TRY(settings_at(txn, "height_strategy", &place));
    eid_status status = eid_spot_get(&place, &value);
    if (status != EID_OK && status != EID_ERR_KEY_NOT_FOUND)
        return status;
    *out = eid_height_strategy_of(value);
    eid_value_free(value);
    return EID_OK;
}
