/* SPDX-License-Identifier: Apache-2.0 */
/* The sync object and what its files share.
 *
 * Locks, in the order they may be nested: transports_lock (shared while a transport is handed something, alone while the
 * list changes), write_mutex (one reading-and-writing of `_sync` at a time, commits included), the engine's mutex,
 * cache_mutex (short, nothing is called under it).
 */
#ifndef EID_SYNC_SYNC_INT_H
#define EID_SYNC_SYNC_INT_H

#include <pthread.h>

#include "base/limits.h"
#include "base/map.h"
#include "base/random.h"
#include "database/txn.h"
#include "instance/instance.h"
#include "sync/message.h"
#include "sync/request_auth.h"
#include "sync/transport.h"

/* Stores of `_sync`, sync-behaviour.md section 10. */
#define EID_SYNC_DB_NAME         "_sync"
#define EID_STORE_PEERS          "peers"
#define EID_STORE_TREES          "trees"
#define EID_STORE_REQUESTS       "bootstrap_requests"
#define EID_STORE_DATABASE_USERS "database_users"
#define EID_STORE_USER_TRACKING  "user_tracking"
#define EID_STORE_SETTINGS_MAP   "settings_map"

/* A growing list of IDs. */
typedef struct eid_id_array {
    eid_id *items;
    size_t count;
    size_t capacity;
} eid_id_array;
eid_status eid_id_array_add(eid_id_array *list, const eid_id *ids, size_t count);
void eid_id_array_free(eid_id_array *list); /* leaves it empty */

typedef struct eid_named_transport {
    char *name;
    eid_transport *transport;
} eid_named_transport;
#define EID_STORE_OWN_DATABASES  "instance_databases" /* of this library: ID text -> true, the instance's own wishes */

typedef void (*eid_settings_hook)(eid_sync *sync, const eid_id *database, void *ctx); /* see preferences.c below */

struct eid_sync {
    eid_instance *instance;
    eid_core *core;
    const eid_clock *clock;
    const eid_keypair *device_key;
    eid_pubkey device;
    char device_text[EID_PUBKEY_TEXT_SIZE];
    eid_database *database; /* `_sync`, signing with the device key */

    pthread_rwlock_t transports_lock;
    eid_named_transport transports[EID_LIMIT_TRANSPORTS];
    size_t transport_count;

    pthread_mutex_t write_mutex;
    size_t peer_count;      /* records in `peers` */
    eid_map *request_index; /* see requests.c */

    pthread_mutex_t cache_mutex;
    eid_map *shared;   /* binary ID of a database -> eid_shared: preferences.c */
    eid_settings_hook settings_hook;
    void *settings_hook_ctx;

    struct eid_engine *engine;
    eid_nonces nonces;
};

/* ---- Texts ---- */

void eid_sync_now(const eid_sync *sync, char out[]); /* RFC 3339, EID_RFC3339_SIZE bytes */

/* ---- peers.c: peers and which databases they take part in ---- */

eid_status eid_peers_load(eid_sync *sync);
/* Registers the peer, or adds the addresses it does not have yet. Writes only what is new; bounded by
 * limits.h, what is beyond is left out silently. The engine hears of it. */
eid_status eid_peer_note(eid_sync *sync, const eid_pubkey *peer, const char *display_name,
                         eid_address *const *addresses, size_t count);
/* Records that the peer takes part in the database; nothing when it does already or is not registered. */
eid_status eid_relation_note(eid_sync *sync, const eid_id *database, const eid_pubkey *peer);

/* ---- preferences.c: what may be served ---- */

typedef struct eid_shared_user {
    char uuid[EID_UUID_TEXT_SIZE];
} eid_shared_user;

/* The combined wish of the users who sync a database, and of the instance. */
typedef struct eid_shared {
    eid_id database;
    eid_shared_user *users; /* in the order they came */
    size_t user_count;
    bool own;               /* the instance wishes it too, on every commit */
    eid_sync_settings settings;
} eid_shared;

eid_status eid_shared_load(eid_sync *sync);
void eid_shared_free(void *shared);
/* The instance's hooks, with the sync object as ctx: recompute what the change of preferences changes; a database made by
 * eid_instance_new_database takes part. */
void eid_preferences_changed(eid_instance *instance, const char *user_uuid, const eid_id *private_database,
                             const eid_id *database, void *ctx);
void eid_sync_on_new_database(eid_instance *instance, const eid_id *database, void *ctx);
/* One listener: called after the combined settings of a database changed (eid_sync_combined_settings tells what they are
 * now), without locks, from the thread that changed them. NULL removes it. */
void eid_sync_set_settings_hook(eid_sync *sync, eid_settings_hook hook, void *ctx);
/* The gate: may peers have this database? Never true for system databases and users' private ones. */
bool eid_sync_is_shared(eid_sync *sync, const eid_id *database);
/* What the engine needs of the combined settings; false when nobody shares the database. */
typedef struct eid_wish {
    bool on_commit;
    uint64_t interval_seconds; /* 0: the default */
} eid_wish;
bool eid_sync_wish(eid_sync *sync, const eid_id *database, eid_wish *out);
/* Every database the gate is open for, in order of IDs, at most `limit`; eid_free. */
eid_status eid_sync_shared_databases(eid_sync *sync, size_t limit, eid_id **out, size_t *count);

/* ---- requests.c: requests for access ---- */

eid_status eid_requests_load(eid_sync *sync);
/* The ID of the pending request of this key for this permission; filed now when there is none. EID_ERR_LIMIT;
 * EID_ERR_BOOTSTRAP_REJECTED when it was rejected too often. */
eid_status eid_request_file(eid_sync *sync, const eid_tree_request *request, const eid_request_origin *origin,
                            char id[EID_UUID_TEXT_SIZE]);

typedef enum eid_decision { EID_DECISION_PENDING, EID_DECISION_APPROVED, EID_DECISION_REJECTED } eid_decision;
const char *eid_decision_name(eid_decision decision); /* "Pending", "Approved", "Rejected" */

/* How a refusal by an admin begins in an Error answer, by which requesters know it; ID, ")" and more follow. */
#define EID_REJECTED_BEGINNING "Bootstrap request rejected (request_id: "

/* Whether the latest request of the key was rejected, and none is pending; its ID. For who has proven the key. */
bool eid_request_was_rejected(eid_sync *sync, const eid_id *tree, const eid_pubkey *key, char id[EID_UUID_TEXT_SIZE]);

/* A record of `bootstrap_requests`, sync-behaviour.md section 6. */
typedef struct eid_request_record {
    eid_id tree;
    eid_pubkey key;
    char *key_name;
    eid_permission permission;
    char *timestamp;
    eid_decision decision;
    char *decided_by; /* NULL while pending */
    char *decided_at;
    eid_address *peer_address; /* NULL when unknown */
    eid_doc *metadata;         /* NULL when none */
} eid_request_record;

void eid_request_record_free(eid_request_record *record); /* the members */
void eid_request_record_write(eid_buf *buf, const eid_request_record *record);
eid_status eid_request_record_read(eid_slice row, eid_request_record *out);

eid_status eid_request_get(eid_sync *sync, const char *id, eid_request_record *out); /* EID_ERR_REQUEST_NOT_FOUND */
/* EID_ERR_REQUEST_NOT_FOUND; EID_ERR_REQUEST_STATE unless it is pending. */
eid_status eid_request_get_pending(eid_sync *sync, const char *id, eid_request_record *out);
/* Stages the record as the row of this ID; write_mutex is held. */
eid_status eid_request_stage(eid_sync *sync, const char *id, const eid_request_record *record, eid_txn **out);
/* After the decision was written, under the same lock: it is not pending any more. True when it is known who asked. */
bool eid_request_settled(eid_sync *sync, const char *id, const eid_request_record *record, eid_pubkey *peer);

/* decisions.c: decides with the key of a handle on the requested database. */
eid_status eid_request_decide_with(eid_sync *sync, const char *id, eid_database *handle, eid_decision decision);

/* ---- responder.c ---- */

/* The eid_request_handler of every transport; ctx is the sync object. */
eid_handle_result eid_sync_handle(eid_slice body, const eid_request_origin *origin, eid_buf *answer, eid_source **rest,
                                  void *ctx);

/* ---- transports, in sync.c ---- */

/* Hands the exchange to the transport of the address; *out is that transport. EID_ERR_NO_TRANSPORT_ENABLED,
 * EID_ERR_NO_TRANSPORT_FOR_ADDRESS. The engine's thread. */
eid_status eid_sync_carry(eid_sync *sync, const eid_address *address, eid_exchange *exchange, eid_transport **out);
/* EID_ERR_NO_TRANSPORT_ENABLED while there is none. */
eid_status eid_sync_need_transport(eid_sync *sync);
/* Addresses of the running servers; eid_addresses_free. */
eid_status eid_sync_own_addresses(eid_sync *sync, eid_address ***out, size_t *count);

#endif
