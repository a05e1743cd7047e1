/* SPDX-License-Identifier: Apache-2.0 */
/* Entries that can not be judged yet, and those judged wrong. Both are bounded: they hold what strangers sent. */
#include "storage/storage_int.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "base/random.h"
#include "codec/cid.h"

/* The first entry of the tree at or behind this ID; *found false when there is none. */
static eid_status find_behind(eid_storage *storage, const eid_tree *tree, const eid_id *from, eid_id *id, uint64_t *len, bool *found)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(storage->journal,
                            "SELECT id, LENGTH(bytes) FROM quarantine WHERE d = ? AND id >= ? ORDER BY id LIMIT 1", &stmt));
    eid_sql_bind_i64(stmt, 1, tree->d);
    eid_sql_bind_blob(stmt, 2, eid_id_slice(from));
    EID_TRY(eid_sql_step(stmt, found));
    if (!*found)
        return EID_OK;
    *len = (uint64_t)eid_sql_i64(stmt, 1);
    eid_status status = eid_id_from_binary(eid_sql_bytes(stmt, 0), id);
    eid_sql_reset(stmt);
    return status;
}

/* Any one of those that wait leaves: whoever floods the quarantine mostly drives out what is his own. */
static eid_status evict(eid_storage *storage, eid_tree *tree)
{
    uint8_t digest[32];
    eid_id from, id;
    uint64_t len = 0;
    bool found = false;
    eid_sql_stmt *stmt;
    eid_random_bytes(digest, sizeof digest);
    eid_id_from_digest(EID_CODEC_DAG_CBOR, digest, &from);
    EID_TRY(find_behind(storage, tree, &from, &id, &len, &found));
    if (!found) {
        memset(digest, 0, sizeof digest);
        eid_id_from_digest(EID_CODEC_DAG_CBOR, digest, &from);
        EID_TRY(find_behind(storage, tree, &from, &id, &len, &found));
    }
    if (!found)
        return eid_fail(EID_ERR_CORRUPT, "The waiting entries in the data file are not those that were counted");
    EID_TRY(eid_sql_prepare(storage->journal, "DELETE FROM quarantine WHERE id = ?", &stmt));
    eid_sql_bind_blob(stmt, 1, eid_id_slice(&id));
    EID_TRY(eid_sql_run(stmt));
    tree->waiting--;
    tree->waiting_bytes -= len;
    return EID_OK;
}

eid_status eid_storage_quarantine_add(eid_storage *storage, eid_tree *tree, const eid_entry *entry, const eid_id *missing)
{
    bool waits;
    EID_TRY(eid_storage_is_quarantined(storage, &entry->id, &waits));
    if (waits)
        return EID_OK;
    while (tree->waiting >= EID_LIMIT_QUARANTINE_ENTRIES || tree->waiting_bytes + entry->cbor_len > EID_LIMIT_QUARANTINE_BYTES)
        EID_TRY(evict(storage, tree));
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(storage->journal, "INSERT INTO quarantine (id, d, missing, bytes) VALUES (?, ?, ?, ?)", &stmt));
    eid_sql_bind_blob(stmt, 1, eid_id_slice(&entry->id));
    eid_sql_bind_i64(stmt, 2, tree->d);
    eid_sql_bind_blob(stmt, 3, eid_id_slice(missing));
    eid_sql_bind_blob(stmt, 4, eid_slice_of(entry->cbor, entry->cbor_len));
    EID_TRY(eid_sql_run(stmt));
    tree->waiting++;
    tree->waiting_bytes += entry->cbor_len;
    return EID_OK;
}

static eid_status read_waiting(eid_storage *storage, const eid_tree *tree, const eid_id *arrived, eid_buf *entries)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(storage->journal, "SELECT bytes FROM quarantine WHERE d = ? AND missing = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, tree->d);
    eid_sql_bind_blob(stmt, 2, eid_id_slice(arrived));
    for (;;) {
        bool row;
        EID_TRY(eid_sql_step(stmt, &row));
        if (!row)
            return eid_buf_status(entries);
        eid_slice bytes = eid_sql_bytes(stmt, 0);
        eid_entry *entry = NULL;
        eid_status status = eid_entry_read_cbor(bytes.data, bytes.len, &entry);
        if (status != EID_OK) {
            eid_sql_reset(stmt);
            return status;
        }
        eid_buf_append(entries, &entry, sizeof entry);
        if (entries->status != EID_OK)
            eid_entry_unref(entry);
    }
}

eid_status eid_storage_quarantine_take(eid_storage *storage, eid_tree *tree, const eid_id *arrived, eid_entry ***out,
                                       size_t *count)
{
    eid_buf entries;
    eid_buf_init(&entries, (EID_LIMIT_QUARANTINE_ENTRIES + 1) * sizeof(eid_entry *));
    eid_status status = read_waiting(storage, tree, arrived, &entries);
    eid_sql_stmt *stmt;
    if (status == EID_OK && entries.len > 0) {
        status = eid_sql_prepare(storage->journal, "DELETE FROM quarantine WHERE d = ? AND missing = ?", &stmt);
        if (status == EID_OK) {
            eid_sql_bind_i64(stmt, 1, tree->d);
            eid_sql_bind_blob(stmt, 2, eid_id_slice(arrived));
            status = eid_sql_run(stmt);
        }
    }
    if (status != EID_OK) {
        eid_entry **held = (eid_entry **)(void *)entries.data;
        for (size_t i = 0; i < entries.len / sizeof *held; i++)
            eid_entry_unref(held[i]);
        eid_buf_free(&entries);
        return status;
    }
    *count = entries.len / sizeof(eid_entry *);
    for (size_t i = 0; i < *count; i++) {
        tree->waiting--;
        tree->waiting_bytes -= ((eid_entry **)(void *)entries.data)[i]->cbor_len;
    }
    *out = (eid_entry **)(void *)entries.data; /* the buffer's memory goes to the caller; NULL when nothing waits */
    return EID_OK;
}

eid_status eid_storage_is_quarantined(eid_storage *storage, const eid_id *id, bool *out)
{
    eid_sql_stmt *stmt;
    bool row;
    EID_TRY(eid_sql_prepare(storage->journal, "SELECT 1 FROM quarantine WHERE id = ?", &stmt));
    eid_sql_bind_blob(stmt, 1, eid_id_slice(id));
    EID_TRY(eid_sql_step(stmt, &row));
    if (row)
        eid_sql_reset(stmt);
    *out = row;
    return EID_OK;
}

eid_status eid_storage_refuse(eid_storage *storage, const eid_id *id, eid_status reason)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(storage->journal,
                            "INSERT INTO refused (k, id, reason) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING", &stmt));
    eid_sql_bind_i64(stmt, 1, storage->next_refusal);
    eid_sql_bind_blob(stmt, 2, eid_id_slice(id));
    eid_sql_bind_i64(stmt, 3, (int64_t)reason);
    EID_TRY(eid_sql_run(stmt));
    if (eid_sql_changes(storage->journal) == 0)
        return EID_OK; /* refused before: no number is used up, so nothing else is forgotten for it */
    storage->next_refusal++;
    EID_TRY(eid_sql_prepare(storage->journal, "DELETE FROM refused WHERE k <= ?", &stmt));
    eid_sql_bind_i64(stmt, 1, storage->next_refusal - 1 - EID_LIMIT_REFUSED_IDS);
    return eid_sql_run(stmt);
}

eid_status eid_storage_was_refused(eid_storage *storage, const eid_id *id, eid_status *reason)
{
    eid_sql_stmt *stmt;
    bool row;
    *reason = EID_OK;
    if (storage->next_refusal == 1)
        return EID_OK; /* nothing ever was */
    EID_TRY(eid_sql_prepare(storage->journal, "SELECT reason FROM refused WHERE id = ?", &stmt));
    eid_sql_bind_blob(stmt, 1, eid_id_slice(id));
    EID_TRY(eid_sql_step(stmt, &row));
    if (row) {
        *reason = (eid_status)eid_sql_i64(stmt, 0);
        eid_sql_reset(stmt);
    }
    return EID_OK;
}
