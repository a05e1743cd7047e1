/* SPDX-License-Identifier: Apache-2.0 */
/* Table: rows under UUIDs and chosen keys, scans over committed and staged rows, deletions, refused keys and
 * rows. */
#include "fixture.h"

#include <stdio.h>

#include "base/random.h"

static void assert_row(eid_txn *txn, const char *key, const char *wanted)
{
    char *row;
    size_t len;

    tu_assert_ok(eid_table_get(txn, "rows", key, &row, &len));
    assert_string_equal(row, wanted);
    assert_int_equal(len, strlen(wanted));
    eid_free(row);
}

static void assert_no_row(eid_txn *txn, const char *key)
{
    char *row = NULL;

    tu_assert_fails(eid_table_get(txn, "rows", key, &row, NULL), EID_ERR_KEY_NOT_FOUND);
    assert_null(row);
}

/* What a scan shows, as "key=row;…"; stops after `limit` rows. */
typedef struct seen {
    char text[4096];
    size_t rows;
    size_t limit;
} seen;

static bool show(const char *key, const char *row, size_t len, void *ctx)
{
    seen *s = ctx;

    assert_int_equal(strlen(row), len);
    snprintf(s->text + strlen(s->text), sizeof s->text - strlen(s->text), "%s=%s;", key, row);
    return ++s->rows < s->limit;
}

static void assert_scan(eid_txn *txn, const char *after, size_t limit, const char *wanted)
{
    seen s = {"", 0, limit};

    tu_assert_ok(eid_table_scan(txn, "rows", after, show, &s));
    assert_string_equal(s.text, wanted);
}

static void assert_database_scan(fixture *f, const char *after, size_t limit, const char *wanted)
{
    seen s = {"", 0, limit};

    tu_assert_ok(eid_database_table_scan(f->database, "rows", after, show, &s));
    assert_string_equal(s.text, wanted);
}

static void inserted_rows_get_fresh_uuids(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    char first[EID_ROW_KEY_SIZE], second[EID_ROW_KEY_SIZE], expected[200];
    eid_uuid uuid;
    eid_id id;

    tu_assert_ok(eid_table_insert(txn, "rows", "[1,2]", first));
    tu_assert_ok(eid_table_insert(txn, "rows", "[3]", second));
    assert_int_equal(strlen(first), 36);
    assert_true(eid_uuid_parse(eid_slice_text(first), &uuid));
    assert_int_equal(uuid.bytes[6] >> 4, 4);
    assert_string_not_equal(first, second);
    assert_row(txn, first, "[1,2]");
    commit(txn);

    txn = begin(f);
    assert_row(txn, second, "[3]");
    tu_assert_ok(eid_table_set(txn, "rows", first, "{\"a\":null}"));
    assert_row(txn, first, "{\"a\":null}");
    id = commit(txn);
    snprintf(expected, sizeof expected, "{\"children\":{\"%s\":{\"Text\":\"{\\\"a\\\":null}\"}}}", first);
    assert_payload(f, &id, "rows", expected);
}

static void the_first_use_registers_the_table(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    eid_id id;

    tu_assert_ok(eid_table_set(txn, "rows", "k", "1"));
    id = commit(txn);
    assert_payload(f, &id, "_index",
                   "{\"children\":{\"rows\":{\"Doc\":{\"children\":{\"config\":{\"Doc\":{\"children\":{}}},"
                   "\"type\":{\"Text\":\"table:v0\"}}}}}}");
    txn = begin(f);
    tu_assert_fails(eid_docstore_set_int(txn, "rows", "k", 1), EID_ERR_TYPE_MISMATCH);
    eid_txn_free(txn);
}

static void reading_registers_nothing(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    eid_id id;

    assert_no_row(txn, "k");
    assert_scan(txn, NULL, 9, "");
    id = commit(txn);
    assert_true(eid_id_is_empty(&id));
    assert_database_scan(f, NULL, 9, "");
}

static void deletions_are_seen_at_once(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    bool deleted;

    tu_assert_ok(eid_table_set(txn, "rows", "a", "1"));
    tu_assert_ok(eid_table_set(txn, "rows", "b", "2"));
    commit(txn);
    txn = begin(f);
    tu_assert_ok(eid_table_delete(txn, "rows", "a", &deleted));
    assert_true(deleted);
    assert_no_row(txn, "a");
    assert_scan(txn, NULL, 9, "b=2;");
    tu_assert_ok(eid_table_delete(txn, "rows", "a", &deleted));
    assert_false(deleted);
    tu_assert_ok(eid_table_delete(txn, "rows", "never", NULL));
    eid_id id = commit(txn);
    assert_payload(f, &id, "rows", "{\"children\":{\"a\":\"Deleted\"}}");
    assert_database_scan(f, NULL, 9, "b=2;");

    txn = begin(f);
    assert_no_row(txn, "a");
    tu_assert_ok(eid_table_set(txn, "rows", "a", "3"));
    assert_scan(txn, NULL, 9, "a=3;b=2;");
    commit(txn);
    assert_database_scan(f, NULL, 9, "a=3;b=2;");
}

static void scans_combine_committed_and_staged(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);

    tu_assert_ok(eid_table_set(txn, "rows", "b", "2"));
    tu_assert_ok(eid_table_set(txn, "rows", "d", "4"));
    tu_assert_ok(eid_table_set(txn, "rows", "f", "6"));
    commit(txn);
    txn = begin(f);
    tu_assert_ok(eid_table_set(txn, "rows", "a", "1"));
    tu_assert_ok(eid_table_set(txn, "rows", "d", "44"));
    tu_assert_ok(eid_table_set(txn, "rows", "g", "7"));
    tu_assert_ok(eid_table_delete(txn, "rows", "f", NULL));
    assert_scan(txn, NULL, 9, "a=1;b=2;d=44;g=7;");
    assert_scan(txn, "b", 9, "d=44;g=7;");
    assert_scan(txn, "bb", 9, "d=44;g=7;");
    assert_scan(txn, "g", 9, "");
    assert_scan(txn, NULL, 2, "a=1;b=2;");
    assert_database_scan(f, NULL, 9, "b=2;d=4;f=6;");
    assert_database_scan(f, "d", 9, "f=6;");
    assert_database_scan(f, NULL, 1, "b=2;");
    eid_txn_free(txn);
}

static bool count_rows(const char *key, const char *row, size_t len, void *ctx)
{
    size_t *count = ctx;
    char wanted[32];

    (void)len;
    snprintf(wanted, sizeof wanted, "r%05zu", *count);
    assert_string_equal(key, wanted);
    assert_string_equal(row, "0");
    ++*count;
    return true;
}

static void long_tables_are_scanned_in_order(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    size_t count = 0;
    char key[32];

    for (size_t i = 3000; i-- > 0;) {
        snprintf(key, sizeof key, "r%05zu", i);
        tu_assert_ok(eid_table_set(txn, "rows", key, "0"));
    }
    tu_assert_ok(eid_table_scan(txn, "rows", NULL, count_rows, &count));
    assert_int_equal(count, 3000);
    commit(txn);
    count = 0;
    tu_assert_ok(eid_database_table_scan(f->database, "rows", NULL, count_rows, &count));
    assert_int_equal(count, 3000);
    txn = begin(f);
    count = 0;
    tu_assert_ok(eid_table_scan(txn, "rows", NULL, count_rows, &count));
    assert_int_equal(count, 3000);
    eid_txn_free(txn);
}

static void bad_keys_and_rows_are_refused(void **state)
{
    fixture *f = *state;
    static const char *const rows[] = {"", "x", "{", "{} {}", "[1,]", "{\"a\":01}", "nul", "\"\xff\""};
    eid_txn *txn = begin(f);
    char key[EID_ROW_KEY_SIZE] = "unchanged", *row = NULL;
    eid_id id;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tu_assert_fails(eid_table_insert(txn, "rows", rows[i], key), EID_ERR_SYNTAX);
        assert_string_equal(key, "unchanged");
        tu_assert_fails(eid_table_set(txn, "rows", "k", rows[i]), EID_ERR_SYNTAX);
    }
    tu_assert_fails(eid_table_set(txn, "rows", "", "1"), EID_ERR_INVALID_PATH);
    tu_assert_fails(eid_table_set(txn, "rows", "a.b", "1"), EID_ERR_INVALID_PATH);
    tu_assert_fails(eid_table_get(txn, "rows", "a.b", &row, NULL), EID_ERR_INVALID_PATH);
    tu_assert_fails(eid_table_delete(txn, "rows", "", NULL), EID_ERR_INVALID_PATH);
    tu_assert_fails(eid_table_set(txn, "rows", "\xff", "1"), EID_ERR_UTF8);
    tu_assert_fails(eid_table_set(txn, "_rows", "k", "1"), EID_ERR_STORE_NAME);
    id = commit(txn);
    assert_true(eid_id_is_empty(&id));
}

static void concurrent_rows_both_stay(void **state)
{
    fixture *f = *state;
    eid_txn *first = begin(f), *second = begin(f);

    tu_assert_ok(eid_table_set(first, "rows", "a", "1"));
    tu_assert_ok(eid_table_set(second, "rows", "b", "2"));
    commit(first);
    commit(second);
    assert_database_scan(f, NULL, 9, "a=1;b=2;");
}

static eid_status work(void *ctx)
{
    fixture *f = ctx;
    eid_txn *txn;
    seen s = {"", 0, 9};

    EID_TRY(eid_database_new_transaction(f->database, &txn));
    eid_status status = eid_table_set(txn, "rows", "b", "[1]");
    if (status == EID_OK)
        status = eid_table_delete(txn, "rows", "a", NULL);
    if (status == EID_OK)
        status = eid_table_scan(txn, "rows", NULL, show, &s);
    if (status == EID_OK)
        assert_string_equal(s.text, "b=[1];");
    eid_txn_free(txn);
    return status;
}

static void tables_survive_short_memory(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);

    tu_assert_ok(eid_table_set(txn, "rows", "a", "1"));
    commit(txn);
    assert_true(tu_alloc_fault_loop(work, f) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DATABASE(inserted_rows_get_fresh_uuids),      WITH_DATABASE(the_first_use_registers_the_table),
        WITH_DATABASE(reading_registers_nothing),          WITH_DATABASE(deletions_are_seen_at_once),
        WITH_DATABASE(scans_combine_committed_and_staged), WITH_DATABASE(long_tables_are_scanned_in_order),
        WITH_DATABASE(bad_keys_and_rows_are_refused),      WITH_DATABASE(concurrent_rows_both_stay),
        WITH_DATABASE(tables_survive_short_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
