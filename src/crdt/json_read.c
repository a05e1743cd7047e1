/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the stored form, as leniently and as strictly as a Rust peer reads it (crdt.md section 4).
 *
 * A Doc's fields may come in any order, unknown ones are passed over, a known one may come once; of a key
 * that comes twice in `children` the last value counts. A Doc and a POSITION may also be written as arrays of
 * their fields. Stricter than the peer: the denominator 0 is refused, because it has no place in the order.
 *
 * Values are hung into their parents as soon as they begin, so that on failure freeing the outermost one
 * frees all. One frame stands for each open Doc or List; the JSON reader's own depth limit keeps them few.
 */
#include "crdt/crdt_int.h"

#include "base/alloc.h"

typedef struct read_frame {
    eid_doc *doc; /* one of the two is set */
    eid_list *list;
    bool wrapped;   /* {"Doc":…} or {"List":…} is open around it */
    bool in_fields; /* of a Doc: between its fields; else inside `children` */
    bool as_array;  /* of a Doc: written as [version, atomic, children] */
    bool in_slot;   /* of a List: a slot's array is open */
    bool seen_version, seen_atomic, seen_children;
    eid_map_entry *entry;  /* where the value being read goes, in a Doc */
    eid_position position; /* and in a List */
} read_frame;

typedef struct doc_reader {
    eid_json *json;
    eid_value *root; /* the outermost value, when it is not a Doc given from outside */
    read_frame frames[EID_CRDT_LEVELS];
    size_t depth;
} doc_reader;

static eid_status once(bool *seen, const char *name)
{
    if (*seen)
        return eid_fail(EID_ERR_DUPLICATE_KEY, "the field \"%s\" stands twice in one object", name);
    *seen = true;
    return EID_OK;
}

/* ---- Positions ---- */

static eid_status read_unique(eid_json *json, eid_uuid *out)
{
    eid_slice text;
    EID_TRY(eid_json_read_text(json, "the unique_id of a list position", &text));
    if (!eid_uuid_parse(text, out))
        return eid_fail(EID_ERR_SYNTAX, "the unique_id of a list position is not a UUID");
    return EID_OK;
}

static eid_status read_item(eid_json *json, const char *what)
{
    bool more;
    EID_TRY(eid_json_next_item(json, &more));
    return more ? EID_OK : eid_fail(EID_ERR_MISSING_FIELD, "an array ends before %s", what);
}

static eid_status read_array_end(eid_json *json, const char *what)
{
    bool more;
    EID_TRY(eid_json_next_item(json, &more));
    return more ? eid_fail(EID_ERR_WRONG_TYPE, "%s has too many items", what) : EID_OK;
}

static eid_status read_position_fields(eid_json *json, eid_position *out)
{
    bool seen_numerator = false, seen_denominator = false, seen_unique = false;
    EID_TRY(eid_json_begin_object(json, "a list position"));
    for (;;) {
        eid_slice key;
        bool more;
        EID_TRY(eid_json_next_key(json, &key, &more));
        if (!more)
            break;
        if (eid_slice_is(key, "numerator")) {
            EID_TRY(once(&seen_numerator, "numerator"));
            EID_TRY(eid_json_read_i64(json, "numerator", &out->numerator));
        } else if (eid_slice_is(key, "denominator")) {
            EID_TRY(once(&seen_denominator, "denominator"));
            EID_TRY(eid_json_read_u64(json, "denominator", &out->denominator));
        } else if (eid_slice_is(key, "unique_id")) {
            EID_TRY(once(&seen_unique, "unique_id"));
            EID_TRY(read_unique(json, &out->unique));
        } else {
            EID_TRY(eid_json_skip(json));
        }
    }
    if (!seen_numerator || !seen_denominator || !seen_unique)
        return eid_fail(EID_ERR_MISSING_FIELD,
                        "a list position needs numerator, denominator and unique_id, but one is missing");
    return EID_OK;
}

static eid_status read_position(eid_json *json, eid_position *out)
{
    eid_json_token token;
    EID_TRY(eid_json_peek(json, &token));
    if (token == EID_JSON_BEGIN_ARRAY) {
        EID_TRY(eid_json_begin_array(json, "a list position"));
        EID_TRY(read_item(json, "numerator"));
        EID_TRY(eid_json_read_i64(json, "numerator", &out->numerator));
        EID_TRY(read_item(json, "denominator"));
        EID_TRY(eid_json_read_u64(json, "denominator", &out->denominator));
        EID_TRY(read_item(json, "unique_id"));
        EID_TRY(read_unique(json, &out->unique));
        EID_TRY(read_array_end(json, "a list position"));
    } else {
        EID_TRY(read_position_fields(json, out));
    }
    if (out->denominator == 0)
        return eid_fail(EID_ERR_RANGE, "a list position has the denominator 0; it must be at least 1");
    return EID_OK;
}

/* ---- Opening and closing Docs and Lists ---- */

static eid_status push(doc_reader *r, read_frame frame)
{
    if (r->depth == EID_CRDT_LEVELS)
        return eid_fail(EID_ERR_DEPTH, "documents and lists are nested more than %d levels deep",
                        EID_CRDT_LEVELS);
    r->frames[r->depth++] = frame;
    return EID_OK;
}

static eid_status read_version(eid_json *json)
{
    uint64_t version;
    EID_TRY(eid_json_read_u64(json, "_v", &version));
    if (version != 0)
        return eid_fail(EID_ERR_VERSION, "unsupported Doc version %llu; only version 0 is supported",
                        (unsigned long long)version);
    return EID_OK;
}

/* Reads up to the first field, or, in the array form, up to the first child. */
static eid_status open_doc(doc_reader *r, eid_doc *doc, bool wrapped)
{
    read_frame frame = {.doc = doc, .wrapped = wrapped};
    eid_json_token token;
    EID_TRY(eid_json_peek(r->json, &token));
    if (token == EID_JSON_BEGIN_ARRAY) {
        EID_TRY(eid_json_begin_array(r->json, "a Doc"));
        EID_TRY(read_item(r->json, "_v"));
        EID_TRY(read_version(r->json));
        EID_TRY(read_item(r->json, "_a"));
        EID_TRY(eid_json_read_bool(r->json, "_a", &doc->atomic));
        EID_TRY(read_item(r->json, "children"));
        EID_TRY(eid_json_begin_object(r->json, "children"));
        frame.as_array = true;
    } else {
        EID_TRY(eid_json_begin_object(r->json, "a Doc"));
        frame.in_fields = true;
    }
    return push(r, frame);
}

/* The end of the object that names the kind of a value. */
static eid_status close_wrapper(eid_json *json)
{
    eid_slice key;
    bool more;
    EID_TRY(eid_json_next_key(json, &key, &more));
    return more
               ? eid_fail(EID_ERR_WRONG_TYPE, "a value names two kinds; it must be an object with one member")
               : EID_OK;
}

static eid_status pop(doc_reader *r)
{
    bool wrapped = r->frames[--r->depth].wrapped;
    return wrapped ? close_wrapper(r->json) : EID_OK;
}

/* ---- Values ---- */

/* Hangs a value where the innermost frame waits for one; takes it on success. */
static eid_status hang(doc_reader *r, eid_value *value)
{
    if (r->depth == 0) {
        r->root = value;
        return EID_OK;
    }
    read_frame *top = &r->frames[r->depth - 1];
    if (top->list != NULL)
        return eid_list_attach(top->list, &top->position, value);
    eid_value_free(eid_doc_place(top->doc, top->entry, value));
    return EID_OK;
}

static eid_status hang_made(doc_reader *r, eid_value *made)
{
    if (made == NULL)
        return eid_fail_memory();
    eid_status status = hang(r, made);
    if (status != EID_OK)
        eid_value_free(made);
    return status;
}

static bool kind_of(eid_slice name, eid_value_kind *out)
{
    static const char *const names[] = {"Null", "Bool", "Int", "Text", "Doc", "List", "Deleted"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (eid_slice_is(name, names[i])) {
            *out = (eid_value_kind)i;
            return true;
        }
    }
    return false;
}

static eid_status read_leaf(doc_reader *r, eid_value_kind kind)
{
    eid_value *made;
    if (kind == EID_VALUE_BOOL) {
        bool boolean;
        EID_TRY(eid_json_read_bool(r->json, "a Bool", &boolean));
        EID_TRY(eid_value_new_bool(boolean, &made));
    } else if (kind == EID_VALUE_INT) {
        int64_t integer;
        EID_TRY(eid_json_read_i64(r->json, "an Int", &integer));
        EID_TRY(eid_value_new_int(integer, &made));
    } else if (kind == EID_VALUE_TEXT) {
        eid_slice text;
        EID_TRY(eid_json_read_text(r->json, "a Text", &text));
        made = eid_value_new_text_of(text);
    } else {
        EID_TRY(eid_json_expect(r->json, EID_JSON_NULL, "the content of Null or Deleted"));
        made = eid_value_new_kind(kind);
    }
    EID_TRY(hang_made(r, made));
    return close_wrapper(r->json);
}

/* Reads a leaf completely; of a Doc or List only the beginning, leaving a frame for it. */
static eid_status read_value_start(doc_reader *r)
{
    eid_json_token token;
    eid_slice name;
    eid_value_kind kind;
    EID_TRY(eid_json_peek(r->json, &token));
    if (token == EID_JSON_STRING) {
        EID_TRY(eid_json_read_text(r->json, "a value", &name));
        if (!kind_of(name, &kind) || (kind != EID_VALUE_NULL && kind != EID_VALUE_DELETED))
            return eid_fail(EID_ERR_WRONG_TYPE, "a value written as text must be \"Null\" or \"Deleted\"");
        return hang_made(r, eid_value_new_kind(kind));
    }
    bool more;
    EID_TRY(eid_json_begin_object(r->json, "a value"));
    EID_TRY(eid_json_next_key(r->json, &name, &more));
    if (!more || !kind_of(name, &kind))
        return eid_fail(EID_ERR_WRONG_TYPE,
                        "a value must name one of the kinds Null, Bool, Int, Text, Doc, List, "
                        "Deleted");
    if (kind != EID_VALUE_DOC && kind != EID_VALUE_LIST)
        return read_leaf(r, kind);
    eid_value *made = eid_value_new_kind(kind);
    EID_TRY(hang_made(r, made));
    if (kind == EID_VALUE_DOC)
        return open_doc(r, eid_value_doc(made), true);
    EID_TRY(eid_json_begin_array(r->json, "a List"));
    return push(r, (read_frame){.list = eid_value_list(made), .wrapped = true});
}

/* ---- Advancing the innermost Doc or List to its next value ---- */

/* Between the fields of a Doc: reads the small ones and enters `children`. */
static eid_status read_field(doc_reader *r, read_frame *top)
{
    eid_slice key;
    bool more;
    EID_TRY(eid_json_next_key(r->json, &key, &more));
    if (!more) {
        if (!top->seen_children)
            return eid_fail(EID_ERR_MISSING_FIELD, "a Doc needs the field \"children\"");
        return pop(r);
    }
    if (eid_slice_is(key, "_v")) {
        EID_TRY(once(&top->seen_version, "_v"));
        return read_version(r->json);
    }
    if (eid_slice_is(key, "_a")) {
        EID_TRY(once(&top->seen_atomic, "_a"));
        return eid_json_read_bool(r->json, "_a", &top->doc->atomic);
    }
    if (eid_slice_is(key, "children")) {
        EID_TRY(once(&top->seen_children, "children"));
        top->in_fields = false;
        return eid_json_begin_object(r->json, "children");
    }
    return eid_json_skip(r->json);
}

static eid_status read_child(doc_reader *r, read_frame *top)
{
    eid_slice key;
    bool more;
    EID_TRY(eid_json_next_key(r->json, &key, &more));
    if (more) {
        EID_TRY(eid_doc_entry(top->doc, key, &top->entry, NULL));
        return read_value_start(r);
    }
    if (!top->as_array) {
        top->in_fields = true;
        return EID_OK;
    }
    EID_TRY(read_array_end(r->json, "a Doc"));
    return pop(r);
}

static eid_status read_slot(doc_reader *r, read_frame *top)
{
    if (top->in_slot) {
        top->in_slot = false;
        EID_TRY(read_array_end(r->json, "a slot of a List"));
    }
    bool more;
    EID_TRY(eid_json_next_item(r->json, &more));
    if (!more)
        return pop(r);
    EID_TRY(eid_json_begin_array(r->json, "a slot of a List"));
    EID_TRY(read_item(r->json, "the position"));
    EID_TRY(read_position(r->json, &top->position));
    EID_TRY(read_item(r->json, "the value"));
    top->in_slot = true;
    return read_value_start(r);
}

static void start(doc_reader *r, eid_json *json)
{
    r->json = json;
    r->root = NULL;
    r->depth = 0;
}

static eid_status read_open_frames(doc_reader *r)
{
    while (r->depth > 0) {
        read_frame *top = &r->frames[r->depth - 1];
        if (top->list != NULL)
            EID_TRY(read_slot(r, top));
        else if (top->in_fields)
            EID_TRY(read_field(r, top));
        else
            EID_TRY(read_child(r, top));
    }
    return EID_OK;
}

eid_status eid_doc_read(eid_json *reader, eid_doc **out)
{
    eid_doc *doc;
    EID_TRY(eid_doc_new(&doc));
    doc_reader r;
    start(&r, reader);
    eid_status status = open_doc(&r, doc, false);
    if (status == EID_OK)
        status = read_open_frames(&r);
    if (status != EID_OK) {
        eid_doc_free(doc);
        return status;
    }
    *out = doc;
    return EID_OK;
}

eid_status eid_value_read(eid_json *reader, eid_value **out)
{
    doc_reader r;
    start(&r, reader);
    eid_status status = read_value_start(&r);
    if (status == EID_OK)
        status = read_open_frames(&r);
    if (status != EID_OK) {
        eid_value_free(r.root);
        return status;
    }
    *out = r.root;
    return EID_OK;
}

/* ---- Whole texts ---- */

eid_status eid_doc_parse(eid_slice text, eid_doc **out)
{
    eid_json reader;
    eid_json_init(&reader, text);
    eid_doc *doc = NULL;
    eid_status status = eid_doc_read(&reader, &doc);
    if (status == EID_OK)
        status = eid_json_end(&reader);
    eid_json_free(&reader);
    if (status != EID_OK) {
        eid_doc_free(doc);
        return status;
    }
    *out = doc;
    return EID_OK;
}

eid_status eid_value_parse(eid_slice text, eid_value **out)
{
    eid_json reader;
    eid_json_init(&reader, text);
    eid_value *value = NULL;
    eid_status status = eid_value_read(&reader, &value);
    if (status == EID_OK)
        status = eid_json_end(&reader);
    eid_json_free(&reader);
    if (status != EID_OK) {
        eid_value_free(value);
        return status;
    }
    *out = value;
    return EID_OK;
}

eid_status eid_doc_from_json(const char *text, size_t len, eid_doc **out)
{
    EID_NEED((text || len == 0) && out);
    return eid_doc_parse(eid_slice_of(text, len), out);
}

eid_status eid_value_from_json(const char *text, size_t len, eid_value **out)
{
    EID_NEED((text || len == 0) && out);
    return eid_value_parse(eid_slice_of(text, len), out);
}
