/* SPDX-License-Identifier: Apache-2.0 */
/* Opening files of every kind, metadata, trees and stores, and what a rollback leaves in the caches. */
#include "storage_test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "codec/cid.h"

/* ---- Opening ---- */

static eid_status open_path(const char *path)
{
    eid_storage_options options = {.path = path};
    eid_storage *storage = NULL;
    eid_status status = eid_storage_open(&options, &storage);
    eid_storage_close(storage);
    return status;
}

static void exec_in_file(const char *path, const char *text)
{
    eid_sql_options options = {.must_exist = false};
    eid_sql *sql;
    tu_assert_ok(eid_sql_open(path, &options, &sql));
    tu_assert_ok(eid_sql_exec(sql, text));
    eid_sql_close(sql);
}

/* In the one of the two files the text is for. */
static void exec_in_either(const char *path, const char *text)
{
    char *file = tu_file_of(path, text);
    exec_in_file(file, text);
    free(file);
}

static void test_format_versions(void **state)
{
    (void)state;
    static const struct {
        const char *version;
        eid_status wanted;
    } cases[] = {{"2", EID_OK},
                 {"3", EID_ERR_SCHEMA_VERSION},
                 {"9", EID_ERR_SCHEMA_VERSION},
                 {"10", EID_ERR_SCHEMA_VERSION},
                 {"123456", EID_ERR_SCHEMA_VERSION},
                 {"99999999999999999999999", EID_ERR_CORRUPT},
                 {"0", EID_ERR_CORRUPT},
                 {"", EID_ERR_CORRUPT},
                 {"x", EID_ERR_CORRUPT},
                 {"-1", EID_ERR_CORRUPT},
                 {" 1", EID_ERR_CORRUPT},
                 {"1x", EID_ERR_CORRUPT}};
    char *dir = tu_temp_dir(), *path = tu_path(dir, "data.db");
    tu_assert_ok(open_path(path));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eid_sql_options options = {.must_exist = true};
        eid_sql *sql;
        eid_sql_stmt *stmt;
        tu_assert_ok(eid_sql_open(path, &options, &sql));
        tu_assert_ok(eid_sql_prepare(sql, "UPDATE meta SET value = ? WHERE key = 'schema_version'", &stmt));
        eid_sql_bind_blob(stmt, 1, eid_slice_text(cases[i].version));
        tu_assert_ok(eid_sql_run(stmt));
        eid_sql_close(sql);
        eid_status status = open_path(path);
        if (status != cases[i].wanted)
            fail_msg("version \"%s\": %s, wanted %s", cases[i].version, eid_status_name(status), eid_status_name(cases[i].wanted));
    }
    free(path);
    tu_temp_dir_remove(dir);
}

static void test_databases_of_others(void **state)
{
    (void)state;
    char *dir = tu_temp_dir(), *path = tu_path(dir, "data.db");
    exec_in_file(path, "CREATE TABLE contacts (name TEXT);");
    tu_assert_fails(open_path(path), EID_ERR_CORRUPT);
    exec_in_file(path, "CREATE TABLE meta (key TEXT, value BLOB);");
    tu_assert_fails(open_path(path), EID_ERR_CORRUPT);
    exec_in_file(path, "DROP TABLE meta; CREATE TABLE meta (a INTEGER);");
    tu_assert_fails(open_path(path), EID_ERR_CORRUPT);
    exec_in_file(path, "DROP TABLE meta; DROP TABLE contacts;"); /* an empty database is a new one */
    tu_assert_ok(open_path(path));
    free(path);
    tu_temp_dir_remove(dir);
}

/* ---- Metadata ---- */

static void check_meta(eid_storage *storage, const char *key, const char *want, size_t len)
{
    eid_buf buf;
    eid_buf_init(&buf, 1 << 20);
    eid_buf_append_text(&buf, "<"); /* appended, not replaced */
    tu_assert_ok(eid_storage_meta_get(storage, key, &buf));
    assert_int_equal(buf.len, len + 1);
    assert_memory_equal(buf.data + 1, want, len);
    eid_buf_free(&buf);
}

static void test_meta(void **state)
{
    (void)state;
    char *dir = tu_temp_dir(), *path = tu_path(dir, "data.db");
    eid_storage *storage = st_open(path);
    eid_buf buf;
    eid_buf_init(&buf, 8);
    eid_storage_lock(storage);
    tu_assert_fails(eid_storage_meta_get(storage, "k", &buf), EID_ERR_NOT_FOUND);
    assert_int_equal(buf.len, 0);
    tu_assert_ok(eid_storage_meta_set(storage, "k", eid_slice_of("a\0b", 3)));
    tu_assert_ok(eid_storage_meta_set(storage, "empty", eid_slice_of(NULL, 0)));
    tu_assert_ok(eid_storage_meta_set(storage, "K", eid_slice_text("other")));
    check_meta(storage, "k", "a\0b", 3);
    check_meta(storage, "empty", "", 0);
    tu_assert_ok(eid_storage_meta_set(storage, "k", eid_slice_text("longer than the buffer")));
    tu_assert_fails(eid_storage_meta_get(storage, "k", &buf), EID_ERR_LIMIT);
    eid_buf_free(&buf);
    tu_assert_ok(eid_storage_begin(storage));
    tu_assert_ok(eid_storage_meta_set(storage, "k", eid_slice_text("undone")));
    eid_storage_rollback(storage);
    check_meta(storage, "k", "longer than the buffer", 22);
    eid_storage_unlock(storage);
    eid_storage_close(storage);
    storage = st_open(path);
    eid_storage_lock(storage);
    check_meta(storage, "k", "longer than the buffer", 22);
    check_meta(storage, "K", "other", 5);
    eid_storage_unlock(storage);
    eid_storage_close(storage);
    free(path);
    tu_temp_dir_remove(dir);
}

/* Several records at once: whatever fails on the way, none of them is there. */
static void test_meta_stored_together(void **state)
{
    (void)state;
    static const eid_meta_value old[] = {{"a", {(const uint8_t *)"1", 1}}, {"b", {(const uint8_t *)"2", 1}}},
                                new[] = {{"a", {(const uint8_t *)"3", 1}}, {"b", {(const uint8_t *)"4", 1}}};
    char *dir = tu_temp_dir(), *path = tu_path(dir, "data.db");
    eid_storage *storage = st_open(path);
    eid_status status = EID_ERR_STORAGE;
    eid_buf buf;
    tu_assert_ok(eid_storage_meta_store(storage, old, 2));
    eid_buf_init(&buf, 1 << 20);
    for (uint64_t calls = 1; status != EID_OK; calls++) {
        eid_sql_fail_after(eid_storage_journal(storage), calls);
        status = eid_storage_meta_store(storage, new, 2);
        eid_sql_fail_after(eid_storage_journal(storage), 0);
        eid_buf_reset(&buf);
        tu_assert_ok(eid_storage_meta_load(storage, "a", &buf));
        tu_assert_ok(eid_storage_meta_load(storage, "b", &buf));
        assert_memory_equal(buf.data, status == EID_OK ? "34" : "12", 2);
        assert_true(calls < 100);
    }
    tu_assert_fails(eid_storage_meta_load(storage, "c", &buf), EID_ERR_NOT_FOUND);
    eid_buf_free(&buf);
    eid_storage_close(storage);
    free(path);
    tu_temp_dir_remove(dir);
}

/* ---- Trees ---- */

static void check_trees(eid_storage *storage, eid_entry *const *roots, size_t count)
{
    eid_id *ids;
    size_t found;
    tu_assert_ok(eid_storage_trees(storage, &ids, &found));
    assert_int_equal(found, count);
    for (size_t i = 0; i < count; i++)
        assert_true(eid_id_equal(&ids[i], &roots[i]->id));
    eid_free(ids);
}

static void test_trees(void **state)
{
    (void)state;
    char *dir = tu_temp_dir(), *path = tu_path(dir, "data.db");
    eid_storage *storage = st_open(path);
    eid_entry *roots[3];
    eid_tree *tree, *again;
    for (unsigned i = 0; i < 3; i++)
        roots[i] = st_root(i);
    eid_storage_lock(storage);
    check_trees(storage, roots, 0);
    for (int i = 0; i < 2; i++)
        tu_assert_fails(eid_storage_tree(storage, &roots[0]->id, &tree), EID_ERR_DATABASE_NOT_FOUND);
    tu_assert_ok(eid_storage_begin(storage));
    for (int i = 0; i < 2; i++)
        st_admit_root(storage, roots[i], &tree);
    tu_assert_ok(eid_storage_tree_create(storage, &roots[1]->id, &again)); /* there already */
    assert_ptr_equal(tree, again);
    tu_assert_ok(eid_storage_commit(storage));
    tu_assert_ok(eid_storage_begin(storage));
    st_admit_root(storage, roots[2], &tree);
    check_trees(storage, roots, 3);
    eid_storage_rollback(storage);
    tu_assert_fails(eid_storage_tree(storage, &roots[2]->id, &tree), EID_ERR_DATABASE_NOT_FOUND);
    check_trees(storage, roots, 2);
    tu_assert_ok(eid_storage_tree(storage, &roots[1]->id, &tree));
    assert_true(eid_id_equal(&tree->root, &roots[1]->id));
    assert_int_equal(tree->main->count, 1);
    eid_storage_unlock(storage);
    eid_storage_close(storage);
    storage = st_open(path);
    eid_storage_lock(storage);
    check_trees(storage, roots, 2);
    tu_assert_ok(eid_storage_begin(storage));
    st_admit_root(storage, roots[2], &tree);
    tu_assert_ok(eid_storage_commit(storage));
    check_trees(storage, roots, 3);
    assert_int_equal(tree->main->tip_count, 1);
    eid_storage_unlock(storage);
    eid_storage_close(storage);
    for (int i = 0; i < 3; i++)
        eid_entry_unref(roots[i]);
    free(path);
    tu_temp_dir_remove(dir);
}

/* ---- Stores ---- */

static void test_store_names(void **state)
{
    (void)state;
    char *dir = tu_temp_dir(), *path = tu_path(dir, "data.db"), *large = calloc(1, 70000);
    memset(large, 'n', 69999);
    const struct {
        const char *name;
        size_t len;
    } names[] = {{"a", 1}, {"A", 1}, {"a\0", 2}, {"a\0b", 3}, {"\xc3\xa9", 2}, {"e\xcc\x81", 3}, {" a", 2}, {"a ", 2}, {large, 69999}};
    const size_t count = sizeof names / sizeof *names;
    eid_entry *root = st_root(1);
    eid_storage *storage = st_open(path);
    eid_tree *tree;
    eid_tree_store *store, *again;
    int64_t numbers[sizeof names / sizeof *names];
    ST_IN_TRANSACTION(storage, st_admit_root(storage, root, &tree));
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_begin(storage));
    for (size_t i = 0; i < count; i++) {
        eid_slice name = eid_slice_of(names[i].name, names[i].len);
        tu_assert_ok(eid_storage_store(storage, tree, name, &store));
        assert_null(store);
        tu_assert_ok(eid_storage_store_make(storage, tree, name, &store));
        tu_assert_ok(eid_storage_store_make(storage, tree, name, &again));
        assert_ptr_equal(store, again);
        numbers[i] = store->s;
    }
    tu_assert_ok(eid_storage_commit(storage));
    eid_storage_unlock(storage);
    eid_storage_close(storage);
    storage = st_open(path);
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_tree(storage, &root->id, &tree));
    assert_int_equal(eid_map_len(tree->stores), count + 2); /* the main DAG and _root */
    for (size_t i = 0; i < count; i++) {
        tu_assert_ok(eid_storage_store(storage, tree, eid_slice_of(names[i].name, names[i].len), &store));
        assert_non_null(store);
        assert_int_equal(store->s, numbers[i]);
        assert_int_equal(store->name_len, names[i].len);
        assert_memory_equal(store->name, names[i].name, names[i].len);
        assert_int_equal(store->name[store->name_len], 0);
    }
    eid_storage_unlock(storage);
    eid_storage_close(storage);
    eid_entry_unref(root);
    free(large);
    free(path);
    tu_temp_dir_remove(dir);
}

/* What the database layer hangs on a tree is freed by its function, exactly once. */
static int freed_caches;

static void free_cache(void *cache)
{
    freed_caches++;
    free(cache);
}

static void test_cache_is_dropped_with_what_it_was_made_from(void **state)
{
    (void)state;
    eid_storage *storage = st_memory();
    eid_entry *root = st_root(1);
    eid_tree *tree;
    freed_caches = 0;
    eid_storage_set_cache_free(storage, free_cache);
    ST_IN_TRANSACTION(storage, st_admit_root(storage, root, &tree));
    tree->cache = malloc(1);
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_begin(storage));
    eid_storage_rollback(storage);
    tu_assert_ok(eid_storage_tree(storage, &root->id, &tree));
    assert_null(tree->cache);
    assert_int_equal(freed_caches, 1);
    tree->cache = malloc(1);
    eid_storage_unlock(storage);
    eid_storage_close(storage);
    assert_int_equal(freed_caches, 2);
    eid_entry_unref(root);
}

/* ---- Rollback ---- */

/* One committed entry in two stores; then more of everything, undone. */
static void test_rollback_restores_everything(void **state)
{
    (void)state;
    static const char *const stores[] = {"a", "b", NULL}, *const others[] = {"b", "c", NULL};
    eid_storage *storage = st_memory();
    eid_entry *root = st_root(1), *first = st_child(root, &root, 1, stores, 1, 0), *second = st_child(root, &first, 1, others, 2, 0);
    eid_tree *tree;
    eid_tree_store *store;
    int64_t n[3], found, d;
    ST_IN_TRANSACTION(storage, {
        n[0] = st_admit_root(storage, root, &tree);
        n[1] = st_admit(storage, tree, first, n, 1);
    });
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_begin(storage));
    n[2] = st_admit(storage, tree, second, &n[1], 1);
    assert_int_equal(tree->main->tips[0].n, n[2]);
    eid_storage_rollback(storage);
    tu_assert_ok(eid_storage_find(storage, &second->id, &found, &d));
    assert_true(found == 0 && d == 0);
    tu_assert_ok(eid_storage_tree(storage, &root->id, &tree));
    assert_int_equal(tree->main->count, 2);
    assert_int_equal(tree->main->newest, n[1]);
    assert_int_equal(tree->main->tip_count, 1);
    assert_int_equal(tree->main->tips[0].n, n[1]);
    assert_int_equal(tree->main->tips[0].height, 1);
    assert_true(eid_id_equal(&tree->main->tips[0].id, &first->id));
    tu_assert_ok(eid_storage_store(storage, tree, eid_slice_text("c"), &store));
    assert_null(store);
    tu_assert_ok(eid_storage_store(storage, tree, eid_slice_text("b"), &store));
    assert_int_equal(store->count, 1);
    assert_int_equal(store->tips[0].n, n[1]);
    /* And it can be done again. */
    tu_assert_ok(eid_storage_begin(storage));
    n[2] = st_admit(storage, tree, second, &n[1], 1);
    tu_assert_ok(eid_storage_commit(storage));
    assert_true(n[2] > n[1]);
    tu_assert_ok(eid_storage_find(storage, &second->id, &found, &d));
    assert_true(found == n[2] && d == tree->d);
    eid_storage_unlock(storage);
    eid_storage_close(storage);
    eid_entry_unref(second);
    eid_entry_unref(first);
    eid_entry_unref(root);
}

/* ---- Entries ---- */

static void test_entries(void **state)
{
    (void)state;
    eid_storage *storage = st_memory();
    eid_entry *root = st_root(1), *child = st_child(root, &root, 1, NULL, 1, 5000), *loaded;
    eid_tree *tree;
    int64_t n[2], found, d = 9;
    ST_IN_TRANSACTION(storage, {
        n[0] = st_admit_root(storage, root, &tree);
        n[1] = st_admit(storage, tree, child, n, 1);
    });
    eid_storage_lock(storage);
    eid_id unknown = st_id(1), id;
    tu_assert_ok(eid_storage_find(storage, &unknown, &found, &d));
    assert_true(found == 0 && d == 0);
    tu_assert_ok(eid_storage_find(storage, &child->id, &found, NULL));
    assert_int_equal(found, n[1]);
    tu_assert_ok(eid_storage_load(storage, n[1], &loaded));
    assert_int_equal(loaded->cbor_len, child->cbor_len);
    assert_memory_equal(loaded->cbor, child->cbor, child->cbor_len);
    eid_entry_unref(loaded);
    tu_assert_ok(eid_storage_id(storage, n[0], &id));
    assert_true(eid_id_equal(&id, &root->id));
    tu_assert_fails(eid_storage_load(storage, n[1] + 1, &loaded), EID_ERR_CORRUPT);
    tu_assert_fails(eid_storage_id(storage, 0, &id), EID_ERR_CORRUPT);
    tu_assert_fails(eid_storage_id(storage, -1, &id), EID_ERR_CORRUPT);
    /* An entry is stored once. */
    tu_assert_ok(eid_storage_begin(storage));
    tu_assert_fails(eid_storage_admit(storage, tree, child, n, 1, &found), EID_ERR_ALREADY_EXISTS);
    eid_storage_rollback(storage);
    eid_storage_unlock(storage);
    eid_storage_close(storage);
    eid_entry_unref(child);
    eid_entry_unref(root);
}

/* Files somebody has damaged answer with an error; nothing is read as something else. */
static void test_damaged_rows(void **state)
{
    (void)state;
    static const char *const damages[] = {
        "UPDATE store SET tips = x'ffffffffffffffff' WHERE name = ''",
        "UPDATE store SET tips = x'0900000000000000' WHERE name = 'a'",
        "UPDATE store SET barrier = 77 WHERE name = 'a'",
        "DELETE FROM store WHERE name = ''",
        "UPDATE entry SET h = h + 1",
        "DELETE FROM part",
        "UPDATE entry SET bytes = x'a0'",
        "UPDATE entry SET bytes = substr(bytes, 1, 20)",
        "DELETE FROM entry",
    };
    char *dir = tu_temp_dir(), *path = tu_path(dir, "data.db");
    static const char *const stores[] = {"a", NULL};
    eid_entry *root = st_root(1), *child = st_child(root, &root, 1, stores, 1, 0), *loaded = NULL;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        eid_storage *storage = st_open(path);
        eid_tree *tree;
        int64_t n;
        ST_IN_TRANSACTION(storage, {
            n = st_admit_root(storage, root, &tree);
            st_admit(storage, tree, child, &n, 1);
        });
        eid_storage_close(storage);
        exec_in_either(path, damages[i]);
        storage = st_open(path);
        eid_storage_lock(storage);
        eid_status status = eid_storage_tree(storage, &root->id, &tree);
        if (status == EID_OK)
            status = eid_storage_load(storage, n, &loaded);
        if (status != EID_ERR_CORRUPT && status != EID_ERR_INVALID_ID)
            fail_msg("%s: %s", damages[i], eid_status_name(status));
        eid_storage_unlock(storage);
        eid_storage_close(storage);
        assert_int_equal(remove(path), 0);
    }
    eid_entry_unref(child);
    eid_entry_unref(root);
    free(path);
    tu_temp_dir_remove(dir);
}

static bool visit(const eid_participation *part, void *ctx)
{
    (void)part;
    (void)ctx;
    return true;
}

/* Parents that a walk could follow for ever, or out of its bounds. */
static void test_damaged_parents(void **state)
{
    (void)state;
    static const char *const damages[] = {
        "UPDATE part SET parents = x'00' WHERE n = 2",                        /* itself */
        "UPDATE part SET parents = x'01' WHERE n = 2",                        /* its child */
        "UPDATE part SET parents = x'06' WHERE n = 3",                        /* nobody */
        "UPDATE part SET parents = x'08' WHERE n = 3",
        "UPDATE part SET parents = x'fcffffffffffffffff01' WHERE n = 3",
        "UPDATE part SET parents = x'fdffffffffffffffff01' WHERE n = 3",      /* beyond all */
        "UPDATE part SET parents = x'03' WHERE n = 3",
        "UPDATE part SET parents = x'0282' WHERE n = 3",                      /* cut */
        "UPDATE part SET parents = x'8200' WHERE n = 3",                      /* not in its shortest form */
        "UPDATE part SET parents = x'ffffffffffffffffffff01' WHERE n = 3",
    };
    char *dir = tu_temp_dir(), *path = tu_path(dir, "data.db");
    static const char *const stores[] = {"a", NULL};
    eid_entry *e[3] = {st_root(1)};
    for (unsigned i = 1; i < 3; i++)
        e[i] = st_child(e[0], &e[i - 1], 1, stores, i, 0);
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        eid_storage *storage = st_open(path);
        eid_tree *tree;
        int64_t n[3], *parents = NULL;
        size_t count = 0;
        ST_IN_TRANSACTION(storage, {
            n[0] = st_admit_root(storage, e[0], &tree);
            n[1] = st_admit(storage, tree, e[1], &n[0], 1);
            n[2] = st_admit(storage, tree, e[2], &n[1], 1);
        });
        assert_true(n[0] == 1 && n[1] == 2 && n[2] == 3);
        eid_storage_close(storage);
        exec_in_either(path, damages[i]);
        storage = st_open(path);
        eid_storage_lock(storage);
        tu_assert_ok(eid_storage_tree(storage, &e[0]->id, &tree));
        eid_status first = eid_storage_participation(storage, tree->main, 2, NULL, &parents, &count);
        if (first == EID_OK)
            eid_free(parents);
        eid_status second = eid_storage_participation(storage, tree->main, 3, NULL, &parents, &count);
        if (second == EID_OK)
            eid_free(parents);
        assert_true((first == EID_ERR_CORRUPT) != (second == EID_ERR_CORRUPT));
        tu_assert_fails(eid_storage_each_participation(storage, tree->main, 0, INT64_MAX, visit, NULL), EID_ERR_CORRUPT);
        eid_storage_unlock(storage);
        eid_storage_close(storage);
        assert_int_equal(remove(path), 0);
    }
    for (int i = 0; i < 3; i++)
        eid_entry_unref(e[i]);
    free(path);
    tu_temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format_versions),
        cmocka_unit_test(test_databases_of_others),
        cmocka_unit_test(test_meta),
        cmocka_unit_test(test_meta_stored_together),
        cmocka_unit_test(test_trees),
        cmocka_unit_test(test_store_names),
        cmocka_unit_test(test_cache_is_dropped_with_what_it_was_made_from),
        cmocka_unit_test(test_rollback_restores_everything),
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_damaged_rows),
        cmocka_unit_test(test_damaged_parents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
