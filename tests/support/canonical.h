/* SPDX-License-Identifier: Apache-2.0 */
/* One byte form for any JSON text: compact, members sorted by the bytes of their names. The recorded
 * documents are compared in it, because the Rust implementation writes members in random order. */
#ifndef EID_TESTS_CANONICAL_H
#define EID_TESTS_CANONICAL_H

#include "support/jsondom.h"

/* free() it. Numbers keep the form they are written in. */
char *canonical_text(eid_slice text);
char *canonical_node(const jd_node *node);

/* Asserts that the JSON text has this canonical form; `what` names the case in the message. */
void assert_canonical(const char *what, const char *text, const char *wanted);

#endif
