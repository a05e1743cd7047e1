/* SPDX-License-Identifier: Apache-2.0 */
/* The storage: entries in arrival order, tips, participation of entries in stores, quarantine, refusals, instance metadata.
 *
 * Admitted entries get the next integer n. Main parents are always admitted before their children, so n is a topological
 * order of the main DAG, and edges are lists of n. A store parent need not be an ancestor in the main DAG, so it may arrive
 * behind its child; stores where that happened are marked (has_late), and only there a parent may have the larger n. A
 * database (here: tree) and each of its stores have a small integer and a cached object that holds the tips; the main DAG of a
 * tree is its store with the empty name, so that both are kept by the same code.
 *
 * Two files. The journal holds what can not be computed again: entries, quarantine, refusals, metadata; each storage transaction
 * is one of its. The index holds all that follows from the entries. It has one transaction open for thousands of the storage's,
 * so that a page changed by each of them is written once; what it lost in a crash, or because a storage transaction was undone,
 * is made again from the journal before the next use (eid_storage_ready). So everything in it must follow from the entries, or be
 * made again by whoever misses it.
 *
 * Locking: one mutex. Everything but open, close and lock expects it to be held by the caller. Cached objects (eid_tree,
 * eid_tree_store) are lent while it is held and must be asked for again afterwards: after a rollback the stores of a tree are
 * made anew from the file.
 */
#ifndef EID_STORAGE_STORAGE_H
#define EID_STORAGE_STORAGE_H

#include <eidetica/maintenance.h>

#include "base/map.h"
#include "entry/entry.h"
#include "storage/sql.h"

typedef struct eid_storage eid_storage;

typedef struct eid_storage_options {
    const char *path;
    bool must_exist;
    bool full_sync;
    bool for_check; /* entries that are damaged do not keep the rest from being looked at */
} eid_storage_options;

eid_status eid_storage_open(const eid_storage_options *options, eid_storage **out);
void eid_storage_close(eid_storage *storage);
eid_sql *eid_storage_sql(eid_storage *storage); /* the index */
eid_sql *eid_storage_journal(eid_storage *storage); /* for checks and tests */

void eid_storage_lock(eid_storage *storage);
void eid_storage_unlock(eid_storage *storage);
eid_status eid_storage_begin(eid_storage *storage);
eid_status eid_storage_commit(eid_storage *storage); /* on failure everything since begin is undone */
/* Undoes everything since begin, in the index by undoing all of its open transaction. */
void eid_storage_rollback(eid_storage *storage);

/* ---- Trees and their stores ---- */

/* An admitted entry as a member of a DAG. */
typedef struct eid_node {
    int64_t n;
    uint64_t height;
    eid_id id;
} eid_node;

typedef struct eid_tree_store {
    int64_t s;             /* number of the store */
    char *name;            /* "" for the main DAG; zero-terminated, a received name may hold zero bytes */
    size_t name_len;
    eid_node *tips;        /* ascending n */
    size_t tip_count;
    int64_t newest;        /* largest n of a participant; 0 when there is none */
    uint64_t count;        /* participants */
    bool has_barrier;      /* a top-level atomic Doc was folded: nothing below it counts */
    eid_node barrier;
    int64_t top;           /* largest height of a participant, as in SQL */
    bool has_dangling;     /* some participant names a parent in this store that is not held */
    bool has_late;         /* some participant has a parent that arrived behind it */
    uint64_t unreadable;   /* participants whose payload is not a document */
    bool dirty;            /* changed in the open transaction and not written yet */
    bool indexes_known;    /* the next member was read from the file */
    struct eid_field_indexes *indexes; /* of the state layer: secondary indexes, one block (eid_free); NULL: none */
} eid_tree_store;

typedef struct eid_tree {
    int64_t d;
    eid_id root;
    eid_map *stores;       /* name -> eid_tree_store */
    eid_tree_store *main;  /* the store named "" */
    uint64_t waiting;      /* entries in its quarantine, and their bytes */
    uint64_t waiting_bytes;
    bool stale;            /* after a rollback: read again before use */
    void *cache;           /* of the database layer: resolved settings */
} eid_tree;

/* EID_ERR_DATABASE_NOT_FOUND when its root is not held. */
eid_status eid_storage_tree(eid_storage *storage, const eid_id *root, eid_tree **out);
eid_status eid_storage_tree_create(eid_storage *storage, const eid_id *root, eid_tree **out);
/* IDs of all trees in order of their numbers; free with eid_free. */
eid_status eid_storage_trees(eid_storage *storage, eid_id **out, size_t *count);
/* *out NULL when the tree has no such store. */
eid_status eid_storage_store(eid_storage *storage, eid_tree *tree, eid_slice name, eid_tree_store **out);
eid_status eid_storage_store_make(eid_storage *storage, eid_tree *tree, eid_slice name, eid_tree_store **out);
eid_status eid_storage_store_save(eid_storage *storage, eid_tree_store *store); /* barrier, counts */

/* How the database layer frees what it hangs on eid_tree.cache. */
void eid_storage_set_cache_free(eid_storage *storage, void (*free_cache)(void *cache));

/* ---- The index ---- */

/* What the layer above keeps in the index, made again: called for entries in order of arrival, inside a storage transaction, and
 * with `entry` NULL before that is committed. *batch is the layer's; after a failure it is called with `tree` and `entry` NULL
 * and n -1 to free it. */
typedef eid_status (*eid_replay)(eid_storage *storage, void **batch, eid_tree *tree, const eid_entry *entry, int64_t n);
void eid_storage_set_replay(eid_storage *storage, eid_replay replay);

/* Brings the index up to the journal when it is behind; mostly there is nothing to do. eid_storage_tree, _find and _begin do it
 * too. */
eid_status eid_storage_ready(eid_storage *storage);
/* Commits the index, with the journal on the disk before it. No storage transaction is open. */
eid_status eid_storage_settle(eid_storage *storage);
/* The same, and nothing is left in the logs. */
eid_status eid_storage_flush(eid_storage *storage);
/* The engine has found it damaged: the next use makes it anew. */
bool eid_storage_index_is_damaged(const eid_storage *storage);
/* Empties the index and fills it again. */
eid_status eid_storage_reindex(eid_storage *storage);
/* Writes both files anew without gaps. */
eid_status eid_storage_compact(eid_storage *storage);

/* ---- Entries ---- */

/* *n 0 when not held. */
eid_status eid_storage_find(eid_storage *storage, const eid_id *id, int64_t *n, int64_t *d);
eid_status eid_storage_load(eid_storage *storage, int64_t n, eid_entry **out); /* unref */
eid_status eid_storage_id(eid_storage *storage, int64_t n, eid_id *out);
/* Entry rows of a tree with rank order (rank, n) strictly behind the given place, at most `limit`; each is loaded. What arrived
 * behind `up_to` is left out: between two slices an entry may arrive that sorts in front of the place, and its child must not
 * be handed out without it. */
typedef struct eid_place {
    int64_t rank;
    int64_t n;
    int64_t up_to;
} eid_place;
eid_status eid_storage_slice(eid_storage *storage, const eid_tree *tree, eid_place *place, size_t limit, eid_entry **out,
                             size_t *count);
/* The same without loading them: their numbers. */
eid_status eid_storage_slice_numbers(eid_storage *storage, const eid_tree *tree, eid_place *place, size_t limit, int64_t *out,
                                     size_t *count);
/* Appends the bytes of an entry, as they stand in the file, as a CBOR byte string. */
eid_status eid_storage_append_bytes(eid_storage *storage, int64_t n, eid_buf *out);

/* Rows of a tree's entries as they stand in the file, in order of arrival behind `after` up to `up_to`, at most `limit` and
 * fewer when they are large. eid_free the bytes of each. */
typedef struct eid_entry_row {
    int64_t n;
    int64_t h;      /* eid_id_prefix of the ID the row is for */
    uint8_t *bytes;
    size_t len;
} eid_entry_row;
eid_status eid_storage_rows(eid_storage *storage, int64_t d, int64_t after, int64_t up_to, size_t limit, eid_entry_row *out,
                            size_t *count);
/* The first 8 bytes of the hash in an entry's ID as a number. */
int64_t eid_id_prefix(const eid_id *id);

/* Inserts the entry: row, main participation, participation in each of its stores, tips. `parents` holds the n of each main
 * parent; they must be admitted entries of the tree. Store parents that are not held are linked when they arrive. */
eid_status eid_storage_admit(eid_storage *storage, eid_tree *tree, const eid_entry *entry, const int64_t *parents,
                             size_t parent_count, int64_t *n);

/* ---- Participation: the DAG of one store ---- */

typedef struct eid_participation {
    int64_t n;
    uint64_t height;       /* effective height in the store */
    const int64_t *parents;
    size_t parent_count;
    bool has_data;
} eid_participation;

/* Calls back for participants with after < n <= up_to, in order of n; false stops. What is lent lives for the call. */
typedef bool (*eid_participation_callback)(const eid_participation *part, void *ctx);
eid_status eid_storage_each_participation(eid_storage *storage, const eid_tree_store *store, int64_t after, int64_t up_to,
                                          eid_participation_callback callback, void *ctx);
/* One participant; parents are copied (eid_free). EID_ERR_NOT_FOUND. */
eid_status eid_storage_participation(eid_storage *storage, const eid_tree_store *store, int64_t n, uint64_t *height,
                                     int64_t **parents, size_t *parent_count);

/* Participants in the order of (height, n), or backwards, behind the given place. One at a time in each direction; stop it also at the
 * end, before the lock is given up. */
typedef struct eid_order_stream {
    eid_sql_stmt *stmt;
    bool has;       /* the next place: */
    int64_t height;
    int64_t n;
} eid_order_stream;
typedef struct eid_order {
    eid_storage *storage;
    int64_t s;
    bool descending;
    eid_order_stream timely;
    eid_order_stream late;
} eid_order;
eid_status eid_storage_order_start(eid_storage *storage, const eid_tree_store *store, bool descending, int64_t height,
                                   int64_t n, eid_order *out);
eid_status eid_storage_order_next(eid_order *order, int64_t *height, int64_t *n, bool *found);
void eid_storage_order_stop(eid_order *order);

/* ---- Which entries count ---- */

/* Whether the payloads of a member count, in the main DAG and in each of its stores: has_data of those that do not is false. They
 * count until they are marked. */
eid_status eid_storage_mark(eid_storage *storage, eid_tree *tree, const eid_entry *entry, int64_t n, bool counts);
eid_status eid_storage_counts(eid_storage *storage, const eid_tree *tree, int64_t n, bool *out);
/* Whether a participant has a payload in the store that counts. */
eid_status eid_storage_has_data(eid_storage *storage, const eid_tree_store *store, int64_t n, bool *out);
/* Differs from what it was before when some entry was marked meanwhile. */
uint64_t eid_storage_marks(const eid_storage *storage);

/* ---- What a tree holds, in sums ---- */

#define EID_BUCKETS 4096 /* entries by the first 12 bits of their digest */
typedef struct eid_bucket {
    uint64_t count;
    uint64_t sum[4]; /* of the digests as numbers, big endian, modulo 2^256; the lowest limb first */
} eid_bucket;
void eid_bucket_add(eid_bucket *sum, const eid_bucket *other);
eid_status eid_storage_buckets(eid_storage *storage, const eid_tree *tree, eid_bucket out[EID_BUCKETS]);
/* The entries in one of them, appended in no order. */
typedef struct eid_member {
    int64_t n;
    uint8_t digest[32];
} eid_member;
eid_status eid_storage_bucket_members(eid_storage *storage, const eid_tree *tree, uint32_t bucket, eid_buf *out);

/* ---- Recomputing what follows from entries ---- */

/* The rows of a tree once more, in stores of their own beside the present ones, under the number -d: for comparing and for
 * replacing. Made and used inside one storage transaction, which is then rolled back, or committed after _adopt. `d` is
 * given because the tree itself may be too damaged to be read. Free it after the transaction. */
eid_status eid_storage_shadow_new(eid_storage *storage, const eid_id *root, int64_t d, eid_tree **out);
void eid_storage_shadow_free(eid_storage *storage, eid_tree *shadow);
/* Entries in ascending n, each with those of its main parents that took part before. */
eid_status eid_storage_shadow_join(eid_storage *storage, eid_tree *shadow, const eid_entry *entry, int64_t n,
                                   const int64_t *parents, size_t parent_count);
/* Writes the rows of its stores, so that they can be compared. */
eid_status eid_storage_shadow_settle(eid_storage *storage);
/* Puts the rows of the shadow in the place of the tree's. Cached trees are read again before their next use. */
eid_status eid_storage_shadow_adopt(eid_storage *storage, const eid_tree *shadow);

/* ---- Quarantine and refusals ---- */

/* Keeps an entry (nothing happens when it waits already) until `missing` (an ID it needs) arrives. When the tree's quarantine is
 * full, others leave it, chosen at random. */
eid_status eid_storage_quarantine_add(eid_storage *storage, eid_tree *tree, const eid_entry *entry, const eid_id *missing);
/* Takes out every entry that waits for this ID. Unref each, eid_free the array (NULL when there is none). */
eid_status eid_storage_quarantine_take(eid_storage *storage, eid_tree *tree, const eid_id *arrived, eid_entry ***out,
                                       size_t *count);
/* Across databases: who waits for what. Appended to `out` as eid_waiting. */
typedef struct eid_waiting {
    eid_id database;
    eid_id missing;
} eid_waiting;
/* Every pair, each once. */
eid_status eid_storage_waiting(eid_storage *storage, eid_buf *out);
/* Databases other than this one in which something waits for this ID. */
eid_status eid_storage_waiting_elsewhere(eid_storage *storage, const eid_tree *tree, const eid_id *arrived, eid_buf *out);
eid_status eid_storage_is_quarantined(eid_storage *storage, const eid_id *id, bool *out);
eid_status eid_storage_refuse(eid_storage *storage, const eid_id *id, eid_status reason);
eid_status eid_storage_was_refused(eid_storage *storage, const eid_id *id, eid_status *reason); /* EID_OK: it was not */

/* ---- Sizes ---- */

/* Where the bytes of the file are. `counted` false: estimated from the content of the tables, as where the engine can not
 * count pages. Reads the whole file. */
eid_status eid_storage_sizes(eid_storage *storage, bool counted, eid_sizes *out);
eid_status eid_storage_file_size(eid_storage *storage, uint64_t *out); /* bytes, without the write-ahead log; cheap */

/* ---- Instance metadata ---- */

eid_status eid_storage_meta_get(eid_storage *storage, const char *key, eid_buf *out); /* appended; EID_ERR_NOT_FOUND */
eid_status eid_storage_meta_find(eid_storage *storage, const char *key, bool *found, eid_buf *out); /* without that error */
eid_status eid_storage_meta_set(eid_storage *storage, const char *key, eid_slice value);

/* These two take the lock themselves. */
typedef struct eid_meta_value {
    const char *key;
    eid_slice value;
} eid_meta_value;
eid_status eid_storage_meta_load(eid_storage *storage, const char *key, eid_buf *out); /* appended; EID_ERR_NOT_FOUND */
eid_status eid_storage_meta_store(eid_storage *storage, const eid_meta_value *values, size_t count); /* all or nothing */

#endif
