/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of a database: which stores it has, of which types, with which configuration and settings.
 *
 * A store is registered by its first use; the functions here are for programs that look at stores they do not know, that
 * bring store types of their own, or that choose how a store orders its writes.
 */
#ifndef EIDETICA_REGISTRY_H
#define EIDETICA_REGISTRY_H

#include <eidetica/database.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Height strategies: which of two concurrent writes counts as the later ---- */

typedef enum eid_height_strategy {
    EID_HEIGHT_INCREMENTAL = 0, /* the one with more writes before it: nobody's clock matters. The default */
    EID_HEIGHT_TIMESTAMP = 1    /* the one with the later clock, in milliseconds since the Unix epoch; never before what it
                                 * was written upon */
} eid_height_strategy;

/* Puts the strategy into the settings of a database to be made (eid_user_create_database_with). */
EID_API eid_status eid_height_strategy_put(eid_doc *settings, eid_height_strategy strategy);

/* ---- Reading ---- */

typedef struct eid_store_info {
    const char *name;        /* zero-terminated */
    const char *type;        /* such as "docstore:v0"; NULL when the record does not say in a way that can be read */
    const eid_doc *config;   /* of the type; empty when there is none */
    bool has_height_strategy; /* false: as the database */
    eid_height_strategy height_strategy;
    const eid_value *record; /* all of it, as it stands in the registry: fields of newer versions too */
} eid_store_info;

/* All is lent for the call; false stops. */
typedef bool (*eid_store_callback)(const eid_store_info *info, void *ctx);

/* Calls back for every registered store in byte order of the names, as the transaction sees them, whether this version knows
 * their types or not. The system stores (their names start with "_") are not registered. */
EID_API eid_status eid_registry_each(eid_txn *txn, eid_store_callback callback, void *ctx);
/* The same at the current frontier. */
EID_API eid_status eid_database_each_store(eid_database *database, eid_store_callback callback, void *ctx);
/* One store; calls back once. EID_ERR_KEY_NOT_FOUND when it is not registered. */
EID_API eid_status eid_registry_find(eid_txn *txn, const char *store, eid_store_callback callback, void *ctx);

/* ---- Writing ---- */

/* Registers a store, which takes part in the entry even when nothing is written to it. `type` is any text without zero
 * bytes; types this version knows are used with their own functions from then on, in this transaction too. `config` NULL:
 * empty. EID_ERR_ALREADY_EXISTS when the store is registered, EID_ERR_STORE_NAME, EID_ERR_INVALID_ARGUMENT for an empty
 * type, EID_ERR_TYPE_MISMATCH when the store is in use in this transaction as another type. */
EID_API eid_status eid_registry_register(eid_txn *txn, const char *store, const char *type, const eid_doc *config);

/* Takes the place of the whole configuration. EID_ERR_KEY_NOT_FOUND when the store is not registered;
 * EID_ERR_UNSUPPORTED for encrypted stores: what they hold would be lost. */
EID_API eid_status eid_registry_set_config(eid_txn *txn, const char *store, const eid_doc *config);

/* From this entry on the store orders its writes by this strategy, whatever the database does; or again as the database.
 * Earlier writes stay where they are, and later ones never sort before what they were written upon.
 * EID_ERR_KEY_NOT_FOUND when the store is not registered. */
EID_API eid_status eid_registry_set_height_strategy(eid_txn *txn, const char *store, eid_height_strategy strategy);
EID_API eid_status eid_registry_clear_height_strategy(eid_txn *txn, const char *store);

#ifdef __cplusplus
}
#endif
#endif
