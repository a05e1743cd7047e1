/* SPDX-License-Identifier: Apache-2.0 */
/* The link to the peers: a thread that syncs the room when asked and every few seconds, so that neither the
 * keyboard nor the screen ever waits for the network. */
#ifndef CHAT_LINK_H
#define CHAT_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "room.h"

enum link_kind {
    LINK_SERVING,    /* no peer to go to: the others come here */
    LINK_CONNECTING, /* the first round is not over */
    LINK_ONLINE,     /* the last round succeeded */
    LINK_OFFLINE     /* the last round failed */
};

#define LINK_PROBLEM_SIZE 512

struct link_state {
    enum link_kind kind;
    char problem[LINK_PROBLEM_SIZE]; /* LINK_OFFLINE: one sentence */
    uint64_t received, sent;         /* of the last round that succeeded */
    int64_t synced_at;               /* its end, seconds since the epoch; 0: none yet */
    uint64_t done;                   /* the last request that was served */
};

struct link;

/* The room must stay open until link_stop returned true. False when no thread can be started. */
bool link_start(struct room *room, unsigned refresh_ms, struct link **out);
/* Asks for a round that starts from now on; it is over when link_get shows done >= the number returned. */
uint64_t link_request(struct link *link);
void link_get(struct link *link, struct link_state *out);
/* Ends the thread, and the link with it. False when it still waits for the network after `wait_ms`: then the
 * room must be left open, and either this is called again or the process ends. */
bool link_stop(struct link *link, unsigned wait_ms);

#endif
