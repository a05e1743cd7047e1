/* SPDX-License-Identifier: Apache-2.0 */
/* Staging: what a transaction adds to the delta of a store.
 *
 * The delta becomes the payload, so it must do to any state what the staged changes do in turn. Composing changes gives
 * that, but for one case that no change can express by itself: a List over something that ended another List. Merged with
 * the state, the List of old would shine through. The transaction knows the state it started from; so the elements that
 * come back there are looked for by trying, and the change gets tombstones for them.
 */
#include "database/txn_int.h"

#include "base/utf8.h"

/* ---- Changes that meet staged ones ---- */

/* A document that holds a copy of one value under one key; `value` may be NULL. */
static eid_status single(eid_slice key, const eid_value *value, eid_doc **out)
{
    eid_doc *doc;
    eid_value *copy = NULL;
    EID_TRY(eid_doc_new(&doc));
    eid_status status = value == NULL ? EID_OK : eid_value_copy(value, &copy);
    if (status == EID_OK && copy != NULL) {
        status = eid_doc_put_child(doc, key, copy);
        if (status != EID_OK)
            eid_value_free(copy);
    }
    if (status != EID_OK) {
        eid_doc_free(doc);
        return status;
    }
    *out = doc;
    return EID_OK;
}

typedef struct trial {
    eid_doc *in_turn;  /* committed, then what is staged, then the change */
    eid_doc *at_once;  /* committed, then both as one */
    eid_doc *staged;
    eid_doc *change;
    eid_doc *missing;  /* what the second has to be told to become the first */
} trial;

static eid_status run_trial(eid_slice key, const eid_value *committed, const eid_value *staged, const eid_value *change, trial *t)
{
    EID_TRY(single(key, committed, &t->in_turn));
    EID_TRY(single(key, committed, &t->at_once));
    EID_TRY(single(key, staged, &t->staged));
    EID_TRY(single(key, change, &t->change));
    EID_TRY(eid_doc_merge(t->in_turn, t->staged));
    EID_TRY(eid_doc_merge(t->in_turn, t->change));
    EID_TRY(eid_doc_compose(t->staged, t->change));
    EID_TRY(eid_doc_merge(t->at_once, t->staged));
    return eid_doc_diff(t->at_once, t->in_turn, &t->missing);
}

static void trial_free(trial *t)
{
    eid_doc_free(t->in_turn);
    eid_doc_free(t->at_once);
    eid_doc_free(t->staged);
    eid_doc_free(t->change);
    eid_doc_free(t->missing);
}

/* Adds to `full` what the change of one key lacks beside what is staged there. */
static eid_status complete(eid_txn_store *store, eid_slice key, const eid_value *staged, const eid_value *change, eid_doc *full)
{
    eid_value *committed;
    trial t = {NULL, NULL, NULL, NULL, NULL};
    EID_TRY(eid_txn_store_committed(store, key, &committed));
    eid_status status = run_trial(key, committed, staged, change, &t);
    if (status == EID_OK)
        status = eid_doc_compose(full, t.missing);
    trial_free(&t);
    eid_value_free(committed);
    return status;
}

static bool is_branch(const eid_value *value)
{
    eid_value_kind kind = eid_value_get_kind(value);
    return kind == EID_VALUE_DOC || kind == EID_VALUE_LIST;
}

static eid_status complete_all(eid_txn_store *store, const eid_doc *change, eid_doc *full)
{
    const eid_doc_cursor *cursor = NULL;
    const char *text;
    size_t len;
    const eid_value *value;
    while (eid_doc_next_raw(change, &cursor, &text, &len, &value)) {
        eid_slice key = eid_slice_of(text, len);
        const eid_value *staged = eid_doc_child(store->delta, key);
        if (staged != NULL && is_branch(value))
            EID_TRY(complete(store, key, staged, value, full));
    }
    return EID_OK;
}

eid_status eid_txn_store_apply(eid_txn_store *store, const eid_doc *change)
{
    EID_TRY(eid_txn_usable(store->txn));
    if (eid_doc_is_atomic(change))
        return eid_doc_compose(store->delta, change);
    eid_doc *full;
    EID_TRY(eid_doc_copy(change, &full));
    eid_status status = complete_all(store, change, full);
    if (status == EID_OK)
        status = eid_doc_compose(store->delta, full);
    eid_doc_free(full);
    return status;
}

/* ---- Values ---- */

eid_status eid_txn_store_put(eid_txn_store *store, eid_slice key, eid_value *value)
{
    EID_TRY(eid_txn_usable(store->txn));
    if (!eid_utf8_valid(key))
        return eid_fail(EID_ERR_UTF8, "The key is not UTF-8");
    return eid_doc_put_child(store->delta, key, value);
}

/* Whether the delta may simply be set at the path: nothing staged there or on the way is ended by it or merges with it. */
static bool is_plain(const eid_doc *delta, eid_slice path, const eid_value *value)
{
    for (size_t i = 1; i < path.len; i++) {
        eid_slice prefix = eid_slice_of(path.data, i);
        if (path.data[i] != '.' || eid_path_components(prefix) == 0)
            continue;
        const eid_value *staged = eid_doc_at_path(delta, prefix);
        if (staged == NULL)
            return true;
        if (!is_branch(staged))
            return false;
    }
    return !is_branch(value) || eid_doc_at_path(delta, path) == NULL;
}

eid_status eid_txn_store_set(eid_txn_store *store, eid_slice path, eid_value *value)
{
    EID_TRY(eid_txn_usable(store->txn));
    if (is_plain(store->delta, path, value))
        return eid_doc_set_path(store->delta, path, value);
    eid_doc *change;
    eid_value *copy;
    EID_TRY(eid_value_copy(value, &copy));
    eid_status status = eid_doc_new(&change);
    if (status == EID_OK) {
        status = eid_doc_set_path(change, path, copy);
        if (status == EID_OK) {
            copy = NULL;
            status = eid_txn_store_apply(store, change);
        }
        eid_doc_free(change);
    }
    eid_value_free(copy);
    if (status == EID_OK)
        eid_value_free(value);
    return status;
}
