/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of eidetica-chat. */
#ifndef CHAT_OPTIONS_H
#define CHAT_OPTIONS_H

#include <stdbool.h>

#include "room.h"

#define OPTIONS_NAME_MAX 64u /* bytes in the name of a user or a room */

struct options {
    struct room_wish wish; /* its texts are lent by argv and the environment, the username is ours */
    char *username;
    unsigned refresh_ms;
    bool create_only;
    bool plain;
    bool verbose;
};

/* Reads the command line. Returns -1 when the chat is to run; else the exit code of the program: what there
 * is to say was said. Free with options_free. */
int options_read(int argc, char **argv, struct options *out);
void options_free(struct options *options);

#endif
