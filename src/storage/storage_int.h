/* SPDX-License-Identifier: Apache-2.0 */
/* The storage's own insides. */
#ifndef EID_STORAGE_STORAGE_INT_H
#define EID_STORAGE_STORAGE_INT_H

#include <endian.h>
#include <pthread.h>

#include "codec/cid.h"
#include "storage/storage.h"

/* IDs looked for or admitted lately: an entry's parents and pins mostly are among them, and whoever admits one has asked before
 * whether it is held. */
#define EID_RECENT 256
typedef struct eid_recent {
    eid_id id; /* zero: nothing stands here */
    int64_t n; /* 0: it is not held */
    int64_t d;
} eid_recent;

struct eid_storage {
    eid_sql *journal;           /* what can not be computed again */
    eid_sql *index;             /* what follows from it; its transaction spans many of the storage's */
    char *index_path;
    pthread_mutex_t mutex;
    eid_map *trees;             /* binary root ID -> eid_tree */
    eid_tree_store **dirty;     /* stores changed in the open transaction and not yet written */
    size_t dirty_count;
    size_t dirty_capacity;
    int64_t next_n;
    int64_t next_d;
    int64_t next_s;
    int64_t next_refusal;
    bool in_transaction;
    /* Of the index: each number is at most the one before. */
    int64_t newest_n;           /* last entry committed to the journal */
    int64_t indexed_n;          /* last entry the index knows, perhaps in its open transaction */
    int64_t settled_n;          /* last entry of its last commit */
    int64_t settle_at;          /* the entry with which it is committed next */
    int64_t admitted_n;         /* last entry of the storage's open transaction, 0 when there is none */
    bool index_open;            /* the index has a transaction, unless the engine has given it up */
    bool replaying;
    bool for_check;             /* entries that can not be put into the index are left out, … */
    bool left_out;              /* … which has happened: this index must not be taken for a whole one */
    int64_t fresh_ids;          /* rows of the young part of the index of IDs, … */
    int64_t settled_fresh_ids;  /* … and at its last commit */
    int64_t changes_before;     /* of the index, when the storage's transaction began */
    eid_replay replay;
    void *replay_batch;
    eid_recent recent[EID_RECENT];
    eid_buf bucket_notes;       /* of buckets.c: what belongs to the index's open transaction and is not in its rows yet */
    void (*free_cache)(void *cache);
    uint64_t marks;             /* see eid_storage_marks */
};

/* ---- schema.c ---- */

/* Leads from one version of the tables to the next. */
typedef struct eid_schema_step {
    int64_t from;
    const char *text;                          /* SQL, may be NULL */
    eid_status (*run)(eid_storage *storage);   /* what SQL can not say, behind the text; may be NULL */
} eid_schema_step;

typedef struct eid_schema {
    int64_t version;
    const char *create;                        /* SQL for a new file */
    const eid_schema_step *steps;
    size_t step_count;
} eid_schema;

extern const eid_schema eid_schema_present;
extern const char eid_index_schema[];
#define EID_INDEX_VERSION "5"
/* Makes the tables of an empty file, or brings those of an older one up to date. EID_ERR_SCHEMA_VERSION. */
eid_status eid_schema_open(eid_storage *storage, const eid_schema *schema);

/* ---- index.c ---- */

/* Opens the index beside the journal, or makes an empty one. */
eid_status eid_index_open(eid_storage *storage, const char *path);
/* Puts an empty one in its place. */
eid_status eid_index_replace(eid_storage *storage);
/* Removes its files; it is closed. */
void eid_index_remove(const eid_storage *storage);
/* Notices that the engine has given up the open transaction by itself. */
void eid_index_look(eid_storage *storage);

/* ---- meta.c ---- */

/* The meta table of either file. */
eid_status eid_meta_read(eid_sql *sql, const char *key, bool *found, eid_buf *out); /* appended */
eid_status eid_meta_write(eid_sql *sql, const char *key, eid_slice value);

/* ---- buckets.c ---- */

/* An entry takes part in the main DAG with this number. */
eid_status eid_buckets_note(eid_storage *storage, int64_t s, const eid_id *id);
/* Writes the rows that follow from what was noted. */
eid_status eid_buckets_write(eid_storage *storage);

/* ---- entries.c ---- */

/* Where the digest stands in an entry's ID, behind version, codec, hash and length. */
#define EID_DIGEST_AT (EID_CID_BYTES - 32)

/* The ID of the entry of this number and its tree; *d 0: there is no such entry. */
eid_status eid_storage_read_id(eid_storage *storage, int64_t n, eid_id *out, int64_t *d);

/* The index's row of an entry's ID. */
eid_status eid_storage_add_id(eid_storage *storage, const eid_id *id, int64_t n);
/* Moves the young part of the index of IDs into the old one when it is large enough. */
eid_status eid_storage_sort_ids(eid_storage *storage);
void eid_storage_remember(eid_storage *storage, const eid_id *id, int64_t n, int64_t d);

/* Heights are unsigned 64-bit in entries and signed in SQL: those beyond are equal for ordering. */
static inline int64_t eid_height_to_sql(uint64_t height)
{
    return height > INT64_MAX ? INT64_MAX : (int64_t)height;
}

/* Lists of numbers in blobs: 8 bytes each, little endian, so that a data file can move between machines. */
static inline void eid_numbers_encode(const int64_t *numbers, size_t count, uint8_t *out)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t le = htole64((uint64_t)numbers[i]);
        memcpy(out + i * sizeof le, &le, sizeof le);
    }
}

static inline void eid_numbers_decode(eid_slice packed, int64_t *out)
{
    for (size_t i = 0; i < packed.len / sizeof(uint64_t); i++) {
        uint64_t le;
        memcpy(&le, packed.data + i * sizeof le, sizeof le);
        out[i] = (int64_t)le64toh(le);
    }
}

/* Remembers that the store's row has to be written before the commit. */
eid_status eid_storage_mark_dirty(eid_storage *storage, eid_tree_store *store);
/* Writes the rows of all changed stores and of buckets. */
eid_status eid_storage_write_dirty(eid_storage *storage);
/* After a rollback: cached trees are read again before their next use. */
void eid_storage_forget(eid_storage *storage);
eid_status eid_storage_read_counters(eid_storage *storage);
void eid_tree_free(eid_storage *storage, eid_tree *tree);

/* Lets an entry whose row is there take part in the DAGs of the tree and of its stores. */
eid_status eid_storage_join(eid_storage *storage, eid_tree *tree, const eid_entry *entry, int64_t n, const int64_t *parents,
                            size_t parent_count);

/* Tips: kept in ascending n. */
eid_status eid_tips_add(eid_tree_store *store, const eid_node *node);
void eid_tips_remove(eid_tree_store *store, int64_t n);
const eid_node *eid_tips_find(const eid_tree_store *store, int64_t n);

#endif
