/* SPDX-License-Identifier: Apache-2.0 */
/* Secondary indexes: which rows of a table have which value in a field.
 *
 * A row is a cell that holds text, read as JSON. An index is declared for one field, by this peer for itself: declarations
 * stand in the metadata of the instance and go nowhere. Index rows (store, index, value, key) follow from cells and are
 * written wherever a cell is, so they are made anew with the cells.
 *
 * A value stands in an index in a form whose bytes sort as the values do: null, false, true, numbers, text. Numbers are
 * decimal numbers as written and compare exactly, whatever their size; text compares by the bytes of its UTF-8. Only the
 * first EID_LIMIT_INDEX_VALUE bytes of the form are held, so who reads an index looks at the row too.
 *
 * All functions but those on fields expect the storage lock to be held.
 */
#ifndef EID_STATE_INDEX_H
#define EID_STATE_INDEX_H

#include "state/state.h"

/* ---- Values of fields ---- */

/* The first byte of the form of a value. */
typedef enum eid_field_tag {
    EID_FIELD_TAG_NULL = 0x10,
    EID_FIELD_TAG_FALSE = 0x20,
    EID_FIELD_TAG_TRUE = 0x21,
    EID_FIELD_TAG_NEGATIVE = 0x30,
    EID_FIELD_TAG_ZERO = 0x31,
    EID_FIELD_TAG_POSITIVE = 0x32,
    EID_FIELD_TAG_TEXT = 0x40,
    EID_FIELD_TAG_END = 0x50 /* above every value */
} eid_field_tag;

/* What a row has in a field: each different value once, ascending. */
typedef struct eid_field_values {
    eid_buf bytes;
    size_t count;
    struct {
        size_t at;
        size_t len;
    } items[EID_LIMIT_INDEX_ELEMENTS];
} eid_field_values;

void eid_field_values_init(eid_field_values *values);
void eid_field_values_free(eid_field_values *values);
static inline eid_slice eid_field_value_at(const eid_field_values *values, size_t index)
{
    return eid_slice_of(values->bytes.data + values->items[index].at, values->items[index].len);
}

/* Names of members joined by ".", none of them empty: EID_ERR_INVALID_PATH, EID_ERR_UTF8. */
eid_status eid_field_check(eid_slice field);
/* Replaces what `values` holds. A row that is not JSON has no values; of a member that stands twice the last counts; an
 * array stands for its first elements that are no containers, an object for nothing. */
eid_status eid_field_read(eid_slice field, eid_slice row, eid_field_values *values);
/* The form of a number in the grammar of JSON. False when it is no number, or its exponent is beyond the bound. */
bool eid_field_write_number(eid_buf *out, eid_slice number);
void eid_field_write_text(eid_buf *out, eid_slice text);

static inline eid_slice eid_field_cut(eid_slice value)
{
    return eid_slice_of(value.data, value.len < EID_LIMIT_INDEX_VALUE ? value.len : EID_LIMIT_INDEX_VALUE);
}

/* ---- Declarations ---- */

typedef struct eid_field_index {
    int64_t number;      /* within the store */
    bool ready;          /* it holds every row */
    bool stated;         /* the file has a row about it */
    const char *field;
    size_t field_len;
} eid_field_index;

/* Hangs on eid_tree_store.indexes; read at first use. */
typedef struct eid_field_indexes {
    int64_t newest;      /* number given */
    size_t count;
    eid_field_index items[];
} eid_field_indexes;

eid_status eid_field_index_load(eid_storage *storage, const eid_tree *tree, eid_tree_store *store);
/* The index of the field, NULL when there is none; lent until the store is loaded again. */
const eid_field_index *eid_field_index_find(const eid_tree_store *store, eid_slice field);

/* What is declared for a store that may not exist yet; NULL when nothing ever was. eid_free. */
eid_status eid_field_index_declared(eid_storage *storage, const eid_tree *tree, eid_slice store_name,
                                    eid_field_indexes **out);
/* Declares an index; nothing happens when it is declared already. Inside a storage transaction, as the next three.
 * EID_ERR_LIMIT. */
eid_status eid_field_index_declare(eid_storage *storage, eid_tree *tree, eid_slice store_name, eid_slice field);
/* EID_ERR_NOT_FOUND when it is not declared. Its rows stay, for eid_field_index_drop. */
eid_status eid_field_index_forget(eid_storage *storage, eid_tree *tree, eid_slice store_name, eid_slice field);
/* Puts the next slice of existing rows into an index. *done true: it is ready. EID_ERR_NOT_FOUND: not declared any more. */
eid_status eid_field_index_build(eid_storage *storage, eid_tree *tree, eid_tree_store *store, eid_slice field, bool *done);
/* Takes a slice of rows out that belong to no declared index. *done true: there are none left. */
eid_status eid_field_index_drop(eid_storage *storage, const eid_tree *tree, eid_tree_store *store, bool *done);

/* ---- Following the cells: called where they are written ---- */

/* Before an entry is applied to a store whose indexes are not known yet. */
eid_status eid_field_index_begin(eid_storage *storage, const eid_tree *tree, eid_tree_store *store);
/* Before the cell of the key is written with this value (its stored form), or deleted (empty). */
eid_status eid_field_index_change(eid_storage *storage, const eid_tree_store *store, eid_slice key, eid_slice value);

/* ---- Reading rows ---- */

/* Rows copied out of the file, texts with a zero behind them. */
typedef struct eid_row {
    eid_slice value; /* in the index, cut; empty when read by key */
    eid_slice key;
    eid_slice text;
} eid_row;

typedef struct eid_row_place {
    size_t value_at, value_len, key_at, key_len, text_at, text_len;
} eid_row_place;

typedef struct eid_rows {
    eid_buf bytes;
    eid_buf last_value; /* where reading goes on, also behind what was no row */
    eid_buf last_key;
    bool started;       /* the two above hold a place */
    size_t count;
    eid_row_place items[EID_LIMIT_QUERY_SLICE];
} eid_rows;

/* Empties the slice; adds a row of another source; lets reading go on behind this place. */
void eid_rows_clear(eid_rows *rows);
eid_status eid_rows_add(eid_rows *rows, eid_slice value, eid_slice key, eid_slice text);
eid_status eid_rows_set_place(eid_rows *rows, eid_slice value, eid_slice key);

void eid_rows_init(eid_rows *rows);
void eid_rows_free(eid_rows *rows);
eid_row eid_rows_at(const eid_rows *rows, size_t index); /* lent until the next read */

/* From where to where: both ends are given in the order of bytes, whatever the direction. `high` is beyond the last. */
typedef struct eid_row_range {
    eid_slice low;   /* first value (of an index) or key */
    eid_slice high;  /* not reached */
    bool descending;
    bool counting;   /* the texts are not wanted */
} eid_row_range;

/* Reads the next slice of rows behind the last place. *more false: there are none behind it. */
eid_status eid_rows_by_key(eid_storage *storage, const eid_tree_store *store, const eid_row_range *range, size_t limit,
                           eid_rows *rows, bool *more);
eid_status eid_rows_by_index(eid_storage *storage, const eid_tree_store *store, int64_t number, const eid_row_range *range,
                             size_t limit, eid_rows *rows, bool *more);

/* Appends the text of a value in its stored form; *is_text false when it is of another kind. */
eid_status eid_stored_text(eid_slice stored, eid_buf *out, bool *is_text);

#endif
