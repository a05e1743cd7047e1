/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions: what they see, and what is staged in them.
 *
 * A transaction at the frontier sees everything that had arrived when it began: a bound on arrival numbers. Cells answer as
 * long as nothing newer touched them; a key that was touched since is folded without the newer entries. So readers never
 * block writers, and a transaction never mixes states.
 */
#include "database/txn_int.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "base/utf8.h"

eid_status eid_txn_usable(const eid_txn *txn)
{
    if (txn->committed)
        return eid_fail(EID_ERR_ALREADY_COMMITTED, "The transaction was committed already; start a new one");
    return EID_OK;
}

/* ---- Beginning and end ---- */

void eid_txn_store_free(eid_txn_store *store)
{
    if (store == NULL)
        return;
    eid_doc_free(store->delta);
    eid_doc_free(store->committed);
    eid_store_codec_unref(store->codec);
    eid_free(store->name);
    eid_free(store);
}

static void free_store(void *value)
{
    eid_txn_store_free(value);
}

void eid_txn_free(eid_txn *txn)
{
    if (txn == NULL)
        return;
    eid_map_free(txn->stores, free_store);
    eid_signer_unref(txn->signer);
    eid_free(txn->parents);
    eid_free(txn->members);
    eid_free(txn);
}

static eid_status txn_new(eid_database *database, eid_txn **out)
{
    eid_txn *txn = eid_alloc_zero(1, sizeof *txn);
    if (txn == NULL)
        return eid_fail_memory();
    txn->database = database;
    txn->view.up_to = INT64_MAX;
    eid_status status = eid_map_new(&txn->stores);
    if (status != EID_OK) {
        eid_free(txn);
        return status;
    }
    txn->signer = eid_database_signer(database);
    *out = txn;
    return EID_OK;
}

/* Copies the nodes; of more than an entry may name as parents the newest are taken, the others wait for the next commit. */
static eid_status set_parents(eid_txn *txn, const eid_node *nodes, size_t count)
{
    if (count > EID_LIMIT_ENTRY_PARENTS) {
        nodes += count - EID_LIMIT_ENTRY_PARENTS;
        count = EID_LIMIT_ENTRY_PARENTS;
    }
    txn->parents = eid_memdup(nodes, count * sizeof *nodes);
    if (txn->parents == NULL)
        return eid_fail_memory();
    txn->parent_count = count;
    return EID_OK;
}

eid_status eid_database_new_transaction(eid_database *database, eid_txn **out)
{
    EID_NEED(database && out);
    eid_txn *txn = NULL;
    EID_TRY(txn_new(database, &txn));
    eid_tree *tree;
    eid_storage_lock(database->core->storage);
    eid_status status = eid_database_tree(database, &tree);
    if (status == EID_OK) {
        txn->view.up_to = tree->main->newest;
        status = set_parents(txn, tree->main->tips, tree->main->tip_count);
    }
    eid_storage_unlock(database->core->storage);
    if (status != EID_OK) {
        eid_txn_free(txn);
        return status;
    }
    *out = txn;
    return EID_OK;
}

/* The nodes of the given tips, and everything below them. */
static eid_status open_at(eid_txn *txn, const eid_id *tips, size_t count)
{
    eid_core *core = txn->database->core;
    eid_tree *tree;
    EID_TRY(eid_database_tree(txn->database, &tree));
    EID_TRY(eid_tree_members_at(core, tree, tips, count, &txn->members, &txn->view.member_count));
    txn->view.members = txn->members;
    txn->view.up_to = tree->main->newest; /* store parents reach beyond the members; what comes later is not seen */
    eid_node *nodes = NULL;
    size_t node_count = 0;
    EID_TRY(eid_state_tips(core->storage, tree->main, &txn->view, &nodes, &node_count));
    eid_status status = set_parents(txn, nodes, node_count);
    eid_free(nodes);
    return status;
}

eid_status eid_database_new_transaction_at(eid_database *database, const eid_id *tips, size_t count, eid_txn **out)
{
    EID_NEED(database && (tips || count == 0) && out);
    if (count == 0)
        return eid_fail(EID_ERR_INVALID_TIP, "A transaction needs at least one tip to build on");
    eid_txn *txn = NULL;
    EID_TRY(txn_new(database, &txn));
    eid_storage_lock(database->core->storage);
    eid_status status = open_at(txn, tips, count);
    eid_storage_unlock(database->core->storage);
    if (status != EID_OK) {
        eid_txn_free(txn);
        return status;
    }
    *out = txn;
    return EID_OK;
}

eid_database *eid_txn_database(const eid_txn *txn)
{
    return txn->database;
}

/* ---- Opening stores ---- */

eid_status eid_store_name_check(const char *name)
{
    size_t len = strlen(name);
    if (len == 0)
        return eid_fail(EID_ERR_STORE_NAME, "A store needs a name");
    if (len > EID_LIMIT_STORE_NAME)
        return eid_fail(EID_ERR_STORE_NAME, "The store name is longer than %d bytes", EID_LIMIT_STORE_NAME);
    if (name[0] == '_')
        return eid_fail(EID_ERR_STORE_NAME, "Store names starting with \"_\" are reserved: %s", name);
    if (memchr(name, '.', len) != NULL)
        return eid_fail(EID_ERR_STORE_NAME, "Store names may not contain \".\": %s", name);
    if (!eid_utf8_valid(eid_slice_text(name)))
        return eid_fail(EID_ERR_STORE_NAME, "The store name is not UTF-8");
    return EID_OK;
}

/* stores.md section 4 */
eid_status eid_txn_store_registered(eid_txn_store *store, const eid_value *record, const char *type)
{
    const eid_doc *doc;
    const char *registered;
    if (eid_value_as_doc(record, &doc) != EID_OK || eid_doc_get_text(doc, "type", &registered, NULL) != EID_OK)
        return eid_fail(EID_ERR_CORRUPT, "The registry record of store %s can not be read", store->name);
    if (strcmp(registered, type) != 0)
        return eid_fail(EID_ERR_TYPE_MISMATCH, "Store %s is of type %s, not %s%s", store->name, registered, type,
                        strncmp(registered, "encrypted:", 10) == 0 ? ": unlock it with its password first" : "");
    store->registered = true;
    eid_store_record_strategy(record, &store->has_strategy, &store->strategy);
    return EID_OK;
}

eid_status eid_txn_store_record(eid_txn *txn, const char *name, eid_value **out)
{
    eid_txn_store *index;
    EID_TRY(eid_txn_open_store(txn, EID_INDEX, NULL, &index));
    return eid_txn_store_child(index, eid_slice_text(name), out);
}

/* A store that has no record, but payloads that are no documents, lost its record: taking it for a new one would put clear
 * text into an encrypted store. */
static eid_status check_new(eid_txn *txn, const char *name)
{
    eid_storage *storage = txn->database->core->storage;
    eid_tree *tree;
    eid_tree_store *store = NULL;
    eid_storage_lock(storage);
    eid_status status = eid_database_tree(txn->database, &tree);
    if (status == EID_OK)
        status = eid_storage_store(storage, tree, eid_slice_text(name), &store);
    bool hidden = status == EID_OK && store != NULL && store->unreadable > 0;
    eid_storage_unlock(storage);
    if (hidden)
        return eid_fail(EID_ERR_TYPE_MISMATCH,
                        "Store %s has no record in the registry, but holds data of another kind: use another name", name);
    return status;
}

eid_status eid_txn_check_unregistered(eid_txn *txn, const char *name, const char *type)
{
    const eid_txn_store *store = eid_map_get(txn->stores, eid_slice_text(name));
    if (store != NULL && store->type != NULL && strcmp(store->type, type) != 0)
        return eid_fail(EID_ERR_TYPE_MISMATCH, "Store %s is of type %s, not %s", name, store->type, type);
    return check_new(txn, name);
}

void eid_txn_note_registered(eid_txn *txn, const char *name)
{
    eid_txn_store *store = eid_map_get(txn->stores, eid_slice_text(name));
    if (store != NULL)
        store->registered = true;
}

static eid_status look_up(eid_txn *txn, eid_txn_store *store, const char *type)
{
    eid_value *record;
    EID_TRY(eid_txn_store_record(txn, store->name, &record));
    eid_status status = record == NULL ? check_new(txn, store->name) : eid_txn_store_registered(store, record, type);
    eid_value_free(record);
    return status;
}

eid_status eid_txn_store_new(eid_txn *txn, const char *name, const char *type, eid_txn_store **out)
{
    eid_txn_store *store = eid_alloc_zero(1, sizeof *store);
    if (store == NULL)
        return eid_fail_memory();
    store->txn = txn;
    store->type = type;
    store->name = eid_strdup(name);
    eid_status status = store->name == NULL ? eid_fail_memory() : eid_doc_new(&store->delta);
    if (status != EID_OK) {
        eid_txn_store_free(store);
        return status;
    }
    *out = store;
    return EID_OK;
}

eid_status eid_txn_store_enter(eid_txn_store *store)
{
    eid_map_entry *place;
    EID_TRY(eid_map_put(store->txn->stores, eid_slice_text(store->name), &place, NULL));
    place->value = store;
    return EID_OK;
}

bool eid_txn_has_open_store(const eid_txn *txn, const char *name)
{
    return eid_map_get(txn->stores, eid_slice_text(name)) != NULL;
}

eid_status eid_txn_open_store(eid_txn *txn, const char *name, const char *type, eid_txn_store **out)
{
    EID_TRY(eid_txn_usable(txn));
    eid_txn_store *store = eid_map_get(txn->stores, eid_slice_text(name));
    if (store != NULL) {
        if (type != NULL && store->type != NULL && strcmp(type, store->type) != 0)
            return eid_fail(EID_ERR_TYPE_MISMATCH, "Store %s is of type %s, not %s", name, store->type, type);
        *out = store;
        return EID_OK;
    }
    if (type != NULL)
        EID_TRY(eid_store_name_check(name));
    EID_TRY(eid_txn_store_new(txn, name, type, &store));
    eid_status status = type == NULL ? EID_OK : look_up(txn, store, type);
    if (status == EID_OK)
        status = eid_txn_store_enter(store);
    if (status != EID_OK) {
        eid_txn_store_free(store);
        return status;
    }
    *out = store;
    return EID_OK;
}

const char *eid_txn_store_name(const eid_txn_store *store)
{
    return store->name;
}

const eid_doc *eid_txn_store_delta(const eid_txn_store *store)
{
    return store->delta;
}

/* ---- Reading ---- */

eid_status eid_txn_store_fold(eid_txn_store *store, eid_tree_store *tree_store, eid_doc **out)
{
    eid_txn *txn = store->txn;
    eid_storage *storage = txn->database->core->storage;
    if (store->codec != NULL)
        return eid_hidden_fold(store, tree_store, out);
    if (txn->view.members == NULL)
        return eid_state_doc(storage, tree_store, &txn->view, out);
    if (store->committed == NULL)
        EID_TRY(eid_state_doc(storage, tree_store, &txn->view, &store->committed));
    return eid_doc_copy(store->committed, out);
}

/* eid_txn_store_committed with the lock held. */
static eid_status committed_child(eid_txn_store *store, eid_slice key, eid_slice path, eid_value **out)
{
    eid_txn *txn = store->txn;
    eid_storage *storage = txn->database->core->storage;
    eid_tree *tree;
    eid_tree_store *tree_store;
    EID_TRY(eid_database_tree(txn->database, &tree));
    EID_TRY(eid_storage_store(storage, tree, eid_slice_text(store->name), &tree_store));
    if (tree_store == NULL)
        return EID_OK;
    if (store->codec != NULL)
        return eid_hidden_child(store, tree_store, key, path, out);
    if (txn->view.members == NULL)
        return path.len > 0 ? eid_state_along(storage, tree_store, &txn->view, path, out)
                            : eid_state_child(storage, tree_store, &txn->view, key, out);
    if (store->committed == NULL)
        EID_TRY(eid_state_doc(storage, tree_store, &txn->view, &store->committed));
    const eid_value *child = eid_doc_child(store->committed, key);
    return child == NULL ? EID_OK : eid_value_copy(child, out);
}

/* `path` empty: the whole value of the key; else the path that begins with it. */
static eid_status read_committed(eid_txn_store *store, eid_slice key, eid_slice path, eid_value **out)
{
    eid_storage *storage = store->txn->database->core->storage;
    *out = NULL;
    /* An atomic delta replaces everything committed. */
    if (eid_doc_is_atomic(store->delta))
        return EID_OK;
    eid_storage_lock(storage);
    eid_status status = committed_child(store, key, path, out);
    eid_storage_unlock(storage);
    return status;
}

eid_status eid_txn_store_committed(eid_txn_store *store, eid_slice key, eid_value **out)
{
    return read_committed(store, key, eid_slice_of(NULL, 0), out);
}

static eid_status read_key(eid_txn_store *store, eid_slice key, eid_slice path, eid_value **out)
{
    EID_TRY(eid_txn_usable(store->txn));
    eid_value *value = NULL;
    eid_status status = read_committed(store, key, path, &value);
    const eid_value *staged = eid_doc_child(store->delta, key);
    if (status == EID_OK && staged != NULL)
        status = eid_value_merge(&value, staged);
    if (status != EID_OK) {
        eid_value_free(value);
        return status;
    }
    if (value != NULL && eid_value_get_kind(value) == EID_VALUE_DELETED) {
        eid_value_free(value);
        value = NULL;
    }
    *out = value;
    return EID_OK;
}

eid_status eid_txn_store_child(eid_txn_store *store, eid_slice key, eid_value **out)
{
    return read_key(store, key, eid_slice_of(NULL, 0), out);
}

eid_status eid_txn_store_along(eid_txn_store *store, eid_slice path, eid_value **out)
{
    eid_slice key;
    *out = NULL;
    return eid_path_first(path, &key) ? read_key(store, key, path, out) : EID_OK;
}

eid_status eid_txn_store_all(eid_txn_store *store, eid_doc **out)
{
    EID_TRY(eid_txn_usable(store->txn));
    eid_database *database = store->txn->database;
    eid_tree *tree;
    eid_tree_store *tree_store;
    eid_doc *doc = NULL;
    eid_storage_lock(database->core->storage);
    eid_status status = eid_database_tree(database, &tree);
    if (status == EID_OK)
        status = eid_storage_store(database->core->storage, tree, eid_slice_text(store->name), &tree_store);
    if (status == EID_OK)
        status = tree_store == NULL ? eid_doc_new(&doc) : eid_txn_store_fold(store, tree_store, &doc);
    eid_storage_unlock(database->core->storage);
    if (status == EID_OK)
        status = eid_doc_merge(doc, store->delta);
    if (status != EID_OK) {
        eid_doc_free(doc);
        return status;
    }
    *out = doc;
    return EID_OK;
}
