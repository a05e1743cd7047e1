/* SPDX-License-Identifier: Apache-2.0 */
/* Access rules of a database: who may read, write and administer it.
 *
 * Rights are records in the settings, one for each key, one for everybody ("global"), and one for each database to whose
 * members rights are delegated. Changing them is a transaction like any other, and needs Admin. A record is replaced as a whole,
 * so concurrent changes of one never mix. What was signed under a right that is taken away later: docs/security.md.
 *
 * Reads see what the transaction started from and everything staged in it. What they hand out is one block: free it with
 * eid_free; names and lists go with it.
 */
#ifndef EIDETICA_AUTH_H
#define EIDETICA_AUTH_H

#include <eidetica/database.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Keys ---- */

typedef enum eid_key_status {
    EID_KEY_ACTIVE,
    EID_KEY_REVOKED
} eid_key_status;

typedef struct eid_auth_key_info {
    eid_pubkey key;
    const char *name; /* NULL when it has none; need not be unique */
    eid_permission permission;
    eid_key_status status;
} eid_auth_key_info;

/* Lists a key. `name` (UTF-8, may be NULL) is for people. EID_ERR_ALREADY_EXISTS when the key is listed, revoked or not:
 * change it with the functions below. */
EID_API eid_status eid_settings_add_auth_key(eid_txn *txn, const eid_pubkey *key, const char *name, eid_permission permission);
/* Writes the whole record, whether the key is listed or not. */
EID_API eid_status eid_settings_set_auth_key(eid_txn *txn, const eid_pubkey *key, const char *name, eid_permission permission,
                                             eid_key_status status);
/* Change one thing and keep the rest. EID_ERR_KEY_NOT_FOUND when the key is not listed; EID_ERR_INVALID_KEY when its record can
 * not be read (write it anew with eid_settings_set_auth_key). A revoked key stays listed and has no right; ranking does not
 * make it active again, eid_settings_set_auth_key does. */
EID_API eid_status eid_settings_rank_auth_key(eid_txn *txn, const eid_pubkey *key, eid_permission permission);
EID_API eid_status eid_settings_rename_auth_key(eid_txn *txn, const eid_pubkey *key, const char *name);
EID_API eid_status eid_settings_revoke_auth_key(eid_txn *txn, const eid_pubkey *key);
/* Takes the record away. Has the effect of a revocation, and the listings forget that there was such a key. */
EID_API eid_status eid_settings_remove_auth_key(eid_txn *txn, const eid_pubkey *key);

/* EID_ERR_KEY_NOT_FOUND, EID_ERR_INVALID_KEY as above. */
EID_API eid_status eid_settings_get_auth_key(eid_txn *txn, const eid_pubkey *key, eid_auth_key_info **out);
/* All of them in order of the keys' text; records that can not be read are left out. */
EID_API eid_status eid_settings_list_auth_keys(eid_txn *txn, eid_auth_key_info **out, size_t *count);
/* Calls back for every listed key behind `after` (NULL: from the start) in order of the key's text; false stops. What is lent
 * lives for the call. */
typedef bool (*eid_auth_key_callback)(const eid_auth_key_info *key, void *ctx);
EID_API eid_status eid_settings_each_auth_key(eid_txn *txn, const eid_pubkey *after, eid_auth_key_callback callback, void *ctx);

/* ---- Everybody ---- */

/* Lets everybody in at this level, without a key of their own being listed. */
EID_API eid_status eid_settings_set_global_permission(eid_txn *txn, eid_permission permission);
/* EID_ERR_KEY_NOT_FOUND when none is active. */
EID_API eid_status eid_settings_revoke_global_permission(eid_txn *txn);
/* EID_ERR_KEY_NOT_FOUND when everybody's permission is not set, or not active. */
EID_API eid_status eid_settings_get_global_permission(eid_txn *txn, eid_permission *out);

/* ---- Delegation ----
 *
 * A database may accept the members of another one, within bounds: a right that is stronger than `max` counts as `max`, one
 * weaker than `min` (when given) as `min`. Members are whoever is listed in the other database, or reached from there by a
 * delegation of its own, over at most ten databases; who is let in there by its global permission alone is not.
 *
 * A member's entry names a state of the other database ("claims" entries of it), and is judged by that state for ever. The
 * floor says how old that state may be: it has to contain every entry of the floor, and of every floor the delegation had since
 * it was made. So after a member was revoked over there, raise the floor here. */

typedef struct eid_delegation_info {
    eid_id root;         /* of the other database */
    eid_permission max;
    bool has_min;
    eid_permission min;
    const eid_id *floor; /* sorted */
    size_t floor_count;
} eid_delegation_info;

/* `floor` NULL (and count 0): the present tips of the other database, which must be held then (EID_ERR_DATABASE_NOT_FOUND).
 * `min` may be NULL; one above `max` is EID_ERR_INVALID_ARGUMENT. At most 64 entries (EID_ERR_LIMIT).
 * EID_ERR_ALREADY_EXISTS, EID_ERR_INVALID_ID. */
EID_API eid_status eid_settings_add_delegation(eid_txn *txn, const eid_id *root, const eid_id *floor, size_t floor_count,
                                               eid_permission max, const eid_permission *min);
/* Moves the floor forward; `floor` as above. The new one must contain the old one (EID_ERR_INVALID_TIP), and the other database
 * be held up to there (EID_ERR_DATABASE_NOT_FOUND, EID_ERR_ENTRY_NOT_FOUND). EID_ERR_KEY_NOT_FOUND when there is no such
 * delegation, EID_ERR_CORRUPTED_AUTH when its record can not be read. */
EID_API eid_status eid_settings_raise_delegation(eid_txn *txn, const eid_id *root, const eid_id *floor, size_t floor_count);
EID_API eid_status eid_settings_bound_delegation(eid_txn *txn, const eid_id *root, eid_permission max,
                                                 const eid_permission *min);
EID_API eid_status eid_settings_remove_delegation(eid_txn *txn, const eid_id *root);
EID_API eid_status eid_settings_get_delegation(eid_txn *txn, const eid_id *root, eid_delegation_info **out);
/* As eid_settings_each_auth_key, in order of the root's text. */
typedef bool (*eid_delegation_callback)(const eid_delegation_info *delegation, void *ctx);
EID_API eid_status eid_settings_each_delegation(eid_txn *txn, const eid_id *after, eid_delegation_callback callback, void *ctx);

/* ---- Identities ---- */

/* One way a key may act in a database. */
typedef struct eid_sigkey_info {
    eid_permission permission;
    size_t steps;     /* databases in between: 0 when the key itself is listed, or the global permission is used */
    bool is_global;
    const char *text; /* JSON, the form in entries: {"Direct":…} or {"Delegation":…} */
} eid_sigkey_info;

/* All ways this key may act in the database now: listed itself, through the global permission, as a member of databases held
 * here that rights are delegated to, directly or over others. The strongest first; equally strong ones in this order, the
 * shorter path first. Count 0: it may do nothing. Free with eid_free. */
EID_API eid_status eid_database_find_sigkeys(eid_database *database, const eid_pubkey *key, eid_sigkey_info **out,
                                             size_t *count);

#ifdef __cplusplus
}
#endif
#endif
