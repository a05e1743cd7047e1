/* SPDX-License-Identifier: Apache-2.0 */
/* DocStore: what is staged, what reads see before and after the commit, deletions, Lists, types. */
#include "fixture.h"

static void assert_text(eid_txn *txn, const char *path, const char *wanted)
{
    char *text;
    size_t len;

    tu_assert_ok(eid_docstore_get_text(txn, "pages", path, &text, &len));
    assert_string_equal(text, wanted);
    assert_int_equal(len, strlen(wanted));
    eid_free(text);
}

static void assert_absent(eid_txn *txn, const char *path)
{
    eid_value *value = NULL;
    bool there = true;

    tu_assert_fails(eid_docstore_get(txn, "pages", path, &value), EID_ERR_KEY_NOT_FOUND);
    assert_null(value);
    tu_assert_ok(eid_docstore_contains(txn, "pages", path, &there));
    assert_false(there);
}

static void values_come_back(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    eid_value *value;
    int64_t number;
    bool flag;

    tu_assert_ok(eid_docstore_set_text(txn, "pages", "today", "Hello"));
    tu_assert_ok(eid_docstore_set_int(txn, "pages", "count", INT64_MIN));
    tu_assert_ok(eid_docstore_set_bool(txn, "pages", "done", true));
    tu_assert_ok(eid_docstore_set_null(txn, "pages", "nothing"));
    for (int round = 0; round < 2; round++) {
        assert_text(txn, "today", "Hello");
        tu_assert_ok(eid_docstore_get_int(txn, "pages", "count", &number));
        assert_true(number == INT64_MIN);
        tu_assert_ok(eid_docstore_get_bool(txn, "pages", "done", &flag));
        assert_true(flag);
        tu_assert_ok(eid_docstore_get(txn, "pages", "nothing", &value));
        assert_int_equal(eid_value_get_kind(value), EID_VALUE_NULL);
        eid_value_free(value);
        tu_assert_ok(eid_docstore_contains(txn, "pages", "nothing", &flag));
        assert_true(flag);
        assert_absent(txn, "tomorrow");
        if (round == 0) {
            commit(txn);
            txn = begin(f);
        }
    }
    eid_txn_free(txn);
}

static void wrong_kinds_are_refused(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    char *text = NULL;
    int64_t number = 77;
    bool flag;

    tu_assert_ok(eid_docstore_set_text(txn, "pages", "t", "x"));
    tu_assert_ok(eid_docstore_set_int(txn, "pages", "n", 1));
    tu_assert_fails(eid_docstore_get_int(txn, "pages", "t", &number), EID_ERR_TYPE_MISMATCH);
    assert_int_equal(number, 77);
    tu_assert_fails(eid_docstore_get_text(txn, "pages", "n", &text, NULL), EID_ERR_TYPE_MISMATCH);
    assert_null(text);
    tu_assert_fails(eid_docstore_get_bool(txn, "pages", "n", &flag), EID_ERR_TYPE_MISMATCH);
    eid_txn_free(txn);
}

static void paths_reach_inside(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    eid_id id;

    tu_assert_ok(eid_docstore_set_text(txn, "pages", "user.name", "A"));
    tu_assert_ok(eid_docstore_set_int(txn, "pages", "user.age", 3));
    id = commit(txn);
    assert_payload(
        f, &id, "pages",
        "{\"children\":{\"user\":{\"Doc\":{\"children\":{\"age\":{\"Int\":3},\"name\":{\"Text\":\"A\"}}}}}}");
    assert_payload(f, &id, "_index",
                   "{\"children\":{\"pages\":{\"Doc\":{\"children\":{\"config\":{\"Doc\":{\"children\":{}}},"
                   "\"type\":{\"Text\":\"docstore:v0\"}}}}}}");

    /* Only the change is in the next entry, and the branch is seen whole while part of it is staged. */
    txn = begin(f);
    tu_assert_ok(eid_docstore_set_int(txn, "pages", "user.age", 4));
    assert_text(txn, "user.name", "A");
    assert_all(txn, "pages", "{\"user\":{\"age\":4,\"name\":\"A\"}}");
    id = commit(txn);
    assert_payload(f, &id, "pages",
                   "{\"children\":{\"user\":{\"Doc\":{\"children\":{\"age\":{\"Int\":4}}}}}}");
    assert_payload(f, &id, "_index", "");
}

static void deletions_are_seen_at_once(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    bool deleted;
    eid_id id;

    tu_assert_ok(eid_docstore_set_text(txn, "pages", "user.name", "A"));
    tu_assert_ok(eid_docstore_set_int(txn, "pages", "user.age", 3));
    commit(txn);

    txn = begin(f);
    tu_assert_ok(eid_docstore_delete(txn, "pages", "user.name", &deleted));
    assert_true(deleted);
    assert_absent(txn, "user.name");
    assert_all(txn, "pages", "{\"user\":{\"age\":3}}");
    tu_assert_ok(eid_docstore_delete(txn, "pages", "user.name", &deleted));
    assert_false(deleted);
    id = commit(txn);
    assert_payload(f, &id, "pages",
                   "{\"children\":{\"user\":{\"Doc\":{\"children\":{\"name\":\"Deleted\"}}}}}");

    txn = begin(f);
    assert_absent(txn, "user.name");
    tu_assert_ok(eid_docstore_set_text(txn, "pages", "user.name", "B"));
    assert_text(txn, "user.name", "B");
    commit(txn);
    txn = begin(f);
    assert_all(txn, "pages", "{\"user\":{\"age\":3,\"name\":\"B\"}}");
    eid_txn_free(txn);
}

static void deleting_nothing_stages_nothing(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    bool deleted = true;
    eid_id id;

    tu_assert_ok(eid_docstore_delete(txn, "pages", "nobody", &deleted));
    assert_false(deleted);
    tu_assert_ok(eid_docstore_delete(txn, "pages", "no.body", NULL));
    id = commit(txn);
    assert_true(eid_id_is_empty(&id));
}

static void deletion_then_deeper_set_keeps_the_deletion(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);

    tu_assert_ok(eid_docstore_set_text(txn, "pages", "user.name", "A"));
    tu_assert_ok(eid_docstore_set_int(txn, "pages", "user.age", 4));
    commit(txn);
    txn = begin(f);
    tu_assert_ok(eid_docstore_delete(txn, "pages", "user", NULL));
    tu_assert_ok(eid_docstore_set_int(txn, "pages", "user.z", 1));
    assert_absent(txn, "user.name");
    assert_all(txn, "pages", "{\"user\":{\"z\":1}}");
    commit(txn);
    txn = begin(f);
    assert_all(txn, "pages", "{\"user\":{\"z\":1}}");
    eid_txn_free(txn);
}

static void a_staged_set_can_be_deleted_again(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    bool deleted;

    tu_assert_ok(eid_docstore_set_int(txn, "pages", "a.b", 1));
    tu_assert_ok(eid_docstore_delete(txn, "pages", "a.b", &deleted));
    assert_true(deleted);
    assert_absent(txn, "a.b");
    assert_all(txn, "pages", "{\"a\":{}}");
    eid_txn_free(txn);
}

static void bad_paths_and_text_are_refused(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    char deep[300] = "k";

    tu_assert_fails(eid_docstore_set_int(txn, "pages", "...", 1), EID_ERR_INVALID_PATH);
    tu_assert_fails(eid_docstore_set_int(txn, "pages", ".", 1), EID_ERR_INVALID_PATH);
    assert_absent(txn, "...");
    tu_assert_fails(eid_docstore_set_text(txn, "pages", "k", "\xff"), EID_ERR_UTF8);
    tu_assert_fails(eid_docstore_set_int(txn, "pages", "\xff", 1), EID_ERR_UTF8);
    for (int i = 0; i < 60; i++)
        strcat(deep, ".k");
    tu_assert_fails(eid_docstore_set_int(txn, "pages", deep, 1), EID_ERR_DEPTH);
    /* Nothing of it was staged. */
    eid_id id = commit(txn);
    assert_true(eid_id_is_empty(&id));
}

static void store_names_and_types_are_checked(void **state)
{
    fixture *f = *state;
    static const char *const bad[] = {"", "_settings", "_index", "_mine", "a.b", "\xff"};
    eid_txn *txn = begin(f);
    char key[EID_ROW_KEY_SIZE];

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        tu_assert_fails(eid_docstore_set_int(txn, bad[i], "k", 1), EID_ERR_STORE_NAME);
    tu_assert_ok(eid_docstore_set_int(txn, "pages", "k", 1));
    tu_assert_fails(eid_table_insert(txn, "pages", "1", key), EID_ERR_TYPE_MISMATCH);
    commit(txn);
    txn = begin(f);
    tu_assert_fails(eid_table_insert(txn, "pages", "1", key), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_table_set(txn, "pages", "k", "1"), EID_ERR_TYPE_MISMATCH);
    tu_assert_ok(eid_docstore_set_int(txn, "pages", "k", 2));
    eid_txn_free(txn);
}

static void several_stores_share_one_entry(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    uint64_t before, after;
    char key[EID_ROW_KEY_SIZE];

    tu_assert_ok(eid_database_entry_count(f->database, &before));
    tu_assert_ok(eid_docstore_set_int(txn, "pages", "k", 1));
    tu_assert_ok(eid_docstore_set_int(txn, "drafts", "k", 2));
    tu_assert_ok(eid_table_insert(txn, "rows", "{}", key));
    commit(txn);
    tu_assert_ok(eid_database_entry_count(f->database, &after));
    assert_int_equal(after, before + 1);
}

static void transactions_see_their_beginning(void **state)
{
    fixture *f = *state;
    eid_txn *first = begin(f), *second = begin(f);
    int64_t number;

    tu_assert_ok(eid_docstore_set_int(first, "pages", "a", 1));
    tu_assert_ok(eid_docstore_set_int(second, "pages", "b", 2));
    commit(first);
    assert_absent(second, "a");
    commit(second);
    first = begin(f);
    tu_assert_ok(eid_docstore_get_int(first, "pages", "a", &number));
    tu_assert_ok(eid_docstore_get_int(first, "pages", "b", &number));
    assert_int_equal(number, 2);
    eid_txn_free(first);
}

static void a_finished_transaction_is_over(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    eid_value *value;

    tu_assert_ok(eid_docstore_set_int(txn, "pages", "a", 1));
    tu_assert_ok(eid_txn_commit(txn, NULL));
    tu_assert_fails(eid_docstore_set_int(txn, "pages", "a", 2), EID_ERR_ALREADY_COMMITTED);
    tu_assert_fails(eid_docstore_get(txn, "pages", "a", &value), EID_ERR_ALREADY_COMMITTED);
    eid_txn_free(txn);
}

/* ---- Lists ---- */

/* A List [10, {"n":1}, [7, 8]] under "list". */
static void commit_list(fixture *f)
{
    eid_list *list, *inner;
    eid_value *value;
    eid_doc *doc;
    eid_txn *txn = begin(f);

    tu_assert_ok(eid_list_new(&list));
    tu_assert_ok(eid_value_new_int(10, &value));
    tu_assert_ok(eid_list_push(list, value));
    eid_value_free(value);
    tu_assert_ok(eid_doc_new(&doc));
    tu_assert_ok(eid_doc_set_int(doc, "n", 1));
    tu_assert_ok(eid_value_new_doc(doc, &value));
    tu_assert_ok(eid_list_push(list, value));
    eid_value_free(value);
    eid_doc_free(doc);
    tu_assert_ok(eid_list_new(&inner));
    for (int i = 7; i <= 8; i++) {
        tu_assert_ok(eid_value_new_int(i, &value));
        tu_assert_ok(eid_list_push(inner, value));
        eid_value_free(value);
    }
    tu_assert_ok(eid_value_new_list(inner, &value));
    tu_assert_ok(eid_list_push(list, value));
    eid_value_free(value);
    eid_list_free(inner);
    tu_assert_ok(eid_value_new_list(list, &value));
    eid_list_free(list);
    tu_assert_ok(eid_docstore_set(txn, "pages", "deep.list", value));
    eid_value_free(value);
    commit(txn);
}

static void list_elements_are_set_in_place(void **state)
{
    fixture *f = *state;
    eid_txn *txn;
    int64_t number;
    eid_id id;

    commit_list(f);
    txn = begin(f);
    assert_all(txn, "pages", "{\"deep\":{\"list\":[10,{\"n\":1},[7,8]]}}");
    tu_assert_ok(eid_docstore_set_int(txn, "pages", "deep.list.0", 11));
    tu_assert_ok(eid_docstore_set_int(txn, "pages", "deep.list.1.m", 2));
    tu_assert_ok(eid_docstore_set_int(txn, "pages", "deep.list.2.1", 9));
    tu_assert_ok(eid_docstore_set_int(txn, "pages", "deep.list.0", 12));
    tu_assert_ok(eid_docstore_get_int(txn, "pages", "deep.list.0", &number));
    assert_int_equal(number, 12);
    assert_all(txn, "pages", "{\"deep\":{\"list\":[12,{\"m\":2,\"n\":1},[7,9]]}}");
    id = commit(txn);
    /* Untouched elements are not repeated. */
    char *text = payload(f, &id, "pages");
    assert_null(strstr(text, "{\"Int\":7}"));
    assert_null(strstr(text, "\"n\""));
    free(text);
    txn = begin(f);
    assert_all(txn, "pages", "{\"deep\":{\"list\":[12,{\"m\":2,\"n\":1},[7,9]]}}");
    eid_txn_free(txn);
}

static void list_elements_can_be_deleted(void **state)
{
    fixture *f = *state;
    eid_txn *txn;
    bool deleted;

    commit_list(f);
    txn = begin(f);
    tu_assert_ok(eid_docstore_delete(txn, "pages", "deep.list.1", &deleted));
    assert_true(deleted);
    assert_all(txn, "pages", "{\"deep\":{\"list\":[10,[7,8]]}}");
    tu_assert_ok(eid_docstore_delete(txn, "pages", "deep.list.5", &deleted));
    assert_false(deleted);
    tu_assert_ok(eid_docstore_set_int(txn, "pages", "deep.list.1.0", 6));
    commit(txn);
    txn = begin(f);
    assert_all(txn, "pages", "{\"deep\":{\"list\":[10,[6,8]]}}");
    eid_txn_free(txn);
}

static void concurrent_changes_of_elements_both_stay(void **state)
{
    fixture *f = *state;
    eid_txn *first, *second;

    commit_list(f);
    first = begin(f);
    second = begin(f);
    tu_assert_ok(eid_docstore_set_int(first, "pages", "deep.list.0", 1));
    tu_assert_ok(eid_docstore_set_int(second, "pages", "deep.list.1.n", 2));
    commit(first);
    commit(second);
    first = begin(f);
    assert_all(first, "pages", "{\"deep\":{\"list\":[1,{\"n\":2},[7,8]]}}");
    eid_txn_free(first);
}

static void lists_are_not_replaced_by_accident(void **state)
{
    fixture *f = *state;
    eid_txn *txn;

    commit_list(f);
    txn = begin(f);
    tu_assert_fails(eid_docstore_set_int(txn, "pages", "deep.list.3", 1), EID_ERR_INDEX_OUT_OF_BOUNDS);
    tu_assert_fails(eid_docstore_set_int(txn, "pages", "deep.list.name", 1), EID_ERR_INDEX_OUT_OF_BOUNDS);
    tu_assert_fails(eid_docstore_set_int(txn, "pages", "deep.list.2.99999999999999999999", 1),
                    EID_ERR_INDEX_OUT_OF_BOUNDS);
    tu_assert_ok(eid_docstore_set_int(txn, "pages", "deep.list", 1));
    assert_all(txn, "pages", "{\"deep\":{\"list\":1}}");
    eid_txn_free(txn);
}

/* ---- Short memory ---- */

static eid_status stage_and_read(void *ctx)
{
    fixture *f = ctx;
    eid_txn *txn;
    eid_value *value = NULL;
    bool deleted;

    EID_TRY(eid_database_new_transaction(f->database, &txn));
    eid_status status = eid_docstore_set_int(txn, "pages", "deep.list.1.n", 5);
    if (status == EID_OK)
        status = eid_docstore_set_text(txn, "pages", "a.b", "text");
    if (status == EID_OK)
        status = eid_docstore_delete(txn, "pages", "deep.list.0", &deleted);
    if (status == EID_OK)
        status = eid_docstore_get(txn, "pages", "deep", &value);
    eid_value_free(value);
    eid_txn_free(txn);
    return status;
}

static void staging_survives_short_memory(void **state)
{
    fixture *f = *state;
    uint64_t before, after;

    commit_list(f);
    tu_assert_ok(eid_database_entry_count(f->database, &before));
    assert_true(tu_alloc_fault_loop(stage_and_read, f) > 20);
    tu_assert_ok(eid_database_entry_count(f->database, &after));
    assert_int_equal(before, after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DATABASE(values_come_back),
        WITH_DATABASE(wrong_kinds_are_refused),
        WITH_DATABASE(paths_reach_inside),
        WITH_DATABASE(deletions_are_seen_at_once),
        WITH_DATABASE(deleting_nothing_stages_nothing),
        WITH_DATABASE(deletion_then_deeper_set_keeps_the_deletion),
        WITH_DATABASE(a_staged_set_can_be_deleted_again),
        WITH_DATABASE(bad_paths_and_text_are_refused),
        WITH_DATABASE(store_names_and_types_are_checked),
        WITH_DATABASE(several_stores_share_one_entry),
        WITH_DATABASE(transactions_see_their_beginning),
        WITH_DATABASE(a_finished_transaction_is_over),
        WITH_DATABASE(list_elements_are_set_in_place),
        WITH_DATABASE(list_elements_can_be_deleted),
        WITH_DATABASE(concurrent_changes_of_elements_both_stay),
        WITH_DATABASE(lists_are_not_replaced_by_accident),
        WITH_DATABASE(staging_survives_short_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
