/* SPDX-License-Identifier: Apache-2.0 */
/* Auth settings and signatures, from whatever bytes: two texts with a zero byte between them. The first is a document of
 * settings: what is read of it agrees with itself, whichever way it is asked, and its records can be written and read again.
 * The second is a signature key in JSON: it is judged by the settings, and what it selects has a right there. */
#include "fuzz/fuzz.h"

#include <string.h>

#include "auth/auth.h"
#include "codec/cid.h"
#include <eidetica/memory.h>

static void check_keys(const eid_auth_settings *settings)
{
    char last[EID_PUBKEY_TEXT_SIZE] = "", text[EID_PUBKEY_TEXT_SIZE];
    size_t count = eid_auth_settings_key_count(settings);

    for (size_t i = 0; i < count; i++) {
        const eid_auth_key *record;
        eid_pubkey key;
        eid_auth_settings_key_at(settings, i, &key, &record);
        eid_pubkey_format(&key, text);
        FUZZ_CHECK(strcmp(last, text) < 0);
        memcpy(last, text, sizeof last);
        FUZZ_CHECK(eid_auth_settings_find(settings, &key) == record);
    }
    FUZZ_CHECK(count == 0 || eid_auth_settings_configured(settings));
}

static void check_delegation(const eid_auth_settings *settings, const eid_auth_delegation *record)
{
    eid_auth_settings *again;
    eid_doc *doc, *written;
    char path[EID_ID_TEXT_SIZE + 32] = "auth.delegations.";

    FUZZ_CHECK(eid_auth_settings_delegation(settings, &record->key) == record);
    if (record->problem != NULL)
        return;
    for (size_t i = 1; i < record->floor_count; i++)
        FUZZ_CHECK(eid_id_compare(&record->floor[i - 1], &record->floor[i]) < 0);
    eid_id_format(&record->key, path + strlen(path));
    FUZZ_CHECK(eid_auth_delegation_to_doc(&record->tree, record->floor, record->floor_count, &record->bounds, &written) == EID_OK);
    FUZZ_CHECK(eid_doc_new(&doc) == EID_OK);
    FUZZ_CHECK(eid_doc_set_doc(doc, path, written) == EID_OK);
    FUZZ_CHECK(eid_auth_settings_parse(doc, &again) == EID_OK);
    const eid_auth_delegation *same = eid_auth_settings_delegation(again, &record->key);
    FUZZ_CHECK(same != NULL && same->problem == NULL && eid_id_equal(&same->tree, &record->tree));
    FUZZ_CHECK(same->floor_count == record->floor_count && same->bounds.has_min == record->bounds.has_min);
    FUZZ_CHECK(eid_permission_compare(same->bounds.max, record->bounds.max) == 0);
    FUZZ_CHECK(record->floor_count == 0 ||
               memcmp(same->floor, record->floor, record->floor_count * sizeof *record->floor) == 0);
    eid_auth_settings_unref(again);
    eid_doc_free(written);
    eid_doc_free(doc);
}

static void check_legacy(const eid_doc *doc)
{
    eid_auth_settings *settings;
    eid_doc *converted;

    if (eid_auth_convert_legacy(doc, &converted) != EID_OK)
        return;
    FUZZ_CHECK(eid_auth_settings_parse(converted, &settings) == EID_OK);
    check_keys(settings);
    eid_auth_settings_unref(settings);
    eid_doc_free(converted);
}

static void check_signature(const eid_auth_settings *settings, eid_slice text)
{
    eid_auth_candidate candidates[8];
    eid_sigkey sigkey, copy;
    eid_json reader;
    size_t count;

    eid_json_init(&reader, text);
    eid_status status = eid_sigkey_read_json(&reader, &sigkey);
    eid_json_free(&reader);
    if (status != EID_OK)
        return;
    FUZZ_CHECK(eid_sigkey_copy(&sigkey, &copy) == EID_OK && eid_sigkey_equal(&sigkey, &copy));
    eid_sigkey_free(&copy);
    if (sigkey.is_delegation)
        FUZZ_CHECK((eid_auth_check_path(&sigkey) == EID_OK) == (sigkey.path_count > 0 && !sigkey.hint.is_global));
    if (eid_auth_candidates(settings, &sigkey.hint, candidates, 8, &count) == EID_OK) {
        FUZZ_CHECK(count > 0);
        for (size_t i = 0; i < count; i++) {
            eid_bounds bounds = {.max = {EID_PERM_WRITE, 3}, .has_min = true, .min = {EID_PERM_READ, 0}};
            eid_permission got;
            eid_status allowed =
                eid_auth_delegated_permission(settings, &bounds, &candidates[i].key, &sigkey.hint, &got);
            FUZZ_CHECK(candidates[i].status != EID_KEY_ACTIVE || allowed == EID_OK);
            FUZZ_CHECK(allowed != EID_OK || eid_permission_compare(got, bounds.max) <= 0);
        }
    }
    eid_sigkey_free(&sigkey);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size == 0 ? NULL : memchr(data, 0, size);
    size_t len = end == NULL ? size : (size_t)(end - data);
    eid_auth_settings *settings;
    eid_doc *doc = NULL;

    if (eid_doc_parse(eid_slice_of(data, len), &doc) != EID_OK)
        return 0;
    FUZZ_CHECK(eid_auth_settings_parse(doc, &settings) == EID_OK);
    check_keys(settings);
    for (size_t i = 0; i < eid_auth_settings_delegation_count(settings); i++)
        check_delegation(settings, eid_auth_settings_delegation_at(settings, i));
    check_legacy(doc);
    if (end != NULL)
        check_signature(settings, eid_slice_of(end + 1, size - len - 1));
    eid_auth_settings_unref(settings);
    eid_doc_free(doc);
    return 0;
}
