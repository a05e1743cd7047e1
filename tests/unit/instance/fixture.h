/* SPDX-License-Identifier: Apache-2.0 */
/* An instance in memory whose clock the test sets, for the tests of users. */
#ifndef EID_TESTS_INSTANCE_FIXTURE_H
#define EID_TESTS_INSTANCE_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <eidetica/memory.h>

#include "instance/instance.h"
#include "support/testutil.h"

typedef struct fixture {
    eid_instance *instance;
    uint64_t now_ms;
} fixture;

static inline uint64_t fixture_now(void *ctx)
{
    return ((fixture *)ctx)->now_ms;
}

static inline void fixture_open_url(fixture *f, const char *url)
{
    eid_instance_options options = EID_INSTANCE_OPTIONS_INIT;

    options.now_ms = fixture_now;
    options.clock_ctx = f;
    tu_assert_ok(eid_instance_open_url_with(url, &options, &f->instance));
}

static inline int fixture_open(void **state)
{
    fixture *f = calloc(1, sizeof *f);

    f->now_ms = 1700000000000;
    fixture_open_url(f, "memory:");
    *state = f;
    return 0;
}

static inline int fixture_close(void **state)
{
    fixture *f = *state;

    eid_instance_close(f->instance);
    free(f);
    return 0;
}

#define WITH_INSTANCE(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)

static inline eid_user *login(fixture *f, const char *name)
{
    eid_user *user;

    tu_assert_ok(eid_instance_login_or_create_user(f->instance, name, NULL, &user));
    return user;
}

static inline eid_database *create(eid_user *user, const char *name)
{
    eid_database *database;

    tu_assert_ok(eid_user_create_database(user, name, &database));
    return database;
}

static inline uint64_t entries_of(eid_database *database)
{
    uint64_t count;

    tu_assert_ok(eid_database_entry_count(database, &count));
    return count;
}

static inline eid_status try_to_write(eid_database *database, const char *key)
{
    eid_txn *txn;

    tu_assert_ok(eid_database_new_transaction(database, &txn));
    tu_assert_ok(eid_docstore_set_text(txn, "pages", key, "text"));
    return eid_txn_commit_free(txn, NULL);
}

/* The system database of that name, for reading. */
static inline eid_database *system_database(fixture *f, const char *name)
{
    eid_database *database = NULL;
    eid_id *ids;
    size_t count;
    char *found;

    tu_assert_ok(eid_instance_list_databases(f->instance, &ids, &count));
    for (size_t i = 0; i < count && database == NULL; i++) {
        tu_assert_ok(eid_database_open(f->instance, &ids[i], &database));
        tu_assert_ok(eid_database_name(database, &found));
        if (strcmp(found, name) != 0) {
            eid_database_close(database);
            database = NULL;
        }
        eid_free(found);
    }
    eid_free(ids);
    if (database == NULL)
        fail_msg("there is no database %s", name);
    return database;
}

/* The row of a Table, free() it; NULL when there is none. */
static inline char *row_of(eid_database *database, const char *store, const char *key)
{
    eid_value *value;
    const char *text;
    char *copy;

    if (eid_database_get(database, store, key, &value) != EID_OK)
        return NULL;
    tu_assert_ok(eid_value_as_text(value, &text, NULL));
    copy = strdup(text);
    eid_value_free(value);
    return copy;
}

#endif
