/* SPDX-License-Identifier: Apache-2.0 */
/* The index beside the journal: opening it, making it anew, committing it, and putting into it what it lacks.
 *
 * Which entries an index knows stands in its own meta table, written by the commit that brought them: the number and the hash
 * of the last one, and the identity of the journal. An index that does not fit the journal in any of them is thrown away.
 */
#include "storage/storage_int.h"

#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/log.h"
#include "codec/cid.h"

#define IN_MEMORY ":memory:"
/* From here on people who read logs are told about the progress. */
#define MANY 100000

/* ---- What the index says of itself ---- */

/* The first bytes of an entry's hash as the journal has them; *found false: there is no such entry. */
static eid_status read_prefix(eid_storage *storage, int64_t n, bool *found, uint64_t *h)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(storage->journal, "SELECT h FROM entry WHERE n = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, n);
    EID_TRY(eid_sql_step(stmt, found));
    *h = *found ? (uint64_t)eid_sql_i64(stmt, 0) : 0;
    eid_sql_reset(stmt);
    return EID_OK;
}

/* Number and hash of the last entry that is known: 16 bytes, big endian. */
static eid_status write_up_to(eid_storage *storage, int64_t n)
{
    uint64_t text[2] = {htobe64((uint64_t)n), 0};
    bool found = true;
    if (n != 0)
        EID_TRY(read_prefix(storage, n, &found, &text[1]));
    if (!found)
        return eid_fail(EID_ERR_CORRUPT, "Entry number %lld is missing from the data file", (long long)n);
    text[1] = htobe64(storage->left_out ? ~text[1] : text[1]);
    return eid_meta_write(storage->index, "up_to", eid_slice_of(text, sizeof text));
}

/* *n -1 when the row is not there or says nothing that fits the journal. */
static eid_status check_up_to(eid_storage *storage, eid_slice text, int64_t *n)
{
    uint64_t known[2], h = 0;
    bool found = true;
    *n = -1;
    if (text.len != sizeof known)
        return EID_OK;
    memcpy(known, text.data, sizeof known);
    int64_t number = (int64_t)be64toh(known[0]);
    if (number < 0 || number > storage->newest_n)
        return EID_OK;
    if (number > 0)
        EID_TRY(read_prefix(storage, number, &found, &h));
    if (found && h == be64toh(known[1]))
        *n = number;
    return EID_OK;
}

static eid_status same_identity(eid_storage *storage, bool *same)
{
    bool found;
    eid_buf mine, its;
    eid_buf_init(&mine, 1024);
    eid_buf_init(&its, 1024);
    eid_status status = eid_storage_meta_get(storage, "identity", &mine);
    if (status == EID_OK)
        status = eid_meta_read(storage->index, "identity", &found, &its);
    *same = status == EID_OK && eid_slice_equal(eid_buf_slice(&mine), eid_buf_slice(&its));
    eid_buf_free(&mine);
    eid_buf_free(&its);
    return status;
}

/* Whether the file has a table of that name at all: an empty file has not. */
static eid_status has_meta(eid_storage *storage, bool *has)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(storage->index, "SELECT 1 FROM sqlite_master WHERE name = 'meta'", &stmt));
    EID_TRY(eid_sql_step(stmt, has));
    eid_sql_reset(stmt);
    return EID_OK;
}

/* Looks at the open index. *n is the last entry it knows, -1 when it is not one of this journal and version. */
static eid_status examine(eid_storage *storage, int64_t *n)
{
    bool fits, found;
    *n = -1;
    EID_TRY(has_meta(storage, &fits));
    if (!fits)
        return EID_OK;
    EID_TRY(same_identity(storage, &fits));
    eid_buf text;
    eid_buf_init(&text, 1024);
    eid_status status = fits ? eid_meta_read(storage->index, "version", &found, &text) : EID_OK;
    fits = fits && eid_slice_is(eid_buf_slice(&text), EID_INDEX_VERSION);
    eid_buf_reset(&text);
    if (status == EID_OK && fits)
        status = eid_meta_read(storage->index, "up_to", &found, &text);
    if (status == EID_OK && fits)
        status = check_up_to(storage, eid_buf_slice(&text), n);
    eid_buf_free(&text);
    if (status == EID_OK && *n >= 0)
        status = eid_sql_number(storage->index, "SELECT COUNT(*) FROM fresh_id", &storage->settled_fresh_ids);
    return status;
}

/* ---- Making it anew ---- */

static eid_status fill_empty(eid_storage *storage)
{
    eid_buf identity;
    eid_buf_init(&identity, 1024);
    eid_status status = eid_storage_meta_get(storage, "identity", &identity);
    if (status == EID_OK)
        status = eid_sql_exec(storage->index, eid_index_schema);
    if (status == EID_OK)
        status = eid_meta_write(storage->index, "identity", eid_buf_slice(&identity));
    if (status == EID_OK)
        status = eid_meta_write(storage->index, "version", eid_slice_text(EID_INDEX_VERSION));
    if (status == EID_OK)
        status = write_up_to(storage, 0);
    eid_buf_free(&identity);
    return status;
}

static eid_status open_file(eid_storage *storage)
{
    eid_sql_options options = {.cache_kib = EID_LIMIT_INDEX_CACHE_KIB};
    EID_TRY(eid_sql_open(storage->index_path, &options, &storage->index));
    eid_sql_join_faults(storage->index, storage->journal);
    return EID_OK;
}

void eid_index_remove(const eid_storage *storage)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    char name[4096];
    if (strcmp(storage->index_path, IN_MEMORY) == 0)
        return;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        int len = snprintf(name, sizeof name, "%s%s", storage->index_path, suffixes[i]);
        if (len > 0 && (size_t)len < sizeof name)
            unlink(name);
    }
}

/* Puts an empty index in the place of what is there. */
static eid_status make_anew(eid_storage *storage)
{
    eid_sql_close(storage->index);
    storage->index = NULL;
    eid_index_remove(storage);
    EID_TRY(open_file(storage));
    EID_TRY(eid_sql_begin(storage->index));
    eid_status status = fill_empty(storage);
    if (status == EID_OK)
        return eid_sql_commit(storage->index);
    eid_sql_rollback(storage->index);
    return status;
}

/* After the index has gone back to its last commit, or to nothing. */
static void go_back(eid_storage *storage, int64_t n)
{
    storage->index_open = false;
    storage->indexed_n = n;
    storage->settled_n = n;
    storage->settle_at = n + EID_LIMIT_INDEX_BEHIND;
    storage->fresh_ids = storage->settled_fresh_ids;
    memset(storage->recent, 0, sizeof storage->recent);
    eid_buf_reset(&storage->bucket_notes);
    eid_storage_forget(storage);
}

eid_status eid_index_replace(eid_storage *storage)
{
    storage->settled_fresh_ids = 0;
    go_back(storage, 0);
    eid_status status = make_anew(storage);
    if (status != EID_OK) {
        eid_sql_close(storage->index);
        storage->index = NULL;
        return status;
    }
    return EID_OK;
}

static eid_status name_index(const char *path, bool in_memory, char **out)
{
    eid_buf name;
    eid_buf_init(&name, SIZE_MAX / 2);
    eid_buf_append_text(&name, path);
    if (!in_memory)
        eid_buf_append_text(&name, "-index");
    return eid_buf_take_text(&name, out);
}

eid_status eid_index_open(eid_storage *storage, const char *path)
{
    bool in_memory = strcmp(path, IN_MEMORY) == 0;
    EID_TRY(name_index(path, in_memory, &storage->index_path));
    EID_TRY(eid_sql_number(storage->journal, "SELECT MAX(n) FROM entry", &storage->newest_n));
    bool exists = !in_memory && access(storage->index_path, F_OK) == 0;
    int64_t n = -1;
    eid_status status = open_file(storage);
    if (status == EID_OK)
        status = examine(storage, &n);
    if (status != EID_OK && status != EID_ERR_CORRUPT)
        return status;
    if (status == EID_OK && n >= 0) {
        go_back(storage, n);
        return EID_OK;
    }
    if (exists)
        eid_log(EID_LOG_WARN, "The index %s %s; it is made anew", storage->index_path,
                status == EID_OK ? "does not belong to the data file as it is" : "is damaged");
    return eid_index_replace(storage);
}

/* ---- Its transaction ---- */

void eid_index_look(eid_storage *storage)
{
    if (!storage->index_open || eid_sql_in_transaction(storage->index))
        return;
    go_back(storage, storage->settled_n);
}

eid_status eid_storage_settle(eid_storage *storage)
{
    storage->settle_at = storage->indexed_n + EID_LIMIT_INDEX_BEHIND;
    eid_index_look(storage);
    if (!storage->index_open)
        return EID_OK;
    eid_status status = eid_storage_write_dirty(storage);
    if (status == EID_OK)
        status = eid_storage_sort_ids(storage);
    if (status == EID_OK)
        status = write_up_to(storage, storage->indexed_n);
    /* After a power failure the index must not know entries the journal has lost. */
    if (status == EID_OK)
        status = eid_sql_move_log(storage->journal);
    if (status == EID_OK)
        status = eid_sql_try_commit(storage->index);
    if (status == EID_OK) {
        storage->index_open = false;
        storage->settled_n = storage->indexed_n;
        storage->settled_fresh_ids = storage->fresh_ids;
    } else {
        eid_index_look(storage);
    }
    return status;
}

eid_status eid_storage_flush(eid_storage *storage)
{
    EID_TRY(eid_storage_settle(storage));
    EID_TRY(eid_sql_checkpoint(storage->journal));
    return eid_sql_checkpoint(storage->index);
}

eid_status eid_storage_compact(eid_storage *storage)
{
    EID_TRY(eid_storage_settle(storage));
    EID_TRY(eid_sql_compact(storage->journal));
    return eid_sql_compact(storage->index);
}

/* ---- Putting in what it lacks ---- */

void eid_storage_set_replay(eid_storage *storage, eid_replay replay)
{
    storage->replay = replay;
}

/* The numbers of its main parents; those that are not held are told by a check, not here. */
static eid_status find_parents(eid_storage *storage, const eid_tree *tree, const eid_entry *entry, int64_t n, eid_buf *out)
{
    for (size_t i = 0; i < entry->parent_count; i++) {
        int64_t parent, d;
        EID_TRY(eid_storage_find(storage, &entry->parents[i], &parent, &d));
        if (parent == 0 || parent >= n || d != tree->d)
            return eid_fail(EID_ERR_CORRUPT, "Entry number %lld in the data file is there without its parents", (long long)n);
        eid_buf_append(out, &parent, sizeof parent);
    }
    return eid_buf_status(out);
}

static eid_status replay_entry(eid_storage *storage, const eid_entry *entry, int64_t n, int64_t d)
{
    eid_tree *tree;
    EID_TRY(eid_storage_tree(storage, eid_entry_database_id(entry), &tree));
    if (tree->d != d)
        return eid_fail(EID_ERR_CORRUPT, "Entry number %lld in the data file stands in the wrong database", (long long)n);
    eid_buf parents;
    eid_buf_init(&parents, SIZE_MAX / 2);
    eid_status status = find_parents(storage, tree, entry, n, &parents);
    if (status == EID_OK)
        status = eid_storage_join(storage, tree, entry, n, (const int64_t *)(const void *)parents.data,
                                  parents.len / sizeof(int64_t));
    eid_buf_free(&parents);
    if (status == EID_OK) /* not before: who is left out must not be found */
        status = eid_storage_add_id(storage, &entry->id, n);
    if (status == EID_OK)
        eid_storage_remember(storage, &entry->id, n, d);
    if (status == EID_OK && storage->replay != NULL)
        status = storage->replay(storage, &storage->replay_batch, tree, entry, n);
    return status;
}

static eid_status replay_number(eid_storage *storage, int64_t n, int64_t d)
{
    eid_entry *entry;
    EID_TRY(eid_storage_load(storage, n, &entry));
    eid_status status = replay_entry(storage, entry, n, d);
    eid_entry_unref(entry);
    return status;
}

/* The next entries, inside a storage transaction. *last is the number of the last one. */
static eid_status replay_some(eid_storage *storage, int64_t *last)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(storage->journal, "SELECT n, d FROM entry WHERE n > ? ORDER BY n LIMIT ?", &stmt));
    int64_t numbers[EID_LIMIT_REPLAY_BATCH], trees[EID_LIMIT_REPLAY_BATCH];
    size_t count = 0;
    eid_sql_bind_i64(stmt, 1, storage->indexed_n);
    eid_sql_bind_i64(stmt, 2, EID_LIMIT_REPLAY_BATCH);
    for (;;) {
        bool row;
        EID_TRY(eid_sql_step(stmt, &row));
        if (!row)
            break;
        numbers[count] = eid_sql_i64(stmt, 0);
        trees[count++] = eid_sql_i64(stmt, 1);
    }
    for (size_t i = 0; i < count; i++) {
        eid_status status = replay_number(storage, numbers[i], trees[i]);
        if (status == EID_ERR_CORRUPT && storage->for_check) {
            eid_log(EID_LOG_ERROR, "Left out of the index: %s", eid_last_error());
            storage->left_out = true;
            status = EID_OK;
        }
        EID_TRY(status);
        *last = numbers[i];
    }
    return storage->replay == NULL ? EID_OK : storage->replay(storage, &storage->replay_batch, NULL, NULL, 0);
}

static eid_status replay_batch(eid_storage *storage)
{
    int64_t last = storage->indexed_n;
    EID_TRY(eid_storage_begin(storage));
    eid_status status = replay_some(storage, &last);
    if (status != EID_OK) {
        if (storage->replay != NULL)
            storage->replay(storage, &storage->replay_batch, NULL, NULL, -1);
        eid_storage_rollback(storage);
        return status;
    }
    EID_TRY(eid_storage_commit(storage));
    if (last == storage->indexed_n)
        return eid_fail(EID_ERR_CORRUPT, "Entries are missing at the end of the data file");
    storage->indexed_n = last;
    return EID_OK;
}

static eid_status catch_up(eid_storage *storage)
{
    int64_t from = storage->indexed_n, told = from;
    bool many = storage->newest_n - from >= MANY;
    while (storage->indexed_n < storage->newest_n) {
        EID_TRY(replay_batch(storage));
        if (storage->indexed_n - storage->settled_n >= EID_LIMIT_INDEX_REBUILD)
            EID_TRY(eid_storage_settle(storage));
        if (many && storage->indexed_n - told >= MANY) {
            told = storage->indexed_n;
            eid_log(EID_LOG_INFO, "Building the index %s: entry %lld of %lld", storage->index_path, (long long)told,
                    (long long)storage->newest_n);
        }
    }
    return EID_OK;
}

bool eid_storage_index_is_damaged(const eid_storage *storage)
{
    return storage->index == NULL || eid_sql_is_damaged(storage->index);
}

eid_status eid_storage_ready(eid_storage *storage)
{
    if (storage->in_transaction || storage->replaying)
        return EID_OK;
    if (eid_storage_index_is_damaged(storage)) {
        eid_log(EID_LOG_WARN, "The index %s is damaged; it is made anew", storage->index_path);
        EID_TRY(eid_index_replace(storage));
    }
    eid_index_look(storage);
    if (storage->indexed_n == storage->newest_n)
        return EID_OK;
    storage->replaying = true;
    eid_status status = catch_up(storage);
    storage->replaying = false;
    return status;
}

eid_status eid_storage_reindex(eid_storage *storage)
{
    EID_TRY(eid_index_replace(storage));
    return eid_storage_ready(storage);
}
