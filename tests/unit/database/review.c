/* SPDX-License-Identifier: Apache-2.0 */
/* The maker of strange entries. */
#include "review.h"

#include <stdlib.h>

#include "base/alloc.h"

eid_keypair *rv_key(uint8_t number)
{
    uint8_t seed[32] = {0x5a, number};
    eid_keypair *key;
    tu_assert_ok(eid_keypair_from_seed(seed, &key));
    return key;
}

char *rv_grant(const eid_keypair *key, eid_permission_kind kind, eid_key_status status)
{
    eid_pubkey pubkey;
    char text[EID_PUBKEY_TEXT_SIZE], path[EID_PUBKEY_TEXT_SIZE + 16] = "auth.keys.", *json;
    eid_doc *settings, *record;
    eid_keypair_public(key, &pubkey);
    eid_pubkey_format(&pubkey, text);
    strcat(path, text);
    tu_assert_ok(eid_auth_key_to_doc(NULL, (eid_permission){kind, 0}, status, &record));
    tu_assert_ok(eid_doc_new(&settings));
    tu_assert_ok(eid_doc_set_doc(settings, path, record));
    tu_assert_ok(eid_doc_to_json(settings, &json, NULL));
    eid_doc_free(settings);
    eid_doc_free(record);
    return json;
}

static size_t ids_of(const eid_entry *const *entries, eid_id *out)
{
    size_t count = 0;
    while (count < RV_MANY && entries[count] != NULL) {
        out[count] = entries[count]->id;
        count++;
    }
    return count;
}

static eid_entry *finish(eid_entry_builder *builder, const eid_keypair *key, const eid_sigkey *sigkey, const eid_entry *const *pins,
                         uint64_t salt)
{
    eid_id ids[RV_MANY];
    size_t count = ids_of(pins, ids);
    eid_entry *entry;
    eid_buf metadata;
    eid_buf_init(&metadata, 4096);
    eid_metadata_write(&metadata, ids, count, &salt);
    tu_assert_ok(eid_buf_status(&metadata));
    tu_assert_ok(eid_entry_builder_set_metadata(builder, eid_buf_slice(&metadata)));
    eid_buf_free(&metadata);
    tu_assert_ok(eid_entry_builder_finish(builder, key, sigkey, &entry));
    eid_entry_builder_free(builder);
    return entry;
}

eid_entry *rv_root(const eid_keypair *key, const char *settings, uint64_t salt)
{
    static const eid_entry *const no_pins[RV_MANY] = {NULL};
    eid_entry_builder *builder;
    eid_slice marker = eid_slice_text("\"\"");
    tu_assert_ok(eid_entry_builder_new(NULL, &builder));
    tu_assert_ok(eid_entry_builder_set_subtree(builder, "_root", NULL, 0, &marker, NULL));
    if (settings != NULL) {
        eid_slice data = eid_slice_text(settings);
        tu_assert_ok(eid_entry_builder_set_subtree(builder, "_settings", NULL, 0, &data, NULL));
    }
    return finish(builder, key, NULL, no_pins, salt);
}

eid_entry *rv_entry(const eid_entry *root, const rv_spec *spec)
{
    eid_entry_builder *builder;
    eid_id ids[RV_MANY];
    tu_assert_ok(eid_entry_builder_new(&root->id, &builder));
    size_t count = ids_of(spec->parents, ids);
    tu_assert_ok(eid_entry_builder_set_parents(builder, ids, count));
    eid_entry_builder_set_height(builder, spec->height);
    for (size_t i = 0; i < RV_MANY && spec->stores[i].name != NULL; i++) {
        const rv_store *store = &spec->stores[i];
        eid_slice data = eid_slice_text(store->data != NULL ? store->data : "");
        count = ids_of(store->parents, ids);
        tu_assert_ok(eid_entry_builder_set_subtree(builder, store->name, ids, count, store->data != NULL ? &data : NULL, NULL));
    }
    return finish(builder, spec->key, spec->sigkey, spec->pins, spec->salt);
}

eid_core *rv_core(void)
{
    eid_core_options options = {.path = ":memory:", .clock = eid_clock_system};
    eid_core *core;
    tu_assert_ok(eid_core_open(&options, &core));
    return core;
}

eid_verdict rv_receive(eid_core *core, const eid_entry *root, eid_entry *const *entries, size_t count, eid_receipt *receipt)
{
    eid_receipt own;
    eid_verdict *verdicts = calloc(count, sizeof *verdicts);
    tu_assert_ok(eid_core_receive(core, &root->id, entries, count, receipt != NULL ? receipt : &own, verdicts));
    eid_verdict last = verdicts[count - 1];
    free(verdicts);
    return last;
}

eid_verdict rv_receive_one(eid_core *core, const eid_entry *root, eid_entry *entry)
{
    return rv_receive(core, root, &entry, 1, NULL);
}

bool rv_holds(eid_core *core, const eid_entry *entry)
{
    int64_t n;
    eid_storage *storage = eid_core_storage(core);
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_find(storage, &entry->id, &n, NULL));
    eid_storage_unlock(storage);
    return n != 0;
}

uint64_t rv_waiting(eid_core *core, const eid_entry *root)
{
    eid_tree *tree;
    eid_storage *storage = eid_core_storage(core);
    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_tree(storage, &root->id, &tree));
    uint64_t waiting = tree->waiting;
    eid_storage_unlock(storage);
    return waiting;
}
