/* SPDX-License-Identifier: Apache-2.0 */
/* Tracking a database with these settings, in one line. */
#ifndef EID_TESTS_TRACK_H
#define EID_TESTS_TRACK_H

#include <eidetica/user.h>

static inline eid_status tu_track(eid_user *user, const eid_id *id, const eid_sync_settings *settings)
{
    eid_database_preferences preferences = EID_DATABASE_PREFERENCES_INIT;

    preferences.database_id = *id;
    preferences.sync_settings = *settings; /* lent */
    return eid_user_add_database(user, &preferences);
}

#endif
