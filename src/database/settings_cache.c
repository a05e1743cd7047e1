/* SPDX-License-Identifier: Apache-2.0 */
/* Settings as entries are judged by them: resolved once per set of settings entries and kept.
 *
 * Nearly every entry pins the settings that are current, so the cache of a tree is a few slots compared one by one; the
 * slot used longest ago is replaced.
 */
#include "database/delegation.h"

#include "base/alloc.h"
#include "crypto/key.h"
#include "database/standing_int.h"

#define SLOTS 16

typedef struct slot {
    int64_t *tips;      /* ascending numbers of settings entries; NULL for a free slot */
    size_t count;
    uint64_t used;      /* when it was last asked for */
    eid_auth_settings *settings;
} slot;

typedef struct tree_cache {
    slot slots[SLOTS];
    uint64_t clock;
    eid_charter *charter;      /* what settings entries say about rights (standing_int.h); NULL until it is needed */
    eid_auth_settings *current; /* NULL: unknown */
    int64_t current_newest;    /* what it was made of: the newest settings entry, and the marks of then */
    uint64_t current_marks;
    void *snapshots; /* of snapshots.c */
} tree_cache;

static void slot_clear(slot *s)
{
    eid_free(s->tips);
    eid_auth_settings_unref(s->settings);
    memset(s, 0, sizeof *s);
}

void eid_tree_cache_free(void *value)
{
    tree_cache *cache = value;
    for (size_t i = 0; i < SLOTS; i++)
        slot_clear(&cache->slots[i]);
    eid_auth_settings_unref(cache->current);
    eid_charter_free(cache->charter);
    eid_snapshots_free(cache->snapshots);
    eid_free(cache);
}

static eid_status cache_of(eid_tree *tree, tree_cache **out)
{
    if (tree->cache == NULL) {
        tree->cache = eid_alloc_zero(1, sizeof(tree_cache));
        if (tree->cache == NULL)
            return eid_fail_memory();
    }
    *out = tree->cache;
    return EID_OK;
}

eid_status eid_tree_cache_charter(eid_tree *tree, eid_charter ***out)
{
    tree_cache *cache = NULL;
    EID_TRY(cache_of(tree, &cache));
    *out = &cache->charter;
    return EID_OK;
}

eid_status eid_tree_snapshots(eid_tree *tree, void ***out)
{
    tree_cache *cache = NULL;
    EID_TRY(cache_of(tree, &cache));
    *out = &cache->snapshots;
    return EID_OK;
}

static slot *find_slot(tree_cache *cache, const int64_t *tips, size_t count)
{
    for (size_t i = 0; i < SLOTS; i++) {
        slot *s = &cache->slots[i];
        if (s->settings != NULL && s->count == count && (count == 0 || memcmp(s->tips, tips, count * sizeof *tips) == 0))
            return s;
    }
    return NULL;
}

static slot *oldest_slot(tree_cache *cache)
{
    slot *oldest = &cache->slots[0];
    for (size_t i = 1; i < SLOTS; i++)
        if (cache->slots[i].used < oldest->used)
            oldest = &cache->slots[i];
    return oldest;
}

/* The settings that whoever pins these entries is judged by: all that they build on, whether it counts or not, as every peer
 * sees it that knows nothing else. */
static eid_status pinned_doc(eid_storage *storage, eid_tree *tree, const int64_t *tips, size_t count, eid_doc **out)
{
    eid_charter *charter;
    eid_runs scratch = {NULL, 0, 0};
    const eid_runs *known;
    EID_TRY(eid_charter_of(storage, tree, INT64_MAX, &charter));
    eid_status status = eid_charter_knowledge(charter, tips, count, &scratch, &known);
    if (status == EID_OK)
        status = eid_charter_fold(storage, charter, known, NULL, NULL, out);
    eid_runs_free(&scratch);
    return status;
}

eid_status eid_settings_resolve(eid_storage *storage, eid_tree *tree, const int64_t *tips, size_t count, eid_auth_settings **out)
{
    tree_cache *cache = NULL;
    EID_TRY(cache_of(tree, &cache));
    slot *found = find_slot(cache, tips, count);
    if (found == NULL) {
        eid_doc *doc;
        EID_TRY(pinned_doc(storage, tree, tips, count, &doc));
        eid_auth_settings *settings = NULL;
        eid_status status = eid_auth_settings_parse(doc, &settings);
        eid_doc_free(doc);
        EID_TRY(status);
        int64_t *copy = eid_memdup(tips, count * sizeof *tips);
        if (copy == NULL) {
            eid_auth_settings_unref(settings);
            return eid_fail_memory();
        }
        found = oldest_slot(cache);
        slot_clear(found);
        *found = (slot){.tips = copy, .count = count, .settings = settings};
    }
    found->used = ++cache->clock;
    *out = eid_auth_settings_ref(found->settings);
    return EID_OK;
}

/* Whether some settings entry after this one says anything of rights: most other settings have nothing to do with them. */
static eid_status rules_changed(eid_storage *storage, eid_tree *tree, int64_t since, bool *out)
{
    eid_charter *charter;
    EID_TRY(eid_charter_of(storage, tree, INT64_MAX, &charter));
    *out = false;
    for (size_t i = charter->count; i > 0 && charter->acts[i - 1]->node.n > since && !*out; i--)
        *out = charter->acts[i - 1]->rules;
    return EID_OK;
}

static eid_status read_current(eid_storage *storage, eid_tree_store *store, eid_auth_settings **out)
{
    eid_view view = EID_VIEW_CURRENT;
    eid_doc *doc;
    EID_TRY(store == NULL ? eid_doc_new(&doc) : eid_state_doc(storage, store, &view, &doc));
    eid_status status = eid_auth_settings_parse(doc, out);
    eid_doc_free(doc);
    return status;
}

eid_status eid_settings_current(eid_storage *storage, eid_tree *tree, eid_auth_settings **out)
{
    tree_cache *cache = NULL;
    eid_tree_store *store;
    EID_TRY(cache_of(tree, &cache));
    EID_TRY(eid_storage_store(storage, tree, eid_slice_text(EID_SETTINGS), &store));
    int64_t newest = store == NULL ? 0 : store->newest;
    uint64_t marks = eid_storage_marks(storage);
    bool stale = cache->current == NULL || cache->current_marks != marks;
    if (!stale && cache->current_newest != newest)
        EID_TRY(rules_changed(storage, tree, cache->current_newest, &stale));
    if (stale) {
        eid_auth_settings *settings = NULL;
        EID_TRY(read_current(storage, store, &settings));
        eid_auth_settings_unref(cache->current);
        cache->current = settings;
    }
    cache->current_newest = newest;
    cache->current_marks = marks;
    *out = eid_auth_settings_ref(cache->current);
    return EID_OK;
}

eid_height_strategy eid_height_strategy_of(const eid_value *value)
{
    const char *text;
    if (value == NULL || eid_value_as_text(value, &text, NULL) != EID_OK)
        return EID_HEIGHT_INCREMENTAL;
    return strcmp(text, "\"timestamp\"") == 0 ? EID_HEIGHT_TIMESTAMP : EID_HEIGHT_INCREMENTAL;
}

eid_status eid_settings_strategy(eid_core *core, eid_tree *tree, const eid_view *view, eid_height_strategy *out)
{
    eid_tree_store *store;
    eid_value *value = NULL;
    EID_TRY(eid_storage_store(core->storage, tree, eid_slice_text(EID_SETTINGS), &store));
    if (store != NULL)
        EID_TRY(eid_state_child(core->storage, store, view, eid_slice_text("height_strategy"), &value));
    *out = eid_height_strategy_of(value);
    eid_value_free(value);
    return EID_OK;
}
