/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a sync request: what is accepted, written and read again, is written the same. */
#include "fuzz/fuzz.h"
#include "sync/message.h"

static void put(const eid_sync_request *request, eid_buf *out)
{
    eid_buf_init(out, 1u << 26);
    eid_request_write(out, request);
    FUZZ_CHECK(eid_buf_status(out) == EID_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    eid_sync_request request, again;
    eid_buf first, second;

    if (eid_request_read(eid_slice_of(data, size), &request) != EID_OK)
        return 0;
    put(&request, &first);
    eid_request_free(&request);
    FUZZ_CHECK(eid_request_read(eid_buf_slice(&first), &again) == EID_OK);
    put(&again, &second);
    FUZZ_CHECK(eid_slice_equal(eid_buf_slice(&first), eid_buf_slice(&second)));
    eid_request_free(&again);
    eid_buf_free(&first);
    eid_buf_free(&second);
    return 0;
}
