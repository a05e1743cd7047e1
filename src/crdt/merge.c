/* SPDX-License-Identifier: Apache-2.0 */
/* Merging: the newer is applied to the older in place (crdt.md section 8), in time proportional to the newer.
 *
 * The walk goes over the change only. Where both sides hold a Doc (and the newer is not atomic) or both a
 * List, it descends into both; everything else of the change is copied and put over what the state has. Each
 * step is written down first: what was replaced, which key was created, which slot waits to be linked. When
 * memory runs out the notes are undone backwards, which needs no memory; at the end what was replaced is
 * freed. So the state is either wholly merged or exactly as before, without ever copying it.
 *
 * Composing is merging of two changes into the one that does what both do in turn. It differs in one point: a
 * Doc over something that is no Doc would, as part of a change, merge with the Doc the state may have there,
 * although the first change had put an end to it. So it becomes atomic.
 */
#include "crdt/crdt_int.h"

#include "base/alloc.h"

#define FIRST_NOTES 8 /* kept on the stack: most changes touch a few keys */

typedef struct note {
    eid_doc *doc;         /* entry: of this Doc */
    eid_map_entry *entry; /* a key of a Doc, or NULL */
    eid_list *list;       /* a new slot waits for this List, or NULL */
    eid_slot *slot;       /* a slot of a List, or NULL */
    eid_value *before;    /* what stood there; NULL when nothing did */
} note;

typedef struct merge {
    note first[FIRST_NOTES];
    note *notes;
    size_t count;
    size_t capacity;
    bool composing; /* the state is itself a change */
} merge;

static eid_status reserve_note(merge *m)
{
    if (m->count < m->capacity)
        return EID_OK;
    size_t capacity = m->capacity * 2;
    note *notes = eid_realloc_array(m->notes == m->first ? NULL : m->notes, capacity, sizeof *notes);
    if (notes == NULL)
        return eid_fail_memory();
    if (m->notes == m->first)
        memcpy(notes, m->first, sizeof m->first);
    m->notes = notes;
    m->capacity = capacity;
    return EID_OK;
}

static void release_notes(merge *m)
{
    if (m->notes != m->first)
        eid_free(m->notes);
}

static void commit(merge *m)
{
    for (size_t i = 0; i < m->count; i++) {
        note *n = &m->notes[i];
        if (n->list != NULL)
            eid_slot_link(n->list, n->slot);
        eid_value_free(n->before);
    }
    release_notes(m);
}

static void roll_back(merge *m)
{
    while (m->count > 0) {
        note *n = &m->notes[--m->count];
        if (n->list != NULL) {
            eid_value_free(n->slot->value);
            eid_free(n->slot);
        } else if (n->slot != NULL) {
            eid_value_free(eid_slot_place(n->slot, n->before));
        } else {
            eid_value_free(eid_doc_place(n->doc, n->entry, n->before));
            if (n->before == NULL)
                eid_map_remove(n->doc->children, n->entry->key);
        }
    }
    release_notes(m);
}

/* A copy of the newer value, made atomic where it ends what stands there. */
static eid_status copy_over(const eid_value *older, const eid_value *newer, bool composing, eid_value **out)
{
    EID_TRY(eid_value_copy(newer, out));
    if (composing && older != NULL && older->kind != EID_VALUE_DOC && newer->kind == EID_VALUE_DOC)
        eid_value_doc(*out)->atomic = true;
    return EID_OK;
}

/* Puts a copy of the newer value over the older one (NULL: none) where the walk stands, in one of the two
 * containers. */
static eid_status put_copy(merge *m, const eid_walk *walk, const eid_value *older, eid_doc *doc, eid_list *list,
                           eid_slot *slot)
{
    EID_TRY(reserve_note(m));
    eid_value *copy = NULL;
    EID_TRY(copy_over(older, walk->value, m->composing, &copy));
    note n = {.doc = doc, .slot = slot};
    if (slot != NULL) {
        n.before = eid_slot_place(slot, copy);
    } else if (list != NULL) {
        n.list = list;
        n.slot = eid_slot_new(walk->position, copy);
        if (n.slot == NULL) {
            eid_value_free(copy);
            return eid_fail_memory();
        }
    } else {
        eid_status status = eid_doc_entry(doc, walk->key, &n.entry, NULL);
        if (status != EID_OK) {
            eid_value_free(copy);
            return status;
        }
        n.before = eid_doc_place(doc, n.entry, copy);
    }
    m->notes[m->count++] = n;
    return EID_OK;
}

/* True when the older value stays and the newer one is merged into it. */
static bool merges_into(const eid_value *older, const eid_value *newer)
{
    if (older == NULL || older->kind != newer->kind)
        return false;
    return newer->kind == EID_VALUE_LIST || (newer->kind == EID_VALUE_DOC && !eid_value_doc(newer)->atomic);
}

/* Merges what the walk shows into the Doc or List. */
static eid_status merge_children(merge *m, eid_walk *walk, eid_doc *doc, eid_list *list)
{
    struct {
        eid_doc *doc;
        eid_list *list;
    } targets[EID_CRDT_LEVELS] = {{doc, list}};
    for (;;) {
        eid_walk_step step = eid_walk_next(walk);
        if (step == EID_WALK_END)
            return EID_OK;
        if (step == EID_WALK_LEAVE)
            continue;
        size_t level = step == EID_WALK_ENTER ? walk->depth - 2 : walk->depth - 1;
        eid_slot *slot = NULL;
        const eid_value *older;
        if (targets[level].list != NULL) {
            slot = eid_slot_find(targets[level].list, walk->position);
            older = slot == NULL ? NULL : slot->value;
        } else {
            older = eid_doc_child(targets[level].doc, walk->key);
        }
        if (merges_into(older, walk->value)) {
            targets[level + 1].doc = eid_value_doc(older);
            targets[level + 1].list = eid_value_list(older);
            continue;
        }
        EID_TRY(put_copy(m, walk, older, targets[level].doc, targets[level].list, slot));
        if (step == EID_WALK_ENTER)
            eid_walk_skip(walk);
    }
}

static eid_status run(eid_walk *walk, eid_doc *doc, eid_list *list, bool composing)
{
    merge m;
    m.notes = m.first;
    m.count = 0;
    m.capacity = FIRST_NOTES;
    m.composing = composing;
    eid_status status = merge_children(&m, walk, doc, list);
    if (status == EID_OK)
        commit(&m);
    else
        roll_back(&m);
    return status;
}

static eid_status merge_docs(eid_doc *state, const eid_doc *change, bool composing)
{
    if (change->atomic) {
        eid_doc copy;
        EID_TRY(eid_doc_copy_into(change, &copy));
        eid_doc_clear(state);
        *state = copy;
        return EID_OK;
    }
    eid_walk walk;
    eid_walk_doc(&walk, change);
    return run(&walk, state, NULL, composing);
}

static eid_status merge_lists(eid_list *state, const eid_list *change)
{
    eid_walk walk;
    eid_walk_list(&walk, change);
    return run(&walk, NULL, state, false);
}

eid_status eid_doc_merge(eid_doc *state, const eid_doc *change)
{
    EID_NEED(state && change);
    return merge_docs(state, change, false);
}

eid_status eid_list_merge(eid_list *state, const eid_list *change)
{
    EID_NEED(state && change);
    return merge_lists(state, change);
}

eid_status eid_value_merge(eid_value **state, const eid_value *change)
{
    EID_NEED(state && change);
    if (merges_into(*state, change))
        return change->kind == EID_VALUE_DOC ? merge_docs(eid_value_doc(*state), eid_value_doc(change), false)
                                             : merge_lists(eid_value_list(*state), eid_value_list(change));
    eid_value *copy = NULL;
    EID_TRY(copy_over(*state, change, false, &copy));
    eid_value_free(*state);
    *state = copy;
    return EID_OK;
}

eid_status eid_doc_compose(eid_doc *first, const eid_doc *second)
{
    return merge_docs(first, second, true);
}
