/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded registrations (the `_index` payloads of dags.json): they can be read, and registering the same
 * stores here writes the same records and lets the same stores take part. */
#include <stdlib.h>
#include <string.h>

#include <eidetica/memory.h>
#include <eidetica/registry.h>

#include "support/canonical.h"
#include "support/jsondom.h"

#include "database/database.h"

static const size_t EXPECTED_PAYLOADS = 62;
static const size_t EXPECTED_STRATEGIES = 6;

typedef struct counters {
    size_t payloads;
    size_t records;
    size_t strategies;
} counters;

static const char *payload_of(const eid_entry *entry, const char *store, size_t *len)
{
    const void *data;
    for (size_t i = 0; i < eid_entry_store_count(entry); i++)
        if (strcmp(eid_entry_store_name(entry, i), store) == 0 && eid_entry_store_data(entry, i, &data, len))
            return data;
    return NULL;
}

static bool takes_part(const eid_entry *entry, const char *store)
{
    for (size_t i = 0; i < eid_entry_store_count(entry); i++)
        if (strcmp(eid_entry_store_name(entry, i), store) == 0)
            return true;
    return false;
}

/* Says in our words what one recorded record says. */
static void register_as(eid_txn *txn, const char *name, const eid_doc *record, counters *c)
{
    const char *type, *strategy;
    const eid_doc *config;
    tu_assert_ok(eid_doc_get_text(record, "type", &type, NULL));
    tu_assert_ok(eid_doc_get_doc(record, "config", &config));
    tu_assert_ok(eid_registry_register(txn, name, type, config));
    c->records++;
    if (eid_doc_get_text(record, "settings.height_strategy", &strategy, NULL) != EID_OK)
        return;
    c->strategies++;
    tu_assert_ok(eid_registry_set_height_strategy(
        txn, name, strcmp(strategy, "\"timestamp\"") == 0 ? EID_HEIGHT_TIMESTAMP : EID_HEIGHT_INCREMENTAL));
}

/* One recorded payload, said again in a database of its own. */
static void check_payload(const char *what, eid_core *core, const eid_keypair *key, const eid_entry *recorded,
                          eid_slice text, counters *c)
{
    eid_doc *settings, *index;
    eid_database *database;
    eid_txn *txn;
    eid_id id;
    tu_assert_ok(eid_doc_new(&settings));
    tu_assert_ok(eid_database_create(core, settings, key, &database));
    eid_doc_free(settings);
    tu_assert_ok(eid_doc_from_json((const char *)text.data, text.len, &index));
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    const eid_doc_cursor *cursor = NULL;
    const char *name;
    size_t len;
    const eid_value *record;
    while (eid_doc_next(index, &cursor, &name, &len, &record)) {
        const eid_doc *doc;
        tu_assert_ok(eid_value_as_doc(record, &doc));
        register_as(txn, name, doc, c);
        assert_true(takes_part(recorded, name));
    }
    tu_assert_ok(eid_txn_commit_free(txn, &id));

    eid_entry *written;
    tu_assert_ok(eid_database_get_entry(database, &id, &written));
    const char *payload = payload_of(written, "_index", &len);
    assert_non_null(payload);
    char *copy = strndup(payload, len), *wanted = canonical_text(text);
    assert_canonical(what, copy, wanted);
    cursor = NULL;
    while (eid_doc_next(index, &cursor, &name, &len, &record))
        assert_true(takes_part(written, name));
    free(wanted);
    free(copy);
    eid_entry_unref(written);
    eid_doc_free(index);
    eid_database_close(database);
}

static void check_history(const jd_node *dag, eid_core *core, const eid_keypair *key, counters *c)
{
    const jd_node *list = jd_need(dag, "entries");
    for (size_t i = 0; i < jd_len(list); i++) {
        size_t len;
        uint8_t *bytes = jd_hex(jd_need(jd_at(list, i), "dagcbor_hex"), &len);
        eid_entry *entry;
        tu_assert_ok(eid_entry_from_cbor(bytes, len, &entry));
        free(bytes);
        const char *text = payload_of(entry, "_index", &len);
        if (text != NULL) {
            c->payloads++;
            check_payload(jd_get_str(dag, "name"), core, key, entry, eid_slice_of(text, len), c);
        }
        eid_entry_unref(entry);
    }
}

static void test_recorded_registrations(void **state)
{
    (void)state;
    eid_core_options options = {.path = ":memory:", .clock = eid_clock_system};
    eid_core *core;
    eid_keypair *key;
    counters c = {0, 0, 0};
    tu_assert_ok(eid_core_open(&options, &core));
    tu_assert_ok(eid_keypair_generate(&key));
    jd_node *file = jd_load("dags.json");
    const jd_node *dags = jd_need(file, "dags");
    for (size_t i = 0; i < jd_len(dags); i++)
        check_history(jd_at(dags, i), core, key, &c);
    jd_free(file);
    eid_keypair_free(key);
    eid_core_close(core);
    assert_int_equal(c.payloads, EXPECTED_PAYLOADS);
    assert_int_equal(c.strategies, EXPECTED_STRATEGIES);
    assert_true(c.records >= c.payloads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_registrations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
