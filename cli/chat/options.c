/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and checking the command line; see options.h. */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <eidetica/version.h>

#include "text.h"
#include "util.h"

#define RUN             (-1)
#define EXIT_USAGE      2
#define REFRESH_DEFAULT 2.0
#define REFRESH_LEAST   0.1
#define REFRESH_MOST    3600.0

static const char usage_text[] =
    "Usage: eidetica-chat [OPTIONS] [TICKET]\n"
    "\n"
    "A chat room that every participant holds completely. Without a ticket it makes a\n"
    "room (or opens the last one of --data); with one it joins that room.\n"
    "\n"
    "  TICKET                  ticket or room_id@host:port of the room to join\n"
    "  -u, --username NAME     your name in the room (default: $USER, else Anonymous)\n"
    "      --room-name NAME    name of the new room\n"
    "      --connect ADDRESS   the same as TICKET\n"
    "      --create-only       print the address and serve until a signal comes\n"
    "      --transport NAME    http (the default) or iroh\n"
    "      --listen HOST:PORT  where to serve (default: 127.0.0.1, a free port)\n"
    "      --data FILE         keep everything in FILE (default: in memory)\n"
    "      --refresh SECONDS   time between two syncs (default: 2)\n"
    "      --plain             line by line instead of the screen; also when\n"
    "                          input or output is not a terminal\n"
    "  -v, --verbose           log to standard error\n"
    "  -h, --help              this text\n"
    "  -V, --version           the version\n"
    "\n"
    "In plain mode a line is a message; the commands are /sync /hash /ticket /quit.\n";

enum {
    OPT_TRANSPORT = 256,
    OPT_CREATE_ONLY,
    OPT_ROOM_NAME,
    OPT_CONNECT,
    OPT_DATA,
    OPT_LISTEN,
    OPT_REFRESH,
    OPT_PLAIN
};

static const struct option long_options[] = {
    {"username", required_argument, NULL, 'u'},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {"transport", required_argument, NULL, OPT_TRANSPORT},
    {"create-only", no_argument, NULL, OPT_CREATE_ONLY},
    {"room-name", required_argument, NULL, OPT_ROOM_NAME},
    {"connect", required_argument, NULL, OPT_CONNECT},
    {"data", required_argument, NULL, OPT_DATA},
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"refresh", required_argument, NULL, OPT_REFRESH},
    {"plain", no_argument, NULL, OPT_PLAIN},
    {NULL, 0, NULL, 0},
};

static int hint(void)
{
    fputs("Try 'eidetica-chat --help'.\n", stderr);
    return EXIT_USAGE;
}

static int take_transport(const char *name, struct options *out)
{
    out->wish.iroh = strcasecmp(name, "iroh") == 0;
    if (out->wish.iroh || strcasecmp(name, "http") == 0)
        return RUN;
    char *shown = text_clean(name, strlen(name), TEXT_ERROR_MAX);
    fprintf(stderr, "❌ Invalid transport '%s'. Use 'http' or 'iroh'\n", shown);
    free(shown);
    return EXIT_FAILURE;
}

static int read_refresh(const char *text, unsigned *milliseconds)
{
    char *end;
    double seconds = strtod(text, &end);
    /* Written so that "nan" fails it too. */
    if (end == text || *end != '\0' || !(seconds >= REFRESH_LEAST && seconds <= REFRESH_MOST)) {
        cli_complain("--refresh takes seconds between %.1f and %.0f", REFRESH_LEAST, REFRESH_MOST);
        return hint();
    }
    *milliseconds = (unsigned)(seconds * 1000.0);
    return RUN;
}

static int take_ticket(const char *text, struct options *out)
{
    if (out->wish.ticket != NULL) {
        cli_complain("one room at a time: more than one ticket or --connect was given");
        return hint();
    }
    out->wish.ticket = text;
    return RUN;
}

static int take_option(int option, const char *value, struct options *out)
{
    switch (option) {
    case 'u':
        free(out->username);
        out->username = cli_copy(value);
        return RUN;
    case 'v':
        out->verbose = true;
        return RUN;
    case 'h':
        fputs(usage_text, stdout);
        return EXIT_SUCCESS;
    case 'V':
        printf("eidetica-chat %s\n", eid_version());
        return EXIT_SUCCESS;
    case OPT_TRANSPORT:
        return take_transport(value, out);
    case OPT_CREATE_ONLY:
        out->create_only = true;
        return RUN;
    case OPT_ROOM_NAME:
        out->wish.room_name = value;
        return RUN;
    case OPT_CONNECT:
        return take_ticket(value, out);
    case OPT_DATA:
        out->wish.data = value;
        return RUN;
    case OPT_LISTEN:
        out->wish.listen = value;
        return RUN;
    case OPT_REFRESH:
        return read_refresh(value, &out->refresh_ms);
    case OPT_PLAIN:
        out->plain = true;
        return RUN;
    default:
        return hint(); /* getopt has said what is wrong */
    }
}

/* The author's name: of the option, else of the system, else Anonymous; without white space around it. */
static int settle_username(struct options *out)
{
    const char *wished = out->username;
    if (wished == NULL)
        wished = getenv("USER");
    size_t len = 0;
    char *name = wished != NULL ? text_repair(wished, strlen(wished), &len) : NULL;
    if (len == 0 && out->username == NULL) {
        free(name);
        name = cli_copy("Anonymous");
        len = strlen(name);
    }
    free(out->username);
    out->username = name;
    out->wish.username = name;
    if (len > 0 && len <= OPTIONS_NAME_MAX)
        return RUN;
    cli_complain("a user name has 1 to %u bytes", OPTIONS_NAME_MAX);
    return hint();
}

static int check_together(struct options *out)
{
    const struct room_wish *wish = &out->wish;
    if (out->create_only && wish->ticket != NULL) {
        cli_complain("--create-only makes a room: it can not be given together with a ticket");
        return hint();
    }
    if (wish->ticket != NULL && wish->ticket[0] == '\0') {
        cli_complain("the ticket is empty");
        return hint();
    }
    if (wish->room_name != NULL &&
        (wish->room_name[0] == '\0' || strlen(wish->room_name) > OPTIONS_NAME_MAX)) {
        cli_complain("a room name has 1 to %u bytes", OPTIONS_NAME_MAX);
        return hint();
    }
    if (wish->data != NULL && wish->data[0] == '\0') {
        cli_complain("--data needs the name of a file");
        return hint();
    }
    return RUN;
}

int options_read(int argc, char **argv, struct options *out)
{
    memset(out, 0, sizeof *out);
    out->refresh_ms = (unsigned)(REFRESH_DEFAULT * 1000.0);
    int option, result;
    while ((option = getopt_long(argc, argv, "u:vhV", long_options, NULL)) != -1) {
        result = take_option(option, optarg, out);
        if (result != RUN)
            return result;
    }
    for (int i = optind; i < argc; i++) {
        result = take_ticket(argv[i], out);
        if (result != RUN)
            return result;
    }
    result = settle_username(out);
    return result != RUN ? result : check_together(out);
}

void options_free(struct options *options)
{
    free(options->username);
    options->username = NULL;
}
