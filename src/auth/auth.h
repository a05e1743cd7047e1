/* SPDX-License-Identifier: Apache-2.0 */
/* Access rules: the auth part of a database's settings, and judging entries by it (spec auth.md).
 *
 * Pure functions over documents and entries: no storage, no clock. Who finds the settings an entry is to be
 * judged by is the database layer.
 */
#ifndef EID_AUTH_AUTH_H
#define EID_AUTH_AUTH_H

#include <eidetica/auth.h>

#include "crdt/doc.h"
#include "entry/entry.h"

bool eid_permission_can_write(eid_permission permission); /* Write or Admin */
bool eid_permission_can_admin(eid_permission permission);

/* Permission as the stored Doc {type, priority}, and as wire JSON {"Write":1} (auth.md section 2). */
eid_status eid_permission_to_doc(eid_permission permission, eid_doc **out);
eid_status eid_permission_from_doc(const eid_doc *doc, eid_permission *out);
void eid_permission_write_json(eid_buf *buf, eid_permission permission);
eid_status eid_permission_read_json(eid_json *reader, eid_permission *out);

typedef struct eid_auth_key {
    char *name; /* NULL when none; lent by the settings; zero-terminated, but may hold zero bytes */
    size_t name_len;
    eid_permission permission;
    eid_key_status status;
} eid_auth_key;

/* A key record as an atomic Doc, ready to be staged. */
eid_status eid_auth_key_to_doc(const char *name, eid_permission permission, eid_key_status status,
                               eid_doc **out);

/* The auth part, parsed once: immutable afterwards, shared between threads, reference counted. Lookups by
 * public key are O(log n) or better (a database may have 10 000 keys). Unusable records are left out of the
 * keys, but remembered as unusable so that a direct lookup says so. */
typedef struct eid_auth_settings eid_auth_settings;

/* From the document of `_settings` (its child "auth"; absent or not a Doc: empty). */
eid_status eid_auth_settings_parse(const eid_doc *settings, eid_auth_settings **out);
eid_auth_settings *eid_auth_settings_ref(eid_auth_settings *settings);
void eid_auth_settings_unref(eid_auth_settings *settings);

/* Whether entries must be signed (auth.md section 6, rule 2), with one deliberate difference: anything that
 * stands or stood under keys, global or delegations counts, also revoked, removed and unreadable records, so
 * that no change but taking away the whole auth document opens a database to unsigned entries. */
bool eid_auth_settings_configured(const eid_auth_settings *settings);
size_t eid_auth_settings_key_count(const eid_auth_settings *settings);
/* NULL when the key is not listed or its record is unusable. */
const eid_auth_key *eid_auth_settings_find(const eid_auth_settings *settings, const eid_pubkey *key);
const eid_auth_key *eid_auth_settings_global(const eid_auth_settings *settings); /* NULL when none usable */
bool eid_auth_settings_has_active_global(const eid_auth_settings *settings);
/* True when the auth document is not empty and no global permission is active (sync-behaviour.md
 * section 4.1). */
bool eid_auth_settings_protected(const eid_auth_settings *settings);
/* The keys in order of their text, for listings. Whether one is a point of the curve was not looked at. */
void eid_auth_settings_key_at(const eid_auth_settings *settings, size_t index, eid_pubkey *key,
                              const eid_auth_key **record);

/* What the hint of a Direct signature selects (auth.md section 4). At most `capacity` candidates are written.
 * EID_ERR_KEY_NOT_FOUND, EID_ERR_INVALID_KEY, EID_ERR_CORRUPTED_AUTH (bad or missing global). */
typedef struct eid_auth_candidate {
    eid_pubkey key;
    eid_permission permission;
    eid_key_status status;
} eid_auth_candidate;
eid_status eid_auth_candidates(const eid_auth_settings *settings, const eid_key_hint *hint,
                               eid_auth_candidate *out, size_t capacity, size_t *count);

/* Judges an entry by these settings (auth.md section 6). EID_OK: valid. EID_ERR_BAD_SIGNATURE,
 * EID_ERR_PERMISSION_DENIED or EID_ERR_AUTH_REQUIRED with the reason: not valid. EID_ERR_UNSUPPORTED: signed
 * by delegation, with nothing wrong in it that shows here; follow its path (database/delegation.h), then
 * eid_auth_judge_delegated. `verified_key` names a key whose signature over the entry was already checked and
 * holds (NULL: none): the workers check signatures before the lock is taken, so it is not done twice. */
eid_status eid_auth_judge(const eid_auth_settings *settings, const eid_entry *entry,
                          const eid_pubkey *verified_key);

/* ---- Delegation (auth.md section 5) ---- */

typedef struct eid_bounds {
    eid_permission max;
    eid_permission min;
    bool has_min;
} eid_bounds;

bool eid_bounds_valid(const eid_bounds *bounds); /* no min above the max */
/* A min above the max is ignored, as the Rust side does. */
eid_permission eid_bounds_apply(const eid_bounds *bounds, eid_permission permission);
/* Bounds of one more step: the weaker max, the stronger min. */
void eid_bounds_narrow(eid_bounds *bounds, const eid_bounds *step);

typedef struct eid_auth_delegation {
    eid_id key;          /* what steps name, and the records are listed under */
    eid_id tree;         /* the database that is opened: tree.root of the record */
    eid_bounds bounds;
    eid_id *floor;       /* sorted, without duplicates */
    size_t floor_count;
    const char *problem; /* why the record can not be used; NULL: it can, and the members above mean something */
} eid_auth_delegation;

/* The record of this name; NULL when there is none. Lent. */
const eid_auth_delegation *eid_auth_settings_delegation(const eid_auth_settings *settings, const eid_id *key);
/* All records under the text of an ID, also unusable ones, in order of that text. */
size_t eid_auth_settings_delegation_count(const eid_auth_settings *settings);
const eid_auth_delegation *eid_auth_settings_delegation_at(const eid_auth_settings *settings, size_t index);
/* A record as an atomic Doc, ready to be staged. */
eid_status eid_auth_delegation_to_doc(const eid_id *tree, const eid_id *floor, size_t floor_count,
                                      const eid_bounds *bounds, eid_doc **out);

/* Appends the tips of a record's "tree", read as the Rust side reads them: children with decimal names. False: one of
 * them is not an ID. */
bool eid_auth_read_tips(const eid_doc *record, eid_buf *out);

/* What is wrong with the path itself, whatever the databases hold: EID_ERR_PERMISSION_DENIED. */
eid_status eid_auth_check_path(const eid_sigkey *sigkey);
/* Judges an entry signed by delegation, by the settings at the end of its path and the bounds collected on the
 * way; as eid_auth_judge. */
eid_status eid_auth_judge_delegated(const eid_auth_settings *last, const eid_bounds *bounds, const eid_entry *entry,
                                    const eid_pubkey *verified_key);
/* The permission of a proven key at the end of a path (auth.md section 9). EID_ERR_PERMISSION_DENIED when the
 * hint selects no active record of that key. */
eid_status eid_auth_delegated_permission(const eid_auth_settings *last, const eid_bounds *bounds,
                                         const eid_pubkey *proven, const eid_key_hint *hint, eid_permission *out);

/* ---- The older form ---- */

/* Settings of a new database whose "auth" is written in the older form: names of records, each
 * {"pubkey":…,"permissions":{"Admin":1},"status":"Active"}, and "*" with the public key "*" for everybody. Gives
 * a copy with the present form; the names become names of keys. Without "auth": a plain copy. An "auth" of another
 * form: EID_ERR_CORRUPTED_AUTH. eid_doc_free. */
eid_status eid_auth_convert_legacy(const eid_doc *settings, eid_doc **out);

/* The permission a proven key has by Direct or global authority, as sessions and bootstrap see it (auth.md
 * section 9): its own Active record, else an Active global one. EID_ERR_PERMISSION_DENIED when it has none.
 */
eid_status eid_auth_permission_of(const eid_auth_settings *settings, const eid_pubkey *key,
                                  eid_permission *out);
/* The permission a proven key has when it claims this Direct identity (auth.md section 9).
 * EID_ERR_AUTH_FAILED when the hint names another key, EID_ERR_CORRUPTED_AUTH for an empty hint or a claim on
 * a global permission that is not active, EID_ERR_PERMISSION_DENIED when the key has none. */
eid_status eid_auth_identity_permission(const eid_auth_settings *settings, const eid_pubkey *proven,
                                        const eid_key_hint *hint, eid_permission *out);

#endif
