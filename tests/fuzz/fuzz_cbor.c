/* SPDX-License-Identifier: Apache-2.0 */
/* The DAG-CBOR reader on any bytes: what the strict reader takes must encode back to the same bytes, the
 * tolerant reader must take all of it too, and skipping must agree with reading item by item. */
#include "fuzz/fuzz.h"

#include "base/utf8.h"
#include "support/cbor.h"

/* Walks the items one after the other, whatever contains them. */
static void walk(eid_slice input, bool strict)
{
    eid_cbor reader;
    eid_cbor_item item;
    eid_buf again;
    size_t last = input.len;
    eid_cbor_init(&reader, input, strict);
    eid_buf_init(&again, 2 * input.len + 16);
    while (eid_cbor_next(&reader, &item) == EID_OK) {
        FUZZ_CHECK(reader.input.len < last);
        last = reader.input.len;
        FUZZ_CHECK(item.kind != EID_CBOR_TEXT || eid_utf8_valid(item.bytes));
        tc_write_item(&again, &item);
    }
    FUZZ_CHECK(reader.input.len <= input.len);
    FUZZ_CHECK(eid_buf_status(&again) == EID_OK);
    if (strict)
        FUZZ_CHECK(
            eid_slice_equal(eid_buf_slice(&again), eid_slice_of(input.data, input.len - reader.input.len)));
    eid_buf_free(&again);
}

/* Reads one whole item by counting what its containers still owe. */
static eid_status read_whole(eid_cbor *reader)
{
    uint64_t owed = 1;
    while (owed > 0) {
        eid_cbor_item item;
        EID_TRY(eid_cbor_next(reader, &item));
        owed--;
        if (item.kind == EID_CBOR_ARRAY)
            owed += item.number;
        else if (item.kind == EID_CBOR_MAP)
            owed += 2 * item.number;
    }
    return EID_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    eid_slice input = eid_slice_of(data, size);
    walk(input, true);
    walk(input, false);

    for (int strict = 0; strict < 2; strict++) {
        eid_cbor reader, skipper;
        eid_cbor_init(&reader, input, strict != 0);
        eid_cbor_init(&skipper, input, strict != 0);
        eid_status skipped = eid_cbor_skip(&skipper);
        eid_status status = read_whole(&reader);
        if (skipped == EID_ERR_DEPTH)
            continue;
        FUZZ_CHECK(skipped == status);
        FUZZ_CHECK(skipper.input.len == (skipped == EID_OK ? reader.input.len : size));
        if (skipped == EID_OK && strict != 0) {
            eid_cbor tolerant;
            eid_cbor_init(&tolerant, input, false);
            FUZZ_CHECK(eid_cbor_skip(&tolerant) == EID_OK && tolerant.input.len == skipper.input.len);
        }
    }
    return 0;
}
