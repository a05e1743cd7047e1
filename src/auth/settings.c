/* SPDX-License-Identifier: Apache-2.0 */
/* The auth part of a database's settings, parsed once into sorted arrays (spec auth.md section 2).
 *
 * Records stand in one array in order of their key texts. Two arrays of indices answer the lookups: by the
 * bytes of the public key, and by name and then key text. A key text has exactly one spelling, so order by
 * bytes and order by text agree on what is the same key.
 */
#include "auth/auth_int.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/search.h"
#include "crypto/key.h"

struct eid_auth_settings {
    _Atomic int references;
    eid_auth_record *records; /* in order of the key text */
    size_t record_count;
    eid_auth_record **by_key; /* records with a valid public key, in order of its bytes */
    size_t by_key_count;
    eid_auth_record **by_name; /* usable records with a name, in order of (name, key text) */
    size_t by_name_count;
    eid_auth_record **listed; /* usable records with a valid public key, in order of the key text */
    size_t listed_count;
    eid_auth_delegation *delegations; /* in order of the texts they are listed under */
    size_t delegation_count;
    eid_auth_record global;
    bool has_global; /* something live stands at `global`; it may be unusable */
    bool configured;
    bool not_empty; /* the auth document has a live child */
};

/* ---- Records ---- */

static bool status_of_text(eid_slice text, eid_key_status *out)
{
    if (eid_slice_is(text, "Active"))
        *out = EID_KEY_ACTIVE;
    else if (eid_slice_is(text, "Revoked"))
        *out = EID_KEY_REVOKED;
    else
        return false;
    return true;
}

/* Reads one record. Only memory is an error; a record that means nothing is left unusable, with the reason.
 */
static eid_status read_record(const eid_value *value, eid_auth_record *record)
{
    const eid_doc *doc, *permissions;
    const char *text;
    size_t len;

    record->usable = false;
    if (eid_value_as_doc(value, &doc) != EID_OK) {
        record->problem = "it is not a document";
        return EID_OK;
    }
    if (eid_doc_get_doc(doc, "permissions", &permissions) != EID_OK ||
        eid_permission_from_doc(permissions, &record->key.permission) != EID_OK) {
        record->problem = "it has no readable permissions";
        return EID_OK;
    }
    if (eid_doc_get_text(doc, "status", &text, &len) != EID_OK ||
        !status_of_text(eid_slice_of(text, len), &record->key.status)) {
        record->problem = "its status is neither Active nor Revoked";
        return EID_OK;
    }
    if (eid_doc_get_text(doc, "name", &text, &len) == EID_OK) {
        record->key.name = eid_memdup(text, len);
        record->key.name_len = len;
        if (record->key.name == NULL)
            return eid_fail_memory();
    }
    record->usable = true;
    return EID_OK;
}

static eid_status read_keys(eid_auth_settings *settings, const eid_doc *keys)
{
    const eid_doc_cursor *cursor = NULL;
    const eid_value *value;
    const char *text;
    size_t len, live = eid_doc_len(keys);

    settings->records = eid_alloc_zero(live + 1, sizeof *settings->records);
    if (settings->records == NULL)
        return eid_fail_memory();
    while (eid_doc_next(keys, &cursor, &text, &len, &value)) {
        eid_auth_record *record = &settings->records[settings->record_count++];
        record->order = settings->record_count;
        record->has_pubkey = eid_pubkey_decode_slice(eid_slice_of(text, len), &record->pubkey) == EID_OK;
        EID_TRY(read_record(value, record));
    }
    return EID_OK;
}

/* ---- Order ---- */

static int compare_by_key(const void *a, const void *b)
{
    const eid_auth_record *left = *(eid_auth_record *const *)a, *right = *(eid_auth_record *const *)b;

    return memcmp(left->pubkey.bytes, right->pubkey.bytes, sizeof left->pubkey.bytes);
}

static eid_slice name_of(const eid_auth_record *record)
{
    return eid_slice_of(record->key.name, record->key.name_len);
}

static int compare_by_name(const void *a, const void *b)
{
    const eid_auth_record *left = *(eid_auth_record *const *)a, *right = *(eid_auth_record *const *)b;
    int order = eid_slice_compare(name_of(left), name_of(right));

    if (order != 0)
        return order;
    return left->order < right->order ? -1 : left->order > right->order;
}

static eid_status sort_records(eid_auth_settings *settings)
{
    size_t room = settings->record_count + 1;

    settings->by_key = eid_alloc_zero(room, sizeof(eid_auth_record *));
    settings->by_name = eid_alloc_zero(room, sizeof(eid_auth_record *));
    settings->listed = eid_alloc_zero(room, sizeof(eid_auth_record *));
    if (settings->by_key == NULL || settings->by_name == NULL || settings->listed == NULL)
        return eid_fail_memory();
    for (size_t i = 0; i < settings->record_count; i++) {
        eid_auth_record *record = &settings->records[i];
        if (record->has_pubkey)
            settings->by_key[settings->by_key_count++] = record;
        if (record->usable && record->key.name != NULL)
            settings->by_name[settings->by_name_count++] = record;
        if (record->usable && record->has_pubkey)
            settings->listed[settings->listed_count++] = record;
    }
    qsort(settings->by_key, settings->by_key_count, sizeof(eid_auth_record *), compare_by_key);
    qsort(settings->by_name, settings->by_name_count, sizeof(eid_auth_record *), compare_by_name);
    return EID_OK;
}

/* ---- Delegations ---- */

static eid_status read_delegations(eid_auth_settings *settings, const eid_doc *delegations)
{
    const eid_doc_cursor *cursor = NULL;
    const eid_value *value;
    const char *text;
    size_t len;

    settings->delegations = eid_alloc_zero(eid_doc_len(delegations) + 1, sizeof *settings->delegations);
    if (settings->delegations == NULL)
        return eid_fail_memory();
    while (eid_doc_next(delegations, &cursor, &text, &len, &value)) {
        eid_id key;
        if (!eid_auth_read_tree_key(eid_slice_of(text, len), &key))
            continue; /* no signature can name it */
        EID_TRY(eid_auth_delegation_read(&key, value, &settings->delegations[settings->delegation_count]));
        settings->delegation_count++;
    }
    return EID_OK;
}

/* ---- Parsing ---- */

/* Somebody was given a right here once, be it that it was revoked, removed or can not be read any more.
 * Counting those too keeps a database from becoming open to unsigned entries because its last usable record
 * went away. */
static bool ever_held_records(const eid_doc *auth)
{
    static const char *const groups[] = {"keys", "delegations"};
    const eid_doc *group;

    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        const eid_value *child = eid_doc_child(auth, eid_slice_text(groups[i]));
        if (child == NULL)
            continue;
        if (eid_value_as_doc(child, &group) != EID_OK || eid_doc_child_count(group) > 0)
            return true;
    }
    return eid_doc_child(auth, eid_slice_text("global")) != NULL;
}

static eid_status parse_auth(eid_auth_settings *settings, const eid_doc *auth)
{
    const eid_doc *keys, *delegations;
    const eid_value *global;

    settings->not_empty = !eid_doc_is_empty(auth);
    settings->configured = ever_held_records(auth);
    if (eid_doc_get(auth, "global", &global) == EID_OK) {
        settings->has_global = true;
        EID_TRY(read_record(global, &settings->global));
    }
    if (eid_doc_get_doc(auth, "keys", &keys) == EID_OK)
        EID_TRY(read_keys(settings, keys));
    if (eid_doc_get_doc(auth, "delegations", &delegations) == EID_OK)
        EID_TRY(read_delegations(settings, delegations));
    return sort_records(settings);
}

static void free_settings(eid_auth_settings *settings)
{
    for (size_t i = 0; i < settings->record_count; i++)
        eid_free(settings->records[i].key.name);
    for (size_t i = 0; i < settings->delegation_count; i++)
        eid_free(settings->delegations[i].floor);
    eid_free(settings->delegations);
    eid_free(settings->global.key.name);
    eid_free(settings->records);
    eid_free(settings->by_key);
    eid_free(settings->by_name);
    eid_free(settings->listed);
    eid_free(settings);
}

eid_status eid_auth_settings_parse(const eid_doc *doc, eid_auth_settings **out)
{
    eid_auth_settings *settings = eid_alloc_zero(1, sizeof *settings);
    const eid_doc *auth;

    if (settings == NULL)
        return eid_fail_memory();
    settings->references = 1;
    if (eid_doc_get_doc(doc, "auth", &auth) == EID_OK) {
        eid_status status = parse_auth(settings, auth);
        if (status != EID_OK) {
            free_settings(settings);
            return status;
        }
    }
    *out = settings;
    return EID_OK;
}

eid_auth_settings *eid_auth_settings_ref(eid_auth_settings *settings)
{
    settings->references++;
    return settings;
}

void eid_auth_settings_unref(eid_auth_settings *settings)
{
    if (settings != NULL && --settings->references == 0)
        free_settings(settings);
}

/* ---- Asking ---- */

bool eid_auth_settings_configured(const eid_auth_settings *settings)
{
    return settings->configured;
}

size_t eid_auth_settings_key_count(const eid_auth_settings *settings)
{
    return settings->listed_count;
}

void eid_auth_settings_key_at(const eid_auth_settings *settings, size_t index, eid_pubkey *key,
                              const eid_auth_key **record)
{
    *key = settings->listed[index]->pubkey;
    *record = &settings->listed[index]->key;
}

/* Settings may list many keys that never sign. */
bool eid_auth_record_is_key(eid_auth_record *record)
{
    if (!record->has_pubkey)
        return false;
    if (record->point == 0)
        record->point = eid_pubkey_is_point(&record->pubkey) ? 1 : 2;
    return record->point == 1;
}

static int compare_key(const void *key, const void *record)
{
    return memcmp(((const eid_pubkey *)key)->bytes, (*(eid_auth_record *const *)record)->pubkey.bytes, sizeof(eid_pubkey));
}

const eid_auth_record *eid_auth_record_of_key(const eid_auth_settings *settings, const eid_pubkey *key)
{
    bool found;
    size_t at = eid_search(key, settings->by_key, settings->by_key_count, sizeof *settings->by_key, compare_key, &found);

    return found ? settings->by_key[at] : NULL;
}

static int compare_name(const void *name, const void *record)
{
    return eid_slice_compare(*(const eid_slice *)name, name_of(*(eid_auth_record *const *)record));
}

eid_auth_record *const *eid_auth_records_of_name(const eid_auth_settings *settings, eid_slice name,
                                                 size_t *count)
{
    bool found;
    size_t low = eid_search(&name, settings->by_name, settings->by_name_count, sizeof *settings->by_name, compare_name, &found);
    size_t end;

    for (end = low; end < settings->by_name_count && eid_slice_equal(name_of(settings->by_name[end]), name);)
        end++;
    *count = end - low;
    return settings->by_name + low;
}

const eid_auth_record *eid_auth_global_record(const eid_auth_settings *settings)
{
    return settings->has_global ? &settings->global : NULL;
}

const eid_auth_key *eid_auth_settings_find(const eid_auth_settings *settings, const eid_pubkey *key)
{
    const eid_auth_record *record = eid_auth_record_of_key(settings, key);

    return record != NULL && record->usable ? &record->key : NULL;
}

const eid_auth_key *eid_auth_settings_global(const eid_auth_settings *settings)
{
    return settings->has_global && settings->global.usable ? &settings->global.key : NULL;
}

bool eid_auth_settings_has_active_global(const eid_auth_settings *settings)
{
    const eid_auth_key *global = eid_auth_settings_global(settings);

    return global != NULL && global->status == EID_KEY_ACTIVE;
}

bool eid_auth_settings_protected(const eid_auth_settings *settings)
{
    return (settings->not_empty || settings->configured) && !eid_auth_settings_has_active_global(settings);
}

size_t eid_auth_settings_delegation_count(const eid_auth_settings *settings)
{
    return settings->delegation_count;
}

const eid_auth_delegation *eid_auth_settings_delegation_at(const eid_auth_settings *settings, size_t index)
{
    return &settings->delegations[index];
}

static int compare_tree(const void *key, const void *delegation)
{
    return eid_id_compare_text(key, &((const eid_auth_delegation *)delegation)->key);
}

const eid_auth_delegation *eid_auth_settings_delegation(const eid_auth_settings *settings, const eid_id *key)
{
    bool found;
    size_t at = eid_search(key, settings->delegations, settings->delegation_count, sizeof *settings->delegations, compare_tree,
                           &found);

    return found ? &settings->delegations[at] : NULL;
}

/* ---- Writing ---- */

eid_status eid_auth_key_to_doc(const char *name, eid_permission permission, eid_key_status status,
                               eid_doc **out)
{
    eid_doc *record = NULL, *permissions = NULL;
    eid_status result;

    EID_TRY(eid_doc_new_atomic(&record));
    if (name != NULL)
        EID_TRY_GOTO(result, eid_doc_set_string(record, "name", name), done);
    EID_TRY_GOTO(result, eid_permission_to_doc(permission, &permissions), done);
    EID_TRY_GOTO(result, eid_doc_set_doc(record, "permissions", permissions), done);
    EID_TRY_GOTO(result,
                 eid_doc_set_string(record, "status", status == EID_KEY_ACTIVE ? "Active" : "Revoked"), done);
    *out = record;
    record = NULL;
done:
    eid_doc_free(permissions);
    eid_doc_free(record);
    return result;
}
