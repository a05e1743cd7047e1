/* SPDX-License-Identifier: Apache-2.0 */
/* Keys: text forms and their borders, ownership, and signatures; the recorded cases are in tests/vectors. */
#include "support/testutil.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/key.h"

/* RFC 8032 section 7.1, test 2. */
#define SEED_HEX   "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
#define PUBLIC_HEX "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
#define SIGNATURE_HEX                                                                                        \
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"                                       \
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
#define PUBLIC_TEXT  "ed25519:PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="
#define PRIVATE_TEXT "ed25519:TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs="

static eid_keypair *rfc_pair(void)
{
    size_t len;
    uint8_t *seed = tu_hex_decode(SEED_HEX, &len);
    eid_keypair *pair;
    tu_assert_ok(eid_keypair_from_seed(seed, &pair));
    free(seed);
    return pair;
}

static void rfc_8032(void **state)
{
    (void)state;
    eid_keypair *pair = rfc_pair();
    eid_pubkey key;
    uint8_t signature[64];
    char text[EID_PUBKEY_TEXT_SIZE];
    eid_keypair_public(pair, &key);
    tu_assert_hex(key.bytes, sizeof key.bytes, PUBLIC_HEX);
    eid_keypair_sign(pair, "\x72", 1, signature);
    tu_assert_hex(signature, sizeof signature, SIGNATURE_HEX);
    tu_assert_ok(eid_pubkey_verify(&key, "\x72", 1, signature));
    eid_pubkey_format(&key, text);
    assert_string_equal(text, PUBLIC_TEXT);
    assert_int_equal(strlen(text) + 1, EID_PUBKEY_TEXT_SIZE);
    eid_keypair_format(pair, text);
    assert_string_equal(text, PRIVATE_TEXT);
    eid_keypair_free(pair);
}

/* A signature holds for its message, its key and itself, and for nothing that differs in one bit. */
static void every_bit_counts(void **state)
{
    (void)state;
    eid_keypair *pair = rfc_pair();
    eid_pubkey key;
    uint8_t message[9] = "message";
    uint8_t signature[64];
    eid_keypair_public(pair, &key);
    eid_keypair_sign(pair, message, sizeof message, signature);
    for (size_t bit = 0; bit < 8 * sizeof signature; bit++) {
        signature[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        tu_assert_fails(eid_pubkey_verify(&key, message, sizeof message, signature), EID_ERR_BAD_SIGNATURE);
        signature[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    for (size_t bit = 0; bit < 8 * sizeof message; bit++) {
        message[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        tu_assert_fails(eid_pubkey_verify(&key, message, sizeof message, signature), EID_ERR_BAD_SIGNATURE);
        message[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    for (size_t bit = 0; bit < 8 * sizeof key.bytes; bit++) {
        key.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        tu_assert_fails(eid_pubkey_verify(&key, message, sizeof message, signature), EID_ERR_BAD_SIGNATURE);
        key.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    tu_assert_fails(eid_pubkey_verify(&key, message, sizeof message - 1, signature), EID_ERR_BAD_SIGNATURE);
    tu_assert_ok(eid_pubkey_verify(&key, message, sizeof message, signature));
    /* An empty message may come without an address. */
    eid_keypair_sign(pair, NULL, 0, signature);
    tu_assert_ok(eid_pubkey_verify(&key, NULL, 0, signature));
    eid_keypair_free(pair);
}

static void generated_keys(void **state)
{
    (void)state;
    enum { COUNT = 20 };
    eid_pubkey keys[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        eid_keypair *pair, *parsed, *copy;
        eid_pubkey again;
        char text[EID_PUBKEY_TEXT_SIZE];
        uint8_t signature[64];
        tu_assert_ok(eid_keypair_generate(&pair));
        eid_keypair_public(pair, &keys[i]);
        for (size_t j = 0; j < i; j++)
            assert_false(eid_pubkey_equal(&keys[i], &keys[j]));
        assert_true(eid_pubkey_equal(&keys[i], &keys[i]));

        eid_keypair_format(pair, text);
        tu_assert_ok(eid_keypair_parse(text, &parsed));
        eid_keypair_public(parsed, &again);
        assert_true(eid_pubkey_equal(&keys[i], &again));
        tu_assert_ok(eid_keypair_copy(pair, &copy));
        eid_keypair_free(pair);
        /* The copy is a key of its own. */
        eid_keypair_sign(copy, "x", 1, signature);
        tu_assert_ok(eid_pubkey_verify(&keys[i], "x", 1, signature));
        eid_keypair_free(copy);
        eid_keypair_free(parsed);

        eid_pubkey_format(&keys[i], text);
        tu_assert_ok(eid_pubkey_parse(text, &again));
        assert_true(eid_pubkey_equal(&keys[i], &again));
    }
    eid_keypair_free(NULL);
}

/* Each cut, each changed prefix character, and a character too many; text need not end with a zero. */
static void text_borders(void **state)
{
    (void)state;
    static const char *const texts[] = {PUBLIC_TEXT, PRIVATE_TEXT};
    const size_t whole = EID_PUBKEY_TEXT_SIZE - 1;
    for (size_t i = 0; i < 2; i++) {
        for (size_t len = 0; len < whole; len++) {
            char *cut = malloc(len + 1);
            eid_pubkey key;
            eid_keypair *pair = NULL;
            assert_non_null(cut);
            memcpy(cut, texts[i], len);
            tu_assert_fails(eid_pubkey_parse_slice(eid_slice_of(cut, len), &key), EID_ERR_INVALID_KEY);
            tu_assert_fails(eid_keypair_parse_slice(eid_slice_of(cut, len), &pair), EID_ERR_INVALID_KEY);
            assert_null(pair);
            free(cut);
        }
        for (size_t at = 0; at < 8; at++) {
            char changed[EID_PUBKEY_TEXT_SIZE];
            eid_pubkey key;
            eid_keypair *pair = NULL;
            strcpy(changed, texts[i]);
            changed[at] ^= 0x20;
            tu_assert_fails(eid_pubkey_parse(changed, &key), EID_ERR_INVALID_KEY);
            tu_assert_fails(eid_keypair_parse(changed, &pair), EID_ERR_INVALID_KEY);
        }
    }
    char longer[EID_PUBKEY_TEXT_SIZE + 8];
    eid_pubkey key;
    eid_keypair *pair = NULL;
    strcpy(longer, PUBLIC_TEXT);
    strcat(longer, "x");
    tu_assert_fails(eid_pubkey_parse(longer, &key), EID_ERR_INVALID_KEY);
    tu_assert_ok(eid_pubkey_parse_slice(eid_slice_of(longer, whole), &key));
    strcpy(longer, PRIVATE_TEXT);
    strcat(longer, "=");
    tu_assert_fails(eid_keypair_parse(longer, &pair), EID_ERR_INVALID_KEY);
    tu_assert_ok(eid_keypair_parse_slice(eid_slice_of(longer, whole), &pair));
    eid_keypair_free(pair);
    /* Both refuse what the other alphabet, unset padding or set trailing bits would allow. */
    static const char *const bodies[] = {
        "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw=",   "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw",
        "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgx=",   "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zg==",
        "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0ZgwA",   "PUAXw+hDiVqStwqn TRt+vJyYLM8uxJaMwM1V8Sr0Zgw=",
        "PUAXw+hDiVqStwqn\nTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        char text[80] = "ed25519:";
        strcat(text, bodies[i]);
        pair = NULL;
        tu_assert_fails(eid_pubkey_parse(text, &key), EID_ERR_INVALID_KEY);
        tu_assert_fails(eid_keypair_parse(text, &pair), EID_ERR_INVALID_KEY);
        assert_null(pair);
    }
    /* Text with a zero inside is not a shorter text. */
    char zero[EID_PUBKEY_TEXT_SIZE];
    memcpy(zero, PRIVATE_TEXT, sizeof zero);
    zero[20] = '\0';
    tu_assert_fails(eid_keypair_parse_slice(eid_slice_of(zero, whole), &pair), EID_ERR_INVALID_KEY);
}

/* About half of all 32-byte strings are points; the others are refused, and what is accepted prints the same.
 */
static void random_public_keys(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(25519);
    size_t points = 0;
    for (size_t i = 0; i < 400; i++) {
        eid_pubkey key, again;
        char text[EID_PUBKEY_TEXT_SIZE];
        tu_random_fill(&random, key.bytes, sizeof key.bytes);
        eid_pubkey_format(&key, text);
        eid_status status = eid_pubkey_parse(text, &again);
        assert_true(status == EID_OK || status == EID_ERR_INVALID_KEY);
        points += status == EID_OK;
        if (status == EID_OK)
            assert_true(eid_pubkey_equal(&key, &again));
    }
    assert_in_range(points, 140, 260);
}

static void signature_texts(void **state)
{
    (void)state;
    uint8_t signature[64], parsed[64], untouched[64];
    char text[EID_SIGNATURE_TEXT_SIZE];
    tu_random random = tu_random_seeded(64);
    for (size_t i = 0; i < 100; i++) {
        tu_random_fill(&random, signature, sizeof signature);
        eid_signature_format(signature, text);
        assert_int_equal(strlen(text), 88);
        tu_assert_ok(eid_signature_parse(eid_slice_text(text), parsed));
        assert_memory_equal(parsed, signature, sizeof parsed);
    }
    memset(parsed, 0x3c, sizeof parsed);
    memset(untouched, 0x3c, sizeof untouched);
    for (size_t len = 0; len < 88; len++) {
        tu_assert_fails(eid_signature_parse(eid_slice_of(text, len), parsed), EID_ERR_BAD_SIGNATURE);
        assert_memory_equal(parsed, untouched, sizeof parsed);
    }
    char changed[128];
    for (size_t at = 0; at < 88; at++) {
        strcpy(changed, text);
        changed[at] = '!';
        tu_assert_fails(eid_signature_parse(eid_slice_text(changed), parsed), EID_ERR_BAD_SIGNATURE);
    }
    static const char *const endings[] = {"=", " ", "\n", "AAAA", "A", "\0"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        strcpy(changed, text);
        strcat(changed, endings[i]);
        size_t len = 88 + (endings[i][0] == '\0' ? 1 : strlen(endings[i]));
        tu_assert_fails(eid_signature_parse(eid_slice_of(changed, len), parsed), EID_ERR_BAD_SIGNATURE);
    }
    assert_memory_equal(parsed, untouched, sizeof parsed);
}

static void wiping(void **state)
{
    (void)state;
    uint8_t secret[100], zeros[100] = {0};
    memset(secret, 0xee, sizeof secret);
    eid_wipe(secret, 50);
    assert_memory_equal(secret, zeros, 50);
    assert_int_equal(secret[50], 0xee);
    eid_wipe(secret, sizeof secret);
    assert_memory_equal(secret, zeros, sizeof secret);
    eid_wipe(secret, 0);
}

/* The first use may come from many threads at once, and one key may be used by all of them. */
static void *use_keys(void *argument)
{
    const eid_keypair *shared = argument;
    eid_pubkey key;
    for (int i = 0; i < 20; i++) {
        uint8_t signature[64];
        eid_keypair *own;
        if (eid_crypto_init() != EID_OK || eid_keypair_generate(&own) != EID_OK)
            return argument;
        eid_keypair_sign(own, &i, sizeof i, signature);
        eid_keypair_public(own, &key);
        eid_status status = eid_pubkey_verify(&key, &i, sizeof i, signature);
        eid_keypair_free(own);
        eid_keypair_sign(shared, &i, sizeof i, signature);
        eid_keypair_public(shared, &key);
        if (status != EID_OK || eid_pubkey_verify(&key, &i, sizeof i, signature) != EID_OK)
            return argument;
    }
    return NULL;
}

static void many_threads(void **state)
{
    (void)state;
    enum { THREADS = 6 };
    pthread_t threads[THREADS];
    eid_keypair *pair = rfc_pair();
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_keys, pair), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    eid_keypair_free(pair);
}

/* A text has one form: bytes that are no characters of it are refused wherever they stand. */
static void only_base64_is_decoded(void **state)
{
    static const uint8_t seed[32] = {0x8a, 0x28, 0xe3, 7, 9};
    char text[EID_PUBKEY_TEXT_SIZE], changed[EID_PUBKEY_TEXT_SIZE], again[EID_PUBKEY_TEXT_SIZE];
    eid_keypair *pair;
    size_t accepted = 0;

    (void)state;
    tu_assert_ok(eid_keypair_from_seed(seed, &pair));
    eid_keypair_format(pair, text);
    eid_keypair_free(pair);
    for (size_t at = 8; at < strlen(text); at++) {
        for (int byte = 1; byte < 256; byte++) {
            memcpy(changed, text, sizeof changed);
            changed[at] = (char)byte;
            if (eid_keypair_parse(changed, &pair) != EID_OK)
                continue;
            eid_keypair_format(pair, again);
            assert_string_equal(again, changed);
            eid_keypair_free(pair);
            accepted++;
        }
    }
    assert_true(accepted >= 42 * 64); /* any character of the alphabet, but for the last two places */
    assert_true(accepted < 44 * 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_base64_is_decoded),
        cmocka_unit_test(many_threads),     cmocka_unit_test(rfc_8032),
        cmocka_unit_test(every_bit_counts), cmocka_unit_test(generated_keys),
        cmocka_unit_test(text_borders),     cmocka_unit_test(random_public_keys),
        cmocka_unit_test(signature_texts),  cmocka_unit_test(wiping),
    };
    return cmocka_run_group_tests_name("crypto-key", tests, NULL, NULL);
}
