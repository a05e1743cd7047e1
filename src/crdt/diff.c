/* SPDX-License-Identifier: Apache-2.0 */
/* Differences: the change that makes one document into another.
 *
 * The walk goes over the newer side. Where both sides hold a Doc or both a List it descends into both, and
 * when it leaves such a pair, what only the older side has is marked as deleted. A container of the change is
 * made when the first thing has to go into it, together with those around it that do not exist yet: so equal
 * parts leave no trace.
 */
#include "crdt/crdt_int.h"

/* A pair of containers that the walk is inside of. */
typedef struct pair {
    const eid_doc *older_doc; /* one of the two kinds is set, the same on both sides */
    const eid_list *older_list;
    const eid_doc *newer_doc;
    const eid_list *newer_list;
    eid_doc *doc; /* the part of the change for this pair; NULL until needed */
    eid_list *list;
    eid_slice key; /* where the pair stands in the one around it */
    const eid_position *position;
} pair;

typedef struct difference {
    pair pairs[EID_CRDT_LEVELS];
    size_t depth;
} difference;

/* Takes the value, also on failure; NULL means there was no memory for it. */
static eid_status put(pair *in, eid_slice key, const eid_position *position, eid_value *value)
{
    if (value == NULL)
        return eid_fail_memory();
    eid_status status =
        in->doc != NULL ? eid_doc_attach(in->doc, key, value) : eid_list_attach(in->list, position, value);
    if (status != EID_OK)
        eid_value_free(value);
    return status;
}

/* Makes the containers of the change down to the innermost pair. The outermost one is always there. */
static eid_status materialize(difference *d)
{
    size_t level = d->depth - 1;
    while (d->pairs[level].doc == NULL && d->pairs[level].list == NULL)
        level--;
    for (; level + 1 < d->depth; level++) {
        pair *inner = &d->pairs[level + 1];
        eid_value *made = eid_value_new_kind(inner->newer_doc != NULL ? EID_VALUE_DOC : EID_VALUE_LIST);
        EID_TRY(put(&d->pairs[level], inner->key, inner->position, made));
        inner->doc = eid_value_doc(made);
        inner->list = eid_value_list(made);
    }
    return EID_OK;
}

static eid_status note(difference *d, eid_slice key, const eid_position *position, eid_value *value)
{
    eid_status status = materialize(d);
    if (status != EID_OK) {
        eid_value_free(value);
        return status;
    }
    return put(&d->pairs[d->depth - 1], key, position, value);
}

/* Tombstones for what only the older side of the innermost pair has. */
static eid_status note_deletions(difference *d)
{
    const pair *at = &d->pairs[d->depth - 1];
    if (at->older_list != NULL) {
        for (eid_slot *slot = eid_slot_first(at->older_list); slot != NULL; slot = eid_slot_next(slot))
            if (eid_value_is_live(slot->value) && eid_slot_find(at->newer_list, &slot->position) == NULL)
                EID_TRY(
                    note(d, eid_slice_of(NULL, 0), &slot->position, eid_value_new_kind(EID_VALUE_DELETED)));
        return EID_OK;
    }
    if (at->older_doc->children == NULL)
        return EID_OK;
    for (eid_map_entry *e = eid_map_first(at->older_doc->children); e != NULL;
         e = eid_map_next(at->older_doc->children, e))
        if (eid_value_is_live(e->value) && eid_doc_child(at->newer_doc, e->key) == NULL)
            EID_TRY(note(d, e->key, NULL, eid_value_new_kind(EID_VALUE_DELETED)));
    return EID_OK;
}

static const eid_value *older_of(const difference *d, const eid_walk *walk)
{
    const pair *at = &d->pairs[d->depth - 1];
    if (at->older_list == NULL)
        return eid_doc_child(at->older_doc, walk->key);
    const eid_slot *slot = eid_slot_find(at->older_list, walk->position);
    return slot == NULL ? NULL : slot->value;
}

/* True when the difference of two values is found inside them. A Doc that was not atomic and is to be can
 * only be taken whole. */
static bool descends(const eid_value *older, const eid_value *newer)
{
    if (older == NULL || older->kind != newer->kind)
        return false;
    if (newer->kind == EID_VALUE_DOC)
        return !eid_value_doc(newer)->atomic || eid_value_doc(older)->atomic;
    return newer->kind == EID_VALUE_LIST;
}

static void enter(difference *d, const eid_value *older, const eid_value *newer, eid_slice key,
                  const eid_position *position)
{
    d->pairs[d->depth++] = (pair){.older_doc = eid_value_doc(older),
                                  .older_list = eid_value_list(older),
                                  .newer_doc = eid_value_doc(newer),
                                  .newer_list = eid_value_list(newer),
                                  .key = key,
                                  .position = position};
}

static eid_status compare(difference *d, eid_walk *walk)
{
    for (;;) {
        eid_walk_step step = eid_walk_next(walk);
        if (step == EID_WALK_END)
            return note_deletions(d);
        if (step == EID_WALK_LEAVE) {
            EID_TRY(note_deletions(d));
            d->depth--;
            continue;
        }
        const eid_value *older = older_of(d, walk);
        if (descends(older, walk->value)) {
            enter(d, older, walk->value, walk->key, walk->position);
            continue;
        }
        if (older == NULL || !eid_value_equal(older, walk->value)) {
            eid_value *copy = NULL;
            EID_TRY(eid_value_copy(walk->value, &copy));
            EID_TRY(note(d, walk->key, walk->position, copy));
        }
        if (step == EID_WALK_ENTER)
            eid_walk_skip(walk);
    }
}

eid_status eid_doc_diff(const eid_doc *before, const eid_doc *after, eid_doc **change)
{
    EID_NEED(before && change);
    if (after->atomic && !before->atomic)
        return eid_doc_copy(after, change);
    eid_doc *made = NULL;
    EID_TRY(eid_doc_new(&made));
    difference d;
    d.pairs[0] = (pair){.older_doc = before, .newer_doc = after, .doc = made};
    d.depth = 1;
    eid_walk walk;
    eid_walk_doc(&walk, after);
    eid_status status = compare(&d, &walk);
    if (status != EID_OK) {
        eid_doc_free(made);
        return status;
    }
    *change = made;
    return EID_OK;
}
