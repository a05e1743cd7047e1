/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of what a tree holds, against a model that adds up all digests anew. */
#include "storage_test.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "codec/cid.h"

#define MOST 3000

typedef struct world {
    eid_storage *storage;
    eid_entry *root;
    eid_tree *tree;
    eid_id ids[MOST];
    size_t count;
    unsigned salt;
} world;

static void begin(world *w, eid_storage *storage, unsigned salt)
{
    memset(w, 0, sizeof *w);
    w->storage = storage;
    w->salt = salt;
    w->root = st_root(salt);
    ST_IN_TRANSACTION(storage, st_admit_root(storage, w->root, &w->tree));
    w->ids[w->count++] = w->root->id;
}

static void add(world *w, size_t count)
{
    int64_t n;
    ST_IN_TRANSACTION(w->storage, {
        tu_assert_ok(eid_storage_tree(w->storage, &w->root->id, &w->tree));
        tu_assert_ok(eid_storage_find(w->storage, &w->root->id, &n, NULL));
        for (size_t i = 0; i < count; i++) {
            eid_entry *entry = st_child(w->root, &w->root, 1, NULL, ++w->salt, 8);
            st_admit(w->storage, w->tree, entry, &n, 1);
            w->ids[w->count++] = entry->id;
            eid_entry_unref(entry);
        }
    });
}

/* Byte by byte, from the end. */
static void add_bytes(uint8_t sum[32], const uint8_t digest[32])
{
    unsigned carry = 0;
    for (size_t i = 32; i-- > 0;) {
        carry += (unsigned)sum[i] + digest[i];
        sum[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

static void limbs_to_bytes(const uint64_t limbs[4], uint8_t out[32])
{
    for (size_t i = 0; i < 32; i++)
        out[i] = (uint8_t)(limbs[(31 - i) / 8] >> (31 - i) % 8 * 8);
}

static size_t bucket_of(const eid_id *id)
{
    const uint8_t *digest = id->bytes + id->len - 32;
    return (size_t)digest[0] << 4 | digest[1] >> 4;
}

static void check_members(world *w, uint32_t bucket, uint64_t want)
{
    eid_buf members;
    eid_buf_init(&members, 1u << 20);
    tu_assert_ok(eid_storage_bucket_members(w->storage, w->tree, bucket, &members));
    const eid_member *items = (const eid_member *)(const void *)members.data;
    assert_int_equal(members.len, want * sizeof *items);
    for (size_t i = 0; i < want; i++) {
        eid_id id;
        tu_assert_ok(eid_storage_id(w->storage, items[i].n, &id));
        assert_memory_equal(items[i].digest, id.bytes + id.len - 32, 32);
        assert_int_equal(bucket_of(&id), bucket);
    }
    eid_buf_free(&members);
}

static void check(world *w)
{
    static eid_bucket have[EID_BUCKETS];
    static uint8_t sums[EID_BUCKETS][32];
    static uint64_t counts[EID_BUCKETS];
    memset(sums, 0, sizeof sums);
    memset(counts, 0, sizeof counts);
    for (size_t i = 0; i < w->count; i++) {
        add_bytes(sums[bucket_of(&w->ids[i])], w->ids[i].bytes + w->ids[i].len - 32);
        counts[bucket_of(&w->ids[i])]++;
    }
    eid_storage_lock(w->storage);
    tu_assert_ok(eid_storage_tree(w->storage, &w->root->id, &w->tree));
    tu_assert_ok(eid_storage_buckets(w->storage, w->tree, have));
    for (uint32_t i = 0; i < EID_BUCKETS; i++) {
        uint8_t sum[32];
        limbs_to_bytes(have[i].sum, sum);
        assert_int_equal(have[i].count, counts[i]);
        assert_memory_equal(sum, sums[i], 32);
        if (i % 256 == 0)
            check_members(w, i, counts[i]);
    }
    eid_storage_unlock(w->storage);
}

static void settle(world *w)
{
    eid_storage_lock(w->storage);
    tu_assert_ok(eid_storage_settle(w->storage));
    eid_storage_unlock(w->storage);
}

static void test_sums_are_those_of_the_entries(void **state)
{
    static world w;
    (void)state;
    begin(&w, st_memory(), 1);
    check(&w);
    add(&w, 700);
    check(&w); /* noted only */
    settle(&w);
    check(&w); /* in rows only */
    add(&w, 1);
    check(&w); /* both */
    add(&w, 1500);
    settle(&w);
    check(&w);
    eid_entry_unref(w.root);
    eid_storage_close(w.storage);
}

static void test_trees_do_not_mix(void **state)
{
    static world a, b;
    (void)state;
    begin(&a, st_memory(), 1);
    begin(&b, a.storage, 100000);
    for (unsigned i = 0; i < 4; i++) {
        add(&a, 100);
        add(&b, 70);
        if (i == 1)
            settle(&a);
    }
    check(&a);
    check(&b);
    eid_entry_unref(a.root);
    eid_entry_unref(b.root);
    eid_storage_close(a.storage);
}

static void test_what_is_undone_is_not_counted(void **state)
{
    static world w;
    (void)state;
    begin(&w, st_memory(), 1);
    add(&w, 300);
    settle(&w);
    add(&w, 200);
    size_t before = w.count;
    eid_storage_lock(w.storage);
    tu_assert_ok(eid_storage_begin(w.storage));
    tu_assert_ok(eid_storage_tree(w.storage, &w.root->id, &w.tree));
    int64_t n;
    tu_assert_ok(eid_storage_find(w.storage, &w.root->id, &n, NULL));
    eid_entry *entry = st_child(w.root, &w.root, 1, NULL, 77777, 8);
    st_admit(w.storage, w.tree, entry, &n, 1);
    eid_entry_unref(entry);
    eid_storage_rollback(w.storage);
    eid_storage_unlock(w.storage);
    w.count = before;
    check(&w);
    add(&w, 10);
    settle(&w);
    check(&w);
    eid_entry_unref(w.root);
    eid_storage_close(w.storage);
}

static void test_a_lost_index_is_made_again(void **state)
{
    static world w;
    char *dir = tu_temp_dir(), *path = tu_path(dir, "data"), *index = tu_path(dir, "data-index");
    (void)state;
    begin(&w, st_open(path), 1);
    add(&w, 900);
    eid_storage_close(w.storage);
    w.storage = st_open(path);
    check(&w);
    eid_storage_close(w.storage);
    assert_int_equal(unlink(index), 0);
    w.storage = st_open(path);
    check(&w);
    eid_entry_unref(w.root);
    eid_storage_close(w.storage);
    free(index);
    free(path);
    tu_temp_dir_remove(dir);
}

static void test_sums_wrap_around(void **state)
{
    (void)state;
    eid_bucket a = {1, {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}}, one = {1, {1, 0, 0, 0}};
    eid_bucket all = a;
    eid_bucket_add(&a, &one);
    assert_int_equal(a.count, 2);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(a.sum[i], 0);
    /* A carry into a limb that is full already. */
    a = all;
    eid_bucket_add(&a, &all);
    assert_int_equal(a.sum[0], UINT64_MAX - 1);
    for (size_t i = 1; i < 4; i++)
        assert_int_equal(a.sum[i], UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums_are_those_of_the_entries),
        cmocka_unit_test(test_trees_do_not_mix),
        cmocka_unit_test(test_what_is_undone_is_not_counted),
        cmocka_unit_test(test_a_lost_index_is_made_again),
        cmocka_unit_test(test_sums_wrap_around),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
