/* SPDX-License-Identifier: Apache-2.0 */
/* An open conversation, and the two ways of showing it. */
#ifndef CHAT_CHAT_H
#define CHAT_CHAT_H

#include <stdbool.h>

#include "link.h"
#include "messages.h"
#include "room.h"

struct chat {
    struct room room;
    struct messages *messages;
    struct link *link;
    bool serve_only; /* --create-only: the end of the input does not end the program */
};

/* Both return when the person leaves or a signal asks for it; false after a failure that was reported. */
bool lines_run(struct chat *chat);
bool screen_run(struct chat *chat);

/* Sends a text as it was typed: repaired and trimmed; nothing happens for a blank one. On failure NULL is not
 * returned but a sentence to show, to free with free. */
char *chat_send(struct chat *chat, const char *text, size_t len);

#endif
