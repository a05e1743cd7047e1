/* SPDX-License-Identifier: Apache-2.0 */
/* Entries in order, from cursors and at snapshots, and the writes of a key: against plain sorting of the model. */
#include <eidetica/history.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "codec/cid.h"
#include "random_database.h"

#define HISTORIES 120

/* ---- The obvious order ---- */

static uint64_t clamped(uint64_t height)
{
    return height > INT64_MAX ? INT64_MAX : height;
}

typedef struct place {
    uint64_t height;
    size_t node;
    const eid_id *id;
} place;

static int compare_places(const void *a, const void *b)
{
    const place *left = a, *right = b;
    if (left->height != right->height)
        return left->height < right->height ? -1 : 1;
    return eid_id_compare_text(left->id, right->id);
}

/* The height of the main order: the entry's, raised above its parents'. Parents stand before children in the model. */
static uint64_t *ranks(const tm_model *model)
{
    uint64_t *rank = calloc(model->count, sizeof *rank);
    for (size_t i = 0; i < model->count; i++) {
        rank[i] = clamped(model->nodes[i].entry->height);
        for (size_t p = 0; p < model->nodes[i].parent_count; p++) {
            uint64_t parent = rank[model->nodes[i].parents[p]];
            if (rank[i] <= parent)
                rank[i] = parent < INT64_MAX ? parent + 1 : INT64_MAX;
        }
    }
    return rank;
}

/* Everything of the set in order; `store` TM_NONE: the main DAG. free() it. */
static place *expected(const tm_model *model, const bool *set, size_t store, bool backwards, size_t *count)
{
    place *out = calloc(model->count, sizeof *out);
    uint64_t *rank = ranks(model);
    *count = 0;
    for (size_t i = 0; i < model->count; i++) {
        const tm_part *part = store == TM_NONE ? NULL : tm_part_of(model, i, store);
        if (set[i] && (store == TM_NONE || part != NULL))
            out[(*count)++] =
                (place){store == TM_NONE ? rank[i] : clamped(part->height), i, eid_entry_id(model->nodes[i].entry)};
    }
    free(rank);
    qsort(out, *count, sizeof *out, compare_places);
    for (size_t i = 0; backwards && i < *count / 2; i++) {
        place swap = out[i];
        out[i] = out[*count - 1 - i];
        out[*count - 1 - i] = swap;
    }
    return out;
}

/* ---- Comparing ---- */

static eid_history *open_history(eid_database *database, const eid_history_options *options)
{
    eid_history *history;
    tu_assert_ok(eid_history_open(database, options, &history));
    return history;
}

static void expect_entry(eid_history *history, const eid_id *id, const char *what)
{
    eid_entry *entry;
    tu_assert_ok(eid_history_next(history, &entry));
    if (id == NULL) {
        if (entry != NULL)
            fail_msg("%s: an entry too many", what);
        return;
    }
    if (entry == NULL)
        fail_msg("%s: ended too early", what);
    if (!eid_id_equal(eid_entry_id(entry), id))
        fail_msg("%s: another entry than expected", what);
    eid_entry_unref(entry);
}

static void expect_all(eid_database *database, eid_history_options options, const place *want, size_t count, const char *what)
{
    eid_history *history = open_history(database, &options);
    for (size_t i = 0; i < count; i++)
        expect_entry(history, want[i].id, what);
    expect_entry(history, NULL, what);
    expect_entry(history, NULL, what);
    eid_history_close(history);
}

/* Stops at a random place and goes on from its cursor, in the same direction and back. */
static void expect_resumed(random_database *w, eid_history_options options, const place *want, size_t count)
{
    size_t stop = (size_t)tu_random_below(&w->random, count + 1);
    eid_history *history = open_history(w->database, &options);
    char *cursor;
    for (size_t i = 0; i < stop; i++)
        expect_entry(history, want[i].id, w->what);
    tu_assert_ok(eid_history_cursor(history, &cursor));
    eid_history_close(history);
    options.cursor = cursor;
    history = open_history(w->database, &options);
    for (size_t i = stop; i < count; i++)
        expect_entry(history, want[i].id, w->what);
    expect_entry(history, NULL, w->what);
    eid_history_close(history);
    if (stop > 0) {
        options.order = options.order == EID_HISTORY_OLDEST_FIRST ? EID_HISTORY_NEWEST_FIRST : EID_HISTORY_OLDEST_FIRST;
        history = open_history(w->database, &options);
        for (size_t i = stop - 1; i-- > 0;)
            expect_entry(history, want[i].id, w->what);
        expect_entry(history, NULL, w->what);
        eid_history_close(history);
    }
    eid_free(cursor);
}

static void check_scope(random_database *w, const bool *set, const eid_id *tips, size_t tip_count, size_t store)
{
    char *name = store == TM_NONE ? NULL : rd_store_name(&w->model, store);
    for (int backwards = 0; backwards < 2; backwards++) {
        size_t count;
        place *want = expected(&w->model, set, store, backwards == 1, &count);
        eid_history_options options = EID_HISTORY_OPTIONS_INIT;
        options.store = name;
        options.order = backwards == 1 ? EID_HISTORY_NEWEST_FIRST : EID_HISTORY_OLDEST_FIRST;
        options.tips = tips;
        options.tip_count = tip_count;
        expect_all(w->database, options, want, count, w->what);
        expect_resumed(w, options, want, count);
        free(want);
    }
    free(name);
}

/* ---- Every entry by a callback ---- */

typedef struct listed {
    const random_database *w;
    const place *want;
    const uint64_t *rank;
    bool *seen;
    size_t count;
    size_t early;            /* parents behind a child: only at the end of the scale of heights */
} listed;

static bool list_entry(eid_entry *entry, void *ctx)
{
    listed *l = ctx;
    const tm_model *model = &l->w->model;
    size_t i = tm_find(model, eid_entry_id(entry));
    if (!eid_id_equal(l->want[l->count].id, eid_entry_id(entry)))
        fail_msg("%s: another entry than expected", l->w->what);
    for (size_t p = 0; p < model->nodes[i].parent_count; p++) {
        bool first = l->seen[model->nodes[i].parents[p]];
        if (!first && l->rank[i] < INT64_MAX)
            fail_msg("%s: an entry came before its parent", l->w->what);
        l->early += !first;
    }
    l->seen[i] = true;
    l->count++;
    return true;
}

static bool stop_at_once(eid_entry *entry, void *ctx)
{
    (void)entry;
    ++*(size_t *)ctx;
    return false;
}

/* Heights are forged, so the order is that of the heights raised above the parents'. */
static void test_every_entry_comes_behind_its_parents(void **state)
{
    (void)state;
    tu_random seed = tu_random_seeded(7300);
    size_t raised = 0;
    for (uint64_t i = 0; i < HISTORIES; i++) {
        random_database w;
        tu_random draw = {seed.state + i};
        th_shape shape = rd_wild(&draw);
        shape.forged_heights = true;
        rd_make(&w, seed.state + i, &shape);
        size_t count, calls = 0;
        bool *all = tm_set(&w.model, true);
        uint64_t *rank = ranks(&w.model);
        listed l = {.w = &w, .want = expected(&w.model, all, TM_NONE, false, &count), .rank = rank, .seen = tm_set(&w.model, false)};
        tu_assert_ok(eid_database_each_entry(w.database, list_entry, &l));
        assert_int_equal(l.count, w.model.count);
        for (size_t k = 0; k < w.model.count; k++)
            raised += rank[k] != clamped(w.model.nodes[k].entry->height);
        tu_assert_ok(eid_database_each_entry(w.database, stop_at_once, &calls));
        assert_int_equal(calls, 1);
        free((void *)(uintptr_t)l.want);
        free(l.seen);
        free(rank);
        free(all);
        rd_free(&w);
    }
    assert_true(raised > HISTORIES);
}

static void test_orders_of_random_histories(void **state)
{
    (void)state;
    tu_random seed = tu_random_seeded(7100);
    for (uint64_t i = 0; i < HISTORIES; i++) {
        random_database w;
        rd_make(&w, seed.state + i, NULL);
        eid_id tips[RD_TIPS];
        size_t tip_count;
        bool *all = tm_set(&w.model, true), *snapshot = rd_snapshot(&w, tips, &tip_count);
        for (size_t store = 0; store <= w.model.store_count; store++) {
            size_t which = store == w.model.store_count ? TM_NONE : store;
            check_scope(&w, all, NULL, 0, which);
            check_scope(&w, snapshot, tips, tip_count, which);
        }
        free(all);
        free(snapshot);
        rd_free(&w);
    }
}

/* ---- Many entries of one height ---- */

/* All build on the root: more than one window, so that windows begin in the middle of a height. */
static void test_many_entries_of_one_height(void **state)
{
    (void)state;
    enum { COUNT = 700 };
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    eid_id root = *eid_database_root_id(database), ids[COUNT];
    for (int i = 0; i < COUNT; i++) {
        eid_txn *txn;
        tu_assert_ok(eid_database_new_transaction_at(database, &root, 1, &txn));
        dt_put_int(txn, "s", "k", i);
        tu_assert_ok(eid_txn_commit_free(txn, &ids[i]));
    }
    place *want = calloc(COUNT + 1, sizeof *want);
    for (size_t i = 0; i < COUNT; i++)
        want[i] = (place){1, i, &ids[i]};
    qsort(want, COUNT, sizeof *want, compare_places);
    eid_history_options options = EID_HISTORY_OPTIONS_INIT;
    options.store = "s";
    expect_all(database, options, want, COUNT, "oldest first");
    for (size_t i = 0; i < COUNT / 2; i++) {
        place swap = want[i];
        want[i] = want[COUNT - 1 - i];
        want[COUNT - 1 - i] = swap;
    }
    options.order = EID_HISTORY_NEWEST_FIRST;
    expect_all(database, options, want, COUNT, "newest first");
    options.store = NULL;
    want[COUNT] = (place){0, 0, &root};
    expect_all(database, options, want, COUNT + 1, "newest first, all");
    free(want);
    eid_database_close(database);
    eid_core_close(core);
}

/* ---- Its moment, and its arguments ---- */

static void test_shows_what_was_held_when_opened(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    eid_id first = dt_commit_int(database, "s", "k", 1);
    eid_history *history = open_history(database, NULL);
    eid_id second = dt_commit_int(database, "s", "k", 2);
    expect_entry(history, eid_database_root_id(database), "then");
    expect_entry(history, &first, "then");
    expect_entry(history, NULL, "then");
    char *cursor;
    tu_assert_ok(eid_history_cursor(history, &cursor));
    eid_history_close(history);
    eid_history_options options = EID_HISTORY_OPTIONS_INIT;
    options.cursor = cursor;
    history = open_history(database, &options);
    expect_entry(history, &second, "from the cursor");
    expect_entry(history, NULL, "from the cursor");
    eid_history_close(history);
    eid_free(cursor);
    eid_database_close(database);
    eid_core_close(core);
}

static void test_cursor_of_the_beginning(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    eid_history *history = open_history(database, NULL);
    char *cursor;
    tu_assert_ok(eid_history_cursor(history, &cursor));
    assert_string_equal(cursor, "");
    eid_history_close(history);
    eid_history_options options = EID_HISTORY_OPTIONS_INIT;
    options.cursor = cursor;
    history = open_history(database, &options);
    expect_entry(history, eid_database_root_id(database), "from the beginning");
    eid_history_close(history);
    eid_free(cursor);
    eid_database_close(database);
    eid_core_close(core);
}

static void test_wrong_arguments(void **state)
{
    (void)state;
    static const char *const cursors[] = {
        "h1", "h1:", "h1:5", "h1:5:", "h1:x:bafy", "h1:-1:x", "5", "c1:1:bafyreib", "h2:1:bafyreib", "h1:1:not an id",
        "h1:9223372036854775808:bafyr4ibadhbgaopeyqhpxkxuqxjwhtyyzhoxxgrqpdqmhzifx2eg5a3kbu", " h1:1:b"};
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    eid_history_options options = EID_HISTORY_OPTIONS_INIT;
    eid_history *history = (eid_history *)(void *)&options;
    for (size_t i = 0; i < sizeof cursors / sizeof *cursors; i++) {
        options.cursor = cursors[i];
        tu_assert_fails(eid_history_open(database, &options, &history), EID_ERR_SYNTAX);
    }
    options.cursor = NULL;
    options.order = (eid_history_order)2;
    tu_assert_fails(eid_history_open(database, &options, &history), EID_ERR_INVALID_ARGUMENT);
    options.order = EID_HISTORY_OLDEST_FIRST;
    eid_id stranger = {0};
    options.tips = &stranger;
    options.tip_count = 1;
    tu_assert_fails(eid_history_open(database, &options, &history), EID_ERR_INVALID_TIP);
    eid_database *other = dt_create(core);
    stranger = *eid_database_root_id(other);
    tu_assert_fails(eid_history_open(database, &options, &history), EID_ERR_INVALID_TIP);
    assert_ptr_equal(history, &options);
    /* The empty snapshot and an unknown store show nothing. */
    options.tip_count = 0;
    history = open_history(database, &options);
    expect_entry(history, NULL, "nothing");
    eid_history_close(history);
    options.tips = NULL;
    options.store = "unheard of";
    history = open_history(database, &options);
    expect_entry(history, NULL, "nothing");
    eid_history_close(history);
    /* A program of an older library hands over less. */
    options.struct_size = offsetof(eid_history_options, store);
    history = open_history(database, &options);
    expect_entry(history, eid_database_root_id(database), "every store");
    eid_history_close(history);
    eid_database_close(other);
    eid_database_close(database);
    eid_core_close(core);
}

/* ---- Who wrote a key ---- */

typedef struct writes {
    const tm_model *model;
    size_t store;
    eid_slice key;
    const place *want;
    size_t count;
    size_t at;
    size_t stop;
    const char *what;
} writes;

static const eid_value *written(const writes *w, size_t node)
{
    return eid_doc_child(tm_part_of(w->model, node, w->store)->doc, w->key);
}

static bool check_write(const eid_key_write *write, const eid_value *value, void *ctx)
{
    writes *w = ctx;
    if (w->at >= w->count)
        fail_msg("%s: a write too many", w->what);
    const place *want = &w->want[w->at++];
    assert_true(eid_id_equal(&write->entry, want->id));
    assert_int_equal(write->height, want->height);
    assert_false(write->has_signer);
    const eid_value *expect = written(w, want->node);
    eid_buf have_text, want_text;
    eid_buf_init(&have_text, SIZE_MAX / 2);
    eid_buf_init(&want_text, SIZE_MAX / 2);
    eid_value_write(&have_text, value);
    eid_value_write(&want_text, expect);
    assert_true(eid_slice_equal(eid_buf_slice(&have_text), eid_buf_slice(&want_text)));
    eid_buf_free(&have_text);
    eid_buf_free(&want_text);
    assert_int_equal(write->deleted, eid_value_get_kind(expect) == EID_VALUE_DELETED);
    /* Replaced: some atomic Doc of the store sorts behind it. */
    bool replaced = false;
    for (size_t i = 0; i < w->model->count; i++) {
        const tm_part *part = tm_part_of(w->model, i, w->store);
        if (part == NULL || part->doc == NULL || !eid_doc_is_atomic(part->doc))
            continue;
        place barrier = {clamped(part->height), i, eid_entry_id(w->model->nodes[i].entry)};
        replaced = replaced || compare_places(want, &barrier) < 0;
    }
    assert_int_equal(write->replaced, replaced);
    return w->at != w->stop;
}

static void check_key(random_database *w, size_t store, eid_slice key)
{
    bool *touching = tm_set(&w->model, false);
    for (size_t i = 0; i < w->model.count; i++) {
        const tm_part *part = tm_part_of(&w->model, i, store);
        touching[i] = part != NULL && part->doc != NULL && eid_doc_child(part->doc, key) != NULL;
    }
    writes wr = {.model = &w->model, .store = store, .key = key, .what = w->what};
    wr.want = expected(&w->model, touching, store, true, &wr.count);
    char *name = rd_store_name(&w->model, store);
    tu_assert_ok(eid_database_each_write(w->database, name, (const char *)key.data, check_write, &wr));
    assert_int_equal(wr.at, wr.count);
    if (wr.count > 1) {
        wr.at = 0;
        wr.stop = 1;
        tu_assert_ok(eid_database_each_write(w->database, name, (const char *)key.data, check_write, &wr));
        assert_int_equal(wr.at, 1);
    }
    /* The last write is the first of them, unless an atomic Doc took the key away. */
    bool *all = tm_set(&w->model, true);
    eid_doc *fold = tm_fold(&w->model, all, store);
    eid_key_write last;
    if (eid_doc_child(fold, key) == NULL) {
        tu_assert_fails(eid_database_last_write(w->database, name, (const char *)key.data, &last), EID_ERR_KEY_NOT_FOUND);
    } else {
        tu_assert_ok(eid_database_last_write(w->database, name, (const char *)key.data, &last));
        wr.at = 0;
        wr.stop = 0;
        check_write(&last, written(&wr, wr.want[0].node), &wr);
    }
    eid_doc_free(fold);
    free(all);
    free(name);
    free((void *)wr.want);
    free(touching);
}

static void test_writes_of_random_histories(void **state)
{
    (void)state;
    tu_random seed = tu_random_seeded(7200);
    for (uint64_t i = 0; i < HISTORIES; i++) {
        random_database w;
        rd_make(&w, seed.state + i, NULL);
        for (size_t store = 0; store < w.model.store_count; store++)
            for (size_t k = 0; k < TH_KEYS; k++) {
                size_t len;
                const char *key = th_key(k, &len);
                if (strlen(key) == len) /* a key with a zero byte can not be asked for */
                    check_key(&w, store, eid_slice_of(key, len));
            }
        rd_free(&w);
    }
}

static bool count_write(const eid_key_write *write, const eid_value *value, void *ctx)
{
    int64_t number;
    int *count = ctx;
    assert_true(write->has_signer);
    tu_assert_ok(eid_value_as_int(value, &number));
    assert_int_equal(number, --*count);
    return true;
}

/* More writes than the largest window holds, and the signer of each. */
static void test_a_key_written_often(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    int count = EID_LIMIT_HISTORY_WINDOW + 300, left = count;
    for (int i = 0; i < count; i++)
        dt_commit_int(database, "s", "k", i);
    tu_assert_ok(eid_database_each_write(database, "s", "k", count_write, &left));
    assert_int_equal(left, 0);
    eid_key_write last;
    tu_assert_ok(eid_database_last_write(database, "s", "k", &last));
    eid_pubkey signer = dt_pubkey(1);
    assert_true(last.has_signer && eid_pubkey_equal(&last.signer, &signer));
    assert_int_equal(last.height, count);
    assert_false(last.deleted || last.replaced);
    tu_assert_fails(eid_database_last_write(database, "nowhere", "k", &last), EID_ERR_KEY_NOT_FOUND);
    eid_database_close(database);
    eid_core_close(core);
}

/* ---- Memory ---- */

typedef struct fault {
    eid_database *database;
    eid_id tip;
} fault;

static bool take_write(const eid_key_write *write, const eid_value *value, void *ctx)
{
    (void)write;
    (void)value;
    (void)ctx;
    return true;
}

static eid_status read_everything(void *ctx)
{
    fault *f = ctx;
    eid_history_options options = EID_HISTORY_OPTIONS_INIT;
    options.store = "s";
    options.tips = &f->tip;
    options.tip_count = 1;
    eid_history *history;
    EID_TRY(eid_history_open(f->database, &options, &history));
    eid_entry *entry = NULL;
    char *cursor = NULL;
    eid_status status;
    do {
        status = eid_history_next(history, &entry);
        if (status == EID_OK && entry != NULL)
            eid_entry_unref(entry);
    } while (status == EID_OK && entry != NULL);
    if (status == EID_OK)
        status = eid_history_cursor(history, &cursor);
    eid_free(cursor);
    eid_history_close(history);
    EID_TRY(status);
    eid_key_write write;
    EID_TRY(eid_database_last_write(f->database, "s", "k", &write));
    return eid_database_each_write(f->database, "s", "k", take_write, NULL);
}

static void test_memory_failures(void **state)
{
    (void)state;
    eid_core *core = dt_memory();
    eid_database *database = dt_create(core);
    fault f = {.database = database};
    for (int i = 0; i < 3; i++)
        f.tip = dt_commit_int(database, "s", "k", i);
    dt_commit_int(database, "s", "k", 9);
    assert_true(tu_alloc_fault_loop(read_everything, &f) > 10);
    eid_database_close(database);
    eid_core_close(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orders_of_random_histories),
        cmocka_unit_test(test_every_entry_comes_behind_its_parents),
        cmocka_unit_test(test_many_entries_of_one_height),
        cmocka_unit_test(test_shows_what_was_held_when_opened),
        cmocka_unit_test(test_cursor_of_the_beginning),
        cmocka_unit_test(test_wrong_arguments),
        cmocka_unit_test(test_writes_of_random_histories),
        cmocka_unit_test(test_a_key_written_often),
        cmocka_unit_test(test_memory_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
