/* SPDX-License-Identifier: Apache-2.0 */
/* The line being typed: characters, a cursor among them, and the part of it that fits the screen. No terminal
 * here. */
#ifndef CHAT_EDITOR_H
#define CHAT_EDITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EDITOR_MAX 4096u /* characters */

struct editor {
    uint32_t text[EDITOR_MAX];
    size_t len;
    size_t cursor; /* 0 … len */
    size_t first;  /* the first character shown */
};

void editor_clear(struct editor *editor);
/* Puts a character before the cursor. False when the line is full or the character is not one to be typed. */
bool editor_insert(struct editor *editor, uint32_t character);
void editor_backspace(struct editor *editor); /* a character goes together with the marks on it */
void editor_delete(struct editor *editor);
void editor_left(struct editor *editor);
void editor_right(struct editor *editor);
void editor_home(struct editor *editor);
void editor_end(struct editor *editor);
/* The line as UTF-8; free with free. */
char *editor_text(const struct editor *editor, size_t *len);
/* The part to show in `columns` columns, moved so that the cursor is inside, as UTF-8 to free with free, and
 * the cursor's column in it (0 … columns - 1). */
char *editor_view(struct editor *editor, int columns, int *cursor_column);

#endif
