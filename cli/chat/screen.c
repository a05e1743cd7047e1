/* SPDX-License-Identifier: Apache-2.0 */
/* Screen mode: the whole terminal, drawn with ncurses.
 *
 * From top to bottom: the room and its ticket, a notice when there is one (the next key removes it), the
 * messages with a scrollbar, the line being typed. The screen is drawn from the state each time something
 * happens; curses sends only the difference. Nothing here waits for the network. */
#include "chat.h"

#include <errno.h>
#include <ncurses.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "editor.h"
#include "text.h"
#include "util.h"
#include "wake.h"

#define PAIR_TIME    1
#define PAIR_AUTHOR  2
#define PAIR_PROBLEM 3

#define INPUT_ROWS        3 /* with its border */
#define NOTICE_ROWS       2
#define ADDRESS_LINES_MAX 4 /* a ticket does not fit one line of a narrow terminal */
#define ROWS_MIN          7 /* below, there is no room for messages */
#define COLUMNS_MIN       24
#define KEY_ESCAPE        27
#define ESCAPE_DELAY_MS   50 /* how long the rest of a key's escape sequence may take */
#define IDLE_MS           1000

struct screen {
    struct chat *chat;
    struct editor editor;
    char *notice;   /* NULL: none */
    int up;         /* rows scrolled away from the newest */
    int total_rows; /* of all messages at the last drawing */
    int visible_rows;
    bool leaving;
    bool failed;
};

/* curses must be ended on every way out, exit() in another part of the program included. */
static bool curses_on;

static void restore_terminal(void)
{
    if (curses_on)
        endwin();
    curses_on = false;
}

static void set_notice(struct screen *screen, char *notice)
{
    free(screen->notice);
    screen->notice = notice;
}

/* ---- Drawing: pieces ---- */

static void draw_text(int y, int x, const char *text, size_t len, int columns)
{
    if (columns > 0)
        mvaddnstr(y, x, text, (int)text_fit(text, len, columns));
}

static void draw_box(int y, int rows, const char *title)
{
    mvhline(y, 1, ACS_HLINE, COLS - 2);
    mvhline(y + rows - 1, 1, ACS_HLINE, COLS - 2);
    mvvline(y + 1, 0, ACS_VLINE, rows - 2);
    mvvline(y + 1, COLS - 1, ACS_VLINE, rows - 2);
    mvaddch(y, 0, ACS_ULCORNER);
    mvaddch(y, COLS - 1, ACS_URCORNER);
    mvaddch(y + rows - 1, 0, ACS_LLCORNER);
    mvaddch(y + rows - 1, COLS - 1, ACS_LRCORNER);
    draw_text(y, 1, title, strlen(title), COLS - 2);
}

/* Breaks a text into rows of the screen; returns how many it took, at most `rows`. */
static int draw_wrapped(int y, int x, int rows, int columns, const char *text, bool centred)
{
    size_t len = strlen(text), at = 0;
    int row = 0;
    for (; at < len && row < rows; row++) {
        size_t took = text_row(text + at, len - at, columns);
        int width = text_columns(text + at, took);
        int shift = centred && width < columns ? (columns - width) / 2 : 0;
        draw_text(y + row, x + shift, text + at, took, columns);
        at += took;
    }
    return row;
}

static int wrapped_rows(const char *text, int columns)
{
    size_t len = strlen(text);
    int rows = 0;
    for (size_t at = 0; at < len; rows++)
        at += text_row(text + at, len - at, columns);
    return rows;
}

static int draw_address(const struct screen *screen)
{
    const struct room *room = &screen->chat->room;
    char *text = cli_format("%s | Share this room: %s", room->name, room->ticket);
    int columns = COLS - 4;
    int lines = wrapped_rows(text, columns);
    if (lines > ADDRESS_LINES_MAX)
        lines = ADDRESS_LINES_MAX;
    draw_box(0, lines + 2, "Room Address");
    draw_wrapped(1, 2, lines, columns, text, true);
    free(text);
    return lines + 2;
}

/* ---- Drawing: messages ---- */

/* The whole text of a message and where its parts end. Free with free. */
static char *message_line(const struct message *message, size_t *clock_end, size_t *author_end)
{
    char clock[STAMP_CLOCK_SIZE];
    stamp_clock(message->time, clock);
    *clock_end = strlen(clock) + 2;
    *author_end = *clock_end + 1 + strlen(message->author);
    return cli_format("[%s] %s: %s", clock, message->author, message->content);
}

static int message_rows(struct message *message, int columns)
{
    if (message->rows_width != columns) {
        size_t clock_end, author_end;
        char *line = message_line(message, &clock_end, &author_end);
        message->rows = wrapped_rows(line, columns);
        message->rows_width = columns;
        free(line);
    }
    return message->rows;
}

/* One row, bytes [from, to) of the line, in the colours of the parts it crosses. */
static void draw_row(int y, const char *line, size_t from, size_t to, size_t clock_end, size_t author_end,
                     int columns)
{
    const size_t ends[] = {clock_end, author_end, SIZE_MAX};
    const attr_t looks[] = {COLOR_PAIR(PAIR_TIME), A_BOLD | (attr_t)COLOR_PAIR(PAIR_AUTHOR), A_NORMAL};
    to = from + text_fit(line + from, to - from, columns);
    move(y, 1);
    for (size_t part = 0; part < 3 && from < to; part++) {
        size_t end = to < ends[part] ? to : ends[part];
        if (end <= from)
            continue;
        attron((int)looks[part]);
        addnstr(line + from, (int)(end - from));
        attroff((int)looks[part]);
        from = end;
    }
}

/* The rows of one message that fall between y and bottom; `skip` rows of it lie above. Returns the next y. */
static int draw_message(struct message *message, int y, int bottom, int skip, int columns)
{
    size_t clock_end, author_end, at = 0;
    char *line = message_line(message, &clock_end, &author_end);
    size_t len = strlen(line);
    for (int row = 0; at < len && y < bottom; row++) {
        size_t took = text_row(line + at, len - at, columns);
        if (row >= skip)
            draw_row(y++, line, at, at + took, clock_end, author_end, columns);
        at += took;
    }
    free(line);
    return y;
}

static void draw_scrollbar(const struct screen *screen, int y, int rows, int top)
{
    if (screen->total_rows <= rows)
        return;
    int thumb = rows * rows / screen->total_rows;
    thumb = thumb < 1 ? 1 : thumb;
    int place = (rows - thumb) * top / (screen->total_rows - rows);
    for (int i = 0; i < thumb; i++)
        mvaddstr(y + place + i, COLS - 1, "█");
}

/* The state of the link, on the lower border. */
static void draw_link(const struct screen *screen, int y)
{
    struct link_state state;
    link_get(screen->chat->link, &state);
    char *text;
    if (state.kind == LINK_ONLINE) {
        long long ago = (long long)time(NULL) - state.synced_at;
        text = cli_format(" online, in step %lld s ago ", ago > 0 ? ago : 0);
    } else if (state.kind == LINK_OFFLINE) {
        text = cli_format(" offline: %s ", state.problem);
    } else if (state.kind == LINK_CONNECTING) {
        text = cli_copy(" connecting... ");
    } else {
        text = cli_format(" serving on %s ", screen->chat->room.listening);
    }
    int look = state.kind == LINK_OFFLINE ? (int)COLOR_PAIR(PAIR_PROBLEM) : (int)A_DIM;
    attron(look);
    draw_text(y, 2, text, strlen(text), COLS - 4);
    attroff(look);
    free(text);
}

static void draw_messages(struct screen *screen, int y, int rows)
{
    struct messages *messages = screen->chat->messages;
    size_t count = messages_count(messages);
    int columns = COLS - 2, inner = rows - 2, total = 0;
    for (size_t i = 0; i < count; i++)
        total += message_rows(messages_at(messages, i), columns);
    /* Who has scrolled up keeps what is being read in view when something new arrives below. */
    if (screen->up > 0 && total > screen->total_rows && screen->visible_rows == inner)
        screen->up += total - screen->total_rows;
    int most = total > inner ? total - inner : 0;
    screen->up = screen->up > most ? most : screen->up;
    screen->total_rows = total;
    screen->visible_rows = inner;
    int top = most - screen->up;

    char *title = cli_format("Messages (%zu) - ESC to leave room", count);
    draw_box(y, rows, title);
    free(title);
    int above = 0, at = y + 1;
    for (size_t i = 0; i < count && at < y + rows - 1; i++) {
        struct message *message = messages_at(messages, i);
        int own = message_rows(message, columns);
        if (above + own > top)
            at = draw_message(message, at, y + rows - 1, top > above ? top - above : 0, columns);
        above += own;
    }
    draw_scrollbar(screen, y + 1, inner, top);
    draw_link(screen, y + rows - 1);
}

static void draw(struct screen *screen)
{
    erase();
    if (LINES < ROWS_MIN || COLS < COLUMNS_MIN) {
        mvaddnstr(0, 0, "Window too small", COLS);
        refresh();
        return;
    }
    int y = LINES >= ROWS_MIN + ADDRESS_LINES_MAX + 2 + NOTICE_ROWS ? draw_address(screen) : 0;
    if (screen->notice != NULL && LINES - y - INPUT_ROWS - NOTICE_ROWS >= INPUT_ROWS) {
        draw_wrapped(y, 0, NOTICE_ROWS, COLS, screen->notice, false);
        y += NOTICE_ROWS;
    }
    int input = LINES - INPUT_ROWS;
    draw_messages(screen, y, input - y);
    draw_box(input, INPUT_ROWS, "Type your message (Enter to send)");
    int cursor;
    char *view = editor_view(&screen->editor, COLS - 2, &cursor);
    draw_text(input + 1, 1, view, strlen(view), COLS - 2);
    free(view);
    move(input + 1, 1 + cursor);
    refresh();
}

/* ---- Keys ---- */

static void send_line(struct screen *screen)
{
    size_t len;
    char *text = editor_text(&screen->editor, &len);
    char *problem = chat_send(screen->chat, text, len);
    free(text);
    if (problem != NULL) {
        set_notice(screen, problem); /* the line stays, to be tried again */
        return;
    }
    editor_clear(&screen->editor);
    screen->up = 0;
}

static void scroll_by(struct screen *screen, int rows)
{
    int most = screen->total_rows > screen->visible_rows ? screen->total_rows - screen->visible_rows : 0;
    int up = screen->up + rows;
    screen->up = up < 0 ? 0 : up > most ? most : up;
}

static void take_function_key(struct screen *screen, wint_t key)
{
    switch (key) {
    case KEY_UP:
        scroll_by(screen, 1);
        break;
    case KEY_DOWN:
        scroll_by(screen, -1);
        break;
    case KEY_PPAGE:
        scroll_by(screen, screen->visible_rows);
        break;
    case KEY_NPAGE:
        scroll_by(screen, -screen->visible_rows);
        break;
    case KEY_LEFT:
        editor_left(&screen->editor);
        break;
    case KEY_RIGHT:
        editor_right(&screen->editor);
        break;
    case KEY_HOME:
        editor_home(&screen->editor);
        break;
    case KEY_END:
        editor_end(&screen->editor);
        break;
    case KEY_BACKSPACE:
        editor_backspace(&screen->editor);
        break;
    case KEY_DC:
        editor_delete(&screen->editor);
        break;
    case KEY_ENTER:
        send_line(screen);
        break;
    default: /* KEY_RESIZE among them: the next drawing uses the new size */
        break;
    }
}

/* The rest of a control sequence (ECMA-48, section 5.4): parameters up to a final byte. */
static void drop_sequence(void)
{
    wint_t rest;
    while (get_wch(&rest) != ERR && (rest < 0x40 || rest > 0x7E))
        continue;
}

/* Escape alone leaves; Escape with something right behind it is a key curses does not know, and is dropped
 * whole, but nothing of what was typed after it. */
static void take_escape(struct screen *screen)
{
    wint_t rest;
    if (get_wch(&rest) == ERR)
        screen->leaving = true;
    else if (rest == '[' || rest == 'O')
        drop_sequence();
}

static void take_character(struct screen *screen, wint_t key)
{
    if (key == KEY_ESCAPE)
        take_escape(screen);
    else if (key == '\r' || key == '\n')
        send_line(screen);
    else if (key == 0x7F || key == '\b')
        editor_backspace(&screen->editor);
    else
        editor_insert(&screen->editor, (uint32_t)key);
}

static void take_keys(struct screen *screen)
{
    wint_t key;
    int kind;
    while (!screen->leaving && (kind = get_wch(&key)) != ERR) {
        if (kind != KEY_CODE_YES || key != KEY_RESIZE)
            set_notice(screen, NULL);
        if (kind == KEY_CODE_YES)
            take_function_key(screen, key);
        else
            take_character(screen, key);
    }
}

/* ---- The loop ---- */

static void read_messages(struct screen *screen)
{
    bool changed;
    if (messages_refresh(screen->chat->messages, &changed) == EID_OK)
        return;
    char *why = cli_last_error();
    set_notice(screen, cli_format("cannot read the messages: %s", why));
    free(why);
}

static bool start_curses(void)
{
    if (newterm(NULL, stdout, stdin) == NULL) {
        cli_complain("this terminal can not show the screen; use --plain");
        return false;
    }
    curses_on = true;
    atexit(restore_terminal);
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(ESCAPE_DELAY_MS);
    if (has_colors()) {
        start_color();
        use_default_colors();
        init_pair(PAIR_TIME, COLOR_YELLOW, -1);
        init_pair(PAIR_AUTHOR, COLOR_GREEN, -1);
        init_pair(PAIR_PROBLEM, COLOR_RED, -1);
    }
    return true;
}

bool screen_run(struct chat *chat)
{
    struct screen *screen = cli_alloc(sizeof *screen);
    screen->chat = chat;
    if (!start_curses()) {
        free(screen);
        return false;
    }
    if (chat->room.created)
        set_notice(screen, cli_format("Room created! Share this address: %s", chat->room.address));
    while (!screen->leaving && !wake_stopping()) {
        read_messages(screen);
        draw(screen);
        struct pollfd fds[2] = {{.fd = wake_fd(), .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
        int ready = poll(fds, 2, IDLE_MS);
        wake_quiet();
        take_keys(screen); /* also without input: after a change of size there is a key for it */
        if (ready > 0 && (fds[1].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
            break; /* the terminal is gone */
    }
    restore_terminal();
    free(screen->notice);
    free(screen);
    return true;
}
