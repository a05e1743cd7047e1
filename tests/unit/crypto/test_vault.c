/* SPDX-License-Identifier: Apache-2.0 */
/* The table in guarded memory, against the library's ordered map over thousands of random steps. */
#include "support/testutil.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "crypto/vault.h"

static eid_vault *vault_new(void)
{
    eid_vault *vault;

    tu_assert_ok(eid_vault_new(64u << 20, &vault));
    return vault;
}

static void put(eid_vault *vault, const char *key, const char *value)
{
    tu_assert_ok(eid_vault_put(vault, eid_slice_text(key), eid_slice_text(value)));
}

static void assert_value(const eid_vault *vault, const char *key, const char *wanted)
{
    eid_slice value;

    assert_int_equal(eid_vault_get(vault, eid_slice_text(key), &value), wanted != NULL);
    if (wanted != NULL)
        assert_true(eid_slice_is(value, wanted));
}

static void what_is_put_is_found(void **state)
{
    (void)state;
    eid_vault *vault = vault_new();

    assert_value(vault, "a", NULL);
    assert_value(vault, "", NULL);
    put(vault, "b", "second");
    put(vault, "a", "first");
    put(vault, "", "under the empty key");
    put(vault, "c", "");
    assert_value(vault, "a", "first");
    assert_value(vault, "b", "second");
    assert_value(vault, "c", "");
    assert_value(vault, "", "under the empty key");
    assert_value(vault, "aa", NULL);
    put(vault, "a", "1");
    assert_value(vault, "a", "1");
    put(vault, "a", "much longer than it ever was");
    assert_value(vault, "a", "much longer than it ever was");
    assert_value(vault, "b", "second");
    assert_int_equal(eid_vault_count(vault), 4);
    eid_vault_free(vault);
    eid_vault_free(NULL);
}

static void the_order_is_that_of_bytes(void **state)
{
    (void)state;
    static const char *const keys[] = {"b", "\xff", "ab", "a", "B", "a\x01"};
    static const char *const sorted[] = {"B", "a", "a\x01", "ab", "b", "\xff"};
    eid_vault *vault = vault_new();
    eid_slice key, value, after;

    assert_false(eid_vault_next(vault, NULL, &key, &value));
    for (size_t i = 0; i < 6; i++)
        put(vault, keys[i], keys[i]);
    bool more = eid_vault_next(vault, NULL, &key, &value);
    for (size_t i = 0; i < 6; i++) {
        assert_true(more);
        assert_true(eid_slice_is(key, sorted[i]) && eid_slice_is(value, sorted[i]));
        more = eid_vault_next(vault, &key, &key, &value);
    }
    assert_false(more);
    after = eid_slice_text("aa"); /* between two */
    assert_true(eid_vault_next(vault, &after, &key, &value));
    assert_true(eid_slice_is(key, "ab"));
    eid_vault_free(vault);
}

static void cleared_is_empty(void **state)
{
    (void)state;
    eid_vault *vault = vault_new();
    eid_slice key, value;

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 500; i++)
            tu_assert_ok(eid_vault_put(vault, eid_slice_of(&i, sizeof i), eid_slice_text("some value of a key")));
        assert_int_equal(eid_vault_count(vault), 500);
        eid_vault_clear(vault);
        assert_int_equal(eid_vault_count(vault), 0);
        assert_false(eid_vault_next(vault, NULL, &key, &value));
    }
    put(vault, "a", "again");
    assert_value(vault, "a", "again");
    eid_vault_free(vault);
}

static void what_is_removed_is_gone(void **state)
{
    (void)state;
    eid_vault *vault = vault_new();
    eid_slice key, value;

    eid_vault_remove(vault, eid_slice_text("a"));
    put(vault, "a", "1");
    put(vault, "b", "2");
    put(vault, "c", "3");
    eid_vault_remove(vault, eid_slice_text("b"));
    eid_vault_remove(vault, eid_slice_text("bb"));
    assert_value(vault, "a", "1");
    assert_value(vault, "b", NULL);
    assert_value(vault, "c", "3");
    assert_int_equal(eid_vault_count(vault), 2);
    key = eid_slice_text("a");
    assert_true(eid_vault_next(vault, &key, &key, &value) && eid_slice_is(key, "c"));
    /* The key may be lent by the vault. */
    eid_vault_remove(vault, key);
    assert_value(vault, "c", NULL);
    put(vault, "b", "again");
    assert_value(vault, "b", "again");
    /* What is removed leaves room: this would not fit beside itself. */
    eid_vault_free(vault);
    tu_assert_ok(eid_vault_new(20000, &vault));
    char text[1000];
    memset(text, 'x', sizeof text);
    for (int i = 0; i < 1000; i++) {
        tu_assert_ok(eid_vault_put(vault, eid_slice_of(&i, sizeof i), eid_slice_of(text, sizeof text)));
        eid_vault_remove(vault, eid_slice_of(&i, sizeof i));
    }
    assert_int_equal(eid_vault_count(vault), 0);
    eid_vault_free(vault);
}

static void the_bound_holds(void **state)
{
    (void)state;
    char text[1000];
    eid_vault *vault;
    size_t count = 0;

    memset(text, 'x', sizeof text);
    tu_assert_ok(eid_vault_new(20000, &vault));
    for (;; count++) {
        eid_status status = eid_vault_put(vault, eid_slice_of(&count, sizeof count), eid_slice_of(text, sizeof text));
        if (status != EID_OK) {
            assert_int_equal(status, EID_ERR_LIMIT);
            break;
        }
        assert_true(count < 20);
    }
    assert_true(count >= 15);
    /* Nothing changed: what was there is there, and what needs no room still goes. */
    assert_int_equal(eid_vault_count(vault), count);
    tu_assert_fails(eid_vault_put(vault, eid_slice_text("long"), eid_slice_of(text, SIZE_MAX)), EID_ERR_LIMIT);
    size_t first = 0;
    eid_slice value;
    assert_true(eid_vault_get(vault, eid_slice_of(&first, sizeof first), &value));
    assert_int_equal(value.len, sizeof text);
    tu_assert_ok(eid_vault_put(vault, eid_slice_of(&first, sizeof first), eid_slice_text("short")));
    assert_true(eid_vault_get(vault, eid_slice_of(&first, sizeof first), &value));
    assert_true(eid_slice_is(value, "short"));
    eid_vault_free(vault);
}

/* ---- Against the map ---- */

typedef struct bytes {
    size_t len;
    uint8_t data[200];
} bytes;

static void compare(const eid_vault *vault, const eid_map *map)
{
    eid_slice key, value;
    bool more = eid_vault_next(vault, NULL, &key, &value);

    assert_int_equal(eid_vault_count(vault), eid_map_len(map));
    for (eid_map_entry *e = eid_map_first(map); e != NULL; e = eid_map_next(map, e)) {
        const bytes *wanted = e->value;
        assert_true(more);
        assert_true(eid_slice_equal(key, e->key));
        assert_true(eid_slice_equal(value, eid_slice_of(wanted->data, wanted->len)));
        more = eid_vault_next(vault, &key, &key, &value);
    }
    assert_false(more);
}

/* Values change their length all the time, so the block is built anew many times. */
static void random_steps(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(11);
    eid_vault *vault = vault_new();
    eid_map *map;

    tu_assert_ok(eid_map_new(&map));
    for (size_t step = 0; step < 20000; step++) {
        uint8_t key[3];
        size_t key_len = (size_t)tu_random_below(&random, 3);
        bytes made;
        eid_map_entry *place;

        tu_random_fill(&random, key, sizeof key);
        if (tu_random_below(&random, 4) == 0) {
            eid_vault_remove(vault, eid_slice_of(key, key_len));
            free(eid_map_remove(map, eid_slice_of(key, key_len)));
            continue;
        }
        made.len = (size_t)tu_random_below(&random, sizeof made.data);
        tu_random_fill(&random, made.data, made.len);
        tu_assert_ok(eid_vault_put(vault, eid_slice_of(key, key_len), eid_slice_of(made.data, made.len)));
        tu_assert_ok(eid_map_put(map, eid_slice_of(key, key_len), &place, NULL));
        if (place->value == NULL)
            place->value = malloc(sizeof made);
        memcpy(place->value, &made, sizeof made);
        if (step % 2000 == 0)
            compare(vault, map);
    }
    compare(vault, map);
    eid_map_free(map, free);
    eid_vault_free(vault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_found), cmocka_unit_test(the_order_is_that_of_bytes),
        cmocka_unit_test(cleared_is_empty),     cmocka_unit_test(the_bound_holds),
        cmocka_unit_test(what_is_removed_is_gone),
        cmocka_unit_test(random_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
