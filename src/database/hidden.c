/* SPDX-License-Identifier: Apache-2.0 */
/* Stores whose payloads are hidden: opening them with a codec, reading through it, encoding at commit.
 *
 * A transaction at the frontier reads the codec's state, which every transaction brings up to its own view. When another
 * has taken it further than this one may see, and at chosen tips, the transaction folds the store for itself, once.
 */
#include "database/txn_int.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "crypto/key.h"

struct eid_store_codec {
    atomic_int references;
    eid_store_codec_calls calls;
    void *ctx;
    eid_hidden_state *state; /* guarded by the lock of the storage */
};

/* ---- Codecs ---- */

eid_status eid_store_codec_new(const eid_store_codec_calls *calls, void *ctx, eid_store_codec **out)
{
    eid_store_codec *codec = eid_alloc_zero(1, sizeof *codec);
    if (codec == NULL)
        return eid_fail_memory();
    eid_status status = eid_hidden_state_new(&codec->state);
    if (status != EID_OK) {
        eid_free(codec);
        return status;
    }
    atomic_init(&codec->references, 1);
    codec->calls = *calls;
    codec->ctx = ctx;
    *out = codec;
    return EID_OK;
}

static eid_store_codec *ref_codec(eid_store_codec *codec)
{
    atomic_fetch_add(&codec->references, 1);
    return codec;
}

void eid_store_codec_unref(eid_store_codec *codec)
{
    if (codec == NULL || atomic_fetch_sub(&codec->references, 1) > 1)
        return;
    codec->calls.release(codec->ctx);
    eid_hidden_state_free(codec->state);
    eid_free(codec);
}

uint64_t eid_store_codec_left_out(const eid_store_codec *codec, eid_core *core)
{
    eid_storage_lock(core->storage);
    uint64_t count = eid_hidden_state_left_out(codec->state);
    eid_storage_unlock(core->storage);
    return count;
}

/* ---- Opening ---- */

static eid_status prepare(eid_txn *txn, const char *name, const char *type, eid_store_codec *codec, eid_txn_store **out)
{
    EID_TRY(eid_txn_usable(txn));
    EID_TRY(eid_store_name_check(name));
    if (eid_txn_has_open_store(txn, name))
        return eid_fail(EID_ERR_CONFLICT, "Store %s is in use in this transaction already", name);
    EID_TRY(eid_txn_store_new(txn, name, type, out));
    (*out)->codec = ref_codec(codec);
    return EID_OK;
}

eid_status eid_txn_open_hidden(eid_txn *txn, const char *name, const char *registered, const char *type, eid_store_codec *codec)
{
    eid_txn_store *store = NULL;
    eid_value *record = NULL;
    EID_TRY(prepare(txn, name, type, codec, &store));
    eid_status status = eid_txn_store_record(txn, name, &record);
    if (status == EID_OK && record == NULL)
        status = eid_fail(EID_ERR_CONFLICT, "Store %s is not in the registry", name);
    if (status == EID_OK)
        status = eid_txn_store_registered(store, record, registered);
    if (status == EID_OK)
        status = eid_txn_store_enter(store);
    eid_value_free(record);
    if (status != EID_OK)
        eid_txn_store_free(store);
    return status;
}

/* Entries without data may name the store: those of its registration. */
static eid_status has_data(eid_storage *storage, eid_tree_store *store, bool *out)
{
    eid_cell cell;
    size_t count = 0;
    *out = store != NULL && store->unreadable > 0;
    if (store == NULL || *out)
        return EID_OK;
    EID_TRY(eid_state_cells(storage, store, NULL, 1, &cell, &count));
    eid_cells_free(&cell, count);
    *out = count > 0;
    return EID_OK;
}

static eid_status check_empty(eid_txn *txn, const char *name)
{
    eid_storage *storage = txn->database->core->storage;
    eid_tree *tree;
    eid_tree_store *store = NULL;
    bool used = false;
    eid_storage_lock(storage);
    eid_status status = eid_database_tree(txn->database, &tree);
    if (status == EID_OK)
        status = eid_storage_store(storage, tree, eid_slice_text(name), &store);
    if (status == EID_OK)
        status = has_data(storage, store, &used);
    eid_storage_unlock(storage);
    if (status == EID_OK && used)
        return eid_fail(EID_ERR_CONFLICT, "Store %s holds data already", name);
    return status;
}

eid_status eid_txn_register_hidden(eid_txn *txn, const char *name, const char *type, eid_store_codec *codec, eid_value *record)
{
    eid_txn_store *store = NULL, *index;
    EID_TRY(prepare(txn, name, type, codec, &store));
    eid_status status = check_empty(txn, name);
    if (status == EID_OK)
        status = eid_txn_open_store(txn, EID_INDEX, NULL, &index);
    if (status == EID_OK)
        status = eid_txn_store_enter(store);
    if (status != EID_OK) {
        eid_txn_store_free(store);
        return status;
    }
    status = eid_doc_put_child(index->delta, eid_slice_text(name), record);
    if (status != EID_OK) {
        eid_map_remove(txn->stores, eid_slice_text(name));
        eid_txn_store_free(store);
        return status;
    }
    store->registered = true;
    return EID_OK;
}

/* ---- Reading ---- */

static eid_decoder decoder_of(const eid_txn_store *store)
{
    return (eid_decoder){store->codec->calls.decode, store->codec->ctx};
}

/* *usable: the codec's state is what this transaction sees. */
static eid_status follow(eid_txn_store *store, eid_tree_store *tree_store, bool *usable)
{
    const eid_view *view = &store->txn->view;
    eid_decoder decoder = decoder_of(store);
    *usable = false;
    if (view->members != NULL)
        return EID_OK;
    return eid_hidden_state_follow(store->codec->state, store->txn->database->core->storage, tree_store, &decoder, view->up_to,
                                   usable);
}

static eid_status fold_once(eid_txn_store *store, eid_tree_store *tree_store)
{
    eid_decoder decoder = decoder_of(store);
    if (store->committed != NULL)
        return EID_OK;
    return eid_state_doc_decoded(store->txn->database->core->storage, tree_store, &store->txn->view, &decoder, &store->committed);
}

eid_status eid_hidden_child(eid_txn_store *store, eid_tree_store *tree_store, eid_slice key, eid_slice path, eid_value **out)
{
    bool usable;
    EID_TRY(follow(store, tree_store, &usable));
    if (usable)
        return path.len > 0 ? eid_hidden_state_along(store->codec->state, path, out)
                            : eid_hidden_state_child(store->codec->state, key, out);
    EID_TRY(fold_once(store, tree_store));
    const eid_value *child = eid_doc_child(store->committed, key);
    return child == NULL ? EID_OK : eid_value_copy(child, out);
}

eid_status eid_hidden_fold(eid_txn_store *store, eid_tree_store *tree_store, eid_doc **out)
{
    bool usable;
    EID_TRY(follow(store, tree_store, &usable));
    if (usable)
        return eid_hidden_state_doc(store->codec->state, out);
    EID_TRY(fold_once(store, tree_store));
    return eid_doc_copy(store->committed, out);
}

eid_status eid_hidden_cells(eid_txn_store *store, eid_tree_store *tree_store, const eid_slice *after, size_t limit, eid_cell *out,
                            size_t *count, bool *usable)
{
    EID_TRY(follow(store, tree_store, usable));
    return *usable ? eid_hidden_state_cells(store->codec->state, after, limit, out, count) : EID_OK;
}

/* ---- Writing ---- */

eid_status eid_hidden_encode(const eid_store_codec *codec, char **data, size_t *len)
{
    eid_buf payload;
    uint8_t *bytes;
    eid_buf_init(&payload, EID_LIMIT_ENTRY_BYTES);
    eid_status status = codec->calls.encode(codec->ctx, eid_slice_of(*data, *len), &payload);
    eid_wipe(*data, *len);
    size_t payload_len = 0;
    if (status == EID_OK)
        status = eid_buf_take(&payload, &bytes, &payload_len);
    if (status != EID_OK) {
        eid_buf_free(&payload);
        return status;
    }
    eid_free(*data);
    *data = (char *)bytes;
    *len = payload_len;
    return EID_OK;
}
