/* SPDX-License-Identifier: Apache-2.0 */
/* What became of an entry, and verifying a whole database anew.
 *
 * An entry that was admitted is a member of its database for good: it is kept, passed on and built upon. Whether it counts, that is
 * whether its payloads take part in any state, is decided by the rule of docs/security.md ("Revocation"), and may change when a
 * change of rights arrives: what was shown is then taken back. All functions may be called from any thread.
 */
#ifndef EIDETICA_VERIFY_H
#define EIDETICA_VERIFY_H

#include <eidetica/database.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum eid_entry_standing {
    EID_STANDING_UNKNOWN, /* nothing is held under this ID */
    EID_STANDING_COUNTS,
    EID_STANDING_VOID,    /* a member that takes part in no state */
    EID_STANDING_WAITING, /* for entries it names that have not arrived */
    EID_STANDING_REFUSED  /* judged and found wrong; the oldest refusals are forgotten in time */
} eid_entry_standing;

/* `reason` (may be NULL) receives a sentence for people about a void or refused entry, NULL for others; eid_free. */
EID_API eid_status eid_database_standing(eid_database *database, const eid_id *id, eid_entry_standing *out, char **reason);

#define EID_VERIFY_TEXT_SIZE 2048

typedef struct eid_verify_report {
    uint64_t entries;     /* members looked at: the sum of the three that follow */
    uint64_t counting;
    uint64_t voids;
    uint64_t wrong;       /* their bytes, signature, pins or rights do not hold, or they are marked otherwise than the rule says */
    uint64_t waiting;     /* in the quarantine, not looked at */
    char text[EID_VERIFY_TEXT_SIZE]; /* the first wrong ones, one on a line; "" when there are none */
} eid_verify_report;

/* Judges every member from its bytes, as if it came from a stranger: hash, structure, signature, parents, pinned settings, rights,
 * and whether it counts. Uses all cores for the signatures; others go on working meanwhile, and what arrives meanwhile is not
 * looked at. Finding something wrong is no error: look at the report. eidetica/maintenance.h checks what is computed from entries,
 * and repairs it. */
EID_API eid_status eid_database_verify(eid_database *database, eid_verify_report *report);

#ifdef __cplusplus
}
#endif
#endif
