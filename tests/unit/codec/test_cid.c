/* SPDX-License-Identifier: Apache-2.0 */
/* Identifiers: both forms, every cut, and the two orders against their definitions spelled out slowly. */
#include "support/testutil.h"

#include <stdlib.h>
#include <string.h>

#include "codec/base.h"
#include "codec/cid.h"
#include "codec/varint.h"

#define ENTRY_TEXT "bafyr4ihkr4ld3m4gqkjf4reryxsy2s5tkbxprqkow6fin2iiyvreuzzab4"
#define ENTRY_HEX  "01711e20ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f"
#define V0_TEXT    "QmRN6wdp1S2A5EtjW9A3M1vKSBuQQGcgvuhoMUoEz4iiT5"

static eid_id id_of(const char *text)
{
    eid_id id;
    tu_assert_ok(eid_id_parse(text, &id));
    return id;
}

static int sign(int order)
{
    return (order > 0) - (order < 0);
}

static void text_and_bytes(void **state)
{
    (void)state;
    char text[EID_ID_TEXT_SIZE];
    eid_id id = id_of(ENTRY_TEXT);
    tu_assert_hex(id.bytes, id.len, ENTRY_HEX);
    assert_true(eid_id_is_entry(&id));
    assert_false(eid_id_is_empty(&id));
    eid_id_format(&id, text);
    assert_string_equal(text, ENTRY_TEXT);
    assert_ptr_equal(eid_id_slice(&id).data, id.bytes);
    assert_int_equal(eid_id_slice(&id).len, EID_CID_BYTES);

    eid_id made;
    memset(&made, 0xff, sizeof made);
    eid_id_from_digest(EID_CODEC_DAG_CBOR, id.bytes + 4, &made);
    assert_memory_equal(&made, &id, sizeof id);
    assert_true(eid_id_equal(&made, &id));
    made.bytes[35] ^= 1;
    assert_false(eid_id_equal(&made, &id));

    eid_id empty = id_of("");
    assert_true(eid_id_is_empty(&empty));
    assert_false(eid_id_is_entry(&empty));
    assert_false(eid_id_equal(&empty, &id));
    eid_id_format(&empty, text);
    assert_string_equal(text, "");

    eid_id v0 = id_of(V0_TEXT);
    assert_int_equal(v0.len, 34);
    assert_false(eid_id_is_entry(&v0));
    eid_id_format(&v0, text);
    assert_string_equal(text, V0_TEXT);
}

static void only_one_kind_is_an_entry(void **state)
{
    (void)state;
    uint8_t digest[32] = {7};
    eid_id id;
    eid_id_from_digest(EID_CODEC_RAW, digest, &id);
    assert_false(eid_id_is_entry(&id));
    eid_id_from_digest(0x0129, digest, &id);
    assert_false(eid_id_is_entry(&id));
    assert_int_equal(id.len, 37);
    tu_assert_hex(id.bytes, 5, "01a9021e20");
    eid_id_from_digest(UINT64_MAX, digest, &id);
    assert_int_equal(id.len, 1 + 10 + 2 + 32);
    eid_id again;
    tu_assert_ok(eid_id_from_binary(eid_id_slice(&id), &again));
    assert_true(eid_id_equal(&id, &again));
    static const char *const others[] = {
        "bafyreibnnaiv4i2kxmyqoir3pixuyt7jcdh7zk2ju2g7qgvlui2sqpshwq",   /* sha2-256 */
        "bafyr4h7kr4ld3m4gqkjf4reryxsy2s5tkbxprqkow6fin2iiyvreuzza",     /* 31 bytes of digest */
        "bafyr4ipkr4ld3m4gqkjf4reryxsy2s5tkbxprqkow6fin2iiyvreuzzab4dq", /* 33 */
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        id = id_of(others[i]);
        assert_false(eid_id_is_entry(&id));
    }
}

static void broken_binaries(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "00",
        "01",
        "0171",
        "01711e",
        "01711e20",
        "0071"
        "1e00", /* version 0 in the form of version 1 */
        "0271"
        "1e00",                       /* version 2 */
        "8100711e00",                 /* long version */
        "01f1001e00",                 /* long codec */
        "01719e0000",                 /* long hash code */
        "01711e8000",                 /* long digest length */
        "01711e41",                   /* 65 bytes announced */
        "01711effffffffffffffffff01", /* 2^64 - 1 announced */
        "01ffffffffffffffffff7f1e00", /* codec above 64 bits */
        "1220",                       /* version 0 without digest */
        "12",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t len;
        uint8_t *bytes = tu_hex_decode(cases[i], &len);
        eid_slice input = eid_slice_of(bytes, len);
        eid_id id;
        memset(&id, 0x77, sizeof id);
        eid_id before = id;
        tu_assert_fails(eid_id_from_binary(input, &id), EID_ERR_INVALID_ID);
        tu_assert_fails(eid_id_read(&input, &id), EID_ERR_INVALID_ID);
        assert_ptr_equal(input.data, bytes);
        assert_int_equal(input.len, len);
        assert_memory_equal(&id, &before, sizeof id);
        free(bytes);
    }
    /* 65 bytes that are really there, and 64. */
    uint8_t long_digest[4 + 65] = {1, 0x71, 0x1e, 65};
    eid_id id;
    tu_assert_fails(eid_id_from_binary(eid_slice_of(long_digest, 4 + 65), &id), EID_ERR_INVALID_ID);
    long_digest[3] = 64;
    tu_assert_ok(eid_id_from_binary(eid_slice_of(long_digest, 4 + 64), &id));
}

static void every_cut_of_the_bytes(void **state)
{
    (void)state;
    static const char *const cases[] = {
        ENTRY_HEX,
        "12202cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
        "01550003010203",
        "0171a0e402200505050505050505050505050505050505050505050505050505050505050505",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t len;
        uint8_t *bytes = tu_hex_decode(cases[i], &len);
        eid_id id;
        tu_assert_ok(eid_id_from_binary(eid_slice_of(bytes, len), &id));
        assert_int_equal(id.len, len);
        for (size_t cut = 0; cut < len; cut++) {
            uint8_t *copy = malloc(cut + 1);
            assert_non_null(copy);
            memcpy(copy, bytes, cut);
            tu_assert_fails(eid_id_from_binary(eid_slice_of(copy, cut), &id), EID_ERR_INVALID_ID);
            free(copy);
        }
        /* One byte too many: refused as a whole, left over when reading. The helper keeps a zero behind. */
        eid_slice input = eid_slice_of(bytes, len + 1);
        tu_assert_fails(eid_id_from_binary(input, &id), EID_ERR_INVALID_ID);
        tu_assert_ok(eid_id_read(&input, &id));
        assert_int_equal(input.len, 1);
        free(bytes);
    }
}

static void every_cut_of_the_text(void **state)
{
    (void)state;
    eid_id id, whole = id_of(ENTRY_TEXT);
    for (size_t len = 1; len < strlen(ENTRY_TEXT); len++)
        tu_assert_fails(eid_id_parse_slice(eid_slice_of(ENTRY_TEXT, len), &id), EID_ERR_INVALID_ID);
    for (size_t len = 1; len < strlen(V0_TEXT); len++)
        tu_assert_fails(eid_id_parse_slice(eid_slice_of(V0_TEXT, len), &id), EID_ERR_INVALID_ID);
    tu_assert_ok(eid_id_parse_slice(eid_slice_of(ENTRY_TEXT "rest", strlen(ENTRY_TEXT)), &id));
    assert_true(eid_id_equal(&id, &whole));
}

static void texts_around_an_identifier(void **state)
{
    (void)state;
    eid_id id, whole = id_of(ENTRY_TEXT);
    static const char *const good[] = {
        "/ipfs/" ENTRY_TEXT, "x/ipfs/" ENTRY_TEXT, "https://example.com/ipfs/" ENTRY_TEXT,
        ENTRY_TEXT "aa", /* a zero byte behind the digest */
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        tu_assert_ok(eid_id_parse(good[i], &id));
        assert_true(eid_id_equal(&id, &whole));
    }
    static const char *const bad[] = {
        "b",
        "/ipfs/",
        "/ipfs/b",
        "/ipfs",
        "x",
        "bb",
        "/ipfs//ipfs/" ENTRY_TEXT,
        ENTRY_TEXT "/x",
        ENTRY_TEXT " ",
        "\xf0\x9f\x9a\x80"
        "abc",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        tu_assert_fails(eid_id_parse(bad[i], &id), EID_ERR_INVALID_ID);
    /* A text of a megabyte is refused without work on it. */
    size_t size = 1 << 20;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, 'a', size);
    memcpy(text, ENTRY_TEXT, strlen(ENTRY_TEXT));
    tu_assert_fails(eid_id_parse_slice(eid_slice_of(text, size), &id), EID_ERR_INVALID_ID);
    text[0] = 'z';
    tu_assert_fails(eid_id_parse_slice(eid_slice_of(text, size), &id), EID_ERR_INVALID_ID);
    free(text);
}

/* ---- orders ---- */

/* Random identifiers that are near each other: few codecs and hashes, short and long digests, long common
 * runs. */
static eid_id random_id(tu_random *random)
{
    static const uint64_t codecs[] = {0x55, 0x71, 0x70, 0x0129, 0x12, 0x1220};
    static const uint64_t hashes[] = {0x1e, 0x12, 0x13, 0x00, 0xb220, 0x7f};
    static const size_t lengths[] = {32, 32, 32, 31, 33, 64, 0, 3, 20};
    eid_buf buf;
    eid_id id;
    uint8_t digest[64];
    eid_buf_init(&buf, 256);
    memset(digest, (int)tu_random_below(random, 2) * 0xff, sizeof digest);
    if (tu_random_below(random, 3) == 0)
        tu_random_fill(random, digest, sizeof digest);
    else
        digest[tu_random_below(random, sizeof digest)] ^= (uint8_t)(1u << tu_random_below(random, 8));
    if (tu_random_below(random, 10) == 0) {
        eid_buf_append(&buf, "\x12\x20", 2);
        eid_buf_append(&buf, digest, 32);
    } else {
        bool usual = tu_random_below(random, 2) == 0;
        size_t len = usual ? 32 : lengths[tu_random_below(random, 9)];
        eid_varint_append(&buf, 1);
        eid_varint_append(&buf, usual ? 0x71 : codecs[tu_random_below(random, 6)]);
        eid_varint_append(&buf, usual ? 0x1e : hashes[tu_random_below(random, 6)]);
        eid_varint_append(&buf, len);
        eid_buf_append(&buf, digest, len);
    }
    tu_assert_ok(eid_id_from_binary(eid_buf_slice(&buf), &id));
    eid_buf_free(&buf);
    return id;
}

typedef struct slow_parts {
    uint64_t numbers[4]; /* version, codec, hash, digest length */
    eid_slice digest;
} slow_parts;

static slow_parts take_apart(const eid_id *id)
{
    slow_parts parts = {{0, 0x70, 0x12, 32}, eid_slice_of(id->bytes + 2, 32)};
    if (id->bytes[0] == 0x12)
        return parts;
    eid_slice rest = eid_id_slice(id);
    for (size_t i = 0; i < 4; i++)
        tu_assert_ok(eid_varint_read(&rest, &parts.numbers[i]));
    parts.digest = rest;
    return parts;
}

static int slow_compare(const eid_id *a, const eid_id *b)
{
    slow_parts left = take_apart(a), right = take_apart(b);
    for (size_t i = 0; i < 4; i++) {
        if (left.numbers[i] != right.numbers[i])
            return left.numbers[i] < right.numbers[i] ? -1 : 1;
    }
    return sign(eid_slice_compare(left.digest, right.digest));
}

static void orders_follow_their_definitions(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(59);
    size_t disagreements = 0;
    for (size_t round = 0; round < 60000; round++) {
        eid_id a = random_id(&random), b = random_id(&random);
        char left[EID_ID_TEXT_SIZE], right[EID_ID_TEXT_SIZE];
        eid_id_format(&a, left);
        eid_id_format(&b, right);
        int binary = sign(eid_id_compare(&a, &b));
        int text = sign(eid_id_compare_text(&a, &b));
        assert_int_equal(binary, slow_compare(&a, &b));
        if (text != sign(strcmp(left, right)))
            fail_msg("%s and %s: %d", left, right, text);
        assert_int_equal(sign(eid_id_compare(&b, &a)), -binary);
        assert_int_equal(sign(eid_id_compare_text(&b, &a)), -text);
        assert_int_equal(eid_id_equal(&a, &b), binary == 0);
        assert_int_equal(text == 0, binary == 0);
        disagreements += binary != text;
        /* Parsing the text gives the same value. */
        eid_id again = id_of(left);
        assert_memory_equal(&again, &a, sizeof a);
    }
    /* The two orders are different orders. */
    assert_true(disagreements > 1000);
}

/* Two entry IDs that differ in each single bit, and in the digits around the border between letters and
 * digits. */
static void text_order_at_every_bit(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(36);
    for (size_t round = 0; round < 20; round++) {
        uint8_t digest[32];
        eid_id a, b;
        tu_random_fill(&random, digest, sizeof digest);
        eid_id_from_digest(EID_CODEC_DAG_CBOR, digest, &a);
        for (size_t bit = 0; bit < 256; bit++) {
            char left[EID_ID_TEXT_SIZE], right[EID_ID_TEXT_SIZE];
            digest[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            eid_id_from_digest(EID_CODEC_DAG_CBOR, digest, &b);
            digest[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            eid_id_format(&a, left);
            eid_id_format(&b, right);
            assert_int_equal(sign(eid_id_compare_text(&a, &b)), sign(strcmp(left, right)));
        }
    }
    /* spec crdt.md section 7.5: digits before letters as text, after them as bytes. */
    eid_id a = id_of("bafyr4iafizr2rcviuczxm43mdccxmmwwxxnwbxp66ppgwpu2i7e2tzkpxu");
    eid_id b = id_of("bafyr4ia3eh2wcy4yid4t77gmr7mmlwdk35og5jtriunokgsr3mqeyccc74");
    assert_true(eid_id_compare(&a, &b) < 0);
    assert_true(eid_id_compare_text(&a, &b) > 0);
}

static void empty_comes_first(void **state)
{
    (void)state;
    eid_id empty = id_of(""), entry = id_of(ENTRY_TEXT), v0 = id_of(V0_TEXT), short_id = id_of("bafyqaaa");
    const eid_id *ascending[] = {&empty, &v0, &short_id, &entry};
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < 4; j++)
            assert_int_equal(sign(eid_id_compare(ascending[i], ascending[j])), (i > j) - (i < j));
        assert_int_equal(sign(eid_id_compare_text(&empty, ascending[i])), i == 0 ? 0 : -1);
        assert_int_equal(sign(eid_id_compare_text(ascending[i], &empty)), i == 0 ? 0 : 1);
    }
    assert_true(eid_id_compare_text(&v0, &entry) < 0);
    assert_true(eid_id_compare_text(&entry, &v0) > 0);
    /* A value nobody read still gets a place. */
    eid_id garbage = {3, {0xff, 0xff, 0xff}};
    assert_int_equal(eid_id_compare(&garbage, &garbage), 0);
    assert_int_equal(sign(eid_id_compare(&garbage, &entry)), -sign(eid_id_compare(&entry, &garbage)));
}

static void sorting(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(1000);
    assert_int_equal(eid_ids_sort(NULL, 0), 0);
    for (size_t round = 0; round < 200; round++) {
        eid_id ids[64], copy[64];
        size_t count = (size_t)tu_random_below(&random, 64) + 1;
        for (size_t i = 0; i < count; i++) {
            if (i > 0 && tu_random_below(&random, 3) == 0)
                ids[i] = ids[tu_random_below(&random, i)];
            else if (tu_random_below(&random, 20) == 0)
                memset(&ids[i], 0, sizeof ids[i]);
            else
                ids[i] = random_id(&random);
        }
        memcpy(copy, ids, sizeof copy);
        size_t kept = eid_ids_sort(ids, count);
        for (size_t i = 1; i < kept; i++)
            assert_true(eid_id_compare(&ids[i - 1], &ids[i]) < 0);
        /* Nothing lost, nothing invented. */
        for (size_t i = 0; i < count; i++) {
            size_t found = 0;
            for (size_t j = 0; j < kept; j++)
                found += eid_id_equal(&copy[i], &ids[j]);
            assert_int_equal(found, 1);
        }
        size_t distinct = 0;
        for (size_t i = 0; i < count; i++) {
            size_t j = 0;
            while (j < i && !eid_id_equal(&copy[i], &copy[j]))
                j++;
            distinct += j == i;
        }
        assert_int_equal(kept, distinct);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_bytes),
        cmocka_unit_test(only_one_kind_is_an_entry),
        cmocka_unit_test(broken_binaries),
        cmocka_unit_test(every_cut_of_the_bytes),
        cmocka_unit_test(every_cut_of_the_text),
        cmocka_unit_test(texts_around_an_identifier),
        cmocka_unit_test(orders_follow_their_definitions),
        cmocka_unit_test(text_order_at_every_bit),
        cmocka_unit_test(empty_comes_first),
        cmocka_unit_test(sorting),
    };
    return cmocka_run_group_tests_name("codec-cid", tests, NULL, NULL);
}
