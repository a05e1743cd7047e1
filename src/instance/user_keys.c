/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of a session: read from the private database at login, added to it, named, and encrypted anew (spec users.md
 * sections 7 and 9). Keys are only ever added during a session. */
#include "base/alloc.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/utf8.h"
#include "instance/instance_int.h"

/* ---- Loading ---- */

static void free_session_key(eid_session_key *key)
{
    if (key == NULL)
        return;
    eid_keypair_free(key->pair);
    eid_free(key->display_name);
    eid_free(key);
}

void eid_session_free_keys(eid_user *user)
{
    for (size_t i = 0; i < user->key_count; i++)
        free_session_key(user->keys[i]);
    eid_free(user->keys);
    user->keys = NULL;
    user->key_count = 0;
}

static int by_age(const eid_session_key *left, const eid_session_key *right)
{
    if (left->created_at != right->created_at)
        return left->created_at < right->created_at ? -1 : 1;
    return memcmp(left->pubkey.bytes, right->pubkey.bytes, sizeof left->pubkey.bytes);
}

/* Makes room for one more. */
static eid_status reserve_key(eid_user *user)
{
    eid_session_key **grown = eid_realloc_array(user->keys, user->key_count + 1, sizeof(eid_session_key *));

    if (grown == NULL)
        return eid_fail_memory();
    user->keys = grown;
    return EID_OK;
}

/* Puts the key, which is taken, where its age belongs; there is room. */
static void insert_key(eid_user *user, eid_session_key *key)
{
    size_t at = user->key_count++;

    for (; at > 0 && by_age(key, user->keys[at - 1]) < 0; at--)
        user->keys[at] = user->keys[at - 1];
    user->keys[at] = key;
}

/* Takes the pair on success. `display_name` may be NULL. */
static eid_status session_key_new(eid_keypair *pair, const char *display_name, int64_t created_at, bool is_default,
                                  eid_session_key **out)
{
    eid_session_key *key = eid_alloc_zero(1, sizeof *key);

    if (key == NULL)
        return eid_fail_memory();
    if (display_name != NULL && (key->display_name = eid_strdup(display_name)) == NULL) {
        eid_free(key);
        return eid_fail_memory();
    }
    eid_keypair_public(pair, &key->pubkey);
    key->pair = pair;
    key->created_at = created_at;
    key->is_default = is_default;
    *out = key;
    return EID_OK;
}

/* The same, into the session being opened. */
static eid_status add_session_key(eid_user *user, eid_keypair *pair, const char *display_name, int64_t created_at,
                                  bool is_default)
{
    eid_session_key *key = NULL;

    EID_TRY(reserve_key(user));
    EID_TRY(session_key_new(pair, display_name, created_at, is_default, &key));
    insert_key(user, key);
    return EID_OK;
}

typedef struct key_load {
    eid_user *user;
    eid_status status;
} key_load;

static eid_status load_row(eid_user *user, eid_slice row)
{
    eid_keypair *pair = NULL;
    eid_user_key record;

    EID_TRY(eid_user_key_read(row, &record));
    eid_status status = eid_key_storage_open(&record.storage, eid_session_unwrapping(user), &record.key_id, &pair);
    if (status == EID_OK) {
        status = add_session_key(user, pair, record.display_name, record.created_at, record.is_default);
        if (status != EID_OK)
            eid_keypair_free(pair);
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

eid_status eid_session_load_keys(eid_user *user, eid_keypair *root, int64_t created_at)
{
    key_load load = {user, EID_OK};
    eid_pubkey pubkey;

    EID_TRY(eid_database_table_scan(user->private_database, EID_STORE_KEYS, NULL, load_key, &load));
    EID_TRY(load.status);
    eid_keypair_public(root, &pubkey);
    if (eid_session_find_key(user, &pubkey) == NULL)
        EID_TRY(add_session_key(user, root, "Root Key", created_at, true));
    else
        eid_keypair_free(root);
    user->default_key = user->keys[0];
    for (size_t i = user->key_count; i-- > 0;) {
        if (user->keys[i]->is_default)
            user->default_key = user->keys[i];
    }
    return EID_OK;
}

const eid_session_key *eid_session_find_key(eid_user *user, const eid_pubkey *pubkey)
{
    const eid_session_key *found = NULL;

    pthread_mutex_lock(&user->mutex);
    for (size_t i = 0; i < user->key_count && found == NULL; i++) {
        if (eid_pubkey_equal(&user->keys[i]->pubkey, pubkey))
            found = user->keys[i];
    }
    pthread_mutex_unlock(&user->mutex);
    return found;
}

const eid_session_key *eid_session_key_at(eid_user *user, size_t index)
{
    pthread_mutex_lock(&user->mutex);
    const eid_session_key *key = index < user->key_count ? user->keys[index] : NULL;
    pthread_mutex_unlock(&user->mutex);
    return key;
}

const eid_session_key *eid_session_default_key(const eid_user *user)
{
    /* The lock is not part of what the caller may not change. */
    pthread_mutex_t *mutex = (pthread_mutex_t *)(uintptr_t)&user->mutex;

    pthread_mutex_lock(mutex);
    const eid_session_key *key = user->default_key;
    pthread_mutex_unlock(mutex);
    return key;
}

eid_status eid_session_no_key(const eid_pubkey *pubkey)
{
    char text[EID_PUBKEY_TEXT_SIZE];

    eid_pubkey_format(pubkey, text);
    return eid_fail(EID_ERR_PRIVATE_KEY_NOT_FOUND, "the user has no private key for %s", text);
}

/* ---- Rows ---- */

typedef struct row_search {
    const eid_pubkey *wanted;
    eid_key_row *row;
    bool found;
    eid_status status;
} row_search;

static bool match_row(const char *key, const char *row, size_t len, void *ctx)
{
    row_search *search = ctx;

    search->status = eid_user_key_read(eid_slice_of(row, len), &search->row->record);
    if (search->status != EID_OK)
        return false;
    if (!eid_pubkey_equal(&search->row->record.key_id, search->wanted)) {
        eid_user_key_free(&search->row->record);
        return true;
    }
    search->found = true;
    if (strlen(key) < sizeof search->row->row_key)
        memcpy(search->row->row_key, key, strlen(key) + 1);
    else
        search->status = eid_fail(EID_ERR_CORRUPT, "the row key %.64s is longer than a UUID", key);
    return false;
}

static eid_status new_record(eid_user *user, const eid_session_key *key, eid_user_key *out)
{
    EID_TRY(eid_session_check_encryption(user));
    memset(out, 0, sizeof *out);
    out->key_id = key->pubkey;
    out->created_at = key->created_at;
    out->is_default = key->is_default;
    EID_TRY(eid_key_storage_make(key->pair, eid_session_wrapping(user), &out->storage));
    pthread_mutex_lock(&user->mutex);
    if (key->display_name != NULL)
        out->display_name = eid_strdup(key->display_name);
    bool named = key->display_name == NULL || out->display_name != NULL;
    pthread_mutex_unlock(&user->mutex);
    if (!named) {
        eid_user_key_free(out);
        return eid_fail_memory();
    }
    return EID_OK;
}

/* eid_key_row_free it. */
static eid_status read_key_row(const char *row_key, eid_slice text, eid_key_row *out)
{
    if (strlen(row_key) >= sizeof out->row_key)
        return eid_fail(EID_ERR_CORRUPT, "its row key is longer than a UUID");
    EID_TRY(eid_user_key_read(text, &out->record));
    memcpy(out->row_key, row_key, strlen(row_key) + 1);
    return EID_OK;
}

void eid_key_row_free(eid_key_row *row)
{
    eid_user_key_free(&row->record);
}

eid_status eid_key_row_get(eid_user *user, eid_txn *txn, const eid_session_key *key, eid_key_row *out)
{
    eid_key_row row;
    row_search search = {.wanted = &key->pubkey, .row = &row, .status = EID_OK};

    memset(&row, 0, sizeof row);
    eid_status status = eid_table_scan(txn, EID_STORE_KEYS, NULL, match_row, &search);
    if (status == EID_OK)
        status = search.status;
    if (status == EID_OK && !search.found)
        status = new_record(user, key, &row.record);
    if (status == EID_OK)
        *out = row;
    else
        eid_key_row_free(&row);
    return status;
}

eid_status eid_key_row_stage(eid_txn *txn, const eid_key_row *row)
{
    char new_key[EID_ROW_KEY_SIZE];
    eid_buf text;

    eid_buf_init(&text, EID_LIMIT_ENTRY_BYTES);
    eid_buf_reserve(&text, EID_SECRET_ROOM);
    eid_user_key_write(&text, &row->record);
    eid_status status = eid_buf_status(&text);
    if (status == EID_OK && row->row_key[0] != '\0')
        status = eid_table_set(txn, EID_STORE_KEYS, row->row_key, (const char *)text.data);
    else if (status == EID_OK)
        status = eid_table_insert(txn, EID_STORE_KEYS, (const char *)text.data, new_key);
    eid_buf_free_secret(&text);
    return status;
}

/* ---- Encrypting anew ---- */

typedef struct rewrap {
    eid_txn *txn;
    const eid_aead_key *before, *after;
    eid_status status;
} rewrap;

static eid_status rewrap_row(rewrap *wrapping, const char *row_key, eid_slice text)
{
    eid_key_storage storage;
    eid_keypair *pair;
    eid_key_row row;

    EID_TRY(read_key_row(row_key, text, &row));
    eid_status status = eid_key_storage_open(&row.record.storage, wrapping->before, &row.record.key_id, &pair);
    if (status == EID_OK) {
        status = eid_key_storage_make(pair, wrapping->after, &storage);
        eid_keypair_free(pair);
    }
    if (status == EID_OK) {
        eid_key_storage_free(&row.record.storage);
        row.record.storage = storage;
        status = eid_key_row_stage(wrapping->txn, &row);
    }
    eid_key_row_free(&row);
    return status;
}

static bool rewrap_next(const char *key, const char *row, size_t len, void *ctx)
{
    rewrap *wrapping = ctx;

    wrapping->status = rewrap_row(wrapping, key, eid_slice_of(row, len));
    if (wrapping->status != EID_OK)
        wrapping->status = eid_fail_context(wrapping->status, "the user's key in row %.64s can not be encrypted anew", key);
    return wrapping->status == EID_OK;
}

eid_status eid_session_stage_encryption(eid_user *user, eid_txn *txn, const eid_aead_key *before,
                                        const eid_aead_key *after)
{
    rewrap wrapping = {txn, before, after, EID_OK};

    /* Read past the transaction, which changes while the rows go by; nobody else writes, change_mutex is held. */
    EID_TRY(eid_database_table_scan(user->private_database, EID_STORE_KEYS, NULL, rewrap_next, &wrapping));
    return wrapping.status;
}

/* ---- Adding ---- */

static eid_status check_display_name(const char *name)
{
    eid_slice text = eid_slice_text(name != NULL ? name : "");

    if (text.len > EID_LIMIT_KEY_NAME)
        return eid_fail(EID_ERR_LIMIT, "the name of a key has at most %d bytes, this one has %zu", EID_LIMIT_KEY_NAME,
                        text.len);
    if (!eid_utf8_valid(text))
        return eid_fail(EID_ERR_UTF8, "the name of a key must be valid UTF-8");
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < ' ' || text.data[i] == 0x7f)
            return eid_fail(EID_ERR_INVALID_ARGUMENT, "the name of a key is one line of text, without control characters");
    }
    return EID_OK;
}

static eid_status check_new_key(eid_user *user, const eid_session_key *key)
{
    if (eid_session_find_key(user, &key->pubkey) != NULL)
        return eid_fail(EID_ERR_ALREADY_EXISTS, "the user has this key already");
    if (eid_session_key_at(user, EID_LIMIT_USER_KEYS - 1) != NULL)
        return eid_fail(EID_ERR_LIMIT, "a user has at most %d keys", EID_LIMIT_USER_KEYS);
    return EID_OK;
}

static eid_status stage_key(eid_user *user, eid_txn *txn, const eid_session_key *key)
{
    eid_key_row row;

    EID_TRY(eid_key_row_get(user, txn, key, &row));
    eid_status status = EID_OK;
    if (row.row_key[0] != '\0')
        status = eid_fail(EID_ERR_ALREADY_EXISTS, "the user has this key already, added by another session");
    else
        status = eid_key_row_stage(txn, &row);
    eid_key_row_free(&row);
    return status;
}

/* The key is taken on success. */
static eid_status commit_key(eid_user *user, eid_session_key *key)
{
    eid_txn *txn;

    EID_TRY(check_new_key(user, key));
    EID_TRY(eid_database_new_transaction(user->private_database, &txn));
    eid_status status = stage_key(user, txn, key);
    /* The room first: after the commit nothing may fail any more. */
    if (status == EID_OK) {
        pthread_mutex_lock(&user->mutex);
        status = reserve_key(user);
        pthread_mutex_unlock(&user->mutex);
    }
    if (status == EID_OK)
        status = eid_txn_commit(txn, NULL);
    eid_txn_free(txn);
    if (status != EID_OK)
        return status;
    pthread_mutex_lock(&user->mutex);
    insert_key(user, key);
    pthread_mutex_unlock(&user->mutex);
    return EID_OK;
}

/* Takes the pair, on failure too. */
static eid_status add_pair(eid_user *user, eid_keypair *pair, const char *display_name)
{
    int64_t now = (int64_t)(eid_clock_now_ms(eid_instance_clock(user->instance)) / 1000);
    eid_session_key *key = NULL;

    eid_status status = session_key_new(pair, display_name, now, false, &key);
    if (status != EID_OK) {
        eid_keypair_free(pair);
        return status;
    }
    pthread_mutex_lock(&user->instance->change_mutex);
    status = commit_key(user, key);
    pthread_mutex_unlock(&user->instance->change_mutex);
    if (status != EID_OK)
        free_session_key(key);
    return status;
}

eid_status eid_user_add_private_key(eid_user *user, const char *display_name, eid_pubkey *out)
{
    EID_NEED(user);
    eid_keypair *pair;
    eid_pubkey pubkey;

    EID_TRY(check_display_name(display_name));
    EID_TRY(eid_keypair_generate(&pair));
    eid_keypair_public(pair, &pubkey);
    EID_TRY(add_pair(user, pair, display_name));
    if (out != NULL)
        *out = pubkey;
    return EID_OK;
}

eid_status eid_user_import_private_key(eid_user *user, const eid_keypair *key, const char *display_name)
{
    EID_NEED(user && key);
    eid_keypair *pair;

    EID_TRY(check_display_name(display_name));
    EID_TRY(eid_keypair_copy(key, &pair));
    return add_pair(user, pair, display_name);
}

eid_status eid_user_export_private_key(eid_user *user, const eid_pubkey *key, eid_keypair **out)
{
    EID_NEED(user && key && out);
    const eid_session_key *found = eid_session_find_key(user, key);

    return found != NULL ? eid_keypair_copy(found->pair, out) : eid_session_no_key(key);
}

/* ---- Changing ---- */

/* A session's key, which may be changed under the session's mutex. */
static eid_session_key *own_key(eid_user *user, const eid_pubkey *pubkey)
{
    for (size_t i = 0; i < user->key_count; i++) {
        if (eid_pubkey_equal(&user->keys[i]->pubkey, pubkey))
            return user->keys[i];
    }
    return NULL;
}

static eid_status stage_name(eid_user *user, eid_txn *txn, const eid_session_key *key, const char *name)
{
    eid_key_row row;

    EID_TRY(eid_key_row_get(user, txn, key, &row));
    eid_free(row.record.display_name);
    row.record.display_name = name == NULL ? NULL : eid_strdup(name);
    eid_status status = name != NULL && row.record.display_name == NULL ? eid_fail_memory() : EID_OK;
    if (status == EID_OK)
        status = eid_key_row_stage(txn, &row);
    eid_key_row_free(&row);
    return status;
}

/* Takes `copy`, the same name, on success. */
static eid_status commit_name(eid_user *user, const eid_pubkey *pubkey, const char *name, char *copy)
{
    const eid_session_key *key = eid_session_find_key(user, pubkey);
    eid_txn *txn;

    if (key == NULL)
        return eid_session_no_key(pubkey);
    EID_TRY(eid_database_new_transaction(user->private_database, &txn));
    eid_status status = stage_name(user, txn, key, name);
    if (status == EID_OK)
        status = eid_txn_commit(txn, NULL);
    eid_txn_free(txn);
    EID_TRY(status);
    pthread_mutex_lock(&user->mutex);
    eid_session_key *own = own_key(user, pubkey);
    eid_free(own->display_name);
    own->display_name = copy;
    pthread_mutex_unlock(&user->mutex);
    return EID_OK;
}

eid_status eid_user_set_key_name(eid_user *user, const eid_pubkey *key, const char *display_name)
{
    EID_NEED(user && key);
    char *copy = NULL;

    EID_TRY(check_display_name(display_name));
    if (display_name != NULL && (copy = eid_strdup(display_name)) == NULL)
        return eid_fail_memory();
    pthread_mutex_lock(&user->instance->change_mutex);
    eid_status status = commit_name(user, key, display_name, copy);
    pthread_mutex_unlock(&user->instance->change_mutex);
    if (status != EID_OK)
        eid_free(copy);
    return status;
}

typedef struct choosing {
    eid_txn *txn;
    const eid_pubkey *chosen;
    eid_status status;
} choosing;

/* Of all rows, those too that other sessions have added. */
static bool choose_row(const char *row_key, const char *text, size_t len, void *ctx)
{
    choosing *c = ctx;
    eid_key_row row;

    c->status = read_key_row(row_key, eid_slice_of(text, len), &row);
    if (c->status != EID_OK)
        return false;
    bool is_chosen = eid_pubkey_equal(&row.record.key_id, c->chosen);
    if (row.record.is_default != is_chosen) {
        row.record.is_default = is_chosen;
        c->status = eid_key_row_stage(c->txn, &row);
    }
    eid_key_row_free(&row);
    return c->status == EID_OK;
}

/* The row of the chosen key may be missing, when the first login could not write it. */
static eid_status stage_default(eid_user *user, eid_txn *txn, const eid_session_key *chosen)
{
    choosing c = {txn, &chosen->pubkey, EID_OK};
    eid_key_row row;

    EID_TRY(eid_database_table_scan(user->private_database, EID_STORE_KEYS, NULL, choose_row, &c));
    EID_TRY(c.status);
    EID_TRY(eid_key_row_get(user, txn, chosen, &row));
    eid_status status = EID_OK;
    if (row.row_key[0] == '\0') {
        row.record.is_default = true;
        status = eid_key_row_stage(txn, &row);
    }
    eid_key_row_free(&row);
    return status;
}

static eid_status commit_default(eid_user *user, const eid_pubkey *pubkey)
{
    const eid_session_key *key = eid_session_find_key(user, pubkey);
    eid_txn *txn;

    if (key == NULL)
        return eid_session_no_key(pubkey);
    EID_TRY(eid_database_new_transaction(user->private_database, &txn));
    eid_status status = stage_default(user, txn, key);
    if (status == EID_OK)
        status = eid_txn_commit(txn, NULL);
    eid_txn_free(txn);
    EID_TRY(status);
    pthread_mutex_lock(&user->mutex);
    user->default_key = key;
    pthread_mutex_unlock(&user->mutex);
    return EID_OK;
}

eid_status eid_user_set_default_key(eid_user *user, const eid_pubkey *key)
{
    EID_NEED(user && key);
    pthread_mutex_lock(&user->instance->change_mutex);
    eid_status status = commit_default(user, key);
    pthread_mutex_unlock(&user->instance->change_mutex);
    return status;
}

/* ---- Listing ---- */

static size_t name_size(const eid_session_key *key)
{
    return key->display_name == NULL ? 0 : strlen(key->display_name) + 1;
}

/* One block: the list, then the names it points to. */
static eid_status list_keys(const eid_user *user, eid_user_key_info **out, size_t *count)
{
    size_t names = 0;

    for (size_t i = 0; i < user->key_count; i++)
        names += name_size(user->keys[i]);
    eid_user_key_info *list = eid_alloc_zero(1, user->key_count * sizeof *list + names);
    if (list == NULL)
        return eid_fail_memory();
    char *name = (char *)(list + user->key_count);
    for (size_t i = 0; i < user->key_count; i++) {
        const eid_session_key *key = user->keys[i];
        list[i] = (eid_user_key_info){key->pubkey, NULL, key->created_at, key == user->default_key};
        if (key->display_name != NULL)
            list[i].display_name = memcpy(name, key->display_name, name_size(key));
        name += name_size(key);
    }
    *out = list;
    *count = user->key_count;
    return EID_OK;
}

eid_status eid_user_list_keys(eid_user *user, eid_user_key_info **out, size_t *count)
{
    EID_NEED(user && out && count);
    pthread_mutex_lock(&user->mutex);
    eid_status status = list_keys(user, out, count);
    pthread_mutex_unlock(&user->mutex);
    return status;
}
