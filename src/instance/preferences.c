/* SPDX-License-Identifier: Apache-2.0 */
/* Tracked databases and what is wished for their sync (spec users.md section 12). A row stands in `databases` of the private
 * database under the text of the database's ID; when it was added stands in a table of our own, since the recorded rows have
 * no place for it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/sized.h"
#include "base/log.h"
#include "instance/instance_int.h"

/* ---- Rows ---- */

static eid_status not_tracked(const eid_id *id)
{
    char text[EID_ID_TEXT_SIZE];

    eid_id_format(id, text);
    return eid_fail(EID_ERR_DATABASE_NOT_TRACKED, "the database %s is not tracked by the user", text);
}

/* `key` is where the row stands: the text of the ID it has to name. */
static eid_status parse_row(const char *key, eid_slice text, eid_database_preferences *out)
{
    eid_database_preferences row;
    char id[EID_ID_TEXT_SIZE];

    EID_TRY(eid_preferences_read(text, &row));
    eid_id_format(&row.database_id, id);
    if (strcmp(id, key) != 0) {
        eid_database_preferences_clear(&row);
        return eid_fail(EID_ERR_CORRUPT, "the row of the tracked database %.160s names another one, %s", key, id);
    }
    *out = row;
    return EID_OK;
}

static eid_status read_row(eid_database *private_database, const eid_id *id, eid_database_preferences *out)
{
    char text[EID_ID_TEXT_SIZE];
    eid_value *value;
    const char *row;
    size_t len;

    eid_id_format(id, text);
    eid_status status = eid_database_get(private_database, EID_STORE_DATABASES, text, &value);
    if (status == EID_ERR_KEY_NOT_FOUND)
        return not_tracked(id);
    EID_TRY(status);
    status = eid_value_as_text(value, &row, &len);
    if (status == EID_OK)
        status = parse_row(text, eid_slice_of(row, len), out);
    eid_value_free(value);
    return status;
}

/* Milliseconds; 0 for rows that other implementations wrote. */
static int64_t read_time(eid_slice text)
{
    int64_t time = 0;
    eid_json reader;

    eid_json_init(&reader, text);
    if (eid_json_read_i64(&reader, "the time", &time) != EID_OK || time < 0)
        time = 0;
    eid_json_free(&reader);
    return time;
}

static eid_status added_at(eid_database *private_database, const eid_id *id, int64_t *out)
{
    char text[EID_ID_TEXT_SIZE];
    eid_value *value;
    const char *row;
    size_t len;

    eid_id_format(id, text);
    *out = 0;
    eid_status status = eid_database_get(private_database, EID_STORE_TRACKED_SINCE, text, &value);
    if (status == EID_ERR_KEY_NOT_FOUND)
        return EID_OK;
    EID_TRY(status);
    if (eid_value_as_text(value, &row, &len) == EID_OK)
        *out = read_time(eid_slice_of(row, len));
    eid_value_free(value);
    return EID_OK;
}

eid_status eid_preferences_find(eid_user *user, const eid_id *id, eid_database_preferences *out)
{
    return read_row(user->private_database, id, out);
}

/* change_mutex is held. Later calls get later times, so that the order of adding can be told. */
static uint64_t time_of_adding(eid_instance *instance)
{
    uint64_t now = eid_clock_now_ms(eid_instance_clock(instance));

    if (now <= instance->last_added_ms)
        now = instance->last_added_ms + 1;
    instance->last_added_ms = now;
    return now;
}

eid_status eid_preferences_stage(eid_user *user, eid_txn *txn, const eid_database_preferences *preferences, bool is_new)
{
    char id[EID_ID_TEXT_SIZE], time[24];
    eid_buf text;

    eid_id_format(&preferences->database_id, id);
    eid_buf_init(&text, EID_LIMIT_ENTRY_BYTES);
    eid_preferences_write(&text, preferences);
    eid_status status = eid_buf_status(&text);
    if (status == EID_OK)
        status = eid_table_set(txn, EID_STORE_DATABASES, id, (const char *)text.data);
    eid_buf_free(&text);
    if (status == EID_OK && is_new) {
        snprintf(time, sizeof time, "%llu", (unsigned long long)time_of_adding(user->instance));
        status = eid_table_set(txn, EID_STORE_TRACKED_SINCE, id, time);
    }
    return status;
}

void eid_preferences_announce(eid_instance *instance, const char *uuid, const eid_id *private_database, const eid_id *database)
{
    pthread_mutex_lock(&instance->mutex);
    eid_instance_hooks hooks = instance->hooks;
    pthread_mutex_unlock(&instance->mutex);
    if (hooks.preferences != NULL)
        hooks.preferences(instance, uuid, private_database, database, hooks.ctx);
}

static void announce(eid_user *user, const eid_id *database)
{
    eid_preferences_announce(user->instance, user->uuid, eid_database_root_id(user->private_database), database);
}

/* ---- Finding the key and the identity ---- */

/* What was found so far. */
typedef struct finding {
    const eid_session_key *key; /* NULL: none */
    eid_sigkey identity;
    eid_permission permission;
} finding;

static eid_status try_key(eid_user *user, const eid_id *id, const eid_session_key *key, finding *best)
{
    eid_permission permission;
    eid_sigkey identity;

    eid_status status = eid_core_best_identity(user->instance->core, id, &key->pubkey, &identity, &permission);
    if (status == EID_ERR_PERMISSION_DENIED)
        return EID_OK;
    EID_TRY(status);
    if (best->key != NULL && eid_permission_compare(permission, best->permission) <= 0) {
        eid_sigkey_free(&identity);
        return EID_OK;
    }
    eid_sigkey_free(&best->identity);
    *best = (finding){key, identity, permission};
    return EID_OK;
}

/* Among the user's keys, the default key first so that it wins over others as strong. */
static eid_status try_all(eid_user *user, const eid_id *id, finding *best)
{
    const eid_session_key *key = eid_session_default_key(user);

    EID_TRY(try_key(user, id, key, best));
    for (size_t i = 0; (key = eid_session_key_at(user, i)) != NULL; i++)
        EID_TRY(try_key(user, id, key, best));
    return EID_OK;
}

static eid_status no_right(const eid_user *user, const eid_id *id, const eid_session_key *only)
{
    char id_text[EID_ID_TEXT_SIZE], key_text[EID_PUBKEY_TEXT_SIZE];

    eid_id_format(id, id_text);
    if (only == NULL)
        return eid_fail(EID_ERR_NO_KEY_FOR_DATABASE,
                        "the database can not be tracked: no key of the user \"%s\" has a right in %s", user->name, id_text);
    eid_pubkey_format(&only->pubkey, key_text);
    return eid_fail(EID_ERR_NO_KEY_FOR_DATABASE, "the database can not be tracked: the key %s has no right in %s", key_text,
                    id_text);
}

/* `only` NULL: the strongest key. eid_sigkey_free the identity. */
static eid_status discover(eid_user *user, const eid_id *id, const eid_session_key *only, finding *out)
{
    finding best;

    memset(&best, 0, sizeof best);
    eid_status status = only != NULL ? try_key(user, id, only, &best) : try_all(user, id, &best);
    if (status == EID_OK && best.key == NULL)
        status = no_right(user, id, only);
    if (status == EID_OK)
        *out = best;
    else
        eid_sigkey_free(&best.identity);
    return status;
}

/* ---- Adding and changing ---- */

typedef struct change {
    eid_user *user;
    const eid_database_preferences *wanted;
    const eid_session_key *key; /* the one that was asked for; NULL: none */
    eid_txn *txn;
} change;

static eid_status stage_discovered(change *c, eid_database_preferences *row, bool is_new)
{
    finding found;

    EID_TRY(discover(c->user, &row->database_id, c->key, &found));
    eid_status status =
        eid_mapping_stage(c->user, c->txn, found.key, &row->database_id, &found.identity, true, false);
    eid_sigkey_free(&found.identity);
    EID_TRY(status);
    row->key_id = found.key->pubkey;
    return eid_preferences_stage(c->user, c->txn, row, is_new);
}

/* *changed false: the row says just this already. */
static eid_status stage_change(change *c, bool *changed)
{
    const eid_database_preferences *wanted = c->wanted;
    eid_database_preferences row = EID_DATABASE_PREFERENCES_INIT, before = EID_DATABASE_PREFERENCES_INIT;

    eid_status status = eid_preferences_find(c->user, &wanted->database_id, &before);
    bool is_new = status == EID_ERR_DATABASE_NOT_TRACKED;
    if (status != EID_OK && !is_new)
        return status;
    bool other_key = is_new || (c->key != NULL && !eid_pubkey_equal(&c->key->pubkey, &before.key_id));
    *changed = other_key || !eid_sync_settings_equal(&before.sync_settings, &wanted->sync_settings);
    row.database_id = wanted->database_id;
    row.key_id = before.key_id;
    row.sync_settings = wanted->sync_settings; /* lent */
    if (other_key)
        status = stage_discovered(c, &row, is_new);
    else
        status = *changed ? eid_preferences_stage(c->user, c->txn, &row, false) : EID_OK;
    eid_database_preferences_clear(&before);
    return status;
}

/* change_mutex is held. */
static eid_status commit_change(eid_user *user, const eid_database_preferences *wanted, bool *changed)
{
    static const eid_pubkey none;
    change c = {.user = user, .wanted = wanted};

    if (!eid_pubkey_equal(&wanted->key_id, &none)) {
        c.key = eid_session_find_key(user, &wanted->key_id);
        if (c.key == NULL)
            return eid_session_no_key(&wanted->key_id);
    }
    EID_TRY(eid_database_new_transaction(user->private_database, &c.txn));
    eid_status status = stage_change(&c, changed);
    if (status == EID_OK && *changed)
        status = eid_txn_commit(c.txn, NULL);
    eid_txn_free(c.txn);
    eid_mappings_settle(user, status);
    return status;
}

eid_status eid_user_set_prefs(eid_user *user, const eid_database_preferences *preferences)
{
    EID_NEED(user && preferences);
    eid_database_preferences wanted = EID_DATABASE_PREFERENCES_INIT;
    bool changed = false;

    EID_TRY(eid_sized_take(&wanted, sizeof wanted, preferences, "eid_database_preferences"));
    EID_TRY(eid_sync_settings_copy(&preferences->sync_settings, &wanted.sync_settings));
    pthread_mutex_lock(&user->instance->change_mutex);
    eid_status status = commit_change(user, &wanted, &changed);
    pthread_mutex_unlock(&user->instance->change_mutex);
    eid_sync_settings_clear(&wanted.sync_settings);
    if (status == EID_OK && changed)
        announce(user, &preferences->database_id);
    return status;
}

eid_status eid_user_add_database(eid_user *user, const eid_database_preferences *preferences)
{
    return eid_user_set_prefs(user, preferences);
}

/* Reads and writes under one lock: what another session changes in between is not written over. */
static eid_status switch_sync(eid_user *user, const eid_id *id, bool enabled)
{
    eid_database_preferences row = EID_DATABASE_PREFERENCES_INIT;
    bool changed = false;

    pthread_mutex_lock(&user->instance->change_mutex);
    eid_status status = eid_preferences_find(user, id, &row);
    if (status == EID_OK) {
        row.sync_settings.sync_enabled = enabled;
        memset(&row.key_id, 0, sizeof row.key_id); /* it stays */
        status = commit_change(user, &row, &changed);
    }
    pthread_mutex_unlock(&user->instance->change_mutex);
    eid_database_preferences_clear(&row);
    if (status == EID_OK && changed)
        announce(user, id);
    return status;
}

eid_status eid_user_enable_sync(eid_user *user, const eid_id *id)
{
    EID_NEED(user && id);
    return switch_sync(user, id, true);
}

eid_status eid_user_disable_sync(eid_user *user, const eid_id *id)
{
    EID_NEED(user && id);
    return switch_sync(user, id, false);
}

/* ---- Removing ---- */

/* The tracked row said which key opens the database; from now on the mapping does. */
static eid_status stage_removal(eid_user *user, eid_txn *txn, const eid_id *id)
{
    char text[EID_ID_TEXT_SIZE];
    bool deleted;

    eid_id_format(id, text);
    EID_TRY(eid_mappings_stage_rest(user, txn));
    EID_TRY(eid_table_delete(txn, EID_STORE_TRACKED_SINCE, text, NULL));
    EID_TRY(eid_table_delete(txn, EID_STORE_DATABASES, text, &deleted));
    return deleted ? EID_OK : not_tracked(id);
}

static eid_status remove_tracked(eid_user *user, const eid_id *id)
{
    eid_txn *txn;

    EID_TRY(eid_database_new_transaction(user->private_database, &txn));
    eid_status status = stage_removal(user, txn, id);
    if (status == EID_OK)
        status = eid_txn_commit(txn, NULL);
    eid_txn_free(txn);
    eid_mappings_settle(user, status);
    return status;
}

eid_status eid_user_remove_database(eid_user *user, const eid_id *id)
{
    EID_NEED(user && id);
    pthread_mutex_lock(&user->instance->change_mutex);
    eid_status status = remove_tracked(user, id);
    pthread_mutex_unlock(&user->instance->change_mutex);
    if (status == EID_OK)
        announce(user, id);
    return status;
}

/* ---- Asking ---- */

eid_status eid_user_database_prefs(eid_user *user, const eid_id *id, eid_database_preferences *out)
{
    EID_NEED(user && id && out);
    eid_database_preferences found;
    int64_t time;

    EID_TRY(added_at(user->private_database, id, &time));
    EID_TRY(eid_preferences_find(user, id, &found));
    found.added_at = time / 1000;
    *out = found;
    return EID_OK;
}

bool eid_user_is_sync_enabled(eid_user *user, const eid_id *id)
{
    eid_database_preferences row;

    if (eid_preferences_find(user, id, &row) != EID_OK)
        return false;
    bool enabled = row.sync_settings.sync_enabled;
    eid_database_preferences_clear(&row);
    return enabled;
}

typedef struct listing {
    eid_database_preferences *rows;
    size_t count;
    size_t capacity;
    eid_status status;
} listing;

static eid_status append(listing *list, const eid_database_preferences *row)
{
    void *items = list->rows;

    EID_TRY(eid_make_room(&items, &list->capacity, list->count, sizeof *row));
    list->rows = items;
    list->rows[list->count++] = *row;
    return EID_OK;
}

static bool list_row(const char *key, const char *text, size_t len, void *ctx)
{
    listing *list = ctx;
    eid_database_preferences row;

    eid_status status = parse_row(key, eid_slice_of(text, len), &row);
    if (status == EID_ERR_NO_MEMORY) {
        list->status = status;
        return false;
    }
    if (status != EID_OK) {
        eid_log(EID_LOG_WARN, "the tracked database in row %.160s can not be read and is left out: %s", key,
                eid_last_error());
        return true;
    }
    list->status = append(list, &row);
    if (list->status != EID_OK)
        eid_database_preferences_clear(&row);
    return list->status == EID_OK;
}

static eid_status read_rows(eid_database *private_database, eid_database_preferences **out, size_t *count)
{
    listing list = {NULL, 0, 0, EID_OK};
    eid_status status = eid_database_table_scan(private_database, EID_STORE_DATABASES, NULL, list_row, &list);

    if (status == EID_OK)
        status = list.status;
    if (status == EID_OK && list.rows == NULL && (list.rows = eid_alloc(1)) == NULL)
        status = eid_fail_memory();
    if (status != EID_OK) {
        eid_database_preferences_free(list.rows, list.count);
        return status;
    }
    *out = list.rows;
    *count = list.count;
    return EID_OK;
}

/* The times, met in the order of the rows, which is that of the ID's text. */
typedef struct dating {
    eid_database_preferences *rows;
    size_t count;
    size_t at;
} dating;

static bool date_row(const char *key, const char *text, size_t len, void *ctx)
{
    dating *d = ctx;
    char id[EID_ID_TEXT_SIZE];

    for (; d->at < d->count; d->at++) {
        eid_id_format(&d->rows[d->at].database_id, id);
        int order = strcmp(id, key);
        if (order == 0)
            d->rows[d->at].added_at = read_time(eid_slice_of(text, len));
        if (order > 0)
            return true;
    }
    return false;
}

static int by_time(const void *a, const void *b)
{
    const eid_database_preferences *left = a, *right = b;

    if (left->added_at != right->added_at)
        return left->added_at < right->added_at ? -1 : 1;
    return eid_id_compare_text(&left->database_id, &right->database_id);
}

eid_status eid_user_list_database_prefs(eid_user *user, eid_database_preferences **out, size_t *count)
{
    EID_NEED(user && out && count);
    dating d = {NULL, 0, 0};

    EID_TRY(read_rows(user->private_database, &d.rows, &d.count));
    eid_status status = eid_database_table_scan(user->private_database, EID_STORE_TRACKED_SINCE, NULL, date_row, &d);
    if (status != EID_OK) {
        eid_database_preferences_free(d.rows, d.count);
        return status;
    }
    if (d.count > 1)
        qsort(d.rows, d.count, sizeof *d.rows, by_time);
    for (size_t i = 0; i < d.count; i++)
        d.rows[i].added_at /= 1000;
    *out = d.rows;
    *count = d.count;
    return EID_OK;
}

/* ---- For sync ---- */

eid_status eid_wishes_read(eid_instance *instance, const eid_id *private_database, eid_database_preferences **out,
                           size_t *count)
{
    eid_database *database;

    EID_TRY(eid_database_open(instance, private_database, &database));
    eid_status status = read_rows(database, out, count);
    eid_database_close(database);
    return status;
}

eid_status eid_wish_read(eid_instance *instance, const eid_id *private_database, const eid_id *database,
                         eid_database_preferences *out)
{
    eid_database *opened;

    EID_TRY(eid_database_open(instance, private_database, &opened));
    eid_status status = read_row(opened, database, out);
    eid_database_close(opened);
    return status;
}

eid_status eid_user_is_active(eid_instance *instance, const char *uuid, bool *active)
{
    eid_user_record record;

    eid_status status = eid_user_record_load(instance, uuid, &record);
    *active = false;
    if (status == EID_ERR_USER_NOT_FOUND)
        return EID_OK;
    EID_TRY(status);
    *active = record.status == EID_USER_ACTIVE;
    eid_user_record_free(&record);
    return EID_OK;
}
