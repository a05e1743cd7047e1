/* SPDX-License-Identifier: Apache-2.0 */
/* Synchronization: peers exchange the entries the other one lacks.
 *
 * One eid_sync per instance. Calls here wait for the network on the caller's thread; they may be made from any thread,
 * several at once. Incoming requests are served on threads of the transport.
 */
#ifndef EIDETICA_SYNC_H
#define EIDETICA_SYNC_H

#include <eidetica/address.h>
#include <eidetica/user.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct eid_sync eid_sync;

/* Turns sync on (idempotent): loads or creates the _sync database. The sync object belongs to the instance and lives until
 * the instance is closed. Not from two threads at once. */
EID_API eid_status eid_instance_enable_sync(eid_instance *instance);
/* EID_ERR_SYNC_NOT_ENABLED before eid_instance_enable_sync. */
EID_API eid_status eid_instance_sync(eid_instance *instance, eid_sync **out);

/* ---- Transports and the server ---- */

EID_API eid_status eid_sync_enable_http_transport(eid_sync *sync);
/* Starts accepting on a numeric address such as "127.0.0.1:0" (port 0 picks one).
 * EID_ERR_NO_TRANSPORT_ENABLED, EID_ERR_SERVER_ALREADY_RUNNING, EID_ERR_SERVER_BIND. */
EID_API eid_status eid_sync_start_server(eid_sync *sync, const char *bind_address);
/* Waits for open requests, so not to be called from a write callback. EID_ERR_SERVER_NOT_RUNNING. */
EID_API eid_status eid_sync_stop_server(eid_sync *sync);
EID_API bool eid_sync_is_server_running(eid_sync *sync);
/* "127.0.0.1:40123"; free with eid_free. EID_ERR_SERVER_NOT_RUNNING. */
EID_API eid_status eid_sync_get_server_address(eid_sync *sync, char **out);

/* ---- Sharing ---- */

/* A ticket for the database with the addresses of the running servers. Free with eid_ticket_free. */
EID_API eid_status eid_sync_create_ticket(eid_sync *sync, const eid_id *database, eid_ticket **out);
/* Makes the ticket and switches the user's preference for the database to sync_enabled (others are kept). */
EID_API eid_status eid_user_share(eid_user *user, const eid_id *database, eid_ticket **out);

/* ---- Wishes, combined ---- */

/* What all users of the instance together wish for a database: enabled and on commit if one of them wishes it, the smallest
 * interval, the union of their properties; the settings that take effect. Disabled when nobody wishes anything.
 * eid_sync_settings_clear them. */
EID_API eid_status eid_sync_combined_settings(eid_sync *sync, const eid_id *database, eid_sync_settings *out);
/* Whether the instance itself wishes the database to be synced, on every commit, whatever users wish. So it does from the start
 * for databases made by eid_instance_new_database while sync is on. EID_ERR_DATABASE_NOT_FOUND; EID_ERR_INVALID_ARGUMENT for
 * system databases and private ones of users. */
EID_API eid_status eid_sync_set_database_enabled(eid_sync *sync, const eid_id *database, bool enabled);

/* ---- Syncing ---- */

typedef struct eid_sync_result {
    size_t struct_size;
    bool bootstrapped;      /* the database was not here before */
    uint64_t received;      /* entries that came */
    uint64_t admitted;      /* of those, verified and stored (others were held already, wait, or were refused) */
    uint64_t waiting;       /* of those, wait for parents */
    uint64_t refused;       /* of those, failed verification */
    uint64_t sent;          /* entries given to the peer */
    bool key_approved;      /* at bootstrap: the requested permission was granted */
} eid_sync_result;
#define EID_SYNC_RESULT_INIT {sizeof(eid_sync_result), false, 0, 0, 0, 0, 0, false}

/* Handshake, then both directions for the database (NULL: only the handshake). `result` may be NULL. The whole database comes
 * when it is not held yet. EID_ERR_CONNECTION_FAILED, EID_ERR_HANDSHAKE_FAILED, EID_ERR_PROTOCOL (the peer's own sentence),
 * EID_ERR_NO_TRANSPORT_ENABLED. */
EID_API eid_status eid_sync_with_peer(eid_sync *sync, const char *address, const eid_id *database, eid_sync_result *result);
EID_API eid_status eid_sync_with_address(eid_sync *sync, const eid_address *address, const eid_id *database,
                                         const eid_keypair *key_or_null, eid_sync_result *result);
/* Tries the ticket's addresses in order. */
EID_API eid_status eid_sync_with_ticket(eid_sync *sync, const eid_ticket *ticket, eid_sync_result *result);

/* Asks for access with the user's default key and, when it is granted, fetches the database and tracks it.
 * EID_ERR_BOOTSTRAP_PENDING when an admin of the peer has to approve first: ask again later. */
EID_API eid_status eid_user_request_database_access(eid_user *user, const eid_ticket *ticket, eid_permission permission,
                                                    eid_sync_result *result);
/* Sync of a database the user tracks, signed by the key the user has for it. */
EID_API eid_status eid_user_sync_with_ticket(eid_user *user, const eid_ticket *ticket, eid_sync_result *result);

/* Handshake only; the verified device key of the peer, which is registered. */
EID_API eid_status eid_sync_connect_to_peer(eid_sync *sync, const char *address, eid_pubkey *peer);

/* ---- Requests for access that wait for an admin ---- */

typedef struct eid_bootstrap_request {
    char id[37];
    eid_id database;
    eid_pubkey key;
    char *key_name;
    eid_permission permission;
    char *status;     /* "Pending", "Approved", "Rejected" */
    char *timestamp;  /* RFC 3339 */
} eid_bootstrap_request;

/* Every request of that status (NULL: all), oldest first; free with eid_bootstrap_requests_free. */
EID_API eid_status eid_sync_list_bootstrap_requests(eid_sync *sync, const char *status, eid_bootstrap_request **out,
                                                    size_t *count);
EID_API void eid_bootstrap_requests_free(eid_bootstrap_request *requests, size_t count);
/* The user must be Admin of the database. EID_ERR_REQUEST_NOT_FOUND, EID_ERR_REQUEST_STATE, EID_ERR_PERMISSION_DENIED. */
EID_API eid_status eid_user_approve_bootstrap_request(eid_user *user, const char *request_id);
EID_API eid_status eid_user_reject_bootstrap_request(eid_user *user, const char *request_id);

/* ---- Peers ---- */

typedef struct eid_peer_info {
    eid_pubkey pubkey;
    char *display_name;   /* NULL when none */
    char *status;         /* "active", "inactive", "blocked" */
    char **addresses;     /* "transport:text", NULL-terminated */
} eid_peer_info;
EID_API eid_status eid_sync_list_peers(eid_sync *sync, eid_peer_info **out, size_t *count);
EID_API void eid_peer_infos_free(eid_peer_info *peers, size_t count);

#ifdef __cplusplus
}
#endif
#endif
