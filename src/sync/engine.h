/* SPDX-License-Identifier: Apache-2.0 */
/* The engine: what keeps shared databases in step with their peers, and carries the calls of the program.
 *
 * The engine knows each peer as a neighbour (addresses, how the last contact went) and each pair of neighbour and
 * database as a link. A link knows what the peer holds (`known`: entries it has with all their ancestors) and when
 * something is to be done: a push (we have what `known` does not cover) or a full sync (asking, then pushing). That is all
 * the queue there is: what is to be sent is worked out from `known` when it is sent, so a thousand commits while a
 * peer is away cost one mark, and nothing is lost when the process dies.
 *
 * Work happens in sessions: a conversation with one peer, a chain of steps (steps.c) that run on hands of the host and ask
 * for one exchange each. The engine's thread only starts exchanges and hands results on. The engine's own sessions are one
 * at a time for each peer; calls of the program have sessions of their own.
 *
 * Everything here may be called from any thread unless it says otherwise. The mutex is never held while anything outside
 * the engine is called, except the sync object's caches.
 */
#ifndef EID_SYNC_ENGINE_H
#define EID_SYNC_ENGINE_H

#include <pthread.h>

#include "sync/sync_int.h"

typedef struct eid_engine eid_engine;

/* Loads what is remembered. No thread is started. */
eid_status eid_engine_new(eid_sync *sync, eid_engine **out);
/* Gives the engine a host, which it owns from then on, and lets it begin. Only once. */
void eid_engine_start(eid_engine *engine, eid_host *host);
eid_host *eid_engine_host(eid_engine *engine); /* NULL before the start */
/* Breaks off what is under way, waits for callbacks, saves, ends the threads of the host (not before `close_transports`
 * was called). At most a few slices of work, see eid_limits. */
void eid_engine_stop(eid_engine *engine, void (*close_transports)(eid_sync *sync));
void eid_engine_free(eid_engine *engine); /* stopped, or never started; NULL is allowed */

/* ---- What others tell the engine ---- */

/* The record of a peer, as it is now. NULL display name: none. */
eid_status eid_engine_set_neighbour(eid_engine *engine, const eid_pubkey *peer, eid_peer_status status,
                                    eid_address *const *addresses, size_t count);
eid_status eid_engine_set_relation(eid_engine *engine, const eid_id *database, const eid_pubkey *peer, bool related);
/* Entries were stored: the eid_core_hook. */
void eid_engine_hook(const eid_id *database, eid_entry *const *entries, size_t count, eid_write_source source, void *ctx);
/* The peer has these entries with their ancestors: it sent them. A claim is enough, a full sync puts it right. */
void eid_engine_heard(eid_engine *engine, const eid_pubkey *peer, const eid_id *database, eid_entry *const *entries,
                      size_t count);
/* The peer has exactly these entries and their ancestors, as far as is known. */
void eid_engine_learn(eid_engine *engine, const eid_pubkey *peer, const eid_id *database, const eid_id *tips, size_t count);
/* The peer showed itself: if it is waiting to be tried again, now is a good moment. */
void eid_engine_seen(eid_engine *engine, const eid_pubkey *peer);
/* Shakes hands with the peer, soon: it is waiting to hear of something. */
void eid_engine_greet(eid_engine *engine, const eid_pubkey *peer);
/* Entries wait for parents somebody else has: ask this peer, or with NULL all peers of the database. */
void eid_engine_ask(eid_engine *engine, const eid_pubkey *peer, const eid_id *database);
/* Whether the database (NULL: any) is shared, or how often it is synced, has changed. */
void eid_engine_wishes_changed(eid_engine *engine, const eid_id *database);

/* ---- What others ask ---- */

/* When the database was last written to, in seconds since the epoch; 0: not known. */
uint64_t eid_engine_modified(eid_engine *engine, const eid_id *database);
bool eid_engine_is_blocked(eid_engine *engine, const eid_pubkey *peer);
/* The policy for addresses strangers name. */
bool eid_engine_dials_special(eid_engine *engine);

/* Appends the IDs the peer is known to hold. */
eid_status eid_engine_known(eid_engine *engine, const eid_pubkey *peer, const eid_id *database, eid_id_array *out);

#endif
