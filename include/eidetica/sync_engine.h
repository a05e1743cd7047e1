/* SPDX-License-Identifier: Apache-2.0 */
/* The background engine: its settings, its queues, and what it remembers of past syncs.
 *
 * What it remembers (where each peer stood, cursors, statistics, what is still to be sent) lies in the data file beside
 * the `_sync` database, not in it: a history that grows with every sync would never end.
 */
#ifndef EIDETICA_SYNC_ENGINE_H
#define EIDETICA_SYNC_ENGINE_H

#include <eidetica/sync.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct eid_sync_config {
    size_t struct_size;
    uint64_t periodic_seconds; /* between rounds, for databases whose users say nothing else; 300 */
    uint64_t check_seconds;    /* between looks at each peer: a handshake; 60 */
    uint64_t retry_max_seconds; /* the n-th attempt waits 2^n seconds, at most these; 64 */
    bool dial_special;          /* also goes to link-local and cloud metadata addresses by itself; false */
} eid_sync_config;
#define EID_SYNC_CONFIG_INIT {sizeof(eid_sync_config), 300, 60, 64, false}
EID_API void eid_sync_get_config(eid_sync *sync, eid_sync_config *out); /* set struct_size before */
/* Effective at once. EID_ERR_INVALID_ARGUMENT for a period of 0. */
EID_API eid_status eid_sync_set_config(eid_sync *sync, const eid_sync_config *config);

/* Sends one entry to a registered peer in the background, whether or not the peer takes part in the database. For use
 * inside write callbacks: it never waits. EID_ERR_NO_TRANSPORT_ENABLED, EID_ERR_PEER_NOT_FOUND, EID_ERR_LIMIT. */
EID_API eid_status eid_sync_queue_entry(eid_sync *sync, const eid_pubkey *peer, const eid_id *entry, const eid_id *database);

/* Sends now what is still to be sent, what waits to be tried again included, and waits for it, at most so long.
 * "Network error: Flush had failures: R from retry queue, Q from new entries". At once when there is no transport. */
EID_API eid_status eid_sync_flush(eid_sync *sync, uint64_t timeout_ms);
/* EID_ERR_NO_TRANSPORT_ENABLED. */
EID_API eid_status eid_sync_flush_async(eid_sync *sync, uint64_t timeout_ms, eid_sync_done done, void *ctx,
                                        eid_sync_call **call);
EID_API eid_status eid_instance_flush_sync(eid_instance *instance, uint64_t timeout_ms); /* at once when sync is off */

/* Something that could not be sent and is tried again. */
typedef struct eid_retry {
    eid_pubkey peer;
    eid_id database;
    uint64_t attempts;        /* that failed */
    uint64_t next_attempt_ms; /* from now; 0: under way or due */
    char *last_error;
} eid_retry;
/* Free with eid_retries_free. */
EID_API eid_status eid_sync_retry_queue_list(eid_sync *sync, eid_retry **out, size_t *count);
EID_API void eid_retries_free(eid_retry *retries, size_t count);
EID_API size_t eid_sync_retry_queue_len(eid_sync *sync);

typedef struct eid_sync_engine_stats {
    size_t struct_size;
    bool running;
    uint64_t peers;      /* active ones */
    uint64_t relations;  /* pairs of peer and shared database */
    uint64_t sessions;   /* under way, calls included */
    uint64_t to_send;    /* relations with something to send, retries included */
    uint64_t completed;  /* sessions that succeeded since the start */
    uint64_t failed;
} eid_sync_engine_stats;
EID_API void eid_sync_get_engine_stats(eid_sync *sync, eid_sync_engine_stats *out); /* set struct_size before */

/* ---- What is remembered ---- */

typedef struct eid_sync_cursor {
    size_t struct_size;
    eid_pubkey peer;
    eid_id database;
    eid_id last_synced_entry;    /* the empty ID: none yet */
    uint64_t last_sync_time_ms;  /* since the Unix epoch; 0: none yet */
    uint64_t last_sync_count;    /* entries of the last sync that moved any */
    uint64_t total_synced_count; /* both directions */
} eid_sync_cursor;
/* A fresh one when nothing is known of the pair. */
EID_API eid_status eid_sync_get_sync_cursor(eid_sync *sync, const eid_pubkey *peer, const eid_id *database,
                                            eid_sync_cursor *out);

typedef struct eid_sync_metadata {
    size_t struct_size;
    eid_pubkey peer;
    uint64_t sync_established_ms;  /* since the Unix epoch; 0: never */
    uint64_t last_sync_attempt_ms;
    uint64_t last_successful_sync_ms;
    uint64_t successful_sync_count;
    uint64_t failed_sync_count;
    uint64_t total_entries_synced;
    uint64_t total_bytes_synced;
    double average_sync_duration_ms;
} eid_sync_metadata;
EID_API eid_status eid_sync_get_sync_metadata(eid_sync *sync, const eid_pubkey *peer, eid_sync_metadata *out);
/* Successes of all, from 0 to 1; 0 when there was none. */
EID_API double eid_sync_metadata_success_rate(const eid_sync_metadata *metadata);

typedef struct eid_sync_history_entry {
    eid_pubkey peer;
    eid_id database;
    uint64_t started_at_ms, completed_at_ms; /* since the Unix epoch */
    bool success;
    uint64_t entries, bytes;
    char *error; /* NULL on success */
} eid_sync_history_entry;
/* The last syncs with a peer that moved entries or failed, newest first, at most `limit`; 32 of each peer are kept. Free
 * with eid_sync_history_free. */
EID_API eid_status eid_sync_get_sync_history(eid_sync *sync, const eid_pubkey *peer, size_t limit,
                                             eid_sync_history_entry **out, size_t *count);
EID_API void eid_sync_history_free(eid_sync_history_entry *entries, size_t count);

/* Settings of the program, kept in `_sync`. *out is eid_free'd, NULL when there is none. */
EID_API eid_status eid_sync_set_setting(eid_sync *sync, const char *key, const char *value);
EID_API eid_status eid_sync_get_setting(eid_sync *sync, const char *key, char **out);

/* The `_sync` database, for reading; lent. */
EID_API eid_database *eid_sync_sync_tree(eid_sync *sync);

#ifdef __cplusplus
}
#endif
#endif
