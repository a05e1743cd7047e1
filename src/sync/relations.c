/* SPDX-License-Identifier: Apache-2.0 */
/* Which peers take part in which databases: records of `_sync` (sync-behaviour.md sections 8.2 and 10), one for each
 * database, with the list of its peers. The engine holds the same in memory, and is what is asked. */
#include "base/alloc.h"
#include "codec/cid.h"
#include "codec/json.h"
#include "crypto/key.h"
#include "sync/engine_int.h"
#include "sync/peers_int.h"

#define RECORD_MAX (4u << 20) /* of one text(JSON) value: EID_LIMIT_PEERS keys fit */

/* ---- The list ---- */

typedef bool (*key_callback)(eid_slice key, void *ctx); /* false stops */

/* Calls back for the keys of a JSON array of texts; what can not be read ends it. */
static void each_key(eid_slice json, key_callback callback, void *ctx)
{
    eid_json reader;
    bool more = true;
    eid_slice item;

    eid_json_init(&reader, json);
    eid_status status = eid_json_begin_array(&reader, "peer_pubkeys");
    while (status == EID_OK && (status = eid_json_next_item(&reader, &more)) == EID_OK && more) {
        status = eid_json_read_text(&reader, "peer_pubkeys", &item);
        if (status == EID_OK && !callback(item, ctx))
            break;
    }
    eid_json_free(&reader);
}

/* The list without the key, and with it at the end when it is to be there. */
typedef struct rewriting {
    eid_buf *buf;
    const char *key;
    size_t count;
    bool found;
} rewriting;

static void append_key(rewriting *r, eid_slice key)
{
    if (r->count++ != 0)
        eid_buf_append_byte(r->buf, ',');
    eid_json_write_text(r->buf, key);
}

static bool rewrite_key(eid_slice key, void *ctx)
{
    rewriting *r = ctx;
    if (eid_slice_is(key, r->key))
        r->found = true;
    else
        append_key(r, key);
    return true;
}

static eid_status write_list(eid_sync *sync, const char *tree, const eid_buf *list)
{
    eid_doc *record;
    EID_TRY(eid_buf_status(list));
    EID_TRY(eid_doc_new(&record));
    eid_status status = eid_doc_set_text(record, "peer_pubkeys", (const char *)list->data, list->len);
    if (status == EID_OK)
        status = eid_doc_set_string(record, "tree_id", tree);
    if (status == EID_OK)
        status = eid_peers_write_record(sync, EID_STORE_TREES, tree, record);
    eid_doc_free(record);
    return status;
}

static eid_status remove_list(eid_sync *sync, const char *tree)
{
    eid_txn *txn;
    EID_TRY(eid_database_new_transaction(sync->database, &txn));
    eid_status status = eid_docstore_delete(txn, EID_STORE_TREES, tree, NULL);
    if (status != EID_OK) {
        eid_txn_free(txn);
        return status;
    }
    return eid_txn_commit_free(txn, NULL);
}

/* Puts the key into the list of the database, or takes it out. */
static eid_status change_list(eid_sync *sync, const char *tree, const char *key, bool wanted)
{
    eid_value *value;
    const eid_doc *record;
    const char *text = NULL;
    size_t len = 0;
    eid_buf list;
    rewriting r = {&list, key, 0, false};

    EID_TRY(eid_peers_get_record(sync, EID_STORE_TREES, tree, &value, &record));
    if (record == NULL || eid_doc_get_text(record, "peer_pubkeys", &text, &len) != EID_OK)
        len = 0;
    eid_buf_init(&list, RECORD_MAX);
    eid_buf_append_byte(&list, '[');
    each_key(eid_slice_of(text, len), rewrite_key, &r);
    if (wanted)
        append_key(&r, eid_slice_text(key));
    eid_buf_append_byte(&list, ']');
    eid_status status = EID_OK;
    if (r.found != wanted)
        status = r.count == 0 ? remove_list(sync, tree) : write_list(sync, tree, &list);
    eid_buf_free(&list);
    eid_value_free(value);
    return status;
}

/* ---- Changing ---- */

static eid_status set_relation(eid_sync *sync, const eid_id *database, const eid_pubkey *peer, bool wanted)
{
    char key[EID_PUBKEY_TEXT_SIZE], tree[EID_ID_TEXT_SIZE];
    eid_pubkey_format(peer, key);
    eid_id_format(database, tree);
    pthread_mutex_lock(&sync->write_mutex);
    eid_status status = change_list(sync, tree, key, wanted);
    pthread_mutex_unlock(&sync->write_mutex);
    return status == EID_OK ? eid_engine_set_relation(sync->engine, database, peer, wanted) : status;
}

static bool is_registered(eid_sync *sync, const eid_pubkey *peer)
{
    pthread_mutex_lock(&sync->engine->mutex);
    const eid_neighbour *neighbour = eid_neighbour_find(sync->engine, peer);
    bool found = neighbour != NULL && neighbour->status != EID_PEER_BLOCKED;
    pthread_mutex_unlock(&sync->engine->mutex);
    return found;
}

eid_status eid_relation_note(eid_sync *sync, const eid_id *database, const eid_pubkey *peer)
{
    if (!is_registered(sync, peer) || eid_sync_is_tree_synced_with_peer(sync, peer, database))
        return EID_OK;
    return set_relation(sync, database, peer, true);
}

eid_status eid_sync_add_tree_sync(eid_sync *sync, const eid_pubkey *peer, const eid_id *database)
{
    EID_NEED(sync && peer && database);
    char key[EID_PUBKEY_TEXT_SIZE];
    if (is_registered(sync, peer))
        return set_relation(sync, database, peer, true);
    eid_pubkey_format(peer, key);
    return eid_fail(EID_ERR_PEER_NOT_FOUND, "Peer not found: %s", key);
}

eid_status eid_sync_remove_tree_sync(eid_sync *sync, const eid_pubkey *peer, const eid_id *database)
{
    EID_NEED(sync && peer && database);
    return set_relation(sync, database, peer, false);
}

eid_status eid_sync_register_sync_peer(eid_sync *sync, const eid_pubkey *peer, const char *display_name,
                                       const eid_id *database, const eid_address *const *addresses, size_t address_count)
{
    EID_NEED(sync && peer && database && (addresses || address_count == 0));
    eid_status status = eid_sync_register_peer(sync, peer, display_name);
    if (status != EID_OK && status != EID_ERR_PEER_EXISTS)
        return status;
    for (size_t i = 0; i < address_count; i++)
        EID_TRY(eid_sync_add_peer_address(sync, peer, addresses[i]));
    EID_TRY(eid_sync_add_tree_sync(sync, peer, database));
    eid_engine_ask(sync->engine, peer, database);
    return EID_OK;
}

eid_status eid_relations_end(eid_sync *sync, const eid_pubkey *peer)
{
    eid_id *trees;
    size_t count;
    EID_TRY(eid_sync_get_peer_trees(sync, peer, &trees, &count));
    eid_status status = EID_OK;
    for (size_t i = 0; i < count && status == EID_OK; i++)
        status = set_relation(sync, &trees[i], peer, false);
    eid_free(trees);
    return status;
}

/* ---- Loading ---- */

typedef struct loading {
    eid_sync *sync;
    eid_id database;
    eid_status status;
} loading;

static bool load_key(eid_slice text, void *ctx)
{
    loading *l = ctx;
    eid_pubkey peer;
    if (eid_pubkey_parse_slice(text, &peer) == EID_OK)
        l->status = eid_engine_set_relation(l->sync->engine, &l->database, &peer, true);
    return l->status != EID_ERR_NO_MEMORY;
}

eid_status eid_relations_load(eid_sync *sync)
{
    eid_doc *trees;
    const eid_doc_cursor *cursor = NULL;
    const char *tree, *text;
    size_t tree_len, len;
    const eid_value *value;
    loading l = {.sync = sync, .status = EID_OK};

    EID_TRY(eid_database_store_state(sync->database, EID_STORE_TREES, &trees));
    while (l.status != EID_ERR_NO_MEMORY && eid_doc_next(trees, &cursor, &tree, &tree_len, &value)) {
        const eid_doc *record;
        if (eid_value_as_doc(value, &record) == EID_OK &&
            eid_id_parse_slice(eid_slice_of(tree, tree_len), &l.database) == EID_OK &&
            eid_doc_get_text(record, "peer_pubkeys", &text, &len) == EID_OK)
            each_key(eid_slice_of(text, len), load_key, &l);
    }
    eid_doc_free(trees);
    return l.status == EID_ERR_NO_MEMORY ? l.status : EID_OK;
}

/* ---- Asking ---- */

bool eid_sync_is_tree_synced_with_peer(eid_sync *sync, const eid_pubkey *peer, const eid_id *database)
{
    pthread_mutex_lock(&sync->engine->mutex);
    const eid_neighbour *neighbour = eid_neighbour_find(sync->engine, peer);
    const eid_link *link = neighbour == NULL ? NULL : eid_link_find(neighbour, database);
    bool related = link != NULL && link->related;
    pthread_mutex_unlock(&sync->engine->mutex);
    return related;
}

eid_status eid_sync_get_peer_trees(eid_sync *sync, const eid_pubkey *peer, eid_id **out, size_t *count)
{
    EID_NEED(sync && peer && out && count);
    size_t all = 0, found = 0;
    pthread_mutex_lock(&sync->engine->mutex);
    const eid_neighbour *neighbour = eid_neighbour_find(sync->engine, peer);
    const eid_link *first = neighbour == NULL ? NULL : neighbour->links;
    for (const eid_link *link = first; link != NULL; link = link->next_of_neighbour)
        all += link->related;
    eid_id *ids = eid_alloc_zero(all + 1, sizeof *ids);
    for (const eid_link *link = first; link != NULL && ids != NULL; link = link->next_of_neighbour)
        if (link->related)
            ids[found++] = link->database;
    pthread_mutex_unlock(&sync->engine->mutex);
    if (ids == NULL)
        return eid_fail_memory();
    *out = ids;
    *count = found;
    return EID_OK;
}

eid_status eid_sync_get_tree_peers(eid_sync *sync, const eid_id *database, eid_pubkey **out, size_t *count)
{
    EID_NEED(sync && database && out && count);
    size_t all = 0, found = 0;
    pthread_mutex_lock(&sync->engine->mutex);
    const eid_link *first = eid_map_get(sync->engine->links, eid_slice_of(database->bytes, database->len));
    for (const eid_link *link = first; link != NULL; link = link->next_of_database)
        all += link->related;
    eid_pubkey *keys = eid_alloc_zero(all + 1, sizeof *keys);
    for (const eid_link *link = first; link != NULL && keys != NULL; link = link->next_of_database)
        if (link->related)
            keys[found++] = link->neighbour->key;
    pthread_mutex_unlock(&sync->engine->mutex);
    if (keys == NULL)
        return eid_fail_memory();
    *out = keys;
    *count = found;
    return EID_OK;
}
