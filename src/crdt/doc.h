/* SPDX-License-Identifier: Apache-2.0 */
/* Documents inside the library: what the public header does not offer. */
#ifndef EID_CRDT_DOC_H
#define EID_CRDT_DOC_H

#include <eidetica/doc.h>

#include "base/buf.h"
#include "codec/json.h"

/* ---- One top-level child at a time: the fold works key by key ---- */

/* The child under exactly this key (no path rules), tombstones included; NULL when absent. Lent. */
const eid_value *eid_doc_child(const eid_doc *doc, eid_slice key);
/* Puts the value under exactly this key and takes ownership of it on success; on failure it stays the caller's. */
eid_status eid_doc_put_child(eid_doc *doc, eid_slice key, eid_value *value);
/* Takes the child out physically (no tombstone) and hands it over; NULL when absent. */
eid_value *eid_doc_take_child(eid_doc *doc, eid_slice key);
size_t eid_doc_child_count(const eid_doc *doc); /* tombstones included */

/* The Doc or List inside a value, to be changed in place; NULL for another kind. */
eid_doc *eid_value_edit_doc(eid_value *value);
eid_list *eid_value_edit_list(eid_value *value);

/* Two changes into one: afterwards a merge of `first` does what merging both in turn does. The one thing that can not be
 * expressed is a List over something that is no List: elements the state has in its own List there come back, unless
 * the List brings tombstones for them. On failure `first` is unchanged. */
eid_status eid_doc_compose(eid_doc *first, const eid_doc *second);

/* Paths given as slices. */
eid_status eid_doc_get_path(const eid_doc *doc, eid_slice path, const eid_value **out);
eid_status eid_doc_set_path(eid_doc *doc, eid_slice path, eid_value *value_taken_on_success);
/* What stands at the path, tombstones included; NULL when nothing does. Lent. */
const eid_value *eid_doc_at_path(const eid_doc *doc, eid_slice path);
/* The first component of a path: the top-level key it touches. False when the path has no component. */
bool eid_path_first(eid_slice path, eid_slice *first);
size_t eid_path_components(eid_slice path);

/* ---- Stored form ---- */
void eid_doc_write(eid_buf *buf, const eid_doc *doc);       /* appends; failures stay in the buffer */
void eid_value_write(eid_buf *buf, const eid_value *value);
eid_status eid_doc_read(eid_json *reader, eid_doc **out);   /* one Doc at the reader's place, inside any document */
eid_status eid_value_read(eid_json *reader, eid_value **out);
eid_status eid_doc_parse(eid_slice text, eid_doc **out);    /* a whole text that is one Doc */
eid_status eid_value_parse(eid_slice text, eid_value **out);

#endif
