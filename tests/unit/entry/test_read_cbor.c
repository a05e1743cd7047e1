/* SPDX-License-Identifier: Apache-2.0 */
/* What only the DAG-CBOR reader meets: heads that are too long, cut and damaged bytes, counts that lie. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/cbor.h"
#include "entry_test.h"

/* A copy in a block of exactly its size, so that a sanitizer sees a read behind the end. */
static eid_status read_exact(const uint8_t *data, size_t len, eid_entry **out)
{
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    assert_non_null(copy);
    if (len > 0)
        memcpy(copy, data, len);
    eid_status status = eid_entry_from_cbor(copy, len, out);
    free(copy);
    return status;
}

typedef struct samples {
    eid_entry *entries[4];
    size_t count;
} samples;

static samples make_samples(void)
{
    samples made = {{et_full_entry(), et_small_entry(), et_from_text(CHILD), NULL}, 4};
    made.entries[3] =
        et_from_text("{\"tree\":{\"parents\":[]},\"subtrees\":[{\"name\":\"_root\",\"parents\":[],"
                     "\"data\":[34,34]}]," NO_SIG "}");
    return made;
}

static void free_samples(samples *made)
{
    for (size_t i = 0; i < made->count; i++)
        eid_entry_unref(made->entries[i]);
}

static void test_round_trip(void **state)
{
    (void)state;
    samples made = make_samples();
    for (size_t i = 0; i < made.count; i++) {
        et_assert_consistent(made.entries[i]);
        eid_entry *again = et_from_bytes(made.entries[i]->cbor, made.entries[i]->cbor_len);
        assert_true(eid_sigkey_equal(&again->sigkey, &made.entries[i]->sigkey));
        assert_int_equal(again->is_root, made.entries[i]->is_root);
        assert_int_equal(again->key_end, made.entries[i]->key_end);
        assert_int_equal(again->sig_end, made.entries[i]->sig_end);
        eid_entry_unref(again);
    }
    free_samples(&made);
}

static void test_truncated(void **state)
{
    (void)state;
    samples made = make_samples();
    for (size_t i = 0; i < made.count; i++) {
        for (size_t len = 0; len < made.entries[i]->cbor_len; len++) {
            eid_entry *entry = NULL;
            eid_status status = read_exact(made.entries[i]->cbor, len, &entry);
            if (status == EID_OK || entry != NULL)
                fail_msg("sample %zu cut to %zu bytes was read", i, len);
            if (status != EID_ERR_TRUNCATED)
                fail_msg("sample %zu cut to %zu bytes: %s (%s)", i, len, eid_status_name(status),
                         eid_last_error());
        }
    }
    free_samples(&made);
}

static void test_trailing(void **state)
{
    (void)state;
    samples made = make_samples();
    for (size_t i = 0; i < made.count; i++) {
        size_t len = made.entries[i]->cbor_len;
        uint8_t *longer = malloc(len + 1);
        assert_non_null(longer);
        memcpy(longer, made.entries[i]->cbor, len);
        for (unsigned byte = 0; byte < 256; byte++) {
            longer[len] = (uint8_t)byte;
            eid_entry *entry = NULL;
            tu_assert_fails(read_exact(longer, len + 1, &entry), EID_ERR_TRAILING_DATA);
            assert_null(entry);
        }
        free(longer);
    }
    free_samples(&made);
}

/* Canonical bytes have no redundancy: whatever bit changes, either they can not be read or they are another
 * entry. */
static void test_bit_flips(void **state)
{
    (void)state;
    samples made = make_samples();
    size_t read = 0;
    for (size_t i = 0; i < made.count; i++) {
        size_t len = made.entries[i]->cbor_len;
        uint8_t *changed = malloc(len);
        assert_non_null(changed);
        memcpy(changed, made.entries[i]->cbor, len);
        for (size_t bit = 0; bit < 8 * len; bit++) {
            changed[bit / 8] ^= (uint8_t)(1u << bit % 8);
            eid_entry *entry = NULL;
            if (read_exact(changed, len, &entry) == EID_OK) {
                if (eid_id_equal(eid_entry_id(entry), eid_entry_id(made.entries[i])))
                    fail_msg("sample %zu with bit %zu changed has the same ID", i, bit);
                et_assert_consistent(entry);
                eid_entry_unref(entry);
                read++;
            }
            changed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        free(changed);
    }
    /* Payloads, names, digests and heights can be changed and still be read. */
    assert_true(read > 1000);
    free_samples(&made);
}

/* Damage of more than a bit: bytes overwritten, removed, doubled, exchanged between two entries. */
static void test_random_damage(void **state)
{
    (void)state;
    samples made = make_samples();
    tu_random random = tu_random_seeded(1);
    for (unsigned round = 0; round < 20000; round++) {
        const eid_entry *from = made.entries[tu_random_below(&random, made.count)];
        const eid_entry *other = made.entries[tu_random_below(&random, made.count)];
        uint8_t *damaged = malloc(2 * from->cbor_len + other->cbor_len);
        assert_non_null(damaged);
        size_t cut = tu_random_below(&random, from->cbor_len);
        size_t len = cut;
        memcpy(damaged, from->cbor, cut);
        switch (tu_random_below(&random, 4)) {
        case 0:
            memcpy(damaged, from->cbor, from->cbor_len);
            len = from->cbor_len;
            tu_random_fill(&random, damaged + cut, 1 + tu_random_below(&random, from->cbor_len - cut));
            break;
        case 1: {
            size_t skipped = cut + tu_random_below(&random, from->cbor_len - cut);
            memcpy(damaged + len, from->cbor + skipped, from->cbor_len - skipped);
            len += from->cbor_len - skipped;
            break;
        }
        case 2: {
            size_t start = tu_random_below(&random, cut + 1);
            memcpy(damaged + len, from->cbor + start, from->cbor_len - start);
            len += from->cbor_len - start;
            break;
        }
        default: {
            size_t start = tu_random_below(&random, other->cbor_len);
            memcpy(damaged + len, other->cbor + start, other->cbor_len - start);
            len += other->cbor_len - start;
            break;
        }
        }
        eid_entry *entry = NULL;
        if (read_exact(damaged, len, &entry) == EID_OK)
            et_assert_consistent(entry);
        else
            assert_null(entry);
        eid_entry_unref(entry);
        free(damaged);
    }
    free_samples(&made);
}

/* ---- heads that are longer than needed ---- */

static void write_wide_head(eid_buf *buf, uint8_t major, uint64_t value, unsigned size)
{
    eid_buf_append_byte(buf, (uint8_t)((unsigned)major << 5 | (24 + size)));
    for (unsigned i = 1u << size; i > 0; i--)
        eid_buf_append_byte(buf, (uint8_t)(value >> (8 * (i - 1))));
}

/* Rewrites canonical bytes so that every head with a count or number takes 2^size bytes behind the first,
 * where it was shorter. */
static void widen(eid_buf *out, const eid_entry *entry, unsigned size)
{
    const uint8_t *at = entry->cbor;
    const uint8_t *end = at + entry->cbor_len;
    while (at < end) {
        uint8_t major = *at >> 5;
        uint8_t info = *at & 31;
        at++;
        uint64_t value = info;
        unsigned bytes = info < 24 ? 0 : 1u << (info - 24);
        if (bytes > 0)
            value = 0;
        for (unsigned i = 0; i < bytes; i++)
            value = value << 8 | *at++;
        if (major == 7) {
            eid_buf_append_byte(out, (uint8_t)(major << 5 | info));
            continue;
        }
        unsigned wide = size;
        while (bytes > 1u << wide)
            wide++;
        write_wide_head(out, major, value, wide);
        if (major == 2 || major == 3) {
            eid_buf_append(out, at, (size_t)value);
            at += value;
        }
    }
}

static void test_wide_heads(void **state)
{
    (void)state;
    samples made = make_samples();
    for (size_t i = 0; i < made.count; i++) {
        for (unsigned size = 0; size <= 3; size++) {
            eid_buf wide;
            eid_buf_init(&wide, EID_LIMIT_ENTRY_BYTES);
            widen(&wide, made.entries[i], size);
            tu_assert_ok(eid_buf_status(&wide));
            assert_true(wide.len > made.entries[i]->cbor_len);
            eid_entry *entry = NULL;
            tu_assert_ok(read_exact(wide.data, wide.len, &entry));
            assert_true(eid_id_equal(&entry->id, &made.entries[i]->id));
            assert_int_equal(entry->cbor_len, made.entries[i]->cbor_len);
            assert_memory_equal(entry->cbor, made.entries[i]->cbor, entry->cbor_len);
            eid_entry_unref(entry);
            eid_buf_free(&wide);
        }
    }
    free_samples(&made);
}

/* ---- bytes that lie ---- */

static void test_refused_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        const char *hex;
        eid_status status;
    } cases[] = {
        {"a map of 2^64 - 1 pairs", "bbffffffffffffffff", EID_ERR_TRUNCATED},
        {"a map of 2^32 pairs", "bb0000000100000000", EID_ERR_TRUNCATED},
        {"2^60 subtrees",
         "a1687375627472656573"
         "9b1000000000000000",
         EID_ERR_TRUNCATED},
        {"2^32 - 1 parents",
         "a16474726565a167706172656e7473"
         "9affffffff",
         EID_ERR_TRUNCATED},
        {"a name of 2^40 bytes",
         "a1687375627472656573"
         "81a1646e616d65"
         "7b0000010000000000",
         EID_ERR_TRUNCATED},
        {"a key that is a number", "a100a0", EID_ERR_WRONG_TYPE},
        {"a key that is bytes", "a14474726565a0", EID_ERR_WRONG_TYPE},
        {"an unknown tag under an unknown key", "a16178c100", EID_ERR_SYNTAX},
        {"undefined", "f7", EID_ERR_SYNTAX},
        {"an identifier as the entry",
         "d82a582500"
         "01711e20b1f76dbb019b5336b8a4dacb97e2e67341bf5a4ba0650d998c322567acbe7104",
         EID_ERR_WRONG_TYPE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t len;
        uint8_t *data = tu_hex_decode(cases[i].hex, &len);
        eid_entry *entry = NULL;
        eid_status status = read_exact(data, len, &entry);
        if (status != cases[i].status || entry != NULL)
            fail_msg("%s: %s (%s), wanted %s", cases[i].what, eid_status_name(status), eid_last_error(),
                     eid_status_name(cases[i].status));
        free(data);
    }
}

/* An unknown field may nest as deep as the format allows and no deeper. */
static void test_depth(void **state)
{
    (void)state;
    for (unsigned depth = EID_LIMIT_CBOR_DEPTH - 8; depth < EID_LIMIT_CBOR_DEPTH + 8; depth++) {
        eid_buf buf;
        eid_buf_init(&buf, EID_LIMIT_ENTRY_BYTES);
        eid_cbor_write_map(&buf, 4);
        eid_cbor_write_text(&buf, "x");
        for (unsigned i = 0; i < depth; i++)
            eid_cbor_write_array(&buf, 1);
        eid_cbor_write_uint(&buf, 0);
        eid_entry *child = et_from_text(CHILD);
        eid_buf_append(&buf, child->cbor + 1, child->cbor_len - 1);
        eid_entry *entry = NULL;
        eid_status status = read_exact(buf.data, buf.len, &entry);
        assert_int_equal(status, depth <= EID_LIMIT_CBOR_DEPTH ? EID_OK : EID_ERR_DEPTH);
        if (status == EID_OK)
            assert_true(eid_id_equal(&entry->id, &child->id));
        eid_entry_unref(entry);
        eid_entry_unref(child);
        eid_buf_free(&buf);
    }
}

static void test_input_limit(void **state)
{
    (void)state;
    uint8_t *zeros = calloc(EID_LIMIT_ENTRY_BYTES + 1, 1);
    assert_non_null(zeros);
    eid_entry *entry = NULL;
    tu_assert_fails(eid_entry_from_cbor(zeros, EID_LIMIT_ENTRY_BYTES + 1, &entry), EID_ERR_LIMIT);
    tu_assert_fails(eid_entry_from_cbor(zeros, EID_LIMIT_ENTRY_BYTES, &entry), EID_ERR_WRONG_TYPE);
    tu_assert_fails(eid_entry_from_cbor(NULL, 0, &entry), EID_ERR_TRUNCATED);
    assert_null(entry);
    free(zeros);
}

/* ---- memory ---- */

static eid_status read_and_drop(void *ctx)
{
    const eid_entry *sample = ctx;
    eid_entry *entry = NULL;
    eid_status status = eid_entry_from_cbor(sample->cbor, sample->cbor_len, &entry);
    assert_int_equal(status == EID_OK, entry != NULL);
    eid_entry_unref(entry);
    return status;
}

static void test_memory_failures(void **state)
{
    (void)state;
    eid_entry *sample = et_full_entry();
    assert_true(tu_alloc_fault_loop(read_and_drop, sample) >= 4);
    eid_entry_unref(sample);
}

/* An entry is one block, and what it costs to read does not depend on the number of its parts. */
static void test_few_allocations(void **state)
{
    (void)state;
    eid_entry *sample = et_full_entry();
    tu_alloc_install();
    eid_entry *entry = NULL;
    tu_assert_ok(eid_entry_from_cbor(sample->cbor, sample->cbor_len, &entry));
    assert_int_equal(tu_alloc_live(), 1);
    assert_true(tu_alloc_count() <= 8);
    eid_entry_unref(entry);
    assert_int_equal(tu_alloc_live(), 0);
    tu_alloc_remove();
    eid_entry_unref(sample);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),      cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_trailing),        cmocka_unit_test(test_bit_flips),
        cmocka_unit_test(test_random_damage),   cmocka_unit_test(test_wide_heads),
        cmocka_unit_test(test_refused_bytes),   cmocka_unit_test(test_depth),
        cmocka_unit_test(test_input_limit),     cmocka_unit_test(test_memory_failures),
        cmocka_unit_test(test_few_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
