/* SPDX-License-Identifier: Apache-2.0 */
/* A history admitted entry by entry into a storage, side by side with its slow model. */
#ifndef EID_TESTS_REPLAY_H
#define EID_TESTS_REPLAY_H

#include "state/state_int.h"
#include "support/history.h"

typedef struct replay {
    eid_storage *storage;
    const tm_model *model;
    size_t *order;      /* of arrival, owned */
    size_t arrived;     /* how many of it are here */
    bool *present;      /* by model index */
    int64_t *n;         /* arrival number by model index */
    const char *what;   /* for messages: which seed */
} replay;

eid_storage *rp_open_memory(void);

/* Takes `order` over. */
void rp_begin(replay *r, eid_storage *storage, const tm_model *model, size_t *order, const char *what);
void rp_end(replay *r);

/* Admits the next entries in one storage transaction, which is undone instead of committed when `undo` is set. */
void rp_admit(replay *r, size_t count, bool undo);

/* Compares the present with the model: tips, counters, whole documents, each key, cells in slices. */
void rp_check_current(replay *r);
/* The same for what was there after the first `arrived` arrivals. */
void rp_check_past(replay *r, size_t arrived);
/* And for what stands at and below a random set of the entries that were here after so many arrivals, as it was then. */
void rp_check_boundary(replay *r, tu_random *random, size_t moment);
/* The rows behind the cells: every touch of a key is there exactly once, and as many twigs as split values have places. */
void rp_check_rows(replay *r);

/* Compares what is read along paths with the document that holds everything. */
void rp_check_along(const char *what, const eid_doc *want, eid_status (*read)(void *ctx, eid_slice path, eid_value **out), void *ctx);

eid_tree *rp_tree(replay *r); /* the lock must be held */

#endif
