/* SPDX-License-Identifier: Apache-2.0 */
/* Commits that meet each other. */
#include "review.h"

#include <eidetica/store.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/limits.h"

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

/* ---- More concurrent settings than can be pinned ---- */

#define VERSIONS (EID_LIMIT_SETTINGS_PIN + 6)

static void receive_versions(eid_core *core, eid_entry *root, const eid_keypair *key)
{
    eid_entry **versions = calloc(VERSIONS, sizeof *versions);
    eid_receipt receipt;
    for (uint64_t i = 0; i < VERSIONS; i++)
        versions[i] = rv_entry(root, &(rv_spec){.key = key,
                                                .height = 1,
                                                .parents = {root},
                                                .pins = {root},
                                                .stores = {{"_settings", "{\"children\":{}}", {root}}},
                                                .salt = i});
    rv_receive(core, root, versions, VERSIONS, &receipt);
    assert_int_equal(receipt.admitted, VERSIONS);
    for (size_t i = 0; i < VERSIONS; i++)
        eid_entry_unref(versions[i]);
    free(versions);
}

/* They stop everybody until somebody joins them, and that must be possible. */
static void test_too_many_versions_of_the_settings(void **state)
{
    (void)state;
    eid_core *core = rv_core();
    eid_keypair *key = rv_key(1);
    char *own = rv_grant(key, EID_PERM_ADMIN, EID_KEY_ACTIVE);
    eid_entry *root = rv_root(key, own, 1);
    eid_database *database;
    eid_txn *txn;
    assert_int_equal(rv_receive_one(core, root, root), EID_VERDICT_ADMITTED);
    receive_versions(core, root, key);
    tu_assert_ok(eid_database_open_as(core, &root->id, key, NULL, &database));
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    set_int(txn, 1);
    tu_assert_fails(eid_txn_commit_free(txn, NULL), EID_ERR_LIMIT);
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    tu_assert_ok(eid_settings_set_name(txn, "joined"));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    set_int(txn, 1);
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    eid_database_close(database);
    eid_entry_unref(root);
    eid_free(own);
    eid_keypair_free(key);
    eid_core_close(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_commit_twice),
        cmocka_unit_test(test_too_many_versions_of_the_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
