/* SPDX-License-Identifier: Apache-2.0 */
/* History: the entries of a database in order, what changed between two snapshots, and who wrote a key.
 *
 * A snapshot is a set of entry IDs of one database; it means these entries and all their ancestors. eid_database_tips
 * gives the snapshot of the present, and an entry's own ID is the snapshot just after it was written.
 *
 * Everything here only reads. The functions may be called from any thread; an open history belongs to one thread at a
 * time. Heights are those of the fold: in a store the height the entry has there, else its height in the database. With
 * the height strategy "timestamp" a height is in milliseconds since the Unix epoch, otherwise it counts.
 */
#ifndef EIDETICA_HISTORY_H
#define EIDETICA_HISTORY_H

#include <eidetica/database.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Entries in order ---- */

typedef struct eid_history eid_history;

typedef enum eid_history_order {
    EID_HISTORY_OLDEST_FIRST = 0, /* ascending (height, ID text): parents before children, except where a writer forged
                                   * heights up to the end of their scale (2^63 - 1) */
    EID_HISTORY_NEWEST_FIRST = 1  /* the same order backwards */
} eid_history_order;

typedef struct eid_history_options {
    size_t struct_size;
    const char *store;       /* only entries that take part in this store; NULL: every entry */
    eid_history_order order;
    const eid_id *tips;      /* only entries of this snapshot; NULL: every entry held now */
    size_t tip_count;        /* with tips; 0 is the empty snapshot */
    const char *cursor;      /* go on behind this place (eid_history_cursor); NULL: from the beginning */
} eid_history_options;

#define EID_HISTORY_OPTIONS_INIT {sizeof(eid_history_options), NULL, EID_HISTORY_OLDEST_FIRST, NULL, 0, NULL}

/* Starts to go through entries. `options` NULL: every entry, oldest first; it is not needed afterwards. The history shows
 * what was held when it was opened, whatever arrives meanwhile. It uses a bounded amount of memory, plus, for an
 * older snapshot, what it takes to remember the branches outside it. An unknown store has no entries.
 * EID_ERR_INVALID_TIP when the snapshot names something that is not an entry of the database, EID_ERR_SYNTAX for text that
 * is not a cursor. Close it before the database handle. */
EID_API eid_status eid_history_open(eid_database *database, const eid_history_options *options, eid_history **out);
EID_API void eid_history_close(eid_history *history); /* NULL is allowed */

/* The next entry: eid_entry_unref it. At the end *out is NULL, and stays so. After a failure the same entry comes again.
 * Its parents are named by eid_entry_parent and eid_entry_store_parent and read with eid_database_get_entry. */
EID_API eid_status eid_history_next(eid_history *history, eid_entry **out);

/* The place behind the entry handed out last, as text to be stored and passed as `cursor` later, in the same or another
 * order, in this or another process, for the same database and store. Entries that arrived since are shown when they sort
 * behind the place; to hear of every arrival use eidetica/changes.h. Free with eid_free. */
EID_API eid_status eid_history_cursor(const eid_history *history, char **out);

/* ---- What changed ---- */

/* A top-level key of a store whose value differs between two snapshots. Lent for the call. */
typedef struct eid_key_change {
    const char *key;         /* zero-terminated; a key may hold zero bytes, so: */
    size_t key_len;
    const eid_value *before; /* NULL: absent or deleted */
    const eid_value *after;  /* NULL: absent or deleted */
} eid_key_change;

/* Return false to stop. No lock is held during the call. */
typedef bool (*eid_key_change_callback)(const eid_key_change *change, void *ctx);

/* Calls back, in byte order of the keys, for every top-level key of the store (a field of a DocStore, a row of a Table)
 * whose value at the snapshot `from` differs from that at the snapshot `to`. `from_count` 0: compared with the empty
 * store. `to` NULL: compared with the present.
 * The cost is that of the entries by which the two snapshots differ from each other and from the present, not of the
 * history. When a top-level atomic Doc is among them, it grows with the number of keys the store ever had.
 * Payloads that are not documents (encrypted stores) have no keys; see eid_history for their entries.
 * EID_ERR_INVALID_TIP. */
EID_API eid_status eid_database_diff(eid_database *database, const char *store, const eid_id *from, size_t from_count,
                                     const eid_id *to, size_t to_count, eid_key_change_callback callback, void *ctx);

/* Calls back, in byte order of the names, for every store some entry of the difference takes part in, system stores
 * (their names start with "_") included. Parameters and errors as above. */
typedef bool (*eid_store_change_callback)(const char *store, size_t store_len, void *ctx);
EID_API eid_status eid_database_diff_stores(eid_database *database, const eid_id *from, size_t from_count, const eid_id *to,
                                            size_t to_count, eid_store_change_callback callback, void *ctx);

/* ---- Who wrote a key ---- */

typedef struct eid_key_write {
    eid_id entry;
    uint64_t height;   /* in the store */
    bool has_signer;   /* false: the entry is unsigned, or names its key by a name only */
    eid_pubkey signer;
    bool deleted;      /* the write deleted the key */
    bool replaced;     /* an atomic Doc that sorts behind it replaced the whole store: the write counts no more */
} eid_key_write;

/* The last write of a top-level key, in the order of the fold: the one whose entry gave the key its present value, or the
 * last one merged into it. EID_ERR_KEY_NOT_FOUND when nobody wrote the key, or a top-level atomic Doc removed it; a
 * deleted key has a last write. */
EID_API eid_status eid_database_last_write(eid_database *database, const char *store, const char *key, eid_key_write *out);

/* Calls back for every write of the key, the newest in the order of the fold first, with what was written: the value as
 * it stands in that entry (one of kind EID_VALUE_DELETED for a deletion), not the merged one. False stops. All is lent for
 * the call; no lock is held during it. Memory is bounded however often the key was written. */
typedef bool (*eid_key_write_callback)(const eid_key_write *write, const eid_value *value, void *ctx);
EID_API eid_status eid_database_each_write(eid_database *database, const char *store, const char *key,
                                           eid_key_write_callback callback, void *ctx);

#ifdef __cplusplus
}
#endif
#endif
