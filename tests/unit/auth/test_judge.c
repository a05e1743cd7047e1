/* SPDX-License-Identifier: Apache-2.0 */
/* Judging entries made here: each way to be refused, each way to be valid. The recorded pairs are in
 * tests/vectors/test_auth.c. */
#include "auth/auth.h"

#include "crypto/key.h"
#include <eidetica/memory.h>

#include "support/testutil.h"

typedef struct world {
    eid_keypair *admin, *writer, *reader, *stranger;
    eid_pubkey admin_key, writer_key, reader_key, stranger_key;
    eid_id root;
    eid_doc *settings; /* the three listed, named admin, writer, reader */
} world;

static void add_key(eid_doc *settings, const eid_pubkey *key, const char *name, eid_permission permission,
                    eid_key_status status)
{
    char path[128] = "auth.keys.", text[EID_PUBKEY_TEXT_SIZE];
    eid_doc *record;

    eid_pubkey_format(key, text);
    strcat(path, text);
    tu_assert_ok(eid_auth_key_to_doc(name, permission, status, &record));
    tu_assert_ok(eid_doc_set_doc(settings, path, record));
    eid_doc_free(record);
}

static void set_global(eid_doc *settings, eid_permission permission, eid_key_status status)
{
    eid_doc *record;

    tu_assert_ok(eid_auth_key_to_doc(NULL, permission, status, &record));
    tu_assert_ok(eid_doc_set_doc(settings, "auth.global", record));
    eid_doc_free(record);
}

static const eid_permission admin_right = {EID_PERM_ADMIN, 5}, write_right = {EID_PERM_WRITE, 3},
                            read_right = {EID_PERM_READ, 0};

static eid_keypair *key_from(uint8_t byte, eid_pubkey *key)
{
    uint8_t seed[32];
    eid_keypair *pair;

    memset(seed, byte, sizeof seed);
    tu_assert_ok(eid_keypair_from_seed(seed, &pair));
    eid_keypair_public(pair, key);
    return pair;
}

static int set_up(void **state)
{
    static world w;

    w.admin = key_from(1, &w.admin_key);
    w.writer = key_from(2, &w.writer_key);
    w.reader = key_from(3, &w.reader_key);
    w.stranger = key_from(9, &w.stranger_key);
    tu_assert_ok(eid_id_parse("bafyr4ig57bks2iknlyb6uvrdunutoir5ckl6n4zblvellmbmvmsl3ttdbm", &w.root));
    tu_assert_ok(eid_doc_new(&w.settings));
    add_key(w.settings, &w.admin_key, "admin", admin_right, EID_KEY_ACTIVE);
    add_key(w.settings, &w.writer_key, "writer", write_right, EID_KEY_ACTIVE);
    add_key(w.settings, &w.reader_key, "reader", read_right, EID_KEY_ACTIVE);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;

    eid_keypair_free(w->admin);
    eid_keypair_free(w->writer);
    eid_keypair_free(w->reader);
    eid_keypair_free(w->stranger);
    eid_doc_free(w->settings);
    return 0;
}

/* An entry that takes part in `store`, signed by the key with the identity (both may be NULL). */
static eid_entry *make_entry(const world *w, const char *store, const eid_keypair *key,
                             const eid_sigkey *identity)
{
    eid_slice data = eid_slice_text("{\"children\":{}}");
    eid_entry_builder *builder;
    eid_entry *entry;

    tu_assert_ok(eid_entry_builder_new(&w->root, &builder));
    tu_assert_ok(eid_entry_builder_set_parents(builder, &w->root, 1));
    eid_entry_builder_set_height(builder, 1);
    tu_assert_ok(eid_entry_builder_set_subtree(builder, store, NULL, 0, &data, NULL));
    tu_assert_ok(eid_entry_builder_finish(builder, key, identity, &entry));
    eid_entry_builder_free(builder);
    return entry;
}

static eid_status judge(const world *w, const char *store, const eid_keypair *key, const eid_sigkey *identity,
                        const eid_pubkey *verified)
{
    eid_entry *entry = make_entry(w, store, key, identity);
    eid_auth_settings *settings;
    eid_status status;

    tu_assert_ok(eid_auth_settings_parse(w->settings, &settings));
    status = eid_auth_judge(settings, entry, verified);
    eid_auth_settings_unref(settings);
    eid_entry_unref(entry);
    return status;
}

static void rights_decide(void **state)
{
    const world *w = *state;

    tu_assert_ok(judge(w, "notes", w->admin, NULL, NULL));
    tu_assert_ok(judge(w, "_settings", w->admin, NULL, NULL));
    tu_assert_ok(judge(w, "notes", w->writer, NULL, NULL));
    tu_assert_ok(judge(w, "_index", w->writer, NULL, NULL));
    tu_assert_fails(judge(w, "_settings", w->writer, NULL, NULL), EID_ERR_PERMISSION_DENIED);
    tu_assert_fails(judge(w, "notes", w->reader, NULL, NULL), EID_ERR_PERMISSION_DENIED);
    tu_assert_fails(judge(w, "notes", w->stranger, NULL, NULL), EID_ERR_PERMISSION_DENIED);
    tu_assert_fails(judge(w, "notes", NULL, NULL, NULL), EID_ERR_AUTH_REQUIRED);
}

static void revoked_keys_are_refused(void **state)
{
    world *w = *state;

    add_key(w->settings, &w->writer_key, "writer", write_right, EID_KEY_REVOKED);
    tu_assert_fails(judge(w, "notes", w->writer, NULL, NULL), EID_ERR_PERMISSION_DENIED);
    assert_non_null(strstr(eid_last_error(), "revoked"));
}

static void global_needs_its_flag(void **state)
{
    world *w = *state;
    eid_sigkey as_global;

    eid_sigkey_global(&w->stranger_key, &as_global);
    tu_assert_fails(judge(w, "notes", w->stranger, &as_global, NULL), EID_ERR_PERMISSION_DENIED);
    set_global(w->settings, write_right, EID_KEY_ACTIVE);
    tu_assert_ok(judge(w, "notes", w->stranger, &as_global, NULL));
    tu_assert_fails(judge(w, "_settings", w->stranger, &as_global, NULL), EID_ERR_PERMISSION_DENIED);
    /* Without the flag the wildcard is not tried. */
    tu_assert_fails(judge(w, "notes", w->stranger, NULL, NULL), EID_ERR_PERMISSION_DENIED);
    set_global(w->settings, write_right, EID_KEY_REVOKED);
    tu_assert_fails(judge(w, "notes", w->stranger, &as_global, NULL), EID_ERR_PERMISSION_DENIED);
}

static void another_keys_signature_is_refused(void **state)
{
    const world *w = *state;
    eid_sigkey as_admin;

    eid_sigkey_direct(&w->admin_key, &as_admin);
    tu_assert_fails(judge(w, "notes", w->stranger, &as_admin, NULL), EID_ERR_BAD_SIGNATURE);
}

static void names_try_every_bearer(void **state)
{
    world *w = *state;
    char name[] = "shared";
    eid_sigkey by_name = {.hint = {.name = name, .name_len = strlen(name)}};

    add_key(w->settings, &w->admin_key, "shared", admin_right, EID_KEY_ACTIVE);
    add_key(w->settings, &w->writer_key, "shared", write_right, EID_KEY_ACTIVE);
    tu_assert_ok(judge(w, "notes", w->writer, &by_name, NULL));
    tu_assert_ok(judge(w, "notes", w->admin, &by_name, NULL));
    tu_assert_ok(judge(w, "_settings", w->admin, &by_name, NULL));
    assert_int_not_equal(judge(w, "_settings", w->writer, &by_name, NULL), EID_OK);
    tu_assert_fails(judge(w, "notes", w->stranger, &by_name, NULL), EID_ERR_BAD_SIGNATURE);
}

static void a_checked_signature_is_not_checked_again(void **state)
{
    const world *w = *state;
    eid_sigkey as_admin;

    /* The judge believes the caller about exactly the named key, and about no other. */
    eid_sigkey_direct(&w->admin_key, &as_admin);
    tu_assert_ok(judge(w, "notes", w->stranger, &as_admin, &w->admin_key));
    tu_assert_fails(judge(w, "notes", w->stranger, &as_admin, &w->stranger_key), EID_ERR_BAD_SIGNATURE);
    tu_assert_fails(judge(w, "notes", w->reader, NULL, &w->reader_key), EID_ERR_PERMISSION_DENIED);
}

/* The entry again with another signature. */
static eid_entry *with_signature(const eid_entry *entry, const uint8_t signature[64])
{
    char text[EID_SIGNATURE_TEXT_SIZE], *json, *place;
    eid_entry *changed;
    size_t len;

    eid_signature_format(signature, text);
    tu_assert_ok(eid_entry_to_json(entry, &json, &len));
    place = strstr(json, entry->signature);
    assert_non_null(place);
    memcpy(place, text, strlen(text));
    tu_assert_ok(eid_entry_from_json(json, len, &changed));
    eid_free(json);
    return changed;
}

static void small_order_keys_sign_nothing(void **state)
{
    world *w = *state;
    /* The neutral element as key, R the base point, S one: R = [S]B holds for every message. */
    eid_pubkey weak = {{1}};
    uint8_t signature[64];
    eid_sigkey identity;
    eid_auth_settings *settings;
    eid_entry *entry, *forged;

    memset(signature, 0x66, 32);
    signature[0] = 0x58;
    memset(signature + 32, 0, 32);
    signature[32] = 1;
    add_key(w->settings, &weak, "weak", admin_right, EID_KEY_ACTIVE);
    eid_sigkey_direct(&weak, &identity);
    entry = make_entry(w, "notes", w->stranger, &identity);
    forged = with_signature(entry, signature);
    tu_assert_ok(eid_auth_settings_parse(w->settings, &settings));
    assert_non_null(eid_auth_settings_find(settings, &weak));
    tu_assert_fails(eid_auth_judge(settings, forged, NULL), EID_ERR_BAD_SIGNATURE);
    eid_auth_settings_unref(settings);
    eid_entry_unref(forged);
    eid_entry_unref(entry);
}

static void open_databases_take_unsigned_only(void **state)
{
    world *w = *state;

    tu_assert_ok(eid_doc_remove(w->settings, "auth"));
    tu_assert_ok(judge(w, "notes", NULL, NULL, NULL));
    tu_assert_ok(judge(w, "_settings", NULL, NULL, NULL));
    tu_assert_fails(judge(w, "notes", w->admin, NULL, NULL), EID_ERR_PERMISSION_DENIED);
}

static void delegations_are_judged_as_far_as_they_go(void **state)
{
    const world *w = *state;
    eid_delegation_step steps[EID_LIMIT_DELEGATION_STEPS + 1];
    eid_sigkey delegation = {
        .is_delegation = true, .hint = {.has_pubkey = true, .pubkey = w->admin_key}, .path = steps};

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        steps[i] = (eid_delegation_step){w->root, (eid_id *)(uintptr_t)&w->root, 1};
    tu_assert_fails(judge(w, "notes", w->admin, &delegation, NULL), EID_ERR_PERMISSION_DENIED);
    delegation.path_count = 1;
    tu_assert_fails(judge(w, "notes", w->admin, &delegation, NULL), EID_ERR_UNSUPPORTED);
    delegation.path_count = EID_LIMIT_DELEGATION_STEPS;
    tu_assert_fails(judge(w, "notes", w->admin, &delegation, NULL), EID_ERR_UNSUPPORTED);
    delegation.path_count = 1;
    delegation.hint.is_global = true;
    tu_assert_fails(judge(w, "notes", w->admin, &delegation, NULL), EID_ERR_PERMISSION_DENIED);
}

/* ---- Proven keys ---- */

static void permission_of_proven_keys(void **state)
{
    world *w = *state;
    eid_auth_settings *settings;
    eid_permission permission;

    set_global(w->settings, write_right, EID_KEY_ACTIVE);
    tu_assert_ok(eid_auth_settings_parse(w->settings, &settings));
    tu_assert_ok(eid_auth_permission_of(settings, &w->admin_key, &permission));
    assert_int_equal(permission.kind, EID_PERM_ADMIN);
    /* The own record counts before the wildcard, also when it is the weaker one. */
    tu_assert_ok(eid_auth_permission_of(settings, &w->reader_key, &permission));
    assert_int_equal(permission.kind, EID_PERM_READ);
    tu_assert_ok(eid_auth_permission_of(settings, &w->stranger_key, &permission));
    assert_int_equal(permission.kind, EID_PERM_WRITE);
    eid_auth_settings_unref(settings);
}

static void nobody_has_no_permission(void **state)
{
    world *w = *state;
    eid_auth_settings *settings;
    eid_permission permission = {EID_PERM_READ, 77};

    add_key(w->settings, &w->writer_key, "writer", write_right, EID_KEY_REVOKED);
    tu_assert_ok(eid_auth_settings_parse(w->settings, &settings));
    tu_assert_fails(eid_auth_permission_of(settings, &w->stranger_key, &permission),
                    EID_ERR_PERMISSION_DENIED);
    tu_assert_fails(eid_auth_permission_of(settings, &w->writer_key, &permission), EID_ERR_PERMISSION_DENIED);
    assert_int_equal(permission.priority, 77);
    eid_auth_settings_unref(settings);
}

int main(void)
{
#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_WORLD(rights_decide),
        WITH_WORLD(revoked_keys_are_refused),
        WITH_WORLD(global_needs_its_flag),
        WITH_WORLD(another_keys_signature_is_refused),
        WITH_WORLD(names_try_every_bearer),
        WITH_WORLD(a_checked_signature_is_not_checked_again),
        WITH_WORLD(small_order_keys_sign_nothing),
        WITH_WORLD(open_databases_take_unsigned_only),
        WITH_WORLD(delegations_are_judged_as_far_as_they_go),
        WITH_WORLD(permission_of_proven_keys),
        WITH_WORLD(nobody_has_no_permission),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
