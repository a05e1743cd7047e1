/* SPDX-License-Identifier: Apache-2.0 */
/* Lists: indices count live elements; where a new element goes is decided here, in terms of slots.
 *
 * An element inserted at index i stands right behind the live element i-1, before any tombstones that follow
 * it. At index 0 it stands before every slot, at the end behind every slot: so what others have inserted
 * around deleted elements keeps its side.
 */
#include "crdt/crdt_int.h"

#include "base/alloc.h"

eid_status eid_list_new(eid_list **out)
{
    EID_NEED(out);
    eid_list *list = eid_alloc_zero(1, sizeof *list);
    if (list == NULL)
        return eid_fail_memory();
    *out = list;
    return EID_OK;
}

eid_status eid_list_copy(const eid_list *list, eid_list **out)
{
    EID_NEED(list && out);
    eid_list *copy = NULL;
    EID_TRY(eid_list_new(&copy));
    eid_status status = eid_list_copy_into(list, copy);
    if (status != EID_OK) {
        eid_free(copy);
        return status;
    }
    *out = copy;
    return EID_OK;
}

void eid_list_free(eid_list *list)
{
    if (list == NULL)
        return;
    eid_list_clear(list);
    eid_free(list);
}

size_t eid_list_len(const eid_list *list)
{
    return list->root == NULL ? 0 : list->root->live;
}

size_t eid_list_slots(const eid_list *list)
{
    return list->root == NULL ? 0 : list->root->slots;
}

void eid_list_slot(const eid_list *list, size_t slot, eid_position *position, const eid_value **value)
{
    const eid_slot *at = eid_slot_at(list, slot);
    *position = at->position;
    *value = at->value;
}

static eid_status live_slot(const eid_list *list, size_t index, eid_slot **out)
{
    eid_slot *slot = eid_slot_live_at(list, index);
    if (slot == NULL)
        return eid_fail(EID_ERR_INDEX_OUT_OF_BOUNDS, "the list has %zu elements, there is none at index %zu",
                        eid_list_len(list), index);
    *out = slot;
    return EID_OK;
}

eid_status eid_list_get(const eid_list *list, size_t index, const eid_value **out)
{
    EID_NEED(list && out);
    eid_slot *slot = NULL;
    EID_TRY(live_slot(list, index, &slot));
    *out = slot->value;
    return EID_OK;
}

eid_status eid_list_insert_between(eid_list *list, const eid_slot *left, const eid_slot *right,
                                   eid_value *value, eid_slot **out)
{
    eid_position position;
    EID_TRY(eid_position_pick(left == NULL ? NULL : &left->position, right == NULL ? NULL : &right->position,
                              &position));
    eid_slot *slot = eid_slot_new(&position, value);
    if (slot == NULL)
        return eid_fail_memory();
    eid_slot_link(list, slot);
    *out = slot;
    return EID_OK;
}

eid_status eid_list_append(eid_list *list, eid_value *value)
{
    eid_slot *made;
    return eid_list_insert_between(list, eid_slot_last(list), NULL, value, &made);
}

/* A copy of the value that may stand in a list. */
static eid_status copy_element(const eid_value *value, eid_value **out)
{
    EID_TRY(eid_check_depth(EID_CONTAINERS_LEVEL, eid_value_containers(value)));
    return eid_value_copy(value, out);
}

eid_status eid_list_push(eid_list *list, const eid_value *value)
{
    EID_NEED(list && value);
    eid_value *copy;
    EID_TRY(copy_element(value, &copy));
    eid_status status = eid_list_append(list, copy);
    if (status != EID_OK)
        eid_value_free(copy);
    return status;
}

eid_status eid_list_insert(eid_list *list, size_t index, const eid_value *value)
{
    EID_NEED(list && value);
    size_t len = eid_list_len(list);
    if (index > len)
        return eid_fail(EID_ERR_INDEX_OUT_OF_BOUNDS,
                        "the list has %zu elements, nothing can be inserted at index %zu", len, index);
    eid_value *copy;
    EID_TRY(copy_element(value, &copy));
    eid_slot *made;
    eid_status status;
    if (index == 0) {
        status = eid_list_insert_between(list, NULL, eid_slot_first(list), copy, &made);
    } else if (index == len) {
        status = eid_list_append(list, copy);
    } else {
        const eid_slot *left = eid_slot_live_at(list, index - 1);
        status = eid_list_insert_between(list, left, eid_slot_next(left), copy, &made);
    }
    if (status != EID_OK)
        eid_value_free(copy);
    return status;
}

eid_status eid_list_set(eid_list *list, size_t index, const eid_value *value)
{
    EID_NEED(list && value);
    eid_slot *slot = NULL;
    EID_TRY(live_slot(list, index, &slot));
    eid_value *copy;
    EID_TRY(copy_element(value, &copy));
    eid_value_free(eid_slot_place(slot, copy));
    return EID_OK;
}

eid_status eid_list_remove(eid_list *list, size_t index)
{
    EID_NEED(list);
    eid_slot *slot = NULL;
    EID_TRY(live_slot(list, index, &slot));
    eid_value *tombstone;
    EID_TRY(eid_value_new_deleted(&tombstone));
    eid_value_free(eid_slot_place(slot, tombstone));
    return EID_OK;
}

eid_status eid_list_put(eid_list *list, const eid_position *position, eid_value *value)
{
    if (position->denominator == 0)
        return eid_fail(EID_ERR_RANGE, "a list position has the denominator 0; it must be at least 1");
    EID_TRY(eid_check_depth(EID_CONTAINERS_LEVEL, eid_value_containers(value)));
    return eid_list_attach(list, position, value);
}
