/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers of the delegation tests. */
#include "delegation_test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

static eid_txn *begin(eid_database *database)
{
    eid_txn *txn;

    tu_assert_ok(eid_database_new_transaction(database, &txn));
    return txn;
}

static eid_id commit(eid_txn *txn)
{
    eid_id id;

    tu_assert_ok(eid_txn_commit_free(txn, &id));
    return id;
}

eid_id dl_delegate(eid_database *admin, const eid_id *members, const eid_id *floor, eid_permission max)
{
    eid_txn *txn = begin(admin);

    tu_assert_ok(eid_settings_add_delegation(txn, members, floor, floor == NULL ? 0 : 1, max, NULL));
    return commit(txn);
}

eid_id dl_raise(eid_database *admin, const eid_id *members, const eid_id *floor)
{
    eid_txn *txn = begin(admin);

    tu_assert_ok(eid_settings_raise_delegation(txn, members, floor, floor == NULL ? 0 : 1));
    return commit(txn);
}

eid_id dl_remove(eid_database *admin, const eid_id *members)
{
    eid_txn *txn = begin(admin);

    tu_assert_ok(eid_settings_remove_delegation(txn, members));
    return commit(txn);
}

eid_id dl_grant(eid_database *admin, uint8_t number, eid_permission permission)
{
    eid_pubkey key = dt_pubkey(number);
    eid_txn *txn = begin(admin);

    tu_assert_ok(eid_settings_set_auth_key(txn, &key, NULL, permission, EID_KEY_ACTIVE));
    return commit(txn);
}

eid_id dl_revoke(eid_database *admin, uint8_t number)
{
    eid_pubkey key = dt_pubkey(number);
    eid_txn *txn = begin(admin);

    tu_assert_ok(eid_settings_revoke_auth_key(txn, &key));
    return commit(txn);
}

eid_id dl_force(eid_database *admin, const eid_id *members, const eid_id *floor, size_t count, eid_permission max)
{
    char path[EID_ID_TEXT_SIZE + 32] = "auth.delegations.", text[EID_ID_TEXT_SIZE];
    eid_bounds bounds = {.max = max};
    eid_txn *txn = begin(admin);
    eid_value *value;
    eid_doc *record;

    eid_id_format(members, text);
    strcat(path, text);
    tu_assert_ok(eid_auth_delegation_to_doc(members, floor, count, &bounds, &record));
    tu_assert_ok(eid_value_new_doc(record, &value));
    tu_assert_ok(eid_settings_set(txn, path, value));
    eid_value_free(value);
    eid_doc_free(record);
    return commit(txn);
}

eid_database *dl_open(eid_core *core, const eid_id *database, uint8_t number)
{
    eid_pubkey key = dt_pubkey(number);
    eid_permission permission;
    eid_database *handle;
    eid_sigkey identity;
    eid_status status = eid_core_best_identity(core, database, &key, &identity, &permission);

    if (status == EID_ERR_PERMISSION_DENIED)
        return NULL;
    tu_assert_ok(status);
    eid_keypair *pair = dt_key(number);
    tu_assert_ok(eid_database_open_as(core, database, pair, &identity, &handle));
    eid_keypair_free(pair);
    eid_sigkey_free(&identity);
    return handle;
}

eid_status dl_write(eid_database *database, const char *key, int64_t value)
{
    eid_txn *txn = begin(database);

    dt_put_int(txn, "d", key, value);
    return eid_txn_commit_free(txn, NULL);
}

/* Tips of `_settings` or, for NULL, of the database; free() them. */
static eid_id *tips_of(eid_database *database, const char *store, size_t *count)
{
    eid_storage *storage = eid_core_storage(eid_database_core(database));
    eid_tree_store *found;
    eid_tree *tree;

    eid_storage_lock(storage);
    tu_assert_ok(eid_storage_tree(storage, eid_database_root_id(database), &tree));
    found = tree->main;
    if (store != NULL)
        tu_assert_ok(eid_storage_store(storage, tree, eid_slice_text(store), &found));
    *count = found == NULL ? 0 : found->tip_count;
    eid_id *ids = calloc(*count + 1, sizeof *ids);
    for (size_t i = 0; i < *count; i++)
        ids[i] = found->tips[i].id;
    eid_storage_unlock(storage);
    return ids;
}

eid_entry *dl_make(eid_database *database, uint8_t number, const dl_step *steps, size_t count, const char *name, const eid_id *pins,
                   size_t pin_count)
{
    char payload[128];
    size_t parent_count, settings_count;
    eid_id *parents = tips_of(database, NULL, &parent_count), *settings = tips_of(database, EID_SETTINGS, &settings_count);
    eid_delegation_step path[EID_LIMIT_DELEGATION_STEPS + 1];
    eid_sigkey sigkey = {.is_delegation = true, .hint = {.has_pubkey = true, .pubkey = dt_pubkey(number)}, .path = path};
    dt_draft draft = {.root = eid_database_root_id(database),
                      .parents = parents,
                      .parent_count = parent_count,
                      .pins = pins != NULL ? pins : settings,
                      .pin_count = pins != NULL ? pin_count : settings_count,
                      .height = 1000,
                      .store = "d",
                      .payload = payload,
                      .key = number,
                      .sigkey = &sigkey};

    snprintf(payload, sizeof payload, "{\"children\":{\"%s\":{\"Int\":%d}}}", name, (int)number);
    sigkey.path_count = count;
    for (size_t i = 0; i < count; i++) {
        path[i] = (eid_delegation_step){*steps[i].tree, calloc(steps[i].count + 1, sizeof(eid_id)), steps[i].count};
        for (size_t k = 0; k < steps[i].count; k++)
            path[i].tips[k] = steps[i].claims[k];
    }
    eid_entry *entry = dt_make(&draft);
    for (size_t i = 0; i < count; i++)
        free(path[i].tips);
    free(parents);
    free(settings);
    return entry;
}

eid_entry *dl_make_one(eid_database *database, uint8_t number, const eid_id *tree, const eid_id *claim, const char *name)
{
    dl_step step = {tree, claim, claim == NULL ? 0 : 1};

    return dl_make(database, number, &step, 1, name, NULL, 0);
}

eid_verdict dl_receive(eid_core *core, const eid_id *database, eid_entry *entry)
{
    eid_receipt receipt;
    eid_verdict verdict;

    tu_assert_ok(eid_core_receive(core, database, &entry, 1, &receipt, &verdict));
    return verdict;
}

eid_receipt dl_copy(eid_core *from, eid_core *to, const eid_id *database)
{
    size_t count;
    eid_entry **entries = dt_entries(from, database, &count);
    eid_receipt receipt = dt_receive(to, database, entries, count);

    th_free_entries(entries, count);
    return receipt;
}

void dl_assert_same(eid_core *a, eid_core *b, const eid_id *database)
{
    uint8_t left[32], right[32];
    eid_database *x = dt_open_as(a, database, 0), *y = dt_open_as(b, database, 0);

    tu_assert_ok(eid_database_state_hash(x, left));
    tu_assert_ok(eid_database_state_hash(y, right));
    assert_memory_equal(left, right, sizeof left);
    eid_database_close(x);
    eid_database_close(y);
}
