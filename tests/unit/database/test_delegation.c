/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures by delegation: members of another database write here, within bounds, as long as they are members; what the
 * Rust side lets through (upstream limits of auth.md section 5) fails here, attack by attack. */
#include "delegation_test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

/* A database that delegates Write(10) to the members of another: key 5 has Write(3) there, key 6 Read. */
typedef struct fixture {
    eid_core *core;
    eid_database *parent;  /* as its admin, key 1 */
    eid_database *members; /* likewise */
    eid_id parent_id;
    eid_id members_id;
    eid_id with_5; /* the entry that lists key 5 */
    bool has_void; /* some entry does not count */
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);

    f->core = dt_memory();
    f->members = dt_create(f->core);
    f->members_id = *eid_database_root_id(f->members);
    f->with_5 = dl_grant(f->members, 5, (eid_permission){EID_PERM_WRITE, 3});
    dl_grant(f->members, 6, dl_read);
    f->parent = dt_create(f->core);
    f->parent_id = *eid_database_root_id(f->parent);
    dl_delegate(f->parent, &f->members_id, &f->members_id, dl_write_10);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    eid_database_close(f->parent);
    eid_database_close(f->members);
    if (!f->has_void)
        ti_check_core(f->core);
    eid_core_close(f->core);
    free(f);
    return 0;
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static eid_id only_tip(eid_database *database)
{
    eid_id *tips, tip;
    size_t count;

    tu_assert_ok(eid_database_tips(database, &tips, &count));
    assert_int_equal(count, 1);
    tip = tips[0];
    eid_free(tips);
    return tip;
}

static void assert_refused(fixture *f, eid_entry *entry)
{
    dt_assert_refused(f->core, &f->parent_id, entry, EID_ERR_PERMISSION_DENIED);
    assert_int_equal(dl_receive(f->core, &f->parent_id, entry), EID_VERDICT_REFUSED);
    eid_entry_unref(entry);
}

static void assert_admitted(fixture *f, eid_entry *entry)
{
    eid_receipt receipt = dt_receive(f->core, &f->parent_id, &entry, 1);

    if (receipt.admitted != 1)
        fail_msg("not admitted: %s", receipt.text);
    eid_entry_unref(entry);
}

/* ---- Members ---- */

static void a_member_writes(void **state)
{
    fixture *f = *state;
    eid_database *member = dl_open(f->core, &f->parent_id, 5);
    eid_permission permission;
    eid_txn *txn;

    assert_non_null(member);
    tu_assert_ok(eid_database_current_permission(member, &permission));
    assert_int_equal(permission.kind, EID_PERM_WRITE);
    assert_int_equal(permission.priority, 10);
    tu_assert_ok(dl_write(member, "k", 7));
    assert_int_equal(dt_int(f->parent, "d", "k"), 7);
    /* Write is not enough for the settings. */
    tu_assert_ok(eid_database_new_transaction(member, &txn));
    tu_assert_ok(eid_settings_set_name(txn, "mine"));
    tu_assert_fails(eid_txn_commit_free(txn, NULL), EID_ERR_PERMISSION_DENIED);
    eid_database_close(member);
}

static void entries_verify_elsewhere(void **state)
{
    fixture *f = *state;
    eid_database *member = dl_open(f->core, &f->parent_id, 5);
    eid_core *other = dt_memory();

    tu_assert_ok(dl_write(member, "a", 1));
    dt_commit_int(f->members, "d", "x", 1);
    tu_assert_ok(dl_write(member, "b", 2));
    assert_int_equal(dl_copy(f->core, other, &f->members_id).refused, 0);
    eid_receipt receipt = dl_copy(f->core, other, &f->parent_id);
    assert_int_equal(receipt.refused + receipt.waiting, 0);
    dl_assert_same(f->core, other, &f->parent_id);
    ti_check_core(other);
    eid_core_close(other);
    eid_database_close(member);
}

/* Upstream keeps the tips an identity was found with. */
/* Feature W20 */
static void claims_follow_the_members(void **state)
{
    fixture *f = *state;
    eid_database *member = dl_open(f->core, &f->parent_id, 5);

    for (int i = 0; i < 3; i++) {
        eid_id tip = dt_commit_int(f->members, "d", "x", i);
        tu_assert_ok(dl_write(member, "k", i));
        eid_id written = only_tip(f->parent);
        eid_entry *entry = dt_entry(f->parent, &written);
        assert_true(entry->sigkey.is_delegation);
        assert_int_equal(entry->sigkey.path_count, 1);
        assert_int_equal(entry->sigkey.path[0].tip_count, 1);
        assert_true(eid_id_equal(&entry->sigkey.path[0].tips[0], &tip));
        eid_entry_unref(entry);
    }
    eid_database_close(member);
}

static void revoked_over_there(void **state)
{
    fixture *f = *state;
    eid_database *member = dl_open(f->core, &f->parent_id, 5);
    eid_permission permission;

    tu_assert_ok(dl_write(member, "k", 1));
    dl_revoke(f->members, 5);
    tu_assert_fails(dl_write(member, "k", 2), EID_ERR_PERMISSION_DENIED);
    tu_assert_fails(eid_database_current_permission(member, &permission), EID_ERR_PERMISSION_DENIED);
    assert_null(dl_open(f->core, &f->parent_id, 5));
    assert_int_equal(dt_int(f->parent, "d", "k"), 1);
    eid_database_close(member);
}

static void others_are_no_members(void **state)
{
    fixture *f = *state;
    eid_id tip = only_tip(f->members);
    eid_database *reader = dl_open(f->core, &f->parent_id, 6);

    assert_non_null(reader); /* may read, which nobody checks here, but not write */
    tu_assert_fails(dl_write(reader, "k", 1), EID_ERR_PERMISSION_DENIED);
    eid_database_close(reader);
    assert_null(dl_open(f->core, &f->parent_id, 7));
    assert_refused(f, dl_make_one(f->parent, 6, &f->members_id, &tip, "k"));
    assert_refused(f, dl_make_one(f->parent, 7, &f->members_id, &tip, "k"));
    /* A permission for everybody over there is none here. */
    eid_txn *txn;
    tu_assert_ok(eid_database_new_transaction(f->members, &txn));
    tu_assert_ok(eid_settings_set_global_permission(txn, dl_admin_0));
    tu_assert_ok(eid_txn_commit_free(txn, &tip));
    assert_null(dl_open(f->core, &f->parent_id, 7));
    assert_refused(f, dl_make_one(f->parent, 7, &f->members_id, &tip, "k"));
}

static void a_signature_by_another_key(void **state)
{
    fixture *f = *state;
    eid_delegation_step step = {f->members_id, &f->with_5, 1};
    eid_sigkey sigkey = {.is_delegation = true, .hint = {.has_pubkey = true, .pubkey = dt_pubkey(5)}, .path = &step, .path_count = 1};
    eid_id tip = only_tip(f->parent);
    dt_draft draft = {.root = &f->parent_id, .parents = &tip, .parent_count = 1, .pins = &tip, .pin_count = 1,
                      .height = 9, .store = "d", .payload = "{\"children\":{}}", .key = 7, .sigkey = &sigkey};

    eid_entry *entry = dt_make(&draft);
    dt_assert_refused(f->core, &f->parent_id, entry, EID_ERR_BAD_SIGNATURE);
    eid_entry_unref(entry);
}

static void a_delegated_admin(void **state)
{
    fixture *f = *state;
    eid_permission permission;
    eid_txn *txn;

    dl_grant(f->members, 8, dl_admin_0);
    tu_assert_ok(eid_database_new_transaction(f->parent, &txn));
    tu_assert_ok(eid_settings_bound_delegation(txn, &f->members_id, dl_admin_5, NULL));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    eid_database *admin = dl_open(f->core, &f->parent_id, 8);
    tu_assert_ok(eid_database_current_permission(admin, &permission));
    assert_int_equal(eid_permission_compare(permission, dl_admin_5), 0);
    dl_grant(admin, 9, dl_write_10);
    eid_database *granted = dt_open_as(f->core, &f->parent_id, 9);
    tu_assert_ok(dl_write(granted, "k", 1));
    eid_database_close(granted);
    eid_database_close(admin);
}

/* Upstream counts such a database as open to unsigned entries. */
/* Feature W13 */
static void only_delegations_still_protect(void **state)
{
    fixture *f = *state;
    char settings[1024], id[EID_ID_TEXT_SIZE], key[EID_PUBKEY_TEXT_SIZE];
    dt_draft draft;

    eid_id_format(&f->members_id, id);
    snprintf(settings, sizeof settings,
             "{\"children\":{\"auth\":{\"Doc\":{\"children\":{\"delegations\":{\"Doc\":{\"children\":{\"%s\":{\"Doc\":{\"_a\":true,"
             "\"children\":{\"permission_bounds\":{\"Doc\":{\"children\":{\"max\":{\"Doc\":{\"children\":{\"priority\":{\"Int\":1},"
             "\"type\":{\"Text\":\"Admin\"}}}}}}},\"tree\":{\"Doc\":{\"children\":{\"root\":{\"Text\":\"%s\"},\"tips\":{\"Doc\":{"
             "\"children\":{\"0\":{\"Text\":\"%s\"}}}}}}}}}}}}}}}}}}",
             id, id, id);
    eid_entry *root = dt_make_root(settings, 0, 3);
    /* An unsigned root that protects itself is refused by its own settings. */
    eid_receipt receipt;
    eid_core *core = dt_memory();
    assert_int_equal(eid_core_receive(core, eid_entry_id(root), &root, 1, &receipt, NULL), EID_ERR_DATABASE_NOT_FOUND);
    eid_core_close(core);
    eid_entry_unref(root);

    /* And what follows on settings that have nothing else is as well. */
    eid_pubkey admin = dt_pubkey(1);
    eid_id tip = only_tip(f->parent);
    eid_pubkey_format(&admin, key);
    snprintf(settings, sizeof settings,
             "{\"children\":{\"auth\":{\"Doc\":{\"children\":{\"keys\":{\"Doc\":{\"children\":{\"%s\":\"Deleted\"}}}}}}}}", key);
    draft = (dt_draft){.root = &f->parent_id, .parents = &tip, .parent_count = 1, .pins = &tip, .pin_count = 1, .height = 8,
                       .store = EID_SETTINGS, .payload = settings, .store_parents = &tip, .store_parent_count = 1, .key = 1};
    assert_admitted(f, dt_make(&draft)); /* what we would not commit ourselves */
    tip = only_tip(f->parent);
    draft = (dt_draft){.root = &f->parent_id, .parents = &tip, .parent_count = 1, .pins = &tip, .pin_count = 1,
                       .height = 9, .store = "d", .payload = "{\"children\":{}}"};
    eid_entry *entry = dt_make(&draft);
    dt_assert_refused(f->core, &f->parent_id, entry, EID_ERR_AUTH_REQUIRED);
    eid_entry_unref(entry);
    eid_database *member = dl_open(f->core, &f->parent_id, 1); /* the admin of the other database */
    tu_assert_ok(dl_write(member, "k", 1));
    eid_database_close(member);
}

static eid_status revoke(eid_database *database, uint8_t number)
{
    eid_pubkey key = dt_pubkey(number);
    eid_txn *txn;
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    tu_assert_ok(eid_settings_revoke_auth_key(txn, &key));
    return eid_txn_commit_free(txn, NULL);
}

static eid_status remove_delegation(eid_database *database, const eid_id *members)
{
    eid_txn *txn;
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    tu_assert_ok(eid_settings_remove_delegation(txn, members));
    return eid_txn_commit_free(txn, NULL);
}

/* Somebody must be left who may change the settings: an admin over there is somebody, if Admin is delegated. */
static void the_last_admin_may_be_a_delegated_one(void **state)
{
    fixture *f = *state;
    tu_assert_fails(revoke(f->parent, 1), EID_ERR_PERMISSION_DENIED); /* Write is all that is delegated */
    dl_force(f->parent, &f->members_id, &f->members_id, 1, dl_admin_5);
    tu_assert_ok(revoke(f->parent, 1));
    eid_database *admin = dl_open(f->core, &f->parent_id, 1); /* by delegation now */
    dl_grant(admin, 9, dl_write_10);
    tu_assert_fails(remove_delegation(admin, &f->members_id), EID_ERR_PERMISSION_DENIED);
    dl_grant(admin, 9, dl_admin_5);
    tu_assert_ok(remove_delegation(admin, &f->members_id));
    eid_database_close(admin);
    f->has_void = true;
}

/* Nobody can tell whether there is one: the database is not held, or it is this one itself. */
static void an_admin_nobody_knows_of_is_none(void **state)
{
    fixture *f = *state;
    eid_id unknown = f->parent_id;
    dl_force(f->parent, &f->parent_id, NULL, 0, dl_admin_5);
    tu_assert_fails(revoke(f->parent, 1), EID_ERR_PERMISSION_DENIED);
    unknown.bytes[unknown.len - 1] ^= 1;
    dl_force(f->parent, &unknown, NULL, 0, dl_admin_5);
    tu_assert_fails(revoke(f->parent, 1), EID_ERR_PERMISSION_DENIED);
}

/* ---- Claims and floors ---- */

static void claims_that_prove_nothing(void **state)
{
    fixture *f = *state;
    eid_id foreign = f->parent_id, tip = only_tip(f->members);
    eid_id both[2] = {tip, foreign};
    dl_step mixed = {&f->members_id, both, 2};

    assert_refused(f, dl_make_one(f->parent, 5, &f->members_id, NULL, "k"));
    assert_refused(f, dl_make_one(f->parent, 5, &f->members_id, &foreign, "k"));
    assert_refused(f, dl_make(f->parent, 5, &mixed, 1, "k", NULL, 0));
    assert_refused(f, dl_make(f->parent, 5, NULL, 0, "k", NULL, 0));
    /* Before key 5 was listed over there. */
    assert_refused(f, dl_make_one(f->parent, 5, &f->members_id, &f->members_id, "k"));
    assert_admitted(f, dl_make_one(f->parent, 5, &f->members_id, &f->with_5, "k"));
}

/* A member that was revoked over there may claim the time before, until the floor is raised. */
/* Feature W9 */
static void a_raised_floor_ends_old_claims(void **state)
{
    fixture *f = *state;
    eid_id revoked = dl_revoke(f->members, 5);

    assert_admitted(f, dl_make_one(f->parent, 5, &f->members_id, &f->with_5, "old"));
    assert_refused(f, dl_make_one(f->parent, 5, &f->members_id, &revoked, "now"));
    dl_raise(f->parent, &f->members_id, NULL);
    assert_refused(f, dl_make_one(f->parent, 5, &f->members_id, &f->with_5, "late"));
    eid_id tip = only_tip(f->members), both[2] = {f->with_5, tip};
    dl_step step = {&f->members_id, both, 2};
    assert_refused(f, dl_make(f->parent, 5, &step, 1, "both", NULL, 0)); /* above the floor, but revoked there */
}

/* The model of ti_check_core counts every entry. */
static void check_with_void(eid_core *core)
{
    eid_check_report report;

    tu_assert_ok(eid_core_check(core, NULL, 0, &report));
    if (report.problems != 0)
        fail_msg("%s", report.text);
}

/* The rule of revocation: whoever does not know of the raised floor is cut, whatever they pin, and whatever came first. */
/* Feature W9 */
static void what_does_not_know_of_a_raised_floor_is_void(void **state)
{
    fixture *f = *state;
    eid_core *other = dt_memory();
    size_t count;
    eid_id before = only_tip(f->parent);

    assert_admitted(f, dl_make_one(f->parent, 5, &f->members_id, &f->with_5, "seen"));
    eid_entry *unseen = dl_make_one(f->parent, 5, &f->members_id, &f->with_5, "unseen");
    dl_revoke(f->members, 5);
    dl_raise(f->parent, &f->members_id, NULL);
    dl_step step = {&f->members_id, &f->with_5, 1};
    eid_entry *late = dl_make(f->parent, 5, &step, 1, "late", &before, 1);
    assert_admitted(f, unseen); /* beside the raise */
    assert_admitted(f, late);   /* on top of it, pinning what was before */
    assert_int_equal(dt_int(f->parent, "d", "seen"), 5);
    assert_int_equal(dt_int(f->parent, "d", "unseen"), INT64_MIN);
    assert_int_equal(dt_int(f->parent, "d", "late"), INT64_MIN);
    /* The other way round: the entries first, then the raise that takes them back. */
    dl_copy(f->core, other, &f->members_id);
    eid_entry **entries = dt_entries(f->core, &f->parent_id, &count);
    for (size_t i = 0; i < count; i++) /* the root has to be first */
        dl_receive(other, &f->parent_id, entries[i == 0 ? 0 : count - i]);
    th_free_entries(entries, count);
    dl_assert_same(f->core, other, &f->parent_id);
    check_with_void(other);
    eid_core_close(other);
    f->has_void = true;
}

/* Upstream limit: an admin moves the floor back, and who was shut out is in again. */
/* Feature W10 */
static void a_floor_can_not_be_moved_back(void **state)
{
    fixture *f = *state;
    eid_txn *txn;

    dl_revoke(f->members, 5);
    dl_raise(f->parent, &f->members_id, NULL);
    tu_assert_ok(eid_database_new_transaction(f->parent, &txn));
    tu_assert_fails(eid_settings_raise_delegation(txn, &f->members_id, &f->members_id, 1), EID_ERR_INVALID_TIP);
    eid_txn_free(txn);
    /* What another implementation writes: test_delegation_counting.c. */
    dl_force(f->parent, &f->members_id, &f->members_id, 1, dl_write_10);
    eid_database *member = dl_open(f->core, &f->parent_id, 1);
    tu_assert_ok(dl_write(member, "k", 1));
    eid_database_close(member);
}

/* Removing a delegation and making it anew is an open act of an admin: it starts with the floor it is given. */
static void a_delegation_made_anew(void **state)
{
    fixture *f = *state;

    dl_revoke(f->members, 5);
    dl_raise(f->parent, &f->members_id, NULL);
    dl_remove(f->parent, &f->members_id);
    assert_refused(f, dl_make_one(f->parent, 5, &f->members_id, &f->with_5, "gone"));
    dl_delegate(f->parent, &f->members_id, &f->members_id, dl_write_10);
    assert_admitted(f, dl_make_one(f->parent, 5, &f->members_id, &f->with_5, "again"));
}

/* Branches over there: claims may join them in any way that contains the floor. */
static void claims_across_branches(void **state)
{
    fixture *f = *state;
    eid_id base = only_tip(f->members), left, right;
    eid_txn *a, *b;

    tu_assert_ok(eid_database_new_transaction(f->members, &a));
    tu_assert_ok(eid_database_new_transaction(f->members, &b));
    eid_pubkey seven = dt_pubkey(7), eight = dt_pubkey(8);
    tu_assert_ok(eid_settings_set_auth_key(a, &seven, NULL, dl_write_0, EID_KEY_ACTIVE));
    tu_assert_ok(eid_settings_set_auth_key(b, &eight, NULL, dl_write_0, EID_KEY_ACTIVE));
    tu_assert_ok(eid_txn_commit_free(a, &left));
    tu_assert_ok(eid_txn_commit_free(b, &right));
    eid_id both[2] = {left, right};
    dl_step two = {&f->members_id, both, 2};

    assert_admitted(f, dl_make_one(f->parent, 7, &f->members_id, &left, "a"));
    assert_refused(f, dl_make_one(f->parent, 7, &f->members_id, &right, "b"));
    assert_admitted(f, dl_make_one(f->parent, 8, &f->members_id, &right, "c"));
    assert_admitted(f, dl_make(f->parent, 7, &two, 1, "d", NULL, 0));
    assert_refused(f, dl_make_one(f->parent, 7, &f->members_id, &base, "e"));
    dl_raise(f->parent, &f->members_id, &left);
    assert_refused(f, dl_make_one(f->parent, 8, &f->members_id, &right, "f"));
    assert_admitted(f, dl_make(f->parent, 8, &two, 1, "g", NULL, 0));
    /* A merge contains both. */
    eid_id merged = dt_commit_int(f->members, "d", "x", 1);
    assert_admitted(f, dl_make_one(f->parent, 8, &f->members_id, &merged, "h"));
    assert_admitted(f, dl_make_one(f->parent, 7, &f->members_id, &merged, "i"));
}

/* ---- Several steps ---- */

/* Feature W20 */
static void over_several_databases(void **state)
{
    fixture *f = *state;
    eid_database *inner = dt_create(f->core);
    eid_id inner_id = *eid_database_root_id(inner);
    eid_permission permission, min = {EID_PERM_WRITE, 20};
    eid_txn *txn;

    eid_id listed = dl_grant(inner, 8, dl_admin_0), weak = dl_grant(inner, 9, dl_read);
    tu_assert_ok(eid_database_new_transaction(f->members, &txn));
    tu_assert_ok(eid_settings_add_delegation(txn, &inner_id, NULL, 0, dl_admin_0, &min));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    eid_id middle = only_tip(f->members);
    eid_database *strong = dl_open(f->core, &f->parent_id, 8), *raised = dl_open(f->core, &f->parent_id, 9);

    tu_assert_ok(eid_database_current_permission(strong, &permission));
    assert_int_equal(eid_permission_compare(permission, dl_write_10), 0); /* the outer bound */
    tu_assert_ok(eid_database_current_permission(raised, &permission));
    assert_int_equal(eid_permission_compare(permission, min), 0); /* the inner one raises */
    tu_assert_ok(dl_write(strong, "k", 1));
    tu_assert_ok(dl_write(raised, "l", 2));

    dl_step good[2] = {{&f->members_id, &middle, 1}, {&inner_id, &weak, 1}};
    dl_step early[2] = {{&f->members_id, &f->with_5, 1}, {&inner_id, &weak, 1}};
    dl_step low[2] = {{&f->members_id, &middle, 1}, {&inner_id, &listed, 1}};
    dl_step swapped[2] = {{&inner_id, &weak, 1}, {&f->members_id, &middle, 1}};
    assert_admitted(f, dl_make(f->parent, 8, good, 2, "m", NULL, 0));
    assert_refused(f, dl_make(f->parent, 8, early, 2, "n", NULL, 0));  /* not delegated yet */
    assert_refused(f, dl_make(f->parent, 8, low, 2, "o", NULL, 0));    /* below the floor of the inner one */
    assert_refused(f, dl_make(f->parent, 8, swapped, 2, "p", NULL, 0));
    eid_database_close(strong);
    eid_database_close(raised);
    eid_database_close(inner);
}

/* Two databases that delegate to each other, and one to itself: paths end, whoever asks. */
static void circles(void **state)
{
    fixture *f = *state;
    dl_step steps[EID_LIMIT_DELEGATION_STEPS];

    dl_delegate(f->members, &f->parent_id, NULL, dl_write_0);
    dl_delegate(f->parent, &f->parent_id, NULL, dl_write_0);
    eid_id inner = only_tip(f->members), outer = only_tip(f->parent);
    for (size_t i = 0; i < EID_LIMIT_DELEGATION_STEPS; i++)
        steps[i] = i % 2 == 0 ? (dl_step){&f->members_id, &inner, 1} : (dl_step){&f->parent_id, &outer, 1};
    /* Around and back: ends in the parent's own settings, where key 1 is admin; the bounds hold. */
    assert_refused(f, dl_make(f->parent, 5, steps, 2, "a", NULL, 0));
    assert_admitted(f, dl_make(f->parent, 1, steps, 2, "b", NULL, 0));
    assert_admitted(f, dl_make(f->parent, 1, steps, EID_LIMIT_DELEGATION_STEPS, "c", NULL, 0));
    eid_identity *found;
    size_t count;
    eid_pubkey key = dt_pubkey(5);
    tu_assert_ok(eid_core_find_identities(f->core, &f->parent_id, &key, &found, &count));
    assert_int_equal(count, 1);
    eid_identities_free(found, count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_member_writes),
        WITH(entries_verify_elsewhere),
        WITH(claims_follow_the_members),
        WITH(revoked_over_there),
        WITH(others_are_no_members),
        WITH(a_signature_by_another_key),
        WITH(a_delegated_admin),
        WITH(only_delegations_still_protect),
        WITH(claims_that_prove_nothing),
        WITH(the_last_admin_may_be_a_delegated_one),
        WITH(an_admin_nobody_knows_of_is_none),
        WITH(a_raised_floor_ends_old_claims),
        WITH(what_does_not_know_of_a_raised_floor_is_void),
        WITH(a_floor_can_not_be_moved_back),
        WITH(a_delegation_made_anew),
        WITH(claims_across_branches),
        WITH(over_several_databases),
        WITH(circles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
