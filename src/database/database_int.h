/* SPDX-License-Identifier: Apache-2.0 */
/* The database layer's own insides. */
#ifndef EID_DATABASE_DATABASE_INT_H
#define EID_DATABASE_DATABASE_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include <eidetica/changes.h>

#include "database/standing.h"
#include "database/txn.h"

#define EID_SETTINGS "_settings"
#define EID_INDEX "_index"
#define EID_ROOT_MARKER "_root"

struct eid_callback {
    eid_core *core;
    eid_database *database;
    char *store;            /* only entries that take part in it; NULL: all */
    unsigned sources;       /* sum of eid_write_sources */
    eid_write_callback function;
    void *ctx;
    uint64_t serial;        /* registrations count up: later ones do not hear of earlier writes */
    int running;            /* calls in progress; removal waits for 0 */
    eid_callback *next;
};

struct eid_core {
    eid_storage *storage;
    eid_clock clock;
    eid_instance *instance;
    pthread_mutex_t callback_mutex;
    pthread_cond_t callback_idle;
    pthread_mutex_t signer_mutex; /* nothing is called under it */
    eid_callback *callbacks; /* in order of registration */
    uint64_t callback_serial;
    eid_core_hook hook;
    void *hook_ctx;
    int hook_running;        /* calls in progress; whoever changes the hook waits for 0 */
    eid_changes *feeds;      /* guarded by the storage lock */
    _Atomic bool waits_across; /* an entry may wait for one of another database */
};

/* A key and the identity it signs under; a handle and its transactions share it. */
typedef struct eid_signer {
    atomic_uint refs;
    eid_keypair *key;
    eid_sigkey identity;
} eid_signer;

void eid_signer_unref(eid_signer *signer);

struct eid_database {
    eid_core *core;
    eid_id root;
    eid_signer *signer;     /* NULL: reading only; guarded by the core's signer_mutex */
};
/* What transactions sign with from now on, counted; NULL: nothing. */
eid_signer *eid_database_signer(eid_database *database);

/* ---- Resolved settings, cached per tree (lock held) ---- */

/* The auth settings a set of settings entries resolves to, counting or not: the fold over the closure of these participants
 * of `_settings`. `tips` are ascending. Unref the result. */
eid_status eid_settings_resolve(eid_storage *storage, eid_tree *tree, const int64_t *tips, size_t count, eid_auth_settings **out);
/* At the current frontier, of what counts. */
eid_status eid_settings_current(eid_storage *storage, eid_tree *tree, eid_auth_settings **out);
/* The strategy named by the `height_strategy` setting within the view. */
eid_status eid_settings_strategy(eid_core *core, eid_tree *tree, const eid_view *view, eid_height_strategy *out);
void eid_tree_cache_free(void *cache);
/* Where the tree's charter hangs (standing_int.h). */
eid_status eid_tree_cache_charter(eid_tree *tree, eid_charter ***out);

/* Judges an entry by the settings it pins (arrival numbers; none: nobody was given a right). *refusal EID_OK: it may stand
 * among the others; else EID_ERR_BAD_SIGNATURE, EID_ERR_PERMISSION_DENIED, EID_ERR_AUTH_REQUIRED or what eid_auth_judge says, with
 * a sentence. `verified` (may be NULL): the key whose signature is known to hold. */
eid_status eid_standing_judge(eid_core *core, eid_tree *tree, const int64_t *pins, size_t count, const eid_entry *entry,
                              const eid_pubkey *verified, eid_status *refusal);

/* ---- Writing ---- */

/* Stores entries that were judged, in one storage transaction that is open: row, tips, cells. */
eid_status eid_core_store_entry(eid_core *core, eid_state_batch *batch, eid_tree *tree, const eid_entry *entry,
                                const int64_t *parents, size_t parent_count);
/* Tells the change feeds what was just committed, so that they know where it came from; the lock is still held. */
void eid_core_note(eid_core *core, const eid_id *database, eid_write_source source);
/* Fires the hook, which hears of all that was stored; and the write callbacks, which hear of what counts. No lock held. */
void eid_core_announce(eid_core *core, const eid_id *database, eid_entry *const *entries, size_t count, eid_write_source source);
void eid_core_tell(eid_core *core, const eid_id *database, eid_entry *const *entries, size_t count, eid_write_source source);

/* Ancestors-or-self of these entries of the tree, ascending; lock held. EID_ERR_INVALID_TIP. */
eid_status eid_tree_members_at(eid_core *core, eid_tree *tree, const eid_id *tips, size_t count, int64_t **out,
                               size_t *out_count);

/* difference.c: entries of these numbers, which are descending; they are handed out from the end. */
eid_status eid_difference_open_list(eid_core *core, const eid_id *database, const int64_t *descending, size_t count,
                                    eid_difference **out);

/* A handle, whether the database is held yet or not. */
eid_status eid_database_new_handle(eid_core *core, const eid_id *id, const eid_keypair *key, const eid_sigkey *identity,
                                   eid_database **out);
/* The tree of the handle; lock held. */
eid_status eid_database_tree(eid_database *database, eid_tree **out);

#endif
