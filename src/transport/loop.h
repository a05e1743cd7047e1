/* SPDX-License-Identifier: Apache-2.0 */
/* The host of a sync engine on this machine: a thread with a libuv loop, hands, and a thread for callbacks. */
#ifndef EID_TRANSPORT_LOOP_H
#define EID_TRANSPORT_LOOP_H

#include <uv.h>

#include "base/status.h"
#include "sync/host.h"

/* Starts the loop's thread; the others start when there is something for them to do. eid_host close ends them. */
eid_status eid_loop_new(eid_host **out);
/* The loop of such a host, for sockets and timers. The engine's thread only. */
uv_loop_t *eid_loop_uv(eid_host *host);
/* Runs `run(ctx)` on the engine's thread and waits until it is done. Not from a thread of the host. */
void eid_loop_call(eid_host *host, void (*run)(void *ctx), void *ctx);

#endif
