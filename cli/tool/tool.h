/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands share: the instance, the user, databases by name, and how failures are told. */
#ifndef TOOL_H
#define TOOL_H

#include <eidetica/eidetica.h>

#include "args.h"
#include "out.h"

struct tool {
    struct args args;
    struct out *out;
    eid_instance *instance; /* NULL until opened; closed at the end, with the user */
    eid_user *user;
};

/* The tables of commands. */
extern const struct command commands_instance[];
extern const struct command commands_user[];
extern const struct command commands_database[];
extern const struct command commands_access[];
extern const struct command commands_store[];
extern const struct command commands_sync[];
extern const struct command commands_relay[];
extern const struct command commands_shell[];

/* All functions below that can fail have told what was wrong when they return false. */

/* URL of the instance that was asked for; free it. */
char *tool_url(struct tool *tool);
/* Opens the instance; one that is not there yet is made only with `create`. */
bool tool_open(struct tool *tool, bool create);
/* Opens the instance and logs the user in. */
bool tool_login(struct tool *tool);
/* The path of the data file, lent by the URL; NULL when it is not a file. */
const char *tool_file(const char *url);

/* The ID of a database that is named by its ID or by its name. */
bool tool_find(struct tool *tool, const char *name, eid_id *out);
/* The same, opened; `writing` logs in. eid_database_close. */
bool tool_database(struct tool *tool, const char *name, bool writing, eid_database **out);
/* Names of the form "_users" belong to the instance itself. */
bool tool_is_system(const char *database_name);

bool tool_key(const char *text, eid_pubkey *out);
/* A password, by the option, the environment or the keyboard, where it is typed twice when it is a `fresh`
 * one. Wipe with tool_wipe. NULL: told why not. */
char *tool_password(struct tool *tool, const char *prompt, bool fresh);
/* The one that takes its place, by --new-password-file or the keyboard, twice. */
char *tool_new_password(struct tool *tool);
void tool_wipe(char *secret); /* and frees; NULL is allowed */

/* "eidetica: what: sentence" and, where there is one, the next step; returns EXIT_FAILURE. */
int tool_failed_by(const char *what, eid_status status, const char *sentence);
/* Whether it went well; else tells it. */
bool tool_check(eid_status status, const char *what);

/* Asks before something that can not be undone; --yes answers beforehand, and without a terminal the answer
 * is no. */
bool tool_confirm(struct tool *tool, const char *question);

/* From now on signals ring the bell of wake.h. */
bool tool_catch_signals(void);
/* Until one asks the program to end. */
void tool_wait_for_signal(void);

/* The text of the file an option names, at most 1 MiB; NULL in *out when it is not given. Free it, a key with
 * tool_wipe. */
bool tool_read_pem(struct tool *tool, const char *option, char **out);
/* "host:port", with brackets around IPv6; NULL: all of IPv4. Free it. */
char *tool_bind_address(const char *host, unsigned long port);

/* A transaction on a database, by name, that is committed behind the change. The change returns the library's
 * status. */
typedef eid_status (*tool_change)(struct tool *tool, eid_txn *txn, void *ctx);
int tool_commit(struct tool *tool, const char *database, tool_change change, void *ctx);

#endif
