/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the stored form (crdt.md section 4). Children come in key order, slots in position order, so equal
 * documents give equal text. */
#include "crdt/crdt_int.h"

static void write_position(eid_buf *buf, const eid_position *position)
{
    char unique[EID_UUID_TEXT_SIZE];
    eid_uuid_format(&position->unique, unique);
    eid_buf_append_text(buf, "{\"numerator\":");
    eid_json_write_i64(buf, position->numerator);
    eid_buf_append_text(buf, ",\"denominator\":");
    eid_json_write_u64(buf, position->denominator);
    eid_buf_append_text(buf, ",\"unique_id\":\"");
    eid_buf_append_text(buf, unique);
    eid_buf_append_text(buf, "\"}");
}

static void open_doc(eid_buf *buf, const eid_doc *doc)
{
    eid_buf_append_text(buf, doc->atomic ? "{\"_a\":true,\"children\":{" : "{\"children\":{");
}

static void write_leaf(eid_buf *buf, const eid_value *value)
{
    int64_t integer = 0;
    const char *text = NULL;
    size_t len = 0;
    switch ((eid_value_kind)value->kind) {
    case EID_VALUE_NULL:
        eid_buf_append_text(buf, "\"Null\"");
        break;
    case EID_VALUE_BOOL:
        eid_buf_append_text(buf, value->boolean ? "{\"Bool\":true}" : "{\"Bool\":false}");
        break;
    case EID_VALUE_INT:
        eid_value_as_int(value, &integer);
        eid_buf_append_text(buf, "{\"Int\":");
        eid_json_write_i64(buf, integer);
        eid_buf_append_byte(buf, '}');
        break;
    case EID_VALUE_TEXT:
        eid_value_as_text(value, &text, &len);
        eid_buf_append_text(buf, "{\"Text\":");
        eid_json_write_text(buf, eid_slice_of(text, len));
        eid_buf_append_byte(buf, '}');
        break;
    default:
        eid_buf_append_text(buf, "\"Deleted\"");
        break;
    }
}

/* What the walk shows, with all punctuation between and inside, but not that of the outermost container. */
static void write_children(eid_buf *buf, eid_walk *walk)
{
    for (;;) {
        eid_walk_step step = eid_walk_next(walk);
        if (step == EID_WALK_END)
            return;
        if (step != EID_WALK_LEAVE) {
            if (!walk->first)
                eid_buf_append_byte(buf, ',');
            if (walk->position != NULL) {
                eid_buf_append_byte(buf, '[');
                write_position(buf, walk->position);
                eid_buf_append_byte(buf, ',');
            } else {
                eid_json_write_text(buf, walk->key);
                eid_buf_append_byte(buf, ':');
            }
        }
        bool is_doc = walk->value->kind == EID_VALUE_DOC;
        if (step == EID_WALK_LEAF) {
            write_leaf(buf, walk->value);
        } else if (step == EID_WALK_LEAVE) {
            eid_buf_append_text(buf, is_doc ? "}}}" : "]}");
        } else if (is_doc) {
            eid_buf_append_text(buf, "{\"Doc\":");
            open_doc(buf, eid_value_doc(walk->value));
        } else {
            eid_buf_append_text(buf, "{\"List\":[");
        }
        if (walk->position != NULL && step != EID_WALK_ENTER)
            eid_buf_append_byte(buf, ']');
    }
}

void eid_doc_write(eid_buf *buf, const eid_doc *doc)
{
    eid_walk walk;
    eid_walk_doc(&walk, doc);
    open_doc(buf, doc);
    write_children(buf, &walk);
    eid_buf_append_text(buf, "}}");
}

void eid_value_write(eid_buf *buf, const eid_value *value)
{
    if (value->kind == EID_VALUE_DOC) {
        eid_buf_append_text(buf, "{\"Doc\":");
        eid_doc_write(buf, eid_value_doc(value));
        eid_buf_append_byte(buf, '}');
    } else if (value->kind == EID_VALUE_LIST) {
        eid_walk walk;
        eid_walk_list(&walk, eid_value_list(value));
        eid_buf_append_text(buf, "{\"List\":[");
        write_children(buf, &walk);
        eid_buf_append_text(buf, "]}");
    } else {
        write_leaf(buf, value);
    }
}

eid_status eid_json_take(eid_buf *buf, char **text, size_t *len)
{
    size_t written = buf->len;
    EID_TRY(eid_buf_take_text(buf, text));
    if (len != NULL)
        *len = written;
    return EID_OK;
}

eid_status eid_doc_to_json(const eid_doc *doc, char **text, size_t *len)
{
    EID_NEED(doc && text);
    eid_buf buf;
    eid_buf_init(&buf, SIZE_MAX);
    eid_doc_write(&buf, doc);
    return eid_json_take(&buf, text, len);
}

eid_status eid_value_to_json(const eid_value *value, char **text, size_t *len)
{
    EID_NEED(value && text);
    eid_buf buf;
    eid_buf_init(&buf, SIZE_MAX);
    eid_value_write(&buf, value);
    return eid_json_take(&buf, text, len);
}
