/* SPDX-License-Identifier: Apache-2.0 */
/* Records of `_sync` about peers, shared by peers.c, relations.c and peer_infos.c. write_mutex is held by who writes. */
#ifndef EID_SYNC_PEERS_INT_H
#define EID_SYNC_PEERS_INT_H

#include "sync/sync_int.h"

/* The Doc under this key of a store of `_sync`; *out NULL when there is none. Free the value. */
eid_status eid_peers_get_record(eid_sync *sync, const char *store, const char *key, eid_value **value,
                                const eid_doc **out);
eid_status eid_peers_write_record(eid_sync *sync, const char *store, const char *key, const eid_doc *record);
/* The addresses of a peer record; none when the field is absent or can not be read. */
eid_status eid_peers_addresses(const eid_doc *record, eid_address ***out, size_t *count);
eid_peer_status eid_peers_status(const eid_doc *record);

eid_status eid_relations_load(eid_sync *sync);
/* Takes the peer out of every database. */
eid_status eid_relations_end(eid_sync *sync, const eid_pubkey *peer);

#endif
