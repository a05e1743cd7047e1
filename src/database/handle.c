/* SPDX-License-Identifier: Apache-2.0 */
/* Database handles: opening, and reading without a transaction. */
#include <eidetica/history.h>

#include "database/txn_int.h"

#include "base/alloc.h"
#include "codec/cid.h"
#include "crypto/blake3.h"
#include "crypto/key.h"

/* Cells or entries read under one hold of the lock. */
#define SLICE 256

/* ---- Handles ---- */

/* Copies both; `identity` NULL: Direct with the public key. */
static eid_status new_signer(const eid_keypair *key, const eid_sigkey *identity, eid_signer **out)
{
    eid_signer *signer = eid_alloc_zero(1, sizeof *signer);
    if (signer == NULL)
        return eid_fail_memory();
    atomic_init(&signer->refs, 1);
    eid_status status = eid_keypair_copy(key, &signer->key);
    if (status == EID_OK && identity != NULL) {
        status = eid_sigkey_copy(identity, &signer->identity);
    } else if (status == EID_OK) {
        eid_pubkey pubkey;
        eid_keypair_public(key, &pubkey);
        eid_sigkey_direct(&pubkey, &signer->identity);
    }
    if (status != EID_OK) {
        eid_signer_unref(signer);
        return status;
    }
    *out = signer;
    return EID_OK;
}

static eid_signer *ref_signer(eid_signer *signer)
{
    if (signer != NULL)
        atomic_fetch_add(&signer->refs, 1);
    return signer;
}

void eid_signer_unref(eid_signer *signer)
{
    if (signer == NULL || atomic_fetch_sub(&signer->refs, 1) != 1)
        return;
    eid_keypair_free(signer->key);
    eid_sigkey_free(&signer->identity);
    eid_free(signer);
}

eid_status eid_database_new_handle(eid_core *core, const eid_id *id, const eid_keypair *key, const eid_sigkey *identity,
                                   eid_database **out)
{
    eid_database *database = eid_alloc_zero(1, sizeof *database);
    if (database == NULL)
        return eid_fail_memory();
    database->core = core;
    database->root = *id;
    eid_status status = key == NULL ? EID_OK : new_signer(key, identity, &database->signer);
    if (status != EID_OK) {
        eid_free(database);
        return status;
    }
    *out = database;
    return EID_OK;
}

eid_status eid_database_open_as(eid_core *core, const eid_id *id, const eid_keypair *key, const eid_sigkey *identity,
                                eid_database **out)
{
    eid_tree *tree;
    eid_storage_lock(core->storage);
    eid_status status = eid_storage_tree(core->storage, id, &tree);
    eid_storage_unlock(core->storage);
    EID_TRY(status);
    return eid_database_new_handle(core, id, key, identity, out);
}

void eid_database_close(eid_database *database)
{
    if (database == NULL)
        return;
    eid_signer_unref(database->signer);
    eid_free(database);
}

eid_signer *eid_database_signer(eid_database *database)
{
    pthread_mutex_lock(&database->core->signer_mutex);
    eid_signer *signer = ref_signer(database->signer);
    pthread_mutex_unlock(&database->core->signer_mutex);
    return signer;
}

eid_status eid_database_set_key(eid_database *database, const eid_keypair *key, const eid_sigkey *identity)
{
    eid_signer *signer;
    EID_TRY(new_signer(key, identity, &signer));
    pthread_mutex_lock(&database->core->signer_mutex);
    eid_signer *before = database->signer;
    database->signer = signer;
    pthread_mutex_unlock(&database->core->signer_mutex);
    eid_signer_unref(before);
    return EID_OK;
}

eid_status eid_database_new_transaction_as(eid_database *database, const eid_keypair *key, const eid_sigkey *identity,
                                           eid_txn **out)
{
    eid_signer *signer;
    eid_txn *txn;
    EID_TRY(new_signer(key, identity, &signer));
    eid_status status = eid_database_new_transaction(database, &txn);
    if (status != EID_OK) {
        eid_signer_unref(signer);
        return status;
    }
    eid_signer_unref(txn->signer);
    txn->signer = signer;
    *out = txn;
    return EID_OK;
}

const eid_id *eid_database_root_id(const eid_database *database)
{
    return &database->root;
}

eid_instance *eid_database_instance(const eid_database *database)
{
    return database->core->instance;
}

eid_core *eid_database_core(const eid_database *database)
{
    return database->core;
}

const eid_keypair *eid_database_key(const eid_database *database)
{
    return database->signer == NULL ? NULL : database->signer->key;
}

eid_status eid_database_tree(eid_database *database, eid_tree **out)
{
    return eid_storage_tree(database->core->storage, &database->root, out);
}

/* ---- Facts ---- */

eid_status eid_database_entry_count(eid_database *database, uint64_t *out)
{
    EID_NEED(database && out);
    return eid_core_entry_count(database->core, &database->root, out);
}

eid_status eid_database_tips(eid_database *database, eid_id **out, size_t *count)
{
    EID_NEED(database && out && count);
    return eid_core_tips(database->core, &database->root, out, count);
}

eid_status eid_database_auth(eid_database *database, eid_auth_settings **out)
{
    return eid_core_auth(database->core, &database->root, out);
}

eid_status eid_database_current_permission(eid_database *database, eid_permission *out)
{
    EID_NEED(database && out);
    eid_signer *signer = eid_database_signer(database);
    eid_pubkey key;
    if (signer == NULL)
        return eid_fail(EID_ERR_AUTH_REQUIRED, "The database was opened for reading, without a key");
    eid_keypair_public(signer->key, &key);
    eid_status status = eid_core_identity_permission(database->core, &database->root, &key, &signer->identity, out);
    eid_signer_unref(signer);
    return status;
}

eid_status eid_database_get_entry(eid_database *database, const eid_id *id, eid_entry **out)
{
    EID_NEED(database && id && out);
    eid_storage *storage = database->core->storage;
    eid_tree *tree;
    int64_t n = 0, d = 0;
    eid_storage_lock(storage);
    eid_status status = eid_database_tree(database, &tree);
    if (status == EID_OK)
        status = eid_storage_find(storage, id, &n, &d);
    if (status == EID_OK && (n == 0 || d != tree->d)) {
        char text[EID_ID_TEXT_SIZE];
        eid_id_format(id, text);
        status = eid_fail(EID_ERR_ENTRY_NOT_FOUND, "Entry not found: %s", text);
    }
    if (status == EID_OK)
        status = eid_storage_load(storage, n, out);
    eid_storage_unlock(storage);
    return status;
}

/* ---- Every entry ---- */

eid_status eid_database_each_entry(eid_database *database, eid_entry_callback callback, void *ctx)
{
    EID_NEED(database && callback);
    eid_history *history;
    EID_TRY(eid_history_open(database, NULL, &history));
    eid_status status = EID_OK;
    bool wanted = true;
    while (wanted && status == EID_OK) {
        eid_entry *entry = NULL;
        status = eid_history_next(history, &entry);
        wanted = status == EID_OK && entry != NULL && callback(entry, ctx);
        eid_entry_unref(entry);
    }
    eid_history_close(history);
    return status;
}

/* ---- State ---- */

static eid_status find_store(eid_database *database, const char *name, eid_tree **tree, eid_tree_store **store)
{
    EID_TRY(eid_database_tree(database, tree));
    return eid_storage_store(database->core->storage, *tree, eid_slice_text(name), store);
}

eid_status eid_database_store_state(eid_database *database, const char *store, eid_doc **out)
{
    EID_NEED(database && store && out);
    eid_storage *storage = database->core->storage;
    eid_view view = EID_VIEW_CURRENT;
    eid_tree *tree;
    eid_tree_store *found;
    eid_storage_lock(storage);
    eid_status status = find_store(database, store, &tree, &found);
    if (status == EID_OK)
        status = found == NULL ? eid_doc_new(out) : eid_state_doc(storage, found, &view, out);
    eid_storage_unlock(storage);
    return status;
}

eid_status eid_database_store_state_at(eid_database *database, const char *store, const eid_id *tips, size_t count,
                                       eid_doc **out)
{
    EID_NEED(database && store && (tips || count == 0) && out);
    eid_storage *storage = database->core->storage;
    eid_storage_lock(storage);
    eid_tree *tree;
    eid_tree_store *found;
    int64_t *members = NULL;
    size_t member_count = 0;
    eid_status status = find_store(database, store, &tree, &found);
    if (status == EID_OK)
        status = eid_tree_members_at(database->core, tree, tips, count, &members, &member_count);
    if (status == EID_OK) {
        eid_view view = {INT64_MAX, members, member_count};
        status = found == NULL ? eid_doc_new(out) : eid_state_doc(storage, found, &view, out);
    }
    eid_storage_unlock(storage);
    eid_free(members);
    return status;
}

eid_status eid_tree_members_at(eid_core *core, eid_tree *tree, const eid_id *tips, size_t count, int64_t **out, size_t *out_count)
{
    int64_t *numbers = eid_realloc_array(NULL, count + 1, sizeof *numbers);
    if (numbers == NULL)
        return eid_fail_memory();
    eid_status status = EID_OK;
    for (size_t i = 0; i < count && status == EID_OK; i++) {
        int64_t d;
        status = eid_storage_find(core->storage, &tips[i], &numbers[i], &d);
        if (status == EID_OK && (numbers[i] == 0 || d != tree->d)) {
            char text[EID_ID_TEXT_SIZE];
            eid_id_format(&tips[i], text);
            status = eid_fail(EID_ERR_INVALID_TIP, "%s is not an entry of the database", text);
        }
    }
    if (status == EID_OK)
        status = eid_state_ancestors(core->storage, tree, numbers, count, out, out_count);
    eid_free(numbers);
    return status;
}

static eid_status current_child(eid_database *database, const char *store, eid_slice key, eid_value **out)
{
    eid_storage *storage = database->core->storage;
    eid_view view = EID_VIEW_CURRENT;
    eid_tree *tree;
    eid_tree_store *found;
    *out = NULL;
    eid_storage_lock(storage);
    eid_status status = find_store(database, store, &tree, &found);
    if (status == EID_OK && found != NULL)
        status = eid_state_child(storage, found, &view, key, out);
    eid_storage_unlock(storage);
    return status;
}

/* The value at the path inside the top-level child it starts with; takes the child. */
static eid_status value_below(eid_value *child, eid_slice path, eid_slice key, eid_value **out)
{
    eid_doc *doc;
    eid_status status = eid_doc_new(&doc);
    if (status != EID_OK) {
        eid_value_free(child);
        return status;
    }
    status = eid_doc_put_child(doc, key, child);
    if (status != EID_OK) {
        eid_value_free(child);
    } else {
        const eid_value *found;
        status = eid_doc_get_path(doc, path, &found);
        if (status == EID_OK)
            status = eid_value_copy(found, out);
    }
    eid_doc_free(doc);
    return status;
}

static eid_status not_found(const char *store, const char *path)
{
    return eid_fail(EID_ERR_KEY_NOT_FOUND, "Key not found in store %s: %s", store, path);
}

eid_status eid_database_get(eid_database *database, const char *store, const char *path, eid_value **out)
{
    EID_NEED(database && store && path && out);
    eid_slice whole = eid_slice_text(path), key;
    if (!eid_path_first(whole, &key))
        return not_found(store, path);
    eid_value *child;
    EID_TRY(current_child(database, store, key, &child));
    if (child == NULL || eid_value_get_kind(child) == EID_VALUE_DELETED) {
        eid_value_free(child);
        return not_found(store, path);
    }
    if (eid_slice_equal(whole, key)) {
        *out = child;
        return EID_OK;
    }
    eid_status status = value_below(child, whole, key, out);
    return status == EID_ERR_KEY_NOT_FOUND ? not_found(store, path) : status;
}

eid_status eid_database_name(eid_database *database, char **out)
{
    EID_NEED(database && out);
    eid_value *value;
    EID_TRY(eid_database_get(database, EID_SETTINGS, "name", &value));
    const char *text;
    size_t len;
    eid_status status = eid_value_as_text(value, &text, &len);
    if (status == EID_OK) {
        *out = eid_memdup(text, len);
        status = *out == NULL ? eid_fail_memory() : EID_OK;
    }
    eid_value_free(value);
    return status;
}

/* ---- Scans ---- */

static eid_status scan_slice(eid_database *database, const char *store, const eid_slice *after, eid_cell *cells, size_t *count)
{
    eid_storage *storage = database->core->storage;
    eid_tree *tree;
    eid_tree_store *found;
    *count = 0;
    eid_storage_lock(storage);
    eid_status status = find_store(database, store, &tree, &found);
    if (status == EID_OK && found != NULL)
        status = eid_state_cells(storage, found, after, SLICE, cells, count);
    eid_storage_unlock(storage);
    return status;
}

eid_status eid_database_scan(eid_database *database, const char *store, const eid_slice *after, eid_child_callback callback,
                             void *ctx)
{
    eid_cell cells[SLICE];
    eid_buf last;
    eid_buf_init(&last, SIZE_MAX / 2);
    size_t count = 0;
    bool wanted = true;
    eid_status status = EID_OK;
    eid_slice place = after != NULL ? *after : eid_slice_of(NULL, 0);
    bool from_start = after == NULL;
    do {
        status = scan_slice(database, store, from_start ? NULL : &place, cells, &count);
        if (status != EID_OK)
            break;
        for (size_t i = 0; i < count && wanted; i++)
            if (eid_value_get_kind(cells[i].value) != EID_VALUE_DELETED)
                wanted = callback(eid_slice_of(cells[i].key, cells[i].key_len), cells[i].value, ctx);
        if (count == SLICE) {
            eid_buf_reset(&last);
            eid_buf_append(&last, cells[count - 1].key, cells[count - 1].key_len);
            status = eid_buf_status(&last);
            place = eid_buf_slice(&last);
            from_start = false;
        }
        eid_cells_free(cells, count);
    } while (status == EID_OK && wanted && count == SLICE);
    eid_buf_free(&last);
    return status;
}

/* ---- The state hash ---- */

static void hash_number(eid_blake3 *hasher, uint64_t number)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(number >> (56 - 8 * i));
    eid_blake3_update(hasher, bytes, sizeof bytes);
}

static void hash_slice(eid_blake3 *hasher, eid_slice slice)
{
    hash_number(hasher, slice.len);
    eid_blake3_update(hasher, slice.data, slice.len);
}

/* Payloads that are not documents are the same state exactly when the same entries carry them: their tips say which. */
static eid_status hash_unreadable(eid_blake3 *hasher, const eid_tree_store *store)
{
    eid_id *ids = eid_realloc_array(NULL, store->tip_count + 1, sizeof *ids);
    if (ids == NULL)
        return eid_fail_memory();
    for (size_t i = 0; i < store->tip_count; i++)
        ids[i] = store->tips[i].id;
    size_t count = eid_ids_sort(ids, store->tip_count);
    for (size_t i = 0; i < count; i++)
        hash_slice(hasher, eid_id_slice(&ids[i]));
    eid_free(ids);
    return EID_OK;
}

static eid_status hash_store(eid_database *database, eid_tree_store *store, eid_blake3 *hasher)
{
    eid_view view = EID_VIEW_CURRENT;
    eid_doc *doc;
    EID_TRY(eid_state_doc(database->core->storage, store, &view, &doc));
    eid_status status = EID_OK;
    if (eid_doc_child_count(doc) > 0 || store->unreadable > 0) {
        char *text;
        size_t len;
        status = eid_doc_to_json(doc, &text, &len);
        if (status == EID_OK) {
            hash_slice(hasher, eid_slice_of(store->name, store->name_len));
            hash_slice(hasher, eid_slice_of(text, len));
            eid_free(text);
            if (store->unreadable > 0)
                status = hash_unreadable(hasher, store);
        }
    }
    eid_doc_free(doc);
    return status;
}

eid_status eid_database_state_hash(eid_database *database, uint8_t out[32])
{
    EID_NEED(database && out);
    eid_blake3 hasher;
    eid_blake3_init(&hasher);
    eid_tree *tree;
    eid_storage_lock(database->core->storage);
    eid_status status = eid_database_tree(database, &tree);
    if (status == EID_OK)
        for (eid_map_entry *e = eid_map_first(tree->stores); e != NULL && status == EID_OK; e = eid_map_next(tree->stores, e)) {
            eid_tree_store *store = e->value;
            if (store->name_len != 0 && strcmp(store->name, EID_ROOT_MARKER) != 0)
                status = hash_store(database, store, &hasher);
        }
    eid_storage_unlock(database->core->storage);
    if (status == EID_OK)
        eid_blake3_final(&hasher, out);
    return status;
}
