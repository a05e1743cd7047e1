/* SPDX-License-Identifier: Apache-2.0 */
/* JSON records, field by field. One rule for all (sync-protocol.md section 11): unknown fields are skipped, a known one may
 * stand only once, an optional one may be absent or null. */
#ifndef EID_CODEC_FIELDS_H
#define EID_CODEC_FIELDS_H

#include <eidetica/id.h>

#include "codec/json.h"

/* The known fields of an object and how far it is read. */
typedef struct eid_object {
    const char *const *names;
    size_t count;
    uint32_t required; /* a bit for each name */
    uint32_t seen;
} eid_object;

#define EID_FIELD(index) (1u << (index))
#define EID_FIELDS(count) ((1u << (count)) - 1) /* the first so many */
/* Declares the state for one object. */
#define EID_OBJECT(variable, table, required_bits)                                                           \
    eid_object variable = {(table), sizeof(table) / sizeof((table)[0]), (required_bits), 0}

/* Goes to the value of the next known field; *field is its index. At the end of the object *more is false
 * and everything required was there. EID_ERR_DUPLICATE_KEY, EID_ERR_MISSING_FIELD. */
eid_status eid_object_next(eid_json *reader, eid_object *object, size_t *field, bool *more);

/* Values. Texts are copies for eid_free, without zero bytes inside (EID_ERR_WRONG_TYPE); public keys: crypto/key.h. */
eid_status eid_field_text(eid_json *reader, const char *what, char **out);
eid_status eid_field_text_or_null(eid_json *reader, const char *what, char **out); /* NULL for null */
eid_status eid_field_id(eid_json *reader, const char *what, eid_id *out);

/* The other direction; texts are quoted. */
void eid_write_id_text(eid_buf *buf, const eid_id *id);
void eid_write_text_or_null(eid_buf *buf, const char *text);
void eid_write_bool(eid_buf *buf, bool value);

#endif
