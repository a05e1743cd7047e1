/* SPDX-License-Identifier: Apache-2.0 */
/* All of keys.json, and cases of our own that pin the verification rule: a cryptographic library with another
 * rule, such as the cofactored equation, must fail here before peers disagree about an entry. */
#include "support/jsondom.h"

#include <stdlib.h>
#include <string.h>

#include "codec/base.h"
#include "crypto/key.h"

/* Signatures that the Rust implementation accepts and this library refuses, each with its reason. */
static const struct {
    const char *name;
    const char *message_hex;
    const char *reason;
} stricter[] = {
    {"identity public key, R identity, S 0", "65646765", "a key of small order signs any message"},
    {"non-canonical identity key y=p+1", "65646765", "a key of small order, and not its canonical form"},
    {"order 8 public key, R identity, S 0 (message varies)", "00",
     "a key of small order signs every eighth message"},
    {"order 8 public key, R identity, S 0 (message varies)", "02",
     "a key of small order signs every eighth message"},
};

static bool is_stricter(const char *name, const char *message_hex)
{
    for (size_t i = 0; i < sizeof stricter / sizeof *stricter; i++) {
        if (strcmp(stricter[i].name, name) == 0 && strcmp(stricter[i].message_hex, message_hex) == 0)
            return true;
    }
    return false;
}

static int load(void **state)
{
    *state = jd_load("keys.json");
    return 0;
}

static int unload(void **state)
{
    jd_free(*state);
    return 0;
}

static void assert_public(const eid_pubkey *key, const char *wanted)
{
    char text[EID_PUBKEY_TEXT_SIZE];
    eid_pubkey_format(key, text);
    assert_string_equal(text, wanted);
}

static void check_signature(const eid_keypair *pair, const eid_pubkey *key, const jd_node *one)
{
    size_t len;
    uint8_t *message = jd_hex(jd_need(one, "message_hex"), &len);
    uint8_t signature[64], parsed[64];
    char text[EID_SIGNATURE_TEXT_SIZE];

    eid_keypair_sign(pair, message, len, signature);
    tu_assert_hex(signature, sizeof signature, jd_get_str(one, "signature_hex"));
    eid_signature_format(signature, text);
    assert_string_equal(text, jd_get_str(one, "signature_base64"));
    tu_assert_ok(eid_signature_parse(eid_slice_text(text), parsed));
    assert_memory_equal(parsed, signature, sizeof parsed);
    tu_assert_ok(eid_pubkey_verify(key, message, len, signature));
    signature[0] ^= 1;
    tu_assert_fails(eid_pubkey_verify(key, message, len, signature), EID_ERR_BAD_SIGNATURE);
    free(message);
}

static void keys(void **state)
{
    const jd_node *cases = jd_need(*state, "keys");
    assert_int_equal(jd_len(cases), 13);
    for (size_t i = 0; i < jd_len(cases); i++) {
        const jd_node *one = jd_at(cases, i);
        size_t len;
        uint8_t *seed = jd_hex(jd_need(one, "seed_hex"), &len);
        eid_keypair *pair;
        eid_pubkey key, parsed;
        char text[EID_PUBKEY_TEXT_SIZE];

        assert_int_equal(len, 32);
        tu_assert_ok(eid_keypair_from_seed(seed, &pair));
        eid_keypair_public(pair, &key);
        tu_assert_hex(key.bytes, sizeof key.bytes, jd_get_str(one, "public_key_hex"));
        assert_public(&key, jd_get_str(one, "public_key"));
        tu_assert_ok(eid_pubkey_parse(jd_get_str(one, "public_key"), &parsed));
        assert_true(eid_pubkey_equal(&key, &parsed));
        eid_keypair_format(pair, text);
        assert_string_equal(text, jd_get_str(one, "private_key"));

        const jd_node *signatures = jd_need(one, "signatures");
        assert_int_equal(jd_len(signatures), 7);
        for (size_t j = 0; j < jd_len(signatures); j++)
            check_signature(pair, &key, jd_at(signatures, j));
        eid_keypair_free(pair);
        free(seed);
    }
}

/* A signature of any length goes the way of an entry: as text. */
static bool verifies(const eid_pubkey *key, const uint8_t *message, size_t len, const uint8_t *signature,
                     size_t signature_len)
{
    char text[128];
    uint8_t parsed[64];
    assert_true(EID_BASE64_SIZE(signature_len) <= sizeof text);
    eid_base64_encode(signature, signature_len, text);
    return eid_signature_parse(eid_slice_text(text), parsed) == EID_OK &&
           eid_pubkey_verify(key, message, len, parsed) == EID_OK;
}

static void verification(void **state)
{
    const jd_node *cases = jd_need(*state, "verify");
    size_t differences = 0;
    assert_int_equal(jd_len(cases), 23);
    for (size_t i = 0; i < jd_len(cases); i++) {
        const jd_node *one = jd_at(cases, i);
        size_t key_len, message_len, signature_len;
        uint8_t *key_bytes = jd_hex(jd_need(one, "public_key_hex"), &key_len);
        uint8_t *message = jd_hex(jd_need(one, "message_hex"), &message_len);
        uint8_t *signature = jd_hex(jd_need(one, "signature_hex"), &signature_len);
        eid_pubkey key, parsed;
        char text[EID_PUBKEY_TEXT_SIZE];

        assert_int_equal(key_len, sizeof key.bytes);
        memcpy(key.bytes, key_bytes, sizeof key.bytes);
        eid_pubkey_format(&key, text);
        assert_int_equal(eid_pubkey_parse(text, &parsed) == EID_OK, jd_get_bool(one, "key_accepted"));

        bool ours = verifies(&key, message, message_len, signature, signature_len);
        bool theirs = jd_get_bool(one, "verifies");
        bool differs = is_stricter(jd_get_str(one, "name"), jd_get_str(one, "message_hex"));
        if (ours != (theirs && !differs))
            fail_msg("%s (message %s): we say %d, they %d", jd_get_str(one, "name"),
                     jd_get_str(one, "message_hex"), ours, theirs);
        /* A line of the table that is no difference is a mistake in the table. */
        if (differs)
            assert_true(theirs);
        differences += differs;
        free(key_bytes);
        free(message);
        free(signature);
    }
    assert_int_equal(differences, sizeof stricter / sizeof *stricter);
}

/* Made with a separate implementation of the curve. A is an honest key, R an honest commitment. */
static const struct {
    const char *name;
    const char *key;
    const char *message;
    const char *signature;
    bool verifies;
} pinned[] = {
    {"honest key and signature", "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c", "70696e",
     "ce0835d5eef35d3d7194904428ab19ee30b76afce559883b3b3542994e42af45"
     "a455cd781451e1700d1b3869adc28cad20a224ef5bf8b84d2314b7110c354200",
     true},
    {"A plus a point of order 8, the hash divisible by 8: the cofactorless equation holds",
     "f24bdee2e8843310289c2fe57709b8c1bc1a30f5f8bf1bb54a39bb9f1102b98a", "6d697865642030",
     "ce0835d5eef35d3d7194904428ab19ee30b76afce559883b3b3542994e42af45"
     "42f5f20903a6008fe95340f00f904db30b4497075af096f92eb4dada9466a109",
     true},
    {"A plus a point of order 8, the hash not divisible by 8: only the cofactored equation holds",
     "f24bdee2e8843310289c2fe57709b8c1bc1a30f5f8bf1bb54a39bb9f1102b98a", "6d697865642031",
     "ce0835d5eef35d3d7194904428ab19ee30b76afce559883b3b3542994e42af45"
     "da99386140fdd476e8c19fc1b350461332758957f78db974e3f2b578ca44d702",
     false},
    {"R plus a point of order 8: only the cofactored equation holds",
     "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c", "6d697865642052",
     "b01473561c2fceab728d6412c5580c7bf1da9777c9d0e15dc63e760fc4d7e0db"
     "925fdc098394c0ffd8e00d5d07e8a04f20aa6ca7d56545cde2610132d418d306",
     false},
    {"R is the identity: the equation holds, but R has small order",
     "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c", "6964656e746974792052",
     "0100000000000000000000000000000000000000000000000000000000000000"
     "3549de0c421b0a20eee44c548e3e4bbf3bcb486f1aeb234009837dcbe469cf04",
     false},
    {"R has order 2", "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c",
     "6f7264657220322052",
     "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
     "cecb0ef057f5bc4ae275c633013712e79ef548421de0361c1542bd7b69803901",
     false},
};

static void pinned_rule(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof pinned / sizeof *pinned; i++) {
        size_t key_len, message_len, signature_len;
        uint8_t *key_bytes = tu_hex_decode(pinned[i].key, &key_len);
        uint8_t *message = tu_hex_decode(pinned[i].message, &message_len);
        uint8_t *signature = tu_hex_decode(pinned[i].signature, &signature_len);
        eid_pubkey key;
        assert_int_equal(key_len, sizeof key.bytes);
        assert_int_equal(signature_len, 64);
        memcpy(key.bytes, key_bytes, sizeof key.bytes);
        if ((eid_pubkey_verify(&key, message, message_len, signature) == EID_OK) != pinned[i].verifies)
            fail_msg("%s: the library under us has another rule of verification", pinned[i].name);
        free(key_bytes);
        free(message);
        free(signature);
    }
}

static void public_texts(void **state)
{
    const jd_node *cases = jd_need(*state, "parse_public");
    assert_int_equal(jd_len(cases), 35);
    for (size_t i = 0; i < jd_len(cases); i++) {
        const jd_node *one = jd_at(cases, i);
        eid_pubkey key;
        memset(&key, 0xa5, sizeof key);
        eid_pubkey before = key;
        eid_status status = eid_pubkey_parse_slice(jd_slice(jd_need(one, "string")), &key);
        if (status != (jd_get_bool(one, "ok") ? EID_OK : EID_ERR_INVALID_KEY))
            fail_msg("%s: %s", jd_get_str(one, "name"), status == EID_OK ? "accepted" : eid_last_error());
        if (status == EID_OK)
            assert_public(&key, jd_get_str(one, "reprinted"));
        else
            assert_memory_equal(&key, &before, sizeof key);
    }
}

static void private_texts(void **state)
{
    const jd_node *cases = jd_need(*state, "parse_private");
    assert_int_equal(jd_len(cases), 35);
    for (size_t i = 0; i < jd_len(cases); i++) {
        const jd_node *one = jd_at(cases, i);
        eid_keypair *pair = NULL;
        eid_status status = eid_keypair_parse_slice(jd_slice(jd_need(one, "string")), &pair);
        if (status != (jd_get_bool(one, "ok") ? EID_OK : EID_ERR_INVALID_KEY))
            fail_msg("%s: %s", jd_get_str(one, "name"), status == EID_OK ? "accepted" : eid_last_error());
        if (status != EID_OK) {
            assert_null(pair);
            continue;
        }
        char text[EID_PUBKEY_TEXT_SIZE];
        eid_pubkey key;
        eid_keypair_format(pair, text);
        assert_string_equal(text, jd_get_str(one, "reprinted"));
        eid_keypair_public(pair, &key);
        assert_public(&key, jd_get_str(one, "public_key"));
        eid_keypair_free(pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys),        cmocka_unit_test(verification),  cmocka_unit_test(public_texts),
        cmocka_unit_test(pinned_rule), cmocka_unit_test(private_texts),
    };
    return cmocka_run_group_tests_name("vectors-keys", tests, load, unload);
}
