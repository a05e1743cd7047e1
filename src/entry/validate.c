/* SPDX-License-Identifier: Apache-2.0 */
/* Structural rules, in the order of entry.md section 10. */
#include "entry/entry_int.h"

static bool has_empty_id(const eid_id *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (eid_id_is_empty(&ids[i]))
            return true;
    }
    return false;
}

eid_status eid_entry_validate(const eid_entry *entry)
{
    EID_NEED(entry);
    if (entry->parent_count > 0 && eid_entry_subtree(entry, eid_slice_text(EID_ROOT_MARKER)) != NULL)
        return eid_fail(EID_ERR_INVALID_ENTRY,
                        "the entry has the marker _root of a database's first entry, and parents");
    if (entry->has_root && eid_id_is_empty(&entry->root))
        return eid_fail(EID_ERR_INVALID_ID, "tree.root is present but empty");
    for (size_t i = 0; i < entry->subtree_count; i++) {
        if (entry->subtrees[i].name_len == 0)
            return eid_fail(EID_ERR_INVALID_ENTRY, "subtree %zu has an empty name", i);
    }
    for (size_t i = 0; i < entry->subtree_count; i++) {
        const eid_subtree *subtree = &entry->subtrees[i];
        if (!eid_subtree_is_root_marker(subtree) && has_empty_id(subtree->parents, subtree->parent_count))
            return eid_fail(EID_ERR_INVALID_ENTRY, "the subtree %s has an empty parent ID", subtree->name);
    }
    if (!entry->is_root && entry->parent_count == 0)
        return eid_fail(EID_ERR_INVALID_ENTRY, "only the first entry of a database may have no parents");
    if (has_empty_id(entry->parents, entry->parent_count))
        return eid_fail(EID_ERR_INVALID_ENTRY, "the entry has an empty parent ID");
    return EID_OK;
}
