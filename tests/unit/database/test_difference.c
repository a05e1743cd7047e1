/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer lacks, against a look at everything; listings in order; heights by strategy; the state hash. */
#include "database_test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "codec/cbor.h"
#include "codec/cid.h"

/* ---- Differences ---- */

typedef struct walk {
    const tm_model *model;
    bool *seen;
    const bool *had;
    size_t count;
    size_t stop_after;  /* 0: never */
} walk;

/* Each once, none the peer has, parents first. */
static bool check_missing(eid_entry *entry, void *ctx)
{
    walk *w = ctx;
    size_t node = tm_find(w->model, eid_entry_id(entry));
    assert_true(node != TM_NONE && !w->seen[node] && !w->had[node]);
    for (size_t p = 0; p < w->model->nodes[node].parent_count; p++) {
        size_t parent = w->model->nodes[node].parents[p];
        assert_true(w->seen[parent] || w->had[parent]);
    }
    w->seen[node] = true;
    w->count++;
    return w->count != w->stop_after;
}

/* Takes everything out, in pieces. */
static void check_pieces(eid_difference *difference, const tm_model *model, const bool *had, size_t enough)
{
    bool *seen = tm_set(model, false);
    walk w = {.model = model, .seen = seen, .had = had};
    size_t count, left = (size_t)eid_difference_left(difference);
    assert_int_equal(left, model->count - tm_set_count(model, had));
    do {
        eid_buf piece;
        eid_cbor reader;
        eid_buf_init(&piece, 1u << 24);
        tu_assert_ok(eid_difference_append(difference, enough, &piece, &count));
        eid_cbor_init(&reader, eid_buf_slice(&piece), true);
        for (size_t i = 0; i < count; i++) {
            eid_cbor_item item;
            eid_entry *entry;
            tu_assert_ok(eid_cbor_expect(&reader, EID_CBOR_BYTES, "an entry", &item));
            tu_assert_ok(eid_entry_from_cbor(item.bytes.data, item.bytes.len, &entry));
            check_missing(entry, &w);
            eid_entry_unref(entry);
        }
        tu_assert_ok(eid_cbor_end(&reader));
        left -= count;
        assert_int_equal(eid_difference_left(difference), left);
        eid_buf_free(&piece);
    } while (count > 0);
    assert_int_equal(left, 0);
    eid_difference_close(difference);
    free(seen);
}

static void check_some_at_a_time(eid_core *core, const tm_model *model, const bool *had, const eid_id *have, size_t count,
                                 size_t enough)
{
    eid_difference *difference = NULL;
    const eid_id *root = eid_entry_id(model->nodes[0].entry);
    size_t missing = model->count - tm_set_count(model, had);
    if (missing > 0) {
        tu_assert_ok(eid_difference_open(core, root, have, count, missing - 1, &difference));
        assert_null(difference);
    }
    tu_assert_ok(eid_difference_open(core, root, have, count, missing, &difference));
    check_pieces(difference, model, had, enough);
}

static int compare_digests(const void *a, const void *b)
{
    return memcmp(a, b, EID_SHORT_DIGEST);
}

/* The peer names the digests of what it has, bucket by bucket. */
static void check_by_buckets(eid_core *core, const tm_model *model, const bool *had)
{
    static eid_bucket_held held[EID_BUCKETS];
    static eid_buf digests[EID_BUCKETS];
    eid_difference *difference;
    for (uint32_t i = 0; i < EID_BUCKETS; i++)
        eid_buf_init(&digests[i], 1u << 20);
    for (size_t i = 0; i < model->count; i++) {
        const eid_id *id = eid_entry_id(model->nodes[i].entry);
        const uint8_t *digest = id->bytes + id->len - 32;
        if (had[i])
            eid_buf_append(&digests[digest[0] << 4 | digest[1] >> 4], digest, EID_SHORT_DIGEST);
    }
    for (uint32_t i = 0; i < EID_BUCKETS; i++) {
        if (digests[i].len > EID_SHORT_DIGEST)
            qsort(digests[i].data, digests[i].len / EID_SHORT_DIGEST, EID_SHORT_DIGEST, compare_digests);
        held[i] = (eid_bucket_held){i, eid_buf_slice(&digests[i])};
    }
    tu_assert_ok(eid_difference_open_buckets(core, eid_entry_id(model->nodes[0].entry), held, EID_BUCKETS, &difference));
    check_pieces(difference, model, had, 4096);
    for (uint32_t i = 0; i < EID_BUCKETS; i++)
        eid_buf_free(&digests[i]);
}

static void check_difference(eid_core *core, const tm_model *model, tu_random *random)
{
    bool *had = tm_set(model, false), *seen = tm_set(model, false);
    eid_id have[8];
    size_t count = (size_t)tu_random_below(random, 8);
    for (size_t i = 0; i < count; i++) {
        if (tu_random_below(random, 5) == 0) { /* the peer is ahead of us */
            uint8_t digest[32];
            tu_random_fill(random, digest, sizeof digest);
            eid_id_from_digest(EID_CODEC_DAG_CBOR, digest, &have[i]);
            continue;
        }
        size_t node = (size_t)tu_random_below(random, model->count);
        have[i] = model->nodes[node].entry->id;
        had[node] = true;
    }
    tm_ancestors(model, had);
    walk w = {.model = model, .seen = seen, .had = had};
    tu_assert_ok(eid_core_difference(core, eid_entry_id(model->nodes[0].entry), have, count, check_missing, &w));
    assert_int_equal(w.count, model->count - tm_set_count(model, had));
    check_some_at_a_time(core, model, had, have, count, 1 + (size_t)tu_random_below(random, 3000));
    if (tu_random_below(random, 10) == 0)
        check_by_buckets(core, model, had);
    free(had);
    free(seen);
}

static void test_against_a_look_at_everything(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(31);
    for (int i = 0; i < 100; i++) {
        th_shape shape = th_wild(&random);
        shape.stores = 1;
        shape.entries = 1 + (size_t)tu_random_below(&random, 60);
        eid_entry **entries = th_generate(&random, &shape);
        eid_core *core = dt_memory();
        tm_model model;
        tm_build(&model, entries, shape.entries);
        size_t *order = th_arrival(&random, &model);
        for (size_t k = 0; k < model.count; k++) /* one by one: arrival decides how it is stored */
            dt_receive(core, &entries[0]->id, &entries[order[k]], 1);
        for (int k = 0; k < 10; k++)
            check_difference(core, &model, &random);
        free(order);
        tm_free(&model);
        th_free_entries(entries, shape.entries);
        eid_core_close(core);
    }
}

static bool count_calls(eid_entry *entry, void *ctx)
{
    (void)entry;
    ++*(size_t *)ctx;
    return true;
}

static void test_edges_of_differences(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core), *other = dt_create(core);
    const eid_id *root = eid_database_root_id(database);
    for (int i = 0; i < 600; i++)
        dt_commit_int(database, "s", "k", i);
    eid_id *tips, unknown = *root;
    size_t count, calls = 0;
    unknown.bytes[12] ^= 1;
    tu_assert_ok(eid_database_tips(database, &tips, &count));
    tu_assert_ok(eid_core_difference(core, root, tips, count, count_calls, &calls)); /* nothing is missing */
    assert_int_equal(calls, 0);
    tu_assert_ok(eid_core_difference(core, root, &unknown, 1, count_calls, &calls)); /* all of it is */
    assert_int_equal(calls, 601);
    calls = 0;
    tu_assert_ok(eid_core_difference(core, root, eid_database_root_id(other), 1, count_calls, &calls)); /* of another database */
    assert_int_equal(calls, 601);
    calls = 0;
    tu_assert_ok(eid_core_difference(core, root, root, 1, count_calls, &calls));
    assert_int_equal(calls, 600);
    tu_assert_fails(eid_core_difference(core, &unknown, NULL, 0, count_calls, &calls), EID_ERR_DATABASE_NOT_FOUND);
    tu_assert_fails(eid_core_difference(core, &unknown, root, 1, count_calls, &calls), EID_ERR_DATABASE_NOT_FOUND);
    eid_free(tips);
    tu_assert_ok(eid_core_tips(core, &unknown, &tips, &count));
    assert_int_equal(count, 0);
    eid_free(tips);
    eid_database_close(other);
    eid_database_close(database);
    eid_core_close(core);
}

/* Stopping at any entry, also on the borders of what is loaded at once. */
static void test_stopping_early(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    const eid_id root = *eid_database_root_id(database);
    for (int i = 0; i < 520; i++)
        dt_commit_int(database, "s", "k", i);
    size_t count;
    eid_entry **entries = dt_entries(core, &root, &count);
    tm_model model;
    tm_build(&model, entries, count);
    static const size_t places[] = {1, 2, 255, 256, 257, 512, 513, 520};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        for (int with = 0; with < 2; with++) {
            bool *had = tm_set(&model, false), *seen = tm_set(&model, false);
            had[tm_find(&model, &root)] = with == 1;
            walk w = {.model = &model, .seen = seen, .had = had, .stop_after = places[i]};
            tu_assert_ok(eid_core_difference(core, &root, &root, (size_t)with, check_missing, &w));
            assert_int_equal(w.count, places[i]);
            free(had);
            free(seen);
        }
    tm_free(&model);
    th_free_entries(entries, count);
    eid_database_close(database);
    eid_core_close(core);
}

/* Entries that arrive while everything is handed out: no child of theirs may come without them. */
typedef struct intruder {
    eid_core *core;
    const eid_id *root;
    eid_entry *late[2];   /* one that sorts in front of everything, and its child, that sorts behind */
    eid_id *seen;
    size_t count;
} intruder;

static bool intrude(eid_entry *entry, void *ctx)
{
    intruder *in = ctx;
    for (size_t p = 0; p < eid_entry_parent_count(entry); p++) {
        bool found = false;
        for (size_t i = 0; i < in->count && !found; i++)
            found = eid_id_equal(&in->seen[i], eid_entry_parent(entry, p));
        assert_true(found);
    }
    in->seen[in->count++] = *eid_entry_id(entry);
    if (in->count == 200)
        assert_int_equal(dt_receive(in->core, in->root, in->late, 2).admitted, 2);
    return true;
}

static void test_arrivals_while_everything_is_handed_out(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_entry *root = dt_make_root(NULL, 0, 1), *last = eid_entry_ref(root);
    dt_receive(core, &root->id, &root, 1);
    for (uint64_t i = 1; i < 600; i++) {
        dt_draft draft = {.root = &root->id, .parents = &last->id, .parent_count = 1, .height = i};
        eid_entry *next = dt_make(&draft);
        dt_receive(core, &root->id, &next, 1);
        eid_entry_unref(last);
        last = next;
    }
    dt_draft early = {.root = &root->id, .parents = &root->id, .parent_count = 1, .height = 1, .store = "s"};
    intruder in = {.core = core, .root = &root->id, .seen = calloc(700, sizeof(eid_id))};
    in.late[0] = dt_make(&early);
    dt_draft behind = {.root = &root->id, .parents = &in.late[0]->id, .parent_count = 1, .height = 10000};
    in.late[1] = dt_make(&behind);
    tu_assert_ok(eid_core_difference(core, &root->id, NULL, 0, intrude, &in));
    assert_true(in.count >= 600);
    free(in.seen);
    eid_entry_unref(in.late[0]);
    eid_entry_unref(in.late[1]);
    eid_entry_unref(last);
    eid_entry_unref(root);
    eid_core_close(core);
}

/* ---- Listings ---- */

typedef struct listing {
    size_t count;
    uint64_t height;
    eid_id id;
} listing;

static bool in_order(eid_entry *entry, void *ctx)
{
    listing *l = ctx;
    if (l->count > 0) {
        assert_true(l->height <= eid_entry_height(entry));
        if (l->height == eid_entry_height(entry))
            assert_true(eid_id_compare_text(&l->id, eid_entry_id(entry)) < 0);
    }
    l->count++;
    l->height = eid_entry_height(entry);
    l->id = *eid_entry_id(entry);
    return true;
}

static bool stop_at_10(eid_entry *entry, void *ctx)
{
    (void)entry;
    return ++*(size_t *)ctx < 10;
}

/* More entries of one height than are loaded at once. */
static void test_each_entry(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    eid_id root = *eid_database_root_id(database);
    for (int i = 0; i < 400; i++) {
        eid_txn *txn;
        tu_assert_ok(eid_database_new_transaction_at(database, &root, 1, &txn));
        dt_put_int(txn, "s", "k", i);
        tu_assert_ok(eid_txn_commit_free(txn, NULL));
    }
    dt_commit_int(database, "s", "k", -1);
    listing l = {.count = 0};
    tu_assert_ok(eid_database_each_entry(database, in_order, &l));
    assert_int_equal(l.count, 402);
    assert_int_equal(l.height, 2);
    size_t calls = 0;
    tu_assert_ok(eid_database_each_entry(database, stop_at_10, &calls));
    assert_int_equal(calls, 10);
    eid_database_close(database);
    eid_core_close(core);
}

/* ---- Heights ---- */

static void set_setting(eid_txn *txn, const char *path, const char *text)
{
    eid_txn_store *settings;
    eid_value *value;
    tu_assert_ok(eid_txn_open_store(txn, EID_SETTINGS, NULL, &settings));
    tu_assert_ok(eid_value_new_text(text, strlen(text), &value));
    tu_assert_ok(eid_txn_store_set(settings, eid_slice_text(path), value));
}

static uint64_t height_of(eid_database *database, const eid_id *id)
{
    eid_entry *entry = dt_entry(database, id);
    uint64_t height = eid_entry_height(entry);
    eid_entry_unref(entry);
    return height;
}

static void test_heights_of_the_tree(void **state)
{
    (void)state;
    dt_set_clock(1000000);
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    eid_id id = dt_commit_int(database, "s", "k", 1);
    assert_int_equal(height_of(database, &id), 1);
    eid_txn *txn;
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    set_setting(txn, "height_strategy", "\"timestamp\"");
    tu_assert_ok(eid_txn_commit_free(txn, &id));
    assert_int_equal(height_of(database, &id), 1000000); /* the change itself follows the new strategy already */
    id = dt_commit_int(database, "s", "k", 2);
    assert_int_equal(height_of(database, &id), 1000001); /* the clock stands: heights grow all the same */
    dt_set_clock(2000000);
    id = dt_commit_int(database, "s", "k", 3);
    assert_int_equal(height_of(database, &id), 2000000);
    dt_set_clock(5); /* a clock that goes back */
    id = dt_commit_int(database, "s", "k", 4);
    assert_int_equal(height_of(database, &id), 2000001);
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    set_setting(txn, "height_strategy", "\"incremental\"");
    tu_assert_ok(eid_txn_commit_free(txn, &id));
    assert_int_equal(height_of(database, &id), 2000002);
    dt_set_clock(9000000);
    id = dt_commit_int(database, "s", "k", 5);
    assert_int_equal(height_of(database, &id), 2000003);
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    set_setting(txn, "height_strategy", "\"nonsense\""); /* counts as incremental */
    tu_assert_ok(eid_txn_commit_free(txn, &id));
    assert_int_equal(height_of(database, &id), 2000004);
    assert_int_equal(dt_int(database, "s", "k"), 5);
    ti_check_core(core);
    eid_database_close(database);
    eid_core_close(core);
}

static void test_root_by_timestamp(void **state)
{
    (void)state;
    dt_set_clock(777);
    eid_core *core = dt_memory();
    eid_keypair *key = dt_key(1);
    eid_doc *settings;
    eid_database *database;
    tu_assert_ok(eid_doc_new(&settings));
    tu_assert_ok(eid_doc_set_string(settings, "height_strategy", "\"timestamp\""));
    tu_assert_ok(eid_database_create(core, settings, key, &database));
    eid_id root = *eid_database_root_id(database);
    assert_int_equal(height_of(database, &root), 777);
    eid_doc_free(settings);
    eid_keypair_free(key);
    eid_database_close(database);
    eid_core_close(core);
}

/* One store with a strategy of its own: its nodes carry heights, the others inherit. The change of the strategy itself
 * names the store, so it is the first of them. */
static void test_heights_of_one_store(void **state)
{
    (void)state;
    dt_set_clock(1000000);
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    dt_commit_int(database, "s", "k", 1);
    eid_txn *txn;
    eid_txn_store *index;
    eid_value *strategy;
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    tu_assert_ok(eid_txn_open_store(txn, EID_INDEX, NULL, &index));
    tu_assert_ok(eid_value_new_text("\"timestamp\"", 11, &strategy));
    tu_assert_ok(eid_txn_store_set(index, eid_slice_text("s.settings.height_strategy"), strategy));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    dt_put_int(txn, "s", "k", 2);
    dt_put_int(txn, "other", "k", 2);
    eid_id id;
    tu_assert_ok(eid_txn_commit_free(txn, &id));
    eid_entry *entry = dt_entry(database, &id);
    assert_int_equal(eid_entry_height(entry), 3);
    for (size_t s = 0; s < eid_entry_store_count(entry); s++) {
        bool own = strcmp(eid_entry_store_name(entry, s), "s") == 0;
        assert_int_equal(eid_entry_store_height(entry, s), own ? 1000001 : 3);
        assert_int_equal(entry->subtrees[s].has_height, own);
    }
    eid_entry_unref(entry);
    id = dt_commit_int(database, "s", "k", 3);
    entry = dt_entry(database, &id);
    assert_int_equal(eid_entry_store_height(entry, 0), 1000002);
    eid_entry_unref(entry);
    assert_int_equal(dt_int(database, "s", "k"), 3);
    ti_check_core(core);
    eid_database_close(database);
    eid_core_close(core);
}

/* Somebody claims the largest height: commits go on above it, and do not overflow. */
static void test_above_the_largest_height(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    eid_id root = *eid_database_root_id(database);
    static const uint64_t heights[] = {INT64_MAX - 1, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof heights / sizeof *heights; i++) {
        dt_draft draft = {.root = &root, .parents = &root, .parent_count = 1, .pins = &root, .pin_count = 1, .height = heights[i],
                          .store = "s", .payload = "{\"children\":{\"k\":{\"Int\":77}}}", .key = 1};
        eid_entry *forged = dt_make(&draft);
        assert_int_equal(dt_receive(core, &root, &forged, 1).admitted, 1);
        eid_entry_unref(forged);
        for (int k = 0; k < 3; k++) {
            eid_id id = dt_commit_int(database, "s", "other", k);
            assert_true(height_of(database, &id) >= INT64_MAX - 1 && height_of(database, &id) <= INT64_MAX);
        }
        ti_check_core(core);
    }
    eid_database_close(database);
    eid_core_close(core);
}

/* ---- The state hash ---- */

static void hash_of(eid_database *database, uint8_t out[32])
{
    tu_assert_ok(eid_database_state_hash(database, out));
}

static void test_state_hash(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    eid_txn *txn;
    uint8_t hashes[8][32];
    hash_of(database, hashes[0]);
    dt_commit_int(database, "s", "k", 1);
    hash_of(database, hashes[1]);
    dt_commit_int(database, "s", "k", 2);
    hash_of(database, hashes[2]);
    dt_commit_int(database, "t", "k", 2);
    hash_of(database, hashes[3]);
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    dt_put_deleted(txn, "t", "k"); /* a tombstone is state */
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    hash_of(database, hashes[4]);
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < i; k++)
            assert_memory_not_equal(hashes[i], hashes[k], 32);
    dt_commit_int(database, "s", "k", 2); /* another entry, the same state */
    hash_of(database, hashes[5]);
    assert_memory_equal(hashes[4], hashes[5], 32);
    eid_database_close(database);
    eid_core_close(core);
}

/* The same data in stores whose names and keys run into each other is different data. */
static void test_state_hash_has_no_seams(void **state)
{
    (void)state;
    static const char *const names[][2] = {{"ab", "c"}, {"a", "bc"}, {"abc", ""}};
    uint8_t hashes[3][32];
    for (int i = 0; i < 3; i++) {
        eid_core *core = dt_memory();
        eid_entry *root = dt_make_root(NULL, 0, 1);
        char payload[64];
        snprintf(payload, sizeof payload, "{\"children\":{\"%s\":{\"Int\":1}}}", names[i][1]);
        dt_draft draft = {.root = &root->id, .parents = &root->id, .parent_count = 1, .height = 1, .store = names[i][0], .payload = payload};
        eid_entry *entry = dt_make(&draft), *both[] = {root, entry};
        assert_int_equal(dt_receive(core, &root->id, both, 2).admitted, 2);
        eid_database *database = dt_open_as(core, &root->id, 0);
        hash_of(database, hashes[i]);
        eid_database_close(database);
        eid_entry_unref(entry);
        eid_entry_unref(root);
        eid_core_close(core);
    }
    assert_memory_not_equal(hashes[0], hashes[1], 32);
    assert_memory_not_equal(hashes[1], hashes[2], 32);
    assert_memory_not_equal(hashes[0], hashes[2], 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_look_at_everything),
        cmocka_unit_test(test_edges_of_differences),
        cmocka_unit_test(test_stopping_early),
        cmocka_unit_test(test_arrivals_while_everything_is_handed_out),
        cmocka_unit_test(test_each_entry),
        cmocka_unit_test(test_heights_of_the_tree),
        cmocka_unit_test(test_root_by_timestamp),
        cmocka_unit_test(test_heights_of_one_store),
        cmocka_unit_test(test_above_the_largest_height),
        cmocka_unit_test(test_state_hash),
        cmocka_unit_test(test_state_hash_has_no_seams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
