/* SPDX-License-Identifier: Apache-2.0 */
/* A verdict on an entry follows from the entry and what it names, never from order, batches, memory or what else is
 * held: cases where it once did not. */
#include "review.h"

#include "base/alloc.h"

#define NOTHING "{\"children\":{}}"

/* A database of key 1, who also lets in the writers 2 and 3 by concurrent settings. */
typedef struct fixture {
    eid_keypair *admin;
    eid_keypair *writers[2];
    eid_entry *root;
    eid_entry *grants[2];
    eid_core *core;
} fixture;

static fixture set_up(uint64_t salt)
{
    fixture f = {.admin = rv_key(1), .core = rv_core()};
    char *own = rv_grant(f.admin, EID_PERM_ADMIN, EID_KEY_ACTIVE);
    f.root = rv_root(f.admin, own, salt);
    eid_free(own);
    for (uint8_t i = 0; i < 2; i++) {
        f.writers[i] = rv_key((uint8_t)(2 + i));
        char *grant = rv_grant(f.writers[i], EID_PERM_WRITE, EID_KEY_ACTIVE);
        f.grants[i] = rv_entry(f.root, &(rv_spec){.key = f.admin,
                                                  .height = 1,
                                                  .parents = {f.root},
                                                  .pins = {f.root},
                                                  .stores = {{"_settings", grant, {f.root}}}});
        eid_free(grant);
    }
    return f;
}

static void tear_down(fixture *f)
{
    eid_core_close(f->core);
    for (size_t i = 0; i < 2; i++) {
        eid_entry_unref(f->grants[i]);
        eid_keypair_free(f->writers[i]);
    }
    eid_entry_unref(f->root);
    eid_keypair_free(f->admin);
}

static eid_entry *data_entry(const fixture *f, const eid_keypair *key, const eid_entry *parent, const eid_entry *pin, uint64_t salt)
{
    return rv_entry(f->root, &(rv_spec){.key = key,
                                        .height = parent->height + 1,
                                        .parents = {parent},
                                        .pins = {pin},
                                        .stores = {{"d", NOTHING, {NULL}}},
                                        .salt = salt});
}

/* ---- Settings inside a batch ---- */

/* Of two concurrent settings the one that sorts first may come second. Whoever is let in by it is judged in the same batch. */
static void test_settings_that_come_late_in_a_batch(void **state)
{
    (void)state;
    for (uint64_t salt = 0; salt < 16; salt++) {
        fixture f = set_up(salt);
        eid_entry *batch[5] = {f.root, f.grants[0], f.grants[1]};
        for (size_t i = 0; i < 2; i++)
            batch[3 + i] = rv_entry(f.root, &(rv_spec){.key = f.writers[i],
                                                       .height = 2,
                                                       .parents = {f.grants[0], f.grants[1]},
                                                       .pins = {f.grants[0], f.grants[1]},
                                                       .stores = {{"d", NOTHING, {NULL}}}});
        eid_receipt receipt;
        rv_receive(f.core, f.root, batch, 5, &receipt);
        if (receipt.admitted != 5)
            fail_msg("salt %d: %s", (int)salt, receipt.text);
        eid_entry_unref(batch[3]);
        eid_entry_unref(batch[4]);
        tear_down(&f);
    }
}

/* And whoever it revokes. */
static void test_revocations_that_come_late_in_a_batch(void **state)
{
    (void)state;
    for (uint64_t salt = 0; salt < 16; salt++) {
        fixture f = set_up(salt);
        char *revoked = rv_grant(f.writers[0], EID_PERM_WRITE, EID_KEY_REVOKED);
        char *granted = rv_grant(f.writers[1], EID_PERM_ADMIN, EID_KEY_ACTIVE);
        eid_entry *revocation = rv_entry(f.root, &(rv_spec){.key = f.admin,
                                                            .height = 2,
                                                            .parents = {f.grants[0]},
                                                            .pins = {f.grants[0]},
                                                            .stores = {{"_settings", revoked, {f.grants[0]}}}});
        eid_entry *branch = rv_entry(f.root, &(rv_spec){.key = f.admin,
                                                        .height = 2,
                                                        .parents = {f.grants[1]},
                                                        .pins = {f.grants[1]},
                                                        .stores = {{"_settings", granted, {f.grants[1]}}}});
        eid_entry *entry = rv_entry(f.root, &(rv_spec){.key = f.writers[0],
                                                       .height = 3,
                                                       .parents = {revocation, branch},
                                                       .pins = {revocation, branch},
                                                       .stores = {{"d", NOTHING, {NULL}}}});
        eid_entry *orders[2][6] = {{f.root, f.grants[0], f.grants[1], revocation, branch, entry},
                                   {f.root, f.grants[1], f.grants[0], branch, revocation, entry}};
        for (size_t i = 0; i < 2; i++) {
            eid_core *core = rv_core();
            eid_receipt receipt;
            assert_int_equal(rv_receive(core, f.root, orders[i], 6, &receipt), EID_VERDICT_REFUSED);
            assert_int_equal(receipt.admitted, 5);
            assert_int_equal(receipt.first_refusal, EID_ERR_PERMISSION_DENIED);
            eid_core_close(core);
        }
        eid_entry_unref(revocation);
        eid_entry_unref(branch);
        eid_entry_unref(entry);
        eid_free(revoked);
        eid_free(granted);
        tear_down(&f);
    }
}

/* ---- Settings that name settings which are not here yet ---- */

/* The second settings build on the first, but only in their store: nothing else makes them wait for each other. */
static void test_settings_wait_for_what_they_build_on(void **state)
{
    (void)state;
    fixture f = set_up(1);
    eid_entry *second = rv_entry(f.root, &(rv_spec){.key = f.admin,
                                                    .height = 2,
                                                    .parents = {f.root},
                                                    .pins = {f.root},
                                                    .stores = {{"_settings", NOTHING, {f.grants[0]}}}});
    eid_entry *one = data_entry(&f, f.writers[0], second, second, 1), *two = data_entry(&f, f.writers[0], second, second, 2);
    assert_int_equal(rv_receive_one(f.core, f.root, f.root), EID_VERDICT_ADMITTED);
    assert_int_equal(rv_receive_one(f.core, f.root, second), EID_VERDICT_WAITING);
    assert_int_equal(rv_receive_one(f.core, f.root, one), EID_VERDICT_WAITING);
    assert_int_equal(rv_receive_one(f.core, f.root, f.grants[0]), EID_VERDICT_ADMITTED);
    assert_true(rv_holds(f.core, second));
    assert_true(rv_holds(f.core, one));
    assert_int_equal(rv_receive_one(f.core, f.root, two), EID_VERDICT_ADMITTED);
    assert_int_equal(rv_waiting(f.core, f.root), 0);
    eid_entry_unref(second);
    eid_entry_unref(one);
    eid_entry_unref(two);
    tear_down(&f);
}

/* A stranger's settings that were refused can not hold up the settings that name them. */
static void test_settings_above_refused_ones(void **state)
{
    (void)state;
    fixture f = set_up(1);
    eid_entry *forged = rv_entry(f.root, &(rv_spec){.key = f.writers[1],
                                                    .height = 1,
                                                    .parents = {f.root},
                                                    .pins = {f.root},
                                                    .stores = {{"_settings", NOTHING, {f.root}}}});
    eid_entry *second = rv_entry(f.root, &(rv_spec){.key = f.admin,
                                                    .height = 2,
                                                    .parents = {f.root},
                                                    .pins = {f.root},
                                                    .stores = {{"_settings", NOTHING, {f.root, forged}}}});
    eid_entry *third = rv_entry(f.root, &(rv_spec){.key = f.admin,
                                                   .height = 3,
                                                   .parents = {f.root},
                                                   .pins = {f.root},
                                                   .stores = {{"_settings", NOTHING, {forged, second}}}});
    assert_int_equal(rv_receive_one(f.core, f.root, f.root), EID_VERDICT_ADMITTED);
    assert_int_equal(rv_receive_one(f.core, f.root, second), EID_VERDICT_WAITING);
    assert_int_equal(rv_receive_one(f.core, f.root, forged), EID_VERDICT_REFUSED);
    assert_true(rv_holds(f.core, second));
    assert_int_equal(rv_receive_one(f.core, f.root, third), EID_VERDICT_ADMITTED);
    eid_entry_unref(forged);
    eid_entry_unref(second);
    eid_entry_unref(third);
    tear_down(&f);
}

/* ---- Entries of other databases ---- */

/* Naming another database's settings is wrong whether that database is here or not; it is only not known before. */
static void test_pins_of_another_database(void **state)
{
    (void)state;
    fixture f = set_up(1), other = set_up(2);
    eid_entry *entry = rv_entry(f.root, &(rv_spec){.key = f.admin, .height = 1, .parents = {f.root}, .pins = {f.root, other.root}});
    assert_int_equal(rv_receive_one(f.core, f.root, f.root), EID_VERDICT_ADMITTED);
    assert_int_equal(rv_receive_one(f.core, f.root, entry), EID_VERDICT_WAITING);
    eid_core *both = rv_core();
    assert_int_equal(rv_receive_one(both, f.root, f.root), EID_VERDICT_ADMITTED);
    assert_int_equal(rv_receive_one(both, other.root, other.root), EID_VERDICT_ADMITTED);
    assert_int_equal(rv_receive_one(both, f.root, entry), EID_VERDICT_REFUSED);
    assert_int_equal(rv_receive_one(both, f.root, entry), EID_VERDICT_REFUSED);
    eid_core_close(both);
    eid_entry_unref(entry);
    tear_down(&f);
    tear_down(&other);
}

/* ---- What builds on a refused entry ---- */

static void test_what_waits_is_refused_with_what_it_waits_for(void **state)
{
    (void)state;
    fixture f = set_up(1);
    eid_entry *chain[4];
    chain[0] = data_entry(&f, f.writers[0], f.root, f.root, 0); /* not let in by what it pins */
    for (size_t i = 1; i < 4; i++)
        chain[i] = data_entry(&f, f.writers[0], chain[i - 1], f.root, i);
    eid_entry *pinning = data_entry(&f, f.writers[0], f.root, chain[0], 9);
    assert_int_equal(rv_receive_one(f.core, f.root, f.root), EID_VERDICT_ADMITTED);
    for (size_t i = 3; i > 0; i--)
        assert_int_equal(rv_receive_one(f.core, f.root, chain[i]), EID_VERDICT_WAITING);
    assert_int_equal(rv_receive_one(f.core, f.root, pinning), EID_VERDICT_WAITING);
    eid_receipt receipt;
    assert_int_equal(rv_receive(f.core, f.root, chain, 1, &receipt), EID_VERDICT_REFUSED);
    assert_int_equal(receipt.refused, 5);
    assert_int_equal(receipt.first_refusal, EID_ERR_PERMISSION_DENIED);
    assert_int_equal(rv_waiting(f.core, f.root), 0);
    for (size_t i = 1; i < 4; i++)
        assert_int_equal(rv_receive_one(f.core, f.root, chain[i]), EID_VERDICT_REFUSED);
    assert_int_equal(rv_receive_one(f.core, f.root, pinning), EID_VERDICT_REFUSED);
    eid_entry_unref(pinning);
    for (size_t i = 0; i < 4; i++)
        eid_entry_unref(chain[i]);
    tear_down(&f);
}

/* Child first by its forged height, in one batch: both verdicts are those at the end. */
static void test_verdicts_are_settled(void **state)
{
    (void)state;
    fixture f = set_up(1);
    eid_entry *good = data_entry(&f, f.admin, f.root, f.root, 0), *bad = data_entry(&f, f.writers[0], f.root, f.root, 1);
    eid_entry *on_good = rv_entry(f.root, &(rv_spec){.key = f.admin, .parents = {good}, .pins = {f.root}});
    eid_entry *on_bad = rv_entry(f.root, &(rv_spec){.key = f.admin, .parents = {bad}, .pins = {f.root}});
    eid_entry *on_nothing = rv_entry(f.root, &(rv_spec){.key = f.admin, .parents = {f.grants[0]}, .pins = {f.root}});
    eid_entry *earlier = rv_entry(f.root, &(rv_spec){.key = f.admin, .parents = {good}, .pins = {f.root}, .salt = 1});
    assert_int_equal(rv_receive_one(f.core, f.root, f.root), EID_VERDICT_ADMITTED);
    assert_int_equal(rv_receive_one(f.core, f.root, earlier), EID_VERDICT_WAITING);
    eid_entry *batch[] = {on_good, on_bad, on_nothing, good, bad};
    static const eid_verdict wanted[] = {EID_VERDICT_ADMITTED, EID_VERDICT_REFUSED, EID_VERDICT_WAITING, EID_VERDICT_ADMITTED,
                                         EID_VERDICT_REFUSED};
    eid_verdict verdicts[5];
    eid_receipt receipt;
    tu_assert_ok(eid_core_receive(f.core, &f.root->id, batch, 5, &receipt, verdicts));
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(verdicts[i], wanted[i]);
    assert_int_equal(receipt.waiting, 1); /* what was released was not counted here */
    assert_int_equal(receipt.admitted, 3);
    assert_int_equal(receipt.refused, 2);
    assert_true(rv_holds(f.core, earlier));
    tu_assert_ok(eid_core_receive(f.core, &f.root->id, batch, 5, &receipt, NULL));
    assert_true(receipt.held == 2 && receipt.waiting == 1 && receipt.refused == 2);
    eid_entry_unref(earlier);
    for (size_t i = 0; i < 5; i++)
        eid_entry_unref(batch[i]);
    tear_down(&f);
}

/* ---- Memory ---- */

/* Whatever fails for want of memory, the entry is welcome when it comes again. */
/* Feature W15 */
static void test_no_memory_is_no_verdict(void **state)
{
    (void)state;
    tu_alloc_install();
    fixture f = set_up(1);
    eid_entry *entry = data_entry(&f, f.admin, f.root, f.root, 0);
    size_t refused_points = 0;
    for (size_t at = 1; at < 1000; at++) {
        eid_receipt receipt;
        eid_core *core = rv_core();
        assert_int_equal(rv_receive_one(core, f.root, f.root), EID_VERDICT_ADMITTED);
        tu_alloc_fail_at(at);
        eid_status status = eid_core_receive(core, &f.root->id, &entry, 1, &receipt, NULL);
        bool fired = tu_alloc_fired();
        tu_alloc_fail_at(0);
        assert_true(status == EID_ERR_NO_MEMORY || (status == EID_OK && receipt.refused == 0));
        refused_points += status != EID_OK;
        tu_assert_ok(eid_core_receive(core, &f.root->id, &entry, 1, &receipt, NULL));
        assert_int_equal(receipt.refused, 0);
        assert_true(rv_holds(core, entry));
        eid_core_close(core);
        if (!fired)
            break;
        assert_true(at < 999);
    }
    assert_true(refused_points > 10);
    eid_entry_unref(entry);
    tear_down(&f);
    tu_alloc_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings_that_come_late_in_a_batch),
        cmocka_unit_test(test_revocations_that_come_late_in_a_batch),
        cmocka_unit_test(test_settings_wait_for_what_they_build_on),
        cmocka_unit_test(test_settings_above_refused_ones),
        cmocka_unit_test(test_pins_of_another_database),
        cmocka_unit_test(test_what_waits_is_refused_with_what_it_waits_for),
        cmocka_unit_test(test_verdicts_are_settled),
        cmocka_unit_test(test_no_memory_is_no_verdict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
