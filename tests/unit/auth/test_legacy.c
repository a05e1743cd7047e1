/* SPDX-License-Identifier: Apache-2.0 */
/* The older form of access rules in the settings of a new database. */
#include "auth/auth.h"

#include <stdio.h>
#include <stdlib.h>

#include <eidetica/memory.h>

#include "support/testutil.h"

#define KEY_1 "ed25519:iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w="
#define KEY_2 "ed25519:gTl3Dqh9F19Wo1Rmw0x+zMuNipG07jeiXfYPW4/Js5Q="

static eid_doc *settings_with(const char *const *names, const char *const *records, size_t count)
{
    eid_doc *settings, *auth;

    tu_assert_ok(eid_doc_new(&settings));
    tu_assert_ok(eid_doc_new(&auth));
    tu_assert_ok(eid_doc_set_string(settings, "name", "room"));
    for (size_t i = 0; i < count; i++)
        tu_assert_ok(eid_doc_set_json(auth, names[i], records[i]));
    tu_assert_ok(eid_doc_set_doc(settings, "auth", auth));
    eid_doc_free(auth);
    return settings;
}

static eid_auth_settings *convert(const eid_doc *settings)
{
    eid_auth_settings *parsed;
    eid_doc *converted;
    const char *name;
    size_t len;

    tu_assert_ok(eid_auth_convert_legacy(settings, &converted));
    tu_assert_ok(eid_doc_get_text(converted, "name", &name, &len));
    assert_string_equal(name, "room");
    tu_assert_ok(eid_auth_settings_parse(converted, &parsed));
    eid_doc_free(converted);
    return parsed;
}

static const eid_auth_key *find(const eid_auth_settings *settings, const char *text)
{
    eid_pubkey key;

    tu_assert_ok(eid_pubkey_parse(text, &key));
    return eid_auth_settings_find(settings, &key);
}

/* Feature 92 */
static void a_named_key(void **state)
{
    const char *names[] = {"admin_key", "other"};
    const char *records[] = {"{\"pubkey\":\"" KEY_1 "\",\"permissions\":{\"Admin\":1},\"status\":\"Active\"}",
                             "{\"pubkey\":\"" KEY_2 "\",\"permissions\":\"Read\",\"status\":\"Active\"}"};
    eid_doc *settings = settings_with(names, records, 2);
    eid_auth_settings *parsed = convert(settings);

    (void)state;
    const eid_auth_key *admin = find(parsed, KEY_1), *reader = find(parsed, KEY_2);
    assert_non_null(admin);
    assert_string_equal(admin->name, "admin_key");
    assert_int_equal(admin->permission.kind, EID_PERM_ADMIN);
    assert_int_equal(admin->permission.priority, 1);
    assert_int_equal(admin->status, EID_KEY_ACTIVE);
    assert_non_null(reader);
    assert_int_equal(reader->permission.kind, EID_PERM_READ);
    assert_null(eid_auth_settings_global(parsed));
    eid_auth_settings_unref(parsed);
    eid_doc_free(settings);
}

/* Feature 93 */
static void everybody(void **state)
{
    const char *names[] = {"*"};
    const char *records[] = {"{\"pubkey\":\"*\",\"permissions\":{\"Write\":10},\"status\":\"Active\"}"};
    eid_doc *settings = settings_with(names, records, 1);
    eid_auth_settings *parsed = convert(settings);

    (void)state;
    assert_true(eid_auth_settings_has_active_global(parsed));
    assert_int_equal(eid_auth_settings_global(parsed)->permission.kind, EID_PERM_WRITE);
    assert_int_equal(eid_auth_settings_global(parsed)->permission.priority, 10);
    assert_null(eid_auth_settings_global(parsed)->name);
    assert_int_equal(eid_auth_settings_key_count(parsed), 0);
    /* Write(15) is granted by it. */
    assert_true(eid_permission_compare(eid_auth_settings_global(parsed)->permission, (eid_permission){EID_PERM_WRITE, 15}) > 0);
    eid_auth_settings_unref(parsed);
    eid_doc_free(settings);
}

/* Feature 95 */
static void revoked_from_the_start(void **state)
{
    const char *names[] = {"old", "new"};
    const char *records[] = {"{\"pubkey\":\"" KEY_1 "\",\"permissions\":{\"Write\":0},\"status\":\"Revoked\"}",
                             "{\"pubkey\":\"" KEY_2 "\",\"permissions\":{\"Read\":null}}"};
    eid_doc *settings = settings_with(names, records, 2);
    eid_auth_settings *parsed = convert(settings);

    (void)state;
    assert_int_equal(find(parsed, KEY_1)->status, EID_KEY_REVOKED);
    assert_int_equal(find(parsed, KEY_2)->status, EID_KEY_ACTIVE); /* the status may be left out */
    eid_auth_settings_unref(parsed);
    eid_doc_free(settings);
}

static void without_auth_nothing_changes(void **state)
{
    eid_doc *settings, *converted;

    (void)state;
    tu_assert_ok(eid_doc_new(&settings));
    tu_assert_ok(eid_doc_set_string(settings, "name", "room"));
    tu_assert_ok(eid_auth_convert_legacy(settings, &converted));
    assert_true(eid_doc_equal(settings, converted));
    eid_doc_free(converted);
    eid_doc_free(settings);
}

static void what_is_refused(void **state)
{
    static const char *const bad[] = {
        "5",
        "{}",
        "{\"pubkey\":\"*\",\"permissions\":{\"Write\":10}}", /* under another name than "*" */
        "{\"pubkey\":\"none\",\"permissions\":{\"Write\":10}}",
        "{\"pubkey\":\"" KEY_1 "\"}",
        "{\"pubkey\":\"" KEY_1 "\",\"permissions\":\"Write\"}",
        "{\"pubkey\":\"" KEY_1 "\",\"permissions\":{\"Write\":-1}}",
        "{\"pubkey\":\"" KEY_1 "\",\"permissions\":{\"Write\":4294967296}}",
        "{\"pubkey\":\"" KEY_1 "\",\"permissions\":{\"Write\":1,\"Admin\":1}}",
        "{\"pubkey\":\"" KEY_1 "\",\"permissions\":{\"Owner\":1}}",
        "{\"pubkey\":\"" KEY_1 "\",\"permissions\":\"Read\",\"status\":\"Asleep\"}",
        "{\"pubkey\":\"" KEY_1 "\",\"permissions\":\"Read\",\"status\":1}",
    };
    const char *names[] = {"a", "b"};
    eid_doc *converted = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        eid_doc *settings = settings_with(names, &bad[i], 1);
        tu_assert_fails(eid_auth_convert_legacy(settings, &converted), EID_ERR_CORRUPTED_AUTH);
        assert_null(converted);
        eid_doc_free(settings);
    }
    /* One key under two names. */
    const char *twice[] = {"{\"pubkey\":\"" KEY_1 "\",\"permissions\":\"Read\"}", "{\"pubkey\":\"" KEY_1 "\",\"permissions\":{\"Admin\":0}}"};
    eid_doc *settings = settings_with(names, twice, 2);
    tu_assert_fails(eid_auth_convert_legacy(settings, &converted), EID_ERR_CORRUPTED_AUTH);
    eid_doc_free(settings);
    /* The present form is not the older one: its creator would lose the admin's place in it. */
    tu_assert_ok(eid_doc_new(&settings));
    tu_assert_ok(eid_doc_set_json(settings, "auth", "{\"keys\":{}}"));
    tu_assert_fails(eid_auth_convert_legacy(settings, &converted), EID_ERR_CORRUPTED_AUTH);
    tu_assert_ok(eid_doc_set_int(settings, "auth", 1));
    tu_assert_fails(eid_auth_convert_legacy(settings, &converted), EID_ERR_CORRUPTED_AUTH);
    eid_doc_free(settings);
}

static eid_status convert_once(void *ctx)
{
    eid_doc *converted;
    eid_status status = eid_auth_convert_legacy(ctx, &converted);

    if (status == EID_OK)
        eid_doc_free(converted);
    return status;
}

static void out_of_memory(void **state)
{
    const char *names[] = {"admin_key", "*"};
    const char *records[] = {"{\"pubkey\":\"" KEY_1 "\",\"permissions\":{\"Admin\":1},\"status\":\"Active\"}",
                             "{\"pubkey\":\"*\",\"permissions\":\"Read\",\"status\":\"Active\"}"};
    eid_doc *settings = settings_with(names, records, 2);

    (void)state;
    assert_true(tu_alloc_fault_loop(convert_once, settings) > 10);
    eid_doc_free(settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_named_key),
        cmocka_unit_test(everybody),
        cmocka_unit_test(revoked_from_the_start),
        cmocka_unit_test(without_auth_nothing_changes),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
