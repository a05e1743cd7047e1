/* SPDX-License-Identifier: Apache-2.0 */
/* What two peers hold, compared: the sums of a database, the digests in a bucket, and which of them the other
 * side lacks. */
#include "database/database_int.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/numbers.h"

eid_status eid_core_buckets(eid_core *core, const eid_id *database, eid_bucket out[EID_BUCKETS])
{
    eid_tree *tree;
    eid_storage_lock(core->storage);
    eid_status status = eid_storage_tree(core->storage, database, &tree);
    if (status == EID_OK)
        status = eid_storage_buckets(core->storage, tree, out);
    eid_storage_unlock(core->storage);
    return status;
}

static int compare_members(const void *a, const void *b)
{
    return memcmp(((const eid_member *)a)->digest, ((const eid_member *)b)->digest,
                  sizeof((const eid_member *)a)->digest);
}

/* The members of a bucket, ascending. */
static eid_status read_members(eid_core *core, const eid_id *database, uint32_t bucket, eid_buf *out)
{
    eid_tree *tree;
    eid_storage_lock(core->storage);
    eid_status status = eid_storage_tree(core->storage, database, &tree);
    if (status == EID_OK)
        status = eid_storage_bucket_members(core->storage, tree, bucket, out);
    eid_storage_unlock(core->storage);
    if (status == EID_OK && out->len > sizeof(eid_member))
        qsort(out->data, out->len / sizeof(eid_member), sizeof(eid_member), compare_members);
    return status;
}

eid_status eid_core_bucket_digests(eid_core *core, const eid_id *database, uint32_t bucket, eid_buf *out)
{
    eid_buf members;
    eid_buf_init(&members, SIZE_MAX / 2);
    eid_status status = read_members(core, database, bucket, &members);
    for (size_t i = 0; i < members.len && status == EID_OK; i += sizeof(eid_member))
        eid_buf_append(out, ((const eid_member *)(const void *)(members.data + i))->digest, EID_SHORT_DIGEST);
    eid_buf_free(&members);
    return status == EID_OK ? eid_buf_status(out) : status;
}

/* Appends the numbers of those members that are not among the digests; both ascend. */
static void pick_missing(const eid_buf *members, eid_slice digests, eid_buf *out)
{
    size_t at = 0;
    for (size_t i = 0; i < members->len; i += sizeof(eid_member)) {
        const eid_member *member = (const eid_member *)(const void *)(members->data + i);
        int order = -1;
        while (at < digests.len && (order = memcmp(digests.data + at, member->digest, EID_SHORT_DIGEST)) < 0)
            at += EID_SHORT_DIGEST;
        if (at >= digests.len || order != 0)
            eid_buf_append(out, &member->n, sizeof member->n);
    }
}

static void reverse(int64_t *numbers, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        int64_t other = numbers[i];
        numbers[i] = numbers[count - 1 - i];
        numbers[count - 1 - i] = other;
    }
}

eid_status eid_difference_open_buckets(eid_core *core, const eid_id *database, const eid_bucket_held *held,
                                       size_t count, eid_difference **out)
{
    eid_buf members, missing;
    eid_status status = EID_OK;
    eid_buf_init(&members, SIZE_MAX / 2);
    eid_buf_init(&missing, SIZE_MAX / 2);
    for (size_t i = 0; i < count && status == EID_OK; i++) {
        eid_buf_reset(&members);
        status = read_members(core, database, held[i].bucket, &members);
        if (status == EID_OK)
            pick_missing(&members, held[i].digests, &missing);
        if (status == EID_OK)
            status = eid_buf_status(&missing);
    }
    int64_t *numbers = (int64_t *)(void *)missing.data;
    size_t number_count = missing.len / sizeof *numbers;
    if (status == EID_OK && number_count > 0) {
        eid_numbers_sort(numbers, number_count);
        reverse(numbers, number_count);
    }
    if (status == EID_OK)
        status = eid_difference_open_list(core, database, numbers, number_count, out);
    eid_buf_free(&members);
    eid_buf_free(&missing);
    return status;
}
