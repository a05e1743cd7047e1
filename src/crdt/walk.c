/* SPDX-License-Identifier: Apache-2.0 */
/* The one walk over nested values that copying, comparing, freeing, measuring, writing and merging share. Its
 * stack is as deep as a live document can be (crdt_int.h). */
#include "crdt/crdt_int.h"

#include <assert.h>

static void push(eid_walk *walk, const eid_doc *doc, const eid_list *list)
{
    assert(walk->depth < EID_CRDT_LEVELS);
    walk->frames[walk->depth++] = (eid_walk_frame){doc, list, NULL, NULL};
}

void eid_walk_doc(eid_walk *walk, const eid_doc *doc)
{
    walk->depth = 0;
    push(walk, doc, NULL);
}

void eid_walk_list(eid_walk *walk, const eid_list *list)
{
    walk->depth = 0;
    push(walk, NULL, list);
}

/* Moves the frame to its next child; false at the end. A key without a value is one whose value was never
 * finished: an interrupted read or copy that is about to be freed. */
static bool advance(eid_walk_frame *frame)
{
    if (frame->list != NULL) {
        frame->slot = frame->slot == NULL ? eid_slot_first(frame->list) : eid_slot_next(frame->slot);
        return frame->slot != NULL;
    }
    const eid_map *children = frame->doc->children;
    if (children == NULL)
        return false;
    do {
        frame->entry = frame->entry == NULL ? eid_map_first(children) : eid_map_next(children, frame->entry);
    } while (frame->entry != NULL && frame->entry->value == NULL);
    return frame->entry != NULL;
}

static void show(eid_walk *walk, const eid_walk_frame *frame)
{
    if (frame->list != NULL) {
        walk->value = frame->slot->value;
        walk->position = &frame->slot->position;
    } else {
        walk->value = frame->entry->value;
        walk->key = frame->entry->key;
        walk->position = NULL;
    }
}

eid_walk_step eid_walk_next(eid_walk *walk)
{
    assert(walk->depth > 0);
    eid_walk_frame *frame = &walk->frames[walk->depth - 1];
    walk->first = frame->entry == NULL && frame->slot == NULL;
    if (!advance(frame)) {
        if (walk->depth == 1)
            return EID_WALK_END;
        walk->depth--;
        show(walk, frame - 1);
        return EID_WALK_LEAVE;
    }
    show(walk, frame);
    const eid_doc *doc = eid_value_doc(walk->value);
    const eid_list *list = eid_value_list(walk->value);
    if (doc == NULL && list == NULL)
        return EID_WALK_LEAF;
    push(walk, doc, list);
    return EID_WALK_ENTER;
}

void eid_walk_skip(eid_walk *walk)
{
    assert(walk->depth > 1);
    walk->depth--;
}
