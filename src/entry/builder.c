/* SPDX-License-Identifier: Apache-2.0 */
/* The builder: makes entries in the one form they may be written in (entry.md section 9).
 *
 * Order is kept from the start: ID lists are sorted and freed of duplicates when they are given, subtrees
 * stand sorted by name. So finishing only encodes, and a builder may be finished more than once. */
#include <string.h>

#include "base/alloc.h"
#include "base/search.h"
#include "base/utf8.h"
#include "codec/cid.h"
#include "entry/entry_int.h"

#define FIRST_SUBTREES 4

struct eid_entry_builder {
    eid_id root;     /* empty: a root entry */
    eid_id *parents; /* sorted */
    size_t parent_count;
    uint64_t height;
    uint8_t *metadata; /* NULL: none */
    size_t metadata_len;
    eid_subtree *subtrees; /* sorted by name; each owns its members */
    size_t subtree_count;
    size_t subtree_capacity;
};

eid_status eid_entry_builder_new(const eid_id *root, eid_entry_builder **out)
{
    eid_entry_builder *builder = eid_alloc_zero(1, sizeof *builder);
    if (builder == NULL)
        return eid_fail_memory();
    if (root != NULL)
        builder->root = *root;
    *out = builder;
    return EID_OK;
}

static void free_subtree(eid_subtree *subtree)
{
    eid_free(subtree->name);
    eid_free(subtree->parents);
    eid_free(subtree->data);
}

void eid_entry_builder_free(eid_entry_builder *builder)
{
    if (builder == NULL)
        return;
    for (size_t i = 0; i < builder->subtree_count; i++)
        free_subtree(&builder->subtrees[i]);
    eid_free(builder->subtrees);
    eid_free(builder->parents);
    eid_free(builder->metadata);
    eid_free(builder);
}

/* A sorted copy without duplicates; never NULL on success. */
static eid_status copy_ids(const eid_id *ids, size_t count, eid_id **out, size_t *out_count)
{
    eid_id *copy = eid_realloc_array(NULL, count, sizeof *copy);
    if (copy == NULL)
        return eid_fail_memory();
    if (count > 0) {
        memcpy(copy, ids, count * sizeof *copy);
        count = eid_ids_sort(copy, count);
    }
    *out = copy;
    *out_count = count;
    return EID_OK;
}

eid_status eid_entry_builder_set_parents(eid_entry_builder *builder, const eid_id *parents, size_t count)
{
    eid_id *copy = NULL;
    EID_TRY(copy_ids(parents, count, &copy, &count));
    eid_free(builder->parents);
    builder->parents = copy;
    builder->parent_count = count;
    return EID_OK;
}

void eid_entry_builder_set_height(eid_entry_builder *builder, uint64_t height)
{
    builder->height = height;
}

eid_status eid_entry_builder_set_metadata(eid_entry_builder *builder, eid_slice metadata)
{
    uint8_t *copy = NULL;
    if (metadata.data != NULL) {
        copy = eid_memdup(metadata.data, metadata.len);
        if (copy == NULL)
            return eid_fail_memory();
    }
    eid_free(builder->metadata);
    builder->metadata = copy;
    builder->metadata_len = copy == NULL ? 0 : metadata.len;
    return EID_OK;
}

static eid_slice name_of(const eid_subtree *subtree)
{
    return eid_slice_of(subtree->name, subtree->name_len);
}

static int compare_name(const void *name, const void *subtree)
{
    return eid_slice_compare(*(const eid_slice *)name, name_of(subtree));
}

/* The place of the name: where it stands, or where it belongs. */
static size_t find_place(const eid_entry_builder *builder, eid_slice name, bool *found)
{
    return eid_search(&name, builder->subtrees, builder->subtree_count, sizeof *builder->subtrees, compare_name, found);
}

static eid_status make_room(eid_entry_builder *builder)
{
    if (builder->subtree_count < builder->subtree_capacity)
        return EID_OK;
    size_t capacity = builder->subtree_capacity == 0 ? FIRST_SUBTREES : builder->subtree_capacity * 2;
    eid_subtree *subtrees = eid_realloc_array(builder->subtrees, capacity, sizeof *subtrees);
    if (subtrees == NULL)
        return eid_fail_memory();
    builder->subtrees = subtrees;
    builder->subtree_capacity = capacity;
    return EID_OK;
}

static eid_status make_subtree(eid_slice name, const eid_id *parents, size_t parent_count,
                               const eid_slice *data, const uint64_t *height, eid_subtree *out)
{
    eid_subtree made;
    memset(&made, 0, sizeof made);
    made.name = eid_memdup(name.data, name.len);
    made.name_len = name.len;
    if (data != NULL) {
        made.has_data = true;
        made.data = eid_memdup(data->data, data->len);
        made.data_len = data->len;
    }
    if (height != NULL) {
        made.has_height = true;
        made.height = *height;
    }
    eid_status status = made.name == NULL || (data != NULL && made.data == NULL) ? eid_fail_memory() : EID_OK;
    if (status == EID_OK)
        status = copy_ids(parents, parent_count, &made.parents, &made.parent_count);
    if (status != EID_OK) {
        free_subtree(&made);
        return status;
    }
    *out = made;
    return EID_OK;
}

eid_status eid_entry_builder_set_subtree(eid_entry_builder *builder, const char *name, const eid_id *parents,
                                         size_t parent_count, const eid_slice *data, const uint64_t *height)
{
    eid_slice key = eid_slice_text(name);
    if (!eid_utf8_valid(key))
        return eid_fail(EID_ERR_UTF8, "the name of a store must be UTF-8 text");
    bool found;
    size_t place = find_place(builder, key, &found);
    if (!found)
        EID_TRY(make_room(builder));
    eid_subtree made;
    EID_TRY(make_subtree(key, parents, parent_count, data, height, &made));
    eid_subtree *at = &builder->subtrees[place];
    if (found) {
        free_subtree(at);
    } else {
        memmove(at + 1, at, (builder->subtree_count - place) * sizeof *at);
        builder->subtree_count++;
    }
    *at = made;
    return EID_OK;
}

/* ---- finishing ---- */

static eid_draft_bytes lend_bytes(const void *data, size_t len, bool present)
{
    return (eid_draft_bytes){data, len, 0, present};
}

static eid_status fill_draft(const eid_entry_builder *builder, eid_draft *draft)
{
    draft->root = builder->root;
    draft->has_root = !eid_id_is_empty(&builder->root);
    draft->height = builder->height;
    draft->parents = (eid_draft_ids){builder->parents, builder->parent_count, 0};
    draft->metadata = lend_bytes(builder->metadata, builder->metadata_len, builder->metadata != NULL);
    for (size_t i = 0; i < builder->subtree_count; i++) {
        const eid_subtree *from = &builder->subtrees[i];
        eid_draft_subtree *subtree;
        EID_TRY(eid_draft_add_subtree(draft, &subtree));
        subtree->name = lend_bytes(from->name, from->name_len, true);
        subtree->data = lend_bytes(from->data, from->data_len, from->has_data);
        subtree->parents = (eid_draft_ids){from->parents, from->parent_count, 0};
        subtree->has_height = from->has_height;
        subtree->height = from->height;
    }
    return EID_OK;
}

/* What the signature block says about the key, and whether it may say it. */
static eid_status fill_sigkey(const eid_keypair *key, const eid_sigkey *sigkey, eid_draft *draft)
{
    if (key == NULL) {
        if (sigkey != NULL)
            return eid_fail(EID_ERR_INVALID_ARGUMENT,
                            "an entry that names a key must be signed: give the key too");
        return EID_OK;
    }
    eid_sigkey direct;
    if (sigkey == NULL) {
        eid_pubkey pubkey;
        eid_keypair_public(key, &pubkey);
        eid_sigkey_direct(&pubkey, &direct);
        sigkey = &direct;
    }
    EID_TRY(eid_draft_sigkey_view(sigkey, &draft->sigkey));
    if (!draft->sigkey.is_delegation && !eid_draft_sigkey_hint_is_set(&draft->sigkey))
        return eid_fail(
            EID_ERR_INVALID_ARGUMENT,
            "a direct signature must name its key, by public key or by name, else nobody can check it");
    if (!eid_utf8_valid(eid_slice_of(draft->sigkey.name.data, draft->sigkey.name.len)))
        return eid_fail(EID_ERR_UTF8, "the name of a key must be UTF-8 text");
    return EID_OK;
}

eid_status eid_entry_builder_finish(const eid_entry_builder *builder, const eid_keypair *key,
                                    const eid_sigkey *sigkey, eid_entry **out)
{
    eid_draft draft;
    eid_draft_init(&draft);
    eid_entry *entry = NULL;
    eid_status status;
    EID_TRY_GOTO(status, fill_draft(builder, &draft), done);
    EID_TRY_GOTO(status, fill_sigkey(key, sigkey, &draft), done);
    EID_TRY_GOTO(status, eid_draft_seal(&draft, key, &entry), done);
    EID_TRY_GOTO(status, eid_entry_validate(entry), done);
    *out = entry;
    entry = NULL;

done:
    eid_entry_unref(entry);
    eid_draft_free(&draft);
    return status;
}
