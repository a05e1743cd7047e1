/* SPDX-License-Identifier: Apache-2.0 */
/* The floors of delegations over the history of the settings.
 *
 * Each payload of `_settings`, in fold order, may give a delegation a floor, take the delegation away, or replace
 * everything around it. Floors are collected for as long as the delegation stands; what takes it away, forgets them.
 */
#include "auth/auth_int.h"

#include "base/alloc.h"
#include "base/map.h"
#include "codec/cid.h"

struct eid_auth_floors {
    eid_map *by_tree; /* binary ID the record is listed under -> eid_buf of eid_id */
};

static void free_ids(void *value)
{
    eid_buf *ids = value;

    if (ids != NULL)
        eid_buf_free(ids);
    eid_free(ids);
}

eid_status eid_auth_floors_new(eid_auth_floors **out)
{
    eid_auth_floors *floors = eid_alloc_zero(1, sizeof *floors);

    if (floors == NULL)
        return eid_fail_memory();
    eid_status status = eid_map_new(&floors->by_tree);
    if (status != EID_OK) {
        eid_free(floors);
        return status;
    }
    *out = floors;
    return EID_OK;
}

void eid_auth_floors_free(eid_auth_floors *floors)
{
    if (floors == NULL)
        return;
    eid_map_free(floors->by_tree, free_ids);
    eid_free(floors);
}

static eid_status ids_of(eid_auth_floors *floors, eid_slice key, eid_buf **out)
{
    eid_map_entry *place;

    EID_TRY(eid_map_put(floors->by_tree, key, &place, NULL));
    if (place->value == NULL) {
        eid_buf *ids = eid_alloc_zero(1, sizeof *ids);
        if (ids == NULL)
            return eid_fail_memory();
        eid_buf_init(ids, SIZE_MAX / 2);
        place->value = ids;
    }
    *out = place->value;
    return EID_OK;
}

eid_status eid_auth_floors_copy(const eid_auth_floors *floors, eid_auth_floors **out)
{
    eid_auth_floors *copy = NULL;
    eid_status status = EID_OK;

    EID_TRY(eid_auth_floors_new(&copy));
    for (eid_map_entry *e = eid_map_first(floors->by_tree); e != NULL && status == EID_OK;
         e = eid_map_next(floors->by_tree, e)) {
        eid_buf *ids = NULL;
        status = ids_of(copy, e->key, &ids);
        if (status == EID_OK) {
            eid_buf_append_slice(ids, eid_buf_slice(e->value));
            status = eid_buf_status(ids);
        }
    }
    if (status != EID_OK) {
        eid_auth_floors_free(copy);
        return status;
    }
    *out = copy;
    return EID_OK;
}

const eid_id *eid_auth_floors_of(const eid_auth_floors *floors, const eid_id *key, size_t *count)
{
    const eid_buf *ids = eid_map_get(floors->by_tree, eid_id_slice(key));

    *count = ids == NULL ? 0 : ids->len / sizeof(eid_id);
    return ids == NULL ? NULL : (const eid_id *)(const void *)ids->data;
}

/* Whether a record that gives a floor is among these children. `group` NULL: nothing is. */
static bool stands_in(const eid_doc *group, eid_slice key)
{
    char text[EID_ID_TEXT_SIZE];
    eid_id tree;

    if (group == NULL || eid_id_from_binary(key, &tree) != EID_OK)
        return false;
    eid_id_format(&tree, text);
    const eid_value *record = eid_doc_child(group, eid_slice_text(text));
    return record != NULL && eid_value_get_kind(record) == EID_VALUE_DOC;
}

/* Everything was replaced, and only what stands in the new group is still there. A record that is replaced in one step
 * was never away: its floors stay. */
static eid_status keep_only(eid_auth_floors *floors, const eid_doc *group)
{
    eid_map_entry *next;

    for (eid_map_entry *e = eid_map_first(floors->by_tree); e != NULL; e = next) {
        next = eid_map_next(floors->by_tree, e);
        if (!stands_in(group, e->key))
            free_ids(eid_map_remove(floors->by_tree, e->key));
    }
    return EID_OK;
}

static eid_status add_floor(eid_auth_floors *floors, const eid_id *key, const eid_value *value)
{
    const eid_doc *record;
    eid_buf *ids = NULL;

    if (eid_value_as_doc(value, &record) != EID_OK) {
        free_ids(eid_map_remove(floors->by_tree, eid_id_slice(key)));
        return EID_OK;
    }
    EID_TRY(ids_of(floors, eid_id_slice(key), &ids));
    eid_auth_read_tips(record, ids); /* what is readable counts, be the record usable or not */
    EID_TRY(eid_buf_status(ids));
    ids->len = eid_ids_sort((eid_id *)(void *)ids->data, ids->len / sizeof(eid_id)) * sizeof(eid_id);
    return EID_OK;
}

/* The child as a Doc; NULL when it is something else or absent. */
static const eid_doc *doc_child(const eid_doc *doc, const char *key)
{
    const eid_value *value = doc == NULL ? NULL : eid_doc_child(doc, eid_slice_text(key));
    const eid_doc *child;

    return value != NULL && eid_value_as_doc(value, &child) == EID_OK ? child : NULL;
}

eid_status eid_auth_floors_add(eid_auth_floors *floors, const eid_doc *payload)
{
    const eid_doc *auth = doc_child(payload, "auth"), *group = doc_child(auth, "delegations");
    bool replaced = eid_doc_is_atomic(payload) || (auth != NULL && eid_doc_is_atomic(auth)) ||
                    (group != NULL && eid_doc_is_atomic(group));
    const eid_doc_cursor *cursor = NULL;
    const eid_value *value;
    const char *text;
    size_t len;

    /* Something that is no Doc replaces what stood there too. */
    replaced = replaced || (auth == NULL && eid_doc_child(payload, eid_slice_text("auth")) != NULL) ||
               (auth != NULL && group == NULL && eid_doc_child(auth, eid_slice_text("delegations")) != NULL);
    if (replaced)
        EID_TRY(keep_only(floors, group));
    while (group != NULL && eid_doc_next_raw(group, &cursor, &text, &len, &value)) {
        eid_id key;
        if (eid_auth_read_tree_key(eid_slice_of(text, len), &key))
            EID_TRY(add_floor(floors, &key, value));
    }
    return EID_OK;
}
