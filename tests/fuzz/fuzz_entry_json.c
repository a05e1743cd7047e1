/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON reader of entries on any bytes: as one document, and at the head of an array, where a failure must
 * leave the array readable. */
#include "fuzz/fuzz_entry.h"

static void read_in_array(const uint8_t *data, size_t size)
{
    eid_buf array;
    eid_buf_init(&array, size + 8);
    eid_buf_append_byte(&array, '[');
    eid_buf_append(&array, data, size);
    eid_buf_append_text(&array, ",true]");
    FUZZ_CHECK(eid_buf_status(&array) == EID_OK);

    eid_json reader;
    eid_json_init(&reader, eid_buf_slice(&array));
    bool more;
    if (eid_json_begin_array(&reader, "entries") == EID_OK && eid_json_next_item(&reader, &more) == EID_OK &&
        more) {
        eid_json skipper;
        eid_json_init(&skipper, eid_buf_slice(&array));
        FUZZ_CHECK(eid_json_begin_array(&skipper, "entries") == EID_OK);
        FUZZ_CHECK(eid_json_next_item(&skipper, &more) == EID_OK);
        bool skipped = eid_json_skip(&skipper) == EID_OK;
        eid_entry *entry;
        if (eid_entry_read_json(&reader, &entry) == EID_OK) {
            FUZZ_CHECK(skipped);
            eid_entry_unref(entry);
        } else if (skipped) {
            FUZZ_CHECK(eid_json_skip(&reader) == EID_OK);
        }
        if (skipped)
            FUZZ_CHECK(reader.at == skipper.at && reader.depth == skipper.depth);
        eid_json_free(&skipper);
    }
    eid_json_free(&reader);
    eid_buf_free(&array);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    eid_entry *entry;
    if (eid_entry_from_json((const char *)data, size, &entry) == EID_OK)
        check_entry(entry);
    read_in_array(data, size);
    return 0;
}
