/* SPDX-License-Identifier: Apache-2.0 */
/* A database in memory with an admin, for the tests of the store types. */
#ifndef EID_TESTS_STORE_FIXTURE_H
#define EID_TESTS_STORE_FIXTURE_H

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include <eidetica/memory.h>
#include <eidetica/store.h>

#include "database/database.h"
#include "support/testutil.h"

typedef struct fixture {
    eid_core *core;
    eid_keypair *key;
    eid_pubkey pubkey;
    eid_database *database;
} fixture;

static int fixture_open(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    eid_core_options options = {.path = ":memory:", .clock = eid_clock_system};
    eid_doc *settings;

    tu_assert_ok(eid_keypair_generate(&f->key));
    eid_keypair_public(f->key, &f->pubkey);
    tu_assert_ok(eid_core_open(&options, &f->core));
    tu_assert_ok(eid_doc_new(&settings));
    tu_assert_ok(eid_doc_set_string(settings, "name", "notes"));
    tu_assert_ok(eid_database_create(f->core, settings, f->key, &f->database));
    eid_doc_free(settings);
    *state = f;
    return 0;
}

static int fixture_close(void **state)
{
    fixture *f = *state;

    eid_database_close(f->database);
    eid_core_close(f->core);
    eid_keypair_free(f->key);
    free(f);
    return 0;
}

/* The same with the allocator that can refuse, for tu_alloc_fault_loop. */
static inline int fixture_open_scarce(void **state)
{
    tu_alloc_install();
    return fixture_open(state);
}

static inline int fixture_close_scarce(void **state)
{
    int status = fixture_close(state);

    tu_alloc_remove();
    return status;
}

#define WITH_SCARCE_MEMORY(test) cmocka_unit_test_setup_teardown(test, fixture_open_scarce, fixture_close_scarce)
#define WITH_DATABASE(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)

static inline eid_txn *begin(fixture *f)
{
    eid_txn *txn;

    tu_assert_ok(eid_database_new_transaction(f->database, &txn));
    return txn;
}

static inline eid_id commit(eid_txn *txn)
{
    eid_id id;

    tu_assert_ok(eid_txn_commit_free(txn, &id));
    return id;
}

/* The entry's payload for the store as text; "" when the entry has none. free() it. */
static inline char *payload(fixture *f, const eid_id *id, const char *store)
{
    eid_entry *entry;
    const void *data;
    size_t len;
    char *text = calloc(1, 1);

    tu_assert_ok(eid_database_get_entry(f->database, id, &entry));
    for (size_t i = 0; i < eid_entry_store_count(entry); i++) {
        if (strcmp(eid_entry_store_name(entry, i), store) == 0 &&
            eid_entry_store_data(entry, i, &data, &len)) {
            free(text);
            text = calloc(len + 1, 1);
            memcpy(text, data, len);
        }
    }
    eid_entry_unref(entry);
    return text;
}

static inline void assert_payload(fixture *f, const eid_id *id, const char *store, const char *wanted)
{
    char *text = payload(f, id, store);

    assert_string_equal(text, wanted);
    free(text);
}

/* The whole document of the store in plain JSON, as the transaction sees it. */
static inline void assert_all(eid_txn *txn, const char *store, const char *wanted)
{
    eid_doc *doc;
    char *text;

    tu_assert_ok(eid_docstore_get_all(txn, store, &doc));
    tu_assert_ok(eid_doc_to_plain_json(doc, &text, NULL));
    assert_string_equal(text, wanted);
    eid_free(text);
    eid_doc_free(doc);
}

#endif
