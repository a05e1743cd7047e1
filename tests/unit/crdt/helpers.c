/* SPDX-License-Identifier: Apache-2.0 */
#include "helpers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *with_quotes(const char *text)
{
    char *copy = strdup(text);
    assert_non_null(copy);
    for (char *at = copy; *at != '\0'; at++)
        if (*at == '\'')
            *at = '"';
    return copy;
}

eid_doc *doc_of(const char *stored)
{
    char *text = with_quotes(stored);
    eid_doc *doc = NULL;
    tu_assert_ok(eid_doc_from_json(text, strlen(text), &doc));
    free(text);
    return doc;
}

eid_value *value_of(const char *stored)
{
    char *text = with_quotes(stored);
    eid_value *value = NULL;
    tu_assert_ok(eid_value_from_json(text, strlen(text), &value));
    free(text);
    return value;
}

eid_value *int_of(int64_t number)
{
    eid_value *value = NULL;
    tu_assert_ok(eid_value_new_int(number, &value));
    return value;
}

eid_value *text_of(const char *text)
{
    eid_value *value = NULL;
    tu_assert_ok(eid_value_new_text(text, strlen(text), &value));
    return value;
}

char *stored_of(const eid_doc *doc)
{
    char *text = NULL;
    tu_assert_ok(eid_doc_to_json(doc, &text, NULL));
    return text;
}

void assert_stored(const eid_doc *doc, const char *wanted)
{
    char *text = stored_of(doc), *quoted = with_quotes(wanted);
    assert_string_equal(text, quoted);
    free(quoted);
    eid_free(text);
}

void assert_plain(const eid_doc *doc, const char *wanted)
{
    char *text = NULL, *quoted = with_quotes(wanted);
    size_t len = 0;
    tu_assert_ok(eid_doc_to_plain_json(doc, &text, &len));
    assert_string_equal(text, quoted);
    assert_int_equal(len, strlen(quoted));
    free(quoted);
    eid_free(text);
}

void assert_elements(const eid_list *list, const char *wanted)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    for (size_t i = 0; i < eid_list_len(list); i++) {
        const eid_value *value = NULL;
        int64_t number = 0;
        tu_assert_ok(eid_list_get(list, i, &value));
        tu_assert_ok(eid_value_as_int(value, &number));
        fprintf(out, "%s%lld", i > 0 ? " " : "", (long long)number);
    }
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, wanted);
    free(text);
}

/* ---- Random documents ---- */

static eid_value *random_list(tu_random *random, unsigned depth)
{
    eid_list *list = NULL;
    eid_value *value = NULL;
    tu_assert_ok(eid_list_new(&list));
    for (uint64_t i = tu_random_below(random, 5); i > 0; i--) {
        eid_position position = {
            (int64_t)tu_random_below(random, 7) - 3, 1 + tu_random_below(random, 3), {{0}}};
        position.unique.bytes[15] = (uint8_t)tu_random_below(random, 2);
        tu_assert_ok(eid_list_put(list, &position, random_value(random, depth - 1)));
    }
    tu_assert_ok(eid_value_new_list(list, &value));
    eid_list_free(list);
    return value;
}

eid_value *random_value(tu_random *random, unsigned depth)
{
    static const char *const leaves[] = {
        "'Null'",      "{'Bool':true}", "{'Bool':false}",         "{'Int':1}", "{'Int':-1}",
        "{'Text':''}", "{'Text':'a'}",  "{'Text':'\xc3\xa9\\n'}", "'Deleted'"};
    uint64_t pick = tu_random_below(random, depth == 0 ? 9 : 18);
    if (pick < 9)
        return value_of(leaves[pick]);
    if (pick < 12)
        return random_list(random, depth);
    eid_doc *doc = random_doc(random, depth - 1);
    eid_value *value = NULL;
    tu_assert_ok(eid_value_new_doc(doc, &value));
    eid_doc_free(doc);
    return value;
}

eid_doc *random_doc(tu_random *random, unsigned depth)
{
    static const char *const keys[] = {"", "a", "ab", "b", "B", "k.l", "\xc3\xa9"};
    eid_doc *doc = NULL;
    tu_assert_ok(eid_doc_new(&doc));
    eid_doc_set_atomic(doc, tu_random_below(random, 6) == 0);
    for (uint64_t i = tu_random_below(random, 6); i > 0; i--)
        tu_assert_ok(eid_doc_put_child(doc, eid_slice_text(keys[tu_random_below(random, 7)]),
                                       random_value(random, depth)));
    return doc;
}

/* ---- The model ---- */

static eid_value *copy_of(const eid_value *value)
{
    eid_value *copy = NULL;
    tu_assert_ok(eid_value_copy(value, &copy));
    return copy;
}

eid_doc *model_merge(const eid_doc *older, const eid_doc *newer)
{
    eid_doc *result = NULL;
    if (eid_doc_is_atomic(newer)) {
        tu_assert_ok(eid_doc_copy(newer, &result));
        return result;
    }
    tu_assert_ok(eid_doc_new(&result));
    eid_doc_set_atomic(result, eid_doc_is_atomic(older));
    const eid_doc *sides[] = {older, newer};
    for (size_t side = 0; side < 2; side++) {
        const eid_doc_cursor *cursor = NULL;
        const char *text;
        size_t len;
        const eid_value *value;
        while (eid_doc_next_raw(sides[side], &cursor, &text, &len, &value)) {
            eid_slice key = eid_slice_of(text, len);
            const eid_value *before = side == 0 ? NULL : eid_doc_child(older, key);
            tu_assert_ok(eid_doc_put_child(result, key, model_merge_value(before, value)));
        }
    }
    return result;
}

static eid_value *model_merge_lists(const eid_list *older, const eid_list *newer)
{
    eid_list *result = NULL;
    eid_value *value = NULL;
    tu_assert_ok(eid_list_copy(older, &result));
    for (size_t i = 0; i < eid_list_slots(newer); i++) {
        eid_position position, there;
        const eid_value *after = NULL, *before = NULL;
        eid_list_slot(newer, i, &position, &after);
        for (size_t j = 0; j < eid_list_slots(older); j++) {
            const eid_value *candidate = NULL;
            eid_list_slot(older, j, &there, &candidate);
            if (eid_position_compare(&there, &position) == 0)
                before = candidate;
        }
        tu_assert_ok(eid_list_put(result, &position, model_merge_value(before, after)));
    }
    tu_assert_ok(eid_value_new_list(result, &value));
    eid_list_free(result);
    return value;
}

eid_value *model_merge_value(const eid_value *older, const eid_value *newer)
{
    if (older == NULL || eid_value_get_kind(older) != eid_value_get_kind(newer))
        return copy_of(newer);
    if (eid_value_get_kind(newer) == EID_VALUE_LIST) {
        const eid_list *left = NULL, *right = NULL;
        tu_assert_ok(eid_value_as_list(older, &left));
        tu_assert_ok(eid_value_as_list(newer, &right));
        return model_merge_lists(left, right);
    }
    if (eid_value_get_kind(newer) != EID_VALUE_DOC)
        return copy_of(newer);
    const eid_doc *left = NULL, *right = NULL;
    tu_assert_ok(eid_value_as_doc(older, &left));
    tu_assert_ok(eid_value_as_doc(newer, &right));
    eid_doc *merged = model_merge(left, right);
    eid_value *value = NULL;
    tu_assert_ok(eid_value_new_doc(merged, &value));
    eid_doc_free(merged);
    return value;
}
