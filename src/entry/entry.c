/* SPDX-License-Identifier: Apache-2.0 */
/* What an entry tells about itself, and its life. */
#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "entry/entry_int.h"

eid_entry *eid_entry_ref(eid_entry *entry)
{
    atomic_fetch_add_explicit(&entry->references, 1, memory_order_relaxed);
    return entry;
}

void eid_entry_unref(eid_entry *entry)
{
    if (entry == NULL)
        return;
    /* Whoever frees must see the reads of all others as done. */
    int before = atomic_fetch_sub_explicit(&entry->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1)
        eid_free(entry);
}

const eid_id *eid_entry_id(const eid_entry *entry)
{
    return &entry->id;
}

void eid_entry_cbor(const eid_entry *entry, const void **data, size_t *len)
{
    *data = entry->cbor;
    *len = entry->cbor_len;
}

bool eid_entry_is_root(const eid_entry *entry)
{
    return entry->is_root;
}

const eid_id *eid_entry_database_id(const eid_entry *entry)
{
    return entry->is_root ? &entry->id : &entry->root;
}

uint64_t eid_entry_height(const eid_entry *entry)
{
    return entry->height;
}

size_t eid_entry_parent_count(const eid_entry *entry)
{
    return entry->parent_count;
}

const eid_id *eid_entry_parent(const eid_entry *entry, size_t index)
{
    assert(index < entry->parent_count);
    return &entry->parents[index];
}

bool eid_entry_metadata(const eid_entry *entry, const void **data, size_t *len)
{
    if (!entry->has_metadata)
        return false;
    *data = entry->metadata;
    *len = entry->metadata_len;
    return true;
}

size_t eid_entry_store_count(const eid_entry *entry)
{
    return entry->subtree_count;
}

static const eid_subtree *subtree_at(const eid_entry *entry, size_t store)
{
    assert(store < entry->subtree_count);
    return &entry->subtrees[store];
}

const char *eid_entry_store_name(const eid_entry *entry, size_t store)
{
    return subtree_at(entry, store)->name;
}

size_t eid_entry_store_parent_count(const eid_entry *entry, size_t store)
{
    return subtree_at(entry, store)->parent_count;
}

const eid_id *eid_entry_store_parent(const eid_entry *entry, size_t store, size_t index)
{
    const eid_subtree *subtree = subtree_at(entry, store);
    assert(index < subtree->parent_count);
    return &subtree->parents[index];
}

bool eid_entry_store_data(const eid_entry *entry, size_t store, const void **data, size_t *len)
{
    const eid_subtree *subtree = subtree_at(entry, store);
    if (!subtree->has_data)
        return false;
    *data = subtree->data;
    *len = subtree->data_len;
    return true;
}

uint64_t eid_entry_store_height(const eid_entry *entry, size_t store)
{
    const eid_subtree *subtree = subtree_at(entry, store);
    return subtree->has_height ? subtree->height : entry->height;
}

const eid_subtree *eid_entry_subtree(const eid_entry *entry, eid_slice name)
{
    for (size_t i = 0; i < entry->subtree_count; i++) {
        const eid_subtree *subtree = &entry->subtrees[i];
        if (eid_slice_equal(eid_slice_of(subtree->name, subtree->name_len), name))
            return subtree;
    }
    return NULL;
}

bool eid_entry_signer(const eid_entry *entry, eid_pubkey *out)
{
    if (!entry->sigkey.hint.has_pubkey)
        return false;
    *out = entry->sigkey.hint.pubkey;
    return true;
}

bool eid_entry_is_signed(const eid_entry *entry)
{
    return entry->signature != NULL;
}
