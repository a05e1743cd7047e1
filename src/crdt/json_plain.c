/* SPDX-License-Identifier: Apache-2.0 */
/* Plain JSON, as other programs write it: into values, and back out for people. */
#include "crdt/crdt_int.h"

#include "base/alloc.h"

/* ---- Reading ---- */

/* One below the depth of a live document, so that the finished value can be measured before it is refused. */
#define PLAIN_LEVELS (EID_CRDT_LEVELS - 1)

typedef struct plain_reader {
    eid_json *json;
    eid_value *root;
    struct {
        eid_doc *doc; /* one of the two is set */
        eid_list *list;
        eid_map_entry *entry; /* where the next value goes, in a Doc */
    } frames[PLAIN_LEVELS];
    size_t depth;
} plain_reader;

/* Hangs a value into the innermost container (NULL: there was no memory for it), freeing it when that fails.
 */
static eid_status hang(plain_reader *r, eid_value *value)
{
    if (value == NULL)
        return eid_fail_memory();
    if (r->depth == 0) {
        r->root = value;
        return EID_OK;
    }
    if (r->frames[r->depth - 1].list != NULL) {
        eid_status status = eid_list_append(r->frames[r->depth - 1].list, value);
        if (status != EID_OK)
            eid_value_free(value);
        return status;
    }
    eid_value_free(eid_doc_place(r->frames[r->depth - 1].doc, r->frames[r->depth - 1].entry, value));
    return EID_OK;
}

static eid_status open_container(plain_reader *r, eid_value_kind kind)
{
    if (r->depth == PLAIN_LEVELS)
        return eid_fail(EID_ERR_DEPTH, "the JSON is nested more than %d levels deep", PLAIN_LEVELS);
    eid_value *made = eid_value_new_kind(kind);
    EID_TRY(hang(r, made));
    r->frames[r->depth].doc = eid_value_doc(made);
    r->frames[r->depth].list = eid_value_list(made);
    r->frames[r->depth].entry = NULL;
    r->depth++;
    return kind == EID_VALUE_DOC ? eid_json_begin_object(r->json, "a value")
                                 : eid_json_begin_array(r->json, "a value");
}

static eid_status read_number(plain_reader *r)
{
    int64_t integer;
    eid_value *made;
    eid_status status = eid_json_read_i64(r->json, "a number", &integer);
    if (status == EID_ERR_WRONG_TYPE || status == EID_ERR_RANGE)
        return eid_fail(EID_ERR_RANGE, "documents hold whole numbers of 64 bits only; write others as text");
    EID_TRY(status);
    EID_TRY(eid_value_new_int(integer, &made));
    return hang(r, made);
}

/* A leaf completely, of a container the beginning. */
static eid_status read_value(plain_reader *r)
{
    eid_json_token token;
    EID_TRY(eid_json_peek(r->json, &token));
    switch (token) {
    case EID_JSON_BEGIN_OBJECT:
        return open_container(r, EID_VALUE_DOC);
    case EID_JSON_BEGIN_ARRAY:
        return open_container(r, EID_VALUE_LIST);
    case EID_JSON_NUMBER:
        return read_number(r);
    case EID_JSON_STRING: {
        eid_slice text;
        EID_TRY(eid_json_read_text(r->json, "a value", &text));
        return hang(r, eid_value_new_text_of(text));
    }
    case EID_JSON_NULL:
        EID_TRY(eid_json_expect(r->json, EID_JSON_NULL, "a value"));
        return hang(r, eid_value_new_kind(EID_VALUE_NULL));
    default: {
        bool boolean;
        eid_value *made;
        EID_TRY(eid_json_read_bool(r->json, "a value", &boolean));
        EID_TRY(eid_value_new_bool(boolean, &made));
        return hang(r, made);
    }
    }
}

static eid_status read_all(plain_reader *r)
{
    EID_TRY(read_value(r));
    while (r->depth > 0) {
        bool more;
        if (r->frames[r->depth - 1].list != NULL) {
            EID_TRY(eid_json_next_item(r->json, &more));
        } else {
            eid_slice key;
            EID_TRY(eid_json_next_key(r->json, &key, &more));
            if (more)
                EID_TRY(
                    eid_doc_entry(r->frames[r->depth - 1].doc, key, &r->frames[r->depth - 1].entry, NULL));
        }
        if (more)
            EID_TRY(read_value(r));
        else
            r->depth--;
    }
    return eid_json_end(r->json);
}

eid_status eid_value_parse_plain(eid_slice text, eid_value **out)
{
    eid_json json;
    plain_reader r;
    eid_json_init(&json, text);
    r.json = &json;
    r.root = NULL;
    r.depth = 0;
    eid_status status = read_all(&r);
    eid_json_free(&json);
    if (status != EID_OK) {
        eid_value_free(r.root);
        return status;
    }
    *out = r.root;
    return EID_OK;
}

/* ---- Writing ---- */

static void write_leaf(eid_buf *buf, const eid_value *value)
{
    int64_t integer = 0;
    const char *text = NULL;
    size_t len = 0;
    switch ((eid_value_kind)value->kind) {
    case EID_VALUE_BOOL:
        eid_buf_append_text(buf, value->boolean ? "true" : "false");
        break;
    case EID_VALUE_INT:
        eid_value_as_int(value, &integer);
        eid_json_write_i64(buf, integer);
        break;
    case EID_VALUE_TEXT:
        eid_value_as_text(value, &text, &len);
        eid_json_write_text(buf, eid_slice_of(text, len));
        break;
    default:
        eid_buf_append_text(buf, "null");
        break;
    }
}

static void write_children(eid_buf *buf, eid_walk *walk)
{
    bool written[EID_CRDT_LEVELS] = {false}; /* something stands in the container already */
    for (;;) {
        eid_walk_step step = eid_walk_next(walk);
        if (step == EID_WALK_END)
            return;
        bool is_doc = walk->value->kind == EID_VALUE_DOC;
        if (step == EID_WALK_LEAVE) {
            eid_buf_append_byte(buf, is_doc ? '}' : ']');
            continue;
        }
        if (walk->value->kind == EID_VALUE_DELETED)
            continue;
        size_t level = step == EID_WALK_ENTER ? walk->depth - 2 : walk->depth - 1;
        if (written[level])
            eid_buf_append_byte(buf, ',');
        written[level] = true;
        if (walk->position == NULL) {
            eid_json_write_text(buf, walk->key);
            eid_buf_append_byte(buf, ':');
        }
        if (step == EID_WALK_LEAF) {
            write_leaf(buf, walk->value);
        } else {
            eid_buf_append_byte(buf, is_doc ? '{' : '[');
            written[level + 1] = false;
        }
    }
}

static void write_doc(eid_buf *buf, const eid_doc *doc)
{
    eid_walk walk;
    eid_walk_doc(&walk, doc);
    eid_buf_append_byte(buf, '{');
    write_children(buf, &walk);
    eid_buf_append_byte(buf, '}');
}

void eid_value_write_plain(eid_buf *buf, const eid_value *value)
{
    if (value->kind == EID_VALUE_DOC) {
        write_doc(buf, eid_value_doc(value));
    } else if (value->kind == EID_VALUE_LIST) {
        eid_walk walk;
        eid_walk_list(&walk, eid_value_list(value));
        eid_buf_append_byte(buf, '[');
        write_children(buf, &walk);
        eid_buf_append_byte(buf, ']');
    } else {
        write_leaf(buf, value);
    }
}

eid_status eid_doc_to_plain_json(const eid_doc *doc, char **text, size_t *len)
{
    EID_NEED(doc && text);
    eid_buf buf;
    eid_buf_init(&buf, SIZE_MAX);
    write_doc(&buf, doc);
    return eid_json_take(&buf, text, len);
}

eid_status eid_value_to_plain_json(const eid_value *value, char **text, size_t *len)
{
    EID_NEED(value && text);
    eid_buf buf;
    eid_buf_init(&buf, SIZE_MAX);
    eid_value_write_plain(&buf, value);
    return eid_json_take(&buf, text, len);
}

/* ---- Whole texts ---- */

eid_status eid_value_from_plain_json(const char *text, size_t len, eid_value **out)
{
    EID_NEED((text || len == 0) && out);
    eid_value *made = NULL;
    EID_TRY(eid_value_parse_plain(eid_slice_of(text, len), &made));
    eid_status status = eid_check_depth(0, eid_value_containers(made));
    if (status != EID_OK) {
        eid_value_free(made);
        return status;
    }
    *out = made;
    return EID_OK;
}

eid_status eid_doc_from_plain_json(const char *text, size_t len, eid_doc **out)
{
    EID_NEED((text || len == 0) && out);
    eid_value *made = NULL;
    EID_TRY(eid_value_from_plain_json(text, len, &made));
    eid_status status = EID_OK;
    if (made->kind == EID_VALUE_DOC)
        status = eid_doc_copy(eid_value_doc(made), out);
    else
        status = eid_fail(EID_ERR_TYPE_MISMATCH, "the JSON is of kind %s, but a document is an object",
                          eid_value_kind_name((eid_value_kind)made->kind));
    eid_value_free(made);
    return status;
}
