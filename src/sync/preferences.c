/* SPDX-License-Identifier: Apache-2.0 */
/* What may be served: the sync preferences of all users of the instance, and its own, combined for each database (users.md
 * section 13).
 *
 * The result lies in `_sync`, as the Rust implementation keeps it, and in memory, where every request looks.
 * Both change together: first the record, then the memory.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/log.h"
#include "codec/cid.h"
#include "codec/fields.h"
#include "instance/records.h"
#include "sync/sync_int.h"

#define TEXT_MAX (1u << 20) /* of one text(JSON) value */

/* ---- The records' texts ---- */

static void write_users(eid_buf *buf, const eid_shared *shared)
{
    eid_buf_append_byte(buf, '[');
    for (size_t i = 0; i < shared->user_count; i++) {
        eid_buf_append_text(buf, i == 0 ? "{\"user_uuid\":" : ",{\"user_uuid\":");
        eid_json_write_cstr(buf, shared->users[i].uuid);
        eid_buf_append_byte(buf, '}');
    }
    eid_buf_append_byte(buf, ']');
}

static eid_status read_user(eid_json *reader, eid_shared *shared, size_t *capacity)
{
    static const char *const names[] = {"user_uuid"};
    EID_OBJECT(object, names, EID_FIELD(0));
    eid_slice text;
    size_t field;
    bool more;

    EID_TRY(eid_json_begin_object(reader, "users"));
    for (;;) {
        EID_TRY(eid_object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        EID_TRY(eid_json_read_text(reader, "user_uuid", &text));
        if (text.len >= EID_UUID_TEXT_SIZE)
            return eid_fail(EID_ERR_RANGE, "user_uuid is longer than a UUID");
        void *items = shared->users;
        EID_TRY(eid_make_room(&items, capacity, shared->user_count, sizeof *shared->users));
        shared->users = items;
        eid_shared_user *user = &shared->users[shared->user_count++];
        memset(user, 0, sizeof *user);
        memcpy(user->uuid, text.data, text.len);
    }
}

static eid_status read_users(eid_slice json, eid_shared *shared)
{
    eid_json reader;
    size_t capacity = 0;
    bool more = true;

    eid_json_init(&reader, json);
    eid_status status = eid_json_begin_array(&reader, "users");
    while (status == EID_OK && (status = eid_json_next_item(&reader, &more)) == EID_OK && more)
        status = read_user(&reader, shared, &capacity);
    eid_json_free(&reader);
    return status;
}

static eid_status read_settings(eid_slice json, eid_sync_settings *out)
{
    eid_json reader;
    eid_json_init(&reader, json);
    eid_status status = eid_sync_settings_read(&reader, out);
    eid_json_free(&reader);
    return status;
}

/* ---- Records in memory ---- */

void eid_shared_free(void *shared)
{
    eid_shared *record = shared;
    if (record == NULL)
        return;
    eid_sync_settings_clear(&record->settings);
    eid_free(record->users);
    eid_free(record);
}

static eid_status shared_new(const eid_id *database, eid_shared **out)
{
    eid_shared *shared = eid_alloc_zero(1, sizeof *shared);
    if (shared == NULL)
        return eid_fail_memory();
    shared->database = *database;
    eid_sync_settings_init(&shared->settings);
    *out = shared;
    return EID_OK;
}

static bool has_user(const eid_shared *shared, const char *uuid)
{
    for (size_t i = 0; i < shared->user_count; i++)
        if (strcmp(shared->users[i].uuid, uuid) == 0)
            return true;
    return false;
}

static bool is_empty(const eid_shared *shared)
{
    return shared->user_count == 0 && !shared->own;
}

/* Puts the record in the place of what was known; an empty one removes it. Takes the record on success. */
static eid_status remember(eid_sync *sync, eid_shared *shared)
{
    eid_map_entry *entry = NULL;
    eid_status status = EID_OK;
    void *before = NULL;
    eid_slice key = eid_id_slice(&shared->database);

    pthread_mutex_lock(&sync->cache_mutex);
    if (is_empty(shared)) {
        before = eid_map_remove(sync->shared, key);
    } else {
        status = eid_map_put(sync->shared, key, &entry, NULL);
        if (status == EID_OK) {
            before = entry->value;
            entry->value = shared;
        }
    }
    pthread_mutex_unlock(&sync->cache_mutex);
    eid_shared_free(before);
    if (status == EID_OK && is_empty(shared))
        eid_shared_free(shared);
    return status;
}

static const char *id_key(const eid_id *id, char text[EID_ID_TEXT_SIZE])
{
    eid_id_format(id, text);
    return text;
}

/* A record that can not be read keeps its database closed. */
static eid_status load_one(eid_sync *sync, eid_slice key, const eid_doc *record, const eid_doc *own)
{
    char text[EID_ID_TEXT_SIZE];
    eid_id database;
    eid_shared *shared = NULL;
    const char *users, *settings;
    size_t users_len, settings_len;

    eid_status status = eid_id_parse_slice(key, &database);
    if (status == EID_OK)
        status = eid_doc_get_text(record, "users", &users, &users_len);
    if (status == EID_OK)
        status = eid_doc_get_text(record, "combined_settings", &settings, &settings_len);
    if (status != EID_OK)
        return status == EID_ERR_NO_MEMORY ? status : EID_OK;
    EID_TRY(shared_new(&database, &shared));
    shared->own = eid_doc_contains(own, id_key(&database, text));
    status = read_users(eid_slice_of(users, users_len), shared);
    if (status == EID_OK)
        status = read_settings(eid_slice_of(settings, settings_len), &shared->settings);
    if (status == EID_OK)
        status = remember(sync, shared);
    if (status == EID_OK)
        return EID_OK;
    eid_shared_free(shared);
    if (status == EID_ERR_NO_MEMORY)
        return status;
    eid_log(EID_LOG_WARN, "sync: the record of %.*s is not readable: %s", (int)key.len,
            (const char *)key.data, eid_last_error());
    return EID_OK;
}

eid_status eid_shared_load(eid_sync *sync)
{
    eid_doc *state, *own;
    const eid_doc_cursor *cursor = NULL;
    const char *key;
    size_t key_len;
    const eid_value *value;
    eid_status status = EID_OK;

    EID_TRY(eid_database_store_state(sync->database, EID_STORE_OWN_DATABASES, &own));
    status = eid_database_store_state(sync->database, EID_STORE_DATABASE_USERS, &state);
    if (status != EID_OK) {
        eid_doc_free(own);
        return status;
    }
    while (status == EID_OK && eid_doc_next(state, &cursor, &key, &key_len, &value)) {
        const eid_doc *record;
        if (eid_value_as_doc(value, &record) == EID_OK)
            status = load_one(sync, eid_slice_of(key, key_len), record, own);
    }
    eid_doc_free(state);
    eid_doc_free(own);
    return status;
}

/* ---- The gate ---- */

bool eid_sync_is_shared(eid_sync *sync, const eid_id *database)
{
    pthread_mutex_lock(&sync->cache_mutex);
    const eid_shared *shared = eid_map_get(sync->shared, eid_id_slice(database));
    bool enabled = shared != NULL && shared->settings.sync_enabled;
    pthread_mutex_unlock(&sync->cache_mutex);
    return enabled && !eid_instance_is_private_database(sync->instance, database);
}

eid_status eid_sync_combined_settings(eid_sync *sync, const eid_id *database, eid_sync_settings *out)
{
    EID_NEED(sync && database && out);
    static const eid_sync_settings disabled = EID_SYNC_SETTINGS_DISABLED;

    pthread_mutex_lock(&sync->cache_mutex);
    const eid_shared *shared = eid_map_get(sync->shared, eid_id_slice(database));
    eid_status status = eid_sync_settings_copy(shared != NULL ? &shared->settings : &disabled, out);
    pthread_mutex_unlock(&sync->cache_mutex);
    return status;
}

bool eid_sync_wish(eid_sync *sync, const eid_id *database, eid_wish *out)
{
    *out = (eid_wish){false, 0};
    pthread_mutex_lock(&sync->cache_mutex);
    const eid_shared *shared = eid_map_get(sync->shared, eid_id_slice(database));
    bool enabled = shared != NULL && shared->settings.sync_enabled;
    if (enabled)
        *out = (eid_wish){shared->settings.sync_on_commit, shared->settings.interval_seconds};
    pthread_mutex_unlock(&sync->cache_mutex);
    return enabled;
}

eid_status eid_sync_shared_databases(eid_sync *sync, size_t limit, eid_id **out, size_t *count)
{
    size_t found = 0;
    pthread_mutex_lock(&sync->cache_mutex);
    eid_id *ids = eid_alloc_zero(eid_map_len(sync->shared) + 1, sizeof *ids);
    if (ids != NULL) {
        for (eid_map_entry *at = eid_map_first(sync->shared); at != NULL && found < limit;
             at = eid_map_next(sync->shared, at)) {
            const eid_shared *shared = at->value;
            if (shared->settings.sync_enabled)
                ids[found++] = shared->database;
        }
    }
    pthread_mutex_unlock(&sync->cache_mutex);
    if (ids == NULL)
        return eid_fail_memory();
    *out = ids;
    *count = found;
    return EID_OK;
}

/* ---- Recomputing ---- */

/* What is changed while it is worked out: the wishes of one user for one database or all, or the instance's own for one. */
typedef struct change {
    eid_sync *sync;
    const char *uuid;             /* NULL: the instance */
    const eid_id *private_database;
    eid_database_preferences *rows; /* what the user tracks; of one database: that row, if there is one */
    size_t row_count;
    eid_map *wishes;              /* binary ID -> the enabled rows */
    bool own;                     /* the instance: its wish now */
    eid_shared **affected;        /* what the records become, where they change */
    size_t affected_count;
    size_t affected_capacity;
} change;

static void change_free(change *c)
{
    for (size_t i = 0; i < c->affected_count; i++)
        eid_shared_free(c->affected[i]);
    eid_free(c->affected);
    eid_map_free(c->wishes, NULL);
    eid_database_preferences_free(c->rows, c->row_count);
}

/* Where another user keeps the preferences; the empty ID when that is not known. */
static eid_status private_database_of(eid_sync *sync, const char *uuid, eid_id *out)
{
    eid_value *value;
    const char *text;
    char path[EID_UUID_TEXT_SIZE + 32];

    memset(out, 0, sizeof *out);
    snprintf(path, sizeof path, "%s.preferences_db_id", uuid);
    eid_status status = eid_database_get(sync->database, EID_STORE_USER_TRACKING, path, &value);
    if (status == EID_ERR_KEY_NOT_FOUND)
        return EID_OK;
    EID_TRY(status);
    if (eid_value_as_text(value, &text, NULL) == EID_OK && eid_id_parse(text, out) != EID_OK)
        memset(out, 0, sizeof *out);
    eid_value_free(value);
    return EID_OK;
}

static eid_status combine_if_enabled(eid_shared *shared, const eid_sync_settings *wish)
{
    return wish->sync_enabled ? eid_sync_settings_combine(&shared->settings, wish) : EID_OK;
}

static eid_status add_wish_of_other(eid_sync *sync, const char *uuid, eid_shared *shared)
{
    eid_database_preferences row;
    eid_id private_database;
    bool active;

    EID_TRY(private_database_of(sync, uuid, &private_database));
    EID_TRY(eid_user_is_active(sync->instance, uuid, &active));
    if (!active || eid_id_is_empty(&private_database))
        return EID_OK;
    eid_status status = eid_wish_read(sync->instance, &private_database, &shared->database, &row);
    if (status == EID_ERR_DATABASE_NOT_FOUND || status == EID_ERR_DATABASE_NOT_TRACKED)
        return EID_OK;
    EID_TRY(status);
    status = combine_if_enabled(shared, &row.sync_settings);
    eid_database_preferences_clear(&row);
    return status;
}

static eid_status add_user(eid_shared *shared, const char *uuid)
{
    eid_shared_user *grown = eid_realloc_array(shared->users, shared->user_count + 1, sizeof *grown);
    if (grown == NULL)
        return eid_fail_memory();
    memset(&grown[shared->user_count], 0, sizeof *grown);
    memcpy(grown[shared->user_count++].uuid, uuid, strlen(uuid));
    shared->users = grown;
    return EID_OK;
}

static eid_status add_user_with_wish(const change *c, const char *uuid, const eid_database_preferences *changed,
                                     eid_shared *shared)
{
    EID_TRY(add_user(shared, uuid));
    return changed != NULL ? combine_if_enabled(shared, &changed->sync_settings) : add_wish_of_other(c->sync, uuid, shared);
}

/* Users and combined settings of one database after the change, users in the order they came in. `before` may be NULL. */
static eid_status recombine(const change *c, const eid_shared *before, eid_shared *shared)
{
    static const eid_sync_settings own = EID_SYNC_SETTINGS_ON_COMMIT;
    const eid_database_preferences *wish =
        c->wishes == NULL ? NULL : eid_map_get(c->wishes, eid_id_slice(&shared->database));

    shared->own = c->uuid == NULL ? c->own : before != NULL && before->own;
    if (shared->own)
        EID_TRY(eid_sync_settings_combine(&shared->settings, &own));
    for (size_t i = 0; before != NULL && i < before->user_count; i++) {
        const char *uuid = before->users[i].uuid;
        bool is_changed = c->uuid != NULL && strcmp(uuid, c->uuid) == 0;
        if (!is_changed || wish != NULL)
            EID_TRY(add_user_with_wish(c, uuid, is_changed ? wish : NULL, shared));
    }
    if (wish != NULL && !has_user(shared, c->uuid))
        EID_TRY(add_user_with_wish(c, c->uuid, wish, shared));
    return EID_OK;
}

static bool same_record(const eid_shared *a, const eid_shared *b)
{
    if (a->user_count != b->user_count || a->own != b->own || !eid_sync_settings_equal(&a->settings, &b->settings))
        return false;
    return a->user_count == 0 || memcmp(a->users, b->users, a->user_count * sizeof *a->users) == 0;
}

/* Only write_mutex holders change the map, and this is one: it may be read without the cache's mutex. */
static eid_status work_out(change *c, const eid_id *database)
{
    const eid_shared *before = eid_map_get(c->sync->shared, eid_id_slice(database));
    eid_shared *after;
    void *items = c->affected;

    if (eid_instance_is_private_database(c->sync->instance, database))
        return EID_OK;
    EID_TRY(eid_make_room(&items, &c->affected_capacity, c->affected_count, sizeof *c->affected));
    c->affected = items;
    EID_TRY(shared_new(database, &after));
    eid_status status = recombine(c, before, after);
    if (status != EID_OK || (before == NULL ? is_empty(after) : same_record(before, after))) {
        eid_shared_free(after);
        return status;
    }
    c->affected[c->affected_count++] = after;
    return EID_OK;
}

static eid_status work_out_all(change *c)
{
    for (eid_map_entry *at = eid_map_first(c->sync->shared); at != NULL; at = eid_map_next(c->sync->shared, at)) {
        const eid_shared *before = at->value;
        if (has_user(before, c->uuid) && eid_map_get(c->wishes, at->key) == NULL)
            EID_TRY(work_out(c, &before->database));
    }
    for (eid_map_entry *at = eid_map_first(c->wishes); at != NULL; at = eid_map_next(c->wishes, at)) {
        const eid_database_preferences *row = at->value;
        EID_TRY(work_out(c, &row->database_id));
    }
    return EID_OK;
}

static eid_status read_one_wish(change *c, const eid_id *database)
{
    eid_database_preferences row;
    eid_status status = eid_wish_read(c->sync->instance, c->private_database, database, &row);
    if (status == EID_ERR_DATABASE_NOT_TRACKED)
        return EID_OK;
    EID_TRY(status);
    c->rows = eid_alloc_zero(1, sizeof row);
    if (c->rows == NULL) {
        eid_database_preferences_clear(&row);
        return eid_fail_memory();
    }
    c->rows[c->row_count++] = row;
    return EID_OK;
}

static eid_status read_wishes(change *c, const eid_id *database, bool active)
{
    eid_map_entry *entry;

    EID_TRY(eid_map_new(&c->wishes));
    if (active && database != NULL)
        EID_TRY(read_one_wish(c, database));
    else if (active)
        EID_TRY(eid_wishes_read(c->sync->instance, c->private_database, &c->rows, &c->row_count));
    for (size_t i = 0; i < c->row_count; i++) {
        if (!c->rows[i].sync_settings.sync_enabled)
            continue;
        EID_TRY(eid_map_put(c->wishes, eid_id_slice(&c->rows[i].database_id), &entry, NULL));
        entry->value = &c->rows[i];
    }
    return EID_OK;
}

/* ---- Storing ---- */

static eid_status set_json(eid_doc *record, const char *field, const eid_buf *json)
{
    EID_TRY(eid_buf_status(json));
    return eid_doc_set_text(record, field, (const char *)json->data, json->len);
}

static eid_status stage_shared(eid_txn *txn, const eid_shared *shared)
{
    char id[EID_ID_TEXT_SIZE];
    eid_doc *record;
    eid_buf users, settings;

    eid_id_format(&shared->database, id);
    if (is_empty(shared))
        return eid_docstore_delete(txn, EID_STORE_DATABASE_USERS, id, NULL);
    EID_TRY(eid_doc_new(&record));
    eid_buf_init(&users, TEXT_MAX);
    eid_buf_init(&settings, TEXT_MAX);
    write_users(&users, shared);
    eid_sync_settings_write(&settings, &shared->settings);
    eid_status status = set_json(record, "users", &users);
    if (status == EID_OK)
        status = set_json(record, "combined_settings", &settings);
    if (status == EID_OK)
        status = eid_docstore_set_doc(txn, EID_STORE_DATABASE_USERS, id, record);
    eid_buf_free(&users);
    eid_buf_free(&settings);
    eid_doc_free(record);
    return status;
}

static eid_status stage_tracking(eid_txn *txn, const change *c, const eid_buf *tips)
{
    char id[EID_ID_TEXT_SIZE];
    eid_doc *record;
    eid_id_format(c->private_database, id);
    EID_TRY(eid_doc_new(&record));
    eid_status status = eid_doc_set_string(record, "preferences_db_id", id);
    if (status == EID_OK)
        status = set_json(record, "preferences_tips", tips);
    if (status == EID_OK)
        status = eid_docstore_set_doc(txn, EID_STORE_USER_TRACKING, c->uuid, record);
    eid_doc_free(record);
    return status;
}

static eid_status stage_own(eid_txn *txn, const change *c, const eid_id *database)
{
    char id[EID_ID_TEXT_SIZE];
    eid_id_format(database, id);
    return c->own ? eid_docstore_set_bool(txn, EID_STORE_OWN_DATABASES, id, true)
                  : eid_docstore_delete(txn, EID_STORE_OWN_DATABASES, id, NULL);
}

/* `tips`: of the user's private database. `database`: the one of the instance's wish. */
static eid_status store_change(change *c, const eid_buf *tips, const eid_id *database)
{
    eid_txn *txn;
    EID_TRY(eid_database_new_transaction(c->sync->database, &txn));
    eid_status status = c->uuid != NULL ? stage_tracking(txn, c, tips) : stage_own(txn, c, database);
    for (size_t i = 0; i < c->affected_count && status == EID_OK; i++)
        status = stage_shared(txn, c->affected[i]);
    if (status == EID_OK)
        status = eid_txn_commit(txn, NULL);
    eid_txn_free(txn);
    return status;
}

/* Memory follows the record. Closing a gate can not fail; one that can not be opened for want of memory stays closed. The
 * IDs of what changed are left in `told`. */
static eid_status apply(change *c, eid_id *told)
{
    eid_status failure = EID_OK;
    for (size_t i = 0; i < c->affected_count; i++) {
        told[i] = c->affected[i]->database;
        eid_status status = remember(c->sync, c->affected[i]);
        if (status == EID_OK)
            c->affected[i] = NULL;
        else
            failure = status;
    }
    return failure;
}

/* Without locks: whoever listens may ask and may change things. */
static void tell(eid_sync *sync, const eid_id *databases, size_t count)
{
    pthread_mutex_lock(&sync->cache_mutex);
    eid_settings_hook hook = sync->settings_hook;
    void *ctx = sync->settings_hook_ctx;
    pthread_mutex_unlock(&sync->cache_mutex);
    for (size_t i = 0; i < count && hook != NULL; i++)
        hook(sync, &databases[i], ctx);
}

void eid_sync_set_settings_hook(eid_sync *sync, eid_settings_hook hook, void *ctx)
{
    pthread_mutex_lock(&sync->cache_mutex);
    sync->settings_hook = hook;
    sync->settings_hook_ctx = ctx;
    pthread_mutex_unlock(&sync->cache_mutex);
}

/* Stores what was worked out and takes it over; write_mutex is held. */
static eid_status settle(change *c, const eid_buf *tips, const eid_id *database, eid_id **told, size_t *told_count)
{
    eid_id *ids = eid_alloc_zero(c->affected_count + 1, sizeof *ids);
    if (ids == NULL)
        return eid_fail_memory();
    eid_status status = store_change(c, tips, database);
    if (status != EID_OK) {
        eid_free(ids);
        return status;
    }
    *told = ids;
    *told_count = c->affected_count;
    return apply(c, ids);
}

/* ---- A user's change ---- */

/* The tips of the private database as the JSON text that is kept in the record; none for a user whose wishes do not count, so
 * that they are taken up when they count again. */
static eid_status write_tips(eid_sync *sync, const eid_id *database, bool active, eid_buf *out)
{
    eid_id *tips = NULL;
    size_t count = 0;
    if (active)
        EID_TRY(eid_core_tips(sync->core, database, &tips, &count));
    eid_buf_append_byte(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i != 0)
            eid_buf_append_byte(out, ',');
        eid_write_id_text(out, &tips[i]);
    }
    eid_buf_append_byte(out, ']');
    eid_free(tips);
    return eid_buf_status(out);
}

/* *known false: the user has no record yet. */
static eid_status compare_tips(eid_sync *sync, const char *uuid, const eid_buf *tips, bool *known, bool *same)
{
    char path[EID_UUID_TEXT_SIZE + 32];
    eid_value *value;
    const char *text;
    size_t len;

    snprintf(path, sizeof path, "%s.preferences_tips", uuid);
    eid_status status = eid_database_get(sync->database, EID_STORE_USER_TRACKING, path, &value);
    *known = status == EID_OK;
    *same = false;
    if (status == EID_ERR_KEY_NOT_FOUND)
        return EID_OK;
    EID_TRY(status);
    *same = eid_value_as_text(value, &text, &len) == EID_OK &&
            eid_slice_equal(eid_slice_of(text, len), eid_buf_slice(tips));
    eid_value_free(value);
    return EID_OK;
}

/* For one database what the user wishes for it is looked at whether the tips changed or not, and the tips are written only
 * with it: the others wait for the next start, which compares them. */
static eid_status change_of_user(change *c, const eid_id *database, eid_buf *tips, eid_id **told, size_t *told_count)
{
    bool active, known, same;

    EID_TRY(eid_user_is_active(c->sync->instance, c->uuid, &active));
    EID_TRY(write_tips(c->sync, c->private_database, active, tips));
    EID_TRY(compare_tips(c->sync, c->uuid, tips, &known, &same));
    if (same && active)
        return EID_OK;
    EID_TRY(read_wishes(c, database, active));
    EID_TRY(database != NULL ? work_out(c, database) : work_out_all(c));
    if (c->affected_count == 0 && (same || (known && database != NULL)))
        return EID_OK;
    return settle(c, tips, NULL, told, told_count);
}

static eid_status sync_user(eid_sync *sync, const char *uuid, const eid_id *private_database, const eid_id *database)
{
    change c = {.sync = sync, .uuid = uuid, .private_database = private_database};
    eid_id *told = NULL;
    size_t told_count = 0;
    eid_buf tips;

    if (strlen(uuid) >= EID_UUID_TEXT_SIZE)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "the ID of the user is not a UUID");
    eid_buf_init(&tips, TEXT_MAX);
    pthread_mutex_lock(&sync->write_mutex);
    eid_status status = change_of_user(&c, database, &tips, &told, &told_count);
    pthread_mutex_unlock(&sync->write_mutex);
    change_free(&c);
    eid_buf_free(&tips);
    tell(sync, told, told_count);
    eid_free(told);
    return status;
}

void eid_preferences_changed(eid_instance *instance, const char *user_uuid, const eid_id *private_database,
                             const eid_id *database, void *ctx)
{
    (void)instance;
    if (sync_user(ctx, user_uuid, private_database, database) != EID_OK)
        eid_log(EID_LOG_ERROR, "sync: the preferences of user %s could not be taken over: %s", user_uuid,
                eid_last_error());
}

/* ---- The instance's own wishes ---- */

eid_status eid_sync_set_database_enabled(eid_sync *sync, const eid_id *database, bool enabled)
{
    EID_NEED(sync && database);
    change c = {.sync = sync, .own = enabled};
    eid_id *told = NULL;
    size_t told_count = 0;
    char text[EID_ID_TEXT_SIZE];

    eid_id_format(database, text);
    if (!eid_core_holds(sync->core, database))
        return eid_fail(EID_ERR_DATABASE_NOT_FOUND, "Database not found: %s", text);
    if (eid_instance_is_private_database(sync->instance, database))
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "%s is a database of the instance itself, which is never synced", text);
    pthread_mutex_lock(&sync->write_mutex);
    eid_status status = work_out(&c, database);
    if (status == EID_OK && c.affected_count > 0)
        status = settle(&c, NULL, database, &told, &told_count);
    pthread_mutex_unlock(&sync->write_mutex);
    change_free(&c);
    tell(sync, told, told_count);
    eid_free(told);
    return status;
}

void eid_sync_on_new_database(eid_instance *instance, const eid_id *database, void *ctx)
{
    char text[EID_ID_TEXT_SIZE];

    (void)instance;
    if (eid_sync_set_database_enabled(ctx, database, true) == EID_OK)
        return;
    eid_id_format(database, text);
    eid_log(EID_LOG_ERROR, "sync: the new database %s does not take part: %s", text, eid_last_error());
}
