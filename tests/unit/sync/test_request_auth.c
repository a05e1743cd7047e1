/* SPDX-License-Identifier: Apache-2.0 */
/* Proofs of key possession: what they bind, how long they last, and that nobody can use one twice. */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "support/testutil.h"
#include "sync/request_auth.h"
#include <eidetica/memory.h>

#define NOW UINT64_C(1760000000000)

typedef struct bench {
    eid_keypair *server_pair, *key;
    eid_pubkey server;
    eid_sync_request request;
    eid_nonces nonces;
} bench;

static eid_tree_request *tree_of(bench *b)
{
    return &b->request.as.tree;
}

static int set_up(void **state)
{
    bench *b = calloc(1, sizeof *b);
    uint8_t seed[32];
    memset(seed, 1, sizeof seed);
    tu_assert_ok(eid_keypair_from_seed(seed, &b->server_pair));
    memset(seed, 2, sizeof seed);
    tu_assert_ok(eid_keypair_from_seed(seed, &b->key));
    eid_keypair_public(b->server_pair, &b->server);
    b->request.kind = EID_REQUEST_SYNC_TREE;
    tu_assert_ok(
        eid_id_parse("bafyr4ie5v6rlw3tkyo3d7c62ncedv3it36xsjb7ej7vyntrkq6hl7g7gz4", &tree_of(b)->tree));
    tu_assert_ok(eid_request_auth_sign(tree_of(b), &b->server, b->key, NOW));
    tu_assert_ok(eid_nonces_init(&b->nonces));
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    bench *b = *state;
    eid_nonces_free(&b->nonces);
    eid_request_free(&b->request);
    eid_keypair_free(b->key);
    eid_keypair_free(b->server_pair);
    free(b);
    return 0;
}

static void assert_fails_with(eid_status status, const char *sentence)
{
    assert_int_equal(status, EID_ERR_AUTH_FAILED);
    assert_string_equal(eid_last_error(), sentence);
}

static void a_good_proof(void **state)
{
    bench *b = *state;
    assert_true(tree_of(b)->has_proof);
    assert_int_equal(tree_of(b)->proof.nonce_len, 32);
    tu_assert_ok(eid_request_auth_check(tree_of(b), &b->server, NOW));
    /* Signed anew it is another one. */
    uint8_t nonce[32];
    memcpy(nonce, tree_of(b)->proof.nonce, 32);
    tu_assert_ok(eid_request_auth_sign(tree_of(b), &b->server, b->key, NOW));
    assert_memory_not_equal(nonce, tree_of(b)->proof.nonce, 32);
    tu_assert_ok(eid_request_auth_check(tree_of(b), &b->server, NOW));
}

static void without_proof(void **state)
{
    bench *b = *state;
    tree_of(b)->has_proof = false;
    tu_assert_fails(eid_request_auth_check(tree_of(b), &b->server, NOW), EID_ERR_AUTH_REQUIRED);
    assert_string_equal(eid_last_error(), "Authentication required to read database "
                                          "'bafyr4ie5v6rlw3tkyo3d7c62ncedv3it36xsjb7ej7vyntrkq6hl7g7gz4'");
}

static void the_window_is_exact(void **state)
{
    bench *b = *state;
    static const char stale[] = "Authentication failed: request timestamp outside the freshness window";
    tu_assert_ok(eid_request_auth_check(tree_of(b), &b->server, NOW + EID_FRESHNESS_WINDOW_MS));
    tu_assert_ok(eid_request_auth_check(tree_of(b), &b->server, NOW - EID_FRESHNESS_WINDOW_MS));
    assert_fails_with(eid_request_auth_check(tree_of(b), &b->server, NOW + EID_FRESHNESS_WINDOW_MS + 1),
                      stale);
    assert_fails_with(eid_request_auth_check(tree_of(b), &b->server, NOW - EID_FRESHNESS_WINDOW_MS - 1),
                      stale);
    assert_fails_with(eid_request_auth_check(tree_of(b), &b->server, 0), stale);
    assert_fails_with(eid_request_auth_check(tree_of(b), &b->server, UINT64_MAX), stale);
}

/* Features 7, 80 */
static void every_part_is_bound(void **state)
{
    bench *b = *state;
    static const char invalid[] = "Authentication failed: invalid request signature";
    eid_tree_request *tree = tree_of(b);
    eid_request_proof *proof = &tree->proof;

    proof->timestamp_ms++;
    assert_fails_with(eid_request_auth_check(tree, &b->server, NOW), invalid);
    proof->timestamp_ms--;
    proof->nonce[31] ^= 1;
    assert_fails_with(eid_request_auth_check(tree, &b->server, NOW), invalid);
    proof->nonce[31] ^= 1;
    proof->nonce_len--;
    assert_fails_with(eid_request_auth_check(tree, &b->server, NOW), invalid);
    proof->nonce_len++;
    proof->signature_len--;
    assert_fails_with(eid_request_auth_check(tree, &b->server, NOW), invalid);
    proof->signature_len++;
    proof->key = b->server;
    assert_fails_with(eid_request_auth_check(tree, &b->server, NOW), invalid);
    eid_keypair_public(b->key, &proof->key);
    tu_assert_ok(eid_request_auth_check(tree, &b->server, NOW));
    for (size_t bit = 0; bit < 512; bit += 37) {
        proof->signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_fails_with(eid_request_auth_check(tree, &b->server, NOW), invalid);
        proof->signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* Lengths stand before the fields, so bytes can not move from one field into the next. */
static void fields_can_not_flow_together(void **state)
{
    bench *b = *state;
    eid_buf one, other;
    eid_id tips[2];
    eid_slice short_nonce = {(const uint8_t *)"ab", 2}, long_nonce = {(const uint8_t *)"abc", 3};
    tips[0] = tips[1] = tree_of(b)->tree;
    eid_buf_init(&one, 10000);
    eid_buf_init(&other, 10000);
    eid_request_auth_bytes(&one, &b->server, &tips[0], tips, 1, NOW, short_nonce);
    eid_request_auth_bytes(&other, &b->server, &tips[0], tips, 2, NOW, short_nonce);
    assert_int_equal(other.len - one.len, 8 + 59);
    eid_buf_reset(&other);
    eid_request_auth_bytes(&other, &b->server, &tips[0], tips, 1, NOW, long_nonce);
    assert_int_equal(other.len - one.len, 1);
    assert_memory_not_equal(one.data, other.data, one.len);
    eid_buf_free(&one);
    eid_buf_free(&other);
}

static void a_nonce_is_spent_once(void **state)
{
    bench *b = *state;
    static const char spent[] = "Authentication failed: request nonce already spent";
    tu_assert_ok(eid_request_auth_spend(tree_of(b), NOW, &b->nonces));
    assert_fails_with(eid_request_auth_spend(tree_of(b), NOW, &b->nonces), spent);
    assert_fails_with(eid_request_auth_spend(tree_of(b), NOW + EID_FRESHNESS_WINDOW_MS, &b->nonces), spent);
    /* Spent while it was one window ahead, it is fresh for two more. */
    assert_fails_with(eid_request_auth_spend(tree_of(b), NOW + 2 * EID_FRESHNESS_WINDOW_MS, &b->nonces),
                      spent);
    tu_assert_ok(eid_request_auth_spend(tree_of(b), NOW + 2 * EID_FRESHNESS_WINDOW_MS + 1, &b->nonces));
    /* The same nonce of another key is another nonce. */
    tree_of(b)->proof.key.bytes[0] ^= 1;
    tu_assert_ok(eid_request_auth_spend(tree_of(b), NOW + 2 * EID_FRESHNESS_WINDOW_MS + 1, &b->nonces));
}

static void nonces_of_odd_lengths(void **state)
{
    bench *b = *state;
    eid_request_proof *proof = &tree_of(b)->proof;
    uint8_t *kept = proof->nonce;
    uint8_t bytes[EID_LIMIT_NONCE_BYTES + 1] = {0};
    proof->nonce = bytes;
    for (size_t len = 0; len <= EID_LIMIT_NONCE_BYTES; len++) {
        proof->nonce_len = len;
        tu_assert_ok(eid_request_auth_spend(tree_of(b), NOW, &b->nonces));
    }
    proof->nonce_len = EID_LIMIT_NONCE_BYTES + 1;
    assert_fails_with(eid_request_auth_spend(tree_of(b), NOW, &b->nonces),
                      "Authentication failed: request nonce is longer than 64 bytes");
    proof->nonce = kept;
    proof->nonce_len = 32;
}

/* The memory fills up, refuses, and is free again when the nonces have expired. */
static void the_memory_is_bounded(void **state)
{
    bench *b = *state;
    uint8_t *nonce = tree_of(b)->proof.nonce;
    for (uint32_t i = 0; i < EID_LIMIT_NONCES; i++) {
        memcpy(nonce, &i, sizeof i);
        tu_assert_ok(eid_request_auth_spend(tree_of(b), NOW + i % 1000, &b->nonces));
    }
    nonce[31] ^= 1;
    assert_fails_with(eid_request_auth_spend(tree_of(b), NOW + 1000, &b->nonces),
                      "Authentication failed: too many requests, try again in a minute");
    tu_assert_ok(eid_request_auth_spend(tree_of(b), NOW + 1001 + 2 * EID_FRESHNESS_WINDOW_MS, &b->nonces));
    assert_int_equal(b->nonces.count, eid_map_len(b->nonces.spent));
}

/* A clock set back must not make the memory forget what it just learnt. */
static void a_clock_that_goes_back(void **state)
{
    bench *b = *state;
    tu_assert_ok(eid_request_auth_spend(tree_of(b), NOW, &b->nonces));
    assert_int_equal(eid_request_auth_spend(tree_of(b), NOW - 3600000, &b->nonces), EID_ERR_AUTH_FAILED);
    assert_int_equal(eid_request_auth_spend(tree_of(b), NOW, &b->nonces), EID_ERR_AUTH_FAILED);
}

static eid_status sign_and_spend(void *ctx)
{
    bench *b = ctx;
    eid_sync_request request = {.kind = EID_REQUEST_SYNC_TREE};
    eid_nonces nonces;
    request.as.tree.tree = tree_of(b)->tree;
    EID_TRY(eid_nonces_init(&nonces));
    eid_status status = eid_request_auth_sign(&request.as.tree, &b->server, b->key, NOW);
    if (status == EID_OK)
        status = eid_request_auth_spend(&request.as.tree, NOW, &nonces);
    eid_request_free(&request);
    eid_nonces_free(&nonces);
    return status;
}

static void failing_memory(void **state)
{
    bench *b = *state;
    tu_alloc_install();
    assert_true(tu_alloc_fault_loop(sign_and_spend, b) >= 4);
    tu_alloc_remove();
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BENCH(a_good_proof),
        WITH_BENCH(without_proof),
        WITH_BENCH(the_window_is_exact),
        WITH_BENCH(every_part_is_bound),
        WITH_BENCH(fields_can_not_flow_together),
        WITH_BENCH(a_nonce_is_spent_once),
        WITH_BENCH(nonces_of_odd_lengths),
        WITH_BENCH(the_memory_is_bounded),
        WITH_BENCH(a_clock_that_goes_back),
        WITH_BENCH(failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
