/* SPDX-License-Identifier: Apache-2.0 */
/* A slow and obvious model of the history of one database, to compare the storage and the folds with.
 *
 * It is made from entries alone and knows no arrival numbers, cells, ranks or caches: sets are arrays of bool over
 * all entries, one place per entry, and every question is answered by looking at everything. What it says about
 * states and tips is the text of spec crdt.md section 7 written out.
 */
#ifndef EID_TESTS_MODEL_H
#define EID_TESTS_MODEL_H

#include "crdt/doc.h"
#include "entry/entry.h"
#include "support/testutil.h"

#define TM_NONE SIZE_MAX

/* An entry's participation in one store. Names are numbered in the order they are met. */
typedef struct tm_part {
    size_t store;
    uint64_t height;   /* effective; what does not fit a signed number is the largest one */
    size_t *parents;   /* entries of the model that take part in the store too; unknown ones are left out */
    size_t parent_count;
    bool unreadable;   /* has a payload that is not a document */
    eid_doc *doc;      /* NULL: no payload, an empty or an unreadable one */
} tm_part;

typedef struct tm_node {
    eid_entry *entry;
    size_t *parents;   /* main parents, all of the model */
    size_t parent_count;
    tm_part *parts;
    size_t part_count;
} tm_node;

typedef struct tm_model {
    tm_node *nodes;
    size_t count;
    eid_slice *stores;      /* names, lent by the entries */
    size_t store_count;
    struct eid_map *by_id;
} tm_model;

/* The entries are referenced, not copied. Every main parent must be among them. */
void tm_build(tm_model *model, eid_entry *const *entries, size_t count);
void tm_free(tm_model *model);

size_t tm_find(const tm_model *model, const eid_id *id);       /* TM_NONE when it is not of the model */
size_t tm_store(const tm_model *model, eid_slice name);        /* TM_NONE when nothing takes part in it */
const tm_part *tm_part_of(const tm_model *model, size_t node, size_t store); /* NULL when it does not take part */

/* calloc of one bool per entry, all `value`; free() it. */
bool *tm_set(const tm_model *model, bool value);
size_t tm_set_count(const tm_model *model, const bool *set);

/* Adds all main ancestors. */
void tm_ancestors(const tm_model *model, bool *set);
/* Members that are main parent of no member. */
void tm_main_tips(const tm_model *model, const bool *members, bool *out);
/* Participants among the members that are store parent of no such participant. */
void tm_store_tips(const tm_model *model, const bool *members, size_t store, bool *out);
/* Everything reached from these store tips along store parents among the present entries. */
void tm_closure(const tm_model *model, const bool *present, size_t store, const bool *tips, bool *out);
/* All present participants. */
void tm_participants(const tm_model *model, const bool *present, size_t store, bool *out);
/* The participants of the set in fold order, as indices; free() it. */
size_t *tm_fold_order(const tm_model *model, const bool *set, size_t store, size_t *count);
/* The fold of the participants of the set; eid_doc_free it. */
eid_doc *tm_fold(const tm_model *model, const bool *set, size_t store);

/* Asserts that two documents have the same stored form; `what` is shown otherwise. */
void tm_assert_same(const eid_doc *have, const eid_doc *want, const char *what);

#endif
