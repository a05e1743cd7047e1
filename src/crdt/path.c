/* SPDX-License-Identifier: Apache-2.0 */
/* Paths: reading and setting below the top level.
 *
 * Setting builds everything new aside, from the leaf upwards, and hangs it in with one step that either
 * happens or does not. Lists on the way are entered by index and never replaced by a Doc (crdt.md section 5,
 * limit). */
#include "crdt/crdt_int.h"

#include <string.h>

#include "base/utf8.h"

#define SHOWN_PATH 200 /* bytes of a path repeated in an error */
#define SHOW(path) (int)eid_utf8_cut((path), SHOWN_PATH), (const char *)(path).data

/* ---- Components ---- */

/* Takes the next component off the front of *rest; false when none is left. The empty path, which is one
 * empty key and not none, is the callers' business. */
static bool next_component(eid_slice *rest, eid_slice *component)
{
    while (rest->len > 0) {
        const uint8_t *dot = memchr(rest->data, '.', rest->len);
        size_t len = dot == NULL ? rest->len : (size_t)(dot - rest->data);
        const uint8_t *start = rest->data;
        size_t used = dot == NULL ? len : len + 1;
        *rest = eid_slice_of(start + used, rest->len - used);
        if (len > 0) {
            *component = eid_slice_of(start, len);
            return true;
        }
    }
    return false;
}

bool eid_path_first(eid_slice path, eid_slice *first)
{
    if (path.len > 0)
        return next_component(&path, first);
    *first = path;
    return true;
}

size_t eid_path_components(eid_slice path)
{
    if (path.len == 0)
        return 1;
    size_t count = 0;
    eid_slice component;
    while (next_component(&path, &component))
        count++;
    return count;
}

/* A component as the index of a list element; false when it is not a number of decimal digits. */
static bool parse_index(eid_slice component, size_t *out)
{
    size_t index = 0;
    for (size_t i = 0; i < component.len; i++) {
        if (component.data[i] < '0' || component.data[i] > '9')
            return false;
        if (__builtin_mul_overflow(index, (size_t)10, &index) ||
            __builtin_add_overflow(index, (size_t)(component.data[i] - '0'), &index))
            return false;
    }
    *out = index;
    return component.len > 0;
}

static eid_slot *element(const eid_list *list, eid_slice component)
{
    size_t index;
    return parse_index(component, &index) ? eid_slot_live_at(list, index) : NULL;
}

/* ---- Reading ---- */

const eid_value *eid_doc_at_path(const eid_doc *doc, eid_slice path)
{
    eid_slice component;
    if (path.len == 0)
        return eid_doc_child(doc, path);
    const eid_value *at = NULL;
    if (next_component(&path, &component))
        at = eid_doc_child(doc, component);
    while (at != NULL && next_component(&path, &component)) {
        if (at->kind == EID_VALUE_DOC) {
            at = eid_doc_child(eid_value_doc(at), component);
        } else if (at->kind == EID_VALUE_LIST) {
            const eid_slot *slot = element(eid_value_list(at), component);
            at = slot == NULL ? NULL : slot->value;
        } else {
            at = NULL;
        }
    }
    return at;
}

eid_status eid_doc_get_path(const eid_doc *doc, eid_slice path, const eid_value **out)
{
    const eid_value *found = eid_doc_at_path(doc, path);
    if (!eid_value_is_live(found))
        return eid_fail(EID_ERR_KEY_NOT_FOUND, "the document has no value at \"%.*s\"", SHOW(path));
    *out = found;
    return EID_OK;
}

eid_status eid_doc_get(const eid_doc *doc, const char *path, const eid_value **out)
{
    EID_NEED(doc && path && out);
    return eid_doc_get_path(doc, eid_slice_text(path), out);
}

bool eid_doc_contains(const eid_doc *doc, const char *path)
{
    return eid_value_is_live(eid_doc_at_path(doc, eid_slice_text(path)));
}

bool eid_doc_is_tombstone(const eid_doc *doc, const char *path)
{
    const eid_value *found = eid_doc_at_path(doc, eid_slice_text(path));
    return found != NULL && found->kind == EID_VALUE_DELETED;
}

/* The live value of one kind at the path. */
static eid_status get_kind(const eid_doc *doc, const char *path, eid_value_kind kind, const eid_value **out)
{
    const eid_value *found = NULL;
    eid_slice where = eid_slice_text(path);
    EID_TRY(eid_doc_get_path(doc, where, &found));
    if (found->kind != kind)
        return eid_fail(EID_ERR_TYPE_MISMATCH, "the value at \"%.*s\" is of kind %s, not %s", SHOW(where),
                        eid_value_kind_name((eid_value_kind)found->kind), eid_value_kind_name(kind));
    *out = found;
    return EID_OK;
}

eid_status eid_doc_get_bool(const eid_doc *doc, const char *path, bool *out)
{
    EID_NEED(doc && path && out);
    const eid_value *value = NULL;
    EID_TRY(get_kind(doc, path, EID_VALUE_BOOL, &value));
    return eid_value_as_bool(value, out);
}

eid_status eid_doc_get_int(const eid_doc *doc, const char *path, int64_t *out)
{
    EID_NEED(doc && path && out);
    const eid_value *value = NULL;
    EID_TRY(get_kind(doc, path, EID_VALUE_INT, &value));
    return eid_value_as_int(value, out);
}

eid_status eid_doc_get_text(const eid_doc *doc, const char *path, const char **text, size_t *len)
{
    EID_NEED(doc && path && text);
    const eid_value *value = NULL;
    EID_TRY(get_kind(doc, path, EID_VALUE_TEXT, &value));
    return eid_value_as_text(value, text, len);
}

eid_status eid_doc_get_doc(const eid_doc *doc, const char *path, const eid_doc **out)
{
    EID_NEED(doc && path && out);
    const eid_value *value = NULL;
    EID_TRY(get_kind(doc, path, EID_VALUE_DOC, &value));
    return eid_value_as_doc(value, out);
}

eid_status eid_doc_get_list(const eid_doc *doc, const char *path, const eid_list **out)
{
    EID_NEED(doc && path && out);
    const eid_value *value = NULL;
    EID_TRY(get_kind(doc, path, EID_VALUE_LIST, &value));
    return eid_value_as_list(value, out);
}

/* ---- Setting ---- */

typedef struct parsed_path {
    eid_slice text;
    eid_slice components[EID_LIMIT_DOC_PATH];
    size_t count; /* at least 1 */
} parsed_path;

static eid_status parse_path(eid_slice path, parsed_path *out)
{
    if (!eid_utf8_valid(path))
        return eid_fail(EID_ERR_UTF8, "a path of a document must be valid UTF-8");
    size_t count = eid_path_components(path);
    if (count == 0)
        return eid_fail(EID_ERR_INVALID_PATH, "the path \"%.*s\" names no key; write keys joined by dots",
                        SHOW(path));
    if (count > EID_LIMIT_DOC_PATH)
        return eid_fail(EID_ERR_DEPTH,
                        "a path of %zu components is too deep to be read back; %d are possible", count,
                        EID_LIMIT_DOC_PATH);
    out->text = path;
    out->count = count;
    out->components[0] = path;
    for (size_t i = 0; i < count && path.len > 0; i++)
        next_component(&path, &out->components[i]);
    return EID_OK;
}

/* Where a path leaves what exists: the value goes under component `index` of one of the two. */
typedef struct place {
    eid_doc *doc;
    eid_slot *slot; /* an element of a list, when doc is NULL */
    size_t index;
} place;

static eid_status find_place(eid_doc *doc, const parsed_path *path, place *out)
{
    eid_doc *in_doc = doc;
    eid_list *in_list = NULL;
    for (size_t i = 0;; i++) {
        eid_slot *slot = NULL;
        const eid_value *child;
        if (in_list != NULL) {
            slot = element(in_list, path->components[i]);
            if (slot == NULL)
                return eid_fail(
                    EID_ERR_INDEX_OUT_OF_BOUNDS,
                    "in \"%.*s\" component %zu must be the index of an element of a list with %zu",
                    SHOW(path->text), i + 1, eid_list_len(in_list));
            child = slot->value;
        } else {
            child = eid_doc_child(in_doc, path->components[i]);
        }
        bool enter = i + 1 < path->count && child != NULL &&
                     (child->kind == EID_VALUE_DOC || child->kind == EID_VALUE_LIST);
        if (!enter) {
            *out = (place){in_list == NULL ? in_doc : NULL, slot, i};
            return EID_OK;
        }
        in_doc = eid_value_doc(child);
        in_list = eid_value_list(child);
    }
}

/* New Docs for the components behind `index`: the outermost in *top, and the entry of the last component,
 * still without a value, in *entry of *innermost. */
static eid_status build_chain(const parsed_path *path, size_t index, eid_value **top, eid_doc **innermost,
                              eid_map_entry **entry)
{
    eid_value *outermost = eid_value_new_kind(EID_VALUE_DOC);
    if (outermost == NULL)
        return eid_fail_memory();
    eid_doc *at = eid_value_doc(outermost);
    for (size_t i = index + 1;; i++) {
        eid_value *next = NULL;
        eid_status status = eid_doc_entry(at, path->components[i], entry, NULL);
        if (status == EID_OK && i + 1 < path->count && (next = eid_value_new_kind(EID_VALUE_DOC)) == NULL)
            status = eid_fail_memory();
        if (status != EID_OK) {
            eid_value_free(outermost);
            return status;
        }
        if (next == NULL)
            break;
        eid_doc_place(at, *entry, next);
        at = eid_value_doc(next);
    }
    *top = outermost;
    *innermost = at;
    return EID_OK;
}

eid_status eid_doc_set_path(eid_doc *doc, eid_slice path, eid_value *value)
{
    parsed_path parsed;
    EID_TRY(parse_path(path, &parsed));
    EID_TRY(eid_check_depth(EID_CONTAINERS_ROOT + EID_CONTAINERS_LEVEL * (parsed.count - 1),
                            eid_value_containers(value)));
    place where = {0};
    EID_TRY(find_place(doc, &parsed, &where));

    eid_value *hung = value;
    eid_doc *innermost = NULL;
    eid_map_entry *last = NULL, *entry = NULL;
    if (where.index + 1 < parsed.count)
        EID_TRY(build_chain(&parsed, where.index, &hung, &innermost, &last));
    if (where.doc != NULL) {
        eid_status status = eid_doc_entry(where.doc, parsed.components[where.index], &entry, NULL);
        if (status != EID_OK) {
            if (innermost != NULL)
                eid_value_free(hung);
            return status;
        }
    }

    /* Nothing can fail from here on. */
    if (innermost != NULL)
        eid_doc_place(innermost, last, value);
    eid_value_free(where.doc != NULL ? eid_doc_place(where.doc, entry, hung)
                                     : eid_slot_place(where.slot, hung));
    return EID_OK;
}

/* Sets a value made for this purpose (NULL: there was no memory for it) and frees it when that fails. */
static eid_status set_made(eid_doc *doc, const char *path, eid_value *made)
{
    if (made == NULL)
        return eid_fail_memory();
    eid_status status = eid_doc_set_path(doc, eid_slice_text(path), made);
    if (status != EID_OK)
        eid_value_free(made);
    return status;
}

eid_status eid_doc_set(eid_doc *doc, const char *path, const eid_value *value)
{
    EID_NEED(doc && path && value);
    eid_value *copy;
    EID_TRY(eid_value_copy(value, &copy));
    return set_made(doc, path, copy);
}

eid_status eid_doc_set_null(eid_doc *doc, const char *path)
{
    EID_NEED(doc && path);
    return set_made(doc, path, eid_value_new_kind(EID_VALUE_NULL));
}

eid_status eid_doc_set_bool(eid_doc *doc, const char *path, bool value)
{
    EID_NEED(doc && path);
    eid_value *made;
    EID_TRY(eid_value_new_bool(value, &made));
    return set_made(doc, path, made);
}

eid_status eid_doc_set_int(eid_doc *doc, const char *path, int64_t value)
{
    EID_NEED(doc && path);
    eid_value *made;
    EID_TRY(eid_value_new_int(value, &made));
    return set_made(doc, path, made);
}

eid_status eid_doc_set_string(eid_doc *doc, const char *path, const char *text)
{
    EID_NEED(doc && path && text);
    return eid_doc_set_text(doc, path, text, strlen(text));
}

eid_status eid_doc_set_text(eid_doc *doc, const char *path, const char *text, size_t len)
{
    EID_NEED(doc && path && (text || len == 0));
    eid_value *made;
    EID_TRY(eid_value_new_text(text, len, &made));
    return set_made(doc, path, made);
}

eid_status eid_doc_set_doc(eid_doc *doc, const char *path, const eid_doc *value)
{
    EID_NEED(doc && path && value);
    eid_value *made;
    EID_TRY(eid_value_new_doc(value, &made));
    return set_made(doc, path, made);
}

eid_status eid_doc_set_list(eid_doc *doc, const char *path, const eid_list *value)
{
    EID_NEED(doc && path && value);
    eid_value *made;
    EID_TRY(eid_value_new_list(value, &made));
    return set_made(doc, path, made);
}

eid_status eid_doc_set_json(eid_doc *doc, const char *path, const char *json)
{
    EID_NEED(doc && path && json);
    eid_value *made;
    EID_TRY(eid_value_parse_plain(eid_slice_text(json), &made));
    return set_made(doc, path, made);
}

eid_status eid_doc_remove(eid_doc *doc, const char *path)
{
    EID_NEED(doc && path);
    return set_made(doc, path, eid_value_new_kind(EID_VALUE_DELETED));
}

/* ---- Lists at a path ---- */

/* The live List at the path, for changing; *out NULL when nothing is there. */
static eid_status list_at(const eid_doc *doc, eid_slice path, eid_list **out)
{
    const eid_value *found = eid_doc_at_path(doc, path);
    if (!eid_value_is_live(found)) {
        *out = NULL;
        return EID_OK;
    }
    if (found->kind != EID_VALUE_LIST)
        return eid_fail(EID_ERR_TYPE_MISMATCH, "the value at \"%.*s\" is of kind %s, not list", SHOW(path),
                        eid_value_kind_name((eid_value_kind)found->kind));
    *out = eid_value_list(found);
    return EID_OK;
}

static eid_status set_new_list(eid_doc *doc, eid_slice path, const eid_value *element)
{
    eid_value *made = eid_value_new_kind(EID_VALUE_LIST);
    if (made == NULL)
        return eid_fail_memory();
    eid_status status = eid_list_push(eid_value_list(made), element);
    if (status == EID_OK)
        status = eid_doc_set_path(doc, path, made);
    if (status != EID_OK)
        eid_value_free(made);
    return status;
}

/* `index` SIZE_MAX: behind the last element. */
static eid_status insert_at(eid_doc *doc, const char *path, size_t index, const eid_value *element)
{
    eid_slice where = eid_slice_text(path);
    eid_list *list = NULL;
    EID_TRY(list_at(doc, where, &list));
    if (list == NULL && index != 0 && index != SIZE_MAX)
        return eid_fail(EID_ERR_INDEX_OUT_OF_BOUNDS, "there is no list at \"%.*s\" yet: its first index is 0",
                        SHOW(where));
    if (list == NULL)
        return set_new_list(doc, where, element);
    EID_TRY(eid_check_depth(EID_CONTAINERS_ROOT + EID_CONTAINERS_LEVEL * eid_path_components(where),
                            eid_value_containers(element)));
    return index == SIZE_MAX ? eid_list_push(list, element) : eid_list_insert(list, index, element);
}

eid_status eid_doc_push(eid_doc *doc, const char *path, const eid_value *value)
{
    EID_NEED(doc && path && value);
    return insert_at(doc, path, SIZE_MAX, value);
}

eid_status eid_doc_insert(eid_doc *doc, const char *path, size_t index, const eid_value *value)
{
    EID_NEED(doc && path && value);
    if (index == SIZE_MAX)
        return eid_fail(EID_ERR_INDEX_OUT_OF_BOUNDS, "%zu is the index of no element", index);
    return insert_at(doc, path, index, value);
}
