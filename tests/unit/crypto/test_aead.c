/* SPDX-License-Identifier: Apache-2.0 */
/* AES-256-GCM: published cases, every bit, sealed pieces and their nonces, several threads, failing memory. The
 * recorded cases of the formats are in tests/vectors. */
#include "support/testutil.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/aead.h"

static eid_aead_key *key_of(const char *hex)
{
    size_t len;
    uint8_t *bytes = tu_hex_decode(hex, &len);
    eid_aead_key *key;

    assert_int_equal(len, EID_AEAD_KEY);
    tu_assert_ok(eid_aead_key_new(bytes, &key));
    free(bytes);
    return key;
}

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define ONE   "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"

/* McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B, test cases 13 to 15. */
static const struct {
    const char *key, *nonce, *plain, *sealed;
} published[] = {
    {ZEROS, "000000000000000000000000", "", "530f8afbc74536b9a963b4f1c4cb738b"},
    {ZEROS, "000000000000000000000000", "00000000000000000000000000000000",
     "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
    {ONE, "cafebabefacedbaddecaf888",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
     "b094dac5d93471bdec1a502270e3cc6c"},
};

static void published_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        eid_aead_key *key = key_of(published[i].key);
        size_t len, nonce_len, sealed_len;
        uint8_t *plain = tu_hex_decode(published[i].plain, &len);
        uint8_t *nonce = tu_hex_decode(published[i].nonce, &nonce_len);
        uint8_t *sealed = tu_hex_decode(published[i].sealed, &sealed_len), *out = malloc(len + EID_AEAD_TAG);

        eid_aead_encrypt(key, nonce, eid_slice_of(plain, len), out);
        tu_assert_hex(out, len + EID_AEAD_TAG, published[i].sealed);
        memset(out, 0xee, len + EID_AEAD_TAG);
        tu_assert_ok(eid_aead_decrypt(key, nonce, eid_slice_of(sealed, sealed_len), out));
        tu_assert_hex(out, len, published[i].plain);
        /* In place. */
        memcpy(out, plain, len);
        eid_aead_encrypt(key, nonce, eid_slice_of(out, len), out);
        tu_assert_hex(out, len + EID_AEAD_TAG, published[i].sealed);
        tu_assert_ok(eid_aead_decrypt(key, nonce, eid_slice_of(out, len + EID_AEAD_TAG), out));
        tu_assert_hex(out, len, published[i].plain);
        free(plain);
        free(nonce);
        free(sealed);
        free(out);
        eid_aead_key_free(key);
    }
    eid_aead_key_free(NULL);
}

static void every_bit_counts(void **state)
{
    (void)state;
    eid_aead_key *key = key_of(ONE);
    uint8_t plain[21] = "twenty bytes of text", back[sizeof plain];
    eid_buf piece;

    eid_buf_init(&piece, 4096);
    eid_aead_seal(key, eid_slice_of(plain, sizeof plain), &piece);
    tu_assert_ok(eid_buf_status(&piece));
    assert_int_equal(piece.len, EID_AEAD_NONCE + sizeof plain + EID_AEAD_TAG);
    eid_slice sealed = eid_slice_of(piece.data + EID_AEAD_NONCE, piece.len - EID_AEAD_NONCE);
    for (size_t bit = 0; bit < 8 * piece.len; bit++) {
        piece.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        memset(back, 0xee, sizeof back);
        tu_assert_fails(eid_aead_decrypt(key, piece.data, sealed, back), EID_ERR_DECRYPTION);
        for (size_t i = 0; i < sizeof back; i++)
            assert_int_equal(back[i], 0);
        piece.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    tu_assert_ok(eid_aead_decrypt(key, piece.data, sealed, back));
    assert_memory_equal(back, plain, sizeof plain);
    for (size_t len = 0; len < sealed.len; len++)
        tu_assert_fails(eid_aead_decrypt(key, piece.data, eid_slice_of(sealed.data, len), back), EID_ERR_DECRYPTION);

    /* Another key, different in one bit. */
    for (size_t bit = 0; bit < 8 * EID_AEAD_KEY; bit += 37) {
        size_t len;
        uint8_t *bytes = tu_hex_decode(ONE, &len);
        eid_aead_key *other;
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        tu_assert_ok(eid_aead_key_new(bytes, &other));
        tu_assert_fails(eid_aead_decrypt(other, piece.data, sealed, back), EID_ERR_DECRYPTION);
        eid_aead_key_free(other);
        free(bytes);
    }
    eid_buf_free(&piece);
    eid_aead_key_free(key);
}

/* ---- Pieces ---- */

static void pieces_of_all_lengths_come_back(void **state)
{
    (void)state;
    eid_aead_key *key = key_of(ONE);
    tu_random random = tu_random_seeded(5);
    uint8_t plain[300];
    eid_buf piece, back;

    eid_buf_init(&piece, 4096);
    eid_buf_init(&back, 4096);
    tu_random_fill(&random, plain, sizeof plain);
    for (size_t len = 0; len < sizeof plain; len++) {
        eid_buf_reset(&piece);
        eid_buf_reset(&back);
        eid_buf_append_text(&back, "kept ");
        eid_aead_seal(key, eid_slice_of(plain, len), &piece);
        assert_int_equal(piece.len, len + 28);
        tu_assert_ok(eid_aead_unseal(key, eid_buf_slice(&piece), &back));
        assert_int_equal(back.len, len + 5);
        assert_memory_equal(back.data, "kept ", 5);
        assert_memory_equal(back.data + 5, plain, len);
    }
    eid_buf_free(&piece);
    eid_buf_free(&back);
    eid_aead_key_free(key);
}

static void short_and_damaged_pieces_leave_the_buffer_alone(void **state)
{
    (void)state;
    eid_aead_key *key = key_of(ONE);
    uint8_t nothing[64] = {0};
    eid_buf back, small;

    eid_buf_init(&back, 4096);
    eid_buf_append_text(&back, "kept");
    for (size_t len = 0; len <= sizeof nothing; len++) {
        tu_assert_fails(eid_aead_unseal(key, eid_slice_of(nothing, len), &back), EID_ERR_DECRYPTION);
        assert_int_equal(back.len, 4);
        assert_string_equal((const char *)back.data, "kept");
    }
    eid_buf_free(&back);

    /* More than the buffer may hold. */
    eid_buf_init(&small, 40);
    eid_aead_seal(key, eid_slice_of(nothing, 13), &small);
    tu_assert_fails(eid_buf_status(&small), EID_ERR_LIMIT);
    eid_buf_free(&small);
    eid_buf_init(&small, 40);
    eid_aead_seal(key, eid_slice_of(nothing, SIZE_MAX - 5), &small);
    tu_assert_fails(eid_buf_status(&small), EID_ERR_LIMIT);
    eid_buf_free(&small);
    eid_buf piece;
    eid_buf_init(&piece, 100);
    eid_buf_init(&small, 9);
    eid_aead_seal(key, eid_slice_of(nothing, 10), &piece);
    tu_assert_fails(eid_aead_unseal(key, eid_buf_slice(&piece), &small), EID_ERR_LIMIT);
    eid_buf_free(&piece);
    eid_buf_free(&small);
    eid_aead_key_free(key);
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, EID_AEAD_NONCE);
}

static void nonces_do_not_repeat(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    eid_aead_key *key = key_of(ONE);
    uint8_t *nonces = malloc(COUNT * EID_AEAD_NONCE);
    eid_buf piece;

    eid_buf_init(&piece, 4096);
    for (size_t i = 0; i < COUNT; i++) {
        eid_buf_reset(&piece);
        eid_aead_seal(key, eid_slice_text("same"), &piece);
        memcpy(nonces + i * EID_AEAD_NONCE, piece.data, EID_AEAD_NONCE);
    }
    qsort(nonces, COUNT, EID_AEAD_NONCE, by_bytes);
    for (size_t i = 1; i < COUNT; i++)
        assert_memory_not_equal(nonces + (i - 1) * EID_AEAD_NONCE, nonces + i * EID_AEAD_NONCE, EID_AEAD_NONCE);
    free(nonces);
    eid_buf_free(&piece);
    eid_aead_key_free(key);
}

/* ---- Threads and memory ---- */

static void *seal_and_unseal(void *shared)
{
    const eid_aead_key *key = shared;
    eid_buf piece, back;
    size_t good = 0;

    eid_buf_init(&piece, 4096);
    eid_buf_init(&back, 4096);
    for (size_t i = 0; i < 500; i++) {
        eid_buf_reset(&piece);
        eid_buf_reset(&back);
        eid_aead_seal(key, eid_slice_of(&i, sizeof i), &piece);
        if (eid_aead_unseal(key, eid_buf_slice(&piece), &back) == EID_OK && back.len == sizeof i &&
            memcmp(back.data, &i, sizeof i) == 0)
            good++;
    }
    eid_buf_free(&piece);
    eid_buf_free(&back);
    return (void *)good;
}

static void one_key_serves_several_threads(void **state)
{
    (void)state;
    eid_aead_key *key = key_of(ONE);
    pthread_t threads[3];

    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, seal_and_unseal, key), 0);
    for (size_t i = 0; i < 3; i++) {
        void *good;
        pthread_join(threads[i], &good);
        assert_int_equal((size_t)good, 500);
    }
    eid_aead_key_free(key);
}

static eid_status round_trip(void *ctx)
{
    const eid_aead_key *key = ctx;
    eid_buf piece, back;

    eid_buf_init(&piece, 4096);
    eid_buf_init(&back, 4096);
    eid_aead_seal(key, eid_slice_text("text"), &piece);
    eid_status status = eid_buf_status(&piece);
    if (status == EID_OK)
        status = eid_aead_unseal(key, eid_buf_slice(&piece), &back);
    eid_buf_free(&piece);
    eid_buf_free(&back);
    return status;
}

static void memory_may_fail(void **state)
{
    (void)state;
    eid_aead_key *key = key_of(ONE);

    assert_int_equal(tu_alloc_fault_loop(round_trip, key), 2);
    eid_aead_key_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_cases),
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(pieces_of_all_lengths_come_back),
        cmocka_unit_test(short_and_damaged_pieces_leave_the_buffer_alone),
        cmocka_unit_test(nonces_do_not_repeat),
        cmocka_unit_test(one_key_serves_several_threads),
        cmocka_unit_test(memory_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
