/* SPDX-License-Identifier: Apache-2.0 */
/* Keys from passwords: salts, costs and their bounds, and that every part of the input counts. The recorded keys are
 * in tests/vectors/test_users.c and test_password_store.c. */
#include "support/testutil.h"

#include <argon2.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "codec/base.h"
#include "crypto/kdf.h"

/* As cheap as Argon2 allows. */
static const eid_kdf_costs cheap = {8, 1, 1};
#define SALT "c29tZXNhbHRzb21lc2FsdA"

static void derive(const char *password, const char *salt, eid_kdf_costs costs, uint8_t out[EID_AEAD_KEY])
{
    tu_assert_ok(eid_kdf_derive(eid_slice_text(password), eid_slice_text(salt), &costs, out));
}

/* A case of users.json here too, so that this file alone notices other defaults. */
static void the_default_costs_are_the_recorded_ones(void **state)
{
    (void)state;
    uint8_t key[EID_AEAD_KEY];

    derive("password", SALT, (eid_kdf_costs)EID_KDF_COSTS_DEFAULT, key);
    tu_assert_hex(key, sizeof key, "6c1a393f78e75b91a6904fa11c40bc22e19f6a11de190b2cffd0978429ca470c");
}

static void everything_given_counts(void **state)
{
    (void)state;
    static const struct {
        const char *password, *salt;
        eid_kdf_costs costs;
    } inputs[] = {
        {"password", SALT, {8, 1, 1}},
        {"passwore", SALT, {8, 1, 1}},
        {"password ", SALT, {8, 1, 1}},
        {"", SALT, {8, 1, 1}},
        {"password", "c29tZXNhbHRzb21lc2FsdB", {8, 1, 1}}, /* the same 16 bytes, loosely read */
        {"password", "not base64 at all !?*.", {8, 1, 1}},
        {"password", SALT, {9, 1, 1}},
        {"password", SALT, {16, 1, 1}},
        {"password", SALT, {8, 2, 1}},
        {"password", SALT, {16, 1, 2}},
    };
    enum { COUNT = sizeof inputs / sizeof *inputs };
    uint8_t keys[COUNT][EID_AEAD_KEY], again[EID_AEAD_KEY];

    for (size_t i = 0; i < COUNT; i++) {
        derive(inputs[i].password, inputs[i].salt, inputs[i].costs, keys[i]);
        derive(inputs[i].password, inputs[i].salt, inputs[i].costs, again);
        assert_memory_equal(keys[i], again, sizeof again);
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(keys[i], keys[k], EID_AEAD_KEY);
    }
}

/* The library's own way with one thread a lane gives the same as ours with one thread for all. */
static void lanes_need_no_threads(void **state)
{
    (void)state;
    static const eid_kdf_costs costs[] = {{64, 2, 1}, {256, 1, 4}, {1000, 3, 3}};

    for (size_t i = 0; i < sizeof costs / sizeof *costs; i++) {
        uint8_t ours[EID_AEAD_KEY], theirs[EID_AEAD_KEY];
        derive("p\xc3\xa4ss", SALT, costs[i], ours);
        assert_int_equal(argon2id_hash_raw(costs[i].passes, costs[i].memory_kib, costs[i].lanes, "p\xc3\xa4ss", 5,
                                           SALT, 22, theirs, sizeof theirs),
                         ARGON2_OK);
        assert_memory_equal(ours, theirs, sizeof ours);
    }
}

static void costs_have_bounds(void **state)
{
    (void)state;
    static const struct {
        eid_kdf_costs costs;
        eid_status wanted;
    } cases[] = {
        {{0, 1, 1}, EID_ERR_RANGE},
        {{7, 1, 1}, EID_ERR_RANGE},
        {{8, 0, 1}, EID_ERR_RANGE},
        {{8, 1, 0}, EID_ERR_RANGE},
        {{15, 1, 2}, EID_ERR_RANGE},
        {{EID_LIMIT_KDF_MEMORY_KIB + 1, 1, 1}, EID_ERR_LIMIT},
        {{4u << 20, 1, 1}, EID_ERR_LIMIT},
        {{UINT32_MAX, 2, 1}, EID_ERR_LIMIT},
        {{UINT32_MAX, UINT32_MAX, UINT32_MAX}, EID_ERR_LIMIT},
        {{8, EID_LIMIT_KDF_PASSES + 1, 1}, EID_ERR_LIMIT},
        {{8, UINT32_MAX, 1}, EID_ERR_LIMIT},
        {{8 * (EID_LIMIT_KDF_LANES + 1), 1, EID_LIMIT_KDF_LANES + 1}, EID_ERR_LIMIT},
    };
    uint8_t key[EID_AEAD_KEY], untouched[EID_AEAD_KEY];

    memset(untouched, 0xee, sizeof untouched);
    memset(key, 0xee, sizeof key);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        tu_assert_fails(eid_kdf_derive(eid_slice_text("pw"), eid_slice_text(SALT), &cases[i].costs, key), cases[i].wanted);
    assert_memory_equal(key, untouched, sizeof key);
    derive("pw", SALT, (eid_kdf_costs){8 * EID_LIMIT_KDF_LANES, EID_LIMIT_KDF_PASSES, EID_LIMIT_KDF_LANES}, key);
    assert_memory_not_equal(key, untouched, sizeof key);
}

static void salts_and_passwords_have_lengths(void **state)
{
    (void)state;
    char *long_password = malloc(EID_LIMIT_PASSWORD + 1);
    uint8_t key[EID_AEAD_KEY];
    eid_aead_key *made = NULL;

    memset(long_password, 'x', EID_LIMIT_PASSWORD + 1);
    tu_assert_ok(eid_kdf_derive(eid_slice_of(long_password, EID_LIMIT_PASSWORD), eid_slice_text(SALT), &cheap, key));
    tu_assert_fails(eid_kdf_derive(eid_slice_of(long_password, EID_LIMIT_PASSWORD + 1), eid_slice_text(SALT), &cheap, key),
                    EID_ERR_LIMIT);
    free(long_password);
    static const char *const salts[] = {"", "short", "c29tZXNhbHRzb21lc2Fsd", "c29tZXNhbHRzb21lc2FsdA="};
    for (size_t i = 0; i < sizeof salts / sizeof *salts; i++) {
        tu_assert_fails(eid_kdf_derive(eid_slice_text("pw"), eid_slice_text(salts[i]), &cheap, key),
                        EID_ERR_INVALID_ARGUMENT);
        tu_assert_fails(eid_kdf_derive_key(eid_slice_text("pw"), eid_slice_text(salts[i]), &cheap, &made),
                        EID_ERR_INVALID_ARGUMENT);
    }
    assert_null(made);
}

static void salts_are_fresh(void **state)
{
    (void)state;
    char salts[100][EID_KDF_SALT_SIZE];
    uint8_t bytes[18];
    size_t len;

    for (size_t i = 0; i < 100; i++) {
        eid_kdf_new_salt(salts[i]);
        assert_int_equal(strlen(salts[i]), EID_KDF_SALT_LEN);
        tu_assert_ok(eid_base64_decode_unpadded(eid_slice_text(salts[i]), bytes, sizeof bytes, &len));
        assert_int_equal(len, 16);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(salts[i], salts[k]);
    }
}

/* The key made in guarded memory is the one of the bytes. */
static void the_key_is_that_of_the_bytes(void **state)
{
    (void)state;
    uint8_t bytes[EID_AEAD_KEY], back[8];
    eid_aead_key *made, *same;
    eid_buf piece;

    tu_assert_ok(eid_kdf_derive_key(eid_slice_text("pw"), eid_slice_text(SALT), &cheap, &made));
    derive("pw", SALT, cheap, bytes);
    tu_assert_ok(eid_aead_key_new(bytes, &same));
    eid_buf_init(&piece, 4096);
    eid_aead_seal(made, eid_slice_text("message"), &piece);
    tu_assert_ok(eid_aead_decrypt(same, piece.data, eid_slice_of(piece.data + 12, piece.len - 12), back));
    assert_memory_equal(back, "message", 7);
    eid_buf_free(&piece);
    eid_aead_key_free(same);
    eid_aead_key_free(made);
}

static eid_status derive_step(void *ctx)
{
    eid_aead_key *key = NULL;
    eid_status status = eid_kdf_derive_key(eid_slice_text("pw"), eid_slice_text(SALT), ctx, &key);

    eid_aead_key_free(key);
    return status;
}

static void memory_may_fail(void **state)
{
    (void)state;
    eid_kdf_costs costs = cheap;

    assert_true(tu_alloc_fault_loop(derive_step, &costs) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_costs_are_the_recorded_ones),
        cmocka_unit_test(everything_given_counts),
        cmocka_unit_test(lanes_need_no_threads),
        cmocka_unit_test(costs_have_bounds),
        cmocka_unit_test(salts_and_passwords_have_lengths),
        cmocka_unit_test(salts_are_fresh),
        cmocka_unit_test(the_key_is_that_of_the_bytes),
        cmocka_unit_test(memory_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
