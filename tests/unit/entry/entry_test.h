/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of entries share: identifiers, keys, sample entries, and JSON turned into DAG-CBOR. */
#ifndef EID_TESTS_ENTRY_TEST_H
#define EID_TESTS_ENTRY_TEST_H

#include "base/buf.h"
#include "entry/entry.h"
#include "support/testutil.h"

/* Texts of three identifiers, in the order of identifiers (which is not the order of these texts). */
#define ID_1 "bafyr4ifr65w3wam3km3lrjg2zol6fzttig7vus5amugztdbsevt2zptraq"
#define ID_2 "bafyr4icnsiz2xobrc473falmccolwv2abhxlfqpu3nqere4iomwolv5uya"
#define ID_3 "bafkr4iesuk3ypidnojzn6q7k7b5myo44duyv26ovthlbykczqned4qyzta"

/* The public key of seed 00 01 … 1f. */
#define KEY_1 "ed25519:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="

/* Pieces of the smallest entries. */
#define NO_SIG      "\"sig\":{\"key\":{\"Direct\":{\"hint\":{}}}}"
#define CHILD_TREE  "\"tree\":{\"root\":\"" ID_1 "\",\"parents\":[\"" ID_1 "\"]}"
#define NO_SUBTREES "\"subtrees\":[]"
#define CHILD       "{" CHILD_TREE "," NO_SUBTREES "," NO_SIG "}"

/* The n-th of as many different entry IDs as wanted. */
eid_id et_id(unsigned n);
eid_id et_parse_id(const char *text);
/* The key pair of seed 00 01 … 1f; eid_keypair_free it. */
eid_keypair *et_key(void);

/* The entry of a text that must be readable; eid_entry_unref it. */
eid_entry *et_from_text(const char *json);
eid_entry *et_from_bytes(const void *data, size_t len);

/* An entry with everything in it: parents, metadata, height, stores of every kind, a delegated signature.
 * Its builder and its signature key can be had too. */
eid_entry_builder *et_full_builder(void);
void et_full_sigkey(eid_sigkey *out);
eid_entry *et_full_entry(void);
/* A small signed entry with one store. */
eid_entry *et_small_entry(void);

/* The same record as DAG-CBOR, with the members in the order written: what is an identifier becomes one (in
 * arrays "" becomes the empty one), texts under "data" and "metadata" become bytes. free() it. */
uint8_t *et_cbor_of_json(const char *json, size_t *len);

/* Asserts that reading the bytes gives an entry with these very bytes, or that they are not canonical. */
void et_assert_consistent(const eid_entry *entry);

#endif
