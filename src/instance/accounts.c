/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts as the instance sees them: listing, disabling, removing, and who is admin of the instance.
 *
 * All of it is signed by the device key. Being admin means being listed in `_users` and `_databases`; both change in one
 * step. */
#include "base/alloc.h"
#include "codec/fields.h"
#include "database/txn.h"
#include "instance/instance_int.h"

static const eid_permission admin_right = {EID_PERM_ADMIN, 0};

/* ---- Asking ---- */

static eid_status is_listed_admin(eid_instance *instance, const eid_pubkey *key, bool *out)
{
    eid_auth_settings *auth;

    EID_TRY(eid_database_auth(instance->users, &auth));
    const eid_auth_key *record = eid_auth_settings_find(auth, key);
    *out = record != NULL && record->status == EID_KEY_ACTIVE && eid_permission_can_admin(record->permission);
    eid_auth_settings_unref(auth);
    return EID_OK;
}

bool eid_user_is_admin(eid_user *user)
{
    bool admin;

    return is_listed_admin(user->instance, &eid_session_default_key(user)->pubkey, &admin) == EID_OK && admin;
}

/* The list as it grows; names are kept apart until their number is known. */
typedef struct listing {
    eid_instance *instance;
    eid_user_info *users;
    size_t count;
    size_t capacity;
    eid_buf names;
    eid_status status;
} listing;

static eid_status add_user(listing *list, const char *uuid, const eid_user_record *record)
{
    eid_user_info info = {.status = record->status,
                          .has_password = record->password_salt != NULL,
                          .created_at = record->created_at};
    void *items = list->users;

    if (strlen(uuid) >= sizeof info.user_id)
        return EID_OK; /* not a user: the directory has said so when it was read */
    memcpy(info.user_id, uuid, strlen(uuid) + 1);
    EID_TRY(is_listed_admin(list->instance, &record->root_key_id, &info.is_admin));
    EID_TRY(eid_make_room(&items, &list->capacity, list->count, sizeof info));
    list->users = items;
    list->users[list->count++] = info;
    eid_buf_append(&list->names, record->username, strlen(record->username) + 1);
    return eid_buf_status(&list->names);
}

static bool list_row(const char *key, const char *row, size_t len, void *ctx)
{
    listing *list = ctx;
    eid_user_record record;

    list->status = eid_user_record_read(eid_slice_of(row, len), &record);
    if (list->status != EID_OK) {
        if (list->status != EID_ERR_NO_MEMORY)
            list->status = EID_OK; /* likewise */
        return list->status == EID_OK;
    }
    list->status = add_user(list, key, &record);
    eid_user_record_free(&record);
    return list->status == EID_OK;
}

/* One block: the list, then the names it points to. */
static eid_status join_list(const listing *list, eid_user_info **out)
{
    eid_user_info *joined = eid_alloc_zero(1, list->count * sizeof *joined + list->names.len + 1);

    if (joined == NULL)
        return eid_fail_memory();
    char *name = (char *)(joined + list->count);
    if (list->count > 0) {
        memcpy(joined, list->users, list->count * sizeof *joined);
        memcpy(name, list->names.data, list->names.len);
    }
    for (size_t i = 0; i < list->count; i++) {
        joined[i].username = name;
        name += strlen(name) + 1;
    }
    *out = joined;
    return EID_OK;
}

eid_status eid_instance_list_users(eid_instance *instance, eid_user_info **out, size_t *count)
{
    EID_NEED(instance && out && count);
    listing list = {.instance = instance, .status = EID_OK};

    eid_buf_init(&list.names, SIZE_MAX / 2);
    eid_status status = eid_database_table_scan(instance->users, EID_STORE_USERS, NULL, list_row, &list);
    if (status == EID_OK)
        status = list.status;
    if (status == EID_OK)
        status = join_list(&list, out);
    if (status == EID_OK)
        *count = list.count;
    eid_free(list.users);
    eid_buf_free(&list.names);
    return status;
}

/* ---- Changing; change_mutex is held ---- */

typedef struct account {
    char uuid[EID_UUID_TEXT_SIZE];
    eid_user_record record;
    eid_txn *txns[2]; /* of `_users` and `_databases` */
} account;

static void close_account(account *a)
{
    eid_txn_free(a->txns[0]);
    eid_txn_free(a->txns[1]);
    eid_user_record_free(&a->record);
}

static eid_status open_account(eid_instance *instance, const char *name, account *out)
{
    account a = {.txns = {NULL, NULL}};

    EID_TRY(eid_user_find(instance, name, a.uuid));
    EID_TRY(eid_user_record_load(instance, a.uuid, &a.record));
    eid_status status = eid_database_new_transaction(instance->users, &a.txns[0]);
    if (status == EID_OK)
        status = eid_database_new_transaction(instance->databases, &a.txns[1]);
    if (status == EID_OK)
        *out = a;
    else
        close_account(&a);
    return status;
}

/* Lists the root key as admin, or revokes what it has; nothing where that is so already. */
static eid_status stage_right(eid_database *database, eid_txn *txn, const eid_pubkey *key, bool admin)
{
    eid_auth_settings *auth;

    EID_TRY(eid_database_auth(database, &auth));
    const eid_auth_key *record = eid_auth_settings_find(auth, key);
    bool is_active = record != NULL && record->status == EID_KEY_ACTIVE;
    bool is_admin = is_active && eid_permission_compare(record->permission, admin_right) == 0;
    eid_status status = EID_OK;
    if (admin ? !is_admin : is_active)
        status = eid_settings_set_auth_key(txn, key, "admin", admin_right, admin ? EID_KEY_ACTIVE : EID_KEY_REVOKED);
    eid_auth_settings_unref(auth);
    return status;
}

static eid_status stage_admin(eid_instance *instance, account *a, bool admin)
{
    EID_TRY(stage_right(instance->users, a->txns[0], &a->record.root_key_id, admin));
    return stage_right(instance->databases, a->txns[1], &a->record.root_key_id, admin);
}

static eid_status stage_status(account *a, eid_user_status status)
{
    if (a->record.status == status)
        return EID_OK;
    a->record.status = status;
    return eid_user_record_stage(a->txns[0], a->uuid, &a->record);
}

static eid_status stage_removal(eid_instance *instance, account *a)
{
    eid_buf id;

    EID_TRY(stage_admin(instance, a, false));
    EID_TRY(eid_table_delete(a->txns[0], EID_STORE_USERS, a->uuid, NULL));
    EID_TRY(eid_table_delete(a->txns[0], EID_STORE_LAST_LOGIN, a->uuid, NULL));
    eid_buf_init(&id, 2 * EID_ID_TEXT_SIZE);
    eid_write_id_text(&id, &a->record.private_database);
    eid_status status = eid_buf_status(&id);
    if (status == EID_OK)
        status = eid_table_set(a->txns[0], EID_STORE_REMOVED_USERS, a->uuid, (const char *)id.data);
    eid_buf_free(&id);
    return status;
}

typedef enum act_kind { ACT_DISABLE, ACT_ENABLE, ACT_ADMIN, ACT_NO_ADMIN, ACT_REMOVE } act_kind;

static eid_status stage_act(eid_instance *instance, account *a, act_kind wanted)
{
    switch (wanted) {
    case ACT_DISABLE:
        return stage_status(a, EID_USER_DISABLED);
    case ACT_ENABLE:
        return stage_status(a, EID_USER_ACTIVE);
    case ACT_REMOVE:
        return stage_removal(instance, a);
    default:
        return stage_admin(instance, a, wanted == ACT_ADMIN);
    }
}

static eid_status act_on(eid_instance *instance, account *a, act_kind wanted)
{
    EID_TRY(stage_act(instance, a, wanted));
    EID_TRY(eid_txn_commit_all(a->txns, 2, NULL));
    if (wanted == ACT_REMOVE)
        eid_directory_remove(instance, a->record.username, NULL);
    return EID_OK;
}

static eid_status act(eid_instance *instance, const char *name, act_kind wanted)
{
    account a;

    pthread_mutex_lock(&instance->change_mutex);
    eid_status status = open_account(instance, name, &a);
    bool opened = status == EID_OK;
    if (opened)
        status = act_on(instance, &a, wanted);
    pthread_mutex_unlock(&instance->change_mutex);
    if (status == EID_OK && wanted != ACT_ADMIN && wanted != ACT_NO_ADMIN)
        eid_preferences_announce(instance, a.uuid, &a.record.private_database, NULL);
    if (opened)
        close_account(&a);
    return status;
}

eid_status eid_instance_disable_user(eid_instance *instance, const char *username)
{
    EID_NEED(instance && username);
    return act(instance, username, ACT_DISABLE);
}

eid_status eid_instance_enable_user(eid_instance *instance, const char *username)
{
    EID_NEED(instance && username);
    return act(instance, username, ACT_ENABLE);
}

eid_status eid_instance_set_user_admin(eid_instance *instance, const char *username, bool admin)
{
    EID_NEED(instance && username);
    return act(instance, username, admin ? ACT_ADMIN : ACT_NO_ADMIN);
}

eid_status eid_instance_remove_user(eid_instance *instance, const char *username)
{
    EID_NEED(instance && username);
    return act(instance, username, ACT_REMOVE);
}
