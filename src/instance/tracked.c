/* SPDX-License-Identifier: Apache-2.0 */
/* The databases a user works with: creating, opening, finding (spec users.md section 10). */
#include "base/alloc.h"
#include "instance/instance_int.h"

/* ---- Creating ---- */

typedef struct creation {
    eid_user *user;
    eid_txn *txn; /* of the private database */
    const eid_session_key *key;
} creation;

/* Stages what makes the database the user's: the tracked row with sync off, and the mapping of the key. */
static eid_status stage_ownership(const eid_id *id, void *ctx)
{
    const creation *c = ctx;
    eid_database_preferences tracked = EID_DATABASE_PREFERENCES_INIT;

    tracked.database_id = *id;
    tracked.key_id = c->key->pubkey;
    EID_TRY(eid_mapping_stage(c->user, c->txn, c->key, id, NULL, true, false));
    return eid_preferences_stage(c->user, c->txn, &tracked, true);
}

static eid_status create_tracked(eid_user *user, const eid_doc *settings, const eid_session_key *key, eid_database **out)
{
    creation c = {.user = user, .key = key};

    EID_TRY(eid_database_new_transaction(user->private_database, &c.txn));
    eid_status status =
        eid_database_create_with(user->instance->core, settings, key->pair, &c.txn, 1, stage_ownership, &c, out);
    eid_txn_free(c.txn);
    eid_mappings_settle(user, status);
    return status;
}

eid_status eid_user_create_database_with(eid_user *user, const eid_doc *settings, const eid_pubkey *key, eid_database **out)
{
    EID_NEED(user && settings && out);
    const eid_session_key *used = key == NULL ? eid_session_default_key(user) : eid_session_find_key(user, key);

    if (used == NULL)
        return eid_session_no_key(key);
    pthread_mutex_lock(&user->instance->change_mutex);
    eid_status status = create_tracked(user, settings, used, out);
    pthread_mutex_unlock(&user->instance->change_mutex);
    return status;
}

eid_status eid_user_create_database(eid_user *user, const char *name, eid_database **out)
{
    EID_NEED(user && name && out);
    eid_doc *settings;

    EID_TRY(eid_doc_new(&settings));
    eid_status status = eid_doc_set_string(settings, "name", name);
    if (status == EID_OK)
        status = eid_user_create_database_with(user, settings, NULL, out);
    eid_doc_free(settings);
    return status;
}

/* ---- Opening ---- */

eid_status eid_user_open_database(eid_user *user, const eid_id *id, eid_database **out)
{
    EID_NEED(user && id && out);
    const eid_session_key *key;
    eid_sigkey identity;
    bool has_identity;

    EID_TRY(eid_session_choose_key(user, id, &key, &has_identity, &identity));
    eid_status status =
        eid_database_open_as(user->instance->core, id, key->pair, has_identity ? &identity : NULL, out);
    eid_sigkey_free(&identity);
    return status == EID_ERR_DATABASE_NOT_FOUND ? eid_user_fail_absent(user, id) : status;
}

eid_status eid_user_key_for_database(eid_user *user, const eid_id *id, const eid_keypair **out)
{
    const eid_session_key *key;
    eid_sigkey identity;
    bool has_identity;

    EID_TRY(eid_session_choose_key(user, id, &key, &has_identity, &identity));
    eid_sigkey_free(&identity);
    *out = key->pair;
    return EID_OK;
}

/* The same for a user whose key has a right there now. */
static eid_status copy_entitled_key(eid_user *user, const eid_id *id, eid_keypair **out)
{
    const eid_keypair *pair;
    eid_permission held;
    eid_pubkey key;
    EID_TRY(eid_user_key_for_database(user, id, &pair));
    eid_keypair_public(pair, &key);
    EID_TRY(eid_core_permission_of(user->instance->core, id, &key, &held));
    return eid_keypair_copy(pair, out);
}

eid_status eid_instance_key_for_database(eid_instance *instance, const eid_id *id, eid_keypair **out)
{
    eid_status status = EID_ERR_NO_KEY_FOR_DATABASE;
    pthread_mutex_lock(&instance->sessions_mutex);
    for (eid_user *user = instance->sessions; user != NULL && status != EID_OK && status != EID_ERR_NO_MEMORY; user = user->next)
        status = copy_entitled_key(user, id, out);
    pthread_mutex_unlock(&instance->sessions_mutex);
    if (status == EID_OK || status == EID_ERR_NO_MEMORY)
        return status;
    return eid_fail(EID_ERR_NO_KEY_FOR_DATABASE, "nobody who is logged in has a key with a right in the database");
}

/* One database of the list, when it opens and has the name; *out stays as it is otherwise. */
static eid_status open_named(eid_user *user, const eid_id *id, const char *name, eid_database **out)
{
    eid_database *database = NULL;
    char *found = NULL;

    eid_status status = eid_user_open_database(user, id, &database);
    if (status == EID_OK)
        status = eid_database_name(database, &found);
    if (status == EID_OK && strcmp(found, name) == 0)
        *out = database;
    else
        eid_database_close(database);
    eid_free(found);
    return status == EID_ERR_NO_MEMORY ? status : EID_OK; /* others can not be the one that is looked for */
}

eid_status eid_user_find_database(eid_user *user, const char *name, eid_database **out)
{
    EID_NEED(user && name && out);
    eid_database_preferences *tracked;
    eid_database *found = NULL;
    eid_status status = EID_OK;
    size_t count;

    EID_TRY(eid_wishes_read(user->instance, eid_database_root_id(user->private_database), &tracked, &count));
    for (size_t i = 0; i < count && found == NULL && status == EID_OK; i++)
        status = open_named(user, &tracked[i].database_id, name, &found);
    eid_database_preferences_free(tracked, count);
    EID_TRY(status);
    if (found == NULL)
        return eid_fail(EID_ERR_DATABASE_NOT_FOUND, "no tracked database is named \"%.200s\"", name);
    *out = found;
    return EID_OK;
}
