/* SPDX-License-Identifier: Apache-2.0 */
/* Databases that are written with the named keys of the instance, without a user. */
#include "instance/instance_int.h"

static void tell(eid_instance *instance, const eid_id *database)
{
    pthread_mutex_lock(&instance->mutex);
    eid_instance_hooks hooks = instance->hooks;
    pthread_mutex_unlock(&instance->mutex);
    if (hooks.new_database != NULL)
        hooks.new_database(instance, database, hooks.ctx);
}

eid_status eid_instance_new_database(eid_instance *instance, const eid_doc *settings, const char *key_name,
                                     eid_database **out)
{
    EID_NEED(instance && settings && key_name && out);
    eid_keypair *key;
    eid_doc *converted = NULL;

    EID_TRY(eid_instance_copy_private_key(instance, key_name, &key));
    eid_status status = eid_auth_convert_legacy(settings, &converted);
    if (status == EID_OK)
        status = eid_database_create_with_auth(instance->core, converted, key, out);
    eid_doc_free(converted);
    eid_keypair_free(key);
    if (status == EID_OK)
        tell(instance, eid_database_root_id(*out));
    return status;
}

/* A copy of the key, and the strongest identity it has in the database. */
static eid_status find_key(eid_database *database, const char *key_name, eid_keypair **key, eid_sigkey *identity)
{
    eid_permission permission;
    eid_pubkey pubkey;
    eid_keypair *found;

    EID_TRY(eid_instance_copy_private_key(eid_database_instance(database), key_name, &found));
    eid_keypair_public(found, &pubkey);
    eid_status status = eid_core_best_identity(eid_database_core(database), eid_database_root_id(database), &pubkey,
                                               identity, &permission);
    if (status == EID_ERR_PERMISSION_DENIED)
        status = eid_fail(EID_ERR_PERMISSION_DENIED, "the key named \"%.256s\" has no right in the database", key_name);
    if (status == EID_OK)
        *key = found;
    else
        eid_keypair_free(found);
    return status;
}

eid_status eid_database_set_default_auth_key(eid_database *database, const char *key_name)
{
    EID_NEED(database && key_name);
    eid_keypair *key;
    eid_sigkey identity;

    EID_TRY(find_key(database, key_name, &key, &identity));
    eid_status status = eid_database_set_key(database, key, &identity);
    eid_keypair_free(key);
    eid_sigkey_free(&identity);
    return status;
}

eid_status eid_database_new_authenticated_operation(eid_database *database, const char *key_name, eid_txn **out)
{
    EID_NEED(database && key_name && out);
    eid_keypair *key;
    eid_sigkey identity;

    EID_TRY(find_key(database, key_name, &key, &identity));
    eid_status status = eid_database_new_transaction_as(database, key, &identity, out);
    eid_keypair_free(key);
    eid_sigkey_free(&identity);
    return status;
}

eid_status eid_database_new_operation(eid_database *database, eid_txn **out)
{
    return eid_database_new_transaction(database, out);
}
