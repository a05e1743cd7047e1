/* SPDX-License-Identifier: Apache-2.0 */
/* The helpers of the tests, tested: a lookup that goes wrong silently would make other tests pass. */
#include "support/jsondom.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"

static void a_tree_of_every_kind(void **state)
{
    (void)state;
    static const char text[] =
        " {\"a\": [1, -2, true,false , null, \"x\\n\\u00e9\"], \"b\" :{\"c\":{}}, \"n\":"
        "18446744073709551615,\"h\":\"00fF\", \"e\":[]}\n";
    jd_node *root = jd_parse(eid_slice_text(text));
    assert_int_equal(jd_kind_of(root), JD_OBJECT);
    assert_int_equal(jd_len(root), 5);
    assert_string_equal(jd_key_at(root, 1), "b");

    const jd_node *a = jd_need(root, "a");
    assert_int_equal(jd_kind_of(a), JD_ARRAY);
    assert_int_equal(jd_len(a), 6);
    assert_int_equal(jd_i64(jd_at(a, 0)), 1);
    assert_int_equal(jd_i64(jd_at(a, 1)), -2);
    assert_string_equal(jd_number_text(jd_at(a, 1)), "-2");
    assert_true(jd_bool(jd_at(a, 2)));
    assert_false(jd_bool(jd_at(a, 3)));
    assert_true(jd_is_null(jd_at(a, 4)));
    assert_string_equal(jd_str(jd_at(a, 5)), "x\n\xc3\xa9");
    assert_int_equal(jd_slice(jd_at(a, 5)).len, 4);

    assert_int_equal(jd_len(jd_need(jd_need(root, "b"), "c")), 0);
    assert_int_equal(jd_len(jd_need(root, "e")), 0);
    assert_true(jd_get_u64(root, "n") == UINT64_MAX);
    assert_null(jd_get(root, "missing"));
    assert_null(jd_get(jd_get(root, "missing"), "deeper"));
    assert_true(jd_is_null(jd_get(root, "missing")));

    size_t len;
    uint8_t *bytes = jd_hex(jd_need(root, "h"), &len);
    assert_int_equal(len, 2);
    assert_memory_equal(bytes, "\x00\xff", 2);
    tu_assert_hex(bytes, len, "00ff");
    free(bytes);
    jd_free(root);
}

static void assert_source(const jd_node *node, const char *wanted)
{
    eid_slice source = jd_source(node);
    assert_int_equal(source.len, strlen(wanted));
    assert_memory_equal(source.data, wanted, source.len);
}

static void sources_are_the_text_as_written(void **state)
{
    (void)state;
    jd_node *root =
        jd_parse(eid_slice_text("{\"o\" : { \"p\": [1 , 2] } ,\"s\":\"a\\tb\",\"t\": true,\"d\":1.50}"));
    assert_source(jd_need(root, "o"), "{ \"p\": [1 , 2] }");
    assert_source(jd_need(jd_need(root, "o"), "p"), "[1 , 2]");
    assert_source(jd_at(jd_need(jd_need(root, "o"), "p"), 1), "2");
    assert_source(jd_need(root, "s"), "\"a\\tb\"");
    assert_source(jd_need(root, "t"), "true");
    assert_source(jd_need(root, "d"), "1.50");
    jd_free(root);
}

static void scalars_and_depth(void **state)
{
    (void)state;
    jd_node *root = jd_parse(eid_slice_text("7"));
    assert_int_equal(jd_u64(root), 7);
    jd_free(root);

    char deep[2 * EID_LIMIT_JSON_DEPTH + 1];
    memset(deep, '[', EID_LIMIT_JSON_DEPTH);
    memset(deep + EID_LIMIT_JSON_DEPTH, ']', EID_LIMIT_JSON_DEPTH);
    deep[2 * EID_LIMIT_JSON_DEPTH] = '\0';
    root = jd_parse(eid_slice_text(deep));
    size_t levels = 1;
    for (const jd_node *at = root; jd_len(at) > 0; at = jd_at(at, 0))
        levels++;
    assert_int_equal(levels, EID_LIMIT_JSON_DEPTH);
    jd_free(root);
}

/* Every recording can be read, has something in it, and each value's source is a whole value again. */
static void every_recording_can_be_read(void **state)
{
    (void)state;
    static const char *const names[] = {
        "auth.json",   "dags.json",           "docs.json",          "entries.json", "ids.json",  "keys.json",
        "merges.json", "password_store.json", "sync_messages.json", "tickets.json", "users.json"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        jd_node *root = jd_load(names[i]);
        assert_true(strlen(jd_get_str(root, "source")) > 0);
        assert_true(jd_len(root) > 2);
        for (size_t k = 0; k < jd_len(root); k++) {
            const jd_node *member = jd_at(root, k);
            jd_node *again = jd_parse(jd_source(member));
            assert_int_equal(jd_kind_of(again), jd_kind_of(member));
            if (jd_kind_of(member) == JD_ARRAY || jd_kind_of(member) == JD_OBJECT)
                assert_int_equal(jd_len(again), jd_len(member));
            jd_free(again);
        }
        jd_free(root);
    }
}

static void every_transcript_can_be_read(void **state)
{
    (void)state;
    char *path = tu_path(tu_data_dir(), "transcripts");
    DIR *dir = opendir(path);
    assert_non_null(dir);
    size_t files = 0;
    for (const struct dirent *at = readdir(dir); at != NULL; at = readdir(dir)) {
        if (strstr(at->d_name, ".jsonl") == NULL)
            continue;
        char *name = tu_path("transcripts", at->d_name);
        jd_node *lines = jd_load_lines(name);
        assert_true(jd_len(lines) >= 3);
        for (size_t i = 0; i < jd_len(lines); i++)
            assert_int_equal(jd_kind_of(jd_at(lines, i)), JD_OBJECT);
        jd_free(lines);
        free(name);
        files++;
    }
    closedir(dir);
    free(path);
    assert_int_equal(files, 17);
}

static void scratch_directories_vanish(void **state)
{
    (void)state;
    char *dir = tu_temp_dir();
    char *kept = tu_path(dir, "");
    char *file = tu_path(dir, "a");
    tu_write_file(file, "hello", 5);
    size_t len;
    uint8_t *data = tu_read_file(file, &len);
    assert_int_equal(len, 5);
    assert_string_equal((const char *)data, "hello");
    tu_temp_dir_remove(dir);
    assert_int_not_equal(access(file, F_OK), 0);
    assert_int_not_equal(access(kept, F_OK), 0);
    free(data);
    free(file);
    free(kept);
}

static void equal_seeds_give_equal_numbers(void **state)
{
    (void)state;
    tu_random first = {42};
    tu_random second = {42};
    tu_random other = {43};
    bool differs = false;
    for (int i = 0; i < 100; i++) {
        uint64_t number = tu_random_next(&first);
        assert_true(number == tu_random_next(&second));
        differs = differs || number != tu_random_next(&other);
        assert_true(tu_random_below(&first, 10) < 10);
        (void)tu_random_below(&second, 10);
    }
    assert_true(differs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_of_every_kind),
        cmocka_unit_test(sources_are_the_text_as_written),
        cmocka_unit_test(scalars_and_depth),
        cmocka_unit_test(every_recording_can_be_read),
        cmocka_unit_test(every_transcript_can_be_read),
        cmocka_unit_test(scratch_directories_vanish),
        cmocka_unit_test(equal_seeds_give_equal_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
