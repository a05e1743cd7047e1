/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation of each operation on databases fails in turn, once alone and once with all that follow: the answer is
 * EID_ERR_NO_MEMORY, nothing is leaked, the database is as it was, and the same call succeeds when it is repeated. */
#include <stdio.h>
#include <stdlib.h>

#include "unit/database/database_test.h"

#include "base/alloc.h"

/* ---- Whole lives: nothing is leaked on any way out ---- */

static bool next_entry(eid_entry *entry, void *ctx)
{
    (void)entry;
    (void)ctx;
    return true;
}

static bool next_child(eid_slice key, const eid_value *value, void *ctx)
{
    (void)key;
    (void)value;
    (void)ctx;
    return true;
}

static void hear(eid_database *database, eid_entry *entry, eid_write_source source, void *ctx)
{
    (void)database;
    (void)entry;
    (void)source;
    ++*(int *)ctx;
}

static eid_status stage(eid_txn *txn, const char *store, const char *path, int64_t number)
{
    eid_txn_store *opened;
    eid_value *value;
    EID_TRY(eid_txn_open_store(txn, store, EID_TYPE_DOCSTORE, &opened));
    EID_TRY(eid_value_new_int(number, &value));
    eid_status status = eid_txn_store_set(opened, eid_slice_text(path), value);
    if (status != EID_OK)
        eid_value_free(value);
    return status;
}

static eid_status commit_two_stores(eid_database *database, int64_t number)
{
    eid_txn *txn;
    EID_TRY(eid_database_new_transaction(database, &txn));
    eid_status status = stage(txn, "s", "doc.field", number);
    if (status == EID_OK)
        status = stage(txn, "t", "k", number);
    if (status == EID_OK)
        return eid_txn_commit_free(txn, NULL);
    eid_txn_free(txn);
    return status;
}

static eid_status read_transaction(eid_database *database)
{
    eid_txn *txn;
    eid_txn_store *store;
    eid_value *value = NULL;
    eid_doc *doc = NULL;
    EID_TRY(eid_database_new_transaction(database, &txn));
    eid_status status = stage(txn, "s", "doc.staged", 1);
    if (status == EID_OK)
        status = eid_txn_open_store(txn, "s", EID_TYPE_DOCSTORE, &store);
    if (status == EID_OK)
        status = eid_txn_store_child(store, eid_slice_text("doc"), &value);
    if (status == EID_OK)
        status = eid_txn_store_all(store, &doc);
    if (status == EID_OK)
        status = eid_txn_store_scan(store, NULL, next_child, NULL);
    eid_value_free(value);
    eid_doc_free(doc);
    eid_txn_free(txn);
    return status;
}

static eid_status read_everything(eid_database *database)
{
    eid_core *core = eid_database_core(database);
    const eid_id root = *eid_database_root_id(database);
    uint8_t hash[32];
    eid_id *tips;
    size_t count;
    eid_doc *doc;
    eid_value *value;
    eid_entry *entry;
    eid_auth_settings *settings;
    char *name;
    EID_TRY(eid_database_state_hash(database, hash));
    EID_TRY(eid_database_tips(database, &tips, &count));
    eid_free(tips);
    EID_TRY(eid_database_name(database, &name));
    eid_free(name);
    EID_TRY(eid_database_get(database, "s", "doc.field", &value));
    eid_value_free(value);
    EID_TRY(eid_database_store_state(database, "s", &doc));
    eid_doc_free(doc);
    EID_TRY(eid_database_store_state_at(database, "s", &root, 1, &doc));
    eid_doc_free(doc);
    EID_TRY(eid_database_get_entry(database, &root, &entry));
    eid_entry_unref(entry);
    EID_TRY(eid_database_auth(database, &settings));
    eid_auth_settings_unref(settings);
    EID_TRY(eid_database_each_entry(database, next_entry, NULL));
    EID_TRY(eid_core_difference(core, &root, &root, 1, next_entry, NULL));
    EID_TRY(eid_database_scan(database, "s", NULL, next_child, NULL));
    return read_transaction(database);
}

typedef struct world {
    const char *path;
    eid_keypair *key;
    eid_entry **entries; /* of another database */
    size_t count;
} world;

static eid_status live(eid_core *core, const world *w)
{
    eid_doc *settings;
    eid_database *database = NULL;
    eid_callback *registration = NULL;
    int heard = 0;
    EID_TRY(eid_doc_new(&settings));
    eid_status status = eid_doc_set_string(settings, "name", "short life");
    if (status == EID_OK)
        status = eid_database_create(core, settings, w->key, &database);
    eid_doc_free(settings);
    EID_TRY(status);
    status = eid_database_on_write(database, hear, &heard, &registration);
    for (int i = 0; i < 2 && status == EID_OK; i++)
        status = commit_two_stores(database, i);
    if (status == EID_OK) {
        assert_int_equal(heard, 2);
        status = read_everything(database);
    }
    eid_callback_remove(registration);
    eid_database_close(database);
    if (status == EID_OK)
        status = eid_core_receive(core, &w->entries[0]->id, w->entries, w->count, NULL, NULL);
    return status;
}

static eid_status whole_life(void *ctx)
{
    const world *w = ctx;
    eid_core_options options = {.path = w->path, .clock = eid_clock_system};
    eid_core *core;
    EID_TRY(eid_core_open(&options, &core));
    eid_status status = live(core, w);
    eid_core_close(core);
    return status;
}

/* A life with an allocation armed to fail. Whether it came to that. */
static bool live_once(world *w, size_t point, bool all_later)
{
    eid_status status = whole_life(w);
    bool fired = tu_alloc_fired();
    tu_alloc_fail_at(0);
    bool made_good = fired && status == EID_OK && !all_later;
    if (status != (fired ? EID_ERR_NO_MEMORY : EID_OK) && !made_good)
        fail_msg("allocation %zu failing: %s: %s", point, eid_status_name(status), eid_last_error());
    if (tu_alloc_live() != 0)
        fail_msg("allocation %zu failing: %zu blocks leaked", point, tu_alloc_live());
    return fired;
}

static void make_world(world *w, const char *path)
{
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    *w = (world){.path = path, .key = dt_key(1)};
    dt_grant(database, 2, EID_PERM_WRITE, EID_KEY_ACTIVE);
    for (int i = 0; i < 3; i++)
        dt_commit_int(database, "s", "k", i);
    w->entries = dt_entries(core, eid_database_root_id(database), &w->count);
    eid_database_close(database);
    eid_core_close(core);
}

static void free_world(world *w)
{
    th_free_entries(w->entries, w->count);
    eid_keypair_free(w->key);
}

static void test_nothing_is_leaked(void **state)
{
    (void)state;
    world w;
    make_world(&w, ":memory:");
    size_t points = 0;
    tu_alloc_install();
    for (bool fired = true; fired; points += fired) {
        tu_alloc_fail_at(points + 1);
        fired = live_once(&w, points + 1, false);
    }
    for (size_t point = 1; point <= points; point++) {
        tu_alloc_fail_from(point);
        assert_true(live_once(&w, point, true));
    }
    tu_alloc_remove();
    print_message("%zu points\n", points);
    assert_true(points > 200);
    free_world(&w);
}

/* ---- Single operations: nothing has changed, and they can be repeated ---- */

typedef struct subject {
    eid_core *core;
    eid_database *database;
    eid_keypair *key;
    eid_txn *txn;               /* staged and not committed */
    eid_database *created;
    eid_entry **entries;        /* to be received */
    size_t count;
    eid_id root;
} subject;

static void subject_open(subject *s, const char *path)
{
    memset(s, 0, sizeof *s);
    s->core = dt_open(path);
    s->database = dt_create(s->core);
    s->key = dt_key(1);
    s->root = *eid_database_root_id(s->database);
    for (int i = 0; i < 3; i++)
        tu_assert_ok(commit_two_stores(s->database, i));
}

static void subject_close(subject *s)
{
    eid_txn_free(s->txn);
    eid_database_close(s->created);
    eid_database_close(s->database);
    eid_keypair_free(s->key);
    eid_core_close(s->core);
}

/* An operation with each of its allocations failing, each time on a new subject: `prepare` sets it up, `run` is refused and
 * then repeated, `settle` looks at the result. */
typedef struct operation {
    void (*prepare)(subject *s);
    eid_status (*run)(subject *s);
    void (*settle)(subject *s);
} operation;

/* Whether the n-th allocation came to pass. */
static bool refuse_one(const operation *op, size_t point, bool all_later)
{
    subject s;
    subject_open(&s, ":memory:");
    op->prepare(&s);
    dt_print before = dt_fingerprint(s.core);
    if (all_later)
        tu_alloc_fail_from(point);
    else
        tu_alloc_fail_at(point);
    eid_status status = op->run(&s);
    bool fired = tu_alloc_fired();
    tu_alloc_fail_at(0);
    /* A single refusal may be made good (a signature is checked once more); but success is success. */
    bool made_good = fired && status == EID_OK && !all_later;
    if (status != (fired ? EID_ERR_NO_MEMORY : EID_OK) && !made_good)
        fail_msg("allocation %zu failing: %s: %s", point, eid_status_name(status), eid_last_error());
    if (status != EID_OK) {
        dt_assert_unchanged(s.core, &before);
        tu_assert_ok(op->run(&s));
    }
    op->settle(&s);
    ti_check_core(s.core);
    subject_close(&s);
    if (tu_alloc_live() != 0)
        fail_msg("allocation %zu failing: %zu blocks leaked", point, tu_alloc_live());
    return fired;
}

static void run_operation(const operation *op, size_t at_least)
{
    size_t points = 0;
    tu_alloc_install();
    while (refuse_one(op, points + 1, false))
        points++;
    for (size_t point = 1; point <= points; point++)
        refuse_one(op, point, true);
    tu_alloc_remove();
    print_message("%zu points\n", points);
    assert_true(points >= at_least);
}

static void prepare_commit(subject *s)
{
    tu_assert_ok(eid_database_new_transaction(s->database, &s->txn));
    tu_assert_ok(stage(s->txn, "s", "doc.field", 7));
    tu_assert_ok(stage(s->txn, "t", "k", 7));
    tu_assert_ok(stage(s->txn, "new", "k", 7));
}

static eid_status run_commit(subject *s)
{
    return eid_txn_commit(s->txn, NULL);
}

static void settle_commit(subject *s)
{
    uint64_t count;
    tu_assert_ok(eid_database_entry_count(s->database, &count));
    assert_int_equal(count, 5);
}

static void test_commit(void **state)
{
    (void)state;
    run_operation(&(operation){prepare_commit, run_commit, settle_commit}, 20);
}

/* On top of the root only: it arrives late in the fold, so keys are folded again. */
static void prepare_branch(subject *s)
{
    tu_assert_ok(eid_database_new_transaction_at(s->database, &s->root, 1, &s->txn));
    tu_assert_ok(stage(s->txn, "s", "doc.late", 7));
}

static void test_commit_of_a_branch(void **state)
{
    (void)state;
    run_operation(&(operation){prepare_branch, run_commit, settle_commit}, 20);
}

static void prepare_nothing(subject *s)
{
    (void)s;
}

static eid_status run_create(subject *s)
{
    eid_doc *settings;
    EID_TRY(eid_doc_new(&settings));
    eid_status status = eid_database_create(s->core, settings, s->key, &s->created);
    eid_doc_free(settings);
    return status;
}

static void settle_create(subject *s)
{
    assert_int_equal(ti_number(s->core, "SELECT COUNT(*) FROM tree"), 2);
}

static void test_create(void **state)
{
    (void)state;
    run_operation(&(operation){prepare_nothing, run_create, settle_create}, 20);
}

static eid_status run_reads(subject *s)
{
    return read_everything(s->database);
}

static void settle_nothing(subject *s)
{
    (void)s;
}

static void test_reads(void **state)
{
    (void)state;
    run_operation(&(operation){prepare_nothing, run_reads, settle_nothing}, 50);
}

/* A chain of which the last three wait already; what comes now releases them. The last one is signed by a stranger. */
static void prepare_receive(subject *s)
{
    eid_id parent = s->root;
    s->entries = calloc(6, sizeof(eid_entry *));
    s->count = 3;
    for (uint64_t i = 0; i < 6; i++) {
        dt_draft draft = {.root = &s->root, .parents = &parent, .parent_count = 1, .pins = &s->root, .pin_count = 1,
                          .height = 1 + i, .store = "s", .payload = "{\"children\":{\"doc\":{\"Doc\":{\"children\":{}}}}}",
                          .key = i == 5 ? 9 : 1};
        s->entries[i] = dt_make(&draft);
        parent = s->entries[i]->id;
    }
    assert_int_equal(dt_receive(s->core, &s->root, s->entries + 3, 3).waiting, 3);
}

static eid_status run_receive(subject *s)
{
    return eid_core_receive(s->core, &s->root, s->entries, s->count, NULL, NULL);
}

static void settle_receive(subject *s)
{
    eid_receipt receipt = dt_receive(s->core, &s->root, s->entries, 6);
    assert_int_equal(receipt.held, 5);
    assert_int_equal(receipt.refused, 1);
    th_free_entries(s->entries, 6);
}

static void test_receive(void **state)
{
    (void)state;
    run_operation(&(operation){prepare_receive, run_receive, settle_receive}, 20);
}

/* A revocation by somebody who has not seen what the writer wrote: it takes that out of the state; and a late grant, which makes
 * all settings entries be judged anew. */
static void prepare_revocation(subject *s)
{
    eid_id grant = dt_grant(s->database, 2, EID_PERM_WRITE, EID_KEY_ACTIVE);
    eid_database *writer = dt_open_as(s->core, &s->root, 2);
    for (int i = 0; i < 3; i++)
        tu_assert_ok(commit_two_stores(writer, 100 + i));
    eid_database_close(writer);
    s->entries = calloc(2, sizeof(eid_entry *));
    s->count = 2;
    for (int i = 0; i < 2; i++) {
        eid_doc *record, *rules;
        eid_pubkey pubkey = dt_pubkey((uint8_t)(2 + i));
        char text[EID_PUBKEY_TEXT_SIZE], path[EID_PUBKEY_TEXT_SIZE + 16] = "auth.keys.", *json;
        eid_pubkey_format(&pubkey, text);
        strcat(path, text);
        tu_assert_ok(eid_auth_key_to_doc("name", (eid_permission){EID_PERM_WRITE, 10}, i == 0 ? EID_KEY_REVOKED : EID_KEY_ACTIVE, &record));
        tu_assert_ok(eid_doc_new(&rules));
        tu_assert_ok(eid_doc_set_doc(rules, path, record));
        tu_assert_ok(eid_doc_to_json(rules, &json, NULL));
        dt_draft draft = {.root = &s->root, .parents = &grant, .parent_count = 1, .pins = &grant, .pin_count = 1, .height = 9,
                          .store = "_settings", .payload = json, .store_parents = &grant, .store_parent_count = 1, .key = 1};
        s->entries[i] = dt_make(&draft);
        eid_free(json);
        eid_doc_free(rules);
        eid_doc_free(record);
    }
}

static void settle_revocation(subject *s)
{
    assert_int_equal(ti_number(s->core, "SELECT COUNT(*) FROM part JOIN store ON store.s = part.s WHERE store.name = ''"
                                        " AND part.flags & 1 = 0"), 3);
    th_free_entries(s->entries, 2);
}

static void test_revocation(void **state)
{
    (void)state;
    run_operation(&(operation){prepare_revocation, run_receive, settle_revocation}, 100);
}

/* ---- Opening ---- */

static eid_status open_and_read(void *ctx)
{
    const world *w = ctx;
    eid_core_options options = {.path = w->path, .clock = eid_clock_system, .must_exist = true};
    eid_core *core;
    eid_database *database = NULL;
    EID_TRY(eid_core_open(&options, &core));
    eid_status status = eid_database_open_as(core, &w->entries[0]->id, w->key, NULL, &database);
    if (status == EID_OK)
        status = eid_database_entry_count(database, &(uint64_t){0});
    eid_database_close(database);
    eid_core_close(core);
    return status;
}

static void test_opening_a_file(void **state)
{
    (void)state;
    char *dir = tu_temp_dir(), *path = tu_path(dir, "data.db");
    world w;
    make_world(&w, path);
    eid_core *core = dt_open(path);
    dt_receive(core, &w.entries[0]->id, w.entries, w.count);
    eid_core_close(core);
    size_t points = tu_alloc_fault_loop(open_and_read, &w);
    assert_true(points > 10);
    core = dt_open(path);
    ti_check_core(core);
    eid_core_close(core);
    free_world(&w);
    free(path);
    tu_temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_leaked), cmocka_unit_test(test_commit),  cmocka_unit_test(test_commit_of_a_branch),
        cmocka_unit_test(test_create),            cmocka_unit_test(test_reads),   cmocka_unit_test(test_receive),
        cmocka_unit_test(test_revocation),        cmocka_unit_test(test_opening_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
