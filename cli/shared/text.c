/* SPDX-License-Identifier: Apache-2.0 */
/* Cleaning, measuring and breaking of text; see text.h. */
#include "text.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "util.h"

#define REPLACEMENT 0xFFFDu

/* A text under construction. Grows by doubling; the callers' caps keep it small. */
struct builder {
    char *bytes;
    size_t len;
    size_t room;
};

static void builder_add(struct builder *b, const char *bytes, size_t len)
{
    if (b->room - b->len < len + 1) {
        b->room = (b->room + len + 32) * 2;
        b->bytes = cli_grow(b->bytes, b->room, 1);
    }
    memcpy(b->bytes + b->len, bytes, len);
    b->len += len;
    b->bytes[b->len] = '\0';
}

static void builder_add_character(struct builder *b, uint32_t character)
{
    char encoded[4];
    builder_add(b, encoded, text_encode(character, encoded));
}

/* ---- UTF-8 ---- */

size_t text_decode(const char *text, size_t len, uint32_t *character)
{
    const unsigned char *s = (const unsigned char *)text;
    if (s[0] < 0x80) {
        *character = s[0];
        return 1;
    }
    size_t need = s[0] >= 0xF0 && s[0] <= 0xF4  ? 4
                  : s[0] >= 0xE0 && s[0] < 0xF0 ? 3
                  : s[0] >= 0xC2 && s[0] < 0xE0 ? 2
                                                : 0;
    *character = REPLACEMENT;
    if (need == 0 || need > len)
        return 1;
    uint32_t value = s[0] & (0xFFu >> (need + 1));
    for (size_t i = 1; i < need; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 1;
        value = value << 6 | (s[i] & 0x3Fu);
    }
    bool overlong = (need == 3 && value < 0x800) || (need == 4 && value < 0x10000);
    if (overlong || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
        return 1;
    *character = value;
    return need;
}

size_t text_encode(uint32_t character, char out[4])
{
    if (character < 0x80) {
        out[0] = (char)character;
        return 1;
    }
    if (character < 0x800) {
        out[0] = (char)(0xC0 | character >> 6);
        out[1] = (char)(0x80 | (character & 0x3F));
        return 2;
    }
    if (character < 0x10000) {
        out[0] = (char)(0xE0 | character >> 12);
        out[1] = (char)(0x80 | (character >> 6 & 0x3F));
        out[2] = (char)(0x80 | (character & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | character >> 18);
    out[1] = (char)(0x80 | (character >> 12 & 0x3F));
    out[2] = (char)(0x80 | (character >> 6 & 0x3F));
    out[3] = (char)(0x80 | (character & 0x3F));
    return 4;
}

/* ---- Widths ---- */

/* Characters that change how the text around them is laid out, or that are invisible and can hide data. */
static bool is_layout_control(uint32_t c)
{
    return c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x2028 && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x206F) || c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFB) ||
           (c >= 0xE0000 && c <= 0xE007F);
}

int text_char_columns(uint32_t character)
{
    if (character < 0x20 || (character >= 0x7F && character < 0xA0) || is_layout_control(character))
        return -1;
    return wcwidth((wchar_t)character);
}

int text_columns(const char *text, size_t len)
{
    int columns = 0;
    for (size_t at = 0; at < len;) {
        uint32_t character;
        at += text_decode(text + at, len - at, &character);
        int width = text_char_columns(character);
        columns += width > 0 ? width : 0;
    }
    return columns;
}

/* ---- Cleaning ---- */

static void add_visible(struct builder *b, uint32_t character)
{
    char escape[16];
    int len;
    if (character == '\n')
        len = snprintf(escape, sizeof escape, "\\n");
    else if (character == '\r')
        len = snprintf(escape, sizeof escape, "\\r");
    else if (character < 0x100)
        len = snprintf(escape, sizeof escape, "\\x%02x", (unsigned)character);
    else
        len = snprintf(escape, sizeof escape, "\\u{%x}", (unsigned)character);
    builder_add(b, escape, (size_t)len);
}

char *text_clean(const char *text, size_t len, size_t max)
{
    struct builder b = {0};
    builder_add(&b, "", 0);
    size_t marks = TEXT_MARKS_MAX; /* a mark needs a character to stand on */
    size_t at = 0;
    while (at < len) {
        uint32_t character;
        size_t took = text_decode(text + at, len - at, &character);
        if (at + took > max)
            break;
        at += took;
        if (character == '\t')
            character = ' ';
        int width = text_char_columns(character);
        if (width < 0) {
            add_visible(&b, character);
            marks = 0;
        } else if (width > 0) {
            builder_add_character(&b, character);
            marks = 0;
        } else if (marks < TEXT_MARKS_MAX) {
            builder_add_character(&b, character);
            marks++;
        }
    }
    if (at < len)
        builder_add(&b, "…", strlen("…"));
    return b.bytes;
}

static bool is_blank(uint32_t c)
{
    return c == ' ' || (c >= 0x09 && c <= 0x0D) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
           c == 0x3000;
}

char *text_repair(const char *text, size_t len, size_t *out_len)
{
    struct builder b = {0};
    builder_add(&b, "", 0);
    size_t end = 0; /* behind the last character that is not blank */
    for (size_t at = 0; at < len;) {
        uint32_t character;
        at += text_decode(text + at, len - at, &character);
        if (is_blank(character) && end == 0)
            continue;
        builder_add_character(&b, character);
        if (!is_blank(character))
            end = b.len;
    }
    b.bytes[end] = '\0';
    *out_len = end;
    return b.bytes;
}

char *text_json(const char *text, size_t len)
{
    struct builder b = {0};
    builder_add(&b, "\"", 1);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        char escape[8];
        if (c == '"' || c == '\\') {
            escape[0] = '\\';
            escape[1] = (char)c;
            builder_add(&b, escape, 2);
        } else if (c < 0x20) {
            builder_add(&b, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", c));
        } else {
            builder_add(&b, text + i, 1);
        }
    }
    builder_add(&b, "\"", 1);
    return b.bytes;
}

/* ---- Breaking ---- */

size_t text_fit(const char *text, size_t len, int columns)
{
    size_t at = 0;
    int used = 0;
    while (at < len) {
        uint32_t character;
        size_t took = text_decode(text + at, len - at, &character);
        int width = text_char_columns(character);
        used += width > 0 ? width : 0;
        if (used > columns && at > 0)
            break;
        at += took;
        if (used > columns)
            break;
    }
    return at;
}

size_t text_row(const char *text, size_t len, int columns)
{
    size_t fits = text_fit(text, len, columns);
    if (fits == len)
        return len;
    if (text[fits] == ' ') /* the space that ends the row needs no column of its own */
        return fits + 1;
    for (size_t at = fits; at > 0; at--)
        if (text[at - 1] == ' ')
            return at;
    return fits;
}
