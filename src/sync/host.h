/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine stands on: a clock, chance, a thread of its own and hands for slow work. The library's host is the
 * loop of src/transport/loop.c; the simulator and some tests bring one without threads, on a clock of their own.
 *
 * Two kinds of threads. The engine's thread runs what was posted, one piece after the other, and never waits. Hands run
 * what may take long (parsing, signatures, storage), several pieces at a time, and the program's callbacks, those one
 * after the other.
 */
#ifndef EID_SYNC_HOST_H
#define EID_SYNC_HOST_H

#include <stdbool.h>
#include <stdint.h>

/* A piece of work; it belongs to whoever hands it over and stands in one queue at a time. */
typedef struct eid_work eid_work;
struct eid_work {
    void (*run)(eid_work *work);
    void (*done)(eid_work *work); /* on the engine's thread, after run; NULL: nothing follows, run may free it */
    eid_work *next;               /* of the host */
};

typedef struct eid_host eid_host;

typedef struct eid_host_functions {
    uint64_t (*now_ms)(eid_host *host); /* monotonic; any thread */
    uint64_t (*random)(eid_host *host); /* the engine's thread */
    /* Runs `run` on the engine's thread, soon, in order; work without `done`. Any thread. */
    void (*post)(eid_host *host, eid_work *work);
    /* Runs `run` on a hand, then `done` on the engine's thread. Any thread. */
    void (*work)(eid_host *host, eid_work *work);
    /* The same on the one hand that makes the program's callbacks, in order. Any thread. */
    void (*call_back)(eid_host *host, eid_work *work);
    /* Runs `wake` on the engine's thread at that time, or at once when it is past; each call replaces the one before.
     * UINT64_MAX: never. The engine's thread. */
    void (*alarm)(eid_host *host, uint64_t at_ms, eid_work *wake);
    /* True on threads that the engine needs to go on: whoever waits there waits for ever. */
    bool (*is_needed)(eid_host *host);
    /* True on the hand that makes callbacks: whoever waits there for a callback waits for ever. NULL: never. */
    bool (*is_calling_back)(eid_host *host);
    /* For hosts without threads: does one thing that is due and returns true; false when nothing is. NULL for hosts
     * that go on by themselves. */
    bool (*pump)(eid_host *host);
    /* Ends the threads when all queues are empty, and frees. Not from a thread of the host. */
    void (*close)(eid_host *host);
} eid_host_functions;

struct eid_host {
    const eid_host_functions *functions;
};

#endif
