/* SPDX-License-Identifier: Apache-2.0 */
/* Queries on tables: what can be asked, pages and cursors, callbacks that change the table, indexes and their ends. That the
 * answers are right in general is for test_table_random.c. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <eidetica/maintenance.h>
#include <eidetica/memory.h>
#include <eidetica/table.h>

#include "../database/database_test.h"
#include "base/random.h"
#include "state/index.h"

typedef struct fixture {
    char *dir;
    char *path;
    eid_core *core;
    eid_database *database;
} fixture;

static int open_memory(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->core = dt_memory();
    f->database = dt_create(f->core);
    *state = f;
    return 0;
}

static int open_file(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->dir = tu_temp_dir();
    f->path = tu_path(f->dir, "table.db");
    f->core = dt_open(f->path);
    f->database = dt_create(f->core);
    *state = f;
    return 0;
}

static int close_all(void **state)
{
    fixture *f = *state;
    eid_database_close(f->database);
    eid_core_close(f->core);
    if (f->dir != NULL)
        tu_temp_dir_remove(f->dir);
    free(f->path);
    free(f);
    return 0;
}

static void reopen(fixture *f)
{
    eid_id id = *eid_database_root_id(f->database);
    eid_database_close(f->database);
    eid_core_close(f->core);
    f->core = dt_open(f->path);
    f->database = dt_open_as(f->core, &id, 1);
}

static eid_txn *begin(fixture *f)
{
    eid_txn *txn;
    tu_assert_ok(eid_database_new_transaction(f->database, &txn));
    return txn;
}

static void set_row(fixture *f, const char *key, const char *row)
{
    eid_txn *txn = begin(f);
    tu_assert_ok(eid_table_set(txn, "rows", key, row));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
}

static void delete_row(fixture *f, const char *key)
{
    eid_txn *txn = begin(f);
    tu_assert_ok(eid_table_delete(txn, "rows", key, NULL));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
}

/* Rows under the keys a, b, …, with these values in the member "v". */
static void fill(fixture *f, const char *const *values, size_t count)
{
    eid_txn *txn = begin(f);
    for (size_t i = 0; i < count; i++) {
        char key[2] = {(char)('a' + i), '\0'}, row[512];
        snprintf(row, sizeof row, "{\"v\":%s}", values[i]);
        tu_assert_ok(eid_table_set(txn, "rows", key, row));
    }
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
}

static eid_table_query on_v(void)
{
    eid_table_query query = EID_TABLE_QUERY_INIT;
    query.field = "v";
    return query;
}

/* The keys one behind the other. */
static bool append_key(const char *key, const char *row, size_t len, void *ctx)
{
    char *text = ctx;
    assert_int_equal(strlen(row), len);
    if (strlen(text) < 500)
        strncat(text, key, 500);
    return true;
}

static void assert_found(fixture *f, const eid_table_query *query, const char *wanted)
{
    char text[1024] = "";
    tu_assert_ok(eid_database_table_find(f->database, "rows", query, append_key, text, NULL));
    assert_string_equal(text, wanted);
}

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

/* ---- Indexes ---- */

static void assert_indexes(fixture *f, const char *wanted)
{
    eid_table_index *list;
    size_t count;
    char text[1024] = "";
    tu_assert_ok(eid_table_indexes(f->database, "rows", &list, &count));
    for (size_t i = 0; i < count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s ", list[i].field, list[i].ready ? "" : "?");
    eid_free(list);
    assert_string_equal(text, wanted);
}

static int64_t count_of(fixture *f, const char *sql)
{
    return ti_number(f->core, sql);
}

static void indexes_are_kept_in_the_file(void **state)
{
    static const char *const values[] = {"3", "1", "2"};
    fixture *f = *state;
    assert_indexes(f, "");
    fill(f, values, 3);
    tu_assert_ok(eid_table_add_index(f->database, "rows", "v"));
    tu_assert_ok(eid_table_add_index(f->database, "rows", "address.city"));
    tu_assert_fails(eid_table_add_index(f->database, "rows", "v"), EID_ERR_ALREADY_EXISTS);
    assert_indexes(f, "v address.city ");
    reopen(f);
    assert_indexes(f, "v address.city ");
    assert_int_equal(count_of(f, "SELECT COUNT(*) FROM index_row"), 3);
    set_row(f, "d", "{\"v\":[7,8,8.0],\"address\":{\"city\":\"Porto\"}}");
    assert_int_equal(count_of(f, "SELECT COUNT(*) FROM index_row"), 6);
    tu_assert_ok(eid_table_remove_index(f->database, "rows", "v"));
    tu_assert_fails(eid_table_remove_index(f->database, "rows", "v"), EID_ERR_NOT_FOUND);
    assert_indexes(f, "address.city ");
    assert_int_equal(count_of(f, "SELECT COUNT(*) FROM index_row"), 1);
    assert_int_equal(count_of(f, "SELECT COUNT(*) FROM index_state"), 1);
    reopen(f);
    assert_indexes(f, "address.city ");
    delete_row(f, "d");
    assert_int_equal(count_of(f, "SELECT COUNT(*) FROM index_row"), 0);
    tu_assert_ok(eid_table_add_index(f->database, "rows", "v"));
    assert_indexes(f, "address.city v ");
    assert_int_equal(count_of(f, "SELECT COUNT(*) FROM index_row"), 3);
}

static void indexes_have_bounds(void **state)
{
    fixture *f = *state;
    char field[EID_LIMIT_INDEX_FIELD + 2];
    set_row(f, "a", "{\"v\":1}");
    for (int i = 0; i < EID_LIMIT_INDEX_PER_TABLE; i++) {
        snprintf(field, sizeof field, "field \"%d\"", i);
        tu_assert_ok(eid_table_add_index(f->database, "rows", field));
    }
    tu_assert_fails(eid_table_add_index(f->database, "rows", "one more"), EID_ERR_LIMIT);
    tu_assert_ok(eid_table_remove_index(f->database, "rows", "field \"3\""));
    tu_assert_ok(eid_table_add_index(f->database, "rows", "one more"));
    memset(field, 'x', sizeof field);
    field[sizeof field - 1] = '\0';
    tu_assert_fails(eid_table_add_index(f->database, "rows", field), EID_ERR_INVALID_PATH);
    tu_assert_fails(eid_table_add_index(f->database, "rows", ""), EID_ERR_INVALID_PATH);
    tu_assert_fails(eid_table_add_index(f->database, "_index", "v"), EID_ERR_STORE_NAME);
    tu_assert_fails(eid_table_remove_index(f->database, "_index", "v"), EID_ERR_STORE_NAME);
    dt_commit_int(f->database, "doc", "k", 1);
    tu_assert_fails(eid_table_add_index(f->database, "doc", "v"), EID_ERR_TYPE_MISMATCH);
}

static void tables_to_come_can_have_indexes(void **state)
{
    fixture *f = *state;
    tu_assert_ok(eid_table_add_index(f->database, "rows", "v"));
    assert_indexes(f, "v ");
    eid_table_query query = on_v();
    assert_found(f, &query, "");
    set_row(f, "b", "{\"v\":1}");
    set_row(f, "a", "{\"v\":2}");
    eid_table_result result = EID_TABLE_RESULT_INIT;
    char text[1024] = "";
    tu_assert_ok(eid_database_table_find(f->database, "rows", &query, append_key, text, &result));
    assert_string_equal(text, "ba");
    assert_true(result.indexed);
    assert_indexes(f, "v ");
}

static void indexes_are_nobody_elses_business(void **state)
{
    static const char *const values[] = {"3", "1", "2"};
    fixture *f = *state;
    const eid_id *id = eid_database_root_id(f->database);
    size_t before, after;
    fill(f, values, 3);
    eid_entry **entries = dt_entries(f->core, id, &before);
    th_free_entries(entries, before);
    tu_assert_ok(eid_table_add_index(f->database, "rows", "v"));
    entries = dt_entries(f->core, id, &after);
    assert_int_equal(before, after);
    fixture other = {.core = dt_memory()};
    dt_receive(other.core, id, entries, after);
    th_free_entries(entries, after);
    other.database = dt_open_as(other.core, id, 0); /* one who may only read can have indexes too */
    assert_indexes(&other, "");
    tu_assert_ok(eid_table_add_index(other.database, "rows", "other"));
    assert_indexes(&other, "other ");
    eid_database_close(other.database);
    eid_core_close(other.core);
}

/* ---- Unfinished work ---- */

static void fill_many(fixture *f, size_t count)
{
    for (size_t i = 0; i < count;) {
        eid_txn *txn = begin(f);
        for (size_t k = 0; k < 1000 && i < count; k++, i++) {
            char key[16], row[64];
            snprintf(key, sizeof key, "k%06zu", i);
            snprintf(row, sizeof row, "{\"v\":%zu}", i * 7919 % count);
            tu_assert_ok(eid_table_set(txn, "rows", key, row));
        }
        tu_assert_ok(eid_txn_commit_free(txn, NULL));
    }
}

/* What a crash in the middle of eid_table_add_index leaves: a declaration, and so many slices. */
static void leave_unfinished(fixture *f, size_t slices)
{
    eid_storage *storage = eid_core_storage(f->core);
    eid_tree *tree;
    eid_tree_store *store;
    bool flag;
    eid_slice rows = eid_slice_text("rows"), field = eid_slice_text("v");
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_begin(storage));
    tu_assert_ok(eid_storage_tree(storage, eid_database_root_id(f->database), &tree));
    tu_assert_ok(eid_field_index_declare(storage, tree, rows, field));
    for (size_t i = 0; i < slices; i++) {
        tu_assert_ok(eid_storage_store(storage, tree, rows, &store));
        tu_assert_ok(eid_field_index_build(storage, tree, store, field, &flag));
        assert_false(flag);
    }
    tu_assert_ok(eid_storage_commit(storage));
    eid_storage_unlock(storage);
}

static void unfinished_indexes_are_completed(void **state)
{
    fixture *f = *state;
    fill_many(f, 2000);
    for (size_t slices = 0; slices < 4; slices++) {
        leave_unfinished(f, slices);
        if (slices % 2 == 1)
            reopen(f);
        assert_indexes(f, "v? ");
        /* Changes meanwhile, on both sides of the place. */
        set_row(f, "k000000", "{\"v\":5000}");
        set_row(f, "k001999", "{\"v\":6000}");
        delete_row(f, "k000700");
        eid_table_query query = on_v();
        eid_table_result result = EID_TABLE_RESULT_INIT;
        char text[1024] = "";
        if (slices == 2)
            tu_assert_ok(eid_table_add_index(f->database, "rows", "v"));
        query.lower = eid_table_int(1999);
        tu_assert_ok(eid_database_table_find(f->database, "rows", &query, append_key, text, &result));
        assert_true(result.indexed);
        assert_string_equal(text + strlen(text) - 14, "k000000k001999");
        assert_indexes(f, "v ");
        assert_int_equal(count_of(f, "SELECT COUNT(*) FROM index_row"), 1999);
        eid_check_report report;
        tu_assert_ok(eid_core_check(f->core, NULL, EID_CHECK_DEFAULT, &report));
        assert_int_equal(report.problems, 0);
        tu_assert_ok(eid_table_remove_index(f->database, "rows", "v"));
        set_row(f, "k000700", "{\"v\":1}");
    }
}

static void damaged_indexes_are_found_and_mended(void **state)
{
    static const char *const values[] = {"3", "1", "2"};
    fixture *f = *state;
    fill(f, values, 3);
    tu_assert_ok(eid_table_add_index(f->database, "rows", "v"));
    eid_storage *storage = eid_core_storage(f->core);
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_begin(storage));
    tu_assert_ok(eid_sql_exec(eid_storage_sql(storage), "DELETE FROM index_row WHERE key = CAST('a' AS BLOB);"
                                                        "UPDATE index_row SET value = x'40' WHERE key = CAST('b' AS BLOB);"));
    tu_assert_ok(eid_storage_commit(storage));
    eid_storage_unlock(storage);
    eid_check_report report;
    tu_assert_ok(eid_core_check(f->core, NULL, EID_CHECK_DEFAULT, &report));
    assert_int_equal(report.wrong_indexes, 3); /* one is missing, one wrong: there it is too much, and missing elsewhere */
    assert_int_equal(report.problems, 3);
    assert_non_null(strstr(report.text, "index row of key a: missing"));
    tu_assert_ok(eid_core_check(f->core, NULL, EID_CHECK_REPAIR, &report));
    assert_true(report.repaired);
    tu_assert_ok(eid_core_check(f->core, NULL, EID_CHECK_DEFAULT, &report));
    assert_int_equal(report.problems, 0);
    eid_table_query query = on_v();
    assert_found(f, &query, "bca");
    assert_indexes(f, "v ");
}

/* ---- Failures ---- */

/* Every call of the storage fails in turn. A failed call leaves an answer that is right, and what was asked for can be had by
 * asking again. */
static void storage_failures_leave_right_answers(void **state)
{
    fixture *f = *state;
    eid_sql *sql = eid_storage_sql(eid_core_storage(f->core));
    eid_table_query query = on_v();
    query.lower = eid_table_int(597);
    fill_many(f, 600);
    size_t failed = 0;
    for (uint64_t n = 1;; n++) {
        eid_sql_fail_after(sql, n);
        eid_status added = eid_table_add_index(f->database, "rows", "v");
        eid_sql_fail_after(sql, 0);
        char text[1024] = "";
        tu_assert_ok(eid_database_table_find(f->database, "rows", &query, append_key, text, NULL));
        assert_int_equal(strlen(text), 21);
        if (added == EID_OK)
            break;
        failed++;
        assert_int_equal(added, EID_ERR_STORAGE);
        eid_sql_fail_after(sql, 1 + n % 40);
        eid_status removed = eid_table_remove_index(f->database, "rows", "v");
        eid_sql_fail_after(sql, 0);
        if (removed == EID_ERR_STORAGE)
            removed = eid_table_remove_index(f->database, "rows", "v");
        assert_true(removed == EID_OK || removed == EID_ERR_NOT_FOUND);
    }
    assert_true(failed > 600);
    for (uint64_t n = 1;; n++) {
        char text[1024] = "";
        eid_sql_fail_after(sql, n);
        eid_status found = eid_database_table_find(f->database, "rows", &query, append_key, text, NULL);
        eid_sql_fail_after(sql, 0);
        if (found == EID_OK) {
            assert_int_equal(strlen(text), 21);
            break;
        }
    }
    eid_check_report report;
    tu_assert_ok(eid_core_check(f->core, NULL, EID_CHECK_DEFAULT, &report));
    assert_int_equal(report.problems, 0);
}

static eid_status use_everything(void *ctx)
{
    fixture *f = ctx;
    eid_table_query query = on_v();
    eid_table_result result = EID_TABLE_RESULT_INIT;
    eid_table_index *list;
    eid_txn *txn;
    size_t count;
    char text[1024] = "";
    EID_TRY(eid_table_add_index(f->database, "rows", "v"));
    EID_TRY(eid_table_indexes(f->database, "rows", &list, &count));
    assert_int_equal(count, 1);
    eid_free(list);
    EID_TRY(eid_database_new_transaction(f->database, &txn));
    eid_status status = eid_table_set(txn, "rows", "a", "{\"v\":3}");
    if (status == EID_OK)
        status = eid_table_set(txn, "rows", "b", "{\"v\":1}");
    if (status == EID_OK)
        status = eid_txn_commit_free(txn, NULL);
    else
        eid_txn_free(txn);
    EID_TRY(status);
    EID_TRY(eid_database_new_transaction(f->database, &txn));
    status = eid_table_set(txn, "rows", "d", "{\"v\":1.5}");
    query.limit = 2;
    if (status == EID_OK)
        status = eid_table_find(txn, "rows", &query, append_key, text, &result);
    if (status == EID_OK)
        assert_string_equal(text, "bd");
    query.cursor = result.cursor;
    if (status == EID_OK)
        status = eid_table_find(txn, "rows", &query, append_key, text, NULL);
    if (status == EID_OK)
        assert_string_equal(text, "bda");
    query.field = "w";
    query.cursor = NULL;
    if (status == EID_OK)
        status = eid_table_find(txn, "rows", &query, NULL, NULL, NULL);
    eid_table_result_clear(&result);
    eid_txn_free(txn);
    return status == EID_OK ? eid_table_remove_index(f->database, "rows", "v") : status;
}

static eid_status live_once(void *ctx)
{
    eid_core_options options = {.path = ":memory:", .clock = eid_clock_system};
    fixture f = {NULL, NULL, NULL, NULL};
    eid_doc *settings = NULL;
    eid_status status = eid_core_open(&options, &f.core);
    if (status == EID_OK)
        status = eid_doc_new(&settings);
    if (status == EID_OK)
        status = eid_database_create(f.core, settings, ctx, &f.database);
    if (status == EID_OK)
        status = use_everything(&f);
    eid_doc_free(settings);
    eid_database_close(f.database);
    eid_core_close(f.core);
    return status;
}

static void memory_failures_leave_nothing_behind(void **state)
{
    eid_keypair *key = dt_key(1);
    (void)state;
    tu_assert_ok(live_once(key));
    assert_true(tu_alloc_fault_loop(live_once, key) > 100);
    eid_keypair_free(key);
}

/* ---- Many ---- */

static bool check_order(const char *key, const char *row, size_t len, void *ctx)
{
    long *last = ctx, value = strtol(row + 5, NULL, 10);
    (void)key;
    (void)len;
    assert_int_equal(value, *last + 1);
    *last = value;
    return true;
}

static void large_tables_answer_from_the_index(void **state)
{
    fixture *f = *state;
    uint64_t count;
    long last = -1;
    fill_many(f, 100000);
    tu_assert_ok(eid_table_add_index(f->database, "rows", "v"));
    tu_assert_ok(eid_database_table_count(f->database, "rows", &count));
    assert_int_equal(count, 100000);
    eid_table_query query = on_v();
    eid_table_result result = EID_TABLE_RESULT_INIT;
    tu_assert_ok(eid_database_table_find(f->database, "rows", &query, check_order, &last, &result));
    assert_int_equal(last, 99999);
    query.equals = eid_table_int(77777);
    last = 77776;
    tu_assert_ok(eid_database_table_find(f->database, "rows", &query, check_order, &last, &result));
    assert_int_equal(result.rows, 1);
    assert_int_equal(result.tested, 1);
    reopen(f);
    query.equals = (eid_table_value)EID_TABLE_ANY_VALUE;
    query.lower = eid_table_int(50000);
    query.limit = 10;
    last = 49999;
    tu_assert_ok(eid_database_table_find(f->database, "rows", &query, check_order, &last, &result));
    assert_int_equal(result.tested, 10);
    eid_table_result_clear(&result);
}

static void new_keys_stand_together(void **state)
{
    fixture *f = *state;
    char first[EID_ROW_KEY_SIZE], last[EID_ROW_KEY_SIZE], next[EID_ROW_KEY_SIZE];
    eid_txn *txn = begin(f);
    eid_uuid uuid;
    tu_assert_ok(eid_table_insert(txn, "rows", "0", first));
    strcpy(last, first);
    for (int i = 0; i < 5000; i++) {
        tu_assert_ok(eid_table_insert(txn, "rows", "1", next));
        assert_true(strcmp(last, next) < 0);
        assert_memory_equal(first, next, 8);
        assert_true(eid_uuid_parse(eid_slice_text(next), &uuid));
        assert_int_equal(uuid.bytes[6] >> 4, 4);
        assert_int_equal(uuid.bytes[8] >> 6, 2);
        strcpy(last, next);
    }
    eid_txn_free(txn);
    txn = begin(f);
    tu_assert_ok(eid_table_insert(txn, "rows", "0", next));
    assert_memory_not_equal(first, next, 8);
    eid_txn_free(txn);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, open_memory, close_all)
#define IN_A_FILE(test) cmocka_unit_test_setup_teardown(test, open_file, close_all)

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
        IN_A_FILE(indexes_are_kept_in_the_file),
        IN_MEMORY(indexes_have_bounds),
        IN_MEMORY(tables_to_come_can_have_indexes),
        IN_MEMORY(indexes_are_nobody_elses_business),
        IN_A_FILE(unfinished_indexes_are_completed),
        IN_MEMORY(damaged_indexes_are_found_and_mended),
        IN_MEMORY(storage_failures_leave_right_answers),
        cmocka_unit_test(memory_failures_leave_nothing_behind),
        IN_A_FILE(large_tables_answer_from_the_index),
        IN_MEMORY(new_keys_stand_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
