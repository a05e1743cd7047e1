/* SPDX-License-Identifier: Apache-2.0 */
/* Short forms for tests of documents. In the texts given here ' stands for ", which keeps them readable. */
#ifndef EID_TESTS_CRDT_HELPERS_H
#define EID_TESTS_CRDT_HELPERS_H

#include "crdt/doc.h"
#include "crdt/list.h"
#include "support/testutil.h"
#include <eidetica/memory.h>

/* The document or value of a stored form. Free with eid_doc_free, eid_value_free. */
eid_doc *doc_of(const char *stored);
eid_value *value_of(const char *stored);
eid_value *int_of(int64_t number);
eid_value *text_of(const char *text);

/* The stored form; eid_free it. */
char *stored_of(const eid_doc *doc);

void assert_stored(const eid_doc *doc, const char *wanted);
void assert_plain(const eid_doc *doc, const char *wanted);
/* The live elements as integers, such as "0 2 99". */
void assert_elements(const eid_list *list, const char *wanted);

/* Random documents over a small alphabet of keys and positions, so that merges meet. `depth` Docs and Lists
 * at most inside each other. */
eid_doc *random_doc(tu_random *random, unsigned depth);
eid_value *random_value(tu_random *random, unsigned depth);

/* The merge rules of crdt.md section 8 in their plainest form: a new document from two, by recursion. */
eid_doc *model_merge(const eid_doc *older, const eid_doc *newer);
eid_value *model_merge_value(const eid_value *older, const eid_value *newer);

#endif
