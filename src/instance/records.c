/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing the records of instances and users. */
#include "instance/records.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "base/random.h"
#include "codec/fields.h"
#include "crypto/key.h"

#define CIPHER "aes-256-gcm"

static void wipe_text(char *text)
{
    if (text != NULL)
        eid_wipe(text, strlen(text));
    eid_free(text);
}

/* ---- Instance ---- */

static eid_status read_metadata(eid_json *reader, eid_instance_metadata *out)
{
    static const char *const names[] = {"id", "users_db", "databases_db", "sync_db"};
    EID_OBJECT(object, names, EID_FIELDS(3));
    bool more, was_null;
    size_t field;

    EID_TRY(eid_json_begin_object(reader, "instance metadata"));
    for (;;) {
        EID_TRY(eid_object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        if (field == 0) {
            EID_TRY(eid_field_key(reader, names[field], &out->device));
        } else if (field == 1) {
            EID_TRY(eid_field_id(reader, names[field], &out->users_db));
        } else if (field == 2) {
            EID_TRY(eid_field_id(reader, names[field], &out->databases_db));
        } else {
            EID_TRY(eid_json_read_null(reader, &was_null));
            if (!was_null)
                EID_TRY(eid_field_id(reader, names[field], &out->sync_db));
        }
    }
}

eid_status eid_instance_metadata_read(eid_slice text, eid_instance_metadata *out)
{
    eid_instance_metadata metadata;
    eid_status status;
    eid_json reader;

    memset(&metadata, 0, sizeof metadata);
    eid_json_init(&reader, text);
    status = read_metadata(&reader, &metadata);
    if (status == EID_OK)
        status = eid_json_end(&reader);
    eid_json_free(&reader);
    if (status == EID_OK)
        *out = metadata;
    return status;
}

void eid_instance_metadata_write(eid_buf *buf, const eid_instance_metadata *metadata)
{
    eid_buf_append_text(buf, "{\"id\":");
    eid_write_key_text(buf, &metadata->device);
    eid_buf_append_text(buf, ",\"users_db\":");
    eid_write_id_text(buf, &metadata->users_db);
    eid_buf_append_text(buf, ",\"databases_db\":");
    eid_write_id_text(buf, &metadata->databases_db);
    eid_buf_append_text(buf, ",\"sync_db\":");
    if (eid_id_is_empty(&metadata->sync_db))
        eid_buf_append_text(buf, "null");
    else
        eid_write_id_text(buf, &metadata->sync_db);
    eid_buf_append_byte(buf, '}');
}

/* ---- Keys at rest ---- */

void eid_key_storage_free(eid_key_storage *storage)
{
    wipe_text(storage->key);
    eid_free(storage->algorithm);
    eid_free(storage->ciphertext);
    eid_free(storage->nonce);
    memset(storage, 0, sizeof *storage);
}

static eid_status read_byte_array(eid_json *reader, const char *what, uint8_t **out, size_t *len)
{
    eid_status status;
    eid_buf bytes;

    eid_buf_init(&bytes, EID_LIMIT_KEY_BYTES);
    status = eid_json_read_bytes(reader, what, &bytes);
    if (status == EID_OK)
        return eid_buf_take(&bytes, out, len);
    eid_buf_free(&bytes);
    return status;
}

static eid_status read_storage_fields(eid_json *reader, char **type, eid_key_storage *storage)
{
    static const char *const names[] = {"type", "key", "algorithm", "ciphertext", "nonce"};
    EID_OBJECT(object, names, EID_FIELD(0));
    size_t field;
    bool more;

    EID_TRY(eid_json_begin_object(reader, "stored key"));
    for (;;) {
        EID_TRY(eid_object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        switch (field) {
        case 0:
            EID_TRY(eid_field_text(reader, "type", type));
            break;
        case 1:
            EID_TRY(eid_field_text(reader, "key", &storage->key));
            break;
        case 2:
            EID_TRY(eid_field_text(reader, "algorithm", &storage->algorithm));
            break;
        case 3:
            EID_TRY(read_byte_array(reader, "ciphertext", &storage->ciphertext,
                                    &storage->ciphertext_len));
            break;
        default:
            EID_TRY(read_byte_array(reader, "nonce", &storage->nonce, &storage->nonce_len));
            break;
        }
    }
}

eid_status eid_key_storage_read(eid_json *reader, eid_key_storage *out)
{
    eid_key_storage storage;
    char *type = NULL;

    memset(&storage, 0, sizeof storage);
    eid_status status = read_storage_fields(reader, &type, &storage);
    if (status == EID_OK) {
        if (strcmp(type, "encrypted") != 0 && strcmp(type, "unencrypted") != 0)
            status =
                eid_fail(EID_ERR_WRONG_TYPE, "the stored key is neither \"encrypted\" nor \"unencrypted\"");
        else
            storage.encrypted = strcmp(type, "encrypted") == 0;
    }
    if (status == EID_OK &&
        (storage.encrypted ? storage.algorithm == NULL || storage.ciphertext == NULL || storage.nonce == NULL
                           : storage.key == NULL))
        status = eid_fail(EID_ERR_MISSING_FIELD, "the stored key lacks a part");
    eid_free(type);
    if (status == EID_OK)
        *out = storage;
    else
        eid_key_storage_free(&storage);
    return status;
}

void eid_key_storage_write(eid_buf *buf, const eid_key_storage *storage)
{
    if (storage->encrypted) {
        eid_buf_append_text(buf, "{\"type\":\"encrypted\",\"algorithm\":");
        eid_json_write_cstr(buf, storage->algorithm);
        eid_buf_append_text(buf, ",\"ciphertext\":");
        eid_json_write_bytes(buf, eid_slice_of(storage->ciphertext, storage->ciphertext_len));
        eid_buf_append_text(buf, ",\"nonce\":");
        eid_json_write_bytes(buf, eid_slice_of(storage->nonce, storage->nonce_len));
    } else {
        eid_buf_append_text(buf, "{\"type\":\"unencrypted\",\"key\":");
        eid_json_write_cstr(buf, storage->key);
    }
    eid_buf_append_byte(buf, '}');
}

/* Both take the text form of the key. */
static eid_status store_clear(const char *text, eid_key_storage *out)
{
    out->key = eid_strdup(text);
    return out->key == NULL ? eid_fail_memory() : EID_OK;
}

static eid_status store_encrypted(const char *text, const eid_aead_key *encryption, eid_key_storage *out)
{
    size_t len = strlen(text);

    out->encrypted = true;
    out->algorithm = eid_strdup(CIPHER);
    out->nonce_len = EID_AEAD_NONCE;
    out->nonce = eid_alloc(out->nonce_len);
    out->ciphertext_len = len + EID_AEAD_TAG;
    out->ciphertext = eid_alloc(out->ciphertext_len);
    if (out->algorithm == NULL || out->nonce == NULL || out->ciphertext == NULL)
        return eid_fail_memory();
    eid_random_bytes(out->nonce, out->nonce_len);
    eid_aead_encrypt(encryption, out->nonce, eid_slice_of(text, len), out->ciphertext);
    return EID_OK;
}

eid_status eid_key_storage_make(const eid_keypair *key, const eid_aead_key *encryption, eid_key_storage *out)
{
    char text[EID_PUBKEY_TEXT_SIZE];
    eid_key_storage made;

    memset(&made, 0, sizeof made);
    eid_keypair_format(key, text);
    eid_status status = encryption == NULL ? store_clear(text, &made) : store_encrypted(text, encryption, &made);
    eid_wipe(text, sizeof text);
    if (status == EID_OK)
        *out = made;
    else
        eid_key_storage_free(&made);
    return status;
}

static eid_status decrypt_key(const eid_key_storage *storage, const eid_aead_key *encryption, eid_keypair **out)
{
    uint8_t text[EID_LIMIT_KEY_BYTES];

    if (encryption == NULL)
        return eid_fail(EID_ERR_PASSWORD_REQUIRED, "the key is encrypted under a password");
    if (strcmp(storage->algorithm, CIPHER) != 0)
        return eid_fail(EID_ERR_UNSUPPORTED, "the key is encrypted with \"%.100s\"; this version knows only \"" CIPHER "\"",
                        storage->algorithm);
    if (storage->nonce_len != EID_AEAD_NONCE || storage->ciphertext_len > sizeof text)
        return eid_fail(EID_ERR_CORRUPT, "the encrypted key has a nonce of %zu bytes and %zu bytes: one of them is wrong",
                        storage->nonce_len, storage->ciphertext_len);
    EID_TRY(eid_aead_decrypt(encryption, storage->nonce, eid_slice_of(storage->ciphertext, storage->ciphertext_len), text));
    eid_status status = eid_keypair_parse_slice(eid_slice_of(text, storage->ciphertext_len - EID_AEAD_TAG), out);
    eid_wipe(text, sizeof text);
    return status == EID_OK || status == EID_ERR_NO_MEMORY
               ? status
               : eid_fail(EID_ERR_CORRUPT, "what is encrypted as a private key is none");
}

eid_status eid_key_storage_open(const eid_key_storage *storage, const eid_aead_key *encryption,
                                const eid_pubkey *expected, eid_keypair **out)
{
    eid_keypair *key;
    eid_pubkey found;

    if (storage->encrypted)
        EID_TRY(decrypt_key(storage, encryption, &key));
    else
        EID_TRY(eid_keypair_parse(storage->key, &key));
    eid_keypair_public(key, &found);
    if (!eid_pubkey_equal(&found, expected)) {
        eid_keypair_free(key);
        return eid_fail(EID_ERR_CORRUPT, "a stored private key does not belong to the public key beside it");
    }
    *out = key;
    return EID_OK;
}

/* ---- Secrets of the instance ---- */

void eid_instance_secrets_free(eid_instance_secrets *secrets)
{
    eid_key_storage_free(&secrets->device);
    eid_wipe(secrets, sizeof *secrets);
}

static eid_status read_device_key(eid_json *reader, eid_key_storage *out)
{
    eid_json_token token;

    EID_TRY(eid_json_peek(reader, &token));
    if (token == EID_JSON_BEGIN_OBJECT)
        return eid_key_storage_read(reader, out);
    return eid_field_text(reader, "signing_key", &out->key);
}

static eid_status read_master_bytes(eid_json *reader, eid_instance_secrets *out, size_t *len)
{
    eid_buf bytes;

    eid_buf_init(&bytes, sizeof out->master);
    eid_buf_reserve(&bytes, sizeof out->master);
    eid_status status = eid_json_read_bytes(reader, "bytes", &bytes);
    if (status == EID_OK) {
        memcpy(out->master, bytes.data, bytes.len);
        *len = bytes.len;
    }
    eid_buf_free_secret(&bytes);
    return status;
}

static eid_status read_salt(eid_json *reader, eid_instance_secrets *out)
{
    eid_slice text;
    bool was_null;

    EID_TRY(eid_json_read_null(reader, &was_null));
    if (was_null)
        return EID_OK;
    EID_TRY(eid_json_read_text(reader, "salt", &text));
    if (text.len != EID_KDF_SALT_LEN)
        return eid_fail(EID_ERR_RANGE, "a salt has %d characters, this one has %zu", EID_KDF_SALT_LEN, text.len);
    memcpy(out->salt, text.data, text.len);
    out->sealed = true;
    return EID_OK;
}

static eid_status read_master(eid_json *reader, eid_instance_secrets *out)
{
    static const char *const names[] = {"salt", "bytes"};
    EID_OBJECT(object, names, EID_FIELDS(2));
    size_t field, len = 0;
    bool more;

    EID_TRY(eid_json_begin_object(reader, "instance_key"));
    for (;;) {
        EID_TRY(eid_object_next(reader, &object, &field, &more));
        if (!more)
            break;
        EID_TRY(field == 0 ? read_salt(reader, out) : read_master_bytes(reader, out, &len));
    }
    if (len != (out->sealed ? EID_MASTER_PIECE : EID_AEAD_KEY))
        return eid_fail(EID_ERR_RANGE, "an instance_key of %zu bytes can not be one", len);
    out->has_master = true;
    return EID_OK;
}

static eid_status read_secrets(eid_json *reader, eid_instance_secrets *out)
{
    static const char *const names[] = {"signing_key", "instance_key"};
    EID_OBJECT(object, names, EID_FIELDS(1));
    size_t field;
    bool more;

    EID_TRY(eid_json_begin_object(reader, "instance secrets"));
    for (;;) {
        EID_TRY(eid_object_next(reader, &object, &field, &more));
        if (!more)
            return eid_json_end(reader);
        EID_TRY(field == 0 ? read_device_key(reader, &out->device) : read_master(reader, out));
    }
}

eid_status eid_instance_secrets_read(eid_slice text, eid_instance_secrets *out)
{
    eid_instance_secrets secrets;
    eid_json reader;

    memset(&secrets, 0, sizeof secrets);
    eid_json_init(&reader, text);
    eid_status status = read_secrets(&reader, &secrets);
    eid_json_free(&reader);
    if (status == EID_OK)
        *out = secrets;
    else
        eid_instance_secrets_free(&secrets);
    eid_wipe(&secrets, sizeof secrets);
    return status;
}

void eid_instance_secrets_write(eid_buf *buf, const eid_instance_secrets *secrets)
{
    eid_buf_append_text(buf, "{\"signing_key\":");
    if (secrets->device.encrypted)
        eid_key_storage_write(buf, &secrets->device);
    else
        eid_json_write_cstr(buf, secrets->device.key);
    if (secrets->has_master) {
        eid_buf_append_text(buf, ",\"instance_key\":{\"salt\":");
        eid_write_text_or_null(buf, secrets->sealed ? secrets->salt : NULL);
        eid_buf_append_text(buf, ",\"bytes\":");
        eid_json_write_bytes(buf, eid_slice_of(secrets->master, secrets->sealed ? EID_MASTER_PIECE : EID_AEAD_KEY));
        eid_buf_append_byte(buf, '}');
    }
    eid_buf_append_byte(buf, '}');
}

/* ---- Users ---- */

void eid_user_record_free(eid_user_record *record)
{
    eid_free(record->username);
    eid_key_storage_free(&record->root_key);
    eid_free(record->password_salt);
    memset(record, 0, sizeof *record);
}

static eid_status read_credentials(eid_json *reader, eid_user_record *record)
{
    static const char *const names[] = {"root_key_id", "root_key", "password_salt"};
    EID_OBJECT(object, names, EID_FIELDS(2));
    size_t field;
    bool more;

    EID_TRY(eid_json_begin_object(reader, "credentials"));
    for (;;) {
        EID_TRY(eid_object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        switch (field) {
        case 0:
            EID_TRY(eid_field_key(reader, names[field], &record->root_key_id));
            break;
        case 1:
            EID_TRY(eid_key_storage_read(reader, &record->root_key));
            break;
        default:
            EID_TRY(eid_field_text_or_null(reader, names[field], &record->password_salt));
            break;
        }
    }
}

static const char *const user_statuses[] = {"Active", "Disabled", "Locked"};

static eid_status read_user_status(eid_json *reader, eid_user_status *out)
{
    eid_slice text;

    EID_TRY(eid_json_read_text(reader, "status", &text));
    for (int i = 0; i < 3; i++) {
        if (eid_slice_is(text, user_statuses[i])) {
            *out = (eid_user_status)i;
            return EID_OK;
        }
    }
    return eid_fail(EID_ERR_WRONG_TYPE, "the status of the user is none of Active, Disabled and Locked");
}

static eid_status read_user(eid_json *reader, eid_user_record *record)
{
    static const char *const names[] = {"username",   "user_database_id", "credentials",
                                        "created_at", "status"};
    EID_OBJECT(object, names, EID_FIELDS(5));
    size_t field;
    bool more;

    EID_TRY(eid_json_begin_object(reader, "user record"));
    for (;;) {
        EID_TRY(eid_object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        switch (field) {
        case 0:
            EID_TRY(eid_field_text(reader, names[field], &record->username));
            break;
        case 1:
            EID_TRY(eid_field_id(reader, names[field], &record->private_database));
            break;
        case 2:
            EID_TRY(read_credentials(reader, record));
            break;
        case 3:
            EID_TRY(eid_json_read_i64(reader, names[field], &record->created_at));
            break;
        default:
            EID_TRY(read_user_status(reader, &record->status));
            break;
        }
    }
}

eid_status eid_user_record_read(eid_slice text, eid_user_record *out)
{
    eid_user_record record;
    eid_status status;
    eid_json reader;

    memset(&record, 0, sizeof record);
    eid_json_init(&reader, text);
    status = read_user(&reader, &record);
    if (status == EID_OK)
        status = eid_json_end(&reader);
    eid_json_free(&reader);
    if (status == EID_OK)
        *out = record;
    else
        eid_user_record_free(&record);
    return status;
}

void eid_user_record_write(eid_buf *buf, const eid_user_record *record)
{
    eid_buf_append_text(buf, "{\"username\":");
    eid_json_write_cstr(buf, record->username);
    eid_buf_append_text(buf, ",\"user_database_id\":");
    eid_write_id_text(buf, &record->private_database);
    eid_buf_append_text(buf, ",\"credentials\":{\"root_key_id\":");
    eid_write_key_text(buf, &record->root_key_id);
    eid_buf_append_text(buf, ",\"root_key\":");
    eid_key_storage_write(buf, &record->root_key);
    eid_buf_append_text(buf, ",\"password_salt\":");
    eid_write_text_or_null(buf, record->password_salt);
    eid_buf_append_text(buf, "},\"created_at\":");
    eid_json_write_i64(buf, record->created_at);
    eid_buf_append_text(buf, ",\"status\":");
    eid_json_write_cstr(buf, user_statuses[record->status]);
    eid_buf_append_byte(buf, '}');
}
