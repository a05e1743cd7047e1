/* SPDX-License-Identifier: Apache-2.0 */
/* DAG-CBOR: the forms of RFC 8949 appendix A that are allowed, everything that is not, and hostile sizes. */
#include "support/cbor.h"
#include "support/testutil.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "codec/cid.h"

static eid_status read_one(const uint8_t *bytes, size_t len, bool strict, eid_cbor_item *out)
{
    /* A block of exactly the size, so that a sanitizer sees a read behind the end. */
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    assert_non_null(copy);
    if (len > 0)
        memcpy(copy, bytes, len);
    eid_cbor reader;
    eid_cbor_init(&reader, eid_slice_of(copy, len), strict);
    eid_status status = eid_cbor_next(&reader, out);
    if (status != EID_OK) {
        assert_ptr_equal(reader.input.data, copy);
        assert_int_equal(reader.input.len, len);
    } else {
        status = eid_cbor_end(&reader);
        /* What is lent lives in the copy. */
        if (out->kind == EID_CBOR_BYTES || out->kind == EID_CBOR_TEXT)
            out->bytes.data = bytes + (out->bytes.data - copy);
    }
    free(copy);
    return status;
}

static eid_status read_hex(const char *hex, bool strict, eid_cbor_item *out)
{
    size_t len;
    uint8_t *bytes = tu_hex_decode(hex, &len);
    eid_status status = read_one(bytes, len, strict, out);
    free(bytes);
    return status;
}

static void integers(void **state)
{
    (void)state;
    static const struct {
        int64_t value;
        const char *hex;
    } cases[] = {
        {0, "00"},
        {1, "01"},
        {10, "0a"},
        {23, "17"},
        {24, "1818"},
        {25, "1819"},
        {100, "1864"},
        {255, "18ff"},
        {256, "190100"},
        {1000, "1903e8"},
        {65535, "19ffff"},
        {65536, "1a00010000"},
        {1000000, "1a000f4240"},
        {4294967295, "1affffffff"},
        {4294967296, "1b0000000100000000"},
        {1000000000000, "1b000000e8d4a51000"},
        {INT64_MAX, "1b7fffffffffffffff"},
        {-1, "20"},
        {-10, "29"},
        {-24, "37"},
        {-25, "3818"},
        {-100, "3863"},
        {-256, "38ff"},
        {-257, "390100"},
        {-1000, "3903e7"},
        {-65537, "3a00010000"},
        {INT64_MIN, "3b7fffffffffffffff"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eid_buf buf;
        eid_cbor_item item;
        eid_buf_init(&buf, 64);
        eid_cbor_write_int(&buf, cases[i].value);
        tu_assert_hex(buf.data, buf.len, cases[i].hex);
        tu_assert_ok(read_hex(cases[i].hex, true, &item));
        bool negative = cases[i].value < 0;
        assert_int_equal(item.kind, negative ? EID_CBOR_NEGATIVE : EID_CBOR_UINT);
        assert_true(item.number == (negative ? ~(uint64_t)cases[i].value : (uint64_t)cases[i].value));
        if (!negative) {
            eid_buf_reset(&buf);
            eid_cbor_write_uint(&buf, (uint64_t)cases[i].value);
            tu_assert_hex(buf.data, buf.len, cases[i].hex);
        }
        eid_buf_free(&buf);
    }
    eid_buf buf;
    eid_cbor_item item;
    eid_buf_init(&buf, 64);
    eid_cbor_write_uint(&buf, UINT64_MAX);
    tu_assert_hex(buf.data, buf.len, "1bffffffffffffffff");
    eid_buf_free(&buf);
    tu_assert_ok(read_hex("1bffffffffffffffff", true, &item));
    assert_true(item.number == UINT64_MAX);
    tu_assert_ok(read_hex("3bffffffffffffffff", true, &item));
    assert_int_equal(item.kind, EID_CBOR_NEGATIVE);
    assert_true(item.number == UINT64_MAX);
}

static void other_values(void **state)
{
    (void)state;
    eid_buf buf;
    eid_buf_init(&buf, 1024);
    eid_cbor_write_array(&buf, 9);
    eid_cbor_write_bytes(&buf, NULL, 0);
    eid_cbor_write_bytes(&buf, "\x01\x02\x03\x04", 4);
    eid_cbor_write_text(&buf, "");
    eid_cbor_write_text(&buf, "IETF");
    eid_cbor_write_text_slice(&buf, eid_slice_text("\xe6\xb0\xb4"));
    eid_cbor_write_bool(&buf, false);
    eid_cbor_write_bool(&buf, true);
    eid_cbor_write_null(&buf);
    eid_cbor_write_map(&buf, 1);
    eid_cbor_write_text(&buf, "a");
    eid_cbor_write_uint(&buf, 1);
    tu_assert_hex(buf.data, buf.len,
                  "89404401020304606449455446"
                  "63e6b0b4"
                  "f4f5f6"
                  "a1616101");

    static const eid_cbor_kind kinds[] = {EID_CBOR_ARRAY, EID_CBOR_BYTES, EID_CBOR_BYTES, EID_CBOR_TEXT,
                                          EID_CBOR_TEXT,  EID_CBOR_TEXT,  EID_CBOR_FALSE, EID_CBOR_TRUE,
                                          EID_CBOR_NULL,  EID_CBOR_MAP,   EID_CBOR_TEXT,  EID_CBOR_UINT};
    eid_cbor reader;
    eid_cbor_init(&reader, eid_buf_slice(&buf), true);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        eid_cbor_item item;
        tu_assert_ok(eid_cbor_next(&reader, &item));
        assert_int_equal(item.kind, kinds[i]);
        if (i == 0)
            assert_int_equal(item.number, 9);
        if (i == 2)
            assert_true(eid_slice_is(item.bytes, "\x01\x02\x03\x04"));
        if (i == 4)
            assert_true(eid_slice_is(item.bytes, "IETF"));
        if (i == 9)
            assert_int_equal(item.number, 1);
    }
    tu_assert_ok(eid_cbor_end(&reader));
    eid_cbor_item item;
    tu_assert_fails(eid_cbor_next(&reader, &item), EID_ERR_TRUNCATED);
    eid_buf_free(&buf);
}

/* Lengths of strings at each width of the head. */
static void string_lengths(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        const char *head;
    } cases[] = {{23, "57"},      {24, "5818"},      {255, "58ff"},
                 {256, "590100"}, {65535, "59ffff"}, {65536, "5a00010000"}};
    static uint8_t content[65536];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eid_buf buf;
        eid_cbor_item item;
        eid_buf_init(&buf, 70000);
        eid_cbor_write_bytes(&buf, content, cases[i].len);
        tu_assert_hex(buf.data, strlen(cases[i].head) / 2, cases[i].head);
        assert_int_equal(buf.len, strlen(cases[i].head) / 2 + cases[i].len);
        tu_assert_ok(read_one(buf.data, buf.len, true, &item));
        assert_int_equal(item.bytes.len, cases[i].len);
        tu_assert_fails(read_one(buf.data, buf.len - 1, true, &item), EID_ERR_TRUNCATED);
        eid_buf_free(&buf);
    }
}

static void refused_forms(void **state)
{
    (void)state;
    static const struct {
        const char *hex;
        eid_status status;
        const char *what;
    } cases[] = {
        {"", EID_ERR_TRUNCATED, "nothing"},
        {"18", EID_ERR_TRUNCATED, "a head without its number"},
        {"1901", EID_ERR_TRUNCATED, "half a number"},
        {"1a000000", EID_ERR_TRUNCATED, "three of four bytes"},
        {"1b00000000000000", EID_ERR_TRUNCATED, "seven of eight bytes"},
        {"1c", EID_ERR_SYNTAX, "reserved 28"},
        {"1d", EID_ERR_SYNTAX, "reserved 29"},
        {"1e", EID_ERR_SYNTAX, "reserved 30"},
        {"1f", EID_ERR_SYNTAX, "indefinite integer"},
        {"3f", EID_ERR_SYNTAX, "indefinite negative"},
        {"5f", EID_ERR_SYNTAX, "indefinite bytes"},
        {"5f42010243030405ff", EID_ERR_SYNTAX, "indefinite bytes in chunks"},
        {"7f", EID_ERR_SYNTAX, "indefinite text"},
        {"9f", EID_ERR_SYNTAX, "indefinite array"},
        {"9fff", EID_ERR_SYNTAX, "empty indefinite array"},
        {"bf", EID_ERR_SYNTAX, "indefinite map"},
        {"df", EID_ERR_SYNTAX, "indefinite tag"},
        {"ff", EID_ERR_SYNTAX, "break"},
        {"e0", EID_ERR_SYNTAX, "simple value 0"},
        {"f3", EID_ERR_SYNTAX, "simple value 19"},
        {"f7", EID_ERR_SYNTAX, "undefined"},
        {"f814", EID_ERR_SYNTAX, "false in two bytes"},
        {"f820", EID_ERR_SYNTAX, "simple value 32"},
        {"f8ff", EID_ERR_SYNTAX, "simple value 255"},
        {"f93c00", EID_ERR_SYNTAX, "half float"},
        {"fa3f800000", EID_ERR_SYNTAX, "single float"},
        {"fb3ff0000000000000", EID_ERR_SYNTAX, "double float"},
        {"fb7ff8000000000000", EID_ERR_SYNTAX, "not a number"},
        {"c000", EID_ERR_SYNTAX, "tag 0"},
        {"c11a514b67b0", EID_ERR_SYNTAX, "tag 1"},
        {"c249010000000000000000", EID_ERR_SYNTAX, "big number"},
        {"d9d9f700", EID_ERR_SYNTAX, "self-described"},
        {"d82a", EID_ERR_TRUNCATED, "tag 42 alone"},
        {"d82af6", EID_ERR_WRONG_TYPE, "tag 42 over null"},
        {"d82a01", EID_ERR_WRONG_TYPE, "tag 42 over a number"},
        {"d82a6100", EID_ERR_WRONG_TYPE, "tag 42 over text"},
        {"d82a40", EID_ERR_INVALID_ID, "tag 42 over no bytes"},
        {"d82a4100", EID_ERR_INVALID_ID, "tag 42 over the prefix alone"},
        {"d82a4101", EID_ERR_INVALID_ID, "tag 42 over another prefix"},
        {"d82a450101550000", EID_ERR_INVALID_ID, "an ID without its prefix"},
        {"4401", EID_ERR_TRUNCATED, "short bytes"},
        {"6461", EID_ERR_TRUNCATED, "short text"},
        {"61ff", EID_ERR_UTF8, "text that is not UTF-8"},
        {"62c328", EID_ERR_UTF8, "a broken character"},
        {"63eda080", EID_ERR_UTF8, "a surrogate"},
        {"5bffffffffffffffff", EID_ERR_TRUNCATED, "bytes of 2^64 - 1"},
        {"7bffffffffffffffff", EID_ERR_TRUNCATED, "text of 2^64 - 1"},
        {"9bffffffffffffffff", EID_ERR_TRUNCATED, "array of 2^64 - 1"},
        {"bbffffffffffffffff", EID_ERR_TRUNCATED, "map of 2^64 - 1"},
        {"bb8000000000000000", EID_ERR_TRUNCATED, "map whose double is 2^64"},
        {"8100", EID_ERR_TRAILING_DATA, "the item of an array is an item of its own"},
        {"81", EID_ERR_TRUNCATED, "an array longer than the rest"},
        {"820000", EID_ERR_TRAILING_DATA, "two items"},
        {"8200", EID_ERR_TRUNCATED, "two items announced, one byte left"},
        {"a100", EID_ERR_TRUNCATED, "one pair announced, one byte left"},
        {"a2000000", EID_ERR_TRUNCATED, "two pairs announced, three bytes left"},
        {"0000", EID_ERR_TRAILING_DATA, "two numbers"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int strict = 0; strict < 2; strict++) {
            eid_cbor_item item;
            eid_status status = read_hex(cases[i].hex, strict != 0, &item);
            if (status != cases[i].status)
                fail_msg("%s: %s, wanted %s", cases[i].what, eid_status_name(status),
                         eid_status_name(cases[i].status));
        }
    }
}

/* Longer heads than needed: canonical input never has them, Rust readers take them. */
static void long_heads(void **state)
{
    (void)state;
    static const struct {
        const char *hex;
        eid_cbor_kind kind;
        uint64_t number;
    } cases[] = {
        {"1800", EID_CBOR_UINT, 0},
        {"1817", EID_CBOR_UINT, 23},
        {"190000", EID_CBOR_UINT, 0},
        {"1900ff", EID_CBOR_UINT, 255},
        {"1a0000ffff", EID_CBOR_UINT, 65535},
        {"1b00000000ffffffff", EID_CBOR_UINT, 4294967295},
        {"1b0000000000000005", EID_CBOR_UINT, 5},
        {"3800", EID_CBOR_NEGATIVE, 0},
        {"390017", EID_CBOR_NEGATIVE, 23},
        {"580161", EID_CBOR_BYTES, 1},
        {"59000161", EID_CBOR_BYTES, 1},
        {"780161", EID_CBOR_TEXT, 1},
        {"9800", EID_CBOR_ARRAY, 0},
        {"b800", EID_CBOR_MAP, 0},
        {"d9002a450001550000", EID_CBOR_ID, 42},
        {"da0000002a450001550000", EID_CBOR_ID, 42},
        {"d82a58050001550000", EID_CBOR_ID, 42},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eid_cbor_item item;
        tu_assert_fails(read_hex(cases[i].hex, true, &item), EID_ERR_NOT_CANONICAL);
        tu_assert_ok(read_hex(cases[i].hex, false, &item));
        assert_int_equal(item.kind, cases[i].kind);
        if (item.kind != EID_CBOR_ID)
            assert_true(item.number == cases[i].number);
    }
    /* Bytes behind the digest are dropped by the tolerant reader and refused by the strict one. */
    eid_cbor_item item;
    eid_id wanted;
    tu_assert_ok(eid_id_from_binary(eid_slice_of("\x01\x55\x00\x00", 4), &wanted));
    tu_assert_ok(read_hex("d82a4700015500000000", false, &item));
    assert_true(eid_id_equal(&item.id, &wanted));
    tu_assert_fails(read_hex("d82a4700015500000000", true, &item), EID_ERR_INVALID_ID);
}

static void identifiers(void **state)
{
    (void)state;
    uint8_t digest[32];
    memset(digest, 0xab, sizeof digest);
    eid_id id, empty;
    eid_buf buf;
    eid_cbor_item item;
    memset(&empty, 0, sizeof empty);
    eid_id_from_digest(EID_CODEC_DAG_CBOR, digest, &id);
    eid_buf_init(&buf, 256);
    eid_cbor_write_id(&buf, &id);
    tu_assert_hex(buf.data, buf.len,
                  "d82a58250001711e20abababababababababababababababababababababababababababababababab");
    tu_assert_ok(read_one(buf.data, buf.len, true, &item));
    assert_int_equal(item.kind, EID_CBOR_ID);
    assert_memory_equal(&item.id, &id, sizeof id);
    for (size_t len = 0; len < buf.len; len++)
        assert_int_not_equal(read_one(buf.data, len, false, &item), EID_OK);
    eid_buf_reset(&buf);
    eid_cbor_write_id(&buf, &empty);
    tu_assert_hex(buf.data, buf.len, "f6");
    eid_buf_free(&buf);
}

static void expecting(void **state)
{
    (void)state;
    eid_cbor reader;
    eid_cbor_item item;
    memset(&item, 0x5a, sizeof item);
    eid_cbor_item before = item;
    eid_cbor_init(&reader, eid_slice_of("\x82\x61\x61\x20", 4), true);
    tu_assert_fails(eid_cbor_expect(&reader, EID_CBOR_MAP, "the entry", &item), EID_ERR_WRONG_TYPE);
    assert_non_null(strstr(eid_last_error(), "the entry must be a map, not an array"));
    assert_int_equal(reader.input.len, 4);
    assert_memory_equal(&item, &before, sizeof item);
    tu_assert_ok(eid_cbor_expect(&reader, EID_CBOR_ARRAY, "the entry", &item));
    tu_assert_fails(eid_cbor_end(&reader), EID_ERR_TRAILING_DATA);
    tu_assert_ok(eid_cbor_expect(&reader, EID_CBOR_TEXT, "the name", &item));
    tu_assert_fails(eid_cbor_expect(&reader, EID_CBOR_UINT, "the height", &item), EID_ERR_WRONG_TYPE);
    assert_non_null(
        strstr(eid_last_error(), "the height must be an unsigned integer, not a negative integer"));
    tu_assert_ok(eid_cbor_expect(&reader, EID_CBOR_NEGATIVE, "the height", &item));
    tu_assert_fails(eid_cbor_expect(&reader, EID_CBOR_NULL, "the rest", &item), EID_ERR_TRUNCATED);
    tu_assert_ok(eid_cbor_end(&reader));

    /* Each kind has its name. */
    static const struct {
        const char *hex;
        const char *name;
    } names[] = {{"00", "an unsigned integer"},
                 {"40", "a byte string"},
                 {"60", "a text string"},
                 {"80", "an array"},
                 {"a0", "a map"},
                 {"f4", "false"},
                 {"f5", "true"},
                 {"f6", "null"},
                 {"d82a450001550000", "an identifier"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t len;
        uint8_t *bytes = tu_hex_decode(names[i].hex, &len);
        eid_cbor_init(&reader, eid_slice_of(bytes, len), true);
        tu_assert_fails(eid_cbor_expect(&reader, EID_CBOR_NEGATIVE, "it", &item), EID_ERR_WRONG_TYPE);
        assert_non_null(strstr(eid_last_error(), names[i].name));
        free(bytes);
    }
}

static eid_status skip_hex(const char *hex, size_t *left)
{
    size_t len;
    uint8_t *bytes = tu_hex_decode(hex, &len);
    eid_cbor reader;
    eid_cbor_init(&reader, eid_slice_of(bytes, len), false);
    eid_status status = eid_cbor_skip(&reader);
    if (status != EID_OK)
        assert_int_equal(reader.input.len, len);
    *left = reader.input.len;
    free(bytes);
    return status;
}

static void skipping(void **state)
{
    (void)state;
    static const char *const items[] = {
        "00",
        "3863",
        "40",
        "43010203",
        "60",
        "6161",
        "80",
        "a0",
        "f4",
        "f6",
        "8101",
        "83010203",
        "a10102",
        "a2616101616202",
        "828080",
        "8281808180",
        "a161618201a16162f6",
        "84a0a0a0a0",
        "d82a450001550000",
        "82d82a45000155000080",
        "8180",
        "81818180",
    };
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        char hex[128];
        size_t left;
        tu_assert_ok(skip_hex(items[i], &left));
        assert_int_equal(left, 0);
        /* What follows stays. */
        strcpy(hex, items[i]);
        strcat(hex, "0a0b0c");
        tu_assert_ok(skip_hex(hex, &left));
        assert_int_equal(left, 3);
        /* Each cut is noticed. */
        for (size_t len = 0; len < strlen(items[i]); len += 2) {
            hex[len] = '\0';
            memcpy(hex, items[i], len);
            assert_int_not_equal(skip_hex(hex, &left), EID_OK);
        }
    }
    size_t left;
    tu_assert_fails(skip_hex("82f7", &left), EID_ERR_TRUNCATED);
    tu_assert_fails(skip_hex("82f700", &left), EID_ERR_SYNTAX);
    tu_assert_fails(skip_hex("8161ff", &left), EID_ERR_UTF8);
}

static void skipping_is_bounded(void **state)
{
    (void)state;
    /* Arrays of one and maps whose value is the next level. */
    for (int maps = 0; maps < 2; maps++) {
        for (size_t depth = EID_LIMIT_CBOR_DEPTH - 1; depth <= EID_LIMIT_CBOR_DEPTH + 1; depth++) {
            eid_buf buf;
            eid_cbor reader;
            eid_buf_init(&buf, 1 << 16);
            for (size_t i = 1; i < depth; i++) {
                if (maps) {
                    eid_cbor_write_map(&buf, 1);
                    eid_cbor_write_text(&buf, "k");
                } else {
                    eid_cbor_write_array(&buf, 1);
                }
            }
            eid_cbor_write_array(&buf, 0);
            eid_cbor_init(&reader, eid_buf_slice(&buf), true);
            if (depth <= EID_LIMIT_CBOR_DEPTH) {
                tu_assert_ok(eid_cbor_skip(&reader));
                tu_assert_ok(eid_cbor_end(&reader));
            } else {
                tu_assert_fails(eid_cbor_skip(&reader), EID_ERR_DEPTH);
                assert_int_equal(reader.input.len, buf.len);
            }
            eid_buf_free(&buf);
        }
    }
    /* A megabyte of opening heads. */
    uint8_t *bomb = malloc(1 << 20);
    assert_non_null(bomb);
    memset(bomb, 0x81, 1 << 20);
    eid_cbor reader;
    eid_cbor_init(&reader, eid_slice_of(bomb, 1 << 20), true);
    tu_assert_fails(eid_cbor_skip(&reader), EID_ERR_DEPTH);
    /* A wide one is no problem: closed levels do not count. */
    memset(bomb, 0x80, 1 << 20);
    memcpy(bomb, "\x9a\x00\x0f\xff\xfb", 5);
    eid_cbor_init(&reader, eid_slice_of(bomb, 1 << 20), true);
    tu_assert_ok(eid_cbor_skip(&reader));
    tu_assert_ok(eid_cbor_end(&reader));
    free(bomb);
}

/* ---- random items: written, read back, skipped, damaged ---- */

static void write_random(eid_buf *buf, tu_random *random, int depth)
{
    uint8_t bytes[40];
    uint64_t count = tu_random_below(random, 4);
    eid_id id;
    switch (tu_random_below(random, depth == 0 ? 6 : 8)) {
    case 0:
        eid_cbor_write_int(buf, (int64_t)(tu_random_next(random) >> tu_random_below(random, 64)));
        break;
    case 1:
        eid_cbor_write_int(buf, -(int64_t)(tu_random_next(random) >> (1 + tu_random_below(random, 63))));
        break;
    case 2:
        tu_random_fill(random, bytes, sizeof bytes);
        eid_cbor_write_bytes(buf, bytes, (size_t)tu_random_below(random, sizeof bytes));
        break;
    case 3:
        eid_cbor_write_text(buf, tu_random_below(random, 2) == 0 ? "text \xc3\xa9"
                                                                 : "a text of more than 23 bytes");
        break;
    case 4:
        if (tu_random_below(random, 2) == 0)
            eid_cbor_write_bool(buf, tu_random_below(random, 2) == 0);
        else
            eid_cbor_write_null(buf);
        break;
    case 5:
        tu_random_fill(random, bytes, 32);
        eid_id_from_digest(tu_random_below(random, 300), bytes, &id);
        eid_cbor_write_id(buf, &id);
        break;
    case 6:
        eid_cbor_write_array(buf, (size_t)count);
        for (uint64_t i = 0; i < count; i++)
            write_random(buf, random, depth - 1);
        break;
    default:
        eid_cbor_write_map(buf, (size_t)count);
        for (uint64_t i = 0; i < 2 * count; i++)
            write_random(buf, random, depth - 1);
        break;
    }
}

static void random_items(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(31);
    for (size_t round = 0; round < 4000; round++) {
        eid_buf buf, again;
        eid_cbor reader;
        eid_cbor_item item;
        eid_buf_init(&buf, 1 << 20);
        eid_buf_init(&again, 1 << 20);
        write_random(&buf, &random, 5);
        tu_assert_ok(eid_buf_status(&buf));
        eid_cbor_init(&reader, eid_buf_slice(&buf), true);
        while (reader.input.len > 0) {
            tu_assert_ok(eid_cbor_next(&reader, &item));
            tc_write_item(&again, &item);
        }
        assert_true(eid_slice_equal(eid_buf_slice(&buf), eid_buf_slice(&again)));
        eid_cbor_init(&reader, eid_buf_slice(&buf), true);
        tu_assert_ok(eid_cbor_skip(&reader));
        tu_assert_ok(eid_cbor_end(&reader));
        /* Every cut of it ends too early. */
        for (size_t len = 0; len < buf.len; len++) {
            eid_cbor_init(&reader, eid_slice_of(buf.data, len), true);
            eid_status status = eid_cbor_skip(&reader);
            assert_true(status == EID_ERR_TRUNCATED);
        }
        /* What the strict reader takes is canonical, whatever was damaged. */
        for (size_t hits = 0; hits < 4; hits++) {
            buf.data[tu_random_below(&random, buf.len)] ^= (uint8_t)(1u << tu_random_below(&random, 8));
            eid_buf_reset(&again);
            eid_cbor_init(&reader, eid_buf_slice(&buf), true);
            while (eid_cbor_next(&reader, &item) == EID_OK)
                tc_write_item(&again, &item);
            assert_memory_equal(again.data == NULL ? buf.data : again.data, buf.data, again.len);
        }
        eid_buf_free(&buf);
        eid_buf_free(&again);
    }
}

static eid_status write_some(void *ctx)
{
    eid_buf buf;
    eid_buf_init(&buf, 4096);
    eid_cbor_write_bytes(&buf, ctx, 300);
    eid_cbor_write_text(&buf, "x");
    eid_status status = eid_buf_status(&buf);
    eid_buf_free(&buf);
    return status;
}

static void memory_failures(void **state)
{
    (void)state;
    uint8_t bytes[300] = {0};
    tu_alloc_install();
    assert_true(tu_alloc_fault_loop(write_some, bytes) >= 1);
    tu_alloc_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers),
        cmocka_unit_test(other_values),
        cmocka_unit_test(string_lengths),
        cmocka_unit_test(refused_forms),
        cmocka_unit_test(long_heads),
        cmocka_unit_test(identifiers),
        cmocka_unit_test(expecting),
        cmocka_unit_test(skipping),
        cmocka_unit_test(skipping_is_bounded),
        cmocka_unit_test(random_items),
        cmocka_unit_test(memory_failures),
    };
    return cmocka_run_group_tests_name("codec-cbor", tests, NULL, NULL);
}
