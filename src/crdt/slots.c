/* SPDX-License-Identifier: Apache-2.0 */
/* The slots of a List: an AVL tree in position order in which every node counts the slots and the live
 * elements below it. So the element of an index, the slot of a position and an insertion all cost O(log n),
 * and nothing that comes from a peer can unbalance it. Slots are never taken out: a removed element leaves a
 * tombstone. */
#include "crdt/crdt_int.h"

#include <assert.h>

#include "base/alloc.h"

enum side { LEFT = 0, RIGHT = 1 };

eid_slot *eid_slot_new(const eid_position *position, eid_value *value)
{
    eid_slot *slot = eid_alloc(sizeof *slot);
    if (slot != NULL)
        *slot = (eid_slot){.position = *position, .value = value};
    return slot;
}

void eid_slots_free(eid_list *list)
{
    /* Leaves first: go down while there is a child, free, return to the parent. */
    eid_slot *at = list->root;
    while (at != NULL) {
        if (at->child[LEFT] != NULL) {
            at = at->child[LEFT];
        } else if (at->child[RIGHT] != NULL) {
            at = at->child[RIGHT];
        } else {
            eid_slot *parent = at->parent;
            if (parent != NULL)
                parent->child[parent->child[RIGHT] == at] = NULL;
            eid_free(at);
            at = parent;
        }
    }
    list->root = NULL;
}

static eid_slot *outermost(eid_slot *at, enum side side)
{
    while (at != NULL && at->child[side] != NULL)
        at = at->child[side];
    return at;
}

eid_slot *eid_slot_first(const eid_list *list)
{
    return outermost(list->root, LEFT);
}

eid_slot *eid_slot_last(const eid_list *list)
{
    return outermost(list->root, RIGHT);
}

static eid_slot *neighbour(const eid_slot *slot, enum side side)
{
    if (slot->child[side] != NULL)
        return outermost(slot->child[side], !side);
    while (slot->parent != NULL && slot->parent->child[side] == slot)
        slot = slot->parent;
    return slot->parent;
}

eid_slot *eid_slot_next(const eid_slot *slot)
{
    return neighbour(slot, RIGHT);
}

eid_slot *eid_slot_previous(const eid_slot *slot)
{
    return neighbour(slot, LEFT);
}

eid_slot *eid_slot_find(const eid_list *list, const eid_position *position)
{
    eid_slot *at = list->root;
    while (at != NULL) {
        int order = eid_position_compare(position, &at->position);
        if (order == 0)
            return at;
        at = at->child[order > 0];
    }
    return NULL;
}

static size_t slots_of(const eid_slot *at)
{
    return at == NULL ? 0 : at->slots;
}

static size_t live_of(const eid_slot *at)
{
    return at == NULL ? 0 : at->live;
}

static int height_of(const eid_slot *at)
{
    return at == NULL ? 0 : at->height;
}

eid_slot *eid_slot_at(const eid_list *list, size_t slot)
{
    eid_slot *at = list->root;
    while (at != NULL) {
        size_t before = slots_of(at->child[LEFT]);
        if (slot == before)
            return at;
        if (slot < before) {
            at = at->child[LEFT];
        } else {
            slot -= before + 1;
            at = at->child[RIGHT];
        }
    }
    return NULL;
}

eid_slot *eid_slot_live_at(const eid_list *list, size_t index)
{
    eid_slot *at = list->root;
    while (at != NULL) {
        size_t before = live_of(at->child[LEFT]);
        size_t own = eid_value_is_live(at->value);
        if (index < before) {
            at = at->child[LEFT];
        } else if (index - before < own) {
            return at;
        } else {
            index -= before + own;
            at = at->child[RIGHT];
        }
    }
    return NULL;
}

size_t eid_slot_index(const eid_slot *slot)
{
    size_t before = live_of(slot->child[LEFT]);
    for (const eid_slot *at = slot; at->parent != NULL; at = at->parent)
        if (at->parent->child[RIGHT] == at)
            before += (size_t)eid_value_is_live(at->parent->value) + live_of(at->parent->child[LEFT]);
    return before;
}

static void update(eid_slot *at)
{
    int left = height_of(at->child[LEFT]), right = height_of(at->child[RIGHT]);
    at->height = 1 + (left > right ? left : right);
    at->slots = 1 + slots_of(at->child[LEFT]) + slots_of(at->child[RIGHT]);
    at->live = (size_t)eid_value_is_live(at->value) + live_of(at->child[LEFT]) + live_of(at->child[RIGHT]);
}

/* Lifts the child opposite to `side` above `top`, which moves down to `side`. Returns the new top. */
static eid_slot *rotate(eid_list *list, eid_slot *top, enum side side)
{
    eid_slot *lifted = top->child[!side];
    eid_slot *inner = lifted->child[side];
    lifted->parent = top->parent;
    if (top->parent == NULL)
        list->root = lifted;
    else
        top->parent->child[top->parent->child[RIGHT] == top] = lifted;
    lifted->child[side] = top;
    top->parent = lifted;
    top->child[!side] = inner;
    if (inner != NULL)
        inner->parent = top;
    update(top);
    update(lifted);
    return lifted;
}

void eid_slot_link(eid_list *list, eid_slot *slot)
{
    eid_slot *parent = NULL;
    enum side side = LEFT;
    for (eid_slot *at = list->root; at != NULL; at = at->child[side]) {
        int order = eid_position_compare(&slot->position, &at->position);
        assert(order != 0);
        parent = at;
        side = order < 0 ? LEFT : RIGHT;
    }
    slot->parent = parent;
    if (parent == NULL)
        list->root = slot;
    else
        parent->child[side] = slot;
    /* To the root always: every subtree on the way counts one slot more. */
    for (eid_slot *at = slot; at != NULL; at = at->parent) {
        update(at);
        int lean = height_of(at->child[RIGHT]) - height_of(at->child[LEFT]);
        assert(lean >= -2 && lean <= 2);
        if (lean == 2 || lean == -2) {
            enum side heavy = lean > 0 ? RIGHT : LEFT;
            eid_slot *child = at->child[heavy];
            if (height_of(child->child[!heavy]) > height_of(child->child[heavy]))
                rotate(list, child, heavy);
            at = rotate(list, at, !heavy);
        }
    }
}

eid_value *eid_slot_place(eid_slot *slot, eid_value *value)
{
    eid_value *before = slot->value;
    slot->value = value;
    if (eid_value_is_live(before) != eid_value_is_live(value))
        for (eid_slot *at = slot; at != NULL; at = at->parent)
            at->live += eid_value_is_live(value) ? 1 : SIZE_MAX; /* wraps: one less */
    return before;
}

eid_status eid_list_attach(eid_list *list, const eid_position *position, eid_value *value)
{
    eid_slot *slot = eid_slot_find(list, position);
    if (slot != NULL) {
        eid_value_free(eid_slot_place(slot, value));
        return EID_OK;
    }
    slot = eid_slot_new(position, value);
    if (slot == NULL)
        return eid_fail_memory();
    eid_slot_link(list, slot);
    return EID_OK;
}
