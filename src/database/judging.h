/* SPDX-License-Identifier: Apache-2.0 */
/* Judging one entry by the settings it pins: for admission, and for verifying what was admitted. Lock held. */
#ifndef EID_DATABASE_JUDGING_H
#define EID_DATABASE_JUDGING_H

#include "database/database_int.h"

/* The pinned settings of the entry judged last: the next one mostly pins the same. Zero at first; forgotten before the lock is
 * given up. */
typedef struct eid_pin_memo {
    uint8_t *metadata;          /* which names them; eid_free. NULL: nothing is remembered */
    size_t metadata_len;
    size_t count;
    int64_t pins[EID_LIMIT_SETTINGS_PIN];
} eid_pin_memo;

typedef struct eid_judging {
    const eid_entry *entry;
    eid_pin_memo *memo;
    const eid_pubkey *verified; /* the key whose signature is known to hold; NULL: none */
    eid_status refusal;         /* with its sentence in the last error; EID_OK so far */
    eid_id missing;             /* of what is needed and not held, one at random: … */
    size_t missing_count;       /* … whoever waits for it is looked at again a few times, not at every arrival */
} eid_judging;

void eid_pin_memo_forget(eid_pin_memo *memo);
bool eid_judging_is_open(const eid_judging *judging);
/* The number of an entry this one names; counted as missing when it is not held. When it belongs to another database the entry is
 * refused, so that the verdict does not depend on what else this instance holds. */
eid_status eid_judging_find(eid_judging *judging, eid_core *core, const eid_tree *tree, const eid_id *id, int64_t *n);
/* Pins, signature, permission. Refused, missing, or neither: then it may stand among the others. */
eid_status eid_judging_finish(eid_judging *judging, eid_core *core, eid_tree *tree);

#endif
