/* SPDX-License-Identifier: Apache-2.0 */
/* Random histories of one database, unsigned, honest or as strange as a hostile writer could make them. The same
 * random numbers give the same entries. */
#ifndef EID_TESTS_HISTORY_H
#define EID_TESTS_HISTORY_H

#include "support/model.h"

typedef struct th_shape {
    size_t entries;       /* the root included */
    unsigned stores;      /* at most TH_STORES; named "a", "b", … */
    unsigned keys;        /* different top-level keys, at most TH_KEYS */
    unsigned branching;   /* percent of entries that build on any old entry instead of on tips */
    unsigned barriers;    /* percent of payloads that are atomic at the top */
    bool forged_heights;  /* also heights that are equal to, below, or far above those of parents */
    bool own_heights;     /* store nodes with heights of their own */
    bool odd_parents;     /* store parents that are no main ancestors, take no part in the store, or do not exist */
    bool unreadable;      /* payloads that are no documents, empty payloads, none */
    bool duplicates;      /* entries that name one store twice */
    bool hot;             /* values are mostly Docs and Lists of few places, so that writes meet deep inside them */
    bool strategies;      /* stores follow the height strategy "timestamp", or take it up or give it up on the way */
    bool first_writes;    /* the first entries know only the root: stores begin several times at once */
    bool odd_positions;   /* list positions that are not in lowest terms, alone and beside their reduced form */
} th_shape;

#define TH_STORES 4
#define TH_KEYS 9

/* Every strangeness at once, at sizes that keep a thousand histories within a second. */
th_shape th_wild(tu_random *random);
/* What honest writers make. */
th_shape th_honest(size_t entries);

/* Entries in an order in which every main parent stands before its children, the root first. th_free_entries. */
eid_entry **th_generate(tu_random *random, const th_shape *shape);
void th_free_entries(eid_entry **entries, size_t count);

/* A random order (indices into the model) in which main parents come first; free() it. */
size_t *th_arrival(tu_random *random, const tm_model *model);

/* Strangeness that a seed of th_generate brought about, for tests of the generator. */
typedef struct th_census {
    size_t branches;      /* entries that do not build on all tips of their time */
    size_t merges;        /* entries with more than one main parent */
    size_t barriers;
    size_t lists;         /* payloads that hold one at the top level */
    size_t tombstones;
    size_t nested_atomic;
    size_t timestamps;    /* participations whose height is one */
    size_t forged;        /* participations not above a parent of theirs */
    size_t first_writes;  /* participations without parents beyond the first of their store */
    size_t replaced;      /* neighbours in fold order under one key of which one is a Doc and the other is none */
    size_t odd_positions;
} th_census;
void th_count(const tm_model *model, th_census *census); /* adds to it */

const char *th_key(size_t index, size_t *len);

#endif
