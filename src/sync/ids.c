/* SPDX-License-Identifier: Apache-2.0 */
/* A growing list of IDs. */
#include "base/alloc.h"
#include "codec/fields.h"
#include "sync/sync_int.h"

eid_status eid_id_array_add(eid_id_array *list, const eid_id *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        void *items = list->items;
        EID_TRY(eid_make_room(&items, &list->capacity, list->count, sizeof *ids));
        list->items = items;
        list->items[list->count++] = ids[i];
    }
    return EID_OK;
}

void eid_id_array_free(eid_id_array *list)
{
    eid_free(list->items);
    memset(list, 0, sizeof *list);
}
