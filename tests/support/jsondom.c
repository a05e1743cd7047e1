/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON tree of the tests: nodes point up to their container, so building and freeing are loops. */
#include "support/jsondom.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/json.h"

struct jd_node {
    jd_kind kind;
    bool truth; /* JD_BOOL */
    char *key;  /* the member name; NULL outside objects */
    char *text; /* JD_STRING decoded, JD_NUMBER as written; zero-terminated */
    size_t text_len;
    jd_node **items; /* JD_ARRAY, JD_OBJECT */
    size_t len;
    size_t capacity;
    jd_node *parent;
    eid_slice source; /* points into the root's document */
    char *document;   /* only the root: the text all sources point into */
};

static void *must_alloc(size_t size)
{
    void *memory = calloc(1, size);
    if (memory == NULL)
        abort();
    return memory;
}

static char *copy_text(eid_slice text)
{
    char *copy = must_alloc(text.len + 1);
    if (text.len > 0)
        memcpy(copy, text.data, text.len);
    return copy;
}

static void add_child(jd_node *parent, jd_node *child)
{
    if (parent->len == parent->capacity) {
        parent->capacity = parent->capacity == 0 ? 4 : parent->capacity * 2;
        parent->items = realloc(parent->items, parent->capacity * sizeof(jd_node *));
        if (parent->items == NULL)
            abort();
    }
    parent->items[parent->len++] = child;
    child->parent = parent;
}

void jd_free(jd_node *root)
{
    jd_node *at = root;
    while (at != NULL) {
        if (at->len > 0) {
            at = at->items[--at->len];
            continue;
        }
        jd_node *parent = at == root ? NULL : at->parent;
        free(at->key);
        free(at->text);
        free(at->items);
        free(at->document);
        free(at);
        at = parent;
    }
}

/* What lies between two tokens. */
static size_t skip_between(eid_slice input, size_t at)
{
    while (at < input.len && strchr(" \t\r\n,:", input.data[at]) != NULL && input.data[at] != '\0')
        at++;
    return at;
}

static jd_node *new_node(eid_json_token token, const eid_json *reader, size_t start)
{
    jd_node *node = must_alloc(sizeof *node);
    switch (token) {
    case EID_JSON_NULL:
        node->kind = JD_NULL;
        break;
    case EID_JSON_FALSE:
    case EID_JSON_TRUE:
        node->kind = JD_BOOL;
        node->truth = token == EID_JSON_TRUE;
        break;
    case EID_JSON_NUMBER:
    case EID_JSON_STRING:
        node->kind = token == EID_JSON_NUMBER ? JD_NUMBER : JD_STRING;
        node->text = copy_text(reader->text);
        node->text_len = reader->text.len;
        break;
    case EID_JSON_BEGIN_ARRAY:
        node->kind = JD_ARRAY;
        break;
    case EID_JSON_BEGIN_OBJECT:
        node->kind = JD_OBJECT;
        break;
    default:
        fail_msg("token %d does not begin a value", (int)token);
    }
    node->source = eid_slice_of(reader->input.data + start, reader->at - start);
    return node;
}

jd_node *jd_parse(eid_slice text)
{
    char *document = copy_text(text);
    eid_json reader;
    eid_json_init(&reader, eid_slice_of(document, text.len));

    jd_node *root = NULL;
    jd_node *open = NULL; /* the innermost open container */
    char *key = NULL;
    for (;;) {
        size_t start = skip_between(reader.input, reader.at);
        eid_json_token token;
        tu_assert_ok(eid_json_next(&reader, &token));
        if (token == EID_JSON_END)
            break;
        if (token == EID_JSON_KEY) {
            key = copy_text(reader.text);
            continue;
        }
        if (token == EID_JSON_END_ARRAY || token == EID_JSON_END_OBJECT) {
            assert_non_null(open);
            open->source.len = (size_t)(reader.input.data + reader.at - open->source.data);
            open = open->parent;
            continue;
        }
        jd_node *node = new_node(token, &reader, start);
        node->key = key;
        key = NULL;
        if (open == NULL)
            root = node;
        else
            add_child(open, node);
        if (node->kind == JD_ARRAY || node->kind == JD_OBJECT)
            open = node;
    }
    eid_json_free(&reader);
    assert_non_null(root);
    root->document = document;
    return root;
}

jd_node *jd_load(const char *name)
{
    size_t len;
    uint8_t *data = tu_read_data(name, &len);
    jd_node *root = jd_parse(eid_slice_of(data, len));
    free(data);
    return root;
}

jd_node *jd_load_lines(const char *name)
{
    size_t len;
    uint8_t *data = tu_read_data(name, &len);
    jd_node *root = must_alloc(sizeof *root);
    root->kind = JD_ARRAY;
    size_t at = 0;
    while (at < len) {
        const uint8_t *end = memchr(data + at, '\n', len - at);
        size_t line = end == NULL ? len - at : (size_t)(end - (data + at));
        if (line > 0)
            add_child(root, jd_parse(eid_slice_of(data + at, line)));
        at += line + 1;
    }
    free(data);
    return root;
}

static const char *const kind_names[] = {"null",     "a boolean", "a number",
                                         "a string", "an array",  "an object"};

static void need_kind(const jd_node *node, jd_kind kind)
{
    if (node == NULL)
        fail_msg("wanted %s in the recording, found nothing", kind_names[kind]);
    else if (node->kind != kind)
        fail_msg("wanted %s in the recording, found %s (member \"%s\")", kind_names[kind],
                 kind_names[node->kind], node->key == NULL ? "" : node->key);
}

jd_kind jd_kind_of(const jd_node *node)
{
    assert_non_null(node);
    return node->kind;
}

bool jd_is_null(const jd_node *node)
{
    return node == NULL || node->kind == JD_NULL;
}

size_t jd_len(const jd_node *node)
{
    assert_non_null(node);
    if (node->kind != JD_OBJECT)
        need_kind(node, JD_ARRAY);
    return node->len;
}

const jd_node *jd_at(const jd_node *node, size_t index)
{
    size_t len = jd_len(node);
    if (index >= len)
        fail_msg("item %zu of %zu", index, len);
    return node->items[index];
}

const char *jd_key_at(const jd_node *node, size_t index)
{
    need_kind(node, JD_OBJECT);
    return jd_at(node, index)->key;
}

const jd_node *jd_get(const jd_node *node, const char *name)
{
    if (node == NULL)
        return NULL;
    need_kind(node, JD_OBJECT);
    for (size_t i = 0; i < node->len; i++) {
        if (strcmp(node->items[i]->key, name) == 0)
            return node->items[i];
    }
    return NULL;
}

const jd_node *jd_need(const jd_node *node, const char *name)
{
    const jd_node *found = jd_get(node, name);
    if (found == NULL)
        fail_msg("the recording has no member \"%s\"", name);
    return found;
}

eid_slice jd_slice(const jd_node *node)
{
    need_kind(node, JD_STRING);
    return eid_slice_of(node->text, node->text_len);
}

const char *jd_str(const jd_node *node)
{
    need_kind(node, JD_STRING);
    return node->text;
}

bool jd_bool(const jd_node *node)
{
    need_kind(node, JD_BOOL);
    return node->truth;
}

int64_t jd_i64(const jd_node *node)
{
    need_kind(node, JD_NUMBER);
    char *end;
    long long value = strtoll(node->text, &end, 10);
    if (*end != '\0')
        fail_msg("not an integer: %s", node->text);
    return (int64_t)value;
}

uint64_t jd_u64(const jd_node *node)
{
    need_kind(node, JD_NUMBER);
    char *end;
    unsigned long long value = strtoull(node->text, &end, 10);
    if (*end != '\0' || node->text[0] == '-')
        fail_msg("not an unsigned integer: %s", node->text);
    return (uint64_t)value;
}

const char *jd_number_text(const jd_node *node)
{
    need_kind(node, JD_NUMBER);
    return node->text;
}

const char *jd_get_str(const jd_node *node, const char *name)
{
    return jd_str(jd_need(node, name));
}

bool jd_get_bool(const jd_node *node, const char *name)
{
    return jd_bool(jd_need(node, name));
}

uint64_t jd_get_u64(const jd_node *node, const char *name)
{
    return jd_u64(jd_need(node, name));
}

uint8_t *jd_hex(const jd_node *node, size_t *len)
{
    return tu_hex_decode(jd_str(node), len);
}

eid_slice jd_source(const jd_node *node)
{
    assert_non_null(node);
    return node->source;
}
