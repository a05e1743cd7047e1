/* SPDX-License-Identifier: Apache-2.0 */
/* What a chat with a data file remembers between runs: its rooms, where their peers are, where it listened.
 *
 * The notebook is itself a database of the user, never shared: it is recognised by its name and by being
 * signed by the user's own key, so that a room of a stranger with the same name is not mistaken for it. */
#ifndef CHAT_NOTEBOOK_H
#define CHAT_NOTEBOOK_H

#include <eidetica/user.h>

/* Texts to free with free; NULL where the notebook says nothing. */
struct note {
    char *ticket; /* the peers' addresses, as a ticket */
    char *listen; /* "host:port" the server had */
};

/* Finds the notebook or, with `create`, makes it. *out is NULL when there is none. */
eid_status notebook_open(eid_user *user, bool create, eid_database **out);
void notebook_read(eid_database *notebook, const eid_id *room, struct note *out);
void note_free(struct note *note);
/* The room used last; false when there is none. */
bool notebook_last_room(eid_database *notebook, eid_id *room);
/* Writes down a room and makes it the last one. `ticket` NULL: no peer known. */
eid_status notebook_write(eid_database *notebook, const eid_id *room, const char *ticket, const char *listen);

#endif
