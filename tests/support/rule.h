/* SPDX-License-Identifier: Apache-2.0 */
/* The rule of revocation (docs/security.md) written out once more from its text, as slow and plain as it reads: sets are arrays
 * of bool, folds are merges of documents, every question looks at everything. Nothing here knows arrival numbers, charters or
 * marks; entries are numbered in an order in which all they name comes first. */
#ifndef EID_TESTS_RULE_H
#define EID_TESTS_RULE_H

#include "auth/auth.h"
#include "support/testutil.h"

#define TR_MAX 96      /* entries of a history */
#define TR_NAMED 6     /* main parents, pins, settings parents of one entry */
#define TR_HOLDERS 10

/* Rights in order, as plain numbers. */
typedef enum tr_level {
    TR_NONE,
    TR_READ,
    TR_WRITE,
    TR_OPEN,   /* everybody's while nobody was given a right */
    TR_ADMIN
} tr_level;

typedef struct tr_right {
    tr_level level;
    uint32_t priority; /* of Write and Admin; the smaller is more */
} tr_right;

int tr_compare(tr_right a, tr_right b);

/* Who can hold a right. The name of everybody is empty, of the global permission "*", else the text of a key. */
typedef struct tr_holder {
    char name[64];
} tr_holder;

typedef struct tr_entry {
    eid_entry *entry;
    size_t parents[TR_NAMED], parent_count;
    size_t pins[TR_NAMED], pin_count;
    bool settings;                             /* takes part in `_settings` */
    size_t below[TR_NAMED], below_count;       /* its parents there */
    eid_doc *rules;                            /* its payload there; NULL when it is no document */
    eid_doc *data;                             /* its payload in the store "data"; NULL */
    size_t author;                             /* holder whose record it claims */
    bool genuine;                              /* the signature is by the key that is named */
    char label[8];                             /* by which the signature names the key; "": by its text */
} tr_entry;

typedef struct tr_history {
    tr_entry entries[TR_MAX];
    size_t count;
    tr_holder holders[TR_HOLDERS];
    size_t holder_count;
    /* What the rule says. */
    bool admitted[TR_MAX];
    bool counts[TR_MAX];
    /* What follows from an entry and those before it, found once: tr_learn. */
    bool past[TR_MAX][TR_MAX];
    bool knows[TR_MAX][TR_MAX];
    tr_right power[TR_MAX];
    bool sweeps[TR_MAX];
    bool changes[TR_MAX][TR_HOLDERS];
    tr_right gives[TR_MAX][TR_HOLDERS];
} tr_history;

void tr_free(tr_history *history);

/* To be called for each entry when it and all holders are there. */
void tr_learn(tr_history *history, size_t entry);
/* Whether the entry, which is the last one, may stand among those before it: by what it pins (auth.md). */
bool tr_admits(const tr_history *history, size_t entry);
/* Fills `counts`; `admitted` is filled already. */
void tr_decide(tr_history *history);

/* The fold of the store "data", or of `_settings`, over what counts. eid_doc_free. */
eid_doc *tr_state(const tr_history *history, bool settings);
/* Admitted entries that are no parent of an admitted one. */
void tr_tips(const tr_history *history, bool tips[TR_MAX]);

#endif
