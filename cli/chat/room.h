/* SPDX-License-Identifier: Apache-2.0 */
/* A room: the database of a conversation with everything around it (instance, user, server, addresses). */
#ifndef CHAT_ROOM_H
#define CHAT_ROOM_H

#include <stdbool.h>

#include <eidetica/sync.h>

/* What the command line asked for. Texts are lent by the caller. */
struct room_wish {
    const char *username;  /* the author of what is written here */
    const char *data;      /* file of the instance; NULL: in memory */
    bool iroh;             /* the transport, in place of HTTP */
    const char *listen;    /* NULL: the address of the last time, or a free port of the loopback */
    const char *room_name; /* NULL: none given */
    const char *ticket;    /* ticket or "room_id@host:port" to join; NULL: open or create */
};

struct room {
    eid_instance *instance;
    eid_user *user;
    eid_sync *sync;
    eid_database *database;
    eid_ticket *peers; /* where this side goes to sync; NULL: nobody known, the others come here */
    char *name;        /* cleaned: fit for a terminal */
    char *author;      /* the user's name as it is written into messages */
    char *address;     /* "room_id@host:port" of this side */
    char *ticket;      /* the ticket of this side */
    char *listening;   /* "host:port" */
    bool created;      /* made by this run */
};

/* Opens what is wished for: says on standard error what it does and what went wrong. False when there is no
 * room; nothing is left open then. Waits as long as an admin of the room has not decided about access. */
bool room_open(const struct room_wish *wish, struct room *room);
void room_close(struct room *room);

/* One sentence about a failed sync with the ticket's peers, from the status and this thread's last error, fit
 * for a terminal; free with free. */
char *room_problem(eid_status status, const eid_ticket *peers);

#endif
