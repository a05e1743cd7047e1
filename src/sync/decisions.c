/* SPDX-License-Identifier: Apache-2.0 */
/* Approving and rejecting requests for access. Listing the key and recording the decision are one storage transaction: after
 * a crash there is either both or nothing. */
#include "base/alloc.h"
#include "sync/engine.h"

static eid_status check_admin(const char *id, eid_database *handle)
{
    eid_permission held = {EID_PERM_READ, 0};
    char text[EID_PERMISSION_TEXT_SIZE];
    eid_status status = eid_database_current_permission(handle, &held);
    if (status == EID_OK && eid_permission_can_admin(held))
        return EID_OK;
    if (status == EID_OK)
        eid_permission_format(held, text);
    return eid_fail(EID_ERR_PERMISSION_DENIED,
                    "Insufficient permission for request '%s': required Admin, but key has %s", id,
                    status == EID_OK ? text : "none");
}

/* One that has as much or more by its own record is left as it is: approving must never take away. */
static eid_status has_enough(eid_sync *sync, const eid_request_record *record, bool *enough)
{
    eid_auth_settings *auth;
    EID_TRY(eid_core_auth(sync->core, &record->tree, &auth));
    const eid_auth_key *listed = eid_auth_settings_find(auth, &record->key);
    *enough = listed != NULL && listed->status == EID_KEY_ACTIVE &&
              eid_permission_compare(listed->permission, record->permission) >= 0;
    eid_auth_settings_unref(auth);
    return EID_OK;
}

static eid_status stage_grant(eid_database *handle, const eid_request_record *record, eid_txn **out)
{
    eid_txn *txn;
    EID_TRY(eid_database_new_transaction(handle, &txn));
    eid_status status =
        eid_settings_set_auth_key(txn, &record->key, record->key_name, record->permission, EID_KEY_ACTIVE);
    if (status != EID_OK) {
        eid_txn_free(txn);
        return status;
    }
    *out = txn;
    return EID_OK;
}

static eid_status set_decision(eid_sync *sync, eid_database *handle, eid_decision decision, eid_request_record *record)
{
    char now[EID_RFC3339_SIZE], key_text[EID_PUBKEY_TEXT_SIZE];
    eid_pubkey key;
    eid_sync_now(sync, now);
    eid_keypair_public(eid_database_key(handle), &key);
    eid_pubkey_format(&key, key_text);
    record->decision = decision;
    record->decided_by = eid_strdup(key_text);
    record->decided_at = eid_strdup(now);
    return record->decided_by == NULL || record->decided_at == NULL ? eid_fail_memory() : EID_OK;
}

static eid_status commit_decision(eid_sync *sync, const char *id, eid_database *handle, const eid_request_record *record)
{
    eid_txn *txns[2] = {NULL, NULL};
    bool enough = true;
    eid_status status = EID_OK;
    if (record->decision == EID_DECISION_APPROVED)
        status = has_enough(sync, record, &enough);
    if (status == EID_OK)
        status = eid_request_stage(sync, id, record, &txns[0]);
    if (status == EID_OK && !enough)
        status = stage_grant(handle, record, &txns[1]);
    if (status == EID_OK)
        status = eid_txn_commit_all(txns, enough ? 1 : 2, NULL);
    eid_txn_free(txns[0]);
    eid_txn_free(txns[1]);
    return status;
}

eid_status eid_request_decide_with(eid_sync *sync, const char *id, eid_database *handle, eid_decision decision)
{
    eid_request_record record;
    eid_pubkey peer;
    bool known = false;

    pthread_mutex_lock(&sync->write_mutex);
    eid_status status = eid_request_get_pending(sync, id, &record);
    if (status == EID_OK) {
        status = check_admin(id, handle);
        if (status == EID_OK)
            status = set_decision(sync, handle, decision, &record);
        if (status == EID_OK)
            status = commit_decision(sync, id, handle, &record);
        if (status == EID_OK)
            known = eid_request_settled(sync, id, &record, &peer);
        eid_request_record_free(&record);
    }
    pthread_mutex_unlock(&sync->write_mutex);
    if (known)
        eid_engine_greet(sync->engine, &peer);
    return status;
}

static eid_status decide_with_key(eid_sync *sync, const char *id, const eid_keypair *key, eid_decision decision)
{
    eid_request_record record;
    eid_database *handle;
    EID_TRY(eid_request_get_pending(sync, id, &record));
    eid_status status = eid_database_open_as(sync->core, &record.tree, key, NULL, &handle);
    eid_request_record_free(&record);
    EID_TRY(status);
    status = eid_request_decide_with(sync, id, handle, decision);
    eid_database_close(handle);
    return status;
}

eid_status eid_sync_approve_bootstrap_request_with_key(eid_sync *sync, const char *request_id, const eid_keypair *key)
{
    EID_NEED(sync && request_id && key);
    return decide_with_key(sync, request_id, key, EID_DECISION_APPROVED);
}

eid_status eid_sync_reject_bootstrap_request_with_key(eid_sync *sync, const char *request_id, const eid_keypair *key)
{
    EID_NEED(sync && request_id && key);
    return decide_with_key(sync, request_id, key, EID_DECISION_REJECTED);
}

static eid_status decide_by_name(eid_sync *sync, const char *id, const char *key_name, eid_decision decision)
{
    eid_keypair *key;
    EID_TRY(eid_instance_copy_private_key(sync->instance, key_name, &key));
    eid_status status = decide_with_key(sync, id, key, decision);
    eid_keypair_free(key);
    return status;
}

eid_status eid_sync_approve_bootstrap_request(eid_sync *sync, const char *request_id, const char *key_name)
{
    EID_NEED(sync && request_id && key_name);
    return decide_by_name(sync, request_id, key_name, EID_DECISION_APPROVED);
}

eid_status eid_sync_reject_bootstrap_request(eid_sync *sync, const char *request_id, const char *key_name)
{
    EID_NEED(sync && request_id && key_name);
    return decide_by_name(sync, request_id, key_name, EID_DECISION_REJECTED);
}
