/* SPDX-License-Identifier: Apache-2.0 */
/* Elements of Lists: typed forms, iteration, and elements named by their position instead of an index. */
#include "crdt/crdt_int.h"

#include <string.h>

/* ---- Typed forms ---- */

/* Pushes a value made for this purpose and frees it when that fails. */
static eid_status push_made(eid_list *list, eid_value *made)
{
    eid_status status = eid_check_depth(EID_CONTAINERS_LEVEL, eid_value_containers(made));
    if (status == EID_OK)
        status = eid_list_append(list, made);
    if (status != EID_OK)
        eid_value_free(made);
    return status;
}

eid_status eid_list_push_bool(eid_list *list, bool value)
{
    EID_NEED(list);
    eid_value *made = NULL;
    EID_TRY(eid_value_new_bool(value, &made));
    return push_made(list, made);
}

eid_status eid_list_push_int(eid_list *list, int64_t value)
{
    EID_NEED(list);
    eid_value *made = NULL;
    EID_TRY(eid_value_new_int(value, &made));
    return push_made(list, made);
}

eid_status eid_list_push_text(eid_list *list, const char *text)
{
    EID_NEED(list && text);
    eid_value *made = NULL;
    EID_TRY(eid_value_new_text(text, strlen(text), &made));
    return push_made(list, made);
}

eid_status eid_list_push_doc(eid_list *list, const eid_doc *value)
{
    EID_NEED(list && value);
    eid_value *made = NULL;
    EID_TRY(eid_value_new_doc(value, &made));
    return push_made(list, made);
}

/* The element of one kind at the index. */
static eid_status get_kind(const eid_list *list, size_t index, eid_value_kind kind, const eid_value **out)
{
    const eid_value *found = NULL;
    EID_TRY(eid_list_get(list, index, &found));
    if (found->kind != kind)
        return eid_fail(EID_ERR_TYPE_MISMATCH, "the element at index %zu is of kind %s, not %s", index,
                        eid_value_kind_name((eid_value_kind)found->kind), eid_value_kind_name(kind));
    *out = found;
    return EID_OK;
}

eid_status eid_list_get_bool(const eid_list *list, size_t index, bool *out)
{
    EID_NEED(list && out);
    const eid_value *value = NULL;
    EID_TRY(get_kind(list, index, EID_VALUE_BOOL, &value));
    return eid_value_as_bool(value, out);
}

eid_status eid_list_get_int(const eid_list *list, size_t index, int64_t *out)
{
    EID_NEED(list && out);
    const eid_value *value = NULL;
    EID_TRY(get_kind(list, index, EID_VALUE_INT, &value));
    return eid_value_as_int(value, out);
}

eid_status eid_list_get_text(const eid_list *list, size_t index, const char **text, size_t *len)
{
    EID_NEED(list && text);
    const eid_value *value = NULL;
    EID_TRY(get_kind(list, index, EID_VALUE_TEXT, &value));
    return eid_value_as_text(value, text, len);
}

eid_status eid_list_get_doc(const eid_list *list, size_t index, const eid_doc **out)
{
    EID_NEED(list && out);
    const eid_value *value = NULL;
    EID_TRY(get_kind(list, index, EID_VALUE_DOC, &value));
    return eid_value_as_doc(value, out);
}

/* ---- The whole list ---- */

bool eid_list_is_empty(const eid_list *list)
{
    return eid_list_len(list) == 0;
}

bool eid_list_equal(const eid_list *a, const eid_list *b)
{
    eid_walk left, right;
    eid_walk_list(&left, a);
    eid_walk_list(&right, b);
    return eid_walks_equal(&left, &right);
}

static eid_status put_tombstone(eid_list *list, const eid_position *position)
{
    eid_value *tombstone = NULL;
    EID_TRY(eid_value_new_deleted(&tombstone));
    eid_status status = eid_list_attach(list, position, tombstone);
    if (status != EID_OK)
        eid_value_free(tombstone);
    return status;
}

static eid_status append_copy(eid_list *list, const eid_value *value)
{
    eid_value *copy = NULL;
    EID_TRY(eid_value_copy(value, &copy));
    eid_status status = eid_list_append(list, copy);
    if (status != EID_OK)
        eid_value_free(copy);
    return status;
}

eid_status eid_list_renumber(eid_list *list)
{
    EID_NEED(list);
    eid_list fresh = {NULL};
    eid_status status = EID_OK;
    for (const eid_slot *at = eid_slot_first(list); at != NULL && status == EID_OK; at = eid_slot_next(at))
        status = put_tombstone(&fresh, &at->position);
    for (const eid_slot *at = eid_slot_first(list); at != NULL && status == EID_OK; at = eid_slot_next(at))
        if (eid_value_is_live(at->value))
            status = append_copy(&fresh, at->value);
    if (status != EID_OK) {
        eid_list_clear(&fresh);
        return status;
    }
    eid_list_clear(list);
    *list = fresh;
    return EID_OK;
}

/* ---- Positions ---- */

static eid_list_position shown(const eid_position *position)
{
    eid_list_position out = {.numerator = position->numerator, .denominator = position->denominator};
    memcpy(out.unique_id, position->unique.bytes, sizeof out.unique_id);
    return out;
}

eid_status eid_position_of(const eid_list_position *position, eid_position *out)
{
    eid_uuid unique;
    memcpy(unique.bytes, position->unique_id, sizeof unique.bytes);
    return eid_position_make(position->numerator, position->denominator, &unique, out);
}

/* The slot at the position, whether its element is live or not. */
static eid_status slot_of(const eid_list *list, const eid_list_position *position, eid_slot **out)
{
    eid_position place;
    EID_TRY(eid_position_of(position, &place));
    eid_slot *slot = eid_slot_find(list, &place);
    if (slot == NULL)
        return eid_fail(EID_ERR_KEY_NOT_FOUND, "the list never had an element at this position");
    *out = slot;
    return EID_OK;
}

static eid_status live_slot_of(const eid_list *list, const eid_list_position *position, eid_slot **out)
{
    eid_slot *slot = NULL;
    EID_TRY(slot_of(list, position, &slot));
    if (!eid_value_is_live(slot->value))
        return eid_fail(EID_ERR_KEY_NOT_FOUND, "the element at this position was removed");
    *out = slot;
    return EID_OK;
}

eid_status eid_list_position_at(const eid_list *list, size_t index, eid_list_position *out)
{
    EID_NEED(list && out);
    const eid_slot *slot = eid_slot_live_at(list, index);
    if (slot == NULL)
        return eid_fail(EID_ERR_INDEX_OUT_OF_BOUNDS, "the list has %zu elements, there is none at index %zu",
                        eid_list_len(list), index);
    *out = shown(&slot->position);
    return EID_OK;
}

eid_status eid_list_index_of(const eid_list *list, const eid_list_position *position, size_t *out)
{
    EID_NEED(list && position && out);
    eid_slot *slot = NULL;
    EID_TRY(live_slot_of(list, position, &slot));
    *out = eid_slot_index(slot);
    return EID_OK;
}

eid_status eid_list_get_at(const eid_list *list, const eid_list_position *position, const eid_value **out)
{
    EID_NEED(list && position && out);
    eid_slot *slot = NULL;
    EID_TRY(live_slot_of(list, position, &slot));
    *out = slot->value;
    return EID_OK;
}

eid_status eid_list_set_at(eid_list *list, const eid_list_position *position, const eid_value *value)
{
    EID_NEED(list && position && value);
    eid_position place;
    EID_TRY(eid_position_of(position, &place));
    eid_value *copy = NULL;
    EID_TRY(eid_value_copy(value, &copy));
    eid_status status = eid_list_put(list, &place, copy);
    if (status != EID_OK)
        eid_value_free(copy);
    return status;
}

eid_status eid_list_remove_at(eid_list *list, const eid_list_position *position)
{
    EID_NEED(list && position);
    eid_slot *slot = NULL;
    EID_TRY(live_slot_of(list, position, &slot));
    eid_value *tombstone = NULL;
    EID_TRY(eid_value_new_deleted(&tombstone));
    eid_value_free(eid_slot_place(slot, tombstone));
    return EID_OK;
}

/* Inserts a copy between two slots, which stand side by side. */
static eid_status insert_copy(eid_list *list, const eid_slot *left, const eid_slot *right,
                              const eid_value *value, eid_list_position *out)
{
    EID_TRY(eid_check_depth(EID_CONTAINERS_LEVEL, eid_value_containers(value)));
    eid_value *copy = NULL;
    EID_TRY(eid_value_copy(value, &copy));
    eid_slot *slot = NULL;
    eid_status status = eid_list_insert_between(list, left, right, copy, &slot);
    if (status != EID_OK)
        eid_value_free(copy);
    else if (out != NULL)
        *out = shown(&slot->position);
    return status;
}

eid_status eid_list_insert_after(eid_list *list, const eid_list_position *neighbour, const eid_value *value,
                                 eid_list_position *out)
{
    EID_NEED(list && value);
    eid_slot *left = NULL;
    if (neighbour != NULL)
        EID_TRY(slot_of(list, neighbour, &left));
    return insert_copy(list, left, left == NULL ? eid_slot_first(list) : eid_slot_next(left), value, out);
}

eid_status eid_list_insert_before(eid_list *list, const eid_list_position *neighbour, const eid_value *value,
                                  eid_list_position *out)
{
    EID_NEED(list && value);
    eid_slot *right = NULL;
    if (neighbour != NULL)
        EID_TRY(slot_of(list, neighbour, &right));
    return insert_copy(list, right == NULL ? eid_slot_last(list) : eid_slot_previous(right), right, value,
                       out);
}

/* ---- Iteration: a cursor is the slot under another name ---- */

bool eid_list_next_raw(const eid_list *list, const eid_list_cursor **cursor, eid_list_position *position,
                       const eid_value **value)
{
    const eid_slot *at = (const eid_slot *)*cursor;
    at = at == NULL ? eid_slot_first(list) : eid_slot_next(at);
    if (at == NULL)
        return false;
    *cursor = (const eid_list_cursor *)at;
    if (position != NULL)
        *position = shown(&at->position);
    *value = at->value;
    return true;
}

bool eid_list_next(const eid_list *list, const eid_list_cursor **cursor, const eid_value **value)
{
    while (eid_list_next_raw(list, cursor, NULL, value))
        if (eid_value_is_live(*value))
            return true;
    return false;
}
