/* SPDX-License-Identifier: Apache-2.0 */
/* Staging: what comes to stand in the delta, and that the delta does what was staged in turn. */
#include <stdlib.h>
#include <string.h>

#include "database_test.h"

#include <eidetica/memory.h>

#include "database/txn_int.h"

typedef struct stage {
    eid_core *core;
    eid_database *database;
    eid_txn *txn;
    eid_txn_store *store;
} stage;

static void begin(stage *s)
{
    tu_assert_ok(eid_database_new_transaction(s->database, &s->txn));
    s->store = dt_store(s->txn, "s");
}

static void commit(stage *s)
{
    tu_assert_ok(eid_txn_commit_free(s->txn, NULL));
    begin(s);
}

static int open_stage(void **state)
{
    stage *s = calloc(1, sizeof *s);
    s->core = dt_memory();
    s->database = dt_create(s->core);
    begin(s);
    *state = s;
    return 0;
}

static int close_stage(void **state)
{
    stage *s = *state;
    eid_txn_free(s->txn);
    eid_database_close(s->database);
    eid_core_close(s->core);
    free(s);
    return 0;
}

#define WITH_STAGE(test) cmocka_unit_test_setup_teardown(test, open_stage, close_stage)

/* Sets the value given in plain JSON; "-" is a tombstone. */
static void set(stage *s, const char *path, const char *json)
{
    eid_value *value;
    if (strcmp(json, "-") == 0)
        tu_assert_ok(eid_value_new_deleted(&value));
    else
        tu_assert_ok(eid_value_from_plain_json(json, strlen(json), &value));
    tu_assert_ok(eid_txn_store_set(s->store, eid_slice_text(path), value));
}

static void expect_delta(stage *s, const char *wanted)
{
    char *text;
    tu_assert_ok(eid_doc_to_json(eid_txn_store_delta(s->store), &text, NULL));
    assert_string_equal(text, wanted);
    eid_free(text);
}

static void expect_all(stage *s, const char *wanted)
{
    eid_doc *doc;
    char *text;
    tu_assert_ok(eid_txn_store_all(s->store, &doc));
    tu_assert_ok(eid_doc_to_plain_json(doc, &text, NULL));
    assert_string_equal(text, wanted);
    eid_free(text);
    eid_doc_free(doc);
}

static void test_plain_sets_stay_plain(void **state)
{
    stage *s = *state;
    set(s, "a.b", "1");
    set(s, "a.c", "{\"x\":2}");
    set(s, ".d.", "3");
    expect_delta(
        s,
        "{\"children\":{\"a\":{\"Doc\":{\"children\":{\"b\":{\"Int\":1},\"c\":{\"Doc\":{\"children\":{\"x\":"
        "{\"Int\":2}}}}}}},\"d\":{\"Int\":3}}}");
    assert_string_equal(eid_txn_store_name(s->store), "s");
}

static void test_the_end_of_something_is_kept(void **state)
{
    stage *s = *state;
    set(s, "a", "{\"old\":1}");
    commit(s);
    set(s, "a", "-");
    set(s, "a", "{\"new\":2}");
    expect_delta(s, "{\"children\":{\"a\":{\"Doc\":{\"_a\":true,\"children\":{\"new\":{\"Int\":2}}}}}}");
    expect_all(s, "{\"a\":{\"new\":2}}");
    commit(s);
    set(s, "a", "5");
    set(s, "..a..b.", "6"); /* dots that mean nothing hide nothing */
    expect_all(s, "{\"a\":{\"b\":6}}");
    commit(s);
    expect_all(s, "{\"a\":{\"b\":6}}");
}

static void test_documents_set_in_turn_merge(void **state)
{
    stage *s = *state;
    set(s, "a", "{\"x\":1,\"y\":1}");
    set(s, "a.y", "-");
    set(s, "a", "{\"z\":2}");
    expect_delta(s, "{\"children\":{\"a\":{\"Doc\":{\"children\":{\"x\":{\"Int\":1},\"y\":\"Deleted\",\"z\":{"
                    "\"Int\":2}}}}}}");
}

static size_t slots_staged(stage *s, const char *path)
{
    const eid_list *list;
    const eid_list_cursor *cursor = NULL;
    const eid_value *value;
    size_t count = 0;
    tu_assert_ok(eid_doc_get_list(eid_txn_store_delta(s->store), path, &list));
    while (eid_list_next_raw(list, &cursor, NULL, &value))
        count++;
    return count;
}

/* The elements that would come back get tombstones, and only they. */
static void test_lists_in_the_place_of_lists(void **state)
{
    stage *s = *state;
    set(s, "a.l", "[1,2,3]");
    commit(s);
    set(s, "a.l", "-");
    set(s, "a.l", "[9]");
    assert_int_equal(slots_staged(s, "a.l"), 4);
    expect_all(s, "{\"a\":{\"l\":[9]}}");
    commit(s);
    expect_all(s, "{\"a\":{\"l\":[9]}}");
    set(s, "a.l", "-");
    set(s, "a", "{\"l\":[7]}");
    expect_all(s, "{\"a\":{\"l\":[7]}}");
    assert_int_equal(slots_staged(s, "a.l"), 2);
    commit(s);
    expect_all(s, "{\"a\":{\"l\":[7]}}");
    set(s, "a.l", "[8]"); /* nothing was ended: the two merge */
    assert_int_equal(slots_staged(s, "a.l"), 1);
}

static void test_whole_changes(void **state)
{
    stage *s = *state;
    eid_doc *change;
    set(s, "a", "{\"x\":1}");
    set(s, "b", "1");
    commit(s);
    set(s, "b", "-");
    tu_assert_ok(eid_doc_from_plain_json("{\"a\":{\"y\":2},\"b\":{\"n\":1},\"c\":[]}", 32, &change));
    tu_assert_ok(eid_txn_store_apply(s->store, change));
    expect_all(s, "{\"a\":{\"x\":1,\"y\":2},\"b\":{\"n\":1},\"c\":[]}");
    eid_doc_set_atomic(change, true);
    tu_assert_ok(eid_txn_store_apply(s->store, change));
    expect_all(s, "{\"a\":{\"y\":2},\"b\":{\"n\":1},\"c\":[]}");
    set(s, "d", "[1]");
    commit(s);
    expect_all(s, "{\"a\":{\"y\":2},\"b\":{\"n\":1},\"c\":[],\"d\":[1]}");
    tu_assert_ok(eid_txn_commit(s->txn, NULL));
    tu_assert_fails(eid_txn_store_apply(s->store, change), EID_ERR_ALREADY_COMMITTED);
    eid_doc_free(change);
}

static eid_status stage_step(void *ctx)
{
    stage *s = ctx;
    eid_value *value = NULL;
    char *before, *after = NULL;
    EID_TRY(eid_doc_to_json(eid_txn_store_delta(s->store), &before, NULL));
    eid_status status = eid_value_from_plain_json("{\"l\":[5]}", 9, &value);
    if (status == EID_OK)
        status = eid_txn_store_set(s->store, eid_slice_text("a"), value);
    if (status != EID_OK) {
        eid_value_free(value);
        tu_alloc_fail_at(0);
        tu_assert_ok(eid_doc_to_json(eid_txn_store_delta(s->store), &after, NULL));
        assert_string_equal(before, after);
        eid_free(after);
    }
    eid_free(before);
    return status;
}

/* Memory that fails at any point leaves the delta as it was. */
static void test_short_memory(void **state)
{
    stage *s;
    (void)state;
    tu_alloc_install();
    open_stage((void **)&s);
    set(s, "a.l", "[1,2]");
    commit(s);
    set(s, "a.l", "-");
    size_t points = 0;
    for (eid_status status = EID_ERR_NO_MEMORY; status != EID_OK; points++) {
        tu_alloc_fail_at(points + 1);
        status = stage_step(s);
        assert_true(status == EID_OK || status == EID_ERR_NO_MEMORY);
    }
    tu_alloc_fail_at(0);
    assert_true(points > 20);
    expect_all(s, "{\"a\":{\"l\":[5]}}");
    void *gone = s;
    close_stage(&gone);
    tu_alloc_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STAGE(test_plain_sets_stay_plain),
        WITH_STAGE(test_the_end_of_something_is_kept),
        WITH_STAGE(test_documents_set_in_turn_merge),
        WITH_STAGE(test_lists_in_the_place_of_lists),
        WITH_STAGE(test_whole_changes),
        cmocka_unit_test(test_short_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
