/* SPDX-License-Identifier: Apache-2.0 */
/* DocStore: one document, addressed by paths (spec stores.md section 2). */
#include "store/store_int.h"

#include "base/alloc.h"

static eid_status open_store(eid_txn *txn, const char *name, eid_txn_store **out)
{
    return eid_txn_open_store(txn, name, EID_TYPE_DOCSTORE, out);
}

/* ---- Setting ---- */

/* Takes the value, also on failure. */
static eid_status set_made(eid_txn *txn, const char *name, const char *path, eid_value *value)
{
    eid_txn_store *store;
    eid_status status = open_store(txn, name, &store);

    if (status != EID_OK) {
        eid_value_free(value);
        return status;
    }
    return eid_store_stage_made(store, eid_slice_text(path), value);
}

eid_status eid_docstore_set(eid_txn *txn, const char *store, const char *path, const eid_value *value)
{
    eid_value *copy;

    EID_TRY(eid_value_copy(value, &copy));
    return set_made(txn, store, path, copy);
}

eid_status eid_docstore_set_null(eid_txn *txn, const char *store, const char *path)
{
    eid_value *made;

    EID_TRY(eid_value_new_null(&made));
    return set_made(txn, store, path, made);
}

eid_status eid_docstore_set_bool(eid_txn *txn, const char *store, const char *path, bool value)
{
    eid_value *made;

    EID_TRY(eid_value_new_bool(value, &made));
    return set_made(txn, store, path, made);
}

eid_status eid_docstore_set_int(eid_txn *txn, const char *store, const char *path, int64_t value)
{
    eid_value *made;

    EID_TRY(eid_value_new_int(value, &made));
    return set_made(txn, store, path, made);
}

eid_status eid_docstore_set_text(eid_txn *txn, const char *store, const char *path, const char *text)
{
    eid_value *made;

    EID_TRY(eid_value_new_text(text, strlen(text), &made));
    return set_made(txn, store, path, made);
}

eid_status eid_docstore_set_doc(eid_txn *txn, const char *store, const char *path, const eid_doc *value)
{
    eid_value *made;

    EID_TRY(eid_value_new_doc(value, &made));
    return set_made(txn, store, path, made);
}

eid_status eid_docstore_delete(eid_txn *txn, const char *name, const char *path, bool *deleted)
{
    eid_value *old, *tombstone;
    eid_txn_store *store;
    eid_status status;

    EID_TRY(open_store(txn, name, &store));
    status = eid_store_read(store, eid_slice_text(path), &old);
    if (status == EID_OK) {
        eid_value_free(old);
        EID_TRY(eid_value_new_deleted(&tombstone));
        EID_TRY(eid_store_stage_made(store, eid_slice_text(path), tombstone));
    } else if (status != EID_ERR_KEY_NOT_FOUND) {
        return status;
    }
    if (deleted != NULL)
        *deleted = status == EID_OK;
    return EID_OK;
}

/* ---- Getting ---- */

eid_status eid_docstore_get(eid_txn *txn, const char *name, const char *path, eid_value **out)
{
    eid_txn_store *store;

    EID_TRY(open_store(txn, name, &store));
    return eid_store_read(store, eid_slice_text(path), out);
}

/* A value of one kind, else EID_ERR_TYPE_MISMATCH. */
static eid_status get_kind(eid_txn *txn, const char *store, const char *path, eid_value_kind kind,
                           eid_value **out)
{
    eid_value *value;
    eid_value_kind got;

    EID_TRY(eid_docstore_get(txn, store, path, &value));
    got = eid_value_get_kind(value);
    if (got != kind) {
        eid_value_free(value);
        return eid_fail(EID_ERR_TYPE_MISMATCH, "the value at \"%.200s\" is of kind %s, not %s", path,
                        eid_value_kind_name(got), eid_value_kind_name(kind));
    }
    *out = value;
    return EID_OK;
}

eid_status eid_docstore_get_text(eid_txn *txn, const char *store, const char *path, char **out, size_t *len)
{
    eid_value *value = NULL;
    const char *text;
    size_t text_len;

    EID_TRY(get_kind(txn, store, path, EID_VALUE_TEXT, &value));
    eid_status status = eid_value_as_text(value, &text, &text_len);
    if (status == EID_OK) {
        char *copy = eid_memdup(text, text_len);
        if (copy == NULL) {
            status = eid_fail_memory();
        } else {
            *out = copy;
            if (len != NULL)
                *len = text_len;
        }
    }
    eid_value_free(value);
    return status;
}

eid_status eid_docstore_get_int(eid_txn *txn, const char *store, const char *path, int64_t *out)
{
    eid_value *value = NULL;

    EID_TRY(get_kind(txn, store, path, EID_VALUE_INT, &value));
    eid_status status = eid_value_as_int(value, out);
    eid_value_free(value);
    return status;
}

eid_status eid_docstore_get_bool(eid_txn *txn, const char *store, const char *path, bool *out)
{
    eid_value *value = NULL;

    EID_TRY(get_kind(txn, store, path, EID_VALUE_BOOL, &value));
    eid_status status = eid_value_as_bool(value, out);
    eid_value_free(value);
    return status;
}

eid_status eid_docstore_contains(eid_txn *txn, const char *store, const char *path, bool *out)
{
    eid_value *value = NULL;
    eid_status status = eid_docstore_get(txn, store, path, &value);

    if (status != EID_OK && status != EID_ERR_KEY_NOT_FOUND)
        return status;
    eid_value_free(value);
    *out = status == EID_OK;
    return EID_OK;
}

eid_status eid_docstore_get_all(eid_txn *txn, const char *name, eid_doc **out)
{
    eid_txn_store *store;

    EID_TRY(open_store(txn, name, &store));
    return eid_txn_store_all(store, out);
}
