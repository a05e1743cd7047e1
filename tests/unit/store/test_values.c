/* SPDX-License-Identifier: Apache-2.0 */
/* DocStore: values of every kind, JSON, updates and replacements, iteration, reading without a transaction.
 */
#include "fixture.h"

/* ---- Values ---- */

static void every_kind_comes_back(void **state)
{
    fixture *f = *state;
    eid_doc *doc;
    eid_list *list;
    char *text;
    size_t len;
    int64_t number;
    bool truth;
    eid_value *value;

    tu_assert_ok(eid_doc_from_plain_json("{\"x\":1}", 7, &doc));
    tu_assert_ok(eid_list_new(&list));
    tu_assert_ok(eid_list_push_text(list, "first"));
    eid_txn *txn = begin(f);
    tu_assert_ok(eid_docstore_set_null(txn, "s", "null"));
    tu_assert_ok(eid_docstore_set_bool(txn, "s", "a.bool", true));
    tu_assert_ok(eid_docstore_set_int(txn, "s", "a.int", INT64_MIN));
    tu_assert_ok(eid_docstore_set_text(txn, "s", "a.text", "caf\xc3\xa9"));
    tu_assert_ok(eid_docstore_set_doc(txn, "s", "a.doc", doc));
    tu_assert_ok(eid_docstore_set_list(txn, "s", "a.list", list));
    tu_assert_ok(eid_docstore_set_json(txn, "s", "json", "{\"l\":[1,{\"y\":null}],\"t\":\"q\\\"\"}"));
    eid_doc_free(doc);
    eid_list_free(list);
    for (int round = 0; round < 2; round++) { /* staged, then committed */
        tu_assert_ok(eid_docstore_get(txn, "s", "null", &value));
        assert_int_equal(eid_value_get_kind(value), EID_VALUE_NULL);
        eid_value_free(value);
        tu_assert_ok(eid_docstore_get_bool(txn, "s", "a.bool", &truth));
        tu_assert_ok(eid_docstore_get_int(txn, "s", "a.int", &number));
        tu_assert_ok(eid_docstore_get_text(txn, "s", "a.text", &text, &len));
        assert_true(truth && number == INT64_MIN && len == 5);
        eid_free(text);
        tu_assert_ok(eid_docstore_get_doc(txn, "s", "a.doc", &doc));
        assert_int_equal(eid_doc_len(doc), 1);
        eid_doc_free(doc);
        tu_assert_ok(eid_docstore_get_list(txn, "s", "a.list", &list));
        assert_int_equal(eid_list_len(list), 1);
        eid_list_free(list);
        tu_assert_ok(eid_docstore_get_json(txn, "s", "json", &text, &len));
        assert_string_equal(text, "{\"l\":[1,{\"y\":null}],\"t\":\"q\\\"\"}");
        assert_int_equal(len, strlen(text));
        eid_free(text);
        tu_assert_ok(eid_docstore_get_int(txn, "s", "json.l.0", &number));
        assert_int_equal(number, 1);
        commit(txn);
        txn = begin(f);
    }
    eid_txn_free(txn);
}

/* What is wrong is named: the store, the path, the kind found and the kind wanted. */
static void wrong_kinds_are_named(void **state)
{
    fixture *f = *state;
    char *text = NULL;
    eid_doc *doc = NULL;
    eid_list *list = NULL;
    int64_t number = 7;
    bool truth = true;
    eid_txn *txn = begin(f);

    tu_assert_ok(eid_docstore_set_json(txn, "s", "a", "{\"b\":[true],\"c\":5}"));
    tu_assert_fails(eid_docstore_get_text(txn, "s", "a.c", &text, NULL), EID_ERR_TYPE_MISMATCH);
    assert_string_equal(eid_last_error(), "the value at \"a.c\" of store s is of kind int, not text");
    tu_assert_fails(eid_docstore_get_int(txn, "s", "a.b.0", &number), EID_ERR_TYPE_MISMATCH);
    assert_string_equal(eid_last_error(), "the value at \"a.b.0\" of store s is of kind bool, not int");
    tu_assert_fails(eid_docstore_get_bool(txn, "s", "a", &truth), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_docstore_get_doc(txn, "s", "a.b", &doc), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_docstore_get_list(txn, "s", "a", &list), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_docstore_get_int(txn, "s", "a.x", &number), EID_ERR_KEY_NOT_FOUND);
    assert_string_equal(eid_last_error(), "store s has no value at \"a.x\"");
    tu_assert_fails(eid_docstore_get_json(txn, "s", "nothing", &text, NULL), EID_ERR_KEY_NOT_FOUND);
    tu_assert_fails(eid_docstore_get_int(txn, "s", NULL, &number), EID_ERR_INVALID_ARGUMENT);
    assert_true(number == 7 && truth && text == NULL && doc == NULL && list == NULL);

    tu_assert_fails(eid_docstore_set_json(txn, "s", "j", "{"), EID_ERR_TRUNCATED);
    tu_assert_fails(eid_docstore_set_json(txn, "s", "j", "nope"), EID_ERR_SYNTAX);
    tu_assert_fails(eid_docstore_set_json(txn, "s", "j", "[0.5]"), EID_ERR_RANGE);
    tu_assert_fails(eid_docstore_set_json(txn, "s", NULL, "1"), EID_ERR_INVALID_ARGUMENT);
    assert_all(txn, "s", "{\"a\":{\"b\":[true],\"c\":5}}");
    eid_txn_free(txn);
}

/* As deep as a document can be, and no deeper; an entry that is too large is refused at commit and leaves all
 * as it was. */
static void depth_and_size_are_bounded(void **state)
{
    fixture *f = *state;
    char path[3 * 43] = "k";
    int64_t number = 0;

    for (int i = 1; i < 42; i++)
        strcat(path, ".k");
    eid_txn *txn = begin(f);
    tu_assert_ok(eid_docstore_set_int(txn, "s", path, 1));
    strcat(path, ".k");
    tu_assert_fails(eid_docstore_set_int(txn, "s", path, 2), EID_ERR_DEPTH);
    path[strlen(path) - 2] = '\0';
    commit(txn);
    txn = begin(f);
    tu_assert_ok(eid_docstore_get_int(txn, "s", path, &number));
    assert_int_equal(number, 1);

    size_t size = 2u << 20;
    char *large = malloc(size + 1);
    memset(large, 'x', size);
    large[size] = '\0';
    tu_assert_ok(eid_docstore_set_text(txn, "s", "large", large));
    tu_assert_fails(eid_txn_commit(txn, NULL), EID_ERR_LIMIT);
    free(large);
    tu_assert_ok(eid_docstore_set_text(txn, "s", "large", "small after all"));
    commit(txn);
    assert_int_equal(number, 1);
}

/* ---- Updates and replacements ---- */

static eid_value *json_value(const char *json)
{
    eid_value *value;

    tu_assert_ok(eid_value_from_plain_json(json, strlen(json), &value));
    return value;
}

static void set_json(fixture *f, const char *path, const char *json)
{
    eid_txn *txn = begin(f);

    tu_assert_ok(eid_docstore_set_json(txn, "s", path, json));
    commit(txn);
}

static void assert_now(fixture *f, const char *wanted)
{
    eid_txn *txn = begin(f);

    assert_all(txn, "s", wanted);
    eid_txn_free(txn);
}

static void an_update_stages_what_differs(void **state)
{
    fixture *f = *state;

    set_json(f, "u", "{\"name\":\"Ada\",\"age\":3,\"tags\":[\"a\",\"b\"],\"deep\":{\"x\":1,\"y\":2}}");
    eid_txn *txn = begin(f);
    eid_doc *doc;
    eid_value *value;
    tu_assert_ok(eid_docstore_get_doc(txn, "s", "u", &doc));
    tu_assert_ok(eid_doc_set_int(doc, "age", 4));
    tu_assert_ok(eid_doc_remove(doc, "deep.x"));
    tu_assert_ok(eid_value_new_doc(doc, &value));
    tu_assert_ok(eid_docstore_update(txn, "s", "u", value));
    eid_id id = commit(txn);
    assert_payload(
        f, &id, "s",
        "{\"children\":{\"u\":{\"Doc\":{\"children\":{\"age\":{\"Int\":4},\"deep\":{\"Doc\":{\"children\":"
        "{\"x\":\"Deleted\"}}}}}}}}");
    assert_now(f, "{\"u\":{\"age\":4,\"deep\":{\"y\":2},\"name\":\"Ada\",\"tags\":[\"a\",\"b\"]}}");

    /* Once more the same: nothing is staged, so no entry. */
    txn = begin(f);
    tu_assert_ok(eid_docstore_update(txn, "s", "u", value));
    eid_id nothing = commit(txn);
    assert_true(eid_id_is_empty(&nothing));
    eid_value_free(value);
    eid_doc_free(doc);
}

/* Two who read, change and update different fields of one document do not undo each other. */
static void concurrent_updates_both_stay(void **state)
{
    fixture *f = *state;

    set_json(f, "u", "{\"a\":1,\"b\":1,\"l\":[1,2]}");
    eid_txn *first = begin(f), *second = begin(f);
    eid_value *one = json_value("{\"a\":2,\"b\":1,\"l\":[1,2]}"), *two;
    eid_doc *doc;
    tu_assert_ok(eid_docstore_get_doc(second, "s", "u", &doc));
    tu_assert_ok(eid_doc_set_int(doc, "b", 3));
    tu_assert_ok(eid_doc_set_int(doc, "l.1", 20));
    tu_assert_ok(eid_value_new_doc(doc, &two));
    eid_doc_free(doc);
    tu_assert_ok(eid_docstore_get_doc(first, "s", "u", &doc));
    tu_assert_ok(eid_doc_set_int(doc, "a", 2));
    eid_value_free(one);
    tu_assert_ok(eid_value_new_doc(doc, &one));
    eid_doc_free(doc);
    tu_assert_ok(eid_docstore_update(first, "s", "u", one));
    tu_assert_ok(eid_docstore_update(second, "s", "u", two));
    commit(first);
    commit(second);
    assert_now(f, "{\"u\":{\"a\":2,\"b\":3,\"l\":[1,20]}}");
    eid_value_free(one);
    eid_value_free(two);
}

static void all_can_be_updated(void **state)
{
    fixture *f = *state;
    eid_doc *doc;

    set_json(f, "a", "{\"x\":1}");
    set_json(f, "b", "[1]");
    eid_txn *txn = begin(f);
    tu_assert_ok(eid_docstore_get_all(txn, "s", &doc));
    tu_assert_ok(eid_doc_remove(doc, "b"));
    tu_assert_ok(eid_doc_set_int(doc, "c", 5));
    tu_assert_ok(eid_docstore_update_all(txn, "s", doc));
    assert_all(txn, "s", "{\"a\":{\"x\":1},\"c\":5}");
    eid_id id = commit(txn);
    assert_payload(f, &id, "s", "{\"children\":{\"b\":\"Deleted\",\"c\":{\"Int\":5}}}");
    assert_now(f, "{\"a\":{\"x\":1},\"c\":5}");
    eid_doc_free(doc);
}

/* An atomic Doc: "take all of this". */
static void replacing_leaves_nothing(void **state)
{
    fixture *f = *state;
    eid_value *value = json_value("{\"only\":1}");

    set_json(f, "u.a", "{\"x\":1,\"y\":2}");
    eid_txn *txn = begin(f), *other = begin(f);
    tu_assert_ok(eid_docstore_replace(txn, "s", "u.a", value));
    assert_all(txn, "s", "{\"u\":{\"a\":{\"only\":1}}}");
    tu_assert_ok(eid_docstore_set_int(txn, "s", "u.a.more", 2));
    assert_all(txn, "s", "{\"u\":{\"a\":{\"more\":2,\"only\":1}}}");
    eid_id id = commit(txn);
    assert_payload(
        f, &id, "s",
        "{\"children\":{\"u\":{\"Doc\":{\"children\":{\"a\":{\"Doc\":{\"_a\":true,\"children\":{\"more\":"
        "{\"Int\":2},\"only\":{\"Int\":1}}}}}}}}}");
    assert_now(f, "{\"u\":{\"a\":{\"more\":2,\"only\":1}}}");
    /* Another branch that does not know of it: whichever sorts later, the replaced fields do not come back.
     */
    tu_assert_ok(eid_docstore_set_int(other, "s", "u.b", 9));
    commit(other);
    assert_now(f, "{\"u\":{\"a\":{\"more\":2,\"only\":1},\"b\":9}}");

    /* A leaf and a List replace as well. */
    txn = begin(f);
    eid_value *list = json_value("[7]"), *leaf = json_value("\"t\"");
    tu_assert_ok(eid_docstore_set_json(txn, "s", "l", "[1,2,3]"));
    commit(txn);
    txn = begin(f);
    tu_assert_ok(eid_docstore_replace(txn, "s", "l", list));
    tu_assert_ok(eid_docstore_replace(txn, "s", "u", leaf));
    assert_all(txn, "s", "{\"l\":[7],\"u\":\"t\"}");
    commit(txn);
    assert_now(f, "{\"l\":[7],\"u\":\"t\"}");
    eid_value_free(leaf);
    eid_value_free(list);
    eid_value_free(value);
}

static void all_can_be_replaced(void **state)
{
    fixture *f = *state;
    eid_doc *doc;

    set_json(f, "a", "{\"x\":1}");
    set_json(f, "l", "[1,2]");
    tu_assert_ok(eid_doc_from_plain_json("{\"l\":[9],\"n\":null}", 18, &doc));
    eid_txn *txn = begin(f);
    tu_assert_ok(eid_docstore_set_int(txn, "s", "staged", 1));
    tu_assert_ok(eid_docstore_replace_all(txn, "s", doc));
    assert_all(txn, "s", "{\"l\":[9],\"n\":null}");
    tu_assert_ok(eid_docstore_set_int(txn, "s", "later", 2));
    commit(txn);
    assert_now(f, "{\"l\":[9],\"later\":2,\"n\":null}");
    assert_false(eid_doc_is_atomic(doc)); /* the caller's is not touched */
    txn = begin(f);
    tu_assert_ok(eid_docstore_merge(txn, "s", doc));
    commit(txn);
    eid_doc_free(doc);
    txn = begin(f);
    int64_t number;
    tu_assert_ok(eid_docstore_get_int(txn, "s", "later", &number));
    assert_int_equal(number, 2);
    eid_txn_free(txn);
}

static void a_missing_value_is_set(void **state)
{
    fixture *f = *state;
    eid_value *first = json_value("1"), *second = json_value("2"), *got = NULL;
    eid_txn *txn = begin(f);

    for (int i = 0; i < 2; i++) {
        tu_assert_ok(eid_docstore_get_or_set(txn, "s", "a.b", i == 0 ? first : second, &got));
        assert_true(eid_value_equal(got, first));
        eid_value_free(got);
    }
    tu_assert_ok(eid_docstore_delete(txn, "s", "a.b", NULL));
    tu_assert_ok(eid_docstore_get_or_set(txn, "s", "a.b", second, &got));
    assert_true(eid_value_equal(got, second));
    eid_value_free(got);
    got = NULL;
    tu_assert_fails(eid_docstore_get_or_set(txn, "s", "..", second, &got), EID_ERR_INVALID_PATH);
    assert_null(got);
    commit(txn);
    assert_now(f, "{\"a\":{\"b\":2}}");
    eid_value_free(first);
    eid_value_free(second);
}

/* ---- Iteration ---- */

typedef struct keys {
    char seen[256];
    size_t stop_after; /* 0: never */
    size_t count;
} keys;

static bool note_key(const char *key, size_t len, const eid_value *value, void *ctx)
{
    keys *k = ctx;

    assert_int_equal(strlen(key), len);
    assert_int_not_equal(eid_value_get_kind(value), EID_VALUE_DELETED);
    snprintf(k->seen + strlen(k->seen), sizeof k->seen - strlen(k->seen), "%s ", key);
    return ++k->count != k->stop_after;
}

static void assert_keys(eid_txn *txn, const char *path, const char *after, size_t stop_after,
                        const char *wanted)
{
    keys k = {"", stop_after, 0};

    tu_assert_ok(eid_docstore_scan(txn, "s", path, after, note_key, &k));
    assert_string_equal(k.seen, wanted);
}

static void keys_are_shown_in_order(void **state)
{
    fixture *f = *state;
    keys k = {"", 0, 0};

    set_json(f, "u", "{\"b\":1,\"a\":2,\"c\":{\"y\":1,\"x\":2}}");
    set_json(f, "z", "1");
    eid_txn *txn = begin(f);
    tu_assert_ok(eid_docstore_set_int(txn, "s", "m", 1));
    tu_assert_ok(eid_docstore_set_int(txn, "s", "u.d", 1));
    tu_assert_ok(eid_docstore_delete(txn, "s", "u.a", NULL));
    tu_assert_ok(eid_docstore_delete(txn, "s", "z", NULL));
    assert_keys(txn, NULL, NULL, 0, "m u ");
    assert_keys(txn, NULL, "m", 0, "u ");
    assert_keys(txn, "u", NULL, 0, "b c d ");
    assert_keys(txn, "u", "b", 0, "c d ");
    assert_keys(txn, "u", "ba", 1, "c ");
    assert_keys(txn, "u.c", NULL, 0, "x y ");
    tu_assert_fails(eid_docstore_scan(txn, "s", "u.b", NULL, note_key, &k), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_docstore_scan(txn, "s", "gone", NULL, note_key, &k), EID_ERR_KEY_NOT_FOUND);
    commit(txn);
    tu_assert_ok(eid_database_docstore_scan(f->database, "s", NULL, NULL, note_key, &k));
    tu_assert_ok(eid_database_docstore_scan(f->database, "s", "u", "b", note_key, &k));
    assert_string_equal(k.seen, "m u c d ");
    tu_assert_ok(eid_database_docstore_scan(f->database, "unknown", NULL, NULL, note_key, &k));
    tu_assert_fails(eid_database_docstore_scan(f->database, "s", "x", NULL, note_key, &k),
                    EID_ERR_KEY_NOT_FOUND);
}

/* A long store is gone through in pages, each behind the last key of the one before. */
static bool count_page(const char *key, size_t len, const eid_value *value, void *ctx)
{
    keys *k = ctx;
    int64_t number;

    tu_assert_ok(eid_value_as_int(value, &number));
    assert_int_equal(number, atoi(key + 1));
    snprintf(k->seen, sizeof k->seen, "%.*s", (int)len, key);
    return ++k->count % 100 != 0;
}

static void pages_of_a_long_store(void **state)
{
    fixture *f = *state;
    enum { COUNT = 1234 };
    eid_txn *txn = begin(f);
    keys k = {"", 0, 0};

    for (int i = 0; i < COUNT; i++) {
        char key[8];
        snprintf(key, sizeof key, "k%04d", i);
        tu_assert_ok(eid_docstore_set_int(txn, "s", key, i));
    }
    commit(txn);
    txn = begin(f);
    for (size_t before = SIZE_MAX; k.count != before;) {
        before = k.count;
        char after[256];
        strcpy(after, k.seen);
        tu_assert_ok(eid_docstore_scan(txn, "s", NULL, before == 0 ? NULL : after, count_page, &k));
    }
    assert_int_equal(k.count, COUNT);
    assert_string_equal(k.seen, "k1233");
    eid_txn_free(txn);
}

/* ---- Without a transaction ---- */

static void the_handle_reads(void **state)
{
    fixture *f = *state;
    bool truth = false;
    int64_t number = 0;
    char *text = NULL;
    size_t len;
    eid_doc *doc = NULL;
    eid_list *list = NULL;

    set_json(f, "a", "{\"b\":true,\"i\":-3,\"t\":\"text\",\"d\":{\"x\":1},\"l\":[1,2]}");
    tu_assert_ok(eid_database_get_bool(f->database, "s", "a.b", &truth));
    tu_assert_ok(eid_database_get_int(f->database, "s", "a.i", &number));
    tu_assert_ok(eid_database_get_text(f->database, "s", "a.t", &text, &len));
    assert_true(truth && number == -3 && len == 4);
    assert_string_equal(text, "text");
    eid_free(text);
    text = NULL;
    tu_assert_ok(eid_database_get_doc(f->database, "s", "a.d", &doc));
    tu_assert_ok(eid_database_get_list(f->database, "s", "a.l", &list));
    tu_assert_ok(eid_database_get_json(f->database, "s", "a.l", &text, &len));
    assert_string_equal(text, "[1,2]");
    assert_true(eid_doc_len(doc) == 1 && eid_list_len(list) == 2 && len == 5);
    eid_free(text);
    eid_doc_free(doc);
    eid_list_free(list);
    tu_assert_ok(eid_database_contains(f->database, "s", "a.l.1", &truth));
    assert_true(truth);
    tu_assert_ok(eid_database_contains(f->database, "s", "a.l.2", &truth));
    assert_false(truth);

    tu_assert_fails(eid_database_get_int(f->database, "s", "a.t", &number), EID_ERR_TYPE_MISMATCH);
    assert_string_equal(eid_last_error(), "the value at \"a.t\" of store s is of kind text, not int");
    tu_assert_fails(eid_database_get_text(f->database, "s", "a.b", &text, NULL), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_database_get_bool(f->database, "s", "a", &truth), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_database_get_doc(f->database, "s", "a.l", &doc), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_database_get_list(f->database, "s", "a.d", &list), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_database_get_json(f->database, "s", "q", &text, NULL), EID_ERR_KEY_NOT_FOUND);
    assert_int_equal(number, -3);
}

/* ---- Memory ---- */

static eid_status change_step(void *ctx)
{
    fixture *f = ctx;
    eid_txn *txn;
    eid_value *value = NULL;
    char *before = NULL, *after = NULL;

    EID_TRY(eid_database_new_transaction(f->database, &txn));
    eid_status status = eid_docstore_set_json(txn, "s", "u", "{\"a\":[1,{\"b\":2}]}");
    if (status == EID_OK)
        status = eid_docstore_delete(txn, "s", "kept", NULL);
    if (status == EID_OK)
        status = eid_value_from_plain_json("{\"x\":[5]}", 9, &value);
    if (status == EID_OK)
        status = eid_docstore_get_json(txn, "s", "u", &before, NULL);
    if (status == EID_OK) {
        status = eid_docstore_set(txn, "s", "kept", value);
        if (status == EID_OK)
            status = eid_docstore_update(txn, "s", "u", value);
        if (status == EID_OK)
            status = eid_docstore_replace(txn, "s", "u", value);
        if (status == EID_OK)
            status = eid_docstore_push(txn, "s", "kept.x", value);
    }
    eid_free(after);
    eid_free(before);
    eid_value_free(value);
    eid_txn_free(txn);
    return status;
}

static void short_memory(void **state)
{
    fixture *f = *state;

    set_json(f, "kept", "{\"x\":[1,2],\"y\":3}");
    assert_true(tu_alloc_fault_loop(change_step, f) > 30);
    assert_now(f, "{\"kept\":{\"x\":[1,2],\"y\":3}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DATABASE(every_kind_comes_back),
        WITH_DATABASE(wrong_kinds_are_named),
        WITH_DATABASE(depth_and_size_are_bounded),
        WITH_DATABASE(an_update_stages_what_differs),
        WITH_DATABASE(concurrent_updates_both_stay),
        WITH_DATABASE(all_can_be_updated),
        WITH_DATABASE(replacing_leaves_nothing),
        WITH_DATABASE(all_can_be_replaced),
        WITH_DATABASE(a_missing_value_is_set),
        WITH_DATABASE(keys_are_shown_in_order),
        WITH_DATABASE(pages_of_a_long_store),
        WITH_DATABASE(the_handle_reads),
        WITH_SCARCE_MEMORY(short_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
