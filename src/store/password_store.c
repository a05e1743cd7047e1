/* SPDX-License-Identifier: Apache-2.0 */
/* Password stores: sessions, and unlocking a store in a transaction. The encryption itself is the codec below; the
 * store inside never knows of it. */
#include "store/password_int.h"

#include "base/alloc.h"
#include "crypto/key.h"
#include "database/txn.h"

struct eid_password_session {
    eid_core *core;
    eid_id database;
    char *store;
    eid_wrapped_type type;
    eid_value *config; /* what the key belongs to */
    eid_store_codec *codec;
};

/* ---- The codec ---- */

static eid_status encode(const void *key, eid_slice document, eid_buf *payload)
{
    eid_aead_seal(key, document, payload);
    return eid_buf_status(payload);
}

static eid_status decode(const void *key, eid_slice payload, eid_buf *document)
{
    return eid_aead_unseal(key, payload, document);
}

static void release(void *key)
{
    eid_aead_key_free(key);
}

/* Takes the key, also on failure. */
static eid_status make_codec(eid_aead_key *key, eid_store_codec **out)
{
    static const eid_store_codec_calls calls = {encode, decode, release};
    eid_status status = eid_store_codec_new(&calls, key, out);

    if (status != EID_OK)
        eid_aead_key_free(key);
    return status;
}

/* ---- Sessions ---- */

/* The configuration inside the record; NULL when there is none. */
static const eid_value *config_of(const eid_value *record)
{
    const eid_value *config;
    const eid_doc *doc;

    if (record == NULL || eid_value_as_doc(record, &doc) != EID_OK || eid_doc_get(doc, "config", &config) != EID_OK)
        return NULL;
    return config;
}

/* Takes the codec on success. */
static eid_status session_new(eid_database *database, const char *store, const eid_value *record,
                              eid_wrapped_type type, eid_store_codec *codec, eid_password_session **out)
{
    eid_password_session *session = eid_alloc_zero(1, sizeof *session);

    if (session == NULL)
        return eid_fail_memory();
    session->store = eid_strdup(store);
    eid_status status =
        session->store == NULL ? eid_fail_memory() : eid_value_copy(config_of(record), &session->config);
    if (status != EID_OK) {
        eid_password_session_close(session);
        return status;
    }
    session->core = eid_database_core(database);
    session->database = *eid_database_root_id(database);
    session->type = type;
    session->codec = codec;
    *out = session;
    return EID_OK;
}

static eid_status open_with_record(eid_database *database, const char *store, const eid_value *record,
                                   const char *password, eid_password_session **out)
{
    eid_password_config config;
    eid_wrapped_type type = EID_WRAPPED_DOCSTORE;
    eid_store_codec *codec = NULL;
    eid_aead_key *key = NULL;

    EID_TRY(eid_password_config_read(store, record, &config));
    eid_status status = eid_password_config_open(&config, store, password, &key, &type);
    if (status == EID_OK)
        status = make_codec(key, &codec);
    if (status == EID_OK)
        status = session_new(database, store, record, type, codec, out);
    if (status != EID_OK)
        eid_store_codec_unref(codec);
    eid_password_config_free(&config);
    return status;
}

eid_status eid_password_session_open(eid_database *database, const char *store, const char *password,
                                     eid_password_session **out)
{
    EID_NEED(database && store && password && out);
    eid_value *record = NULL;

    EID_TRY(eid_store_name_check(store));
    eid_status status = eid_database_get(database, "_index", store, &record);
    if (status == EID_OK || status == EID_ERR_KEY_NOT_FOUND)
        status = open_with_record(database, store, record, password, out);
    eid_value_free(record);
    return status;
}

void eid_password_session_close(eid_password_session *session)
{
    if (session == NULL)
        return;
    eid_store_codec_unref(session->codec);
    eid_value_free(session->config);
    eid_free(session->store);
    eid_free(session);
}

static eid_status check_config(const eid_password_session *session, const eid_value *record)
{
    const eid_value *config = config_of(record);

    if (config != NULL && eid_value_equal(config, session->config))
        return EID_OK;
    return eid_fail(EID_ERR_CONFLICT,
                    "the store \"%.200s\" has %s configuration in this transaction %s the session: open it with the password "
                    "again",
                    session->store, config == NULL ? "no" : "another", config == NULL ? "but has one in" : "than in");
}

eid_status eid_password_session_unlock(eid_password_session *session, eid_txn *txn)
{
    EID_NEED(session && txn);
    eid_database *database = eid_txn_database(txn);
    eid_value *record;

    if (eid_database_core(database) != session->core ||
        !eid_id_equal(eid_database_root_id(database), &session->database))
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "the transaction is of another database than the session");
    EID_TRY(eid_txn_store_record(txn, session->store, &record));
    eid_status status = check_config(session, record);
    eid_value_free(record);
    EID_TRY(status);
    return eid_txn_open_hidden(txn, session->store, EID_TYPE_PASSWORD, eid_wrapped_type_name(session->type),
                               session->codec);
}

eid_wrapped_type eid_password_session_type(const eid_password_session *session)
{
    return session->type;
}

uint64_t eid_password_session_left_out(const eid_password_session *session)
{
    return eid_store_codec_left_out(session->codec, session->core);
}

/* ---- In one transaction ---- */

/* Said before the password is stretched, so that a mistake costs nothing. */
static eid_status check_closed(const eid_txn *txn, const char *store)
{
    if (eid_txn_has_open_store(txn, store))
        return eid_fail(EID_ERR_CONFLICT, "the store \"%.200s\" is open in this transaction already", store);
    return EID_OK;
}

eid_status eid_password_store_open(eid_txn *txn, const char *store, const char *password)
{
    EID_NEED(txn && store && password);
    eid_password_session *session;
    eid_value *record;

    EID_TRY(eid_store_name_check(store));
    EID_TRY(check_closed(txn, store));
    EID_TRY(eid_txn_store_record(txn, store, &record));
    eid_status status = open_with_record(eid_txn_database(txn), store, record, password, &session);
    eid_value_free(record);
    EID_TRY(status);
    status = eid_password_session_unlock(session, txn);
    eid_password_session_close(session);
    return status;
}

/* Fails unless the store can still be initialized. */
static eid_status check_new(eid_txn *txn, const char *store)
{
    eid_password_config config;
    eid_value *record;

    EID_TRY(check_closed(txn, store));
    EID_TRY(eid_txn_store_record(txn, store, &record));
    eid_status status = eid_password_config_read(store, record, &config);
    eid_value_free(record);
    if (status == EID_OK)
        eid_password_config_free(&config);
    switch (status) {
    case EID_ERR_CONFLICT: /* nothing there, or a record without configuration */
        return EID_OK;
    case EID_ERR_TYPE_MISMATCH:
    case EID_ERR_NO_MEMORY:
        return status;
    default:
        return eid_fail(EID_ERR_CONFLICT, "the store \"%.200s\" is initialized already: open it", store);
    }
}

static eid_status register_store(eid_txn *txn, const char *store, eid_aead_key *key, eid_wrapped_type type, eid_value *record)
{
    eid_store_codec *codec;

    EID_TRY(make_codec(key, &codec));
    eid_status status = eid_txn_register_hidden(txn, store, eid_wrapped_type_name(type), codec, record);
    eid_store_codec_unref(codec);
    return status;
}

eid_status eid_password_store_initialize(eid_txn *txn, const char *store, const char *password, eid_wrapped_type type)
{
    EID_NEED(txn && store && password);
    const eid_kdf_costs costs = EID_KDF_COSTS_DEFAULT;
    eid_aead_key *key;
    eid_value *record;

    EID_TRY(eid_store_name_check(store));
    if (type != EID_WRAPPED_DOCSTORE && type != EID_WRAPPED_TABLE)
        return eid_fail(EID_ERR_INVALID_ARGUMENT, "%d is not a type of store that can be encrypted", (int)type);
    EID_TRY(check_new(txn, store));
    EID_TRY(eid_password_config_make(password, &costs, type, &key, &record));
    eid_status status = register_store(txn, store, key, type, record);
    if (status != EID_OK)
        eid_value_free(record);
    return status;
}
