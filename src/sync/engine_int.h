/* SPDX-License-Identifier: Apache-2.0 */
/* The insides of the engine: neighbours, links, sessions; shared by engine.c (life and timing), neighbours.c (the
 * records), session.c (the alternation of steps and exchanges), steps.c (what is said), calls.c (calls of the program),
 * forms.c (the public forms of calls), state.c (what is remembered). */
#ifndef EID_SYNC_ENGINE_INT_H
#define EID_SYNC_ENGINE_INT_H

#include <stdatomic.h>
#include <stdio.h>

#include "crypto/key.h"
#include "sync/engine.h"

#define EID_NEVER UINT64_MAX

/* A sentence into a place for one; cut when it does not fit. */
static inline void eid_text_copy(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text);
}

/* ---- Neighbours and links; guarded by the engine's mutex ---- */

typedef struct eid_neighbour eid_neighbour;
typedef struct eid_link eid_link;

/* One past sync, in a ring. */
typedef struct eid_past {
    eid_id database;
    uint64_t started_at_ms, completed_at_ms;
    bool success;
    uint64_t entries, bytes;
    char *error;
} eid_past;

struct eid_link {
    eid_neighbour *neighbour;
    eid_id database;
    eid_link *next_of_neighbour;
    eid_link *next_of_database;
    bool related;              /* the peer takes part: commits go to it */
    bool shared;               /* peers may have it: as the users wished when last asked */
    bool on_commit;            /* likewise */
    eid_id *known;             /* what the peer holds, with all ancestors; at most EID_LIMIT_REPORTED_TIPS */
    size_t known_count;
    uint64_t push_at_ms;       /* host time; EID_NEVER: nothing to push */
    uint64_t full_at_ms;       /* the next full sync */
    uint64_t not_before_ms;    /* the peer refused something: not sooner */
    unsigned attempts;         /* that were refused, one after the other */
    char *error;               /* of the last of them */
    eid_id *extra;             /* entries to send whether or not the peer takes part */
    size_t extra_count;
    eid_sync_cursor cursor;
};

struct eid_neighbour {
    eid_pubkey key;
    eid_peer_status status;
    eid_address **addresses;
    size_t address_count;
    eid_link *links;
    eid_address *good;         /* answered last; NULL: none yet */
    uint64_t proven_until_ms;  /* until then `good` need not prove the key anew */
    bool streams;              /* and spoke the streamed form */
    eid_connection_state connection;
    uint64_t last_contact_ms;  /* since the epoch */
    unsigned attempts;         /* that failed, since the last success */
    uint64_t next_attempt_ms;  /* host time */
    uint64_t next_check_ms;
    uint64_t seen_ms;          /* when it last showed itself by itself */
    char *error;
    bool busy;                 /* a session of the engine with it is under way */
    bool flushing;             /* a flush waits for what comes of the next session */
    bool queued;               /* stands in the queue of those with something to do now */
    eid_neighbour *next_queued;
    eid_sync_metadata metadata;
    eid_past past[EID_LIMIT_SYNC_HISTORY]; /* ring; `past_next` is the oldest once it is full */
    size_t past_count, past_next;
    bool unsaved;
};

/* ---- Sessions ---- */

typedef struct eid_session eid_session;

typedef enum eid_item_mode {
    EID_ITEM_FULL,   /* ask, take, push */
    EID_ITEM_PUSH,   /* send what the peer is not known to hold */
    EID_ITEM_EXTRA   /* send chosen entries */
} eid_item_mode;

/* One database in a session. */
typedef struct eid_item {
    eid_id database;
    eid_item_mode mode;
    eid_id *extra;
    size_t extra_count, extra_at;
    bool over;
    eid_status status;
    char *error;
    uint64_t entries, bytes; /* that went either way */
    uint64_t started_at_ms;  /* since the epoch */
    eid_id last;             /* last entry that went either way */
} eid_item;

/* What a call asks for when the key does not have it yet. */
typedef struct eid_asking {
    bool wanted;
    bool poll;               /* it was asked for before */
    char *key_name;
    eid_permission permission;
    eid_doc *metadata;
} eid_asking;

struct eid_session {
    eid_work work;
    eid_exchange exchange;
    eid_engine *engine;
    eid_sync *sync;
    eid_session *next, *previous; /* of the engine's list; under its mutex */
    eid_session *next_waiting;    /* of the queue for a place */
    eid_neighbour *neighbour;     /* the engine's own sessions; NULL for calls */
    eid_sync_call *call;          /* NULL for the engine's own */
    bool waiting;                 /* has no place yet; under the mutex */
    bool in_exchange;             /* the engine's thread only */
    bool working;                 /* steps run; the engine's thread only */
    bool abandoned;               /* nobody wants the answer any more; the engine's thread only */
    eid_transport *transport;     /* carries the exchange; the engine's thread only */
    atomic_bool cancelled;
    atomic_bool late;             /* cancelled by its own deadline */
    uint64_t deadline_ms;         /* host time; EID_NEVER: none */

    /* What is to be done; set before the session starts. */
    eid_address **addresses;
    size_t address_count;
    bool in_parts;                /* the answer was a part: what is asked for is the next one, not access */
    bool outside_only;            /* of the exchanges */
    bool doubtful;                /* counted as such */
    bool has_peer;                /* `peer` is who it must be, or, later, who it is */
    eid_pubkey peer;
    eid_keypair *key;             /* NULL: the device key */
    eid_asking asking;
    bool handshake_only;
    bool all_databases;
    bool want_trees;
    eid_item *items;
    size_t item_count;

    /* Where it stands: belongs to whoever runs the session at the moment. */
    eid_status (*step)(eid_session *session);
    bool sending;                 /* the step wants `body` carried */
    bool in_pieces;               /* and the answer handed over as it comes */
    bool reading;                 /* the step wants more of an answer that comes in pieces */
    bool answered;                /* there is no more: exchange_status tells how it ended */
    eid_buf piece;                /* what came of it and was not taken yet */
    bool streams;                 /* whoever answers at this address speaks the streamed form */
    struct eid_taking *taking;    /* stream_steps.c; NULL: nothing */
    eid_buf body;
    eid_status exchange_status;
    char exchange_sentence[EID_LIMIT_ERROR_TEXT];
    size_t address_at;
    bool proven;                  /* the peer at this address signed a challenge */
    bool patient;                 /* second round over the addresses, with long deadlines */
    bool impatience;              /* an address was given up early */
    uint8_t challenge[EID_LIMIT_CHALLENGE_BYTES];
    size_t item_at;
    eid_id_array peer_has;         /* of the present item */
    eid_id *own_tips;             /* as of before the push was worked out */
    size_t own_tip_count;
    eid_difference *difference;   /* what is being pushed */
    eid_entry *held_back;         /* did not fit into the last body */
    eid_buf item_text;
    size_t in_body;               /* entries in the body under way */
    uint64_t in_body_bytes;
    bool contacted;               /* the peer answered something */
    bool lost_way;                /* the failure is of the way to the peer */
    bool short_count;             /* the peer took fewer than it was sent */
    eid_offered_tree *trees;
    size_t tree_count;

    /* The outcome. */
    eid_status status;
    char sentence[EID_LIMIT_ERROR_TEXT];
    eid_sync_result result;
    eid_sync_progress progress;   /* under the call's mutex */
    uint64_t started_ms;          /* host time */
};

/* ---- A call ---- */

/* What follows the end of a call, on the callback thread. */
typedef struct eid_call_hooks {
    eid_sync_done done;                 /* NULL: none */
    void *ctx;
    void (*after)(eid_sync_call *call); /* before `done`, may change the outcome; owns `after_ctx`. NULL: none */
    void *after_ctx;
} eid_call_hooks;

struct eid_sync_call {
    atomic_int references;
    pthread_mutex_t mutex;        /* guards what follows */
    pthread_cond_t changed;
    bool over;
    bool cancelled;
    eid_session *session;         /* NULL before the start and behind the end */
    eid_engine *engine;           /* NULL behind the end */
    eid_status status;
    char *sentence;               /* NULL: none */
    eid_sync_result result;
    eid_offered_tree *trees;
    size_t tree_count;
    eid_sync_progress progress;
    bool progress_posted;
    uint64_t progress_at_ms;      /* host time of the last callback */

    eid_sync_progress_callback on_progress; /* NULL: none */
    void *progress_ctx;
    eid_call_hooks hooks;         /* set before the start */
    struct eid_watch *watch;      /* NULL for ordinary calls */
    eid_work ending, progressing;
};

/* ---- The engine ---- */

struct eid_engine {
    eid_sync *sync;
    eid_host *host;               /* NULL before the start */
    pthread_mutex_t mutex;
    pthread_cond_t idle;          /* the last session is over, or a flush went on */
    eid_sync_config config;
    bool stopping;
    eid_map *neighbours;          /* key bytes -> eid_neighbour */
    eid_map *links;               /* ID bytes of a database -> its first link */
    size_t link_count;
    eid_neighbour *queue_first, *queue_last; /* those with something to do now */
    uint64_t next_sweep_ms;       /* when the timed things have to be looked through */
    bool turn_posted;
    eid_work turn;
    eid_work alarm;
    eid_session *sessions;        /* under way or waiting */
    size_t session_count;
    eid_session *waiting_first, *waiting_last; /* calls without a place */
    size_t running, running_doubtful, running_calls;
    uint64_t completed, failed;
    bool saving;
    bool save_wanted;
    uint64_t next_save_ms;
    eid_work save;
    eid_map *modified;            /* ID bytes of a database -> when it was last written to, uint64_t since the epoch */
    bool modified_unsaved;
    struct eid_flush *flushes;    /* flush.c */
    size_t flush_retries, flush_new; /* links that failed in them */
    struct eid_watch *watches;    /* watches.c */
    uint64_t hurried_ms;          /* when they were last told to ask at once */
};

/* neighbours.c; the mutex is held */
eid_neighbour *eid_neighbour_find(const eid_engine *engine, const eid_pubkey *key);
eid_link *eid_link_find(const eid_neighbour *neighbour, const eid_id *database);
eid_status eid_link_make(eid_engine *engine, eid_neighbour *neighbour, const eid_id *database, eid_link **out);
void eid_neighbour_free(void *neighbour);
/* When something is to be done with it; EID_NEVER: nothing. */
uint64_t eid_neighbour_due(const eid_engine *engine, const eid_neighbour *neighbour, uint64_t now);
/* 2^attempts seconds, capped, a little spread. */
uint64_t eid_engine_backoff(eid_engine *engine, unsigned attempts);
void eid_engine_enqueue(eid_engine *engine, eid_neighbour *neighbour);
/* Makes sure that the engine's thread looks at time `at` at the latest. */
void eid_engine_note_time(eid_engine *engine, uint64_t at);
uint64_t eid_engine_now(const eid_engine *engine); /* 0 before the start */
uint64_t eid_engine_interval_ms(eid_engine *engine, const eid_id *database);
bool eid_link_has_to_send(const eid_link *link);

/* session.c */
eid_session *eid_session_new(eid_engine *engine);
void eid_session_free(eid_session *session);
/* Puts it into the list; it starts with the next turn. EID_ERR_CONFLICT when the engine is stopping. */
eid_status eid_session_submit(eid_session *session);
void eid_session_run(eid_session *session); /* the engine's thread: the first step */
void eid_session_cancel(eid_session *session); /* the engine's thread */
/* engine.c: the session is over; frees it. The engine's thread. */
void eid_engine_finish(eid_engine *engine, eid_session *session);

/* At the stored addresses of the neighbour; under the mutex. */
eid_status eid_session_aim(eid_session *session, const eid_neighbour *neighbour);
/* What is remembered should be written soon; under the mutex. */
void eid_engine_want_save(eid_engine *engine);
/* EID_ERR_CONFLICT on a thread the engine needs. */
eid_status eid_engine_may_wait(eid_engine *engine);

/* watches.c: a call that asks until somebody decides; `asked_before`: by an earlier call, whose request may still be there */
eid_status eid_watch_start(eid_sync *sync, const eid_ticket *ticket, const eid_keypair *key, eid_permission permission,
                           bool asked_before, eid_sync_call *call);
/* under the mutex */
uint64_t eid_watches_due(eid_engine *engine, uint64_t now); /* starts what is due; when the next is */
void eid_watches_end(eid_engine *engine);
/* Asks again sooner: the peer showed itself. */
void eid_watches_hurry(eid_engine *engine);
/* Without the mutex: true when the call is a watch and waits on; its outcome is not an end. */
bool eid_watch_goes_on(eid_sync_call *call);
/* Ends a watch that is resting. The engine's thread, without the mutex. */
void eid_watch_cancel(eid_sync_call *call);

/* flush.c; under the mutex: ends those that are over */
void eid_flushes_look(eid_engine *engine, uint64_t now);
/* Without it: ends the flush of this call, if it is one. The engine's thread. */
void eid_flush_cancel(eid_engine *engine, const eid_sync_call *call);

/* steps.c */
eid_status eid_step_begin(eid_session *session);
eid_status eid_step_next_item(eid_session *session);
void eid_session_forget_item(eid_session *session);
eid_status eid_session_add_item(eid_session *session, const eid_id *database, eid_item_mode mode);

/* of them, what stream_steps.c uses too */
eid_item *eid_session_item(eid_session *session); /* the present one */
/* Leaves `body` to be carried; `step` judges the answer. */
eid_status eid_session_send(eid_session *session, size_t answer_max, uint64_t total_ms, eid_status (*step)(eid_session *s));
/* Asks for the item in the form all peers speak. */
eid_status eid_session_ask(eid_session *session, eid_item *item);
/* Signs the request, whose database and tips or question are set, with the session's key: the one that was given, the device's, or
 * that of somebody who works in the database. */
eid_status eid_session_sign(eid_session *session, eid_tree_request *tree);
/* The access the session asks for is not there yet. */
bool eid_session_lacks_access(eid_session *session, const eid_id *database);
/* What may be said to be held: see steps.c. */
eid_status eid_session_keep_held(eid_sync *sync, eid_id_array *list, bool *all);
/* Judges and stores some entries the peer sent, all of the present item's database. */
eid_status eid_session_take(eid_session *session, eid_entry **entries, size_t count, eid_receipt *receipt);
/* The item goes on with what the peer lacks, by what it has: peer_has; nothing when all came from it just now. */
eid_status eid_session_begin_push(eid_session *session, bool complete);

/* The peer holds exactly what is below own_tips. */
void eid_session_skip_push(eid_session *session);

/* stream_steps.c: the same in the streamed form */
eid_status eid_stream_ask(eid_session *session);
void eid_taking_free(struct eid_taking *taking); /* NULL is allowed */
void eid_stream_push_head(eid_session *session); /* begins `body` */
eid_status eid_stream_read_pushed(eid_session *session, uint64_t *taken);

/* recover.c */
eid_status eid_session_take_exchange(eid_session *session); /* judges how the exchange ended */
/* What to do after a failure: EID_OK and a step set when the session goes on otherwise. */
eid_status eid_session_recover(eid_session *session, eid_status status);

/* calls.c */
eid_status eid_call_new(eid_engine *engine, const eid_call_hooks *hooks, eid_sync_call **out);
/* A session for the order whose end is the call's. */
enum {
    EID_ORDER_TREES = 1, /* keep the list of offered databases */
    EID_ORDER_POLL = 2   /* the access asked for was filed before: only ask what the key may do by now */
};
eid_status eid_order_session(eid_sync *sync, const eid_sync_order *order, unsigned flags, eid_sync_call *call);
/* Makes a call and starts it. On failure nothing was called and `after_ctx` is still the caller's. */
eid_status eid_call_start(eid_sync *sync, const eid_sync_order *order, unsigned flags, const eid_call_hooks *hooks,
                          eid_sync_call **out);
/* EID_ERR_CONFLICT on a thread whose waiting would stop what is waited for; `called_back`: the call has callbacks. */
eid_status eid_call_may_wait(eid_engine *engine, bool called_back);
/* delegated.c: fetches databases the ticket's database delegates to, over several steps, that are not here and that the peer gives
 * to this key; appends those that came. Waits. */
eid_status eid_sync_fetch_delegated(eid_sync *sync, const eid_ticket *ticket, const eid_keypair *key, eid_id_array *out);
/* ticket.c: a copy; eid_ticket_free. */
eid_status eid_ticket_copy(const eid_ticket *ticket, eid_ticket **out);
/* forms.c: the reference of the start goes to the program, or is given back when it does not want it (NULL). */
void eid_call_hand_out(eid_sync_call *made, eid_sync_call **call);
/* forms.c: the order for a ticket; `room` holds EID_LIMIT_TICKET_ADDRESSES and lives as long as the order. */
void eid_order_by_ticket(eid_sync_order *order, const eid_ticket *ticket, const eid_address **room);
/* Hands the ended call to the callback thread. */
void eid_call_finish(eid_sync_call *call);
void eid_call_ref(eid_sync_call *call);
void eid_call_unref(eid_sync_call *call);
/* Copies the outcome of the session and lets the callback thread end the call. The engine's thread. */
void eid_call_end(eid_sync_call *call, eid_session *session);
void eid_call_progress(eid_session *session);

/* state.c */
eid_status eid_state_load(eid_engine *engine, eid_neighbour *neighbour);
eid_status eid_state_load_modified(eid_engine *engine);
void eid_state_save_some(eid_engine *engine); /* on a hand */
void eid_state_note(eid_engine *engine, eid_session *session); /* the mutex is held */

#endif
