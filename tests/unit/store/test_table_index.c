/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes of tables: where they are kept, what bounds them, what an interrupted or failed call leaves, and many rows. */
#include "table_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/random.h"
#include "state/index.h"

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

/* ---- Side by side ---- */

typedef struct company {
    eid_core *core;
    eid_id id;
    atomic_bool over;
    atomic_int found; /* answers compared */
} company;

#define COMPANY_ROWS 700 /* more than a slice, so that work is interrupted */

static void *write_rows(void *ctx)
{
    company *c = ctx;
    eid_database *database = dt_open_as(c->core, &c->id, 1);
    for (unsigned i = 0; !c->over; i++) {
        eid_txn *txn;
        tu_assert_ok(eid_database_new_transaction(database, &txn));
        for (unsigned k = 0; k < 5; k++) {
            char key[16], row[32];
            snprintf(key, sizeof key, "k%06u", (i * 31 + k * 97) % COMPANY_ROWS);
            snprintf(row, sizeof row, "{\"v\":%u}", (i + k * k) % 100);
            if (i % 7 == k)
                tu_assert_ok(eid_table_delete(txn, "rows", key, NULL));
            else
                tu_assert_ok(eid_table_set(txn, "rows", key, row));
        }
        tu_assert_ok(eid_txn_commit_free(txn, NULL));
    }
    eid_database_close(database);
    return NULL;
}

static void *change_indexes(void *ctx)
{
    company *c = ctx;
    eid_database *database = dt_open_as(c->core, &c->id, 1);
    while (!c->over) {
        tu_assert_ok(eid_table_add_index(database, "rows", "v"));
        tu_assert_ok(eid_table_remove_index(database, "rows", "v"));
    }
    eid_database_close(database);
    return NULL;
}

static bool count_if_high(const char *key, const char *row, size_t len, void *ctx)
{
    (void)key;
    (void)len;
    *(size_t *)ctx += strtol(row + 5, NULL, 10) >= 50;
    return true;
}

static void *compare_answers(void *ctx)
{
    company *c = ctx;
    eid_database *database = dt_open_as(c->core, &c->id, 0);
    while (c->found < 60) {
        eid_txn *txn;
        size_t wanted = 0;
        eid_table_query query = on_v();
        eid_table_result result = EID_TABLE_RESULT_INIT;
        query.lower = eid_table_int(50);
        query.descending = c->found % 2 == 0;
        tu_assert_ok(eid_database_new_transaction(database, &txn));
        tu_assert_ok(eid_table_find(txn, "rows", &query, NULL, NULL, &result));
        tu_assert_ok(eid_table_scan(txn, "rows", NULL, count_if_high, &wanted));
        assert_int_equal(result.rows, wanted);
        eid_txn_free(txn);
        c->found++;
    }
    c->over = true;
    eid_database_close(database);
    return NULL;
}

static void indexes_come_and_go_while_others_work(void **state)
{
    fixture *f = *state;
    fill_many(f, COMPANY_ROWS);
    company c = {.core = f->core, .id = *eid_database_root_id(f->database)};
    void *(*const work[])(void *) = {write_rows, change_indexes, compare_answers};
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work[i], &c), 0);
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    eid_check_report report;
    tu_assert_ok(eid_table_add_index(f->database, "rows", "v"));
    tu_assert_ok(eid_core_check(f->core, NULL, EID_CHECK_DEFAULT, &report));
    assert_int_equal(report.problems, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
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
        IN_MEMORY(indexes_come_and_go_while_others_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
