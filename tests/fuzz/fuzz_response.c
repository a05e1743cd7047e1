/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a sync response: what is accepted, written and read again, is written the same. */
#include "fuzz/fuzz.h"
#include "sync/message.h"

static void put(const eid_sync_response *response, eid_buf *out)
{
    eid_buf_init(out, 1u << 26);
    eid_response_write(out, response);
    FUZZ_CHECK(eid_buf_status(out) == EID_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    eid_sync_response response, again;
    eid_buf first, second;

    if (eid_response_read(eid_slice_of(data, size), &response) != EID_OK)
        return 0;
    put(&response, &first);
    eid_response_free(&response);
    FUZZ_CHECK(eid_response_read(eid_buf_slice(&first), &again) == EID_OK);
    put(&again, &second);
    FUZZ_CHECK(eid_slice_equal(eid_buf_slice(&first), eid_buf_slice(&second)));
    eid_response_free(&again);
    eid_buf_free(&first);
    eid_buf_free(&second);
    return 0;
}
