/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials: what a password opens, the delay after a wrong one, and changing it (spec users.md sections 5 and 7).
 *
 * There is no hash of a password anywhere: it is right when it decrypts the root key. Everything about an attempt is
 * arranged so that a wrong password, an unknown user and a user without password can not be told apart: all pay for
 * Argon2id, and the answer comes when the delay is over that the next wrong password is due anyway. */
#include <errno.h>
#include <time.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "database/txn.h"
#include "instance/instance_int.h"

#define FIRST_DELAY_MS (EID_LIMIT_LOGIN_DELAY_MS / 32)
/* Far above what looking up a record takes, and no burden: programs try without a password before they ask for one. */
#define NO_PASSWORD_DELAY_MS 5
#define NS_PER_MS      1000000u
#define NS_PER_S       1000000000u

/* ---- Keys from passwords ---- */

static eid_status stretch(const char *password, const char *salt, eid_aead_key **out)
{
    static const eid_kdf_costs costs = EID_KDF_COSTS_DEFAULT;

    return eid_kdf_derive_key(eid_slice_text(password), eid_slice_text(salt), &costs, out);
}

eid_status eid_credentials_new(const char *password, eid_credentials *out)
{
    memset(out, 0, sizeof *out);
    if (password == NULL)
        return EID_OK;
    eid_kdf_new_salt(out->salt);
    return stretch(password, out->salt, &out->encryption);
}

/* ---- Records ---- */

eid_status eid_user_record_load(eid_instance *instance, const char *uuid, eid_user_record *out)
{
    eid_value *value;
    const char *text;
    size_t len;

    eid_status status = eid_database_get(instance->users, EID_STORE_USERS, uuid, &value);
    if (status == EID_ERR_KEY_NOT_FOUND) /* just being created */
        return eid_fail(EID_ERR_USER_NOT_FOUND, "there is no user %.40s", uuid);
    EID_TRY(status);
    status = eid_value_as_text(value, &text, &len);
    if (status == EID_OK)
        status = eid_user_record_read(eid_slice_of(text, len), out);
    eid_value_free(value);
    return status;
}

eid_status eid_user_record_stage(eid_txn *txn, const char *uuid, const eid_user_record *record)
{
    eid_buf text;

    eid_buf_init(&text, EID_LIMIT_ENTRY_BYTES);
    eid_buf_reserve(&text, EID_SECRET_ROOM);
    eid_user_record_write(&text, record);
    eid_status status = eid_buf_status(&text);
    if (status == EID_OK)
        status = eid_table_set(txn, EID_STORE_USERS, uuid, (const char *)text.data);
    eid_buf_free_secret(&text);
    return status;
}

eid_status eid_user_find(eid_instance *instance, const char *name, char uuid[EID_UUID_TEXT_SIZE])
{
    eid_directory_entry entry;

    if (!eid_directory_find(instance, name, &entry))
        return eid_fail(EID_ERR_USER_NOT_FOUND, "there is no user named \"%.256s\"", name);
    if (entry.count > 1)
        return eid_fail(EID_ERR_CONFLICT, "%zu users are named \"%.256s\": which one is meant can not be told", entry.count,
                        name);
    memcpy(uuid, entry.uuid, sizeof entry.uuid);
    return EID_OK;
}

static eid_status load_by_name(eid_instance *instance, const char *name, eid_opened *out)
{
    EID_TRY(eid_user_find(instance, name, out->uuid));
    return eid_user_record_load(instance, out->uuid, &out->record);
}

void eid_opened_free(eid_opened *opened)
{
    eid_user_record_free(&opened->record);
    eid_aead_key_free(opened->encryption);
    eid_keypair_free(opened->root);
    memset(opened, 0, sizeof *opened);
}

/* ---- The delay ---- */

uint64_t eid_login_delay_ms(unsigned wrong_before)
{
    uint64_t delay = FIRST_DELAY_MS;

    while (wrong_before-- > 0 && delay < EID_LIMIT_LOGIN_DELAY_MS)
        delay *= 2;
    return delay < EID_LIMIT_LOGIN_DELAY_MS ? delay : EID_LIMIT_LOGIN_DELAY_MS;
}

static void wait_until(uint64_t due_ns)
{
    for (uint64_t now = eid_monotonic_ns(); now < due_ns; now = eid_monotonic_ns()) {
        uint64_t left = due_ns - now;
        struct timespec pause = {(time_t)(left / NS_PER_S), (long)(left % NS_PER_S)};
        if (nanosleep(&pause, NULL) != 0 && errno != EINTR)
            return;
    }
}

/* login_mutex held. A right password does not clear the count: whoever has one account could else try the passwords of
 * others at full speed. */
static void delay_wrong(eid_instance *instance, uint64_t began_ns)
{
    if (began_ns - instance->last_wrong_ns > (uint64_t)EID_LIMIT_LOGIN_MEMORY_S * NS_PER_S)
        instance->wrong_passwords = 0;
    wait_until(began_ns + eid_login_delay_ms(instance->wrong_passwords) * NS_PER_MS);
    if (instance->wrong_passwords < UINT16_MAX)
        instance->wrong_passwords++;
    instance->last_wrong_ns = eid_monotonic_ns();
}

/* ---- Trying ---- */

static bool has_password(const eid_user_record *record)
{
    return record->password_salt != NULL;
}

static eid_status check_active(const eid_user_record *record)
{
    if (record->status != EID_USER_ACTIVE)
        return eid_fail(EID_ERR_USER_DISABLED, "the user \"%.256s\" is disabled", record->username);
    return EID_OK;
}

static eid_status check_whole(const eid_user_record *record)
{
    if (strlen(record->password_salt) != EID_KDF_SALT_LEN || !record->root_key.encrypted)
        return eid_fail(EID_ERR_CORRUPT, "the record of the user \"%.256s\" contradicts itself about its password",
                        record->username);
    return EID_OK;
}

static eid_status wrong_password(void)
{
    return eid_fail(EID_ERR_INVALID_PASSWORD, "the user name or the password is wrong");
}

/* `found` false: a name that nobody has, for which the same work is done. */
static eid_status try_password(bool found, const char *password, eid_opened *out)
{
    /* A salt like any other, for those who have none. */
    const char *salt = "AAAAAAAAAAAAAAAAAAAAAA";
    const eid_user_record *record = &out->record;
    bool open_to_it = found && has_password(record);

    if (open_to_it) {
        EID_TRY(check_whole(record));
        salt = record->password_salt;
    }
    EID_TRY(stretch(password, salt, &out->encryption));
    if (!open_to_it)
        return wrong_password();
    eid_status status = eid_key_storage_open(&record->root_key, out->encryption, &record->root_key_id, &out->root);
    return status == EID_ERR_DECRYPTION ? wrong_password() : status;
}

static eid_status open_without(eid_instance *instance, eid_opened *out)
{
    const eid_aead_key *key = eid_secrets_unwrapping(instance);

    if (out->record.root_key.encrypted && key == NULL)
        return eid_fail(EID_ERR_CORRUPT, "the record of the user \"%.256s\" contradicts itself about its password",
                        out->record.username);
    return eid_key_storage_open(&out->record.root_key, key, &out->record.root_key_id, &out->root);
}

/* Says the same about whichever user it is. `loaded` is what came of looking for the record. */
static eid_status try_slowly(eid_instance *instance, eid_status loaded, const char *password, eid_opened *out, uint64_t began_ns)
{
    if (loaded != EID_OK && loaded != EID_ERR_USER_NOT_FOUND)
        return loaded;
    eid_status status = try_password(loaded == EID_OK, password, out);
    if (status == EID_ERR_INVALID_PASSWORD)
        delay_wrong(instance, began_ns);
    return status;
}

/* Unknown names and users with a password get one answer, when one time is over. */
static eid_status open_by_name(eid_instance *instance, const char *name, eid_opened *out)
{
    uint64_t began_ns = eid_monotonic_ns();
    eid_status status = load_by_name(instance, name, out);

    if (status == EID_ERR_USER_NOT_FOUND || (status == EID_OK && has_password(&out->record))) {
        wait_until(began_ns + NO_PASSWORD_DELAY_MS * NS_PER_MS);
        return eid_fail(EID_ERR_PASSWORD_REQUIRED, "no user \"%.256s\" can log in without a password", name);
    }
    EID_TRY(status);
    EID_TRY(check_active(&out->record));
    return open_without(instance, out);
}

static eid_status open_credentials(eid_instance *instance, const char *name, const char *password, eid_opened *out)
{
    if (password == NULL)
        return open_by_name(instance, name, out);
    pthread_mutex_lock(&instance->login_mutex);
    uint64_t began_ns = eid_monotonic_ns();
    eid_status status = try_slowly(instance, load_by_name(instance, name, out), password, out, began_ns);
    pthread_mutex_unlock(&instance->login_mutex);
    EID_TRY(status);
    return check_active(&out->record); /* only to those who know the password */
}

eid_status eid_credentials_open(eid_instance *instance, const char *name, const char *password, eid_opened *out)
{
    eid_opened opened;

    memset(&opened, 0, sizeof opened);
    eid_status status = open_credentials(instance, name, password, &opened);
    if (status == EID_OK)
        *out = opened;
    else
        eid_opened_free(&opened);
    return status;
}

/* ---- The session's keys ---- */

const eid_aead_key *eid_session_wrapping(eid_user *user)
{
    return user->encryption != NULL ? user->encryption : eid_secrets_wrapping(user->instance);
}

const eid_aead_key *eid_session_unwrapping(eid_user *user)
{
    return user->encryption != NULL ? user->encryption : eid_secrets_unwrapping(user->instance);
}

/* Opens the root key with the password's key, or NULL when there is none. EID_ERR_DECRYPTION when the record is about another
 * password, or none. */
static eid_status open_root(eid_instance *instance, const eid_user_record *record, const eid_aead_key *password_key,
                            eid_keypair **out)
{
    if (has_password(record) != (password_key != NULL))
        return EID_ERR_DECRYPTION;
    const eid_aead_key *key = password_key != NULL ? password_key : eid_secrets_unwrapping(instance);
    return eid_key_storage_open(&record->root_key, key, &record->root_key_id, out);
}

eid_status eid_session_check_encryption(eid_user *user)
{
    eid_keypair *root = NULL;
    eid_user_record record;

    EID_TRY(eid_user_record_load(user->instance, user->uuid, &record));
    eid_status status = open_root(user->instance, &record, user->encryption, &root);
    eid_keypair_free(root);
    eid_user_record_free(&record);
    if (status == EID_ERR_DECRYPTION)
        return eid_fail(EID_ERR_CONFLICT, "the password was changed in another session: log in again");
    return status;
}

/* ---- Changing ---- */

/* The user's record, opened with the old password; without one when there is none. */
static eid_status open_old(eid_user *user, const char *password, eid_opened *out)
{
    eid_instance *instance = user->instance;

    if (password == NULL) {
        EID_TRY(eid_user_record_load(instance, user->uuid, &out->record));
        if (has_password(&out->record))
            return eid_fail(EID_ERR_PASSWORD_REQUIRED, "the user \"%.256s\" has a password, which was not given",
                            out->record.username);
        return open_without(instance, out);
    }
    pthread_mutex_lock(&instance->login_mutex);
    uint64_t began_ns = eid_monotonic_ns();
    eid_status status =
        try_slowly(instance, eid_user_record_load(instance, user->uuid, &out->record), password, out, began_ns);
    pthread_mutex_unlock(&instance->login_mutex);
    return status;
}

/* The record as it is now, with the root key encrypted anew. */
static eid_status stage_credentials(eid_user *user, eid_txn *txn, const eid_opened *old, const eid_credentials *fresh)
{
    const eid_aead_key *wrapping = fresh->encryption != NULL ? fresh->encryption : eid_secrets_wrapping(user->instance);
    eid_key_storage storage;
    eid_keypair *root = NULL;
    eid_user_record record;

    EID_TRY(eid_user_record_load(user->instance, user->uuid, &record));
    eid_status status = open_root(user->instance, &record, old->encryption, &root);
    if (status == EID_ERR_DECRYPTION)
        status = eid_fail(EID_ERR_CONFLICT, "the password was changed by another session just now");
    if (status == EID_OK)
        status = eid_key_storage_make(root, wrapping, &storage);
    if (status == EID_OK) {
        eid_key_storage_free(&record.root_key);
        record.root_key = storage;
        eid_free(record.password_salt);
        record.password_salt = fresh->encryption == NULL ? NULL : eid_strdup(fresh->salt);
        if (fresh->encryption != NULL && record.password_salt == NULL)
            status = eid_fail_memory();
    }
    if (status == EID_OK)
        status = eid_user_record_stage(txn, user->uuid, &record);
    eid_keypair_free(root);
    eid_user_record_free(&record);
    return status;
}

/* The rows of the private database and the record in `_users` in one step. */
static eid_status replace_credentials(eid_user *user, const eid_opened *old, const eid_credentials *fresh)
{
    eid_txn *txns[2] = {NULL, NULL};

    eid_status status = eid_database_new_transaction(user->private_database, &txns[0]);
    if (status == EID_OK)
        status = eid_database_new_transaction(user->instance->users, &txns[1]);
    if (status == EID_OK)
        status = stage_credentials(user, txns[1], old, fresh);
    if (status == EID_OK)
        status = eid_session_stage_encryption(
            user, txns[0], old->encryption != NULL ? old->encryption : eid_secrets_unwrapping(user->instance),
            fresh->encryption != NULL ? fresh->encryption : eid_secrets_wrapping(user->instance));
    if (status == EID_OK)
        status = eid_txn_commit_all(txns, 2, NULL);
    eid_txn_free(txns[0]);
    eid_txn_free(txns[1]);
    return status;
}

eid_status eid_user_change_password(eid_user *user, const char *old_password, const char *new_password)
{
    EID_NEED(user);
    eid_credentials fresh;
    eid_opened old;

    memset(&old, 0, sizeof old);
    eid_status status = open_old(user, old_password, &old);
    if (status == EID_OK)
        status = eid_credentials_new(new_password, &fresh);
    if (status != EID_OK) {
        eid_opened_free(&old);
        return status;
    }
    pthread_mutex_lock(&user->instance->change_mutex);
    status = replace_credentials(user, &old, &fresh);
    if (status == EID_OK) {
        eid_aead_key *before = user->encryption;
        user->encryption = fresh.encryption;
        fresh.encryption = before;
    }
    pthread_mutex_unlock(&user->instance->change_mutex);
    eid_aead_key_free(fresh.encryption);
    eid_opened_free(&old);
    return status;
}
