/* SPDX-License-Identifier: Apache-2.0 */
/* A database with a table "rows", in memory or in a file, for the tests of queries and indexes. */
#ifndef EID_TESTS_TABLE_FIXTURE_H
#define EID_TESTS_TABLE_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <eidetica/maintenance.h>
#include <eidetica/memory.h>
#include <eidetica/table.h>

#include "../database/database_test.h"

typedef struct fixture {
    char *dir;
    char *path;
    eid_core *core;
    eid_database *database;
} fixture;

static inline int open_memory(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->core = dt_memory();
    f->database = dt_create(f->core);
    *state = f;
    return 0;
}

static inline int open_file(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->dir = tu_temp_dir();
    f->path = tu_path(f->dir, "table.db");
    f->core = dt_open(f->path);
    f->database = dt_create(f->core);
    *state = f;
    return 0;
}

static inline int close_all(void **state)
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

static inline void reopen(fixture *f)
{
    eid_id id = *eid_database_root_id(f->database);
    eid_database_close(f->database);
    eid_core_close(f->core);
    f->core = dt_open(f->path);
    f->database = dt_open_as(f->core, &id, 1);
}

static inline eid_txn *begin(fixture *f)
{
    eid_txn *txn;
    tu_assert_ok(eid_database_new_transaction(f->database, &txn));
    return txn;
}

static inline void set_row(fixture *f, const char *key, const char *row)
{
    eid_txn *txn = begin(f);
    tu_assert_ok(eid_table_set(txn, "rows", key, row));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
}

static inline void delete_row(fixture *f, const char *key)
{
    eid_txn *txn = begin(f);
    tu_assert_ok(eid_table_delete(txn, "rows", key, NULL));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
}

/* Rows under the keys a, b, …, with these values in the member "v". */
static inline void fill(fixture *f, const char *const *values, size_t count)
{
    eid_txn *txn = begin(f);
    for (size_t i = 0; i < count; i++) {
        char key[2] = {(char)('a' + i), '\0'}, row[512];
        snprintf(row, sizeof row, "{\"v\":%s}", values[i]);
        tu_assert_ok(eid_table_set(txn, "rows", key, row));
    }
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
}

static inline eid_table_query on_v(void)
{
    eid_table_query query = EID_TABLE_QUERY_INIT;
    query.field = "v";
    return query;
}

/* The keys one behind the other. */
static inline bool append_key(const char *key, const char *row, size_t len, void *ctx)
{
    char *text = ctx;
    assert_int_equal(strlen(row), len);
    if (strlen(text) < 500)
        strncat(text, key, 500);
    return true;
}

static inline void assert_found(fixture *f, const eid_table_query *query, const char *wanted)
{
    char text[1024] = "";
    tu_assert_ok(eid_database_table_find(f->database, "rows", query, append_key, text, NULL));
    assert_string_equal(text, wanted);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, open_memory, close_all)
#define IN_A_FILE(test) cmocka_unit_test_setup_teardown(test, open_file, close_all)

#endif
