/* SPDX-License-Identifier: Apache-2.0 */
/* A random history received by a database in random order, side by side with its slow model. */
#ifndef EID_TESTS_RANDOM_DATABASE_H
#define EID_TESTS_RANDOM_DATABASE_H

#include "database_test.h"

typedef struct random_database {
    tu_random random;
    eid_core *core;
    eid_database *database;
    eid_entry **entries;     /* parents first; the root is the first */
    tm_model model;
    char what[48];           /* for messages: which seed */
} random_database;

/* Every strangeness of the generator, but no settings: those that can not be read would have entries refused. */
th_shape rd_wild(tu_random *random);

void rd_make(random_database *w, uint64_t seed, const th_shape *shape); /* NULL: rd_wild */
void rd_free(random_database *w);

/* free() it. */
char *rd_store_name(const tm_model *model, size_t store);

/* A random snapshot of up to three tips, some of which may be ancestors of others: its IDs, and the set of the entries that
 * belong to it; free() the set. */
#define RD_TIPS 3
bool *rd_snapshot(random_database *w, eid_id tips[RD_TIPS], size_t *count);
/* The store's document at a snapshot; eid_doc_free. */
eid_doc *rd_doc_at(const tm_model *model, const bool *members, size_t store);

#endif
