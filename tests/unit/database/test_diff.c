/* SPDX-License-Identifier: Apache-2.0 */
/* What changed between two snapshots: against comparing whole documents of the slow model. */
#include <eidetica/history.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "random_database.h"

#define HISTORIES 300
#define PAIRS 4

/* ---- Comparing with whole documents ---- */

static char *text_of(const eid_value *value)
{
    if (value == NULL || eid_value_get_kind(value) == EID_VALUE_DELETED)
        return strdup("nothing");
    eid_buf buf;
    eid_buf_init(&buf, SIZE_MAX / 2);
    eid_value_write(&buf, value);
    char *text = calloc(buf.len + 1, 1);
    memcpy(text, buf.data, buf.len);
    eid_buf_free(&buf);
    return text;
}

typedef struct comparison {
    const eid_doc *before;
    const eid_doc *after;
    char *reported[TH_KEYS * 4]; /* keys in the order reported */
    size_t reported_len[TH_KEYS * 4];
    size_t count;
    size_t stop;
    const char *what;
} comparison;

static void assert_value(const comparison *c, const eid_value *have, const eid_value *want, const char *side)
{
    char *left = text_of(have), *right = text_of(want);
    if (strcmp(left, right) != 0)
        fail_msg("%s: %s: %s, wanted %s", c->what, side, left, right);
    assert_true(have == NULL || eid_value_get_kind(have) != EID_VALUE_DELETED);
    free(left);
    free(right);
}

static bool take_change(const eid_key_change *change, void *ctx)
{
    comparison *c = ctx;
    eid_slice key = eid_slice_of(change->key, change->key_len);
    assert_true(change->key[change->key_len] == '\0');
    assert_true(c->count < TH_KEYS * 4);
    if (c->count > 0)
        assert_true(eid_slice_compare(eid_slice_of(c->reported[c->count - 1], c->reported_len[c->count - 1]), key) < 0);
    assert_value(c, change->before, eid_doc_child(c->before, key), "before");
    assert_value(c, change->after, eid_doc_child(c->after, key), "after");
    c->reported[c->count] = calloc(key.len + 1, 1);
    memcpy(c->reported[c->count], key.data, key.len);
    c->reported_len[c->count++] = key.len;
    return c->count != c->stop;
}

static void forget(comparison *c)
{
    while (c->count > 0)
        free(c->reported[--c->count]);
}

static size_t count_differences(const comparison *c)
{
    size_t differences = 0;
    for (size_t k = 0; k < TH_KEYS; k++) {
        size_t len;
        const char *key = th_key(k, &len);
        char *left = text_of(eid_doc_child(c->before, eid_slice_of(key, len)));
        char *right = text_of(eid_doc_child(c->after, eid_slice_of(key, len)));
        differences += strcmp(left, right) != 0;
        free(left);
        free(right);
    }
    return differences;
}

static void check_store(random_database *w, size_t store, const eid_id *from, size_t from_count, const bool *before,
                        const eid_id *to, size_t to_count, const bool *after)
{
    char *name = rd_store_name(&w->model, store);
    eid_doc *left = rd_doc_at(&w->model, before, store), *right = rd_doc_at(&w->model, after, store);
    comparison c = {.before = left, .after = right, .what = w->what};
    size_t want = count_differences(&c);
    tu_assert_ok(eid_database_diff(w->database, name, from, from_count, to, to_count, take_change, &c));
    if (c.count != want)
        fail_msg("%s, store %s: %zu keys, wanted %zu", w->what, name, c.count, want);
    forget(&c);
    if (want > 1) {
        c.stop = 1;
        tu_assert_ok(eid_database_diff(w->database, name, from, from_count, to, to_count, take_change, &c));
        assert_int_equal(c.count, 1);
        forget(&c);
    }
    eid_doc_free(left);
    eid_doc_free(right);
    free(name);
}

/* ---- Stores of a difference ---- */

typedef struct names {
    const tm_model *model;
    bool *reported; /* by store of the model */
} names;

static bool take_store(const char *name, size_t len, void *ctx)
{
    names *n = ctx;
    size_t store = tm_store(n->model, eid_slice_of(name, len));
    assert_true(store != TM_NONE);
    assert_false(n->reported[store]);
    n->reported[store] = true;
    return true;
}

static void check_stores(random_database *w, const eid_id *from, size_t from_count, const bool *before, const eid_id *to,
                         size_t to_count, const bool *after)
{
    names n = {&w->model, calloc(w->model.store_count + 1, sizeof(bool))};
    tu_assert_ok(eid_database_diff_stores(w->database, from, from_count, to, to_count, take_store, &n));
    for (size_t s = 0; s < w->model.store_count; s++) {
        bool want = false;
        for (size_t i = 0; i < w->model.count; i++)
            want = want || (before[i] != after[i] && tm_part_of(&w->model, i, s) != NULL);
        assert_int_equal(n.reported[s], want);
    }
    free(n.reported);
}

static void check_pair(random_database *w)
{
    eid_id from[RD_TIPS], to[RD_TIPS];
    size_t from_count, to_count;
    bool *before = rd_snapshot(w, from, &from_count), *after = rd_snapshot(w, to, &to_count);
    bool *all = tm_set(&w->model, true);
    for (size_t s = 0; s < w->model.store_count; s++) {
        check_store(w, s, from, from_count, before, to, to_count, after);
        check_store(w, s, to, to_count, after, from, from_count, before);
        check_store(w, s, from, from_count, before, NULL, 0, all);
        check_store(w, s, from, from_count, before, from, from_count, before);
    }
    check_stores(w, from, from_count, before, to, to_count, after);
    check_stores(w, to, to_count, after, NULL, 0, all);
    free(before);
    free(after);
    free(all);
}

static void run(uint64_t first, bool (*adjust)(th_shape *shape, tu_random *random))
{
    tu_random seed = tu_random_seeded(first);
    for (uint64_t i = 0; i < HISTORIES; i++) {
        random_database w;
        tu_random random = {seed.state + i};
        th_shape shape = rd_wild(&random);
        adjust(&shape, &random);
        rd_make(&w, seed.state + i, &shape);
        for (int pair = 0; pair < PAIRS; pair++)
            check_pair(&w);
        rd_free(&w);
    }
}

static bool as_it_is(th_shape *shape, tu_random *random)
{
    (void)shape;
    (void)random;
    return true;
}

/* Many atomic Docs, also in branches that the other side does not have. */
static bool with_barriers(th_shape *shape, tu_random *random)
{
    shape->barriers = 10 + (unsigned)tu_random_below(random, 50);
    return true;
}

/* Store parents from anywhere: the closure of a snapshot reaches beyond it. */
static bool with_odd_parents(th_shape *shape, tu_random *random)
{
    shape->odd_parents = true;
    shape->branching = 50 + (unsigned)tu_random_below(random, 50);
    return true;
}

static void test_random_histories(void **state)
{
    (void)state;
    run(8100, as_it_is);
}

static void test_histories_with_barriers(void **state)
{
    (void)state;
    run(8200, with_barriers);
}

static void test_histories_with_odd_parents(void **state)
{
    (void)state;
    run(8300, with_odd_parents);
}

/* ---- Plain cases ---- */

typedef struct expectation {
    const char *key;
    int64_t before; /* INT64_MIN: nothing */
    int64_t after;
} expectation;

typedef struct expectations {
    const expectation *items;
    size_t count;
    size_t at;
} expectations;

static int64_t number_of(const eid_value *value)
{
    int64_t number = INT64_MIN;
    if (value != NULL)
        tu_assert_ok(eid_value_as_int(value, &number));
    return number;
}

static bool expect_change(const eid_key_change *change, void *ctx)
{
    expectations *e = ctx;
    assert_true(e->at < e->count);
    const expectation *want = &e->items[e->at++];
    assert_string_equal(change->key, want->key);
    assert_int_equal(number_of(change->before), want->before);
    assert_int_equal(number_of(change->after), want->after);
    return true;
}

static void expect_diff(eid_database *database, const eid_id *from, const eid_id *to, const expectation *items, size_t count)
{
    expectations e = {items, count, 0};
    tu_assert_ok(eid_database_diff(database, "s", from, from == NULL ? 0 : 1, to, to == NULL ? 0 : 1, expect_change, &e));
    assert_int_equal(e.at, count);
}

static void test_plain_changes(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    eid_id root = *eid_database_root_id(database);
    eid_id one = dt_commit_int(database, "s", "a", 1);
    eid_id two = dt_commit_int(database, "s", "b", 2);
    eid_txn *txn;
    eid_id three, four;
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    dt_put_deleted(txn, "s", "a");
    dt_put_int(txn, "s", "b", 2); /* written again, not changed */
    tu_assert_ok(eid_txn_commit_free(txn, &three));
    four = dt_commit_int(database, "other", "a", 9);
    const expectation first[] = {{"a", INT64_MIN, 1}};
    const expectation both[] = {{"a", INT64_MIN, 1}, {"b", INT64_MIN, 2}};
    const expectation gone[] = {{"a", 1, INT64_MIN}};
    const expectation back[] = {{"a", INT64_MIN, 1}, {"b", 2, INT64_MIN}};
    expect_diff(database, &root, &one, first, 1);
    expect_diff(database, NULL, &two, both, 2);
    expect_diff(database, &two, &three, gone, 1);
    expect_diff(database, &two, NULL, gone, 1);
    expect_diff(database, &three, &one, back, 2);
    expect_diff(database, &three, &four, NULL, 0);
    expect_diff(database, &four, NULL, NULL, 0);
    eid_id stranger = {0};
    expectations nothing = {NULL, 0, 0};
    tu_assert_fails(eid_database_diff(database, "s", &stranger, 1, NULL, 0, expect_change, &nothing), EID_ERR_INVALID_TIP);
    tu_assert_fails(eid_database_diff(database, "s", &one, 1, &stranger, 1, expect_change, &nothing), EID_ERR_INVALID_TIP);
    tu_assert_ok(eid_database_diff(database, "unheard of", NULL, 0, NULL, 0, expect_change, &nothing));
    eid_database_close(database);
    eid_core_close(core);
}

/* What is committed while changes are handed out does not show. */
typedef struct writer {
    eid_database *database;
    int64_t seen;
} writer;

static bool write_meanwhile(const eid_key_change *change, void *ctx)
{
    writer *w = ctx;
    w->seen += number_of(change->after);
    dt_commit_int(w->database, "s", "a", 100);
    dt_commit_int(w->database, "s", "z", 100);
    return true;
}

static void test_shows_one_moment(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    eid_id root = *eid_database_root_id(database);
    dt_commit_int(database, "s", "m", 1);
    dt_commit_int(database, "s", "z", 2);
    writer w = {database, 0};
    tu_assert_ok(eid_database_diff(database, "s", &root, 1, NULL, 0, write_meanwhile, &w));
    assert_int_equal(w.seen, 3);
    eid_database_close(database);
    eid_core_close(core);
}

/* ---- The cost ---- */

static bool count_change(const eid_key_change *change, void *ctx)
{
    (void)change;
    ++*(size_t *)ctx;
    return true;
}

/* The same difference far behind in a long history and in a short one: nearly the same number of engine calls. */
static uint64_t calls_for(size_t history)
{
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    eid_id before;
    for (size_t i = 0; i < history; i++) {
        char key[32];
        snprintf(key, sizeof key, "k%zu", i % 100);
        before = dt_commit_int(database, "s", key, (int64_t)i);
    }
    for (int64_t i = 0; i < 5; i++)
        dt_commit_int(database, "s", i % 2 == 0 ? "k1" : "k2", -i);
    size_t changes = 0;
    eid_sql *sql = eid_storage_sql(eid_core_storage(core));
    const uint64_t many = 1u << 30;
    eid_sql_fail_after(sql, many);
    tu_assert_ok(eid_database_diff(database, "s", &before, 1, NULL, 0, count_change, &changes));
    uint64_t calls = many - eid_sql_calls_left(sql);
    eid_sql_fail_after(sql, 0);
    assert_int_equal(changes, 2);
    eid_database_close(database);
    eid_core_close(core);
    return calls;
}

static void test_cost_is_that_of_the_difference(void **state)
{
    (void)state;
    uint64_t shorter = calls_for(200), longer = calls_for(6400);
    if (longer > 2 * shorter)
        fail_msg("%llu calls after 200 entries, %llu after 6400", (unsigned long long)shorter, (unsigned long long)longer);
}

/* ---- Memory ---- */

typedef struct fault {
    eid_database *database;
    eid_id from;
} fault;

static eid_status compare_everything(void *ctx)
{
    fault *f = ctx;
    size_t count = 0;
    EID_TRY(eid_database_diff(f->database, "s", &f->from, 1, NULL, 0, count_change, &count));
    EID_TRY(eid_database_diff(f->database, "s", NULL, 0, &f->from, 1, count_change, &count));
    return EID_OK;
}

static void test_memory_failures(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    fault f = {.database = database};
    for (int i = 0; i < 3; i++)
        f.from = dt_commit_int(database, "s", i == 1 ? "a" : "b", i);
    dt_commit_int(database, "s", "a", 9);
    eid_txn *txn;
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    dt_set_int(txn, "s", "deep.er", 1);
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    assert_true(tu_alloc_fault_loop(compare_everything, &f) > 10);
    eid_database_close(database);
    eid_core_close(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_histories),
        cmocka_unit_test(test_histories_with_barriers),
        cmocka_unit_test(test_histories_with_odd_parents),
        cmocka_unit_test(test_plain_changes),
        cmocka_unit_test(test_shows_one_moment),
        cmocka_unit_test(test_cost_is_that_of_the_difference),
        cmocka_unit_test(test_memory_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
