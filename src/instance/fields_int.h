/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the fields of a JSON record: which ones were seen, and values that outlive the reader. */
#ifndef EID_INSTANCE_FIELDS_INT_H
#define EID_INSTANCE_FIELDS_INT_H

#include <eidetica/id.h>
#include <eidetica/key.h>

#include "codec/json.h"

/* Goes through one object. `names` ends with NULL; fields not named there are skipped. */
typedef struct eid_fields {
    eid_json *reader;
    const char *const *names;
    const char *what; /* the record, for sentences */
    uint32_t seen;    /* bit i: names[i] was met */
} eid_fields;

eid_status eid_fields_begin(eid_fields *fields, eid_json *reader, const char *what, const char *const *names);
/* The index of the next known field, whose value is to be read; -1 at the end of the object.
 * EID_ERR_DUPLICATE_KEY. */
eid_status eid_fields_next(eid_fields *fields, int *index);
bool eid_fields_seen(const eid_fields *fields, int index);
/* EID_ERR_MISSING_FIELD unless the first `count` names were all met. */
eid_status eid_fields_need(const eid_fields *fields, int count);

/* Values; the texts are copies for eid_free, zero-terminated (EID_ERR_SYNTAX when they hold a zero byte). */
eid_status eid_read_string(eid_json *reader, const char *what, char **out);
eid_status eid_read_string_or_null(eid_json *reader, const char *what, char **out); /* NULL for null */
eid_status eid_read_id(eid_json *reader, const char *what, eid_id *out);
eid_status eid_read_pubkey(eid_json *reader, const char *what, eid_pubkey *out);

/* The other direction; everything is quoted. */
void eid_write_id(eid_buf *buf, const eid_id *id);
void eid_write_pubkey(eid_buf *buf, const eid_pubkey *key);
void eid_write_string_or_null(eid_buf *buf, const char *text);
void eid_write_bool(eid_buf *buf, bool value);

#endif
