/* SPDX-License-Identifier: Apache-2.0 */
/* How the transports of the instance were made: records of `_sync` (sync-behaviour.md section 10), by which
 * they can be made again. A configuration is plain JSON in a text; secrets are never in it, since `_sync` is
 * a history. */
#include "base/alloc.h"
#include "sync/peers_int.h"
#include "sync/sync_int.h"

#define EID_STORE_TRANSPORTS "transports"

static eid_status make_record(const char *type, const eid_doc *config, eid_doc **out)
{
    eid_value *value = NULL;
    eid_doc *record = NULL;
    char *json = NULL;
    size_t len = 0;
    eid_status status = eid_value_new_doc(config, &value);
    if (status == EID_OK)
        status = eid_value_to_plain_json(value, &json, &len);
    if (status == EID_OK)
        status = eid_doc_new(&record);
    if (status == EID_OK)
        status = eid_doc_set_string(record, "type", type);
    if (status == EID_OK)
        status = eid_doc_set_text(record, "config.data", json, len);
    eid_value_free(value);
    eid_free(json);
    if (status != EID_OK) {
        eid_doc_free(record);
        return status;
    }
    *out = record;
    return EID_OK;
}

static eid_status forget(eid_sync *sync, const char *name)
{
    eid_txn *txn;
    EID_TRY(eid_database_new_transaction(sync->database, &txn));
    eid_status status = eid_docstore_delete(txn, EID_STORE_TRANSPORTS, name, NULL);
    if (status != EID_OK) {
        eid_txn_free(txn);
        return status;
    }
    return eid_txn_commit_free(txn, NULL);
}

/* Only what is new is written: programs say the same at each start. */
static eid_status write_under_lock(eid_sync *sync, const char *name, const eid_doc *record)
{
    const eid_doc *present;
    eid_value *value;
    EID_TRY(eid_peers_get_record(sync, EID_STORE_TRANSPORTS, name, &value, &present));
    eid_status status = EID_OK;
    if (record == NULL && present != NULL)
        status = forget(sync, name);
    else if (record != NULL && (present == NULL || !eid_doc_equal(present, record)))
        status = eid_peers_write_record(sync, EID_STORE_TRANSPORTS, name, record);
    eid_value_free(value);
    return status;
}

eid_status eid_sync_keep_transport(eid_sync *sync, const char *name, const char *type, const eid_doc *config)
{
    eid_doc *record = NULL;
    if (config != NULL)
        EID_TRY(make_record(type, config, &record));
    pthread_mutex_lock(&sync->write_mutex);
    eid_status status = write_under_lock(sync, name, record);
    pthread_mutex_unlock(&sync->write_mutex);
    eid_doc_free(record);
    return status;
}

static eid_status read_config(const char *name, const eid_doc *record, eid_doc **out)
{
    const char *text;
    size_t len;
    const eid_doc *inner;
    eid_value *value = NULL;
    eid_status status = eid_doc_get_text(record, "config.data", &text, &len);
    if (status == EID_OK)
        status = eid_value_from_plain_json(text, len, &value);
    if (status == EID_OK)
        status = eid_value_as_doc(value, &inner);
    if (status == EID_OK)
        status = eid_doc_copy(inner, out);
    eid_value_free(value);
    if (status != EID_OK && status != EID_ERR_NO_MEMORY)
        return eid_fail(EID_ERR_CORRUPT,
                        "Invalid data: the configuration of the transport %s can not be read", name);
    return status;
}

eid_status eid_sync_kept_transport(eid_sync *sync, const char *name, const char *type, eid_doc **out)
{
    const eid_doc *record;
    const char *found;
    size_t len;
    eid_value *value;
    EID_TRY(eid_peers_get_record(sync, EID_STORE_TRANSPORTS, name, &value, &record));
    eid_status status = EID_OK;
    if (record == NULL)
        status = eid_fail(EID_ERR_NOT_FOUND, "Transport not found: %s", name);
    else if (eid_doc_get_text(record, "type", &found, &len) != EID_OK)
        status =
            eid_fail(EID_ERR_CORRUPT, "Invalid data: the record of the transport %s names no type", name);
    else if (strcmp(found, type) != 0)
        status = eid_fail(EID_ERR_TYPE_MISMATCH,
                          "Transport config type mismatch for '%s': expected '%s', found '%.64s'", name, type,
                          found);
    else
        status = read_config(name, record, out);
    eid_value_free(value);
    return status;
}

eid_status eid_sync_each_kept_transport(eid_sync *sync,
                                        eid_status (*each)(eid_sync *sync, const char *name, void *ctx),
                                        void *ctx)
{
    const eid_doc_cursor *cursor = NULL;
    const eid_value *value;
    const char *name;
    size_t len;
    eid_doc *all;
    EID_TRY(eid_database_store_state(sync->database, EID_STORE_TRANSPORTS, &all));
    eid_status status = EID_OK;
    while (status == EID_OK && eid_doc_next(all, &cursor, &name, &len, &value)) {
        char *text = eid_memdup(name, len);
        status = text == NULL ? eid_fail_memory() : each(sync, text, ctx);
        eid_free(text);
    }
    eid_doc_free(all);
    return status;
}

eid_status eid_sync_check_transport_name(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > EID_LIMIT_TRANSPORT_NAME || strchr(name, '.') != NULL)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "a transport's name has 1 to %d bytes and no dots",
                        EID_LIMIT_TRANSPORT_NAME);
    return EID_OK;
}

eid_status eid_sync_transport_key(eid_sync *sync, const char *name, eid_keypair **out)
{
    eid_status status = eid_instance_copy_private_key(sync->instance, name, out);
    if (status != EID_ERR_PRIVATE_KEY_NOT_FOUND)
        return status;
    status = eid_instance_add_private_key(sync->instance, name, NULL);
    /* Somebody else was faster: his is as good. */
    if (status != EID_OK && status != EID_ERR_ALREADY_EXISTS)
        return status;
    return eid_instance_copy_private_key(sync->instance, name, out);
}
