/* SPDX-License-Identifier: Apache-2.0 */
/* Line mode: the chat for pipes, scripts and plain terminals.
 *
 * Standard output carries the room, the messages and the answers to commands, one a line; everything that is
 * only a notice goes to standard error. A line of the input is a message, or a command when it begins with
 * "/" ("//" sends a "/"). */
#include "chat.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "text.h"
#include "util.h"
#include "wake.h"

/* A line longer than a message may be, with room for the one that is refused because of it. */
#define LINE_MAX_BYTES (MESSAGE_MAX_BYTES * 2u)
/* The sync before leaving, and the wait for a thread that hangs in the network. */
#define LEAVE_SECONDS 5

struct lines {
    struct chat *chat;
    char buffer[LINE_MAX_BYTES];
    size_t filled;
    bool dropping; /* inside a line that was too long */
    bool input_over;
    bool leaving;
    bool failed;
    enum link_kind link; /* as last reported */
};

/* ---- Output ---- */

static void print_message(const struct message *message)
{
    char clock[STAMP_CLOCK_SIZE];
    stamp_clock(message->time, clock);
    printf("[%s] %s: %s\n", clock, message->author, message->content);
}

static void print_messages(struct lines *lines)
{
    struct messages *messages = lines->chat->messages;
    bool changed;
    if (messages_refresh(messages, &changed) != EID_OK) {
        char *why = cli_last_error();
        cli_complain("cannot read the messages: %s", why);
        free(why);
        lines->failed = lines->leaving = true;
        return;
    }
    messages_take_new(messages, print_message);
}

/* Tells when the peers come and go, once each time. */
static void report_link(struct lines *lines)
{
    struct link_state state;
    link_get(lines->chat->link, &state);
    if (state.kind == lines->link)
        return;
    if (state.kind == LINK_OFFLINE)
        cli_complain("offline: %s", state.problem);
    else if (state.kind == LINK_ONLINE)
        cli_complain("online: in step with the peer");
    lines->link = state.kind;
}

static void print_hash(struct lines *lines)
{
    eid_database *database = lines->chat->room.database;
    uint8_t hash[32];
    uint64_t entries;
    if (eid_database_state_hash(database, hash) != EID_OK ||
        eid_database_entry_count(database, &entries) != EID_OK) {
        char *why = cli_last_error();
        printf("error: %s\n", why);
        free(why);
        return;
    }
    printf("state ");
    for (size_t i = 0; i < sizeof hash; i++)
        printf("%02x", hash[i]);
    printf(" entries %" PRIu64 "\n", entries);
}

/* ---- Waiting ---- */

static bool read_input(struct lines *lines);

/* Waits for the bell (and, with `input`, for the keyboard) and shows what came. */
static void wait_for_news(struct lines *lines, bool input, int milliseconds)
{
    struct pollfd fds[2] = {{.fd = wake_fd(), .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    if (poll(fds, input ? 2 : 1, milliseconds) < 0 && errno != EINTR) {
        cli_complain("cannot wait for input: %s", strerror(errno));
        lines->failed = lines->leaving = true;
        return;
    }
    wake_quiet();
    print_messages(lines);
    report_link(lines);
    if (input && fds[1].revents != 0 && !read_input(lines))
        lines->input_over = true;
}

/* One sync from now on, waited for at most `seconds` (0: as long as it takes). False when it did not end in
 * time or a signal came. */
static bool sync_now(struct lines *lines, int seconds, struct link_state *state)
{
    time_t last = time(NULL) + seconds;
    uint64_t number = link_request(lines->chat->link);
    for (;;) {
        link_get(lines->chat->link, state);
        if (state->done >= number)
            break;
        if (wake_stopping() || lines->failed || (seconds > 0 && time(NULL) >= last))
            return false;
        wait_for_news(lines, false, 1000);
    }
    print_messages(lines);
    return true;
}

static void sync_command(struct lines *lines)
{
    struct link_state state;
    if (!sync_now(lines, 0, &state))
        return;
    if (state.kind == LINK_ONLINE)
        printf("synced: received %" PRIu64 ", sent %" PRIu64 "\n", state.received, state.sent);
    else if (state.kind == LINK_OFFLINE)
        printf("error: %s\n", state.problem);
    else
        printf("error: no peer to go to; this side serves %s, the others come here\n",
               lines->chat->room.listening);
}

/* ---- Input ---- */

static void run_command(struct lines *lines, const char *command)
{
    if (strcmp(command, "/quit") == 0)
        lines->leaving = true;
    else if (strcmp(command, "/hash") == 0)
        print_hash(lines);
    else if (strcmp(command, "/sync") == 0)
        sync_command(lines);
    else if (strcmp(command, "/ticket") == 0)
        printf("ticket: %s\n", lines->chat->room.ticket);
    else
        cli_complain(
            "commands are /sync /hash /ticket /quit; a message that begins with / is written with //");
}

static void take_line(struct lines *lines, char *line, size_t len)
{
    if (len > 0 && line[len - 1] == '\r')
        len--;
    line[len] = '\0';
    if (line[0] == '/' && line[1] != '/') {
        run_command(lines, line);
        return;
    }
    size_t skip = line[0] == '/' ? 1 : 0;
    char *problem = chat_send(lines->chat, line + skip, len - skip);
    if (problem != NULL) {
        cli_complain("%s", problem);
        free(problem);
    }
    print_messages(lines);
}

/* Takes the complete lines of the buffer; what is left waits for its end. */
static void take_lines(struct lines *lines)
{
    size_t start = 0;
    for (size_t i = 0; i < lines->filled && !lines->leaving; i++) {
        if (lines->buffer[i] != '\n')
            continue;
        if (lines->dropping)
            lines->dropping = false;
        else
            take_line(lines, lines->buffer + start, i - start);
        start = i + 1;
    }
    memmove(lines->buffer, lines->buffer + start, lines->filled - start);
    lines->filled -= start;
    if (lines->filled == sizeof lines->buffer - 1) {
        if (!lines->dropping)
            cli_complain("a line of the input is too long and was not sent");
        lines->dropping = true;
        lines->filled = 0;
    }
}

/* False at the end of the input. */
static bool read_input(struct lines *lines)
{
    size_t space = sizeof lines->buffer - 1 - lines->filled; /* one byte for the zero behind the last line */
    ssize_t got = read(STDIN_FILENO, lines->buffer + lines->filled, space);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    if (got <= 0) {
        if (lines->filled > 0 && !lines->dropping && !lines->leaving)
            take_line(lines, lines->buffer, lines->filled);
        return false;
    }
    lines->filled += (size_t)got;
    take_lines(lines);
    return true;
}

bool lines_run(struct chat *chat)
{
    struct lines *lines = cli_alloc(sizeof *lines);
    lines->chat = chat;
    lines->link = LINK_CONNECTING;
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    printf("room: %s\nticket: %s\nname: %s\n", chat->room.address, chat->room.ticket, chat->room.name);
    print_messages(lines);
    while (!lines->leaving && !wake_stopping() && !(lines->input_over && !chat->serve_only))
        wait_for_news(lines, !lines->input_over, -1);
    struct link_state state;
    if (!wake_stopping() && !lines->failed && chat->room.peers != NULL) {
        bool over = sync_now(lines, LEAVE_SECONDS, &state);
        if (!wake_stopping() && (!over || state.kind == LINK_OFFLINE))
            cli_complain("left without a last sync: %s",
                          over ? state.problem : "the peer did not answer in time");
    }
    bool good = !lines->failed;
    free(lines);
    return good;
}
