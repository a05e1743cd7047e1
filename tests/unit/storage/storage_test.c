/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers of the storage tests. */
#include "storage_test.h"

#include <stdlib.h>

#include "codec/cid.h"

eid_storage *st_open(const char *path)
{
    eid_storage_options options = {.path = path};
    eid_storage *storage;
    tu_assert_ok(eid_storage_open(&options, &storage));
    return storage;
}

eid_storage *st_memory(void)
{
    return st_open(":memory:");
}

static void set_metadata(eid_entry_builder *builder, unsigned salt, size_t len)
{
    size_t size = len < sizeof salt ? sizeof salt : len;
    uint8_t *bytes = calloc(size, 1);
    memcpy(bytes, &salt, sizeof salt);
    tu_assert_ok(eid_entry_builder_set_metadata(builder, eid_slice_of(bytes, size)));
    free(bytes);
}

static eid_entry *finish(eid_entry_builder *builder)
{
    eid_entry *entry;
    tu_assert_ok(eid_entry_builder_finish(builder, NULL, NULL, &entry));
    eid_entry_builder_free(builder);
    return entry;
}

eid_entry *st_root(unsigned salt)
{
    eid_entry_builder *builder;
    eid_slice marker = eid_slice_text("\"\"");
    tu_assert_ok(eid_entry_builder_new(NULL, &builder));
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "_root", NULL, 0, &marker, NULL));
    set_metadata(builder, salt, 0);
    return finish(builder);
}

eid_entry *st_child(const eid_entry *root, eid_entry *const *parents, size_t parent_count, const char *const *stores,
                    unsigned salt, size_t metadata_len)
{
    eid_entry_builder *builder;
    eid_id *ids = calloc(parent_count + 1, sizeof *ids);
    uint64_t height = 0;
    for (size_t i = 0; i < parent_count; i++) {
        ids[i] = parents[i]->id;
        height = parents[i]->height >= height ? parents[i]->height + 1 : height;
    }
    tu_assert_ok(eid_entry_builder_new(&root->id, &builder));
    tu_assert_ok(eid_entry_builder_set_parents(builder, ids, parent_count));
    eid_entry_builder_set_height(builder, height);
    for (size_t i = 0; stores != NULL && stores[i] != NULL; i++)
        tu_assert_ok(eid_entry_builder_set_subtree(builder, stores[i], ids, parent_count, NULL, NULL));
    set_metadata(builder, salt, metadata_len);
    free(ids);
    return finish(builder);
}

eid_id st_id(unsigned number)
{
    uint8_t digest[32] = {0xee};
    eid_id id;
    memcpy(digest + 1, &number, sizeof number);
    eid_id_from_digest(EID_CODEC_DAG_CBOR, digest, &id);
    return id;
}

int64_t st_admit_root(eid_storage *storage, const eid_entry *root, eid_tree **tree)
{
    tu_assert_ok(eid_storage_tree_create(storage, &root->id, tree));
    return st_admit(storage, *tree, root, NULL, 0);
}

int64_t st_admit(eid_storage *storage, eid_tree *tree, const eid_entry *entry, const int64_t *parents, size_t count)
{
    int64_t n;
    tu_assert_ok(eid_storage_admit(storage, tree, entry, parents, count, &n));
    return n;
}
