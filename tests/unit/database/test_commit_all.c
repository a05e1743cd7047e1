/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions of different databases committed together: all entries or none, whatever fails and wherever. */
#include "database_test.h"

#include "base/alloc.h"

typedef struct pair {
    eid_core *core;
    eid_database *first, *second;
    size_t heard;
} pair;

static void hear(eid_database *database, eid_entry *entry, eid_write_source source, void *ctx)
{
    (void)database;
    (void)entry;
    assert_int_equal(source, EID_WRITE_LOCAL);
    (*(size_t *)ctx)++;
}

static void pair_open(pair *p)
{
    *p = (pair){.core = dt_memory()};
    p->first = dt_create(p->core);
    p->second = dt_create(p->core);
    dt_commit_int(p->first, "s", "old", 1);
    dt_commit_int(p->second, "s", "old", 1);
}

static void pair_close(pair *p)
{
    eid_database_close(p->first);
    eid_database_close(p->second);
    eid_core_close(p->core);
}

static void stage(eid_database *first, eid_database *second, eid_txn *txns[2])
{
    tu_assert_ok(eid_database_new_transaction(first, &txns[0]));
    tu_assert_ok(eid_database_new_transaction(second, &txns[1]));
    dt_put_int(txns[0], "s", "new", 7);
    dt_put_int(txns[1], "s", "new", 8);
}

static void unstage(eid_txn *txns[2])
{
    eid_txn_free(txns[0]);
    eid_txn_free(txns[1]);
}

static void both_are_stored(void **state)
{
    pair p;
    eid_txn *txns[2];
    eid_id ids[2];
    eid_callback *first, *second;

    (void)state;
    pair_open(&p);
    tu_assert_ok(eid_database_on_write(p.first, hear, &p.heard, &first));
    tu_assert_ok(eid_database_on_write(p.second, hear, &p.heard, &second));
    stage(p.first, p.second, txns);
    tu_assert_ok(eid_txn_commit_all(txns, 2, ids));
    assert_int_equal(p.heard, 2);
    assert_int_equal(dt_int(p.first, "s", "new"), 7);
    assert_int_equal(dt_int(p.second, "s", "new"), 8);
    eid_entry *entry = dt_entry(p.first, &ids[0]);
    eid_entry_unref(entry);
    entry = dt_entry(p.second, &ids[1]);
    eid_entry_unref(entry);
    for (int i = 0; i < 2; i++)
        tu_assert_fails(eid_txn_commit(txns[i], NULL), EID_ERR_ALREADY_COMMITTED);
    tu_assert_fails(eid_txn_commit_all(txns, 2, ids), EID_ERR_ALREADY_COMMITTED);
    unstage(txns);
    eid_callback_remove(first);
    eid_callback_remove(second);
    pair_close(&p);
}

static void an_empty_one_makes_no_entry(void **state)
{
    pair p;
    eid_txn *txns[2];
    eid_id ids[2];

    (void)state;
    pair_open(&p);
    for (int empty = 0; empty < 2; empty++) {
        tu_assert_ok(eid_database_new_transaction(p.first, &txns[0]));
        tu_assert_ok(eid_database_new_transaction(p.second, &txns[1]));
        dt_put_int(txns[1 - empty], "s", "n", empty);
        tu_assert_ok(eid_txn_commit_all(txns, 2, ids));
        assert_true(eid_id_is_empty(&ids[empty]));
        assert_false(eid_id_is_empty(&ids[1 - empty]));
        assert_int_equal(dt_int(empty == 0 ? p.second : p.first, "s", "n"), empty);
        unstage(txns);
    }
    tu_assert_ok(eid_database_new_transaction(p.first, &txns[0]));
    tu_assert_ok(eid_txn_commit_all(txns, 1, NULL));
    eid_txn_free(txns[0]);
    pair_close(&p);
}

/* One that may not be committed keeps the other back, in either order, and both can be tried again. */
static void one_that_is_refused_keeps_the_other_back(void **state)
{
    pair p;
    eid_txn *txns[2];

    (void)state;
    pair_open(&p);
    dt_grant(p.second, 2, EID_PERM_READ, EID_KEY_ACTIVE);
    eid_database *reader = dt_open_as(p.core, eid_database_root_id(p.second), 2);
    eid_database *keyless = dt_open_as(p.core, eid_database_root_id(p.second), 0);
    dt_print before = dt_fingerprint(p.core);
    for (int order = 0; order < 2; order++) {
        stage(order == 0 ? p.first : reader, order == 0 ? reader : p.first, txns);
        tu_assert_fails(eid_txn_commit_all(txns, 2, NULL), EID_ERR_PERMISSION_DENIED);
        unstage(txns);
        stage(order == 0 ? p.first : keyless, order == 0 ? keyless : p.first, txns);
        tu_assert_fails(eid_txn_commit_all(txns, 2, NULL), EID_ERR_AUTH_REQUIRED);
        unstage(txns);
    }
    dt_assert_unchanged(p.core, &before);
    stage(p.first, reader, txns);
    tu_assert_fails(eid_txn_commit_all(txns, 2, NULL), EID_ERR_PERMISSION_DENIED);
    tu_assert_ok(eid_txn_commit(txns[0], NULL));
    assert_int_equal(dt_int(p.first, "s", "new"), 7);
    unstage(txns);
    eid_database_close(reader);
    eid_database_close(keyless);
    pair_close(&p);
}

/* Every call of the storage fails in turn. */
static void failing_storage_leaves_both_or_none(void **state)
{
    pair p;
    eid_txn *txns[2];
    uint64_t failures = 0;

    (void)state;
    pair_open(&p);
    eid_sql *sql = eid_storage_sql(eid_core_storage(p.core));
    stage(p.first, p.second, txns);
    dt_print before = dt_fingerprint(p.core);
    for (;;) {
        eid_sql_fail_after(sql, failures + 1);
        eid_status status = eid_txn_commit_all(txns, 2, NULL);
        eid_sql_fail_after(sql, 0);
        if (status == EID_OK)
            break;
        failures++;
        dt_assert_unchanged(p.core, &before);
        assert_true(failures < 1000);
    }
    print_message("%llu failures\n", (unsigned long long)failures);
    assert_true(failures > 10);
    assert_int_equal(dt_int(p.first, "s", "new"), 7);
    assert_int_equal(dt_int(p.second, "s", "new"), 8);
    unstage(txns);
    pair_close(&p);
}

static void failing_memory_leaves_both_or_none(void **state)
{
    pair p;
    eid_txn *txns[2];
    size_t points = 0;

    (void)state;
    tu_alloc_install();
    pair_open(&p);
    stage(p.first, p.second, txns);
    for (bool fired = true; fired; points++) {
        tu_alloc_fail_at(points + 1);
        eid_status status = eid_txn_commit_all(txns, 2, NULL);
        fired = tu_alloc_fired();
        tu_alloc_fail_at(0);
        assert_int_equal(status, fired ? EID_ERR_NO_MEMORY : EID_OK);
        assert_int_equal(dt_int(p.first, "s", "new"), fired ? INT64_MIN : 7);
        assert_int_equal(dt_int(p.second, "s", "new"), fired ? INT64_MIN : 8);
    }
    assert_true(points > 20);
    unstage(txns);
    pair_close(&p);
    assert_int_equal(tu_alloc_live(), 0);
    tu_alloc_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_are_stored),
        cmocka_unit_test(an_empty_one_makes_no_entry),
        cmocka_unit_test(one_that_is_refused_keeps_the_other_back),
        cmocka_unit_test(failing_storage_leaves_both_or_none),
        cmocka_unit_test(failing_memory_leaves_both_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
