/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON reader on any bytes: reading by tokens, skipping, and the fast path for bytes must agree with each
 * other, and every text that was read must survive being written and read again. */
#include "fuzz/fuzz.h"

#include <string.h>

#include "base/utf8.h"
#include "codec/json.h"

static void check_text(eid_slice text)
{
    eid_buf buf;
    eid_json reader;
    eid_slice again;
    FUZZ_CHECK(eid_utf8_valid(text));
    eid_buf_init(&buf, 6 * text.len + 2);
    eid_json_write_text(&buf, text);
    FUZZ_CHECK(eid_buf_status(&buf) == EID_OK);
    eid_json_init(&reader, eid_buf_slice(&buf));
    FUZZ_CHECK(eid_json_read_text(&reader, "the text", &again) == EID_OK);
    FUZZ_CHECK(eid_slice_equal(text, again));
    FUZZ_CHECK(eid_json_end(&reader) == EID_OK);
    eid_json_free(&reader);
    eid_buf_free(&buf);
}

/* Reads an array as bytes through the tokens. */
static eid_status read_bytes_slowly(eid_json *reader, eid_buf *out)
{
    bool more;
    EID_TRY(eid_json_begin_array(reader, "the bytes"));
    for (;;) {
        uint64_t value = 0;
        EID_TRY(eid_json_next_item(reader, &more));
        if (!more)
            return EID_OK;
        EID_TRY(eid_json_read_u64(reader, "the bytes", &value));
        if (value > 255)
            return EID_ERR_RANGE;
        eid_buf_append_byte(out, (uint8_t)value);
    }
}

static void check_bytes(eid_slice input)
{
    eid_json fast, slow;
    eid_buf quick, plain;
    eid_buf_init(&quick, input.len);
    eid_buf_init(&plain, input.len);
    eid_json_init(&fast, input);
    eid_json_init(&slow, input);
    eid_status status = eid_json_read_bytes(&fast, "the bytes", &quick);
    FUZZ_CHECK(status == read_bytes_slowly(&slow, &plain));
    if (status == EID_OK) {
        eid_buf text, again;
        FUZZ_CHECK(fast.at == slow.at);
        FUZZ_CHECK(eid_slice_equal(eid_buf_slice(&quick), eid_buf_slice(&plain)));
        eid_buf_init(&text, 4 * quick.len + 2);
        eid_buf_init(&again, quick.len);
        eid_json_write_bytes(&text, eid_buf_slice(&quick));
        FUZZ_CHECK(eid_buf_status(&text) == EID_OK);
        eid_json_free(&slow);
        eid_json_init(&slow, eid_buf_slice(&text));
        FUZZ_CHECK(eid_json_read_bytes(&slow, "the bytes", &again) == EID_OK);
        FUZZ_CHECK(eid_slice_equal(eid_buf_slice(&quick), eid_buf_slice(&again)));
        eid_buf_free(&text);
        eid_buf_free(&again);
    } else {
        FUZZ_CHECK(quick.len == 0);
    }
    eid_json_free(&fast);
    eid_json_free(&slow);
    eid_buf_free(&quick);
    eid_buf_free(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    eid_slice input = eid_slice_of(data, size);
    eid_json tokens, skipper;
    eid_json_token token = EID_JSON_NULL;
    eid_status status = EID_OK;

    eid_json_init(&tokens, input);
    while (status == EID_OK && token != EID_JSON_END) {
        size_t before = tokens.at;
        status = eid_json_next(&tokens, &token);
        FUZZ_CHECK(tokens.depth <= EID_LIMIT_JSON_DEPTH && tokens.at <= size);
        if (status != EID_OK)
            FUZZ_CHECK(tokens.at == before);
        else if (token == EID_JSON_STRING || token == EID_JSON_KEY)
            check_text(tokens.text);
    }
    eid_json_init(&skipper, input);
    eid_status skipped = eid_json_skip(&skipper);
    if (skipped == EID_OK)
        skipped = eid_json_end(&skipper);
    FUZZ_CHECK(skipped == status);
    check_bytes(input);
    eid_json_free(&tokens);
    eid_json_free(&skipper);
    return 0;
}
