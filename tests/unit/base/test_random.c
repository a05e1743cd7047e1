/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes and UUIDs. */
#include "support/testutil.h"

#include <string.h>

#include "base/random.h"

static void bytes_differ_between_calls(void **state)
{
    (void)state;
    uint8_t first[32] = {0};
    uint8_t second[32] = {0};
    eid_random_bytes(first, sizeof first);
    eid_random_bytes(second, sizeof second);
    assert_memory_not_equal(first, second, sizeof first);
    assert_true(eid_random_u64() != eid_random_u64());
    eid_random_bytes(NULL, 0);
}

static void new_uuids_are_version_4(void **state)
{
    (void)state;
    eid_uuid before = {{0}};
    for (int i = 0; i < 200; i++) {
        eid_uuid uuid;
        eid_uuid_new(&uuid);
        assert_int_equal(uuid.bytes[6] >> 4, 4);
        assert_int_equal(uuid.bytes[8] >> 6, 2);
        assert_memory_not_equal(uuid.bytes, before.bytes, 16);
        char text[EID_UUID_TEXT_SIZE];
        eid_uuid_format(&uuid, text);
        assert_int_equal(strlen(text), 36);
        eid_uuid back;
        assert_true(eid_uuid_parse(eid_slice_text(text), &back));
        assert_memory_equal(back.bytes, uuid.bytes, 16);
        before = uuid;
    }
}

static void four_text_forms(void **state)
{
    (void)state;
    static const uint8_t wanted[16] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
                                       0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10};
    static const char *const forms[] = {
        "01234567-89ab-cdef-fedc-ba9876543210",   "01234567-89AB-CDEF-fedc-BA9876543210",
        "0123456789abcdeffedcba9876543210",       "0123456789ABCDEFFEDCBA9876543210",
        "{01234567-89ab-cdef-fedc-ba9876543210}", "urn:uuid:01234567-89ab-cdef-fedc-ba9876543210",
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        eid_uuid uuid = {{0}};
        assert_true(eid_uuid_parse(eid_slice_text(forms[i]), &uuid));
        assert_memory_equal(uuid.bytes, wanted, 16);
        char text[EID_UUID_TEXT_SIZE];
        eid_uuid_format(&uuid, text);
        assert_string_equal(text, forms[0]);
    }
}

static void other_texts_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "0",
        "01234567-89ab-cdef-fedc-ba987654321",   /* a digit short */
        "01234567-89ab-cdef-fedc-ba98765432100", /* a digit long */
        "01234567-89ab-cdef-fedc-ba987654321g",
        "01234567089ab-cdef-fedc-ba9876543210", /* a digit for a hyphen */
        "0123456-789ab-cdef-fedc-ba9876543210", /* a hyphen elsewhere */
        "01234567-89ab-cdef-fedcba-9876543210",
        "0123456789abcdeffedcba987654321",
        "0123456789abcdeffedcba98765432-0",
        "{0123456789abcdeffedcba9876543210}",
        "{01234567-89ab-cdef-fedc-ba9876543210",
        "(01234567-89ab-cdef-fedc-ba9876543210)",
        "urn:uuid:0123456789abcdeffedcba9876543210",
        "URN:UUID:01234567-89ab-cdef-fedc-ba9876543210",
        " 1234567-89ab-cdef-fedc-ba9876543210",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        eid_uuid uuid = {{9, 9, 9}};
        eid_uuid untouched = uuid;
        if (eid_uuid_parse(eid_slice_text(wrong[i]), &uuid))
            fail_msg("accepted: %s", wrong[i]);
        assert_memory_equal(uuid.bytes, untouched.bytes, 16);
    }
    assert_false(eid_uuid_parse(eid_slice_of(NULL, 0), &(eid_uuid){{0}}));
    assert_false(
        eid_uuid_parse(eid_slice_of("01234567-89ab-cdef-fedc-ba98765432\0000", 36), &(eid_uuid){{0}}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_differ_between_calls),
        cmocka_unit_test(new_uuids_are_version_4),
        cmocka_unit_test(four_text_forms),
        cmocka_unit_test(other_texts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
