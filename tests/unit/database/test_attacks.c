/* SPDX-License-Identifier: Apache-2.0 */
/* What the Rust implementation lets through or shows, tried here: entries without pins or with chosen ones,
 * odd names and heights, stores without a beginning, what builds on refused entries. Each attack has its
 * number in tests/checks/features.txt. */
#include <stdio.h>
#include <stdlib.h>

#include <eidetica/verify.h>

#include "base/alloc.h"
#include "database_test.h"

/* A database with an admin (1), a writer (2) and a revoked writer (4); key 9 is nobody. */
typedef struct fixture {
    eid_core *core;
    eid_database *database;
    eid_id root;
    eid_id with_4; /* the entry that let key 4 in */
    eid_id rules;  /* the newest settings */
    eid_id tip;    /* a data entry on top of them: s.k = 1 */
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);

    f->core = dt_memory();
    f->database = dt_create(f->core);
    f->root = *eid_database_root_id(f->database);
    dt_grant(f->database, 2, EID_PERM_WRITE, EID_KEY_ACTIVE);
    f->with_4 = dt_grant(f->database, 4, EID_PERM_WRITE, EID_KEY_ACTIVE);
    f->rules = dt_grant(f->database, 4, EID_PERM_WRITE, EID_KEY_REVOKED);
    f->tip = dt_commit_int(f->database, "s", "k", 1);
    *state = f;
    return 0;
}

/* Every peer ends with the same: here the same entries in the opposite order. */
static int tear_down(void **state)
{
    fixture *f = *state;
    eid_core *other = dt_memory();
    eid_verify_report report;
    eid_check_report check;
    size_t count;
    eid_entry **entries = dt_entries(f->core, &f->root, &count);

    dt_receive(other, &f->root, entries, 1);
    for (size_t i = count - 1; i > 0; i--)
        dt_receive(other, &f->root, &entries[i], 1);
    th_free_entries(entries, count);
    dt_print here = dt_fingerprint(f->core), there = dt_fingerprint(other);
    assert_memory_equal(here.digest, there.digest, sizeof here.digest);
    tu_assert_ok(eid_core_check(other, NULL, 0, &check));
    assert_int_equal(check.problems, 0);
    tu_assert_ok(eid_database_verify(f->database, &report));
    assert_int_equal(report.wrong, 0);
    eid_core_close(other);
    eid_database_close(f->database);
    eid_core_close(f->core);
    free(f);
    return 0;
}

/* What a good entry of this key would be; the tests spoil one thing each. */
static dt_draft draft_of(const fixture *f, uint8_t key)
{
    return (dt_draft){.root = &f->root,
                      .parents = &f->tip,
                      .parent_count = 1,
                      .pins = &f->rules,
                      .pin_count = 1,
                      .height = 9,
                      .store = "s",
                      .payload = "{\"children\":{\"k\":{\"Int\":666}}}",
                      .store_parents = &f->tip,
                      .store_parent_count = 1,
                      .key = key};
}

static void refuse(fixture *f, const dt_draft *draft, eid_status reason)
{
    eid_entry *entry = dt_make(draft);

    dt_assert_refused(f->core, &f->root, entry, reason);
    eid_entry_unref(entry);
}

static eid_id admit(fixture *f, const dt_draft *draft)
{
    eid_entry *entry = dt_make(draft);
    eid_id id = *eid_entry_id(entry);
    eid_receipt receipt = dt_receive(f->core, &f->root, &entry, 1);

    if (receipt.admitted != 1)
        fail_msg("not admitted: %s", receipt.text);
    eid_entry_unref(entry);
    return id;
}

static void assert_standing(fixture *f, const eid_id *id, eid_entry_standing wanted)
{
    eid_entry_standing standing;

    tu_assert_ok(eid_database_standing(f->database, id, &standing, NULL));
    assert_int_equal(standing, wanted);
}

/* A payload of settings that gives the key a right. */
static const char *grant_to(uint8_t key, const char *kind)
{
    static char payload[512];
    char text[EID_PUBKEY_TEXT_SIZE];
    eid_pubkey pubkey = dt_pubkey(key);

    eid_pubkey_format(&pubkey, text);
    snprintf(payload, sizeof payload,
             "{\"children\":{\"auth\":{\"Doc\":{\"children\":{\"keys\":{\"Doc\":{\"children\":{\"%s\":{"
             "\"Doc\":{\"_a\":true,"
             "\"children\":{\"permissions\":{\"Doc\":{\"children\":{\"type\":{\"Text\":\"%s\"},\"priority\":{"
             "\"Int\":0}}}},"
             "\"status\":{\"Text\":\"Active\"}}}}}}}}}}}}",
             text, kind);
    return payload;
}

/* ---- Pins ---- */

/* Feature W1 */
static void unsigned_entries_that_pin_nothing(void **state)
{
    fixture *f = *state;
    dt_draft draft = draft_of(f, 0);

    draft.pin_count = 0;
    refuse(f, &draft, EID_ERR_AUTH_REQUIRED);
    draft.no_metadata = true;
    refuse(f, &draft, EID_ERR_AUTH_REQUIRED);
    draft.store = NULL; /* not even one that changes nothing: it would be a tip */
    refuse(f, &draft, EID_ERR_AUTH_REQUIRED);
    assert_int_equal(dt_int(f->database, "s", "k"), 1);
}

/* Feature W2 */
static void making_oneself_admin_without_pins(void **state)
{
    fixture *f = *state;
    dt_draft draft = draft_of(f, 9);

    draft.store = EID_SETTINGS;
    draft.payload = grant_to(9, "Admin");
    for (size_t variant = 0; variant < 4; variant++) {
        draft.pin_count = 0;
        draft.no_metadata = variant % 2 != 0;
        draft.store_parents = &f->rules; /* as if it built on the present settings, or began them */
        draft.store_parent_count = variant / 2;
        refuse(f, &draft, EID_ERR_PERMISSION_DENIED);
    }
    eid_entry *forged = dt_make(&draft);
    eid_id own = *eid_entry_id(forged);
    draft = draft_of(f, 9);
    draft.pins = &own; /* and what it would allow */
    refuse(f, &draft, EID_ERR_REFUSED_BEFORE);
    eid_entry_unref(forged);
}

/* Feature W3 */
static void pins_from_before_the_revocation(void **state)
{
    fixture *f = *state;
    dt_draft draft = draft_of(f, 4);

    refuse(f, &draft, EID_ERR_PERMISSION_DENIED); /* the honest pins */
    draft.pins = &f->with_4;
    eid_id on_top = admit(f, &draft);
    draft.parents = &f->with_4; /* or as if it had been written then */
    eid_id beside = admit(f, &draft);
    assert_standing(f, &on_top, EID_STANDING_VOID);
    assert_standing(f, &beside, EID_STANDING_VOID);
    assert_int_equal(dt_int(f->database, "s", "k"), 1);
}

/* Feature W4 */
static void pins_that_are_no_settings(void **state)
{
    fixture *f = *state;
    dt_draft draft = draft_of(f, 0);

    draft.pins = &f->tip;
    refuse(f, &draft, EID_ERR_AUTH_REQUIRED);
    draft.key = 9;
    refuse(f, &draft, EID_ERR_PERMISSION_DENIED);
    draft.store = EID_SETTINGS;
    draft.payload = grant_to(9, "Admin");
    refuse(f, &draft, EID_ERR_PERMISSION_DENIED);
    /* Mixed with settings, those count. */
    eid_id both[2] = {f->tip, f->rules};
    draft = draft_of(f, 9);
    draft.pins = both;
    draft.pin_count = 2;
    refuse(f, &draft, EID_ERR_PERMISSION_DENIED);
}

/* Feature W18 */
static void pins_of_refused_settings(void **state)
{
    fixture *f = *state;
    dt_draft draft = draft_of(f, 9);

    draft.store = EID_SETTINGS;
    draft.payload = grant_to(9, "Write");
    draft.store_parents = &f->rules;
    eid_entry *forged = dt_make(&draft);
    eid_id pins[2] = {*eid_entry_id(forged), f->rules};
    draft = draft_of(f, 9);
    draft.pins = pins;
    draft.pin_count = 2;
    eid_entry *early = dt_make(&draft);
    draft.height = 10;
    eid_entry *late = dt_make(&draft);

    assert_int_equal(dt_receive(f->core, &f->root, &early, 1).waiting, 1);
    eid_receipt receipt = dt_receive(f->core, &f->root, &forged, 1);
    assert_int_equal(receipt.refused, 2); /* and what waited for it */
    assert_standing(f, eid_entry_id(early), EID_STANDING_REFUSED);
    dt_assert_refused(f->core, &f->root, late, EID_ERR_REFUSED_BEFORE);
    eid_entry_unref(forged);
    eid_entry_unref(early);
    eid_entry_unref(late);
}

/* ---- Names ---- */

/* Feature W14 */
static void settings_under_odd_names(void **state)
{
    static const char *const names[] = {"_settings ", "_Settings", "_settings/", "_settings\\u0000",
                                        "_settings.auth"};
    fixture *f = *state;
    dt_draft draft = draft_of(f, 2);
    eid_auth_settings *auth;

    draft.store = EID_SETTINGS;
    draft.payload = NULL; /* named, without data */
    refuse(f, &draft, EID_ERR_PERMISSION_DENIED);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        draft = draft_of(f, 2);
        draft.store = names[i];
        draft.payload = grant_to(9, "Admin");
        draft.store_parent_count = 0;
        draft.height = 9 + i;
        admit(f, &draft); /* stores like any other */
    }
    tu_assert_ok(eid_database_auth(f->database, &auth));
    eid_pubkey nobody = dt_pubkey(9);
    assert_null(eid_auth_settings_find(auth, &nobody));
    eid_auth_settings_unref(auth);
    draft = draft_of(f, 9);
    refuse(f, &draft, EID_ERR_PERMISSION_DENIED);
}

/* ---- Heights and places ---- */

typedef struct seen {
    eid_id ids[64];
    size_t count;
} seen;

static bool parents_first(eid_entry *entry, void *ctx)
{
    seen *s = ctx;

    for (size_t i = 0; i < entry->parent_count; i++) {
        bool found = false;
        for (size_t k = 0; k < s->count && !found; k++)
            found = eid_id_equal(&s->ids[k], &entry->parents[i]);
        assert_true(found);
    }
    s->ids[s->count++] = *eid_entry_id(entry);
    return true;
}

/* An entry on all tips with this height, and a commit of ours on top of it. */
static void forge(fixture *f, uint64_t height, int64_t number)
{
    dt_draft draft = draft_of(f, 2);
    char payload[64];
    eid_id *tips;

    snprintf(payload, sizeof payload, "{\"children\":{\"forged\":{\"Int\":%d}}}", (int)number);
    tu_assert_ok(eid_database_tips(f->database, &tips, &draft.parent_count));
    draft.parents = tips;
    draft.height = height;
    draft.payload = payload;
    admit(f, &draft);
    eid_free(tips);
    dt_commit_int(f->database, "s", "ours", number);
}

/* Feature W5 */
static void forged_heights(void **state)
{
    static const uint64_t heights[] = {0, 1, 999999}, ends[] = {(uint64_t)INT64_MAX + 1, UINT64_MAX};
    fixture *f = *state;
    seen s = {.count = 0};

    for (int64_t i = 0; i < 3; i++) {
        forge(f, heights[i], i);
        assert_int_equal(dt_int(f->database, "s", "ours"), i);
    }
    tu_assert_ok(eid_database_each_entry(f->database, parents_first, &s));
    assert_int_equal(s.count, 5 + 2 * 3);
    /* At the end of the scale IDs decide what is shown; nothing overflows, and everybody goes on. */
    for (int64_t i = 0; i < 2; i++)
        forge(f, ends[i], 10 + i);
    assert_in_range(dt_int(f->database, "s", "ours"), 10, 11);
    assert_in_range(dt_int(f->database, "s", "forged"), 10, 11);
}

/* Feature W6 */
static void store_parents_that_are_no_ancestors(void **state)
{
    fixture *f = *state;
    dt_draft draft = draft_of(f, 2);

    draft.payload = "{\"children\":{\"left\":{\"Int\":1}}}";
    eid_id left = admit(f, &draft);
    draft.payload = "{\"children\":{\"right\":{\"Int\":2}}}";
    draft.parents = &left;
    eid_id right = admit(f, &draft); /* its store does not know of left */
    draft.payload = "{\"children\":{\"odd\":{\"Int\":3}}}";
    draft.parents = &f->tip;
    draft.store_parents = &right; /* which is no ancestor of it */
    admit(f, &draft);
    /* An entry that has no part in the store, and one that nobody has. */
    draft.store_parents = &f->root;
    draft.payload = "{\"children\":{\"foreign\":{\"Int\":4}}}";
    admit(f, &draft);
    eid_id unknown = f->tip;
    unknown.bytes[unknown.len - 1] ^= 1;
    draft.store_parents = &unknown;
    draft.payload = "{\"children\":{\"unknown\":{\"Int\":5}}}";
    admit(f, &draft);
    static const char *const keys[] = {"k", "left", "right", "odd", "foreign", "unknown"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        assert_int_not_equal(dt_int(f->database, "s", keys[i]), INT64_MIN);
    dt_commit_int(f->database, "s", "k", 2);
    assert_int_equal(dt_int(f->database, "s", "k"), 2);
}

/* Feature W7 */
static void a_store_that_is_begun_twice(void **state)
{
    static const char *const stores[] = {"new", "_index"};
    fixture *f = *state;

    for (size_t i = 0; i < 2; i++) {
        dt_draft draft = draft_of(f, 2);
        draft.store = stores[i];
        draft.store_parent_count = 0;
        draft.payload = "{\"children\":{\"x\":{\"Int\":1}}}";
        admit(f, &draft);
        draft.payload = "{\"children\":{\"y\":{\"Int\":2}}}";
        admit(f, &draft); /* two tips without a common beginning: upstream, nobody reads the store any more */
        assert_int_equal(dt_int(f->database, stores[i], "x"), 1);
        assert_int_equal(dt_int(f->database, stores[i], "y"), 2);
    }
    dt_commit_int(f->database, "new", "z", 3);
    assert_int_equal(dt_int(f->database, "new", "x") + dt_int(f->database, "new", "y") +
                         dt_int(f->database, "new", "z"),
                     6);
}

/* ---- On top of what is refused ---- */

/* Feature W19 */
static void building_on_a_refused_entry(void **state)
{
    fixture *f = *state;
    dt_draft draft = draft_of(f, 9);
    eid_entry *bad = dt_make(&draft);
    eid_id bad_id = *eid_entry_id(bad);
    dt_print before = dt_fingerprint(f->core);

    draft = draft_of(f, 2);
    draft.parents = &bad_id;
    eid_entry *on_bad = dt_make(&draft);
    eid_id both[2] = {f->tip, bad_id};
    draft.parents = both;
    draft.parent_count = 2;
    eid_entry *merge = dt_make(&draft);

    assert_int_equal(dt_receive(f->core, &f->root, &on_bad, 1).waiting, 1);
    assert_standing(f, eid_entry_id(on_bad), EID_STANDING_WAITING);
    assert_int_equal(dt_int(f->database, "s", "k"), 1);
    assert_int_equal(dt_receive(f->core, &f->root, &bad, 1).refused, 2);
    dt_assert_refused(f->core, &f->root, merge, EID_ERR_REFUSED_BEFORE);
    dt_assert_unchanged(
        f->core, &before); /* the tip before it is still the tip, and what is shown is that of before */
    eid_entry_unref(bad);
    eid_entry_unref(on_bad);
    eid_entry_unref(merge);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(unsigned_entries_that_pin_nothing),
        WITH(making_oneself_admin_without_pins),
        WITH(pins_from_before_the_revocation),
        WITH(pins_that_are_no_settings),
        WITH(pins_of_refused_settings),
        WITH(settings_under_odd_names),
        WITH(forged_heights),
        WITH(store_parents_that_are_no_ancestors),
        WITH(a_store_that_is_begun_twice),
        WITH(building_on_a_refused_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
