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
    bool has_pubkey;     /* the key text is a public key */
    bool usable;         /* permissions and status can be read */
} eid_auth_record;

const eid_auth_record *eid_auth_record_of_key(const eid_auth_settings *settings, const eid_pubkey *key);
/* Usable records of that name in order of their key text; the public key of one may still be unreadable. */
eid_auth_record *const *eid_auth_records_of_name(const eid_auth_settings *settings, eid_slice name,
                                                 size_t *count);
const eid_auth_record *eid_auth_global_record(const eid_auth_settings *settings); /* NULL when absent */

#endif
