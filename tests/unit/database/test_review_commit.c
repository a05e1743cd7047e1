/* SPDX-License-Identifier: Apache-2.0 */
/* Commits that meet each other. */
#include "review.h"

static void set_int(eid_txn *txn, int64_t number)
{
    eid_txn_store *store;
    eid_value *value;
    tu_assert_ok(eid_txn_open_store(txn, "d", EID_TYPE_DOCSTORE, &store));
    tu_assert_ok(eid_value_new_int(number, &value));
    tu_assert_ok(eid_txn_store_set(store, eid_slice_text("k"), value));
}

static void count_calls(eid_database *database, eid_entry *entry, eid_write_source source, void *ctx)
{
    (void)database, (void)entry, (void)source;
    ++*(size_t *)ctx;
}

/* Two transactions of one moment that say the same are one entry: both succeed, it is stored and announced once. */
static void test_the_same_commit_twice(void **state)
{
    (void)state;
    eid_core *core = rv_core();
    eid_keypair *key = rv_key(1);
    eid_doc *settings;
    eid_database *database;
    eid_txn *first, *second, *other;
    eid_id ids[3];
    uint64_t entries;
    size_t calls = 0;
    eid_callback *registration;
    tu_assert_ok(eid_doc_new(&settings));
    tu_assert_ok(eid_database_create(core, settings, key, &database));
    tu_assert_ok(eid_database_on_write(database, count_calls, &calls, &registration));
    tu_assert_ok(eid_database_new_transaction(database, &first));
    tu_assert_ok(eid_database_new_transaction(database, &second));
    tu_assert_ok(eid_database_new_transaction(database, &other));
    set_int(first, 1);
    set_int(second, 1);
    set_int(other, 2);
    tu_assert_ok(eid_txn_commit_free(first, &ids[0]));
    tu_assert_ok(eid_txn_commit_free(second, &ids[1]));
    tu_assert_ok(eid_txn_commit_free(other, &ids[2]));
    assert_true(eid_id_equal(&ids[0], &ids[1]));
    assert_false(eid_id_equal(&ids[0], &ids[2]));
    tu_assert_ok(eid_database_entry_count(database, &entries));
    assert_int_equal(entries, 3);
    assert_int_equal(calls, 2);
    eid_callback_remove(registration);
    eid_database_close(database);
    eid_doc_free(settings);
    eid_keypair_free(key);
    eid_core_close(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_commit_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
