/* SPDX-License-Identifier: Apache-2.0 */
/* What an entry tells about itself: getters, heights, the database it belongs to, references. */
#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "crypto/blake3.h"
#include "entry_test.h"

static void test_getters(void **state)
{
    (void)state;
    eid_entry *entry = et_full_entry();
    eid_id root = et_id(1000);
    assert_false(eid_entry_is_root(entry));
    assert_true(eid_id_equal(eid_entry_database_id(entry), &root));
    assert_int_equal(eid_entry_height(entry), 300);
    assert_int_equal(eid_entry_parent_count(entry), 3);
    assert_int_equal(eid_entry_store_count(entry), 4);
    assert_true(eid_entry_is_signed(entry));

    static const struct {
        const char *name;
        size_t parents;
        bool has_data;
        size_t len;
        uint64_t height;
    } stores[] = {
        {"Zebra", 0, false, 0, 0},
        {"_index", 3, false, 0, 300},
        {"messages", 2, true, 31, 300},
        {"\xc3\xbc\"\n", 1, true, 0, 70000},
    };
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(eid_entry_store_name(entry, i), stores[i].name);
        assert_int_equal(eid_entry_store_parent_count(entry, i), stores[i].parents);
        const void *data = NULL;
        size_t len = 0;
        assert_int_equal(eid_entry_store_data(entry, i, &data, &len), stores[i].has_data);
        assert_int_equal(len, stores[i].len);
        assert_true(eid_entry_store_height(entry, i) == stores[i].height);
    }
    const void *data;
    size_t len;
    assert_true(eid_entry_store_data(entry, 2, &data, &len));
    assert_true(eid_slice_is(eid_slice_of(data, len), "{\"children\":{\"k\":{\"Text\":\"v\"}}}"));
    assert_true(eid_entry_metadata(entry, &data, &len));
    assert_true(eid_slice_is(eid_slice_of(data, len),
                             "{\"settings_tips\":[\"" ID_2 "\",\"" ID_1 "\"],\"entropy\":7}"));
    eid_entry_unref(entry);
}

/* The ID is the hash of the bytes handed out, and payloads are lent from these bytes. */
static void test_bytes(void **state)
{
    (void)state;
    eid_entry *entry = et_full_entry();
    const void *bytes;
    size_t len;
    eid_entry_cbor(entry, &bytes, &len);
    eid_id id;
    eid_id_of_bytes(EID_CODEC_DAG_CBOR, bytes, len, &id);
    assert_true(eid_id_equal(&id, eid_entry_id(entry)));
    const uint8_t *start = bytes;
    const void *data;
    size_t data_len;
    assert_true(eid_entry_store_data(entry, 2, &data, &data_len));
    assert_true((const uint8_t *)data > start && (const uint8_t *)data + data_len <= start + len);
    assert_true(eid_entry_metadata(entry, &data, &data_len));
    assert_true((const uint8_t *)data > start && (const uint8_t *)data + data_len <= start + len);
    eid_entry_unref(entry);
}

static void test_database(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"tree\":{\"parents\":[]},\"subtrees\":[{\"name\":\"_root\",\"parents\":[]}]," NO_SIG "}",
        CHILD,
        "{\"tree\":{\"parents\":[\"" ID_2 "\"]},\"subtrees\":[]," NO_SIG "}",
        "{\"tree\":{\"root\":\"" ID_1
        "\",\"parents\":[]},\"subtrees\":[{\"name\":\"_root\",\"parents\":[]}]," NO_SIG "}",
        "{\"tree\":{\"root\":\"\",\"parents\":[]},\"subtrees\":[{\"name\":\"_root\",\"parents\":[]}]," NO_SIG
        "}",
    };
    eid_entry *root = et_from_text(texts[0]);
    assert_true(eid_entry_is_root(root));
    assert_true(eid_id_equal(eid_entry_database_id(root), eid_entry_id(root)));
    eid_entry_unref(root);
    eid_id one = et_parse_id(ID_1);
    for (size_t i = 1; i < sizeof texts / sizeof *texts; i++) {
        eid_entry *entry = et_from_text(texts[i]);
        assert_false(eid_entry_is_root(entry));
        if (i == 1 || i == 3)
            assert_true(eid_id_equal(eid_entry_database_id(entry), &one));
        else
            assert_true(eid_id_is_empty(eid_entry_database_id(entry)));
        eid_entry_unref(entry);
    }
}

static void test_first_of_a_name(void **state)
{
    (void)state;
    eid_entry *entry =
        et_from_text("{" CHILD_TREE ",\"subtrees\":[{\"name\":\"b\",\"parents\":[],\"data\":[1]},"
                     "{\"name\":\"a\",\"parents\":[],\"data\":[2]},"
                     "{\"name\":\"b\",\"parents\":[],\"data\":[3]}]," NO_SIG "}");
    assert_int_equal(eid_entry_store_count(entry), 3);
    assert_ptr_equal(eid_entry_subtree(entry, eid_slice_text("b")), &entry->subtrees[0]);
    assert_ptr_equal(eid_entry_subtree(entry, eid_slice_text("a")), &entry->subtrees[1]);
    assert_null(eid_entry_subtree(entry, eid_slice_text("c")));
    assert_null(eid_entry_subtree(entry, eid_slice_text("")));
    assert_null(eid_entry_subtree(entry, eid_slice_text("bb")));
    eid_entry_unref(entry);
}

static void test_heights(void **state)
{
    (void)state;
    eid_entry *entry =
        et_from_text("{\"tree\":{\"root\":\"" ID_1 "\",\"parents\":[\"" ID_1 "\"],\"h\":12},\"subtrees\":["
                     "{\"name\":\"inherits\",\"parents\":[]},{\"name\":\"null\",\"parents\":[],\"h\":null},"
                     "{\"name\":\"zero\",\"parents\":[],\"h\":0},"
                     "{\"name\":\"own\",\"parents\":[],\"h\":18446744073709551615}]," NO_SIG "}");
    assert_true(eid_entry_height(entry) == 12);
    assert_true(eid_entry_store_height(entry, 0) == 12);
    assert_true(eid_entry_store_height(entry, 1) == 12);
    assert_true(eid_entry_store_height(entry, 2) == 0);
    assert_true(eid_entry_store_height(entry, 3) == UINT64_MAX);
    eid_entry_unref(entry);
}

/* ---- references ---- */

static void test_references(void **state)
{
    (void)state;
    tu_alloc_install();
    eid_entry *entry = et_from_text(CHILD);
    assert_ptr_equal(eid_entry_ref(entry), entry);
    eid_entry_unref(entry);
    assert_int_equal(tu_alloc_live(), 1);
    assert_int_equal(eid_entry_parent_count(entry), 1);
    eid_entry_unref(entry);
    assert_int_equal(tu_alloc_live(), 0);
    tu_alloc_remove();
    eid_entry_unref(NULL);
}

static void *take_and_drop(void *ctx)
{
    eid_entry *entry = ctx;
    for (unsigned i = 0; i < 20000; i++) {
        eid_entry *mine = eid_entry_ref(entry);
        if (eid_entry_height(mine) != 300)
            return NULL;
        eid_entry_unref(mine);
    }
    eid_entry_unref(entry);
    return entry;
}

static void test_references_between_threads(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    tu_alloc_install();
    eid_entry_builder *builder = et_full_builder();
    eid_entry *entry;
    tu_assert_ok(eid_entry_builder_finish(builder, NULL, NULL, &entry));
    eid_entry_builder_free(builder);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_drop, eid_entry_ref(entry)), 0);
    eid_entry_unref(entry);
    for (size_t i = 0; i < THREADS; i++) {
        void *answer;
        assert_int_equal(pthread_join(threads[i], &answer), 0);
        assert_non_null(answer);
    }
    assert_int_equal(tu_alloc_live(), 0);
    tu_alloc_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_getters),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_database),
        cmocka_unit_test(test_first_of_a_name),
        cmocka_unit_test(test_heights),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_references_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
