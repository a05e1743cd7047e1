/* SPDX-License-Identifier: Apache-2.0 */
/* Commit: from staged changes to one signed entry, stored with its effect on the state in one storage transaction.
 *
 * Three steps: gather what the entry names (under the lock), build and sign it (without), store it (under the lock).
 * Whatever is committed in between by others makes a branch, not a conflict. The entry pins exactly the settings it was
 * authorised by, so no peer judges it by others.
 */
#include "database/delegation.h"
#include "database/txn_int.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "base/random.h"
#include "codec/cid.h"
#include "crypto/key.h"

typedef struct store_part {
    const char *name;         /* lent */
    eid_txn_store *store;     /* NULL: named in the registry only, takes part without data */
    bool has_strategy;        /* its record names a height strategy of its own */
    eid_height_strategy strategy;
    eid_id *parents;
    size_t parent_count;
    uint64_t parent_height;   /* largest of the parents' heights in the store */
    char *data;
    size_t data_len;
} store_part;

typedef struct plan {
    eid_txn *txn;
    const eid_id *root;
    int64_t *parents;         /* arrival numbers of the main parents */
    size_t parent_count;
    store_part *parts;
    size_t part_count;
    eid_id *pin;
    size_t pin_count;
    int64_t *pinned;          /* their arrival numbers, ascending */
    eid_height_strategy strategy;
    uint64_t now_ms;
    eid_entry *entry;         /* NULL: nothing was staged */
    bool stored;
    eid_sigkey claimed;       /* the identity of the handle with present claims, when it is a delegation, */
    eid_delegation_end end;   /* and where its path leads */
} plan;

static void plan_free(plan *p)
{
    for (size_t i = 0; i < p->part_count; i++) {
        eid_free(p->parts[i].parents);
        eid_free(p->parts[i].data);
    }
    eid_free(p->parts);
    eid_free(p->parents);
    eid_free(p->pin);
    eid_free(p->pinned);
    eid_entry_unref(p->entry);
    eid_auth_settings_unref(p->end.settings);
    eid_sigkey_free(&p->claimed);
}

static bool is_staged(const eid_txn_store *store)
{
    return eid_doc_child_count(store->delta) > 0 || eid_doc_is_atomic(store->delta);
}

/* ---- Before the lock: the registry, and payloads ---- */

/* Stores used for the first time get their record in `_index`. */
static eid_status register_stores(eid_txn *txn)
{
    for (eid_map_entry *e = eid_map_first(txn->stores); e != NULL; e = eid_map_next(txn->stores, e)) {
        eid_txn_store *store = e->value;
        if (store->type == NULL || store->registered || !is_staged(store))
            continue;
        eid_txn_store *index;
        eid_doc *doc;
        eid_value *record;
        EID_TRY(eid_txn_open_store(txn, EID_INDEX, NULL, &index));
        EID_TRY(eid_store_record_new(store->type, NULL, &doc));
        eid_status status = eid_value_new_doc(doc, &record);
        eid_doc_free(doc);
        EID_TRY(status);
        status = eid_doc_put_child(index->delta, eid_slice_text(store->name), record);
        if (status != EID_OK) {
            eid_value_free(record);
            return status;
        }
    }
    return EID_OK;
}

static store_part *find_part(const plan *p, const char *name)
{
    for (size_t i = 0; i < p->part_count; i++)
        if (strcmp(p->parts[i].name, name) == 0)
            return &p->parts[i];
    return NULL;
}

static eid_status add_staged(plan *p, eid_txn_store *store)
{
    store_part *next = &p->parts[p->part_count];
    EID_TRY(eid_doc_to_json(store->delta, &next->data, &next->data_len));
    next->name = store->name;
    next->store = store;
    next->has_strategy = store->has_strategy;
    next->strategy = store->strategy;
    p->part_count++;
    return store->codec == NULL ? EID_OK : eid_hidden_encode(store->codec, &next->data, &next->data_len);
}

/* The height strategy of a store whose record is staged in this transaction is the one the record will have. */
static eid_status read_strategy(eid_txn_store *index, store_part *part)
{
    eid_value *record;
    EID_TRY(eid_txn_store_child(index, eid_slice_text(part->name), &record));
    if (record != NULL)
        eid_store_record_strategy(record, &part->has_strategy, &part->strategy);
    eid_value_free(record);
    return EID_OK;
}

/* Every store named in what is staged for the registry takes part in the entry (stores.md section 4). */
static eid_status add_registered(plan *p, eid_txn_store *index)
{
    const eid_doc_cursor *cursor = NULL;
    const char *name;
    size_t len;
    const eid_value *record;
    while (eid_doc_next(index->delta, &cursor, &name, &len, &record)) {
        store_part *part = find_part(p, name);
        if (part == NULL) {
            part = &p->parts[p->part_count++];
            part->name = name;
        }
        EID_TRY(read_strategy(index, part));
    }
    return EID_OK;
}

static eid_status collect_parts(plan *p)
{
    eid_txn *txn = p->txn;
    eid_txn_store *index = eid_map_get(txn->stores, eid_slice_text(EID_INDEX));
    size_t registered = index == NULL ? 0 : eid_doc_child_count(index->delta);
    p->parts = eid_alloc_zero(eid_map_len(txn->stores) + registered + 1, sizeof *p->parts);
    if (p->parts == NULL)
        return eid_fail_memory();
    for (eid_map_entry *e = eid_map_first(txn->stores); e != NULL; e = eid_map_next(txn->stores, e))
        if (is_staged(e->value))
            EID_TRY(add_staged(p, e->value));
    return index == NULL ? EID_OK : add_registered(p, index);
}

/* ---- Under the lock: parents, settings ---- */

static eid_status gather_parents(plan *p, eid_tree *tree, store_part *part)
{
    eid_storage *storage = p->txn->database->core->storage;
    eid_tree_store *store;
    EID_TRY(eid_storage_store(storage, tree, eid_slice_text(part->name), &store));
    if (store == NULL)
        return EID_OK;
    eid_node *tips;
    size_t count;
    EID_TRY(eid_state_tips(storage, store, &p->txn->view, &tips, &count));
    for (size_t i = 0; i < count; i++)
        if (tips[i].height > part->parent_height)
            part->parent_height = tips[i].height;
    eid_status status = EID_OK;
    if (strcmp(part->name, EID_SETTINGS) == 0)
        status = eid_standing_settings_tips(storage, tree, &tips, &count);
    size_t skipped = count > EID_LIMIT_ENTRY_PARENTS ? count - EID_LIMIT_ENTRY_PARENTS : 0;
    part->parents = eid_realloc_array(NULL, count + 1, sizeof *part->parents);
    if (status == EID_OK && part->parents == NULL)
        status = eid_fail_memory();
    for (size_t i = skipped; status == EID_OK && i < count; i++)
        part->parents[part->parent_count++] = tips[i].id;
    eid_free(tips);
    return status;
}

/* Settings entries that do not count are not pinned, so that no peer judges by them what is committed here. A commit that joins
 * concurrent versions of the settings may pin the newest of them when they are too many to pin all. */
static eid_status gather_settings(plan *p, eid_tree *tree)
{
    eid_core *core = p->txn->database->core;
    eid_tree_store *store;
    EID_TRY(eid_storage_store(core->storage, tree, eid_slice_text(EID_SETTINGS), &store));
    if (store == NULL)
        return EID_OK;
    eid_node *tips;
    size_t count;
    EID_TRY(eid_state_tips(core->storage, store, &p->txn->view, &tips, &count));
    eid_status status = eid_standing_settings_tips(core->storage, tree, &tips, &count);
    p->pinned = eid_realloc_array(NULL, count + 1, sizeof *p->pinned);
    p->pin = eid_realloc_array(NULL, count + 1, sizeof *p->pin);
    if (status == EID_OK && (p->pinned == NULL || p->pin == NULL))
        status = eid_fail_memory();
    size_t skipped = count > EID_LIMIT_SETTINGS_PIN ? count - EID_LIMIT_SETTINGS_PIN : 0;
    if (status == EID_OK && skipped > 0 && find_part(p, EID_SETTINGS) == NULL)
        status = eid_fail(EID_ERR_LIMIT, "The settings have %zu concurrent versions; commit a settings change to join them", count);
    for (size_t i = skipped; status == EID_OK && i < count; i++) {
        p->pinned[p->pin_count] = tips[i].n;
        p->pin[p->pin_count++] = tips[i].id;
    }
    if (status == EID_OK)
        p->pin_count = eid_ids_sort(p->pin, p->pin_count);
    eid_free(tips);
    return status;
}

static eid_status gather_strategy(plan *p, eid_tree *tree)
{
    const store_part *settings = find_part(p, EID_SETTINGS);
    const eid_value *staged = settings == NULL ? NULL : eid_doc_child(settings->store->delta, eid_slice_text("height_strategy"));
    if (staged != NULL) {
        p->strategy = eid_height_strategy_of(staged);
        return EID_OK;
    }
    return eid_settings_strategy(p->txn->database->core, tree, &p->txn->view, &p->strategy);
}

static eid_status follow_claims(plan *p, eid_tree *tree)
{
    eid_core *core = p->txn->database->core;
    eid_auth_settings *settings;
    EID_TRY(eid_settings_resolve(core->storage, tree, p->pinned, p->pin_count, &settings));
    eid_delegation_place start = {settings, NULL, NULL};
    eid_status status = eid_delegation_resolve(core->storage, &start, &p->claimed, EID_PATH_ADMITS, &p->end);
    eid_auth_settings_unref(settings);
    return status;
}

/* A member of another database claims what that is now, not what it was when the handle was opened. */
static eid_status gather_claims(plan *p, eid_tree *tree)
{
    const eid_database *database = p->txn->database;
    if (!p->txn->signer->identity.is_delegation)
        return EID_OK;
    EID_TRY(eid_delegation_claim(database->core->storage, &p->txn->signer->identity, &p->claimed));
    EID_TRY(follow_claims(p, tree));
    if (p->end.refusal != EID_OK)
        return eid_fail_context(EID_ERR_PERMISSION_DENIED, "The commit is not allowed");
    if (p->end.settings == NULL)
        return eid_fail(EID_ERR_PERMISSION_DENIED, "The commit is not allowed: the rights come by delegation from a database that"
                                                   " is not held here");
    return EID_OK;
}

static eid_status gather(plan *p)
{
    eid_tree *tree;
    EID_TRY(eid_database_tree(p->txn->database, &tree));
    for (size_t i = 0; i < p->part_count; i++)
        EID_TRY(gather_parents(p, tree, &p->parts[i]));
    EID_TRY(gather_settings(p, tree));
    EID_TRY(gather_claims(p, tree));
    return gather_strategy(p, tree);
}

/* `auth` must stay a document, or the database would be open to everybody, or to nobody. A document merged into anything is one,
 * so the change alone tells. */
static eid_status check_auth_stays(plan *p)
{
    const store_part *settings = find_part(p, EID_SETTINGS);
    if (settings == NULL || settings->store == NULL)
        return EID_OK;
    const eid_value *staged = eid_doc_child(settings->store->delta, eid_slice_text("auth"));
    bool lost = staged == NULL ? eid_doc_is_atomic(settings->store->delta) : eid_value_get_kind(staged) != EID_VALUE_DOC;
    if (lost)
        return eid_fail(EID_ERR_CORRUPTED_AUTH, "The settings change would destroy the access rules (\"auth\")");
    return EID_OK;
}

/* ---- Building ---- */

static uint64_t height_above(bool has_parents, uint64_t parent_height, eid_height_strategy strategy, uint64_t now_ms)
{
    uint64_t floor = !has_parents ? 0 : parent_height >= INT64_MAX ? INT64_MAX : parent_height + 1;
    return strategy == EID_HEIGHT_TIMESTAMP && now_ms > floor ? now_ms : floor;
}

/* A store inherits the height of the entry, unless it has a strategy of its own, or had one that took it further than the
 * entry is: then its writes would sort before what they are written upon (crdt.md section 7.4). */
static eid_status add_part(plan *p, eid_entry_builder *builder, const store_part *part, uint64_t entry_height)
{
    eid_slice data = eid_slice_of(part->data, part->data_len);
    eid_height_strategy strategy = part->has_strategy ? part->strategy : EID_HEIGHT_INCREMENTAL;
    uint64_t height = height_above(part->parent_count > 0, part->parent_height, strategy, p->now_ms);
    bool own = part->has_strategy || (part->name[0] != '_' && height > entry_height);
    return eid_entry_builder_set_subtree(builder, part->name, part->parents, part->parent_count,
                                         part->data == NULL ? NULL : &data, own ? &height : NULL);
}

static eid_status fill(plan *p, eid_entry_builder *builder, eid_buf *metadata)
{
    eid_txn *txn = p->txn;
    eid_id *ids = eid_realloc_array(NULL, txn->parent_count + 1, sizeof *ids);
    if (ids == NULL)
        return eid_fail_memory();
    uint64_t highest = 0;
    for (size_t i = 0; i < txn->parent_count; i++) {
        ids[i] = txn->parents[i].id;
        highest = txn->parents[i].height > highest ? txn->parents[i].height : highest;
    }
    eid_status status = eid_entry_builder_set_parents(builder, ids, txn->parent_count);
    eid_free(ids);
    EID_TRY(status);
    uint64_t height = height_above(txn->parent_count > 0, highest, p->strategy, p->now_ms);
    eid_entry_builder_set_height(builder, height);
    eid_metadata_write(metadata, p->pin, p->pin_count, NULL);
    EID_TRY(eid_buf_status(metadata));
    EID_TRY(eid_entry_builder_set_metadata(builder, eid_buf_slice(metadata)));
    for (size_t i = 0; i < p->part_count; i++)
        EID_TRY(add_part(p, builder, &p->parts[i], height));
    return EID_OK;
}

static eid_status build(plan *p)
{
    eid_database *database = p->txn->database;
    eid_entry_builder *builder;
    eid_buf metadata;
    EID_TRY(eid_entry_builder_new(&database->root, &builder));
    eid_buf_init(&metadata, EID_LIMIT_ENTRY_BYTES);
    eid_status status = fill(p, builder, &metadata);
    if (status == EID_OK)
        status = eid_entry_builder_finish(
            builder, p->txn->signer->key,
            p->txn->signer->identity.is_delegation ? &p->claimed : &p->txn->signer->identity, &p->entry);
    eid_buf_free(&metadata);
    eid_entry_builder_free(builder);
    return status;
}

/* ---- Storing ---- */

static eid_status store_in_transaction(eid_core *core, const eid_id *root, const eid_entry *entry, const int64_t *parents,
                                       size_t parent_count)
{
    eid_tree *tree;
    EID_TRY(parent_count == 0 ? eid_storage_tree_create(core->storage, root, &tree)
                              : eid_storage_tree(core->storage, root, &tree));
    eid_state_batch *batch;
    EID_TRY(eid_state_batch_new(core->storage, &batch));
    eid_status status = eid_core_store_entry(core, batch, tree, entry, parents, parent_count);
    if (status == EID_OK)
        status = eid_standing_settle(core->storage, batch, tree);
    if (status == EID_OK)
        status = eid_state_batch_finish(batch);
    eid_state_batch_free(batch);
    return status;
}

static eid_status write_new(eid_core *core, const plan *plans, size_t count)
{
    EID_TRY(eid_storage_begin(core->storage));
    eid_status status = EID_OK;
    for (size_t i = 0; i < count && status == EID_OK; i++)
        if (plans[i].stored)
            status = store_in_transaction(core, plans[i].root, plans[i].entry, plans[i].parents, plans[i].parent_count);
    if (status == EID_OK)
        return eid_storage_commit(core->storage);
    eid_storage_rollback(core->storage);
    return status;
}

/* By the settings it pins, and by what has arrived since: the lock is held from here until it is stored. */
static eid_status authorise(eid_core *core, const plan *p)
{
    eid_pubkey key;
    eid_tree *tree;
    eid_status refusal;
    EID_TRY(eid_storage_tree(core->storage, p->root, &tree));
    eid_keypair_public(p->txn->signer->key, &key);
    EID_TRY(eid_standing_judge(core, tree, p->pinned, p->pin_count, p->entry, &key, &refusal));
    if (refusal == EID_ERR_UNSUPPORTED)
        refusal = eid_auth_judge_delegated(p->end.settings, &p->end.bounds, p->entry, &key);
    if (refusal != EID_OK)
        return eid_fail_context(refusal, "The commit is not allowed");
    return eid_standing_check_commit(core->storage, tree, p->entry);
}

/* All entries or none. Two transactions that began at one moment and say the same make the same entry: the second finds it,
 * and its plan is not marked as stored. */
static eid_status write_all(eid_core *core, plan *plans, size_t count)
{
    eid_status status = EID_OK;
    bool any = false;
    eid_storage_lock(core->storage);
    for (size_t i = 0; i < count && status == EID_OK; i++) {
        int64_t n = 1;
        if (plans[i].entry != NULL)
            status = eid_storage_find(core->storage, &plans[i].entry->id, &n, NULL);
        plans[i].stored = status == EID_OK && n == 0;
        if (plans[i].stored && plans[i].txn != NULL)
            status = authorise(core, &plans[i]);
        any = any || plans[i].stored;
    }
    if (status == EID_OK && any)
        status = write_new(core, plans, count);
    for (size_t i = 0; i < count; i++) {
        plans[i].stored = plans[i].stored && status == EID_OK;
        if (plans[i].stored)
            eid_core_note(core, plans[i].root, EID_WRITE_LOCAL);
    }
    eid_storage_unlock(core->storage);
    return status;
}

static eid_status number_parents(plan *p)
{
    eid_txn *txn = p->txn;
    p->parents = eid_realloc_array(NULL, txn->parent_count + 1, sizeof *p->parents);
    if (p->parents == NULL)
        return eid_fail_memory();
    for (size_t i = 0; i < txn->parent_count; i++)
        p->parents[i] = txn->parents[i].n;
    p->parent_count = txn->parent_count;
    return EID_OK;
}

static eid_status prepare(plan *p)
{
    eid_database *database = p->txn->database;
    EID_TRY(register_stores(p->txn));
    EID_TRY(collect_parts(p));
    if (p->part_count == 0)
        return EID_OK;
    if (p->txn->signer == NULL)
        return eid_fail(EID_ERR_AUTH_REQUIRED, "The database was opened for reading; open it as a user to write");
    EID_TRY(check_auth_stays(p));
    p->now_ms = eid_clock_now_ms(&database->core->clock);
    eid_storage_lock(database->core->storage);
    eid_status status = gather(p);
    eid_storage_unlock(database->core->storage);
    EID_TRY(status);
    return build(p);
}

static void finish(const plan *p, eid_id *id)
{
    p->txn->committed = true;
    if (id != NULL)
        memset(id, 0, sizeof *id);
    if (id != NULL && p->entry != NULL)
        *id = p->entry->id;
}

static eid_status prepare_all(plan *plans, eid_txn *const *txns, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        plans[i].txn = txns[i];
        plans[i].root = &txns[i]->database->root;
        EID_TRY(eid_txn_usable(txns[i]));
        EID_TRY(prepare(&plans[i]));
        EID_TRY(number_parents(&plans[i]));
    }
    return EID_OK;
}

static void announce_all(eid_core *core, plan *plans, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (plans[i].stored) {
            eid_core_announce(core, plans[i].root, &plans[i].entry, 1, EID_WRITE_LOCAL);
            eid_core_tell(core, plans[i].root, &plans[i].entry, 1, EID_WRITE_LOCAL);
        }
    for (size_t i = 0; i < count; i++)
        if (plans[i].stored && core->waits_across)
            eid_core_wake_for(core, plans[i].root, &plans[i].entry->id, 1);
}

static eid_status commit_plans(plan *plans, eid_txn *const *txns, size_t count, eid_id *ids)
{
    eid_core *core = txns[0]->database->core;
    EID_TRY(prepare_all(plans, txns, count));
    EID_TRY(write_all(core, plans, count));
    for (size_t i = 0; i < count; i++)
        finish(&plans[i], ids == NULL ? NULL : &ids[i]);
    announce_all(core, plans, count);
    return EID_OK;
}

eid_status eid_txn_commit_all(eid_txn *const *txns, size_t count, eid_id *ids)
{
    plan *plans = eid_alloc_zero(count, sizeof *plans);
    if (plans == NULL)
        return eid_fail_memory();
    eid_status status = commit_plans(plans, txns, count, ids);
    for (size_t i = 0; i < count; i++)
        plan_free(&plans[i]);
    eid_free(plans);
    return status;
}

eid_status eid_txn_commit(eid_txn *txn, eid_id *id)
{
    EID_NEED(txn);
    return eid_txn_commit_all(&txn, 1, id);
}

eid_status eid_txn_commit_free(eid_txn *txn, eid_id *id)
{
    EID_NEED(txn);
    eid_status status = eid_txn_commit(txn, id);
    eid_txn_free(txn);
    return status;
}

/* ---- New databases ---- */

static eid_status lists_as_admin(const eid_doc *settings, const eid_pubkey *key, bool *out)
{
    eid_auth_settings *auth;
    EID_TRY(eid_auth_settings_parse(settings, &auth));
    const eid_auth_key *record = eid_auth_settings_find(auth, key);
    *out = record != NULL && record->status == EID_KEY_ACTIVE && eid_permission_can_admin(record->permission);
    eid_auth_settings_unref(auth);
    return EID_OK;
}

static eid_status set_creator(eid_doc *settings, const eid_pubkey *creator)
{
    static const eid_permission admin = {EID_PERM_ADMIN, 0};
    eid_doc *record;
    char text[EID_PUBKEY_TEXT_SIZE], path[EID_PUBKEY_TEXT_SIZE + 16] = "auth.keys.";
    eid_pubkey_format(creator, text);
    strcat(path, text);
    EID_TRY(eid_auth_key_to_doc(NULL, admin, EID_KEY_ACTIVE, &record));
    eid_status status = eid_doc_set_doc(settings, path, record);
    eid_doc_free(record);
    return status;
}

/* Settings with the creator's key as Admin(0) (stores.md section 9), unless they list it as admin themselves. */
static eid_status root_settings(const eid_doc *settings, const eid_pubkey *creator, bool with_auth, eid_doc **out)
{
    if (!with_auth && eid_doc_contains(settings, "auth"))
        return eid_fail(EID_ERR_CORRUPTED_AUTH, "Settings of a new database may not bring \"auth\": the creator's key becomes its admin");
    eid_doc *copy;
    bool listed = false;
    EID_TRY(eid_doc_copy(settings, &copy));
    eid_status status = lists_as_admin(copy, creator, &listed);
    if (status == EID_OK && !listed)
        status = set_creator(copy, creator);
    if (status == EID_OK)
        *out = copy;
    else
        eid_doc_free(copy);
    return status;
}

static eid_status fill_root(eid_entry_builder *builder, const eid_doc *settings, uint64_t now_ms)
{
    uint64_t entropy = eid_random_u64();
    eid_buf metadata;
    eid_buf_init(&metadata, 256);
    eid_metadata_write(&metadata, NULL, 0, &entropy);
    eid_status status = eid_buf_status(&metadata);
    if (status == EID_OK)
        status = eid_entry_builder_set_metadata(builder, eid_buf_slice(&metadata));
    eid_buf_free(&metadata);
    EID_TRY(status);
    eid_slice marker = eid_slice_text("\"\"");
    EID_TRY(eid_entry_builder_set_subtree(builder, EID_ROOT_MARKER, NULL, 0, &marker, NULL));
    eid_height_strategy strategy = eid_height_strategy_of(eid_doc_child(settings, eid_slice_text("height_strategy")));
    eid_entry_builder_set_height(builder, height_above(false, 0, strategy, now_ms));
    char *text;
    size_t len;
    EID_TRY(eid_doc_to_json(settings, &text, &len));
    eid_slice data = eid_slice_of(text, len);
    status = eid_entry_builder_set_subtree(builder, EID_SETTINGS, NULL, 0, &data, NULL);
    eid_free(text);
    return status;
}

static eid_status build_root(eid_core *core, const eid_doc *settings, bool with_auth, const eid_keypair *key, eid_entry **out)
{
    eid_pubkey creator;
    eid_doc *complete = NULL;
    eid_keypair_public(key, &creator);
    EID_TRY(root_settings(settings, &creator, with_auth, &complete));
    eid_entry_builder *builder = NULL;
    eid_status status = eid_entry_builder_new(NULL, &builder);
    if (status == EID_OK)
        status = fill_root(builder, complete, eid_clock_now_ms(&core->clock));
    if (status == EID_OK)
        status = eid_entry_builder_finish(builder, key, NULL, out);
    eid_entry_builder_free(builder);
    eid_doc_free(complete);
    return status;
}

/* plans[0] is for the root, those of the transactions follow. */
static eid_status create_plans(eid_core *core, plan *plans, eid_txn *const *txns, size_t count, eid_entry *root)
{
    plans[0].root = &root->id;
    plans[0].entry = eid_entry_ref(root);
    eid_status status = prepare_all(plans + 1, txns, count);
    if (status == EID_OK)
        status = write_all(core, plans, count + 1);
    for (size_t i = 0; i < count && status == EID_OK; i++)
        finish(&plans[i + 1], NULL);
    if (status == EID_OK)
        announce_all(core, plans, count + 1);
    return status;
}

static eid_status store_root(eid_core *core, eid_entry *root, eid_txn *const *txns, size_t count)
{
    plan *plans = eid_alloc_zero(count + 1, sizeof *plans);
    if (plans == NULL)
        return eid_fail_memory();
    eid_status status = create_plans(core, plans, txns, count, root);
    for (size_t i = 0; i <= count; i++)
        plan_free(&plans[i]);
    eid_free(plans);
    return status;
}

/* What is stored beside the root. */
typedef struct company {
    eid_txn *const *txns;
    size_t count;
    eid_create_stage stage; /* NULL: nothing is left to be staged */
    void *ctx;
} company;

/* Takes the root. */
static eid_status create_database(eid_core *core, eid_entry *root, const eid_keypair *key, const company *beside,
                                  eid_database **out)
{
    eid_database *handle = NULL; /* made first: once the root is stored nothing may fail any more */
    eid_status status = eid_database_new_handle(core, &root->id, key, NULL, &handle);
    if (status == EID_OK && beside->stage != NULL)
        status = beside->stage(&root->id, beside->ctx);
    if (status == EID_OK)
        status = store_root(core, root, beside->txns, beside->count);
    if (status == EID_OK)
        *out = handle;
    else
        eid_database_close(handle);
    eid_entry_unref(root);
    return status;
}

eid_status eid_database_create_with(eid_core *core, const eid_doc *settings, const eid_keypair *key, eid_txn *const *txns,
                                    size_t count, eid_create_stage stage, void *ctx, eid_database **out)
{
    eid_entry *root;
    EID_TRY(build_root(core, settings, false, key, &root));
    return create_database(core, root, key, &(company){txns, count, stage, ctx}, out);
}

eid_status eid_database_create(eid_core *core, const eid_doc *settings, const eid_keypair *key, eid_database **out)
{
    return eid_database_create_with(core, settings, key, NULL, 0, NULL, NULL, out);
}

eid_status eid_database_create_with_auth(eid_core *core, const eid_doc *settings, const eid_keypair *key, eid_database **out)
{
    eid_entry *root;
    EID_TRY(build_root(core, settings, true, key, &root));
    return create_database(core, root, key, &(company){NULL, 0, NULL, NULL}, out);
}
