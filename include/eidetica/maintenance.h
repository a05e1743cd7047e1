/* SPDX-License-Identifier: Apache-2.0 */
/* Care of a data file: checking and repairing, backups, compaction, sizes, and moving databases between files.
 *
 * All functions wait until their work is done and may be called from any thread. Sizes are in bytes.
 */
#ifndef EIDETICA_MAINTENANCE_H
#define EIDETICA_MAINTENANCE_H

#include <eidetica/instance.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Checking ---- */

typedef enum eid_check_flags {
    EID_CHECK_DEFAULT = 0,
    EID_CHECK_SIGNATURES = 1, /* also verify the signature of every entry that names its public key */
    EID_CHECK_REPAIR = 2,     /* write anew what does not follow from the entries */
    EID_CHECK_FILE = 4        /* also have the database engine check the structure of the file */
} eid_check_flags;

#define EID_CHECK_TEXT_SIZE 2048

typedef struct eid_check_report {
    uint64_t databases;            /* looked at */
    uint64_t entries;              /* looked at */
    uint64_t signatures;           /* verified; entries that name no public key are judged on arrival only */
    uint64_t problems;             /* the sum of the counts that follow */
    uint64_t damaged_entries;      /* bytes that are no entry of this database, or not the bytes of their ID */
    uint64_t bad_signatures;
    uint64_t missing_parents;      /* parents named by an entry that are not held */
    uint64_t wrong_participation;  /* rows of the DAGs: parents, heights, entries that are not there */
    uint64_t wrong_stores;         /* tips, counts, barriers of stores */
    uint64_t wrong_cells;          /* merged values */
    uint64_t wrong_touches;        /* places of the writes of a key */
    uint64_t wrong_indexes;        /* rows of indexes on tables */
    uint64_t wrong_file;           /* what the database engine said about the file */
    bool repaired;                 /* something was written anew, and a check now would find nothing */
    char text[EID_CHECK_TEXT_SIZE]; /* the first problems, one on a line; "" when there are none */
} eid_check_report;

/* Recomputes from the bytes of the entries everything the database keeps besides them (tips, heights, counts, merged
 * values), compares it with what is stored, and reports the differences. `flags` is a sum of eid_check_flags.
 *
 * With EID_CHECK_REPAIR, and when the entries themselves are sound, what differs is replaced in one storage transaction.
 * Damaged or missing entries can not be made anew: then nothing is changed, and the report names them; restore a backup or
 * import the database from a peer's export.
 *
 * Memory is bounded; the file grows for the time of the check by about the size of what is recomputed. Entries are read
 * and signatures verified while others go on working; during the comparison writers wait.
 * Finding problems is not an error: look at the report. EID_ERR_STORAGE and its kin when the check itself could not be
 * done; nothing has changed then. */
EID_API eid_status eid_database_check(eid_database *database, unsigned flags, eid_check_report *report);
/* The same by ID, for a database that can not be opened; `id` NULL: every database of the instance, their counts
 * added. EID_ERR_DATABASE_NOT_FOUND. */
EID_API eid_status eid_instance_check(eid_instance *instance, const eid_id *id, unsigned flags, eid_check_report *report);
/* The same for every database of a data file ("sqlite:notes.db") whose instance can not be opened. Nobody may have the
 * file open (EID_ERR_BUSY). EID_ERR_NOT_INITIALIZED when there is no such file. */
EID_API eid_status eid_check_file(const char *url, unsigned flags, eid_check_report *report);

/* ---- The data file ---- */

/* Told about progress, in bytes of the file; return false to stop (EID_ERR_CANCELLED). No lock is held. */
typedef bool (*eid_progress_callback)(uint64_t done, uint64_t total, void *ctx);

/* A data file has an index beside it, named like it with "-index" behind: everything that follows from the entries. It may be
 * lost, and is made anew when it is missing, older, damaged, or another file's, in about 15 s for a million entries. To move
 * or restore a data file it is enough to move the file itself, while nobody has it open. */

/* Copies the whole instance, device key included, to a new data file of mode 0600, as it is at one moment, while others go
 * on reading and writing. Also makes a file of a "memory:" instance. `path` is the name of a file, not a URL; `progress`
 * may be NULL. When it returns the copy is on the disk. EID_ERR_ALREADY_EXISTS when there is anything under that name;
 * EID_ERR_CANCELLED, EID_ERR_DISK_FULL, EID_ERR_IO, EID_ERR_READ_ONLY; no file is left behind on failure. The copy has no
 * index: it is made when the copy is first opened. */
EID_API eid_status eid_instance_backup(eid_instance *instance, const char *path, eid_progress_callback progress, void *ctx);

/* Writes the file and its index anew without their gaps and gives the space back to the file system. `before` and `after` (may
 * be NULL) are the sizes of the file. Needs up to twice the size on the disk for a while; others wait. Nothing has changed on
 * failure. */
EID_API eid_status eid_instance_compact(eid_instance *instance, uint64_t *before, uint64_t *after);

/* Where the bytes of a data file and its index are. */
typedef struct eid_sizes {
    uint64_t total;           /* of both, without their write-ahead logs */
    uint64_t entries;         /* the entries themselves */
    uint64_t entry_ids;       /* index from IDs to entries */
    uint64_t participation;   /* the DAGs of databases and stores */
    uint64_t participation_order; /* index of the DAGs by height */
    uint64_t cells;           /* merged values, and the parts of those several entries merged */
    uint64_t touches;         /* places of the writes of each key */
    uint64_t quarantine;      /* entries that wait, with their index */
    uint64_t other;           /* everything else */
    uint64_t free_bytes;      /* gaps eid_instance_compact would close */
    bool exact;               /* false: the engine does not count pages; the parts are estimated from their content */
} eid_sizes;

EID_API eid_status eid_instance_sizes(eid_instance *instance, eid_sizes *out);

/* ---- Export and import ---- */

/* A database travels as a CAR file, version 1: a header that names the database, then each entry as its CID and its
 * DAG-CBOR bytes, parents first. Two peers with the same entries write the same bytes. Other IPLD tools read and write such
 * files. Only entries travel: no keys, no settings of the instance. */

/* Takes bytes out; anything but EID_OK stops the export and becomes its result. */
typedef eid_status (*eid_write_bytes)(const void *data, size_t len, void *ctx);
/* Gives at most `size` bytes; *len 0 is the end. Anything but EID_OK stops the import and becomes its result. */
typedef eid_status (*eid_read_bytes)(void *data, size_t size, size_t *len, void *ctx);

/* Writes every entry held now to a new file of mode 0600. EID_ERR_ALREADY_EXISTS, EID_ERR_DISK_FULL, EID_ERR_IO,
 * EID_ERR_READ_ONLY; no file is left behind on failure. */
EID_API eid_status eid_database_export(eid_database *database, const char *path);
/* The same through a function of the caller, called without any lock. Memory is bounded by the largest entry. */
EID_API eid_status eid_database_export_to(eid_database *database, eid_write_bytes write, void *ctx);

typedef struct eid_import_report {
    eid_id database;
    uint64_t blocks;          /* entries read from the file */
    uint64_t admitted;        /* new here, verified and stored */
    uint64_t held;            /* were here already */
    uint64_t waiting;         /* kept aside until entries they need arrive */
    uint64_t refused;         /* wrong; not stored */
    eid_status first_refusal; /* why the first was refused, and its sentence */
    char text[256];
} eid_import_report;

/* Reads a CAR file into the instance. Every entry passes the same checks as one received from a peer, so a file from
 * anywhere may be imported; what is held already is left alone. Memory is bounded. The caller of eid_instance_import
 * becomes no member of the database: track it with eid_user_add_database.
 *
 * When the file itself is wrong, what stood before the wrong place has been imported and verified, and the report says how
 * much that was. EID_ERR_SYNTAX: not a CAR file; EID_ERR_VERSION: one of another version; EID_ERR_UNSUPPORTED: it does not
 * name exactly one database; EID_ERR_TRUNCATED: it ends in the middle; EID_ERR_LIMIT: a block is larger than an entry can
 * be; EID_ERR_INVALID_ID: a block is not what its CID says, or names its hash in a way entries do not;
 * EID_ERR_INVALID_ENTRY: a block is not an entry; EID_ERR_DATABASE_NOT_FOUND: the root entry is not at the beginning, or
 * was refused. Wrong entries in a sound file are counted as refused and are not an error.
 * EID_ERR_IO when the file can not be read. */
EID_API eid_status eid_instance_import(eid_instance *instance, const char *path, eid_import_report *report);
EID_API eid_status eid_instance_import_from(eid_instance *instance, eid_read_bytes read, void *ctx, eid_import_report *report);

#ifdef __cplusplus
}
#endif
#endif
