/* SPDX-License-Identifier: Apache-2.0 */
/* The conversation: rows of the table `messages`, kept in the order of their time.
 *
 * A row is JSON, {"id","author","content","timestamp"}. The list is read once; afterwards the change feed of the
 * table names the rows that changed, and only these are read again.
 *
 * The list belongs to the main thread; only the write callback runs elsewhere, and it does nothing but ring. */
#ifndef CHAT_MESSAGES_H
#define CHAT_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>

#include <eidetica/store.h>

#include "stamp.h"

#define MESSAGES_STORE    "messages"
#define MESSAGE_MAX_BYTES 16384u /* of one message sent from here; longer ones are refused */

struct message {
    char *key;     /* of the row; also the tie-break of the order */
    char *author;  /* cleaned: fit for a terminal */
    char *content; /* cleaned */
    struct stamp time;
    bool seen;      /* by the scan under way */
    bool taken;     /* by messages_take_new */
    int rows_width; /* the width `rows` was computed for; 0: not yet */
    int rows;       /* rows the message takes on the screen at that width */
};

/* Reads a row. False for what is not a message: no JSON object, a field missing or of another type, no time,
 * nothing in it. */
bool message_parse(const char *key, const char *row, size_t len, struct message **out);
void message_free(struct message *message);
/* The row's JSON; author and content must be UTF-8; free with free. */
char *message_row(const char *id, const char *author, const char *content, struct stamp time);

struct messages;

/* Starts listening and reads what is there. On failure eid_last_error says why. */
eid_status messages_open(eid_database *database, struct messages **out);
void messages_close(struct messages *messages); /* before the database is closed; NULL is allowed */
/* Takes in what changed since the last call. *changed tells whether the list is another now. */
eid_status messages_refresh(struct messages *messages, bool *changed);
size_t messages_count(const struct messages *messages);
struct message *messages_at(struct messages *messages, size_t index); /* ordered by (time, key) */

/* The messages that were never taken by this function, in their order: calls back once for each. */
typedef void (*message_callback)(const struct message *message);
void messages_take_new(struct messages *messages, message_callback callback);

/* Puts a message into the room, as one commit. Its time is after that of the one sent before, whatever the clock says. */
eid_status messages_send(struct messages *messages, const char *author, const char *content);

#endif
