/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots of delegated databases: their settings as of chosen entries.
 *
 * A signature by delegation claims entries of another database, mostly its tips when it was made. What is asked of them are
 * their ancestors' settings, and whether a floor is among these ancestors. Both follow from a snapshot that is known already
 * by what lies between the two: a walk from both sets of entries at once, largest number first, ends where everything below
 * belongs to both. So entries that follow the other database's growth cost what it grew by, and an old claim costs what
 * happened since.
 */
#include "database/delegation.h"

#include "base/alloc.h"
#include "base/numbers.h"
#include "database/standing_int.h"
#include "database/walk.h"

#define SNAPSHOTS 32 /* of one tree */
#define KNOWN_MAX 4096 /* entries a snapshot remembers to contain */

#define CLAIMED 1 /* marks of the walk */
#define KNOWN 2

typedef struct numbers {
    int64_t *items;
    size_t count;
    size_t capacity;
} numbers;

typedef struct snapshot {
    numbers claims; /* none: a free slot */
    numbers pins;
    numbers contains; /* entries asked for and found inside, ascending */
    eid_auth_settings *settings;
    eid_auth_settings *counting; /* by what counts among them, … */
    eid_runs acts;               /* … which is this; once asked for */
    uint64_t used;
} snapshot;

typedef struct snapshots {
    snapshot slots[SNAPSHOTS];
    uint64_t clock;
} snapshots;

/* ---- Lists of numbers ---- */

static eid_status add(numbers *list, int64_t n)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        int64_t *grown = eid_realloc_array(list->items, capacity, sizeof *grown);
        if (grown == NULL)
            return eid_fail_memory();
        list->items = grown;
        list->capacity = capacity;
    }
    list->items[list->count++] = n;
    return EID_OK;
}

static eid_status copy_of(const int64_t *items, size_t count, numbers *out)
{
    out->items = eid_memdup(items, count * sizeof *items);
    if (out->items == NULL)
        return eid_fail_memory();
    out->count = count;
    out->capacity = count;
    return EID_OK;
}

static void drop(numbers *list)
{
    eid_free(list->items);
    memset(list, 0, sizeof *list);
}

static void sort(numbers *list)
{
    eid_numbers_sort(list->items, list->count);
}

/* In an ascending list. */
static bool holds(const numbers *list, int64_t n)
{
    return eid_numbers_have(list->items, list->count, n);
}

static bool equals(const numbers *list, const int64_t *items, size_t count)
{
    return list->count == count && (count == 0 || memcmp(list->items, items, count * sizeof *items) == 0);
}

/* ---- The cache ---- */

static void snapshot_clear(snapshot *s)
{
    drop(&s->claims);
    drop(&s->pins);
    drop(&s->contains);
    eid_auth_settings_unref(s->settings);
    eid_auth_settings_unref(s->counting);
    eid_runs_free(&s->acts);
    memset(s, 0, sizeof *s);
}

void eid_snapshots_free(void *value)
{
    snapshots *cache = value;
    if (cache == NULL)
        return;
    for (size_t i = 0; i < SNAPSHOTS; i++)
        snapshot_clear(&cache->slots[i]);
    eid_free(cache);
}

static eid_status cache_of(eid_tree *tree, snapshots **out)
{
    void **place;
    EID_TRY(eid_tree_snapshots(tree, &place));
    if (*place == NULL) {
        *place = eid_alloc_zero(1, sizeof(snapshots));
        if (*place == NULL)
            return eid_fail_memory();
    }
    *out = *place;
    return EID_OK;
}

/* ---- What lies between two snapshots ---- */

typedef struct between {
    numbers more; /* in the claims, not in what is known; ascending */
    numbers less; /* the other way round */
} between;

static void between_free(between *b)
{
    drop(&b->more);
    drop(&b->less);
}

/* `known` NULL: everything held. */
static eid_status walk_between(eid_storage *storage, eid_tree *tree, const int64_t *claims, size_t count, const numbers *known,
                               between *out)
{
    eid_dag_walk walk;
    eid_dag_walk_init(&walk, CLAIMED | KNOWN);
    eid_status status = EID_OK;
    for (size_t i = 0; i < count && status == EID_OK; i++)
        status = eid_dag_walk_push(&walk, claims[i], known == NULL ? CLAIMED | KNOWN : CLAIMED);
    for (size_t i = 0; known != NULL && i < known->count && status == EID_OK; i++)
        status = eid_dag_walk_push(&walk, known->items[i], KNOWN);
    for (size_t i = 0; known == NULL && i < tree->main->tip_count && status == EID_OK; i++)
        status = eid_dag_walk_push(&walk, tree->main->tips[i].n, KNOWN);
    while (status == EID_OK && walk.wanted > 0) {
        eid_dag_item item;
        status = eid_dag_walk_next(&walk, storage, tree, &item);
        if (status == EID_OK && item.marks == CLAIMED)
            status = add(&out->more, item.n);
        else if (status == EID_OK && item.marks == KNOWN)
            status = add(&out->less, item.n);
    }
    eid_dag_walk_free(&walk);
    sort(&out->more);
    sort(&out->less);
    return status;
}

/* ---- Settings at a snapshot ---- */

typedef struct pin_search {
    const numbers *among; /* only participants in here; NULL: all that are not in `without` */
    const numbers *without;
    numbers *pins;
    bool any;
    eid_status status;
} pin_search;

/* An entry of `_settings` makes its parents there no pins any more. */
static bool take_participant(const eid_participation *part, void *ctx)
{
    pin_search *search = ctx;
    if (search->among != NULL ? !holds(search->among, part->n) : holds(search->without, part->n))
        return true;
    search->any = true;
    if (search->pins == NULL)
        return false;
    size_t kept = 0;
    for (size_t i = 0; i < search->pins->count; i++) {
        bool parent = false;
        for (size_t k = 0; k < part->parent_count; k++)
            parent = parent || part->parents[k] == search->pins->items[i];
        if (!parent)
            search->pins->items[kept++] = search->pins->items[i];
    }
    search->pins->count = kept;
    search->status = add(search->pins, part->n);
    return search->status == EID_OK;
}

static eid_status search_participants(eid_storage *storage, const eid_tree_store *store, int64_t after, int64_t up_to,
                                      pin_search *search)
{
    EID_TRY(eid_storage_each_participation(storage, store, after, up_to, take_participant, search));
    return search->status;
}

/* Whether one of these entries takes part in `_settings`. */
static eid_status any_settings(eid_storage *storage, const eid_tree_store *store, const numbers *list, bool *out)
{
    pin_search search = {.among = list};
    *out = false;
    if (store == NULL || list->count == 0)
        return EID_OK;
    EID_TRY(search_participants(storage, store, list->items[0] - 1, list->items[list->count - 1], &search));
    *out = search.any;
    return EID_OK;
}

/* Pins of the known snapshot and what came on top of it. Parents that are pinned beside their children do no harm: the
 * fold is over everything below. */
static eid_status pins_above(eid_storage *storage, const eid_tree_store *store, const int64_t *known, size_t known_count,
                             const numbers *more, numbers *pins)
{
    EID_TRY(copy_of(known, known_count, pins));
    if (store == NULL || more->count == 0)
        return EID_OK;
    pin_search search = {.among = more, .pins = pins};
    EID_TRY(search_participants(storage, store, more->items[0] - 1, more->items[more->count - 1], &search));
    sort(pins);
    return EID_OK;
}

/* Pins when some of the present settings are not in the snapshot. */
static eid_status pins_without(eid_storage *storage, const eid_tree_store *store, int64_t newest, const numbers *less, numbers *pins)
{
    pin_search search = {.without = less, .pins = pins};
    EID_TRY(search_participants(storage, store, 0, newest, &search));
    sort(pins);
    return EID_OK;
}

static eid_status pins_from_present(eid_storage *storage, const eid_tree_store *store, int64_t newest, const numbers *less,
                                    numbers *pins)
{
    bool touched;
    EID_TRY(any_settings(storage, store, less, &touched));
    if (store != NULL && touched)
        return pins_without(storage, store, newest, less, pins);
    size_t count = store == NULL ? 0 : store->tip_count;
    for (size_t i = 0; i < count; i++)
        EID_TRY(add(pins, store->tips[i].n));
    return EID_OK;
}

/* ---- Snapshots ---- */

static int64_t newest_of(const int64_t *claims, size_t count)
{
    return claims[count - 1];
}

/* The snapshot whose newest claim is nearest; NULL when the present is nearer. */
static snapshot *nearest(snapshots *cache, const eid_tree *tree, int64_t newest)
{
    int64_t distance = tree->main->newest - newest;
    snapshot *found = NULL;
    for (size_t i = 0; i < SNAPSHOTS; i++) {
        snapshot *s = &cache->slots[i];
        if (s->claims.count == 0)
            continue;
        int64_t d = newest_of(s->claims.items, s->claims.count) - newest;
        d = d < 0 ? -d : d;
        if (d < distance) {
            distance = d;
            found = s;
        }
    }
    return found;
}

/* What both snapshots are known to contain stays known. */
static eid_status inherit(const snapshot *from, const numbers *less, snapshot *to)
{
    for (size_t i = 0; i < from->contains.count; i++)
        if (!holds(less, from->contains.items[i]))
            EID_TRY(add(&to->contains, from->contains.items[i]));
    return EID_OK;
}

/* Builds on a known snapshot; *usable false when settings were there that are not here. */
static eid_status build_on(eid_storage *storage, eid_tree *tree, const eid_tree_store *store, const snapshot *known, snapshot *s,
                           bool *usable)
{
    between b = {0};
    bool lost = false;
    eid_status status = walk_between(storage, tree, s->claims.items, s->claims.count, &known->claims, &b);
    if (status == EID_OK)
        status = any_settings(storage, store, &b.less, &lost);
    if (status == EID_OK && !lost)
        status = pins_above(storage, store, known->pins.items, known->pins.count, &b.more, &s->pins);
    if (status == EID_OK && !lost)
        status = inherit(known, &b.less, s);
    between_free(&b);
    *usable = !lost;
    return status;
}

static eid_status build_from_present(eid_storage *storage, eid_tree *tree, const eid_tree_store *store, snapshot *s)
{
    between b = {0};
    int64_t newest = newest_of(s->claims.items, s->claims.count);
    eid_status status = walk_between(storage, tree, s->claims.items, s->claims.count, NULL, &b);
    if (status == EID_OK)
        status = pins_from_present(storage, store, newest, &b.less, &s->pins);
    between_free(&b);
    return status;
}

static eid_status build(eid_storage *storage, eid_tree *tree, snapshots *cache, snapshot *s)
{
    eid_tree_store *store;
    bool usable = false;
    EID_TRY(eid_storage_store(storage, tree, eid_slice_text(EID_SETTINGS), &store));
    const snapshot *known = nearest(cache, tree, newest_of(s->claims.items, s->claims.count));
    if (known != NULL)
        EID_TRY(build_on(storage, tree, store, known, s, &usable));
    if (!usable)
        EID_TRY(build_from_present(storage, tree, store, s));
    return eid_settings_resolve(storage, tree, s->pins.items, s->pins.count, &s->settings);
}

static eid_status find_snapshot(eid_storage *storage, eid_tree *tree, const int64_t *claims, size_t count, snapshot **out)
{
    snapshots *cache = NULL;
    EID_TRY(cache_of(tree, &cache));
    snapshot *found = NULL, *oldest = &cache->slots[0];
    for (size_t i = 0; i < SNAPSHOTS && found == NULL; i++) {
        snapshot *s = &cache->slots[i];
        if (equals(&s->claims, claims, count))
            found = s;
        else if (s->used < oldest->used)
            oldest = s;
    }
    if (found == NULL) {
        snapshot made = {0};
        eid_status status = copy_of(claims, count, &made.claims);
        if (status == EID_OK)
            status = build(storage, tree, cache, &made);
        if (status != EID_OK) {
            snapshot_clear(&made);
            return status;
        }
        snapshot_clear(oldest);
        *oldest = made;
        found = oldest;
    }
    found->used = ++cache->clock;
    *out = found;
    return EID_OK;
}

static eid_status fold_counting(eid_storage *storage, const eid_charter *charter, const eid_standing_acts *acts, snapshot *s)
{
    eid_doc *doc;
    if (acts->all) {
        s->counting = eid_auth_settings_ref(s->settings);
        return EID_OK;
    }
    EID_TRY(eid_charter_fold(storage, charter, acts->indices, NULL, NULL, &doc));
    eid_status status = eid_auth_settings_parse(doc, &s->counting);
    eid_doc_free(doc);
    return status;
}

static eid_status find_counting(eid_storage *storage, eid_tree *tree, eid_charter *charter, snapshot *s)
{
    eid_standing_acts acts;
    EID_TRY(eid_charter_standing(storage, tree, charter, s->pins.items, s->pins.count, &acts));
    eid_status status = eid_runs_unite(&s->acts, acts.indices);
    if (status == EID_OK)
        status = fold_counting(storage, charter, &acts, s);
    eid_standing_acts_free(&acts);
    if (status != EID_OK)
        eid_runs_free(&s->acts);
    return status;
}

eid_status eid_snapshot_at(eid_storage *storage, eid_tree *tree, const int64_t *claims, size_t count, eid_delegation_rule rule,
                           eid_snapshot *out)
{
    snapshot *found;
    eid_charter *charter;
    EID_TRY(find_snapshot(storage, tree, claims, count, &found));
    if (rule == EID_PATH_ADMITS) {
        *out = (eid_snapshot){.settings = found->settings};
        return EID_OK;
    }
    EID_TRY(eid_charter_of(storage, tree, INT64_MAX, &charter));
    if (found->counting == NULL)
        EID_TRY(find_counting(storage, tree, charter, found));
    *out = (eid_snapshot){found->counting, charter, &found->acts};
    return EID_OK;
}

/* Those not known to be inside yet; *foreign when one is not held as an entry of the tree at all, so that it can not be an
 * ancestor of anything that is. */
static eid_status find_unknown(eid_storage *storage, const eid_tree *tree, const snapshot *s, const eid_id *ids, size_t count,
                               numbers *unknown, bool *foreign)
{
    *foreign = false;
    for (size_t i = 0; i < count && !*foreign; i++) {
        int64_t n, d;
        EID_TRY(eid_storage_find(storage, &ids[i], &n, &d));
        *foreign = n == 0 || d != tree->d;
        if (!*foreign && !holds(&s->contains, n) && !holds(&s->claims, n))
            EID_TRY(add(unknown, n));
    }
    sort(unknown);
    return EID_OK;
}

static eid_status look_for(eid_storage *storage, eid_tree *tree, snapshot *s, const numbers *unknown, bool *out)
{
    between b = {0};
    eid_status status = walk_between(storage, tree, s->claims.items, s->claims.count, NULL, &b);
    *out = true;
    for (size_t i = 0; i < unknown->count && *out; i++)
        *out = !holds(&b.less, unknown->items[i]);
    between_free(&b);
    EID_TRY(status);
    if (!*out)
        return EID_OK;
    if (s->contains.count + unknown->count > KNOWN_MAX)
        s->contains.count = 0;
    for (size_t i = 0; i < unknown->count && s->contains.count < KNOWN_MAX; i++)
        EID_TRY(add(&s->contains, unknown->items[i]));
    sort(&s->contains);
    return EID_OK;
}

eid_status eid_snapshot_contains(eid_storage *storage, eid_tree *tree, const int64_t *claims, size_t count, const eid_id *ids,
                                 size_t id_count, bool *out)
{
    snapshot *s;
    numbers unknown = {0};
    bool foreign = false, found = true;
    EID_TRY(find_snapshot(storage, tree, claims, count, &s));
    eid_status status = find_unknown(storage, tree, s, ids, id_count, &unknown, &foreign);
    if (status == EID_OK && !foreign && unknown.count > 0)
        status = look_for(storage, tree, s, &unknown, &found);
    drop(&unknown);
    EID_TRY(status);
    *out = found && !foreign;
    return EID_OK;
}
