/* SPDX-License-Identifier: Apache-2.0 */
/* The stored form of a Doc: what is read can be written, and that reads back as the same document; the
 * written form is a fixed point; merging and plain JSON work on whatever was read. */
#include "fuzz/fuzz.h"

#include <string.h>

#include "crdt/doc.h"
#include <eidetica/memory.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    eid_doc *doc = NULL, *back = NULL, *plain = NULL;
    if (eid_doc_parse(eid_slice_of(data, size), &doc) != EID_OK) {
        FUZZ_CHECK(doc == NULL);
        return 0;
    }
    char *text = NULL, *again = NULL, *for_people = NULL;
    size_t len = 0, again_len = 0;
    FUZZ_CHECK(eid_doc_to_json(doc, &text, &len) == EID_OK);
    FUZZ_CHECK(eid_doc_from_json(text, len, &back) == EID_OK);
    FUZZ_CHECK(eid_doc_equal(doc, back));
    FUZZ_CHECK(eid_doc_len(doc) == eid_doc_len(back));
    FUZZ_CHECK(eid_doc_to_json(back, &again, &again_len) == EID_OK);
    FUZZ_CHECK(len == again_len && memcmp(text, again, len) == 0);

    FUZZ_CHECK(eid_doc_merge(back, doc) == EID_OK);
    FUZZ_CHECK(eid_doc_equal(doc, back));

    FUZZ_CHECK(eid_doc_to_plain_json(doc, &for_people, NULL) == EID_OK);
    FUZZ_CHECK(eid_doc_new(&plain) == EID_OK);
    eid_status status = eid_doc_set_json(plain, "k", for_people);
    FUZZ_CHECK(status == EID_OK ||
               status == EID_ERR_DEPTH); /* one Doc more around the deepest document is too much */
    eid_free(text);
    eid_free(again);
    eid_free(for_people);
    eid_doc_free(doc);
    eid_doc_free(back);
    eid_doc_free(plain);
    return 0;
}
