/* SPDX-License-Identifier: Apache-2.0 */
/* Password stores: a DocStore or Table whose contents only a password opens.
 *
 * What the store holds is encrypted (AES-256-GCM under a key made by Argon2id) before it is signed and stored. Peers without
 * the password keep, check and pass on its entries, but can not read them. Not hidden are the store's name, who wrote when and
 * how much, and how many entries there are.
 *
 * A store is locked in every new transaction and has to be unlocked there; then the functions of eidetica/store.h work on
 * its name. A locked store is refused by them with EID_ERR_TYPE_MISMATCH, and functions that read without a transaction find
 * nothing in it. Payloads that do not decrypt (written under another key, damaged or forged) are left out of what is read.
 *
 * The key and the merged contents of a session stand in guarded memory and are wiped when it is closed. Values on their
 * way to and from the program are in ordinary memory.
 *
 * There is no way to change the password: everything would have to be encrypted anew, and the entries that others hold
 * would still open with the old one. When two peers initialize one store at the same time, one of the two configurations
 * stays, and what was written under the other is lost to readers: initialize a store where the database is made.
 */
#ifndef EIDETICA_PASSWORD_STORE_H
#define EIDETICA_PASSWORD_STORE_H

#include <eidetica/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is inside. */
typedef enum eid_wrapped_type {
    EID_WRAPPED_DOCSTORE,
    EID_WRAPPED_TABLE
} eid_wrapped_type;

/* Makes the store, which must be new, and unlocks it in this transaction. The password is any UTF-8 text of at most 65 536
 * bytes, not normalized; the caller wipes its copy. Takes tens of milliseconds and 19 MiB.
 * EID_ERR_CONFLICT when the store is initialized, holds entries or is in use in this transaction already;
 * EID_ERR_TYPE_MISMATCH when the name belongs to a store of another type; EID_ERR_STORE_NAME. */
EID_API eid_status eid_password_store_initialize(eid_txn *txn, const char *store, const char *password,
                                                 eid_wrapped_type type);

/* Unlocks the store in this transaction alone; a session does the same at no cost each time.
 * EID_ERR_INVALID_PASSWORD; EID_ERR_CONFLICT when the store is not initialized, or in use in this transaction already;
 * EID_ERR_TYPE_MISMATCH when it is no password store. A configuration made by others may also give EID_ERR_CORRUPT,
 * EID_ERR_UNSUPPORTED (another cipher, or a type inside that this version does not know) and EID_ERR_LIMIT (it asks for
 * more memory or time than this library spends). */
EID_API eid_status eid_password_store_open(eid_txn *txn, const char *store, const char *password);

/* A password given once, for many transactions. */
typedef struct eid_password_session eid_password_session;

/* Checks the password against the store at the current frontier; errors as above. The session may be used from any thread
 * and must be closed before the instance is. */
EID_API eid_status eid_password_session_open(eid_database *database, const char *store, const char *password,
                                             eid_password_session **out);
/* Wipes the key and the contents as soon as the last transaction that was unlocked by it is over. NULL is allowed. */
EID_API void eid_password_session_close(eid_password_session *session);
/* Unlocks the store in the transaction, which may come from any handle of the database. The first read folds what arrived
 * since the session last read. EID_ERR_INVALID_ARGUMENT for a transaction of another database; EID_ERR_CONFLICT when the
 * transaction sees the store with another configuration or with none, or has it in use already. */
EID_API eid_status eid_password_session_unlock(eid_password_session *session, eid_txn *txn);
EID_API eid_wrapped_type eid_password_session_type(const eid_password_session *session);
/* How many payloads the session met so far that did not decrypt. */
EID_API uint64_t eid_password_session_left_out(const eid_password_session *session);

#ifdef __cplusplus
}
#endif
#endif
