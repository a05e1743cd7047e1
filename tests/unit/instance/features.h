/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the guide's rows share. */
#ifndef EID_TESTS_INSTANCE_FEATURES_H
#define EID_TESTS_INSTANCE_FEATURES_H

#include "fixture.h"

#include <eidetica/auth.h>
#include <eidetica/sync.h>

static inline eid_database_preferences prefs_of(const eid_database *database)
{
    eid_database_preferences preferences = EID_DATABASE_PREFERENCES_INIT;

    preferences.database_id = *eid_database_root_id(database);
    return preferences;
}

static inline void grant(eid_database *database, eid_user *to, eid_permission permission)
{
    eid_pubkey key;
    eid_txn *txn;

    eid_user_get_default_key(to, &key);
    tu_assert_ok(eid_database_new_transaction(database, &txn));
    tu_assert_ok(eid_settings_set_auth_key(txn, &key, eid_user_name(to), permission, EID_KEY_ACTIVE));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
}

static inline eid_sync *sync_on(fixture *f)
{
    eid_sync *sync;

    tu_assert_ok(eid_instance_enable_sync(f->instance));
    tu_assert_ok(eid_instance_sync(f->instance, &sync));
    return sync;
}

/* Asserts what the database's users wish together. */
static inline void assert_combined(eid_sync *sync, const eid_database *database, bool enabled, bool on_commit, uint64_t interval)
{
    eid_sync_settings found;

    tu_assert_ok(eid_sync_combined_settings(sync, eid_database_root_id(database), &found));
    assert_int_equal(found.sync_enabled, enabled);
    assert_int_equal(found.sync_on_commit, on_commit);
    assert_int_equal(found.interval_seconds, interval);
    eid_sync_settings_clear(&found);
}

#endif
