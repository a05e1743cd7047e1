/* SPDX-License-Identifier: Apache-2.0 */
/* Reading rights out of payloads of `_settings`. */
#include "database/standing_int.h"

#include <stdlib.h>

#include "base/alloc.h"

#define SETTINGS "_settings"

/* ---- Records ---- */

static uint64_t power_of(eid_permission permission)
{
    switch (permission.kind) {
    case EID_PERM_ADMIN:
        return EID_POWER_ADMIN + (UINT32_MAX - permission.priority);
    case EID_PERM_WRITE:
        return EID_POWER_WRITE + (UINT32_MAX - permission.priority);
    case EID_PERM_READ:
        break;
    }
    return EID_POWER_READ;
}

uint64_t eid_power_of_record(eid_slice holder_name, const eid_value *record)
{
    const eid_doc *doc, *permissions;
    const char *text;
    size_t len;
    eid_permission permission;
    bool delegation = holder_name.len > 0 && holder_name.data[0] == 'd';
    if (record == NULL || eid_value_as_doc(record, &doc) != EID_OK)
        return EID_POWER_NONE;
    if (eid_doc_get_doc(doc, delegation ? "permission_bounds.max" : "permissions", &permissions) != EID_OK ||
        eid_permission_from_doc(permissions, &permission) != EID_OK)
        return EID_POWER_NONE;
    if (!delegation && (eid_doc_get_text(doc, "status", &text, &len) != EID_OK || !eid_slice_is(eid_slice_of(text, len), "Active")))
        return EID_POWER_NONE;
    return power_of(permission);
}

static const eid_doc *doc_child(const eid_doc *doc, const char *key)
{
    const eid_value *value = eid_doc_child(doc, eid_slice_text(key));
    const eid_doc *child;
    return value != NULL && eid_value_as_doc(value, &child) == EID_OK ? child : NULL;
}

eid_status eid_power_in(const eid_doc *settings, eid_slice name, uint64_t *out)
{
    if (name.len == 0) {
        eid_auth_settings *auth;
        EID_TRY(eid_auth_settings_parse(settings, &auth));
        *out = eid_auth_settings_configured(auth) ? EID_POWER_NONE : EID_POWER_OPEN;
        eid_auth_settings_unref(auth);
        return EID_OK;
    }
    const eid_doc *auth = doc_child(settings, "auth"), *group = NULL;
    const eid_value *record = NULL;
    if (auth != NULL && name.data[0] == 'g')
        record = eid_doc_child(auth, eid_slice_text("global"));
    else if (auth != NULL)
        group = doc_child(auth, name.data[0] == 'k' ? "keys" : "delegations");
    if (group != NULL)
        record = eid_doc_child(group, eid_slice_of(name.data + 1, name.len - 1));
    *out = eid_power_of_record(name, record);
    return EID_OK;
}

/* ---- Payloads ---- */

typedef struct reading {
    eid_record_callback callback;
    void *ctx;
    unsigned swept;
    eid_buf name;
} reading;

static unsigned group_of(char kind)
{
    return kind == 'k' ? EID_SWEEPS_KEYS : kind == 'd' ? EID_SWEEPS_DELEGATIONS : EID_SWEEPS_GLOBAL;
}

unsigned eid_group_of(eid_slice holder_name)
{
    return holder_name.len == 0 ? 0 : group_of((char)holder_name.data[0]);
}

bool eid_record_is_whole(const eid_value *record)
{
    const eid_doc *doc;
    if (eid_value_get_kind(record) == EID_VALUE_LIST)
        return false;
    return eid_value_as_doc(record, &doc) != EID_OK || eid_doc_is_atomic(doc);
}

static eid_status read_record(reading *r, eid_slice key, char group, const eid_value *record)
{
    eid_buf_reset(&r->name);
    eid_buf_append_byte(&r->name, (uint8_t)group);
    eid_buf_append_slice(&r->name, key);
    EID_TRY(eid_buf_status(&r->name));
    return r->callback(eid_buf_slice(&r->name), record, r->ctx);
}

static eid_status read_group(reading *r, const eid_doc *auth, const char *name, char group)
{
    const eid_value *value = eid_doc_child(auth, eid_slice_text(name)), *record;
    const eid_doc *doc;
    const eid_doc_cursor *cursor = NULL;
    const char *key;
    size_t key_len;
    if (value == NULL)
        return EID_OK;
    if (eid_value_as_doc(value, &doc) != EID_OK) {
        r->swept |= group_of(group);
        return EID_OK;
    }
    if (eid_doc_is_atomic(doc))
        r->swept |= group_of(group);
    while (eid_doc_next_raw(doc, &cursor, &key, &key_len, &record))
        EID_TRY(read_record(r, eid_slice_of(key, key_len), group, record));
    return EID_OK;
}

static eid_status read_auth(reading *r, const eid_doc *payload)
{
    const eid_value *value = eid_doc_child(payload, eid_slice_text("auth")), *global;
    const eid_doc *auth;
    r->swept = eid_doc_is_atomic(payload) ? EID_SWEEPS_ALL : 0;
    if (value == NULL)
        return EID_OK;
    if (eid_value_as_doc(value, &auth) != EID_OK) {
        r->swept = EID_SWEEPS_ALL;
        return EID_OK;
    }
    if (eid_doc_is_atomic(auth))
        r->swept = EID_SWEEPS_ALL;
    global = eid_doc_child(auth, eid_slice_text("global"));
    if (global != NULL)
        EID_TRY(read_record(r, eid_slice_of("", 0), 'g', global));
    EID_TRY(read_group(r, auth, "keys", 'k'));
    return read_group(r, auth, "delegations", 'd');
}

eid_status eid_records_of(const eid_doc *payload, eid_record_callback callback, void *ctx, unsigned *swept)
{
    reading r = {.callback = callback, .ctx = ctx};
    eid_buf_init(&r.name, SIZE_MAX / 2);
    eid_status status = read_auth(&r, payload);
    eid_buf_free(&r.name);
    *swept = r.swept;
    return status;
}

/* ---- Folds ---- */

static eid_status merge_act(eid_storage *storage, const eid_node *node, eid_doc *state)
{
    eid_entry *entry;
    eid_doc *payload = NULL;
    EID_TRY(eid_storage_load(storage, node->n, &entry));
    const eid_subtree *subtree = eid_entry_subtree(entry, eid_slice_text(SETTINGS));
    eid_status status = EID_OK;
    if (subtree != NULL && subtree->has_data && subtree->data_len > 0)
        status = eid_doc_parse(eid_slice_of(subtree->data, subtree->data_len), &payload);
    if (status == EID_OK && payload != NULL)
        status = eid_doc_merge(state, payload);
    else if (status != EID_ERR_NO_MEMORY)
        status = EID_OK; /* not a document: it takes no part */
    eid_doc_free(payload);
    eid_entry_unref(entry);
    return status;
}

static eid_status collect(const eid_charter *charter, const eid_runs *knowledge, eid_act_filter filter, const void *ctx,
                          eid_buf *nodes)
{
    for (size_t i = 0; i < knowledge->count; i++)
        for (int64_t k = knowledge->items[i].low; k <= knowledge->items[i].high; k++) {
            const eid_act *act = charter->acts[k];
            if (filter == NULL || filter(act, ctx))
                eid_buf_append(nodes, &act->node, sizeof act->node);
        }
    return eid_buf_status(nodes);
}

static eid_status nodes_of(const eid_charter *charter, const eid_runs *acts, eid_act_filter filter, const void *ctx, eid_node **out,
                           size_t *count)
{
    eid_buf found;
    uint8_t *data = NULL;
    size_t len = 0;
    eid_buf_init(&found, SIZE_MAX / 2);
    eid_status status = collect(charter, acts, filter, ctx, &found);
    if (status == EID_OK)
        status = eid_buf_take(&found, &data, &len);
    if (status != EID_OK) {
        eid_buf_free(&found);
        return status;
    }
    *out = (eid_node *)(void *)data;
    *count = len / sizeof **out;
    eid_nodes_sort(*out, *count);
    return EID_OK;
}

eid_status eid_charter_fold(eid_storage *storage, const eid_charter *charter, const eid_runs *knowledge,
                            eid_act_filter filter, const void *ctx, eid_doc **out)
{
    eid_node *nodes;
    size_t count;
    eid_doc *state = NULL;
    EID_TRY(nodes_of(charter, knowledge, filter, ctx, &nodes, &count));
    eid_status status = eid_doc_new(&state);
    for (size_t i = 0; i < count && status == EID_OK; i++)
        status = merge_act(storage, &nodes[i], state);
    eid_free(nodes);
    if (status != EID_OK) {
        eid_doc_free(state);
        return status;
    }
    *out = state;
    return EID_OK;
}
