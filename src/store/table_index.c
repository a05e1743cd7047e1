/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes of tables: adding, removing, listing them. */
#include "store/store_int.h"

#include "base/alloc.h"
#include "database/rows.h"

/* What is done in one storage transaction. */
typedef struct index_step {
    eid_database *database;
    const char *store;
    eid_slice field;
    bool flag;       /* there is no more to do */
} index_step;

typedef eid_status (*step_function)(index_step *step, eid_storage *storage, eid_tree *tree, eid_tree_store *store);

static eid_status run_inside(index_step *step, step_function run, eid_storage *storage)
{
    eid_tree *tree;
    eid_tree_store *store;
    EID_TRY(eid_storage_tree(storage, eid_database_root_id(step->database), &tree));
    EID_TRY(eid_storage_store(storage, tree, eid_slice_text(step->store), &store));
    return run(step, storage, tree, store);
}

static eid_status run_in_transaction(index_step *step, step_function run, eid_storage *storage)
{
    EID_TRY(eid_storage_begin(storage));
    eid_status status = run_inside(step, run, storage);
    if (status == EID_OK)
        return eid_storage_commit(storage);
    eid_storage_rollback(storage);
    return status;
}

/* `look` says whether the step can be done at all: what is refused needs no transaction, whose end would undo much of the
 * index file. */
static eid_status run_step(index_step *step, step_function look, step_function run)
{
    eid_storage *storage = eid_core_storage(eid_database_core(step->database));
    eid_storage_lock(storage);
    eid_status status = look == NULL ? EID_OK : run_inside(step, look, storage);
    if (status == EID_OK)
        status = run_in_transaction(step, run, storage);
    eid_storage_unlock(storage);
    return status;
}

/* What is in the index file alone is lost when a storage transaction is undone, unless it was settled. */
static eid_status settle(const index_step *step)
{
    eid_storage *storage = eid_core_storage(eid_database_core(step->database));
    eid_storage_lock(storage);
    eid_status status = eid_storage_settle(storage);
    eid_storage_unlock(storage);
    return status;
}

static bool names_field(const eid_field_indexes *set, eid_slice field)
{
    for (size_t i = 0; set != NULL && i < set->count; i++)
        if (eid_slice_equal(eid_slice_of(set->items[i].field, set->items[i].field_len), field))
            return true;
    return false;
}

/* ---- Steps ---- */

static eid_status look_at_new(index_step *step, eid_storage *storage, eid_tree *tree, eid_tree_store *store)
{
    eid_field_indexes *set;
    EID_TRY(eid_field_index_declared(storage, tree, eid_slice_text(step->store), &set));
    bool there = names_field(set, step->field);
    bool full = !there && set != NULL && set->count == EID_LIMIT_INDEX_PER_TABLE;
    eid_free(set);
    if (full)
        return eid_fail(EID_ERR_LIMIT, "A table has at most %d indexes", EID_LIMIT_INDEX_PER_TABLE);
    /* One that stands there complete is refused, an unfinished one taken up again. */
    if (there && store != NULL) {
        EID_TRY(eid_field_index_load(storage, tree, store));
        const eid_field_index *index = eid_field_index_find(store, step->field);
        there = index != NULL && index->ready;
    }
    return there ? eid_fail(EID_ERR_ALREADY_EXISTS, "The table has an index on this field") : EID_OK;
}

static eid_status look_at_old(index_step *step, eid_storage *storage, eid_tree *tree, eid_tree_store *store)
{
    eid_field_indexes *set;
    (void)store;
    EID_TRY(eid_field_index_declared(storage, tree, eid_slice_text(step->store), &set));
    bool there = names_field(set, step->field);
    eid_free(set);
    return there ? EID_OK : eid_fail(EID_ERR_NOT_FOUND, "The table has no index on this field");
}

static eid_status declare(index_step *step, eid_storage *storage, eid_tree *tree, eid_tree_store *store)
{
    (void)store;
    return eid_field_index_declare(storage, tree, eid_slice_text(step->store), step->field);
}

static eid_status build(index_step *step, eid_storage *storage, eid_tree *tree, eid_tree_store *store)
{
    step->flag = true;
    return store == NULL ? EID_OK : eid_field_index_build(storage, tree, store, step->field, &step->flag);
}

static eid_status forget(index_step *step, eid_storage *storage, eid_tree *tree, eid_tree_store *store)
{
    (void)store;
    return eid_field_index_forget(storage, tree, eid_slice_text(step->store), step->field);
}

static eid_status drop(index_step *step, eid_storage *storage, eid_tree *tree, eid_tree_store *store)
{
    step->flag = true;
    return store == NULL ? EID_OK : eid_field_index_drop(storage, tree, store, &step->flag);
}

/* Slices between which the index file is settled: what a crash can cost. */
#define SLICES_SETTLED 256

static eid_status repeat(index_step *step, step_function look, step_function run)
{
    for (size_t i = 1; !step->flag; i++) {
        EID_TRY(run_step(step, look, run));
        if (i % SLICES_SETTLED == 0 || (step->flag && i > 1))
            EID_TRY(settle(step));
    }
    return EID_OK;
}

static eid_status build_all(index_step *step)
{
    step->flag = false;
    return repeat(step, look_at_old, build);
}

static eid_status drop_all(index_step *step)
{
    step->flag = false;
    return repeat(step, NULL, drop);
}

eid_status eid_table_finish_index(eid_database *database, const char *store, const char *field)
{
    index_step step = {.database = database, .store = store, .field = eid_slice_text(field)};
    return build_all(&step);
}

/* The store must be a table, if it is there at all. */
static eid_status check_table(eid_database *database, const char *name)
{
    eid_txn *txn;
    eid_txn_store *store;
    EID_TRY(eid_database_new_transaction(database, &txn));
    eid_status status = eid_txn_open_store(txn, name, EID_TYPE_TABLE, &store);
    eid_txn_free(txn);
    return status;
}

eid_status eid_table_add_index(eid_database *database, const char *store, const char *field)
{
    EID_NEED(database && store && field);
    index_step step = {.database = database, .store = store, .field = eid_slice_text(field)};
    EID_TRY(eid_field_check(step.field));
    EID_TRY(check_table(database, store));
    EID_TRY(run_step(&step, look_at_new, declare));
    eid_status status = drop_all(&step); /* what an interrupted removal left */
    if (status == EID_OK)
        status = build_all(&step);
    if (status == EID_ERR_NOT_FOUND)
        return eid_fail(EID_ERR_CONFLICT, "The index was removed while it was built");
    if (status != EID_OK) {
        char text[EID_LIMIT_ERROR_TEXT] = "";
        strncpy(text, eid_last_error(), sizeof text - 1);
        run_step(&step, NULL, forget); /* if this fails too, the index stays declared, to be completed later */
        return eid_fail(status, "%s", text);
    }
    return EID_OK;
}

eid_status eid_table_remove_index(eid_database *database, const char *store, const char *field)
{
    EID_NEED(database && store && field);
    index_step step = {.database = database, .store = store, .field = eid_slice_text(field)};
    EID_TRY(eid_store_name_check(store));
    EID_TRY(run_step(&step, look_at_old, forget));
    return drop_all(&step);
}

/* ---- Listing ---- */

static eid_status copy_list(const eid_field_indexes *set, eid_table_index **out, size_t *count)
{
    size_t texts = 0, size = set == NULL ? 0 : set->count;
    for (size_t i = 0; i < size; i++)
        texts += set->items[i].field_len + 1;
    eid_table_index *list = eid_alloc_zero(1, (size + 1) * sizeof *list + texts);
    if (list == NULL)
        return eid_fail_memory();
    char *at = (char *)&list[size + 1];
    for (size_t i = 0; i < size; i++) {
        memcpy(at, set->items[i].field, set->items[i].field_len);
        list[i] = (eid_table_index){at, set->items[i].ready};
        at += set->items[i].field_len + 1;
    }
    *out = list;
    *count = size;
    return EID_OK;
}

/* A table that is not there yet is complete. */
static eid_status list_declared(eid_storage *storage, eid_tree *tree, const char *name, eid_table_index **out, size_t *count)
{
    eid_field_indexes *set;
    EID_TRY(eid_field_index_declared(storage, tree, eid_slice_text(name), &set));
    for (size_t i = 0; set != NULL && i < set->count; i++)
        set->items[i].ready = true;
    eid_status status = copy_list(set, out, count);
    eid_free(set);
    return status;
}

eid_status eid_table_indexes(eid_database *database, const char *name, eid_table_index **out, size_t *count)
{
    EID_NEED(database && name && out && count);
    eid_storage *storage = eid_core_storage(eid_database_core(database));
    eid_tree *tree;
    eid_tree_store *store = NULL;
    EID_TRY(eid_store_name_check(name));
    eid_storage_lock(storage);
    eid_status status = eid_storage_tree(storage, eid_database_root_id(database), &tree);
    if (status == EID_OK)
        status = eid_storage_store(storage, tree, eid_slice_text(name), &store);
    if (status == EID_OK && store != NULL)
        status = eid_field_index_load(storage, tree, store);
    if (status == EID_OK)
        status = store != NULL ? copy_list(store->indexes, out, count) : list_declared(storage, tree, name, out, count);
    eid_storage_unlock(storage);
    return status;
}
