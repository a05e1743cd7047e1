/* SPDX-License-Identifier: Apache-2.0 */
/* The registry `_index`: one record per store (spec stores.md section 4).
 *
 * A record is a plain Doc that merges field by field, so a field that is left out stays as it was. What is to
 * go gets a tombstone (settings) or is an atomic Doc (a new configuration). Type and configuration are
 * written along with every change, as other programs do. */
#include "store/store_int.h"

#define INDEX "_index"

static eid_status open_index(eid_txn *txn, eid_txn_store **out)
{
    return eid_txn_open_store(txn, INDEX, NULL, out);
}

/* ---- Height strategies in stored form: text that holds JSON text ---- */

static eid_status strategy_text(eid_height_strategy strategy, const char **out)
{
    if (strategy != EID_HEIGHT_INCREMENTAL && strategy != EID_HEIGHT_TIMESTAMP)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "%d is not a height strategy", (int)strategy);
    *out = strategy == EID_HEIGHT_TIMESTAMP ? "\"timestamp\"" : "\"incremental\"";
    return EID_OK;
}

eid_status eid_height_strategy_put(eid_doc *settings, eid_height_strategy strategy)
{
    EID_NEED(settings);
    const char *text = NULL;

    EID_TRY(strategy_text(strategy, &text));
    return eid_doc_set_string(settings, "height_strategy", text);
}

/* ---- Reading ---- */

/* Text stands for an empty configuration in some records. */
static const eid_doc *config_of(const eid_doc *record, const eid_doc *empty)
{
    const eid_doc *config;

    return eid_doc_get_doc(record, "config", &config) == EID_OK ? config : empty;
}

static const char *type_of(const eid_doc *record)
{
    const char *type;
    size_t len;

    if (eid_doc_get_text(record, "type", &type, &len) != EID_OK || strlen(type) != len)
        return NULL;
    return type;
}

typedef struct listing {
    eid_store_callback callback;
    void *ctx;
    eid_doc *empty; /* for records without a configuration */
} listing;

static bool show_store(eid_slice name, const eid_value *record, void *ctx)
{
    const listing *l = ctx;
    eid_store_info info = {.name = (const char *)name.data, .config = l->empty, .record = record};
    const eid_doc *doc;

    if (eid_value_as_doc(record, &doc) == EID_OK) {
        info.type = type_of(doc);
        info.config = config_of(doc, l->empty);
        eid_store_record_strategy(record, &info.has_height_strategy, &info.height_strategy);
    }
    return l->callback(&info, l->ctx);
}

/* The registry is small: whole documents, whose keys have their zero. */
static eid_status show_all(eid_doc *index, listing *l)
{
    const eid_doc_cursor *cursor = NULL;
    const char *name;
    size_t len;
    const eid_value *record;

    while (eid_doc_next(index, &cursor, &name, &len, &record))
        if (!show_store(eid_slice_of(name, len), record, l))
            break;
    return EID_OK;
}

/* Takes the document. */
static eid_status show_index(eid_doc *index, eid_store_callback callback, void *ctx)
{
    listing l = {callback, ctx, NULL};
    eid_status status = eid_doc_new(&l.empty);

    if (status == EID_OK)
        status = show_all(index, &l);
    eid_doc_free(l.empty);
    eid_doc_free(index);
    return status;
}

eid_status eid_registry_each(eid_txn *txn, eid_store_callback callback, void *ctx)
{
    EID_NEED(txn && callback);
    eid_txn_store *index;
    eid_doc *doc;

    EID_TRY(open_index(txn, &index));
    EID_TRY(eid_txn_store_all(index, &doc));
    return show_index(doc, callback, ctx);
}

eid_status eid_database_each_store(eid_database *database, eid_store_callback callback, void *ctx)
{
    EID_NEED(database && callback);
    eid_doc *doc;

    EID_TRY(eid_database_store_state(database, INDEX, &doc));
    return show_index(doc, callback, ctx);
}

static eid_status find_record(eid_txn *txn, const char *store, eid_value **out)
{
    EID_TRY(eid_txn_store_record(txn, store, out));
    if (*out == NULL)
        return eid_fail(EID_ERR_KEY_NOT_FOUND, "store %s is not registered in the database", store);
    return EID_OK;
}

eid_status eid_registry_find(eid_txn *txn, const char *store, eid_store_callback callback, void *ctx)
{
    EID_NEED(txn && store && callback);
    listing l = {callback, ctx, NULL};
    eid_value *record = NULL;

    EID_TRY(find_record(txn, store, &record));
    eid_status status = eid_doc_new(&l.empty);
    if (status == EID_OK)
        show_store(eid_slice_text(store), record, &l);
    eid_doc_free(l.empty);
    eid_value_free(record);
    return status;
}

/* ---- Writing ---- */

/* Stages a record under the store's name, exactly. */
static eid_status stage_record(eid_txn *txn, const char *store, const eid_doc *record)
{
    eid_txn_store *index;
    eid_doc *change = NULL;
    eid_value *value;

    EID_TRY(open_index(txn, &index));
    EID_TRY(eid_value_new_doc(record, &value));
    eid_status status = eid_doc_new(&change);
    if (status == EID_OK)
        status = eid_doc_put_child(change, eid_slice_text(store), value);
    if (status != EID_OK) {
        eid_value_free(value);
        eid_doc_free(change);
        return status;
    }
    status = eid_txn_store_apply(index, change);
    eid_doc_free(change);
    return status;
}

eid_status eid_registry_register(eid_txn *txn, const char *store, const char *type, const eid_doc *config)
{
    EID_NEED(txn && store && type);
    eid_value *old;
    eid_doc *record;

    EID_TRY(eid_store_name_check(store));
    if (type[0] == '\0')
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "a store needs a type, such as \"docstore:v0\"");
    EID_TRY(eid_txn_store_record(txn, store, &old));
    if (old != NULL) {
        eid_value_free(old);
        return eid_fail(EID_ERR_ALREADY_EXISTS, "store %s is registered in the database already", store);
    }
    EID_TRY(eid_txn_check_unregistered(txn, store, type));
    EID_TRY(eid_store_record_new(type, config, &record));
    eid_status status = stage_record(txn, store, record);
    eid_doc_free(record);
    if (status == EID_OK)
        eid_txn_note_registered(txn, store);
    return status;
}

/* What a change of the record says along with it: type and configuration as they are. */
static eid_status renew_record(eid_txn *txn, const char *store, eid_doc **out)
{
    eid_value *old = NULL;
    const eid_doc *doc;
    const char *type;
    eid_doc *empty = NULL, *record = NULL;

    EID_TRY(find_record(txn, store, &old));
    eid_status status = eid_doc_new(&empty);
    if (status == EID_OK && (eid_value_as_doc(old, &doc) != EID_OK || (type = type_of(doc)) == NULL))
        status = eid_fail(EID_ERR_CORRUPT, "the registry record of store %s can not be read", store);
    if (status == EID_OK)
        status = eid_store_record_new(type, config_of(doc, empty), &record);
    eid_doc_free(empty);
    eid_value_free(old);
    if (status == EID_OK)
        *out = record;
    return status;
}

/* Takes the record, also on failure. */
static eid_status stage_renewed(eid_txn *txn, const char *store, eid_doc *record)
{
    eid_status status = stage_record(txn, store, record);

    eid_doc_free(record);
    return status;
}

eid_status eid_registry_set_config(eid_txn *txn, const char *store, const eid_doc *config)
{
    EID_NEED(txn && store && config);
    eid_doc *record = NULL, *whole = NULL;
    const char *type;

    EID_TRY(renew_record(txn, store, &record));
    eid_status status = eid_doc_get_text(record, "type", &type, NULL);
    if (status == EID_OK && strncmp(type, "encrypted:", 10) == 0)
        status =
            eid_fail(EID_ERR_UNSUPPORTED,
                     "store %s is encrypted: under another configuration nothing in it would open", store);
    if (status == EID_OK)
        status = eid_doc_copy(config, &whole);
    if (status == EID_OK) {
        eid_doc_set_atomic(whole, true);
        status = eid_doc_set_doc(record, "config", whole);
    }
    eid_doc_free(whole);
    if (status != EID_OK) {
        eid_doc_free(record);
        return status;
    }
    return stage_renewed(txn, store, record);
}

eid_status eid_registry_set_height_strategy(eid_txn *txn, const char *store, eid_height_strategy strategy)
{
    EID_NEED(txn && store);
    eid_doc *record = NULL;
    const char *text = NULL;

    EID_TRY(strategy_text(strategy, &text));
    EID_TRY(renew_record(txn, store, &record));
    eid_status status = eid_doc_set_string(record, "settings.height_strategy", text);
    if (status != EID_OK) {
        eid_doc_free(record);
        return status;
    }
    return stage_renewed(txn, store, record);
}

eid_status eid_registry_clear_height_strategy(eid_txn *txn, const char *store)
{
    EID_NEED(txn && store);
    eid_doc *record = NULL;

    EID_TRY(renew_record(txn, store, &record));
    eid_status status = eid_doc_remove(record, "settings");
    if (status != EID_OK) {
        eid_doc_free(record);
        return status;
    }
    return stage_renewed(txn, store, record);
}
