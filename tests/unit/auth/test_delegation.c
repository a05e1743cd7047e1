/* SPDX-License-Identifier: Apache-2.0 */
/* Delegation records in all the ways they may be wrong, and bounds. */
#include "auth/auth.h"

#include <stdio.h>
#include <stdlib.h>

#include <eidetica/memory.h>

#include "codec/cid.h"
#include "support/testutil.h"

static const eid_permission read_right = {EID_PERM_READ, 0}, write_0 = {EID_PERM_WRITE, 0}, write_9 = {EID_PERM_WRITE, 9},
                            admin_0 = {EID_PERM_ADMIN, 0}, admin_7 = {EID_PERM_ADMIN, 7};

static eid_id id_of(uint8_t number)
{
    uint8_t digest[32] = {number};
    eid_id id;

    eid_id_from_digest(EID_CODEC_DAG_CBOR, digest, &id);
    return id;
}

static const char *text_of(uint8_t number)
{
    static char texts[8][EID_ID_TEXT_SIZE];
    static unsigned next;
    eid_id id = id_of(number);

    next = (next + 1) % 8;
    eid_id_format(&id, texts[next]);
    return texts[next];
}

/* A document from plain JSON with %s for the IDs. */
static eid_doc *doc_of(const char *json)
{
    eid_doc *doc, *inner;
    const eid_doc *found;

    tu_assert_ok(eid_doc_new(&doc));
    tu_assert_ok(eid_doc_set_json(doc, "x", json));
    tu_assert_ok(eid_doc_get_doc(doc, "x", &found));
    tu_assert_ok(eid_doc_copy(found, &inner));
    eid_doc_free(doc);
    return inner;
}

static eid_auth_settings *settings_of(const char *json)
{
    eid_doc *doc = doc_of(json);
    eid_auth_settings *settings;

    tu_assert_ok(eid_auth_settings_parse(doc, &settings));
    eid_doc_free(doc);
    return settings;
}

/* ---- Records ---- */

#define BOUNDS "\"permission_bounds\":{\"max\":{\"type\":\"Write\",\"priority\":4}}"

static const char *problem_of(const char *record)
{
    static const char *problem;
    char json[2048];
    eid_id key = id_of(1);

    snprintf(json, sizeof json, "{\"auth\":{\"delegations\":{\"%s\":%s}}}", text_of(1), record);
    eid_auth_settings *settings = settings_of(json);
    const eid_auth_delegation *found = eid_auth_settings_delegation(settings, &key);
    assert_non_null(found);
    problem = found->problem; /* static text */
    assert_true(eid_auth_settings_configured(settings));
    assert_int_equal(eid_auth_settings_delegation_count(settings), 1);
    eid_auth_settings_unref(settings);
    return problem;
}

static void unusable_records(void **state)
{
    char record[1024];

    (void)state;
    assert_non_null(problem_of("5"));
    assert_non_null(problem_of("{}"));
    assert_non_null(problem_of("{" BOUNDS "}"));
    assert_non_null(problem_of("{" BOUNDS ",\"tree\":{\"root\":\"nothing\"}}"));
    assert_non_null(problem_of("{" BOUNDS ",\"tree\":{\"root\":\"\"}}"));
    assert_non_null(problem_of("{" BOUNDS ",\"tree\":{\"root\":5}}"));
    snprintf(record, sizeof record, "{\"tree\":{\"root\":\"%s\"}}", text_of(1));
    assert_non_null(problem_of(record));
    snprintf(record, sizeof record, "{\"permission_bounds\":{\"max\":{\"type\":\"Write\"}},\"tree\":{\"root\":\"%s\"}}", text_of(1));
    assert_non_null(problem_of(record));
    snprintf(record, sizeof record, "{\"permission_bounds\":{\"max\":{\"type\":\"Read\"},\"min\":{\"type\":\"None\"}},\"tree\":{\"root\":\"%s\"}}",
             text_of(1));
    assert_non_null(problem_of(record));
    snprintf(record, sizeof record, "{" BOUNDS ",\"tree\":{\"root\":\"%s\",\"tips\":{\"0\":\"no entry\"}}}", text_of(1));
    assert_non_null(problem_of(record));
    snprintf(record, sizeof record, "{" BOUNDS ",\"tree\":{\"root\":\"%s\",\"tips\":{\"0\":7}}}", text_of(1));
    assert_non_null(problem_of(record));
}

static void usable_records(void **state)
{
    char json[2048];
    eid_id key = id_of(1), three = id_of(3), four = id_of(4);

    (void)state;
    /* Children that are no numbers are ignored, the same entry twice is one, null is no minimum; the tree opened is the one
     * named inside. */
    snprintf(json, sizeof json,
             "{\"auth\":{\"delegations\":{\"%s\":{\"permission_bounds\":{\"max\":{\"type\":\"Admin\",\"priority\":7},\"min\":null},"
             "\"tree\":{\"root\":\"%s\",\"tips\":{\"10\":\"%s\",\"2\":\"%s\",\"3\":\"%s\",\"x\":5,\"\":6,\"+\":7}}},\"nonsense\":{}}}}",
             text_of(1), text_of(2), text_of(4), text_of(3), text_of(3));
    eid_auth_settings *settings = settings_of(json);
    const eid_auth_delegation *found = eid_auth_settings_delegation(settings, &key);
    assert_non_null(found);
    assert_null(found->problem);
    eid_id two = id_of(2);
    assert_true(eid_id_equal(&found->tree, &two));
    assert_int_equal(found->floor_count, 2);
    assert_true(eid_id_equal(&found->floor[0], &three) && eid_id_equal(&found->floor[1], &four));
    assert_false(found->bounds.has_min);
    assert_int_equal(eid_permission_compare(found->bounds.max, admin_7), 0);
    assert_int_equal(eid_auth_settings_delegation_count(settings), 1); /* "nonsense" is under no ID */
    assert_null(eid_auth_settings_delegation(settings, &three));
    eid_auth_settings_unref(settings);
}

static void many_delegations_are_found(void **state)
{
    eid_doc *doc, *record;
    eid_auth_settings *settings;
    eid_bounds bounds = {.max = write_9, .has_min = true, .min = read_right};

    (void)state;
    tu_assert_ok(eid_doc_new(&doc));
    for (unsigned i = 0; i < 200; i++) {
        char path[EID_ID_TEXT_SIZE + 32] = "auth.delegations.";
        eid_id id = id_of((uint8_t)i), floor = id_of((uint8_t)(i + 1));
        strcat(path, text_of((uint8_t)i));
        tu_assert_ok(eid_auth_delegation_to_doc(&id, &floor, i % 2, &bounds, &record));
        assert_true(eid_doc_is_atomic(record));
        tu_assert_ok(eid_doc_set_doc(doc, path, record));
        eid_doc_free(record);
    }
    tu_assert_ok(eid_auth_settings_parse(doc, &settings));
    assert_int_equal(eid_auth_settings_delegation_count(settings), 200);
    for (unsigned i = 0; i < 256; i++) {
        eid_id id = id_of((uint8_t)i);
        const eid_auth_delegation *found = eid_auth_settings_delegation(settings, &id);
        assert_int_equal(found != NULL, i < 200);
        if (found != NULL)
            assert_true(found->problem == NULL && found->floor_count == i % 2 && found->bounds.has_min);
    }
    for (size_t i = 1; i < 200; i++)
        assert_true(eid_id_compare_text(&eid_auth_settings_delegation_at(settings, i - 1)->key,
                                        &eid_auth_settings_delegation_at(settings, i)->key) < 0);
    eid_auth_settings_unref(settings);
    eid_doc_free(doc);
}

/* ---- Bounds ---- */

static void bounds_narrow(void **state)
{
    eid_bounds bounds = {.max = admin_0};
    eid_bounds steps[] = {{.max = write_0}, {.max = admin_7, .has_min = true, .min = read_right},
                          {.max = admin_0, .has_min = true, .min = write_9}, {.max = admin_0, .has_min = true, .min = read_right}};

    (void)state;
    assert_int_equal(eid_permission_compare(eid_bounds_apply(&bounds, admin_7), admin_7), 0);
    for (size_t i = 0; i < 4; i++)
        eid_bounds_narrow(&bounds, &steps[i]);
    assert_int_equal(eid_permission_compare(bounds.max, write_0), 0);
    assert_true(bounds.has_min);
    assert_int_equal(eid_permission_compare(bounds.min, write_9), 0);
    assert_int_equal(eid_permission_compare(eid_bounds_apply(&bounds, read_right), write_9), 0);
    assert_int_equal(eid_permission_compare(eid_bounds_apply(&bounds, admin_0), write_0), 0);
    /* A minimum above the maximum is none. */
    eid_bounds crossed = {.max = write_9, .has_min = true, .min = admin_0};
    assert_false(eid_bounds_valid(&crossed));
    assert_int_equal(eid_permission_compare(eid_bounds_apply(&crossed, read_right), read_right), 0);
    assert_int_equal(eid_permission_compare(eid_bounds_apply(&crossed, admin_0), write_9), 0);
}

/* ---- Faults ---- */

static eid_status parse_settings(void *ctx)
{
    eid_auth_settings *settings;
    eid_status status = eid_auth_settings_parse(ctx, &settings);

    if (status == EID_OK)
        eid_auth_settings_unref(settings);
    return status;
}

static void out_of_memory(void **state)
{
    char json[1024];

    (void)state;
    snprintf(json, sizeof json,
             "{\"auth\":{\"delegations\":{\"%s\":{" BOUNDS ",\"tree\":{\"root\":\"%s\",\"tips\":{\"0\":\"%s\"}}}}}}", text_of(1),
             text_of(1), text_of(2));
    eid_doc *doc = doc_of(json);
    assert_true(tu_alloc_fault_loop(parse_settings, doc) >= 4);
    eid_doc_free(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unusable_records),
        cmocka_unit_test(usable_records),
        cmocka_unit_test(many_delegations_are_found),
        cmocka_unit_test(bounds_narrow),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
