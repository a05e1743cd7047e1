/* SPDX-License-Identifier: Apache-2.0 */
/* A world of peers: one clock, one list of things to come, a network that loses, delays, repeats and parts,
 * and chance from one seed. Everything runs on one thread; the same seed is the same world, to the byte. */
#ifndef EID_TESTS_SIM_WORLD_H
#define EID_TESTS_SIM_WORLD_H

#include "disk.h"
#include "sync/node.h"

#define PEERS     5 /* honest ones, at most; the one behind them is hostile */
#define HOSTILE   PEERS
#define PLACES    (PEERS + 1)
#define DATABASES 2

typedef struct world world;
typedef struct peer peer;

struct peer {
    eid_host host; /* first: the engine's */
    world *w;
    size_t index;
    char name[8]; /* its address */
    bool up;
    node n;                  /* while it is up */
    eid_pubkey device, user; /* keys */
    eid_durability durability;
    bool streams;    /* speaks the streamed form, as all but older ones do */
    int64_t skew_ms; /* of its clock */
    uint64_t booted_ms;
    uint64_t alarm_at;
    eid_work *alarm;
    eid_database *handles[DATABASES]; /* NULL: not a member, or not yet */
};

/* What the network does, in percent and milliseconds. */
typedef struct weather {
    unsigned loss, repeat,
        cut; /* of requests and of answers; of requests that come twice; of answers that break off */
    uint64_t delay_ms, tail_ms; /* usual most, and once in fifty */
    bool apart[PLACES][PLACES]; /* who does not reach whom */
} weather;

/* Somebody who is no instance answers in its own way; returns false for silence. */
typedef bool (*strange_answer)(world *w, size_t from, eid_slice body, eid_buf *answer);

struct world {
    uint64_t seed, now_ms;
    tu_random random;
    struct happening *heap;
    size_t heap_count, heap_room;
    uint64_t next_number;
    struct flight *flights;
    peer peers[PLACES];
    size_t peer_count; /* honest ones */
    weather weather;
    strange_answer hostile;               /* NULL: there is none */
    void (*on_end)(world *w, size_t who); /* a disk froze: the process is dead */
    void (*overhear)(world *w, eid_slice body);
    uint64_t trace;   /* hash of all that happened */
    bool loud;        /* says what happens */
    size_t exchanges; /* between honest peers */
    void *play;
};

/* ---- Life ---- */

void world_begin(world *w, uint64_t seed);
void world_end(world *w);
/* Opens the peer's data file, as it is on its disk, and lets its engine begin. */
void peer_start(world *w, size_t who);
/* Ends it; on a frozen disk nothing of that is kept and the disk is as it was when it froze. */
void peer_stop(world *w, size_t who);

/* ---- Time ---- */

/* Runs `run` at that time. */
void world_plan(world *w, uint64_t in_ms, void (*run)(world *w, uint64_t arg), uint64_t arg);
/* Everything that happens until then. */
void world_pass(world *w, uint64_t ms);
/* Everything that happens while calls to `wanted` are true, at most so long; false when it was not enough. */
bool world_pass_while(world *w, bool (*wanted)(void *ctx), void *ctx, uint64_t ms);

/* ---- Chance and trace ---- */

uint64_t below(world *w, uint64_t bound);
bool chance(world *w, unsigned percent);
void trace(world *w, const char *what, uint64_t a, uint64_t b);
void trace_bytes(world *w, const char *what, uint64_t a, uint64_t b, eid_slice bytes);

/* Brings a body to a peer, as from nowhere, after a delay. */
void world_throw(world *w, size_t to, const uint8_t *body, size_t len, const eid_pubkey *claimed);

#endif
