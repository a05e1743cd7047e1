/* SPDX-License-Identifier: Apache-2.0 */
/* The program that the scripts of this folder question about the library: it makes random entries and
 * identifiers, and it answers what the library makes of bytes given to it. It judges nothing; the scripts do.
 */
#ifndef EID_TESTS_WITNESS_H
#define EID_TESTS_WITNESS_H

#include <stdnoreturn.h>

#include "base/buf.h"
#include "support/testutil.h"

/* Far above what one line ever holds. */
#define WITNESS_LINE_MAX (64u << 20)

/* Ends the program: an answer that can not be given is no answer. */
noreturn void witness_fail(const char *what);

void witness_put_hex(eid_buf *out, eid_slice bytes);
/* Prints the line and empties the buffer. */
void witness_print(eid_buf *line);

/* `count` lines of JSON: what the builder was told (the plan) and the entry it made of it. */
void witness_make_entries(uint64_t seed, size_t count);
/* `count` lines: binary form in hexadecimal, a space, the text form. */
void witness_make_ids(uint64_t seed, size_t count);

/* The answer to one question, appended without a line end: "+" and its fields, or "-" and the name of the
 * status. */
void witness_answer(char *question, eid_buf *out);

#endif
