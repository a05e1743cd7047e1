/* SPDX-License-Identifier: Apache-2.0 */
/* The ordered map against a sorted array, and its promises about pointers and order. */
#include "support/testutil.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"

static eid_map *new_map(void)
{
    eid_map *map = NULL;
    tu_assert_ok(eid_map_new(&map));
    return map;
}

static void an_empty_map(void **state)
{
    (void)state;
    eid_map *map = new_map();
    assert_int_equal(eid_map_len(map), 0);
    assert_null(eid_map_first(map));
    assert_null(eid_map_seek(map, eid_slice_text("")));
    assert_null(eid_map_find(map, eid_slice_text("a")));
    assert_null(eid_map_get(map, eid_slice_text("a")));
    assert_null(eid_map_remove(map, eid_slice_text("a")));
    eid_map_free(map, NULL);
    eid_map_free(NULL, NULL);
}

static void put_finds_or_makes(void **state)
{
    (void)state;
    eid_map *map = new_map();
    char key[] = "key";
    eid_map_entry *entry = NULL;
    bool created = false;
    tu_assert_ok(eid_map_put(map, eid_slice_text(key), &entry, &created));
    assert_true(created);
    assert_null(entry->value);
    entry->value = map;
    key[0] = 'x'; /* the map keeps its own copy */
    assert_string_equal((const char *)entry->key.data, "key");

    eid_map_entry *again = NULL;
    tu_assert_ok(eid_map_put(map, eid_slice_text("key"), &again, &created));
    assert_false(created);
    assert_ptr_equal(again, entry);
    assert_ptr_equal(eid_map_get(map, eid_slice_text("key")), map);
    tu_assert_ok(eid_map_put(map, eid_slice_text("other"), &again, NULL));
    assert_int_equal(eid_map_len(map), 2);
    eid_map_free(map, NULL);
}

static void keys_are_any_bytes_in_unsigned_order(void **state)
{
    (void)state;
    const eid_slice keys[] = {
        eid_slice_of(NULL, 0),   eid_slice_of("\0", 1),   eid_slice_of("\0\0", 2), eid_slice_of("\0a", 2),
        eid_slice_of("A", 1),    eid_slice_of("a", 1),    eid_slice_of("a\0", 2),  eid_slice_of("ab", 2),
        eid_slice_of("\x7f", 1), eid_slice_of("\x80", 1), eid_slice_of("\xff", 1),
    };
    const size_t count = sizeof keys / sizeof keys[0];
    eid_map *map = new_map();
    for (size_t i = count; i > 0; i--) {
        eid_map_entry *entry;
        tu_assert_ok(eid_map_put(map, keys[i - 1], &entry, NULL));
    }
    size_t i = 0;
    for (eid_map_entry *at = eid_map_first(map); at != NULL; at = eid_map_next(map, at)) {
        assert_true(eid_slice_equal(at->key, keys[i]));
        assert_int_equal(at->key.data[at->key.len], 0);
        i++;
    }
    assert_int_equal(i, count);
    eid_map_free(map, NULL);
}

static size_t freed;

static void count_and_free(void *value)
{
    freed++;
    free(value);
}

static void free_visits_each_value_once(void **state)
{
    (void)state;
    eid_map *map = new_map();
    for (int i = 0; i < 1000; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i * 7919 % 1000);
        eid_map_entry *entry;
        tu_assert_ok(eid_map_put(map, eid_slice_text(key), &entry, NULL));
        if (i % 2 == 0)
            entry->value = malloc(1);
    }
    freed = 0;
    eid_map_free(map, count_and_free);
    assert_int_equal(freed, 500); /* entries without a value are not handed to the function */
}

/* A chain instead of a tree would need 10^10 comparisons here and run into the time limit. */
static void sorted_insertion_stays_fast(void **state)
{
    (void)state;
    enum { COUNT = 200000 };
    for (int direction = 0; direction < 2; direction++) {
        eid_map *map = new_map();
        for (uint32_t i = 0; i < COUNT; i++) {
            uint32_t number = direction == 0 ? i : COUNT - 1 - i;
            uint8_t key[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                              (uint8_t)number};
            eid_map_entry *entry;
            tu_assert_ok(eid_map_put(map, eid_slice_of(key, 4), &entry, NULL));
        }
        assert_int_equal(eid_map_len(map), COUNT);
        uint32_t expected = 0;
        for (eid_map_entry *at = eid_map_first(map); at != NULL; at = eid_map_next(map, at)) {
            uint32_t number = (uint32_t)at->key.data[0] << 24 | (uint32_t)at->key.data[1] << 16 |
                              (uint32_t)at->key.data[2] << 8 | at->key.data[3];
            assert_int_equal(number, expected);
            expected++;
        }
        assert_int_equal(expected, COUNT);
        eid_map_free(map, NULL);
    }
}

/* --- The model: an array sorted by key --- */

enum { MODEL_MAX = 400 };

typedef struct model_item {
    uint8_t key[3];
    size_t len;
    void *value;
    eid_map_entry *entry; /* what the map answered when the key was made: must stay valid */
} model_item;

typedef struct model {
    model_item items[MODEL_MAX];
    size_t len;
} model;

static eid_slice item_key(const model_item *item)
{
    return eid_slice_of(item->key, item->len);
}

/* The index of the first item with a key >= the given one. */
static size_t model_seek(const model *m, eid_slice key)
{
    size_t i = 0;
    while (i < m->len && eid_slice_compare(item_key(&m->items[i]), key) < 0)
        i++;
    return i;
}

static bool model_has(const model *m, size_t at, eid_slice key)
{
    return at < m->len && eid_slice_equal(item_key(&m->items[at]), key);
}

static void check_same(const eid_map *map, const model *m)
{
    assert_int_equal(eid_map_len(map), m->len);
    size_t i = 0;
    for (eid_map_entry *at = eid_map_first(map); at != NULL; at = eid_map_next(map, at)) {
        assert_true(i < m->len);
        assert_true(eid_slice_equal(at->key, item_key(&m->items[i])));
        assert_ptr_equal(at->value, m->items[i].value);
        assert_ptr_equal(at, m->items[i].entry);
        i++;
    }
    assert_int_equal(i, m->len);
}

static void model_put(eid_map *map, model *m, eid_slice key, void *value)
{
    size_t at = model_seek(m, key);
    bool had = model_has(m, at, key);
    if (!had && m->len == MODEL_MAX)
        return;
    eid_map_entry *entry;
    bool created;
    tu_assert_ok(eid_map_put(map, key, &entry, &created));
    assert_int_equal(created, !had);
    if (!had) {
        memmove(&m->items[at + 1], &m->items[at], (m->len - at) * sizeof(model_item));
        m->len++;
        model_item item = {{0}, key.len, NULL, entry};
        if (key.len > 0)
            memcpy(item.key, key.data, key.len);
        m->items[at] = item;
        assert_null(entry->value);
    }
    assert_ptr_equal(entry, m->items[at].entry);
    entry->value = value;
    m->items[at].value = value;
}

static void model_remove(eid_map *map, model *m, eid_slice key)
{
    size_t at = model_seek(m, key);
    void *removed = eid_map_remove(map, key);
    if (!model_has(m, at, key)) {
        assert_null(removed);
        return;
    }
    assert_ptr_equal(removed, m->items[at].value);
    m->len--;
    memmove(&m->items[at], &m->items[at + 1], (m->len - at) * sizeof(model_item));
}

static void model_look(const eid_map *map, const model *m, eid_slice key)
{
    size_t at = model_seek(m, key);
    eid_map_entry *sought = eid_map_seek(map, key);
    assert_ptr_equal(sought, at < m->len ? m->items[at].entry : NULL);
    eid_map_entry *found = eid_map_find(map, key);
    assert_ptr_equal(found, model_has(m, at, key) ? m->items[at].entry : NULL);
    assert_ptr_equal(eid_map_get(map, key), found == NULL ? NULL : m->items[at].value);
}

static void random_operations_match_a_sorted_array(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(4095);
    static model m;
    for (int round = 0; round < 20; round++) {
        eid_map *map = new_map();
        m.len = 0;
        /* Small alphabets meet the same keys again and again, large ones fill the tree. */
        uint64_t alphabet = (round & 1) ? 4 : 256;
        for (uintptr_t step = 1; step <= 3000; step++) {
            uint8_t bytes[3];
            size_t len = (size_t)tu_random_below(&random, 4);
            for (size_t i = 0; i < len; i++)
                bytes[i] = (uint8_t)tu_random_below(&random, alphabet);
            eid_slice key = eid_slice_of(bytes, len);
            /* First mostly growing, then mostly shrinking. */
            uint64_t dice = tu_random_below(&random, 10);
            if (dice < (step < 1500 ? 6u : 2u))
                model_put(map, &m, key, (void *)step);
            else if (dice < 8 && m.len > 0 && dice % 2 == 0)
                model_remove(map, &m, item_key(&m.items[tu_random_below(&random, m.len)]));
            else if (dice < 9)
                model_remove(map, &m, key);
            else
                model_look(map, &m, key);
            if (step % 50 == 0)
                check_same(map, &m);
        }
        check_same(map, &m);
        while (m.len > 0)
            model_remove(map, &m, item_key(&m.items[m.len / 2]));
        check_same(map, &m);
        eid_map_free(map, NULL);
    }
}

/* All insertion orders and all removal orders of six keys: each shape of rotation occurs. */
static void all_orders_of_six_keys(void **state)
{
    (void)state;
    enum { KEYS = 6, ORDERS = 720 };
    for (unsigned order = 0; order < ORDERS; order++) {
        uint8_t left[KEYS] = {'a', 'b', 'c', 'd', 'e', 'f'};
        uint8_t sequence[KEYS];
        unsigned rest = order;
        for (unsigned i = 0; i < KEYS; i++) {
            unsigned pick = rest % (KEYS - i);
            rest /= KEYS - i;
            sequence[i] = left[pick];
            memmove(left + pick, left + pick + 1, KEYS - i - 1 - pick);
        }
        eid_map *map = new_map();
        static model m;
        m.len = 0;
        for (unsigned i = 0; i < KEYS; i++) {
            model_put(map, &m, eid_slice_of(&sequence[i], 1), &sequence[i]);
            check_same(map, &m);
        }
        for (unsigned i = 0; i < KEYS; i++) {
            model_remove(map, &m, eid_slice_of(&sequence[(i * 5 + order) % KEYS], 1));
            check_same(map, &m);
        }
        eid_map_free(map, NULL);
    }
}

/* A refused insertion leaves the map as it was. */
static eid_status fill_map(void *ctx)
{
    (void)ctx;
    eid_map *map;
    EID_TRY(eid_map_new(&map));
    eid_status status = EID_OK;
    for (unsigned i = 0; i < 20 && status == EID_OK; i++) {
        uint8_t key = (uint8_t)(i * 37);
        eid_map_entry *entry = NULL;
        bool created = false;
        size_t before = eid_map_len(map);
        status = eid_map_put(map, eid_slice_of(&key, 1), &entry, &created);
        if (status != EID_OK) {
            assert_null(entry);
            assert_false(created);
            assert_int_equal(eid_map_len(map), before);
            assert_null(eid_map_find(map, eid_slice_of(&key, 1)));
        }
    }
    eid_map_free(map, NULL);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_int_equal(tu_alloc_fault_loop(fill_map, NULL), 21);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_map),
        cmocka_unit_test(put_finds_or_makes),
        cmocka_unit_test(keys_are_any_bytes_in_unsigned_order),
        cmocka_unit_test(free_visits_each_value_once),
        cmocka_unit_test(sorted_insertion_stays_fast),
        cmocka_unit_test(random_operations_match_a_sorted_array),
        cmocka_unit_test(all_orders_of_six_keys),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
