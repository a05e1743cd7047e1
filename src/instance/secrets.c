/* SPDX-License-Identifier: Apache-2.0 */
/* The instance's own keys at rest, and the secret that protects them.
 *
 * Keys that no password protects (the device key, named keys, those of users without a password) stand in the data file in
 * clear, until the instance is protected. From then on they are encrypted under a random master key, which is kept encrypted
 * under what Argon2id makes of the secret. So adding, changing and removing the protection is one small record, whatever was
 * stored meanwhile: removing it puts the master key in clear, and what is encrypted under it can still be opened.
 *
 * Both records, this one and that of the named keys, change together; memory follows when they are on the disk. */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "codec/base.h"
#include "instance/instance_int.h"

#define META_SECRETS "instance_secrets"
#define META_KEYS    "instance_keys"

#define KEY_FILE_BYTES 32
#define NAMED_KEY_ROOM 2400 /* of one in its record: the name has 256 bytes, each of them six when it is escaped */

/* ---- The secret ---- */

static eid_status read_whole(int fd, const char *path, uint8_t *bytes, size_t *len)
{
    size_t done = 0;

    for (;;) {
        ssize_t got = read(fd, bytes + done, EID_LIMIT_SECRET + 1 - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return eid_file_failure(errno, path, "Reading the key file");
        if (got == 0)
            break;
        done += (size_t)got;
        if (done > EID_LIMIT_SECRET)
            return eid_fail(EID_ERR_LIMIT, "the key file %s has more than %d bytes", path, EID_LIMIT_SECRET);
    }
    *len = done;
    return EID_OK;
}

static eid_status check_key_file(int fd, const char *path)
{
    struct stat about;

    if (fstat(fd, &about) != 0)
        return eid_file_failure(errno, path, "Looking at the key file");
    if (!S_ISREG(about.st_mode))
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "the key file %s is not a plain file", path);
    if ((about.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "others than its owner may use the key file %s: chmod 600 it", path);
    return EID_OK;
}

/* `bytes` is guarded and has room for one more than the limit. */
static eid_status read_key_file(const char *path, uint8_t *bytes, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        return errno == ENOENT ? eid_fail(EID_ERR_NOT_FOUND, "there is no key file %s", path)
                               : eid_file_failure(errno, path, "Opening the key file");
    eid_status status = check_key_file(fd, path);
    if (status == EID_OK)
        status = read_whole(fd, path, bytes, len);
    close(fd);
    return status;
}

static eid_status stretch_secret(eid_slice secret, const char *salt, eid_aead_key **out)
{
    static const eid_kdf_costs costs = EID_KDF_COSTS_DEFAULT;

    if (secret.len == 0)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "the secret that protects an instance can not be empty");
    if (secret.len > EID_LIMIT_SECRET)
        return eid_fail(EID_ERR_LIMIT, "the secret that protects an instance has at most %d bytes", EID_LIMIT_SECRET);
    return eid_kdf_derive_key(secret, eid_slice_text(salt), &costs, out);
}

/* The key that the given secret and the salt make. *out NULL: no secret was given. */
static eid_status secret_key(const char *key_file, const void *secret, size_t secret_len, const char *salt, eid_aead_key **out)
{
    size_t len = 0;

    *out = NULL;
    if (key_file != NULL && secret != NULL)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "an instance is protected by a key file or by a secret, not by both");
    if (key_file == NULL)
        return secret == NULL ? EID_OK : stretch_secret(eid_slice_of(secret, secret_len), salt, out);
    uint8_t *bytes = sodium_malloc(EID_LIMIT_SECRET + 1);
    if (bytes == NULL)
        return eid_fail_memory();
    eid_status status = read_key_file(key_file, bytes, &len);
    if (status == EID_OK)
        status = stretch_secret(eid_slice_of(bytes, len), salt, out);
    sodium_free(bytes);
    return status;
}

eid_status eid_key_file_create(const char *path)
{
    EID_NEED(path);
    uint8_t bytes[KEY_FILE_BYTES];
    char text[EID_BASE64_SIZE(KEY_FILE_BYTES)];
    int fd;

    EID_TRY(eid_crypto_init());
    EID_TRY(eid_file_create(path, &fd));
    randombytes_buf(bytes, sizeof bytes);
    sodium_bin2base64(text, sizeof text, bytes, sizeof bytes, sodium_base64_VARIANT_ORIGINAL);
    eid_status status = eid_file_write(fd, path, text, strlen(text));
    sodium_memzero(bytes, sizeof bytes);
    sodium_memzero(text, sizeof text);
    if (status == EID_OK)
        return eid_file_finish(fd, path);
    eid_file_discard(fd, path);
    return status;
}

/* ---- The master key ---- */

static eid_status set_master(eid_protection *protection, const uint8_t bytes[EID_AEAD_KEY])
{
    uint8_t *master = sodium_malloc(EID_AEAD_KEY);

    if (master == NULL)
        return eid_fail_memory();
    memcpy(master, bytes, EID_AEAD_KEY);
    eid_status status = eid_aead_key_new(master, &protection->encryption);
    if (status != EID_OK) {
        sodium_free(master);
        return status;
    }
    (void)sodium_mprotect_readonly(master);
    protection->master = master;
    return EID_OK;
}

static void free_protection(eid_protection *protection)
{
    sodium_free(protection->master);
    eid_aead_key_free(protection->encryption);
    memset(protection, 0, sizeof *protection);
}

static eid_status unseal_master(eid_protection *protection, const eid_aead_key *key)
{
    eid_slice sealed = eid_slice_of(protection->piece + EID_AEAD_NONCE, sizeof protection->piece - EID_AEAD_NONCE);
    uint8_t *bytes = sodium_malloc(EID_AEAD_KEY);

    if (bytes == NULL)
        return eid_fail_memory();
    eid_status status = eid_aead_decrypt(key, protection->piece, sealed, bytes);
    if (status == EID_OK)
        status = set_master(protection, bytes);
    else
        status = eid_fail(EID_ERR_WRONG_SECRET, "the instance is protected by another secret than the one given");
    sodium_free(bytes);
    return status;
}

/* Under a fresh salt. Makes the master key when there is none. */
static eid_status seal(eid_protection *protection, const char *key_file, const void *secret, size_t secret_len)
{
    eid_aead_key *key;
    uint8_t fresh[EID_AEAD_KEY];

    eid_kdf_new_salt(protection->salt);
    EID_TRY(secret_key(key_file, secret, secret_len, protection->salt, &key));
    if (key == NULL)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "a key file or a secret is needed to protect an instance");
    eid_status status = EID_OK;
    if (protection->master == NULL) {
        randombytes_buf(fresh, sizeof fresh);
        status = set_master(protection, fresh);
        sodium_memzero(fresh, sizeof fresh);
    }
    if (status == EID_OK) {
        randombytes_buf(protection->piece, EID_AEAD_NONCE);
        eid_aead_encrypt(key, protection->piece, eid_slice_of(protection->master, EID_AEAD_KEY),
                         protection->piece + EID_AEAD_NONCE);
        protection->sealed = true;
    }
    eid_aead_key_free(key);
    return status;
}

/* ---- Storing ---- */

static eid_status write_secrets(const eid_instance *instance, const eid_protection *protection, eid_buf *out)
{
    eid_instance_secrets secrets;

    memset(&secrets, 0, sizeof secrets);
    EID_TRY(eid_key_storage_make(instance->device, protection->sealed ? protection->encryption : NULL, &secrets.device));
    secrets.has_master = protection->master != NULL;
    secrets.sealed = protection->sealed;
    if (secrets.sealed) {
        memcpy(secrets.salt, protection->salt, sizeof secrets.salt);
        memcpy(secrets.master, protection->piece, sizeof secrets.master);
    } else if (secrets.has_master) {
        memcpy(secrets.master, protection->master, EID_AEAD_KEY);
    }
    eid_instance_secrets_write(out, &secrets);
    eid_instance_secrets_free(&secrets);
    return eid_buf_status(out);
}

/* Both records as they are with this protection. */
static eid_status store(eid_instance *instance, const eid_protection *protection)
{
    eid_buf secrets, keys;

    eid_buf_init(&secrets, EID_META_MAX);
    eid_buf_reserve(&secrets, EID_SECRET_ROOM);
    eid_buf_init(&keys, EID_META_MAX);
    eid_buf_reserve(&keys, EID_SECRET_ROOM + instance->named_key_count * NAMED_KEY_ROOM);
    eid_status status = write_secrets(instance, protection, &secrets);
    if (status == EID_OK)
        status = eid_named_keys_write(&keys, instance->named_keys, instance->named_key_count,
                                      protection->sealed ? protection->encryption : NULL);
    if (status == EID_OK) {
        eid_meta_value values[] = {{META_SECRETS, eid_buf_slice(&secrets)}, {META_KEYS, eid_buf_slice(&keys)}};
        status = eid_storage_meta_store(eid_core_storage(instance->core), values, 2);
    }
    eid_buf_free_secret(&secrets);
    eid_buf_free_secret(&keys);
    return status;
}

/* ---- Loading ---- */

static eid_status open_protection(eid_instance *instance, const eid_instance_secrets *secrets,
                                  const eid_instance_options *options)
{
    eid_protection *protection = &instance->protection;
    eid_aead_key *key;

    if (!secrets->sealed && (options->key_file != NULL || options->secret != NULL))
        return eid_fail(EID_ERR_CONFLICT, "the instance is not protected by a secret: open it without one, and call "
                                          "eid_instance_protect to protect it");
    if (!secrets->has_master)
        return EID_OK;
    if (!secrets->sealed)
        return set_master(protection, secrets->master);
    memcpy(protection->salt, secrets->salt, sizeof protection->salt);
    memcpy(protection->piece, secrets->master, sizeof protection->piece);
    EID_TRY(secret_key(options->key_file, options->secret, options->secret_len, protection->salt, &key));
    if (key == NULL)
        return eid_fail(EID_ERR_SECRET_REQUIRED, "the instance is protected: a key file or a secret is needed to open it");
    eid_status status = unseal_master(protection, key);
    eid_aead_key_free(key);
    protection->sealed = status == EID_OK;
    return status;
}

static eid_status load_secrets(eid_instance *instance, eid_slice text, const eid_instance_options *options)
{
    eid_instance_secrets secrets;

    EID_TRY(eid_instance_secrets_read(text, &secrets));
    eid_status status = open_protection(instance, &secrets, options);
    if (status == EID_OK)
        status = eid_key_storage_open(&secrets.device, instance->protection.encryption, &instance->metadata.device,
                                      &instance->device);
    eid_instance_secrets_free(&secrets);
    return status;
}

static eid_status load_keys(eid_instance *instance)
{
    eid_buf text;

    eid_buf_init(&text, EID_META_MAX);
    eid_buf_reserve(&text, EID_SECRET_ROOM);
    eid_status status = eid_storage_meta_load(eid_core_storage(instance->core), META_KEYS, &text);
    if (status == EID_OK)
        status = eid_named_keys_read(instance, eid_buf_slice(&text));
    else if (status == EID_ERR_NOT_FOUND)
        status = EID_OK;
    eid_buf_free_secret(&text);
    return status;
}

eid_status eid_secrets_load(eid_instance *instance, const eid_instance_options *options)
{
    eid_buf text;

    eid_buf_init(&text, EID_META_MAX);
    eid_buf_reserve(&text, EID_SECRET_ROOM);
    eid_status status = eid_storage_meta_load(eid_core_storage(instance->core), META_SECRETS, &text);
    if (status == EID_ERR_NOT_FOUND)
        status = eid_fail(EID_ERR_CORRUPT,
                          "the data file has lost the device key of the instance: restore it from a backup");
    if (status == EID_OK)
        status = load_secrets(instance, eid_buf_slice(&text), options);
    eid_buf_free_secret(&text);
    EID_TRY(status);
    return load_keys(instance);
}

eid_status eid_secrets_prepare(eid_instance *instance, const eid_instance_options *options)
{
    if (options->key_file == NULL && options->secret == NULL)
        return EID_OK;
    return seal(&instance->protection, options->key_file, options->secret, options->secret_len);
}

eid_status eid_secrets_store(eid_instance *instance)
{
    return store(instance, &instance->protection);
}

void eid_secrets_free(eid_instance *instance)
{
    eid_named_keys_free(instance);
    free_protection(&instance->protection);
}

const eid_aead_key *eid_secrets_wrapping(eid_instance *instance)
{
    pthread_mutex_lock(&instance->mutex);
    const eid_aead_key *key = instance->protection.sealed ? instance->protection.encryption : NULL;
    pthread_mutex_unlock(&instance->mutex);
    return key;
}

const eid_aead_key *eid_secrets_unwrapping(eid_instance *instance)
{
    pthread_mutex_lock(&instance->mutex);
    const eid_aead_key *key = instance->protection.encryption;
    pthread_mutex_unlock(&instance->mutex);
    return key;
}

/* ---- Changing; change_mutex is held, so nobody else changes keys or protection ---- */

/* Puts the fresh state in the place of the present one when it is stored; a master key made for it is freed otherwise. */
static eid_status take_over(eid_instance *instance, eid_status status, eid_protection *fresh)
{
    if (status == EID_OK)
        status = store(instance, fresh);
    if (status != EID_OK) {
        if (instance->protection.master == NULL)
            free_protection(fresh);
        return status;
    }
    pthread_mutex_lock(&instance->mutex);
    instance->protection = *fresh;
    pthread_mutex_unlock(&instance->mutex);
    return EID_OK;
}

eid_status eid_instance_protect(eid_instance *instance, const char *key_file, const void *secret, size_t secret_len)
{
    EID_NEED(instance);
    pthread_mutex_lock(&instance->change_mutex);
    eid_protection fresh = instance->protection;
    eid_status status = take_over(instance, seal(&fresh, key_file, secret, secret_len), &fresh);
    pthread_mutex_unlock(&instance->change_mutex);
    EID_TRY(status);
    /* What stood there before is overwritten in the file; the write-ahead log is emptied of it. */
    if (eid_instance_flush(instance) != EID_OK)
        eid_log(EID_LOG_WARN, "the keys are protected, but the write-ahead log may still hold them in clear: %s",
                eid_last_error());
    return EID_OK;
}

eid_status eid_instance_unprotect(eid_instance *instance)
{
    EID_NEED(instance);
    eid_status status = EID_OK;

    pthread_mutex_lock(&instance->change_mutex);
    eid_protection fresh = instance->protection;
    fresh.sealed = false;
    if (instance->protection.sealed)
        status = take_over(instance, EID_OK, &fresh);
    pthread_mutex_unlock(&instance->change_mutex);
    return status;
}

bool eid_instance_is_protected(eid_instance *instance)
{
    pthread_mutex_lock(&instance->mutex);
    bool sealed = instance->protection.sealed;
    pthread_mutex_unlock(&instance->mutex);
    return sealed;
}
