/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, opening and making the configuration of a password store.
 *
 * It names the cipher, the costs and the salt, and holds the configuration of the store inside, encrypted: whoever
 * can decrypt that has the right password. */
#include "store/password_int.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "codec/base.h"
#include "codec/json.h"
#include "crypto/key.h"
#include "database/txn.h"

#define CIPHER  "aes-256-gcm"
#define KDF     "argon2id"
#define VERSION "v0"

static const char *const type_names[] = {EID_TYPE_DOCSTORE, EID_TYPE_TABLE};

const char *eid_wrapped_type_name(eid_wrapped_type type)
{
    return type_names[type];
}

/* ---- Reading ---- */

static eid_status damaged(const char *store, const char *what)
{
    return eid_fail(EID_ERR_CORRUPT, "the configuration of the encrypted store \"%.200s\" can not be read: %s", store,
                    what);
}

static eid_status need_text(const eid_doc *config, const char *store, const char *path, eid_slice *out)
{
    const char *text;
    size_t len;

    if (eid_doc_get_text(config, path, &text, &len) != EID_OK)
        return damaged(store, path);
    *out = eid_slice_of(text, len);
    return EID_OK;
}

static eid_status need_word(const eid_doc *config, const char *store, const char *path, const char *known)
{
    eid_slice text = {NULL, 0};

    EID_TRY(need_text(config, store, path, &text));
    if (!eid_slice_is(text, known))
        return eid_fail(EID_ERR_UNSUPPORTED,
                        "the encrypted store \"%.200s\" has %s \"%.*s\"; this version knows only \"%s\"", store, path,
                        text.len < 100 ? (int)text.len : 100, (const char *)text.data, known);
    return EID_OK;
}

/* Absent: the default stays. The bounds are judged where the cost is spent; a number of another size is one of those
 * beyond them. */
static eid_status read_cost(const eid_doc *config, const char *store, const char *path, uint32_t *cost)
{
    int64_t number;
    eid_status status = eid_doc_get_int(config, path, &number);

    if (status == EID_ERR_KEY_NOT_FOUND)
        return EID_OK;
    if (status != EID_OK)
        return damaged(store, path);
    *cost = number < 0 ? 0 : number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
    return EID_OK;
}

static eid_status read_encryption(const eid_doc *config, const char *store, eid_password_config *out)
{
    eid_slice salt = {NULL, 0};

    EID_TRY(need_word(config, store, "encryption.version", VERSION));
    EID_TRY(need_word(config, store, "encryption.algorithm", CIPHER));
    EID_TRY(need_word(config, store, "encryption.kdf", KDF));
    EID_TRY(need_text(config, store, "encryption.salt", &salt));
    if (salt.len != EID_KDF_SALT_LEN)
        return damaged(store, "the salt does not have 22 characters");
    memcpy(out->salt, salt.data, salt.len);
    EID_TRY(read_cost(config, store, "encryption.argon2_m_cost", &out->costs.memory_kib));
    EID_TRY(read_cost(config, store, "encryption.argon2_t_cost", &out->costs.passes));
    return read_cost(config, store, "encryption.argon2_p_cost", &out->costs.lanes);
}

static eid_status read_wrapped(const eid_doc *config, const char *store, eid_password_config *out)
{
    eid_slice nonce = {NULL, 0}, wrapped = {NULL, 0};
    size_t len;

    EID_TRY(need_text(config, store, "wrapped_config.nonce", &nonce));
    EID_TRY(need_text(config, store, "wrapped_config.ciphertext", &wrapped));
    if (eid_base64_decode(nonce, out->nonce, sizeof out->nonce, &len) != EID_OK || len != sizeof out->nonce)
        return damaged(store, "the nonce is not 12 bytes in base64");
    out->wrapped = eid_alloc(wrapped.len);
    if (out->wrapped == NULL)
        return eid_fail_memory();
    if (eid_base64_decode(wrapped, out->wrapped, wrapped.len, &out->wrapped_len) != EID_OK)
        return damaged(store, "the inner configuration is not base64");
    return EID_OK;
}

static eid_status not_initialized(const char *store)
{
    return eid_fail(EID_ERR_CONFLICT, "the store \"%.200s\" is not initialized: give it a password first", store);
}

eid_status eid_password_config_read(const char *store, const eid_value *record, eid_password_config *out)
{
    eid_password_config read = {.costs = EID_KDF_COSTS_DEFAULT};
    const eid_doc *doc, *config;
    const char *type;

    if (record == NULL)
        return not_initialized(store);
    if (eid_value_as_doc(record, &doc) != EID_OK || eid_doc_get_text(doc, "type", &type, NULL) != EID_OK)
        return damaged(store, "the record in the registry has no type");
    if (strcmp(type, EID_TYPE_PASSWORD) != 0)
        return eid_fail(EID_ERR_TYPE_MISMATCH, "the store \"%.200s\" is of type %.100s, not encrypted under a password",
                        store, type);
    if (eid_doc_get_doc(doc, "config", &config) != EID_OK || eid_doc_is_empty(config))
        return not_initialized(store);
    eid_status status = read_encryption(config, store, &read);
    if (status == EID_OK)
        status = read_wrapped(config, store, &read);
    if (status == EID_OK)
        *out = read;
    else
        eid_password_config_free(&read);
    return status;
}

void eid_password_config_free(eid_password_config *config)
{
    eid_free(config->wrapped);
    memset(config, 0, sizeof *config);
}

/* ---- Opening ---- */

static eid_status read_type(eid_json *reader, eid_wrapped_type *out)
{
    eid_slice name, text;
    bool more, found = false;

    EID_TRY(eid_json_begin_object(reader, "the inner configuration"));
    for (;;) {
        EID_TRY(eid_json_next_key(reader, &name, &more));
        if (!more)
            break;
        if (found || !eid_slice_is(name, "type")) {
            EID_TRY(eid_json_skip(reader));
            continue;
        }
        EID_TRY(eid_json_read_text(reader, "type", &text));
        for (size_t i = 0; !found && i < sizeof type_names / sizeof *type_names; i++) {
            found = eid_slice_is(text, type_names[i]);
            *out = (eid_wrapped_type)i;
        }
        if (!found)
            return eid_fail(EID_ERR_UNSUPPORTED, "the store inside is of type \"%.*s\", which this version does not know",
                            text.len < 100 ? (int)text.len : 100, (const char *)text.data);
    }
    if (!found)
        return eid_fail(EID_ERR_MISSING_FIELD, "the inner configuration names no type");
    return eid_json_end(reader);
}

static eid_status open_wrapped(const eid_password_config *config, const char *store, const eid_aead_key *key,
                               eid_wrapped_type *type)
{
    eid_wrapped_type found = EID_WRAPPED_DOCSTORE;
    eid_json reader;
    uint8_t *text = eid_alloc(config->wrapped_len + 1);

    if (text == NULL)
        return eid_fail_memory();
    eid_status status =
        eid_aead_decrypt(key, config->nonce, eid_slice_of(config->wrapped, config->wrapped_len), text);
    if (status != EID_OK) {
        eid_free(text);
        return eid_fail(EID_ERR_INVALID_PASSWORD, "the password does not open the store \"%.200s\"", store);
    }
    eid_json_init(&reader, eid_slice_of(text, config->wrapped_len - EID_AEAD_TAG));
    status = read_type(&reader, &found);
    eid_json_free(&reader);
    eid_free(text);
    if (status == EID_OK)
        *type = found;
    else if (status != EID_ERR_NO_MEMORY && status != EID_ERR_UNSUPPORTED)
        status = eid_fail_context(EID_ERR_CORRUPT, "the encrypted store \"%.200s\"", store);
    return status;
}

eid_status eid_password_config_open(const eid_password_config *config, const char *store, const char *password,
                                    eid_aead_key **key, eid_wrapped_type *type)
{
    eid_aead_key *made;
    eid_status status =
        eid_kdf_derive_key(eid_slice_text(password), eid_slice_text(config->salt), &config->costs, &made);

    if (status != EID_OK)
        return status == EID_ERR_NO_MEMORY
                   ? status
                   : eid_fail_context(status, "the encrypted store \"%.200s\" can not be opened", store);
    status = open_wrapped(config, store, made, type);
    if (status != EID_OK) {
        eid_aead_key_free(made);
        return status;
    }
    *key = made;
    return EID_OK;
}

/* ---- Making ---- */

static eid_status set_base64(eid_doc *doc, const char *path, const uint8_t *data, size_t len)
{
    char *text = eid_alloc(EID_BASE64_SIZE(len));

    if (text == NULL)
        return eid_fail_memory();
    eid_base64_encode(data, len, text);
    eid_status status = eid_doc_set_string(doc, path, text);
    eid_free(text);
    return status;
}

static eid_status set_wrapped(eid_doc *config, const eid_aead_key *key, eid_wrapped_type type)
{
    eid_buf plain, sealed;

    eid_buf_init(&plain, 1024);
    eid_buf_init(&sealed, 2048);
    eid_buf_appendf(&plain, "{\"type\":\"%s\",\"config\":{\"children\":{}}}", eid_wrapped_type_name(type));
    eid_aead_seal(key, eid_buf_slice(&plain), &sealed);
    eid_status status = eid_buf_status(&plain);
    if (status == EID_OK)
        status = eid_buf_status(&sealed);
    if (status == EID_OK)
        status = set_base64(config, "wrapped_config.nonce", sealed.data, EID_AEAD_NONCE);
    if (status == EID_OK)
        status = set_base64(config, "wrapped_config.ciphertext", sealed.data + EID_AEAD_NONCE,
                            sealed.len - EID_AEAD_NONCE);
    eid_buf_free(&plain);
    eid_buf_free(&sealed);
    return status;
}

static eid_status fill_config(eid_doc *config, const char *salt, const eid_kdf_costs *costs, const eid_aead_key *key,
                              eid_wrapped_type type)
{
    /* Whoever merges two configurations must take one as a whole. */
    eid_doc_set_atomic(config, true);
    EID_TRY(eid_doc_set_string(config, "encryption.algorithm", CIPHER));
    EID_TRY(eid_doc_set_string(config, "encryption.kdf", KDF));
    EID_TRY(eid_doc_set_string(config, "encryption.salt", salt));
    EID_TRY(eid_doc_set_string(config, "encryption.version", VERSION));
    EID_TRY(eid_doc_set_int(config, "encryption.argon2_m_cost", costs->memory_kib));
    EID_TRY(eid_doc_set_int(config, "encryption.argon2_t_cost", costs->passes));
    EID_TRY(eid_doc_set_int(config, "encryption.argon2_p_cost", costs->lanes));
    return set_wrapped(config, key, type);
}

static eid_status make_record(const char *salt, const eid_kdf_costs *costs, const eid_aead_key *key, eid_wrapped_type type,
                              eid_value **out)
{
    eid_doc *record = NULL, *config = NULL;
    eid_status status = eid_doc_new(&record);

    if (status == EID_OK)
        status = eid_doc_new(&config);
    if (status == EID_OK)
        status = fill_config(config, salt, costs, key, type);
    if (status == EID_OK)
        status = eid_doc_set_string(record, "type", EID_TYPE_PASSWORD);
    if (status == EID_OK)
        status = eid_doc_set_doc(record, "config", config);
    if (status == EID_OK)
        status = eid_value_new_doc(record, out);
    eid_doc_free(config);
    eid_doc_free(record);
    return status;
}

eid_status eid_password_config_make(const char *password, const eid_kdf_costs *costs, eid_wrapped_type type,
                                    eid_aead_key **key, eid_value **record)
{
    char salt[EID_KDF_SALT_SIZE];
    eid_aead_key *made;

    eid_kdf_new_salt(salt);
    EID_TRY(eid_kdf_derive_key(eid_slice_text(password), eid_slice_text(salt), costs, &made));
    eid_status status = make_record(salt, costs, made, type, record);
    if (status != EID_OK) {
        eid_aead_key_free(made);
        return status;
    }
    *key = made;
    return EID_OK;
}
