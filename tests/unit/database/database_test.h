/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of databases share: cores with a clock that is set by hand, keys, staging, entries made by hand, and a
 * fingerprint of everything a data file holds. */
#ifndef EID_TESTS_DATABASE_TEST_H
#define EID_TESTS_DATABASE_TEST_H

#include "crypto/key.h"
#include "database/txn_int.h"
#include "support/history.h"
#include "support/integrity.h"

/* The clock of every core opened here; starts at 1 000 000. */
void dt_set_clock(uint64_t now_ms);
eid_core *dt_open(const char *path);
eid_core *dt_memory(void);

/* The key pair of the seed `number`, … ; eid_keypair_free. */
eid_keypair *dt_key(uint8_t number);
eid_pubkey dt_pubkey(uint8_t number);

/* A database whose admin is key 1; handles sign with that key. */
eid_database *dt_create(eid_core *core);
eid_database *dt_open_as(eid_core *core, const eid_id *id, uint8_t key); /* key 0: reading only */
/* Commits a record for the key. */
eid_id dt_grant(eid_database *admin, uint8_t key, eid_permission_kind kind, eid_key_status status);

/* Staging into a DocStore, under exactly this key. */
void dt_put_int(eid_txn *txn, const char *store, const char *key, int64_t value);
void dt_put_deleted(eid_txn *txn, const char *store, const char *key);
void dt_set_int(eid_txn *txn, const char *store, const char *path, int64_t value);
eid_txn_store *dt_store(eid_txn *txn, const char *store);
/* One transaction that sets one key; the ID of its entry. */
eid_id dt_commit_int(eid_database *database, const char *store, const char *key, int64_t value);

/* The integer under a key; INT64_MIN when nothing is there. */
int64_t dt_txn_int(eid_txn *txn, const char *store, const char *key);
int64_t dt_int(eid_database *database, const char *store, const char *path);

/* Every entry of the database, parents first; th_free_entries. */
eid_entry **dt_entries(eid_core *core, const eid_id *database, size_t *count);
eid_entry *dt_entry(eid_database *database, const eid_id *id);

/* An entry made by hand. What is NULL or 0 is left out. */
typedef struct dt_draft {
    const eid_id *root;
    const eid_id *parents;
    size_t parent_count;
    const eid_id *pins;
    size_t pin_count;
    bool no_metadata;
    const char *metadata;      /* instead of a pin */
    uint64_t height;
    const char *store;         /* with this payload (text), and these parents */
    const char *payload;
    const eid_id *store_parents;
    size_t store_parent_count;
    uint8_t key;               /* 0: unsigned */
    const eid_sigkey *sigkey;
} dt_draft;
eid_entry *dt_make(const dt_draft *draft);
/* The same entry with one byte of its stored form changed where `needle` stands; the ID is the new one's. */
eid_entry *dt_tamper(const eid_entry *entry, const char *needle);
/* A root entry made by hand: settings may be NULL for none. */
eid_entry *dt_make_root(const char *settings, uint8_t key, unsigned salt);

/* Receives and checks that storage worked. */
eid_receipt dt_receive(eid_core *core, const eid_id *database, eid_entry *const *entries, size_t count);
/* Receives one entry that must be refused for this reason, and leaves nothing but the memory of the refusal. */
void dt_assert_refused(eid_core *core, const eid_id *database, eid_entry *entry, eid_status reason);

/* Everything a file holds about databases: rows of each table, tips, states. */
typedef struct dt_print {
    int64_t rows[7];
    uint8_t digest[32];
} dt_print;
dt_print dt_fingerprint(eid_core *core);
void dt_assert_unchanged(eid_core *core, const dt_print *before);

#endif
