/* SPDX-License-Identifier: Apache-2.0 */
/* Access a user asked for: waiting is said by a mapping of a database that is not here (spec users.md section 11), a refusal by a
 * row of instance metadata, "user.refused.UUID.ID", that holds the peer's sentence; an empty one says nothing. */
#include <stdio.h>

#include "instance/instance_int.h"

#define ROW_KEY_SIZE (sizeof "user.refused." + EID_UUID_TEXT_SIZE + EID_ID_TEXT_SIZE)

static void row_key(const eid_user *user, const eid_id *id, char out[ROW_KEY_SIZE])
{
    char text[EID_ID_TEXT_SIZE];
    eid_id_format(id, text);
    snprintf(out, ROW_KEY_SIZE, "user.refused.%s.%s", eid_user_id(user), text);
}

static eid_status store_refusal(eid_user *user, const eid_id *id, const char *sentence)
{
    char key[ROW_KEY_SIZE];
    row_key(user, id, key);
    return eid_storage_meta_store(eid_core_storage(user->instance->core), &(eid_meta_value){key, eid_slice_text(sentence)}, 1);
}

static eid_status load_refusal(eid_user *user, const eid_id *id, eid_buf *sentence)
{
    char key[ROW_KEY_SIZE];
    row_key(user, id, key);
    eid_status status = eid_storage_meta_load(eid_core_storage(user->instance->core), key, sentence);
    return status == EID_ERR_NOT_FOUND ? EID_OK : status;
}

static eid_status record_mapping(eid_user *user, const eid_id *id)
{
    eid_txn *txn;

    EID_TRY(eid_database_new_transaction(user->private_database, &txn));
    eid_status status = eid_mapping_stage(user, txn, eid_session_default_key(user), id, NULL, false, true);
    if (status == EID_OK)
        status = eid_txn_commit(txn, NULL);
    eid_txn_free(txn);
    return status;
}

eid_status eid_user_record_pending_access(eid_user *user, const eid_id *id)
{
    eid_access_state state;
    EID_TRY(eid_user_database_access(user, id, &state));
    if (state == EID_ACCESS_REJECTED)
        EID_TRY(store_refusal(user, id, ""));
    pthread_mutex_lock(&user->instance->change_mutex);
    eid_status status = record_mapping(user, id);
    pthread_mutex_unlock(&user->instance->change_mutex);
    return status;
}

eid_status eid_user_record_refused_access(eid_user *user, const eid_id *id, const char *sentence)
{
    EID_TRY(eid_user_record_pending_access(user, id));
    return store_refusal(user, id, sentence);
}

eid_status eid_user_fail_absent(eid_user *user, const eid_id *id)
{
    char text[EID_ID_TEXT_SIZE];
    eid_buf sentence;

    eid_buf_init(&sentence, EID_LIMIT_ERROR_TEXT);
    eid_status status = load_refusal(user, id, &sentence);
    eid_id_format(id, text);
    if (status == EID_OK && sentence.len != 0)
        status = eid_fail(EID_ERR_BOOTSTRAP_REJECTED, "%.*s", (int)sentence.len, (const char *)sentence.data);
    else if (status == EID_OK)
        status = eid_fail(EID_ERR_DATABASE_ACCESS_PENDING,
                          "access to the database %s was asked for, but it is not here yet", text);
    eid_buf_free(&sentence);
    return status;
}

eid_status eid_user_database_access(eid_user *user, const eid_id *id, eid_access_state *out)
{
    EID_NEED(user && id && out);
    const eid_keypair *key;
    eid_status status = eid_user_key_for_database(user, id, &key);
    if (status == EID_ERR_NO_KEY_FOR_DATABASE) {
        *out = EID_ACCESS_NONE;
        return EID_OK;
    }
    EID_TRY(status);
    if (eid_core_holds(user->instance->core, id)) {
        *out = EID_ACCESS_GRANTED;
        return EID_OK;
    }
    status = eid_user_fail_absent(user, id);
    if (status != EID_ERR_BOOTSTRAP_REJECTED && status != EID_ERR_DATABASE_ACCESS_PENDING)
        return status;
    *out = status == EID_ERR_BOOTSTRAP_REJECTED ? EID_ACCESS_REJECTED : EID_ACCESS_PENDING;
    return EID_OK;
}
