/* SPDX-License-Identifier: Apache-2.0 */
/* Signed entries made by hand, as strange as a test needs them, and a core that receives them. */
#ifndef EID_TESTS_REVIEW_H
#define EID_TESTS_REVIEW_H

#include "database/database_int.h"
#include "support/testutil.h"

#define RV_MANY 8

typedef struct rv_store {
    const char *name;                    /* NULL: no more stores */
    const char *data;                    /* NULL: no payload */
    const eid_entry *parents[RV_MANY];   /* up to the first NULL */
} rv_store;

typedef struct rv_spec {
    const eid_keypair *key;              /* NULL: unsigned */
    const eid_sigkey *sigkey;            /* how it is named; NULL: by its public key */
    uint64_t height;
    const eid_entry *parents[RV_MANY];
    const eid_entry *pins[RV_MANY];
    rv_store stores[RV_MANY];
    uint64_t salt;                       /* makes entries of equal content different */
} rv_spec;

/* A key that is the same in every run. eid_keypair_free. */
eid_keypair *rv_key(uint8_t number);

/* Settings that give one key a right, as the payload of `_settings`; eid_free. */
char *rv_grant(const eid_keypair *key, eid_permission_kind kind, eid_key_status status);

/* A root entry with these settings (NULL: none), signed by the key (NULL: unsigned). eid_entry_unref. */
eid_entry *rv_root(const eid_keypair *key, const char *settings, uint64_t salt);

/* Any other entry. */
eid_entry *rv_entry(const eid_entry *root, const rv_spec *spec);

eid_core *rv_core(void);

/* Receives one batch and returns the verdict on its last entry. */
eid_verdict rv_receive(eid_core *core, const eid_entry *root, eid_entry *const *entries, size_t count, eid_receipt *receipt);
eid_verdict rv_receive_one(eid_core *core, const eid_entry *root, eid_entry *entry);

bool rv_holds(eid_core *core, const eid_entry *entry);
/* Entries in the quarantine of the database. */
uint64_t rv_waiting(eid_core *core, const eid_entry *root);

#endif
