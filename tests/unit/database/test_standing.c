/* SPDX-License-Identifier: Apache-2.0 */
/* Which entries count, on histories of hostile writers: whatever the order of arrival, in whatever batches, across restarts, every
 * peer holds the same entries void, shows the same state, and agrees with the rule as it is written out in tests/support/rule.c.
 *
 * EID_TEST_SEED=n runs the history of one seed, with all its peers. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "codec/cid.h"
#include "database_test.h"
#include "support/hostile.h"
#include "support/model.h"

#define HISTORIES 260
#define PEERS 4

typedef struct peer {
    eid_core *core;
    char *dir;          /* of the one that is closed and opened again; NULL: in memory */
    char *path;
    uint8_t hash[32];
} peer;

static size_t void_data, void_settings, refused, strange;

/* ---- Arrival ---- */

static void shuffle(tu_random *random, size_t *order, size_t count)
{
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    for (size_t i = count; i > 1; i--) {
        size_t k = (size_t)tu_random_below(random, i), swap = order[i - 1];
        order[i - 1] = order[k];
        order[k] = swap;
    }
}

static void receive(const tr_history *h, peer *p, const size_t *order, size_t count)
{
    eid_entry *batch[TR_MAX];
    eid_receipt receipt;
    for (size_t i = 0; i < count; i++)
        batch[i] = h->entries[order[i]].entry;
    tu_assert_ok(eid_core_receive(p->core, &h->entries[0].entry->id, batch, count, &receipt, NULL));
}

/* With its index, or without: then it is made again from the entries. */
static void reopen(peer *p, bool without_index)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    eid_core_close(p->core);
    for (size_t i = 0; i < 3 && without_index; i++) {
        char *name;
        assert_true(asprintf(&name, "%s-index%s", p->path, suffixes[i]) > 0);
        assert_true(unlink(name) == 0 || i > 0);
        free(name);
    }
    p->core = dt_open(p->path);
}

/* The root first, because nobody asks for a database he does not know; the others as they like. */
static void receive_all(tu_random *random, const tr_history *h, peer *p, bool in_order)
{
    size_t order[TR_MAX], at = 0;
    shuffle(random, order, h->count);
    for (size_t i = 0; i < h->count; i++)
        if (order[i] == 0)
            order[i] = order[0];
    order[0] = 0;
    for (size_t i = 1; i < h->count && in_order; i++)
        order[i] = i;
    uint64_t largest = 1 + tu_random_below(random, h->count);
    while (at < h->count) {
        size_t count = 1 + (size_t)tu_random_below(random, largest);
        if (count > h->count - at)
            count = h->count - at;
        receive(h, p, order + at, count);
        at += count;
        if (p->dir != NULL && tu_random_below(random, 4) == 0)
            reopen(p, tu_random_below(random, 3) == 0);
    }
}

/* ---- What a peer says ---- */

static void assert_entry(const tr_history *h, const peer *p, eid_tree *tree, size_t e)
{
    eid_storage *storage = eid_core_storage(p->core);
    int64_t n;
    bool counts = false;
    tu_assert_ok(eid_storage_find(storage, &h->entries[e].entry->id, &n, NULL));
    if ((n != 0) != h->admitted[e])
        fail_msg("entry %zu: held %d, by the rule %d", e, n != 0, h->admitted[e]);
    if (n == 0)
        return;
    tu_assert_ok(eid_storage_counts(storage, tree, n, &counts));
    if (counts != h->counts[e])
        fail_msg("entry %zu (%s): counts %d, by the rule %d", e, h->entries[e].settings ? "settings" : "data", counts, h->counts[e]);
    eid_standing_reason reason;
    eid_buf sentence;
    eid_buf_init(&sentence, 4096);
    tu_assert_ok(eid_standing_explain(storage, tree, n, &reason, &sentence));
    assert_int_equal(reason == EID_STANDS, counts);
    assert_int_equal(sentence.len == 0, counts);
    eid_buf_free(&sentence);
}

static void assert_entries(const tr_history *h, const peer *p)
{
    eid_tree *tree;
    eid_storage_lock(eid_core_storage(p->core));
    tu_assert_ok(eid_storage_tree(eid_core_storage(p->core), &h->entries[0].entry->id, &tree));
    for (size_t e = 0; e < h->count; e++)
        assert_entry(h, p, tree, e);
    eid_storage_unlock(eid_core_storage(p->core));
}

static void assert_state(eid_database *database, const char *store, eid_doc *wanted)
{
    eid_doc *doc;
    tu_assert_ok(eid_database_store_state(database, store, &doc));
    tm_assert_same(doc, wanted, store);
    eid_doc_free(doc);
    eid_doc_free(wanted);
}

/* The state at all tips is folded from entries, not from cells. */
static void assert_state_at(eid_database *database, const char *store, eid_doc *wanted)
{
    eid_id *tips;
    size_t count;
    eid_doc *doc;
    tu_assert_ok(eid_database_tips(database, &tips, &count));
    tu_assert_ok(eid_database_store_state_at(database, store, tips, count, &doc));
    tm_assert_same(doc, wanted, store);
    eid_doc_free(doc);
    eid_doc_free(wanted);
    eid_free(tips);
}

static void assert_tips(const tr_history *h, const peer *p)
{
    bool tip[TR_MAX];
    eid_id *tips;
    size_t count, wanted = 0;
    tr_tips(h, tip);
    tu_assert_ok(eid_core_tips(p->core, &h->entries[0].entry->id, &tips, &count));
    for (size_t e = 0; e < h->count; e++) {
        bool found = false;
        for (size_t i = 0; i < count; i++)
            found = found || eid_id_equal(&tips[i], &h->entries[e].entry->id);
        assert_int_equal(found, tip[e]);
        wanted += tip[e];
    }
    assert_int_equal(count, wanted);
    eid_free(tips);
}

static void assert_peer(const tr_history *h, peer *p)
{
    eid_database *database = dt_open_as(p->core, &h->entries[0].entry->id, 0);
    eid_check_report report;
    assert_entries(h, p);
    assert_tips(h, p);
    assert_state(database, "data", tr_state(h, false));
    assert_state(database, "_settings", tr_state(h, true));
    assert_state_at(database, "data", tr_state(h, false));
    tu_assert_ok(eid_database_state_hash(database, p->hash));
    tu_assert_ok(eid_core_check(p->core, NULL, 0, &report));
    if (report.problems > 0)
        fail_msg("%s", report.text);
    eid_database_close(database);
}

/* ---- Histories ---- */

static void count_what_happened(const tr_history *h, const th_hostile *shape)
{
    strange += shape->strange;
    for (size_t e = 0; e < h->count; e++) {
        refused += !h->admitted[e];
        void_settings += h->admitted[e] && !h->counts[e] && h->entries[e].settings;
        void_data += h->admitted[e] && !h->counts[e] && !h->entries[e].settings;
    }
}

static void run_history(uint64_t seed)
{
    tu_random random = {seed};
    th_hostile shape = th_hostile_shape(&random);
    static tr_history h;
    peer peers[PEERS];
    th_hostile_make(&random, &shape, &h);
    count_what_happened(&h, &shape);
    for (size_t i = 0; i < PEERS; i++) {
        bool on_disk = i == 0 && seed % 8 == 0;
        peers[i] = (peer){.dir = on_disk ? tu_temp_dir() : NULL};
        peers[i].path = on_disk ? tu_path(peers[i].dir, "data") : NULL;
        peers[i].core = on_disk ? dt_open(peers[i].path) : dt_memory();
        receive_all(&random, &h, &peers[i], i == 1);
        assert_peer(&h, &peers[i]);
        assert_memory_equal(peers[i].hash, peers[0].hash, sizeof peers[i].hash);
    }
    for (size_t i = 0; i < PEERS; i++) {
        eid_core_close(peers[i].core);
        free(peers[i].path);
        if (peers[i].dir != NULL)
            tu_temp_dir_remove(peers[i].dir);
    }
    tr_free(&h);
}

static void test_hostile_histories(void **state)
{
    (void)state;
    const char *given = getenv("EID_TEST_SEED");
    uint64_t first = given == NULL || given[0] == '\0' ? 1 : strtoull(given, NULL, 10);
    size_t count = given == NULL || given[0] == '\0' ? HISTORIES : 1;
    for (size_t i = 0; i < count; i++) {
        print_message("seed %llu\n", (unsigned long long)(first + i));
        run_history(first + i);
    }
    print_message("void: %zu data entries, %zu settings entries; refused: %zu; with strange payloads: %zu histories\n", void_data,
                  void_settings, refused, strange);
    if (count == HISTORIES)
        assert_true(void_data > 100 && void_settings > 100 && refused > 50 && strange > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
