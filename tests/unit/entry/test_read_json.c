/* SPDX-License-Identifier: Apache-2.0 */
/* What only the JSON reader and writer meet: the forms of bytes, escapes, cut and damaged text, many entries
 * in one document, and going back after a failure. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "entry_test.h"

#define STORE_WITH(members)                                                                                  \
    "{" CHILD_TREE ",\"subtrees\":[{\"name\":\"s\",\"parents\":[]," members "}]," NO_SIG "}"

static eid_status read_exact(const char *text, size_t len, eid_entry **out)
{
    char *copy = malloc(len == 0 ? 1 : len);
    assert_non_null(copy);
    if (len > 0)
        memcpy(copy, text, len);
    eid_status status = eid_entry_from_json(copy, len, out);
    free(copy);
    return status;
}

static char *text_of(const eid_entry *entry)
{
    char *text;
    size_t len;
    tu_assert_ok(eid_entry_to_json(entry, &text, &len));
    assert_int_equal(strlen(text), len);
    return text;
}

/* ---- writing ---- */

static void test_written(void **state)
{
    (void)state;
    static const char *const texts[] = {
        CHILD,
        "{\"tree\":{\"parents\":[]},\"subtrees\":[]," NO_SIG "}",
        "{\"tree\":{\"root\":\"\",\"parents\":[\"\"]},\"subtrees\":[]," NO_SIG "}",
        "{\"tree\":{\"root\":\"" ID_1 "\",\"parents\":[\"" ID_2 "\",\"" ID_3
        "\"],\"metadata\":[0,9,10,99,100,255],\"h\":18446744073709551615},\"subtrees\":[]," NO_SIG "}",
        STORE_WITH("\"data\":[]"),
        STORE_WITH("\"data\":[1,2,3],\"h\":0"),
        STORE_WITH("\"h\":65536"),
        "{" CHILD_TREE ",\"subtrees\":[{\"name\":\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u0000/\x7f\xc3\xbc\","
        "\"parents\":[\"" ID_1 "\",\"\"]},{\"name\":\"b\",\"parents\":[]}]," NO_SIG "}",
        "{" CHILD_TREE "," NO_SUBTREES
        ",\"sig\":{\"sig\":\"\\n\\u0000x\",\"key\":{\"Direct\":{\"hint\":{\"pubkey\":\"" KEY_1
        "\",\"name\":\"\\u0000\",\"is_global\":true}}}}}",
        "{" CHILD_TREE "," NO_SUBTREES ",\"sig\":{\"key\":{\"Direct\":{\"hint\":{\"is_global\":true}}}}}",
        "{" CHILD_TREE "," NO_SUBTREES
        ",\"sig\":{\"key\":{\"Delegation\":{\"path\":[],\"hint\":{\"name\":\"\"}}}}}",
        "{" CHILD_TREE "," NO_SUBTREES
        ",\"sig\":{\"sig\":\"\",\"key\":{\"Delegation\":{\"path\":[{\"tree\":\"" ID_1
        "\",\"tips\":[]},{\"tree\":\"\",\"tips\":[\"" ID_3 "\",\"" ID_1 "\",\"" ID_3 "\"]}],\"hint\":{}}}}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        eid_entry *entry = et_from_text(texts[i]);
        char *written = text_of(entry);
        assert_string_equal(written, texts[i]);
        et_assert_consistent(entry);
        eid_free(written);
        eid_entry_unref(entry);
    }
}

/* ---- the forms of bytes ---- */

static void assert_data(const char *json, const void *wanted, size_t wanted_len)
{
    eid_entry *entry = et_from_text(json);
    const void *data = NULL;
    size_t len = 0;
    assert_true(eid_entry_store_data(entry, 0, &data, &len));
    assert_int_equal(len, wanted_len);
    if (len > 0)
        assert_memory_equal(data, wanted, len);
    eid_entry_unref(entry);
}

static void test_bytes(void **state)
{
    (void)state;
    assert_data(STORE_WITH("\"data\":[1,22,255]"), "\x01\x16\xff", 3);
    assert_data(STORE_WITH("\"data\": [ 1 , 22\n,255 ] "), "\x01\x16\xff", 3);
    assert_data(STORE_WITH("\"data\":\"abc\""), "abc", 3);
    assert_data(STORE_WITH("\"data\":\"\""), "", 0);
    assert_data(STORE_WITH("\"data\":[]"), "", 0);
    assert_data(STORE_WITH("\"data\":\"\\u0000\\u00fc\\ud83d\\ude00\""), "\0\xc3\xbc\xf0\x9f\x98\x80", 7);

    eid_entry *entry = et_from_text("{\"tree\":{\"root\":\"" ID_1 "\",\"parents\":[],\"metadata\":\"m\"},"
                                    "\"subtrees\":[]," NO_SIG "}");
    const void *data;
    size_t len;
    assert_true(eid_entry_metadata(entry, &data, &len));
    assert_int_equal(len, 1);
    assert_memory_equal(data, "m", 1);
    eid_entry_unref(entry);

    static const char *const refused[] = {
        STORE_WITH("\"data\":[1.0]"), STORE_WITH("\"data\":[1e0]"),   STORE_WITH("\"data\":[null]"),
        STORE_WITH("\"data\":[[1]]"), STORE_WITH("\"data\":[\"1\"]"), STORE_WITH("\"data\":[true]"),
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        eid_entry *none = NULL;
        tu_assert_fails(eid_entry_from_json(refused[i], strlen(refused[i]), &none), EID_ERR_WRONG_TYPE);
        assert_null(none);
    }
}

/* Names with a zero byte keep it, though getters of C texts end there. */
static void test_zero_bytes(void **state)
{
    (void)state;
    eid_entry *entry = et_from_text("{" CHILD_TREE ",\"subtrees\":[{\"name\":\"a\\u0000b\",\"parents\":[]},"
                                    "{\"name\":\"a\",\"parents\":[],\"h\":5}],"
                                    "\"sig\":{\"key\":{\"Direct\":{\"hint\":{\"name\":\"k\\u0000\"}}}}}");
    assert_string_equal(eid_entry_store_name(entry, 0), "a");
    assert_int_equal(entry->subtrees[0].name_len, 3);
    assert_memory_equal(entry->subtrees[0].name, "a\0b", 4);
    assert_ptr_equal(eid_entry_subtree(entry, eid_slice_of("a\0b", 3)), &entry->subtrees[0]);
    assert_ptr_equal(eid_entry_subtree(entry, eid_slice_text("a")), &entry->subtrees[1]);
    assert_int_equal(entry->sigkey.hint.name_len, 2);
    et_assert_consistent(entry);
    eid_entry_unref(entry);
}

/* Texts with escapes stand in the reader's own memory: each must survive the next one. */
static void test_escapes_everywhere(void **state)
{
    (void)state;
    eid_entry *escaped =
        et_from_text("{\"\\u0074ree\":{\"\\u0072oot\":"
                     "\"\\u0062afyr4ifr65w3wam3km3lrjg2zol6fzttig7vus5amugztdbsevt2zptraq\","
                     "\"parents\":[\"" ID_1 "\"],\"metadata\":\"\\u006d\"},"
                     "\"subtrees\":[{\"name\":\"\\u0061\",\"parents\":[\"\\u0062"
                     "afyr4icnsiz2xobrc473falmccolwv2abhxlfqpu3nqere4iomwolv5uya\"],"
                     "\"data\":\"\\u0064\"},{\"name\":\"\\u0065\",\"parents\":[]}],"
                     "\"sig\":{\"sig\":\"\\u0073\",\"key\":{\"\\u0044irect\":{\"hint\":{\"name\":\"\\u006e\","
                     "\"pubkey\":\"\\u0065d25519:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\"}}}}}");
    eid_entry *plain =
        et_from_text("{\"tree\":{\"root\":\"" ID_1 "\",\"parents\":[\"" ID_1 "\"],\"metadata\":[109]},"
                     "\"subtrees\":[{\"name\":\"a\",\"parents\":[\"" ID_2 "\"],\"data\":[100]},"
                     "{\"name\":\"e\",\"parents\":[]}],\"sig\":{\"sig\":\"s\",\"key\":{\"Direct\":{"
                     "\"hint\":{\"pubkey\":\"" KEY_1 "\",\"name\":\"n\"}}}}}");
    assert_true(eid_id_equal(&escaped->id, &plain->id));
    eid_entry_unref(escaped);
    eid_entry_unref(plain);
}

/* ---- cut and damaged text ---- */

static void test_truncated(void **state)
{
    (void)state;
    eid_entry *samples[] = {et_full_entry(), et_small_entry(), et_from_text(CHILD)};
    for (size_t i = 0; i < 3; i++) {
        char *text = text_of(samples[i]);
        for (size_t len = 0; len < strlen(text); len++) {
            eid_entry *entry = NULL;
            eid_status status = read_exact(text, len, &entry);
            if (status != EID_ERR_TRUNCATED || entry != NULL)
                fail_msg("sample %zu cut to %zu characters: %s (%s)", i, len, eid_status_name(status),
                         eid_last_error());
        }
        eid_free(text);
        eid_entry_unref(samples[i]);
    }
}

static void test_damage(void **state)
{
    (void)state;
    eid_entry *sample = et_full_entry();
    char *text = text_of(sample);
    size_t len = strlen(text);
    size_t read = 0;
    for (size_t bit = 0; bit < 8 * len; bit++) {
        text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
        eid_entry *entry = NULL;
        if (read_exact(text, len, &entry) == EID_OK) {
            et_assert_consistent(entry);
            read++;
        } else {
            assert_null(entry);
        }
        eid_entry_unref(entry);
        text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
    }
    assert_true(read > 100);
    eid_free(text);
    eid_entry_unref(sample);
}

static void test_around(void **state)
{
    (void)state;
    eid_entry *entry = et_from_text(" \t\r\n" CHILD " \t\r\n");
    eid_entry_unref(entry);
    static const char *const trailing[] = {CHILD CHILD, CHILD ",", CHILD "x", CHILD " 0"};
    for (size_t i = 0; i < sizeof trailing / sizeof *trailing; i++) {
        entry = NULL;
        tu_assert_fails(eid_entry_from_json(trailing[i], strlen(trailing[i]), &entry), EID_ERR_TRAILING_DATA);
        assert_null(entry);
    }
    tu_assert_fails(eid_entry_from_json(NULL, 0, &entry), EID_ERR_TRUNCATED);
    tu_assert_fails(eid_entry_from_json("\xef\xbb\xbf" CHILD, sizeof CHILD + 2, &entry), EID_ERR_SYNTAX);
}

static void test_depth(void **state)
{
    (void)state;
    /* The entry is one container, so the unknown value may add as many as are left. */
    for (unsigned depth = 120; depth < 135; depth++) {
        char text[1024] = "{\"x\":";
        size_t at = strlen(text);
        memset(text + at, '[', depth);
        memset(text + at + depth, ']', depth);
        strcpy(text + at + 2 * depth, "," CHILD_TREE "," NO_SUBTREES "," NO_SIG "}");
        eid_entry *entry = NULL;
        eid_status status = eid_entry_from_json(text, strlen(text), &entry);
        assert_int_equal(status, depth < EID_LIMIT_JSON_DEPTH ? EID_OK : EID_ERR_DEPTH);
        eid_entry_unref(entry);
    }
}

/* ---- many in one document ---- */

/* Reads an array of entries, stepping over those that can not be read; answers a letter for each. */
static void read_batch(const char *text, char *letters)
{
    eid_json reader;
    eid_json_init(&reader, eid_slice_text(text));
    tu_assert_ok(eid_json_begin_array(&reader, "entries"));
    for (;;) {
        bool more;
        tu_assert_ok(eid_json_next_item(&reader, &more));
        if (!more)
            break;
        eid_entry *entry = NULL;
        if (eid_entry_read_json(&reader, &entry) == EID_OK) {
            *letters++ = 'y';
        } else {
            assert_null(entry);
            /* The same failure again: nothing was consumed. */
            assert_int_not_equal(eid_entry_read_json(&reader, &entry), EID_OK);
            tu_assert_ok(eid_json_skip(&reader));
            *letters++ = 'n';
        }
        eid_entry_unref(entry);
    }
    tu_assert_ok(eid_json_end(&reader));
    eid_json_free(&reader);
    *letters = '\0';
}

static void test_batches(void **state)
{
    (void)state;
    static const char bad_id[] = "{\"tree\":{\"root\":\"zzz\",\"parents\":[]}," NO_SUBTREES "," NO_SIG "}";
    static const char bad_late[] =
        "{" CHILD_TREE ",\"subtrees\":[{\"name\":\"\\n\",\"parents\":[{\"x\":[[]]}]}]," NO_SIG "}";
    static const struct {
        const char *items[6];
        const char *letters;
    } cases[] = {
        {{NULL}, ""},
        {{CHILD, CHILD, CHILD, NULL}, "yyy"},
        {{bad_id, NULL}, "n"},
        {{CHILD, bad_id, CHILD, bad_late, CHILD, NULL}, "ynyny"},
        {{"null", "\"\\n\"", "7", "[[],{}]", "{}", NULL}, "nnnnn"},
        {{bad_late, bad_late, CHILD, NULL}, "nny"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[4096] = "[";
        for (size_t j = 0; cases[i].items[j] != NULL; j++) {
            if (j > 0)
                strcat(text, " , ");
            strcat(text, cases[i].items[j]);
        }
        strcat(text, "]");
        char letters[8];
        read_batch(text, letters);
        assert_string_equal(letters, cases[i].letters);
    }
}

/* ---- memory ---- */

static eid_status read_and_drop(void *ctx)
{
    const char *text = ctx;
    eid_entry *entry = NULL;
    eid_status status = eid_entry_from_json(text, strlen(text), &entry);
    assert_int_equal(status == EID_OK, entry != NULL);
    eid_entry_unref(entry);
    return status;
}

static eid_status write_and_drop(void *ctx)
{
    char *text = NULL;
    size_t len = 77;
    eid_status status = eid_entry_to_json(ctx, &text, &len);
    if (status != EID_OK) {
        assert_null(text);
        assert_int_equal(len, 77);
    }
    eid_free(text);
    return status;
}

static void test_memory_failures(void **state)
{
    (void)state;
    eid_entry *sample = et_full_entry();
    char *text = text_of(sample);
    assert_true(tu_alloc_fault_loop(read_and_drop, text) >= 4);
    assert_true(tu_alloc_fault_loop(write_and_drop, sample) >= 2);
    eid_free(text);
    eid_entry_unref(sample);
}

/* What an entry costs to read grows with the logarithm of its parts, not with their number. */
static void test_few_allocations(void **state)
{
    (void)state;
    eid_buf buf;
    eid_buf_init(&buf, EID_LIMIT_ENTRY_BYTES);
    eid_buf_append_text(&buf, "{" CHILD_TREE ",\"subtrees\":[");
    for (unsigned i = 0; i < 500; i++)
        eid_buf_appendf(&buf, "%s{\"name\":\"store %u\",\"parents\":[\"" ID_1 "\"],\"data\":[1,2]}",
                        i > 0 ? "," : "", i);
    eid_buf_append_text(&buf, "]," NO_SIG "}");
    tu_assert_ok(eid_buf_status(&buf));
    char *text;
    tu_assert_ok(eid_buf_take_text(&buf, &text));
    tu_alloc_install();
    eid_entry *entry = NULL;
    tu_assert_ok(eid_entry_from_json(text, strlen(text), &entry));
    assert_int_equal(eid_entry_store_count(entry), 500);
    assert_int_equal(tu_alloc_live(), 1);
    assert_true(tu_alloc_count() <= 40);
    eid_entry_unref(entry);
    assert_int_equal(tu_alloc_live(), 0);
    tu_alloc_remove();
    eid_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written),         cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_zero_bytes),      cmocka_unit_test(test_escapes_everywhere),
        cmocka_unit_test(test_truncated),       cmocka_unit_test(test_damage),
        cmocka_unit_test(test_around),          cmocka_unit_test(test_depth),
        cmocka_unit_test(test_batches),         cmocka_unit_test(test_memory_failures),
        cmocka_unit_test(test_few_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
