/* SPDX-License-Identifier: Apache-2.0 */
/* The engine as the program sees it: settings, what waits, figures. */
#include "base/alloc.h"
#include "base/sized.h"
#include "sync/engine_int.h"

void eid_sync_get_config(eid_sync *sync, eid_sync_config *out)
{
    eid_engine *engine = sync->engine;
    pthread_mutex_lock(&engine->mutex);
    eid_sync_config config = engine->config;
    pthread_mutex_unlock(&engine->mutex);
    eid_sized_give(out, &config, sizeof config);
}

eid_status eid_sync_set_config(eid_sync *sync, const eid_sync_config *config)
{
    EID_NEED(sync && config);
    eid_engine *engine = sync->engine;
    eid_sync_config used = EID_SYNC_CONFIG_INIT;
    EID_TRY(eid_sized_take(&used, sizeof used, config, "eid_sync_config"));
    if (used.periodic_seconds == 0 || used.check_seconds == 0 || used.retry_max_seconds == 0)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "a period of the sync engine must be at least a second");
    if (used.periodic_seconds > UINT32_MAX || used.check_seconds > UINT32_MAX || used.retry_max_seconds > UINT32_MAX)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "a period of the sync engine is longer than a century");
    pthread_mutex_lock(&engine->mutex);
    engine->config = used;
    uint64_t now = eid_engine_now(engine);
    for (eid_map_entry *at = eid_map_first(engine->neighbours); at != NULL;
         at = eid_map_next(engine->neighbours, at)) {
        eid_neighbour *neighbour = at->value;
        if (neighbour->next_check_ms > now + used.check_seconds * 1000)
            neighbour->next_check_ms = now + used.check_seconds * 1000;
        if (neighbour->next_attempt_ms > now + used.retry_max_seconds * 1000)
            neighbour->next_attempt_ms = now + used.retry_max_seconds * 1000;
    }
    pthread_mutex_unlock(&engine->mutex);
    eid_engine_wishes_changed(engine, NULL);
    return EID_OK;
}

/* ---- Entries queued by hand ---- */

static eid_status add_extra(eid_link *link, const eid_id *entry)
{
    for (size_t i = 0; i < link->extra_count; i++)
        if (eid_id_equal(&link->extra[i], entry))
            return EID_OK;
    if (link->extra_count >= EID_LIMIT_SYNC_EXTRA)
        return eid_fail(EID_ERR_LIMIT, "%d entries wait for this peer already", EID_LIMIT_SYNC_EXTRA);
    eid_id *grown = eid_realloc_array(link->extra, link->extra_count + 1, sizeof *grown);
    if (grown == NULL)
        return eid_fail_memory();
    link->extra = grown;
    link->extra[link->extra_count++] = *entry;
    return EID_OK;
}

eid_status eid_sync_queue_entry(eid_sync *sync, const eid_pubkey *peer, const eid_id *entry, const eid_id *database)
{
    EID_NEED(sync && peer && entry && database);
    eid_engine *engine = sync->engine;
    char text[EID_PUBKEY_TEXT_SIZE];
    eid_link *link;
    EID_TRY(eid_sync_need_transport(sync));
    pthread_mutex_lock(&engine->mutex);
    eid_neighbour *neighbour = eid_neighbour_find(engine, peer);
    bool known = neighbour != NULL && neighbour->status != EID_PEER_BLOCKED;
    eid_status status = known ? eid_link_make(engine, neighbour, database, &link) : EID_OK;
    if (known && status == EID_OK)
        status = add_extra(link, entry);
    if (known && status == EID_OK) {
        neighbour->unsaved = true;
        eid_engine_note_time(engine, eid_neighbour_due(engine, neighbour, eid_engine_now(engine)));
    }
    pthread_mutex_unlock(&engine->mutex);
    if (known)
        return status;
    eid_pubkey_format(peer, text);
    return eid_fail(EID_ERR_PEER_NOT_FOUND, "Peer not found: %s", text);
}

/* ---- What waits ---- */

static bool is_retry(const eid_link *link)
{
    return eid_link_has_to_send(link) && (link->neighbour->attempts != 0 || link->attempts != 0);
}

static size_t count_retries(const eid_engine *engine)
{
    size_t count = 0;
    for (eid_map_entry *at = eid_map_first(engine->links); at != NULL; at = eid_map_next(engine->links, at))
        for (const eid_link *link = at->value; link != NULL; link = link->next_of_database)
            count += is_retry(link);
    return count;
}

size_t eid_sync_retry_queue_len(eid_sync *sync)
{
    pthread_mutex_lock(&sync->engine->mutex);
    size_t count = count_retries(sync->engine);
    pthread_mutex_unlock(&sync->engine->mutex);
    return count;
}

static eid_status fill_retry(const eid_link *link, uint64_t now, eid_retry *out)
{
    const eid_neighbour *neighbour = link->neighbour;
    bool of_peer = neighbour->attempts != 0;
    uint64_t next = of_peer && neighbour->next_attempt_ms > link->not_before_ms ? neighbour->next_attempt_ms
                                                                               : link->not_before_ms;
    const char *error = of_peer ? neighbour->error : link->error;
    out->peer = neighbour->key;
    out->database = link->database;
    out->attempts = of_peer ? neighbour->attempts : link->attempts;
    out->next_attempt_ms = neighbour->busy || next < now ? 0 : next - now;
    out->last_error = eid_strdup(error != NULL ? error : "");
    return out->last_error == NULL ? eid_fail_memory() : EID_OK;
}

static eid_status fill_retries(const eid_engine *engine, eid_retry *retries, size_t *filled)
{
    uint64_t now = eid_engine_now(engine);
    for (eid_map_entry *at = eid_map_first(engine->links); at != NULL; at = eid_map_next(engine->links, at)) {
        for (const eid_link *link = at->value; link != NULL; link = link->next_of_database) {
            if (!is_retry(link))
                continue;
            EID_TRY(fill_retry(link, now, &retries[*filled]));
            ++*filled;
        }
    }
    return EID_OK;
}

eid_status eid_sync_retry_queue_list(eid_sync *sync, eid_retry **out, size_t *count)
{
    EID_NEED(sync && out && count);
    eid_engine *engine = sync->engine;
    size_t filled = 0;
    pthread_mutex_lock(&engine->mutex);
    eid_retry *retries = eid_alloc_zero(count_retries(engine) + 1, sizeof *retries);
    eid_status status = retries == NULL ? eid_fail_memory() : fill_retries(engine, retries, &filled);
    pthread_mutex_unlock(&engine->mutex);
    if (status != EID_OK) {
        eid_retries_free(retries, filled);
        return status;
    }
    *out = retries;
    *count = filled;
    return EID_OK;
}

void eid_retries_free(eid_retry *retries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        eid_free(retries[i].last_error);
    eid_free(retries);
}

void eid_sync_get_engine_stats(eid_sync *sync, eid_sync_engine_stats *out)
{
    eid_engine *engine = sync->engine;
    eid_sync_engine_stats stats = {.struct_size = sizeof stats};
    pthread_mutex_lock(&engine->mutex);
    stats.running = engine->host != NULL && !engine->stopping;
    stats.sessions = engine->session_count;
    stats.completed = engine->completed;
    stats.failed = engine->failed;
    for (eid_map_entry *at = eid_map_first(engine->neighbours); at != NULL;
         at = eid_map_next(engine->neighbours, at))
        stats.peers += ((const eid_neighbour *)at->value)->status == EID_PEER_ACTIVE;
    for (eid_map_entry *at = eid_map_first(engine->links); at != NULL; at = eid_map_next(engine->links, at)) {
        for (const eid_link *link = at->value; link != NULL; link = link->next_of_database) {
            stats.relations += link->related && link->shared;
            stats.to_send += eid_link_has_to_send(link);
        }
    }
    pthread_mutex_unlock(&engine->mutex);
    eid_sized_give(out, &stats, sizeof stats);
}

/* ---- The program's own settings ---- */

eid_status eid_sync_set_setting(eid_sync *sync, const char *key, const char *value)
{
    EID_NEED(sync && key && value);
    eid_txn *txn;
    pthread_mutex_lock(&sync->write_mutex);
    eid_status status = eid_database_new_transaction(sync->database, &txn);
    if (status == EID_OK) {
        status = eid_docstore_set_text(txn, EID_STORE_SETTINGS_MAP, key, value);
        if (status == EID_OK)
            status = eid_txn_commit_free(txn, NULL);
        else
            eid_txn_free(txn);
    }
    pthread_mutex_unlock(&sync->write_mutex);
    return status;
}

eid_status eid_sync_get_setting(eid_sync *sync, const char *key, char **out)
{
    EID_NEED(sync && key && out);
    eid_value *value;
    const char *text;
    eid_status status = eid_database_get(sync->database, EID_STORE_SETTINGS_MAP, key, &value);
    if (status == EID_ERR_KEY_NOT_FOUND) {
        *out = NULL;
        return EID_OK;
    }
    EID_TRY(status);
    status = eid_value_as_text(value, &text, NULL);
    char *copy = status == EID_OK ? eid_strdup(text) : NULL;
    eid_value_free(value);
    EID_TRY(status);
    if (copy == NULL)
        return eid_fail_memory();
    *out = copy;
    return EID_OK;
}

eid_database *eid_sync_sync_tree(eid_sync *sync)
{
    return sync->database;
}
