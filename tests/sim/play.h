/* SPDX-License-Identifier: Apache-2.0 */
/* One run of the simulator: peers that share databases, a time of trouble, a time to heal, and what must be
 * true then. */
#ifndef EID_TESTS_SIM_PLAY_H
#define EID_TESTS_SIM_PLAY_H

#include "base/map.h"
#include "world.h"

/* A commit of an honest peer. */
typedef struct made {
    bool acknowledged; /* the commit came back before the process died */
    bool durable;      /* nothing that happens to its peer may cost it */
    bool lost;         /* a power cut has taken what was not promised */
    size_t by;
    uint64_t at_ms;
} made;

typedef struct shared {
    eid_id id;
    size_t owner;
    bool open;           /* everybody may write; else those with listed keys */
    bool devices;        /* device keys are listed too, as readers; else the engine needs the users' */
    bool delegated;      /* what a member of the first database may do there it may here */
    bool hostile_writes; /* the hostile peer's key is listed */
    bool member[PEERS];
    bool writes[PEERS];
    bool late[PEERS];          /* joins when the trouble has begun */
    bool asked[PEERS];         /* a call that joins is under way */
    bool shut_out[PEERS];      /* has lost every right */
    bool linked[PEERS][PEERS]; /* knows the address of */
    eid_sync_settings wishes[PEERS];
    eid_map *made; /* ID bytes -> made */
} shared;

typedef struct foe foe;

typedef struct play {
    world w;
    shared databases[DATABASES];
    size_t database_count;
    bool troubled;        /* peers may die, the network may do anything */
    bool bulky;           /* large entries and many of them */
    bool was_full[PEERS]; /* its disk has had no room at some time: commits may have failed */
    unsigned commits, deaths, cuts, revocations;
    foe *foe; /* NULL: nobody is hostile */
} play;

typedef struct outcome {
    uint64_t trace;     /* hash of all that happened */
    uint64_t healed_ms; /* virtual time until all agreed */
    uint64_t allowed_ms;
    size_t entries; /* of the databases, at the end */
    unsigned commits, deaths, cuts, revocations;
    uint64_t thrown, planted; /* by the hostile peer: bodies, entries that were admitted */
} outcome;

/* Runs one seed and asserts all that must be true. */
outcome play_seed(uint64_t seed, bool loud);

/* foe.c */
foe *foe_new(play *p);
void foe_free(foe *f);
void foe_list(foe *f, eid_txn *txn); /* stages its key as a writer */
void foe_begin(foe *f);              /* from now on it does what it can */
void foe_end(foe *f);                /* it only answers */
/* True when the hostile peer may have made this entry by the rules: it is signed by its key where it may
 * write. */
bool foe_may_have_made(const foe *f, const shared *s, const eid_entry *entry);
uint64_t foe_thrown(const foe *f);

/* play.c. The entry's record, made when it is new. */
made *play_note(shared *s, const eid_id *id);
eid_id play_id_of(const eid_map_entry *record);
bool play_holds(play *p, size_t who, const eid_id *id);
bool play_is_alive(play *p, size_t who);                      /* up, and its disk takes what it writes */
bool play_counts(const play *p, const shared *s, size_t who); /* must have all of the database */
bool play_is_somebody_missing(void *play);
eid_sync_settings play_some_wish(world *w);
eid_status play_track(play *p, size_t who, size_t which);
void play_open(play *p, size_t who, size_t which); /* the handle, when the database is there */
void play_flush(play *p, size_t who); /* what was committed so far will not be lost, whatever comes */

/* trouble.c */
void trouble_begin(play *p, uint64_t turns);
bool trouble_is_on(void *play);
void trouble_end_peer(world *w, size_t who);    /* whose disk froze; it comes back later */
void trouble_wake_peer(world *w, uint64_t who); /* nothing when it is up */

/* judge.c */
bool judge_agreement(play *p);
void judge_tell(play *p); /* prints what each has */
uint64_t judge_time_allowed(const play *p);
void judge_all(play *p, outcome *out);
void judge_silence(play *p);

#endif
