/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of acts and entries: what an act knows, what it builds on, what is not in its past.
 *
 * With honest writers such a set is a few runs of numbers and is kept. Hostile ones can make each as long as the history, so long
 * sets of acts are not kept: what an act names directly is, and the rest is worked out from that in one pass over the acts.
 */
#include "database/standing_int.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "database/walk.h"

#define RUNS_KEPT 16 /* of one set: 256 bytes */

/* ---- Runs ---- */

void eid_runs_free(eid_runs *runs)
{
    eid_free(runs->items);
    *runs = (eid_runs){NULL, 0, 0};
}

bool eid_runs_have(const eid_runs *runs, int64_t number)
{
    size_t low = 0, high = runs->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (runs->items[middle].high < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < runs->count && runs->items[low].low <= number;
}

eid_status eid_runs_append(eid_runs *runs, int64_t low, int64_t high)
{
    if (runs->count > 0 && runs->items[runs->count - 1].high >= low - 1) {
        eid_run *last = &runs->items[runs->count - 1];
        last->high = high > last->high ? high : last->high;
        return EID_OK;
    }
    void *items = runs->items;
    EID_TRY(eid_make_room(&items, &runs->capacity, runs->count, sizeof *runs->items));
    runs->items = items;
    runs->items[runs->count++] = (eid_run){low, high};
    return EID_OK;
}

eid_status eid_runs_unite(eid_runs *runs, const eid_runs *other)
{
    eid_runs united = {NULL, 0, 0};
    eid_status status = EID_OK;
    size_t a = 0, b = 0;
    while ((a < runs->count || b < other->count) && status == EID_OK) {
        bool first = b == other->count || (a < runs->count && runs->items[a].low <= other->items[b].low);
        const eid_run *next = first ? &runs->items[a++] : &other->items[b++];
        status = eid_runs_append(&united, next->low, next->high);
    }
    if (status != EID_OK) {
        eid_runs_free(&united);
        return status;
    }
    eid_runs_free(runs);
    *runs = united;
    return EID_OK;
}

/* ---- Bits, while something is worked out and where runs would take more room ---- */

static bool has_bit(const uint8_t *bits, size_t i)
{
    return (bits[i / 8] >> (i % 8) & 1) != 0;
}

static void set_bit(uint8_t *bits, size_t i)
{
    bits[i / 8] |= (uint8_t)(1u << (i % 8));
}

static eid_status runs_of_bits(const uint8_t *bits, size_t size, eid_runs *out)
{
    eid_runs runs = {NULL, 0, 0};
    for (size_t i = 0; i < size; i++) {
        eid_status status = has_bit(bits, i) ? eid_runs_append(&runs, (int64_t)i, (int64_t)i) : EID_OK;
        if (status != EID_OK) {
            eid_runs_free(&runs);
            return status;
        }
    }
    *out = runs;
    return EID_OK;
}

/* ---- What acts know and build on ---- */

/* What is named has smaller indices than what names it, so that one pass downwards meets everything. */
static void mark_below(const eid_charter *charter, uint8_t *bits, size_t size)
{
    for (size_t i = size; i > 0; i--) {
        const eid_act *act = charter->acts[i - 1];
        if (!has_bit(bits, i - 1))
            continue;
        for (size_t k = act->pin_count; k < act->named_count; k++)
            set_bit(bits, (size_t)act->named[k]->index);
    }
}

static eid_status work_out(const eid_charter *charter, eid_act *const *from, size_t count, eid_runs *out)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        if ((size_t)from[i]->index >= size)
            size = (size_t)from[i]->index + 1;
    uint8_t *bits = eid_alloc_zero(size / 8 + 1, 1);
    if (bits == NULL)
        return eid_fail_memory();
    for (size_t i = 0; i < count; i++)
        set_bit(bits, (size_t)from[i]->index);
    mark_below(charter, bits, size);
    eid_status status = runs_of_bits(bits, size, out);
    eid_free(bits);
    return status;
}

eid_status eid_acts_closure(const eid_charter *charter, eid_act *const *acts, size_t count, eid_runs *scratch, const eid_runs **out)
{
    bool kept = true;
    eid_runs_free(scratch);
    for (size_t i = 0; i < count; i++)
        kept = kept && !acts[i]->closure_is_long;
    if (kept && count == 1) { /* nearly always */
        *out = &acts[0]->closure;
        return EID_OK;
    }
    if (!kept)
        EID_TRY(work_out(charter, acts, count, scratch));
    for (size_t i = 0; i < count && kept; i++)
        EID_TRY(eid_runs_unite(scratch, &acts[i]->closure));
    *out = scratch;
    return EID_OK;
}

eid_status eid_charter_knowledge(const eid_charter *charter, const int64_t *pins, size_t count, eid_runs *scratch,
                                 const eid_runs **out)
{
    eid_act *one = NULL, **acts = &one;
    size_t found = 0;
    if (count > 1)
        acts = eid_realloc_array(NULL, count, sizeof *acts);
    if (acts == NULL)
        return eid_fail_memory();
    for (size_t i = 0; i < count; i++) {
        eid_act *act = eid_charter_act(charter, pins[i]);
        if (act != NULL)
            acts[found++] = act;
    }
    eid_status status = eid_acts_closure(charter, acts, found, scratch, out);
    if (count > 1)
        eid_free(acts);
    return status;
}

eid_status eid_act_known(const eid_charter *charter, const eid_act *act, eid_runs *scratch, const eid_runs **out)
{
    if (act->known_is_long)
        return eid_acts_closure(charter, act->named, act->pin_count, scratch, out);
    *out = &act->known;
    return EID_OK;
}

/* A copy when it is short, with room for one run more. */
static eid_status keep(const eid_runs *from, eid_runs *out, bool *is_long)
{
    *is_long = from->count > RUNS_KEPT;
    if (*is_long)
        return EID_OK;
    eid_run *items = eid_realloc_array(NULL, from->count + 1, sizeof *items);
    if (items == NULL)
        return eid_fail_memory();
    if (from->count > 0)
        memcpy(items, from->items, from->count * sizeof *items);
    *out = (eid_runs){items, from->count, from->count + 1};
    return EID_OK;
}

static eid_status keep_sets(const eid_charter *charter, eid_act *act, eid_runs *scratch)
{
    const eid_runs *set;
    EID_TRY(eid_acts_closure(charter, act->named, act->pin_count, scratch, &set));
    EID_TRY(keep(set, &act->known, &act->known_is_long));
    EID_TRY(eid_acts_closure(charter, act->named + act->pin_count, act->named_count - act->pin_count, scratch, &set));
    EID_TRY(keep(set, &act->closure, &act->closure_is_long));
    return act->closure_is_long ? EID_OK : eid_runs_append(&act->closure, act->index, act->index);
}

eid_status eid_act_keep_sets(const eid_charter *charter, eid_act *act)
{
    eid_runs scratch = {NULL, 0, 0};
    eid_status status = keep_sets(charter, act, &scratch);
    eid_runs_free(&scratch);
    return status;
}

/* ---- The past of an act ---- */

void eid_act_forget_past(eid_act *act)
{
    eid_runs_free(&act->outside.runs);
    eid_free(act->outside.bits);
    act->outside = (eid_outside){.found = false};
}

/* All are found again when they are asked for: that costs a walk each, so it must be seldom. */
static void make_room_for(eid_charter *charter, size_t bytes)
{
    if (charter->long_bytes + bytes > EID_LIMIT_LONG_PASTS) {
        for (size_t i = 0; i < charter->count; i++)
            if (charter->acts[i]->outside.is_long)
                eid_act_forget_past(charter->acts[i]);
        charter->long_bytes = 0;
    }
    charter->long_bytes += bytes;
}

/* Every second entry in its past, every second outside: bits take less room. */
static eid_status shrink(eid_outside *outside, size_t *bytes)
{
    const eid_runs *runs = &outside->runs;
    int64_t low = runs->items[0].low;
    size_t size = (size_t)(runs->items[runs->count - 1].high - low) + 1;
    *bytes = runs->capacity * sizeof *runs->items;
    if (size / 8 >= *bytes)
        return EID_OK;
    *bytes = size / 8 + 1;
    outside->bits = eid_alloc_zero(*bytes, 1);
    if (outside->bits == NULL)
        return eid_fail_memory();
    for (size_t i = 0; i < runs->count; i++)
        for (int64_t n = runs->items[i].low; n <= runs->items[i].high; n++)
            set_bit(outside->bits, (size_t)(n - low));
    outside->low = low;
    outside->size = size;
    eid_runs_free(&outside->runs);
    return EID_OK;
}

static eid_status walk_outside(eid_storage *storage, const eid_tree *tree, const eid_act *act, eid_dag_walk *walk, eid_buf *found)
{
    for (size_t i = 0; i < tree->main->tip_count; i++)
        EID_TRY(eid_dag_walk_push(walk, tree->main->tips[i].n, 0));
    EID_TRY(eid_dag_walk_push(walk, act->node.n, 1));
    while (walk->wanted > 0) {
        eid_dag_item item;
        EID_TRY(eid_dag_walk_next(walk, storage, tree, &item));
        if (item.marks == 0 && item.n < act->node.n)
            eid_buf_append(found, &item.n, sizeof item.n);
    }
    return eid_buf_status(found);
}

/* The walk meets falling numbers. Entries it did not meet between two of these are of another database, or in the past. */
static eid_status keep_outside(eid_charter *charter, eid_outside *outside, const eid_buf *found)
{
    for (size_t i = found->len / sizeof(int64_t); i > 0; i--) {
        int64_t n;
        memcpy(&n, found->data + (i - 1) * sizeof n, sizeof n);
        EID_TRY(eid_runs_append(&outside->runs, n, n));
    }
    if (outside->runs.count > RUNS_KEPT) {
        size_t bytes;
        EID_TRY(shrink(outside, &bytes));
        make_room_for(charter, bytes);
        outside->is_long = true;
    }
    outside->found = true;
    return EID_OK;
}

static eid_status find_outside(eid_storage *storage, const eid_tree *tree, eid_charter *charter, eid_act *act)
{
    eid_dag_walk walk;
    eid_buf found;
    eid_dag_walk_init(&walk, 1);
    eid_buf_init(&found, SIZE_MAX / 2);
    eid_status status = walk_outside(storage, tree, act, &walk, &found);
    if (status == EID_OK)
        status = keep_outside(charter, &act->outside, &found);
    if (status != EID_OK)
        eid_act_forget_past(act);
    eid_buf_free(&found);
    eid_dag_walk_free(&walk);
    return status;
}

static bool is_outside(const eid_outside *outside, int64_t n)
{
    if (outside->bits == NULL)
        return eid_runs_have(&outside->runs, n);
    return n >= outside->low && (size_t)(n - outside->low) < outside->size && has_bit(outside->bits, (size_t)(n - outside->low));
}

eid_status eid_act_has_in_past(eid_storage *storage, eid_tree *tree, eid_charter *charter, eid_act *act, int64_t n, bool *out)
{
    *out = n == act->node.n;
    if (n >= act->node.n)
        return EID_OK;
    if (!act->outside.found)
        EID_TRY(find_outside(storage, tree, charter, act));
    *out = !is_outside(&act->outside, n);
    return EID_OK;
}
