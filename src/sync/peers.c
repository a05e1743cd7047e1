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
#include "sync/sync_int.h"

#define RECORD_MAX (4u << 20) /* of one text(JSON) value: EID_LIMIT_PEERS keys fit */

/* ---- Reading ---- */

/* The Doc under this key of a store of `_sync`; *out NULL when there is none. Free the value. */
static eid_status get_record(eid_sync *sync, const char *store, const char *key, eid_value **value,
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
static eid_status addresses_of(const eid_doc *record, eid_address ***out, size_t *count)
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

eid_status eid_peers_load(eid_sync *sync)
{
    eid_doc *peers;
    EID_TRY(eid_database_store_state(sync->database, EID_STORE_PEERS, &peers));
    sync->peer_count = eid_doc_len(peers);
    eid_doc_free(peers);
    return EID_OK;
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

static eid_status write_record(eid_sync *sync, const char *store, const char *key, const eid_doc *record)
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

static eid_status update_peer(eid_sync *sync, const char *key, const eid_doc *known, const char *display_name,
                              eid_address *const *added, size_t added_count)
{
    eid_address *list[EID_LIMIT_PEER_ADDRESSES]; /* lent: from `held` and `added` */
    eid_address **held = NULL;
    size_t held_count = 0, count = 0;
    eid_doc *record = NULL;
    eid_status status = EID_OK;

    if (known != NULL)
        EID_TRY(addresses_of(known, &held, &held_count));
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
            status = write_record(sync, EID_STORE_PEERS, key, record);
        if (status == EID_OK && known == NULL)
            sync->peer_count++;
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
    eid_status status = get_record(sync, EID_STORE_PEERS, key, &value, &known);
    if (status == EID_OK && (known != NULL || sync->peer_count < EID_LIMIT_PEERS))
        status = update_peer(sync, key, known, display_name, addresses, count);
    pthread_mutex_unlock(&sync->write_mutex);
    eid_value_free(value);
    return status;
}

/* ---- Relations ---- */

/* Is the key listed in the JSON array of texts? */
static bool lists_key(eid_slice json, const char *key)
{
    eid_json reader;
    bool more = true, found = false;
    eid_slice item;

    eid_json_init(&reader, json);
    eid_status status = eid_json_begin_array(&reader, "peer_pubkeys");
    while (status == EID_OK && (status = eid_json_next_item(&reader, &more)) == EID_OK && more && !found) {
        status = eid_json_read_text(&reader, "peer_pubkeys", &item);
        found = status == EID_OK && eid_slice_is(item, key);
    }
    eid_json_free(&reader);
    return found;
}

/* The list with the key behind its last item, as text. */
static void write_longer_list(eid_buf *buf, eid_slice json, const char *key)
{
    size_t end = json.len;
    while (end != 0 && json.data[end - 1] != ']')
        end--;
    if (end < 2) {
        eid_buf_append_byte(buf, '[');
    } else {
        eid_buf_append(buf, json.data, end - 1);
        if (memchr(json.data, '"', json.len) != NULL)
            eid_buf_append_byte(buf, ',');
    }
    eid_json_write_cstr(buf, key);
    eid_buf_append_byte(buf, ']');
}

static eid_status add_to_tree(eid_sync *sync, const char *tree, eid_slice known, const char *key)
{
    eid_buf list;
    eid_doc *record = NULL;

    eid_buf_init(&list, RECORD_MAX);
    write_longer_list(&list, known, key);
    eid_status status = eid_buf_status(&list);
    if (status == EID_OK)
        status = eid_doc_new(&record);
    if (status == EID_OK)
        status = eid_doc_set_text(record, "peer_pubkeys", (const char *)list.data, list.len);
    if (status == EID_OK)
        status = eid_doc_set_string(record, "tree_id", tree);
    if (status == EID_OK)
        status = write_record(sync, EID_STORE_TREES, tree, record);
    eid_doc_free(record);
    eid_buf_free(&list);
    return status;
}

static eid_status note_relation(eid_sync *sync, const char *tree, const char *key)
{
    eid_value *peer_value, *tree_value = NULL;
    const eid_doc *peer, *record;
    const char *text = NULL;
    size_t len = 0;

    eid_status status = get_record(sync, EID_STORE_PEERS, key, &peer_value, &peer);
    if (status == EID_OK && peer != NULL)
        status = get_record(sync, EID_STORE_TREES, tree, &tree_value, &record);
    if (status == EID_OK && peer != NULL) {
        if (record == NULL || eid_doc_get_text(record, "peer_pubkeys", &text, &len) != EID_OK)
            len = 0;
        eid_slice known = eid_slice_of(text, len);
        if (len == 0 || !lists_key(known, key))
            status = add_to_tree(sync, tree, known, key);
    }
    eid_value_free(peer_value);
    eid_value_free(tree_value);
    return status;
}

eid_status eid_relation_note(eid_sync *sync, const eid_id *database, const eid_pubkey *peer)
{
    char key[EID_PUBKEY_TEXT_SIZE], tree[EID_ID_TEXT_SIZE];
    eid_pubkey_format(peer, key);
    eid_id_format(database, tree);
    pthread_mutex_lock(&sync->write_mutex);
    eid_status status = note_relation(sync, tree, key);
    pthread_mutex_unlock(&sync->write_mutex);
    return status;
}

/* ---- Listing ---- */

static eid_status copy_text(const eid_doc *record, const char *field, char **out)
{
    const char *text;
    size_t len;
    if (eid_doc_get_text(record, field, &text, &len) != EID_OK)
        return EID_OK;
    *out = eid_memdup(text, len);
    return *out == NULL ? eid_fail_memory() : EID_OK;
}

static eid_status copy_addresses(const eid_doc *record, char ***out)
{
    eid_address **addresses;
    size_t count;
    EID_TRY(addresses_of(record, &addresses, &count));
    char **texts = eid_alloc_zero(count + 1, sizeof *texts);
    eid_status status = texts == NULL ? eid_fail_memory() : EID_OK;
    for (size_t i = 0; i < count && status == EID_OK; i++) {
        eid_buf buf;
        eid_buf_init(&buf, EID_LIMIT_ADDRESS_TEXT * 2);
        eid_buf_appendf(&buf, "%s:%s", addresses[i]->transport, addresses[i]->text);
        status = eid_buf_take_text(&buf, &texts[i]);
    }
    eid_addresses_free(addresses, count);
    *out = texts;
    return status;
}

static eid_status fill_info(eid_peer_info *info, eid_slice key, const eid_doc *record)
{
    EID_TRY(eid_pubkey_parse_slice(key, &info->pubkey));
    EID_TRY(copy_text(record, "display_name", &info->display_name));
    EID_TRY(copy_text(record, "status", &info->status));
    return copy_addresses(record, &info->addresses);
}

static eid_status fill_infos(const eid_doc *peers, eid_peer_info *infos, size_t *count)
{
    const eid_doc_cursor *cursor = NULL;
    const char *key;
    size_t key_len;
    const eid_value *value;

    while (eid_doc_next(peers, &cursor, &key, &key_len, &value)) {
        const eid_doc *record;
        if (eid_value_as_doc(value, &record) != EID_OK)
            continue;
        eid_status status = fill_info(&infos[(*count)++], eid_slice_of(key, key_len), record);
        if (status != EID_OK)
            return status;
    }
    return EID_OK;
}

eid_status eid_sync_list_peers(eid_sync *sync, eid_peer_info **out, size_t *count)
{
    eid_doc *peers;
    size_t filled = 0;
    EID_TRY(eid_database_store_state(sync->database, EID_STORE_PEERS, &peers));
    eid_peer_info *infos = eid_alloc_zero(eid_doc_len(peers) + 1, sizeof *infos);
    eid_status status = infos == NULL ? eid_fail_memory() : fill_infos(peers, infos, &filled);
    eid_doc_free(peers);
    if (status != EID_OK) {
        eid_peer_infos_free(infos, filled);
        return status;
    }
    *out = infos;
    *count = filled;
    return EID_OK;
}

void eid_peer_infos_free(eid_peer_info *peers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        eid_free(peers[i].display_name);
        eid_free(peers[i].status);
        for (char **address = peers[i].addresses; address != NULL && *address != NULL; address++)
            eid_free(*address);
        eid_free(peers[i].addresses);
    }
    eid_free(peers);
}
