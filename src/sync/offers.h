/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the addresses a stranger names for itself are worth keeping. */
#ifndef EID_SYNC_OFFERS_H
#define EID_SYNC_OFFERS_H

#include "sync/sync_int.h"

/* Of numeric HTTP addresses, those that can be a peer's as seen from here: not link-local, metadata or other special ones
 * (unless `special`), loopback only when the request came from there too. "All addresses" (0.0.0.0), which some peers
 * name, becomes the address the request came from. Host names are kept: they are judged when they are resolved. At most
 * EID_LIMIT_PEER_ADDRESSES; eid_addresses_free. */
eid_status eid_offers_choose(eid_address *const *offered, size_t count, const eid_request_origin *origin, bool special,
                             eid_address ***out, size_t *out_count);

#endif
