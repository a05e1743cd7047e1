/* SPDX-License-Identifier: Apache-2.0 */
/* Neighbours and links: what the engine knows of peers, and when something is to be done. */
#include "base/alloc.h"
#include "sync/engine_int.h"

/* ---- Finding and making ---- */

eid_neighbour *eid_neighbour_find(const eid_engine *engine, const eid_pubkey *key)
{
    return eid_map_get(engine->neighbours, eid_slice_of(key->bytes, sizeof key->bytes));
}

eid_link *eid_link_find(const eid_neighbour *neighbour, const eid_id *database)
{
    for (eid_link *link = neighbour->links; link != NULL; link = link->next_of_neighbour)
        if (eid_id_equal(&link->database, database))
            return link;
    return NULL;
}

static void look_at_wishes(eid_engine *engine, eid_link *link)
{
    eid_wish wish;
    link->shared = eid_sync_is_shared(engine->sync, &link->database);
    link->on_commit = link->shared && eid_sync_wish(engine->sync, &link->database, &wish) && wish.on_commit;
}

eid_status eid_link_make(eid_engine *engine, eid_neighbour *neighbour, const eid_id *database, eid_link **out)
{
    eid_map_entry *first;
    eid_link *link = eid_link_find(neighbour, database);
    if (link != NULL) {
        *out = link;
        return EID_OK;
    }
    if (engine->link_count >= EID_LIMIT_SYNC_LINKS)
        return eid_fail(EID_ERR_LIMIT, "at most %d pairs of peer and database can be kept in step",
                        EID_LIMIT_SYNC_LINKS);
    link = eid_alloc_zero(1, sizeof *link);
    if (link == NULL)
        return eid_fail_memory();
    eid_status status = eid_map_put(engine->links, eid_slice_of(database->bytes, database->len), &first, NULL);
    if (status != EID_OK) {
        eid_free(link);
        return status;
    }
    link->neighbour = neighbour;
    link->database = *database;
    link->push_at_ms = EID_NEVER;
    link->full_at_ms = EID_NEVER;
    link->cursor = (eid_sync_cursor){.struct_size = sizeof link->cursor, .peer = neighbour->key, .database = *database};
    link->next_of_neighbour = neighbour->links;
    neighbour->links = link;
    link->next_of_database = first->value;
    first->value = link;
    engine->link_count++;
    look_at_wishes(engine, link);
    *out = link;
    return EID_OK;
}

static void free_link(eid_link *link)
{
    eid_free(link->known);
    eid_free(link->error);
    eid_free(link->extra);
    eid_free(link);
}

void eid_neighbour_free(void *value)
{
    eid_neighbour *neighbour = value;
    if (neighbour == NULL)
        return;
    while (neighbour->links != NULL) {
        eid_link *link = neighbour->links;
        neighbour->links = link->next_of_neighbour;
        free_link(link);
    }
    for (size_t i = 0; i < EID_LIMIT_SYNC_HISTORY; i++)
        eid_free(neighbour->past[i].error);
    eid_addresses_free(neighbour->addresses, neighbour->address_count);
    eid_address_free(neighbour->good);
    eid_free(neighbour->error);
    eid_free(neighbour);
}

/* ---- Records of peers ---- */

static eid_status make_neighbour(eid_engine *engine, const eid_pubkey *key, eid_neighbour **out)
{
    eid_map_entry *entry;
    eid_neighbour *neighbour = eid_alloc_zero(1, sizeof *neighbour);
    if (neighbour == NULL)
        return eid_fail_memory();
    eid_status status = eid_map_put(engine->neighbours, eid_slice_of(key->bytes, sizeof key->bytes), &entry, NULL);
    if (status != EID_OK) {
        eid_free(neighbour);
        return status;
    }
    entry->value = neighbour;
    neighbour->key = *key;
    neighbour->next_check_ms = eid_engine_now(engine);
    neighbour->metadata = (eid_sync_metadata){.struct_size = sizeof neighbour->metadata, .peer = *key};
    *out = neighbour;
    return EID_OK;
}

static eid_status copy_addresses(eid_address *const *addresses, size_t count, eid_address ***out)
{
    eid_address **copies = eid_alloc_zero(count + 1, sizeof *copies);
    eid_status status = copies == NULL ? eid_fail_memory() : EID_OK;
    size_t copied = 0;
    while (copied < count && status == EID_OK) {
        status = eid_address_copy(addresses[copied], &copies[copied]);
        copied += status == EID_OK;
    }
    if (status != EID_OK) {
        eid_addresses_free(copies, copied);
        return status;
    }
    *out = copies;
    return EID_OK;
}

static bool is_listed(const eid_neighbour *neighbour, const eid_address *address)
{
    for (size_t i = 0; i < neighbour->address_count; i++)
        if (eid_address_equal(neighbour->addresses[i], address))
            return true;
    return false;
}

eid_status eid_engine_set_neighbour(eid_engine *engine, const eid_pubkey *peer, eid_peer_status status,
                                    eid_address *const *addresses, size_t count)
{
    eid_address **copies;
    EID_TRY(copy_addresses(addresses, count, &copies));
    pthread_mutex_lock(&engine->mutex);
    eid_neighbour *neighbour = eid_neighbour_find(engine, peer);
    eid_status made = neighbour != NULL ? EID_OK : make_neighbour(engine, peer, &neighbour);
    if (made == EID_OK) {
        eid_address **before = neighbour->addresses;
        size_t before_count = neighbour->address_count;
        neighbour->status = status;
        neighbour->addresses = copies;
        neighbour->address_count = count;
        /* A new address, or a peer that is welcome again: worth a try now. */
        if (count > before_count)
            neighbour->next_attempt_ms = 0;
        if (neighbour->good != NULL && !is_listed(neighbour, neighbour->good)) {
            eid_address_free(neighbour->good);
            neighbour->good = NULL;
        }
        copies = before;
        count = before_count;
        eid_engine_note_time(engine, eid_neighbour_due(engine, neighbour, eid_engine_now(engine)));
    }
    pthread_mutex_unlock(&engine->mutex);
    eid_addresses_free(copies, count);
    return made;
}

eid_status eid_engine_set_relation(eid_engine *engine, const eid_id *database, const eid_pubkey *peer, bool related)
{
    eid_link *link = NULL;
    eid_status status = EID_OK;
    pthread_mutex_lock(&engine->mutex);
    eid_neighbour *neighbour = eid_neighbour_find(engine, peer);
    if (neighbour != NULL && related)
        status = eid_link_make(engine, neighbour, database, &link);
    else if (neighbour != NULL)
        link = eid_link_find(neighbour, database);
    if (status == EID_OK && link != NULL && link->related != related) {
        uint64_t now = eid_engine_now(engine);
        link->related = related;
        link->push_at_ms = EID_NEVER;
        link->full_at_ms = related ? now + eid_engine_interval_ms(engine, database) : EID_NEVER;
        eid_engine_note_time(engine, eid_neighbour_due(engine, neighbour, now));
    }
    pthread_mutex_unlock(&engine->mutex);
    return status;
}

/* ---- What a peer holds ---- */

eid_status eid_engine_known(eid_engine *engine, const eid_pubkey *peer, const eid_id *database, eid_id_array *out)
{
    eid_status status = EID_OK;
    pthread_mutex_lock(&engine->mutex);
    const eid_neighbour *neighbour = eid_neighbour_find(engine, peer);
    const eid_link *link = neighbour == NULL ? NULL : eid_link_find(neighbour, database);
    if (link != NULL)
        status = eid_id_array_add(out, link->known, link->known_count);
    pthread_mutex_unlock(&engine->mutex);
    return status;
}

/* Only a saving: without memory, or with too many tips, the next sync sends a little more. */
void eid_engine_learn(eid_engine *engine, const eid_pubkey *peer, const eid_id *database, const eid_id *tips, size_t count)
{
    eid_link *link;
    if (count > EID_LIMIT_REPORTED_TIPS)
        count = EID_LIMIT_REPORTED_TIPS;
    eid_id *known = eid_realloc_array(NULL, count + 1, sizeof *known);
    if (known == NULL)
        return;
    if (count != 0)
        memcpy(known, tips, count * sizeof *known);
    pthread_mutex_lock(&engine->mutex);
    eid_neighbour *neighbour = eid_neighbour_find(engine, peer);
    if (neighbour != NULL && eid_link_make(engine, neighbour, database, &link) == EID_OK) {
        eid_id *before = link->known;
        link->known = known;
        link->known_count = count;
        neighbour->unsaved = true;
        known = before;
    }
    pthread_mutex_unlock(&engine->mutex);
    eid_free(known);
}

static void drop_parents(eid_link *link, const eid_entry *entry)
{
    size_t kept = 0;
    for (size_t i = 0; i < link->known_count; i++) {
        bool covered = eid_id_equal(&link->known[i], &entry->id);
        for (size_t k = 0; k < entry->parent_count && !covered; k++)
            covered = eid_id_equal(&link->known[i], &entry->parents[k]);
        if (!covered)
            link->known[kept++] = link->known[i];
    }
    link->known_count = kept;
}

void eid_engine_heard(eid_engine *engine, const eid_pubkey *peer, const eid_id *database, eid_entry *const *entries,
                      size_t count)
{
    pthread_mutex_lock(&engine->mutex);
    eid_neighbour *neighbour = eid_neighbour_find(engine, peer);
    eid_link *link = neighbour == NULL ? NULL : eid_link_find(neighbour, database);
    /* Where nothing is known the whole is asked for anyway. */
    if (link != NULL && link->known_count != 0) {
        eid_id *grown = eid_realloc_array(link->known, EID_LIMIT_REPORTED_TIPS, sizeof *grown);
        if (grown != NULL)
            link->known = grown;
        for (size_t i = 0; i < count && grown != NULL; i++) {
            drop_parents(link, entries[i]);
            if (link->known_count == EID_LIMIT_REPORTED_TIPS)
                memmove(link->known, link->known + 1, --link->known_count * sizeof *link->known);
            link->known[link->known_count++] = entries[i]->id;
        }
        neighbour->unsaved = true;
    }
    pthread_mutex_unlock(&engine->mutex);
}

/* ---- Time ---- */

uint64_t eid_engine_interval_ms(eid_engine *engine, const eid_id *database)
{
    eid_wish wish;
    uint64_t seconds = engine->config.periodic_seconds;
    if (eid_sync_wish(engine->sync, database, &wish) && wish.interval_seconds != 0)
        seconds = wish.interval_seconds;
    return seconds > UINT32_MAX ? UINT64_C(1000) * UINT32_MAX : seconds * 1000;
}

uint64_t eid_engine_backoff(eid_engine *engine, unsigned attempts)
{
    uint64_t longest = engine->config.retry_max_seconds * 1000;
    uint64_t wait = attempts > 20 ? longest : UINT64_C(1000) << attempts;
    if (wait > longest)
        wait = longest;
    /* A little earlier, by chance: peers that failed together do not come back together. */
    return wait - (engine->host == NULL ? 0 : engine->host->functions->random(engine->host) % (wait / 16 + 1));
}

bool eid_link_has_to_send(const eid_link *link)
{
    return link->extra_count != 0 || (link->related && link->shared && link->push_at_ms != EID_NEVER);
}

static uint64_t link_due(const eid_link *link)
{
    uint64_t due = EID_NEVER;
    if (link->related && link->shared)
        due = link->push_at_ms < link->full_at_ms ? link->push_at_ms : link->full_at_ms;
    if (link->extra_count != 0)
        due = 0;
    return due < link->not_before_ms ? link->not_before_ms : due;
}

uint64_t eid_neighbour_due(const eid_engine *engine, const eid_neighbour *neighbour, uint64_t now)
{
    if (neighbour->status != EID_PEER_ACTIVE || neighbour->busy || neighbour->address_count == 0)
        return EID_NEVER;
    if (engine->flushes != NULL && neighbour->flushing)
        return now;
    uint64_t due = neighbour->next_check_ms;
    for (const eid_link *link = neighbour->links; link != NULL; link = link->next_of_neighbour) {
        uint64_t at = link_due(link);
        due = at < due ? at : due;
    }
    if (neighbour->attempts != 0 && due < neighbour->next_attempt_ms)
        due = neighbour->next_attempt_ms;
    return due;
}

/* ---- Marks ---- */

static void apply_wishes(eid_engine *engine, eid_link *first, uint64_t now)
{
    uint64_t interval = 0;
    for (eid_link *link = first; link != NULL; link = link->next_of_database) {
        bool before = link->shared;
        look_at_wishes(engine, link);
        if (!link->related || !link->shared)
            continue;
        if (interval == 0)
            interval = eid_engine_interval_ms(engine, &link->database);
        if (!before)
            link->full_at_ms = now;
        else if (link->full_at_ms > now + interval)
            link->full_at_ms = now + interval;
    }
}

void eid_engine_wishes_changed(eid_engine *engine, const eid_id *database)
{
    pthread_mutex_lock(&engine->mutex);
    uint64_t now = eid_engine_now(engine);
    if (database != NULL)
        apply_wishes(engine, eid_map_get(engine->links, eid_slice_of(database->bytes, database->len)), now);
    for (eid_map_entry *at = eid_map_first(engine->links); at != NULL && database == NULL;
         at = eid_map_next(engine->links, at))
        apply_wishes(engine, at->value, now);
    eid_engine_note_time(engine, now);
    pthread_mutex_unlock(&engine->mutex);
}

static void note_modified(eid_engine *engine, const eid_id *database)
{
    eid_map_entry *entry;
    if (eid_map_put(engine->modified, eid_slice_of(database->bytes, database->len), &entry, NULL) != EID_OK)
        return;
    if (entry->value == NULL)
        entry->value = eid_alloc_zero(1, sizeof(uint64_t));
    if (entry->value == NULL)
        return;
    *(uint64_t *)entry->value = eid_clock_now_ms(engine->sync->clock);
    engine->modified_unsaved = true;
    if (engine->host != NULL)
        eid_engine_want_save(engine);
}

uint64_t eid_engine_modified(eid_engine *engine, const eid_id *database)
{
    pthread_mutex_lock(&engine->mutex);
    const uint64_t *at = eid_map_get(engine->modified, eid_slice_of(database->bytes, database->len));
    uint64_t seconds = at == NULL ? 0 : *at / 1000;
    pthread_mutex_unlock(&engine->mutex);
    return seconds;
}

void eid_engine_hook(const eid_id *database, eid_entry *const *entries, size_t count, eid_write_source source, void *ctx)
{
    eid_engine *engine = ctx;
    (void)entries;
    (void)count;
    pthread_mutex_lock(&engine->mutex);
    note_modified(engine, database);
    eid_link *link = eid_map_get(engine->links, eid_slice_of(database->bytes, database->len));
    uint64_t now = link == NULL ? 0 : eid_engine_now(engine);
    uint64_t at = source == EID_WRITE_LOCAL ? now : now + EID_LIMIT_SYNC_RELAY_MS;
    for (; link != NULL; link = link->next_of_database) {
        if (!link->related || !link->on_commit)
            continue;
        if (at < link->push_at_ms)
            link->push_at_ms = at;
        uint64_t due = eid_neighbour_due(engine, link->neighbour, now);
        if (due <= now)
            eid_engine_enqueue(engine, link->neighbour);
        else
            eid_engine_note_time(engine, due);
    }
    pthread_mutex_unlock(&engine->mutex);
}

void eid_engine_ask(eid_engine *engine, const eid_pubkey *peer, const eid_id *database)
{
    pthread_mutex_lock(&engine->mutex);
    uint64_t now = eid_engine_now(engine);
    eid_link *link = eid_map_get(engine->links, eid_slice_of(database->bytes, database->len));
    for (; link != NULL; link = link->next_of_database) {
        if (!link->related || (peer != NULL && !eid_pubkey_equal(peer, &link->neighbour->key)))
            continue;
        /* Not more often than every second: whoever sends nonsense must not make us ask for ever. */
        if (link->full_at_ms > now + 1000)
            link->full_at_ms = link->cursor.last_sync_time_ms == 0 ? now : now + 1000;
        eid_engine_note_time(engine, eid_neighbour_due(engine, link->neighbour, now));
    }
    pthread_mutex_unlock(&engine->mutex);
}

void eid_engine_seen(eid_engine *engine, const eid_pubkey *peer)
{
    pthread_mutex_lock(&engine->mutex);
    uint64_t now = eid_engine_now(engine);
    eid_neighbour *neighbour = eid_neighbour_find(engine, peer);
    if (neighbour != NULL && neighbour->attempts != 0 && now >= neighbour->seen_ms + EID_LIMIT_SYNC_SEEN_MS) {
        neighbour->seen_ms = now;
        neighbour->next_attempt_ms = now;
        neighbour->next_check_ms = now;
        eid_engine_note_time(engine, now);
    }
    /* Whoever decides about access may be telling us that it did. */
    if (engine->watches != NULL && now >= engine->hurried_ms + EID_LIMIT_SYNC_HURRY_MS) {
        engine->hurried_ms = now;
        eid_watches_hurry(engine);
    }
    pthread_mutex_unlock(&engine->mutex);
}

bool eid_engine_is_blocked(eid_engine *engine, const eid_pubkey *peer)
{
    pthread_mutex_lock(&engine->mutex);
    const eid_neighbour *neighbour = eid_neighbour_find(engine, peer);
    bool blocked = neighbour != NULL && neighbour->status == EID_PEER_BLOCKED;
    pthread_mutex_unlock(&engine->mutex);
    return blocked;
}

bool eid_engine_dials_special(eid_engine *engine)
{
    pthread_mutex_lock(&engine->mutex);
    bool dials = engine->config.dial_special;
    pthread_mutex_unlock(&engine->mutex);
    return dials;
}

void eid_engine_greet(eid_engine *engine, const eid_pubkey *peer)
{
    pthread_mutex_lock(&engine->mutex);
    uint64_t now = eid_engine_now(engine);
    eid_neighbour *neighbour = eid_neighbour_find(engine, peer);
    if (neighbour != NULL) {
        neighbour->next_check_ms = now;
        neighbour->next_attempt_ms = now;
        eid_engine_note_time(engine, now);
    }
    pthread_mutex_unlock(&engine->mutex);
}
