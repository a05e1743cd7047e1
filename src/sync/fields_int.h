/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of sync-protocol.md section 11 for JSON records, written once: unknown members are skipped, a
 * known one may stand only once, an optional one may be absent or null. */
#ifndef EID_SYNC_FIELDS_INT_H
#define EID_SYNC_FIELDS_INT_H

#include <eidetica/id.h>
#include <eidetica/key.h>

#include "codec/json.h"

/* The known members of an object and how far it is read. */
typedef struct eid_object {
    const char *const *names;
    size_t count;
    uint32_t required; /* a bit for each name */
    uint32_t seen;
} eid_object;

#define EID_FIELD(index) (1u << (index))
/* Declares the state for one object. */
#define EID_OBJECT(variable, table, required_bits)                                                           \
    eid_object variable = {(table), sizeof(table) / sizeof((table)[0]), (required_bits), 0}

/* Goes to the value of the next known member; *field is its index. At the end of the object *more is false
 * and everything required was there. EID_ERR_DUPLICATE_KEY, EID_ERR_MISSING_FIELD. */
eid_status eid_object_next(eid_json *reader, eid_object *object, size_t *field, bool *more);

/* A copy for eid_free, without zero bytes inside. */
eid_status eid_field_text(eid_json *reader, const char *what, char **out);
eid_status eid_field_key(eid_json *reader, const char *what, eid_pubkey *out);
eid_status eid_field_id(eid_json *reader, const char *what, eid_id *out);

/* Room for one more item behind `count`, by doubling; *items may move. */
eid_status eid_make_room(void **items, size_t *capacity, size_t count, size_t size);

void eid_write_key_text(eid_buf *buf, const eid_pubkey *key); /* quoted */
void eid_write_id_text(eid_buf *buf, const eid_id *id);       /* quoted */

#endif
