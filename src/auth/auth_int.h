/* SPDX-License-Identifier: Apache-2.0 */
/* What parsing and judging share: records with the reason why one can not be used. */
#ifndef EID_AUTH_AUTH_INT_H
#define EID_AUTH_AUTH_INT_H

#include "auth/auth.h"

typedef struct eid_auth_record {
    eid_auth_key key;    /* meaningful when usable */
    eid_pubkey pubkey;   /* meaningful when has_pubkey */
    size_t order;        /* place of the key text among all */
    const char *problem; /* static text; set when not usable */
    bool has_pubkey;     /* the key text has the form of a public key */
    _Atomic uint8_t point; /* whether it is one, found out when it matters: 0 unknown, 1 it is, 2 it is not */
    bool usable;         /* permissions and status can be read */
} eid_auth_record;

bool eid_auth_record_is_key(eid_auth_record *record);
const eid_auth_record *eid_auth_record_of_key(const eid_auth_settings *settings, const eid_pubkey *key);
/* Usable records of that name in order of their key text; the public key of one may still be unreadable. */
eid_auth_record *const *eid_auth_records_of_name(const eid_auth_settings *settings, eid_slice name,
                                                 size_t *count);
const eid_auth_record *eid_auth_global_record(const eid_auth_settings *settings); /* NULL when absent */

/* Reads one delegation record found under this ID. Only memory is an error; one that means nothing gets its problem.
 * The floor is the record's own memory. */
eid_status eid_auth_delegation_read(const eid_id *key, const eid_value *value, eid_auth_delegation *out);
/* The ID a record is listed under; false when the text is not the one text of an ID. */
bool eid_auth_read_tree_key(eid_slice text, eid_id *out);

#endif
