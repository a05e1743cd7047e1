/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing a data file with its own entries. */
#include "support/integrity.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "codec/cid.h"
#include "support/model.h"

typedef struct collection {
    eid_entry **entries;
    size_t count;
    size_t capacity;
} collection;

static bool collect(eid_entry *entry, void *ctx)
{
    collection *c = ctx;
    if (c->count == c->capacity) {
        c->capacity = c->capacity == 0 ? 64 : c->capacity * 2;
        c->entries = realloc(c->entries, c->capacity * sizeof(eid_entry *));
        if (c->entries == NULL)
            abort();
    }
    c->entries[c->count++] = eid_entry_ref(entry);
    return true;
}

/* "A parent before its children" holds for what is handed out, whatever the heights say. */
static void check_parents_first(const tm_model *model)
{
    for (size_t i = 0; i < model->count; i++)
        for (size_t p = 0; p < model->nodes[i].parent_count; p++)
            assert_true(model->nodes[i].parents[p] < i);
}

static void check_main_tips(eid_core *core, const eid_id *database, const tm_model *model)
{
    bool *all = tm_set(model, true), *want = tm_set(model, false);
    eid_id *tips;
    size_t count;
    tm_main_tips(model, all, want);
    tu_assert_ok(eid_core_tips(core, database, &tips, &count));
    assert_int_equal(count, tm_set_count(model, want));
    for (size_t i = 0; i < count; i++) {
        size_t node = tm_find(model, &tips[i]);
        assert_true(node != TM_NONE && want[node]);
    }
    eid_free(tips);
    free(want);
    free(all);
}

static void check_store_tips(const tm_model *model, const eid_tree_store *have, size_t store, const bool *all)
{
    bool *want = tm_set(model, false);
    tm_store_tips(model, all, store, want);
    assert_int_equal(have->tip_count, tm_set_count(model, want));
    for (size_t i = 0; i < have->tip_count; i++) {
        size_t node = tm_find(model, &have->tips[i].id);
        assert_true(node != TM_NONE && want[node]);
        assert_true(i == 0 || have->tips[i - 1].n < have->tips[i].n);
    }
    free(want);
}

/* Entries that are marked as void. Whether they should be is another question (tests/support/rule.h). */
static bool *find_counting(eid_storage *storage, const eid_tree *tree, const tm_model *model)
{
    bool *counting = tm_set(model, true);
    for (size_t i = 0; i < model->count; i++) {
        int64_t n;
        tu_assert_ok(eid_storage_find(storage, &model->nodes[i].entry->id, &n, NULL));
        tu_assert_ok(eid_storage_counts(storage, tree, n, &counting[i]));
    }
    return counting;
}

static void check_store(eid_storage *storage, eid_tree *tree, const tm_model *model, size_t store)
{
    eid_tree_store *have;
    tu_assert_ok(eid_storage_store(storage, tree, model->stores[store], &have));
    assert_non_null(have);
    bool *all = tm_set(model, true), *counting = find_counting(storage, tree, model);
    uint64_t count = 0, unreadable = 0;
    for (size_t i = 0; i < model->count; i++) {
        const tm_part *part = tm_part_of(model, i, store);
        count += part != NULL;
        unreadable += part != NULL && part->unreadable && counting[i];
    }
    assert_int_equal(have->count, count);
    assert_int_equal(have->unreadable, unreadable);
    check_store_tips(model, have, store, all);
    eid_view view = EID_VIEW_CURRENT;
    eid_doc *doc, *want = tm_fold(model, counting, store);
    tu_assert_ok(eid_state_doc(storage, have, &view, &doc));
    tm_assert_same(doc, want, have->name);
    eid_doc_free(want);
    eid_doc_free(doc);
    free(all);
    free(counting);
}

static int64_t locked_number(eid_storage *storage, const char *sql, int64_t argument)
{
    eid_sql_stmt *stmt;
    bool row;
    tu_assert_ok(eid_storage_ready(storage));
    eid_sql *file = tu_is_of_journal(sql) ? eid_storage_journal(storage) : eid_storage_sql(storage);
    tu_assert_ok(eid_sql_prepare(file, sql, &stmt));
    if (argument != 0)
        eid_sql_bind_i64(stmt, 1, argument);
    tu_assert_ok(eid_sql_step(stmt, &row));
    assert_true(row);
    int64_t number = eid_sql_i64(stmt, 0);
    eid_sql_reset(stmt);
    return number;
}

static void check_tree(eid_storage *storage, const eid_id *database, const tm_model *model)
{
    eid_tree *tree;
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_tree(storage, database, &tree));
    assert_int_equal(tree->main->count, model->count);
    assert_int_equal(eid_map_len(tree->stores), model->store_count + 1);
    for (size_t s = 0; s < model->store_count; s++)
        check_store(storage, tree, model, s);
    assert_int_equal(tree->waiting, locked_number(storage, "SELECT COUNT(*) FROM quarantine WHERE d = ?", tree->d));
    assert_int_equal(tree->waiting_bytes, locked_number(storage,
                                                        "SELECT COALESCE(SUM(LENGTH(bytes)), 0) FROM quarantine"
                                                        " WHERE d = ?",
                                                        tree->d));
    eid_storage_unlock(storage);
}

void ti_check_database(eid_core *core, const eid_id *database)
{
    collection c = {NULL, 0, 0};
    uint64_t count;
    tm_model model;
    tu_assert_ok(eid_core_difference(core, database, NULL, 0, collect, &c));
    tu_assert_ok(eid_core_entry_count(core, database, &count));
    assert_int_equal(count, c.count);
    tm_build(&model, c.entries, c.count);
    check_parents_first(&model);
    check_main_tips(core, database, &model);
    check_tree(eid_core_storage(core), database, &model);
    tm_free(&model);
    for (size_t i = 0; i < c.count; i++)
        eid_entry_unref(c.entries[i]);
    free(c.entries);
}

/* IDs of entries that wait or were refused. */
static void check_none_held(eid_storage *storage, const char *sql)
{
    eid_sql_stmt *stmt;
    eid_storage_lock(storage);
    tu_assert_ok(eid_sql_prepare(eid_storage_journal(storage), sql, &stmt));
    for (;;) {
        bool row;
        eid_id id;
        int64_t n;
        tu_assert_ok(eid_sql_step(stmt, &row));
        if (!row)
            break;
        tu_assert_ok(eid_id_from_binary(eid_sql_bytes(stmt, 0), &id));
        tu_assert_ok(eid_storage_find(storage, &id, &n, NULL));
        assert_int_equal(n, 0);
    }
    eid_storage_unlock(storage);
}

int64_t ti_storage_number(eid_storage *storage, const char *sql)
{
    eid_storage_lock(storage);
    int64_t number = locked_number(storage, sql, 0);
    eid_storage_unlock(storage);
    return number;
}

int64_t ti_number(eid_core *core, const char *sql)
{
    return ti_storage_number(eid_core_storage(core), sql);
}

void ti_check_core(eid_core *core)
{
    eid_storage *storage = eid_core_storage(core);
    eid_id *databases;
    size_t count;
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_trees(storage, &databases, &count));
    eid_storage_unlock(storage);
    for (size_t i = 0; i < count; i++)
        ti_check_database(core, &databases[i]);
    eid_free(databases);
    assert_int_equal(ti_number(core, "SELECT COUNT(*) FROM entry WHERE d NOT IN (SELECT d FROM tree)"), 0);
    assert_int_equal(ti_number(core, "SELECT COUNT(*) FROM store WHERE name = ''"), ti_number(core, "SELECT COUNT(*) FROM tree"));
    assert_int_equal(ti_number(core, "SELECT COUNT(*) FROM store WHERE d NOT IN (SELECT d FROM store WHERE name = '')"), 0);
    assert_int_equal(ti_number(core, "SELECT COUNT(*) FROM entry_id"), ti_number(core, "SELECT COUNT(*) FROM entry"));
    assert_int_equal(ti_number(core, "SELECT COUNT(*) FROM part WHERE n NOT IN (SELECT n FROM entry_id)"), 0);
    assert_int_equal(ti_number(core, "SELECT COUNT(*) FROM part WHERE s NOT IN (SELECT s FROM store)"), 0);
    assert_int_equal(ti_number(core, "SELECT COUNT(*) FROM cell WHERE n NOT IN (SELECT n FROM entry_id)"), 0);
    assert_int_equal(ti_number(core, "SELECT COUNT(*) FROM touch WHERE n NOT IN (SELECT n FROM entry_id)"), 0);
    check_none_held(storage, "SELECT id FROM quarantine");
    check_none_held(storage, "SELECT id FROM refused");
}
