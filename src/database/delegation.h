/* SPDX-License-Identifier: Apache-2.0 */
/* Delegation across databases: following the path of a signature, and claiming for one.
 *
 * Everything here expects the storage lock to be held. A path crosses several databases of one instance under that one
 * lock; trees are lent while it is held.
 */
#ifndef EID_DATABASE_DELEGATION_H
#define EID_DATABASE_DELEGATION_H

#include "base/limits.h"
#include "database/database_int.h"

/* The settings a path starts from; lent. `acts` of the charter say what history they have, so that a path that is to count
 * is held against all floors there ever were; NULL: only against those in the records. */
typedef struct eid_delegation_place {
    eid_auth_settings *settings;
    const eid_charter *charter;
    const eid_runs *acts;
} eid_delegation_place;

/* Where a path ends. Exactly one of three: `settings` is there; `missing` names an entry without which nothing can be
 * said; `refusal` is the proven reason why the path leads nowhere, its sentence is the last error:
 * EID_ERR_PERMISSION_DENIED (the path itself), EID_ERR_KEY_NOT_FOUND (no such delegation), EID_ERR_CORRUPTED_AUTH (its
 * record can not be read), EID_ERR_INVALID_TIP (claims that are below a floor, or not of that database),
 * EID_ERR_REFUSED_BEFORE (a claim that was refused itself). `missing` means nothing beside a refusal. */
typedef struct eid_delegation_end {
    eid_auth_settings *settings; /* unref */
    eid_bounds bounds;
    eid_id missing;
    eid_status refusal;
} eid_delegation_end;

/* How a path is followed. Either way the outcome follows from what is claimed and its past. */
typedef enum eid_delegation_rule {
    EID_PATH_ADMITS, /* as every implementation does: by all that is admitted */
    EID_PATH_COUNTS  /* by what counts, as far as what is claimed tells; and above every floor there ever was */
} eid_delegation_rule;

/* Follows the path of the identity. Fails only for memory and storage. */
eid_status eid_delegation_resolve(eid_storage *storage, const eid_delegation_place *start, const eid_sigkey *sigkey,
                                  eid_delegation_rule rule, eid_delegation_end *out);

/* Judges an entry signed by delegation: eid_auth_judge has found nothing wrong so far. *missing or *refusal is set when it
 * is not valid. */
eid_status eid_delegation_judge(eid_storage *storage, const eid_delegation_place *start, const eid_entry *entry,
                                const eid_pubkey *verified_key, eid_id *missing, eid_status *refusal);

/* What the first step of a path claims. */
typedef struct eid_delegation_claims {
    eid_id key;          /* the delegation */
    eid_id tree;         /* the database that is opened */
    int64_t numbers[EID_LIMIT_DELEGATION_TIPS]; /* ascending */
    size_t count;        /* 0: something is not held any more, and can not be told */
} eid_delegation_claims;

/* Whether the path of an admitted entry, which pins these settings, leads to its rights by what counts, too; but for the floors of
 * its own database: those are asked for, with what it claims, by who knows what counts there. */
eid_status eid_delegation_counts(eid_storage *storage, eid_tree *tree, const int64_t *pins, size_t count, const eid_entry *entry,
                                 eid_delegation_claims *claims, bool *out);

/* The identity with the claims of each step replaced by the present tips of its database: the newest 64 when there are
 * more. EID_ERR_DATABASE_NOT_FOUND. eid_sigkey_free it. */
eid_status eid_delegation_claim(eid_storage *storage, const eid_sigkey *identity, eid_sigkey *out);

/* ---- Waiting for other databases. No lock held ---- */

/* Takes what waits in the databases named, pairs of eid_waiting, and what waits for that in turn; frees the list. Failures
 * are logged: what could not be taken waits until the file is opened again. */
void eid_core_wake(eid_core *core, eid_buf *woken);
/* The same for entries of this database that were stored, or refused, without anybody looking who waits for them. */
void eid_core_wake_for(eid_core *core, const eid_id *database, const eid_id *arrived, size_t count);
/* For whatever waits for something that is here: after a process ended between the two. */
eid_status eid_core_wake_held(eid_core *core);
/* In admit.c: judges the entries of one database that waited for this one. */
eid_status eid_core_take_waiting(eid_core *core, const eid_id *database, const eid_id *arrived, eid_buf *woken);

/* ---- One step ---- */

/* A snapshot of a delegated database: what its settings were as of some entries of it. Lent until the next call that
 * may change the cache. */
typedef struct eid_snapshot {
    eid_auth_settings *settings;
    const eid_charter *charter;
    const eid_runs *acts; /* what they are folded from; only of a path that is to count */
} eid_snapshot;

/* `claims`: numbers of entries of the tree, ascending, at least one. */
eid_status eid_snapshot_at(eid_storage *storage, eid_tree *tree, const int64_t *claims, size_t count, eid_delegation_rule rule,
                           eid_snapshot *out);
/* Whether each of these IDs is among the claims and their ancestors. */
eid_status eid_snapshot_contains(eid_storage *storage, eid_tree *tree, const int64_t *claims, size_t count, const eid_id *ids,
                                 size_t id_count, bool *out);

/* What the two keep for a tree, and where it hangs: on the tree's cache, so that it goes when entries are undone. */
void eid_snapshots_free(void *snapshots); /* NULL is allowed */
eid_status eid_tree_snapshots(eid_tree *tree, void ***out);

#endif
