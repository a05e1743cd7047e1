/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of users in memory: filled once from `_users`, which only this process writes, and kept up
 * afterwards. */
#include "base/alloc.h"
#include "base/log.h"
#include "codec/cid.h"
#include "codec/fields.h"
#include "instance/instance_int.h"

static eid_status add_locked(eid_instance *instance, const char *name, const char *uuid,
                             const eid_id *private_database)
{
    eid_map_entry *place, *set_place;
    eid_directory_entry *entry;
    bool created;

    EID_TRY(eid_map_put(instance->private_databases, eid_id_slice(private_database), &set_place, NULL));
    EID_TRY(eid_map_put(instance->by_name, eid_slice_text(name), &place, &created));
    if (!created) {
        entry = place->value;
        entry->count++;
        return EID_OK;
    }
    entry = eid_alloc_zero(1, sizeof *entry);
    if (entry == NULL) {
        eid_map_remove(instance->by_name, eid_slice_text(name));
        return eid_fail_memory();
    }
    memcpy(entry->uuid, uuid, strlen(uuid) + 1);
    entry->count = 1;
    place->value = entry;
    return EID_OK;
}

eid_status eid_directory_add(eid_instance *instance, const char *name, const char *uuid,
                             const eid_id *private_database)
{
    pthread_mutex_lock(&instance->mutex);
    eid_status status = add_locked(instance, name, uuid, private_database);
    pthread_mutex_unlock(&instance->mutex);
    return status;
}

void eid_directory_remove(eid_instance *instance, const char *name, const eid_id *private_database)
{
    pthread_mutex_lock(&instance->mutex);
    eid_directory_entry *entry = eid_map_get(instance->by_name, eid_slice_text(name));
    if (entry != NULL && --entry->count == 0)
        eid_free(eid_map_remove(instance->by_name, eid_slice_text(name)));
    if (private_database != NULL)
        eid_map_remove(instance->private_databases, eid_id_slice(private_database));
    pthread_mutex_unlock(&instance->mutex);
}

bool eid_directory_find(eid_instance *instance, const char *name, eid_directory_entry *out)
{
    pthread_mutex_lock(&instance->mutex);
    const eid_directory_entry *entry = eid_map_get(instance->by_name, eid_slice_text(name));
    if (entry != NULL)
        *out = *entry;
    pthread_mutex_unlock(&instance->mutex);
    return entry != NULL;
}

/* ---- Reading the table ---- */

typedef struct load {
    eid_instance *instance;
    eid_status status;
} load;

/* Reads one row; *readable false, with a line in the log, for a row that is not a user record. */
static eid_status read_row(const char *key, const char *row, size_t len, eid_user_record *out, bool *readable)
{
    eid_status status = EID_ERR_SYNTAX;

    if (strlen(key) < EID_UUID_TEXT_SIZE)
        status = eid_user_record_read(eid_slice_of(row, len), out);
    else
        eid_fail(status, "its key is longer than a UUID");
    *readable = status == EID_OK;
    if (*readable || status == EID_ERR_NO_MEMORY)
        return status;
    eid_log(EID_LOG_WARN, "the user record %.64s can not be read and is left out: %s", key, eid_last_error());
    return EID_OK;
}

static bool load_row(const char *key, const char *row, size_t len, void *ctx)
{
    load *loading = ctx;
    eid_user_record record;
    bool readable;

    loading->status = read_row(key, row, len, &record, &readable);
    if (!readable)
        return loading->status == EID_OK;
    loading->status = eid_directory_add(loading->instance, record.username, key, &record.private_database);
    eid_user_record_free(&record);
    return loading->status == EID_OK;
}

/* A user that was removed: the row names its private database. */
static bool load_removed(const char *key, const char *row, size_t len, void *ctx)
{
    load *loading = ctx;
    eid_map_entry *place;
    eid_json reader;
    eid_id id;

    eid_json_init(&reader, eid_slice_of(row, len));
    eid_status status = eid_field_id(&reader, "private database", &id);
    eid_json_free(&reader);
    if (status == EID_OK)
        status = eid_map_put(loading->instance->private_databases, eid_id_slice(&id), &place, NULL);
    if (status != EID_OK && status != EID_ERR_NO_MEMORY) {
        eid_log(EID_LOG_WARN, "what is left of the user %.64s can not be read: %s", key, eid_last_error());
        status = EID_OK;
    }
    loading->status = status;
    return status == EID_OK;
}

eid_status eid_directory_load(eid_instance *instance)
{
    load loading = {instance, EID_OK};

    EID_TRY(eid_map_new(&instance->by_name));
    EID_TRY(eid_map_new(&instance->private_databases));
    EID_TRY(eid_database_table_scan(instance->users, EID_STORE_USERS, NULL, load_row, &loading));
    EID_TRY(loading.status);
    EID_TRY(eid_database_table_scan(instance->users, EID_STORE_REMOVED_USERS, NULL, load_removed, &loading));
    return loading.status;
}

void eid_directory_free(eid_instance *instance)
{
    eid_map_free(instance->by_name, eid_free);
    eid_map_free(instance->private_databases, NULL);
}

bool eid_instance_is_private_database(eid_instance *instance, const eid_id *id)
{
    if (eid_instance_is_system_database(instance, id))
        return true;
    pthread_mutex_lock(&instance->mutex);
    bool found = eid_map_find(instance->private_databases, eid_id_slice(id)) != NULL;
    pthread_mutex_unlock(&instance->mutex);
    return found;
}

/* ---- Listing ---- */

typedef struct listing {
    eid_user_summary *users;
    size_t count;
    size_t capacity;
    eid_status status;
} listing;

static bool list_row(const char *key, const char *row, size_t len, void *ctx)
{
    listing *list = ctx;
    eid_user_record record;
    bool readable;

    list->status = read_row(key, row, len, &record, &readable);
    if (!readable)
        return list->status == EID_OK;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        eid_user_summary *grown = eid_realloc_array(list->users, capacity, sizeof *grown);
        if (grown == NULL) {
            eid_user_record_free(&record);
            list->status = eid_fail_memory();
            return false;
        }
        list->users = grown;
        list->capacity = capacity;
    }
    eid_user_summary *summary = &list->users[list->count++];
    memset(summary, 0, sizeof *summary);
    memcpy(summary->uuid, key, strlen(key));
    summary->private_database = record.private_database;
    eid_user_record_free(&record);
    return true;
}

eid_status eid_instance_user_summaries(eid_instance *instance, eid_user_summary **out, size_t *count)
{
    listing list = {NULL, 0, 0, EID_OK};
    eid_status status = eid_database_table_scan(instance->users, EID_STORE_USERS, NULL, list_row, &list);

    if (status == EID_OK)
        status = list.status;
    if (status == EID_OK && list.users == NULL && (list.users = eid_alloc(1)) == NULL)
        status = eid_fail_memory();
    if (status != EID_OK) {
        eid_free(list.users);
        return status;
    }
    *out = list.users;
    *count = list.count;
    return EID_OK;
}
