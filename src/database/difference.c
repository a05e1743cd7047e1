/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer lacks: entries that are not ancestors of what it has.
 *
 * Arrival numbers fall along every parent link, so a walk that always takes the largest number knows, when it takes an
 * entry, whether the peer has it: all its descendants were taken before. The walk ends when only entries the peer has are
 * left, so its cost is the difference, not the history.
 */
#include "database/database_int.h"

#include <stdlib.h>

#include "base/alloc.h"

/* Entries loaded under one hold of the lock. */
#define SLICE 256

/* ---- Everything ---- */

static eid_status each_of_all(eid_core *core, const eid_id *database, eid_entry_callback callback, void *ctx)
{
    eid_place place = {INT64_MIN, 0};
    eid_entry *entries[SLICE];
    size_t count = 0;
    do {
        eid_tree *tree;
        eid_storage_lock(core->storage);
        eid_status status = eid_storage_tree(core->storage, database, &tree);
        if (status == EID_OK)
            status = eid_storage_slice(core->storage, tree, &place, SLICE, entries, &count);
        eid_storage_unlock(core->storage);
        EID_TRY(status);
        bool wanted = true;
        for (size_t i = 0; i < count; i++) {
            wanted = wanted && callback(entries[i], ctx);
            eid_entry_unref(entries[i]);
        }
        if (!wanted)
            return EID_OK;
    } while (count == SLICE);
    return EID_OK;
}

/* ---- The difference ---- */

typedef struct item {
    int64_t n;
    bool had;   /* the peer has it */
} item;

typedef struct walk {
    item *heap;           /* largest n on top */
    size_t count;
    size_t capacity;
    size_t wanted;        /* items in the heap the peer does not have, as far as is known */
    eid_buf missing;      /* numbers, descending */
} walk;

static eid_status push(walk *w, int64_t n, bool had)
{
    if (w->count == w->capacity) {
        size_t capacity = w->capacity == 0 ? 64 : w->capacity * 2;
        item *grown = eid_realloc_array(w->heap, capacity, sizeof *grown);
        if (grown == NULL)
            return eid_fail_memory();
        w->heap = grown;
        w->capacity = capacity;
    }
    size_t i = w->count++;
    while (i > 0 && w->heap[(i - 1) / 2].n < n) {
        w->heap[i] = w->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    w->heap[i] = (item){n, had};
    w->wanted += !had;
    return EID_OK;
}

static item pop(walk *w)
{
    item top = w->heap[0];
    item last = w->heap[--w->count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= w->count)
            break;
        if (child + 1 < w->count && w->heap[child + 1].n > w->heap[child].n)
            child++;
        if (w->heap[child].n <= last.n)
            break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    if (w->count > 0)
        w->heap[i] = last;
    w->wanted -= !top.had;
    return top;
}

static eid_status start_walk(eid_core *core, eid_tree *tree, const eid_id *have, size_t have_count, walk *w)
{
    for (size_t i = 0; i < tree->main->tip_count; i++)
        EID_TRY(push(w, tree->main->tips[i].n, false));
    for (size_t i = 0; i < have_count; i++) {
        int64_t n, d;
        EID_TRY(eid_storage_find(core->storage, &have[i], &n, &d));
        if (n != 0 && d == tree->d)
            EID_TRY(push(w, n, true));
    }
    return EID_OK;
}

/* Runs the walk to its end; the lock is held. */
static eid_status run_walk(eid_core *core, eid_tree *tree, walk *w)
{
    while (w->wanted > 0) {
        item top = pop(w);
        /* The same entry may stand in the heap several times, reached from both sides. */
        while (w->count > 0 && w->heap[0].n == top.n)
            top.had |= pop(w).had;
        if (!top.had)
            eid_buf_append(&w->missing, &top.n, sizeof top.n);
        int64_t *parents = NULL;
        size_t count = 0;
        EID_TRY(eid_storage_participation(core->storage, tree->main, top.n, NULL, &parents, &count));
        eid_status status = EID_OK;
        for (size_t i = 0; i < count && status == EID_OK; i++)
            status = push(w, parents[i], top.had);
        eid_free(parents);
        EID_TRY(status);
    }
    return eid_buf_status(&w->missing);
}

/* Hands out the entries of these numbers, from the last to the first: the list is descending. */
static eid_status each_of_list(eid_core *core, const int64_t *numbers, size_t count, eid_entry_callback callback, void *ctx)
{
    while (count > 0) {
        eid_entry *entries[SLICE];
        size_t slice = count < SLICE ? count : SLICE, loaded = 0;
        eid_status status = EID_OK;
        eid_storage_lock(core->storage);
        while (loaded < slice && status == EID_OK) {
            status = eid_storage_load(core->storage, numbers[count - 1 - loaded], &entries[loaded]);
            loaded += status == EID_OK;
        }
        eid_storage_unlock(core->storage);
        bool wanted = status == EID_OK;
        for (size_t i = 0; i < loaded; i++) {
            wanted = wanted && callback(entries[i], ctx);
            eid_entry_unref(entries[i]);
        }
        if (!wanted)
            return status;
        count -= slice;
    }
    return EID_OK;
}

static eid_status each_missing(eid_core *core, const eid_id *database, const eid_id *have, size_t have_count,
                               eid_entry_callback callback, void *ctx)
{
    walk w = {NULL, 0, 0, 0, {0}};
    eid_buf_init(&w.missing, SIZE_MAX / 2);
    eid_tree *tree;
    eid_storage_lock(core->storage);
    eid_status status = eid_storage_tree(core->storage, database, &tree);
    if (status == EID_OK)
        status = start_walk(core, tree, have, have_count, &w);
    if (status == EID_OK)
        status = run_walk(core, tree, &w);
    eid_storage_unlock(core->storage);
    if (status == EID_OK)
        status = each_of_list(core, (const int64_t *)(const void *)w.missing.data, w.missing.len / sizeof(int64_t), callback, ctx);
    eid_free(w.heap);
    eid_buf_free(&w.missing);
    return status;
}

eid_status eid_core_difference(eid_core *core, const eid_id *database, const eid_id *have, size_t have_count,
                               eid_entry_callback callback, void *ctx)
{
    if (have_count == 0)
        return each_of_all(core, database, callback, ctx);
    return each_missing(core, database, have, have_count, callback, ctx);
}
