/* SPDX-License-Identifier: Apache-2.0 */
/* The rule, from its text. */
#include "support/rule.h"

#include <stdlib.h>
#include <string.h>

#include "codec/cid.h"

void tr_free(tr_history *history)
{
    for (size_t i = 0; i < history->count; i++) {
        eid_entry_unref(history->entries[i].entry);
        eid_doc_free(history->entries[i].rules);
        eid_doc_free(history->entries[i].data);
    }
    history->count = 0;
}

int tr_compare(tr_right a, tr_right b)
{
    if (a.level != b.level)
        return a.level < b.level ? -1 : 1;
    if ((a.level != TR_WRITE && a.level != TR_ADMIN) || a.priority == b.priority)
        return 0;
    return a.priority > b.priority ? -1 : 1;
}

/* ---- Sets ---- */

static void find_past(tr_history *h, size_t e)
{
    h->past[e][e] = true;
    for (size_t i = 0; i < h->entries[e].parent_count; i++)
        for (size_t k = 0; k < e; k++)
            h->past[e][k] = h->past[e][k] || h->past[h->entries[e].parents[i]][k];
}

static void add_below(const tr_history *h, size_t e, bool *set)
{
    set[e] = true;
    for (size_t i = 0; i < h->entries[e].below_count; i++)
        if (h->entries[h->entries[e].below[i]].settings && !set[h->entries[e].below[i]])
            add_below(h, h->entries[e].below[i], set);
}

static void find_knowledge(tr_history *h, size_t e)
{
    for (size_t i = 0; i < h->entries[e].pin_count; i++)
        if (h->entries[h->entries[e].pins[i]].settings)
            add_below(h, h->entries[e].pins[i], h->knows[e]);
}

/* ---- The order of the fold ---- */

static uint64_t height_in(const tr_history *h, size_t e, const char *store)
{
    const eid_subtree *subtree = eid_entry_subtree(h->entries[e].entry, eid_slice_text(store));
    uint64_t height = subtree->has_height ? subtree->height : h->entries[e].entry->height;
    return height > INT64_MAX ? INT64_MAX : height;
}

static bool sorts_before(const tr_history *h, size_t a, size_t b, const char *store)
{
    uint64_t left = height_in(h, a, store), right = height_in(h, b, store);
    if (left != right)
        return left < right;
    return eid_id_compare_text(&h->entries[a].entry->id, &h->entries[b].entry->id) < 0;
}

static size_t in_order(const tr_history *h, const bool *set, const char *store, size_t *out)
{
    size_t count = 0;
    for (size_t e = 0; e < h->count; e++) {
        if (!set[e])
            continue;
        size_t place = count++;
        while (place > 0 && sorts_before(h, e, out[place - 1], store)) {
            out[place] = out[place - 1];
            place--;
        }
        out[place] = e;
    }
    return count;
}

static eid_doc *fold(const tr_history *h, const bool *set)
{
    size_t order[TR_MAX], count = in_order(h, set, "_settings", order);
    eid_doc *state;
    tu_assert_ok(eid_doc_new(&state));
    for (size_t i = 0; i < count; i++)
        if (h->entries[order[i]].rules != NULL)
            tu_assert_ok(eid_doc_merge(state, h->entries[order[i]].rules));
    return state;
}

/* ---- Rights ---- */

static const eid_doc *child_doc(const eid_doc *doc, const char *key)
{
    const eid_value *value = doc == NULL ? NULL : eid_doc_child(doc, eid_slice_text(key));
    const eid_doc *child;
    return value != NULL && eid_value_as_doc(value, &child) == EID_OK ? child : NULL;
}

static tr_right right_of_record(const eid_value *record)
{
    tr_right none = {TR_NONE, 0};
    const eid_doc *doc;
    const char *text;
    int64_t priority;
    if (record == NULL || eid_value_as_doc(record, &doc) != EID_OK)
        return none;
    if (eid_doc_get_text(doc, "status", &text, NULL) != EID_OK || strcmp(text, "Active") != 0)
        return none;
    if (eid_doc_get_text(doc, "permissions.type", &text, NULL) != EID_OK)
        return none;
    if (strcmp(text, "Read") == 0)
        return (tr_right){TR_READ, 0};
    if (eid_doc_get_int(doc, "permissions.priority", &priority) != EID_OK)
        return none;
    if (strcmp(text, "Write") == 0)
        return (tr_right){TR_WRITE, (uint32_t)priority};
    return strcmp(text, "Admin") == 0 ? (tr_right){TR_ADMIN, (uint32_t)priority} : none;
}

/* Somebody was given something once, be it that nothing is left of it. */
static bool is_open(const eid_doc *settings)
{
    const eid_doc *auth = child_doc(settings, "auth");
    if (auth == NULL)
        return true;
    const eid_value *keys = eid_doc_child(auth, eid_slice_text("keys"));
    bool none = keys == NULL || (child_doc(auth, "keys") != NULL && eid_doc_child_count(child_doc(auth, "keys")) == 0);
    return none && eid_doc_child(auth, eid_slice_text("global")) == NULL;
}

static tr_right right_in(const tr_history *h, const eid_doc *settings, size_t holder)
{
    const char *name = h->holders[holder].name;
    const eid_doc *auth = child_doc(settings, "auth"), *keys = child_doc(auth, "keys");
    if (name[0] == '\0')
        return is_open(settings) ? (tr_right){TR_OPEN, 0} : (tr_right){TR_NONE, 0};
    if (strcmp(name, "*") == 0)
        return right_of_record(auth == NULL ? NULL : eid_doc_child(auth, eid_slice_text("global")));
    return right_of_record(keys == NULL ? NULL : eid_doc_child(keys, eid_slice_text(name)));
}

static tr_right right_after(const tr_history *h, const bool *set, size_t holder)
{
    eid_doc *settings = fold(h, set);
    tr_right right = right_in(h, settings, holder);
    eid_doc_free(settings);
    return right;
}

/* ---- Changes ---- */

static bool names(const tr_history *h, size_t e, size_t holder)
{
    const char *name = h->holders[holder].name;
    const eid_doc *auth = child_doc(h->entries[e].rules, "auth"), *keys = child_doc(auth, "keys");
    if (auth == NULL || name[0] == '\0')
        return false;
    if (strcmp(name, "*") == 0)
        return eid_doc_child(auth, eid_slice_text("global")) != NULL;
    return keys != NULL && eid_doc_child(keys, eid_slice_text(name)) != NULL;
}

/* Whether the payload replaces a document above the records. */
static bool find_sweeps(const tr_history *h, size_t e)
{
    const eid_doc *rules = h->entries[e].rules;
    if (rules == NULL)
        return false;
    if (eid_doc_is_atomic(rules))
        return true;
    if (eid_doc_child(rules, eid_slice_text("auth")) == NULL)
        return false;
    const eid_doc *auth = child_doc(rules, "auth");
    if (auth == NULL || eid_doc_is_atomic(auth))
        return true;
    if (eid_doc_child(auth, eid_slice_text("keys")) == NULL)
        return false;
    return child_doc(auth, "keys") == NULL || eid_doc_is_atomic(child_doc(auth, "keys"));
}

static bool changes_anything(const tr_history *h, size_t e)
{
    bool any = h->sweeps[e];
    for (size_t i = 0; i < h->holder_count; i++)
        any = any || names(h, e, i);
    return any;
}

/* Explicitly: what it does not know it can only take. */
static bool find_changes(const tr_history *h, size_t e, size_t holder)
{
    if (!h->entries[e].settings)
        return false;
    if (h->holders[holder].name[0] == '\0') {
        if (!changes_anything(h, e))
            return false;
        return h->sweeps[e] || right_after(h, h->knows[e], holder).level == TR_OPEN;
    }
    if (names(h, e, holder))
        return true;
    for (size_t k = 0; k < e && h->sweeps[e]; k++)
        if (h->knows[e][k] && h->changes[k][holder])
            return true;
    return false;
}

static tr_right find_gives(const tr_history *h, size_t e, size_t holder)
{
    eid_doc *settings = fold(h, h->knows[e]);
    if (h->entries[e].rules != NULL)
        tu_assert_ok(eid_doc_merge(settings, h->entries[e].rules));
    tr_right right = right_in(h, settings, holder);
    eid_doc_free(settings);
    return right;
}

void tr_learn(tr_history *h, size_t e)
{
    find_past(h, e);
    find_knowledge(h, e);
    h->power[e] = right_after(h, h->knows[e], h->entries[e].author);
    h->sweeps[e] = find_sweeps(h, e);
    for (size_t i = 0; i < h->holder_count; i++) {
        h->changes[e][i] = find_changes(h, e, i);
        if (h->changes[e][i])
            h->gives[e][i] = find_gives(h, e, i);
    }
}

/* Whether it leaves the holder less than this to those who do not know of it. */
static bool leaves_less(const tr_history *h, size_t e, size_t holder, tr_right than)
{
    if (h->changes[e][holder])
        return tr_compare(h->gives[e][holder], than) < 0;
    return h->sweeps[e] && than.level > TR_NONE;
}

/* ---- Strength ---- */

static size_t grant_of(const tr_history *h, size_t e)
{
    size_t order[TR_MAX], given = SIZE_MAX, author = h->entries[e].author;
    size_t count = in_order(h, h->knows[e], "_settings", order);
    for (size_t i = count; i > 0; i--) {
        size_t k = order[i - 1];
        if (!h->changes[k][author])
            continue;
        if (given != SIZE_MAX && tr_compare(h->gives[k][author], h->power[e]) < 0)
            break;
        given = k;
    }
    return given;
}

static size_t chain_of(const tr_history *h, size_t e, size_t *out)
{
    size_t count = 0, steps[TR_MAX];
    for (size_t k = grant_of(h, e); k != SIZE_MAX; k = k == 0 ? SIZE_MAX : grant_of(h, k))
        steps[count++] = k;
    for (size_t i = 0; i < count; i++)
        out[i] = steps[count - 1 - i];
    return count;
}

static bool is_stronger(const tr_history *h, size_t a, size_t b)
{
    if (a == 0 || b == 0)
        return a == 0 && b != 0;
    int order = tr_compare(h->power[a], h->power[b]);
    if (order != 0)
        return order > 0;
    size_t left[TR_MAX], right[TR_MAX], lefts = chain_of(h, a, left), rights = chain_of(h, b, right), i = 0;
    while (i < lefts && i < rights && left[i] == right[i])
        i++;
    if (i < lefts && i < rights)
        return sorts_before(h, left[i], right[i], "_settings");
    if (lefts != rights)
        return lefts < rights;
    order = strcmp(h->holders[h->entries[a].author].name, h->holders[h->entries[b].author].name);
    if (order != 0)
        return order < 0;
    bool ends_a = leaves_less(h, a, h->entries[a].author, h->power[a]);
    bool ends_b = leaves_less(h, b, h->entries[b].author, h->power[b]);
    if (ends_a != ends_b)
        return ends_a;
    return sorts_before(h, a, b, "_settings");
}

/* ---- What counts ---- */

static bool did_not_meet(const tr_history *h, size_t r, size_t e)
{
    return r != e && h->counts[r] && !h->past[r][e] && !h->knows[e][r];
}

static bool raises(const tr_history *h, size_t r, size_t e)
{
    for (size_t i = 0; i < h->holder_count; i++) {
        if (h->holders[i].name[0] == '\0' || !h->changes[r][i])
            continue;
        if ((h->changes[e][i] || h->sweeps[e]) && tr_compare(h->gives[r][i], h->power[e]) > 0)
            return true;
    }
    return false;
}

/* The fold of what the entry knows, counts, and is in the set. */
static tr_right right_known(const tr_history *h, size_t e, const bool *among, size_t holder)
{
    bool known[TR_MAX] = {false};
    for (size_t k = 0; k < h->count; k++)
        known[k] = h->knows[e][k] && h->counts[k] && among[k];
    return right_after(h, known, holder);
}

/* `stronger`: the settings entries that are stronger, all decided. */
static bool settings_entry_counts(const tr_history *h, size_t e, const bool *stronger)
{
    size_t author = h->entries[e].author;
    tr_right uses = h->power[e];
    if (e == 0)
        return true;
    if (tr_compare(right_known(h, e, stronger, author), uses) < 0)
        return false;
    for (size_t i = 0; i < h->holder_count && h->holders[author].name[0] != '\0'; i++) {
        if (h->holders[i].name[0] == '\0' || !h->changes[e][i])
            continue;
        if (tr_compare(right_known(h, e, stronger, i), uses) > 0 || tr_compare(h->gives[e][i], uses) > 0)
            return false;
    }
    for (size_t r = 0; r < h->count; r++)
        if (stronger[r] && did_not_meet(h, r, e) && (leaves_less(h, r, author, uses) || raises(h, r, e)))
            return false;
    return true;
}

static bool data_entry_counts(const tr_history *h, size_t e)
{
    tr_right write = {TR_WRITE, UINT32_MAX};
    bool all[TR_MAX];
    memset(all, 1, sizeof all);
    for (size_t r = 0; r < h->count; r++)
        if (h->admitted[r] && h->entries[r].settings && did_not_meet(h, r, e) && leaves_less(h, r, h->entries[e].author, write))
            return false;
    return tr_compare(right_known(h, e, all, h->entries[e].author), write) >= 0;
}

void tr_decide(tr_history *h)
{
    size_t order[TR_MAX], count = 0;
    bool stronger[TR_MAX] = {false};
    memset(h->counts, 0, sizeof h->counts);
    for (size_t e = 0; e < h->count; e++) {
        if (!h->admitted[e] || !h->entries[e].settings)
            continue;
        size_t place = count++;
        while (place > 0 && is_stronger(h, e, order[place - 1])) {
            order[place] = order[place - 1];
            place--;
        }
        order[place] = e;
    }
    for (size_t i = 0; i < count; i++) {
        h->counts[order[i]] = settings_entry_counts(h, order[i], stronger);
        stronger[order[i]] = true;
    }
    bool data[TR_MAX] = {false};
    for (size_t e = 0; e < h->count; e++)
        data[e] = h->admitted[e] && !h->entries[e].settings && data_entry_counts(h, e);
    for (size_t e = 0; e < h->count; e++)
        h->counts[e] = h->counts[e] || data[e];
}

/* ---- Admission and states ---- */

static bool has_label(const tr_history *h, size_t e)
{
    eid_doc *settings = fold(h, h->knows[e]);
    const eid_doc *keys = child_doc(child_doc(settings, "auth"), "keys");
    const eid_value *value = eid_doc_child(keys, eid_slice_text(h->holders[h->entries[e].author].name));
    const eid_doc *record;
    const char *text;
    tu_assert_ok(eid_value_as_doc(value, &record)); /* it has a right */
    bool has = eid_doc_get_text(record, "name", &text, NULL) == EID_OK && strcmp(text, h->entries[e].label) == 0;
    eid_doc_free(settings);
    return has;
}

bool tr_admits(const tr_history *h, size_t e)
{
    const tr_entry *entry = &h->entries[e];
    for (size_t i = 0; i < entry->parent_count; i++)
        if (!h->admitted[entry->parents[i]])
            return false;
    if (e == 0)
        return true;
    tr_right right = h->power[e], needed = {entry->settings ? TR_ADMIN : TR_WRITE, UINT32_MAX};
    if (h->holders[entry->author].name[0] == '\0')
        return right.level == TR_OPEN;
    return entry->genuine && tr_compare(right, needed) >= 0 && (entry->label[0] == '\0' || has_label(h, e));
}

eid_doc *tr_state(const tr_history *h, bool settings)
{
    size_t order[TR_MAX];
    bool set[TR_MAX];
    for (size_t e = 0; e < h->count; e++)
        set[e] = h->admitted[e] && h->counts[e] && (settings ? h->entries[e].rules : h->entries[e].data) != NULL;
    size_t count = in_order(h, set, settings ? "_settings" : "data", order);
    eid_doc *state;
    tu_assert_ok(eid_doc_new(&state));
    for (size_t i = 0; i < count; i++)
        tu_assert_ok(eid_doc_merge(state, settings ? h->entries[order[i]].rules : h->entries[order[i]].data));
    return state;
}

void tr_tips(const tr_history *h, bool tips[TR_MAX])
{
    memcpy(tips, h->admitted, sizeof h->admitted);
    for (size_t e = 0; e < h->count; e++)
        for (size_t i = 0; h->admitted[e] && i < h->entries[e].parent_count; i++)
            tips[h->entries[e].parents[i]] = false;
}
