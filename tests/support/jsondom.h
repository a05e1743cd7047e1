/* SPDX-License-Identifier: Apache-2.0 */
/* A JSON tree, for tests only: the library itself reads JSON without ever building one.
 *
 * It is built on the library's own reader. Lookups that can not fail in a correct recording (jd_need, jd_at, the
 * typed readers) fail the running test with a sentence; jd_get answers NULL. Everything is lent by the root.
 */
#ifndef EID_TESTS_JSONDOM_H
#define EID_TESTS_JSONDOM_H

#include "support/testutil.h"

typedef enum jd_kind { JD_NULL, JD_BOOL, JD_NUMBER, JD_STRING, JD_ARRAY, JD_OBJECT } jd_kind;

typedef struct jd_node jd_node;

/* The file of the data directory as a tree; jd_free it. */
jd_node *jd_load(const char *name);
/* The tree of a text, which is copied; jd_free it. */
jd_node *jd_parse(eid_slice text);
/* A file with one JSON document a line, as an array of them; jd_free it. */
jd_node *jd_load_lines(const char *name);
void jd_free(jd_node *root); /* only what jd_load, jd_parse or jd_load_lines gave */

jd_kind jd_kind_of(const jd_node *node);
bool jd_is_null(const jd_node *node); /* also true for NULL, that is for an absent member */

/* The members of an object and the items of an array, in the order written. */
size_t jd_len(const jd_node *node);
const jd_node *jd_at(const jd_node *node, size_t index);
const char *jd_key_at(const jd_node *node, size_t index);
const jd_node *jd_get(const jd_node *node, const char *name);  /* NULL when absent, or when node is NULL */
const jd_node *jd_need(const jd_node *node, const char *name); /* absent: the test fails */

eid_slice jd_slice(const jd_node *node);  /* the decoded text of a string */
const char *jd_str(const jd_node *node);  /* the same, zero-terminated */
bool jd_bool(const jd_node *node);
int64_t jd_i64(const jd_node *node);
uint64_t jd_u64(const jd_node *node);
const char *jd_number_text(const jd_node *node); /* as written */

/* Short forms of the commonest lookups of a member that must be there. */
const char *jd_get_str(const jd_node *node, const char *name);
bool jd_get_bool(const jd_node *node, const char *name);
uint64_t jd_get_u64(const jd_node *node, const char *name);

/* The bytes of a string of hexadecimal digits; free() them. */
uint8_t *jd_hex(const jd_node *node, size_t *len);

/* The JSON text of this value as it stands in the file: to be given to the library's own readers. */
eid_slice jd_source(const jd_node *node);

#endif
