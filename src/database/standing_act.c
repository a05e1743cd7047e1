/* SPDX-License-Identifier: Apache-2.0 */
/* Making an act: what a settings entry says about rights, read once from it and its past. */
#include "database/standing_int.h"

#include "base/alloc.h"
#include "codec/cid.h"
#include "crypto/key.h"
#include "database/database_int.h"

static void ruling_free(eid_ruling *ruling)
{
    eid_free(ruling->label);
    eid_free(ruling->floor);
}

void eid_act_free(eid_act *act)
{
    if (act == NULL)
        return;
    for (size_t i = 0; i < act->change_count; i++)
        ruling_free(&act->changes[i]);
    eid_free(act->changes);
    eid_free(act->path);
    eid_free(act->named);
    eid_runs_free(&act->known);
    eid_runs_free(&act->closure);
    eid_act_forget_past(act);
    eid_free(act);
}

typedef struct making {
    eid_storage *storage;
    eid_charter *charter;
    eid_act *act;
    eid_runs scratch;
    const eid_runs *known;   /* indices of acts in its knowledge */
    eid_doc *before;         /* the knowledge, and with the payload on top of it: when rights can not be read off records */
    eid_doc *after;
    eid_buf changes;
} making;

static eid_status add_change(making *m, eid_holder *holder, uint64_t power)
{
    eid_ruling change = {.act = m->act, .holder = holder, .power = power, .kept = power};
    holder->stamp = m->charter->stamp;
    eid_buf_append(&m->changes, &change, sizeof change);
    return eid_buf_status(&m->changes);
}

static eid_ruling *last_change(const making *m)
{
    return (eid_ruling *)(void *)(m->changes.data + m->changes.len) - 1;
}

/* The text under a key; false, without a failing call that would leave a sentence, when there is none. */
static bool text_child(const eid_doc *doc, const char *key, eid_slice *out)
{
    const eid_value *value = eid_doc_child(doc, eid_slice_text(key));
    const char *text;
    size_t len;
    if (value == NULL || eid_value_get_kind(value) != EID_VALUE_TEXT || eid_value_as_text(value, &text, &len) != EID_OK)
        return false;
    *out = eid_slice_of(text, len);
    return true;
}

/* The name in a record that can be read; it selects keys for signatures that name them by it. */
static bool label_of(eid_slice holder_name, const eid_value *record, eid_slice *out)
{
    const eid_doc *doc, *permissions;
    eid_permission permission;
    eid_slice status;
    if (holder_name.data[0] != 'k' || eid_value_get_kind(record) != EID_VALUE_DOC || eid_value_as_doc(record, &doc) != EID_OK ||
        !text_child(doc, "name", out) || !text_child(doc, "status", &status))
        return false;
    return (eid_slice_is(status, "Active") || eid_slice_is(status, "Revoked")) &&
           eid_doc_get_doc(doc, "permissions", &permissions) == EID_OK && eid_permission_from_doc(permissions, &permission) == EID_OK;
}

/* Also of a record that can not be used otherwise. `record` NULL: there is none. */
static eid_status read_floor(eid_ruling *change, const eid_value *record)
{
    const eid_doc *doc;
    uint8_t *data;
    size_t len;
    eid_buf ids;
    change->removes = record == NULL || eid_value_get_kind(record) != EID_VALUE_DOC || eid_value_as_doc(record, &doc) != EID_OK;
    if (change->removes)
        return EID_OK;
    eid_buf_init(&ids, SIZE_MAX / 2);
    eid_auth_read_tips(doc, &ids);
    EID_TRY(eid_buf_take(&ids, &data, &len));
    change->floor = (eid_id *)(void *)data;
    change->floor_count = eid_ids_sort(change->floor, len / sizeof(eid_id));
    return EID_OK;
}

static eid_status add_record(eid_slice name, const eid_value *record, void *ctx)
{
    making *m = ctx;
    eid_holder *holder;
    eid_slice label;
    EID_TRY(eid_charter_holder(m->charter, name, &holder));
    uint64_t power = eid_power_of_record(name, record);
    bool whole = eid_record_is_whole(record);
    if (!whole)
        EID_TRY(eid_power_in(m->after, name, &power));
    EID_TRY(add_change(m, holder, power));
    eid_ruling *change = last_change(m);
    change->partial = !whole;
    if (name.data[0] == 'd')
        return read_floor(change, record);
    if (!label_of(name, record, &label))
        return EID_OK;
    change->label = eid_memdup(label.data, label.len);
    change->label_len = label.len;
    return change->label == NULL ? eid_fail_memory() : EID_OK;
}

/* The record of a delegation; NULL: there is none. */
static const eid_doc *delegation_in(const eid_doc *settings, eid_slice holder_name)
{
    const eid_value *value = eid_doc_child(settings, eid_slice_text("auth"));
    eid_slice steps[] = {eid_slice_text("delegations"), eid_slice_of(holder_name.data + 1, holder_name.len - 1)};
    const eid_doc *doc;
    for (size_t i = 0; i < 2 && value != NULL; i++)
        value = eid_value_as_doc(value, &doc) == EID_OK ? eid_doc_child(doc, steps[i]) : NULL;
    return value != NULL && eid_value_as_doc(value, &doc) == EID_OK ? doc : NULL;
}

static bool is_known(const eid_holder *holder, const eid_runs *knowledge)
{
    for (size_t i = holder->count; i > 0; i--)
        if (eid_runs_have(knowledge, holder->changes[i - 1]->act->index))
            return true;
    return false;
}

/* What replaces whole groups changes every holder that is known. */
static eid_status add_swept(making *m, eid_powers *powers)
{
    eid_charter *charter = m->charter;
    for (eid_map_entry *e = eid_map_first(charter->holders); e != NULL; e = eid_map_next(charter->holders, e)) {
        eid_holder *holder = e->value;
        bool away = (m->act->swept & eid_group_of(holder->name)) != 0;
        uint64_t power = EID_POWER_NONE;
        if (holder->name.len == 0 || holder->stamp == charter->stamp || !is_known(holder, m->known))
            continue;
        if (!away)
            EID_TRY(eid_powers_read(powers, holder, &power));
        EID_TRY(add_change(m, holder, power));
        last_change(m)->removes = away;
        last_change(m)->passes = !away;
    }
    return EID_OK;
}

static const eid_value *tips_in(const eid_doc *settings, eid_slice holder_name)
{
    const eid_doc *record = delegation_in(settings, holder_name);
    return record == NULL ? NULL : eid_doc_child(record, eid_slice_text("tree"));
}

/* A delegation that looks at its tree from later on: what was signed by an earlier view of it ends. */
static eid_status find_moved(making *m, const eid_doc *payload)
{
    eid_ruling *changes = (eid_ruling *)(void *)m->changes.data;
    for (size_t i = 0; i < m->changes.len / sizeof *changes; i++) {
        eid_slice name = changes[i].holder->name;
        if (name.len == 0 || name.data[0] != 'd' || !is_known(changes[i].holder, m->known))
            continue;
        if (m->before == NULL)
            EID_TRY(eid_charter_fold(m->storage, m->charter, m->known, NULL, NULL, &m->before));
        const eid_value *old = tips_in(m->before, name), *new = tips_in(m->after != NULL ? m->after : payload, name);
        if (old == NULL || new == NULL || !eid_value_equal(old, new))
            changes[i].kept = EID_POWER_NONE;
    }
    return EID_OK;
}

static eid_status fold_around(making *m, const eid_doc *payload)
{
    if (m->before == NULL)
        EID_TRY(eid_charter_fold(m->storage, m->charter, m->known, NULL, NULL, &m->before));
    EID_TRY(eid_doc_copy(m->before, &m->after));
    return eid_doc_merge(m->after, payload);
}

typedef struct overview {
    unsigned filled;
    bool partial;
} overview;

static eid_status look_at(eid_slice name, const eid_value *record, void *ctx)
{
    overview *o = ctx;
    o->filled |= eid_group_of(name);
    o->partial = o->partial || !eid_record_is_whole(record);
    return EID_OK;
}

/* Who takes rights away may open the database to everybody again. */
static eid_status open_after(making *m, const eid_powers *powers, const eid_doc *payload, uint64_t *power)
{
    *power = EID_POWER_NONE;
    if (m->act->filled != 0 || eid_powers_closed(powers, m->act->swept))
        return EID_OK;
    if (m->after == NULL)
        EID_TRY(fold_around(m, payload));
    return eid_power_in(m->after, m->charter->everybody->name, power);
}

/* Whoever gives a right takes that of everybody; but only the first to do so takes it from those who do not know. */
static eid_status close_to_everybody(making *m, eid_powers *powers, const eid_doc *payload)
{
    uint64_t open, power;
    EID_TRY(eid_powers_read(powers, m->charter->everybody, &open));
    EID_TRY(open_after(m, powers, payload, &power));
    EID_TRY(add_change(m, m->charter->everybody, power));
    eid_ruling *change = last_change(m);
    change->repeats = m->act->swept == 0 && open == EID_POWER_NONE;
    if (change->repeats)
        change->kept = EID_POWER_OPEN;
    return EID_OK;
}

static eid_status read_changes(making *m, const eid_doc *payload)
{
    overview o = {0, false};
    EID_TRY(eid_records_of(payload, look_at, &o, &m->act->swept));
    m->act->rules = eid_doc_is_atomic(payload) || eid_doc_child(payload, eid_slice_text("auth")) != NULL;
    m->act->filled = o.filled;
    if (o.filled == 0 && m->act->swept == 0)
        return EID_OK;
    if (o.partial)
        EID_TRY(fold_around(m, payload));
    m->charter->stamp++;
    EID_TRY(eid_records_of(payload, add_record, m, &m->act->swept));
    EID_TRY(find_moved(m, payload));
    eid_powers powers = {m->storage, m->charter, m->known, NULL, NULL, NULL};
    eid_status status = m->act->swept != 0 ? add_swept(m, &powers) : EID_OK;
    if (status == EID_OK)
        status = close_to_everybody(m, &powers, payload);
    eid_powers_free(&powers);
    return status;
}

static eid_status read_payload(making *m, const eid_entry *entry)
{
    const eid_subtree *subtree = eid_entry_subtree(entry, eid_slice_text(EID_SETTINGS));
    eid_doc *payload = NULL;
    eid_status status = EID_OK;
    if (subtree->has_data && subtree->data_len > 0)
        status = eid_doc_parse(eid_slice_of(subtree->data, subtree->data_len), &payload);
    if (status == EID_ERR_NO_MEMORY)
        return status;
    if (payload == NULL)
        return EID_OK; /* no document: it takes no part in the fold */
    status = read_changes(m, payload);
    eid_doc_free(payload);
    return status;
}

/* Whether it takes from its author the power it uses. */
static bool ends_itself(const eid_act *act)
{
    for (size_t i = 0; i < act->change_count; i++)
        if (act->changes[i].holder == act->author)
            return act->changes[i].kept < act->power;
    return act->swept != 0;
}

/* The act since when the holder has had this power without a break, in the order of the fold. */
static eid_act *grant_of(const eid_holder *holder, const eid_runs *knowledge, uint64_t power)
{
    eid_act *since = NULL;
    for (size_t i = holder->count; i > 0; i--) {
        const eid_ruling *change = holder->changes[i - 1];
        if (change->repeats || !eid_runs_have(knowledge, change->act->index))
            continue;
        if (since != NULL && change->power < power)
            break;
        since = change->act;
    }
    return since;
}

/* The place in the forest of grants. Links skip so that two chains are compared in logarithmic time. */
static void set_chain(eid_act *act)
{
    const eid_act *grant = act->grant;
    if (grant == NULL) {
        act->skip = act;
        return;
    }
    act->depth = grant->depth + 1;
    bool even = grant->depth - grant->skip->depth == grant->skip->depth - grant->skip->skip->depth;
    act->skip = even ? grant->skip->skip : act->grant;
}

static eid_status find_author(making *m, const eid_entry *entry)
{
    eid_act *act = m->act;
    eid_buf name;
    eid_pubkey key;
    eid_buf_init(&name, SIZE_MAX / 2);
    eid_status status;
    if (!act->is_root)
        status = eid_charter_author(m->storage, m->charter, m->known, entry, &name);
    else
        status = eid_entry_is_signed(entry) && eid_entry_signer(entry, &key) ? eid_holder_key_name(&key, &name) : EID_OK;
    if (status == EID_OK)
        status = eid_charter_holder(m->charter, eid_buf_slice(&name), &act->author);
    eid_buf_free(&name);
    EID_TRY(status);
    if (act->is_root) {
        act->power = UINT64_MAX;
        return EID_OK;
    }
    EID_TRY(eid_charter_power(m->storage, m->charter, m->known, act->author, NULL, NULL, &act->power));
    act->grant = grant_of(act->author, m->known, act->power);
    return EID_OK;
}

/* What it pins, then what it builds on. */
static eid_status find_named(making *m, const eid_entry *entry, eid_buf *acts)
{
    const eid_subtree *subtree = eid_entry_subtree(entry, eid_slice_text(EID_SETTINGS));
    EID_TRY(eid_charter_pins(m->storage, m->charter, entry, acts));
    m->act->pin_count = acts->len / sizeof(eid_act *);
    return eid_charter_find_acts(m->storage, m->charter, subtree->parents, subtree->parent_count, acts);
}

static eid_status find_below(making *m, const eid_entry *entry)
{
    eid_act *act = m->act;
    eid_buf acts;
    uint8_t *data = NULL;
    size_t len = 0;
    eid_buf_init(&acts, SIZE_MAX / 2);
    eid_status status = find_named(m, entry, &acts);
    if (status == EID_OK)
        status = eid_buf_take(&acts, &data, &len);
    if (status != EID_OK) {
        eid_buf_free(&acts);
        return status;
    }
    act->named = (eid_act **)(void *)data;
    act->named_count = len / sizeof(eid_act *);
    EID_TRY(eid_act_keep_sets(m->charter, act));
    return eid_act_known(m->charter, act, &m->scratch, &m->known);
}

static eid_status make(making *m, const eid_entry *entry)
{
    eid_act *act = m->act;
    uint8_t *changes;
    size_t len;
    EID_TRY(find_below(m, entry));
    EID_TRY(find_author(m, entry));
    EID_TRY(read_payload(m, entry));
    EID_TRY(eid_buf_take(&m->changes, &changes, &len));
    act->changes = (eid_ruling *)(void *)changes;
    act->change_count = len / sizeof(eid_ruling);
    eid_ruling *exact = eid_realloc_array(act->changes, act->change_count + 1, sizeof *exact);
    if (exact == NULL)
        return eid_fail_memory();
    act->changes = exact;
    act->ends_itself = !act->is_root && ends_itself(act);
    set_chain(act);
    return EID_OK;
}

eid_status eid_act_new(eid_storage *storage, eid_charter *charter, const eid_entry *entry, int64_t n, eid_act **out)
{
    const eid_subtree *subtree = eid_entry_subtree(entry, eid_slice_text(EID_SETTINGS));
    eid_act *act = eid_alloc_zero(1, sizeof *act);
    if (act == NULL)
        return eid_fail_memory();
    uint64_t height = subtree->has_height ? subtree->height : entry->height;
    act->node = (eid_node){.n = n, .height = height > INT64_MAX ? INT64_MAX : height, .id = entry->id};
    act->index = (int64_t)charter->count;
    act->is_root = entry->is_root;
    making m = {.storage = storage, .charter = charter, .act = act};
    eid_buf_init(&m.changes, SIZE_MAX / 2);
    eid_status status = make(&m, entry);
    eid_runs_free(&m.scratch);
    eid_doc_free(m.before);
    eid_doc_free(m.after);
    for (size_t i = 0; i < m.changes.len / sizeof(eid_ruling); i++) /* of an act that could not be made */
        ruling_free((eid_ruling *)(void *)m.changes.data + i);
    eid_buf_free(&m.changes);
    if (status != EID_OK) {
        eid_act_free(act);
        return status;
    }
    *out = act;
    return EID_OK;
}
