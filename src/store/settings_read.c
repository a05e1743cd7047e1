/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the settings of a database in a transaction: name, order of entries, listed rights. */
#include "store/spot_int.h"

#include "auth/auth.h"
#include "base/alloc.h"

static eid_status settings_at(eid_txn *txn, const char *path, eid_spot *out)
{
    out->path = path;
    return eid_txn_open_store(txn, "_settings", NULL, &out->store);
}

eid_status eid_settings_scan(eid_txn *txn, const char *path, const char *after, eid_key_callback callback,
                             void *ctx)
{
    eid_spot place;

    EID_TRY(settings_at(txn, path, &place));
    return eid_spot_scan(&place, after, callback, ctx);
}

eid_status eid_settings_get_name(eid_txn *txn, char **out)
{
    eid_spot place;

    EID_TRY(settings_at(txn, "name", &place));
    return eid_spot_get_text(&place, out, NULL);
}

eid_status eid_settings_get_height_strategy(eid_txn *txn, eid_height_strategy *out)
{
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

/* ---- Rights ---- */

static eid_status read_rights(eid_txn *txn, eid_auth_settings **out)
{
    eid_spot place;
    eid_doc *settings;

    EID_TRY(settings_at(txn, NULL, &place));
    EID_TRY(eid_spot_get_doc(&place, &settings));
    eid_status status = eid_auth_settings_parse(settings, out);
    eid_doc_free(settings);
    return status;
}

/* The list and its names in one block. */
static eid_status list_keys(const eid_auth_settings *rights, eid_auth_key_info **out, size_t *count)
{
    size_t keys = eid_auth_settings_key_count(rights), size = (keys + 1) * sizeof **out;
    const eid_auth_key *record;
    eid_pubkey key;

    for (size_t i = 0; i < keys; i++) {
        eid_auth_settings_key_at(rights, i, &key, &record);
        size += record->name == NULL ? 0 : record->name_len + 1;
    }
    eid_auth_key_info *list = eid_alloc(size);
    if (list == NULL)
        return eid_fail_memory();
    char *names = (char *)(list + keys + 1);
    for (size_t i = 0; i < keys; i++) {
        eid_auth_settings_key_at(rights, i, &key, &record);
        list[i] = (eid_auth_key_info){key, NULL, record->permission, record->status};
        if (record->name == NULL)
            continue;
        memcpy(names, record->name, record->name_len);
        names[record->name_len] = '\0';
        list[i].name = names;
        names += record->name_len + 1;
    }
    *out = list;
    *count = keys;
    return EID_OK;
}

eid_status eid_settings_list_auth_keys(eid_txn *txn, eid_auth_key_info **out, size_t *count)
{
    eid_auth_settings *rights;

    EID_TRY(read_rights(txn, &rights));
    eid_status status = list_keys(rights, out, count);
    eid_auth_settings_unref(rights);
    return status;
}

eid_status eid_settings_get_global_permission(eid_txn *txn, eid_permission *out)
{
    eid_auth_settings *rights;

    EID_TRY(read_rights(txn, &rights));
    const eid_auth_key *record = eid_auth_settings_global(rights);
    bool active = record != NULL && record->status == EID_KEY_ACTIVE;
    if (active)
        *out = record->permission;
    eid_auth_settings_unref(rights);
    return active ? EID_OK
                  : eid_fail(EID_ERR_KEY_NOT_FOUND, "the database has no active permission for everybody");
}
