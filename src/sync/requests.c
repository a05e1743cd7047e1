/* SPDX-License-Identifier: Apache-2.0 */
/* Requests for access that wait for an admin (sync-behaviour.md section 6): rows of a table of `_sync`, never
 * deleted.
 *
 * Anybody who knows the ID of a shared database can make one, so their number is bounded: one pending row for
 * each database, key and permission, a cap for each database, and a cap on filing the same anew after it was
 * rejected. The index that knows this without searching the table lives in memory under write_mutex: request
 * -> its pending row and how often it was filed, database -> how many are pending, key and database -> what became of the
 * latest request, so that who waits can be told.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/log.h"
#include "codec/cid.h"
#include "codec/fields.h"
#include "crdt/doc.h"
#include "crypto/key.h"
#include "sync/sync_int.h"

#define ROW_MAX (1u << 20)

const char *eid_decision_name(eid_decision decision)
{
    static const char *const names[] = {"Pending", "Approved", "Rejected"};
    return names[decision];
}

/* ---- The row as JSON ---- */

void eid_request_record_free(eid_request_record *record)
{
    eid_free(record->key_name);
    eid_free(record->timestamp);
    eid_free(record->decided_by);
    eid_free(record->decided_at);
    eid_address_free(record->peer_address);
    eid_doc_free(record->metadata);
    memset(record, 0, sizeof *record);
}

static void write_decision(eid_buf *buf, const eid_request_record *record)
{
    if (record->decision == EID_DECISION_PENDING) {
        eid_json_write_cstr(buf, eid_decision_name(EID_DECISION_PENDING));
        return;
    }
    bool approved = record->decision == EID_DECISION_APPROVED;
    eid_buf_append_text(buf,
                        approved ? "{\"Approved\":{\"approved_by\":" : "{\"Rejected\":{\"rejected_by\":");
    eid_json_write_cstr(buf, record->decided_by);
    eid_buf_append_text(buf, approved ? ",\"approval_time\":" : ",\"rejection_time\":");
    eid_json_write_cstr(buf, record->decided_at);
    eid_buf_append_text(buf, "}}");
}

void eid_request_record_write(eid_buf *buf, const eid_request_record *record)
{
    eid_buf_append_text(buf, "{\"tree_id\":");
    eid_write_id_text(buf, &record->tree);
    eid_buf_append_text(buf, ",\"requesting_pubkey\":");
    eid_write_key_text(buf, &record->key);
    eid_buf_append_text(buf, ",\"requesting_key_name\":");
    eid_json_write_cstr(buf, record->key_name);
    eid_buf_append_text(buf, ",\"requested_permission\":");
    eid_permission_write_json(buf, record->permission);
    eid_buf_append_text(buf, ",\"timestamp\":");
    eid_json_write_cstr(buf, record->timestamp);
    eid_buf_append_text(buf, ",\"status\":");
    write_decision(buf, record);
    eid_buf_append_text(buf, ",\"peer_address\":{\"transport_type\":");
    eid_json_write_cstr(buf, record->peer_address == NULL ? "unknown" : record->peer_address->transport);
    eid_buf_append_text(buf, ",\"address\":");
    eid_json_write_cstr(buf, record->peer_address == NULL ? "unknown" : record->peer_address->text);
    eid_buf_append_text(buf, "},\"metadata\":");
    if (record->metadata == NULL)
        eid_buf_append_text(buf, "null");
    else
        eid_doc_write(buf, record->metadata);
    eid_buf_append_byte(buf, '}');
}

static eid_status read_decided(eid_json *reader, eid_request_record *out)
{
    const char *const names[] = {out->decision == EID_DECISION_APPROVED ? "approved_by" : "rejected_by",
                                 out->decision == EID_DECISION_APPROVED ? "approval_time" : "rejection_time"};
    EID_OBJECT(object, names, EID_FIELD(0) | EID_FIELD(1));
    size_t field;
    bool more;

    EID_TRY(eid_json_begin_object(reader, "status"));
    for (;;) {
        EID_TRY(eid_object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        EID_TRY(eid_field_text(reader, names[field], field == 0 ? &out->decided_by : &out->decided_at));
    }
}

static eid_status read_decision(eid_json *reader, eid_request_record *out)
{
    eid_json_token token;
    eid_slice name;
    bool more;

    EID_TRY(eid_json_peek(reader, &token));
    if (token == EID_JSON_STRING) {
        EID_TRY(eid_json_read_text(reader, "status", &name));
        if (!eid_slice_is(name, eid_decision_name(EID_DECISION_PENDING)))
            return eid_fail(EID_ERR_WRONG_TYPE, "the status is a word other than Pending");
        return EID_OK;
    }
    EID_TRY(eid_json_begin_object(reader, "status"));
    EID_TRY(eid_json_next_key(reader, &name, &more));
    if (more && eid_slice_is(name, eid_decision_name(EID_DECISION_APPROVED)))
        out->decision = EID_DECISION_APPROVED;
    else if (more && eid_slice_is(name, eid_decision_name(EID_DECISION_REJECTED)))
        out->decision = EID_DECISION_REJECTED;
    else
        return eid_fail(EID_ERR_WRONG_TYPE, "the status is none of Pending, Approved and Rejected");
    EID_TRY(read_decided(reader, out));
    EID_TRY(eid_json_next_key(reader, &name, &more));
    return more ? eid_fail(EID_ERR_WRONG_TYPE, "the status names two decisions") : EID_OK;
}

static eid_status read_metadata(eid_json *reader, eid_doc **out)
{
    bool was_null;
    EID_TRY(eid_json_read_null(reader, &was_null));
    return was_null ? EID_OK : eid_doc_read(reader, out);
}

static eid_status read_fields(eid_json *reader, eid_request_record *out)
{
    enum { TREE, KEY, NAME, PERMISSION, TIMESTAMP, STATUS, ADDRESS, METADATA };
    static const char *const names[] = {"tree_id",
                                        "requesting_pubkey",
                                        "requesting_key_name",
                                        "requested_permission",
                                        "timestamp",
                                        "status",
                                        "peer_address",
                                        "metadata"};
    EID_OBJECT(object, names, EID_FIELD(METADATA) - 1);
    size_t field;
    bool more;

    EID_TRY(eid_json_begin_object(reader, "request"));
    for (;;) {
        EID_TRY(eid_object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        switch (field) {
        case TREE:
            EID_TRY(eid_field_id(reader, names[field], &out->tree));
            break;
        case KEY:
            EID_TRY(eid_field_key(reader, names[field], &out->key));
            break;
        case NAME:
            EID_TRY(eid_field_text(reader, names[field], &out->key_name));
            break;
        case PERMISSION:
            EID_TRY(eid_permission_read_json(reader, &out->permission));
            break;
        case TIMESTAMP:
            EID_TRY(eid_field_text(reader, names[field], &out->timestamp));
            break;
        case STATUS:
            EID_TRY(read_decision(reader, out));
            break;
        case ADDRESS:
            EID_TRY(eid_address_read_json(reader, &out->peer_address));
            break;
        default:
            EID_TRY(read_metadata(reader, &out->metadata));
            break;
        }
    }
}

eid_status eid_request_record_read(eid_slice row, eid_request_record *out)
{
    eid_json reader;
    eid_request_record record = {0};

    eid_json_init(&reader, row);
    eid_status status = read_fields(&reader, &record);
    if (status == EID_OK)
        status = eid_json_end(&reader);
    eid_json_free(&reader);
    if (status != EID_OK) {
        eid_request_record_free(&record);
        return status;
    }
    *out = record;
    return EID_OK;
}

/* ---- The index ---- */

/* A request, as far as two of them are the same; or a database; or a key in a database. */
typedef struct index_place {
    uint32_t pending;            /* requests of the database, or of the key in it, that are pending */
    uint32_t filed;              /* how often the request was filed */
    char id[EID_UUID_TEXT_SIZE]; /* of the row that is pending, "" when none is; of the key, the latest row */
    bool has_peer;               /* who asked, by its own account, while this process ran */
    eid_pubkey peer;
    bool rejected;               /* the latest row of the key was */
    char filed_at[EID_RFC3339_SIZE]; /* the latest row of the key */
} index_place;

/* `key` NULL: the place of the database. `permission` NULL: that of the key in it. Made when it is not there yet and `make` is
 * set; *out is NULL otherwise. */
static eid_status find_place(eid_sync *sync, const eid_id *tree, const eid_pubkey *key,
                             const eid_permission *permission, bool make, index_place **out)
{
    uint8_t bytes[1 + EID_ID_MAX_BYTES + 32 + 8];
    eid_map_entry *entry;
    size_t len = 0;

    bytes[len++] = (uint8_t)((key != NULL) + (permission != NULL));
    memcpy(bytes + len, tree->bytes, tree->len);
    len += tree->len;
    if (key != NULL) {
        memcpy(bytes + len, key->bytes, 32);
        len += 32;
    }
    if (permission != NULL) {
        bytes[len++] = (uint8_t)permission->kind;
        for (int shift = 24; shift >= 0; shift -= 8)
            bytes[len++] = (uint8_t)(permission->priority >> shift);
    }
    if (!make) {
        *out = eid_map_get(sync->request_index, eid_slice_of(bytes, len));
        return EID_OK;
    }
    EID_TRY(eid_map_put(sync->request_index, eid_slice_of(bytes, len), &entry, NULL));
    if (entry->value == NULL)
        entry->value = eid_alloc_zero(1, sizeof(index_place));
    if (entry->value == NULL)
        return eid_fail_memory();
    *out = entry->value;
    return EID_OK;
}

/* The places a request stands at. */
typedef struct places {
    index_place *request, *database, *key;
} places;

static eid_status find_places(eid_sync *sync, const eid_id *tree, const eid_pubkey *key, eid_permission permission,
                              bool make, places *out)
{
    EID_TRY(find_place(sync, tree, NULL, NULL, make, &out->database));
    EID_TRY(find_place(sync, tree, key, NULL, make, &out->key));
    return find_place(sync, tree, key, &permission, make, &out->request);
}

/* The host of "host:port": who asks has another port each time. */
static eid_slice host_of(const char *address)
{
    const char *colon = strrchr(address, ':');
    return eid_slice_of(address, colon == NULL ? strlen(address) : (size_t)(colon - address));
}

/* How many requests of this key ('k') or from this host ('h') are pending. */
static eid_status find_asker(eid_sync *sync, char kind, eid_slice who, bool make, index_place **out)
{
    eid_map_entry *entry;
    eid_buf key;
    eid_buf_init(&key, EID_LIMIT_ADDRESS_TEXT + 1);
    eid_buf_append_byte(&key, (uint8_t)kind);
    eid_buf_append_slice(&key, who);
    eid_status status = eid_buf_status(&key);
    if (status == EID_OK && !make)
        *out = eid_map_get(sync->request_index, eid_buf_slice(&key));
    else if (status == EID_OK)
        status = eid_map_put(sync->request_index, eid_buf_slice(&key), &entry, NULL);
    eid_buf_free(&key);
    if (status != EID_OK || !make)
        return status;
    if (entry->value == NULL)
        entry->value = eid_alloc_zero(1, sizeof(index_place));
    *out = entry->value;
    return *out == NULL ? eid_fail_memory() : EID_OK;
}

/* Those who asked, one more or one fewer. Fewer never fails: the places are there. */
static eid_status count_askers(eid_sync *sync, const eid_pubkey *key, const char *address, bool more)
{
    index_place *by_key, *by_host;
    EID_TRY(find_asker(sync, 'k', eid_slice_of(key->bytes, sizeof key->bytes), more, &by_key));
    EID_TRY(find_asker(sync, 'h', host_of(address), more, &by_host));
    if (more) {
        by_key->pending++;
        by_host->pending++;
        return EID_OK;
    }
    if (by_key != NULL && by_key->pending != 0)
        by_key->pending--;
    if (by_host != NULL && by_host->pending != 0)
        by_host->pending--;
    return EID_OK;
}

static eid_status check_askers(eid_sync *sync, const eid_pubkey *key, const char *address)
{
    index_place *by_key, *by_host;
    EID_TRY(find_asker(sync, 'k', eid_slice_of(key->bytes, sizeof key->bytes), false, &by_key));
    EID_TRY(find_asker(sync, 'h', host_of(address), false, &by_host));
    if (by_key != NULL && by_key->pending >= EID_LIMIT_PENDING_REQUESTS_PER_KEY)
        return eid_fail(EID_ERR_LIMIT, "too many requests of this key are pending");
    if (by_host != NULL && by_host->pending >= EID_LIMIT_PENDING_REQUESTS_PER_HOST)
        return eid_fail(EID_ERR_LIMIT, "too many requests from this address are pending");
    return EID_OK;
}

static const char *address_of(const eid_request_record *record)
{
    return record->peer_address == NULL ? "unknown" : record->peer_address->text;
}

static void index_filed(const places *at, const char *id, const char *filed_at, eid_decision decision)
{
    at->request->filed++;
    /* Rows are loaded in the order of their IDs. */
    if (strcmp(filed_at, at->key->filed_at) >= 0) {
        snprintf(at->key->filed_at, sizeof at->key->filed_at, "%s", filed_at);
        memcpy(at->key->id, id, strlen(id) + 1);
        at->key->rejected = decision == EID_DECISION_REJECTED;
    }
    if (decision != EID_DECISION_PENDING)
        return;
    if (at->request->id[0] == '\0') {
        at->database->pending++;
        at->key->pending++;
    }
    memcpy(at->request->id, id, strlen(id) + 1);
}

typedef struct loading {
    eid_sync *sync;
    eid_status status;
} loading;

static bool load_row(const char *id, const char *row, size_t len, void *ctx)
{
    loading *l = ctx;
    eid_request_record record;
    places at;

    eid_status status = strlen(id) < EID_UUID_TEXT_SIZE
                            ? eid_request_record_read(eid_slice_of(row, len), &record)
                            : eid_fail(EID_ERR_RANGE, "the key is longer than a UUID");
    if (status != EID_OK && status != EID_ERR_NO_MEMORY) {
        eid_log(EID_LOG_WARN, "sync: request %s is not readable: %s", id, eid_last_error());
        return true;
    }
    if (status == EID_OK) {
        status = find_places(l->sync, &record.tree, &record.key, record.permission, true, &at);
        if (status == EID_OK && record.decision == EID_DECISION_PENDING)
            status = count_askers(l->sync, &record.key, address_of(&record), true);
        if (status == EID_OK)
            index_filed(&at, id, record.timestamp, record.decision);
        eid_request_record_free(&record);
    }
    l->status = status;
    return status == EID_OK;
}

eid_status eid_requests_load(eid_sync *sync)
{
    loading l = {sync, EID_OK};
    EID_TRY(eid_database_table_scan(sync->database, EID_STORE_REQUESTS, NULL, load_row, &l));
    return l.status;
}

/* ---- Filing ---- */

static eid_status write_row(eid_sync *sync, const char *id, const eid_request_record *record)
{
    eid_txn *txn;
    EID_TRY(eid_request_stage(sync, id, record, &txn));
    return eid_txn_commit_free(txn, NULL);
}

static eid_status check_bounds(const eid_tree_request *request)
{
    eid_buf buf;
    if (strlen(request->requesting_key_name) > EID_LIMIT_KEY_NAME)
        return eid_fail(EID_ERR_LIMIT, "Invalid key name: longer than %d bytes", EID_LIMIT_KEY_NAME);
    if (request->metadata == NULL)
        return EID_OK;
    eid_buf_init(&buf, EID_LIMIT_REQUEST_METADATA_BYTES);
    eid_doc_write(&buf, request->metadata);
    eid_status status = eid_buf_status(&buf);
    eid_buf_free(&buf);
    if (status == EID_ERR_LIMIT)
        return eid_fail(EID_ERR_LIMIT, "Invalid data: the metadata is larger than %d bytes",
                        EID_LIMIT_REQUEST_METADATA_BYTES);
    return status;
}

static eid_status file_new(eid_sync *sync, const eid_tree_request *request, const eid_request_origin *origin,
                           const char *id, const char *now)
{
    eid_address *from;
    EID_TRY(eid_address_new(origin->transport, origin->address, &from));
    /* Lends everything: nothing of it is freed here. */
    eid_request_record record = {.tree = request->tree,
                                 .key = request->requesting_key,
                                 .key_name = request->requesting_key_name,
                                 .permission = request->permission,
                                 .timestamp = (char *)(uintptr_t)now,
                                 .peer_address = from,
                                 .metadata = request->metadata};
    eid_status status = write_row(sync, id, &record);
    eid_address_free(from);
    return status;
}

static void note_asker(index_place *place, const eid_tree_request *request)
{
    place->has_peer = request->has_peer_key;
    place->peer = request->peer_key;
}

/* Looked for before places are made: those who are turned away leave nothing behind. */
static eid_status check_caps(eid_sync *sync, const eid_tree_request *request, const eid_request_origin *origin,
                             const places *at)
{
    if (at->request != NULL && at->request->filed > EID_LIMIT_REQUEST_REPEATS)
        return eid_fail(EID_ERR_BOOTSTRAP_REJECTED,
                        EID_REJECTED_BEGINNING "%s): the same request was rejected too often", at->key->id);
    if (at->database != NULL && at->database->pending >= EID_LIMIT_PENDING_REQUESTS_PER_TREE)
        return eid_fail(EID_ERR_LIMIT, "too many requests for this database are pending");
    return check_askers(sync, &request->requesting_key, origin->address);
}

static eid_status file_under_lock(eid_sync *sync, const eid_tree_request *request,
                                  const eid_request_origin *origin, char id[EID_UUID_TEXT_SIZE])
{
    char now[EID_RFC3339_SIZE];
    places at;
    eid_uuid uuid;

    EID_TRY(find_places(sync, &request->tree, &request->requesting_key, request->permission, false, &at));
    if (at.request != NULL && at.request->id[0] != '\0') {
        memcpy(id, at.request->id, EID_UUID_TEXT_SIZE);
        note_asker(at.request, request);
        return EID_OK;
    }
    EID_TRY(check_caps(sync, request, origin, &at));
    EID_TRY(find_places(sync, &request->tree, &request->requesting_key, request->permission, true, &at));
    EID_TRY(count_askers(sync, &request->requesting_key, origin->address, true));
    eid_uuid_new(&uuid);
    eid_uuid_format(&uuid, id);
    eid_sync_now(sync, now);
    eid_status status = file_new(sync, request, origin, id, now);
    if (status != EID_OK) {
        (void)count_askers(sync, &request->requesting_key, origin->address, false);
        return status;
    }
    index_filed(&at, id, now, EID_DECISION_PENDING);
    note_asker(at.request, request);
    return EID_OK;
}

eid_status eid_request_file(eid_sync *sync, const eid_tree_request *request, const eid_request_origin *origin,
                            char id[EID_UUID_TEXT_SIZE])
{
    EID_TRY(check_bounds(request));
    pthread_mutex_lock(&sync->write_mutex);
    eid_status status = file_under_lock(sync, request, origin, id);
    pthread_mutex_unlock(&sync->write_mutex);
    return status;
}

bool eid_request_was_rejected(eid_sync *sync, const eid_id *tree, const eid_pubkey *key, char id[EID_UUID_TEXT_SIZE])
{
    index_place *place;
    pthread_mutex_lock(&sync->write_mutex);
    (void)find_place(sync, tree, key, NULL, false, &place);
    bool rejected = place != NULL && place->rejected && place->pending == 0;
    if (rejected)
        memcpy(id, place->id, EID_UUID_TEXT_SIZE);
    pthread_mutex_unlock(&sync->write_mutex);
    return rejected;
}

/* ---- Deciding ---- */

eid_status eid_request_get(eid_sync *sync, const char *id, eid_request_record *out)
{
    eid_txn *txn;
    char *row;
    size_t len;

    EID_TRY(eid_database_new_transaction(sync->database, &txn));
    eid_status status = eid_table_get(txn, EID_STORE_REQUESTS, id, &row, &len);
    eid_txn_free(txn);
    if (status == EID_ERR_KEY_NOT_FOUND || status == EID_ERR_INVALID_PATH)
        return eid_fail(EID_ERR_REQUEST_NOT_FOUND, "Bootstrap request not found: %s", id);
    EID_TRY(status);
    status = eid_request_record_read(eid_slice_of(row, len), out);
    eid_free(row);
    return status;
}

eid_status eid_request_get_pending(eid_sync *sync, const char *id, eid_request_record *out)
{
    eid_request_record record;
    EID_TRY(eid_request_get(sync, id, &record));
    if (record.decision != EID_DECISION_PENDING) {
        eid_status status =
            eid_fail(EID_ERR_REQUEST_STATE, "Invalid request state for '%s': expected Pending, found %s", id,
                     eid_decision_name(record.decision));
        eid_request_record_free(&record);
        return status;
    }
    *out = record;
    return EID_OK;
}

eid_status eid_request_stage(eid_sync *sync, const char *id, const eid_request_record *record, eid_txn **out)
{
    eid_txn *txn;
    eid_buf row;

    eid_buf_init(&row, ROW_MAX);
    eid_request_record_write(&row, record);
    eid_status status = eid_buf_status(&row);
    if (status == EID_OK)
        status = eid_database_new_transaction(sync->database, &txn);
    if (status == EID_OK) {
        status = eid_table_set(txn, EID_STORE_REQUESTS, id, (const char *)row.data);
        if (status == EID_OK)
            *out = txn;
        else
            eid_txn_free(txn);
    }
    eid_buf_free(&row);
    return status;
}

/* The places are there already: the request was filed or loaded, so this can not fail for want of memory. */
bool eid_request_settled(eid_sync *sync, const char *id, const eid_request_record *record, eid_pubkey *peer)
{
    places at;
    (void)find_places(sync, &record->tree, &record->key, record->permission, false, &at);
    if (at.request == NULL || at.database == NULL || strcmp(at.request->id, id) != 0)
        return false;
    *peer = at.request->peer;
    at.request->id[0] = '\0';
    at.database->pending--;
    at.key->pending--;
    if (strcmp(at.key->id, id) == 0)
        at.key->rejected = record->decision == EID_DECISION_REJECTED;
    (void)count_askers(sync, &record->key, address_of(record), false);
    return at.request->has_peer;
}
