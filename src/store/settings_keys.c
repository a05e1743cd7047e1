/* SPDX-License-Identifier: Apache-2.0 */
/* Rights in the settings: records of keys, and the one for everybody (spec auth.md section 2). A record is staged whole, so
 * that concurrent changes of one never mix. */
#include "store/store_int.h"

#include <stdio.h>

#include "base/alloc.h"
#include "crypto/key.h"

/* ---- What all records share ---- */

eid_status eid_settings_auth(eid_txn *txn, eid_auth_settings **out)
{
    eid_slice key = eid_slice_text("auth");
    eid_value *auth = NULL;
    eid_txn_store *store;
    eid_doc *doc;

    EID_TRY(eid_settings_store(txn, &store));
    EID_TRY(eid_doc_new(&doc));
    eid_status status = eid_txn_store_child(store, key, &auth);
    if (status == EID_OK && auth != NULL) {
        status = eid_doc_put_child(doc, key, auth);
        if (status != EID_OK)
            eid_value_free(auth);
    }
    if (status == EID_OK)
        status = eid_auth_settings_parse(doc, out);
    eid_doc_free(doc);
    return status;
}

eid_status eid_settings_check_permission(eid_permission permission)
{
    if (permission.kind != EID_PERM_READ && permission.kind != EID_PERM_WRITE && permission.kind != EID_PERM_ADMIN)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "%d is not a kind of permission", (int)permission.kind);
    return EID_OK;
}

static eid_status stage_value(eid_txn *txn, const char *path, eid_value *value)
{
    eid_txn_store *store;
    eid_status status = eid_settings_store(txn, &store);

    if (status == EID_OK)
        status = eid_txn_store_set(store, eid_slice_text(path), value);
    if (status != EID_OK)
        eid_value_free(value);
    return status;
}

eid_status eid_settings_stage_record(eid_txn *txn, const char *path, eid_doc *record)
{
    eid_value *value = NULL;
    eid_status status = record == NULL ? eid_value_new_deleted(&value) : eid_value_new_doc(record, &value);

    eid_doc_free(record);
    EID_TRY(status);
    return stage_value(txn, path, value);
}

/* ---- Keys ---- */

#define PATH_SIZE (sizeof "auth.keys." + EID_PUBKEY_TEXT_SIZE)

static void path_of(const eid_pubkey *key, char out[PATH_SIZE])
{
    char text[EID_PUBKEY_TEXT_SIZE];

    eid_pubkey_format(key, text);
    snprintf(out, PATH_SIZE, "auth.keys.%s", text);
}

/* Bytes that are no key would make a record nobody can use, and could lock the last admin out. */
static eid_status check_key(const eid_pubkey *key)
{
    if (!eid_pubkey_is_point(key))
        return eid_fail(EID_ERR_INVALID_KEY, "the 32 bytes of the public key are not a point of the curve");
    return EID_OK;
}

/* `name` without data: none. A name that was received may hold zero bytes. */
static eid_status stage_key(eid_txn *txn, const eid_pubkey *key, eid_slice name, eid_permission permission,
                            eid_key_status key_status)
{
    char path[PATH_SIZE];
    eid_doc *record;

    EID_TRY(eid_settings_check_permission(permission));
    if (key_status != EID_KEY_ACTIVE && key_status != EID_KEY_REVOKED)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "%d is not a status of a key", (int)key_status);
    EID_TRY(check_key(key));
    EID_TRY(eid_auth_key_to_doc(NULL, permission, key_status, &record));
    if (name.data != NULL) {
        eid_status status = eid_doc_set_text(record, "name", (const char *)name.data, name.len);
        if (status != EID_OK) {
            eid_doc_free(record);
            return status;
        }
    }
    path_of(key, path);
    return eid_settings_stage_record(txn, path, record);
}

static eid_slice name_slice(const char *name)
{
    return name == NULL ? eid_slice_of(NULL, 0) : eid_slice_text(name);
}

eid_status eid_settings_set_auth_key(eid_txn *txn, const eid_pubkey *key, const char *name, eid_permission permission,
                                     eid_key_status status)
{
    EID_NEED(txn && key);
    return stage_key(txn, key, name_slice(name), permission, status);
}

/* The live value under the key's text; NULL when there is none. eid_value_free. */
static eid_status read_key(eid_txn *txn, const eid_pubkey *key, eid_value **out)
{
    char path[PATH_SIZE];

    path_of(key, path);
    eid_status status = eid_settings_get(txn, path, out);
    if (status != EID_ERR_KEY_NOT_FOUND)
        return status;
    *out = NULL;
    return EID_OK;
}

eid_status eid_settings_add_auth_key(eid_txn *txn, const eid_pubkey *key, const char *name, eid_permission permission)
{
    EID_NEED(txn && key);
    char text[EID_PUBKEY_TEXT_SIZE];
    eid_value *there;

    EID_TRY(read_key(txn, key, &there));
    if (there == NULL)
        return stage_key(txn, key, name_slice(name), permission, EID_KEY_ACTIVE);
    eid_value_free(there);
    eid_pubkey_format(key, text);
    return eid_fail(EID_ERR_ALREADY_EXISTS, "the key %s is listed in the database already", text);
}

/* The key's record; unref *settings, which it is lent by. */
static eid_status find_key(eid_txn *txn, const eid_pubkey *key, eid_auth_settings **settings, const eid_auth_key **out)
{
    char text[EID_PUBKEY_TEXT_SIZE];
    eid_auth_settings *found;
    eid_value *there;

    EID_TRY(read_key(txn, key, &there));
    eid_pubkey_format(key, text);
    if (there == NULL)
        return eid_fail(EID_ERR_KEY_NOT_FOUND, "the key %s is not listed in the database", text);
    eid_value_free(there);
    EID_TRY(eid_settings_auth(txn, &found));
    *out = eid_auth_settings_find(found, key);
    if (*out == NULL) {
        eid_auth_settings_unref(found);
        return eid_fail(EID_ERR_INVALID_KEY, "the record of the key %s can not be read; write it anew", text);
    }
    *settings = found;
    return EID_OK;
}

static eid_slice name_of(const eid_auth_key *record)
{
    return eid_slice_of(record->name, record->name_len);
}

eid_status eid_settings_rank_auth_key(eid_txn *txn, const eid_pubkey *key, eid_permission permission)
{
    EID_NEED(txn && key);
    eid_auth_settings *settings;
    const eid_auth_key *record;

    EID_TRY(find_key(txn, key, &settings, &record));
    eid_status status = stage_key(txn, key, name_of(record), permission, record->status);
    eid_auth_settings_unref(settings);
    return status;
}

eid_status eid_settings_rename_auth_key(eid_txn *txn, const eid_pubkey *key, const char *name)
{
    EID_NEED(txn && key);
    eid_auth_settings *settings;
    const eid_auth_key *record;

    EID_TRY(find_key(txn, key, &settings, &record));
    eid_status status = stage_key(txn, key, name_slice(name), record->permission, record->status);
    eid_auth_settings_unref(settings);
    return status;
}

eid_status eid_settings_revoke_auth_key(eid_txn *txn, const eid_pubkey *key)
{
    EID_NEED(txn && key);
    eid_auth_settings *settings;
    const eid_auth_key *record;

    EID_TRY(find_key(txn, key, &settings, &record));
    eid_status status = stage_key(txn, key, name_of(record), record->permission, EID_KEY_REVOKED);
    eid_auth_settings_unref(settings);
    return status;
}

eid_status eid_settings_remove_auth_key(eid_txn *txn, const eid_pubkey *key)
{
    EID_NEED(txn && key);
    char path[PATH_SIZE], text[EID_PUBKEY_TEXT_SIZE];
    eid_value *there;

    EID_TRY(read_key(txn, key, &there));
    eid_pubkey_format(key, text);
    if (there == NULL)
        return eid_fail(EID_ERR_KEY_NOT_FOUND, "the key %s is not listed in the database", text);
    eid_value_free(there);
    path_of(key, path);
    return eid_settings_stage_record(txn, path, NULL);
}

eid_status eid_settings_get_auth_key(eid_txn *txn, const eid_pubkey *key, eid_auth_key_info **out)
{
    EID_NEED(txn && key && out);
    eid_auth_settings *settings;
    const eid_auth_key *record;
    eid_status status = EID_OK;

    EID_TRY(find_key(txn, key, &settings, &record));
    eid_auth_key_info *info = eid_alloc_zero(1, sizeof *info + record->name_len + 1);
    if (info == NULL) {
        status = eid_fail_memory();
    } else {
        *info = (eid_auth_key_info){*key, NULL, record->permission, record->status};
        if (record->name != NULL) {
            memcpy(info + 1, record->name, record->name_len);
            info->name = (const char *)(info + 1);
        }
        *out = info;
    }
    eid_auth_settings_unref(settings);
    return status;
}

/* The list and its names in one block. */
static eid_status list_keys(const eid_auth_settings *settings, eid_auth_key_info **out, size_t *count)
{
    size_t keys = eid_auth_settings_key_count(settings), size = (keys + 1) * sizeof **out, listed = 0;
    const eid_auth_key *record;
    eid_pubkey key;

    for (size_t i = 0; i < keys; i++) {
        eid_auth_settings_key_at(settings, i, &key, &record);
        size += record->name == NULL ? 0 : record->name_len + 1;
    }
    eid_auth_key_info *list = eid_alloc(size);
    if (list == NULL)
        return eid_fail_memory();
    char *names = (char *)(list + keys + 1);
    for (size_t i = 0; i < keys; i++) {
        eid_auth_settings_key_at(settings, i, &key, &record);
        if (!eid_pubkey_is_point(&key))
            continue;
        list[listed] = (eid_auth_key_info){key, NULL, record->permission, record->status};
        if (record->name != NULL) {
            memcpy(names, record->name, record->name_len);
            names[record->name_len] = '\0';
            list[listed].name = names;
            names += record->name_len + 1;
        }
        listed++;
    }
    *out = list;
    *count = listed;
    return EID_OK;
}

eid_status eid_settings_list_auth_keys(eid_txn *txn, eid_auth_key_info **out, size_t *count)
{
    EID_NEED(txn && out && count);
    eid_auth_settings *settings;

    EID_TRY(eid_settings_auth(txn, &settings));
    eid_status status = list_keys(settings, out, count);
    eid_auth_settings_unref(settings);
    return status;
}

/* The first of the listed keys whose text stands behind that of `after`. */
static size_t first_behind(const eid_auth_settings *settings, const eid_pubkey *after)
{
    size_t low = 0, high = eid_auth_settings_key_count(settings);
    char wanted[EID_PUBKEY_TEXT_SIZE], text[EID_PUBKEY_TEXT_SIZE];

    eid_pubkey_format(after, wanted);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const eid_auth_key *record;
        eid_pubkey key;
        eid_auth_settings_key_at(settings, middle, &key, &record);
        eid_pubkey_format(&key, text);
        if (strcmp(text, wanted) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

eid_status eid_settings_each_auth_key(eid_txn *txn, const eid_pubkey *after, eid_auth_key_callback callback, void *ctx)
{
    EID_NEED(txn && callback);
    eid_auth_settings *settings;
    bool wanted = true;

    EID_TRY(eid_settings_auth(txn, &settings));
    size_t i = after == NULL ? 0 : first_behind(settings, after), count = eid_auth_settings_key_count(settings);
    for (; i < count && wanted; i++) {
        eid_auth_key_info info;
        const eid_auth_key *record;
        eid_auth_settings_key_at(settings, i, &info.key, &record);
        if (!eid_pubkey_is_point(&info.key))
            continue;
        info.name = record->name;
        info.permission = record->permission;
        info.status = record->status;
        wanted = callback(&info, ctx);
    }
    eid_auth_settings_unref(settings);
    return EID_OK;
}

/* ---- Everybody ---- */

static eid_status stage_global(eid_txn *txn, eid_permission permission, eid_key_status status)
{
    eid_doc *record;

    EID_TRY(eid_settings_check_permission(permission));
    EID_TRY(eid_auth_key_to_doc(NULL, permission, status, &record));
    return eid_settings_stage_record(txn, "auth.global", record);
}

eid_status eid_settings_set_global_permission(eid_txn *txn, eid_permission permission)
{
    EID_NEED(txn);
    return stage_global(txn, permission, EID_KEY_ACTIVE);
}

eid_status eid_settings_get_global_permission(eid_txn *txn, eid_permission *out)
{
    EID_NEED(txn && out);
    eid_auth_settings *settings;

    EID_TRY(eid_settings_auth(txn, &settings));
    bool active = eid_auth_settings_has_active_global(settings);
    if (active)
        *out = eid_auth_settings_global(settings)->permission;
    eid_auth_settings_unref(settings);
    return active ? EID_OK : eid_fail(EID_ERR_KEY_NOT_FOUND, "the database has no active permission for everybody");
}

eid_status eid_settings_revoke_global_permission(eid_txn *txn)
{
    EID_NEED(txn);
    eid_permission permission;

    EID_TRY(eid_settings_get_global_permission(txn, &permission));
    return stage_global(txn, permission, EID_KEY_REVOKED);
}
