/* SPDX-License-Identifier: Apache-2.0 */
/* The slow model of a history. */
#include "support/model.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/map.h"
#include "codec/cid.h"

static void *must_calloc(size_t count, size_t size)
{
    void *memory = calloc(count == 0 ? 1 : count, size);
    if (memory == NULL)
        abort();
    return memory;
}

/* ---- Making it ---- */

static size_t number_of_store(tm_model *model, eid_slice name)
{
    size_t store = tm_store(model, name);
    if (store != TM_NONE)
        return store;
    eid_slice *grown = realloc(model->stores, (model->store_count + 1) * sizeof *grown);
    if (grown == NULL)
        abort();
    model->stores = grown;
    model->stores[model->store_count] = name;
    return model->store_count++;
}

static void read_payload(tm_part *part, const eid_subtree *subtree)
{
    if (!subtree->has_data || subtree->data_len == 0 || eid_slice_is(eid_slice_of(subtree->name, subtree->name_len), "_root"))
        return;
    part->unreadable = eid_doc_parse(eid_slice_of(subtree->data, subtree->data_len), &part->doc) != EID_OK;
    if (part->unreadable)
        part->doc = NULL;
}

/* Only the first subtree of a name exists (spec entry.md section 5). */
static bool is_first_of_name(const eid_entry *entry, size_t index)
{
    const eid_subtree *subtree = &entry->subtrees[index];
    for (size_t i = 0; i < index; i++)
        if (entry->subtrees[i].name_len == subtree->name_len &&
            memcmp(entry->subtrees[i].name, subtree->name, subtree->name_len) == 0)
            return false;
    return true;
}

static void add_parts(tm_model *model, tm_node *node)
{
    const eid_entry *entry = node->entry;
    node->parts = must_calloc(entry->subtree_count, sizeof *node->parts);
    for (size_t i = 0; i < entry->subtree_count; i++) {
        const eid_subtree *subtree = &entry->subtrees[i];
        if (!is_first_of_name(entry, i))
            continue;
        tm_part *part = &node->parts[node->part_count++];
        uint64_t height = subtree->has_height ? subtree->height : entry->height;
        part->store = number_of_store(model, eid_slice_of(subtree->name, subtree->name_len));
        part->height = height > INT64_MAX ? INT64_MAX : height;
        read_payload(part, subtree);
    }
}

static void add_store_parents(tm_model *model, tm_node *node)
{
    for (size_t p = 0; p < node->part_count; p++) {
        tm_part *part = &node->parts[p];
        const eid_subtree *subtree = eid_entry_subtree(node->entry, model->stores[part->store]);
        part->parents = must_calloc(subtree->parent_count, sizeof *part->parents);
        for (size_t i = 0; i < subtree->parent_count; i++) {
            size_t parent = tm_find(model, &subtree->parents[i]);
            if (parent != TM_NONE && tm_part_of(model, parent, part->store) != NULL)
                part->parents[part->parent_count++] = parent;
        }
    }
}

void tm_build(tm_model *model, eid_entry *const *entries, size_t count)
{
    memset(model, 0, sizeof *model);
    tu_assert_ok(eid_map_new(&model->by_id));
    model->nodes = must_calloc(count, sizeof *model->nodes);
    model->count = count;
    for (size_t i = 0; i < count; i++) {
        eid_map_entry *place;
        bool created;
        tu_assert_ok(eid_map_put(model->by_id, eid_id_slice(&entries[i]->id), &place, &created));
        assert_true(created);
        place->value = &model->nodes[i];
        model->nodes[i].entry = eid_entry_ref(entries[i]);
        add_parts(model, &model->nodes[i]);
    }
    for (size_t i = 0; i < count; i++) {
        tm_node *node = &model->nodes[i];
        node->parents = must_calloc(node->entry->parent_count, sizeof *node->parents);
        for (size_t p = 0; p < node->entry->parent_count; p++) {
            node->parents[p] = tm_find(model, &node->entry->parents[p]);
            assert_true(node->parents[p] != TM_NONE);
        }
        node->parent_count = node->entry->parent_count;
        add_store_parents(model, node);
    }
}

void tm_free(tm_model *model)
{
    for (size_t i = 0; i < model->count; i++) {
        for (size_t p = 0; p < model->nodes[i].part_count; p++) {
            free(model->nodes[i].parts[p].parents);
            eid_doc_free(model->nodes[i].parts[p].doc);
        }
        free(model->nodes[i].parts);
        free(model->nodes[i].parents);
        eid_entry_unref(model->nodes[i].entry);
    }
    free(model->nodes);
    free(model->stores);
    eid_map_free(model->by_id, NULL);
}

/* ---- Looking things up ---- */

size_t tm_find(const tm_model *model, const eid_id *id)
{
    const tm_node *node = eid_map_get(model->by_id, eid_id_slice(id));
    return node == NULL ? TM_NONE : (size_t)(node - model->nodes);
}

size_t tm_store(const tm_model *model, eid_slice name)
{
    for (size_t i = 0; i < model->store_count; i++)
        if (eid_slice_equal(model->stores[i], name))
            return i;
    return TM_NONE;
}

const tm_part *tm_part_of(const tm_model *model, size_t node, size_t store)
{
    const tm_node *n = &model->nodes[node];
    for (size_t i = 0; i < n->part_count; i++)
        if (n->parts[i].store == store)
            return &n->parts[i];
    return NULL;
}

bool *tm_set(const tm_model *model, bool value)
{
    bool *set = must_calloc(model->count, sizeof *set);
    for (size_t i = 0; i < model->count; i++)
        set[i] = value;
    return set;
}

size_t tm_set_count(const tm_model *model, const bool *set)
{
    size_t count = 0;
    for (size_t i = 0; i < model->count; i++)
        count += set[i];
    return count;
}

/* ---- Sets ---- */

/* Adds parents until a whole round adds nothing. */
void tm_ancestors(const tm_model *model, bool *set)
{
    for (bool grew = true; grew;) {
        grew = false;
        for (size_t i = model->count; i-- > 0;)
            for (size_t p = 0; set[i] && p < model->nodes[i].parent_count; p++) {
                size_t parent = model->nodes[i].parents[p];
                grew = grew || !set[parent];
                set[parent] = true;
            }
    }
}

void tm_main_tips(const tm_model *model, const bool *members, bool *out)
{
    memcpy(out, members, model->count * sizeof *out);
    for (size_t i = 0; i < model->count; i++)
        for (size_t p = 0; members[i] && p < model->nodes[i].parent_count; p++)
            out[model->nodes[i].parents[p]] = false;
}

void tm_participants(const tm_model *model, const bool *present, size_t store, bool *out)
{
    for (size_t i = 0; i < model->count; i++)
        out[i] = present[i] && tm_part_of(model, i, store) != NULL;
}

void tm_store_tips(const tm_model *model, const bool *members, size_t store, bool *out)
{
    tm_participants(model, members, store, out);
    for (size_t i = 0; i < model->count; i++) {
        const tm_part *part = members[i] ? tm_part_of(model, i, store) : NULL;
        for (size_t p = 0; part != NULL && p < part->parent_count; p++)
            out[part->parents[p]] = false;
    }
}

void tm_closure(const tm_model *model, const bool *present, size_t store, const bool *tips, bool *out)
{
    tm_participants(model, tips, store, out);
    for (bool grew = true; grew;) {
        grew = false;
        for (size_t i = model->count; i-- > 0;) {
            const tm_part *part = out[i] ? tm_part_of(model, i, store) : NULL;
            for (size_t p = 0; part != NULL && p < part->parent_count; p++)
                if (present[part->parents[p]] && !out[part->parents[p]]) {
                    out[part->parents[p]] = true;
                    grew = true;
                }
        }
    }
}

/* ---- Folding ---- */

typedef struct place {
    uint64_t height;
    char text[EID_ID_TEXT_SIZE];
    size_t node;
} place;

static int compare_places(const void *a, const void *b)
{
    const place *left = a, *right = b;
    if (left->height != right->height)
        return left->height < right->height ? -1 : 1;
    return strcmp(left->text, right->text);
}

size_t *tm_fold_order(const tm_model *model, const bool *set, size_t store, size_t *count)
{
    place *places = must_calloc(model->count, sizeof *places);
    *count = 0;
    for (size_t i = 0; i < model->count; i++) {
        const tm_part *part = set[i] ? tm_part_of(model, i, store) : NULL;
        if (part == NULL)
            continue;
        places[*count].height = part->height;
        places[*count].node = i;
        eid_id_format(&model->nodes[i].entry->id, places[*count].text);
        (*count)++;
    }
    qsort(places, *count, sizeof *places, compare_places);
    size_t *order = must_calloc(*count, sizeof *order);
    for (size_t i = 0; i < *count; i++)
        order[i] = places[i].node;
    free(places);
    return order;
}

eid_doc *tm_fold(const tm_model *model, const bool *set, size_t store)
{
    eid_doc *state;
    size_t count;
    size_t *order = tm_fold_order(model, set, store, &count);
    tu_assert_ok(eid_doc_new(&state));
    for (size_t i = 0; i < count; i++) {
        const eid_doc *change = tm_part_of(model, order[i], store)->doc;
        if (change != NULL)
            tu_assert_ok(eid_doc_merge(state, change));
    }
    free(order);
    return state;
}

void tm_assert_same(const eid_doc *have, const eid_doc *want, const char *what)
{
    char *left, *right;
    tu_assert_ok(eid_doc_to_json(have, &left, NULL));
    tu_assert_ok(eid_doc_to_json(want, &right, NULL));
    if (strcmp(left, right) != 0)
        fail_msg("%s\n  have %s\n  want %s", what, left, right);
    eid_free(left);
    eid_free(right);
}
