/* SPDX-License-Identifier: Apache-2.0 */
/* Identifiers from any bytes, as text and in binary form: what is accepted must print and read back to
 * itself, and the two orders must be orders. The input is also cut in two, for the comparisons. */
#include "fuzz/fuzz.h"

#include <string.h>

#include "codec/cid.h"

static int sign(int order)
{
    return (order > 0) - (order < 0);
}

static void check_id(const eid_id *id)
{
    char text[EID_ID_TEXT_SIZE];
    eid_id again;
    FUZZ_CHECK(id->len <= EID_ID_MAX_BYTES);
    eid_id_format(id, text);
    FUZZ_CHECK(eid_id_parse(text, &again) == EID_OK);
    FUZZ_CHECK(memcmp(&again, id, sizeof again) == 0);
    if (!eid_id_is_empty(id)) {
        FUZZ_CHECK(eid_id_from_binary(eid_id_slice(id), &again) == EID_OK);
        FUZZ_CHECK(memcmp(&again, id, sizeof again) == 0);
    }
    FUZZ_CHECK(eid_id_compare(id, id) == 0 && eid_id_compare_text(id, id) == 0);
}

static void check_pair(const eid_id *a, const eid_id *b)
{
    char left[EID_ID_TEXT_SIZE], right[EID_ID_TEXT_SIZE];
    eid_id_format(a, left);
    eid_id_format(b, right);
    FUZZ_CHECK(sign(eid_id_compare_text(a, b)) == sign(strcmp(left, right)));
    FUZZ_CHECK(sign(eid_id_compare(a, b)) == -sign(eid_id_compare(b, a)));
    FUZZ_CHECK((eid_id_compare(a, b) == 0) == eid_id_equal(a, b));
}

/* As text when that can be, else as bytes. */
static bool read_either(eid_slice input, eid_id *out)
{
    if (eid_id_parse_slice(input, out) == EID_OK)
        return true;
    eid_slice rest = input;
    if (eid_id_read(&rest, out) != EID_OK)
        return false;
    FUZZ_CHECK(rest.len + out->len == input.len);
    FUZZ_CHECK(rest.len > 0 || eid_id_from_binary(input, out) == EID_OK);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    eid_id whole, left, right;
    if (read_either(eid_slice_of(data, size), &whole))
        check_id(&whole);
    size_t half = size / 2;
    if (size > 0 && read_either(eid_slice_of(data, half), &left) &&
        read_either(eid_slice_of(data + half, size - half), &right)) {
        check_id(&left);
        check_id(&right);
        check_pair(&left, &right);
    }
    return 0;
}
