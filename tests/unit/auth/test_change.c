/* SPDX-License-Identifier: Apache-2.0 */
/* Who may change whom, and which records a payload of the settings touches. The recorded cases are in vectors/test_auth.c. */
#include "auth/auth.h"

#include <stdio.h>
#include <stdlib.h>

#include <eidetica/memory.h>

#include "codec/cid.h"
#include "support/testutil.h"

/* Public keys of the seeds 01…, 02…. */
static const char *const keys[] = {"ed25519:iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=",
                                   "ed25519:gTl3Dqh9F19Wo1Rmw0x+zMuNipG07jeiXfYPW4/Js5Q="};

static eid_auth_right right(eid_permission_kind kind, uint32_t priority, bool active)
{
    return (eid_auth_right){true, active, {kind, priority}};
}

static const eid_auth_right nothing = {false, false, {EID_PERM_READ, 0}};

static void only_admins_change_records(void **state)
{
    eid_auth_right reader = right(EID_PERM_READ, 0, true);

    (void)state;
    for (uint32_t priority = 0; priority < 3; priority++) {
        eid_permission writer = {EID_PERM_WRITE, priority}, admin = {EID_PERM_ADMIN, priority};
        tu_assert_fails(eid_auth_may_change(writer, &nothing, &reader), EID_ERR_PERMISSION_DENIED);
        tu_assert_fails(eid_auth_may_change(writer, &reader, &nothing), EID_ERR_PERMISSION_DENIED);
        tu_assert_ok(eid_auth_may_change(admin, &nothing, &reader));
        tu_assert_ok(eid_auth_may_change(admin, &reader, &nothing));
    }
    tu_assert_fails(eid_auth_may_change((eid_permission){EID_PERM_READ, 0}, &nothing, &nothing), EID_ERR_PERMISSION_DENIED);
}

/* Neither what is there nor what is made may be stronger than the author, whatever its status. */
static void nobody_reaches_above_himself(void **state)
{
    eid_permission author = {EID_PERM_ADMIN, 5};

    (void)state;
    for (int active = 0; active < 2; active++) {
        eid_auth_right above = right(EID_PERM_ADMIN, 4, active), equal = right(EID_PERM_ADMIN, 5, active),
                       below = right(EID_PERM_WRITE, 0, active);
        tu_assert_fails(eid_auth_may_change(author, &above, &below), EID_ERR_PERMISSION_DENIED);
        tu_assert_fails(eid_auth_may_change(author, &above, &nothing), EID_ERR_PERMISSION_DENIED);
        tu_assert_fails(eid_auth_may_change(author, &nothing, &above), EID_ERR_PERMISSION_DENIED);
        tu_assert_fails(eid_auth_may_change(author, &below, &above), EID_ERR_PERMISSION_DENIED);
        tu_assert_ok(eid_auth_may_change(author, &equal, &below));
        tu_assert_ok(eid_auth_may_change(author, &below, &equal));
    }
}

/* ---- Subjects ---- */

static eid_doc *stored(const char *text)
{
    eid_doc *doc;

    tu_assert_ok(eid_doc_from_json(text, strlen(text), &doc));
    return doc;
}

static size_t subjects_of(const char *text, eid_auth_subject **out, bool *all)
{
    eid_doc *doc = stored(text);
    size_t count;

    tu_assert_ok(eid_auth_subjects(doc, out, &count, all));
    eid_doc_free(doc);
    for (size_t i = 1; i < count; i++)
        assert_true(eid_auth_subject_compare(&(*out)[i - 1], &(*out)[i]) < 0);
    return count;
}

static void records_that_are_touched(void **state)
{
    char text[2048], tree[EID_ID_TEXT_SIZE];
    uint8_t digest[32] = {1};
    eid_auth_subject *subjects;
    eid_id id;
    bool all;

    (void)state;
    eid_id_from_digest(EID_CODEC_DAG_CBOR, digest, &id);
    eid_id_format(&id, tree);
    snprintf(text, sizeof text,
             "{\"children\":{\"name\":{\"Text\":\"x\"},\"auth\":{\"Doc\":{\"children\":{\"keys\":{\"Doc\":{\"children\":{\"%s\":\"Deleted\","
             "\"%s\":{\"Doc\":{\"_a\":true,\"children\":{}}},\"no key\":{\"Int\":1}}}},\"global\":\"Deleted\",\"delegations\":{\"Doc\":{"
             "\"children\":{\"%s\":{\"Int\":1},\"no tree\":\"Deleted\"}}}}}}}}",
             keys[0], keys[1], tree);
    assert_int_equal(subjects_of(text, &subjects, &all), 4);
    assert_false(all);
    assert_int_equal(subjects[0].kind, EID_SUBJECT_KEY);
    assert_int_equal(subjects[1].kind, EID_SUBJECT_KEY);
    assert_int_equal(subjects[2].kind, EID_SUBJECT_GLOBAL);
    assert_int_equal(subjects[3].kind, EID_SUBJECT_DELEGATION);
    assert_true(eid_id_equal(&subjects[3].tree, &id));
    eid_free(subjects);
    assert_int_equal(subjects_of("{\"children\":{\"name\":{\"Text\":\"x\"}}}", &subjects, &all), 0);
    assert_false(all);
    eid_free(subjects);
}

static void payloads_that_touch_everything(void **state)
{
    static const char *const texts[] = {
        "{\"_a\":true,\"children\":{}}",
        "{\"children\":{\"auth\":\"Deleted\"}}",
        "{\"children\":{\"auth\":{\"Text\":\"x\"}}}",
        "{\"children\":{\"auth\":{\"Doc\":{\"_a\":true,\"children\":{}}}}}",
        "{\"children\":{\"auth\":{\"Doc\":{\"children\":{\"keys\":\"Deleted\"}}}}}",
        "{\"children\":{\"auth\":{\"Doc\":{\"children\":{\"keys\":{\"Doc\":{\"_a\":true,\"children\":{}}}}}}}}",
        "{\"children\":{\"auth\":{\"Doc\":{\"children\":{\"delegations\":{\"Int\":1}}}}}}",
    };
    eid_auth_subject *subjects;
    bool all;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        all = false;
        assert_int_equal(subjects_of(texts[i], &subjects, &all), 0);
        assert_true(all);
        eid_free(subjects);
    }
}

static void rights_of_subjects(void **state)
{
    char text[1024];
    eid_auth_settings *settings;
    eid_auth_subject subject = {.kind = EID_SUBJECT_KEY};

    (void)state;
    snprintf(text, sizeof text,
             "{\"children\":{\"auth\":{\"Doc\":{\"children\":{\"keys\":{\"Doc\":{\"children\":{\"%s\":{\"Doc\":{\"children\":{\"permissions\":{"
             "\"Doc\":{\"children\":{\"type\":{\"Text\":\"Admin\"},\"priority\":{\"Int\":3}}}},\"status\":{\"Text\":\"Revoked\"}}}},"
             "\"%s\":{\"Int\":1}}}},\"global\":{\"Doc\":{\"children\":{\"permissions\":{\"Doc\":{\"children\":{\"type\":{\"Text\":"
             "\"Read\"}}}},\"status\":{\"Text\":\"Active\"}}}}}}}}}",
             keys[0], keys[1]);
    eid_doc *doc = stored(text);
    tu_assert_ok(eid_auth_settings_parse(doc, &settings));
    eid_doc_free(doc);
    tu_assert_ok(eid_pubkey_parse(keys[0], &subject.key));
    eid_auth_right found = eid_auth_settings_right(settings, &subject);
    assert_true(found.present && !found.active && found.permission.kind == EID_PERM_ADMIN && found.permission.priority == 3);
    tu_assert_ok(eid_pubkey_parse(keys[1], &subject.key));
    assert_false(eid_auth_settings_right(settings, &subject).present);
    subject.kind = EID_SUBJECT_GLOBAL;
    found = eid_auth_settings_right(settings, &subject);
    assert_true(found.present && found.active && found.permission.kind == EID_PERM_READ);
    subject.kind = EID_SUBJECT_DELEGATION;
    assert_false(eid_auth_settings_right(settings, &subject).present);
    eid_auth_settings_unref(settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_admins_change_records),
        cmocka_unit_test(nobody_reaches_above_himself),
        cmocka_unit_test(records_that_are_touched),
        cmocka_unit_test(payloads_that_touch_everything),
        cmocka_unit_test(rights_of_subjects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
