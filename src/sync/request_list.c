/* SPDX-License-Identifier: Apache-2.0 */
/* Requests for access as the program sees them. */
#include "base/alloc.h"
#include "sync/sync_int.h"

#include <stdlib.h>

typedef struct listing {
    const char *wanted; /* status; NULL: all */
    void *items;
    size_t count;
    size_t capacity;
    eid_status status;
} listing;

static eid_status describe_address(const eid_address *address, char **out)
{
    eid_buf text;
    if (address == NULL)
        return EID_OK;
    eid_buf_init(&text, 2 * EID_LIMIT_ADDRESS_TEXT);
    eid_buf_appendf(&text, "%s:%s", address->transport, address->text);
    return eid_buf_take_text(&text, out);
}

/* Takes the texts over. */
static eid_status append_listed(listing *l, const char *id, eid_request_record *record)
{
    EID_TRY(eid_make_room(&l->items, &l->capacity, l->count, sizeof(eid_bootstrap_request)));
    eid_bootstrap_request *item = &((eid_bootstrap_request *)l->items)[l->count++];
    memset(item, 0, sizeof *item);
    memcpy(item->id, id, strlen(id));
    item->database = record->tree;
    item->key = record->key;
    item->permission = record->permission;
    item->key_name = record->key_name;
    item->timestamp = record->timestamp;
    item->decided_by = record->decided_by;
    item->decided_at = record->decided_at;
    item->metadata = record->metadata;
    record->key_name = record->timestamp = record->decided_by = record->decided_at = NULL;
    record->metadata = NULL;
    EID_TRY(describe_address(record->peer_address, &item->address));
    item->status = eid_strdup(eid_decision_name(record->decision));
    return item->status == NULL ? eid_fail_memory() : EID_OK;
}

static bool list_row(const char *id, const char *row, size_t len, void *ctx)
{
    listing *l = ctx;
    eid_request_record record;
    eid_status status = strlen(id) < EID_UUID_TEXT_SIZE
                            ? eid_request_record_read(eid_slice_of(row, len), &record)
                            : eid_fail(EID_ERR_RANGE, "the key is longer than a UUID");
    if (status != EID_OK) {
        l->status =
            status == EID_ERR_NO_MEMORY ? status : EID_OK; /* others were told when sync was enabled */
        return l->status == EID_OK;
    }
    if (l->wanted == NULL || strcmp(eid_decision_name(record.decision), l->wanted) == 0)
        l->status = append_listed(l, id, &record);
    eid_request_record_free(&record);
    return l->status == EID_OK;
}

static int compare_listed(const void *a, const void *b)
{
    const eid_bootstrap_request *left = a, *right = b;
    int order = strcmp(left->timestamp, right->timestamp);
    return order != 0 ? order : strcmp(left->id, right->id);
}

eid_status eid_sync_list_bootstrap_requests(eid_sync *sync, const char *status, eid_bootstrap_request **out,
                                            size_t *count)
{
    EID_NEED(sync && out && count);
    listing l = {.wanted = status};
    EID_TRY(eid_make_room(&l.items, &l.capacity, 0, sizeof(eid_bootstrap_request)));
    eid_status result = eid_database_table_scan(sync->database, EID_STORE_REQUESTS, NULL, list_row, &l);
    if (result == EID_OK)
        result = l.status;
    if (result != EID_OK) {
        eid_bootstrap_requests_free(l.items, l.count);
        return result;
    }
    if (l.count > 1)
        qsort(l.items, l.count, sizeof(eid_bootstrap_request), compare_listed);
    *out = l.items;
    *count = l.count;
    return EID_OK;
}

eid_status eid_sync_pending_bootstrap_requests(eid_sync *sync, eid_bootstrap_request **out, size_t *count)
{
    EID_NEED(sync && out && count);
    return eid_sync_list_bootstrap_requests(sync, eid_decision_name(EID_DECISION_PENDING), out, count);
}

eid_status eid_sync_approved_bootstrap_requests(eid_sync *sync, eid_bootstrap_request **out, size_t *count)
{
    EID_NEED(sync && out && count);
    return eid_sync_list_bootstrap_requests(sync, eid_decision_name(EID_DECISION_APPROVED), out, count);
}

eid_status eid_sync_rejected_bootstrap_requests(eid_sync *sync, eid_bootstrap_request **out, size_t *count)
{
    EID_NEED(sync && out && count);
    return eid_sync_list_bootstrap_requests(sync, eid_decision_name(EID_DECISION_REJECTED), out, count);
}

eid_status eid_sync_get_bootstrap_request(eid_sync *sync, const char *request_id, eid_bootstrap_request **out)
{
    EID_NEED(sync && request_id && out);
    listing l = {.wanted = NULL};
    eid_request_record record;
    EID_TRY(eid_request_get(sync, request_id, &record));
    eid_status status = append_listed(&l, request_id, &record);
    eid_request_record_free(&record);
    if (status != EID_OK) {
        eid_bootstrap_requests_free(l.items, l.count);
        return status;
    }
    *out = l.items;
    return EID_OK;
}

void eid_bootstrap_requests_free(eid_bootstrap_request *requests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        eid_free(requests[i].key_name);
        eid_free(requests[i].status);
        eid_free(requests[i].timestamp);
        eid_free(requests[i].decided_by);
        eid_free(requests[i].decided_at);
        eid_free(requests[i].address);
        eid_doc_free(requests[i].metadata);
    }
    eid_free(requests);
}
