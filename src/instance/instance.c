/* SPDX-License-Identifier: Apache-2.0 */
/* Instances: opening a data file, creating the device key and the system databases in a new one (spec
 * users.md sections 1 to 3).
 *
 * A new instance is made in an order that survives being interrupted: system databases, then the secrets,
 * then the metadata. Only metadata makes a file an instance; whatever an interrupted creation left behind is
 * never looked at. */
#include "base/alloc.h"
#include "base/sized.h"
#include "crypto/key.h"
#include "instance/instance_int.h"
#include "instance/url.h"

#define META_METADATA "instance_metadata"

/* ---- Metadata ---- */

static eid_status store_metadata(eid_instance *instance, const eid_instance_metadata *metadata)
{
    eid_buf text;

    eid_buf_init(&text, EID_META_MAX);
    eid_instance_metadata_write(&text, metadata);
    eid_status status = eid_buf_status(&text);
    if (status == EID_OK)
        status = eid_storage_meta_store(eid_core_storage(instance->core), &(eid_meta_value){META_METADATA, eid_buf_slice(&text)}, 1);
    eid_buf_free(&text);
    return status;
}

/* ---- Creating and loading ---- */

static eid_status create_system_database(eid_instance *instance, const char *name, const char *description,
                                         eid_database **out)
{
    eid_doc *settings;
    eid_status status;

    EID_TRY(eid_doc_new(&settings));
    status = eid_doc_set_string(settings, "name", name);
    if (status == EID_OK)
        status = eid_doc_set_string(settings, "type", "system");
    if (status == EID_OK)
        status = eid_doc_set_string(settings, "description", description);
    if (status == EID_OK)
        status = eid_database_create(instance->core, settings, instance->device, out);
    eid_doc_free(settings);
    return status;
}

static eid_status create_instance(eid_instance *instance, const eid_instance_options *options)
{
    eid_instance_metadata *metadata = &instance->metadata;

    EID_TRY(eid_secrets_prepare(instance, options));
    if (options->device_key != NULL)
        EID_TRY(eid_keypair_copy(options->device_key, &instance->device));
    else
        EID_TRY(eid_keypair_generate(&instance->device));
    EID_TRY(create_system_database(instance, EID_DB_USERS, "User directory database", &instance->users));
    EID_TRY(create_system_database(instance, EID_DB_DATABASES, "Database tracking and registry",
                                   &instance->databases));
    eid_keypair_public(instance->device, &metadata->device);
    metadata->users_db = *eid_database_root_id(instance->users);
    metadata->databases_db = *eid_database_root_id(instance->databases);
    EID_TRY(eid_secrets_store(instance));
    return store_metadata(instance, metadata);
}

/* *found false: there is no instance in the file yet. */
static eid_status load_instance(eid_instance *instance, const eid_instance_options *options, bool *found)
{
    eid_buf text;

    eid_buf_init(&text, EID_META_MAX);
    eid_status status = eid_storage_meta_load(eid_core_storage(instance->core), META_METADATA, &text);
    *found = status == EID_OK;
    if (status == EID_ERR_NOT_FOUND)
        status = EID_OK;
    if (*found)
        status = eid_instance_metadata_read(eid_buf_slice(&text), &instance->metadata);
    eid_buf_free(&text);
    if (status != EID_OK || !*found)
        return status;
    EID_TRY(eid_secrets_load(instance, options));
    EID_TRY(eid_database_open_as(instance->core, &instance->metadata.users_db, instance->device, NULL,
                                 &instance->users));
    return eid_database_open_as(instance->core, &instance->metadata.databases_db, instance->device, NULL,
                                &instance->databases);
}

/* ---- Opening and closing ---- */

static eid_status open_instance(eid_instance *instance, const char *path, const eid_instance_options *options)
{
    eid_core_options core_options = {
        .path = path,
        .durability = options->durability,
        .must_exist = options->must_exist,
        .clock = eid_clock_system,
        .instance = instance,
    };
    bool found;

    if (options->now_ms != NULL)
        core_options.clock = (eid_clock){options->now_ms, options->clock_ctx};
    EID_TRY(eid_core_open(&core_options, &instance->core));
    EID_TRY(load_instance(instance, options, &found));
    if (!found && options->must_exist)
        return eid_fail(EID_ERR_NOT_INITIALIZED, "there is no instance in \"%.200s\" yet", path);
    if (!found)
        EID_TRY(create_instance(instance, options));
    return eid_directory_load(instance);
}

/* *again: the index was found damaged and is gone, so that another attempt makes it anew. */
static eid_status open_once(const char *path, const eid_instance_options *options, eid_instance **out, bool *again)
{
    eid_instance *instance = eid_alloc_zero(1, sizeof *instance);
    if (instance == NULL)
        return eid_fail_memory();
    pthread_mutex_init(&instance->mutex, NULL);
    pthread_mutex_init(&instance->change_mutex, NULL);
    pthread_mutex_init(&instance->login_mutex, NULL);
    pthread_mutex_init(&instance->sessions_mutex, NULL);
    eid_status status = open_instance(instance, path, options);
    if (status != EID_OK) {
        *again = instance->core != NULL && eid_storage_index_is_damaged(eid_core_storage(instance->core));
        eid_instance_close(instance);
        return status;
    }
    *out = instance;
    return EID_OK;
}

eid_status eid_instance_open_url_with(const char *url, const eid_instance_options *options,
                                      eid_instance **out)
{
    EID_NEED(url && out);
    eid_instance_options used = EID_INSTANCE_OPTIONS_INIT;
    char *path;
    bool again = false;

    if (options != NULL)
        EID_TRY(eid_sized_take(&used, sizeof used, options, "eid_instance_options"));
    EID_TRY(eid_crypto_init());
    EID_TRY(eid_url_to_path(url, &path));
    eid_status status = open_once(path, &used, out, &again);
    if (status == EID_ERR_CORRUPT && again)
        status = open_once(path, &used, out, &again);
    eid_free(path);
    return status;
}

eid_status eid_instance_open_url(const char *url, eid_instance **out)
{
    return eid_instance_open_url_with(url, NULL, out);
}

void eid_instance_close(eid_instance *instance)
{
    if (instance == NULL)
        return;
    if (instance->sync != NULL)
        instance->close_sync(instance->sync);
    eid_database_close(instance->users);
    eid_database_close(instance->databases);
    eid_core_close(instance->core);
    eid_keypair_free(instance->device);
    eid_secrets_free(instance);
    eid_directory_free(instance);
    pthread_mutex_destroy(&instance->sessions_mutex);
    pthread_mutex_destroy(&instance->login_mutex);
    pthread_mutex_destroy(&instance->change_mutex);
    pthread_mutex_destroy(&instance->mutex);
    eid_free(instance);
}

/* ---- Asking ---- */

void eid_instance_device_pubkey(const eid_instance *instance, eid_pubkey *out)
{
    eid_keypair_public(instance->device, out);
}

eid_core *eid_instance_core(eid_instance *instance)
{
    return instance->core;
}

const eid_keypair *eid_instance_device_key(const eid_instance *instance)
{
    return instance->device;
}

const eid_clock *eid_instance_clock(const eid_instance *instance)
{
    return eid_core_clock(instance->core);
}

eid_status eid_instance_list_databases(eid_instance *instance, eid_id **out, size_t *count)
{
    EID_NEED(instance && out && count);
    eid_storage *storage = eid_core_storage(instance->core);

    eid_storage_lock(storage);
    eid_status status = eid_storage_trees(storage, out, count);
    eid_storage_unlock(storage);
    return status;
}

eid_status eid_instance_flush(eid_instance *instance)
{
    EID_NEED(instance);
    eid_storage *storage = eid_core_storage(instance->core);

    eid_storage_lock(storage);
    eid_status status = eid_storage_flush(storage);
    eid_storage_unlock(storage);
    return status;
}

eid_status eid_database_open(eid_instance *instance, const eid_id *id, eid_database **out)
{
    EID_NEED(instance && id && out);
    return eid_database_open_as(instance->core, id, NULL, NULL, out);
}

bool eid_instance_is_system_database(eid_instance *instance, const eid_id *id)
{
    const eid_instance_metadata *metadata = &instance->metadata;

    if (eid_id_is_empty(id))
        return false;
    pthread_mutex_lock(&instance->mutex);
    bool found = eid_id_equal(id, &metadata->users_db) || eid_id_equal(id, &metadata->databases_db) ||
                 eid_id_equal(id, &metadata->sync_db);
    pthread_mutex_unlock(&instance->mutex);
    return found;
}

/* ---- For sync ---- */

eid_status eid_instance_get_sync_db(eid_instance *instance, eid_id *out)
{
    pthread_mutex_lock(&instance->mutex);
    *out = instance->metadata.sync_db;
    pthread_mutex_unlock(&instance->mutex);
    return EID_OK;
}

eid_status eid_instance_set_sync_db(eid_instance *instance, const eid_id *id)
{
    pthread_mutex_lock(&instance->mutex);
    eid_instance_metadata changed = instance->metadata;
    changed.sync_db = *id;
    eid_status status = store_metadata(instance, &changed);
    if (status == EID_OK)
        instance->metadata = changed;
    pthread_mutex_unlock(&instance->mutex);
    return status;
}

void eid_instance_attach_sync(eid_instance *instance, eid_sync *sync, void (*close)(eid_sync *sync))
{
    pthread_mutex_lock(&instance->mutex);
    instance->sync = sync;
    instance->close_sync = close;
    pthread_mutex_unlock(&instance->mutex);
}

eid_sync *eid_instance_attached_sync(eid_instance *instance)
{
    pthread_mutex_lock(&instance->mutex);
    eid_sync *sync = instance->sync;
    pthread_mutex_unlock(&instance->mutex);
    return sync;
}

void eid_instance_set_hooks(eid_instance *instance, const eid_instance_hooks *hooks)
{
    static const eid_instance_hooks none;

    pthread_mutex_lock(&instance->mutex);
    instance->hooks = hooks != NULL ? *hooks : none;
    pthread_mutex_unlock(&instance->mutex);
}
