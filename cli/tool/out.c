/* SPDX-License-Identifier: Apache-2.0 */
/* Tables, records and JSON; see out.h. */
#include "out.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "text.h"
#include "util.h"

#define FIELDS_MAX 24u
#define ROWS_TOGETHER                                                                                        \
    500u /* rows whose widths are found together: a table of a million rows is not kept in memory */
#define CELL_SHOWN_MAX 16384u
#define GAP            2

struct out {
    bool json, colour;
    bool in_list, in_record;
    const char *none;
    size_t records, fields; /* so far, in the list and in the record */
    const char *names[FIELDS_MAX];
    char **cells; /* of rows not printed yet, FIELDS_MAX each */
    size_t rows;
    bool headed;
};

struct out *out_new(bool json)
{
    struct out *out = cli_alloc(sizeof *out);
    const char *no_colour = getenv("NO_COLOR");
    out->json = json;
    out->colour = !json && isatty(STDOUT_FILENO) && (no_colour == NULL || no_colour[0] == '\0');
    return out;
}

void out_free(struct out *out)
{
    free(out->cells);
    free(out);
}

bool out_is_json(const struct out *out)
{
    return out->json;
}

bool out_flush(struct out *out)
{
    (void)out;
    return fflush(stdout) == 0 && !ferror(stdout);
}

/* ---- Tables ---- */

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static int columns_of(const char *text)
{
    return text_columns(text, strlen(text));
}

static void print_padded(const char *text, int width, bool last)
{
    fputs(text, stdout);
    int gap = last ? 0 : width - columns_of(text) + GAP;
    printf("%*s", gap, "");
}

static void print_heading(const struct out *out, const int *widths)
{
    for (size_t f = 0; f < out->fields; f++) {
        char *heading = cli_copy(out->names[f]);
        for (char *c = heading; *c != '\0'; c++)
            *c = *c == '_' ? ' ' : upper(*c);
        if (out->colour)
            fputs("\033[1m", stdout);
        print_padded(heading, widths[f], f + 1 == out->fields);
        if (out->colour)
            fputs("\033[0m", stdout);
        free(heading);
    }
    putchar('\n');
}

static void print_rows(struct out *out)
{
    int widths[FIELDS_MAX] = {0};
    for (size_t f = 0; f < out->fields; f++) {
        widths[f] = (int)strlen(out->names[f]);
        for (size_t r = 0; r < out->rows; r++) {
            int columns = columns_of(out->cells[r * FIELDS_MAX + f]);
            widths[f] = columns > widths[f] ? columns : widths[f];
        }
    }
    if (!out->headed && out->rows > 0)
        print_heading(out, widths);
    out->headed = out->headed || out->rows > 0;
    for (size_t r = 0; r < out->rows; r++) {
        for (size_t f = 0; f < out->fields; f++) {
            print_padded(out->cells[r * FIELDS_MAX + f], widths[f], f + 1 == out->fields);
            free(out->cells[r * FIELDS_MAX + f]);
        }
        putchar('\n');
    }
    out->rows = 0;
}

/* ---- Lists and records ---- */

void out_list_begin(struct out *out, const char *none)
{
    out->in_list = true;
    out->none = none;
    out->records = 0;
    out->headed = false;
    if (out->json)
        putchar('[');
}

void out_list_end(struct out *out)
{
    if (out->json)
        puts(out->records > 0 ? "\n]" : "]");
    else if (out->records == 0)
        puts(out->none);
    else
        print_rows(out);
    out->in_list = false;
}

void out_record_begin(struct out *out)
{
    out->in_record = true;
    out->fields = 0;
    if (out->json)
        fputs(!out->in_list ? "{" : out->records > 0 ? ",\n{" : "\n{", stdout);
    else if (out->in_list && out->cells == NULL)
        out->cells = cli_grow(NULL, ROWS_TOGETHER * FIELDS_MAX, sizeof *out->cells);
}

void out_record_end(struct out *out)
{
    out->in_record = false;
    out->records++;
    if (out->json) {
        fputs(out->in_list ? "}" : "}\n", stdout);
    } else if (out->in_list && ++out->rows == ROWS_TOGETHER) {
        print_rows(out);
    }
}

/* "device_id" as "Device ID:". */
static char *label_of(const char *name)
{
    char *label = cli_format("%s:", name), *last = label;
    for (char *c = label; *c != '\0'; c++) {
        if (*c == '_') {
            *c = ' ';
            last = c + 1;
        }
    }
    label[0] = upper(label[0]);
    if (strcmp(last + 1, "d:") == 0 && upper(last[0]) == 'I')
        memcpy(last, "ID", 2);
    return label;
}

/* One field, as people see it (taken over) and as JSON. */
static void put(struct out *out, const char *name, char *shown, const char *json, size_t json_len)
{
    if (out->json) {
        printf("%s\"%s\":", out->fields > 0 ? "," : "", name);
        fwrite(json, 1, json_len, stdout);
        free(shown);
    } else if (out->in_list) {
        out->names[out->fields] = name;
        out->cells[out->rows * FIELDS_MAX + out->fields] = shown;
    } else {
        char *label = label_of(name);
        printf("%s%-18s%s %s\n", out->colour ? "\033[1m" : "", label, out->colour ? "\033[0m" : "", shown);
        free(label);
        free(shown);
    }
    out->fields++;
}

static void put_nothing(struct out *out, const char *name)
{
    put(out, name, cli_copy("-"), "null", 4);
}

void out_bytes(struct out *out, const char *name, const char *text, size_t len)
{
    char *json = out->json ? text_json(text, len) : NULL;
    put(out, name, out->json ? NULL : text_clean(text, len, CELL_SHOWN_MAX), json,
        json != NULL ? strlen(json) : 0);
    free(json);
}

void out_text(struct out *out, const char *name, const char *text)
{
    if (text == NULL)
        put_nothing(out, name);
    else
        out_bytes(out, name, text, strlen(text));
}

void out_number(struct out *out, const char *name, uint64_t number)
{
    char *text = cli_format("%" PRIu64, number);
    size_t len = strlen(text);
    char *json = cli_copy(text);
    put(out, name, text, json, len);
    free(json);
}

void out_bool(struct out *out, const char *name, bool value)
{
    const char *json = value ? "true" : "false";
    put(out, name, cli_copy(value ? "yes" : "no"), json, strlen(json));
}

void out_id(struct out *out, const char *name, const eid_id *id)
{
    char text[EID_ID_TEXT_SIZE];
    eid_id_format(id, text);
    out_text(out, name, text[0] != '\0' ? text : NULL);
}

void out_key(struct out *out, const char *name, const eid_pubkey *key)
{
    char text[EID_PUBKEY_TEXT_SIZE];
    eid_pubkey_format(key, text);
    out_text(out, name, text);
}

void out_permission(struct out *out, const char *name, eid_permission permission)
{
    char text[EID_PERMISSION_TEXT_SIZE];
    eid_permission_format(permission, text);
    out_text(out, name, text);
}

void out_seconds(struct out *out, const char *name, int64_t since_epoch)
{
    time_t seconds = (time_t)since_epoch;
    struct tm tm;
    char text[40];
    if (since_epoch <= 0 || gmtime_r(&seconds, &tm) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        put_nothing(out, name);
    else
        out_text(out, name, text);
}

void out_bytes_size(struct out *out, const char *name, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    if (out->json) {
        out_number(out, name, bytes);
        return;
    }
    double size = (double)bytes;
    size_t unit = 0;
    for (; size >= 1024.0 && unit + 1 < sizeof units / sizeof units[0]; unit++)
        size /= 1024.0;
    put(out, name, cli_format(unit == 0 ? "%.0f %s" : "%.1f %s", size, units[unit]), NULL, 0);
}

void out_texts(struct out *out, const char *name, const char *const *texts, size_t count)
{
    char *joined = cli_copy(out->json ? "[" : "");
    for (size_t i = 0; i < count; i++) {
        char *text = out->json ? text_json(texts[i], strlen(texts[i]))
                               : text_clean(texts[i], strlen(texts[i]), CELL_SHOWN_MAX);
        char *longer = cli_format("%s%s%s", joined, i == 0 ? "" : out->json ? "," : " ", text);
        free(text);
        free(joined);
        joined = longer;
    }
    if (out->json) {
        char *closed = cli_format("%s]", joined);
        put(out, name, NULL, closed, strlen(closed));
        free(closed);
        free(joined);
    } else {
        put(out, name, joined, NULL, 0);
    }
}

void out_ids(struct out *out, const char *name, const eid_id *ids, size_t count)
{
    char(*texts)[EID_ID_TEXT_SIZE] = cli_grow(NULL, count, sizeof *texts);
    const char **lines = cli_grow(NULL, count, sizeof *lines);
    for (size_t i = 0; i < count; i++) {
        eid_id_format(&ids[i], texts[i]);
        lines[i] = texts[i];
    }
    out_texts(out, name, lines, count);
    free(lines);
    free(texts);
}

void out_raw(struct out *out, const char *name, const char *json, size_t len)
{
    put(out, name, out->json ? NULL : text_clean(json, len, CELL_SHOWN_MAX), json, len);
}

void out_say(struct out *out, const char *format, ...)
{
    if (out->json)
        return;
    va_list list;
    va_start(list, format);
    char *text = NULL;
    if (vasprintf(&text, format, list) >= 0) {
        puts(text);
        free(text);
    }
    va_end(list);
}
