/* SPDX-License-Identifier: Apache-2.0 */
/* Which key and identity open which database (spec users.md section 11).
 *
 * The format keeps this in the key's own row: an object that names every database of the key. Writing it anew with each
 * database would cost the square of their number. So a mapping that says no more than the database's tracked row (this key,
 * its default identity) is written at once only while there are few; after that it waits until an eighth has come together.
 * Then a database costs a fixed number of bytes on the average, and what has no mapping yet is opened by its tracked row.
 * Beyond EID_LIMIT_KEY_MAPPINGS none are written any more.
 *
 * Reading all of them for each opening would cost as much; the session keeps them until an entry touches `keys`. */
#include "base/alloc.h"
#include "base/log.h"
#include "codec/cid.h"
#include "instance/instance_int.h"

#define WRITTEN_AT_ONCE 64
#define SHARE           8 /* an eighth */

#define NOT_COUNTED SIZE_MAX

/* ---- The session's copy ---- */

static void free_list(void *value)
{
    eid_mapped *next;

    for (eid_mapped *at = value; at != NULL; at = next) {
        next = at->next;
        eid_sigkey_free(&at->identity);
        eid_free(at);
    }
}

void eid_mappings_free(eid_user *user)
{
    eid_map_free(user->mappings, free_list);
    user->mappings = NULL;
    user->mappings_mark = -1;
}

/* The newest entry that took part in `keys`. */
static eid_status newest_key_entry(eid_user *user, int64_t *out)
{
    eid_storage *storage = eid_core_storage(user->instance->core);
    eid_tree_store *store = NULL;
    eid_tree *tree;

    eid_storage_lock(storage);
    eid_status status = eid_storage_tree(storage, eid_database_root_id(user->private_database), &tree);
    if (status == EID_OK)
        status = eid_storage_store(storage, tree, eid_slice_text(EID_STORE_KEYS), &store);
    if (status == EID_OK)
        *out = store == NULL ? 0 : store->newest;
    eid_storage_unlock(storage);
    return status;
}

typedef struct load {
    eid_user *user;
    eid_map *mappings;
    eid_status status;
} load;

/* The session's mutex is held. */
static const eid_session_key *find_key(const eid_user *user, const eid_pubkey *pubkey)
{
    for (size_t i = 0; i < user->key_count; i++) {
        if (eid_pubkey_equal(&user->keys[i]->pubkey, pubkey))
            return user->keys[i];
    }
    return NULL;
}

static bool is_older(const eid_session_key *a, const eid_session_key *b)
{
    if (a->created_at != b->created_at)
        return a->created_at < b->created_at;
    return memcmp(a->pubkey.bytes, b->pubkey.bytes, sizeof a->pubkey.bytes) < 0;
}

/* Of a database named twice in one row the last mapping counts. */
static eid_status add_mapping(eid_map *mappings, const eid_session_key *key, const eid_key_mapping *mapping)
{
    eid_map_entry *entry;

    EID_TRY(eid_map_put(mappings, eid_id_slice(&mapping->database), &entry, NULL));
    eid_mapped **place = (eid_mapped **)(void *)&entry->value;
    while (*place != NULL && (*place)->key != key && is_older((*place)->key, key))
        place = &(*place)->next;
    eid_mapped *at = *place;
    if (at == NULL || at->key != key) {
        at = eid_alloc_zero(1, sizeof *at);
        if (at == NULL)
            return eid_fail_memory();
        at->key = key;
        at->next = *place;
        *place = at;
    }
    eid_sigkey_free(&at->identity);
    at->has_identity = mapping->has_identity;
    return mapping->has_identity ? eid_sigkey_copy(&mapping->identity, &at->identity) : EID_OK;
}

static eid_status load_record(load *loading, const eid_user_key *record)
{
    const eid_session_key *key = find_key(loading->user, &record->key_id);

    for (size_t i = 0; key != NULL && i < record->mapping_count; i++)
        EID_TRY(add_mapping(loading->mappings, key, &record->mappings[i]));
    return EID_OK;
}

static bool load_row(const char *row_key, const char *row, size_t len, void *ctx)
{
    load *loading = ctx;
    eid_user_key record;

    eid_status status = eid_user_key_read(eid_slice_of(row, len), &record);
    if (status == EID_ERR_NO_MEMORY) {
        loading->status = status;
        return false;
    }
    if (status != EID_OK) {
        eid_log(EID_LOG_WARN, "the key in row %.64s can not be read and is left out: %s", row_key, eid_last_error());
        return true;
    }
    loading->status = load_record(loading, &record);
    eid_user_key_free(&record);
    return loading->status == EID_OK;
}

/* The session's mutex is held. Rows that come between the mark and the reading are read again next time. */
static eid_status refresh(eid_user *user)
{
    load loading = {user, NULL, EID_OK};
    int64_t mark = 0;

    EID_TRY(newest_key_entry(user, &mark));
    if (user->mappings != NULL && mark == user->mappings_mark)
        return EID_OK;
    EID_TRY(eid_map_new(&loading.mappings));
    eid_status status = eid_database_table_scan(user->private_database, EID_STORE_KEYS, NULL, load_row, &loading);
    if (status == EID_OK)
        status = loading.status;
    if (status != EID_OK) {
        eid_map_free(loading.mappings, free_list);
        return status;
    }
    eid_mappings_free(user);
    user->mappings = loading.mappings;
    user->mappings_mark = mark;
    return EID_OK;
}

static const eid_mapped *mapping_of(const eid_user *user, const eid_id *database, const eid_session_key *key)
{
    for (const eid_mapped *at = eid_map_get(user->mappings, eid_id_slice(database)); at != NULL; at = at->next) {
        if (at->key == key)
            return at;
    }
    return NULL;
}

/* ---- Choosing ---- */

/* The session's mutex is held and the copy fresh. `tracked` NULL: the database is not tracked. */
static const eid_mapped *choose(const eid_user *user, const eid_id *database, const eid_session_key *tracked,
                                eid_mapped *by_row)
{
    if (tracked == NULL)
        return eid_map_get(user->mappings, eid_id_slice(database));
    const eid_mapped *mapped = mapping_of(user, database, tracked);
    if (mapped != NULL)
        return mapped;
    memset(by_row, 0, sizeof *by_row);
    by_row->key = tracked;
    return by_row;
}

static eid_status no_key_for(const eid_user *user, const eid_id *database)
{
    char text[EID_ID_TEXT_SIZE];

    eid_id_format(database, text);
    return eid_fail(EID_ERR_NO_KEY_FOR_DATABASE,
                    "the user \"%s\" has no key for the database %s: ask for access to it, or track it with a key that "
                    "has it",
                    user->name, text);
}

eid_status eid_session_choose_key(eid_user *user, const eid_id *database, const eid_session_key **key, bool *has_identity,
                                  eid_sigkey *identity)
{
    eid_database_preferences tracked = EID_DATABASE_PREFERENCES_INIT;
    eid_mapped by_row;
    eid_sigkey copy;

    eid_status status = eid_preferences_find(user, database, &tracked);
    if (status != EID_OK && status != EID_ERR_DATABASE_NOT_TRACKED)
        return status;
    eid_pubkey wanted = tracked.key_id;
    eid_database_preferences_clear(&tracked);
    memset(&copy, 0, sizeof copy);
    pthread_mutex_lock(&user->mutex);
    const eid_session_key *row_key = status == EID_OK ? find_key(user, &wanted) : NULL;
    const eid_mapped *chosen = NULL;
    status = refresh(user);
    if (status == EID_OK)
        chosen = choose(user, database, row_key, &by_row);
    if (status == EID_OK && chosen == NULL)
        status = no_key_for(user, database);
    if (status == EID_OK && chosen->has_identity)
        status = eid_sigkey_copy(&chosen->identity, &copy);
    if (status == EID_OK) {
        *key = chosen->key;
        *has_identity = chosen->has_identity;
        *identity = copy;
    }
    pthread_mutex_unlock(&user->mutex);
    return status;
}

/* ---- Writing ---- */

/* Tracked databases whose key has no mapping for them, up to `limit` of them. */
typedef struct rest {
    eid_user *user;
    const eid_session_key *key; /* only this one's; NULL: everybody's */
    eid_user_key *record;       /* where they are added; NULL: only counted */
    size_t count;
    size_t limit;
    eid_status status;
} rest;

static bool look_at_tracked(const char *row_key, const char *row, size_t len, void *ctx)
{
    rest *r = ctx;
    eid_database_preferences tracked;

    (void)row_key;
    if (r->count >= r->limit)
        return false;
    r->status = eid_preferences_read(eid_slice_of(row, len), &tracked);
    if (r->status != EID_OK) {
        /* Rows that can not be read are told of where tracked databases are listed. */
        bool go_on = r->status != EID_ERR_NO_MEMORY;
        r->status = go_on ? EID_OK : r->status;
        return go_on;
    }
    pthread_mutex_lock(&r->user->mutex);
    const eid_session_key *key = find_key(r->user, &tracked.key_id);
    bool missing = key != NULL && mapping_of(r->user, &tracked.database_id, key) == NULL;
    pthread_mutex_unlock(&r->user->mutex);
    if (missing && (r->key == NULL || r->key == key)) {
        r->count++;
        if (r->record != NULL)
            r->status = eid_user_key_map(r->record, &tracked.database_id, NULL);
    }
    eid_database_preferences_clear(&tracked);
    return r->status == EID_OK;
}

static eid_status find_rest(rest *r)
{
    EID_TRY(eid_database_table_scan(r->user->private_database, EID_STORE_DATABASES, NULL, look_at_tracked, r));
    return r->status;
}

static eid_status refresh_locked(eid_user *user, size_t *written)
{
    pthread_mutex_lock(&user->mutex);
    eid_status status = refresh(user);
    *written = status == EID_OK ? eid_map_len(user->mappings) : 0;
    pthread_mutex_unlock(&user->mutex);
    return status;
}

static eid_status stage_rest_of(eid_user *user, eid_txn *txn, const eid_session_key *key, size_t *room)
{
    eid_key_row row;

    EID_TRY(eid_key_row_get(user, txn, key, &row));
    rest r = {.user = user, .key = key, .record = &row.record, .limit = *room, .status = EID_OK};
    eid_status status = find_rest(&r);
    if (status == EID_OK && r.count > 0)
        status = eid_key_row_stage(txn, &row);
    eid_key_row_free(&row);
    *room -= r.count;
    return status;
}

eid_status eid_mappings_stage_rest(eid_user *user, eid_txn *txn)
{
    size_t written;

    EID_TRY(refresh_locked(user, &written));
    size_t room = written < EID_LIMIT_KEY_MAPPINGS ? EID_LIMIT_KEY_MAPPINGS - written : 0;
    for (size_t i = 0; room > 0; i++) {
        const eid_session_key *key = eid_session_key_at(user, i);
        if (key == NULL)
            break;
        EID_TRY(stage_rest_of(user, txn, key, &room));
    }
    return EID_OK;
}

static eid_status stage_now(eid_user *user, eid_txn *txn, const eid_session_key *key, const eid_id *database,
                            const eid_sigkey *identity)
{
    eid_key_row row;

    EID_TRY(eid_key_row_get(user, txn, key, &row));
    eid_status status = eid_user_key_map(&row.record, database, identity);
    if (status == EID_OK)
        status = eid_key_row_stage(txn, &row);
    eid_key_row_free(&row);
    return status;
}

/* Whether the mapping may be left for later, which is when its tracked row says all of it; counts it then. */
static eid_status may_wait(eid_user *user, size_t written, bool *out)
{
    rest r = {.user = user, .limit = SIZE_MAX, .status = EID_OK};

    *out = false;
    if (written < WRITTEN_AT_ONCE)
        return EID_OK;
    if (user->unwritten == NOT_COUNTED) {
        EID_TRY(find_rest(&r));
        user->unwritten = r.count;
    }
    *out = written >= EID_LIMIT_KEY_MAPPINGS || (user->unwritten + 1) * SHARE < written;
    user->unwritten += *out;
    return EID_OK;
}

static bool is_default_identity(const eid_session_key *key, const eid_sigkey *identity)
{
    eid_sigkey usual;

    eid_sigkey_direct(&key->pubkey, &usual);
    return identity == NULL || eid_sigkey_equal(identity, &usual);
}

eid_status eid_mapping_stage(eid_user *user, eid_txn *txn, const eid_session_key *key, const eid_id *database,
                             const eid_sigkey *identity, bool tracked, bool keep)
{
    bool usual = is_default_identity(key, identity), waits = false;
    size_t written;

    EID_TRY(refresh_locked(user, &written));
    pthread_mutex_lock(&user->mutex);
    const eid_mapped *mapped = mapping_of(user, database, key);
    bool is_mapped = mapped != NULL, is_said = is_mapped && (keep || (usual && !mapped->has_identity));
    pthread_mutex_unlock(&user->mutex);
    if (is_said)
        return EID_OK;
    if (!is_mapped && tracked && usual) {
        EID_TRY(may_wait(user, written, &waits));
        if (waits)
            return EID_OK;
        /* Those that waited go with it. They are counted anew when one waits next. */
        if (written >= WRITTEN_AT_ONCE) {
            user->unwritten = NOT_COUNTED;
            EID_TRY(eid_mappings_stage_rest(user, txn));
        }
    }
    return stage_now(user, txn, key, database, identity);
}

void eid_mappings_settle(eid_user *user, eid_status status)
{
    if (status != EID_OK)
        user->unwritten = NOT_COUNTED;
}
