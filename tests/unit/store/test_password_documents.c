/* SPDX-License-Identifier: Apache-2.0 */
/* What can be done with documents can be done with encrypted ones: lists, updates, replacements, editors, iteration. */
#include "password_fixture.h"

#include <eidetica/editor.h>
#include <eidetica/registry.h>

static bool join_keys(const char *key, size_t len, const eid_value *value, void *ctx)
{
    (void)value;
    strncat(ctx, key, len);
    strcat(ctx, " ");
    return true;
}

static eid_value *json_value(const char *json)
{
    eid_value *value;

    tu_assert_ok(eid_value_from_plain_json(json, strlen(json), &value));
    return value;
}

static void documents_work_inside(void **state)
{
    fixture *f = *state;
    eid_value *four = json_value("4"), *changed = json_value("{\"x\":1,\"y\":3}");
    char keys[64] = "";
    eid_editor *editor;

    make_store(f, "sec", "pw");
    eid_password_session *session = session_of(f, "sec", "pw");
    eid_txn *txn = unlocked(f, session);
    tu_assert_ok(eid_docstore_set_json(txn, "sec", "l", "[1,2,3]"));
    tu_assert_ok(eid_docstore_set_json(txn, "sec", "d", "{\"x\":1,\"y\":2,\"z\":3}"));
    commit(txn);
    txn = unlocked(f, session);
    tu_assert_ok(eid_docstore_push(txn, "sec", "l", four));
    tu_assert_ok(eid_docstore_delete(txn, "sec", "l.0", NULL));
    tu_assert_ok(eid_docstore_update(txn, "sec", "d", changed));
    tu_assert_ok(eid_docstore_edit(txn, "sec", "e", &editor));
    tu_assert_ok(eid_editor_set_int(editor, "deep.er", 5));
    eid_editor_close(editor);
    assert_all(txn, "sec", "{\"d\":{\"x\":1,\"y\":3},\"e\":{\"deep\":{\"er\":5}},\"k\":\"v\",\"l\":[2,3,4]}");
    eid_id id = commit(txn);
    char *text = payload(f, &id, "sec");
    assert_null(strstr(text, "deep"));
    free(text);

    txn = unlocked(f, session);
    assert_all(txn, "sec", "{\"d\":{\"x\":1,\"y\":3},\"e\":{\"deep\":{\"er\":5}},\"k\":\"v\",\"l\":[2,3,4]}");
    tu_assert_ok(eid_docstore_scan(txn, "sec", NULL, "d", join_keys, keys));
    tu_assert_ok(eid_docstore_scan(txn, "sec", "d", NULL, join_keys, keys));
    assert_string_equal(keys, "e k l x y ");
    tu_assert_ok(eid_docstore_delete(txn, "sec", "l", NULL));
    tu_assert_ok(eid_docstore_push(txn, "sec", "l", four));
    commit(txn);
    txn = unlocked(f, session);
    assert_all(txn, "sec", "{\"d\":{\"x\":1,\"y\":3},\"e\":{\"deep\":{\"er\":5}},\"k\":\"v\",\"l\":[4]}");
    eid_txn_free(txn);
    eid_value_free(four);
    eid_value_free(changed);
    eid_password_session_close(session);
}

static void all_can_be_replaced_inside(void **state)
{
    fixture *f = *state;
    eid_doc *doc;

    make_store(f, "sec", "pw");
    tu_assert_ok(eid_doc_from_plain_json("{\"only\":[1]}", 12, &doc));
    eid_password_session *session = session_of(f, "sec", "pw");
    eid_txn *txn = unlocked(f, session);
    tu_assert_ok(eid_docstore_replace_all(txn, "sec", doc));
    tu_assert_ok(eid_docstore_set_int(txn, "sec", "later", 2));
    commit(txn);
    txn = unlocked(f, session);
    assert_all(txn, "sec", "{\"later\":2,\"only\":[1]}");
    tu_assert_ok(eid_docstore_update_all(txn, "sec", doc));
    commit(txn);
    txn = unlocked(f, session);
    assert_all(txn, "sec", "{\"only\":[1]}");
    eid_txn_free(txn);
    eid_doc_free(doc);
    eid_password_session_close(session);
}

static bool note_type(const eid_store_info *info, void *ctx)
{
    const char **type = ctx;

    *type = strcmp(info->type, "encrypted:password:v0") == 0 && !eid_doc_is_empty(info->config) ? "encrypted" : "other";
    return true;
}

/* The registry knows an encrypted store, and may order its writes, but not change its configuration. */
static void the_registry_knows_it(void **state)
{
    fixture *f = *state;
    const char *type = NULL;
    eid_doc *config;

    make_store(f, "sec", "pw");
    eid_password_session *session = session_of(f, "sec", "pw");
    tu_assert_ok(eid_doc_new(&config));
    eid_txn *txn = unlocked(f, session);
    tu_assert_ok(eid_registry_find(txn, "sec", note_type, &type));
    assert_string_equal(type, "encrypted");
    tu_assert_fails(eid_registry_set_config(txn, "sec", config), EID_ERR_UNSUPPORTED);
    tu_assert_fails(eid_registry_register(txn, "sec", "docstore:v0", NULL), EID_ERR_ALREADY_EXISTS);
    tu_assert_ok(eid_registry_set_height_strategy(txn, "sec", EID_HEIGHT_TIMESTAMP));
    tu_assert_ok(eid_docstore_set_text(txn, "sec", "k", "w"));
    eid_id id = commit(txn);
    eid_entry *entry;
    tu_assert_ok(eid_database_get_entry(f->database, &id, &entry));
    for (size_t i = 0; i < eid_entry_store_count(entry); i++)
        if (strcmp(eid_entry_store_name(entry, i), "sec") == 0)
            assert_true(eid_entry_store_height(entry, i) > 1000000000000);
    eid_entry_unref(entry);
    txn = unlocked(f, session); /* still with the same password */
    assert_all(txn, "sec", "{\"k\":\"w\"}");
    eid_txn_free(txn);
    eid_doc_free(config);
    eid_password_session_close(session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DATABASE(documents_work_inside),
        WITH_DATABASE(all_can_be_replaced_inside),
        WITH_DATABASE(the_registry_knows_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
