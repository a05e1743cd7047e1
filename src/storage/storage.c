/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the storage, and its transactions. */
#include "storage/storage_int.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/random.h"

static eid_status make_identity(eid_storage *storage)
{
    uint8_t identity[16];
    eid_buf have;
    eid_buf_init(&have, 64);
    eid_status status = eid_storage_meta_get(storage, "identity", &have);
    eid_buf_free(&have);
    if (status != EID_ERR_NOT_FOUND)
        return status;
    eid_random_bytes(identity, sizeof identity);
    return eid_storage_meta_set(storage, "identity", eid_slice_of(identity, sizeof identity));
}

static eid_status open_files(eid_storage *storage, const eid_storage_options *options)
{
    eid_sql_options sql_options = {.must_exist = options->must_exist,
                                   .full_sync = options->full_sync,
                                   .cache_kib = EID_LIMIT_JOURNAL_CACHE_KIB};
    EID_TRY(eid_map_new(&storage->trees));
    EID_TRY(eid_sql_open(options->path, &sql_options, &storage->journal));
    EID_TRY(eid_schema_open(storage, &eid_schema_present));
    EID_TRY(make_identity(storage));
    EID_TRY(eid_index_open(storage, options->path));
    eid_status status = eid_storage_read_counters(storage);
    if (status != EID_ERR_CORRUPT || !eid_storage_index_is_damaged(storage))
        return status;
    EID_TRY(eid_index_replace(storage));
    return eid_storage_read_counters(storage);
}

eid_status eid_storage_open(const eid_storage_options *options, eid_storage **out)
{
    eid_storage *storage = eid_alloc_zero(1, sizeof *storage);
    if (storage == NULL)
        return eid_fail_memory();
    pthread_mutex_init(&storage->mutex, NULL);
    eid_buf_init(&storage->bucket_notes, SIZE_MAX / 2);
    storage->for_check = options->for_check;
    eid_status status = open_files(storage, options);
    if (status != EID_OK) {
        eid_storage_close(storage);
        return status;
    }
    *out = storage;
    return EID_OK;
}

void eid_storage_close(eid_storage *storage)
{
    if (storage == NULL)
        return;
    if (storage->in_transaction)
        eid_storage_rollback(storage);
    if (storage->index != NULL && !eid_sql_is_damaged(storage->index) && eid_storage_settle(storage) != EID_OK)
        eid_log(EID_LOG_WARN, "The index %s could not be written (%s); what it lacks is made again when the file is opened",
                storage->index_path, eid_last_error());
    if (storage->trees != NULL) {
        for (eid_map_entry *e = eid_map_first(storage->trees); e != NULL; e = eid_map_next(storage->trees, e))
            eid_tree_free(storage, e->value);
        eid_map_free(storage->trees, NULL);
    }
    eid_free(storage->dirty);
    eid_buf_free(&storage->bucket_notes);
    bool damaged = storage->index != NULL && eid_sql_is_damaged(storage->index);
    eid_sql_close(storage->index);
    if (damaged) /* else the next owner would have to find it out again */
        eid_index_remove(storage);
    eid_sql_close(storage->journal);
    eid_free(storage->index_path);
    pthread_mutex_destroy(&storage->mutex);
    eid_free(storage);
}

eid_sql *eid_storage_sql(eid_storage *storage)
{
    return storage->index;
}

eid_sql *eid_storage_journal(eid_storage *storage)
{
    return storage->journal;
}

void eid_storage_set_cache_free(eid_storage *storage, void (*free_cache)(void *cache))
{
    storage->free_cache = free_cache;
}

void eid_storage_lock(eid_storage *storage)
{
    pthread_mutex_lock(&storage->mutex);
}

void eid_storage_unlock(eid_storage *storage)
{
    pthread_mutex_unlock(&storage->mutex);
}

eid_status eid_storage_begin(eid_storage *storage)
{
    EID_TRY(eid_storage_ready(storage));
    if (!storage->index_open) {
        EID_TRY(eid_sql_begin(storage->index));
        storage->index_open = true;
    }
    EID_TRY(eid_sql_begin(storage->journal));
    storage->changes_before = eid_sql_total_changes(storage->index);
    storage->admitted_n = 0;
    storage->in_transaction = true;
    return EID_OK;
}

/* An index that can not be committed now stays as it is: its transaction goes on, or is made again. */
static void settle_when_due(eid_storage *storage)
{
    if (storage->indexed_n >= storage->settle_at && eid_storage_settle(storage) != EID_OK)
        eid_log(EID_LOG_WARN, "The index %s could not be written: %s", storage->index_path, eid_last_error());
}

eid_status eid_storage_commit(eid_storage *storage)
{
    eid_status status = EID_OK;
    /* After some failures the engine undoes everything by itself; nobody may have noticed. */
    if (!eid_sql_in_transaction(storage->index))
        status = eid_fail(EID_ERR_STORAGE, "The database engine has given up the transaction");
    if (status == EID_OK)
        status = eid_sql_commit(storage->journal);
    if (status != EID_OK) {
        eid_storage_rollback(storage);
        return status;
    }
    storage->in_transaction = false;
    if (storage->admitted_n != 0) {
        storage->newest_n = storage->admitted_n;
        storage->indexed_n = storage->admitted_n;
        settle_when_due(storage);
    }
    return EID_OK;
}

void eid_storage_rollback(eid_storage *storage)
{
    eid_sql_rollback(storage->journal);
    storage->in_transaction = false;
    /* To undo the index's part alone it would have to be written down at each step; failures are rare, commits are not. */
    if (eid_sql_total_changes(storage->index) != storage->changes_before || storage->dirty_count > 0)
        eid_sql_rollback(storage->index);
    eid_index_look(storage);
    eid_storage_forget(storage);
}

static eid_status read_next(eid_sql *sql, const char *text, int64_t *next)
{
    EID_TRY(eid_sql_number(sql, text, next));
    (*next)++;
    return EID_OK;
}

eid_status eid_storage_read_counters(eid_storage *storage)
{
    EID_TRY(read_next(storage->journal, "SELECT MAX(n) FROM entry", &storage->next_n));
    EID_TRY(read_next(storage->journal, "SELECT MAX(d) FROM tree", &storage->next_d));
    EID_TRY(read_next(storage->index, "SELECT MAX(s) FROM store", &storage->next_s));
    return read_next(storage->journal, "SELECT MAX(k) FROM refused", &storage->next_refusal);
}
