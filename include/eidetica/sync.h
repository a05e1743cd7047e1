/* SPDX-License-Identifier: Apache-2.0 */
/* Synchronization: peers exchange the entries the other one lacks.
 *
 * One eid_sync per instance, with an engine: a thread of its own that starts with the first transport and from then on
 * keeps the databases that users share (eid_user_enable_sync, eid_user_share) in step with every peer that takes part
 * in them. Nothing has to be called for that: commits go out at once (sync_on_commit) or with the next round, what
 * fails is tried again, what comes from one peer is passed on to the others. See eidetica/sync_engine.h for its
 * settings and what it knows, eidetica/sync_peers.h for the peers.
 *
 * The calls below do one thing now, on the engine's thread, while the caller waits. Each that waits for the network has a
 * twin with _async that does not: it returns at once, and `done` is called when it is over. All may be made from any
 * thread, several at once, with two exceptions: where waiting would stop what is waited for, the waiting form fails with
 * EID_ERR_CONFLICT (inside a write callback on a thread of the engine; inside `done` or a progress callback for a call that has
 * such callbacks itself); and no call may be made while the instance is being closed. Sentences follow those of the Rust
 * implementation, since people search for them.
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

/* ---- Calls under way ---- */

/* What a sync did. Begin with EID_SYNC_RESULT_INIT; calls that fail leave it as it is. */
typedef struct eid_sync_result {
    size_t struct_size;
    bool bootstrapped;  /* a database was not here before */
    uint64_t received;  /* entries that came */
    uint64_t admitted;  /* of those, verified and stored (others were held already, wait, or were refused) */
    uint64_t waiting;   /* of those, wait for parents */
    uint64_t refused;   /* of those, failed verification */
    uint64_t sent;      /* entries given to the peer */
    bool key_approved;  /* at bootstrap: the requested permission was granted */
    eid_pubkey peer;    /* device key of the peer, proven; all zero when none was reached */
    uint64_t databases; /* databases synced */
} eid_sync_result;
#define EID_SYNC_RESULT_INIT {sizeof(eid_sync_result), false, 0, 0, 0, 0, 0, false, {{0}}, 0}

/* How far a call is. Totals are 0 while they are not known. */
typedef struct eid_sync_progress {
    size_t struct_size;
    uint64_t bytes_received, bytes_total;     /* of the answer that is coming */
    uint64_t entries_received, entries_total; /* of those that came, how many were judged */
    uint64_t entries_sent, entries_to_send;
} eid_sync_progress;
/* Called on the engine's callback thread, at most every 100 ms and once at the end. The struct is lent. */
typedef void (*eid_sync_progress_callback)(const eid_sync_progress *progress, void *ctx);

/* Called once when an _async call is over, on the engine's callback thread: one callback at a time, so it should not
 * wait for long, but it may make calls, waiting forms included. `sentence` says what went wrong, "" on success; it
 * and `result` (on failure all zero but for the peer, when one was reached) are lent. Closing the instance ends what is under
 * way with EID_ERR_CANCELLED and waits for the callbacks. */
typedef void (*eid_sync_done)(eid_status status, const char *sentence, const eid_sync_result *result, void *ctx);

/* A handle on an _async call; every such call takes a place for one, NULL when it is not wanted. Valid until freed, also
 * when the call is over or the instance is closed. */
typedef struct eid_sync_call eid_sync_call;
/* From now on the progress of this call is told, as by the order's `progress`; NULL: no more. */
EID_API void eid_sync_call_set_progress(eid_sync_call *call, eid_sync_progress_callback progress, void *ctx);
/* Asks for the end; `done` is called with EID_ERR_CANCELLED unless the call is over before. What was stored or sent stays. */
EID_API void eid_sync_call_cancel(eid_sync_call *call);
/* Waits for the end, at most so long (UINT64_MAX: as long as it takes), and gives the call's status and sentence; `result`
 * may be NULL. EID_ERR_TIMEOUT when it still goes on. */
EID_API eid_status eid_sync_call_wait(eid_sync_call *call, uint64_t timeout_ms, eid_sync_result *result);
/* Gives the handle back; the call goes on. NULL is allowed. */
EID_API void eid_sync_call_free(eid_sync_call *call);

/* ---- Transports and servers ---- */

/* HTTP, under the name "http", as it was configured when a transport of this name was added before. Asked for again it changes
 * nothing. Starts the engine. */
EID_API eid_status eid_sync_enable_http_transport(eid_sync *sync);

typedef struct eid_http_options {
    size_t struct_size;
    const char *bind_address;    /* for eid_sync_accept_connections; NULL: client only */
    const char *advertise;       /* "host:port", or several with spaces between: told to peers in place of what the server is
                                  * bound to, for servers behind NAT or a proxy; NULL: the addresses of this machine */
    const char *certificate_pem; /* with private_key_pem: serve https. Texts, not file names. */
    const char *private_key_pem;
    const char *trusted_file;    /* name of a file of PEM certificates accepted from https peers; NULL: those the system trusts */
    uint32_t requests_per_minute; /* of one remote address, answered with 429 beyond; 0: 60 000 */
    /* Connections at a time, each with at most a request body of 2 MiB; 0: 256. A server with many peers, or behind a proxy
     * that makes all of them come from one address, needs more. */
    uint32_t connections;
    uint32_t connections_per_address; /* 0: 64 */
} eid_http_options;
#define EID_HTTP_OPTIONS_INIT {sizeof(eid_http_options), NULL, NULL, NULL, NULL, NULL, 0, 0, 0}
/* Another one, under a name of this instance, without dots: several may serve at several addresses. One that has the name is
 * stopped and replaced. `options` (NULL: defaults) is copied, and kept in `_sync` but for certificate and key; when only the
 * keeping fails, the transport is in use. */
EID_API eid_status eid_sync_add_http_transport(eid_sync *sync, const char *name, const eid_http_options *options);

/* Makes the transports that were added in earlier runs and are not there yet; eid_sync_accept_connections starts their servers.
 * One with a certificate has to be added anew. On failure the others are made; the sentence names all that failed. */
EID_API eid_status eid_sync_restore_transports(eid_sync *sync);
/* Forgets its configuration, stops it and takes it away. EID_ERR_NOT_FOUND, "Transport not found: NAME", when it was not in use. */
EID_API eid_status eid_sync_remove_transport(eid_sync *sync, const char *name);

/* Starts accepting on a numeric address such as "127.0.0.1:0" (port 0 picks one), with the transport added first.
 * EID_ERR_NO_TRANSPORT_ENABLED, EID_ERR_SERVER_ALREADY_RUNNING, EID_ERR_SERVER_BIND. */
EID_API eid_status eid_sync_start_server(eid_sync *sync, const char *bind_address);
EID_API eid_status eid_sync_start_server_async(eid_sync *sync, const char *bind_address, eid_sync_done done, void *ctx,
                                               eid_sync_call **call);
/* Starts the servers of all transports that have a bind address. Success when one started or none has one; else
 * the sentences of all ("Multiple transport errors: NAME: …, NAME: …"). */
EID_API eid_status eid_sync_accept_connections(eid_sync *sync);
EID_API eid_status eid_sync_accept_connections_async(eid_sync *sync, eid_sync_done done, void *ctx, eid_sync_call **call);
EID_API eid_status eid_sync_accept_connections_on(eid_sync *sync, const char *name); /* "Transport not found: NAME" */
/* Stops all servers. Waits for open requests, so not to be called from a write callback. EID_ERR_SERVER_NOT_RUNNING. */
EID_API eid_status eid_sync_stop_server(eid_sync *sync);
EID_API eid_status eid_sync_stop_server_async(eid_sync *sync, eid_sync_done done, void *ctx, eid_sync_call **call);
EID_API bool eid_sync_is_server_running(eid_sync *sync);
/* "127.0.0.1:40123"; free with eid_free. A server bound to all addresses gives one of this machine's that others can use.
 * EID_ERR_SERVER_NOT_RUNNING. */
EID_API eid_status eid_sync_get_server_address(eid_sync *sync, char **out);
EID_API eid_status eid_sync_get_server_address_for(eid_sync *sync, const char *name, char **out);
/* Every address of every running server, as "transport:text", a NULL behind the last. One block: eid_free. */
EID_API eid_status eid_sync_get_all_server_addresses(eid_sync *sync, char ***out);

/* ---- Sharing ---- */

/* A ticket for the database with the addresses of the running servers. Free with eid_ticket_free.
 * EID_ERR_NO_TRANSPORT_ENABLED, EID_ERR_DATABASE_NOT_FOUND. */
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

/* What to sync, with whom and how: the general form of the calls below. */
typedef struct eid_sync_order {
    size_t struct_size;
    const eid_id *database;              /* NULL: every database that is shared here and that the peer shares too */
    bool handshake_only;
    const eid_pubkey *peer;              /* a registered peer at its stored addresses; NULL: by the addresses below */
    const eid_address *const *addresses; /* tried in this order until one answers */
    size_t address_count;
    const eid_keypair *key;              /* signs the requests; NULL: the device key. Copied. */
    bool ask_access;                     /* with `database` and `key`: asks for the permission below when it is not given yet */
    eid_permission permission;
    const char *key_name;                /* label of the key for the approver; NULL: the key's text */
    const eid_doc *metadata;             /* shown to the approver; NULL: none. At most 16 KiB as JSON. */
    uint64_t timeout_ms;                 /* for the whole; 0: none beyond the deadlines of each request */
    eid_sync_progress_callback progress; /* NULL: none */
    void *progress_ctx;
} eid_sync_order;
#define EID_SYNC_ORDER_INIT                                                                                            \
    {sizeof(eid_sync_order), NULL, false, NULL, NULL, 0, NULL, false, {EID_PERM_READ, 0}, NULL, NULL, 0, NULL, NULL}
/* Everything is copied before it returns. `done` may be NULL. EID_ERR_NO_TRANSPORT_ENABLED, EID_ERR_PEER_NOT_FOUND (unknown
 * or blocked), EID_ERR_INVALID_ADDRESS without any address, EID_ERR_CONFLICT when closing; everything else comes by `done`. */
EID_API eid_status eid_sync_order_async(eid_sync *sync, const eid_sync_order *order, eid_sync_done done, void *ctx,
                                        eid_sync_call **call);
EID_API eid_status eid_sync_order_wait(eid_sync *sync, const eid_sync_order *order, eid_sync_result *result);

/* Handshake, registration of the peer, then both directions for the database; NULL: for every database that is shared here
 * and that the peer offers or takes part in. The address is text in any form of eid_address_detect. The whole database comes
 * when it is not held yet. `result` may be NULL. EID_ERR_CONNECTION_FAILED, EID_ERR_HANDSHAKE_FAILED, EID_ERR_PROTOCOL_MISMATCH,
 * EID_ERR_PROTOCOL (the peer's own sentence), EID_ERR_NO_TRANSPORT_ENABLED, EID_ERR_NO_TRANSPORT_FOR_ADDRESS. */
EID_API eid_status eid_sync_with_peer(eid_sync *sync, const char *address, const eid_id *database, eid_sync_result *result);
EID_API eid_status eid_sync_with_peer_async(eid_sync *sync, const char *address, const eid_id *database, eid_sync_done done,
                                            void *ctx, eid_sync_call **call);
EID_API eid_status eid_sync_with_address(eid_sync *sync, const eid_address *address, const eid_id *database,
                                         const eid_keypair *key_or_null, eid_sync_result *result);
EID_API eid_status eid_sync_with_address_async(eid_sync *sync, const eid_address *address, const eid_id *database,
                                               const eid_keypair *key_or_null, eid_sync_done done, void *ctx,
                                               eid_sync_call **call);
/* Tries the ticket's addresses in order, not waiting long for one while there are others. */
EID_API eid_status eid_sync_with_ticket(eid_sync *sync, const eid_ticket *ticket, eid_sync_result *result);
EID_API eid_status eid_sync_with_ticket_async(eid_sync *sync, const eid_ticket *ticket, eid_sync_done done, void *ctx,
                                              eid_sync_call **call);
/* One database with a registered peer at its stored addresses, signed by the device key or by another one.
 * EID_ERR_PEER_NOT_FOUND; EID_ERR_NETWORK when it has no address. */
EID_API eid_status eid_sync_tree_with_peer(eid_sync *sync, const eid_pubkey *peer, const eid_id *database,
                                           eid_sync_result *result);
EID_API eid_status eid_sync_tree_with_peer_async(eid_sync *sync, const eid_pubkey *peer, const eid_id *database,
                                                 eid_sync_done done, void *ctx, eid_sync_call **call);
EID_API eid_status eid_sync_tree_with_peer_as(eid_sync *sync, const eid_pubkey *peer, const eid_id *database,
                                              const eid_keypair *key, eid_sync_result *result);
EID_API eid_status eid_sync_tree_with_peer_as_async(eid_sync *sync, const eid_pubkey *peer, const eid_id *database,
                                                    const eid_keypair *key, eid_sync_done done, void *ctx,
                                                    eid_sync_call **call);

/* Handshake only; the verified device key of the peer, which is registered. */
EID_API eid_status eid_sync_connect_to_peer(eid_sync *sync, const char *address, eid_pubkey *peer);
EID_API eid_status eid_sync_connect_to_peer_async(eid_sync *sync, const char *address, eid_sync_done done, void *ctx,
                                                  eid_sync_call **call);

/* ---- Asking for access ---- */

/* Asks with this key for this permission and, when it is granted, fetches the database. `key_name` is shown to the approver
 * (NULL: the key's text).
 * EID_ERR_BOOTSTRAP_PENDING when an admin of the peer has to approve first; EID_ERR_INVALID_ARGUMENT for an empty key name. */
EID_API eid_status eid_sync_with_peer_for_bootstrap_with_key(eid_sync *sync, const char *address, const eid_id *database,
                                                             const eid_keypair *key, const char *key_name,
                                                             eid_permission permission, eid_sync_result *result);
EID_API eid_status eid_sync_with_peer_for_bootstrap_with_key_async(eid_sync *sync, const char *address,
                                                                   const eid_id *database, const eid_keypair *key,
                                                                   const char *key_name, eid_permission permission,
                                                                   eid_sync_done done, void *ctx, eid_sync_call **call);
/* The same with a named key of the instance (eid_instance_add_private_key), whose name goes along.
 * EID_ERR_PRIVATE_KEY_NOT_FOUND. */
EID_API eid_status eid_sync_with_peer_for_bootstrap(eid_sync *sync, const char *address, const eid_id *database,
                                                    const char *key_name, eid_permission permission,
                                                    eid_sync_result *result);
EID_API eid_status eid_sync_with_peer_for_bootstrap_async(eid_sync *sync, const char *address, const eid_id *database,
                                                          const char *key_name, eid_permission permission,
                                                          eid_sync_done done, void *ctx, eid_sync_call **call);
EID_API eid_status eid_sync_bootstrap_with_ticket(eid_sync *sync, const eid_ticket *ticket, const eid_keypair *key,
                                                  const char *key_name, eid_permission permission,
                                                  const eid_doc *metadata_or_null, eid_sync_result *result);
EID_API eid_status eid_sync_bootstrap_with_ticket_async(eid_sync *sync, const eid_ticket *ticket, const eid_keypair *key,
                                                        const char *key_name, eid_permission permission,
                                                        const eid_doc *metadata_or_null, eid_sync_done done, void *ctx,
                                                        eid_sync_call **call);

/* Asks for access with the user's default key and, when it is granted, fetches the database and tracks it; with it, where only they
 * tell what the key may do, the databases it delegates to, as far as the peer gives them. They have to be kept in step too.
 * EID_ERR_BOOTSTRAP_PENDING when an admin of the peer has to approve first: ask again later, or use the next one. */
EID_API eid_status eid_user_request_database_access(eid_user *user, const eid_ticket *ticket, eid_permission permission,
                                                    eid_sync_result *result);
/* The user must not log out before the call is over. */
EID_API eid_status eid_user_request_database_access_async(eid_user *user, const eid_ticket *ticket,
                                                          eid_permission permission, eid_sync_done done, void *ctx,
                                                          eid_sync_call **call);
/* The same, but goes on asking until it is granted, refused (EID_ERR_BOOTSTRAP_REJECTED) or cancelled: the engine asks again
 * after 2, 4, 8 … 64 seconds, and as soon as the peer shows itself. It may be called again after a restart: what was asked
 * before is not asked anew, only looked after. A Rust peer does not tell that it refused. On success the database is here and
 * tracked, with sync as `settings` says (NULL: off). The user must not log out before the call is over. */
EID_API eid_status eid_user_await_database_access(eid_user *user, const eid_ticket *ticket, eid_permission permission,
                                                  const eid_sync_settings *settings, eid_sync_done done, void *ctx,
                                                  eid_sync_call **call);
/* Sync of a database the user tracks, signed by the key the user has for it. */
EID_API eid_status eid_user_sync_with_ticket(eid_user *user, const eid_ticket *ticket, eid_sync_result *result);
EID_API eid_status eid_user_sync_with_ticket_async(eid_user *user, const eid_ticket *ticket, eid_sync_done done, void *ctx,
                                                   eid_sync_call **call);

/* ---- Requests for access that wait for an admin ---- */

typedef struct eid_bootstrap_request {
    char id[37];
    eid_id database;
    eid_pubkey key;
    char *key_name;
    eid_permission permission;
    char *status;     /* "Pending", "Approved", "Rejected" */
    char *timestamp;  /* RFC 3339 */
    char *address;    /* the request came from, "transport:text"; NULL when it is not known */
    eid_doc *metadata; /* for the approver; NULL when none came. A stranger wrote it, and `key_name` */
    char *decided_by; /* with `decided_at`, RFC 3339; NULL while it is pending */
    char *decided_at;
} eid_bootstrap_request;

/* Every request of that status (NULL: all), oldest first; free with eid_bootstrap_requests_free. Requests are never deleted:
 * those decided are the history. Who asks for the same again while it is pending has one request. A program that wants to be
 * told of new ones listens to the store "bootstrap_requests" of eid_sync_sync_tree (eid_database_on_store_write). */
EID_API eid_status eid_sync_list_bootstrap_requests(eid_sync *sync, const char *status, eid_bootstrap_request **out,
                                                    size_t *count);
EID_API eid_status eid_sync_pending_bootstrap_requests(eid_sync *sync, eid_bootstrap_request **out, size_t *count);
EID_API eid_status eid_sync_approved_bootstrap_requests(eid_sync *sync, eid_bootstrap_request **out, size_t *count);
EID_API eid_status eid_sync_rejected_bootstrap_requests(eid_sync *sync, eid_bootstrap_request **out, size_t *count);
EID_API void eid_bootstrap_requests_free(eid_bootstrap_request *requests, size_t count);
/* One of them, EID_ERR_REQUEST_NOT_FOUND; free as a list of one. */
EID_API eid_status eid_sync_get_bootstrap_request(eid_sync *sync, const char *request_id, eid_bootstrap_request **out);
/* The user must be Admin of the database. Approving lists the key and records the decision in one step, all or nothing. The
 * peer that asked learns of either decision: at once when it can be reached from here, else when it asks next.
 * EID_ERR_REQUEST_NOT_FOUND, EID_ERR_REQUEST_STATE when it is decided already, EID_ERR_PERMISSION_DENIED. */
EID_API eid_status eid_user_approve_bootstrap_request(eid_user *user, const char *request_id);
EID_API eid_status eid_user_reject_bootstrap_request(eid_user *user, const char *request_id);
/* The same with a key in place of a user, given or by its name (eid_instance_add_private_key;
 * EID_ERR_PRIVATE_KEY_NOT_FOUND). */
EID_API eid_status eid_sync_approve_bootstrap_request_with_key(eid_sync *sync, const char *request_id, const eid_keypair *key);
EID_API eid_status eid_sync_reject_bootstrap_request_with_key(eid_sync *sync, const char *request_id, const eid_keypair *key);
EID_API eid_status eid_sync_approve_bootstrap_request(eid_sync *sync, const char *request_id, const char *key_name);
EID_API eid_status eid_sync_reject_bootstrap_request(eid_sync *sync, const char *request_id, const char *key_name);

#ifdef __cplusplus
}
#endif

#include <eidetica/sync_engine.h>
#include <eidetica/sync_peers.h>
#endif
