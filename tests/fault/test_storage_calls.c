/* SPDX-License-Identifier: Apache-2.0 */
/* Each call of the SQL engine fails in turn, during commits, during receiving, during creation and during reads: the answer
 * is an error, memory and file still show what was there before, the file can be opened again, and the same call succeeds
 * when it is repeated. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "unit/database/database_test.h"

#include "base/alloc.h"

typedef struct subject {
    char *path;
    eid_core *core;
    eid_database *database;
    eid_id root;
    eid_txn *txn;
    eid_database *created;
    eid_entry **entries;   /* to be received */
    size_t count;
    size_t all;            /* how many of them there are with those sent before */
} subject;

static void subject_open(subject *s, char *path)
{
    *s = (subject){.path = path};
    remove(path);
    s->core = dt_open(path);
    s->database = dt_create(s->core);
    s->root = *eid_database_root_id(s->database);
    dt_grant(s->database, 2, EID_PERM_WRITE, EID_KEY_ACTIVE);
    for (int i = 0; i < 3; i++) {
        eid_txn *txn;
        tu_assert_ok(eid_database_new_transaction(s->database, &txn));
        dt_set_int(txn, "s", "doc.field", i);
        dt_put_int(txn, "t", "k", i);
        tu_assert_ok(eid_txn_commit_free(txn, NULL));
    }
}

static void subject_close(subject *s)
{
    eid_txn_free(s->txn);
    eid_database_close(s->created);
    eid_database_close(s->database);
    eid_core_close(s->core);
    th_free_entries(s->entries, s->all);
    s->entries = NULL;
    s->txn = NULL;
    s->created = NULL;
    s->all = 0;
}

/* What another process would find, had this one been killed now. */
static void check_copy(const subject *s, const dt_print *want)
{
    static const char *const suffixes[] = {"", "-wal"};
    char *copy;
    assert_true(asprintf(&copy, "%s.copy", s->path) > 0);
    for (size_t i = 0; i < 2; i++) {
        char *from, *to;
        size_t len;
        assert_true(asprintf(&from, "%s%s", s->path, suffixes[i]) > 0);
        assert_true(asprintf(&to, "%s%s", copy, suffixes[i]) > 0);
        uint8_t *bytes = tu_read_file(from, &len);
        tu_write_file(to, bytes, len);
        free(bytes);
        free(from);
        free(to);
    }
    eid_core *core = dt_open(copy);
    ti_check_core(core);
    dt_assert_unchanged(core, want);
    eid_core_close(core);
    remove(copy);
    free(copy);
}

typedef struct operation {
    void (*prepare)(subject *s);
    eid_status (*run)(subject *s);
    void (*settle)(subject *s);  /* looks at the result */
} operation;

static bool refuse_one(const operation *op, char *path, uint64_t point)
{
    subject s;
    subject_open(&s, path);
    op->prepare(&s);
    dt_print before = dt_fingerprint(s.core);
    eid_sql *sql = eid_storage_sql(eid_core_storage(s.core));
    eid_sql_fail_after(sql, point);
    eid_status status = op->run(&s);
    eid_sql_fail_after(sql, 0);
    bool refused = status != EID_OK;
    if (refused && status != EID_ERR_STORAGE)
        fail_msg("call %d failing: %s: %s", (int)point, eid_status_name(status), eid_last_error());
    if (refused) {
        dt_assert_unchanged(s.core, &before);
        check_copy(&s, &before);
        tu_assert_ok(op->run(&s));
    }
    op->settle(&s);
    ti_check_core(s.core);
    dt_print after = dt_fingerprint(s.core);
    check_copy(&s, &after);
    eid_database_close(s.database);
    eid_txn_free(s.txn);
    eid_database_close(s.created);
    eid_core_close(s.core);
    s.txn = NULL;
    s.created = NULL;
    s.core = dt_open(path);
    s.database = dt_open_as(s.core, &s.root, 0);
    ti_check_core(s.core);
    dt_assert_unchanged(s.core, &after);
    subject_close(&s);
    return refused;
}

static void run_operation(const operation *op, uint64_t at_least)
{
    char *dir = tu_temp_dir(), *path = tu_path(dir, "data.db");
    uint64_t points = 0;
    while (refuse_one(op, path, points + 1))
        points++;
    print_message("%d points\n", (int)points);
    assert_true(points >= at_least);
    free(path);
    tu_temp_dir_remove(dir);
}

/* ---- Commits ---- */

static void prepare_commit(subject *s)
{
    tu_assert_ok(eid_database_new_transaction(s->database, &s->txn));
    dt_set_int(s->txn, "s", "doc.field", 7);
    dt_put_int(s->txn, "t", "k", 7);
    dt_put_int(s->txn, "new", "k", 7);
}

static eid_status run_commit(subject *s)
{
    return eid_txn_commit(s->txn, NULL);
}

static void settle_commit(subject *s)
{
    uint64_t count;
    tu_assert_ok(eid_database_entry_count(s->database, &count));
    assert_int_equal(count, 6);
    assert_int_equal(dt_int(s->database, "new", "k"), 7);
    assert_int_equal(dt_int(s->database, "s", "doc.field"), 7);
}

static void test_commit(void **state)
{
    (void)state;
    run_operation(&(operation){prepare_commit, run_commit, settle_commit}, 15);
}

static void prepare_barrier(subject *s)
{
    eid_txn_store *store;
    tu_assert_ok(eid_database_new_transaction(s->database, &s->txn));
    dt_put_int(s->txn, "s", "only", 7);
    tu_assert_ok(eid_txn_open_store(s->txn, "s", EID_TYPE_DOCSTORE, &store));
    eid_doc_set_atomic(store->delta, true);
}

static void settle_barrier(subject *s)
{
    assert_int_equal(dt_int(s->database, "s", "only"), 7);
    assert_int_equal(dt_int(s->database, "s", "doc.field"), INT64_MIN);
}

static void test_commit_that_replaces_a_store(void **state)
{
    (void)state;
    run_operation(&(operation){prepare_barrier, run_commit, settle_barrier}, 15);
}

static void prepare_branch(subject *s)
{
    size_t count;
    eid_entry **entries = dt_entries(s->core, &s->root, &count);
    eid_id grant = *eid_entry_id(entries[1]);
    th_free_entries(entries, count);
    tu_assert_ok(eid_database_new_transaction_at(s->database, &grant, 1, &s->txn));
    dt_set_int(s->txn, "s", "doc.late", 7);
}

static void settle_branch(subject *s)
{
    assert_int_equal(dt_int(s->database, "s", "doc.late"), 7);
    assert_int_equal(dt_int(s->database, "s", "doc.field"), 2);
}

static void test_commit_of_a_branch(void **state)
{
    (void)state;
    run_operation(&(operation){prepare_branch, run_commit, settle_branch}, 15);
}

static void prepare_nothing(subject *s)
{
    (void)s;
}

static eid_status run_create(subject *s)
{
    eid_doc *settings;
    eid_keypair *key = dt_key(1);
    tu_assert_ok(eid_doc_new(&settings));
    eid_status status = eid_database_create(s->core, settings, key, &s->created);
    eid_doc_free(settings);
    eid_keypair_free(key);
    return status;
}

static void settle_create(subject *s)
{
    assert_int_equal(ti_number(s->core, "SELECT COUNT(*) FROM tree"), 2);
}

static void test_create(void **state)
{
    (void)state;
    run_operation(&(operation){prepare_nothing, run_create, settle_create}, 10);
}

/* ---- Receiving ---- */

/* Entries of a chain: the second half waits, the first half comes now and releases it. The last is a stranger's, and a
 * store parent comes behind its child. */
static void prepare_receive(subject *s)
{
    eid_id parent = s->root, dangling = s->root;
    dangling.bytes[15] ^= 1;
    s->all = 8;
    s->count = 4;
    s->entries = calloc(s->all, sizeof(eid_entry *));
    for (uint64_t i = 0; i < s->all; i++) {
        dt_draft draft = {.root = &s->root,
                          .parents = &parent,
                          .parent_count = 1,
                          .pins = &s->root,
                          .pin_count = 1,
                          .height = 1 + i,
                          .store = i % 2 == 0 ? "s" : "fresh",
                          .payload = "{\"children\":{\"doc\":{\"Doc\":{\"children\":{\"x\":{\"Int\":1}}}}}}",
                          .store_parents = &dangling,
                          .store_parent_count = 1,
                          .key = i == 7 ? 9 : 1};
        s->entries[i] = dt_make(&draft);
        parent = s->entries[i]->id;
    }
    assert_int_equal(dt_receive(s->core, &s->root, s->entries + 4, 4).waiting, 4);
}

static eid_status run_receive(subject *s)
{
    return eid_core_receive(s->core, &s->root, s->entries, s->count, NULL, NULL);
}

static void settle_receive(subject *s)
{
    eid_receipt receipt = dt_receive(s->core, &s->root, s->entries, s->all);
    assert_int_equal(receipt.held, 7);
    assert_int_equal(receipt.refused, 1);
    assert_int_equal(receipt.first_refusal, EID_ERR_REFUSED_BEFORE);
    assert_int_equal(ti_number(s->core, "SELECT COUNT(*) FROM quarantine"), 0);
}

/* Feature W15 */
static void test_receive(void **state)
{
    (void)state;
    run_operation(&(operation){prepare_receive, run_receive, settle_receive}, 50);
}

/* A database that is not held yet. */
static void prepare_bootstrap(subject *s)
{
    eid_core *other = dt_memory();
    eid_database *database = dt_create(other);
    dt_grant(database, 3, EID_PERM_WRITE, EID_KEY_ACTIVE);
    for (int i = 0; i < 3; i++)
        dt_commit_int(database, "s", "k", i);
    s->entries = dt_entries(other, eid_database_root_id(database), &s->count);
    s->all = s->count;
    eid_database_close(database);
    eid_core_close(other);
}

static eid_status run_bootstrap(subject *s)
{
    return eid_core_receive(s->core, &s->entries[0]->id, s->entries, s->count, NULL, NULL);
}

static void settle_bootstrap(subject *s)
{
    assert_int_equal(dt_receive(s->core, &s->entries[0]->id, s->entries, s->count).held, s->count);
}

static void test_bootstrap(void **state)
{
    (void)state;
    run_operation(&(operation){prepare_bootstrap, run_bootstrap, settle_bootstrap}, 50);
}

/* ---- Reading ---- */

static bool next_entry(eid_entry *entry, void *ctx)
{
    (void)entry;
    (void)ctx;
    return true;
}

static eid_status run_reads(subject *s)
{
    uint8_t hash[32];
    eid_value *value;
    eid_doc *doc;
    eid_id *tips;
    size_t count;
    EID_TRY(eid_database_state_hash(s->database, hash));
    EID_TRY(eid_database_get(s->database, "s", "doc.field", &value));
    eid_value_free(value);
    EID_TRY(eid_database_store_state_at(s->database, "s", &s->root, 1, &doc));
    eid_doc_free(doc);
    EID_TRY(eid_database_tips(s->database, &tips, &count));
    eid_status status = eid_core_difference(s->core, &s->root, tips, count, next_entry, NULL);
    eid_free(tips);
    EID_TRY(status);
    EID_TRY(eid_core_difference(s->core, &s->root, &s->root, 1, next_entry, NULL));
    return eid_database_each_entry(s->database, next_entry, NULL);
}

static void settle_nothing(subject *s)
{
    (void)s;
}

static void test_reads(void **state)
{
    (void)state;
    run_operation(&(operation){prepare_nothing, run_reads, settle_nothing}, 20);
}

int main(void)
{
    /* Hundreds of files are made and closed, each waiting for the disk, and what the disk does is not the subject. */
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commit),    cmocka_unit_test(test_commit_that_replaces_a_store), cmocka_unit_test(test_commit_of_a_branch),
        cmocka_unit_test(test_create),    cmocka_unit_test(test_receive),
        cmocka_unit_test(test_bootstrap), cmocka_unit_test(test_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
