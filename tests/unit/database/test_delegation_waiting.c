/* SPDX-License-Identifier: Apache-2.0 */
/* Entries by delegation that come before what they claim: they wait in their own database, and are released when it comes
 * to another one, in whatever way, also after a restart. The Rust side refuses them for ever. */
#include "delegation_test.h"

#include <stdlib.h>

#include "base/alloc.h"

/* Where everything is made. The parent has a member's entries under different claims, in order of parents. */
typedef struct source {
    eid_core *core;
    eid_id parent;
    eid_id members;
    eid_entry **of_parent;
    eid_entry **of_members;
    size_t parent_count;
    size_t member_count;
    size_t by_member; /* how many of the parent's are by delegation */
    int64_t pin;      /* of the first of them */
    eid_pubkey key;   /* of the member */
} source;

static void make_source(source *s)
{
    memset(s, 0, sizeof *s);
    s->core = dt_memory();
    eid_database *members = dt_create(s->core), *parent = dt_create(s->core);

    s->members = *eid_database_root_id(members);
    s->parent = *eid_database_root_id(parent);
    dl_grant(members, 5, dl_write_0);
    dl_delegate(parent, &s->members, &s->members, dl_write_10);
    eid_database *member = dl_open(s->core, &s->parent, 5);
    for (int i = 0; i < 5; i++) {
        tu_assert_ok(dl_write(member, "k", i));
        tu_assert_ok(dl_write(parent, "own", i));
        dt_commit_int(members, "d", "x", i);
    }
    s->by_member = 5;
    s->of_parent = dt_entries(s->core, &s->parent, &s->parent_count);
    s->of_members = dt_entries(s->core, &s->members, &s->member_count);
    eid_database_close(member);
    eid_database_close(parent);
    eid_database_close(members);
}

static void free_source(source *s)
{
    th_free_entries(s->of_parent, s->parent_count);
    th_free_entries(s->of_members, s->member_count);
    eid_core_close(s->core);
}

static size_t first_by_member(const source *s)
{
    for (size_t i = 0; i < s->parent_count; i++)
        if (s->of_parent[i]->sigkey.is_delegation)
            return i;
    fail();
    return 0;
}

static void assert_complete(const source *s, eid_core *core)
{
    uint64_t count;

    tu_assert_ok(eid_core_entry_count(core, &s->parent, &count));
    assert_int_equal(count, s->parent_count);
    assert_int_equal(ti_number(core, "SELECT COUNT(*) FROM quarantine"), 0);
    dl_assert_same(s->core, core, &s->parent);
    dl_assert_same(s->core, core, &s->members);
    ti_check_core(core);
}

/* ---- The other database comes later ---- */

/* Feature W8 */
static void it_comes_later(void **state)
{
    source s;

    (void)state;
    make_source(&s);
    eid_core *core = dt_memory();
    eid_receipt receipt = dt_receive(core, &s.parent, s.of_parent, s.parent_count);
    assert_int_equal(receipt.admitted, first_by_member(&s));
    assert_int_equal(receipt.waiting, s.parent_count - receipt.admitted);
    assert_int_equal(receipt.refused, 0);
    receipt = dt_receive(core, &s.members, s.of_members, s.member_count);
    assert_int_equal(receipt.admitted, s.member_count); /* those of the parent are not of this database */
    assert_complete(&s, core);
    eid_core_close(core);
    free_source(&s);
}

/* One entry at a time, alternating: each is released by exactly what it lacked. */
static void it_comes_piece_by_piece(void **state)
{
    source s;

    (void)state;
    make_source(&s);
    eid_core *core = dt_memory();
    dt_receive(core, &s.parent, s.of_parent, s.parent_count);
    uint64_t before = 0, after;
    size_t steps = 0;
    for (size_t i = 0; i < s.member_count; i++) {
        assert_int_equal(dl_receive(core, &s.members, s.of_members[i]), EID_VERDICT_ADMITTED);
        tu_assert_ok(eid_core_entry_count(core, &s.parent, &after));
        assert_true(after >= before);
        steps += after > before;
        before = after;
    }
    assert_true(steps >= s.by_member);
    assert_complete(&s, core);
    eid_core_close(core);
    free_source(&s);
}

static void shuffle(tu_random *random, size_t *order, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t k = (size_t)tu_random_below(random, i), swap = order[i - 1];
        order[i - 1] = order[k];
        order[k] = swap;
    }
}

/* Both databases' entries in any order at all, the roots at any time. */
/* Feature W8 */
static void any_order(void **state)
{
    tu_random random = tu_random_seeded(7);
    source s;

    (void)state;
    make_source(&s);
    size_t count = s.parent_count + s.member_count, *order = calloc(count, sizeof *order);
    for (int run = 0; run < 25; run++) {
        eid_core *core = dt_memory();
        for (size_t i = 0; i < count; i++)
            order[i] = i;
        shuffle(&random, order, count);
        /* What comes before its root is not kept: it comes again. */
        for (int round = 0; round < 2; round++) {
            for (size_t i = 0; i < count; i++) {
                bool of_parent = order[i] < s.parent_count;
                eid_entry *entry = of_parent ? s.of_parent[order[i]] : s.of_members[order[i] - s.parent_count];
                eid_receipt receipt;
                eid_status status = eid_core_receive(core, of_parent ? &s.parent : &s.members, &entry, 1, &receipt, NULL);
                assert_true(status == EID_OK || status == EID_ERR_DATABASE_NOT_FOUND);
                assert_true(status != EID_OK || receipt.refused == 0);
            }
        }
        assert_complete(&s, core);
        eid_core_close(core);
    }
    free(order);
    free_source(&s);
}

/* ---- A restart in between ---- */

static void a_restart_in_between(void **state)
{
    char *dir = tu_temp_dir(), *path = tu_path(dir, "data.db");
    source s;

    (void)state;
    make_source(&s);
    eid_core *core = dt_open(path);
    dt_receive(core, &s.parent, s.of_parent, s.parent_count);
    assert_true(ti_number(core, "SELECT COUNT(*) FROM quarantine") > 0);
    eid_core_close(core);

    core = dt_open(path);
    dt_receive(core, &s.members, s.of_members, s.member_count);
    assert_complete(&s, core);
    eid_core_close(core);

    core = dt_open(path);
    assert_complete(&s, core);
    eid_core_close(core);
    tu_temp_dir_remove(dir);
    free(path);
    free_source(&s);
}

/* The process ended after the claimed entries were stored and before anybody looked who waits for them. */
static void an_end_in_between(void **state)
{
    char *dir = tu_temp_dir(), *path = tu_path(dir, "data.db");
    source s;

    (void)state;
    make_source(&s);
    eid_core *core = dt_open(path);
    dt_receive(core, &s.parent, s.of_parent, s.parent_count);
    core->waits_across = false; /* so that nobody looks */
    dt_receive(core, &s.members, s.of_members, s.member_count);
    assert_true(ti_number(core, "SELECT COUNT(*) FROM quarantine") > 0);
    eid_core_close(core);

    core = dt_open(path);
    assert_complete(&s, core);
    eid_core_close(core);
    tu_temp_dir_remove(dir);
    free(path);
    free_source(&s);
}

/* ---- Other ways to arrive, and never to arrive ---- */

/* What is missing is made here: two devices with one key say the same at the same time. */
static void a_commit_releases(void **state)
{
    source s;

    (void)state;
    make_source(&s);
    eid_core *core = dt_memory();
    dt_receive(core, &s.members, s.of_members, s.member_count - 1);
    eid_receipt receipt = dt_receive(core, &s.parent, s.of_parent, s.parent_count);
    assert_int_equal(receipt.waiting, 0); /* nobody claims the last one yet */
    eid_database *members = dt_open_as(s.core, &s.members, 1), *parent = dl_open(s.core, &s.parent, 5);
    eid_id last = *eid_entry_id(s.of_members[s.member_count - 1]);
    tu_assert_ok(dl_write(parent, "k", 99));
    eid_id *tips;
    size_t count;
    tu_assert_ok(eid_database_tips(parent, &tips, &count));
    eid_entry *entry = dt_entry(parent, &tips[0]);
    assert_int_equal(dl_receive(core, &s.parent, entry), EID_VERDICT_WAITING);
    eid_database *here = dt_open_as(core, &s.members, 1);
    eid_id made = dt_commit_int(here, "d", "x", 4);
    assert_true(eid_id_equal(&made, &last));
    assert_int_equal(dl_receive(core, &s.parent, entry), EID_VERDICT_HELD);
    dl_assert_same(s.core, core, &s.parent);
    ti_check_core(core);
    eid_entry_unref(entry);
    eid_free(tips);
    eid_database_close(here);
    eid_database_close(parent);
    eid_database_close(members);
    eid_core_close(core);
    free_source(&s);
}

/* A claim that is itself refused can never be shown: the entry is refused with it, in the other database. */
/* Feature W11 */
static void a_refused_claim(void **state)
{
    source s;

    (void)state;
    make_source(&s);
    eid_database *parent = dt_open_as(s.core, &s.parent, 1), *members = dt_open_as(s.core, &s.members, 1);
    eid_id *tips;
    size_t count;
    tu_assert_ok(eid_database_tips(members, &tips, &count));
    dt_draft draft = {.root = &s.members, .parents = tips, .parent_count = count, .pins = &s.members, .pin_count = 1,
                      .height = 99, .store = "d", .payload = "{\"children\":{}}", .key = 9};
    eid_entry *bad = dt_make(&draft), *entry = dl_make_one(parent, 5, &s.members, eid_entry_id(bad), "k");
    eid_entry *again = dl_make_one(parent, 5, &s.members, eid_entry_id(bad), "l");
    eid_status reason;

    assert_int_equal(dl_receive(s.core, &s.parent, entry), EID_VERDICT_WAITING);
    assert_int_equal(dl_receive(s.core, &s.members, bad), EID_VERDICT_REFUSED);
    eid_storage_lock(s.core->storage);
    tu_assert_ok(eid_storage_was_refused(s.core->storage, eid_entry_id(entry), &reason));
    eid_storage_unlock(s.core->storage);
    assert_int_equal(reason, EID_ERR_REFUSED_BEFORE);
    assert_int_equal(dl_receive(s.core, &s.parent, again), EID_VERDICT_REFUSED);
    ti_check_core(s.core);
    eid_entry_unref(bad);
    eid_entry_unref(entry);
    eid_entry_unref(again);
    eid_free(tips);
    eid_database_close(parent);
    eid_database_close(members);
    free_source(&s);
}

/* What is proven wrong does not wait for the rest: a delegation nobody made, with claims nobody has. */
static void nothing_waits_for_a_delegation_nobody_made(void **state)
{
    source s;

    (void)state;
    make_source(&s);
    eid_core *core = dt_memory();
    dt_receive(core, &s.parent, s.of_parent, first_by_member(&s));
    eid_database *parent = dt_open_as(core, &s.parent, 1);
    eid_entry *unknown = dl_make_one(parent, 5, eid_entry_id(s.of_members[1]), &s.members, "k");
    eid_entry *known = dl_make_one(parent, 5, &s.members, &s.members, "k");
    assert_int_equal(dl_receive(core, &s.parent, unknown), EID_VERDICT_REFUSED);
    assert_int_equal(dl_receive(core, &s.parent, known), EID_VERDICT_WAITING);
    /* Nor does a claim that is held, of another database. */
    eid_entry *foreign = dl_make_one(parent, 5, &s.members, &s.parent, "k");
    assert_int_equal(dl_receive(core, &s.parent, foreign), EID_VERDICT_WAITING); /* for the database itself */
    dt_receive(core, &s.members, s.of_members, s.member_count);
    assert_int_equal(dl_receive(core, &s.parent, foreign), EID_VERDICT_REFUSED);
    assert_int_equal(dl_receive(core, &s.parent, known), EID_VERDICT_REFUSED); /* before key 5 was a member */
    eid_entry_unref(unknown);
    eid_entry_unref(known);
    eid_entry_unref(foreign);
    eid_database_close(parent);
    eid_core_close(core);
    free_source(&s);
}

/* ---- Failing memory ---- */

static void forget_caches(const source *s)
{
    const eid_id *databases[] = {&s->parent, &s->members};
    eid_tree *tree;

    for (int i = 0; i < 2; i++) {
        tu_assert_ok(eid_storage_tree(s->core->storage, databases[i], &tree));
        if (tree->cache != NULL)
            eid_tree_cache_free(tree->cache);
        tree->cache = NULL;
    }
}

/* Everything that follows a path, with nothing known beforehand. */
static eid_status judge_and_search(void *ctx)
{
    source *s = ctx;
    eid_core *core = s->core;
    const eid_entry *entry = s->of_parent[first_by_member(s)];
    eid_identity *found;
    eid_id missing = {0};
    eid_tree *tree;
    eid_auth_settings *settings;
    eid_status refusal = EID_OK;
    size_t count;

    eid_storage_lock(core->storage);
    eid_status status = eid_storage_tree(core->storage, &s->parent, &tree);
    if (status == EID_OK)
        status = eid_settings_current(eid_core_storage(core), tree, &settings);
    if (status == EID_OK) {
        eid_delegation_place start = {settings, NULL, NULL};
        status = eid_delegation_judge(eid_core_storage(core), &start, entry, &s->key, &missing, &refusal);
        eid_auth_settings_unref(settings);
        if (status == EID_OK)
            assert_true(refusal == EID_OK && eid_id_is_empty(&missing));
    }
    eid_storage_unlock(core->storage);
    if (status == EID_OK)
        status = eid_core_find_identities(core, &s->parent, &s->key, &found, &count);
    if (status == EID_OK) {
        assert_int_equal(count, 1);
        eid_identities_free(found, count);
    }
    forget_caches(s);
    return status;
}

static void out_of_memory(void **state)
{
    source s;

    (void)state;
    make_source(&s);
    s.key = dt_pubkey(5);
    const eid_entry *entry = s.of_parent[first_by_member(&s)];
    eid_entry_pin pin;
    tu_assert_ok(eid_entry_read_pin(entry, &pin));
    assert_int_equal(pin.tip_count, 1);
    tu_assert_ok(eid_storage_find(s.core->storage, &pin.tips[0], &s.pin, NULL));
    eid_entry_pin_free(&pin);
    forget_caches(&s);
    tu_assert_ok(judge_and_search(&s));
    assert_true(tu_alloc_fault_loop(judge_and_search, &s) > 50);
    tu_assert_ok(judge_and_search(&s));
    free_source(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_comes_later),
        cmocka_unit_test(it_comes_piece_by_piece),
        cmocka_unit_test(any_order),
        cmocka_unit_test(a_restart_in_between),
        cmocka_unit_test(an_end_in_between),
        cmocka_unit_test(a_commit_releases),
        cmocka_unit_test(a_refused_claim),
        cmocka_unit_test(nothing_waits_for_a_delegation_nobody_made),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
