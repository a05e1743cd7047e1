/* SPDX-License-Identifier: Apache-2.0 */
/* Sync on behalf of a user: with the user's keys, and with consequences for what the user tracks. */
#include "sync/sync_int.h"

#include "base/alloc.h"

static eid_status sync_of(eid_user *user, eid_sync **out)
{
    return eid_instance_sync(eid_user_instance(user), out);
}

/* ---- Sharing ---- */

eid_status eid_user_share(eid_user *user, const eid_id *database, eid_ticket **out)
{
    eid_sync *sync;
    eid_database_preferences tracked;
    eid_ticket *ticket;

    EID_TRY(sync_of(user, &sync));
    EID_TRY(eid_user_database_prefs(user, database, &tracked));
    eid_database_preferences_clear(&tracked);
    EID_TRY(eid_sync_create_ticket(sync, database, &ticket));
    eid_status status = eid_user_enable_sync(user, database);
    if (status != EID_OK) {
        eid_ticket_free(ticket);
        return status;
    }
    *out = ticket;
    return EID_OK;
}

/* ---- Asking for access ---- */

/* True when the settings held here grant the key this much already, so that an ordinary sync is enough. */
static bool has_access(eid_sync *sync, const eid_id *database, const eid_pubkey *key, eid_permission wanted)
{
    eid_auth_settings *auth;
    eid_permission held;
    if (!eid_core_holds(sync->core, database) || eid_core_auth(sync->core, database, &auth) != EID_OK)
        return false;
    bool enough =
        eid_auth_permission_of(auth, key, &held) == EID_OK && eid_permission_compare(held, wanted) >= 0;
    eid_auth_settings_unref(auth);
    return enough;
}

static eid_status ask_at(eid_sync *sync, const eid_address *address, const eid_id *database,
                         const eid_access_request *access, eid_sync_result *result)
{
    eid_pubkey peer, key;
    eid_keypair_public(access->key, &key);
    EID_TRY(eid_sync_handshake(sync, address, &peer));
    if (has_access(sync, database, &key, access->permission))
        return eid_sync_tree(sync, address, &peer, database, access->key, result);
    return eid_sync_request_access(sync, address, &peer, database, access, result);
}

/* Existing preferences are kept; a database that was not tracked before is, with sync off. */
static eid_status track(eid_user *user, const eid_id *database)
{
    eid_database_preferences tracked = EID_DATABASE_PREFERENCES_INIT;
    eid_status status = eid_user_database_prefs(user, database, &tracked);
    if (status != EID_OK && status != EID_ERR_DATABASE_NOT_TRACKED)
        return status;
    tracked.database_id = *database;
    status = eid_user_add_database(user, &tracked);
    eid_database_preferences_clear(&tracked);
    return status;
}

eid_status eid_user_request_database_access(eid_user *user, const eid_ticket *ticket,
                                            eid_permission permission, eid_sync_result *result)
{
    const eid_id *database = eid_ticket_database_id(ticket);
    char key_name[EID_PUBKEY_TEXT_SIZE];
    eid_access_request access = {eid_user_default_keypair(user), key_name, permission};
    eid_sync *sync;
    eid_pubkey key;

    EID_TRY(sync_of(user, &sync));
    eid_user_get_default_key(user, &key);
    eid_pubkey_format(&key, key_name);
    eid_status status = eid_fail(EID_ERR_INVALID_ADDRESS, "Invalid address: Ticket has no address hints");
    for (size_t i = 0; i < eid_ticket_address_count(ticket); i++) {
        status = ask_at(sync, eid_ticket_address(ticket, i), database, &access, result);
        /* A request that was filed is an answer: the same peer behind its other addresses would say the same.
         */
        if (status == EID_OK || status == EID_ERR_BOOTSTRAP_PENDING)
            break;
    }
    if (status == EID_OK)
        return track(user, database);
    if (status == EID_ERR_BOOTSTRAP_PENDING) {
        char sentence[EID_LIMIT_ERROR_TEXT];
        memcpy(sentence, eid_last_error(), strlen(eid_last_error()) + 1);
        EID_TRY(eid_user_record_pending_access(user, database));
        return eid_fail(EID_ERR_BOOTSTRAP_PENDING, "%s", sentence);
    }
    return status;
}

eid_status eid_user_sync_with_ticket(eid_user *user, const eid_ticket *ticket, eid_sync_result *result)
{
    const eid_id *database = eid_ticket_database_id(ticket);
    const eid_keypair *key;
    eid_sync *sync;

    EID_TRY(sync_of(user, &sync));
    EID_TRY(eid_user_key_for_database(user, database, &key));
    eid_status status = eid_fail(EID_ERR_INVALID_ADDRESS, "Invalid address: Ticket has no address hints");
    for (size_t i = 0; i < eid_ticket_address_count(ticket) && status != EID_OK; i++)
        status = eid_sync_with_address(sync, eid_ticket_address(ticket, i), database, key, result);
    return status;
}

/* ---- Deciding about requests ---- */

/* The permission of the user's key in the requested database, which must be Admin. */
static eid_status check_admin(eid_sync *sync, eid_user *user, const char *id, const eid_id *database,
                              eid_pubkey *key)
{
    const eid_keypair *pair;
    eid_auth_settings *auth;
    eid_permission held = {EID_PERM_READ, 0};
    char text[EID_PERMISSION_TEXT_SIZE];

    EID_TRY(eid_user_key_for_database(user, database, &pair));
    eid_keypair_public(pair, key);
    EID_TRY(eid_core_auth(sync->core, database, &auth));
    eid_status status = eid_auth_permission_of(auth, key, &held);
    eid_auth_settings_unref(auth);
    if (status == EID_OK && eid_permission_can_admin(held))
        return EID_OK;
    if (status == EID_OK)
        eid_permission_format(held, text);
    return eid_fail(EID_ERR_PERMISSION_DENIED,
                    "Insufficient permission for request '%s': required Admin, but key has %s", id,
                    status == EID_OK ? text : "none");
}

/* Lists the key. One that has as much or more by its own record is left as it is: approving must never take
 * away. */
static eid_status grant_access(eid_sync *sync, eid_user *user, const eid_request_record *record)
{
    eid_auth_settings *auth;
    eid_database *database;
    eid_txn *txn;

    EID_TRY(eid_core_auth(sync->core, &record->tree, &auth));
    const eid_auth_key *listed = eid_auth_settings_find(auth, &record->key);
    bool enough = listed != NULL && listed->status == EID_KEY_ACTIVE &&
                  eid_permission_compare(listed->permission, record->permission) >= 0;
    eid_auth_settings_unref(auth);
    if (enough)
        return EID_OK;
    EID_TRY(eid_user_open_database(user, &record->tree, &database));
    eid_status status = eid_database_new_transaction(database, &txn);
    if (status == EID_OK) {
        status = eid_settings_set_auth_key(txn, &record->key, record->key_name, record->permission,
                                           EID_KEY_ACTIVE);
        if (status == EID_OK)
            status = eid_txn_commit_free(txn, NULL);
        else
            eid_txn_free(txn);
    }
    eid_database_close(database);
    return status;
}

static eid_status decide(eid_user *user, const char *request_id, eid_decision decision)
{
    eid_sync *sync;
    eid_request_record record;
    eid_pubkey key;
    char decided_by[EID_PUBKEY_TEXT_SIZE];

    EID_TRY(sync_of(user, &sync));
    EID_TRY(eid_request_get_pending(sync, request_id, &record));
    eid_status status = check_admin(sync, user, request_id, &record.tree, &key);
    if (status == EID_OK && decision == EID_DECISION_APPROVED)
        status = grant_access(sync, user, &record);
    eid_request_record_free(&record);
    EID_TRY(status);
    eid_pubkey_format(&key, decided_by);
    return eid_request_decide(sync, request_id, decision, decided_by);
}

eid_status eid_user_approve_bootstrap_request(eid_user *user, const char *request_id)
{
    return decide(user, request_id, EID_DECISION_APPROVED);
}

eid_status eid_user_reject_bootstrap_request(eid_user *user, const char *request_id)
{
    return decide(user, request_id, EID_DECISION_REJECTED);
}
