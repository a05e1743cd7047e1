/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions: what they see, what they stage, what their commit makes of it, and what is left when it fails. */
#include "database_test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "codec/cid.h"

typedef struct fixture {
    eid_core *core;
    eid_database *database;
    eid_id root;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    dt_set_clock(1000000);
    f->core = dt_memory();
    f->database = dt_create(f->core);
    f->root = *eid_database_root_id(f->database);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    ti_check_core(f->core);
    eid_database_close(f->database);
    eid_core_close(f->core);
    free(f);
    return 0;
}

static eid_txn *begin(fixture *f)
{
    eid_txn *txn;
    tu_assert_ok(eid_database_new_transaction(f->database, &txn));
    return txn;
}

static eid_txn *begin_at(fixture *f, const eid_id *tips, size_t count)
{
    eid_txn *txn;
    tu_assert_ok(eid_database_new_transaction_at(f->database, tips, count, &txn));
    return txn;
}

/* ---- Reading ---- */

typedef struct listing {
    char text[4096];
    size_t left;  /* rows to take before stopping; 0: all */
} listing;

static bool list(eid_slice key, const eid_value *value, void *ctx)
{
    listing *l = ctx;
    int64_t number = -1;
    if (eid_value_get_kind(value) == EID_VALUE_INT)
        tu_assert_ok(eid_value_as_int(value, &number));
    assert_int_not_equal(eid_value_get_kind(value), EID_VALUE_DELETED);
    size_t len = strlen(l->text);
    snprintf(l->text + len, sizeof l->text - len, "%.*s=%lld ", (int)key.len, (const char *)key.data, (long long)number);
    return l->left == 0 || --l->left > 0;
}

static void expect_scan(eid_txn *txn, const char *after, size_t most, const char *want)
{
    listing l = {.left = most};
    eid_slice place = after == NULL ? eid_slice_of(NULL, 0) : eid_slice_text(after);
    tu_assert_ok(eid_txn_store_scan(dt_store(txn, "s"), after == NULL ? NULL : &place, list, &l));
    assert_string_equal(l.text, want);
}

static void expect_all(eid_txn *txn, const char *want)
{
    eid_doc *doc;
    char *text;
    tu_assert_ok(eid_txn_store_all(dt_store(txn, "s"), &doc));
    tu_assert_ok(eid_doc_to_plain_json(doc, &text, NULL));
    assert_string_equal(text, want);
    eid_free(text);
    eid_doc_free(doc);
}

static void test_staged_over_committed(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    for (const char *key = "bdfh"; *key != '\0'; key++) {
        char text[2] = {*key, '\0'};
        dt_put_int(txn, "s", text, *key - 'a');
    }
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    txn = begin(f);
    expect_scan(txn, NULL, 0, "b=1 d=3 f=5 h=7 ");
    dt_put_int(txn, "s", "a", 100);
    dt_put_int(txn, "s", "d", 103);
    dt_put_deleted(txn, "s", "f");
    dt_put_int(txn, "s", "g", 106);
    dt_put_deleted(txn, "s", "i"); /* was never there */
    dt_put_int(txn, "s", "z", 125);
    expect_scan(txn, NULL, 0, "a=100 b=1 d=103 g=106 h=7 z=125 ");
    expect_scan(txn, "", 0, "a=100 b=1 d=103 g=106 h=7 z=125 ");
    expect_scan(txn, "b", 0, "d=103 g=106 h=7 z=125 ");
    expect_scan(txn, "c", 0, "d=103 g=106 h=7 z=125 ");
    expect_scan(txn, "d", 0, "g=106 h=7 z=125 ");
    expect_scan(txn, "h", 0, "z=125 ");
    expect_scan(txn, "z", 0, "");
    expect_scan(txn, NULL, 1, "a=100 ");
    expect_scan(txn, NULL, 3, "a=100 b=1 d=103 ");
    expect_scan(txn, "g", 1, "h=7 ");
    expect_all(txn, "{\"a\":100,\"b\":1,\"d\":103,\"g\":106,\"h\":7,\"z\":125}");
    assert_int_equal(dt_txn_int(txn, "s", "d"), 103);
    assert_int_equal(dt_txn_int(txn, "s", "f"), INT64_MIN);
    assert_int_equal(dt_txn_int(txn, "s", "b"), 1);
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    txn = begin(f);
    expect_scan(txn, NULL, 0, "a=100 b=1 d=103 g=106 h=7 z=125 ");
    eid_txn_free(txn);
    assert_int_equal(dt_int(f->database, "s", "f"), INT64_MIN);
}

/* Values that merge with what is committed, not only replace it. */
static void test_staged_documents_merge(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    dt_set_int(txn, "s", "user.age", 4);
    dt_set_int(txn, "s", "user.size", 100);
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    txn = begin(f);
    dt_set_int(txn, "s", "user.age", 5);
    expect_all(txn, "{\"user\":{\"age\":5,\"size\":100}}");
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    assert_int_equal(dt_int(f->database, "s", "user.size"), 100);
    assert_int_equal(dt_int(f->database, "s", "user.age"), 5);
}

/* Deleting a branch and setting below it again keeps the deletion (crdt.md section 9). */
static void test_delete_then_set(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    dt_set_int(txn, "s", "user.name", 1);
    dt_set_int(txn, "s", "user.address.street", 2);
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    txn = begin(f);
    dt_put_deleted(txn, "s", "user");
    dt_set_int(txn, "s", "user.zip", 3);
    expect_all(txn, "{\"user\":{\"zip\":3}}");
    dt_set_int(txn, "s", "user.more.deep", 4);
    expect_all(txn, "{\"user\":{\"more\":{\"deep\":4},\"zip\":3}}");
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    txn = begin(f);
    expect_all(txn, "{\"user\":{\"more\":{\"deep\":4},\"zip\":3}}");
    eid_value *deleted;
    tu_assert_ok(eid_value_new_deleted(&deleted));
    tu_assert_ok(eid_txn_store_set(dt_store(txn, "s"), eid_slice_text("user.more"), deleted));
    dt_set_int(txn, "s", "user.more.other", 5);
    expect_all(txn, "{\"user\":{\"more\":{\"other\":5},\"zip\":3}}");
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    assert_int_equal(dt_int(f->database, "s", "user.more.deep"), INT64_MIN);
    assert_int_equal(dt_int(f->database, "s", "user.more.other"), 5);
    assert_int_equal(dt_int(f->database, "s", "user.zip"), 3);
}

/* A staged document that is atomic at the top replaces the store: nothing committed shows through it. */
static void test_staged_replacement(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    dt_put_int(txn, "s", "a", 1);
    dt_put_int(txn, "s", "b", 1);
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    txn = begin(f);
    dt_put_int(txn, "s", "b", 2);
    dt_put_int(txn, "s", "c", 2);
    eid_doc_set_atomic(dt_store(txn, "s")->delta, true);
    assert_int_equal(dt_txn_int(txn, "s", "a"), INT64_MIN);
    assert_int_equal(dt_txn_int(txn, "s", "b"), 2);
    expect_scan(txn, NULL, 0, "b=2 c=2 ");
    expect_scan(txn, "b", 0, "c=2 ");
    expect_all(txn, "{\"b\":2,\"c\":2}");
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    txn = begin(f);
    expect_scan(txn, NULL, 0, "b=2 c=2 ");
    eid_txn_free(txn);
}

/* More keys than one slice of cells, with staged ones at its edges. */
static void test_scan_of_many(void **state)
{
    fixture *f = *state;
    enum { KEYS = 1000 };
    eid_txn *txn = begin(f);
    char key[16];
    for (int i = 0; i < KEYS; i += 2) {
        snprintf(key, sizeof key, "%04d", i);
        dt_put_int(txn, "s", key, i);
    }
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    txn = begin(f);
    for (int i = 1; i < KEYS; i += 6) {
        snprintf(key, sizeof key, "%04d", i);
        dt_put_int(txn, "s", key, i);
        snprintf(key, sizeof key, "%04d", i - 1);
        dt_put_deleted(txn, "s", key);
    }
    for (int round = 0; round < 2; round++) {
        char *want = calloc(KEYS, 16);
        for (int i = 0; i < KEYS; i++)
            if (i % 6 == 1 || (i % 2 == 0 && i % 6 != 0))
                snprintf(want + strlen(want), 16, "%04d=%d ", i, i);
        eid_slice place = {NULL, 0};
        size_t seen = 0;
        /* In steps, each behind the last key of the one before. */
        for (bool first = true;; first = false) {
            listing l = {.left = 37};
            tu_assert_ok(eid_txn_store_scan(dt_store(txn, "s"), first ? NULL : &place, list, &l));
            size_t len = strlen(l.text);
            assert_memory_equal(want + seen, l.text, len);
            seen += len;
            if (l.left > 0)
                break;
            char *last = l.text + len - 1;
            *last = '\0';
            char *begin_of_last = strrchr(l.text, ' ') + 1;
            static char copy[16];
            memcpy(copy, begin_of_last, 4);
            place = eid_slice_of(copy, 4);
        }
        assert_int_equal(seen, strlen(want));
        free(want);
        if (round == 0) { /* the same when somebody writes meanwhile: the cells do not serve any more */
            dt_commit_int(f->database, "s", "0002", -7);
            dt_commit_int(f->database, "s", "9999", -7);
        }
    }
    eid_txn_free(txn);
}

/* ---- Isolation ---- */

/* A commit in the middle of a scan: the rest shows the same state as the beginning. */
typedef struct meddler {
    fixture *f;
    int rows;
    int64_t sum;
} meddler;

static bool meddle(eid_slice key, const eid_value *value, void *ctx)
{
    meddler *m = ctx;
    int64_t number;
    (void)key;
    tu_assert_ok(eid_value_as_int(value, &number));
    m->sum += number;
    if (m->rows++ == 100) {
        eid_txn *txn = begin(m->f);
        dt_put_int(txn, "s", "000", 5000);  /* behind us */
        dt_put_int(txn, "s", "500", 5000);  /* before us */
        dt_put_deleted(txn, "s", "501");
        dt_put_int(txn, "s", "5015", 5000); /* new */
        tu_assert_ok(eid_txn_commit_free(txn, NULL));
    }
    return true;
}

static void test_commit_in_the_middle_of_a_scan(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    for (int i = 0; i < 700; i++) {
        char key[8];
        snprintf(key, sizeof key, "%03d", i);
        dt_put_int(txn, "s", key, 1);
    }
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    txn = begin(f);
    meddler m = {.f = f};
    tu_assert_ok(eid_txn_store_scan(dt_store(txn, "s"), NULL, meddle, &m));
    assert_int_equal(m.rows, 700);
    assert_int_equal(m.sum, 700);
    m = (meddler){.f = f, .rows = 1000};
    tu_assert_ok(eid_txn_store_scan(dt_store(txn, "s"), NULL, meddle, &m));
    assert_int_equal(m.sum, 700);
    eid_txn_free(txn);
}

/* Everything by which later commits could show: changed, deleted, new and merged keys, new stores, barriers, settings. */
static void test_later_commits_are_not_seen(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    dt_put_int(txn, "s", "changed", 1);
    dt_put_int(txn, "s", "deleted", 1);
    dt_put_int(txn, "s", "kept", 1);
    dt_set_int(txn, "s", "doc.a", 1);
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    eid_txn *old = begin(f), *untouched = begin(f);
    assert_int_equal(dt_txn_int(old, "s", "changed"), 1); /* opened before, the other one only afterwards */
    txn = begin(f);
    dt_put_int(txn, "s", "changed", 2);
    dt_put_deleted(txn, "s", "deleted");
    dt_put_int(txn, "s", "new", 2);
    dt_set_int(txn, "s", "doc.b", 2);
    dt_put_int(txn, "other", "k", 2);
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    eid_txn *both[] = {old, untouched};
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2; i++) {
            assert_int_equal(dt_txn_int(both[i], "s", "changed"), 1);
            assert_int_equal(dt_txn_int(both[i], "s", "deleted"), 1);
            assert_int_equal(dt_txn_int(both[i], "s", "kept"), 1);
            assert_int_equal(dt_txn_int(both[i], "s", "new"), INT64_MIN);
            assert_int_equal(dt_txn_int(both[i], "other", "k"), INT64_MIN);
            expect_scan(both[i], NULL, 0, "changed=1 deleted=1 doc=-1 kept=1 ");
            expect_all(both[i], "{\"changed\":1,\"deleted\":1,\"doc\":{\"a\":1},\"kept\":1}");
        }
        /* And once more with the whole store replaced. */
        txn = begin(f);
        dt_put_int(txn, "s", "kept", 3);
        eid_doc_set_atomic((eid_doc *)(uintptr_t)eid_txn_store_delta(dt_store(txn, "s")), true);
        tu_assert_ok(eid_txn_commit_free(txn, NULL));
    }
    assert_int_equal(dt_int(f->database, "s", "changed"), INT64_MIN);
    /* Their commits are branches from where they began. */
    dt_put_int(old, "s", "mine", 9);
    tu_assert_ok(eid_txn_commit_free(old, NULL));
    eid_txn_free(untouched);
    eid_id *tips;
    size_t count;
    tu_assert_ok(eid_database_tips(f->database, &tips, &count));
    assert_int_equal(count, 2);
    eid_free(tips);
}

/* The settings a transaction pins are those it began with. */
static void test_settings_are_those_of_the_beginning(void **state)
{
    fixture *f = *state;
    eid_id grant = dt_grant(f->database, 2, EID_PERM_WRITE, EID_KEY_ACTIVE), id;
    eid_database *writer = dt_open_as(f->core, &f->root, 2);
    eid_txn *before;
    tu_assert_ok(eid_database_new_transaction(writer, &before));
    dt_put_int(before, "s", "k", 1);
    eid_id later = dt_grant(f->database, 3, EID_PERM_WRITE, EID_KEY_ACTIVE);
    tu_assert_ok(eid_txn_commit_free(before, &id));
    eid_entry *entry = dt_entry(writer, &id);
    eid_entry_pin pin;
    tu_assert_ok(eid_entry_read_pin(entry, &pin));
    assert_int_equal(pin.tip_count, 1);
    assert_true(eid_id_equal(&pin.tips[0], &grant));
    assert_false(eid_id_equal(&pin.tips[0], &later));
    eid_entry_pin_free(&pin);
    eid_entry_unref(entry);
    eid_database_close(writer);
}

/* A transaction that began before its key was revoked would make an entry that counts nowhere. */
static void test_a_revocation_ends_transactions(void **state)
{
    fixture *f = *state;
    dt_grant(f->database, 2, EID_PERM_WRITE, EID_KEY_ACTIVE);
    eid_database *writer = dt_open_as(f->core, &f->root, 2);
    eid_txn *before, *after;
    tu_assert_ok(eid_database_new_transaction(writer, &before));
    dt_put_int(before, "s", "k", 1);
    dt_grant(f->database, 2, EID_PERM_WRITE, EID_KEY_REVOKED);
    tu_assert_ok(eid_database_new_transaction(writer, &after));
    dt_put_int(after, "s", "k", 2);
    dt_print print = dt_fingerprint(f->core);
    tu_assert_fails(eid_txn_commit(after, NULL), EID_ERR_PERMISSION_DENIED);
    tu_assert_fails(eid_txn_commit(before, NULL), EID_ERR_PERMISSION_DENIED);
    assert_non_null(strstr(eid_last_error(), "ended by entry"));
    dt_assert_unchanged(f->core, &print);
    eid_txn_free(after);
    eid_txn_free(before);
    eid_database_close(writer);
}

/* ---- At chosen tips ---- */

static void test_at_older_tips(void **state)
{
    fixture *f = *state;
    eid_id ids[3], id;
    for (int i = 0; i < 3; i++)
        ids[i] = dt_commit_int(f->database, "s", "k", i);
    dt_commit_int(f->database, "s", "later", 1);
    eid_txn *txn = begin_at(f, &ids[1], 1);
    assert_int_equal(dt_txn_int(txn, "s", "k"), 1);
    assert_int_equal(dt_txn_int(txn, "s", "later"), INT64_MIN);
    dt_put_int(txn, "s", "branch", 5);
    expect_scan(txn, NULL, 0, "branch=5 k=1 ");
    expect_all(txn, "{\"branch\":5,\"k\":1}");
    tu_assert_ok(eid_txn_commit_free(txn, &id));
    eid_entry *entry = dt_entry(f->database, &id);
    assert_int_equal(eid_entry_parent_count(entry), 1);
    assert_true(eid_id_equal(eid_entry_parent(entry, 0), &ids[1]));
    assert_int_equal(eid_entry_store_parent_count(entry, 0), 1);
    assert_true(eid_id_equal(eid_entry_store_parent(entry, 0, 0), &ids[1]));
    eid_entry_unref(entry);
    assert_int_equal(dt_int(f->database, "s", "branch"), 5);
    assert_int_equal(dt_int(f->database, "s", "k"), 2);
    /* Of tips that contain each other only the newest count. */
    eid_id nested[3] = {ids[0], ids[2], ids[1]};
    txn = begin_at(f, nested, 3);
    assert_int_equal(dt_txn_int(txn, "s", "k"), 2);
    dt_put_int(txn, "s", "x", 1);
    tu_assert_ok(eid_txn_commit_free(txn, &id));
    entry = dt_entry(f->database, &id);
    assert_int_equal(eid_entry_parent_count(entry), 1);
    assert_true(eid_id_equal(eid_entry_parent(entry, 0), &ids[2]));
    eid_entry_unref(entry);
    /* At the root nothing of the store was there. */
    txn = begin_at(f, &f->root, 1);
    expect_all(txn, "{}");
    eid_txn_free(txn);
}

/* More tips than an entry may name: each commit joins as many as it can, newest first, until they are one. */
static void test_more_tips_than_parents(void **state)
{
    fixture *f = *state;
    enum { TIPS = EID_LIMIT_ENTRY_PARENTS + 40 };
    eid_id base = dt_commit_int(f->database, "s", "k", 0), id;
    eid_entry **siblings = calloc(TIPS, sizeof(eid_entry *));
    for (size_t i = 0; i < TIPS; i++) {
        char payload[64];
        snprintf(payload, sizeof payload, "{\"children\":{\"k%zu\":{\"Int\":1}}}", i);
        dt_draft draft = {.root = &f->root, .parents = &base, .parent_count = 1, .pins = &f->root, .pin_count = 1, .height = 2,
                          .store = "s", .payload = payload, .store_parents = &base, .store_parent_count = 1, .key = 1};
        siblings[i] = dt_make(&draft);
    }
    assert_int_equal(dt_receive(f->core, &f->root, siblings, TIPS).admitted, TIPS);
    static const size_t left[] = {TIPS - EID_LIMIT_ENTRY_PARENTS + 1, 1};
    for (int i = 0; i < 2; i++) {
        eid_id *tips;
        size_t count;
        id = dt_commit_int(f->database, "s", "merged", i);
        tu_assert_ok(eid_database_tips(f->database, &tips, &count));
        assert_int_equal(count, left[i]);
        eid_free(tips);
        eid_entry *entry = dt_entry(f->database, &id);
        assert_int_equal(eid_entry_parent_count(entry), i == 0 ? EID_LIMIT_ENTRY_PARENTS : left[0]);
        assert_int_equal(eid_entry_store_parent_count(entry, 0), i == 0 ? EID_LIMIT_ENTRY_PARENTS : left[0]);
        eid_entry_unref(entry);
    }
    assert_int_equal(dt_int(f->database, "s", "merged"), 1);
    assert_int_equal(dt_int(f->database, "s", "k4000"), 1);
    th_free_entries(siblings, TIPS);
}

static void test_wrong_tips(void **state)
{
    fixture *f = *state;
    eid_database *other = dt_create(f->core);
    eid_id tips[2] = {f->root, *eid_database_root_id(other)};
    eid_txn *txn = NULL;
    tu_assert_fails(eid_database_new_transaction_at(f->database, tips, 2, &txn), EID_ERR_INVALID_TIP);
    tu_assert_fails(eid_database_new_transaction_at(f->database, &tips[1], 1, &txn), EID_ERR_INVALID_TIP);
    tips[1].bytes[10] ^= 1;
    tu_assert_fails(eid_database_new_transaction_at(f->database, tips, 2, &txn), EID_ERR_INVALID_TIP);
    tips[1] = (eid_id){0};
    tu_assert_fails(eid_database_new_transaction_at(f->database, tips, 2, &txn), EID_ERR_INVALID_TIP);
    tu_assert_fails(eid_database_new_transaction_at(f->database, tips, 0, &txn), EID_ERR_INVALID_TIP);
    assert_null(txn);
    eid_database_close(other);
}

/* ---- The entry ---- */

static void test_what_is_committed(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    eid_id id;
    dt_put_int(txn, "s", "k", 5);
    dt_store(txn, "read"); /* only read: no part of the entry */
    tu_assert_ok(eid_txn_commit_free(txn, &id));
    eid_entry *entry = dt_entry(f->database, &id);
    assert_int_equal(eid_entry_height(entry), 1);
    assert_int_equal(eid_entry_store_count(entry), 2);
    assert_string_equal(eid_entry_store_name(entry, 0), "_index");
    assert_string_equal(eid_entry_store_name(entry, 1), "s");
    const void *data;
    size_t len;
    assert_true(eid_entry_store_data(entry, 0, &data, &len));
    static const char record[] = "{\"children\":{\"s\":{\"Doc\":{\"children\":{\"config\":{\"Doc\":{\"children\":{}}},"
                                 "\"type\":{\"Text\":\"docstore:v0\"}}}}}}";
    assert_int_equal(len, sizeof record - 1);
    assert_memory_equal(data, record, len);
    assert_true(eid_entry_store_data(entry, 1, &data, &len));
    assert_memory_equal(data, "{\"children\":{\"k\":{\"Int\":5}}}", len);
    eid_pubkey signer, admin = dt_pubkey(1);
    assert_true(eid_entry_signer(entry, &signer) && eid_pubkey_equal(&signer, &admin));
    tu_assert_ok(eid_entry_verify_signature(entry, &admin));
    eid_entry_unref(entry);
    /* Registered once. */
    id = dt_commit_int(f->database, "s", "k", 6);
    entry = dt_entry(f->database, &id);
    assert_int_equal(eid_entry_store_count(entry), 1);
    eid_entry_unref(entry);
}

static void test_nothing_staged_makes_no_entry(void **state)
{
    fixture *f = *state;
    dt_commit_int(f->database, "s", "k", 1);
    dt_print before = dt_fingerprint(f->core);
    eid_id id;
    memset(&id, 7, sizeof id);
    eid_txn *txn = begin(f);
    assert_int_equal(dt_txn_int(txn, "s", "k"), 1);
    tu_assert_ok(eid_txn_commit(txn, &id));
    assert_true(eid_id_is_empty(&id));
    tu_assert_fails(eid_txn_commit(txn, &id), EID_ERR_ALREADY_COMMITTED);
    eid_txn_free(txn);
    eid_database *reader = dt_open_as(f->core, &f->root, 0); /* also without a key */
    tu_assert_ok(eid_database_new_transaction(reader, &txn));
    dt_store(txn, "unknown");
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    eid_database_close(reader);
    dt_assert_unchanged(f->core, &before);
}

static void test_after_the_commit(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    eid_txn_store *store = dt_store(txn, "s"), *again = NULL;
    dt_put_int(txn, "s", "k", 1);
    tu_assert_ok(eid_txn_commit(txn, NULL));
    eid_value *value = NULL, *given;
    eid_doc *doc = NULL;
    listing l = {.left = 0};
    tu_assert_ok(eid_value_new_int(1, &given));
    tu_assert_fails(eid_txn_open_store(txn, "s", EID_TYPE_DOCSTORE, &again), EID_ERR_ALREADY_COMMITTED);
    tu_assert_fails(eid_txn_store_child(store, eid_slice_text("k"), &value), EID_ERR_ALREADY_COMMITTED);
    tu_assert_fails(eid_txn_store_all(store, &doc), EID_ERR_ALREADY_COMMITTED);
    tu_assert_fails(eid_txn_store_scan(store, NULL, list, &l), EID_ERR_ALREADY_COMMITTED);
    tu_assert_fails(eid_txn_store_set(store, eid_slice_text("k"), given), EID_ERR_ALREADY_COMMITTED);
    tu_assert_fails(eid_txn_store_put(store, eid_slice_text("k"), given), EID_ERR_ALREADY_COMMITTED);
    tu_assert_fails(eid_txn_commit(txn, NULL), EID_ERR_ALREADY_COMMITTED);
    assert_true(value == NULL && doc == NULL && again == NULL && l.text[0] == '\0');
    eid_value_free(given);
    tu_assert_fails(eid_txn_commit_free(txn, NULL), EID_ERR_ALREADY_COMMITTED);
    eid_txn_free(NULL);
    assert_int_equal(dt_int(f->database, "s", "k"), 1);
}

/* ---- Failing commits ---- */

static void test_reading_handles(void **state)
{
    fixture *f = *state;
    dt_commit_int(f->database, "s", "k", 1);
    eid_database *reader = dt_open_as(f->core, &f->root, 0);
    dt_print before = dt_fingerprint(f->core);
    eid_txn *txn;
    tu_assert_ok(eid_database_new_transaction(reader, &txn));
    assert_int_equal(dt_txn_int(txn, "s", "k"), 1);
    dt_put_int(txn, "s", "k", 2);
    assert_int_equal(dt_txn_int(txn, "s", "k"), 2);
    tu_assert_fails(eid_txn_commit(txn, NULL), EID_ERR_AUTH_REQUIRED);
    assert_int_equal(dt_txn_int(txn, "s", "k"), 2); /* as it was before */
    eid_txn_free(txn);
    dt_assert_unchanged(f->core, &before);
    eid_permission permission;
    tu_assert_fails(eid_database_current_permission(reader, &permission), EID_ERR_AUTH_REQUIRED);
    eid_database_close(reader);
}

static void test_denied_commits(void **state)
{
    fixture *f = *state;
    dt_grant(f->database, 2, EID_PERM_WRITE, EID_KEY_ACTIVE);
    dt_grant(f->database, 3, EID_PERM_READ, EID_KEY_ACTIVE);
    static const uint8_t keys[] = {3, 5, 2};
    for (size_t i = 0; i < sizeof keys; i++) {
        eid_database *handle = dt_open_as(f->core, &f->root, keys[i]);
        dt_print before = dt_fingerprint(f->core);
        eid_txn *txn;
        eid_id id;
        memset(&id, 7, sizeof id);
        tu_assert_ok(eid_database_new_transaction(handle, &txn));
        if (keys[i] == 2) {
            eid_txn_store *settings;
            eid_value *value;
            tu_assert_ok(eid_txn_open_store(txn, EID_SETTINGS, NULL, &settings));
            tu_assert_ok(eid_value_new_text("x", 1, &value));
            tu_assert_ok(eid_txn_store_put(settings, eid_slice_text("name"), value));
        }
        dt_put_int(txn, "s", "k", 1);
        for (int again = 0; again < 2; again++)
            tu_assert_fails(eid_txn_commit(txn, &id), EID_ERR_PERMISSION_DENIED);
        assert_int_equal(id.len, 7); /* untouched */
        eid_txn_free(txn);
        dt_assert_unchanged(f->core, &before);
        eid_database_close(handle);
    }
}

/* A refused commit still sees its old settings when it is tried again; a new transaction sees the grant. */
static void test_denied_then_granted(void **state)
{
    fixture *f = *state;
    eid_database *handle = dt_open_as(f->core, &f->root, 2);
    eid_txn *txn;
    tu_assert_ok(eid_database_new_transaction(handle, &txn));
    dt_put_int(txn, "s", "k", 1);
    tu_assert_fails(eid_txn_commit(txn, NULL), EID_ERR_PERMISSION_DENIED);
    dt_grant(f->database, 2, EID_PERM_WRITE, EID_KEY_ACTIVE);
    tu_assert_fails(eid_txn_commit_free(txn, NULL), EID_ERR_PERMISSION_DENIED);
    dt_commit_int(handle, "s", "k", 2);
    assert_int_equal(dt_int(f->database, "s", "k"), 2);
    eid_permission permission;
    tu_assert_ok(eid_database_current_permission(handle, &permission));
    assert_int_equal(permission.kind, EID_PERM_WRITE);
    eid_database_close(handle);
}

static void test_auth_can_not_be_destroyed(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        dt_print before = dt_fingerprint(f->core);
        eid_txn *txn = begin(f);
        eid_txn_store *settings;
        eid_value *value;
        if (i == 0)
            tu_assert_ok(eid_value_new_deleted(&value));
        else if (i == 1)
            tu_assert_ok(eid_value_new_text("open to all", 11, &value));
        else
            tu_assert_ok(eid_value_new_null(&value));
        tu_assert_ok(eid_txn_open_store(txn, EID_SETTINGS, NULL, &settings));
        tu_assert_ok(eid_txn_store_put(settings, eid_slice_text("auth"), value));
        tu_assert_fails(eid_txn_commit_free(txn, NULL), EID_ERR_CORRUPTED_AUTH);
        dt_assert_unchanged(f->core, &before);
    }
}

/* ---- Stores ---- */

static void test_store_names(void **state)
{
    fixture *f = *state;
    char longest[EID_LIMIT_STORE_NAME + 2];
    memset(longest, 'n', sizeof longest);
    longest[EID_LIMIT_STORE_NAME + 1] = '\0';
    const char *const wrong[] = {"", "_settings", "_index", "_root", "_", "_mine", "a.b", ".", "a.", "\xff", "a\xc3", longest};
    eid_txn *txn = begin(f);
    eid_txn_store *store = NULL;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        tu_assert_fails(eid_txn_open_store(txn, wrong[i], EID_TYPE_DOCSTORE, &store), EID_ERR_STORE_NAME);
        assert_null(store);
    }
    longest[EID_LIMIT_STORE_NAME] = '\0';
    const char *const right[] = {"a", " ", "\xc3\xa9", "a_b", "A", longest};
    for (size_t i = 0; i < sizeof right / sizeof *right; i++)
        dt_put_int(txn, right[i], "k", (int64_t)i);
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    for (size_t i = 0; i < sizeof right / sizeof *right; i++)
        assert_int_equal(dt_int(f->database, right[i], "k"), i);
}

static void test_types(void **state)
{
    fixture *f = *state;
    eid_txn_store *store = NULL, *same;
    eid_txn *txn = begin(f);
    tu_assert_ok(eid_txn_open_store(txn, "t", EID_TYPE_TABLE, &store));
    tu_assert_fails(eid_txn_open_store(txn, "t", EID_TYPE_DOCSTORE, &same), EID_ERR_TYPE_MISMATCH);
    tu_assert_ok(eid_txn_open_store(txn, "t", EID_TYPE_TABLE, &same));
    assert_ptr_equal(store, same);
    tu_assert_ok(eid_txn_commit_free(txn, NULL)); /* nothing was staged: it is not registered */
    txn = begin(f);
    tu_assert_ok(eid_txn_open_store(txn, "t", EID_TYPE_DOCSTORE, &store));
    eid_txn_free(txn);
    txn = begin(f);
    eid_value *value;
    tu_assert_ok(eid_txn_open_store(txn, "t", EID_TYPE_TABLE, &store));
    tu_assert_ok(eid_value_new_text("1", 1, &value));
    tu_assert_ok(eid_txn_store_put(store, eid_slice_text("row"), value));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    txn = begin(f);
    tu_assert_fails(eid_txn_open_store(txn, "t", EID_TYPE_DOCSTORE, &store), EID_ERR_TYPE_MISMATCH);
    assert_non_null(strstr(eid_last_error(), "table:v0"));
    tu_assert_ok(eid_txn_open_store(txn, "t", EID_TYPE_TABLE, &store));
    eid_txn_free(txn);
    txn = begin_at(f, &f->root, 1); /* there it was not registered yet */
    tu_assert_ok(eid_txn_open_store(txn, "t", EID_TYPE_DOCSTORE, &store));
    eid_txn_free(txn);
}

static void test_keys_must_be_text(void **state)
{
    fixture *f = *state;
    eid_txn *txn = begin(f);
    eid_value *value;
    tu_assert_ok(eid_value_new_int(1, &value));
    tu_assert_fails(eid_txn_store_put(dt_store(txn, "s"), eid_slice_text("\xff\xfe"), value), EID_ERR_UTF8);
    tu_assert_fails(eid_txn_store_set(dt_store(txn, "s"), eid_slice_text("a.\xff"), value), EID_ERR_UTF8);
    tu_assert_fails(eid_txn_store_set(dt_store(txn, "s"), eid_slice_text("."), value), EID_ERR_INVALID_PATH);
    eid_value_free(value);
    assert_int_equal(eid_doc_child_count(eid_txn_store_delta(dt_store(txn, "s"))), 0);
    dt_put_int(txn, "s", "a.b", 4); /* a key is taken literally, a path is not */
    dt_set_int(txn, "s", "a.b", 5);
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    txn = begin(f);
    assert_int_equal(dt_txn_int(txn, "s", "a.b"), 4);
    eid_txn_free(txn);
    assert_int_equal(dt_int(f->database, "s", "a.b"), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_staged_over_committed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_staged_documents_merge, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_delete_then_set, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_staged_replacement, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_more_tips_than_parents, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_scan_of_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_commit_in_the_middle_of_a_scan, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_later_commits_are_not_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_settings_are_those_of_the_beginning, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_revocation_ends_transactions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_at_older_tips, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_tips, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_committed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_staged_makes_no_entry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_after_the_commit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reading_handles, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_denied_commits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_denied_then_granted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_auth_can_not_be_destroyed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_store_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_types, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_keys_must_be_text, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
