/* SPDX-License-Identifier: Apache-2.0 */
/* Random histories of settings and data by keys that may and keys that may not, delivered in random orders and batches:
 * every instance that got all entries admits the same ones and shows the same state. */
#include "review.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

#define HISTORIES 150
#define ORDERS 5
#define ENTRIES 24
#define KEYS 4

typedef struct history {
    tu_random random;
    eid_keypair *keys[KEYS];
    eid_entry *entries[ENTRIES];
    bool held[ENTRIES];     /* by whoever got them in this order, one by one */
    size_t count;
} history;

static bool percent(history *h, unsigned chance)
{
    return tu_random_below(&h->random, 100) < chance;
}

/* Mostly young ones, so that chains grow, and mostly ones that passed, so that some do. */
static const eid_entry *any(history *h)
{
    for (;;) {
        size_t back = (size_t)tu_random_below(&h->random, percent(h, 70) && h->count > 4 ? 4 : h->count);
        if (h->held[h->count - 1 - back] || percent(h, 2))
            return h->entries[h->count - 1 - back];
    }
}

static bool is_settings(const eid_entry *entry)
{
    return eid_entry_subtree(entry, eid_slice_text("_settings")) != NULL;
}

static const eid_entry *any_settings(history *h)
{
    for (;;) {
        const eid_entry *entry = any(h);
        if (is_settings(entry))
            return entry;
        if (percent(h, 20))
            return h->entries[0];
    }
}

static size_t some(history *h, const eid_entry *(*choose)(history *), size_t least, const eid_entry **out)
{
    size_t count = least + (size_t)tu_random_below(&h->random, 2);
    for (size_t i = 0; i < count; i++)
        out[i] = choose(h);
    return count;
}

static eid_entry *make_entry(history *h)
{
    rv_spec spec = {.salt = h->count};
    size_t parents = some(h, any, 1, spec.parents);
    for (size_t i = 0; i < parents; i++)
        if (spec.height <= spec.parents[i]->height && spec.parents[i]->height < 1000)
            spec.height = spec.parents[i]->height + 1;
    if (percent(h, 10))
        spec.height = tu_random_below(&h->random, 6);
    if (!percent(h, 3))
        some(h, any_settings, 1, spec.pins);
    size_t author = percent(h, 60) ? 0 : (size_t)tu_random_below(&h->random, KEYS);
    spec.key = percent(h, 2) ? NULL : h->keys[author];
    rv_store *store = &spec.stores[0];
    char *grant = NULL;
    if (percent(h, 45)) {
        size_t who = (size_t)tu_random_below(&h->random, KEYS);
        grant = rv_grant(h->keys[who], percent(h, 40) ? EID_PERM_ADMIN : EID_PERM_WRITE,
                         who != 0 && percent(h, 35) ? EID_KEY_REVOKED : EID_KEY_ACTIVE);
        *store = (rv_store){.name = "_settings", .data = grant};
        some(h, any_settings, percent(h, 90), store->parents);
    } else {
        *store = (rv_store){.name = "d", .data = "{\"children\":{\"k\":{\"Doc\":{\"children\":{\"x\":{\"Int\":1}}}}}}"};
        some(h, any, 0, store->parents);
    }
    eid_entry *entry = rv_entry(h->entries[0], &spec);
    eid_free(grant);
    return entry;
}

static void make_history(history *h, uint64_t seed)
{
    h->random = (tu_random){seed};
    for (uint8_t i = 0; i < KEYS; i++)
        h->keys[i] = rv_key((uint8_t)(i + 1));
    char *own = rv_grant(h->keys[0], EID_PERM_ADMIN, EID_KEY_ACTIVE);
    h->entries[0] = rv_root(h->keys[0], own, seed);
    eid_free(own);
    h->count = 0;
    eid_core *core = rv_core();
    while (h->count < ENTRIES) {
        if (h->count > 0)
            h->entries[h->count] = make_entry(h);
        h->held[h->count] = rv_receive_one(core, h->entries[0], h->entries[h->count]) == EID_VERDICT_ADMITTED;
        h->count++;
    }
    eid_core_close(core);
}

static void free_history(history *h)
{
    for (size_t i = 0; i < ENTRIES; i++)
        eid_entry_unref(h->entries[i]);
    for (size_t i = 0; i < KEYS; i++)
        eid_keypair_free(h->keys[i]);
}

/* Everything once, the root in the first batch. */
static eid_core *deliver(history *h)
{
    eid_entry *left[ENTRIES];
    eid_core *core = rv_core();
    memcpy(left, h->entries, sizeof left);
    for (size_t i = ENTRIES; i > 2; i--) {
        size_t other = 1 + (size_t)tu_random_below(&h->random, i - 1);
        eid_entry *swap = left[i - 1];
        left[i - 1] = left[other];
        left[other] = swap;
    }
    for (size_t at = 0; at < ENTRIES;) {
        size_t step = 1 + (size_t)tu_random_below(&h->random, percent(h, 30) ? ENTRIES : 4);
        step = step > ENTRIES - at ? ENTRIES - at : step;
        tu_assert_ok(eid_core_receive(core, &h->entries[0]->id, left + at, step, NULL, NULL));
        at += step;
    }
    assert_int_equal(rv_waiting(core, h->entries[0]), 0);
    return core;
}

static void hash_of(const history *h, eid_core *core, uint8_t hash[32])
{
    eid_database *database;
    tu_assert_ok(eid_database_open_as(core, &h->entries[0]->id, NULL, NULL, &database));
    tu_assert_ok(eid_database_state_hash(database, hash));
    eid_database_close(database);
}

static size_t check_history(uint64_t seed)
{
    history h;
    uint8_t wanted[32], hash[32];
    size_t admitted = 0;
    make_history(&h, seed);
    for (size_t k = 0; k < ORDERS; k++) {
        eid_core *core = deliver(&h);
        for (size_t i = 0; i < ENTRIES; i++)
            if (rv_holds(core, h.entries[i]) != h.held[i])
                fail_msg("history %llu, order %zu: entry %zu should%s be held", (unsigned long long)seed, k, i, h.held[i] ? "" : " not");
        hash_of(&h, core, k == 0 ? wanted : hash);
        if (k > 0 && memcmp(hash, wanted, sizeof hash) != 0)
            fail_msg("history %llu, order %zu: another state", (unsigned long long)seed, k);
        eid_core_close(core);
    }
    for (size_t i = 0; i < ENTRIES; i++)
        admitted += h.held[i];
    free_history(&h);
    return admitted;
}

static void test_verdicts_do_not_depend_on_order(void **state)
{
    (void)state;
    tu_random first = tu_random_seeded(1);
    size_t admitted = 0;
    for (uint64_t i = 0; i < HISTORIES; i++)
        admitted += check_history(first.state + i);
    /* Neither all nor none. */
    assert_in_range(admitted, HISTORIES * ENTRIES / 5, HISTORIES * ENTRIES * 4 / 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts_do_not_depend_on_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
