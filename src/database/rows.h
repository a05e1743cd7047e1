/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a table as a transaction sees them, in the order of their keys or of the values of a field.
 *
 * What a transaction sees is the committed state of its start and what it has staged since. Committed rows are read in
 * slices, with an index where there is one; what is staged, and what others have changed since the start, is laid over
 * them: such rows are looked at one by one and put into the order where they belong, and passed over where the index or the
 * cells show them. Where that can not be done (chosen tips, hidden payloads, a store that was replaced meanwhile) the state is
 * folded.
 *
 * What is staged while the rows are shown is not among them.
 */
#ifndef EID_DATABASE_ROWS_H
#define EID_DATABASE_ROWS_H

#include "base/random.h"
#include "database/txn.h"
#include "state/index.h"

/* `row->value` is what the row is ordered by, cut (state/index.h); empty in the order of keys. Lent for the call; texts have a
 * zero behind them. No lock is held. */
typedef bool (*eid_row_function)(const eid_row *row, void *ctx);

typedef struct eid_row_query {
    const char *field;       /* NULL: by key */
    eid_slice low, high;     /* of values, in full, or of keys: from low on, high excluded */
    bool descending;
    bool counting;           /* the texts are not wanted; only by key */
    bool resumed;            /* only what is behind this place: */
    eid_slice after_value;
    eid_slice after_key;
    size_t expected;         /* rows that will be taken; 0: not known */
    eid_row_function show;   /* false stops */
    void *ctx;
} eid_row_query;

/* Shows the rows. With a field it needs an index: *done false when there is none, or none any more; then what was shown
 * before is right, and the rest can be had from eid_txn_store_sort with the last row shown as its place. */
eid_status eid_txn_store_rows(eid_txn_store *store, const eid_row_query *query, bool *done);

/* The same rows without an index: looks at all and puts them in order; `limit` of them (0: all) are kept in memory. */
eid_status eid_txn_store_sort(eid_txn_store *store, const eid_row_query *query, uint64_t limit, eid_row_function test,
                              uint64_t *tested);

/* What the row is ordered by: the first of its values within the bounds. Lent by `values`. */
eid_status eid_row_match(const eid_row_query *query, eid_slice key, eid_slice text, eid_field_values *values, eid_slice *value,
                         bool *matches);

/* *declared: there is an index on the field; *ready: it can be used. */
eid_status eid_txn_store_has_index(eid_txn_store *store, const char *field, bool *declared, bool *ready);

/* A new key for a row: a random UUID. Those of one transaction have their first digits in common and grow, so that a commit
 * touches few places of a large table; an entry shows its rows together anyway. */
void eid_txn_store_new_key(eid_txn_store *store, eid_uuid *out);

#endif
