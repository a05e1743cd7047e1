/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of a database: the document of `_settings` (spec stores.md section 5). Rights are whole
 * records, so that concurrent changes of one key never mix. */
#include "store/spot_int.h"

#include <stdio.h>

#include "auth/auth.h"

static eid_status open_settings(eid_txn *txn, eid_txn_store **out)
{
    return eid_txn_open_store(txn, "_settings", NULL, out);
}

eid_status eid_settings_get(eid_txn *txn, const char *path, eid_value **out)
{
    eid_txn_store *store;

    EID_TRY(open_settings(txn, &store));
    return eid_store_read(store, eid_slice_text(path), out);
}

eid_status eid_settings_set(eid_txn *txn, const char *path, const eid_value *value)
{
    eid_txn_store *store;
    eid_value *copy;

    EID_TRY(open_settings(txn, &store));
    EID_TRY(eid_value_copy(value, &copy));
    return eid_store_stage_made(store, eid_slice_text(path), copy);
}

eid_status eid_settings_delete(eid_txn *txn, const char *path, bool *deleted)
{
    eid_spot place = {.path = path};

    if (path == NULL)
        return eid_fail(EID_ERR_INVALID_PATH, "the path is missing");
    EID_TRY(open_settings(txn, &place.store));
    return eid_spot_delete(&place, deleted);
}

eid_status eid_settings_set_height_strategy(eid_txn *txn, eid_height_strategy strategy)
{
    eid_doc *change;
    eid_txn_store *store;

    EID_TRY(open_settings(txn, &store));
    EID_TRY(eid_doc_new(&change));
    eid_status status = eid_height_strategy_put(change, strategy);
    if (status == EID_OK)
        status = eid_txn_store_apply(store, change);
    eid_doc_free(change);
    return status;
}

eid_status eid_settings_set_name(eid_txn *txn, const char *name)
{
    eid_value *value;
    eid_status status;

    EID_TRY(eid_value_new_text(name, strlen(name), &value));
    status = eid_settings_set(txn, "name", value);
    eid_value_free(value);
    return status;
}

/* ---- Rights ---- */

static eid_status check_right(eid_permission permission, eid_key_status status)
{
    if (permission.kind != EID_PERM_READ && permission.kind != EID_PERM_WRITE &&
        permission.kind != EID_PERM_ADMIN)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "%d is not a kind of permission", (int)permission.kind);
    if (status != EID_KEY_ACTIVE && status != EID_KEY_REVOKED)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "%d is not a status of a key", (int)status);
    return EID_OK;
}

static eid_status stage_record(eid_txn *txn, const char *path, const char *name, eid_permission permission,
                               eid_key_status status)
{
    eid_txn_store *store;
    eid_value *value = NULL;
    eid_doc *record;
    eid_status result;

    EID_TRY(check_right(permission, status));
    EID_TRY(open_settings(txn, &store));
    EID_TRY(eid_auth_key_to_doc(name, permission, status, &record));
    result = eid_value_new_doc(record, &value);
    eid_doc_free(record);
    if (result != EID_OK)
        return result;
    result = eid_txn_store_set(store, eid_slice_text(path), value);
    if (result != EID_OK)
        eid_value_free(value);
    return result;
}

eid_status eid_settings_set_auth_key(eid_txn *txn, const eid_pubkey *key, const char *name,
                                     eid_permission permission, eid_key_status status)
{
    char path[sizeof "auth.keys." + EID_PUBKEY_TEXT_SIZE], text[EID_PUBKEY_TEXT_SIZE];
    eid_pubkey same;

    /* Bytes that are no key would make a record nobody can read, and could lock the last admin out. */
    eid_pubkey_format(key, text);
    EID_TRY(eid_pubkey_parse(text, &same));
    snprintf(path, sizeof path, "auth.keys.%s", text);
    return stage_record(txn, path, name, permission, status);
}

eid_status eid_settings_set_global_permission(eid_txn *txn, eid_permission permission)
{
    return stage_record(txn, "auth.global", NULL, permission, EID_KEY_ACTIVE);
}
