/* SPDX-License-Identifier: Apache-2.0 */
/* What changed between two snapshots.
 *
 * One walk tells which entries belong to which snapshot (walk.h). Only keys that an entry of one but not of the other touched
 * can differ; each is folded at both and compared. A fold reads the writes of its key from the newest back to the first that
 * replaces everything before it, so its cost does not depend on the history either.
 *
 * A store at a snapshot is the closure along store parents of what the snapshot holds. Writers may name store parents that
 * are no ancestors in the main DAG; those belong to the store at this snapshot too and are looked for separately (`extra`).
 */
#include <eidetica/history.h>

#include "base/alloc.h"
#include "base/numbers.h"
#include "database/history_int.h"
#include "database/places.h"

#define FROM 1
#define TO 2
#define SIDES 2
/* Entries read under one hold of the lock, and arrival numbers looked through. */
#define SLICE 64
#define STRETCH 4096

typedef struct side_state {
    int64_t *extra;          /* ascending: outside the snapshot, but in the store at it */
    size_t extra_count;
    bool barrier_known;
    bool has_barrier;
    eid_node barrier;        /* the last top-level atomic Doc that counts */
} side_state;

typedef struct diff {
    eid_database *database;
    eid_storage *storage;
    const char *name;
    eid_sides sides;
    bool to_present;
    side_state state[SIDES];
    eid_buf differing;       /* numbers of participants that belong to one side only */
    eid_map *keys;           /* touched by them: a set */
    bool every_key;          /* an atomic Doc is among them: any key may differ */
} diff;

/* ---- Membership ---- */

static uint8_t belongs(const diff *d, int64_t n)
{
    uint8_t marks = eid_sides_of(&d->sides, n);
    if (n <= d->sides.up_to)
        for (int i = 0; i < SIDES; i++)
            if (d->state[i].extra_count > 0 && eid_numbers_have(d->state[i].extra, d->state[i].extra_count, n))
                marks |= (uint8_t)(1 << i);
    return marks;
}

/* ---- Participants ---- */

/* Calls back for the participants of a store with low <= n <= high, holding the lock for a stretch of them at a time. The
 * callback may stop it all. */
static eid_status each_participant(eid_database *database, eid_slice name, int64_t low, int64_t high,
                                   eid_participation_callback callback, void *ctx, const bool *stop)
{
    eid_storage *storage = database->core->storage;
    eid_status status = EID_OK;
    while (low <= high && status == EID_OK && (stop == NULL || !*stop)) {
        int64_t last = high - low < STRETCH ? high : low + STRETCH;
        eid_tree *tree;
        eid_tree_store *store;
        eid_storage_lock(storage);
        status = eid_database_tree(database, &tree);
        if (status == EID_OK)
            status = eid_storage_store(storage, tree, name, &store);
        if (status == EID_OK && store != NULL)
            status = eid_storage_each_participation(storage, store, low - 1, last, callback, ctx);
        eid_storage_unlock(storage);
        low = last + 1;
    }
    return status;
}

/* ---- Store parents outside the snapshot ---- */

typedef struct foreign {
    const diff *d;
    uint8_t mark;
    eid_buf *found;          /* numbers of parents that do not belong to the side */
} foreign;

static void note_foreign(foreign *f, const int64_t *parents, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (parents[i] <= f->d->sides.up_to && (eid_sides_of(&f->d->sides, parents[i]) & f->mark) == 0)
            eid_buf_append(f->found, &parents[i], sizeof parents[i]);
}

static bool look_for_foreign(const eid_participation *part, void *ctx)
{
    foreign *f = ctx;
    if ((eid_sides_of(&f->d->sides, part->n) & f->mark) != 0)
        note_foreign(f, part->parents, part->parent_count);
    return true;
}

/* Adds the parents of what was found, and theirs in turn: the list grows while it is read. The lock is held. */
static eid_status follow_foreign(diff *d, foreign *f, eid_map *met)
{
    eid_tree *tree;
    eid_tree_store *store;
    EID_TRY(eid_buf_status(f->found));
    EID_TRY(eid_database_tree(d->database, &tree));
    EID_TRY(eid_storage_store(d->storage, tree, eid_slice_text(d->name), &store));
    for (size_t i = 0; i < f->found->len / sizeof(int64_t); i++) {
        int64_t n;
        bool created;
        eid_map_entry *place;
        memcpy(&n, f->found->data + i * sizeof n, sizeof n);
        EID_TRY(eid_map_put(met, eid_slice_of(&n, sizeof n), &place, &created));
        if (!created)
            continue;
        int64_t *parents = NULL;
        size_t count = 0;
        EID_TRY(eid_storage_participation(d->storage, store, n, NULL, &parents, &count));
        note_foreign(f, parents, count);
        eid_free(parents);
        EID_TRY(eid_buf_status(f->found));
    }
    return EID_OK;
}

static eid_status keep_extra(const eid_map *met, side_state *state)
{
    size_t total = eid_map_len(met), at = 0;
    int64_t *extra = eid_realloc_array(NULL, total, sizeof *extra);
    if (extra == NULL)
        return eid_fail_memory();
    for (eid_map_entry *e = eid_map_first(met); e != NULL; e = eid_map_next(met, e))
        memcpy(&extra[at++], e->key.data, sizeof *extra);
    eid_numbers_sort(extra, total);
    state->extra = extra;
    state->extra_count = total;
    return EID_OK;
}

static eid_status collect_extra(diff *d, foreign *f, side_state *state)
{
    eid_map *met;
    EID_TRY(eid_map_new(&met));
    eid_storage_lock(d->storage);
    eid_status status = follow_foreign(d, f, met);
    eid_storage_unlock(d->storage);
    if (status == EID_OK)
        status = keep_extra(met, state);
    eid_map_free(met, NULL);
    return status;
}

/* Only a participant that arrived behind the oldest entry outside can name one from outside, unless parents arrived late. */
static eid_status find_extra(diff *d, bool late_parents, int index)
{
    uint8_t mark = (uint8_t)(1 << index);
    int64_t oldest = 0;
    for (size_t i = d->sides.count; i > 0 && oldest == 0; i--)
        if ((d->sides.runs[i - 1].outside & mark) != 0)
            oldest = d->sides.runs[i - 1].low;
    if (oldest == 0)
        return EID_OK;
    eid_buf found;
    eid_buf_init(&found, SIZE_MAX / 2);
    foreign f = {d, mark, &found};
    eid_status status = each_participant(d->database, eid_slice_text(d->name), late_parents ? 1 : oldest, d->sides.up_to,
                                         look_for_foreign, &f, NULL);
    if (status == EID_OK)
        status = eid_buf_status(&found);
    if (status == EID_OK && found.len > 0)
        status = collect_extra(d, &f, &d->state[index]);
    eid_buf_free(&found);
    return status;
}

/* ---- The entries and keys by which they differ ---- */

static bool note_differing(const eid_participation *part, void *ctx)
{
    diff *d = ctx;
    uint8_t marks = belongs(d, part->n);
    if (part->has_data && (marks == FROM || marks == TO))
        eid_buf_append(&d->differing, &part->n, sizeof part->n);
    return true;
}

static eid_status find_differing(diff *d)
{
    for (size_t i = 0; i < d->sides.count; i++)
        EID_TRY(each_participant(d->database, eid_slice_text(d->name), d->sides.runs[i].low, d->sides.runs[i].high,
                                 note_differing, d, NULL));
    return eid_buf_status(&d->differing);
}

static eid_status note_keys(diff *d, const eid_entry *entry)
{
    const eid_subtree *subtree = eid_entry_subtree(entry, eid_slice_text(d->name));
    if (subtree == NULL || !subtree->has_data || subtree->data_len == 0)
        return EID_OK;
    eid_doc *doc;
    eid_status status = eid_doc_parse(eid_slice_of(subtree->data, subtree->data_len), &doc);
    if (status == EID_ERR_NO_MEMORY)
        return status;
    if (status != EID_OK)
        return EID_OK; /* not a document: it has no keys */
    status = EID_OK;
    d->every_key = d->every_key || eid_doc_is_atomic(doc);
    const eid_doc_cursor *cursor = NULL;
    const char *key;
    size_t key_len;
    const eid_value *value;
    while (status == EID_OK && !d->every_key && eid_doc_next_raw(doc, &cursor, &key, &key_len, &value)) {
        eid_map_entry *place;
        status = eid_map_put(d->keys, eid_slice_of(key, key_len), &place, NULL);
    }
    eid_doc_free(doc);
    return status;
}

static eid_status find_keys(diff *d)
{
    size_t count = d->differing.len / sizeof(int64_t);
    eid_status status = EID_OK;
    for (size_t i = 0; i < count && status == EID_OK && !d->every_key; i++) {
        if (i % SLICE == 0)
            eid_storage_lock(d->storage);
        int64_t n;
        eid_entry *entry = NULL;
        memcpy(&n, d->differing.data + i * sizeof n, sizeof n);
        status = eid_storage_load(d->storage, n, &entry);
        if (status == EID_OK)
            status = note_keys(d, entry);
        eid_entry_unref(entry);
        if (i % SLICE == SLICE - 1 || i == count - 1 || status != EID_OK || d->every_key)
            eid_storage_unlock(d->storage);
    }
    return status;
}

/* ---- One key at one side ---- */

static bool replaces_all(const eid_value *value)
{
    const eid_doc *doc;
    if (eid_value_get_kind(value) == EID_VALUE_DOC)
        return eid_value_as_doc(value, &doc) == EID_OK && eid_doc_is_atomic(doc);
    return eid_value_get_kind(value) != EID_VALUE_LIST;
}

static eid_status is_atomic_entry(diff *d, int64_t n, bool *out)
{
    eid_entry *entry;
    EID_TRY(eid_storage_load(d->storage, n, &entry));
    const eid_subtree *subtree = eid_entry_subtree(entry, eid_slice_text(d->name));
    eid_doc *doc = NULL;
    eid_status status = EID_OK;
    if (subtree != NULL && subtree->has_data && subtree->data_len > 0)
        status = eid_doc_parse(eid_slice_of(subtree->data, subtree->data_len), &doc);
    *out = status == EID_OK && doc != NULL && eid_doc_is_atomic(doc);
    if (status == EID_OK)
        eid_doc_free(doc);
    eid_entry_unref(entry);
    return status == EID_ERR_NO_MEMORY ? status : EID_OK;
}

/* The last atomic Doc of the side. Usually it is the store's; when that one is newer than the snapshot, its predecessors are
 * looked for backwards. */
static eid_status find_barrier(diff *d, const eid_tree_store *store, int index)
{
    side_state *state = &d->state[index];
    if (state->barrier_known)
        return EID_OK;
    uint8_t mark = (uint8_t)(1 << index);
    bool found = store->has_barrier && (belongs(d, store->barrier.n) & mark) != 0;
    if (found)
        state->barrier = store->barrier;
    eid_places places = {.newest_first = true,
                         .up_to = d->sides.up_to,
                         .has_place = true,
                         .place = store->barrier};
    eid_status status = EID_OK;
    bool more = store->has_barrier && !found;
    while (more && !found && status == EID_OK) {
        eid_node node;
        status = eid_places_next(&places, d->storage, store, &node, &more);
        bool counts = false;
        if (status == EID_OK && more && (belongs(d, node.n) & mark) != 0)
            status = eid_storage_has_data(d->storage, store, node.n, &counts);
        if (status == EID_OK && counts)
            status = is_atomic_entry(d, node.n, &found);
        if (status == EID_OK && found)
            state->barrier = node;
    }
    eid_places_free(&places);
    EID_TRY(status);
    state->has_barrier = found;
    state->barrier_known = true;
    return EID_OK;
}

/* What the counting writes of the key wrote, newest first, back to the first that replaces everything. */
static eid_status read_writes(diff *d, const eid_tree_store *store, int index, eid_slice key, eid_buf *values)
{
    const side_state *state = &d->state[index];
    uint8_t mark = (uint8_t)(1 << index);
    eid_places places = {.newest_first = true, .of_key = true, .key = key, .up_to = d->sides.up_to};
    eid_status status = EID_OK;
    bool more = true;
    while (more && status == EID_OK) {
        eid_node node;
        status = eid_places_next(&places, d->storage, store, &node, &more);
        if (status != EID_OK || !more)
            break;
        if ((belongs(d, node.n) & mark) == 0)
            continue;
        if (state->has_barrier && eid_places_compare(&node, &state->barrier) < 0)
            break;
        eid_entry *entry;
        eid_value *value = NULL;
        status = eid_storage_load(d->storage, node.n, &entry);
        if (status == EID_OK) {
            status = eid_entry_child(entry, eid_slice_text(d->name), key, &value);
            eid_entry_unref(entry);
        }
        if (value != NULL) {
            more = !replaces_all(value);
            eid_buf_append(values, &value, sizeof value);
            status = eid_buf_status(values);
            if (status != EID_OK)
                eid_value_free(value);
        }
    }
    eid_places_free(&places);
    return status;
}

static eid_status fold_at(diff *d, eid_tree_store *store, int index, eid_slice key, eid_value **out)
{
    EID_TRY(find_barrier(d, store, index));
    eid_buf values;
    eid_buf_init(&values, SIZE_MAX / 2);
    eid_status status = read_writes(d, store, index, key, &values);
    eid_value *value = NULL;
    for (size_t i = values.len / sizeof(eid_value *); i > 0; i--) {
        eid_value *written;
        memcpy(&written, values.data + (i - 1) * sizeof written, sizeof written);
        if (status == EID_OK)
            status = eid_value_merge(&value, written);
        eid_value_free(written);
    }
    eid_buf_free(&values);
    if (status != EID_OK) {
        eid_value_free(value);
        return status;
    }
    *out = value;
    return EID_OK;
}

/* Deleted is absent. */
static void drop_deleted(eid_value **value)
{
    if (*value != NULL && eid_value_get_kind(*value) == EID_VALUE_DELETED) {
        eid_value_free(*value);
        *value = NULL;
    }
}

/* Both values of the key; the lock is held. */
static eid_status values_of(diff *d, eid_slice key, eid_value **before, eid_value **after)
{
    eid_tree *tree;
    eid_tree_store *store;
    EID_TRY(eid_database_tree(d->database, &tree));
    EID_TRY(eid_storage_store(d->storage, tree, eid_slice_text(d->name), &store));
    EID_TRY(fold_at(d, store, 0, key, before));
    eid_view present = {d->sides.up_to, NULL, 0};
    eid_status status = d->to_present ? eid_state_child(d->storage, store, &present, key, after) : fold_at(d, store, 1, key, after);
    if (status != EID_OK) {
        eid_value_free(*before);
        *before = NULL;
        return status;
    }
    drop_deleted(before);
    drop_deleted(after);
    return EID_OK;
}

static eid_status are_equal(const eid_value *a, const eid_value *b, bool *out)
{
    *out = a == b;
    if (a == NULL || b == NULL)
        return EID_OK;
    eid_buf left, right;
    eid_buf_init(&left, SIZE_MAX / 2);
    eid_buf_init(&right, SIZE_MAX / 2);
    eid_value_write(&left, a);
    eid_value_write(&right, b);
    eid_status status = eid_buf_status(&left);
    if (status == EID_OK)
        status = eid_buf_status(&right);
    *out = eid_slice_equal(eid_buf_slice(&left), eid_buf_slice(&right));
    eid_buf_free(&left);
    eid_buf_free(&right);
    return status;
}

static eid_status compare_key(diff *d, eid_slice key, eid_key_change_callback callback, void *ctx, bool *wanted)
{
    eid_value *before = NULL, *after = NULL;
    bool equal = true;
    eid_storage_lock(d->storage);
    eid_status status = values_of(d, key, &before, &after);
    eid_storage_unlock(d->storage);
    if (status == EID_OK)
        status = are_equal(before, after, &equal);
    if (status == EID_OK && !equal) {
        eid_key_change change = {(const char *)key.data, key.len, before, after};
        *wanted = callback(&change, ctx);
    }
    eid_value_free(before);
    eid_value_free(after);
    return status;
}

/* ---- All keys ---- */

static eid_status smallest_key(eid_storage *storage, const char *text, int64_t s, eid_slice from, eid_buf *out, bool *found)
{
    eid_sql_stmt *stmt;
    bool row;
    EID_TRY(eid_sql_prepare(eid_storage_sql(storage), text, &stmt));
    eid_sql_bind_i64(stmt, 1, s);
    eid_sql_bind_blob(stmt, 2, from);
    EID_TRY(eid_sql_step(stmt, &row));
    if (!row)
        return EID_OK;
    eid_slice key = eid_sql_bytes(stmt, 0);
    if (!*found || eid_slice_compare(key, eid_buf_slice(out)) < 0) {
        eid_buf_reset(out);
        eid_buf_append_slice(out, key);
        *found = true;
    }
    eid_sql_reset(stmt);
    return eid_buf_status(out);
}

/* The first key at or behind `from` that was ever written. */
static eid_status next_key(diff *d, eid_slice from, eid_buf *out, bool *found)
{
    eid_tree *tree;
    eid_tree_store *store;
    *found = false;
    EID_TRY(eid_database_tree(d->database, &tree));
    EID_TRY(eid_storage_store(d->storage, tree, eid_slice_text(d->name), &store));
    EID_TRY(smallest_key(d->storage, "SELECT key FROM cell WHERE s = ? AND key >= ? ORDER BY key LIMIT 1", store->s, from, out,
                         found));
    return smallest_key(d->storage, "SELECT key FROM touch WHERE s = ? AND key >= ? ORDER BY key LIMIT 1", store->s, from, out,
                        found);
}

static eid_status compare_every_key(diff *d, eid_key_change_callback callback, void *ctx)
{
    eid_buf from, key;
    eid_buf_init(&from, SIZE_MAX / 2);
    eid_buf_init(&key, SIZE_MAX / 2);
    bool wanted = true;
    eid_status status = EID_OK;
    while (wanted && status == EID_OK) {
        eid_storage_lock(d->storage);
        status = next_key(d, eid_buf_slice(&from), &key, &wanted);
        eid_storage_unlock(d->storage);
        if (status != EID_OK || !wanted)
            break;
        /* What follows a key at once is the key and a zero byte. */
        eid_buf_reset(&from);
        eid_buf_append_slice(&from, eid_buf_slice(&key));
        eid_buf_append_byte(&from, 0);
        status = eid_buf_status(&from);
        if (status == EID_OK)
            status = compare_key(d, eid_slice_of(key.len == 0 ? (const uint8_t *)"" : key.data, key.len), callback, ctx, &wanted);
    }
    eid_buf_free(&from);
    eid_buf_free(&key);
    return status;
}

static eid_status compare_keys(diff *d, eid_key_change_callback callback, void *ctx)
{
    if (d->every_key)
        return compare_every_key(d, callback, ctx);
    bool wanted = true;
    for (eid_map_entry *e = eid_map_first(d->keys); e != NULL && wanted; e = eid_map_next(d->keys, e))
        EID_TRY(compare_key(d, e->key, callback, ctx, &wanted));
    return EID_OK;
}

/* ---- Between two snapshots ---- */

static eid_status find_sides(eid_database *database, const eid_id *from, size_t from_count, const eid_id *to, size_t to_count,
                             eid_sides *out)
{
    eid_side sides[SIDES] = {{from, from_count, false}, {to, to_count, to == NULL}};
    return eid_sides_find(database, sides, SIDES, out);
}

/* Whether the database has the store, and whether parents arrived behind their children in it. */
static eid_status look_at_store(diff *d, bool *known, bool *late_parents)
{
    eid_tree *tree;
    eid_tree_store *store = NULL;
    eid_storage_lock(d->storage);
    eid_status status = eid_database_tree(d->database, &tree);
    if (status == EID_OK)
        status = eid_storage_store(d->storage, tree, eid_slice_text(d->name), &store);
    *known = status == EID_OK && store != NULL;
    *late_parents = *known && store->has_late;
    eid_storage_unlock(d->storage);
    return status;
}

static eid_status find_difference(diff *d, const eid_id *from, size_t from_count, const eid_id *to, size_t to_count)
{
    bool known, late_parents;
    EID_TRY(find_sides(d->database, from, from_count, to, to_count, &d->sides));
    EID_TRY(look_at_store(d, &known, &late_parents));
    if (!known)
        return EID_OK;
    for (int i = 0; i < SIDES; i++)
        EID_TRY(find_extra(d, late_parents, i));
    return find_differing(d);
}

static void diff_free(diff *d)
{
    eid_sides_free(&d->sides);
    for (int i = 0; i < SIDES; i++)
        eid_free(d->state[i].extra);
    eid_buf_free(&d->differing);
    eid_map_free(d->keys, NULL);
}

eid_status eid_database_diff(eid_database *database, const char *store, const eid_id *from, size_t from_count, const eid_id *to,
                             size_t to_count, eid_key_change_callback callback, void *ctx)
{
    EID_NEED(database && store && (from || from_count == 0) && callback);
    diff d = {.database = database, .storage = database->core->storage, .name = store, .to_present = to == NULL};
    EID_TRY(eid_map_new(&d.keys));
    eid_buf_init(&d.differing, SIZE_MAX / 2);
    eid_status status = find_difference(&d, from, from_count, to, to_count);
    if (status == EID_OK)
        status = find_keys(&d);
    if (status == EID_OK)
        status = compare_keys(&d, callback, ctx);
    diff_free(&d);
    return status;
}

/* ---- Stores ---- */

typedef struct touched {
    const eid_sides *sides;
    bool found;
} touched;

static bool is_touched(const eid_participation *part, void *ctx)
{
    touched *t = ctx;
    uint8_t marks = eid_sides_of(t->sides, part->n);
    t->found = marks == FROM || marks == TO;
    return !t->found;
}

static eid_status copy_names(eid_database *database, eid_map *names)
{
    eid_tree *tree;
    eid_storage_lock(database->core->storage);
    eid_status status = eid_database_tree(database, &tree);
    for (eid_map_entry *e = status == EID_OK ? eid_map_first(tree->stores) : NULL; e != NULL && status == EID_OK;
         e = eid_map_next(tree->stores, e)) {
        eid_map_entry *place;
        if (e->key.len > 0)
            status = eid_map_put(names, e->key, &place, NULL);
    }
    eid_storage_unlock(database->core->storage);
    return status;
}

static eid_status tell_stores(eid_database *database, const eid_sides *sides, const eid_map *names,
                              eid_store_change_callback callback, void *ctx)
{
    bool wanted = true;
    for (eid_map_entry *e = eid_map_first(names); e != NULL && wanted; e = eid_map_next(names, e)) {
        touched t = {sides, false};
        for (size_t i = 0; i < sides->count && !t.found; i++)
            EID_TRY(each_participant(database, e->key, sides->runs[i].low, sides->runs[i].high, is_touched, &t, &t.found));
        if (t.found)
            wanted = callback((const char *)e->key.data, e->key.len, ctx);
    }
    return EID_OK;
}

eid_status eid_database_diff_stores(eid_database *database, const eid_id *from, size_t from_count, const eid_id *to,
                                    size_t to_count, eid_store_change_callback callback, void *ctx)
{
    EID_NEED(database && (from || from_count == 0) && (to || to_count == 0) && callback);
    eid_sides sides;
    eid_map *names;
    EID_TRY(eid_map_new(&names));
    eid_status status = find_sides(database, from, from_count, to, to_count, &sides);
    if (status == EID_OK) {
        status = copy_names(database, names);
        if (status == EID_OK)
            status = tell_stores(database, &sides, names, callback, ctx);
        eid_sides_free(&sides);
    }
    eid_map_free(names, NULL);
    return status;
}
