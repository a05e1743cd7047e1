/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of values, Docs and Lists.
 *
 * A value is one allocation whose size depends on its kind: text lies behind the head, a nested Doc or List
 * is part of its value. A Doc keeps its children in an ordered map, a List its slots in a balanced tree that
 * counts live elements; both trees hold pointers to values, so that replacing a value never moves another.
 *
 * The invariant all walking rests on: no value is nested deeper than EID_LIMIT_JSON_DEPTH containers of its
 * stored form. It is checked where something is put into something (setters, list insertion, reading), before
 * the tree is touched; merging can not deepen anything. So EID_CRDT_LEVELS frames hold every walk.
 */
#ifndef EID_CRDT_INT_H
#define EID_CRDT_INT_H

#include "base/map.h"
#include "base/slice.h"
#include "crdt/doc.h"
#include "crdt/list.h"

/* Containers of the stored form: {"children":{…}} of a Doc by itself; what one more Doc around a value costs,
 * {"Doc":{"children":{…}}}; what one more List costs, {"List":[[…]]}; and of a List without slots. */
#define EID_CONTAINERS_ROOT       2
#define EID_CONTAINERS_LEVEL      3
#define EID_CONTAINERS_EMPTY_LIST 2

/* Docs and Lists inside each other, the outermost included: all but the last (an empty List) cost three. */
#define EID_CRDT_LEVELS 43

struct eid_walk;

struct eid_value {
    uint8_t kind; /* eid_value_kind */
    bool boolean; /* of EID_VALUE_BOOL */
};

struct eid_doc {
    eid_map *children; /* key -> eid_value *; NULL until the first child */
    size_t live;       /* children that are not tombstones */
    bool atomic;
};

typedef struct eid_slot eid_slot;

struct eid_list {
    eid_slot *root;
};

struct eid_slot {
    eid_position position; /* as received: compared by value, never rewritten */
    eid_value *value;
    eid_slot *child[2];
    eid_slot *parent; /* NULL for the root */
    size_t slots;     /* in this subtree, itself included */
    size_t live;      /* of those, without tombstones */
    int height;       /* 1 for a leaf */
};

typedef struct int_value {
    eid_value head;
    int64_t integer;
} int_value;

typedef struct text_value {
    eid_value head;
    size_t len;
    char text[]; /* len bytes and a zero */
} text_value;

typedef struct doc_value {
    eid_value head;
    eid_doc doc;
} doc_value;

typedef struct list_value {
    eid_value head;
    eid_list list;
} list_value;

/* The nested Doc or List of a value, NULL for any other kind. */
static inline eid_doc *eid_value_doc(const eid_value *value)
{
    return value->kind == EID_VALUE_DOC ? &((doc_value *)(uintptr_t)value)->doc : NULL;
}

static inline eid_list *eid_value_list(const eid_value *value)
{
    return value->kind == EID_VALUE_LIST ? &((list_value *)(uintptr_t)value)->list : NULL;
}

static inline bool eid_value_is_live(const eid_value *value)
{
    return value != NULL && value->kind != EID_VALUE_DELETED;
}

/* ---- value.c ---- */

eid_value *
eid_value_new_kind(eid_value_kind kind); /* null, deleted, bool, int, empty Doc, empty List; or NULL */
eid_value *eid_value_new_text_of(eid_slice text); /* text known to be UTF-8; NULL when memory is short */
void eid_doc_clear(eid_doc *doc);                 /* frees what the Doc holds, not the Doc */
void eid_list_clear(eid_list *list);
/* Walks that were just started at two containers of one kind: whether they hold the same. */
bool eid_walks_equal(struct eid_walk *a, struct eid_walk *b);
eid_status eid_doc_copy_into(const eid_doc *from, eid_doc *to); /* `to` is overwritten on success only */
eid_status eid_list_copy_into(const eid_list *from, eid_list *to);

/* Containers of the stored form of the value; EID_ERR_DEPTH when it would not fit below `around` more. */
size_t eid_value_containers(const eid_value *value);
size_t eid_doc_containers(const eid_doc *doc);
eid_status eid_check_depth(size_t around, size_t inside);

/* ---- doc.c ---- */

/* Finds or makes the entry of the key; its value is NULL when new. */
eid_status eid_doc_entry(eid_doc *doc, eid_slice key, eid_map_entry **out, bool *created);
/* Puts the value into the entry, keeps the count of live children, and hands out what stood there. */
eid_value *eid_doc_place(eid_doc *doc, eid_map_entry *entry, eid_value *value);
/* Both steps, freeing what stood there; takes the value on success. No checks of key or depth. */
eid_status eid_doc_attach(eid_doc *doc, eid_slice key, eid_value *value);

/* ---- slots.c: the tree of a List ---- */

eid_slot *eid_slot_new(const eid_position *position, eid_value *value); /* NULL when memory is short */
eid_slot *eid_slot_find(const eid_list *list, const eid_position *position);
eid_slot *eid_slot_first(const eid_list *list);
eid_slot *eid_slot_last(const eid_list *list);
eid_slot *eid_slot_next(const eid_slot *slot);
eid_slot *eid_slot_previous(const eid_slot *slot);
size_t eid_slot_index(const eid_slot *slot); /* live elements before it */
eid_slot *eid_slot_at(const eid_list *list, size_t slot);       /* tombstones count */
eid_slot *eid_slot_live_at(const eid_list *list, size_t index); /* NULL when there are not so many */
/* Links a slot whose position is not in the list yet. */
void eid_slot_link(eid_list *list, eid_slot *slot);
/* Puts the value into the slot, keeps the counts, and hands out what stood there. */
eid_value *eid_slot_place(eid_slot *slot, eid_value *value);
/* Puts the value at the position, freeing what stood there; takes the value on success. No check of depth. */
eid_status eid_list_attach(eid_list *list, const eid_position *position, eid_value *value);
/* Frees the slots but not their values. */
void eid_slots_free(eid_list *list);

/* ---- list.c ---- */

/* A place after the last slot, and the value there; takes the value on success. No check of depth. */
eid_status eid_list_append(eid_list *list, eid_value *value);
/* Links a new slot between two that stand side by side (NULL: the end of the list); takes the value on success.
 * No check of depth. */
eid_status eid_list_insert_between(eid_list *list, const eid_slot *left, const eid_slot *right,
                                   eid_value *value, eid_slot **out);

/* ---- position.c, elements.c ---- */

/* A new position strictly between two slots that stand in this order; NULL is "no bound". The simplest
 * fraction where one exists, else the value of a neighbour with a UUID on the right side of it. EID_ERR_LIMIT
 * when even the UUIDs are used up. */
eid_status eid_position_pick(const eid_position *left, const eid_position *right, eid_position *out);

/* ---- json_write.c ---- */

/* Takes the text out of the buffer, which is empty afterwards; `len` may be NULL. */
eid_status eid_json_take(eid_buf *buf, char **text, size_t *len);

/* ---- json_plain.c ---- */

/* A whole text of plain JSON as a value: arrays become Lists with positions 0, 1, 2, … */
eid_status eid_value_parse_plain(eid_slice text, eid_value **out);
/* Appends plain JSON; a value that is itself a tombstone gives null, tombstones inside are left out. */
void eid_value_write_plain(eid_buf *buf, const eid_value *value);

/* ---- walk.c: every child of a tree in order, without recursion ---- */

typedef enum eid_walk_step {
    EID_WALK_LEAF,  /* a child that holds nothing */
    EID_WALK_ENTER, /* a child that is a Doc or List; its own children follow */
    EID_WALK_LEAVE, /* the same child again, after them */
    EID_WALK_END
} eid_walk_step;

typedef struct eid_walk_frame {
    const eid_doc *doc; /* one of the two is set */
    const eid_list *list;
    const eid_map_entry *entry; /* the child last shown; NULL before the first */
    const eid_slot *slot;
} eid_walk_frame;

typedef struct eid_walk {
    eid_walk_frame frames[EID_CRDT_LEVELS];
    size_t depth;
    /* About the child of the last step. */
    eid_value *value;
    eid_slice key;                /* in a Doc */
    const eid_position *position; /* in a List, else NULL */
    bool first;                   /* nothing was shown before it in its container */
} eid_walk;

/* Starts at the children of a Doc or List; the outermost container itself is not a step. The values may be
 * freed or replaced during the walk once they were shown (a container: once it was left), the keys and slots
 * of containers that are still open may not be removed. */
void eid_walk_doc(eid_walk *walk, const eid_doc *doc);
void eid_walk_list(eid_walk *walk, const eid_list *list);
eid_walk_step eid_walk_next(eid_walk *walk);
/* After ENTER: passes over the children and the LEAVE. */
void eid_walk_skip(eid_walk *walk);

#endif
