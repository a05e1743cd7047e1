/* SPDX-License-Identifier: Apache-2.0 */
/* Text from strangers, made fit for a terminal, and the widths of what is shown.
 *
 * Whatever another peer wrote passes text_clean before it reaches a terminal: a control character could move
 * the cursor, a bidirectional override could turn a sentence round, a pile of combining marks could paint
 * over other lines. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Longest texts shown, in bytes before cleaning. */
#define TEXT_ERROR_MAX   1024u
#define TEXT_AUTHOR_MAX  96u
#define TEXT_CONTENT_MAX 16384u

/* Zero-width marks kept after one character: as many as a screen cell of curses holds. */
#define TEXT_MARKS_MAX 4u

/* Reads one character. Returns the bytes it took, at least 1 when len > 0; what is not UTF-8 reads as U+FFFD,
 * one byte at a time. */
size_t text_decode(const char *text, size_t len, uint32_t *character);
/* Writes a Unicode scalar value; returns the bytes written. */
size_t text_encode(uint32_t character, char out[4]);

/* Columns a character takes: 0, 1 or 2; -1 for what must not be sent to a terminal as it is. Needs setlocale.
 */
int text_char_columns(uint32_t character);
/* Columns of a cleaned text. */
int text_columns(const char *text, size_t len);

/* The text with everything dangerous written visibly (\n, \x1b, \u{202e}), cut with "…" behind `max` bytes;
 * free with free. The result holds no zero byte but its last. */
char *text_clean(const char *text, size_t len, size_t max);
/* The text as valid UTF-8 without leading and trailing white space; free with free. *out_len may be 0. */
char *text_repair(const char *text, size_t len, size_t *out_len);
/* The text as a JSON string with its quotes; free with free. The text must be UTF-8. */
char *text_json(const char *text, size_t len);

/* How many bytes from the start fit into `columns`. At least one character is taken, so that callers always
 * advance. */
size_t text_fit(const char *text, size_t len, int columns);
/* The same for one row of a paragraph: breaks behind a space where the row has one. */
size_t text_row(const char *text, size_t len, int columns);

#endif
