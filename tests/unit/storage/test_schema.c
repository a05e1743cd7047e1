/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing files of older formats up to date: every step once, in order, each whole or not at all. */
#include <stdlib.h>

#include "storage_test.h"

/* ---- A library some versions from now ---- */

static eid_status fail_on_purpose(eid_storage *storage)
{
    (void)storage;
    return eid_fail(EID_ERR_DISK_FULL, "no room for the new table");
}

/* Needs what the text of its step made, and what the step before left behind. */
static eid_status fill_table(eid_storage *storage)
{
    return eid_sql_exec(eid_storage_journal(storage), "INSERT INTO steps (v) VALUES (4)");
}

static const eid_schema_step steps[] = {
    {4, "INSERT INTO steps (v) VALUES (5); ALTER TABLE entry ADD COLUMN colour TEXT NOT NULL DEFAULT 'none';", NULL},
    {2, "CREATE TABLE steps (v INTEGER NOT NULL); INSERT INTO steps (v) VALUES (3);", NULL},
    {3, NULL, fill_table},
};
static const eid_schema future = {.version = 5, .create = "not sql", .steps = steps, .step_count = 3};

static const eid_schema_step broken_steps[] = {
    {2, "CREATE TABLE steps (v INTEGER NOT NULL); INSERT INTO steps (v) VALUES (3);", NULL},
    {3, "DELETE FROM steps; CREATE TABLE half (x INTEGER);", fail_on_purpose},
};
static const eid_schema broken = {.version = 4, .create = "not sql", .steps = broken_steps, .step_count = 2};

static const eid_schema gap = {.version = 5, .create = "not sql", .steps = steps, .step_count = 2};

static eid_status open_with(eid_storage *storage, const eid_schema *schema)
{
    eid_storage_lock(storage);
    eid_status status = eid_schema_open(storage, schema);
    eid_storage_unlock(storage);
    return status;
}

static int64_t number(eid_storage *storage, const char *text)
{
    eid_sql_stmt *stmt;
    bool row;
    tu_assert_ok(eid_sql_prepare(eid_storage_journal(storage), text, &stmt));
    tu_assert_ok(eid_sql_step(stmt, &row));
    assert_true(row);
    int64_t value = eid_sql_i64(stmt, 0);
    eid_sql_reset(stmt);
    return value;
}

static void assert_version(eid_storage *storage, const char *want)
{
    eid_buf text;
    eid_buf_init(&text, 64);
    tu_assert_ok(eid_storage_meta_get(storage, "schema_version", &text));
    assert_int_equal(text.len, strlen(want));
    assert_memory_equal(text.data, want, text.len);
    eid_buf_free(&text);
}

/* A file of today with something in it, which is an old one for the library above. */
static eid_storage *old_file(const char *path)
{
    eid_storage *storage = st_open(path);
    eid_entry *root = st_root(1);
    eid_tree *tree;
    ST_IN_TRANSACTION(storage, st_admit_root(storage, root, &tree));
    eid_entry_unref(root);
    return storage;
}

static void test_every_step_in_order(void **state)
{
    (void)state;
    char *dir = tu_temp_dir(), *path = tu_path(dir, "data.db");
    eid_storage *storage = old_file(path);
    assert_version(storage, "2");
    tu_assert_ok(open_with(storage, &future));
    assert_version(storage, "5");
    assert_int_equal(number(storage, "SELECT COUNT(*) FROM steps"), 3);
    assert_int_equal(number(storage, "SELECT SUM(v * rowid) FROM steps"), 3 + 2 * 4 + 3 * 5);
    assert_int_equal(number(storage, "SELECT COUNT(*) FROM entry WHERE colour = 'none'"), 1);
    /* Nothing is done twice. */
    tu_assert_ok(open_with(storage, &future));
    assert_int_equal(number(storage, "SELECT COUNT(*) FROM steps"), 3);
    eid_storage_close(storage);
    /* What the library of today says to that file. */
    eid_storage_options options = {.path = path, .must_exist = true};
    tu_assert_fails(eid_storage_open(&options, &storage), EID_ERR_SCHEMA_VERSION);
    free(path);
    tu_temp_dir_remove(dir);
}

static void test_a_failing_step_changes_nothing(void **state)
{
    (void)state;
    char *dir = tu_temp_dir(), *path = tu_path(dir, "data.db");
    eid_storage *storage = old_file(path);
    tu_assert_fails(open_with(storage, &broken), EID_ERR_DISK_FULL);
    assert_non_null(strstr(eid_last_error(), "from format 3 to 4"));
    assert_version(storage, "3");
    assert_int_equal(number(storage, "SELECT COUNT(*) FROM steps"), 1);
    assert_int_equal(number(storage, "SELECT COUNT(*) FROM sqlite_master WHERE name = 'half'"), 0);
    /* A library without the mistake goes on from there. */
    tu_assert_ok(open_with(storage, &future));
    assert_version(storage, "5");
    assert_int_equal(number(storage, "SELECT COUNT(*) FROM steps"), 3);
    eid_storage_close(storage);
    free(path);
    tu_temp_dir_remove(dir);
}

/* Every call of the engine failing in turn: the file is of one version or of the next, never between. */
static void test_interrupted_at_every_call(void **state)
{
    (void)state;
    for (uint64_t call = 1;; call++) {
        eid_storage *storage = old_file(":memory:");
        eid_sql_fail_after(eid_storage_journal(storage), call);
        eid_status status = open_with(storage, &future);
        bool fired = eid_sql_calls_left(eid_storage_journal(storage)) == 0;
        eid_sql_fail_after(eid_storage_journal(storage), 0);
        assert_int_equal(status, fired ? EID_ERR_STORAGE : EID_OK);
        tu_assert_ok(open_with(storage, &future));
        assert_version(storage, "5");
        assert_int_equal(number(storage, "SELECT COUNT(*) FROM steps"), 3);
        eid_storage_close(storage);
        if (!fired) {
            assert_true(call > 10);
            return;
        }
    }
}

static void test_no_way_from_there(void **state)
{
    (void)state;
    eid_storage *storage = old_file(":memory:");
    tu_assert_fails(open_with(storage, &gap), EID_ERR_SCHEMA_VERSION);
    assert_version(storage, "3"); /* as far as there was a way */
    assert_non_null(strstr(eid_last_error(), "can not bring to format 5"));
    tu_assert_fails(open_with(storage, &eid_schema_present), EID_ERR_SCHEMA_VERSION);
    assert_non_null(strstr(eid_last_error(), "newer library"));
    eid_storage_close(storage);
}

/* The steps of this library lead from the first version to the present one without a gap. */
static void test_present_steps(void **state)
{
    (void)state;
    for (int64_t version = 1; version < eid_schema_present.version; version++) {
        size_t found = 0;
        for (size_t i = 0; i < eid_schema_present.step_count; i++)
            found += eid_schema_present.steps[i].from == version;
        assert_int_equal(found, 1);
    }
    assert_int_equal(eid_schema_present.step_count, eid_schema_present.version - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_step_in_order),
        cmocka_unit_test(test_a_failing_step_changes_nothing),
        cmocka_unit_test(test_interrupted_at_every_call),
        cmocka_unit_test(test_no_way_from_there),
        cmocka_unit_test(test_present_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
