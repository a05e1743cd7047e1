/* SPDX-License-Identifier: Apache-2.0 */
/* Walks over the DAG of a store: tips within a view, closures, ancestors.
 *
 * Arrival numbers are a topological order, so a walk towards the roots takes the largest number first and meets every
 * entry after all its descendants: a heap is all it needs.
 */
#include "state/state_int.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/numbers.h"

static uint64_t clamp(uint64_t height)
{
    return height > INT64_MAX ? INT64_MAX : height;
}

int eid_node_compare(const eid_node *a, const eid_node *b)
{
    uint64_t left = clamp(a->height), right = clamp(b->height);
    if (left != right)
        return left < right ? -1 : 1;
    return eid_id_compare_text(&a->id, &b->id);
}

static int compare_for_sort(const void *a, const void *b)
{
    return eid_node_compare(a, b);
}

void eid_nodes_sort(eid_node *nodes, size_t count)
{
    if (count > 1)
        qsort(nodes, count, sizeof *nodes, compare_for_sort);
}

eid_status eid_nodes_add(eid_nodes *nodes, const eid_node *node)
{
    if (nodes->count == nodes->capacity) {
        size_t capacity = nodes->capacity == 0 ? 8 : nodes->capacity * 2;
        eid_node *grown = eid_realloc_array(nodes->items, capacity, sizeof *grown);
        if (grown == NULL)
            return eid_fail_memory();
        nodes->items = grown;
        nodes->capacity = capacity;
    }
    nodes->items[nodes->count++] = *node;
    return EID_OK;
}

eid_status eid_state_push_parents(eid_storage *storage, const eid_tree_store *store, int64_t n, uint64_t *height, eid_heap *h)
{
    int64_t *parents = NULL;
    size_t count = 0;
    EID_TRY(eid_storage_participation(storage, store, n, height, &parents, &count));
    eid_status status = EID_OK;
    for (size_t i = 0; i < count && status == EID_OK; i++)
        status = eid_heap_push(h, parents[i], 0);
    eid_free(parents);
    return status;
}

/* ---- Ancestors and closures ---- */

eid_status eid_state_ancestors(eid_storage *storage, eid_tree *tree, const int64_t *from, size_t from_count, int64_t **out,
                               size_t *count)
{
    eid_heap h = {0};
    eid_buf members;
    eid_buf_init(&members, SIZE_MAX / 2);
    eid_status status = EID_OK;
    for (size_t i = 0; i < from_count && status == EID_OK; i++)
        status = eid_heap_push(&h, from[i], 0);
    while (status == EID_OK && h.count > 0) {
        int64_t n = eid_heap_pop(&h).n;
        eid_buf_append(&members, &n, sizeof n);
        status = eid_state_push_parents(storage, tree->main, n, NULL, &h);
    }
    eid_heap_free(&h);
    size_t len = 0;
    uint8_t *data = NULL;
    if (status == EID_OK)
        status = eid_buf_take(&members, &data, &len);
    if (status != EID_OK) {
        eid_buf_free(&members);
        return status;
    }
    int64_t *ascending = (int64_t *)(void *)data;
    size_t total = len / sizeof *ascending;
    for (size_t i = 0; i < total / 2; i++) {
        int64_t swap = ascending[i];
        ascending[i] = ascending[total - 1 - i];
        ascending[total - 1 - i] = swap;
    }
    *out = ascending;
    *count = total;
    return EID_OK;
}

/* Whether a walk met this number before, and remembers that it did now. Only needed where parents may have larger numbers
 * than their children: elsewhere the heap meets every entry once. */
static bool met_before(uint8_t *met, int64_t n)
{
    if (met == NULL)
        return false;
    uint8_t bit = (uint8_t)(1u << (n % 8));
    bool before = (met[n / 8] & bit) != 0;
    met[n / 8] |= bit;
    return before;
}

static eid_status new_met(const eid_tree_store *store, uint8_t **out)
{
    *out = NULL;
    if (!store->has_late)
        return EID_OK;
    *out = eid_alloc_zero((size_t)(store->newest / 8) + 1, 1);
    return *out == NULL ? eid_fail_memory() : EID_OK;
}

eid_status eid_state_closure_up_to(eid_storage *storage, eid_tree_store *store, int64_t up_to, const int64_t *tips,
                                   size_t tip_count, eid_node **out, size_t *count)
{
    eid_heap h = {0};
    eid_nodes nodes = {NULL, 0, 0};
    uint8_t *met;
    EID_TRY(new_met(store, &met));
    eid_status status = EID_OK;
    for (size_t i = 0; i < tip_count && status == EID_OK; i++)
        status = eid_heap_push(&h, tips[i], 0);
    while (status == EID_OK && h.count > 0) {
        eid_node node = {.n = eid_heap_pop(&h).n};
        if (node.n > up_to || met_before(met, node.n))
            continue;
        status = eid_state_push_parents(storage, store, node.n, &node.height, &h);
        if (status == EID_OK)
            status = eid_storage_id(storage, node.n, &node.id);
        if (status == EID_OK)
            status = eid_nodes_add(&nodes, &node);
    }
    eid_free(met);
    eid_heap_free(&h);
    if (status != EID_OK) {
        eid_free(nodes.items);
        return status;
    }
    eid_nodes_sort(nodes.items, nodes.count);
    *out = nodes.items;
    *count = nodes.count;
    return EID_OK;
}

/* ---- Views and tips ---- */

bool eid_view_contains(const eid_view *view, int64_t n)
{
    if (n > view->up_to)
        return false;
    if (view->members == NULL)
        return true;
    return eid_numbers_have(view->members, view->member_count, n);
}

bool eid_view_is_current(const eid_view *view, const eid_tree_store *store)
{
    return view->members == NULL && store->newest <= view->up_to;
}

/* Candidates, ascending; those found to be a parent of a member are struck out (set to 0). */
typedef struct tip_search {
    const eid_view *view;
    eid_buf *found;       /* while candidates are collected */
    int64_t *candidates;
    size_t count;
} tip_search;

static size_t candidate_place(const tip_search *search, int64_t n)
{
    size_t low = 0, high = search->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int64_t value = search->candidates[middle] < 0 ? -search->candidates[middle] : search->candidates[middle];
        if (value < n)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Struck candidates keep their place with a negative sign, so that the array stays sorted by magnitude. */
static bool strike_parents(const eid_participation *part, void *ctx)
{
    tip_search *search = ctx;
    if (!eid_view_contains(search->view, part->n))
        return true;
    for (size_t i = 0; i < part->parent_count; i++) {
        size_t place = candidate_place(search, part->parents[i]);
        if (place < search->count && search->candidates[place] == part->parents[i])
            search->candidates[place] = -part->parents[i];
    }
    return true;
}

/* A chosen set of members need not be closed under store parents (a writer may name parents that are no ancestors in the
 * main DAG), so each of its participants may be a tip. */
static bool collect_member(const eid_participation *part, void *ctx)
{
    tip_search *search = ctx;
    if (eid_view_contains(search->view, part->n))
        eid_buf_append(search->found, &part->n, sizeof part->n);
    return true;
}

/* Arrival numbers are closed under parents where none arrived late: collects the members the walk from the current tips
 * meets first. */
static eid_status collect_candidates(eid_storage *storage, eid_tree_store *store, const eid_view *view, eid_buf *out)
{
    eid_heap h = {0};
    eid_status status = EID_OK;
    for (size_t i = 0; i < store->tip_count && status == EID_OK; i++)
        status = eid_heap_push(&h, store->tips[i].n, 0);
    while (status == EID_OK && h.count > 0) {
        int64_t n = eid_heap_pop(&h).n;
        if (eid_view_contains(view, n))
            eid_buf_append(out, &n, sizeof n);
        else
            status = eid_state_push_parents(storage, store, n, NULL, &h);
    }
    eid_heap_free(&h);
    return status;
}

/* As eid_storage_each_participation, for the members of a chosen set: one by one when they are few of many. */
static eid_status each_member(eid_storage *storage, const eid_tree_store *store, const eid_view *view, int64_t after,
                              eid_participation_callback callback, void *ctx)
{
    if (view->members == NULL || view->member_count >= store->count / 8)
        return eid_storage_each_participation(storage, store, after, view->up_to, callback, ctx);
    for (size_t i = 0; i < view->member_count; i++) {
        eid_participation part = {.n = view->members[i]};
        int64_t *parents;
        if (part.n <= after || part.n > view->up_to)
            continue;
        eid_status status = eid_storage_participation(storage, store, part.n, &part.height, &parents, &part.parent_count);
        if (status == EID_ERR_NOT_FOUND)
            continue;
        EID_TRY(status);
        part.parents = parents;
        callback(&part, ctx);
        eid_free(parents);
    }
    return EID_OK;
}

static eid_status unstruck(eid_storage *storage, eid_tree_store *store, const tip_search *search, eid_nodes *nodes)
{
    for (size_t i = 0; i < search->count; i++) {
        eid_node node = {.n = search->candidates[i]};
        if (node.n < 0)
            continue;
        EID_TRY(eid_storage_participation(storage, store, node.n, &node.height, NULL, NULL));
        EID_TRY(eid_storage_id(storage, node.n, &node.id));
        EID_TRY(eid_nodes_add(nodes, &node));
    }
    return EID_OK;
}

eid_status eid_state_tips(eid_storage *storage, eid_tree_store *store, const eid_view *view, eid_node **out, size_t *count)
{
    eid_nodes nodes = {NULL, 0, 0};
    eid_status status = EID_OK;
    if (eid_view_is_current(view, store)) {
        for (size_t i = 0; i < store->tip_count && status == EID_OK; i++)
            status = eid_nodes_add(&nodes, &store->tips[i]);
    } else {
        eid_buf candidates;
        eid_buf_init(&candidates, SIZE_MAX / 2);
        tip_search search = {.view = view, .found = &candidates};
        if (view->members == NULL && !store->has_late)
            status = collect_candidates(storage, store, view, &candidates);
        else
            status = each_member(storage, store, view, 0, collect_member, &search);
        if (status == EID_OK)
            status = eid_buf_status(&candidates);
        search.candidates = (int64_t *)(void *)candidates.data;
        search.count = candidates.len / sizeof(int64_t);
        if (status == EID_OK && search.count > 0) {
            eid_numbers_sort(search.candidates, search.count);
            /* Without late parents only a member younger than the oldest candidate can have one of them as parent. */
            int64_t after = store->has_late ? 0 : search.candidates[0];
            status = each_member(storage, store, view, after, strike_parents, &search);
        }
        if (status == EID_OK)
            status = unstruck(storage, store, &search, &nodes);
        eid_buf_free(&candidates);
    }
    if (status != EID_OK) {
        eid_free(nodes.items);
        return status;
    }
    *out = nodes.items;
    *count = nodes.count;
    return EID_OK;
}
