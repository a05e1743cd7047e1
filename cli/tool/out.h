/* SPDX-License-Identifier: Apache-2.0 */
/* What a command prints, said once for people and for programs.
 *
 * A command describes records of named fields. For people a list of records is a table and a single one
 * "name: value" lines; with --json the list is an array and the record an object. Whatever comes from a
 * database is made fit for the terminal. Errors go to standard error, in JSON mode too. */
#ifndef TOOL_OUT_H
#define TOOL_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <eidetica/eidetica.h>

struct out;

struct out *out_new(bool json);
void out_free(struct out *out);
bool out_is_json(const struct out *out);

/* A list of records; `none` is said to people when it has none. */
void out_list_begin(struct out *out, const char *none);
void out_list_end(struct out *out);
/* A record, in a list or by itself. */
void out_record_begin(struct out *out);
void out_record_end(struct out *out);

/* Fields. All records of a list have the same ones, in the same order. */
void out_text(struct out *out, const char *name, const char *text); /* NULL: nothing, null */
void out_bytes(struct out *out, const char *name, const char *text, size_t len);
void out_number(struct out *out, const char *name, uint64_t number);
void out_bool(struct out *out, const char *name, bool value);
void out_id(struct out *out, const char *name, const eid_id *id);
void out_key(struct out *out, const char *name, const eid_pubkey *key);
void out_permission(struct out *out, const char *name, eid_permission permission);
void out_seconds(struct out *out, const char *name, int64_t since_epoch); /* RFC 3339; 0: nothing, null */
void out_bytes_size(struct out *out, const char *name, uint64_t bytes);   /* people see KiB, MiB … */
void out_texts(struct out *out, const char *name, const char *const *texts, size_t count);
void out_ids(struct out *out, const char *name, const eid_id *ids, size_t count);
/* A value that is JSON text already; people see it as it is. */
void out_raw(struct out *out, const char *name, const char *json, size_t len);

/* A sentence for people only. */
void out_say(struct out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* False when something could not be written (a full disk, a closed pipe). */
bool out_flush(struct out *out);

#endif
