/* SPDX-License-Identifier: Apache-2.0 */
/* History: entries in order from a cursor, and the writes of one key. What changed between snapshots is in diff.c. */
#include <eidetica/history.h>

#include <stdio.h>

#include "base/alloc.h"
#include "base/sized.h"
#include "codec/cid.h"
#include "database/history_int.h"
#include "database/places.h"

/* ---- Cursors: "h1:HEIGHT:ID", or "" for the beginning ---- */

#define CURSOR_PREFIX "h1:"

static eid_status bad_cursor(const char *text)
{
    return eid_fail(EID_ERR_SYNTAX, "\"%.100s\" is not a place in a history", text);
}

eid_status eid_cursor_parse(const char *text, const char *prefix, uint64_t *number, eid_id *id)
{
    size_t len = strlen(prefix);
    if (strncmp(text, prefix, len) != 0)
        return bad_cursor(text);
    const char *p = text + len;
    uint64_t value = 0;
    size_t digits = 0;
    for (; *p >= '0' && *p <= '9'; p++, digits++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (value > (INT64_MAX - digit) / 10)
            return bad_cursor(text);
        value = value * 10 + digit;
    }
    eid_id read;
    if (digits == 0 || *p != ':' || p[1] == '\0' || eid_id_parse(p + 1, &read) != EID_OK || eid_id_is_empty(&read))
        return bad_cursor(text);
    *number = value;
    *id = read;
    return EID_OK;
}

eid_status eid_cursor_format(const char *prefix, uint64_t number, const eid_id *id, char **out)
{
    char id_text[EID_ID_TEXT_SIZE], text[EID_ID_TEXT_SIZE + 32];
    eid_id_format(id, id_text);
    snprintf(text, sizeof text, "%s%llu:%s", prefix, (unsigned long long)number, id_text);
    char *copy = eid_strdup(text);
    if (copy == NULL)
        return eid_fail_memory();
    *out = copy;
    return EID_OK;
}

/* ---- Entries in order ---- */

struct eid_history {
    eid_database *database;
    char *store;             /* NULL: the main DAG */
    eid_places places;
    eid_sides sides;
    eid_node next;           /* found, but not handed out yet */
    bool has_next;
    eid_node last;           /* handed out last, or the cursor's place */
    bool has_last;
};

static eid_status read_options(eid_history *history, const eid_history_options *options)
{
    if (options->store != NULL) {
        history->store = eid_strdup(options->store);
        if (history->store == NULL)
            return eid_fail_memory();
    }
    if (options->order != EID_HISTORY_OLDEST_FIRST && options->order != EID_HISTORY_NEWEST_FIRST)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "A history goes oldest first or newest first");
    history->places.newest_first = options->order == EID_HISTORY_NEWEST_FIRST;
    if (options->cursor != NULL && options->cursor[0] != '\0') {
        EID_TRY(eid_cursor_parse(options->cursor, CURSOR_PREFIX, &history->last.height, &history->last.id));
        history->has_last = true;
        history->places.place = history->last;
        history->places.has_place = true;
    }
    return EID_OK;
}

/* Fixes what is shown. */
static eid_status fix_view(eid_history *history, const eid_history_options *options)
{
    eid_storage *storage = history->database->core->storage;
    eid_tree *tree;
    if (options->tips != NULL) {
        eid_side side = {options->tips, options->tip_count, false};
        EID_TRY(eid_sides_find(history->database, &side, 1, &history->sides));
        history->places.up_to = history->sides.up_to;
        history->places.sides = &history->sides;
        history->places.side = 1;
        return EID_OK;
    }
    eid_storage_lock(storage);
    eid_status status = eid_database_tree(history->database, &tree);
    if (status == EID_OK)
        history->places.up_to = tree->main->newest;
    eid_storage_unlock(storage);
    return status;
}

eid_status eid_history_open(eid_database *database, const eid_history_options *options, eid_history **out)
{
    EID_NEED(database && out);
    eid_history_options used = EID_HISTORY_OPTIONS_INIT;
    if (options != NULL)
        EID_TRY(eid_sized_take(&used, sizeof used, options, "eid_history_options"));
    eid_history *history = eid_alloc_zero(1, sizeof *history);
    if (history == NULL)
        return eid_fail_memory();
    history->database = database;
    eid_status status = read_options(history, &used);
    if (status == EID_OK)
        status = fix_view(history, &used);
    if (status != EID_OK) {
        eid_history_close(history);
        return status;
    }
    *out = history;
    return EID_OK;
}

void eid_history_close(eid_history *history)
{
    if (history == NULL)
        return;
    eid_places_free(&history->places);
    eid_sides_free(&history->sides);
    eid_free(history->store);
    eid_free(history);
}

/* Finds the next place, unless the last call failed behind finding it, and loads its entry; the lock is held. */
static eid_status load_next(eid_history *history, eid_entry **out)
{
    eid_storage *storage = history->database->core->storage;
    if (!history->has_next) {
        eid_tree *tree;
        eid_tree_store *store;
        EID_TRY(eid_database_tree(history->database, &tree));
        EID_TRY(eid_storage_store(storage, tree, eid_slice_text(history->store == NULL ? "" : history->store), &store));
        EID_TRY(eid_places_next(&history->places, storage, store, &history->next, &history->has_next));
    }
    return history->has_next ? eid_storage_load(storage, history->next.n, out) : EID_OK;
}

eid_status eid_history_next(eid_history *history, eid_entry **out)
{
    EID_NEED(history && out);
    eid_entry *entry = NULL;
    eid_storage_lock(history->database->core->storage);
    eid_status status = load_next(history, &entry);
    eid_storage_unlock(history->database->core->storage);
    EID_TRY(status);
    if (history->has_next) {
        history->last = history->next;
        history->has_last = true;
        history->has_next = false;
    }
    *out = entry;
    return EID_OK;
}

eid_status eid_history_cursor(const eid_history *history, char **out)
{
    EID_NEED(history && out);
    if (history->has_last)
        return eid_cursor_format(CURSOR_PREFIX, history->last.height, &history->last.id, out);
    char *copy = eid_strdup("");
    if (copy == NULL)
        return eid_fail_memory();
    *out = copy;
    return EID_OK;
}

/* ---- Who wrote a key ---- */

eid_status eid_entry_child(const eid_entry *entry, eid_slice store, eid_slice key, eid_value **out)
{
    const eid_subtree *subtree = eid_entry_subtree(entry, store);
    *out = NULL;
    if (subtree == NULL || !subtree->has_data || subtree->data_len == 0)
        return EID_OK;
    eid_doc *doc;
    eid_status status = eid_doc_parse(eid_slice_of(subtree->data, subtree->data_len), &doc);
    if (status == EID_ERR_NO_MEMORY)
        return status;
    if (status != EID_OK)
        return EID_OK;
    *out = eid_doc_take_child(doc, key);
    eid_doc_free(doc);
    return EID_OK;
}

static eid_status describe_write(const eid_entry *entry, const eid_node *place, const char *store, eid_slice key,
                                 eid_key_write *write, eid_value **value)
{
    EID_TRY(eid_entry_child(entry, eid_slice_text(store), key, value));
    if (*value == NULL) {
        char text[EID_ID_TEXT_SIZE];
        eid_id_format(&entry->id, text);
        return eid_fail(EID_ERR_CORRUPT, "Entry %s did not write the key it is noted for; check the database", text);
    }
    *write = (eid_key_write){.entry = entry->id, .height = place->height};
    write->has_signer = eid_entry_signer(entry, &write->signer);
    write->deleted = eid_value_get_kind(*value) == EID_VALUE_DELETED;
    return EID_OK;
}

static eid_status find_store(eid_database *database, const char *name, eid_tree_store **out)
{
    eid_tree *tree;
    EID_TRY(eid_database_tree(database, &tree));
    return eid_storage_store(database->core->storage, tree, eid_slice_text(name), out);
}

static eid_status cell_place(eid_storage *storage, const eid_tree_store *store, eid_slice key, eid_node *out, bool *found)
{
    eid_sql_stmt *stmt;
    *found = false;
    if (store == NULL)
        return EID_OK;
    EID_TRY(eid_sql_prepare(eid_storage_sql(storage), "SELECT height, n FROM cell WHERE s = ? AND key = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, store->s);
    eid_sql_bind_blob(stmt, 2, key);
    EID_TRY(eid_sql_step(stmt, found));
    if (*found) {
        out->height = (uint64_t)eid_sql_i64(stmt, 0);
        out->n = eid_sql_i64(stmt, 1);
        eid_sql_reset(stmt);
    }
    return EID_OK;
}

eid_status eid_database_last_write(eid_database *database, const char *store, const char *key, eid_key_write *out)
{
    EID_NEED(database && store && key && out);
    eid_storage *storage = database->core->storage;
    eid_tree_store *found_store;
    eid_entry *entry = NULL;
    eid_node place = {0};
    bool found = false;
    eid_storage_lock(storage);
    eid_status status = find_store(database, store, &found_store);
    if (status == EID_OK)
        status = cell_place(storage, found_store, eid_slice_text(key), &place, &found);
    if (status == EID_OK && found)
        status = eid_storage_load(storage, place.n, &entry);
    eid_storage_unlock(storage);
    EID_TRY(status);
    if (!found)
        return eid_fail(EID_ERR_KEY_NOT_FOUND, "Nobody wrote the key %s of store %s", key, store);
    eid_value *value = NULL;
    eid_key_write write;
    status = describe_write(entry, &place, store, eid_slice_text(key), &write, &value);
    eid_value_free(value);
    eid_entry_unref(entry);
    EID_TRY(status);
    *out = write;
    return EID_OK;
}

/* The next write and its entry, NULL at the end; the lock is held. */
static eid_status next_write(eid_database *database, const char *name, eid_places *places, eid_node *place, bool *replaced,
                             eid_entry **entry)
{
    eid_tree_store *store;
    bool found = false;
    EID_TRY(find_store(database, name, &store));
    EID_TRY(eid_places_next(places, database->core->storage, store, place, &found));
    if (!found)
        return EID_OK;
    *replaced = store->has_barrier && eid_places_compare(place, &store->barrier) < 0;
    return eid_storage_load(database->core->storage, place->n, entry);
}

static eid_status hand_out(eid_entry *entry, const eid_node *place, bool replaced, const char *store, eid_slice key,
                           eid_key_write_callback callback, void *ctx, bool *wanted)
{
    eid_value *value = NULL;
    eid_key_write write;
    eid_status status = describe_write(entry, place, store, key, &write, &value);
    if (status == EID_OK) {
        write.replaced = replaced;
        *wanted = callback(&write, value, ctx);
    }
    eid_value_free(value);
    return status;
}

eid_status eid_database_each_write(eid_database *database, const char *store, const char *key, eid_key_write_callback callback,
                                   void *ctx)
{
    EID_NEED(database && store && key && callback);
    eid_storage *storage = database->core->storage;
    eid_places places = {.newest_first = true, .of_key = true, .key = eid_slice_text(key)};
    eid_tree *tree;
    eid_storage_lock(storage);
    eid_status status = eid_database_tree(database, &tree);
    if (status == EID_OK)
        places.up_to = tree->main->newest;
    eid_storage_unlock(storage);
    bool wanted = status == EID_OK;
    while (wanted) {
        eid_entry *entry = NULL;
        eid_node place;
        bool replaced = false;
        eid_storage_lock(storage);
        status = next_write(database, store, &places, &place, &replaced, &entry);
        eid_storage_unlock(storage);
        wanted = entry != NULL;
        if (wanted)
            status = hand_out(entry, &place, replaced, store, places.key, callback, ctx, &wanted);
        eid_entry_unref(entry);
        wanted = wanted && status == EID_OK;
    }
    eid_places_free(&places);
    return status;
}
