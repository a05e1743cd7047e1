/* SPDX-License-Identifier: Apache-2.0 */
/* What may be served: the sync preferences of all users of the instance, combined for each database (users.md
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

static void write_settings(eid_buf *buf, const eid_sync_settings *settings)
{
    eid_buf_append_text(buf, settings->sync_enabled ? "{\"sync_enabled\":true" : "{\"sync_enabled\":false");
    eid_buf_append_text(buf,
                        settings->sync_on_commit ? ",\"sync_on_commit\":true" : ",\"sync_on_commit\":false");
    eid_buf_append_text(buf, ",\"interval_seconds\":");
    if (settings->interval_seconds == 0)
        eid_buf_append_text(buf, "null");
    else
        eid_json_write_u64(buf, settings->interval_seconds);
    eid_buf_append_text(buf, ",\"properties\":{}}");
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

static eid_status read_settings_fields(eid_json *reader, eid_sync_settings *out)
{
    enum { ENABLED, ON_COMMIT, INTERVAL };
    static const char *const names[] = {"sync_enabled", "sync_on_commit", "interval_seconds"};
    EID_OBJECT(object, names, EID_FIELD(ENABLED) | EID_FIELD(ON_COMMIT));
    size_t field;
    bool more, was_null;

    EID_TRY(eid_json_begin_object(reader, "combined_settings"));
    for (;;) {
        EID_TRY(eid_object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        if (field == ENABLED) {
            EID_TRY(eid_json_read_bool(reader, names[field], &out->sync_enabled));
        } else if (field == ON_COMMIT) {
            EID_TRY(eid_json_read_bool(reader, names[field], &out->sync_on_commit));
        } else {
            EID_TRY(eid_json_read_null(reader, &was_null));
            if (!was_null)
                EID_TRY(eid_json_read_u64(reader, names[field], &out->interval_seconds));
        }
    }
}

static eid_status read_settings(eid_slice json, eid_sync_settings *out)
{
    eid_json reader;
    eid_json_init(&reader, json);
    eid_status status = read_settings_fields(&reader, out);
    eid_json_free(&reader);
    return status;
}

/* ---- Records in memory ---- */

void eid_shared_free(void *shared)
{
    eid_shared *record = shared;
    if (record == NULL)
        return;
    eid_free(record->users);
    eid_free(record);
}

static eid_status shared_new(const eid_id *database, eid_shared **out)
{
    eid_shared *shared = eid_alloc_zero(1, sizeof *shared);
    if (shared == NULL)
        return eid_fail_memory();
    shared->database = *database;
    shared->settings.struct_size = sizeof shared->settings;
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

/* Puts the record in the place of what was known; one without users removes it. Takes the record on success.
 */
static eid_status remember(eid_sync *sync, eid_shared *shared)
{
    eid_map_entry *entry = NULL;
    eid_status status = EID_OK;
    void *before = NULL;
    eid_slice key = eid_id_slice(&shared->database);

    pthread_mutex_lock(&sync->cache_mutex);
    if (shared->user_count == 0) {
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
    if (status == EID_OK && shared->user_count == 0)
        eid_shared_free(shared);
    return status;
}

/* A record that can not be read keeps its database closed. */
static eid_status load_one(eid_sync *sync, eid_slice key, const eid_doc *record)
{
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
    eid_doc *state;
    const eid_doc_cursor *cursor = NULL;
    const char *key;
    size_t key_len;
    const eid_value *value;
    eid_status status = EID_OK;

    EID_TRY(eid_database_store_state(sync->database, EID_STORE_DATABASE_USERS, &state));
    while (status == EID_OK && eid_doc_next(state, &cursor, &key, &key_len, &value)) {
        const eid_doc *record;
        if (eid_value_as_doc(value, &record) == EID_OK)
            status = load_one(sync, eid_slice_of(key, key_len), record);
    }
    eid_doc_free(state);
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

/* One user's change while it is worked out. */
typedef struct change {
    eid_sync *sync;
    const char *uuid;
    eid_tracked_database *rows; /* of the user */
    size_t row_count;
    eid_shared **affected; /* what the records become */
    size_t affected_count;
    size_t affected_capacity;
} change;

static const eid_tracked_database *enabled_row(const eid_tracked_database *rows, size_t count,
                                               const eid_id *database)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].settings.sync_enabled && eid_id_equal(&rows[i].id, database))
            return &rows[i];
    return NULL;
}

static void combine(eid_sync_settings *into, const eid_sync_settings *other)
{
    into->sync_enabled |= other->sync_enabled;
    into->sync_on_commit |= other->sync_on_commit;
    if (other->interval_seconds != 0 &&
        (into->interval_seconds == 0 || other->interval_seconds < into->interval_seconds))
        into->interval_seconds = other->interval_seconds;
}

static eid_status read_rows(eid_sync *sync, const eid_id *private_database, eid_tracked_database **rows,
                            size_t *count)
{
    eid_database *database;
    EID_TRY(eid_database_open_as(sync->core, private_database, sync->device_key, NULL, &database));
    eid_status status = eid_tracked_databases_read(database, rows, count);
    eid_database_close(database);
    return status;
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

static eid_status add_wish_of_other(eid_sync *sync, const char *uuid, eid_shared *shared)
{
    eid_id private_database;
    eid_tracked_database *rows;
    size_t count;

    EID_TRY(private_database_of(sync, uuid, &private_database));
    if (eid_id_is_empty(&private_database))
        return EID_OK;
    eid_status status = read_rows(sync, &private_database, &rows, &count);
    if (status == EID_ERR_DATABASE_NOT_FOUND)
        return EID_OK;
    EID_TRY(status);
    const eid_tracked_database *row = enabled_row(rows, count, &shared->database);
    if (row != NULL)
        combine(&shared->settings, &row->settings);
    eid_free(rows);
    return EID_OK;
}

static eid_status add_user(eid_shared *shared, const eid_shared_user *user)
{
    eid_shared_user *grown = eid_realloc_array(shared->users, shared->user_count + 1, sizeof *grown);
    if (grown == NULL)
        return eid_fail_memory();
    grown[shared->user_count++] = *user;
    shared->users = grown;
    return EID_OK;
}

/* Users and combined settings of one database with the changed user's wish `row` (NULL: none any more).
 * `before` may be NULL. */
static eid_status recombine(const change *c, const eid_shared *before, const eid_tracked_database *row,
                            eid_shared *shared)
{
    eid_shared_user changed = {""};
    bool listed = false;

    memcpy(changed.uuid, c->uuid, strlen(c->uuid) + 1);
    for (size_t i = 0; before != NULL && i < before->user_count; i++) {
        bool is_changed = strcmp(before->users[i].uuid, c->uuid) == 0;
        listed |= is_changed;
        if (is_changed && row == NULL)
            continue;
        EID_TRY(add_user(shared, &before->users[i]));
        if (!is_changed)
            EID_TRY(add_wish_of_other(c->sync, before->users[i].uuid, shared));
    }
    if (row != NULL && !listed)
        EID_TRY(add_user(shared, &changed));
    if (row != NULL)
        combine(&shared->settings, &row->settings);
    return EID_OK;
}

static eid_status note_affected(change *c, const eid_id *database, const eid_shared *before,
                                const eid_tracked_database *row)
{
    void *items = c->affected;
    EID_TRY(eid_make_room(&items, &c->affected_capacity, c->affected_count, sizeof *c->affected));
    c->affected = items;
    EID_TRY(shared_new(database, &c->affected[c->affected_count]));
    eid_shared *shared = c->affected[c->affected_count++];
    return recombine(c, before, row, shared);
}

/* Only write_mutex holders change the map, and this is one: it may be read without the cache's mutex. */
static eid_status find_affected(change *c)
{
    eid_sync *sync = c->sync;
    for (eid_map_entry *at = eid_map_first(sync->shared); at != NULL; at = eid_map_next(sync->shared, at)) {
        const eid_shared *before = at->value;
        if (has_user(before, c->uuid) && enabled_row(c->rows, c->row_count, &before->database) == NULL)
            EID_TRY(note_affected(c, &before->database, before, NULL));
    }
    for (size_t i = 0; i < c->row_count; i++) {
        const eid_tracked_database *row = &c->rows[i];
        if (row->settings.sync_enabled && !eid_instance_is_private_database(sync->instance, &row->id))
            EID_TRY(note_affected(c, &row->id, eid_map_get(sync->shared, eid_id_slice(&row->id)), row));
    }
    return EID_OK;
}

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
    if (shared->user_count == 0)
        return eid_docstore_delete(txn, EID_STORE_DATABASE_USERS, id, NULL);
    EID_TRY(eid_doc_new(&record));
    eid_buf_init(&users, TEXT_MAX);
    eid_buf_init(&settings, TEXT_MAX);
    write_users(&users, shared);
    write_settings(&settings, &shared->settings);
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

static eid_status stage_tracking(eid_txn *txn, const char *uuid, const eid_id *private_database,
                                 const eid_buf *tips)
{
    char id[EID_ID_TEXT_SIZE];
    eid_doc *record;
    eid_id_format(private_database, id);
    EID_TRY(eid_doc_new(&record));
    eid_status status = eid_doc_set_string(record, "preferences_db_id", id);
    if (status == EID_OK)
        status = set_json(record, "preferences_tips", tips);
    if (status == EID_OK)
        status = eid_docstore_set_doc(txn, EID_STORE_USER_TRACKING, uuid, record);
    eid_doc_free(record);
    return status;
}

static eid_status store_change(change *c, const eid_id *private_database, const eid_buf *tips)
{
    eid_txn *txn;
    EID_TRY(eid_database_new_transaction(c->sync->database, &txn));
    eid_status status = stage_tracking(txn, c->uuid, private_database, tips);
    for (size_t i = 0; i < c->affected_count && status == EID_OK; i++)
        status = stage_shared(txn, c->affected[i]);
    if (status != EID_OK) {
        eid_txn_free(txn);
        return status;
    }
    return eid_txn_commit_free(txn, NULL);
}

static eid_status apply_change(eid_sync *sync, const char *uuid, const eid_id *private_database,
                               const eid_buf *tips)
{
    change c = {.sync = sync, .uuid = uuid};
    eid_status failure = EID_OK;
    eid_status status = read_rows(sync, private_database, &c.rows, &c.row_count);
    if (status == EID_OK)
        status = find_affected(&c);
    if (status == EID_OK)
        status = store_change(&c, private_database, tips);
    /* Closing a gate can not fail; one that can not be opened for want of memory stays closed. */
    for (size_t i = 0; i < c.affected_count; i++) {
        eid_status remembered = status == EID_OK ? remember(sync, c.affected[i]) : status;
        if (remembered != EID_OK)
            eid_shared_free(c.affected[i]);
        if (status == EID_OK && remembered != EID_OK)
            failure = remembered;
    }
    eid_free(c.affected);
    eid_free(c.rows);
    return status != EID_OK ? status : failure;
}

/* The tips of the private database as the JSON text that is kept in the record. */
static eid_status write_tips(eid_sync *sync, const eid_id *database, eid_buf *out)
{
    eid_id *tips;
    size_t count;
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

static eid_status already_seen(eid_sync *sync, const char *uuid, const eid_buf *tips, bool *seen)
{
    char path[EID_UUID_TEXT_SIZE + 32];
    eid_value *value;
    const char *text;
    size_t len;

    *seen = false;
    snprintf(path, sizeof path, "%s.preferences_tips", uuid);
    eid_status status = eid_database_get(sync->database, EID_STORE_USER_TRACKING, path, &value);
    if (status == EID_ERR_KEY_NOT_FOUND)
        return EID_OK;
    EID_TRY(status);
    *seen = eid_value_as_text(value, &text, &len) == EID_OK &&
            eid_slice_equal(eid_slice_of(text, len), eid_buf_slice(tips));
    eid_value_free(value);
    return EID_OK;
}

static eid_status sync_user(eid_sync *sync, const char *uuid, const eid_id *private_database)
{
    eid_buf tips;
    bool seen = false;

    if (strlen(uuid) >= EID_UUID_TEXT_SIZE)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "the ID of the user is not a UUID");
    eid_buf_init(&tips, TEXT_MAX);
    pthread_mutex_lock(&sync->write_mutex);
    eid_status status = write_tips(sync, private_database, &tips);
    if (status == EID_OK)
        status = already_seen(sync, uuid, &tips, &seen);
    if (status == EID_OK && !seen)
        status = apply_change(sync, uuid, private_database, &tips);
    pthread_mutex_unlock(&sync->write_mutex);
    eid_buf_free(&tips);
    return status;
}

void eid_preferences_changed(eid_instance *instance, const char *user_uuid, const eid_id *private_database,
                             void *ctx)
{
    (void)instance;
    if (sync_user(ctx, user_uuid, private_database) != EID_OK)
        eid_log(EID_LOG_ERROR, "sync: the preferences of user %s could not be taken over: %s", user_uuid,
                eid_last_error());
}
