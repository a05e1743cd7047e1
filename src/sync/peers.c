/* SPDX-License-Identifier: Apache-2.0 */
/* Peers and their part in databases, as records of `_sync` (sync-behaviour.md sections 8 and 10).
 *
 * Every record is a signed entry of an append-only history, so a record is written only when it says
 * something new: a peer that shakes hands every minute leaves no trace after its first time.
 */
#include "base/alloc.h"
#include "base/utf8.h"
#include "codec/json.h"
#include "crypto/key.h"
#include "sync/engine_int.h"
#include "sync/peers_int.h"

#define RECORD_MAX (4u << 20) /* of one text(JSON) value: EID_LIMIT_PEERS keys fit */

/* ---- Reading ---- */

eid_status eid_peers_get_record(eid_sync *sync, const char *store, const char *key, eid_value **value,
                                const eid_doc **out)
{
    *out = NULL;
    *value = NULL;
    eid_status status = eid_database_get(sync->database, store, key, value);
    if (status == EID_ERR_KEY_NOT_FOUND)
        return EID_OK;
    EID_TRY(status);
    if (eid_value_as_doc(*value, out) != EID_OK)
        *out = NULL;
    return EID_OK;
}

/* The addresses of a peer record; none when the field is absent or can not be read. */
eid_status eid_peers_addresses(const eid_doc *record, eid_address ***out, size_t *count)
{
    const char *text;
    size_t len;
    eid_json reader;

    *out = NULL;
    *count = 0;
    if (eid_doc_get_text(record, "addresses", &text, &len) != EID_OK)
        return EID_OK;
    eid_json_init(&reader, eid_slice_of(text, len));
    eid_status status = eid_addresses_read_json(&reader, out, count);
    eid_json_free(&reader);
    return status == EID_ERR_NO_MEMORY ? status : EID_OK;
}

eid_peer_status eid_peers_status(const eid_doc *record)
{
    const char *text;
    size_t len;
    if (eid_doc_get_text(record, "status", &text, &len) != EID_OK)
        return EID_PEER_ACTIVE;
    if (eid_slice_is(eid_slice_of(text, len), "blocked"))
        return EID_PEER_BLOCKED;
    return eid_slice_is(eid_slice_of(text, len), "inactive") ? EID_PEER_INACTIVE : EID_PEER_ACTIVE;
}

static eid_status load_peer(eid_sync *sync, const eid_pubkey *key, const eid_doc *record)
{
    eid_address **addresses;
    size_t count;
    EID_TRY(eid_peers_addresses(record, &addresses, &count));
    eid_status status = eid_engine_set_neighbour(sync->engine, key, eid_peers_status(record), addresses, count);
    eid_addresses_free(addresses, count);
    EID_TRY(status);
    /* Nobody else knows the engine yet. */
    return eid_state_load(sync->engine, eid_neighbour_find(sync->engine, key));
}

eid_status eid_peers_load(eid_sync *sync)
{
    eid_doc *peers;
    const eid_doc_cursor *cursor = NULL;
    const char *text;
    size_t len;
    const eid_value *value;
    eid_status status = EID_OK;

    EID_TRY(eid_database_store_state(sync->database, EID_STORE_PEERS, &peers));
    sync->peer_count = eid_doc_len(peers);
    while (status == EID_OK && eid_doc_next(peers, &cursor, &text, &len, &value)) {
        const eid_doc *record;
        eid_pubkey key;
        if (eid_value_as_doc(value, &record) == EID_OK && eid_pubkey_parse_slice(eid_slice_of(text, len), &key) == EID_OK)
            status = load_peer(sync, &key, record);
    }
    eid_doc_free(peers);
    return status == EID_OK ? eid_relations_load(sync) : status;
}

/* ---- Writing a peer ---- */

static eid_status set_addresses(eid_doc *record, eid_address *const *addresses, size_t count)
{
    eid_buf buf;
    eid_buf_init(&buf, RECORD_MAX);
    eid_addresses_write_json(&buf, addresses, count);
    eid_status status = eid_buf_status(&buf);
    if (status == EID_OK)
        status = eid_doc_set_text(record, "addresses", (const char *)buf.data, buf.len);
    eid_buf_free(&buf);
    return status;
}

static eid_status fill_new_peer(eid_sync *sync, eid_doc *record, const char *key, const char *display_name)
{
    char now[EID_RFC3339_SIZE];
    eid_sync_now(sync, now);
    EID_TRY(eid_doc_set_string(record, "pubkey", key));
    if (display_name != NULL)
        EID_TRY(eid_doc_set_text(record, "display_name", display_name,
                                 eid_utf8_cut(eid_slice_text(display_name), EID_LIMIT_DISPLAY_NAME)));
    EID_TRY(eid_doc_set_string(record, "first_seen", now));
    EID_TRY(eid_doc_set_string(record, "last_seen", now));
    EID_TRY(eid_doc_set_string(record, "status", "active"));
    return EID_OK;
}

eid_status eid_peers_write_record(eid_sync *sync, const char *store, const char *key, const eid_doc *record)
{
    eid_txn *txn;
    EID_TRY(eid_database_new_transaction(sync->database, &txn));
    eid_status status = eid_docstore_set_doc(txn, store, key, record);
    if (status != EID_OK) {
        eid_txn_free(txn);
        return status;
    }
    return eid_txn_commit_free(txn, NULL);
}

static bool contains_address(eid_address *const *addresses, size_t count, const eid_address *wanted)
{
    for (size_t i = 0; i < count; i++)
        if (eid_address_equal(addresses[i], wanted))
            return true;
    return false;
}

/* Appends what is new to the lent list, which has room for EID_LIMIT_PEER_ADDRESSES; tells whether anything
 * was. */
static bool merge_addresses(eid_address **list, size_t *count, eid_address *const *added, size_t added_count)
{
    size_t before = *count;
    for (size_t i = 0; i < added_count && *count < EID_LIMIT_PEER_ADDRESSES; i++)
        if (!contains_address(list, *count, added[i]))
            list[(*count)++] = added[i];
    return *count != before;
}

static eid_status tell_engine(eid_sync *sync, const char *key, const eid_doc *known, eid_address *const *addresses,
                              size_t count)
{
    eid_pubkey peer;
    EID_TRY(eid_pubkey_parse(key, &peer));
    return eid_engine_set_neighbour(sync->engine, &peer, known == NULL ? EID_PEER_ACTIVE : eid_peers_status(known), addresses,
                                    count);
}

static eid_status update_peer(eid_sync *sync, const char *key, const eid_doc *known, const char *display_name,
                              eid_address *const *added, size_t added_count)
{
    eid_address *list[EID_LIMIT_PEER_ADDRESSES]; /* lent: from `held` and `added` */
    eid_address **held = NULL;
    size_t held_count = 0, count = 0;
    eid_doc *record = NULL;
    eid_status status = EID_OK;

    if (known != NULL)
        EID_TRY(eid_peers_addresses(known, &held, &held_count));
    merge_addresses(list, &count, held, held_count);
    bool grew = merge_addresses(list, &count, added, added_count);
    if (known == NULL || grew) {
        status = eid_doc_new(&record);
        if (status == EID_OK && known == NULL)
            status = fill_new_peer(sync, record, key, display_name);
        if (status == EID_OK && grew)
            status = set_addresses(record, list, count);
        /* Staged as a plain Doc: fields that are not named keep their values. */
        if (status == EID_OK)
            status = eid_peers_write_record(sync, EID_STORE_PEERS, key, record);
        if (status == EID_OK && known == NULL)
            sync->peer_count++;
        if (status == EID_OK)
            status = tell_engine(sync, key, known, list, count);
    }
    eid_doc_free(record);
    eid_addresses_free(held, held_count);
    return status;
}

eid_status eid_peer_note(eid_sync *sync, const eid_pubkey *peer, const char *display_name,
                         eid_address *const *addresses, size_t count)
{
    char key[EID_PUBKEY_TEXT_SIZE];
    eid_value *value;
    const eid_doc *known;

    eid_pubkey_format(peer, key);
    pthread_mutex_lock(&sync->write_mutex);
    eid_status status = eid_peers_get_record(sync, EID_STORE_PEERS, key, &value, &known);
    if (status == EID_OK && (known != NULL || sync->peer_count < EID_LIMIT_PEERS))
        status = update_peer(sync, key, known, display_name, addresses, count);
    pthread_mutex_unlock(&sync->write_mutex);
    eid_value_free(value);
    return status;
}

/* ---- Changes by hand ---- */

static eid_status fail_not_found(const char *key)
{
    return eid_fail(EID_ERR_PEER_NOT_FOUND, "Peer not found: %s", key);
}

eid_status eid_sync_register_peer(eid_sync *sync, const eid_pubkey *peer, const char *display_name)
{
    EID_NEED(sync && peer);
    char key[EID_PUBKEY_TEXT_SIZE];
    eid_value *value;
    const eid_doc *known;

    eid_pubkey_format(peer, key);
    pthread_mutex_lock(&sync->write_mutex);
    eid_status status = eid_peers_get_record(sync, EID_STORE_PEERS, key, &value, &known);
    if (status == EID_OK && known != NULL)
        status = eid_fail(EID_ERR_PEER_EXISTS, "Peer already exists: %s", key);
    else if (status == EID_OK && sync->peer_count >= EID_LIMIT_PEERS)
        status = eid_fail(EID_ERR_LIMIT, "at most %d peers can be registered", EID_LIMIT_PEERS);
    if (status == EID_OK)
        status = update_peer(sync, key, NULL, display_name, NULL, 0);
    pthread_mutex_unlock(&sync->write_mutex);
    eid_value_free(value);
    return status;
}

const char *eid_peer_status_str(eid_peer_status status)
{
    static const char *const names[] = {"Active", "Inactive", "Blocked"};
    return (unsigned)status < 3 ? names[status] : "Unknown";
}

/* Writes fields of a known peer and tells the engine. `addresses` NULL: those it has. */
static eid_status change_peer(eid_sync *sync, const char *key, const eid_doc *known, eid_peer_status status,
                              eid_address *const *addresses, size_t count)
{
    static const char *const names[] = {"active", "inactive", "blocked"};
    char now[EID_RFC3339_SIZE];
    eid_doc *record;
    eid_pubkey peer;

    EID_TRY(eid_pubkey_parse(key, &peer));
    EID_TRY(eid_doc_new(&record));
    eid_sync_now(sync, now);
    eid_status result = eid_doc_set_string(record, "last_seen", now);
    if (result == EID_OK && status != eid_peers_status(known))
        result = eid_doc_set_string(record, "status", names[status]);
    if (result == EID_OK && addresses != NULL)
        result = set_addresses(record, addresses, count);
    if (result == EID_OK)
        result = eid_peers_write_record(sync, EID_STORE_PEERS, key, record);
    eid_doc_free(record);
    EID_TRY(result);
    if (addresses != NULL)
        return eid_engine_set_neighbour(sync->engine, &peer, status, addresses, count);
    eid_address **held;
    EID_TRY(eid_peers_addresses(known, &held, &count));
    result = eid_engine_set_neighbour(sync->engine, &peer, status, held, count);
    eid_addresses_free(held, count);
    return result;
}

eid_status eid_sync_update_peer_status(eid_sync *sync, const eid_pubkey *peer, eid_peer_status wanted)
{
    EID_NEED(sync && peer);
    char key[EID_PUBKEY_TEXT_SIZE];
    eid_value *value;
    const eid_doc *known;

    if ((unsigned)wanted > EID_PEER_BLOCKED)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "not a status of a peer");
    eid_pubkey_format(peer, key);
    pthread_mutex_lock(&sync->write_mutex);
    eid_status status = eid_peers_get_record(sync, EID_STORE_PEERS, key, &value, &known);
    if (status == EID_OK)
        status = known == NULL ? fail_not_found(key) : change_peer(sync, key, known, wanted, NULL, 0);
    pthread_mutex_unlock(&sync->write_mutex);
    eid_value_free(value);
    return status;
}

eid_status eid_sync_remove_peer(eid_sync *sync, const eid_pubkey *peer)
{
    EID_NEED(sync && peer);
    EID_TRY(eid_sync_update_peer_status(sync, peer, EID_PEER_BLOCKED));
    return eid_relations_end(sync, peer);
}

/* ---- Addresses by hand ---- */

typedef struct address_change {
    const eid_address *address;
    bool add;
    bool changed;
} address_change;

static eid_status change_addresses(eid_sync *sync, const char *key, const eid_doc *known, address_change *change)
{
    eid_address *list[EID_LIMIT_PEER_ADDRESSES]; /* lent */
    eid_address **held;
    size_t held_count, count = 0;

    EID_TRY(eid_peers_addresses(known, &held, &held_count));
    bool there = contains_address(held, held_count, change->address);
    change->changed = there != change->add;
    for (size_t i = 0; i < held_count && count < EID_LIMIT_PEER_ADDRESSES; i++)
        if (change->add || !eid_address_equal(held[i], change->address))
            list[count++] = held[i];
    eid_status status = EID_OK;
    if (change->changed && change->add && count == EID_LIMIT_PEER_ADDRESSES)
        status = eid_fail(EID_ERR_LIMIT, "a peer has at most %d addresses", EID_LIMIT_PEER_ADDRESSES);
    else if (change->changed && change->add)
        list[count++] = (eid_address *)(uintptr_t)change->address;
    if (status == EID_OK && change->changed)
        status = change_peer(sync, key, known, eid_peers_status(known), list, count);
    eid_addresses_free(held, held_count);
    return status;
}

static eid_status apply_address_change(eid_sync *sync, const eid_pubkey *peer, address_change *change)
{
    char key[EID_PUBKEY_TEXT_SIZE];
    eid_value *value;
    const eid_doc *known;

    eid_pubkey_format(peer, key);
    pthread_mutex_lock(&sync->write_mutex);
    eid_status status = eid_peers_get_record(sync, EID_STORE_PEERS, key, &value, &known);
    if (status == EID_OK)
        status = known == NULL ? fail_not_found(key) : change_addresses(sync, key, known, change);
    pthread_mutex_unlock(&sync->write_mutex);
    eid_value_free(value);
    return status;
}

eid_status eid_sync_add_peer_address(eid_sync *sync, const eid_pubkey *peer, const eid_address *address)
{
    EID_NEED(sync && peer && address);
    address_change change = {address, true, false};
    return apply_address_change(sync, peer, &change);
}

eid_status eid_sync_remove_peer_address(eid_sync *sync, const eid_pubkey *peer, const eid_address *address, bool *removed)
{
    EID_NEED(sync && peer && address);
    address_change change = {address, false, false};
    EID_TRY(apply_address_change(sync, peer, &change));
    if (removed != NULL)
        *removed = change.changed;
    return EID_OK;
}

eid_status eid_sync_get_peer_addresses(eid_sync *sync, const eid_pubkey *peer, const char *transport_or_null,
                                       eid_address ***out, size_t *count)
{
    EID_NEED(sync && peer && out && count);
    char key[EID_PUBKEY_TEXT_SIZE];
    eid_value *value;
    const eid_doc *known;
    eid_address **list = NULL;
    size_t all = 0, kept = 0;

    eid_pubkey_format(peer, key);
    eid_status status = eid_peers_get_record(sync, EID_STORE_PEERS, key, &value, &known);
    if (status == EID_OK)
        status = known == NULL ? fail_not_found(key) : eid_peers_addresses(known, &list, &all);
    eid_value_free(value);
    EID_TRY(status);
    for (size_t i = 0; i < all; i++) {
        if (transport_or_null == NULL || strcmp(list[i]->transport, transport_or_null) == 0)
            list[kept++] = list[i];
        else
            eid_address_free(list[i]);
    }
    *out = list;
    *count = kept;
    return EID_OK;
}

void eid_sync_addresses_free(eid_address **addresses, size_t count)
{
    eid_addresses_free(addresses, count);
}
