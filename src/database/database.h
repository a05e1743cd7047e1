/* SPDX-License-Identifier: Apache-2.0 */
/* Databases inside the library.
 *
 * eid_core is what all databases of one instance share: the storage, the clock, the write callbacks, the caches of
 * resolved settings. The instance owns it; database handles borrow it.
 */
#ifndef EID_DATABASE_DATABASE_H
#define EID_DATABASE_DATABASE_H

#include <eidetica/database.h>
#include <eidetica/instance.h>
#include <eidetica/maintenance.h>

#include "auth/auth.h"
#include "base/clock.h"
#include "state/state.h"
#include "storage/storage.h"

typedef struct eid_core eid_core;

typedef struct eid_core_options {
    const char *path;             /* of the data file, or ":memory:" */
    eid_durability durability;
    bool must_exist;
    bool for_check;               /* open also what lacks entries */
    eid_clock clock;
    eid_instance *instance;       /* opaque here: what eid_database_instance answers */
} eid_core_options;

eid_status eid_core_open(const eid_core_options *options, eid_core **out);
void eid_core_close(eid_core *core);
eid_storage *eid_core_storage(eid_core *core);
const eid_clock *eid_core_clock(const eid_core *core);

/* ---- Handles ---- */

/* Makes a new database: settings (no "auth" inside: EID_ERR_CORRUPTED_AUTH) plus the creator's key as Admin(0); see
 * stores.md section 9. The handle signs with a copy of the key. */
eid_status eid_database_create(eid_core *core, const eid_doc *settings, const eid_keypair *key, eid_database **out);
/* The same with settings that bring "auth" in the present form; the creator's key becomes Admin(0) unless they list it as an
 * active admin. */
eid_status eid_database_create_with_auth(eid_core *core, const eid_doc *settings, const eid_keypair *key, eid_database **out);
/* The first together with transactions of other databases, all or nothing. `stage` (may be NULL) is told the ID of the database
 * to be, for what is to be staged in them about it. */
typedef eid_status (*eid_create_stage)(const eid_id *root, void *ctx);
eid_status eid_database_create_with(eid_core *core, const eid_doc *settings, const eid_keypair *key, eid_txn *const *txns,
                                    size_t count, eid_create_stage stage, void *ctx, eid_database **out);
/* `key` may be NULL (reading only). `identity` NULL: Direct with the public key. Both are copied. */
eid_status eid_database_open_as(eid_core *core, const eid_id *id, const eid_keypair *key, const eid_sigkey *identity,
                                eid_database **out);
eid_core *eid_database_core(const eid_database *database);
const eid_keypair *eid_database_key(const eid_database *database); /* NULL when reading only; lent until it is changed */
/* Changes what transactions started from now on sign with; both are copied, `identity` NULL as above. */
eid_status eid_database_set_key(eid_database *database, const eid_keypair *key, const eid_sigkey *identity);
/* A transaction that signs with this key instead of the handle's. */
eid_status eid_database_new_transaction_as(eid_database *database, const eid_keypair *key, const eid_sigkey *identity,
                                           eid_txn **out);

/* ---- Identities ---- */

/* One way a key may act in a database. */
typedef struct eid_identity {
    eid_sigkey sigkey;
    eid_permission permission;
} eid_identity;

/* eid_database_find_sigkeys, by ID: every way this key may act now, the strongest first. Free with eid_identities_free.
 * EID_ERR_DATABASE_NOT_FOUND. */
eid_status eid_core_find_identities(eid_core *core, const eid_id *database, const eid_pubkey *key, eid_identity **out,
                                    size_t *count);
void eid_identities_free(eid_identity *identities, size_t count);
/* The first of them; eid_sigkey_free it. EID_ERR_PERMISSION_DENIED when the key may do nothing. */
eid_status eid_core_best_identity(eid_core *core, const eid_id *database, const eid_pubkey *key, eid_sigkey *out,
                                  eid_permission *permission);
/* What a proven key may do, for those who serve it: eid_auth_permission_of by the settings at the current frontier, else the most
 * it has as a member of a database that rights are delegated to. EID_ERR_PERMISSION_DENIED. */
eid_status eid_core_permission_of(eid_core *core, const eid_id *database, const eid_pubkey *key, eid_permission *out);
/* The permission a proven key has now when it claims this identity, whatever states of other databases that names: their
 * present ones count. Errors as eid_auth_identity_permission; EID_ERR_PERMISSION_DENIED for a delegation that leads
 * nowhere now. */
eid_status eid_core_identity_permission(eid_core *core, const eid_id *database, const eid_pubkey *proven,
                                        const eid_sigkey *identity, eid_permission *out);

/* The auth settings at the current frontier; unref after use. */
eid_status eid_database_auth(eid_database *database, eid_auth_settings **out);
/* The same by ID, without a handle. EID_ERR_DATABASE_NOT_FOUND. */
eid_status eid_core_auth(eid_core *core, const eid_id *database, eid_auth_settings **out);

/* ---- Receiving entries ---- */

typedef enum eid_verdict {
    EID_VERDICT_ADMITTED,   /* verified and stored now */
    EID_VERDICT_HELD,       /* was here already */
    EID_VERDICT_WAITING,    /* parents or pinned settings are missing: quarantined */
    EID_VERDICT_REFUSED     /* failed; `status` says how */
} eid_verdict;

typedef struct eid_receipt {
    uint64_t admitted;      /* released quarantine entries are counted too */
    uint64_t held;
    uint64_t waiting;
    uint64_t refused;
    eid_status first_refusal; /* why the first refused entry was refused; its sentence in `text` */
    char text[256];
} eid_receipt;

/* Takes entries from outside for one database: structure, own tree, parents, pin, signature, permission (design.md
 * section 7). The entries may come in any order. Signatures are checked on worker threads; storing happens in batches, each
 * one transaction. Write callbacks fire afterwards. When the database is not held, the root entry must be among them.
 * Returns an error only for storage and memory failures and for EID_ERR_DATABASE_NOT_FOUND; verdicts are in the receipt.
 * `verdicts` (may be NULL) has one place per entry. */
eid_status eid_core_receive(eid_core *core, const eid_id *database, eid_entry *const *entries, size_t count,
                            eid_receipt *receipt, eid_verdict *verdicts);

/* ---- Differences, for sync ---- */

/* Tips of a database: sorted IDs, eid_free. Count 0 when the database is not held. */
eid_status eid_core_tips(eid_core *core, const eid_id *database, eid_id **out, size_t *count);
bool eid_core_holds(eid_core *core, const eid_id *database);
eid_status eid_core_entry_count(eid_core *core, const eid_id *database, uint64_t *out);

/* Walks every entry of the database that is not one of `have` nor an ancestor of one of them (IDs of `have` that are not held
 * are ignored), parents before children. The callback gets the entry, lent; false stops. Storage is not locked while it
 * runs: entries are loaded in slices. `have_count` 0: everything. */
eid_status eid_core_difference(eid_core *core, const eid_id *database, const eid_id *have, size_t have_count,
                               eid_entry_callback callback, void *ctx);

/* The same entries some at a time, for who can not go on at once: between two calls anything may happen. 8 bytes of memory for
 * each entry; of everything (`have_count` 0) only for some hundred. *out NULL when there are more than `most`. */
typedef struct eid_difference eid_difference;
eid_status eid_difference_open(eid_core *core, const eid_id *database, const eid_id *have, size_t have_count, uint64_t most,
                               eid_difference **out);
uint64_t eid_difference_left(const eid_difference *difference); /* entries still to come */
/* *out NULL at the end; eid_entry_unref. */
eid_status eid_difference_next(eid_difference *difference, eid_entry **out);
/* Appends the next entries, each its bytes as a CBOR byte string, until `out` holds `enough` bytes; *count of them, 0 at the
 * end. */
eid_status eid_difference_append(eid_difference *difference, size_t enough, eid_buf *out, size_t *count);
void eid_difference_close(eid_difference *difference); /* NULL is allowed */

/* ---- What two peers hold, compared in sums; buckets.c ---- */

/* Digests are named by so many of their bytes: nobody finds two that agree in them. */
#define EID_SHORT_DIGEST 16
/* What is held elsewhere in a bucket. */
typedef struct eid_bucket_held {
    uint32_t bucket;
    eid_slice digests; /* EID_SHORT_DIGEST bytes of each, ascending, without gaps; lent */
} eid_bucket_held;

eid_status eid_core_buckets(eid_core *core, const eid_id *database, eid_bucket out[EID_BUCKETS]);
/* Appends the digests of what is held here in the bucket, as above. */
eid_status eid_core_bucket_digests(eid_core *core, const eid_id *database, uint32_t bucket, eid_buf *out);
/* The entries in these buckets that are not held elsewhere, parents first. */
eid_status eid_difference_open_buckets(eid_core *core, const eid_id *database, const eid_bucket_held *held, size_t count,
                                       eid_difference **out);

/* ---- Care ---- */

/* eidetica/maintenance.h, without an instance. `id` NULL: every database. */
eid_status eid_core_check(eid_core *core, const eid_id *id, unsigned flags, eid_check_report *report);
eid_status eid_core_import(eid_core *core, eid_read_bytes read, void *ctx, eid_import_report *report);
eid_status eid_core_import_file(eid_core *core, const char *path, eid_import_report *report);

/* ---- The hook ---- */

/* One hook for all local and remote writes of the core; for sync on commit. NULL removes it. When this returns, the former
 * hook does not run any more, on any thread: so it may not be called by the hook itself. Writes that are stored while one
 * hook takes the place of another may be told to neither. */
typedef void (*eid_core_hook)(const eid_id *database, eid_entry *const *entries, size_t count, eid_write_source source,
                              void *ctx);
void eid_core_set_hook(eid_core *core, eid_core_hook hook, void *ctx);

#endif
