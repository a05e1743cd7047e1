/* SPDX-License-Identifier: Apache-2.0 */
/* Base64, base32, hex and multibase: the published examples, strictness, and agreement with libsodium. */
#include "support/testutil.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "codec/base.h"

typedef eid_status (*decoder)(eid_slice text, uint8_t *out, size_t capacity, size_t *len);

static void assert_decodes(decoder decode, eid_slice text, const void *wanted, size_t wanted_len)
{
    uint8_t out[256];
    size_t len;
    eid_status status = decode(text, out, sizeof out, &len);
    if (status != EID_OK)
        fail_msg("%.*s: %s", (int)text.len, (const char *)text.data, eid_last_error());
    assert_int_equal(len, wanted_len);
    assert_memory_equal(out, wanted, wanted_len);
    /* Exactly enough room is enough, one byte less leaves everything as it was. */
    tu_assert_ok(decode(text, out, wanted_len, &len));
    if (wanted_len > 0) {
        uint8_t untouched[256];
        memset(out, 0xa5, sizeof out);
        memset(untouched, 0xa5, sizeof untouched);
        len = 4711;
        tu_assert_fails(decode(text, out, wanted_len - 1, &len), EID_ERR_LIMIT);
        assert_int_equal(len, 4711);
        assert_memory_equal(out, untouched, sizeof out);
    }
}

static void assert_refused(decoder decode, eid_slice text)
{
    uint8_t out[256], untouched[256];
    size_t len = 4711;
    memset(out, 0xa5, sizeof out);
    memset(untouched, 0xa5, sizeof untouched);
    eid_status status = decode(text, out, sizeof out, &len);
    if (status != EID_ERR_SYNTAX)
        fail_msg("%.*s: %s", (int)text.len, (const char *)text.data, eid_status_name(status));
    assert_int_equal(len, 4711);
    assert_memory_equal(out, untouched, sizeof out);
}

/* RFC 4648 section 10. */
static void rfc_4648(void **state)
{
    (void)state;
    static const struct {
        const char *plain;
        const char *base64;
        const char *base32;
        const char *hex;
    } cases[] = {
        {"", "", "", ""},
        {"f", "Zg==", "my", "66"},
        {"fo", "Zm8=", "mzxq", "666f"},
        {"foo", "Zm9v", "mzxw6", "666f6f"},
        {"foob", "Zm9vYg==", "mzxw6yq", "666f6f62"},
        {"fooba", "Zm9vYmE=", "mzxw6ytb", "666f6f6261"},
        {"foobar", "Zm9vYmFy", "mzxw6ytboi", "666f6f626172"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint8_t *plain = (const uint8_t *)cases[i].plain;
        size_t len = strlen(cases[i].plain);
        char text[64];
        eid_base64_encode(plain, len, text);
        assert_string_equal(text, cases[i].base64);
        assert_true(strlen(text) + 1 == EID_BASE64_SIZE(len));
        assert_decodes(eid_base64_decode, eid_slice_text(text), plain, len);

        eid_base64_encode_unpadded(plain, len, text);
        size_t digits = strcspn(cases[i].base64, "=");
        assert_int_equal(strlen(text), digits);
        assert_memory_equal(text, cases[i].base64, digits);
        assert_decodes(eid_base64_decode_unpadded, eid_slice_text(text), plain, len);

        eid_base32_encode(plain, len, text);
        assert_string_equal(text, cases[i].base32);
        assert_true(strlen(text) + 1 <= EID_BASE32_SIZE(len));
        assert_decodes(eid_base32_decode, eid_slice_text(text), plain, len);

        eid_hex_encode(plain, len, text);
        assert_string_equal(text, cases[i].hex);
        assert_decodes(eid_hex_decode, eid_slice_text(text), plain, len);
    }
    assert_decodes(eid_hex_decode, eid_slice_text("0123456789ABCDEFabcdef"),
                   "\x01\x23\x45\x67\x89\xab\xcd\xef\xab\xcd\xef", 11);
    assert_decodes(eid_base32_decode, eid_slice_text("MZXW6ytb"), "fooba", 5);
    assert_decodes(eid_base64_decode, eid_slice_text("+/+/"), "\xfb\xff\xbf", 3);
}

static void base64_is_strict(void **state)
{
    (void)state;
    static const char *const padded[] = {
        "A",     "=",      "==",       "====",  "A=",    "A==",  "A===", "AA",         "AA=",      "AAA",
        "AAAA=", "AAAA==", "AAAA====", "AA===", "AAA==", "A=A=", "=AAA", "AA=A",       "Zg==Zg==", "Zh==",
        "Zm9=",  "Zm8=\n", " Zm8=",    "Zm8= ", "Zm 8=", "Zm-_", "Zm8.", "Z\xc3\xa9=", "Zm9vYh==", "Zm9vYmF=",
    };
    for (size_t i = 0; i < sizeof padded / sizeof *padded; i++)
        assert_refused(eid_base64_decode, eid_slice_text(padded[i]));
    static const char *const unpadded[] = {"A",   "AAAAA",  "Zg==",  "Zm8=", "Zh",
                                           "Zm9", "Zm9vYh", "Zm 9v", "Zm-_", "="};
    for (size_t i = 0; i < sizeof unpadded / sizeof *unpadded; i++)
        assert_refused(eid_base64_decode_unpadded, eid_slice_text(unpadded[i]));
    assert_refused(eid_base64_decode, eid_slice_of("Zm\0v", 4));
}

static void base32_and_hex_are_strict(void **state)
{
    (void)state;
    static const char *const base32[] = {
        "m",  "mzx", "mzxw6y", "mz", "mzxr", "mzxw7", "mzxw6yr", "my======",
        "m1", "m0",  "m8",     "m9", " my",  "my ",   "m=",
    };
    for (size_t i = 0; i < sizeof base32 / sizeof *base32; i++)
        assert_refused(eid_base32_decode, eid_slice_text(base32[i]));
    static const char *const hex[] = {"0",   "000", "0g",  "g0",       "0x00",
                                      " 00", "00 ", "0 0", "\xff\xff", "0\xc1"};
    for (size_t i = 0; i < sizeof hex / sizeof *hex; i++)
        assert_refused(eid_hex_decode, eid_slice_text(hex[i]));
}

/* Each of the 256 bytes as a digit: accepted exactly when it is in the alphabet. */
static void every_character(void **state)
{
    (void)state;
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char hex[] = "0123456789abcdefABCDEF";
    for (unsigned c = 0; c < 256; c++) {
        uint8_t out[8];
        size_t len;
        uint8_t text[8] = {(uint8_t)c, 'A', 'A', 'A', 'A', 'A', 'A', 'A'};
        bool in64 = c != 0 && strchr(base64, (int)c) != NULL;
        bool in32 = c != 0 && strchr(base32, (int)c) != NULL;
        bool in16 = c != 0 && strchr(hex, (int)c) != NULL;
        assert_int_equal(eid_base64_decode(eid_slice_of(text, 4), out, sizeof out, &len) == EID_OK, in64);
        if (in64)
            assert_int_equal(out[0] >> 2, strchr(base64, (int)c) - base64);
        assert_int_equal(eid_base32_decode(eid_slice_of(text, 8), out, sizeof out, &len) == EID_OK, in32);
        if (in32)
            assert_int_equal(out[0] >> 3, (strchr(base32, (int)c) - base32) % 32);
        assert_int_equal(eid_hex_decode(eid_slice_of(text, 2), out, sizeof out, &len) == EID_OK, in16);
    }
}

static void random_bytes_as_libsodium_has_them(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(5);
    for (size_t len = 0; len < 200; len++) {
        uint8_t bytes[200];
        char ours[EID_BASE64_SIZE(200) + 200], theirs[EID_BASE64_SIZE(200) + 200];
        tu_random_fill(&random, bytes, len);
        eid_base64_encode(bytes, len, ours);
        sodium_bin2base64(theirs, sizeof theirs, bytes, len, sodium_base64_VARIANT_ORIGINAL);
        assert_string_equal(ours, theirs);
        assert_decodes(eid_base64_decode, eid_slice_text(ours), bytes, len);
        eid_base64_encode_unpadded(bytes, len, ours);
        sodium_bin2base64(theirs, sizeof theirs, bytes, len, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
        assert_string_equal(ours, theirs);
        assert_decodes(eid_base64_decode_unpadded, eid_slice_text(ours), bytes, len);
        char hex[401], sodium_hex[401];
        eid_hex_encode(bytes, len, hex);
        sodium_bin2hex(sodium_hex, sizeof sodium_hex, bytes, len);
        assert_string_equal(hex, sodium_hex);
        assert_decodes(eid_hex_decode, eid_slice_text(hex), bytes, len);
        char base32[EID_BASE32_SIZE(200)];
        eid_base32_encode(bytes, len, base32);
        assert_decodes(eid_base32_decode, eid_slice_text(base32), bytes, len);
    }
}

/* The published examples of the multibase table, "yes mani !", with no, one and two leading zero bytes for
 * some. */
static void multibase_examples(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "001111001011001010111001100100000011011010110000101101110011010010010000000100001",
        "7362625631006654133464440102",
        "9573277761329450583662625",
        "f796573206d616e692021",
        "F796573206D616E692021",
        "vf5in683dc5n6i811",
        "VF5IN683DC5N6I811",
        "tf5in683dc5n6i811",
        "TF5IN683DC5N6I811",
        "bpfsxgidnmfxgsibb",
        "BPFSXGIDNMFXGSIBB",
        "cpfsxgidnmfxgsibb",
        "CPFSXGIDNMFXGSIBB",
        "hxf1zgedpcfzg1ebb",
        "k2lcpzo5yikidynfl",
        "K2LCPZO5YIKIDYNFL",
        "RRFF.OEB$D5/DZ24",
        "z7paNL19xttacUY",
        "Z7Pznk19XTTzBtx",
        "meWVzIG1hbmkgIQ",
        "MeWVzIG1hbmkgIQ==",
        "ueWVzIG1hbmkgIQ",
        "UeWVzIG1hbmkgIQ==",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_decodes(eid_multibase_decode, eid_slice_text(texts[i]), "yes mani !", 10);
    assert_decodes(eid_multibase_decode, eid_slice_of("\0yes mani !", 11), "yes mani !", 10);
    static const char *const zeros[] = {"z17paNL19xttacUY", "Z17Pznk19XTTzBtx", "90573277761329450583662625",
                                        "k02lcpzo5yikidynfl", "f00796573206d616e692021"};
    for (size_t i = 0; i < sizeof zeros / sizeof *zeros; i++)
        assert_decodes(eid_multibase_decode, eid_slice_text(zeros[i]), "\0yes mani !", 11);
    assert_decodes(eid_multibase_decode, eid_slice_text("z117paNL19xttacUY"), "\0\0yes mani !", 12);
    assert_decodes(eid_multibase_decode, eid_slice_text("z111"), "\0\0\0", 3);
    assert_decodes(eid_multibase_decode, eid_slice_text("z"), "", 0);
    assert_decodes(eid_multibase_decode, eid_slice_text("b"), "", 0);
    /* RFC 9285 section 4.4. */
    assert_decodes(eid_multibase_decode, eid_slice_text("RBB8"), "AB", 2);
    assert_decodes(eid_multibase_decode, eid_slice_text("R%69 VD92EX0"), "Hello!!", 7);
    assert_decodes(eid_multibase_decode, eid_slice_text("RUJCLQE7W581"), "base-45", 7);
    assert_decodes(eid_multibase_decode, eid_slice_text("RQED8WEX0"), "ietf!", 5);
}

static void multibase_refuses(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",    "?abc", "x00",      "02",       "0012",       "78",      "9a",    "9-1",  "z0",
        "zI",  "zl",   "zO",       "Z0",       "k!",         "k-",      "h0",    "hl",   "hv",
        "h2",  "vw",   "cmy",      "cmy=====", "cmy=======", "tmy",     "mZg==", "MZg",  "MZg=",
        "m-_", "u+/",  "Ua",       "R0",       "R0000",      "RGGX",    "R::",   "R:::", "Rab8",
        "fa",  "ffg",  "01111111", "73",       "i",          "\x80gbc",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_refused(eid_multibase_decode, eid_slice_text(texts[i]));
    /* The largest groups that still fit: FGW is 65535 and U5 is 255. */
    assert_decodes(eid_multibase_decode, eid_slice_text("RFGW"), "\xff\xff", 2);
    assert_decodes(eid_multibase_decode, eid_slice_text("RU5"), "\xff", 1);
    assert_refused(eid_multibase_decode, eid_slice_text("RV5"));
}

/* A very long text ends quickly, whatever its base. */
static void long_texts_are_cheap(void **state)
{
    (void)state;
    static const char prefixes[] = "0789fbcvthkRzZmMuU";
    size_t size = 1 << 20;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, '1', size);
    for (size_t i = 0; i < sizeof prefixes - 1; i++) {
        uint8_t out[EID_RADIX_MAX];
        size_t len;
        text[0] = prefixes[i];
        assert_int_not_equal(eid_multibase_decode(eid_slice_of(text, size), out, sizeof out, &len), EID_OK);
    }
    text[0] = '\0';
    uint8_t out[EID_RADIX_MAX];
    size_t len;
    tu_assert_fails(eid_multibase_decode(eid_slice_of(text, size), out, sizeof out, &len), EID_ERR_LIMIT);
    free(text);
}

static void base58_round_trip(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(58);
    for (size_t round = 0; round < 3000; round++) {
        uint8_t bytes[EID_RADIX_MAX];
        char text[256];
        size_t len = (size_t)tu_random_below(&random, 60);
        tu_random_fill(&random, bytes, len);
        size_t zeros = (size_t)tu_random_below(&random, 4);
        for (size_t i = 0; i < zeros && i < len; i++)
            bytes[i] = 0;
        eid_base58_encode(bytes, len, text, sizeof text);
        assert_true(len == 0 || text[0] != '\0');
        assert_decodes(eid_base58_decode, eid_slice_text(text), bytes, len);
        /* Any room that is too small gives the empty text and writes nothing beyond it. */
        size_t needed = strlen(text) + 1;
        size_t room = (size_t)tu_random_below(&random, needed);
        char small[256];
        memset(small, '#', sizeof small);
        eid_base58_encode(bytes, len, small, room);
        if (room > 0)
            assert_int_equal(small[0], '\0');
        assert_int_equal(small[room], '#');
        eid_base58_encode(bytes, len, small, needed);
        assert_string_equal(small, text);
    }
    char text[64];
    eid_base58_encode((const uint8_t *)"Hello World!", 12, text, sizeof text);
    assert_string_equal(text, "2NEpo7TZRRrLZSi2U");
    eid_base58_encode((const uint8_t *)"\x00\x00\x28\x7f\xb4\xcd", 6, text, sizeof text);
    assert_string_equal(text, "11233QC4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_4648),
        cmocka_unit_test(base64_is_strict),
        cmocka_unit_test(base32_and_hex_are_strict),
        cmocka_unit_test(every_character),
        cmocka_unit_test(random_bytes_as_libsodium_has_them),
        cmocka_unit_test(multibase_examples),
        cmocka_unit_test(multibase_refuses),
        cmocka_unit_test(long_texts_are_cheap),
        cmocka_unit_test(base58_round_trip),
    };
    return cmocka_run_group_tests_name("codec-base", tests, NULL, NULL);
}
