/* SPDX-License-Identifier: Apache-2.0 */
/* Entries: their rows, the index from IDs to them, admission. */
#include "storage/storage_int.h"

#include "base/alloc.h"
#include "codec/cbor.h"
#include "codec/cid.h"
#include "crypto/blake3.h"

#define ROWS_BYTES (1u << 20) /* of entries read under one hold of the lock */

int64_t eid_id_prefix(const eid_id *id)
{
    uint64_t number = 0;
    for (size_t i = 0; i < 8; i++)
        number = number << 8 | id->bytes[EID_DIGEST_AT + i];
    return (int64_t)number;
}

/* ---- IDs ---- */

static eid_recent *recent_place(eid_storage *storage, const eid_id *id)
{
    return &storage->recent[(uint64_t)eid_id_prefix(id) % EID_RECENT];
}

void eid_storage_remember(eid_storage *storage, const eid_id *id, int64_t n, int64_t d)
{
    *recent_place(storage, id) = (eid_recent){.id = *id, .n = n, .d = d};
}

eid_status eid_storage_add_id(eid_storage *storage, const eid_id *id, int64_t n)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(storage->index, "INSERT INTO fresh_id (h, n) VALUES (?, ?)", &stmt));
    eid_sql_bind_i64(stmt, 1, eid_id_prefix(id));
    eid_sql_bind_i64(stmt, 2, n);
    storage->fresh_ids++;
    return eid_sql_run(stmt);
}

eid_status eid_storage_sort_ids(eid_storage *storage)
{
    if (storage->fresh_ids < EID_LIMIT_FRESH_IDS)
        return EID_OK;
    EID_TRY(eid_sql_exec(storage->index, "INSERT INTO old_id (h, n) SELECT h, n FROM fresh_id ORDER BY h, n; DELETE FROM fresh_id;"));
    storage->fresh_ids = 0;
    return EID_OK;
}

static eid_status missing_entry(int64_t n)
{
    return eid_fail(EID_ERR_CORRUPT, "Entry number %lld is missing from the data file", (long long)n);
}

static eid_status damaged_entry(int64_t n)
{
    return eid_fail(EID_ERR_CORRUPT, "Entry number %lld in the data file is damaged", (long long)n);
}

/* The ID is the hash of the bytes. */
eid_status eid_storage_read_id(eid_storage *storage, int64_t n, eid_id *out, int64_t *d)
{
    eid_sql_stmt *stmt;
    bool row;
    eid_id id;
    *d = 0;
    EID_TRY(eid_sql_prepare(storage->journal, "SELECT d, h, bytes FROM entry WHERE n = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, n);
    EID_TRY(eid_sql_step(stmt, &row));
    if (!row)
        return EID_OK;
    eid_slice bytes = eid_sql_bytes(stmt, 2);
    eid_id_of_bytes(EID_CODEC_DAG_CBOR, bytes.data, bytes.len, &id);
    bool sound = eid_id_prefix(&id) == eid_sql_i64(stmt, 1);
    *d = eid_sql_i64(stmt, 0);
    eid_sql_reset(stmt);
    if (!sound)
        return damaged_entry(n);
    *out = id;
    return EID_OK;
}

eid_status eid_storage_id(eid_storage *storage, int64_t n, eid_id *out)
{
    int64_t d;
    eid_id id;
    EID_TRY(eid_storage_read_id(storage, n, &id, &d));
    if (d == 0)
        return missing_entry(n);
    *out = id;
    return EID_OK;
}

/* Looks among the entries whose hash begins with the same bytes. Mostly there is one; others could be made on purpose. */
static eid_status find_in_index(eid_storage *storage, const eid_id *id, int64_t *n, int64_t *d)
{
    eid_sql_stmt *stmt;
    *n = 0;
    EID_TRY(eid_sql_prepare(storage->index, "SELECT n FROM entry_id WHERE h = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, eid_id_prefix(id));
    for (;;) {
        bool row;
        eid_id found;
        int64_t found_d;
        EID_TRY(eid_sql_step(stmt, &row));
        if (!row)
            return EID_OK;
        int64_t candidate = eid_sql_i64(stmt, 0);
        eid_status status = eid_storage_read_id(storage, candidate, &found, &found_d);
        bool same = status == EID_OK && found_d != 0 && eid_id_equal(&found, id);
        if (same) {
            *n = candidate;
            *d = found_d;
        }
        if (same || status != EID_OK) {
            eid_sql_reset(stmt);
            return status;
        }
    }
}

eid_status eid_storage_find(eid_storage *storage, const eid_id *id, int64_t *n, int64_t *d)
{
    EID_TRY(eid_storage_ready(storage));
    int64_t found = 0, found_d = 0;
    if (eid_id_is_entry(id)) {
        const eid_recent *recent = recent_place(storage, id);
        if (eid_id_equal(&recent->id, id)) {
            found = recent->n;
            found_d = recent->d;
        } else {
            EID_TRY(find_in_index(storage, id, &found, &found_d));
            eid_storage_remember(storage, id, found, found_d);
        }
    }
    *n = found;
    if (d != NULL)
        *d = found_d;
    return EID_OK;
}

/* ---- Bytes ---- */

eid_status eid_storage_load(eid_storage *storage, int64_t n, eid_entry **out)
{
    eid_sql_stmt *stmt;
    bool row;
    eid_entry *entry = NULL;
    EID_TRY(eid_sql_prepare(storage->journal, "SELECT h, bytes FROM entry WHERE n = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, n);
    EID_TRY(eid_sql_step(stmt, &row));
    if (!row)
        return missing_entry(n);
    eid_slice bytes = eid_sql_bytes(stmt, 1);
    int64_t h = eid_sql_i64(stmt, 0);
    eid_status status = eid_entry_read_cbor(bytes.data, bytes.len, &entry);
    eid_sql_reset(stmt);
    if (status == EID_ERR_NO_MEMORY)
        return status;
    if (status != EID_OK || eid_id_prefix(&entry->id) != h) {
        eid_entry_unref(entry);
        return damaged_entry(n);
    }
    *out = entry;
    return EID_OK;
}

eid_status eid_storage_rows(eid_storage *storage, int64_t d, int64_t after, int64_t up_to, size_t limit, eid_entry_row *out,
                            size_t *count)
{
    eid_sql_stmt *stmt;
    size_t total = 0;
    *count = 0;
    EID_TRY(eid_sql_prepare(storage->journal,
                            "SELECT n, h, bytes FROM entry WHERE d = ? AND n > ? AND n <= ? ORDER BY n", &stmt));
    eid_sql_bind_i64(stmt, 1, d);
    eid_sql_bind_i64(stmt, 2, after);
    eid_sql_bind_i64(stmt, 3, up_to);
    while (*count < limit && total < ROWS_BYTES) {
        bool row;
        EID_TRY(eid_sql_step(stmt, &row));
        if (!row)
            return EID_OK;
        eid_slice bytes = eid_sql_bytes(stmt, 2);
        eid_entry_row next = {.n = eid_sql_i64(stmt, 0), .h = eid_sql_i64(stmt, 1), .len = bytes.len};
        next.bytes = eid_memdup(bytes.data, bytes.len);
        if (next.bytes == NULL) {
            eid_sql_reset(stmt);
            return eid_fail_memory();
        }
        out[(*count)++] = next;
        total += bytes.len;
    }
    eid_sql_reset(stmt);
    return EID_OK;
}

eid_status eid_storage_append_bytes(eid_storage *storage, int64_t n, eid_buf *out)
{
    eid_sql_stmt *stmt;
    bool row;
    eid_id id;
    EID_TRY(eid_sql_prepare(storage->journal, "SELECT h, bytes FROM entry WHERE n = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, n);
    EID_TRY(eid_sql_step(stmt, &row));
    if (!row)
        return missing_entry(n);
    eid_slice bytes = eid_sql_bytes(stmt, 1);
    eid_id_of_bytes(EID_CODEC_DAG_CBOR, bytes.data, bytes.len, &id);
    bool sound = eid_id_prefix(&id) == eid_sql_i64(stmt, 0);
    if (sound)
        eid_cbor_write_bytes(out, bytes.data, bytes.len);
    eid_sql_reset(stmt);
    return sound ? eid_buf_status(out) : damaged_entry(n);
}

eid_status eid_storage_slice_numbers(eid_storage *storage, const eid_tree *tree, eid_place *place, size_t limit, int64_t *out,
                                     size_t *count)
{
    eid_order order;
    eid_place next = *place;
    size_t found = 0;
    EID_TRY(eid_storage_order_start(storage, tree->main, false, place->rank, place->n, &order));
    eid_status status = EID_OK;
    while (found < limit) {
        bool more;
        eid_place at = {.up_to = place->up_to};
        status = eid_storage_order_next(&order, &at.rank, &at.n, &more);
        if (status != EID_OK || !more)
            break;
        if (at.n > place->up_to)
            continue;
        next = at;
        out[found++] = at.n;
    }
    eid_storage_order_stop(&order);
    EID_TRY(status);
    *place = next;
    *count = found;
    return EID_OK;
}

eid_status eid_storage_slice(eid_storage *storage, const eid_tree *tree, eid_place *place, size_t limit, eid_entry **out,
                             size_t *count)
{
    eid_place next = *place;
    size_t found = 0, loaded = 0;
    int64_t *numbers = eid_realloc_array(NULL, limit + 1, sizeof *numbers);
    eid_status status = numbers == NULL ? eid_fail_memory()
                                        : eid_storage_slice_numbers(storage, tree, &next, limit, numbers, &found);
    while (status == EID_OK && loaded < found) {
        status = eid_storage_load(storage, numbers[loaded], &out[loaded]);
        loaded += status == EID_OK;
    }
    eid_free(numbers);
    if (status != EID_OK) {
        while (loaded > 0)
            eid_entry_unref(out[--loaded]);
        return status;
    }
    *place = next;
    *count = found;
    return EID_OK;
}

/* ---- Admission ---- */

static eid_status insert_entry(eid_storage *storage, const eid_tree *tree, const eid_entry *entry, int64_t n)
{
    eid_sql_stmt *stmt;
    int64_t held;
    EID_TRY(eid_storage_find(storage, &entry->id, &held, NULL));
    if (held != 0)
        return eid_fail(EID_ERR_ALREADY_EXISTS, "The entry is held already");
    EID_TRY(eid_sql_prepare(storage->journal, "INSERT INTO entry (n, d, h, bytes) VALUES (?, ?, ?, ?)", &stmt));
    eid_sql_bind_i64(stmt, 1, n);
    eid_sql_bind_i64(stmt, 2, tree->d);
    eid_sql_bind_i64(stmt, 3, eid_id_prefix(&entry->id));
    eid_sql_bind_blob(stmt, 4, eid_slice_of(entry->cbor, entry->cbor_len));
    EID_TRY(eid_sql_run(stmt));
    return eid_storage_add_id(storage, &entry->id, n);
}

eid_status eid_storage_admit(eid_storage *storage, eid_tree *tree, const eid_entry *entry, const int64_t *parents,
                             size_t parent_count, int64_t *n)
{
    int64_t next = storage->next_n;
    EID_TRY(insert_entry(storage, tree, entry, next));
    EID_TRY(eid_storage_join(storage, tree, entry, next, parents, parent_count));
    eid_storage_remember(storage, &entry->id, next, tree->d);
    storage->next_n++;
    storage->admitted_n = next;
    *n = next;
    return EID_OK;
}
