/* SPDX-License-Identifier: Apache-2.0 */
/* What a tree holds, told in 4 096 sums: entries fall into buckets by the first 12 bits of their digest, and
 * each bucket has their number and the sum of their digests. Two peers with equal sums hold the same; with
 * unequal ones they need to talk only about the buckets that differ.
 *
 * An entry changes one bucket, of which nobody knows the neighbours: a row written for each would be a page
 * for each. So digests are noted in memory and added to the rows when the index is committed, sorted, which
 * is once in thousands of entries. What is noted is lost with the index's transaction and made again with it.
 */
#include "storage/storage_int.h"

#include <stdlib.h>

#include "base/limits.h"

#define BUCKET_SHIFT 52 /* of the 64-bit prefix of a digest */
#define SUM_BYTES    32

typedef struct note {
    int64_t s;
    uint32_t bucket;
    uint64_t digest[4]; /* the lowest limb first */
} note;

static void read_number(const uint8_t bytes[SUM_BYTES], uint64_t out[4])
{
    for (size_t i = 0; i < 4; i++) {
        uint64_t limb;
        memcpy(&limb, bytes + (3 - i) * sizeof limb, sizeof limb);
        out[i] = be64toh(limb);
    }
}

static void write_number(const uint64_t number[4], uint8_t out[SUM_BYTES])
{
    for (size_t i = 0; i < 4; i++) {
        uint64_t limb = htobe64(number[i]);
        memcpy(out + (3 - i) * sizeof limb, &limb, sizeof limb);
    }
}

/* Modulo 2^256. */
static void add_number(uint64_t sum[4], const uint64_t number[4])
{
    uint64_t carry = 0;
    for (size_t i = 0; i < 4; i++) {
        uint64_t with_carry = sum[i] + carry;
        carry = with_carry < carry;
        sum[i] = with_carry + number[i];
        carry += sum[i] < with_carry;
    }
}

void eid_bucket_add(eid_bucket *sum, const eid_bucket *other)
{
    sum->count += other->count;
    add_number(sum->sum, other->sum);
}

/* ---- Noting ---- */

eid_status eid_buckets_note(eid_storage *storage, int64_t s, const eid_id *id)
{
    note next = {.s = s, .bucket = (uint32_t)((uint64_t)eid_id_prefix(id) >> BUCKET_SHIFT)};
    if (storage->bucket_notes.len >= EID_LIMIT_BUCKET_NOTES * sizeof next)
        EID_TRY(eid_buckets_write(storage));
    read_number(id->bytes + EID_DIGEST_AT, next.digest);
    eid_buf_append(&storage->bucket_notes, &next, sizeof next);
    return eid_buf_status(&storage->bucket_notes);
}

/* ---- Writing ---- */

static int compare_notes(const void *a, const void *b)
{
    const note *left = a, *right = b;
    if (left->s != right->s)
        return left->s < right->s ? -1 : 1;
    return left->bucket < right->bucket ? -1 : left->bucket > right->bucket;
}

static eid_status take_row(eid_sql_stmt *stmt, int column, eid_bucket *out)
{
    eid_slice sum = eid_sql_bytes(stmt, column + 1);
    if (sum.len != SUM_BYTES)
        return eid_fail(EID_ERR_CORRUPT, "A sum of entries in the index is damaged");
    out->count = (uint64_t)eid_sql_i64(stmt, column);
    read_number(sum.data, out->sum);
    return EID_OK;
}

static eid_status read_row(eid_storage *storage, int64_t s, uint32_t bucket, eid_bucket *out)
{
    eid_sql_stmt *stmt;
    bool row;
    EID_TRY(eid_sql_prepare(storage->index, "SELECT count, sum FROM bucket WHERE s = ? AND b = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, s);
    eid_sql_bind_i64(stmt, 2, bucket);
    EID_TRY(eid_sql_step(stmt, &row));
    if (!row)
        return EID_OK;
    eid_status status = take_row(stmt, 0, out);
    eid_sql_reset(stmt);
    return status;
}

static eid_status write_row(eid_storage *storage, int64_t s, uint32_t bucket, const eid_bucket *added)
{
    eid_bucket total = {0};
    uint8_t sum[SUM_BYTES];
    eid_sql_stmt *stmt;
    EID_TRY(read_row(storage, s, bucket, &total));
    eid_bucket_add(&total, added);
    write_number(total.sum, sum);
    EID_TRY(eid_sql_prepare(storage->index,
                            "INSERT INTO bucket (s, b, count, sum) VALUES (?, ?, ?, ?)"
                            " ON CONFLICT (s, b) DO UPDATE SET count = excluded.count, sum = excluded.sum",
                            &stmt));
    eid_sql_bind_i64(stmt, 1, s);
    eid_sql_bind_i64(stmt, 2, bucket);
    eid_sql_bind_i64(stmt, 3, (int64_t)total.count);
    eid_sql_bind_blob(stmt, 4, eid_slice_of(sum, sizeof sum));
    return eid_sql_run(stmt);
}

/* From the end, so that after a failure exactly what is not written is still noted. */
eid_status eid_buckets_write(eid_storage *storage)
{
    eid_buf *notes = &storage->bucket_notes;
    note *items = (note *)(void *)notes->data;
    size_t count = notes->len / sizeof *items;
    if (count > 1)
        qsort(items, count, sizeof *items, compare_notes);
    while (count > 0) {
        eid_bucket added = {0};
        size_t first = count;
        do {
            eid_bucket one = {.count = 1};
            memcpy(one.sum, items[--first].digest, sizeof one.sum);
            eid_bucket_add(&added, &one);
        } while (first > 0 && compare_notes(&items[first - 1], &items[count - 1]) == 0);
        EID_TRY(write_row(storage, items[first].s, items[first].bucket, &added));
        count = first;
        notes->len = count * sizeof *items;
    }
    return EID_OK;
}

/* ---- Reading ---- */

static eid_status read_rows(eid_storage *storage, const eid_tree *tree, eid_bucket *out)
{
    eid_sql_stmt *stmt;
    EID_TRY(eid_sql_prepare(storage->index, "SELECT b, count, sum FROM bucket WHERE s = ?", &stmt));
    eid_sql_bind_i64(stmt, 1, tree->main->s);
    for (;;) {
        bool row;
        EID_TRY(eid_sql_step(stmt, &row));
        if (!row)
            return EID_OK;
        int64_t bucket = eid_sql_i64(stmt, 0);
        eid_status status = EID_OK;
        if (bucket >= 0 && bucket < EID_BUCKETS)
            status = take_row(stmt, 1, &out[bucket]);
        if (status != EID_OK) {
            eid_sql_reset(stmt);
            return status;
        }
    }
}

eid_status eid_storage_buckets(eid_storage *storage, const eid_tree *tree, eid_bucket out[EID_BUCKETS])
{
    memset(out, 0, EID_BUCKETS * sizeof *out);
    EID_TRY(read_rows(storage, tree, out));
    const note *notes = (const note *)(const void *)storage->bucket_notes.data;
    for (size_t i = 0; i < storage->bucket_notes.len / sizeof *notes; i++) {
        eid_bucket one = {.count = 1};
        memcpy(one.sum, notes[i].digest, sizeof one.sum);
        if (notes[i].s == tree->main->s)
            eid_bucket_add(&out[notes[i].bucket], &one);
    }
    return EID_OK;
}

/* IDs of all trees stand in one table: those of others are passed over. */
eid_status eid_storage_bucket_members(eid_storage *storage, const eid_tree *tree, uint32_t bucket,
                                      eid_buf *out)
{
    eid_sql_stmt *stmt;
    uint64_t first = (uint64_t)bucket << BUCKET_SHIFT;
    EID_TRY(eid_sql_prepare(storage->index, "SELECT n FROM entry_id WHERE h >= ? AND h <= ?", &stmt));
    eid_sql_bind_i64(stmt, 1, (int64_t)first);
    eid_sql_bind_i64(stmt, 2, (int64_t)(first | ((UINT64_C(1) << BUCKET_SHIFT) - 1)));
    for (;;) {
        bool row;
        EID_TRY(eid_sql_step(stmt, &row));
        if (!row)
            return eid_buf_status(out);
        eid_member member = {.n = eid_sql_i64(stmt, 0)};
        eid_id id;
        int64_t d;
        eid_status status = eid_storage_read_id(storage, member.n, &id, &d);
        if (status != EID_OK) {
            eid_sql_reset(stmt);
            return status;
        }
        memcpy(member.digest, id.bytes + EID_DIGEST_AT, sizeof member.digest);
        if (d == tree->d)
            eid_buf_append(out, &member, sizeof member);
    }
}
