/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer lacks: entries that are not ancestors of what it has.
 *
 * A walk (walk.h) knows, when it takes an entry, whether the peer has it: all its descendants were taken before. It ends when
 * only entries the peer has are left, so its cost is what is younger than the oldest entry the peer lacks, not the history.
 */
#include "database/walk.h"

#include "base/alloc.h"

/* Entries loaded under one hold of the lock. */
#define SLICE 256
/* Steps of a walk under one hold of the lock: a millisecond or two. */
#define STEPS 1024

struct eid_difference {
    eid_core *core;
    eid_id database;
    eid_buf missing;  /* numbers, descending: taken from the end */
    /* Of everything, which is read as it is taken: */
    eid_place place;
    uint64_t behind;  /* entries behind the place */
};

/* ---- Everything ---- */

static eid_status each_of_all(eid_core *core, const eid_id *database, eid_entry_callback callback, void *ctx)
{
    eid_place place = {INT64_MIN, 0, 0};
    eid_entry *entries[SLICE];
    size_t count = 0;
    do {
        eid_tree *tree;
        eid_storage_lock(core->storage);
        eid_status status = eid_storage_tree(core->storage, database, &tree);
        if (status == EID_OK && place.up_to == 0)
            place.up_to = tree->main->newest;
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

#define HAD 1 /* the peer has it */

static eid_status start_walk(eid_core *core, eid_tree *tree, const eid_id *have, size_t have_count, eid_dag_walk *walk)
{
    for (size_t i = 0; i < tree->main->tip_count; i++)
        EID_TRY(eid_dag_walk_push(walk, tree->main->tips[i].n, 0));
    for (size_t i = 0; i < have_count; i++) {
        int64_t n, d;
        EID_TRY(eid_storage_find(core->storage, &have[i], &n, &d));
        if (n != 0 && d == tree->d)
            EID_TRY(eid_dag_walk_push(walk, n, HAD));
    }
    return EID_OK;
}

/* Collects the numbers of what the peer lacks, descending: some of them, under one hold of the lock. What arrives between two
 * holds has larger numbers, so the walk does not meet it. */
static eid_status find_some(eid_core *core, const eid_id *database, eid_dag_walk *walk, eid_buf *missing)
{
    eid_tree *tree;
    eid_storage_lock(core->storage);
    eid_status status = eid_storage_tree(core->storage, database, &tree);
    for (size_t i = 0; i < STEPS && status == EID_OK && walk->wanted > 0; i++) {
        eid_dag_item item;
        status = eid_dag_walk_next(walk, core->storage, tree, &item);
        if (status == EID_OK && item.marks != HAD)
            eid_buf_append(missing, &item.n, sizeof item.n);
    }
    eid_storage_unlock(core->storage);
    return status == EID_OK ? eid_buf_status(missing) : status;
}

/* Stops when they are known to be more than `most`. */
static eid_status find_missing(eid_core *core, const eid_id *database, const eid_id *have, size_t have_count, uint64_t most,
                               eid_buf *missing)
{
    eid_dag_walk walk;
    eid_tree *tree;
    eid_dag_walk_init(&walk, HAD);
    eid_storage_lock(core->storage);
    eid_status status = eid_storage_tree(core->storage, database, &tree);
    if (status == EID_OK)
        status = start_walk(core, tree, have, have_count, &walk);
    eid_storage_unlock(core->storage);
    while (status == EID_OK && walk.wanted > 0 && missing->len / sizeof(int64_t) <= most)
        status = find_some(core, database, &walk, missing);
    eid_dag_walk_free(&walk);
    return status;
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

/* ---- Some at a time ---- */

static eid_status new_difference(eid_core *core, const eid_id *database, eid_difference **out)
{
    eid_difference *difference = eid_alloc_zero(1, sizeof *difference);
    if (difference == NULL)
        return eid_fail_memory();
    difference->core = core;
    difference->database = *database;
    eid_buf_init(&difference->missing, SIZE_MAX / 2);
    *out = difference;
    return EID_OK;
}

static eid_status open_all(eid_difference *difference)
{
    eid_storage *storage = difference->core->storage;
    eid_tree *tree;
    eid_storage_lock(storage);
    eid_status status = eid_storage_tree(storage, &difference->database, &tree);
    if (status == EID_OK) {
        difference->behind = tree->main->count;
        difference->place = (eid_place){INT64_MIN, 0, tree->main->newest};
    }
    eid_storage_unlock(storage);
    return status;
}

eid_status eid_difference_open(eid_core *core, const eid_id *database, const eid_id *have, size_t have_count, uint64_t most,
                               eid_difference **out)
{
    eid_difference *difference;
    EID_TRY(new_difference(core, database, &difference));
    eid_status status = have_count == 0 ? open_all(difference)
                                        : find_missing(core, database, have, have_count, most, &difference->missing);
    bool fits = status == EID_OK && eid_difference_left(difference) <= most;
    if (!fits) {
        eid_difference_close(difference);
        difference = NULL;
    }
    if (status == EID_OK)
        *out = difference;
    return status;
}

eid_status eid_difference_open_list(eid_core *core, const eid_id *database, const int64_t *descending, size_t count,
                                    eid_difference **out)
{
    eid_difference *difference;
    EID_TRY(new_difference(core, database, &difference));
    eid_buf_append(&difference->missing, descending, count * sizeof *descending);
    eid_status status = eid_buf_status(&difference->missing);
    if (status != EID_OK)
        eid_difference_close(difference);
    else
        *out = difference;
    return status;
}

uint64_t eid_difference_left(const eid_difference *difference)
{
    return difference->behind + difference->missing.len / sizeof(int64_t);
}

/* The next numbers of everything. The lock is held. */
static eid_status read_on(eid_difference *difference)
{
    int64_t numbers[SLICE];
    size_t count;
    eid_tree *tree;
    eid_storage *storage = difference->core->storage;
    if (difference->missing.len > 0 || difference->behind == 0)
        return EID_OK;
    EID_TRY(eid_storage_tree(storage, &difference->database, &tree));
    EID_TRY(eid_storage_slice_numbers(storage, tree, &difference->place, SLICE, numbers, &count));
    for (size_t i = count; i-- > 0;)
        eid_buf_append(&difference->missing, &numbers[i], sizeof numbers[i]);
    difference->behind = count < difference->behind ? difference->behind - count : 0;
    return eid_buf_status(&difference->missing);
}

/* Looks at the next number, 0 at the end. The lock is held. */
static eid_status look(eid_difference *difference, int64_t *n)
{
    EID_TRY(read_on(difference));
    const eid_buf *missing = &difference->missing;
    *n = 0;
    if (missing->len > 0)
        memcpy(n, missing->data + missing->len - sizeof *n, sizeof *n);
    return EID_OK;
}

eid_status eid_difference_next(eid_difference *difference, eid_entry **out)
{
    int64_t n;
    eid_entry *entry = NULL;
    eid_storage *storage = difference->core->storage;
    eid_storage_lock(storage);
    eid_status status = look(difference, &n);
    if (status == EID_OK && n != 0)
        status = eid_storage_load(storage, n, &entry);
    eid_storage_unlock(storage);
    if (status != EID_OK)
        return status;
    if (entry != NULL)
        difference->missing.len -= sizeof n;
    *out = entry;
    return EID_OK;
}

eid_status eid_difference_append(eid_difference *difference, size_t enough, eid_buf *out, size_t *count)
{
    eid_storage *storage = difference->core->storage;
    eid_status status = EID_OK;
    size_t appended = 0;
    eid_storage_lock(storage);
    while (status == EID_OK && out->len < enough) {
        int64_t n;
        status = look(difference, &n);
        if (status != EID_OK || n == 0)
            break;
        status = eid_storage_append_bytes(storage, n, out);
        difference->missing.len -= sizeof n;
        appended++;
    }
    eid_storage_unlock(storage);
    *count = appended;
    return status;
}

void eid_difference_close(eid_difference *difference)
{
    if (difference == NULL)
        return;
    eid_buf_free(&difference->missing);
    eid_free(difference);
}

/* ---- All at once ---- */

static eid_status each_missing(eid_core *core, const eid_id *database, const eid_id *have, size_t have_count,
                               eid_entry_callback callback, void *ctx)
{
    eid_buf missing;
    eid_buf_init(&missing, SIZE_MAX / 2);
    eid_status status = find_missing(core, database, have, have_count, UINT64_MAX, &missing);
    if (status == EID_OK)
        status = each_of_list(core, (const int64_t *)(const void *)missing.data, missing.len / sizeof(int64_t), callback, ctx);
    eid_buf_free(&missing);
    return status;
}

eid_status eid_core_difference(eid_core *core, const eid_id *database, const eid_id *have, size_t have_count,
                               eid_entry_callback callback, void *ctx)
{
    if (have_count == 0)
        return each_of_all(core, database, callback, ctx);
    return each_missing(core, database, have, have_count, callback, ctx);
}
