/* SPDX-License-Identifier: Apache-2.0 */
/* Random histories of one database among admins of different powers, writers and strangers, of whom none can be trusted: they
 * date entries back, equivocate, replay old settings, revoke and grant each other, name whatever they like as parents. Signed
 * entries with all that the rule of revocation (rule.h) needs to know about them. */
#ifndef EID_TESTS_HOSTILE_H
#define EID_TESTS_HOSTILE_H

#include "support/rule.h"

typedef struct th_hostile {
    size_t entries;        /* at most TR_MAX */
    unsigned backdating;   /* percent of entries that build on any old entries, … */
    unsigned old_pins;     /* … that pin any old settings, … */
    unsigned old_below;    /* … that build on any old settings */
    unsigned forged;       /* … with heights out of nowhere */
    unsigned settings;     /* percent of entries that change settings */
    unsigned unfounded;    /* percent of entries whose writers do not ask what they may */
    bool open;             /* the root gives nobody a right */
    bool strange;          /* also payloads that are no whole records */
} th_hostile;

th_hostile th_hostile_shape(tu_random *random);
/* tr_free. The decisions of the rule are in it. */
void th_hostile_make(tu_random *random, const th_hostile *shape, tr_history *out);

#endif
