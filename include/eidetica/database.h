/* SPDX-License-Identifier: Apache-2.0 */
/* Databases and transactions.
 *
 * A database is a Merkle-DAG of signed entries, named by the ID of its root entry. It holds named stores; a
 * transaction changes any number of them at once and becomes one entry when it is committed. Concurrent writers never
 * block each other: their entries become branches that merge by themselves.
 *
 * A database handle may be used from any thread. A transaction belongs to one thread at a time.
 */
#ifndef EIDETICA_DATABASE_H
#define EIDETICA_DATABASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <eidetica/doc.h>
#include <eidetica/entry.h>
#include <eidetica/export.h>
#include <eidetica/id.h>
#include <eidetica/key.h>
#include <eidetica/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct eid_instance eid_instance;
typedef struct eid_database eid_database;
typedef struct eid_txn eid_txn;

/* ---- Permissions ---- */

typedef enum eid_permission_kind {
    EID_PERM_READ = 0,
    EID_PERM_WRITE = 1,
    EID_PERM_ADMIN = 2
} eid_permission_kind;

/* A smaller priority number is stronger; Read has none. */
typedef struct eid_permission {
    eid_permission_kind kind;
    uint32_t priority;
} eid_permission;

/* Read < Write(4294967295) < … < Write(0) < Admin(4294967295) < … < Admin(0). */
EID_API int eid_permission_compare(eid_permission a, eid_permission b);
/* "read", "write:10", "admin:0". Room for the text, the zero included: */
#define EID_PERMISSION_TEXT_SIZE 24
EID_API void eid_permission_format(eid_permission permission, char out[EID_PERMISSION_TEXT_SIZE]);
/* Also accepts "write" (priority 10) and "admin" (priority 0). EID_ERR_SYNTAX. */
EID_API eid_status eid_permission_parse(const char *text, eid_permission *out);

/* ---- Databases ---- */

/* Opens a database for reading only: no key, so commits fail with EID_ERR_AUTH_REQUIRED. eid_user_open_database gives a
 * handle that can write. Close with eid_database_close. EID_ERR_DATABASE_NOT_FOUND when its root is not held. */
EID_API eid_status eid_database_open(eid_instance *instance, const eid_id *id, eid_database **out);
EID_API void eid_database_close(eid_database *database); /* NULL is allowed; transactions must be over */

EID_API const eid_id *eid_database_root_id(const eid_database *database); /* lent */
EID_API eid_instance *eid_database_instance(const eid_database *database); /* lent */
/* The `name` setting; free with eid_free. EID_ERR_KEY_NOT_FOUND when it has none. */
EID_API eid_status eid_database_name(eid_database *database, char **out);
EID_API eid_status eid_database_entry_count(eid_database *database, uint64_t *out);
/* The tips: IDs of the entries no other entry builds on, sorted. Free with eid_free. */
EID_API eid_status eid_database_tips(eid_database *database, eid_id **out, size_t *count);
EID_API eid_status eid_database_get_entry(eid_database *database, const eid_id *id, eid_entry **out); /* unref */

/* Calls back for every entry held when it begins, in the order of eidetica/history.h, oldest first (parents before children,
 * but for the exception named there). The entry is lent for the call; return false to stop early. */
typedef bool (*eid_entry_callback)(eid_entry *entry, void *ctx);
EID_API eid_status eid_database_each_entry(eid_database *database, eid_entry_callback callback, void *ctx);

/* A hash of the merged state of every store, in name order: equal on two peers exactly when they show the same data.
 * BLAKE3 over, for each store with any key, the length-prefixed name and the canonical document. */
EID_API eid_status eid_database_state_hash(eid_database *database, uint8_t out[32]);

/* The permission the handle's key has now. EID_ERR_PERMISSION_DENIED when it has none. */
EID_API eid_status eid_database_current_permission(eid_database *database, eid_permission *out);

/* Merged state of one store as a document, at the current frontier; free with eid_doc_free. An unknown store is empty. */
EID_API eid_status eid_database_store_state(eid_database *database, const char *store, eid_doc **out);
/* The same at the given tips of the database. EID_ERR_INVALID_TIP for IDs that are not entries of it. */
EID_API eid_status eid_database_store_state_at(eid_database *database, const char *store, const eid_id *tips,
                                               size_t count, eid_doc **out);

/* One value at a path of a DocStore, at the current frontier, without a transaction; free with eid_value_free.
 * Costs O(log n) plus the size of the top-level value. EID_ERR_KEY_NOT_FOUND. */
EID_API eid_status eid_database_get(eid_database *database, const char *store, const char *path, eid_value **out);

/* ---- Write callbacks ---- */

typedef enum eid_write_source {
    EID_WRITE_LOCAL,
    EID_WRITE_REMOTE
} eid_write_source;

/* Which writes a callback hears of; to be added up. */
typedef enum eid_write_sources {
    EID_SOURCE_LOCAL = 1,
    EID_SOURCE_REMOTE = 2,
    EID_SOURCE_ALL = 3
} eid_write_sources;

/* Entries that are void when they arrive (eidetica/verify.h) are not told. After an entry that changes rights, entries told of
 * earlier may be void, or count again: what was read then is to be read anew.
 *
 * Called after entries were stored, from the thread that stored them, without any lock held; once per entry, parents
 * before children. The callbacks of one write are called in the order they were registered in. Writes of different threads
 * may be told in either order; eidetica/changes.h tells all in the order of arrival. The callback may read and may commit
 * to other databases; whatever it does can not undo the write. */
typedef void (*eid_write_callback)(eid_database *database, eid_entry *entry, eid_write_source source, void *ctx);
typedef struct eid_callback eid_callback;
/* Every write, only those of this process, only those received from elsewhere. */
EID_API eid_status eid_database_on_write(eid_database *database, eid_write_callback callback, void *ctx,
                                         eid_callback **registration);
EID_API eid_status eid_database_on_local_write(eid_database *database, eid_write_callback callback, void *ctx,
                                               eid_callback **registration);
EID_API eid_status eid_database_on_remote_write(eid_database *database, eid_write_callback callback, void *ctx,
                                                eid_callback **registration);
/* Only entries that take part in one store (NULL: all), from these sources (a sum of eid_write_sources, not 0:
 * EID_ERR_INVALID_ARGUMENT). The store need not exist yet. */
EID_API eid_status eid_database_on_store_write(eid_database *database, const char *store, unsigned sources,
                                               eid_write_callback callback, void *ctx, eid_callback **registration);
/* Ends the registration; after it returns the callback is not running and will not run again (do not call it from
 * inside the callback). Registrations must be removed before their database handle is closed. */
EID_API void eid_callback_remove(eid_callback *registration);

/* ---- Transactions ---- */

/* Starts a transaction at the current frontier. It sees the database as it was at that moment, plus its own staged
 * changes. One thing shows through: entries that a change of rights makes void meanwhile (eidetica/verify.h) are no longer
 * seen, so that nothing more is built on them. End it with eid_txn_commit or eid_txn_free. */
EID_API eid_status eid_database_new_transaction(eid_database *database, eid_txn **out);
/* The same at chosen tips of the database. EID_ERR_INVALID_TIP. */
EID_API eid_status eid_database_new_transaction_at(eid_database *database, const eid_id *tips, size_t count, eid_txn **out);

/* Turns the staged changes into one signed entry and stores it, all or nothing. `id` (may be NULL) receives its ID; when
 * nothing was staged no entry is made and `id` becomes the empty ID. The transaction is over either way of success; after
 * a failure it still is as before and may be tried again or freed.
 * EID_ERR_PERMISSION_DENIED also for what no peer would show: by a key whose right has ended since the transaction began, or a
 * change of rights stronger than one's own; and for a change that leaves nobody who may change the settings.
 * EID_ERR_AUTH_REQUIRED, EID_ERR_STORAGE and others. */
EID_API eid_status eid_txn_commit(eid_txn *txn, eid_id *id);
/* Commits and frees, whatever the result. */
EID_API eid_status eid_txn_commit_free(eid_txn *txn, eid_id *id);
EID_API void eid_txn_free(eid_txn *txn); /* drops what is staged; NULL is allowed */

#ifdef __cplusplus
}
#endif
#endif
