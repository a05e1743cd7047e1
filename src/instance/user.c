/* SPDX-License-Identifier: Apache-2.0 */
/* Users: creating one, opening and closing a session (spec users.md sections 4, 6 and 7).
 *
 * A user is made in one step: the private database, the record in `_users`, and, for the first one, the rights of an admin
 * there and in `_databases` are stored together or not at all. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/utf8.h"
#include "instance/instance_int.h"

/* A login is written down at most this often: each note is an entry that stays for ever. */
#define LAST_LOGIN_INTERVAL_S 3600

static const eid_permission admin_right = {EID_PERM_ADMIN, 0};
static const eid_permission read_right = {EID_PERM_READ, 0};

static int64_t now_seconds(const eid_instance *instance)
{
    return (int64_t)(eid_clock_now_ms(eid_instance_clock(instance)) / 1000);
}

/* ---- Creating ---- */

static eid_status check_name(const char *name)
{
    eid_slice text = eid_slice_text(name);

    if (text.len == 0)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "a user needs a name that is not empty");
    if (text.len > EID_LIMIT_USERNAME)
        return eid_fail(EID_ERR_LIMIT, "a user name has at most %d bytes, this one has %zu",
                        EID_LIMIT_USERNAME, text.len);
    if (!eid_utf8_valid(text))
        return eid_fail(EID_ERR_UTF8, "a user name must be valid UTF-8");
    return EID_OK;
}

/* The first user becomes admin: nobody but the device may administrate yet. Revoked admins count, so that
 * revoking them all does not make the next user one. */
static eid_status has_admin(eid_instance *instance, bool *out)
{
    eid_auth_settings *auth;
    eid_pubkey device, key;

    EID_TRY(eid_database_auth(instance->users, &auth));
    eid_instance_device_pubkey(instance, &device);
    *out = false;
    for (size_t i = 0; i < eid_auth_settings_key_count(auth); i++) {
        const eid_auth_key *record;
        eid_auth_settings_key_at(auth, i, &key, &record);
        if (!eid_pubkey_equal(&key, &device) && eid_permission_can_admin(record->permission))
            *out = true;
    }
    eid_auth_settings_unref(auth);
    return EID_OK;
}

static eid_status private_settings(const char *name, eid_doc **out)
{
    char full_name[sizeof "_user_" + EID_LIMIT_USERNAME],
        description[sizeof "User database for " + EID_LIMIT_USERNAME];
    eid_doc *settings;

    snprintf(full_name, sizeof full_name, "_user_%s", name);
    snprintf(description, sizeof description, "User database for %s", name);
    EID_TRY(eid_doc_new(&settings));
    eid_status status = eid_doc_set_string(settings, "name", full_name);
    if (status == EID_OK)
        status = eid_doc_set_string(settings, "type", "user");
    if (status == EID_OK)
        status = eid_doc_set_string(settings, "description", description);
    if (status == EID_OK)
        *out = settings;
    else
        eid_doc_free(settings);
    return status;
}

/* A user on its way into the directory and into `_users`. */
typedef struct creation {
    eid_instance *instance;
    char uuid[EID_UUID_TEXT_SIZE];
    eid_user_record record;
    bool as_admin;
    bool listed;       /* the directory knows it: before the commit, after which nothing may fail any more */
    eid_txn *txns[2];  /* of `_users` and, for an admin, of `_databases` */
} creation;

static eid_status stage_user(const eid_id *private_database, void *ctx)
{
    creation *c = ctx;
    const eid_pubkey *root = &c->record.root_key_id;

    c->record.private_database = *private_database;
    EID_TRY(eid_user_record_stage(c->txns[0], c->uuid, &c->record));
    if (c->as_admin) {
        EID_TRY(eid_settings_set_auth_key(c->txns[0], root, "admin", admin_right, EID_KEY_ACTIVE));
        EID_TRY(eid_settings_set_auth_key(c->txns[1], root, "admin", admin_right, EID_KEY_ACTIVE));
    }
    EID_TRY(eid_directory_add(c->instance, c->record.username, c->uuid, private_database));
    c->listed = true;
    return EID_OK;
}

static eid_status commit_user(creation *c, const eid_doc *settings, const eid_keypair *root)
{
    eid_instance *instance = c->instance;
    eid_database *private_database = NULL;

    eid_status status = eid_database_new_transaction(instance->users, &c->txns[0]);
    if (status == EID_OK && c->as_admin)
        status = eid_database_new_transaction(instance->databases, &c->txns[1]);
    if (status == EID_OK)
        status = eid_database_create_with(instance->core, settings, root, c->txns, c->as_admin ? 2 : 1, stage_user, c,
                                          &private_database);
    if (status != EID_OK && c->listed)
        eid_directory_remove(instance, c->record.username, &c->record.private_database);
    eid_txn_free(c->txns[0]);
    eid_txn_free(c->txns[1]);
    eid_database_close(private_database);
    return status;
}

static eid_status fill_record(creation *c, const char *name, const eid_credentials *credentials, const eid_keypair *root)
{
    bool has_password = credentials->encryption != NULL;
    eid_user_record *record = &c->record;
    eid_uuid uuid;

    eid_uuid_new(&uuid);
    eid_uuid_format(&uuid, c->uuid);
    eid_keypair_public(root, &record->root_key_id);
    record->created_at = now_seconds(c->instance);
    record->status = EID_USER_ACTIVE;
    record->username = eid_strdup(name);
    if (has_password)
        record->password_salt = eid_strdup(credentials->salt);
    if (record->username == NULL || (has_password && record->password_salt == NULL))
        return eid_fail_memory();
    return eid_key_storage_make(root, has_password ? credentials->encryption : eid_secrets_wrapping(c->instance),
                                &record->root_key);
}

static eid_status create_with_key(eid_instance *instance, const char *name, const eid_credentials *credentials,
                                  const eid_keypair *root)
{
    creation c = {.instance = instance};
    eid_doc *settings;
    bool admin_there;

    EID_TRY(has_admin(instance, &admin_there));
    c.as_admin = !admin_there;
    EID_TRY(private_settings(name, &settings));
    eid_status status = fill_record(&c, name, credentials, root);
    if (status == EID_OK)
        status = commit_user(&c, settings, root);
    eid_doc_free(settings);
    eid_user_record_free(&c.record);
    return status;
}

static eid_status create_user(eid_instance *instance, const char *name, const eid_credentials *credentials)
{
    eid_directory_entry entry;
    eid_keypair *root;

    if (eid_directory_find(instance, name, &entry))
        return eid_fail(EID_ERR_USER_EXISTS, "the user name \"%s\" is taken", name);
    EID_TRY(eid_keypair_generate(&root));
    eid_status status = create_with_key(instance, name, credentials, root);
    eid_keypair_free(root);
    return status;
}

eid_status eid_instance_create_user(eid_instance *instance, const char *username, const char *password)
{
    EID_NEED(instance && username);
    eid_credentials credentials;

    EID_TRY(check_name(username));
    EID_TRY(eid_credentials_new(password, &credentials));
    pthread_mutex_lock(&instance->change_mutex);
    eid_status status = create_user(instance, username, &credentials);
    pthread_mutex_unlock(&instance->change_mutex);
    eid_aead_key_free(credentials.encryption);
    return status;
}

/* ---- Login ---- */

/* Whether `keys` has a row of the key. */
typedef struct row_question {
    const eid_pubkey *key;
    bool found;
} row_question;

static bool look_at_row(const char *key, const char *row, size_t len, void *ctx)
{
    row_question *question = ctx;
    eid_user_key record;

    (void)key;
    if (eid_user_key_read(eid_slice_of(row, len), &record) == EID_OK) {
        question->found = eid_pubkey_equal(&record.key_id, question->key);
        eid_user_key_free(&record);
    }
    return !question->found;
}

static eid_status stage_root_row(eid_user *user, eid_txn *txn, const eid_session_key *root)
{
    eid_key_row row;

    EID_TRY(eid_key_row_get(user, txn, root, &row));
    eid_status status = eid_key_row_stage(txn, &row);
    eid_key_row_free(&row);
    return status;
}

/* What the first login writes into the private database: the row of the root key, and the device's right to
 * read it. */
static eid_status first_login(eid_user *user, const eid_session_key *root)
{
    row_question question = {&root->pubkey, false};
    eid_auth_settings *auth;
    eid_pubkey device;
    eid_txn *txn;

    EID_TRY(eid_database_table_scan(user->private_database, EID_STORE_KEYS, NULL, look_at_row, &question));
    EID_TRY(eid_database_auth(user->private_database, &auth));
    eid_instance_device_pubkey(user->instance, &device);
    bool device_known = eid_auth_settings_find(auth, &device) != NULL;
    eid_auth_settings_unref(auth);
    if (question.found && device_known)
        return EID_OK;

    EID_TRY(eid_database_new_transaction(user->private_database, &txn));
    eid_status status = EID_OK;
    if (!question.found)
        status = stage_root_row(user, txn, root);
    if (status == EID_OK && !device_known)
        status = eid_settings_set_auth_key(txn, &device, "device", read_right, EID_KEY_ACTIVE);
    if (status == EID_OK)
        status = eid_txn_commit(txn, NULL);
    eid_txn_free(txn);
    return status;
}

static int64_t last_login(eid_instance *instance, const char *uuid)
{
    eid_value *value;
    eid_json reader;
    const char *text;
    size_t len;
    int64_t seconds = 0;

    if (eid_database_get(instance->users, EID_STORE_LAST_LOGIN, uuid, &value) != EID_OK)
        return 0;
    if (eid_value_as_text(value, &text, &len) == EID_OK) {
        eid_json_init(&reader, eid_slice_of(text, len));
        if (eid_json_read_i64(&reader, "last login", &seconds) != EID_OK)
            seconds = 0;
        eid_json_free(&reader);
    }
    eid_value_free(value);
    return seconds;
}

static eid_status note_login(eid_instance *instance, const char *uuid)
{
    int64_t now = now_seconds(instance), last = last_login(instance, uuid);
    char text[32];
    eid_txn *txn;

    if (last <= now && now - last < LAST_LOGIN_INTERVAL_S)
        return EID_OK;
    snprintf(text, sizeof text, "%lld", (long long)now);
    EID_TRY(eid_database_new_transaction(instance->users, &txn));
    eid_status status = eid_table_set(txn, EID_STORE_LAST_LOGIN, uuid, text);
    if (status == EID_OK)
        status = eid_txn_commit(txn, NULL);
    eid_txn_free(txn);
    return status;
}

/* Takes from `opened` what the session keeps. */
static eid_status open_session(eid_user *user, eid_opened *opened)
{
    eid_pubkey root_key = opened->record.root_key_id;

    memcpy(user->uuid, opened->uuid, sizeof user->uuid);
    user->encryption = opened->encryption;
    opened->encryption = NULL;
    EID_TRY(eid_database_open_as(user->instance->core, &opened->record.private_database, opened->root, NULL,
                                 &user->private_database));
    EID_TRY(eid_session_load_keys(user, opened->root, opened->record.created_at));
    opened->root = NULL;

    /* Both notes serve others; the session works without them. */
    pthread_mutex_lock(&user->instance->change_mutex);
    if (first_login(user, eid_session_find_key(user, &root_key)) != EID_OK)
        eid_log(EID_LOG_WARN, "the first login of \"%s\" left no note in the private database: %s",
                user->name, eid_last_error());
    if (note_login(user->instance, user->uuid) != EID_OK)
        eid_log(EID_LOG_WARN, "the time of the login of \"%s\" was not written: %s", user->name,
                eid_last_error());
    pthread_mutex_unlock(&user->instance->change_mutex);
    return EID_OK;
}

/* Who is logged in is found by the engine, which may need a key of theirs. */
static void enlist(eid_user *user)
{
    eid_instance *instance = user->instance;
    pthread_mutex_lock(&instance->sessions_mutex);
    user->next = instance->sessions;
    if (user->next != NULL)
        user->next->previous = user;
    instance->sessions = user;
    pthread_mutex_unlock(&instance->sessions_mutex);
}

/* Nothing when the login failed before. */
static void strike_off(eid_user *user)
{
    eid_instance *instance = user->instance;
    pthread_mutex_lock(&instance->sessions_mutex);
    if (user->next != NULL)
        user->next->previous = user->previous;
    if (user->previous != NULL)
        user->previous->next = user->next;
    else if (instance->sessions == user)
        instance->sessions = user->next;
    pthread_mutex_unlock(&instance->sessions_mutex);
}

eid_status eid_instance_login_user(eid_instance *instance, const char *username, const char *password,
                                   eid_user **out)
{
    EID_NEED(instance && username && out);
    eid_opened opened;

    EID_TRY(eid_credentials_open(instance, username, password, &opened));
    eid_user *user = eid_alloc_zero(1, sizeof *user);
    if (user == NULL) {
        eid_opened_free(&opened);
        return eid_fail_memory();
    }
    pthread_mutex_init(&user->mutex, NULL);
    user->instance = instance;
    user->unwritten = SIZE_MAX;
    user->mappings_mark = -1;
    user->name = eid_strdup(username);
    eid_status status = user->name != NULL ? open_session(user, &opened) : eid_fail_memory();
    eid_opened_free(&opened);
    if (status != EID_OK) {
        eid_user_logout(user);
        return status;
    }
    enlist(user);
    *out = user;
    return EID_OK;
}

static bool is_taken(eid_instance *instance, const char *name)
{
    eid_directory_entry entry;

    /* Whoever is just being created is there when this lock is free. */
    pthread_mutex_lock(&instance->change_mutex);
    bool found = eid_directory_find(instance, name, &entry);
    pthread_mutex_unlock(&instance->change_mutex);
    return found;
}

eid_status eid_instance_login_or_create_user(eid_instance *instance, const char *username,
                                             const char *password, eid_user **out)
{
    EID_NEED(instance && username && out);
    if (!is_taken(instance, username)) {
        eid_status status = eid_instance_create_user(instance, username, password);
        if (status != EID_OK && status != EID_ERR_USER_EXISTS)
            return status;
    }
    return eid_instance_login_user(instance, username, password, out);
}

void eid_user_logout(eid_user *user)
{
    if (user == NULL)
        return;
    strike_off(user);
    eid_database_close(user->private_database);
    eid_mappings_free(user);
    eid_session_free_keys(user);
    eid_aead_key_free(user->encryption);
    pthread_mutex_destroy(&user->mutex);
    eid_free(user->name);
    eid_free(user);
}

/* ---- Asking ---- */

const char *eid_user_name(const eid_user *user)
{
    return user->name;
}

const char *eid_user_id(const eid_user *user)
{
    return user->uuid;
}

eid_instance *eid_user_instance(const eid_user *user)
{
    return user->instance;
}

void eid_user_get_default_key(const eid_user *user, eid_pubkey *out)
{
    *out = eid_session_default_key(user)->pubkey;
}

const eid_keypair *eid_user_default_keypair(const eid_user *user)
{
    return eid_session_default_key(user)->pair;
}

eid_status eid_user_private_database(eid_user *user, eid_database **out)
{
    *out = user->private_database;
    return EID_OK;
}
