/* SPDX-License-Identifier: Apache-2.0 */
/* Admitting a history, and comparing every kind of reading with the model. */
#include "replay.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "codec/cid.h"
#include "crdt/list.h"
#include "state/cells_int.h"

/* Cells alone; the library makes the marks of void entries again with them. */
static eid_status fill_again(eid_storage *storage, void **batch, eid_tree *tree, const eid_entry *entry, int64_t n)
{
    eid_status status = EID_OK;
    if (entry != NULL) {
        if (*batch == NULL)
            EID_TRY(eid_state_batch_new(storage, (eid_state_batch **)batch));
        return eid_state_apply(*batch, tree, entry, n);
    }
    if (n == 0 && *batch != NULL)
        status = eid_state_batch_finish(*batch);
    if (n < 0 || status == EID_OK) {
        eid_state_batch_free(*batch);
        *batch = NULL;
    }
    return status;
}

eid_storage *rp_open_memory(void)
{
    eid_storage_options options = {.path = ":memory:"};
    eid_storage *storage;
    tu_assert_ok(eid_storage_open(&options, &storage));
    eid_storage_set_replay(storage, fill_again);
    return storage;
}

void rp_begin(replay *r, eid_storage *storage, const tm_model *model, size_t *order, const char *what)
{
    *r = (replay){.storage = storage,
                  .model = model,
                  .order = order,
                  .present = tm_set(model, false),
                  .n = calloc(model->count, sizeof(int64_t)),
                  .what = what};
}

void rp_end(replay *r)
{
    free(r->order);
    free(r->present);
    free(r->n);
}

eid_tree *rp_tree(replay *r)
{
    eid_tree *tree;
    tu_assert_ok(eid_storage_tree(r->storage, eid_entry_id(r->model->nodes[0].entry), &tree));
    return tree;
}

/* ---- Admission ---- */

static void admit_one(replay *r, eid_state_batch *batch, eid_tree *tree, size_t node)
{
    const tm_node *admitted = &r->model->nodes[node];
    int64_t *parents = calloc(admitted->parent_count + 1, sizeof *parents);
    for (size_t p = 0; p < admitted->parent_count; p++)
        parents[p] = r->n[admitted->parents[p]];
    tu_assert_ok(eid_storage_admit(r->storage, tree, admitted->entry, parents, admitted->parent_count, &r->n[node]));
    tu_assert_ok(eid_state_apply(batch, tree, admitted->entry, r->n[node]));
    free(parents);
}

void rp_admit(replay *r, size_t count, bool undo)
{
    eid_tree *tree;
    eid_state_batch *batch;
    eid_storage_lock(r->storage);
    tu_assert_ok(eid_storage_begin(r->storage));
    tu_assert_ok(eid_storage_tree_create(r->storage, eid_entry_id(r->model->nodes[0].entry), &tree));
    tu_assert_ok(eid_state_batch_new(r->storage, &batch));
    for (size_t i = 0; i < count; i++)
        admit_one(r, batch, tree, r->order[r->arrived + i]);
    tu_assert_ok(eid_state_batch_finish(batch));
    eid_state_batch_free(batch);
    if (undo)
        eid_storage_rollback(r->storage);
    else
        tu_assert_ok(eid_storage_commit(r->storage));
    eid_storage_unlock(r->storage);
    for (size_t i = 0; i < count && !undo; i++)
        r->present[r->order[r->arrived + i]] = true;
    r->arrived += undo ? 0 : count;
}

/* ---- Comparing ---- */

static eid_tree_store *store_of(replay *r, size_t store)
{
    eid_tree_store *found;
    tu_assert_ok(eid_storage_store(r->storage, rp_tree(r), r->model->stores[store], &found));
    return found;
}

static void check_child(const replay *r, const eid_doc *want, eid_slice key, eid_value *have)
{
    const eid_value *wanted = eid_doc_child(want, key);
    bool same = have == NULL || wanted == NULL ? have == NULL && wanted == NULL : eid_value_equal(have, wanted);
    if (!same) {
        char *left = NULL, *right = NULL;
        if (have != NULL)
            tu_assert_ok(eid_value_to_json(have, &left, NULL));
        if (wanted != NULL)
            tu_assert_ok(eid_value_to_json(wanted, &right, NULL));
        fail_msg("%s, key \"%.*s\"\n  have %s\n  want %s", r->what, (int)key.len, (const char *)key.data,
                 left == NULL ? "nothing" : left, right == NULL ? "nothing" : right);
    }
    eid_value_free(have);
}

static bool same_at(const eid_doc *have, const eid_doc *want, eid_slice path)
{
    const eid_value *left = NULL, *right = NULL;
    bool has_left = eid_doc_get_path(have, path, &left) == EID_OK, has_right = eid_doc_get_path(want, path, &right) == EID_OK;
    return has_left == has_right && (!has_left || eid_value_equal(left, right));
}

/* What is read along a path has the same at its end as the whole document. */
void rp_check_along(const char *what, const eid_doc *want, eid_status (*read)(void *ctx, eid_slice path, eid_value **out), void *ctx)
{
    static const char *const paths[] = {"k",      "k.a",    "k.k",     "k.ab",   "k.a.k",   "k.k.a", "k.a.ab.k", "k.ab.k.a", "k.0",
                                        "k.1",    "k.0.a",  "k.a.0",   "k.a.0.k", "k.never", ".k..a.", "a.k",      "a.k.a",    "ab.a",
                                        "never.a", "."};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        eid_slice path = eid_slice_text(paths[i]), key;
        eid_value *value = NULL;
        eid_doc *doc;
        tu_assert_ok(read(ctx, path, &value));
        tu_assert_ok(eid_doc_new(&doc));
        if (value != NULL) {
            assert_true(eid_path_first(path, &key));
            tu_assert_ok(eid_doc_put_child(doc, key, value));
        }
        if (!same_at(doc, want, path))
            fail_msg("%s: something else at the path %s", what, paths[i]);
        eid_doc_free(doc);
    }
}

typedef struct along {
    replay *r;
    eid_tree_store *store;
    const eid_view *view;
} along;

static eid_status read_along(void *ctx, eid_slice path, eid_value **out)
{
    const along *a = ctx;
    return eid_state_along(a->r->storage, a->store, a->view, path, out);
}

/* The whole document, and each key by itself, also one that nobody ever wrote. */
static void check_state(replay *r, eid_tree_store *store, const eid_view *view, const eid_doc *want)
{
    eid_doc *doc;
    tu_assert_ok(eid_state_doc(r->storage, store, view, &doc));
    tm_assert_same(doc, want, r->what);
    eid_doc_free(doc);
    for (size_t k = 0; k <= TH_KEYS; k++) {
        size_t len = 5;
        const char *text = k == TH_KEYS ? "never" : th_key(k, &len);
        eid_value *value;
        tu_assert_ok(eid_state_child(r->storage, store, view, eid_slice_of(text, len), &value));
        check_child(r, want, eid_slice_of(text, len), value);
    }
    along a = {r, store, view};
    rp_check_along(r->what, want, read_along, &a);
}

static void check_tips(replay *r, const eid_node *tips, size_t count, const bool *want, size_t store)
{
    if (count != tm_set_count(r->model, want))
        fail_msg("%s: %zu tips, wanted %zu", r->what, count, tm_set_count(r->model, want));
    for (size_t i = 0; i < count; i++) {
        size_t node = tm_find(r->model, &tips[i].id);
        assert_true(node != TM_NONE && want[node]);
        assert_int_equal(tips[i].n, r->n[node]);
        uint64_t height = tips[i].height > INT64_MAX ? INT64_MAX : tips[i].height;
        assert_int_equal(height, tm_part_of(r->model, node, store)->height);
        assert_true(i == 0 || tips[i - 1].n < tips[i].n);
    }
}

static void check_view_tips(replay *r, eid_tree_store *store, const eid_view *view, const bool *want, size_t number)
{
    eid_node *tips;
    size_t count;
    tu_assert_ok(eid_state_tips(r->storage, store, view, &tips, &count));
    check_tips(r, tips, count, want, number);
    eid_free(tips);
}

/* Cells in slices of `step`: every key of the state, in order, each once. */
static void check_cells(replay *r, eid_tree_store *store, const eid_doc *want, size_t step)
{
    eid_cell cells[4];
    size_t count, seen = 0;
    char last[8];
    eid_slice after = {NULL, 0};
    do {
        tu_assert_ok(eid_state_cells(r->storage, store, seen == 0 ? NULL : &after, step, cells, &count));
        assert_true(count <= step);
        for (size_t i = 0; i < count; i++) {
            eid_slice key = eid_slice_of(cells[i].key, cells[i].key_len);
            assert_true(seen + i == 0 || eid_slice_compare(after, key) < 0);
            assert_true(key.len < sizeof last);
            memcpy(last, key.data, key.len);
            after = eid_slice_of(last, key.len);
            check_child(r, want, after, cells[i].value);
            cells[i].value = NULL;
        }
        eid_cells_free(cells, count);
        seen += count;
    } while (count == step);
    assert_int_equal(seen, eid_doc_child_count(want));
}

static void check_counters(replay *r, const eid_tree_store *store, const bool *participants, size_t number)
{
    uint64_t unreadable = 0;
    int64_t newest = 0;
    for (size_t i = 0; i < r->model->count; i++)
        if (participants[i]) {
            unreadable += tm_part_of(r->model, i, number)->unreadable;
            newest = r->n[i] > newest ? r->n[i] : newest;
        }
    assert_int_equal(store->count, tm_set_count(r->model, participants));
    assert_int_equal(store->unreadable, unreadable);
    assert_int_equal(store->newest, newest);
}

void rp_check_current(replay *r)
{
    bool *set = tm_set(r->model, false);
    eid_storage_lock(r->storage);
    eid_tree *tree = rp_tree(r);
    tm_main_tips(r->model, r->present, set);
    assert_int_equal(tree->main->tip_count, tm_set_count(r->model, set));
    for (size_t i = 0; i < tree->main->tip_count; i++)
        assert_true(set[tm_find(r->model, &tree->main->tips[i].id)]);
    assert_int_equal(tree->main->count, r->arrived);
    for (size_t s = 0; s < r->model->store_count; s++) {
        eid_tree_store *store = store_of(r, s);
        tm_participants(r->model, r->present, s, set);
        if (store == NULL) {
            assert_int_equal(tm_set_count(r->model, set), 0);
            continue;
        }
        check_counters(r, store, set, s);
        eid_doc *want = tm_fold(r->model, set, s);
        eid_view view = EID_VIEW_CURRENT;
        assert_true(eid_view_is_current(&view, store));
        check_state(r, store, &view, want);
        check_cells(r, store, want, 1 + r->arrived % 4);
        eid_doc_free(want);
        tm_store_tips(r->model, r->present, s, set);
        check_tips(r, store->tips, store->tip_count, set, s);
        check_view_tips(r, store, &view, set, s);
    }
    eid_storage_unlock(r->storage);
    free(set);
}

void rp_check_past(replay *r, size_t arrived)
{
    bool *then = tm_set(r->model, false), *set = tm_set(r->model, false);
    for (size_t i = 0; i < arrived; i++)
        then[r->order[i]] = true;
    eid_view view = {arrived == 0 ? 0 : r->n[r->order[arrived - 1]], NULL, 0};
    eid_storage_lock(r->storage);
    for (size_t s = 0; s < r->model->store_count; s++) {
        eid_tree_store *store = store_of(r, s);
        if (store == NULL)
            continue;
        tm_store_tips(r->model, then, s, set);
        check_view_tips(r, store, &view, set, s);
        tm_participants(r->model, then, s, set);
        eid_doc *want = tm_fold(r->model, set, s);
        check_state(r, store, &view, want);
        eid_doc_free(want);
    }
    eid_storage_unlock(r->storage);
    free(set);
    free(then);
}

/* The walk over main parents: the same set, ascending, each once. */
static void check_ancestors(replay *r, const bool *below, const int64_t *members, size_t count)
{
    assert_int_equal(count, tm_set_count(r->model, below));
    for (size_t i = 1; i < count; i++)
        assert_true(members[i - 1] < members[i]);
    for (size_t i = 0; i < r->model->count; i++) {
        bool found = false;
        for (size_t k = 0; k < count; k++)
            found = found || members[k] == r->n[i];
        assert_true(!r->present[i] || found == below[i]);
    }
}

static void check_closure(replay *r, eid_tree_store *store, int64_t up_to, const bool *tips, const bool *closed,
                          size_t number)
{
    int64_t *numbers = calloc(r->model->count + 1, sizeof *numbers);
    size_t tip_count = 0, count, want_count;
    for (size_t i = 0; i < r->model->count; i++)
        if (tips[i])
            numbers[tip_count++] = r->n[i];
    eid_node *nodes;
    tu_assert_ok(eid_state_closure_up_to(r->storage, store, up_to, numbers, tip_count, &nodes, &count));
    size_t *want = tm_fold_order(r->model, closed, number, &want_count);
    if (count != want_count)
        fail_msg("%s: closure of %zu, wanted %zu", r->what, count, want_count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(nodes[i].n, r->n[want[i]]);
    free(want);
    free(numbers);
    eid_free(nodes);
}

void rp_check_boundary(replay *r, tu_random *random, size_t moment)
{
    bool *then = tm_set(r->model, false), *below = tm_set(r->model, false), *tips = tm_set(r->model, false);
    bool *closed = tm_set(r->model, false);
    enum { MOST = 3 }; /* drawn with repetition, so the history may have fewer entries */
    int64_t *from = calloc(MOST, sizeof *from), *members;
    size_t from_count = 0, count;
    for (size_t i = 0; i < moment; i++)
        then[r->order[i]] = true;
    for (size_t i = 0, want = 1 + (size_t)tu_random_below(random, MOST); i < want; i++) {
        size_t node = r->order[tu_random_below(random, moment)];
        below[node] = true;
        from[from_count++] = r->n[node];
    }
    tm_ancestors(r->model, below);
    eid_storage_lock(r->storage);
    tu_assert_ok(eid_state_ancestors(r->storage, rp_tree(r), from, from_count, &members, &count));
    check_ancestors(r, below, members, count);
    eid_view view = {r->n[r->order[moment - 1]], members, count};
    for (size_t s = 0; s < r->model->store_count; s++) {
        eid_tree_store *store = store_of(r, s);
        if (store == NULL)
            continue;
        tm_store_tips(r->model, below, s, tips);
        check_view_tips(r, store, &view, tips, s);
        tm_closure(r->model, then, s, tips, closed);
        check_closure(r, store, view.up_to, tips, closed, s);
        eid_doc *want = tm_fold(r->model, closed, s);
        check_state(r, store, &view, want);
        eid_doc_free(want);
    }
    eid_storage_unlock(r->storage);
    eid_free(members);
    free(from);
    free(closed);
    free(tips);
    free(below);
    free(then);
}

static int64_t count_rows(replay *r, const char *text, int64_t s)
{
    eid_sql_stmt *stmt;
    bool row;
    tu_assert_ok(eid_sql_prepare(eid_storage_sql(r->storage), text, &stmt));
    eid_sql_bind_i64(stmt, 1, s);
    tu_assert_ok(eid_sql_step(stmt, &row));
    int64_t count = eid_sql_i64(stmt, 0);
    eid_sql_reset(stmt);
    return count;
}

static int64_t places_in(const eid_value *value)
{
    const eid_doc *doc = NULL;
    const eid_list *list = NULL;
    const eid_doc_cursor *cursor = NULL;
    const char *key;
    size_t len;
    const eid_value *child;
    eid_position position;
    int64_t count = 0;
    if (eid_value_as_doc(value, &doc) == EID_OK)
        while (eid_doc_next_raw(doc, &cursor, &key, &len, &child))
            count += 1 + places_in(child);
    if (eid_value_as_list(value, &list) == EID_OK)
        for (size_t i = 0; i < eid_list_slots(list); i++) {
            eid_list_slot(list, i, &position, &child);
            count += 1 + places_in(child);
        }
    return count;
}

/* No twig is left over from what was replaced or cut. */
static void check_twigs(replay *r, eid_tree_store *store)
{
    eid_cells cells = eid_cells_of(r->storage, store);
    int64_t wanted = 0;
    for (size_t k = 0; k < TH_KEYS; k++) {
        size_t len;
        const char *text = th_key(k, &len);
        eid_cell_row row = {0};
        eid_twig root;
        eid_value *inner = NULL, *value;
        eid_buf_init(&row.value, SIZE_MAX / 2);
        tu_assert_ok(cells.calls->read(&cells, eid_slice_of(text, len), &row));
        if (row.found)
            tu_assert_ok(eid_cell_root(&row, &root, &inner));
        if (row.found && !row.leaf && inner == NULL) {
            tu_assert_ok(eid_cell_value(&cells, eid_slice_of(text, len), eid_buf_slice(&row.value), &value));
            wanted += places_in(value);
            eid_value_free(value);
        }
        eid_value_free(inner);
        eid_buf_free(&row.value);
    }
    if (count_rows(r, "SELECT COUNT(*) FROM twig WHERE s = ?", store->s) != wanted)
        fail_msg("%s: %lld twigs are left over", r->what,
                 (long long)(count_rows(r, "SELECT COUNT(*) FROM twig WHERE s = ?", store->s) - wanted));
}

void rp_check_rows(replay *r)
{
    eid_storage_lock(r->storage);
    for (size_t s = 0; s < r->model->store_count; s++) {
        eid_tree_store *store = store_of(r, s);
        int64_t touches = 0;
        for (size_t i = 0; i < r->model->count; i++) {
            const tm_part *part = r->present[i] ? tm_part_of(r->model, i, s) : NULL;
            touches += part != NULL && part->doc != NULL ? (int64_t)eid_doc_child_count(part->doc) : 0;
        }
        if (store == NULL)
            continue;
        assert_int_equal(count_rows(r, "SELECT COUNT(*) FROM touch WHERE s = ?", store->s) +
                             count_rows(r, "SELECT COUNT(*) FROM cell WHERE s = ?", store->s),
                         touches);
        assert_int_equal(count_rows(r,
                                    "SELECT COUNT(*) FROM touch JOIN cell ON cell.s = touch.s AND cell.key = touch.key"
                                    " AND cell.n = touch.n WHERE touch.s = ?",
                                    store->s),
                         0);
        check_twigs(r, store);
    }
    eid_storage_unlock(r->storage);
}
