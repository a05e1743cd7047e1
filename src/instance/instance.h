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

/* Called, without locks, after a user's tracked databases changed; sync recomputes what is shared. NULL
 * removes it. */
typedef void (*eid_preferences_hook)(eid_instance *instance, const char *user_uuid,
                                     const eid_id *private_database, void *ctx);
void eid_instance_set_preferences_hook(eid_instance *instance, eid_preferences_hook hook, void *ctx);

/* Every user: UUID text and private database; for the first computation. Free with eid_free. */
typedef struct eid_user_summary {
    char uuid[37];
    eid_id private_database;
} eid_user_summary;
eid_status eid_instance_list_users(eid_instance *instance, eid_user_summary **out, size_t *count);

const eid_keypair *eid_user_default_keypair(const eid_user *user);        /* lent */
eid_status eid_user_private_database(eid_user *user, eid_database **out); /* lent */
/* Remembers that the default key may use this database although its data is not here yet (users.md section
 * 11). */
eid_status eid_user_record_pending_access(eid_user *user, const eid_id *id);
/* The keypair the user has for a tracked database; lent. EID_ERR_NO_KEY_FOR_DATABASE. */
eid_status eid_user_key_for_database(eid_user *user, const eid_id *id, const eid_keypair **out);

/* Tracked rows of a private database, read with the device's authority: what combining preferences reads. */
eid_status eid_tracked_databases_read(eid_database *private_database, eid_tracked_database **out,
                                      size_t *count);

#endif
