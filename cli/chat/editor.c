/* SPDX-License-Identifier: Apache-2.0 */
/* The line being typed; see editor.h. */
#include "editor.h"

#include <string.h>

#include "text.h"
#include "util.h"

static int columns_of(uint32_t character)
{
    int columns = text_char_columns(character);
    return columns > 0 ? columns : 0;
}

void editor_clear(struct editor *editor)
{
    editor->len = editor->cursor = editor->first = 0;
}

bool editor_insert(struct editor *editor, uint32_t character)
{
    if (editor->len == EDITOR_MAX || text_char_columns(character) < 0)
        return false;
    memmove(editor->text + editor->cursor + 1, editor->text + editor->cursor,
            (editor->len - editor->cursor) * sizeof editor->text[0]);
    editor->text[editor->cursor++] = character;
    editor->len++;
    return true;
}

/* The start of the character before `at`, marks included. */
static size_t before(const struct editor *editor, size_t at)
{
    if (at > 0)
        at--;
    while (at > 0 && columns_of(editor->text[at]) == 0)
        at--;
    return at;
}

static size_t after(const struct editor *editor, size_t at)
{
    if (at < editor->len)
        at++;
    while (at < editor->len && columns_of(editor->text[at]) == 0)
        at++;
    return at;
}

static void cut(struct editor *editor, size_t from, size_t to)
{
    memmove(editor->text + from, editor->text + to, (editor->len - to) * sizeof editor->text[0]);
    editor->len -= to - from;
    editor->cursor = from;
}

void editor_backspace(struct editor *editor)
{
    cut(editor, before(editor, editor->cursor), editor->cursor);
}

void editor_delete(struct editor *editor)
{
    cut(editor, editor->cursor, after(editor, editor->cursor));
}

void editor_left(struct editor *editor)
{
    editor->cursor = before(editor, editor->cursor);
}

void editor_right(struct editor *editor)
{
    editor->cursor = after(editor, editor->cursor);
}

void editor_home(struct editor *editor)
{
    editor->cursor = 0;
}

void editor_end(struct editor *editor)
{
    editor->cursor = editor->len;
}

static char *encode(const struct editor *editor, size_t from, size_t to, size_t *len)
{
    char *text = cli_alloc((to - from) * 4 + 1);
    *len = 0;
    for (size_t i = from; i < to; i++)
        *len += text_encode(editor->text[i], text + *len);
    return text;
}

char *editor_text(const struct editor *editor, size_t *len)
{
    return encode(editor, 0, editor->len, len);
}

static int columns_between(const struct editor *editor, size_t from, size_t to)
{
    int columns = 0;
    for (size_t i = from; i < to; i++)
        columns += columns_of(editor->text[i]);
    return columns;
}

char *editor_view(struct editor *editor, int columns, int *cursor_column)
{
    if (editor->first > editor->cursor)
        editor->first = editor->cursor;
    /* Room again after a deletion or a wider window: show as much as fits. */
    int shown = columns_between(editor, editor->first, editor->len);
    while (editor->first > 0) {
        size_t earlier = before(editor, editor->first);
        shown += columns_between(editor, earlier, editor->first);
        if (shown >= columns)
            break;
        editor->first = earlier;
    }
    /* The last column is the cursor's when it stands behind the text. */
    int ahead = columns_between(editor, editor->first, editor->cursor);
    while (editor->first < editor->cursor && ahead >= columns) {
        size_t later = after(editor, editor->first);
        ahead -= columns_between(editor, editor->first, later);
        editor->first = later;
    }
    size_t end = editor->first;
    int used = 0;
    while (end < editor->len && used + columns_of(editor->text[end]) <= columns)
        used += columns_of(editor->text[end++]);
    *cursor_column = columns_between(editor, editor->first, editor->cursor);
    size_t len;
    return encode(editor, editor->first, end, &len);
}
