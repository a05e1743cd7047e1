/* SPDX-License-Identifier: Apache-2.0 */
/* Queries on tables: what can be asked, pages and cursors, callbacks that change the table. That the answers are right in
 * general is for test_table_random.c. */
#include "table_fixture.h"

#include <math.h>

/* The same with and without an index. */
static void assert_both(fixture *f, const eid_table_query *query, const char *wanted)
{
    char text[1024] = "";
    eid_table_result result = EID_TABLE_RESULT_INIT;
    tu_assert_ok(eid_database_table_find(f->database, "rows", query, append_key, text, &result));
    assert_string_equal(text, wanted);
    assert_false(result.indexed);
    eid_table_result_clear(&result);
    tu_assert_ok(eid_table_add_index(f->database, "rows", query->field));
    text[0] = '\0';
    tu_assert_ok(eid_database_table_find(f->database, "rows", query, append_key, text, &result));
    assert_string_equal(text, wanted);
    assert_true(result.indexed);
    eid_table_result_clear(&result);
    tu_assert_ok(eid_table_remove_index(f->database, "rows", query->field));
}

/* ---- Conditions ---- */

static void bounds_keep_to_their_kind(void **state)
{
    static const char *const values[] = {"null", "false", "true", "-2", "5", "5.5", "\"\"", "\"x\"", "[1,\"y\"]", "{}"};
    fixture *f = *state;
    fill(f, values, 10);
    eid_table_query query = on_v();
    assert_both(f, &query, "abcdiefgh");
    query.descending = true;
    assert_both(f, &query, "ihgfedcba");
    query.descending = false;
    query.lower = eid_table_int(5);
    assert_both(f, &query, "ef");
    query.lower_excluded = true;
    assert_both(f, &query, "f");
    query.lower_excluded = false;
    query.lower = eid_table_text("");
    assert_both(f, &query, "ghi");
    query.lower = eid_table_bool(false);
    assert_both(f, &query, "bc");
    query.lower = eid_table_null();
    assert_both(f, &query, "a");
    query.upper = eid_table_int(4);
    assert_both(f, &query, "abcdi");
    query.lower = (eid_table_value)EID_TABLE_ANY_VALUE;
    assert_both(f, &query, "di");
    query.upper = eid_table_text("x");
    assert_both(f, &query, "gh");
    query.upper_excluded = true;
    assert_both(f, &query, "g");
    query.lower = eid_table_int(6);
    assert_both(f, &query, "g");
    query.upper = eid_table_int(-7);
    assert_both(f, &query, "");
}

static void numbers_are_found_however_written(void **state)
{
    static const char *const values[] = {"0.1", "1e-1", "100000000000000000000000", "1e23", "9007199254740993", "9007199254740992"};
    fixture *f = *state;
    fill(f, values, 6);
    eid_table_query query = on_v();
    query.equals = eid_table_real(0.1);
    assert_both(f, &query, "ab");
    query.equals = eid_table_number("0.10");
    assert_both(f, &query, "ab");
    query.equals = eid_table_real(1e23);
    assert_both(f, &query, "cd");
    query.equals = eid_table_int(INT64_C(9007199254740993));
    assert_both(f, &query, "e");
    query.equals = eid_table_real(9007199254740992.0);
    assert_both(f, &query, "f");
    query.equals = eid_table_real(-0.0);
    assert_both(f, &query, "");
}

static void beginnings_are_found(void **state)
{
    static const char *const values[] = {"\"ab\"", "\"abc\"", "\"ac\"", "\"b\"", "\"\xc3\xa9t\xc3\xa9\"", "12", "[\"x\",\"abd\"]"};
    fixture *f = *state;
    fill(f, values, 7);
    eid_table_query query = on_v();
    query.prefix = "ab";
    assert_both(f, &query, "abg");
    query.descending = true;
    assert_both(f, &query, "gba");
    query.prefix = "\xc3\xa9";
    assert_both(f, &query, "e");
    query.prefix = "";
    assert_both(f, &query, "egdcba");
}

static void keys_are_asked_for_too(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    static const char *const keys[] = {"k1", "k2", "k21", "l", "\xc3\xa9"};
    for (size_t i = 0; i < 5; i++)
        tu_assert_ok(eid_table_set(txn, "rows", keys[i], "1"));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    eid_table_query query = EID_TABLE_QUERY_INIT;
    assert_found(f, &query, "k1k2k21l\xc3\xa9");
    query.descending = true;
    assert_found(f, &query, "\xc3\xa9lk21k2k1");
    query.prefix = "k2";
    assert_found(f, &query, "k21k2");
    query.prefix = NULL;
    query.lower = eid_table_text("k2");
    assert_found(f, &query, "\xc3\xa9lk21k2");
    query.lower_excluded = true;
    query.upper = eid_table_text("l");
    assert_found(f, &query, "lk21");
    query.upper_excluded = true;
    assert_found(f, &query, "k21");
    query.lower = query.upper = (eid_table_value)EID_TABLE_ANY_VALUE;
    query.equals = eid_table_text("k2");
    assert_found(f, &query, "k2");
    query.equals = eid_table_text("");
    assert_found(f, &query, "");
}

static void wrong_questions_are_refused(void **state)
{
    fixture *f = *state;
    set_row(f, "a", "{\"v\":1}");
    eid_table_query good = on_v(), query;
    eid_table_result result = {.rows = 77};
#define ASSERT_REFUSED(status) tu_assert_fails(eid_database_table_find(f->database, "rows", &query, append_key, NULL, NULL), status)
    query = (eid_table_query){.field = "v"};
    ASSERT_REFUSED(EID_ERR_INVALID_ARGUMENT);
    query = good;
    tu_assert_fails(eid_database_table_find(f->database, "rows", &query, NULL, NULL, &result), EID_ERR_INVALID_ARGUMENT);
    assert_int_equal(result.rows, 77);
    query.equals = eid_table_int(1);
    query.prefix = "x";
    ASSERT_REFUSED(EID_ERR_INVALID_ARGUMENT);
    query = good;
    query.equals = eid_table_int(1);
    query.upper = eid_table_int(1);
    ASSERT_REFUSED(EID_ERR_INVALID_ARGUMENT);
    query = good;
    query.prefix = "\xff";
    ASSERT_REFUSED(EID_ERR_UTF8);
    query = good;
    query.equals = eid_table_text("\xff");
    ASSERT_REFUSED(EID_ERR_UTF8);
    query.equals = eid_table_text(NULL);
    ASSERT_REFUSED(EID_ERR_UTF8);
    query.equals = eid_table_real(NAN);
    ASSERT_REFUSED(EID_ERR_INVALID_ARGUMENT);
    query.equals = eid_table_real(-INFINITY);
    ASSERT_REFUSED(EID_ERR_INVALID_ARGUMENT);
    query.equals = eid_table_number("0x10");
    ASSERT_REFUSED(EID_ERR_INVALID_ARGUMENT);
    query.equals = eid_table_number(NULL);
    ASSERT_REFUSED(EID_ERR_INVALID_ARGUMENT);
    query.equals = (eid_table_value){.kind = (eid_table_kind)99};
    ASSERT_REFUSED(EID_ERR_INVALID_ARGUMENT);
    query = good;
    query.field = "a..b";
    ASSERT_REFUSED(EID_ERR_INVALID_PATH);
    query.field = "\xff";
    ASSERT_REFUSED(EID_ERR_UTF8);
    query.field = NULL;
    query.lower = eid_table_int(1);
    ASSERT_REFUSED(EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_database_table_find(f->database, "_settings", &good, append_key, NULL, NULL), EID_ERR_STORE_NAME);
    tu_assert_fails(eid_database_table_scan(f->database, "rows", NULL, NULL, NULL), EID_ERR_INVALID_ARGUMENT);
}

/* ---- Pages ---- */

static void wrong_cursors_are_refused(void **state)
{
    static const char *const cursors[] = {"", "k", "f", "fa", "kae", "f!", "zae", "f7777", "kaeaq1"};
    fixture *f = *state;
    set_row(f, "a", "{\"v\":1}");
    for (size_t i = 0; i < sizeof cursors / sizeof *cursors; i++) {
        eid_table_query query = on_v();
        query.cursor = cursors[i];
        if (i != 3)
            ASSERT_REFUSED(EID_ERR_INVALID_ARGUMENT);
    }
}

/* One page of two rows; the cursor of the page before is replaced by the next. */
static void assert_page(fixture *f, eid_table_query *query, char **cursor, const char *wanted)
{
    char text[1024] = "";
    eid_table_result result = EID_TABLE_RESULT_INIT;
    query->limit = 2;
    query->cursor = *cursor;
    tu_assert_ok(eid_database_table_find(f->database, "rows", query, append_key, text, &result));
    assert_string_equal(text, wanted);
    assert_int_equal(result.rows, strlen(wanted));
    eid_free(*cursor);
    *cursor = result.cursor;
}

static void cursors_outlive_what_they_name(void **state)
{
    static const char *const values[] = {"1", "2", "3", "4", "5", "6", "7"};
    fixture *f = *state;
    fill(f, values, 7);
    eid_table_query query = on_v();
    char *cursor = NULL;
    assert_page(f, &query, &cursor, "ab");
    assert_non_null(cursor);
    /* What the page ended with goes away, one behind it comes, one moves to the front and one to the end. */
    delete_row(f, "b");
    set_row(f, "x", "{\"v\":2.5}");
    set_row(f, "c", "{\"v\":0}");
    set_row(f, "d", "{\"v\":9}");
    /* An index makes no difference to a cursor, nor does reopening. */
    tu_assert_ok(eid_table_add_index(f->database, "rows", "v"));
    reopen(f);
    assert_page(f, &query, &cursor, "xe");
    tu_assert_ok(eid_table_remove_index(f->database, "rows", "v"));
    assert_page(f, &query, &cursor, "fg");
    assert_page(f, &query, &cursor, "d");
    assert_null(cursor);
    query.descending = true;
    assert_page(f, &query, &cursor, "dg");
    assert_page(f, &query, &cursor, "fe");
    assert_page(f, &query, &cursor, "xa");
    assert_page(f, &query, &cursor, "c");
    assert_null(cursor);
    /* Exactly as many as the limit: there is no other page. */
    query.upper = eid_table_int(1);
    assert_page(f, &query, &cursor, "ac");
    assert_null(cursor);
}

static bool stop_at_c(const char *key, const char *row, size_t len, void *ctx)
{
    append_key(key, row, len, ctx);
    return strcmp(key, "c") != 0;
}

static bool no_b(const char *key, const char *row, size_t len, void *ctx)
{
    (void)row;
    (void)len;
    ++*(size_t *)ctx;
    return strcmp(key, "b") != 0;
}

static void callbacks_stop_and_predicates_choose(void **state)
{
    static const char *const values[] = {"1", "2", "3", "4"};
    fixture *f = *state;
    fill(f, values, 4);
    for (int indexed = 0; indexed < 2; indexed++) {
        eid_table_query query = on_v();
        eid_table_result result = EID_TABLE_RESULT_INIT;
        char text[1024] = "";
        size_t asked = 0;
        query.matches = no_b;
        query.matches_ctx = &asked;
        tu_assert_ok(eid_database_table_find(f->database, "rows", &query, stop_at_c, text, &result));
        assert_string_equal(text, "ac");
        assert_int_equal(result.rows, 2);
        assert_int_equal(asked, indexed ? 3 : 4);
        assert_int_equal(result.tested, indexed ? 3 : 4);
        assert_int_equal(result.indexed, indexed);
        query.cursor = result.cursor;
        tu_assert_ok(eid_database_table_find(f->database, "rows", &query, append_key, text, NULL));
        assert_string_equal(text, "acd");
        eid_table_result_clear(&result);
        assert_null(result.cursor);
        /* Without a callback rows are counted. */
        query.cursor = NULL;
        tu_assert_ok(eid_database_table_find(f->database, "rows", &query, NULL, NULL, &result));
        assert_int_equal(result.rows, 3);
        assert_null(result.cursor);
        if (!indexed)
            tu_assert_ok(eid_table_add_index(f->database, "rows", "v"));
    }
}

/* ---- Inside transactions ---- */

typedef struct changing {
    eid_txn *txn;
    char keys[1024];
} changing;

static bool change_row(const char *key, const char *row, size_t len, void *ctx)
{
    changing *c = ctx;
    char moved[64];
    append_key(key, row, len, c->keys);
    if (key[0] % 2 == 0) {
        tu_assert_ok(eid_table_delete(c->txn, "rows", key, NULL));
    } else {
        snprintf(moved, sizeof moved, "{\"v\":9%s}", row + 5 + (row[5] == '}'));
        moved[strcspn(moved, "}") + 1] = '\0';
        tu_assert_ok(eid_table_set(c->txn, "rows", key, moved));
    }
    return true;
}

static void callbacks_may_change_the_table(void **state)
{
    static const char *const values[] = {"1", "2", "3", "4", "5"};
    fixture *f = *state;
    fill(f, values, 5);
    tu_assert_ok(eid_table_add_index(f->database, "rows", "v"));
    changing c = {.txn = begin(f)};
    tu_assert_ok(eid_table_set(c.txn, "rows", "f", "{\"v\":6}"));
    eid_table_query query = on_v();
    tu_assert_ok(eid_table_find(c.txn, "rows", &query, change_row, &c, NULL));
    assert_string_equal(c.keys, "abcdef"); /* not what it staged itself */
    c.keys[0] = '\0';
    query.lower = eid_table_int(9);
    tu_assert_ok(eid_table_find(c.txn, "rows", &query, append_key, c.keys, NULL));
    assert_string_equal(c.keys, "ace");
    tu_assert_ok(eid_txn_commit_free(c.txn, NULL));
    assert_found(f, &query, "ace");
}

static void transactions_see_their_start(void **state)
{
    static const char *const values[] = {"1", "2", "3", "4"};
    fixture *f = *state;
    fill(f, values, 4);
    tu_assert_ok(eid_table_add_index(f->database, "rows", "v"));
    eid_txn *txn = begin(f);
    set_row(f, "a", "{\"v\":10}");
    set_row(f, "x", "{\"v\":2}");
    delete_row(f, "c");
    eid_table_query query = on_v();
    eid_table_result result = EID_TABLE_RESULT_INIT;
    char text[1024] = "";
    tu_assert_ok(eid_table_find(txn, "rows", &query, append_key, text, &result));
    assert_string_equal(text, "abcd");
    assert_true(result.indexed);
    tu_assert_ok(eid_table_set(txn, "rows", "b", "{\"v\":3.5}"));
    tu_assert_ok(eid_table_delete(txn, "rows", "a", NULL));
    text[0] = '\0';
    tu_assert_ok(eid_table_find(txn, "rows", &query, append_key, text, &result));
    assert_string_equal(text, "cbd");
    /* More changes than it is worth to work around: the answer is the same, without the index. */
    for (size_t i = 0; i <= EID_LIMIT_QUERY_CHANGES; i++)
        set_row(f, "d", "{\"v\":0}");
    text[0] = '\0';
    tu_assert_ok(eid_table_find(txn, "rows", &query, append_key, text, &result));
    assert_string_equal(text, "cbd");
    assert_false(result.indexed);
    eid_txn_free(txn);
    assert_found(f, &query, "dbxa");
}

typedef struct meddling {
    fixture *f;
    char keys[4096];
    size_t rows;
    bool replace;
} meddling;

/* In the middle of the rows somebody else commits, also in front of and behind the place. */
static bool meddle(const char *key, const char *row, size_t len, void *ctx)
{
    meddling *m = ctx;
    (void)len;
    char wanted[32];
    snprintf(wanted, sizeof wanted, "{\"v\":%zu}", m->rows);
    assert_string_equal(row, wanted);
    if (m->rows % 100 == 50) {
        eid_txn *txn = begin(m->f);
        if (m->replace && m->rows == 550) {
            eid_txn_store *store;
            tu_assert_ok(eid_txn_open_store(txn, "rows", EID_TYPE_TABLE, &store));
            eid_doc_set_atomic((eid_doc *)(uintptr_t)eid_txn_store_delta(store), true);
        }
        tu_assert_ok(eid_table_set(txn, "rows", key, "{\"v\":99999}"));
        tu_assert_ok(eid_table_set(txn, "rows", "other", "{\"v\":700.5}"));
        tu_assert_ok(eid_table_delete(txn, "rows", "k0800", NULL));
        tu_assert_ok(eid_txn_commit_free(txn, NULL));
    }
    m->rows++;
    return true;
}

static void one_answer_shows_one_state(void **state)
{
    fixture *f = *state;
    for (int replace = 0; replace < 2; replace++)
        for (int indexed = 0; indexed < 2; indexed++) {
            eid_txn *txn = begin(f);
            for (size_t i = 0; i < 1200; i++) {
                char key[16], row[32];
                snprintf(key, sizeof key, "k%04zu", i);
                snprintf(row, sizeof row, "{\"v\":%zu}", i);
                tu_assert_ok(eid_table_set(txn, "rows", key, row));
            }
            tu_assert_ok(eid_table_delete(txn, "rows", "other", NULL));
            tu_assert_ok(eid_txn_commit_free(txn, NULL));
            eid_status status = indexed ? eid_table_add_index(f->database, "rows", "v") : EID_OK;
            assert_true(status == EID_OK || status == EID_ERR_ALREADY_EXISTS);
            meddling m = {.f = f, .replace = replace != 0};
            eid_table_query query = on_v();
            tu_assert_ok(eid_database_table_find(f->database, "rows", &query, meddle, &m, NULL));
            assert_int_equal(m.rows, 1200);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(bounds_keep_to_their_kind),
        IN_MEMORY(numbers_are_found_however_written),
        IN_MEMORY(beginnings_are_found),
        IN_MEMORY(keys_are_asked_for_too),
        IN_MEMORY(wrong_questions_are_refused),
        IN_MEMORY(wrong_cursors_are_refused),
        IN_A_FILE(cursors_outlive_what_they_name),
        IN_MEMORY(callbacks_stop_and_predicates_choose),
        IN_MEMORY(callbacks_may_change_the_table),
        IN_MEMORY(transactions_see_their_start),
        IN_MEMORY(one_answer_shows_one_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
