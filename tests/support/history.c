/* SPDX-License-Identifier: Apache-2.0 */
/* The generator of histories. */
#include "support/history.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "codec/cid.h"
#include "crdt/list.h"
#include "crypto/blake3.h"

/* Keys that are easily confused: empty, prefixes, dotted, not ASCII, with a zero byte inside. */
static const struct {
    const char *text;
    size_t len;
} KEYS[TH_KEYS] = {{"k", 1}, {"a", 1}, {"ab", 2}, {"", 0}, {"a.b", 3}, {"\xc3\xa9", 2}, {"z\0y", 3}, {"z", 1}, {"0", 1}};

static const char *const STORES[TH_STORES] = {"a", "b", "c", "_settings"};

const char *th_key(size_t index, size_t *len)
{
    assert_true(index < TH_KEYS);
    *len = KEYS[index].len;
    return KEYS[index].text;
}

static bool percent(tu_random *random, unsigned chance)
{
    return tu_random_below(random, 100) < chance;
}

th_shape th_wild(tu_random *random)
{
    th_shape shape = {.entries = 2 + (size_t)tu_random_below(random, 24),
                      .stores = 1 + (unsigned)tu_random_below(random, TH_STORES),
                      .keys = 1 + (unsigned)tu_random_below(random, TH_KEYS),
                      .branching = (unsigned)tu_random_below(random, 90),
                      .barriers = percent(random, 40) ? (unsigned)tu_random_below(random, 40) : 0,
                      .forged_heights = percent(random, 40),
                      .own_heights = percent(random, 40),
                      .odd_parents = percent(random, 40),
                      .unreadable = percent(random, 30),
                      .duplicates = percent(random, 30),
                      .hot = percent(random, 50),
                      .strategies = percent(random, 40),
                      .first_writes = percent(random, 40),
                      .odd_positions = percent(random, 30)};
    /* More writes that meet, in as many entries. */
    if (shape.hot && percent(random, 70)) {
        shape.stores = 1 + (unsigned)tu_random_below(random, 2);
        shape.keys = 1 + (unsigned)tu_random_below(random, 2);
        shape.barriers /= 4;
    }
    return shape;
}

th_shape th_honest(size_t entries)
{
    return (th_shape){.entries = entries, .stores = 3, .keys = 6, .branching = 20};
}

/* ---- Values ---- */

static eid_value *random_value(tu_random *random, const th_shape *shape, unsigned depth);

static eid_value *random_list(tu_random *random, const th_shape *shape, unsigned depth)
{
    eid_list *list;
    eid_value *value;
    tu_assert_ok(eid_list_new(&list));
    size_t count = (size_t)tu_random_below(random, 4);
    for (size_t i = 0; i < count; i++) {
        /* Few positions and few names, so that lists of different entries share slots. */
        eid_uuid unique = {{(uint8_t)tu_random_below(random, 2)}};
        eid_position position;
        tu_assert_ok(eid_position_make((int64_t)tu_random_below(random, 3), 1 + tu_random_below(random, 2), &unique, &position));
        if (shape->odd_positions && percent(random, 20)) {
            position.numerator *= 2;
            position.denominator *= 2;
        }
        tu_assert_ok(eid_list_put(list, &position, random_value(random, shape, depth + 1)));
    }
    tu_assert_ok(eid_value_new_list(list, &value));
    eid_list_free(list);
    return value;
}

static eid_value *random_doc_value(tu_random *random, const th_shape *shape, unsigned depth)
{
    eid_doc *doc;
    eid_value *value;
    tu_assert_ok(eid_doc_new(&doc));
    eid_doc_set_atomic(doc, percent(random, shape->hot ? 12 : 25));
    size_t count = (size_t)tu_random_below(random, 3);
    for (size_t i = 0; i < count; i++) {
        size_t key = (size_t)tu_random_below(random, 3);
        tu_assert_ok(eid_doc_put_child(doc, eid_slice_of(KEYS[key].text, KEYS[key].len), random_value(random, shape, depth + 1)));
    }
    tu_assert_ok(eid_value_new_doc(doc, &value));
    eid_doc_free(doc);
    return value;
}

static eid_value *random_leaf(tu_random *random)
{
    eid_value *value;
    switch (tu_random_below(random, 6)) {
    case 0:
        tu_assert_ok(eid_value_new_deleted(&value));
        return value;
    case 1:
        tu_assert_ok(eid_value_new_null(&value));
        return value;
    case 2:
        tu_assert_ok(eid_value_new_bool(percent(random, 50), &value));
        return value;
    case 3:
        tu_assert_ok(eid_value_new_text("x\0\"\\\xc3\xa9", (size_t)tu_random_below(random, 5), &value));
        return value;
    default:
        tu_assert_ok(eid_value_new_int((int64_t)tu_random_below(random, 1000), &value));
        return value;
    }
}

static eid_value *random_value(tu_random *random, const th_shape *shape, unsigned depth)
{
    unsigned docs = shape->hot ? 60 : 20, lists = 20;
    uint64_t kind = depth < 3 ? tu_random_below(random, 100) : 100;
    if (kind < docs)
        return random_doc_value(random, shape, depth);
    if (kind < docs + lists)
        return random_list(random, shape, depth);
    return random_leaf(random);
}

static eid_doc *random_doc(tu_random *random, const th_shape *shape)
{
    eid_doc *doc;
    tu_assert_ok(eid_doc_new(&doc));
    eid_doc_set_atomic(doc, percent(random, shape->barriers));
    size_t count = (size_t)tu_random_below(random, 4);
    for (size_t i = 0; i < count; i++) {
        size_t key = (size_t)tu_random_below(random, shape->keys);
        tu_assert_ok(eid_doc_put_child(doc, eid_slice_of(KEYS[key].text, KEYS[key].len), random_value(random, shape, 0)));
    }
    return doc;
}

/* ---- Entries ---- */

typedef struct maker {
    tu_random *random;
    const th_shape *shape;
    eid_entry **entries;
    size_t count;
    bool **ancestors;   /* [entry][entry], itself included */
    bool timestamps[TH_STORES];
    uint64_t now;       /* milliseconds */
} maker;

static bool takes_part(const maker *m, size_t i, const char *store)
{
    return eid_entry_subtree(m->entries[i], eid_slice_text(store)) != NULL;
}

static bool names_parent(const eid_subtree *subtree, const eid_id *id)
{
    for (size_t p = 0; p < subtree->parent_count; p++)
        if (eid_id_equal(&subtree->parents[p], id))
            return true;
    return false;
}

/* Store tips among the entries a new one builds on: what an honest writer names. */
static size_t honest_store_parents(const maker *m, const bool *below, const char *store, eid_id *out, uint64_t *highest)
{
    size_t count = 0;
    for (size_t i = 0; i < m->count; i++) {
        if (!below[i] || !takes_part(m, i, store))
            continue;
        bool tip = true;
        for (size_t k = 0; k < m->count && tip; k++)
            tip = !(below[k] && takes_part(m, k, store) &&
                    names_parent(eid_entry_subtree(m->entries[k], eid_slice_text(store)), &m->entries[i]->id));
        if (!tip)
            continue;
        const eid_subtree *subtree = eid_entry_subtree(m->entries[i], eid_slice_text(store));
        uint64_t height = subtree->has_height ? subtree->height : m->entries[i]->height;
        *highest = height > *highest ? height : *highest;
        out[count++] = m->entries[i]->id;
    }
    return count;
}

static eid_id unknown_id(tu_random *random)
{
    uint8_t digest[32];
    eid_id id;
    tu_random_fill(random, digest, sizeof digest);
    eid_id_from_digest(EID_CODEC_DAG_CBOR, digest, &id);
    return id;
}

static size_t odd_store_parents(const maker *m, eid_id *out)
{
    size_t count = (size_t)tu_random_below(m->random, 3);
    for (size_t i = 0; i < count; i++)
        out[i] = percent(m->random, 20) ? unknown_id(m->random) : m->entries[tu_random_below(m->random, m->count)]->id;
    return count;
}

static uint64_t forged_height(tu_random *random)
{
    static const uint64_t heights[] = {0, 1, 2, 5, 1000, INT64_MAX - 1, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX};
    return heights[tu_random_below(random, sizeof heights / sizeof *heights)];
}

static uint64_t above(uint64_t height)
{
    return height >= INT64_MAX ? INT64_MAX : height + 1;
}

/* *data NULL: no payload. free() it. */
static void random_payload(const maker *m, eid_slice *payload, char **data)
{
    static const char *const junk[] = {"", "not json", "{\"children\":", "[1]", "{\"children\":{\"a\":{\"Int\":1.5}}}"};
    if (m->shape->unreadable && percent(m->random, 30)) {
        const char *text = junk[tu_random_below(m->random, sizeof junk / sizeof *junk)];
        *data = percent(m->random, 30) ? NULL : strdup(text);
        *payload = *data == NULL ? eid_slice_of(NULL, 0) : eid_slice_text(*data);
        return;
    }
    eid_doc *doc = random_doc(m->random, m->shape);
    char *text;
    size_t len;
    tu_assert_ok(eid_doc_to_json(doc, &text, &len));
    *data = malloc(len + 1);
    memcpy(*data, text, len + 1);
    *payload = eid_slice_of(*data, len);
    eid_free(text);
    eid_doc_free(doc);
}

/* The height an honest writer gives the node, or a forged one; *own false: the entry's height holds. */
static uint64_t store_height(const maker *m, size_t store, uint64_t highest, bool *own)
{
    if (m->shape->forged_heights && percent(m->random, 30)) {
        *own = percent(m->random, 80);
        return forged_height(m->random);
    }
    *own = m->timestamps[store] || (m->shape->own_heights && percent(m->random, 50));
    /* Clocks differ a little; a timestamp not above those of the parents is raised. */
    uint64_t now = m->now + tu_random_below(m->random, 30);
    return m->timestamps[store] && now > highest ? now : above(highest);
}

static void add_store(const maker *m, eid_entry_builder *builder, const char *store, const bool *below)
{
    eid_id *parents = calloc(m->count + 3, sizeof *parents);
    uint64_t highest = 0;
    size_t count = honest_store_parents(m, below, store, parents, &highest);
    if (m->shape->odd_parents && percent(m->random, 40))
        count = odd_store_parents(m, parents);
    bool own;
    size_t number = 0;
    while (number < TH_STORES - 1 && strcmp(STORES[number], store) != 0)
        number++;
    uint64_t height = store_height(m, number, highest, &own);
    char *data;
    eid_slice payload;
    random_payload(m, &payload, &data);
    tu_assert_ok(eid_entry_builder_set_subtree(builder, store, parents, count, data == NULL ? NULL : &payload,
                                               own ? &height : NULL));
    free(data);
    free(parents);
}

static eid_entry *finish(eid_entry_builder *builder)
{
    eid_entry *entry;
    tu_assert_ok(eid_entry_builder_finish(builder, NULL, NULL, &entry));
    return entry;
}

/* The same entry with a second subtree of a name it has already, in front of or behind the others. No builder makes
 * that, but readers must take it. */
static eid_entry *name_store_twice(const maker *m, eid_entry *entry)
{
    const char *name = entry->subtrees[tu_random_below(m->random, entry->subtree_count)].name;
    eid_entry_builder *builder;
    tu_assert_ok(eid_entry_builder_new(eid_entry_database_id(entry), &builder));
    tu_assert_ok(eid_entry_builder_set_parents(builder, entry->parents, entry->parent_count));
    bool *nothing = calloc(m->count + 1, sizeof *nothing);
    add_store(m, builder, name, nothing);
    free(nothing);
    eid_entry *other = finish(builder), *twice;
    eid_entry_builder_free(builder);
    char *left, *right;
    tu_assert_ok(eid_entry_to_json(entry, &left, NULL));
    tu_assert_ok(eid_entry_to_json(other, &right, NULL));
    static const char begin[] = "\"subtrees\":[", end[] = "],\"sig\"";
    char *first = strstr(left, begin) + strlen(begin), *second = strstr(right, begin) + strlen(begin);
    int second_len = (int)(strstr(second, end) - second), first_len = (int)(strstr(first, end) - first);
    char *text;
    bool in_front = percent(m->random, 50);
    int len = asprintf(&text, "%.*s%.*s,%.*s%s", (int)(first - left), left, in_front ? second_len : first_len,
                       in_front ? second : first, in_front ? first_len : second_len, in_front ? first : second, first + first_len);
    assert_true(len > 0);
    tu_assert_ok(eid_entry_from_json(text, (size_t)len, &twice));
    assert_int_equal(twice->subtree_count, entry->subtree_count + 1);
    free(text);
    eid_free(left);
    eid_free(right);
    eid_entry_unref(other);
    eid_entry_unref(entry);
    return twice;
}

/* Two entries of equal content are two entries all the same. */
static void set_salt(eid_entry_builder *builder, uint64_t salt)
{
    eid_buf metadata;
    eid_buf_init(&metadata, 256);
    eid_metadata_write(&metadata, NULL, 0, &salt);
    tu_assert_ok(eid_buf_status(&metadata));
    tu_assert_ok(eid_entry_builder_set_metadata(builder, eid_buf_slice(&metadata)));
    eid_buf_free(&metadata);
}

static eid_entry *make_root(tu_random *random)
{
    eid_entry_builder *builder;
    eid_slice marker = eid_slice_text("\"\"");
    tu_assert_ok(eid_entry_builder_new(NULL, &builder));
    set_salt(builder, tu_random_next(random));
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "_root", NULL, 0, &marker, NULL));
    eid_entry *entry = finish(builder);
    eid_entry_builder_free(builder);
    return entry;
}

/* Main parents: mostly what are tips, sometimes anything. */
static size_t choose_parents(const maker *m, size_t *out)
{
    size_t count = 0;
    if (m->shape->first_writes && m->count < 5) {
        out[0] = 0;
        return 1;
    }
    if (percent(m->random, m->shape->branching)) {
        count = 1 + (size_t)tu_random_below(m->random, 3);
        for (size_t i = 0; i < count; i++)
            out[i] = (size_t)tu_random_below(m->random, m->count);
        return count;
    }
    for (size_t i = 0; i < m->count; i++) {
        bool tip = true;
        for (size_t k = i + 1; k < m->count && tip; k++)
            tip = !m->ancestors[k][i];
        if (tip && (count == 0 || percent(m->random, 60)))
            out[count++] = i;
    }
    return count;
}

static void make_entry(maker *m)
{
    size_t *parents = calloc(m->count + 3, sizeof *parents);
    eid_id *ids = calloc(m->count + 3, sizeof *ids);
    bool *below = calloc(m->shape->entries, sizeof *below);
    size_t count = choose_parents(m, parents);
    uint64_t highest = 0;
    for (size_t i = 0; i < count; i++) {
        const eid_entry *parent = m->entries[parents[i]];
        ids[i] = parent->id;
        highest = parent->height > highest ? parent->height : highest;
        for (size_t k = 0; k < m->count; k++)
            below[k] = below[k] || m->ancestors[parents[i]][k];
    }
    eid_entry_builder *builder;
    tu_assert_ok(eid_entry_builder_new(&m->entries[0]->id, &builder));
    tu_assert_ok(eid_entry_builder_set_parents(builder, ids, count));
    bool forge = m->shape->forged_heights && percent(m->random, 40);
    eid_entry_builder_set_height(builder, forge ? forged_height(m->random) : above(highest));
    set_salt(builder, m->count);
    m->now += tu_random_below(m->random, 20);
    for (unsigned s = 0; m->shape->strategies && s < m->shape->stores; s++)
        if (percent(m->random, m->count == 1 ? 50 : 5))
            m->timestamps[s] = !m->timestamps[s];
    for (unsigned s = 0; s < m->shape->stores; s++)
        if (percent(m->random, 60))
            add_store(m, builder, STORES[s], below);
    eid_entry *entry = finish(builder);
    eid_entry_builder_free(builder);
    if (m->shape->duplicates && entry->subtree_count > 0 && percent(m->random, 30))
        entry = name_store_twice(m, entry);
    below[m->count] = true;
    m->ancestors[m->count] = below;
    m->entries[m->count++] = entry;
    free(ids);
    free(parents);
}

eid_entry **th_generate(tu_random *random, const th_shape *shape)
{
    assert_true(shape->entries > 0 && shape->stores <= TH_STORES && shape->keys > 0 && shape->keys <= TH_KEYS);
    maker m = {.random = random,
               .shape = shape,
               .now = 1704067200000,
               .entries = calloc(shape->entries, sizeof(eid_entry *)),
               .ancestors = calloc(shape->entries, sizeof(bool *))};
    m.entries[0] = make_root(random);
    m.ancestors[0] = calloc(shape->entries, sizeof(bool));
    m.ancestors[0][0] = true;
    m.count = 1;
    while (m.count < shape->entries)
        make_entry(&m);
    for (size_t i = 0; i < m.count; i++)
        free(m.ancestors[i]);
    free(m.ancestors);
    return m.entries;
}

void th_free_entries(eid_entry **entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        eid_entry_unref(entries[i]);
    free(entries);
}

size_t *th_arrival(tu_random *random, const tm_model *model)
{
    size_t *order = calloc(model->count, sizeof *order);
    bool *arrived = tm_set(model, false);
    for (size_t place = 0; place < model->count; place++) {
        size_t i;
        bool ready;
        do {
            i = (size_t)tu_random_below(random, model->count);
            ready = !arrived[i];
            for (size_t p = 0; ready && p < model->nodes[i].parent_count; p++)
                ready = arrived[model->nodes[i].parents[p]];
        } while (!ready);
        arrived[i] = true;
        order[place] = i;
    }
    free(arrived);
    return order;
}

/* ---- Counting ---- */

static void count_value(const eid_value *value, th_census *census)
{
    const eid_doc *doc = NULL;
    const eid_list *list = NULL;
    const eid_doc_cursor *cursor = NULL;
    const char *key;
    size_t len;
    const eid_value *child;
    eid_position position, lowest;
    census->tombstones += eid_value_get_kind(value) == EID_VALUE_DELETED;
    if (eid_value_as_doc(value, &doc) == EID_OK) {
        census->nested_atomic += eid_doc_is_atomic(doc);
        while (eid_doc_next_raw(doc, &cursor, &key, &len, &child))
            count_value(child, census);
    }
    if (eid_value_as_list(value, &list) != EID_OK)
        return;
    for (size_t i = 0; i < eid_list_slots(list); i++) {
        eid_list_slot(list, i, &position, &child);
        tu_assert_ok(eid_position_make(position.numerator, position.denominator, &position.unique, &lowest));
        census->odd_positions += lowest.denominator != position.denominator;
        count_value(child, census);
    }
}

static void count_part(const tm_model *model, const tm_node *node, const tm_part *part, th_census *census)
{
    bool above_all = true;
    for (size_t i = 0; i < part->parent_count; i++)
        above_all = above_all && tm_part_of(model, part->parents[i], part->store)->height < part->height;
    census->forged += !above_all;
    census->timestamps += part->height > 1700000000000 && part->height < 1800000000000;
    census->first_writes += part->parent_count == 0 && node != &model->nodes[0];
    if (part->doc == NULL)
        return;
    census->barriers += eid_doc_is_atomic(part->doc);
    const eid_doc_cursor *cursor = NULL;
    const char *key;
    size_t len;
    const eid_value *value;
    while (eid_doc_next_raw(part->doc, &cursor, &key, &len, &value)) {
        census->lists += eid_value_get_kind(value) == EID_VALUE_LIST;
        count_value(value, census);
    }
}

/* Under each key of a store, kinds that meet in the fold. */
static void count_replaced(const tm_model *model, size_t store, th_census *census)
{
    size_t count;
    bool *all = tm_set(model, true);
    size_t *order = tm_fold_order(model, all, store, &count);
    for (size_t k = 0; k < TH_KEYS; k++) {
        const eid_value *last = NULL;
        for (size_t i = 0; i < count; i++) {
            const tm_part *part = tm_part_of(model, order[i], store);
            const eid_value *value = part->doc == NULL ? NULL : eid_doc_child(part->doc, eid_slice_of(KEYS[k].text, KEYS[k].len));
            if (value == NULL)
                continue;
            census->replaced += last != NULL && (eid_value_get_kind(last) == EID_VALUE_DOC) != (eid_value_get_kind(value) == EID_VALUE_DOC);
            last = value;
        }
    }
    free(order);
    free(all);
}

void th_count(const tm_model *model, th_census *census)
{
    bool *tips = tm_set(model, false), *older = tm_set(model, false);
    for (size_t i = 0; i < model->count; i++) {
        const tm_node *node = &model->nodes[i];
        size_t on_tips = 0;
        tm_main_tips(model, older, tips);
        for (size_t p = 0; p < node->parent_count; p++)
            on_tips += tips[node->parents[p]];
        census->branches += on_tips < tm_set_count(model, tips);
        census->merges += node->parent_count > 1;
        for (size_t p = 0; p < node->part_count; p++)
            count_part(model, node, &node->parts[p], census);
        older[i] = true;
    }
    for (size_t s = 0; s < model->store_count; s++)
        count_replaced(model, s, census);
    free(older);
    free(tips);
}
