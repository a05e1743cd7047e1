/* SPDX-License-Identifier: Apache-2.0 */
/* The generator of hostile histories. */
#include "support/hostile.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "codec/cid.h"
#include "crypto/key.h"
#include "entry/entry.h"

/* Holders: everybody, the global permission, and keys. */
#define EVERYBODY 0
#define GLOBAL 1
#define FIRST_KEY 2
#define KEYS 6

typedef struct maker {
    tu_random *random;
    const th_hostile *shape;
    tr_history *h;
    eid_keypair *keys[KEYS];
} maker;

static bool percent(const maker *m, unsigned chance)
{
    return tu_random_below(m->random, 100) < chance;
}

th_hostile th_hostile_shape(tu_random *random)
{
    th_hostile shape = {.entries = 8 + (size_t)tu_random_below(random, 26),
                        .backdating = (unsigned)tu_random_below(random, 70),
                        .old_pins = (unsigned)tu_random_below(random, 70),
                        .old_below = (unsigned)tu_random_below(random, 60),
                        .forged = tu_random_below(random, 3) == 0 ? (unsigned)tu_random_below(random, 40) : 0,
                        .settings = 30 + (unsigned)tu_random_below(random, 50),
                        .unfounded = 4,
                        .open = tu_random_below(random, 12) == 0,
                        .strange = tu_random_below(random, 4) == 0};
    return shape;
}

/* ---- Payloads ---- */

static tr_right random_right(const maker *m)
{
    static const uint32_t priorities[] = {0, 0, 5, 5, 10};
    uint64_t kind = tu_random_below(m->random, 10);
    uint32_t priority = priorities[tu_random_below(m->random, 5)];
    if (kind < 5)
        return (tr_right){TR_ADMIN, priority};
    return kind < 8 ? (tr_right){TR_WRITE, priority} : (tr_right){TR_READ, 0};
}

static eid_doc *record_of(const maker *m, tr_right right, bool active, const char *name)
{
    static const eid_permission_kind kinds[] = {EID_PERM_READ, EID_PERM_READ, EID_PERM_WRITE, EID_PERM_WRITE, EID_PERM_ADMIN};
    eid_permission permission = {kinds[right.level], right.priority};
    eid_doc *record;
    tu_assert_ok(eid_auth_key_to_doc(name, permission, active ? EID_KEY_ACTIVE : EID_KEY_REVOKED, &record));
    if (m->shape->strange && percent(m, 15))
        eid_doc_set_atomic(record, false); /* merges into what is there */
    return record;
}

static eid_value *random_record(const maker *m, size_t holder)
{
    eid_value *value;
    char name[16];
    snprintf(name, sizeof name, "n%zu", holder % 3); /* labels are shared */
    uint64_t kind = tu_random_below(m->random, 20);
    if (kind == 0)
        tu_assert_ok(eid_value_new_deleted(&value));
    else if (kind == 1)
        tu_assert_ok(eid_value_new_text("?", 1, &value));
    else {
        eid_doc *record = record_of(m, random_right(m), kind < 13, holder == GLOBAL ? NULL : name);
        tu_assert_ok(eid_value_new_doc(record, &value));
        eid_doc_free(record);
    }
    return value;
}

static void put(eid_doc *doc, const char *key, eid_value *value)
{
    tu_assert_ok(eid_doc_put_child(doc, eid_slice_text(key), value));
}

static void put_doc(const maker *m, eid_doc *parent, const char *key, eid_doc *child, bool may_sweep)
{
    eid_value *value;
    if (may_sweep && m->shape->strange && percent(m, 6))
        eid_doc_set_atomic(child, true);
    if (may_sweep && m->shape->strange && percent(m, 4))
        tu_assert_ok(eid_value_new_deleted(&value));
    else
        tu_assert_ok(eid_value_new_doc(child, &value));
    put(parent, key, value);
    eid_doc_free(child);
}

static void change_holder(const maker *m, eid_doc *keys, eid_doc *auth)
{
    size_t holder = GLOBAL + (size_t)tu_random_below(m->random, KEYS + 1);
    eid_value *record = random_record(m, holder);
    if (holder == GLOBAL)
        put(auth, "global", record);
    else
        put(keys, m->h->holders[holder].name, record);
}

static eid_doc *random_rules(const maker *m)
{
    eid_doc *rules, *auth, *keys;
    tu_assert_ok(eid_doc_new(&rules));
    tu_assert_ok(eid_doc_set_int(rules, "name", (int64_t)tu_random_below(m->random, 1000)));
    if (percent(m, 15))
        return rules;
    tu_assert_ok(eid_doc_new(&auth));
    tu_assert_ok(eid_doc_new(&keys));
    change_holder(m, keys, auth);
    if (percent(m, 25))
        change_holder(m, keys, auth);
    put_doc(m, auth, "keys", keys, true);
    put_doc(m, rules, "auth", auth, true);
    if (m->shape->strange && percent(m, 3))
        eid_doc_set_atomic(rules, true);
    return rules;
}

static eid_doc *random_data(const maker *m)
{
    static const char *const keys[] = {"a", "b", "c"};
    eid_doc *data;
    tu_assert_ok(eid_doc_new(&data));
    eid_doc_set_atomic(data, percent(m, 8));
    for (size_t i = 0; i < 1 + tu_random_below(m->random, 2); i++) {
        const char *key = keys[tu_random_below(m->random, 3)];
        if (percent(m, 30)) {
            eid_doc *inner;
            tu_assert_ok(eid_doc_new(&inner));
            tu_assert_ok(eid_doc_set_int(inner, keys[tu_random_below(m->random, 3)], (int64_t)m->h->count));
            put_doc(m, data, key, inner, false);
        } else {
            tu_assert_ok(eid_doc_set_int(data, key, (int64_t)m->h->count));
        }
    }
    return data;
}

/* ---- What an entry names ---- */

static size_t random_admitted(const maker *m, bool settings)
{
    size_t e;
    do
        e = (size_t)tu_random_below(m->random, m->h->count);
    while (!m->h->admitted[e] || (settings && !m->h->entries[e].settings));
    return e;
}

static void add_named(size_t *named, size_t *count, size_t e)
{
    for (size_t i = 0; i < *count; i++)
        if (named[i] == e)
            return;
    if (*count < TR_NAMED)
        named[(*count)++] = e;
}

static void choose_random(const maker *m, bool settings, size_t *named, size_t *count)
{
    size_t wanted = 1 + (size_t)tu_random_below(m->random, 3);
    for (size_t i = 0; i < wanted; i++)
        add_named(named, count, random_admitted(m, settings));
}

/* The tips of what stands below the entry to be, or of all. */
static void choose_tips(const maker *m, const bool *among, bool settings, size_t *named, size_t *count)
{
    const tr_history *h = m->h;
    bool tip[TR_MAX];
    for (size_t e = 0; e < h->count; e++)
        tip[e] = h->admitted[e] && among[e] && (!settings || h->entries[e].settings);
    for (size_t e = 0; e < h->count; e++) {
        const tr_entry *entry = &h->entries[e];
        const size_t *below = settings ? entry->below : entry->parents;
        size_t below_count = settings ? entry->below_count : entry->parent_count;
        for (size_t i = 0; h->admitted[e] && among[e] && i < below_count; i++)
            tip[below[i]] = false;
    }
    for (size_t e = h->count; e > 0; e--)
        if (tip[e - 1])
            add_named(named, count, e - 1);
    if (*count == 0)
        add_named(named, count, 0);
}

static void choose_named(const maker *m, tr_entry *entry)
{
    bool everything[TR_MAX], below[TR_MAX] = {false};
    memset(everything, 1, sizeof everything);
    if (percent(m, m->shape->backdating))
        choose_random(m, false, entry->parents, &entry->parent_count);
    else
        choose_tips(m, everything, false, entry->parents, &entry->parent_count);
    for (size_t i = 0; i < entry->parent_count; i++)
        for (size_t k = 0; k < m->h->count; k++)
            below[k] = below[k] || m->h->past[entry->parents[i]][k];
    if (m->shape->open && !m->h->entries[0].settings && percent(m, 30))
        entry->pin_count = 0;
    else if (percent(m, m->shape->old_pins))
        choose_random(m, m->h->entries[0].settings, entry->pins, &entry->pin_count);
    else
        choose_tips(m, percent(m, 50) ? below : everything, m->h->entries[0].settings, entry->pins, &entry->pin_count);
    if (!entry->settings)
        return;
    if (percent(m, m->shape->old_below))
        choose_random(m, m->h->entries[0].settings, entry->below, &entry->below_count);
    else
        for (size_t i = 0; i < entry->pin_count; i++)
            add_named(entry->below, &entry->below_count, entry->pins[i]);
}

/* ---- Entries ---- */

static size_t ids_of(const maker *m, const size_t *named, size_t count, eid_id *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = m->h->entries[named[i]].entry->id;
    return count;
}

static void set_metadata(const maker *m, eid_entry_builder *builder, const tr_entry *entry)
{
    eid_id ids[TR_NAMED];
    eid_buf metadata;
    uint64_t salt = tu_random_next(m->random);
    size_t count = ids_of(m, entry->pins, entry->pin_count, ids);
    eid_buf_init(&metadata, 4096);
    eid_metadata_write(&metadata, ids, count, &salt);
    tu_assert_ok(eid_buf_status(&metadata));
    tu_assert_ok(eid_entry_builder_set_metadata(builder, eid_buf_slice(&metadata)));
    eid_buf_free(&metadata);
}

static void set_store(const maker *m, eid_entry_builder *builder, const char *name, const size_t *below, size_t count,
                      const eid_doc *payload)
{
    eid_id ids[TR_NAMED];
    char *text;
    size_t len;
    tu_assert_ok(eid_doc_to_json(payload, &text, &len));
    eid_slice data = eid_slice_of(text, len);
    size_t named = ids_of(m, below, count, ids);
    tu_assert_ok(eid_entry_builder_set_subtree(builder, name, ids, named, &data, NULL));
    eid_free(text);
}

static uint64_t random_height(const maker *m, const tr_entry *entry)
{
    static const uint64_t heights[] = {0, 1, 2, 7, 1000, INT64_MAX, UINT64_MAX};
    uint64_t height = 0;
    if (percent(m, m->shape->forged))
        return heights[tu_random_below(m->random, 7)];
    for (size_t i = 0; i < entry->parent_count; i++) {
        uint64_t parent = m->h->entries[entry->parents[i]].entry->height;
        height = parent >= INT64_MAX ? INT64_MAX : parent + 1 > height ? parent + 1 : height;
    }
    return height;
}

/* The signature; names its key by its text, its label, or as one of everybody who may. */
static void sign(const maker *m, eid_entry_builder *builder, tr_entry *entry, size_t key)
{
    eid_sigkey sigkey;
    eid_pubkey pubkey;
    const eid_keypair *signer = entry->author == EVERYBODY ? NULL : m->keys[key];
    entry->genuine = true;
    if (signer == NULL) {
        tu_assert_ok(eid_entry_builder_finish(builder, NULL, NULL, &entry->entry));
        return;
    }
    eid_keypair_public(m->keys[key], &pubkey);
    if (entry->author == GLOBAL)
        eid_sigkey_global(&pubkey, &sigkey);
    else if (entry->label[0] != '\0')
        tu_assert_ok(eid_sigkey_named(eid_slice_text(entry->label), &sigkey));
    else
        eid_sigkey_direct(&pubkey, &sigkey);
    if (percent(m, m->shape->unfounded)) {
        signer = m->keys[(key + 1) % KEYS];
        entry->genuine = false;
    }
    tu_assert_ok(eid_entry_builder_finish(builder, signer, &sigkey, &entry->entry));
    if (entry->label[0] != '\0')
        eid_sigkey_free(&sigkey);
}

static void build(const maker *m, tr_entry *entry, size_t key)
{
    eid_entry_builder *builder;
    eid_id parents[TR_NAMED];
    tu_assert_ok(eid_entry_builder_new(&m->h->entries[0].entry->id, &builder));
    size_t count = ids_of(m, entry->parents, entry->parent_count, parents);
    tu_assert_ok(eid_entry_builder_set_parents(builder, parents, count));
    eid_entry_builder_set_height(builder, random_height(m, entry));
    set_metadata(m, builder, entry);
    if (entry->settings)
        set_store(m, builder, "_settings", entry->below, entry->below_count, entry->rules);
    if (entry->data != NULL)
        set_store(m, builder, "data", NULL, 0, entry->data);
    sign(m, builder, entry, key);
    eid_entry_builder_free(builder);
}

static void drop(tr_entry *entry)
{
    eid_entry_unref(entry->entry);
    eid_doc_free(entry->rules);
    eid_doc_free(entry->data);
}

/* Appends the entry and learns what the rule says of it; false when it is not worth keeping. */
static bool keep(const maker *m, const tr_entry *entry, bool refused_too)
{
    tr_history *h = m->h;
    size_t e = h->count++;
    h->entries[e] = *entry;
    memset(h->past[e], 0, sizeof h->past[e]);
    memset(h->knows[e], 0, sizeof h->knows[e]);
    tr_learn(h, e);
    h->admitted[e] = tr_admits(h, e);
    if (!h->admitted[e] && !refused_too)
        h->count--;
    return h->admitted[e] || refused_too;
}

static void make_entry(const maker *m)
{
    for (;;) {
        tr_entry entry = {.settings = percent(m, m->shape->settings)};
        uint64_t role = tu_random_below(m->random, 20);
        size_t key = (size_t)tu_random_below(m->random, KEYS);
        entry.author = role == 0 || (m->shape->open && role < 5) ? EVERYBODY : role < 4 ? GLOBAL : FIRST_KEY + key;
        if (entry.author >= FIRST_KEY && percent(m, 20))
            snprintf(entry.label, sizeof entry.label, "n%zu", entry.author % 3);
        entry.rules = entry.settings ? random_rules(m) : NULL;
        entry.data = !entry.settings || percent(m, 30) ? random_data(m) : NULL;
        choose_named(m, &entry);
        build(m, &entry, key);
        if (keep(m, &entry, percent(m, m->shape->unfounded)))
            return;
        drop(&entry);
    }
}

/* The first key may do everything, two others are admins from the beginning. */
static eid_doc *root_rules(const maker *m)
{
    static const tr_right rights[] = {{TR_ADMIN, 0}, {TR_ADMIN, 5}, {TR_ADMIN, 0}, {TR_WRITE, 10}};
    eid_doc *rules, *auth, *keys;
    tu_assert_ok(eid_doc_new(&rules));
    tu_assert_ok(eid_doc_new(&auth));
    tu_assert_ok(eid_doc_new(&keys));
    size_t count = 1 + (size_t)tu_random_below(m->random, 4);
    for (size_t i = 0; i < count; i++) {
        eid_value *value;
        eid_doc *record;
        eid_permission permission = {rights[i].level == TR_ADMIN ? EID_PERM_ADMIN : EID_PERM_WRITE, rights[i].priority};
        tu_assert_ok(eid_auth_key_to_doc(NULL, permission, EID_KEY_ACTIVE, &record));
        tu_assert_ok(eid_value_new_doc(record, &value));
        put(keys, m->h->holders[FIRST_KEY + i].name, value);
        eid_doc_free(record);
    }
    put_doc(m, auth, "keys", keys, false);
    put_doc(m, rules, "auth", auth, false);
    return rules;
}

static void make_root(const maker *m)
{
    tr_entry entry = {.author = m->shape->open ? EVERYBODY : FIRST_KEY, .genuine = true};
    eid_entry_builder *builder;
    eid_slice marker = eid_slice_text("\"\"");
    tu_assert_ok(eid_entry_builder_new(NULL, &builder));
    set_metadata(m, builder, &entry);
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "_root", NULL, 0, &marker, NULL));
    entry.settings = !m->shape->open;
    if (entry.settings) {
        entry.rules = root_rules(m);
        set_store(m, builder, "_settings", NULL, 0, entry.rules);
    }
    tu_assert_ok(eid_entry_builder_finish(builder, m->shape->open ? NULL : m->keys[0], NULL, &entry.entry));
    eid_entry_builder_free(builder);
    keep(m, &entry, false);
}

void th_hostile_make(tu_random *random, const th_hostile *shape, tr_history *out)
{
    maker m = {.random = random, .shape = shape, .h = out};
    assert_true(shape->entries <= TR_MAX);
    memset(out, 0, sizeof *out);
    snprintf(out->holders[GLOBAL].name, sizeof out->holders[GLOBAL].name, "*");
    for (size_t i = 0; i < KEYS; i++) {
        uint8_t seed[32] = {(uint8_t)(i + 1), 0x77};
        eid_pubkey pubkey;
        tu_assert_ok(eid_keypair_from_seed(seed, &m.keys[i]));
        eid_keypair_public(m.keys[i], &pubkey);
        eid_pubkey_format(&pubkey, out->holders[FIRST_KEY + i].name);
    }
    out->holder_count = FIRST_KEY + KEYS;
    make_root(&m);
    while (out->count < shape->entries)
        make_entry(&m);
    tr_decide(out);
    for (size_t i = 0; i < KEYS; i++)
        eid_keypair_free(m.keys[i]);
}
