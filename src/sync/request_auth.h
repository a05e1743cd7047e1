/* SPDX-License-Identifier: Apache-2.0 */
/* Proof of key possession on tree requests (sync-protocol.md section 6.2), made and checked in one place. */
#ifndef EID_SYNC_REQUEST_AUTH_H
#define EID_SYNC_REQUEST_AUTH_H

#include <pthread.h>

#include "base/map.h"
#include "storage/storage.h"
#include "sync/message.h"

#define EID_FRESHNESS_WINDOW_MS 60000

/* Appends the bytes that are signed. `tips` are sorted and without duplicates. */
void eid_request_auth_bytes(eid_buf *buf, const eid_pubkey *server, const eid_id *tree, const eid_id *tips,
                            size_t tip_count, uint64_t timestamp_ms, eid_slice nonce);

/* Fills the proof of a request whose tree and tips are set: fresh nonce, signature by `key`. Frees with the
 * request. */
eid_status eid_request_auth_sign(eid_tree_request *request, const eid_pubkey *server, const eid_keypair *key,
                                 uint64_t now_ms);

/* Nonces spent within the window. Any thread. Bounded: EID_LIMIT_NONCES; when they are all within their
 * window a further request is refused rather than an older nonce forgotten, since a forgotten one could be
 * replayed. */
typedef struct eid_nonces {
    pthread_mutex_t mutex;
    eid_map *spent;         /* the set of key and nonce, as bytes */
    struct eid_nonce *ring; /* the same in order of time; NULL until the first */
    size_t first;           /* oldest */
    size_t count;
    eid_storage *storage;   /* where they are kept as well; NULL: in memory only */
    uint32_t slots;         /* rows there */
    uint32_t *free_slots;   /* rows whose nonces have expired */
    size_t free_count;
} eid_nonces;

eid_status eid_nonces_init(eid_nonces *nonces);
void eid_nonces_free(eid_nonces *nonces);
/* From now on they are kept in the data file too; those it holds are spent. Before the first is spent. */
eid_status eid_nonces_load(eid_nonces *nonces, eid_storage *storage);

/* Checks signature and time of the proof for this server. EID_ERR_AUTH_REQUIRED when the request carries
 * none, EID_ERR_AUTH_FAILED otherwise; the sentence is the one the peer is told. */
eid_status eid_request_auth_check(const eid_tree_request *request, const eid_pubkey *server, uint64_t now_ms);

/* Spends the nonce of a checked proof; EID_ERR_AUTH_FAILED when it was spent before. To be called last, when
 * the key was found to be allowed what it asks: so that only such keys can fill the memory. */
eid_status eid_request_auth_spend(const eid_tree_request *request, uint64_t now_ms, eid_nonces *nonces);

#endif
