/* SPDX-License-Identifier: Apache-2.0 */
/* CAR files: whatever is in them, what the storage holds afterwards follows from verified entries, and reading the same
 * bytes once more finds the same and adds nothing. */
#include "fuzz/fuzz.h"

#include <string.h>

#include "database/database.h"

typedef struct input {
    const uint8_t *data;
    size_t size;
    size_t at;
} input;

static eid_status read_input(void *data, size_t size, size_t *len, void *ctx)
{
    input *in = ctx;
    size_t left = in->size - in->at;
    *len = left < size ? left : size;
    if (*len > 0)
        memcpy(data, in->data + in->at, *len);
    in->at += *len;
    return EID_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    eid_core_options options = {.path = ":memory:", .clock = eid_clock_system};
    eid_core *core = NULL;
    FUZZ_CHECK(eid_core_open(&options, &core) == EID_OK);
    eid_import_report first, second;
    eid_check_report check;
    memset(&first, 0, sizeof first);
    memset(&second, 0, sizeof second);
    input in = {data, size, 0};
    eid_status status = eid_core_import(core, read_input, &in, &first);
    FUZZ_CHECK(first.admitted + first.held + first.refused <= first.blocks || status != EID_OK);
    FUZZ_CHECK(eid_core_check(core, NULL, EID_CHECK_SIGNATURES, &check) == EID_OK);
    FUZZ_CHECK(check.problems == 0);
    FUZZ_CHECK(check.entries == first.admitted);
    in.at = 0;
    FUZZ_CHECK(eid_core_import(core, read_input, &in, &second) == status);
    FUZZ_CHECK(second.admitted == 0 && second.blocks == first.blocks);
    FUZZ_CHECK(second.held == first.admitted + first.held);
    eid_core_close(core);
    return 0;
}
