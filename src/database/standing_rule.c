/* SPDX-License-Identifier: Apache-2.0 */
/* The rule: which acts and entries count (docs/security.md, "Revocation: the rule"; the numbers are those of the text). */
#include "database/standing_int.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/numbers.h"
#include "database/delegation.h"
#include "database/places.h"

/* ---- Strength (3) ---- */

static const eid_act *lift(const eid_act *act, uint32_t depth)
{
    while (act->depth > depth)
        act = act->skip->depth >= depth ? act->skip : act->grant;
    return act;
}

/* Compares chains of grants: <0 when the first is stronger. Who was granted by the other is weaker; else the order of the
 * grants decides where the chains part. */
static int compare_chains(const eid_act *a, const eid_act *b)
{
    if (a == b)
        return 0;
    if (a == NULL || b == NULL)
        return a == NULL ? -1 : 1;
    uint32_t depth = a->depth < b->depth ? a->depth : b->depth;
    int deeper = a->depth == b->depth ? 0 : a->depth < b->depth ? -1 : 1;
    a = lift(a, depth);
    b = lift(b, depth);
    if (a == b)
        return deeper;
    while (a->grant != b->grant) {
        bool far = a->skip != b->skip;
        a = far ? a->skip : a->grant;
        b = far ? b->skip : b->grant;
    }
    return eid_places_compare(&a->node, &b->node);
}

static int compare_strength(const eid_act *a, const eid_act *b)
{
    if (a->power != b->power)
        return a->power > b->power ? -1 : 1;
    int order = compare_chains(a->grant, b->grant);
    if (order == 0 && a->author != b->author)
        order = eid_slice_compare(a->author->name, b->author->name);
    if (order == 0 && a->ends_itself != b->ends_itself)
        order = a->ends_itself ? -1 : 1;
    return order != 0 ? order : eid_places_compare(&a->node, &b->node);
}

bool eid_act_stronger(const eid_act *a, const eid_act *b)
{
    return compare_strength(a, b) < 0;
}

/* ---- Cuts (2) ---- */

/* Whoever is to be judged: an act, or any other entry. */
typedef struct subject {
    eid_storage *storage;
    eid_tree *tree;
    eid_charter *charter;
    int64_t n;
    const eid_runs *known;
    uint64_t needs;
    const eid_act *act; /* NULL: no act */
    bool alone;         /* without asking whether what is claimed by delegation counts */
    eid_standing_verdict verdict;
} subject;

static bool is_open(const subject *s)
{
    return s->verdict.reason == EID_STANDS;
}

/* An act that counts, is stronger, is not known and did not know. */
static eid_status is_cut_by(const subject *s, eid_act *act, bool *out)
{
    *out = false;
    if (act == s->act || act->status != EID_STANDS || eid_runs_have(s->known, act->index))
        return EID_OK;
    if (s->act != NULL && !eid_act_stronger(act, s->act))
        return EID_OK;
    bool in_past;
    EID_TRY(eid_act_has_in_past(s->storage, s->tree, s->charter, act, s->n, &in_past));
    *out = !in_past;
    return EID_OK;
}

static eid_status cut_by(subject *s, eid_act *act)
{
    bool cut;
    EID_TRY(is_cut_by(s, act, &cut));
    if (cut) {
        s->verdict.reason = EID_VOID_CUT;
        s->verdict.cause = act;
    }
    return EID_OK;
}

static bool names(const eid_act *act, const eid_holder *holder)
{
    for (size_t i = 0; i < act->change_count; i++)
        if (act->changes[i].holder == holder)
            return true;
    return false;
}

/* Endings of what the author needs. */
static eid_status find_ending(subject *s)
{
    const eid_holder *author = s->verdict.author;
    size_t count = author == NULL ? 0 : author->count;
    for (size_t i = 0; i < count && is_open(s); i++)
        if (author->changes[i]->kept < s->needs)
            EID_TRY(cut_by(s, author->changes[i]->act));
    for (size_t i = 0; i < s->charter->sweeping_count && is_open(s); i++) {
        eid_act *act = s->charter->sweeping[i];
        if (act->status == EID_STANDS && (author == NULL || !names(act, author)))
            EID_TRY(cut_by(s, act));
    }
    return EID_OK;
}

/* Somebody stronger put the holder out of this author's reach. */
static eid_status find_raise(subject *s, const eid_holder *holder)
{
    for (size_t i = 0; i < holder->count && is_open(s); i++)
        if (holder->changes[i]->power > s->act->power)
            EID_TRY(cut_by(s, holder->changes[i]->act));
    return EID_OK;
}

static eid_status find_raises(subject *s)
{
    if (s->act->swept == 0) {
        for (size_t i = 0; i < s->act->change_count; i++)
            EID_TRY(find_raise(s, s->act->changes[i].holder));
        return EID_OK;
    }
    eid_map *holders = s->charter->holders;
    for (eid_map_entry *e = eid_map_first(holders); e != NULL; e = eid_map_next(holders, e))
        EID_TRY(find_raise(s, e->value));
    return EID_OK;
}

/* ---- Rights by what counts and is stronger (1 and 4) ---- */

static bool counts_and_is_stronger(const eid_act *act, const void *ctx)
{
    return act->status == EID_STANDS && eid_act_stronger(act, ctx);
}

bool eid_act_stands(const eid_act *act, const void *unused)
{
    (void)unused;
    return act->status == EID_STANDS;
}

static eid_status check_entitlement(subject *s, eid_powers *powers)
{
    const eid_act *act = s->act;
    uint64_t power;
    EID_TRY(eid_powers_read(powers, s->verdict.author, &power));
    if (power < act->power) {
        s->verdict.reason = EID_VOID_NO_RIGHT;
        return EID_OK;
    }
    if (act->author->name.len == 0)
        return EID_OK; /* while nobody has a right there is nobody to be protected */
    for (size_t i = 0; i < act->change_count && is_open(s); i++) {
        const eid_ruling *change = &act->changes[i];
        if (change->holder->name.len == 0)
            continue;
        EID_TRY(eid_powers_read(powers, change->holder, &power));
        if (power > act->power || change->power > act->power)
            s->verdict.reason = EID_VOID_NOT_ENTITLED;
    }
    return EID_OK;
}

static eid_status check_rights(subject *s)
{
    eid_powers powers = {s->storage, s->charter, s->known, counts_and_is_stronger, s->act, NULL};
    eid_status status = check_entitlement(s, &powers);
    eid_powers_free(&powers);
    return status;
}

/* ---- Delegation ---- */

static eid_status follow_path(eid_storage *storage, eid_tree *tree, eid_act *const *pins, size_t count, const eid_entry *entry,
                              eid_delegation_claims *claims, bool *counts)
{
    int64_t *numbers = eid_realloc_array(NULL, count + 1, sizeof *numbers);
    if (numbers == NULL)
        return eid_fail_memory();
    for (size_t i = 0; i < count; i++)
        numbers[i] = pins[i]->node.n;
    eid_numbers_sort(numbers, count);
    eid_status status = eid_delegation_counts(storage, tree, numbers, count, entry, claims, counts);
    eid_free(numbers);
    return status;
}

/* An act keeps what came of it: it does not depend on what else is held. */
static eid_status follow_for_act(eid_storage *storage, eid_tree *tree, eid_act *act, const eid_entry *entry)
{
    bool counts;
    eid_act_path *path = eid_alloc_zero(1, sizeof *path);
    if (path == NULL)
        return eid_fail_memory();
    eid_status status = follow_path(storage, tree, act->named, act->pin_count, entry, &path->claims, &counts);
    if (status != EID_OK) {
        eid_free(path);
        return status;
    }
    path->fails = !counts;
    act->path = path;
    return EID_OK;
}

eid_status eid_act_follow_path(eid_storage *storage, eid_tree *tree, eid_act *act, const eid_entry *entry)
{
    bool by_delegation = act->author->name.len > 0 && act->author->name.data[0] == 'd';
    if (act->path != NULL || act->is_root || !by_delegation)
        return EID_OK;
    if (entry != NULL)
        return follow_for_act(storage, tree, act, entry);
    eid_entry *loaded;
    EID_TRY(eid_storage_load(storage, act->node.n, &loaded));
    eid_status status = follow_for_act(storage, tree, act, loaded);
    eid_entry_unref(loaded);
    return status;
}

/* Whether what is claimed contains every floor the delegation had, as far as that is known and counts. */
static eid_status check_floors(subject *s, const eid_delegation_claims *claims, eid_act_filter filter)
{
    eid_tree *tree;
    eid_buf ids;
    bool above = true;
    if (claims->count == 0)
        return EID_OK;
    eid_buf_init(&ids, SIZE_MAX / 2);
    eid_status status = eid_charter_floors(s->charter, s->known, filter, s->act, &claims->key, &ids);
    if (status == EID_OK)
        status = eid_storage_tree(s->storage, &claims->tree, &tree);
    if (status == EID_OK)
        status = eid_snapshot_contains(s->storage, tree, claims->numbers, claims->count, (const eid_id *)(const void *)ids.data,
                                       ids.len / sizeof(eid_id), &above);
    eid_buf_free(&ids);
    if (!above)
        s->verdict.reason = EID_VOID_DELEGATION;
    return status;
}

static eid_status check_act_path(subject *s)
{
    if (s->act->path == NULL || s->alone)
        return EID_OK;
    if (s->act->path->fails)
        s->verdict.reason = EID_VOID_DELEGATION;
    return is_open(s) ? check_floors(s, &s->act->path->claims, counts_and_is_stronger) : EID_OK;
}

static eid_status check_path(subject *s, const eid_buf *pins, const eid_entry *entry)
{
    eid_delegation_claims claims;
    bool counts;
    if (!is_open(s) || !entry->sigkey.is_delegation || entry->is_root)
        return EID_OK;
    eid_act *const *acts = (eid_act *const *)(const void *)pins->data;
    EID_TRY(follow_path(s->storage, s->tree, acts, pins->len / sizeof *acts, entry, &claims, &counts));
    if (!counts)
        s->verdict.reason = EID_VOID_DELEGATION;
    return is_open(s) ? check_floors(s, &claims, eid_act_stands) : EID_OK;
}

/* ---- One act ---- */

static eid_status judge_act(subject *s)
{
    EID_TRY(check_act_path(s));
    if (is_open(s))
        EID_TRY(check_rights(s));
    if (is_open(s))
        EID_TRY(find_ending(s));
    return is_open(s) ? find_raises(s) : EID_OK;
}

static eid_status judge(eid_storage *storage, eid_tree *tree, eid_charter *charter, eid_act *act, bool alone,
                        eid_standing_verdict *out)
{
    subject s = {.storage = storage,
                 .tree = tree,
                 .charter = charter,
                 .n = act->node.n,
                 .needs = act->power,
                 .act = act,
                 .alone = alone,
                 .verdict = {.author = act->author}};
    if (!act->is_root) {
        eid_runs scratch = {NULL, 0, 0};
        eid_status status = eid_act_known(charter, act, &scratch, &s.known);
        if (status == EID_OK)
            status = judge_act(&s);
        eid_runs_free(&scratch);
        EID_TRY(status);
    }
    *out = s.verdict;
    return EID_OK;
}

eid_status eid_act_judge(eid_storage *storage, eid_tree *tree, eid_charter *charter, eid_act *act, eid_standing_verdict *out)
{
    return judge(storage, tree, charter, act, false, out);
}

/* ---- Data ---- */

static eid_status judge_data(subject *s, const eid_entry *entry, eid_buf *name)
{
    EID_TRY(eid_charter_author(s->storage, s->charter, s->known, entry, name));
    s->verdict.author = eid_charter_find(s->charter, eid_buf_slice(name));
    EID_TRY(find_ending(s));
    if (is_open(s) && s->verdict.author != NULL && s->charter->void_count > 0) {
        uint64_t power;
        EID_TRY(eid_charter_power(s->storage, s->charter, s->known, s->verdict.author, eid_act_stands, NULL, &power));
        if (power < EID_POWER_WRITE)
            s->verdict.reason = EID_VOID_NO_RIGHT;
    }
    return EID_OK;
}

eid_status eid_data_judge(eid_storage *storage, eid_tree *tree, eid_charter *charter, const eid_entry *entry, int64_t n,
                          eid_standing_verdict *out)
{
    subject s = {.storage = storage, .tree = tree, .charter = charter, .n = n, .needs = EID_POWER_WRITE};
    eid_runs scratch = {NULL, 0, 0};
    eid_buf pins, name;
    eid_buf_init(&pins, SIZE_MAX / 2);
    eid_buf_init(&name, SIZE_MAX / 2);
    eid_status status = eid_charter_pins(storage, charter, entry, &pins);
    if (status == EID_OK)
        status = eid_acts_closure(charter, (eid_act *const *)(const void *)pins.data, pins.len / sizeof(eid_act *), &scratch,
                                  &s.known);
    if (status == EID_OK)
        status = judge_data(&s, entry, &name);
    if (status == EID_OK)
        status = check_path(&s, &pins, entry);
    eid_buf_free(&name);
    eid_buf_free(&pins);
    eid_runs_free(&scratch);
    EID_TRY(status);
    *out = s.verdict;
    return EID_OK;
}

/* ---- All acts ---- */

static int compare_for_sort(const void *a, const void *b)
{
    return compare_strength(*(eid_act *const *)a, *(eid_act *const *)b);
}

static eid_status decide_in_order(eid_storage *storage, eid_tree *tree, eid_charter *charter, eid_act **order, size_t count,
                                  bool alone)
{
    if (count > 1)
        qsort(order, count, sizeof(eid_act *), compare_for_sort);
    for (size_t i = 0; i < count; i++) {
        /* Weaker acts have no say, so it does not matter that they are not decided yet. */
        eid_standing_verdict verdict;
        EID_TRY(judge(storage, tree, charter, order[i], alone, &verdict));
        order[i]->status = verdict.reason;
    }
    return EID_OK;
}

/* `next` of these acts, as if there were no others; NULL: of all. */
static eid_status decide(eid_storage *storage, eid_tree *tree, eid_charter *charter, const eid_runs *among)
{
    size_t count = 0;
    eid_act **order = eid_realloc_array(NULL, charter->count + 1, sizeof(eid_act *));
    if (order == NULL)
        return eid_fail_memory();
    for (size_t i = 0; i < charter->count; i++) {
        eid_act *act = charter->acts[i];
        act->next = act->status;
        if (among == NULL || eid_runs_have(among, act->index))
            order[count++] = act;
        else
            act->status = EID_VOID_NO_RIGHT;
    }
    eid_status status = decide_in_order(storage, tree, charter, order, count, among != NULL);
    for (size_t i = 0; i < charter->count; i++) {
        eid_act *act = charter->acts[i];
        eid_standing_reason old = act->next;
        act->next = status == EID_OK ? act->status : old;
        act->status = old;
    }
    eid_free(order);
    return status;
}

eid_status eid_charter_decide(eid_storage *storage, eid_tree *tree, eid_charter *charter)
{
    /* First, because it may ask what counts among some of them. */
    for (size_t i = 0; i < charter->count && charter->delegates; i++)
        EID_TRY(eid_act_follow_path(storage, tree, charter->acts[i], NULL));
    return decide(storage, tree, charter, NULL);
}

void eid_standing_acts_free(eid_standing_acts *acts)
{
    eid_runs_free(&acts->scratch);
    eid_runs_free(&acts->standing);
}

static eid_status find_standing(eid_storage *storage, eid_tree *tree, eid_charter *charter, eid_standing_acts *acts)
{
    EID_TRY(decide(storage, tree, charter, acts->indices));
    for (size_t i = 0; i < charter->count; i++) {
        const eid_act *act = charter->acts[i];
        if (!eid_runs_have(acts->indices, act->index))
            continue;
        if (act->next == EID_STANDS)
            EID_TRY(eid_runs_append(&acts->standing, act->index, act->index));
        else
            acts->all = false;
    }
    acts->indices = &acts->standing;
    return EID_OK;
}

eid_status eid_charter_standing(eid_storage *storage, eid_tree *tree, eid_charter *charter, const int64_t *pins, size_t count,
                                eid_standing_acts *out)
{
    *out = (eid_standing_acts){.all = true};
    eid_status status = eid_charter_knowledge(charter, pins, count, &out->scratch, &out->indices);
    /* Where all count, all do also among fewer: whatever could make one void there would do so here. */
    if (status == EID_OK && (charter->void_count > 0 || charter->undecided))
        status = find_standing(storage, tree, charter, out);
    if (status != EID_OK)
        eid_standing_acts_free(out);
    return status;
}

/* ---- One act on top of the others ---- */

/* Whether the act takes from somebody what an act used that it did not see. */
static eid_status takes_from_act(eid_storage *storage, eid_tree *tree, eid_charter *charter, eid_act *act, const eid_ruling *change,
                                 bool *out)
{
    const eid_holder *holder = change->holder;
    bool in_past = true;
    for (size_t i = 0; i < holder->authored_count && in_past; i++)
        if (holder->authored[i] != act && holder->authored[i]->power > change->kept)
            EID_TRY(eid_act_has_in_past(storage, tree, charter, act, holder->authored[i]->node.n, &in_past));
    for (size_t i = 0; i < holder->count && in_past && change->power > EID_POWER_NONE; i++)
        if (holder->changes[i]->act != act && holder->changes[i]->act->power < change->power)
            EID_TRY(eid_act_has_in_past(storage, tree, charter, act, holder->changes[i]->act->node.n, &in_past));
    *out = !in_past;
    return EID_OK;
}

eid_status eid_act_stands_alone(eid_storage *storage, eid_tree *tree, eid_charter *charter, eid_act *act, bool *out)
{
    const eid_runs *known = &act->known; /* nothing, when it is long: then it is not one run either */
    bool knows_all = act->index == 0 || (known->count == 1 && known->items[0].low == 0 && known->items[0].high == act->index - 1);
    bool takes = act->swept != 0;
    for (size_t i = 0; i < act->change_count && knows_all && !takes; i++)
        EID_TRY(takes_from_act(storage, tree, charter, act, &act->changes[i], &takes));
    *out = knows_all && !takes;
    return EID_OK;
}
