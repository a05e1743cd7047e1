/* SPDX-License-Identifier: Apache-2.0 */
/* Which admitted entries count (docs/security.md, "Revocation: the rule").
 *
 * An entry that does not count is void: a member of the DAG like any other, but its payloads take part in no state. The mark
 * stands in the index (part.has_data is 0 for the main DAG and all stores), so whatever makes the index makes the marks, by the
 * functions below. All of them expect the lock to be held, and the first three an open storage transaction.
 */
#ifndef EID_DATABASE_STANDING_H
#define EID_DATABASE_STANDING_H

#include "auth/auth.h"
#include "state/state.h"

typedef struct eid_charter eid_charter;
typedef struct eid_runs eid_runs; /* standing_int.h */

typedef enum eid_standing_reason {
    EID_STANDS,
    EID_VOID_CUT,          /* a change of rights ended what the entry needs, and its writer did not know of it */
    EID_VOID_NO_RIGHT,     /* what gave its writer the right does not count */
    EID_VOID_DELEGATION,   /* its path leads to the right only by what does not count, or below a floor there was */
    EID_VOID_NOT_ENTITLED  /* it changes rights beyond its writer's own */
} eid_standing_reason;

/* After an entry became a member as n: decides whether it counts, and lets its payloads take part or marks it. */
eid_status eid_standing_take(eid_storage *storage, eid_state_batch *batch, eid_tree *tree, const eid_entry *entry, int64_t n);
/* Before the storage transaction is committed: what arrived may change the standing of others. */
eid_status eid_standing_settle(eid_storage *storage, eid_state_batch *batch, eid_tree *tree);
/* Lets the storage make marks and states again with whatever else its index has lost. */
void eid_standing_attach(eid_storage *storage);

/* Whether a member counts; quick as long as all do. */
eid_status eid_standing_counts(eid_storage *storage, eid_tree *tree, const eid_id *id, bool *out);

/* Whether an entry that is about to be committed would count. EID_ERR_PERMISSION_DENIED with a sentence when not. */
eid_status eid_standing_check_commit(eid_storage *storage, eid_tree *tree, const eid_entry *entry);

/* Why an admitted entry does not count: a sentence for people, appended; nothing when it counts. */
eid_status eid_standing_explain(eid_storage *storage, eid_tree *tree, int64_t n, eid_standing_reason *reason, eid_buf *sentence);

/* Of these tips of `_settings` (ascending), those to build on: each that does not count is replaced by what it builds on. *tips is
 * an eid_free array. */
eid_status eid_standing_settings_tips(eid_storage *storage, eid_tree *tree, eid_node **tips, size_t *count);

#endif
