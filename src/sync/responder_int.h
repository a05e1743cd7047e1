/* SPDX-License-Identifier: Apache-2.0 */
/* What both forms of the protocol ask before a stranger learns or changes anything; defined in responder.c.
 */
#ifndef EID_SYNC_RESPONDER_INT_H
#define EID_SYNC_RESPONDER_INT_H

#include "sync/sync_int.h"

/* One request being answered. */
typedef struct eid_serving {
    eid_sync *sync;
    const eid_request_origin *origin;
    eid_buf *answer;
    bool has_sender; /* the device key the transport was told; a claim */
    eid_pubkey sender;
} eid_serving;

void eid_serving_begin(eid_serving *serving, eid_sync *sync, const eid_request_origin *origin,
                       eid_buf *answer);
/* EID_OK when the asker may read the database it names: it is held and shared, the asker is not blocked, and
 * where not everybody may read, its proof is of a key that may, whose nonce is spent by this. Otherwise the
 * sentence it is told. */
eid_status eid_serving_may_read(eid_serving *serving, const eid_tree_request *request);
/* The asker was served: it takes part in the database. */
void eid_serving_note_relation(eid_serving *serving, const eid_tree_request *request);
bool eid_serving_sender_is_blocked(const eid_serving *serving);
/* Stores entries of one database; the number that is now here, waiting ones included. None when it is not
 * shared. */
uint64_t eid_serving_store(eid_serving *serving, const eid_id *database, eid_entry *const *entries,
                           size_t count);

#endif
