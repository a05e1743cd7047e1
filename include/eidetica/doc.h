/* SPDX-License-Identifier: Apache-2.0 */
/* Documents: the mergeable values that stores hold.
 *
 * A Doc maps text keys to values; a value is null, a boolean, a 64-bit integer, text, a Doc, a List, or Deleted
 * (a tombstone: it wins over what came before and is kept for ever). An atomic Doc says "take all of this" when it
 * is merged. Merging is a left fold: eid_doc_merge(state, change) applies the newer to the older.
 *
 * A path is keys joined by "."; without a dot it is one key, taken literally (the empty text is the empty key). Empty
 * components are dropped. There is no escape: a key that holds a dot can not be part of a path; the functions for exact
 * keys reach it at the top level of a Doc. eid_path_join makes a path from keys and refuses those that would mean
 * something else. A List on a path is entered by the decimal index of a live element when reading and when setting.
 *
 * Ownership: setters copy what they are given; getters lend, until the document is next changed or freed.
 * Threads: a document belongs to one thread at a time.
 */
#ifndef EIDETICA_DOC_H
#define EIDETICA_DOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <eidetica/export.h>
#include <eidetica/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct eid_doc eid_doc;
typedef struct eid_list eid_list;
typedef struct eid_value eid_value;

/* Joins keys to a path; eid_free it. EID_ERR_INVALID_PATH for none, for an empty key and for one that holds a dot,
 * EID_ERR_DEPTH for more than a document can be deep, EID_ERR_UTF8. */
EID_API eid_status eid_path_join(const char *const *components, size_t count, char **out);

typedef enum eid_value_kind {
    EID_VALUE_NULL,
    EID_VALUE_BOOL,
    EID_VALUE_INT,
    EID_VALUE_TEXT,
    EID_VALUE_DOC,
    EID_VALUE_LIST,
    EID_VALUE_DELETED
} eid_value_kind;

/* ---- Values ---- */

EID_API eid_value_kind eid_value_get_kind(const eid_value *value);
/* The word for a kind: "null", "bool", "int", "text", "doc", "list", "deleted". */
EID_API const char *eid_value_kind_name(eid_value_kind kind);

/* Exact reads: EID_ERR_TYPE_MISMATCH when the value is of another kind. What is lent lives as long as the value. */
EID_API eid_status eid_value_as_bool(const eid_value *value, bool *out);
EID_API eid_status eid_value_as_int(const eid_value *value, int64_t *out);
EID_API eid_status eid_value_as_text(const eid_value *value, const char **text, size_t *len); /* len may be NULL */
EID_API eid_status eid_value_as_doc(const eid_value *value, const eid_doc **out);
EID_API eid_status eid_value_as_list(const eid_value *value, const eid_list **out);

/* Values that stand alone; free with eid_value_free. Text must be UTF-8 (EID_ERR_UTF8) and may hold zero bytes. */
EID_API eid_status eid_value_new_null(eid_value **out);
EID_API eid_status eid_value_new_bool(bool value, eid_value **out);
EID_API eid_status eid_value_new_int(int64_t value, eid_value **out);
EID_API eid_status eid_value_new_text(const char *text, size_t len, eid_value **out);
EID_API eid_status eid_value_new_doc(const eid_doc *doc, eid_value **out);    /* copies */
EID_API eid_status eid_value_new_list(const eid_list *list, eid_value **out); /* copies */
EID_API eid_status eid_value_new_deleted(eid_value **out);
EID_API eid_status eid_value_copy(const eid_value *value, eid_value **out);
EID_API void eid_value_free(eid_value *value); /* NULL is allowed */
EID_API bool eid_value_equal(const eid_value *a, const eid_value *b); /* tombstones and flags count */
/* *state = *state merged with change; *state (may be NULL: absent) may be replaced. On failure it is unchanged. */
EID_API eid_status eid_value_merge(eid_value **state, const eid_value *change);

/* The stored form of one value, such as {"Int":-5}; free the text with eid_free. */
EID_API eid_status eid_value_to_json(const eid_value *value, char **text, size_t *len);
EID_API eid_status eid_value_from_json(const char *text, size_t len, eid_value **out);
/* Plain JSON, such as other programs write it: objects are Docs, arrays Lists. Written: tombstones inside are left out, a
 * tombstone itself is null. Read: a number that is not a 64-bit integer is refused with EID_ERR_RANGE, text that is not
 * JSON with EID_ERR_SYNTAX, what is nested deeper than can be stored with EID_ERR_DEPTH. Free the text with eid_free. */
EID_API eid_status eid_value_to_plain_json(const eid_value *value, char **text, size_t *len);
EID_API eid_status eid_value_from_plain_json(const char *text, size_t len, eid_value **out);

/* ---- Documents ---- */

EID_API eid_status eid_doc_new(eid_doc **out);
EID_API eid_status eid_doc_new_atomic(eid_doc **out);
EID_API eid_status eid_doc_copy(const eid_doc *doc, eid_doc **out);
EID_API void eid_doc_free(eid_doc *doc); /* NULL is allowed */

EID_API bool eid_doc_is_atomic(const eid_doc *doc);
EID_API void eid_doc_set_atomic(eid_doc *doc, bool atomic);
EID_API size_t eid_doc_len(const eid_doc *doc);     /* live top-level keys */
EID_API bool eid_doc_is_empty(const eid_doc *doc);  /* no live top-level key */
EID_API bool eid_doc_equal(const eid_doc *a, const eid_doc *b);

/* Setters put the value at the path, making Docs on the way where nothing, a tombstone or a leaf stands. An index
 * into a List must name a live element (EID_ERR_INDEX_OUT_OF_BOUNDS). A path without components is
 * EID_ERR_INVALID_PATH, one deeper than a Rust peer could read back EID_ERR_DEPTH, text that is not UTF-8
 * EID_ERR_UTF8. */
EID_API eid_status eid_doc_set(eid_doc *doc, const char *path, const eid_value *value);
EID_API eid_status eid_doc_set_null(eid_doc *doc, const char *path);
EID_API eid_status eid_doc_set_bool(eid_doc *doc, const char *path, bool value);
EID_API eid_status eid_doc_set_int(eid_doc *doc, const char *path, int64_t value);
EID_API eid_status eid_doc_set_string(eid_doc *doc, const char *path, const char *text); /* zero-terminated */
EID_API eid_status eid_doc_set_text(eid_doc *doc, const char *path, const char *text, size_t len);
EID_API eid_status eid_doc_set_doc(eid_doc *doc, const char *path, const eid_doc *value);
EID_API eid_status eid_doc_set_list(eid_doc *doc, const char *path, const eid_list *value);
/* Plain JSON, see eid_value_from_plain_json. */
EID_API eid_status eid_doc_set_json(eid_doc *doc, const char *path, const char *json);
/* Puts a tombstone, also where nothing was. */
EID_API eid_status eid_doc_remove(eid_doc *doc, const char *path);

/* Adds an element to the List at the path, behind the last one or at an index, in O(log n); where nothing or a tombstone
 * stands, a List is made. EID_ERR_TYPE_MISMATCH when something else stands there, EID_ERR_INDEX_OUT_OF_BOUNDS. Elements
 * are read, set and removed by paths: "list.0". */
EID_API eid_status eid_doc_push(eid_doc *doc, const char *path, const eid_value *value);
EID_API eid_status eid_doc_insert(eid_doc *doc, const char *path, size_t index, const eid_value *value);

/* The top-level child under exactly this key, which may hold dots. Other programs may be unable to name such keys. */
EID_API eid_status eid_doc_get_key(const eid_doc *doc, const char *key, size_t len, const eid_value **out);
EID_API eid_status eid_doc_set_key(eid_doc *doc, const char *key, size_t len, const eid_value *value);
EID_API eid_status eid_doc_remove_key(eid_doc *doc, const char *key, size_t len);

/* Getters: EID_ERR_KEY_NOT_FOUND when absent or deleted, EID_ERR_TYPE_MISMATCH for another kind. */
EID_API eid_status eid_doc_get(const eid_doc *doc, const char *path, const eid_value **out);
EID_API eid_status eid_doc_get_bool(const eid_doc *doc, const char *path, bool *out);
EID_API eid_status eid_doc_get_int(const eid_doc *doc, const char *path, int64_t *out);
EID_API eid_status eid_doc_get_text(const eid_doc *doc, const char *path, const char **text, size_t *len);
EID_API eid_status eid_doc_get_doc(const eid_doc *doc, const char *path, const eid_doc **out);
EID_API eid_status eid_doc_get_list(const eid_doc *doc, const char *path, const eid_list **out);
EID_API bool eid_doc_contains(const eid_doc *doc, const char *path);     /* a live value stands there */
EID_API bool eid_doc_is_tombstone(const eid_doc *doc, const char *path); /* the path ends on Deleted */

/* Iteration over the top level in key order (UTF-8 bytes). Start with *cursor = NULL; false at the end. Tombstones are
 * left out by eid_doc_next and shown by eid_doc_next_raw. The document must not change meanwhile. */
typedef struct eid_doc_cursor eid_doc_cursor;
EID_API bool eid_doc_next(const eid_doc *doc, const eid_doc_cursor **cursor, const char **key, size_t *key_len,
                          const eid_value **value);
EID_API bool eid_doc_next_raw(const eid_doc *doc, const eid_doc_cursor **cursor, const char **key, size_t *key_len,
                              const eid_value **value);

/* state = state merged with change, in time proportional to the change (and to what it replaces). The change may be
 * the state itself, but not a Doc lent by it. On failure (memory) the state is unchanged. */
EID_API eid_status eid_doc_merge(eid_doc *state, const eid_doc *change);
/* The smallest change that makes `before` into `after` when it is merged: what is not in `after` is marked as deleted, what
 * is equal is left out. One thing no change can do is to make an atomic Doc one that is not. Free with eid_doc_free. */
EID_API eid_status eid_doc_diff(const eid_doc *before, const eid_doc *after, eid_doc **change);

/* The stored form: compact JSON, keys sorted, so equal documents give equal text. Free with eid_free. */
EID_API eid_status eid_doc_to_json(const eid_doc *doc, char **text, size_t *len);
EID_API eid_status eid_doc_from_json(const char *text, size_t len, eid_doc **out);
/* Plain JSON for people: tombstones left out, values without their kind. Free with eid_free. */
EID_API eid_status eid_doc_to_plain_json(const eid_doc *doc, char **text, size_t *len);
/* One object of plain JSON as a document; EID_ERR_TYPE_MISMATCH for anything else. */
EID_API eid_status eid_doc_from_plain_json(const char *text, size_t len, eid_doc **out);

/* ---- Lists ---- */
/* Elements keep their place by rational positions with a random tie-break, so concurrent insertions merge without
 * moving each other. Indices count live elements only and cost O(log n).
 *
 * A new position is the simplest fraction strictly between its neighbours; those are the slots beside it, tombstones
 * included. Positions are exact: no rounding, no overflow. With numerators of 63 bits and denominators of 64, pushing and
 * inserting again and again at one end of a gap never come to an end. What does is halving: each insertion between the two
 * latest ones (always in the middle of a list, say) uses up fractions after at least 90 and then the tie-breaks too, which
 * no choice of positions could put off beyond 255. The answer then is EID_ERR_LIMIT; the list is as before and can be
 * changed everywhere else, and eid_list_renumber gives room again. */

EID_API eid_status eid_list_new(eid_list **out);
EID_API eid_status eid_list_copy(const eid_list *list, eid_list **out);
EID_API void eid_list_free(eid_list *list); /* NULL is allowed */
EID_API size_t eid_list_len(const eid_list *list);     /* live elements */
EID_API bool eid_list_is_empty(const eid_list *list);  /* no live element */
EID_API bool eid_list_equal(const eid_list *a, const eid_list *b); /* positions and tombstones count */
/* state = state merged with change: all slots of both, those of one position merged. On failure the state is unchanged. */
EID_API eid_status eid_list_merge(eid_list *state, const eid_list *change);

/* EID_ERR_INDEX_OUT_OF_BOUNDS; of another kind: EID_ERR_TYPE_MISMATCH. What is lent lives until the list is changed. */
EID_API eid_status eid_list_get(const eid_list *list, size_t index, const eid_value **out);
EID_API eid_status eid_list_get_bool(const eid_list *list, size_t index, bool *out);
EID_API eid_status eid_list_get_int(const eid_list *list, size_t index, int64_t *out);
EID_API eid_status eid_list_get_text(const eid_list *list, size_t index, const char **text, size_t *len);
EID_API eid_status eid_list_get_doc(const eid_list *list, size_t index, const eid_doc **out);

/* Behind the last element. EID_ERR_LIMIT: see above. EID_ERR_DEPTH. */
EID_API eid_status eid_list_push(eid_list *list, const eid_value *value);
EID_API eid_status eid_list_push_bool(eid_list *list, bool value);
EID_API eid_status eid_list_push_int(eid_list *list, int64_t value);
EID_API eid_status eid_list_push_text(eid_list *list, const char *text); /* zero-terminated */
EID_API eid_status eid_list_push_doc(eid_list *list, const eid_doc *value);
/* index <= length; the element stands at that index afterwards. EID_ERR_INDEX_OUT_OF_BOUNDS; EID_ERR_LIMIT: see above. */
EID_API eid_status eid_list_insert(eid_list *list, size_t index, const eid_value *value);
EID_API eid_status eid_list_set(eid_list *list, size_t index, const eid_value *value);
EID_API eid_status eid_list_remove(eid_list *list, size_t index); /* leaves a tombstone in the slot */
/* Puts all elements into new slots with room between them, and tombstones into the old ones. Their positions are others
 * afterwards: what others change in the old slots at the same time comes back as an element of its own. */
EID_API eid_status eid_list_renumber(eid_list *list);

/* Iteration over elements in order. Start with *cursor = NULL; false at the end. The list must not change meanwhile. */
typedef struct eid_list_cursor eid_list_cursor;
EID_API bool eid_list_next(const eid_list *list, const eid_list_cursor **cursor, const eid_value **value);

/* ---- Positions: names of elements that stay when others come and go ---- */

typedef struct eid_list_position {
    int64_t numerator;
    uint64_t denominator;   /* at least 1 (EID_ERR_RANGE) */
    uint8_t unique_id[16];  /* a UUID: tells elements at one fraction apart */
} eid_list_position;

EID_API eid_status eid_list_position_at(const eid_list *list, size_t index, eid_list_position *out);
/* Where the element stands now. EID_ERR_KEY_NOT_FOUND when it was removed or never was in this list. */
EID_API eid_status eid_list_index_of(const eid_list *list, const eid_list_position *position, size_t *out);
EID_API eid_status eid_list_get_at(const eid_list *list, const eid_list_position *position, const eid_value **out);
/* Puts a value at exactly this position, whether there is an element or not. */
EID_API eid_status eid_list_set_at(eid_list *list, const eid_list_position *position, const eid_value *value);
EID_API eid_status eid_list_remove_at(eid_list *list, const eid_list_position *position); /* EID_ERR_KEY_NOT_FOUND */
/* Inserts right beside an element, which may have been removed meanwhile; NULL: at the beginning, at the end. `out` (may be
 * NULL) gets the new position. EID_ERR_KEY_NOT_FOUND when the neighbour never was in this list; EID_ERR_LIMIT. */
EID_API eid_status eid_list_insert_after(eid_list *list, const eid_list_position *neighbour, const eid_value *value,
                                         eid_list_position *out);
EID_API eid_status eid_list_insert_before(eid_list *list, const eid_list_position *neighbour, const eid_value *value,
                                          eid_list_position *out);
/* Every slot in order, tombstones included. `position` may be NULL. */
EID_API bool eid_list_next_raw(const eid_list *list, const eid_list_cursor **cursor, eid_list_position *position,
                               const eid_value **value);

#ifdef __cplusplus
}
#endif
#endif
