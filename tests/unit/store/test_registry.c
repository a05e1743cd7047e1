/* SPDX-License-Identifier: Apache-2.0 */
/* The registry: listing, registering, configurations, height strategies, records of unknown types. */
#include "fixture.h"

#include <eidetica/registry.h>

#include "database/txn.h"

static uint64_t clock_ms = 1704067200000;

static uint64_t now(void *ctx)
{
    (void)ctx;
    return clock_ms;
}

/* As fixture_open, with a clock that stands still. */
static int open_timed(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    eid_core_options options = {.path = ":memory:", .clock = {now, NULL}};
    eid_doc *settings;

    clock_ms = 1704067200000;
    tu_assert_ok(eid_keypair_generate(&f->key));
    eid_keypair_public(f->key, &f->pubkey);
    tu_assert_ok(eid_core_open(&options, &f->core));
    tu_assert_ok(eid_doc_new(&settings));
    tu_assert_ok(eid_database_create(f->core, settings, f->key, &f->database));
    eid_doc_free(settings);
    *state = f;
    return 0;
}

#define WITH_CLOCK(test) cmocka_unit_test_setup_teardown(test, open_timed, fixture_close)

/* ---- Listing ---- */

typedef struct listing {
    char text[512];
    size_t count;
    size_t stop_after;
} listing;

static bool note_store(const eid_store_info *info, void *ctx)
{
    listing *l = ctx;
    char *config;
    size_t used = strlen(l->text);

    tu_assert_ok(eid_doc_to_plain_json(info->config, &config, NULL));
    snprintf(l->text + used, sizeof l->text - used, "%s=%s%s%s ", info->name,
             info->type != NULL ? info->type : "?", strcmp(config, "{}") == 0 ? "" : config,
             !info->has_height_strategy                      ? ""
             : info->height_strategy == EID_HEIGHT_TIMESTAMP ? "@time"
                                                             : "@count");
    eid_free(config);
    assert_non_null(info->record);
    return ++l->count != l->stop_after;
}

static void assert_stores(eid_txn *txn, const char *wanted)
{
    listing l = {"", 0, 0};

    tu_assert_ok(eid_registry_each(txn, note_store, &l));
    assert_string_equal(l.text, wanted);
}

static void assert_stores_now(fixture *f, const char *wanted)
{
    listing l = {"", 0, 0};

    tu_assert_ok(eid_database_each_store(f->database, note_store, &l));
    assert_string_equal(l.text, wanted);
}

static void stores_are_listed(void **state)
{
    fixture *f = *state;
    listing l = {"", 0, 1};

    assert_stores_now(f, "");
    eid_txn *txn = begin(f);
    tu_assert_ok(eid_docstore_set_int(txn, "pages", "k", 1));
    tu_assert_ok(eid_table_set(txn, "rows", "k", "1"));
    commit(txn);
    assert_stores_now(f, "pages=docstore:v0 rows=table:v0 ");
    txn = begin(f);
    tu_assert_ok(eid_registry_register(txn, "mine", "game:v3", NULL));
    assert_stores(txn, "mine=game:v3 pages=docstore:v0 rows=table:v0 ");
    tu_assert_ok(eid_registry_each(txn, note_store, &l));
    assert_int_equal(l.count, 1);
    memset(&l, 0, sizeof l);
    tu_assert_ok(eid_registry_find(txn, "rows", note_store, &l));
    assert_string_equal(l.text, "rows=table:v0 ");
    tu_assert_fails(eid_registry_find(txn, "other", note_store, &l), EID_ERR_KEY_NOT_FOUND);
    eid_txn_free(txn);
    assert_stores_now(f, "pages=docstore:v0 rows=table:v0 ");
}

/* ---- Registering ---- */

static bool takes_part(fixture *f, const eid_id *id, const char *store, bool *has_data)
{
    eid_entry *entry;
    bool found = false;
    const void *data;
    size_t len;

    tu_assert_ok(eid_database_get_entry(f->database, id, &entry));
    for (size_t i = 0; i < eid_entry_store_count(entry); i++)
        if (strcmp(eid_entry_store_name(entry, i), store) == 0) {
            found = true;
            *has_data = eid_entry_store_data(entry, i, &data, &len);
        }
    eid_entry_unref(entry);
    return found;
}

/* The recorded form, and the presence rule: the store takes part, without data. */
static void a_registered_store_takes_part(void **state)
{
    fixture *f = *state;
    eid_doc *config;
    bool has_data = true;

    tu_assert_ok(eid_doc_from_plain_json("{\"colour\":\"red\",\"n\":1}", 22, &config));
    eid_txn *txn = begin(f);
    tu_assert_ok(eid_registry_register(txn, "notes", EID_TYPE_DOCSTORE, NULL));
    eid_id id = commit(txn);
    assert_payload(
        f, &id, "_index",
        "{\"children\":{\"notes\":{\"Doc\":{\"children\":{\"config\":{\"Doc\":{\"children\":{}}},\"type\":"
        "{\"Text\":\"docstore:v0\"}}}}}}");
    assert_true(takes_part(f, &id, "notes", &has_data));
    assert_false(has_data);
    txn = begin(f);
    tu_assert_ok(eid_registry_register(txn, "board", "game:v3", config));
    commit(txn);
    assert_stores_now(f, "board=game:v3{\"colour\":\"red\",\"n\":1} notes=docstore:v0 ");
    eid_doc_free(config);
    /* The next write builds on the entry that registered the store. */
    txn = begin(f);
    tu_assert_ok(eid_docstore_set_int(txn, "notes", "k", 1));
    eid_id next = commit(txn);
    eid_entry *entry;
    tu_assert_ok(eid_database_get_entry(f->database, &next, &entry));
    assert_int_equal(eid_entry_store_count(entry), 1);
    assert_int_equal(eid_entry_store_parent_count(entry, 0), 1);
    assert_true(eid_id_equal(eid_entry_store_parent(entry, 0, 0), &id));
    eid_entry_unref(entry);
}

/* The same bytes, whether a store is registered by hand or by its first use. */
static void first_use_registers_the_same(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f), *other = begin(f);

    tu_assert_ok(eid_registry_register(txn, "s", EID_TYPE_DOCSTORE, NULL));
    tu_assert_ok(eid_docstore_set_int(txn, "s", "k", 1));
    tu_assert_ok(eid_docstore_set_int(other, "s", "k", 1));
    eid_id one = commit(txn), two = commit(other);
    assert_true(eid_id_equal(&one, &two));
    /* In the other order too: used first, registered then. */
    txn = begin(f);
    tu_assert_ok(eid_docstore_set_int(txn, "t", "k", 1));
    tu_assert_ok(eid_registry_register(txn, "t", EID_TYPE_DOCSTORE, NULL));
    tu_assert_ok(eid_registry_set_height_strategy(txn, "t", EID_HEIGHT_TIMESTAMP));
    commit(txn);
    assert_stores_now(f, "s=docstore:v0 t=docstore:v0@time ");
}

static void wrong_registrations_are_refused(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    eid_doc *config;

    tu_assert_ok(eid_doc_new(&config));
    tu_assert_ok(eid_registry_register(txn, "s", EID_TYPE_DOCSTORE, NULL));
    tu_assert_fails(eid_registry_register(txn, "s", EID_TYPE_DOCSTORE, NULL), EID_ERR_ALREADY_EXISTS);
    tu_assert_fails(eid_table_set(txn, "s", "k", "1"), EID_ERR_TYPE_MISMATCH);
    tu_assert_ok(eid_docstore_set_int(txn, "used", "k", 1));
    tu_assert_fails(eid_registry_register(txn, "used", EID_TYPE_TABLE, NULL), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_registry_register(txn, "a.b", EID_TYPE_TABLE, NULL), EID_ERR_STORE_NAME);
    tu_assert_fails(eid_registry_register(txn, "_x", EID_TYPE_TABLE, NULL), EID_ERR_STORE_NAME);
    tu_assert_fails(eid_registry_register(txn, "x", "", NULL), EID_ERR_INVALID_ARGUMENT);
    tu_assert_fails(eid_registry_register(txn, "x", "\xff", NULL), EID_ERR_UTF8);
    tu_assert_fails(eid_registry_set_config(txn, "x", config), EID_ERR_KEY_NOT_FOUND);
    tu_assert_fails(eid_registry_set_height_strategy(txn, "x", EID_HEIGHT_TIMESTAMP), EID_ERR_KEY_NOT_FOUND);
    tu_assert_fails(eid_registry_clear_height_strategy(txn, "x"), EID_ERR_KEY_NOT_FOUND);
    tu_assert_fails(eid_registry_set_height_strategy(txn, "s", (eid_height_strategy)7),
                    EID_ERR_INVALID_ARGUMENT);
    eid_doc_free(config);
    commit(txn);
    assert_stores_now(f, "s=docstore:v0 used=docstore:v0 ");
}

/* A new configuration is whole: what was in the old one and not in it is gone. */
static void configurations_are_taken_whole(void **state)
{
    fixture *f = *state;
    eid_doc *first, *second;

    tu_assert_ok(eid_doc_from_plain_json("{\"a\":1,\"b\":2}", 13, &first));
    tu_assert_ok(eid_doc_from_plain_json("{\"b\":3}", 7, &second));
    eid_txn *txn = begin(f);
    tu_assert_ok(eid_registry_register(txn, "s", "game:v3", first));
    commit(txn);
    txn = begin(f);
    tu_assert_ok(eid_registry_set_height_strategy(txn, "s", EID_HEIGHT_INCREMENTAL));
    tu_assert_ok(eid_registry_set_config(txn, "s", second));
    assert_stores(txn, "s=game:v3{\"b\":3}@count ");
    commit(txn);
    assert_stores_now(f, "s=game:v3{\"b\":3}@count ");
    assert_false(eid_doc_is_atomic(second));
    eid_doc_free(first);
    eid_doc_free(second);
}

/* ---- Records others made ---- */

static void put_record(fixture *f, const char *name, const char *stored)
{
    eid_txn *txn = begin(f);
    eid_txn_store *index;
    eid_value *record;

    tu_assert_ok(eid_txn_open_store(txn, "_index", NULL, &index));
    tu_assert_ok(eid_value_from_json(stored, strlen(stored), &record));
    tu_assert_ok(eid_txn_store_put(index, eid_slice_text(name), record));
    commit(txn);
}

static void strange_records_can_be_read(void **state)
{
    fixture *f = *state;
    eid_txn *txn;

    put_record(f, "text-config",
               "{\"Doc\":{\"children\":{\"type\":{\"Text\":\"ydoc:v0\"},\"config\":{\"Text\":\"{}\"}}}}");
    put_record(f, "no-config",
               "{\"Doc\":{\"children\":{\"type\":{\"Text\":\"new:v9\"},\"more\":{\"Int\":1}}}}");
    put_record(f, "no-type", "{\"Doc\":{\"children\":{}}}");
    put_record(f, "number", "{\"Int\":5}");
    put_record(
        f, "odd-strategy",
        "{\"Doc\":{\"children\":{\"type\":{\"Text\":\"docstore:v0\"},\"settings\":{\"Doc\":{\"children\":"
        "{\"height_strategy\":{\"Text\":\"\\\"new\\\"\"}}}}}}}");
    assert_stores_now(
        f, "no-config=new:v9 no-type=? number=? odd-strategy=docstore:v0@count text-config=ydoc:v0 ");
    txn = begin(f);
    tu_assert_fails(eid_docstore_set_int(txn, "no-config", "k", 1), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_docstore_set_int(txn, "text-config", "k", 1), EID_ERR_TYPE_MISMATCH);
    tu_assert_fails(eid_docstore_set_int(txn, "number", "k", 1), EID_ERR_CORRUPT);
    tu_assert_fails(eid_registry_set_height_strategy(txn, "number", EID_HEIGHT_TIMESTAMP), EID_ERR_CORRUPT);
    tu_assert_fails(eid_registry_set_height_strategy(txn, "no-type", EID_HEIGHT_TIMESTAMP), EID_ERR_CORRUPT);
    tu_assert_ok(eid_docstore_set_int(txn, "odd-strategy", "k", 1));
    /* What this version does not know about a record stays when it changes the rest. */
    tu_assert_ok(eid_registry_set_height_strategy(txn, "no-config", EID_HEIGHT_TIMESTAMP));
    commit(txn);
    int64_t more;
    tu_assert_ok(eid_database_get_int(f->database, "_index", "no-config.more", &more));
    assert_int_equal(more, 1);
}

/* Payloads of Yjs documents are bytes: they are carried, counted and passed on as they are. */
static void payloads_of_yjs_documents_are_carried(void **state)
{
    fixture *f = *state;
    static const char update[] = "{\"data\":[1,1,227,214,1,0,4,1,4,116,101,120,116,2,104,105,0]}";
    eid_entry_builder *builder;
    eid_entry *entry;
    eid_receipt receipt;
    eid_id root = *eid_database_root_id(f->database), id;
    eid_buf metadata;

    put_record(
        f, "y",
        "{\"Doc\":{\"children\":{\"type\":{\"Text\":\"ydoc:v0\"},\"config\":{\"Doc\":{\"children\":{}}}}}}");
    eid_slice data = eid_slice_text(update);
    eid_id *tips;
    size_t count;
    tu_assert_ok(eid_database_tips(f->database, &tips, &count));
    tu_assert_ok(eid_entry_builder_new(&root, &builder));
    tu_assert_ok(eid_entry_builder_set_parents(builder, tips, count));
    eid_entry_builder_set_height(builder, 2);
    eid_buf_init(&metadata, 4096);
    eid_metadata_write(&metadata, &root, 1, NULL);
    tu_assert_ok(eid_entry_builder_set_metadata(builder, eid_buf_slice(&metadata)));
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "y", tips, count, &data, NULL));
    tu_assert_ok(eid_entry_builder_finish(builder, f->key, NULL, &entry));
    tu_assert_ok(eid_core_receive(f->core, &root, &entry, 1, &receipt, NULL));
    if (receipt.admitted != 1)
        fail_msg("%s", receipt.text);
    id = *eid_entry_id(entry);
    assert_payload(f, &id, "y", update);
    assert_stores_now(f, "y=ydoc:v0 ");
    eid_doc *doc;
    tu_assert_ok(eid_database_store_state(f->database, "y", &doc)); /* not a document: nothing to show */
    assert_true(eid_doc_is_empty(doc));
    eid_doc_free(doc);
    eid_txn *txn = begin(f);
    tu_assert_fails(eid_docstore_set_int(txn, "y", "k", 1), EID_ERR_TYPE_MISMATCH);
    tu_assert_ok(eid_docstore_set_int(txn, "s", "k", 1)); /* life goes on beside it */
    commit(txn);
    eid_entry_unref(entry);
    eid_buf_free(&metadata);
    eid_entry_builder_free(builder);
    eid_free(tips);
}

/* ---- Height strategies ---- */

static uint64_t height_in(fixture *f, const eid_id *id, const char *store)
{
    eid_entry *entry;
    uint64_t height = UINT64_MAX;

    tu_assert_ok(eid_database_get_entry(f->database, id, &entry));
    for (size_t i = 0; i < eid_entry_store_count(entry); i++)
        if (strcmp(eid_entry_store_name(entry, i), store) == 0)
            height = eid_entry_store_height(entry, i);
    eid_entry_unref(entry);
    return height;
}

static eid_id set_k(fixture *f, int64_t number)
{
    eid_txn *txn = begin(f);

    tu_assert_ok(eid_docstore_set_int(txn, "s", "k", number));
    return commit(txn);
}

static int64_t k_now(fixture *f)
{
    int64_t number;

    tu_assert_ok(eid_database_get_int(f->database, "s", "k", &number));
    return number;
}

/* The record as other programs write it, with type and configuration beside the settings. */
static void a_strategy_is_recorded(void **state)
{
    fixture *f = *state;

    set_k(f, 1);
    eid_txn *txn = begin(f);
    tu_assert_ok(eid_registry_set_height_strategy(txn, "s", EID_HEIGHT_TIMESTAMP));
    eid_id id = commit(txn);
    assert_payload(
        f, &id, "_index",
        "{\"children\":{\"s\":{\"Doc\":{\"children\":{\"config\":{\"Doc\":{\"children\":{}}},\"settings\":{"
        "\"Doc\":{\"children\":{\"height_strategy\":{\"Text\":\"\\\"timestamp\\\"\"}}}},\"type\":{\"Text\":"
        "\"docstore:v0\"}}}}}}");
    assert_stores_now(f, "s=docstore:v0@time ");
    assert_int_equal(height_in(f, &id, "s"), clock_ms);
    clock_ms += 50;
    id = set_k(f, 2);
    assert_int_equal(height_in(f, &id, "s"), clock_ms);
    clock_ms -= 1000; /* a clock put back does not put the order back */
    id = set_k(f, 3);
    assert_int_equal(height_in(f, &id, "s"), clock_ms + 1001);
    assert_int_equal(k_now(f), 3);
}

/* In the recorded implementation a write after the strategy was taken away sorts before what it was written
 * upon, and is lost. Here it never does, also in the transaction that takes it away. */
static void nothing_is_lost_when_a_strategy_ends(void **state)
{
    fixture *f = *state;

    eid_txn *txn = begin(f);
    tu_assert_ok(eid_docstore_set_int(txn, "s", "k", 1));
    tu_assert_ok(eid_registry_register(txn, "s", EID_TYPE_DOCSTORE, NULL));
    tu_assert_ok(eid_registry_set_height_strategy(txn, "s", EID_HEIGHT_TIMESTAMP));
    eid_id id = commit(txn);
    assert_int_equal(height_in(f, &id, "s"), clock_ms);
    txn = begin(f);
    tu_assert_ok(eid_docstore_set_int(txn, "s", "k", 2));
    tu_assert_ok(eid_registry_clear_height_strategy(txn, "s"));
    id = commit(txn);
    assert_int_equal(height_in(f, &id, "s"), clock_ms + 1);
    assert_int_equal(k_now(f), 2);
    assert_stores_now(f, "s=docstore:v0 ");
    id = set_k(f, 3);
    assert_int_equal(height_in(f, &id, "s"), clock_ms + 2);
    assert_int_equal(k_now(f), 3);
    /* Other stores count with the database. */
    txn = begin(f);
    tu_assert_ok(eid_docstore_set_int(txn, "other", "k", 1));
    id = commit(txn);
    assert_int_equal(height_in(f, &id, "other"), 4);
}

/* With clocks, of two concurrent writes the later one counts, however short its history; without, the one
 * with more writes before it. */
static void concurrent_writes(fixture *f, int64_t wanted)
{
    eid_txn *later = begin(f);

    for (int i = 0; i < 3; i++)
        set_k(f, 100 + i);
    clock_ms += 1000;
    tu_assert_ok(eid_docstore_set_int(later, "s", "k", 7));
    commit(later);
    assert_int_equal(k_now(f), wanted);
}

static void strategies_decide_conflicts(void **state)
{
    fixture *f = *state;

    set_k(f, 1);
    concurrent_writes(f, 102);
    eid_txn *txn = begin(f);
    tu_assert_ok(eid_registry_set_height_strategy(txn, "s", EID_HEIGHT_TIMESTAMP));
    commit(txn);
    concurrent_writes(f, 7);
}

static void a_database_has_a_strategy(void **state)
{
    fixture *f = *state;
    eid_doc *settings;
    eid_height_strategy strategy = EID_HEIGHT_TIMESTAMP;
    eid_database *first = f->database;

    eid_txn *txn = begin(f);
    tu_assert_ok(eid_settings_get_height_strategy(txn, &strategy));
    assert_int_equal(strategy, EID_HEIGHT_INCREMENTAL);
    tu_assert_ok(eid_settings_set_height_strategy(txn, EID_HEIGHT_TIMESTAMP));
    tu_assert_ok(eid_settings_get_height_strategy(txn, &strategy));
    assert_int_equal(strategy, EID_HEIGHT_TIMESTAMP);
    tu_assert_fails(eid_settings_set_height_strategy(txn, (eid_height_strategy)9), EID_ERR_INVALID_ARGUMENT);
    eid_id id = commit(txn);
    assert_payload(f, &id, "_settings",
                   "{\"children\":{\"height_strategy\":{\"Text\":\"\\\"timestamp\\\"\"}}}");

    tu_assert_ok(eid_doc_new(&settings));
    tu_assert_ok(eid_height_strategy_put(settings, EID_HEIGHT_TIMESTAMP));
    tu_assert_fails(eid_height_strategy_put(settings, (eid_height_strategy)9), EID_ERR_INVALID_ARGUMENT);
    tu_assert_ok(eid_database_create(f->core, settings, f->key, &f->database));
    eid_doc_free(settings);
    eid_entry *root;
    tu_assert_ok(eid_database_get_entry(f->database, eid_database_root_id(f->database), &root));
    assert_int_equal(eid_entry_height(root), clock_ms);
    eid_entry_unref(root);
    clock_ms += 5;
    id = set_k(f, 1);
    assert_int_equal(height_in(f, &id, "s"), clock_ms);
    concurrent_writes(f, 7);
    eid_database_close(first);
}

/* note_store itself must not fail, so the listing is left to memory that holds. */
static bool ignore_store(const eid_store_info *info, void *ctx)
{
    (void)info;
    (void)ctx;
    return true;
}

static eid_status list_step(void *ctx)
{
    fixture *f = ctx;

    return eid_database_each_store(f->database, ignore_store, NULL);
}

static eid_status write_step(void *ctx)
{
    fixture *f = ctx;
    eid_txn *txn;

    EID_TRY(eid_database_new_transaction(f->database, &txn));
    eid_status status = eid_registry_register(txn, "s", "game:v3", NULL);
    if (status == EID_OK)
        status = eid_registry_set_height_strategy(txn, "s", EID_HEIGHT_TIMESTAMP);
    if (status == EID_OK)
        status = eid_registry_clear_height_strategy(txn, "s");
    if (status == EID_OK)
        status = eid_registry_find(txn, "s", ignore_store, NULL);
    eid_txn_free(txn);
    return status;
}

static void short_memory(void **state)
{
    (void)state;
    fixture *f;

    tu_alloc_install();
    open_timed((void **)&f);
    assert_true(tu_alloc_fault_loop(write_step, f) > 15);
    assert_true(tu_alloc_fault_loop(list_step, f) > 1);
    assert_stores_now(f, "");
    void *gone = f;
    fixture_close(&gone);
    tu_alloc_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DATABASE(stores_are_listed),
        WITH_DATABASE(a_registered_store_takes_part),
        WITH_DATABASE(first_use_registers_the_same),
        WITH_DATABASE(wrong_registrations_are_refused),
        WITH_DATABASE(configurations_are_taken_whole),
        WITH_DATABASE(strange_records_can_be_read),
        WITH_DATABASE(payloads_of_yjs_documents_are_carried),
        WITH_CLOCK(a_strategy_is_recorded),
        WITH_CLOCK(nothing_is_lost_when_a_strategy_ends),
        WITH_CLOCK(strategies_decide_conflicts),
        WITH_CLOCK(a_database_has_a_strategy),
        cmocka_unit_test(short_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
