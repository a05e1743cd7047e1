/* SPDX-License-Identifier: Apache-2.0 */
/* The charter of a database: its acts, read from settings entries, and what each of them knows. */
#include "database/standing_int.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "codec/cid.h"
#include "crypto/key.h"
#include "database/database_int.h"
#include "database/places.h"

/* ---- Holders ---- */

static void labelled_free(void *value)
{
    eid_labelled *labelled = value;
    eid_free(labelled->holders);
    eid_free(labelled);
}

static void holder_free(void *value)
{
    eid_holder *holder = value;
    eid_free(holder->changes);
    eid_free(holder->authored);
    eid_free(holder);
}

eid_holder *eid_charter_find(const eid_charter *charter, eid_slice name)
{
    return eid_map_get(charter->holders, name);
}

static eid_status holder_of(eid_charter *charter, eid_slice name, eid_holder **out)
{
    eid_map_entry *place;
    bool created;
    EID_TRY(eid_map_put(charter->holders, name, &place, &created));
    if (created) {
        eid_holder *holder = eid_alloc_zero(1, sizeof *holder);
        if (holder == NULL) {
            eid_map_remove(charter->holders, name);
            return eid_fail_memory();
        }
        holder->name = place->key;
        place->value = holder;
    }
    *out = place->value;
    return EID_OK;
}

/* The array of pointers with room for one more; NULL without memory, and the array stays. */
static void *with_room(void *array, size_t count, size_t *capacity)
{
    if (count < *capacity)
        return array;
    size_t wanted = *capacity == 0 ? 2 : *capacity * 2;
    void *grown = eid_realloc_array(array, wanted, sizeof(void *));
    if (grown != NULL)
        *capacity = wanted;
    return grown;
}

/* ---- The charter ---- */

void eid_act_free(eid_act *act)
{
    if (act == NULL)
        return;
    for (size_t i = 0; i < act->change_count; i++)
        eid_free(act->changes[i].label);
    eid_free(act->changes);
    eid_runs_free(&act->known);
    eid_runs_free(&act->closure);
    eid_runs_free(&act->outside);
    eid_free(act);
}

void eid_charter_free(eid_charter *charter)
{
    if (charter == NULL)
        return;
    for (size_t i = 0; i < charter->count; i++)
        eid_act_free(charter->acts[i]);
    eid_free(charter->acts);
    eid_free(charter->sweeping);
    eid_buf_free(&charter->changed);
    eid_map_free(charter->holders, holder_free);
    eid_map_free(charter->labels, labelled_free);
    eid_free(charter);
}

static eid_status charter_new(eid_charter **out)
{
    eid_charter *charter = eid_alloc_zero(1, sizeof *charter);
    if (charter == NULL)
        return eid_fail_memory();
    eid_buf_init(&charter->changed, SIZE_MAX / 2);
    eid_status status = eid_map_new(&charter->holders);
    if (status == EID_OK)
        status = eid_map_new(&charter->labels);
    if (status == EID_OK)
        status = holder_of(charter, eid_slice_of("", 0), &charter->everybody);
    if (status != EID_OK) {
        eid_charter_free(charter);
        return status;
    }
    *out = charter;
    return EID_OK;
}

eid_act *eid_charter_act(const eid_charter *charter, int64_t n)
{
    size_t low = 0, high = charter->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (charter->acts[middle]->node.n < n)
            low = middle + 1;
        else
            high = middle;
    }
    return low < charter->count && charter->acts[low]->node.n == n ? charter->acts[low] : NULL;
}

/* ---- Knowledge ---- */

eid_status eid_charter_knowledge(const eid_charter *charter, const int64_t *pins, size_t count, eid_runs *out)
{
    eid_runs known = {NULL, 0, 0};
    eid_status status = EID_OK;
    for (size_t i = 0; i < count && status == EID_OK; i++) {
        const eid_act *act = eid_charter_act(charter, pins[i]);
        if (act != NULL)
            status = eid_runs_unite(&known, &act->closure);
    }
    if (status != EID_OK) {
        eid_runs_free(&known);
        return status;
    }
    *out = known;
    return EID_OK;
}

static eid_status find_acts(eid_storage *storage, const eid_charter *charter, const eid_id *ids, size_t count, eid_buf *numbers)
{
    for (size_t i = 0; i < count; i++) {
        int64_t n;
        EID_TRY(eid_storage_find(storage, &ids[i], &n, NULL));
        if (n != 0 && eid_charter_act(charter, n) != NULL)
            eid_buf_append(numbers, &n, sizeof n);
    }
    return eid_buf_status(numbers);
}

static eid_status take_numbers(eid_buf *numbers, eid_status status, int64_t **out, size_t *count)
{
    uint8_t *data = NULL;
    size_t len = 0;
    if (status == EID_OK)
        status = eid_buf_take(numbers, &data, &len);
    if (status != EID_OK) {
        eid_buf_free(numbers);
        return status;
    }
    *out = (int64_t *)(void *)data;
    *count = len / sizeof **out;
    return EID_OK;
}

eid_status eid_charter_pins(eid_storage *storage, const eid_charter *charter, const eid_entry *entry, int64_t **out, size_t *count)
{
    eid_entry_pin pin;
    eid_buf numbers;
    EID_TRY(eid_entry_read_pin(entry, &pin));
    eid_buf_init(&numbers, SIZE_MAX / 2);
    eid_status status = find_acts(storage, charter, pin.tips, pin.tip_count, &numbers);
    /* Without a pin an entry is judged by the root. */
    if (status == EID_OK && numbers.len == 0 && !entry->is_root)
        status = find_acts(storage, charter, eid_entry_database_id(entry), 1, &numbers);
    eid_entry_pin_free(&pin);
    return take_numbers(&numbers, status, out, count);
}

/* ---- Rights ---- */

static const eid_ruling *latest(const eid_holder *holder, const eid_runs *knowledge, eid_act_filter filter, const void *ctx)
{
    for (size_t i = holder->count; i > 0; i--) {
        const eid_ruling *change = holder->changes[i - 1];
        if (eid_runs_have(knowledge, change->act->index) && (filter == NULL || filter(change->act, ctx)))
            return change;
    }
    return NULL;
}

eid_status eid_powers_read(eid_powers *powers, const eid_holder *holder, uint64_t *out)
{
    const eid_charter *charter = powers->charter;
    if (charter->odd && powers->folded == NULL)
        EID_TRY(eid_charter_fold(powers->storage, charter, powers->knowledge, powers->filter, powers->ctx, &powers->folded));
    if (charter->odd)
        return eid_power_in(powers->folded, holder->name, out);
    const eid_ruling *change = latest(holder, powers->knowledge, powers->filter, powers->ctx);
    if (change != NULL)
        *out = change->power;
    else
        *out = holder->name.len == 0 ? EID_POWER_OPEN : EID_POWER_NONE;
    return EID_OK;
}

void eid_powers_free(eid_powers *powers)
{
    eid_doc_free(powers->folded);
    powers->folded = NULL;
}

eid_status eid_charter_power(eid_storage *storage, const eid_charter *charter, const eid_runs *knowledge, const eid_holder *holder,
                             eid_act_filter filter, const void *ctx, uint64_t *out)
{
    eid_powers powers = {storage, charter, knowledge, filter, ctx, NULL};
    eid_status status = eid_powers_read(&powers, holder, out);
    eid_powers_free(&powers);
    return status;
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

static eid_status name_of_key(const eid_pubkey *key, eid_buf *name)
{
    char text[EID_PUBKEY_TEXT_SIZE];
    eid_pubkey_format(key, text);
    eid_buf_append_byte(name, 'k');
    eid_buf_append_text(name, text);
    return eid_buf_status(name);
}

/* A signature that names a key by its label, where rights are read from folds. */
static eid_status author_by_fold(const eid_doc *settings, const eid_entry *entry, eid_buf *name)
{
    eid_auth_settings *auth;
    EID_TRY(eid_auth_settings_parse(settings, &auth));
    size_t room = eid_auth_settings_key_count(auth) + 1, count = 0;
    bool needs_admin = eid_entry_subtree(entry, eid_slice_text(EID_SETTINGS)) != NULL, found = false;
    eid_auth_candidate *candidates = eid_realloc_array(NULL, room, sizeof *candidates);
    eid_status status = candidates == NULL ? eid_fail_memory() : EID_OK;
    if (status == EID_OK && eid_auth_candidates(auth, &entry->sigkey.hint, candidates, room, &count) != EID_OK)
        count = 0;
    for (size_t i = 0; i < count && status == EID_OK && !found; i++) {
        const eid_auth_candidate *c = &candidates[i];
        bool may = c->status == EID_KEY_ACTIVE &&
                   (needs_admin ? eid_permission_can_admin(c->permission) : eid_permission_can_write(c->permission));
        eid_status verified = may ? eid_entry_verify_signature(entry, &c->key) : EID_ERR_BAD_SIGNATURE;
        found = verified == EID_OK;
        status = verified == EID_ERR_NO_MEMORY ? verified : EID_OK;
        if (found)
            status = name_of_key(&c->key, name);
    }
    eid_free(candidates);
    eid_auth_settings_unref(auth);
    return status;
}

eid_status eid_charter_signer(const eid_charter *charter, const eid_runs *knowledge, const eid_entry *entry, const eid_holder **out,
                              eid_status *refusal)
{
    const eid_key_hint *hint = &entry->sigkey.hint;
    const eid_labelled *labelled = eid_map_get(charter->labels, eid_slice_of(hint->name, hint->name_len));
    uint64_t needs = eid_entry_subtree(entry, eid_slice_text(EID_SETTINGS)) != NULL ? EID_POWER_ADMIN : EID_POWER_WRITE;
    *out = NULL;
    *refusal = EID_ERR_PERMISSION_DENIED;
    eid_fail(EID_ERR_PERMISSION_DENIED, "no key of this name may do this");
    for (size_t i = 0; labelled != NULL && i < labelled->count && *refusal != EID_OK; i++) {
        const eid_ruling *ruling = latest(labelled->holders[i], knowledge, NULL, NULL);
        eid_slice name = labelled->holders[i]->name;
        eid_pubkey key;
        if (ruling == NULL || ruling->label == NULL || ruling->label_len != hint->name_len ||
            memcmp(ruling->label, hint->name, hint->name_len) != 0)
            continue;
        if (eid_pubkey_parse_slice(eid_slice_of(name.data + 1, name.len - 1), &key) != EID_OK) {
            /* As the Rust side does: whoever has the same name can not be found then. */
            *refusal = eid_fail(EID_ERR_PERMISSION_DENIED, "a record of this name stands under something that is not a public key");
            return EID_OK;
        }
        if (ruling->power < needs)
            continue;
        *refusal = eid_entry_verify_signature(entry, &key);
        if (*refusal == EID_ERR_NO_MEMORY)
            return *refusal;
        if (*refusal == EID_OK)
            *out = labelled->holders[i];
    }
    return EID_OK;
}

static eid_status author_by_label(eid_storage *storage, const eid_charter *charter, const eid_runs *knowledge, const eid_entry *entry,
                                  eid_buf *name)
{
    if (charter->odd) {
        eid_doc *settings;
        EID_TRY(eid_charter_fold(storage, charter, knowledge, NULL, NULL, &settings));
        eid_status status = author_by_fold(settings, entry, name);
        eid_doc_free(settings);
        EID_TRY(status);
    } else {
        const eid_holder *holder;
        eid_status refusal;
        EID_TRY(eid_charter_signer(charter, knowledge, entry, &holder, &refusal));
        if (holder != NULL)
            eid_buf_append_slice(name, holder->name);
    }
    EID_TRY(eid_buf_status(name));
    return name->len > 0 ? EID_OK : eid_fail(EID_ERR_CORRUPT, "An admitted entry is signed by nobody its settings list");
}

eid_status eid_charter_author(eid_storage *storage, const eid_charter *charter, const eid_runs *knowledge, const eid_entry *entry,
                              eid_buf *name)
{
    const eid_key_hint *hint = &entry->sigkey.hint;
    if (eid_entry_is_unsigned(entry))
        return EID_OK;
    if (entry->sigkey.is_delegation) {
        char text[EID_ID_TEXT_SIZE] = "";
        if (entry->sigkey.path_count > 0)
            eid_id_format(&entry->sigkey.path[0].tree, text);
        eid_buf_append_byte(name, 'd');
        eid_buf_append_text(name, text);
        return eid_buf_status(name);
    }
    if (hint->is_global) {
        eid_buf_append_byte(name, 'g');
        return eid_buf_status(name);
    }
    if (hint->has_pubkey)
        return name_of_key(&hint->pubkey, name);
    return author_by_label(storage, charter, knowledge, entry, name);
}

/* ---- Making an act ---- */

typedef struct making {
    eid_storage *storage;
    eid_charter *charter;
    eid_act *act;
    eid_doc *before;         /* the knowledge, and with the payload on top of it: when rights can not be read off records */
    eid_doc *after;
    eid_buf changes;
} making;

static bool has_change(const making *m, const eid_holder *holder)
{
    const eid_ruling *changes = (const eid_ruling *)(const void *)m->changes.data;
    for (size_t i = 0; i < m->changes.len / sizeof *changes; i++)
        if (changes[i].holder == holder)
            return true;
    return false;
}

static eid_status add_change(making *m, eid_holder *holder, uint64_t power)
{
    eid_ruling change = {.act = m->act, .holder = holder, .power = power, .kept = power};
    if (m->after != NULL) {
        EID_TRY(eid_power_in(m->after, holder->name, &change.power));
        change.kept = change.power;
    }
    eid_buf_append(&m->changes, &change, sizeof change);
    return eid_buf_status(&m->changes);
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

static eid_status add_record(eid_slice name, const eid_value *record, void *ctx)
{
    making *m = ctx;
    eid_holder *holder;
    eid_slice label;
    EID_TRY(holder_of(m->charter, name, &holder));
    EID_TRY(add_change(m, holder, eid_power_of_record(name, record)));
    if (!label_of(name, record, &label))
        return EID_OK;
    eid_ruling *change = (eid_ruling *)(void *)(m->changes.data + m->changes.len) - 1;
    change->label = eid_memdup(label.data, label.len);
    change->label_len = label.len;
    return change->label == NULL ? eid_fail_memory() : EID_OK;
}

/* What replaces whole groups changes every holder that is known. */
static eid_status add_swept(making *m)
{
    for (eid_map_entry *e = eid_map_first(m->charter->holders); e != NULL; e = eid_map_next(m->charter->holders, e)) {
        eid_holder *holder = e->value;
        if (holder->name.len > 0 && latest(holder, &m->act->known, NULL, NULL) != NULL && !has_change(m, holder))
            EID_TRY(add_change(m, holder, EID_POWER_NONE));
    }
    return EID_OK;
}

static const eid_value *tips_in(const eid_doc *settings, eid_slice holder_name)
{
    const eid_value *value = eid_doc_child(settings, eid_slice_text("auth"));
    const char *const steps[] = {"delegations", NULL, "tree"};
    for (size_t i = 0; i < 3 && value != NULL; i++) {
        const eid_doc *doc;
        eid_slice step = steps[i] == NULL ? eid_slice_of(holder_name.data + 1, holder_name.len - 1) : eid_slice_text(steps[i]);
        value = eid_value_as_doc(value, &doc) == EID_OK ? eid_doc_child(doc, step) : NULL;
    }
    return value;
}

/* A delegation that looks at its tree from later on: what was signed by an earlier view of it ends. */
static eid_status find_moved(making *m, const eid_doc *payload)
{
    eid_ruling *changes = (eid_ruling *)(void *)m->changes.data;
    for (size_t i = 0; i < m->changes.len / sizeof *changes; i++) {
        eid_slice name = changes[i].holder->name;
        if (name.len == 0 || name.data[0] != 'd' || latest(changes[i].holder, &m->act->known, NULL, NULL) == NULL)
            continue;
        if (m->before == NULL)
            EID_TRY(eid_charter_fold(m->storage, m->charter, &m->act->known, NULL, NULL, &m->before));
        const eid_value *old = tips_in(m->before, name), *new = tips_in(m->after != NULL ? m->after : payload, name);
        if (old == NULL || new == NULL || !eid_value_equal(old, new))
            changes[i].kept = EID_POWER_NONE;
    }
    return EID_OK;
}

static eid_status fold_around(making *m, const eid_doc *payload)
{
    EID_TRY(eid_charter_fold(m->storage, m->charter, &m->act->known, NULL, NULL, &m->before));
    EID_TRY(eid_doc_copy(m->before, &m->after));
    return eid_doc_merge(m->after, payload);
}

static eid_status look_at(eid_slice name, const eid_value *record, void *ctx)
{
    (void)name;
    (void)record;
    (*(size_t *)ctx)++;
    return EID_OK;
}

/* Whoever gives a right takes that of everybody; but only the first to do so takes it from those who do not know. */
static eid_status close_to_everybody(making *m)
{
    uint64_t open;
    EID_TRY(eid_charter_power(m->storage, m->charter, &m->act->known, m->charter->everybody, NULL, NULL, &open));
    EID_TRY(add_change(m, m->charter->everybody, EID_POWER_NONE));
    eid_ruling *change = (eid_ruling *)(void *)(m->changes.data + m->changes.len) - 1;
    change->repeats = !m->act->sweeps && open == EID_POWER_NONE;
    if (change->repeats)
        change->kept = EID_POWER_OPEN;
    return EID_OK;
}

static eid_status read_changes(making *m, const eid_doc *payload)
{
    eid_charter *charter = m->charter;
    bool sweeps, partial;
    size_t named = 0;
    EID_TRY(eid_records_of(payload, look_at, &named, &sweeps, &partial));
    m->act->sweeps = sweeps;
    charter->odd = charter->odd || sweeps || partial;
    if (named == 0 && !sweeps)
        return EID_OK;
    if (charter->odd)
        EID_TRY(fold_around(m, payload));
    EID_TRY(eid_records_of(payload, add_record, m, &sweeps, &partial));
    if (sweeps)
        EID_TRY(add_swept(m));
    EID_TRY(find_moved(m, payload));
    return close_to_everybody(m);
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
    return act->sweeps;
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
        status = eid_charter_author(m->storage, m->charter, &act->known, entry, &name);
    else
        status = eid_entry_is_signed(entry) && eid_entry_signer(entry, &key) ? name_of_key(&key, &name) : EID_OK;
    if (status == EID_OK)
        status = holder_of(m->charter, eid_buf_slice(&name), &act->author);
    eid_buf_free(&name);
    EID_TRY(status);
    if (act->is_root) {
        act->power = UINT64_MAX;
        return EID_OK;
    }
    EID_TRY(eid_charter_power(m->storage, m->charter, &act->known, act->author, NULL, NULL, &act->power));
    act->grant = grant_of(act->author, &act->known, act->power);
    return EID_OK;
}

static eid_status find_below(making *m, const eid_entry *entry)
{
    eid_act *act = m->act;
    const eid_subtree *subtree = eid_entry_subtree(entry, eid_slice_text(EID_SETTINGS));
    int64_t *numbers = NULL;
    size_t count = 0;
    eid_buf parents;
    EID_TRY(eid_charter_pins(m->storage, m->charter, entry, &numbers, &count));
    eid_status status = eid_charter_knowledge(m->charter, numbers, count, &act->known);
    eid_free(numbers);
    EID_TRY(status);
    eid_buf_init(&parents, SIZE_MAX / 2);
    status = find_acts(m->storage, m->charter, subtree->parents, subtree->parent_count, &parents);
    if (status == EID_OK)
        status = eid_charter_knowledge(m->charter, (const int64_t *)(const void *)parents.data, parents.len / sizeof(int64_t),
                                       &act->closure);
    eid_buf_free(&parents);
    EID_TRY(status);
    return eid_runs_append(&act->closure, act->index, act->index);
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
    eid_doc_free(m.before);
    eid_doc_free(m.after);
    for (size_t i = 0; i < m.changes.len / sizeof(eid_ruling); i++) /* of an act that could not be made */
        eid_free(((eid_ruling *)(void *)m.changes.data)[i].label);
    eid_buf_free(&m.changes);
    if (status != EID_OK) {
        eid_act_free(act);
        return status;
    }
    *out = act;
    return EID_OK;
}

/* ---- Joining ---- */

static void insert_change(eid_charter *charter, eid_ruling *change)
{
    eid_holder *holder = change->holder;
    size_t place = holder->count;
    while (place > 0 && eid_places_compare(&holder->changes[place - 1]->act->node, &change->act->node) > 0)
        place--;
    memmove(holder->changes + place + 1, holder->changes + place, (holder->count - place) * sizeof *holder->changes);
    holder->changes[place] = change;
    holder->count++;
    /* In most databases the root closes itself to everybody, and nobody is affected. */
    bool affects = holder->name.len > 0 || !charter->closed;
    if (change->kept < EID_POWER_WRITE && affects && !holder->ended) {
        holder->ended = true;
        charter->ended_count++;
    }
}

static eid_status add_label(eid_charter *charter, const eid_ruling *change)
{
    eid_map_entry *place;
    EID_TRY(eid_map_put(charter->labels, eid_slice_of(change->label, change->label_len), &place, NULL));
    if (place->value == NULL)
        place->value = eid_alloc_zero(1, sizeof(eid_labelled));
    eid_labelled *labelled = place->value;
    if (labelled == NULL) {
        eid_map_remove(charter->labels, eid_slice_of(change->label, change->label_len));
        return eid_fail_memory();
    }
    size_t at = labelled->count;
    while (at > 0 && eid_slice_compare(labelled->holders[at - 1]->name, change->holder->name) > 0)
        at--;
    if (at > 0 && labelled->holders[at - 1] == change->holder)
        return EID_OK;
    eid_holder **grown = with_room(labelled->holders, labelled->count, &labelled->capacity);
    if (grown == NULL)
        return eid_fail_memory();
    labelled->holders = grown;
    memmove(grown + at + 1, grown + at, (labelled->count - at) * sizeof *grown);
    grown[at] = change->holder;
    labelled->count++;
    return EID_OK;
}

static eid_status make_room(eid_charter *charter, const eid_act *act)
{
    for (size_t i = 0; i < act->change_count; i++)
        if (act->changes[i].label != NULL)
            EID_TRY(add_label(charter, &act->changes[i]));
    eid_act **grown = with_room(charter->acts, charter->count, &charter->capacity);
    if (grown == NULL)
        return eid_fail_memory();
    charter->acts = grown;
    grown = with_room(charter->sweeping, charter->sweeping_count, &charter->sweeping_capacity);
    if (grown == NULL)
        return eid_fail_memory();
    charter->sweeping = grown;
    grown = with_room(act->author->authored, act->author->authored_count, &act->author->authored_capacity);
    if (grown == NULL)
        return eid_fail_memory();
    act->author->authored = grown;
    for (size_t i = 0; i < act->change_count; i++) {
        eid_holder *holder = act->changes[i].holder;
        eid_ruling **changes = with_room(holder->changes, holder->count, &holder->capacity);
        if (changes == NULL)
            return eid_fail_memory();
        holder->changes = changes;
    }
    return EID_OK;
}

eid_status eid_charter_join(eid_charter *charter, eid_act *act)
{
    EID_TRY(make_room(charter, act));
    charter->closed = charter->closed || (act->is_root && act->change_count > 0);
    for (size_t i = 0; i < act->change_count; i++)
        insert_change(charter, &act->changes[i]);
    act->author->authored[act->author->authored_count++] = act;
    if (act->sweeps)
        charter->sweeping[charter->sweeping_count++] = act;
    charter->acts[charter->count++] = act;
    return EID_OK;
}

/* ---- From the file ---- */

static bool collect_number(const eid_participation *part, void *ctx)
{
    eid_buf_append(ctx, &part->n, sizeof part->n);
    return true;
}

static eid_status load_act(eid_storage *storage, eid_tree *tree, eid_charter *charter, int64_t n)
{
    eid_entry *entry;
    eid_act *act = NULL;
    bool counts = true;
    EID_TRY(eid_storage_load(storage, n, &entry));
    eid_status status = eid_act_new(storage, charter, entry, n, &act);
    eid_entry_unref(entry);
    if (status == EID_OK)
        status = eid_storage_counts(storage, tree, n, &counts);
    if (status == EID_OK)
        status = eid_charter_join(charter, act);
    if (status != EID_OK) {
        eid_act_free(act);
        return status;
    }
    if (!counts) {
        act->status = EID_VOID_CUT; /* which reason it was is found out when somebody asks */
        charter->void_count++;
    }
    return EID_OK;
}

static eid_status load(eid_storage *storage, eid_tree *tree, int64_t up_to, eid_charter *charter)
{
    eid_tree_store *store;
    EID_TRY(eid_storage_store(storage, tree, eid_slice_text(EID_SETTINGS), &store));
    if (store == NULL)
        return EID_OK;
    eid_buf numbers;
    eid_buf_init(&numbers, SIZE_MAX / 2);
    eid_status status = eid_storage_each_participation(storage, store, 0, up_to, collect_number, &numbers);
    if (status == EID_OK)
        status = eid_buf_status(&numbers);
    for (size_t i = 0; i < numbers.len / sizeof(int64_t) && status == EID_OK; i++) {
        int64_t n;
        memcpy(&n, numbers.data + i * sizeof n, sizeof n);
        status = load_act(storage, tree, charter, n);
    }
    eid_buf_free(&numbers);
    return status;
}

eid_status eid_charter_load(eid_storage *storage, eid_tree *tree, int64_t up_to, eid_charter **out)
{
    eid_charter *charter = NULL;
    EID_TRY(charter_new(&charter));
    eid_status status = load(storage, tree, up_to, charter);
    if (status != EID_OK) {
        eid_charter_free(charter);
        return status;
    }
    *out = charter;
    return EID_OK;
}

eid_status eid_charter_of(eid_storage *storage, eid_tree *tree, int64_t up_to, eid_charter **out)
{
    eid_charter **place;
    EID_TRY(eid_tree_cache_charter(tree, &place));
    if (*place == NULL)
        EID_TRY(eid_charter_load(storage, tree, up_to, place));
    *out = *place;
    return EID_OK;
}
