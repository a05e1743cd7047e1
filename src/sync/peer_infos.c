/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of peers: their records, and how the engine fares with them. */
#include "base/alloc.h"
#include "codec/json.h"
#include "crypto/key.h"
#include "sync/engine_int.h"
#include "sync/peers_int.h"

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
    EID_TRY(eid_peers_addresses(record, &addresses, &count));
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

static eid_status format_time(uint64_t ms, char **out)
{
    char text[EID_RFC3339_SIZE];
    if (ms == 0)
        return EID_OK;
    eid_rfc3339(ms, text);
    eid_free(*out);
    *out = eid_strdup(text);
    return *out == NULL ? eid_fail_memory() : EID_OK;
}

/* What the engine knows of the present run. */
static eid_status fill_contact(eid_sync *sync, eid_peer_info *info)
{
    eid_engine *engine = sync->engine;
    char *error = NULL;
    eid_status status = EID_OK;
    uint64_t contact = 0, success = 0;

    pthread_mutex_lock(&engine->mutex);
    const eid_neighbour *neighbour = eid_neighbour_find(engine, &info->pubkey);
    if (neighbour != NULL) {
        info->connection_state = neighbour->connection;
        info->connection_attempts = neighbour->attempts;
        contact = neighbour->last_contact_ms;
        success = neighbour->metadata.last_successful_sync_ms;
        if (neighbour->error != NULL && (error = eid_strdup(neighbour->error)) == NULL)
            status = eid_fail_memory();
    }
    pthread_mutex_unlock(&engine->mutex);
    info->last_error = error;
    EID_TRY(status);
    EID_TRY(format_time(success, &info->last_successful_sync));
    return format_time(contact, &info->last_seen);
}

static eid_status fill_info(eid_sync *sync, eid_peer_info *info, const eid_doc *record)
{
    info->peer_status = eid_peers_status(record);
    EID_TRY(copy_text(record, "display_name", &info->display_name));
    EID_TRY(copy_text(record, "status", &info->status));
    EID_TRY(copy_text(record, "first_seen", &info->first_seen));
    EID_TRY(copy_text(record, "last_seen", &info->last_seen));
    EID_TRY(copy_addresses(record, &info->addresses));
    return fill_contact(sync, info);
}

static eid_status fill_infos(eid_sync *sync, const eid_doc *peers, eid_peer_info *infos, size_t *count)
{
    const eid_doc_cursor *cursor = NULL;
    const char *key;
    size_t key_len;
    const eid_value *value;

    while (eid_doc_next(peers, &cursor, &key, &key_len, &value)) {
        const eid_doc *record;
        eid_peer_info *info = &infos[*count];
        if (eid_value_as_doc(value, &record) != EID_OK || eid_peers_status(record) == EID_PEER_BLOCKED ||
            eid_pubkey_parse_slice(eid_slice_of(key, key_len), &info->pubkey) != EID_OK)
            continue;
        ++*count;
        EID_TRY(fill_info(sync, info, record));
    }
    return EID_OK;
}

eid_status eid_sync_list_peers(eid_sync *sync, eid_peer_info **out, size_t *count)
{
    EID_NEED(sync && out && count);
    eid_doc *peers;
    size_t filled = 0;
    EID_TRY(eid_database_store_state(sync->database, EID_STORE_PEERS, &peers));
    eid_peer_info *infos = eid_alloc_zero(eid_doc_len(peers) + 1, sizeof *infos);
    eid_status status = infos == NULL ? eid_fail_memory() : fill_infos(sync, peers, infos, &filled);
    eid_doc_free(peers);
    if (status != EID_OK) {
        eid_peer_infos_free(infos, filled);
        return status;
    }
    *out = infos;
    *count = filled;
    return EID_OK;
}

eid_status eid_sync_get_peer_info(eid_sync *sync, const eid_pubkey *peer, eid_peer_info **out)
{
    EID_NEED(sync && peer && out);
    char key[EID_PUBKEY_TEXT_SIZE];
    eid_value *value;
    const eid_doc *record;

    eid_pubkey_format(peer, key);
    EID_TRY(eid_peers_get_record(sync, EID_STORE_PEERS, key, &value, &record));
    if (record == NULL || eid_peers_status(record) == EID_PEER_BLOCKED) {
        eid_value_free(value);
        return eid_fail(EID_ERR_PEER_NOT_FOUND, "Peer not found: %s", key);
    }
    eid_peer_info *info = eid_alloc_zero(1, sizeof *info);
    eid_status status = info == NULL ? eid_fail_memory() : EID_OK;
    if (status == EID_OK) {
        info->pubkey = *peer;
        status = fill_info(sync, info, record);
    }
    eid_value_free(value);
    if (status != EID_OK) {
        eid_peer_infos_free(info, info != NULL);
        return status;
    }
    *out = info;
    return EID_OK;
}

void eid_peer_infos_free(eid_peer_info *peers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        eid_free(peers[i].display_name);
        eid_free(peers[i].status);
        eid_free(peers[i].first_seen);
        eid_free(peers[i].last_seen);
        eid_free(peers[i].last_error);
        eid_free(peers[i].last_successful_sync);
        for (char **address = peers[i].addresses; address != NULL && *address != NULL; address++)
            eid_free(*address);
        eid_free(peers[i].addresses);
    }
    eid_free(peers);
}
