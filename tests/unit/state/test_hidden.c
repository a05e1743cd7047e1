/* SPDX-License-Identifier: Apache-2.0 */
/* The state of hidden payloads over thousands of random histories: taken in bit by bit, in any order of arrival, it shows
 * what the slow model folds. The decoder here copies; real ones are tested with the stores that use them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "replay.h"

#define HISTORIES 2000
#define SHARED 100

static eid_status copy(const void *ctx, eid_slice payload, eid_buf *out)
{
    (void)ctx;
    eid_buf_append_slice(out, payload);
    return eid_buf_status(out);
}

static const eid_decoder copier = {copy, NULL};

static eid_tree_store *store_of(replay *r, size_t store)
{
    eid_tree_store *found;
    tu_assert_ok(eid_storage_store(r->storage, rp_tree(r), r->model->stores[store], &found));
    return found;
}

/* ---- Comparing ---- */

static void check_children(const replay *r, const eid_hidden_state *state, const eid_doc *want)
{
    for (size_t k = 0; k <= TH_KEYS; k++) {
        size_t len = 5;
        const char *text = k == TH_KEYS ? "never" : th_key(k, &len);
        eid_value *value;
        tu_assert_ok(eid_hidden_state_child(state, eid_slice_of(text, len), &value));
        const eid_value *wanted = eid_doc_child(want, eid_slice_of(text, len));
        bool same = value == NULL || wanted == NULL ? value == NULL && wanted == NULL : eid_value_equal(value, wanted);
        if (!same)
            fail_msg("%s: the key \"%.*s\" differs", r->what, (int)len, text);
        eid_value_free(value);
    }
}

static eid_status read_along(void *ctx, eid_slice path, eid_value **out)
{
    return eid_hidden_state_along(ctx, path, out);
}

static void check_cells(const replay *r, const eid_hidden_state *state, const eid_doc *want)
{
    eid_cell cells[2];
    const eid_doc_cursor *cursor = NULL;
    const eid_value *wanted;
    const char *key;
    size_t key_len, count = 0, at = 0;
    char last[64];
    eid_slice after = {NULL, 0};
    bool started = false;

    while (eid_doc_next_raw(want, &cursor, &key, &key_len, &wanted)) {
        if (at == count) {
            eid_cells_free(cells, count);
            tu_assert_ok(eid_hidden_state_cells(state, started ? &after : NULL, 2, cells, &count));
            at = 0;
        }
        if (at == count)
            fail_msg("%s: cells end early", r->what);
        assert_true(eid_slice_equal(eid_slice_of(cells[at].key, cells[at].key_len), eid_slice_of(key, key_len)));
        assert_true(eid_value_equal(cells[at].value, wanted));
        memcpy(last, key, key_len);
        after = eid_slice_of(last, key_len);
        started = true;
        at++;
    }
    eid_cells_free(cells, count);
    tu_assert_ok(eid_hidden_state_cells(state, started ? &after : NULL, 2, cells, &count));
    assert_int_equal(count, 0);
}

static void check_against(const replay *r, const eid_hidden_state *state, const eid_doc *want)
{
    eid_doc *doc;
    tu_assert_ok(eid_hidden_state_doc(state, &doc));
    tm_assert_same(doc, want, r->what);
    eid_doc_free(doc);
    check_children(r, state, want);
    rp_check_along(r->what, want, read_along, (void *)(uintptr_t)state);
    check_cells(r, state, want);
}

/* ---- Histories ---- */

/* Everything that is here; then a bound in the past, which the state can not go back to. */
static void follow_and_check(replay *r, eid_hidden_state *state, size_t store, tu_random *random)
{
    bool shows = false;
    eid_storage_lock(r->storage);
    eid_tree_store *tree_store = store_of(r, store);
    if (tree_store != NULL) {
        tu_assert_ok(eid_hidden_state_follow(state, r->storage, tree_store, &copier, INT64_MAX, &shows));
        assert_true(shows);
        eid_doc *want = tm_fold(r->model, r->present, store);
        check_against(r, state, want);
        eid_doc_free(want);

        eid_view view = {r->n[r->order[tu_random_below(random, r->arrived)]], NULL, 0};
        eid_doc *decoded, *plain, *held;
        tu_assert_ok(eid_hidden_state_follow(state, r->storage, tree_store, &copier, view.up_to, &shows));
        tu_assert_ok(eid_state_doc_decoded(r->storage, tree_store, &view, &copier, &decoded));
        tu_assert_ok(eid_state_doc(r->storage, tree_store, &view, &plain));
        tm_assert_same(decoded, plain, r->what);
        if (shows) {
            tu_assert_ok(eid_hidden_state_doc(state, &held));
            tm_assert_same(held, plain, r->what);
            eid_doc_free(held);
        }
        eid_doc_free(decoded);
        eid_doc_free(plain);
    }
    eid_storage_unlock(r->storage);
}

static void run_history(eid_storage *storage, uint64_t seed)
{
    tu_random random = {seed};
    char what[64];
    th_shape shape = th_wild(&random);
    eid_entry **entries = th_generate(&random, &shape);
    eid_hidden_state **states;
    tm_model model;
    replay r;

    tm_build(&model, entries, shape.entries);
    snprintf(what, sizeof what, "history %llu", (unsigned long long)seed);
    rp_begin(&r, storage, &model, th_arrival(&random, &model), what);
    states = calloc(model.store_count + 1, sizeof(eid_hidden_state *));
    for (size_t s = 0; s < model.store_count; s++)
        tu_assert_ok(eid_hidden_state_new(&states[s]));
    while (r.arrived < model.count) {
        size_t left = model.count - r.arrived;
        rp_admit(&r, 1 + (size_t)tu_random_below(&random, left < 4 ? left : 4), false);
        for (size_t s = 0; s < model.store_count; s++)
            if (tu_random_below(&random, 3) > 0 || r.arrived == model.count)
                follow_and_check(&r, states[s], s, &random);
    }
    for (size_t s = 0; s < model.store_count; s++)
        eid_hidden_state_free(states[s]);
    free(states);
    rp_end(&r);
    tm_free(&model);
    th_free_entries(entries, shape.entries);
}

static void wild_histories(void **state)
{
    (void)state;
    tu_random first = tu_random_seeded(3);
    eid_storage *storage = NULL;
    for (uint64_t i = 0; i < HISTORIES; i++) {
        if (i % SHARED == 0) {
            eid_storage_close(storage);
            storage = rp_open_memory();
        }
        run_history(storage, first.state + i);
    }
    eid_storage_close(storage);
    eid_hidden_state_free(NULL);
}

/* ---- What can not be decoded, and failing memory ---- */

typedef struct fixture {
    eid_entry **entries;
    tm_model model;
    eid_storage *storage;
    replay r;
} fixture;

static void fixture_open(fixture *f, size_t count)
{
    tu_random random = {17};
    th_shape shape = th_honest(count);
    shape.branching = 60;
    f->entries = th_generate(&random, &shape);
    tm_build(&f->model, f->entries, count);
    f->storage = rp_open_memory();
    rp_begin(&f->r, f->storage, &f->model, th_arrival(&random, &f->model), "one history");
    rp_admit(&f->r, count, false);
}

static void fixture_close(fixture *f)
{
    rp_end(&f->r);
    eid_storage_close(f->storage);
    size_t count = f->model.count;
    tm_free(&f->model);
    th_free_entries(f->entries, count);
}

/* Gives up on every payload but those of even length. */
static eid_status decode_some(const void *ctx, eid_slice payload, eid_buf *out)
{
    if (payload.len % 2 != 0)
        return eid_fail(EID_ERR_DECRYPTION, "an odd payload");
    return copy(ctx, payload, out);
}

static void what_can_not_be_decoded_is_left_out(void **state)
{
    (void)state;
    static const eid_decoder some = {decode_some, NULL};
    fixture f;
    size_t left_out = 0, kept = 0;

    fixture_open(&f, 40);
    for (size_t s = 0; s < f.model.store_count; s++) {
        eid_hidden_state *hidden;
        eid_view view = EID_VIEW_CURRENT;
        eid_doc *doc, *want;
        uint64_t odd = 0;
        bool shows;

        bool *set = tm_set(&f.model, true);
        for (size_t i = 0; i < f.model.count; i++) {
            const eid_subtree *part = eid_entry_subtree(f.model.nodes[i].entry, f.model.stores[s]);
            if (part == NULL || !part->has_data)
                continue;
            bool dropped = part->data_len % 2 != 0 || eid_slice_is(eid_slice_of(part->data, part->data_len), "\"\"");
            odd += dropped;
            kept += !dropped;
            set[i] = !dropped;
        }
        want = tm_fold(&f.model, set, s);
        eid_storage_lock(f.storage);
        tu_assert_ok(eid_hidden_state_new(&hidden));
        tu_assert_ok(eid_hidden_state_follow(hidden, f.storage, store_of(&f.r, s), &some, INT64_MAX, &shows));
        check_against(&f.r, hidden, want);
        assert_int_equal(eid_hidden_state_left_out(hidden), odd);
        tu_assert_ok(eid_state_doc_decoded(f.storage, store_of(&f.r, s), &view, &some, &doc));
        tm_assert_same(doc, want, "decoded");
        eid_storage_unlock(f.storage);
        eid_hidden_state_free(hidden);
        eid_doc_free(doc);
        eid_doc_free(want);
        free(set);
        left_out += odd;
    }
    assert_true(left_out > 5 && kept > 5);
    fixture_close(&f);
}

static void memory_may_fail_while_following(void **state)
{
    (void)state;
    fixture f;
    eid_hidden_state *hidden;
    size_t points = 0;
    bool shows;

    fixture_open(&f, 12);
    eid_doc *want = tm_fold(&f.model, f.r.present, 1);
    eid_storage_lock(f.storage);
    eid_tree_store *store = store_of(&f.r, 1);
    for (bool fired = true; fired; points++) {
        tu_assert_ok(eid_hidden_state_new(&hidden));
        /* Half of it is in when memory fails. */
        tu_assert_ok(eid_hidden_state_follow(hidden, f.storage, store, &copier, f.r.n[f.r.order[6]], &shows));
        tu_alloc_install();
        tu_alloc_fail_at(points + 1);
        eid_status status = eid_hidden_state_follow(hidden, f.storage, store, &copier, INT64_MAX, &shows);
        fired = tu_alloc_fired();
        tu_alloc_fail_at(0);
        assert_int_equal(tu_alloc_live(), 0);
        tu_alloc_remove();
        assert_int_equal(status, fired ? EID_ERR_NO_MEMORY : EID_OK);
        tu_assert_ok(eid_hidden_state_follow(hidden, f.storage, store, &copier, INT64_MAX, &shows));
        assert_true(shows);
        check_against(&f.r, hidden, want);
        eid_hidden_state_free(hidden);
    }
    eid_storage_unlock(f.storage);
    print_message("%zu places\n", points);
    assert_true(points > 20);
    eid_doc_free(want);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wild_histories),
        cmocka_unit_test(what_can_not_be_decoded_is_left_out),
        cmocka_unit_test(memory_may_fail_while_following),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
