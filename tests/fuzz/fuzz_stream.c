/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a body of the streamed form: a request that is read, and written, is the same bytes; frames
 * and messages of an answer are read to their end or refused, and taken in pieces they are the same. */
#include "base/alloc.h"
#include "fuzz/fuzz.h"
#include "sync/stream.h"

static void try_request(eid_slice body)
{
    eid_stream_request request;
    eid_buf again, question;
    if (eid_stream_request_read(body, &request) != EID_OK)
        return;
    eid_buf_init(&again, 1u << 26);
    eid_buf_init(&question, 1u << 26);
    eid_stream_question_write(&question, request.kind, &request.question);
    FUZZ_CHECK(eid_slice_equal(eid_buf_slice(&question), request.question_bytes));
    eid_stream_request_write(&again, &request);
    eid_buf_append_slice(&again, request.rest);
    FUZZ_CHECK(eid_slice_equal(eid_buf_slice(&again), body));
    eid_buf_free(&question);
    eid_buf_free(&again);
    eid_stream_request_free(&request);
}

static size_t count_frames(eid_slice input)
{
    size_t count = 0;
    for (;;) {
        eid_slice content;
        eid_stream_message message;
        bool found;
        if (eid_frame_next(&input, &content, &found) != EID_OK || !found)
            return count;
        if (!eid_frame_is_entry(content) && eid_stream_message_read(content, &message) == EID_OK)
            eid_free(message.tips);
        count++;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    eid_slice all = eid_slice_of(data, size), content;
    bool found;
    try_request(all);
    size_t count = count_frames(all);
    /* Cut anywhere, a stream has no more whole frames than before. */
    FUZZ_CHECK(count_frames(eid_slice_of(data, size / 2)) <= count);
    if (count > 0) {
        FUZZ_CHECK(eid_frame_next(&all, &content, &found) == EID_OK && found);
        FUZZ_CHECK(count_frames(all) == count - 1);
    }
    return 0;
}
