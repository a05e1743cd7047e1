/* SPDX-License-Identifier: Apache-2.0 */
/* Walks of the main DAG; what they rest on is told in walk.h. */
#include "database/walk.h"

#include "base/alloc.h"

/* Steps under one hold of the lock: a millisecond or two. */
#define STEPS 1024

void eid_dag_walk_init(eid_dag_walk *walk, uint8_t complete)
{
    *walk = (eid_dag_walk){.complete = complete};
}

void eid_dag_walk_free(eid_dag_walk *walk)
{
    eid_heap_free(&walk->heap);
}

static bool is_wanted(const eid_dag_walk *walk, uint8_t marks)
{
    return (marks & walk->complete) != walk->complete;
}

eid_status eid_dag_walk_push(eid_dag_walk *walk, int64_t n, uint8_t marks)
{
    EID_TRY(eid_heap_push(&walk->heap, n, marks));
    walk->wanted += is_wanted(walk, marks);
    return EID_OK;
}

/* The same entry may stand in the heap several times, reached from different children. */
static eid_dag_item pop(eid_dag_walk *walk)
{
    eid_dag_item top = {walk->heap.items[0].n, 0};
    while (walk->heap.count > 0 && walk->heap.items[0].n == top.n) {
        uint8_t marks = eid_heap_pop_one(&walk->heap).marks;
        walk->wanted -= is_wanted(walk, marks);
        top.marks |= marks;
    }
    return top;
}

eid_status eid_dag_walk_next(eid_dag_walk *walk, eid_storage *storage, const eid_tree *tree, eid_dag_item *out)
{
    eid_dag_item top = pop(walk);
    int64_t *parents = NULL;
    size_t count = 0;
    EID_TRY(eid_storage_participation(storage, tree->main, top.n, NULL, &parents, &count));
    eid_status status = EID_OK;
    for (size_t i = 0; i < count && status == EID_OK; i++)
        status = eid_dag_walk_push(walk, parents[i], top.marks);
    eid_free(parents);
    EID_TRY(status);
    *out = top;
    return EID_OK;
}

/* ---- Sides ---- */

static eid_status push_side(eid_dag_walk *walk, eid_storage *storage, const eid_tree *tree, const eid_side *side, uint8_t mark)
{
    if (side->present) {
        for (size_t i = 0; i < tree->main->tip_count; i++)
            EID_TRY(eid_dag_walk_push(walk, tree->main->tips[i].n, mark));
        return EID_OK;
    }
    for (size_t i = 0; i < side->count; i++) {
        int64_t n, d;
        EID_TRY(eid_storage_find(storage, &side->tips[i], &n, &d));
        if (n == 0 || d != tree->d) {
            char text[EID_ID_TEXT_SIZE];
            eid_id_format(&side->tips[i], text);
            return eid_fail(EID_ERR_INVALID_TIP, "%s is not an entry of the database", text);
        }
        EID_TRY(eid_dag_walk_push(walk, n, mark));
    }
    return EID_OK;
}

static eid_status add_to_runs(eid_sides *sides, const eid_dag_item *item, bool *joins)
{
    uint8_t outside = (uint8_t)(sides->all & ~item->marks);
    if (outside == 0) {
        *joins = false;
        return EID_OK;
    }
    if (*joins && sides->runs[sides->count - 1].outside == outside) {
        sides->runs[sides->count - 1].low = item->n;
        return EID_OK;
    }
    if (sides->count == sides->capacity) {
        size_t capacity = sides->capacity == 0 ? 16 : sides->capacity * 2;
        eid_sides_run *grown = eid_realloc_array(sides->runs, capacity, sizeof *grown);
        if (grown == NULL)
            return eid_fail_memory();
        sides->runs = grown;
        sides->capacity = capacity;
    }
    sides->runs[sides->count++] = (eid_sides_run){item->n, item->n, outside};
    *joins = true;
    return EID_OK;
}

static eid_status start_sides(eid_dag_walk *walk, eid_database *database, const eid_side *sides, size_t count, eid_sides *out)
{
    eid_tree *tree;
    EID_TRY(eid_database_tree(database, &tree));
    out->up_to = tree->main->newest;
    /* Everything held, so that what belongs to no side is met too. */
    for (size_t i = 0; i < tree->main->tip_count; i++)
        EID_TRY(eid_dag_walk_push(walk, tree->main->tips[i].n, 0));
    for (size_t i = 0; i < count; i++)
        EID_TRY(push_side(walk, database->core->storage, tree, &sides[i], (uint8_t)(1u << i)));
    return EID_OK;
}

static eid_status walk_on(eid_dag_walk *walk, eid_database *database, eid_sides *out, bool *joins)
{
    eid_tree *tree;
    EID_TRY(eid_database_tree(database, &tree));
    for (size_t i = 0; i < STEPS && walk->wanted > 0; i++) {
        eid_dag_item item;
        EID_TRY(eid_dag_walk_next(walk, database->core->storage, tree, &item));
        EID_TRY(add_to_runs(out, &item, joins));
    }
    return EID_OK;
}

eid_status eid_sides_find(eid_database *database, const eid_side *sides, size_t count, eid_sides *out)
{
    eid_storage *storage = database->core->storage;
    eid_sides found = {.all = (uint8_t)((1u << count) - 1)};
    eid_dag_walk walk;
    bool joins = false;
    eid_dag_walk_init(&walk, found.all);
    eid_storage_lock(storage);
    eid_status status = start_sides(&walk, database, sides, count, &found);
    eid_storage_unlock(storage);
    while (status == EID_OK && walk.wanted > 0) {
        eid_storage_lock(storage);
        status = walk_on(&walk, database, &found, &joins);
        eid_storage_unlock(storage);
    }
    eid_dag_walk_free(&walk);
    if (status != EID_OK) {
        eid_sides_free(&found);
        return status;
    }
    *out = found;
    return EID_OK;
}

void eid_sides_free(eid_sides *sides)
{
    eid_free(sides->runs);
    sides->runs = NULL;
    sides->count = 0;
}

uint8_t eid_sides_of(const eid_sides *sides, int64_t n)
{
    if (n > sides->up_to)
        return 0;
    size_t low = 0, high = sides->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sides->runs[middle].low > n)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < sides->count && sides->runs[low].high >= n)
        return (uint8_t)(sides->all & ~sides->runs[low].outside);
    return sides->all;
}
