/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of a session: read from the private database at login, and the mappings that say which key and
 * identity opens which database (spec users.md sections 7, 9 and 11).
 *
 * Keys do not change during a session, but mappings do, also from other sessions of the same user. So
 * mappings are read anew whenever they are needed. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "instance/instance_int.h"

/* ---- Loading ---- */

static void free_session_key(eid_session_key *key)
{
    eid_keypair_free(key->pair);
    eid_free(key->display_name);
}

void eid_session_free_keys(eid_user *user)
{
    for (size_t i = 0; i < user->key_count; i++)
        free_session_key(&user->keys[i]);
    eid_free(user->keys);
    user->keys = NULL;
    user->key_count = 0;
}

/* Takes the members of the key on success. */
static eid_status add_session_key(eid_user *user, const eid_session_key *key)
{
    eid_session_key *grown = eid_realloc_array(user->keys, user->key_count + 1, sizeof *grown);

    if (grown == NULL)
        return eid_fail_memory();
    user->keys = grown;
    user->keys[user->key_count++] = *key;
    return EID_OK;
}

typedef struct key_load {
    eid_user *user;
    eid_status status;
} key_load;

static eid_status load_row(eid_user *user, eid_slice row)
{
    eid_session_key key;
    eid_user_key record;

    EID_TRY(eid_user_key_read(row, &record));
    memset(&key, 0, sizeof key);
    key.pubkey = record.key_id;
    key.created_at = record.created_at;
    key.is_default = record.is_default;
    eid_status status = eid_key_storage_open(&record.storage, &record.key_id, &key.pair);
    if (status == EID_OK) {
        key.display_name = record.display_name;
        record.display_name = NULL;
        status = add_session_key(user, &key);
        if (status != EID_OK)
            free_session_key(&key);
    }
    eid_user_key_free(&record);
    return status;
}

static bool load_key(const char *key, const char *row, size_t len, void *ctx)
{
    key_load *load = ctx;

    load->status = load_row(load->user, eid_slice_of(row, len));
    if (load->status != EID_OK)
        load->status = eid_fail_context(load->status, "the user's key in row %.64s can not be used", key);
    return load->status == EID_OK;
}

static int by_age(const void *a, const void *b)
{
    const eid_session_key *left = a, *right = b;

    if (left->created_at != right->created_at)
        return left->created_at < right->created_at ? -1 : 1;
    return memcmp(left->pubkey.bytes, right->pubkey.bytes, sizeof left->pubkey.bytes);
}

static eid_status add_root(eid_user *user, const eid_pubkey *pubkey, eid_keypair *root, int64_t created_at)
{
    eid_session_key key = {*pubkey, root, NULL, created_at, true};

    key.display_name = eid_strdup("Root Key");
    if (key.display_name == NULL)
        return eid_fail_memory();
    eid_status status = add_session_key(user, &key);
    if (status != EID_OK)
        eid_free(key.display_name);
    return status;
}

eid_status eid_session_load_keys(eid_user *user, eid_keypair *root, int64_t created_at)
{
    key_load load = {user, EID_OK};
    eid_pubkey pubkey;

    EID_TRY(eid_database_table_scan(user->private_database, EID_STORE_KEYS, NULL, load_key, &load));
    EID_TRY(load.status);
    eid_keypair_public(root, &pubkey);
    if (eid_session_find_key(user, &pubkey) == NULL)
        EID_TRY(add_root(user, &pubkey, root, created_at));
    else
        eid_keypair_free(root);
    qsort(user->keys, user->key_count, sizeof *user->keys, by_age);
    user->default_key = 0;
    for (size_t i = user->key_count; i-- > 0;) {
        if (user->keys[i].is_default)
            user->default_key = i;
    }
    return EID_OK;
}

const eid_session_key *eid_session_find_key(const eid_user *user, const eid_pubkey *pubkey)
{
    for (size_t i = 0; i < user->key_count; i++) {
        if (eid_pubkey_equal(&user->keys[i].pubkey, pubkey))
            return &user->keys[i];
    }
    return NULL;
}

/* ---- Changing a row ---- */

typedef struct row_search {
    const eid_pubkey *wanted;
    char *row_key; /* NULL: not found */
    eid_user_key record;
    eid_status status;
} row_search;

static bool match_row(const char *key, const char *row, size_t len, void *ctx)
{
    row_search *search = ctx;

    search->status = eid_user_key_read(eid_slice_of(row, len), &search->record);
    if (search->status != EID_OK)
        return false;
    if (!eid_pubkey_equal(&search->record.key_id, search->wanted)) {
        eid_user_key_free(&search->record);
        return true;
    }
    search->row_key = eid_strdup(key);
    if (search->row_key == NULL)
        search->status = eid_fail_memory();
    return false;
}

static eid_status new_record(const eid_session_key *key, eid_user_key *out)
{
    memset(out, 0, sizeof *out);
    out->key_id = key->pubkey;
    out->created_at = key->created_at;
    out->is_default = key->is_default;
    EID_TRY(eid_key_storage_clear(key->pair, &out->storage));
    if (key->display_name != NULL && (out->display_name = eid_strdup(key->display_name)) == NULL) {
        eid_user_key_free(out);
        return eid_fail_memory();
    }
    return EID_OK;
}

static eid_status write_row(eid_txn *txn, const char *row_key, const eid_user_key *record)
{
    char new_key[EID_ROW_KEY_SIZE];
    eid_buf text;

    eid_buf_init(&text, EID_LIMIT_ENTRY_BYTES);
    eid_buf_reserve(&text, EID_SECRET_ROOM);
    eid_user_key_write(&text, record);
    eid_status status = eid_buf_status(&text);
    if (status == EID_OK && row_key != NULL)
        status = eid_table_set(txn, EID_STORE_KEYS, row_key, (const char *)text.data);
    else if (status == EID_OK)
        status = eid_table_insert(txn, EID_STORE_KEYS, (const char *)text.data, new_key);
    eid_buf_free_secret(&text);
    return status;
}

eid_status eid_session_stage_key(eid_txn *txn, const eid_session_key *key, const eid_id *database,
                                 const eid_sigkey *identity, bool keep)
{
    row_search search = {.wanted = &key->pubkey, .status = EID_OK};
    eid_status status;

    EID_TRY(eid_table_scan(txn, EID_STORE_KEYS, NULL, match_row, &search));
    status = search.status;
    if (status == EID_OK && search.row_key == NULL)
        status = new_record(key, &search.record);
    if (status == EID_OK && database != NULL &&
        !(keep && eid_user_key_mapping(&search.record, database) != NULL))
        status = eid_user_key_map(&search.record, database, identity);
    if (status == EID_OK)
        status = write_row(txn, search.row_key, &search.record);
    eid_user_key_free(&search.record);
    eid_free(search.row_key);
    return status;
}

/* ---- Choosing ---- */

typedef struct choice {
    const eid_user *user;
    const eid_id *database;
    const eid_pubkey *tracked; /* the key the tracked row names; NULL when it is not tracked */
    const eid_session_key *best;
    bool best_is_tracked;
    bool has_identity;
    eid_sigkey identity;
    eid_status status;
} choice;

static eid_status consider(choice *choosing, const eid_user_key *record)
{
    const eid_key_mapping *mapping = eid_user_key_mapping(record, choosing->database);
    const eid_session_key *key = eid_session_find_key(choosing->user, &record->key_id);
    bool tracked = choosing->tracked != NULL && eid_pubkey_equal(choosing->tracked, &record->key_id);
    eid_sigkey identity;

    if (mapping == NULL || key == NULL)
        return EID_OK;
    if (choosing->best != NULL && !tracked && (choosing->best_is_tracked || choosing->best < key))
        return EID_OK;
    memset(&identity, 0, sizeof identity);
    if (mapping->has_identity)
        EID_TRY(eid_sigkey_copy(&mapping->identity, &identity));
    eid_sigkey_free(&choosing->identity);
    choosing->identity = identity;
    choosing->has_identity = mapping->has_identity;
    choosing->best = key;
    choosing->best_is_tracked = tracked;
    return EID_OK;
}

static bool consider_row(const char *key, const char *row, size_t len, void *ctx)
{
    choice *choosing = ctx;
    eid_user_key record;

    eid_status status = eid_user_key_read(eid_slice_of(row, len), &record);
    if (status == EID_ERR_NO_MEMORY) {
        choosing->status = status;
        return false;
    }
    if (status != EID_OK) {
        eid_log(EID_LOG_WARN, "the key in row %.64s can not be read and is left out: %s", key,
                eid_last_error());
        return true;
    }
    choosing->status = consider(choosing, &record);
    eid_user_key_free(&record);
    return choosing->status == EID_OK;
}

eid_status eid_session_choose_key(eid_user *user, const eid_id *database, const eid_session_key **key,
                                  bool *has_identity, eid_sigkey *identity)
{
    choice choosing = {.user = user, .database = database, .status = EID_OK};
    eid_tracked_row row;
    eid_status status = eid_tracked_find(user, database, &row);

    if (status != EID_OK && status != EID_ERR_DATABASE_NOT_TRACKED)
        return status;
    if (status == EID_OK)
        choosing.tracked = &row.tracked.key;
    bool tracked = status == EID_OK;
    status = eid_database_table_scan(user->private_database, EID_STORE_KEYS, NULL, consider_row, &choosing);
    if (tracked)
        eid_tracked_row_free(&row);
    if (status == EID_OK)
        status = choosing.status;
    if (status == EID_OK && choosing.best == NULL) {
        char text[EID_ID_TEXT_SIZE];
        eid_id_format(database, text);
        status = eid_fail(EID_ERR_NO_KEY_FOR_DATABASE,
                          "the user \"%s\" has no key for the database %s: ask for access to it, or track it "
                          "with a key that has it",
                          user->name, text);
    }
    if (status != EID_OK) {
        eid_sigkey_free(&choosing.identity);
        return status;
    }
    *key = choosing.best;
    *has_identity = choosing.has_identity;
    *identity = choosing.identity;
    return EID_OK;
}
