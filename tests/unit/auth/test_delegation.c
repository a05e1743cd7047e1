/* SPDX-License-Identifier: Apache-2.0 */
/* Delegation records in all the ways they may be wrong; bounds; floors over the history of the settings. */
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

/* ---- Floors ---- */


static void feed(eid_auth_floors *floors, const char *stored)
{
    eid_doc *doc;

    tu_assert_ok(eid_doc_from_json(stored, strlen(stored), &doc));
    tu_assert_ok(eid_auth_floors_add(floors, doc));
    eid_doc_free(doc);
}

/* The stored form of settings that touch the delegation `key`: `record` is a stored value, `flags` says where Docs are
 * atomic ('s' settings, 'a' auth, 'd' delegations). */
static void feed_record(eid_auth_floors *floors, const char *flags, uint8_t key, const char *record)
{
    char stored[4096];

    snprintf(stored, sizeof stored,
             "{%s\"children\":{\"auth\":{\"Doc\":{%s\"children\":{\"delegations\":{\"Doc\":{%s\"children\":{\"%s\":%s}}}}}}}}",
             strchr(flags, 's') != NULL ? "\"_a\":true," : "", strchr(flags, 'a') != NULL ? "\"_a\":true," : "",
             strchr(flags, 'd') != NULL ? "\"_a\":true," : "", text_of(key), record);
    feed(floors, stored);
}

static const char *with_tip(uint8_t tip)
{
    static char record[1024];

    snprintf(record, sizeof record,
             "{\"Doc\":{\"_a\":true,\"children\":{\"tree\":{\"Doc\":{\"children\":{\"tips\":{\"Doc\":{\"children\":{\"0\":{\"Text\":"
             "\"%s\"}}}}}}}}}}",
             text_of(tip));
    return record;
}

static size_t floors_of(const eid_auth_floors *floors, uint8_t key)
{
    eid_id id = id_of(key);
    size_t count;
    const eid_id *ids = eid_auth_floors_of(floors, &id, &count);

    for (size_t i = 1; i < count; i++)
        assert_true(eid_id_compare(&ids[i - 1], &ids[i]) < 0);
    return count;
}

static void floors_accumulate(void **state)
{
    eid_auth_floors *floors, *copy;

    (void)state;
    tu_assert_ok(eid_auth_floors_new(&floors));
    assert_int_equal(floors_of(floors, 1), 0);
    feed_record(floors, "", 1, with_tip(10));
    feed_record(floors, "", 1, with_tip(11));
    feed_record(floors, "", 1, with_tip(10)); /* moved back: nothing is forgotten, nothing counted twice */
    feed_record(floors, "", 2, with_tip(20));
    assert_int_equal(floors_of(floors, 1), 2);
    assert_int_equal(floors_of(floors, 2), 1);
    feed(floors, "{\"children\":{\"name\":{\"Text\":\"x\"}}}");
    feed(floors, "{\"children\":{\"auth\":{\"Doc\":{\"children\":{\"keys\":{\"Doc\":{\"children\":{}}}}}}}}");
    assert_int_equal(floors_of(floors, 1), 2);
    tu_assert_ok(eid_auth_floors_copy(floors, &copy));
    feed_record(copy, "", 1, with_tip(12));
    assert_int_equal(floors_of(copy, 1), 3);
    assert_int_equal(floors_of(floors, 1), 2);
    eid_auth_floors_free(copy);
    /* Removed: gone, also when it is made anew. */
    feed_record(floors, "", 1, "\"Deleted\"");
    assert_int_equal(floors_of(floors, 1), 0);
    feed_record(floors, "", 1, with_tip(13));
    assert_int_equal(floors_of(floors, 1), 1);
    assert_int_equal(floors_of(floors, 2), 1);
    feed_record(floors, "", 2, "{\"Int\":3}");
    assert_int_equal(floors_of(floors, 2), 0);
    eid_auth_floors_free(floors);
    eid_auth_floors_free(NULL);
}

/* Replacing everything around a delegation takes away those that are not in it, and does not move the floor of one that is. */
static void floors_when_all_is_replaced(void **state)
{
    static const char *const flags[] = {"s", "a", "d"};
    static const char *const wipes[] = {
        "{\"_a\":true,\"children\":{}}", "{\"children\":{\"auth\":\"Deleted\"}}", "{\"children\":{\"auth\":{\"Int\":1}}}",
        "{\"children\":{\"auth\":{\"Doc\":{\"_a\":true,\"children\":{}}}}}",
        "{\"children\":{\"auth\":{\"Doc\":{\"children\":{\"delegations\":\"Deleted\"}}}}}",
        "{\"children\":{\"auth\":{\"Doc\":{\"children\":{\"delegations\":{\"Text\":\"none\"}}}}}}"};
    eid_auth_floors *floors;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        tu_assert_ok(eid_auth_floors_new(&floors));
        feed_record(floors, "", 1, with_tip(10));
        feed_record(floors, "", 2, with_tip(20));
        feed_record(floors, flags[i], 1, with_tip(11));
        assert_int_equal(floors_of(floors, 1), 2);
        assert_int_equal(floors_of(floors, 2), 0);
        eid_auth_floors_free(floors);
    }
    for (size_t i = 0; i < sizeof wipes / sizeof *wipes; i++) {
        tu_assert_ok(eid_auth_floors_new(&floors));
        feed_record(floors, "", 1, with_tip(10));
        feed(floors, wipes[i]);
        assert_int_equal(floors_of(floors, 1), 0);
        eid_auth_floors_free(floors);
    }
}

static eid_status collect_floors(void *ctx)
{
    const eid_doc *doc = ctx;
    eid_auth_floors *floors, *copy;
    eid_status status = eid_auth_floors_new(&floors);

    if (status != EID_OK)
        return status;
    status = eid_auth_floors_add(floors, doc);
    if (status == EID_OK)
        status = eid_auth_floors_copy(floors, &copy);
    if (status == EID_OK)
        eid_auth_floors_free(copy);
    eid_auth_floors_free(floors);
    return status;
}

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
    assert_true(tu_alloc_fault_loop(collect_floors, doc) >= 6);
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
        cmocka_unit_test(floors_accumulate),
        cmocka_unit_test(floors_when_all_is_replaced),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
