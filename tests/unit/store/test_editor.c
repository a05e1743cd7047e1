/* SPDX-License-Identifier: Apache-2.0 */
/* Editors: paths relative to a place, nested editors, the whole document, and settings. */
#include "fixture.h"

#include <eidetica/editor.h>

static eid_editor *edit(eid_txn *txn, const char *path)
{
    eid_editor *editor;

    tu_assert_ok(eid_docstore_edit(txn, "s", path, &editor));
    return editor;
}

static eid_editor *enter(const eid_editor *from, const char *path)
{
    eid_editor *editor;

    tu_assert_ok(eid_editor_enter(from, path, &editor));
    return editor;
}

static void assert_text(const eid_editor *editor, const char *path, const char *wanted)
{
    char *text;
    size_t len;

    tu_assert_ok(eid_editor_get_text(editor, path, &text, &len));
    assert_string_equal(text, wanted);
    assert_int_equal(len, strlen(wanted));
    eid_free(text);
}

static void an_editor_stages_nothing_by_itself(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    eid_editor *editor = edit(txn, "a.b"), *inner = enter(editor, "c");
    bool there = true;

    assert_string_equal(eid_editor_path(editor), "a.b");
    assert_string_equal(eid_editor_path(inner), "a.b.c");
    tu_assert_ok(eid_editor_contains(editor, NULL, &there));
    assert_false(there);
    eid_editor_close(inner);
    eid_editor_close(editor);
    eid_editor_close(NULL);
    eid_id id = commit(txn);
    assert_true(eid_id_is_empty(&id));
}

static void values_below_a_place(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    eid_editor *person = edit(txn, "people.ada");
    eid_doc *doc;
    eid_list *list;
    eid_value *value;
    int64_t number;
    bool truth;
    char *json;

    tu_assert_ok(eid_editor_set_text(person, "name", "Ada"));
    tu_assert_ok(eid_editor_set_int(person, "age", 36));
    tu_assert_ok(eid_editor_set_bool(person, "here", true));
    tu_assert_ok(eid_editor_set_null(person, "note"));
    tu_assert_ok(eid_editor_set_json(person, "tags", "[\"x\",\"y\"]"));
    eid_editor *address = enter(person, "address");
    tu_assert_ok(eid_editor_set_text(address, "street", "Broadway 1"));
    tu_assert_ok(eid_editor_set_text(address, "geo.lat", "51"));
    tu_assert_ok(eid_editor_get_doc(address, NULL, &doc));
    tu_assert_ok(eid_editor_set_doc(person, "second", doc));
    eid_doc_free(doc);
    tu_assert_ok(eid_editor_get_list(person, "tags", &list));
    tu_assert_ok(eid_editor_set_list(person, "same", list));
    eid_list_free(list);

    assert_text(person, "name", "Ada");
    assert_text(person, "address.geo.lat", "51");
    assert_text(address, "street", "Broadway 1");
    tu_assert_ok(eid_editor_get_int(person, "age", &number));
    tu_assert_ok(eid_editor_get_bool(person, "here", &truth));
    assert_true(number == 36 && truth);
    tu_assert_ok(eid_editor_get(person, "note", &value));
    assert_int_equal(eid_value_get_kind(value), EID_VALUE_NULL);
    eid_value_free(value);
    tu_assert_ok(eid_editor_get_json(address, NULL, &json, NULL));
    assert_string_equal(json, "{\"geo\":{\"lat\":\"51\"},\"street\":\"Broadway 1\"}");
    eid_free(json);
    tu_assert_ok(eid_editor_get_text(person, "same.1", &json, NULL));
    assert_string_equal(json, "y");
    eid_free(json);
    tu_assert_fails(eid_editor_get_int(address, "street", &number), EID_ERR_TYPE_MISMATCH);
    assert_string_equal(eid_last_error(),
                        "the value at \"people.ada.address.street\" of store s is of kind text, not int");
    eid_editor_close(address);
    eid_editor_close(person);
    commit(txn);
    txn = begin(f);
    assert_all(
        txn, "s",
        "{\"people\":{\"ada\":{\"address\":{\"geo\":{\"lat\":\"51\"},\"street\":\"Broadway 1\"},\"age\":36,"
        "\"here\":true,\"name\":\"Ada\",\"note\":null,\"same\":[\"x\",\"y\"],\"second\":{\"geo\":{\"lat\":"
        "\"51\"},"
        "\"street\":\"Broadway 1\"},\"tags\":[\"x\",\"y\"]}}}");
    eid_txn_free(txn);
}

static void changing_the_place_itself(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    eid_editor *editor = edit(txn, "a.b");
    eid_value *value, *got;
    bool deleted;

    tu_assert_ok(eid_value_from_plain_json("{\"x\":1,\"y\":2}", 13, &value));
    tu_assert_ok(eid_editor_get_or_set(editor, NULL, value, &got));
    assert_true(eid_value_equal(got, value));
    eid_value_free(got);
    assert_all(txn, "s", "{\"a\":{\"b\":{\"x\":1,\"y\":2}}}");
    tu_assert_ok(eid_editor_set_int(editor, "z", 3));
    tu_assert_ok(eid_editor_update(editor, NULL, value));
    assert_all(txn, "s", "{\"a\":{\"b\":{\"x\":1,\"y\":2}}}");
    tu_assert_ok(eid_editor_set_int(editor, "z", 3));
    tu_assert_ok(eid_editor_replace(editor, NULL, value));
    assert_all(txn, "s", "{\"a\":{\"b\":{\"x\":1,\"y\":2}}}");
    tu_assert_ok(eid_editor_delete(editor, "x", &deleted));
    assert_true(deleted);
    tu_assert_ok(eid_editor_delete(editor, "x", &deleted));
    assert_false(deleted);
    assert_all(txn, "s", "{\"a\":{\"b\":{\"y\":2}}}");
    tu_assert_ok(eid_editor_delete(editor, NULL, &deleted));
    assert_true(deleted);
    assert_all(txn, "s", "{\"a\":{}}");
    tu_assert_ok(eid_editor_set(editor, NULL, value)); /* not what was there before the deletion */
    tu_assert_ok(eid_editor_set_int(editor, NULL, 7));
    assert_all(txn, "s", "{\"a\":{\"b\":7}}");
    eid_value_free(value);
    eid_editor_close(editor);
    eid_txn_free(txn);
}

static void lists_below_a_place(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    eid_editor *editor = edit(txn, "a"), *list = enter(editor, "l");
    eid_value *value;
    eid_list_position place;

    tu_assert_ok(eid_value_new_int(1, &value));
    tu_assert_ok(eid_editor_push(list, NULL, value));
    tu_assert_ok(eid_editor_push(editor, "l", value));
    tu_assert_ok(eid_editor_set_int(list, "1", 2));
    tu_assert_ok(eid_editor_insert(editor, "l", 0, value));
    tu_assert_ok(eid_editor_set_int(list, "0", 0));
    tu_assert_ok(eid_editor_insert_after(list, NULL, NULL, value, &place));
    tu_assert_ok(eid_editor_insert_before(list, NULL, &place, value, NULL));
    assert_all(txn, "s", "{\"a\":{\"l\":[1,1,0,1,2]}}");
    tu_assert_fails(eid_editor_push(editor, NULL, value), EID_ERR_TYPE_MISMATCH);
    eid_value_free(value);
    eid_editor_close(list);
    eid_editor_close(editor);
    eid_txn_free(txn);
}

static bool join_keys(const char *key, size_t len, const eid_value *value, void *ctx)
{
    (void)value;
    strncat(ctx, key, len);
    strcat(ctx, " ");
    return true;
}

static void the_whole_document(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    eid_editor *all = edit(txn, NULL), *same = enter(all, NULL), *inner = enter(all, "a");
    eid_value *value, *number, *list;
    eid_doc *doc;
    char *json, keys[64] = "";
    bool deleted, there;

    assert_null(eid_editor_path(all));
    assert_null(eid_editor_path(same));
    assert_string_equal(eid_editor_path(inner), "a");
    tu_assert_ok(eid_editor_contains(all, NULL, &there));
    assert_true(there);
    tu_assert_ok(eid_editor_get_json(all, NULL, &json, NULL));
    assert_string_equal(json, "{}");
    eid_free(json);
    tu_assert_ok(eid_editor_set_int(same, "a.x", 1));
    tu_assert_ok(eid_editor_set_int(all, "", 0)); /* the empty key */
    tu_assert_ok(eid_value_from_plain_json("{\"a\":{\"y\":2},\"b\":3}", 19, &value));
    tu_assert_ok(eid_value_new_int(1, &number));
    tu_assert_ok(eid_value_from_plain_json("[]", 2, &list));
    tu_assert_ok(eid_editor_set(all, NULL, value));
    assert_all(txn, "s", "{\"\":0,\"a\":{\"x\":1,\"y\":2},\"b\":3}");
    tu_assert_ok(eid_editor_scan(all, NULL, NULL, join_keys, keys));
    tu_assert_ok(eid_editor_scan(all, NULL, "a", join_keys, keys));
    tu_assert_ok(eid_editor_scan(all, "a", NULL, join_keys, keys));
    assert_string_equal(keys, " a b b x y ");
    tu_assert_fails(eid_editor_set(all, NULL, number), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_editor_replace(all, NULL, list), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_editor_update(all, NULL, number), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_editor_push(all, NULL, number), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_editor_insert_after(all, NULL, NULL, number, NULL), EID_ERR_TYPE_MISMATCH);
    tu_assert_ok(eid_editor_update(all, NULL, value));
    assert_all(txn, "s", "{\"a\":{\"y\":2},\"b\":3}");
    commit(txn);

    txn = begin(f);
    eid_editor_close(all);
    all = edit(txn, NULL);
    tu_assert_ok(eid_editor_get_doc(all, NULL, &doc));
    assert_int_equal(eid_doc_len(doc), 2);
    eid_doc_free(doc);
    tu_assert_ok(eid_editor_delete(all, NULL, &deleted));
    assert_true(deleted);
    assert_all(txn, "s", "{}");
    tu_assert_ok(eid_editor_delete(all, NULL, &deleted));
    assert_false(deleted);
    tu_assert_ok(eid_editor_replace(all, NULL, value));
    commit(txn);
    txn = begin(f);
    assert_all(txn, "s", "{\"a\":{\"y\":2},\"b\":3}");
    eid_txn_free(txn);
    eid_value_free(value);
    eid_value_free(number);
    eid_value_free(list);
    eid_editor_close(same);
    eid_editor_close(inner);
    eid_editor_close(all);
}

static void wrong_paths_and_times(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    eid_editor *editor = NULL, *at = edit(txn, "a");
    bool there;

    tu_assert_fails(eid_docstore_edit(txn, "s", "", &editor), EID_ERR_INVALID_PATH);
    tu_assert_fails(eid_docstore_edit(txn, "s", "..", &editor), EID_ERR_INVALID_PATH);
    tu_assert_fails(eid_docstore_edit(txn, "_settings", NULL, &editor), EID_ERR_STORE_NAME);
    tu_assert_fails(eid_settings_edit(txn, ".", &editor), EID_ERR_INVALID_PATH);
    tu_assert_fails(eid_editor_enter(at, "", &editor), EID_ERR_INVALID_PATH);
    assert_null(editor);
    tu_assert_fails(eid_editor_set_int(at, "", 1), EID_ERR_INVALID_PATH);
    tu_assert_fails(eid_editor_set_int(at, ".", 1), EID_ERR_INVALID_PATH);
    tu_assert_fails(eid_editor_contains(at, "", &there), EID_ERR_INVALID_PATH);
    tu_assert_ok(eid_table_set(txn, "rows", "k", "1"));
    tu_assert_fails(eid_docstore_edit(txn, "rows", NULL, &editor), EID_ERR_TYPE_MISMATCH);
    tu_assert_ok(eid_txn_commit(txn, NULL));
    tu_assert_fails(eid_editor_set_int(at, "x", 1), EID_ERR_ALREADY_COMMITTED);
    tu_assert_fails(eid_editor_contains(at, "x", &there), EID_ERR_ALREADY_COMMITTED);
    eid_txn_free(txn);
    eid_editor_close(at);
}

static void settings_have_editors(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    eid_editor *editor;

    tu_assert_ok(eid_settings_edit(txn, "theme", &editor));
    tu_assert_ok(eid_editor_set_text(editor, "colour", "green"));
    tu_assert_ok(eid_editor_set_json(editor, "sizes", "[1,2]"));
    eid_id id = commit(txn);
    eid_editor_close(editor);
    txn = begin(f);
    tu_assert_ok(eid_settings_edit(txn, NULL, &editor));
    assert_text(editor, "theme.colour", "green");
    assert_text(editor, "name", "notes");
    eid_editor_close(editor);
    eid_txn_free(txn);
    char *text = payload(f, &id, "_settings");
    assert_non_null(strstr(text, "\"colour\":{\"Text\":\"green\"}"));
    assert_null(strstr(text, "auth"));
    free(text);
}

static eid_status editor_step(void *ctx)
{
    fixture *f = ctx;
    eid_txn *txn;
    eid_editor *editor = NULL, *inner = NULL;

    EID_TRY(eid_database_new_transaction(f->database, &txn));
    eid_status status = eid_docstore_edit(txn, "s", "a", &editor);
    if (status == EID_OK)
        status = eid_editor_enter(editor, "b", &inner);
    if (status == EID_OK)
        status = eid_editor_set_json(inner, "c", "[1]");
    if (status == EID_OK)
        status = eid_editor_set_int(inner, "c.0", 2);
    eid_editor_close(inner);
    eid_editor_close(editor);
    eid_txn_free(txn);
    return status;
}

static void short_memory(void **state)
{
    fixture *f = *state;

    assert_true(tu_alloc_fault_loop(editor_step, f) > 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DATABASE(an_editor_stages_nothing_by_itself),
        WITH_DATABASE(values_below_a_place),
        WITH_DATABASE(changing_the_place_itself),
        WITH_DATABASE(lists_below_a_place),
        WITH_DATABASE(the_whole_document),
        WITH_DATABASE(wrong_paths_and_times),
        WITH_DATABASE(settings_have_editors),
        WITH_SCARCE_MEMORY(short_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
