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

eid_status eid_charter_holder(eid_charter *charter, eid_slice name, eid_holder **out)
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
        charter->delegates = charter->delegates || (name.len > 0 && name.data[0] == 'd');
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
        status = eid_charter_holder(charter, eid_slice_of("", 0), &charter->everybody);
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

/* ---- What an entry names ---- */

eid_status eid_charter_find_acts(eid_storage *storage, const eid_charter *charter, const eid_id *ids, size_t count, eid_buf *acts)
{
    for (size_t i = 0; i < count; i++) {
        int64_t n;
        EID_TRY(eid_storage_find(storage, &ids[i], &n, NULL));
        eid_act *act = n == 0 ? NULL : eid_charter_act(charter, n);
        if (act != NULL)
            eid_buf_append(acts, &act, sizeof act);
    }
    return eid_buf_status(acts);
}

eid_status eid_charter_pins(eid_storage *storage, const eid_charter *charter, const eid_entry *entry, eid_buf *acts)
{
    eid_entry_pin pin;
    EID_TRY(eid_entry_read_pin(entry, &pin));
    eid_status status = eid_charter_find_acts(storage, charter, pin.tips, pin.tip_count, acts);
    /* Without a pin an entry is judged by the root. */
    if (status == EID_OK && acts->len == 0 && !entry->is_root)
        status = eid_charter_find_acts(storage, charter, eid_entry_database_id(entry), 1, acts);
    eid_entry_pin_free(&pin);
    return status;
}

/* ---- Rights ---- */

const eid_ruling *eid_holder_latest(const eid_holder *holder, const eid_runs *knowledge, eid_act_filter filter, const void *ctx)
{
    for (size_t i = holder->count; i > 0; i--) {
        const eid_ruling *change = holder->changes[i - 1];
        if (!change->passes && eid_runs_have(knowledge, change->act->index) && (filter == NULL || filter(change->act, ctx)))
            return change;
    }
    return NULL;
}

bool eid_powers_closed(const eid_powers *powers, unsigned swept)
{
    const eid_holder *everybody = powers->charter->everybody;
    for (size_t i = everybody->count; i > 0 && swept != EID_SWEEPS_ALL; i--) {
        const eid_act *act = everybody->changes[i - 1]->act;
        if (!eid_runs_have(powers->knowledge, act->index) || (powers->filter != NULL && !powers->filter(act, powers->ctx)))
            continue;
        if ((act->filled & ~swept) != 0)
            return true;
        swept |= act->swept;
    }
    return false;
}

static eid_status read_fold(eid_powers *powers, const eid_holder *holder, uint64_t *out)
{
    if (powers->folded == NULL)
        EID_TRY(eid_charter_fold(powers->storage, powers->charter, powers->knowledge, powers->filter, powers->ctx,
                                 &powers->folded));
    return eid_power_in(powers->folded, holder->name, out);
}

eid_status eid_powers_read(eid_powers *powers, const eid_holder *holder, uint64_t *out)
{
    const eid_ruling *change = eid_holder_latest(holder, powers->knowledge, powers->filter, powers->ctx);
    bool everybody = holder->name.len == 0;
    if (holder->blurred || (change != NULL && (change->partial || (everybody && !eid_powers_closed(powers, 0)))))
        return read_fold(powers, holder, out);
    if (change != NULL)
        *out = everybody ? EID_POWER_NONE : change->power;
    else
        *out = everybody ? EID_POWER_OPEN : EID_POWER_NONE;
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

eid_status eid_charter_floors(const eid_charter *charter, const eid_runs *acts, eid_act_filter filter, const void *ctx,
                              const eid_id *delegation, eid_buf *ids)
{
    char name[EID_ID_TEXT_SIZE + 1] = "d";
    eid_id_format(delegation, name + 1);
    const eid_holder *holder = eid_charter_find(charter, eid_slice_text(name));
    for (size_t i = 0; holder != NULL && i < holder->count; i++) {
        const eid_ruling *change = holder->changes[i];
        if (!eid_runs_have(acts, change->act->index) || (filter != NULL && !filter(change->act, ctx)))
            continue;
        if (change->removes)
            eid_buf_reset(ids);
        if (change->floor_count > 0)
            eid_buf_append(ids, change->floor, change->floor_count * sizeof *change->floor);
    }
    return eid_buf_status(ids);
}

eid_status eid_holder_key_name(const eid_pubkey *key, eid_buf *name)
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
            status = eid_holder_key_name(&c->key, name);
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
        const eid_ruling *ruling = eid_holder_latest(labelled->holders[i], knowledge, NULL, NULL);
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
        return eid_holder_key_name(&hint->pubkey, name);
    return author_by_label(storage, charter, knowledge, entry, name);
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

/* Holders a sweep did not know, whose records sort before it. */
static void blur_by_sweep(eid_charter *charter, const eid_act *sweep)
{
    charter->stamp++;
    for (size_t i = 0; i < sweep->change_count; i++)
        sweep->changes[i].holder->stamp = charter->stamp;
    for (eid_map_entry *e = eid_map_first(charter->holders); e != NULL; e = eid_map_next(charter->holders, e)) {
        eid_holder *holder = e->value;
        if (holder->stamp != charter->stamp && (sweep->swept & eid_group_of(holder->name)) != 0 && holder->count > 0 &&
            eid_places_compare(&holder->changes[0]->act->node, &sweep->node) < 0)
            holder->blurred = charter->odd = true;
    }
}

static bool rules_on(const eid_act *act, const eid_holder *holder)
{
    for (size_t i = 0; i < holder->count; i++)
        if (holder->changes[i]->act == act)
            return true;
    return false;
}

/* Records that sort before a sweep that did not know them. */
static void blur_by_earlier(eid_charter *charter, const eid_act *act)
{
    for (size_t i = 0; i < charter->sweeping_count; i++) {
        const eid_act *sweep = charter->sweeping[i];
        if (eid_places_compare(&act->node, &sweep->node) > 0)
            continue;
        for (size_t k = 0; k < act->change_count; k++) {
            eid_holder *holder = act->changes[k].holder;
            if ((sweep->swept & eid_group_of(holder->name)) != 0 && !rules_on(sweep, holder))
                holder->blurred = charter->odd = true;
        }
    }
}

eid_status eid_charter_join(eid_charter *charter, eid_act *act)
{
    EID_TRY(make_room(charter, act));
    charter->closed = charter->closed || (act->is_root && act->change_count > 0);
    for (size_t i = 0; i < act->change_count; i++) {
        insert_change(charter, &act->changes[i]);
        charter->odd = charter->odd || act->changes[i].partial;
    }
    blur_by_earlier(charter, act);
    act->author->authored[act->author->authored_count++] = act;
    if (act->swept != 0) {
        blur_by_sweep(charter, act);
        charter->sweeping[charter->sweeping_count++] = act;
    }
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

eid_status eid_charter_counting(const eid_charter *charter, eid_runs *out)
{
    for (size_t i = 0; i < charter->count; i++)
        if (charter->acts[i]->status == EID_STANDS)
            EID_TRY(eid_runs_append(out, charter->acts[i]->index, charter->acts[i]->index));
    return EID_OK;
}
