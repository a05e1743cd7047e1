/* SPDX-License-Identifier: Apache-2.0 */
/* auth.json: permissions, auth settings, the judgement of entries, identities, recorded from the Rust
 * implementation.
 *
 * Its verify and commit parts are in test_verify.c, its delegation part in test_delegation.c. Where our rule
 * deliberately differs the case stands in a table below. */
#include "auth/auth.h"

#include <stdlib.h>

#include "database/standing_int.h"
#include "support/jsondom.h"

/* ---- Deliberate differences ---- */

typedef struct difference {
    const char *settings; /* or the string parsed */
    const char *entry;    /* NULL when there is none */
    const char *reason;
    bool met;
} difference;

static difference string_differences[] = {
    {"write", NULL, "the short word is accepted and means write:10", false},
    {"admin", NULL, "the short word is accepted and means admin:0", false},
};

static difference listing_differences[] = {
    {"broken key records", NULL,
     "a record under a text that is no public key can act for nobody and is not listed", false},
};

static difference matrix_differences[] = {
    {"only a revoked global", "data: unsigned",
     "revoking the last right must not open the database to unsigned entries", false},
    {"only a revoked global", "settings: unsigned",
     "revoking the last right must not open the database to unsigned entries", false},
};

static bool differs(difference *table, size_t count, const char *settings, const char *entry)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(table[i].settings, settings) == 0 &&
            (table[i].entry == NULL || strcmp(table[i].entry, entry) == 0)) {
            if (!table[i].met)
                print_message("differs: %s%s%s: %s\n", settings, entry != NULL ? " / " : "",
                              entry != NULL ? entry : "", table[i].reason);
            table[i].met = true;
            return true;
        }
    }
    return false;
}

/* A difference that no case shows any more is a stale line in the table. */
static void assert_all_met(const difference *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!table[i].met)
            fail_msg("no case shows the listed difference \"%s\"", table[i].settings);
    }
}

#define COUNT(table) (sizeof(table) / sizeof *(table))

/* ---- Recorded things as ours ---- */

static const jd_node *vectors;

static eid_permission permission_of(const jd_node *node)
{
    eid_permission permission;
    eid_json reader;

    eid_json_init(&reader, jd_source(node));
    tu_assert_ok(eid_permission_read_json(&reader, &permission));
    tu_assert_ok(eid_json_end(&reader));
    eid_json_free(&reader);
    return permission;
}

static void assert_permission(eid_permission got, const jd_node *wanted)
{
    eid_permission expected = permission_of(wanted);

    assert_int_equal(got.kind, expected.kind);
    assert_int_equal(got.priority, expected.priority);
}

static eid_doc *doc_of(const jd_node *node)
{
    eid_slice text = jd_source(node);
    eid_doc *doc;

    tu_assert_ok(eid_doc_from_json((const char *)text.data, text.len, &doc));
    return doc;
}

static eid_auth_settings *parse_settings(const jd_node *auth_doc)
{
    eid_auth_settings *settings;
    eid_doc *auth = doc_of(auth_doc), *doc;

    tu_assert_ok(eid_doc_new(&doc));
    tu_assert_ok(eid_doc_set_doc(doc, "auth", auth));
    tu_assert_ok(eid_auth_settings_parse(doc, &settings));
    eid_doc_free(doc);
    eid_doc_free(auth);
    return settings;
}

static eid_entry *entry_of(const jd_node *node)
{
    size_t len;
    uint8_t *bytes = jd_hex(jd_need(node, "dagcbor_hex"), &len);
    char id[EID_ID_TEXT_SIZE];
    eid_entry *entry = NULL;

    tu_assert_ok(eid_entry_from_cbor(bytes, len, &entry));
    eid_id_format(eid_entry_id(entry), id);
    assert_string_equal(id, jd_get_str(node, "id"));
    free(bytes);
    return entry;
}

static eid_sigkey sigkey_of(const jd_node *node)
{
    eid_sigkey sigkey;
    eid_json reader;

    eid_json_init(&reader, jd_source(node));
    tu_assert_ok(eid_sigkey_read_json(&reader, &sigkey));
    eid_json_free(&reader);
    return sigkey;
}

static eid_pubkey pubkey_of(const jd_node *node)
{
    eid_pubkey key;

    tu_assert_ok(eid_pubkey_parse(jd_str(node), &key));
    return key;
}

static eid_key_status status_of(const jd_node *node)
{
    if (strcmp(jd_str(node), "Active") == 0)
        return EID_KEY_ACTIVE;
    assert_string_equal(jd_str(node), "Revoked");
    return EID_KEY_REVOKED;
}

/* ---- Permissions ---- */

static void permission_table(void **state)
{
    const jd_node *table = jd_need(jd_need(vectors, "permissions"), "table");

    (void)state;
    for (size_t i = 0; i < jd_len(table); i++) {
        const jd_node *row = jd_at(table, i);
        eid_permission permission = permission_of(jd_need(row, "permission")), again;
        char text[EID_PERMISSION_TEXT_SIZE];
        eid_doc *wanted = doc_of(jd_need(row, "doc")), *doc;

        assert_int_equal(eid_permission_can_write(permission), jd_get_bool(row, "can_write"));
        assert_int_equal(eid_permission_can_admin(permission), jd_get_bool(row, "can_admin"));
        if (jd_is_null(jd_need(row, "priority")))
            assert_int_equal(permission.kind, EID_PERM_READ);
        else
            assert_int_equal(permission.priority, jd_get_u64(row, "priority"));

        eid_permission_format(permission, text);
        assert_string_equal(text, jd_get_str(row, "string"));
        tu_assert_ok(eid_permission_parse(text, &again));
        assert_int_equal(eid_permission_compare(permission, again), 0);

        tu_assert_ok(eid_permission_to_doc(permission, &doc));
        assert_true(eid_doc_equal(doc, wanted));
        tu_assert_ok(eid_permission_from_doc(wanted, &again));
        assert_int_equal(eid_permission_compare(permission, again), 0);
        eid_doc_free(doc);
        eid_doc_free(wanted);

        eid_buf json;
        eid_buf_init(&json, 64);
        eid_permission_write_json(&json, permission);
        tu_assert_ok(eid_buf_status(&json));
        jd_node *written = jd_parse(eid_buf_slice(&json));
        assert_permission(permission, written);
        jd_free(written);
        eid_buf_free(&json);
    }
    assert_int_equal(jd_len(table), 9);
}

/* Feature 96 */
static void permission_order(void **state)
{
    const jd_node *permissions = jd_need(vectors, "permissions");
    const jd_node *ascending = jd_need(permissions, "ascending"), *compare = jd_need(permissions, "compare");

    (void)state;
    for (size_t i = 1; i < jd_len(ascending); i++)
        assert_int_equal(eid_permission_compare(permission_of(jd_at(ascending, i - 1)),
                                                permission_of(jd_at(ascending, i))),
                         -1);
    for (size_t i = 0; i < jd_len(compare); i++) {
        const jd_node *row = jd_at(compare, i);
        assert_int_equal(eid_permission_compare(permission_of(jd_at(row, 0)), permission_of(jd_at(row, 1))),
                         jd_i64(jd_at(row, 2)));
    }
    assert_int_equal(jd_len(compare), 81);
}

static void permission_strings(void **state)
{
    const jd_node *strings = jd_need(jd_need(vectors, "permissions"), "strings");

    (void)state;
    for (size_t i = 0; i < jd_len(strings); i++) {
        const jd_node *row = jd_at(strings, i);
        eid_permission permission = {EID_PERM_ADMIN, 77};
        eid_status status = eid_permission_parse(jd_get_str(row, "string"), &permission);

        if (differs(string_differences, COUNT(string_differences), jd_get_str(row, "string"), "")) {
            assert_false(jd_get_bool(row, "ok"));
            assert_int_equal(status, EID_OK);
        } else if (jd_get_bool(row, "ok")) {
            assert_int_equal(status, EID_OK);
            assert_permission(permission, jd_need(row, "permission"));
        } else {
            assert_int_equal(status, EID_ERR_SYNTAX);
            assert_int_equal(permission.priority, 77);
        }
    }
    assert_all_met(string_differences, COUNT(string_differences));
}

static void permission_docs(void **state)
{
    const jd_node *docs = jd_need(jd_need(vectors, "permissions"), "docs");

    (void)state;
    for (size_t i = 0; i < jd_len(docs); i++) {
        const jd_node *row = jd_at(docs, i);
        eid_doc *doc = doc_of(jd_need(row, "doc"));
        eid_permission permission = {EID_PERM_ADMIN, 77};
        eid_status status = eid_permission_from_doc(doc, &permission);

        if (jd_get_bool(row, "ok")) {
            assert_int_equal(status, EID_OK);
            assert_permission(permission, jd_need(row, "permission"));
        } else {
            assert_int_equal(status, strcmp(jd_get_str(row, "class"), "CRDT.ElementNotFound") == 0
                                         ? EID_ERR_MISSING_FIELD
                                         : EID_ERR_SYNTAX);
            assert_int_equal(permission.priority, 77);
        }
        eid_doc_free(doc);
    }
    assert_int_equal(jd_len(docs), 11);
}

/* ---- Settings ---- */

static void assert_key_record(const eid_auth_key *record, const jd_node *wanted)
{
    const jd_node *name = jd_get(wanted, "name");

    assert_non_null(record);
    assert_permission(record->permission, jd_need(wanted, "permissions"));
    assert_int_equal(record->status, status_of(jd_need(wanted, "status")));
    if (jd_is_null(name))
        assert_null(record->name);
    else
        assert_string_equal(record->name, jd_str(name));
}

static void assert_keys_listed(const eid_auth_settings *settings, const jd_node *row)
{
    const jd_node *keys = jd_need(row, "parsed_keys");
    size_t wanted = 0;

    for (size_t i = 0; i < jd_len(keys); i++) {
        const jd_node *pair = jd_at(keys, i);
        eid_pubkey key;
        if (eid_pubkey_parse(jd_str(jd_at(pair, 0)), &key) != EID_OK) {
            assert_true(
                differs(listing_differences, COUNT(listing_differences), jd_get_str(row, "name"), ""));
            continue;
        }
        wanted++;
        assert_key_record(eid_auth_settings_find(settings, &key), jd_at(pair, 1));
    }
    assert_int_equal(eid_auth_settings_key_count(settings), wanted);

    char last[EID_PUBKEY_TEXT_SIZE] = "", text[EID_PUBKEY_TEXT_SIZE];
    for (size_t i = 0; i < wanted; i++) {
        const eid_auth_key *record;
        eid_pubkey key;
        eid_auth_settings_key_at(settings, i, &key, &record);
        eid_pubkey_format(&key, text);
        assert_true(strcmp(last, text) < 0);
        assert_ptr_equal(record, eid_auth_settings_find(settings, &key));
        memcpy(last, text, sizeof last);
    }
}

static void assert_identities(const eid_auth_settings *settings, const jd_node *row)
{
    const jd_node *sigkeys = jd_need(row, "sigkeys");
    eid_pubkey key = pubkey_of(jd_need(row, "key"));
    eid_permission permission;

    assert_int_equal(eid_auth_permission_of(settings, &key, &permission),
                     jd_len(sigkeys) == 0 ? EID_ERR_PERMISSION_DENIED : EID_OK);
    for (size_t i = 0; i < jd_len(sigkeys); i++) {
        eid_sigkey sigkey = sigkey_of(jd_at(jd_at(sigkeys, i), 0));
        tu_assert_ok(eid_auth_identity_permission(settings, &key, &sigkey.hint, &permission));
        assert_permission(permission, jd_at(jd_at(sigkeys, i), 1));
        eid_sigkey_free(&sigkey);
    }
}

static void settings_parsed(void **state)
{
    const jd_node *rows = jd_need(vectors, "settings");

    (void)state;
    for (size_t i = 0; i < jd_len(rows); i++) {
        const jd_node *row = jd_at(rows, i), *sigkeys = jd_need(row, "sigkeys");
        eid_auth_settings *settings = parse_settings(jd_need(row, "auth"));

        assert_keys_listed(settings, row);
        assert_int_equal(eid_auth_settings_has_active_global(settings), jd_get_bool(row, "has_global"));
        if (jd_is_null(jd_need(row, "global_permission")))
            assert_false(eid_auth_settings_has_active_global(settings));
        else
            assert_permission(eid_auth_settings_global(settings)->permission,
                              jd_need(row, "global_permission"));
        for (size_t k = 0; k < jd_len(sigkeys); k++)
            assert_identities(settings, jd_at(sigkeys, k));
        eid_auth_settings_unref(settings);
    }
    assert_int_equal(jd_len(rows), 13);
    assert_all_met(listing_differences, COUNT(listing_differences));
}

/* ---- The matrix ---- */

static eid_status code_of_class(const char *class)
{
    if (strcmp(class, "Auth.KeyNotFound") == 0)
        return EID_ERR_KEY_NOT_FOUND;
    if (strcmp(class, "Auth.InvalidKeyFormat") == 0)
        return EID_ERR_INVALID_KEY;
    assert_string_equal(class, "Auth.InvalidAuthConfiguration");
    return EID_ERR_CORRUPTED_AUTH;
}

static void assert_candidates(const eid_auth_settings *settings, const eid_entry *entry,
                              const jd_node *wanted)
{
    eid_auth_candidate candidates[8];
    size_t count = 99;

    if (wanted == NULL || entry->sigkey.is_delegation)
        return;
    if (jd_kind_of(wanted) == JD_OBJECT) {
        tu_assert_fails(eid_auth_candidates(settings, &entry->sigkey.hint, candidates, 8, &count),
                        code_of_class(jd_get_str(wanted, "class")));
        assert_int_equal(count, 99);
        return;
    }
    tu_assert_ok(eid_auth_candidates(settings, &entry->sigkey.hint, candidates, 8, &count));
    assert_int_equal(count, jd_len(wanted));
    for (size_t i = 0; i < count; i++) {
        const jd_node *row = jd_at(wanted, i);
        eid_pubkey key = pubkey_of(jd_need(row, "public_key"));
        assert_true(eid_pubkey_equal(&candidates[i].key, &key));
        assert_permission(candidates[i].permission, jd_need(row, "permission"));
        assert_int_equal(candidates[i].status, status_of(jd_need(row, "status")));
        assert_int_equal(eid_entry_verify_signature(entry, &key) == EID_OK,
                         jd_get_bool(row, "signature_verifies"));
    }
    tu_assert_ok(eid_auth_candidates(settings, &entry->sigkey.hint, candidates, 1, &count));
    assert_int_equal(count, 1);
}

static bool is_refusal(eid_status status)
{
    return status == EID_ERR_BAD_SIGNATURE || status == EID_ERR_PERMISSION_DENIED ||
           status == EID_ERR_AUTH_REQUIRED;
}

/* The key whose signature holds, as the workers would hand it to the judge; false when there is none. */
static bool find_verified_key(const eid_entry *entry, const jd_node *candidates, eid_pubkey *out)
{
    if (candidates == NULL || jd_kind_of(candidates) != JD_ARRAY)
        return false;
    for (size_t i = 0; i < jd_len(candidates); i++) {
        *out = pubkey_of(jd_need(jd_at(candidates, i), "public_key"));
        if (eid_entry_verify_signature(entry, out) == EID_OK)
            return true;
    }
    return false;
}

static void matrix(void **state)
{
    const jd_node *settings_rows = jd_need(vectors, "settings"), *entry_rows = jd_need(vectors, "entries");
    const jd_node *rows = jd_need(vectors, "matrix");
    eid_auth_settings *settings[16];
    eid_entry *entries[64];
    size_t settings_count = jd_len(settings_rows), entry_count = jd_len(entry_rows), valid = 0;

    (void)state;
    assert_true(settings_count <= 16 && entry_count <= 64);
    for (size_t i = 0; i < settings_count; i++)
        settings[i] = parse_settings(jd_need(jd_at(settings_rows, i), "auth"));
    for (size_t i = 0; i < entry_count; i++)
        entries[i] = entry_of(jd_at(entry_rows, i));

    for (size_t i = 0; i < jd_len(rows); i++) {
        const jd_node *row = jd_at(rows, i);
        size_t s = (size_t)jd_get_u64(row, "settings"), e = (size_t)jd_get_u64(row, "entry");
        const char *malformed = eid_entry_malformed(entries[e]);
        eid_pubkey verified;

        assert_int_equal(eid_entry_is_unsigned(entries[e]), jd_get_bool(row, "unsigned"));
        if (jd_is_null(jd_need(row, "malformed")))
            assert_null(malformed);
        else
            assert_non_null(malformed);
        assert_int_equal(eid_entry_subtree(entries[e], eid_slice_text("_settings")) != NULL,
                         strcmp(jd_get_str(row, "operation"), "WriteSettings") == 0);
        assert_candidates(settings[s], entries[e], jd_get(row, "candidates"));

        eid_status status = eid_auth_judge(settings[s], entries[e], NULL);
        bool wanted = jd_get_bool(row, "valid");
        if (differs(matrix_differences, COUNT(matrix_differences),
                    jd_get_str(jd_at(settings_rows, s), "name"), jd_get_str(jd_at(entry_rows, e), "name"))) {
            assert_true(wanted);
            assert_int_equal(status, EID_ERR_AUTH_REQUIRED);
            continue;
        }
        if ((status == EID_OK) != wanted || (status != EID_OK && !is_refusal(status)))
            fail_msg("settings \"%s\", entry \"%s\": %s, recorded %s",
                     jd_get_str(jd_at(settings_rows, s), "name"), jd_get_str(jd_at(entry_rows, e), "name"),
                     eid_status_name(status), wanted ? "valid" : "not valid");
        if (find_verified_key(entries[e], jd_get(row, "candidates"), &verified))
            assert_int_equal(eid_auth_judge(settings[s], entries[e], &verified), status);
        valid += wanted;
    }
    assert_int_equal(jd_len(rows), settings_count * entry_count);
    print_message("matrix: %zu pairs, %zu of them valid\n", jd_len(rows), valid);
    assert_all_met(matrix_differences, COUNT(matrix_differences));
    for (size_t i = 0; i < settings_count; i++)
        eid_auth_settings_unref(settings[i]);
    for (size_t i = 0; i < entry_count; i++)
        eid_entry_unref(entries[i]);
}

/* ---- Identities ---- */

static eid_status code_of_identity_class(const char *class)
{
    if (strcmp(class, "Auth.KeyNotFound") == 0)
        return EID_ERR_PERMISSION_DENIED;
    if (strcmp(class, "Auth.SigningKeyMismatch") == 0)
        return EID_ERR_AUTH_FAILED;
    assert_string_equal(class, "Auth.InvalidAuthConfiguration");
    return EID_ERR_CORRUPTED_AUTH;
}

static void identity_permission(void **state)
{
    const jd_node *rows = jd_need(vectors, "identity_permission"),
                  *settings_rows = jd_need(vectors, "settings");

    (void)state;
    for (size_t i = 0; i < jd_len(rows); i++) {
        const jd_node *row = jd_at(rows, i);
        eid_auth_settings *settings =
            parse_settings(jd_need(jd_at(settings_rows, (size_t)jd_get_u64(row, "settings")), "auth"));
        eid_sigkey identity = sigkey_of(jd_need(row, "identity"));
        eid_pubkey proven = pubkey_of(jd_need(row, "proven_key"));
        eid_permission permission = {EID_PERM_READ, 77};
        eid_status status;

        assert_false(identity.is_delegation);
        status = eid_auth_identity_permission(settings, &proven, &identity.hint, &permission);
        if (jd_get_bool(row, "ok")) {
            assert_int_equal(status, EID_OK);
            assert_permission(permission, jd_need(row, "permission"));
        } else {
            assert_int_equal(status, code_of_identity_class(jd_get_str(row, "class")));
            assert_int_equal(permission.priority, 77);
        }
        eid_sigkey_free(&identity);
        eid_auth_settings_unref(settings);
    }
    assert_int_equal(jd_len(rows), 130);
}

/* ---- Bounds ---- */

static void bounds(void **state)
{
    const jd_node *permissions = jd_need(vectors, "permissions"), *clamps = jd_need(permissions, "clamp_max_min_value_result"),
                  *rows = jd_need(permissions, "bounds");

    (void)state;
    for (size_t i = 0; i < jd_len(clamps); i++) {
        const jd_node *row = jd_at(clamps, i);
        eid_bounds clamp = {.max = permission_of(jd_at(row, 0)), .has_min = !jd_is_null(jd_at(row, 1))};
        if (clamp.has_min)
            clamp.min = permission_of(jd_at(row, 1));
        assert_permission(eid_bounds_apply(&clamp, permission_of(jd_at(row, 2))), jd_at(row, 3));
    }
    assert_int_equal(jd_len(clamps), 810);
    for (size_t i = 0; i < jd_len(rows); i++) {
        const jd_node *row = jd_at(rows, i), *delegable = jd_need(row, "delegable_by");
        eid_bounds recorded = {.max = permission_of(jd_need(row, "max")), .has_min = !jd_is_null(jd_need(row, "min"))};
        if (recorded.has_min)
            recorded.min = permission_of(jd_need(row, "min"));
        assert_int_equal(eid_bounds_valid(&recorded), jd_get_bool(row, "valid"));
        for (size_t k = 0; k < jd_len(delegable); k++)
            assert_true(eid_permission_compare(recorded.max, permission_of(jd_at(delegable, k))) <= 0);
    }
    assert_int_equal(jd_len(rows), 36);
}

/* ---- Who may change whom ---- */

/* The numbers the charter compares. */
static uint64_t power_of(eid_permission permission)
{
    eid_doc *doc;
    eid_value *record;

    tu_assert_ok(eid_auth_key_to_doc(NULL, permission, EID_KEY_ACTIVE, &doc));
    tu_assert_ok(eid_value_new_doc(doc, &record));
    uint64_t power = eid_power_of_record(eid_slice_text("k"), record);
    eid_value_free(record);
    eid_doc_free(doc);
    return power;
}

static void assert_may(eid_permission author, eid_permission other, const jd_node *wanted)
{
    assert_int_equal(eid_permission_can_admin(author) && power_of(author) >= power_of(other), jd_bool(wanted));
}

static void modify_keys(void **state)
{
    const jd_node *recorded = jd_need(vectors, "modify_keys"), *cases = jd_need(recorded, "cases");
    size_t index = (size_t)jd_get_u64(recorded, "settings_index");
    eid_auth_settings *settings = parse_settings(jd_need(jd_at(jd_need(vectors, "settings"), index), "auth"));

    (void)state;
    for (size_t i = 0; i < jd_len(cases); i++) {
        const jd_node *row = jd_at(cases, i), *create = jd_need(row, "can_create"), *modify = jd_need(row, "can_modify");
        eid_permission author = permission_of(jd_need(row, "signer_permission"));
        for (size_t k = 0; k < jd_len(create); k++)
            assert_may(author, permission_of(jd_at(jd_at(create, k), 0)), jd_at(jd_at(create, k), 1));
        for (size_t k = 0; k < jd_len(modify); k++) {
            eid_pubkey key = pubkey_of(jd_at(jd_at(modify, k), 0));
            const eid_auth_key *there = eid_auth_settings_find(settings, &key);
            assert_non_null(there);
            assert_may(author, there->permission, jd_at(jd_at(modify, k), 1));
        }
    }
    assert_int_equal(jd_len(cases), 9);
    eid_auth_settings_unref(settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(permission_table),
        cmocka_unit_test(permission_order),
        cmocka_unit_test(permission_strings),
        cmocka_unit_test(permission_docs),
        cmocka_unit_test(settings_parsed),
        cmocka_unit_test(matrix),
        cmocka_unit_test(identity_permission),
        cmocka_unit_test(bounds),
        cmocka_unit_test(modify_keys),
    };
    jd_node *root = jd_load("auth.json");
    int failed;

    vectors = root;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    jd_free(root);
    return failed;
}
