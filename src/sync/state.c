/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered of past syncs: one row of instance metadata for each peer, "sync.peer.KEY", rewritten in place.
 *
 * It is not in the `_sync` database on purpose: there each change is a signed entry for ever. A row that can not be read is
 * as good as none: the next sync costs more, nothing else.
 */
#include "base/alloc.h"
#include "base/sized.h"
#include "base/log.h"
#include "codec/cid.h"
#include "codec/fields.h"
#include "crypto/key.h"
#include "sync/engine_int.h"

#define ROW_MAX    (16u << 20)
#define ROW_PREFIX "sync.peer."
#define MODIFIED_KEY "sync.modified"
#define ROW_KEY    (sizeof ROW_PREFIX + EID_PUBKEY_TEXT_SIZE)

static void row_key(const eid_pubkey *peer, char out[ROW_KEY])
{
    memcpy(out, ROW_PREFIX, sizeof ROW_PREFIX);
    eid_pubkey_format(peer, out + sizeof ROW_PREFIX - 1);
}

/* ---- Writing ---- */

static void write_number(eid_buf *buf, const char *name, uint64_t value)
{
    eid_buf_appendf(buf, ",\"%s\":%llu", name, (unsigned long long)value);
}

static void write_link(eid_buf *buf, const eid_link *link)
{
    eid_buf_append_text(buf, "{\"tree\":");
    eid_write_id_text(buf, &link->database);
    eid_buf_append_text(buf, ",\"known\":[");
    for (size_t i = 0; i < link->known_count; i++) {
        if (i != 0)
            eid_buf_append_byte(buf, ',');
        eid_write_id_text(buf, &link->known[i]);
    }
    eid_buf_append_text(buf, "],\"extra\":[");
    for (size_t i = 0; i < link->extra_count; i++) {
        if (i != 0)
            eid_buf_append_byte(buf, ',');
        eid_write_id_text(buf, &link->extra[i]);
    }
    eid_buf_append_byte(buf, ']');
    if (!eid_id_is_empty(&link->cursor.last_synced_entry)) {
        eid_buf_append_text(buf, ",\"last\":");
        eid_write_id_text(buf, &link->cursor.last_synced_entry);
    }
    write_number(buf, "time", link->cursor.last_sync_time_ms);
    write_number(buf, "count", link->cursor.last_sync_count);
    write_number(buf, "total", link->cursor.total_synced_count);
    eid_buf_append_byte(buf, '}');
}

static const eid_past *past_at(const eid_neighbour *neighbour, size_t i)
{
    size_t oldest = neighbour->past_count < EID_LIMIT_SYNC_HISTORY ? 0 : neighbour->past_next;
    return &neighbour->past[(oldest + i) % EID_LIMIT_SYNC_HISTORY];
}

static void write_past(eid_buf *buf, const eid_past *past)
{
    eid_buf_append_text(buf, "{\"tree\":");
    eid_write_id_text(buf, &past->database);
    write_number(buf, "from", past->started_at_ms);
    write_number(buf, "to", past->completed_at_ms);
    write_number(buf, "entries", past->entries);
    write_number(buf, "bytes", past->bytes);
    if (!past->success) {
        eid_buf_append_text(buf, ",\"error\":");
        eid_json_write_cstr(buf, past->error != NULL ? past->error : "");
    }
    eid_buf_append_byte(buf, '}');
}

static void write_row(eid_buf *buf, const eid_neighbour *neighbour)
{
    const eid_sync_metadata *m = &neighbour->metadata;
    eid_buf_append_text(buf, "{\"v\":1");
    if (neighbour->good != NULL) {
        eid_buf_append_text(buf, ",\"good\":");
        eid_addresses_write_json(buf, &neighbour->good, 1);
    }
    write_number(buf, "contact", neighbour->last_contact_ms);
    write_number(buf, "established", m->sync_established_ms);
    write_number(buf, "attempt", m->last_sync_attempt_ms);
    write_number(buf, "success", m->last_successful_sync_ms);
    write_number(buf, "successes", m->successful_sync_count);
    write_number(buf, "failures", m->failed_sync_count);
    write_number(buf, "entries", m->total_entries_synced);
    write_number(buf, "bytes", m->total_bytes_synced);
    write_number(buf, "average_us", (uint64_t)(m->average_sync_duration_ms * 1000));
    eid_buf_append_text(buf, ",\"links\":[");
    for (const eid_link *link = neighbour->links; link != NULL; link = link->next_of_neighbour) {
        if (link != neighbour->links)
            eid_buf_append_byte(buf, ',');
        write_link(buf, link);
    }
    eid_buf_append_text(buf, "],\"past\":[");
    for (size_t i = 0; i < neighbour->past_count; i++) {
        if (i != 0)
            eid_buf_append_byte(buf, ',');
        write_past(buf, past_at(neighbour, i));
    }
    eid_buf_append_text(buf, "]}");
}

/* The row of a neighbour that is not saved yet, behind `from`; false when there is none. */
static bool next_row(eid_engine *engine, eid_pubkey *from, bool *begun, eid_buf *row)
{
    bool found = false;
    pthread_mutex_lock(&engine->mutex);
    eid_map_entry *at = *begun ? eid_map_seek(engine->neighbours, eid_slice_of(from->bytes, sizeof from->bytes))
                               : eid_map_first(engine->neighbours);
    for (; at != NULL && !found; at = eid_map_next(engine->neighbours, at)) {
        eid_neighbour *neighbour = at->value;
        found = neighbour->unsaved;
        if (!found)
            continue;
        neighbour->unsaved = false;
        *from = neighbour->key;
        *begun = true;
        write_row(row, neighbour);
    }
    pthread_mutex_unlock(&engine->mutex);
    return found;
}

static void save_row(eid_engine *engine, const char *key, eid_buf *row)
{
    eid_status status = eid_buf_status(row);
    if (status == EID_OK)
        status = eid_storage_meta_store(eid_core_storage(engine->sync->core), &(eid_meta_value){key, eid_buf_slice(row)}, 1);
    if (status != EID_OK)
        eid_log(EID_LOG_WARN, "sync: what is known of peers and databases could not be saved: %s", eid_last_error());
    eid_buf_reset(row);
}

/* [ID, time, ID, time, …]; false when nothing changed. */
static bool write_modified(eid_engine *engine, eid_buf *row)
{
    pthread_mutex_lock(&engine->mutex);
    bool changed = engine->modified_unsaved;
    engine->modified_unsaved = false;
    eid_buf_append_byte(row, '[');
    for (eid_map_entry *at = eid_map_first(engine->modified); at != NULL && changed;
         at = eid_map_next(engine->modified, at)) {
        eid_id id = {.len = (uint8_t)at->key.len};
        if (at->value == NULL)
            continue;
        memcpy(id.bytes, at->key.data, at->key.len);
        if (row->len > 1)
            eid_buf_append_byte(row, ',');
        eid_write_id_text(row, &id);
        eid_buf_appendf(row, ",%llu", (unsigned long long)*(const uint64_t *)at->value);
    }
    eid_buf_append_byte(row, ']');
    pthread_mutex_unlock(&engine->mutex);
    return changed;
}

void eid_state_save_some(eid_engine *engine)
{
    eid_pubkey from;
    bool begun = false;
    eid_buf row;
    eid_buf_init(&row, ROW_MAX);
    while (next_row(engine, &from, &begun, &row)) {
        char key[ROW_KEY];
        row_key(&from, key);
        save_row(engine, key, &row);
    }
    if (write_modified(engine, &row))
        save_row(engine, MODIFIED_KEY, &row);
    eid_buf_free(&row);
}

/* ---- Reading ---- */

static eid_status read_ids(eid_json *reader, eid_id **out, size_t *count, size_t limit)
{
    eid_id_array list = {NULL, 0, 0};
    bool more = true;
    eid_status status = eid_json_begin_array(reader, "ids");
    while (status == EID_OK && (status = eid_json_next_item(reader, &more)) == EID_OK && more) {
        eid_id id;
        status = eid_field_id(reader, "id", &id);
        if (status == EID_OK && list.count < limit)
            status = eid_id_array_add(&list, &id, 1);
    }
    if (status != EID_OK) {
        eid_id_array_free(&list);
        return status;
    }
    eid_free(*out);
    *out = list.items;
    *count = list.count;
    return EID_OK;
}

static eid_status read_link_fields(eid_engine *engine, eid_neighbour *neighbour, eid_json *reader)
{
    enum { TREE, KNOWN, EXTRA, LAST, TIME, COUNT, TOTAL };
    static const char *const names[] = {"tree", "known", "extra", "last", "time", "count", "total"};
    EID_OBJECT(object, names, EID_FIELD(TREE));
    eid_link *link = NULL;
    size_t field;
    bool more;

    EID_TRY(eid_json_begin_object(reader, "link"));
    for (;;) {
        EID_TRY(eid_object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        if (field == TREE) {
            eid_id database;
            EID_TRY(eid_field_id(reader, names[field], &database));
            EID_TRY(eid_link_make(engine, neighbour, &database, &link));
        } else if (link == NULL) {
            return eid_fail(EID_ERR_MISSING_FIELD, "a link does not begin with its database");
        } else if (field == KNOWN) {
            EID_TRY(read_ids(reader, &link->known, &link->known_count, EID_LIMIT_REPORTED_TIPS));
        } else if (field == EXTRA) {
            EID_TRY(read_ids(reader, &link->extra, &link->extra_count, EID_LIMIT_SYNC_EXTRA));
        } else if (field == LAST) {
            EID_TRY(eid_field_id(reader, names[field], &link->cursor.last_synced_entry));
        } else {
            uint64_t *place = field == TIME    ? &link->cursor.last_sync_time_ms
                              : field == COUNT ? &link->cursor.last_sync_count
                                               : &link->cursor.total_synced_count;
            EID_TRY(eid_json_read_u64(reader, names[field], place));
        }
    }
}

static eid_past *new_past(eid_neighbour *neighbour)
{
    eid_past *past = &neighbour->past[neighbour->past_next];
    eid_free(past->error);
    memset(past, 0, sizeof *past);
    neighbour->past_next = (neighbour->past_next + 1) % EID_LIMIT_SYNC_HISTORY;
    neighbour->past_count += neighbour->past_count < EID_LIMIT_SYNC_HISTORY;
    return past;
}

static eid_status read_past(eid_neighbour *neighbour, eid_json *reader)
{
    enum { TREE, FROM, TO, ENTRIES, BYTES, ERROR };
    static const char *const names[] = {"tree", "from", "to", "entries", "bytes", "error"};
    EID_OBJECT(object, names, EID_FIELD(TREE));
    eid_past *past = new_past(neighbour);
    size_t field;
    bool more;

    past->success = true;
    EID_TRY(eid_json_begin_object(reader, "past"));
    for (;;) {
        EID_TRY(eid_object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        switch (field) {
        case TREE:
            EID_TRY(eid_field_id(reader, names[field], &past->database));
            break;
        case FROM:
            EID_TRY(eid_json_read_u64(reader, names[field], &past->started_at_ms));
            break;
        case TO:
            EID_TRY(eid_json_read_u64(reader, names[field], &past->completed_at_ms));
            break;
        case ENTRIES:
            EID_TRY(eid_json_read_u64(reader, names[field], &past->entries));
            break;
        case BYTES:
            EID_TRY(eid_json_read_u64(reader, names[field], &past->bytes));
            break;
        default:
            past->success = false;
            EID_TRY(eid_field_text(reader, names[field], &past->error));
            break;
        }
    }
}

static eid_status read_each(eid_engine *engine, eid_neighbour *neighbour, eid_json *reader, bool links)
{
    bool more;
    EID_TRY(eid_json_begin_array(reader, links ? "links" : "past"));
    for (;;) {
        EID_TRY(eid_json_next_item(reader, &more));
        if (!more)
            return EID_OK;
        EID_TRY(links ? read_link_fields(engine, neighbour, reader) : read_past(neighbour, reader));
    }
}

static eid_status read_good(eid_neighbour *neighbour, eid_json *reader)
{
    eid_address **addresses;
    size_t count;
    EID_TRY(eid_addresses_read_json(reader, &addresses, &count));
    if (count != 0) {
        eid_address_free(neighbour->good);
        neighbour->good = addresses[0];
        addresses[0] = NULL;
    }
    eid_addresses_free(addresses, count);
    return EID_OK;
}

static eid_status read_row(eid_engine *engine, eid_neighbour *neighbour, eid_json *reader)
{
    enum { VERSION, GOOD, CONTACT, ESTABLISHED, ATTEMPT, SUCCESS, SUCCESSES, FAILURES, ENTRIES, BYTES, AVERAGE, LINKS, PAST };
    static const char *const names[] = {"v",         "good",     "contact", "established", "attempt",    "success", "successes",
                                        "failures", "entries", "bytes",       "average_us", "links",   "past"};
    EID_OBJECT(object, names, EID_FIELD(VERSION));
    eid_sync_metadata *m = &neighbour->metadata;
    uint64_t version, average;
    size_t field;
    bool more;
    uint64_t *const places[] = {
        [CONTACT] = &neighbour->last_contact_ms, [ESTABLISHED] = &m->sync_established_ms,
        [ATTEMPT] = &m->last_sync_attempt_ms,    [SUCCESS] = &m->last_successful_sync_ms,
        [SUCCESSES] = &m->successful_sync_count, [FAILURES] = &m->failed_sync_count,
        [ENTRIES] = &m->total_entries_synced,    [BYTES] = &m->total_bytes_synced,
    };

    EID_TRY(eid_json_begin_object(reader, "peer"));
    for (;;) {
        EID_TRY(eid_object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        if (field == VERSION) {
            EID_TRY(eid_json_read_u64(reader, names[field], &version));
            if (version != 1)
                return eid_fail(EID_ERR_VERSION, "of a version this library does not know");
        } else if (field == GOOD) {
            EID_TRY(read_good(neighbour, reader));
        } else if (field == AVERAGE) {
            EID_TRY(eid_json_read_u64(reader, names[field], &average));
            m->average_sync_duration_ms = (double)average / 1000;
        } else if (field == LINKS || field == PAST) {
            EID_TRY(read_each(engine, neighbour, reader, field == LINKS));
        } else {
            EID_TRY(eid_json_read_u64(reader, names[field], places[field]));
        }
    }
}

eid_status eid_state_load(eid_engine *engine, eid_neighbour *neighbour)
{
    char key[ROW_KEY];
    eid_buf row;
    eid_json reader;

    row_key(&neighbour->key, key);
    eid_buf_init(&row, ROW_MAX);
    eid_status status = eid_storage_meta_load(eid_core_storage(engine->sync->core), key, &row);
    if (status == EID_OK) {
        eid_json_init(&reader, eid_buf_slice(&row));
        status = read_row(engine, neighbour, &reader);
        eid_json_free(&reader);
        if (status != EID_OK && status != EID_ERR_NO_MEMORY)
            eid_log(EID_LOG_WARN, "sync: what was known of a peer is not readable: %s", eid_last_error());
    }
    eid_buf_free(&row);
    return status == EID_ERR_NO_MEMORY || status == EID_ERR_STORAGE ? status : EID_OK;
}

static eid_status read_modified(eid_engine *engine, eid_json *reader)
{
    bool more;
    EID_TRY(eid_json_begin_array(reader, "modified"));
    for (;;) {
        eid_map_entry *entry;
        eid_id id;
        EID_TRY(eid_json_next_item(reader, &more));
        if (!more)
            return EID_OK;
        EID_TRY(eid_field_id(reader, "database", &id));
        EID_TRY(eid_json_next_item(reader, &more));
        EID_TRY(eid_map_put(engine->modified, eid_slice_of(id.bytes, id.len), &entry, NULL));
        if (entry->value == NULL && (entry->value = eid_alloc_zero(1, sizeof(uint64_t))) == NULL)
            return eid_fail_memory();
        EID_TRY(eid_json_read_u64(reader, "time", entry->value));
    }
}

eid_status eid_state_load_modified(eid_engine *engine)
{
    eid_buf row;
    eid_json reader;
    eid_buf_init(&row, ROW_MAX);
    eid_status status = eid_storage_meta_load(eid_core_storage(engine->sync->core), MODIFIED_KEY, &row);
    if (status == EID_OK) {
        eid_json_init(&reader, eid_buf_slice(&row));
        status = read_modified(engine, &reader);
        eid_json_free(&reader);
    }
    eid_buf_free(&row);
    return status == EID_ERR_NO_MEMORY || status == EID_ERR_STORAGE ? status : EID_OK;
}

/* ---- Keeping up ---- */

static void note_item(eid_session *s, eid_neighbour *neighbour, const eid_item *item, eid_status status,
                      const char *sentence)
{
    uint64_t now = eid_clock_now_ms(s->sync->clock);
    eid_link *link = eid_link_find(neighbour, &item->database);
    if (link != NULL && status == EID_OK) {
        link->cursor.last_sync_time_ms = now;
        if (item->entries != 0) {
            link->cursor.last_sync_count = item->entries;
            link->cursor.last_synced_entry = item->last;
            link->cursor.total_synced_count += item->entries;
        }
    }
    neighbour->metadata.total_entries_synced += item->entries;
    neighbour->metadata.total_bytes_synced += item->bytes;
    if (status == EID_OK && item->entries == 0)
        return;
    eid_past *past = new_past(neighbour);
    past->database = item->database;
    past->started_at_ms = item->started_at_ms;
    past->completed_at_ms = now;
    past->success = status == EID_OK;
    past->entries = item->entries;
    past->bytes = item->bytes;
    past->error = past->success ? NULL : eid_strdup(sentence != NULL ? sentence : "");
}

/* Successes and failures count sessions that were about databases; looks at a peer do not. */
void eid_state_note(eid_engine *engine, eid_session *s)
{
    eid_neighbour *neighbour = s->has_peer || s->contacted ? eid_neighbour_find(engine, &s->peer) : NULL;
    if (neighbour == NULL || s->status == EID_ERR_CANCELLED || (s->status == EID_OK && !s->contacted))
        return;
    neighbour->unsaved = true;
    eid_engine_want_save(engine);
    if (s->item_count == 0)
        return;
    eid_sync_metadata *m = &neighbour->metadata;
    eid_status worst = s->status;
    uint64_t now = eid_clock_now_ms(engine->sync->clock);
    for (size_t i = 0; i < s->item_count; i++) {
        eid_item *item = &s->items[i];
        bool failed = item->status != EID_OK;
        if (failed)
            worst = item->status;
        if (item->over && item->started_at_ms != 0)
            note_item(s, neighbour, item, item->status, item->error);
        else if (!item->over && s->status != EID_OK && item->started_at_ms != 0)
            note_item(s, neighbour, item, s->status, s->sentence);
    }
    m->last_sync_attempt_ms = now;
    if (worst != EID_OK) {
        m->failed_sync_count++;
        return;
    }
    double took_ms = (double)(eid_engine_now(engine) - s->started_ms);
    m->successful_sync_count++;
    m->average_sync_duration_ms +=
        (took_ms - m->average_sync_duration_ms) / (double)m->successful_sync_count;
    m->last_successful_sync_ms = now;
    if (m->sync_established_ms == 0)
        m->sync_established_ms = now;
}

/* ---- Asking ---- */

eid_status eid_sync_get_sync_cursor(eid_sync *sync, const eid_pubkey *peer, const eid_id *database, eid_sync_cursor *out)
{
    EID_NEED(sync && peer && database && out);
    eid_engine *engine = sync->engine;
    eid_sync_cursor cursor = {.struct_size = sizeof cursor, .peer = *peer, .database = *database};
    EID_TRY(eid_sized_check(out, sizeof cursor, "eid_sync_cursor"));
    pthread_mutex_lock(&engine->mutex);
    const eid_neighbour *neighbour = eid_neighbour_find(engine, peer);
    const eid_link *link = neighbour == NULL ? NULL : eid_link_find(neighbour, database);
    if (link != NULL)
        cursor = link->cursor;
    pthread_mutex_unlock(&engine->mutex);
    eid_sized_give(out, &cursor, sizeof cursor);
    return EID_OK;
}

eid_status eid_sync_get_sync_metadata(eid_sync *sync, const eid_pubkey *peer, eid_sync_metadata *out)
{
    EID_NEED(sync && peer && out);
    eid_engine *engine = sync->engine;
    eid_sync_metadata metadata = {.struct_size = sizeof metadata, .peer = *peer};
    EID_TRY(eid_sized_check(out, sizeof metadata, "eid_sync_metadata"));
    pthread_mutex_lock(&engine->mutex);
    const eid_neighbour *neighbour = eid_neighbour_find(engine, peer);
    if (neighbour != NULL)
        metadata = neighbour->metadata;
    pthread_mutex_unlock(&engine->mutex);
    eid_sized_give(out, &metadata, sizeof metadata);
    return EID_OK;
}

double eid_sync_metadata_success_rate(const eid_sync_metadata *metadata)
{
    uint64_t all = metadata->successful_sync_count + metadata->failed_sync_count;
    return all == 0 ? 0.0 : (double)metadata->successful_sync_count / (double)all;
}

static eid_status copy_past(const eid_neighbour *neighbour, const eid_past *past, eid_sync_history_entry *out)
{
    *out = (eid_sync_history_entry){.peer = neighbour->key,
                                    .database = past->database,
                                    .started_at_ms = past->started_at_ms,
                                    .completed_at_ms = past->completed_at_ms,
                                    .success = past->success,
                                    .entries = past->entries,
                                    .bytes = past->bytes};
    if (past->success)
        return EID_OK;
    out->error = eid_strdup(past->error != NULL ? past->error : "");
    return out->error == NULL ? eid_fail_memory() : EID_OK;
}

eid_status eid_sync_get_sync_history(eid_sync *sync, const eid_pubkey *peer, size_t limit, eid_sync_history_entry **out,
                                     size_t *count)
{
    EID_NEED(sync && peer && out && count);
    eid_engine *engine = sync->engine;
    eid_sync_history_entry *entries = eid_alloc_zero(EID_LIMIT_SYNC_HISTORY, sizeof *entries);
    eid_status status = entries == NULL ? eid_fail_memory() : EID_OK;
    size_t found = 0;

    pthread_mutex_lock(&engine->mutex);
    const eid_neighbour *neighbour = eid_neighbour_find(engine, peer);
    size_t all = neighbour == NULL ? 0 : neighbour->past_count;
    for (size_t i = all; i-- > 0 && found < limit && status == EID_OK;) {
        status = copy_past(neighbour, past_at(neighbour, i), &entries[found]);
        found += status == EID_OK;
    }
    pthread_mutex_unlock(&engine->mutex);
    if (status != EID_OK) {
        eid_sync_history_free(entries, found);
        return status;
    }
    *out = entries;
    *count = found;
    return EID_OK;
}

void eid_sync_history_free(eid_sync_history_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        eid_free(entries[i].error);
    eid_free(entries);
}
