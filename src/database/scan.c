/* SPDX-License-Identifier: Apache-2.0 */
/* Scanning a store inside a transaction: committed cells and staged changes, merged in key order.
 *
 * Cells are read in slices. If somebody commits to the store meanwhile, the rest is read from a fold of what the transaction
 * sees, so the scan shows one state from begin to end.
 */
#include "database/txn_int.h"

#include "base/alloc.h"

#define SLICE 256

typedef struct source {
    eid_txn_store *store;
    eid_cell cells[SLICE];
    size_t count;
    size_t at;
    bool done;                       /* nothing behind the slice */
    eid_doc *doc;                    /* instead of cells, once the view is not current */
    const eid_doc_cursor *cursor;
    eid_buf place;                   /* last key handed out */
    bool started;                    /* `place` holds a key (which may be empty) */
} source;

static eid_status read_slice(source *s, eid_tree_store *store, const eid_slice *after)
{
    eid_txn *txn = s->store->txn;
    bool usable = false;
    if (s->store->codec != NULL)
        EID_TRY(eid_hidden_cells(s->store, store, after, SLICE, s->cells, &s->count, &usable));
    else if (eid_view_is_current(&txn->view, store))
        return eid_state_cells(txn->database->core->storage, store, after, SLICE, s->cells, &s->count);
    return usable ? EID_OK : eid_txn_store_fold(s->store, store, &s->doc);
}

static eid_status refill(source *s)
{
    eid_txn *txn = s->store->txn;
    eid_storage *storage = txn->database->core->storage;
    eid_tree *tree;
    eid_tree_store *store;
    eid_slice after = eid_buf_slice(&s->place);
    eid_cells_free(s->cells, s->count);
    s->count = 0;
    s->at = 0;
    eid_storage_lock(storage);
    eid_status status = eid_database_tree(txn->database, &tree);
    if (status == EID_OK)
        status = eid_storage_store(storage, tree, eid_slice_text(s->store->name), &store);
    if (status == EID_OK && store != NULL)
        status = read_slice(s, store, s->started ? &after : NULL);
    eid_storage_unlock(storage);
    s->done = s->count < SLICE;
    return status;
}

/* The next committed key and value behind the place; *value NULL at the end. The value is the caller's. */
static eid_status next_committed(source *s, eid_slice *key, eid_value **value)
{
    *value = NULL;
    if (s->doc == NULL && s->at == s->count) {
        if (s->done)
            return EID_OK;
        EID_TRY(refill(s));
    }
    if (s->doc == NULL) {
        if (s->at == s->count)
            return EID_OK;
        *key = eid_slice_of(s->cells[s->at].key, s->cells[s->at].key_len);
        *value = s->cells[s->at].value;
        s->cells[s->at++].value = NULL;
        return EID_OK;
    }
    const char *text;
    size_t len;
    const eid_value *child;
    while (eid_doc_next_raw(s->doc, &s->cursor, &text, &len, &child)) {
        *key = eid_slice_of(text, len);
        if (!s->started || eid_slice_compare(*key, eid_buf_slice(&s->place)) > 0)
            return eid_value_copy(child, value);
    }
    return EID_OK;
}

static bool next_staged(const eid_doc *delta, const eid_doc_cursor **cursor, const eid_slice *after, eid_slice *key,
                        const eid_value **value)
{
    const char *text;
    size_t len;
    while (eid_doc_next_raw(delta, cursor, &text, &len, value)) {
        *key = eid_slice_of(text, len);
        if (after == NULL || eid_slice_compare(*key, *after) > 0)
            return true;
    }
    return false;
}

static bool show(eid_slice key, const eid_value *value, eid_child_callback callback, void *ctx)
{
    return eid_value_get_kind(value) == EID_VALUE_DELETED || callback(key, value, ctx);
}

static eid_status set_place(source *s, eid_slice key)
{
    eid_buf_reset(&s->place);
    eid_buf_append_slice(&s->place, key);
    s->started = true;
    return eid_buf_status(&s->place);
}

static eid_status merge_loop(source *s, const eid_slice *after, eid_child_callback callback, void *ctx)
{
    const eid_doc *delta = s->store->delta;
    const eid_doc_cursor *cursor = NULL;
    eid_slice staged_key, key = {NULL, 0};
    const eid_value *staged = NULL;
    bool more_staged = next_staged(delta, &cursor, after, &staged_key, &staged);
    for (;;) {
        eid_value *value;
        EID_TRY(next_committed(s, &key, &value));
        /* Staged keys in front of this one, or all that is left. */
        while (more_staged && (value == NULL || eid_slice_compare(staged_key, key) < 0)) {
            if (!show(staged_key, staged, callback, ctx)) {
                eid_value_free(value);
                return EID_OK;
            }
            more_staged = next_staged(delta, &cursor, after, &staged_key, &staged);
        }
        if (value == NULL)
            return EID_OK;
        eid_status status = set_place(s, key);
        if (status == EID_OK && more_staged && eid_slice_equal(staged_key, key)) {
            status = eid_value_merge(&value, staged);
            more_staged = next_staged(delta, &cursor, after, &staged_key, &staged);
        }
        bool wanted = status == EID_OK && show(key, value, callback, ctx);
        eid_value_free(value);
        if (!wanted)
            return status;
    }
}

eid_status eid_txn_store_scan(eid_txn_store *store, const eid_slice *after, eid_child_callback callback, void *ctx)
{
    EID_TRY(eid_txn_usable(store->txn));
    source *s = eid_alloc_zero(1, sizeof *s);
    if (s == NULL)
        return eid_fail_memory();
    s->store = store;
    eid_buf_init(&s->place, SIZE_MAX / 2);
    s->done = eid_doc_is_atomic(store->delta); /* an atomic delta hides everything committed */
    eid_status status = after == NULL ? EID_OK : set_place(s, *after);
    if (status == EID_OK)
        status = merge_loop(s, after, callback, ctx);
    eid_cells_free(s->cells, s->count);
    eid_doc_free(s->doc);
    eid_buf_free(&s->place);
    eid_free(s);
    return status;
}
