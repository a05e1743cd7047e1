/* SPDX-License-Identifier: Apache-2.0 */
/* Structural rules: each alone, each against every later one, and what must be tolerated. */
#include <string.h>

#include "entry_test.h"

/* The rules in their order: what breaks each, as parts of an entry that can be combined, and our words for
 * it. */
static void test_each(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        eid_status status;
        const char *words; /* NULL: valid */
    } cases[] = {
        /* Root entries. */
        {"{\"tree\":{\"parents\":[]},\"subtrees\":[{\"name\":\"_root\",\"parents\":[]}]," NO_SIG "}", EID_OK,
         NULL},
        {"{\"tree\":{\"parents\":[],\"h\":9},\"subtrees\":[{\"name\":\"_root\",\"parents\":[\"\"]}]," NO_SIG
         "}",
         EID_OK, NULL},
        {"{\"tree\":{\"parents\":[]},\"subtrees\":[{\"name\":\"a\",\"parents\":[]},{\"name\":\"_root\","
         "\"parents\":[]}]," NO_SIG "}",
         EID_OK, NULL},
        /* Rule 1: marker and parents. */
        {"{\"tree\":{\"parents\":[\"" ID_1 "\"]},\"subtrees\":[{\"name\":\"_root\",\"parents\":[]}]," NO_SIG
         "}",
         EID_ERR_INVALID_ENTRY, "marker _root"},
        {"{" CHILD_TREE
         ",\"subtrees\":[{\"name\":\"a\",\"parents\":[]},{\"name\":\"_root\",\"parents\":[]}]," NO_SIG "}",
         EID_ERR_INVALID_ENTRY, "marker _root"},
        /* Rule 2: a root that is empty. */
        {"{\"tree\":{\"root\":\"\",\"parents\":[\"" ID_1 "\"]}," NO_SUBTREES "," NO_SIG "}",
         EID_ERR_INVALID_ID, "tree.root"},
        {"{\"tree\":{\"root\":\"\",\"parents\":[]},\"subtrees\":[{\"name\":\"_root\",\"parents\":[]}]," NO_SIG
         "}",
         EID_ERR_INVALID_ID, "tree.root"},
        /* Rule 3: an empty name, wherever it stands. */
        {"{" CHILD_TREE ",\"subtrees\":[{\"name\":\"\",\"parents\":[]}]," NO_SIG "}", EID_ERR_INVALID_ENTRY,
         "subtree 0 has an empty name"},
        {"{" CHILD_TREE
         ",\"subtrees\":[{\"name\":\"a\",\"parents\":[]},{\"name\":\"\",\"parents\":[]}]," NO_SIG "}",
         EID_ERR_INVALID_ENTRY, "subtree 1 has an empty name"},
        /* Rule 4: an empty parent in a subtree. */
        {"{" CHILD_TREE ",\"subtrees\":[{\"name\":\"a\",\"parents\":[\"" ID_1 "\",\"\"]}]," NO_SIG "}",
         EID_ERR_INVALID_ENTRY, "the subtree a has an empty parent ID"},
        /* Rule 5: not a root entry and no parents. */
        {"{\"tree\":{\"parents\":[]},\"subtrees\":[]," NO_SIG "}", EID_ERR_INVALID_ENTRY,
         "may have no parents"},
        {"{\"tree\":{\"root\":\"" ID_1
         "\",\"parents\":[]},\"subtrees\":[{\"name\":\"_root\",\"parents\":[]}]," NO_SIG "}",
         EID_ERR_INVALID_ENTRY, "may have no parents"},
        {"{\"tree\":{\"parents\":[]},\"subtrees\":[{\"name\":\"_root\\u0000\",\"parents\":[]}]," NO_SIG "}",
         EID_ERR_INVALID_ENTRY, "may have no parents"},
        /* Rule 6: an empty main parent. */
        {"{\"tree\":{\"root\":\"" ID_1 "\",\"parents\":[\"" ID_1 "\",\"\"]},\"subtrees\":[]," NO_SIG "}",
         EID_ERR_INVALID_ENTRY, "the entry has an empty parent ID"},
        /* What a reader must tolerate. */
        {CHILD, EID_OK, NULL},
        {"{\"tree\":{\"parents\":[\"" ID_1 "\"]},\"subtrees\":[]," NO_SIG "}", EID_OK, NULL},
        {"{\"tree\":{\"root\":\"" ID_1 "\",\"parents\":[\"" ID_2 "\",\"" ID_1 "\",\"" ID_2
         "\"],\"h\":18446744073709551615},\"subtrees\":[]," NO_SIG "}",
         EID_OK, NULL},
        {"{" CHILD_TREE ",\"subtrees\":[{\"name\":\"b\",\"parents\":[\"" ID_1 "\",\"" ID_1
         "\"]},{\"name\":\"a\",\"parents\":[]},{\"name\":\"b\",\"parents\":[],\"data\":[255]}]," NO_SIG "}",
         EID_OK, NULL},
        {"{" CHILD_TREE "," NO_SUBTREES
         ",\"sig\":{\"sig\":\"not base64\",\"key\":{\"Direct\":{\"hint\":{}}}}}",
         EID_OK, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eid_entry *entry = et_from_text(cases[i].text);
        eid_status status = eid_entry_validate(entry);
        if (status != cases[i].status)
            fail_msg("%s: %s", cases[i].text, eid_status_name(status));
        if (cases[i].words != NULL && strstr(eid_last_error(), cases[i].words) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].text, eid_last_error(), cases[i].words);
        eid_entry_unref(entry);
    }
}

/* Breaks the rules of a set of bits at once and asserts that the first of them is named. Rule 5 needs an
 * entry without parents, rules 1 and 6 one with parents. */
static void test_order(void **state)
{
    (void)state;
    static const char *const words[] = {"marker _root",        "tree.root is present but empty",
                                        "has an empty name",   "the subtree s has an empty parent ID",
                                        "may have no parents", "the entry has an empty parent ID"};
    size_t tried = 0;
    for (unsigned broken = 1; broken < 64; broken++) {
        bool no_parents = (broken & 16) != 0;
        if (no_parents && (broken & (1 | 32)) != 0)
            continue;
        eid_buf text;
        eid_buf_init(&text, 4096);
        eid_buf_appendf(&text, "{\"tree\":{\"root\":\"%s\",\"parents\":[", (broken & 2) != 0 ? "" : ID_1);
        if (!no_parents)
            eid_buf_appendf(&text, "\"%s\"", (broken & 32) != 0 ? "" : ID_1);
        eid_buf_appendf(&text, "]},\"subtrees\":[{\"name\":\"s\",\"parents\":[%s]}",
                        (broken & 8) != 0 ? "\"\"" : "");
        if ((broken & 4) != 0)
            eid_buf_append_text(&text, ",{\"name\":\"\",\"parents\":[]}");
        if ((broken & 1) != 0)
            eid_buf_append_text(&text, ",{\"name\":\"_root\",\"parents\":[]}");
        eid_buf_append_text(&text, "]," NO_SIG "}");
        tu_assert_ok(eid_buf_status(&text));

        eid_entry *entry = et_from_text((const char *)text.data);
        unsigned first = 0;
        while ((broken >> first & 1) == 0)
            first++;
        tu_assert_fails(eid_entry_validate(entry), first == 1 ? EID_ERR_INVALID_ID : EID_ERR_INVALID_ENTRY);
        if (strstr(eid_last_error(), words[first]) == NULL)
            fail_msg("rules %#x broken: \"%s\", wanted \"%s\"", broken, eid_last_error(), words[first]);
        eid_entry_unref(entry);
        eid_buf_free(&text);
        tried++;
    }
    assert_int_equal(tried, 39);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each),
        cmocka_unit_test(test_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
