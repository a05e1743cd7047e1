/* SPDX-License-Identifier: Apache-2.0 */
/* eidetica-chat: the life of one conversation, from opening the room to leaving it. */
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <eidetica/log.h>

#include "chat.h"
#include "options.h"
#include "text.h"
#include "util.h"
#include "wake.h"

/* How long leaving may wait for a sync that hangs in the network. */
#define STOP_WAIT_MS 2000u

char *chat_send(struct chat *chat, const char *text, size_t len)
{
    size_t content_len;
    char *content = text_repair(text, len, &content_len);
    char *problem = NULL;
    if (content_len > MESSAGE_MAX_BYTES) {
        problem = cli_format("the message is too long (%zu bytes, %u are allowed) and was not sent",
                              content_len, MESSAGE_MAX_BYTES);
    } else if (content_len > 0) {
        if (messages_send(chat->messages, chat->room.author, content) == EID_OK) {
            link_request(chat->link);
        } else {
            char *why = cli_last_error();
            problem = cli_format("the message could not be written: %s", why);
            free(why);
        }
    }
    free(content);
    return problem;
}

/* Widths and the screen need a UTF-8 locale; a bare system may offer none by name but this one. */
static void choose_locale(void)
{
    if (setlocale(LC_ALL, "") == NULL || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
}

static void log_line(eid_log_level level, const char *text, void *ctx)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    (void)ctx;
    char *shown = text_clean(text, strlen(text), TEXT_ERROR_MAX);
    fprintf(stderr, "eidetica-chat: [%s] %s\n", names[level], shown);
    free(shown);
}

/* The screen must not be painted over: there the log is shown only when it goes somewhere else. */
static void choose_log(const struct options *options, bool screen)
{
    if (!screen || !isatty(STDERR_FILENO))
        eid_set_log_callback(log_line, options->verbose ? EID_LOG_DEBUG : EID_LOG_ERROR, NULL);
}

/* Before the screen covers it, a new room's address can be copied from here. False when a signal came. */
static bool introduce(const struct room *room)
{
    printf("Room:    %s\nAddress: %s\nTicket:  %s\nYou are: %s\n", room->name, room->address, room->ticket,
           room->author);
    if (!room->created)
        return true;
    printf("Press Enter to enter the room.");
    fflush(stdout);
    for (;;) {
        struct pollfd fds[2] = {{.fd = wake_fd(), .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return false;
        wake_quiet();
        if (wake_stopping())
            return false;
        char byte;
        if (fds[1].revents != 0) {
            ssize_t got = read(STDIN_FILENO, &byte, 1);
            if (got <= 0 || byte == '\n')
                return got > 0;
        }
    }
}

static bool converse(struct chat *chat, bool screen, unsigned refresh_ms)
{
    if (messages_open(chat->room.database, &chat->messages) != EID_OK) {
        char *why = cli_last_error();
        cli_complain("cannot read the messages: %s", why);
        free(why);
        return false;
    }
    bool good = false;
    if (!link_start(&chat->room, refresh_ms, &chat->link))
        cli_complain("cannot start a thread");
    else if (!screen)
        good = lines_run(chat);
    else
        good = !introduce(&chat->room) || screen_run(chat);
    if (chat->link != NULL && !link_stop(chat->link, STOP_WAIT_MS)) {
        /* The thread waits for a peer that does not answer and still uses the room. Every commit is stored
         * already, so ending the process here loses nothing. */
        fflush(NULL);
        _exit(good ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    messages_close(chat->messages);
    return good;
}

int main(int argc, char **argv)
{
    struct options options;
    struct chat chat;
    choose_locale();
    int result = options_read(argc, argv, &options);
    if (result >= 0) {
        options_free(&options);
        return result;
    }
    bool screen = !options.plain && !options.create_only && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    memset(&chat, 0, sizeof chat);
    chat.serve_only = options.create_only;
    choose_log(&options, screen);
    signal(SIGPIPE, SIG_IGN);
    if (!wake_open()) {
        cli_complain("cannot make a pipe: %s", strerror(errno));
        options_free(&options);
        return EXIT_FAILURE;
    }
    bool good = room_open(&options.wish, &chat.room);
    if (good) {
        wake_catch_signals();
        good = converse(&chat, screen, options.refresh_ms);
        room_close(&chat.room);
    }
    options_free(&options);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
