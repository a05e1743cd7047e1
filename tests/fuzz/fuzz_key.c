/* SPDX-License-Identifier: Apache-2.0 */
/* Key and signature texts: each has one form, so what is accepted is written as it was read. */
#include <string.h>

#include "crypto/key.h"
#include "fuzz/fuzz.h"

static void check_public(eid_slice input)
{
    char text[EID_PUBKEY_TEXT_SIZE];
    eid_pubkey key;

    if (eid_pubkey_parse_slice(input, &key) != EID_OK)
        return;
    eid_pubkey_format(&key, text);
    FUZZ_CHECK(eid_slice_is(input, text));
}

static void check_private(eid_slice input)
{
    char text[EID_PUBKEY_TEXT_SIZE];
    uint8_t signature[64];
    eid_keypair *key;
    eid_pubkey pubkey;

    if (eid_keypair_parse_slice(input, &key) != EID_OK)
        return;
    eid_keypair_format(key, text);
    FUZZ_CHECK(eid_slice_is(input, text));
    eid_keypair_public(key, &pubkey);
    eid_keypair_sign(key, input.data, input.len, signature);
    FUZZ_CHECK(eid_pubkey_verify(&pubkey, input.data, input.len, signature) == EID_OK);
    signature[0] ^= 1;
    FUZZ_CHECK(eid_pubkey_verify(&pubkey, input.data, input.len, signature) == EID_ERR_BAD_SIGNATURE);
    eid_pubkey_format(&pubkey, text);
    FUZZ_CHECK(eid_pubkey_parse(text, &pubkey) == EID_OK);
    eid_keypair_free(key);
}

static void check_signature(eid_slice input)
{
    char text[EID_SIGNATURE_TEXT_SIZE];
    uint8_t signature[64];

    if (eid_signature_parse(input, signature) != EID_OK)
        return;
    eid_signature_format(signature, text);
    FUZZ_CHECK(eid_slice_is(input, text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    eid_slice input = eid_slice_of(data, size);

    check_public(input);
    check_private(input);
    check_signature(input);
    return 0;
}
