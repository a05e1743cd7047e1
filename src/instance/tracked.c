/* SPDX-License-Identifier: Apache-2.0 */
/* The databases a user works with: creating, opening, tracking and their sync preferences (spec users.md
 * sections 10 to 12). Rows stand in the private database under the text of the database's ID. */
#include "base/alloc.h"
#include "base/log.h"
#include "instance/instance_int.h"

/* ---- Rows ---- */

static eid_status not_tracked(const char *id)
{
    return eid_fail(EID_ERR_DATABASE_NOT_TRACKED, "the database %s is not tracked by the user", id);
}

eid_status eid_tracked_find(eid_user *user, const eid_id *id, eid_tracked_row *out)
{
    char text[EID_ID_TEXT_SIZE];
    eid_value *value;
    const char *row;
    size_t len;

    eid_id_format(id, text);
    eid_status status = eid_database_get(user->private_database, EID_STORE_DATABASES, text, &value);
    if (status == EID_ERR_KEY_NOT_FOUND)
        return not_tracked(text);
    EID_TRY(status);
    status = eid_value_as_text(value, &row, &len);
    if (status == EID_OK)
        status = eid_tracked_row_read(eid_slice_of(row, len), out);
    eid_value_free(value);
    return status;
}

eid_status eid_tracked_stage(eid_txn *txn, const eid_tracked_row *row)
{
    char id[EID_ID_TEXT_SIZE];
    eid_buf text;

    eid_id_format(&row->tracked.id, id);
    eid_buf_init(&text, EID_LIMIT_ENTRY_BYTES);
    eid_tracked_row_write(&text, row);
    eid_status status = eid_buf_status(&text);
    if (status == EID_OK)
        status = eid_table_set(txn, EID_STORE_DATABASES, id, (const char *)text.data);
    eid_buf_free(&text);
    return status;
}

void eid_user_preferences_changed(eid_user *user)
{
    eid_instance *instance = user->instance;

    pthread_mutex_lock(&instance->mutex);
    eid_preferences_hook hook = instance->hook;
    void *ctx = instance->hook_ctx;
    pthread_mutex_unlock(&instance->mutex);
    if (hook != NULL)
        hook(instance, user->uuid, eid_database_root_id(user->private_database), ctx);
}

/* ---- Creating ---- */

/* Stages what makes the database the user's: the mapping of the key, and the tracked row with sync off. */
static eid_status stage_ownership(eid_user *user, eid_txn *txn, const eid_session_key *key, const eid_id *id)
{
    eid_tracked_row row = {
        .tracked = {.id = *id, .key = key->pubkey, .settings = EID_SYNC_SETTINGS_DISABLED}};

    EID_TRY(eid_session_stage_key(user, txn, key, id, NULL, false));
    return eid_tracked_stage(txn, &row);
}

/* The private database is readied before the new one is made: what can go wrong there shows while nothing has
 * happened. A failure of its commit alone leaves a database nobody tracks, which is not the user's and does
 * no harm. */
static eid_status create_tracked(eid_user *user, const eid_doc *settings, eid_database **out)
{
    const eid_session_key *key = user->default_key;
    eid_database *database = NULL;
    eid_txn *txn;

    EID_TRY(eid_database_new_transaction(user->private_database, &txn));
    eid_status status = eid_database_create(user->instance->core, settings, key->pair, &database);
    if (status == EID_OK)
        status = stage_ownership(user, txn, key, eid_database_root_id(database));
    if (status == EID_OK)
        status = eid_txn_commit(txn, NULL);
    eid_txn_free(txn);
    if (status != EID_OK) {
        eid_database_close(database);
        return status;
    }
    *out = database;
    return EID_OK;
}

eid_status eid_user_create_database_with(eid_user *user, const eid_doc *settings, eid_database **out)
{
    pthread_mutex_lock(&user->instance->change_mutex);
    eid_status status = create_tracked(user, settings, out);
    pthread_mutex_unlock(&user->instance->change_mutex);
    if (status == EID_OK)
        eid_user_preferences_changed(user);
    return status;
}

eid_status eid_user_create_database(eid_user *user, const char *name, eid_database **out)
{
    eid_doc *settings;

    EID_TRY(eid_doc_new(&settings));
    eid_status status = eid_doc_set_string(settings, "name", name);
    if (status == EID_OK)
        status = eid_user_create_database_with(user, settings, out);
    eid_doc_free(settings);
    return status;
}

/* ---- Opening ---- */

eid_status eid_user_open_database(eid_user *user, const eid_id *id, eid_database **out)
{
    const eid_session_key *key;
    eid_sigkey identity;
    bool has_identity;

    EID_TRY(eid_session_choose_key(user, id, &key, &has_identity, &identity));
    eid_status status =
        eid_database_open_as(user->instance->core, id, key->pair, has_identity ? &identity : NULL, out);
    eid_sigkey_free(&identity);
    if (status == EID_ERR_DATABASE_NOT_FOUND) {
        char text[EID_ID_TEXT_SIZE];
        eid_id_format(id, text);
        return eid_fail(EID_ERR_DATABASE_ACCESS_PENDING,
                        "access to the database %s was asked for, but it is not here yet", text);
    }
    return status;
}

eid_status eid_user_key_for_database(eid_user *user, const eid_id *id, const eid_keypair **out)
{
    const eid_session_key *key;
    eid_sigkey identity;
    bool has_identity;

    EID_TRY(eid_session_choose_key(user, id, &key, &has_identity, &identity));
    eid_sigkey_free(&identity);
    *out = key->pair;
    return EID_OK;
}

eid_status eid_user_find_database(eid_user *user, const char *name, eid_database **out)
{
    eid_tracked_database *tracked;
    eid_database *database = NULL;
    eid_status status = EID_OK;
    size_t count;

    EID_TRY(eid_user_list_databases(user, &tracked, &count));
    for (size_t i = 0; i < count && database == NULL && status != EID_ERR_NO_MEMORY; i++) {
        char *found = NULL;
        status = eid_user_open_database(user, &tracked[i].id, &database);
        if (status == EID_OK)
            status = eid_database_name(database, &found);
        if (status != EID_OK || strcmp(found, name) != 0) {
            eid_database_close(database);
            database = NULL;
        }
        eid_free(found);
    }
    eid_free(tracked);
    if (status == EID_ERR_NO_MEMORY)
        return status;
    if (database == NULL)
        return eid_fail(EID_ERR_DATABASE_NOT_FOUND, "no tracked database is named \"%.200s\"", name);
    *out = database;
    return EID_OK;
}

/* ---- Tracking ---- */

/* The first key with any right in the database, the default key before others. */
static eid_status discover(eid_user *user, const eid_id *id, const eid_session_key **key,
                           eid_sigkey *identity)
{
    eid_auth_settings *auth;
    eid_permission permission;
    eid_status status;

    EID_TRY(eid_core_auth(user->instance->core, id, &auth));
    const eid_session_key *tried = user->default_key;
    status = eid_auth_best_identity(auth, &tried->pubkey, identity, &permission);
    for (size_t i = 0; status != EID_OK; i++) {
        const eid_session_key *next = eid_session_key_at(user, i);
        if (next == NULL)
            break;
        tried = next;
        status = eid_auth_best_identity(auth, &tried->pubkey, identity, &permission);
    }
    *key = tried;
    eid_auth_settings_unref(auth);
    if (status != EID_OK)
        return eid_fail_context(EID_ERR_NO_KEY_FOR_DATABASE, "the database can not be tracked");
    return EID_OK;
}

static bool same_settings(const eid_sync_settings *a, const eid_sync_settings *b)
{
    return a->sync_enabled == b->sync_enabled && a->sync_on_commit == b->sync_on_commit &&
           a->interval_seconds == b->interval_seconds;
}

/* *changed false: the row says just this already. */
static eid_status stage_tracking(eid_user *user, eid_txn *txn, const eid_id *id,
                                 const eid_sync_settings *settings, bool *changed)
{
    const eid_session_key *key;
    eid_tracked_row row;
    eid_sigkey identity;

    eid_status status = eid_tracked_find(user, id, &row);
    *changed = true;
    if (status == EID_ERR_DATABASE_NOT_TRACKED) {
        EID_TRY(discover(user, id, &key, &identity));
        EID_TRY(eid_session_stage_key(user, txn, key, id, &identity, false));
        memset(&row, 0, sizeof row);
        row.tracked.id = *id;
        row.tracked.key = key->pubkey;
    } else if (status != EID_OK) {
        return status;
    } else {
        *changed = !same_settings(&row.tracked.settings, settings);
    }
    row.tracked.settings = *settings;
    status = *changed ? eid_tracked_stage(txn, &row) : EID_OK;
    eid_tracked_row_free(&row);
    return status;
}

static eid_status track(eid_user *user, const eid_id *id, const eid_sync_settings *settings, bool *changed)
{
    eid_txn *txn;

    EID_TRY(eid_database_new_transaction(user->private_database, &txn));
    eid_status status = stage_tracking(user, txn, id, settings, changed);
    if (status == EID_OK && *changed)
        status = eid_txn_commit(txn, NULL);
    eid_txn_free(txn);
    return status;
}

eid_status eid_user_track_database(eid_user *user, const eid_id *id, const eid_sync_settings *settings)
{
    eid_sync_settings used = EID_SYNC_SETTINGS_DISABLED;
    bool changed = false;

    memcpy(&used, settings, settings->struct_size < sizeof used ? settings->struct_size : sizeof used);
    used.struct_size = sizeof used;
    pthread_mutex_lock(&user->instance->change_mutex);
    eid_status status = track(user, id, &used, &changed);
    pthread_mutex_unlock(&user->instance->change_mutex);
    if (status == EID_OK && changed)
        eid_user_preferences_changed(user);
    return status;
}

static eid_status untrack(eid_user *user, const char *id)
{
    bool deleted = false;
    eid_txn *txn;

    EID_TRY(eid_database_new_transaction(user->private_database, &txn));
    eid_status status = eid_table_delete(txn, EID_STORE_DATABASES, id, &deleted);
    if (status == EID_OK)
        status = deleted ? eid_txn_commit(txn, NULL) : not_tracked(id);
    eid_txn_free(txn);
    return status;
}

eid_status eid_user_untrack_database(eid_user *user, const eid_id *id)
{
    char text[EID_ID_TEXT_SIZE];

    eid_id_format(id, text);
    pthread_mutex_lock(&user->instance->change_mutex);
    eid_status status = untrack(user, text);
    pthread_mutex_unlock(&user->instance->change_mutex);
    if (status == EID_OK)
        eid_user_preferences_changed(user);
    return status;
}

static eid_status record_access(eid_user *user, const eid_id *id)
{
    eid_txn *txn;

    EID_TRY(eid_database_new_transaction(user->private_database, &txn));
    eid_status status = eid_session_stage_key(user, txn, user->default_key, id, NULL, true);
    if (status == EID_OK)
        status = eid_txn_commit(txn, NULL);
    eid_txn_free(txn);
    return status;
}

eid_status eid_user_record_pending_access(eid_user *user, const eid_id *id)
{
    pthread_mutex_lock(&user->instance->change_mutex);
    eid_status status = record_access(user, id);
    pthread_mutex_unlock(&user->instance->change_mutex);
    return status;
}

/* ---- Listing ---- */

typedef struct listing {
    eid_tracked_database *rows;
    size_t count;
    size_t capacity;
    eid_status status;
} listing;

static bool list_row(const char *key, const char *text, size_t len, void *ctx)
{
    listing *list = ctx;
    eid_tracked_row row;

    eid_status status = eid_tracked_row_read(eid_slice_of(text, len), &row);
    if (status == EID_ERR_NO_MEMORY) {
        list->status = status;
        return false;
    }
    if (status != EID_OK) {
        eid_log(EID_LOG_WARN, "the tracked database in row %.160s can not be read and is left out: %s", key,
                eid_last_error());
        return true;
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        eid_tracked_database *grown = eid_realloc_array(list->rows, capacity, sizeof *grown);
        if (grown == NULL)
            list->status = eid_fail_memory();
        else
            list->rows = grown;
        list->capacity = capacity;
    }
    if (list->status == EID_OK)
        list->rows[list->count++] = row.tracked;
    eid_tracked_row_free(&row);
    return list->status == EID_OK;
}

eid_status eid_tracked_databases_read(eid_database *private_database, eid_tracked_database **out,
                                      size_t *count)
{
    listing list = {NULL, 0, 0, EID_OK};
    eid_status status = eid_database_table_scan(private_database, EID_STORE_DATABASES, NULL, list_row, &list);

    if (status == EID_OK)
        status = list.status;
    if (status == EID_OK && list.rows == NULL && (list.rows = eid_alloc(1)) == NULL)
        status = eid_fail_memory();
    if (status != EID_OK) {
        eid_free(list.rows);
        return status;
    }
    *out = list.rows;
    *count = list.count;
    return EID_OK;
}

eid_status eid_user_list_databases(eid_user *user, eid_tracked_database **out, size_t *count)
{
    return eid_tracked_databases_read(user->private_database, out, count);
}

eid_status eid_user_tracked_database(eid_user *user, const eid_id *id, eid_tracked_database *out)
{
    eid_tracked_row row;

    EID_TRY(eid_tracked_find(user, id, &row));
    *out = row.tracked;
    eid_tracked_row_free(&row);
    return EID_OK;
}
