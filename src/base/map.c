/* SPDX-License-Identifier: Apache-2.0 */
/* The ordered map is an AVL tree with parent pointers.
 *
 * Keys come from documents of other people, so the bound must hold for any order of insertion: the heights of
 * two siblings differ by at most one. Parent pointers make every walk a loop and `next` free of any stack. A
 * removed node is unlinked, never overwritten by another, because callers hold pointers to entries.
 */
#include "base/map.h"

#include <assert.h>

#include "base/alloc.h"

enum side { LEFT = 0, RIGHT = 1 };

typedef struct node {
    eid_map_entry entry; /* first, so that an entry pointer is a node pointer */
    struct node *child[2];
    struct node *parent; /* NULL for the root */
    int height;          /* 1 for a leaf */
    uint8_t key[];       /* entry.key.len bytes and a zero */
} node;

struct eid_map {
    node *root;
    size_t len;
};

eid_status eid_map_new(eid_map **out)
{
    eid_map *map = eid_alloc_zero(1, sizeof *map);
    if (map == NULL)
        return eid_fail_memory();
    *out = map;
    return EID_OK;
}

void eid_map_free(eid_map *map, void (*free_value)(void *value))
{
    if (map == NULL)
        return;
    /* Leaves first: go down while there is a child, free, return to the parent. */
    node *at = map->root;
    while (at != NULL) {
        if (at->child[LEFT] != NULL) {
            at = at->child[LEFT];
        } else if (at->child[RIGHT] != NULL) {
            at = at->child[RIGHT];
        } else {
            node *parent = at->parent;
            if (parent != NULL)
                parent->child[parent->child[RIGHT] == at] = NULL;
            if (free_value != NULL && at->entry.value != NULL)
                free_value(at->entry.value);
            eid_free(at);
            at = parent;
        }
    }
    eid_free(map);
}

size_t eid_map_len(const eid_map *map)
{
    return map->len;
}

static int height_of(const node *at)
{
    return at == NULL ? 0 : at->height;
}

static void update_height(node *at)
{
    int left = height_of(at->child[LEFT]);
    int right = height_of(at->child[RIGHT]);
    at->height = 1 + (left > right ? left : right);
}

/* Puts `now` (may be NULL) where `before` hangs below `parent` (NULL: at the root). */
static void replace_child(eid_map *map, node *parent, const node *before, node *now)
{
    if (parent == NULL)
        map->root = now;
    else
        parent->child[parent->child[RIGHT] == before] = now;
    if (now != NULL)
        now->parent = parent;
}

/* Lifts the child opposite to `side` above `top`, which moves down to `side`. Returns the new top. */
static node *rotate(eid_map *map, node *top, enum side side)
{
    node *lifted = top->child[!side];
    node *inner = lifted->child[side];
    replace_child(map, top->parent, top, lifted);
    lifted->child[side] = top;
    top->parent = lifted;
    top->child[!side] = inner;
    if (inner != NULL)
        inner->parent = top;
    update_height(top);
    update_height(lifted);
    return lifted;
}

/* Restores the balance of `at` and of everything above it, after a child of `at` was added or removed. */
static void rebalance(eid_map *map, node *at)
{
    while (at != NULL) {
        int lean = height_of(at->child[RIGHT]) - height_of(at->child[LEFT]);
        assert(lean >= -2 && lean <= 2);
        if (lean == 2 || lean == -2) {
            enum side heavy = lean > 0 ? RIGHT : LEFT;
            node *child = at->child[heavy];
            if (height_of(child->child[!heavy]) > height_of(child->child[heavy]))
                rotate(map, child, heavy);
            at = rotate(map, at, !heavy);
        } else {
            int before = at->height;
            update_height(at);
            /* The nodes above know this subtree only by its height. */
            if (at->height == before)
                return;
        }
        at = at->parent;
    }
}

/* The node of the key, or NULL; then *parent and *side say where it would hang. */
static node *descend(const eid_map *map, eid_slice key, node **parent, enum side *side)
{
    node *at = map->root;
    *parent = NULL;
    *side = LEFT;
    while (at != NULL) {
        int order = eid_slice_compare(key, at->entry.key);
        if (order == 0)
            return at;
        *parent = at;
        *side = order < 0 ? LEFT : RIGHT;
        at = at->child[*side];
    }
    return NULL;
}

eid_map_entry *eid_map_find(const eid_map *map, eid_slice key)
{
    node *parent;
    enum side side;
    node *found = descend(map, key, &parent, &side);
    return found == NULL ? NULL : &found->entry;
}

void *eid_map_get(const eid_map *map, eid_slice key)
{
    eid_map_entry *entry = eid_map_find(map, key);
    return entry == NULL ? NULL : entry->value;
}

eid_status eid_map_put(eid_map *map, eid_slice key, eid_map_entry **out, bool *created)
{
    node *parent;
    enum side side;
    node *at = descend(map, key, &parent, &side);
    bool is_new = at == NULL;
    if (is_new) {
        if (key.len > SIZE_MAX - sizeof *at - 1)
            return eid_fail_memory();
        at = eid_alloc(sizeof *at + key.len + 1);
        if (at == NULL)
            return eid_fail_memory();
        if (key.len > 0)
            memcpy(at->key, key.data, key.len);
        at->key[key.len] = 0;
        at->entry = (eid_map_entry){eid_slice_of(at->key, key.len), NULL};
        at->child[LEFT] = at->child[RIGHT] = NULL;
        at->parent = parent;
        at->height = 1;
        if (parent == NULL)
            map->root = at;
        else
            parent->child[side] = at;
        map->len++;
        rebalance(map, parent);
    }
    *out = &at->entry;
    if (created != NULL)
        *created = is_new;
    return EID_OK;
}

static node *outermost(node *at, enum side side)
{
    while (at->child[side] != NULL)
        at = at->child[side];
    return at;
}

/* Takes the node out of the tree; the node itself stays as it is. */
static void unlink_node(eid_map *map, node *gone)
{
    node *disturbed; /* the deepest node whose subtree lost height */
    if (gone->child[LEFT] != NULL && gone->child[RIGHT] != NULL) {
        node *next = outermost(gone->child[RIGHT], LEFT);
        disturbed = next->parent == gone ? next : next->parent;
        if (next->parent != gone) {
            replace_child(map, next->parent, next, next->child[RIGHT]);
            next->child[RIGHT] = gone->child[RIGHT];
            next->child[RIGHT]->parent = next;
        }
        next->child[LEFT] = gone->child[LEFT];
        next->child[LEFT]->parent = next;
        next->height = gone->height;
        replace_child(map, gone->parent, gone, next);
    } else {
        disturbed = gone->parent;
        node *only = gone->child[gone->child[LEFT] == NULL ? RIGHT : LEFT];
        replace_child(map, gone->parent, gone, only);
    }
    rebalance(map, disturbed);
}

void *eid_map_remove(eid_map *map, eid_slice key)
{
    node *parent;
    enum side side;
    node *gone = descend(map, key, &parent, &side);
    if (gone == NULL)
        return NULL;
    void *value = gone->entry.value;
    unlink_node(map, gone);
    map->len--;
    eid_free(gone);
    return value;
}

eid_map_entry *eid_map_first(const eid_map *map)
{
    return map->root == NULL ? NULL : &outermost(map->root, LEFT)->entry;
}

eid_map_entry *eid_map_next(const eid_map *map, const eid_map_entry *entry)
{
    (void)map;
    const node *at = (const node *)entry;
    if (at->child[RIGHT] != NULL)
        return &outermost(at->child[RIGHT], LEFT)->entry;
    while (at->parent != NULL && at->parent->child[RIGHT] == at)
        at = at->parent;
    return at->parent == NULL ? NULL : &at->parent->entry;
}

eid_map_entry *eid_map_seek(const eid_map *map, eid_slice key)
{
    node *parent;
    enum side side;
    node *at = descend(map, key, &parent, &side);
    if (at != NULL)
        return &at->entry;
    if (parent == NULL)
        return NULL;
    /* The missing key hangs beside `parent`: before it on the left, between it and its successor on the
     * right. */
    return side == LEFT ? &parent->entry : eid_map_next(map, &parent->entry);
}
