/* SPDX-License-Identifier: Apache-2.0 */
/* Delegation across databases: following the path of a signature, and claiming for one.
 *
 * Everything here expects the storage lock to be held. A path crosses several databases of one instance under that one
 * lock; trees are lent while it is held.
 */
#ifndef EID_DATABASE_DELEGATION_H
#define EID_DATABASE_DELEGATION_H

#include "database/database_int.h"

/* The settings a path starts from, or has come to. `tree` and `pins` say where they come from, so that the floors their
 * history set are known; tree NULL: only the floors in the records count. */
typedef struct eid_delegation_place {
    eid_auth_settings *settings; /* lent */
    eid_tree *tree;
    const int64_t *pins; /* ascending */
    size_t pin_count;
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

/* Follows the path of the identity. Fails only for memory and storage. */
eid_status eid_delegation_resolve(eid_core *core, const eid_delegation_place *start, const eid_sigkey *sigkey,
                                  eid_delegation_end *out);

/* Judges an entry signed by delegation: eid_auth_judge has found nothing wrong so far. *missing or *refusal is set when it
 * is not valid. */
eid_status eid_delegation_judge(eid_core *core, const eid_delegation_place *start, const eid_entry *entry,
                                const eid_pubkey *verified_key, eid_id *missing, eid_status *refusal);

/* The identity with the claims of each step replaced by the present tips of its database: the newest 64 when there are
 * more. EID_ERR_DATABASE_NOT_FOUND. eid_sigkey_free it. */
eid_status eid_delegation_claim(eid_core *core, const eid_sigkey *identity, eid_sigkey *out);

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
    const int64_t *pins; /* the entries of `_settings` they are folded from */
    size_t pin_count;
} eid_snapshot;

/* `claims`: numbers of entries of the tree, ascending, at least one. */
eid_status eid_snapshot_at(eid_core *core, eid_tree *tree, const int64_t *claims, size_t count, eid_snapshot *out);
/* Whether each of these IDs is among the claims and their ancestors. */
eid_status eid_snapshot_contains(eid_core *core, eid_tree *tree, const int64_t *claims, size_t count, const eid_id *ids,
                                 size_t id_count, bool *out);
/* Floors in the history of these settings; lent like a snapshot. */
eid_status eid_floors_at(eid_core *core, eid_tree *tree, const int64_t *pins, size_t count, const eid_auth_floors **out);

/* What the three keep for a tree, and where it hangs: on the tree's cache, so that it goes when entries are undone. */
void eid_snapshots_free(void *snapshots); /* NULL is allowed */
eid_status eid_tree_snapshots(eid_tree *tree, void ***out);

#endif
