/* SPDX-License-Identifier: Apache-2.0 */
/* The canonical form of JSON. Recorded files are trusted and shallow: plain recursion will do in a test
 * helper. */
#include "support/canonical.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct member {
    eid_slice name;
    const jd_node *value;
} member;

static int compare_members(const void *a, const void *b)
{
    return eid_slice_compare(((const member *)a)->name, ((const member *)b)->name);
}

static void write_string(FILE *out, eid_slice text)
{
    static const char short_of[] = "btn\0fr";
    fputc('"', out);
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.data[i];
        if (byte == '"' || byte == '\\')
            fprintf(out, "\\%c", byte);
        else if (byte >= 8 && byte <= 13 && byte != 11)
            fprintf(out, "\\%c", short_of[byte - 8]);
        else if (byte < 0x20)
            fprintf(out, "\\u%04x", byte);
        else
            fputc(byte, out);
    }
    fputc('"', out);
}

static void write_node(FILE *out, const jd_node *node);

static void write_object(FILE *out, const jd_node *node)
{
    size_t count = jd_len(node);
    member *members = calloc(count + 1, sizeof *members);
    assert_non_null(members);
    for (size_t i = 0; i < count; i++)
        members[i] = (member){eid_slice_text(jd_key_at(node, i)), jd_at(node, i)};
    qsort(members, count, sizeof *members, compare_members);
    fputc('{', out);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            fputc(',', out);
        write_string(out, members[i].name);
        fputc(':', out);
        write_node(out, members[i].value);
    }
    fputc('}', out);
    free(members);
}

static void write_node(FILE *out, const jd_node *node)
{
    switch (jd_kind_of(node)) {
    case JD_NULL:
        fputs("null", out);
        break;
    case JD_BOOL:
        fputs(jd_bool(node) ? "true" : "false", out);
        break;
    case JD_NUMBER:
        fputs(jd_number_text(node), out);
        break;
    case JD_STRING:
        write_string(out, jd_slice(node));
        break;
    case JD_ARRAY:
        fputc('[', out);
        for (size_t i = 0; i < jd_len(node); i++) {
            if (i > 0)
                fputc(',', out);
            write_node(out, jd_at(node, i));
        }
        fputc(']', out);
        break;
    case JD_OBJECT:
        write_object(out, node);
        break;
    }
}

char *canonical_node(const jd_node *node)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    write_node(out, node);
    assert_int_equal(fclose(out), 0);
    return text;
}

char *canonical_text(eid_slice text)
{
    jd_node *root = jd_parse(text);
    char *canonical = canonical_node(root);
    jd_free(root);
    return canonical;
}

void assert_canonical(const char *what, const char *text, const char *wanted)
{
    char *canonical = canonical_text(eid_slice_text(text));
    if (strcmp(canonical, wanted) != 0)
        fail_msg("%s:\n  got    %s\n  wanted %s", what, canonical, wanted);
    free(canonical);
}
