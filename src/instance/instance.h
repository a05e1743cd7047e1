/* SPDX-License-Identifier: Apache-2.0 */
/* Instances and users inside the library: what sync needs beyond the public headers. */
#ifndef EID_INSTANCE_INSTANCE_H
#define EID_INSTANCE_INSTANCE_H

#include <eidetica/sync.h>
#include <eidetica/user.h>

#include "database/database.h"

eid_core *eid_instance_core(eid_instance *instance);
const eid_keypair *eid_instance_device_key(const eid_instance *instance);
const eid_clock *eid_instance_clock(const eid_instance *instance);

/* Root of the `_sync` database in the instance metadata (storage.md section 8); the empty ID when there is
 * none yet. */
eid_status eid_instance_get_sync_db(eid_instance *instance, eid_id *out);
eid_status eid_instance_set_sync_db(eid_instance *instance, const eid_id *id);
/* True for _users, _databases and _sync. */
bool eid_instance_is_system_database(eid_instance *instance, const eid_id *id);
/* Roots of the system databases and of users' private databases: never to be listed to or served to peers. */
bool eid_instance_is_private_database(eid_instance *instance, const eid_id *id);

/* The sync object hangs on the instance, which closes it first of all. */
void eid_instance_attach_sync(eid_instance *instance, eid_sync *sync, void (*close)(eid_sync *sync));
eid_sync *eid_instance_attached_sync(eid_instance *instance); /* NULL when sync is off */

/* What sync wants to hear of; called without locks.
 * preferences: what the user wishes for the database (NULL: for any) may have changed.
 * new_database: eid_instance_new_database made one. */
typedef struct eid_instance_hooks {
    void (*preferences)(eid_instance *instance, const char *user_uuid, const eid_id *private_database,
                        const eid_id *database, void *ctx);
    void (*new_database)(eid_instance *instance, const eid_id *database, void *ctx);
    void *ctx;
} eid_instance_hooks;
void eid_instance_set_hooks(eid_instance *instance, const eid_instance_hooks *hooks); /* NULL: none */

/* Every user: UUID text and private database; for the first computation. Free with eid_free. */
typedef struct eid_user_summary {
    char uuid[37];
    eid_id private_database;
} eid_user_summary;
eid_status eid_instance_user_summaries(eid_instance *instance, eid_user_summary **out, size_t *count);

/* A copy of the instance's named key; eid_keypair_free. EID_ERR_PRIVATE_KEY_NOT_FOUND. */
eid_status eid_instance_copy_private_key(eid_instance *instance, const char *name, eid_keypair **out);

const eid_keypair *eid_user_default_keypair(const eid_user *user);        /* lent */
eid_status eid_user_private_database(eid_user *user, eid_database **out); /* lent */
/* Remembers that the default key may use this database although its data is not here yet (users.md section
 * 11). */
eid_status eid_user_record_pending_access(eid_user *user, const eid_id *id);
/* Remembers that it was refused, with the peer's sentence. */
eid_status eid_user_record_refused_access(eid_user *user, const eid_id *id, const char *sentence);
/* The keypair the user has for a tracked database; lent. EID_ERR_NO_KEY_FOR_DATABASE. */
eid_status eid_user_key_for_database(eid_user *user, const eid_id *id, const eid_keypair **out);
/* A copy of the key with which somebody who is logged in works in the database and has a right there now.
 * EID_ERR_NO_KEY_FOR_DATABASE. No lock may be held. */
eid_status eid_instance_key_for_database(eid_instance *instance, const eid_id *id, eid_keypair **out);

/* What a user wishes, read from the private database without the user; sync combines it. `active` false: the user is
 * disabled or gone, which is wishing nothing. */
eid_status eid_user_is_active(eid_instance *instance, const char *uuid, bool *active);
/* All tracked databases in order of the ID text, without the time they were added; eid_database_preferences_free. */
eid_status eid_wishes_read(eid_instance *instance, const eid_id *private_database, eid_database_preferences **out,
                           size_t *count);
/* One of them; eid_database_preferences_clear it. EID_ERR_DATABASE_NOT_TRACKED. */
eid_status eid_wish_read(eid_instance *instance, const eid_id *private_database, const eid_id *database,
                         eid_database_preferences *out);

#endif
