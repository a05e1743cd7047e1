/* SPDX-License-Identifier: Apache-2.0 */
/* Tables: rows of JSON text, each under a key, with queries and secondary indexes.
 *
 * A row merges as a whole: of two concurrent changes of a row the later one stays. Everything a function lends to a callback
 * lives for the call; texts end with a zero. No lock is held during callbacks: they may use the library, and may stage
 * changes in the same transaction, which the running call does not show. They may not end the transaction.
 */
#ifndef EIDETICA_TABLE_H
#define EIDETICA_TABLE_H

#include <eidetica/database.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EID_ROW_KEY_SIZE 37 /* a UUID in text form and the zero */

/* ---- Rows ---- */

/* The row is JSON text (EID_ERR_SYNTAX). Row keys may not be empty or hold "." (EID_ERR_INVALID_PATH). An inserted row gets a new
 * UUID; those of one transaction begin alike and grow, so that they stand next to each other in the data file. */
EID_API eid_status eid_table_insert(eid_txn *txn, const char *store, const char *row, char key[EID_ROW_KEY_SIZE]);
EID_API eid_status eid_table_set(eid_txn *txn, const char *store, const char *key, const char *row);
EID_API eid_status eid_table_get(eid_txn *txn, const char *store, const char *key, char **row, size_t *len); /* eid_free */
EID_API eid_status eid_table_delete(eid_txn *txn, const char *store, const char *key, bool *deleted);

/* Calls back for every row in key order, starting behind `after` (NULL: from the start); false stops. */
typedef bool (*eid_row_callback)(const char *key, const char *row, size_t row_len, void *ctx);
EID_API eid_status eid_table_scan(eid_txn *txn, const char *store, const char *after, eid_row_callback callback, void *ctx);
/* The same without a transaction of the caller, in the state of the moment of the call. */
EID_API eid_status eid_database_table_scan(eid_database *database, const char *store, const char *after,
                                           eid_row_callback callback, void *ctx);

/* Live rows. Looks at each, without reading it: about 20 ms for 100 000. */
EID_API eid_status eid_table_count(eid_txn *txn, const char *store, uint64_t *out);
EID_API eid_status eid_database_table_count(eid_database *database, const char *store, uint64_t *out);

/* ---- Fields ---- */

/* A field is the name of a member of the row, or such names joined by ".": "city", "address.city". Names are taken literally;
 * a name that itself holds a dot can not be reached. At most 16 names and 256 bytes (EID_ERR_INVALID_PATH).
 *
 * The value of a field is null, false, true, a number or text; values of all kinds have one order:
 *
 *     null < false < true < numbers < text
 *
 * Numbers are the decimal numbers that are written, and compare exactly, whatever their size: 1, 1.0 and 1e0 are equal,
 * 9007199254740993 is larger than 9007199254740992.5. (A number with an exponent beyond 10^15 counts as no value.) Text
 * compares by the bytes of its UTF-8, which is the order of code points.
 *
 * An array stands for each of its first 256 elements that are no arrays or objects: a row matches when one of them does, and
 * is shown once, at the place of the first one that matches. An object is no value. A row without a value in the field is not
 * found by a query on it, neither is a row that is not JSON. Of a member that stands twice in an object the last counts.
 */
typedef enum eid_table_kind {
    EID_TABLE_NONE,   /* nothing asked */
    EID_TABLE_NULL,
    EID_TABLE_BOOL,
    EID_TABLE_INT,
    EID_TABLE_REAL,   /* stands for its shortest decimal form that reads back the same, as writers of JSON write it */
    EID_TABLE_NUMBER, /* as JSON writes it, of any size: "12345678901234567890.5" */
    EID_TABLE_TEXT
} eid_table_kind;

typedef struct eid_table_value {
    eid_table_kind kind;
    bool boolean;
    int64_t integer;
    double real;
    const char *text; /* of TEXT and NUMBER; lent by the caller */
    size_t len;
} eid_table_value;

EID_API eid_table_value eid_table_null(void);
EID_API eid_table_value eid_table_bool(bool value);
EID_API eid_table_value eid_table_int(int64_t value);
EID_API eid_table_value eid_table_real(double value);
EID_API eid_table_value eid_table_number(const char *number);
EID_API eid_table_value eid_table_text(const char *text);

/* ---- Queries ---- */

/* true: the row is wanted. */
typedef bool (*eid_row_predicate)(const char *key, const char *row, size_t row_len, void *ctx);

/* What is asked; begin with EID_TABLE_QUERY_INIT. Without a condition every row that has the field is found.
 *
 * Rows come in the order of the field's values, rows of equal values in the order of their keys; of values whose first 120
 * bytes agree the keys decide too. `descending` turns all of it around. Without a field rows come in the order of their keys, and
 * the conditions, which must be texts, are about the keys.
 *
 * Give one of `equals`, `prefix`, or bounds. A single bound keeps to its kind: at least 18 finds no texts; truth values are one
 * kind. Two bounds may be of different kinds. */
typedef struct eid_table_query {
    size_t struct_size;
    const char *field;
    eid_table_value equals;
    eid_table_value lower;
    bool lower_excluded;
    eid_table_value upper;
    bool upper_excluded;
    const char *prefix;         /* of texts; NULL: not asked */
    bool descending;
    uint64_t limit;             /* rows to be shown; 0: all */
    const char *cursor;         /* of an earlier result of the same query; NULL: from the start */
    eid_row_predicate matches;  /* looks at the rows that fit, in any order; NULL: all are wanted */
    void *matches_ctx;
} eid_table_query;

#define EID_TABLE_ANY_VALUE {EID_TABLE_NONE, false, 0, 0, NULL, 0}
#define EID_TABLE_QUERY_INIT                                                                                              \
    {sizeof(eid_table_query), NULL, EID_TABLE_ANY_VALUE, EID_TABLE_ANY_VALUE, false, EID_TABLE_ANY_VALUE, false, NULL, false, 0, \
     NULL, NULL, NULL}

typedef struct eid_table_result {
    size_t struct_size;
    uint64_t rows;     /* shown */
    uint64_t tested;   /* looked at for it */
    bool indexed;      /* an index was used, or the order of keys; false: every row was looked at, see below */
    char *cursor;      /* where the next page begins, when there are more rows than the limit, or the callback stopped; else NULL */
} eid_table_result;

#define EID_TABLE_RESULT_INIT {sizeof(eid_table_result), 0, 0, false, NULL}

/* Shows the rows that fit (`callback` NULL: only counts them), until it returns false. `result` may be NULL; free it with
 * eid_table_result_clear.
 *
 * On a field without an index the answer is the same, but every row is looked at, and what is found is kept in memory until
 * it is put in order (at most twice the limit, when there is one). The same happens in transactions at chosen tips and in
 * stores with a password. Of an index the cost is that of the rows shown, and of what is staged in the transaction and was
 * changed by others since it began.
 *
 * The cursor is a short text, good for ever, also in other processes. It names a place in the order, not a moment: inside one
 * transaction the pages fit together exactly; between transactions a row that did not change is neither left out nor shown
 * twice, while one whose value moved across the place may be. The row the page ended with need not exist any more. The last
 * page may be empty when there is a predicate, or the callback stopped.
 *
 * EID_ERR_INVALID_ARGUMENT for conditions that contradict each other, or a cursor that is none; EID_ERR_INVALID_PATH,
 * EID_ERR_UTF8. */
EID_API eid_status eid_table_find(eid_txn *txn, const char *store, const eid_table_query *query, eid_row_callback callback,
                                  void *ctx, eid_table_result *result);
/* The same without a transaction of the caller, in the state of the moment of the call. */
EID_API eid_status eid_database_table_find(eid_database *database, const char *store, const eid_table_query *query,
                                           eid_row_callback callback, void *ctx, eid_table_result *result);
EID_API void eid_table_result_clear(eid_table_result *result);

/* ---- Indexes ---- */

/* Indexes belong to this instance alone: they are not synced, no entry says anything about them, and each peer chooses its own.
 * They are kept up with every change of the table, also of what comes from peers, and are there again after reopening.
 *
 * Adding one goes through the rows that are there, a few hundred at a time, while others go on working; when it returns
 * the index is complete. After a crash meanwhile it stays declared, and is completed by the next query that wants it, or by
 * adding it again. A table that does not exist yet can have indexes.
 *
 * EID_ERR_ALREADY_EXISTS, EID_ERR_LIMIT (16 for each table), EID_ERR_INVALID_PATH, EID_ERR_TYPE_MISMATCH when the store is not a
 * table, also when it has a password: its rows must not stand readable in the file. */
EID_API eid_status eid_table_add_index(eid_database *database, const char *store, const char *field);
/* EID_ERR_NOT_FOUND. */
EID_API eid_status eid_table_remove_index(eid_database *database, const char *store, const char *field);

typedef struct eid_table_index {
    const char *field;
    bool ready;        /* complete */
} eid_table_index;

/* In the order they were added. One block: eid_free. */
EID_API eid_status eid_table_indexes(eid_database *database, const char *store, eid_table_index **out, size_t *count);

#ifdef __cplusplus
}
#endif
#endif
