/* SPDX-License-Identifier: Apache-2.0 */
/* What was signed by delegation and admitted, as every peer admits it, but does not count: members whose grants do not count over
 * there, and claims below a floor there was. In whatever order it arrives. */
#include "delegation_test.h"

#include <stdlib.h>

#include <eidetica/verify.h>

#include "base/alloc.h"

#define ADMIN 1    /* of both databases, Admin(0) */
#define WEAK 2     /* of both, Admin(10) */
#define MEMBER 5
#define GUEST 9    /* whom the weak admin lets in */

typedef struct fixture {
    eid_core *core;
    eid_database *parent;
    eid_database *members;
    eid_id parent_id;
    eid_id members_id;
    eid_id with_member; /* the last entry of `members` */
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->core = dt_memory();
    f->members = dt_create(f->core);
    f->members_id = *eid_database_root_id(f->members);
    dl_grant(f->members, WEAK, (eid_permission){EID_PERM_ADMIN, 10});
    f->with_member = dl_grant(f->members, MEMBER, dl_write_10);
    f->parent = dt_create(f->core);
    f->parent_id = *eid_database_root_id(f->parent);
    dl_grant(f->parent, WEAK, (eid_permission){EID_PERM_ADMIN, 10});
    dl_delegate(f->parent, &f->members_id, &f->members_id, (eid_permission){EID_PERM_ADMIN, 20});
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    eid_database_close(f->parent);
    eid_database_close(f->members);
    eid_core_close(f->core);
    free(f);
    return 0;
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* ---- Entries by hand ---- */

static eid_id admit(fixture *f, const eid_id *database, eid_entry *entry)
{
    eid_id id = *eid_entry_id(entry);
    eid_receipt receipt = dt_receive(f->core, database, &entry, 1);
    if (receipt.admitted != 1)
        fail_msg("not admitted: %s", receipt.text);
    eid_entry_unref(entry);
    return id;
}

/* A settings entry, on top of and pinning this one, whatever our own commits would say to it. */
static eid_entry *change_settings(const eid_id *database, uint8_t by, const eid_sigkey *sigkey, const eid_id *below,
                                  uint64_t height, const char *path, eid_doc *record)
{
    eid_doc *settings;
    char *payload;
    tu_assert_ok(eid_doc_new(&settings));
    if (record != NULL)
        tu_assert_ok(eid_doc_set_doc(settings, path, record));
    else
        tu_assert_ok(eid_doc_remove(settings, path));
    tu_assert_ok(eid_doc_to_json(settings, &payload, NULL));
    dt_draft draft = {.root = database, .parents = below, .parent_count = 1, .pins = below, .pin_count = 1, .height = height,
                      .store = EID_SETTINGS, .payload = payload, .store_parents = below, .store_parent_count = 1, .key = by,
                      .sigkey = sigkey};
    eid_entry *entry = dt_make(&draft);
    eid_free(payload);
    eid_doc_free(settings);
    eid_doc_free(record);
    return entry;
}

static eid_entry *grant_by_hand(const eid_id *database, uint8_t by, const eid_sigkey *sigkey, const eid_id *below, uint8_t key,
                                eid_permission permission)
{
    char path[EID_PUBKEY_TEXT_SIZE + 16] = "auth.keys.";
    eid_pubkey pubkey = dt_pubkey(key);
    eid_doc *record;
    eid_pubkey_format(&pubkey, path + strlen(path));
    tu_assert_ok(eid_auth_key_to_doc(NULL, permission, EID_KEY_ACTIVE, &record));
    return change_settings(database, by, sigkey, below, 500, path, record);
}

static eid_id write_as(fixture *f, uint8_t key, const eid_id *claims, size_t count, const char *name)
{
    dl_step step = {&f->members_id, claims, count};
    return admit(f, &f->parent_id, dl_make(f->parent, key, &step, 1, name, NULL, 0));
}

/* ---- What becomes of it ---- */

static void assert_void(eid_database *database, const eid_id *id, bool is_void)
{
    eid_entry_standing standing;
    char *reason;
    tu_assert_ok(eid_database_standing(database, id, &standing, &reason));
    assert_int_equal(standing, is_void ? EID_STANDING_VOID : EID_STANDING_COUNTS);
    assert_int_equal(reason != NULL, is_void);
    eid_free(reason);
}

static void assert_sound(eid_core *core, const eid_id *database)
{
    eid_check_report check;
    eid_verify_report report;
    eid_database *handle = dt_open_as(core, database, 0);
    tu_assert_ok(eid_core_check(core, NULL, 0, &check));
    if (check.problems != 0)
        fail_msg("%s", check.text);
    tu_assert_ok(eid_database_verify(handle, &report));
    assert_string_equal(report.text, "");
    eid_database_close(handle);
}

/* Another peer hears of everything the other way round, and holds the same for void. */
static void assert_same_elsewhere(fixture *f)
{
    eid_core *other = dt_memory();
    const eid_id *databases[] = {&f->parent_id, &f->members_id};
    for (size_t d = 0; d < 2; d++) {
        size_t count;
        eid_entry **entries = dt_entries(f->core, databases[d], &count);
        for (size_t i = 0; i < count; i++) /* the root has to be first */
            dl_receive(other, databases[d], entries[i == 0 ? 0 : count - i]);
        th_free_entries(entries, count);
    }
    dl_assert_same(f->core, other, &f->parent_id);
    assert_sound(other, &f->parent_id);
    assert_sound(f->core, &f->parent_id);
    eid_core_close(other);
}

/* ---- Members by grants that do not count ---- */

/* Feature W11 */
static void a_grant_beyond_its_author_makes_no_member(void **state)
{
    fixture *f = *state;
    eid_id grant = admit(f, &f->members_id, grant_by_hand(&f->members_id, WEAK, NULL, &f->with_member, GUEST, dl_admin_0));
    assert_void(f->members, &grant, true);
    eid_id written = write_as(f, GUEST, &grant, 1, "guest"), fine = write_as(f, MEMBER, &grant, 1, "member");
    assert_void(f->parent, &written, true);
    assert_void(f->parent, &fine, false);
    assert_int_equal(dt_int(f->parent, "d", "guest"), INT64_MIN);
    assert_int_equal(dt_int(f->parent, "d", "member"), MEMBER);
    assert_null(dl_open(f->core, &f->parent_id, GUEST));
    assert_same_elsewhere(f);
}

/* Who was let in that way is no admin here either. */
static void nor_an_admin(void **state)
{
    fixture *f = *state;
    eid_id grant = admit(f, &f->members_id, grant_by_hand(&f->members_id, WEAK, NULL, &f->with_member, GUEST, dl_admin_0));
    eid_delegation_step step = {f->members_id, &grant, 1};
    eid_sigkey sigkey = {.is_delegation = true, .path = &step, .path_count = 1, .hint = {.has_pubkey = true}};
    sigkey.hint.pubkey = dt_pubkey(GUEST);
    eid_id *tips;
    size_t count;
    tu_assert_ok(eid_database_tips(f->parent, &tips, &count));
    eid_permission low = {EID_PERM_WRITE, 50};
    eid_id change = admit(f, &f->parent_id, grant_by_hand(&f->parent_id, GUEST, &sigkey, tips, 20, low));
    dt_draft draft = {.root = &f->parent_id, .parents = &change, .parent_count = 1, .pins = &change, .pin_count = 1, .height = 501,
                      .store = "d", .payload = "{\"children\":{\"twenty\":{\"Int\":20}}}", .key = 20};
    eid_id written = admit(f, &f->parent_id, dt_make(&draft));
    assert_void(f->parent, &change, true);
    assert_void(f->parent, &written, true);
    /* The same by somebody whose grant counts. */
    eid_id good = dl_grant(f->members, MEMBER, dl_admin_0);
    step.tips = &good;
    sigkey.hint.pubkey = dt_pubkey(MEMBER);
    eid_id counting = admit(f, &f->parent_id, grant_by_hand(&f->parent_id, MEMBER, &sigkey, tips, 21, low));
    assert_void(f->parent, &counting, false);
    eid_free(tips);
    assert_same_elsewhere(f);
}

/* Whether the revocation is among what is claimed decides: what is not claimed is not asked for (raise the floor). */
static void a_backdated_grant_makes_a_member_of_those_who_do_not_know_better(void **state)
{
    fixture *f = *state;
    eid_id revocation = dl_revoke(f->members, WEAK);
    eid_id grant = admit(f, &f->members_id, grant_by_hand(&f->members_id, WEAK, NULL, &f->with_member, GUEST, dl_write_10));
    eid_id both[2] = {revocation, grant};
    assert_void(f->members, &grant, true);
    eid_id knowing = write_as(f, GUEST, both, 2, "knowing"), ignorant = write_as(f, GUEST, &grant, 1, "ignorant");
    assert_void(f->parent, &knowing, true);
    assert_void(f->parent, &ignorant, false);
    assert_same_elsewhere(f);
    dl_raise(f->parent, &f->members_id, NULL);
    eid_entry *late = dl_make_one(f->parent, GUEST, &f->members_id, &grant, "late");
    dt_assert_refused(f->core, &f->parent_id, late, EID_ERR_PERMISSION_DENIED);
    eid_entry_unref(late);
}

/* ---- Floors ---- */

/* What other implementations let an admin do: who was shut out is admitted again, but does not count. */
/* Feature W10 */
static void a_floor_that_was_moved_back(void **state)
{
    fixture *f = *state;
    eid_permission max = {EID_PERM_ADMIN, 20};
    dl_revoke(f->members, MEMBER);
    dl_raise(f->parent, &f->members_id, NULL);
    dl_force(f->parent, &f->members_id, &f->members_id, 1, max);
    eid_id first = write_as(f, MEMBER, &f->with_member, 1, "a");
    dl_force(f->parent, &f->members_id, NULL, 0, max);
    eid_id second = write_as(f, MEMBER, &f->with_member, 1, "b");
    assert_void(f->parent, &first, true);
    assert_void(f->parent, &second, true);
    assert_same_elsewhere(f);
    /* In the open: the delegation is removed, and made anew. */
    dl_remove(f->parent, &f->members_id);
    dl_force(f->parent, &f->members_id, &f->members_id, 1, max);
    eid_id third = write_as(f, MEMBER, &f->with_member, 1, "c");
    assert_void(f->parent, &third, false);
    assert_same_elsewhere(f);
}

static eid_id newest_of(eid_database *database)
{
    eid_id *tips;
    size_t count;
    tu_assert_ok(eid_database_tips(database, &tips, &count));
    eid_id newest = tips[count - 1];
    eid_free(tips);
    return newest;
}

/* All delegations at once: one that is among the new ones was never away, any other is made anew afterwards. */
static void floors_when_the_group_is_replaced(void **state)
{
    fixture *f = *state;
    eid_bounds bounds = {.max = {EID_PERM_WRITE, 10}};
    char key[EID_ID_TEXT_SIZE];
    eid_id_format(&f->members_id, key);
    for (int away = 0; away < 2; away++) {
        eid_doc *group, *record;
        dl_grant(f->members, (uint8_t)(30 + away), dl_write_10);
        dl_raise(f->parent, &f->members_id, NULL);
        eid_id below = newest_of(f->parent);
        tu_assert_ok(eid_doc_new_atomic(&group));
        tu_assert_ok(eid_auth_delegation_to_doc(&f->members_id, &f->members_id, 1, &bounds, &record));
        if (away == 0)
            tu_assert_ok(eid_doc_set_doc(group, key, record));
        admit(f, &f->parent_id, change_settings(&f->parent_id, ADMIN, NULL, &below, away == 0 ? 500 : 5000, "auth.delegations",
                                                   group));
        if (away == 1)
            dl_force(f->parent, &f->members_id, &f->members_id, 1, bounds.max);
        eid_id written = write_as(f, MEMBER, &f->with_member, 1, "replaced");
        assert_void(f->parent, &written, away == 0);
        eid_doc_free(record);
    }
    assert_same_elsewhere(f);
}

/* A removal that does not count takes no floor away, as soon as it is known not to count. */
static void a_void_removal_of_a_delegation(void **state)
{
    fixture *f = *state;
    eid_bounds bounds = {.max = {EID_PERM_WRITE, 10}};
    char path[EID_ID_TEXT_SIZE + 32] = "auth.delegations.";
    eid_doc *record;
    eid_id_format(&f->members_id, path + strlen(path));
    dl_revoke(f->members, MEMBER);
    eid_id raise = dl_raise(f->parent, &f->members_id, NULL);
    tu_assert_ok(eid_auth_delegation_to_doc(&f->members_id, &f->members_id, 1, &bounds, &record));
    eid_id removal = admit(f, &f->parent_id, change_settings(&f->parent_id, WEAK, NULL, &raise, 500, path, NULL));
    eid_id anew = admit(f, &f->parent_id, change_settings(&f->parent_id, WEAK, NULL, &removal, 501, path, record));
    eid_id written = write_as(f, MEMBER, &f->with_member, 1, "back");
    assert_void(f->parent, &written, false); /* so far: the weak admin may do that */
    char weak[EID_PUBKEY_TEXT_SIZE + 16] = "auth.keys.";
    eid_pubkey key = dt_pubkey(WEAK);
    eid_pubkey_format(&key, weak + strlen(weak));
    tu_assert_ok(eid_auth_key_to_doc(NULL, dl_write_10, EID_KEY_REVOKED, &record));
    admit(f, &f->parent_id, change_settings(&f->parent_id, ADMIN, NULL, &raise, 502, weak, record));
    assert_void(f->parent, &removal, true);
    assert_void(f->parent, &anew, true);
    assert_void(f->parent, &written, true);
    assert_same_elsewhere(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_grant_beyond_its_author_makes_no_member),
        WITH(nor_an_admin),
        WITH(a_backdated_grant_makes_a_member_of_those_who_do_not_know_better),
        WITH(a_floor_that_was_moved_back),
        WITH(floors_when_the_group_is_replaced),
        WITH(a_void_removal_of_a_delegation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
