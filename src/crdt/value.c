/* SPDX-License-Identifier: Apache-2.0 */
/* Values: making, reading, copying, comparing, measuring and freeing them. */
#include "crdt/crdt_int.h"

#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"

/* ---- Kinds ---- */

eid_value_kind eid_value_get_kind(const eid_value *value)
{
    return (eid_value_kind)value->kind;
}

const char *eid_value_kind_name(eid_value_kind kind)
{
    static const char *const names[] = {"null", "bool", "int", "text", "doc", "list", "deleted"};
    return (size_t)kind < sizeof names / sizeof names[0] ? names[kind] : "unknown";
}

static eid_status check_kind(const eid_value *value, eid_value_kind wanted)
{
    if (value->kind == wanted)
        return EID_OK;
    return eid_fail(EID_ERR_TYPE_MISMATCH, "the value is of kind %s, not %s",
                    eid_value_kind_name((eid_value_kind)value->kind), eid_value_kind_name(wanted));
}

eid_status eid_value_as_bool(const eid_value *value, bool *out)
{
    EID_NEED(value && out);
    EID_TRY(check_kind(value, EID_VALUE_BOOL));
    *out = value->boolean;
    return EID_OK;
}

eid_status eid_value_as_int(const eid_value *value, int64_t *out)
{
    EID_NEED(value && out);
    EID_TRY(check_kind(value, EID_VALUE_INT));
    *out = ((const int_value *)value)->integer;
    return EID_OK;
}

eid_status eid_value_as_text(const eid_value *value, const char **text, size_t *len)
{
    EID_NEED(value && text);
    EID_TRY(check_kind(value, EID_VALUE_TEXT));
    const text_value *holder = (const text_value *)value;
    *text = holder->text;
    if (len != NULL)
        *len = holder->len;
    return EID_OK;
}

eid_status eid_value_as_doc(const eid_value *value, const eid_doc **out)
{
    EID_NEED(value && out);
    EID_TRY(check_kind(value, EID_VALUE_DOC));
    *out = eid_value_doc(value);
    return EID_OK;
}

eid_status eid_value_as_list(const eid_value *value, const eid_list **out)
{
    EID_NEED(value && out);
    EID_TRY(check_kind(value, EID_VALUE_LIST));
    *out = eid_value_list(value);
    return EID_OK;
}

/* ---- Making ---- */

eid_value *eid_value_new_kind(eid_value_kind kind)
{
    size_t size = sizeof(eid_value);
    if (kind == EID_VALUE_INT)
        size = sizeof(int_value);
    else if (kind == EID_VALUE_DOC)
        size = sizeof(doc_value);
    else if (kind == EID_VALUE_LIST)
        size = sizeof(list_value);
    eid_value *value = eid_alloc_zero(1, size);
    if (value != NULL)
        value->kind = (uint8_t)kind;
    return value;
}

eid_value *eid_value_new_text_of(eid_slice text)
{
    if (text.len > SIZE_MAX - sizeof(text_value) - 1)
        return NULL;
    text_value *value = eid_alloc(sizeof *value + text.len + 1);
    if (value == NULL)
        return NULL;
    value->head = (eid_value){.kind = EID_VALUE_TEXT};
    value->len = text.len;
    if (text.len > 0)
        memcpy(value->text, text.data, text.len);
    value->text[text.len] = '\0';
    return &value->head;
}

static eid_status hand_out(eid_value *made, eid_value **out)
{
    if (made == NULL)
        return eid_fail_memory();
    *out = made;
    return EID_OK;
}

eid_status eid_value_new_null(eid_value **out)
{
    EID_NEED(out);
    return hand_out(eid_value_new_kind(EID_VALUE_NULL), out);
}

eid_status eid_value_new_deleted(eid_value **out)
{
    EID_NEED(out);
    return hand_out(eid_value_new_kind(EID_VALUE_DELETED), out);
}

eid_status eid_value_new_bool(bool value, eid_value **out)
{
    EID_NEED(out);
    eid_value *made = eid_value_new_kind(EID_VALUE_BOOL);
    if (made != NULL)
        made->boolean = value;
    return hand_out(made, out);
}

eid_status eid_value_new_int(int64_t value, eid_value **out)
{
    EID_NEED(out);
    eid_value *made = eid_value_new_kind(EID_VALUE_INT);
    if (made != NULL)
        ((int_value *)made)->integer = value;
    return hand_out(made, out);
}

eid_status eid_value_new_text(const char *text, size_t len, eid_value **out)
{
    EID_NEED((text || len == 0) && out);
    eid_slice slice = eid_slice_of(text, len);
    if (!eid_utf8_valid(slice))
        return eid_fail(EID_ERR_UTF8, "a text value must be valid UTF-8");
    return hand_out(eid_value_new_text_of(slice), out);
}

eid_status eid_value_new_doc(const eid_doc *doc, eid_value **out)
{
    EID_NEED(doc && out);
    EID_TRY(eid_check_depth(1, eid_doc_containers(doc)));
    eid_value *made = eid_value_new_kind(EID_VALUE_DOC);
    if (made == NULL)
        return eid_fail_memory();
    eid_status status = eid_doc_copy_into(doc, eid_value_doc(made));
    if (status != EID_OK) {
        eid_free(made);
        return status;
    }
    *out = made;
    return EID_OK;
}

eid_status eid_value_new_list(const eid_list *list, eid_value **out)
{
    EID_NEED(list && out);
    eid_value *made = eid_value_new_kind(EID_VALUE_LIST);
    if (made == NULL)
        return eid_fail_memory();
    eid_status status = eid_list_copy_into(list, eid_value_list(made));
    if (status != EID_OK) {
        eid_free(made);
        return status;
    }
    *out = made;
    return EID_OK;
}

/* ---- Copying ---- */

/* A copy without what it holds. */
static eid_value *copy_shell(const eid_value *value)
{
    if (value->kind == EID_VALUE_TEXT) {
        const text_value *text = (const text_value *)value;
        return eid_value_new_text_of(eid_slice_of(text->text, text->len));
    }
    eid_value *copy = eid_value_new_kind((eid_value_kind)value->kind);
    if (copy == NULL)
        return NULL;
    copy->boolean = value->boolean;
    if (value->kind == EID_VALUE_INT)
        ((int_value *)copy)->integer = ((const int_value *)value)->integer;
    else if (value->kind == EID_VALUE_DOC)
        eid_value_doc(copy)->atomic = eid_value_doc(value)->atomic;
    return copy;
}

/* Copies what the walk shows below an empty Doc or List. On failure a part is there, for the caller to clear.
 */
static eid_status copy_children(eid_walk *walk, eid_doc *doc, eid_list *list)
{
    struct {
        eid_doc *doc;
        eid_list *list;
    } targets[EID_CRDT_LEVELS] = {{doc, list}};
    for (;;) {
        eid_walk_step step = eid_walk_next(walk);
        if (step == EID_WALK_END)
            return EID_OK;
        if (step == EID_WALK_LEAVE)
            continue;
        size_t level = step == EID_WALK_ENTER ? walk->depth - 2 : walk->depth - 1;
        eid_value *copy = copy_shell(walk->value);
        if (copy == NULL)
            return eid_fail_memory();
        eid_status status = targets[level].doc != NULL
                                ? eid_doc_attach(targets[level].doc, walk->key, copy)
                                : eid_list_attach(targets[level].list, walk->position, copy);
        if (status != EID_OK) {
            eid_free(copy);
            return status;
        }
        if (step == EID_WALK_ENTER) {
            targets[level + 1].doc = eid_value_doc(copy);
            targets[level + 1].list = eid_value_list(copy);
        }
    }
}

eid_status eid_doc_copy_into(const eid_doc *from, eid_doc *to)
{
    eid_doc copy = {.atomic = from->atomic};
    eid_walk walk;
    eid_walk_doc(&walk, from);
    eid_status status = copy_children(&walk, &copy, NULL);
    if (status != EID_OK) {
        eid_doc_clear(&copy);
        return status;
    }
    *to = copy;
    return EID_OK;
}

eid_status eid_list_copy_into(const eid_list *from, eid_list *to)
{
    eid_list copy = {NULL};
    eid_walk walk;
    eid_walk_list(&walk, from);
    eid_status status = copy_children(&walk, NULL, &copy);
    if (status != EID_OK) {
        eid_list_clear(&copy);
        return status;
    }
    *to = copy;
    return EID_OK;
}

eid_status eid_value_copy(const eid_value *value, eid_value **out)
{
    EID_NEED(value && out);
    eid_value *copy = copy_shell(value);
    if (copy == NULL)
        return eid_fail_memory();
    eid_status status = EID_OK;
    if (value->kind == EID_VALUE_DOC)
        status = eid_doc_copy_into(eid_value_doc(value), eid_value_doc(copy));
    else if (value->kind == EID_VALUE_LIST)
        status = eid_list_copy_into(eid_value_list(value), eid_value_list(copy));
    if (status != EID_OK) {
        eid_free(copy);
        return status;
    }
    *out = copy;
    return EID_OK;
}

/* ---- Freeing ---- */

/* Frees every value the walk shows: a container when it is left, because the walk still stands on its keys.
 */
static void free_children(eid_walk *walk)
{
    for (;;) {
        eid_walk_step step = eid_walk_next(walk);
        if (step == EID_WALK_END)
            return;
        if (step == EID_WALK_ENTER)
            continue;
        if (walk->value->kind == EID_VALUE_DOC)
            eid_map_free(eid_value_doc(walk->value)->children, NULL);
        else if (walk->value->kind == EID_VALUE_LIST)
            eid_slots_free(eid_value_list(walk->value));
        eid_free(walk->value);
    }
}

void eid_doc_clear(eid_doc *doc)
{
    eid_walk walk;
    eid_walk_doc(&walk, doc);
    free_children(&walk);
    eid_map_free(doc->children, NULL);
    doc->children = NULL;
    doc->live = 0;
}

void eid_list_clear(eid_list *list)
{
    eid_walk walk;
    eid_walk_list(&walk, list);
    free_children(&walk);
    eid_slots_free(list);
}

void eid_value_free(eid_value *value)
{
    if (value == NULL)
        return;
    if (value->kind == EID_VALUE_DOC)
        eid_doc_clear(eid_value_doc(value));
    else if (value->kind == EID_VALUE_LIST)
        eid_list_clear(eid_value_list(value));
    eid_free(value);
}

/* ---- Comparing ---- */

/* Everything but the children. */
static bool shells_equal(const eid_value *a, const eid_value *b)
{
    if (a->kind != b->kind)
        return false;
    switch ((eid_value_kind)a->kind) {
    case EID_VALUE_BOOL:
        return a->boolean == b->boolean;
    case EID_VALUE_INT:
        return ((const int_value *)a)->integer == ((const int_value *)b)->integer;
    case EID_VALUE_TEXT: {
        const text_value *left = (const text_value *)a, *right = (const text_value *)b;
        return eid_slice_equal(eid_slice_of(left->text, left->len), eid_slice_of(right->text, right->len));
    }
    case EID_VALUE_DOC:
        return eid_value_doc(a)->atomic == eid_value_doc(b)->atomic;
    default:
        return true;
    }
}

/* Both trees are walked in step: they are equal when they show the same things in the same order. */
bool eid_walks_equal(eid_walk *a, eid_walk *b)
{
    for (;;) {
        eid_walk_step step = eid_walk_next(a);
        if (step != eid_walk_next(b))
            return false;
        if (step == EID_WALK_END)
            return true;
        if (step == EID_WALK_LEAVE)
            continue;
        if (!shells_equal(a->value, b->value))
            return false;
        /* Parents are of one kind, so either both have a position or both a key. */
        if (a->position != NULL ? eid_position_compare(a->position, b->position) != 0
                                : !eid_slice_equal(a->key, b->key))
            return false;
    }
}

bool eid_doc_equal(const eid_doc *a, const eid_doc *b)
{
    if (a->atomic != b->atomic || a->live != b->live)
        return false;
    eid_walk left, right;
    eid_walk_doc(&left, a);
    eid_walk_doc(&right, b);
    return eid_walks_equal(&left, &right);
}

bool eid_value_equal(const eid_value *a, const eid_value *b)
{
    if (!shells_equal(a, b))
        return false;
    if (a->kind == EID_VALUE_DOC)
        return eid_doc_equal(eid_value_doc(a), eid_value_doc(b));
    if (a->kind != EID_VALUE_LIST)
        return true;
    return eid_list_equal(eid_value_list(a), eid_value_list(b));
}

/* ---- Measuring ---- */

/* The deepest container below one at whose children `level` containers are open. */
static size_t deepest(eid_walk *walk, size_t level, size_t reached)
{
    for (;;) {
        eid_walk_step step = eid_walk_next(walk);
        if (step == EID_WALK_END)
            return reached;
        if (step == EID_WALK_LEAVE) {
            level -= EID_CONTAINERS_LEVEL;
            continue;
        }
        size_t here = level;
        if (walk->value->kind == EID_VALUE_DOC)
            here += EID_CONTAINERS_LEVEL;
        else if (walk->value->kind == EID_VALUE_LIST)
            here += EID_CONTAINERS_EMPTY_LIST;
        else if (walk->value->kind != EID_VALUE_NULL && walk->value->kind != EID_VALUE_DELETED)
            here += 1;
        /* A position is an object of its own beside the value. */
        if (walk->position != NULL && here == level)
            here += 1;
        if (here > reached)
            reached = here;
        if (step == EID_WALK_ENTER)
            level += EID_CONTAINERS_LEVEL;
    }
}

size_t eid_doc_containers(const eid_doc *doc)
{
    eid_walk walk;
    eid_walk_doc(&walk, doc);
    return deepest(&walk, EID_CONTAINERS_ROOT, EID_CONTAINERS_ROOT);
}

size_t eid_value_containers(const eid_value *value)
{
    switch ((eid_value_kind)value->kind) {
    case EID_VALUE_NULL:
    case EID_VALUE_DELETED:
        return 0;
    case EID_VALUE_DOC:
        return 1 + eid_doc_containers(eid_value_doc(value));
    case EID_VALUE_LIST: {
        eid_walk walk;
        eid_walk_list(&walk, eid_value_list(value));
        return deepest(&walk, EID_CONTAINERS_LEVEL, EID_CONTAINERS_EMPTY_LIST);
    }
    default:
        return 1;
    }
}

eid_status eid_check_depth(size_t around, size_t inside)
{
    if (around + inside > EID_LIMIT_JSON_DEPTH)
        return eid_fail(
            EID_ERR_DEPTH,
            "the value would be nested in %zu containers of the stored form, but only %d can be read "
            "back; use a flatter document",
            around + inside, EID_LIMIT_JSON_DEPTH);
    return EID_OK;
}

eid_doc *eid_value_edit_doc(eid_value *value)
{
    return eid_value_doc(value);
}

eid_list *eid_value_edit_list(eid_value *value)
{
    return eid_value_list(value);
}
