/* SPDX-License-Identifier: Apache-2.0 */
/* Auth settings: what is read, what is left out, lookups among many keys, when a database counts as
 * configured. */
#include "auth/auth.h"

#include <stdio.h>

#include "base/clock.h"
#include <stdlib.h>

#include <eidetica/memory.h>

#include "support/testutil.h"

#define RECORD(type, status)                                                                                 \
    "{\"Doc\":{\"_a\":true,\"children\":{\"permissions\":{\"Doc\":{\"children\":{\"type\":{\"Text\":\"" type \
    "\"},\"priority\":{\"Int\":3}}}},\"status\":{\"Text\":\"" status "\"}}}}"

/* Public keys of the seeds 01…, 02…: they are points of the curve. */
#define KEY_1 "ed25519:iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w="
#define KEY_2 "ed25519:gTl3Dqh9F19Wo1Rmw0x+zMuNipG07jeiXfYPW4/Js5Q="

/* Settings from the stored form of the `auth` value. */
static eid_auth_settings *parse(const char *auth_value)
{
    char text[4096];
    eid_doc *doc;
    eid_auth_settings *settings;

    assert_true(snprintf(text, sizeof text, "{\"children\":{\"auth\":%s}}", auth_value) < (int)sizeof text);
    tu_assert_ok(eid_doc_from_json(text, strlen(text), &doc));
    tu_assert_ok(eid_auth_settings_parse(doc, &settings));
    eid_doc_free(doc);
    return settings;
}

static eid_pubkey key_of(const char *text)
{
    eid_pubkey key;

    tu_assert_ok(eid_pubkey_parse(text, &key));
    return key;
}

static void assert_configured(const char *auth_value, bool configured, bool protected)
{
    eid_auth_settings *settings = parse(auth_value);

    if (eid_auth_settings_configured(settings) != configured ||
        eid_auth_settings_protected(settings) != protected)
        fail_msg("%s: configured %d, protected %d", auth_value, eid_auth_settings_configured(settings),
                 eid_auth_settings_protected(settings));
    eid_auth_settings_unref(settings);
}

static void what_counts_as_configured(void **state)
{
    (void)state;
    assert_configured("{\"Doc\":{\"children\":{}}}", false, false);
    assert_configured("\"Null\"", false, false);
    assert_configured("\"Deleted\"", false, false);
    assert_configured("{\"Doc\":{\"children\":{\"keys\":{\"Doc\":{\"children\":{}}}}}}", false, true);
    assert_configured("{\"Doc\":{\"children\":{\"keys\":{\"Doc\":{\"children\":{\"" KEY_1
                      "\":" RECORD("Admin", "Active") "}}}}}}",
                      true, true);
    assert_configured("{\"Doc\":{\"children\":{\"keys\":{\"Doc\":{\"children\":{\"" KEY_1
                      "\":" RECORD("Admin", "Revoked") "}}}}}}",
                      true, true);
    /* The last key was removed, its record can not be read, or only others may name signers: still closed. */
    assert_configured("{\"Doc\":{\"children\":{\"keys\":{\"Doc\":{\"children\":{\"" KEY_1
                      "\":\"Deleted\"}}}}}}",
                      true, true);
    assert_configured("{\"Doc\":{\"children\":{\"keys\":{\"Doc\":{\"children\":{\"" KEY_1
                      "\":{\"Int\":1}}}}}}}",
                      true, true);
    assert_configured("{\"Doc\":{\"children\":{\"keys\":{\"Text\":\"x\"}}}}", true, true);
    assert_configured("{\"Doc\":{\"children\":{\"delegations\":{\"Doc\":{\"children\":{\"x\":{\"Doc\":{"
                      "\"children\":{}}}}}}}}}",
                      true, true);
    assert_configured("{\"Doc\":{\"children\":{\"global\":" RECORD("Read", "Active") "}}}", true, false);
    assert_configured("{\"Doc\":{\"children\":{\"global\":" RECORD("Read", "Revoked") "}}}", true, true);
    assert_configured("{\"Doc\":{\"children\":{\"global\":\"Deleted\"}}}", true, true);
}

static void settings_without_auth_are_empty(void **state)
{
    eid_auth_settings *settings;
    eid_pubkey key = key_of(KEY_1);
    eid_doc *doc;

    (void)state;
    tu_assert_ok(eid_doc_new(&doc));
    tu_assert_ok(eid_auth_settings_parse(doc, &settings));
    assert_int_equal(eid_auth_settings_key_count(settings), 0);
    assert_null(eid_auth_settings_find(settings, &key));
    assert_null(eid_auth_settings_global(settings));
    assert_false(eid_auth_settings_configured(settings));
    assert_ptr_equal(eid_auth_settings_ref(settings), settings);
    eid_auth_settings_unref(settings);
    eid_auth_settings_unref(settings);
    eid_auth_settings_unref(NULL);
    eid_doc_free(doc);
}

static void unusable_records_say_so(void **state)
{
    static const char *const bad[] = {
        "{\"Text\":\"x\"}",
        "{\"Doc\":{\"children\":{\"status\":{\"Text\":\"Active\"}}}}",
        "{\"Doc\":{\"children\":{\"permissions\":{\"Text\":\"Read\"},\"status\":{\"Text\":\"Active\"}}}}",
        "{\"Doc\":{\"children\":{\"permissions\":{\"Doc\":{\"children\":{\"type\":{\"Text\":\"Write\"}}}},"
        "\"status\":{\"Text\":\"Active\"}}}}",
        "{\"Doc\":{\"children\":{\"permissions\":{\"Doc\":{\"children\":{\"type\":{\"Text\":\"Read\"}}}}}}}",
        RECORD("Owner", "Active"),
        RECORD("Write", "active"),
    };
    eid_key_hint hint = {.has_pubkey = true, .pubkey = key_of(KEY_1)};
    eid_auth_candidate candidate;
    size_t count;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[2048];
        snprintf(text, sizeof text,
                 "{\"Doc\":{\"children\":{\"global\":%s,\"keys\":{\"Doc\":{\"children\":{\"" KEY_1
                 "\":%s}}}}}}",
                 bad[i], bad[i]);
        eid_auth_settings *settings = parse(text);
        assert_int_equal(eid_auth_settings_key_count(settings), 0);
        assert_null(eid_auth_settings_find(settings, &hint.pubkey));
        assert_null(eid_auth_settings_global(settings));
        hint.is_global = false;
        tu_assert_fails(eid_auth_candidates(settings, &hint, &candidate, 1, &count), EID_ERR_INVALID_KEY);
        hint.is_global = true;
        tu_assert_fails(eid_auth_candidates(settings, &hint, &candidate, 1, &count), EID_ERR_CORRUPTED_AUTH);
        eid_auth_settings_unref(settings);
    }
}

static void names_select_all_that_bear_them(void **state)
{
#define NAMED(name)                                                                                          \
    "{\"Doc\":{\"children\":{\"name\":{\"Text\":\"" name                                                     \
    "\"},\"permissions\":{\"Doc\":{\"children\":{\"type\":{\"Text\":\"Read\"}}}},"                           \
    "\"status\":{\"Text\":\"Active\"}}}}"
    eid_auth_settings *settings =
        parse("{\"Doc\":{\"children\":{\"keys\":{\"Doc\":{\"children\":{\"" KEY_1
              "\":" NAMED("pad") ",\"" KEY_2 "\":" NAMED("pad") ",\"nonsense\":" NAMED("odd") "}}}}}}");
    char name[] = "pad", odd[] = "odd";
    eid_key_hint hint = {.name = name, .name_len = strlen(name)};
    eid_auth_candidate candidates[4];
    eid_pubkey first = key_of(KEY_2), second = key_of(KEY_1);
    size_t count;

    (void)state;
    tu_assert_ok(eid_auth_candidates(settings, &hint, candidates, 4, &count));
    assert_int_equal(count, 2);
    assert_true(eid_pubkey_equal(&candidates[0].key, &first)); /* "g" stands before "i" */
    assert_true(eid_pubkey_equal(&candidates[1].key, &second));
    tu_assert_ok(eid_auth_candidates(settings, &hint, candidates, 0, &count));
    assert_int_equal(count, 0);
    hint.name_len = 2;
    tu_assert_fails(eid_auth_candidates(settings, &hint, candidates, 4, &count), EID_ERR_KEY_NOT_FOUND);
    hint.name = odd;
    hint.name_len = 3;
    tu_assert_fails(eid_auth_candidates(settings, &hint, candidates, 4, &count), EID_ERR_INVALID_KEY);
    hint.name = NULL;
    tu_assert_fails(eid_auth_candidates(settings, &hint, candidates, 4, &count), EID_ERR_KEY_NOT_FOUND);
    eid_auth_settings_unref(settings);
#undef NAMED
}

/* ---- Many keys ---- */

/* Settings with keys made from the seeds 0…count-1, and one key that is not among them. */
static eid_doc *many_keys(size_t count, eid_pubkey *keys)
{
    eid_doc *doc, *auth, *list, *record;
    char text[EID_PUBKEY_TEXT_SIZE], name[32];

    tu_assert_ok(eid_doc_new(&doc));
    tu_assert_ok(eid_doc_new(&auth));
    tu_assert_ok(eid_doc_new(&list));
    for (size_t i = 0; i <= count; i++) {
        uint8_t seed[32] = {0};
        eid_keypair *pair;
        memcpy(seed, &i, sizeof i);
        tu_assert_ok(eid_keypair_from_seed(seed, &pair));
        eid_keypair_public(pair, &keys[i]);
        eid_keypair_free(pair);
        if (i == count)
            break;
        eid_permission permission = {EID_PERM_WRITE, (uint32_t)i};
        snprintf(name, sizeof name, "key %zu", i);
        tu_assert_ok(eid_auth_key_to_doc(name, permission, EID_KEY_ACTIVE, &record));
        eid_pubkey_format(&keys[i], text);
        tu_assert_ok(eid_doc_set_doc(list, text, record));
        eid_doc_free(record);
    }
    tu_assert_ok(eid_doc_set_doc(auth, "keys", list));
    tu_assert_ok(eid_doc_set_doc(doc, "auth", auth));
    eid_doc_free(list);
    eid_doc_free(auth);
    return doc;
}

static void ten_thousand_keys(void **state)
{
    enum { COUNT = 10000, ROUNDS = 20 };
    eid_pubkey *keys = calloc(COUNT + 1, sizeof *keys);
    eid_auth_settings *settings;
    eid_doc *doc;

    (void)state;
    assert_non_null(keys);
    doc = many_keys(COUNT, keys);
    uint64_t start = eid_monotonic_ns();
    tu_assert_ok(eid_auth_settings_parse(doc, &settings));
    uint64_t parsed = eid_monotonic_ns();
    assert_int_equal(eid_auth_settings_key_count(settings), COUNT);
    assert_null(eid_auth_settings_find(settings, &keys[COUNT]));

    uint64_t before = eid_monotonic_ns();
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            const eid_auth_key *found = eid_auth_settings_find(settings, &keys[i]);
            if (found == NULL || found->permission.priority != i)
                fail_msg("key %zu is not found as it was listed", i);
        }
    }
    uint64_t each = (eid_monotonic_ns() - before) / (COUNT * ROUNDS);
    print_message("%d keys: parsed in %llu us, found in %llu ns each\n", COUNT,
                  (unsigned long long)((parsed - start) / 1000), (unsigned long long)each);
    /* A walk over all keys would take tens of microseconds even on a fast machine. */
    assert_true(each < 5000);

    for (size_t i = 0; i < COUNT; i += 997) {
        char name[32];
        eid_key_hint hint = {.name = name};
        eid_auth_candidate candidate;
        size_t count;
        hint.name_len = (size_t)snprintf(name, sizeof name, "key %zu", i);
        tu_assert_ok(eid_auth_candidates(settings, &hint, &candidate, 1, &count));
        assert_true(count == 1 && eid_pubkey_equal(&candidate.key, &keys[i]));
    }
    eid_auth_settings_unref(settings);
    eid_doc_free(doc);
    free(keys);
}

/* ---- Short memory ---- */

static eid_status parse_once(void *ctx)
{
    eid_auth_settings *settings;

    EID_TRY(eid_auth_settings_parse(ctx, &settings));
    assert_int_equal(eid_auth_settings_key_count(settings), 5);
    eid_auth_settings_unref(settings);
    return EID_OK;
}

static void parsing_survives_short_memory(void **state)
{
    eid_pubkey keys[6];
    eid_doc *doc = many_keys(5, keys);

    (void)state;
    assert_true(tu_alloc_fault_loop(parse_once, doc) >= 9);
    eid_doc_free(doc);
}

static eid_status write_once(void *ctx)
{
    eid_permission permission = {EID_PERM_ADMIN, 0};
    eid_doc *doc;

    (void)ctx;
    EID_TRY(eid_auth_key_to_doc("name", permission, EID_KEY_REVOKED, &doc));
    assert_true(eid_doc_is_atomic(doc));
    assert_int_equal(eid_doc_len(doc), 3);
    eid_doc_free(doc);
    return EID_OK;
}

static void writing_survives_short_memory(void **state)
{
    (void)state;
    assert_true(tu_alloc_fault_loop(write_once, NULL) > 3);
}

static void record_has_the_stored_form(void **state)
{
    eid_permission permission = {EID_PERM_WRITE, 7};
    eid_doc *doc;
    char *text;

    (void)state;
    tu_assert_ok(eid_auth_key_to_doc(NULL, permission, EID_KEY_ACTIVE, &doc));
    tu_assert_ok(eid_doc_to_json(doc, &text, NULL));
    assert_string_equal(
        text, "{\"_a\":true,\"children\":{\"permissions\":{\"Doc\":{\"children\":{\"priority\":{\"Int\":7},"
              "\"type\":{\"Text\":\"Write\"}}}},\"status\":{\"Text\":\"Active\"}}}");
    eid_free(text);
    eid_doc_free(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_counts_as_configured),
        cmocka_unit_test(settings_without_auth_are_empty),
        cmocka_unit_test(unusable_records_say_so),
        cmocka_unit_test(names_select_all_that_bear_them),
        cmocka_unit_test(ten_thousand_keys),
        cmocka_unit_test(parsing_survives_short_memory),
        cmocka_unit_test(writing_survives_short_memory),
        cmocka_unit_test(record_has_the_stored_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
