/* SPDX-License-Identifier: Apache-2.0 */
/* Many keys as they were at an earlier moment: where each was last written is asked for by key, what was written there is read
 * entry by entry, so an entry that wrote a thousand rows is parsed once. */
#include "state/state_int.h"

#include <stdlib.h>

#include "base/alloc.h"

/* What is known of a key without reading an entry. */
typedef struct past_key {
    size_t index;
    int64_t n;      /* the entry that wrote it last; 0: none did */
    bool unclear;   /* to be folded by itself */
} past_key;

typedef struct past {
    eid_storage *storage;
    eid_tree_store *store;
    const eid_view *view;
    const eid_slice *keys;
    eid_past_callback callback;
    void *ctx;
} past;

static eid_status step_for_key(const past *p, const char *text, eid_slice key, eid_sql_stmt **stmt, bool *row)
{
    EID_TRY(eid_sql_prepare(eid_storage_sql(p->storage), text, stmt));
    eid_sql_bind_i64(*stmt, 1, p->store->s);
    eid_sql_bind_blob(*stmt, 2, key);
    eid_sql_bind_i64(*stmt, 3, p->view->up_to);
    return eid_sql_step(*stmt, row);
}

/* Of two places of one height the IDs decide, and what lies at a barrier may not count: such keys are unclear. */
static eid_status last_touch(const past *p, eid_slice key, past_key *out)
{
    eid_sql_stmt *stmt;
    bool row;
    EID_TRY(step_for_key(p, "SELECT height, n FROM touch WHERE s = ? AND key = ? AND n <= ? ORDER BY height DESC LIMIT 2", key,
                         &stmt, &row));
    if (!row)
        return EID_OK;
    int64_t height = eid_sql_i64(stmt, 0);
    out->n = eid_sql_i64(stmt, 1);
    out->unclear = p->store->has_barrier && (uint64_t)height <= p->store->barrier.height;
    EID_TRY(eid_sql_step(stmt, &row));
    if (!row)
        return EID_OK;
    out->unclear = out->unclear || eid_sql_i64(stmt, 0) == height;
    eid_sql_reset(stmt);
    return EID_OK;
}

static eid_status last_write(const past *p, eid_slice key, past_key *out)
{
    eid_sql_stmt *stmt;
    bool row;
    EID_TRY(step_for_key(p, "SELECT n FROM cell WHERE s = ? AND key = ? AND n <= ?", key, &stmt, &row));
    if (!row)
        return last_touch(p, key, out);
    out->n = eid_sql_i64(stmt, 0); /* a cell stands at the last place of all */
    eid_sql_reset(stmt);
    return EID_OK;
}

static int compare_entries(const void *a, const void *b)
{
    const past_key *left = a, *right = b;
    return left->n < right->n ? -1 : left->n > right->n;
}

static eid_status fold_one(const past *p, size_t index)
{
    eid_value *value = NULL;
    EID_TRY(eid_state_child(p->storage, p->store, p->view, p->keys[index], &value));
    eid_status status = p->callback(index, value, p->ctx);
    eid_value_free(value);
    return status;
}

/* Only a leaf is what it was written as. */
static eid_status show_written(const past *p, const eid_doc *doc, const past_key *key)
{
    const eid_value *value = doc == NULL ? NULL : eid_doc_child(doc, p->keys[key->index]);
    if (key->unclear || value == NULL || !eid_value_is_leaf(value))
        return fold_one(p, key->index);
    return p->callback(key->index, value, p->ctx);
}

static eid_status show_by_entry(const past *p, const past_key *found, size_t count)
{
    eid_doc *doc = NULL;
    int64_t loaded = 0;
    eid_status status = EID_OK;
    for (size_t i = 0; i < count && status == EID_OK; i++) {
        if (found[i].n == 0) {
            status = p->callback(found[i].index, NULL, p->ctx);
            continue;
        }
        if (found[i].n != loaded && !found[i].unclear) {
            eid_doc_free(doc);
            doc = NULL;
            status = eid_state_payload(p->storage, p->store, NULL, found[i].n, &doc);
            loaded = found[i].n;
        }
        if (status == EID_OK)
            status = show_written(p, doc, &found[i]);
    }
    eid_doc_free(doc);
    return status;
}

eid_status eid_state_past(eid_storage *storage, eid_tree_store *store, const eid_view *view, const eid_slice *keys, size_t count,
                          eid_past_callback callback, void *ctx)
{
    past p = {storage, store, view, keys, callback, ctx};
    past_key *found = eid_alloc_zero(count + 1, sizeof *found);
    if (found == NULL)
        return eid_fail_memory();
    eid_status status = EID_OK;
    for (size_t i = 0; i < count && status == EID_OK; i++) {
        found[i].index = i;
        status = last_write(&p, keys[i], &found[i]);
    }
    if (status == EID_OK) {
        qsort(found, count, sizeof *found, compare_entries);
        status = show_by_entry(&p, found, count);
    }
    eid_free(found);
    return status;
}
