/* SPDX-License-Identifier: Apache-2.0 */
/* Peers: who they are, where they are, which databases they take part in.
 *
 * A peer is another instance, named by its device key. It is registered by hand, by the first sync or handshake with it,
 * or by its own handshake here, which proves nothing: before anything is sent to a peer it has to sign a challenge at
 * the address it is sent to. Records stand in the `_sync` database and survive restarts.
 */
#ifndef EIDETICA_SYNC_PEERS_H
#define EIDETICA_SYNC_PEERS_H

#include <eidetica/sync.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Registration ---- */

/* EID_ERR_PEER_EXISTS, also when the peer is blocked; EID_ERR_LIMIT. `display_name` may be NULL. */
EID_API eid_status eid_sync_register_peer(eid_sync *sync, const eid_pubkey *peer, const char *display_name);
/* Blocks the peer and takes it out of every database. Its record stays: a forgotten peer could come back as a new one.
 * eid_sync_update_peer_status brings it back. EID_ERR_PEER_NOT_FOUND. */
EID_API eid_status eid_sync_remove_peer(eid_sync *sync, const eid_pubkey *peer);

typedef enum eid_peer_status {
    EID_PEER_ACTIVE = 0,
    EID_PEER_INACTIVE = 1, /* not contacted by the engine; served when it asks */
    EID_PEER_BLOCKED = 2   /* neither contacted nor served nor listed */
} eid_peer_status;
EID_API const char *eid_peer_status_str(eid_peer_status status); /* "Active", "Inactive", "Blocked" */
/* EID_ERR_PEER_NOT_FOUND. */
EID_API eid_status eid_sync_update_peer_status(eid_sync *sync, const eid_pubkey *peer, eid_peer_status status);

typedef enum eid_connection_state {
    EID_PEER_DISCONNECTED = 0, /* not tried yet, or nothing to be tried */
    EID_PEER_CONNECTING = 1,
    EID_PEER_CONNECTED = 2,    /* the last contact succeeded */
    EID_PEER_FAILED = 3        /* the last contact failed: last_error */
} eid_connection_state;

typedef struct eid_peer_info {
    eid_pubkey pubkey;
    char *display_name;   /* NULL when none */
    char *status;         /* "active", "inactive", "blocked" */
    char **addresses;     /* "transport:text", NULL-terminated */
    eid_peer_status peer_status;
    char *first_seen;     /* RFC 3339; NULL when the record has none */
    char *last_seen;      /* likewise; the later of the record's and the last contact of this run */
    eid_connection_state connection_state;
    uint64_t connection_attempts;  /* failed ones since the last success */
    char *last_error;              /* of the last failed contact; NULL: the last one succeeded */
    char *last_successful_sync;    /* RFC 3339; NULL: none yet */
} eid_peer_info;
/* All but the blocked ones. */
EID_API eid_status eid_sync_list_peers(eid_sync *sync, eid_peer_info **out, size_t *count);
/* EID_ERR_PEER_NOT_FOUND for unknown and blocked ones. Free as a list of one. */
EID_API eid_status eid_sync_get_peer_info(eid_sync *sync, const eid_pubkey *peer, eid_peer_info **out);
EID_API void eid_peer_infos_free(eid_peer_info *peers, size_t count);

/* ---- Addresses ---- */

/* All are tried, the one that answered last first. At most 16 a peer (EID_ERR_LIMIT). One that is known already changes
 * nothing. EID_ERR_PEER_NOT_FOUND. */
EID_API eid_status eid_sync_add_peer_address(eid_sync *sync, const eid_pubkey *peer, const eid_address *address);
/* *removed (may be NULL) tells whether it was there. */
EID_API eid_status eid_sync_remove_peer_address(eid_sync *sync, const eid_pubkey *peer, const eid_address *address,
                                                bool *removed);
/* Those of one transport (NULL: all), in the order they were added. Free with eid_sync_addresses_free. */
EID_API eid_status eid_sync_get_peer_addresses(eid_sync *sync, const eid_pubkey *peer, const char *transport_or_null,
                                               eid_address ***out, size_t *count);
EID_API void eid_sync_addresses_free(eid_address **addresses, size_t count);

/* ---- Which databases a peer takes part in ---- */

/* The engine pushes commits of a shared database to its peers and asks them in its rounds. Made by every successful sync;
 * EID_ERR_PEER_NOT_FOUND. */
EID_API eid_status eid_sync_add_tree_sync(eid_sync *sync, const eid_pubkey *peer, const eid_id *database);
EID_API eid_status eid_sync_remove_tree_sync(eid_sync *sync, const eid_pubkey *peer, const eid_id *database);
EID_API eid_status eid_sync_get_peer_trees(eid_sync *sync, const eid_pubkey *peer, eid_id **out, size_t *count); /* eid_free */
EID_API eid_status eid_sync_get_tree_peers(eid_sync *sync, const eid_id *database, eid_pubkey **out, size_t *count);
EID_API bool eid_sync_is_tree_synced_with_peer(eid_sync *sync, const eid_pubkey *peer, const eid_id *database);

/* Peer, addresses and relation in one step; what is there already stays. The engine syncs the database at once. Its
 * requests are signed by the device key or, where that has no right, by the key of a user who is logged in and has one. */
EID_API eid_status eid_sync_register_sync_peer(eid_sync *sync, const eid_pubkey *peer, const char *display_name,
                                               const eid_id *database, const eid_address *const *addresses,
                                               size_t address_count);

/* ---- What a peer offers ---- */

typedef struct eid_offered_tree {
    eid_id id;
    char *name;             /* NULL when the peer does not say */
    uint64_t entry_count;
    uint64_t last_modified; /* seconds since the Unix epoch; 0: unknown */
} eid_offered_tree;
/* The databases the peer at this address names to anybody who asks. Free with eid_offered_trees_free. */
EID_API eid_status eid_sync_discover_peer_trees(eid_sync *sync, const char *address, eid_offered_tree **out, size_t *count);
/* `trees` is lent to `done`, which is called on the engine's callback thread. */
typedef void (*eid_offered_trees_done)(eid_status status, const char *sentence, const eid_offered_tree *trees, size_t count,
                                       void *ctx);
EID_API eid_status eid_sync_discover_peer_trees_async(eid_sync *sync, const char *address, eid_offered_trees_done done,
                                                      void *ctx, eid_sync_call **call);
EID_API void eid_offered_trees_free(eid_offered_tree *trees, size_t count);

#ifdef __cplusplus
}
#endif
#endif
